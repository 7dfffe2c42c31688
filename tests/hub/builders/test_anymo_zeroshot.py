"""The zero-shot suite as a Hub repository: every config gives exactly the windows of `read_windows`, killed builds too."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from datasets import Array2D, load_dataset
from scipy.io import savemat

from anymo_hf.hub.builders import anymo_zeroshot
from anymo_hf.hub.dataset_card import check_card
from anymo_hf.recordings.catalogue import DATASETS, read_windows

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "dataset_scripts" / "anymo_zeroshot.py"


def _of(reader):
    """The module whose functions write a reader's raw files."""
    path = next((ROOT / "tests" / "recordings").rglob(f"test_{reader}.py"))
    spec = importlib.util.spec_from_file_location(f"files_of_{reader}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- raw files of two people or sessions for each config -----------------------------------------------------------------


def _utd_mhad(folder):
    folder.mkdir(parents=True)
    for action in (2, 22):
        for subject in (1, 2):
            trial = np.tile([1.0, 0, 0, 90, subject, action], (120 + subject, 1))
            savemat(folder / f"a{action}_s{subject}_t1_inertial.mat", {"d_iner": trial})


def _uci_har(folder):
    test = _of("readers")._uci_har(folder).parent
    train = test.with_name("train")
    for path in [*test.rglob("*.txt")]:
        copy = train / str(path.relative_to(test)).replace("_test", "_train")
        copy.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(copy, np.loadtxt(path, ndmin=1)[:2], fmt="%g")


def _uci_hapt(folder):
    raw = folder / "HAPT Data Set" / "RawData"
    raw.mkdir(parents=True)
    for user in (1, 2):
        ramp = np.linspace(0, user / 100, 600)[:, None] * np.ones(3) + [1, 0, 0]
        for kind in ("acc", "gyro"):
            np.savetxt(raw / f"{kind}_exp0{user}_user0{user}.txt", ramp)
    (raw / "labels.txt").write_text("1 1 4 11 570\n1 1 7 571 590\n2 2 6 1 260\n")


def _openpack(folder):
    clock = 1_648_531_521_000 + 30 * np.arange(400)
    for user in ("U0101", "U0102"):
        operations = folder / user / "annotation" / "openpack-operations"
        operations.mkdir(parents=True)
        times = "2022-03-29 14:25:23.000000+09:00,2022-03-29 14:25:25.500000+09:00"
        (operations / "S0100.csv").write_text(f"id,start,end\n100,{times}\n8100,{times}\n")
        for device in ("atr01", "atr02") if user == "U0101" else ("atr01",):
            rows = [f"{time},0,{index / 4000},1,0,0,90" for index, time in enumerate(clock)]
            path = folder / user / "atr" / device / "S0100.csv"
            path.parent.mkdir(parents=True)
            path.write_text("\n".join(["unixtime,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z", *rows]))


def _wisdm(folder, device="phone"):
    _of("dataset_check")._wisdm(folder, subjects=(1600, 1601, 1602))
    (folder / "raw" / "phone" / "gyro" / "data_1600_gyro_phone.txt").unlink()  # its owner is left out
    if device != "phone":
        for path in [*folder.rglob("*.txt")]:
            target = folder / "raw" / device / path.parent.name / path.name.replace("phone", device)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        shutil.rmtree(folder / "raw" / "phone")


def _opportunity(folder):
    files = _of("opportunity")
    for session, posture in (("S2-ADL4", 1), ("S3-ADL5", 4), ("S1-Drill", 5)):
        files._write(folder, files._rows(seconds=8.0, locomotion=posture), session)


def _w_har(folder):
    files = _of("w_har")
    files._write(folder, files._rows("walk", seconds=6.0) + files._rows("liedown", user=2, seconds=3.0))


def _realworld(folder):
    files = _of("realworld")
    files._sitting(folder, 2, places=("head", "chest"))
    files._sitting(folder, 10)


def _tnda_har(folder):
    folder.mkdir(parents=True)
    files = _of("tnda_har")
    for number, label in ((2, 1), (10, 6)):
        files._write(folder, files._lines(files._rows(6.0, label)), f"Subject{number:02d}.csv")


def _pamap2(folder):
    files = _of("pamap2")
    files._write(folder, [files._rows()], 101)
    files._write(folder, [files._rows(6.0)], 108)  # left-handed


def _dsads(folder):
    for person in (1, 2):
        _of("dsads")._write(folder, 9, person, [1, 2, 4])


def _ego4d(folder):
    files = _of("ego4d")
    for number in (0, 1):
        files._write(folder, files.UID[number], number + np.arange(1300) / 200)
    files._lists(folder, test=[(files.UID[0], "cooking")], train=[(files.UID[1], "eating")])


def _ego_exo4d(folder):
    pytest.importorskip("vrs")
    files = _of("ego_exo4d")
    for name in ("cmu_bike01_2", "cmu_bike01_3"):
        files._take(folder, name, files._still(5500))
    files._lists(folder, test=[("cmu_bike01_2", "Bike Repair")], train=[("cmu_bike01_3", "Bike Repair")])


def _mmea(folder):
    files = _of("mmea")
    for clip in ("25_type_phone/a_1", "25_type_phone/a_2", "1_upstairs/b_1"):
        files._clip(folder, clip, rows=40 + len(clip))
    (folder / "test.txt").write_text(files._line("25_type_phone/a_1", 24) + files._line("1_upstairs/b_1", 0))
    (folder / "train.txt").write_text(files._line("25_type_phone/a_2", 24))


RAW = {
    "uci_har": _uci_har, "uci_hapt": _uci_hapt, "usc_had": lambda folder: _of("dataset_check")._usc_had(folder),
    "utd_mhad": _utd_mhad, "openpack": _openpack, "wisdm": _wisdm, "wisdm_watch": lambda folder: _wisdm(folder, "watch"),
    "opportunity": _opportunity, "w_har": _w_har, "realworld": _realworld, "tnda_har": _tnda_har, "pamap2": _pamap2,
    "dsads": _dsads, "ego4d": _ego4d, "ego_exo4d": _ego_exo4d, "mmea": _mmea,
}  # fmt: skip
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


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_config_holds_the_windows_of_the_evaluation(name, tmp_path):
    RAW[name](tmp_path / name)
    source = anymo_zeroshot.find_sources(tmp_path, [name])[name]
    counts = anymo_zeroshot.write_repository(source, tmp_path / "repo", name, rows_per_file=3)
    assert not check_card(tmp_path / "repo") and not list((tmp_path / "repo").glob(".*"))
    data = load_dataset(str(tmp_path / "repo"), name, cache_dir=str(tmp_path / "cache")).with_format("numpy")
    assert set(data) == ({"train", "test"} if name in WITH_TRAIN else {"test"})
    windows = list(read_windows(name, source, segments=None))
    assert_same(name, data["test"], windows)
    test = counts["splits"]["test"]
    seconds = sum(len(next(iter(window.signals.values()))) / window.sampling_rate for window in windows)
    assert test["rows"] == len(windows) and set(test["subjects"]) == {window.subject for window in windows} - {""}
    assert 3600 * test["hours"] == pytest.approx(seconds)
    text = (tmp_path / "repo" / "README.md").read_text()
    assert f"| {name} | test | {len(windows):,} | {seconds / 3600:.3f} |" in text
    assert f"`{name}` (partial): " in text and DATASETS[name].licence_text in text


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_train_is_the_official_training_split(tmp_path):
    for name, sessions in (
        ("opportunity", {"Drill"}),
        ("mmea", {"25_type_phone/a_2"}),
        ("uci_har", {"train-0", "train-1"}),
    ):
        RAW[name](tmp_path / name)
        anymo_zeroshot.write_repository(tmp_path / name, tmp_path / "repo", name)
        train = load_dataset(str(tmp_path / "repo"), name, split="train", cache_dir=str(tmp_path / "cache"))
        assert set(train["session"]) == sessions
    _of("mmea")._clip(tmp_path / "mmea", "1_upstairs/b_2")
    (tmp_path / "mmea" / "val.txt").write_text(_of("mmea")._line("1_upstairs/b_2", 0))
    counts = anymo_zeroshot.write_repository(tmp_path / "mmea", tmp_path / "repo", "mmea")
    assert {split: part["rows"] for split, part in counts["splits"].items()} == {"train": 1, "validation": 1, "test": 2}
    shutil.rmtree(tmp_path / "mmea")
    _of("mmea")._clip(tmp_path / "mmea", "1_upstairs/b_1")  # without the lists nothing says what is for training
    counts = anymo_zeroshot.write_repository(tmp_path / "mmea", tmp_path / "repo", "mmea")
    assert list(counts["splits"]) == ["test"]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["wisdm", "utd_mhad"])
