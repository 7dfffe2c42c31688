"""Numeric variables of MATLAB files of level 5 ("v6" and "v7"), with every length checked against what is there.

Layout: MathWorks, MAT-File Format, "Level 5 MAT-Files": a head of 128 bytes, then elements, each a type and a length in
bytes, then content filled up to eight bytes. An element may be compressed as a whole; a matrix holds elements itself.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

_HEAD = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_NUMERIC_CLASSES = range(6, 16)  # double to uint64; those before are cells, structures, objects, text and sparse
_COMPLEX = 0x08
_LARGEST = 1 << 28  # bytes of a variable; a trial has some hundred thousand
_AGAIN = "download it again"


def read_matlab(content: bytes) -> dict[str, np.ndarray]:
    """The real numeric arrays of a file by name, in its own shape; text, structures and other kinds are left out.

    Raises:
        OSError: not a file of level 5, or lengths and types that do not fit the content.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEAD])
    if order is None:
        raise OSError(f"no MATLAB file of level 5 (one of save -v6 or -v7); {_AGAIN} or save it so")
    found: dict[str, np.ndarray] = {}
    for kind, data in _elements(memoryview(content)[_HEAD:], order, padded=False):
        if kind == _COMPRESSED:
            for inner, unpacked in _elements(memoryview(_unpacked(data)), order, padded=False):
                _add_matrix(found, inner, unpacked, order)
        else:
            _add_matrix(found, kind, data, order)
    return found


def _elements(data: memoryview, order: str, padded: bool = True) -> Iterator[tuple[int, memoryview]]:
    """Type and content of the elements that follow each other; those within a matrix fill up to eight bytes."""
    place = 0
    while place < len(data):
        if place + 8 > len(data):
            raise OSError(f"MATLAB file cut off in the head of an element; {_AGAIN}")
        kind, size = struct.unpack_from(f"{order}II", data, place)
        start = place + 8
        if kind >> 16:  # up to four bytes stand in the head itself
            kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
            if size > 4:
                raise OSError(f"MATLAB file: an element of {size} bytes in the space of four; {_AGAIN}")
            place += 8
        else:
            place = start + (-(-size // 8) * 8 if padded and kind != _COMPRESSED else size)
        if start + size > len(data):
            raise OSError(f"MATLAB file: an element claims {size} bytes where {len(data) - start} are; {_AGAIN}")
        yield kind, data[start : start + size]


def _unpacked(data: memoryview) -> bytes:
    unpack = zlib.decompressobj()
    try:
        whole = unpack.decompress(data, _LARGEST)
    except zlib.error as error:
        raise OSError(f"MATLAB file: a compressed variable is damaged ({error}); {_AGAIN}") from error
    if not unpack.eof:
        raise OSError(f"MATLAB file: a compressed variable is cut off or over {_LARGEST >> 20} MB; {_AGAIN}")
    return whole


def _add_matrix(found: dict[str, np.ndarray], kind: int, data: memoryview, order: str) -> None:
    if kind != _MATRIX:
        raise OSError(f"MATLAB file: an element of type {kind} where a variable must be; {_AGAIN}")
    parts = list(_elements(data, order))
    if not parts or len(parts[0][1]) < 4:
        raise OSError(f"MATLAB file: a variable without its kind; {_AGAIN}")
    (flags,) = struct.unpack_from(f"{order}I", parts[0][1])
    if flags & 0xFF not in _NUMERIC_CLASSES or flags >> 8 & _COMPLEX:
        return
    if len(parts) < 4 or len(parts[1][1]) % 4 or parts[3][0] not in _NUMBERS:
        raise OSError(f"MATLAB file: a variable without shape, name or numbers; {_AGAIN}")
    shape = np.frombuffer(parts[1][1], f"{order}i4").tolist()
    name = bytes(parts[2][1]).decode("ascii", "replace")
    dtype = np.dtype(order + _NUMBERS[parts[3][0]])
    count = 1
    for side in shape:
        count *= side
    if min(shape, default=-1) < 0 or count * dtype.itemsize != len(parts[3][1]):
        raise OSError(
            f"MATLAB file: variable {name!r} of shape {tuple(shape)} does not fit its {len(parts[3][1])} bytes; {_AGAIN}"
        )
    found[name] = np.frombuffer(parts[3][1], dtype).reshape(shape, order="F").copy()
