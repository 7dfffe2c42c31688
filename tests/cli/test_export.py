"""`anymo export`: what a user sees."""

import pytest
import torch
from support.program import refused

from anymo_hf.modeling.configuration_anymo import AnyMoPQVAEConfig, AnyMoSTGCNConfig
from anymo_hf.modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from anymo_hf.modeling.modeling_pqvae import AnyMoPQVAEModel
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNModel

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    stgcn = AnyMoSTGCNModel(AnyMoSTGCNConfig(channels=[4, 8], strides=[2, 2]))
    pqvae = AnyMoPQVAEModel(AnyMoPQVAEConfig(input_dim=8, bottleneck_dim=4, codebook_size=8, decoder_dim=8))
    path = tmp_path_factory.mktemp("checkpoint")
    AnyMoFeatureExtractor(stgcn, pqvae).save_pretrained(path)
    return path


def test_onnx_is_written(anymo, folder, tmp_path):
    for name in ("onnx", "onnxscript"):
        pytest.importorskip(name)
    code, out, err = anymo("export", "onnx", folder, tmp_path / "out")
    assert code == 0, err
    assert out == f"written: {tmp_path / 'out/tokenizer.onnx'}\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["preprocessing.json", "tokenizer.onnx"]


def test_errors_are_one_line(anymo, folder, tmp_path):
    refused(anymo("export", "torch", tmp_path / "none", tmp_path / "out"), f"{tmp_path / 'none'}: no such folder")
    assert not (tmp_path / "out").exists()
