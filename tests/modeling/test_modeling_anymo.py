"""AnyMo models: embedding of codes, losses, padding, generation, saving and strict loading."""

import logging
import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

from anymo_hf.modeling.configuration_anymo import AnyMoConfig, AnyMoPQVAEConfig, AnyMoSTGCNConfig
from anymo_hf.modeling.modeling_anymo import (
    AnyMoForConditionalGeneration,
    AnyMoForSequenceClassification,
    AnyMoModel,
    info_nce_loss,
)
from anymo_hf.modeling.modeling_pqvae import AnyMoPQVAEModel

OFFSET, CODES, VOCAB = 40, 16, 58


def tiny_config(tied: bool = False, **changes) -> AnyMoConfig:
    text = Qwen2Config(
        vocab_size=VOCAB,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
    )
    settings = dict(
        stgcn_config=AnyMoSTGCNConfig.from_preset("nano"),
        pqvae_config=AnyMoPQVAEConfig(input_dim=8, bottleneck_dim=8, codebook_size=8, decoder_dim=8),
        text_config=text,
        pooler_latents=4,
        pooler_heads=4,
        projection_dim=12,
        projector_hidden=10,
        imu_token_offset=OFFSET,
    )
    return AnyMoConfig(**(settings | changes))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = AnyMoForConditionalGeneration(tiny_config()).eval()
    model.init_code_head()
    return model


def test_codes_are_embedded_through_the_projector_and_words_by_the_table(model):
    ids = torch.tensor([[3, OFFSET, OFFSET + 9, OFFSET + CODES]])
    embedding = model.get_input_embeddings()
    out = embedding(ids)[0]
    first, _, last = model.imu_projector
    for row, (book, code) in ((1, (0, 0)), (2, (1, 1))):
        x = first.weight.double() @ model.codebook[book, code].double() + first.bias.double()
        x = x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))
        expected = last.weight.double() @ x + last.bias.double()
        torch.testing.assert_close(out[row].double(), expected, atol=1e-6, rtol=1e-5)
    assert torch.equal(out[0], embedding.weight[3]) and torch.equal(out[3], embedding.weight[OFFSET + CODES])


@pytest.mark.parametrize("tied", [False, True])
def test_code_head_rows_equal_the_projected_codes(tied):
    model = AnyMoModel(tiny_config(tied))
    before = model.get_output_embeddings().weight.detach().clone()
    pqvae = AnyMoPQVAEModel(model.config.pqvae_config)
    model.set_codebook(pqvae)
    model.init_code_head()
    after = model.get_output_embeddings().weight
    assert torch.equal(model.codebook, pqvae.quantizer.embedding)
    codes = model.get_input_embeddings()(torch.arange(OFFSET, OFFSET + CODES)[None])[0]
    torch.testing.assert_close(after[OFFSET : OFFSET + CODES], codes)
    assert torch.equal(after[:OFFSET], before[:OFFSET]) and torch.equal(
        after[OFFSET + CODES :], before[OFFSET + CODES :]
    )
    assert (after is model.get_input_embeddings().weight) == tied


def test_the_codebook_is_frozen_and_the_projector_learns(model):
    batch = {"input_ids": torch.tensor([[1, OFFSET + 1, OFFSET + 8, 2]])}
    loss = model(**batch, labels=batch["input_ids"]).loss
    grad = torch.autograd.grad(loss, [model.imu_projector[0].weight])[0]
    assert grad.abs().sum() > 0 and not model.codebook.requires_grad


@pytest.mark.parametrize("side", ["left", "right"])
def test_embeddings_do_not_depend_on_padding(model, side):
    torch.manual_seed(1)

    def pad(rows, value, longest):
        fill = [[value] * (longest - len(row)) for row in rows]
        return torch.tensor([f + r if side == "left" else r + f for r, f in zip(rows, fill, strict=True)])

    rows = [[1, 2, *range(OFFSET, OFFSET + 6), 4], [7, OFFSET + 3, 9], [1, *range(OFFSET, OFFSET + CODES)]]
    with torch.no_grad():
        batch = model.get_imu_features(pad(rows, 0, 20), pad([[1] * len(r) for r in rows], 0, 20)).pooler_output
        for index, row in enumerate(rows):
            torch.testing.assert_close(batch[index], model.get_imu_features(torch.tensor([row])).pooler_output[0])
        texts = [[5], [6, 7, 8, 9], [10, 11]]
        batch = model.get_text_features(pad(texts, 0, 9), pad([[1] * len(r) for r in texts], 0, 9),
                                        pad([[1] * len(r) for r in texts], 0, 9)).pooler_output  # fmt: skip
        for index, row in enumerate(texts):
            torch.testing.assert_close(batch[index], model.get_text_features(torch.tensor([row])).pooler_output[0])
    torch.testing.assert_close(batch.norm(dim=-1), torch.ones(3))


