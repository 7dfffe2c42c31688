"""Stage 2: latents of sparse views from the frozen encoder, the PQ-VAE on them, and the codes of every view."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from ...modeling.configuration_anymo import AnyMoPQVAEConfig
from ...modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from ...modeling.modeling_pqvae import AnyMoPQVAEModel
from ...modeling.modeling_stgcn import AnyMoSTGCNModel
from ...simulation.surface import load_template
from ...simulation.views import sample_views
from ..corpus import MotionCorpus
from ..settings import TokenizerSettings, check_views
from ..training_loop import (
    file_hash,
    finished_metrics,
    local_part,
    replace_folder,
    run_steps,
    same_shape,
    start_hash,
    step_generator,
    write_metrics,
)
from ..worn_setups import MOST_SENSORS, visible_masks
from .encoder import WEIGHTS

EXTRACTOR, CODES = "feature_extractor", "codes.npz"
EXTRACTOR_FILES = ("preprocessor_config.json", "imu_tokenizer/config.json", "imu_tokenizer/model.safetensors")
_LATENTS = "latents"


@dataclass(frozen=True)
class CodedViews:
    """Codes of sparse views of the corpus.

    Args:
        codes: `(N, L, books)` int16, code ids within their book; rows past a view's length are 0.
        length: `(N,)` latent steps of each view.
        clip: `(N,)` corpus index.
        placements: `(N, 5)` segment indices, padded with -1.
        codebook_size: codes in a book.
    """

    codes: np.ndarray
    length: np.ndarray
    clip: np.ndarray
    placements: np.ndarray
    codebook_size: int

    def tokens(self, row: int, most: int | None = None, rng: np.random.Generator | None = None) -> np.ndarray:
        """Time-major interleaved codes (`code + size * book`) of a view, cropped to `most` steps at a random place."""
        length, start = int(self.length[row]), 0
        if most is not None and length > most:
            start = 0 if rng is None else int(rng.integers(length - most + 1))
            length = most
        books = np.arange(self.codes.shape[-1]) * self.codebook_size
        return (self.codes[row, start : start + length].astype(np.int64) + books).reshape(-1)

    def worn(self, row: int) -> list[int]:
        """Segment indices of a view's sensors."""
        return [int(index) for index in self.placements[row] if index >= 0]


def load_codes(path: str | Path) -> CodedViews:
    """Reads codes.npz; OSError when it is missing or damaged."""
    path = Path(path)
    if not path.is_file():
        raise OSError(f"no motion codes at {path}; run training/train_tokenizer.py first")
    try:
        with np.load(path, allow_pickle=False) as file:
            values = {name: file[name] for name in ("codes", "length", "clip", "placements", "codebook_size")}
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError) as error:
        raise OSError(f"{path} is damaged ({error}); delete it and run training/train_tokenizer.py again") from error
    return CodedViews(**values | {"codebook_size": int(values["codebook_size"])})


