"""Judges the simulated motion, not the model: a small supervised CNN learns it and is tried on real windows.

It takes minutes where a whole training run takes hours, so a change of the motion or of the sensors is tried here first.
Looks at HAPT (waist) and WISDM (pocket) only; the other real sets are for finished candidates.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from ..modeling.body_segments import resolve_placement
from ..modeling.imu_signal import resample
from ..recordings.catalogue import DATASETS, read_windows
from ..simulation.surface import load_template
from ..simulation.views import ViewOptions, sample_views
from ..training.corpus import MotionCorpus
from .metrics import recognition_scores

FRAMES = 300
VIEWS = ViewOptions(soft_attachment=0.5, wobble=0.7, belt=0.6, pocket=0.7)
# dataset -> placement, and the simulated activities behind each of its labels
TASKS: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "uci_hapt": (
        "waist",
        {
            "walk": ("walking", "walking_slow", "walking_fast"),
            "walk upstairs": ("stairs_up",),
            "walk downstairs": ("stairs_down",),
            "sit": ("sitting", "slouching"),
            "stand": ("standing",),
            "lay": ("lying_back", "lying_side"),
        },
    ),
    "wisdm": (
        "right_pocket",
        {
            "walking": ("walking", "walking_slow", "walking_fast"),
            "jogging": ("jogging", "running"),
            "stairs": ("stairs_up", "stairs_down"),
            "kicking ball": ("kicking",),
        },
    ),
}


class Probe(nn.Module):
    """Four convolutions over time, mean and maximum, one linear head per placement."""

    def __init__(self, placements: Sequence[int], classes: int):
        super().__init__()
        widths, layers = (6, 32, 64, 96, 96), []
        for before, after, stride in zip(widths, widths[1:], (2, 2, 2, 1), strict=False):
            layers += [nn.Conv1d(before, after, 9, stride, 4), nn.BatchNorm1d(after), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.heads = nn.ModuleDict({str(place): nn.Linear(2 * widths[-1], classes) for place in placements})

    def forward(self, signals: torch.Tensor, placement: int) -> torch.Tensor:
        """`(batch, frames, 6)` m/s^2 and rad/s to `(batch, classes)`."""
        scale = signals.new_tensor([0.1, 0.1, 0.1, 0.5, 0.5, 0.5])
        hidden = self.trunk((signals * scale).transpose(1, 2))
        return self.heads[str(placement)](torch.cat([hidden.mean(-1), hidden.amax(-1)], -1))


def train(corpus: MotionCorpus, placements: Sequence[int], steps: int, seed: int) -> tuple[Probe, list[str]]:
    """A probe of the corpus's activities on these segments."""
    torch.manual_seed(seed)
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    rows = np.array([row for row, clip in enumerate(corpus.clips) if clip.activity])
    names = sorted({corpus.clips[row].activity for row in rows})
    target = torch.tensor([names.index(clip.activity) if clip.activity else -1 for clip in corpus.clips])
    probe, template = Probe(placements, len(names)), load_template()
    optimizer = torch.optim.AdamW(probe.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in tqdm(range(steps), desc="probe"):
        chosen = rng.choice(rows, 64)
        terms = corpus.read(chosen, rng.integers(0, corpus.frames - FRAMES + 1, 64), FRAMES)
        body = template.scaled(float(rng.uniform(1.5, 1.95)))
        signals = sample_views(terms, body, generator, VIEWS, placements)
        losses = [F.cross_entropy(probe(signals[:, :, i], p), target[chosen]) for i, p in enumerate(placements)]
        torch.stack(losses).mean().backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return probe.eval(), names


@torch.no_grad()
def judge(
    probe: Probe, names: Sequence[str], dataset: str, folder: str, placement: int, groups: Mapping[str, Sequence[str]]
) -> str:
    """One line of scores and the confusion matrix; a label's score is the sum over its activities."""
    windows = list(read_windows(dataset, f"{folder}/{dataset}"))
    labels = list(DATASETS[dataset].labels)
    truth = np.array([labels.index(window.label) for window in windows])
    signals = []
    for window in windows:
        signals.append(resample(next(iter(window.signals.values())), window.sampling_rate)[:FRAMES])
    stack = torch.tensor(np.stack(signals), dtype=torch.float32)
    chances = torch.cat([probe(part, placement).softmax(-1) for part in stack.split(256)]).numpy()
    columns = [[names.index(name) for name in groups[label] if name in names] for label in labels]
    scores = np.stack([chances[:, column].sum(1) for column in columns], axis=1)
    result = recognition_scores(scores, truth)
    confusion = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(confusion, (truth, scores.argmax(1)), 1)
    head = f"{dataset}: accuracy {100 * result['accuracy']:.1f}, macro-F1 {100 * result['macro_f1']:.1f}"
    return head + f" ({', '.join(labels)}; rows are the truth)\n{confusion}"


def main() -> None:
    """Trains a probe and prints its scores on what is found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", required=True, help="corpus folder of training/make_corpus.py")
    parser.add_argument("--data", required=True, help="folder with uci_hapt/ and wisdm/")
    parser.add_argument("--steps", type=int, default=800, help="batches of 64 (default 800)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    placements = {name: resolve_placement(place) for name, (place, _) in TASKS.items()}
    probe, names = train(
        MotionCorpus(arguments.corpus), sorted(set(placements.values())), arguments.steps, arguments.seed
    )
    for name, (_, groups) in TASKS.items():
        print(judge(probe, names, name, arguments.data, placements[name], groups), flush=True)


if __name__ == "__main__":
    main()
