"""`anymo export`: what a user sees."""

import subprocess
import sys

import pytest
import torch

from anymo_hf.modeling.configuration_anymo import AnyMoPQVAEConfig, AnyMoSTGCNConfig
from anymo_hf.modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from anymo_hf.modeling.modeling_pqvae import AnyMoPQVAEModel
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNModel

pytestmark = pytest.mark.slow

# as `anymo` runs it: an error is one line and ends with 2
PROGRAM = """
import sys
from anymo_hf import cli
sys.argv[0] = "anymo"
cli.main()
"""


def _export(*arguments):
    command = [sys.executable, "-c", PROGRAM, "export", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    stgcn = AnyMoSTGCNModel(AnyMoSTGCNConfig(channels=[4, 8], strides=[2, 2]))
    pqvae = AnyMoPQVAEModel(AnyMoPQVAEConfig(input_dim=8, bottleneck_dim=4, codebook_size=8, decoder_dim=8))
    path = tmp_path_factory.mktemp("checkpoint")
    AnyMoFeatureExtractor(stgcn, pqvae).save_pretrained(path)
    return path


def test_onnx_is_written(folder, tmp_path):
    for name in ("onnx", "onnxscript"):
        pytest.importorskip(name)
    done = _export("onnx", folder, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"written: {tmp_path / 'out/tokenizer.onnx'}\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["preprocessing.json", "tokenizer.onnx"]


def test_errors_are_one_line(folder, tmp_path):
    failed = _export("torch", tmp_path / "none", tmp_path / "out")
    assert failed.returncode == 2 and failed.stderr.startswith(f"anymo: {tmp_path / 'none'}: no such folder")
    assert len(failed.stderr.splitlines()) == 1 and not (tmp_path / "out").exists()
