"""A study's recordings: manifest, one file of answers each, resumable, the same bytes however it is run."""

import csv
import json
import os
import sys
import types

import numpy as np
import pytest
from datasets import load_dataset
from support.program import refused, samples, write_csv

from anymo_hf import atomic_write
from anymo_hf.atomic_write import draft_beside
from anymo_hf.recordings.devices.read_device import read_device
from anymo_hf.systems.many_recordings import RecognizeSettings, read_manifest, recognize_manifest
from anymo_hf.systems.recognizer import load_recognizer, recognize

MANIFEST = """file,placement,recording,person,rate,acceleration_unit
a.csv,left_wrist,,ann,50,
b.csv,left_wrist,day two,ben,50,
c.csv,right_pocket,day two,ben,50,
broken.csv,head,,cem,50,
"""


@pytest.fixture
def study(tmp_path):
    """A manifest of four files, three of them readable."""
    for number, name in enumerate("abc"):
        write_csv(tmp_path / f"{name}.csv", np.roll(samples(600), 40 * number, axis=0))
    (tmp_path / "broken.csv").write_text("acc_x,acc_y\n1,2\n")
    (tmp_path / "study.csv").write_text(MANIFEST)
    return tmp_path / "study.csv"


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_recording_has_its_timeline_and_embeddings_and_load_dataset_reads_them(anymo, study, tiny_release):
    out = study.parent / "answers"
    words = ["recognize", "--manifest", study, "--model", tiny_release, "--labels", "walking,sitting", "--smoothing", 1]
    code, text, _ = anymo(*words, "--out", out)
    assert code == 1 and "2 of 3 recordings answered" in text and "not answered: broken.csv: " in text
    rows = load_dataset(str(out), split="train")
    assert set(rows["recording"]) == {"a.csv", "day two"} and set(rows["person"]) == {"ann", "ben"}
    assert {tuple(row["placements"]) for row in rows} == {("left_wrist",), ("left_wrist", "right_pocket")}
    recognizer = load_recognizer(tiny_release, ["walking", "sitting"])
    seen = []
    alone = read_device(study.parent / "a.csv", "left_wrist", options=read_manifest(study)[0].sensors[0][2])
    entries = list(recognize(recognizer, [alone], smoothing=1, seen=seen.append))
    mine = [row for row in rows if row["recording"] == "a.csv"]
    assert [(row["start"], row["end"], row["activity"]) for row in mine] == [
        (entry.start, entry.end, entry.activity) for entry in entries
    ]
    assert [start for row in mine for start in row["window_start"]] == [one.start for one in seen] == [0, 5, 10]
    np.testing.assert_allclose(
        np.concatenate([row["embedding"] for row in mine]), np.stack([one.embedding for one in seen]), atol=1e-5
    )
    with (out / "report.csv").open() as file:
        report = {row["recording"]: row for row in csv.DictReader(file)}
    assert list(report) == ["a.csv", "day two", "broken.csv"] and report["day two"]["files"] == "b.csv; c.csv"
    assert report["a.csv"]["seconds"] == "12.0" and report["a.csv"]["windows"] == "3" and not report["a.csv"]["problem"]
    assert "no acceleration columns" in report["broken.csv"]["problem"] and not report["broken.csv"]["windows"]


def test_what_is_there_stays_and_what_has_changed_is_worked_out_again(study, tiny_release):
    out, settings = study.parent / "answers", RecognizeSettings(tiny_release, ("walking", "sitting"))
    recognize_manifest(read_manifest(study), out, settings)
    whole = contents(out)
    (kept,) = (out / "data").glob("a.csv-*.parquet")
    (lost,) = (out / "data").glob("day_two-*.parquet")
    lost.unlink()
    if (child := os.fork()) == 0:
        draft_beside(lost).__enter__().write_bytes(b"cut off")
        os._exit(0)  # as a killed run leaves it
    os.waitpid(child, 0)
    assert len(list((out / "data").glob("*.part"))) == 1
    atomic_write._sweep.cache_clear()  # as a later process begins
    before = kept.stat().st_mtime_ns
    recognize_manifest(read_manifest(study), out, settings)
    assert contents(out) == whole and kept.stat().st_mtime_ns == before
    write_csv(study.parent / "a.csv", samples(900))
    report = recognize_manifest(read_manifest(study), out, settings)
    assert report[0]["windows"] == 4 and kept.read_bytes() != whole[f"data/{kept.name}"]
    again = recognize_manifest(read_manifest(study), out, RecognizeSettings(tiny_release, ("walking",)))
    assert again[1]["longest"] == "walking" and lost.read_bytes() != whole[f"data/{lost.name}"]


