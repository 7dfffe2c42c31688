"""`AnyMoClassifier`: scikit-learn's interface for those who have labels of their own device.

from anymo_hf import AnyMoClassifier

classifier = AnyMoClassifier(placements=("waist",), sampling_rate=50).fit(windows, labels, groups=people)
classifier.predict(others)
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold

from ..atomic_write import replacing_folder
from ..modeling.imu_signal import ACCELERATION_UNITS, ANGULAR_VELOCITY_UNITS, resolve_unit
from ..refusals import parse_json
from .labelled_windows import class_labels, people_numbers, windows_by_place
from .random_trees import TREES, RandomTrees, grow_trees
from .signal_statistics import invariant_columns, signal_statistics, slow_columns

if TYPE_CHECKING:
    from .window_network import NetworkSettings, WindowNetwork

_SETTINGS, _WEIGHTS = "classifier.json", "classifier.safetensors"
_VERSION = 5
STRENGTHS = (0.01, 0.1, 1.0)  # inverse regularisation, chosen among by cross-validation
_USUAL = 0.1  # the strength where nothing can be cross-validated
_CLIP = 3.0  # standard deviations; one wild statistic must not outvote the rest
# how long latents count beside statistics, since few labels cannot tell which of them matter, and the exponent of the
# zero-shot score of a class's name, under five windows of a class and from there on; set by hand on HAPT, MobiFall,
# ClassyGlass and GeoTec
_LATENT_SHARE = 0.6
_LATENT_SHARE_ROBUST = 0.3  # latents do not ignore the device's frame
_PRIOR = 0.1
_PRIOR_LEARNT = 0.05
_PRIOR_ROBUST = 0.3  # statistics that ignore the device's frame say less, so the name may say more
_PRIOR_ROBUST_LEARNT = 0.1
_SLOWEST = 20.0  # Hz, of devices that may be used with it: no energy of a band above half of that is learned from
_BATCH = 64
_FEWEST = 5  # windows of the rarest class below which nothing is cross-validated and no tree grown
_MOUNTINGS = 2  # random ways of wearing each training window's device, when robust
_TESTED = 2  # another random way, in which windows of people left out are tested, when robust
_NETWORKS = 3  # each leaves out a third of the people
_SHARES = (0.0, 0.25, 0.5, 0.75)  # of the networks in the answer, chosen among on people left out
_TREES_SHARE = 0.75  # of the answer; set by hand on HAPT, MobiFall, ClassyGlass and GeoTec, where folds chose no better


class AnyMoClassifier(ClassifierMixin, BaseEstimator):
    """Activities of your own from your own device.

    With `method="linear"` a window is described by plain statistics of its signals, by the frozen encoder's latents (mean
    and standard deviation over time) and, where a class has a name, by the model's zero-shot score of that name; logistic
    regression decides, in seconds, and from five windows of each class on random trees beside it. With `method="full"`
    three networks (`window_network.WindowNetwork`) that begin with the encoder are trained end to end as well, each without
    a third of the people, in minutes on one core. How much they count in the answer is chosen on the people each has left
    out, and may be nothing: where labels are too few to leave any out, the linear scores answer alone and a warning says
    so.

    Args:
        model: the released checkpoint, a folder or a Hub name.
        placements: where the sensors are worn, in the order of the arrays' sensors; not needed for windows that name them.
        sampling_rate: Hz, of every window.
        acceleration_unit: "m/s^2", "g" or "mg", in any usual spelling.
        angular_velocity_unit: "rad/s" or "deg/s", in any usual spelling.
        method: "linear" or "full".
        robust: for people whose device will be worn turned another way: only statistics that ignore the device's own axes,
            and training windows worn at random turns as well. Without it networks see small turns only.
        regularization: inverse strength of the penalty; None chooses it by cross-validation over `groups`.
        trees: how many random trees; 0 leaves them out.
        steps: of training each network, `method="full"`.
        random_state: seed of the random turns, the folds and the networks.

    Attributes:
        classes_: the labels, sorted.
        strength_: the regularisation that was used.
        trees_: the random trees beside the regression, three fourths of the answer; None without any, or under five windows
            of a class.
        few_: whether a class had under five windows.
        networks_: those that were trained; none with `method="linear"`.
        network_share_: their share of the answer, 0 to 1.
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
        method: str = "linear",
        robust: bool = False,
        regularization: float | None = None,
        trees: int = TREES,
        steps: int = 400,
        random_state: int = 0,
    ):
        self.model = model
        self.placements = placements
        self.sampling_rate = sampling_rate
        self.acceleration_unit = acceleration_unit
        self.angular_velocity_unit = angular_velocity_unit
        self.method = method
        self.robust = robust
        self.regularization = regularization
        self.trees = trees
        self.steps = steps
        self.random_state = random_state

    def fit(self, X: Any, y: Sequence, groups: Sequence | None = None) -> AnyMoClassifier:
        """Learns from labelled windows.

        Args:
            X: `(n, T, 6)`, a list of `(T, 6)` of any lengths, `(n, T, P, 6)` for P placements, or a list of {place:
                `(T, 6)`}; acceleration with gravity, then angular velocity, in the device's frame. Three channels where
                there is no gyroscope, whose channels are then zero.
            y: n labels, all text or all numbers.
            groups: n people; what is chosen is then chosen on people that the fit has not seen.

        Warns:
            UserWarning: `method="full"` has too few windows to leave people out, and is the linear one.

        Raises:
            ValueError: an impossible setting, under two classes, labels of mixed type or missing, people or placements that
                differ or are missing, or windows the model cannot read. What was learnt before is kept.
        """
        before = dict(vars(self))
        try:
            return self._learn(X, y, groups)
        except BaseException:  # half of a new fit beside half of an old one would answer wrong names
            vars(self).clear()
            vars(self).update(before)
            raise

    def _learn(self, X: Any, y: Sequence, groups: Sequence | None) -> AnyMoClassifier:
        self._check_settings()
        windows = self._windows(X)
        labels = class_labels(y, len(windows))
        people = people_numbers(groups, len(windows))
        self.classes_, target = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds one class only, {self.classes_[0].item()!r}; a classifier needs two")
        self.few_ = int(np.bincount(target).min()) < _FEWEST
        self.places_ = tuple(sorted(windows[0]))
        if (names := self._names()) and tuple(sorted(names)) != self.places_:
            raise ValueError(
                f"window 0 is worn on {', '.join(self.places_)}, placements names {', '.join(names)}; leave placements out, "
                "or name the same"
            )
        self._check_places(windows, "window 0 is")
        statistics, latents, _ = self._features(windows)
        rows = np.arange(len(windows))
        if self.robust:
            more = [self._latents(self._turned(windows, number))[0] for number in range(_MOUNTINGS)]
            statistics = np.concatenate([statistics] * (1 + _MOUNTINGS))
            latents = np.concatenate([latents, *more])
            rows = np.tile(rows, 1 + _MOUNTINGS)
        self._fit_linear(statistics, latents, rows, target, people)
        self.networks_: list[WindowNetwork] = []
        self.network_share_ = 0.0
        if self.method == "full":
            self._fit_networks(windows, statistics, latents, rows, target, people)
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
        self._check_places(windows, "this classifier learnt")
        scores = self._linear_scores(*self._features(windows, embed=self._named()))
        if self.network_share_ > 0:
            others = _mean_chances([self._network_scores(network, windows) for network in self.networks_])
            scores = _mixed(scores, others, self.network_share_)
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
        folder = Path(os.path.realpath(folder))  # a link stays one
        if folder.exists() and not (folder / _SETTINGS).is_file() and (not folder.is_dir() or any(folder.iterdir())):
            raise OSError(f"{folder} exists and holds no classifier; give a new folder")
        if folder.exists() and (others := sorted({path.name for path in folder.iterdir()} - {_SETTINGS, _WEIGHTS})):
            raise OSError(f"{folder} holds {others[0]} beside its classifier, which would be lost; give a new folder")
        with replacing_folder(folder) as draft:
            arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}
            if self.trees_ is not None:
                arrays |= {f"trees.{name}": value for name, value in self.trees_.arrays().items()}
            for number, network in enumerate(self.networks_):
                state = network.state_dict()
                arrays |= {f"network.{number}.{name}": value.contiguous().numpy() for name, value in state.items()}
            save_file(arrays, draft / _WEIGHTS)
            settings = {
                name: value.item() if isinstance(value, np.generic) else value
                for name, value in self.get_params().items()
            }
            settings |= {
                "version": _VERSION,
                "model": os.fspath(self.model),
                "placements": self._names() or None,
                "classes": self.classes_.tolist(),
                "places": list(self.places_),
                "strength": float(self.strength_),
                "few": self.few_,
                "grown": self.trees_ is not None,
                "networks": len(self.networks_),
                "network_share": self.network_share_,
                "checkpoint": self._fingerprint(),
            }
            (draft / _SETTINGS).write_text(json.dumps(settings, indent=2) + "\n")
        return folder

    @classmethod
    def load(cls, folder: str | Path, model: str | Path | None = None) -> AnyMoClassifier:
        """What `save` wrote.

        Args:
            folder: of `save`.
            model: where the checkpoint is now, if it has moved since.

        Raises:
            OSError: a file is missing or damaged, or the checkpoint is not there.
            ValueError: it was fitted on another checkpoint than the one that `model` names now.
        """
        folder = Path(folder)
        try:
            settings = parse_json((folder / _SETTINGS).read_text())
            if (version := settings["version"]) != _VERSION:
                raise ValueError(
                    f"{folder}: saved by another release of anymo-hf (form {version}, here {_VERSION}); fit again"
                )
            arrays = load_file(folder / _WEIGHTS)
            made = cls(**{name: settings[name] for name in cls().get_params()})
            if model is not None:
                made.model = os.fspath(model)
            made.classes_, made.places_ = np.array(list(settings["classes"])), tuple(settings["places"])
            made.strength_, wanted = settings["strength"], settings["checkpoint"]
            made.network_share_, count = settings["network_share"], settings["networks"]
            for name in _ARRAYS:
                setattr(made, name, arrays[name])
            grown, made.few_ = settings["grown"], settings["few"]
            made._check_shapes(count)
        except (
            FileNotFoundError, NotADirectoryError, json.JSONDecodeError, UnicodeDecodeError, SafetensorError, KeyError,
            TypeError,
        ) as error:  # fmt: skip
            raise OSError(
                f"{folder}: not a saved AnyMoClassifier, or a damaged one ({error}); save it again"
            ) from error
        made.n_features_in_ = 6 * len(made.places_)
        give = "AnyMoClassifier.load(folder, model=...)"
        try:
            found = made._fingerprint()
        except OSError as error:
            raise OSError(
                f"{folder}: its checkpoint {made.model!r} is not there ({error}); give the folder that holds it now: {give}"
            ) from error
        if found != wanted:
            raise ValueError(
                f"{folder}: fitted on another release than {made.model!r} is now; fit it again, or give the old checkpoint: "
                f"{give}"
            )
        try:
            trees = {name.removeprefix("trees."): array for name, array in arrays.items() if name.startswith("trees.")}
            columns, classes = len(made.statistics_mean_), len(made.classes_)
            made.trees_ = RandomTrees.from_arrays(trees, columns, classes) if grown else None
            made.networks_ = [made._loaded_network(arrays, number) for number in range(count)]
        except ValueError as error:
            raise OSError(f"{folder}: {error}; save it again") from error
        except (RuntimeError, KeyError) as error:
            raise OSError(
                f"{folder}: tensors of a network are missing or misshapen ({error}); save it again"
            ) from error
        return made

    def _check_shapes(self, networks: int) -> None:
        """KeyError where arrays of a saved one do not fit each other, or the networks' share their number."""
        classes, statistics, latents = len(self.classes_), len(self.statistics_mean_), len(self.latents_mean_)
        expected = {
            "coefficients_": (classes, statistics + latents), "intercepts_": (classes,),
            "statistics_mean_": (statistics,), "statistics_scale_": (statistics,),
            "latents_mean_": (latents,), "latents_scale_": (latents,),
        }  # fmt: skip
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise KeyError(f"{name} has the shape {getattr(self, name).shape}, not {shape}")
        share = self.network_share_
        if not isinstance(networks, int) or not isinstance(share, int | float) or not 0 <= share <= (networks > 0):
            raise KeyError(f"a network_share of {share!r} with {networks!r} networks")

    def _check_settings(self) -> None:
        if self.method not in ("linear", "full"):
            raise ValueError(f"method must be 'linear' or 'full', got {self.method!r}")
        if not isinstance(self.robust, bool | np.bool_):
            raise ValueError(f"robust must be True or False, got {self.robust!r}")
        if not isinstance(self.steps, int | np.integer) or self.steps < 1:
            raise ValueError(f"steps must be a whole number of at least 1, got {self.steps!r}")
        if not isinstance(self.trees, int | np.integer) or self.trees < 0:
            raise ValueError(f"trees must be a whole number, 0 or more, got {self.trees!r}")
        if not isinstance(self.random_state, int | np.integer) or not 0 <= self.random_state < 2**32:
            raise ValueError(f"random_state must be a whole number from 0 to 2**32 - 1, got {self.random_state!r}")
        if not isinstance(self.model, str | os.PathLike):
            raise ValueError(f"model must be a folder or a name on the Hub, got {self.model!r}")
        number = isinstance(self.regularization, int | float | np.number) and not isinstance(self.regularization, bool)
        if self.regularization is not None and not (number and self.regularization > 0):
            raise ValueError(f"regularization must be above 0, or None, got {self.regularization!r}")

    def _check_places(self, windows: Sequence[Mapping[str, np.ndarray]], whose: str) -> None:
        for row, window in enumerate(windows):
            if tuple(sorted(window)) != self.places_:
                raise ValueError(
                    f"window {row} is worn on {', '.join(sorted(window))}; {whose} {', '.join(self.places_)}; give "
                    "windows of the same placements"
                )

    def _names(self) -> list[str]:
        return [self.placements] if isinstance(self.placements, str) else list(self.placements or ())

    def _windows(self, X: Any) -> list[dict[str, np.ndarray]]:
        return windows_by_place(X, self._names())

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
        """Of all that answers depend on: the encoder, and codes and language model where classes have names."""
        processor, model = self._loaded()
        parts = [processor.feature_extractor.stgcn]
        if self._named():
            parts += [processor.feature_extractor.pqvae, model]
        digest = hashlib.sha256()
        for part in parts:
            for name, tensor in sorted(part.state_dict().items()):
                digest.update(name.encode() + tensor.float().cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

    def _in_si(self, windows: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        acceleration = resolve_unit(self.acceleration_unit, ACCELERATION_UNITS, "acceleration_unit")
        turning = resolve_unit(self.angular_velocity_unit, ANGULAR_VELOCITY_UNITS, "angular_velocity_unit")
        factors = np.repeat([ACCELERATION_UNITS[acceleration], ANGULAR_VELOCITY_UNITS[turning]], 3)
        return [{place: np.asarray(signal, dtype=float) * factors for place, signal in w.items()} for w in windows]

    def _recording(self) -> dict[str, Any]:
        """What the processor has to know of every window."""
        return {
            "sampling_rate": self.sampling_rate,
            "acceleration_unit": self.acceleration_unit,
            "angular_velocity_unit": self.angular_velocity_unit,
        }

    def _named(self) -> bool:
        """Whether classes have names, which zero-shot scores then know."""
        return self.classes_.dtype.kind == "U"

    def _features(
        self, windows: list[dict[str, np.ndarray]], embed: bool = False
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Statistics and latents of windows, and their unit embeddings if asked for."""
        latents, embeddings = self._latents(windows, embed)  # first: it says what is wrong with a window
        signals = self._in_si(windows)
        keep = slow_columns(_SLOWEST / 2)
        keep &= invariant_columns() if self.robust else True
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

        from ..modeling.feature_extraction_anymo import stack_recordings

        processor, model = self._loaded()
        parts, embeddings = [], []
        settings = self._recording()
        try:
            worn = processor.feature_extractor.read(windows, **settings)
        except ValueError as error:
            raise ValueError(str(error).replace("recording ", "window ", 1)) from error
        for start in range(0, len(windows), _BATCH):
            batch = windows[start : start + _BATCH]
            imu, nodes, frames = stack_recordings(worn[start : start + _BATCH])
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
        share = (_LATENT_SHARE_ROBUST if self.robust else _LATENT_SHARE) * np.sqrt(first.shape[1] / second.shape[1])
        return np.concatenate([first, share * second], axis=1)

    def _fit_linear(
        self, statistics: np.ndarray, latents: np.ndarray, rows: np.ndarray, target: np.ndarray,
        people: np.ndarray | None,
    ) -> None:  # fmt: skip
        """`rows`: which window each row of the features is; `target`, `people`: of the windows; `few_` is known."""
        self._scaling(statistics, latents)
        table = self._table(statistics, latents)
        self.strength_ = self.regularization or self._choose(table, rows, target, people)
        target = target[rows]
        self.coefficients_, self.intercepts_ = _per_class(_logistic(self.strength_).fit(table, target))
        plain = table[:, : statistics.shape[1]]  # on latents, too, the trees named fewer windows of ClassyGlass right
        self.trees_ = (
            grow_trees(plain, target, self.random_state, int(self.trees)) if self.trees > 0 and not self.few_ else None
        )

    def _linear_scores(self, statistics: np.ndarray, latents: np.ndarray, embeddings: np.ndarray | None) -> np.ndarray:
        """`(n, classes)`, whose softmax are chances."""
        table = self._table(statistics, latents)
        scores = table @ self.coefficients_.T + self.intercepts_
        if self.trees_ is not None:
            scores = _mixed(scores, _tree_scores(self.trees_, table[:, : statistics.shape[1]]), _TREES_SHARE)
        if embeddings is not None:
            few, many = (_PRIOR_ROBUST, _PRIOR_ROBUST_LEARNT) if self.robust else (_PRIOR, _PRIOR_LEARNT)
            scores = scores + (few if self.few_ else many) * self._prior(embeddings)
        return scores

    def _choose(self, table: np.ndarray, rows: np.ndarray, target: np.ndarray, people: np.ndarray | None) -> float:
        """The strength that names most windows of people it has not seen; the usual one where there is too little.

        All turned copies of a window are on one side.
        """
        if people is None:
            return _USUAL
        splits = self._splits(target, people, 5)
        if splits and len(np.unique(people)) < 2:
            warnings.warn(
                "groups name one person: the regression's strength is chosen on other windows of the same one",
                stacklevel=5,
            )
        if not splits and int(np.bincount(target).min()) >= _FEWEST:
            warnings.warn(
                "groups leave nobody out: all windows of a class are of people left out together; "
                f"the regression's strength is the usual {_USUAL}, not chosen on people",
                stacklevel=5,
            )
        if not splits:
            return _USUAL
        splits = [(np.flatnonzero(np.isin(rows, a)), np.flatnonzero(np.isin(rows, b))) for a, b in splits]
        target = target[rows]
        right = {
            strength: np.mean(
                [_logistic(strength).fit(table[a], target[a]).score(table[b], target[b]) for a, b in splits]
            )
            for strength in STRENGTHS
        }
        return max(STRENGTHS, key=right.__getitem__)

    def _splits(self, target: np.ndarray, people: np.ndarray | None, most: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows to learn from and rows of people left out; windows are left out where there is one person or none named.

        None where a class has under five windows; a fold that leaves out a whole class is no fold, since it would teach
        nothing about it.
        """
        if int(np.bincount(target).min()) < _FEWEST:
            return []
        folds = 0 if people is None else min(most, len(np.unique(people)))
        if folds < 2:
            splits = StratifiedKFold(3, shuffle=True, random_state=self.random_state).split(target, target)
        else:
            splits = GroupKFold(folds).split(target, target, people)
        return [(train, test) for train, test in splits if len(np.unique(target[train])) == len(self.classes_)]

    def _fit_networks(
        self, windows: list[dict[str, np.ndarray]], statistics: np.ndarray, latents: np.ndarray, rows: np.ndarray,
        target: np.ndarray, people: np.ndarray | None,
    ) -> None:  # fmt: skip
        """A network for each part of the people left out, and their share of the answer by what they say of that part.

        Args:
            windows: n training windows.
            statistics, latents: of them and, behind them, of the same ones turned.
            rows: which window each of those is.
            target, people: of the n windows.
        """
        from tqdm import tqdm

        from .window_network import class_scores, train_network

        splits = self._splits(target, people, _NETWORKS)
        if not splits:
            count = np.bincount(target)
            rarest = self.classes_[count.argmin()].item()
            warnings.warn(
                f"method='full' is the linear one here, since nobody can be left out: of {rarest!r} "
                f"there are {count.min()} windows; {_FEWEST} of each class are needed, and each of two people or more",
                stacklevel=4,
            )
            return
        worn, settings = self._read(windows), self._network_settings()
        tested = self._turned(windows, _TESTED) if self.robust else windows
        asked = self._read(tested)
        features = self._features(tested, embed=self._named())
        found, linear = np.full((2, len(windows), len(self.classes_)), np.nan)
        with tqdm(total=len(splits) * self.steps, desc="AnyMo, full", unit="step", delay=2, disable=None) as bar:
            for number, (train, test) in enumerate(splits):
                seed = int(np.random.default_rng([self.random_state, number]).integers(2**31))
                network = train_network(
                    self._loaded()[0].feature_extractor.stgcn, [worn[row] for row in train], target[train],
                    len(self.classes_), settings, seed, bar.update,
                )  # fmt: skip
                self.networks_.append(network)
                found[test] = class_scores(network, [asked[row] for row in test])
                part, own = copy.copy(self), np.isin(rows, train)
                part._checkpoint = self._checkpoint  # which copies leave behind
                part.regularization = self.strength_
                part._fit_linear(statistics[own], latents[own], rows[own], target, None)
                linear[test] = part._linear_scores(*(None if f is None else f[test] for f in features))
        left_out = np.isfinite(found).all(1)
        self.network_share_ = _best_share(linear[left_out], found[left_out], target[left_out])

    def _network_settings(self) -> NetworkSettings:
        from .window_network import NetworkSettings

        turns: dict[str, Any] = {"degrees": 180.0, "invariant": True} if self.robust else {}
        return NetworkSettings(steps=int(self.steps), **turns)

    def _network_scores(self, network: WindowNetwork, windows: list[dict[str, np.ndarray]]) -> np.ndarray:
        from .window_network import class_scores

        return class_scores(network, self._read(windows))

    def _read(self, windows: list[dict[str, np.ndarray]]) -> list[dict[int, np.ndarray]]:
        return self._loaded()[0].feature_extractor.read(windows, **self._recording())

    def _loaded_network(self, arrays: Mapping[str, np.ndarray], number: int) -> WindowNetwork:
        """The network of that number; RuntimeError where tensors do not fit."""
        import torch

        from ..modeling.body_segments import resolve_placement
        from .window_network import WindowNetwork

        extractor = self._loaded()[0].feature_extractor
        nodes = sorted(resolve_placement(place, extractor.wrist) for place in self.places_)
        network = WindowNetwork(extractor.stgcn, nodes, len(self.classes_), self._network_settings())
        prefix = f"network.{number}."
        network.load_state_dict(
            {
                name.removeprefix(prefix): torch.from_numpy(value)
                for name, value in arrays.items()
                if name.startswith(prefix)
            }
        )
        return network.eval()


_ARRAYS = (
    "coefficients_",
    "intercepts_",
    "statistics_mean_",
    "statistics_scale_",
    "latents_mean_",
    "latents_scale_",
)


def _log_chances(scores: np.ndarray) -> np.ndarray:
    scores = scores - scores.max(1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


def _mean_chances(scores: Sequence[np.ndarray]) -> np.ndarray:
    """Log of the mean of several classifiers' chances."""
    return np.log(np.mean([np.exp(_log_chances(one)) for one in scores], axis=0) + 1e-9)


def _tree_scores(trees: RandomTrees, table: np.ndarray) -> np.ndarray:
    """Log chances; what no tree has seen stays possible."""
    return np.log(trees.predict_proba(table) + 1e-3)


def _mixed(linear: np.ndarray, others: np.ndarray, share: float) -> np.ndarray:
    """Weighted mean of log chances: a class has to seem possible to both."""
    return (1 - share) * _log_chances(linear) + share * _log_chances(others)


def _best_share(linear: np.ndarray, others: np.ndarray, target: np.ndarray) -> float:
    """The share that names most windows right; among equals the one that is surest of the truth."""
    rows = np.arange(len(target))

    def worth(share: float) -> tuple[int, float]:
        scores = _log_chances(_mixed(linear, others, share))
        return int((scores.argmax(1) == target).sum()), float(scores[rows, target].mean())

    return max(_SHARES, key=worth)


def _logistic(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=500)


def _per_class(fitted: LogisticRegression) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and intercepts, one row a class; scikit-learn keeps one row only for two classes."""
    coefficients, intercepts = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:
        return np.concatenate([-coefficients, coefficients]) / 2, np.concatenate([-intercepts, intercepts]) / 2
    return coefficients, intercepts