def test_soft_prompt_acts_on_text_only(model):
    ids = torch.tensor([[1, OFFSET, OFFSET + 4]])
    text = model.get_text_features(torch.tensor([[3, 4]])).pooler_output
    prompt = model.text_soft_prompt
    assert torch.autograd.grad(text[0, 0], [prompt])[0].abs().sum() > 0
    assert torch.autograd.grad(model.get_imu_features(ids).pooler_output[0, 0], [prompt], allow_unused=True)[0] is None


def test_info_nce_loss_equals_the_formula_in_float64():
    imu, text = (torch.nn.functional.normalize(torch.randn(5, 7), dim=-1) for _ in range(2))
    s = (imu.double() @ text.double().t() / 0.05).exp()
    expected = -sum(math.log(s[n, n] / s[n].sum()) + math.log(s[n, n] / s[:, n].sum()) for n in range(5)) / 10
    assert info_nce_loss(imu, text, 0.05).item() == pytest.approx(expected, rel=1e-5)


def test_contrastive_forward(model):
    model_ = AnyMoModel(model.config).eval()
    ids, text = torch.tensor([[1, OFFSET], [2, OFFSET + 9]]), torch.tensor([[3, 4], [5, 6]])
    out = model_(imu_input_ids=ids, input_ids=text, return_loss=True)
    assert out.logits_per_imu.shape == (2, 2)
    torch.testing.assert_close(out.logits_per_text, out.logits_per_imu.t())
    cosine = out.imu_embeds @ out.text_embeds.t()
    torch.testing.assert_close(out.logits_per_imu, cosine / model.config.contrastive_temperature)
    torch.testing.assert_close(out.loss, info_nce_loss(out.imu_embeds, out.text_embeds, 0.05))
    out.loss.backward()
    assert model_.imu_pooler.latents.grad.abs().sum() > 0
    with pytest.raises(ValueError, match="return_loss"):
        model_(imu_input_ids=ids, return_loss=True)
    with pytest.raises(ValueError, match="imu_pooling_mask"):
        model_.get_imu_features(torch.tensor([[1, 2]]))


def test_greedy_generation_with_cache_equals_full_forward_passes(model):
    prompt = torch.tensor([[0, 0, 5, OFFSET + 2, OFFSET + 11], [1, 5, OFFSET, OFFSET + 8, 7]])
    mask = torch.tensor([[0, 0, 1, 1, 1], [1] * 5])
    settings = dict(max_new_tokens=6, min_new_tokens=6, do_sample=False, pad_token_id=0, eos_token_id=57)
    cached = model.generate(input_ids=prompt, attention_mask=mask, use_cache=True, **settings)
    for row, real in ((0, prompt[0, 2:]), (1, prompt[1])):
        ids = real[None]
        with torch.no_grad():
            for _ in range(6):
                logits = model(input_ids=ids).logits[:, -1]
                logits[:, 57] = float("-inf")
                ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], 1)
        assert cached[row, 5:].tolist() == ids[0, len(real) :].tolist()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_save_and_load_return_the_same_bits(tmp_path, dtype, tied):
    model = AnyMoModel(tiny_config(tied, imu_residual_scale=0.25)).to(dtype)
    model.save_pretrained(tmp_path)
    for kind in (AnyMoModel, AnyMoForConditionalGeneration, AnyMoForSequenceClassification):
        again = kind.from_pretrained(tmp_path, dtype=dtype).state_dict()
        for name, tensor in model.state_dict().items():
            assert again[name].dtype == dtype and torch.equal(again[name], tensor), name
    ids = torch.tensor([[1, OFFSET, OFFSET + 4]])
    again = AnyMoModel.from_pretrained(tmp_path, dtype=dtype).eval()
    # loaded weights lie elsewhere in memory, which may change the order of sums
    torch.testing.assert_close(
        again.get_imu_features(ids).pooler_output, model.eval().get_imu_features(ids).pooler_output
    )


def test_missing_extra_or_damaged_tensors_are_refused(tmp_path, model):
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    cut = {name: value for name, value in tensors.items() if name != "text_soft_prompt"}
    save_file(cut, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match="missing.*text_soft_prompt"):
        AnyMoModel.from_pretrained(tmp_path)
    save_file(tensors | {"stray": torch.zeros(1)}, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match="unexpected.*stray"):
        AnyMoModel.from_pretrained(tmp_path)
    save_file(tensors, path, metadata={"format": "pt"})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(OSError, match="damaged"):
        AnyMoModel.from_pretrained(tmp_path)
    path.unlink()
    with pytest.raises(OSError):
        AnyMoModel.from_pretrained(tmp_path)