class PlayedRay(types.ModuleType):
    """As much of Ray as `run_jobs` asks for; jobs end in the reverse of their order."""

    def is_initialized(self):
        return True

    def remote(self, **_):
        return lambda function: types.SimpleNamespace(remote=lambda job: (function, job))

    def cluster_resources(self):
        return {"CPU": 2}

    def wait(self, waiting):
        return waiting[-1:], waiting[:-1]

    def get(self, reference):
        function, job = reference
        return function(job)


@pytest.mark.slow
def test_load_dataset_reads_these_answers_not_those_of_before(study, tiny_release):
    out = study.parent / "answers"
    for labels in (("walking", "sitting"), ("running", "jumping")):
        recognize_manifest(read_manifest(study), out, RecognizeSettings(tiny_release, labels))
        assert set(load_dataset(str(out), split="train")["activity"]) <= set(labels)


def test_answers_of_a_file_that_is_spoilt_or_of_another_manifest_do_not_stay(study, tiny_release):
    out, settings = study.parent / "answers", RecognizeSettings(tiny_release, ("walking", "sitting"))
    recognize_manifest(read_manifest(study), out, settings)
    (study.parent / "a.csv").write_text("acc_x,acc_y\n1,2\n")
    report = recognize_manifest(read_manifest(study), out, settings)
    assert (
        report[0]["problem"] and not list((out / "data").glob("a.csv-*")) and len(list((out / "data").iterdir())) == 1
    )
    whole = contents(out)
    study.write_text(MANIFEST.replace("day two", "day three"))
    with pytest.raises(
        OSError, match="day_two-.*parquet is of no recording of this manifest; delete it, or give a new"
    ):
        recognize_manifest(read_manifest(study), out, settings)
    assert contents(out) == whole


def test_processes_and_ray_change_no_byte(study, tiny_release, monkeypatch):
    settings = RecognizeSettings(tiny_release, ("walking", "sitting"))
    monkeypatch.setitem(sys.modules, "ray", PlayedRay("ray"))
    folders = []
    for number, (engine, processes) in enumerate((("local", 1), ("local", 2), ("ray", 2))):
        folders.append(study.parent / str(number))
        recognize_manifest(read_manifest(study), folders[-1], settings, engine, processes)
    assert len(contents(folders[0])) == 4 and contents(folders[0]) == contents(folders[1]) == contents(folders[2])


@pytest.mark.slow
def test_a_real_ray_of_two_workers_changes_no_byte(study, tiny_release):
    pytest.importorskip("ray", reason="needs Ray: pip install 'anymo-hf[ray]'")
    settings = RecognizeSettings(tiny_release, ("walking", "sitting"))
    for engine in ("local", "ray"):
        recognize_manifest(read_manifest(study), study.parent / engine, settings, engine, 2)
    local, ray = (contents(study.parent / engine) for engine in ("local", "ray"))
    assert len(local) == 4 and local == ray


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("file,placement\n", ["no row"]),
        ("file,place\na.csv,head\n", ["column placement missing"]),
        ("file,placement,colour\na.csv,head,red\n", ["unknown columns colour", "acceleration_unit"]),
        ("file,placement,rate\na.csv,head,fast\n", ["line 2", "rate 'fast'"]),
        ("file,placement\na.csv,\n", ["line 2", "placement is empty"]),
        ("file,placement\na.csv,head\na.csv\n", ["line 3", "2 cells"]),
        ("file,placement,recording,person\na.csv,head,x,ann\nb.csv,waist,x,ben\n", ["line 3", "'ann'", "'ben'"]),
    ],
)
def test_a_manifest_that_cannot_be_read_is_one_line(anymo, tmp_path, content, parts):
    (tmp_path / "study.csv").write_text(content)
    refused(anymo("recognize", "--manifest", tmp_path / "study.csv", "--out", tmp_path / "out"), "study.csv", *parts)


