"""Motion codes of sparse views of the corpus: codes.npz, written by the tokenizer stage and read by the language stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..array_file import ArrayFile
from ..atomic_write import replacing
from ..modeling.body_segments import SEGMENTS

CODES = "codes.npz"


@dataclass(frozen=True)
class CodedViews:
    """Codes of sparse views of the corpus.

    Args:
        codes: `(N, L, books)` int16, code ids within their book; rows past a view's length are 0.
        length: `(N,)` latent steps of each view.
        clip: `(N,)` corpus index.
        placements: `(N, 5)` segment indices, padded with -1.
        codebook_size: codes in a book.
    """

    codes: np.ndarray
    length: np.ndarray
    clip: np.ndarray
    placements: np.ndarray
    codebook_size: int

    def tokens(self, row: int, most: int | None = None, rng: np.random.Generator | None = None) -> np.ndarray:
        """Time-major interleaved codes (`code + size * book`) of a view, cropped to `most` steps at a random place."""
        length, start = int(self.length[row]), 0
        if most is not None and length > most:
            start = 0 if rng is None else int(rng.integers(length - most + 1))
            length = most
        books = np.arange(self.codes.shape[-1]) * self.codebook_size
        return (self.codes[row, start : start + length].astype(np.int64) + books).reshape(-1)

    def worn(self, row: int) -> list[int]:
        """Segment indices of a view's sensors."""
        return [int(index) for index in self.placements[row] if index >= 0]

    def codes_used(self) -> list[int]:
        """How many codes of each book occur."""
        real = np.arange(self.codes.shape[1]) < self.length[:, None]
        return [len(np.unique(self.codes[..., book][real])) for book in range(self.codes.shape[-1])]


def load_codes(path: str | Path) -> CodedViews:
    """Reads codes.npz; OSError when it is missing or damaged."""
    path = Path(path)
    if not path.is_file():
        raise OSError(f"no motion codes at {path}; run training/train_tokenizer.py first")
    mend = "delete it and run training/train_tokenizer.py again"
    try:
        file = ArrayFile(path, mend)
        values = {name: file[name] for name in ("codes", "length", "clip", "placements", "codebook_size")}
    except ValueError as error:
        raise OSError(str(error)) from error
    codes, rows, size = values["codes"], values["length"].size, values["codebook_size"]
    shapes = {"length": (rows,), "clip": (rows,), "placements": (rows, *values["placements"].shape[1:2])}
    whole = all(array.dtype.kind in "iu" for array in values.values())
    if not whole or codes.ndim != 3 or len(codes) != rows or size.shape or any(
        values[name].shape != shape for name, shape in shapes.items()
    ):  # fmt: skip
        found = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in values.items())
        raise OSError(f"{path} is damaged: {found}; {mend}")
    length, placements = values["length"], values["placements"]
    if ((length < 0) | (length > codes.shape[1])).any() or ((placements < -1) | (placements >= len(SEGMENTS))).any():
        raise OSError(f"{path} is damaged: lengths over {codes.shape[1]} steps, or placements on no segment; {mend}")
    if codes.size and not 0 <= codes.min() <= codes.max() < size:
        raise OSError(f"{path} is damaged: codes from {codes.min()} to {codes.max()} in books of {size}; {mend}")
    return CodedViews(**values | {"codebook_size": int(size)})


def save_codes(path: Path, views: CodedViews) -> None:
    """Writes what `load_codes` reads, by way of a temporary name."""
    with replacing(path) as draft, draft.open("wb") as file:
        np.savez(file, **vars(views))