def test_several_processes_give_the_same_files(name, tmp_path):
    RAW[name](tmp_path / "raw")
    files = []
    for processes in (1, 2):
        repo = tmp_path / f"repo{processes}"
        anymo_zeroshot.write_repository(tmp_path / "raw", repo, name, processes)
        files.append((repo / "data" / name / "test-00000-of-00001.parquet").read_bytes())
    assert files[0] == files[1]


def test_load_dataset_by_the_folders_name_and_streaming_give_the_same(tmp_path, monkeypatch):
    RAW["utd_mhad"](tmp_path / "raw")
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
    _of("unimts_bundle")._write(tmp_path / "raw", "usc_had", signal, np.array([0, 1, 2]))
    sources = anymo_zeroshot.find_sources(tmp_path)
    assert sources == {"usc_had": tmp_path / "raw"}
    anymo_zeroshot.write_repository(sources["usc_had"], tmp_path / "repo", "usc_had")
    rows = load_dataset(str(tmp_path / "repo"), "usc_had", split="test", cache_dir=str(tmp_path / "cache"))
    assert_same("usc_had", rows.with_format("numpy"), read_windows("usc_had", tmp_path / "raw"))


@pytest.mark.parametrize("processes", [1, 2])
def test_a_source_that_is_refused_leaves_the_old_files_and_is_named_as_the_user_knows_it(tmp_path, processes):
    RAW["dsads"](tmp_path / "raw")
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
    files = _of("opportunity")
    files._write(tmp_path / "opportunity", files._rows()[:, :116])
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
    RAW["usc_had"](tmp_path / "a")
    RAW["usc_had"](tmp_path / "b")
    with pytest.raises(ValueError, match="usc_had lies in .*a, .*b; name the one to take usc_had"):
        anymo_zeroshot.find_sources(tmp_path)


def _command(folder, *arguments, patch="pass"):
    code = f"import sys, runpy; sys.argv = sys.argv[1:]; {patch}; "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, str(SCRIPT), "--data", folder / "data", "--out", folder / "repo", *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill on this system")
def test_a_killed_build_goes_on_where_it_was(tmp_path):
    for name in ("usc_had", "utd_mhad"):
        RAW[name](tmp_path / "data" / name)
    patch = "import os, pyarrow.parquet as pq; start = pq.ParquetWriter; pq.ParquetWriter = lambda path, *a, **k: "
    patch += "os.kill(os.getpid(), 9) if 'utd_mhad' in str(path) else start(path, *a, **k)"
    killed = _command(tmp_path, patch=patch)
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
    assert "not a readable MATLAB file" in failed.stderr


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
