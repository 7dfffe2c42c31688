"""`DATASETS`, every dataset that `recordings/datasets/` declares, and `read_windows`, their windows for evaluation."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..modeling.known_names import did_you_mean
from . import datasets
from .dataset import Dataset
from .datasets import unimts_bundle
from .imu_recording import ImuRecording

SEGMENT_CHOICES = ("worn", "paper")
DATASETS: dict[str, Dataset] = {}
_FROM_BUNDLE = "bundle-"


def add_datasets(folder: str | Path) -> list[str]:
    """Adds the datasets of a folder, each a Python file `NAME.py` with a `DATASET`; returns their names.

    Its files may import from `anymo_hf`, or from neighbours of `recordings/datasets/` by a leading dot.

    Raises:
        ValueError: a dataset is declared twice, or its name is not that of its file.
    """
    if str(folder) not in datasets.__path__:
        datasets.__path__.append(str(folder))
        importlib.invalidate_caches()
    added = []
    for file in sorted(pkgutil.iter_modules([str(folder)]), key=lambda module: module.name):
        module = importlib.import_module(f"{datasets.__name__}.{file.name}")
        declared = getattr(module, "DATASET", None)
        if declared is None:
            continue
        if declared.name != file.name or Path(str(module.__file__)).parent != Path(folder):
            raise ValueError(f"{folder}/{file.name}.py: declares {declared.name!r}; give both one name that is new")
        DATASETS[declared.name] = declared
        added.append(declared.name)
    return added


add_datasets(Path(datasets.__file__).parent)


def checked_datasets() -> dict[str, Dataset]:
    """Every dataset, and then each that the UniMTS bundle holds, as `unimts_NAME`."""
    bundled = (unimts_bundle.bundled(dataset) for dataset in DATASETS.values() if dataset.bundle is not None)
    return DATASETS | {dataset.name: dataset for dataset in bundled}


def known_dataset(name: str) -> Dataset:
    """The dataset of a name.

    Raises:
        ValueError: unknown.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown dataset {name!r}{did_you_mean(name, DATASETS)}; known: {', '.join(DATASETS)}")
    return DATASETS[name]


def read_windows(
    name: str, folder: str | Path, segments: str | None = "worn", label_case: str = "own", split: str = "test"
) -> Iterator[ImuRecording]:
    """Labelled windows of a dataset as the evaluation uses them.

    Args:
        name: key of `DATASETS`.
        folder: the original download, or the UniMTS bundle's folder of this dataset, whose windows stay whole and whose
            labels are named by their ids.
        segments: how the sensors are named. "worn" gives the placements of the dataset's documents, but a neighbouring
            segment where two of them would share one (TNDA-HAR's wrist beside its forearm, its ankle beside its knee).
            "paper" gives the segments of the paper's Table 9, which puts RealWorld's chest on the left shoulder, ankles
            on the foot, and a wrist on the hand or on the forearm. None gives the placements of the documents alone.
        label_case: "own" keeps the letters of Table 9 ("Picking"), "lower" makes them small.
        split: as in `Dataset.read`; the bundle gives its test alone.

    Raises:
        ValueError: unknown dataset or option.
    """
    dataset = known_dataset(name)
    if segments not in (*SEGMENT_CHOICES, None):
        raise ValueError(f"segments must be 'worn' or 'paper', got {segments!r}")
    texts = dict(zip(dataset.labels, dataset.class_texts(label_case), strict=True))
    renamed = {"paper": dataset.paper_segments, "worn": dataset.worn_segments, None: {}}[segments]
    whole = _bundled(dataset, folder) if in_bundle(dataset, folder) else dataset.windows(dataset.read(folder, split))
    for window in whole:
        signals = {renamed.get(place, place): signal for place, signal in window.signals.items()}
        yield replace(window, signals=signals, label=texts[window.label])


def class_texts(name: str, label_case: str = "own") -> tuple[str, ...]:
    """`Dataset.class_texts` of a dataset, spelt as `read_windows` spells them."""
    return known_dataset(name).class_texts(label_case)


def in_bundle(dataset: Dataset, folder: str | Path) -> bool:
    """Whether a folder holds the dataset's part of the UniMTS bundle, whose windows have no subjects."""
    if dataset.bundle is None:
        return False
    file = f"{unimts_bundle.BUNDLES[dataset.bundle].folder}.json"
    return next(Path(folder).rglob(file), None) is not None


def _bundled(dataset: Dataset, folder: str | Path) -> Iterator[ImuRecording]:
    for recording in unimts_bundle.read_unimts_bundle(folder, dataset.bundle or ""):
        label = dataset.labels[int(recording.label_id or 0)]
        yield replace(recording, label=label, session=_FROM_BUNDLE + recording.session)
