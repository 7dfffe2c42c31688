"""YAML settings of a training stage: typed, checked, with a fingerprint that decides whether a run may resume."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ..simulation.views import ViewOptions
from .setting_types import check_types

Settings = TypeVar("Settings", bound="StageSettings")
# These may change between a stop and a resume: they say how long, how often and in how much memory, not what is learned.
_FREE = {"steps", "max_minutes", "checkpoint_every", "log_every", "mixed_precision", "start_from"}
_FREE |= {"gradient_checkpointing", "batch_per_process"}
_LATER = {"augmented_share"}  # left out of the fingerprint while null, so that older runs keep theirs
_BATCHES = ("batch_size", "text_batch_size", "lm_batch_size")
_CHOICES = {
    "preset": ("nano", "paper"),
    "mixed_precision": ("no", "bf16"),
    "objective": ("masked", "full_view"),
}
_ABOVE_ZERO = ("learning_rate", "max_minutes", "temperature")
# setting -> its least and its greatest value
_RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("steps", "batch_size", "checkpoint_every", "log_every"), (1, math.inf)),
    **dict.fromkeys(("views_per_clip", "rows_per_call", "vocab_size", "latents"), (1, math.inf)),
    **dict.fromkeys(("text_batch_size", "lm_batch_size", "chunk_size"), (1, math.inf)),
    **dict.fromkeys(("weight_decay", "gradient_clip", "text_weight", "lm_weight"), (0, math.inf)),
    **dict.fromkeys(("narration_weight", "label_weight", "teacher_weight", "teacher_texts"), (0, math.inf)),
    **dict.fromkeys(("warmup", "final_rate", "worn_share", "shortest_crop", "everyday_share"), (0, 1)),
    **dict.fromkeys(("multiple_choice_share", "augmented_share"), (0, 1)),
    "candidates": (2, math.inf),
    "seed": (0, 2**63 - 1),
}
_HEIGHTS = (0.5, 2.6)  # metres


@dataclass
class StageSettings:
    """Settings of every stage.

    Args:
        preset: model size, "nano" or "paper".
        steps: optimizer steps at most.
        max_minutes: wall-clock limit; the learning rate follows whichever of steps and time is further along.
        batch_size: windows per step over all processes.
        batch_per_process: `batch_size`, `text_batch_size` and `lm_batch_size` count what one process takes, so that the
            whole batch grows with the number of processes, as in the paper's contrastive stage.
        learning_rate, weight_decay: of AdamW.
        warmup: share of the run with a linearly rising rate; a cosine fall to `final_rate` of it follows.
        gradient_clip: largest gradient norm; 0 for none.
        seed: of every random draw.
        checkpoint_every, log_every: steps.
        mixed_precision: "no" or "bf16", as in Accelerate.
        start_from: folder of this stage's model from an earlier run, to go on from it in place of random weights; for
            the language stage a whole release. Contrastive tuning always starts from the language stage.
    """

    preset: str = "nano"
    steps: int = 1000
    max_minutes: float | None = None
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    warmup: float = 0.02
    final_rate: float = 0.05
    gradient_clip: float = 1.0
    seed: int = 0
    checkpoint_every: int = 100
    log_every: int = 10
    mixed_precision: str = "no"
    start_from: str | None = None
    batch_per_process: bool = False

    def __post_init__(self) -> None:
        check_types(vars(self), type(self))
        for name, choices in _CHOICES.items():
            if hasattr(self, name) and getattr(self, name) not in choices:
                raise ValueError(f"{name} must be {' or '.join(choices)}, got {getattr(self, name)!r}")
        for name in _ABOVE_ZERO:
            value = getattr(self, name, None)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be above 0, got {value}")
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name, None)
            if value is not None and not least <= value <= most:
                limits = f"at least {least}" if most == math.inf else f"between {least} and {most}"
                raise ValueError(f"{name} must be {limits}, got {value}")
        if self.warmup == 1:
            raise ValueError("warmup must be below 1 (a share of the run), got 1")

    def for_processes(self: Settings, count: int) -> Settings:
        """The same settings with batches that count the windows of all `count` processes."""
        if not self.batch_per_process:
            return self
        whole = {name: count * getattr(self, name) for name in _BATCHES if hasattr(self, name)}
        return dataclasses.replace(self, batch_per_process=False, **whole)

    def fingerprint(self, inputs: str = "") -> str:
        """Hash of what is learned from what; `inputs` names the files that the stage reads."""
        kept = {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if name not in _FREE and not (name in _LATER and value is None)
        }
        return hashlib.sha256((json.dumps(kept, sort_keys=True, default=str) + inputs).encode()).hexdigest()[:16]


@dataclass
class ViewSettings(StageSettings):
    """Settings of the stages that simulate sensors on the corpus's motion.

    Args:
        frames: window lengths at 60 Hz; one is drawn per batch.
        views: arguments of `ViewOptions`.
        worn_share: share of windows whose visible sensors are a setup people wear, not any 1 to 5 segments.
        height_range: metres; the body that carries the sensors is drawn from it.
    """

    frames: list[int] = field(default_factory=lambda: [300])
    views: dict[str, Any] = field(default_factory=dict)
    worn_share: float = 0.0
    height_range: list[float] = field(default_factory=lambda: [1.5, 1.95])

    def __post_init__(self) -> None:
        super().__post_init__()
        check_views(self.views)
        if not self.frames or min(self.frames) < 16:
            raise ValueError(f"frames must hold lengths of 16 or more, got {self.frames}")
        least, most = _HEIGHTS
        if len(self.height_range) != 2 or not least <= self.height_range[0] < self.height_range[1] <= most:
            raise ValueError(
                f"height_range must be two rising heights in metres between {least} and {most}, such as [1.5, 1.95], "
                f"got {self.height_range}"
            )


@dataclass
class EncoderSettings(ViewSettings):
    """Pre-training of the encoder (paper §3.2, A.3).

    Args:
        objective: "masked", the cross-view prediction of full views from sparse ones; or "full_view", the paper's ablation
            of it: full views are contrasted with each other, without a mask and a predictor (A.8).
    """

    objective: str = "masked"


@dataclass
class TokenizerSettings(ViewSettings):
    """PQ-VAE on latents of the frozen encoder, then codes of many sparse views (paper §3.2, A.3).

    Args:
        views_per_clip: sparse views of each clip that are encoded.
        rows_per_call: windows that share one setup and length while latents are made.
    """

    views_per_clip: int = 6
    rows_per_call: int = 32


@dataclass
class LanguageSettings(StageSettings):
    """Next-token prediction on motion codes and text, with a sentence encoder as teacher (paper §3.3, A.4).

    Args:
        vocab_size: words of the tokenizer trained here; None keeps `text_model`'s.
        text_model: folder or Hub name of a causal LM to start from (paper preset).
        freeze_words: train only code rows of the embedding and the head, not words (paper A.4).
        latents: most latent steps of a code sequence, 2 tokens a step; longer ones are cropped at a random place.
        shortest_crop: a batch is cropped to between this share and all of `latents`; 1 leaves it alone.
        text_batch_size, text_weight: texts per step and weight of their next-token loss.
        teacher_weight, teacher_texts: weight of the distillation and how many texts the teacher reads; 0 turns it off.
        gradient_checkpointing: keep each layer's input only and run the layer again for its gradient: less memory, a
            third more work, the same result.
    """

    vocab_size: int | None = 2000
    text_model: str | None = None
    freeze_words: bool = False
    latents: int = 75
    shortest_crop: float = 1.0
    text_batch_size: int = 64
    text_weight: float = 1.0
    teacher_weight: float = 0.0
    teacher_texts: int = 2000
    gradient_checkpointing: bool = False


@dataclass
class ContrastiveSettings(StageSettings):
    """Contrastive instruction tuning (paper §3.3, A.4).

    Args:
        lm_weight, narration_weight, label_weight, temperature: of the losses; one of weight 0 is not computed.
        latents, shortest_crop: as in `LanguageSettings`.
        lm_batch_size: examples per step of the instruction loss.
        multiple_choice_share: share of them that are multiple choice; the others are narrations.
        candidates: options of a multiple-choice question.
        chunk_size: GradCache chunk per process, and chunk of the instruction loss; None takes the batch in one piece.
        augmented_share: how often a narration other than a clip's first is taken, where the first is a person's and the
            others are paraphrases; None draws from all alike.
        everyday_share: share of a batch from everyday activities, which are hardest to tell apart; 0 draws all evenly.
        teacher_weight, teacher_texts: keep label and narration texts arranged as a sentence encoder has them.
        broader: activity -> wider one, whose phrases also name it (walking_slow: walking).
        freeze_words, gradient_checkpointing: as in `LanguageSettings`.
    """

    lm_weight: float = 1.0
    narration_weight: float = 2.0
    label_weight: float = 2.0
    temperature: float = 0.05
    latents: int = 75
    shortest_crop: float = 1.0
    lm_batch_size: int = 16
    multiple_choice_share: float = 0.5
    candidates: int = 35
    chunk_size: int | None = None
    everyday_share: float = 0.0
    teacher_weight: float = 0.0
    teacher_texts: int = 2000
    broader: dict[str, str] = field(default_factory=dict)
    freeze_words: bool = False
    gradient_checkpointing: bool = False
    augmented_share: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.lm_weight + self.narration_weight + self.label_weight:
            raise ValueError(
                "lm_weight, narration_weight and label_weight are all 0; one must be above 0 to learn from"
            )


def check_views(values: dict[str, Any]) -> ViewOptions:
    """`ViewOptions` from a YAML mapping; ValueError names an unknown key or one with a bad value."""
    known = {item.name for item in dataclasses.fields(ViewOptions)}
    if unknown := sorted(set(values) - known):
        raise ValueError(f"views: unknown settings {unknown}; known are {sorted(known)}")
    check_types(values, ViewOptions, "views.")
    return ViewOptions(**values)


def load_settings(path: str | Path, kind: type[Settings]) -> Settings:
    """Reads a YAML file.

    Raises:
        OSError: no such file.
        ValueError: not a mapping, an unknown key or a bad value.
    """
    import yaml

    path = Path(path)
    if not path.is_file():
        raise OSError(f"no settings file {path}; see training/configs/nano")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold settings as `name: value` lines, got {type(values).__name__}")
    known = {item.name for item in dataclasses.fields(kind)}
    if unknown := sorted(map(str, set(values) - known)):
        raise ValueError(f"{path}: unknown settings {unknown}; known are {sorted(known)}")
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
