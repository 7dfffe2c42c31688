"""Recognition with few labels: what pre-training is worth beside the same network from scratch, and beside a forest.

    anymo evaluate few-labels --data DIR [--output results/few_labels.json]

`DIR` holds `usc_had/` and `uci_hapt/`. 30 % of the people are the test, the same ones throughout; of the others 1, 5, 25 or
100 % have labels (`take_share` of `finetuning`: less than one person is one person with that part of their
windows). Fine-tuning is that module's own code. The ways:

- `full`, `lora`, `linear`: the released model, all of it trained, LoRA adapters, or the classifier alone on a fixed
  network. The classifier starts from the labels' names; `linear_random` starts it at random.
- `scratch`: the same network, every trained weight at random, all of it trained, for as many steps of as many windows. It
  reads the motion codes of the pre-trained tokenizer with their code vectors, so it is a language model from scratch on
  pre-trained codes, not a network that saw no other data at all.
- `forest`: the features and trees of `systems/feature_forest.py`.
- `zero_shot`: the released model without any label.

Learning rates are one for each way. `--choose` shows what they were chosen by: scores of UCI-HAPT on one person of the
training people, never of the test. A run that was stopped goes on where it was. Codes are kept in `runs/few_labels`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, disable_progress_bars, load_from_disk
from torch import nn
from tqdm import tqdm
from transformers import AutoModelForSequenceClassification, AutoProcessor, PrinterCallback
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import logging

from ..atomic_write import replacing_folder, write_json
from ..markdown import table
from ..modeling.collator_anymo import AnyMoCollator
from ..recordings.catalogue import DATASETS, read_windows
from ..refusals import parse_json
from ..systems.feature_forest import TREES, window_features
from . import finetuning
from .finetuning import FinetuneSettings, split_people, take_share
from .metrics import recognition_scores
from .recognition import RecognitionSettings, stratified_subset

NAMES = ("usc_had", "uci_hapt")
STEPS = {0.01: 60, 0.05: 80, 0.25: 120, 1.0: 320}  # share -> steps
SEEDS = {0.01: 3, 0.05: 3, 0.25: 3, 1.0: 1}
RATES = {"full": 1e-4, "lora": 3e-4, "linear": 1e-3, "linear_random": 1e-2, "scratch": 3e-4}
TRIED = {"full": (1e-4, 3e-4), "lora": (3e-4, 1e-3), "linear": (1e-3, 1e-2), "linear_random": (1e-3, 1e-2),
         "scratch": (3e-4, 1e-3)}  # fmt: skip
WAYS = ("forest", "scratch", "linear_random", "linear", "lora", "full")
BATCH, TEST_WINDOWS = 8, 300


@dataclass(frozen=True)
class Run:
    """One training: `share` 0 is zero-shot; `rate` of learning, None for what does not learn by gradients."""

    dataset: str
    share: float
    way: str
    seed: int
    rate: float | None = None


@dataclass
class Windows:
    """Windows of a data set: rows as `make_codes` gives them, and `features`; embeddings are made when first asked for."""

    labels: tuple[str, ...]
    train: Dataset
    test: Dataset
    embeddings: dict[str, np.ndarray] | None = None


def planned() -> list[Run]:
    """Every run, the cheap shares first."""
    runs = [Run(name, 0.0, "zero_shot", 0) for name in NAMES]
    for share, seeds in SEEDS.items():
        runs += [Run(name, share, way, seed, RATES.get(way)) for name in NAMES for seed in range(seeds) for way in WAYS]
    return runs


# -- data ----------------------------------------------------------------------------------------------------------------


def load_windows(name: str, data: Path, processor: Any, tokenizer_hash: str, cache: Path) -> Windows:
    """Codes and features of a data set, read once and kept in `cache`, split by people.

    Raises:
        OSError: the data set is not there.
    """
    kept = cache / f"{name}-{tokenizer_hash[:12]}"
    if not kept.is_dir():
        if not (data / name).is_dir():
            raise OSError(f"{data} has no folder {name}; unpack the data set there")
        recordings = list(tqdm(read_windows(name, data / name), f"{name}: reading", unit="window", disable=None))
        columns: dict[str, list] = {"imu_codes": [], "imu_placements": []}
        for start in tqdm(range(0, len(recordings), 64), f"{name}: motion codes", unit="batch", disable=None):
            part = recordings[start : start + 64]
            signals = [recording.signals for recording in part]
            codes = processor.feature_extractor(signals, sampling_rate=part[0].sampling_rate)
            for column in columns:
                columns[column] += codes[column]
        columns["labels"] = [DATASETS[name].labels.index(recording.label) for recording in recordings]
        columns["subject"] = [recording.subject for recording in recordings]
        places = sorted({place for recording in recordings for place in recording.signals})
        columns["features"] = window_features(recordings, places).tolist()
        with replacing_folder(kept) as draft:
            Dataset.from_dict(columns).save_to_disk(str(draft))
    train, test = split_people(load_from_disk(str(kept)))
    test = test.select(stratified_subset(np.array(test["labels"]), TEST_WINDOWS, seed=0))
    return Windows(DATASETS[name].labels, train, test)


# -- the ways ------------------------------------------------------------------------------------------------------------


class Probe(nn.Module):
    """The classifier of a model on embeddings that were made before; scores as the model's own."""

    def __init__(self, model: Any):
        super().__init__()
        self.classifier, self.temperature = model.classifier, model.config.contrastive_temperature

    def forward(self, embedding: torch.Tensor, labels: torch.Tensor) -> SequenceClassifierOutput:
        """`embedding` `(batch, dim)` of unit length, `labels` `(batch,)`."""
        logits = self.classifier(embedding) / self.temperature
        return SequenceClassifierOutput(loss=nn.functional.cross_entropy(logits, labels), logits=logits)

    @staticmethod
    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Rows with `embedding`."""
        return {
            "embedding": torch.tensor([row["embedding"] for row in rows]),
            "labels": torch.tensor([row["labels"] for row in rows]),
        }


def make_model(checkpoint: str, labels: tuple[str, ...], seed: int, scratch: bool = False) -> Any:
    """A classifier from the release, or with every trained weight at random but the code vectors of its tokenizer."""
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        checkpoint, num_labels=len(labels), id2label=dict(enumerate(labels))
    )
    if not scratch:
        return model
    fresh = AutoModelForSequenceClassification.from_config(model.config)
    fresh.codebook.copy_(model.codebook)
    return fresh


@torch.inference_mode()
def embed(model: Any, processor: Any, rows: Dataset) -> np.ndarray:
    """Unit motion embeddings `(rows, dim)`."""
    collate, parts = AnyMoCollator(processor), []
    for start in range(0, len(rows), 64):
        batch = collate(rows.select(range(start, min(start + 64, len(rows)))).to_list())
        parts.append(
            model.eval().get_imu_features(**{name: batch[name] for name in batch if name != "labels"}).pooler_output
        )
    return torch.cat(parts).numpy()


def measure(run: Run, windows: Windows, checkpoint: str, processor: Any, steps: int) -> dict[str, Any]:
    """Scores of one run in percent, and how many windows and people it learned from."""
    started = time.perf_counter()
    train = take_share(windows.train, run.share, run.seed) if run.share else windows.train.select([])
    if run.way == "forest":
        scores = forest_scores(train, windows.test, len(windows.labels), run.seed)
    else:
        scores = network_scores(run, train, windows, checkpoint, processor, steps)
    return {
        **asdict(run), "windows": len(train), "people": len(set(train["subject"])), "test_windows": len(windows.test),
        "steps": steps if run.rate else 0, "accuracy": 100 * scores["accuracy"], "macro_f1": 100 * scores["macro_f1"],
        "seconds": time.perf_counter() - started,
    }  # fmt: skip


def forest_scores(train: Dataset, test: Dataset, labels: int, seed: int) -> dict[str, float]:
    """Random forest on the `features` of `load_windows`."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(TREES, random_state=seed).fit(
        np.array(train["features"]), np.array(train["labels"])
    )
    scores = np.zeros((len(test), labels))
    scores[:, forest.classes_] = forest.predict_proba(np.array(test["features"]))
    return recognition_scores(scores, np.array(test["labels"]))


