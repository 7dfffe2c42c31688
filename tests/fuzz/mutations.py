"""Broken copies of a file: bytes, numbers, names, nesting, packing and links are spoiled, each by a seeded draw."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

NUMBER = re.compile(rb"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
WORD = re.compile(rb"[A-Za-z_][A-Za-z_0-9]{2,}")
ODD_NUMBERS = (b"nan", b"-nan", b"inf", b"-inf", b"1e308", b"-1", b"0", b"", b"99999999999999999999", b"2147483648",
               b"-2147483649", b"1e-320", b"0x10", b"1,5", b"1_000", "٣".encode(), b"--1", b"4294967295")  # fmt: skip
ODD_INTEGERS = (-1, -(2**31), 2**31 - 1, 2**32 - 1, 2**63 - 1, -(2**63), 0, 1, 2**16, 2**24, 2**40)
ODD_JSON = (
    None,
    True,
    [],
    {},
    "",
    "x" * 10_000,
    -1,
    0,
    2**70,
    1e308,
    float("nan"),
    float("inf"),
    [[]],
    {"a": None},
    "../x",
)
RUN_ME = "ANYMO_FUZZ_RAN"  # a folder of this name tells that data was run as code
CODE = (
    f"__import__('os').mkdir('{RUN_ME}')", f"!!python/object/apply:os.mkdir ['{RUN_ME}']", f"$(mkdir {RUN_ME})",
    f"`mkdir {RUN_ME}`", f"; mkdir {RUN_ME}", f"=cmd|'mkdir {RUN_ME}'!A1", f"{{{{ self.__init__.__globals__ }}}} {RUN_ME}",
)  # fmt: skip
PICKLE = b"\x80\x04cposix\nmkdir\n(V" + RUN_ME.encode() + b"\ntR."  # posix.mkdir at once when it is unpickled
ESCAPING = ("../outside.txt", "/tmp/outside.txt", "..\\outside.txt", "a/../../outside.txt", "C:\\outside.txt", "", "a/",
            "x" * 300, "\udcff.csv", "nul\0.csv", "./.", "~/outside.txt")  # fmt: skip
ENTITIES = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaaaaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 20) for i in range(8))
    + b"]>"
)
OUTSIDE_ENTITY = b'<!DOCTYPE x [<!ENTITY i SYSTEM "file:///etc/passwd">]>'
BOMB = 1 << 30  # bytes that a bomb holds unpacked


@dataclass(frozen=True)
class Link:
    """A symbolic link in place of a file."""

    target: str


Spoiled = bytes | Link
Kind = Callable[[bytes, random.Random], Spoiled]


def _span(content: bytes, rng: random.Random) -> tuple[int, int]:
    """A place in the content and a length, mostly short."""
    start = rng.randrange(len(content))
    return start, min(len(content) - start, rng.choice((1, 2, 4, 8, 16, 64, 256, 4096)))


def _truncated(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.choice((rng.randrange(len(content)), len(content) - 1, rng.randrange(min(64, len(content)))))]


def _empty(content: bytes, rng: random.Random) -> bytes:
    return b""


def _flipped(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    head = rng.random() < 0.4  # headers are where bits matter most
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        changed[rng.randrange(min(len(changed), 512) if head else len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _random_bytes(content: bytes, rng: random.Random) -> bytes:
    start, size = _span(content, rng)
    return content[:start] + rng.randbytes(size) + content[start + size :]


def _filled(content: bytes, rng: random.Random) -> bytes:
    start, size = _span(content, rng)
    return content[:start] + rng.choice((b"\0", b"\xff", b" ", b"9")) * size + content[start + size :]


def _swapped(content: bytes, rng: random.Random) -> bytes:
    cuts = sorted(rng.randrange(len(content) + 1) for _ in range(3))
    a, b, c = cuts
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def _repeated(content: bytes, rng: random.Random) -> bytes:
    start, size = _span(content, rng)
    return content[:start] + content[start : start + size] * rng.choice((2, 3, 50)) + content[start + size :]


def _removed(content: bytes, rng: random.Random) -> bytes:
    start, size = _span(content, rng)
    return content[:start] + content[start + size :]


def _appended(content: bytes, rng: random.Random) -> bytes:
    return content + rng.choice((b"\0", b"\n\n", rng.randbytes(100), content, b"{", b"9" * 5000))


def _lines(content: bytes, rng: random.Random) -> bytes:
    """Lines swapped, repeated, dropped or cut."""
    lines = content.split(b"\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    how = rng.randrange(5)
    if how == 0:
        lines[i], lines[j] = lines[j], lines[i]
    elif how == 1:
        lines.insert(j, lines[i])
    elif how == 2:
        del lines[i]
    elif how == 3:
        lines[i] = lines[i][: rng.randrange(len(lines[i]) + 1)]
    else:
        lines[i] = b""
    return b"\n".join(lines)


def _number(content: bytes, rng: random.Random) -> bytes:
    """A number of a text becomes a NaN, a huge count, a negative length or no number."""
    found = list(NUMBER.finditer(content[: 1 << 16]))
    if not found:
        return _integer(content, rng)
    for match in sorted(rng.sample(found, min(len(found), rng.choice((1, 1, 1, 3)))), key=lambda m: -m.start()):
        content = content[: match.start()] + rng.choice(ODD_NUMBERS) + content[match.end() :]
    return content


def _integer(content: bytes, rng: random.Random) -> bytes:
    """Two, four or eight bytes become a huge count or a negative length."""
    value, size = rng.choice(ODD_INTEGERS), rng.choice((2, 4, 8))
    start = rng.randrange(min(len(content), rng.choice((64, 1024, 1 << 30))))
    return (
        content[:start]
        + (value % (1 << 8 * size)).to_bytes(size, rng.choice(("little", "big")))
        + content[start + size :]
    )


def _real(content: bytes, rng: random.Random) -> bytes:
    """Four or eight bytes become a NaN, an infinity or a huge number."""
    value, kind = rng.choice((float("nan"), float("inf"), -float("inf"), 3e38, -3e38, 1e-45)), rng.choice(("<f", "<d"))
    size = struct.calcsize(kind)
    start = rng.randrange(len(content)) // size * size
    return content[:start] + struct.pack(kind, value) + content[start + size :]


def _word(content: bytes, rng: random.Random) -> bytes:
    """A word of a text goes, doubles, or becomes another of the words, a path or code."""
    found = list(WORD.finditer(content[: 1 << 16]))
    if not found:
        return _random_bytes(content, rng)
    match = rng.choice(found)
    other = rng.choice((b"", match[0] * 2, rng.choice(found)[0], match[0].upper(), b"../" + match[0], b"a" * 70_000,
                        rng.choice(CODE).encode()))  # fmt: skip
    return content[: match.start()] + other + content[match.end() :]


def _other_text(content: bytes, rng: random.Random) -> bytes:
    """Bytes that are no UTF-8, or another encoding altogether."""
    how = rng.randrange(5)
    if how == 0:
        start = rng.randrange(len(content))
        return (
            content[:start] + rng.choice((b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\0", b"\x80" * 20)) + content[start:]
        )
    text = content.decode("latin-1")
    if how == 1:
        return text.encode("utf-16")
    if how == 2:
        return text.encode("utf-32")
    return b"\xef\xbb\xbf" + content if how == 3 else content.replace(b"\n", b"\r")


def _nested(content: bytes, rng: random.Random) -> bytes:
    """Brackets or elements within each other, thousands deep."""
    depth = rng.choice((50, 1_000, 5_000, 100_000))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"<a>", b"</a>"), (b"(", b")"), (b"- ", b""),
                                   (b"JOINT a { OFFSET 0 0 0 CHANNELS 0 ", b"}")))  # fmt: skip
    if rng.random() < 0.3:
        return opening * depth + closing * depth
    start = rng.randrange(len(content))
    return content[:start] + opening * depth + (closing * depth if rng.random() < 0.5 else b"") + content[start:]


def _entities(content: bytes, rng: random.Random) -> bytes:
    """Entities that grow by twenty to the eighth, or name a file of the machine."""
    end = content.find(b"?>") + 2 if content.startswith(b"<?xml") else 0
    declared, used = rng.choice(((ENTITIES, b"&i;"), (ENTITIES, b"&c;"), (OUTSIDE_ENTITY, b"&i;")))
    body = content[end:]
    place = body.find(b">", rng.randrange(max(1, len(body) // 2))) + 1
    return content[:end] + declared + body[:place] + used + body[place:]


def _code(content: bytes, rng: random.Random) -> bytes:
    """A text or pickle that would make a folder if it were run."""
    how = rng.randrange(4)
    if how == 0:
        return PICKLE
    if how == 1:
        return _npy_pickle()
    start = rng.randrange(len(content)) if how == 2 else 0
    return content[:start] + rng.choice(CODE).encode() + content[start:]


def _npy_pickle() -> bytes:
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + PICKLE


def _linked(content: bytes, rng: random.Random) -> Link:
    return Link(rng.choice(("missing", "/etc/passwd", ".", "/dev/zero", "SELF")))


def _json(content: bytes, rng: random.Random) -> bytes:
    """One value or key of a JSON text is another; a line of it where the text is JSON lines."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        lines = content.split(b"\n")
        place = rng.randrange(len(lines))
        try:
            lines[place] = json.dumps(_changed(json.loads(lines[place]), rng)).encode()
        except (ValueError, RecursionError):
            return _number(content, rng)
        return b"\n".join(lines)
    return json.dumps(_changed(tree, rng)).encode()


