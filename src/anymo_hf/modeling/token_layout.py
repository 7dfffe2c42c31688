"""How rows of tokens become one batch: the settings that processors of transformers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TokenLayout:
    """How rows of tokens become one batch: the settings of `AnyMoProcessor.__call__`, checked.

    Raises:
        ValueError: a setting that is none.
    """

    padding: bool | str = True
    truncation: bool = False
    max_length: int | None = None
    padding_side: str = "right"
    pad_to_multiple_of: int | None = None

    def __post_init__(self):
        if self.padding not in (True, False, "longest", "max_length", "do_not_pad"):
            raise ValueError(
                f"padding must be True, False, 'longest', 'max_length' or 'do_not_pad', got {self.padding!r}"
            )
        if self.padding == "max_length" and self.max_length is None:
            raise ValueError("padding='max_length' needs max_length=")
        if self.truncation not in (True, False, "longest_first", "do_not_truncate"):
            raise ValueError(f"truncation must be True or False, got {self.truncation!r}")
        if self.truncation == "do_not_truncate":
            object.__setattr__(self, "truncation", False)
        if self.padding_side not in ("left", "right"):
            raise ValueError(f"padding_side must be 'left' or 'right', got {self.padding_side!r}")
        for name, value in (("max_length", self.max_length), ("pad_to_multiple_of", self.pad_to_multiple_of)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")

    def length(self, longest: int) -> int | None:
        """Tokens of a row, of which the longest has `longest`; None leaves rows as they are."""
        if self.padding in (False, "do_not_pad"):
            return None
        length = max(longest, self.max_length or 0) if self.padding == "max_length" else longest
        step = self.pad_to_multiple_of or 1
        return -(-length // step) * step


def merged_settings(given: dict, usual: dict, structured: Mapping[str, Any] | None) -> dict:
    """Settings, with those of `text_kwargs`; ValueError for one that is unknown or given twice."""
    structured = dict(structured or {})
    structured.pop("add_special_tokens", None)  # prompts hold their own
    if unknown := sorted(set(structured) - set(given)):
        raise ValueError(f"unknown settings {unknown} of text_kwargs; known are {', '.join(given)}")
    if twice := sorted(name for name in structured if given[name] != usual[name]):
        raise ValueError(f"{twice} are given in text_kwargs and beside it; give each once")
    return given | structured
