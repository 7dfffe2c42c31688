"""Rows to training batches: with `Trainer(..., data_collator=AnyMoCollator(processor))` nobody writes a collate function."""

from __future__ import annotations

import math
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
        degrees: such windows are worn turned at random by up to so many degrees (`turn_devices`), so that the classifier
            learns not to mind. For training; evaluation wants a collator without.

    Raises:
        ValueError: degrees without `return_windows`, no number, or under 0 or over 180.
    """

    def __init__(self, processor: AnyMoProcessor, return_windows: bool = False, degrees: float = 0.0):
        number = isinstance(degrees, int | float)
        if not number or not 0 <= degrees <= 180 or (degrees and not return_windows):
            raise ValueError(
                f"degrees must be a number between 0 and 180 and needs return_windows=True, got {degrees!r}"
            )
        self.processor, self.return_windows, self.degrees = processor, return_windows, degrees

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Inputs `(batch, length)` as tensors, padded on the right, and `labels` `(batch,)` where rows have them.

        Raises:
            ValueError: no rows, rows of no known kind, or what the processor refuses.
        """
        rows = list(rows)
        if not rows:
            raise ValueError("a batch needs at least one row")
        if isinstance(rows[0].get("imu"), Mapping):  # `datasets` gives every row the placements of all, as None
            rows = [
                {**row, "imu": {place: signal for place, signal in row["imu"].items() if signal is not None}}
                for row in rows
            ]
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
            if self.degrees:
                batch["imu"] = turn_devices(batch["imu"], batch["node_mask"], self.degrees)
        elif "imu" in rows[0]:
            parts = [
                self.processor(imu=row["imu"], **{name: row[name] for name in _RECORDING if name in row})
                for row in rows
            ]
            batch = self.processor.pad([{name: value[0] for name, value in part.items()} for part in parts])
        else:
            raise ValueError(f"a row needs imu_input_ids, imu_codes or imu, got {sorted(rows[0])}")
        inputs: dict[str, torch.Tensor] = dict(batch)
        if (name := next((name for name in ("labels", "label") if any(name in row for row in rows)), None)) is not None:
            classes = [row.get(name) for row in rows]
            if text := next((value for value in classes if isinstance(value, str)), None):
                raise ValueError(f"{name} {text!r} is text; give the number of the class, as in config.label2id")
            if None in classes:
                raise ValueError(
                    f"row {classes.index(None)} of the batch has {name} None; leave out rows without a class"
                )
            labels = torch.tensor(classes)  # classes, or for other problem types numbers and rows of them
            if labels.isnan().any():
                row = int(labels.isnan().nonzero()[0, 0])
                raise ValueError(f"row {row} of the batch has {name} NaN; leave out rows without a class")
            if labels.dtype == torch.bool:  # one truth a row is a class of two, several are labels that may all hold
                labels = labels.long() if labels.ndim == 1 else labels.float()
            inputs["labels"] = labels
        return inputs


def turn_devices(
    imu: torch.Tensor, node_mask: torch.Tensor, degrees: float, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Windows as if each worn device had been put on turned another way, one rotation a window and sensor.

    Args:
        imu (`torch.FloatTensor` of shape `(batch, frames, 23, 6)`): in each sensor's own frame.
        node_mask (`(batch, 23)` bool): where a sensor is worn; the rest stays.
        degrees: about a random axis by up to so many; 180 is any rotation, all alike likely.
        generator: of the draws; torch's own where it is missing.
    """
    batch, node = node_mask.nonzero(as_tuple=True)
    quaternion = torch.randn(len(batch), 4, generator=generator)
    if degrees < 180:
        angle = torch.rand(len(batch), 1, generator=generator) * math.radians(degrees)
        axis = torch.nn.functional.normalize(quaternion[:, 1:], dim=1)
        quaternion = torch.cat([(angle / 2).cos(), (angle / 2).sin() * axis], 1)
    w, x, y, z = torch.nn.functional.normalize(quaternion, dim=1).to(imu).unbind(1)
    turn = torch.stack(
        [
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
        ],
        1,
    ).view(-1, 3, 3)  # fmt: skip
    turned = imu.clone()
    worn = imu[batch, :, node].unflatten(-1, (2, 3))  # (sensors, frames, acceleration or angular velocity, axes)
    turned[batch, :, node] = torch.einsum("nij,ntcj->ntci", turn, worn).flatten(-2)
    return turned
