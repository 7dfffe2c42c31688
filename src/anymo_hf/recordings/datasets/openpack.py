"""OpenPack: four arm IMUs of packing work, cut into whole operations."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from ..dataset import BrokenCopy, Dataset, Published, TimeStamps
from ..download import CUT_OFF, Download, Member
from ..imu_recording import STANDARD_GRAVITY, ImuRecording, to_grid, unbroken_spans
from ..stretches import checked_units, clean_stream, even_stretches, labelled_runs
from ..text_table import read_column

LABELS = {
    100: "Picking", 200: "Relocate Item Label", 300: "Assemble Box", 400: "Insert Items", 500: "Close Box",
    600: "Attach Box Label", 700: "Scan Label", 800: "Attach Shipping Label", 900: "Put on Back Table",
    1000: "Fill out Order",
}  # fmt: skip
PLACEMENTS = {
    "atr01": "right_wrist",
    "atr02": "left_wrist",
    "atr03": "right_upper_arm",
    "atr04": "left_upper_arm",
}
PAPER_SEGMENTS = {
    "right_wrist": "R_Forearm", "left_wrist": "L_Forearm", "right_upper_arm": "R_UpperArm",
    "left_upper_arm": "L_UpperArm",
}  # fmt: skip
RATE = 30.0
_TRAINED = ("U0101", "U0102", "U0103", "U0105", "U0106", "U0107", "U0109", "U0111", "U0202", "U0205", "U0210")
_TESTED = ("U0102", "U0106", "U0202", "U0210")
SPLITS = {  # of the Challenge 2022: people and sessions
    "train": {(user, session) for user in _TRAINED for session in ("S0100", "S0200", "S0400", "S0500")},
    "val": {(user, "S0300") for user in ("U0101", "U0103", "U0105", "U0107", "U0109", "U0111", "U0205")},
    "test": {(user, "S0300") for user in _TESTED},
}
_CHANNELS = ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"]
_FACTORS = np.repeat([STANDARD_GRAVITY, np.pi / 180], 3)
_LONGEST = 30.0  # seconds of an operation, as in the paper


def _table(download: Download, member: Member, columns: list[str]) -> pd.DataFrame:
    try:
        with download.open(member) as file:
            table = pd.read_csv(file)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, *CUT_OFF) as error:
        raise OSError(f"{member.source}: not a readable CSV ({error}); download it again") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ValueError(f"{member.source}: columns {missing} are missing; found {list(table.columns)}")
    return table


def _numbers(table: pd.DataFrame, columns: list[str], source: str) -> np.ndarray:
    if not len(table):
        raise ValueError(f"{source}: no row below the header; download the file again")
    try:
        values = table[columns].to_numpy(float)
    except ValueError as error:
        raise ValueError(f"{source}: text where numbers belong ({error}); download the file again") from error
    if not np.isfinite(values[:, 0]).all() or (np.diff(values[:, 0]) < 0).any():
        raise ValueError(f"{source}: unixtime is missing in a row or runs backward; download the file again")
    return values


def read_openpack(folder: str | Path, split: str | None = None) -> Iterator[ImuRecording]:
    """Operations of 1 to 30 s, resampled by their time stamps to 30 Hz (the true rate is 30.3 or 33.3 Hz).

    Where a sensor pauses for over a second, an operation falls into several recordings. The preprocessed release is read
    where there is no other; there, two operations of one kind in a row are one.

    Args:
        folder: the unpacked dataset, its zip, a folder of one zip a person, or the preprocessed
            `imuWithOperationLabel/`.
        split: "train", "val" or "test" of the Challenge 2022, or None for every session.

    Raises:
        OSError: no session of the split below `folder`, an unreadable file, or a damaged zip.
        ValueError: an unknown split, missing columns or rows, text, unknown operations, time stamps that are missing or
            run backward, or units that cannot be.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)} or None, got {split!r}")
    with Download(folder) as download:
        raw = r"([^/]+?)(?:\.zip)?/annotation/openpack-operations/(S\d+)"
        found = download.find(
            rf"(?:{raw}|imuWithOperationLabel/(U\d+)-(S\d+))\.csv", "OpenPack", "annotation/openpack-operations/S*.csv"
        )
        sessions = {member.groups[:2]: member for member in found if member.groups[0]}
        prepared = {} if sessions else {member.groups[2:]: member for member in found}
        chosen = [key for key in sessions or prepared if split is None or key in SPLITS[split]]
        if not chosen:
            raise OSError(
                f"{folder}: no session of the split {split}; unpack those of {sorted(SPLITS[split or 'test'])}"
            )
        sensors = {}
        if sessions:
            atr = download.find(r"([^/]+?)(?:\.zip)?/atr/(atr\d+)/(S\d+)\.csv", "OpenPack", "atr/atr0*/S*.csv")
            sensors = {member.groups: member for member in atr}
        for key in chosen:
            if sessions:
                yield from checked_units(_operations(download, sessions[key], sensors))
            else:
                yield from checked_units(_preprocessed(download, prepared[key]))


