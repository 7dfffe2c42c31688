"""What people hand to a classifier, checked: windows by place, a label and a person for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from ..refusals import LARGEST_VALUE


def class_labels(y: Sequence | None, count: int) -> np.ndarray:
    """`(count,)` text, whole numbers or truths.

    Raises:
        ValueError: missing, of another number, mixed, fractional or empty.
    """
    if y is None:
        raise ValueError("this classifier requires y to be passed, but the target y is None; give a label a window")
    values = _one_a_window(y, "y", "labels")
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


def people_numbers(groups: Sequence | None, count: int) -> np.ndarray | None:
    """Numbers of the people, `(count,)`; None where none are given.

    Raises:
        ValueError: of another number, or one is missing.
    """
    if groups is None:
        return None
    people = list(_one_a_window(groups, "groups", "people"))
    if len(people) != count:
        raise ValueError(f"groups must name the person of each of the {count} windows, got {len(people)}")
    if nameless := [row for row, person in enumerate(people) if np.ndim(person) == 0 and pd.isna(person)]:
        raise ValueError(f"groups: the person of window {nameless[0]} is missing; name everyone, or leave groups out")
    return np.unique([str(person) for person in people], return_inverse=True)[1]


def _one_a_window(values: Any, name: str, what: str) -> Any:
    """A list, tuple or array as it is, anything else that holds one value a window as one.

    Raises:
        ValueError: a text, a number, or what has no order or no length.
    """
    if isinstance(values, list | tuple):
        return values
    if hasattr(values, "__array__") and (array := np.asarray(values)).ndim:
        return array
    if isinstance(values, str | Mapping | Set) or hasattr(values, "__array__") or not hasattr(values, "__len__"):
        raise ValueError(f"{name} must be a list of {what}, one a window, got {values!r}")
    return list(values)


def six_channels(signal: Any, where: str) -> np.ndarray:
    """A float array; its last side of three channels becomes six, the gyroscope zero.

    Raises:
        ValueError: no numbers, or ones that no sensor reads; `where` is said before.
    """
    try:
        values = np.asarray(signal, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: samples must be numbers in a (T, 6) array ({error})") from error
    if values.size and (top := np.abs(values).max()) > LARGEST_VALUE:  # NaN is not more; the model's extractor names it
        raise ValueError(f"{where} reaches {top:.3g}, which no sensor reads; remove those samples")
    if values.ndim < 2 or values.shape[-1] != 3:
        return values
    return np.concatenate([values, np.zeros_like(values)], axis=-1)


def windows_by_place(X: Any, names: Sequence[str]) -> list[dict[str, np.ndarray]]:
    """Each window as placement -> `(T, 6)`, in the units given.

    Args:
        X: as in `AnyMoClassifier.fit`.
        names: places of an array's sensors.

    Raises:
        ValueError: no windows, or arrays of another shape than these places have.
    """
    if X is None or isinstance(X, str | Set) or not hasattr(X, "__len__"):
        raise ValueError(f"X must be an array or a list of windows, got {X!r}")
    if isinstance(X, Mapping):
        raise ValueError(f"X is one window, of {', '.join(map(str, X))}; give a list of windows, such as [window]")
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:  # windows of different lengths
        X = X.tolist()
    if isinstance(X, np.ndarray) and X.ndim not in (3, 4):
        raise ValueError(f"X must be (n, T, 6), (n, T, P, 6) or a list of windows, got an array of shape {X.shape}")
    if not len(X):
        raise ValueError("X is empty; give at least one window")
    if hasattr(X, "iloc"):  # of pandas, whose index may begin anywhere
        if X.ndim != 1:
            raise ValueError("X is a table; give an array (n, T, 6), or a list or series of windows")
        X = X.tolist()
    if not isinstance(X, np.ndarray):
        X = list(X)
    named = [isinstance(window, Mapping) for window in X]
    if any(named) and not all(named):
        row = named.index(not named[0])
        raise ValueError(f"window {row} is {_kind(named[row])}, window 0 {_kind(named[0])}; give all alike")
    if named[0]:
        return [{place: six_channels(signal, f"window {row}, {place!r}") for place, signal in window.items()}
                for row, window in enumerate(X)]  # fmt: skip
    if not names:
        raise ValueError('placements is missing: arrays need it, for example placements=("left_wrist",)')
    if len(set(names)) < len(names):
        raise ValueError(f"placements names a sensor twice: {list(names)}; each has its own place")
    windows = []
    for row, window in enumerate(X):
        values = six_channels(window, f"window {row}")
        values = values[:, None] if values.ndim == 2 else values
        if values.ndim != 3 or values.shape[1] != len(names) or values.shape[2] != 6:
            raise ValueError(
                f"window {row} must be (T, {len(names)}, 6) for placements {list(names)}, got {values.shape}"
            )
        windows.append({name: values[:, number] for number, name in enumerate(names)})
    return windows


def _kind(named: bool) -> str:
    return "{place: array}" if named else "an array"
