"""Which known datasets lie in a folder, whether they are what they claim, and how much of each is there."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ..nymeria.imu import open_vrs
from .catalogue import DATASETS
from .datasets import (
    dsads,
    ego4d,
    ego_exo4d,
    matlab_trials,
    mmea,
    openpack,
    opportunity,
    pamap2,
    realworld,
    tnda_har,
    uci_har,
    unimts_bundle,
    w_har,
    wisdm,
)
from .download import Download
from .imu_recording import ImuRecording, natural_key
from .stretches import CALM

_RATE_TOLERANCE = 0.2  # a rate that its document rounds, such as OpenPack's 30 Hz for 33.3, passes
_CLOCK_FILES, _CLOCK_ROWS = 5, 5000


@dataclass(frozen=True)
class Published:
    """A figure of a dataset's own documents or of the paper.

    Args:
        count: what it counts, a name of `DatasetReport.counts`.
        value: the figure.
        meaning: what it says of what.
    """

    count: str
    value: float
    meaning: str


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
        name: key of `KNOWN`.
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
    notes: list[str] = field(default_factory=list)

    @property
    def incomplete(self) -> list[Published]:
        """The published figures that this copy does not reach."""
        return [figure for figure in self.published if self.counts.get(figure.count, 0) < figure.value]


Clock = Callable[[Path], np.ndarray]  # a file -> its first time stamps in seconds


@dataclass(frozen=True)
class Known:
    """How a dataset is recognised and read.

    Args:
        title: its usual name.
        layout: regular expression for the end of the path of a file that only this dataset has.
        read: everything that a folder holds of it.
        labels: class texts there are; empty where the dataset brings its own.
        published: figures to compare with.
        clock: reads time stamps, and the regular expression of the files that hold them; None where there are none.
        nominal_rate: Hz that the time stamps should show; None where it varies.
    """

    title: str
    layout: str
    read: Callable[[Path], Iterator[ImuRecording]]
    labels: tuple[str, ...]
    published: tuple[Published, ...]
    clock: tuple[str, Clock] | None = None
    nominal_rate: float | None = None


# -- what is known -------------------------------------------------------------------------------------------------------


def _fields(path: Path, column: int | str, unit: float, delimiter: str | None = None) -> np.ndarray:
    """Seconds from one column of a text table, by position or by the name in its header."""
    header = None if isinstance(column, int) else 0
    table = pd.read_csv(
        path, sep=delimiter or r"\s+", header=header, usecols=[column], index_col=False, nrows=_CLOCK_ROWS
    )
    return pd.to_numeric(table[column], errors="coerce").to_numpy(float) * unit


def _wisdm_clock(path: Path) -> np.ndarray:
    with path.open(errors="replace") as file:
        rows = [line.split(",") for line in islice(file, _CLOCK_ROWS)]
    return pd.to_numeric([row[2] for row in rows if len(row) == 6], errors="coerce") * 1e-9


def _vrs_clock(path: Path) -> np.ndarray:
    return open_vrs(path).imu("1202-1")[0][:_CLOCK_ROWS] * 1e-9


def _read_uci_har(folder: Path) -> Iterator[ImuRecording]:
    with Download(folder) as download:
        found = download.find(r"(train|test)/y_(?:train|test)\.txt", "UCI-HAR", "test/y_test.txt")
    for split in sorted({member.groups[0] for member in found}, reverse=True):
        yield from uci_har.read_uci_har(folder, split)


def _read_wisdm(folder: Path) -> Iterator[ImuRecording]:
    with Download(folder) as download:
        pattern = r"raw/(phone|watch)/accel/data_(\d+)_accel_(?:phone|watch)\.txt"
        found = download.find(pattern, "WISDM", "raw/phone/accel/data_*.txt")
    for device in sorted({member.groups[0] for member in found}):
        yield from wisdm.read_wisdm(folder, device)


def _read_bundle(folder: Path, name: str) -> Iterator[ImuRecording]:
    for split in ("train", "test"):
        yield from unimts_bundle.read_unimts_bundle(folder, name, split)


def _figures(meaning: str = "", **counts: tuple[float, str] | float) -> tuple[Published, ...]:
    pairs = {name: value if isinstance(value, tuple) else (value, meaning) for name, value in counts.items()}
    return tuple(Published(name, value, text) for name, (value, text) in pairs.items())


def _lists(sizes: dict[str, int], what: str) -> tuple[float, str]:
    return sum(sizes.values()), f"{what} in COMODO's lists: {', '.join(f'{n} {name}' for name, n in sizes.items())}"


_PEOPLE, _TABLE_9 = "people in its documents", "classes of the paper's Table 9"
KNOWN: dict[str, Known] = {
    "opportunity": Known(
        "OPPORTUNITY",
        r"S[1-4]-(ADL[1-5]|Drill)\.dat|OpportunityUCIDataset\.zip",
        partial(opportunity.read_opportunity, split="all"),
        tuple(opportunity.LABELS.values()),
        _figures(sessions=(24, "files in its documents"), classes=(4, _TABLE_9), subjects=(4, _PEOPLE)),
        (r"S[1-4]-(ADL[1-5]|Drill)\.dat", partial(_fields, column=0, unit=1e-3)),
        opportunity.RATE,
    ),
    "uci_har": Known(
        "UCI-HAR",
        r"(train|test)/Inertial Signals/total_acc_x_(train|test)\.txt|UCI HAR Dataset\.zip",
        _read_uci_har,
        uci_har.LABELS,
        _figures(
            recordings=(10_299, "windows in its documents: 7,352 train, 2,947 test"),
            classes=(6, _TABLE_9),
            subjects=(30, _PEOPLE),
        ),
    ),
    "uci_hapt": Known(
        "HAPT",
        r"RawData/acc_exp\d+_user\d+\.txt|HAPT Data Set\.zip",
        uci_har.read_hapt,
        uci_har.LABELS,
        _figures(
            sessions=(61, "experiments in its documents"),
            classes=(6, "basic activities; six transitions are left out"),
            subjects=(30, _PEOPLE),
        ),
    ),
    "w_har": Known(
        "w-HAR",
        r"motion_data_22_users\.csv",
        w_har.read_w_har,
        tuple(w_har.LABELS.values()),
        _figures(classes=(7, _TABLE_9), subjects=(w_har.SUBJECTS, _PEOPLE)),
        (r"motion_data_22_users\.csv", partial(_fields, column="Time (s)", unit=1.0, delimiter=",")),
        w_har.RATE,
    ),
    "realworld": Known(
        "RealWorld",
        r"proband\d+/data/acc_\w+_csv\.zip|acc_[a-z]+_(\d+_)?(chest|forearm|head|shin|thigh|upperarm|waist)(_\d+)?\.csv",
        realworld.read_realworld,
        tuple(realworld.LABELS.values()),
        _figures(classes=(8, _TABLE_9), subjects=(realworld.SUBJECTS, _PEOPLE)),
        (r"acc_[a-z]+_[a-z_0-9]+\.csv", partial(_fields, column="attr_time", unit=1e-3, delimiter=",")),
        realworld.RATE,
    ),
    "tnda_har": Known(
        "TNDA-HAR",
        r"Subject\d+\.csv",
        tnda_har.read_tnda_har,
        tuple(tnda_har.LABELS.values()),
        _figures(classes=(8, _TABLE_9), subjects=(23, "people by a survey; its file names may go to 50")),
    ),
    "ego_exo4d": Known(
        "EgoExo4D",
        r"takes/[^/]+/[^/]+_noimagestreams\.vrs",
        partial(ego_exo4d.read_ego_exo4d, split=None),
        ego_exo4d.LABELS,
        _figures(sessions=_lists(ego_exo4d.TAKES, "takes"), classes=(8, _TABLE_9)),
        (r"_noimagestreams\.vrs", _vrs_clock),
        1000.0,
    ),
    "openpack": Known(
        "OpenPack",
        r"annotation/openpack-operations/S\d+\.csv|imuWithOperationLabel/U\d+-S\d+\.csv",
        openpack.read_openpack,
        tuple(openpack.LABELS.values()),
        _figures(
            recordings=(10_308, "operations of 1 to 30 s in the Challenge 2022 split (paper: 10,512 less 204)"),
            classes=(10, _TABLE_9),
            subjects=(11, "people in the Challenge 2022 split"),
        ),
        (r"atr/atr0\d/S\d+\.csv", partial(_fields, column="unixtime", unit=1e-3, delimiter=",")),
        openpack.RATE,
    ),
    "pamap2": Known(
        "PAMAP2",
        r"Protocol/subject10\d\.dat|PAMAP2_Dataset\.zip",
        pamap2.read_pamap2,
        tuple(pamap2.LABELS.values()),
        _figures(classes=(12, _TABLE_9), subjects=(pamap2.SUBJECTS, _PEOPLE)),
        (r"Protocol/subject10\d\.dat", partial(_fields, column=0, unit=1.0)),
        pamap2.RATE,
    ),
    "usc_had": Known(
        "USC-HAD",
        r"Subject\d+/a\d+t\d+\.mat",
        matlab_trials.read_usc_had,
        matlab_trials.USC_HAD_LABELS,
        _figures(recordings=(840, "trials in its documents"), classes=(12, _TABLE_9), subjects=(14, _PEOPLE)),
    ),
    "wisdm": Known(
        "WISDM",
        r"raw/(phone|watch)/accel/data_\d+_accel_(phone|watch)\.txt|wisdm-dataset\.zip",
        _read_wisdm,
        tuple(wisdm.LABELS.values()),
        _figures(classes=(18, _TABLE_9), subjects=(51, _PEOPLE)),
        (r"data_\d+_accel_(phone|watch)\.txt", _wisdm_clock),
        wisdm.RATE,
    ),
    "dsads": Known(
        "DSADS",
        r"a\d\d/p[1-8]/s\d\d\.txt",
        dsads.read_dsads,
        tuple(dsads.LABELS.values()),
        _figures(
            seconds=(5 * dsads.FILES, f"{dsads.FILES:,} files of 5 s in its documents"),
            classes=(19, _TABLE_9),
            subjects=(dsads.SUBJECTS, _PEOPLE),
        ),
    ),
    "utd_mhad": Known(
        "UTD-MHAD",
        r"a\d+_s\d+_t\d+_inertial\.mat",
        matlab_trials.read_utd_mhad,
        matlab_trials.UTD_MHAD_LABELS,
        _figures(recordings=(861, "trials in its documents"), classes=(27, _TABLE_9), subjects=(8, _PEOPLE)),
    ),
    "ego4d": Known(
        "Ego4D",
        r"imu/[0-9a-f]{8}-[0-9a-f-]{27}\.csv",
        partial(ego4d.read_ego4d, split=None),
        tuple(ego4d.LABELS.values()),
        _figures(sessions=_lists(ego4d.VIDEOS, "videos"), classes=(31, _TABLE_9)),
        (r"imu/[^/]+\.csv", partial(_fields, column="canonical_timestamp_ms", unit=1e-3, delimiter=",")),
    ),
    "mmea": Known(
        "UESTC-MMEA-CL",
        r"sensor/\d+_[^/]+/[^/]+\.csv",
        partial(mmea.read_mmea, split=None),
        mmea.LABELS,
        _figures(recordings=_lists(mmea.CLIPS, "clips"), classes=(32, _TABLE_9)),
    ),
} | {
    f"unimts_{name}": Known(
        f"{bundle.folder} of the UniMTS bundle",
        rf"{re.escape(bundle.folder)}/X_(train|test)\.npy",
        partial(_read_bundle, name=name),
        (),
        _figures(classes=(bundle.classes, _TABLE_9)),
    )
    for name, bundle in unimts_bundle.BUNDLES.items()
}  # fmt: skip


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
    layouts = {name: re.compile(rf"^(?:(?P<above>.*)/)?(?:{known.layout})$", re.I) for name, known in KNOWN.items()}
    found: dict[tuple[str, Path], None] = {}
    for base, _, names in tqdm(os.walk(root), desc="looking", unit="folder", delay=2, leave=False, disable=None):
        inside = Path(base).relative_to(root).as_posix()
        pending = dict(layouts)
        for file in names:
            path = file if inside == "." else f"{inside}/{file}"
            packed = _names_in_zip(root / path) if file.lower().endswith(".zip") else []
            for name, layout in list(pending.items()):
                match = layout.match(path)
                if match and not packed:
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
    names = [name for name, known in KNOWN.items() if plain.startswith((_plain(name), _plain(known.title)))]
    return max(names, key=len) if names else None


# -- checking ------------------------------------------------------------------------------------------------------------


def check_datasets(folder: str | Path) -> list[DatasetReport]:
    """Reports on every dataset below a folder, read from end to end.

    A folder that is named as a dataset but holds none of its files gets a report with that problem.

    Raises:
        OSError: no such folder.
    """
    found = find_datasets(folder)
    reports = [_check(name, place) for name, place in found]
    root = Path(folder)
    for place in [root, *sorted(path for path in root.iterdir() if path.is_dir())]:
        name = _named(place)
        here = [other for other, at in found if at == place or place in at.parents]
        if name is None or name in here or (place == root and found):
            continue
        known = KNOWN[name]
        what = f"holds {', '.join(KNOWN[other].title for other in here)} instead" if here else "holds none of its files"
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
    return sorted(reports, key=lambda report: (list(KNOWN).index(report.name), report.folder))


def _check(name: str, place: Path) -> DatasetReport:
    known = KNOWN[name]
    report = DatasetReport(name, str(place), published=known.published)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _read(known, place, report)
        except (ValueError, OSError, ImportError) as error:
            report.problems.append(f"{error} (reading stopped here; counts are of what came before)")
    report.notes[:0] = [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]
    if known.clock is not None and place.is_dir():
        _check_clock(known, place, report)
    return report


def _read(known: Known, place: Path, report: DatasetReport) -> None:
    info = DATASETS.get(report.name)
    seconds_of_window = None if info is None else info.window_seconds
    people: set[str] = set()
    sessions: set[tuple[str, str]] = set()
    ids: dict[str, set[int | None]] = {}
    samples: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    counts = {"recordings": 0, "windows": 0, "seconds": 0.0}
    try:
        for recording in tqdm(
            known.read(place), desc=report.name, unit="recording", delay=2, leave=False, disable=None
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
        report.missing_classes = [label for label in known.labels if label not in report.classes]
    unlabelled = counts["recordings"] - sum(report.classes.values())
    if unlabelled:
        report.notes.append(f"{place}: {unlabelled} of {counts['recordings']} recordings have no label")
    _check_labels(known, place, report, ids)
    for placement, parts in samples.items():
        rest, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        report.sensors[placement] = _summary(rest, values)
    if not counts["recordings"]:
        report.problems.append(f"{place}: no recording of {known.title} could be read; unpack it again")


def _check_labels(known: Known, place: Path, report: DatasetReport, ids: dict[str, set[int | None]]) -> None:
    unknown = [label for label in ids if known.labels and label not in known.labels]
    if unknown:
        report.problems.append(
            f"{place}: labels {unknown} are not among {known.title}'s {len(known.labels)} classes; is it another version?"
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
    """What is printed; the readers have proved it."""
    middle = float(np.median(rest if len(rest) else np.linalg.norm(values[:, :3], axis=1)))
    return SensorSummary(middle, float(np.percentile(np.abs(values[:, 3:]), 99)) if values.shape[1] == 6 else None)


def _check_clock(known: Known, place: Path, report: DatasetReport) -> None:
    assert known.clock is not None
    pattern, read = known.clock
    files = sorted(path for path in place.rglob("*") if re.search(rf"{pattern}$", path.as_posix(), re.I))
    rates = []
    for path in files[:: max(1, len(files) // _CLOCK_FILES)][:_CLOCK_FILES]:
        try:
            steps = np.diff(read(path))
        except (ValueError, OSError, ImportError, KeyError):
            continue  # the reader has named the fault
        if (steps > 0).any():
            rates.append(float(1 / np.median(steps[steps > 0])))
            if known.nominal_rate is not None and not abs(rates[-1] / known.nominal_rate - 1) <= _RATE_TOLERANCE:
                report.problems.append(
                    f"{path}: its time stamps say {rates[-1]:.4g} Hz where {known.title} has {known.nominal_rate:g}; "
                    "another version of the file, or another unit of time; take the original download"
                )
    if rates:
        report.measured_rates = (min(rates), max(rates))
