"""Windows of simulated people whom training never draws, as scores read them: codes, placements and words.

Their seeds are from `HELD_OUT_SEED` up; training draws those below.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ..modeling.body_segments import SEGMENTS
from ..motion.body_motion import BodyMotion
from ..motion.procedural import ACTIVITIES, HELD_OUT_SEED, simulate_activity
from ..motion.seeds import seed_of
from ..simulation.surface import load_template
from ..simulation.views import motion_terms, sample_views, wearer_body
from ..training.worn_setups import draw_setup

WINDOW_SECONDS = 5.0
FRAME_RATE = 60.0
_BATCH = 64
_TRIES = 20  # people tried until one brings a sentence that no earlier window has


@dataclass(frozen=True)
class HeldOutWindows:
    """Per window: `(2L,)` `codes` (`code + size * book`, time-major), `placements` (segment indices worn), one of its
    `texts`, another sentence about it in `other_texts`, and its name among the simulated `activities`."""

    codes: list[np.ndarray]
    placements: list[list[int]]
    texts: list[str]
    other_texts: list[str]
    activities: list[str]

    def part(self, start: int, end: int) -> HeldOutWindows:
        """Those from `start` up to `end`."""
        return HeldOutWindows(*(value[start:end] for value in vars(self).values()))


def held_out_windows(processor: Any, count: int) -> HeldOutWindows:
    """Windows of simulated people that training never draws, the same ones at every call.

    Each block of as many windows as there are activities holds every activity once, in a random order that one more
    activity does not change for the others. A window wears a setup of `draw_setup`: one sensor (65 %), a left/right pair
    (15 %), else 1 to 5 sensors on any segments; each sensor has its own candidate place, mounting and device noise
    (`ViewOptions` defaults) on a body of that person's height. The text is the window's first narration. Where another
    window of the activity has it already, up to 20 more people are tried, so equal texts are rare; the first `n` of more
    windows are the same as `n` windows.

    Args:
        processor: `AnyMoProcessor` with a feature extractor.
        count: how many windows.

    Raises:
        ValueError: `count` below one.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    names = list(ACTIVITIES)
    order: list[str] = []
    for block in range(-(-count // len(names))):
        # by a key of its own each, so that one more activity leaves the others in their order
        order += sorted(names, key=lambda name: seed_of("held-out order", block, name))
    following = dict.fromkeys(names, HELD_OUT_SEED)
    motions: list[BodyMotion] = []
    worn: list[list[int]] = []
    texts: list[str] = []
    said: dict[str, set[str]] = {name: set() for name in names}
    for name in _progress(order[:count], "held-out people"):
        for _ in range(_TRIES):
            motion = simulate_activity(name, following[name], WINDOW_SECONDS)
            following[name] += 1
            if motion.narrations[0].text not in said[name]:
                break
        motions.append(motion)
        worn.append(draw_setup(np.random.default_rng(seed_of("worn", name, motion.subject))))
        texts.append(motion.narrations[0].text)
        said[name].add(texts[-1])
    codes = encode_motions(processor, motions, worn, HELD_OUT_SEED)
    others = [motion.narrations[1].text for motion in motions]
    return HeldOutWindows(codes, worn, texts, others, [motion.name for motion in motions])


def encode_motions(
    processor: Any, motions: Sequence[BodyMotion], worn: Sequence[Sequence[int]], seed: int
) -> list[np.ndarray]:
    """Codes `(2L,)` of equally long motions, each felt by sensors on its segments `worn`, drawn by `seed`."""
    template, codes = load_template(), []
    for start in _progress(range(0, len(motions), _BATCH), "motion codes"):
        views = []
        for number, motion in enumerate(motions[start : start + _BATCH], start):
            # a generator each, so that a window's sensors do not depend on what else is encoded
            generator = torch.Generator().manual_seed(seed_of("sensors", seed, motion.name, motion.subject))
            segments = sorted(worn[number])
            views.append(
                sample_views(
                    motion_terms(motion, FRAME_RATE), wearer_body(motion, template), generator, segments=segments
                )[0]
            )
        imu = torch.zeros(len(views), views[0].shape[0], len(SEGMENTS), 6)
        mask = torch.zeros(len(views), len(SEGMENTS), dtype=torch.bool)
        for row, view in enumerate(views):
            segments = sorted(worn[start + row])
            imu[row, :, segments], mask[row, segments] = view, True
        found, _ = processor.feature_extractor.encode(imu, mask)
        codes += list(found.cpu().numpy())
    return codes


def _progress(items: Iterable, title: str):
    """The items, with a bar on a terminal once it takes over a second."""
    return tqdm(items, desc=title, delay=1, leave=False, disable=None)
