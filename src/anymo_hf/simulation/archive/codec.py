"""Poses as bytes: fixed-point positions and quaternions, coded by differences along time; and corrections of terms.

Positions are multiples of `POSITION_STEP`, quaternion components multiples of `QUATERNION_STEP`. The pelvis counts from
where it is in the block's first frame; every other segment is stored where its parent, as stored, sees it. A rigid bone
is then constant but for the last bit, and errors do not add up along a limb.

Differentiating poses at 60 Hz falls short of differentiating a faster source at its own rate. A correction holds what is
missing in force, lever and angular velocity, in multiples of `TERM_STEPS`; it compresses to almost nothing where motion
is slow, and a source of 60 Hz or less has none.

**Bound.** A stored position is within half a step, 0.48 µm, per axis of its parent's axes (or the world's, for the
pelvis); an orientation within 2 µrad. A second difference at 60 Hz multiplies white rounding noise by √6 · 60² = 8,818,
so a segment origin errs by about 0.0042 m/s² RMS (three axes together), and a lever arm of 0.3 m adds at most 0.003. With
corrections the error is theirs instead, step over √12: 0.0156 m/s² for the force, and 0.0625 m/s² for every metre of lever
arm: 0.033 m/s² at the longest of the package's body, 0.46 m. All stay under `ACCELERATION_BOUND`; angular velocity errs
by 0.002 rad/s.
"""

from __future__ import annotations

import numpy as np

from ...modeling.body_segments import PARENTS, SEGMENTS
from ..kinematics import rotation_matrices

POSITION_STEP = 2.0**-20  # metres
QUATERNION_STEP = 2.0**-20
# m/s², 1/s² and rad/s
TERM_STEPS = np.repeat([2.0**-5, 2.0**-3, 2.0**-8], [3, 9, 3])
ACCELERATION_BOUND = 0.04  # m/s², RMS over time of the error vector at any placement
_COLUMNS = 7 * len(SEGMENTS)
_ORIGIN = 3 * 8  # bytes of the pelvis origin, three int64


def encode_poses(positions: np.ndarray, orientations: np.ndarray) -> bytes:
    """One block of poses as bytes, not yet compressed; the same poses give the same bytes.

    Args:
        positions: `(n, 23, 3)` segment origins, metres.
        orientations: `(n, 23, 4)` unit quaternions wxyz, sign-continuous.

    Raises:
        ValueError: no frames, wrong shapes, or a body that moves too far within the block.
    """
    frames = len(positions)
    if frames == 0 or positions.shape != (frames, 23, 3) or orientations.shape != (frames, 23, 4):
        raise ValueError(
            f"positions and orientations must be (n, 23, 3) and (n, 23, 4), got {positions.shape} and {orientations.shape}"
        )
    turns = np.rint(orientations / QUATERNION_STEP).astype(np.int64)
    rotations = _rotations(turns)
    places = np.empty((frames, 23, 3), dtype=np.int64)
    stored = np.empty((frames, 23, 3))
    origin = np.rint(positions[0, 0] / POSITION_STEP).astype(np.int64)
    for segment, parent in enumerate(PARENTS):
        if parent < 0:
            places[:, segment] = np.rint(positions[:, segment] / POSITION_STEP).astype(np.int64) - origin
            stored[:, segment] = (places[:, segment] + origin) * POSITION_STEP
        else:
            apart = _turn_back(rotations[:, parent], positions[:, segment] - stored[:, parent])
            places[:, segment] = np.rint(apart / POSITION_STEP).astype(np.int64)
            stored[:, segment] = stored[:, parent] + _turn(rotations[:, parent], places[:, segment] * POSITION_STEP)
    values = np.concatenate([places.reshape(frames, -1), turns.reshape(frames, -1)], axis=1)
    if np.abs(values).max() >= 2**29:
        raise ValueError(
            "positions lie more than 500 m apart within one block; is the unit metres, and are broken frames removed?"
        )
    return origin.astype("<i8").tobytes() + _encode(values)


