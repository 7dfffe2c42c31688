"""Narration files and time maps: known shifts come back, rows that do not fit are counted, wrong maps are refused."""

import json

import numpy as np
import pytest
from support import nymeria_recordings as files

from anymo_hf.nymeria.narration import (
    BAD_FIRST_ROWS,
    NymeriaTimeMap,
    name_wearer,
    read_narrations,
    time_map_from_first_row,
)

EXACT = NymeriaTimeMap(files.NAME, files.OFFSET_NS, 0.0, "vrs")
at = files.device_seconds


def rows(*times, text="C waves."):
    return [[start, end, text] for start, end in times]


def atomic(folder, *rows, columns=("start_time", "end_time", "Describe my atomic actions")):
    files.write_csv(folder / "narration" / "atomic_action.csv", columns, rows)


def test_published_example_of_the_clocks():
    # FORMATS: alec_meza act0 8ytqbv, narration second 267.561519 is TIME_CODE 1134.607419
    time_map = NymeriaTimeMap("", 867_045_900_000, 0.0, "example")
    assert time_map.timecode_seconds(267.561519) == pytest.approx(1134.607419, abs=1e-9)
    drifting = NymeriaTimeMap("", 0, 10.0, "example")
    assert drifting.timecode_seconds(1000.0) == pytest.approx(1000.01)


def test_first_row_stands_for_the_first_frame(tmp_path):
    atomic(tmp_path, *rows((at(3.0), at(4.0)), (at(5.0), at(6.0))))
    files.write_csv(
        tmp_path / "narration" / "activity_summarization.csv",
        ["START TIME".replace(" ", "_"), "End_Time", "DESCRIBE my Activity"],
        [[at(0.2), at(9.0), "x"]],
    )
    with pytest.warns(UserWarning, match="a guess"):
        time_map = time_map_from_first_row(tmp_path, files.NAME, files.START_US)
    assert time_map.timecode_seconds(at(0.2)) - files.START_US * 1e-6 == pytest.approx(0.215)
    assert (time_map.sequence, time_map.source) == (files.NAME, "first_row")


@pytest.mark.parametrize("name", sorted(BAD_FIRST_ROWS))
def test_known_bad_sequences_are_refused(tmp_path, name):
    atomic(tmp_path, *rows((at(3.0), at(4.0))))
    with pytest.raises(ValueError, match="does not mark the first frame.*time_map="):
        time_map_from_first_row(tmp_path, name, files.START_US)


def test_no_rows_to_align_by(tmp_path):
    atomic(tmp_path)
    with pytest.raises(ValueError, match="no narration with a start_time"):
        time_map_from_first_row(tmp_path, files.NAME, files.START_US)


def test_rows_are_kept_cut_or_counted(tmp_path):
    atomic(
        tmp_path,
        [at(5.0), at(6.0), "  second \n one "], [at(1.0), at(2.0), "first"], [at(-1.0), at(0.5), "early"],
        [at(9.5), at(12.0), "late"], [at(10.5), at(12.0), "after"], [at(-3.0), at(-1.0), "before"],
        [at(4.0), at(3.0), "backward"], [at(4.0), at(4.0), "no time at all"], ["", at(3.0), "no start"],
        ["nan", at(3.0), "no start"], ["soon", at(3.0), "no start"], [at(3.0), "inf", "no end"],
        [at(7.0), at(8.0), "   "], [at(7.0), at(8.0), ""],
    )  # fmt: skip
    narrations, counts = read_narrations(tmp_path, EXACT, files.START_US, 10.0)
    found = [(round(n.start, 6), round(n.end, 6), n.text) for n in narrations]
    assert found == [(0, 0.5, "early"), (1, 2, "first"), (5, 6, "second one"), (9.5, 10, "late")]
    assert vars(counts) == {"read": 4, "empty": 2, "untimed": 6, "outside": 2, "clipped": 2}


def test_a_map_that_does_not_fit_is_refused(tmp_path):
    atomic(tmp_path, *rows((at(1.0), at(2.0)), (at(3.0), at(4.0)), (at(5.0), at(6.0))))
    wrong = NymeriaTimeMap(files.NAME, files.OFFSET_NS - 1_689_000_000_000, 0.0, "first_row")
    with pytest.raises(ValueError, match=r"3 of 3 rows lie outside the motion of 10\.0 s.*first_row"):
        read_narrations(tmp_path, wrong, files.START_US, 10.0)


