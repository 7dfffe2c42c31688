"""Every public dataset, and the UniMTS bundle."""

import warnings
from pathlib import Path

import numpy as np
from fuzz.door import Door
from support.dataset_files import unimts_bundle
from support.dataset_files.two_people import WRITERS

from anymo_hf.recordings.catalogue import DATASETS
from anymo_hf.recordings.datasets.unimts_bundle import BUNDLES, read_unimts_bundle


def _read(name: str, path: Path) -> list:
    with warnings.catch_warnings(record=True):  # what a reader leaves out, it says
        return [(one.signals, one.sampling_rate, 1e-6 * one.start_time) for one in DATASETS[name].parse(path)]


def _door(name: str) -> Door:
    def write(folder: Path) -> Path:
        inside = folder / name
        WRITERS[name](inside)
        return inside

    return Door(f"dataset {name}", write, lambda path: _read(name, path))


def _write_bundle(folder: Path) -> Path:
    block = [9.8, 0.1, 0.2, 0.3, 0.4, 0.5, 1, 1, 1]
    windows = np.tile(np.tile(block, len(BUNDLES["pamap2"].columns)), (2, 40, 1)).astype(np.float32)
    unimts_bundle.write(folder, "pamap2", windows, np.array([0, 1]))
    return folder


def _read_bundle(path: Path) -> list:
    return [(one.signals, one.sampling_rate) for one in read_unimts_bundle(path, "pamap2")]


DOORS = [*(_door(name) for name in DATASETS), Door("dataset UniMTS bundle", _write_bundle, _read_bundle)]
