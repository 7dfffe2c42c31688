"""An archive of motion files, of simulated people, or of both: the jobs that `anymo simulate` hands to the writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ...motion.body_motion import BodyMotion, Narration
from ...motion.read_motion import motion_files, read_motion
from ..surface import SurfaceTemplate
from .clips import captured_clip, narrated_clips, procedural_clip
from .manifest import Manifest
from .writer import Recording, RecordingJob, storage_recipe, write_archive


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
    read: Callable[..., BodyMotion] = read_motion,
    reading: Mapping[str, Any] | None = None,
) -> Manifest:
    """Writes an archive of every motion in a folder, of simulated people, or of both.

    A run that was stopped goes on where it was, as `write_archive` says.

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
        reading: options of `read`, such as `up` and `frame_rate`; with others than before, motion files are read anew.

    Raises:
        ValueError: nothing to simulate, a file that cannot be read, or shards of another archive in the folder.
        OSError: `motion` is no folder, or a file cannot be read.
    """
    recipe = storage_recipe(frame_rate)
    jobs = _procedural_jobs(recipe, procedural, seconds, activities)
    if motion is not None:
        if reading:
            recipe["reading"] = dict(reading)
            read = partial(read, **reading)
        jobs += motion_jobs(Path(motion), recipe, partial(_captured, read=read, frame_rate=frame_rate))
    if not jobs:
        raise ValueError("nothing to simulate; give a folder of motion files, or a number of procedural seeds")
    return write_archive(folder, jobs, recipe, template, engine, num_proc, skip_broken, progress)


def _procedural_jobs(recipe, seeds, seconds, activities) -> list[RecordingJob]:
    from ...motion.procedural import ACTIVITIES, HELD_OUT_SEED, get_activity

    if not 0 <= seeds < HELD_OUT_SEED:
        raise ValueError(f"procedural must lie between 0 and {HELD_OUT_SEED - 1}, got {seeds}")
    names = sorted(ACTIVITIES if activities is None else set(activities))
    for name in names:
        get_activity(name)
    return [procedural_job(name, seed, float(seconds), recipe) for seed in range(seeds) for name in names]


def procedural_job(activity: str, seed: int, seconds: float, recipe: dict) -> RecordingJob:
    """Makes one simulated person's recording."""
    name = f"procedural/{activity}-{seed}"
    return RecordingJob(name, recipe | {"seconds": seconds}, partial(_procedural, activity, seed, seconds))


def motion_jobs(motion: Path, recipe: dict, make: Callable[[Path], Sequence[Recording]]) -> list[RecordingJob]:
    """A job for each motion file or Nymeria sequence in a folder.

    Raises:
        OSError: no such folder, or nothing in it.
    """
    if not motion.is_dir():
        raise OSError(f"--motion {motion}: no such folder; give the one that holds the motion files")
    sources = motion_files(motion)
    if not sources:
        raise OSError(f"--motion {motion}: no motion file or Nymeria sequence there")
    names = [path.relative_to(motion).as_posix() if path != motion else path.name for path in sources]
    pairs = zip(names, sources, strict=True)
    return [RecordingJob(f"motion/{name}", recipe, partial(make, path), path) for name, path in pairs]


def _procedural(activity: str, seed: int, seconds: float) -> list[Recording]:
    from ...motion.procedural import simulate_activity

    motion = simulate_activity(activity, seed, seconds)
    return [Recording(motion, (procedural_clip(activity, seed, motion),))]


def _captured(source: Path, read: Callable[[Path], BodyMotion], frame_rate: float) -> list[Recording]:
    from ...motion.captured_names import captured_name

    motion = read(source)
    # the names of two corpora say where a clip is from and what happens
    if motion.source == "bvh" and (known := captured_name(source.stem)) is not None:
        motion.source = known.source
        motion.narrations = [Narration(0.0, motion.duration, sentence) for sentence in known.sentences]
        return [Recording(motion, (captured_clip(motion, known, source.stem),))]
    return [Recording(motion, narrated_clips(motion, source.stem, frame_rate))]
