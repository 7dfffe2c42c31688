"""Stage 1: masked cross-view predictive pre-training of the ST-GCN encoder (paper §3.2, A.3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from ...modeling.configuration_anymo import AnyMoSTGCNConfig
from ...modeling.modeling_stgcn import AnyMoSTGCNForPreTraining
from ...simulation.surface import SurfaceTemplate, load_template
from ...simulation.views import ViewOptions, sample_views
from ..corpus import MotionCorpus
from ..losses.full_view_contrast import FullViewContrast
from ..settings import EncoderSettings, check_views
from ..synchronized_norm import synchronize_norms
from ..training_loop import (
    MODEL_FILES,
    finished_metrics,
    gather_rows,
    local_part,
    replace_folder,
    run_steps,
    same_shape,
    start_hash,
    step_generator,
    write_metrics,
)
from ..worn_setups import visible_masks

WEIGHTS = "model"
_VIEW_ROWS = 8  # windows that share a random source: a process makes the ones it needs, and draws as one alone would


@dataclass(frozen=True)
class EncoderBatch:
    """Random choices of one step for the windows of all processes.

    Args:
        frames: of every window.
        rows, starts: `(batch,)` corpus clips and their first frames.
        height: metres, of the body that carries the sensors.
        seeds: one per `_VIEW_ROWS` windows, of their placements, mountings and noise.
        visible: `(2, batch, 23)` bool, worn sensors of both views.
    """

    frames: int
    rows: np.ndarray
    starts: np.ndarray
    height: float
    seeds: np.ndarray
    visible: torch.Tensor


def draw_batch(settings: EncoderSettings, corpus: MotionCorpus, rng: np.random.Generator) -> EncoderBatch:
    """Draws the batch of a step; it depends on the settings, the corpus and `rng` only."""
    size, frames = settings.batch_size, int(rng.choice(settings.frames))
    return EncoderBatch(
        frames,
        rng.choice(len(corpus), size, replace=len(corpus) < size),
        rng.integers(0, corpus.frames - frames + 1, size),
        float(rng.uniform(*settings.height_range)),
        rng.integers(2**62, size=-(-size // _VIEW_ROWS)),
        torch.stack([visible_masks(rng, size, settings.worn_share) for _ in range(2)]),
    )


def batch_views(
    batch: EncoderBatch, own: range, corpus: MotionCorpus, template: SurfaceTemplate, options: ViewOptions, device
) -> torch.Tensor:
    """Two views `(2, len(own), frames, 23, 6)` of windows `own` of the batch, the same whoever makes them."""
    body, parts = template.scaled(batch.height), []
    for block in range(own.start // _VIEW_ROWS, -(-own.stop // _VIEW_ROWS)):
        begin = block * _VIEW_ROWS
        rows = slice(begin, begin + _VIEW_ROWS)
        terms = [part.to(device) for part in corpus.read(batch.rows[rows], batch.starts[rows], batch.frames)]
        generator = torch.Generator(device).manual_seed(int(batch.seeds[block]))
        views = torch.stack([sample_views(*terms, body, generator, options) for _ in range(2)])
        parts.append(views[:, max(own.start - begin, 0) : own.stop - begin])
    return torch.cat(parts, 1)


def train_encoder(settings: EncoderSettings, root: str | Path, accelerator: Accelerator) -> dict:
    """Reads `root/corpus`, writes `root/encoder/model` (loadable) and `root/encoder/metrics.json`; returns metrics."""
    settings, root = settings.for_processes(accelerator.num_processes), Path(root)
    corpus, folder = MotionCorpus(root / "corpus"), root / "encoder"
    fingerprint = settings.fingerprint(corpus.identity() + start_hash(settings.start_from))
    if done := finished_metrics(folder, fingerprint, *(folder / WEIGHTS / name for name in MODEL_FILES)):
        return done
    longest = max(settings.frames)
    if longest > corpus.frames:
        raise ValueError(f"frames asks for windows of {longest}, the corpus holds clips of {corpus.frames}")
    template, options = load_template(), check_views(settings.views)
    torch.manual_seed(settings.seed)
    kind = AnyMoSTGCNForPreTraining if settings.objective == "masked" else FullViewContrast
    model = kind(AnyMoSTGCNConfig.from_preset(settings.preset))
    if settings.start_from:
        config, model = model.config, kind.from_pretrained(settings.start_from)
        same_shape(model, config, settings.start_from)
    model.to(accelerator.device)

    if accelerator.num_processes > 1:
        synchronize_norms(model)
    own = local_part(range(settings.batch_size), accelerator)

    def step(number: int, shared: np.random.Generator) -> dict[str, torch.Tensor]:
        batch = draw_batch(settings, corpus, shared)
        first, second = batch_views(batch, own, corpus, template, options, accelerator.device)
        masks = batch.visible[:, own.start : own.stop] if settings.objective == "masked" else ()
        seen = (part.to(accelerator.device) for part in masks)
        with accelerator.autocast():
            output = model(
                first, second, *seen, gather=partial(gather_rows, accelerator=accelerator), first_row=own.start
            )
        accelerator.backward(output.loss)
        labels = torch.arange(own.start, own.stop, device=output.logits.device)
        return {"loss": output.loss.detach(), "accuracy": (output.logits.argmax(-1) == labels).float().mean()}

    def batch_of(number: int) -> str:
        rows = draw_batch(settings, corpus, step_generator(settings.seed, number)).rows
        return f"corpus clips {sorted(rows.tolist())}"

    metrics = run_steps("encoder", model, step, settings, folder, fingerprint, accelerator, batch_of=batch_of)
    if accelerator.is_main_process:
        replace_folder(folder / WEIGHTS, model.save_pretrained)
        write_metrics(folder, metrics | {"finished": True})
    accelerator.wait_for_everyone()
    return metrics
