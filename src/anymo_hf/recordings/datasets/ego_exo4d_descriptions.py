"""Atomic descriptions of EgoExo4D with five seconds of the head's IMU around each (paper A.6): the official files."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...nymeria.narration import call_wearer
from ...refusals import parse_json
from ..imu_recording import ImuRecording, natural_key, require_files, to_grid
from .ego_exo4d import LABELS, RATE, valid_samples

# in the authors' order, which decides the draw and who of the hundred has one more
TASKS = ("Rock Climbing", "Basketball", "Dance", "Cooking", "Health", "Bike Repair", "Soccer", "Music")
WINDOW_SECONDS = 5.0
LEAST_WORDS = 10
PER_TASK = 500
SEED = 42
_UNSURE = re.compile(r"#\s*unsure\b", re.IGNORECASE)
_SPEAKER = re.compile(r"#\s*[A-Z]\b\s*")  # "#C C picks …", as Ego4D's narrations begin
_OTHERS = re.compile(r"\b(?i:(?:(?:the|a|an)\s+)?(?:man|woman|person|lady|boy|girl))\s+(?!C\b)[A-Z]\b")


@dataclass(frozen=True)
class Description:
    """One sentence about one instant of a take.

    Args:
        take: its name; task: one of `LABELS`; person: who wears the glasses, "" where it is not said.
        second: from the take's first sample.
        text: cleaned, see `clean_text`.
    """

    take: str
    task: str
    person: str
    second: float
    text: str


def clean_text(text: str) -> str:
    """One line; "#unsure" is "something", "man X" another person, the wearer "C" always the person."""
    text = " ".join(_SPEAKER.sub("", _UNSURE.sub("something", text)).split())
    text = _OTHERS.sub("another person", text)
    return call_wearer(text, "person", known=True)


def read_descriptions(folder: str | Path) -> list[Description]:
    """Sentences about the wearer in the eight tasks, sure and of ten words or more, in the order of take and time.

    Args:
        folder: holds `annotations/atomic_descriptions_train.json`, `_val.json` or both, and `takes.json`.

    Raises:
        OSError: neither file of descriptions is there, or no `takes.json`.
        ValueError: a file that is not what it is called.
    """
    root = Path(folder)
    files = sorted(root.rglob("atomic_descriptions_*.json"))
    require_files(files, folder, "annotations/atomic_descriptions_train.json or _val.json", "EgoExo4D")
    takes_file = next(iter(sorted(root.rglob("takes.json"))), None)
    if takes_file is None:
        raise OSError(f"{folder}: no takes.json; download EgoExo4D's metadata beside its annotations")
    takes = _takes(takes_file)
    found: dict[tuple[str, str], Description] = {}
    for file in files:
        for uid, annotation, row in _rows(file):
            take = takes.get(uid)
            if take is None or take[1] not in LABELS or row.get("subject") != "C" or row.get("unsure"):
                continue
            text = clean_text(str(row["text"]))
            if len(text.split()) >= LEAST_WORDS:
                key = (take[0], f"{annotation} {float(row['timestamp']):012.3f}")
                found.setdefault(key, Description(take[0], take[1], take[2], float(row["timestamp"]), text))
    return sorted(found.values(), key=lambda one: (natural_key(Path(one.take)), one.second, one.text))


def _takes(file: Path) -> dict[str, tuple[str, str, str]]:
    """Take's id -> name, task and person."""
    try:
        rows = parse_json(file.read_text(encoding="utf-8"))
        return {
            str(row["take_uid"]): (
                str(row["take_name"]), str(row.get("parent_task_name")), str(row.get("participant_uid") or ""),
            )
            for row in rows
        }  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{file}: no list of takes with 'take_uid' and 'take_name' ({error!r}); download it again"
        ) from error


