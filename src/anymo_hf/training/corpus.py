"""The motion corpus on disk: segment kinematics of many clips as memory-mapped arrays, with words for each clip."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from .. import __version__
from ..motion.body_motion import BodyMotion
from ..motion.captured_names import CapturedName, activity_as_moved, captured_name
from ..motion.procedural import ACTIVITIES, EVERYDAY, HELD_OUT_SEED, simulate_activity
from ..simulation.archive.manifest import MANIFEST, Manifest, ShardEntry, entry_of, read_manifest, write_manifest
from ..simulation.archive.track import stacked_terms
from ..simulation.engines import run_jobs
from ..simulation.kinematics import segment_kinematics

if TYPE_CHECKING:
    from ..nymeria.annotations import Annotation
    from ..nymeria.sequence import NymeriaSequence

FRAME_RATE = 60.0
_TERMS = (23, 15)  # force, lever and angular velocity of each segment, see `sample_views`
_ARRAY = "terms.npy"
_SHARDS, _REPORT = "*-*", "report.json"
_LARGEST = 60_000.0  # inside float16; a violent knock's lever term may exceed it


@dataclass(frozen=True)
class Clip:
    """Words of one clip.

    `activity` is a key of `ACTIVITIES`, or the AnyMo-180 label of an annotated window; empty where it is not known. The
    first of an annotated window's `narrations` is the person's, the others are augmentations.
    """

    name: str
    source: str
    activity: str = ""
    label: str = ""
    label_phrases: tuple[str, ...] = ()
    narrations: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Shard:
    """What one worker makes: simulated (activity, seed) pairs, or clips of motion files, or of an annotated recording."""

    folder: Path
    frames: int
    simulated: tuple[tuple[str, int], ...] = ()
    files: tuple[Path, ...] = ()
    sequence: Path | None = None
    windows: tuple[Annotation, ...] = ()
    times: str = "timecode"

    @property
    def recipe(self) -> dict:
        """What decides the shard's content; kept beside it, so that a changed one is made again."""
        simulated, files = [list(pair) for pair in self.simulated], [[str(p), p.stat().st_size] for p in self.files]
        recipe = {"frames": self.frames, "simulated": simulated, "files": files, "code": _motion_code()}
        if self.sequence is not None:
            skeletons = [path for path in sorted((self.sequence / "body").glob("xdata.*")) if path.suffix != ".glb"]
            recipe["files"] = [[str(path), path.stat().st_size] for path in skeletons]
            recipe["windows"] = hashlib.sha256(repr((self.windows, self.times)).encode()).hexdigest()[:16]
        return recipe


@cache
def _motion_code() -> str:
    """Hash of the code that makes motion and words, so that a shard of older code is made again."""
    package = Path(__file__).parents[1]
    numbers = [package / "simulation" / "kinematics.py", package / "modeling" / "imu_signal.py", Path(__file__)]
    sources = [*sorted((package / "motion").rglob("*.py")), *numbers]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


def simulated_clip(activity: str, seed: int, frames: int) -> tuple[BodyMotion, Clip]:
    """One procedural clip and its words."""
    from ..motion.procedural import ACTIVITIES, label_phrases

    motion = simulate_activity(activity, seed, duration=frames / FRAME_RATE)
    sentences = tuple(dict.fromkeys(item.text for item in motion.narrations))
    phrases = tuple(label_phrases(activity))
    return motion, Clip(
        f"{activity}-{seed}", "procedural", activity, ACTIVITIES[activity].class_name, phrases, sentences
    )


def captured_clips(path: Path, frames: int) -> Iterator[tuple[BodyMotion, Clip]]:
    """Non-overlapping windows of a motion file, with words where its name says what happens (`captured_names`).

    A rest shorter than a window is left out, and no window spans frames that no body can make (`_possible_runs`).
    Clips of the Bandai-Namco Research Motiondataset ("bandai_namco") are under CC BY-NC 4.0, so a model trained on them is
    non-commercial; those of the CMU Graphics Lab Motion Capture Database ("cmu_bvh") are free to use, with
    acknowledgement of mocap.cs.cmu.edu and NSF EIA-0196217; for others ask their owner.
    """
    from ..nymeria.sequence import read_captured

    motion, name = read_captured(path), captured_name(path.stem)
    length = round(frames * motion.frame_rate / FRAME_RATE) + 1  # a spare frame against rounding at the new rate
    number = 0
    for first, last in _possible_runs(motion):
        for start in range(first, last - length + 1, length):
            window = BodyMotion(
                motion.frame_rate,
                motion.positions[start : start + length],
                motion.orientations[start : start + length],
                [],
                motion.subject,
                motion.name,
                motion.source if name is None else name.source,
            )
            yield window, _captured_words(window, name, f"{path.stem}-{number}")
            number += 1


