"""Procedural motion: plausible, seeded, and physically continuous."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from anymo_hf.modeling.body_segments import SEGMENTS
from anymo_hf.motion.procedural import ACTIVITIES, SubjectStyle, simulate_activity
from anymo_hf.motion.procedural.impacts import foot_transients
from anymo_hf.motion.procedural.pose import Pose

FOOT_SLIDE_BOUND = 0.35  # m/s, the slower of the two feet while walking (stated in the README)


def _velocity(motion):
    return np.gradient(motion.positions, 1 / motion.frame_rate, axis=0)


# Least and most degrees of each joint. Knee, elbow, hip: American Academy of Orthopaedic Surgeons (1965);
# trunk over four joints of its spine: the same, 80; head against the chest: Youdas et al. (1992), rotation 80. The ankle:
# plantar flexion 56, sd 6 (Boone and Azen 1979);
# dorsiflexion is a little wider than the 45 that people reach under load (Bennell et al. 1998).
LIMITS = {
    "knee": (-10, 150), "elbow": (-10, 150), "hip": (-30, 125), "ankle": (-60, 52), "trunk": (0, 80), "head": (0, 80),
}  # fmt: skip
# Largest acceleration (m/s^2) that heel strikes and landings add: at the shank 11 g in hard running (Lafortune 1991), less
# than half of it at the pelvis, a quarter at the head (Menz et al. 2003).
IMPACTS = {"LowerLeg": 108.0, "Pelvis": 51.0, "Head": 27.0}


def _between(motion, first, second):
    """Rotation of a segment seen from another."""
    one, other = (
        Rotation.from_quat(motion.orientations[:, SEGMENTS.index(name)], scalar_first=True) for name in (first, second)
    )
    return one.inv() * other


def _joint_degrees(motion):
    """Joint -> angles in degrees, flexion (ankle: toes up) positive, from the finished body, both sides together."""
    joints = {
        "trunk": [_between(motion, "Pelvis", "T8").magnitude()],
        "head": [_between(motion, "T8", "Head").magnitude()],
    }
    for side in "RL":
        place = {
            bone: motion.positions[:, SEGMENTS.index(f"{side}_{bone}")] for bone in ("UpperArm", "Forearm", "Hand")
        }
        upper, fore = place["Forearm"] - place["UpperArm"], place["Hand"] - place["Forearm"]
        cosine = np.sum(upper * fore, -1) / np.linalg.norm(upper, axis=-1) / np.linalg.norm(fore, axis=-1)
        joints.setdefault("elbow", []).append(np.arccos(np.clip(cosine, -1, 1)))
        about_y = lambda first, second, side=side: _between(motion, first, f"{side}_{second}").as_rotvec()[:, 1]  # noqa: E731
        joints.setdefault("knee", []).append(about_y(f"{side}_UpperLeg", "LowerLeg"))
        joints.setdefault("hip", []).append(-about_y("Pelvis", "UpperLeg"))
        joints.setdefault("ankle", []).append(-about_y(f"{side}_LowerLeg", "Foot"))
    return {joint: np.degrees(np.concatenate(angles)) for joint, angles in joints.items()}


# one person at every save, two more with all tests
PEOPLE = [(0,), pytest.param((1, 2), marks=pytest.mark.slow)]


@pytest.mark.parametrize("people", PEOPLE)
@pytest.mark.parametrize("name", sorted(ACTIVITIES))
def test_no_joint_bends_further_than_a_person_can(name, people):
    for seed in people:
        motion = simulate_activity(name, seed, duration=5.0)
        np.testing.assert_allclose(np.linalg.norm(motion.orientations, axis=-1), 1, atol=1e-9)
        for joint, angles in _joint_degrees(motion).items():
            least, most = LIMITS[joint]
            assert least <= angles.min() and angles.max() <= most, (joint, seed, angles.min(), angles.max())


@pytest.mark.parametrize("people", PEOPLE)
@pytest.mark.parametrize("name", sorted(ACTIVITIES))
def test_impacts_are_as_hard_as_measured_ones_and_decay_up_the_body(name, people):
    for seed in people:
        rng = np.random.default_rng([seed, 1])
        pose = Pose(np.arange(1200) / 240, 240.0, rng, SubjectStyle.draw(rng))
        ACTIVITIES[name].build(pose)
        blow = np.linalg.norm(np.diff(foot_transients(pose), 2, axis=0) * 240**2, axis=-1).max(0)
        size = {
            bone: blow[[i for i, segment in enumerate(SEGMENTS) if segment.endswith(bone)]].max() for bone in IMPACTS
        }
        assert all(size[bone] <= IMPACTS[bone] for bone in IMPACTS), (seed, size)
        if any(impact.at == "foot" and impact.time < 4.5 for impact in pose.impacts):
            assert size["LowerLeg"] > size["Pelvis"] > size["Head"] > 0, (seed, size)


@pytest.mark.parametrize("name", ["standing", "sit_to_stand", "stand_to_sit", "squats", "wave", "sitting"])
def test_velocity_has_no_jumps(name):
    speed = _velocity(simulate_activity(name, seed=5))[:, SEGMENTS.index("Pelvis")]
    assert np.abs(np.diff(speed, axis=0)).max() < 0.5


def test_bones_keep_their_length():
    motion = simulate_activity("wave", seed=1)
    upper, lower = SEGMENTS.index("R_UpperArm"), SEGMENTS.index("R_Forearm")
    length = np.linalg.norm(motion.positions[:, lower] - motion.positions[:, upper], axis=-1)
    assert np.ptp(length) < 1e-6


def test_a_foot_stays_put_while_walking():
    worst = []
    for seed in range(8):
        velocity = _velocity(simulate_activity("walking", seed))
        feet = np.linalg.norm(velocity[5:-5][:, [SEGMENTS.index("R_Foot"), SEGMENTS.index("L_Foot")], :2], axis=-1)
        worst.append(np.median(feet.min(axis=1)))
    assert max(worst) < FOOT_SLIDE_BOUND


def test_same_seed_same_motion_and_other_seed_other_motion():
    first, again, other = (simulate_activity("jogging", seed).positions for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_stairs_change_height_in_the_right_direction():
    rise = [np.ptp(simulate_activity(n, 2).positions[[30, -30], 0, 2]) for n in ("stairs_up", "stairs_down")]
    up = simulate_activity("stairs_up", 2).positions[:, 0, 2]
    down = simulate_activity("stairs_down", 2).positions[:, 0, 2]
    assert min(rise) > 0.3
    assert up[-1] > up[0] and down[-1] < down[0]


def test_running_flies_and_walking_does_not():
    def vertical(name):
        height = simulate_activity(name, 4).positions[:, 0, 2]
        return np.gradient(np.gradient(height, 1 / 60), 1 / 60)[5:-5]

    assert np.percentile(vertical("running"), 5) < -6  # near free fall
    assert np.percentile(vertical("walking_slow"), 5) > -6


def test_subject_styles_are_as_wide_as_people():
    rng = np.random.default_rng(0)
    heights = [SubjectStyle.draw(rng).height for _ in range(300)]
    assert 1.66 < np.mean(heights) < 1.76 and min(heights) >= 1.48 and max(heights) <= 2.0


def test_unknown_activity_and_short_duration_are_refused():
    with pytest.raises(ValueError, match="unknown activity 'flying'"):
        simulate_activity("flying", 0)
    with pytest.raises(ValueError, match="duration"):
        simulate_activity("walking", 0, duration=1.0)


@pytest.mark.parametrize(("name", "sign"), [("swipe_left", 1), ("swipe_right", -1)])
def test_swipes_go_where_they_say_with_either_arm(name, sign):
    arms = set()
    for seed in range(30):
        motion = simulate_activity(name, seed)
        fastest = {}
        for arm in "RL":
            hand = motion.positions[:, SEGMENTS.index(f"{arm}_Hand")] - motion.positions[:, SEGMENTS.index("T8")]
            sideways = np.gradient(hand[:, 1], 1 / 60) * (hand[:, 2] > -0.1)  # raised; the body faces x, left is y
            fastest[arm] = sideways[np.abs(sideways).argmax()]
        arm = max(fastest, key=lambda key: abs(fastest[key]))
        if abs(fastest[arm]) > 1:
            arms.add(arm)
            assert np.sign(fastest[arm]) == sign, seed
    assert arms == {"R", "L"}


def test_most_stairs_turn_and_some_run_straight():
    def turned(seed):
        angle = np.unwrap([_heading(q) for q in simulate_activity("stairs_down", seed).orientations[:, 0]])
        return abs(angle[-1] - angle[0])

    radians = np.array([turned(seed) for seed in range(16)])
    assert (radians > 1.0).sum() >= 8, "six seconds of a stairwell turn by a radian or more"
    assert (radians < 0.6).any()


def _heading(quaternion):
    w, x, y, z = quaternion
    return np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


def test_a_gait_never_repeats_itself_exactly():
    motion = simulate_activity("walking", 3)
    height = motion.positions[:, 0, 2] - motion.positions[:, 0, 2].mean()
    lags = [np.corrcoef(height[:-lag], height[lag:])[0, 1] for lag in range(25, 45)]
    assert 0.4 < max(lags) < 0.995, "steps are alike, yet not equal"


@pytest.mark.slow
def test_adding_and_removing_activities_changes_no_other_ones_motion(monkeypatch):
    before = {name: simulate_activity(name, 5, 2.0) for name in ACTIVITIES}
    monkeypatch.setitem(ACTIVITIES, "aerobics", ACTIVITIES["jumping"])  # first in the list
    monkeypatch.delitem(ACTIVITIES, "clap")
    for name in sorted(set(ACTIVITIES) - {"aerobics"}):
        after = simulate_activity(name, 5, 2.0)
        assert after.positions.tobytes() == before[name].positions.tobytes(), name
        assert after.orientations.tobytes() == before[name].orientations.tobytes(), name
        assert after.narrations == before[name].narrations, name
