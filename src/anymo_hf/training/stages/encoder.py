"""Stage 1: masked cross-view predictive pre-training of the ST-GCN encoder (paper §3.2, A.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from ...modeling.configuration_anymo import AnyMoSTGCNConfig
from ...simulation.surface import SurfaceTemplate, load_template
from ...simulation.views import ViewOptions, body_for, sample_views
from ..checkpoints import MODEL_FILES, finished_metrics, replace_folder, same_shape, start_hash, write_metrics
from ..corpus import MotionCorpus
from ..losses import AddedLossContext, EncodedViews, added_losses, encoder_objectives
from ..processes import gather_rows, local_part
from ..settings import EncoderSettings, check_views
from ..synchronized_norm import synchronize_norms
from ..training_loop import run_steps, step_generator
from ..worn_setups import visible_masks

WEIGHTS = "model"
VIEW_ROWS = 16  # windows that share a random source: a process makes the ones it needs, and draws as one alone would


@dataclass(frozen=True)
class EncoderBatch:
    """Random choices of one step for the windows of all processes.

    Args:
        frames: of every window.
        rows, starts: `(batch,)` corpus clips and their first frames.
        height: metres, of the body that carries the sensors.
        seeds: one per `VIEW_ROWS` windows, of their placements, mountings and noise.
        visible: `(views, batch, 23)` bool, worn sensors of each view.
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
        rng.integers(2**62, size=-(-size // VIEW_ROWS)),
        torch.stack([visible_masks(rng, size, settings.worn_share) for _ in range(settings.views_per_window)]),
    )


def batch_views(
    batch: EncoderBatch, own: range, corpus: MotionCorpus, template: SurfaceTemplate, options: ViewOptions, device,
    segments: Sequence[int] | None = None,
) -> torch.Tensor:  # fmt: skip
    """Views `(views, len(own), frames, 23, 6)` of windows `own` of the batch, the same whoever makes them.

    With `segments` only the signals of these are made, in their order, in place of all 23.
    """
    body, parts = body_for(template, batch.height, options, int(batch.seeds[0])), []
    for block in range(own.start // VIEW_ROWS, -(-own.stop // VIEW_ROWS)):
        begin = block * VIEW_ROWS
        rows = slice(begin, begin + VIEW_ROWS)
        terms = corpus.read(batch.rows[rows], batch.starts[rows], batch.frames).to(device)
        generator = torch.Generator(device).manual_seed(int(batch.seeds[block]))
        views = sample_views(terms, body, generator, options, segments, views=len(batch.visible))
        parts.append(views[:, max(own.start - begin, 0) : own.stop - begin])
    return torch.cat(parts, 1)


class EncoderTraining(nn.Module):
    """The objective's model and the added losses: all that trains in this stage."""

    def __init__(self, settings: EncoderSettings, corpus: MotionCorpus, cache: Path, accelerator: Accelerator):
        super().__init__()
        kind, config = encoder_objectives()[settings.objective], AnyMoSTGCNConfig.from_preset(settings.preset)
        self.sparse, self.weights = kind.sparse, dict(sorted(settings.added_losses.items()))
        self.objective = kind.model(config)
        if settings.start_from:
            self.objective = kind.model.from_pretrained(settings.start_from)
            same_shape(self.objective, config, settings.start_from)
        context = AddedLossContext(config, corpus.clips, cache, accelerator)
        self.added = nn.ModuleDict({name: added_losses()[name].make(context) for name in self.weights})
        self.accelerator = accelerator

    def backward(self, batch: EncoderBatch, own: range, views: torch.Tensor, seed: int) -> dict[str, torch.Tensor]:
        """Losses of the batch, with backward: the mean over pairs of views `(views, len(own), frames, 23, 6)`."""
        gather, found = partial(gather_rows, accelerator=self.accelerator), []
        labels = torch.arange(own.start, own.stop, device=views.device)
        visible = batch.visible[:, own.start : own.stop].to(views.device)
        pairs = len(views) // 2
        rng = np.random.default_rng(seed)
        for number in range(pairs):
            pair = slice(2 * number, 2 * number + 2)
            masks = tuple(visible[pair]) if self.sparse else ()
            with self.accelerator.autocast():
                output = self.objective(*views[pair], *masks, gather=gather, first_row=own.start)
                losses, total = {"loss": output.loss}, output.loss
                if self.added:
                    latents = output.last_hidden_state.unflatten(0, (2, len(own)))
                    encoded = EncodedViews(latents, batch.rows, gather, rng)
                    losses |= {name: loss(encoded) for name, loss in self.added.items()}
                    total = total + sum(weight * losses[name] for name, weight in self.weights.items())
            self.accelerator.backward(total / pairs)
            found.append({name: value.detach() for name, value in losses.items()})
            found[-1]["accuracy"] = (output.logits.argmax(-1) == labels).float().mean()
        return {name: torch.stack([losses[name] for losses in found]).mean() for name in found[0]}


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
    training = EncoderTraining(settings, corpus, folder, accelerator).to(accelerator.device)
    if accelerator.num_processes > 1:
        synchronize_norms(training)
    own = local_part(range(settings.batch_size), accelerator)

    def step(number: int, shared: np.random.Generator) -> dict[str, torch.Tensor]:
        batch = draw_batch(settings, corpus, shared)
        views = batch_views(batch, own, corpus, template, options, accelerator.device)
        return training.backward(batch, own, views, seed=int(batch.seeds[0]))

    def batch_of(number: int) -> str:
        rows = draw_batch(settings, corpus, step_generator(settings.seed, number)).rows
        return f"corpus clips {sorted(rows.tolist())}"

    metrics = run_steps("encoder", training, step, settings, folder, fingerprint, accelerator, batch_of=batch_of)
    if accelerator.is_main_process:
        replace_folder(folder / WEIGHTS, training.objective.save_pretrained)
        write_metrics(folder, metrics | {"finished": True})
    accelerator.wait_for_everyone()
    return metrics
