"""`anymo stream`: a line per hop as samples come, equal to `AnyMoStream`; bad input in one line."""

import io
import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from support.forked import forked, forked_program
from support.program import COLUMNS, refused, samples, write_csv

from anymo_hf import AnyMoStream, cli

USUAL = ["--placement", "left_wrist", "--rate", 50, "--window", 2, "--hop", 1.5, "--labels", "walking, sitting"]


def test_a_file_gives_the_events_of_the_stream(anymo, tiny_release, walk):
    code, out, err = anymo("stream", walk, *USUAL, "--captions", "--model", tiny_release, "--json")
    assert code == 0 and not err
    rows = [json.loads(line) for line in out.splitlines()]
    labels = ["walking", "sitting"]
    stream = AnyMoStream.from_pretrained(
        tiny_release, placements="left_wrist", sampling_rate=50, window=2, hop=1.5, labels=labels, captions=True
    )
    signal = np.loadtxt(walk, delimiter=",", skiprows=1)
    events = stream.push(signal) + stream.flush()
    assert [(row["start"], row["end"]) for row in rows] == [(0, 2), (1.5, 3.5), (3, 5)] and len(events) == 3
    for row, event in zip(rows, events, strict=True):
        assert row["codes"] == event.codes.tolist() and row["caption"] == event.caption
        assert {item["label"]: item["score"] for item in row["labels"]} == event.scores
    code, out, err = anymo("stream", walk, *USUAL, "--top-k", 1, "--model", tiny_release)
    assert code == 0 and not err
    first, *_, last = out.splitlines()
    assert first.startswith(f"0.00-2.00 s  {events[0].label} {events[0].scores[events[0].label]:.3f}  (")
    assert last.startswith("3.00-5.00 s  ")


def test_time_stamps_date_the_answers_and_find_pauses(anymo, tiny_release, tmp_path):
    rows, stamps = samples(300), 1000 + 20.0 * np.arange(300)
    stamps[150:] += 5000
    rows = np.column_stack([stamps, rows[:, ::-1]])
    header = ",".join(["ms", *COLUMNS.split(",")[::-1]])
    file = write_csv(tmp_path / "pause.csv", rows, header)
    words = [
        "stream",
        file,
        *USUAL,
        "--columns",
        COLUMNS,
        "--time-column",
        "ms",
        "--time-unit",
        "ms",
        "--model",
        tiny_release,
    ]
    code, out, err = anymo(*words, "--json", "--on-gap", "reset")
    assert code == 0 and not err
    spans = [(row["start"], row["end"]) for row in map(json.loads, out.splitlines())]
    assert spans == [(1, 3), (9, 11), (10.5, 12)]
    code, out, err = anymo(*words)
    assert code == 2 and out.startswith("1.00-3.00 s") and out.count("\n") == 1
    said = f"{file}, line 152: 'left_wrist': timestamps (in seconds) pause for 5.020 s after 3.980 s; begin anew"
    assert f"{said} behind it, or always by --on-gap reset" in err
    slow = [*words[: words.index("--rate") + 1], 40, *words[words.index("--rate") + 2 :]]
    code, out, err = anymo(*slow)
    assert code == 2 and "Hz, --rate 40 does not; correct it, or begin anew behind lost samples\n" in err


