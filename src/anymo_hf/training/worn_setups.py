"""Which segments carry a sensor in a training view: setups people wear, single ones first, or any 1 to 5."""

from __future__ import annotations

import numpy as np
import torch

from ..modeling.body_segments import SEGMENT_INDEX, SEGMENTS

# segment -> how often a lone sensor sits there: watch, phone in a pocket, belt, chest strap, earbuds and glasses, shoe
_SINGLE = {
    "L_Forearm": 4, "R_Forearm": 4, "L_Hand": 2, "R_Hand": 2, "L_UpperLeg": 4, "R_UpperLeg": 4, "Pelvis": 3, "L5": 4,
    "L3": 1, "T8": 3, "Head": 2, "L_Foot": 1, "R_Foot": 1, "L_UpperArm": 2, "R_UpperArm": 2, "L_LowerLeg": 1,
    "R_LowerLeg": 1,
}  # fmt: skip
_PAIRED = ("Forearm", "UpperArm", "UpperLeg", "LowerLeg", "Foot", "Hand")
_SINGLE_SHARE, _PAIR_SHARE = 0.65, 0.15
MOST_SENSORS = 5


def draw_setup(rng: np.random.Generator) -> list[int]:
    """Sorted segment indices of a setup: one worn sensor (65 %), a left/right pair (15 %), else 1 to 5 segments."""
    kind = rng.random()
    if kind < _SINGLE_SHARE:
        weights = np.array(list(_SINGLE.values()), dtype=float)
        return [SEGMENT_INDEX[str(rng.choice(list(_SINGLE), p=weights / weights.sum()))]]
    if kind < _SINGLE_SHARE + _PAIR_SHARE:
        bone = str(rng.choice(_PAIRED))
        return sorted(SEGMENT_INDEX[f"{side}_{bone}"] for side in "LR")
    count = int(rng.integers(1, MOST_SENSORS + 1))
    return sorted(int(index) for index in rng.choice(len(SEGMENTS), count, replace=False))


def draw_segments(rng: np.random.Generator, count: int) -> list[int]:
    """Indices of different segments, each as likely as a lone sensor sits there; `count` of them, at most all 17."""
    weights = np.array(list(_SINGLE.values()), dtype=float)
    chosen = rng.choice(list(_SINGLE), min(count, len(_SINGLE)), replace=False, p=weights / weights.sum())
    return [SEGMENT_INDEX[str(name)] for name in chosen]


def visible_masks(rng: np.random.Generator, batch: int, worn_share: float) -> torch.Tensor:
    """`(batch, 23)` bool: rows of `draw_setup` with chance `worn_share`, else any 1 to 5 segments (paper §3.2)."""
    mask = torch.zeros(batch, len(SEGMENTS), dtype=torch.bool)
    for row in range(batch):
        if rng.random() < worn_share:
            mask[row, draw_setup(rng)] = True
        else:
            count = int(rng.integers(1, MOST_SENSORS + 1))
            mask[row, torch.from_numpy(rng.choice(len(SEGMENTS), count, replace=False))] = True
    return mask
