"""Few labels of real people, tested on other people as worn and with the device turned (DESIGN §6, table C).

python -m anymo_hf.evaluation.setup_shift --data DIR [--datasets uci_hapt] [--out results/setup_shift.json]

30 % of the people are the test. Of the others 1 or 5 windows a class, or all, have labels. "Turned" is one random rotation
of each test person's device about any axis. What is measured is kept after each cell: a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from ..recordings.catalogue import DATASETS, read_windows
from ..recordings.imu_recording import ImuRecording
from ..systems.interface import load_system
from .metrics import recognition_scores
from .recognition import stratified_subset

SYSTEMS = ("majority", "feature_forest", "anymo_linear", "anymo_robust")
SHARES = (1, 5, 0)  # windows a class; 0 is all
TEST_SHARE, TEST_WINDOWS, TRAIN_WINDOWS = 0.3, 300, 1200


@dataclass(frozen=True)
class Cell:
    """One fit: `windows` a class (0: all), as worn and turned in percent."""

    dataset: str
    system: str
    windows: int
    seed: int
    worn: float
    turned: float
    macro_f1: float
    trained_on: int
    tested_on: int


def turned(recordings: Sequence[ImuRecording], seed: int) -> list[ImuRecording]:
    """The recordings with each person's devices turned by one random rotation a placement about any axis."""
    out, turns = [], {}
    for recording in recordings:
        signals = {}
        for place, signal in recording.signals.items():
            key = (recording.subject, place)
            if key not in turns:
                digest = [seed, *key[0].encode(), *place.encode()]
                turns[key] = Rotation.random(rng=np.random.default_rng(digest)).as_matrix()
            triples = signal.reshape(len(signal), -1, 3)
            signals[place] = (triples @ turns[key].T).reshape(signal.shape)
        out.append(replace(recording, signals=signals))
    return out


def split(recordings: Sequence[ImuRecording], windows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from and rows of other people to test on.

    Raises:
        ValueError: under four people.
    """
    rng = np.random.default_rng(seed)
    people = np.array([one.subject for one in recordings])
    names = np.unique(people)
    if len(names) < 4:
        raise ValueError(f"{recordings[0].dataset} has {len(names)} people here; four are needed to hold some out")
    labels = np.array([one.label for one in recordings])
    held_out = np.isin(people, rng.permutation(names)[: max(1, round(TEST_SHARE * len(names)))])
    ids = np.unique(labels, return_inverse=True)[1]
    test = np.flatnonzero(held_out)
    test = test[stratified_subset(ids[test], TEST_WINDOWS, seed=0)]
    pool = rng.permutation(np.flatnonzero(~held_out))
    if windows:
        train = np.concatenate([pool[labels[pool] == label][:windows] for label in np.unique(labels[pool])])
    else:
        train = pool[:TRAIN_WINDOWS]
    return np.sort(train), test


def measure(dataset: str, recordings: Sequence[ImuRecording], system: str, windows: int, seed: int) -> Cell:
    """Fits a system and scores it as worn and turned."""
    train, test = split(recordings, windows, seed)
    fitted = load_system(system, seed=seed)
    fitted.fit([recordings[row] for row in train], [str(recordings[row].label) for row in train])
    labels = list(DATASETS[dataset].labels)
    truth = np.array([labels.index(str(recordings[row].label)) for row in test])
    asked = [recordings[row] for row in test]
    worn, other = (recognition_scores(fitted.score(part, labels), truth) for part in (asked, turned(asked, seed)))
    figures = [round(100 * value, 1) for value in (worn["accuracy"], other["accuracy"], worn["macro_f1"])]
    return Cell(dataset, system, windows, seed, *figures, len(train), len(test))


def table(cells: Sequence[Cell]) -> str:
    """Means over seeds as Markdown: accuracy as worn / turned."""
    lines = ["| dataset | windows a class | " + " | ".join(SYSTEMS) + " |", "| --- | ---: |" + " ---: |" * len(SYSTEMS)]
    for dataset in dict.fromkeys(cell.dataset for cell in cells):
        for windows in SHARES:
            row = []
            for system in SYSTEMS:
                found = [c for c in cells if (c.dataset, c.system, c.windows) == (dataset, system, windows)]
                means = (np.mean([c.worn for c in found]), np.mean([c.turned for c in found])) if found else None
                row.append("" if means is None else f"{means[0]:.1f} / {means[1]:.1f}")
            lines.append(f"| {dataset} | {windows or 'all'} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def read_cells(path: Path) -> list[Cell]:
    """What was measured before; none where the file is not there.

    Raises:
        ValueError: a damaged file.
    """
    if not path.is_file():
        return []
    try:
        return [Cell(**row) for row in json.loads(path.read_text())["cells"]]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a table of this command ({error}); delete it and run again") from error


def write_cells(path: Path, cells: Sequence[Cell]) -> None:
    """All cells, sorted; the file is never half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    order = sorted(cells, key=lambda c: (c.dataset, c.windows or 10**6, SYSTEMS.index(c.system), c.seed))
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(json.dumps({"cells": [asdict(cell) for cell in order]}, indent=1) + "\n")
    os.replace(draft, path)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder that holds the datasets")
    parser.add_argument("--datasets", nargs="+", default=["uci_hapt"], choices=sorted(DATASETS), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=5, help="splits of the people (default 5)")
    parser.add_argument("--out", type=Path, default=Path("results/setup_shift.json"))
    given = parser.parse_args(arguments)
    cells = read_cells(given.out)
    done = {(c.dataset, c.system, c.windows, c.seed) for c in cells}
    for dataset in given.datasets:
        plan = [(system, windows, seed) for windows in SHARES for seed in range(given.seeds) for system in SYSTEMS]
        plan = [item for item in plan if (dataset, *item) not in done]
        if not plan:
            continue
        recordings = list(read_windows(dataset, Path(given.data) / dataset))
        for system, windows, seed in tqdm(plan, dataset):
            cells.append(measure(dataset, recordings, system, windows, seed))
            write_cells(given.out, cells)
    print(table(cells))


if __name__ == "__main__":
    main()
