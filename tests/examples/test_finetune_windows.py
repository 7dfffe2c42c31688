"""The example on numpy windows as a user runs it, in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_example_learns_and_its_result_answers(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "finetune_windows.py")], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    *_, right, answer = done.stdout.splitlines()
    assert int(right.rpartition(" ")[2].rstrip("%")) >= 90 and "'label': 'running'" in answer
