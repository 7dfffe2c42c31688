"""`anymo-bench`: windows, splits and columns as in the official repository, from a small Nymeria."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from scipy.signal import firwin
from support.stratified import check_stratified_split
from typer.testing import CliRunner

from anymo_hf.cli.bench import app
from anymo_hf.evaluation.bench_statistics import SCHEMA, bench_statistics, check_columns
from anymo_hf.hub.dataset_card import check_card
from anymo_hf.nymeria import imu as nymeria_imu
from anymo_hf.nymeria import imu_grid
from anymo_hf.nymeria.imu import read_nymeria_imu
from anymo_hf.nymeria.imu_grid import STEP_NS, cut_window, to_60_hz

pytestmark = [pytest.mark.usefixtures("light_reader"), pytest.mark.slow]


@pytest.fixture(scope="module")
def built(mini_nymeria, tmp_path_factory):
    """The source, its annotations and a repository of both configs."""
    from anymo_hf.hub.builders import anymo_bench

    nymeria, annotations = mini_nymeria
    out = tmp_path_factory.mktemp("bench") / "repo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nymeria_imu, "_aria", lambda: None)
        for config in ("fine150", "AnyMo-Bench-50-US"):
            anymo_bench.write_repository(nymeria, annotations, out, config, rows_per_file=10, progress=False)
    return nymeria, annotations, out


def rows_of(out, config, split):
    files = sorted((out / "data" / config).glob(f"{split}-*.parquet"))
    return pa.concat_tables([pq.read_table(file) for file in files]).to_pylist()


def test_windows_are_cut_as_the_official_ones():
    assert [cut_window(n) for n in (0, 60, 300)] == [[], [(0, 60)], [(0, 300)]]
    assert cut_window(630) == [(0, 300), (300, 300)] and cut_window(599) == [(0, 300)]


def test_columns_types_and_layout(built):
    out = built[2]
    for file in out.glob("data/*/*.parquet"):
        check_columns(file)
        assert pq.ParquetFile(file).metadata.row_group(0).column(0).compression == "ZSTD"
        assert pq.ParquetFile(file).metadata.num_rows <= 10
    assert len(list((out / "data" / "fine150").glob("train-*"))) == 2
    assert not list(out.glob(".*")) and check_card(out) == []
    labels = json.loads((out / "metadata" / "fine150_labels.json").read_text())
    assert len(labels) == 150 and labels[0] == {"label_id": 0, "label": "walking / hiking"}
    people = json.loads((out / "metadata" / "split_subjects.json").read_text())
    assert len(people["train_subjects"]) == 3 and len(people["test_subjects"]) == 1
    info = json.loads((out / "metadata" / "dataset_info.json").read_text())
    assert len(info["channel_names"]) == 18 and info["window_size_timesteps"] == 300
    assert set(info["summaries"]) == {f"AnyMo-Bench-{n}-{kind}" for n in (150, 50) for kind in ("US", "USCD")}


def test_one_code_reads_official_and_own(built, tmp_path):
    out = built[2]
    own = load_dataset(str(out), "AnyMo-Bench-50-USCD", cache_dir=str(tmp_path / "c"))
    same = load_dataset(str(out), "core50", cache_dir=str(tmp_path / "c"))
    check_stratified_split(own["train"], "label_id")
    assert list(own) == ["train", "test"] and list(same) == ["train", "test", "test_cross_device"]
    assert own["test"]["imu"][:] == same["test_cross_device"]["imu"][:]
    # an official repository as its exporter writes it, without our metadata
    folder = tmp_path / "official" / "data" / "AnyMo-Bench-50-US"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        table = pa.Table.from_pylist(rows_of(out, "core50", split), SCHEMA)
        pq.write_table(table, folder / f"{split}-00000.parquet", compression="zstd")
    files = {split: str(folder / f"{split}-*.parquet") for split in ("train", "test")}
    official = load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "c"))
    told = dict(same["train"].features)  # the files are the official ones; the card names the classes of their numbers
    classes = told.pop("label_id")
    assert {name: kind for name, kind in official["train"].features.items() if name != "label_id"} == told
    assert classes.names == [entry["label"] for entry in json.loads((out / "metadata/core50_labels.json").read_text())]
    whole = same["train"].train_test_split(0.5, seed=0)
    assert whole["train"].features["label_id"] == classes
    numbers = {row.name: row.value for row in bench_statistics(tmp_path / "official")["AnyMo-Bench-50-US"]}
    assert numbers["training rows"] == len(same["train"]) and "windows before cutting" not in numbers
    pq.write_table(table.drop_columns("imu"), folder / "test-00000.parquet")
    with pytest.raises(ValueError, match="no column imu"):
        bench_statistics(tmp_path / "official")
    (tmp_path / "official" / "metadata").mkdir(exist_ok=True)
    (tmp_path / "official" / "metadata" / "dataset_info.json").write_text("{cut")
    with pytest.raises(ValueError, match="dataset_info.json: not the builder's JSON"):
        bench_statistics(tmp_path / "official")


def test_signals_are_the_recordings_low_passed(built):
    nymeria, _, out = built
    taps = {"1202-1": firwin(601, 24, fs=1000), "1202-2": firwin(481, 24, fs=800)}
    for split, stream in (("test", "1202-1"), ("test_cross_device", "1202-2")):
        rows = rows_of(out, "fine150", split)
        assert {row["device_id"] for row in rows} == {"imu_" + stream.replace("-", "_")}
        for place, device in enumerate(("head", "left_wrist", "right_wrist")):
            imu = read_nymeria_imu(nymeria / rows[0]["session_id"], device, stream)
            smooth = np.stack([np.convolve(c, taps[stream], "same") for c in imu.signals.T], axis=1)
            for row in rows[1:-1]:
                assert row["start_t_ns_global"] % STEP_NS == 0 and len(row["imu"]) <= 300
                times = (row["start_t_ns_global"] + STEP_NS * np.arange(len(row["imu"]))) * 1e-9
                wanted = np.stack([np.interp(times, imu.time, c) for c in smooth.T], axis=1)
                got = np.array(row["imu"])[:, 6 * place : 6 * place + 6]
                # two low-passes of one cut-off but other flanks
                scale = np.std(imu.signals, axis=0)
                assert np.sqrt(np.mean(((got - wanted) / scale) ** 2)) < 0.1


def test_both_devices_show_the_same_windows(built):
    keys = ("session_id", "start_t_ns_global", "end_t_ns_global", "label_id")
    first, second = (
        [tuple(row[key] for key in keys) for row in rows_of(built[2], "fine150", split)]
        for split in ("test", "test_cross_device")
    )
    assert first == second and len(first) == 6  # five windows, one of them of two pieces


def test_anti_aliasing_and_pauses():
    time = 1000.0003 + np.arange(4000) / 1000
    grid = np.arange(60_000, 60_240) * (STEP_NS * 1e-9)
    inner = (grid > time[0] + 0.3) & (grid < time[-1] - 0.3)
    slow, fast = (np.sin(2 * np.pi * f * time)[:, None] for f in (5.0, 50.0))
    np.testing.assert_allclose(to_60_hz(time, slow, grid)[inner, 0], np.sin(2 * np.pi * 5 * grid[inner]), atol=2e-3)
    assert np.abs(to_60_hz(time, fast, grid)[inner]).max() < 0.01
    assert np.abs(to_60_hz(time, fast, grid, "nearest")[inner]).max() > 0.9  # folded to 10 Hz
    near = to_60_hz(time, time[:, None], grid, "nearest")
    held = np.isfinite(near[:, 0])
    assert np.abs(near[held, 0] - grid[held]).max() <= 0.0005 + 1e-9
    gap = (time < 1001) | (time > 1001.2)
    out = to_60_hz(time[gap], slow[gap], grid)
    assert np.isnan(out[(grid > 1001.002) & (grid < 1001.198)]).all() and np.isnan(out[grid < time[0]]).all()
    assert np.isfinite(out[(grid > 1000.01) & (grid < 1000.99)]).all()


def test_split_is_8_to_2_and_subject_disjoint():
    from anymo_hf.hub.builders import anymo_bench

    train, test = anymo_bench.split_subjects(f"person_{n}" for n in range(196))
    assert (len(train), len(test)) == (157, 39) and not set(train) & set(test)
    assert anymo_bench.split_subjects(reversed(train + test)) == (train, test)
    with pytest.raises(ValueError, match="two subjects"):
        anymo_bench.split_subjects(["a"])


def test_held_out_people_stay_unless_dropped(built, tmp_path):
    from anymo_hf.hub.builders import anymo_bench

    nymeria, annotations, out = built
    people = json.loads((out / "metadata" / "split_subjects.json").read_text())
    assert "alec_meza" in people["train_subjects"] + people["test_subjects"]
    assert "alec_meza" in {row["subject_id"] for split in ("train", "test") for row in rows_of(out, "fine150", split)}
    card = (out / "README.md").read_text()
    assert "alec_meza, bradley_herman, dominique_frye, justin_ramirez, kyle_parker) are kept" in card
    assert "`sample_id` is made of" in card and "drawn 8:2 with seed 42" in card and "nearest sample" in card
    shutil.copytree(out.with_name("repo.signals"), tmp_path / "r.signals")
    anymo_bench.write_repository(
        nymeria, annotations, tmp_path / "r", "fine150", progress=False, drop_held_out=True, resampling="anti_aliased"
    )
    fewer = json.loads((tmp_path / "r" / "metadata" / "split_subjects.json").read_text())
    assert len(fewer["train_subjects"]) == 2 and len(fewer["test_subjects"]) == 1
    subjects = {row["subject_id"] for split in ("train", "test") for row in rows_of(tmp_path / "r", "fine150", split)}
    assert subjects == {*fewer["train_subjects"], *fewer["test_subjects"]} and "alec_meza" not in subjects
    assert "are left out; the official exporter keeps them" in (tmp_path / "r" / "README.md").read_text()
    with pytest.raises(ValueError, match="the other config has other people"):
        anymo_bench.write_repository(nymeria, annotations, out, "core50", progress=False, drop_held_out=True)


def test_statistics_beside_the_papers(built):
    result = CliRunner().invoke(app, ["statistics", str(built[2]), "--json"])
    assert result.exit_code == 0, result.output
    found = {row["name"]: (row["value"], row["paper"]) for row in json.loads(result.stdout)["fine150"]}
    # four people: walking, standing, stirring (10.5 s), sitting, picking up (3 s)
    assert found["windows before cutting"] == (20, 154_695)
    assert found["hours before cutting"] == (pytest.approx(4 * 28.5 / 3600), 211.6)
    assert found["hours of the rows"] == (pytest.approx(4 * 28 / 3600), None)
    assert found["training rows"] == (18, 123_874) and found["test rows"] == (6, 30_965)
    assert found["largest class, before cutting"] == (4, 19_696)
    assert found["classes unstable in test"] == (5, 0) and found["longest, steps"] == (630, 1200)
    table = CliRunner().invoke(app, ["statistics", str(built[2])]).output
    assert "| core50 | median class, before cutting | 4 | 1,921 |" in table


def test_no_recording_is_read_twice(built, tmp_path, monkeypatch):
    from anymo_hf.hub.builders import anymo_bench

    nymeria, annotations, out = built
    again = tmp_path / "again"
    shutil.copytree(out.with_name("repo.signals"), tmp_path / "again.signals")
    monkeypatch.setattr(imu_grid, "read_nymeria_imu", None)  # the cache is all it has
    # what another version may have left
    (again / ".fine150.part" / "data").mkdir(parents=True)
    (again / ".fine150.part" / "data" / "train-00000.parquet").touch()
    anymo_bench.write_repository(nymeria, annotations, again, "fine150", num_proc=2, progress=False)
    for split in ("train", "test", "test_cross_device"):
        assert rows_of(again, "fine150", split) == rows_of(out, "fine150", split)
    assert not list(again.glob(".*"))


def test_official_annotations_labels_and_split(built, tmp_path):
    from anymo_hf.hub.builders import anymo_bench

    nymeria, annotations, out = built
    copy = tmp_path / "nymeria"
    shutil.copytree(nymeria, copy)
    table = pd.read_parquet(annotations)
    for session, rows in table.groupby("session_id"):
        folder = copy / session / "multimodal_sync_60hz"
        folder.mkdir()
        first = (rows.start_time_sec * 60).round().astype(int)
        index = pd.DataFrame({"start_idx": first, "end_idx": first + 299})
        nanoseconds = {"start_t_ns_global": rows.start_time_sec * 1e9, "end_t_ns_global": rows.end_time_sec * 1e9}
        times = index.assign(**{key: value.round().astype("int64") for key, value in nanoseconds.items()})
        times.to_csv(folder / "atomic_action_60hz.csv", index=False)
        group = rows.label.where(rows.label != "sitting", "resting").where(rows.label == "sitting", "moving")
        index = index.assign(activity_label=rows.label, superclass_50_label=group)
        index["Describe my atomic actions"] = rows.narration
        index.to_csv(folder / "anymo_annotations.csv", index=False)
    labels = tmp_path / "core50_labels.json"
    labels.write_text(json.dumps([{"label_id": 0, "label": "resting"}, {"label_id": 1, "label": "moving"}]))
    split = tmp_path / "split_subjects.json"
    people = json.loads((out / "metadata" / "split_subjects.json").read_text())
    split.write_text(json.dumps({"train_subjects": people["test_subjects"], "test_subjects": people["train_subjects"]}))
    shutil.copytree(out.with_name("repo.signals"), tmp_path / "r.signals")
    anymo_bench.write_repository(
        copy, None, tmp_path / "r", "core50", labels=labels, split_subjects=split, progress=False
    )
    rows = rows_of(tmp_path / "r", "core50", "test")
    assert {(row["label"], row["label_id"]) for row in rows} == {("resting", 0), ("moving", 1)}
    assert {row["subject_id"] for row in rows} == set(people["train_subjects"])
    wanted = rows_of(out, "core50", "train")
    assert [row["imu"] for row in rows] == [row["imu"] for row in wanted]
    with pytest.raises(OSError, match="no sequence holds multimodal_sync_60hz/anymo_annotations.csv"):
        anymo_bench.write_repository(nymeria, None, tmp_path / "x", "core50", progress=False)


def test_bad_input_is_named(built, tmp_path):
    from anymo_hf.hub.builders import anymo_bench

    nymeria, annotations, out = built
    copy = tmp_path / "nymeria"
    shutil.copytree(nymeria, copy)
    table = pd.read_parquet(annotations)
    path = tmp_path / "a.parquet"
    shutil.copytree(out.with_name("repo.signals"), tmp_path / "r.signals")

    def build(rows, **options):
        rows.to_parquet(path)
        return anymo_bench.write_repository(copy, path, tmp_path / "r", "fine150", progress=False, **options)

    last = table.index[-1]
    for change, words in (
        ({"label": "flying"}, "a.parquet: row 5 of 20230601_s0_dario_.*unknown label 'flying'"),
        ({"session_id": "20230601_s0_nobody_x_act0_aaaaaa"}, "1 of 5 sessions are not in .*nobody"),
        ({"subject_id": "eve"}, "subject_id is 'eve', the sequence is of 'dario_alder'"),
        ({"end_time_sec": 0.0}, "times are .* to 0.0; give seconds"),
        ({"start_time_sec": 1.0, "end_time_sec": 6.0}, "0004 runs from 1.000 to 6.000 s, the IMU from .*skip-broken"),
    ):
        broken = table.copy()
        for key, value in change.items():
            broken.loc[last, key] = value
        with pytest.raises(ValueError, match=words):
            build(broken)
    result = build(broken, strict=False)
    assert sum(result["windows_outside"].values()) == 1
    with pytest.raises(ValueError, match="no column label"):
        build(table.drop(columns="label"))
    with pytest.raises(OSError, match="no annotations there"):
        anymo_bench.write_repository(copy, tmp_path / "none.csv", tmp_path / "r", "fine150", progress=False)
    # a wrist is missing, then a stream of it
    bare = next(copy.glob("*clara*"))
    shutil.move(bare / "recording_lwrist", tmp_path / "kept")
    with pytest.raises(OSError, match="clara.*recording_lwrist.*neither data.vrs nor motion.vrs.*skip-broken"):
        build(table)
    people = json.loads((out / "metadata" / "split_subjects.json").read_text())
    if "clara_alder" in people["train_subjects"]:
        left = build(table, strict=False)["left_out"]
        assert list(left) == [bare.name]
        info = json.loads((tmp_path / "r" / "metadata" / "split_subjects.json").read_text())
        assert info == people and not list((tmp_path / "r").glob(".*"))


def test_motion_clock_and_csv(built, tmp_path):
    from anymo_hf.hub.builders import anymo_bench

    nymeria, annotations, out = built
    table = pd.read_parquet(annotations)
    for session in table.session_id.unique():
        with np.load(nymeria / session / "body" / "xdata.npz") as data:
            table.loc[table.session_id == session, ["start_time_sec", "end_time_sec"]] -= (
                data["timestamps_us"][0] * 1e-6
            )
    table["augmentations"] = table.augmentations.map(list)
    table.to_csv(tmp_path / "a.csv", index=False)
    shutil.copytree(out.with_name("repo.signals"), tmp_path / "r.signals")
    anymo_bench.write_repository(nymeria, tmp_path / "a.csv", tmp_path / "r", "fine150", times="motion", progress=False)
    for split in ("train", "test"):
        assert rows_of(tmp_path / "r", "fine150", split) == rows_of(out, "fine150", split)
