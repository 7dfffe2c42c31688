"""NPZ files of plain arrays: nothing is unpickled, and sizes are checked before memory is taken."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path

import numpy as np

from .refusals import refusing, shortened

_UNPACKED = 1 << 28  # bytes that an array of a small file may have; beyond, a hundred times the file
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class ArrayFile:
    """An NPZ; `names` are its arrays, each read when it is asked for.

    Args:
        path: the file.
        mend: what to do about a damaged one, for messages.

    Raises:
        OSError: no such file, or no NPZ.
    """

    def __init__(self, path: str | Path, mend: str = "fetch it again") -> None:
        self.path, self._mend = Path(path), mend
        if not self.path.is_file():
            raise FileNotFoundError(f"{path}: no such file; {mend}")
        with refusing(path, "npz file", mend):
            try:
                with zipfile.ZipFile(path) as archive:
                    self._members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            except zipfile.BadZipFile as error:
                raise ValueError(f"{path}: not a whole npz file ({error}); {mend}") from error
        self.names = tuple(self._members)
        self._most = max(_UNPACKED, 100 * self.path.stat().st_size)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __getitem__(self, name: str) -> np.ndarray:
        """An array of numbers or texts.

        Raises:
            ValueError: it is missing, damaged, holds Python objects, or claims to be larger than the file can hold.
        """
        if name not in self._members:
            raise ValueError(f"{self.path}: holds no {name}, only {', '.join(self.names)}; {self._mend}")
        info = self._members[name]
        if info.file_size > self._most:
            raise ValueError(
                f"{self.path}: {name} would unpack to {info.file_size >> 20:,} MB, which no such file holds; {self._mend}"
            )
        try:
            with zipfile.ZipFile(self.path) as archive:
                content = archive.read(info)
            file = io.BytesIO(content)
            shape, _, kind = _HEADERS[np.lib.format.read_magic(file)](file)
            if kind.hasobject or not all(isinstance(size, int) and size >= 0 for size in shape):
                raise ValueError(f"{kind} of shape {shape}")
            if (size := math.prod(shape) * kind.itemsize) != len(content) - file.tell():
                raise ValueError(f"{size} bytes expected, {len(content) - file.tell()} there")
            file.seek(0)
            return np.load(file, allow_pickle=False)
        except Exception as error:  # a damaged header or zip ends in a dozen ways, such as a TokenError
            said = " ".join(str(error).split())[:200]
            raise ValueError(
                shortened(
                    f"{self.path}: {name} cannot be read as numbers ({type(error).__name__}: {said}); {self._mend}"
                )
            ) from error