def _operations(download: Download, session: Member, sensors: dict[tuple[str, ...], Member]) -> Iterator[ImuRecording]:
    user, name, *_ = session.groups
    operations = _table(download, session, ["id", "start", "end"])
    streams: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    origin = None  # unix milliseconds; times from here keep microseconds in float64
    for device, placement in PLACEMENTS.items():
        member = sensors.get((user, device, name))
        if member is None:
            continue
        columns = ["unixtime", *_CHANNELS]
        values = _numbers(_table(download, member, columns), columns, member.source)
        signal = values[:, 1:] * _FACTORS
        origin = values[0, 0] if origin is None else origin
        streams[placement] = ((values[:, 0] - origin) / 1000, signal)
    if not streams:
        raise OSError(f"{session.source}: no atr/atr0*/{name}.csv of {user} beside it; unpack OpenPack again")
    times = [
        pd.to_datetime(operations[c], format="ISO8601").map(lambda t: t.timestamp()) - origin / 1000
        for c in ("start", "end")
    ]
    spans = unbroken_spans(*(clock for clock, _ in streams.values()))
    for number, start, end in zip(operations["id"], *times, strict=True):
        first = max(start, *(clock[0] for clock, _ in streams.values()))
        last = min(end, *(clock[-1] for clock, _ in streams.values()))
        if int(number) not in LABELS or not 1 <= last - first <= _LONGEST:
            continue
        for begin, stop in spans:
            begin, stop = max(begin, first), min(stop, last)
            if stop - begin < 1:
                continue
            grid = np.arange(int((stop - begin) * RATE)) / RATE + begin
            signals = {name: to_grid(clock, signal, grid) for name, (clock, signal) in streams.items()}
            yield ImuRecording(
                signals, RATE, LABELS[int(number)], int(number), user, name, "openpack", source=session.source
            )


def _preprocessed(download: Download, member: Member) -> Iterator[ImuRecording]:
    user, name = member.groups[2:]
    columns = ["unixtime", "operation", *(f"{device}/{channel}" for device in PLACEMENTS for channel in _CHANNELS)]
    values = _numbers(_table(download, member, columns), columns, member.source)
    operations = values[:, 1]
    known = [*LABELS, 8100]
    if np.nanmax(operations) <= len(LABELS):  # counted in the order of the ids, the last is none
        known = list(range(len(known)))
    if not np.isin(operations, known).all():
        row = int(np.argmin(np.isin(operations, known)))
        raise ValueError(f"{member.source}: operation {operations[row]:g} in row {row + 2} is not one of {known}")
    cells = (operations[:, None], (values[:, 0] - values[0, 0]) / 1000, values[:, 2:])
    for (number,), times, signal in labelled_runs([cells], known[:-1], member.source):
        if times[-1] - times[0] > _LONGEST:
            continue
        label = list(LABELS)[known.index(number)]
        streams = {
            place: [clean_stream(times, signal[:, 6 * unit : 6 * unit + 6] * _FACTORS)]
            for unit, place in enumerate(PLACEMENTS.values())
        }
        for _, signals in even_stretches(streams, RATE):
            yield ImuRecording(signals, RATE, LABELS[label], label, user, name, "openpack", source=member.source)


def _challenge_split(window: ImuRecording) -> str:
    """Its split in the Challenge 2022."""
    names = [name for name, sessions in SPLITS.items() if (window.subject, window.session) in sessions]
    return {"val": "validation"}.get(names[0], names[0]) if names else ""


DATASET = Dataset(
    "openpack",
    "OpenPack",
    "https://doi.org/10.5281/zenodo.8145223",
    placements=tuple(PLACEMENTS.values()),
    sampling_rate=RATE,
    units=("g", "deg/s"),
    labels=tuple(LABELS.values()),
    label_ids=tuple(LABELS),
    layout=r"annotation/openpack-operations/S\d+\.csv|imuWithOperationLabel/U\d+-S\d+\.csv",
    parse=read_openpack,
    paper_split=_challenge_split,
    window_seconds=None,
    people=16,
    licence="cc-by-nc-sa-4.0",
    licence_text="CC BY-NC-SA 4.0",
    paper_segments=PAPER_SEGMENTS,
    published=(
        Published("recordings", 10_308, "operations of 1 to 30 s in the Challenge 2022 split (paper: 10,512 less 204)"),
        Published("classes", 10, "classes of the paper's Table 9"),
        Published("subjects", 11, "people in the Challenge 2022 split"),
    ),
    time_stamps=TimeStamps(
        r"atr/atr0\d/S\d+\.csv", partial(read_column, column="unixtime", unit=1e-3, delimiter=","), RATE
    ),
    person_files=(
        r"(U\d{4})/annotation/openpack-operations/S\d+\.csv$",
        r"(U\d{4})/(?:atr|annotation)/",
    ),
    broken=(
        BrokenCopy("a sensor is missing", r"no atr/atr0.* beside it"),
        BrokenCopy("other columns", r"columns .* are missing; found"),
        BrokenCopy("time stamps run backward", r"unixtime is missing in a row or runs backward"),
    ),
    note="every session found, 1-30 s; the paper uses the 2022 challenge test split",
)
