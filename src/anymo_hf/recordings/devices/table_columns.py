"""What the columns of a table are: axes of an accelerometer or gyroscope, a clock, a counter, or something else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...modeling.imu_signal import ACCELERATION_UNITS, ANGULAR_VELOCITY_UNITS, known_unit

SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "second": 1.0, "ms": 1e-3, "msec": 1e-3, "milliseconds": 1e-3,
           "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "microseconds": 1e-6, "ns": 1e-9, "nanoseconds": 1e-9}  # fmt: skip
_BRACKETS = re.compile(r"[(\[{]([^()\[\]{}]*(?:\([^()]*\)[^()\[\]{}]*)?)[)\]}]")
_UNIT_WORDS = {"mps2": "m/s^2", "ms2": "m/s^2", "g": "g", "mg": "mg", "dps": "deg/s", "deg": "deg/s", "rads": "rad/s",
               "rps": "rad/s", "degs": "deg/s"}  # fmt: skip
_STEMS = {
    "acc": {"acc", "accel", "accl", "acceleration", "accelerations", "accelerometer", "a", "gf"},
    "gyr": {"gyr", "gyro", "gyroscope", "gyroscopes", "w", "omega", "rotation", "angvel", "rotationrate"},
    "gravity": {"gravity", "grav", "grv"},
}
# what makes another signal of an acceleration or angular velocity
_FREE = {"linear", "user", "free", "lin", "useracceleration", "linearacceleration", "dynamic"}
_OTHER = {"mag", "magn", "magnetic", "magnetometer", "magnetism", "quat", "quaternion", "orientation", "euler", "angle",
          "attitude", "bias", "velocity", "position", "location", "pressure", "temperature", "temp", "increment", "dv", "dq",
          "roll", "pitch", "yaw", "mat", "std", "var", "field", "uncal", "b", "m", "mx", "heading"}  # fmt: skip
_CLOCK = ("seconds_elapsed", "sampletimefine", "timestamp", "elapsed", "epoch", "unixtime", "unix", "time", "datetime",
          "date", "seconds", "millis", "micros", "ms", "t")  # fmt: skip
_COUNTER = ("packetcounter", "packet", "counter", "sample", "samplenumber", "index", "seq", "sequence", "count")


@dataclass(frozen=True)
class Triple:
    """The x, y and z columns of one sensor.

    Args:
        kind: "acc", "gyr", "gravity" or "free" (acceleration without gravity).
        columns: x, y and z.
        sensor: what else their names say, such as the place or the range.
        unit: that they name, "" where none.
    """

    kind: str
    columns: tuple[str, str, str]
    sensor: str
    unit: str


def words_of(name: str) -> list[str]:
    """The words of a column's name in lower case without a unit in brackets: gyro, rotation, x of "gyroRotationX(rad/s)"."""
    plain = _BRACKETS.sub(" ", name)
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", plain)
    return re.findall(r"[a-z]+|\d+", plain.lower())


def unit_of(name: str, below: Mapping[str, str]) -> str:
    """The unit in the row below the names, in brackets of the name, or as its last word; "" where none is known."""
    found = _BRACKETS.search(name)
    for text in (below.get(name, ""), found[1] if found else ""):
        text = text.strip().strip("()[]")
        if unit := known_unit(text):
            return unit
        if text.lower() in SECONDS:
            return {1.0: "s", 1e-3: "ms", 1e-6: "us", 1e-9: "ns"}[SECONDS[text.lower()]]
    words = words_of(name)
    if match := re.search(r"\bin\s+(ms|s|us|ns)\s*$", name, re.I):
        return match[1].lower()
    tail = "".join(words[-2:]) if len(words) > 2 else ""
    of_time = len(words) > 1 and words[-1] in ("s", "ms", "us", "ns", "sec", "msec")
    if of_time and not set(words) & {"axis", "x", "y", "z"}:
        return {"sec": "s", "msec": "ms"}.get(words[-1], words[-1])
    if tail in ("ms2", "mps2"):
        return "m/s^2"
    if len(words) > 2 and set(words[:-1]) & {"x", "y", "z"} and words[-1] in _UNIT_WORDS:
        return _UNIT_WORDS[words[-1]]
    return ""