def _changed(tree, rng: random.Random):
    places: list[tuple] = []

    def walk(node, depth=0):
        items = list(node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ())
        for key, value in rng.sample(items, 30) if len(items) > 30 else items:
            places.append((node, key, depth))
            walk(value, depth + 1)

    walk(tree)
    if not places or rng.random() < 0.02:
        return rng.choice(ODD_JSON)
    shallow = rng.randrange(1 + max(depth for *_, depth in places))
    node, key, _ = rng.choice([place for place in places if place[2] == shallow])
    how = rng.random()
    if isinstance(node, dict) and how < 0.2:
        del node[key]
    elif isinstance(node, dict) and how < 0.3:
        node[rng.choice(("", "x", key + "_", RUN_ME))] = node.pop(key)
    elif how < 0.5 and isinstance(node[key], int | float):
        node[key] = rng.choice((*ODD_INTEGERS, -node[key], node[key] * 1000, node[key] + 1, float("nan"), 0.5))
    elif isinstance(node, list) and how < 0.4:
        node.insert(key, rng.choice(ODD_JSON))
    else:
        node[key] = rng.choice((*ODD_JSON, rng.choice(CODE)))
    return tree


def _safetensors(content: bytes, rng: random.Random) -> bytes:
    """Another length of the header, or a header with other places, shapes, types or names."""
    (size,) = struct.unpack("<Q", content[:8])
    if rng.random() < 0.3:
        return struct.pack("<Q", rng.choice((0, size - 1, size + 1, 2**62, 2**63, len(content)))) + content[8:]
    header = json.dumps(_changed(json.loads(content[8 : 8 + size]), rng)).encode()
    return struct.pack("<Q", len(header)) + header + content[8 + size :]


