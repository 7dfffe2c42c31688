"""Short English texts of what people do, for the sentence vectors of the text side; one a line, drawn from word lists.

`action_words.json` groups verbs with the kinds of objects, places and manners that go with them, so that most texts make
sense: "chopping some carrots in the kitchen", "an old man carefully climbs the stairs".
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from ..atomic_write import write_text
from ..interruption import refusing_bad_input

SOURCE = "# texts of human actions, drawn from the package's own word lists"
_TRIES = 20  # draws for each text asked for; the lists hold millions, so far fewer are enough


def _words_of_kind(table: dict[str, list[str]], kinds: list[str]) -> list[str]:
    return [word for kind in kinds for word in table[kind]]


@cache
def _groups() -> tuple[tuple[dict[str, list], ...], list[str]]:
    """Verbs (three forms each), objects, places and manners that go together, and who does it."""
    words = json.loads(files(__package__).joinpath("action_words.json").read_text(encoding="utf-8"))
    groups = tuple(
        {
            "verbs": [verb.split("/") for verb in group["verbs"]],
            "objects": words["objects"][group["objects"]] if group["objects"] else [""],
            "places": _words_of_kind(words["places"], group["places"]),
            "manners": _words_of_kind(words["manners"], group["manners"]),
        }
        for group in words["groups"]
    )
    return groups, words["subjects"]


def _draw_text(groups: tuple[dict[str, list], ...], shares: np.ndarray, subjects: list[str], draw: Callable) -> str:
    """One text: who (or nobody), what, and often where and how."""
    group = groups[int(np.searchsorted(shares, draw()))]
    one = lambda items: items[int(draw() * len(items))]  # noqa: E731
    base, third, gerund = one(group["verbs"])
    style = draw()
    if style < 0.35:
        start = gerund
    elif style < 0.65:
        start = f"{one(subjects)} {third}"
    elif style < 0.75:
        start = f"{one(subjects)} is {gerund}"
    elif style < 0.9:
        start = base
    else:
        start = f"to {base}"
    parts = [start, one(group["objects"])]
    if draw() < 0.4:
        parts.append(one(group["places"]))
    if draw() < 0.25:
        parts.append(one(group["manners"]))
    return " ".join(part for part in parts if part)


def action_texts(count: int, seed: int = 0) -> list[str]:
    """`count` different texts, lower case, the same for the same seed.

    Raises:
        ValueError: `count` below one, or more than the word lists give.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    groups, subjects = _groups()
    # groups with more verbs and objects come more often; the root keeps small ones in
    sizes = np.sqrt([len(group["verbs"]) * len(group["objects"]) for group in groups])
    shares = np.cumsum(sizes / sizes.sum())
    shares[-1] = 1.0
    draw = np.random.default_rng(seed).random
    texts: dict[str, None] = {}
    for _ in range(_TRIES * count):
        texts[_draw_text(groups, shares, subjects, draw)] = None
        if len(texts) == count:
            return list(texts)
    raise ValueError(f"count {count}: the word lists gave only {len(texts)} different texts; ask for fewer")


def main(words: list[str] | None = None) -> None:
    """Writes the file by way of a temporary name; a bad count ends with 2."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=60_000, help="how many different texts (default 60000)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default 0)")
    parser.add_argument("--output", required=True, type=Path, help="text file to write")
    arguments = parser.parse_args(words)
    with refusing_bad_input():
        texts = action_texts(arguments.count, arguments.seed)
        write_text(arguments.output, "\n".join([SOURCE, *texts]) + "\n")
    print(f"{len(texts)} texts in {arguments.output}")
