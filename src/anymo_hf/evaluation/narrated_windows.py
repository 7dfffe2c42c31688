"""Windows with a sentence each, for retrieval and captions: held-out people of Nymeria, and EgoExo4D (paper A.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..nymeria.annotated_windows import NymeriaSource, overlap
from ..nymeria.imu_grid import signals_by_device
from ..nymeria.sequence import HELD_OUT_SUBJECTS, read_metadata
from ..recordings.datasets.ego_exo4d_descriptions import balanced_subset, described_windows
from ..recordings.imu_recording import ImuRecording
from .retrieval import sample_per_recording

SUBSET = 100
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
            ValueError: a recording or task has too few windows.
        """
        if self.dataset == "nymeria":
            return self.take(sample_per_recording([one.session for one in self.recordings], PER_RECORDING))
        return self.take(balanced_subset([str(one.label) for one in self.recordings], SUBSET))


def nymeria_windows(
    source: NymeriaSource, people: Sequence[str] = HELD_OUT_SUBJECTS, stream: str = "1202-1"
) -> NarratedWindows:
    """Every annotated window of the held-out people, with the real streams of head and wrists at 60 Hz.

    A device without data in a window is left out of it; a window that lies outside its recording, or has no device with
    data, is left out and counted.

    Args:
        source: a copy with annotations.
        people: whose recordings.
        stream: "1202-1" or "1202-2".

    Raises:
        OSError: missing files, or no recording of those people.
        ValueError: bad annotations.
    """
    recordings, texts, dropped = [], [], 0
    sessions = [path for path in source.sessions() if read_metadata(path).subject in people]
    if not sessions:
        raise OSError(f"{source.nymeria}: no recording of {', '.join(people)}; download those sequences")
    for session in sessions:
        signals = source.signals(session, stream)
        for item in sorted(source.read(session), key=lambda one: (one.start, one.sample_id)):
            first, count = overlap(item, signals)
            window = signals.window(first, count)
            worn = signals_by_device(window)
            whole = {place: part.astype(float) for place, part in worn if count and np.isfinite(part).all()}
            if not whole or count < 2:
                dropped += 1
                continue
            recordings.append(
                ImuRecording(
                    whole, _RATE, item.label, None, item.subject, item.session, "nymeria", item.start, item.sample_id
                )
            )
            texts.append(item.narration)
    if not recordings:
        raise ValueError(f"{source.nymeria}: no annotated window of {', '.join(people)} has IMU data")
    note = f"{len(sessions)} recordings of {len({one.subject for one in recordings})} people"
    return NarratedWindows(
        "nymeria",
        tuple(recordings),
        tuple(texts),
        note + (f"; {dropped} windows without IMU left out" if dropped else ""),
    )


def ego_exo4d_windows(folder: str | Path) -> NarratedWindows:
    """4,000 windows of EgoExo4D, balanced over eight tasks; errors as `described_windows`."""
    recordings, texts = described_windows(folder)
    takes = len({one.session for one in recordings})
    return NarratedWindows("ego_exo4d", tuple(recordings), tuple(texts), f"{takes} takes")
