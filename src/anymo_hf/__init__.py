"""AnyMo for Hugging Face: human motion from wearable IMUs in any wearing setup.

Importing it makes the Auto classes and pipelines of transformers know AnyMo, and the installed checkpoint by the name
"anymo" (see `released`). It loads no torch, so simulation and file reading never wait for it.
"""

import importlib
import sys

from .released import find_released_checkpoint

__version__ = "0.2.0"

_CLASSES = {
    "AnyMoClassifier": "systems.classifier",
    "AnyMoCollator": "modeling.collator_anymo",
    "AnyMoConfig": "modeling.configuration_anymo",
    "AnyMoIMUTokenizerConfig": "modeling.configuration_anymo",
    "AnyMoIMUTokenizerModel": "modeling.modeling_imu_tokenizer",
    "AnyMoPQVAEConfig": "modeling.configuration_anymo",
    "AnyMoSTGCNConfig": "modeling.configuration_anymo",
    "AnyMoFeatureExtractor": "modeling.feature_extraction_anymo",
    "AnyMoForConditionalGeneration": "modeling.modeling_anymo",
    "AnyMoForSequenceClassification": "modeling.modeling_anymo",
    "AnyMoModel": "modeling.modeling_anymo",
    "AnyMoPQVAEModel": "modeling.modeling_pqvae",
    "AnyMoProcessor": "modeling.processing_anymo",
    "AnyMoSTGCNForPreTraining": "modeling.modeling_stgcn",
    "AnyMoSTGCNModel": "modeling.modeling_stgcn",
    "AnyMoStream": "modeling.streaming_anymo",
    "AnyMoStreamEvent": "modeling.streaming_anymo",
    "AnyMoTokenizer": "modeling.tokenization_anymo",
    "embed_recordings": "modeling.embedding",
    "save_release": "modeling.release",
}
__all__ = sorted(_CLASSES)


def __getattr__(name: str):
    if name not in _CLASSES:
        raise AttributeError(f"module 'anymo_hf' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"anymo_hf.{_CLASSES[name]}"), name)
    importlib.import_module("anymo_hf.modeling").register()
    return value


def __dir__() -> list[str]:
    return [*globals(), *_CLASSES]


def _register() -> None:
    """Makes transformers know AnyMo as it knows its own models: by name, so that neither it nor we load torch here.

    transformers' tables say which class a model type has, and the class is imported from `transformers.models.TYPE` when
    it is first asked for. There stands a module that then loads our classes and registers them all.
    """
    if "transformers.models.auto.configuration_auto" in sys.modules:  # its tables have been read
        importlib.import_module("anymo_hf.modeling").register()
        return
    import transformers
    from transformers.models.auto import auto_mappings

    for model_type, class_name in _CONFIGS.items():
        auto_mappings.CONFIG_MAPPING_NAMES[model_type] = class_name
        sys.modules[f"transformers.models.{model_type}"] = importlib.import_module("anymo_hf.registered_classes")
    # a folder with a tokenizer alone is asked for by the name of its class
    transformers._class_to_module["AnyMoTokenizer"] = "models.anymo"  # type: ignore[attr-defined]
    auto_mappings.FEATURE_EXTRACTOR_MAPPING_NAMES["anymo"] = "AnyMoFeatureExtractor"
    auto_mappings.PROCESSOR_MAPPING_NAMES["anymo"] = "AnyMoProcessor"


_CONFIGS = {
    "anymo": "AnyMoConfig",
    "anymo_imu_tokenizer": "AnyMoIMUTokenizerConfig",
    "anymo_stgcn": "AnyMoSTGCNConfig",
    "anymo_pqvae": "AnyMoPQVAEConfig",
}
_register()
find_released_checkpoint()
