"""The text side alone: are words that training never saw nearest to the right activity?

python -m anymo_hf.evaluation.text_matching [--model anymo] [--out results/text_matching.json]

`paraphrases.json` holds five sentences or phrases for each of 66 activities, written for this test only. Each is embedded
as a label; the nearest activity should be its own. An activity is its first label phrase, or the mean of all its phrases.
`--teacher` measures the sentence encoder that training learns from, which our text side can hardly pass.
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

from ..atomic_write import write_json
from ..interruption import ending_in_words
from ..modeling.known_names import did_you_mean
from ..motion.procedural import ACTIVITIES
from .caption_activity import Embed


@cache
def paraphrases() -> dict[str, tuple[str, ...]]:
    """Activity -> texts of it that are in no training corpus."""
    text = files(__package__).joinpath("paraphrases.json").read_text(encoding="utf-8")
    return {name: tuple(texts) for name, texts in json.loads(text).items()}


@dataclass(frozen=True)
class TextMatching:
    """`accuracy` of the nearest activity by its first phrase, `accuracy_all_phrases` by the mean of its phrases, and the
    share of texts whose activity is `among_three` nearest first phrases, in percent; `wrong`: text -> its activity and the
    nearest by all phrases."""

    texts: int
    activities: int
    accuracy: float
    accuracy_all_phrases: float
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
        hint = did_you_mean(unknown, ACTIVITIES)
        raise ValueError(f"unknown activities {', '.join(unknown)}{hint}; known are those of `anymo motion list`")
    names = list(texts)
    pairs = [(name, text) for name in names for text in texts[name]]
    if not pairs:
        raise ValueError("texts is empty; give at least one text of one activity")
    truth = np.array([names.index(name) for name, _ in pairs])
    own = embed([text for _, text in pairs])
    order = np.argsort(-own @ embed([ACTIVITIES[name].label_phrases[0] for name in names]).T, axis=1)
    nearest = (own @ np.stack([embed(_phrases(name)).mean(0) for name in names]).T).argmax(1)
    shares = (order[:, 0] == truth, nearest == truth, (order[:, :3] == truth[:, None]).any(1))
    wrong = {
        text: (name, names[other]) for (name, text), other in zip(pairs, nearest, strict=True) if name != names[other]
    }
    return TextMatching(len(pairs), len(names), *(100 * float(share.mean()) for share in shares), wrong)


def _phrases(name: str) -> list[str]:
    activity = ACTIVITIES[name]
    return [*activity.label_phrases, *(verb.replace("{side}", "one") for verb in activity.verb_phrases)]


@ending_in_words("text_matching")
def main(words: list[str] | None = None) -> None:
    """The command line."""
    from ..systems.checkpoint import weights_sha256
    from ..systems.interface import load_system

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", default="anymo", help="a system with a text side (default anymo)")
    parser.add_argument("--model", help="its weights (default: the system's own)")
    parser.add_argument("--teacher", action="store_true", help="the sentence encoder of training instead")
    parser.add_argument("--out", type=Path, default=Path("results/text_matching.json"))
    given = parser.parse_args(words)
    if given.teacher:
        from ..training.sentence_vectors import embed_sentences, encoder_folder

        folder = encoder_folder()
        given.system = folder.parent.name

        def embed(texts: Sequence[str]) -> np.ndarray:
            return embed_sentences(folder, texts).numpy()

    else:
        embed = load_system(given.system, given.model).embed_text
    result = match_texts(embed, paraphrases())
    found = {"system": given.system, "model": given.model or given.system, "unit": "percent"}
    if given.system == "anymo":
        found["weights_sha256"] = weights_sha256(found["model"])
    found |= asdict(result)
    print(f"{result.texts} texts of {result.activities} activities: nearest right {result.accuracy:.1f} %, "
          f"by all phrases {result.accuracy_all_phrases:.1f} %, among three {result.among_three:.1f} %")  # fmt: skip
    print(f"written: {write_json(given.out, found)}")


if __name__ == "__main__":
    main()
