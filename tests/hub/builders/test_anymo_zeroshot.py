"""The zero-shot suite as a Hub repository: every config gives exactly the windows of `read_windows`, killed builds too."""

import json
import os
import runpy
import shutil
import signal
import time
import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import Array2D, load_dataset
from support.dataset_files import mmea as mmea_files
from support.dataset_files import opportunity as opportunity_files
from support.dataset_files import unimts_bundle as unimts_bundle_files
from support.dataset_files.two_people import WRITERS
from support.forked import forked, run_program
from support.stratified import check_stratified_split

from anymo_hf.hub.builders import anymo_zeroshot
from anymo_hf.hub.builders.parquet_repository import files_identity, list_files
from anymo_hf.hub.dataset_card import check_card
from anymo_hf.recordings.catalogue import DATASETS, read_windows

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "dataset_scripts" / "anymo_zeroshot.py"


WITH_TRAIN = {"uci_har", "opportunity", "ego4d", "ego_exo4d", "mmea"}


def _order(row):
    return str(row["subject"]), str(row["session"]), int(row["original_label"]), float(row["start_time"])


def assert_same(name, rows, windows):
    """Each row holds a window, and each window stands in a row."""
    rows = sorted(rows, key=_order)
    windows = sorted(windows, key=lambda w: (w.subject, w.session, w.label_id, w.start_time))
    assert len(rows) == len(windows) > 0 and len({str(row["sample_id"]) for row in rows}) == len(rows)
    for row, window in zip(rows, windows, strict=True):
        assert _order(row) == (window.subject, window.session, window.label_id, window.start_time)
        assert DATASETS[name].labels[int(row["label"])] == window.label and row["dataset"] == name
        assert float(row["sampling_rate"]) == window.sampling_rate
        assert sorted(row["placements"]) == sorted(window.signals)
        for placement in DATASETS[name].placements:
            wanted = window.signals.get(placement, np.zeros((0, 6)))
            assert row[placement].dtype == np.float32
            np.testing.assert_array_equal(row[placement], wanted.astype(np.float32))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in ("uci_har", "wisdm"))) for name in DATASETS]
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_config_holds_the_windows_of_the_evaluation(name, tmp_path):
    WRITERS[name](tmp_path / name)
    source = anymo_zeroshot.find_sources(tmp_path, [name])[name]
    counts = anymo_zeroshot.write_repository(source, tmp_path / "repo", name, rows_per_file=3)
    assert not check_card(tmp_path / "repo") and not list((tmp_path / "repo").glob(".*"))
    data = load_dataset(str(tmp_path / "repo"), name, cache_dir=str(tmp_path / "cache")).with_format("numpy")
    assert set(data) == ({"train", "test"} if name in WITH_TRAIN else {"test"})
    windows = list(read_windows(name, source, segments=None))
    assert_same(name, data["test"], windows)
    check_stratified_split(data["test"], "label")
    test = counts["splits"]["test"]
    seconds = sum(len(next(iter(window.signals.values()))) / window.sampling_rate for window in windows)
    assert test["rows"] == len(windows) and set(test["subjects"]) == {window.subject for window in windows} - {""}
    assert 3600 * test["hours"] == pytest.approx(seconds)
    text = (tmp_path / "repo" / "README.md").read_text()
    assert f"| {name} | test | {len(windows):,} | {seconds / 3600:.3f} |" in text
    assert f"`{name}` (partial): " in text and DATASETS[name].licence_text in text


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_train_is_the_official_training_split(tmp_path):
    for name, sessions in (
        ("opportunity", {"Drill"}),
        ("mmea", {"25_type_phone/a_2"}),
        ("uci_har", {"train-0", "train-1"}),
    ):
        WRITERS[name](tmp_path / name)
        anymo_zeroshot.write_repository(tmp_path / name, tmp_path / "repo", name)
        train = load_dataset(str(tmp_path / "repo"), name, split="train", cache_dir=str(tmp_path / "cache"))
        assert set(train["session"]) == sessions
    mmea_files.clip(tmp_path / "mmea", "1_upstairs/b_2")
    (tmp_path / "mmea" / "val.txt").write_text(mmea_files.line("1_upstairs/b_2", 0))
    counts = anymo_zeroshot.write_repository(tmp_path / "mmea", tmp_path / "repo", "mmea")
    assert {split: part["rows"] for split, part in counts["splits"].items()} == {"train": 1, "validation": 1, "test": 2}
    shutil.rmtree(tmp_path / "mmea")
    mmea_files.clip(tmp_path / "mmea", "1_upstairs/b_1")  # without the lists nothing says what is for training
    counts = anymo_zeroshot.write_repository(tmp_path / "mmea", tmp_path / "repo", "mmea")
    assert list(counts["splits"]) == ["test"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["wisdm", "utd_mhad"])
