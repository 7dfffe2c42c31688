"""Does a caption name the right activity? By the text side's nearest label, and by a word list."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, lru_cache

import numpy as np

from ..motion.procedural import ACTIVITIES
from .metrics import caption_words

Embed = Callable[[Sequence[str]], np.ndarray]  # texts to unit embeddings (n, dim)

# words of every other sentence, and the placeholder of a phrase
_NO_NEWS = frozenset(
    "a an the his her their both with and of to in on is for from one person human while it side".split()  # noqa: SIM905
)


@cache
def activity_phrases() -> dict[str, tuple[frozenset[str], ...]]:
    """Activity -> of each of its phrases the stems that say something."""
    return {
        name: tuple(frozenset(stems(text)) for text in (*activity.label_phrases, *activity.verb_phrases))
        for name, activity in ACTIVITIES.items()
    }


@cache
def _rarity() -> tuple[dict[str, float], float]:
    """Stem -> how much it tells, log of activities over those that use it; and the most that one tells."""
    count = Counter(stem for phrases in activity_phrases().values() for stem in frozenset().union(*phrases))
    rarity = {stem: math.log(1 + len(ACTIVITIES) / number) for stem, number in count.items()}
    return rarity, max(rarity.values())


def stems(text: str) -> list[str]:
    """Words without the commonest endings, so that "walks" and "walking" are one."""
    found = []
    for word in caption_words(text):
        if word in _NO_NEWS or not word.isalpha():
            continue
        for ending in ("ing", "es", "s", "e"):
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                word = word[: -len(ending)]
                break
        found.append(word[:-1] if len(word) > 3 and word[-1] == word[-2] else word)
    return found


def fits_by_words(caption: str, activity: str) -> bool:
    """Whether no other activity has a phrase that is more like the caption.

    Likeness is the F1 of shared stems, each weighted by how rare it is among activities. A caption without any known word
    fits nothing.
    """
    own = frozenset(stems(caption))
    best = {name: max(_likeness(own, phrase) for phrase in phrases) for name, phrases in activity_phrases().items()}
    return best[activity] > 0 and best[activity] >= max(best.values()) - 1e-9


def _likeness(first: frozenset[str], second: frozenset[str]) -> float:
    shared = first & second
    return 2 * _news(shared) / (_news(first) + _news(second)) if shared else 0.0


@lru_cache(4096)
def _news(stems: frozenset[str]) -> float:
    """How much stems tell together; one that no activity uses tells of something else, as much as the rarest."""
    rarity, most = _rarity()
    return sum(rarity.get(stem, most) for stem in stems)


def named_activities(captions: Sequence[str], activities: Sequence[str], embed: Embed) -> dict[str, float]:
    """Shares of captions, as fractions, that name the activity of their window.

    Args:
        captions: as generated.
        activities: the simulated activity of each window.
        embed: texts to unit embeddings, of the model whose captions they are.

    Returns:
        `by_nearest_label`: the nearest of all activities' first label phrases is the right one;
        `by_words`: see `fits_by_words`.

    Raises:
        ValueError: lists of different length, or none.
    """
    if not len(captions) or len(captions) != len(activities):
        raise ValueError(f"need an activity for each caption: {len(captions)}, {len(activities)}")
    names = list(ACTIVITIES)
    nearest = nearest_labels(captions, [activity.label_phrases[0] for activity in ACTIVITIES.values()], embed)
    truth = np.array([names.index(activity) for activity in activities])
    words = [fits_by_words(caption, activity) for caption, activity in zip(captions, activities, strict=True)]
    return {"by_nearest_label": float((nearest == truth).mean()), "by_words": float(np.mean(words))}


def nearest_labels(captions: Sequence[str], labels: Sequence[str], embed: Embed) -> np.ndarray:
    """`(n,)` index of the label nearest to each caption; -1 of an empty one, which names nothing.

    Args:
        captions: n; labels: texts; embed: as in `named_activities`.
    """
    said = [index for index, caption in enumerate(captions) if caption.strip()]  # the text side refuses empty texts
    nearest = np.full(len(captions), -1)
    if said:
        nearest[said] = (embed([captions[index] for index in said]) @ embed(labels).T).argmax(1)
    return nearest
