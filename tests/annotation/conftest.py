"""A played language model, and requests allowed although the tests are offline."""

import pytest
from support import language_server as played


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
