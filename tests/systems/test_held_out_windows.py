"""Held-out windows: simulated people whom training never draws, evenly over activities, the same at every call."""

from collections import Counter

import numpy as np
import pytest

from anymo_hf.motion.procedural import ACTIVITIES, HELD_OUT_SEED, simulate_activity
from anymo_hf.systems import held_out_windows

FEW = ("squats", "standing", "walking")


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(held_out_windows, "ACTIVITIES", {name: ACTIVITIES[name] for name in FEW})


def test_held_out_windows_are_balanced_distinct_and_unseen(tiny_parts, few, monkeypatch):
    drawn = []

    def spy(name, seed, *rest):
        drawn.append((name, seed))
        return simulate_activity(name, seed, *rest)

    monkeypatch.setattr(held_out_windows, "simulate_activity", spy)
    found = held_out_windows.held_out_windows(tiny_parts[1], 8)
    codes, worn, texts = found.codes, found.placements, found.texts
    assert min(seed for _, seed in drawn) >= HELD_OUT_SEED and len(set(drawn)) == len(drawn)
    made = {simulate_activity(name, seed, 5.0).narrations[0].text: name for name, seed in drawn}
    assert len(set(texts)) == 8
    said = {
        (motion.narrations[0].text, motion.narrations[1].text)
        for motion in (simulate_activity(*one, 5.0) for one in drawn)
    }
    pairs = list(zip(texts, found.other_texts, strict=True))
    assert set(pairs) <= said and all(first != other for first, other in pairs)
    assert sorted(Counter(made[text] for text in texts).values()) == [2, 3, 3]
    assert len({made[text] for text in texts[:3]}) == 3
    assert all(row.shape == (2 * 75,) for row in codes) and all(1 <= len(set(row)) <= 5 for row in worn)
    # a longer list begins with the shorter one
    again = held_out_windows.held_out_windows(tiny_parts[1], 4)
    assert again.texts == texts[:4] and again.placements == worn[:4] and again.activities == found.activities[:4]
    assert [made[text] for text in texts] == found.activities
    assert np.mean([np.mean(a == b) for a, b in zip(again.codes, codes, strict=False)]) > 0.99
    with pytest.raises(ValueError, match="count"):
        held_out_windows.held_out_windows(tiny_parts[1], 0)


def test_a_held_out_window_does_not_depend_on_other_activities(tiny_parts, few, monkeypatch):
    def windows(activities):
        with monkeypatch.context() as patch:
            patch.setattr(held_out_windows, "ACTIVITIES", {name: ACTIVITIES[name] for name in activities})
            found = held_out_windows.held_out_windows(tiny_parts[1], 2 * len(activities))
        return {
            text: (row.tolist(), places)
            for text, row, places in zip(found.texts, found.codes, found.placements, strict=True)
        }

    many, fewer = windows(FEW), windows(FEW[1:])
    assert len(fewer) == 2 * len(FEW) - 2
    for text, (row, places) in fewer.items():
        assert many[text][1] == places
        assert np.mean(np.array(many[text][0]) == np.array(row)) > 0.99  # batches round differently


@pytest.mark.slow
def test_a_hundred_windows_spread_evenly_over_activities_and_have_their_own_texts(monkeypatch):
    shown = []
    monkeypatch.setattr(
        held_out_windows, "encode_motions", lambda processor, motions, worn, seed: shown.extend(motions)
    )
    found = held_out_windows.held_out_windows(None, 100)
    worn, texts = found.placements, found.texts
    counts = Counter(motion.name for motion in shown)
    # as evenly as 100 windows can be: with more activities than windows, no activity twice
    assert len(counts) == min(100, len(ACTIVITIES)) and set(counts) <= set(ACTIVITIES)
    assert set(counts.values()) <= {max(1, 100 // len(ACTIVITIES)), 100 // len(ACTIVITIES) + 1}
    assert texts == [motion.narrations[0].text for motion in shown] and len(set(texts)) >= 99
    assert 40 <= sum(len(row) == 1 for row in worn) <= 90
