"""Captured clips: windows of possible motion, words that are true of them, and shards that name a bad file."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from anymo_hf.motion.body_motion import BodyMotion
from anymo_hf.motion.captured_names import (
    _BANDAI_NAMCO,
    _CMU,
    _CMU_ICLONE,
    _HDM05,
    _IDLE,
    _STYLES,
    activity_as_moved,
    captured_name,
)
from anymo_hf.motion.motion_sources import SOURCES
from anymo_hf.motion.procedural import ACTIVITIES
from anymo_hf.nymeria.sequence import read_captured
from anymo_hf.simulation.archive import verify_archive
from anymo_hf.simulation.kinematics import segment_kinematics
from anymo_hf.training import captured_clips as captured_module
from anymo_hf.training.build_corpus import build_corpus
from anymo_hf.training.captured_clips import captured_recordings
from anymo_hf.training.corpus import MotionCorpus

CHANNELS = "CHANNELS 3 Zrotation Xrotation Yrotation"
LIMBS = {
    "Shoulder": (0.1, 0.4, 0), "Arm": (0.1, 0, 0), "ForeArm": (0.28, 0, 0), "Hand": (0.25, 0, 0),
    "UpLeg": (0.09, -0.05, 0), "Leg": (0, -0.43, 0), "Foot": (0, -0.43, 0), "ToeBase": (0, -0.06, 0.14),
}  # fmt: skip


def walk_file(path, seconds=7.0, rate=30, speed=1.2, jump=None, turn=0.0):
    """A BVH in metres, y up, of a stiff body that glides ahead; `jump` is a second at which it is thrown 3 m aside."""
    lines = ["HIERARCHY", "ROOT Hips {", "OFFSET 0 0 0", "CHANNELS 6 Xposition Yposition Zposition " + CHANNELS[11:]]
    lines += ["JOINT Spine {", "OFFSET 0 0.2 0", CHANNELS, "JOINT Head {", "OFFSET 0 0.4 0", CHANNELS, "}"]

    def chain(side, names):
        for name in names:
            x, y, z = LIMBS[name]
            lines.extend([f"JOINT {side}{name} {{", f"OFFSET {x if side == 'Left' else -x} {y} {z}", CHANNELS])
        lines.extend(["}"] * len(names))

    for side in ("Left", "Right"):
        chain(side, ("Shoulder", "Arm", "ForeArm", "Hand"))
    lines.append("}")
    for side in ("Left", "Right"):
        chain(side, ("UpLeg", "Leg", "Foot", "ToeBase"))
    frames = round(seconds * rate)
    lines += ["}", "MOTION", f"Frames: {frames}", f"Frame Time: {1 / rate:.7f}"]
    count = sum(line == CHANNELS for line in lines)
    for frame in range(frames):
        aside = 3.0 if jump is not None and frame >= jump * rate else 0.0
        root = [aside, 0.95, speed * frame / rate, 0, 0, turn * frame / frames]
        lines.append(" ".join(f"{value:.6f}" for value in root + [0.0] * (3 * count)))
    path.write_text("\n".join(lines) + "\n")
    return path


def clips(path, frames=180):
    return [clip for recording in captured_recordings(path, frames) for clip in recording.clips]


def test_windows_do_not_overlap_and_a_short_rest_is_left_out(tmp_path):
    path = walk_file(tmp_path / "dataset-2_walk_tired_001.bvh", seconds=7.0)
    (recording,) = captured_recordings(path, 180)
    first, second = recording.clips
    assert [first.name, second.name] == ["dataset-2_walk_tired_001-0", "dataset-2_walk_tired_001-1"]
    assert [(clip.start, clip.frames) for clip in recording.clips] == [(0, 180), (180, 180)]
    assert isinstance(recording.motion, BodyMotion) and recording.motion.source == first.source == "bandai_namco"
    assert len(recording.motion.positions) == 210
    assert captured_recordings(walk_file(tmp_path / "dataset-2_walk_tired_002.bvh", seconds=2.9), 180) == []


def test_a_known_name_gives_activity_label_phrases_and_sentences(tmp_path):
    (clip,) = clips(walk_file(tmp_path / "dataset-2_walk_not-confident_001.bvh", seconds=3.2))
    assert (clip.source, clip.activity, clip.label) == ("bandai_namco", "walking", ACTIVITIES["walking"].label)
    assert "walking" in clip.label_phrases and len(clip.narrations) >= 7
    assert "a person walks in a timid style" in clip.narrations
    again = clips(walk_file(tmp_path / "dataset-2_walk_not-confident_001.bvh", seconds=3.2))
    assert again == [clip]


def test_an_action_without_activity_keeps_its_sentence_and_an_unknown_name_has_no_words(tmp_path):
    (bow,) = clips(walk_file(tmp_path / "dataset-1_bow_old_001.bvh", 3.2, speed=0))
    assert (bow.activity, bow.label, bow.label_phrases) == ("", "", ())
    assert "a person bows in an elderly style" in bow.narrations
    (mine,) = clips(walk_file(tmp_path / "my recording.bvh", 3.2))
    assert (mine.source, mine.activity, mine.narrations) == ("bvh", "", ())


def test_how_the_body_moved_narrows_what_the_name_says(tmp_path):
    found = {}
    for number, (content, speed) in enumerate(
        [("walk", 0.5), ("walk", 1.2), ("walk", 1.9), ("run", 2.0), ("run", 3.5)]
    ):
        (clip,) = clips(walk_file(tmp_path / f"dataset-2_{content}_normal_{number:03d}.bvh", 3.2, speed=speed))
        found[content, speed] = clip.activity
    assert list(found.values()) == ["walking_slow", "walking", "walking_fast", "jogging", "running"]
    assert activity_as_moved("wave", 0.0, 0.0) == "wave"


def test_a_turn_is_named_with_its_side_and_only_where_the_window_turns(tmp_path):
    (left,) = clips(walk_file(tmp_path / "dataset-2_walk-turn-left_normal_001.bvh", 3.2, turn=90))
    assert left.activity == "walking_turning"
    words = set(re.findall(r"\w+", " ".join([*left.label_phrases, *left.narrations])))
    assert "left" in words and not {"right", "circle"} & words
    (straight,) = clips(walk_file(tmp_path / "dataset-2_walk-turn-left_normal_002.bvh", 3.2, turn=10))
    assert straight.activity == "walking"
    assert not any("turn" in text or "left" in text for text in straight.narrations)


def test_no_window_spans_a_jump_of_the_capture(tmp_path):
    recordings = captured_recordings(walk_file(tmp_path / "train_walking_1.bvh", 8.0, jump=3.5), 180)
    assert [clip.name for recording in recordings for clip in recording.clips] == [
        "train_walking_1-0", "train_walking_1-1",
    ]  # fmt: skip
    for recording in recordings:
        motion, (clip,) = recording.motion, recording.clips
        assert clip.source == motion.source == "cmu_bvh"
        assert np.linalg.norm(np.diff(motion.positions[:, 0], axis=0), axis=-1).max() * motion.frame_rate < 2
    assert [round(recording.motion.positions[0, 0, 1]) for recording in recordings] == [0, 3]


def test_every_activity_of_a_name_exists_and_nobody_mixes_sides():
    entries = [*_BANDAI_NAMCO.values(), *_CMU.values(), *_HDM05.values(), *_CMU_ICLONE.values(), _IDLE]
    for activity, verb, details, untrue in entries:
        assert activity is None or activity in ACTIVITIES
        assert not set(verb.split()) & set(untrue)
        for side, other in (("left", "right"), ("right", "left")):
            if side in details.values():
                assert other in untrue
    assert captured_name("dataset-2_flying_normal_001") is None and captured_name("dataset-2_walk_odd_001") is None
    assert captured_name("walk") is None and captured_name("test_walking_7").activity == "walking"
    assert all(style == "" or style.split()[0] in ("a", "an") for style in _STYLES.values())


def test_the_corpus_holds_captured_clips_beside_simulated_ones(tmp_path):
    motion = tmp_path / "motion"
    motion.mkdir()
    for number in range(3):
        walk_file(motion / f"dataset-2_walk_normal_{number:03d}.bvh", 3.2)
    walk_file(motion / "short.bvh", 1.0)
    walk_file(motion / "train_walking_9.bvh", 8.0, jump=3.5)
    options = {"frames": 180, "activities": ["standing"], "workers": 1, "progress": False}
    assert build_corpus(tmp_path / "corpus", 1, motion=motion, **options) == 6
    walks = [f"motion/dataset-2_walk_normal_00{number}.bvh" for number in range(3)]
    jumped = [f"motion/train_walking_9.bvh/{part}" for part in range(2)]
    corpus = MotionCorpus(tmp_path / "corpus")
    assert corpus.archive.names == [*walks, *jumped, "procedural/standing-0"]
    assert [clip.source for clip in corpus.clips] == ["bandai_namco"] * 3 + ["cmu_bvh"] * 2 + ["procedural"]
    walk_file(motion / "train_walking_9.bvh", 3.5)  # mended: one stretch in place of two
    assert build_corpus(tmp_path / "corpus", 1, motion=motion, **options) == 5
    corpus = MotionCorpus(tmp_path / "corpus")
    assert corpus.archive.names == [*walks, "motion/train_walking_9.bvh", "procedural/standing-0"]
    assert verify_archive(tmp_path / "corpus") == []
    force, _, omega = corpus.read([0], [0], 180).split([3, 9, 3], dim=2)
    np.testing.assert_allclose(force[0, 0].T.numpy(), [[0, 0, 9.80665]] * 180, atol=0.01)  # glides evenly
    assert omega.abs().max() < 0.01


def test_a_bad_file_stops_the_build_and_is_named(tmp_path):
    motion = tmp_path / "motion"
    motion.mkdir()
    walk_file(motion / "a.bvh", 3.2)
    broken = walk_file(motion / "broken.bvh", 3.2)
    broken.write_text(broken.read_text()[:-400])
    with pytest.raises(ValueError, match=r"broken\.bvh, line \d+"):
        build_corpus(tmp_path / "corpus", 1, 180, ["standing"], motion, workers=1, progress=False)
    with pytest.raises(OSError, match="manifest.json is missing"):
        MotionCorpus(tmp_path / "corpus")
    build_corpus(tmp_path / "corpus", 1, 180, ["standing"], motion, workers=1, progress=False, skip_broken=True)
    corpus = MotionCorpus(tmp_path / "corpus")
    assert corpus.archive.names == ["motion/a.bvh", "procedural/standing-0"]
    assert list(corpus.archive.manifest.left_out) == ["broken.bvh"]


def test_fast_captures_are_smoothed_and_slow_ones_are_not(tmp_path, monkeypatch):
    seen = {}
    original = captured_module.low_passed

    def spy(motion, cutoff):
        seen[motion.frame_rate] = cutoff
        return original(motion, cutoff)

    monkeypatch.setattr(captured_module, "low_passed", spy)
    for rate in (30, 120):
        (recording,) = captured_recordings(walk_file(tmp_path / f"walk{rate}.bvh", 3.2, rate=rate), 180)
        assert recording.motion.frame_rate == rate
    assert seen == {120: 15.0}


def test_what_is_smoothed_before_it_is_stored_is_what_kinematics_smooth(tmp_path):
    path = walk_file(tmp_path / "walk.bvh", 3.2, rate=120, turn=200)
    (recording,) = captured_recordings(path, 180)
    one, other = segment_kinematics(recording.motion), segment_kinematics(read_captured(path), 60.0, 15.0)
    np.testing.assert_allclose(one.specific_force, other.specific_force, atol=1e-6)
    np.testing.assert_allclose(one.angular_velocity, other.angular_velocity, atol=1e-9)


@pytest.mark.parametrize(
    ("stem", "source", "activity", "sentence"),
    [
        (
            "dataset-1_wave-left-hand_old_003",
            "bandai_namco",
            "wave",
            "a person waves the left hand in an elderly style",
        ),
        ("train_washwindow_4", "cmu_bvh", "wiping", "a person washes a window"),
        ("001_01", "cmu_iclone", "jumping", "a person jumps forward and turns around"),
        ("005_14", "cmu_iclone", None, "a person dances"),
        ("007_12", "cmu_iclone", "walking", "a person walks"),
        ("HDM_mm_depositFloorR_019_120", "hdm05", None, "a person puts something on the floor with the right hand"),
        ("HDM_bd_jogLeftCircle4StepsRstart_003_120", "hdm05", "running", "a person jogs in a circle to the left"),
        ("HDM_tr_squat1Reps_010train_120", "hdm05", "squats", "a person squats"),
        ("003_genuine", "reactidle", "standing", "a person stands and shifts the weight a little"),
    ],
)
def test_every_source_has_words_and_a_licence(stem, source, activity, sentence):
    found = captured_name(stem)
    assert (found.source, found.activity) == (source, activity) and sentence in found.sentences
    assert SOURCES[source].title and SOURCES[source].licence and SOURCES[source].acknowledgement


def test_a_name_that_only_looks_like_one_says_nothing():
    for stem in ("HDM_mm_flying_001_120", "004_01", "01_01", "003_real", "dataset-2_walk_odd_001"):
        assert captured_name(stem) is None


@pytest.mark.mocap
def test_names_of_the_real_corpora_are_all_known():
    folder = Path(os.environ["ANYMO_MOTION"])
    files = [*folder.glob("bandai_namco/*.bvh"), *folder.glob("cmu_bvh/t*.bvh")]
    assert files and [path.name for path in files if captured_name(path.stem) is None] == []
