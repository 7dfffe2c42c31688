"""Scores of captions against one reference each (paper Table 3), BERT-F1 included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets as hf_datasets
import evaluate
import numpy as np
import torch
from tqdm import tqdm

from .metrics import caption_scores, meteor

PAPER_SCORER = "microsoft/deberta-xlarge-mnli"

# Layer that agrees best with people, per scorer (BERTScore, Zhang et al. 2020); others use their last one.
SCORER_LAYERS = {PAPER_SCORER: 40, "roberta-large": 17, "bert-base-uncased": 9}


def score_captions(captions: Sequence[str], texts: Sequence[str], scorer: str | None = None) -> dict[str, float]:
    """Mean scores as fractions; `scorer` names a model for BERT-F1, None leaves that score out."""
    scores = caption_scores(captions, texts)
    if scorer is not None:
        scores["bert_f1"] = float(np.mean(bert_f1(captions, texts, scorer)))
    return scores


@torch.inference_mode()
def bert_f1(candidates: Sequence[str], references: Sequence[str], scorer: str) -> np.ndarray:
    """BERTScore F1 `(pairs,)` without idf weights and without baseline rescaling; 0 where a sentence is empty.

    A sentence of more tokens than the scorer has positions is cut.

    Args:
        scorer: name or folder of a text encoder, such as "microsoft/deberta-xlarge-mnli" (the paper's).

    Raises:
        OSError: the scorer is not on disk and cannot be fetched.
        ValueError: lists of different length.
    """
    from transformers import AutoModel, AutoTokenizer

    if len(candidates) != len(references):
        raise ValueError(f"need as many candidates as references: {len(candidates)}, {len(references)}")
    try:
        tokenizer = AutoTokenizer.from_pretrained(scorer)
        encoder = AutoModel.from_pretrained(scorer).eval().float()
    except (OSError, ValueError) as error:
        raise OSError(f"BERT-F1 scorer {scorer!r} is not available ({error}); download it or leave it out") from error

    longest = _longest(tokenizer, encoder)

    def embed(text: str) -> tuple[torch.Tensor, torch.Tensor]:
        batch = tokenizer(text, return_tensors="pt", truncation=True, max_length=longest)
        hidden = encoder(**batch, output_hidden_states=True).hidden_states[SCORER_LAYERS.get(scorer, -1)][0]
        special = tokenizer.get_special_tokens_mask(batch["input_ids"][0].tolist(), already_has_special_tokens=True)
        return torch.nn.functional.normalize(hidden, dim=-1), ~torch.tensor(special, dtype=torch.bool)

    scores = []
    pairs = list(zip(candidates, references, strict=True))
    for candidate, reference in tqdm(pairs, "BERT-F1", unit="caption", delay=1, leave=False, disable=None):
        (first, words), (second, others) = embed(candidate), embed(reference)
        if not words.any() or not others.any():
            scores.append(0.0)
            continue
        cosine = first @ second.T  # as in the package, a word may match a special token, which itself does not count
        precision = float(cosine.max(1).values[words].mean())
        recall = float(cosine.max(0).values[others].mean())
        scores.append(2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0)
    return np.array(scores)


def _longest(tokenizer: Any, encoder: Any) -> int:
    """Tokens that a scorer reads; a tokenizer without a limit of its own names a number beyond every model."""
    positions = getattr(encoder.config, "max_position_embeddings", 512)
    table = getattr(getattr(encoder, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)  # RoBERTa counts from behind it
    return min(tokenizer.model_max_length, positions - (0 if padding is None else padding + 1))


class CaptioningMetric(evaluate.Metric):
    """`evaluate` form of `caption_scores`: predictions are captions, references one sentence each.

    `compute(..., bert=True)` adds BERT-F1 by the encoder `scorer`, which has to be downloaded first (the paper's is the
    default); `compute(..., synonyms=True)` adds METEOR, which needs NLTK's WordNet data.
    """

    def _info(self) -> evaluate.MetricInfo:
        text = hf_datasets.Value("string")
        return evaluate.MetricInfo(
            description="BLEU-1, BLEU-4, ROUGE-L, METEOR's F-mean and, on demand, METEOR and BERT-F1, as fractions.",
            citation="arXiv 2605.22715",
            inputs_description="predictions: captions; references: the true sentence of each.",
            features=hf_datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(
        self, predictions, references, bert: bool = False, scorer: str = PAPER_SCORER, synonyms: bool = False
    ) -> dict[str, float]:
        scores = caption_scores(list(predictions), list(references))
        if synonyms:
            pairs = zip(predictions, references, strict=True)
            scores["meteor"] = float(np.mean([meteor(caption, reference) for caption, reference in pairs]))
        if bert:
            scores["bert_f1"] = float(np.mean(bert_f1(predictions, references, scorer)))
        return scores
