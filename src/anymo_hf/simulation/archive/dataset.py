"""Windows of an archive for training, and paired placement views sampled from a batch of them.

archive = Archive("DIR")
loader = DataLoader(ArchiveDataset(archive), batch_size=64, shuffle=True, collate_fn=ViewCollator(archive.template))
for batch in loader:
    batch.views  # (2, 64, 300, 23, 6): two views of the same motion, each with its own placements
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from ..sensor_noise import add_noise
from ..surface import SurfaceTemplate
from ..views import ViewOptions, draw_mountings, pick_candidates, sample_views, upright_frames
from .shard import BLOCK_FRAMES
from .writer import Archive

_UNIT = 32  # windows that one worker of a stream reads in a row


@dataclass(frozen=True)
class KinematicsWindow:
    """Some frames of one recording.

    Args:
        terms: `(23, T, 15)` float32, segments first: force (m/s²), lever (1/s²) and angular velocity (rad/s).
        height: body height in metres.
        recording: its name.
        subject: who moves.
        start: first frame.
        texts: narrations that overlap the window.
    """

    terms: torch.Tensor
    height: float
    recording: str
    subject: str
    start: int
    texts: tuple[str, ...]


@dataclass(frozen=True)
class ViewBatch:
    """Views of a batch of windows: `views` `(V, B, T, 23, 6)` m/s² and rad/s, in sensor axes; `windows` say whose."""

    views: torch.Tensor
    windows: tuple[KinematicsWindow, ...]


class _Windows:
    """Where windows lie, and how one is read; shared by both datasets."""

    def __init__(
        self, archive: Archive, frames: int, stride: int | None, subjects: Sequence[str] | None, cached_blocks: int
    ):
        stride = frames if stride is None else stride
        if frames < 3 or stride < 1:
            raise ValueError(f"frames must be at least 3 and stride at least 1, got {frames} and {stride}")
        self.archive, self.frames = archive, frames
        known = {entry.subject for entry in archive.manifest.shards}
        if subjects is not None and (unknown := sorted(set(subjects) - known)):
            raise ValueError(f"subjects: {', '.join(unknown)} are not in {archive.folder}")
        self.places = [
            (name, start)
            for name in archive.names
            if subjects is None or archive.entry(name).subject in subjects
            for start in range(0, archive.entry(name).frames - frames + 1, stride)
        ]
        if not self.places:
            raise ValueError(f"{archive.folder} has no window of {frames} frames; its recordings are shorter")
        self.cached_blocks = cached_blocks
        self._blocks: dict[tuple[str, int], torch.Tensor] = {}

    def __getstate__(self) -> dict:
        return {**vars(self), "_blocks": {}}

    def read(self, place: tuple[str, int]) -> KinematicsWindow:
        name, start = place
        info, stop = self.archive.shard(name).info, start + self.frames
        parts = []
        for index in range(start // BLOCK_FRAMES, -(-stop // BLOCK_FRAMES)):
            first = index * BLOCK_FRAMES
            parts.append(self._block(name, index, info.frames)[:, max(start - first, 0) : stop - first])
        # a copy, so that a window does not keep its whole block in memory
        terms = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0].clone()
        low, high = start / info.frame_rate, stop / info.frame_rate
        texts = tuple(entry.text for entry in info.narrations if entry.start < high and entry.end > low)
        return KinematicsWindow(terms, info.height, name, info.subject, start, texts)

    def _block(self, name: str, index: int, frames: int) -> torch.Tensor:
        key = (name, index)
        if key not in self._blocks:
            first = index * BLOCK_FRAMES
            terms = self.archive.shard(name).terms(first, min(first + BLOCK_FRAMES, frames))
            while len(self._blocks) >= max(self.cached_blocks, 1):
                del self._blocks[next(iter(self._blocks))]
            self._blocks[key] = torch.from_numpy(np.ascontiguousarray(terms.transpose(1, 0, 2), dtype=np.float32))
        return self._blocks[key]


class ArchiveDataset(Dataset):
    """Windows by number.

    Args:
        archive: where from.
        frames: length of a window.
        stride: frames from one window to the next; without it they do not overlap.
        subjects: only windows of these people.
        cached_blocks: blocks of 600 frames to keep in each process, 0.8 MB each; keep all of a small archive, and
            later epochs read nothing.

    Raises:
        ValueError: no window fits, a bad number or an unknown subject.
        OSError: on reading, a shard that is missing, cut off or altered.
    """

    def __init__(
        self,
        archive: Archive,
        frames: int = 300,
        stride: int | None = None,
        subjects: Sequence[str] | None = None,
        cached_blocks: int = 64,
    ):
        self._windows = _Windows(archive, frames, stride, subjects, cached_blocks)

    def __len__(self) -> int:
        return len(self._windows.places)

    def __getitem__(self, index: int) -> KinematicsWindow:
        return self._windows.read(self._windows.places[index])


class ArchiveStream(IterableDataset):
    """Windows in an order that reads shards in a row: runs of 32 windows are shuffled, then windows in a buffer.

    Every window comes once an epoch, in one worker of one rank; ranks may differ by a run. Call `set_epoch` before an
    epoch for another order.

    Args:
        archive, frames, stride, subjects, cached_blocks: as for `ArchiveDataset`.
        seed: of the order; the same on all ranks.
        buffer: windows to shuffle among; 1 keeps the order within a run.
        rank, world_size: which part of the windows; those of torch.distributed where it runs.
    """

    def __init__(
        self,
        archive: Archive,
        frames: int = 300,
        stride: int | None = None,
        subjects: Sequence[str] | None = None,
        cached_blocks: int = 4,
        seed: int = 0,
        buffer: int = 256,
        rank: int | None = None,
        world_size: int | None = None,
    ):
        self._windows = _Windows(archive, frames, stride, subjects, cached_blocks)
        parallel = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.rank = rank if rank is not None else torch.distributed.get_rank() if parallel else 0
        self.world_size = (
            world_size if world_size is not None else torch.distributed.get_world_size() if parallel else 1
        )
        if not 0 <= self.rank < self.world_size or buffer < 1:
            raise ValueError(
                f"rank must lie below world_size and buffer be at least 1, got {self.rank}, {self.world_size}, {buffer}"
            )
        self.seed, self.buffer, self.epoch = seed, buffer, 0

    def set_epoch(self, epoch: int) -> None:
        """Which order comes next."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[KinematicsWindow]:
        places, worker = self._windows.places, get_worker_info()
        share, shares = (0, 1) if worker is None else (worker.id, worker.num_workers)
        share, shares = self.rank * shares + share, self.world_size * shares
        runs = np.random.default_rng([self.seed, self.epoch]).permutation(-(-len(places) // _UNIT))
        rng = np.random.default_rng([self.seed, self.epoch, share])
        waiting: list[tuple[str, int]] = []
        held: list[KinematicsWindow] = []
        for run in runs[share::shares]:
            waiting = places[run * _UNIT : (run + 1) * _UNIT]
            for place in waiting:
                held.append(self._windows.read(place))
                if len(held) >= self.buffer:
                    yield held.pop(int(rng.integers(len(held))))
        while held:
            yield held.pop(int(rng.integers(len(held))))


class ViewCollator:
    """Makes a batch of windows into paired views, all windows at once.

    Args:
        template: placements, at any height; each window's lever arms are scaled to its own body.
        options: mounting, noise and attachment; the paper's when left out.
        views: so many independent views of each window.
        seed: of all draws; workers of a DataLoader draw differently from it.
        device: where to compute; a GPU needs a DataLoader without workers, or a call in the training step.
    """

    def __init__(
        self,
        template: SurfaceTemplate,
        options: ViewOptions | None = None,
        views: int = 2,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ):
        if views < 1:
            raise ValueError(f"views must be at least 1, got {views}")
        self.template, self.options, self.views = template, options or ViewOptions(), views
        self.seed, self.device = seed, torch.device(device)
        self._generator: torch.Generator | None = None

    def __getstate__(self) -> dict:
        return {**vars(self), "_generator": None}  # a generator cannot be sent to a worker

    def __call__(self, windows: Sequence[KinematicsWindow]) -> ViewBatch:
        lengths = {window.terms.shape[1] for window in windows}
        if len(lengths) != 1:
            raise ValueError(f"windows of a batch must be equally long, got {sorted(lengths)} frames")
        if self._generator is None:
            worker = get_worker_info()
            # the worker's own seed differs by epoch and worker
            seed = self.seed if worker is None else (self.seed * 1_000_003 + worker.seed) % 2**63
            self._generator = torch.Generator(self.device).manual_seed(seed)
        terms = torch.stack([window.terms for window in windows]).to(self.device)
        scale = torch.tensor([window.height / self.template.height for window in windows], device=self.device)
        views = window_views(terms, scale, self.template, self._generator, self.options, self.views)
        return ViewBatch(views, tuple(windows))


@torch.no_grad()
def window_views(
    terms: torch.Tensor,
    scale: torch.Tensor,
    template: SurfaceTemplate,
    generator: torch.Generator,
    options: ViewOptions | None = None,
    views: int = 1,
) -> torch.Tensor:
    """Independent views of every window: what `sample_views` draws and gives, from stacked terms in one product.

    A placement with lever arm `r` and axes `S` is linear in the 15 terms, so the signals of a segment are
    `(T, 15) @ (15, 6 views)` and the terms are read once. Soft attachment and wobble go through `sample_views` itself.

    Args:
        terms: `(B, 23, T, 15)`, segments first.
        scale: `(B,)` body height over the template's.
        template, generator, options: as for `sample_views`; without noise the same generator gives its views in turn.
        views: how many.

    Returns:
        `(views, B, T, 23, 6)` m/s² and rad/s.

    Raises:
        ValueError: terms of a wrong shape.
    """
    options = options or ViewOptions()
    if terms.ndim != 4 or terms.shape[1] != 23 or terms.shape[3] != 15 or scale.shape != terms.shape[:1]:
        raise ValueError(f"terms and scale must be (B, 23, T, 15) and (B,), got {terms.shape} and {scale.shape}")
    if options.soft_attachment > 0 or options.wobble > 0 or options.mounting == "joint":
        force, lever, omega = terms.transpose(1, 2).split([3, 9, 3], dim=-1)
        lever = lever.unflatten(-1, (3, 3)) * scale[:, None, None, None, None]
        return torch.stack([sample_views(force, lever, omega, template, generator, options) for _ in range(views)])
    drawn = [_placement_matrix(terms, scale, template, generator, options) for _ in range(views)]
    signals = terms @ torch.cat(drawn, dim=-1)
    signals = signals.unflatten(-1, (views, 6)).permute(3, 0, 2, 1, 4)
    if not options.noise:
        return signals.contiguous()
    return torch.stack([add_noise(view, options.noise, generator, options.frame_rate) for view in signals])


def _placement_matrix(terms, scale, template, generator, options) -> torch.Tensor:
    """`(B, 23, 15, 6)` from terms to the signals of one drawn placement per segment."""
    batch, nodes = terms.shape[:2]
    segments = list(range(nodes))
    offset, surface = pick_candidates(template, segments, batch, generator, options.pocket)
    if options.belt > 0:
        surface = upright_frames(surface, segments, generator, options.belt)
    frame = (surface @ draw_mountings(batch, nodes, generator, options)).to(terms)
    offset = offset.to(terms) * scale.to(terms)[:, None, None]
    matrix = terms.new_zeros(batch, nodes, 15, 6)
    matrix[..., :3, :3] = matrix[..., 12:, 3:] = frame
    # lever entry (i, k) counts r_k along axis i
    matrix[..., 3:12, :3] = (frame[..., None, :] * offset[..., None, :, None]).flatten(2, 3)
    return matrix
