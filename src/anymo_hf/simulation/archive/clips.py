"""Words of an archive: which frames of a recording show what, as people and data sets say it.

A shard keeps the clips of its recording; `clips.jsonl` beside the shards lists those of all, so that training knows the
words without opening a shard.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ...motion.body_motion import BodyMotion
from ...motion.captured_names import CapturedName, activity_as_moved
from ...motion.seeds import seed_of

CLIPS = "clips.jsonl"


@dataclass(frozen=True)
class Clip:
    """Words of some frames of a recording.

    `activity` is a key of `ACTIVITIES`, or the AnyMo-180 label of an annotated window; empty where it is not known. The
    first of an annotated window's `narrations` is the person's, the others are augmentations. `start` and `frames` count
    frames of the archive; no `frames` means the whole recording.
    """

    name: str
    source: str
    activity: str = ""
    label: str = ""
    label_phrases: tuple[str, ...] = ()
    narrations: tuple[str, ...] = ()
    start: int = 0
    frames: int = 0


def clip_of(values: dict) -> Clip:
    """A clip from its JSON object; TypeError or KeyError for another one."""
    texts = {name: tuple(values[name]) for name in ("label_phrases", "narrations")}
    return Clip(**values | texts)


def procedural_clip(activity: str, seed: int, motion: BodyMotion) -> Clip:
    """Words of a simulated recording as a whole; the name that is shown stands first."""
    from ...motion.procedural import ACTIVITIES, further_phrases, label_phrases

    sentences = tuple(dict.fromkeys(item.text for item in motion.narrations))
    label = ACTIVITIES[activity].class_name
    phrases = (*label_phrases(activity), *further_phrases(activity))
    return Clip(f"{activity}-{seed}", "procedural", activity, label, phrases, sentences)


def captured_clip(motion: BodyMotion, name: CapturedName, clip: str) -> Clip:
    """Words of captured motion whose file name says what happens, as far as they are true of these frames.

    Sentences are drawn with the clip's name as the seed.
    """
    from ...motion.procedural import ACTIVITIES, compose_narrations, label_phrases

    if name.activity is None:
        return Clip(clip, name.source, narrations=name.sentences)
    pelvis = motion.positions[:, 0, :2]
    speed = float(np.linalg.norm(np.diff(pelvis, axis=0), axis=-1).mean() * motion.frame_rate)
    w, x, y, z = motion.orientations[:, 0].T
    heading = np.unwrap(np.arctan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z)))
    activity = activity_as_moved(name.activity, speed, float(np.degrees(heading[-1] - heading[0])))
    true = lambda texts: [text for text in texts if not set(re.findall(r"\w+", text)) & set(name.untrue)]  # noqa: E731
    # the direction of a turn is said only of a window that turns
    details = {key: value for key, value in name.details.items() if key != "direction" or activity == "walking_turning"}
    sentences = name.sentences if details == name.details else ()
    composed = compose_narrations(activity, details, np.random.default_rng(seed_of(clip)))
    narrations = tuple(dict.fromkeys([*true(composed), *sentences]))
    phrases = tuple(true(label_phrases(activity)))
    return Clip(clip, name.source, activity, ACTIVITIES[activity].class_name, phrases, narrations)


def narrated_clips(motion: BodyMotion, name: str, frame_rate: float) -> tuple[Clip, ...]:
    """A clip for each span of narrations of a motion, or one of the whole motion that has none."""
    spans: dict[tuple[int, int], list] = {}
    for item in motion.narrations:
        spans.setdefault((round(item.start * frame_rate), round(item.end * frame_rate)), []).append(item)
    clips = []
    for (start, stop), items in sorted(spans.items()):
        label = next((item.label for item in items if item.label), "") or ""
        texts = tuple(dict.fromkeys(item.text for item in items))
        phrases = (label,) if label else ()
        first = max(start, 0)
        if stop > first:
            clips.append(Clip(f"{name}-{len(clips)}", motion.source, label, label, phrases, texts, first, stop - first))
    return tuple(clips) or (Clip(name, motion.source),)


def clips_table(clips: Iterable[tuple[str, Clip]]) -> bytes:
    """What `clips.jsonl` holds: a line for each recording's clip."""
    rows = ({"recording": recording, **asdict(clip)} for recording, clip in clips)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def read_clips(folder: str | Path) -> list[tuple[str, Clip]]:
    """Recording and clip of every line of an archive's `clips.jsonl`.

    Raises:
        OSError: no such file.
        ValueError: a line that is no clip.
    """
    path = Path(folder) / CLIPS
    result = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                values = json.loads(line)
                result.append((values.pop("recording"), clip_of(values)))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"{path}, line {number}: no clip ({error}); make the archive again") from error
    return result
