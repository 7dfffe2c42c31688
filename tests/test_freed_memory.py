"""Freed blocks that stay cost no page faults; counted by the system, in a process of its own."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from anymo_hf.freed_memory import keep_freed_memory
def faults():
    for turn in range(11):
        block = np.ones(2**23)  # 64 MB
        del block
        if turn == 0:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
plain = faults()
assert keep_freed_memory()
print(plain, faults())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
def test_blocks_of_one_size_are_not_fetched_again():
    done = subprocess.run([sys.executable, "-c", FAULTS], check=True, capture_output=True, text=True)
    plain, kept = map(int, done.stdout.split())
    assert kept < 100 < 1000 < plain
