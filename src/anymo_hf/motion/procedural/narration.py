"""Sentences about a window, composed from the words of its activity and what happens in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import numpy as np

from .registry import ACTIVITIES, get_activity

_SUBJECTS = ("a person", "a human", "an individual", "the person", "someone")
_SPEED = {
    "slow": ("slowly", "at an easy pace"),
    "normal": ("at a normal pace", "steadily"),
    "fast": ("quickly", "in a hurry"),
}
_TIMES = {
    1: ("once", "a single time"),
    2: ("twice", "two times"),
    3: ("three times",),
    4: ("several times", "again and again"),
}
_FORMS = ("{subject} {verb}{tail}", "{subject} {verb}{tail}.", "in this clip {subject} {verb}{tail}")


def label_phrases(activity: str) -> list[str]:
    """Short names of an activity, as people and datasets write them.

    Raises:
        ValueError: unknown activity.
    """
    return list(get_activity(activity).label_phrases)


@cache
def _further_phrases() -> dict[str, tuple[str, ...]]:
    text = files(__package__).joinpath("further_phrases.json").read_text(encoding="utf-8")
    return {name: tuple(phrases) for name, phrases in json.loads(text).items()}


def further_phrases(activity: str) -> list[str]:
    """More names and sentences of an activity, for training only; none for one that a program registered.

    They are as varied as what people write, and too free to be shown or scored: that is for `label_phrases`.

    Raises:
        ValueError: unknown activity.
    """
    return list(_further_phrases().get(get_activity(activity).name, ()))


def known_sentences() -> list[str]:
    """A plain sentence for every verb phrase, side and speed that registered activities have, each once and sorted."""
    sentences = set()
    for activity in ACTIVITIES.values():
        speeds = ("", " slowly", " quickly") if activity.says_speed else ("",)
        sides = ("both", "the left", "the right")
        verbs = {verb.format(side=side) for verb in activity.verb_phrases for side in sides}
        sentences |= {f"a person {verb}{speed}" for verb in verbs for speed in speeds}
    return sorted(sentences)


def compose_narrations(activity: str, details: Mapping, rng: np.random.Generator, count: int = 6) -> list[str]:
    """Different sentences about one window.

    Args:
        activity: a key of `ACTIVITIES`.
        details: what happened in it: `side`, `speed`, `repetitions`, `direction`; absent ones are not mentioned.
        rng: source of choices.
        count: how many sentences.

    Raises:
        ValueError: unknown activity.
    """
    known = get_activity(activity)
    verbs = known.verb_phrases
    side = {"both": "both", "left": "the left", "right": "the right"}.get(details.get("side", ""), "one")
    tails = [""]
    if details.get("speed") in _SPEED and known.says_speed:
        tails += [f" {word}" for word in _SPEED[details["speed"]]]
    if details.get("repetitions"):
        tails += [f" {word}" for word in _TIMES[min(4, int(details["repetitions"]))]]
    if details.get("direction"):
        tails += [f" to the {details['direction']}"]
    sentences: list[str] = []
    order = rng.permutation(len(verbs))
    turn = 0
    while len(sentences) < count and turn < 40 * count:
        form = _FORMS[0] if turn < 2 else _FORMS[int(rng.integers(len(_FORMS)))]
        sentence = form.format(
            subject=_SUBJECTS[int(rng.integers(len(_SUBJECTS)))],
            verb=verbs[order[turn % len(verbs)]].format(side=side),
            tail=tails[int(rng.integers(len(tails)))],
        )
        turn += 1
        if sentence not in sentences:
            sentences.append(sentence)
    return sentences
