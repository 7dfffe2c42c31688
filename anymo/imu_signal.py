"""What an IMU signal is here: its units, and the one way that recordings and simulations come to 60 Hz."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from .known_names import did_you_mean

TARGET_RATE = 60.0  # Hz
STANDARD_GRAVITY = 9.80665  # m/s²
ACCELERATION_UNITS = {"m/s^2": 1.0, "g": STANDARD_GRAVITY, "mg": 1e-3 * STANDARD_GRAVITY}
ANGULAR_VELOCITY_UNITS = {"rad/s": 1.0, "deg/s": np.pi / 180}
RATES = (5.0, 10_000.0)  # Hz, slowest and fastest recording
# The low-pass: a sinc of ten zero crossings on either side under a Kaiser window.
_ZERO_CROSSINGS, _KAISER_BETA = 10, 5.0
PASS_BAND = f"sinc of {_ZERO_CROSSINGS} zero crossings, Kaiser {_KAISER_BETA:g}"  # for recipes of what is stored


def filter_reach(rate: float, target: float = TARGET_RATE) -> float:
    """Seconds on either side of an instant that `resample` looks at."""
    return _ZERO_CROSSINGS / min(rate, target)


def low_pass(signal: np.ndarray, rate: float, target: float = TARGET_RATE, ends: str = "edge") -> np.ndarray:
    """The low-pass of `resample` alone, for samples that are then read at other instants than an even grid.

    Zero-phase along axis 0: half of the amplitude is left at `target / 2`, over 99 % below 0.45 and under 1 % above 0.55
    of `target`. A signal at `target` or slower is returned as it is.

    Args:
        signal: `(T, ...)` at `rate` Hz.
        rate: Hz.
        target: rate that the signal is meant for, Hz.
        ends: how the signal goes on beyond its ends: "edge" by its last value, so a resting sensor keeps reading 1 g;
            "antireflect" by its mirror image about the last value, so a motion keeps its speed.
    """
    from scipy.signal import firwin, upfirdn

    if rate <= target:
        return signal
    half = round(_ZERO_CROSSINGS * rate / target)
    taps = firwin(2 * half + 1, target / rate, window=("kaiser", _KAISER_BETA))
    return upfirdn(taps, signal, axis=0, mode=ends)[half : half + len(signal)]


def resample(
    signal: np.ndarray, rate: float, target: float = TARGET_RATE, ends: str = "edge", count: int | None = None
) -> np.ndarray:
    """`(T, ...)` at `rate` Hz to `(round(T * target / rate), ...)` at `target` Hz, by a polyphase low-pass filter.

    The first sample stays at time 0. The pass-band ends at half of the lower rate, see `low_pass`. Real recordings and
    simulated ones come to 60 Hz by this function, so both have the same transfer function.

    Args:
        signal: samples along axis 0.
        rate, target: Hz; their ratio is taken as a fraction of numbers up to 1,000.
        ends: see `low_pass`.
        count: so many samples instead.

    Raises:
        ValueError: a rate outside 5 to 10,000 Hz.
    """
    from scipy.signal import firwin, resample_poly

    if not np.isfinite(rate) or not RATES[0] <= rate <= RATES[1]:
        raise ValueError(f"sampling_rate must lie between 5 and 10,000 Hz, got {rate}")
    if rate == target:
        return signal
    up, down = rate_ratio(rate, target)
    count = max(1, round(len(signal) * target / rate)) if count is None else count
    if up == down:  # a clock beside the target's by less than any fraction tells, such as 60.001 Hz
        return _of_length(signal, count)
    most = max(up, down)
    taps = firwin(2 * _ZERO_CROSSINGS * most + 1, 1 / most, window=("kaiser", _KAISER_BETA))
    for phase in range(up):  # each new sample is a mean of old ones, so what is constant stays so
        taps[phase::up] /= up * taps[phase::up].sum()
    return _of_length(resample_poly(signal, up, down, axis=0, padtype=ends, window=taps), count)


def _of_length(signal: np.ndarray, count: int) -> np.ndarray:
    """The first `count` samples, the last one repeated where there are fewer."""
    missing = count - len(signal)
    return signal[:count] if missing <= 0 else np.concatenate([signal, np.repeat(signal[-1:], missing, axis=0)])


def rate_ratio(rate: float, target: float = TARGET_RATE) -> tuple[int, int]:
    """`target / rate` as a fraction: samples number `n * up` of the new rate and `n * down` of the old one coincide."""
    ratio = Fraction(target / rate).limit_denominator(1000)
    return ratio.numerator, ratio.denominator


_SPELLINGS = {
    "m/s^2": ("m/s2", "ms-2", "m/s/s", "mps2", "m/sec2", "meters/second2", "metres/second2"),
    "g": ("g", "gs", "gforce", "g-force", "g0", "gn"),
    "mg": ("mg", "millig", "milli-g"),
    "rad/s": ("rad/s", "rads-1", "rad/sec", "radian/s", "radians/s", "radians/second", "rps"),
    "deg/s": ("deg/s", "degs-1", "dps", "deg/sec", "degree/s", "degrees/s", "degrees/second", "°/s", "º/s", "°s-1", "°/sec"),
}  # fmt: skip
_UNIT_OF = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}


def known_unit(text: str) -> str | None:
    """The unit that a text spells, such as "m/s^2" for "m/s²", "g" for "G" and "deg/s" for "dps"; None where none."""
    plain = text.strip().lower().replace("⁻²", "-2").replace("⁻¹", "-1").replace("²", "2")
    for mark in (" ", "^", "*", "(", ")", "·", "."):
        plain = plain.replace(mark, "")
    return _UNIT_OF.get(plain)


def resolve_unit(unit: str, known: Mapping[str, float], field: str) -> str:
    """The member of `known` that `unit` spells.

    Args:
        unit: as a user writes it.
        known: `ACCELERATION_UNITS` or `ANGULAR_VELOCITY_UNITS`.
        field: its name, for the message.

    Raises:
        ValueError: another unit.
    """
    found = known_unit(str(unit))
    if found is None or found not in known:
        spellings = [spelling for name in known for spelling in _SPELLINGS[name]]
        hint = did_you_mean(str(unit), spellings, 0.5, _UNIT_OF)
        raise ValueError(f"{field} must be one of {', '.join(known)}, got {unit!r}{hint}")
    return found


class ImuWarning(UserWarning):
    """A signal whose size says that its unit is another."""


# usual sensors end at 16 g; a landing felt at the shin has at most some 20 g, so that 50 g is no body's
_IMPOSSIBLE = 50 * STANDARD_GRAVITY
# m/s^2 (deviation) and rad/s: no real window is shaken by more and turned by less, as a test on eight sets says
_MOVING, _STILL = 1.0, 0.1


def suspicious_units(
    signal: np.ndarray, acceleration_unit: str = "m/s^2", angular_velocity_unit: str = "rad/s"
) -> list[str]:
    """What is odd about the size of a signal, with the likely reason and the argument that mends it.

    A body feels gravity: the median |a| of a recording lies near 9.8 m/s^2 whatever the person does, and an impact stays
    below 50 g. A limb turns at up to about 35 rad/s, which is also the range of usual gyroscopes (2,000 deg/s).

    Args:
        signal: `(T, 3)` or `(T, 6)` in m/s^2 and rad/s.
        acceleration_unit, angular_velocity_unit: as which they were read.
    """
    found: list[str] = []
    if not len(signal):
        return found
    norms = np.linalg.norm(signal[:, :3], axis=1)
    usual = float(np.median(norms))
    if not 3 <= usual <= 30:
        as_given = usual / ACCELERATION_UNITS[acceleration_unit]
        fits = [
            unit for unit, factor in ACCELERATION_UNITS.items() if 0.6 <= as_given * factor / STANDARD_GRAVITY <= 1.6
        ]
        reason = f"is acceleration_unit={acceleration_unit!r} right?"
        if fits:
            reason += f" The size fits {fits[0]}"
        elif as_given > 1500:
            reason += " They look like raw counts: divide by the sensor's counts per g and give g"
        elif usual < 3:
            reason += " Or was gravity removed? The recording with gravity is needed"
        found.append(f"median acceleration is {usual:.3g} m/s^2 where a body feels about 9.8; {reason}")
    elif norms.max() > _IMPOSSIBLE:
        found.append(
            f"acceleration reaches {norms.max():.3g} m/s^2 at sample {norms.argmax()} where impacts on a body end at about "
            f"{_IMPOSSIBLE:.0f}; is the value damaged? Repair it or cut the recording there"
        )
    if signal.shape[1] == 6:
        fast = float(np.quantile(np.linalg.norm(signal[:, 3:], axis=1), 0.99))
        moving = float(np.std(np.linalg.norm(signal[:, :3], axis=1)))
        if angular_velocity_unit == "deg/s" and moving > _MOVING and 0 < fast < _STILL:
            found.append(
                f"angular velocity stays under {fast:.2g} rad/s while acceleration moves by {moving:.2g} m/s^2; is "
                "angular_velocity_unit='deg/s' right? The size fits rad/s"
            )
        if fast > 40:
            degrees = angular_velocity_unit == "rad/s" and fast * np.pi / 180 <= 40
            reason = f"is angular_velocity_unit={angular_velocity_unit!r} right?"
            reason += " The size fits deg/s" if degrees else " They look like raw counts"
            found.append(f"angular velocity reaches {fast:.3g} rad/s where a body turns at up to about 35; {reason}")
    return found
