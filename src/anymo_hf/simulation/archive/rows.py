"""Rows of windows from an archive: kinematics, sampled views or dense candidates, as the Hub data set has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ...modeling.body_segments import SEGMENTS
from ...motion.seeds import seed_of
from ..kinematics import placement_signals
from ..views import ViewOptions, sample_views
from .reader import Archive
from .shard import RecordingInfo

_SHORTEST = 1.0  # seconds; a rest below it is left out


def window_spans(info: RecordingInfo, seconds: float = 5.0) -> list[tuple[int, int]]:
    """First and last-plus-one frame of each window.

    Every span of a narration (the whole recording where there is none) is cut into windows of `seconds`; what is left
    at its end is a shorter window if it lasts a second or more.
    """
    length = round(seconds * info.frame_rate)
    if length < 3:
        raise ValueError(f"seconds must make 3 frames or more at {info.frame_rate:g} Hz, got {seconds}")
    shortest = min(length, round(_SHORTEST * info.frame_rate))
    spans = {(round(n.start * info.frame_rate), round(n.end * info.frame_rate)) for n in info.narrations}
    windows = set()
    for first, last in spans or {(0, info.frames)}:
        first, last = max(first, 0), min(last, info.frames)
        for start in range(first, last, length):
            if min(last - start, length) >= shortest:
                windows.add((start, min(start + length, last)))
    return sorted(windows)


def kinematics_rows(archive: Archive, name: str, seconds: float = 5.0) -> Iterator[dict[str, Any]]:
    """Windows of poses: positions `(T, 23, 3)` in metres and orientations `(T, 23, 4)` wxyz."""
    shard = archive.shard(name)
    for start, stop in window_spans(shard.info, seconds):
        motion = shard.poses(start, stop)
        yield _known(shard.info, start, stop) | {
            "height": shard.info.height, "positions": motion.positions, "orientations": motion.orientations,
        }  # fmt: skip


def view_rows(
    archive: Archive,
    name: str,
    seconds: float = 5.0,
    views: int = 1,
    seed: int = 0,
    options: ViewOptions | None = None,
) -> Iterator[dict[str, Any]]:
    """Windows of one IMU per segment, `(T, 6)` in a column each; a recording's draws depend on its name and `seed`."""
    shard = archive.shard(name)
    generator = torch.Generator().manual_seed(seed_of(seed, name))
    scale = torch.tensor([shard.info.height / archive.template.height])
    for start, stop in window_spans(shard.info, seconds):
        terms = torch.from_numpy(shard.terms(start, stop).transpose(1, 2, 0).astype(np.float32))[None]
        for view in range(views):
            signals = sample_views(terms, archive.template, generator, options, scale=scale)
            columns = {segment: signals[0, :, index].numpy() for index, segment in enumerate(SEGMENTS)}
            yield _known(shard.info, start, stop) | {"view": view} | columns


def dense_rows(
    archive: Archive, name: str, seconds: float = 5.0, placements: Sequence[int] | None = None
) -> Iterator[dict[str, Any]]:
    """Windows of every candidate placement, noise-free, a row each."""
    shard = archive.shard(name)
    body = archive.template.scaled(shard.info.height)
    chosen = np.arange(len(body.segment)) if placements is None else np.asarray(placements)
    for start, stop in window_spans(shard.info, seconds):
        signals = placement_signals(
            shard.kinematics(start, stop), body.segment[chosen], body.offset[chosen], body.frame[chosen]
        ).astype(np.float32)
        for place, row in enumerate(chosen.tolist()):
            yield _known(shard.info, start, stop) | {
                "placement": row, "segment": SEGMENTS[body.segment[row]],
                "offset": body.offset[row].astype(np.float32), "axes": body.frame[row].astype(np.float32),
                "imu": signals[:, place],
            }  # fmt: skip


ROWS: dict[str, Callable[..., Iterator[dict[str, Any]]]] = {
    "kinematics": kinematics_rows, "views": view_rows, "dense": dense_rows,
}  # fmt: skip


def _known(info: RecordingInfo, start: int, stop: int) -> dict[str, Any]:
    low, high = start / info.frame_rate, stop / info.frame_rate
    texts = [entry for entry in info.narrations if entry.start < high and entry.end > low]
    return {
        "recording": info.name, "subject": info.subject, "source": info.source, "start": low, "seconds": high - low,
        "texts": list(dict.fromkeys(entry.text for entry in texts)),
        "labels": list(dict.fromkeys(entry.label for entry in texts if entry.label)),
    }  # fmt: skip
