"""`AnyMoClassifier`: scikit-learn's interface for those who have labels of their own device.

from anymo_hf import AnyMoClassifier

classifier = AnyMoClassifier(placements=("waist",), sampling_rate=50).fit(windows, labels, groups=people)
classifier.predict(others)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from ..atomic_write import replacing_folder
from ..modeling.imu_signal import ACCELERATION_UNITS, ANGULAR_VELOCITY_UNITS
from .signal_statistics import invariant_columns, signal_statistics

_SETTINGS, _WEIGHTS = "classifier.json", "classifier.safetensors"
_VERSION = 1
STRENGTHS = (0.01, 0.1, 1.0)  # inverse regularisation, chosen among by cross-validation
_USUAL = 0.1  # the strength where nothing can be cross-validated
_CLIP = 3.0  # standard deviations; one wild statistic must not outvote the rest
_LATENT_SHARE = 0.3  # of the statistics' length: few labels cannot tell which latents matter; set by hand on HAPT
_PRIOR = 0.1  # exponent of the zero-shot score of a class's name
_PRIOR_ROBUST = 0.3  # statistics that ignore the device's frame say less, so the name may say more
_BATCH = 64
_FEWEST = 5  # windows of the rarest class below which nothing is cross-validated
_MOUNTINGS = 2  # random ways of wearing each training window's device, when robust


class AnyMoClassifier(ClassifierMixin, BaseEstimator):
    """Activities of your own from your own device: logistic regression beside the frozen encoder.

    A window is described by plain statistics of its signals, by the frozen encoder's latents (mean and standard deviation
    over time) and, where a class has a name, by the model's zero-shot score of that name.

    Args:
        model: the released checkpoint, a folder or a Hub name.
        placements: where the sensors are worn, in the order of the arrays' sensors; not needed for windows that name them.
        sampling_rate: Hz, of every window.
        acceleration_unit: "m/s^2", "g" or "mg".
        angular_velocity_unit: "rad/s" or "deg/s".
        robust: for people whose device will be worn turned another way: only statistics that ignore the device's own axes,
            and the latents of training windows worn at random turns as well.
        regularization: inverse strength of the penalty; None chooses it by cross-validation over `groups`.
        random_state: seed of the random turns and the folds.

    Attributes:
        classes_: the labels, sorted.
        strength_: the regularisation that was used.
    """

    memory: dict[bytes, tuple] | None = (
        None  # latents by window, where many fits share windows; no part of what is saved
    )

    def __init__(
        self,
        model: str = "anymo",
        placements: Sequence[str] | None = None,
        sampling_rate: float = 50.0,
        acceleration_unit: str = "m/s^2",
        angular_velocity_unit: str = "rad/s",
        robust: bool = False,
        regularization: float | None = None,
        random_state: int = 0,
    ):
        self.model = model
        self.placements = placements
        self.sampling_rate = sampling_rate
        self.acceleration_unit = acceleration_unit
        self.angular_velocity_unit = angular_velocity_unit
        self.robust = robust
        self.regularization = regularization
        self.random_state = random_state

    def fit(self, X: Any, y: Sequence, groups: Sequence | None = None) -> AnyMoClassifier:
        """Learns from labelled windows.

        Args:
            X: `(n, T, 6)`, a list of `(T, 6)`, `(n, T, P, 6)` for P placements, or a list of {place: `(T, 6)`};
                acceleration with gravity, then angular velocity, in the device's frame.
            y: n labels, all text or all numbers.
            groups: n people; the strength is then chosen on people that the fit has not seen.

        Raises:
            ValueError: under two classes, labels of mixed type or missing, lengths that differ, or windows the model cannot
                read.
        """
        windows = self._windows(X)
        labels = _labels(y, len(windows))
        people = None if groups is None else np.asarray(groups)
        if people is not None and people.shape != labels.shape:
            raise ValueError(f"groups must name the person of each of the {len(labels)} windows, got {people.shape}")
        self.classes_, target = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds one class only, {self.classes_[0]!r}; a classifier needs two")
        self.places_ = tuple(sorted(windows[0]))
        statistics, latents, _ = self._features(windows)
        rows = np.arange(len(windows))
        if self.robust:
            turned = [self._turned(windows, number) for number in range(_MOUNTINGS)]
            more = [self._latents(part)[0] for part in turned]
            statistics = np.concatenate([statistics] * (1 + _MOUNTINGS))
            latents = np.concatenate([latents, *more])
            rows = np.tile(rows, 1 + _MOUNTINGS)
        self._scaling(statistics, latents)
        table = self._table(statistics, latents)
        self.strength_ = self.regularization or self._choose(
            table, target[rows], None if people is None else people[rows]
        )
        fitted = _logistic(self.strength_).fit(table, target[rows])
        self.coefficients_, self.intercepts_ = _per_class(fitted)
        self.n_features_in_ = 6 * len(self.places_)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Chances `(n, classes)` in the order of `classes_`; a row sums to one.

        Raises:
            NotFittedError: before `fit`.
            ValueError: windows of other placements than those of `fit`, or that the model cannot read.
        """
        if not hasattr(self, "coefficients_"):
            raise NotFittedError("this AnyMoClassifier has learnt nothing yet; call fit first, or load a saved one")
        windows = self._windows(X)
        for row, window in enumerate(windows):
            if tuple(sorted(window)) != self.places_:
                raise ValueError(
                    f"window {row} is worn on {', '.join(sorted(window))}; this classifier learnt {', '.join(self.places_)}"
                )
        statistics, latents, embeddings = self._features(windows, embed=self.classes_.dtype.kind == "U")
        scores = self._table(statistics, latents) @ self.coefficients_.T + self.intercepts_
        if embeddings is not None:
            scores = scores + (_PRIOR_ROBUST if self.robust else _PRIOR) * self._prior(embeddings)
        scores = np.exp(scores - scores.max(1, keepdims=True))
        return scores / scores.sum(1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest label of each window; the errors are those of `predict_proba`."""
        chances = self.predict_proba(X)
        return self.classes_[chances.argmax(1)]

    def save(self, folder: str | Path) -> Path:
        """Writes `classifier.json` and `classifier.safetensors`; the folder appears whole or not at all.

        Raises:
            NotFittedError: before `fit`.
            OSError: the folder is in use by something else.
        """
        if not hasattr(self, "coefficients_"):
            raise NotFittedError("nothing to save yet; call fit first")
        folder = Path(folder)
        if folder.exists() and not (folder / _SETTINGS).is_file():
            raise OSError(f"{folder} exists and holds no classifier; give a new folder")
        with replacing_folder(folder) as draft:
            save_file({name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}, draft / _WEIGHTS)
            settings = {name: value for name, value in self.get_params().items()}
            settings |= {
                "version": _VERSION,
                "placements": None if self.placements is None else list(self.placements),
                "classes": self.classes_.tolist(),
                "places": list(self.places_),
                "strength": float(self.strength_),
                "encoder": self._fingerprint(),
            }
            (draft / _SETTINGS).write_text(json.dumps(settings, indent=2) + "\n")
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> AnyMoClassifier:
        """What `save` wrote.

        Raises:
            OSError: a file is missing or damaged.
            ValueError: it was fitted on another encoder than the checkpoint that `model` names.
        """
        folder = Path(folder)
        try:
            settings = json.loads((folder / _SETTINGS).read_text())
            arrays = load_file(folder / _WEIGHTS)
            made = cls(**{name: settings[name] for name in cls().get_params()})
            made.classes_, made.places_ = np.array(settings["classes"]), tuple(settings["places"])
            made.strength_, wanted = settings["strength"], settings["encoder"]
            for name in _ARRAYS:
                setattr(made, name, arrays[name])
        except (json.JSONDecodeError, UnicodeDecodeError, SafetensorError, KeyError, TypeError) as error:
            raise OSError(
                f"{folder}: not a saved AnyMoClassifier, or a damaged one ({error}); save it again"
            ) from error
        made.n_features_in_ = 6 * len(made.places_)
        if made._fingerprint() != wanted:
            raise ValueError(
                f"{folder}: fitted on another release than {made.model!r} is now; fit it again, or give the old checkpoint"
            )
        return made

    def _windows(self, X: Any) -> list[dict[str, np.ndarray]]:
        """Each window as placement -> `(T, 6)`, in the units given."""
        if isinstance(X, np.ndarray) and X.ndim not in (3, 4):
            raise ValueError(f"X must be (n, T, 6), (n, T, P, 6) or a list of windows, got an array of shape {X.shape}")
        if not len(X):
            raise ValueError("X is empty; give at least one window")
        if isinstance(X[0], Mapping):
            return [dict(window) for window in X]
        names = [self.placements] if isinstance(self.placements, str) else list(self.placements or ())
        if not names:
            raise ValueError('placements is missing: arrays need it, for example placements=("left_wrist",)')
        windows = []
        for row, window in enumerate(X):
            values = np.asarray(window, dtype=float)
            values = values[:, None] if values.ndim == 2 else values
            if values.ndim != 3 or values.shape[1] != len(names) or values.shape[2] != 6:
                raise ValueError(
                    f"window {row} must be (T, {len(names)}, 6) for placements {names}, got {values.shape}"
                )
            windows.append({name: values[:, number] for number, name in enumerate(names)})
        return windows

    def _loaded(self) -> tuple[Any, Any]:
        """The checkpoint's processor and model; read once for each name."""
        if getattr(self, "_checkpoint", (None,))[0] != self.model:
            from transformers import AutoModel, AutoProcessor

            self._checkpoint = (
                self.model,
                AutoProcessor.from_pretrained(self.model),
                AutoModel.from_pretrained(self.model).eval(),
            )
        return self._checkpoint[1], self._checkpoint[2]

    def __getstate__(self) -> dict[str, Any]:
        """Copies do not carry the checkpoint along."""
        return {name: value for name, value in super().__getstate__().items() if name != "_checkpoint"}

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name, tensor in sorted(self._loaded()[0].feature_extractor.stgcn.state_dict().items()):
            digest.update(name.encode() + tensor.float().numpy().tobytes())
        return digest.hexdigest()[:16]

    def _in_si(self, windows: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        factors = np.repeat(
            [ACCELERATION_UNITS[self.acceleration_unit], ANGULAR_VELOCITY_UNITS[self.angular_velocity_unit]], [3, 3]
        )
        return [{place: np.asarray(signal, dtype=float) * factors for place, signal in w.items()} for w in windows]

    def _features(
        self, windows: list[dict[str, np.ndarray]], embed: bool = False
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Statistics and latents of windows, and their unit embeddings if asked for."""
        latents, embeddings = self._latents(windows, embed)  # first: it says what is wrong with a window
        signals = self._in_si(windows)
        keep = invariant_columns() if self.robust else slice(None)
        rate = float(self.sampling_rate)
        statistics = [signal_statistics([one[place] for one in signals], rate)[:, keep] for place in self.places_]
        return np.concatenate(statistics, axis=1), latents, embeddings

    def _latents(
        self, windows: list[dict[str, np.ndarray]], embed: bool = False
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Mean and deviation over time of the encoder's latents, and the unit embeddings if asked for.

        With a `memory` a window that was asked before is not computed again.
        """
        if self.memory is None:
            return self._computed_latents(windows, embed)
        keys = [self._content(window, embed) for window in windows]
        new = {key: row for row, key in reversed(list(enumerate(keys))) if key not in self.memory}
        if new:
            latents, embeddings = self._computed_latents([windows[row] for row in new.values()], embed)
            for place, key in enumerate(new):
                self.memory[key] = (latents[place], None if embeddings is None else embeddings[place])
        found = [self.memory[key] for key in keys]
        return np.stack([one for one, _ in found]), np.stack([other for _, other in found]) if embed else None

    def _content(self, window: dict[str, np.ndarray], embed: bool) -> bytes:
        settings = (self.model, self.sampling_rate, self.acceleration_unit, self.angular_velocity_unit, embed)
        digest = hashlib.blake2b(repr(settings).encode(), digest_size=16)
        for place, signal in sorted(window.items()):
            digest.update(place.encode() + np.ascontiguousarray(signal, dtype=float).tobytes())
        return digest.digest()

    def _computed_latents(
        self, windows: list[dict[str, np.ndarray]], embed: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        import torch

        processor, model = self._loaded()
        parts, embeddings = [], []
        settings = {
            "sampling_rate": self.sampling_rate,
            "acceleration_unit": self.acceleration_unit,
            "angular_velocity_unit": self.angular_velocity_unit,
        }
        for start in range(0, len(windows), _BATCH):
            batch = windows[start : start + _BATCH]
            imu, nodes, frames = processor.feature_extractor.prepare(batch, **settings)
            with torch.inference_mode():
                out = processor.feature_extractor.stgcn(imu, nodes, frames)
                mask = out.attention_mask[..., None].float()
                mean = (out.last_hidden_state * mask).sum(1) / mask.sum(1)
                spread = (((out.last_hidden_state - mean[:, None]) ** 2 * mask).sum(1) / mask.sum(1)).sqrt()
                parts.append(torch.cat([mean, spread], 1).numpy())
                if embed:
                    embeddings.append(
                        model.get_imu_features(**processor(imu=batch, return_tensors="pt", **settings)).pooler_output
                    )
        return np.concatenate(parts), torch.cat(embeddings).numpy() if embed else None

    def _prior(self, embeddings: np.ndarray) -> np.ndarray:
        """Log zero-shot chances of the classes' names."""
        import torch

        processor, model = self._loaded()
        with torch.inference_mode():
            texts = model.get_text_features(
                **processor(text=[str(name) for name in self.classes_], text_kind="label", return_tensors="pt")
            ).pooler_output.numpy()
        scores = embeddings @ texts.T / model.config.contrastive_temperature
        scores = scores - scores.max(1, keepdims=True)
        return scores - np.log(np.exp(scores).sum(1, keepdims=True))

    def _turned(self, windows: list[dict[str, np.ndarray]], number: int) -> list[dict[str, np.ndarray]]:
        """Every window with each device turned at random about any axis; the same seed gives the same turns."""
        from scipy.spatial.transform import Rotation

        rng = np.random.default_rng([self.random_state, number])
        turned = []
        for window in windows:
            turns = Rotation.random(len(window), rng=rng).as_matrix()
            pairs = zip(window.items(), turns, strict=True)
            turned.append({place: (x.reshape(len(x), 2, 3) @ turn.T).reshape(len(x), 6) for (place, x), turn in pairs})
        return turned

    def _scaling(self, statistics: np.ndarray, latents: np.ndarray) -> None:
        for name, values in (("statistics", statistics), ("latents", latents)):
            mean, spread = values.mean(0), values.std(0)
            setattr(self, f"{name}_mean_", mean)
            setattr(self, f"{name}_scale_", spread + 1e-6 * (1 + np.abs(mean)))

    def _table(self, statistics: np.ndarray, latents: np.ndarray) -> np.ndarray:
        """Both parts in standard deviations, clipped; the latents shorter by a fixed share."""
        first = np.clip((statistics - self.statistics_mean_) / self.statistics_scale_, -_CLIP, _CLIP)
        second = np.clip((latents - self.latents_mean_) / self.latents_scale_, -_CLIP, _CLIP)
        share = _LATENT_SHARE * np.sqrt(first.shape[1] / second.shape[1])
        return np.concatenate([first, share * second], axis=1)

    def _choose(self, table: np.ndarray, target: np.ndarray, people: np.ndarray | None) -> float:
        """The strength that names most windows of people it has not seen; the usual one where there is too little."""
        fewest = int(np.bincount(target).min())
        if people is None or fewest < _FEWEST:
            return _USUAL
        folds = min(5, len(np.unique(people)))
        if folds < 2:
            splits = list(StratifiedKFold(3, shuffle=True, random_state=self.random_state).split(table, target))
        else:
            splits = list(GroupKFold(folds).split(table, target, people))
        # a fold that leaves out a whole class teaches nothing about it
        splits = [(train, test) for train, test in splits if len(np.unique(target[train])) == len(self.classes_)]
        if not splits:
            return _USUAL
        right = {
            strength: np.mean(
                [_logistic(strength).fit(table[a], target[a]).score(table[b], target[b]) for a, b in splits]
            )
            for strength in STRENGTHS
        }
        return max(STRENGTHS, key=right.__getitem__)


_ARRAYS = (
    "coefficients_",
    "intercepts_",
    "statistics_mean_",
    "statistics_scale_",
    "latents_mean_",
    "latents_scale_",
)


def _labels(y: Sequence | None, count: int) -> np.ndarray:
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
    array = np.array(values)
    if array.ndim != 1 or array.dtype.kind not in "Uiub" and not (array.dtype.kind == "f" and np.isfinite(array).all()):
        raise ValueError("y must be a list of labels, one a window, text or whole numbers, none missing")
    check_classification_targets(array)
    return array


def _logistic(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=500)


def _per_class(fitted: LogisticRegression) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and intercepts, one row a class; scikit-learn keeps one row only for two classes."""
    coefficients, intercepts = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:
        return np.concatenate([-coefficients, coefficients]) / 2, np.concatenate([-intercepts, intercepts]) / 2
    return coefficients, intercepts
