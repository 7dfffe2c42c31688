"""The Hub repository: what `load_dataset` gives is what the archive holds, split by subject, and the card counts it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from datasets import Array2D, Array3D, load_dataset
from support.forked import run_program

from anymo_hf.hub.builders import anymo_synthetic
from anymo_hf.modeling.body_segments import SEGMENTS
from anymo_hf.simulation.archive import Archive, simulate_archive
from anymo_hf.simulation.archive.rows import view_rows
from anymo_hf.simulation.kinematics import placement_signals

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[3] / "dataset_scripts" / "anymo_synthetic.py"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """An archive of three people and a repository with two configs of it."""
    base = tmp_path_factory.mktemp("synthetic")
    simulate_archive(base / "archive", procedural=3, seconds=7.0, activities=["walking", "sitting"], progress=False)
    for config, options in (("views", {"views": 2}), ("kinematics", {})):
        anymo_synthetic.write_repository(base / "archive", base / "repo", config, rows_per_file=5, **options)
    return base


def loaded(folders, config, tmp_path):
    return load_dataset(str(folders / "repo"), config, cache_dir=str(tmp_path))


def test_files_are_named_as_on_the_hub(folders):
    names = sorted(path.relative_to(folders / "repo").as_posix() for path in (folders / "repo").rglob("*.parquet"))
    assert names == [
        *(f"data/kinematics/{name}" for name in ("test-00000-of-00001.parquet", "train-00000-of-00002.parquet",
                                                 "train-00001-of-00002.parquet")),
        "data/views/test-00000-of-00002.parquet", "data/views/test-00001-of-00002.parquet",
        *(f"data/views/train-{index:05d}-of-00004.parquet" for index in range(4)),
    ]  # fmt: skip
    assert not list((folders / "repo").glob(".*"))


def test_views_have_variable_length_and_are_those_of_the_archive(folders, tmp_path):
    data = loaded(folders, "views", tmp_path)
    assert data["train"].features["Pelvis"] == Array2D((None, 6), "float32")
    assert set(data) == {"train", "test"} and not set(data["train"]["subject"]) & set(data["test"]["subject"])
    archive = Archive(folders / "archive")
    wanted = {
        (row["recording"], row["start"], row["view"]): row
        for name in archive.names
        for row in view_rows(archive, name, views=2)
    }
    rows = [row for part in data.values() for row in part.with_format("numpy")]
    assert len(rows) == len(wanted) == 6 * 2 * 2
    assert {row["Head"].shape for row in rows} == {(300, 6), (120, 6)}
    for row in rows:
        same = wanted[str(row["recording"]), float(row["start"]), int(row["view"])]
        for segment in SEGMENTS:
            np.testing.assert_array_equal(row[segment], same[segment])
        assert len(row["texts"]) and len(row["labels"]) == 1


def test_kinematics_are_the_stored_poses(folders, tmp_path):
    data = loaded(folders, "kinematics", tmp_path)["test"]
    assert data.features["positions"] == Array3D((None, 23, 3), "float64")
    archive = Archive(folders / "archive")
    for row in data:
        start = round(row["start"] * 60)
        motion = archive.shard(row["recording"]).poses(start, start + round(row["seconds"] * 60))
        np.testing.assert_array_equal(np.array(row["positions"]), motion.positions)
        np.testing.assert_array_equal(np.array(row["orientations"]), motion.orientations)


def test_dense_holds_every_candidate_with_its_geometry(tmp_path):
    simulate_archive(tmp_path / "archive", procedural=1, seconds=2.0, activities=["walking"], progress=False)
    counts = anymo_synthetic.write_repository(tmp_path / "archive", tmp_path / "repo", "dense")
    assert counts["splits"]["train"]["rows"] == 2374 and counts["splits"]["train"]["windows"] == 1
    data = load_dataset(str(tmp_path / "repo"), "dense", cache_dir=str(tmp_path / "cache"))["train"].with_format(
        "numpy"
    )
    assert sorted(data["placement"][:].tolist()) == list(range(2374))
    archive = Archive(tmp_path / "archive")
    kinematics = archive.shard("procedural/walking-0").kinematics()
    for row in (data[5], data[2000]):
        segment = np.array([SEGMENTS.index(str(row["segment"]))])
        wanted = placement_signals(kinematics, segment, row["offset"][None], row["axes"][None].astype(float))[:, 0]
        np.testing.assert_allclose(row["imu"], wanted, atol=1e-3)


def test_the_card_says_what_was_counted(folders, tmp_path):
    text = (folders / "repo" / "README.md").read_text()
    head = yaml.safe_load(text.split("---")[1])
    assert head["license"] == "apache-2.0"
    assert [entry["config_name"] for entry in head["configs"]] == ["kinematics", "views"]
    assert head["configs"][1]["data_files"][0] == {"split": "train", "path": "data/views/train-*.parquet"}
    counts = json.loads((folders / "repo" / "counts.json").read_text())
    for config in ("kinematics", "views"):
        for split, rows in loaded(folders, config, tmp_path).items():
            part = counts[config]["splits"][split]
            windows = {
                (r, s): seconds for r, s, seconds in zip(rows["recording"], rows["start"], rows["seconds"], strict=True)
            }
            hours = sum(windows.values()) / 3600
            assert part["rows"] == len(rows) and part["hours"] == pytest.approx(hours)
            line = f"| {config} | {split} | {len(rows):,} | {len(windows):,} | {hours:.3f} | "
            assert line + f"{len(set(rows['recording']))} | {len(set(rows['subject']))} |" in text
    assert "| procedural | Procedural motion of this project" in text and "Apache-2.0 |" in text


def test_subjects_are_split_whole_and_always_alike():
    names = {f"person {number}" for number in range(50)}
    test = anymo_synthetic.test_subjects(names, 0.1)
    assert len(test) == 5 and test == anymo_synthetic.test_subjects(set(sorted(names, reverse=True)), 0.1)
    assert (
        len(anymo_synthetic.test_subjects({"a", "b"}, 0.01))
        == len(anymo_synthetic.test_subjects({"a", "b"}, 0.99))
        == 1
    )
    assert anymo_synthetic.test_subjects({"a"}, 0.5) == anymo_synthetic.test_subjects(names, 0) == set()
    with pytest.raises(ValueError, match="between 0 and 1"):
        anymo_synthetic.test_subjects(names, 1.5)


def test_licences_of_known_sources_and_of_others():
    assert "CC BY-NC" in anymo_synthetic.licence("bandai_namco") and "NSF" in anymo_synthetic.licence("cmu_bvh")
    assert "ask their owner" in anymo_synthetic.licence("bvh")


def test_a_damaged_archive_writes_nothing(folders, tmp_path):
    shutil.copytree(folders / "archive", tmp_path / "archive")
    path = tmp_path / "archive/recordings/procedural/walking-0.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(OSError, match="walking-0.parquet is cut off"):
        anymo_synthetic.write_repository(tmp_path / "archive", tmp_path / "repo", "views")
    assert not (tmp_path / "repo" / "data").exists() and not (tmp_path / "repo" / ".views.part").exists()
    with pytest.raises(ValueError, match="config must be one of"):
        anymo_synthetic.write_repository(tmp_path / "archive", tmp_path / "repo", "other")


def test_the_command_says_what_it_wrote_or_what_is_wrong(folders, tmp_path):
    def run(*arguments):
        return run_program(SCRIPT, *arguments, "--out", tmp_path / "repo", "--config", "views")

    done = run("--archive", folders / "archive", "--seconds", 4)
    assert done.returncode == 0, done.stderr
    assert "views/train: 8 rows" in done.stdout
    failed = run("--archive", tmp_path / "none")
    assert failed.returncode == 2
    assert failed.stderr.startswith("anymo_synthetic: ") and "manifest.json is missing" in failed.stderr
