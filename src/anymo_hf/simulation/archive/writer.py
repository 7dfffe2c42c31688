"""The one writer of archives: recordings made by jobs in several processes, resumable, the manifest last.

An archive is a folder of one shard per recording (`recordings/`), the table of placements (`placements.safetensors`), the
words of all recordings (`clips.jsonl`) and a manifest with checksums. Poses are stored instead of signals: 23 positions
and orientations a frame in place of 2,374 x 6 numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from ... import __version__
from ...atomic_write import write_bytes
from ...modeling.imu_signal import PASS_BAND
from ...motion.body_motion import BodyMotion
from ..engines import run_jobs
from ..surface import SurfaceTemplate, load_template
from .clips import CLIPS, Clip, clips_table
from .codec import POSITION_STEP, QUATERNION_STEP, TERM_STEPS
from .manifest import (
    MANIFEST,
    PLACEMENTS,
    RECORDINGS,
    Manifest,
    ShardEntry,
    entry_of,
    file_sha256,
    read_manifest,
    recording_name,
    write_manifest,
)
from .shard import BLOCK_FRAMES, RecordingInfo, Shard, write_shard
from .track import motion_pieces


class UnreadableSourceError(ValueError):
    """A source that is left out of the archive, and named in its manifest, without being asked to."""


@dataclass(frozen=True)
class Recording:
    """A motion to be stored, and the words of its frames at the archive's rate."""

    motion: BodyMotion
    clips: tuple[Clip, ...] = ()


@dataclass(frozen=True)
class RecordingJob:
    """What one process makes: the recordings of a source, mostly one.

    Args:
        name: path within the archive of the recording; several are `name/0`, `name/1`, ...
        recipe: what decides the bytes besides the source, with `storage_recipe`; a changed one is made again.
        make: gives the recordings; a `functools.partial` of a function that other processes can import.
        source: file or folder that is read; its checksum is kept.
    """

    name: str
    recipe: dict
    make: Callable[[], Sequence[Recording]]
    source: Path | None = None

    @property
    def made_from(self) -> str:
        """The source's name, or the recording's where there is none."""
        return self.name if self.source is None else self.source.name

    def file(self, part: int, parts: int) -> str:
        """The shard of one of its recordings."""
        return f"{RECORDINGS}/{self.name}{f'/{part}' if parts > 1 else ''}.parquet"


@dataclass(frozen=True)
class _Broken:
    reason: str
    leave_out: bool = False


def storage_recipe(frame_rate: float = 60.0) -> dict:
    """What of the archive's format decides a shard's bytes."""
    return {
        "frame_rate": float(frame_rate), "block_frames": BLOCK_FRAMES, "position_step": POSITION_STEP,
        "quaternion_step": QUATERNION_STEP, "term_steps": sorted(set(TERM_STEPS.tolist())), "pass_band": PASS_BAND,
    }  # fmt: skip


