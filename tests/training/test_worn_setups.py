"""Setups of training views: how many sensors, and how often where."""

import numpy as np
import pytest
import torch

from anymo_hf.modeling.body_segments import SEGMENT_INDEX, SEGMENTS
from anymo_hf.training import worn_setups
from anymo_hf.training.worn_setups import MOST_SENSORS, draw_setup, visible_masks

DRAWS = 4000


def test_setups_are_sorted_distinct_and_small():
    rng = np.random.default_rng(0)
    for _ in range(500):
        setup = draw_setup(rng)
        assert setup == sorted(set(setup)) and 1 <= len(setup) <= MOST_SENSORS
        assert all(0 <= index < len(SEGMENTS) for index in setup)


def test_frequencies_of_setups():
    rng = np.random.default_rng(1)
    setups = [tuple(draw_setup(rng)) for _ in range(DRAWS)]
    pairs = {
        tuple(sorted(SEGMENT_INDEX[f"{side}_{bone}"] for side in "LR"))
        for bone in ("Forearm", "UpperArm", "UpperLeg", "LowerLeg", "Foot", "Hand")
    }
    single, pair, anything = worn_setups._SINGLE_SHARE, worn_setups._PAIR_SHARE, 1.0
    anything -= single + pair
    # any 1 to 5 segments: a fifth of those draws is a single one, too
    bound = 4 * np.sqrt(0.25 / DRAWS)
    assert np.mean([len(setup) == 1 for setup in setups]) == pytest.approx(single + anything / 5, abs=bound)
    assert np.mean([setup in pairs for setup in setups]) == pytest.approx(pair, abs=bound)
    for count in (3, 4, 5):
        assert np.mean([len(setup) == count for setup in setups]) == pytest.approx(anything / 5, abs=bound)
    # a lone watch or phone is commoner than a lone shoe sensor, and sides are alike
    lone = {SEGMENTS[index]: np.mean([setup == (index,) for setup in setups]) for index in range(len(SEGMENTS))}
    total = sum(worn_setups._SINGLE.values())
    for name, weight in worn_setups._SINGLE.items():
        expected = single * weight / total + anything / 5 / len(SEGMENTS)
        assert lone[name] == pytest.approx(expected, abs=4 * np.sqrt(expected / DRAWS))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_masks_show_one_to_five_segments(share):
    mask = visible_masks(np.random.default_rng(2), 300, share)
    assert mask.shape == (300, 23) and mask.dtype == torch.bool
    counts = mask.sum(1)
    assert counts.min() == 1 and counts.max() == MOST_SENSORS
    if share == 0:  # 1 to 5, all alike
        shares = torch.bincount(counts, minlength=6)[1:] / 300
        assert (shares - 0.2).abs().max() < 4 * np.sqrt(0.16 / 300)
        assert mask.any(0).all()


def test_same_seed_same_masks():
    first, again, other = (visible_masks(np.random.default_rng(seed), 20, 0.5) for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)
