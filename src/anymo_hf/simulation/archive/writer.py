"""The archive: segment motion of many recordings on disk, from which any placement's IMU follows.

A folder of one shard per recording (`recordings/`), the table of placements (`placements.safetensors`) and a manifest
with checksums. Poses are stored instead of signals: 23 positions and orientations a frame in place of 2,374 x 6 numbers.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from ... import __version__
from ...modeling.imu_signal import PASS_BAND
from ...motion.body_motion import BodyMotion, Narration
from ...motion.read_motion import motion_files, read_motion
from ..engines import run_jobs
from ..surface import SurfaceTemplate, load_template
from .codec import POSITION_STEP, QUATERNION_STEP, TERM_STEPS
from .manifest import (
    MANIFEST,
    Manifest,
    ShardEntry,
    entry_of,
    file_sha256,
    read_manifest,
    write_manifest,
)
from .shard import BLOCK_FRAMES, RecordingInfo, Shard, write_shard
from .track import motion_pieces

PLACEMENTS = "placements.safetensors"
RECORDINGS = "recordings"


@dataclass(frozen=True)
class _Job:
    """One recording to make: from a file or folder, or an activity with a seed."""

    folder: Path
    name: str
    recipe: dict
    source: Path | None = None
    read: Callable[[Path], BodyMotion] = read_motion
    activity: str = ""
    seed: int = 0
    seconds: float = 0.0

    @property
    def file(self) -> str:
        return f"{RECORDINGS}/{self.name}.parquet"

    @property
    def made_from(self) -> str:
        return self.name if self.source is None else self.source.name


def simulate_archive(
    folder: str | Path,
    motion: str | Path | None = None,
    procedural: int = 0,
    seconds: float = 60.0,
    activities: Sequence[str] | None = None,
    frame_rate: float = 60.0,
    template: SurfaceTemplate | None = None,
    engine: str = "local",
    num_proc: int = 1,
    skip_broken: bool = False,
    progress: bool = True,
    read: Callable[[Path], BodyMotion] = read_motion,
) -> Manifest:
    """Writes an archive of every motion in a folder, of simulated people, or of both.

    One shard per recording, written under a temporary name and renamed; a run that was stopped goes on where it was. The
    bytes do not depend on the engine or the number of processes. The manifest is written last.

    Args:
        folder: the archive.
        motion: folder of motion files, or of Nymeria sequences, at any depth.
        procedural: so many seeds of each activity; seeds from `HELD_OUT_SEED` up are never used.
        seconds: length of a procedural recording.
        activities: procedural ones; all when left out.
        frame_rate: of the stored frames, Hz.
        template: placements on the body; the package's own when left out.
        engine: "local" or "ray".
        num_proc: recordings at a time.
        skip_broken: leave out files that cannot be read, and say so in the manifest.
        progress: show a bar.
        read: reads a motion file; `nymeria.sequence.read_captured` brings Nymeria's narrations.

    Raises:
        ValueError: nothing to simulate, a file that cannot be read, or shards of another archive in the folder.
        OSError: `motion` is no folder, or a file cannot be read.
    """
    folder = Path(folder)
    recipe = {
        "frame_rate": float(frame_rate), "block_frames": BLOCK_FRAMES, "position_step": POSITION_STEP,
        "quaternion_step": QUATERNION_STEP, "term_steps": sorted(set(TERM_STEPS.tolist())), "pass_band": PASS_BAND,
    }  # fmt: skip
    jobs = _procedural_jobs(folder, recipe, procedural, seconds, activities)
    if motion is not None:
        jobs += _motion_jobs(folder, recipe, Path(motion), read)
    if not jobs:
        raise ValueError("nothing to simulate; give a folder of motion files, or a number of procedural seeds")
    refuse_strangers(folder, {job.file for job in jobs})
    write_placements(folder, template or load_template())
    kept = {entry.file: entry for entry in read_manifest(folder).shards} if (folder / MANIFEST).is_file() else {}
    entries: dict[str, ShardEntry] = {}
    missing = []
    for job in jobs:
        entry = _finished(job)
        # without a manifest a renamed shard is whole; with one it must also be the one that was written
        if entry is None or (job.file in kept and kept[job.file].sha256 != entry.sha256):
            missing.append(job)
        else:
            entries[job.file] = entry
    if missing:
        (folder / MANIFEST).unlink(missing_ok=True)  # it would no longer be true
    broken = run_with_bar(_make_shard, missing, engine, num_proc, progress, len(jobs), entries)
    if broken and not skip_broken:
        first = next(iter(broken.items()))
        raise ValueError(
            f"{len(broken)} of {len(jobs)} recordings could not be simulated; {first[0]}: {first[1]}; mend or remove "
            "these files, or leave them out with --skip-broken; the others are kept"
        )
    if not entries:
        raise ValueError(f"no recording could be simulated; {'; '.join(f'{k}: {v}' for k, v in broken.items())}")
    manifest = Manifest(
        "kinematics", __version__, recipe, tuple(entries[file] for file in sorted(entries)),
        (entry_of(folder, PLACEMENTS),), dict(sorted(broken.items())),
    )  # fmt: skip
    write_manifest(folder, manifest)
    return manifest


def run_with_bar(
    function: Callable[[Any], ShardEntry | str], jobs, engine, num_proc, progress, total, entries
) -> dict[str, str]:
    """Runs jobs with a bar, adds their entries; those that failed -> why."""
    from tqdm import tqdm

    broken = {}
    with tqdm(total=total, initial=total - len(jobs), desc="simulate", unit="rec", disable=not progress) as bar:
        for index, result in run_jobs(function, jobs, engine, num_proc):
            if isinstance(result, str):
                broken[jobs[index].made_from] = result
            else:
                entries[result.file] = result
            bar.update()
    return broken


def _procedural_jobs(folder, recipe, seeds, seconds, activities) -> list[_Job]:
    from ...motion.procedural import ACTIVITIES, HELD_OUT_SEED

    if not 0 <= seeds < HELD_OUT_SEED:
        raise ValueError(f"procedural must lie between 0 and {HELD_OUT_SEED - 1}, got {seeds}")
    names = sorted(ACTIVITIES if activities is None else set(activities))
    if unknown := sorted(set(names) - set(ACTIVITIES)):
        raise ValueError(f"unknown activities {', '.join(unknown)}; known: {', '.join(sorted(ACTIVITIES))}")
    recipe = recipe | {"seconds": float(seconds)}
    return [
        _Job(folder, f"procedural/{name}-{seed}", recipe, activity=name, seed=seed, seconds=float(seconds))
        for seed in range(seeds)
        for name in names
    ]


def _motion_jobs(folder: Path, recipe: dict, motion: Path, read: Callable[[Path], BodyMotion]) -> list[_Job]:
    if not motion.is_dir():
        raise OSError(f"--motion {motion}: no such folder; give the one that holds the motion files")
    sources = motion_files(motion)
    if not sources:
        raise OSError(f"--motion {motion}: no motion file or Nymeria sequence there")
    names = [path.relative_to(motion).as_posix() if path != motion else path.name for path in sources]
    pairs = zip(names, sources, strict=True)
    return [_Job(folder, f"motion/{name}", recipe, source=path, read=read) for name, path in pairs]


def _read_source(source: Path, read: Callable[[Path], BodyMotion]) -> BodyMotion:
    from ...motion.captured_names import captured_name

    motion = read(source)
    # the names of two corpora say where a clip is from and what happens
    if motion.source == "bvh" and (known := captured_name(source.stem)) is not None:
        motion.source = known.source
        motion.narrations = [Narration(0.0, motion.duration, sentence) for sentence in known.sentences]
    return motion


def _source_sha256(source: Path) -> str:
    """Checksum of a motion file, or of what is read of a Nymeria sequence."""
    if source.is_file():
        return file_sha256(source)
    parts = [*source.glob("body/xdata.*"), *source.glob("narration/*"), *source.glob("metadata.json")]
    names = [f"{path.relative_to(source).as_posix()} {file_sha256(path)}\n" for path in sorted(parts)]
    return hashlib.sha256("".join(names).encode()).hexdigest()


def refuse_strangers(folder: Path, expected: set[str]) -> None:
    if folder.exists() and not folder.is_dir():
        raise OSError(f"--out {folder} is a file; give a folder")
    for path in sorted((folder / RECORDINGS).rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name.endswith(".part"):
            path.unlink()  # half a shard of a stopped run
        elif path.is_file() and name not in expected:
            raise ValueError(f"{folder} holds recordings of another archive ({name}); give a new folder")


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
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def _finished(job: _Job) -> ShardEntry | None:
    """The entry of a shard that an earlier run finished by the same recipe from the same source."""
    try:
        info = Shard(job.folder / job.file).info
    except (OSError, ValueError):
        return None
    if info.recipe != job.recipe or (job.source is not None and info.source_sha256 != _source_sha256(job.source)):
        return None
    return _entry(job, info)


def _entry(job: _Job, info: RecordingInfo) -> ShardEntry:
    return entry_of(
        job.folder, job.file, frames=info.frames, frame_rate=info.frame_rate, subject=info.subject,
        source=info.source, made_from=info.made_from, source_sha256=info.source_sha256,
    )  # fmt: skip


def _make_shard(job: _Job) -> ShardEntry | str:
    """Simulates one recording; a sentence where its source is bad."""
    try:
        if job.source is None:
            from ...motion.procedural import simulate_activity

            motion = simulate_activity(job.activity, job.seed, job.seconds)
        else:
            try:
                motion = _read_source(job.source, job.read)
            except OSError as error:
                return " ".join(str(error).split())
        digest = "" if job.source is None else _source_sha256(job.source)
        info = replace(
            recording_info(motion, job.name, job.recipe["frame_rate"]),
            made_from=job.made_from, source_sha256=digest, recipe=job.recipe,
        )  # fmt: skip
        return _entry(job, write_shard(job.folder / job.file, motion_pieces(motion), info))
    except ValueError as error:
        return " ".join(str(error).split())


def recording_info(motion: BodyMotion, name: str, frame_rate: float = 60.0) -> RecordingInfo:
    """What a shard keeps of a motion besides its poses."""
    from ..body_surface import motion_height

    height = round(motion_height(motion), 4)
    source = motion.source or "unknown"
    return RecordingInfo(
        name, motion.subject or name, source, float(motion.frame_rate), float(frame_rate), height,
        tuple(motion.narrations),
    )  # fmt: skip


class Archive:
    """Reads what `simulate_archive` wrote; a shard's checksum is compared when it is first opened.

    Raises:
        OSError: no manifest, no placements, or later a shard that is missing, cut off or altered.
        ValueError: a manifest of something else or of another version.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.manifest = read_manifest(folder)
        if self.manifest.kind != "kinematics":
            raise ValueError(f"{folder} holds {self.manifest.kind}; give the folder of the kinematics")
        self.names = [
            entry.file.removeprefix(f"{RECORDINGS}/").removesuffix(".parquet") for entry in self.manifest.shards
        ]
        self._entries = dict(zip(self.names, self.manifest.shards, strict=True))
        self._shards: dict[str, Shard] = {}
        for table in self.manifest.tables:
            self._check(table)
        self.template = load_template(self.folder / PLACEMENTS)

    def __getstate__(self) -> dict:
        return {**vars(self), "_shards": {}}  # open files stay in their process

    def entry(self, name: str) -> ShardEntry:
        """The manifest's entry of a recording."""
        if name not in self._entries:
            raise ValueError(f"{self.folder} has no recording {name!r}; it has {', '.join(self.names[:5])}, ...")
        return self._entries[name]

    def shard(self, name: str) -> Shard:
        """A recording, open for reading."""
        if name not in self._shards:
            entry = self.entry(name)
            self._check(entry)
            if len(self._shards) >= 64:  # open files
                del self._shards[next(iter(self._shards))]
            shard = Shard(self.folder / entry.file)
            if shard.info.frames != entry.frames:
                raise OSError(f"{self.folder / entry.file} has {shard.info.frames} frames, the manifest {entry.frames}")
            self._shards[name] = shard
        return self._shards[name]

    def _check(self, entry: ShardEntry) -> None:
        path = self.folder / entry.file
        if not path.is_file():
            raise OSError(f"{path} is missing; run the same `anymo simulate` again")
        if path.stat().st_size != entry.bytes or file_sha256(path) != entry.sha256:
            raise OSError(
                f"{path} is cut off or altered: its bytes are not those of {MANIFEST}; delete it and run the same "
                "`anymo simulate` again"
            )
