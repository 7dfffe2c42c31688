"""`Download`: a dataset as it comes, a folder or a zip; zips inside, and zips inside those, are read in place."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from ..refusals import refusing
from .imu_recording import natural_key

CUT_OFF = (zipfile.BadZipFile, zlib.error, EOFError)  # what reading a damaged zip raises
_DEEPEST = 4  # zips within zips; the deepest public layout has three
_OPEN_ARCHIVES = 8
_MOST_PACKED, _ALWAYS = 100, 1 << 26  # times the size of the outermost zip, and bytes beside: text is packed to a tenth
_IN_MEMORY = 1 << 26  # bytes; a larger inner zip waits in an anonymous temporary file while it is open


def most_unpacked(path: Path) -> int:
    """Bytes that a zip, and each zip within it, may unpack to, by its size on the disk."""
    return _MOST_PACKED * path.stat().st_size + _ALWAYS


@dataclass(frozen=True)
class Member:
    """One file of a download.

    Args:
        groups: what the groups of the pattern matched in its path.
        chain: path in the folder, then the path in each zip that encloses the next.
        source: the whole path, for messages.
    """

    groups: tuple[str, ...]
    chain: tuple[str, ...]
    source: str


class Download:
    """Files of a folder or a zip, found by pattern at any depth. Used in a `with` block.

    Raises:
        OSError: `path` does not exist or is neither a folder nor a zip.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir() and not (self.path.is_file() and zipfile.is_zipfile(self.path)):
            raise OSError(f"{path}: neither a folder nor a complete zip; give the download as it came, or unpacked")
        self._root = self.path if self.path.is_dir() else self.path.parent
        self._archives: OrderedDict[tuple[str, ...], zipfile.ZipFile] = OrderedDict()

    def __enter__(self) -> Download:
        return self

    def __exit__(self, *_) -> None:
        while self._archives:
            self._archives.popitem()[1].close()

    def find(
        self, pattern: str, dataset: str, wanted: str, archives: str = "[^/]*", every_level: bool = False
    ) -> list[Member]:
        """Files whose path ends in `pattern`, in natural order.

        What is unpacked goes before what lies in a zip: the first level that holds a match is the last one searched.

        Args:
            pattern: regular expression for the end of the path, from a folder or file name on; case is free. Its
                groups say which file of the dataset it is, so two matches must differ in them.
            dataset, wanted: for messages.
            archives: regular expression for the end of a zip's path, without `.zip`, if it is to be looked into.
            every_level: searches all levels; the least packed of equal files is taken.

        Raises:
            OSError: nothing matches, or a zip is cut off, locked or unpacks to far more than it is.
            ValueError: one file twice at the same level, a name that leads out of its zip, or zips too deep.
        """
        ends, enter = re.compile(rf"(?:^|/)(?:{pattern})$", re.I), re.compile(rf"(?:{archives})\.zip$", re.I)
        found: dict[tuple[str, ...], Member] = {}
        level = self._top()
        for depth in range(_DEEPEST + 1):
            here: dict[tuple[str, ...], Member] = {}
            for chain in level:
                match = ends.search("/".join(chain))
                if match:
                    member = Member(match.groups(""), chain, self._source(chain))
                    twice = here.setdefault(member.groups, member)
                    if twice is not member:
                        raise ValueError(f"{twice.source} and {member.source} are the same file of {dataset}; keep one")
            found = here | found
            zips = [chain for chain in level if chain[-1].lower().endswith(".zip") and enter.search("/".join(chain))]
            if not zips or (found and not every_level):
                break
            if depth == _DEEPEST:
                raise ValueError(
                    f"{self._source(zips[0])}: more than {_DEEPEST} zips within each other; unpack it first"
                )
            level = [(*chain, name) for chain in zips for name in self._names(chain)]
        if not found:
            raise OSError(f"{self.path}: no {wanted} found; point to the folder or zip into which {dataset} came")
        return sorted(found.values(), key=lambda member: natural_key(Path(*member.chain)))

    @contextmanager
    def open(self, member: Member) -> Iterator[IO[bytes]]:
        """The member's bytes, to be read once from start to end; what is raised in the block names the member.

        Raises:
            OSError: unreadable, or in a zip that unpacks to far more than it is.
        """
        with refusing(member.source, "file of this data set", "download it again"):
            path = self._root / member.chain[0]
            with path.open("rb") if len(member.chain) == 1 else self._open_in(member.chain) as file:
                yield file

    def _source(self, chain: tuple[str, ...]) -> str:
        return str(self._root.joinpath(*chain))

    def _top(self) -> list[tuple[str, ...]]:
        if self._root != self.path:
            return [(self.path.name,)]
        walk = os.walk(self._root)
        return [(Path(base, name).relative_to(self._root).as_posix(),) for base, _, names in walk for name in names]

    def _names(self, chain: tuple[str, ...]) -> list[str]:
        names = [info.filename for info in self._archive(chain).infolist() if not info.is_dir()]
        for name in names:
            if name.startswith("/") or "\\" in name or ":" in name.split("/")[0] or ".." in name.split("/"):
                raise ValueError(
                    f"{self._source(chain)}: the name {name!r} leads out of the zip; do not trust this file"
                )
        return [name for name in names if not name.startswith("__MACOSX/")]

    def _archive(self, chain: tuple[str, ...]) -> zipfile.ZipFile:
        if chain in self._archives:
            self._archives.move_to_end(chain)
            return self._archives[chain]
        try:
            if len(chain) == 1:
                archive = zipfile.ZipFile(self._root / chain[0])
            else:
                # a zip's directory is at its end, and a compressed member can only be read forward
                spool = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - lives as long as the archive
                with self._open_in(chain) as packed:
                    shutil.copyfileobj(packed, spool, 1 << 20)
                archive = zipfile.ZipFile(spool)
        except CUT_OFF as error:
            raise OSError(f"{self._source(chain)}: not a complete zip ({error}); download it again") from error
        claimed = sum(info.file_size for info in archive.infolist())  # no member gives more than it claims
        if claimed > most_unpacked(self._root / chain[0]):
            archive.close()
            raise OSError(
                f"{self._source(chain)}: would unpack to {claimed >> 20:,} MB, which no data set's zip of its size holds; "
                "do not trust this file, or give it unpacked"
            )
        self._archives[chain] = archive
        while len(self._archives) > _OPEN_ARCHIVES:
            self._archives.popitem(last=False)[1].close()
        return archive

    def _open_in(self, chain: tuple[str, ...]) -> IO[bytes]:
        try:
            return self._archive(chain[:-1]).open(chain[-1])
        except (*CUT_OFF, RuntimeError, NotImplementedError) as error:
            raise OSError(f"{self._source(chain)}: cannot be unpacked ({error}); download it again") from error