def _parquet(content: bytes, rng: random.Random) -> bytes:
    """A table with a column less, renamed, of another type, of nulls, or with rows less or twice."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(content), use_threads=False)
    place = rng.randrange(table.num_columns)
    name, rows = table.column_names[place], table.num_rows
    column: pa.Array | None = None
    how = rng.randrange(9)
    if how == 0:
        table = table.drop_columns([name])
    elif how == 1:
        table = table.rename_columns([f"{other}_" if other == name else other for other in table.column_names])
    elif how == 2:
        column = pa.nulls(rows, table.schema.field(place).type)
    elif how == 3:
        column = pa.array([rng.choice(CODE)] * rows)
    elif how == 4:
        column = pa.array([float("nan")] * rows)
    elif how == 5:
        column = pa.array([rng.choice(ODD_INTEGERS)] * rows, pa.int64())
    elif how == 6:
        column = pa.array([[[1.0, None]]] * rows)
    elif how == 7:
        table = table.slice(0, rng.randrange(rows + 1))
    else:
        table = pa.concat_tables([table, table])
    if column is not None:
        table = table.set_column(place, name, column)
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def _npy(content: bytes, rng: random.Random) -> bytes:
    """An array of another type or shape, or whose header says so alone."""
    import numpy as np

    if rng.random() < 0.4:
        shape = rng.choice(
            ("(-1,)", "(2**40,)", "(99999999999, 3)", "()", "(0, 3)", "(1, " * 40 + ")" * 40, "(1.5,)", "None")
        )
        kind = rng.choice(("<f8", "|O", "<U99999999", "<i8", ">f4", "|V8", "[('a', '<f8')]", "<M8[s]"))
        head = f"{{'descr': '{kind}', 'fortran_order': {rng.choice(('True', 'False', '2'))}, 'shape': {shape}, }}\n".encode()
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + content[128:]
    array = np.load(io.BytesIO(content), allow_pickle=False)
    how = rng.randrange(8)
    if how == 0:
        kind = rng.choice(("f2", "i4", "U8", "c16", "?", ">f8"))
        array = array.astype(kind if array.dtype.kind not in "SU" else "S3")  # letters are no numbers
    elif how == 1:
        array = array.reshape(-1)
    elif how == 2:
        array = array[..., None]
    elif how == 3:
        array = array[:0] if array.ndim else array
    elif how == 4 and array.dtype.kind == "f":
        array = array * rng.choice((np.nan, np.inf, 1e300, -1, 0, 1e-300))
    elif how == 5 and array.ndim:
        array = array[: rng.randrange(len(array) + 1)]
    elif how == 6 and array.ndim > 1:
        array = array[:, : rng.randrange(array.shape[1] + 1)]
    elif array.size and array.dtype.kind in "fiu":
        array = array.copy()
        odd = (np.nan, np.inf, 1e30, -1.0, 0.0) if array.dtype.kind == "f" else (0, 1, 127)
        array.flat[rng.randrange(array.size)] = rng.choice(odd)
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def _zip(content: bytes, rng: random.Random) -> bytes:
    """A zip in which a member is spoiled, renamed, missing, twice, locked, or a bomb."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    place = rng.randrange(len(members))
    name, inside = members[place]
    how = rng.random()
    if how < 0.004:
        return _zip_bomb(members, place)
    if how < 0.6:
        spoiled = mutate(name, inside, rng)[1]
        members[place] = (name, spoiled if isinstance(spoiled, bytes) else b"")
    elif how < 0.7:
        members[place] = (rng.choice(ESCAPING), inside)
    elif how < 0.75:
        members.append((rng.choice(ESCAPING), inside))
    elif how < 0.8:
        del members[place]
    elif how < 0.85:
        members.append(members[place])
    elif how < 0.9:
        members[place] = (name, content)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_LZMA))) as archive:
        for member, data in members:
            info = zipfile.ZipInfo("x")
            info.filename = member.encode(errors="replace").decode()
            if rng.random() < 0.03:
                info.external_attr = 0o120777 << 16  # a symbolic link
            archive.writestr(info, data)
    packed = out.getvalue()
    if how >= 0.9:  # flags, sizes, methods or checksums of the directory
        start = packed.rfind(b"PK\x01\x02")
        at = start + rng.choice((6, 8, 10, 16, 20, 24, 42))
        packed = packed[:at] + rng.choice((b"\xff\xff", b"\1\0", b"\0\0", b"\x63\0")) + packed[at + 2 :]
    return packed


