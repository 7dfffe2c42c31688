"""`System`: what every compared system does, and what it says about itself; `systems` finds the members of this folder.

A new system is one new file in this folder: a subclass of `System` with its class attributes, and `score` or both
`embed_imu` and `embed_text`. Nothing else has to know it.
"""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..modeling.known_names import did_you_mean
from ..recordings.imu_recording import ImuRecording


@dataclass(frozen=True)
class Choice:
    """Answer to a multiple-choice question, read in two ways.

    Args:
        log_probabilities: of each option, in their order; None where the system or its server gives none.
        written: what it wrote; read: number of the option that this names, None where it names none.
    """

    log_probabilities: tuple[float, ...] | None
    written: str
    read: int | None


class System:
    """One way to recognise, retrieve or describe windows of IMU signals.

    Class attributes:
        name: key in the registry and in result files; title: name in tables, which an instance may make more exact.
        requires: "nothing"; "weights" of its own, which `load` finds or refuses; an "endpoint" of a language model;
            "training", that is `fit` on labelled windows before `score`; or weights that are trained here on our "corpus".
        rate: Hz that its input is brought to, None where it takes every rate.
        channels: numbers of channels that it takes: 6 with gyroscope, 3 without; reads: how many of them it uses, where 3
            are the accelerometer's.
        longest_seconds, shortest_seconds: of a window, None where there is no limit.
        licence: of its weights, or of this code where it has none.
        fewest_labels: that training must hold.
        takes_source: whether `load` reads a `source`.
        wants_gpu: its training takes hours without one.
        asked_alike: what `report` must say alike of all that one results file holds.

    Attributes:
        memory: where whoever fits a system many times on the same windows lets it keep what it computes of a window
            whatever it has learned, by the window's content; None keeps nothing.
    """

    memory: dict | None = None

    name: ClassVar[str]
    title: str
    requires: ClassVar[str]
    rate: ClassVar[float | None] = None
    channels: ClassVar[tuple[int, ...]] = (3, 6)
    reads: ClassVar[int] = 6
    longest_seconds: ClassVar[float | None] = None
    shortest_seconds: ClassVar[float | None] = None
    licence: ClassVar[str]
    fewest_labels: ClassVar[int] = 1
    takes_source: ClassVar[bool] = True
    wants_gpu: ClassVar[bool] = False
    asked_alike: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> System:
        """Ready to use, or to `fit`.

        Args:
            source: folder, file or Hub id of its weights, or address of its endpoint; None takes the default.
            seed: of everything random in it.

        Raises:
            OSError: what it requires is missing; the message names it, its licence and where to put it.
        """
        raise NotImplementedError

    @classmethod
    def can(cls, method: str) -> bool:
        """Whether it has `embed_imu`, `embed_text`, `fit`, `caption` or `choose`; `score` all have."""
        return getattr(cls, method) is not getattr(System, method)

    def too_short(self, recording: ImuRecording) -> bool:
        """Whether a window is under `shortest_seconds`."""
        count = len(next(iter(recording.signals.values())))
        return self.shortest_seconds is not None and count / recording.sampling_rate < self.shortest_seconds

    def check(self, recordings: Sequence[ImuRecording]) -> None:
        """What every method asks of its windows first.

        Raises:
            ValueError: no windows, or one without samples, with channels or a length that the system does not take, or
                without acceleration where it reads nothing else.
        """
        if not len(recordings):
            raise ValueError(f"{self.title}: no windows; give at least one")
        for number, recording in enumerate(recordings):
            for place, signal in recording.signals.items():
                if not len(signal):
                    raise ValueError(f"{self.title}: window {number} has no samples at {place!r}")
                if self.reads == 3 and not np.any(signal[:, :3]):
                    raise ValueError(
                        f"{self.title}: window {number} has no accelerometer at {place!r}; leave that sensor out"
                    )
                if signal.shape[1] not in self.channels:
                    raise ValueError(
                        f"{self.title}: window {number} has {signal.shape[1]} channels at {place!r}, it takes "
                        f"{' or '.join(map(str, self.channels))}"
                    )
                seconds = len(signal) / recording.sampling_rate
                if self.longest_seconds is not None and seconds > self.longest_seconds + 1e-6:
                    raise ValueError(
                        f"{self.title}: window {number} lasts {seconds:.2f} s, it takes at most {self.longest_seconds:g} s"
                    )
                if self.too_short(recording):
                    raise ValueError(
                        f"{self.title}: window {number} lasts {seconds:.2f} s, it takes at least "
                        f"{self.shortest_seconds:g} s"
                    )

    def embed_imu(self, recordings: Sequence[ImuRecording]) -> np.ndarray:
        """Unit embeddings `(n, dim)` of windows.

        Raises:
            ValueError: the system has no embeddings, or see `check`.
        """
        raise ValueError(f"{self.title} has no embeddings of windows; use score")

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        """Unit embeddings `(k, dim)` of labels or sentences, in the space of `embed_imu`.

        Raises:
            ValueError: the system has no embeddings of texts.
        """
        raise ValueError(f"{self.title} has no embeddings of texts; use score")

    def embed_sentences(self, texts: Sequence[str]) -> np.ndarray:
        """As `embed_text`, of sentences, where a system treats names of activities another way."""
        return self.embed_text(texts)

    def score(self, recordings: Sequence[ImuRecording], labels: Sequence[str]) -> np.ndarray:
        """`(n, k)` of every window and label, higher is better; a row does not depend on the other windows.

        A row of NaN is an answer that could not be read; it counts as wrong.

        Raises:
            ValueError: see `check`; or a system that requires training was not fitted.
        """
        self.check(recordings)
        return self.embed_imu(recordings) @ self.embed_text(labels).T

    def fit(
        self, recordings: Sequence[ImuRecording], labels: Sequence[str], groups: Sequence[str] | None = None
    ) -> None:
        """Learn from windows and the label of each.

        Args:
            groups: the person of each window, for systems that hold people out to choose something; None takes the
                recordings' `subject`.

        Raises:
            ValueError: the system does not learn, see `check`, lists of different length, or too few labels.
        """
        raise ValueError(f"{self.title} does not learn from labels")

    def caption(self, recordings: Sequence[ImuRecording]) -> list[str]:
        """A sentence for each window.

        Raises:
            ValueError: the system writes no sentences.
        """
        raise ValueError(f"{self.title} writes no sentences")

    def choose(self, recordings: Sequence[ImuRecording], options: Sequence[Sequence[str]]) -> list[Choice]:
        """Which of its own options fits each window, asked as a multiple-choice question to a language model.

        Raises:
            ValueError: the system has no language model that could be asked, see `check`, or lists of different length.
        """
        raise ValueError(f"{self.title} has no language model that answers multiple-choice questions")

    def report(self) -> dict[str, Any]:
        """What a results file should say of how scores came about, beyond the class attributes; JSON values."""
        return {}

    def check_questions(self, recordings: Sequence[ImuRecording], options: Sequence[Sequence[str]]) -> None:
        """What `choose` asks first, ValueError as there."""
        self.check(recordings)
        if len(options) != len(recordings):
            raise ValueError(f"{self.title}: need options for each window, got {len(recordings)} and {len(options)}")

    def check_training(
        self, recordings: Sequence[ImuRecording], labels: Sequence[str], groups: Sequence[str] | None = None
    ) -> list[str]:
        """What `fit` asks first, ValueError as there; gives the person of each window."""
        self.check(recordings)
        for what, given in (("label", labels), ("group", groups)):
            if given is not None and len(given) != len(recordings):
                raise ValueError(f"{self.title}: need a {what} for each window, got {len(recordings)} and {len(given)}")
        if len(set(labels)) < self.fewest_labels:
            raise ValueError(f"{self.title}: training holds one label, {labels[0]!r}; it needs two")
        return [one.subject for one in recordings] if groups is None else [str(group) for group in groups]


