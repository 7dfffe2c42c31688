"""Gait: planted feet stand still, legs meet their feet, and paths keep their length."""

import numpy as np
import pytest

from anymo_hf.motion.procedural.gait import BALL, HEEL, GroundPath, foot_path, reachable_height, two_link_leg
from anymo_hf.motion.procedural.locomotion import GAITS

PHASE = np.linspace(0, 3, 3001)


def test_a_leg_meets_a_target_within_reach_and_keeps_its_lengths():
    rng = np.random.default_rng(0)
    hip = rng.normal(0, 0.05, (200, 3)) + [0, 0, 0.9]
    ankle = np.stack([rng.uniform(-0.3, 0.3, 200), rng.uniform(-0.1, 0.1, 200), rng.uniform(0.2, 0.4, 200)], 1)
    forward = np.tile([1.0, 0.0, 0.0], (200, 1))
    thigh, shank = two_link_leg(hip, ankle, forward, 0.42, 0.44)
    knee = hip - 0.42 * thigh[:, :, 2]
    np.testing.assert_allclose(knee - 0.44 * shank[:, :, 2], ankle, atol=4e-3)  # softened near full reach
    assert ((knee - (hip + ankle) / 2)[:, 0] > 0).all(), "knees bend to the front"
    for frame in (thigh, shank):
        np.testing.assert_allclose(frame @ frame.transpose(0, 2, 1), np.tile(np.eye(3), (200, 1, 1)), atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(frame), 1, atol=1e-12)


def test_a_leg_out_of_reach_is_nearly_straight_and_points_at_the_target():
    thigh, shank = two_link_leg(np.array([[0.0, 0, 1]]), np.array([[0.0, 0, -1]]), np.array([[1.0, 0, 0]]), 0.4, 0.4)
    assert np.degrees(np.arccos((thigh[0] * shank[0]).sum(0)[2])) < 15
    np.testing.assert_allclose((thigh + shank)[0, :2, 2] / 2, 0, atol=0.1)


@pytest.mark.parametrize("kind", sorted(GAITS))
def test_the_pivot_of_a_planted_foot_does_not_move(kind):
    height, shape = 1.7, GAITS[kind].foot
    foot = foot_path(PHASE, 0.0, shape, 1.4, 0.0, 0.05, height)
    cycle = np.mod(PHASE, 1)
    inside = (cycle > 0.03) & (cycle < shape.stance - 0.06)
    for point, chosen in ((HEEL, inside & (foot.pitch >= 0)), (BALL, inside & (foot.pitch < 0))):
        x = foot.along + height * (np.cos(foot.pitch) * point[0] - np.sin(foot.pitch) * point[2])
        z = foot.height + height * (np.sin(foot.pitch) * point[0] + np.cos(foot.pitch) * point[2])
        for number in range(3):
            here = chosen & (np.floor(PHASE) == number)
            if here.sum() > 5:
                # a folded foot still turns a little about the ankle as it lands
                bound = 0.005 + 0.02 * shape.fold
                assert np.ptp(x[here]) < bound and np.ptp(z[here]) < bound, (kind, number)


def test_feet_advance_one_stride_a_cycle_and_climb_with_the_stairs():
    foot = foot_path(PHASE, 0.5, GAITS["up"].foot, 0.6, 0.34, 0.05, 1.7)
    np.testing.assert_allclose(foot.along[2000] - foot.along[1000], 0.6, atol=1e-9)
    np.testing.assert_allclose(foot.height[2000] - foot.height[1000], 0.34, atol=1e-9)


def test_the_swinging_foot_clears_the_ground():
    for kind in ("walk", "run"):
        foot = foot_path(PHASE, 0.0, GAITS[kind].foot, 1.4, 0.0, 0.05, 1.7)
        assert foot.height.min() > -1e-3 and foot.height.max() > 0.05


def test_a_straight_ground_path_is_a_line_and_a_curved_one_a_circle():
    class Still:
        def normal(self, *_):
            return 0.0

        def uniform(self, low, high):
            return low + 1

    line = GroundPath.draw(0, 10, 0.0, 0.0, Still())
    start, _ = line.at(np.array([0.0]), 0.0)
    end, heading = line.at(np.array([10.0]), 0.0)
    np.testing.assert_allclose(end - start, [[10, 0]], atol=1e-6)
    np.testing.assert_allclose(heading, 0)
    circle = GroundPath.draw(0, 10, 0.0, 0.5, Still())
    places, _ = circle.at(np.linspace(0, 10, 50), 2.0)  # the centre lies 1 / curvature to the left
    np.testing.assert_allclose(places, np.broadcast_to(places[0], places.shape), atol=0.025)  # steps of 2 cm


def test_reachable_height_is_that_of_a_straight_leg_above_the_foot():
    hip, ankle = np.zeros((5, 3)), np.tile([0.3, 0.0, 0.1], (5, 1))
    assert reachable_height(hip, ankle, 0.8, 0.0) == pytest.approx(0.1 + np.sqrt(0.8**2 - 0.3**2))


def test_landings_keep_the_mean_turning_and_make_it_uneven():
    even, bent = (GroundPath.draw(0, 30, 0.0, 0.8, np.random.default_rng(1), landings=share) for share in (0.0, 1.0))
    rates = [np.gradient(path.heading, path.distance) for path in (even, bent)]
    assert np.mean(rates[1]) == pytest.approx(np.mean(rates[0]), abs=0.05)
    assert np.ptp(rates[1]) > 1.2 > 4 * np.ptp(rates[0])
