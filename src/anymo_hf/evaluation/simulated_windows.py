"""Retrieval, captions and tokenizer use on simulated people whom training never saw, each with its JSON file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..atomic_write import write_json
from ..systems.captions import generate_captions, select_captions
from ..systems.embeddings import embed_labels
from ..systems.held_out_windows import HeldOutWindows, held_out_windows
from .caption_activity import named_activities
from .metrics import caption_scores
from .narrated_scores import all_caption_scores
from .retrieval import evaluate_retrieval
from .tokenizer_diagnostics import diagnose_codes

DEFAULT_WINDOWS = {"retrieval": 100, "captioning": 100, "tokenizer": 1000}


def evaluate_simulated(
    parts: Sequence[str],
    model: Any,
    processor: Any,
    out: str | Path,
    model_name: str,
    weights: Mapping[str, str],
    windows: int | None = None,
    batch_size: int = 64,
    scorer: str | None = None,
) -> Iterator[str]:
    """Evaluates and writes one part after the other, and says so line by line.

    Args:
        parts: of `DEFAULT_WINDOWS`.
        model, processor: of one checkpoint; `model_name` and `weights` (of `weights_sha256`) stand in the files.
        out: folder for PART.json.
        windows: how many; None takes `DEFAULT_WINDOWS`.
        batch_size: windows at a time.
        scorer: model for captions' BERT-F1, left out without it.

    Raises:
        ValueError: unknown part.
    """
    if unknown := sorted(set(parts) - set(DEFAULT_WINDOWS)):
        raise ValueError(f"unknown parts {unknown}; known: {', '.join(DEFAULT_WINDOWS)}")
    counts = {part: windows or DEFAULT_WINDOWS[part] for part in parts}
    all_windows = held_out_windows(processor, max(counts.values()))
    for part, count in counts.items():
        first = all_windows.part(0, count)
        shown = first.codes, first.placements, first.texts
        if part == "retrieval":
            lines, result = _retrieval(model, processor, *shown, batch_size)
        elif part == "captioning":
            lines, result = _captioning(model, processor, first, min(batch_size, 16), scorer)
        else:
            lines, result = _tokenizer(processor, first.codes)
        yield from lines
        settings = {"model": model_name, "weights_sha256": dict(weights), "windows": count}
        path = write_json(Path(out) / f"{part}.json", settings | result)
        yield f"written: {path}"


def _retrieval(model, processor, codes, places, texts, batch_size) -> tuple[list[str], dict[str, Any]]:
    scores = evaluate_retrieval(model, processor, codes, places, texts, batch_size)
    both = {"imu_to_text": _percent(scores.imu_to_text), "text_to_imu": _percent(scores.text_to_imu)}
    among = f"among {scores.texts} texts and {len(texts)} windows"
    lines = [f"{name} {among}: {_in_words(values)}" for name, values in both.items()]
    return lines, {"unit": "percent", "texts": scores.texts, **both}


def _captioning(model, processor, windows: HeldOutWindows, batch_size, scorer) -> tuple[list[str], dict[str, Any]]:
    count, texts, embed = len(windows.texts), windows.texts, partial(embed_labels, model, processor)
    lines, results = [], []
    for way, make in (("captions", generate_captions), ("selected captions", select_captions)):
        captions = make(model, processor, windows.codes, windows.placements, batch_size=batch_size)
        scores, missing = all_caption_scores(captions, texts, scorer)
        named = _percent(named_activities(captions, windows.activities, embed))
        lines += [f"{way} of {count} windows: {_in_words(scores)}", f"activity named: {_in_words(named)}"]
        results.append({"scores": scores, "missing": missing, "activity_named": named, "captions": captions})
    ceiling = _percent(named_activities(texts, windows.activities, embed))
    lines.append(f"activity named by the references: {_in_words(ceiling)}")
    others = _percent(caption_scores(windows.other_texts, texts))
    lines.append(f"other sentences about the same windows as captions: {_in_words(others)}")
    more = {} if scorer is None else {"scorer": scorer}
    shared = {
        "references": texts,
        "references_named": ceiling,
        "other_references": others,
        "activities": windows.activities,
    }
    return lines, {"unit": "percent", **more, **results[0], "selected": results[1], **shared}


def _tokenizer(processor, codes) -> tuple[list[str], dict[str, Any]]:
    config = processor.feature_extractor.pqvae.config
    usage = diagnose_codes(codes, config.codebook_size, config.num_codebooks)
    books = [{**vars(book), "dead_ratio": book.dead_ratio} for book in usage.books]
    return [usage.markdown()], {"unit": "fraction", "collision_rate": usage.collision_rate, "books": books}


def _percent(scores: dict[str, float]) -> dict[str, float]:
    return {name: 100 * score for name, score in scores.items()}


def _in_words(percent: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in percent.items())
