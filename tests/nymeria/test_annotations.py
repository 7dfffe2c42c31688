"""Annotated windows: times that no clock shows are refused; where memory is too small for a thread nothing waits for one."""

import os
import shlex
import subprocess
import sys

import pandas as pd
import pytest

from anymo_hf.nymeria.annotations import by_session, find_sessions, read_annotations

NAME = "20230607_s0_james_johnson_act1_e72nhq"


@pytest.mark.parametrize(
    ("start", "end"),
    [("1", "inf"), ("-inf", "2"), ("1", "1e300"), ("-1e12", "2"), ("nan", "2"), ("2", "2"), ("noon", "2")],
)
def test_times_that_no_clock_shows_are_refused(tmp_path, start, end):
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "metadata.json").write_text('{"fake_name": "james_johnson"}')
    rows = pd.DataFrame({
        "session_id": [NAME] * 2, "subject_id": ["james_johnson"] * 2, "start_time_sec": ["1690000000.5", start],
        "end_time_sec": ["1690000005.5", end], "narration": ["a person walks"] * 2, "label": ["", ""],
    })  # fmt: skip
    rows[:1].to_csv(tmp_path / "sound.csv", index=False)
    (sound,) = read_annotations(tmp_path / NAME, tmp_path / "sound.csv")
    assert (sound.start, sound.end) == (1690000000.5, 1690000005.5)
    rows.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ValueError, match=rf"a\.csv.*row 2 of {NAME}: times are .*; give seconds"):
        read_annotations(tmp_path / NAME, tmp_path / "a.csv")


def _rows(name, count=3):
    return pd.DataFrame({
        "session_id": [name] * count, "start_time_sec": [1.69e9 + 10 * row for row in range(count)],
        "end_time_sec": [1.69e9 + 10 * row + 5 for row in range(count)],
        "narration": [f"a person walks, {row}" for row in range(count)], "label": [""] * count,
    })  # fmt: skip


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_copy_by_session_holds_the_same(tmp_path, ending):
    other = NAME.replace("act1", "act2")
    first, second = pd.concat([_rows(NAME), _rows(other)]), _rows(NAME, 5)[3:].assign(label="bowling")
    (tmp_path / "given").mkdir()
    for number, table in enumerate((first, second.drop(columns="narration"))):
        path = tmp_path / "given" / f"{number}.{ending}"
        table.to_csv(path, index=False) if ending == "csv" else table.to_parquet(path)
    copy = by_session(tmp_path / "given", tmp_path / "cache")
    for name in (NAME, other):
        (tmp_path / name).mkdir()
        assert read_annotations(tmp_path / name, copy) == read_annotations(tmp_path / name, tmp_path / "given")
    found = read_annotations(tmp_path / NAME, copy)
    assert [item.label for item in found] == [None] * 3 + ["bowling"] * 2
    assert [item.narration for item in found][2:] == ["a person walks, 2", "", ""]


@pytest.mark.parametrize("row", ["1,2", "1,2,,a cup,b", 'x,2,,"a cup'])
def test_a_row_of_another_length_is_refused(tmp_path, row):
    (tmp_path / NAME / "body").mkdir(parents=True)
    text = f"session_id,start_time_sec,end_time_sec,label,narration\n\n{NAME},1,2,,a cup\n"
    (tmp_path / "a.csv").write_text(text)
    assert len(read_annotations(tmp_path / NAME, tmp_path / "a.csv")) == 1
    (tmp_path / "a.csv").write_text(f"{text}{NAME},{row}\n")
    for read in (lambda file: read_annotations(tmp_path / NAME, file), lambda file: find_sessions(tmp_path, file)):
        with pytest.raises(ValueError, match=r"a\.csv: not a readable table \(.*\); write it again"):
            read(tmp_path / "a.csv")


_WITHOUT_A_THREAD = """
import os, resource, sys
from pathlib import Path
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from anymo_hf.annotation.windows_table import read_windows
from anymo_hf.interruption import lacks_memory
from anymo_hf.nymeria.annotations import by_session, find_sessions, read_annotations
from anymo_hf.recordings.windows_file import SCHEMA, read_windows_file

place, kind, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
file = place / f"a.{kind}"
pq.write_table(pa.Table.from_pylist([{"label": "a"}], SCHEMA), place / "windows.parquet")
size = 4096 * int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (size + (100 << 20),) * 2)
for read in (
    lambda: find_sessions(place, file),
    lambda: read_annotations(place / name, by_session(file, place / "cache")),
    lambda: read_windows(file),
    lambda: read_windows_file(place / "windows.parquet"),
):
    try:
        read()
    except Exception as error:
        if not lacks_memory(error) and "more memory than there is" not in str(error):
            raise
    print("ended")
"""


@pytest.mark.skipif(not os.path.isfile("/proc/self/statm"), reason="asks /proc for a process's memory")
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_memory_too_small_for_a_thread_is_no_reason_to_wait(tmp_path, ending):
    (tmp_path / NAME / "body").mkdir(parents=True)
    path = tmp_path / f"a.{ending}"
    _rows(NAME).to_csv(path, index=False) if ending == "csv" else _rows(NAME).to_parquet(path)
    words = shlex.join([sys.executable, "-c", _WITHOUT_A_THREAD, str(tmp_path), ending, NAME])
    ended = subprocess.run(  # a thread asks for 256 MB
        ["sh", "-c", f"ulimit -s 262144 && exec {words}"], capture_output=True, text=True, timeout=60
    )
    assert (ended.stdout.splitlines(), ended.returncode) == (["ended"] * 4, 0), ended.stderr
