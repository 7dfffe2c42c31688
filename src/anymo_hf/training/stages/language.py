"""Stage 3: next-token prediction on motion codes and text, with a sentence encoder as teacher (paper §3.3, A.4)."""

from __future__ import annotations

from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import nn

from ...modeling.configuration_anymo import AnyMoConfig
from ...modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from ...modeling.modeling_anymo import AnyMoForConditionalGeneration
from ...modeling.processing_anymo import IGNORED, AnyMoProcessor
from ...modeling.tokenization_anymo import AnyMoTokenizer
from ...motion.activity_labels import anymo180, label_names
from ..collators import pad_examples, text_examples
from ..corpus import MotionCorpus, corpus_texts, read_texts
from ..losses.sentence_teacher import cached_teacher, relational_loss
from ..settings import ContrastiveSettings, LanguageSettings
from ..sharding import own_rows, run_within, shard_model, whole_model
from ..training_loop import (
    MODEL_FILES,
    file_hash,
    finished_metrics,
    gather_rows,
    local_part,
    replace_folder,
    run_steps,
    start_hash,
    write_metrics,
)
from .tokenizer import CODES, EXTRACTOR, load_codes

MODEL = "model"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
TEXTS = "texts.txt"
_SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")


def stage_texts(root: Path, corpus: MotionCorpus) -> list[str]:
    """Texts of the corpus, the names of AnyMo-180, and `root/texts.txt`, where there is one."""
    extra = read_texts(root / TEXTS) if (root / TEXTS).is_file() else []
    names = [name for label in anymo180() for name in (label, *label_names(label))]
    return corpus_texts(corpus.clips, [*names, *extra])


def token_loss(
    model: AnyMoForConditionalGeneration,
    batch: dict[str, torch.Tensor],
    accelerator: Accelerator,
    whole: torch.Tensor | None = None,
) -> torch.Tensor:
    """Cross-entropy per predicted token of the global batch; the mean over processes is exact.

    Args:
        model: plain or sharded.
        batch: from `pad_examples`.
        accelerator: of this run.
        whole: labels of the batch that `batch` is a chunk of; the losses of its chunks add up to that of the batch.
    """
    batch = {name: value.to(accelerator.device) for name, value in batch.items()}
    total = run_within(model, _summed_loss, **batch)
    count = ((batch["labels"] if whole is None else whole)[:, 1:] != IGNORED).sum().to(total)
    if accelerator.num_processes > 1:
        count = accelerator.reduce(count, "mean")
    return total / count.clamp_min(1)


def _summed_loss(
    model: AnyMoForConditionalGeneration, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    hidden = model.language_model.base_model(
        input_ids=input_ids, attention_mask=attention_mask, use_cache=False
    ).last_hidden_state
    wanted = labels[:, 1:] != IGNORED
    # the head reads predicted positions only: prompts need no scores
    logits = model.get_output_embeddings()(hidden[:, :-1][wanted])
    return F.cross_entropy(logits.float(), labels[:, 1:][wanted], reduction="sum")


def crop_length(settings: LanguageSettings | ContrastiveSettings, rng: np.random.Generator) -> int:
    """Most latent steps of this batch's windows, between `shortest_crop` and all of `latents`."""
    return int(rng.integers(max(1, round(settings.shortest_crop * settings.latents)), settings.latents + 1))


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
    model: AnyMoForConditionalGeneration, settings: LanguageSettings | ContrastiveSettings, accelerator: Accelerator
) -> tuple[AnyMoForConditionalGeneration, dict[str, Any]]:
    """The model on its device, sharded and checkpointed as asked, and what `run_steps` must know about its word rows."""
    if settings.gradient_checkpointing:
        model.activation_checkpointing_enable()  # replays random states
    model = shard_model(model.to(accelerator.device), accelerator)
    if not settings.freeze_words:
        return model, {}
    rows = word_rows(model)
    return model, {"undecayed": rows.tables, "edit_gradients": rows.clear_gradients}


