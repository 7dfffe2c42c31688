"""The paper's four settings files, run as they are for a few steps with a tiny random Qwen2 in place of Qwen2.5-0.5B.

Only what size demands is changed (`SMALLER`): batches, and the number of steps.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

import anymo_hf  # noqa: F401  (registers the Auto classes)
from anymo_hf.motion.procedural import ACTIVITIES
from anymo_hf.training.build_corpus import build_corpus
from anymo_hf.training.losses import next_token
from anymo_hf.training.settings import (
    ContrastiveSettings,
    EncoderSettings,
    LanguageSettings,
    TokenizerSettings,
    load_settings,
)
from anymo_hf.training.stages import contrastive as contrastive_stage
from anymo_hf.training.stages import language as language_stage
from anymo_hf.training.stages.contrastive import tune_contrastive
from anymo_hf.training.stages.encoder import train_encoder
from anymo_hf.training.stages.language import train_language
from anymo_hf.training.stages.tokenizer import train_tokenizer

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).parents[2] / "training" / "configs" / "paper"
KINDS = {
    "encoder": EncoderSettings,
    "tokenizer": TokenizerSettings,
    "language": LanguageSettings,
    "contrastive": ContrastiveSettings,
}
SMALLER = {
    "encoder": {"steps": 2, "batch_size": 2},
    "tokenizer": {"steps": 2, "batch_size": 32},
    "language": {"steps": 2, "batch_size": 4},
    "contrastive": {"steps": 2, "batch_size": 8, "chunk_size": 2, "lm_batch_size": 4},  # still 4 chunks
}
WORDS, PADDED = 400, 416  # as Qwen2's: the table has more rows than the tokenizer has words
WINDOWS, PAIRS = 164_387, 986_322  # paper, A.1


def settings(stage, **changes):
    return replace(load_settings(CONFIGS / f"{stage}.yaml", KINDS[stage]), **changes)


def save_text_model(folder):
    """A random Qwen2 in bfloat16 with tied embeddings, as the real one is saved, and a byte-level BPE."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(vocab_size=WORDS, initial_alphabet=alphabet, special_tokens=special)
    backend.train_from_iterator(["a person walks slowly", "walking up stairs", "sitting down on a chair"] * 9, trainer)
    while backend.get_vocab_size() < WORDS:
        backend.add_tokens([f"word{backend.get_vocab_size()}"])
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<|endoftext|>", eos_token="<|im_end|>"
    ).save_pretrained(folder)
    torch.manual_seed(3)
    config = Qwen2Config(
        vocab_size=PADDED, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=True,
    )  # fmt: skip
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def half():
    """An accelerator in bfloat16; the state that other modules share is put back."""
    kept = dict(AcceleratorState._shared_state)
    AcceleratorState._reset_state()
    yield Accelerator(cpu=True, mixed_precision="bf16")
    AcceleratorState._reset_state()
    AcceleratorState._shared_state.update(kept)


@pytest.fixture(scope="module")
def recipe(half, tmp_path_factory):
    """Run folder, metrics of the stages, and the instruction examples and dtypes that the steps saw."""
    root = tmp_path_factory.mktemp("paper")
    build_corpus(root / "corpus", 1, 300, sorted(ACTIVITIES)[:38], workers=1, progress=False)
    text_model, seen = save_text_model(root / "qwen2"), {"examples": [], "dtypes": set()}

    class Watched(language_stage.AnyMoProcessor):
        def language_example(self, codes, worn, kind, *words):
            example = super().language_example(codes, worn, kind, *words)
            seen["examples"].append((kind, words, example))
            return example

    plain = next_token.summed_loss

    def watched_loss(model, **batch):
        hook = model.get_output_embeddings().register_forward_hook(lambda *got: seen["dtypes"].add(got[2].dtype))
        loss = plain(model, **batch)
        hook.remove()
        return loss

    with pytest.MonkeyPatch.context() as patch:
        for module in (language_stage, contrastive_stage):
            patch.setattr(module, "AnyMoProcessor", Watched)
        patch.setattr(next_token, "summed_loss", watched_loss)
        metrics = {
            "encoder": train_encoder(settings("encoder", **SMALLER["encoder"]), root, half),
            "tokenizer": train_tokenizer(settings("tokenizer", **SMALLER["tokenizer"]), root, half),
            "language": train_language(
                settings("language", text_model=str(text_model), **SMALLER["language"]), root, half
            ),
        }
        contrastive = settings("contrastive", **SMALLER["contrastive"])
        metrics["contrastive"] = tune_contrastive(contrastive, root, root / "anymo", half)
    return root, metrics, seen


