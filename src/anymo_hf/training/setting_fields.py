"""A setting is one dataclass field: its type, default, meaning and bounds; values read from YAML are checked against it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

_LISTS = (list, Sequence)
# one of a kind, several of it
_WORDS = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    bool: ("true or false", "true or false"),
    NoneType: ("null", "null"),
}


def setting(
    default: Any = MISSING,
    doc: str = "",
    *,
    factory: Callable[[], Any] | None = None,
    least: float = -math.inf,
    most: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
    choices: Sequence[str] | Callable[[], Sequence[str]] = (),
    resumable: bool = False,
) -> Any:
    """A dataclass field with what a person must know of it.

    Args:
        default: value when the file does not name it; or `factory`, which makes one.
        doc: what it does, in one sentence.
        least, most: allowed values lie between them, both included; null, where the type allows it, always does.
        above, below: the same, excluded.
        choices: the texts it may be, or a function that lists them.
        resumable: may change between a stop and a resume, since it says how long, how often or in how much memory a stage
            works, not what it learns.
    """
    notes = {"doc": doc, "least": least, "most": most, "above": above, "below": below, "choices": choices}
    notes["resumable"] = resumable
    if factory is not None:
        return dataclasses.field(default_factory=factory, metadata=notes)
    return dataclasses.field(default=default, metadata=notes)


def check_settings(values: Mapping[str, Any], kind: type, prefix: str = "") -> None:
    """Does nothing when every value is of the type and within the bounds that its field in `kind` declares.

    Args:
        values: names and values of fields of `kind`.
        kind: a dataclass; bounds are those of `setting`.
        prefix: put before a name in the message, such as "views.".

    Raises:
        ValueError: another type (true is not a number, NaN and infinity are not either), or out of bounds.
    """
    hints, fields = get_type_hints(kind), {item.name: item for item in dataclasses.fields(kind)}
    for name, value in values.items():
        if not _fits(value, hints[name]):
            wanted, mend = _in_words(hints[name]), _mend(name, value, hints[name])
            raise ValueError(f"{prefix}{name} must be {wanted}, got {value!r}{mend}")
        notes = fields[name].metadata
        if value is not None and notes:
            _check_bounds(prefix + name, value, notes)


def _check_bounds(name: str, value: Any, notes: Mapping[str, Any]) -> None:
    choices = notes["choices"]() if callable(notes["choices"]) else notes["choices"]
    if choices and value not in choices:
        raise ValueError(f"{name} must be {' or '.join(choices)}, got {value!r}")
    numbers = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
    for number in numbers:
        if isinstance(number, int | float):
            inside = notes["least"] <= number <= notes["most"] and notes["above"] < number < notes["below"]
            if not inside:
                raise ValueError(f"{name} must be {bounds_in_words(notes)}, got {value}; it is {notes['doc']}")


def bounds_in_words(notes: Mapping[str, Any]) -> str:
    """Bounds of a field made by `setting`, such as "at least 1" or "between 0 and 1"; empty without any."""
    if notes["least"] > -math.inf and notes["most"] < math.inf:
        return f"between {notes['least']} and {notes['most']}"
    words = {"least": "at least", "above": "above", "most": "at most", "below": "below"}
    return " and ".join(f"{text} {notes[name]}" for name, text in words.items() if abs(notes[name]) < math.inf)


def describe_settings(kind: type) -> str:
    """A line for every setting of a dataclass: name, default, what it does, bounds or choices."""
    lines = []
    for item in dataclasses.fields(kind):
        notes = item.metadata
        default = item.default_factory() if item.default_factory is not MISSING else item.default
        choices = notes["choices"]() if callable(notes["choices"]) else notes["choices"]
        limits = " or ".join(choices) or bounds_in_words(notes)
        lines.append(f"  {item.name}: {default} -- {notes['doc']}{limits and f' ({limits})'}")
    return "\n".join(lines)


def _fits(value: Any, hint: Any) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin in _LISTS:
        return isinstance(value, list | tuple) and all(_fits(item, parts[0]) for item in value)
    if origin is tuple:
        alike = isinstance(value, list | tuple) and len(value) == len(parts)
        return alike and all(_fits(item, part) for item, part in zip(value, parts, strict=True))
    if origin is dict:
        pairs = value.items() if isinstance(value, dict) else [(None, None)]
        return all(_fits(key, parts[0]) and _fits(item, parts[1]) for key, item in pairs)
    if hint in (int, float) and isinstance(value, bool):
        return False
    if hint is float:
        return isinstance(value, int | float) and abs(value) < math.inf
    return isinstance(value, hint)


def _in_words(hint: Any, many: bool = False) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(_in_words(part, many) for part in parts)
    if origin in _LISTS:
        return f"a list of {_in_words(parts[0], many=True)}"
    if origin is tuple:
        one = f"a list of {len(parts)} {_in_words(parts[0], many=True)}"
        return one.replace("a list", "lists", 1) if many else one
    if origin is dict:
        return "`name: value` pairs" + ("" if parts[1] is Any else f" with {_in_words(parts[1], many=True)} as values")
    return _WORDS.get(hint, (f"a {hint.__name__}", hint.__name__))[many]


def _mend(name: str, value: Any, hint: Any) -> str:
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if get_origin(hint) in _LISTS and _fits(value, get_args(hint)[0]):
        return f"; write {name}: [{value}]"
    if str in kinds and isinstance(value, bool):
        return "; quote it, YAML reads no as false"
    if {int, float} & set(kinds) and isinstance(value, str) and value[:1].isdigit():
        return "; YAML reads a quoted number as text, and 1e-3 too (write 1.0e-3)"
    return ""