def test_dates_are_time_stamps_too(anymo, tiny_release, tmp_path):
    rows = samples(300)
    first = datetime(2024, 5, 1, 12, 30, tzinfo=UTC)
    dates = [(first + timedelta(seconds=i / 50 + 5 * (i >= 150))).isoformat() for i in range(300)]
    lines = [f"{date},{','.join(map(str, row))}" for date, row in zip(dates, rows, strict=True)]
    file = tmp_path / "dates.csv"
    file.write_text("\n".join([f"when,{COLUMNS}", *lines]))
    words = ["stream", file, *USUAL, "--time-column", "when", "--on-gap", "reset", "--model", tiny_release, "--json"]
    code, out, err = anymo(*words)
    assert code == 0 and not err
    spans = [
        (row["start"] - first.timestamp(), row["end"] - first.timestamp()) for row in map(json.loads, out.splitlines())
    ]
    assert np.allclose(spans, [(0, 2), (8, 10), (9.5, 11)], atol=1e-3)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda rows: [";".join(row).replace(".", ",") for row in rows], []),
        (lambda rows: ["|".join(row).replace(".", ",") for row in rows], ["--separator", "|", "--decimal", ","]),
        (lambda rows: ["# my logger", "# 2 of 3", "", *map("\t".join, rows)], []),
        (lambda rows: ["left,right,none,a,b,c", "a,b,c,d,e,f", *map(",".join, rows)], ["--header-row", "3"]),
        (lambda rows: ["Sampling rate: 50 Hz", *map(",".join, rows)], ["no rate"]),
    ],
)  # fmt: skip
def test_tables_are_laid_out_as_files_are(anymo, tiny_release, walk, tmp_path, edit, words):
    rows = [line.split(",") for line in walk.read_text().splitlines()[:130]]
    other = tmp_path / "other.csv"
    other.write_text("\n".join(edit(rows)) + "\n")
    usual = USUAL[:2] + USUAL[4:] if words == ["no rate"] else USUAL
    words = [] if words == ["no rate"] else words
    first = tmp_path / "first.csv"
    first.write_text("\n".join(map(",".join, rows)) + "\n")
    (_, expected, _), (code, out, err) = (
        anymo("stream", file, *more, "--model", tiny_release, "--json")
        for file, more in ((first, USUAL), (other, [*usual, *words]))
    )
    assert code == 0 and not err
    found, wanted = ([json.loads(line) for line in text.splitlines()] for text in (out, expected))
    assert [row["codes"] for row in found] == [row["codes"] for row in wanted] and len(wanted) == 2


def test_columns_without_names_are_taken_by_place_and_said(anymo, tiny_release, walk, tmp_path):
    lines = walk.read_text().splitlines()[:111]
    bare = tmp_path / "bare.csv"
    bare.write_text("\n".join(lines[1:]) + "\n")
    code, out, err = anymo("stream", bare, *USUAL, "--model", tiny_release)
    assert code == 0 and out.startswith("0.00-2.00 s  ")
    assert "names no columns" in err and err.count("\n") == 1


def stream_from(pipe, other_end, *words):
    """`anymo stream -` that reads a pipe and writes what it prints in blocks, as to a file, unless it is flushed."""
    os.close(other_end)
    os.dup2(pipe, 0)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.argv = ["anymo", "stream", "-", *map(str, words)]
    cli.main()


@pytest.mark.slow
def test_answers_come_while_samples_arrive(tiny_release, walk, tmp_path):
    lines = walk.read_text().splitlines(keepends=True)
    out, err = tmp_path / "out", tmp_path / "err"
    pipe, write_end = os.pipe()
    live = forked(stream_from, pipe, write_end, *USUAL, "--model", tiny_release, out=out, err=err)
    os.close(pipe)
    try:
        with open(write_end, "w") as samples_now:
            samples_now.writelines(lines[:101])
            samples_now.flush()
            until = time.monotonic() + 120
            while (
                not (out.exists() and out.read_text().endswith("\n")) and live.is_alive() and time.monotonic() < until
            ):
                time.sleep(0.02)
            assert out.read_text().startswith("0.00-2.00 s  "), err.read_text()  # while the pipe is still open
            samples_now.writelines(lines[101:151])
        live.join(120)
    finally:
        live.kill()
    assert live.exitcode == 0, err.read_text()
    first, rest = out.read_text().splitlines()
    assert rest.startswith("1.50-3.00 s  ")


@pytest.mark.slow
def test_a_reader_that_leaves_and_ctrl_c_end_it_quietly(anymo, tiny_release, walk, tmp_path, monkeypatch):
    lines = walk.read_text().splitlines(keepends=True)

    def interrupted():
        yield from lines[:130]
        raise KeyboardInterrupt

    class Keyboard(io.StringIO):
        def __iter__(self):
            return interrupted()

    monkeypatch.setattr(sys, "stdin", Keyboard())
    code, out, err = anymo("stream", "-", *USUAL, "--model", tiny_release)
    assert code == 0 and not err
    assert [line.split()[0] for line in out.splitlines()] == ["0.00-2.00", "1.50-2.58"]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    words = ("stream", walk, *USUAL, "--hop", 0.02, "--model", tiny_release)
    left = forked_program(cli.main, *words, out=pipe, err=tmp_path / "err")
    try:
        with pipe.open() as reader:
            assert reader.readline()
        left.join(120)
        assert left.exitcode == 0 and not (tmp_path / "err").read_text()
    finally:
        left.kill()


