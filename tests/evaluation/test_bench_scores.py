"""AnyMo Bench by any system: settings of ours and the official layout, scores against a count, the mini set end to end."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import f1_score, top_k_accuracy_score

from anymo_hf.evaluation.bench_scores import bench_row, bench_settings, evaluate_bench, read_bench
from anymo_hf.evaluation.bench_statistics import DEVICE_IDS, SCHEMA
from anymo_hf.evaluation.simulated_bench import PLACES, write_simulated_bench
from anymo_hf.evaluation.system_results import read_task_results
from anymo_hf.evaluation.tables import make_tables
from anymo_hf.nymeria import imu as nymeria_imu
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.systems.interface import System
from anymo_hf.systems.majority import Majority

LABELS = [f"class {k}" for k in range(8)]


def rows(people, classes=8, each=2, size=1.0, stream="1202-1"):
    """Windows whose acceleration has the length of their class."""
    rng = np.random.default_rng(len(people))
    made = []
    for person in people:
        for k in range(classes):
            for number in range(each):
                imu = rng.normal(0, 0.05, (60 + 10 * k, 18))
                imu[:, [2, 8, 14]] += size * (3.0 + k)
                made.append({
                    "sample_id": f"{person}-{k}-{number}", "session_id": person, "subject_id": person,
                    "body_position": "head+left_wrist+right_wrist", "device_id": DEVICE_IDS[stream], "start_time_sec": 0.0,
                    "end_time_sec": 1.0, "start_t_ns_global": 0, "end_t_ns_global": 1, "label": LABELS[k], "label_id": k,
                    "imu": imu.tolist(),
                })  # fmt: skip
    return made


def write(folder, config, **splits):
    path = folder / "data" / config
    path.mkdir(parents=True)
    for split, own in splits.items():
        pq.write_table(pa.Table.from_pylist(own, SCHEMA), path / f"{split}-00000-of-00001.parquet")


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "bench"
    write(
        folder, "core50", train=rows("abc"), test=rows("xy"), test_cross_device=rows("xy", size=-1.0, stream="1202-2")
    )
    return folder


def test_our_layout_and_the_official_one_give_the_papers_settings(repository, tmp_path):
    assert [one.name for one in bench_settings(repository)] == [
        "Core50 / Unseen Subject", "Core50 / Unseen Subject + Cross Device"]  # fmt: skip
    official = tmp_path / "official"
    for config in ("AnyMo-Bench-150-US", "AnyMo-Bench-150-USCD"):
        write(official, config, train=rows("a"), test=rows("x"))
    found = bench_settings(official)
    assert [one.name for one in found] == ["Fine150 / Unseen Subject", "Fine150 / Unseen Subject + Cross Device"]
    assert not any(one.simulated for one in found)
    (official / "data" / "AnyMo-Bench-150-US" / "test-00000-of-00001.parquet").unlink()
    with pytest.raises(ValueError, match="AnyMo-Bench-150-US has no files for test"):
        bench_settings(official)
    with pytest.raises(OSError, match="no data/<config>"):
        bench_settings(tmp_path / "none")


@pytest.mark.parametrize("field", ["imu", "start_time_sec"])
def test_a_window_without_finite_numbers_is_refused(tmp_path, field):
    (row,) = rows("x", classes=1, each=1)
    row[field] = [*row["imu"][:-1], [float("nan")] * 18] if field == "imu" else float("inf")
    write(tmp_path, "core50", test=[row])
    with pytest.raises(ValueError, match="x-0-0 holds no finite numbers; build it again"):
        read_bench([tmp_path / "data" / "core50" / "test-00000-of-00001.parquet"])


def test_windows_are_head_and_wrists_and_keep_their_length(repository):
    recordings, ids = read_bench(bench_settings(repository)[0].test)
    assert len(recordings) == 32 and set(recordings[0].signals) == set(PLACES)
    assert [len(one.signals["head"]) for one in recordings[:16:2]] == [60 + 10 * k for k in range(8)]
    for one, number in zip(recordings, ids, strict=True):
        assert one.label == LABELS[number] and np.median(one.signals["left_wrist"][:, 2]) == pytest.approx(
            3 + number, abs=0.05
        )


def test_scores_are_those_of_sklearn_and_unread_answers_are_wrong():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 8, 60)
    scores = rng.normal(size=(60, 8)) + 1.5 * np.eye(8)[truth]

    class Fixed(System):
        name, title, requires, licence = "fixed", "Fixed", "nothing", "none"

        def score(self, recordings, labels):
            return scores

    windows = [ImuRecording({"head": np.ones((60, 6))}, 60.0, LABELS[k], subject=f"p{k % 3}") for k in truth]
    row = bench_row(Fixed(), windows, LABELS)
    assert row["accuracy_at_1"] == pytest.approx(100 * (scores.argmax(1) == truth).mean())
    assert row["accuracy_at_5"] == pytest.approx(100 * top_k_accuracy_score(truth, scores, k=5))
    assert row["macro_f1"] == pytest.approx(100 * f1_score(truth, scores.argmax(1), average="macro"))
    assert row["people"] == 3 and row["interval"][0] < row["accuracy_at_1"] < row["interval"][1]
    right = np.flatnonzero(scores.argmax(1) == truth)[:6]
    scores[right] = np.nan
    assert bench_row(Fixed(), windows, LABELS)["accuracy_at_1"] == pytest.approx(row["accuracy_at_1"] - 10)


@pytest.mark.slow
def test_a_fit_serves_both_settings_and_what_is_done_stays(repository, tmp_path):
    lines = list(evaluate_bench("feature_forest", repository, tmp_path))
    first, second = read_task_results(tmp_path / "bench" / "feature_forest.json").rows
    assert first["accuracy_at_1"] == 100 and first["trained_on"] == 48 and first["classes"] == 8
    assert second["setting"].endswith("Cross Device") and "chance 12.5" in lines[0]
    again = list(evaluate_bench("feature_forest", repository, tmp_path))
    assert again[:2] == [f"{row['setting']}: done before" for row in (first, second)]
    list(evaluate_bench("feature_forest", repository, tmp_path, max_train=16, max_test=8, settings=[first["setting"]]))
    small = read_task_results(tmp_path / "bench" / "feature_forest.json").rows[-1]
    assert (small["trained_on"], small["windows"]) == (16, 8)
    table, theirs = make_tables("bench", tmp_path)
    shown = dict(zip(table.head, table.rows[0], strict=True))
    assert shown["Acc@1"] == "100.0" and "Acc@1 (paper)" not in shown  # the paper has no forest
    assert any(row[0] == "DeepConvLSTM" and row[2] == "not trained yet; its epochs want a GPU" for row in table.rows)
    assert any(
        row[:2] == ("DeepConvLSTM", "not trained yet; its epochs want a GPU") for row in theirs.rows
    )  # its data are at hand


def test_bad_input_is_said_in_one_line(repository, tmp_path):
    with pytest.raises(ValueError, match="unknown system 'magic'"):
        list(evaluate_bench("magic", repository, tmp_path))
    with pytest.raises(ValueError, match="has no setting Fine7; it has Core50"):
        list(evaluate_bench("majority", repository, tmp_path, settings=["Fine7"]))
    list(evaluate_bench("majority", repository, tmp_path))
    path = tmp_path / "bench" / "majority.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weights": "00"}))
    with pytest.raises(ValueError, match="other weights or settings of majority"):
        list(evaluate_bench("majority", repository, tmp_path))
    path.unlink()
    list(evaluate_bench("majority", repository, tmp_path))
    write(tmp_path / "changed", "core50", train=rows("abc"), test=rows("xy", size=1.01), test_cross_device=rows("xy"))
    with pytest.raises(ValueError, match="rows of other windows of Core50 / Unseen Subject"):
        list(evaluate_bench("majority", tmp_path / "changed", tmp_path))
    write(tmp_path / "other", "core99", train=rows("a"), test=rows("x"))
    with pytest.raises(ValueError, match="data/core99 is no config"):
        bench_settings(tmp_path / "other")


def test_windows_that_a_system_cannot_take_are_left_out_and_said(tmp_path, monkeypatch):
    train, test = rows("ab"), rows("xy")
    train[0]["imu"], test[7]["imu"] = train[0]["imu"][:30], test[7]["imu"][:59]
    write(tmp_path, "core50", train=train, test=test)
    monkeypatch.setattr(Majority, "shortest_seconds", 1.0)
    lines = list(evaluate_bench("majority", tmp_path, tmp_path))
    left_out = "windows under the 1 s that Majority class needs left out"
    assert lines[:2] == [f"Core50 / Unseen Subject: 1 {part} {left_out}" for part in ("training", "test")]
    (row,) = read_task_results(tmp_path / "bench" / "majority.json").rows
    assert (row["trained_on"], row["windows"], row["too_short"]) == (31, 31, 1)
    monkeypatch.setattr(Majority, "shortest_seconds", 9.0)
    with pytest.raises(ValueError, match="every training window is under the 9 s"):
        list(evaluate_bench("majority", tmp_path, tmp_path / "other"))


@pytest.mark.slow
def test_a_simulated_bench_has_two_devices_and_no_person_twice(tmp_path):
    folder = write_simulated_bench(tmp_path / "sim", people=5, classes=3, windows=1)
    one, two = bench_settings(folder)
    assert one.simulated and two.name == "Simulated / Unseen Subject + Cross Device"
    (train, _), (test, _), (crossed, _) = (read_bench(part) for part in (one.train, one.test, two.test))
    assert len({r.subject for r in train}) == 4 and not {r.subject for r in train} & {r.subject for r in test}
    for first, second in zip(test, crossed, strict=True):
        a, b = (np.linalg.norm(r.signals["head"][:, :3], axis=1) for r in (first, second))
        assert (first.label, first.subject) == (second.label, second.subject)
        assert np.abs(a - b).mean() < 0.6  # one motion, felt by two devices
        assert (
            np.abs(first.signals["head"][:, :3].mean(0) - second.signals["head"][:, :3].mean(0)).max() > 1
        )  # other axes
    lines = list(evaluate_bench("majority", folder, tmp_path))
    assert "Simulated / Unseen Subject: Acc@1 33.3" in lines[0]
    with pytest.raises(OSError, match="exists; give a new folder"):
        write_simulated_bench(folder)
    with pytest.raises(ValueError, match="people must be at least 5"):
        write_simulated_bench(tmp_path / "x", people=3)
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("light_reader")
def test_the_bench_of_mini_nymeria_runs_whole(mini_nymeria, nymeria_signals, tiny_release, tmp_path, monkeypatch):
    from anymo_hf.hub.builders import anymo_bench

    monkeypatch.setattr(nymeria_imu, "_aria", lambda: None)
    nymeria, annotations = mini_nymeria
    (tmp_path / "repo.signals").symlink_to(nymeria_signals)
    for config in ("fine150", "core50"):
        anymo_bench.write_repository(nymeria, annotations, tmp_path / "repo", config, progress=False)
    for name in ("feature_forest", "majority", "chance"):
        list(evaluate_bench(name, tmp_path / "repo", tmp_path))
    core = ["Core50 / Unseen Subject", "Core50 / Unseen Subject + Cross Device"]
    for name in ("anymo", "anymo_linear"):
        list(evaluate_bench(name, tmp_path / "repo", tmp_path, source=tiny_release, settings=core))
        assert [row["setting"] for row in read_task_results(tmp_path / "bench" / f"{name}.json").rows] == core
    found = read_task_results(tmp_path / "bench" / "feature_forest.json")
    assert [row["setting"] for row in found.rows] == [
        "Core50 / Unseen Subject", "Core50 / Unseen Subject + Cross Device",
        "Fine150 / Unseen Subject", "Fine150 / Unseen Subject + Cross Device",
    ]  # fmt: skip
    table, theirs = make_tables("bench", tmp_path)
    assert {row[0] for row in table.rows} >= {"AnyMo", "AnyMo, linear", "Feature forest", "Majority class", "Chance"}
    assert "COMODO" in {row[0] for row in theirs.rows}
