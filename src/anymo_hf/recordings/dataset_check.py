"""Which known datasets lie in a folder, whether they are what they claim, and how much of each is there."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .catalogue import checked_datasets
from .dataset import Dataset, Published
from .imu_recording import natural_key
from .stretches import CALM

_RATE_TOLERANCE = 0.2  # a rate that its document rounds, such as 30 Hz for 33.3, passes
_CLOCK_FILES = 5


@dataclass(frozen=True)
class SensorSummary:
    """What one placement reads.

    Args:
        acceleration: median magnitude over the seconds at rest, m/s^2; over all where nothing rests.
        angular_velocity: 99th percentile of the axes' magnitudes, rad/s; None without gyroscope.
    """

    acceleration: float
    angular_velocity: float | None


@dataclass
class DatasetReport:
    """What was found of one dataset.

    Args:
        name: key of `checked_datasets()`.
        folder: the folder or zip that holds it.
        counts: "recordings", "sessions", "windows" as the evaluation cuts them, "seconds", "classes" and "subjects".
        classes: class text -> recordings.
        missing_classes: class texts without a recording.
        people: subject ids in natural order.
        sampling_rate: Hz that the reader gives, None where nothing could be read.
        measured_rates: Hz by the time stamps of some files, lowest and highest; None where there are none.
        sensors: placement -> what it reads.
        published: the figures to compare with.
        problems: what is wrong, each with file, field and mend.
        faults: those of `Dataset.broken` that problems and warnings tell of.
        notes: what a user should know, such as recordings that were left out.
    """

    name: str
    folder: str
    counts: dict[str, float] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    missing_classes: list[str] = field(default_factory=list)
    people: list[str] = field(default_factory=list)
    sampling_rate: float | None = None
    measured_rates: tuple[float, float] | None = None
    sensors: dict[str, SensorSummary] = field(default_factory=dict)
    published: tuple[Published, ...] = ()
    problems: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def incomplete(self) -> list[Published]:
        """The published figures that this copy does not reach."""
        return [figure for figure in self.published if self.counts.get(figure.count, 0) < figure.value]


# -- finding -------------------------------------------------------------------------------------------------------------


def find_datasets(folder: str | Path) -> list[tuple[str, Path]]:
    """Names and places of the datasets below a folder, by the files in it.

    A place is the outermost folder below `folder`, `folder` itself where the files lie in it directly, or a zip.

    Raises:
        OSError: no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise OSError(f"{folder}: no such folder; give the one that holds the datasets")
    layouts = {
        name: re.compile(rf"^(?:(?P<above>.*)/)?(?:{known.layout})$", re.I)
        for name, known in checked_datasets().items()
    }
    found: dict[tuple[str, Path], None] = {}
    for base, _, names in tqdm(os.walk(root), desc="looking", unit="folder", delay=2, leave=False, disable=None):
        inside = Path(base).relative_to(root).as_posix()
        pending = dict(layouts)
        for file in names:
            path = file if inside == "." else f"{inside}/{file}"
            packed = _names_in_zip(root / path) if file.lower().endswith(".zip") else []
            for name, layout in list(pending.items()):
                match = layout.match(path)
                # a zip that lies in folders of the dataset's own is one of its files, not the whole
                of_folder = match and (not packed or "/" in path[len(match["above"] or "") :].lstrip("/"))
                if match and of_folder:
                    above = (match["above"] or "").split("/")[0]
                    found[name, root / above if above else root] = None
                    del pending[name]  # its other files in this folder say the same
                elif packed and (match or any(layout.match(inner) for inner in packed)):
                    found[name, root / path] = None
    open_copies = {name for name, place in found if place.is_dir()}
    return [(name, place) for name, place in found if place.is_dir() or name not in open_copies]


