"""Few labels of real people, tested on other people as worn and under shifts of the setup (DESIGN §6, table C).

30 % of the people are the test; where a copy holds one person, 30 % of ten stretches of time. Of the others 1, 5 or 10
windows a class, or all, have labels. One fit is tested as worn and under every shift of its setup:

- turned: one random rotation of each test person's device about any axis;
- 20 Hz: a device of 20 Hz, brought back to the rate of training;
- other device: errors of another device on top, drawn for each person;
- on PLACE: the sensor that the same people wear on another place, given out as that of training.

What is measured is kept after each fit, one file a system: a stopped run goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .. import __version__
from ..modeling.known_names import did_you_mean
from ..recordings.catalogue import DATASETS
from ..recordings.imu_recording import ImuRecording
from ..recordings.windows_file import load_windows
from ..systems.interface import System, known_system, load_system
from .metrics import recognition_scores
from .recognition import stratified_subset
from .results_file import read_percent, write_percent
from .shifts import read_by, renamed, sampled_slowly, turned
from .system_recognition import weights_of

FOLDER = "setup_shift"
SHARES = (1, 5, 10, 0)  # windows a class; 0 is all
TEST_SHARE, TEST_WINDOWS, TRAIN_WINDOWS = 0.3, 300, 1200
STRETCHES = 10  # of time, where one person is all there is
SEEDS = 5


@dataclass(frozen=True)
class Setup:
    """A sensor to learn from: a dataset, its placement, and other places on which the same people wear one."""

    dataset: str
    place: str
    others: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Dataset and placement."""
        return f"{self.dataset}, {self.place.replace('_', ' ')}"


SETUPS = (
    Setup("uci_hapt", "waist"),
    Setup("usc_had", "right_hip"),
    Setup("mobifall", "right_pocket"),
    Setup("classyglass", "head"),
    Setup("geotec", "left_pocket", ("left_wrist",)),
    Setup("openpack", "left_wrist", ("right_wrist",)),
    Setup("openpack", "right_upper_arm", ("right_wrist",)),
)


@dataclass(frozen=True)
class Cell:
    """One fit tested under one shift; scores in percent.

    Args:
        dataset, place: of the setup.
        windows: labelled windows a class, 0 for all.
        seed: of the split of the people and all else at random.
        shift: "worn" is none.
        trained_on, tested_on: windows; held_out: "people" or "time".
    """

    dataset: str
    place: str
    windows: int
    seed: int
    shift: str
    accuracy: float
    macro_f1: float
    trained_on: int
    tested_on: int
    held_out: str

    @property
    def fit(self) -> tuple[str, str, int, int]:
        """What the cells of one fit share."""
        return self.dataset, self.place, self.windows, self.seed


@dataclass(frozen=True)
class ShiftResults:
    """The results file of one system.

    Args:
        system, title: of the system.
        source: what `load` was given, "" for the default; weights: see `weights_of`.
        windows_sha256: dataset -> hash of its windows file.
        anymo_hf: version of this package.
        cells: what was measured.
    """

    system: str
    title: str
    source: str
    weights: str
    windows_sha256: dict[str, str]
    anymo_hf: str
    cells: tuple[Cell, ...]


