"""Embeddings of real windows and of simulated ones of the same activities and placement (paper Figure 6)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic_write import write_text
from ..motion.procedural.narration import label_phrases
from ..motion.procedural.registry import ACTIVITIES
from ..motion.procedural.simulate import HELD_OUT_SEED
from ..recordings.imu_recording import ImuRecording
from ..recordings.windows_file import WindowsFile
from ..refusals import parse_json
from ..systems.interface import System
from .system_recognition import weights_of

FOLDER = "embeddings"


@dataclass(frozen=True)
class PairedEmbeddings:
    """What a system makes of windows of the same activities.

    Args:
        title: of the system; dataset, place: of the real windows.
        labels: of each window; real: of each, whether it was recorded.
        vectors: `(windows, dim)` of unit length.
        weights: see `weights_of`; windows_sha256: of the windows file.
    """

    title: str
    dataset: str
    place: str
    labels: tuple[str, ...]
    real: tuple[bool, ...]
    vectors: np.ndarray
    weights: str = ""
    windows_sha256: str = ""


def simulated_names(labels: Sequence[str]) -> dict[str, str]:
    """Label -> simulated activity that people call so; labels without one are left out."""
    of = {phrase.lower(): name for name in reversed(list(ACTIVITIES)) for phrase in label_phrases(name)}
    return {label: of[label.lower()] for label in labels if label.lower() in of}


def paired_embeddings(system: System, windows: WindowsFile, count: int = 100, seed: int = 0) -> PairedEmbeddings:
    """Up to `count` real and as many simulated windows of each activity that is simulated, on the most used placement.

    Simulated people are ones that training never draws.

    Raises:
        ValueError: no class of the dataset is simulated, or the system has no embeddings.
    """
    from ..pictures.demo import simulated_recording

    if not system.can("embed_imu"):
        raise ValueError(f"{system.title} has no embeddings of windows; choose a system with them, such as anymo")
    names = simulated_names(dict.fromkeys(str(one.label) for one in windows.recordings))
    if not names:
        raise ValueError(f"{windows.dataset}: none of its classes is a simulated activity")
    places = [next(iter(one.signals)) for one in windows.recordings]
    place = max(dict.fromkeys(places), key=places.count)
    rng, shown, real, labels = np.random.default_rng(seed), [], [], []
    for label, activity in names.items():
        own = [one for one in windows.recordings if one.label == label and place in one.signals]
        chosen = rng.permutation(len(own))[:count]
        shown += [ImuRecording({place: own[row].signals[place]}, own[row].sampling_rate) for row in chosen]
        for number in range(len(chosen)):
            made = simulated_recording(HELD_OUT_SEED + number, activity, [place])
            shown.append(ImuRecording(dict(made.signals), made.sampling_rate))
        real += [True] * len(chosen) + [False] * len(chosen)
        labels += [label] * (2 * len(chosen))
    vectors = system.embed_imu(shown)
    return PairedEmbeddings(
        system.title, windows.dataset, place, tuple(labels), tuple(real), vectors, weights_of(system), windows.sha256
    )


def refuse_other_embeddings(out: str | Path, name: str, dataset: str, weights: str, windows_sha256: str) -> Path:
    """The file of a system's embeddings; one of the same windows and weights is written anew.

    Raises:
        ValueError: it is there and of another dataset, other windows or other weights.
    """
    path = Path(out) / FOLDER / f"{name}.json"
    if path.is_file():
        held = read_embeddings(path)
        if (held.dataset, held.weights, held.windows_sha256) != (dataset, weights, windows_sha256):
            raise ValueError(
                f"{path} is of other windows ({held.dataset}) or weights of {name}; move it away or give another --out"
            )
    return path


def write_embeddings(out: str | Path, name: str, found: PairedEmbeddings) -> Path:
    """`out/embeddings/NAME.json`, whole or not at all; numbers have four digits. Errors as `refuse_other_embeddings`."""
    path = refuse_other_embeddings(out, name, found.dataset, found.weights, found.windows_sha256)
    content: dict[str, Any] = {**vars(found), "vectors": np.round(np.asarray(found.vectors, dtype=float), 4).tolist()}
    return write_text(path, json.dumps(content, separators=(",", ":")) + "\n")


def read_embeddings(path: str | Path) -> PairedEmbeddings:
    """What `write_embeddings` wrote.

    Raises:
        ValueError: another or a damaged file.
    """
    try:
        content = parse_json(Path(path).read_text(encoding="utf-8"))
        vectors = np.array(content.pop("vectors"), dtype=float)
        found = PairedEmbeddings(
            **content | {"labels": tuple(content["labels"]), "real": tuple(content["real"])}, vectors=vectors
        )
        if vectors.ndim != 2 or not len(vectors) == len(found.labels) == len(found.real):
            raise KeyError("vectors")
        return found
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: not a file of anymo evaluate embeddings ({error!r}); move it away and write it again"
        ) from error
