"""What all tests share: no network, one thread, and real data only where it is."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# two test processes share the cores, so each computes on one thread
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

FOLDERS = {  # marker -> variable that names the folder, what it holds
    "realdata": ("ANYMO_DATA", "real recordings"),
    "mocap": ("ANYMO_MOTION", "motion-capture clips"),
}


def pytest_collection_modifyitems(items):
    """Skips tests that need data unless the variable of their marker names a folder."""
    for marker, (variable, content) in FOLDERS.items():
        if os.environ.get(variable):
            continue
        skip = pytest.mark.skip(reason=f"set {variable} to the folder that holds the {content}")
        for item in items:
            if marker in item.keywords:
                item.add_marker(skip)