def train_tokenizer(settings: TokenizerSettings, root: str | Path, accelerator: Accelerator) -> dict:
    """Reads `root/corpus` and `root/encoder`; writes `root/tokenizer`: feature_extractor/, codes.npz, metrics.json."""
    import time

    settings, root = settings.for_processes(accelerator.num_processes), Path(root)
    corpus, folder = MotionCorpus(root / "corpus"), root / "tokenizer"
    source = root / "encoder" / WEIGHTS
    if not (source / "model.safetensors").is_file():
        raise OSError(f"no trained encoder in {source}; run training/pretrain_encoder.py first")
    inputs = corpus.identity() + file_hash(source / "model.safetensors")
    fingerprint = settings.fingerprint(inputs + start_hash(settings.start_from, EXTRACTOR_FILES[-1]))
    results = (folder / CODES, *(folder / EXTRACTOR / name for name in EXTRACTOR_FILES))
    if done := finished_metrics(folder, fingerprint, *results):
        return done
    encoder = AnyMoSTGCNModel.from_pretrained(source).to(accelerator.device).eval()
    encoder.config._name_or_path = ""  # the release does not tell where it was trained
    started = time.monotonic()
    _export_latents(settings, corpus, encoder, folder, fingerprint, accelerator)
    export_seconds = time.monotonic() - started
    views = {
        name: np.load(folder / _LATENTS / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        for name in ("latents", "length", "clip", "placements")
    }
    torch.manual_seed(settings.seed)
    config = AnyMoPQVAEConfig.from_preset(settings.preset)
    if settings.start_from:
        model = AnyMoFeatureExtractor.from_pretrained(settings.start_from).pqvae
        same_shape(model, config, settings.start_from)
        model.to(accelerator.device)
    else:
        model = AnyMoPQVAEModel(config).to(accelerator.device)
        _start_codebooks(model, views, settings.seed)

    def step(number: int, shared: np.random.Generator) -> dict[str, torch.Tensor]:
        count = len(views["length"])
        # sorted before they are shared out, so that dead codes are refreshed from the rows one process would draw
        rows = np.sort(shared.choice(count, settings.batch_size, replace=count < settings.batch_size))
        latents, mask = _latent_batch(views, local_part(rows, accelerator), accelerator.device)
        with accelerator.autocast():
            output = model(latents, mask)
        loss = output.loss
        if accelerator.num_processes > 1:  # a mean over latent steps, of which processes hold unequal numbers
            steps = mask.sum().to(loss.dtype)
            loss = loss * steps / accelerator.reduce(steps, "mean")
        accelerator.backward(loss)
        books = torch.arange(config.num_codebooks, device=mask.device)
        used = torch.zeros(config.num_codebooks * config.codebook_size, device=mask.device)
        used[output.codes[mask] + config.codebook_size * books] = 1.0
        return {"loss": loss.detach(), "codes_in_batch": used.sum() / config.num_codebooks}

    metrics = run_steps("tokenizer", model, step, settings, folder, fingerprint, accelerator)
    if accelerator.is_main_process:
        used = _export_codes(model, views, folder / CODES)
        plain = AnyMoSTGCNModel(encoder.config)
        plain.load_state_dict(encoder.state_dict())
        extractor = AnyMoFeatureExtractor(plain.cpu(), model.cpu().eval())
        replace_folder(folder / EXTRACTOR, extractor.save_pretrained)
        # a stage that had ended keeps the time it once took
        metrics = {"export_seconds": round(export_seconds, 1)} | metrics
        write_metrics(folder, metrics | {"finished": True, "codes_used": used})
    accelerator.wait_for_everyone()
    return metrics


@torch.no_grad()
def _export_latents(
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
    target = folder / _LATENTS
    note = target / "fingerprint.txt"
    done = note.is_file() and note.read_text() == fingerprint
    accelerator.wait_for_everyone()  # all have seen what is missing
    if done:
        return
    draft = target.with_name(target.name + ".part")
    total, steps = len(corpus) * settings.views_per_clip, -(-max(settings.frames) // 4)
    columns = {
        "latents": (np.float16, (total, steps, encoder.config.latent_dim)),
        "length": (np.int16, (total,)),
        "clip": (np.int32, (total,)),
        "placements": (np.int8, (total, MOST_SENSORS)),
    }
    if accelerator.is_main_process:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        for name, (kind, shape) in columns.items():
            np.lib.format.open_memmap(draft / f"{name}.npy", mode="w+", dtype=kind, shape=shape).flush()
    accelerator.wait_for_everyone()
    views = {name: np.load(draft / f"{name}.npy", mmap_mode="r+", allow_pickle=False) for name in columns}
    _write_latents(settings, corpus, encoder, views, accelerator)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        (draft / "fingerprint.txt").write_text(fingerprint)
        shutil.rmtree(target, ignore_errors=True)
        draft.replace(target)
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
        generator = torch.Generator(accelerator.device).manual_seed(int(rng.integers(2**62)))
        body = template.scaled(float(rng.uniform(*settings.height_range)))
        # one setup per call: signals of segments without a sensor need not be made
        signals = sample_views(*(part.to(accelerator.device) for part in terms), body, generator, options, worn)
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


def _latent_batch(views: dict[str, np.ndarray], rows: np.ndarray, device) -> tuple[torch.Tensor, torch.Tensor]:
    length = torch.from_numpy(views["length"][rows].astype(np.int64))
    latents = torch.from_numpy(views["latents"][rows][:, : int(length.max())].astype(np.float32))
    mask = torch.arange(latents.shape[1]) < length[:, None]
    return latents.to(device), mask.to(device)


@torch.no_grad()
def _start_codebooks(model: AnyMoPQVAEModel, views: dict[str, np.ndarray], seed: int) -> None:
    """Sets the codebooks to projected latents of random views."""
    rng = np.random.default_rng(seed)
    count = len(views["length"])
    rows = np.sort(rng.choice(count, min(count, 1024), replace=False))
    latents, mask = _latent_batch(views, rows, model.device)
    model.quantizer.initialise(model.project(latents[mask]).cpu(), torch.Generator().manual_seed(seed))


@torch.no_grad()
def _export_codes(model: AnyMoPQVAEModel, views: dict[str, np.ndarray], path: Path) -> list[int]:
    """Writes codes.npz; returns how many codes of each book occur."""
    count, steps = views["latents"].shape[:2]
    codes = np.zeros((count, steps, model.config.num_codebooks), np.int16)
    for begin in range(0, count, 256):
        rows = np.arange(begin, min(begin + 256, count))
        latents, mask = _latent_batch(views, rows, model.device)
        codes[rows, : latents.shape[1]] = model.encode(latents, mask).cpu().numpy()
    draft = path.with_name(path.name + ".part")
    with draft.open("wb") as file:
        np.savez(
            file,
            codes=codes,
            length=np.asarray(views["length"]),
            clip=np.asarray(views["clip"]),
            placements=np.asarray(views["placements"]),
            codebook_size=np.array(model.config.codebook_size),
        )
    draft.replace(path)
    real = np.arange(steps) < np.asarray(views["length"])[:, None]
    return [len(np.unique(codes[..., book][real])) for book in range(codes.shape[-1])]
