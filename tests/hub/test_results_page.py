"""`docs/results.md`: it says what stands in `results/`, and a damaged file is named."""

import json
import re
import shutil
from pathlib import Path

import pytest

from anymo_hf.hub.results_page import results_page, write_results_page

ROOT = Path(__file__).parents[2]


def test_the_page_in_the_repository_is_what_the_files_say():
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert page == results_page(ROOT / "results"), "results changed; run python -m anymo_hf.hub.results_page"


def test_the_readme_has_the_figures_of_the_files():
    rows = json.loads((ROOT / "results" / "recognition.json").read_text())["datasets"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for row in rows:
        line = next(line for line in readme.splitlines() if line.startswith(f"| {row['dataset']} |"))
        ours = f"{row['accuracy']:.1f} / {row['macro_f1']:.1f} / {row['recall_at_2']:.1f}"
        assert ours in line, f"README.md: {row['dataset']} is {ours} in results/recognition.json"


def test_a_changed_figure_changes_the_page(tmp_path):
    results = Path(shutil.copytree(ROOT / "results", tmp_path / "results"))
    content = json.loads((results / "retrieval.json").read_text())
    content["imu_to_text"]["recall_at_1"] = 98.765
    (results / "retrieval.json").write_text(json.dumps(content))
    page = write_results_page(results, tmp_path / "docs" / "results.md").read_text(encoding="utf-8")
    changed = set(page.splitlines()) - set((ROOT / "docs" / "results.md").read_text(encoding="utf-8").splitlines())
    assert len(changed) == 1 and "| 98.8 |" in changed.pop()


@pytest.mark.parametrize(
    ("name", "title"),
    [("retrieval", "Retrieval"), ("captioning", "Captions"), ("tokenizer", "Motion codes"),
     ("label_retrieval", "Labels retrieve windows of real recordings"), ("text_matching", "Words that training never saw")],
)  # fmt: skip
def test_scores_of_other_weights_than_recognition_are_said_to_be(tmp_path, name, title):
    results = Path(shutil.copytree(ROOT / "results", tmp_path / "results"))
    now = json.loads((results / "recognition.json").read_text())["weights_sha256"]
    said = []
    for hashes in (now, now | {"model.safetensors": "0" * 64}):
        content = json.loads((results / f"{name}.json").read_text())
        (results / f"{name}.json").write_text(json.dumps(content | {"weights_sha256": hashes}))
        section = results_page(results).partition(f"## {title}")[2].partition("\n## ")[0]
        said.append("ith the weights of an EARLIER release." in section)
    assert said == [False, True]


def test_speeds_of_other_weights_than_the_scores_are_said_to_be(tmp_path):
    results = Path(shutil.copytree(ROOT / "results", tmp_path / "results"))
    now = json.loads((results / "recognition.json").read_text())["weights_sha256"]
    said = {}
    for hashes in (now, now | {"model.safetensors": "0" * 64}, None):
        content = json.loads((results / "stream_benchmark.json").read_text())
        content.pop("weights_sha256", None)
        (results / "stream_benchmark.json").write_text(
            json.dumps(content | ({"weights_sha256": hashes} if hashes else {}))
        )
        section = results_page(results).partition("## Streaming")[2]
        said[str(hashes)] = "With the weights of an EARLIER release. " in section
    assert list(said.values()) == [False, True, True]


def test_a_file_that_is_missing_leaves_its_section_out_and_a_damaged_one_is_named(tmp_path):
    results = Path(shutil.copytree(ROOT / "results", tmp_path / "results"))
    (results / "ablations.json").unlink()
    assert "## Ablations" not in results_page(results)
    (results / "training.json").write_text("[]")
    with pytest.raises(ValueError, match=re.escape(str(results / "training.json"))):
        results_page(results)
    with pytest.raises(OSError, match="no such folder"):
        results_page(tmp_path / "nowhere")
