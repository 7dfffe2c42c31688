"""`Activity`: all that the package knows of one activity, in one object."""

from __future__ import annotations

from dataclasses import dataclass

from ..activity_labels import anymo180
from .pose import Build


@dataclass(frozen=True)
class Activity:
    """An activity: how it moves and how people speak of it.

    "ascending stairs" and "descending stairs" are left out of all words on purpose: they test words that training never
    saw. So are class names that only a benchmark would use; plain ones such as "walk upstairs" are what people say.

    Args:
        name: by which it is asked for.
        build: fills a `Pose` with one person doing it.
        label: its label in AnyMo-180, or None where none is truly this; then `plain_label` is given.
        label_phrases: short names, as people and datasets write them; the first is the one shown. Training reads
            `further_phrases.json` too.
        verb_phrases: what follows "a person" in a sentence; `{side}` becomes "the left", "the right", "both" or "one".
        plain_label: a label in plain words where AnyMo-180 has none.
        everyday: postures and ways of walking, which fill most label spaces, differ in small things and in which people
            differ most; training may draw them more often.
        broader: name of the wider activity that this one also is (who jogs, runs); training may let its phrases name both.
        says_speed: whether sentences may name the pace in `Pose.details["speed"]`.

    Raises:
        ValueError: a label that is not in AnyMo-180, both labels or none, or no words.
    """

    name: str
    build: Build
    label: str | None = None
    label_phrases: tuple[str, ...] = ()
    verb_phrases: tuple[str, ...] = ()
    plain_label: str | None = None
    everyday: bool = False
    broader: str | None = None
    says_speed: bool = False

    def __post_init__(self) -> None:
        if self.label is not None and self.label not in anymo180():
            raise ValueError(
                f"activity {self.name!r}: label {self.label!r} is not in AnyMo-180; use plain_label for it"
            )
        if (self.label is None) == (self.plain_label is None):
            raise ValueError(f"activity {self.name!r}: give either label (of AnyMo-180) or plain_label")
        if not self.label_phrases or not self.verb_phrases:
            raise ValueError(f"activity {self.name!r}: label_phrases and verb_phrases need at least one phrase each")

    @property
    def class_name(self) -> str:
        """The label that its clips are trained under: AnyMo-180's, or the plain one."""
        return self.label or self.plain_label or ""
