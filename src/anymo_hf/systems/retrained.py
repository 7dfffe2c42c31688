"""Table B: other methods' objectives trained on our corpus with one frozen sentence encoder, zero-shot.

None of them is the released system of that name; `training/pretrain_system.py` makes their weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from ..modeling.body_segments import SEGMENTS, resolve_placement
from ..modeling.imu_signal import resample
from ..recordings.imu_recording import ImuRecording
from ..refusals import parse_json
from .anymo import CHECKPOINT, AnyMo
from .checkpoint import weights_sha256
from .interface import System
from .published_weights import PublishedFile, device_of, load_network, mean_of_parts, unit
from .retrained_networks import RATE, SAMPLES, AlignedNetwork
from .virtual_windows import PIECE, VirtualBank, window_features

WEIGHTS, CONFIG = "model.safetensors", "config.json"
FILES = (WEIGHTS, CONFIG)


@dataclass(frozen=True)
class BodyWindows:
    """Pieces of windows as the corpus has them.

    Args:
        signals: `(pieces, samples, 23, 6)` at 60 Hz, zero where nothing is worn.
        worn: `(pieces, 23)` bool.
        owners: `(pieces,)` window of each piece.
    """

    signals: np.ndarray
    worn: np.ndarray
    owners: np.ndarray


def body_windows(title: str, recordings: Sequence[ImuRecording], samples: int, hop: int) -> BodyWindows:
    """Windows in pieces of `samples` at 60 Hz, `hop` apart; a shorter one is wrapped around.

    Raises:
        ValueError: two placements of a window are one segment.
    """
    signals, worn, owners = [], [], []
    for owner, one in enumerate(recordings):
        places: dict[int, str] = {}
        parts = {}
        for place, signal in sorted(one.signals.items()):
            segment = resolve_placement(place)
            if segment in places:
                raise ValueError(
                    f"{title}: window {owner}: {places[segment]!r} and {place!r} are one segment, "
                    f"{SEGMENTS[segment]}; leave one out"
                )
            places[segment] = place
            parts[segment] = resample(np.asarray(signal, dtype=np.float32), one.sampling_rate, RATE)
        count = len(next(iter(parts.values())))
        whole = np.zeros((count, len(SEGMENTS), 6), dtype=np.float32)
        for segment, part in parts.items():
            whole[:, segment, : part.shape[1]] = part
        for start in range(0, max(count - samples, 0) + 1, hop):
            signals.append(whole[start + np.arange(samples) % min(samples, count)])
            worn.append(np.isin(np.arange(len(SEGMENTS)), list(parts)))
            owners.append(owner)
    return BodyWindows(np.stack(signals), np.stack(worn), np.array(owners))


def sentence_vectors(texts: Sequence[str]) -> torch.Tensor:
    """Unit vectors `(n, 384)` of the frozen sentence encoder; OSError where its package is not installed."""
    from ..modeling.prompts import normalize_text
    from ..training.sentence_vectors import embed_sentences, encoder_folder

    return embed_sentences(encoder_folder(), [normalize_text(text) for text in texts])


class Retrained(System):
    """An encoder tied to sentence vectors; a subclass names it.

    Args:
        network: see `load`.
        batch_size: pieces of 5 s at a time.
        vectors: of texts, by the sentence encoder of training.
    """

    requires, licence = "corpus", "Apache-2.0"
    rate, channels = RATE, (6,)
    encoder: ClassVar[str]
    trained: dict[str, int] = {}  # noqa: RUF012

    def __init__(
        self, network: AlignedNetwork, batch_size: int = 64,
        vectors: Callable[[Sequence[str]], torch.Tensor] = sentence_vectors,
    ):  # fmt: skip
        self.network, self.batch_size, self.vectors = network.eval(), batch_size, vectors

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> Any:
        """`source`: folder that training wrote, `RUN/SYSTEM/model`; nothing in it is random."""
        path = _weights(cls).find(source)
        built_from, trained = read_config(path, cls.name)
        system = cls(load_network(lambda: AlignedNetwork(**built_from), path))  # type: ignore[arg-type]
        system.trained = trained
        return system

    def report(self) -> dict[str, Any]:
        """How long it was trained."""
        return {"trained": self.trained}

    @torch.inference_mode()
    def embed_imu(self, recordings: Sequence[ImuRecording]) -> np.ndarray:
        """As `System.embed_imu`; pieces, and for one that reads one sensor placements, are averaged.

        Raises:
            ValueError: also where two placements of a window are one segment.
        """
        self.check(recordings)
        device, found, owners = device_of(self.network), [], []
        for start in range(0, len(recordings), self.batch_size):
            part = body_windows(self.title, recordings[start : start + self.batch_size], SAMPLES, SAMPLES)
            signals, worn, of = part.signals, part.worn, part.owners
            if self.network.encoder.one_sensor:
                rows, places = np.nonzero(worn)
                signals, of = signals[rows], of[rows]
                worn = np.zeros((len(rows), len(SEGMENTS)), dtype=bool)
                worn[np.arange(len(rows)), places] = True
            for begin in range(0, len(signals), self.batch_size):
                chunk = slice(begin, begin + self.batch_size)
                inputs = (torch.from_numpy(value[chunk]).to(device) for value in (signals, worn))
                found.append(self.network.objective.embed_windows(self.network.encode(*inputs)).cpu().numpy())
            owners.append(of + start)
        return mean_of_parts(np.concatenate(found), np.concatenate(owners))

    @torch.inference_mode()
    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        """As `System.embed_text`, by the frozen sentence encoder and the trained projection."""
        vectors = self.vectors(texts).to(device_of(self.network))
        return unit(self.network.objective.embed_texts(vectors).cpu().numpy())


def _weights(kind: type[System]) -> PublishedFile:
    made = f"made by python training/pretrain_system.py --config training/configs/systems/{kind.name}.yaml"
    return PublishedFile(kind.title, kind.licence, WEIGHTS, kind.name, address=made)


def read_config(path: Path, name: str) -> tuple[dict[str, Any], dict[str, int]]:
    """What a network was built from, and how long it was trained, by the file beside its weights.

    Raises:
        OSError: the file is missing or damaged.
        ValueError: it is of another system or model.
    """
    beside = path.with_name(CONFIG)
    try:
        content = dict(parse_json(beside.read_text(encoding="utf-8")))
        # a checkpoint of transformers has no system but a model_type
        system = content.get("system") or content.get("model_type") or content["system"]
        if system == name:
            return dict(content["network"]), dict(content["trained"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OSError(f"{beside} is missing or damaged ({error!r}); train {name} again") from error
    raise ValueError(f"{path.parent} holds weights of {system}, not of {name}; give the folder of {name}")


class UniMTSObjective(Retrained):
    """Accelerations of all worn joints, turned at random in training; from the window to the text only."""

    name, title, encoder = "unimts_objective", "UniMTS objective, re-trained", "joint_graph"
    channels, reads = (3, 6), 3
    rate = 20.0


class IMU2CLIPObjective(Retrained):
    """Convolutions and a GRU over time; both ways, learned temperature."""

    name, title, encoder = "imu2clip_objective", "IMU2CLIP objective, re-trained", "convolution_gru"


class ImageBindObjective(Retrained):
    """Patches and a transformer; both ways, fixed temperature, texts in place of images."""

    name, title = "imagebind_objective", "ImageBind objective with a text anchor, re-trained"
    encoder = "patch_transformer"


class COMODOObjective(Retrained):
    """MantisV2's architecture on each channel, taught by the queue of sentence vectors in place of video."""

    name, title = "comodo_objective", "COMODO objective, text teacher, re-trained"
    encoder = "channel_transformer"