def write_archive(
    folder: str | Path,
    jobs: Sequence[RecordingJob],
    recipe: dict,
    template: SurfaceTemplate | None = None,
    engine: str = "local",
    num_proc: int = 1,
    skip_broken: bool = False,
    progress: bool = True,
    counts: Callable[[dict[str, str]], dict[str, int]] = lambda _: {},
) -> Manifest:
    """Writes the recordings of all jobs.

    Shards are written under a temporary name and renamed; a run that was stopped goes on where it was. The bytes do not
    depend on the engine or the number of processes. The manifest is written last.

    Args:
        folder: the archive.
        jobs: what to make; names are unique.
        recipe: of the manifest.
        template: placements on the body; the package's own when left out.
        engine: "local" or "ray".
        num_proc: jobs at a time.
        skip_broken: leave out sources that cannot be read, and say so in the manifest.
        progress: show a bar.
        counts: the manifest's counts, from what was left out and why.

    Raises:
        ValueError: a source that cannot be read, or shards of another archive in the folder.
        OSError: the folder cannot be written, or no source could be read.
        ChildProcessError: the system ended a process.
    """
    folder = Path(folder)
    alone, several = {job.file(0, 1) for job in jobs}, {f"{RECORDINGS}/{job.name}" for job in jobs}
    refuse_strangers(folder, alone, several)
    write_placements(folder, template or load_template())
    kept = {entry.file: entry for entry in read_kept(folder)}
    done: dict[str, tuple[ShardEntry, ...]] = {}
    missing = []
    for job in jobs:
        entries = _finished(folder, job)
        # without a manifest a renamed shard is whole; with one it must also be the one that was written
        if entries is None or any(kept.get(entry.file, entry).sha256 != entry.sha256 for entry in entries):
            missing.append(job)
        else:
            done[job.name] = entries
    if missing:
        (folder / MANIFEST).unlink(missing_ok=True)  # it would no longer be true
    broken: dict[str, _Broken] = {}
    for job, result in run_with_bar(_make_shards, missing, engine, num_proc, progress, len(jobs), folder):
        if isinstance(result, _Broken):
            broken[job.made_from] = result
        else:
            done[job.name] = result
    left_out = {name: broken[name].reason for name in sorted(broken)}
    if fatal := [name for name in left_out if not (skip_broken or broken[name].leave_out)]:
        raise ValueError(
            f"{len(fatal)} of {len(jobs)} recordings could not be simulated; {fatal[0]}: {left_out[fatal[0]]}; mend or "
            "remove these files, or leave them out with --skip-broken; the others are kept"
        )
    entries = sorted((entry for part in done.values() for entry in part), key=lambda entry: entry.file)
    if not entries:
        why = f"the first: {next(iter(left_out.values()))}" if left_out else "all are too short"
        raise OSError(f"no recording can be read; {why}")
    _remove_others(folder, {entry.file for entry in entries})
    clips = []
    for entry in entries:
        info = Shard(folder / entry.file).info
        clips += [(recording_name(entry.file), clip) for clip in info.clips]
    write_bytes(folder / CLIPS, clips_table(clips))
    tables = entry_of(folder, CLIPS), entry_of(folder, PLACEMENTS)
    manifest = Manifest("kinematics", __version__, recipe, tuple(entries), tables, left_out, counts(left_out))
    write_manifest(folder, manifest)
    return manifest


def read_kept(folder: Path) -> tuple[ShardEntry, ...]:
    """The shards of the manifest that an earlier run left."""
    return read_manifest(folder).shards if (folder / MANIFEST).is_file() else ()


def run_with_bar(function, jobs, engine, num_proc, progress, total, folder) -> Iterator[tuple[Any, Any]]:
    """Each job with `function((folder, job))` as it is done, under a bar."""
    from tqdm import tqdm

    with tqdm(total=total, initial=total - len(jobs), desc="simulate", unit="rec", disable=not progress) as bar:
        for index, result in run_jobs(function, [(folder, job) for job in jobs], engine, num_proc):
            yield jobs[index], result
            bar.update()


def _source_sha256(source: Path) -> str:
    """Checksum of a motion file, or of what is read of a Nymeria sequence."""
    if source.is_file():
        return file_sha256(source)
    parts = [*source.glob("body/xdata.*"), *source.glob("narration/*"), *source.glob("metadata.json")]
    names = [f"{path.relative_to(source).as_posix()} {file_sha256(path)}\n" for path in sorted(parts)]
    return hashlib.sha256("".join(names).encode()).hexdigest()


