"""The paper's own numbers, kept in `paper_results.json` and nowhere else."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path


@cache
def paper_results(task: str) -> dict[str, dict[str, tuple[float, ...]]]:
    """What the paper prints for a task, in percent: dataset -> system -> scores.

    Args:
        task: "recognition" (Table 1: accuracy, macro-F1 and Recall@2; "average" is the last column), "retrieval" (Table 2:
            Recall@1, @5, @10 and MRR; keys such as "nymeria, 100 samples, imu_to_text") or "captioning" (Table 3: BLEU-1,
            BLEU-4, ROUGE-L, METEOR and BERT-F1). A system that the paper left out of a setting is missing there.

    Raises:
        KeyError: a task that the file does not have.
    """
    rows = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))[task]
    return {name: {system: tuple(scores) for system, scores in row.items()} for name, row in rows.items()}
