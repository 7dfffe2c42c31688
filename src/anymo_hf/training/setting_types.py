"""Checks values read from YAML against the annotations of a dataclass, and says what would be right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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


def check_types(values: Mapping[str, Any], kind: type, prefix: str = "") -> None:
    """Does nothing when every value has the type that `kind` declares for it.

    Args:
        values: names and values of fields of `kind`.
        kind: a dataclass.
        prefix: put before a name in the message, such as "views.".

    Raises:
        ValueError: a value of another type; true is not a number, NaN and infinity are not either.
    """
    hints = get_type_hints(kind)
    for name, value in values.items():
        if not _fits(value, hints[name]):
            wanted, mend = _in_words(hints[name]), _mend(name, value, hints[name])
            raise ValueError(f"{prefix}{name} must be {wanted}, got {value!r}{mend}")


def _fits(value: Any, hint: Any) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin in _LISTS:
        return isinstance(value, list | tuple) and all(_fits(item, parts[0]) for item in value)
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
