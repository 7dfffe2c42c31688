"""`anymo export`: what a user sees."""

import pytest
from support.program import refused
from support.tiny_release import make_shallow_tokenizer

pytestmark = pytest.mark.slow


def test_onnx_is_written(anymo, tmp_path):
    for name in ("onnx", "onnxscript"):
        pytest.importorskip(name)
    make_shallow_tokenizer(channels=(8, 16), strides=(2, 2)).save_pretrained(tmp_path / "checkpoint")
    code, out, err = anymo("export", "onnx", tmp_path / "checkpoint", tmp_path / "out")
    assert code == 0, err
    assert out == f"written: {tmp_path / 'out/tokenizer.onnx'}\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["preprocessing.json", "tokenizer.onnx"]


def test_errors_are_one_line(anymo, tmp_path):
    refused(anymo("export", "torch", tmp_path / "none", tmp_path / "out"), f"{tmp_path / 'none'}: no such folder")
    assert not (tmp_path / "out").exists()
