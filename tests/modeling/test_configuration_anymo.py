"""Configurations: the paper's numbers, nano's widths, nesting, exact round trips and refusals."""

import json

import pytest
from transformers import LlamaConfig

from anymo_hf.modeling.attention import Attention
from anymo_hf.modeling.configuration_anymo import AnyMoConfig, AnyMoPQVAEConfig, AnyMoSTGCNConfig
from anymo_hf.modeling.tokenization_anymo import AnyMoTokenizer


def test_paper_preset_has_the_papers_numbers_and_is_the_default():
    config = AnyMoConfig.from_preset("paper")
    encoder, tokenizer, text = config.stgcn_config, config.pqvae_config, config.text_config
    assert encoder.channels == [64] * 4 + [128] * 3 + [256] * 3
    assert encoder.strides == [1, 1, 1, 1, 2, 1, 1, 2, 1, 1]
    assert (encoder.num_nodes, encoder.in_channels, encoder.temporal_kernel, encoder.latent_dim) == (23, 6, 9, 256)
    assert (encoder.predictor_layers, encoder.predictor_heads, encoder.predictor_max_length) == (6, 8, 75)
    assert (encoder.contrastive_temperature, encoder.min_visible, encoder.max_visible) == (0.1, 1, 5)
    assert (tokenizer.input_dim, tokenizer.bottleneck_dim, tokenizer.code_dim) == (256, 128, 64)
    assert (tokenizer.num_codebooks, tokenizer.codebook_size) == (2, 2048)
    assert (tokenizer.ema_decay, tokenizer.commitment_weight, tokenizer.dead_code_threshold) == (0.99, 0.25, 0.2)
    # the shapes of Qwen2.5-0.5B
    assert (text.model_type, text.hidden_size, text.num_hidden_layers) == ("qwen2", 896, 24)
    assert (text.num_attention_heads, text.num_key_value_heads, text.intermediate_size) == (14, 2, 4864)
    assert (config.pooler_latents, config.pooler_heads, config.projector_hidden) == (128, 8, 512)
    assert (config.soft_prompt_length, config.imu_residual_scale) == (8, 0.5)
    assert AnyMoConfig().to_diff_dict() == config.to_diff_dict()


def test_nano_preset_is_narrow_and_its_parts_fit():
    config = AnyMoConfig.from_preset("nano")
    assert config.stgcn_config.channels == [16] * 7 + [48] * 3
    assert config.stgcn_config.strides == AnyMoSTGCNConfig().strides
    assert (config.stgcn_config.predictor_layers, config.stgcn_config.predictor_mlp_dim) == (6, 96)
    assert config.pqvae_config.input_dim == config.stgcn_config.latent_dim == 48
    assert (config.pqvae_config.codebook_size, config.pqvae_config.code_dim) == (512, 16)
    assert (config.text_config.hidden_size, config.text_config.num_hidden_layers) == (192, 4)
    assert (config.pooler_latents, config.projection_dim) == (16, 128)


def layout(config):
    return config.imu_bos_token_id, config.imu_token_offset, config.imu_eos_token_id


def test_the_default_layout_is_the_tokenizers():
    tokenizer = AnyMoTokenizer.train_from_texts(["a person walks"], 300, 16)
    config = AnyMoConfig(
        pqvae_config=AnyMoPQVAEConfig(codebook_size=8), text_config={"vocab_size": len(tokenizer), "hidden_size": 16}
    )
    assert layout(config) == (tokenizer.imu_bos_token_id, tokenizer.imu_token_offset, tokenizer.imu_eos_token_id)
    assert config.text_config.vocab_size == tokenizer.imu_eos_token_id + 1


def test_presets_leave_room_for_words_both_boundaries_and_all_codes():
    # Qwen2.5's tokenizer has 151,643 byte pairs and 22 control tokens
    for name, words, codes in (("paper", 151_643 + 22, 2 * 2048), ("nano", 4096 - 2 - 2 * 512, 2 * 512)):
        config = AnyMoConfig.from_preset(name)
        assert layout(config) == (words, words + 1, words + 1 + codes)
        assert config.text_config.vocab_size == words + codes + 2


def test_given_ids_stay_as_they_are_also_those_of_older_checkpoints(tmp_path):
    assert layout(AnyMoConfig(imu_token_offset=7, imu_bos_token_id=5, imu_eos_token_id=0)) == (5, 7, 0)
    old = AnyMoConfig.from_preset("nano", imu_token_offset=3072, imu_bos_token_id=3070, imu_eos_token_id=3071)
    old.save_pretrained(tmp_path)
    assert layout(AnyMoConfig.from_pretrained(tmp_path)) == (3070, 3072, 3071)


