"""Label texts retrieve windows of real recordings: mean average precision, beside what a random order gives.

python -m anymo_hf.evaluation.label_retrieval --data DIR [--datasets uci_hapt wisdm mobifall] [--system anymo]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..atomic_write import write_json
from ..interruption import ending_in_words
from ..recordings.catalogue import DATASETS, read_windows
from .recognition import stratified_subset

SETS = ("uci_hapt", "wisdm", "mobifall")
_DRAWS = 20  # random orders that chance is the mean of


@dataclass(frozen=True)
class LabelRetrieval:
    """Mean average precision over labels, of the system and of random orders, in percent."""

    dataset: str
    windows: int
    labels: int
    mean_average_precision: float
    chance: float


def mean_average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Mean over labels of the precision at every window that fits, windows ranked by their score for the label.

    Args:
        scores: `(windows, labels)`, higher is better; NaN ranks last, and equal scores in an order drawn by a fixed seed.
        truth: `(windows,)` label index of each window.

    Raises:
        ValueError: a label without windows, or shapes that do not go together.
    """
    scores, truth = np.asarray(scores, dtype=float), np.asarray(truth)
    if scores.ndim != 2 or truth.shape != scores.shape[:1]:
        raise ValueError(f"scores must be (windows, labels) and truth (windows,), got {scores.shape} and {truth.shape}")
    fitting = truth[:, None] == np.arange(scores.shape[1])
    if not fitting.any(0).all():
        raise ValueError(f"labels {np.flatnonzero(~fitting.any(0)).tolist()} have no windows; leave them out")
    tied = np.random.default_rng(0).random(scores.shape)  # windows come by label, so their own order knows the answer
    order = np.lexsort((tied, -np.nan_to_num(scores, nan=-np.inf)), axis=0)
    ranked = np.take_along_axis(fitting, order, axis=0)
    precision = ranked.cumsum(0) / np.arange(1, len(ranked) + 1)[:, None]
    return float(((precision * ranked).sum(0) / ranked.sum(0)).mean())


def chance_precision(truth: np.ndarray, labels: int, seed: int = 0) -> float:
    """`mean_average_precision` of random scores, mean over draws."""
    rng = np.random.default_rng(seed)
    return float(np.mean([mean_average_precision(rng.random((len(truth), labels)), truth) for _ in range(_DRAWS)]))


def evaluate_label_retrieval(
    system, datasets: Sequence[str], data: str | Path, most: int = 1000
) -> list[LabelRetrieval]:
    """Every dataset's labels against its windows, at most `most` of them, drawn evenly over labels."""
    found = []
    for name in tqdm(datasets, desc="datasets", leave=False, disable=None):
        windows = list(read_windows(name, Path(data) / name))
        labels = [label for label in DATASETS[name].labels if any(one.label == label for one in windows)]
        truth = np.array([labels.index(str(one.label)) for one in windows])
        windows = [windows[row] for row in stratified_subset(truth, most, seed=0)]
        labels = [label for label in labels if any(one.label == label for one in windows)]  # a rare one may be left out
        truth = np.array([labels.index(str(one.label)) for one in windows])
        values = mean_average_precision(system.score(windows, labels), truth), chance_precision(truth, len(labels))
        found.append(LabelRetrieval(name, len(windows), len(labels), *(round(100 * value, 1) for value in values)))
    return found


@ending_in_words("label_retrieval")
def main(words: list[str] | None = None) -> None:
    """The command line."""
    from ..systems.checkpoint import weights_sha256
    from ..systems.interface import load_system

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path, help="folder that holds the datasets")
    parser.add_argument("--datasets", nargs="+", default=list(SETS), choices=sorted(DATASETS), metavar="NAME")
    parser.add_argument("--system", default="anymo", help="any system that scores labels (default anymo)")
    parser.add_argument("--model", help="its weights (default: the system's own)")
    parser.add_argument("--max-windows", type=int, default=1000, help="of a dataset (default 1000)")
    parser.add_argument("--out", type=Path, default=Path("results/label_retrieval.json"))
    given = parser.parse_args(words)
    if missing := [name for name in given.datasets if not (given.data / name).is_dir()]:
        parser.error(f"--data {given.data} has no folder {', '.join(missing)}; unpack it there, or leave it out")
    system = load_system(given.system, given.model)
    rows = evaluate_label_retrieval(system, given.datasets, given.data, given.max_windows)
    for row in rows:
        print(f"{row.dataset}: mAP {row.mean_average_precision} (chance {row.chance}), {row.windows} windows")
    result = {"system": given.system, "model": given.model or given.system, "unit": "percent"}
    if given.system == "anymo":
        result["weights_sha256"] = weights_sha256(result["model"])
    print(f"written: {write_json(given.out, result | {'rows': [asdict(row) for row in rows]})}")


if __name__ == "__main__":
    main()
