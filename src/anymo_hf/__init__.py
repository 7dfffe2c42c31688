"""AnyMo for Hugging Face: human motion from wearable IMUs in any wearing setup.

Importing it costs nothing and makes the Auto classes and pipelines of transformers know AnyMo: they are registered
when transformers' own Auto modules are first imported, so simulation and file reading never wait for torch.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
import threading

__version__ = "0.1.0.dev0"

_CLASSES = {
    "AnyMoConfig": "configuration_anymo",
    "AnyMoPQVAEConfig": "configuration_anymo",
    "AnyMoSTGCNConfig": "configuration_anymo",
    "AnyMoFeatureExtractor": "feature_extraction_anymo",
    "AnyMoForConditionalGeneration": "modeling_anymo",
    "AnyMoForSequenceClassification": "modeling_anymo",
    "AnyMoModel": "modeling_anymo",
    "AnyMoPQVAEModel": "modeling_pqvae",
    "AnyMoProcessor": "processing_anymo",
    "AnyMoSTGCNForPreTraining": "modeling_stgcn",
    "AnyMoSTGCNModel": "modeling_stgcn",
    "AnyMoStream": "streaming_anymo",
    "AnyMoStreamEvent": "streaming_anymo",
    "AnyMoTokenizer": "tokenization_anymo",
    "embed_recordings": "processing_anymo",
    "save_release": "processing_anymo",
}
__all__ = sorted(_CLASSES)


def __getattr__(name: str):
    if name not in _CLASSES:
        raise AttributeError(f"module 'anymo_hf' has no attribute {name!r}")
    return getattr(importlib.import_module(f"anymo_hf.modeling.{_CLASSES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_CLASSES]


_CONFIG_MODULE = "transformers.models.auto.configuration_auto"
_AUTO_MODULES = {
    f"transformers.models.auto.{part}_auto" for part in ("modeling", "processing", "tokenization", "feature_extraction")
} | {"transformers.pipelines"}


class _RegisterOnImport(importlib.abc.MetaPathFinder):
    """Registers AnyMo once an Auto module of transformers has been imported, then steps aside.

    It waits for the outermost import to end: transformers' modules import one another, and half a module is no use.
    `AutoConfig` alone, which much of transformers imports, gets the configurations only, so that no model code loads.
    """

    def __init__(self) -> None:
        self.depth = threading.local()
        self.configs_known = False

    def find_spec(self, fullname, path=None, target=None):
        """Lets the usual finder find the module and looks at what is there once it has run."""
        if not fullname.startswith(("transformers.", "anymo_hf.modeling.")):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module) -> None:
            self.depth.value = getattr(self.depth, "value", 0) + 1
            try:
                execute(module)
            finally:
                self.depth.value -= 1
            if not self.depth.value and self in sys.meta_path:
                self.register()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def register(self) -> None:
        """Registers as much as has been imported."""
        if not _AUTO_MODULES.isdisjoint(sys.modules):
            sys.meta_path.remove(self)
            importlib.import_module("anymo_hf.modeling").register()
        elif _CONFIG_MODULE in sys.modules and not self.configs_known:
            self.configs_known = True
            importlib.import_module("anymo_hf.modeling").register_configs()


_finder = _RegisterOnImport()
sys.meta_path.insert(0, _finder)
_finder.register()
