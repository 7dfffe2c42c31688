"""Noise of real devices: the estimator run on every placement of every dataset at hand, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..markdown import table
from ..recordings.catalogue import DATASETS, known_dataset
from ..recordings.imu_recording import ImuRecording
from ..simulation.noise_estimate import NoiseEstimate, estimate_noise


def estimate_recordings(
    recordings: Iterable[ImuRecording],
) -> tuple[dict[str, NoiseEstimate], dict[str, str]]:
    """Noise of each "dataset placement" among the recordings, and why others gave none.

    All recordings of a placement are taken as of one kind of device; different rates are estimated apart.
    """
    groups: dict[tuple[str, str, float, int], list[np.ndarray]] = {}
    for recording in recordings:
        for placement, signal in recording.signals.items():
            key = (recording.dataset, placement, recording.sampling_rate, signal.shape[1])
            groups.setdefault(key, []).append(signal)
    found: dict[str, NoiseEstimate] = {}
    failed: dict[str, str] = {}
    for (dataset, placement, rate, columns), signals in groups.items():
        name = f"{dataset or 'recording'} {placement}"
        if sum(key[:2] == (dataset, placement) for key in groups) > 1:
            name += f" ({rate:g} Hz, {columns} columns)"
        try:
            found[name] = estimate_noise(signals, rate)
        except ValueError as error:
            failed[name] = str(error)
    return found, failed


def estimate_datasets(
    folder: str | Path, names: Sequence[str] | None = None
) -> tuple[dict[str, NoiseEstimate], dict[str, str]]:
    """`estimate_recordings` of the datasets in `folder`, each in a folder of its catalogue name.

    Args:
        folder: holds `uci_hapt/`, `usc_had/` and so on.
        names: datasets to read; all that are there when left out.

    Raises:
        OSError: no known dataset in the folder, or a named one is missing.
        ValueError: an unknown name.
    """
    folder = Path(folder)
    for name in names or ():
        known_dataset(name)
    wanted = [name for name in DATASETS if (folder / name).is_dir()] if names is None else list(names)
    missing = [name for name in wanted if not (folder / name).is_dir()]
    if missing or not wanted:
        raise OSError(f"{folder}: no folder {', '.join(missing or DATASETS)}; give the one that holds the datasets")
    found: dict[str, NoiseEstimate] = {}
    failed: dict[str, str] = {}
    for name in (bar := tqdm(wanted, unit="dataset", leave=False)):
        bar.set_description(name)
        try:
            one, other = estimate_recordings(DATASETS[name].read(folder / name))
        except (ValueError, OSError) as error:
            failed[name] = str(error)
            continue
        found |= one
        failed |= other
    return found, failed


def markdown_table(found: Mapping[str, NoiseEstimate], failed: Mapping[str, str]) -> str:
    """The estimates as a Markdown table, then one line for each that failed.

    A device marked "moving" was never quite still, so its noise is an upper bound.
    """
    heads = (
        "device", "Hz", "quiet s", "longest still s", "motion left rad/s", "acc noise m/s²/√Hz", "gyro noise rad/s/√Hz",
        "acc instability m/s²", "gyro instability rad/s", "acc step m/s²", "gyro step rad/s", "acc seen m/s²",
        "gyro seen rad/s",
    )  # fmt: skip
    rows = []
    for name, item in found.items():
        cells = [f"{item.sampling_rate:g}", f"{item.quiet_seconds:.0f}", f"{item.longest_still:.0f}"]
        values = (
            item.motion_left, item.acc_density, item.gyro_density, item.acc_instability, item.gyro_instability,
            item.acc_step, item.gyro_step, item.acc_range, item.gyro_range,
        )  # fmt: skip
        cells += ["–" if value is None else f"{value:.2g}" for value in values]
        cells[3] += "" if item.still else " (moving)"
        rows.append([name, *cells])
    return "\n".join([table(heads, rows), *(f"{name}: not estimated ({reason})" for name, reason in failed.items())])
