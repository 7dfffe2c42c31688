"""MiniRocket features (Dempster, Schmidt and Webb, KDD 2021) of several channels, and a ridge classifier on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

from ..recordings.imu_recording import ImuRecording
from .interface import System
from .trained_windows import check_placements, placements_of, scores_of_labels, side_by_side

LENGTH = 9  # of a kernel: six weights are -1 and three are 2
PAIRS = np.array(list(combinations(range(LENGTH), 3)))  # (84, 3), where a kernel's weights are 2
FEATURES = 10_000
MOST_DILATIONS = 32
RIDGE_STRENGTHS = tuple(np.logspace(-3, 3, 10))
_BATCH = 64


@dataclass(frozen=True)
class Kernels:
    """Fitted kernels: for each dilation the weights `(84, channels, 9)` and biases `(84, k)`."""

    dilations: tuple[int, ...]
    weights: tuple[torch.Tensor, ...]
    biases: tuple[torch.Tensor, ...]

    @property
    def features(self) -> int:
        """How many features a window gets."""
        return sum(bias.numel() for bias in self.biases)


def fit_kernels(windows: np.ndarray, seed: int = 0, features: int = FEATURES) -> Kernels:
    """Dilations by the length, channels of each kernel by chance, biases from quantiles of training windows.

    Args:
        windows: `(n, channels, T)`, `T` at least 9.
        features: at most so many, in steps of 84.

    Raises:
        ValueError: under nine samples.
    """
    count, channels, samples = windows.shape
    if samples < LENGTH:
        raise ValueError(f"MiniRocket needs {LENGTH} samples, got windows of {samples}")
    rng = np.random.default_rng(seed)
    each = max(1, features // len(PAIRS))  # features of a kernel over all dilations
    exponents = np.linspace(0, np.log2((samples - 1) / (LENGTH - 1)), min(each, MOST_DILATIONS))
    dilations, shares = np.unique((2**exponents).astype(int), return_counts=True)
    amounts = shares * each // shares.sum()
    amounts[: each - amounts.sum()] += 1
    # low-discrepancy quantiles, so that features of a kernel spread evenly
    quantiles = (np.arange(1, each * len(PAIRS) + 1) * (np.sqrt(5) + 1) / 2) % 1
    weights, biases, used = [], [], 0
    for dilation, amount in zip(dilations, amounts, strict=True):
        kernels = np.zeros((len(PAIRS), channels, LENGTH), dtype=np.float32)
        for row, places in enumerate(PAIRS):
            most = min(channels, LENGTH)
            chosen = rng.choice(channels, int(2 ** rng.uniform(0, np.log2(most + 1))), replace=False)
            kernels[row, chosen] = -1
            kernels[row][np.ix_(chosen, places)] = 2
        kernel = torch.from_numpy(kernels)
        found = np.empty((len(PAIRS), amount), dtype=np.float32)
        shown = rng.integers(count, size=len(PAIRS))
        for row in range(len(PAIRS)):
            example = torch.from_numpy(windows[shown[row] : shown[row] + 1].astype(np.float32))
            output = _convolve(example, kernel[row : row + 1], int(dilation))[0, 0].numpy()
            found[row] = np.quantile(output, quantiles[used : used + amount])
            used += amount
        weights.append(kernel)
        biases.append(torch.from_numpy(found))
    return Kernels(tuple(int(dilation) for dilation in dilations), tuple(weights), tuple(biases))


def _convolve(windows: torch.Tensor, kernels: torch.Tensor, dilation: int) -> torch.Tensor:
    return torch.nn.functional.conv1d(windows, kernels, padding=dilation * (LENGTH // 2), dilation=dilation)


@torch.inference_mode()
def transform(windows: np.ndarray, kernels: Kernels) -> np.ndarray:
    """Features `(n, kernels.features)`: the share of samples above each bias; every other kernel leaves padded ends out.

    Args:
        windows: `(n, channels, T)`, as long as those of `fit_kernels`.
    """
    parts = []
    for start in range(0, len(windows), _BATCH):
        batch = torch.from_numpy(windows[start : start + _BATCH].astype(np.float32))
        found = []
        for number, dilation in enumerate(kernels.dilations):
            output = _convolve(batch, kernels.weights[number], dilation)
            edge = dilation * (LENGTH // 2)
            shares = torch.empty(len(batch), *kernels.biases[number].shape)
            for parity in (0, 1):
                rows = slice((number + parity) % 2, None, 2)
                inside = output[:, rows] if not parity else output[:, rows, edge : output.shape[2] - edge]
                for column in range(shares.shape[2]):
                    above = inside > kernels.biases[number][rows, column, None]
                    shares[:, rows, column] = above.float().mean(2)
            found.append(shares.flatten(1))
        parts.append(torch.cat(found, 1).numpy())
    return np.concatenate(parts)


class MiniRocket(System):
    """10,000 features and a ridge classifier; scores are its decision values, -1000 for a label never seen.

    Windows come to 60 Hz. They are as long as the longest of training: a shorter one is held at its last sample, a longer
    one is cut.
    """

    name, title, requires, licence = "minirocket", "MiniRocket + ridge", "training", "Apache-2.0"
    takes_source = False
    rate, fewest_labels = 60.0, 2

    def __init__(self, seed: int = 0):
        self.seed = seed
        self.placements: tuple[str, ...] = ()
        self.samples = 0

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> MiniRocket:
        """There is nothing to find."""
        return cls(seed)

    def fit(
        self, recordings: Sequence[ImuRecording], labels: Sequence[str], groups: Sequence[str] | None = None
    ) -> None:
        """As `System.fit`; the ridge's strength is chosen by leave-one-out errors."""
        from sklearn.linear_model import RidgeClassifierCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self.check_training(recordings, labels, groups)
        placements = placements_of(recordings)
        signals = side_by_side(recordings, placements, self.rate)
        self.samples = max(map(len, signals))
        windows = self._fill(signals)
        self.kernels = fit_kernels(windows, self.seed)
        self.ridge = make_pipeline(StandardScaler(), RidgeClassifierCV(RIDGE_STRENGTHS))
        self.ridge.fit(transform(windows, self.kernels), np.array(labels))
        self.placements = placements

    def score(self, recordings: Sequence[ImuRecording], labels: Sequence[str]) -> np.ndarray:
        """As `System.score`.

        Raises:
            ValueError: also where a window has a placement that training did not have.
        """
        self.check(recordings)
        check_placements(self.title, self.placements, recordings)
        windows = self._fill(side_by_side(recordings, self.placements, self.rate))
        found = self.ridge.decision_function(transform(windows, self.kernels))
        if found.ndim == 1:  # two classes
            found = np.stack([-found, found], 1)
        return scores_of_labels(found, self.ridge.classes_, labels, unseen=-1e3)

    def _fill(self, signals: Sequence[np.ndarray]) -> np.ndarray:
        """`(n, channels, samples)`."""
        last = [np.minimum(np.arange(self.samples), len(signal) - 1) for signal in signals]
        return np.stack([signal[rows].T for signal, rows in zip(signals, last, strict=True)])
