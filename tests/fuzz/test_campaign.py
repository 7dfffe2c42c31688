"""A slice of `make fuzz`: every door's first files, and the campaign's own machinery on readers that misbehave."""

import json
import os
import pickle
import random
import re
import time
from pathlib import Path

import numpy as np
import pytest
from fuzz.campaign import SEED, campaign, page
from fuzz.door import Door, doors
from fuzz.mutations import GENERAL, PICKLE, RUN_ME, Link, mutate
from fuzz.worker import try_door

from anymo_hf.motion.formats import motion_formats
from anymo_hf.recordings.catalogue import DATASETS
from anymo_hf.recordings.devices.read_device import device_formats

SLICE = 20
unpickle, shell = pickle.loads, os.system  # what a reader may never do, for the watch to see


def tried(door, count=SLICE):
    found = []
    try_door(door, SEED, 0, count, time.monotonic() + 300, found.extend)
    assert [number for number, *_ in found] == list(range(count))
    return found


def test_every_registered_reader_has_a_door():
    names = " ".join(doors())
    assert not [name for name in DATASETS if f"dataset {name}" not in doors()]
    assert not [name for name in device_formats() if name not in names and name not in ("zipped", "json_lines")]
    assert not [name for name in motion_formats() if name not in names and name != "nymeria"]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(doors()))
def test_the_first_spoiled_files_are_read_or_refused(name):
    wrong = [result for result in tried(doors()[name]) if result[3].kind == "finding"]
    assert not wrong


def table(folder: Path) -> Path:
    (folder / "table.csv").write_text("".join(f"{n},{n * n}\n" for n in range(30)))
    return folder / "table.csv"


def misbehaving(read, **more):
    """A door whose reader accepts the sound file, and else does what `read` does."""

    def reader(path):
        sound = "".join(f"{n},{n * n}\n" for n in range(30)).encode()
        return 0.0 if not path.is_symlink() and path.read_bytes() == sound else read(path)

    return Door("misbehaving", table, reader, **more)


def sleep_at_work(path):
    while True:
        pass


def swallow_memory(path):
    return [bytearray(1 << 28) for _ in range(8)]


@pytest.mark.parametrize(
    ("read", "what"),
    [
        (lambda path: float("nan"), "NaN"),
        (lambda path: np.array([1.0, 1e12]), "values over"),
        (lambda path: {}["key"], "KeyError instead of a refusal"),
        (lambda path: float("x"), "from inside|no file"),
        (lambda path: json.loads("{"), "JSONDecodeError instead of a refusal"),
        (lambda path: unpickle(PICKLE), "of what a file said|outside its folder"),
        (lambda path: os.mkdir(path.parents[2] / "outside"), "outside its folder"),
        (lambda path: shell("true"), "os.system"),
        (lambda path: os.abort(), "the process dies"),
        (swallow_memory, "more than a gigabyte of memory"),
    ],
)
def test_what_no_reader_may_do_is_found(read, what):
    found = tried(misbehaving(read), 3)
    assert {verdict.kind for *_, verdict in found} == {"finding"}
    assert all(re.search(what, verdict.what) for *_, verdict in found), found


@pytest.mark.slow
def test_a_hang_is_ended_and_the_rest_is_tried(monkeypatch):
    monkeypatch.setattr("fuzz.worker.HANG", 0.5)
    found = tried(misbehaving(sleep_at_work), 2)
    assert all("over 0.5 s" in verdict.what for *_, verdict in found)


def test_other_values_than_an_independent_reading_are_a_finding():
    door = Door("sum", table, lambda path: {"rows": 30}, lambda path: {"rows": len(path.read_text().splitlines())})
    found = tried(door, 40)
    assert any("other rows than an independent reading" in verdict.what for *_, verdict in found)
    assert any(verdict.kind == "accepted" for *_, verdict in found)


def test_the_same_seed_gives_the_same_files_and_every_kind_changes_them(tmp_path):
    content = table(tmp_path).read_bytes()
    for number in range(300):
        first, again = (mutate("table.csv", content, random.Random(number)) for _ in range(2))
        assert first == again
    for kind, _ in GENERAL.values():
        spoiled = {str(kind(content, random.Random(number))) for number in range(20)}
        assert spoiled != {str(content)}
    assert any(isinstance(mutate("a", content, random.Random(n))[1], Link) for n in range(300))


def test_a_campaign_goes_on_where_it_stopped(tmp_path):
    door = Door("count", table, lambda path: float(len(path.read_bytes())))
    report = tmp_path / "fuzz.json"
    first = campaign({"count": door}, 1, most=15, report=report)
    rest = campaign({"count": door}, 1, most=40, report=report)
    whole = campaign({"count": door}, 1, most=40, report=tmp_path / "whole.json")
    assert first["doors"]["count"]["mutations"] == 15
    without = [
        {key: value for key, value in one["doors"]["count"].items() if key != "seconds"} for one in (rest, whole)
    ]
    assert without[0] == without[1] and without[0]["mutations"] == 40
    assert "| count | 40 |" in page(whole)
    assert not list(tmp_path.rglob(RUN_ME))
