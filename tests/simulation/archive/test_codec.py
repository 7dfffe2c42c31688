"""Stored poses against float64 ones: how exact, how small, and what damaged bytes do."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from anymo_hf.modeling.body_segments import PARENTS
from anymo_hf.motion.body_motion import BodyMotion
from anymo_hf.motion.procedural import simulate_activity
from anymo_hf.simulation.archive.codec import (
    ACCELERATION_BOUND,
    POSITION_STEP,
    decode_correction,
    decode_poses,
    encode_correction,
    encode_poses,
)
from anymo_hf.simulation.archive.shard import RecordingInfo, Shard, write_shard
from anymo_hf.simulation.archive.track import motion_pieces
from anymo_hf.simulation.kinematics import placement_signals, rotation_matrices, segment_kinematics
from anymo_hf.simulation.surface import load_template


def stored(motion, path):
    info = RecordingInfo("x", "", "", motion.frame_rate, 60.0, 1.75)
    write_shard(path, motion_pieces(motion), info)
    return Shard(path)


def errors(motion, shard):
    """Largest RMS over time of the error vector at any candidate: acceleration and angular velocity."""
    body = load_template()
    true, found = segment_kinematics(motion), shard.kinematics()
    worst = np.zeros(2)
    for start in range(8):
        rows = slice(start, None, 8)
        parts = body.segment[rows], body.offset[rows], body.frame[rows]
        error = placement_signals(found, *parts) - placement_signals(true, *parts)
        for kind in range(2):
            rms = np.sqrt((error[..., 3 * kind : 3 * kind + 3] ** 2).sum(-1).mean(0))
            worst[kind] = max(worst[kind], rms.max())
    return worst


@pytest.mark.parametrize(
    "activity, rate, bound",
    [
        ("walking", 60.0, 0.007),
        ("jumping", 60.0, 0.007),
        ("sitting", 30.0, 0.007),
        ("running", 240.0, ACCELERATION_BOUND),
    ],
)
def test_every_candidate_reads_as_from_unstored_motion(tmp_path, activity, rate, bound):
    motion = simulate_activity(activity, 3, 8.0, rate)
    acceleration, turning = errors(motion, stored(motion, tmp_path / "x.parquet"))
    assert acceleration < bound < 0.05
    assert turning < 0.0025


@pytest.mark.slow
@pytest.mark.parametrize("activity, rate", [("walking", 60.0), ("running", 240.0), ("standing", 120.0)])
def test_a_minute_is_a_hundred_times_smaller_than_dense(tmp_path, activity, rate):
    motion = simulate_activity(activity, 1, 60.0, rate)
    shard = stored(motion, tmp_path / "x.parquet")
    assert shard.info.frames * 2374 * 6 * 4 > 100 * shard.path.stat().st_size


def test_positions_are_exact_to_half_a_step_in_the_parents_axes():
    motion = simulate_activity("walking", 0, 4.0)
    positions, orientations = decode_poses(encode_poses(motion.positions, motion.orientations), 240)
    np.testing.assert_allclose(np.linalg.norm(orientations, axis=-1), 1, atol=1e-12)
    # same rotation: matrices do not know the sign
    turned = rotation_matrices(orientations) - rotation_matrices(motion.orientations)
    assert np.abs(turned).max() < 4e-6
    for segment, parent in enumerate(PARENTS):
        error = positions[:, segment] - motion.positions[:, segment]
        if parent >= 0:
            error = np.einsum("tji,tj->ti", rotation_matrices(orientations[:, parent]), error)
            offset = positions[:, parent] - motion.positions[:, parent]
            assert np.abs(offset).max() < 2 * POSITION_STEP
        assert np.abs(error).max() < 0.5 * POSITION_STEP + 1e-12


def test_the_same_poses_give_the_same_bytes_and_stored_poses_stay_as_they_are():
    motion = simulate_activity("running", 0, 3.0)
    first = encode_poses(motion.positions, motion.orientations)
    assert first == encode_poses(motion.positions.copy(), motion.orientations.copy())
    once = decode_poses(first, 180)
    twice = decode_poses(encode_poses(*once), 180)
    np.testing.assert_allclose(once[0], twice[0], atol=POSITION_STEP)


def test_a_body_far_from_the_origin_is_stored_as_exactly():
    motion = simulate_activity("walking", 0, 3.0)
    shift = np.array([5e5, -3e5, 1000.0])
    positions, _ = decode_poses(encode_poses(motion.positions + shift, motion.orientations), 180)
    assert np.abs(positions - shift - motion.positions).max() < 2 * POSITION_STEP


def test_corrections_are_exact_to_half_a_step():
    rng = np.random.default_rng(0)
    wanted, predicted = rng.normal(0, 50, (2, 30, 23, 15))
    found = predicted + decode_correction(encode_correction(wanted, predicted), 30)
    assert (np.abs(found - wanted).max((0, 1)) <= np.repeat([2.0**-6, 2.0**-4, 2.0**-9], [3, 9, 3]) + 1e-12).all()


def test_wrong_input_and_damaged_bytes_are_refused():
    motion = simulate_activity("walking", 0, 2.0)
    data = encode_poses(motion.positions, motion.orientations)
    for broken, frames, words in [
        (data[:-1], 120, "do not hold"),
        (data, 119, "do not hold"),
        (data[:30] + b"\x09" + data[31:], 120, "differenced 9 times"),
        (data[:-92] + bytes([7]) * 92, 120, "unit length"),
    ]:
        with pytest.raises(ValueError, match=words):
            decode_poses(broken, frames)
    jump = motion.positions.copy()
    jump[60:] += 1e4
    with pytest.raises(ValueError, match="500 m"):
        encode_poses(jump, motion.orientations)
    with pytest.raises(ValueError, match=r"\(n, 23, 3\)"):
        encode_poses(motion.positions[:, :5], motion.orientations)
    with pytest.raises(ValueError, match="beyond what a body does"):
        encode_correction(np.full((3, 23, 15), 1e12), np.zeros((3, 23, 15)))


@pytest.mark.mocap
@pytest.mark.parametrize("pattern", ["bandai_namco/*dash*.bvh", "cmu_bvh/*walking_*.bvh",
                                     "cmu_bvh/*jumping*.bvh"])  # fmt: skip
def test_captured_motion_is_stored_within_the_bound(tmp_path, pattern):
    from anymo_hf.motion.formats.bvh import read_bvh

    folder, _, name = pattern.partition("/")
    files = sorted((Path(os.environ["ANYMO_MOTION"]) / folder).glob(name))
    if not files:
        pytest.skip(f"no {pattern} in ANYMO_MOTION")
    size = frames = 0
    for number, path in enumerate(files[:: max(1, len(files) // 3)][:3]):
        motion = read_bvh(path)
        shard = stored(motion, tmp_path / f"{number}.parquet")
        acceleration, turning = errors(motion, shard)
        assert acceleration < ACCELERATION_BOUND and turning < 0.0025, path.name
        size, frames = size + shard.path.stat().st_size, frames + shard.info.frames
    assert frames * 2374 * 6 * 4 > 100 * size


def test_planes_compress_better_than_the_numbers_themselves():
    motion = simulate_activity("walking", 2, 10.0)
    coded = encode_poses(motion.positions, motion.orientations)
    plain = np.concatenate([motion.positions.reshape(600, -1), motion.orientations.reshape(600, -1)], 1)
    codec = pa.Codec("zstd", 9)
    assert 4 * len(codec.compress(coded)) < len(codec.compress(plain.tobytes()))


def test_a_motion_of_one_rate_is_only_sign_aligned(tmp_path):
    motion = simulate_activity("walking", 0, 3.0)
    flipped = motion.orientations * np.where(np.arange(180) % 2, -1, 1)[:, None, None]
    path = tmp_path / "x.parquet"
    shard = stored(BodyMotion(60.0, motion.positions, flipped), path)
    turns = shard.poses().orientations
    assert (np.sum(turns[1:] * turns[:-1], axis=-1) > 0).all()
    np.testing.assert_allclose(
        shard.kinematics().angular_velocity, segment_kinematics(motion).angular_velocity, atol=1e-3
    )
