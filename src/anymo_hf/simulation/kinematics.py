"""Segment kinematics: the per-frame terms from which any rigid placement's IMU signal follows exactly.

A placement is rigid on its segment, so its position is `p + R r` with a constant lever arm `r`. Every linear
time derivative commutes with that sum, so with `f = Rᵀ(p̈ − g)` and `M = RᵀR̈` a sensor with frame `S` reads
`a = Sᵀ(f + M r)` and `ω_s = Sᵀ ω` (paper Eq. 2 without noise).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.signal import butter, sosfiltfilt

from ..modeling.body_segments import SEGMENTS
from ..modeling.imu_signal import STANDARD_GRAVITY, resample
from ..motion.body_motion import BodyMotion

GRAVITY = np.array([0.0, 0.0, -STANDARD_GRAVITY])
_CHUNK = 200_000  # frames times segments that are differentiated at once


@dataclass(frozen=True)
class SegmentKinematics:
    """Motion terms of the 23 segments, all in segment axes, float64.

    Args:
        specific_force: `(T, 23, 3)` m/s², `Rᵀ(p̈ − g)`: what an accelerometer at the segment origin reads.
        lever: `(T, 23, 3, 3)` 1/s², `RᵀR̈`: maps a lever arm in metres to its extra acceleration.
        angular_velocity: `(T, 23, 3)` rad/s.
        frame_rate: frames per second.
    """

    specific_force: np.ndarray
    lever: np.ndarray
    angular_velocity: np.ndarray
    frame_rate: float


def segment_kinematics(
    motion: BodyMotion, frame_rate: float = 60.0, cutoff_hz: float | None = None
) -> SegmentKinematics:
    """Differentiate a body motion once, for all placements (paper §3.1).

    A source faster than `frame_rate` is differentiated at its own rate. The terms are then brought to `frame_rate` in
    segment axes by `modeling.imu_signal.resample`, as the feature extractor brings real recordings to 60 Hz: one
    pass-band for both. A slower source is brought up to `frame_rate` by a cubic spline first, and nothing is low-passed.

    Second derivatives are central differences `(x[t+1] − 2x[t] + x[t−1])·rate²`, which read `sinc²(f / rate)` of a
    sine's. Angular velocity is the mean of the rotation logarithms to the previous and the next frame, both in the
    frame of `t`; it reads `sinc(2f / rate)`. At the ends the second difference repeats its neighbour, angular velocity
    takes the one neighbour it has, and the low-pass continues by the last value: trust the first and last 0.2 s less.

    Args:
        motion: the body motion, any rate.
        frame_rate: rate of the result, Hz.
        cutoff_hz: optional zero-phase low-pass of positions and orientations before all else, Hz; for noisy capture.

    Returns:
        Terms over the motion's frames at `frame_rate`.

    Raises:
        ValueError: fewer than 3 frames, a bad rate, or a cut-off outside `(0, rate / 2)`.
    """
    positions, quaternions, rate = _track(
        motion.positions, motion.orientations, float(motion.frame_rate), frame_rate, cutoff_hz
    )
    parts = []
    # A few segments at a time: an hour at 240 Hz would not fit in memory at once.
    step = max(1, _CHUNK // len(positions))
    for first in range(0, len(SEGMENTS), step):
        place, turn = positions[:, first : first + step], quaternions[:, first : first + step]
        rotations = rotation_matrices(turn)
        inverse = np.swapaxes(rotations, -1, -2)
        force = inverse @ (second_difference(place, rate) - GRAVITY)[..., None]
        lever = inverse @ second_difference(rotations, rate)
        terms = force[..., 0], lever, angular_velocity(turn, rate)
        parts.append([_reduce(term, rate, frame_rate) for term in terms])
    force, lever, omega = (np.concatenate(term, axis=1) for term in zip(*parts, strict=True))
    return SegmentKinematics(force, lever, omega, float(frame_rate))


def low_passed(motion: BodyMotion, cutoff_hz: float) -> BodyMotion:
    """The motion without what is faster than `cutoff_hz`, at its own rate; as `segment_kinematics` with a cut-off does.

    Raises:
        ValueError: fewer than 3 frames, or a cut-off outside `(0, rate / 2)`.
    """
    rate = float(motion.frame_rate)
    positions, quaternions, _ = _track(motion.positions, motion.orientations, rate, rate, cutoff_hz)
    return replace(motion, positions=positions, orientations=quaternions)


def trajectory_signals(
    positions: np.ndarray, quaternions: np.ndarray, source_rate: float, frame_rate: float = 60.0
) -> np.ndarray:
    """IMU signals of sensors whose own trajectories are known, by the operators of `segment_kinematics`.

    Args:
        positions: `(T, N, 3)` world positions, metres.
        quaternions: `(T, N, 4)` unit wxyz, sensor to world.
        source_rate: rate of the trajectories, Hz.
        frame_rate: rate of the result, Hz.

    Returns:
        `(T', N, 6)` acceleration m/s² and angular velocity rad/s, sensor axes.

    Raises:
        ValueError: fewer than 3 frames, or a bad rate.
    """
    positions, quaternions, rate = _track(positions, quaternions, float(source_rate), frame_rate, None)
    inverse = np.swapaxes(rotation_matrices(quaternions), -1, -2)
    force = (inverse @ (second_difference(positions, rate) - GRAVITY)[..., None])[..., 0]
    return _reduce(np.concatenate([force, angular_velocity(quaternions, rate)], axis=-1), rate, frame_rate)


def placement_signals(
    kinematics: SegmentKinematics, segment: np.ndarray, offset: np.ndarray, frame: np.ndarray
) -> np.ndarray:
    """Noise-free IMU signals of rigid placements (paper Eq. 2).

    Args:
        kinematics: from `segment_kinematics`.
        segment: `(P,)` segment index of each placement.
        offset: `(P, 3)` lever arm in segment axes, metres.
        frame: `(P, 3, 3)` sensor axes as columns in segment axes.

    Returns:
        `(T, P, 6)` acceleration m/s² and angular velocity rad/s, sensor axes.

    Raises:
        ValueError: shapes that do not agree, or a segment index out of range.
    """
    segment, offset, frame = np.asarray(segment), np.asarray(offset), np.asarray(frame)
    count = len(segment) if segment.ndim == 1 else -1
    if offset.shape != (count, 3) or frame.shape != (count, 3, 3):
        raise ValueError(
            "segment, offset and frame must be (P,), (P, 3) and (P, 3, 3), "
            f"got {segment.shape}, {offset.shape} and {frame.shape}"
        )
    if count and (segment.min() < 0 or segment.max() >= len(SEGMENTS)):
        raise ValueError(f"segment indices must lie in 0..{len(SEGMENTS) - 1}, got {segment.min()}..{segment.max()}")
    signals = np.empty((len(kinematics.specific_force), count, 6))
    for index in np.unique(segment):
        chosen = np.flatnonzero(segment == index)
        force = kinematics.specific_force[:, index, None] + np.einsum(
            "tij,pj->tpi", kinematics.lever[:, index], offset[chosen]
        )
        signals[:, chosen, :3] = np.einsum("pji,tpj->tpi", frame[chosen], force)
        signals[:, chosen, 3:] = np.einsum("pji,tj->tpi", frame[chosen], kinematics.angular_velocity[:, index])
    return signals


def second_difference(values: np.ndarray, frame_rate: float) -> np.ndarray:
    """Central second difference along axis 0, `(T, ...)`; both ends repeat their neighbour."""
    inner = (values[2:] - 2.0 * values[1:-1] + values[:-2]) * frame_rate**2
    return np.concatenate([inner[:1], inner, inner[-1:]])


def angular_velocity(quaternions: np.ndarray, frame_rate: float) -> np.ndarray:
    """Body-frame angular velocity of `(T, ..., 4)` unit quaternions wxyz, `(T, ..., 3)` rad/s."""
    first, second = quaternions[:-1], quaternions[1:]
    scalar = np.sum(first * second, axis=-1)
    vector = (
        first[..., :1] * second[..., 1:] - second[..., :1] * first[..., 1:] - np.cross(first[..., 1:], second[..., 1:])
    )
    # q and -q are the same turn: take the one of at most half a revolution.
    vector = np.where(scalar[..., None] < 0, -vector, vector)
    sine = np.linalg.norm(vector, axis=-1)
    half_angle = np.arctan2(sine, np.abs(scalar))
    ratio = np.divide(half_angle, sine, out=np.ones_like(sine), where=sine > 1e-12)
    step = 2.0 * frame_rate * ratio[..., None] * vector
    # A turn's logarithm reads the same in the frame before and after it, so both logs are in the frame of t.
    return np.concatenate([step[:1], 0.5 * (step[1:] + step[:-1]), step[-1:]])


def rotation_matrices(quaternions: np.ndarray) -> np.ndarray:
    """Rotation matrices `(..., 3, 3)` of unit quaternions `(..., 4)` wxyz."""
    w, x, y, z = np.moveaxis(np.asarray(quaternions, dtype=np.float64), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _track(
    positions: np.ndarray, quaternions: np.ndarray, source: float, frame_rate: float, cutoff_hz: float | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Positions, sign-continuous unit quaternions and their rate: the source's, or `frame_rate` if that is higher."""
    if not np.isfinite(frame_rate) or frame_rate <= 0:
        raise ValueError(f"frame_rate must be a positive number of Hz, got {frame_rate}")
    positions = np.asarray(positions, dtype=np.float64)
    quaternions = _sign_continuous(np.asarray(quaternions, dtype=np.float64))
    if cutoff_hz is not None:
        limit = min(source, frame_rate) / 2
        if not 0 < cutoff_hz < limit:
            raise ValueError(f"cutoff_hz must lie between 0 and {limit:g} Hz, got {cutoff_hz}")
    if len(positions) > 2:
        if cutoff_hz is not None:
            positions = _remove_fast_noise(positions, source, cutoff_hz)
            quaternions = _remove_fast_noise(quaternions, source, cutoff_hz)
        if source < frame_rate and not _same_rate(source, frame_rate):
            positions, quaternions = (_spline(track, source, frame_rate) for track in (positions, quaternions))
    rate = source if source > frame_rate and not _same_rate(source, frame_rate) else float(frame_rate)
    if len(positions) < 3:
        raise ValueError(f"a motion needs 3 frames or more at {rate:g} Hz to be differentiated, got {len(positions)}")
    return positions, quaternions / np.linalg.norm(quaternions, axis=-1, keepdims=True), rate


