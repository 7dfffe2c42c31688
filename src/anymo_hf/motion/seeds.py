"""Seeds from names: a draw depends on the thing drawn, never on how many other things there are or in which order."""

from __future__ import annotations

from hashlib import blake2b


def seed_of(*parts: int | str) -> int:
    """A seed of 63 bits for a thing named by `parts`, the same in every process and version of Python."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "big") >> 1
