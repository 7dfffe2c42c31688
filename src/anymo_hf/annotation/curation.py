"""The stages of AnyMo-180's curation (paper A.4) in a folder: each reads what earlier ones wrote, and can be run again.

| file in the folder | written by |
| --- | --- |
| `windows.parquet` | the first stage that is given a table of windows |
| `replies.jsonl`, `vectors.jsonl` | every reply of a model, every vector of a label, as they come |
| `augmentations.parquet` | augment: `narration`, `variants`, `verified`, `passes`, `problem` |
| `free_labels.parquet` | label: `narration`, `free_label`, `label` (normalised) |
| `candidates.json` | cluster: merged labels and their members |
| `review.csv`, `vocabulary.json` | review-export, review-import |
| `votes.parquet` | classify: `narration`, `first`, `second`, `third`, `label` |
| `audit.csv`, `annotated.parquet` | audit |
| `reports/STAGE.json` | every stage: its counts, also when it was stopped |
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..atomic_write import write_json
from ..modeling.known_names import did_you_mean
from ..motion.activity_labels import anymo180
from ..refusals import parse_json
from ..thread_room import WITHOUT_THREADS
from .audit import audit_case, cases_of, decide, export_proposals
from .augmentation import STYLES, augment
from .classification import Votes, classify
from .clustering import MIN_FREQUENCY, THRESHOLD, cluster_vectors, frequent_labels
from .label_embedding import Encoder, embed_labels
from .labelling import free_label
from .language_client import BudgetReached, Endpoint, LanguageClient, Limits
from .merging import Candidate, candidates_of, merge_cluster
from .normalization import normalize_label
from .review import export_review, import_review, read_cells, read_vocabulary, write_vocabulary
from .stage_cache import StageCache
from .windows_table import annotate_rows, read_windows, write_table

# the paper's models
GENERATOR = "openai/gpt-oss-120b"
CLASSIFIER = "gpt-5.4-nano"
ADJUDICATOR = "gpt-5.4-mini"
AUDITOR = "gpt-5.5"
ANYMO180 = "anymo-180"

Report = dict[str, Any]


class Waiting(Exception):
    """People have to decide before the next stage."""


class Curation:
    """A folder in which a set of narrated windows is curated. Use as a context manager.

    Args:
        folder: where everything is kept; made where it is missing.
        endpoint: of the language models; stages that ask nothing do without.
        limits: what this object may spend, all stages together.

    Raises:
        OSError: another process works in the folder.
        ValueError: a damaged cache.
    """

    def __init__(self, folder: str | Path, endpoint: Endpoint | None = None, limits: Limits | None = None) -> None:
        self.folder = Path(folder)
        self._cache = StageCache(self.folder / "replies.jsonl")
        self.client = LanguageClient(endpoint or Endpoint(), self._cache, limits)

    def __enter__(self) -> Curation:
        return self

    def __exit__(self, *error: object) -> None:
        self._cache.close()

    # -- stages --------------------------------------------------------------------------------------------------------

    def augment(self, windows: str | Path | None = None, model: str = GENERATOR) -> Report:
        """Five verified variants of every narration."""
        with self._stage("augment", model=model) as report:
            table = self._windows(windows)
            texts, counts = _unique(table["narration"])
            report |= {"windows": len(table), "narrations": len(texts)}
            found = self.client.map(lambda text: augment(text, self.client, model), texts, "augment")
            write_table(
                pd.DataFrame(
                    {
                        "narration": texts,
                        "variants": [list(item.variants) for item in found],
                        "verified": [list(item.verified) for item in found],
                        "passes": [item.passes for item in found],
                        "problem": [item.problem for item in found],
                    }
                ),
                self.folder / "augmentations.parquet",
            )
            verified = [sum(item.verified) for item in found]
            report |= {
                "variants_verified": sum(verified),
                "variants_replaced_by_the_narration": len(STYLES) * len(found) - sum(verified),
                "narrations_with_all_verified": verified.count(len(STYLES)),
                "windows_with_all_verified": sum(
                    counts[text] for text, good in zip(texts, verified, strict=True) if good == len(STYLES)
                ),
                "verifier_passes": {str(n): count for n, count in sorted(Counter(i.passes for i in found).items())},
                "regenerations": sum(item.regenerated for item in found),
                "repairs": sum(item.repaired for item in found),
            }
        return report

    def label(self, windows: str | Path | None = None, model: str = GENERATOR) -> Report:
        """A free-form label of every narration, normalised."""
        with self._stage("label", model=model) as report:
            table = self._windows(windows)
            texts, counts = _unique(table["narration"])
            report |= {"windows": len(table), "narrations": len(texts)}
            found = self.client.map(lambda text: free_label(text, self.client, model), texts, "label")
            normal = [None if item is None else normalize_label(item) for item in found]
            columns = {"narration": texts, "free_label": found, "label": normal}
            write_table(pd.DataFrame(columns, dtype=object), self.folder / "free_labels.parquet")
            report |= {
                "windows_without_label": sum(
                    counts[text] for text, item in zip(texts, found, strict=True) if item is None
                ),
                "labels_as_written": len(set(found) - {None}),
                "labels_normalised": len(set(normal) - {None}),
            }
        return report

    def cluster(
        self,
        encoder: Encoder,
        encoder_name: str,
        model: str = GENERATOR,
        threshold: float = THRESHOLD,
        min_frequency: int = MIN_FREQUENCY,
    ) -> Report:
        """Frequent labels in clusters, and one label for each cluster."""
        with self._stage("cluster", model=model, encoder=encoder_name, threshold=threshold) as report:
            labels = self._free_labels()
            counts = Counter(self._windows()["narration"].map(labels).dropna())
            frequent = frequent_labels(counts, min_frequency)
            report |= {"labels": len(counts), "min_frequency": min_frequency, "frequent_labels": len(frequent)}
            if not frequent:
                raise ValueError(
                    f"{self.folder}: no label stands for {min_frequency} windows or more; give more windows or a smaller "
                    "--min-frequency"
                )
            with StageCache(self.folder / "vectors.jsonl") as vectors:
                rows = cluster_vectors(embed_labels(frequent, encoder, encoder_name, vectors), threshold)
            clusters = [[frequent[row] for row in cluster] for cluster in rows]
            report |= {"clusters": len(clusters), "clusters_of_two_or_more": sum(len(part) > 1 for part in clusters)}
            names = self.client.map(lambda part: merge_cluster(part, self.client, model), clusters, "merge")
            candidates = candidates_of(clusters, names, counts)
            write_json(self.folder / "candidates.json", [item.as_json() for item in candidates], indent=1)
            report |= {
                "candidates": len(candidates),
                "windows_of_candidates": sum(item.count for item in candidates),
                "windows_of_rare_labels": counts.total() - sum(item.count for item in candidates),
            }
        return report

    def review_export(self, path: str | Path | None = None, overwrite: bool = False) -> Report:
        """The candidates as a CSV file for people, `review.csv` without `path`; decisions in it stay."""
        target = Path(path or self.folder / "review.csv")
        with self._stage("review-export", asks=False, file=str(target)) as report:
            candidates = self._candidates()
            examples: dict[str, list[str]] = {}
            for text, label in self._free_labels().items():
                if label is not None:
                    examples.setdefault(label, []).append(text)
            export_review(candidates, examples, target, overwrite)
            undecided = int((read_cells(target, ("keep",))["keep"] == "").sum())
            report |= {"candidates": len(candidates), "undecided": undecided}
        return report

    def review_import(self, path: str | Path | None = None) -> Report:
        """The decisions of people as `vocabulary.json`."""
        source = Path(path or self.folder / "review.csv")
        with self._stage("review-import", asks=False, file=str(source)) as report:
            candidates = self._candidates()
            vocabulary = import_review(source, candidates)
            write_vocabulary(vocabulary, self.folder / "vocabulary.json")
            report |= {"candidates": len(candidates), "labels": len(vocabulary)}
        return report

    def classify(
        self,
        windows: str | Path | None = None,
        vocabulary: str | Path | None = None,
        model: str = CLASSIFIER,
        adjudicator: str = ADJUDICATOR,
    ) -> Report:
        """A label of the vocabulary for every narration: two votes, adjudicated by majority."""
        with self._stage("classify", model=model, adjudicator=adjudicator) as report:
            table, names = self._windows(windows), self.label_names(vocabulary)
            texts, counts = _unique(table["narration"])
            report |= {"windows": len(table), "narrations": len(texts), "vocabulary": len(names)}
            votes = self.client.map(
                lambda text: classify(text, names, self.client, model, adjudicator), texts, "classify"
            )
            columns = {
                "narration": texts,
                **{name: [getattr(vote, name) for vote in votes] for name in ("first", "second", "third", "label")},
            }
            write_table(pd.DataFrame(columns, dtype=object), self.folder / "votes.parquet")
            report |= _vote_counts(texts, votes, counts)
        return report

    def audit(
        self,
        vocabulary: str | Path | None = None,
        model: str = AUDITOR,
        decisions: str | Path | None = None,
        accept_proposals: bool = False,
    ) -> Report:
        """Checks every label in its context and writes `annotated.parquet`.

        Args:
            vocabulary: as for `classify`.
            model: the auditor.
            decisions: the CSV file of proposals; `audit.csv` in the folder without it.
            accept_proposals: take what people left undecided as it was proposed.

        Raises:
            Waiting: proposals are undecided.
        """
        path = Path(decisions or self.folder / "audit.csv")
        with self._stage("audit", model=model) as report:
            table, names = self._windows(), self.label_names(vocabulary)
            variants = self._by_narration("augmentations.parquet", "augment", "variants")
            votes = self._by_narration("votes.parquet", "classify", "label")
            if strangers := {label for label in votes.values() if label is not None} - set(names):
                raise ValueError(
                    f"{self.folder / 'votes.parquet'}: label {min(strangers)!r} is not in the vocabulary; classify again"
                )
            cases = cases_of(table, [votes[text] for text in table["narration"]])
            windows = Counter(case for case in cases if case is not None)
            # class by class, so that a server may keep a class's words warm and a stop leaves whole classes
            ordered = sorted(windows, key=lambda case: (case.label, case.narration, case.key))
            report |= {"windows": len(table), "candidate_windows": windows.total(), "cases": len(ordered)}
            found = self.client.map(lambda case: audit_case(case, names, self.client, model), ordered, "audit")
            verdicts = dict(zip(ordered, found, strict=True))
            proposals = export_proposals(verdicts, windows, path)
            report |= {"proposals": proposals, "file": str(path)}
            open_rows = (read_cells(path, ("decision",))["decision"] == "").sum()
            if open_rows and not accept_proposals:
                raise Waiting(
                    f"{path}: {open_rows} proposals need a decision; write keep, drop or a label in the column decision and "
                    "run the audit again, or take the proposals as they are with --accept-proposals"
                )
            final = decide(verdicts, names, path, accept_proposals)
            labels = [None if case is None else final[case] for case in cases]
            write_table(annotate_rows(table, variants, labels), self.folder / "annotated.parquet")
            report |= _audit_counts(names, cases, labels) | {"table": str(self.folder / "annotated.parquet")}
        return report

    # -- what stages share ---------------------------------------------------------------------------------------------

    @contextmanager
    def _stage(self, name: str, asks: bool = True, **facts: Any) -> Iterator[Report]:
        """A report that is written however the stage ends."""
        before, cost, start = self.client.counts.copy(), self.client.cost, time.perf_counter()
        report: Report = {"stage": name, "state": "failed"} | facts
        try:
            yield report
            report["state"] = "done"
        except BudgetReached as stop:
            report |= {"state": "budget reached", "why": str(stop)}
            raise
        except Waiting as stop:
            report |= {"state": "waits for people", "why": str(stop)}
            raise
        except KeyboardInterrupt:
            report["state"] = "interrupted"
            raise
        except Exception as error:
            report["why"] = str(error) or type(error).__name__
            raise
        finally:
            if asks:
                spent = self.client.counts - before
                report["asked"] = dict(sorted(spent.items())) | {"cost": round(self.client.cost - cost, 6)}
            report["seconds"] = round(time.perf_counter() - start, 3)
            write_json(self.folder / "reports" / f"{name}.json", report, indent=1)

    def _windows(self, given: str | Path | None = None) -> pd.DataFrame:
        kept = self.folder / "windows.parquet"
        if given is not None:
            table = read_windows(given)
            write_table(table, kept)
            return table
        if not kept.is_file():
            raise OSError(f"{self.folder}: no table of windows yet; give one with --windows FILE")
        return read_windows(kept)

    def _by_narration(self, file: str, stage: str, column: str) -> dict[str, Any]:
        """A column of an earlier stage's table by narration; all windows must be in it."""
        path = self.folder / file
        if not path.is_file():
            raise OSError(f"{path} is missing; run anymo annotate {stage} first")
        table = pd.read_parquet(path, **WITHOUT_THREADS)
        cells = [None if isinstance(cell, float) else cell for cell in table[column]]  # NaN is no label
        found = dict(zip(table["narration"], cells, strict=True))
        for text in self._windows()["narration"]:
            if text not in found:
                raise ValueError(f"{path}: lacks the narration {text!r}; run anymo annotate {stage} again")
        return found

    def _free_labels(self) -> dict[str, str | None]:
        return self._by_narration("free_labels.parquet", "label", "label")

    def _candidates(self) -> list[Candidate]:
        path = self.folder / "candidates.json"
        if not path.is_file():
            raise OSError(f"{path} is missing; run anymo annotate cluster first")
        try:
            return [Candidate(**item) for item in parse_json(path.read_text(encoding="utf-8"))]
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: damaged ({error}); run anymo annotate cluster again") from error

    def label_names(self, given: str | Path | None) -> list[str]:
        """Labels of a vocabulary file, of "anymo-180", or by default of `vocabulary.json` here; OSError without the file."""
        if given is not None and str(given) == ANYMO180:
            return list(anymo180())
        if given is not None and not Path(given).is_file():
            hint = did_you_mean(str(given), [ANYMO180]) or f"; {ANYMO180} is the released one"
            raise OSError(f"{given}: no such file{hint}")
        return list(read_vocabulary(given or self.folder / "vocabulary.json"))


