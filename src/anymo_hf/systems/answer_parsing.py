"""Reads which options a language model's reply names, from the strictest form to the loosest; or that it names none."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from ..annotation.language_client import without_thoughts

LIKENESS = 0.9  # of a misspelt label
_FIELDS = ("ranking", "answer", "label")
_SAID = re.compile(r"\banswer\W*?(?:\bis\b|:)\W*(.+)$", re.I | re.M)
_OPTION = re.compile(r"^\W*(?:option|choice)\s+", re.I)
_FENCE = re.compile(r"^```(?:(?:json|text|plaintext)\s*(?=[\n\[{]))?\s*(.*?)\s*```$", re.S | re.I)
_NUMBER = re.compile(r"^\s*\d+[.)]\s+")  # of a place in a list
_FIELD = re.compile(r"^\W*(?:ranking|answer|label)\W*:\s*(?=\[)", re.I)
_NEGATION = re.compile(r"\b(?:not|isn't|isn’t|no|neither|nor|never|than)\s+(?:\w+\s+)?$", re.I)


def read_ranking(text: str, keys: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Indices of the options that a reply names, best first, each once; [] for an answer that cannot be read.

    In this order: the last JSON object with a ranking, answer or label; options alone, in lines or between commas; the last
    line "answer: …"; a key alone; a reply that is nearly a label as a whole; the label that is named last, the longest
    first, but not after "not".

    Args:
        keys: of the options, such as letters; "" where there are none.
        labels: their texts.
    """
    text = _FENCE.sub(r"\1", without_thoughts(text))
    for found in reversed(_objects(text)):
        for field in _FIELDS:
            if field in found:
                value = found[field]
                parts = value if isinstance(value, list) else [value]
                named = [_one(str(part), keys, labels) for part in parts]
                if named == [None] and isinstance(value, str):
                    named = [_one(part, keys, labels) for part in value.split(",")]
                    named = [] if None in named else named
                if ranked := list(dict.fromkeys(index for index in named if index is not None)):
                    return ranked
    if listed := _listed(text, keys, labels):
        return listed
    for said in reversed(_SAID.findall(text)):
        index = _one(said, keys, labels)
        if index is None:
            index = _named_last(said, labels)
        if index is not None:
            return [index]
    index = _one(text, keys, labels)
    if index is None:
        index = _nearest(text, labels)
    if index is None:
        index = _named_last(text, labels)
    return [] if index is None else [index]


def read_line(text: str, keys: Sequence[str], options: Sequence[str]) -> int | None:
    """Number of the option that a written line "key. label" names, by both or by one of them; None for none or two."""
    said = " ".join(text.lower().split()).strip(" .\"'")
    lower = [option.lower() for option in options]
    for number, (key, option) in enumerate(zip(keys, lower, strict=True)):
        if said in (key, option, f"{key}. {option}"):
            return number
    head = said.split(".")[0].strip()
    if "." in said and head in keys:
        return list(keys).index(head)
    inside = [number for number, option in enumerate(lower) if option in said]
    longest = [one for one in inside if not any(one != other and lower[one] in lower[other] for other in inside)]
    return longest[0] if len(longest) == 1 else None


def _objects(text: str) -> list[dict]:
    """Every JSON object in a text, in order; of nested ones the outer."""
    decoder, found, start = json.JSONDecoder(), [], 0
    while (start := text.find("{", start)) >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except ValueError:
            start += 1
            continue
        if isinstance(value, dict):
            found.append(value)
        start = end
    return found


def _plain(text: str) -> str:
    return _words(text.lower())


def _words(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", text).split())


def _one(text: str, keys: Sequence[str], labels: Sequence[str]) -> int | None:
    """A key alone, a key before its label, or a label alone."""
    text = _OPTION.sub("", text)
    plain = _plain(text)
    by_label = {_plain(label): index for index, label in enumerate(labels)}
    if plain in by_label:
        return by_label[plain]
    by_key = {key.lower(): index for index, key in enumerate(keys) if key}
    if len(by_key) < len(list(filter(None, keys))):  # a small letter and its capital are two keys
        by_key, plain = {key: index for index, key in enumerate(keys) if key}, _words(text)
    if plain in by_key:
        return by_key[plain]
    first, _, rest = plain.partition(" ")
    if first in by_key and _plain(rest) == _plain(labels[by_key[first]]):
        return by_key[first]
    return None


def _listed(text: str, keys: Sequence[str], labels: Sequence[str]) -> list[int]:
    """The options of a reply that holds two or more of them and nothing else; [] of any other."""
    lines = [line for line in text.splitlines() if line.strip()]
    parts = lines if len(lines) > 1 else _FIELD.sub("", text).strip().strip("[]()").split(",")
    named = [_one(part, keys, labels) for part in parts]
    if None in named and all(map(_NUMBER.match, parts)):
        named = [_one(_NUMBER.sub("", part), keys, labels) for part in parts]
    return list(dict.fromkeys(one for one in named if one is not None)) if len(parts) > 1 and None not in named else []


def _named_last(text: str, labels: Sequence[str]) -> int | None:
    """The label that is named last; where one label is part of another the longer counts."""
    lower = re.sub(r"[\W_]+", " ", text.lower())
    taken: list[tuple[int, int]] = []
    last: tuple[int, int] | None = None
    for index in sorted(range(len(labels)), key=lambda index: -len(labels[index])):
        words = _plain(labels[index])
        for match in re.finditer(rf"\b{re.escape(words)}\b", lower) if words else ():
            span = match.span()
            if any(start < span[1] and span[0] < end for start, end in taken):
                continue
            taken.append(span)
            if not _NEGATION.search(lower[: span[0]]) and (last is None or span[0] > last[0]):
                last = (span[0], index)
    return None if last is None else last[1]


def _nearest(text: str, labels: Sequence[str]) -> int | None:
    plain = _plain(text)
    likeness = [SequenceMatcher(None, plain, _plain(label)).ratio() for label in labels]
    best = max(range(len(labels)), key=likeness.__getitem__)
    return best if likeness[best] >= LIKENESS else None
