"""What people hand to a classifier, checked: a label and a person for each window, and samples of six channels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets


def class_labels(y: Sequence | None, count: int) -> np.ndarray:
    """`(count,)` text, whole numbers or truths.

    Raises:
        ValueError: missing, of another number, mixed, fractional or empty.
    """
    if y is None:
        raise ValueError("this classifier requires y to be passed, but the target y is None; give a label a window")
    values = y if isinstance(y, list | tuple) else np.asarray(y)
    if isinstance(values, np.ndarray) and values.ndim == 2:
        values = column_or_1d(values, warn=True)  # a column becomes a row, with scikit-learn's warning
    values = list(values)
    if len(values) != count:
        raise ValueError(f"y holds {len(values)} labels for {count} windows")
    text = [isinstance(value, str) for value in values]
    if any(text) and not all(text):
        other = next(value for value, is_text in zip(values, text, strict=True) if not is_text)
        raise ValueError(f"y mixes text and other labels, such as {other!r}; use one kind")
    truths = [isinstance(value, bool | np.bool_) for value in values]
    if any(truths) and not all(truths):
        other = next(value for value, is_truth in zip(values, truths, strict=True) if not is_truth)
        raise ValueError(f"y mixes True or False and other labels, such as {other!r}; use one kind")
    array = np.array(values)
    if array.ndim == 1 and array.dtype.kind == "f" and np.isfinite(array).all() and (array % 1).any():
        row = int((array % 1).nonzero()[0][0])
        raise ValueError(
            f"Unknown label type: y holds {values[row]} for window {row}; classes are text or whole numbers, and a number "
            "is not predicted"
        )
    if array.dtype.kind == "U" and (blank := [row for row, value in enumerate(values) if not str(value).strip()]):
        raise ValueError(f"y: the label of window {blank[0]} is an empty text; name the class")
    if array.ndim != 1 or array.dtype.kind not in "Uiub" and not (array.dtype.kind == "f" and np.isfinite(array).all()):
        raise ValueError("y must be a list of labels, one a window, text or whole numbers, none missing")
    check_classification_targets(array)
    return array


def window_numbers(error: str, start: int) -> str:
    """An error about a recording of a batch, as one about a window of all, of which the batch's first is `start`."""
    return re.sub(r"\brecording (\d+)", lambda found: f"window {start + int(found[1])}", error)


def people_numbers(groups: Sequence | None, count: int) -> np.ndarray | None:
    """Numbers of the people, `(count,)`; None where none are given.

    Raises:
        ValueError: of another number, or one is missing.
    """
    if groups is None:
        return None
    people = list(groups)
    if len(people) != count:
        raise ValueError(f"groups must name the person of each of the {count} windows, got {len(people)}")
    if nameless := [row for row, person in enumerate(people) if person is None or person != person]:
        raise ValueError(f"groups: the person of window {nameless[0]} is missing; name everyone, or leave groups out")
    return np.unique([str(person) for person in people], return_inverse=True)[1]


def six_channels(signal: Any, where: str) -> np.ndarray:
    """A float array; its last side of three channels becomes six, the gyroscope zero.

    Raises:
        ValueError: no numbers; `where` is said before.
    """
    try:
        values = np.asarray(signal, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: samples must be numbers in a (T, 6) array ({error})") from error
    if values.ndim < 2 or values.shape[-1] != 3:
        return values
    return np.concatenate([values, np.zeros_like(values)], axis=-1)