def network_scores(
    run: Run, train: Dataset, windows: Windows, checkpoint: str, processor: Any, steps: int
) -> dict[str, float]:
    """Of the released network or the one from scratch."""
    scratch, fixed = run.way == "scratch", run.way in ("zero_shot", "linear", "linear_random")
    settings = FinetuneSettings(
        method=run.way if run.way in ("lora", "full") else "full",  # a probe holds its classifier alone
        init_head="random" if run.way in ("scratch", "linear_random") else "text",
        steps=steps, batch_size=BATCH, learning_rate=run.rate, seed=run.seed,
    )  # fmt: skip
    model, test = make_model(checkpoint, windows.labels, run.seed, scratch), windows.test
    model = finetuning.prepare(model, processor, settings.method, settings.init_head)
    if fixed:
        if windows.embeddings is None:
            windows.embeddings = {
                name: embed(model, processor, rows) for name, rows in (("train", windows.train), ("test", windows.test))
            }
        # `take_share` has chosen rows; it chooses the same ones where they have embeddings
        pool = Dataset.from_dict({
            "subject": windows.train["subject"], "labels": windows.train["labels"], "embedding": windows.embeddings["train"],
        })  # fmt: skip
        train = take_share(pool, run.share, run.seed) if run.share else pool
        test = Dataset.from_dict({"labels": windows.test["labels"], "embedding": windows.embeddings["test"]})
        model = Probe(model)
    trainer = finetuning.make_trainer(model, processor, train, test, "runs/few_labels", settings)
    trainer.remove_callback(PrinterCallback)
    if fixed:
        trainer.data_collator = Probe.collate
    if run.rate:
        trainer.train()
    return {name.removeprefix("eval_"): value for name, value in trainer.evaluate().items()}


# -- results -------------------------------------------------------------------------------------------------------------


