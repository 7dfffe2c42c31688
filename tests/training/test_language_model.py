"""A language model with more words: what it knew stays, and a new word starts as the mean of its pieces."""

import copy

import pytest
import torch

from anymo_hf.modeling.configuration_anymo import AnyMoConfig
from anymo_hf.modeling.modeling_anymo import AnyMoForConditionalGeneration
from anymo_hf.modeling.tokenization_anymo import AnyMoTokenizer
from anymo_hf.training.language_model import prepare_model, text_vocabulary, with_words_of
from anymo_hf.training.settings import ContrastiveSettings

TEXTS = ["walking slowly down the stairs", "sitting at a desk", "walking", "grün gestrichene Wände"] * 3
CODES = 8


@pytest.fixture(scope="module")
def old():
    return AnyMoTokenizer.train_from_texts(TEXTS, 262, CODES)


@pytest.fixture(scope="module")
def new():
    return AnyMoTokenizer.train_from_texts(TEXTS, 330, CODES)


@pytest.fixture(scope="module")
def model(old):
    torch.manual_seed(0)
    config = AnyMoConfig(
        stgcn_config={"channels": [4] * 10, "predictor_heads": 1, "predictor_mlp_dim": 8},
        pqvae_config={"input_dim": 4, "bottleneck_dim": 4, "codebook_size": CODES // 2, "decoder_dim": 4},
        text_config=dict(
            model_type="qwen2", hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=2, vocab_size=len(old), tie_word_embeddings=False, pad_token_id=old.pad_token_id,
        ),
        imu_token_offset=old.imu_token_offset, imu_bos_token_id=old.imu_bos_token_id,
        imu_eos_token_id=old.imu_eos_token_id, pooler_latents=2, pooler_heads=1, projection_dim=8, projector_hidden=8,
    )  # fmt: skip
    return AnyMoForConditionalGeneration(config).eval()


def test_motion_is_read_as_before(model, old, new):
    wider = with_words_of(model, old, new).eval()
    assert text_vocabulary(new) > text_vocabulary(old)
    with torch.no_grad():
        before = model.get_imu_features(torch.arange(CODES)[None] + old.imu_token_offset).pooler_output
        after = wider.get_imu_features(torch.arange(CODES)[None] + new.imu_token_offset).pooler_output
    torch.testing.assert_close(after, before)


@pytest.mark.parametrize("table", ["get_input_embeddings", "get_output_embeddings"])
def test_a_new_word_is_the_mean_of_its_pieces_and_an_old_one_itself(model, old, new, table):
    rows = getattr(model, table)().weight
    wider = getattr(with_words_of(model, old, new), table)().weight
    fresh = [token for token in new.get_vocab() if token not in old.get_vocab() and token.isascii()]
    assert fresh
    for token in fresh:  # the words here are whole ones, so they can be spelt as text too
        pieces = rows[old(token, add_special_tokens=False).input_ids]
        torch.testing.assert_close(wider[new.get_vocab()[token]], pieces.mean(0))
    for token, row in new.get_vocab().items():
        if token in old.get_vocab():
            torch.testing.assert_close(wider[row], rows[old.get_vocab()[token]])


def test_the_config_knows_the_new_ids(model, old, new):
    config = with_words_of(model, old, new).config
    assert config.text_config.vocab_size == len(new)
    assert (config.imu_bos_token_id, config.imu_eos_token_id) == (new.imu_bos_token_id, new.imu_eos_token_id)


def test_another_number_of_codes_is_refused(model, old):
    with pytest.raises(ValueError, match="the new tokenizer has 9 motion codes, the model's has 8"):
        with_words_of(model, old, AnyMoTokenizer.train_from_texts(TEXTS, 300, 9))


@pytest.mark.parametrize(("precision", "form"), [("no", "sdpa"), ("bf16", "eager")])
def test_bf16_on_a_cpu_attends_in_the_form_that_is_faster_backwards(model, accelerator, monkeypatch, precision, form):
    monkeypatch.setattr(type(accelerator), "mixed_precision", property(lambda self: precision))
    ids = torch.arange(CODES)[None] + model.config.imu_token_offset
    before = model.get_imu_features(ids).pooler_output
    ready, _ = prepare_model(copy.deepcopy(model), ContrastiveSettings(), accelerator)
    assert ready.config.text_config._attn_implementation == form
    torch.testing.assert_close(ready.get_imu_features(ids).pooler_output, before)
