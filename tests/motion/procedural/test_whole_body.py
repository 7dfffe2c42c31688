"""Whole-body movements: falls end on the ground, exercises alternate, heads rest or look, walkers keep the head steady."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from anymo_hf.modeling.body_segments import SEGMENTS
from anymo_hf.motion.procedural import simulate_activity
from anymo_hf.motion.procedural.person import SubjectStyle
from anymo_hf.motion.procedural.pose import Pose, ringing
from anymo_hf.simulation.kinematics import segment_kinematics


def _place(motion, name):
    return motion.positions[:, SEGMENTS.index(name)]


def _turned(motion):
    """How far the pelvis turned about the vertical, radians, left positive."""
    forward = Rotation.from_quat(motion.orientations[:, 0], scalar_first=True).apply([1.0, 0, 0])
    heading = np.unwrap(np.arctan2(forward[:, 1], forward[:, 0]))
    return heading[-1] - heading[0]


@pytest.mark.parametrize("name", ["fall_forward", "fall_on_knees", "fall_backward", "fall_from_chair", "fall_sideways"])
def test_a_fall_begins_upright_ends_on_the_ground_and_is_felt(name):
    for seed in range(4):
        motion = simulate_activity(name, seed)
        tall = _place(motion, "Head")[:, 2] - _place(motion, "Pelvis")[:, 2]
        assert tall[0] > 0.45 and tall[-1] < 0.25, seed
        force = np.linalg.norm(segment_kinematics(motion).specific_force[:, 0], axis=-1)
        assert force.max() > 15 and force.min() < 8, (seed, force.max(), force.min())  # a blow, and part of a free fall


def test_knees_go_up_in_turn_and_arms_of_an_abduction_one_at_a_time():
    knees = [_place(simulate_activity("knee_raises", 1), f"{side}_LowerLeg")[:, 2] for side in "RL"]
    assert np.corrcoef(*knees)[0, 1] < -0.2
    motion = simulate_activity("arm_abduction", 2)
    reach = sorted(np.ptp(_place(motion, f"{side}_Hand")[:, 2]) for side in "RL")
    assert reach[0] < 0.1 and reach[1] > 0.3


def test_a_reader_keeps_the_head_still_and_someone_who_looks_around_does_not():
    def turning(name, seed):
        return np.linalg.norm(
            segment_kinematics(simulate_activity(name, seed)).angular_velocity[:, SEGMENTS.index("Head")], axis=-1
        ).mean()

    reading, looking = ([turning(name, seed) for seed in range(8)] for name in ("reading", "looking_around"))
    assert 5 * np.median(reading) < np.median(looking)


def test_the_spine_takes_up_what_sways_below_the_head():
    def level(motion, name):
        force = np.gradient(np.gradient(_place(motion, name), 1 / 60, axis=0), 1 / 60, axis=0)[10:-10, :2]
        return force.std(0).max()

    shares = []
    for seed in range(6):
        motion = simulate_activity("walking", seed)
        shares.append(level(motion, "Head") / level(motion, "Pelvis"))
    assert np.median(shares) < 0.7  # Menz et al. 2003


@pytest.mark.parametrize(("name", "sign"), [("walking_left", 1), ("walking_right", -1)])
def test_walks_in_circles_go_the_way_they_say(name, sign):
    assert all(sign * _turned(simulate_activity(name, seed)) > 0.6 for seed in range(5))


def test_a_car_shakes_whoever_sits_in_it():
    shaking = [
        np.median(
            [segment_kinematics(simulate_activity(name, seed)).specific_force[:, 0].std(0).sum() for seed in range(8)]
        )
        for name in ("riding_in_a_car", "sitting")
    ]
    assert shaking[0] > 2 * shaking[1]


def test_soft_tissue_rings_after_a_blow_and_comes_to_rest():
    pose = Pose(np.arange(180) / 60, 60.0, np.random.default_rng(0), SubjectStyle.draw(np.random.default_rng(0)))
    angle = ringing(pose, np.array([1.0]), 2.0, 5.0)
    assert not angle[:60].any() and np.abs(angle[61:75]).max() > 0.01 > 1e3 * np.abs(angle[-30:]).max()
