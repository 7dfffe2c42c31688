"""What differentiation and rate reduction leave of a known motion: error per frequency of three orders of doing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from ..markdown import table
from ..modeling.body_segments import SEGMENTS
from ..modeling.imu_signal import low_pass
from ..motion.body_motion import BodyMotion
from ..simulation.kinematics import GRAVITY, segment_kinematics

FREQUENCIES = (0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 35.0, 45.0, 55.0)
FRAME_RATE = 60.0
ACCELERATION = 5.0  # m/s², amplitude per axis of each tone
TURNING = 2.0  # rad/s, amplitude of each angle's rate
METHODS = ("ours", "nearest", "resampled")
_SECONDS, _EDGE = 8.0, 1.0


@dataclass(frozen=True)
class DerivativeError:
    """Root mean square errors at one frequency, in percent of the true dynamic signal.

    Args:
        frequency: Hz; None for all frequencies below 30 Hz together.
        acceleration: by method, percent.
        turning: by method, percent.
        alias: true above 30 Hz, where nothing of the motion may be left and the figures are what folds back.
    """

    frequency: float | None
    acceleration: dict[str, float]
    turning: dict[str, float]
    alias: bool


def derivative_errors(
    frequencies: Sequence[float] = FREQUENCIES, source_rate: float = 240.0, seed: int = 0
) -> list[DerivativeError]:
    """Errors of three orders of differentiation on a motion whose derivatives are known exactly.

    "ours" differentiates at the source's rate, low-passes the terms and reduces them to 60 Hz (`segment_kinematics`).
    "nearest" takes the source frame nearest to each 60 Hz instant and differentiates those, as the official code does.
    "resampled" low-passes and resamples positions and orientations and then differentiates.

    Each tone moves along three axes and turns about three angles with random phases, at the same acceleration and turning
    whatever its frequency. Below 30 Hz the error is taken against the analytic specific force and angular velocity.
    Above, the right answer at 60 Hz is the same motion without the tone.

    Args:
        frequencies: Hz, each below half of `source_rate`.
        source_rate: Hz of the samples, at least 60.
        seed: of the phases.

    Raises:
        ValueError: a rate below 60 Hz, or a frequency that it cannot hold.
    """
    if not source_rate >= FRAME_RATE:
        raise ValueError(f"source_rate must be at least {FRAME_RATE:g} Hz, got {source_rate}")
    if not frequencies or not all(0 < frequency < source_rate / 2 for frequency in frequencies):
        raise ValueError(f"frequencies must lie between 0 and {source_rate / 2:g} Hz, got {list(frequencies)}")
    low = [frequency for frequency in frequencies if frequency < FRAME_RATE / 2]
    rows = [(tone, [tone]) for tone in frequencies] + ([(None, low)] if len(low) > 1 else [])
    return [_error(name, tones, source_rate, np.random.default_rng(seed)) for name, tones in rows]


def markdown_table(errors: Sequence[DerivativeError], source_rate: float) -> str:
    """The errors as a Markdown table."""
    heads = [f"{kind} {name}" for kind in ("acc", "gyro") for name in METHODS]
    cells = [
        ["all below 30" if row.frequency is None else f"{row.frequency:g}",
         *(f"{values[name]:.2f}" for values in (row.acceleration, row.turning) for name in METHODS)]
        for row in errors
    ]  # fmt: skip
    title = (
        f"Error in percent of the true signal, {source_rate:g} Hz source, 60 Hz result (above 30 Hz: what folds back)"
    )
    return f"{title}\n\n{table(['Hz', *heads], cells)}"


def multi_sine(
    frequencies: Sequence[float], rng: np.random.Generator
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """A motion of sines: times `(T,)` s to position, quaternion wxyz, specific force and angular velocity.

    The orientation is `Rz(a) Ry(b) Rx(c)` with each angle a sum of sines, so the angular velocity in the body frame is
    `(c' − a' sin b, b' cos c + a' cos b sin c, −b' sin c + a' cos b cos c)`.
    """
    omega = 2 * np.pi * np.asarray(frequencies)
    phases = rng.uniform(0, 2 * np.pi, (2, 3, len(omega)))
    share = 1 / len(omega) ** 0.5

    def at(times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        waves = omega * times[:, None, None]
        position = (share * ACCELERATION / omega**2 * np.sin(waves + phases[0])).sum(-1)
        acceleration = (-share * ACCELERATION * np.sin(waves + phases[0])).sum(-1)
        angles = (share * TURNING / omega * np.sin(waves + phases[1])).sum(-1)
        rates = (share * TURNING * np.cos(waves + phases[1])).sum(-1)
        (_, b, c), (a_rate, b_rate, c_rate) = angles.T, rates.T
        turning = np.stack(
            [
                c_rate - a_rate * np.sin(b),
                b_rate * np.cos(c) + a_rate * np.cos(b) * np.sin(c),
                -b_rate * np.sin(c) + a_rate * np.cos(b) * np.cos(c),
            ],
            axis=-1,
        )
        rotation = Rotation.from_euler("ZYX", angles)
        return position, rotation.as_quat(scalar_first=True), rotation.inv().apply(acceleration - GRAVITY), turning

    return at


def _error(name: float | None, tones: Sequence[float], source_rate: float, rng: np.random.Generator) -> DerivativeError:
    motion = multi_sine(tones, rng)
    wanted = np.arange(int(_SECONDS * FRAME_RATE)) / FRAME_RATE
    source = np.arange(int(_SECONDS * source_rate) + 1) / source_rate
    position, quaternion, _, _ = motion(source)
    nearest = np.rint(wanted * source_rate).astype(int)
    found = {
        "ours": _differentiated(position, quaternion, source_rate),
        "nearest": _differentiated(position[nearest], quaternion[nearest], FRAME_RATE),
        "resampled": _differentiated(*_resampled(position, quaternion, source_rate), FRAME_RATE),
    }
    _, _, force, turning = motion(wanted)
    alias = min(tones) >= FRAME_RATE / 2
    inner = slice(int(_EDGE * FRAME_RATE), int((_SECONDS - _EDGE) * FRAME_RATE))
    errors: tuple[dict[str, float], dict[str, float]] = ({}, {})
    for column, true in enumerate((force, turning)):
        true = true[inner]
        scale = _rms(true - true.mean(axis=0))
        for method, terms in found.items():
            read = terms[column][: len(wanted)][inner]
            errors[column][method] = 100 * _rms(read - (true.mean(axis=0) if alias else true)) / scale
    return DerivativeError(name, errors[0], errors[1], alias)


def _differentiated(position: np.ndarray, quaternion: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Specific force and angular velocity at 60 Hz of a track that every segment follows."""
    positions, quaternions = (
        np.repeat(track[:, None], len(SEGMENTS), axis=1) for track in (position, quaternion)
    )  # fmt: skip
    terms = segment_kinematics(BodyMotion(rate, positions, quaternions), FRAME_RATE)
    return terms.specific_force[:, 0], terms.angular_velocity[:, 0]


def _resampled(position: np.ndarray, quaternion: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """A track low-passed like our terms and brought to 60 Hz before anything is differentiated."""
    from scipy.interpolate import CubicSpline

    times = np.arange(len(position)) / rate
    wanted = np.arange(int(times[-1] * FRAME_RATE + 1e-6) + 1) / FRAME_RATE
    # q and -q are the same turn, but not to a filter
    flips = np.cumprod(np.where((quaternion[1:] * quaternion[:-1]).sum(-1) < 0, -1.0, 1.0))
    track = np.concatenate([position, quaternion * np.concatenate([[1.0], flips])[:, None]], axis=1)
    track = CubicSpline(times, low_pass(track, rate, FRAME_RATE, ends="antireflect"))(wanted)
    return track[:, :3], track[:, 3:]


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
