"""A Nymeria copy with annotations: each window with the real IMU at 60 Hz under it, checked before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..simulation.engines import run_jobs
from .annotations import Annotation, by_session, find_sessions, read_annotations
from .imu_grid import STEP_NS, SessionSignals, has_signals, read_signals


def overlap(annotation: Annotation, signals: SessionSignals) -> tuple[int, int]:
    """First frame and number of frames of an annotation, clipped to the recording; 0 frames where it lies outside."""
    first, count = annotation.frames()
    begin = max(first, signals.first)
    return begin, max(0, min(first + count, signals.first + len(signals.signals)) - begin)


def _stray(item: Annotation, signals: SessionSignals, folder: Path) -> str:
    step = STEP_NS * 1e-9
    return (
        f"{folder}: window {item.sample_id} runs from {item.start:.3f} to {item.end:.3f} s, the IMU from "
        f"{signals.first * step:.3f} to {(signals.first + len(signals.signals)) * step:.3f} s; times must be seconds of "
        'TIME_CODE, or of the motion with times="motion"'
    )


@dataclass(frozen=True)
class NymeriaSource:
    """A Nymeria copy with annotations, and how it is read.

    Args:
        nymeria: the folder of sequences.
        annotations: Parquet, CSV or a folder of them; None for the official files inside the sequences.
        times: clock of the annotations, "timecode" or "motion".
        resampling: "anti_aliased" or "nearest".
        cache: folder for signals at 60 Hz, which spares reading VRS again.
    """

    nymeria: str
    annotations: str | None = None
    times: str = "timecode"
    resampling: str = "anti_aliased"
    cache: str | None = None

    def sessions(self) -> list[Path]:
        """As `find_sessions`."""
        return find_sessions(self.nymeria, self.annotations)

    def read(self, session: str | Path) -> list[Annotation]:
        """As `read_annotations`; `session` is a name in the copy, or its folder."""
        spooled = self.annotations
        if self.annotations is not None and self.cache is not None:
            spooled = str(by_session(self.annotations, self.cache))
        return read_annotations(self.folder(session), spooled, self.times, self.annotations)

    def signals(self, session: str | Path, stream: str) -> SessionSignals:
        """As `read_signals`."""
        return read_signals(self.folder(session), stream, self.resampling, self.cache)

    def folder(self, session: str | Path) -> Path:
        """Folder of a sequence."""
        root = Path(self.nymeria)
        return root if root.name == Path(session).name else root / Path(session).name


def prepare(
    source: NymeriaSource,
    sessions: Sequence[str],
    streams: Sequence[str],
    num_proc: int = 1,
    signals_needed: bool = True,
    strict: bool = True,
    progress: bool = True,
) -> tuple[dict[str, str], dict[str, int]]:
    """Check every annotation against its recording, and put the 60 Hz signals into the cache if they are not there.

    Args:
        source: a copy.
        sessions: names of sequences.
        streams: of "1202-1" and "1202-2".
        num_proc: sequences at a time.
        signals_needed: whether a sequence without VRS files is broken.
        strict: raise for recordings that cannot be read and windows outside of them, rather than report them.
        progress: show a bar.

    Returns:
        Sequence -> why its IMU cannot be read, and sequence -> how many windows lie outside; both empty if strict.

    Raises:
        OSError: a recording cannot be read, and `strict`; or annotations are missing.
        ValueError: bad annotations, or a window lies outside its recording, and `strict`.
    """
    from tqdm import tqdm

    left_out: dict[str, str] = {}
    outside: dict[str, int] = {}
    mend = "to leave such out, pass strict=False (--skip-broken)"
    jobs = [(source, name, tuple(streams), signals_needed) for name in sessions]
    results = run_jobs(_prepare, jobs, num_proc=num_proc)
    for index, (broken, stray) in tqdm(
        results, total=len(jobs), unit="recording", desc="IMU at 60 Hz", disable=not progress
    ):
        if strict and broken:
            raise OSError(f"{broken}; {mend}")
        if strict and stray:
            raise ValueError(f"{stray[0]}; {mend}")
        if broken:
            left_out[sessions[index]] = broken
        if stray:
            outside[sessions[index]] = len(stray)
    return dict(sorted(left_out.items())), dict(sorted(outside.items()))


def _prepare(job: tuple[NymeriaSource, str, tuple[str, ...], bool]) -> tuple[str | None, list[str]]:
    """What is wrong with the IMU, and a message for every window outside of it."""
    source, session, streams, needed = job
    folder = source.folder(session)
    annotations = source.read(session)  # bad annotations are never left out
    if not needed and not has_signals(folder):
        return None, []
    stray: dict[str, str] = {}
    try:
        for stream in streams:
            signals = source.signals(session, stream)
            for item in annotations:
                if not overlap(item, signals)[1]:
                    stray[item.sample_id] = _stray(item, signals, folder)
    except (OSError, ValueError) as error:
        return f"{session}: {error}", []
    return None, list(stray.values())
