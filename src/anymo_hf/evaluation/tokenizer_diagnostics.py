"""How the motion tokenizer uses its codebooks (paper Table 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..markdown import table


@dataclass(frozen=True)
class BookUsage:
    """One codebook: entries used of `size`, perplexity in entries, and the mass of the 1 and 10 commonest codes."""

    size: int
    used: int
    perplexity: float
    top_1_mass: float
    top_10_mass: float

    @property
    def dead_ratio(self) -> float:
        """Fraction of entries that are never chosen."""
        return 1 - self.used / self.size


@dataclass(frozen=True)
class TokenizerDiagnostics:
    """Usage of every book, and `collision_rate`: the fraction of windows that repeat an earlier window's tokens."""

    windows: int
    books: tuple[BookUsage, ...]
    collision_rate: float

    def markdown(self) -> str:
        """Table 6 of the paper for these codes."""
        rows = [
            ["Used codes", *(f"{b.used:,} / {b.size:,}" for b in self.books)],
            ["Dead-code ratio", *(f"{b.dead_ratio:.2%}" for b in self.books)],
            ["Perplexity", *(f"{b.perplexity:,.1f}" for b in self.books)],
            ["Top-1 code mass", *(f"{b.top_1_mass:.2%}" for b in self.books)],
            ["Top-10 code mass", *(f"{b.top_10_mass:.2%}" for b in self.books)],
        ]
        head = ["Metric", *(f"Codebook {i}" for i in range(len(self.books)))]
        return f"{table(head, rows)}\n\nExact sequence collision rate: {self.collision_rate:.2%}\n"


def diagnose_codes(imu_codes: Sequence[np.ndarray], book_size: int, books: int = 2) -> TokenizerDiagnostics:
    """Statistics of interleaved code sequences.

    Args:
        imu_codes: per window `(books * L,)` indices `code + book_size * book`, time-major, without padding.
        book_size: entries per codebook.
        books: number of codebooks.

    Raises:
        ValueError: no windows, a length that is no multiple of `books`, or an index of the wrong book.
    """
    if not len(imu_codes):
        raise ValueError("imu_codes is empty; give at least one window")
    tables = []
    for number, codes in enumerate(imu_codes):
        row = np.asarray(codes)
        if row.ndim != 1 or not len(row) or len(row) % books:
            raise ValueError(f"imu_codes[{number}] must hold a multiple of {books} indices, got shape {row.shape}")
        table = row.reshape(-1, books) - book_size * np.arange(books)
        if table.min() < 0 or table.max() >= book_size:
            raise ValueError(f"imu_codes[{number}] leaves its book of {book_size} entries; is the order time-major?")
        tables.append(table)
    counts = [np.bincount(column, minlength=book_size) for column in np.concatenate(tables).T]
    distinct = {np.asarray(codes, dtype=np.int64).tobytes() for codes in imu_codes}
    return TokenizerDiagnostics(len(tables), tuple(map(_usage, counts)), 1 - len(distinct) / len(tables))


def _usage(count: np.ndarray) -> BookUsage:
    mass = np.sort(count / count.sum())[::-1]
    seen = mass[mass > 0]
    perplexity = float(np.exp(-(seen * np.log(seen)).sum()))
    return BookUsage(len(count), len(seen), perplexity, float(mass[0]), float(mass[:10].sum()))