def test_several_processes_give_the_same_files(name, tmp_path):
    WRITERS[name](tmp_path / "raw")
    files = []
    for processes in (1, 2):
        repo = tmp_path / f"repo{processes}"
        anymo_zeroshot.write_repository(tmp_path / "raw", repo, name, processes)
        files.append((repo / "data" / name / "test-00000-of-00001.parquet").read_bytes())
    assert files[0] == files[1]


def test_load_dataset_by_the_folders_name_and_streaming_give_the_same(tmp_path, monkeypatch):
    WRITERS["utd_mhad"](tmp_path / "raw")
    anymo_zeroshot.write_repository(tmp_path / "raw", tmp_path / "anymo-zeroshot", "utd_mhad", rows_per_file=3)
    monkeypatch.chdir(tmp_path)
    data = load_dataset("anymo-zeroshot", "utd_mhad", split="test", cache_dir="cache")
    assert data.features["right_wrist"] == Array2D((None, 6), "float32")
    assert data[0]["placements"] == ["right_wrist"] and data.with_format("torch")[0]["right_wrist"].shape == (121, 6)
    stream = load_dataset("anymo-zeroshot", "utd_mhad", split="test", streaming=True)
    assert_same("utd_mhad", stream.with_format("numpy"), read_windows("utd_mhad", tmp_path / "raw"))
    builder = anymo_zeroshot.AnymoZeroshot(config_name="utd_mhad", source="raw", cache_dir="cache")
    rows = builder.as_streaming_dataset("test").with_format("numpy")
    assert_same("utd_mhad", rows, read_windows("utd_mhad", tmp_path / "raw"))


def test_the_bundle_is_the_second_way_in(tmp_path):
    signal = np.tile([0, 1, 0, 0, 9, 0], (3, 100, 1)).astype(float)
    unimts_bundle_files.write(tmp_path / "raw", "usc_had", signal, np.array([0, 1, 2]))
    sources = anymo_zeroshot.find_sources(tmp_path)
    assert sources == {"usc_had": tmp_path / "raw"}
    anymo_zeroshot.write_repository(sources["usc_had"], tmp_path / "repo", "usc_had")
    rows = load_dataset(str(tmp_path / "repo"), "usc_had", split="test", cache_dir=str(tmp_path / "cache"))
    assert_same("usc_had", rows.with_format("numpy"), read_windows("usc_had", tmp_path / "raw"))


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_source_that_is_refused_leaves_the_old_files_and_is_named_as_the_user_knows_it(tmp_path, processes):
    WRITERS["dsads"](tmp_path / "raw")
    anymo_zeroshot.write_repository(tmp_path / "raw", tmp_path / "repo", "dsads")
    before = {path: path.read_bytes() for path in (tmp_path / "repo").rglob("*") if path.is_file()}
    for path in (tmp_path / "raw" / "data" / "a09" / "p2").iterdir():
        path.write_text(path.read_text().replace("9.81", "1.0"))  # in g
    with pytest.raises(ValueError, match=r"raw/data/a09/p2/s01.txt: .*it is probably in g") as caught:
        anymo_zeroshot.write_repository(tmp_path / "raw", tmp_path / "repo", "dsads", processes)
    assert str(caught.value).startswith(str(tmp_path))
    assert before == {path: path.read_bytes() for path in (tmp_path / "repo").rglob("*") if path.is_file()}
    assert not list((tmp_path / "repo").glob(".*"))


