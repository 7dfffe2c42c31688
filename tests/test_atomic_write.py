"""A file is replaced whole, or stays as it was and nothing is left beside it."""

import json
import multiprocessing
import os
import sys
from pathlib import Path

import pytest
from support.forked import forked

from anymo_hf import atomic_write
from anymo_hf.atomic_write import replacing, replacing_folder, write_json, write_text


def test_what_is_written_is_there_and_nothing_else(tmp_path):
    path = write_json(tmp_path / "new" / "folder" / "a.json", {"é": [1, 2.5]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"é": [1, 2.5]} and path.read_bytes().endswith(b"}\n")
    write_text(path, "later\n")
    assert path.read_text() == "later\n" and [*path.parent.iterdir()] == [path]


def test_an_error_leaves_the_old_file_alone(tmp_path):
    path = write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError), replacing(path) as draft:
        draft.write_text("half")
        raise RuntimeError
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert path.read_text() == "old" and [*tmp_path.iterdir()] == [path]


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_replaced_whole_or_stays_as_it_was(tmp_path):
    for content in ({"a": "1", "b": "2"}, {"a": "3"}):
        with replacing_folder(tmp_path / "new" / "made") as draft:
            for name, text in content.items():
                (draft / name).write_text(text)
        assert files_of(tmp_path / "new") == {f"made/{name}": text for name, text in content.items()}
    with pytest.raises(RuntimeError), replacing_folder(tmp_path / "new" / "made") as draft:
        (draft / "a").write_text("half")
        raise RuntimeError
    assert files_of(tmp_path) == {"new/made/a": "3"} and len([*tmp_path.rglob("*")]) == 3


def test_writers_at_a_time_have_a_name_each(tmp_path, monkeypatch):
    with replacing(tmp_path / "a") as first:
        monkeypatch.setattr("os.getpid", lambda: 1)
        with replacing(tmp_path / "a") as second:
            first.write_text("first")
            second.write_text("second")
        assert (tmp_path / "a").read_text() == "second"
    assert files_of(tmp_path) == {"a": "first"}


@pytest.mark.slow
def test_what_a_killed_process_left_goes_with_the_next_write_and_what_another_writes_stays(tmp_path, tmp_path_factory):
    said = tmp_path_factory.mktemp("said") / "draft"
    writes, go_on = (multiprocessing.get_context("fork").Event() for _ in range(2))

    def write(killed):
        with replacing(tmp_path / "a.json") as draft:
            draft.write_text("half")
            said.write_text(str(draft))
            if killed:
                os.kill(os.getpid(), 9)
            writes.set()
            assert go_on.wait(60)

    killed = forked(write, True)
    killed.join()
    assert killed.exitcode == -9 and Path(said.read_text()).is_file()
    other = forked(write, False)
    try:
        assert writes.wait(60)
        writing = Path(said.read_text())
        foreign = tmp_path / ".a.json.elsewhere.1.part"
        foreign.write_text("of another machine")
        write_json(tmp_path / "b.json", 1)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([writing.name, foreign.name, "b.json"])
        go_on.set()
        other.join(60)
        assert other.exitcode == 0
    finally:
        other.kill()
    assert (tmp_path / "a.json").read_text() == "half" and not writing.exists()


def killed_at(moment: int, path: Path, exchanges: bool) -> bool:
    """Whether a process that replaces the folder meets SIGKILL after so many changes of the disk; False if it ends."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert status in (0, 9)
        return status == 9
    left, exchange = moment, atomic_write._exchanged

    def count(event, arguments):
        nonlocal left
        if event in ("os.rename", "os.rmdir", "os.remove", "os.mkdir"):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), 9)

    def exchange_or_not(*paths):
        count("os.rename", paths)
        return exchanges and exchange(*paths)

    try:
        atomic_write._exchanged = exchange_or_not
        sys.addaudithook(count)
        with replacing_folder(path) as draft:
            for name in ("a", "b"):
                (draft / name).write_text("new")
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("exchanges", [True, False])
def test_a_kill_at_any_step_leaves_the_old_folder_or_the_new_one(tmp_path, exchanges):
    old, new = {"a": "old", "c": "old"}, {"a": "new", "b": "new"}
    seen, gone, killed = [], 0, True
    while killed:
        folder = tmp_path / str(len(seen))
        for name, text in old.items():
            write_text(folder / "made" / name, text)
        killed = killed_at(len(seen), folder / "made", exchanges)
        gone += not (folder / "made").exists()
        atomic_write._sweep.cache_clear()  # as a later process begins
        write_text(folder / "other", "").unlink()
        seen.append(files_of(folder / "made"))
        assert seen[-1] in (old, new) and [*folder.iterdir()] == [folder / "made"]
    assert seen[0] == old and seen[-1] == new and len(seen) > 4 and old in seen[1:]
    assert gone == (not exchanges)