class AnyMoObjective(Retrained):
    """AnyMo's encoder, masked cross-view prediction, and a text contrast; no tokenizer and no language model."""

    name, title = "anymo_objective", "AnyMo encoder (masked prediction) with a text contrast, re-trained"
    encoder = "surface_graph"


class VirtualForest(System):
    """IMUGPT's way: a forest on virtual accelerometers of the windows whose texts are nearest to each label.

    IMUGPT lets a language model and a text-to-motion model make those windows; here they are of our corpus.

    Args:
        bank: see `load`.
        windows_per_label: nearest ones that a forest learns from; trees: IMUGPT's 25.
        seed: of the forest.
        vectors: as in `Retrained`.
    """

    name, title = "imugpt_objective", "IMUGPT objective (virtual IMU, ECDF, forest), re-trained"
    requires, licence = "corpus", "Apache-2.0"
    rate, reads = 20.0, 3
    trained: dict[str, int] = {}  # noqa: RUF012

    def __init__(
        self, bank: VirtualBank, windows_per_label: int = 100, trees: int = 25, seed: int = 0,
        vectors: Callable[[Sequence[str]], torch.Tensor] = sentence_vectors,
    ):  # fmt: skip
        self.bank, self.windows_per_label, self.trees, self.seed = bank, windows_per_label, trees, seed
        self.vectors = vectors

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> VirtualForest:
        """`source`: folder that training wrote, `RUN/imugpt_objective/model`."""
        path = _weights(cls).find(source)
        built_from, trained = read_config(path, cls.name)
        system = cls(load_network(lambda: VirtualBank(**built_from), path), seed=seed)  # type: ignore[arg-type]
        system.trained = trained
        return system

    def report(self) -> dict[str, Any]:
        """How many windows it chooses from."""
        return {"trained": self.trained}

    def score(self, recordings: Sequence[ImuRecording], labels: Sequence[str]) -> np.ndarray:
        """As `System.score`: chances, averaged over pieces of 2 s, one second apart."""
        self.check(recordings)
        order = sorted(range(len(labels)), key=lambda column: labels[column])  # a forest's draws follow its classes
        learned, scores = self._examples([labels[column] for column in order]), np.zeros((len(recordings), len(labels)))
        forests: dict[tuple[int, ...], Any] = {}
        for owner, one in enumerate(recordings):
            part = body_windows(self.title, [one], PIECE, PIECE // 2)
            places = tuple(np.flatnonzero(part.worn[0]).tolist())
            if places not in forests:
                forests[places] = self._forest(learned, places)
            asked = window_features(part.signals[:, :, list(places)]).reshape(len(part.signals), -1)
            columns = [order[label] for label in forests[places].classes_]
            scores[owner, columns] = forests[places].predict_proba(asked).mean(0)
        return scores

    def _examples(self, labels: Sequence[str]) -> list[np.ndarray]:
        """For each label the rows of the bank whose texts are nearest."""
        nearness = self.vectors(labels).numpy() @ self.bank.vectors.float().numpy().T
        return [np.argsort(-row, kind="stable")[: self.windows_per_label] for row in nearness]

    def _forest(self, learned: Sequence[np.ndarray], places: tuple[int, ...]) -> Any:
        from sklearn.ensemble import RandomForestClassifier

        rows, of = np.concatenate(learned), np.repeat(np.arange(len(learned)), [len(one) for one in learned])
        features = self.bank.features[torch.from_numpy(rows)][:, list(places)].float().numpy().reshape(len(rows), -1)
        return RandomForestClassifier(self.trees, random_state=self.seed).fit(features, of)


class AnyMoSameBudget(AnyMo):
    """AnyMo nano through its four stages from nothing, in the minutes of other rows (`train_nano.py --minutes 16`)."""

    name, title, requires = "anymo_same_budget", "AnyMo nano, same budget", "corpus"

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> AnyMoSameBudget:
        """`source`: folder of a checkpoint.

        Raises:
            OSError: none is given, or it is not whole.
            ValueError: it is the released one.
        """
        if source is None:
            raise OSError(f"{cls.title} needs a checkpoint of that budget, see docs/systems.md; give its folder")
        made = super().load(source, seed)
        if weights_sha256(source) == weights_sha256(CHECKPOINT):
            raise ValueError(
                f"{source} is the released checkpoint, which trained for longer; {cls.title} needs one of that budget, see "
                "docs/systems.md"
            )
        return made  # type: ignore[return-value]


def retrained_systems() -> dict[str, type[Any]]:
    """What `training/pretrain_system.py` trains, by name."""
    return {kind.name: kind for kind in (*Retrained.__subclasses__(), VirtualForest)}
