"""What goes along with everything that is saved: the code files, and the JSON entries that name their classes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # never imported, but transformers fetches what stands here, so that a model that came by trust_remote_code has all files
    from .collator_anymo import AnyMoCollator  # noqa: F401
    from .export_anymo import export_onnx  # noqa: F401
    from .modeling_anymo import AnyMoModel  # noqa: F401
    from .pipeline_anymo import ImuToTextPipeline  # noqa: F401
    from .processing_anymo import AnyMoProcessor  # noqa: F401
    from .streaming_anymo import AnyMoStream  # noqa: F401

PROCESSOR_FILE = "processor_config.json"
_MODELS = {  # model type -> entries of its config.json
    "anymo": {
        "AutoConfig": "configuration_anymo.AnyMoConfig",
        "AutoModel": "modeling_anymo.AnyMoModel",
        "AutoModelForCausalLM": "modeling_anymo.AnyMoForConditionalGeneration",
        "AutoModelForSequenceClassification": "modeling_anymo.AnyMoForSequenceClassification",
    },
    "anymo_imu_tokenizer": {
        "AutoConfig": "configuration_anymo.AnyMoIMUTokenizerConfig",
        "AutoModel": "modeling_imu_tokenizer.AnyMoIMUTokenizerModel",
    },
    "anymo_stgcn": {
        "AutoConfig": "configuration_anymo.AnyMoSTGCNConfig",
        "AutoModel": "modeling_stgcn.AnyMoSTGCNModel",
        "AutoModelForPreTraining": "modeling_stgcn.AnyMoSTGCNForPreTraining",
    },
    "anymo_pqvae": {
        "AutoConfig": "configuration_anymo.AnyMoPQVAEConfig",
        "AutoModel": "modeling_pqvae.AnyMoPQVAEModel",
    },
}
AUTO_MAP = {
    "config.json": _MODELS["anymo"],
    PROCESSOR_FILE: {"AutoProcessor": "processing_anymo.AnyMoProcessor"},
    "preprocessor_config.json": {
        "AutoFeatureExtractor": "feature_extraction_anymo.AnyMoFeatureExtractor",
        "AutoProcessor": "processing_anymo.AnyMoProcessor",
    },
    "tokenizer_config.json": {"AutoTokenizer": [None, "tokenization_anymo.AnyMoTokenizer"]},
}
IMU_TOKENIZER_CLASSES = _MODELS["anymo_imu_tokenizer"]
# where a thing was loaded from says something about one machine, nothing about the thing
_RESIDUE = {"_name_or_path", "name_or_path", "is_local", "local_files_only", "_commit_hash", "cache_dir", "token"}
CUSTOM_PIPELINES = {
    "zero-shot-imu-classification": {
        "impl": "pipeline_anymo.ZeroShotImuClassificationPipeline", "pt": ["AutoModel"], "type": "multimodal",
    },
    "imu-classification": {
        "impl": "pipeline_anymo.ImuClassificationPipeline", "pt": ["AutoModelForSequenceClassification"],
        "type": "multimodal",
    },
    "imu-to-text": {"impl": "pipeline_anymo.ImuToTextPipeline", "pt": ["AutoModelForCausalLM"], "type": "multimodal"},
    "imu-text-retrieval": {
        "impl": "pipeline_anymo.ImuTextRetrievalPipeline", "pt": ["AutoModel"], "type": "multimodal",
    },
}  # fmt: skip


def write_json(path: Path, value: dict) -> None:
    """Writes JSON to a temporary name, then renames it."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def without_residue(value: Any) -> Any:
    """JSON settings without what tells of the machine they were made on."""
    if isinstance(value, dict):
        return {name: without_residue(item) for name, item in value.items() if name not in _RESIDUE}
    return value


def add_code(folder: str | os.PathLike, *files: str) -> None:
    """Makes what was saved in a folder load by `trust_remote_code=True` where this package is not installed.

    Args:
        folder: of the saved part; the code files go beside it.
        files: its JSON files: "config.json" of a model of ours, or one of a processor's; one that is not there is passed
            over.
    """
    for source in sorted(Path(__file__).parent.glob("*.py")):
        target = Path(folder) / source.name
        if source.name != "__init__.py" and not (target.exists() and target.samefile(source)):
            shutil.copyfile(source, target)
    for name in files:
        path = Path(folder) / name
        if path.is_file():
            settings = without_residue(json.loads(path.read_text(encoding="utf-8")))
            settings["auto_map"] = _MODELS[settings["model_type"]] if name == "config.json" else AUTO_MAP[name]
            if settings.get("model_type") == "anymo":
                settings["custom_pipelines"] = CUSTOM_PIPELINES
            write_json(path, settings)


def push_saved(part: Any, folder: str | os.PathLike, arguments: dict[str, Any]) -> None:
    """`push_to_hub=True` of a `save_pretrained`: uploads everything that it wrote, code included, in one commit.

    Args:
        part: what was saved; has `push_to_hub` of transformers.
        folder: where; its name is the repository's, where `arguments` have no `repo_id`.
        arguments: `repo_id` and what `push_to_hub` takes; others are passed over.
    """
    names = ("commit_message", "commit_description", "private", "token", "revision", "create_pr", "tags")
    known = {name: arguments[name] for name in names if name in arguments}
    part.push_to_hub(arguments.get("repo_id") or Path(folder).resolve().name, **known)