def test_what_does_not_go_with_a_manifest_is_refused(anymo, study, tmp_path):
    refused(anymo("recognize", "--manifest", study), "--out is missing")
    refused(anymo("recognize", "--manifest", study, "--out", tmp_path / "o", "--rate", 50), "stand in its columns")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    refused(anymo("recognize", "--manifest", study, "--out", tmp_path / "full"), "holds something else")


def test_reading_options_of_a_row_reach_the_reader(tmp_path):
    (tmp_path / "m.csv").write_text('file,placement,columns,rate\nx.csv,head,"a,b,c",104.3\n')
    ((place, file, options),) = read_manifest(tmp_path / "m.csv")[0].sensors
    assert (place, file, list(options.columns), options.rate) == ("head", tmp_path / "x.csv", ["a", "b", "c"], 104.3)


def test_a_file_with_a_pause_is_answered_as_recognize_answers_it_alone(anymo, tmp_path, tiny_release):
    seconds = np.arange(600) / 50 + 30 * (np.arange(600) >= 300)
    write_csv(
        tmp_path / "a.csv", np.column_stack([seconds, samples(600)]), "time,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z"
    )
    (tmp_path / "m.csv").write_text("file,placement\na.csv,head\n")
    common = ["--model", tiny_release, "--labels", "walking,sitting", "--smoothing", 1]
    code, _, err = anymo("recognize", "--manifest", tmp_path / "m.csv", "--out", tmp_path / "out", *common)
    assert code == 0, err
    code, text, err = anymo("recognize", tmp_path / "a.csv", "--placement", "head", *common, "--json")
    assert code == 0, err
    rows, entries = load_dataset(str(tmp_path / "out"), split="train"), json.loads(text)["timeline"]
    assert rows["activity"] == [entry["activity"] for entry in entries]
    for side in ("start", "end"):
        np.testing.assert_allclose(rows[side], [entry[side] for entry in entries], atol=1e-3)
    assert max(rows["start"]) >= 36 and not any(row["start"] < 10 and row["end"] > 36 for row in rows)
    with (tmp_path / "out" / "report.csv").open() as file:
        (report,) = csv.DictReader(file)
    assert "2 stretches" in report["warnings"] and report["seconds"] == "12.0"


def test_how_a_table_is_written_and_its_sign_stand_in_the_rows(tmp_path, tiny_release):
    rows = samples(600)
    lines = [";".join(f"{value:.9f}".replace(".", ",") for value in (*row[:3] / -9.80665, *row[3:])) for row in rows]
    (tmp_path / "odd.csv").write_text("\n".join(["exported", "x;y;z;gx;gy;gz", *lines]) + "\n")
    write_csv(tmp_path / "plain.csv", rows)
    names = (
        "file,placement,rate,header_row,separator,decimal,apple_sign,columns,acceleration_unit,angular_velocity_unit"
    )
    odd = 'odd.csv,head,50,2,semicolon,",",yes,"x,y,z,gx,gy,gz",g,rad/s'
    (tmp_path / "m.csv").write_text(f"{names}\n{odd}\nplain.csv,head,50,,,,no,,m/s^2,rad/s\n")
    recordings = read_manifest(tmp_path / "m.csv")
    options = recordings[0].sensors[0][2]
    assert (options.header_row, options.separator, options.decimal, options.apple_sign) == (2, "semicolon", ",", True)
    assert recordings[1].sensors[0][2].apple_sign is False
    report = recognize_manifest(recordings, tmp_path / "out", RecognizeSettings(tiny_release, ("walking", "sitting")))
    assert [row["problem"] for row in report] == ["", ""]
    first, second = (
        load_dataset("parquet", data_files=str(path), split="train")
        for path in sorted((tmp_path / "out" / "data").glob("*.parquet"))
    )
    assert first["activity"] == second["activity"]
    np.testing.assert_allclose(np.concatenate(first["embedding"]), np.concatenate(second["embedding"]), atol=1e-4)
