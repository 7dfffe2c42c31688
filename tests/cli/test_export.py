"""`anymo export`: what a user sees."""

import pytest
from support.program import refused
from support.tiny_release import make_shallow_tokenizer

pytestmark = pytest.mark.slow


def test_a_program_is_written(anymo, tmp_path):
    """The other kind, ONNX, is written by the command in `tests/modeling/test_export_anymo.py`, and then run."""
    make_shallow_tokenizer(channels=(8, 16), strides=(2, 2)).save_pretrained(tmp_path / "checkpoint")
    code, out, err = anymo("export", "torch", tmp_path / "checkpoint", tmp_path / "out")
    assert code == 0, err
    assert out == f"written: {tmp_path / 'out/tokenizer.pt2'}\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["preprocessing.json", "tokenizer.pt2"]


def test_the_installed_checkpoint_answers_to_its_name_in_any_folder(anymo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cat.png").write_bytes(b"")  # refused after the checkpoint was found, before it is traced
    refused(anymo("export", "torch", "anymo", tmp_path / "out"), "out: holds something else than an export")


def test_errors_are_one_line(anymo, tmp_path):
    refused(anymo("export", "torch", tmp_path / "none", tmp_path / "out"), f"{tmp_path / 'none'}: no such folder")
    assert not (tmp_path / "out").exists()