def _axis(words: list[str]) -> tuple[str, list[str]] | None:
    """The axis and the other words; None where there is no one axis."""
    whole = [word for word in words if word in ("x", "y", "z")]
    if len(whole) == 1:
        return whole[0], [word for word in words if word not in ("x", "y", "z")]
    if whole:
        return None
    stems = {stem for kind in _STEMS.values() for stem in kind} | _FREE | _OTHER | {"g"}
    for place, word in enumerate(words):
        if len(word) > 1 and word[-1] in "xyz" and word[:-1] in stems:
            return word[-1], [*words[:place], word[:-1], *words[place + 1 :]]
        if len(word) > 1 and word[0] in "xyz" and word[1:] in stems:
            return word[0], [*words[:place], word[1:], *words[place + 1 :]]
    return None


def _kind(words: list[str], unit: str) -> str | None:
    said = set(words)
    if said & _STEMS["gravity"] and not said & {"acc", "accelerometer"}:
        return "gravity"
    angular = "angular" in said or said & _STEMS["gyr"] or any(word.startswith("gyr") for word in said)
    if angular and not said & {"mag", "quat", "angle", "euler"} and not (said & {"a", "acc", "accelerometer"}):
        return "gyr"
    if said & (_OTHER - {"velocity"}):
        return None
    accelerates = said & _STEMS["acc"] or any(word.startswith("acc") for word in said)
    if said & _FREE and (accelerates or said & {"useracceleration", "linearacceleration"}):
        return "free"
    if accelerates or unit in ACCELERATION_UNITS or ("g" in said and "force" in said):
        return "acc"
    if unit in ANGULAR_VELOCITY_UNITS:
        return "gyr"
    return None


def find_triples(names: Sequence[str], below: Mapping[str, str] | None = None, kind: str | None = None) -> list[Triple]:
    """Every group of three columns that are x, y and z of one sensor, in the order of the file.

    Args:
        names: of the columns.
        below: column -> its unit in the row below the names.
        kind: what columns are that say no more than x, y and z; default: acceleration, unless the unit says another.
    """
    below = below or {}
    groups: dict[tuple[str, str], dict[str, str]] = {}
    bare: dict[str, dict[str, str]] = {}
    for name in names:
        words = words_of(name)
        found = _axis(words)
        if found is None:
            continue
        axis, rest = found
        unit = unit_of(name, below)
        if unit and rest and rest[-1] in _UNIT_WORDS:
            rest = rest[:-1]
        known = _kind(rest, unit)
        if known is None and set(rest) <= {"axis", "value", "data", "g"} and rest != ["g"]:
            bare.setdefault(" ".join(rest), {}).setdefault(axis, name)
        elif known is not None:
            groups.setdefault((known, " ".join(rest)), {}).setdefault(axis, name)
        elif rest == ["g"]:  # gx beside ax is the gyroscope
            groups.setdefault(("g", ""), {}).setdefault(axis, name)
    if ("g", "") in groups:
        # acceleration of any kind or name beside it: then gx is no acceleration
        beside = any(kind in ("acc", "free") and len(axes) == 3 for (kind, _), axes in groups.items())
        named = any("acc" in word for name in names for word in words_of(name))
        groups[("gyr" if beside or named else "acc", "g")] = groups.pop(("g", ""))
    triples = []
    for (found_kind, sensor), axes in groups.items():
        if len(axes) == 3:
            columns = (axes["x"], axes["y"], axes["z"])
            triples.append(Triple(found_kind, columns, sensor, unit_of(columns[0], below)))
    if not triples or kind is not None:
        for sensor, axes in bare.items():
            if len(axes) == 3:
                columns = (axes["x"], axes["y"], axes["z"])
                triples.append(Triple(kind or "acc", columns, sensor, unit_of(columns[0], below)))
    order = {name: place for place, name in enumerate(names)}
    return sorted(triples, key=lambda triple: (_rank(triple), order[triple.columns[0]]))


def _rank(triple: Triple) -> int:
    """Calibrated values go before raw ones, and those with a known unit before those without."""
    words = set(triple.sensor.split())
    return 2 * bool(words & {"raw", "uncalibrated", "uncal"}) + (not triple.unit)


def find_clock(names: Sequence[str]) -> list[str]:
    """Columns whose names speak of time, the likeliest first."""
    found: dict[str, int] = {}
    for name in names:
        words = words_of(name)
        if _axis(words) is not None:
            continue
        plain = "".join(words)
        for place, word in enumerate(_CLOCK):
            flat = word.replace("_", "")
            exact = plain == flat or word in words
            if exact or (len(flat) >= 4 and flat in plain):
                found[name] = 2 * place + (not exact)
                break
    return sorted(found, key=lambda name: found[name])


def find_counter(names: Sequence[str]) -> str | None:
    """The column that counts packets or samples."""
    plain = {"".join(words_of(name)): name for name in names}
    return next((plain[word] for word in _COUNTER if word in plain), None)
