"""One recording on disk: a Parquet file of pose blocks, one row group each, with what is known about the recording."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...atomic_write import replacing
from ...motion.body_motion import BodyMotion, Narration
from ...refusals import refusing
from ..kinematics import SegmentKinematics, segment_kinematics
from .clips import Clip, clip_of
from .codec import decode_correction, decode_poses, encode_correction, encode_poses
from .track import Frames, Poses, frame_blocks, pose_track, split_terms, stacked_terms

VERSION = 2
BLOCK_FRAMES = 600
_KEY = b"anymo"
_SCHEMA = pa.schema(
    [("start", pa.int64()), ("frames", pa.int32()), ("poses", pa.binary()), ("correction", pa.binary())]
)
# Frames on either side that central differences and the two neighbouring rotation logarithms look at.
_REACH = 2
_MEND = "delete it and run the same `anymo simulate` again"


@dataclass(frozen=True)
class RecordingInfo:
    """What a shard says about its recording.

    Args:
        name: path within the archive, without the suffix.
        subject: who moves; the name where nobody says.
        source: where the motion came from.
        source_rate: frames per second of the source.
        frame_rate: of the stored frames.
        height: body height in metres, for `SurfaceTemplate.scaled`.
        narrations: sentences with times in seconds.
        clips: words of some of its frames.
        made_from: file name of the source, or the activity and seed.
        source_sha256: of the source file.
        recipe: what decides the stored bytes besides the source.
        parts: of so many recordings of the same source this is one.
        frames: stored frames.
    """

    name: str
    subject: str
    source: str
    source_rate: float
    frame_rate: float
    height: float
    narrations: tuple[Narration, ...] = ()
    clips: tuple[Clip, ...] = ()
    made_from: str = ""
    source_sha256: str = ""
    recipe: dict = field(default_factory=dict)
    parts: int = 1
    frames: int = 0

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.frames / self.frame_rate


def write_shard(path: str | Path, pieces: Iterable[Poses], info: RecordingInfo) -> RecordingInfo:
    """Writes a recording block by block under a temporary name, then renames it.

    Memory is that of a few pieces and blocks, whatever the length. The same input gives the same bytes.

    Args:
        path: the shard, `*.parquet`.
        pieces: consecutive positions `(n, 23, 3)` and quaternions `(n, 23, 4)` at `info.source_rate`.
        info: all but `frames`, which is counted.

    Returns:
        `info` with `frames`.

    Raises:
        ValueError: pieces that `pose_track` or the codec refuse, or fewer than 3 frames.
    """
    start = 0
    with replacing(path) as draft, pq.ParquetWriter(
        draft, _SCHEMA, compression="zstd", compression_level=9, use_dictionary=False,
        write_statistics=False, write_page_checksum=True, store_schema=False,
    ) as writer:  # fmt: skip
        blocks = frame_blocks(pose_track(pieces, info.source_rate, info.frame_rate), BLOCK_FRAMES)
        for frames, poses, correction in _encoded(blocks, info.frame_rate):
            columns = [[start], [frames], [poses], [correction]]
            writer.write_table(pa.table(columns, schema=_SCHEMA))
            start += frames
        if start < 3:
            raise ValueError(f"a recording needs 3 frames or more at {info.frame_rate:g} Hz, got {start}")
        info = RecordingInfo(**{**vars(info), "frames": start})
        text = json.dumps({"version": VERSION, **asdict(info)}, ensure_ascii=False, sort_keys=True)
        writer.add_key_value_metadata({_KEY.decode(): text})
    return info


def _encoded(blocks: Iterable[Frames], rate: float) -> Iterator[tuple[int, bytes, bytes | None]]:
    """Frames, poses and correction of each block; a correction needs the poses of both neighbours as stored."""
    before: tuple[np.ndarray, np.ndarray] | None = None
    current: tuple[Frames, bytes] | None = None
    for following in _with_end(blocks):
        if current is not None:
            block, poses = current
            correction, stored = None, None
            if block.terms is not None:
                stored = decode_poses(poses, len(block))
                after = None if following is None else decode_poses(following[1], len(following[0]))
                predicted = _terms_between(before, stored, after, rate)
                correction = encode_correction(block.terms, predicted)
            yield len(block), poses, correction
            before = stored
        current = following


def _with_end(blocks: Iterable[Frames]) -> Iterator[tuple[Frames, bytes] | None]:
    for block in blocks:
        yield block, encode_poses(block.positions, block.orientations)
    yield None


def _terms_between(before, stored, after, rate: float) -> np.ndarray:
    """Terms `(n, 23, 15)` of stored poses by differences at `rate`, seeing a little of the neighbours."""
    parts = [stored]
    lead = 0
    if before is not None:
        lead = min(_REACH, len(before[0]))
        parts.insert(0, tuple(part[-lead:] for part in before))
    if after is not None:
        parts.append(tuple(part[:_REACH] for part in after))
    positions, orientations = (np.concatenate([part[axis] for part in parts]) for axis in range(2))
    if len(positions) < 3:  # two frames of a block at the end: only with a neighbour
        raise ValueError("a recording needs 3 frames or more")
    terms = stacked_terms(segment_kinematics(BodyMotion(rate, positions, orientations), rate))
    return terms[lead : lead + len(stored[0])]


class Shard:
    """Reads one recording.

    Args:
        path: the shard.
        cached_blocks: decoded blocks to keep, for neighbouring windows.

    Raises:
        OSError: no such file, or one cut off or damaged.
        ValueError: another kind of Parquet file, or another version.
    """

    def __init__(self, path: str | Path, cached_blocks: int = 4):
        self.path = Path(path)
        with refusing(path, "shard of a motion archive", _MEND):
            self._open()
        self._cached = cached_blocks
        self._poses: OrderedDict[int, Poses] = OrderedDict()
        self._corrections: dict[int, np.ndarray | None] = {}

    def _open(self) -> None:
        path = self.path
        if not path.is_file():
            raise OSError(f"{path} is missing; run the same `anymo simulate` again")
        try:
            self._file = pq.ParquetFile(self.path, page_checksum_verification=True)
            text = (self._file.metadata.metadata or {}).get(_KEY)
        except (pa.ArrowException, OSError) as error:
            raise OSError(f"{path} is cut off or damaged ({error}); {_MEND}") from error
        if text is None or self._file.schema_arrow.names != _SCHEMA.names:
            raise ValueError(f"{path} is no shard of a motion archive (key {_KEY.decode()!r} is missing); take it away")
        try:
            fields = json.loads(text)
            version = fields.pop("version", None)
            if version != VERSION:
                raise ValueError(f"{path}: version is {version}, this package reads {VERSION}; simulate it again")
            fields["narrations"] = tuple(Narration(**entry) for entry in fields["narrations"])
            fields["clips"] = tuple(clip_of(entry) for entry in fields["clips"])
            self.info = RecordingInfo(**fields)
        except (TypeError, KeyError, AttributeError, json.JSONDecodeError) as error:
            raise OSError(f"{path}: key {_KEY.decode()!r} is damaged ({error}); {_MEND}") from error
        blocks = -(-self.info.frames // BLOCK_FRAMES)
        if self._file.num_row_groups != blocks:
            raise OSError(f"{path} has {self._file.num_row_groups} blocks, {blocks} are needed; {_MEND}")

    def poses(self, start: int = 0, stop: int | None = None) -> BodyMotion:
        """Frames `[start, stop)` as a motion; narrations come along as they are, in seconds of the whole recording."""
        start, stop = self._range(start, stop)
        parts = [self._block(index)[0] for index in range(start // BLOCK_FRAMES, -(-stop // BLOCK_FRAMES))]
        shift = start // BLOCK_FRAMES * BLOCK_FRAMES
        positions, orientations = (
            np.concatenate([part[axis] for part in parts])[start - shift : stop - shift] for axis in range(2)
        )
        info = self.info
        return BodyMotion(
            info.frame_rate, positions, orientations, list(info.narrations), info.subject, info.name, info.source
        )

    def terms(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Force, lever and angular velocity of frames `[start, stop)` side by side, `(n, 23, 15)` float64.

        They do not depend on where the range is cut.
        """
        start, stop = self._range(start, stop)
        # 3 frames at least, and what the differences look at
        low, high = max(0, min(start - _REACH, self.info.frames - 3)), min(self.info.frames, max(stop + _REACH, 3))
        motion = self.poses(low, high)
        terms = stacked_terms(segment_kinematics(motion, motion.frame_rate))[start - low : stop - low]
        for index in range(start // BLOCK_FRAMES, -(-stop // BLOCK_FRAMES)):
            correction = self._block(index)[1]
            if correction is not None:
                first = index * BLOCK_FRAMES
                rows = slice(max(start, first), min(stop, first + len(correction)))
                terms[rows.start - start : rows.stop - start] += correction[rows.start - first : rows.stop - first]
        return terms

    def kinematics(self, start: int = 0, stop: int | None = None) -> SegmentKinematics:
        """The same as `SegmentKinematics`, for `placement_signals` and `sample_views`."""
        return split_terms(self.terms(start, stop), self.info.frame_rate)

    def _range(self, start: int, stop: int | None) -> tuple[int, int]:
        stop = self.info.frames if stop is None else stop
        if not 0 <= start < stop <= self.info.frames:
            raise ValueError(f"{self.path} has frames 0..{self.info.frames}, asked for {start}..{stop}")
        return start, stop

    def _block(self, index: int) -> tuple[Poses, np.ndarray | None]:
        if index in self._poses:
            self._poses.move_to_end(index)
            return self._poses[index], self._corrections[index]
        try:
            row = self._file.read_row_group(index, use_threads=False).to_pylist()[0]
            frames = row["frames"]
            wanted = min(BLOCK_FRAMES, self.info.frames - index * BLOCK_FRAMES)
            if row["start"] != index * BLOCK_FRAMES or frames != wanted:
                raise ValueError(f"its frames are {frames} from {row['start']} on")
            poses = decode_poses(row["poses"], frames)
            correction = None if row["correction"] is None else decode_correction(row["correction"], frames)
        except (pa.ArrowException, OSError, ValueError, TypeError, IndexError) as error:
            raise OSError(f"{self.path}: block {index} is cut off or altered ({error}); {_MEND}") from error
        self._poses[index], self._corrections[index] = poses, correction
        while len(self._poses) > self._cached:
            old, _ = self._poses.popitem(last=False)
            del self._corrections[old]
        return poses, correction