def test_all_text_columns_of_all_files(tmp_path):
    columns = ["Start_Time ", "end_time", "Describe My body posture", "describe my hands/arms  motion"]
    columns += ["Describe my legs/feet motion", "Describe my focus attention", "annotator"]
    path = tmp_path / "narration" / "motion_narration.csv"
    files.write_csv(path, columns, [[at(1.0), at(2.0), "upright", "", "walks", "the door", "7"]])
    atomic(tmp_path, *rows((at(0.5), at(1.5))))
    kinds = ("motion_narration", "atomic_action", "activity_summarization")
    narrations, counts = read_narrations(tmp_path, EXACT, files.START_US, 10.0, kinds)
    assert [n.text for n in narrations] == ["C waves.", "upright", "walks", "the door"]
    assert (counts.read, counts.empty) == (4, 1)
    assert [n.text for n in read_narrations(tmp_path, EXACT, files.START_US, 10.0)[0]] == ["C waves."]
    with pytest.raises(ValueError, match="kinds must be among"):
        read_narrations(tmp_path, EXACT, files.START_US, 10.0, ("poem",))


@pytest.mark.parametrize("column", ["start_time", "end_time", "Describe my atomic actions"])
def test_names_the_missing_column(tmp_path, column):
    columns = ["start_time", "end_time", "Describe my atomic actions"]
    columns[columns.index(column)] = "other"
    atomic(tmp_path, *rows((at(1.0), at(2.0))), columns=columns)
    with pytest.raises(ValueError, match=rf"atomic_action\.csv: no column '{column}'"):
        read_narrations(tmp_path, EXACT, files.START_US, 10.0)


def test_empty_and_foreign_files(tmp_path):
    path = tmp_path / "narration" / "atomic_action.csv"
    path.parent.mkdir()
    path.write_bytes(b"")
    assert read_narrations(tmp_path, EXACT, files.START_US, 10.0)[0] == []
    path.write_bytes(b"\xff\xfe\x00\x01\x80")
    with pytest.raises(ValueError, match=r"atomic_action\.csv"):
        read_narrations(tmp_path, EXACT, files.START_US, 10.0)


def test_wearer_gets_a_name():
    names = {name_wearer("C opens C's bag. Then C, tired, rests.", np.random.default_rng(seed)) for seed in range(20)}
    assert names == {
        f"{first} opens the {noun}'s bag. Then the {noun}, tired, rests."
        for first, noun in (("A person", "person"), ("A human", "human"), ("An individual", "individual"))
    }
    kept = "The C-shaped chair, vitamin-C, C++ and ABC"
    assert name_wearer(kept, np.random.default_rng(0)) == kept
    assert name_wearer("Then C stops. C rests", np.random.default_rng(0)).startswith("Then a")


def test_time_map_survives_saving(tmp_path):
    time_map = NymeriaTimeMap(files.NAME, -5, 1.5, "vrs")
    path = tmp_path / "new" / "map.json"
    time_map.save(path)
    assert NymeriaTimeMap.load(path, files.NAME) == time_map
    assert [file.name for file in path.parent.iterdir()] == ["map.json"]
    with pytest.raises(ValueError, match="maps the sequence"):
        NymeriaTimeMap.load(path, "another")


@pytest.mark.parametrize(
    "change",
    [
        {"drift_ppm": 5000}, {"drift_ppm": float("nan")}, {"drift_ppm": "1"}, {"head_device_to_timecode_offset_ns": 1.5},
        {"head_device_to_timecode_offset_ns": True}, {"source": None}, {"sequence": 3}, {"extra": 1},
    ],
)  # fmt: skip
def test_damaged_time_maps_are_refused(tmp_path, change):
    content = {"sequence": "s", "head_device_to_timecode_offset_ns": 1, "drift_ppm": 0.0, "source": "vrs"} | change
    path = tmp_path / "map.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"map\.json: not a time map"):
        NymeriaTimeMap.load(path)
    for text in ("", "[1]", '{"sequence": "s"}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"map\.json: not a time map"):
            NymeriaTimeMap.load(path)
