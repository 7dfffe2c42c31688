"""Benchmark of the simulation: views a second, bytes an hour, and time and memory as recordings grow.

    python benchmarks/simulate.py [--threads 2] [--motion DIR] [--output results/simulation_benchmark.json]

A *view* is one window of 300 frames with 23 placements, 6 channels each, float32. Where other programs run too, the
clock tells little; seconds of the processor, of all threads together, tell more. All rows of the first table are measured
in one run on the same motion, one after the other, the best of several repetitions.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from anymo_hf.motion.body_motion import BodyMotion
from anymo_hf.motion.procedural import simulate_activity
from anymo_hf.simulation.archive import Archive, simulate_archive
from anymo_hf.simulation.archive.dataset import ArchiveDataset, ViewCollator
from anymo_hf.simulation.archive.derived import dense_bytes
from anymo_hf.simulation.archive.shard import RecordingInfo, Shard, write_shard
from anymo_hf.simulation.archive.track import motion_pieces, stacked_terms
from anymo_hf.simulation.kinematics import GRAVITY, placement_signals, rotation_matrices, segment_kinematics
from anymo_hf.simulation.surface import load_template
from anymo_hf.simulation.views import ViewOptions, sample_views
from anymo_hf.training.corpus import MotionCorpus
from anymo_hf.training.settings import EncoderSettings
from anymo_hf.training.stages.encoder import VIEW_ROWS, batch_views, draw_batch

FRAMES, RATE, BATCH, VIEWS = 300, 60.0, 32, 2
CLEAN = ViewOptions(noise=False)
WORN = {"soft_attachment": 0.5, "wobble": 0.7, "belt": 0.6, "pocket": 0.7}  # of training/configs/nano
GROWTH_SECONDS = 12.0


def best(work: Callable[[], object], seconds: float = 1.0) -> np.ndarray:
    """Seconds by the clock and of the processor, each of the fastest of several calls after one to warm up."""
    work()
    times, stop = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < stop:
        start = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return np.min(times, axis=0)


def by_placement_numpy(positions, quaternions, segment, offset, frame) -> np.ndarray:
    """Each placement by itself: its own path, differentiated, in its own axes; `(T, P, 6)`."""
    out = np.empty((len(positions), len(segment), 6), np.float32)
    for place, index in enumerate(segment):
        body = rotation_matrices(quaternions[:, index])
        path = positions[:, index] + body @ offset[place]
        sensor = body @ frame[place]
        inner = (path[2:] - 2 * path[1:-1] + path[:-2]) * RATE**2
        second = np.concatenate([inner[:1], inner, inner[-1:]])
        out[:, place, :3] = np.einsum("tji,tj->ti", sensor, second - GRAVITY)
        step = np.swapaxes(sensor[:-1], 1, 2) @ sensor[1:]
        angle = np.arccos(np.clip((np.trace(step, axis1=1, axis2=2) - 1) / 2, -1, 1))
        axis = np.stack(
            [step[:, 2, 1] - step[:, 1, 2], step[:, 0, 2] - step[:, 2, 0], step[:, 1, 0] - step[:, 0, 1]], 1
        )
        turn = RATE * axis * (0.5 / np.maximum(np.sinc(angle / np.pi), 1e-9))[:, None]
        out[:, place, 3:] = np.concatenate([turn[:1], (turn[1:] + turn[:-1]) / 2, turn[-1:]])
    return out


def by_placement_torch(positions, rotations, segment, offset, frame) -> torch.Tensor:
    """The same, all windows and placements at once, in float64 as differences of positions need; `(B, T, P, 6)`."""
    body = rotations[:, :, segment]
    path = positions[:, :, segment] + (body @ offset[:, None, :, :, None])[..., 0]
    sensor = body @ frame[:, None]
    inner = (path[:, 2:] - 2 * path[:, 1:-1] + path[:, :-2]) * RATE**2
    second = torch.cat([inner[:, :1], inner, inner[:, -1:]], 1) - torch.from_numpy(GRAVITY)
    force = (sensor.mT @ second[..., None])[..., 0]
    step = sensor[:, :-1].mT @ sensor[:, 1:]
    cosine = ((step.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1)
    axis = torch.stack(
        [step[..., 2, 1] - step[..., 1, 2], step[..., 0, 2] - step[..., 2, 0], step[..., 1, 0] - step[..., 0, 1]], -1
    )
    turn = RATE * axis * (0.5 / torch.sinc(cosine.arccos() / np.pi).clamp_min(1e-9))[..., None]
    turn = torch.cat([turn[:, :1], (turn[:, 1:] + turn[:, :-1]) / 2, turn[:, -1:]], 1)
    return torch.cat([force, turn], -1).float()


def measure_views(folder: Path) -> dict[str, np.ndarray]:
    """Views a second of each way, by the clock and of the processor."""
    template = load_template()
    activities = ["walking", "running", "sitting", "jumping"]
    clips = [simulate_activity(activities[n % 4], n, FRAMES / RATE) for n in range(BATCH)]
    terms64 = [stacked_terms(segment_kinematics(clip)) for clip in clips]
    terms = torch.from_numpy(np.stack(terms64).transpose(0, 2, 3, 1).astype(np.float32)).contiguous()
    scale, generator = torch.ones(BATCH), torch.Generator().manual_seed(0)
    rows: dict[str, np.ndarray] = {}
    number = BATCH * VIEWS

    def views(options: ViewOptions) -> None:
        for begin in range(0, BATCH, VIEW_ROWS):  # as training calls it
            part = slice(begin, begin + VIEW_ROWS)
            sample_views(terms[part], template, generator, options, scale=scale[part], views=VIEWS)

    for name, options in (
        ("", CLEAN),
        (", with sensor noise", ViewOptions()),
        (", worn as in the nano recipe", ViewOptions(noise=False, **WORN)),
        (", worn as in the nano recipe, with sensor noise", ViewOptions(**WORN)),
    ):
        rows[f"ours, from terms in memory{name}"] = number / best(lambda options=options: views(options))

    def from_poses() -> None:
        fresh = np.stack([stacked_terms(segment_kinematics(clip)) for clip in clips])
        stacked = torch.from_numpy(fresh.transpose(0, 2, 3, 1).astype(np.float32))
        sample_views(stacked, template, generator, CLEAN, scale=scale, views=VIEWS)

    rows["ours, from poses in memory"] = number / best(from_poses)

    starts, counts = template.ranges()
    rng = np.random.default_rng(0)
    picks = starts + rng.integers(counts, size=(BATCH, 23))
    segment = np.arange(23)
    offset, frame = template.offset[picks], template.frame[picks]
    few = 4  # windows; it is slow

    def numpy_way() -> np.ndarray:
        return np.stack(
            [
                by_placement_numpy(c.positions, c.orientations, segment, offset[n], frame[n])
                for n, c in enumerate(clips[:few])
            ]
        )

    rows["each placement differentiated, numpy"] = few / best(numpy_way)
    positions = torch.from_numpy(np.stack([clip.positions for clip in clips]))
    quaternions = np.stack([clip.orientations for clip in clips])

    def torch_way() -> torch.Tensor:
        rotations = torch.from_numpy(rotation_matrices(quaternions))
        return by_placement_torch(
            positions, rotations, torch.from_numpy(segment), torch.from_numpy(offset), torch.from_numpy(frame)
        )

    rows["each placement differentiated, torch"] = BATCH / best(torch_way)
    # both ways give what ours gives, or the comparison would be void
    ours = np.stack(
        [placement_signals(segment_kinematics(c), segment, offset[n], frame[n]) for n, c in enumerate(clips[:few])]
    )
    for other in (numpy_way(), torch_way()[:few].numpy()):
        if not np.allclose(ours, other, atol=1e-3, rtol=1e-4):
            raise RuntimeError(f"the ways differ by {np.abs(ours - other).max()}")

    read, written = terms.numel() * 4, number * FRAMES * 23 * 6 * 4
    source = torch.randn((read + written) // 8)
    target = torch.empty_like(source)
    rows["plain copy of the bytes that move"] = number / best(lambda: target.copy_(source))

    simulate_archive(folder, None, 1, 60.0, activities, progress=False)
    archive = Archive(folder)
    collate = ViewCollator(archive.template, CLEAN, VIEWS)
    dataset = ArchiveDataset(archive, FRAMES)
    order = range(0, len(dataset), max(1, len(dataset) // BATCH))[:BATCH]

    def undecoded() -> None:
        shutil.rmtree(folder / "decoded", ignore_errors=True)
        collate([ArchiveDataset(archive, FRAMES)[n] for n in range(0, len(dataset), len(dataset) // 4)])

    # the first time that a recording is read it is decoded as a whole
    first = len(activities) * 60.0 * RATE / FRAMES * VIEWS
    rows["ours, from the archive, recordings read for the first time, one process"] = first / best(undecoded)
    rows["ours, from the archive, decoded blocks, one process"] = len(order) * VIEWS / best(
        lambda: collate([dataset[n] for n in order])
    )  # fmt: skip
    recipe = ViewOptions(**WORN)
    paired = ViewCollator(archive.template, recipe, VIEWS)
    rows["the same, worn as in the nano recipe, with sensor noise"] = (
        len(order)
        * VIEWS
        / best(lambda: [paired([dataset[n] for n in order[begin : begin + 8]]) for begin in range(0, BATCH, 8)])
    )
    corpus, settings = MotionCorpus(folder, FRAMES), EncoderSettings(batch_size=BATCH, frames=[125], views=dict(WORN))
    for frames in (FRAMES, 125):  # and the middle one of the nano recipe's window lengths
        settings.frames = [frames]
        batch = draw_batch(settings, corpus, np.random.default_rng(0))
        rows[f"training's own batches of the nano recipe, windows of {frames} frames"] = number / best(
            lambda batch=batch: batch_views(batch, range(BATCH), corpus, template, recipe, "cpu")
        )  # fmt: skip
    return rows


def storage_error(motion: BodyMotion, shard: Path) -> tuple[float, float]:
    """Largest RMS over time of acceleration (m/s²) and angular velocity (rad/s) error, over every fourth candidate."""
    reader = Shard(shard)
    body = load_template().scaled(reader.info.height)
    stored, true = reader.kinematics(), segment_kinematics(motion)
    acc = gyro = 0.0
    for start in range(4):  # in four parts, for memory
        rows = slice(4 * start, None, 16)
        parts = body.segment[rows], body.offset[rows], body.frame[rows]
        error = placement_signals(stored, *parts) - placement_signals(true, *parts)
        rms = [float(np.sqrt((error[..., part] ** 2).sum(-1).mean(0)).max()) for part in (slice(3), slice(3, 6))]
        acc, gyro = max(acc, rms[0]), max(gyro, rms[1])
    return acc, gyro


def measure_bytes(folder: Path, motion: Path | None) -> dict[str, dict[str, float]]:
    """Bytes an hour and storage error of each kind of source."""
    sources: dict[str, list[BodyMotion]] = {
        f"procedural at {rate:.0f} Hz": [
            simulate_activity(name, 3, 20.0, rate) for name in ("walking", "sitting", "running", "stairs_up", "jumping")
        ]
        for rate in (60.0, 240.0)
    }
    if motion is not None:
        from anymo_hf.motion.read_motion import motion_files, read_motion

        for part in sorted(path for path in motion.iterdir() if path.is_dir()) or [motion]:
            files = motion_files(part)
            if files:
                sources[part.name] = [read_motion(path) for path in files[:: max(1, len(files) // 6)][:6]]
    result = {}
    for name, motions in sources.items():
        size = frames = 0
        worst = (0.0, 0.0)
        for number, item in enumerate(motions):
            path = folder / f"{name}-{number}.parquet"
            info = RecordingInfo(str(number), "", "", item.frame_rate, RATE, 1.75)
            frames += write_shard(path, motion_pieces(item), info).frames
            size += path.stat().st_size
            worst = tuple(np.maximum(worst, storage_error(item, path)))
        hours = frames / RATE / 3600
        result[name] = {
            "seconds": frames / RATE, "megabytes_per_hour": size / hours / 1e6,
            "dense_megabytes_per_hour": dense_bytes(round(3600 * RATE)) / 1e6, "times_smaller": dense_bytes(frames) / size,
            "worst_acceleration_rms": float(worst[0]), "worst_angular_velocity_rms": float(worst[1]),
        }  # fmt: skip
    return result


def grow(times: int) -> dict[str, float]:
    """Simulates and stores one recording of so many times 12 s, given piece by piece; seconds and peak memory."""
    motion = simulate_activity("walking", 0, GROWTH_SECONDS, 2 * RATE)

    def pieces() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for number in range(times):  # to and fro, so that it is one path
            for positions, orientations in motion_pieces(motion):
                yield (positions[::-1], orientations[::-1]) if number % 2 else (positions, orientations)

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        info = RecordingInfo("long", "", "", motion.frame_rate, RATE, 1.75)
        write_shard(Path(folder) / "long.parquet", pieces(), info)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "recording_seconds": times * GROWTH_SECONDS, "seconds": seconds,
        "peak_megabytes": peak / (1e6 if sys.platform == "darwin" else 1e3),
    }  # fmt: skip


def measure_growth(times: list[int]) -> dict[str, dict[str, float]]:
    """`grow` in a process of its own for each length."""
    result = {}
    for number in times:
        command = [sys.executable, __file__, "--grow", str(number)]
        result[f"{number}x"] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Benchmark of the simulation.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--motion", type=Path, help="folder of captured motion; 6 files of each folder in it are stored"
    )
    parser.add_argument("--output", type=Path, default=Path("results/simulation_benchmark.json"))
    parser.add_argument("--grow", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.grow:
        print(json.dumps(grow(args.grow)))
        return
    torch.set_num_threads(args.threads)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        views = measure_views(Path(folder) / "archive")
        stored = measure_bytes(Path(folder), args.motion)
    growth = measure_growth([1, 10, 100])

    ours = views["ours, from terms in memory"]
    print(f"views a second ({args.threads} threads, load {load:.1f} before the run)")
    print("   by the clock   a core's second   beside ours from terms")
    for name, (wall, core) in views.items():
        print(f"  {wall:13,.0f}   {core:15,.0f}   {core / ours[1]:12.3f}   {name}")
    for name, row in stored.items():
        print(
            f"{name}: {row['megabytes_per_hour']:.1f} MB an hour, {row['times_smaller']:.0f} times smaller than dense; "
            f"worst placement errs by {row['worst_acceleration_rms']:.4f} m/s² and "
            f"{row['worst_angular_velocity_rms']:.5f} rad/s RMS"
        )
    for name, row in growth.items():
        length = f"recording of {row['recording_seconds']:.0f} s ({name})"
        print(f"{length}: {row['seconds']:.2f} s, peak {row['peak_megabytes']:.0f} MB")
    result = {
        "view": "23 placements x 300 frames x 6 channels, float32", "threads": args.threads, "load_before": load,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        "views_per_second": {name: float(rate[0]) for name, rate in views.items()},
        "views_per_core_second": {name: float(rate[1]) for name, rate in views.items()}, "storage": stored, "growth": growth,
    }  # fmt: skip
    args.output.parent.mkdir(parents=True, exist_ok=True)
    temporary = args.output.with_name(args.output.name + ".part")
    temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, args.output)
    print(f"written: {args.output}")


if __name__ == "__main__":
    main()
