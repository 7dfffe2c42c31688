"""The text side alone: are words that training never saw nearest to the right activity?

python -m anymo_hf.evaluation.text_matching [--model anymo] [--out results/text_matching.json]

`paraphrases.json` holds five sentences or phrases for each of 66 activities, written for this test only. Each is embedded
as a label; the nearest of the activities' own names should be its activity's.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from ..motion.procedural import ACTIVITIES
from .caption_activity import Embed
from .simulated_windows import write_json


@cache
def paraphrases() -> dict[str, tuple[str, ...]]:
    """Activity -> texts of it that are in no training corpus."""
    text = files(__package__).joinpath("paraphrases.json").read_text(encoding="utf-8")
    return {name: tuple(texts) for name, texts in json.loads(text).items()}


@dataclass(frozen=True)
class TextMatching:
    """`accuracy` of the nearest activity and share of texts whose activity is among the nearest three, in percent;
    `wrong`: text -> [its activity, the nearest one]."""

    texts: int
    activities: int
    accuracy: float
    among_three: float
    wrong: dict[str, tuple[str, str]]


def match_texts(embed: Embed, texts: Mapping[str, Sequence[str]]) -> TextMatching:
    """Embeds the texts and the first label phrase of each activity, and compares.

    Args:
        embed: texts to unit embeddings `(n, dim)`.
        texts: activity -> texts.

    Raises:
        ValueError: an activity that does not exist, or no texts.
    """
    if unknown := sorted(set(texts) - set(ACTIVITIES)):
        raise ValueError(f"unknown activities {', '.join(unknown)}; known are those of `anymo motion list`")
    names = list(texts)
    pairs = [(name, text) for name in names for text in texts[name]]
    if not pairs:
        raise ValueError("texts is empty; give at least one text of one activity")
    labels = embed([ACTIVITIES[name].label_phrases[0] for name in names])
    similarity = embed([text for _, text in pairs]) @ labels.T
    order = np.argsort(-similarity, axis=1)
    truth = np.array([names.index(name) for name, _ in pairs])
    first, three = order[:, 0] == truth, (order[:, :3] == truth[:, None]).any(1)
    wrong = {
        text: (name, names[nearest])
        for (name, text), nearest, fine in zip(pairs, order[:, 0], first, strict=True)
        if not fine
    }
    return TextMatching(len(pairs), len(names), 100 * float(first.mean()), 100 * float(three.mean()), wrong)


def main(words: list[str] | None = None) -> None:
    """The command line."""
    from ..systems.interface import load_system

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", default="anymo", help="a system with a text side (default anymo)")
    parser.add_argument("--model", help="its weights (default: the system's own)")
    parser.add_argument("--out", type=Path, default=Path("results/text_matching.json"))
    given = parser.parse_args(words)
    result = match_texts(load_system(given.system, given.model).embed_text, paraphrases())
    found = {"system": given.system, "model": given.model or given.system, "unit": "percent", **asdict(result)}
    print(f"{result.texts} texts of {result.activities} activities: nearest right {result.accuracy:.1f} %, "
          f"among three {result.among_three:.1f} %")  # fmt: skip
    print(f"written: {write_json(given.out, found)}")


if __name__ == "__main__":
    main()
