"""Terms of an archive decoded once and memory-mapped, for reading at random: `decoded/` beside the shards.

Decoding a shard costs more than all else of a view. The first reader of a recording leaves its terms as half precision
in `decoded/`, named by its shard's checksum and by the code that decoded it, so that they are never those of another
one; the folder can be deleted at any time. About 150 MB an hour.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from functools import cache
from pathlib import Path

import numpy as np
import torch

from ...atomic_write import write_bytes
from ..engines import run_jobs
from .manifest import ShardEntry
from .reader import Archive, check_file
from .shard import BLOCK_FRAMES, Shard

DECODED = "decoded"
_TERMS = (23, 15)  # force, lever and angular velocity of each segment, see `sample_views`
_LARGEST = 60_000.0  # inside float16; a violent knock's lever term may exceed it


class DecodedTerms:
    """Terms of any frames of an archive's recordings.

    Args:
        archive: where from.
        mapped: recordings to keep mapped.
        kept: where `decoded/` cannot be written, recordings to keep in memory.
    """

    def __init__(self, archive: Archive, mapped: int = 16_384, kept: int = 64):
        self.archive, self.mapped, self.kept = archive, mapped, kept
        self._open: OrderedDict[str, torch.Tensor] = OrderedDict()
        self._held: OrderedDict[str, torch.Tensor] = OrderedDict()

    def __getstate__(self) -> dict:
        return {**vars(self), "_open": OrderedDict(), "_held": OrderedDict()}  # maps stay in their process

    def read(self, name: str, start: int, stop: int) -> torch.Tensor:
        """Terms of frames `[start, stop)` of a recording, `(23, 15, stop - start)` float16; not to be written to.

        Raises:
            ValueError: no such recording, or frames outside of it.
            OSError: a shard that is missing, cut off or altered.
        """
        frames = self.archive.entry(name).frames
        if not 0 <= start < stop <= frames:
            raise ValueError(f"{name} has frames 0..{frames}, asked for {start}..{stop}")
        blocks = self._blocks(name)
        size = blocks.shape[-1]
        parts = [
            blocks[index][..., max(start - index * size, 0) : stop - index * size]
            for index in range(start // size, -(-stop // size))
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def _blocks(self, name: str) -> torch.Tensor:
        for known in (self._open, self._held):
            if name in known:
                known.move_to_end(name)
                return known[name]
        entry = self.archive.entry(name)
        try:
            blocks, known, most = _mapped(decode_shard(self.archive.folder, entry), entry), self._open, self.mapped
        except OSError as error:
            if error.errno is None:  # the shard's fault, in our words
                raise
            blocks, known, most = (
                _decoded(self.archive.folder, entry),
                self._held,
                self.kept,
            )  # a disk read-only or full
        while len(known) >= max(most, 1):
            known.popitem(last=False)
        known[name] = blocks
        return blocks


def decode_shard(folder: Path, entry: ShardEntry) -> Path:
    """The file of a recording's decoded terms, which is written if it is not there; `(blocks, 23, 15, frames)` float16.

    Raises:
        OSError: the shard is missing, cut off or altered; or `decoded/` cannot be written.
    """
    path = _place(folder, entry)
    # another size is half a file, or one of another version
    if not path.is_file() or path.stat().st_size != 2 * math.prod(_shape(entry)):
        blocks = _decoded(folder, entry)
        write_bytes(path, blocks.numpy().astype("<f2").tobytes())  # another process may be at it too
    return path


def decode_archive(archive: Archive, num_proc: int = 1, progress: bool = True) -> None:
    """Decodes all recordings ahead of their first use, and deletes what is of no recording."""
    from tqdm import tqdm

    entries = archive.manifest.shards
    used = {_place(archive.folder, entry) for entry in entries}
    for path in (archive.folder / DECODED).glob("*"):
        if path not in used:
            path.unlink()
    jobs = [(archive.folder, entry) for entry in entries if not _place(archive.folder, entry).is_file()]
    with tqdm(total=len(jobs), desc="decode", unit="rec", disable=not progress) as bar:
        for _ in run_jobs(_decode, jobs, num_proc=num_proc):
            bar.update()


def _decode(job: tuple[Path, ShardEntry]) -> Path:
    return decode_shard(*job)


def _place(folder: Path, entry: ShardEntry) -> Path:
    name = hashlib.sha256(f"{entry.sha256} {_decoder()}".encode()).hexdigest()[:32]
    return folder / DECODED / f"{name}.f16"


@cache
def _decoder() -> str:
    """Hash of the code that decodes, so that no file of older code is read."""
    sources = [Path(__file__).with_name(f"{name}.py") for name in ("codec", "decoded", "shard", "track")]
    sources.append(Path(__file__).parents[1] / "kinematics.py")
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def _mapped(path: Path, entry: ShardEntry) -> torch.Tensor:
    """The file's numbers, read from disk as they are used; unlike numpy's maps these hold no file open."""
    shape = _shape(entry)
    return torch.from_file(str(path), shared=False, size=math.prod(shape), dtype=torch.float16).view(shape)


def _shape(entry: ShardEntry) -> tuple[int, ...]:
    size = min(entry.frames, BLOCK_FRAMES)
    return (-(-entry.frames // size), *_TERMS, size)


def _decoded(folder: Path, entry: ShardEntry) -> torch.Tensor:
    check_file(folder, entry)
    shard, blocks = Shard(folder / entry.file), np.zeros(_shape(entry), np.float16)
    for index, block in enumerate(blocks):
        start = index * block.shape[-1]
        terms = shard.terms(start, min(start + block.shape[-1], entry.frames))
        block[..., : len(terms)] = np.clip(terms, -_LARGEST, _LARGEST).transpose(1, 2, 0)
    return torch.from_numpy(blocks)
