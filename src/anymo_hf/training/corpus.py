"""The motion corpus: an archive as equally long clips with words, read at random."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ..simulation.archive.clips import CLIPS, Clip, read_clips
from ..simulation.archive.decoded import DecodedTerms
from ..simulation.archive.reader import Archive
from .captured_clips import FRAME_RATE

WORDS = (
    "words come with simulated people (--procedural), with motion files whose names say what happens, with Nymeria's own "
    "narrations, or with annotated windows: training/make_corpus.py --nymeria DIR --annotations FILE"
)
LONGEST = 360  # frames of a clip where the archive names no length


class MotionCorpus:
    """Reads any archive of kinematics: one of training/make_corpus.py, or of `anymo simulate`.

    Clips are those that the archive lists; longer ones are cut into pieces that do not overlap, and a rest is left out.

    Args:
        folder: the archive.
        frames: length of a clip at 60 Hz; the archive's own when left out, six seconds at most where it has none.

    Raises:
        OSError: no archive in the folder, or no clip of that length.
        ValueError: another kind of archive, or a frame rate that is not 60 Hz.
    """

    def __init__(self, folder: str | Path, frames: int | None = None):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise OSError(f"no motion corpus in {folder}; make one with training/make_corpus.py or `anymo simulate`")
        self.archive = Archive(folder)
        manifest = self.archive.manifest
        if rates := {entry.frame_rate for entry in manifest.shards} - {FRAME_RATE}:
            raise ValueError(
                f"{folder} holds frames at {min(rates):g} Hz, training needs {FRAME_RATE:g}; make it again"
            )
        spans = [(name, clip, clip.frames or self.archive.entry(name).frames) for name, clip in read_clips(folder)]
        longest = max((length for *_, length in spans), default=0)
        self.frames = frames or manifest.recipe.get("clip_frames") or min(LONGEST, longest)
        self.clips: list[Clip] = []
        self._places: list[tuple[str, int]] = []
        for recording, clip, length in spans:
            length = min(length, self.archive.entry(recording).frames - clip.start)
            pieces = length // self.frames if self.frames else 0
            for piece in range(pieces):
                start = clip.start + piece * self.frames
                name = clip.name if pieces == 1 else f"{clip.name}-{piece}"
                self.clips.append(replace(clip, name=name, start=start, frames=self.frames))
                self._places.append((recording, start))
        if not self.clips:
            raise OSError(
                f"the corpus in {folder} has no clips of {self.frames} frames, the longest has {longest}; simulate longer "
                "recordings (--seconds)"
            )
        self._terms = DecodedTerms(self.archive)
        files = {entry.file: entry.sha256 for entry in (*manifest.shards, *manifest.tables)}
        content = "".join(files[file] for file in sorted(files) if file.startswith("recordings/") or file == CLIPS)
        digest = hashlib.sha256(content.encode()).hexdigest()[:16]
        self._identity = f"{len(self.clips)} clips of {self.frames} frames {digest}"

    def __len__(self) -> int:
        return len(self.clips)

    def check_words(self, stage: str) -> None:
        """ValueError where a stage that learns words would find none, with how to give them."""
        if not any(clip.label or clip.narrations for clip in self.clips):
            raise ValueError(
                f"{self.folder}: none of its {len(self.clips)} clips has a label or a narration, and {stage} needs words; "
                f"{WORDS}"
            )

    def identity(self) -> str:
        """Names the content, for fingerprints."""
        return self._identity

    def read(self, rows: Sequence[int] | np.ndarray, start: Sequence[int] | np.ndarray, frames: int) -> torch.Tensor:
        """Terms for `sample_views`, `(B, 23, 15, frames)` float32, of clips `rows` from frame `start` on."""
        out = torch.empty(len(rows), 23, 15, frames)
        for place, (row, first) in enumerate(zip(rows, start, strict=True)):
            recording, begin = self._places[row]
            out[place] = self._terms.read(recording, begin + int(first), begin + int(first) + frames)
        return out


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
