"""Poses and motion terms at the archive's rate, piece by piece, so that memory does not grow with the recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from ...modeling.imu_signal import filter_reach, rate_ratio, resample
from ...motion.body_motion import BodyMotion
from ..kinematics import SegmentKinematics, frames_at, segment_kinematics

Poses = tuple[np.ndarray, np.ndarray]  # positions (n, 23, 3) in metres, quaternions (n, 23, 4) wxyz
_POSE_COLUMNS, _TERM_COLUMNS = 23 * 7, 23 * 15
# What a chunk sees of its neighbours: the low-pass ends after `filter_reach`, the spline forgets by 0.27 a frame, so that
# 40 frames leave less than 1e-12 of a chunk's ends.
_SPLINE_FRAMES = 40


@dataclass(frozen=True)
class Frames:
    """Consecutive frames: `positions` `(n, 23, 3)` metres, `orientations` `(n, 23, 4)` unit wxyz, sign-continuous.

    `terms` `(n, 23, 15)` are force (3), lever (9) and angular velocity (3) of `segment_kinematics` at the source's own
    rate; None where differentiating these poses says the same.
    """

    positions: np.ndarray
    orientations: np.ndarray
    terms: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.positions)


def motion_pieces(motion: BodyMotion, frames: int = 1200) -> Iterator[Poses]:
    """A motion as consecutive pieces of `frames` frames."""
    for start in range(0, len(motion.positions), frames):
        yield motion.positions[start : start + frames], motion.orientations[start : start + frames]


def pose_track(pieces: Iterable[Poses], source_rate: float, frame_rate: float) -> Iterator[Frames]:
    """Consecutive frames at `frame_rate` from consecutive pieces at `source_rate`, by the rules of `segment_kinematics`.

    A slower source is brought up by a cubic spline. A faster one is differentiated at its own rate; poses and terms are
    then brought down by `modeling.imu_signal.resample`. How the recording is cut into pieces changes the result by less
    than 1e-9 of its size (not at all at equal rates).

    Raises:
        ValueError: a rate that is not positive, pieces of a wrong shape, values that are not finite, under 3 frames.
    """
    if not (np.isfinite([source_rate, frame_rate]).all() and min(source_rate, frame_rate) > 0):
        raise ValueError(f"rates must be positive numbers of Hz, got {source_rate} and {frame_rate}")
    rows = _continuous_rows(pieces)
    if abs(source_rate - frame_rate) <= 1e-6 * frame_rate:
        yield from map(_frames, rows)
        return
    margin, aligned = _SPLINE_FRAMES, 1
    if source_rate > frame_rate:
        margin = int(np.ceil(filter_reach(source_rate, frame_rate) * source_rate)) + 1
        aligned = rate_ratio(source_rate, frame_rate)[1]  # a chunk starts where the two rates coincide
        rows = _with_terms(rows, source_rate)
    kept: np.ndarray | None = None
    first = done = 0

    def cut(last: int) -> Frames:
        assert kept is not None
        if len(kept) < 3:
            raise ValueError(f"a motion needs 3 frames or more to change its rate, got {len(kept)}")
        if source_rate > frame_rate:
            up, down = rate_ratio(source_rate, frame_rate)
            start = first // down * up
            poses = resample(kept[:, :_POSE_COLUMNS], source_rate, frame_rate, "antireflect", last + 1 - start)
            terms = resample(kept[:, _POSE_COLUMNS:], source_rate, frame_rate, count=last + 1 - start)
            return _frames(np.concatenate([poses, terms], axis=1)[done - start :])
        times = np.arange(done, last + 1) * (source_rate / frame_rate) - first
        return _frames(CubicSpline(np.arange(len(kept)), kept)(times))

    for piece in rows:
        kept = piece if kept is None else np.concatenate([kept, piece])
        ready = frames_at(first + len(kept) - margin, source_rate, frame_rate) - 1
        if (ready - done) * source_rate >= 4 * margin * frame_rate:  # long enough to be worth its margins
            yield cut(ready)
            done = ready + 1
            drop = (int(done * source_rate / frame_rate) - margin - first) // aligned * aligned
            if drop > 0:
                kept, first = kept[drop:], first + drop
    if kept is not None and (last := frames_at(first + len(kept), source_rate, frame_rate) - 1) >= done:
        yield cut(last)


def frame_blocks(track: Iterable[Frames], size: int) -> Iterator[Frames]:
    """The same frames in blocks of `size`; the last one may be shorter."""
    waiting: list[Frames] = []
    for more in track:
        joined = _joined([*waiting, more])
        whole = len(joined) // size * size
        for start in range(0, whole, size):
            yield _cut(joined, slice(start, start + size))
        waiting = [_cut(joined, slice(whole, None))] if whole < len(joined) else []
    yield from waiting


def stacked_terms(kinematics: SegmentKinematics) -> np.ndarray:
    """Force, lever and angular velocity side by side, `(n, 23, 15)`; the inverse of `split_terms`."""
    force, lever, omega = kinematics.specific_force, kinematics.lever, kinematics.angular_velocity
    return np.concatenate([force, lever.reshape(*lever.shape[:2], 9), omega], axis=-1)


def split_terms(terms: np.ndarray, frame_rate: float) -> SegmentKinematics:
    """`(n, 23, 15)` as `SegmentKinematics`."""
    lever = terms[..., 3:12].reshape(*terms.shape[:2], 3, 3)
    return SegmentKinematics(terms[..., :3], lever, terms[..., 12:], frame_rate)


def _continuous_rows(pieces: Iterable[Poses]) -> Iterator[np.ndarray]:
    """Rows `(n, 161)`, 69 of positions and 92 of quaternions whose signs agree from frame to frame."""
    last = None
    for positions, orientations in pieces:
        positions, turns = np.asarray(positions, np.float64), np.asarray(orientations, np.float64)
        frames = len(positions)
        if positions.shape != (frames, 23, 3) or turns.shape != (frames, 23, 4):
            raise ValueError(f"a piece must be (n, 23, 3) and (n, 23, 4), got {positions.shape} and {turns.shape}")
        if not (np.isfinite(positions).all() and np.isfinite(turns).all()):
            raise ValueError("positions and orientations must be finite; remove or repair NaN frames first")
        if not frames:
            continue
        before = np.concatenate([turns[:1] if last is None else last, turns[:-1]])
        signs = np.cumprod(np.where(np.sum(before * turns, axis=-1) < 0, -1.0, 1.0), axis=0)
        turns = turns * signs[..., None]
        last = turns[-1:]
        yield np.concatenate([positions.reshape(frames, -1), turns.reshape(frames, -1)], axis=1)


def _with_terms(rows: Iterable[np.ndarray], rate: float) -> Iterator[np.ndarray]:
    """Rows `(n, 506)`: poses and their terms at the same rate. A frame of each neighbour makes pieces fit exactly."""
    kept, start = np.zeros((0, _POSE_COLUMNS)), 0

    def differentiated(stop: int | None) -> np.ndarray:
        frames = _frames(kept)
        terms = stacked_terms(segment_kinematics(BodyMotion(rate, frames.positions, frames.orientations), rate))
        return np.concatenate([kept, terms.reshape(len(kept), -1)], axis=1)[start:stop]

    for piece in rows:
        kept = np.concatenate([kept, piece])
        if len(kept) >= 4:
            yield differentiated(-1)
            kept, start = kept[-3:], 2
    if len(kept):
        yield differentiated(None)


def _frames(rows: np.ndarray) -> Frames:
    turns = rows[:, 69:_POSE_COLUMNS].reshape(-1, 23, 4)
    turns = turns / np.linalg.norm(turns, axis=-1, keepdims=True)
    terms = rows[:, _POSE_COLUMNS:].reshape(-1, 23, 15) if rows.shape[1] > _POSE_COLUMNS else None
    return Frames(rows[:, :69].reshape(-1, 23, 3), turns, terms)


def _cut(frames: Frames, rows: slice) -> Frames:
    terms = None if frames.terms is None else frames.terms[rows]
    return Frames(frames.positions[rows], frames.orientations[rows], terms)


def _joined(parts: list[Frames]) -> Frames:
    if len(parts) == 1:
        return parts[0]
    terms = [part.terms for part in parts if part.terms is not None]
    return Frames(
        np.concatenate([part.positions for part in parts]),
        np.concatenate([part.orientations for part in parts]),
        np.concatenate(terms) if terms else None,
    )
