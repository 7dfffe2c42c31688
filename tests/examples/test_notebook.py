"""The code cells of the notebook run as they stand, from the root of the repository, and what they say is true."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def test_the_notebook_runs_and_learns(monkeypatch):
    monkeypatch.chdir(ROOT)
    book = json.loads((ROOT / "examples" / "finetune_har.ipynb").read_text(encoding="utf-8"))
    assert book["nbformat"] == 4 and len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    names: dict = {}
    for number, cell in enumerate(book["cells"]):
        assert not cell.get("outputs"), "clear the outputs before committing"
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"finetune_har.ipynb, cell {number}", "exec"), names)
    assert set(names["train"]["subject"]).isdisjoint(names["test"]["subject"])
    before, after = names["before"], names["after"]
    assert after["eval_loss"] < before["eval_loss"] and after["eval_accuracy"] >= max(0.7, before["eval_accuracy"])
    assert names["answer"] == "on the water"
