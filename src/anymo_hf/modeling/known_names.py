"""`did_you_mean`: what a name that is not known was probably meant to be, for messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches


def did_you_mean(
    names: str | Iterable[str], known: Iterable[str], cutoff: float = 0.7, meaning: Mapping[str, str] | None = None
) -> str:
    """The end of a message about unknown names: "; did you mean left_wrist?", or "" where none is near.

    Args:
        names: one, or several of which each may be near to something.
        known: names, or other spellings of them.
        cutoff: how alike two names must be, 0 to 1.
        meaning: spelling -> the name to say for it; without one it is said itself.
    """
    plain = {_plain(name): (meaning or {}).get(name, name) for name in known}
    found = []
    for name in [names] if isinstance(names, str) else names:
        near = get_close_matches(_plain(str(name)), list(plain), 1, cutoff)
        if not near:  # the words in another order, such as wrist_left
            words = set(_plain(str(name)).split("_"))
            near = [other for other in plain if set(other.split("_")) == words][:1]
        found += [plain[other] for other in near]
    return f"; did you mean {', '.join(dict.fromkeys(found))}?" if found else ""


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")
