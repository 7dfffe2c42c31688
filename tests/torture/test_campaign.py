"""A short slice of the campaign, and proof that it would see a result that is lost, altered, hung or left half."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from torture import campaign
from torture.commands import COMMANDS, Command, fixed
from torture.comparison import differences, digest
from torture.faults import FAULTS, possible
from torture.page import page

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads /proc, which Linux has")


def careful(words):
    """Three files, each whole or not there, and none made twice."""
    for number in range(3):
        text = Path(f"in/{number}.txt").read_text()
        draft, path = Path(f"out/{number}.part"), Path(f"out/{number}.txt")
        if not path.is_file():
            time.sleep(0.01)
            draft.write_text(text * 20)
            os.replace(draft, path)


def in_place(words):
    """Writes in place and trusts what it finds."""
    for number in range(3):
        path = Path(f"out/{number}.txt")
        if not path.is_file():
            with path.open("w") as file:
                file.write("begun ")
                file.flush()
                Path("out/log").mkdir(exist_ok=True)
                file.write(Path(f"in/{number}.txt").read_text() * 2000)


def skips_what_is_gone(words):
    """Takes a missing input for none."""
    names = [path for path in (Path(f"in/{number}.txt") for number in range(3)) if path.is_file()]
    Path("out/all.txt").write_text("".join(path.read_text() for path in names if path.is_file()))


def locked_out(words):
    """Leaves a lock that a killed run never removes."""
    lock = Path("out/lock.txt")
    if lock.is_file():
        raise SystemExit(2)
    lock.write_text("mine")
    Path("out/a.txt").write_text(Path("in/0.txt").read_text())
    lock.unlink()


def three_texts(place):
    (place / "in").mkdir()
    for number in range(3):
        (place / "in" / f"{number}.txt").write_text(f"{number} " * 50)


def tortured(program, faults, folder, monkeypatch, trials=5):
    """Reports of a command of this file."""
    monkeypatch.setattr(campaign, "COMMANDS", {"own": Command("own", fixed(), three_texts, program)})
    monkeypatch.setattr(campaign, "IMPORTS", ())
    return campaign.run(folder, 5, 0, faults=faults, most=trials, say=False)


@pytest.mark.slow
def test_a_careful_command_survives_every_fault(tmp_path, monkeypatch):
    faults = [name for name in FAULTS if name not in ("two at once", "low memory")]
    possible = [name for name in faults if name not in ("worker killed", "interrupt at a bar")]
    report = tortured(careful, faults, tmp_path, monkeypatch, len(possible))
    assert [one for one in report.findings if one["kind"] not in ("unclear", "left_over")] == []
    total = report.total()
    assert total["equal"] == total["trials"] == report.done == len(possible) and total["killed"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "program, fault, kind",
    [
        (in_place, "kill at a change", "different"),
        (in_place, "full disk", "different"),
        (skips_what_is_gone, "vanishing input", "different"),
        (locked_out, "kill at a change", "lost"),
    ],
)
def test_a_careless_command_is_found_out(tmp_path, monkeypatch, program, fault, kind):
    report = tortured(program, [fault], tmp_path, monkeypatch)
    assert kind in {one["kind"] for one in report.findings}
    assert report.total()["equal"] < report.done


@pytest.mark.slow
def test_a_command_that_never_ends_is_ended_and_counted(tmp_path, monkeypatch):
    def waits(words):
        if Path("out/begun").is_file():
            time.sleep(60)
        Path("out/begun").write_text("x")

    monkeypatch.setattr("torture.faults.Attempt.patience", 0.3)
    report = tortured(waits, ["two at once"], tmp_path, monkeypatch, 1)
    assert "hung" in {one["kind"] for one in report.findings}


def test_what_cannot_be_repeated_is_refused(tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="two undisturbed runs differ"):
        tortured(lambda words: Path("out/a").write_text(str(time.time_ns())), ["full disk"], tmp_path, monkeypatch)
    with pytest.raises(RuntimeError, match="fails without any fault"):
        tortured(lambda words: 1 / 0, ["full disk"], tmp_path / "b", monkeypatch)


@pytest.mark.slow
def test_a_stopped_campaign_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch):
    faults = ["kill at a change", "clock set back"]
    tortured(careful, faults, tmp_path / "a", monkeypatch, 2)
    first = tortured(careful, faults, tmp_path / "a", monkeypatch, 5)
    whole = tortured(careful, faults, tmp_path / "b", monkeypatch, 5)
    assert first.done == whole.done == 5
    assert first.total()["trials"] == 5 and {k: set(v) for k, v in first.counts.items()} == {
        k: set(v) for k, v in whole.counts.items()
    }


@pytest.mark.slow
def test_other_code_begins_a_new_campaign(tmp_path, monkeypatch):
    tortured(careful, ["clock set back"], tmp_path, monkeypatch, 2)
    monkeypatch.setattr(campaign, "code_hash", lambda: "other")
    assert tortured(careful, ["clock set back"], tmp_path, monkeypatch, 1).done == 1


def test_times_may_differ_and_nothing_else(tmp_path):
    for name, seconds, loss in (("a", 1.0, 0.5), ("b", 2.0, 0.5), ("c", 1.0, 0.6)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps({"seconds": seconds, "loss": [{"x": loss}]}))
        (tmp_path / name / "x.lock").write_text(name)
    a, b, c = (digest(tmp_path / name) for name in "abc")
    assert a == b and differences(c, a) == {"other": ["metrics.json"]}
    assert differences({}, a) == {"missing": ["metrics.json"]}
    assert differences(a | {"y": "1"}, a) == {"left over": ["y"]}


def test_every_pair_comes_before_any_comes_again():
    pairs = [("a", "x"), ("a", "y"), ("b", "x")]
    numbers = iter(campaign.schedule(3, pairs))
    for first in (0, 3, 6):
        rounds = [next(numbers) for _ in pairs]
        assert [number for number, *_ in rounds] == list(range(first, first + 3))
        assert sorted(pair for _, *pair in rounds) == sorted(map(list, pairs))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tables", "recognize --manifest", "corpus", "train encoder", "build anymo-zeroshot"])
@pytest.mark.usefixtures("small_nano")
def test_nothing_is_lost_in_a_short_slice(tmp_path, monkeypatch, name):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    report = campaign.run(
        tmp_path, 5, np.random.default_rng(len(name)).integers(1000).item(), [name], most=4, say=False
    )
    assert report.findings == [] and report.total()["equal"] == report.done == 4


def test_the_page_is_that_of_the_results():
    root = Path(__file__).parents[2]
    told = json.loads((root / "results" / "torture.json").read_text())
    assert page(told) == (root / "docs" / "faults.md").read_text()
    assert told["total"]["lost"] == told["total"]["different"] == told["total"]["hung"] == 0
    assert set(told["by_command"]) <= set(COMMANDS) and set(told["by_fault"]) <= set(FAULTS)
    assert sum(part["trials"] for part in told["by_fault"].values()) == told["total"]["trials"]


def reads_through_a_link(words):
    """Reads a file by a link that lies elsewhere."""
    link = Path("elsewhere")
    link.unlink(missing_ok=True)
    link.symlink_to(Path("in/0.txt").absolute())
    Path("out/a.txt").write_text(link.read_text())


def test_a_file_vanishes_only_where_readings_are_seen(tmp_path, monkeypatch):
    report = tortured(reads_through_a_link, ["vanishing input"], tmp_path / "a", monkeypatch, 2)
    assert report.done == 2 and report.total()["refused"] >= 2 and report.total()["equal"] == 2
    known = campaign.reference(
        Command("none", fixed(), three_texts, lambda words: Path("out/a").touch()), tmp_path / "b"
    )
    assert known.reads == 0 and not possible("vanishing input", COMMANDS["corpus"], known)


def looks_late(words):
    """Reads a file of its own first, and only then looks for the others and reads them."""
    assert Path("in/0.txt").read_text()
    names = [path for path in sorted(Path("in").iterdir()) if path.name != "0.txt"]
    Path("out/all.txt").write_text("".join(path.read_text() for path in names))


@pytest.mark.slow
def test_a_file_does_not_vanish_before_the_command_has_seen_it(tmp_path, monkeypatch):
    report = tortured(looks_late, ["vanishing input"], tmp_path, monkeypatch, 5)
    assert {one["kind"] for one in report.findings} == {"unclear"}  # it lets the error through, and never skips a file
    assert report.total()["refused"] > 1 and report.total()["equal"] == report.done == 5
