"""Clips of the annotated windows of a Nymeria copy, and what of the windows gave none."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..simulation.archive.clips import Clip, read_clips
from ..simulation.archive.manifest import read_manifest
from ..simulation.archive.writer import Recording, RecordingJob, UnreadableSourceError
from .captured_clips import FRAME_RATE, cut, possible_runs, sixty_hertz_frames, smoothed

if TYPE_CHECKING:
    from ..nymeria.annotations import Annotation
    from ..nymeria.sequence import NymeriaSequence

_FOLDER = "annotated/"


def annotated_recordings(
    sequence: NymeriaSequence, windows: Sequence[Annotation], frames: int, times: str = "timecode"
) -> list[Recording]:
    """Clips of the annotated windows of a recording: the person's narration, its augmentations, the label.

    As `captured_recordings`: a window longer than a clip gives several that do not overlap, a rest or a window shorter
    than one gives none, and so does a clip with frames that no body can make. A window that reaches beyond the recording
    is cut.

    Args:
        sequence: of `read_nymeria`; narrations and mesh are not needed.
        windows: of `read_annotations`.
        frames: length of a clip at 60 Hz.
        times: clock of the windows: "timecode", or "motion" for seconds from the first frame.

    Raises:
        ValueError: a window lies outside the recording.
    """
    motion, rate = sequence.motion, sequence.motion.frame_rate
    clock = (sequence.repairs.timestamps_us - (sequence.repairs.timestamps_us[0] if times == "motion" else 0)) * 1e-6
    opening, close = clock[0], clock[-1] + 1 / rate
    pieces = []
    for item in windows:
        start, end = max(item.start, opening), min(item.end, close)
        if end <= start:
            other = "motion" if times == "timecode" else "timecode"
            raise ValueError(
                f"{sequence.name}: window {item.sample_id} runs from {item.start:.3f} to {item.end:.3f} s, the recording "
                f"from {opening:.3f} to {close:.3f} s; correct or drop it, or are its times on the other clock "
                f"(--times {other})?"
            )
        for piece in range(round((end - start) * FRAME_RATE) // frames):
            first = int(np.searchsorted(clock, start + piece * frames / FRAME_RATE - 0.5 / rate))
            pieces.append((first, _words(item, piece, motion.source, frames)))
    recordings = []
    for run in possible_runs(motion):
        stretch = cut(motion, run)
        most, clips = sixty_hertz_frames(stretch) - frames, []
        for first, clip in pieces:
            start = round((first - run[0]) * FRAME_RATE / rate)
            # rounding may ask for one frame too many at either end
            if -1 <= start <= most + 1 and most >= 0:
                clips.append(replace(clip, start=min(max(start, 0), most)))
        if clips:
            recordings.append(Recording(smoothed(stretch), tuple(clips)))
    return recordings


def _words(item: Annotation, piece: int, source: str, frames: int) -> Clip:
    narrations = tuple(dict.fromkeys([item.narration, *item.augmentations])) if item.narration else ()
    label = item.label or ""
    phrases = (label,) if label else ()
    return Clip(f"{item.sample_id}-{piece}", source, label, label, phrases, narrations, frames=frames)


def annotated_jobs(
    frames: int,
    recipe: dict,
    nymeria: str | Path,
    annotations: str | Path | None,
    times: str,
    held_out: Sequence[str] | None,
) -> tuple[list[RecordingJob], dict[str, tuple[Annotation, ...]]]:
    """A job for each annotated recording of a Nymeria copy, but those of people left out, and its windows.

    Arguments are those of `build_corpus`.
    """
    from ..nymeria.annotated_windows import NymeriaSource
    from ..nymeria.annotations import CLOCKS
    from ..nymeria.sequence import HELD_OUT_SUBJECTS, read_metadata

    if times not in CLOCKS:
        raise ValueError(f"times must be one of {', '.join(CLOCKS)}, got {times!r}")
    left_out = set(HELD_OUT_SUBJECTS if held_out is None else held_out)
    clock = "timecode" if annotations is None else times  # official files are on TIME_CODE
    jobs, known, people = [], {}, set()
    with tempfile.TemporaryDirectory() as cache:  # rows sorted by recording, so that each is read once
        named = None if annotations is None else str(annotations)
        source = NymeriaSource(str(nymeria), named, cache=cache)
        for sequence in source.sessions():
            windows: tuple[Annotation, ...] = ()
            try:
                person = read_metadata(sequence).subject
            except ValueError:  # the job meets it again and reports it
                pass
            else:
                people.add(person)
                if person in left_out:
                    continue
                windows = tuple(source.read(sequence))
            folder = sequence.absolute()
            digest = hashlib.sha256(repr((windows, clock)).encode()).hexdigest()[:16]
            make = partial(_read_and_cut, folder, windows, frames, clock)
            jobs.append(RecordingJob(f"{_FOLDER}{folder.name}", recipe | {"windows": digest}, make, folder))
            known[folder.name] = windows
    if held_out is not None and (strangers := sorted(left_out - people)):
        raise ValueError(
            f"--held-out {strangers[0]}: nobody of that name in the annotated recordings of {nymeria}; "
            f"there are {', '.join(sorted(people))}"
        )
    if not jobs:
        raise ValueError(f"{nymeria}: every annotated recording is of a person held out ({', '.join(sorted(people))})")
    return jobs, known


def _read_and_cut(folder: Path, windows: tuple[Annotation, ...], frames: int, times: str) -> list[Recording]:
    from ..nymeria.sequence import read_nymeria

    try:
        sequence = read_nymeria(folder, kinds=(), mesh=False)
    except (OSError, ValueError) as error:
        raise UnreadableSourceError(str(error)) from error
    return annotated_recordings(sequence, windows, frames, times)


def count_windows(known: dict[str, tuple[Annotation, ...]], frames: int, left_out: dict[str, str]) -> dict[str, int]:
    """For the manifest: windows of the recordings that can be read, and how many are shorter than a clip."""
    windows = [item for name, items in known.items() if name not in left_out for item in items]
    short = sum(round((item.end - item.start) * FRAME_RATE) < frames for item in windows)
    return {"annotated_windows": len(windows), "short_windows": short}


@dataclass(frozen=True)
class AnnotatedLosses:
    """What of the annotated windows of a corpus gave no clip.

    Args:
        windows: of all recordings that can be read.
        short: shorter than a clip.
        spoiled: long enough, but cut by the recording's ends, or with impossible motion in every clip.
        broken: sequence -> why it cannot be read.
    """

    windows: int
    short: int
    spoiled: int
    broken: dict[str, str]


def annotated_losses(folder: str | Path) -> AnnotatedLosses:
    """What `build_corpus` counted; zeros where there are no annotated windows."""
    manifest = read_manifest(folder)
    windows, short = (manifest.counts.get(name, 0) for name in ("annotated_windows", "short_windows"))
    used = len({clip.name.rpartition("-")[0] for name, clip in read_clips(folder) if name.startswith(_FOLDER)})
    return AnnotatedLosses(windows, short, windows - short - used, manifest.left_out)
