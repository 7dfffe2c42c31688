"""Tables of narrated windows: three formats, defaults, and every broken row named."""

import json

import pandas as pd
import pytest

from anymo_hf.annotation.windows_table import COLUMNS, annotate_rows, read_windows, write_table

ROWS = [
    {"sequence": "20230607_s0_james_johnson_act1_abc123", "start": 5.0, "end": 9.5, "text": "C  sits\ndown."},
    {"sequence": "20230607_s0_james_johnson_act1_abc123", "start": 0.25, "end": 5.0, "text": "C walks."},
    {"sequence": "own", "start": 1, "end": 2, "text": "null"},
]


def write_rows(folder, kind, rows=None):
    path, rows = folder / f"windows.{kind}", ROWS if rows is None else rows
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    else:
        pd.DataFrame(rows).to_parquet(path, index=False)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_all_formats_give_the_same_sorted_rows(tmp_path, kind):
    table = read_windows(write_rows(tmp_path, kind))
    assert tuple(table.columns) == COLUMNS
    assert table["narration"].tolist() == ["C walks.", "C sits down.", "null"]
    assert table["subject_id"].tolist() == ["james_johnson", "james_johnson", "own"]
    assert table["start_time_sec"].tolist() == [0.25, 5.0, 1.0]
    assert table["sample_id"][2] == "own_00001000_00002000" and table["sample_id"].is_unique


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_given_ids_are_kept_as_text(tmp_path, kind):
    rows = [ROWS[2] | {"sample_id": "007", "session_id": "0012", "subject_id": "03"}]
    table = read_windows(write_rows(tmp_path, kind, rows))
    assert table.loc[0, ["sample_id", "session_id", "subject_id"]].tolist() == ["007", "0012", "03"]


def test_what_is_written_is_read_again(tmp_path):
    table = read_windows(write_rows(tmp_path, "csv"))
    write_table(table, tmp_path / "again.parquet")
    pd.testing.assert_frame_equal(read_windows(tmp_path / "again.parquet"), table, check_dtype=False)
    full = annotate_rows(table, dict.fromkeys(table["narration"], list("abcde")), ["sitting", None, "lying"])
    assert full["label"].tolist() == ["sitting", None, "lying"] and full["augmentations"][1] == list("abcde")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": " "}, "row 2 of 3: narration is empty; fill it in"),
        ({"text": None}, "row 2 of 3: narration is empty"),
        ({"sequence": ""}, "row 2 of 3: session_id is empty"),
        ({"start": "soon"}, "row 2 of 3: start_time_sec is no number"),
        ({"end": float("inf")}, "row 2 of 3: end_time_sec is no number"),
        ({"end": 0.25}, "row 2 of 3: ends before it starts"),
        (ROWS[0], "row 2 of 3: its sample_id is that of another row"),
    ],
)
def test_broken_rows_are_named_with_the_mend(tmp_path, change, message):
    with pytest.raises(ValueError, match=f"windows.csv, {message}"):
        read_windows(write_rows(tmp_path, "csv", [ROWS[0], ROWS[1] | change, ROWS[2]]))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="must be .jsonl, .csv or .parquet"):
        read_windows(tmp_path / "a.txt")
    with pytest.raises(OSError, match="no such file"):
        read_windows(tmp_path / "a.csv")
    with pytest.raises(ValueError, match="no column text; it has sequence, start, end|no column text"):
        read_windows(write_rows(tmp_path, "csv", [{"sequence": "a", "start": 0, "end": 1}]))
    for kind in ("parquet", "jsonl", "csv"):
        path = tmp_path / f"broken.{kind}"
        path.write_bytes(b"" if kind == "csv" else b'{"sequence": "a", \xff')
        with pytest.raises(OSError, match=f"not a readable {kind}"):
            read_windows(path)
    (tmp_path / "head.csv").write_text("sequence,start,end,text\n")
    with pytest.raises(ValueError, match="holds no row"):
        read_windows(tmp_path / "head.csv")
