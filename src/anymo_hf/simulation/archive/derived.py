"""What can be written out of an archive: dense candidates as the paper stores them, or sampled views."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ... import __version__
from ...atomic_write import replacing
from ..kinematics import placement_signals
from ..sensor_noise import NoiseModel, noise_models
from ..surface import CANDIDATE_COUNTS
from ..views import ViewOptions
from .manifest import MANIFEST, PLACEMENTS, RECORDINGS, Manifest, ShardEntry, entry_of, file_sha256, write_manifest
from .reader import Archive
from .rows import view_rows
from .shard import BLOCK_FRAMES
from .writer import refuse_strangers, run_with_bar, write_once, write_placements

_RECIPE = "recipe.json"


def dense_bytes(frames: int) -> int:
    """Bytes of the paper's layout: 2,374 placements x 6 channels x float32."""
    return frames * sum(CANDIDATE_COUNTS.values()) * 6 * 4


def materialize(
    archive: str | Path,
    out: str | Path,
    placements: Sequence[int] | np.ndarray | None = None,
    engine: str = "local",
    num_proc: int = 1,
    progress: bool = True,
) -> Manifest:
    """Writes the paper's dense layout: `(T, P, 6)` float32 of every candidate, one `.npy` file per recording.

    About 12.3 GB an hour. Files are written a block at a time and can be opened with `np.load(..., mmap_mode="r")`.

    Args:
        archive: folder of the kinematics.
        out: folder of the result, which gets its own manifest.
        placements: rows of the placement table; all when left out.
        engine, num_proc, progress: as for `simulate_archive`.

    Raises:
        OSError, ValueError: an archive that is damaged, or another one's files in `out`.
    """
    source = Archive(archive)
    rows = None if placements is None else [int(row) for row in placements]
    if rows is not None and not all(0 <= row < len(source.template.segment) for row in rows):
        raise ValueError(f"placements must be rows 0..{len(source.template.segment) - 1}, got {rows}")
    return _derive(source, Path(out), "dense", {"placements": rows, "dtype": "float32"}, engine, num_proc, progress)


def materialize_views(
    archive: str | Path,
    out: str | Path,
    seconds: float = 5.0,
    views: int = 1,
    seed: int = 0,
    noise: Sequence[str] | None = None,
    engine: str = "local",
    num_proc: int = 1,
    progress: bool = True,
) -> Manifest:
    """Writes sampled views, the rows of `view_rows`, one Parquet file per recording.

    Args:
        archive, out, engine, num_proc, progress: as for `materialize`.
        seconds, views, seed: as for `view_rows`.
        noise: presets or priors files, as `ViewOptions.noise`; all presets when left out.
    """
    recipe: dict[str, Any] = {"seconds": float(seconds), "views": int(views), "seed": int(seed)}
    if noise is not None:  # what the files say, so that a changed one is another recipe
        recipe["noise"] = [asdict(model) for model in noise_models(noise)]
    return _derive(Archive(archive), Path(out), "views", recipe, engine, num_proc, progress)


def _derive(archive: Archive, out: Path, kind: str, recipe: dict[str, Any], engine, num_proc, progress) -> Manifest:
    jobs = [_Job(archive, out, kind, name, recipe) for name in archive.names]
    refuse_strangers(out, {job.file for job in jobs})
    recipe = recipe | {"archive_sha256": file_sha256(archive.folder / MANIFEST)}
    write_once(out / _RECIPE, (json.dumps(recipe) + "\n").encode(), "of another archive or other options")
    write_placements(out, archive.template)
    # a renamed file is whole, and the recipe is the same
    todo = [job for job in jobs if not (out / job.file).is_file()]
    entries = {job.file: job.entry() for job in jobs if (out / job.file).is_file()}
    for _, entry in run_with_bar(_make, todo, engine, num_proc, progress, len(jobs), out):
        entries[entry.file] = entry
    tables = (entry_of(out, PLACEMENTS), entry_of(out, _RECIPE))
    manifest = Manifest(kind, __version__, recipe, tuple(entries[file] for file in sorted(entries)), tables)
    write_manifest(out, manifest)
    return manifest


@dataclass(frozen=True, eq=False)
class _Job:
    archive: Archive
    out: Path
    kind: str
    name: str
    recipe: dict[str, Any]

    @property
    def file(self) -> str:
        return f"{RECORDINGS}/{self.name}.{'npy' if self.kind == 'dense' else 'parquet'}"

    @property
    def made_from(self) -> str:
        return self.name

    def entry(self) -> ShardEntry:
        known = self.archive.entry(self.name)
        return entry_of(
            self.out, self.file, frames=known.frames, frame_rate=known.frame_rate, subject=known.subject,
            source=known.source, made_from=known.file, source_sha256=known.sha256,
        )  # fmt: skip


def _make(task: tuple[Path, _Job]) -> ShardEntry:
    _, job = task
    write = _write_dense if job.kind == "dense" else _write_views
    with replacing(job.out / job.file) as draft:
        write(job, draft)
    return job.entry()


def _write_dense(job: _Job, path: Path) -> None:
    shard, rows = job.archive.shard(job.name), job.recipe["placements"]
    body = job.archive.template.scaled(shard.info.height)
    chosen = np.arange(len(body.segment)) if rows is None else np.array(rows)
    frames = shard.info.frames
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (frames, len(chosen), 6)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, frames, BLOCK_FRAMES):
            kinematics = shard.kinematics(start, min(start + BLOCK_FRAMES, frames))
            signals = placement_signals(kinematics, body.segment[chosen], body.offset[chosen], body.frame[chosen])
            file.write(signals.astype("<f4").tobytes())


def _write_views(job: _Job, path: Path) -> None:
    """Windows of a recording, a few at a time."""
    signal = pa.list_(pa.list_(pa.float32()))
    writer, waiting = None, []

    def flush() -> None:
        nonlocal writer
        columns = {}
        for name, value in waiting[0].items():
            values = [row[name].tolist() if isinstance(value, np.ndarray) else row[name] for row in waiting]
            kind = (
                signal if isinstance(value, np.ndarray) else pa.list_(pa.string()) if isinstance(value, list) else None
            )
            columns[name] = pa.array(values, kind)
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd", write_page_checksum=True)
        writer.write_table(table)
        waiting.clear()

    how = dict(job.recipe)
    if "noise" in how:
        how["options"] = ViewOptions(noise=tuple(NoiseModel(**model) for model in how.pop("noise")))
    for row in view_rows(job.archive, job.name, **how):
        waiting.append(row)
        if len(waiting) >= 64:
            flush()
    if waiting:
        flush()
    if writer is None:
        raise ValueError(f"{job.name} is shorter than a window of one second; leave it out of the archive")
    writer.close()
