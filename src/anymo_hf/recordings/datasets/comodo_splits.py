"""The split lists of COMODO for Ego4D, EgoExo4D and UESTC-MMEA-CL, which the paper follows; read from the user's copy."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path

from ..imu_recording import ImuRecording

SPLITS = ("train", "val", "test")
_LONGEST = 4096  # letters of a line: a pattern tries a longer one for minutes


def read_splits(folder: str | Path, line: re.Pattern[str], known: Container[str]) -> dict[str, dict[str, str]]:
    """Split name -> {recording: value}, from `train.txt`, `val.txt` and `test.txt` somewhere below `folder`.

    Lists of other datasets are passed over: a list counts if at least half of its first lines fit.

    Args:
        folder: searched with all folders below.
        line: matches one line, with groups `key` and `value`.
        known: the values there are; compared in lower case with single spaces.

    Raises:
        ValueError: a line does not fit, its value is unknown, or a recording stands in two lists.
    """
    found: dict[str, dict[str, str]] = {}
    for name in SPLITS:
        for path in sorted(Path(folder).rglob(f"{name}.txt")):
            lines = [text.strip() for text in path.read_text(encoding="utf-8", errors="replace").splitlines()]
            head = [text for text in lines if text][:20]
            if head and 2 * sum(_value(text, line) in known for text in head) >= len(head):
                found[name] = _parse(path, lines, line, known)
                break
    seen: dict[str, str] = {}
    for name, entries in found.items():
        for key in entries:
            if key in seen:
                raise ValueError(f"{name}.txt: {key} stands in {seen[key]}.txt too; fetch the lists again")
            seen[key] = name
    return found


def _fitted(text: str, line: re.Pattern[str]) -> re.Match[str] | None:
    return line.fullmatch(text) if len(text) <= _LONGEST else None


def _value(text: str, line: re.Pattern[str]) -> str | None:
    match = _fitted(text, line)
    return " ".join(match["value"].lower().split()) if match else None


def _parse(path: Path, lines: list[str], line: re.Pattern[str], known: Container[str]) -> dict[str, str]:
    entries: dict[str, str] = {}
    for number, text in enumerate(lines, 1):
        if not text:
            continue
        match, value = _fitted(text, line), _value(text, line)
        if match is None or value is None or value not in known:
            what = "is cut off" if match is None else f"names {match['value']!r}, which is no known class"
            raise ValueError(f"{path}, line {number}: {text[:80]!r} {what}; fetch the list again")
        entries[match["key"]] = value
    return entries


def chosen_recordings(
    folder: str | Path, splits: dict[str, dict[str, str]], split: str | None, present: set[str], dataset: str
) -> dict[str, str] | None:
    """The recordings to read with their values; None stands for all, and a warning says that the split is unknown.

    Args:
        folder: for messages.
        splits: as `read_splits` gives them.
        split: "train", "val", "test", or None for every list.
        present: recordings that the folder holds; a warning counts those of the split that it lacks.
        dataset: for messages.

    Raises:
        OSError: other lists are there, but not the one asked for.
        ValueError: `split` is no split.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)} or None, got {split!r}")
    if not splits:
        warnings.warn(
            f"{folder}: no train.txt, val.txt or test.txt of {dataset}, so the split is unknown and all "
            f"{len(present)} recordings are given; put COMODO's lists into the folder to have the paper's split",
            stacklevel=3,
        )
        return None
    if split is not None and split not in splits:
        raise OSError(f"{folder}: {split}.txt of {dataset} is missing beside {', '.join(splits)}.txt; fetch it too")
    chosen = {key: value for name in splits if split in (None, name) for key, value in splits[name].items()}
    missing = sorted(set(chosen) - present)
    if missing:
        warnings.warn(
            f"{folder}: {len(missing)} of {len(chosen)} recordings of the {dataset} lists are not there: "
            f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}; download them to have the whole split",
            stacklevel=3,
        )
    return chosen


def by_lists(read: Callable[..., Iterator[ImuRecording]]) -> Callable[[str | Path, str], Iterator[ImuRecording]]:
    """A reader of one split, called "validation" as on the Hub where the lists say "val"."""
    return lambda folder, split: read(folder, split={"validation": "val"}.get(split, split))


def listed_splits(folder: Path) -> tuple[str, ...]:
    """The splits whose list lies in a folder, or beside a zip; always "test"."""
    lists = folder if folder.is_dir() else folder.parent
    names = {"train": "train", "validation": "val"}
    return (*(name for name, stem in names.items() if next(lists.rglob(f"{stem}.txt"), None)), "test")


def listed(sizes: Mapping[str, int], what: str) -> str:
    """How many of what the lists hold, in words."""
    return f"{what} in COMODO's lists: {', '.join(f'{count} {name}' for name, count in sizes.items())}"