def _unique(texts: pd.Series) -> tuple[list[str], Counter[str]]:
    """Each text once, in order, and how often it stands."""
    counts = Counter(texts)
    return list(counts), counts


def _vote_counts(texts: Sequence[str], votes: Sequence[Votes], counts: Mapping[str, int]) -> Report:
    rows = [(counts[text], vote) for text, vote in zip(texts, votes, strict=True)]
    total = sum(count for count, _ in rows)
    agreed = sum(count for count, vote in rows if vote.agree)
    labelled = sum(count for count, vote in rows if vote.label is not None)
    return {
        "windows_agreed": agreed, "share_agreed": round(agreed / total, 4),
        "windows_disagreed": total - agreed, "windows_adjudicated_to_a_majority": labelled - agreed,
        "windows_labelled": labelled, "share_labelled": round(labelled / total, 4),
    }  # fmt: skip


def _audit_counts(names: Sequence[str], cases: Sequence[Any], labels: Sequence[str | None]) -> Report:
    """Totals and, class by class, what became of the windows and how many the class has now."""
    classes = {name: Counter[str]() for name in names}
    for case, label in zip(cases, labels, strict=True):
        if case is not None:
            fate = "dropped" if label is None else "kept" if label == case.label else "relabelled"
            classes[case.label][fate] += 1
        if label is not None:
            classes[label]["windows"] += 1
    total: Counter[str] = sum(classes.values(), Counter())
    sizes = [part["windows"] for part in classes.values() if part["windows"]]
    spread = {}
    if sizes:
        middle, mean = float(np.median(sizes)), round(float(np.mean(sizes)), 2)
        spread = {"least": min(sizes), "most": max(sizes), "median": middle, "mean": mean}
    return {
        "windows_kept": total["kept"], "windows_relabelled": total["relabelled"], "windows_dropped": total["dropped"],
        "windows_labelled": total["windows"], "share_labelled": round(total["windows"] / len(cases), 4),
        "classes_with_windows": len(sizes),
        "windows_per_class": spread,
        "classes": {name: dict(sorted(part.items())) for name, part in classes.items() if part},
    }  # fmt: skip
