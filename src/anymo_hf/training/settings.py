"""YAML settings of a training stage: typed, checked, with a fingerprint that decides whether a run may resume."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..modeling.known_names import did_you_mean
from ..refusals import refusing
from ..simulation.sensor_noise import noise_models
from ..simulation.views import ViewOptions
from .losses import added_losses, embedding_losses, encoder_objectives
from .setting_fields import check_settings, setting

Settings = TypeVar("Settings", bound="StageSettings")
_BATCHES = ("batch_size", "text_batch_size", "lm_batch_size")
_CODEBOOKS = ("num_codebooks", "codebook_size")


@dataclass
class StageSettings:
    """Settings of every stage."""

    preset: str = setting(
        "nano", "model size; a stage that goes on from a model takes its", choices=("nano", "small", "paper")
    )
    steps: int = setting(1000, "optimizer steps at most", least=1, resumable=True)
    max_minutes: float | None = setting(
        None,
        "wall-clock limit; the learning rate follows whichever of steps and time is further along",
        above=0,
        resumable=True,
    )
    batch_size: int = setting(64, "windows per step over all processes", least=1)
    learning_rate: float = setting(1e-3, "of AdamW", above=0)
    weight_decay: float = setting(0.0, "of AdamW", least=0)
    warmup: float = setting(
        0.02,
        "share of the run with a linearly rising rate; a cosine fall to final_rate of it follows",
        least=0,
        below=1,
    )
    final_rate: float = setting(0.05, "last learning rate as a share of the largest", least=0, most=1)
    gradient_clip: float = setting(1.0, "largest gradient norm; 0 for none", least=0)
    seed: int = setting(0, "of every random draw", least=0, most=2**63 - 1)
    checkpoint_every: int = setting(100, "steps between checkpoints", least=1, resumable=True)
    log_every: int = setting(10, "steps between entries of the history", least=1, resumable=True)
    mixed_precision: str = setting("no", "as in Accelerate", choices=("no", "bf16"), resumable=True)
    # inputs are part of the fingerprint by their content, not by their place
    start_from: str | None = setting(
        None,
        "folder of this stage's model from an earlier run, to go on from it in place of random weights; for the language "
        "stage and the residual a whole release; contrastive tuning always starts from the language stage",
        resumable=True,
    )
    batch_per_process: bool = setting(
        False,
        "batch_size, text_batch_size and lm_batch_size count what one process takes, so that the whole batch grows with "
        "the number of processes, as in the paper's contrastive stage",
        resumable=True,
    )

    def __post_init__(self) -> None:
        check_settings(vars(self), type(self))

    def for_processes(self: Settings, count: int) -> Settings:
        """The same settings with batches that count the windows of all `count` processes."""
        if not self.batch_per_process:
            return self
        whole = {name: count * getattr(self, name) for name in _BATCHES if hasattr(self, name)}
        return dataclasses.replace(self, batch_per_process=False, **whole)

    def fingerprint(self, inputs: str = "") -> str:
        """Hash of what is learned from what; `inputs` names the files that the stage reads."""
        resumable = {item.name for item in dataclasses.fields(self) if item.metadata["resumable"]}
        kept = {name: value for name, value in self._learned_from().items() if name not in resumable}
        return hashlib.sha256((json.dumps(kept, sort_keys=True, default=str) + inputs).encode()).hexdigest()[:16]

    def _learned_from(self) -> dict[str, Any]:
        """The settings, with what files say in place of where they lie."""
        return dataclasses.asdict(self)


@dataclass
class SimulationSettings(StageSettings):
    """Settings of the stages that simulate sensors on the corpus's motion."""

    frames: list[int] = setting(factory=lambda: [300], doc="window lengths at 60 Hz; one is drawn per batch", least=16)
    views: dict[str, Any] = setting(
        factory=dict,
        doc="how sensors are worn: arguments of simulation.views.ViewOptions, such as any_rotation, flip_probability "
        "and noise (presets, or files of `anymo sensor estimate`)",
    )
    height_range: list[float] = setting(
        factory=lambda: [1.5, 1.95],
        doc="two rising heights in metres; the body that carries the sensors is drawn between them",
        least=0.5,
        most=2.6,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_views(self.views)
        if not self.frames:
            raise ValueError("frames must hold at least one window length, such as [300]")
        if len(self.height_range) != 2 or self.height_range[0] >= self.height_range[1]:
            raise ValueError(
                f"height_range must be two rising heights in metres, such as [1.5, 1.95], got {self.height_range}"
            )

    def _learned_from(self) -> dict[str, Any]:
        values = super()._learned_from()
        if isinstance(values["views"].get("noise"), list):  # priors files by what they hold
            values["views"]["noise"] = [
                [dataclasses.asdict(model) for model in noise_models([entry])]
                if str(entry).endswith(".json")
                else entry
                for entry in values["views"]["noise"]
            ]
        return values


@dataclass
class ViewSettings(SimulationSettings):
    """Settings of the stages that draw which sensors of a window are visible."""

    worn_share: float = setting(
        0.0,
        "share of windows whose visible sensors are a setup people wear, not any 1 to 5 segments",
        least=0,
        most=1,
    )


@dataclass
class EncoderSettings(ViewSettings):
    """Pre-training of the encoder (paper §3.2, A.3)."""

    objective: str = setting(
        "masked",
        "masked: full views predicted from sparse ones (Eq. 3); full_view: the paper's ablation (A.8)",
        choices=encoder_objectives,
    )
    added_losses: dict[str, float] = setting(
        factory=dict,
        doc="losses beside the objective and their weights, such as {semantic: 0.5}; none in the paper",
        least=0,
    )
    views_per_window: int = setting(
        2, "views made of each window, compared in pairs; the paper's two", least=2, most=16
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_names(self.added_losses, added_losses())
        if self.views_per_window % 2:
            raise ValueError(f"views_per_window must be even, views are compared in pairs, got {self.views_per_window}")


@dataclass
class SignalSettings(SimulationSettings):
    """A branch of plain convolutions beside the trained graph encoder; not in the paper. Sensors of a step are single."""

    channels: list[int] = setting(
        factory=lambda: [32, 64, 96, 48], doc="width of each layer; the last is that of the added latents", least=1
    )
    sensors: int = setting(4, "single sensors that are simulated on each window of a step", least=1, most=17)
    temperature: float = setting(0.07, "divides the cosines with activities' words", above=0)
    even_share: float = setting(
        0.5, "share of batches that take every activity equally often, not as the corpus has them", least=0, most=1
    )
    broader_activities: bool = setting(
        True, "the words of a procedural activity's wider one count as neither right nor wrong (jogging: running)"
    )

    members: int = setting(
        1, "of the branch, each with a start and a head of its own; their latents stand side by side", least=1, most=16
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.channels:
            raise ValueError("channels must hold at least one width, such as [32, 64, 96, 48]")

    def _learned_from(self) -> dict[str, Any]:
        values = super()._learned_from()
        if self.members == 1:  # runs from before there were more go on
            del values["members"]
        return values


@dataclass
class TokenizerSettings(ViewSettings):
    """PQ-VAE on latents of the frozen encoder, then codes of many sparse views (paper §3.2, A.3)."""

    encoder: str = setting(
        "encoder",
        "whose model is read: that of stage 1, or the one to which a branch was added",
        choices=("encoder", "signal"),
    )
    views_per_clip: int = setting(6, "sparse views of each clip that are encoded", least=1)
    rows_per_call: int = setting(32, "windows that share one setup and length while latents are made", least=1)
    activity_weight: float = setting(
        0.0,
        "weight, beside Eq. 4, of telling windows apart by what their codes say of activities; 0 in the paper",
        least=0,
    )
    temperature: float = setting(0.1, "of that loss", above=0)
    broader_activities: bool = setting(
        True,
        "there, the words of a procedural activity's wider one count as neither right nor wrong (jogging: running)",
    )
    num_codebooks: int | None = setting(
        None, "books a latent is cut into, each a token of every step; null: the preset's", least=1
    )
    codebook_size: int | None = setting(None, "codes of a book; null: the preset's", least=2)

    def codebooks(self) -> dict[str, int]:
        """The arguments of `AnyMoPQVAEConfig` that are set in place of the preset's."""
        return {name: value for name in _CODEBOOKS if (value := getattr(self, name)) is not None}

    def _learned_from(self) -> dict[str, Any]:
        values = super()._learned_from()
        for name in set(_CODEBOOKS) - set(self.codebooks()):  # runs from before there were these go on
            del values[name]
        return values


@dataclass
class TextSettings(StageSettings):
    """Settings of the two stages that train the language model."""

    latents: int = setting(
        75,
        "most latent steps of a code sequence, 2 tokens a step; longer ones are cropped at a random place",
        least=1,
    )
    shortest_crop: float = setting(
        1.0, "a batch is cropped to between this share and all of latents; 1 leaves it alone", least=0, most=1
    )
    teacher_weight: float = setting(
        0.0, "weight of a sentence encoder's arrangement of texts as the teacher of ours; 0 turns it off", least=0
    )
    teacher_texts: int = setting(2000, "how many texts the teacher reads", least=0)
    added_losses: dict[str, float] = setting(
        factory=dict,
        doc="losses on embeddings of windows and texts and their weights, such as {my_loss: 0.5}; none in the paper",
        least=0,
    )
    freeze_words: bool = setting(False, "train only code rows of the embedding and the head, not words (paper A.4)")
    gradient_checkpointing: bool = setting(
        False,
        "keep each layer's input only and run the layer again for its gradient: less memory, a third more work, the same "
        "result",
        resumable=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_names(self.added_losses, embedding_losses())

    def _learned_from(self) -> dict[str, Any]:
        values = super()._learned_from()
        if not self.added_losses:  # runs from before there were any go on
            del values["added_losses"]
        return values


@dataclass
class LanguageSettings(TextSettings):
    """Next-token prediction on motion codes and text, with a sentence encoder as teacher (paper §3.3, A.4)."""

    vocab_size: int | None = setting(
        2000,
        "words of the tokenizer trained here; null keeps that of text_model or start_from, and so does no more than "
        "start_from has; with more, new words start as the mean of their old pieces",
        least=1,
    )
    text_model: str | None = setting(None, "folder or Hub name of a causal LM to start from (paper preset)")
    text_batch_size: int = setting(64, "texts per step", least=1)
    text_weight: float = setting(1.0, "weight of the texts' next-token loss", least=0)


@dataclass
class ContrastiveSettings(TextSettings):
    """Contrastive instruction tuning (paper §3.3, A.4); a loss of weight 0 is not computed."""

    lm_weight: float = setting(1.0, "weight of the instruction loss", least=0)
    narration_weight: float = setting(2.0, "weight of the narration contrast (Eq. 5)", least=0)
    label_weight: float = setting(2.0, "weight of the label contrast", least=0)
    temperature: float = setting(0.05, "of the contrastive losses", above=0)
    lm_batch_size: int = setting(16, "examples per step of the instruction loss", least=1)
    multiple_choice_share: float = setting(
        0.5, "share of them that are multiple choice; the others are narrations", least=0, most=1
    )
    candidates: int = setting(35, "options of a multiple-choice question", least=2)
    chunk_size: int | None = setting(
        None,
        "GradCache chunk per process, and chunk of the instruction loss; null takes the batch in one piece",
        least=1,
    )
    everyday_share: float = setting(
        0.0, "share of a batch from everyday activities, hardest to tell apart; 0 draws all evenly", least=0, most=1
    )
    broader_activities: bool = setting(
        False, "phrases of the wider activity that a procedural one declares also name it (jogging: running)"
    )
    broader: dict[str, str] = setting(
        factory=dict, doc="such pairs of a corpus' own labels, narrower -> wider (walking: walking / hiking)"
    )
    augmented_share: float | None = setting(
        None,
        "how often a narration other than a clip's first is taken, where the first is a person's and the others are "
        "paraphrases; null draws from all alike",
        least=0,
        most=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = (self.lm_weight, self.narration_weight, self.label_weight, *self.added_losses.values())
        if not sum(weights):
            raise ValueError(
                "lm_weight, narration_weight and label_weight are all 0; one must be above 0 to learn from"
            )


@dataclass
class ResidualSettings(StageSettings):
    """The residual of motion embeddings, tuned after contrastive tuning on many windows a step; not in the paper."""

    batch_size: int = setting(256, "windows per step over all processes", least=1)
    latents: int = setting(75, "most latent steps of a code sequence; longer ones lose their end", least=1)
    shortest_crop: float = setting(
        0.35, "a batch is cropped to between this share and all of latents; 1 leaves it alone", least=0, most=1
    )
    temperature: float = setting(0.1, "of both losses", above=0)
    narration_weight: float = setting(0.3, "weight of the narration contrast beside that of activities", least=0)
    broader_activities: bool = setting(
        True, "the words of a procedural activity's wider one count as neither right nor wrong (jogging: running)"
    )
    residual_share: float = setting(
        2.0, "length of the residual in the finished embedding, that of the language model's part being 1", above=0
    )


def _check_names(chosen: dict[str, float], known: dict[str, Any]) -> None:
    """ValueError names an added loss that is not among the known ones."""
    if unknown := sorted(set(chosen) - set(known)):
        wanted = f"named {' or '.join(known)}" if known else "left out, no file of training/losses declares one"
        raise ValueError(f"added_losses must be {wanted}, got {unknown[0]}")


def check_views(values: dict[str, Any]) -> ViewOptions:
    """`ViewOptions` from a YAML mapping; ValueError names an unknown key or one with a bad value."""
    known = {item.name for item in dataclasses.fields(ViewOptions)}
    if unknown := sorted(set(values) - known):
        raise ValueError(f"views: unknown settings {unknown}{did_you_mean(unknown, known)}; known are {sorted(known)}")
    check_settings(values, ViewOptions, "views.")
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
    with refusing(path, "settings file in YAML", "correct it, or see training/configs/nano"):
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold settings as `name: value` lines, got {type(values).__name__}")
    known = {item.name for item in dataclasses.fields(kind)}
    if unknown := sorted(map(str, set(values) - known)):
        raise ValueError(f"{path}: unknown settings {unknown}{did_you_mean(unknown, known)}; known are {sorted(known)}")
    with refusing(path, "settings file", "correct it, or see training/configs/nano"):
        return kind(**values)
