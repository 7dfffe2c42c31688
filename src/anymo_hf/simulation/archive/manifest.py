"""`manifest.json`: what an archive holds, file by file with checksums, and the check of a folder against it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ...atomic_write import write_json
from ...refusals import parse_json

FORMAT, VERSION = "anymo-archive", 2
MANIFEST = "manifest.json"
PLACEMENTS = "placements.safetensors"
RECORDINGS = "recordings"


@dataclass(frozen=True)
class ShardEntry:
    """One file: path in the archive, checksum and size; and of a recording's shard what it holds."""

    file: str
    sha256: str
    bytes: int
    frames: int = 0
    frame_rate: float = 0.0
    subject: str = ""
    source: str = ""
    made_from: str = ""
    source_sha256: str = ""


@dataclass(frozen=True)
class Manifest:
    """All files of an archive.

    Args:
        kind: "kinematics", "views" or "dense".
        package: version of anymo-hf that wrote it.
        recipe: what decides the bytes besides the sources.
        shards: one entry per recording.
        tables: other files: the placements, and the words of all recordings.
        left_out: sources that could not be read -> why, where that was allowed.
        counts: what the sources held, such as annotated windows.
    """

    kind: str
    package: str
    recipe: dict
    shards: tuple[ShardEntry, ...]
    tables: tuple[ShardEntry, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Length of all recordings."""
        return sum(entry.frames / entry.frame_rate for entry in self.shards)

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(entry.bytes for entry in (*self.shards, *self.tables))


def entry_of(folder: Path, file: str, **known) -> ShardEntry:
    """The entry of a file that lies in `folder`."""
    path = folder / file
    return ShardEntry(file, file_sha256(path), path.stat().st_size, **known)


def recording_name(file: str) -> str:
    """Name of the recording that a shard holds."""
    return file.removeprefix(f"{RECORDINGS}/").removesuffix(".parquet")


def file_sha256(path: Path) -> str:
    """Checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: str | Path, manifest: Manifest) -> Path:
    """Writes `manifest.json`, whole or not at all."""
    return write_json(Path(folder) / MANIFEST, {"format": FORMAT, "version": VERSION, **asdict(manifest)}, indent=1)


def read_manifest(folder: str | Path) -> Manifest:
    """Reads `manifest.json`.

    Raises:
        OSError: no manifest: the folder is no archive, or a run was stopped before its end.
        ValueError: not a manifest of ours, another version, or a key that is missing or wrong.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise OSError(
            f"{path} is missing; if a run of `anymo simulate` or training/make_corpus.py was stopped, start the same one "
            "again, and it goes on"
        )
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}); run the same `anymo simulate` again") from error
    found = values.pop("format", None) if isinstance(values, dict) else None
    if found != FORMAT:
        raise ValueError(f"{path}: format is {found!r}, not {FORMAT!r}; give the folder that `anymo simulate` wrote")
    version = values.pop("version", None)
    if version != VERSION:
        raise ValueError(
            f"{path}: version is {version}, this package reads {VERSION}; make it again with `anymo simulate` or "
            "training/make_corpus.py"
        )
    try:
        for key in ("shards", "tables"):
            values[key] = tuple(ShardEntry(**entry) for entry in values.pop(key))
        manifest = Manifest(**values)
        for entry in (*manifest.shards, *manifest.tables):
            if Path(entry.file).is_absolute() or ".." in Path(entry.file).parts:
                raise ValueError(f"the file {entry.file!r} lies outside the archive")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}); run the same `anymo simulate` again") from error
    return manifest


def verify_archive(folder: str | Path) -> list[str]:
    """Compares every file with the manifest; what is wrong, one line each with its mend, nothing where all is well.

    Raises:
        OSError, ValueError: the manifest itself is missing or wrong.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    again = "delete it and run the same `anymo simulate` again"
    problems = []
    entries = {entry.file: entry for entry in (*manifest.shards, *manifest.tables)}
    for name, entry in entries.items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing; run the same `anymo simulate` again")
        elif (size := path.stat().st_size) < entry.bytes:
            problems.append(f"{name} is cut off: {size} of {entry.bytes} bytes; {again}")
        elif size > entry.bytes or file_sha256(path) != entry.sha256:
            problems.append(f"{name} is altered: its bytes are not those of the manifest; {again}")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST and name not in entries and not name.startswith("decoded/"):
            problems.append(f"{name} is not in the manifest; move it out of the archive")
    return problems
