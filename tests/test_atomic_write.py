"""A file is replaced whole, or stays as it was and nothing is left beside it."""

import json

import pytest

from anymo_hf.atomic_write import replacing, write_json, write_text


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
