"""Metrics of the three tasks as plain functions (paper A.5, A.6); all return fractions, not percent."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")


def recognition_scores(
    similarity: np.ndarray, truth: np.ndarray, invalid: np.ndarray | None = None
) -> dict[str, float]:
    """Zero-shot recognition.

    Args:
        similarity: `(windows, labels)` score of every label, higher is better.
        truth: `(windows,)` index of the true label.
        invalid: `(windows,)` bool, where no answer could be read: wrong in every score, and no label's prediction.

    Returns:
        accuracy; macro_f1 over labels seen in truth or prediction; weighted_f1; recall_at_2, for which a label of equal
        score counts before the true one unless that is the answer.

    Raises:
        ValueError: wrong shapes, no windows, NaN scores or labels out of range.
    """
    similarity, truth = np.asarray(similarity, dtype=float), np.asarray(truth)
    if similarity.ndim != 2 or truth.shape != similarity.shape[:1] or len(truth) == 0:
        raise ValueError(f"need (windows, labels) scores and (windows,) truth, got {similarity.shape}, {truth.shape}")
    if np.isnan(similarity).any():
        raise ValueError("similarity holds NaN")
    labels = similarity.shape[1]
    if truth.min() < 0 or truth.max() >= labels:
        raise ValueError(f"truth must lie in 0..{labels - 1}, got {truth.min()}..{truth.max()}")
    order = np.argsort(-similarity, axis=1, kind="stable")
    answered = np.ones(len(truth), dtype=bool) if invalid is None else ~np.asarray(invalid, dtype=bool)
    right = (order[:, 0] == truth) & answered
    support = np.bincount(truth, minlength=labels)
    hits, chosen = (np.bincount(which, minlength=labels) for which in (truth[right], order[answered, 0]))
    seen = (support + chosen) > 0
    f1 = np.divide(2 * hits, support + chosen, out=np.zeros(labels), where=seen)
    return {
        "accuracy": float(right.mean()),
        "macro_f1": float(f1[seen].mean()),
        "weighted_f1": float((f1 * support).sum() / support.sum()),
        "recall_at_2": float((among_best(similarity, truth, 2) & answered).mean()),
    }


def among_best(scores: np.ndarray, truth: np.ndarray, count: int) -> np.ndarray:
    """Whether the true label is the answer or has fewer than `count` labels of no lower score beside it, `(windows,)` bool.

    Labels that a system does not tell apart, such as all that a language model leaves unnamed, are no second guess.

    Args:
        scores: `(windows, labels)`; truth: `(windows,)` index of the true label.
    """
    own = np.take_along_axis(scores, np.asarray(truth)[:, None], 1)
    return (scores.argmax(1) == truth) | ((scores >= own).sum(1) <= count)


def majority_scores(truth: np.ndarray, labels: int) -> dict[str, float]:
    """What always answering the most frequent class scores."""
    truth = np.asarray(truth)
    answer = np.zeros((len(truth), labels))
    answer[:, np.bincount(truth, minlength=labels).argmax()] = 1
    return recognition_scores(answer, truth)


def people_interval(
    right: np.ndarray, people: np.ndarray, draws: int = 2000, seed: int = 0
) -> tuple[float, float] | None:
    """95 % interval of the share of right answers, by bootstrap over people: whole people are drawn with replacement.

    Windows of one person are alike, so an interval over windows would be too narrow.

    Args:
        right: `(windows,)` bool.
        people: `(windows,)` who; "" is nobody.
        draws, seed: of the bootstrap.

    Returns:
        The 2.5 and 97.5 percentiles as fractions; None where under two people are named or a window has none.
    """
    names, owner = np.unique(people, return_inverse=True)
    if len(names) < 2 or "" in names:
        return None
    hits, counts = np.bincount(owner, weights=np.asarray(right, dtype=float)), np.bincount(owner)
    drawn = np.random.default_rng(seed).integers(0, len(names), (draws, len(names)))
    shares = hits[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(shares, (2.5, 97.5))
    return float(low), float(high)


def retrieval_scores(similarity: np.ndarray, positive: np.ndarray) -> dict[str, float]:
    """Rank of the first positive among the candidates of each query.

    Args:
        similarity: `(queries, candidates)`.
        positive: `(queries, candidates)` bool, at least one True in each row.

    Returns:
        recall_at_1, recall_at_5, recall_at_10 and mrr.

    Raises:
        ValueError: shapes that differ, NaN, or a query without a positive.
    """
    similarity, positive = np.asarray(similarity, dtype=float), np.asarray(positive, dtype=bool)
    if similarity.shape != positive.shape or similarity.ndim != 2:
        raise ValueError(
            f"similarity and positive must share (queries, candidates): {similarity.shape}, {positive.shape}"
        )
    if np.isnan(similarity).any():
        raise ValueError("similarity holds NaN; check the embeddings that it is made of")
    if not positive.any(1).all():
        raise ValueError(f"query {int(np.flatnonzero(~positive.any(1))[0])} has no positive candidate")
    best = np.where(positive, similarity, -np.inf).max(1, keepdims=True)
    # a tie with a wrong candidate counts against the query
    rank = 1 + ((similarity >= best) & ~positive).sum(1)
    return {f"recall_at_{k}": float((rank <= k).mean()) for k in (1, 5, 10)} | {"mrr": float((1 / rank).mean())}


def caption_words(text: str) -> list[str]:
    """Words of a caption as the official code counts them, so that "The door." equals "the door".

    Lower-cased runs of the letters a to z and digits; apostrophes inside a word stay, all other signs part words.
    """
    return _WORD.findall(text.lower())


def rouge_l(candidate: str, reference: str) -> float:
    """F1 of the longest common subsequence of `caption_words`."""
    a, b = caption_words(candidate), caption_words(reference)
    if not a or not b:
        return 0.0
    row = [0] * (len(b) + 1)
    for word in a:
        diagonal = 0
        for j, other in enumerate(b, start=1):
            above = row[j]
            row[j] = diagonal + 1 if word == other else max(row[j], row[j - 1])
            diagonal = above
    precision, recall = row[-1] / len(a), row[-1] / len(b)
    return 0.0 if row[-1] == 0 else 2 * precision * recall / (precision + recall)


def bleu(candidate: str, reference: str, order: int) -> float:
    """Sentence BLEU up to `order` of `caption_words` with brevity penalty; a missing order counts as 1e-9, as the official
    code does."""
    a, b = caption_words(candidate), caption_words(reference)
    if not a:
        return 0.0
    logs = []
    for n in range(1, order + 1):
        grams = [tuple(a[i : i + n]) for i in range(len(a) - n + 1)]
        others = [tuple(b[i : i + n]) for i in range(len(b) - n + 1)]
        matched = sum(min(grams.count(gram), others.count(gram)) for gram in set(grams))
        logs.append(np.log(max(matched / max(len(grams), 1), 1e-9)))
    return float(np.exp(min(0.0, 1 - len(b) / len(a)) + np.mean(logs)))


def meteor_f_mean(candidate: str, reference: str) -> float:
    """10PR / (R + 9P) over exact `caption_words`: the mean inside METEOR, not METEOR itself.

    The official code prints this as METEOR, so the paper's column compares with this one. It knows no stems and no
    synonyms, and no penalty for scattered words, so METEOR of other papers does not compare. `meteor` is the real one.
    """
    a, b = caption_words(candidate), caption_words(reference)
    matched = sum(min(a.count(word), b.count(word)) for word in set(a))
    if matched == 0:
        return 0.0
    precision, recall = matched / len(a), matched / len(b)
    return 10 * precision * recall / (recall + 9 * precision)


def meteor(candidate: str, reference: str) -> float:
    """METEOR of Banerjee and Lavie 2005 as NLTK has it on `caption_words`: Porter stems, WordNet synonyms, chunk penalty.

    Raises:
        OSError: NLTK is not installed, or its WordNet data is not on disk.
    """
    try:
        from nltk.translate.meteor_score import single_meteor_score

        return float(single_meteor_score(caption_words(reference), caption_words(candidate)))
    except (ImportError, LookupError) as error:
        raise OSError(
            "METEOR needs NLTK with WordNet: pip install nltk, then python -m nltk.downloader wordnet; or leave it out"
        ) from error


def caption_scores(candidates: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Mean sentence scores of captions against one reference each.

    Raises:
        ValueError: no captions, or lists of different length.
    """
    if not candidates or len(candidates) != len(references):
        raise ValueError(f"need as many captions as references, got {len(candidates)} and {len(references)}")
    pairs = list(zip(candidates, references, strict=True))
    return {
        "bleu_1": float(np.mean([bleu(c, r, 1) for c, r in pairs])),
        "bleu_4": float(np.mean([bleu(c, r, 4) for c, r in pairs])),
        "rouge_l": float(np.mean([rouge_l(c, r) for c, r in pairs])),
        "meteor_f_mean": float(np.mean([meteor_f_mean(c, r) for c, r in pairs])),
    }
