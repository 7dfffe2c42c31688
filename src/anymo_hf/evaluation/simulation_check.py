"""The simulator beside real sensors: Xsens trackers from body segments, and a wrist from a depth camera.

anymo sensor check --mvnx kicking-003.mvnx --utd DIR --out results

**Trackers** (`compare_trackers`). An MVNX file holds 23 body segments and the 17 real sensors they were estimated from, so
this checks conventions and kinematics, not independence. Each tracker is simulated from its segment alone. Its turn on
the segment is the mean of the file's own orientations. Its lever arm is one of three: none; the body template's, at the
candidates whose skin faces where the tracker's z axis points (no fit: what the simulator does for a new sensor); or the one
that fits the real acceleration best, which is the ceiling for a rigid placement.

**Wrist** (`compare_kinect`). UTD-MHAD films each trial with a depth camera; the acceleration magnitude of the filmed wrist,
gravity included, is compared with the worn sensor's. The camera runs near 19 frames a second and its time is only known
by the ends of the trial, so the best lag within 0.4 s is given as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.signal import butter, sosfiltfilt
from scipy.spatial.transform import Rotation

from ..atomic_write import write_json
from ..markdown import table
from ..modeling.body_segments import SEGMENTS
from ..motion.body_motion import BodyMotion
from ..motion.formats.mvnx import read_mvnx
from ..pictures.trackers import draw_trackers
from ..recordings.matlab_file import read_matlab
from ..refusals import refusing
from ..simulation.kinematics import GRAVITY, angular_velocity, rotation_matrices, second_difference
from ..simulation.surface import SurfaceTemplate, load_template

CUTOFF = 10.0  # Hz, of trackers' acceleration: above it segments are smoothed by the estimator and sensors are not
KINECT_CUTOFF = 2.0  # Hz
LEVERS = ("none", "template", "fitted")
_FACING = 10  # candidates whose mean is the template's lever arm
_LAG = 0.4  # s
_WRIST = 10  # joint of the depth camera's skeleton
_LAST_WRIST_ACTION = 21  # later ones wear the sensor on the thigh


@dataclass(frozen=True)
class TrackerRow:
    """One tracker. Root mean squares and correlations are over the samples of all three axes together; correlations after
    removal of each axis's mean.

    Args:
        name: of the tracker; segment: that carries it.
        turn_deviation: mean angle in degrees by which the tracker's turn on its segment departs from its mean.
        gyro_rms, gyro_rmse: rad/s, real signal and error, unfiltered; gyro_correlation: of the two.
        acceleration_correlation, acceleration_rmse: by lever arm, as in `LEVERS`; m/s^2, low-passed at `CUTOFF`.
        fitted_lever: metres, segment axes.
    """

    name: str
    segment: str
    turn_deviation: float
    gyro_rms: float
    gyro_rmse: float
    gyro_correlation: float
    acceleration_correlation: tuple[float, float, float]
    acceleration_rmse: tuple[float, float, float]
    fitted_lever: tuple[float, float, float]


def compare_trackers(
    motion: BodyMotion,
    names: Sequence[str],
    segments: Sequence[int],
    orientation: np.ndarray,
    acceleration: np.ndarray,
    turning: np.ndarray,
    template: SurfaceTemplate | None = None,
) -> list[TrackerRow]:
    """Simulated against real trackers at the motion's own rate.

    Args:
        motion: of the body.
        names, segments: of the `N` trackers; segments are indices of `SEGMENTS`.
        orientation: `(T, N, 4)` wxyz, tracker to world.
        acceleration: `(T, N, 3)` specific force in tracker axes, m/s^2.
        turning: `(T, N, 3)` angular velocity in tracker axes, rad/s.
        template: body surface; the shipped one at the motion's standing height when left out.

    Raises:
        ValueError: shapes that do not agree.
    """
    frames, count = len(motion.positions), len(names)
    for name, value, width in (
        ("orientation", orientation, 4),
        ("acceleration", acceleration, 3),
        ("turning", turning, 3),
    ):
        if value.shape != (frames, count, width):
            raise ValueError(f"{name} must be ({frames}, {count}, {width}) as motion and names say, got {value.shape}")
    rate = motion.frame_rate
    template = template or load_template().scaled(_standing_height(motion))
    rotations, trackers = rotation_matrices(motion.orientations), rotation_matrices(orientation)
    inverse = np.swapaxes(rotations, -1, -2)
    force = (inverse @ (second_difference(motion.positions, rate) - GRAVITY)[..., None])[..., 0]
    lever = inverse @ second_difference(rotations, rate)
    omega = angular_velocity(motion.orientations, rate)
    rows = []
    for index, (name, segment) in enumerate(zip(names, segments, strict=True)):
        turns = Rotation.from_matrix(inverse[:, segment] @ trackers[:, index])
        frame = turns.mean().as_matrix()
        deviation = np.degrees((turns * Rotation.from_matrix(frame).inv()).magnitude().mean())
        real_turning, simulated = turning[:, index], omega[:, segment] @ frame
        smooth_force, smooth_lever = _smooth(force[:, segment], rate), _smooth(lever[:, segment], rate)
        real = _smooth(acceleration[:, index], rate) @ frame.T  # in segment axes, where lever arms are
        fitted, *_ = np.linalg.lstsq(smooth_lever.reshape(-1, 3), (real - smooth_force).reshape(-1), rcond=None)
        levers = (np.zeros(3), _facing(template, segment, frame[:, 2]), fitted)
        readings = [smooth_force + smooth_lever @ arm for arm in levers]
        rows.append(
            TrackerRow(
                name,
                SEGMENTS[segment],
                float(deviation),
                _rms(real_turning),
                _rms(simulated - real_turning),
                _correlation(simulated, real_turning),
                tuple(_correlation(reading, real) for reading in readings),
                tuple(_rms(reading - real) for reading in readings),
                tuple(float(value) for value in fitted),
            )
        )
    return rows


def _standing_height(motion: BodyMotion) -> float:
    """Body height from the lengths of thigh and shank, 0.491 of it (`motion/skeleton.py`)."""
    place = {name: motion.positions[:, SEGMENTS.index(name)] for name in ("R_UpperLeg", "R_LowerLeg", "R_Foot")}
    thigh = np.linalg.norm(place["R_LowerLeg"] - place["R_UpperLeg"], axis=-1)
    shank = np.linalg.norm(place["R_Foot"] - place["R_LowerLeg"], axis=-1)
    return float(np.clip(np.median(thigh + shank) / 0.491, 0.5, 2.6))


def _facing(template: SurfaceTemplate, segment: int, outward: np.ndarray) -> np.ndarray:
    """Mean lever arm of the candidates whose normals agree best with `outward`, metres."""
    rows = np.flatnonzero(template.segment == segment)
    best = rows[np.argsort(-(template.frame[rows, :, 2] @ outward))[:_FACING]]
    return template.offset[best].mean(0)


def _smooth(values: np.ndarray, rate: float, cutoff: float = CUTOFF) -> np.ndarray:
    return sosfiltfilt(butter(2, cutoff, fs=rate, output="sos"), values, axis=0)


def _rms(values: np.ndarray) -> float:
    """Root mean square over samples and axes."""
    return float(np.sqrt(np.mean(np.square(values))))


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first - first.mean(0), second - second.mean(0)
    return float((first * second).sum() / np.sqrt(np.square(first).sum() * np.square(second).sum()))


@dataclass(frozen=True)
class KinectSummary:
    """Medians over trials.

    Args:
        trials: how many; frame_rate: of the camera, Hz.
        correlation: of filmed and worn acceleration magnitude, low-passed at `KINECT_CUTOFF`, clocks as they are.
        lagged_correlation: at the best lag of at most 0.4 s; lag: that lag, s, positive where the sensor is late.
        rmse, real_deviation: m/s^2, of the difference and of the worn magnitude about its mean.
    """

    trials: int
    frame_rate: float
    correlation: float
    lagged_correlation: float
    lag: float
    rmse: float
    real_deviation: float


def compare_kinect(folder: str | Path) -> KinectSummary:
    """Filmed against worn wrist of every trial of UTD-MHAD that wears one.

    Args:
        folder: holds `Skeleton/` and `Inertial/`, itself or in a folder UTD-MHAD.

    Raises:
        OSError: no such folders or no pair of files in them.
    """
    root = Path(folder)
    root = root / "UTD-MHAD" if (root / "UTD-MHAD").is_dir() else root
    rows = []
    for path in sorted((root / "Skeleton").glob("a*_skeleton.mat")):
        match = re.fullmatch(r"a(\d+)_s\d+_t\d+_skeleton", path.stem)
        worn = root / "Inertial" / path.name.replace("_skeleton", "_inertial")
        if match and int(match[1]) <= _LAST_WRIST_ACTION and worn.is_file():
            rows.append(_kinect_trial(_matrix(path, "d_skel")[_WRIST].T, _matrix(worn, "d_iner")[:, :3] * 9.80665))
    if not rows:
        raise OSError(f"{root}: no pairs of Skeleton/a*_skeleton.mat and Inertial/a*_inertial.mat found")
    return KinectSummary(len(rows), *(float(value) for value in np.median(np.array(rows), axis=0)))


def _matrix(path: Path, name: str) -> np.ndarray:
    with refusing(path, "MATLAB file"):
        content = read_matlab(path.read_bytes())
        if name not in content:
            raise ValueError(f"{path}: variable {name!r} is missing; found {sorted(content)}; fetch it again")
        return content[name]


def _kinect_trial(filmed: np.ndarray, worn: np.ndarray, rate: float = 50.0) -> tuple[float, ...]:
    """Figures of one trial: filmed `(F, 3)` metres y up, worn `(T, 3)` m/s^2."""
    seconds = (len(worn) - 1) / rate
    frame_rate = (len(filmed) - 1) / seconds
    path = _smooth(filmed, frame_rate, KINECT_CUTOFF)
    spline = CubicSpline(np.linspace(0, seconds, len(filmed)), path)
    simulated = np.linalg.norm(spline(np.arange(len(worn)) / rate, 2) + [0, 9.80665, 0], axis=-1)
    real = np.linalg.norm(_smooth(worn, rate, KINECT_CUTOFF), axis=-1)
    edge = round(0.1 * rate)  # a spline's ends swing
    most = round(_LAG * rate)
    lags = {
        lag: _correlation(simulated[most + edge : -most - edge], np.roll(real, -lag)[most + edge : -most - edge])
        for lag in range(-most, most + 1)
    }
    best = max(lags, key=lambda lag: lags[lag])
    inner = slice(edge, -edge)
    error = _rms(simulated[inner] - real[inner])
    plain = _correlation(simulated[inner], real[inner])
    return frame_rate, plain, lags[best], best / rate, error, float(real[inner].std())


def tracker_table(rows: Sequence[TrackerRow]) -> str:
    """Markdown, one line a tracker."""
    head = [
        "Tracker", "Gyroscope rms", "RMSE rad/s", "corr.", "Acceleration corr. none / template / fitted lever",
        "RMSE m/s² none / template / fitted",
    ]  # fmt: skip
    cells = [
        [row.name, f"{row.gyro_rms:.2f}", f"{row.gyro_rmse:.3f}", f"{row.gyro_correlation:.3f}",
         *(" / ".join(f"{v:.2f}" for v in part) for part in (row.acceleration_correlation, row.acceleration_rmse))]
        for row in rows
    ]  # fmt: skip
    return table(head, cells) + "\n"


def report(mvnx: str | Path | None, utd: str | Path | None, out: str | Path) -> Iterator[str]:
    """Lines of the report; writes simulation_check.json to `out`, and simulation_check.png where there are trackers.

    Args:
        mvnx: MVNX file that holds sensor data; utd: folder of UTD-MHAD; at least one of them.
        out: folder for the files.

    Raises:
        ValueError: neither was given, or the MVNX has no sensor signals.
        OSError: no trials of UTD-MHAD there.
    """
    if mvnx is None and utd is None:
        raise ValueError("give --mvnx FILE, --utd DIR or both")
    out, found = Path(out), {}
    if mvnx is not None:
        recording = read_mvnx(mvnx)
        if recording.acceleration is None or recording.angular_velocity is None:
            raise ValueError(f"{mvnx} has no sensorAcceleration and sensorAngularVelocity; export MVNX version 3")
        rows = compare_trackers(
            recording.motion, recording.tracker_names, recording.tracker_segments, recording.orientation,
            recording.acceleration, recording.angular_velocity,
        )  # fmt: skip
        out.mkdir(parents=True, exist_ok=True)
        draw_trackers(
            out / "simulation_check.png", [row.name for row in rows], np.array([row.gyro_rmse for row in rows]),
            np.array([row.acceleration_correlation for row in rows]), np.array([row.acceleration_rmse for row in rows]),
            CUTOFF,
        )  # fmt: skip
        found |= {"mvnx": Path(mvnx).name, "cutoff_hz": CUTOFF, "trackers": [asdict(row) for row in rows]}
        yield tracker_table(rows)
    if utd is not None:
        summary = compare_kinect(utd)
        found["utd_mhad"] = {"cutoff_hz": KINECT_CUTOFF, **asdict(summary)}
        yield (
            f"UTD-MHAD wrist: {summary.trials} trials, camera {summary.frame_rate:.1f} Hz; correlation of |acceleration| "
            f"below {KINECT_CUTOFF:g} Hz {summary.correlation:.2f}, at the best lag {summary.lagged_correlation:.2f}; "
            f"RMSE {summary.rmse:.2f} m/s², worn signal's deviation {summary.real_deviation:.2f} m/s²"
        )
    yield f"written: {write_json(out / 'simulation_check.json', found)}"
