"""Recognition by any registered system on the windows files (DESIGN §6, paper Table 1): one results file a system.

A system without training is asked at once; one that learns is fitted on the people of the split's training part and tested
on the others. Every row is written as soon as it is done, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..recordings.catalogue import DATASETS, known_dataset
from ..recordings.imu_recording import ImuRecording
from ..recordings.windows_file import WindowsFile, available, load_windows
from ..released import checkpoint_folder
from ..systems.interface import System, known_system, load_system
from .metrics import majority_scores, people_interval, recognition_scores
from .recognition import stratified_subset
from .results_file import read_percent, refuse_other_questions, refuse_others, results_path, write_percent

# "label" is the bare label, with what a system puts before texts by itself; the template was fixed before any was scored
WORDINGS = {"label": "{label}", "person": "a person is {label}"}
SYNONYMS = "synonyms"  # UniMTS's words for a class joined by spaces, where its bundle gave the windows
FOLDER = "recognition"


@dataclass(frozen=True)
class SystemRow:
    """One system on one dataset with one wording of the labels; scores in percent.

    Args:
        dataset, wording, split: of `DATASETS`, `WORDINGS` or `SYNONYMS`, and `windows_file.SPLITS`.
        windows: scored; trained_on: windows that it was fitted on, 0 without training; people: whose windows were scored.
        windows_sha256: of the windows file.
        labels: candidates in the order of their ids.
        chance, majority, majority_macro_f1: of an even guess, and of always answering the most frequent class.
        accuracy, macro_f1, recall_at_2: an answer that could not be read counts as wrong.
        interval: of the accuracy, 95 % by bootstrap over people; None for under two.
        top_class_share: share of windows that got the most predicted class.
        invalid_rate: share of answers that could not be read.
        parameters: numbers in its networks, None where it has none that can be counted.
        rate: Hz that it reads, None for every rate; channels: of one sensor that it was given and takes.
        seconds_per_1000: of scoring, on the machine that wrote the file; None where replies came from a cache.
        confusion: `(labels, labels)` counts, rows are the truth; answers that could not be read are missing.
        note: what differs from the paper's windows, as the windows file says.
    """

    dataset: str
    wording: str
    split: str
    windows: int
    trained_on: int
    people: int
    windows_sha256: str
    labels: tuple[str, ...]
    chance: float
    majority: float
    majority_macro_f1: float
    accuracy: float
    macro_f1: float
    recall_at_2: float
    interval: tuple[float, float] | None
    top_class_share: float
    invalid_rate: float
    parameters: int | None
    rate: float | None
    channels: int
    seconds_per_1000: float | None
    confusion: tuple[tuple[int, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class SystemResults:
    """The results file of one system.

    Args:
        system, title, requires, licence: of the system.
        source: what `load` was given, "" for the default.
        weights: hash of its networks before any training, "" without.
        max_windows, seed: of the draw of windows, and of everything random in the system.
        anymo_hf: version of this package.
        rows: what was scored.
        report: what the system says of the last run, see `System.report`.
    """

    system: str
    title: str
    requires: str
    licence: str
    source: str
    weights: str
    max_windows: int | None
    seed: int
    anymo_hf: str
    rows: tuple[SystemRow, ...]
    report: dict[str, Any] = field(default_factory=dict)


# what results of one file have in common; the title of an endpoint's system names its model
_COMMON = ("system", "title", "weights", "max_windows", "seed")


def evaluate_system(
    name: str,
    data: str | Path,
    out: str | Path,
    source: str | None = None,
    datasets: Sequence[str] | None = None,
    split: str | None = None,
    max_windows: int | None = None,
    seed: int = 0,
    segments: str = "worn",
    loaded: System | None = None,
) -> Iterator[str]:
    """Scores a system on every dataset that is there, and says so line by line; what is already in its file stays.

    Args:
        name: of the system; source, seed: as `System.load`.
        data: holds windows files, or downloads.
        out: results; the file is `out/recognition/NAME.json`, see `results_path`.
        datasets: None takes all that are there.
        split: "paper", "people" or "all"; None takes "people" for systems that learn and "paper" for others.
        max_windows: at most so many windows of a dataset, each class by its share.
        segments: how sensors are named, see `read_windows`.
        loaded: the system where it is loaded already.

    Raises:
        ValueError: unknown names; a results file of other weights, windows or settings; or, at the end, datasets that could
            not be scored.
        OSError: no dataset is there, or what the system requires is missing.
    """
    kind = known_system(name)
    for one in datasets or ():
        known_dataset(one)
    found = available(data, list(DATASETS) if datasets is None else datasets)
    if missing := sorted(set(datasets or ()) - set(found)):
        raise OSError(f"{data} holds neither a windows file nor a folder of {', '.join(missing)}")
    if not found:
        raise OSError(f"{data} holds no windows file and no dataset; write them with anymo evaluate windows")
    split = split or ("people" if kind.can("fit") else "paper")
    system = loaded or load_system(name, source, seed)
    path = results_path(out, FOLDER, system)
    results = SystemResults(
        name,
        system.title,
        kind.requires,
        kind.licence,
        source or "",
        weights_of(system),
        max_windows,
        seed,
        __version__,
        (),
    )
    earlier = read_system_results(path)
    if earlier is not None:
        # the same weights may lie anywhere, and a server may move
        moves = results.weights or kind.requires == "endpoint"
        refuse_others(path, earlier, results, _COMMON if moves else ("source", *_COMMON))
        refuse_other_questions(path, earlier.report, system)
        results = earlier
    failed: list[str] = []
    for dataset in found:
        try:
            windows = load_windows(dataset, data, segments)
            done = [row for row in results.rows if (row.dataset, row.split) == (dataset, split)]
            if any(row.windows_sha256 != windows.sha256 for row in done):
                raise ValueError(f"{path} has rows of other windows of {dataset}; move it away or give another --out")
            left = [word for word in wordings(system, windows) if word not in {row.wording for row in done}]
            if not left:
                yield f"{dataset}: done before"
                continue
            if kind.can("fit"):
                system = load_system(name, source, seed)
            rows = score_windows(system, windows, split, left, max_windows, seed)
        except (OSError, ValueError) as error:
            failed.append(dataset)
            yield f"{dataset}: not scored: {error}"
            continue
        order = list(DATASETS)
        merged = sorted((*results.rows, *rows), key=lambda row: order.index(row.dataset))
        results = replace(results, anymo_hf=__version__, rows=tuple(merged), report=system.report())
        write_percent(path, results)
        for row in rows:
            yield (
                f"{dataset}, {row.wording}: accuracy {row.accuracy:.1f}, macro-F1 {row.macro_f1:.1f}, R@2 "
                f"{row.recall_at_2:.1f} ({row.windows} windows; chance {row.chance:.1f}, majority {row.majority:.1f})"
                + (f"; {row.invalid_rate:.1f} % of the answers could not be read" if row.invalid_rate else "")
            )
    if results.rows:
        yield f"results: {path}"
    if failed:
        raise ValueError(f"{name} did not score {', '.join(failed)}; the lines above say why")


def wordings(system: System, windows: WindowsFile) -> list[str]:
    """The wordings that make a difference to a system: those with embeddings of texts read more than the label."""
    if not system.can("embed_text"):
        return ["label"]
    return [*WORDINGS, *([SYNONYMS] if windows.synonyms else [])]


def worded(word: str, labels: Sequence[str], windows: WindowsFile) -> list[str]:
    """The texts of the classes in a wording."""
    return list(windows.synonyms) if word == SYNONYMS else [WORDINGS[word].format(label=one) for one in labels]


def score_windows(
    system: System,
    windows: WindowsFile,
    split: str,
    wanted: Sequence[str],
    max_windows: int | None = None,
    seed: int = 0,
) -> list[SystemRow]:
    """Rows of a system on one dataset, one for each wording; windows are embedded once.

    Raises:
        ValueError: no window in the split, or the system refuses them.
    """
    labels = tuple(DATASETS[windows.dataset].labels)
    asked, trained_on = windows.rows(split), 0
    ids = np.array([labels.index(str(one.label)) for one in windows.recordings])
    asked = asked[stratified_subset(ids[asked], max_windows, seed)]
    if system.can("fit"):
        train = windows.rows(split, "train")
        system.fit([windows.recordings[row] for row in train], [labels[ids[row]] for row in train])
        trained_on = len(train)
    recordings, truth = [windows.recordings[row] for row in asked], ids[asked]
    kept, started = _from_cache(system), time.perf_counter()
    if system.can("embed_text"):
        embedded = system.embed_imu(recordings)
        scores = [embedded @ system.embed_text(worded(word, labels, windows)).T for word in wanted]
    else:
        scores = [system.score(recordings, labels) for _ in wanted]
    seconds = (time.perf_counter() - started) / len(recordings) * 1000
    timed = seconds if _from_cache(system) == kept else None
    return [
        _row(system, windows, split, word, matrix, truth, recordings, trained_on, timed)
        for word, matrix in zip(wanted, scores, strict=True)
    ]


def _from_cache(system: System) -> int:
    """How many replies it took from its cache so far, which say nothing of its speed."""
    return system.report().get("spent", {}).get("from_cache", 0)


def _row(
    system: System,
    windows: WindowsFile,
    split: str,
    wording: str,
    scores: np.ndarray,
    truth: np.ndarray,
    recordings: Sequence[ImuRecording],
    trained_on: int,
    seconds: float | None,
) -> SystemRow:
    labels = tuple(DATASETS[windows.dataset].labels)
    invalid = np.isnan(scores).any(1)
    answer = np.where(invalid, -1, np.where(invalid[:, None], 0.0, scores).argmax(1))
    ours = recognition_scores(np.where(invalid[:, None], 0.0, scores), truth, invalid)
    majority = majority_scores(truth, len(labels))
    people = np.array([one.subject for one in recordings])
    interval = people_interval(answer == truth, people)
    confusion = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(confusion, (truth[~invalid], answer[~invalid]), 1)
    given = max(signal.shape[1] for one in recordings for signal in one.signals.values())
    return SystemRow(
        dataset=windows.dataset,
        wording=wording,
        split=split,
        windows=len(truth),
        trained_on=trained_on,
        people=len(set(people) - {""}),
        windows_sha256=windows.sha256,
        labels=labels,
        chance=100 / len(labels),
        majority=100 * majority["accuracy"],
        majority_macro_f1=100 * majority["macro_f1"],
        interval=None if interval is None else (100 * interval[0], 100 * interval[1]),
        top_class_share=100 * float(confusion.sum(0).max() / len(truth)),
        invalid_rate=100 * float(invalid.mean()),
        parameters=parameter_count(system),
        rate=system.rate,
        channels=min(given, system.reads),
        seconds_per_1000=seconds,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        note=windows.note,
        **{name: 100 * ours[name] for name in ("accuracy", "macro_f1", "recall_at_2")},
    )


def networks(system: Any) -> list[Any]:
    """The torch modules that a system holds as attributes, those of its processor too, each once."""
    import torch

    held = list(vars(system).values())
    for value in list(held):
        extractor = getattr(value, "feature_extractor", None)
        held += [] if extractor is None else list(vars(extractor).values())
    found = {id(value): value for value in held if isinstance(value, torch.nn.Module)}
    return list(found.values())


def parameter_count(system: Any) -> int | None:
    """How many different parameters its networks have; None without a network."""
    own = {id(one): one.numel() for network in networks(system) for one in network.parameters()}
    return sum(own.values()) or None


def weights_of(system: Any) -> str:
    """Hash of the weights that a system was loaded with, or of the checkpoint that its `source` names; "" without."""
    import torch

    digest, found = hashlib.sha256(), networks(system)
    if not found and isinstance(getattr(system, "source", None), str):
        place = Path(system.source)
        files = [place] if place.is_file() else sorted(Path(checkpoint_folder(system.source)).rglob("*.safetensors"))
        for file in files:
            digest.update(file.name.encode() + file.read_bytes())
        return digest.hexdigest()[:16] if files else ""
    for network in found:
        for name, tensor in sorted(network.state_dict().items()):
            digest.update(
                name.encode() + tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            )
    return digest.hexdigest()[:16] if found else ""


def read_system_results(path: str | Path) -> SystemResults | None:
    """A results file; None where it is not there, and errors as `read_percent`."""

    def make(content: dict[str, Any]) -> SystemResults:
        rows = (SystemRow(**{name: _plain(value) for name, value in row.items()}) for row in content.pop("rows"))
        return SystemResults(**content, rows=tuple(rows))

    return read_percent(path, make)


def _plain(value: Any) -> Any:
    return tuple(_plain(one) for one in value) if isinstance(value, list) else value