def _names_in_zip(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return []


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _named(folder: Path) -> str | None:
    """The dataset that a folder's name promises."""
    plain = _plain(folder.name)
    names = [
        name for name, known in checked_datasets().items() if plain.startswith((_plain(name), _plain(known.title)))
    ]
    return max(names, key=len) if names else None


# -- checking ------------------------------------------------------------------------------------------------------------


def check_datasets(folder: str | Path) -> list[DatasetReport]:
    """Reports on every dataset below a folder, read from end to end.

    A folder that is named as a dataset but holds none of its files gets a report with that problem.

    Raises:
        OSError: no such folder.
    """
    datasets = checked_datasets()
    found = find_datasets(folder)
    reports = [_check(name, place) for name, place in found]
    root = Path(folder)
    for place in [root, *sorted(path for path in root.iterdir() if path.is_dir())]:
        name = _named(place)
        here = [other for other, at in found if at == place or place in at.parents]
        if name is None or name in here or (place == root and found):
            continue
        known = datasets[name]
        if any(datasets[other].title.startswith(known.title) for other in here):
            continue  # another device of the same dataset
        what = (
            f"holds {', '.join(datasets[other].title for other in here)} instead" if here else "holds none of its files"
        )
        reports.append(
            DatasetReport(
                name,
                str(place),
                published=known.published,
                problems=[
                    f"{place}: named as {known.title} but {what}; unpack {known.title} there (its files end in "
                    f"{known.layout}) or rename the folder"
                ],
            )
        )
    return sorted(reports, key=lambda report: (list(datasets).index(report.name), report.folder))


def _check(name: str, place: Path) -> DatasetReport:
    known = checked_datasets()[name]
    report = DatasetReport(name, str(place), published=known.published)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _read(known, place, report)
        except (ValueError, OSError, ImportError) as error:
            report.problems.append(f"{error} (reading stopped here; counts are of what came before)")
    report.notes[:0] = [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]
    report.faults = list(
        dict.fromkeys(fault for said in report.problems + report.notes for fault in known.faults(said))
    )
    if known.time_stamps is not None and place.is_dir():
        _check_clock(known, place, report)
    return report


def _read(known: Dataset, place: Path, report: DatasetReport) -> None:
    seconds_of_window = known.window_seconds
    labels = known.labels + known.other_labels
    people: set[str] = set()
    sessions: set[tuple[str, str]] = set()
    ids: dict[str, set[int | None]] = {}
    samples: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    counts = {"recordings": 0, "windows": 0, "seconds": 0.0}
    try:
        for recording in tqdm(
            known.parse(place), desc=report.name, unit="recording", delay=2, leave=False, disable=None
        ):
            length = len(next(iter(recording.signals.values())))
            rate = report.sampling_rate = recording.sampling_rate
            counts["recordings"] += 1
            counts["seconds"] += length / rate
            counts["windows"] += 1 if seconds_of_window is None else length // int(round(seconds_of_window * rate))
            sessions.add((recording.subject, recording.session))
            people |= {recording.subject} - {""}
            if recording.label is not None:
                report.classes[recording.label] = report.classes.get(recording.label, 0) + 1
                ids.setdefault(recording.label, set()).add(recording.label_id)
            for placement, signal in recording.signals.items():
                samples.setdefault(placement, []).append(_sample(signal, rate))
    finally:  # what was read before an error is worth knowing
        report.counts = counts | {
            "sessions": len(sessions), "classes": len(report.classes), "subjects": len(people)
        }  # fmt: skip
        report.people = sorted(people, key=lambda name: natural_key(Path(name)))
        report.missing_classes = [label for label in labels if label not in report.classes]
    unlabelled = counts["recordings"] - sum(report.classes.values())
    if unlabelled:
        report.notes.append(f"{place}: {unlabelled} of {counts['recordings']} recordings have no label")
    _check_labels(known, place, report, ids)
    for placement, parts in samples.items():
        rest, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        report.sensors[placement] = _summary(rest, values)
    if not counts["recordings"]:
        report.problems.append(f"{place}: no recording of {known.title} could be read; unpack it again")


def _check_labels(known: Dataset, place: Path, report: DatasetReport, ids: dict[str, set[int | None]]) -> None:
    labels = known.labels + known.other_labels
    unknown = [label for label in ids if labels and label not in labels]
    if unknown:
        report.problems.append(
            f"{place}: labels {unknown} are not among {known.title}'s {len(labels)} classes; is it another version?"
        )
    numbers = [number for several in ids.values() for number in several]
    if None in numbers or len(set(numbers)) != len(numbers) or any(len(several) > 1 for several in ids.values()):
        report.problems.append(
            f"{place}: label ids and class texts do not map one to one ({ids}); is a label file mixed?"
        )


def _sample(signal: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Median magnitude of the acceleration in each second at rest, and ten samples a second of everything."""
    size = max(1, round(rate))
    magnitude = np.linalg.norm(signal[: len(signal) // size * size, :3], axis=1).reshape(-1, size)
    rest = np.median(magnitude[magnitude.std(axis=1) < CALM], axis=1)
    return rest, signal[:: max(1, int(rate / 10))].astype(np.float32)


def _summary(rest: np.ndarray, values: np.ndarray) -> SensorSummary:
    """What is printed; the readers have checked it."""
    middle = float(np.median(rest if len(rest) else np.linalg.norm(values[:, :3], axis=1)))
    return SensorSummary(middle, float(np.percentile(np.abs(values[:, 3:]), 99)) if values.shape[1] == 6 else None)


def _check_clock(known: Dataset, place: Path, report: DatasetReport) -> None:
    stamps = known.time_stamps
    assert stamps is not None
    files = sorted(path for path in place.rglob("*") if re.search(rf"{stamps.files}$", path.as_posix(), re.I))
    rates = []
    for path in files[:: max(1, len(files) // _CLOCK_FILES)][:_CLOCK_FILES]:
        try:
            steps = np.diff(stamps.read(path))
        except (ValueError, OSError, ImportError, KeyError):
            continue  # the reader has named the fault
        if (steps > 0).any():
            rates.append(float(1 / np.median(steps[steps > 0])))
            if stamps.rate is not None and not abs(rates[-1] / stamps.rate - 1) <= _RATE_TOLERANCE:
                report.problems.append(
                    f"{path}: its time stamps say {rates[-1]:.4g} Hz where {known.title} has {stamps.rate:g}; "
                    "another version of the file, or another unit of time; take the original download"
                )
    if rates:
        report.measured_rates = (min(rates), max(rates))
