"""EgoExo4D: the IMU of Aria glasses from VRS files without images, labelled with the take's task."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ...nymeria.imu import STREAMS, open_vrs
from ...refusals import parse_json
from ..dataset import BrokenCopy, Dataset, Published, TimeStamps
from ..imu_recording import ImuRecording, natural_key, require_files
from ..stretches import checked_units, clean_stream
from .comodo_splits import by_lists, chosen_recordings, listed, listed_splits, read_splits
from .ego4d import sampled_down, warn_dropped

LABELS = ("Basketball", "Bike Repair", "Cooking", "Dance", "Health", "Music", "Rock Climbing", "Soccer")  # ids 0 to 7
RATE = 200.0
TAKES = {"train": 3495, "val": 501, "test": 998}  # lines of COMODO's lists
_LINE = re.compile(r"(?P<key>\S+)\t(?P<value>.+)")
_BY_NAME = {label.lower(): label for label in LABELS}


def _takes(path: Path) -> dict[str, tuple[str | None, str]]:
    """Take -> task and person, from `takes.json` beside the folder of the takes; empty without it."""
    file = path.parents[2] / "takes.json"
    if not file.is_file():
        return {}
    try:
        rows = parse_json(file.read_text(encoding="utf-8"))
        return {row["take_name"]: (row.get("parent_task_name"), str(row.get("participant_uid") or "")) for row in rows}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file}: no list of takes with 'take_name' ({error!r}); download it again") from error


def read_ego_exo4d(
    folder: str | Path,
    split: str | None = "test",
    split_folder: str | Path | None = None,
    stream: str = "1202-1",
) -> Iterator[ImuRecording]:
    """Unbroken stretches at 200 Hz of samples whose accelerometer and gyroscope are both valid; on the head.

    Times are counted in float64 from the take's first sample, and a pause of over a second starts a new recording.
    A warning names the takes that were left out: without the stream or a valid sample, or in other units. Subjects come
    from `takes.json` where it lies beside `takes/`.

    Args:
        folder: holds `takes/<take>/<device>_noimagestreams.vrs`.
        split: "train", "val", "test" of COMODO's lists, or None for all three. Without the lists every take is given,
            labelled by `takes.json` where it is there, and a warning says so.
        split_folder: where `train.txt`, `val.txt` and `test.txt` lie; default: below `folder`.
        stream: "1202-1" (right IMU, 1000 Hz) or "1202-2" (left IMU, 800 Hz).

    Raises:
        ImportError: neither projectaria-tools nor vrs is installed.
        OSError: no VRS file below `folder`, a damaged one, or the list asked for is missing.
        ValueError: unknown stream, a broken list or metadata, or no take that can be used.
    """
    if stream not in STREAMS:
        raise ValueError(f"stream must be one of {', '.join(STREAMS)}, got {stream!r}")
    pattern = "takes/<take>/*_noimagestreams.vrs"
    paths = list(Path(folder).rglob("takes/*/*_noimagestreams.vrs"))
    paths = sorted(require_files(paths, folder, pattern, "EgoExo4D"), key=natural_key)
    splits = read_splits(split_folder or folder, _LINE, _BY_NAME)
    chosen = chosen_recordings(folder, splits, split, {path.parent.name for path in paths}, "EgoExo4D")
    takes = _takes(paths[0])
    left_out: dict[str, str] = {}
    used = [path for path in paths if chosen is None or path.parent.name in chosen]
    for path in used:
        take = path.parent.name
        task, person = takes.get(take, (None, ""))
        label = _BY_NAME.get(str(task if chosen is None else chosen[take]).lower())
        label_id = None if label is None else LABELS.index(label)
        try:
            time, signals, origin = valid_samples(path, stream)
            streams = [(time, signals[:, :3]), (time, signals[:, 3:])]
            yield from checked_units(
                ImuRecording(
                    {"head": signal}, RATE, label, label_id, person, take, "ego_exo4d", origin + start, str(path)
                )
                for start, signal in sampled_down(streams, RATE)
            )
        except ValueError as error:
            left_out[take] = str(error)
    warn_dropped(folder, {}, left_out, len(used))


def valid_samples(path: Path, stream: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Seconds `(T,)` from the first sample, signals `(T, 6)` and the device's clock at the first sample in seconds."""
    time_ns, signals, valid = open_vrs(path).imu(stream)
    time_ns, signals = time_ns[valid], signals[valid]
    if not len(time_ns):
        raise ValueError(f"{path}: stream {stream} holds no valid sample; download the take again")
    origin = int(time_ns.min())
    time, signals = clean_stream((time_ns - origin) * 1e-9, signals)
    if len(time) < 2:
        raise ValueError(f"{path}: stream {stream} holds no valid sample; download the take again")
    return time, signals, origin * 1e-9


def _first_times(path: Path) -> np.ndarray:
    return open_vrs(path).imu("1202-1")[0][:5000] * 1e-9


DATASET = Dataset(
    "ego_exo4d",
    "EgoExo4D",
    "https://ego-exo4d-data.org",
    placements=("head",),
    sampling_rate=RATE,
    units=("m/s^2", "rad/s"),
    labels=LABELS,
    label_ids=tuple(range(len(LABELS))),
    layout=r"takes/[^/]+/[^/]+_noimagestreams\.vrs",
    parse=partial(read_ego_exo4d, split=None),
    parse_split=by_lists(read_ego_exo4d),
    splits_of=listed_splits,
    window_seconds=5.0,
    licence="other",
    licence_text="its own licence agreement, which every user signs; do not share this",
    paper_segments={"head": "Head"},
    broken=(
        BrokenCopy("a take is cut off", r"not a readable VRS file"),
        BrokenCopy("a list of other classes", r"which is no known class"),
    ),
    note="test split of COMODO's lists where they are there, 5 s",
    published=(
        Published("sessions", sum(TAKES.values()), listed(TAKES, "takes")),
        Published("classes", 8, "classes of the paper's Table 9"),
    ),
    time_stamps=TimeStamps(r"_noimagestreams\.vrs", _first_times, 1000.0),
)
