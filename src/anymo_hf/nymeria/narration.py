"""Nymeria's narrations: three CSV files whose seconds count the head device's clock, moved onto the body motion.

The head's DEVICE_TIME becomes TIME_CODE, the clock of `xdata.npz`, by a `NymeriaTimeMap`. It is exact where the head's VRS
file and a package that reads it are at hand. Otherwise it is guessed: annotators began about 0.215 s after the first frame
(0.20-0.23 s in 34 sequences looked at). In the sequences of `BAD_FIRST_ROWS` that guess is off by minutes, so it is refused.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..atomic_write import write_json
from ..motion.body_motion import Narration
from ..refusals import parse_json
from .imu import open_vrs

# file -> columns of text
TEXT_COLUMNS: dict[str, tuple[str, ...]] = {
    "motion_narration": (
        "Describe my body posture",
        "Describe my hands/arms motion",
        "Describe my legs/feet motion",
        "Describe my focus attention",
    ),
    "atomic_action": ("Describe my atomic actions",),
    "activity_summarization": ("Describe my activity",),
}
BAD_FIRST_ROWS = frozenset(
    {
        "20230928_s0_grace_randolph_act0_rsm00j",
        "20230928_s0_grace_randolph_act2_0xxd51",
        "20230928_s0_grace_randolph_act3_090k3i",
    }
)
FIRST_ROW_DELAY = 0.215  # seconds from the first frame to the first row
_PEOPLE = ("person", "human", "individual")
_WEARER = re.compile(r"(?<![\w-])C(?![\w+#-])")


@dataclass(frozen=True)
class NymeriaTimeMap:
    """TIME_CODE of the head's clock: `device + head_device_to_timecode_offset_ns + device * drift_ppm * 1e-6`.

    Args:
        sequence: name of the sequence.
        head_device_to_timecode_offset_ns: nanoseconds.
        drift_ppm: how much faster TIME_CODE runs, parts per million.
        source: where it comes from, such as "vrs", "first_row" or a word of the user's.

    Raises:
        ValueError: values of a wrong kind, or a drift beyond 1000 ppm.
    """

    sequence: str
    head_device_to_timecode_offset_ns: int
    drift_ppm: float
    source: str

    def __post_init__(self) -> None:
        offset, drift = self.head_device_to_timecode_offset_ns, self.drift_ppm
        if not isinstance(self.sequence, str) or not isinstance(self.source, str):
            raise ValueError("sequence and source of a time map must be text")
        if not isinstance(offset, int) or isinstance(offset, bool):
            raise ValueError(f"head_device_to_timecode_offset_ns must be a whole number of nanoseconds, got {offset!r}")
        if not isinstance(drift, int | float) or not abs(drift) <= 1000:
            raise ValueError(f"drift_ppm must lie between -1000 and 1000, got {drift!r}")

    def timecode_seconds(self, device_seconds: np.ndarray) -> np.ndarray:
        """TIME_CODE seconds of the head's DEVICE_TIME seconds, any shape."""
        device = np.asarray(device_seconds, float)
        return device + self.head_device_to_timecode_offset_ns * 1e-9 + device * (self.drift_ppm * 1e-6)

    def save(self, path: str | Path) -> None:
        """Write as JSON, whole or not at all."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: str | Path, sequence: str | None = None) -> NymeriaTimeMap:
        """Read a map, and check that it belongs to `sequence` where that is given.

        Raises:
            OSError: the file cannot be read.
            ValueError: no such JSON, fields that are missing, unknown or wrong, or the map of another sequence.
        """
        try:
            content = parse_json(Path(path).read_text(encoding="utf-8"))
            time_map = cls(**content)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: not a time map ({error}); delete it and align the sequence again") from error
        if sequence is not None and time_map.sequence != sequence:
            raise ValueError(f"{path}: maps the sequence {time_map.sequence!r}, not {sequence!r}; delete or move it")
        return time_map


@dataclass(frozen=True)
class NarrationCounts:
    """What became of the rows of the CSV files.

    Args:
        read: narrations that were kept.
        empty: text cells without text.
        untimed: rows without two numbers for their times, or that end before they start.
        outside: rows that lie wholly before or after the motion.
        clipped: rows kept with their ends cut to the motion.
    """

    read: int = 0
    empty: int = 0
    untimed: int = 0
    outside: int = 0
    clipped: int = 0


def narration_files(folder: str | Path) -> dict[str, Path]:
    """The narration files that a sequence folder has, by their names in `TEXT_COLUMNS`."""
    paths = {name: Path(folder) / "narration" / f"{name}.csv" for name in TEXT_COLUMNS}
    return {name: path for name, path in paths.items() if path.is_file()}


def time_map_from_vrs(path: str | Path, sequence: str) -> NymeriaTimeMap:
    """Exact map from the head's VRS file: the line through its clock readings.

    Raises:
        ImportError: no package that reads VRS is installed.
        OSError: the file is missing or damaged.
        ValueError: no time codes, or clocks that no line fits to 10 ms.
    """
    file = open_vrs(path)
    first, last = file.device_span_ns()
    device = np.linspace(first, max(last, first + 1), 200).astype(np.int64)
    shift = file.timecode_ns(device) - device
    drift, start = np.polyfit(device - first, shift - shift[0], 1)
    worst = np.abs(start + drift * (device - first) - (shift - shift[0])).max() * 1e-9
    if worst > 0.010:
        raise ValueError(
            f"{path}: its clocks drift apart by {worst:.3f} s more than a line; narrations cannot be aligned"
        )
    offset = int(shift[0]) + round(start - drift * first)
    return NymeriaTimeMap(sequence, offset, float(drift * 1e6), "vrs")


def time_map_from_first_row(folder: str | Path, sequence: str, start_timecode_us: int) -> NymeriaTimeMap:
    """Guess: the earliest row of the CSV files lies `FIRST_ROW_DELAY` after the first frame. Warns that it is a guess.

    Args:
        folder: sequence folder.
        sequence: its original name.
        start_timecode_us: TIME_CODE of the first frame.

    Raises:
        ValueError: no row with a time, or a sequence in which the guess is known to fail.
    """
    mend = "pass time_map=, or install projectaria-tools or vrs and download the head's motion.vrs"
    if sequence in BAD_FIRST_ROWS:
        raise ValueError(f"{folder}: the first narration of {sequence} does not mark the first frame; {mend}")
    starts = [_read_csv(path, ())["start_time"].min() for path in narration_files(folder).values()]
    starts = [start for start in starts if np.isfinite(start)]
    if not starts:
        raise ValueError(f"{folder}: no narration with a start_time to align by; {mend}")
    warnings.warn(
        f"{folder}: narrations are aligned by their first row, a guess that is right to about 0.02 s in most sequences; "
        f"for the exact clocks {mend}",
        stacklevel=2,
    )
    offset = round((start_timecode_us * 1e-6 + FIRST_ROW_DELAY - min(starts)) * 1e9)
    return NymeriaTimeMap(sequence, offset, 0.0, "first_row")


def read_narrations(
    folder: str | Path,
    time_map: NymeriaTimeMap,
    start_timecode_us: int,
    duration: float,
    kinds: tuple[str, ...] = ("atomic_action",),
    name_seed: int | None = None,
) -> tuple[list[Narration], NarrationCounts]:
    """Narrations of a sequence in seconds of its motion, in the order of their times.

    Args:
        folder: sequence folder; a kind whose file is missing gives none.
        time_map: clock of the head device.
        start_timecode_us: TIME_CODE of the first frame of the motion.
        duration: seconds of the motion.
        kinds: which of `TEXT_COLUMNS`; every text column of a row gives one narration.
        name_seed: with a seed, the wearer "C" becomes "a person", "a human" or "an individual".

    Raises:
        OSError: a file cannot be read.
        ValueError: a column is missing, an unknown kind, or more than half of a file's rows lie outside the motion.
    """
    unknown = set(kinds) - set(TEXT_COLUMNS)
    if unknown:
        raise ValueError(f"kinds must be among {', '.join(TEXT_COLUMNS)}, got {', '.join(sorted(unknown))}")
    rng = np.random.default_rng(name_seed)
    narrations: list[Narration] = []
    empty = untimed = outside = clipped = 0
    for kind, path in narration_files(folder).items():
        if kind not in kinds:
            continue
        table = _read_csv(path, TEXT_COLUMNS[kind])
        times = table[["start_time", "end_time"]].to_numpy(float, copy=True)
        times[~np.isfinite(times)] = np.nan
        timed = np.isfinite(times).all(axis=1) & (times[:, 1] > times[:, 0])
        moved = time_map.timecode_seconds(times) - start_timecode_us * 1e-6
        inside = timed & (moved[:, 1] > 0) & (moved[:, 0] < duration)
        cut = np.clip(moved, 0, duration)
        untimed += int((~timed).sum())
        outside += int((timed & ~inside).sum())
        clipped += int((inside & (cut != moved).any(axis=1)).sum())
        if 2 * inside.sum() < timed.sum():
            where = moved[timed]
            raise ValueError(
                f"{path}: {(timed & ~inside).sum()} of {timed.sum()} rows lie outside the motion of {duration:.1f} s (they "
                f"run from {where.min():.1f} to {where.max():.1f} s); the time map ({time_map.source}) does not fit"
            )
        for row in np.flatnonzero(inside):
            for column in _names(TEXT_COLUMNS[kind]):
                text = table[column].iloc[row]
                text = " ".join(text.split()) if isinstance(text, str) else ""
                if not text:
                    empty += 1
                    continue
                if name_seed is not None:
                    text = name_wearer(text, rng)
                narrations.append(Narration(float(cut[row, 0]), float(cut[row, 1]), text))
    narrations.sort(key=lambda narration: (narration.start, narration.end))
    return narrations, NarrationCounts(len(narrations), empty, untimed, outside, clipped)


def name_wearer(text: str, rng: np.random.Generator) -> str:
    """Calls the wearer "C" a person, human or individual, and "the" same from the second mention on."""
    return call_wearer(text, _PEOPLE[int(rng.integers(len(_PEOPLE)))])


def call_wearer(text: str, noun: str, known: bool = False) -> str:
    """Calls the wearer "C" by a noun, "the" same from the second mention on, or with `known` from the first."""
    mentions = 0

    def name(match: re.Match[str]) -> str:
        nonlocal mentions
        mentions += 1
        article = "the" if known or mentions > 1 else "an" if noun[0] in "aeiou" else "a"
        before = text[: match.start()].rstrip()
        return f"{article.capitalize() if not before or before[-1] in '.!?' else article} {noun}"

    return _WEARER.sub(name, text)


def _names(columns: tuple[str, ...]) -> list[str]:
    """Column names without case and spaces."""
    return [re.sub(r"\s+", "", column).lower() for column in columns]


def _read_csv(path: Path, text_columns: tuple[str, ...]) -> pd.DataFrame:
    """Table with start_time and end_time in seconds (NaN where a cell holds no number) and the text columns."""
    try:
        table = pd.read_csv(path, dtype=str, index_col=False, encoding="utf-8-sig")
    except pd.errors.EmptyDataError:
        return pd.DataFrame({name: [] for name in ("start_time", "end_time", *_names(text_columns))})
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a readable CSV ({error}); download it again") from error
    table.columns = pd.Index(_names(tuple(map(str, table.columns))))
    for name in ("start_time", "end_time", *text_columns):
        if _names((name,))[0] not in table.columns:
            raise ValueError(f"{path}: no column {name!r}; it has {', '.join(table.columns)}")
    for name in ("start_time", "end_time"):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    return table
