"""Latents of sparse views of the corpus from the frozen encoder, kept on disk for the tokenizer stage."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from ..atomic_write import replacing_folder
from ..modeling.modeling_stgcn import AnyMoSTGCNModel
from ..simulation.surface import load_template
from ..simulation.views import body_for, sample_views
from .corpus import MotionCorpus
from .settings import TokenizerSettings, check_views
from .training_loop import step_generator
from .worn_setups import MOST_SENSORS, visible_masks

LATENTS = "latents"
_COLUMNS = ("latents", "length", "clip", "placements")


@torch.no_grad()
def export_latents(
    settings: TokenizerSettings,
    corpus: MotionCorpus,
    encoder: AnyMoSTGCNModel,
    folder: Path,
    fingerprint: str,
    accelerator: Accelerator,
) -> None:
    """Latents of `views_per_clip` sparse views of every clip, once; processes write every so-many-th call's rows.

    Raises:
        OSError: the disk is full, or the like.
        ValueError: windows longer than the corpus's clips.
    """
    if max(settings.frames) > corpus.frames:
        raise ValueError(f"frames asks for windows of {max(settings.frames)}, the corpus holds {corpus.frames}")
    target = folder / LATENTS
    note = target / "fingerprint.txt"
    done = note.is_file() and note.read_text() == fingerprint
    accelerator.wait_for_everyone()  # all have seen what is missing
    if done:
        return
    total, steps = len(corpus) * settings.views_per_clip, -(-max(settings.frames) // 4)
    columns = {
        "latents": (np.float16, (total, steps, encoder.config.latent_dim)),
        "length": (np.int16, (total,)),
        "clip": (np.int32, (total,)),
        "placements": (np.int8, (total, MOST_SENSORS)),
    }
    # the processes of one run share a draft, and two runs at once do not
    with replacing_folder(target) if accelerator.is_main_process else nullcontext() as own:
        draft = Path(broadcast_object_list([str(own)])[0])
        if accelerator.is_main_process:
            for name, (kind, shape) in columns.items():
                np.lib.format.open_memmap(draft / f"{name}.npy", mode="w+", dtype=kind, shape=shape).flush()
        accelerator.wait_for_everyone()
        views = {name: np.load(draft / f"{name}.npy", mmap_mode="r+", allow_pickle=False) for name in columns}
        _write_latents(settings, corpus, encoder, views, accelerator)
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            (draft / "fingerprint.txt").write_text(fingerprint)
    accelerator.wait_for_everyone()


def _write_latents(settings, corpus, encoder, views: dict[str, np.ndarray], accelerator: Accelerator) -> None:
    """Fills the rows of this process's calls; what a call holds does not depend on who makes it."""
    from tqdm import tqdm

    template, options, total = load_template(), check_views(settings.views), len(views["length"])
    order = np.concatenate(
        [step_generator(settings.seed, turn, 0, 3).permutation(len(corpus)) for turn in range(settings.views_per_clip)]
    )
    own = list(enumerate(range(0, total, settings.rows_per_call)))[
        accelerator.process_index :: accelerator.num_processes
    ]
    bar = tqdm(own, desc="sparse views", unit="call", mininterval=1, disable=not accelerator.is_main_process)
    for number, begin in bar:
        rng = step_generator(settings.seed, number, 0, 4)
        rows = order[begin : begin + settings.rows_per_call]
        frames = int(rng.choice(settings.frames))
        worn = visible_masks(rng, 1, settings.worn_share)[0].nonzero().flatten().tolist()
        terms = corpus.read(rows, rng.integers(0, corpus.frames - frames + 1, len(rows)), frames)
        seed = int(rng.integers(2**62))
        generator = torch.Generator(accelerator.device).manual_seed(seed)
        body = body_for(template, float(rng.uniform(*settings.height_range)), options, seed)
        # one setup per call: signals of segments without a sensor need not be made
        signals = sample_views(terms.to(accelerator.device), body, generator, options, worn)
        imu = signals.new_zeros(len(rows), frames, 23, 6)
        imu[:, :, worn] = signals
        mask = torch.zeros(len(rows), 23, dtype=torch.bool, device=imu.device)
        mask[:, worn] = True
        state = encoder(imu, mask).last_hidden_state
        part = slice(begin, begin + len(rows))
        views["latents"][part, : state.shape[1]] = state.cpu().numpy().astype(np.float16)
        views["length"][part], views["clip"][part], views["placements"][part] = state.shape[1], rows, -1
        views["placements"][part, : len(worn)] = worn
    for array in views.values():
        array.flush()


def load_latents(folder: Path) -> dict[str, np.ndarray]:
    """What `export_latents` left in the stage's folder, memory-mapped.

    Returns:
        latents: `(N, L, dim)` float16; length: `(N,)` latent steps; clip: `(N,)` corpus index; placements: `(N, 5)`
        segment indices, padded with -1.
    """
    return {name: np.load(folder / LATENTS / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _COLUMNS}


def latent_batch(views: dict[str, np.ndarray], rows: np.ndarray, device) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents `(rows, longest, dim)` float32 of some views, and their mask `(rows, longest)`, True on real steps."""
    length = torch.from_numpy(views["length"][rows].astype(np.int64))
    latents = torch.from_numpy(views["latents"][rows][:, : int(length.max())].astype(np.float32))
    mask = torch.arange(latents.shape[1]) < length[:, None]
    return latents.to(device), mask.to(device)
