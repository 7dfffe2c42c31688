"""After stage 1: a branch of plain convolutions beside the graph encoder, told apart by activities' words; not in the paper.

The graph stays as it is. A step simulates a few single sensors on many windows, and the mean and the maximum over time of
what the branch says of each of them are compared with a sentence vector of every activity (training/EXPERIMENTS.md).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from ...modeling.body_segments import SEGMENTS
from ...modeling.configuration_anymo import AnyMoSTGCNConfig
from ...modeling.modeling_stgcn import AnyMoSTGCNModel
from ...simulation.surface import load_template
from ...simulation.views import sample_views
from ..activity_words import ActivityContrast, ActivityWords
from ..checkpoints import MODEL_FILES, file_hash, finished_metrics, replace_folder, same_shape, write_metrics
from ..corpus import MotionCorpus
from ..processes import local_part
from ..settings import SignalSettings, check_views
from ..synchronized_norm import synchronize_norms
from ..training_loop import run_steps
from ..worn_setups import draw_segments
from .encoder import VIEW_ROWS, WEIGHTS, EncoderBatch, batch_views

_MEASURED = 256  # windows on which the spread of both kinds of latents is measured


def train_signal(settings: SignalSettings, root: str | Path, accelerator: Accelerator) -> dict:
    """Reads `root/corpus` and `root/encoder`, or the encoder `start_from`; writes `root/signal`: model/, the encoder with
    its branch, and metrics.json.

    Raises:
        OSError: no corpus, or no trained encoder.
        ValueError: the encoder has a branch already or another shape than the preset, windows are longer than the corpus's
            clips, or fewer than two activities are named.
    """
    settings, root = settings.for_processes(accelerator.num_processes), Path(root)
    corpus, folder = MotionCorpus(root / "corpus"), root / "signal"
    source = Path(settings.start_from) if settings.start_from else root / "encoder" / WEIGHTS
    if not (source / "model.safetensors").is_file():
        raise OSError(f"no trained encoder in {source}; run training/pretrain_encoder.py first")
    fingerprint = settings.fingerprint(corpus.identity() + file_hash(source / "model.safetensors"))
    if done := finished_metrics(folder, fingerprint, *(folder / WEIGHTS / name for name in MODEL_FILES)):
        return done
    if max(settings.frames) > corpus.frames:
        raise ValueError(
            f"frames asks for windows of {max(settings.frames)}, the corpus holds clips of {corpus.frames}"
        )
    torch.manual_seed(settings.seed)
    training = SignalTraining(settings, corpus, source, folder, accelerator).to(accelerator.device)
    if accelerator.num_processes > 1:
        synchronize_norms(training)

    def step(number: int, shared: np.random.Generator) -> dict[str, torch.Tensor]:
        losses = training.losses(shared)
        accelerator.backward(losses.sum())
        return {"loss": losses.detach().mean()}

    metrics = run_steps("signal", training, step, settings, folder, fingerprint, accelerator)
    training.match_spread()
    if accelerator.is_main_process:
        plain = AnyMoSTGCNModel(training.encoder.config)
        plain.load_state_dict(training.encoder.state_dict())
        replace_folder(folder / WEIGHTS, plain.save_pretrained)
        write_metrics(folder, metrics | {"finished": True})
    accelerator.wait_for_everyone()
    return metrics


class SignalTraining(nn.Module):
    """The branch and its head on sentence vectors; all else is frozen.

    Args:
        settings: of this stage.
        corpus: whose named activities are learned.
        source: folder of the trained encoder.
        cache: folder for the sentence vectors.
        accelerator: of this run.

    Raises:
        ValueError: as `train_signal`.
    """

    def __init__(
        self, settings: SignalSettings, corpus: MotionCorpus, source: Path, cache: Path, accelerator: Accelerator
    ):
        super().__init__()
        graph = AnyMoSTGCNModel.from_pretrained(source)
        same_shape(graph, AnyMoSTGCNConfig.from_preset(settings.preset, graph=graph.config.graph), str(source))
        config = AnyMoSTGCNConfig.from_dict(
            graph.config.to_dict() | {"signal_channels": settings.channels, "signal_members": settings.members}
        )
        self.encoder = AnyMoSTGCNModel(config)
        lacking, unknown = self.encoder.load_state_dict(graph.state_dict(), strict=False)
        assert not unknown and all(name.startswith("signal_branch.") for name in lacking)
        self.encoder.eval().requires_grad_(False)
        assert self.encoder.signal_branch is not None
        self.branch = self.encoder.signal_branch.train().requires_grad_(True)
        self.settings, self.corpus, self.accelerator = settings, corpus, accelerator
        self.words = ActivityWords(corpus.clips, settings.broader_activities)
        self.rows = np.flatnonzero(self.words.activity >= 0)
        self.of_activity = [np.flatnonzero(self.words.activity == number) for number in range(len(self.words.names))]
        width = settings.channels[-1]
        self.contrasts = nn.ModuleList(
            ActivityContrast(self.words, width, settings.temperature, cache, accelerator) for _ in self.branch.members
        )
        self.template, self.options = load_template(), check_views(settings.views)

    def draw_clips(self, rng: np.random.Generator) -> np.ndarray:
        """`(batch,)` clips with an activity: the share `even_share` of batches takes every activity equally often."""
        size = self.settings.batch_size
        if rng.random() >= self.settings.even_share:
            return rng.choice(self.rows, size)
        return np.array([rng.choice(self.of_activity[n]) for n in rng.integers(len(self.of_activity), size=size)])

    def views(self, clips: np.ndarray, segments: list[int], rng: np.random.Generator) -> torch.Tensor:
        """Signals `(own, frames, len(segments), 6)` of this process's windows, the same whoever makes them."""
        settings, device = self.settings, self.encoder.device
        frames = int(rng.choice(settings.frames))
        starts = rng.integers(0, self.corpus.frames - frames + 1, len(clips))
        height = float(rng.uniform(*settings.height_range))
        seeds = rng.integers(2**62, size=-(-len(clips) // VIEW_ROWS))
        worn = torch.zeros(1, len(clips), len(SEGMENTS), dtype=torch.bool)
        worn[:, :, segments] = True
        batch = EncoderBatch(frames, clips, starts, height, seeds, worn)
        own = local_part(range(len(clips)), self.accelerator)
        return batch_views(batch, own, self.corpus, self.template, self.options, device, segments)[0]

    def losses(self, rng: np.random.Generator) -> torch.Tensor:
        """Cross-entropies `(members,)` against a phrase of every activity, of single sensors and of pairs of them."""
        clips, segments = self.draw_clips(rng), draw_segments(rng, self.settings.sensors)
        views = self.views(clips, segments, rng)
        own = np.asarray(local_part(clips, self.accelerator))
        drawn = rng.bit_generator.state
        losses = []
        with self.accelerator.autocast():
            worn = torch.tensor(segments, device=views.device).repeat_interleave(len(own))
            for member, contrast in zip(self.branch.members, self.contrasts, strict=True):
                states = member.states(views.permute(2, 0, 1, 3).flatten(0, 1), worn, None)
                states = states.unflatten(0, (len(segments), len(own)))
                half = len(segments) // 2
                pairs = (states[:half] + states[half : 2 * half]) / 2
                states = torch.cat([states, pairs])
                rng.bit_generator.state = drawn  # every member learns from the same phrases
                losses.append(contrast(states.flatten(0, 1).mT, None, np.tile(own, len(states)), rng))
        return torch.stack(losses)

    @torch.no_grad()
    def match_spread(self) -> None:
        """Scales the branch's last layer so that its latents spread as widely as the graph's, for stage 2 to see both."""
        self.eval()
        rng = np.random.default_rng(self.settings.seed)
        clips = rng.choice(self.rows, min(_MEASURED, len(self.rows)), replace=len(self.rows) < _MEASURED)
        frames = min(self.settings.frames)
        terms = self.corpus.read(clips, np.zeros(len(clips), np.int64), frames).to(self.encoder.device)
        generator = torch.Generator(self.encoder.device).manual_seed(self.settings.seed)
        signals = sample_views(terms, self.template, generator, self.options)
        worn = torch.zeros(signals.shape[0], signals.shape[2], dtype=torch.bool, device=signals.device)
        for row in range(len(worn)):
            worn[row, draw_segments(rng, 1)] = True
        latents = self.encoder(signals, worn).last_hidden_state.flatten(0, 1)
        graph, *parts = latents.split(
            [self.encoder.config.channels[-1], *[self.settings.channels[-1]] * len(self.contrasts)], 1
        )
        for member, part in zip(self.branch.members, parts, strict=True):
            norm = member.norms[-1]
            scale = graph.std(0).mean() / part.std(0).mean().clamp_min(1e-6)
            norm.weight.mul_(scale)  # a ReLU follows, so scaling both scales what it gives
            norm.bias.mul_(scale)
