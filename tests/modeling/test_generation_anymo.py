"""`generate`: a padded batch equals one by one, cache or not; beams, sampling, stopping; a vocabulary that grows."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoProcessor, Qwen2Config

import anymo_hf  # noqa: F401
from anymo_hf.modeling.configuration_anymo import AnyMoConfig, AnyMoPQVAEConfig, AnyMoSTGCNConfig
from anymo_hf.modeling.modeling_anymo import AnyMoForConditionalGeneration, AnyMoModel, WordAndCodeEmbedding

OFFSET, CODES, VOCAB, END, PAD = 40, 16, 58, 2, 0
RELEASE = Path(__file__).parents[2] / "anymo"


def tiny_config(tied: bool = False) -> AnyMoConfig:
    text = Qwen2Config(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
        initializer_range=0.3,  # far from uniform, so that tokens differ
        eos_token_id=END,
        pad_token_id=PAD,
    )
    return AnyMoConfig(
        stgcn_config=AnyMoSTGCNConfig.from_preset("nano"),
        pqvae_config=AnyMoPQVAEConfig(input_dim=8, bottleneck_dim=8, codebook_size=8, decoder_dim=8),
        text_config=text,
        pooler_latents=4,
        pooler_heads=4,
        projection_dim=12,
        projector_hidden=10,
        imu_token_offset=OFFSET,
    )


def tiny(tied: bool = False) -> AnyMoForConditionalGeneration:
    torch.manual_seed(0)
    model = AnyMoForConditionalGeneration(tiny_config(tied)).eval()
    model.init_code_head()
    return model


def tiny_prompts() -> list[list[int]]:
    rng = np.random.default_rng(0)
    rows = [[1, 5, *rng.integers(OFFSET, OFFSET + CODES, count), 7] for count in (1, 12, 4, 7, 2)]
    return [[int(token) for token in row] for row in rows]


def released_prompts(processor) -> list[list[int]]:
    rng = np.random.default_rng(1)
    return [
        processor.generation_inputs(
            imu_codes=[rng.integers(0, 512, 2 * steps) + np.tile([0, 512], steps)], imu_placements=[places]
        )["input_ids"][0].tolist()
        for steps, places in ((15, [0]), (75, [9, 13]), (40, [2, 6, 17]))
    ]


@pytest.fixture(scope="module", params=["tiny", pytest.param("released", marks=pytest.mark.slow)])
def case(request):
    """A model and prompts of different lengths."""
    if request.param == "tiny":
        return tiny(), tiny_prompts()
    processor = AutoProcessor.from_pretrained(RELEASE)
    return AutoModelForCausalLM.from_pretrained(RELEASE).eval(), released_prompts(processor)


def left_padded(rows: list[list[int]]) -> dict[str, torch.Tensor]:
    longest = max(map(len, rows)) + 2
    return {
        "input_ids": torch.tensor([[PAD] * (longest - len(row)) + row for row in rows]),
        "attention_mask": torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows]),
    }


def cut(tokens: list[int]) -> list[int]:
    """Up to and with the end of turn; what follows is padding."""
    return tokens[: tokens.index(END) + 1] if END in tokens else tokens


def answers(model, rows, **settings) -> list[list[int]]:
    batch = left_padded(rows)
    out = model.generate(**batch, **settings)[:, batch["input_ids"].shape[1] :]
    return [cut(row) for row in out.tolist()]


def one_by_one(model, rows, **settings) -> list[list[int]]:
    """Each prompt alone, without a mask, since it needs none."""
    results = []
    for row in rows:
        out = model.generate(input_ids=torch.tensor([row]), **settings)[:, len(row) :]
        results += [cut(answer) for answer in out.tolist()]
    return results


@torch.no_grad()
def by_hand(model, row: list[int], count: int) -> tuple[list[int], torch.Tensor]:
    """Greedy answer by whole forward passes, and the scores of every step."""
    ids, scores = torch.tensor([row]), []
    for _ in range(count):
        scores.append(model(input_ids=ids).logits[0, -1])
        ids = torch.cat([ids, scores[-1].argmax().view(1, 1)], 1)
        if int(ids[0, -1]) == END:
            break
    return ids[0, len(row) :].tolist(), torch.stack(scores)


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_padded_batch_equals_greedy_steps_one_by_one(case, use_cache):
    model, rows = case
    settings = dict(do_sample=False, max_new_tokens=10, use_cache=use_cache)
    expected = [by_hand(model, row, 10)[0] for row in rows]
    assert answers(model, rows, **settings) == expected == one_by_one(model, rows, **settings)


def test_scores_of_every_step_equal_whole_forward_passes(case):
    model, rows = case
    out = model.generate(
        **left_padded(rows), do_sample=False, max_new_tokens=6, output_logits=True, return_dict_in_generate=True
    )
    for number, row in enumerate(rows):
        _, expected = by_hand(model, row, 6)
        ours = torch.stack([step[number] for step in out.logits])[: len(expected)]
        torch.testing.assert_close(ours, expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("beams", [2, 4])
def test_beams_of_a_batch_equal_those_of_singles(case, beams):
    model, rows = case
    settings = dict(num_beams=beams, do_sample=False, max_new_tokens=8)
    assert answers(model, rows, **settings) == one_by_one(model, rows, **settings)
    assert answers(model, rows, **settings) == answers(model, rows, use_cache=False, **settings)


def test_more_beams_find_an_answer_at_least_as_likely():
    model, rows = tiny(), tiny_prompts()
    settings = dict(max_new_tokens=5, min_new_tokens=5, do_sample=False)

    @torch.no_grad()
    def likelihood(row, answer):
        scores = model(input_ids=torch.tensor([row + answer])).logits[0].log_softmax(-1)
        # min_new_tokens forbids END, as the model's own scores do not
        scores[:, END] = float("-inf")
        scores = scores.log_softmax(-1)
        return sum(float(scores[len(row) - 1 + step, token]) for step, token in enumerate(answer))

    greedy, wide = (answers(model, rows, **settings, **extra) for extra in ({}, {"num_beams": VOCAB}))
    for row, one, other in zip(rows, greedy, wide, strict=True):
        assert likelihood(row, other) >= likelihood(row, one) - 1e-4


def test_sampling_repeats_with_its_seed_and_padding_changes_nothing(case):
    model, rows = case
    settings = dict(do_sample=True, temperature=1.0, top_k=20, max_new_tokens=8)

    def draw(seed, function, chosen):
        torch.manual_seed(seed)
        return function(model, chosen, **settings)

    assert draw(3, answers, rows) == draw(3, answers, rows)
    assert len({str(draw(seed, answers, rows)) for seed in range(4)}) > 1
    for row in rows:
        assert draw(5, answers, [row]) == draw(5, one_by_one, [row])


def test_a_row_stops_at_the_end_of_its_turn_while_others_go_on():
    model, rows = tiny(), tiny_prompts()
    free = answers(model, rows, do_sample=False, max_new_tokens=8, eos_token_id=None)
    stop = free[0][2]  # taken as the end of turn, the first row stops at its third token or earlier
    batch = left_padded(rows)
    out = model.generate(**batch, do_sample=False, max_new_tokens=8, eos_token_id=stop, pad_token_id=PAD)
    for row, whole in zip(out[:, batch["input_ids"].shape[1] :].tolist(), free, strict=True):
        end = whole.index(stop) + 1 if stop in whole else len(whole)
        assert row[:end] == whole[:end] and set(row[end:]) <= {PAD}
    assert model.generation_config.eos_token_id == END  # of the text config, so plain `generate` stops too


def test_vectors_in_place_of_ids_give_the_same_answer(case):
    model, rows = case
    batch = left_padded(rows)
    settings = dict(attention_mask=batch["attention_mask"], do_sample=False, max_new_tokens=6)
    by_vectors = model.generate(inputs_embeds=model.get_input_embeddings()(batch["input_ids"]), **settings)
    assert [cut(row) for row in by_vectors.tolist()] == answers(model, rows, do_sample=False, max_new_tokens=6)


@pytest.mark.parametrize("tied", [False, True])
def test_new_words_leave_old_outputs_and_codes_alone(tmp_path, tied):
    model, rows = tiny(tied), tiny_prompts()
    ids = torch.tensor([rows[1]])
    with torch.no_grad():
        before, features = model(input_ids=ids, labels=ids), model.get_imu_features(ids).pooler_output
        resized = model.resize_token_embeddings(VOCAB + 6)
        after = model(input_ids=ids, labels=ids)
        assert isinstance(resized, WordAndCodeEmbedding) and after.logits.shape[-1] == VOCAB + 6
        assert torch.equal(after.logits[..., :VOCAB], before.logits)
        assert torch.equal(model.get_imu_features(ids).pooler_output, features)
        codes = torch.arange(OFFSET, OFFSET + CODES)[None]
        projected = model.imu_projector(model.codebook.flatten(0, 1))
        torch.testing.assert_close(model.get_input_embeddings()(codes)[0], projected)
        new = torch.tensor([[VOCAB, VOCAB + 5]])
        assert torch.equal(model.get_input_embeddings()(new)[0], resized.weight[new[0]])
    expected = -after.logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None]).mean()
    torch.testing.assert_close(after.loss, expected)
    assert (model.get_output_embeddings().weight is resized.weight) == tied
    model.save_pretrained(tmp_path)
    again = AnyMoForConditionalGeneration.from_pretrained(tmp_path).eval()
    config = again.config
    assert (config.imu_token_offset, config.imu_bos_token_id, config.imu_eos_token_id) == (40, 39, 56)
    assert config.text_config.vocab_size == VOCAB + 6
    with torch.no_grad():
        torch.testing.assert_close(again(input_ids=ids).logits, after.logits)
    settings = dict(do_sample=False, max_new_tokens=5)
    assert answers(again, rows, **settings) == answers(model, rows, **settings)


def test_a_vocabulary_shrinks_to_the_motion_tokens_and_no_further():
    model = AnyMoModel(tiny_config())
    for few in (OFFSET + CODES, OFFSET, 1):
        with pytest.raises(ValueError, match="new_num_tokens .* give at least 57"):
            model.resize_token_embeddings(few)
    assert model.get_output_embeddings().weight.shape[0] == VOCAB
    assert model.resize_token_embeddings(57).num_embeddings == 57
    assert model.resize_token_embeddings(pad_to_multiple_of=16).num_embeddings == 64


def test_a_frozen_table_keeps_its_projector_learning():
    model = AnyMoModel(tiny_config())
    model.get_input_embeddings().weight.requires_grad_(False)
    embedding = model.resize_token_embeddings(VOCAB + 1)
    assert not embedding.weight.requires_grad
    assert all(parameter.requires_grad for parameter in embedding.imu_projector.parameters())