def refuse_strangers(folder: Path, expected: Collection[str], folders: Collection[str] = ()) -> None:
    """Refuses files of another archive below `recordings/`, but those in `folders`; half shards are deleted."""
    if folder.exists() and not folder.is_dir():
        raise OSError(f"--out {folder} is a file; give a folder")
    for path in sorted((folder / RECORDINGS).rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name.endswith(".part"):
            path.unlink()  # half a shard of a stopped run
        elif path.is_file() and name not in expected and name.rpartition("/")[0] not in folders:
            raise ValueError(f"{folder} holds recordings of another archive ({name}); give a new folder")


def _remove_others(folder: Path, files: set[str]) -> None:
    """Shards of sources that gave more recordings, or others, in an earlier run, and halves that a killed node left."""
    for path in sorted((folder / RECORDINGS).rglob("*")):
        if path.suffix in (".parquet", ".part") and path.is_file() and path.relative_to(folder).as_posix() not in files:
            path.unlink()


def write_placements(folder: Path, template: SurfaceTemplate) -> None:
    tensors = {
        "segment": template.segment.astype(np.int32),
        "offset": np.ascontiguousarray(template.offset, dtype=np.float32),
        "frame": np.ascontiguousarray(template.frame, dtype=np.float32),
    }
    data = save(tensors, {"height": repr(float(template.height))})
    write_once(folder / PLACEMENTS, data, "of another body, or altered")


def write_once(path: Path, data: bytes, otherwise: str) -> None:
    """Writes a file that the whole archive rests on, or makes sure that it is the same."""
    if path.is_file() and path.read_bytes() != data:
        raise ValueError(f"{path} is {otherwise}; give a new folder")
    write_bytes(path, data)


def _finished(folder: Path, job: RecordingJob) -> tuple[ShardEntry, ...] | None:
    """The entries of shards that an earlier run finished by the same recipe from the same source."""
    entries: list[ShardEntry] = []
    digest = None
    parts = 1
    while len(entries) < parts:
        try:
            part = len(entries)
            shard = folder / job.file(part, parts)
            if not part and not shard.is_file():
                shard = folder / job.file(0, 2)
            info = Shard(shard).info
        except (OSError, ValueError):
            return None
        digest = digest or ("" if job.source is None else _source_sha256(job.source))
        parts = parts if part else info.parts
        if info.recipe != job.recipe or info.parts != parts or info.source_sha256 != digest:
            return None
        entries.append(_entry(folder, shard.relative_to(folder).as_posix(), info))
    return tuple(entries)


def _entry(folder: Path, file: str, info: RecordingInfo) -> ShardEntry:
    return entry_of(
        folder, file, frames=info.frames, frame_rate=info.frame_rate, subject=info.subject,
        source=info.source, made_from=info.made_from, source_sha256=info.source_sha256,
    )  # fmt: skip


def _make_shards(task: tuple[Path, RecordingJob]) -> tuple[ShardEntry, ...] | _Broken:
    """Makes the recordings of one job; a sentence where its source is bad."""
    folder, job = task
    try:
        try:
            recordings = job.make()
        except OSError as error:
            return _Broken(" ".join(str(error).split()))
        digest = "" if job.source is None else _source_sha256(job.source)
        entries = []
        for part, recording in enumerate(recordings):
            info = replace(
                recording_info(recording.motion, job.name, job.recipe["frame_rate"]), clips=recording.clips,
                made_from=job.made_from, source_sha256=digest, recipe=job.recipe, parts=len(recordings),
            )  # fmt: skip
            file = job.file(part, len(recordings))
            entries.append(_entry(folder, file, write_shard(folder / file, motion_pieces(recording.motion), info)))
        return tuple(entries)
    except ValueError as error:
        return _Broken(" ".join(str(error).split()), isinstance(error, UnreadableSourceError))


def recording_info(motion: BodyMotion, name: str, frame_rate: float = 60.0) -> RecordingInfo:
    """What a shard keeps of a motion besides its poses."""
    from ..body_surface import motion_height

    height = round(motion_height(motion), 4)
    source = motion.source or "unknown"
    return RecordingInfo(
        name, motion.subject or name, source, float(motion.frame_rate), float(frame_rate), height,
        tuple(motion.narrations),
    )  # fmt: skip
