"""Windows with a sentence each, for retrieval and captions: held-out people of Nymeria, and EgoExo4D (paper A.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..nymeria.annotated_windows import NymeriaSource, overlap
from ..nymeria.imu import DEVICES, STREAMS
from ..nymeria.imu_grid import SessionSignals, signals_by_device
from ..nymeria.sequence import HELD_OUT_SUBJECTS, read_metadata
from ..recordings.datasets.ego_exo4d_descriptions import PER_TASK, TASKS, balanced_subset, described_windows
from ..recordings.imu_recording import ImuRecording
from .retrieval import sample_per_recording

SUBSET = 100
WINDOWS, RECORDINGS = 3_908, 20  # of Nymeria in the paper
SHORTEST_SECONDS = 1.0  # what AnyMo reads at least; all systems get the same windows
_RATE = 60.0
PER_RECORDING = 5


@dataclass(frozen=True)
class NarratedWindows:
    """Windows and their sentences.

    Args:
        dataset: "nymeria" or "ego_exo4d".
        recordings, texts: of equal length; of EgoExo4D the label of a recording is its task.
        note: what was left out.
    """

    dataset: str
    recordings: tuple[ImuRecording, ...]
    texts: tuple[str, ...]
    note: str = ""

    def take(self, rows: Sequence[int]) -> NarratedWindows:
        """Those rows."""
        return replace(
            self, recordings=tuple(self.recordings[row] for row in rows), texts=tuple(self.texts[row] for row in rows)
        )

    def hundred(self) -> NarratedWindows:
        """The subset of the paper: of Nymeria five windows of each recording (20 of them), of EgoExo4D 100 balanced ones.

        Raises:
            ValueError: a recording or task has too few windows, or those of Nymeria are not 100.
        """
        if self.dataset == "nymeria":
            sessions = [one.session for one in self.recordings]
            drawn = sample_per_recording(sessions, PER_RECORDING)
            if len(drawn) != SUBSET:
                read = len(set(sessions))
                raise ValueError(
                    f"{PER_RECORDING} windows of each of {RECORDINGS} recordings are wanted, here are {read}"
                )
            return self.take(drawn)
        return self.take(balanced_subset([str(one.label) for one in self.recordings], SUBSET))


def nymeria_windows(
    source: NymeriaSource,
    people: Sequence[str] = HELD_OUT_SUBJECTS,
    stream: str = "1202-1",
    incomplete: bool = False,
) -> NarratedWindows:
    """The annotated windows of the held-out people, with the real streams of head and wrists at 60 Hz.

    As the authors do it, a window counts where head and both wrists have data in both streams throughout. Others, and those
    under a second, are left out and counted in the note.

    Args:
        source: a copy with annotations.
        people: whose recordings.
        stream: "1202-1" or "1202-2", whose signals the windows have.
        incomplete: read that stream alone and keep every window in which a device has data, without those that have none.

    Raises:
        OSError: missing files, or no recording of those people.
        ValueError: bad annotations, or no window is left.
    """
    recordings, texts, invalid, short = [], [], 0, 0
    sessions = [path for path in source.sessions() if read_metadata(path).subject in people]
    if not sessions:
        raise OSError(f"{source.nymeria}: no recording of {', '.join(people)}; download those sequences")
    for session in sessions:
        signals = source.signals(session, stream)
        others = [] if incomplete else [source.signals(session, other) for other in STREAMS if other != stream]
        for item in sorted(source.read(session), key=lambda one: (one.start, one.sample_id)):
            first, count = overlap(item, signals)
            worn = _with_data(signals, first, count)
            partly = len(worn) < len(DEVICES) or any(
                len(_with_data(one, first, count)) < len(DEVICES) for one in others
            )
            if not worn or partly and not incomplete:
                invalid += 1
            elif count < SHORTEST_SECONDS * _RATE:
                short += 1
            else:
                recordings.append(
                    ImuRecording(
                        worn, _RATE, item.label, None, item.subject, item.session, "nymeria", item.start, item.sample_id
                    )
                )
                texts.append(item.narration)
    if not recordings:
        raise ValueError(
            f"{source.nymeria}: no annotated window of {', '.join(people)} "
            + ("has IMU data" if incomplete else "has both IMUs of head and wrists; --incomplete takes what is there")
        )
    read = len({one.session for one in recordings})
    said = [f"{len(recordings):,} of the paper's {WINDOWS:,} windows, {read} of {RECORDINGS} recordings"]
    if invalid:
        said.append(f"{invalid:,} windows without {'IMU' if incomplete else 'both IMUs of head and wrists'} left out")
    if short:
        said.append(f"{short:,} windows under {SHORTEST_SECONDS:g} s left out")
    if incomplete:
        said.append("windows may lack a device")
    return NarratedWindows("nymeria", tuple(recordings), tuple(texts), "; ".join(said))


def _with_data(signals: SessionSignals, first: int, count: int) -> dict[str, np.ndarray]:
    """`(count, 6)` of the devices that have data in all of those frames."""
    if not count or first < signals.first or first + count > signals.first + len(signals.signals):
        return {}
    worn = signals_by_device(signals.window(first, count))
    return {place: part.astype(float) for place, part in worn if np.isfinite(part).all()}


def ego_exo4d_windows(folder: str | Path) -> NarratedWindows:
    """Up to 4,000 windows of EgoExo4D, 500 of each of eight tasks; the note counts them. Errors as `described_windows`."""
    recordings, texts, lost = described_windows(folder)
    takes = len({one.session for one in recordings})
    note = f"{len(recordings):,} of the paper's {PER_TASK * len(TASKS):,} windows, {takes} takes"
    if lost:
        note += f"; {lost:,} drawn windows over a pause of the IMU left out"
    return NarratedWindows("ego_exo4d", tuple(recordings), tuple(texts), note)