def _zip_bomb(members: list[tuple[str, bytes]], place: int) -> bytes:
    """One member goes on as a gigabyte of zeros: deflate's blocks may be repeated."""
    name, inside = members[place]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = packer.compress(inside) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = bytes(1 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    count = BOMB >> 20
    packed = head + block * count + zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    check = zlib.crc32(inside)
    for _ in range(count):
        check = zlib.crc32(zeros, check)
    size = len(inside) + (count << 20)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members:
            if member != name:
                archive.writestr(member, data)
        info = zipfile.ZipInfo(name)
        info.compress_type, info.header_offset = zipfile.ZIP_DEFLATED, out.tell()
        info.CRC, info.compress_size, info.file_size = check, len(packed), size
        out.write(info.FileHeader(zip64=False))
        out.write(packed)
        archive.start_dir = out.tell()
        archive.filelist.append(info)
        archive.NameToInfo[name] = info
        archive._didModify = True
    return out.getvalue()


_PACKED = {b"\x1f\x8b": gzip, b"\xfd7zXZ\0": lzma, b"BZh": bz2}


def _unpacked(content: bytes, rng: random.Random) -> bytes:
    """What a packed file holds is spoiled and packed again; or goes on for gigabytes."""
    module = next(module for mark, module in _PACKED.items() if content.startswith(mark))
    if rng.random() < 0.004:
        return content + module.compress(bytes(1 << 24)) * (BOMB >> 24)
    spoiled = mutate("inside", module.decompress(content), rng)[1]
    return module.compress(spoiled if isinstance(spoiled, bytes) else b"")


GENERAL: dict[str, tuple[Kind, int]] = {  # name -> how, how often
    "cut off": (_truncated, 6), "empty": (_empty, 1), "bits flipped": (_flipped, 14), "random bytes": (_random_bytes, 6),
    "filled": (_filled, 5), "blocks swapped": (_swapped, 5), "block repeated": (_repeated, 6),
    "block removed": (_removed, 6),
    "more appended": (_appended, 4), "other integer": (_integer, 8), "other real": (_real, 4), "code": (_code, 3),
    "symbolic link": (_linked, 1), "nested": (_nested, 2),
}  # fmt: skip
OF_TEXT: dict[str, tuple[Kind, int]] = {
    "lines": (_lines, 14), "other number": (_number, 24), "other word": (_word, 12), "other encoding": (_other_text, 6),
}  # fmt: skip


def _special(name: str, content: bytes) -> dict[str, tuple[Kind, int]]:
    if content.startswith(b"PK\x03\x04"):
        return {"zip": (_zip, 120)}
    if content.startswith(tuple(_PACKED)):
        return {"unpacked": (_unpacked, 120)}
    if content.startswith(b"\x93NUMPY"):
        return {"array": (_npy, 60)}
    if name.endswith(".safetensors"):
        return {"tensors": (_safetensors, 60)}
    if content.startswith(b"PAR1") and content.endswith(b"PAR1"):
        return {"table": (_parquet, 40)}
    if b"\0" in content[:4096]:
        return {}
    if content.lstrip()[:1] in (b"{", b"["):
        return {"json": (_json, 60), **OF_TEXT}
    return {"entities": (_entities, 4), **OF_TEXT} if content.lstrip().startswith(b"<") else OF_TEXT


def mutate(name: str, content: bytes, rng: random.Random) -> tuple[str, Spoiled]:
    """How a file is spoiled, in words, and what it then holds.

    Args:
        name: the file's, whose ending tells some formats.
        content: of the sound file.
        rng: the draw; the same state gives the same bytes.
    """
    if not content:
        return "no longer empty", rng.choice((b"\0", rng.randbytes(40), rng.choice(CODE).encode()))
    kinds = GENERAL | _special(name, content)
    chosen = rng.choices(list(kinds), [weight for _, weight in kinds.values()])[0]
    return chosen, kinds[chosen][0](content, rng)


def put(path: Path, spoiled: Spoiled) -> None:
    """Writes what a file now is in its place."""
    if path.is_symlink() or isinstance(spoiled, Link):
        path.unlink()
    if isinstance(spoiled, Link):
        os.symlink(path.name if spoiled.target == "SELF" else spoiled.target, path)
    else:
        path.write_bytes(spoiled)
