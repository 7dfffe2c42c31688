"""The code that travels with a checkpoint asks for no package that a user of the model does not need."""

import sys
from pathlib import Path

import pytest
from transformers.dynamic_module_utils import get_imports

import anymo_hf

FILES = sorted((Path(anymo_hf.__file__).parent / "modeling").glob("*.py"))
NEEDED = {"numpy", "safetensors", "scipy", "tokenizers", "torch", "transformers"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_hub_code_needs_the_packages_of_inference_only(path):
    assert set(get_imports(path)) - sys.stdlib_module_names <= NEEDED
