"""A played language model, and requests allowed although the tests are offline."""

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("played_model", Path(__file__).with_name("model_server.py"))
played = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(played)


@pytest.fixture
def serve(monkeypatch):
    """Starts played models that end with the test."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = []

    def start(*args, **options):
        running.append(played.ModelServer(*args, **options).__enter__())
        return running[-1]

    yield start
    for server in running:
        server.__exit__()
