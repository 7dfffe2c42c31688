"""What goes along with everything that is saved: the code files, and the JSON entries that name their classes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # never imported, but transformers fetches what stands here, so that a model that came by trust_remote_code has all files
    from .collator_anymo import AnyMoCollator  # noqa: F401
    from .export_anymo import export_onnx  # noqa: F401
    from .pipeline_anymo import ImuToTextPipeline  # noqa: F401
    from .processing_anymo import AnyMoProcessor  # noqa: F401
    from .streaming_anymo import AnyMoStream  # noqa: F401

PROCESSOR_FILE = "processor_config.json"
AUTO_MAP = {
    "config.json": {
        "AutoConfig": "configuration_anymo.AnyMoConfig",
        "AutoModel": "modeling_anymo.AnyMoModel",
        "AutoModelForCausalLM": "modeling_anymo.AnyMoForConditionalGeneration",
        "AutoModelForSequenceClassification": "modeling_anymo.AnyMoForSequenceClassification",
    },
    PROCESSOR_FILE: {"AutoProcessor": "processing_anymo.AnyMoProcessor"},
    "preprocessor_config.json": {
        "AutoFeatureExtractor": "feature_extraction_anymo.AnyMoFeatureExtractor",
        "AutoProcessor": "processing_anymo.AnyMoProcessor",
    },
    "tokenizer_config.json": {"AutoTokenizer": [None, "tokenization_anymo.AnyMoTokenizer"]},
}
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


def add_code(folder: str | os.PathLike, *files: str) -> None:
    """Makes what was saved in a folder load by `trust_remote_code=True` where this package is not installed.

    Args:
        folder: of the saved part; the code files go beside it.
        files: its JSON files, of `AUTO_MAP`; one that is not there is passed over.
    """
    for source in sorted(Path(__file__).parent.glob("*.py")):
        target = Path(folder) / source.name
        if source.name != "__init__.py" and not (target.exists() and target.samefile(source)):
            shutil.copyfile(source, target)
    for name in files:
        path = Path(folder) / name
        if path.is_file():
            settings = json.loads(path.read_text(encoding="utf-8")) | {"auto_map": AUTO_MAP[name]}
            if name == "config.json":
                settings["custom_pipelines"] = CUSTOM_PIPELINES
            write_json(path, settings)
