"""Rows to training batches: with `Trainer(..., data_collator=AnyMoCollator(processor))` nobody writes a collate function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from .processing_anymo import AnyMoProcessor

_RECORDING = ("sampling_rate", "acceleration_unit", "angular_velocity_unit")


class AnyMoCollator:
    """Makes a batch of `AnyMoForSequenceClassification` or `AnyMoModel` out of rows; all rows of a batch are of one kind.

    A row holds one of

    - `imu_input_ids` (and its masks), as a call of the processor or `processor.from_row` makes them,
    - `imu_codes` and `imu_placements`, as the feature extractor makes them,
    - `imu` (placement -> `(T, 6)`) and `sampling_rate`, also units: raw windows, which are then encoded at every epoch,

    and may hold its class as `labels` or `label`. Other columns are left out, so that `remove_unused_columns=False` of
    `TrainingArguments` is right for rows without `imu_input_ids`.

    Args:
        processor: with a feature extractor, where rows are raw.
        return_windows: hands raw windows on to a classifier that reads them (`config.classifier_input` "imu"), whose encoder
            learns, too, with `remove_unused_columns=False`.
    """

    def __init__(self, processor: AnyMoProcessor, return_windows: bool = False):
        self.processor, self.return_windows = processor, return_windows

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Inputs `(batch, length)` as tensors, padded on the right, and `labels` `(batch,)` where rows have them.

        Raises:
            ValueError: no rows, rows of no known kind, or what the processor refuses.
        """
        rows = list(rows)
        if not rows:
            raise ValueError("a batch needs at least one row")
        if "imu_input_ids" in rows[0]:
            names = [name for name in rows[0] if name in self.processor.model_input_names]
            batch = self.processor.pad([{name: row[name] for name in names} for row in rows])
        elif "imu_codes" in rows[0]:
            batch = self.processor(
                imu_codes=[row["imu_codes"] for row in rows],
                imu_placements=[row["imu_placements"] for row in rows],
                return_tensors="pt",
            )
        elif "imu" in rows[0] and self.return_windows:
            settings = [{name: row[name] for name in _RECORDING if name in row} for row in rows]
            read = self.processor.feature_extractor.read
            worn = [read(row["imu"], **own)[0] for row, own in zip(rows, settings, strict=True)]
            batch = self.processor.window_inputs(worn)
        elif "imu" in rows[0]:
            parts = [
                self.processor(imu=row["imu"], **{name: row[name] for name in _RECORDING if name in row})
                for row in rows
            ]
            batch = self.processor.pad([{name: value[0] for name, value in part.items()} for part in parts])
        else:
            raise ValueError(f"a row needs imu_input_ids, imu_codes or imu, got {sorted(rows[0])}")
        inputs: dict[str, torch.Tensor] = dict(batch)
        if (name := next((name for name in ("labels", "label") if name in rows[0]), None)) is not None:
            classes = [row[name] for row in rows]
            if text := next((value for value in classes if isinstance(value, str)), None):
                raise ValueError(f"{name} {text!r} is text; give the number of the class, as in config.label2id")
            inputs["labels"] = torch.tensor(classes)  # classes, or for other problem types numbers and rows of them
        return inputs
