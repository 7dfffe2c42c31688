"""The example on numpy windows as a user runs it, in a folder of its own."""

from pathlib import Path

import pytest
from support.forked import run_program

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_example_learns_and_its_result_answers(tmp_path):
    done = run_program(ROOT / "examples" / "finetune_windows.py", folder=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    *_, right, answer = done.stdout.splitlines()
    assert int(right.rpartition(" ")[2].rstrip("%")) >= 90 and "'label': 'running'" in answer
