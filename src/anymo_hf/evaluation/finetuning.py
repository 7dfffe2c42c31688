"""Fine-tunes AnyMo on a data set of the zero-shot suite and tests it on people that it never saw.

The heart is `finetune`. Windows become motion codes once, and training then reads codes only. A classifier starts from
the names of the labels, which the released model knows, so it starts as zero-shot recognition.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import ClassLabel, Dataset
from transformers import AutoModelForSequenceClassification, AutoProcessor, PreTrainedModel, Trainer, TrainingArguments

from ..modeling.collator_anymo import AnyMoCollator
from ..modeling.feature_extraction_anymo import stack_recordings
from .recognition import RecognitionMetric

TEST_SHARE = 0.3
LEARNING_RATES = {"full": 1e-4, "linear": 1e-3, "lora": 3e-4}


@dataclass(frozen=True)
class FinetuneSettings:
    """How to fine-tune.

    Args:
        method: "full" trains everything, "linear" the classifier only, "lora" the classifier and low-rank changes of the
            language model.
        init_head: the classifier starts from the labels' names ("text") or at random ("random").
        share: of the training people whose labels are used, see `take_share`.
        steps, batch_size, learning_rate: of AdamW with a linear schedule; the rate's default depends on the method.
        seed: of the share, the order of windows and a random head. The people of the test do not depend on it.
    """

    method: str = "full"
    init_head: str = "text"
    share: float = 1.0
    steps: int = 300
    batch_size: int = 16
    learning_rate: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in LEARNING_RATES or self.init_head not in ("text", "random"):
            raise ValueError(f"method must be full, linear or lora, init_head text or random, got {self}")
        if not 0 < self.share <= 1:
            raise ValueError(f"share must lie above 0 and at most at 1, got {self.share}")
        if min(self.steps, self.batch_size) < 1:
            raise ValueError(f"steps and batch_size must be at least 1, got {self.steps} and {self.batch_size}")


def finetune(
    model_name: str, windows: Dataset, output: str | Path, settings: FinetuneSettings
) -> tuple[PreTrainedModel, Any, dict[str, Any]]:
    """A classifier of the labels of `windows`, its processor, and what was measured on people held out.

    Args:
        model_name: folder or Hub name of a release.
        windows: rows of `anymo-zeroshot`: a column for each placement, `placements`, `sampling_rate`, `label`, `subject`.
        output: where `Trainer` may write.
        settings: how.

    Raises:
        ValueError: missing columns, windows without people, or a loss that is not finite.
    """
    check_columns(windows)
    labels = windows.features["label"].names
    processor = AutoProcessor.from_pretrained(model_name)
    train, test = split_people(make_codes(windows, processor))
    train = take_share(train, settings.share, settings.seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        model_name,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={n: i for i, n in enumerate(labels)},
    )
    model = prepare(model, processor, settings.method, settings.init_head)
    trainer = make_trainer(model, processor, train, test, output, settings)
    before = trainer.evaluate()
    trainer.train()
    after = trainer.evaluate()
    if settings.method == "lora":
        model.save_pretrained(Path(output) / "adapter", save_embedding_layers=False)
        model = model.merge_and_unload()
    counts = {f"{name}_{what}": number for name, part in (("train", train), ("test", test))
              for what, number in (("windows", len(part)), ("people", len(set(part["subject"]))))}  # fmt: skip
    truth = np.bincount(test["labels"], minlength=len(labels))
    scores = {when: {name: 100 * result[f"eval_{name}"] for name in ("accuracy", "macro_f1")}
              for when, result in (("before", before), ("after", after))}  # fmt: skip
    return model, processor, scores | counts | {"majority": 100 * truth.max() / truth.sum()}


# -- data ----------------------------------------------------------------------------------------------------------------


def check_columns(windows: Dataset) -> None:
    """ValueError that names the columns that are missing or hold something else."""
    wanted = {"label", "subject", "placements", "sampling_rate"}
    if "placements" in windows.column_names:
        wanted |= {place for places in windows["placements"] for place in places}
    if missing := sorted(wanted - set(windows.column_names)):
        raise ValueError(
            f"columns {missing} are missing among {windows.column_names}; rename those that hold the same, or build the "
            "data set with dataset_scripts/anymo_zeroshot.py"
        )
    if not isinstance(windows.features["label"], ClassLabel):
        raise ValueError(
            f'column label is a {windows.features["label"]}, needed a ClassLabel; store class_encode_column("label")'
        )


def make_codes(windows: Dataset, processor: Any) -> Dataset:
    """`imu_codes`, `imu_placements`, `labels` and `subject` of every window; kept in the cache of `datasets`."""
    extractor = processor.feature_extractor

    def encode(rows: dict[str, Any]) -> dict[str, list]:
        worn = []
        for number, places in enumerate(rows["placements"]):
            signals = {str(place): rows[str(place)][number] for place in places}
            worn += extractor.read(signals, sampling_rate=rows["sampling_rate"][number])
        codes, mask = extractor.encode(*stack_recordings(worn))
        return {
            "imu_codes": [row[real.bool()].tolist() for row, real in zip(codes.cpu(), mask.cpu(), strict=True)],
            "imu_placements": [sorted(nodes) for nodes in worn],
            "labels": list(rows["label"]),
            "subject": list(rows["subject"]),
        }

    rows = windows.with_format("numpy")
    return rows.map(
        encode, batched=True, batch_size=64, remove_columns=windows.column_names, desc="motion codes"
    ).with_format(None)


def split_people(windows: Dataset, test_share: float = TEST_SHARE) -> tuple[Dataset, Dataset]:
    """Windows of some people for training and of the others for the test; the same people at every call.

    Raises:
        ValueError: a window whose person is not told, or fewer than two people.
    """
    subjects = list(windows["subject"])
    people = sorted(set(subjects))
    if "" in people or len(people) < 2:
        raise ValueError(
            f"column subject names {len(set(people) - {''})} people and {subjects.count('')} windows of nobody; a split by "
            "people needs two or more, and a name in every window"
        )
    shuffled = np.random.default_rng(0).permutation(people)
    held_out = set(shuffled[: min(max(round(test_share * len(people)), 1), len(people) - 1)])
    tested = np.array([subject in held_out for subject in subjects])
    return windows.select(np.flatnonzero(~tested)), windows.select(np.flatnonzero(tested))


def take_share(windows: Dataset, share: float, seed: int = 0) -> Dataset:
    """Windows of a share of the people, drawn by `seed`.

    Where that is less than one person, it is one person with so much of their windows: of each class that they have the
    same part, and at least one window.
    """
    subjects, labels = np.array(windows["subject"]), np.array(windows["labels"])
    people, rng = np.unique(subjects), np.random.default_rng(seed)
    count = share * len(people)
    rows = np.flatnonzero(np.isin(subjects, rng.permutation(people)[: max(1, round(count))]))
    if count < 1:
        rows = rng.permutation(rows)
        classes = [rows[labels[rows] == label] for label in np.unique(labels[rows])]
        rows = np.sort(np.concatenate([own[: max(1, round(count * len(own)))] for own in classes]))
    return windows.select(rows)


# -- training ------------------------------------------------------------------------------------------------------------


def prepare(model: Any, processor: Any, method: str, init_head: str = "text") -> Any:
    """The classifier's start, and which weights train; see `FinetuneSettings`."""
    if init_head == "text":
        names = [model.config.id2label[index] for index in range(model.config.num_labels)]
        texts = processor(text=names, text_kind="label", return_tensors="pt")
        model.init_classifier(model.get_text_features(**texts.to(model.device)).pooler_output)
    if method == "linear":
        model.requires_grad_(False)
        model.classifier.requires_grad_(True)
    if method == "lora":
        from peft import LoraConfig, get_peft_model

        return get_peft_model(
            model,
            LoraConfig(
                r=16, lora_alpha=32, target_modules=r".*language_model.*_proj", modules_to_save=["classifier"]
            ),
        )  # fmt: skip
    return model


