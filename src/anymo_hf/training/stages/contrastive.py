"""Stage 4: contrastive instruction tuning, and the release folder (paper §3.3, A.4)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import methodcaller
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from ...modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from ...modeling.modeling_anymo import AnyMoForConditionalGeneration
from ...modeling.processing_anymo import AnyMoProcessor, normalize_text, save_release
from ...modeling.tokenization_anymo import AnyMoTokenizer
from ..collators import LabelPhrases, multiple_choice, pad_examples
from ..corpus import EVERYDAY, Clip, MotionCorpus
from ..losses.grad_cache import cached_backward
from ..settings import ContrastiveSettings
from ..sharding import run_within, whole_model
from ..training_loop import MODEL_FILES, file_hash, finished_metrics, gather_rows, local_part, run_steps, write_metrics
from .language import (
    MODEL,
    TOKENIZER_FILES,
    crop_length,
    prepare_model,
    stage_texts,
    teacher_loss,
    teacher_texts,
    teacher_vectors,
    token_loss,
)
from .tokenizer import CODES, EXTRACTOR, EXTRACTOR_FILES, CodedViews, load_codes


def matched_contrastive_loss(
    imu: torch.Tensor, text: torch.Tensor, fits: torch.Tensor, silent: torch.Tensor | None, temperature: float
) -> torch.Tensor:
    """-log(sum over fitting pairs / sum over all) of exp(cosine / temperature), mean of both directions.

    With the identity for `fits` this is InfoNCE (Eq. 5); with equal labels it is the label loss of §3.3.

    Args:
        imu, text: `(batch, dim)` unit vectors.
        fits: `(batch, batch)` bool, text n belongs to window m; true on the diagonal.
        silent: `(batch, batch)` bool, pairs left out of both sums; None for none.
        temperature: divides the cosines.
    """
    logits = imu.float() @ text.float().t() / temperature
    if silent is not None:
        logits = logits.masked_fill(silent, float("-inf"))
    positives = logits.masked_fill(~fits, float("-inf"))
    rows = logits.logsumexp(1) - positives.logsumexp(1)
    columns = logits.logsumexp(0) - positives.logsumexp(0)
    return (rows.mean() + columns.mean()) / 2


def draw_narration(narrations: Sequence[str], augmented_share: float | None, rng: np.random.Generator) -> str:
    """One narration of a clip, evenly; or the first, and this share of the time one of the others."""
    if augmented_share is None:
        return narrations[int(rng.integers(len(narrations)))]
    others = len(narrations) - 1
    augmented, index = rng.random() < augmented_share, int(rng.integers(max(1, others)))
    return narrations[1 + index if augmented and others else 0]


class _Batches:
    """Draws windows activity by activity, so that a batch is as varied as it can be."""

    def __init__(self, views: CodedViews, clips: Sequence[Clip]):
        self.by_activity: dict[str, np.ndarray] = {}
        groups: dict[str, list[int]] = {}
        for row, clip in enumerate(views.clip):
            if clips[clip].activity and clips[clip].narrations:
                groups.setdefault(clips[clip].activity, []).append(row)
        self.by_activity = {name: np.array(rows) for name, rows in sorted(groups.items())}
        self.names = list(self.by_activity)
        if len(self.names) < 2:
            raise ValueError(
                f"contrastive tuning needs clips of two or more named activities, the corpus has {self.names}"
            )

    def draw(self, count: int, rng: np.random.Generator, everyday_share: float = 0.0) -> np.ndarray:
        """View rows, this share of them of `EVERYDAY` activities; none comes twice before all of its part have come."""
        everyday = [name for name in self.names if name in EVERYDAY]
        often = round(everyday_share * count) if everyday else 0
        chosen = [*_in_turn(everyday, often, rng), *_in_turn(self.names, count - often, rng)]
        return np.array([rng.choice(self.by_activity[name]) for name in chosen])


def _in_turn(names: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """`count` names, in a new random order every time all have come."""
    turns = -(-count // max(1, len(names)))
    return [names[int(index)] for _ in range(turns) for index in rng.permutation(len(names))][:count]


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
    phrases, batches = LabelPhrases(corpus.clips, settings.broader), _Batches(views, corpus.clips)
    taught = teacher_texts(texts, corpus, settings.teacher_texts, settings.seed)
    teacher = teacher_vectors(taught, root / "language", accelerator) if settings.teacher_weight > 0 else None

    def step(number: int, shared: np.random.Generator) -> dict[str, torch.Tensor]:
        rows = batches.draw(settings.batch_size, shared, settings.everyday_share)
        clips = [corpus.clips[views.clip[row]] for row in rows]
        narrations = [
            normalize_text(draw_narration(clip.narrations, settings.augmented_share, shared)) for clip in clips
        ]
        names = [phrases.draw(clip.activity, shared) for clip in clips]
        most = crop_length(settings, shared)
        codes = [views.tokens(row, most, shared) for row in rows]
        losses = _contrast(
            model, processor, settings, accelerator,
            local_part(codes, accelerator), local_part([views.worn(row) for row in rows], accelerator),
            local_part(narrations, accelerator), local_part(names, accelerator),
            _same(narrations), phrases.relations([clip.activity for clip in clips], names),
        )  # fmt: skip
        if settings.lm_weight > 0:
            examples = _instructions(processor, views, corpus.clips, batches, phrases, settings, shared)
            losses["instruction"] = _instruct(
                model, local_part(examples, accelerator), processor, settings, accelerator
            )
        if teacher is not None:
            picked = local_part(shared.choice(len(taught), settings.batch_size), accelerator)
            with accelerator.autocast():
                losses["teacher"] = teacher_loss(model, processor, taught, teacher, picked, accelerator)
            accelerator.backward(settings.teacher_weight * losses["teacher"])
        return {name: value.detach() for name, value in losses.items()}

    metrics = run_steps("contrastive", model, step, settings, folder, fingerprint, accelerator, **frozen)
    result = whole_model(model, accelerator)
    if accelerator.is_main_process:
        save_release(release, result.cpu(), processor)
        weights = file_hash(Path(release) / "model.safetensors")
        write_metrics(folder, metrics | {"finished": True, "weights": weights})
    accelerator.wait_for_everyone()
    return metrics


def _same(texts: Sequence[str]) -> torch.Tensor:
    """`(batch, batch)` bool: equal sentences belong to both windows, else one of them would be a false negative."""
    _, ids = np.unique(np.array(texts), return_inverse=True)
    ids = torch.from_numpy(ids)
    return ids[:, None] == ids[None, :]


def _contrast(
    model, processor, settings, accelerator, codes, worn, narrations, names, same, relations
) -> dict[str, torch.Tensor]:
    """Narration and label losses of the global batch, with backward; in chunks when asked. Weight 0 leaves one out."""
    device = accelerator.device
    # texts, weight, pairs that belong together, pairs left out
    branches = {
        "narration": (narrations, settings.narration_weight, same.to(device), None),
        "label": (names, settings.label_weight, *(part.to(device) for part in relations)),
    }
    branches = {name: branch for name, branch in branches.items() if branch[1] > 0}
    if not branches:
        return {}
    imu = processor(imu_codes=codes, imu_placements=worn, return_tensors="pt").to(device)
    texts = [text for branch in branches.values() for text in branch[0]]
    text = processor(text=texts, return_tensors="pt").to(device)
    parts: dict[str, torch.Tensor] = {}

    def embed(method: str, batch, begin: int, end: int) -> torch.Tensor:
        with accelerator.autocast():
            return run_within(model, methodcaller(method, **{name: rows[begin:end] for name, rows in batch.items()}))

    def loss(windows: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        windows, total = gather_rows(windows, accelerator), windows.new_zeros(())
        for (name, (_, weight, fits, silent)), own in zip(branches.items(), words.split(len(codes)), strict=True):
            rows = gather_rows(own, accelerator)
            parts[name] = matched_contrastive_loss(windows, rows, fits, silent, settings.temperature)
            total = total + weight * parts[name]
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


def _instruct(model, examples, processor, settings, accelerator) -> torch.Tensor:
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


def _instructions(processor, views, clips, batches, phrases, settings, rng) -> list[dict[str, list[int]]]:
    """Narration examples, and among them multiple choice at even distances, as many as their share says."""
    examples, share = [], settings.multiple_choice_share
    for number, row in enumerate(batches.draw(settings.lm_batch_size, rng)):
        clip = clips[views.clip[row]]
        codes, worn = views.tokens(row, settings.latents, rng), views.worn(row)
        if int((number + 1) * share) > int(number * share):
            answer, options = multiple_choice(batches.names, clip.activity, phrases, settings.candidates, rng)
            examples.append(processor.language_example(codes, worn, "multiple_choice", answer, options))
        else:
            answer = draw_narration(clip.narrations, settings.augmented_share, rng)
            examples.append(processor.language_example(codes, worn, "narration", answer))
    return examples
