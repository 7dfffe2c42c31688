"""UniMTS's bundle of npy windows: a second way to the ten HAR datasets that the paper takes from there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np

from ...refusals import parse_json, refusing
from ..dataset import BrokenCopy, Dataset
from ..download import Download, Member
from ..imu_recording import STANDARD_GRAVITY, ImuRecording
from ..stretches import checked_units


@dataclass(frozen=True)
class Bundle:
    """How one dataset is stored.

    Args:
        folder: its name in the bundle.
        rate: Hz.
        classes: number of labels, ids from 0.
        columns: placement -> first column of the acceleration and of the angular velocity, three each.
        acceleration_scale, angular_velocity_scale: to m/s^2 and rad/s.
        other_placement: from this label on, the one sensor is worn there instead.
    """

    folder: str
    rate: float
    classes: int
    columns: dict[str, tuple[int, int]]
    acceleration_scale: float = 1.0
    angular_velocity_scale: float = 1.0
    other_placement: tuple[int, str] | None = None


def _blocks(width: int, *placements: str) -> dict[str, tuple[int, int]]:
    return {name: (width * index, width * index + 3) for index, name in enumerate(placements)}


_DEGREE = np.pi / 180
_CHECKED = 200
_AGAIN = "unpack the bundle again"
# Placements are those of the datasets' own documents; the bundle's node numbers put a chest on the left shoulder and a
# shin on the left foot.
BUNDLES: dict[str, Bundle] = {
    "opportunity": Bundle(
        "Opp_g",
        30.0,
        4,
        _blocks(9, "upper_back", "right_upper_arm", "right_forearm", "left_upper_arm", "left_forearm"),
        9.8 / 1000,  # the document's own milli-g
        1 / 1000,
    ),
    "uci_har": Bundle("UCIHAR", 50.0, 6, {"waist": (6, 3)}, STANDARD_GRAVITY),  # columns 0 to 2 lack gravity
    "w_har": Bundle("w-HAR", 250.0, 7, _blocks(6, "right_ankle"), STANDARD_GRAVITY, _DEGREE),
    "realworld": Bundle(
        "realworld",
        50.0,
        8,
        _blocks(6, "chest", "left_forearm", "head", "left_shin", "left_thigh", "left_upper_arm", "waist"),
    ),
    "tnda_har": Bundle(
        "TNDA-HAR", 50.0, 8, _blocks(6, "right_forearm", "left_knee", "right_wrist", "left_ankle", "upper_back")
    ),
    "pamap2": Bundle("PAMAP", 100.0, 12, _blocks(9, "right_wrist", "right_ankle", "chest")),
    "usc_had": Bundle("USCHAD", 100.0, 12, _blocks(6, "right_hip"), STANDARD_GRAVITY, _DEGREE),
    "wisdm": Bundle("WISDM", 20.0, 18, _blocks(6, "right_wrist")),
    "dsads": Bundle("DSADS", 25.0, 19, _blocks(9, "chest", "right_wrist", "left_wrist", "right_knee", "left_knee")),
    "utd_mhad": Bundle("UTD-MHAD", 50.0, 27, _blocks(6, "right_wrist"), STANDARD_GRAVITY, _DEGREE, (21, "right_thigh")),
}


def unimts_labels(folder: str | Path, name: str) -> tuple[str, ...]:
    """Class texts in id order: each label's synonyms joined by spaces, as UniMTS and the paper do.

    Raises:
        OSError: the dataset is not below `folder`.
        ValueError: unknown dataset, or a label file that does not name its classes 0, 1, ….
    """
    bundle = _bundle(name)
    with Download(folder) as download:
        return _labels(download, bundle)


def _bundle(name: str) -> Bundle:
    if name not in BUNDLES:
        raise ValueError(f"unknown dataset {name!r}; the bundle is read for {', '.join(BUNDLES)}")
    return BUNDLES[name]


def _find(download: Download, bundle: Bundle, file: str) -> Member:
    wanted = f"{bundle.folder}/{file}"
    return download.find(re.escape(wanted), "UniMTS_data.zip", wanted, archives=".*")[0]


def _labels(download: Download, bundle: Bundle) -> tuple[str, ...]:
    member = _find(download, bundle, f"{bundle.folder}.json")
    try:
        with download.open(member) as file:
            names = parse_json(file.read())["label_dictionary"]
        texts = {int(key): " ".join(words) for key, words in names.items() if not isinstance(words, str)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{member.source}: no 'label_dictionary' of id -> list of words ({error!r}); {_AGAIN}"
        ) from error
    if sorted(texts) != list(range(bundle.classes)):
        raise ValueError(
            f"{member.source}: expected labels 0 to {bundle.classes - 1}, each with a list, found {sorted(names)}; {_AGAIN}"
        )
    return tuple(texts[index] for index in range(bundle.classes))


def _array(download: Download, member: Member) -> np.ndarray:
    with refusing(member.source, "npy file of numbers", _AGAIN):
        if len(member.chain) == 1:
            return np.load(member.source, mmap_mode="r", allow_pickle=False)
        with download.open(member) as file:
            return np.load(BytesIO(file.read()), allow_pickle=False)


def read_unimts_bundle(folder: str | Path, name: str, split: str = "test") -> Iterator[ImuRecording]:
    """The windows of one dataset in SI units. The bundle knows no subjects.

    Args:
        folder: holds `UniMTS_data.zip`, packed or not.
        name: key of `BUNDLES`.
        split: "train" or "test", as distributed; the paper's for these datasets.

    Raises:
        OSError: a file is missing, or a damaged zip.
        ValueError: unknown dataset or split, arrays of another shape, labels out of range, windows that are not finite,
            or units that cannot be (asked of 200 windows).
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    bundle = _bundle(name)
    with Download(folder) as download:
        texts = _labels(download, bundle)
        place, label_file = (_find(download, bundle, f"{kind}_{split}.npy") for kind in "Xy")
        windows, labels = _array(download, place), np.asarray(_array(download, label_file)).reshape(-1)
    width = max(start + 3 for pair in bundle.columns.values() for start in pair)
    if windows.ndim != 3 or windows.shape[2] < width or windows.shape[1] < 2:
        raise ValueError(
            f"{place.source}: expected (windows, steps, at least {width} columns), got {windows.shape}; {_AGAIN}"
        )
    if len(labels) != len(windows):
        raise ValueError(
            f"{place.source}: {len(windows)} windows, but {label_file.source} holds {len(labels)} labels; {_AGAIN}"
        )
    outside = ~np.isin(labels, range(bundle.classes))
    if outside.any():
        row = int(np.argmax(outside))
        raise ValueError(
            f"{label_file.source}: label {labels[row]} of window {row} is not 0 to {bundle.classes - 1}; {_AGAIN}"
        )

    def window(index: int) -> ImuRecording:
        label = int(labels[index])
        signals = _signals(bundle, np.asarray(windows[index], dtype=np.float64), label)
        session = f"{split}-{index}"
        return ImuRecording(
            signals, bundle.rate, texts[label], label, session=session, dataset=name, source=f"{place.source} [{index}]"
        )

    for _ in checked_units(map(window, range(0, len(windows), max(1, len(windows) // _CHECKED)))):
        pass
    yield from map(window, range(len(windows)))


def _signals(bundle: Bundle, values: np.ndarray, label: int) -> dict[str, np.ndarray]:
    scale = np.repeat([bundle.acceleration_scale, bundle.angular_velocity_scale], 3)
    signals = {
        placement: np.concatenate([values[:, start : start + 3] for start in pair], axis=1) * scale
        for placement, pair in bundle.columns.items()
    }
    if bundle.other_placement is not None and label >= bundle.other_placement[0]:
        return {bundle.other_placement[1]: next(iter(signals.values()))}
    return signals


def bundled(dataset: Dataset) -> Dataset:
    """The declaration of a dataset's part of the bundle, both splits together; its own classes are not known there."""
    name = dataset.bundle or ""
    folder = _bundle(name).folder

    def parse(place: str | Path) -> Iterator[ImuRecording]:
        for split in ("train", "test"):
            yield from read_unimts_bundle(place, name, split)

    return replace(
        dataset,
        name=f"unimts_{name}",
        title=f"{folder} of the UniMTS bundle",
        layout=rf"{re.escape(folder)}/X_(train|test)\.npy",
        parse=parse,
        labels=(),
        other_labels=(),
        published=tuple(figure for figure in dataset.published if figure.count == "classes"),
        time_stamps=None,
        broken=(
            BrokenCopy("an array is cut off", r"not a whole npy file of numbers|windows, but .* holds .* labels"),
            BrokenCopy("unknown labels", r"label .* is not 0 to"),
        ),
    )
