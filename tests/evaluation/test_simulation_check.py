"""The comparison with real sensors finds what is known: frames, lever arms, lags, and what does not fit."""

import numpy as np
import pytest
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from anymo_hf.evaluation.simulation_check import compare_kinect, compare_trackers, tracker_table
from anymo_hf.modeling.body_segments import SEGMENTS
from anymo_hf.motion.procedural import simulate_activity
from anymo_hf.pictures.trackers import draw_trackers
from anymo_hf.simulation.surface import load_template

NAMES = ("R_Hand", "L_Foot", "Head")


@pytest.fixture(scope="module")
def walk():
    return simulate_activity("walking", 5, duration=3.0, frame_rate=240.0)


def tracker(motion, segment, lever, turn):
    """Orientation wxyz, specific force and angular velocity of a rigid sensor, differentiated from its own path."""
    body = Rotation.from_quat(motion.orientations[:, segment], scalar_first=True)
    world = body * turn
    path = motion.positions[:, segment] + body.apply(lever)
    rate = motion.frame_rate
    second = np.zeros_like(path)
    second[1:-1] = (path[2:] - 2 * path[1:-1] + path[:-2]) * rate**2
    second[0], second[-1] = second[1], second[-2]
    step = (world[:-1].inv() * world[1:]).as_rotvec() * rate
    turning = np.concatenate([step[:1], (step[1:] + step[:-1]) / 2, step[-1:]])
    return world.as_quat(scalar_first=True), world.inv().apply(second + [0, 0, 9.80665]), turning


def trackers(motion, levers, turns):
    segments = [SEGMENTS.index(name) for name in NAMES]
    parts = [tracker(motion, *item) for item in zip(segments, levers, turns, strict=True)]
    return NAMES, segments, *(np.stack(column, axis=1) for column in zip(*parts, strict=True))


def test_a_rigid_tracker_is_simulated_exactly_at_the_fitted_lever(walk):
    levers = np.array([[0.05, -0.09, 0.02], [0.1, 0.01, -0.04], [0.08, 0.0, 0.1]])
    turns = [Rotation.random(rng=seed) for seed in range(3)]
    rows = compare_trackers(walk, *trackers(walk, levers, turns))
    for row, lever in zip(rows, levers, strict=True):
        np.testing.assert_allclose(row.fitted_lever, lever, atol=2e-3)
        assert row.gyro_rmse < 1e-6 * max(row.gyro_rms, 1) and row.turn_deviation < 1e-5
        assert row.acceleration_correlation[2] > 0.9999 and row.acceleration_rmse[2] < 0.02
        assert row.acceleration_rmse[0] > row.acceleration_rmse[2]


def test_the_template_lever_is_on_the_side_that_the_tracker_faces(walk):
    template = load_template()
    outward_down = Rotation.from_matrix(np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]]))  # z axis down: on the sole
    row = compare_trackers(walk, *trackers(walk, np.zeros((3, 3)), [outward_down] * 3), template)[1]
    sole = template.offset[template.segment == SEGMENTS.index("L_Foot")][:, 2].min()
    assert row.acceleration_correlation[0] > 0.999  # the sensor was put on the origin
    assert row.acceleration_rmse[1] > 0.5 * row.acceleration_rmse[0] and sole < -0.02


def test_a_sensor_of_another_segment_is_found_out(walk):
    names, segments, *signals = trackers(walk, np.zeros((3, 3)), [Rotation.identity()] * 3)
    row = compare_trackers(walk, names, [segments[1], segments[0], segments[2]], *signals)[0]
    assert row.turn_deviation > 5 and row.gyro_correlation < 0.9


@pytest.mark.slow
def test_table_and_picture(walk, tmp_path):
    pytest.importorskip("matplotlib")
    rows = compare_trackers(walk, *trackers(walk, np.zeros((3, 3)), [Rotation.identity()] * 3))
    assert tracker_table(rows).count("\n") == 2 + len(rows)
    draw_trackers(
        tmp_path / "check.png", [row.name for row in rows], np.array([row.gyro_rmse for row in rows]),
        np.array([row.acceleration_correlation for row in rows]), np.array([row.acceleration_rmse for row in rows]), 10.0,
    )  # fmt: skip
    assert (tmp_path / "check.png").read_bytes()[:4] == b"\x89PNG" and len(list(tmp_path.iterdir())) == 1


def test_wrong_shapes_are_refused(walk):
    names, segments, orientation, force, turning = trackers(walk, np.zeros((3, 3)), [Rotation.identity()] * 3)
    with pytest.raises(ValueError, match=r"acceleration must be \(720, 3, 3\)"):
        compare_trackers(walk, names, segments, orientation, force[:-1], turning)


@pytest.mark.parametrize("late", [0.0, 0.2])
def test_a_filmed_wrist_agrees_with_its_sensor_and_a_late_sensor_is_noticed(tmp_path, late):
    (tmp_path / "Skeleton").mkdir()
    (tmp_path / "Inertial").mkdir()
    omega, radius = 2 * np.pi * 0.7, 0.35

    def force(time):  # a circle in the upright plane
        return radius * omega**2 * np.stack([-np.cos(omega * time), -np.sin(omega * time), 0 * time], 1) + [
            0,
            9.80665,
            0,
        ]

    for trial in (1, 2, 3):
        worn, film = np.arange(200) / 50 - late, np.linspace(0, 199 / 50, 80)
        skeleton = np.zeros((20, 3, 80))
        skeleton[10] = radius * np.stack([np.cos(omega * film), np.sin(omega * film), 0 * film])
        savemat(tmp_path / "Skeleton" / f"a3_s1_t{trial}_skeleton.mat", {"d_skel": skeleton})
        readings = np.concatenate([force(worn) / 9.80665, np.zeros((200, 3))], axis=1)
        savemat(tmp_path / "Inertial" / f"a3_s1_t{trial}_inertial.mat", {"d_iner": readings})
    summary = compare_kinect(tmp_path)
    assert summary.trials == 3 and summary.frame_rate == pytest.approx(79 / 3.98, rel=1e-3)
    assert summary.lag == pytest.approx(late, abs=0.06) and summary.lagged_correlation > 0.95
    if late == 0:
        assert summary.correlation > 0.95 and summary.rmse < 0.35 * summary.real_deviation
    else:
        assert summary.correlation < 0.8


def test_a_folder_without_trials_is_named(tmp_path):
    with pytest.raises(OSError, match="no pairs of Skeleton"):
        compare_kinect(tmp_path)