def build_language_model(
    settings: LanguageSettings, extractor: AnyMoFeatureExtractor, texts: list[str]
) -> tuple[AnyMoForConditionalGeneration, AnyMoTokenizer]:
    """The tokenizer and a model that fits it: from scratch, from `settings.text_model`, or from `settings.start_from`."""
    pqvae = extractor.pqvae.config
    if settings.start_from:
        if settings.text_model:
            raise ValueError("give text_model or start_from, not both")
        model = AnyMoForConditionalGeneration.from_pretrained(settings.start_from).float()
        text_config = AnyMoConfig.from_preset(settings.preset).text_config
        own, wanted = (
            {name: getattr(part, name) for name in _SIZES} for part in (model.config.text_config, text_config)
        )
        if own != wanted:
            raise ValueError(
                f"start_from: the language model in {settings.start_from} has {own}, the preset {settings.preset} asks "
                f"for {wanted}; name one that fits"
            )
        model.config._name_or_path = ""  # the release does not tell where it was trained
        model.set_codebook(extractor.pqvae)
        return model, AnyMoTokenizer.from_pretrained(settings.start_from)
    num_codes = pqvae.num_codebooks * pqvae.codebook_size
    config = AnyMoConfig.from_preset(settings.preset)
    text_model = None
    if settings.text_model:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        text_model = AutoModelForCausalLM.from_pretrained(settings.text_model)
        tokenizer = AnyMoTokenizer.from_text_tokenizer(AutoTokenizer.from_pretrained(settings.text_model), num_codes)
        # weights are trained in float32, mixed precision casts them as it goes; Qwen2's config would make them bfloat16
        text_config = text_model.config.to_dict() | {"dtype": "float32"}
    elif settings.vocab_size is not None:
        tokenizer = AnyMoTokenizer.train_from_texts(_with_templates(texts), settings.vocab_size, num_codes)
        text_config = config.text_config.to_dict()
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
        source = text_model
        if text_model.config.tie_word_embeddings:
            source = text_model.float()
            source.set_output_embeddings(_untied_head(text_model))
        model.load_text_weights(source)
    model.set_codebook(extractor.pqvae)
    model.init_code_head()
    return model, tokenizer


def _untied_head(text_model: nn.Module) -> nn.Linear:
    table = text_model.get_input_embeddings().weight
    head = nn.Linear(table.shape[1], table.shape[0], bias=False)
    head.weight.data.copy_(table.data)
    return head


def _with_templates(texts: list[str]) -> list[str]:
    """Prompts belong to the tokenizer's training text too, or every prompt would be spelt in bytes."""
    from ...modeling.body_segments import PLACEMENT_WORDS
    from ...modeling.processing_anymo import TEMPLATES

    frames = [template for template, _ in TEMPLATES.values()] * 20
    places = [f" {words} and" for words in PLACEMENT_WORDS.values()] * 20
    return [*texts, *(f" {text}" for text in texts), *frames, *places, "user\n", "assistant\n"]


