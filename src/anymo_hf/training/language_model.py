"""The motion-language model before its stages train it: its tokenizer, its first weights, its frozen rows."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from ..modeling.body_segments import PLACEMENT_WORDS
from ..modeling.configuration_anymo import AnyMoConfig
from ..modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from ..modeling.modeling_anymo import AnyMoForConditionalGeneration
from ..modeling.prompts import TEMPLATES
from ..modeling.tokenization_anymo import AnyMoTokenizer
from .settings import LanguageSettings, TextSettings
from .sharding import own_rows, shard_model

_SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")


@dataclass(frozen=True)
class WordRows:
    """Rows of the embedding and the head that stay as they are; those of motion tokens train (paper A.4).

    Args:
        tables: the parameters, whole or sharded. Weight decay needs no gradient, so it must spare them, or words would
            shrink all the same.
        first, last: rows `[first, last)` belong to motion tokens.
    """

    tables: tuple[nn.Parameter, ...]
    first: int
    last: int

    def clear_gradients(self) -> None:
        """Sets the gradient of words to zero; AdamW then leaves their bits alone."""
        for table in self.tables:
            if table.grad is not None:
                rows, numbers = own_rows(table.grad)
                rows[(numbers < self.first) | (numbers >= self.last)] = 0


def word_rows(model: AnyMoForConditionalGeneration) -> WordRows:
    """The rows to freeze of a model, plain or sharded."""
    config, embedding = model.config, model.get_input_embeddings()
    first = min(config.imu_bos_token_id, config.imu_token_offset)
    last = max(config.imu_eos_token_id + 1, config.imu_token_offset + embedding.num_codes)
    return WordRows((embedding.weight, model.get_output_embeddings().weight), first, last)


def prepare_model(
    model: AnyMoForConditionalGeneration, settings: TextSettings, accelerator: Accelerator
) -> tuple[AnyMoForConditionalGeneration, dict[str, Any]]:
    """The model on its device, sharded and checkpointed as asked, and what `run_steps` must know about its word rows."""
    if settings.gradient_checkpointing:
        model.activation_checkpointing_enable()  # replays random states
    # in bf16 torch's fused attention takes three times as long backwards on processors with AMX
    if accelerator.device.type == "cpu" and accelerator.mixed_precision == "bf16":
        model.set_attn_implementation("eager")
    model = shard_model(model.to(accelerator.device), accelerator)
    if not settings.freeze_words:
        return model, {}
    rows = word_rows(model)
    return model, {"undecayed": rows.tables, "edit_gradients": rows.clear_gradients}


def build_language_model(
    settings: LanguageSettings, extractor: AnyMoFeatureExtractor, texts: list[str]
) -> tuple[AnyMoForConditionalGeneration, AnyMoTokenizer]:
    """The tokenizer and a model that fits it: from scratch, from `settings.text_model`, or from `settings.start_from`.

    Args:
        settings: of the stage.
        extractor: its code vectors become inputs of the model.
        texts: train the tokenizer of a model from scratch, or the larger one of `start_from` with a larger `vocab_size`.

    Raises:
        ValueError: none or two of these ways are asked for, or a model to start from is of another size.
    """
    if settings.start_from:
        if settings.text_model:
            raise ValueError("give text_model or start_from, not both")
        model, tokenizer = _earlier_model(settings), AnyMoTokenizer.from_pretrained(settings.start_from)
        if settings.vocab_size is not None and settings.vocab_size > text_vocabulary(tokenizer):
            wider = AnyMoTokenizer.train_from_texts(_with_templates(texts), settings.vocab_size, tokenizer.num_codes)
            model, tokenizer = with_words_of(model, tokenizer, wider), wider
        model.set_codebook(extractor.pqvae)
        # codes may come from another encoder than those it was trained on
        model.config.stgcn_config, model.config.pqvae_config = extractor.stgcn.config, extractor.pqvae.config
        return model, tokenizer
    pqvae = extractor.pqvae.config
    num_codes = pqvae.num_codebooks * pqvae.codebook_size
    text_model = None
    if settings.text_model:
        text_model = AutoModelForCausalLM.from_pretrained(settings.text_model)
        tokenizer = AnyMoTokenizer.from_text_tokenizer(AutoTokenizer.from_pretrained(settings.text_model), num_codes)
        # weights are trained in float32, mixed precision casts them as it goes; Qwen2's config would make them bfloat16
        text_config = text_model.config.to_dict() | {"dtype": "float32"}
    elif settings.vocab_size is not None:
        tokenizer = AnyMoTokenizer.train_from_texts(_with_templates(texts), settings.vocab_size, num_codes)
        text_config = AnyMoConfig.from_preset(settings.preset).text_config.to_dict()
    else:
        raise ValueError("give vocab_size (train a tokenizer) or text_model (a checkpoint to start from)")
    highest = max(tokenizer.imu_eos_token_id + 1, len(tokenizer))
    text_config |= {
        "vocab_size": max(highest, text_model.config.vocab_size if text_model else 0),
        "tie_word_embeddings": False,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
    }
    config = AnyMoConfig.from_preset(
        settings.preset,
        stgcn_config=extractor.stgcn.config,
        pqvae_config=pqvae,
        text_config=text_config,
        imu_token_offset=tokenizer.imu_token_offset,
        imu_bos_token_id=tokenizer.imu_bos_token_id,
        imu_eos_token_id=tokenizer.imu_eos_token_id,
    )
    model = AnyMoForConditionalGeneration(config)
    if text_model is not None:
        model.load_text_weights(_with_own_head(text_model))
    model.set_codebook(extractor.pqvae)
    model.init_code_head()
    return model, tokenizer


def _earlier_model(settings: LanguageSettings) -> AnyMoForConditionalGeneration:
    model = AnyMoForConditionalGeneration.from_pretrained(settings.start_from).float()
    parts = model.config.text_config, AnyMoConfig.from_preset(settings.preset).text_config
    own, wanted = ({name: getattr(part, name) for name in _SIZES} for part in parts)
    if own != wanted:
        raise ValueError(
            f"start_from: the language model in {settings.start_from} has {own}, the preset {settings.preset} asks for "
            f"{wanted}; name one that fits"
        )
    model.config._name_or_path = ""  # the release does not tell where it was trained
    return model


def text_vocabulary(tokenizer: AnyMoTokenizer) -> int:
    """Tokens that are no motion tokens."""
    return len(tokenizer) - tokenizer.num_codes - 2


@torch.no_grad()
def with_words_of(
    model: AnyMoForConditionalGeneration, old: AnyMoTokenizer, new: AnyMoTokenizer
) -> AnyMoForConditionalGeneration:
    """The model with the vocabulary of `new`; a token that `old` lacks starts as the mean of its pieces there.

    Args:
        model: trained with `old`.
        new: a tokenizer with as many motion codes.

    Raises:
        ValueError: the two have unequal numbers of motion codes.
    """
    if new.num_codes != old.num_codes:
        raise ValueError(f"the new tokenizer has {new.num_codes} motion codes, the model's has {old.num_codes}")
    config = deepcopy(model.config)
    config.text_config.vocab_size = len(new)
    config.text_config.pad_token_id, config.text_config.eos_token_id = new.pad_token_id, new.eos_token_id
    config.imu_token_offset = new.imu_token_offset
    config.imu_bos_token_id, config.imu_eos_token_id = new.imu_bos_token_id, new.imu_eos_token_id
    wider = AnyMoForConditionalGeneration(config)
    known, spelling, pieces = old.get_vocab(), old.backend_tokenizer.model, torch.zeros(len(new), len(old))
    for token, row in new.get_vocab().items():
        # the byte-level form of a token is spelt by the old merges as it stands, partial characters too
        own = [known[token]] if token in known else [piece.id for piece in spelling.tokenize(token)]
        pieces[row] = torch.bincount(torch.tensor(own), minlength=len(old)) / len(own)
    tables = [part.get_parameter("weight") for part in (model.get_input_embeddings(), model.get_output_embeddings())]
    targets = [part.get_parameter("weight") for part in (wider.get_input_embeddings(), wider.get_output_embeddings())]
    rows = {id(table): pieces @ table[: len(old)].float() for table in tables}
    names = {name for name, value in model.named_parameters() if id(value) in rows}
    rest = {name: value for name, value in model.state_dict().items() if name not in names}
    if wrong := set(wider.load_state_dict(rest, strict=False).missing_keys) - names:
        raise ValueError(f"the model lacks {sorted(wrong)}")
    for table, target in zip(tables, targets, strict=True):
        target.copy_(rows[id(table)])
    return wider


def _with_own_head(text_model: PreTrainedModel) -> PreTrainedModel:
    """The model with a head of its own where it shares the embedding's table."""
    if not text_model.config.tie_word_embeddings:
        return text_model
    text_model = text_model.float()
    table = text_model.get_input_embeddings().weight
    head = nn.Linear(table.shape[1], table.shape[0], bias=False)
    head.weight.data.copy_(table.data)
    text_model.set_output_embeddings(head)
    return text_model


def _with_templates(texts: list[str]) -> list[str]:
    """Prompts belong to the tokenizer's training text too, or every prompt would be spelt in bytes."""
    frames = [template for template, _ in TEMPLATES.values()] * 20
    places = [f" {words} and" for words in PLACEMENT_WORDS.values()] * 20
    return [*texts, *(f" {text}" for text in texts), *frames, *places, "user\n", "assistant\n"]
