"""`anymo-180`: every narrated window with its label, its own length, and signals where there are VRS files."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from datasets import Array2D, load_dataset
from support.forked import run_program
from support.stratified import check_stratified_split

from anymo_hf.hub.dataset_card import check_card
from anymo_hf.motion.activity_labels import anymo180
from anymo_hf.nymeria import imu as nymeria_imu

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[3] / "dataset_scripts" / "anymo_180.py"


@pytest.fixture(scope="module")
def folders(mini_nymeria, nymeria_signals, tmp_path_factory):
    """A copy in which one person has no head recording and one row no label, the annotations, and the repository."""
    from anymo_hf.hub.builders import anymo_180

    base = tmp_path_factory.mktemp("anymo180")
    nymeria = base / "nymeria"
    shutil.copytree(mini_nymeria[0], nymeria)
    bare = next(nymeria.glob("*bruno*"))
    shutil.rmtree(bare / "recording_head")
    table = pd.read_parquet(mini_nymeria[1])
    table.loc[table.index[-1], "label"] = None
    table.to_parquet(base / "annotations.parquet")
    shutil.copytree(nymeria_signals, base / "repo.signals")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nymeria_imu, "_aria", lambda: None)
        counts = anymo_180.write_repository(
            nymeria, base / "annotations.parquet", base / "repo", rows_per_file=6, progress=False
        )
    return base, counts, table, bare.name


def test_rows_are_the_annotations(folders, tmp_path):
    base, _, table, bare = folders
    data = load_dataset(str(base / "repo"), cache_dir=str(tmp_path))
    assert data["train"].features["left_wrist"] == Array2D((None, 6), "float32")
    assert set(data["test"]["subject_id"]) == {"alec_meza"} and "alec_meza" not in data["train"]["subject_id"]
    check_stratified_split(data["train"], "label_id")
    ids = list(anymo180())
    wanted = {row.sample_id: row for row in table.itertuples()}
    rows = [row for part in data.values() for row in part.with_format("numpy")]
    assert len(rows) == len(wanted) == 20
    for row in rows:
        same = wanted[str(row["sample_id"])]
        assert (row["start_time_sec"], row["end_time_sec"]) == (same.start_time_sec, same.end_time_sec)
        assert row["narration"] == same.narration and list(row["augmentations"]) == list(same.augmentations)
        steps = round(60 * (same.end_time_sec - same.start_time_sec))
        for device in ("head", "left_wrist", "right_wrist"):
            assert row[device].shape == ((0, 6) if same.session_id == bare else (steps, 6))
        if isinstance(same.label, str):
            assert row["label"] == same.label and ids[int(row["label_id"])] == same.label
        else:
            assert row["label"] is None and row["label_id"] == -1
    assert {len(row["head"]) for row in rows} == {0, 300, 630, 180}


def test_card_counts_the_rows_and_lists_table_7(folders):
    base, counts, *_ = folders
    text = (base / "repo" / "README.md").read_text()
    head = yaml.safe_load(text.split("---")[1])
    assert head["license"] == "cc-by-nc-4.0"
    assert head["configs"][0]["data_files"][0] == {"split": "train", "path": "data/default/train-*.parquet"}
    assert check_card(base / "repo") == []
    assert counts["splits"]["train"] | {"hours": 0, "labels": 0, "bytes": 0} == {
        "rows": 15, "hours": 0, "recordings": 3, "subjects": 3, "rows_with_signals": 10, "unlabelled": 1, "labels": 0,
        "bytes": 0, "shards": 3,
    }  # fmt: skip
    assert "| train | 15 | 0.024 | 3 | 3 | 10 | 1 |" in text
    table = [line for line in text.splitlines() if line.startswith("| ") and line.count("|") == 5]
    assert len(table) == 2 + 180 and table[1] == "| --- | --- | ---: | ---: |"
    assert "| 0 | walking / hiking | 4 | 19,696 |" in text
    assert len(json.loads((base / "repo" / "metadata" / "labels.json").read_text())) == 180
    assert len(list((base / "repo" / "data" / "default").glob("train-*"))) == 3
    assert not list((base / "repo").glob(".*"))


def test_script_names_bad_input(folders, tmp_path):
    base, _, table, _ = folders
    table.assign(label="flying").to_csv(tmp_path / "a.csv", index=False)
    arguments = ["--nymeria", base / "nymeria", "--annotations", tmp_path / "a.csv", "--out", tmp_path / "r"]
    result = run_program(SCRIPT, *arguments)
    assert result.returncode == 2, result.stderr
    assert "unknown label 'flying'" in result.stderr and "a.csv" in result.stderr
    assert not (tmp_path / "r").exists()
