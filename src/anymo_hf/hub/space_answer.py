"""What the page of `anymo space` answers: a file or a phone's own recording in, plain facts out. No gradio here.

Nothing is kept between two answers but the model and, per place, the library of known motions; neither changes.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import numpy as np

from ..modeling.body_segments import resolve_placement
from ..modeling.windows import TimelineEntry, WindowAnswer
from ..motion.procedural import HELD_OUT_SEED
from ..pictures.demo import simulated_recording
from ..recordings.devices.device_format import ReadingOptions
from ..recordings.devices.export import DeviceExport, read_export
from ..recordings.devices.read_report import report_rows
from ..recordings.imu_recording import ImuRecording
from ..refusals import refusing
from ..systems.captions import generate_captions
from ..systems.checkpoint import load_checkpoint
from ..systems.known_motions import KnownMotions, known_motions
from ..systems.recognizer import Recognizer, activity_seconds, mean_scores, recognize, zero_shot_recognizer

LARGEST_FILE = 10 << 20  # bytes
LARGEST_UNPACKED = 100 << 20  # bytes of a zip's files
MOST_SECONDS = 1800.0  # of a recording; the rest is left out
MOST_LABELS, LONGEST_LABEL = 40, 80
_LIBRARY_PEOPLE = (
    0,
)  # one person does every known motion: a third of the time, and the page's first answer waits for it
_COLUMNS = ("seconds", "acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")
# arguments of readers that their messages name, as the page's fields name them
FIELDS = {
    "rate": "Samples per second", "acceleration_unit": "Unit of acceleration",
    "angular_velocity_unit": "Unit of angular velocity", "columns": "Columns", "time_column": "Column of time stamps",
    "header_row": "Line of the column names", "separator": "Between cells", "decimal": "Decimal mark",
    "apple_sign": "Acceleration is -1 g face up",
}  # fmt: skip
_WORDS = {name: f"“{label}”" for name, label in FIELDS.items()}
_ARGUMENT = re.compile(rf"\b({'|'.join(_WORDS)})=('?)([^\s';,)?]*)\2")


@dataclass(frozen=True)
class Upload:
    """A file in memory: its name without folders, its bytes, and what is said of how to read it."""

    name: str
    content: bytes = field(repr=False)
    options: ReadingOptions = ReadingOptions()


@dataclass(frozen=True)
class Example:
    """A recording to begin with: what it is in a few words, where the sensor was worn, and its file."""

    title: str
    placement: str
    upload: Upload


@dataclass(frozen=True, eq=False)
class SurestWindow:
    """The window in which the main activity shows best.

    Args:
        start, end: seconds since the recording began.
        codes: `(2L,)` motion codes, `code + size * book`, time-major.
        books, size: how many codebooks, and codes in each.
        caption: what the model says of it; "" where it has no words.
        embedding: `(dim,)` unit vector.
    """

    start: float
    end: float
    codes: np.ndarray
    books: int
    size: int
    caption: str
    embedding: np.ndarray


@dataclass(frozen=True, eq=False)
class SpaceAnswer:
    """All that is found in a recording but for the known motions near to it.

    Args:
        title: file, device, length and place in words.
        report: rows of `report_rows`, in the page's words.
        entries: the timeline.
        seconds: activity -> seconds, the longest first.
        scores: label -> mean score, best first.
        acceleration: magnitude `(T,)` in m/s^2, pauses as NaN; `rate` in Hz.
        window: the surest window.
    """

    title: str
    report: list[tuple[str, str]]
    entries: list[TimelineEntry]
    seconds: dict[str, float]
    scores: dict[str, float]
    acceleration: np.ndarray
    rate: float
    window: SurestWindow


class SpaceModel:
    """A checkpoint that answers many at once; its library of known motions is made for each place when first asked for."""

    def __init__(self, model: str = "anymo"):
        self.name = model
        self._library: dict[int, KnownMotions] = {}
        self._lock = Lock()

    @cached_property
    def loaded(self) -> tuple[Any, Any]:
        """Model and processor."""
        return load_checkpoint(self.name)

    def recognizer(self, labels: Sequence[str] | None, none_of_these: bool) -> Recognizer:
        """As `zero_shot_recognizer`."""
        return zero_shot_recognizer(*self.loaded, labels, none_of_these)

    def nearest(self, placement: str, embedding: np.ndarray, top_k: int = 5) -> list[tuple[float, str]]:
        """Cosine and sentence of the known motions nearest to an embedding `(dim,)` at a place."""
        segment = resolve_placement(placement, self.loaded[1].feature_extractor.wrist)
        with self._lock:  # two who ask for a new place at once wait for one library
            if segment not in self._library:
                self._library[segment] = known_motions(*self.loaded, [segment], _LIBRARY_PEOPLE)
            library = self._library[segment]
        return library.nearest(embedding[None], top_k)[0]


def in_page_words(message: str) -> str:
    """A message with `rate=` and the like as the fields of the page: "Samples per second"."""

    def named(match: re.Match) -> str:
        return f"{_WORDS[match[1]]} {match[3]}".strip()

    return _ARGUMENT.sub(named, message)


def reading_options(
    rate: float | None = None,
    acceleration_unit: str | None = None,
    angular_velocity_unit: str | None = None,
    columns: str | None = None,
    time_column: str | None = None,
    header_row: float | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    apple_sign: str | None = None,
) -> ReadingOptions:
    """What the page's fields say of a file, in the order of `FIELDS`; empty ones leave it to the file.

    Raises:
        ValueError: a rate that no recording has, or half a line.
    """
    if rate and not 5 <= rate <= 10_000:
        raise ValueError(f"“{FIELDS['rate']}” must lie between 5 and 10,000, got {rate:g}")
    names = [name.strip() for name in (columns or "").split(",") if name.strip()]
    if header_row is not None and header_row != int(header_row):
        raise ValueError(f"“{FIELDS['header_row']}” must be a whole number, got {header_row:g}")
    apple = {"yes": True, "no": False}.get(apple_sign or "")
    return ReadingOptions(
        names or None, acceleration_unit or None, angular_velocity_unit or None, rate or None,
        (time_column or "").strip() or None, None if header_row is None else int(header_row), separator or None,
        decimal or None, apple,
    )  # fmt: skip


def split_labels(text: str | None) -> list[str] | None:
    """Labels from a text with commas or lines between them, each once; None where there are none.

    Raises:
        ValueError: more or longer ones than the page takes.
    """
    found = list(dict.fromkeys(" ".join(part.split()) for part in re.split(r"[,;\n]", text or "") if part.strip()))
    if len(found) > MOST_LABELS:
        raise ValueError(f"{len(found)} labels are more than this page takes; give at most {MOST_LABELS}")
    for label in found:
        if len(label) > LONGEST_LABEL:
            raise ValueError(
                f"the label {label[:20]!r}... is longer than {LONGEST_LABEL} letters; give it in fewer words"
            )
    return found or None


def simulated_example(activity: str, placement: str) -> Example:
    """Five seconds of a simulated person whom training never saw, as a file."""
    recording = simulated_recording(HELD_OUT_SEED, activity, [placement])
    signal = recording.signals[placement]
    rows = np.column_stack([np.arange(len(signal)) / recording.sampling_rate, signal])
    upload = Upload(f"{activity}.csv", _table(rows), ReadingOptions(None, "m/s^2", "rad/s"))
    return Example(f"Simulated: {recording.label}, {placement.replace('_', ' ')}", placement, upload)


def _table(rows: np.ndarray) -> bytes:
    """A CSV of seconds, acceleration and, where it is there, angular velocity."""
    lines = [",".join(_COLUMNS[: rows.shape[1]]), *(",".join(f"{value:.6g}" for value in row) for row in rows)]
    return "\n".join(lines).encode()


def phone_upload(samples: Sequence[Sequence[float]]) -> Upload:
    """What the page recorded from the phone's own sensors, as a file like any other.

    Args:
        samples: rows of seconds, acceleration x y z in m/s^2 with gravity, and where there is a gyroscope angular velocity
            x y z in deg/s, in the phone's own frame.

    Raises:
        ValueError: no recording.
    """
    rows = np.asarray(samples, dtype=float)
    if rows.ndim != 2 or rows.shape[1] not in (4, 7) or len(rows) < 2:
        raise ValueError("the phone gave no motion; open this page on a phone, allow its sensors, and record again")
    turning = "deg/s" if rows.shape[1] == 7 else None
    options = ReadingOptions(acceleration_unit="m/s^2", angular_velocity_unit=turning)
    return Upload("phone.csv", _table(rows), options)


def read_upload(upload: Upload, placement: str) -> DeviceExport:
    """What the file holds; it lies in a temporary folder while it is read, and no longer.

    Raises:
        ValueError, OSError: the reader's own sentence, with the file's name alone.
    """
    name = Path(upload.name.replace("\\", "/")).name or "recording"
    if len(upload.content) > LARGEST_FILE:
        raise ValueError(
            f"{name}: {len(upload.content) / 2**20:.1f} MB are over {LARGEST_FILE >> 20} MB; give a part of it"
        )
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(upload.content)
        try:
            if zipfile.is_zipfile(path):
                with refusing(path, "zip", "export it again"), zipfile.ZipFile(path) as archive:
                    unpacked = sum(member.file_size for member in archive.infolist())
                if unpacked > LARGEST_UNPACKED:
                    raise ValueError(
                        f"{path}: unpacks to over {LARGEST_UNPACKED >> 20} MB; give the sensor's file alone"
                    )
            return read_export(path, placement, options=upload.options)
        except (ValueError, OSError) as error:
            raise ValueError(in_page_words(str(error)).replace(f"{folder}/", "")) from error


def _first(stretches: Sequence[ImuRecording], most: float) -> list[ImuRecording]:
    """Stretches of the first `most` seconds; those under one second are left out."""
    begin, kept = stretches[0].start_time, []
    for part in stretches:
        left = round((most - (part.start_time - begin)) * part.sampling_rate)
        cut = {place: signal[: max(left, 0)] for place, signal in part.signals.items()}
        if len(next(iter(cut.values()))) >= part.sampling_rate:
            kept.append(replace(part, signals=cut))
    return kept


def _magnitude(stretches: Sequence[ImuRecording], placement: str) -> np.ndarray:
    rate, begin = stretches[0].sampling_rate, stretches[0].start_time
    last = stretches[-1]
    joined = np.full(round((last.start_time - begin) * rate) + len(last.signals[placement]), np.nan)
    for part in stretches:
        at, signal = round((part.start_time - begin) * rate), part.signals[placement]
        joined[at : at + len(signal)] = np.linalg.norm(signal[:, :3], axis=1)[: len(joined) - at]
    return joined


def answer_upload(
    space: SpaceModel,
    upload: Upload,
    placement: str,
    labels: Sequence[str] | None = None,
    none_of_these: bool = False,
) -> SpaceAnswer:
    """Read, recognise and describe.

    Args:
        space: who answers.
        upload: the file.
        placement: where the sensor was worn.
        labels: candidates; None is the short everyday list.
        none_of_these: as in `zero_shot_recognizer`.

    Raises:
        ValueError: a file, a place or labels that cannot be, in one sentence for the page.
    """
    export = read_upload(upload, placement)
    whole = sum(len(part.signals[placement]) for part in export.stretches) / export.sampling_rate
    stretches = _first(export.stretches, MOST_SECONDS)
    if not stretches:
        raise ValueError(f"{upload.name}: {whole:.2f} s without a pause are under one second; give a longer recording")
    report = [(name, in_page_words(text)) for name, text in report_rows(export)]
    if whole > MOST_SECONDS:
        report.append(
            ("note", f"the first {MOST_SECONDS / 60:g} minutes are answered here; `anymo recognize` takes all")
        )
    recognizer = space.recognizer(labels, none_of_these)
    answers: list[WindowAnswer] = []
    entries = list(recognize(recognizer, stretches, seen=answers.append))
    seconds = activity_seconds(entries)
    main = recognizer.labels.index(next(iter(seconds)))
    surest = max(answers, key=lambda answer: answer.scores[main])
    return SpaceAnswer(
        f"{upload.name}: {export.title}, {whole:.1f} s, {placement.replace('_', ' ')}",
        report,
        entries,
        seconds,
        mean_scores(answers, recognizer.labels),
        _magnitude(stretches, placement),
        export.sampling_rate,
        _described(space, stretches, surest, placement),
    )


def _described(
    space: SpaceModel, stretches: Sequence[ImuRecording], window: WindowAnswer, placement: str
) -> SurestWindow:
    """Tokens and caption of one window of the recording."""
    model, processor = space.loaded
    begin = stretches[0].start_time
    part = [part for part in stretches if part.start_time - begin <= window.start + 1e-6][-1]
    offset, rate = part.start_time - begin, part.sampling_rate
    start, end = (round((second - offset) * rate) for second in (window.start, window.end))
    codes, worn = processor.windows({placement: part.signals[placement][start:end]}, sampling_rate=rate)
    config = processor.feature_extractor.pqvae.config
    (caption,) = generate_captions(model, processor, codes[0][:1], worn)
    return SurestWindow(
        window.start,
        window.end,
        codes[0][0],
        config.num_codebooks,
        config.codebook_size,
        caption,
        np.asarray(window.embedding),
    )
