"""A free-form activity label for a narration (paper A.4)."""

from __future__ import annotations

from typing import Any

from .language_client import LanguageClient, Question, Unanswered, one_line, text_object
from .normalization import normalize_label

_SYSTEM = """You name the activity in a description of human motion, as a class of an activity recognition data set.
Give one short label of one to six words that starts with a verb in -ing where possible, such as "walking up stairs".
Name what the body does, not who does it, and nothing that the description does not say.
Answer with a JSON object with the field "label"."""
_LONGEST = 10  # words


def free_label(narration: str, client: LanguageClient, model: str) -> str | None:
    """The label as the model wrote it; None where it gave none."""

    def read(answer: dict[str, Any]) -> str:
        label = one_line(answer["label"], "label")
        if not normalize_label(label):
            raise ValueError(f"label {label!r} has no words")
        if len(label.split()) > _LONGEST:
            raise ValueError(f"label has {len(label.split())} words; at most {_LONGEST}")
        return label

    schema = text_object(label={"type": "string"})
    try:
        return client.ask(Question(model, "free_label", _SYSTEM, f"Description: {narration}", schema, read))
    except Unanswered:
        return None
