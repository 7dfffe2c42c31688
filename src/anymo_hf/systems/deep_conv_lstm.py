"""DeepConvLSTM (Ordóñez and Roggen, Sensors 2016) with the recipe of AnyMo Bench (paper, appendix B)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from ..recordings.imu_recording import ImuRecording
from .interface import System
from .published_weights import default_device, device_of
from .trained_windows import check_placements, denormals_as_zero, placements_of, scores_of_labels, side_by_side


@dataclass(frozen=True)
class DeepConvLSTMSettings:
    """How it is trained; the default is done in minutes on two cores, `BENCH` is the paper's Bench.

    Args:
        samples: of a piece, at 60 Hz; a longer window is cut in such pieces, its tail is dropped.
        epochs: passes through the training windows (paper: 100).
        presentations: pieces shown in training, the same one each epoch anew, in whole epochs, at least one; None: all
            `epochs`.
        batch_size, learning_rate: of Adam.
        dropout: before both LSTM layers' outputs are read.
        last_step: the step that is read: "padded", the last one, or "valid", the last that saw a real sample. Of a
            window shorter than a piece the padded end tells nothing.
    """

    samples: int = 300
    epochs: int = 100
    presentations: int | None = 10_000
    batch_size: int = 32
    learning_rate: float = 1e-3
    dropout: float = 0.5
    last_step: str = "valid"

    def __post_init__(self) -> None:
        if self.last_step not in ("valid", "padded"):
            raise ValueError(f"last_step must be 'valid' or 'padded', got {self.last_step!r}")


BENCH = DeepConvLSTMSettings(presentations=None, batch_size=256, last_step="padded")


class DeepConvLSTMNetwork(nn.Module):
    """Four convolutions along time, shared by the channels, and two LSTM layers.

    Args:
        channels: of the input; classes: of the output.
    """

    def __init__(self, channels: int, classes: int, dropout: float = 0.5):
        super().__init__()
        self.conv = nn.ModuleList(nn.Conv2d(1 if layer == 0 else 64, 64, (5, 1)) for layer in range(4))
        self.lstm = nn.LSTM(64 * channels, 128, 2, batch_first=True, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(128, classes)

    def forward(self, x: torch.Tensor, last: torch.Tensor | None = None) -> torch.Tensor:
        """Logits `(batch, classes)`.

        Args:
            x: `(batch, time, channels)`, 17 samples or more.
            last: `(batch,)` index of the last real sample; None for the last one.
        """
        maps = x[:, None]
        for layer in self.conv:
            maps = torch.relu(layer(maps))
        steps = self.lstm(maps.permute(0, 2, 1, 3).flatten(2))[0]  # (batch, time - 16, 128)
        count = steps.shape[1]
        if last is None:
            return self.head(self.dropout(steps[:, -1]))
        return self.head(self.dropout(steps[torch.arange(len(x), device=x.device), (last - 16).clamp(0, count - 1)]))


class DeepConvLSTM(System):
    """Trained from scratch on 60 Hz; scores are log-probabilities, averaged over the pieces of a window.

    Channels are scaled by mean and deviation of training, then zeros fill a piece.
    """

    name, title, requires, licence = "deep_conv_lstm", "DeepConvLSTM, in minutes", "training", "Apache-2.0"
    takes_source = False
    rate = 60.0

    def __init__(self, settings: DeepConvLSTMSettings | None = None, seed: int = 0):
        self.settings, self.seed = settings or DeepConvLSTMSettings(), seed
        self.placements: tuple[str, ...] = ()
        self.epochs = 0

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> DeepConvLSTM:
        """There is nothing to find."""
        return cls(seed=seed)

    def fit(
        self, recordings: Sequence[ImuRecording], labels: Sequence[str], groups: Sequence[str] | None = None
    ) -> None:
        """As `System.fit`; nobody is held out, the last epoch is kept."""
        self.check_training(recordings, labels, groups)
        placements = placements_of(recordings)
        signals = side_by_side(recordings, placements, self.rate)
        everything = np.concatenate(signals)
        self.mean, self.deviation = everything.mean(0), np.maximum(everything.std(0), 1e-6)
        self.classes = sorted(set(map(str, labels)))
        pieces, last, owners = self._pieces(signals)
        truth = torch.tensor([self.classes.index(str(labels[owner])) for owner in owners])
        settings = self.settings
        epochs = settings.epochs
        if settings.presentations is not None:
            epochs = min(epochs, max(1, settings.presentations // len(pieces)))
        shuffle = torch.Generator().manual_seed(self.seed)
        with torch.random.fork_rng(devices=[]), denormals_as_zero():
            torch.manual_seed(self.seed)
            network = DeepConvLSTMNetwork(pieces.shape[2], len(self.classes), settings.dropout).to(default_device())
            pieces, last, truth = (part.to(default_device()) for part in (pieces, last, truth))
            optimiser = torch.optim.Adam(network.parameters(), settings.learning_rate)
            for _ in tqdm(range(epochs), self.title, unit="epoch", delay=1, leave=False, disable=None):
                for rows in torch.randperm(len(pieces), generator=shuffle).split(settings.batch_size):
                    loss = nn.functional.cross_entropy(network(pieces[rows], self._step(last[rows])), truth[rows])
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
        self.network, self.placements, self.epochs = network.eval(), placements, epochs

    @torch.inference_mode()
    def score(self, recordings: Sequence[ImuRecording], labels: Sequence[str]) -> np.ndarray:
        """As `System.score`.

        Raises:
            ValueError: also where a window has a placement that training did not have.
        """
        self.check(recordings)
        check_placements(self.title, self.placements, recordings)
        pieces, last, owners = self._pieces(side_by_side(recordings, self.placements, self.rate))
        device = device_of(self.network)
        parts = zip(pieces.split(64), last.split(64), strict=True)
        found = [self.network(part.to(device), self._step(end.to(device))) for part, end in parts]
        logits = torch.cat(found).cpu()
        sums = torch.zeros(len(recordings), len(self.classes)).index_add_(0, torch.from_numpy(owners), logits)
        means = sums / torch.from_numpy(np.bincount(owners, minlength=len(recordings)))[:, None]
        return scores_of_labels(means.log_softmax(1).numpy(), self.classes, labels, unseen=-1e3)

    def report(self) -> dict[str, Any]:
        """How often it saw each window of training."""
        return {"epochs": self.epochs}

    def _step(self, last: torch.Tensor) -> torch.Tensor | None:
        return last if self.settings.last_step == "valid" else None

    def _pieces(self, signals: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
        """Scaled pieces `(m, samples, channels)`, index of the last real sample of each, and whose window it is."""
        size, pieces, last, owners = self.settings.samples, [], [], []
        for owner, signal in enumerate(signals):
            scaled = (signal - self.mean) / self.deviation
            for start in range(0, max(1, len(scaled) // size) * size, size):
                part = scaled[start : start + size]
                pieces.append(np.pad(part, ((0, size - len(part)), (0, 0))))
                last.append(len(part) - 1)
                owners.append(owner)
        if self.settings.last_step == "valid":  # what comes after the last real sample is never read
            pieces = [piece[: max(16, *last) + 1] for piece in pieces]
        return torch.tensor(np.array(pieces), dtype=torch.float32), torch.tensor(last), np.array(owners)


class DeepConvLSTMBench(DeepConvLSTM):
    """DeepConvLSTM with all the epochs of the paper's Bench, for a GPU."""

    name, title, wants_gpu = "deep_conv_lstm_bench", "DeepConvLSTM", True

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> DeepConvLSTMBench:
        """There is nothing to find."""
        return cls(BENCH, seed)
