"""Who moves: body, tempo, size of movement and habits of posture of one simulated person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SubjectStyle:
    """How one person moves: body, tempo, size of movement, asymmetry and habits of posture."""

    height: float
    tempo: float
    amplitude: float
    asymmetry: float
    impact: float
    arm_swing: float
    pelvis_pitch: float
    slouch: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> SubjectStyle:
        """Draw a person; height 1.48 to 2.0 m, walking cadence and impacts as wide as adults are."""
        return cls(
            height=float(np.clip(rng.normal(1.71, 0.09), 1.48, 2.0)),
            tempo=float(np.clip(np.exp(rng.normal(0, 0.12)), 0.7, 1.4)),
            amplitude=float(np.clip(np.exp(rng.normal(0, 0.16)), 0.6, 1.5)),
            asymmetry=float(rng.normal(0, 0.05)),
            impact=float(np.clip(np.exp(rng.normal(0, 0.45)), 0.35, 2.8)),
            arm_swing=float(np.clip(np.exp(rng.normal(0, 0.4)), 0.2, 2.2)),
            pelvis_pitch=float(rng.normal(0.02, 0.06)),
            slouch=float(rng.uniform(0.0, 0.6)),
        )


@dataclass(frozen=True)
class Range:
    """Numbers between `low` and `high`, all as likely."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """One number of the range."""
        return rng.uniform(self.low, self.high)