def annotated_clips(
    sequence: NymeriaSequence, windows: Sequence[Annotation], frames: int, times: str = "timecode"
) -> Iterator[tuple[BodyMotion, Clip]]:
    """Clips of the annotated windows of a recording: the person's narration, its augmentations, the label.

    As `captured_clips`: a window longer than a clip gives several that do not overlap, a rest or a window shorter than one
    is left out, and so is a clip with frames that no body can make. A window that reaches beyond the recording is cut.

    Args:
        sequence: of `read_nymeria`; narrations and mesh are not needed.
        windows: of `read_annotations`.
        frames: length of a clip at 60 Hz.
        times: clock of the windows: "timecode", or "motion" for seconds from the first frame.

    Raises:
        ValueError: a window lies outside the recording.
    """
    motion, rate = sequence.motion, sequence.motion.frame_rate
    clock = (sequence.repairs.timestamps_us - (sequence.repairs.timestamps_us[0] if times == "motion" else 0)) * 1e-6
    opening, close = clock[0], clock[-1] + 1 / rate
    possible = np.zeros(len(clock), dtype=bool)
    for first, last in _possible_runs(motion):
        possible[first:last] = True
    impossible = np.concatenate([[0], np.cumsum(~possible)])
    length = round(frames * rate / FRAME_RATE) + 1
    for item in windows:
        start, end = max(item.start, opening), min(item.end, close)
        if end <= start:
            other = "motion" if times == "timecode" else "timecode"
            raise ValueError(
                f"{sequence.name}: window {item.sample_id} runs from {item.start:.3f} to {item.end:.3f} s, the recording "
                f"from {opening:.3f} to {close:.3f} s; correct or drop it, or are its times on the other clock "
                f"(--times {other})?"
            )
        narrations = tuple(dict.fromkeys([item.narration, *item.augmentations])) if item.narration else ()
        label = item.label or ""
        for piece in range(round((end - start) * FRAME_RATE) // frames):
            first = int(np.searchsorted(clock, start + piece * frames / FRAME_RATE - 0.5 / rate))
            first = min(first, len(clock) - length)  # the spare frame may be one too many at the recording's end
            if first < 0 or impossible[first] < impossible[first + length]:
                continue
            window = BodyMotion(
                rate,
                motion.positions[first : first + length],
                motion.orientations[first : first + length],
                [],
                motion.subject,
                motion.name,
                motion.source,
            )
            phrases = (label,) if label else ()
            yield window, Clip(f"{item.sample_id}-{piece}", motion.source, label, label, phrases, narrations)


# Hz. Above it optical capture is mostly noise: in CMU walking at 120 frames per second 57 % of the pelvis acceleration's
# power lies above 12 Hz, in Bandai-Namco walking, cleaned at 30 frames per second, 3 %.
_CAPTURE_BANDWIDTH = 15.0
# What no body does, and damaged captures do: speed of a segment, and turning of trunk and head, limbs, toes.
_MOST_SPEED = 25.0  # m/s
_MOST_TURN = {"trunk": 25.0, "limb": 50.0, "toe": 120.0}  # rad/s; capture of toes is rough, and toes matter least


def _possible_runs(motion: BodyMotion) -> list[tuple[int, int]]:
    """Stretches `[first, last)` of frames without impossible motion, 0.1 s away from it."""
    from ..modeling.body_segments import SEGMENTS

    limits = [_MOST_TURN["toe" if name.endswith("Toe") else "limb" if name[1] == "_" else "trunk"] for name in SEGMENTS]
    speed = np.linalg.norm(np.diff(motion.positions, axis=0), axis=-1) * motion.frame_rate
    same = np.abs(np.sum(motion.orientations[1:] * motion.orientations[:-1], axis=-1))
    turning = 2 * np.arccos(np.clip(same, 0, 1)) * motion.frame_rate
    frames, margin = len(motion.positions), round(0.1 * motion.frame_rate)
    good = np.ones(frames + 1, dtype=bool)
    for step in np.flatnonzero(((speed > _MOST_SPEED) | (turning > np.array(limits))).any(axis=1)):
        good[max(0, step - margin) : step + 2 + margin] = False
    good[frames] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good]).astype(int)))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _captured_words(window: BodyMotion, name: CapturedName | None, clip: str) -> Clip:
    """Label, phrases and sentences of one captured window; sentences are drawn with the clip's name as the seed."""
    from ..motion.procedural import ACTIVITIES, compose_narrations, label_phrases

    if name is None:
        return Clip(clip, window.source)
    if name.activity is None:
        return Clip(clip, name.source, narrations=name.sentences)
    pelvis = window.positions[:, 0, :2]
    speed = float(np.linalg.norm(np.diff(pelvis, axis=0), axis=-1).mean() * window.frame_rate)
    w, x, y, z = window.orientations[:, 0].T
    heading = np.unwrap(np.arctan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z)))
    activity = activity_as_moved(name.activity, speed, float(np.degrees(heading[-1] - heading[0])))
    true = lambda texts: [text for text in texts if not set(re.findall(r"\w+", text)) & set(name.untrue)]  # noqa: E731
    # the direction of a turn is said only of a window that turns
    details = {key: value for key, value in name.details.items() if key != "direction" or activity == "walking_turning"}
    sentences = name.sentences if details == name.details else ()
    composed = compose_narrations(activity, details, np.random.default_rng(zlib.crc32(clip.encode())))
    narrations = tuple(dict.fromkeys([*true(composed), *sentences]))
    return Clip(
        clip, name.source, activity, ACTIVITIES[activity].class_name, tuple(true(label_phrases(activity))), narrations
    )