def test_every_stage_runs(recipe):
    _, metrics, seen = recipe
    assert {name: found["steps"] for name, found in metrics.items()} == dict.fromkeys(KINDS, 2)
    assert set(metrics["language"]["losses"]) == {"motion"}
    assert set(metrics["contrastive"]["losses"]) == {"narration", "label", "instruction"}
    assert all(np.isfinite(list(found["losses"].values())).all() for found in metrics.values())
    assert seen["dtypes"] == {torch.bfloat16}  # of the scores; weights are float32:
    for stage in ("language", "contrastive"):
        tensors = load_file(recipe[0] / stage / "checkpoint.safetensors")
        assert {value.dtype for value in tensors.values()} == {torch.float32}


def test_instruction_examples_are_narrations_and_questions_of_35_choices(recipe):
    _, _, seen = recipe
    examples = [example for example in seen["examples"] if example[0] != "motion"]
    kinds = [kind for kind, _, _ in examples]
    assert kinds.count("multiple_choice") == kinds.count("narration") == SMALLER["contrastive"]["lm_batch_size"]
    for kind, words, _ in examples:
        if kind == "multiple_choice":
            answer, options = words
            assert len(options) == len(set(options)) == 35 and answer in options


def test_words_keep_their_bits_and_codes_learn(recipe):
    root, _, _ = recipe
    source = Qwen2ForCausalLM.from_pretrained(root / "qwen2", dtype=torch.float32)
    table = source.get_input_embeddings().weight
    released = AutoModel.from_pretrained(root / "anymo")
    language = AutoModel.from_pretrained(root / "language" / "model")
    tokenizer = AutoTokenizer.from_pretrained(root / "anymo")
    config = released.config
    # as in Qwen2: motion tokens take the first ids after the words, in the padding of the table and beyond
    assert config.imu_bos_token_id == tokenizer.imu_bos_token_id == WORDS and config.imu_token_offset == WORDS + 1
    assert config.text_config.vocab_size == WORDS + 4098 and not config.text_config.tie_word_embeddings
    assert config.soft_prompt_length == 8 and config.pooler_latents == 128 and config.contrastive_temperature == 0.05
    for model in (language, released):
        for part in (model.get_input_embeddings(), model.get_output_embeddings()):
            assert torch.equal(part.weight[:WORDS], table[:WORDS])
    codes = slice(config.imu_token_offset, config.imu_token_offset + 4096)
    heads = [model.get_output_embeddings().weight[codes] for model in (language, released)]
    assert (heads[0] != heads[1]).any(1).float().mean() > 0.9
    trained = released.language_model.base_model.layers[0].mlp.up_proj.weight
    assert not torch.equal(trained, source.model.layers[0].mlp.up_proj.weight)  # full fine-tuning
    assert released.text_soft_prompt.shape == (8, 32)
    assert not torch.equal(released.text_soft_prompt, language.text_soft_prompt)


def test_steps_are_epochs_of_the_papers_corpus():
    encoder, tokenizer, language, contrastive = (settings(stage) for stage in KINDS)
    assert encoder.steps == pytest.approx(10 * WINDOWS / encoder.batch_size, abs=1)
    assert tokenizer.steps == pytest.approx(500 * WINDOWS / tokenizer.batch_size, abs=1)
    assert language.steps == pytest.approx(3 * WINDOWS / language.batch_size, abs=1)
    two = contrastive.for_processes(2)
    assert two.batch_size == two.lm_batch_size == 16 * 4 * 2 == 128 and contrastive.chunk_size == 16
    assert two.steps == pytest.approx(PAIRS / two.batch_size, abs=1)
    assert two.fingerprint() == replace(two, batch_per_process=False).fingerprint() != contrastive.fingerprint()
    assert settings("language").for_processes(4) == settings("language")