def decode_poses(data: bytes, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions `(n, 23, 3)` in metres and unit quaternions `(n, 23, 4)` of one block, float64.

    Raises:
        ValueError: bytes that `encode_poses` did not write for so many frames.
    """
    origin = np.frombuffer(data, "<i8", 3)
    values = _decode(data[_ORIGIN:], frames, _COLUMNS)
    places = values[: 3 * len(SEGMENTS)].reshape(23, 3, frames).transpose(2, 0, 1)
    turns = values[3 * len(SEGMENTS) :].reshape(23, 4, frames).transpose(2, 0, 1)
    quaternions = turns * QUATERNION_STEP
    norms = np.sqrt((quaternions**2).sum(-1, keepdims=True))
    if np.abs(norms - 1).max() > 1e-4:
        raise ValueError("poses: quaternions are not of unit length")
    rotations = _rotations(turns)
    positions = np.empty((frames, 23, 3))
    for segment, parent in enumerate(PARENTS):
        if parent < 0:
            positions[:, segment] = (places[:, segment] + origin) * POSITION_STEP
        else:
            apart = _turn(rotations[:, parent], places[:, segment] * POSITION_STEP)
            positions[:, segment] = positions[:, parent] + apart
    return positions, quaternions / norms


def encode_correction(wanted: np.ndarray, predicted: np.ndarray) -> bytes:
    """What `predicted` lacks of `wanted`, both `(n, 23, 15)` stacked terms, as bytes.

    Raises:
        ValueError: a difference no body makes.
    """
    missing = np.rint((wanted - predicted) / TERM_STEPS)
    if not np.abs(missing).max() < 2**29:
        raise ValueError("motion terms are beyond what a body does; remove broken frames")
    return _encode(missing.astype(np.int64).reshape(len(missing), -1))


def decode_correction(data: bytes, frames: int) -> np.ndarray:
    """What `encode_correction` wrote, `(n, 23, 15)`, to be added to the predicted terms."""
    values = _decode(data, frames, 15 * len(SEGMENTS))
    return values.T.reshape(frames, len(SEGMENTS), 15) * TERM_STEPS


def _encode(values: np.ndarray) -> bytes:
    """`(n, columns)` whole numbers as bytes: the order of differences of each column, then the four byte planes."""
    orders, steps = _difference(values)
    folded = ((steps << 1) ^ (steps >> 63)).astype("<u4")  # 0, -1, 1, -2, ... become 0, 1, 2, 3, ...
    planes = np.ascontiguousarray(folded.T).view(np.uint8).reshape(values.shape[1], len(values), 4).transpose(2, 0, 1)
    return orders.tobytes() + planes.tobytes()


def _decode(data: bytes, frames: int, columns: int) -> np.ndarray:
    """The numbers that `_encode` got, `(columns, n)`."""
    if frames < 1 or len(data) != columns * (1 + 4 * frames):
        raise ValueError(f"{len(data)} bytes do not hold {columns} columns of {frames} frames")
    orders = np.frombuffer(data, np.uint8, columns)
    if orders.max() > 2:
        raise ValueError(f"a column is differenced {orders.max()} times; at most 2 are written")
    planes = np.frombuffer(data, np.uint8, offset=columns).reshape(4, columns, frames)
    folded = np.ascontiguousarray(planes.transpose(1, 2, 0)).view("<u4")[..., 0].astype(np.int64)
    values = (folded >> 1) ^ -(folded & 1)
    for order in (2, 1):
        rows = orders >= order
        values[rows] = np.cumsum(values[rows], axis=1)
    return values


def _difference(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often each column is differenced, `(columns,)` 0 to 2, and the result: the shortest numbers win."""
    best, cost, orders = values, None, np.zeros(values.shape[1], dtype=np.uint8)
    current = values
    for order in range(3):
        if order:
            current = np.diff(current, axis=0, prepend=0)
        # whole numbers, so that no machine's rounding decides
        bits = np.frexp(np.abs(current[order:]).astype(np.float64))[1].sum(axis=0)
        if cost is None:
            cost = bits
            continue
        shorter = bits < cost
        best, cost = np.where(shorter, current, best), np.where(shorter, bits, cost)
        orders[shorter] = order
    return orders, best


def _rotations(turns: np.ndarray) -> np.ndarray:
    quaternions = turns * QUATERNION_STEP
    return rotation_matrices(quaternions / np.sqrt((quaternions**2).sum(-1, keepdims=True)))


# Sums in a fixed order, so that the bytes do not depend on a linear-algebra library.
def _turn(rotations: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return sum(rotations[..., axis] * vectors[..., None, axis] for axis in range(3))


def _turn_back(rotations: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return sum(rotations[..., axis, :] * vectors[..., None, axis] for axis in range(3))
