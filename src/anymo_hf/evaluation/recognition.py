"""Zero-shot recognition of real datasets by the paper's protocol (A.5, Table 1), with chance and majority class."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import datasets as hf_datasets
import evaluate
import numpy as np
from tqdm import tqdm

from .. import __version__
from ..atomic_write import write_json
from ..markdown import table
from ..recordings.catalogue import DATASETS, known_dataset, read_windows
from ..recordings.imu_recording import ImuRecording
from ..recordings.windows_file import available, load_windows
from ..released import checkpoint_folder
from ..systems.checkpoint import weights_sha256
from ..systems.embeddings import TEXT_PROMPTS, embed_labels, embed_windows, label_case_of
from .metrics import majority_scores, people_interval, recognition_scores
from .paper_results import paper_results

# what the wrist setting of the processor means where the paper takes wrists for hands
WRIST_NOTES = {
    "forearm": "wrists are the forearm segment here and the hand in the paper",
    "hand": "wrists are the hand, as in the paper",
}


@dataclass(frozen=True)
class RecognitionRow:
    """Result on one dataset; every score is in percent.

    Args:
        dataset: key of `DATASETS`.
        windows: number of windows scored; available: number read, larger when a subsample was drawn.
        labels: candidate texts in id order; classes: how many.
        accuracy, macro_f1, weighted_f1, recall_at_2: ours; macro-F1 over labels seen in truth or prediction.
        chance: accuracy of an even guess.
        majority_accuracy, majority_macro_f1: always answering the most frequent class.
        paper_anymo, paper_unimts: accuracy, macro-F1, Recall@2 of the paper's Table 1, or None.
        confusion: `(classes, classes)` counts, rows are the truth.
        people: whose windows were scored, 0 where nobody is named.
        top_class_share: share of windows that got the most predicted class.
        accuracy_interval: 95 % by bootstrap over people, see `people_interval`; None for under two people.
        note: how the windows differ from the paper's.
    """

    dataset: str
    windows: int
    available: int
    classes: int
    labels: tuple[str, ...]
    accuracy: float
    macro_f1: float
    weighted_f1: float
    recall_at_2: float
    chance: float
    majority_accuracy: float
    majority_macro_f1: float
    paper_anymo: tuple[float, float, float] | None
    paper_unimts: tuple[float, float, float] | None
    confusion: tuple[tuple[int, ...], ...]
    note: str = ""
    people: int = 0
    top_class_share: float | None = None
    accuracy_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class RecognitionSettings:
    """What the rows of one `recognition.json` have in common.

    Args:
        model: name of the checkpoint folder, or owner/name on the Hub.
        weights_sha256: weight file -> its hash; model and motion tokenizer.
        wrist: the segment a wrist counts as.
        anymo_hf: version of this package.
        max_windows, seed, text_prompt, segments: as in `evaluate_recognition`.
        label_case: "lower" or "own", see `systems/embeddings.py`.
    """

    model: str
    weights_sha256: dict[str, str]
    wrist: str
    anymo_hf: str
    max_windows: int | None = None
    seed: int = 0
    text_prompt: str = "learned"
    segments: str = "worn"
    label_case: str = "lower"

    @property
    def file_name(self) -> str:
        """recognition.json; with a fixed prompt recognition-PROMPT.json."""
        return "recognition.json" if self.text_prompt == "learned" else f"recognition-{self.text_prompt}.json"

    @classmethod
    def of(
        cls,
        checkpoint: str | Path,
        processor: Any,
        max_windows: int | None = None,
        seed: int = 0,
        text_prompt: str = "learned",
        segments: str = "worn",
    ) -> RecognitionSettings:
        """Those of a checkpoint, a folder or owner/name on the Hub, from which `processor` was loaded.

        Raises:
            OSError: the weights are not on disk.
        """
        folder = Path(checkpoint_folder(checkpoint))
        name, hashes = folder.resolve().name if folder.is_dir() else str(checkpoint), weights_sha256(checkpoint)
        wrist, case = processor.feature_extractor.wrist, label_case_of(processor)
        return cls(name, hashes, wrist, __version__, max_windows, seed, text_prompt, segments, case)


def evaluate_recognition(
    model: Any,
    processor: Any,
    data_dir: str | Path,
    datasets: Sequence[str] | None = None,
    batch_size: int = 64,
    max_windows: int | None = None,
    seed: int = 0,
    text_prompt: str = "learned",
    segments: str = "worn",
) -> list[RecognitionRow]:
    """Cosine of the IMU embedding with every label's text embedding.

    Args:
        model: has `get_imu_features` and `get_text_features` (`AnyMoModel`); it is put into evaluation mode.
        processor: `AnyMoProcessor` with a feature extractor.
        data_dir: holds one windows file or folder per dataset, named as in `DATASETS`.
        datasets: which to score; None scores every one that is found.
        batch_size: windows of 5 s in a batch; longer ones count for more.
        max_windows: at most so many windows of a dataset, drawn with the same share of every class.
        seed: of that draw.
        text_prompt: key of `TEXT_PROMPTS`, how a label is put into words.
        segments: "worn" or "paper", where sensors count as worn, see `read_windows`.

    Raises:
        OSError: `data_dir` holds no known dataset, or one that was asked for is missing.
        ValueError: unknown dataset or prompt name, a dataset without windows, or a size below one.
    """
    root = Path(data_dir)
    return [
        _evaluate_dataset(model, processor, name, root / name, batch_size, max_windows, seed, text_prompt, segments)
        for name in _find_datasets(root, datasets, batch_size, max_windows, text_prompt)
    ]


def evaluate_recognition_to_file(
    model: Any,
    processor: Any,
    data_dir: str | Path,
    out_dir: str | Path,
    settings: RecognitionSettings,
    datasets: Sequence[str] | None = None,
    batch_size: int = 64,
) -> tuple[list[RecognitionRow], dict[str, Exception]]:
    """`evaluate_recognition`, with `settings.file_name` written anew after every dataset.

    A dataset that cannot be read does not stop the others. Where `datasets` are named, rows of the others stay in a file
    that has the same settings; any other file is replaced once the first dataset is done.

    Returns:
        The rows that the file holds now, in the order of `DATASETS`, and the error of every dataset that failed.

    Raises:
        OSError, ValueError: as in `evaluate_recognition`, before anything is evaluated.
    """
    root = Path(data_dir)
    found = _find_datasets(root, datasets, batch_size, settings.max_windows, settings.text_prompt)
    rows = {} if datasets is None else {row.dataset: row for row in read_recognition(out_dir, settings)}
    failed: dict[str, Exception] = {}
    for name in found:
        try:
            row = _evaluate_dataset(
                model, processor, name, root / name, batch_size, settings.max_windows, settings.seed,
                settings.text_prompt, settings.segments,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            failed[name] = error
            continue
        rows[name] = row
        write_recognition([rows[key] for key in DATASETS if key in rows], out_dir, settings)
    return [rows[key] for key in DATASETS if key in rows], failed


def _find_datasets(
    root: Path,
    datasets: Sequence[str] | None,
    batch_size: int,
    max_windows: int | None,
    text_prompt: str,
) -> list[str]:
    """Names of the datasets to score; errors as in `evaluate_recognition`."""
    for name, value in (("batch_size", batch_size), ("max_windows", max_windows)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if text_prompt not in TEXT_PROMPTS:
        raise ValueError(f"text_prompt must be one of {', '.join(TEXT_PROMPTS)}, got {text_prompt!r}")
    names = list(DATASETS) if datasets is None else list(datasets)
    for name in names:
        known_dataset(name)
    found = available(root, names)
    if datasets is not None and found != names:
        missing = sorted(set(names) - set(found))
        raise OSError(f"{root} has no folder {missing}; unpack the dataset there or leave it out")
    if not found:
        raise OSError(f"{root} holds none of the folders {', '.join(DATASETS)}")
    return found


def _evaluate_dataset(
    model, processor, name, folder, batch_size, max_windows, seed, text_prompt, segments
) -> RecognitionRow:
    windows, note = read_windows(name, folder, segments), DATASETS[name].note
    if folder.with_name(f"{name}.parquet").is_file() or DATASETS[name].paper_split is not None:
        held = load_windows(name, folder.parent, segments)
        windows, note = (held.recordings[row] for row in held.rows("paper")), held.note
    recordings = list(tqdm(windows, f"{name}: reading", unit="window", delay=1, leave=False, disable=None))
    if not recordings:
        raise ValueError(f"{folder}: no labelled window found")
    (row,) = score_recordings(model, processor, name, recordings, batch_size, max_windows, seed, [text_prompt], note)
    return row


def score_recordings(
    model: Any,
    processor: Any,
    name: str,
    recordings: Sequence[ImuRecording],
    batch_size: int = 64,
    max_windows: int | None = None,
    seed: int = 0,
    text_prompts: Sequence[str] = ("learned",),
    note: str = "",
) -> list[RecognitionRow]:
    """Scores labelled windows that have been read, one row for each of `text_prompts`; windows are embedded once.

    Args:
        name: of the dataset, whose labels are the candidates.
        recordings: its windows.
        model, processor, batch_size, max_windows, seed: as in `evaluate_recognition`.
        text_prompts: keys of `TEXT_PROMPTS`.
        note: what differs from the paper's windows.
    """
    labels = tuple(DATASETS[name].labels)
    truth = np.array([labels.index(recording.label) for recording in recordings])
    chosen = stratified_subset(truth, max_windows, seed)
    texts = [embed_labels(model, processor, labels, prompt) for prompt in text_prompts]
    imu = embed_windows(model, processor, [recordings[i] for i in chosen], batch_size, name)
    wrist = processor.feature_extractor.wrist
    people = np.array([recordings[i].subject for i in chosen])
    return [_score(name, imu @ text.T, truth[chosen], len(recordings), wrist, people, note) for text in texts]


def _score(
    name: str, similarity: np.ndarray, truth: np.ndarray, available: int, wrist: str, people: np.ndarray, note: str
) -> RecognitionRow:
    labels = tuple(DATASETS[name].labels)
    ours, majority = recognition_scores(similarity, truth), majority_scores(truth, len(labels))
    interval = people_interval(similarity.argmax(1) == truth, people)
    confusion = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(confusion, (truth, similarity.argmax(1)), 1)
    dataset, paper = DATASETS[name], paper_results("recognition").get(name, {})
    notes = (note, WRIST_NOTES[wrist] if dataset.wrist_on_hand else "")
    return RecognitionRow(
        dataset=name,
        windows=len(truth),
        available=available,
        classes=len(labels),
        labels=labels,
        chance=100 / len(labels),
        majority_accuracy=100 * majority["accuracy"],
        majority_macro_f1=100 * majority["macro_f1"],
        paper_anymo=paper.get("AnyMo"),
        paper_unimts=paper.get("UniMTS"),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        note="; ".join(note for note in notes if note),
        people=len(set(people) - {""}),
        top_class_share=100 * float(confusion.sum(0).max() / len(truth)),
        accuracy_interval=None if interval is None else (100 * interval[0], 100 * interval[1]),
        **{key: 100 * ours[key] for key in ("accuracy", "macro_f1", "weighted_f1", "recall_at_2")},
    )


def stratified_subset(truth: np.ndarray, max_windows: int | None, seed: int = 0) -> np.ndarray:
    """Sorted indices of at most `max_windows` items that keep the share of every class to within one item."""
    truth = np.asarray(truth)
    if max_windows is None or len(truth) <= max_windows:
        return np.arange(len(truth))
    shuffled = np.random.default_rng(seed).permutation(len(truth))
    # An item's depth in its class, as a fraction: the smallest fractions fill every class evenly.
    position = np.empty(len(truth))
    for label in np.unique(truth):
        members = shuffled[truth[shuffled] == label]
        position[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.sort(shuffled[np.argsort(position[shuffled], kind="stable")[:max_windows]])


def markdown_table(rows: Sequence[RecognitionRow]) -> str:
    """Rows as a Markdown table in percent, with notes below; a sampled dataset shows how many it was drawn from."""
    head = [
        "Dataset", "Windows", "Classes", "Chance", "Majority acc / F1", "Ours acc / F1 / R@2",
        "AnyMo (paper) acc / F1 / R@2", "UniMTS (paper) acc / F1 / R@2",
    ]  # fmt: skip
    cells = [
        [row.dataset, f"{row.windows}" if row.windows == row.available else f"{row.windows} of {row.available}",
         f"{row.classes}", f"{row.chance:.1f}", _join((row.majority_accuracy, row.majority_macro_f1)),
         _join((row.accuracy, row.macro_f1, row.recall_at_2)), _join(row.paper_anymo), _join(row.paper_unimts)]
        for row in rows
    ]  # fmt: skip
    notes = "".join(f"- {row.dataset}: {row.note}\n" for row in rows if row.note)
    return table(head, cells) + "\n" + (f"\n{notes}" if notes else "")


def _join(values: Iterable[float] | None) -> str:
    return "-" if values is None else " / ".join(f"{value:.1f}" for value in values)


def write_recognition(
    rows: Sequence[RecognitionRow], out_dir: str | Path, settings: RecognitionSettings | None = None
) -> str:
    """Write `settings.file_name` (to a temporary name, then renamed) and return the Markdown table."""
    folder = Path(out_dir)
    name = "recognition.json" if settings is None else settings.file_name
    common = {} if settings is None else asdict(settings)
    content = {"unit": "percent", **common, "datasets": [asdict(row) for row in rows]}
    write_json(folder / name, content)
    return markdown_table(rows)


def read_recognition(out_dir: str | Path, settings: RecognitionSettings) -> list[RecognitionRow]:
    """Rows of an earlier `settings.file_name`; none where it is missing, unreadable or has other settings."""
    try:
        content = json.loads((Path(out_dir) / settings.file_name).read_text(encoding="utf-8"))
        rows = [RecognitionRow(**row) for row in content.pop("datasets")]
        same = content.pop("unit") == "percent" and RecognitionSettings(**content) == settings
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return rows if same else []


class RecognitionMetric(evaluate.Metric):
    """`evaluate` form of `recognition_scores`: predictions are rows of label scores, references label indices."""

    def _info(self) -> evaluate.MetricInfo:
        features = {"predictions": hf_datasets.List(hf_datasets.Value("float64")),
                    "references": hf_datasets.Value("int64")}  # fmt: skip
        return evaluate.MetricInfo(
            description="Accuracy, macro-F1, weighted F1 and Recall@2 of zero-shot recognition, as fractions.",
            citation="arXiv 2605.22715",
            inputs_description="predictions: scores of every label; references: index of the true label.",
            features=hf_datasets.Features(features),
        )

    def _compute(self, predictions, references) -> dict[str, float]:
        return recognition_scores(np.array(predictions), np.array(references))
