"""Kinematics: the fast form against each placement's own trajectory, analytic motions and symmetries."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from anymo_hf.motion.body_motion import BodyMotion
from anymo_hf.simulation.kinematics import (
    GRAVITY,
    placement_signals,
    rotation_matrices,
    second_difference,
    segment_kinematics,
)
from anymo_hf.simulation.surface import load_template


def quaternions_of(rotation: Rotation) -> np.ndarray:
    return rotation.as_quat(scalar_first=True)


def wavy_motion(frames: int = 90, rate: float = 60.0, seed: int = 0) -> BodyMotion:
    rng = np.random.default_rng(seed)
    time = np.arange(frames)[:, None, None] / rate
    positions = 0.3 * np.sin(2 * np.pi * rng.uniform(0.3, 2, (1, 23, 3)) * time + rng.uniform(0, 6, (1, 23, 3)))
    vectors = 1.5 * np.sin(2 * np.pi * rng.uniform(0.3, 2, (1, 23, 3)) * time + rng.uniform(0, 6, (1, 23, 3)))
    orientations = quaternions_of(Rotation.from_rotvec(vectors.reshape(-1, 3))).reshape(frames, 23, 4)
    return BodyMotion(rate, positions, orientations)


def test_fast_form_equals_differentiating_each_placement():
    motion, template = wavy_motion(), load_template()
    rows = np.arange(0, len(template.segment), 37)
    segment, offset, frame = template.segment[rows], template.offset[rows], template.frame[rows]
    fast = placement_signals(segment_kinematics(motion), segment, offset, frame)
    for column in range(len(rows)):
        body = Rotation.from_quat(motion.orientations[:, segment[column]], scalar_first=True)
        track = motion.positions[:, segment[column]] + body.apply(offset[column])
        sensor = body * Rotation.from_matrix(frame[column])
        direct = sensor.inv().apply(second_difference(track, 60.0) - GRAVITY)
        np.testing.assert_allclose(fast[:, column, :3], direct, rtol=0, atol=1e-9 * np.abs(direct).max())
        steps = (sensor[:-1].inv() * sensor[1:]).as_rotvec() * 60.0
        turning = np.concatenate([steps[:1], (steps[1:] + steps[:-1]) / 2, steps[-1:]])
        np.testing.assert_allclose(fast[:, column, 3:], turning, rtol=0, atol=1e-9 * np.abs(turning).max())


def test_body_at_rest_reads_one_g_up_in_every_mounting():
    orientations = quaternions_of(Rotation.random(23, random_state=1))
    motion = BodyMotion(60.0, np.zeros((10, 23, 3)), np.tile(orientations, (10, 1, 1)))
    template = load_template()
    signals = placement_signals(segment_kinematics(motion), template.segment, template.offset, template.frame)
    world = rotation_matrices(orientations)[template.segment] @ template.frame
    up = np.einsum("pij,tpj->tpi", world, signals[..., :3])
    np.testing.assert_allclose(up, np.broadcast_to(-GRAVITY, up.shape), atol=1e-5)
    np.testing.assert_allclose(signals[..., 3:], 0, atol=1e-9)


def test_turning_and_moving_the_world_about_gravity_changes_nothing():
    motion = wavy_motion(seed=2)
    turn = Rotation.from_euler("z", 1.234)
    flat = Rotation.from_quat(motion.orientations.reshape(-1, 4), scalar_first=True)
    moved = BodyMotion(
        60.0,
        turn.apply(motion.positions.reshape(-1, 3)).reshape(motion.positions.shape) + [3.0, -2.0, 1.0],
        quaternions_of(turn * flat).reshape(motion.orientations.shape),
    )
    one, two = segment_kinematics(motion), segment_kinematics(moved)
    for name in ("specific_force", "lever", "angular_velocity"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), atol=1e-7, err_msg=name)


def test_steady_spin_matches_the_textbook():
    rate, speed, radius = 60.0, 3.0, 0.4
    angle = speed * np.arange(60) / rate
    orientations = np.zeros((60, 23, 4))
    orientations[..., 0], orientations[..., 3] = np.cos(angle / 2)[:, None], np.sin(angle / 2)[:, None]
    kinematics = segment_kinematics(BodyMotion(rate, np.zeros((60, 23, 3)), orientations))
    signal = placement_signals(kinematics, np.array([5]), np.array([[radius, 0, 0]]), np.eye(3)[None])[1:-1, 0]
    np.testing.assert_allclose(signal[:, 5], speed, rtol=1e-9)
    np.testing.assert_allclose(signal[:, 0], -(speed**2) * radius, rtol=1e-3)
    np.testing.assert_allclose(signal[:, 2], 9.80665, rtol=1e-9)


def test_quaternion_signs_do_not_matter():
    motion = wavy_motion(rate=240.0, frames=240)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], motion.orientations.shape[:2])[..., None]
    flipped = BodyMotion(240.0, motion.positions, motion.orientations * signs)
    one, two = segment_kinematics(motion), segment_kinematics(flipped)
    np.testing.assert_allclose(one.angular_velocity, two.angular_velocity, atol=1e-9)
    np.testing.assert_allclose(one.lever, two.lever, atol=1e-7)


@pytest.mark.parametrize(("rate", "acc", "gyro"), [(240.0, 0.01, 0.02), (100.0, 0.02, 0.1), (30.0, 0.02, 0.2)])
def test_other_rates_give_the_60_hz_result(rate, acc, gyro):
    reference = segment_kinematics(wavy_motion(16 * 120, 960.0), 960.0)  # close to the analytic terms
    resampled = segment_kinematics(wavy_motion(int(2 * rate), rate))
    assert resampled.frame_rate == 60.0
    inner = slice(20, min(120, len(resampled.specific_force)) - 20)
    true = {name: getattr(reference, name)[::16] for name in ("specific_force", "angular_velocity")}
    difference = resampled.specific_force[inner] - true["specific_force"][inner]
    assert np.abs(difference).max() < acc * np.abs(true["specific_force"][inner]).max()
    assert np.abs(resampled.angular_velocity[inner] - true["angular_velocity"][inner]).max() < gyro


def test_long_fast_motions_are_cut_into_parts_of_the_same_values(monkeypatch):
    motion = wavy_motion(480, 240.0)
    whole = segment_kinematics(motion)
    monkeypatch.setattr("anymo_hf.simulation.kinematics._CHUNK", 1000)
    parts = segment_kinematics(motion)
    for name in ("specific_force", "lever", "angular_velocity"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-12, atol=1e-12)


def test_downsampling_does_not_alias_and_cutoff_removes_fast_motion():
    time = np.arange(960) / 240.0
    still = np.zeros((960, 23, 4))
    still[..., 0] = 1
    for frequency, cutoff, rate in ((55.0, None, 60.0), (15.0, 5.0, 240.0)):
        positions = np.zeros((960, 23, 3))
        positions[..., 0] = 0.01 * np.sin(2 * np.pi * frequency * time)[:, None]
        motion = BodyMotion(240.0, positions, still)
        kinematics = segment_kinematics(motion, rate, cutoff_hz=cutoff)
        middle = slice(len(kinematics.specific_force) // 4, -len(kinematics.specific_force) // 4)
        true_peak = 0.01 * (2 * np.pi * frequency) ** 2
        assert np.abs(kinematics.specific_force[middle, :, 0]).max() < 0.005 * true_peak


def test_bad_input_is_refused():
    motion = wavy_motion()
    with pytest.raises(ValueError, match="cutoff_hz"):
        segment_kinematics(motion, cutoff_hz=40.0)
    with pytest.raises(ValueError, match="frame_rate"):
        segment_kinematics(motion, frame_rate=0)
    with pytest.raises(ValueError, match="3 frames"):
        segment_kinematics(BodyMotion(60.0, motion.positions[:2], motion.orientations[:2]))
    kinematics = segment_kinematics(motion)
    with pytest.raises(ValueError, match="offset"):
        placement_signals(kinematics, np.array([1]), np.zeros((2, 3)), np.eye(3)[None])
    with pytest.raises(ValueError, match="0..22"):
        placement_signals(kinematics, np.array([23]), np.zeros((1, 3)), np.eye(3)[None])
