"""Finds, checks and loads an AnyMo checkpoint: a whole folder or a name on the Hub, never random weights."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..modeling.strict_loading import loading
from ..refusals import parse_json
from ..released import NAME, checkpoint_folder, which_checkpoint

# what a checkpoint folder must hold; a large model's weights may come in parts with an index instead
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
FILES = (
    "config.json", WEIGHTS, "processor_config.json", "preprocessor_config.json", "tokenizer_config.json",
    "tokenizer.json", "imu_tokenizer/config.json", "imu_tokenizer/model.safetensors",
)  # fmt: skip


def check_checkpoint(model: str) -> str:
    """Where the model's files are, once they can be found: a folder with every file, or owner/name.

    Raises:
        OSError: no such folder, or a file that is missing or damaged.
    """
    model = checkpoint_folder(model)
    folder = Path(model)
    if folder.is_dir():
        if (folder / "classifier.json").is_file() and not (folder / "config.json").is_file():
            raise OSError(
                f"--model {model!r} is a saved AnyMoClassifier, no checkpoint; AnyMoClassifier.load({model!r}) reads it in "
                "Python, here give a checkpoint"
            )
        for name in FILES:
            if name == WEIGHTS and (folder / INDEX).is_file():
                continue
            _check_file(model, folder / name)
    elif model.count("/") != 1 or model.startswith((".", "/", "~")):
        raise OSError(
            f"--model {model!r}: no such folder; give --model FOLDER, owner/name on the Hub, or anymo, which is installed"
        )
    return model


def _check_file(model: str, path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    mend = "fetch or save the checkpoint again"
    if not path.is_file():
        raise OSError(f"--model {model!r}: {path} is missing; {mend}")
    try:
        if path.suffix == ".json":
            parse_json(path.read_text(encoding="utf-8"))
        else:
            with safe_open(path, framework="numpy"):
                pass
    except (ValueError, SafetensorError) as error:
        raise OSError(f"--model {model!r}: {path} is damaged ({error}); {mend}") from error


def load_checkpoint(model: str, wrist: str | None = None) -> tuple[Any, Any]:
    """Model and processor in evaluation mode; without `wrist` ("forearm" or "hand") the processor keeps its own.

    Raises:
        OSError: as `check_checkpoint`.
        ValueError: files that do not belong together, or a configuration with values that cannot be.
    """
    return _load(model, "AutoModelForCausalLM", wrist)


def load_classifier(model: str, wrist: str | None = None) -> tuple[Any, Any]:
    """As `load_checkpoint`, of a checkpoint that was tuned to labels of its own, see `holds_classifier`."""
    return _load(model, "AutoModelForSequenceClassification", wrist)


def holds_classifier(model: str) -> bool:
    """Whether a checkpoint was saved as `AnyMoForSequenceClassification`; errors as `load_checkpoint`."""
    import transformers

    with _explained(model) as name:
        return "AnyMoForSequenceClassification" in (transformers.AutoConfig.from_pretrained(name).architectures or ())


def _load(model: str, auto: str, wrist: str | None) -> tuple[Any, Any]:
    import transformers

    chosen = {} if wrist is None else {"wrist": str(wrist)}
    with _explained(model) as name:
        processor = transformers.AutoProcessor.from_pretrained(name, **chosen)
        loaded = getattr(transformers, auto).from_pretrained(name).eval()
    if model == NAME:  # which may be a folder here or the installed one
        print(f"anymo: {which_checkpoint(model)}", file=sys.stderr)
    return loaded, processor


@contextmanager
def _explained(model: str) -> Iterator[str]:
    """Where the checkpoint is; what goes wrong with it in this block is said in one line."""
    import transformers

    import anymo_hf  # noqa: F401  (registers the Auto classes and pipelines)

    name = check_checkpoint(model)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    try:
        with loading(name):
            yield name
    except OSError as error:
        if Path(name).is_dir():
            raise
        raise OSError(
            f"--model {model!r}: no such checkpoint on this machine, and the Hub did not give it (no network, no such name, "
            "or no access); give a folder, or anymo, which is installed"
        ) from error


def weights_sha256(model: str | Path) -> dict[str, str]:
    """Weight file -> its hash, of model and motion tokenizer, so that a results file says what it is of.

    Args:
        model: a folder, the released name, or owner/name of what the Hub's cache holds.

    Raises:
        OSError: the weights are not on disk.
    """
    folder = Path(checkpoint_folder(model))
    if not folder.is_dir():
        from huggingface_hub import snapshot_download

        folder = Path(snapshot_download(str(model), local_files_only=True))
    files = sorted([*folder.glob("model*.safetensors"), *folder.glob("imu_tokenizer/*.safetensors")])
    if not files:
        raise OSError(f"{model}: no model.safetensors; fetch or save the checkpoint again")
    hashes = {}
    for path in files:
        with path.open("rb") as file:
            hashes[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def load_pipeline(task: str, model: str, wrist: str | None = None) -> Any:
    """The `transformers` pipeline of that task with the checkpoint; errors as `load_checkpoint`."""
    import transformers

    loaded, processor = load_checkpoint(model, wrist)
    return transformers.pipeline(task, model=loaded, processor=processor)


def describe_checkpoint(model: str) -> dict[str, str]:
    """What a checkpoint holds, in words; errors as `load_checkpoint`."""
    import transformers

    from .. import __version__

    loaded, processor = load_checkpoint(model)
    books = processor.feature_extractor.pqvae.config
    rows = {
        "checkpoint": which_checkpoint(model).removeprefix("checkpoint: "),
        "anymo-hf / transformers": f"{__version__} / {transformers.__version__}",
        "language model": f"{loaded.config.text_config.model_type}, {_millions(loaded)} parameters",
        "IMU encoder": f"{_millions(processor.feature_extractor.stgcn)} parameters, 60 Hz, 23 segments",
        "motion tokenizer": f"{books.num_codebooks} books of {books.codebook_size} codes, 15 steps a second",
        "embedding": f"{loaded.config.projection_dim} dimensions",
        "vocabulary": f"{len(processor.tokenizer)} tokens",
    }
    folder = Path(checkpoint_folder(model))
    if folder.is_dir():
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        rows["size on disk"] = f"{size / 1e6:.1f} MB"
    return rows


def _millions(module: Any) -> str:
    return f"{sum(parameter.numel() for parameter in module.parameters()) / 1e6:.2f} M"
