"""`Dataset`: all that the package knows of one public dataset, declared in one file of `recordings/datasets/`."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..refusals import refusing
from .imu_recording import ImuRecording

LABEL_CASES = ("own", "lower")
_ASK = "see the source, and ask its owners before you share this"


@dataclass(frozen=True)
class Published:
    """A figure of a dataset's own documents or of the paper.

    Args:
        count: what it counts: "recordings", "sessions", "seconds", "classes" or "subjects".
        value: the figure.
        meaning: what it says of what.
    """

    count: str
    value: float
    meaning: str


@dataclass(frozen=True)
class TimeStamps:
    """Where the original files hold time stamps.

    Args:
        files: regular expression for the end of the path of such a file.
        read: a file -> its first time stamps in seconds.
        rate: Hz that they should show; None where it varies.
    """

    files: str
    read: Callable[[Path], np.ndarray]
    rate: float | None = None


@dataclass(frozen=True)
class BrokenCopy:
    """A way in which copies of a dataset are known to be broken.

    Args:
        fault: what is wrong, in a few words.
        sign: regular expression for what `parse` says of it, an error or a warning; the words there name file, field and
            mend.
    """

    fault: str
    sign: str

    def __post_init__(self) -> None:
        re.compile(self.sign)


def _refusing(parse: Callable[..., Iterator[ImuRecording]], title: str) -> Callable[..., Iterator[ImuRecording]]:
    """`parse` with errors that name the copy and the mend."""

    @functools.wraps(parse)
    def read(folder: str | Path, *more: str) -> Iterator[ImuRecording]:
        with refusing(folder, f"copy of {title}", "download it again"):
            yield from parse(folder, *more)

    return read


@dataclass(frozen=True)
class Dataset:
    """One public dataset.

    Args:
        name: what commands and folders call it, the name of its file.
        title: its usual name.
        url: its DOI or page.
        placements: every placement that its documents name, in their order.
        sampling_rate: Hz of the recordings that `parse` gives.
        units: of acceleration and angular velocity in the original files; `parse` gives m/s^2 and rad/s.
        labels: class texts in the order of their ids (paper, Table 9).
        label_ids: their numbers in the original documents.
        layout: regular expression for the end of the path of a file that only this dataset has.
        parse: folder or zip -> every recording in it; refuses broken copies by file, field and mend.
        parse_split: folder and split -> the recordings of one official split; None where there is none.
        splits_of: folder -> the official splits that this copy holds; None where there is none.
        paper_split: window -> its split in the paper ("" where the paper leaves it out), for datasets whose reader gives
            everything at once; None where the split that was read says it.
        channels: of each sensor: six, or three without a gyroscope.
        window_seconds: recordings are cut to this; None keeps them whole.
        shortest_seconds: tails and stretches from this length on are kept too; None drops what is under a window. For
            datasets in which people seldom do one thing for a whole window.
        other_labels: class texts that `parse` gives and the evaluation leaves out.
        people: published number of people in what the evaluation reads, None where sources disagree.
        licence: its identifier on the Hub, "unknown" where it is not certain; `licence_text`: in words.
        paper_segments: every placement -> its segment in the paper's Table 9; empty where the paper lacks the dataset.
        worn_segments: placement -> the neighbouring segment that it gets where its own also carries another sensor of
            the dataset: an encoder has one sensor a segment.
        bundle: name in the UniMTS bundle, which is read instead where the folder holds it; None if it is not in there.
        published: figures to compare a copy with; `published_splits`: of the official splits, where they leave some out.
        time_stamps: None where the files hold none.
        broken: the ways in which copies are known to be broken, each as `parse` recognises it. Units and channels that
            cannot be are recognised for every dataset alike (`stretches.checked_units`).
        person_files: regular expressions for the files that say who is there, and for those of one person, each with
            the person as its group; None where one person's files cannot be read alone.
        note: how the windows differ from the paper's.
    """

    name: str
    title: str
    url: str
    placements: tuple[str, ...]
    sampling_rate: float
    units: tuple[str, str]
    labels: tuple[str, ...]
    label_ids: tuple[int, ...]
    layout: str
    parse: Callable[[str | Path], Iterator[ImuRecording]]
    parse_split: Callable[[str | Path, str], Iterator[ImuRecording]] | None = None
    splits_of: Callable[[Path], tuple[str, ...]] | None = None
    paper_split: Callable[[ImuRecording], str] | None = None
    channels: int = 6
    window_seconds: float | None = 5.0
    shortest_seconds: float | None = None
    other_labels: tuple[str, ...] = ()
    people: int | None = None
    licence: str = "unknown"
    licence_text: str = _ASK
    paper_segments: Mapping[str, str] = field(default_factory=dict)
    worn_segments: Mapping[str, str] = field(default_factory=dict)
    bundle: str | None = None
    published: tuple[Published, ...] = ()
    published_splits: tuple[Published, ...] = ()
    time_stamps: TimeStamps | None = None
    broken: tuple[BrokenCopy, ...] = ()
    person_files: tuple[str, str] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        # whatever a library makes of a damaged copy is said in one sentence, of every dataset alike
        object.__setattr__(self, "parse", _refusing(self.parse, self.title))
        if self.parse_split is not None:
            object.__setattr__(self, "parse_split", _refusing(self.parse_split, self.title))

    def faults(self, said: str) -> tuple[str, ...]:
        """The known faults that an error or warning of `parse` tells of."""
        return tuple(broken.fault for broken in self.broken if re.search(broken.sign, said))

    def read(self, folder: str | Path, split: str = "test") -> Iterator[ImuRecording]:
        """Recordings of a split: "test" is what the evaluation uses, everything where there is no official split.

        Raises:
            ValueError: a split that the dataset does not have, or what `parse` refuses.
            OSError: missing or damaged files.
        """
        if self.parse_split is None:
            if split != "test":
                raise ValueError(f"{self.title} has no official split; its recordings are all 'test', got {split!r}")
            return self.parse(folder)
        return self.parse_split(folder, split)

    def splits(self, folder: str | Path) -> tuple[str, ...]:
        """The splits that a copy holds: always "test"."""
        return ("test",) if self.splits_of is None else self.splits_of(Path(folder))

    def class_texts(self, label_case: str = "own") -> tuple[str, ...]:
        """Class texts in the order of their ids; "own" keeps their letters, "lower" makes them small.

        Raises:
            ValueError: unknown case.
        """
        if label_case not in LABEL_CASES:
            raise ValueError(f"label_case must be 'own' or 'lower', got {label_case!r}")
        return self.labels if label_case == "own" else tuple(text.lower() for text in self.labels)

    def windows(self, recordings: Iterator[ImuRecording]) -> Iterator[ImuRecording]:
        """Labelled recordings of the known classes, cut as the evaluation cuts them."""
        for recording in recordings:
            if recording.label in self.labels:
                cut = self.window_seconds
                yield from [recording] if cut is None else recording.windows(cut, self.shortest_seconds)

    @property
    def wrist_on_hand(self) -> bool:
        """Whether the paper takes its wrists for hands."""
        return any("wrist" in place and segment.endswith("_Hand") for place, segment in self.paper_segments.items())
