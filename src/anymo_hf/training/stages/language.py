"""Stage 3: next-token prediction on motion codes and text, with a sentence encoder as teacher (paper §3.3, A.4)."""

from __future__ import annotations

from operator import methodcaller
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from ...modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from ...modeling.modeling_anymo import AnyMoForConditionalGeneration
from ...modeling.processing_anymo import AnyMoProcessor
from ..batches import crop_length, draw_worded, stage_texts, teacher_texts
from ..checkpoints import MODEL_FILES, file_hash, finished_metrics, replace_folder, start_hash, write_metrics
from ..coded_views import CODES, CodedViews, load_codes
from ..collators import pad_examples, text_examples
from ..corpus import MotionCorpus
from ..embedding_losses import EmbeddingLosses
from ..language_model import build_language_model, prepare_model
from ..losses.next_token import token_loss
from ..losses.sentence_teacher import SentenceTeacher
from ..processes import local_part
from ..settings import LanguageSettings
from ..sharding import run_within, whole_model
from ..training_loop import run_steps
from .tokenizer import EXTRACTOR

MODEL = "model"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


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
    corpus.check_words("the language stage")
    extractor = AnyMoFeatureExtractor.from_pretrained(root / "tokenizer" / EXTRACTOR)
    torch.manual_seed(settings.seed)
    model, tokenizer = build_language_model(settings, extractor, texts)
    model, frozen = prepare_model(model, settings, accelerator)
    processor = AnyMoProcessor(extractor, tokenizer)
    added = EmbeddingLosses(settings, model, corpus.clips, folder, accelerator)
    teacher = None
    if settings.teacher_weight > 0:
        read = teacher_texts(texts, corpus, settings.teacher_texts, settings.seed)
        teacher = SentenceTeacher(read, folder, accelerator)

    def step(number: int, shared: np.random.Generator) -> dict[str, torch.Tensor]:
        with accelerator.autocast():
            losses = _losses(model, processor, views, texts, teacher, settings, shared, accelerator)
            weights = {"motion": 1.0, "text": settings.text_weight, "teacher": settings.teacher_weight}
            total = sum(weights[name] * value for name, value in losses.items())
            if added:
                further = _added_losses(added, model, processor, views, corpus, settings, shared, accelerator)
                losses, total = losses | further, total + added.weighed(further)
        accelerator.backward(total)
        return {name: value.detach() for name, value in losses.items()}

    metrics = run_steps("language", added.beside(model), step, settings, folder, fingerprint, accelerator, **frozen)
    result = whole_model(model, accelerator)
    if accelerator.is_main_process:

        def write(draft: Path) -> None:
            result.save_pretrained(draft)
            tokenizer.save_pretrained(draft)

        replace_folder(folder / MODEL, write)
        write_metrics(folder, metrics | {"finished": True, "texts": len(texts), "vocabulary": len(tokenizer)})
    accelerator.wait_for_everyone()
    return metrics


def _losses(
    model: AnyMoForConditionalGeneration,
    processor: AnyMoProcessor,
    views: CodedViews,
    texts: list[str],
    teacher: SentenceTeacher | None,
    settings: LanguageSettings,
    shared: np.random.Generator,
    accelerator: Accelerator,
) -> dict[str, torch.Tensor]:
    """Losses of codes, texts and the teacher, of which one of weight 0 is left out."""
    most, padding = crop_length(settings, shared), processor.tokenizer.pad_token_id
    # every process draws the crops of all rows, or their shared random sources would part ways
    examples = [
        processor.language_example(views.tokens(row, most, shared), views.worn(row), "motion")
        for row in shared.choice(len(views.length), settings.batch_size)
    ]
    losses = {"motion": token_loss(model, pad_examples(local_part(examples, accelerator), padding), accelerator)}
    chosen = local_part(shared.choice(len(texts), settings.text_batch_size), accelerator)
    if settings.text_weight > 0:
        batch = pad_examples(text_examples(processor, [texts[i] for i in chosen]), padding)
        losses["text"] = token_loss(model, batch, accelerator)
    if teacher is not None:
        picked = local_part(shared.choice(len(teacher.texts), settings.text_batch_size), accelerator)
        losses["teacher"] = teacher.loss(model, processor, picked)
    return losses


def _added_losses(
    added: EmbeddingLosses,
    model: AnyMoForConditionalGeneration,
    processor: AnyMoProcessor,
    views: CodedViews,
    corpus: MotionCorpus,
    settings: LanguageSettings,
    shared: np.random.Generator,
    accelerator: Accelerator,
) -> dict[str, torch.Tensor]:
    """Added losses of windows and texts of their own."""
    rng = shared.spawn(1)[0]  # the other losses draw as they would without
    most = crop_length(settings, rng)
    rows, words = draw_worded(views, corpus.clips, settings.batch_size, rng)
    codes = local_part([views.tokens(row, most, rng) for row in rows], accelerator)
    worn = [views.worn(row) for row in local_part(rows, accelerator)]
    imu = processor(imu_codes=codes, imu_placements=worn, return_tensors="pt").to(accelerator.device)
    text = processor(text=local_part(words, accelerator), return_tensors="pt").to(accelerator.device)
    windows = run_within(model, methodcaller("get_imu_features", **imu)).pooler_output
    texts = run_within(model, methodcaller("get_text_features", **text)).pooler_output
    return added(windows, texts, words, views.clip[rows], rng)
