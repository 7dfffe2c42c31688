"""Captions of real windows that have a label and no sentence, and how often they name it (real ones for paper Figure 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic_write import write_json
from ..recordings.catalogue import DATASETS
from ..recordings.imu_recording import ImuRecording
from ..recordings.windows_file import load_windows
from ..refusals import parse_json
from ..systems.captions import generate_captions, read_codes, select_captions
from ..systems.embeddings import embed_labels
from .caption_activity import nearest_labels
from .recognition import stratified_subset

FILE = "labelled_captions.json"
WINDOWS = 60  # of a data set, each class by its share


def evaluate_labelled_captions(
    datasets: Sequence[str],
    data: str | Path,
    model: Any,
    processor: Any,
    out: str | Path,
    weights: Mapping[str, str],
    windows: int | None = None,
) -> Iterator[str]:
    """Captions of the paper's test windows of each data set; writes `out/labelled_captions.json` and says so line by line.

    Args:
        datasets: of `DATASETS`; windows longer than the processor takes are left out.
        data: holds windows files, or downloads.
        model, processor: of one checkpoint; weights: of `weights_sha256`.
        out: folder of the file; data sets that it holds and are not asked for stay.
        windows: at most so many of a data set; None takes `WINDOWS`.

    Raises:
        ValueError: an unknown data set, no window is short enough, or a file that is damaged or of other weights.
        OSError: a data set is not there.
    """
    path = Path(out) / FILE
    done, embed = _held(path, weights), partial(embed_labels, model, processor)
    for name in datasets:
        shown = load_windows(name, data)
        labels, rows = list(DATASETS[name].labels), shown.rows("paper")
        longest = processor.max_window_seconds or np.inf
        rows = np.array([row for row in rows if _seconds(shown.recordings[row]) <= longest])
        if not len(rows):
            raise ValueError(f"{name}: every window is longer than {longest:g} s, which is all the model reads")
        ids = np.array([labels.index(str(shown.recordings[row].label)) for row in rows])
        kept = stratified_subset(ids, windows or WINDOWS, seed=0)
        recordings, truth = [shown.recordings[rows[row]] for row in kept], ids[kept]
        read = read_codes(processor, recordings)
        captions = {
            "written": generate_captions(model, processor, *read),
            "selected": select_captions(model, processor, *read),
        }
        named = {
            way: 100 * float((nearest_labels(texts, labels, embed) == truth).mean()) for way, texts in captions.items()
        }
        row = {
            "dataset": name, "windows_sha256": shown.sha256, "windows": len(truth), "classes": len(labels),
            "chance": 100 / len(labels), "named": named, "captions": captions,
            "references": [labels[index] for index in truth],
        }  # fmt: skip
        done = [*(one for one in done if one["dataset"] != name), row]
        write_json(path, {"unit": "percent", "weights_sha256": dict(weights), "datasets": done})
        yield (
            f"{name}: of {len(truth)} windows the caption's nearest label is the window's in "
            + ", ".join(f"{value:.1f} % {way}" for way, value in named.items())
            + f" (chance {row['chance']:.1f})"
        )
    yield f"written: {path}"


def _seconds(recording: ImuRecording) -> float:
    return len(next(iter(recording.signals.values()))) / recording.sampling_rate


def _held(path: Path, weights: Mapping[str, str]) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        rows, of = list(content["datasets"]), dict(content["weights_sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error!r}); move it away") from error
    if rows and of != dict(weights):
        raise ValueError(f"{path} is of other weights; move it away or give another --out")
    return rows