def test_classifier_learns_and_its_checkpoint_loads_as_a_base_model(tmp_path):
    torch.manual_seed(0)
    model = AnyMoForSequenceClassification(tiny_config(num_labels=3))
    ids, labels = torch.tensor([[1, OFFSET], [1, OFFSET + 5], [1, OFFSET + 9]]), torch.tensor([2, 0, 1])
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    first = model(imu_input_ids=ids, labels=labels).loss.item()
    for _ in range(20):
        optimizer.zero_grad()
        out = model(imu_input_ids=ids, labels=labels)
        out.loss.backward()
        optimizer.step()
    assert out.logits.shape == (3, 3) and out.loss.item() < first / 2
    model.save_pretrained(tmp_path)
    AnyMoModel.from_pretrained(tmp_path)
    again = AnyMoForSequenceClassification.from_pretrained(tmp_path)
    assert torch.equal(again.classifier.weight, model.classifier.weight)


def test_half_a_classifier_is_refused(tmp_path):
    AnyMoForSequenceClassification(tiny_config(num_labels=3)).save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    whole = load_file(path)
    for name in ("classifier.weight", "classifier.bias"):
        save_file({key: value for key, value in whole.items() if key != name}, path, metadata={"format": "pt"})
        with pytest.raises(ValueError, match=f"1 missing keys, the first is '{name}'"):
            AnyMoForSequenceClassification.from_pretrained(tmp_path)
    save_file(whole | {"classifier.scale": torch.ones(1)}, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match="unexpected.*classifier.scale"):
        AnyMoForSequenceClassification.from_pretrained(tmp_path)
    bare = {key: value for key, value in whole.items() if not key.startswith("classifier.")}
    save_file(bare, path, metadata={"format": "pt"})
    assert AnyMoForSequenceClassification.from_pretrained(tmp_path).classifier.out_features == 3


def test_text_weights_carry_over(model):
    config = Qwen2Config(**{**tiny_config().text_config.to_dict(), "vocab_size": OFFSET - 2})
    text = Qwen2ForCausalLM(config).eval()
    ours = AnyMoForConditionalGeneration(tiny_config()).eval()
    ours.load_text_weights(text)
    ids = torch.tensor([[1, 5, 9, 2]])
    torch.testing.assert_close(ours(input_ids=ids).logits[..., : OFFSET - 2], text(input_ids=ids).logits)
    wide = Qwen2ForCausalLM(Qwen2Config(**{**config.to_dict(), "intermediate_size": 32}))
    with pytest.raises(ValueError, match="shape"):
        ours.load_text_weights(wide)


def test_a_vocabulary_without_room_for_codes_is_refused():
    with pytest.raises(ValueError, match="imu_token_offset"):
        AnyMoModel(tiny_config(imu_token_offset=50))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_classifier_of_raw_windows_keeps_its_encoder_in_float32_and_reports_no_tensor_of_it(
    tiny_release, tmp_path, dtype
):
    said, handler = [], logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.WARNING)  # other tests may have silenced it
    logger.addHandler(handler)
    try:
        model = AnyMoForSequenceClassification.from_pretrained(
            tiny_release, num_labels=2, classifier_input="imu", dtype=dtype
        )
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert "classifier.weight" in "".join(said)
    assert "imu_tokenizer." not in "".join(said)
    assert model.classifier.weight.dtype == dtype
    beside = load_file(f"{tiny_release}/imu_tokenizer/model.safetensors")
    own = model.imu_tokenizer.state_dict()
    assert all(own[name].dtype == value.dtype and torch.equal(own[name], value) for name, value in beside.items())

    imu = torch.randn(2, 60, 23, 6) + torch.tensor([0, 0, 9.8, 0, 0, 0])
    worn = torch.zeros(2, 23, dtype=torch.bool)
    worn[:, 3] = True
    out = model.train()(imu=imu.to(dtype), node_mask=worn, labels=torch.tensor([0, 1]))
    out.loss.backward()
    assert any(value.grad is not None and value.grad.any() for value in model.imu_tokenizer.stgcn.parameters())

    model.eval().save_pretrained(tmp_path)
    again = AnyMoForSequenceClassification.from_pretrained(tmp_path, dtype=dtype).eval()
    with torch.inference_mode():
        assert torch.equal(again(imu=imu, node_mask=worn).logits, model(imu=imu, node_mask=worn).logits)