def _make_shard(shard: _Shard) -> int:
    """Writes a shard under a temporary name, then renames it; the number of clips."""
    torch.set_num_threads(1)
    pairs: Iterator[tuple[BodyMotion, Clip]] = chain(
        (simulated_clip(name, seed, shard.frames) for name, seed in shard.simulated),
        chain.from_iterable(captured_clips(path, shard.frames) for path in shard.files),
    )
    broken = None
    if shard.sequence is not None:
        from ..nymeria.sequence import read_nymeria

        try:
            sequence = read_nymeria(shard.sequence, kinds=(), mesh=False)
            pairs = annotated_clips(sequence, shard.windows, shard.frames, shard.times)
        except (OSError, ValueError) as error:
            broken = str(error)
    rows, clips = [], []
    for motion, clip in pairs:
        rough = clip.source != "procedural" and motion.frame_rate > 2 * _CAPTURE_BANDWIDTH
        terms = segment_kinematics(motion, FRAME_RATE, _CAPTURE_BANDWIDTH if rough else None)
        values = stacked_terms(terms)[: shard.frames].transpose(1, 2, 0)
        rows.append(np.clip(values, -_LARGEST, _LARGEST).astype(np.float16))
        clips.append(clip)
    draft = shard.folder.with_name(shard.folder.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    np.save(draft / _ARRAY, np.stack(rows) if clips else np.zeros((0, *_TERMS, shard.frames), np.float16))
    with (draft / "clips.jsonl").open("w", encoding="utf-8") as file:
        for clip in clips:
            file.write(json.dumps(asdict(clip), ensure_ascii=False) + "\n")
    if shard.sequence is not None:
        short = sum(round((item.end - item.start) * FRAME_RATE) < shard.frames for item in shard.windows)
        used = len({clip.name.rpartition("-")[0] for clip in clips})
        report = {"sequence": shard.sequence.name, "windows": len(shard.windows), "short": short, "used": used}
        (draft / _REPORT).write_text(json.dumps(report | {"broken": broken}), encoding="utf-8")
    (draft / "recipe.json").write_text(json.dumps(shard.recipe), encoding="utf-8")
    shutil.rmtree(shard.folder, ignore_errors=True)
    os.replace(draft, shard.folder)
    return len(clips)


def _is_done(shard: _Shard) -> bool:
    recipe, report = shard.folder / "recipe.json", shard.folder / _REPORT
    if not recipe.is_file() or json.loads(recipe.read_text(encoding="utf-8")) != shard.recipe:
        return False
    # a broken recording is tried again: it may have been mended
    return not report.is_file() or json.loads(report.read_text(encoding="utf-8"))["broken"] is None


def _annotated_shards(
    folder: Path,
    frames: int,
    nymeria: str | Path,
    annotations: str | Path | None,
    times: str,
    held_out: Sequence[str] | None,
) -> list[_Shard]:
    """A shard for each annotated recording of a Nymeria copy, but those of people left out; as `build_corpus`."""
    from ..nymeria.annotated_windows import NymeriaSource
    from ..nymeria.annotations import CLOCKS
    from ..nymeria.sequence import HELD_OUT_SUBJECTS, read_metadata

    if times not in CLOCKS:
        raise ValueError(f"times must be one of {', '.join(CLOCKS)}, got {times!r}")
    left_out = set(HELD_OUT_SUBJECTS if held_out is None else held_out)
    shards, people = [], set()
    with tempfile.TemporaryDirectory() as cache:  # rows sorted by recording, so that each is read once
        named = None if annotations is None else str(annotations)
        source = NymeriaSource(str(nymeria), named, cache=cache)
        for sequence in source.sessions():
            place = folder / f"annotated-{sequence.name.replace('.', '_')}"
            try:
                person = read_metadata(sequence).subject
            except ValueError:  # `_make_shard` meets it again and reports it
                shards.append(_Shard(place, frames, sequence=sequence.absolute()))
                continue
            people.add(person)
            if person not in left_out:
                windows = tuple(source.read(sequence))
                # official files are on TIME_CODE
                clock = "timecode" if annotations is None else times
                shards.append(_Shard(place, frames, sequence=sequence.absolute(), windows=windows, times=clock))
    if held_out is not None and (strangers := sorted(left_out - people)):
        raise ValueError(
            f"--held-out {strangers[0]}: nobody of that name in the annotated recordings of {nymeria}; "
            f"there are {', '.join(sorted(people))}"
        )
    if not shards:
        raise ValueError(f"{nymeria}: every annotated recording is of a person held out ({', '.join(sorted(people))})")
    return shards


def build_corpus(
    folder: str | Path,
    seeds: int,
    frames: int = 360,
    activities: Sequence[str] | None = None,
    motion: str | Path | None = None,
    workers: int = 2,
    shard_clips: int = 65,
    progress: bool = True,
    everyday_times: int = 1,
    nymeria: str | Path | None = None,
    annotations: str | Path | None = None,
    times: str = "timecode",
    held_out: Sequence[str] | None = None,
) -> int:
    """Simulates every activity with `seeds` seeds, and adds captured and annotated motion; finished shards are kept.

    Args:
        folder: where shards go.
        seeds: seeds 0 .. seeds - 1 of each activity; those from `HELD_OUT_SEED` up are never used. 0, for none, with
            `nymeria` only.
        frames: length of a clip at 60 Hz.
        activities: keys of `ACTIVITIES`; all when left out.
        motion: folder searched for motion files of every format of `read_motion`.
        workers: processes.
        shard_clips: clips, or motion files, in a shard.
        progress: show a bar.
        everyday_times: so many times as many people for the activities of `EVERYDAY`.
        nymeria: Nymeria copy whose annotated windows become clips (`annotated_clips`), a shard for each recording.
            One that cannot be read is left out; `annotated_losses` names it.
        annotations: Parquet or CSV file, or a folder of them; None for the official files inside the sequences.
        times: clock of the annotations, "timecode" or "motion".
        held_out: people left out; None for the five that no stage of the paper trains on.

    Returns:
        The number of clips.

    Raises:
        ValueError: an unknown activity, a bad number, or shards of another recipe in the folder; bad annotations, a
            sequence that is not there, a window outside its recording, or nobody of a name held out.
        OSError: `motion` is not a folder or holds no motion file; no sequence; or a worker was killed.
    """
    folder = Path(folder)
    names = sorted(ACTIVITIES) if activities is None else list(activities)
    if unknown := sorted(set(names) - set(ACTIVITIES)):
        raise ValueError(f"unknown activities {unknown}; known: {', '.join(sorted(ACTIVITIES))}")
    least = 1 if nymeria is None else 0
    if everyday_times < 1 or not least <= seeds * everyday_times <= HELD_OUT_SEED:
        raise ValueError(
            f"seeds times everyday_times must lie between {least} and {HELD_OUT_SEED}, got {seeds} x {everyday_times}"
        )
    if nymeria is None and (annotations is not None or held_out is not None):
        raise ValueError("--annotations and --held-out need --nymeria, the folder of sequences")
    if frames < 120:
        raise ValueError(f"frames must be at least 120 (two seconds), got {frames}")
    # seed by seed, so that every shard holds all activities and a half-made corpus is already balanced
    often = [name for name in names if name in EVERYDAY]
    pairs = [
        (name, seed)
        for turn in range(seeds)
        for name, seed in (
            *((name, turn) for name in names),
            *(
                (name, seeds + turn * (everyday_times - 1) + extra)
                for extra in range(everyday_times - 1)
                for name in often
            ),
        )
    ]
    shards = [
        _Shard(folder / f"simulated-{start // shard_clips:05d}", frames, tuple(pairs[start : start + shard_clips]))
        for start in range(0, len(pairs), shard_clips)
    ]
    if motion is not None:
        from ..motion.read_motion import motion_files

        files = motion_files(motion) if Path(motion).is_dir() else []
        if not files:
            raise OSError(f"--motion {motion}: no motion file there; give the folder that holds them")
        shards += [
            _Shard(
                folder / f"captured-{start // shard_clips:05d}", frames, files=tuple(files[start : start + shard_clips])
            )
            for start in range(0, len(files), shard_clips)
        ]
    if nymeria is not None:
        shards += _annotated_shards(folder, frames, nymeria, annotations, times, held_out)
    folder.mkdir(parents=True, exist_ok=True)
    expected = {shard.folder.name for shard in shards}
    stray = sorted(path.name for path in folder.glob(_SHARDS) if path.name.removesuffix(".part") not in expected)
    if stray:
        raise ValueError(
            f"{folder} holds shards of another corpus ({stray[0]} and {len(stray) - 1} more); use a new one"
        )
    missing = [shard for shard in shards if not _is_done(shard)]
    known = {}
    if (folder / MANIFEST).is_file():
        remade = {shard.folder.name for shard in missing}
        known = {entry.file: entry for entry in _all_entries(folder) if entry.file.split("/")[0] not in remade}
    if missing:
        (folder / MANIFEST).unlink(missing_ok=True)  # it would no longer be true
    from tqdm import tqdm

    bar = tqdm(total=len(shards), initial=len(shards) - len(missing), desc="corpus", unit="shard", disable=not progress)
    try:
        for _ in run_jobs(_make_shard, missing, num_proc=max(workers, 1)):
            bar.update()
    except ChildProcessError as error:
        raise OSError(
            f"a process that makes the corpus was killed (is there too little memory for --workers {workers}?); "
            f"finished shards in {folder} are kept: run the same command again"
        ) from error
    finally:
        bar.close()
    losses = annotated_losses(folder)
    if shards and len(losses.broken) == len(shards):
        raise OSError(f"no recording can be read; the first: {next(iter(losses.broken.values()))}")
    corpus = MotionCorpus(folder)
    _write_corpus_manifest(folder, shards, known, {"frames": frames, "code": _motion_code()}, losses.broken)
    return len(corpus)


def _all_entries(folder: Path) -> tuple[ShardEntry, ...]:
    manifest = read_manifest(folder)
    return manifest.shards + manifest.tables


def _write_corpus_manifest(
    folder: Path, shards: Sequence[_Shard], known: dict[str, ShardEntry], recipe: dict, broken: dict[str, str]
) -> None:
    """The manifest of archives over all files, so that `anymo archive verify` checks a corpus too."""
    entries = []
    for path in sorted(file for shard in shards for file in shard.folder.iterdir()):
        name = path.relative_to(folder).as_posix()
        facts = {}
        if path.name == _ARRAY:
            count, *_, frames = np.load(path, mmap_mode="r", allow_pickle=False).shape
            facts = {"frames": count * frames, "frame_rate": FRAME_RATE, "source": path.parent.name.split("-")[0]}
        old = known.get(name)
        entries.append(old if old and old.bytes == path.stat().st_size else entry_of(folder, name, **facts))
    shard_entries, tables = ([e for e in entries if bool(e.frames) is kind] for kind in (True, False))
    write_manifest(folder, Manifest("corpus", __version__, recipe, tuple(shard_entries), tuple(tables), broken))


@dataclass(frozen=True)
class AnnotatedLosses:
    """What of the annotated windows of a corpus gave no clip.

    Args:
        windows: of all recordings that can be read.
        short: shorter than a clip.
        spoiled: long enough, but cut by the recording's ends, or with impossible motion in every clip.
        broken: sequence -> why it cannot be read.
    """

    windows: int
    short: int
    spoiled: int
    broken: dict[str, str]


def annotated_losses(folder: str | Path) -> AnnotatedLosses:
    """Reads what `build_corpus` kept of each annotated recording."""
    files = sorted(Path(folder).glob(f"annotated-*/{_REPORT}"))
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    whole = [report for report in reports if report["broken"] is None]
    windows, short, used = (sum(report[name] for report in whole) for name in ("windows", "short", "used"))
    broken = {report["sequence"]: report["broken"] for report in reports if report["broken"] is not None}
    return AnnotatedLosses(windows, short, windows - short - used, broken)


class MotionCorpus:
    """Reads what `build_corpus` wrote.

    Raises:
        OSError: no shard in the folder.
        ValueError: a shard's arrays do not fit its clips.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        shards = sorted(path.parent for path in self.folder.glob(f"{_SHARDS}/recipe.json") if path.parent.suffix == "")
        if not shards:
            raise OSError(f"no motion corpus in {folder}; make one with training/make_corpus.py")
        self.clips: list[Clip] = []
        self._arrays: list[np.ndarray] = []
        starts = []
        for shard in shards:
            array = np.load(shard / _ARRAY, mmap_mode="r", allow_pickle=False)
            with (shard / "clips.jsonl").open(encoding="utf-8") as file:
                clips = [_clip(json.loads(line)) for line in file]
            if len(array) != len(clips) or array.shape[1:3] != _TERMS:
                raise ValueError(
                    f"{shard / _ARRAY} has shape {array.shape} for {len(clips)} clips; delete {shard} "
                    "and run make_corpus again"
                )
            if clips:
                starts.append(len(self.clips))
                self.clips += clips
                self._arrays.append(array)
        if not self.clips:
            raise OSError(f"the corpus in {folder} has no clips")
        content = hashlib.sha256()
        for shard in shards:
            for name in ("recipe.json", "clips.jsonl"):
                content.update((shard / name).read_bytes())
        self._identity = f"{len(self.clips)} clips {content.hexdigest()[:16]}"
        self._starts = np.array(starts)
        self.frames = min(array.shape[3] for array in self._arrays)

    def __len__(self) -> int:
        return len(self.clips)

    def identity(self) -> str:
        """Names the content, for fingerprints."""
        return self._identity

    def read(self, rows: Sequence[int] | np.ndarray, start: Sequence[int] | np.ndarray, frames: int) -> torch.Tensor:
        """Terms for `sample_views`, `(B, 23, 15, frames)` float32, of clips `rows` from frame `start` on."""
        out = np.empty((len(rows), *_TERMS, frames), np.float32)
        for place, (row, first) in enumerate(zip(rows, start, strict=True)):
            shard = int(np.searchsorted(self._starts, row, side="right")) - 1
            out[place] = self._arrays[shard][row - self._starts[shard], ..., first : first + frames]
        return torch.from_numpy(out)


def _clip(values: dict) -> Clip:
    values["label_phrases"], values["narrations"] = tuple(values["label_phrases"]), tuple(values["narrations"])
    return Clip(**values)


def corpus_texts(clips: Sequence[Clip], extra: Sequence[str] = ()) -> list[str]:
    """Every different phrase, label and sentence of the clips and `extra`, normalised, in a fixed order."""
    from ..modeling.prompts import normalize_text

    texts: dict[str, None] = {}
    for clip in clips:
        for text in (*clip.label_phrases, clip.label, *clip.narrations):
            if text:
                texts[normalize_text(text)] = None
    for text in extra:
        if text.strip():
            texts[normalize_text(text)] = None
    return list(texts)


def read_texts(path: str | Path) -> list[str]:
    """Sentences of a text file, one a line; lines from `#` on say where they are from. OSError when it is missing."""
    path = Path(path)
    if not path.is_file():
        raise OSError(f"--texts {path}: no such file; give a text file with one sentence a line")
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]
