"""Judges the simulated motion, not the model: a small supervised CNN learns it and is tried on real windows.

It takes minutes where a whole training run takes hours, so a change of the motion or of the sensors is tried here first.
Looks at HAPT (waist), WISDM and MobiFall (pocket) and ClassyGlass (head); the other real sets are for finished candidates.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from ..freed_memory import keep_freed_memory
from ..interruption import ending_in_words
from ..modeling.body_segments import resolve_placement
from ..modeling.imu_signal import resample
from ..recordings.catalogue import read_windows
from ..recordings.imu_recording import ImuRecording
from ..simulation.surface import load_template
from ..simulation.views import ViewOptions, sample_views
from ..training.corpus import MotionCorpus
from .metrics import recognition_scores

FRAMES = 300
MAPPED = 2**22  # bytes; a batch's terms are larger and go back to the system, or the heap grows by 25 MB a step
VIEWS = ViewOptions(soft_attachment=0.5, wobble=0.7, belt=0.6, pocket=0.7)
_WALKS = ("walking", "walking_slow", "walking_fast")
_SITS, _STAIRS = ("sitting", "slouching"), ("stairs_up", "stairs_down")
# dataset -> placement, and the simulated activities behind each of its labels; labels without any are not judged
TASKS: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "uci_hapt": (
        "waist",
        {
            "walk": _WALKS,
            "walk upstairs": ("stairs_up",),
            "walk downstairs": ("stairs_down",),
            "sit": _SITS,
            "stand": ("standing",),
            "lay": ("lying_back", "lying_side"),
        },
    ),
    "wisdm": (
        "right_pocket",
        {
            "walking": _WALKS,
            "jogging": ("jogging", "running"),
            "stairs": _STAIRS,
            "kicking ball": ("kicking",),
        },
    ),
    "mobifall": (
        "right_pocket",
        {
            "standing": ("standing",),
            "walking": _WALKS,
            "jogging": ("jogging", "running"),
            "jumping": ("jumping",),
            "walking upstairs": ("stairs_up",),
            "walking downstairs": ("stairs_down",),
            "sitting down on a chair": ("stand_to_sit",),
            "getting into a car": ("car_in",),
            "getting out of a car": ("car_out",),
        },
    ),
    "classyglass": (
        "head",
        {
            "sitting and reading a book": ("reading",),
            "sitting and writing in a notebook": ("writing",),
            "typing on a computer": ("typing",),
            "browsing on a computer": ("browsing",),
            "sitting and moving the head and body": ("looking_around",),
            "sitting and moving the chair": ("moving_on_a_chair",),
            "standing up from sitting": ("sit_to_stand",),
            "standing": ("standing",),
            "walking": _WALKS,
            "running": ("running", "jogging"),
            "taking the stairs": _STAIRS,
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


def fixed_length(window: ImuRecording) -> torch.Tensor:
    """The first sensor at 60 Hz, `(FRAMES, 6)`; a shorter window is repeated, forward and backward in turn."""
    signal = resample(next(iter(window.signals.values())), window.sampling_rate)
    while len(signal) < FRAMES:
        signal = np.concatenate([signal, signal[::-1]])
    return torch.from_numpy(np.ascontiguousarray(signal[:FRAMES])).float()


@dataclass(frozen=True)
class ProbeScores:
    """A probe's answers on the real windows of one set.

    Args:
        dataset: name of the set.
        accuracy, macro_f1: between 0 and 1.
        labels: that were judged.
        confusion: `(labels, labels)` counts; rows are the truth.
    """

    dataset: str
    accuracy: float
    macro_f1: float
    labels: list[str]
    confusion: np.ndarray

    def __str__(self) -> str:
        head = f"{self.dataset}: accuracy {100 * self.accuracy:.1f}, macro-F1 {100 * self.macro_f1:.1f}"
        return head + f" ({', '.join(self.labels)}; rows are the truth)\n{self.confusion}"


@torch.no_grad()
def judge(
    probe: Callable[[torch.Tensor, int], torch.Tensor],
    shares: Mapping[str, float],
    dataset: str,
    folder: str,
    placement: int,
    groups: Mapping[str, Sequence[str]],
) -> ProbeScores:
    """Scores on the real windows of a set.

    `probe` turns windows `(batch, FRAMES, 6)` of a segment into logits `(batch, activities)`.
    A label's score is the sum over its activities, over their share of the corpus (`shares`, in the order of the probe's
    classes): else a label with many activities would be likelier before anything is seen.
    """
    names = list(shares)
    labels = [label for label, activities in groups.items() if set(activities) & set(names)]
    windows = [window for window in read_windows(dataset, f"{folder}/{dataset}") if window.label in labels]
    truth = np.array([labels.index(window.label) for window in windows])
    stack = torch.stack([fixed_length(window) for window in windows])
    chances = torch.cat([probe(part, placement).softmax(-1) for part in stack.split(256)]).numpy()
    columns = [[names.index(name) for name in groups[label] if name in names] for label in labels]
    share = np.array(list(shares.values()))
    scores = np.stack([chances[:, column].sum(1) / share[column].sum() for column in columns], axis=1)
    result = recognition_scores(scores, truth)
    confusion = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(confusion, (truth, scores.argmax(1)), 1)
    return ProbeScores(dataset, result["accuracy"], result["macro_f1"], labels, confusion)


def activity_shares(corpus: MotionCorpus, names: Sequence[str]) -> dict[str, float]:
    """Of all clips of the corpus, by activity, in the order of `names`."""
    count = Counter(clip.activity for clip in corpus.clips)
    return {name: count[name] / sum(count.values()) for name in names}


def tasks_in(
    parser: argparse.ArgumentParser, data: str
) -> tuple[dict[str, tuple[str, dict[str, tuple[str, ...]]]], dict[str, int]]:
    """The tasks whose sets lie in `data`, and the segment of each; ends with 2 where there are none."""
    tasks = {name: task for name, task in TASKS.items() if (Path(data) / name).is_dir()}
    if not tasks:
        parser.error(f"--data {data} holds none of {', '.join(TASKS)}")
    return tasks, {name: resolve_placement(place) for name, (place, _) in tasks.items()}


@ending_in_words("motion_probe")
def main(words: list[str] | None = None) -> None:
    """Trains a probe and prints its scores on the sets that are found (`words`: arguments, or those of the process)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", required=True, help="corpus folder of training/make_corpus.py")
    parser.add_argument("--data", required=True, help=f"folder with any of {', '.join(TASKS)}")
    parser.add_argument("--steps", type=int, default=800, help="batches of 64 (default 800)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(words)
    tasks, placements = tasks_in(parser, arguments.data)
    keep_freed_memory(MAPPED)
    corpus = MotionCorpus(arguments.corpus)
    probe, names = train(corpus, sorted(set(placements.values())), arguments.steps, arguments.seed)
    shares = activity_shares(corpus, names)
    for name, (_, groups) in tasks.items():
        print(judge(probe, shares, name, arguments.data, placements[name], groups), flush=True)
