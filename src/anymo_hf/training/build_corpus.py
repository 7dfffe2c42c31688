"""Makes the motion corpus: an archive of simulated people, captured motion and annotated windows, with their words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

from ..motion.procedural import ACTIVITIES, EVERYDAY, HELD_OUT_SEED, get_activity
from ..nymeria.sequence import HELD_OUT_SUBJECTS, read_metadata
from ..simulation.archive.decoded import decode_archive
from ..simulation.archive.reader import Archive
from ..simulation.archive.simulate import motion_jobs, procedural_job
from ..simulation.archive.writer import RecordingJob, storage_recipe, write_archive
from .annotated_clips import annotated_jobs, count_windows
from .captured_clips import FRAME_RATE, captured_recordings
from .corpus import MotionCorpus


@cache
def _motion_code() -> str:
    """Hash of the code that makes motion and words, so that what older code made is made again."""
    package, here = Path(__file__).parents[1], Path(__file__).parent
    numbers = [package / "simulation" / "kinematics.py", package / "modeling" / "imu_signal.py"]
    words = [here / "captured_clips.py", here / "annotated_clips.py"]
    archive = [package / "simulation" / "archive" / f"{name}.py" for name in ("clips", "codec", "shard", "track")]
    sources = [*sorted((package / "motion").rglob("*.py")), *numbers, *words, *archive]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


def build_corpus(
    folder: str | Path,
    seeds: int,
    frames: int = 360,
    activities: Sequence[str] | None = None,
    motion: str | Path | None = None,
    workers: int = 2,
    progress: bool = True,
    everyday_times: int = 1,
    nymeria: str | Path | None = None,
    annotations: str | Path | None = None,
    times: str = "timecode",
    held_out: Sequence[str] | None = None,
    skip_broken: bool = False,
) -> int:
    """Simulates every activity with `seeds` seeds, and adds captured and annotated motion, into one archive.

    Finished recordings are kept (`write_archive`); at the end all are decoded for training.

    Args:
        folder: the archive.
        seeds: seeds 0 .. seeds - 1 of each activity; those from `HELD_OUT_SEED` up are never used. 0, for none, with
            `nymeria` only.
        frames: length of a clip at 60 Hz.
        activities: keys of `ACTIVITIES`; all when left out.
        motion: folder searched for motion files of every format of `read_motion`; of Nymeria sequences in it, too, those
            of `held_out` are left out.
        workers: processes.
        progress: show a bar.
        everyday_times: so many times as many people for the activities of `EVERYDAY`.
        nymeria: Nymeria copy whose annotated windows become clips (`annotated_recordings`).
            One that cannot be read is left out; `annotated_losses` names it.
        annotations: Parquet or CSV file, or a folder of them; None for the official files inside the sequences.
        times: clock of the annotations, "timecode" or "motion".
        held_out: people left out; None for the five that no stage of the paper trains on.
        skip_broken: leave out motion files that cannot be read, and say so in the manifest.

    Returns:
        The number of clips.

    Raises:
        ValueError: an unknown activity, a bad number, recordings of another archive in the folder; bad annotations, a
            sequence that is not there, a window outside its recording, or nobody of a name held out.
        OSError: `motion` is not a folder or holds no motion file; no sequence; or a worker was killed.
    """
    folder = Path(folder)
    names = sorted(ACTIVITIES) if activities is None else list(activities)
    for name in names:
        get_activity(name)
    least = 1 if nymeria is None else 0
    if everyday_times < 1 or not least <= seeds * everyday_times <= HELD_OUT_SEED:
        raise ValueError(
            f"seeds times everyday_times must lie between {least} and {HELD_OUT_SEED}, got {seeds} x {everyday_times}"
        )
    if nymeria is None and annotations is not None:
        raise ValueError("--annotations needs --nymeria, the folder of sequences")
    if nymeria is None and motion is None and held_out is not None:
        raise ValueError("--held-out needs --nymeria or --motion, the folder of sequences")
    if frames < 120:
        raise ValueError(f"frames must be at least 120 (two seconds), got {frames}")
    recipe = storage_recipe(FRAME_RATE) | {"code": _motion_code()}
    jobs = [
        procedural_job(name, seed, frames / FRAME_RATE, recipe)
        for name in names
        for seed in range(seeds * (everyday_times if name in EVERYDAY else 1))
    ]
    cut = recipe | {"clip_frames": frames}
    if motion is not None:
        captured = motion_jobs(Path(motion), cut, partial(captured_recordings, frames=frames))
        captured, people = _without_people(captured, HELD_OUT_SUBJECTS if held_out is None else held_out)
        if nymeria is None and held_out is not None and (strangers := sorted(set(held_out) - people)):
            raise ValueError(
                f"--held-out {strangers[0]}: nobody of that name in the sequences of {motion}; "
                f"there are {', '.join(sorted(people)) or 'none'}"
            )
        jobs += captured
    known = {}
    if nymeria is not None:
        annotated, known = annotated_jobs(frames, cut, nymeria, annotations, times, held_out)
        jobs += annotated
    counts = partial(count_windows, known, frames)
    try:
        write_archive(
            folder, jobs, cut, num_proc=max(workers, 1), skip_broken=skip_broken, progress=progress, counts=counts
        )
        decode_archive(Archive(folder), max(workers, 1), progress)
    except ChildProcessError as error:
        raise OSError(
            f"a process that makes the corpus was killed (is there too little memory for --workers {workers}?); "
            f"finished recordings in {folder} are kept: run the same command again"
        ) from error
    return len(MotionCorpus(folder))


def _without_people(jobs: Sequence[RecordingJob], left_out: Sequence[str]) -> tuple[list[RecordingJob], set[str]]:
    """The jobs but those whose source is a Nymeria sequence of one of these people; and all people of such sequences.

    Raises:
        ValueError: none is left.
    """
    kept, people = [], set()
    for job in jobs:
        try:
            person = read_metadata(job.source).subject if job.source is not None and job.source.is_dir() else ""
        except ValueError:  # the job meets it again and reports it
            person = ""
        people.add(person)
        if person not in left_out:
            kept.append(job)
    if jobs and not kept:
        raise ValueError(f"--motion: every sequence is of a person held out ({', '.join(left_out)}); give others")
    return kept, people - {""}
