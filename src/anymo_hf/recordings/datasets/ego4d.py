"""Ego4D: the IMU in head-worn cameras, one CSV a video, labelled with the video's scenario."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from ...modeling.imu_signal import resample
from ...refusals import parse_json
from ..dataset import BrokenCopy, Dataset, Published, TimeStamps
from ..imu_recording import ImuRecording, require_files
from ..stretches import Stream, checked_units, clean_stream, even_stretches
from ..text_table import read_column
from .comodo_splits import by_lists, chosen_recordings, listed, listed_splits, read_splits

# scenario in small letters -> class text of the paper's Table 9; ids follow the sorted scenarios
LABELS = {
    "baker": "baker", "bike": "bike", "bike mechanic": "bike mechanic", "biology experiments": "biology experiments",
    "car - commuting, road trip": "car / commuting / road trip", "car/scooter washing": "car / scooter washing",
    "carpenter": "carpenter", "cleaning / laundry": "cleaning / laundry", "cooking": "cooking",
    "crafting/knitting/sewing/drawing/painting": "crafting / knitting / sewing / drawing / painting",
    "cycling / jogging": "cycling / jogging", "eating": "eating", "farmer": "farmer",
    "fixing something in the home": "fixing something in the home", "gardening": "gardening",
    "household management - caring for kids": "household management / caring for kids",
    "indoor navigation (walking)": "indoor navigation (walking)",
    "jobs related to construction/renovation company (director of work, tiler, plumber, electrician, handyman, etc)":
        "construction / renovation jobs",
    "playing board games": "playing board games", "playing cards": "playing cards",
    "playing games / video games": "playing games / video games", "playing with pets": "playing with pets",
    "potting plants (indoor)": "potting plants (indoor)",
    "practicing a musical instrument": "practicing a musical instrument", "reading books": "reading books",
    "scooter mechanic": "scooter mechanic", "walking on street": "walking on street", "watching tv": "watching tv",
    "working at desk": "working at desk", "working out at home": "working out at home",
    "working out outside": "working out outside",
}  # fmt: skip
RATE = 200.0
VIDEOS = {"train": 1110, "val": 162, "test": 316}  # lines of COMODO's lists
_TIME = "canonical_timestamp_ms"
_ACCELERATION, _ANGULAR_VELOCITY = ([f"{kind}_{axis}" for axis in "xyz"] for kind in ("accl", "gyro"))
_LINE = re.compile(r"(?P<key>\S+)\t(?P<value>.+)")


def sampled_down(streams: list[Stream], rate: float) -> Iterator[tuple[float, np.ndarray]]:
    """Start in seconds and signal `(T, 6)` of each unbroken stretch of at least a second, on an even grid.

    A sensor faster than `rate` is interpolated at the nearest multiple of it and low-passed before samples are dropped.

    Args:
        streams: clean accelerometer and gyroscope, each by its own clock.
        rate: Hz of the result.
    """
    factor = max(1, round(1 / (float(np.median(np.diff(streams[0][0]))) * rate)))
    for start, signals in even_stretches({"head": streams}, rate * factor):
        signal = signals["head"]
        yield start, resample(signal, rate * factor, rate)


def _table(path: Path) -> tuple[list[Stream], int]:
    """Accelerometer and gyroscope, each without its empty rows, and how many rows held no time stamp."""
    wanted = [_TIME, *_ACCELERATION, *_ANGULAR_VELOCITY]
    try:
        names = list(pd.read_csv(path, nrows=0).columns)
        missing = [name for name in wanted if name not in names]
        if missing:
            raise ValueError(f"{path}: columns {missing} are missing; found {names}; is this an Ego4D IMU file?")
        values = pd.read_csv(path, usecols=wanted)[wanted].to_numpy()
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise OSError(f"{path}: not a readable CSV ({error}); download it again") from error
    if not len(values):
        raise ValueError(f"{path}: no row below the header; download it again")
    if values.dtype == object:
        raise ValueError(f"{path}: text stands where numbers belong in {', '.join(wanted)}; download it again")
    values = np.where(np.isfinite(values), values, np.nan).astype(float)
    untimed = int(np.isnan(values[:, 0]).sum())
    if len(values) - untimed < max(2, untimed):
        raise ValueError(f"{path}: {_TIME} is empty in {untimed} of {len(values)} rows; download it again")
    time = values[:, 0] / 1000
    steps = np.diff(np.unique(time[np.isfinite(time)]))
    step = float(np.median(steps)) if len(steps) else 0.0
    if not 5e-4 <= step <= 0.1:
        raise ValueError(f"{path}: {_TIME} rises by {step * 1000:g}; expected milliseconds at 10 to 2,000 Hz")
    return [clean_stream(time, values[:, 1:4]), clean_stream(time, values[:, 4:])], untimed


def _metadata(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Video -> scenario where it has a single known one, and video -> person; empty without `ego4d.json`."""
    file = next((folder / "ego4d.json" for folder in path.parents[:3] if (folder / "ego4d.json").is_file()), None)
    if file is None:
        return {}, {}
    try:
        videos = parse_json(file.read_text(encoding="utf-8"))["videos"]
        rows = [(str(v["video_uid"]), v.get("scenarios") or [], v.get("fb_participant_id")) for v in videos]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file}: no list 'videos' with 'video_uid' ({error!r}); download it again") from error
    named = {uid: {" ".join(str(s).lower().split()) for s in scenarios} for uid, scenarios, _ in rows}
    single = {uid: next(iter(names)) for uid, names in named.items() if len(names) == 1 and names <= set(LABELS)}
    return single, {uid: str(person) for uid, _, person in rows if person is not None}


