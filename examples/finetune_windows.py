"""Fine-tunes the whole model on labelled numpy windows of your own device with a plain `Trainer`, and uses the result.

    python examples/finetune_windows.py

The classifier reads raw windows, so that the encoder learns, too; in training each device is turned a little at random.
Replace `windows`, `labels` and `people` by your own; for a command with every option see `anymo finetune --help`, and for a
few labels `AnyMoClassifier`, which needs no training loop.
"""

import numpy as np
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoProcessor, Trainer, TrainingArguments, pipeline

from anymo_hf import AnyMoCollator, save_release

rng, time = np.random.default_rng(0), np.arange(250) / 50
swings = {"resting": 0.1, "walking": 1.8, "running": 2.8}  # Hz; five seconds at 50 Hz each
names = list(swings)
labels, people = np.arange(48) % 3, np.arange(48) // 12
windows = [
    np.outer(np.sin(2 * np.pi * swings[names[label]] * time), [1, 0, 3, 0.5, 0.2, 0])
    + rng.normal(0, 0.1, (250, 6))
    + [0, 0, 9.81, 0, 0, 0]
    for label in labels
]

processor = AutoProcessor.from_pretrained("anymo")
model = AutoModelForSequenceClassification.from_pretrained(
    "anymo", classifier_input="imu", num_labels=3, id2label=dict(enumerate(names)),
    label2id={name: n for n, name in enumerate(names)},
)  # fmt: skip
texts = processor(text=names, text_kind="label", return_tensors="pt")
model.init_classifier(model.get_text_features(**texts).pooler_output.detach())  # starts from zero-shot recognition

rows = Dataset.from_list(
    [{"imu": {"waist": window}, "sampling_rate": 50, "labels": n} for window, n in zip(windows, labels, strict=True)]
)
arguments = TrainingArguments(
    "runs/finetune-windows", max_steps=10, per_device_train_batch_size=8, learning_rate=1e-4, save_strategy="no",
    report_to="none", logging_steps=5, dataloader_pin_memory=False, remove_unused_columns=False,
)  # fmt: skip
trainer = Trainer(
    model, arguments, train_dataset=rows.select(np.flatnonzero(people < 3)),
    data_collator=AnyMoCollator(processor, return_windows=True, degrees=15),
)  # fmt: skip
trainer.train()

test = np.flatnonzero(people == 3)
trainer.data_collator = AnyMoCollator(processor, return_windows=True)  # as worn
answers = trainer.predict(rows.select(test)).predictions.argmax(1)
print(f"right on a person never seen: {(answers == labels[test]).mean():.0%}")
save_release("runs/my-activities", model, processor)
classify = pipeline("imu-classification", model="runs/my-activities")
print(classify({"imu": {"waist": windows[-1]}, "sampling_rate": 50})[0])  # `anymo recognize --model` takes it, too
