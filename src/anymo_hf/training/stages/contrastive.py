"""Stage 4: contrastive instruction tuning, and the release folder (paper §3.3, A.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from operator import methodcaller
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from ...modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from ...modeling.modeling_anymo import AnyMoForConditionalGeneration
from ...modeling.processing_anymo import AnyMoProcessor
from ...modeling.prompts import normalize_text
from ...modeling.release import save_release
from ...modeling.tokenization_anymo import AnyMoTokenizer
from ...motion.procedural import broader_activities
from ...simulation.archive.clips import Clip
from ..batches import ActivityBatches, crop_length, draw_instructions, draw_narration, stage_texts, teacher_texts
from ..checkpoints import MODEL_FILES, file_hash, finished_metrics, write_metrics
from ..coded_views import CODES, CodedViews, load_codes
from ..collators import LabelPhrases, pad_examples
from ..corpus import MotionCorpus
from ..embedding_losses import EmbeddingLosses
from ..grad_cache import cached_backward
from ..language_model import prepare_model
from ..losses.matched_contrast import equal_pairs, matched_contrastive_loss
from ..losses.next_token import token_loss
from ..losses.sentence_teacher import SentenceTeacher
from ..processes import gather_rows, local_part
from ..settings import ContrastiveSettings
from ..sharding import run_within, whole_model
from ..training_loop import run_steps
from .language import MODEL, TOKENIZER_FILES
from .tokenizer import EXTRACTOR, EXTRACTOR_FILES


def tune_contrastive(
    settings: ContrastiveSettings, root: str | Path, release: str | Path, accelerator: Accelerator
) -> dict:
    """Reads `root/corpus`, `root/tokenizer`, `root/language`; writes `root/contrastive` and the folder `release`."""
    if settings.start_from:
        raise ValueError("start_from: contrastive tuning starts from the language stage; start that one from a release")
    settings, root = settings.for_processes(accelerator.num_processes), Path(root)
    corpus, folder = MotionCorpus(root / "corpus"), root / "contrastive"
    codes_path, source = root / "tokenizer" / CODES, root / "language" / MODEL
    if not (source / "model.safetensors").is_file():
        raise OSError(f"no language model in {source}; run training/pretrain_language.py first")
    views = load_codes(codes_path)
    texts = stage_texts(root, corpus)
    inputs = corpus.identity() + file_hash(codes_path) + file_hash(source / "model.safetensors") + "\n".join(texts)
    fingerprint = settings.fingerprint(inputs)
    results = (Path(release) / name for name in (*MODEL_FILES, *TOKENIZER_FILES, *EXTRACTOR_FILES))
    done = finished_metrics(folder, fingerprint, *results)
    if done and done.get("weights") == file_hash(Path(release) / "model.safetensors"):
        return done
    model = AnyMoForConditionalGeneration.from_pretrained(source).float()
    model.config.contrastive_temperature = settings.temperature
    model.config.lm_loss_weight = settings.lm_weight
    model.config.narration_loss_weight = settings.narration_weight
    model.config.label_loss_weight = settings.label_weight
    model, frozen = prepare_model(model, settings, accelerator)
    extractor = AnyMoFeatureExtractor.from_pretrained(root / "tokenizer" / EXTRACTOR)
    processor = AnyMoProcessor(extractor, AnyMoTokenizer.from_pretrained(source))
    declared = broader_activities() if settings.broader_activities else {}
    phrases = LabelPhrases(corpus.clips, declared | settings.broader)
    batches = ActivityBatches(views.clip, corpus.clips)
    added = EmbeddingLosses(settings, model, corpus.clips, folder, accelerator)
    teacher = None
    if settings.teacher_weight > 0:
        read = teacher_texts(texts, corpus, settings.teacher_texts, settings.seed)
        teacher = SentenceTeacher(read, root / "language", accelerator)

    def step(number: int, shared: np.random.Generator) -> dict[str, torch.Tensor]:
        pairs = _draw_pairs(views, corpus.clips, batches, phrases, settings, shared)
        rng = shared.spawn(1)[0]  # the other losses draw as they would without added ones
        losses = _contrast(model, processor, settings, accelerator, pairs, added, rng)
        if settings.lm_weight > 0:
            examples = draw_instructions(processor, views, corpus.clips, batches, phrases, settings, shared)
            losses["instruction"] = _instruct(
                model, local_part(examples, accelerator), processor, settings, accelerator
            )
        if teacher is not None:
            picked = local_part(shared.choice(len(teacher.texts), settings.batch_size), accelerator)
            with accelerator.autocast():
                losses["teacher"] = teacher.loss(model, processor, picked)
            accelerator.backward(settings.teacher_weight * losses["teacher"])
        return {name: value.detach() for name, value in losses.items()}

    metrics = run_steps("contrastive", added.beside(model), step, settings, folder, fingerprint, accelerator, **frozen)
    result = whole_model(model, accelerator)
    if accelerator.is_main_process:
        save_release(release, result.cpu(), processor)
        weights = file_hash(Path(release) / "model.safetensors")
        write_metrics(folder, metrics | {"finished": True, "weights": weights})
    accelerator.wait_for_everyone()
    return metrics


@dataclass(frozen=True)
class TextPairs:
    """Windows of all processes with a narration and a label phrase each.

    Args:
        codes: motion codes of each window.
        worn: segment indices of its sensors.
        narrations, names: normalised texts.
        positives: `(batch, batch)` bool, name n is one of window m.
        ignored: `(batch, batch)` bool, the pair says nothing.
        clips: `(batch,)` corpus clips of the windows.
    """

    codes: list[np.ndarray]
    worn: list[list[int]]
    narrations: list[str]
    names: list[str]
    positives: torch.Tensor
    ignored: torch.Tensor
    clips: np.ndarray


def _draw_pairs(
    views: CodedViews,
    clips: Sequence[Clip],
    batches: ActivityBatches,
    phrases: LabelPhrases,
    settings: ContrastiveSettings,
    rng: np.random.Generator,
) -> TextPairs:
    rows = batches.draw(settings.batch_size, rng, settings.everyday_share)
    chosen = [clips[views.clip[row]] for row in rows]
    narrations = [normalize_text(draw_narration(clip.narrations, settings.augmented_share, rng)) for clip in chosen]
    names = [phrases.draw(clip.activity, rng) for clip in chosen]
    most = crop_length(settings, rng)
    codes = [views.tokens(row, most, rng) for row in rows]
    relations = phrases.relations([clip.activity for clip in chosen], names)
    return TextPairs(codes, [views.worn(row) for row in rows], narrations, names, *relations, views.clip[rows])


def _contrast(
    model: AnyMoForConditionalGeneration,
    processor: AnyMoProcessor,
    settings: ContrastiveSettings,
    accelerator: Accelerator,
    pairs: TextPairs,
    added: EmbeddingLosses,
    rng: np.random.Generator,
) -> dict[str, torch.Tensor]:
    """Narration, label and added losses of the global batch, with backward; in chunks when asked.

    Weight 0 leaves the narration or label loss out.
    """
    device = accelerator.device
    codes, worn, narrations, names = (
        local_part(part, accelerator) for part in (pairs.codes, pairs.worn, pairs.narrations, pairs.names)
    )
    # texts, weight, pairs that belong together, pairs left out
    branches = {
        "narration": (narrations, settings.narration_weight, equal_pairs(pairs.narrations).to(device), None),
        "label": (names, settings.label_weight, pairs.positives.to(device), pairs.ignored.to(device)),
    }
    wanted = {name for name, branch in branches.items() if branch[1] > 0}
    embedded = wanted | ({"narration"} if added else set())
    branches = {name: branch for name, branch in branches.items() if name in embedded}
    if not branches:
        return {}
    imu = processor(imu_codes=codes, imu_placements=worn, return_tensors="pt").to(device)
    texts = [text for branch in branches.values() for text in branch[0]]
    text = processor(text=texts, return_tensors="pt").to(device)
    parts: dict[str, torch.Tensor] = {}

    def embed(method: str, batch, begin: int, end: int) -> torch.Tensor:
        with accelerator.autocast():
            chunk = {name: rows[begin:end] for name, rows in batch.items()}
            return run_within(model, methodcaller(method, **chunk)).pooler_output

    def loss(own_windows: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        windows, total = gather_rows(own_windows, accelerator), own_windows.new_zeros(())
        for (name, (_, weight, positives, ignored)), own in zip(branches.items(), words.split(len(codes)), strict=True):
            if name in wanted:
                rows = gather_rows(own, accelerator)
                parts[name] = matched_contrastive_loss(windows, rows, positives, ignored, settings.temperature)
                total = total + weight * parts[name]
        if added:
            further = added(own_windows, words[: len(codes)], pairs.narrations, pairs.clips, rng)
            parts.update(further)
            total = total + added.weighed(further)
        return total

    groups = []
    for method, batch in (("get_imu_features", imu), ("get_text_features", text)):
        total = len(next(iter(batch.values())))
        size = settings.chunk_size or total
        groups.append([partial(embed, method, batch, b, min(b + size, total)) for b in range(0, total, size)])
    if settings.chunk_size:
        cached_backward(groups, loss, accelerator.backward)
    else:
        accelerator.backward(loss(groups[0][0](), groups[1][0]()))
    return parts


def _instruct(
    model: AnyMoForConditionalGeneration,
    examples: list[dict[str, list[int]]],
    processor: AnyMoProcessor,
    settings: ContrastiveSettings,
    accelerator: Accelerator,
) -> torch.Tensor:
    """Instruction loss of this process's examples, with backward, in chunks when asked."""
    batch = pad_examples(examples, processor.tokenizer.pad_token_id)
    size, total = settings.chunk_size or len(examples), torch.zeros((), device=accelerator.device)
    for begin in range(0, len(examples), size):
        chunk = {name: value[begin : begin + size] for name, value in batch.items()}
        longest = int(chunk["attention_mask"].sum(1).max())
        with accelerator.autocast():
            chunk = {name: value[:, :longest] for name, value in chunk.items()}
            loss = token_loss(model, chunk, accelerator, batch["labels"])
        accelerator.backward(settings.lm_weight * loss)
        total += loss.detach()
    return total
