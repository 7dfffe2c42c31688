"""Reading an archive: its recordings, checked against the manifest when they are first opened."""

from __future__ import annotations

from pathlib import Path

from ...modeling.known_names import did_you_mean
from ...refusals import refusing
from ..surface import load_template
from .manifest import MANIFEST, PLACEMENTS, ShardEntry, file_sha256, read_manifest, recording_name
from .shard import Shard


class Archive:
    """Reads what `write_archive` wrote; a shard's checksum is compared when it is first opened.

    Raises:
        OSError: no manifest, no placements, or later a shard that is missing, cut off or altered.
        ValueError: a manifest of something else or of another version.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.manifest = read_manifest(folder)
        if self.manifest.kind != "kinematics":
            raise ValueError(f"{folder} holds {self.manifest.kind}; give the folder of the kinematics")
        self.names = [recording_name(entry.file) for entry in self.manifest.shards]
        self._entries = dict(zip(self.names, self.manifest.shards, strict=True))
        self._shards: dict[str, Shard] = {}
        for table in self.manifest.tables:
            check_file(self.folder, table)
        self.template = load_template(self.folder / PLACEMENTS)

    def __getstate__(self) -> dict:
        return {**vars(self), "_shards": {}}  # open files stay in their process

    def entry(self, name: str) -> ShardEntry:
        """The manifest's entry of a recording."""
        if name not in self._entries:
            hint = did_you_mean(name, self.names)
            raise ValueError(f"{self.folder} has no recording {name!r}{hint}; it has {', '.join(self.names[:5])}, ...")
        return self._entries[name]

    def shard(self, name: str) -> Shard:
        """A recording, open for reading."""
        if name not in self._shards:
            entry = self.entry(name)
            check_file(self.folder, entry)
            if len(self._shards) >= 64:  # open files
                del self._shards[next(iter(self._shards))]
            shard = Shard(self.folder / entry.file)
            if shard.info.frames != entry.frames:
                raise OSError(
                    f"{self.folder / entry.file} has {shard.info.frames} frames, {MANIFEST} says {entry.frames}; run "
                    "the same `anymo simulate` again"
                )
            self._shards[name] = shard
        return self._shards[name]


def check_file(folder: Path, entry: ShardEntry) -> None:
    """Compares a file of an archive with its entry in the manifest.

    Raises:
        OSError: it is missing, cut off or altered.
    """
    path = folder / entry.file
    with refusing(path, "file of an archive", "run the same `anymo simulate` again"):
        if not path.is_file():
            raise OSError(f"{path} is missing; run the same `anymo simulate` again")
        if path.stat().st_size != entry.bytes or file_sha256(path) != entry.sha256:
            raise OSError(
                f"{path} is cut off or altered: its bytes are not those of {MANIFEST}; delete it and run the same "
                "`anymo simulate` again"
            )
