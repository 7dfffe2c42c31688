"""A fine-tuned classifier as a release: weights, processor and a card filled from what was measured."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pyarrow as pa
from datasets import Dataset, concatenate_datasets, load_dataset
from huggingface_hub import DatasetCard, EvalResult, ModelCardData

from ..atomic_write import write_text
from ..evaluation.finetuning import LEARNING_RATES, FinetuneSettings, finetune
from ..markdown import table
from ..modeling.release import save_release
from ..thread_room import look_for_room


def finetune_release(model: str, dataset: str, config: str, output: str | Path, settings: FinetuneSettings) -> dict:
    """Fine-tune on every window of `config` and write a folder that `AutoModelForSequenceClassification` loads.

    Args:
        model: folder or Hub name of a release.
        dataset, config: folder or Hub name of a built `anymo-zeroshot`, and which of its data sets.
        output: the folder; of LoRA it holds the merged model, and `adapter/` the adapter alone for `PeftModel`.
        settings: how.

    Returns:
        What `finetune` measured.

    Raises:
        ValueError, OSError: as `finetune`, a data set that is not there, or an output that is the model or no release.
        MemoryError: too little for the threads that read it.
    """
    # it reads with pyarrow's threads, always, and waits for ever for one that cannot begin
    _check_output(Path(output), model)
    look_for_room(pa.cpu_count() + pa.io_thread_count())
    windows = concatenate_datasets(list(load_dataset(dataset, config).values()))
    tuned, processor, result = finetune(model, windows, output, settings)
    save_release(output, tuned, processor)
    if settings.method != "lora":  # of an earlier run
        shutil.rmtree(Path(output) / "adapter", ignore_errors=True)
    write_finetuned_card(output, model, dataset, config, windows, result, settings)
    return result


def _check_output(folder: Path, model: str) -> None:
    """ValueError where the output would replace the model that it begins with, lie among other files, or cannot be there."""
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        why = "may not be written" if place.is_dir() else "is a file"
        raise ValueError(f"{folder} cannot be made: {place} {why}; give another folder")
    if folder.exists() and os.path.exists(model) and os.path.samefile(folder, model):
        raise ValueError(f"{folder} is the model that is tuned; give another folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "config.json").is_file():
        raise ValueError(f"{folder} holds other files and no model; give another folder, or an empty one")


def data_terms(dataset: str, config: str) -> str:
    """Source and licence of the data as the card of the data set tells them, or where to look."""
    try:
        lines = DatasetCard.load(f"{dataset}/README.md" if Path(dataset).is_dir() else dataset).content.splitlines()
    except (OSError, ValueError):
        lines = []
    tables = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in lines if line.startswith(f"| {config} |")
    ]
    found = next((cells for cells in tables if len(cells) == 3), None)
    return f"{found[1]}; licence: {found[2]}" if found else f"see the card of {dataset}"


def write_finetuned_card(
    folder: str | Path,
    base: str,
    dataset: str,
    config: str,
    windows: Dataset,
    result: dict,
    settings: FinetuneSettings,
) -> None:
    """README.md of the release, filled from `finetune`'s result; its example is worn as the first of the windows."""
    labels, first = windows.features["label"].names, windows[0]
    rate, worn = f"{first['sampling_rate']:g}", ", ".join(f'"{place}": {place}' for place in first["placements"])
    folder, base = Path(folder), Path(base).resolve().name if Path(base).is_dir() else base
    dataset_name = Path(dataset).resolve().name if Path(dataset).is_dir() else dataset
    data = ModelCardData(
        language="en", license="other", license_name="terms-of-the-data", license_link="README.md",
        library_name="transformers", base_model=base, tags=["imu", "wearable", "human-activity-recognition"],
        metrics=["accuracy", "f1"], model_name=folder.resolve().name,
        eval_results=[
            EvalResult(
                task_type="other", task_name="activity recognition, people held out", dataset_type=dataset_name,
                dataset_name=f"{dataset_name}, {config}", dataset_config=config, metric_type=kind, metric_name=name,
                metric_value=round(result["after"][key], 1),
            )
            for kind, name, key in (("accuracy", "accuracy, %", "accuracy"), ("f1", "macro-F1, %", "macro_f1"))
        ],
    )  # fmt: skip
    rate = settings.learning_rate or LEARNING_RATES[settings.method]
    way = {"full": "all weights", "linear": "the classifier only", "lora": "LoRA adapters, merged; `adapter/` has them"}
    start = "zero-shot: label names" if settings.init_head == "text" else "before training, random classifier"
    adapter = "" if settings.method != "lora" else (
        f'PeftModel.from_pretrained(AutoModelForSequenceClassification.from_pretrained("{base}", '
        f'num_labels={len(labels)}), "{folder.resolve().name}/adapter")  # the adapter alone\n'
    )  # fmt: skip
    library = "from peft import PeftModel\n" if adapter else ""
    scores = table(
        ["", "accuracy", "macro-F1"],
        [["most frequent class", f"{result['majority']:.1f}", "-"]]
        + [
            [name, f"{scores['accuracy']:.1f}", f"{scores['macro_f1']:.1f}"]
            for name, scores in ((start, result["before"]), ("fine-tuned", result["after"]))
        ],
    )
    text = f"""---
{data.to_yaml()}
---

# {folder.resolve().name}

`{base}` fine-tuned to recognise {len(labels)} activities from a wearable IMU: {", ".join(labels)}.

```python
import anymo_hf  # without this package: trust_remote_code=True in each from_pretrained
{library}from transformers import AutoModelForSequenceClassification, AutoProcessor

model = AutoModelForSequenceClassification.from_pretrained("{folder.resolve().name}")
processor = AutoProcessor.from_pretrained("{folder.resolve().name}")
{adapter}batch = processor(imu={{{worn}}}, sampling_rate={rate}, return_tensors="pt")  # (T, 6), m/s², rad/s
model.config.id2label[model(**batch).logits.argmax(-1).item()]
```

Percent, on {result["test_windows"]} windows of {result["test_people"]} people that training never saw:

{scores}

Trained: {way[settings.method]}; {result["train_windows"]} windows of {result["train_people"]} people (share
{settings.share:g} of the training people), {settings.steps} steps of {settings.batch_size} windows, learning rate
{rate:g}, seed {settings.seed}.

Data: `{config}` of {dataset_name}; {data_terms(dataset, config)}. These weights learned from it, so its terms hold for
them as far as they reach; those of the base model hold too.
"""
    write_text(folder / "README.md", text)
