"""A label of a closed vocabulary for a narration: two votes, and a third where they differ (paper A.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .language_client import LanguageClient, Question, Unanswered, text_object


@dataclass(frozen=True)
class Votes:
    """Labels that were voted for; None is no usable answer.

    Args:
        first, second: of the classifier.
        third: of the adjudicator; None also where it was not asked.
    """

    first: str | None
    second: str | None
    third: str | None = None

    @property
    def agree(self) -> bool:
        """Both passes of the classifier gave the same label."""
        return self.first is not None and self.first == self.second

    @property
    def label(self) -> str | None:
        """The label that at least two voted for."""
        votes = Counter(vote for vote in (self.first, self.second, self.third) if vote is not None)
        return next((label for label, count in votes.items() if count >= 2), None)


def classify(
    narration: str, vocabulary: Sequence[str], client: LanguageClient, classifier: str, adjudicator: str
) -> Votes:
    """Asks the classifier twice, and the adjudicator where the two differ. It sees the whole vocabulary and no votes."""
    first, second = (_vote(narration, vocabulary, client, classifier, sample) for sample in (1, 2))
    if first is not None and first == second:
        return Votes(first, second)
    # a sample of its own, in case that one model does both
    return Votes(first, second, _vote(narration, vocabulary, client, adjudicator, 3))


def _vote(narration: str, vocabulary: Sequence[str], client: LanguageClient, model: str, sample: int) -> str | None:
    def read(answer: dict[str, Any]) -> str:
        return known_label(answer["label"], vocabulary)

    schema = text_object(label={"type": "string", "enum": list(vocabulary)})
    user = f"Description: {narration}"
    try:
        return client.ask(Question(model, "classify", classifier_prompt(vocabulary), user, schema, read, sample))
    except Unanswered:
        return None


def classifier_prompt(vocabulary: Sequence[str]) -> str:
    """What the classifier is told before every description."""
    return (
        "You label descriptions of human motion with one of the activities below: the one that the described motion "
        "shows most closely.\n"
        + "\n".join(f"- {label}" for label in vocabulary)
        + '\nAnswer with a JSON object with the field "label", a label exactly as it stands above.'
    )


def known_label(label: Any, vocabulary: Sequence[str]) -> str:
    """`label`, if the vocabulary has it.

    Raises:
        ValueError: another label.
    """
    if label not in vocabulary:
        raise ValueError(f"{label!r} is not one of the {len(vocabulary)} labels")
    return label