def _rows(file: Path) -> Iterable[tuple[str, str, dict]]:
    try:
        content = parse_json(file.read_text(encoding="utf-8"))["annotations"]
        for uid, annotations in content.items():
            for number, annotation in enumerate(annotations):
                for row in annotation["descriptions"]:
                    float(row["timestamp"]), row["text"]  # both have to be there
                    yield uid, str(annotation.get("annotation_uid", number)), row
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file}: no atomic descriptions of EgoExo4D ({error!r}); download it again") from error


def draw_balanced(descriptions: Sequence[Description], per_task: int = PER_TASK, seed: int = SEED) -> list[Description]:
    """`per_task` sentences of each task, all where there are fewer, in the order given."""
    generator, chosen = random.Random(seed), []
    for task in TASKS:
        own = [index for index, one in enumerate(descriptions) if one.task == task]
        chosen += own if len(own) <= per_task else generator.sample(own, per_task)
    return [descriptions[index] for index in sorted(chosen)]


def balanced_subset(tasks: Sequence[str], count: int = 100, seed: int = SEED) -> list[int]:
    """Sorted rows of `count` windows, of every task the same number to within one: of 100, 13 of the first four `TASKS`.

    Raises:
        ValueError: a task has too few.
    """
    names = [task for task in TASKS if task in set(tasks)]
    generator, chosen = random.Random(seed), []
    for number, task in enumerate(names):
        quota = count // len(names) + (number < count % len(names))
        own = [row for row, other in enumerate(tasks) if other == task]
        if len(own) < quota:
            raise ValueError(f"task {task!r} has {len(own)} windows, {quota} are wanted")
        chosen += generator.sample(own, quota)
    return sorted(chosen)


def described_windows(
    folder: str | Path, per_task: int = PER_TASK, seed: int = SEED, stream: str = "1202-1"
) -> tuple[list[ImuRecording], list[str], int]:
    """Windows of 5 s at 200 Hz around the described instants, and their sentences.

    A window that would pass the take's ends is moved inside. Takes without a VRS file in this copy have no part in the
    draw; a window over a pause of the stream is left out, and no other is drawn for it.

    Args:
        folder: holds `takes/<take>/*_noimagestreams.vrs` and the files of `read_descriptions`.
        per_task, seed: of `draw_balanced`.
        stream: as in `read_ego_exo4d`.

    Returns:
        Recordings labelled with the task, session the take; sentences; and how many drawn ones were left out.

    Raises:
        OSError, ValueError: as `read_descriptions`; no VRS file, an unreadable one, or no window that can be used.
    """
    paths = list(Path(folder).rglob("takes/*/*_noimagestreams.vrs"))
    require_files(paths, folder, "takes/<take>/*_noimagestreams.vrs", "EgoExo4D")
    of = {path.parent.name: path for path in paths}
    chosen = draw_balanced([one for one in read_descriptions(folder) if one.take in of], per_task, seed)
    recordings, texts = [], []
    count = round(WINDOW_SECONDS * RATE)
    for take in dict.fromkeys(one.take for one in chosen):
        time, signals, origin = valid_samples(of[take], stream)
        for one in (item for item in chosen if item.take == take):
            start = min(max(one.second - WINDOW_SECONDS / 2, 0.0), max(time[-1] - WINDOW_SECONDS, 0.0))
            grid = start + np.arange(count) / RATE
            inside = time[(time >= grid[0] - 1 / RATE) & (time <= grid[-1] + 1 / RATE)]
            if len(inside) < 2 or grid[-1] > time[-1] + 1 / RATE or np.diff(inside).max() > 1.0:
                continue
            recordings.append(
                ImuRecording(
                    {"head": to_grid(time, signals, grid)}, RATE, one.task, LABELS.index(one.task), one.person, take,
                    "ego_exo4d", origin + start, str(of[take]),
                )
            )  # fmt: skip
            texts.append(one.text)
    if not recordings:
        raise ValueError(f"{folder}: no described instant lies in a take with IMU; download the takes' VRS files")
    return recordings, texts, len(chosen) - len(recordings)