def read_ego4d(
    folder: str | Path, split: str | None = "test", split_folder: str | Path | None = None
) -> Iterator[ImuRecording]:
    """Unbroken stretches at 200 Hz by the videos' own time stamps; m/s^2 and rad/s, on the head.

    Accelerometer and gyroscope are interpolated each from its own filled rows; a pause of over a second starts a new
    recording. Rows without a time stamp are dropped, and a warning counts them; another names the videos that were left
    out because a sensor is empty or its units are not m/s^2 and rad/s. Subjects come from `ego4d.json` where it lies in a
    folder above `imu/`.

    Args:
        folder: holds `v2/imu/<video_uid>.csv`.
        split: "train", "val", "test" of COMODO's lists, or None for all three. Without the lists every video is
            given, labelled where `ego4d.json` names a single scenario, and a warning says so.
        split_folder: where `train.txt`, `val.txt` and `test.txt` lie; default: below `folder`.

    Raises:
        OSError: no IMU file below `folder`, an unreadable one, or the list asked for is missing.
        ValueError: missing columns, text among the numbers, mostly empty time stamps, a broken list or metadata, or no
            video that can be used.
    """
    paths = sorted(require_files(list(Path(folder).rglob("imu/*.csv")), folder, "imu/<video_uid>.csv", "Ego4D"))
    splits = read_splits(split_folder or folder, _LINE, LABELS)
    chosen = chosen_recordings(folder, splits, split, {path.stem for path in paths}, "Ego4D")
    scenarios, people = _metadata(paths[0])
    untimed: dict[str, int] = {}
    left_out: dict[str, str] = {}
    used = [path for path in paths if chosen is None or path.stem in chosen]
    for path in used:
        uid = path.stem
        streams, dropped = _table(path)
        if dropped:
            untimed[uid] = dropped
        if min(len(clock) for clock, _ in streams) < 2:
            left_out[uid] = f"{path}: {'gyro' if len(streams[0][0]) > 1 else 'accl'} columns are empty"
            continue
        scenario = (scenarios if chosen is None else chosen).get(uid)
        label, label_id = (None, None) if scenario is None else (LABELS[scenario], sorted(LABELS).index(scenario))
        who = people.get(uid, "")
        try:
            yield from checked_units(
                ImuRecording({"head": signal}, RATE, label, label_id, who, uid, "ego4d", start, str(path))
                for start, signal in sampled_down(streams, RATE)
            )
        except ValueError as error:
            left_out[uid] = str(error)
    warn_dropped(folder, untimed, left_out, len(used))


def warn_dropped(folder: str | Path, rows: dict[str, int], left_out: dict[str, str], recordings: int) -> None:
    """Warnings that count what was dropped; ValueError where no recording is left.

    Args:
        folder: for messages.
        rows: recording -> rows dropped because they hold no time stamp.
        left_out: recording -> why it cannot be used.
        recordings: how many there were.
    """
    if rows:
        counts = ", ".join(f"{name} ({count})" for name, count in rows.items())
        warnings.warn(f"{folder}: dropped {sum(rows.values())} rows without a time stamp: {counts}", stacklevel=3)
    if left_out and len(left_out) == recordings:
        raise ValueError(f"{folder}: no recording can be used; the first: {next(iter(left_out.values()))}")
    if left_out:
        warnings.warn(
            f"{folder}: left out {len(left_out)} of {recordings} recordings: {'; '.join(left_out.values())}",
            stacklevel=3,
        )


CLASS_TEXTS = tuple(text for _, text in sorted(LABELS.items()))  # in the order of their ids
DATASET = Dataset(
    "ego4d",
    "Ego4D",
    "https://ego4d-data.org",
    placements=("head",),
    sampling_rate=RATE,
    units=("m/s^2", "rad/s"),
    labels=CLASS_TEXTS,
    label_ids=tuple(range(len(LABELS))),
    layout=r"imu/[0-9a-f]{8}-[0-9a-f-]{27}\.csv",
    parse=partial(read_ego4d, split=None),
    parse_split=by_lists(read_ego4d),
    splits_of=listed_splits,
    window_seconds=5.0,
    licence="other",
    licence_text="its own licence agreement, which every user signs; do not share this",
    paper_segments={"head": "Head"},
    broken=(
        BrokenCopy("other columns", r"columns .* are missing; found"),
        BrokenCopy("mostly no time stamps", r"is empty in .* rows"),
        BrokenCopy("another unit of time", r"expected milliseconds at 10 to 2,000 Hz"),
    ),
    note="test split of COMODO's lists where they are there, 5 s",
    published=(
        Published("sessions", sum(VIDEOS.values()), listed(VIDEOS, "videos")),
        Published("classes", 31, "classes of the paper's Table 9"),
    ),
    time_stamps=TimeStamps(
        r"imu/[^/]+\.csv", partial(read_column, column="canonical_timestamp_ms", unit=1e-3, delimiter=",")
    ),
)
