"""One label for each cluster of like labels (paper A.4): a simple one, or phrasings parted by slashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .language_client import LanguageClient, Question, Unanswered, one_line, text_object

_SYSTEM = """The labels below come from one cluster of activity labels with close meaning. Merge them into one label: \
either one simple label that covers them, or, where several equivalent phrasings should stay, these phrasings parted by \
" / ", such as "walking / hiking". Use lower case, keep it short, and add no meaning that the labels do not have.
Answer with a JSON object with the field "label"."""


@dataclass(frozen=True)
class Candidate:
    """A label that people review.

    Args:
        label: merged label.
        members: normalised free-form labels in it, with the number of windows of each.
    """

    label: str
    members: dict[str, int]

    @property
    def count(self) -> int:
        """Windows of all members."""
        return sum(self.members.values())

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)


def slash_label(text: str) -> str:
    """Lower-case phrasings, each once, parted by " / ".

    Raises:
        ValueError: a phrasing without a letter.
    """
    parts = [" ".join(part.lower().split()).strip(' .,;:"') for part in one_line(text, "label").split("/")]
    if not all(any(char.isalpha() for char in part) for part in parts):
        raise ValueError(f"label {text!r} has a part without words")
    return " / ".join(dict.fromkeys(parts))


def merge_cluster(members: Sequence[str], client: LanguageClient, model: str) -> str:
    """The label of a cluster; a single member stays as it is. Without an answer the first member stands for all."""
    if len(members) == 1:
        return members[0]

    def read(answer: dict[str, Any]) -> str:
        return slash_label(answer["label"])

    user = "Labels:\n" + "\n".join(f"- {member}" for member in members)
    try:
        return client.ask(Question(model, "merge_labels", _SYSTEM, user, text_object(label={"type": "string"}), read))
    except Unanswered:
        return members[0]


def candidates_of(
    clusters: Sequence[Sequence[str]], labels: Sequence[str], counts: Mapping[str, int]
) -> list[Candidate]:
    """Candidates, most frequent first; clusters that were given the same label become one."""
    members: dict[str, Counter[str]] = {}
    for cluster, label in zip(clusters, labels, strict=True):
        members.setdefault(label, Counter()).update({member: counts[member] for member in cluster})
    merged = [Candidate(label, dict(part.most_common())) for label, part in members.items()]
    return sorted(merged, key=lambda candidate: (-candidate.count, candidate.label))
