"""Windows of an archive for training, and paired placement views sampled from a batch of them.

archive = Archive("DIR")
loader = DataLoader(ArchiveDataset(archive), batch_size=64, shuffle=True, collate_fn=ViewCollator(archive.template))
for batch in loader:
    batch.views  # (2, 64, 300, 23, 6): two views of the same motion, each with its own placements
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.utils.data import Dataset, get_worker_info

from ..surface import SurfaceTemplate
from ..views import ViewOptions, sample_views
from .decoded import DecodedTerms
from .reader import Archive
from .shard import RecordingInfo


@dataclass(frozen=True)
class KinematicsWindow:
    """Some frames of one recording.

    Args:
        terms: `(23, 15, T)` float32: force (m/s²), lever (1/s²) and angular velocity (rad/s), see `sample_views`.
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


class ArchiveDataset(Dataset):
    """Windows by number, read from `DecodedTerms`: in half precision, decoded by whoever reads a recording first.

    Args:
        archive: where from.
        frames: length of a window.
        stride: frames from one window to the next; without it they do not overlap.
        subjects: only windows of these people.

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
        self._terms = DecodedTerms(archive)
        self._known: dict[str, RecordingInfo] = {}

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> KinematicsWindow:
        name, start = self.places[index]
        if name not in self._known:
            self._known[name] = self.archive.shard(name).info
        info, stop = self._known[name], start + self.frames
        terms = self._terms.read(name, start, stop).float()
        low, high = start / info.frame_rate, stop / info.frame_rate
        texts = tuple(entry.text for entry in info.narrations if entry.start < high and entry.end > low)
        return KinematicsWindow(terms, info.height, name, info.subject, start, texts)


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
        lengths = {window.terms.shape[2] for window in windows}
        if len(lengths) != 1:
            raise ValueError(f"windows of a batch must be equally long, got {sorted(lengths)} frames")
        if self._generator is None:
            worker = get_worker_info()
            # the worker's own seed differs by epoch and worker
            seed = self.seed if worker is None else (self.seed * 1_000_003 + worker.seed) % 2**63
            self._generator = torch.Generator(self.device).manual_seed(seed)
        terms = torch.stack([window.terms for window in windows]).to(self.device)
        scale = torch.tensor([window.height / self.template.height for window in windows], device=self.device)
        views = sample_views(
            terms, self.template, self._generator, self.options, scale=scale, views=self.views
        )  # fmt: skip
        return ViewBatch(views, tuple(windows))