def test_other_faults_are_named_and_write_nothing(tmp_path):
    files = opportunity_files
    files.write(tmp_path / "opportunity", files.rows()[:, :116])
    with pytest.raises(ValueError, match="Opportunity Challenge release"):
        anymo_zeroshot.write_repository(tmp_path / "opportunity", tmp_path / "repo", "opportunity")
    with pytest.raises(OSError, match="USC-HAD is not there; unpack it into"):
        anymo_zeroshot.find_sources(tmp_path, ["usc_had"])
    with pytest.raises(ValueError, match="unknown config 'other'"):
        anymo_zeroshot.find_sources(tmp_path, ["other"])
    with pytest.raises(OSError, match="no such folder or zip"):
        anymo_zeroshot.write_repository(tmp_path / "none", tmp_path / "repo", "usc_had")
    with pytest.raises(ValueError, match="config must be one of"):
        anymo_zeroshot.write_repository(tmp_path, tmp_path / "repo", "other")
    WRITERS["usc_had"](tmp_path / "a")
    WRITERS["usc_had"](tmp_path / "b")
    with pytest.raises(ValueError, match="usc_had lies in .*a, .*b; name the one to take usc_had"):
        anymo_zeroshot.find_sources(tmp_path)


def _command(folder, program=SCRIPT):
    return run_program(program, "--data", folder / "data", "--out", folder / "repo")


def _killed_at_utd_mhad():
    start = pq.ParquetWriter
    pq.ParquetWriter = lambda path, *a, **k: (
        os.kill(os.getpid(), signal.SIGKILL) if "utd_mhad" in str(path) else start(path, *a, **k)
    )
    runpy.run_path(str(SCRIPT), run_name="__main__")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill on this system")
def test_a_killed_build_goes_on_where_it_was(tmp_path):
    for name in ("usc_had", "utd_mhad"):
        WRITERS[name](tmp_path / "data" / name)
    killed = _command(tmp_path, _killed_at_utd_mhad)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "repo" / ".utd_mhad.part" / "rows").is_dir() and not (
        tmp_path / "repo" / "data" / "utd_mhad"
    ).exists()
    assert not check_card(tmp_path / "repo")  # what is there is whole
    done = _command(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "[1/2] usc_had: already there" in done.stdout and "test: 4 windows" in done.stdout
    assert not list((tmp_path / "repo").glob(".*")) and not check_card(tmp_path / "repo")
    os.utime(next((tmp_path / "data" / "utd_mhad").iterdir()))  # a changed source is built anew
    assert not anymo_zeroshot.is_written(tmp_path / "data" / "utd_mhad", tmp_path / "repo", "utd_mhad")
    (next((tmp_path / "data" / "utd_mhad").iterdir())).write_bytes(b"cut")
    failed = _command(tmp_path)
    assert failed.returncode == 2 and failed.stderr.splitlines()[-1].startswith("anymo_zeroshot: utd_mhad: ")
    assert "no MATLAB file of level 5" in failed.stderr


def test_a_build_that_stops_before_its_card_is_not_taken_for_whole(tmp_path, monkeypatch):
    WRITERS["usc_had"](tmp_path / "data" / "usc_had")
    repo, replace = tmp_path / "repo", os.replace

    def stop_at_the_card(draft, path):
        if Path(path).name == "README.md":
            raise KeyboardInterrupt
        replace(draft, path)

    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr(os, "replace", stop_at_the_card)
        anymo_zeroshot.write_repository(tmp_path / "data" / "usc_had", repo, "usc_had", progress=False)
    assert (repo / "data" / "usc_had").is_dir()
    assert not anymo_zeroshot.is_written(tmp_path / "data" / "usc_had", repo, "usc_had")
    anymo_zeroshot.write_repository(tmp_path / "data" / "usc_had", repo, "usc_had", progress=False)
    assert anymo_zeroshot.is_written(tmp_path / "data" / "usc_had", repo, "usc_had") and not check_card(repo)


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize("name", ["usc_had", "utd_mhad", "openpack", "uci_har", "wisdm"])
def test_real_sets_give_exactly_the_windows_of_the_readers(name, tmp_path):
    try:
        source = anymo_zeroshot.find_sources(os.environ["ANYMO_DATA"], [name])[name]
    except OSError:
        pytest.skip(f"ANYMO_DATA holds no {name}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        anymo_zeroshot.write_repository(source, tmp_path / "repo", name, num_proc=2)
        data = load_dataset(str(tmp_path / "repo"), name, split="test", cache_dir=str(tmp_path / "cache"))
        assert_same(name, data.with_format("numpy"), read_windows(name, source, segments=None))


def test_a_file_that_goes_before_its_data_set_is_read_is_missed(tmp_path, monkeypatch, capsys):
    """What is built is what was there at the start, though finding the data sets has read files since."""
    WRITERS["usc_had"](tmp_path / "data" / "usc_had")
    lost = sorted((tmp_path / "data").rglob("*.mat"))[0]
    find, words = anymo_zeroshot.find_sources, ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "repo")]

    def found_and_lost(*asked):
        sources = find(*asked)
        os.replace(lost, tmp_path / "gone")
        return sources

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.setattr(anymo_zeroshot, "find_sources", found_and_lost)
        anymo_zeroshot.main(words)
    assert end.value.code == 2 and "the sources changed while they were read; put them back" in capsys.readouterr().err
    assert not list((tmp_path / "repo").rglob("*.parquet"))
    os.replace(tmp_path / "gone", lost)
    anymo_zeroshot.main(words)
    rows = load_dataset(str(tmp_path / "repo"), "usc_had", split="test", cache_dir=str(tmp_path / "cache"))
    assert len(rows) == len(list(read_windows("usc_had", tmp_path / "data" / "usc_had", segments=None)))


