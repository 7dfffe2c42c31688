"""IMUGPT's features of virtual accelerometers: 2 s at 20 Hz, order statistics of each channel (ECDF) and its mean."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ..modeling.body_segments import SEGMENTS
from ..modeling.imu_signal import resample

RATE, SECONDS = 20.0, 2.0
PIECE = 120  # frames at 60 Hz
QUANTILES = 15
FEATURES = 3 * (QUANTILES + 1)  # of one accelerometer


def window_features(signals: np.ndarray) -> np.ndarray:
    """`(batch, 120, places, 6)` at 60 Hz -> `(batch, places, 48)`: of each acceleration 15 quantiles and the mean."""
    slow = resample(np.moveaxis(signals[..., :3], 1, 0), 60.0, RATE)  # (40, batch, places, 3)
    found = np.quantile(slow, np.linspace(0, 1, QUANTILES), axis=0)
    features = np.concatenate([found, slow.mean(0, keepdims=True)])
    return np.moveaxis(features, 0, -1).reshape(*slow.shape[1:3], FEATURES)


class VirtualBank(nn.Module):
    """Simulated windows of the corpus as features of every segment, and the sentence vector of each window's text.

    Args:
        windows: how many; dim: of the sentence vectors.
    """

    features: torch.Tensor
    vectors: torch.Tensor

    def __init__(self, windows: int, dim: int = 384):
        super().__init__()
        self.register_buffer("features", torch.zeros(windows, len(SEGMENTS), FEATURES, dtype=torch.float16))
        self.register_buffer("vectors", torch.zeros(windows, dim, dtype=torch.float16))
