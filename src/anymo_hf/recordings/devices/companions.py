"""Files of one recording, the accelerometer's and the gyroscope's, in a folder or zip: found and joined by their clocks."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..download import most_unpacked
from ..imu_recording import LONGEST_GAP
from .device_format import Samples

_ACC = r"total[ _-]?acceleration|raw[ _-]?acceleration|accelerometer|acceleration|accel|acc"
_GYR = r"angular[ _-]?velocity|rotation[ _-]?rate|gyroscope|gyro|gyr"
_WORDS = {
    "acc": re.compile(rf"(?<![a-z])(?:{_ACC})(?![a-z])", re.I),
    "gyr": re.compile(rf"(?<![a-z])(?:{_GYR})(?![a-z])", re.I),
}
_OTHER = re.compile(r"linear|gravity|uncalibrated|annotation|metadata|magnet", re.I)
_RATE = re.compile(r"\d+(?:\.\d+)?\s*hz", re.I)
_ENDINGS = (".csv", ".txt", ".tsv", ".json", ".jsonl", ".log", ".cwa", ".gt3x", ".bin", ".avro")
_LARGEST_ZIP = 8 << 30  # bytes unpacked


def is_of_gyroscope(path: Path) -> bool:
    """Whether a file's name says gyroscope and not accelerometer."""
    return bool(_WORDS["gyr"].search(path.stem)) and not _WORDS["acc"].search(path.stem)


def companion(path: Path, kind: str) -> Path | None:
    """The file beside `path` that is called the same but for its sensor; None where there is no one.

    Args:
        path: of the one sensor.
        kind: "acc" or "gyr", the sensor looked for.
    """
    own = _WORDS["acc" if kind == "gyr" else "gyr"]
    if not own.search(path.stem):
        return None

    def rest(stem: str, words: re.Pattern) -> str:
        return re.sub(r"[\W_]+", " ", words.sub("", _RATE.sub("", stem), count=1)).strip().lower()

    found = [
        other for other in sorted(path.parent.iterdir())
        if other.suffix.lower() == path.suffix.lower() and other != path and _WORDS[kind].search(other.stem)
        and not _OTHER.search(other.stem) and rest(other.stem, _WORDS[kind]) == rest(path.stem, own)
    ]  # fmt: skip
    if kind == "acc":
        found.sort(key=lambda other: "total" not in other.stem.lower())
    return found[0] if found else None


def join(acceleration: Samples, turning: Samples) -> Samples:
    """Acceleration with the angular velocity of another file, interpolated onto its times where both clocks run.

    A file whose clock does not overlap is left out with a warning.
    """
    times, other = (
        s.times if s.times is not None else np.arange(len(s.values)) / s.rate for s in (acceleration, turning)
    )
    name = turning.files[0].name
    other = other + (turning.start_time - acceleration.start_time)
    slack = 1.5 * max(1 / acceleration.rate, 1 / turning.rate)
    inside = (times >= other[0] - slack) & (times <= other[-1] + slack)
    for gap in np.flatnonzero(np.diff(other) > LONGEST_GAP):
        inside &= (times <= other[gap]) | (times >= other[gap + 1])
    if inside.mean() < 0.5:
        said = f"the gyroscope {name} was left out: its clock covers {inside.mean():.0%} of the acceleration's"
        acceleration.warnings.append(said)
        return acceleration
    rates = np.stack([np.interp(times[inside], other, column) for column in turning.values.T], axis=1)
    own = times[inside]
    notes = [f"{name} ({turning.rate:.4g} Hz) was joined by its clock {turning.time_column!r}"]
    if (lost := int((~inside).sum())) > 0:
        notes.append(f"{lost} samples of acceleration lie where the gyroscope has none and were cut off")
    return replace(
        acceleration, values=np.hstack([acceleration.values[inside], rates]), times=own - own[0],
        start_time=acceleration.start_time + float(own[0]), columns=acceleration.columns + turning.columns,
        left_out=acceleration.left_out | {f"{name}: {key}": why for key, why in turning.left_out.items()},
        angular_velocity_unit=turning.angular_velocity_unit,
        angular_velocity_unit_found=turning.angular_velocity_unit_found, rows=len(own),
        files=acceleration.files + turning.files, notes=acceleration.notes + turning.notes + notes,
        warnings=acceleration.warnings + turning.warnings,
    )  # fmt: skip


def export_files(folder: Path) -> list[Path]:
    """Every file below a folder that may be a device's export, by name."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in _ENDINGS and not p.name.startswith((".", "__")))


def recording_file(folder: Path) -> Path:
    """The accelerometer's file of a folder that holds one recording.

    Raises:
        OSError: none, or several between which nothing decides.
    """
    files = export_files(folder)
    named = [p for p in files if _WORDS["acc"].search(p.stem) and not _OTHER.search(p.stem)]
    total = [p for p in named if re.search("total|raw", p.stem, re.I)]
    uncalibrated = [p for p in files if re.search("accelerometer[ _-]?uncalibrated", p.stem, re.I)]
    for found in (total, named, uncalibrated, files):
        if len(found) == 1:
            return found[0]
        if found:
            break
    names = ", ".join(str(p.relative_to(folder)) for p in (named or files)[:6])
    said = f"holds {names}; give the file of one" if files else "holds no device's export; give one"
    raise OSError(f"{folder} is a folder that {said} sensor")


# what `zipfile` makes of bytes that are no zip or no names, or that are locked
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """A zip's files in a temporary folder, flat.

    Raises:
        OSError: a damaged zip, or one that unpacks to more than 8 GiB or far more than it is.
    """
    with TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                members = [m for m in archive.infolist() if m.filename.lower().endswith(_ENDINGS)]
                size = sum(member.file_size for member in members)
                if size > min(_LARGEST_ZIP, most_unpacked(path)):
                    raise OSError(
                        f"{path}: would unpack to {size >> 20:,} MB; unpack it by hand, if you trust it, and give the "
                        "sensor's file"
                    )
                for member in members:
                    target = Path(folder) / Path(member.filename).name
                    with archive.open(member) as source, target.open("wb") as sink:
                        while block := source.read(1 << 20):
                            sink.write(block)
        except _DAMAGED as error:
            raise OSError(f"{path}: damaged or locked zip ({error}); export it again") from error
        yield Path(folder)