def split(recordings: Sequence[ImuRecording], windows: int, seed: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Rows to learn from and rows of other people, or of other times of the one person, to test on; and which of both.

    Raises:
        ValueError: two or three people, or none named.
    """
    rng = np.random.default_rng(seed)
    people, held_out_by = np.array([one.subject for one in recordings]), "people"
    if len(set(people)) == 1 and people[0]:
        times = np.argsort(np.argsort([one.start_time for one in recordings], kind="stable"))
        people, held_out_by = times * STRETCHES // len(recordings), "time"
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
    return np.sort(train), test, held_out_by


def shifted(
    setup: Setup, recordings: Sequence[ImuRecording], test: Sequence[ImuRecording], seed: int
) -> dict[str, list[ImuRecording]]:
    """What a fit of a setup is tested on, by the name of the shift.

    Args:
        setup: learned from.
        recordings: all windows of its dataset.
        test: those to test on, each with the setup's placement.
        seed: of what is random.
    """
    worn = renamed(test, setup.place, setup.place)
    parts = {
        "worn": worn,
        "turned": turned(worn, seed),
        "20 Hz": sampled_slowly(worn),
        "other device": read_by(worn, seed),
    }
    tested = {(one.subject, one.session.split("-")[0], one.label) for one in test}
    for other in setup.others:
        if all(other in one.signals for one in test):
            worn = renamed(test, setup.place, other)
        else:  # devices of different clocks are windows of their own
            mates = [one for one in recordings if (one.subject, one.session.split("-")[0], one.label) in tested]
            worn = renamed(mates, setup.place, other)
            ids = np.unique([str(one.label) for one in worn], return_inverse=True)[1]
            worn = [worn[row] for row in stratified_subset(ids, TEST_WINDOWS, seed=0)]
        parts[f"on {other.replace('_', ' ')}"] = worn
    return parts


def measure(
    system: System, setup: Setup, recordings: Sequence[ImuRecording], windows: int, seed: int,
    parts: dict[str, list[ImuRecording]] | None = None,
) -> list[Cell]:  # fmt: skip
    """Fits a system once and scores it under every shift.

    Args:
        system: not fitted yet.
        setup, windows, seed: as in `Cell`.
        recordings: all windows of the dataset.
        parts: of `shifted`, where they are at hand.

    Raises:
        ValueError: as `split`, or the system refuses the windows.
    """
    own = [one for one in recordings if setup.place in one.signals]
    train, test, held_out = split(own, windows, seed)
    parts = parts or shifted(setup, recordings, [own[row] for row in test], seed)
    learned = renamed([own[row] for row in train], setup.place, setup.place)
    system.fit(learned, [str(one.label) for one in learned])
    labels, cells = list(DATASETS[setup.dataset].labels), []
    for name, asked in parts.items():
        scores = system.score(asked, labels)
        found = recognition_scores(scores, np.array([labels.index(str(one.label)) for one in asked]))
        figures = (round(100 * found[score], 1) for score in ("accuracy", "macro_f1"))
        cells.append(Cell(setup.dataset, setup.place, windows, seed, name, *figures, len(train), len(asked), held_out))
    return cells


def run_setup_shift(
    system: str,
    data: str | Path,
    out: str | Path,
    source: str | None = None,
    datasets: Sequence[str] | None = None,
    shares: Sequence[int] = SHARES,
    seeds: int = SEEDS,
) -> Iterator[str]:
    """Every fit of a system that its results file does not hold yet; yields lines to print.

    Args:
        system: name of one that learns.
        data: holds windows files, or downloads.
        out: results; the file is `out/setup_shift/NAME.json`.
        source: as `System.load`.
        datasets: only these of `SETUPS`.
        shares: windows a class, 0 for all.
        seeds: how many splits of the people.

    Raises:
        ValueError: a system that does not learn; unknown datasets; a results file of other weights or windows.
        OSError: no dataset is there.
    """
    kind = known_system(system)
    if not kind.can("fit"):
        raise ValueError(f"{kind.title} does not learn from labels; table C needs a system that does")
    wanted = [setup for setup in SETUPS if datasets is None or setup.dataset in datasets]
    if unknown := sorted(set(datasets or ()) - {setup.dataset for setup in SETUPS}):
        there = list(dict.fromkeys(setup.dataset for setup in SETUPS))
        raise ValueError(
            f"no setup of {', '.join(unknown)}{did_you_mean(unknown, there)}; there are {', '.join(there)}"
        )
    path, memory = Path(out) / FOLDER / f"{system}.json", {}
    weights = weights_of(load_system(system, source))
    results = read_results(path) or ShiftResults(system, kind.title, source or "", weights, {}, __version__, ())
    # the same weights may lie anywhere
    if results.weights != weights or not weights and results.source != (source or ""):
        raise ValueError(f"{path} is of other weights of {system}; move it away or give another --out")
    held, missing = {}, []
    for name in dict.fromkeys(setup.dataset for setup in wanted):
        try:
            held[name] = load_windows(name, data)
        except OSError as error:
            missing.append(str(error))
            continue
        if results.windows_sha256.get(name, held[name].sha256) != held[name].sha256:
            raise ValueError(f"{path} is of other windows of {name}; move it away or give another --out")
    if not held:
        raise OSError("; ".join(missing))
    yield from (f"left out: {line}" for line in missing)
    for setup in (one for one in wanted if one.dataset in held):
        recordings = held[setup.dataset].recordings
        done = {cell.fit for cell in results.cells}
        plan = [(seed, share) for seed in range(seeds) for share in shares
                if (setup.dataset, setup.place, share, seed) not in done]  # fmt: skip
        own = [one for one in recordings if setup.place in one.signals]
        known: tuple[int, dict[str, list[ImuRecording]]] | None = None
        for seed, share in tqdm(plan, f"{system}: {setup.name}", unit="fit", disable=None):
            if known is None or known[0] != seed:
                known = (seed, shifted(setup, recordings, [own[row] for row in split(own, share, seed)[1]], seed))
            made = load_system(system, source, seed)
            made.memory = memory
            cells = measure(made, setup, recordings, share, seed, known[1])
            results = ShiftResults(
                system, kind.title, source or "", weights,
                results.windows_sha256 | {setup.dataset: held[setup.dataset].sha256}, __version__,
                tuple(sorted((*results.cells, *cells), key=_order)),
            )  # fmt: skip
            write_percent(path, results)
        memory.clear()
    yield f"{len(results.cells)} cells in {path}; anymo tables few-labels shows them"


def _order(cell: Cell) -> tuple:
    return cell.dataset, cell.place, cell.windows or 10**6, cell.seed


@dataclass(frozen=True)
class SetupCells:
    """Cells of one setup: `name` in words, and `(title of the system, cell)`."""

    name: str
    cells: tuple[tuple[str, Cell], ...]


def by_setup(results: Sequence[ShiftResults]) -> list[SetupCells]:
    """The cells of several systems, sorted by the setup."""
    cells = [(one.title, cell) for one in results for cell in one.cells]
    setups = dict.fromkeys((cell.dataset, cell.place) for _, cell in cells)
    return [
        SetupCells(Setup(*setup).name, tuple(pair for pair in cells if (pair[1].dataset, pair[1].place) == setup))
        for setup in setups
    ]


def read_results(path: str | Path) -> ShiftResults | None:
    """What was measured before; None where the file is not there, and errors as `read_percent`."""
    return read_percent(
        path, lambda found: ShiftResults(**found | {"cells": tuple(Cell(**row) for row in found["cells"])})
    )
