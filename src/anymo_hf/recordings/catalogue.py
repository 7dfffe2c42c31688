"""The datasets at hand: reader, class texts in id order, window length and the paper's scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import matlab_trials, openpack, uci_har, wisdm
from .imu_recording import ImuRecording


@dataclass(frozen=True)
class DatasetInfo:
    """One dataset of the zero-shot suite.

    Args:
        reader: folder -> recordings.
        labels: class texts in the order of their ids (paper Table 9).
        window_seconds: recordings are cut to this; None keeps them whole.
        paper_anymo, paper_unimts: accuracy, macro-F1 and Recall@2 in percent as the paper's Table 1 prints them, None
            where the class set differs from the paper's.
    """

    reader: Callable[[str | Path], Iterator[ImuRecording]]
    labels: tuple[str, ...]
    window_seconds: float | None
    paper_anymo: tuple[float, float, float] | None = None
    paper_unimts: tuple[float, float, float] | None = None


DATASETS: dict[str, DatasetInfo] = {
    "uci_har": DatasetInfo(uci_har.read_uci_har, uci_har.LABELS, None, (56.5, 51.6, 89.5), (35.2, 22.0, 53.1)),
    "uci_hapt": DatasetInfo(uci_har.read_hapt, uci_har.LABELS, 5.0),
    "usc_had": DatasetInfo(
        matlab_trials.read_usc_had, matlab_trials.USC_HAD_LABELS, 5.0, (27.7, 22.6, 64.0), (30.5, 27.8, 45.4)
    ),
    "utd_mhad": DatasetInfo(
        matlab_trials.read_utd_mhad, matlab_trials.UTD_MHAD_LABELS, None, (16.3, 11.3, 24.2), (22.8, 18.5, 32.6)
    ),
    "openpack": DatasetInfo(
        openpack.read_openpack, tuple(openpack.LABELS.values()), None, (13.1, 11.6, 28.0), (11.5, 7.5, 21.9)
    ),
    "wisdm": DatasetInfo(wisdm.read_wisdm, ("walking", "jogging", "stairs", "kicking ball"), 5.0),
}


def read_windows(name: str, folder: str | Path) -> Iterator[ImuRecording]:
    """Labelled windows of a dataset as the evaluation uses them.

    Raises:
        ValueError: unknown dataset.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown dataset {name!r}; known: {', '.join(DATASETS)}")
    info = DATASETS[name]
    for recording in info.reader(folder):
        if recording.label in info.labels:
            yield from [recording] if info.window_seconds is None else recording.windows(info.window_seconds)


def describe(folder: str | Path) -> Iterator[str]:
    """One line per dataset found below `folder`: windows, classes, median acceleration magnitude in m/s^2."""
    import numpy as np

    for name in DATASETS:
        if not (Path(folder) / name).is_dir():
            continue
        labels, magnitudes = set(), []
        for recording in read_windows(name, Path(folder) / name):
            labels.add(recording.label)
            magnitudes.append(np.linalg.norm(next(iter(recording.signals.values()))[:, :3], axis=1).mean())
        yield f"{name}: {len(magnitudes)} windows, {len(labels)} classes, median |acc| {np.median(magnitudes):.2f} m/s^2"


if __name__ == "__main__":
    import sys

    for line in describe(sys.argv[1]):
        print(line)
