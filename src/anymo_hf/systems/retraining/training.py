"""Trains a compared system on the motion, setups and texts that AnyMo nano learns from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import save_file

from ...modeling.prompts import normalize_text
from ...simulation.archive.clips import Clip
from ...simulation.surface import load_template
from ...training.batches import ActivityBatches, draw_narration
from ...training.checkpoints import finished_metrics, replace_folder, write_metrics
from ...training.corpus import MotionCorpus
from ...training.processes import gather_rows, local_part
from ...training.sentence_vectors import shared_vectors
from ...training.settings import check_views
from ...training.stages.encoder import VIEW_ROWS, EncoderBatch, batch_views
from ...training.synchronized_norm import synchronize_norms
from ...training.training_loop import run_steps
from ...training.worn_setups import visible_masks
from ..retrained import CONFIG, FILES, WEIGHTS, Retrained, VirtualForest, retrained_systems
from ..retrained_networks import SAMPLES, AlignedNetwork
from ..virtual_windows import FEATURES, PIECE, VirtualBank, window_features
from .settings import SystemSettings

MODEL = "model"


def train_system(settings: SystemSettings, root: str | Path, accelerator: Accelerator) -> dict:
    """Reads `root/corpus`, writes `root/SYSTEM/model` and `root/SYSTEM/metrics.json`; returns metrics.

    Raises:
        ValueError: a corpus without words or with clips that are too short, or settings that do not fit each other.
        OSError: no corpus, or no sentence encoder.
    """
    settings, root = settings.for_processes(accelerator.num_processes), Path(root)
    if settings.start_from:
        raise ValueError("start_from: a compared system starts from random weights")
    corpus, folder = MotionCorpus(root / "corpus"), root / settings.system
    kind = retrained_systems()[settings.system]
    fingerprint = settings.fingerprint(corpus.identity())
    done = finished_metrics(folder, fingerprint, *(folder / MODEL / name for name in FILES))
    if done:
        return done
    if max(settings.frames) > corpus.frames:
        raise ValueError(
            f"frames asks for windows of {max(settings.frames)}, the corpus holds clips of {corpus.frames}"
        )
    windows = _WordedWindows(settings, corpus, root / "language", accelerator)
    if issubclass(kind, VirtualForest):
        return _fill_bank(settings, windows, folder, fingerprint, accelerator)
    return _align(kind, settings, windows, folder, fingerprint, accelerator)


class _WordedWindows:
    """Windows of a step with their setups and texts; all processes draw the same.

    Args:
        settings: of the run.
        corpus: with words.
        cache: folder of the sentence vectors.
        accelerator: of the run.
    """

    def __init__(self, settings: SystemSettings, corpus: MotionCorpus, cache: Path, accelerator: Accelerator):
        corpus.check_words("a compared system")
        self.settings, self.corpus, self.accelerator = settings, corpus, accelerator
        self.batches = ActivityBatches(np.arange(len(corpus)), corpus.clips)
        self.texts = worded_texts(corpus.clips)
        self.number = {text: row for row, text in enumerate(self.texts)}
        self.vectors = shared_vectors(self.texts, cache, accelerator)
        self.template, self.options = load_template(), check_views(settings.views)

    def draw(
        self, rng: np.random.Generator, frames: int | None = None, views: int = 1
    ) -> tuple[EncoderBatch, np.ndarray]:
        """What to simulate, a sensor setup for each view of a window, and the number of each window's text `(batch,)`."""
        settings, size = self.settings, self.settings.batch_size
        length = frames or int(rng.choice(settings.frames))
        rows = self.batches.draw(size, rng, settings.everyday_share)
        texts = [self.number[_text(self.corpus.clips[row], settings.narration_share, rng)] for row in rows]
        batch = EncoderBatch(
            length,
            rows,
            rng.integers(0, self.corpus.frames - length + 1, size),
            float(rng.uniform(*settings.height_range)),
            rng.integers(2**62, size=-(-size // VIEW_ROWS)),
            torch.stack([visible_masks(rng, size, settings.worn_share) for _ in range(views)]),
        )
        return batch, np.array(texts)

    def simulate(self, batch: EncoderBatch, own: range) -> torch.Tensor:
        """`(views, own, frames, 23, 6)` m/s² and rad/s."""
        return batch_views(batch, own, self.corpus, self.template, self.options, self.accelerator.device)


def worded_texts(clips: Sequence[Clip]) -> list[str]:
    """Every different label phrase and narration, normalised, in the order of the clips."""
    words = (normalize_text(text) for clip in clips for text in (*clip.label_phrases, *clip.narrations))
    return list(dict.fromkeys(words))


def _text(clip: Clip, narration_share: float, rng: np.random.Generator) -> str:
    if not clip.label_phrases or rng.random() < narration_share:
        return normalize_text(draw_narration(clip.narrations, None, rng))
    return normalize_text(clip.label_phrases[int(rng.integers(len(clip.label_phrases)))])


def _align(
    kind: type[Retrained], settings: SystemSettings, windows: _WordedWindows, folder: Path, fingerprint: str,
    accelerator: Accelerator,
) -> dict:  # fmt: skip
    torch.manual_seed(settings.seed)
    network = AlignedNetwork(kind.encoder, settings.objective, settings.options, settings.encoder_options)
    generator = torch.Generator().manual_seed(settings.seed)
    network.objective.begin(windows.vectors.cpu(), generator)
    network.to(accelerator.device)
    if accelerator.num_processes > 1:  # the objective's own norm sees the rows of all processes as it is
        synchronize_norms(network.encoder)
    own, predicts = local_part(range(settings.batch_size), accelerator), hasattr(network.encoder, "learn")

    def step(number: int, shared: np.random.Generator) -> dict[str, torch.Tensor]:
        batch, texts = windows.draw(shared, views=2 if predicts else 1)
        worn = batch.visible
        if network.encoder.one_sensor:
            worn = torch.stack([_one_of(mask, shared) for mask in worn])
        worn = worn[:, own.start : own.stop].to(accelerator.device)
        signals = windows.simulate(batch, own)
        if settings.turned:
            turns = _turns((settings.batch_size, signals.shape[3]), int(batch.seeds[0]))
            signals = torch.stack([turn_sensors(view, turns[own.start : own.stop]) for view in signals])
        losses, gather = {}, partial(gather_rows, accelerator=accelerator)
        with accelerator.autocast():
            if predicts:
                rows, losses["prediction"] = network.encoder.learn(signals, worn, gather=gather, first_row=own.start)
            else:
                rows = network.encode(signals[0], worn[0])[None]
        vectors = windows.vectors[torch.from_numpy(texts).to(windows.vectors.device)]
        losses["text"] = torch.stack([network.objective(gather(view.float()), vectors) for view in rows]).mean()
        accelerator.backward(sum(losses.values()))
        return {name: value.detach() for name, value in losses.items()}

    metrics = run_steps(settings.system, network, step, settings, folder, fingerprint, accelerator)
    metrics |= {"parameters": sum(one.numel() for one in network.parameters())}
    if accelerator.is_main_process:
        replace_folder(
            folder / MODEL, lambda draft: _save(network, network.settings, settings, metrics["steps"], draft)
        )
        write_metrics(folder, metrics | {"finished": True})
    accelerator.wait_for_everyone()
    return metrics


def _one_of(worn: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """`(batch, 23)` with one of the worn sensors of each row."""
    chosen = torch.zeros_like(worn)
    for row, mask in enumerate(worn):
        chosen[row, int(rng.choice(np.flatnonzero(mask.numpy())))] = True
    return chosen


def _turns(shape: tuple[int, int], seed: int) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.random(shape[0] * shape[1], rng=np.random.default_rng(seed)).as_matrix().reshape(*shape, 3, 3)


def turn_sensors(signals: torch.Tensor, turns: np.ndarray) -> torch.Tensor:
    """`signals` `(batch, samples, segments, 6)`, both triples turned by `turns` `(batch, segments, 3, 3)`."""
    triples = signals.unflatten(3, (2, 3))
    return torch.einsum("bsij,btskj->btski", torch.from_numpy(turns).to(signals), triples).flatten(3)


def _save(network: torch.nn.Module, built_from: dict, settings: SystemSettings, steps: int, draft: Path) -> None:
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    save_file(tensors, draft / WEIGHTS)
    content = {
        "system": settings.system,
        "network": built_from,
        "settings": asdict(settings),
        "trained": {"steps": steps, "batch_size": settings.batch_size},
    }
    (draft / CONFIG).write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")


def _fill_bank(
    settings: SystemSettings, windows: _WordedWindows, folder: Path, fingerprint: str, accelerator: Accelerator
) -> dict:
    """Features of simulated windows; nothing is learned before the labels are known. A step is kept as it is made."""
    if accelerator.num_processes > 1:
        raise ValueError("the bank of virtual windows is made by one process; leave out --processes")
    bank = VirtualBank(settings.steps * settings.batch_size, windows.vectors.shape[1])
    bank.done = torch.nn.Parameter(torch.zeros(()))  # run_steps needs something to train
    whole = range(settings.batch_size)

    def step(number: int, shared: np.random.Generator) -> dict[str, torch.Tensor]:
        batch, texts = windows.draw(shared, PIECE)
        rows = slice(number * len(whole), (number + 1) * len(whole))
        signals = windows.simulate(batch, whole)[0].cpu().numpy()
        bank.features[rows] = torch.from_numpy(window_features(signals)).to(bank.features)
        bank.vectors[rows] = windows.vectors[torch.from_numpy(texts)].to(bank.vectors)
        loss = 0.0 * bank.done
        accelerator.backward(loss)
        return {"loss": loss.detach()}

    metrics = run_steps(settings.system, bank, step, settings, folder, fingerprint, accelerator)
    count = metrics["steps"] * len(whole)
    built_from = {"windows": count, "dim": bank.vectors.shape[1]}
    small = VirtualBank(count, bank.vectors.shape[1])
    small.features, small.vectors = bank.features[:count], bank.vectors[:count]
    replace_folder(folder / MODEL, lambda draft: _save(small, built_from, settings, metrics["steps"], draft))
    write_metrics(folder, metrics | {"finished": True, "features": FEATURES, "frames": PIECE, "samples": SAMPLES})
    return metrics