def test_a_wrong_unit_is_warned_about(anymo, tiny_release, walk):
    code, out, err = anymo("stream", walk, *USUAL, "--acceleration-unit", "g", "--model", tiny_release)
    assert code == 0 and out and "anymo: warning: median acceleration is" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "words", "parts"),
    [
        ("", [], ["bad.csv: empty; the first line must name the columns"]),
        ("1,2,3\n4,5,6\n", [], ["no acceleration columns", "the first line must name them"]),
        (f"{COLUMNS}\n", ["--columns", "acc_x,acc_y,up"], ["['up'] do not fit"]),
        (f"{COLUMNS}\n", ["--columns", "acc_x,acc_y"], ["need 3 or 6 columns"]),
        (f"{COLUMNS}\n", ["--time-column", "when"], ["--time-column 'when' is not among"]),
        (f"{COLUMNS}\n", ["--header-row", "9"], ["--header-row must lie between", "got 9"]),
        (f"{COLUMNS}\n", ["--separator", "dash"], ["--separator must be one character"]),
        (f"{COLUMNS}\n", ["--decimal", ";"], ["--decimal must be '.' or ','"]),
        (f"{COLUMNS}\n", ["--acceleration-unit", "feet"], ["acceleration_unit must be one of"]),
        (f"{COLUMNS}\n", ["--time-unit", "h"], ["--time-unit must be one of s, ms, us, ns"]),
        (f"{COLUMNS}\n", ["--placement", "tail"], ["unknown placement 'tail'"]),
        (f"{COLUMNS}\n", ["--wrist", "elbow"], ["'elbow' is not one of 'forearm', 'hand'"]),
        (f"{COLUMNS}\n", ["--model", "nowhere"], ["no such folder"]),
        (f"{COLUMNS}\n", ["--rate", "2"], ["--rate must lie between 5 and 10,000 samples"]),
        (f"{COLUMNS}\n", ["--hop", "0"], ["hop must be at least one sample"]),
        (f"{COLUMNS}\n", ["--window", "60"], ["max_window_seconds is 6"]),
        (f"{COLUMNS}\n1,2,3,4,5,6\n", [], ["1 samples at 50 Hz are under one second"]),
        (f"{COLUMNS}\n1,2,3,4,5,6\n\n1,2,3\n", [], ["bad.csv, line 4: 3 fields instead of 6"]),
        (f"{COLUMNS}\n1,2,3,4,5,up\n", [], ["bad.csv, line 2: 'up' is no number; repair the line"]),
        (f"{COLUMNS}\n1,2,3,4,5,6\n", ["--on-gap", "reset"], ["--on-gap reset needs --time-column"]),
        (f"{COLUMNS}\n1,2,3,4,5,6\n", ["--on-gap", "jump"], ["--on-gap must be raise or reset, got 'jump'"]),
        (
            f"t,{COLUMNS}\nnoon,1,2,3,4,5,6\n",
            ["--time-column", "t"],
            ["line 2: 'noon' is neither a number nor an ISO date-time", "repair the line"],
        ),
        (
            f"{COLUMNS}\n1,2,3,4,5,6\n1,2,3,4,5,nan\n",
            [],
            ["line 3: 'left_wrist': NaN or infinite value at 0.020 s; interpolate"],
        ),
    ],
)
def test_bad_input_is_one_line(anymo, tiny_release, tmp_path, content, words, parts):
    file = tmp_path / "bad.csv"
    file.write_text(content)
    refused(anymo("stream", file, *USUAL, "--model", tiny_release, *words), *parts)


def test_files_that_cannot_be_read(anymo, tiny_release, tmp_path):
    refused(anymo("stream", tmp_path, *USUAL, "--model", tiny_release), "is a folder; give one table, or -")
    refused(anymo("stream", tmp_path / "none.csv", *USUAL, "--model", tiny_release), "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00\xd8")
    refused(
        anymo("stream", tmp_path / "bytes.csv", *USUAL, "--model", tiny_release),
        "bytes.csv, line 1: not a readable CSV",
    )