class FiniteTrainer(Trainer):
    """Stops where the loss is not finite, before that step changes the weights."""

    def compute_loss(self, *args, **kwargs):
        """As `Trainer`.

        Raises:
            ValueError: the loss is NaN or infinite.
        """
        result = super().compute_loss(*args, **kwargs)
        loss = result[0] if isinstance(result, tuple) else result
        if not torch.isfinite(loss):
            raise ValueError(f"the loss is {loss.item()} at step {self.state.global_step}; lower the learning rate")
        return result


def make_trainer(
    model: Any, processor: Any, train: Dataset, test: Dataset, output: str | Path, settings: FinetuneSettings
) -> Trainer:
    """A `Trainer` over rows of `make_codes` that reports accuracy and macro-F1."""
    metric = RecognitionMetric()
    arguments = TrainingArguments(
        output_dir=str(output),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=64,
        learning_rate=settings.learning_rate or LEARNING_RATES[settings.method],
        warmup_steps=settings.steps // 10,
        weight_decay=0.01,
        seed=settings.seed,
        label_names=["labels"],
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        save_strategy="no",
        report_to="none",
        logging_steps=20,
    )
    return FiniteTrainer(
        model,
        arguments,
        data_collator=AnyMoCollator(processor),
        train_dataset=train,
        eval_dataset=test,
        compute_metrics=lambda result: metric.compute(predictions=result.predictions, references=result.label_ids),
    )
