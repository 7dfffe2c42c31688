"""Prompts: templates, how places, options and texts are written into them, and how long they may be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from .body_segments import PLACEMENT_WORDS, SEGMENTS
from .known_names import did_you_mean

TEMPLATES = {
    "imu": ("Motion of a person with a wearable sensor on the {sensor_context}: {imu}", ("sensor_context", "imu")),
    "text": ("{text}", ("text",)),
    "narration": (
        "{imu}\nThese motion tokens come from a wearable sensor on the user's {sensor_context}. "
        "Describe what the person is doing.",
        ("sensor_context", "imu"),
    ),
    "multiple_choice": (
        "{imu}\nThese motion tokens come from a wearable sensor on the user's {sensor_context}. "
        "Which activity is it? Answer with one option.\n{options}",
        ("sensor_context", "imu", "options"),
    ),
    "motion": ("Write the motion tokens of a wearable sensor on the user's {sensor_context}.", ("sensor_context",)),
}
OPTION_KEYS = ("spreadsheet", "repeated")
LOWER_CASE = ("all", "labels", "none")
TEXT_KINDS = ("narration", "label")


def normalize_text(text: str) -> str:
    """Lower case, single spaces; ValueError for an empty or non-string text."""
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"text must be a non-empty string, got {text!r}")
    return " ".join(text.lower().split())


@dataclass(frozen=True)
class PromptStyle:
    """How places, options and texts are written into prompts.

    Args:
        place_names: segment -> words, such as {"L_Forearm": "left wrist"}, in place of some of `PLACEMENT_WORDS`.
        place_joiner: what stands between places.
        last_place_joiner: what stands before the last of them.
        option_format: line of an option, and of the answer to a multiple-choice question.
        option_keys: how keys go on after z: "spreadsheet" is aa, ab, ac; "repeated" is aa, bb, cc.
        lower_case: which texts get lower case and single spaces: "all"; "labels", those that come with
            `text_kind="label"`; "none". Of other texts, and so of options and answers, only the ends are stripped.

    Raises:
        ValueError: a setting of another kind.
    """

    place_names: dict[str, str] = field(default_factory=dict)
    place_joiner: str = ", "
    last_place_joiner: str = " and "
    option_format: str = "{key}. {label}"
    option_keys: str = "spreadsheet"
    lower_case: str = "all"

    def __post_init__(self):
        if not isinstance(self.place_names, dict):
            raise ValueError(f"prompt_style.place_names must be a dict of segment -> words, got {self.place_names!r}")
        if unknown := sorted(set(map(str, self.place_names)) - set(SEGMENTS)):
            hint = did_you_mean(unknown, SEGMENTS)
            raise ValueError(
                f"prompt_style.place_names: unknown segments {unknown}{hint}; known are {', '.join(SEGMENTS)}"
            )
        texts = {f"place_names[{name!r}]": words for name, words in self.place_names.items()}
        texts |= {name: getattr(self, name) for name in ("place_joiner", "last_place_joiner", "option_format")}
        for name, text in texts.items():
            if not isinstance(text, str) or not text:
                raise ValueError(f"prompt_style.{name} must be a non-empty string, got {text!r}")
        for part in ("{key}", "{label}"):
            if self.option_format.count(part) != 1:
                raise ValueError(f"prompt_style.option_format must hold {part} once, got {self.option_format!r}")
        for name, choices in (("option_keys", OPTION_KEYS), ("lower_case", LOWER_CASE)):
            if getattr(self, name) not in choices:
                raise ValueError(f"prompt_style.{name} must be one of {choices}, got {getattr(self, name)!r}")


def read_prompt_style(value: PromptStyle | Mapping[str, Any] | None) -> PromptStyle:
    """A style from its saved form; settings that are not there have their defaults."""
    if isinstance(value, PromptStyle):
        return value
    if value is not None and not isinstance(value, Mapping):
        raise ValueError(f"prompt_style must be a PromptStyle or a dict of its settings, got {value!r}")
    known = [setting.name for setting in fields(PromptStyle)]
    if unknown := sorted(set(map(str, value or {})) - set(known)):
        raise ValueError(f"unknown settings {unknown} of prompt_style; known are {', '.join(known)}")
    return PromptStyle(**(value or {}))


def option_key(index: int, keys: str = "spreadsheet") -> str:
    """Key of a multiple-choice option: a, b, ..., z, then aa, ab, ... or, "repeated", aa, bb, ..."""
    if keys == "repeated":
        return chr(ord("a") + index % 26) * (index // 26 + 1)
    key = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, 26)
        key = chr(ord("a") + letter) + key
    return key


def sensor_context(placements: Sequence[int], style: PromptStyle | None = None) -> str:
    """Words for segment indices: `left forearm and head`, or in another style."""
    style = style or PromptStyle()
    unknown = [index for index in placements if int(index) not in PLACEMENT_WORDS]
    if unknown or not len(placements):
        raise ValueError(f"imu_placements must be segment indices 0..{len(PLACEMENT_WORDS) - 1}, got {placements}")
    names = (style.place_names.get(SEGMENTS[int(index)], PLACEMENT_WORDS[int(index)]) for index in placements)
    *words, last = dict.fromkeys(names)
    return style.place_joiner.join(words) + style.last_place_joiner + last if words else last


def fill_fields(text: str, words: dict[str, str]) -> str:
    """Fields in place of `{name}`; what a field holds is not searched again."""
    return re.sub(r"\{(\w+)\}", lambda found: words.get(found[1], found[0]), text)


def check_positions(tokens: int, positions: int | None) -> None:
    """ValueError if a prompt is longer than the positions of the language model; None passes, they are unknown."""
    if positions is not None and tokens > positions:
        raise ValueError(
            f"a prompt of {tokens} tokens does not fit the language model's {positions} positions; cut the recording "
            "(embed_recordings and the pipelines do, unless max_window_seconds is None) or shorten the text"
        )