def systems() -> dict[str, type[System]]:
    """Every system of this folder by its name; a class without one is a base of others.

    Raises:
        ValueError: two systems of one name.
    """
    from .. import systems as folder

    found: dict[str, type[System]] = {}
    for module in sorted(item.name for item in pkgutil.iter_modules(folder.__path__)):
        loaded = importlib.import_module(f"{folder.__name__}.{module}")
        for value in vars(loaded).values():
            own = isinstance(value, type) and value.__module__ == loaded.__name__
            if own and issubclass(value, System) and hasattr(value, "name"):
                if value.name in found:
                    raise ValueError(f"{value.__module__}: the name {value.name!r} is taken by {found[value.name]}")
                found[value.name] = value
    return found


def known_system(name: str) -> type[System]:
    """The system of that name.

    Raises:
        ValueError: unknown.
    """
    known = systems()
    if name not in known:
        raise ValueError(f"unknown system {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}")
    return known[name]


def load_system(name: str, source: str | None = None, seed: int = 0) -> System:
    """The system of that name, see `System.load`.

    Raises:
        ValueError: unknown name, or a source of a system that reads none.
        OSError: what it requires is missing.

    Warns:
        UserWarning: it wants a GPU, and there is none.
    """
    import torch

    kind = known_system(name)
    if source and not kind.takes_source:
        raise ValueError(f"{kind.title} reads no weights, so there is no --source {source} for it; leave it out")
    made = kind.load(source, seed)
    if made.wants_gpu and not torch.cuda.is_available():
        warnings.warn(f"{made.title}: its training takes hours without a GPU, and there is none here", stacklevel=2)
    return made
