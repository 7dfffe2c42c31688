"""What transformers imports as `transformers.models.anymo`: our classes, registered when the first is asked for."""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    return getattr(importlib.import_module("anymo_hf"), name)
