"""Strict loading: the encoder and the tokenizer, like the whole model, refuse checkpoints that do not fit."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

import anymo_hf  # noqa: F401  (registers the Auto classes)
from anymo_hf.modeling.configuration_anymo import AnyMoPQVAEConfig, AnyMoSTGCNConfig
from anymo_hf.modeling.modeling_pqvae import AnyMoPQVAEModel
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining, AnyMoSTGCNModel
from anymo_hf.modeling.strict_loading import misfits


def build(kind):
    torch.manual_seed(0)
    if kind is AnyMoPQVAEModel:
        return kind(AnyMoPQVAEConfig(input_dim=12, bottleneck_dim=8, codebook_size=16, decoder_dim=12))
    return kind(AnyMoSTGCNConfig.from_preset("nano"))


def edit(folder, change):
    """Changes the tensors of a saved checkpoint."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


# a parameter, a running statistic and a buffer of each
TENSORS = [
    (AnyMoSTGCNModel, ["mask_token", "data_bn.running_var", "A"]),
    (AnyMoSTGCNForPreTraining, ["encoder.mask_token", "predictor.pos_embed", "encoder.A"]),
    (AnyMoPQVAEModel, ["pre_quant.1.weight", "quantizer.cluster_size", "quantizer.embedding"]),
]


@pytest.mark.parametrize("kind, name", [(kind, name) for kind, names in TENSORS for name in names])
def test_a_missing_tensor_is_never_a_random_one(kind, name, tmp_path):
    build(kind).save_pretrained(tmp_path)
    edit(tmp_path, lambda tensors: tensors.pop(name))
    with pytest.raises(ValueError, match=f"{tmp_path}: 1 missing keys, the first is '{name}'"):
        kind.from_pretrained(tmp_path)


@pytest.mark.parametrize("kind", [kind for kind, _ in TENSORS])
def test_a_stray_tensor_is_refused_and_a_whole_checkpoint_loads(kind, tmp_path):
    saved = build(kind)
    saved.save_pretrained(tmp_path)
    loaded, info = kind.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    for name, tensor in saved.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    edit(tmp_path, lambda tensors: tensors.update(stray=torch.zeros(1)))
    with pytest.raises(ValueError, match="1 unexpected keys, the first is 'stray'"):
        kind.from_pretrained(tmp_path)


@pytest.mark.parametrize("kind", [AnyMoSTGCNModel, AnyMoPQVAEModel])
def test_auto_model_is_as_strict_and_names_damaged_files(kind, tmp_path):
    build(kind).save_pretrained(tmp_path)
    assert type(AutoModel.from_pretrained(tmp_path)) is kind
    edit(tmp_path, lambda tensors: tensors.pop(next(iter(sorted(tensors)))))
    with pytest.raises(ValueError, match="1 missing"):
        AutoModel.from_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(OSError, match="damaged"):
        AutoModel.from_pretrained(tmp_path)


def test_the_bare_encoder_loads_from_a_pre_training_checkpoint(tmp_path):
    trained = build(AnyMoSTGCNForPreTraining)
    trained.save_pretrained(tmp_path)
    loaded = AnyMoSTGCNModel.from_pretrained(tmp_path)
    expected = trained.encoder.state_dict()
    assert set(loaded.state_dict()) == set(expected)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.state_dict().items())
    edit(tmp_path, lambda tensors: tensors.pop("encoder.mask_token"))
    with pytest.raises(ValueError, match="missing.*mask_token"):
        AnyMoSTGCNModel.from_pretrained(tmp_path)


def test_pre_training_does_not_go_on_with_a_random_predictor(tmp_path):
    build(AnyMoSTGCNModel).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="missing keys, the first is 'predictor"):
        AnyMoSTGCNForPreTraining.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "own, missing, unexpected, expected",
    [
        (["a", "head.w", "head.b"], ["head.w", "head.b"], [], ([], [])),  # the whole part is absent
        (["a", "head.w", "head.b"], ["head.b"], [], (["head.b"], [])),
        (["a", "head.w", "head.b"], ["head.w", "head.b"], ["head.x"], (["head.b", "head.w"], ["head.x"])),
        (["a"], [], ["head.w"], ([], [])),  # the model has no such part
        (["a"], ["a"], ["head.w", "b"], (["a"], ["b"])),
    ],
)
def test_an_optional_part_is_whole_or_absent(own, missing, unexpected, expected):
    assert misfits(own, missing, unexpected, ("head.",)) == expected
    assert misfits(own, missing, unexpected, ()) == (sorted(missing), sorted(unexpected))
