"""What all tests share: no network, one thread, and real recordings only where they are."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest


def pytest_collection_modifyitems(items):
    """Skips tests on real recordings unless ANYMO_DATA names their folder."""
    if os.environ.get("ANYMO_DATA"):
        return
    skip = pytest.mark.skip(reason="set ANYMO_DATA to the folder that holds the real recordings")
    for item in items:
        if "realdata" in item.keywords:
            item.add_marker(skip)