def read_results(path: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Runs of an earlier call.

    Raises:
        ValueError: the file is damaged or of other settings.
    """
    if not path.is_file():
        return []
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        earlier = content["runs"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); delete it") from error
    if content.get("settings") != settings:
        raise ValueError(f"{path} is of another checkpoint or other settings; delete it or give another --output")
    return earlier


def write_results(path: Path, settings: dict[str, Any], results: list[dict[str, Any]]) -> None:
    """Whole or not at all."""
    write_json(path, {"unit": "percent", "settings": settings, "runs": results}, indent=1)


def tables(results: list[dict[str, Any]]) -> str:
    """A Markdown table for each data set: mean, and over several seeds the standard deviation; accuracy, then macro-F1."""
    lines: list[str] = []
    for name in NAMES:
        own = [result for result in results if result["dataset"] == name]
        if not own:
            continue
        shares = sorted({result["share"] for result in own} - {0.0})
        heads = []
        for share in shares:
            told = [result for result in own if result["share"] == share]
            low, high = min(r["windows"] for r in told), max(r["windows"] for r in told)
            count = f"{low}" if low == high else f"{low}-{high}"
            people = max(r["people"] for r in told)
            heads.append(f"{100 * share:g} %: {count} windows, {people} {'person' if people == 1 else 'people'}")
        cells = [
            [
                way,
                *(" / ".join(_mean(own, share, way, score) for score in ("accuracy", "macro_f1")) for share in shares),
            ]
            for way in WAYS
        ]
        lines.append(table([name, *heads], cells))
        for result in own:
            if result["way"] == "zero_shot":
                lines += ["", f"{name} without labels (zero_shot): {result['accuracy']:.1f} / {result['macro_f1']:.1f}, "
                              f"{result['test_windows']} test windows."]  # fmt: skip
        lines.append("")
    return "\n".join(lines)


def _mean(results: list[dict[str, Any]], share: float, way: str, score: str) -> str:
    values = [result[score] for result in results if (result["share"], result["way"]) == (share, way)]
    if not values:
        return "-"
    spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"


def choose(windows: Windows, checkpoint: str, processor: Any, share: float = 0.05) -> Iterator[str]:
    """A line for each way and rate: scores of one of the training people, learning from a share of the others."""
    people = sorted(set(windows.train["subject"]))
    kept_back = np.array([subject == people[-1] for subject in windows.train["subject"]])
    learn, judge = (windows.train.select(np.flatnonzero(chosen)) for chosen in (~kept_back, kept_back))
    inner = Windows(windows.labels, learn, judge)
    for way, rates in TRIED.items():
        for rate in rates:
            found = measure(Run("uci_hapt", share, way, 0, rate), inner, checkpoint, processor, STEPS[share])
            yield (
                f"{way:14} {rate:<8g} {found['windows']} windows of {found['people']}: accuracy {found['accuracy']:.1f}, "
                f"macro-F1 {found['macro_f1']:.1f}"
            )


def run_few_labels(
    data: Path,
    model: str = "anymo",
    output: Path = Path("results/few_labels.json"),
    cache: Path = Path("runs/few_labels"),
    compare_rates: bool = False,
) -> Iterator[str]:
    """Every planned run that `output` does not hold yet; yields lines to print, the tables last.

    Args:
        data: holds `usc_had` and `uci_hapt` as downloaded.
        model: checkpoint folder.
        output: results; written anew after every run.
        cache: of motion codes.
        compare_rates: instead, the lines of `choose`.

    Raises:
        OSError: a data set or the checkpoint is missing.
        ValueError: `output` is damaged or of other settings.
    """
    logging.set_verbosity_error()
    disable_progress_bars()
    processor = AutoProcessor.from_pretrained(model)
    recognition = RecognitionSettings.of(model, processor)
    hashes = recognition.weights_sha256
    settings = {
        "model": recognition.model, "weights_sha256": hashes, "steps": {str(k): v for k, v in STEPS.items()},
        "batch_size": BATCH, "rates": RATES, "test_share": finetuning.TEST_SHARE, "test_windows": TEST_WINDOWS,
    }  # fmt: skip
    results = [] if compare_rates else read_results(output, settings)
    loaded: dict[str, Windows] = {}

    def windows(name: str) -> Windows:
        if name not in loaded:
            loaded[name] = load_windows(name, data, processor, hashes["imu_tokenizer/model.safetensors"], cache)
        return loaded[name]

    if compare_rates:
        yield from choose(windows("uci_hapt"), model, processor)
        return
    done = {tuple(result[field] for field in ("dataset", "share", "way", "seed")) for result in results}
    missing = [run for run in planned() if (run.dataset, run.share, run.way, run.seed) not in done]
    for run in (bar := tqdm(missing, unit="run", disable=None)):
        bar.set_description(f"{run.dataset} {100 * run.share:g} % {run.way} {run.seed}")
        results.append(measure(run, windows(run.dataset), model, processor, STEPS.get(run.share, 0) or 1))
        write_results(output, settings, results)
    yield tables(results)
    yield f"written: {output}; accuracy / macro-F1 in percent, mean and standard deviation over seeds"
