"""Clips of motion-capture files: stretches of possible motion, smoothed, cut into windows with words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..modeling.body_segments import SEGMENTS
from ..motion.body_motion import BodyMotion
from ..motion.captured_names import captured_name
from ..simulation.archive.clips import Clip, captured_clip
from ..simulation.archive.writer import Recording
from ..simulation.kinematics import frames_at, low_passed

FRAME_RATE = 60.0
# Hz. Above it optical capture is mostly noise: in CMU walking at 120 frames per second 57 % of the pelvis acceleration's
# power lies above 12 Hz, in Bandai-Namco walking, cleaned at 30 frames per second, 3 %.
_CAPTURE_BANDWIDTH = 15.0
# What no body does, and damaged captures do: speed of a segment, and turning of trunk and head, limbs, toes.
_MOST_SPEED = 25.0  # m/s
_MOST_TURN = {"trunk": 25.0, "limb": 50.0, "toe": 120.0}  # rad/s; capture of toes is rough, and toes matter least


def captured_recordings(path: Path, frames: int) -> list[Recording]:
    """Stretches of possible motion of a file, cut into clips of `frames` frames at 60 Hz that do not overlap.

    Clips have words where the file's name says what happens (`captured_names`). A rest shorter than a clip belongs to
    none, and no clip spans frames that no body can make. Clips of the Bandai-Namco Research Motiondataset
    ("bandai_namco") are under CC BY-NC 4.0, so a model trained on them is non-commercial; those of the CMU Graphics Lab
    Motion Capture Database ("cmu_bvh") are free to use, with acknowledgement of mocap.cs.cmu.edu and NSF EIA-0196217;
    for others ask their owner.
    """
    from ..nymeria.sequence import read_captured

    motion, name = read_captured(path), captured_name(path.stem)
    recordings, number = [], 0
    for run in possible_runs(motion):
        stretch = cut(motion, run)
        if name is not None:
            stretch.source = name.source
        clips = []
        for start in range(0, sixty_hertz_frames(stretch) - frames + 1, frames):
            label, place = f"{path.stem}-{number}", {"start": start, "frames": frames}
            if name is None:
                clips.append(Clip(label, motion.source, **place))
            else:
                first, last = (round(frame * motion.frame_rate / FRAME_RATE) for frame in (start, start + frames))
                clips.append(replace(captured_clip(cut(stretch, (first, last)), name, label), **place))
            number += 1
        if clips:
            recordings.append(Recording(smoothed(stretch), tuple(clips)))
    return recordings


def possible_runs(motion: BodyMotion) -> list[tuple[int, int]]:
    """Stretches `[first, last)` of frames without impossible motion, 0.1 s away from it."""
    limits = [_MOST_TURN["toe" if name.endswith("Toe") else "limb" if name[1] == "_" else "trunk"] for name in SEGMENTS]
    speed = np.linalg.norm(np.diff(motion.positions, axis=0), axis=-1) * motion.frame_rate
    same = np.abs(np.sum(motion.orientations[1:] * motion.orientations[:-1], axis=-1))
    turning = 2 * np.arccos(np.clip(same, 0, 1)) * motion.frame_rate
    frames, margin = len(motion.positions), round(0.1 * motion.frame_rate)
    good = np.ones(frames + 1, dtype=bool)
    for step in np.flatnonzero(((speed > _MOST_SPEED) | (turning > np.array(limits))).any(axis=1)):
        good[max(0, step - margin) : step + 2 + margin] = False
    good[frames] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good]).astype(int)))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def cut(motion: BodyMotion, run: tuple[int, int]) -> BodyMotion:
    """Frames `[first, last)` of a motion, without its narrations and mesh."""
    part = slice(*run)
    return replace(
        motion, positions=motion.positions[part], orientations=motion.orientations[part], narrations=[], mesh=None
    )


def sixty_hertz_frames(motion: BodyMotion) -> int:
    """How many frames at 60 Hz a motion gives."""
    return frames_at(len(motion.positions), motion.frame_rate, FRAME_RATE)


def smoothed(motion: BodyMotion) -> BodyMotion:
    """The motion below the capture's bandwidth; slow captures as they are."""
    return low_passed(motion, _CAPTURE_BANDWIDTH) if motion.frame_rate > 2 * _CAPTURE_BANDWIDTH else motion
