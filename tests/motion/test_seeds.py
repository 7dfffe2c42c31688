"""Seeds from names are the same everywhere and differ between names."""

import os
import subprocess
import sys

import pytest

from anymo_hf.motion.seeds import seed_of


@pytest.mark.slow
def test_a_seed_is_the_same_in_another_process_whatever_its_hash_seed():
    call = "from anymo_hf.motion.seeds import seed_of; print(seed_of('walking', 3))"
    for hash_seed in "12":
        found = subprocess.run(
            [sys.executable, "-c", call], env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert int(found.stdout) == seed_of("walking", 3)


def test_other_parts_give_other_seeds():
    parts = [("walking",), ("walking", 3), ("walking", "3"), ("walk", "ing", 3), ("running", 3), (3, "walking")]
    seeds = {seed_of(*part) for part in parts}
    assert len(seeds) == len(parts) and all(0 <= seed < 2**63 for seed in seeds)
