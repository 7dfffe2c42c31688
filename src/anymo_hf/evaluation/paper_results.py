"""The paper's own numbers, Tables 1 to 10, kept in `paper_results.json` and nowhere else."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from ..motion.activity_labels import anymo180

_FILE = Path(__file__).with_suffix(".json")


def paper_results(task: str) -> dict[str, dict[str, tuple[Any, ...]]]:
    """What a table of the paper prints: group -> row -> values in the order of `paper_columns(task)`.

    | task | table | group | row | values |
    | --- | --- | --- | --- | --- |
    | recognition | 1 | dataset, or "average" | system | accuracy, macro-F1, Recall@2 in percent |
    | retrieval | 2 | such as "nymeria, 100 samples, imu_to_text" | system | Recall@1, @5, @10 and MRR in percent |
    | captioning | 3 | dataset | system | BLEU-1, BLEU-4, ROUGE-L, METEOR, BERT-F1 in percent |
    | ablations | 4 | "average" | variant | as Table 1 |
    | surface_vertices | 5 | "segments" | segment, in words | vertices |
    | tokenizer | 6 | "AnyMo" | "codebook 0" or "codebook 1" | entries, used, perplexity, the rest in percent |
    | label_counts | 7 | "AnyMo-180" | label | windows; the home of these is `motion/anymo180.json` |
    | bench | 8 | setting, such as "Core50 / Unseen Subject" | model | Acc@1, Acc@5, macro-F1 in percent |
    | datasets | 9 | dataset | "classes" or "placements" | their words |
    | prompts | 10 | "average" | text-side prompt | as Table 1 |

    A system that the paper left out of a setting is missing there.

    Raises:
        KeyError: a task that the file does not have.
    """
    if task == "label_counts":
        return {"AnyMo-180": {label: (count,) for label, count in anymo180().items()}}
    return {
        group: {name: tuple(values) for name, values in rows.items()} for group, rows in _tables()[task]["rows"].items()
    }


def paper_columns(task: str) -> tuple[str, ...]:
    """Names of the values of a row, as the results files of `anymo evaluate` spell them; none for "datasets".

    Raises:
        KeyError: a task that the file does not have.
    """
    return tuple(_tables()[task]["columns"])


@cache
def _tables() -> dict[str, dict[str, Any]]:
    return json.loads(_FILE.read_text(encoding="utf-8"))