def test_a_model_from_scratch_names_no_text_model(tmp_path):
    assert AnyMoConfig.from_preset("paper").text_model_name == AnyMoConfig().text_model_name == "Qwen/Qwen2.5-0.5B"
    AnyMoConfig.from_preset("nano").save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["text_model_name"] is None
    assert AnyMoConfig.from_pretrained(tmp_path).text_model_name is None


@pytest.mark.parametrize("cls", [AnyMoSTGCNConfig, AnyMoPQVAEConfig, AnyMoConfig])
@pytest.mark.parametrize("preset", ["paper", "nano"])
def test_round_trip_is_exact(cls, preset, tmp_path):
    config = cls.from_preset(preset)
    config.save_pretrained(tmp_path)
    loaded = cls.from_pretrained(tmp_path)
    assert loaded.to_dict() == config.to_dict()
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == cls.model_type


def test_any_causal_language_model_fits_as_text_part(tmp_path):
    text = LlamaConfig(vocab_size=5000, hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    AnyMoConfig.from_preset("nano", text_config=text).save_pretrained(tmp_path)
    loaded = AnyMoConfig.from_pretrained(tmp_path)
    assert type(loaded.text_config) is LlamaConfig and loaded.text_config.hidden_size == 32
    assert type(loaded.stgcn_config) is AnyMoSTGCNConfig and type(loaded.pqvae_config) is AnyMoPQVAEConfig


def test_presets_do_not_share_lists():
    first = AnyMoSTGCNConfig.from_preset("nano")
    first.channels[0] = 99
    first.strides[0] = 99
    second = AnyMoSTGCNConfig.from_preset("nano")
    assert second.channels[0] == 16 and second.strides[0] == 1


@pytest.mark.parametrize("cls", [AnyMoSTGCNConfig, AnyMoPQVAEConfig, AnyMoConfig])
def test_unknown_presets_are_refused(cls):
    with pytest.raises(ValueError, match="unknown preset 'huge'; known presets: nano, paper"):
        cls.from_preset("huge")


@pytest.mark.parametrize(
    "cls, fields, message",
    [
        (AnyMoSTGCNConfig, {"channels": [8, 8]}, "one entry per block"),
        (AnyMoSTGCNConfig, {"temporal_kernel": 8}, "odd, got 8"),
        (AnyMoSTGCNConfig, {"min_visible": 0}, "min_visible"),
        (AnyMoSTGCNConfig, {"max_visible": 24}, "max_visible"),
        (AnyMoPQVAEConfig, {"bottleneck_dim": 33}, "33 must divide evenly into 2"),
    ],
)
def test_impossible_values_are_refused(cls, fields, message):
    with pytest.raises(ValueError, match=message):
        cls(**fields)


@pytest.mark.parametrize(
    ("make", "field", "value", "wanted"),
    [
        (AnyMoSTGCNConfig, "strides", [1, 1, 1, 1, 0, 1, 1, 2, 1, 1], "whole numbers from 1 to 16777216"),
        (AnyMoSTGCNConfig, "strides", [2**63 - 1] + [1] * 9, "whole numbers from 1 to 16777216"),
        (AnyMoSTGCNConfig, "channels", [True] * 10, "whole numbers from 1 to 16777216"),
        (AnyMoPQVAEConfig, "codebook_size", -1, "a whole number from 0 to 16777216"),
        (AnyMoConfig, "pooler_heads", True, "a whole number from 0 to 16777216"),
        (AnyMoConfig, "imu_eos_token_id", "7", "a whole number from 0 to 16777216"),
        (AnyMoConfig, "norm_eps", "x" * 1000, "a finite number"),
        (AnyMoConfig, "contrastive_temperature", float("nan"), "a finite number"),
    ],
)
def test_a_field_of_another_kind_is_refused_by_name(make, field, value, wanted):
    with pytest.raises(ValueError, match=f"^{field} must be {wanted}, got ") as refused:
        make(**{field: value})
    assert len(str(refused.value)) < 200


def test_heads_must_divide_the_width_they_share():
    for heads in (0, 3, 2**32 - 1):
        with pytest.raises(ValueError, match=f"width 32 does not divide over {heads} heads; give"):
            Attention(32, heads)