def _same_rate(source: float, frame_rate: float) -> bool:
    return abs(source - frame_rate) <= 1e-6 * frame_rate


def _reduce(values: np.ndarray, rate: float, frame_rate: float) -> np.ndarray:
    """`(T, ...)` low-passed and brought down to `frame_rate`; as it is where `rate` is that already."""
    if _same_rate(rate, frame_rate):
        return values
    return resample(values, rate, frame_rate, count=frames_at(len(values), rate, frame_rate))


def frames_at(frames: int, rate: float, frame_rate: float) -> int:
    """How many instants of `frame_rate` lie within so many frames at `rate`."""
    return int(np.floor((frames - 1) / rate * frame_rate + 1e-6)) + 1


def _spline(values: np.ndarray, rate: float, frame_rate: float) -> np.ndarray:
    """A cubic spline through `(T, ...)`, read at the higher `frame_rate`."""
    return CubicSpline(np.arange(len(values)) / rate, values)(
        np.arange(frames_at(len(values), rate, frame_rate)) / frame_rate
    )


def _sign_continuous(quaternions: np.ndarray) -> np.ndarray:
    """Choose between q and -q so that neighbouring frames lie on the same side."""
    agree = np.sign(np.sum(quaternions[1:] * quaternions[:-1], axis=-1))
    signs = np.cumprod(np.where(agree < 0, -1.0, 1.0), axis=0)
    return np.concatenate([quaternions[:1], quaternions[1:] * signs[..., None]])


def _remove_fast_noise(values: np.ndarray, rate: float, cutoff: float) -> np.ndarray:
    """Zero-phase Butterworth low-pass along axis 0 (4th order, run both ways); rates in Hz."""
    sections = butter(4, cutoff, fs=rate, output="sos")
    # Half a cut-off period times five lets the start-up transient die inside the mirrored padding.
    padding = min(len(values) - 1, int(np.ceil(2.5 * rate / cutoff)))
    return sosfiltfilt(sections, values, axis=0, padlen=padding)