def test_what_was_listed_early_has_the_identity_of_what_is_there(tmp_path):
    WRITERS["usc_had"](tmp_path / "data" / "usc_had")
    WRITERS["utd_mhad"](tmp_path / "elsewhere")
    (tmp_path / "data" / "utd_mhad").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "usc_had_notes.txt").write_text("not of usc_had")
    (tmp_path / "data" / "to nothing").symlink_to("nowhere")
    (tmp_path / "data" / "all.zip").write_bytes(b"zip")
    listed = list_files(tmp_path / "data")
    for root in ("data", "data/usc_had", "data/utd_mhad", "data/all.zip", "elsewhere"):
        assert files_identity(tmp_path / root, listed=listed) == files_identity(tmp_path / root)
    before = files_identity(tmp_path / "data" / "usc_had", tmp_path / "data" / "all.zip")
    sorted((tmp_path / "data" / "usc_had").rglob("*.mat"))[0].unlink()
    (tmp_path / "data" / "all.zip").unlink()
    roots = (tmp_path / "data" / "usc_had", tmp_path / "data" / "all.zip")
    assert files_identity(*roots, listed=listed) == before != files_identity(*roots)


def test_of_two_builds_of_one_repository_the_second_waits(tmp_path):
    """The first holds still at its end, where the second would take its files away; both end with the whole."""
    for name in ("usc_had", "utd_mhad"):
        WRITERS[name](tmp_path / "data" / name)
    words = "--data", str(tmp_path / "data"), "--out", str(tmp_path / "repo")
    first = forked(_build_and_stay, words, tmp_path / "go", out=tmp_path / "first.txt")
    _until(lambda: (tmp_path / "repo" / "data" / "usc_had").is_dir())
    second = forked(anymo_zeroshot.main, words, out=tmp_path / "second.txt")
    said = tmp_path / "second.txt"
    _until(lambda: said.is_file() and "waiting for its end" in said.read_text())
    (tmp_path / "go").touch()
    for process in (first, second):
        process.join()
        assert process.exitcode == 0
    assert set(json.loads((tmp_path / "repo" / "counts.json").read_text())) == {"usc_had", "utd_mhad"}
    assert len(list((tmp_path / "repo" / "data").rglob("*.parquet"))) == 2 and not check_card(tmp_path / "repo")


def _build_and_stay(words, go):
    counted = anymo_zeroshot.add_counts

    def stay(*given):
        _until(go.is_file)
        counted(*given)

    anymo_zeroshot.add_counts = stay
    anymo_zeroshot.main(words)


def _until(true):
    stop = time.monotonic() + 60
    while not true() and time.monotonic() < stop:
        time.sleep(0.01)
    assert true()