def train_language(settings: LanguageSettings, root: str | Path, accelerator: Accelerator) -> dict:
    """Reads `root/corpus` and `root/tokenizer`; writes `root/language`: model/ (with tokenizer), metrics.json."""
    settings, root = settings.for_processes(accelerator.num_processes), Path(root)
    corpus, folder = MotionCorpus(root / "corpus"), root / "language"
    codes_path = root / "tokenizer" / CODES
    views = load_codes(codes_path)
    texts = stage_texts(root, corpus)
    inputs = corpus.identity() + file_hash(codes_path) + "\n".join(texts) + start_hash(settings.start_from)
    fingerprint = settings.fingerprint(inputs)
    results = (folder / MODEL / name for name in (*MODEL_FILES, *TOKENIZER_FILES))
    if done := finished_metrics(folder, fingerprint, *results):
        return done
    if not texts:
        raise ValueError("the corpus has no narrations or labels, so there is nothing to teach words with")
    extractor = AnyMoFeatureExtractor.from_pretrained(root / "tokenizer" / EXTRACTOR)
    torch.manual_seed(settings.seed)
    model, tokenizer = build_language_model(settings, extractor, texts)
    model, frozen = prepare_model(model, settings, accelerator)
    processor = AnyMoProcessor(extractor, tokenizer)
    taught = teacher_texts(texts, corpus, settings.teacher_texts, settings.seed)
    teacher = None
    if settings.teacher_weight > 0:
        teacher = teacher_vectors(taught, folder, accelerator)

    def step(number: int, shared: np.random.Generator) -> dict[str, torch.Tensor]:
        most = crop_length(settings, shared)
        # every process draws the crops of all rows, or their shared random sources would part ways
        examples = [
            processor.language_example(views.tokens(row, most, shared), views.worn(row), "motion")
            for row in shared.choice(len(views.length), settings.batch_size)
        ]
        examples, losses = local_part(examples, accelerator), {}
        with accelerator.autocast():
            losses["motion"] = token_loss(model, pad_examples(examples, tokenizer.pad_token_id), accelerator)
            total = losses["motion"]
            chosen = local_part(shared.choice(len(texts), settings.text_batch_size), accelerator)
            if settings.text_weight > 0:
                batch = pad_examples(text_examples(processor, [texts[i] for i in chosen]), tokenizer.pad_token_id)
                losses["text"] = token_loss(model, batch, accelerator)
                total = total + settings.text_weight * losses["text"]
            if teacher is not None:
                picked = local_part(shared.choice(len(taught), settings.text_batch_size), accelerator)
                losses["teacher"] = teacher_loss(model, processor, taught, teacher, picked, accelerator)
                total = total + settings.teacher_weight * losses["teacher"]
        accelerator.backward(total)
        return {name: value.detach() for name, value in losses.items()}

    metrics = run_steps("language", model, step, settings, folder, fingerprint, accelerator, **frozen)
    result = whole_model(model, accelerator)
    if accelerator.is_main_process:

        def write(draft: Path) -> None:
            result.save_pretrained(draft)
            tokenizer.save_pretrained(draft)

        replace_folder(folder / MODEL, write)
        write_metrics(folder, metrics | {"finished": True, "texts": len(texts), "vocabulary": len(tokenizer)})
    accelerator.wait_for_everyone()
    return metrics


def teacher_texts(texts: list[str], corpus: MotionCorpus, count: int, seed: int) -> list[str]:
    """All label phrases, filled up to `count` with other texts."""
    labels = corpus_texts([_labels_only(clip) for clip in corpus.clips])
    rest = sorted(set(texts) - set(labels))
    order = np.random.default_rng(seed).permutation(len(rest))
    return labels + [rest[int(index)] for index in order[: max(0, count - len(labels))]]


def _labels_only(clip):
    from dataclasses import replace

    return replace(clip, narrations=())


def teacher_vectors(texts: list[str], folder: Path, accelerator: Accelerator) -> torch.Tensor:
    """Teacher embeddings on this process's device; the main process makes them, the rest read its cache."""
    with accelerator.main_process_first():
        return cached_teacher(texts, folder, accelerator.device).to(accelerator.device)


def teacher_loss(model, processor, texts, teacher, rows, accelerator: Accelerator) -> torch.Tensor:
    """Distance of the student's cosine matrix from the teacher's, over the rows of all processes."""
    batch = processor(text=[texts[index] for index in rows], return_tensors="pt").to(accelerator.device)
    student = gather_rows(run_within(model, methodcaller("get_text_features", **batch)), accelerator)
    target = gather_rows(teacher[torch.as_tensor(rows, device=teacher.device)], accelerator)
    return relational_loss(student, target)
