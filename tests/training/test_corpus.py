"""The corpus on disk against direct simulation; interrupted, damaged and foreign folders."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from anymo_hf.motion.procedural import HELD_OUT_SEED, simulate_activity
from anymo_hf.simulation.archive import read_manifest, simulate_archive, verify_archive, writer
from anymo_hf.simulation.archive.clips import Clip
from anymo_hf.simulation.archive.codec import ACCELERATION_BOUND
from anymo_hf.simulation.kinematics import segment_kinematics
from anymo_hf.training.build_corpus import build_corpus
from anymo_hf.training.corpus import MotionCorpus, corpus_texts, read_texts

ACTIVITIES = ["walking", "sitting", "rope_jumping"]
SMALL = {"seeds": 2, "frames": 120, "activities": ACTIVITIES, "workers": 1, "progress": False}


def bytes_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / "corpus"
    assert build_corpus(folder, **SMALL) == 6
    return folder


@pytest.fixture
def copy(built, tmp_path):
    return shutil.copytree(built, tmp_path / "corpus")


def test_reading_gives_the_terms_of_the_shards_in_half_precision(built):
    corpus = MotionCorpus(built)
    assert [clip.name for clip in corpus.clips] == [f"{name}-{seed}" for name in sorted(ACTIVITIES) for seed in (0, 1)]
    rows, starts, frames = [5, 0, 3], [10, 0, 56], 64
    parts = corpus.read(rows, starts, frames)
    assert parts.shape == (3, 23, 15, 64) and parts.dtype == torch.float32
    for place, (row, start) in enumerate(zip(rows, starts, strict=True)):
        stored = corpus.archive.shard(f"procedural/{corpus.clips[row].name}").terms(start, start + frames)
        wanted = torch.from_numpy(np.float32(np.float16(stored.transpose(1, 2, 0))))
        torch.testing.assert_close(parts[place], wanted, rtol=0, atol=0)


def test_reading_equals_direct_kinematics_as_far_as_the_archive_stores_them(built):
    corpus = MotionCorpus(built)
    for row, clip in enumerate(corpus.clips):
        name, seed = clip.name.rsplit("-", 1)
        terms = segment_kinematics(simulate_activity(name, int(seed), duration=2.0))
        lever = terms.lever.reshape(-1, 23, 9)
        direct = np.concatenate([terms.specific_force, lever, terms.angular_velocity], axis=-1).transpose(1, 2, 0)
        error = corpus.read([row], [0], 120)[0].numpy() - direct
        # half precision keeps 11 bits; the rest is the codec's
        least = np.repeat([0.04, 0.15, 0.004], [3, 9, 3])[:, None]
        assert (np.abs(error) <= least + np.abs(direct) * 2.0**-11).all()
        assert np.sqrt((error[:, :3] ** 2).sum(1).mean(-1)).max() < ACCELERATION_BOUND


def test_words_of_a_clip_are_those_of_the_motion(built):
    clip = next(clip for clip in MotionCorpus(built).clips if clip.name == "walking-0")
    motion = simulate_activity("walking", 0, duration=2.0)
    assert clip.narrations == tuple(dict.fromkeys(item.text for item in motion.narrations)) and clip.narrations
    assert clip.source == "procedural" and clip.activity == "walking" and "walking" in clip.label_phrases


def test_an_interrupted_build_goes_on_and_keeps_finished_recordings(built, tmp_path, monkeypatch):
    folder, made = tmp_path / "corpus", []
    make = writer._make_shards

    def stop_at_the_third(task):
        if len(made) == 2:
            (folder / "recordings/procedural/.half.parquet.part").write_bytes(
                b"x"
            )  # what a killed worker leaves behind
            raise KeyboardInterrupt
        made.append(task[1].name)
        return make(task)

    monkeypatch.setattr(writer, "_make_shards", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        build_corpus(folder, **SMALL)
    with pytest.raises(OSError, match=r"manifest\.json is missing.*make_corpus.*goes on"):
        MotionCorpus(folder)
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    assert len(kept) == 2
    monkeypatch.setattr(writer, "_make_shards", lambda task: (made.append(task[1].name), make(task))[1])
    assert build_corpus(folder, **SMALL) == 6
    assert len(made) == len(set(made)) == 6
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert bytes_of(folder) == bytes_of(built)


def test_a_second_call_makes_nothing(copy, monkeypatch):
    monkeypatch.setattr(writer, "_make_shards", None)
    assert build_corpus(copy, **SMALL) == 6


def test_more_seeds_add_to_what_is_there(copy):
    before = bytes_of(copy)
    assert build_corpus(copy, **(SMALL | {"seeds": 4})) == 12
    after = bytes_of(copy)
    for table in ("manifest.json", "clips.jsonl"):
        assert before.pop(Path(table)) != after.pop(Path(table))
    assert all(after[path] == content for path, content in before.items()) and len(after) == 2 * len(before) - 1


def test_recordings_of_another_corpus_are_refused(copy):
    with pytest.raises(ValueError, match="another archive .*rope_jumping-1"):
        build_corpus(copy, **(SMALL | {"seeds": 1}))
    assert len(MotionCorpus(copy)) == 6


def test_another_recipe_makes_the_shards_again(copy):
    assert build_corpus(copy, **(SMALL | {"frames": 150})) == 6
    assert MotionCorpus(copy).frames == 150


def jobs_until_the_system_ends_one(make, jobs, engine, num_proc):
    """Makes the first recording; then its workers are gone, as when the system runs out of memory."""
    yield 0, make(jobs[0])
    raise ChildProcessError("the system ended a process")


def test_a_killed_worker_is_named_and_finished_recordings_are_kept(built, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "run_jobs", jobs_until_the_system_ends_one)
    folder = tmp_path / "corpus"
    with pytest.raises(OSError, match="was killed.*--workers 2.*are kept: run the same command again"):
        build_corpus(folder, **SMALL | {"workers": 2})
    assert len(list(folder.rglob("*.parquet"))) == 1
    monkeypatch.undo()
    assert build_corpus(folder, **SMALL) == 6
    assert bytes_of(folder) == bytes_of(built)


@pytest.mark.slow
def test_worker_processes_give_the_same_bytes(built, tmp_path):
    folder = tmp_path / "corpus"
    build_corpus(folder, **(SMALL | {"workers": 2}))
    assert bytes_of(folder) == bytes_of(built)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activities": ["walking", "flying"]}, "flying"),
        ({"seeds": 0}, "seeds"),
        ({"seeds": HELD_OUT_SEED + 1}, "seeds"),
        ({"frames": 100}, "frames"),
    ],
)
def test_bad_numbers_are_refused(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        build_corpus(tmp_path / "corpus", **(SMALL | change))
    assert not (tmp_path / "corpus").exists()


def test_missing_motion_is_refused(tmp_path):
    for motion, words in ((tmp_path / "absent", "no such folder"), (tmp_path, "no motion file")):
        with pytest.raises(OSError, match=words):
            build_corpus(tmp_path / "corpus", **SMALL, motion=motion)


def test_a_folder_without_a_corpus_names_the_command(tmp_path):
    with pytest.raises(OSError, match="make_corpus"):
        MotionCorpus(tmp_path)


def test_a_corpus_of_the_first_edition_is_refused_with_what_to_do(tmp_path):
    shard = tmp_path / "simulated-00000"
    shard.mkdir()
    (shard / "recipe.json").write_text("{}")
    with pytest.raises(OSError, match=r"manifest\.json is missing.*make_corpus"):
        MotionCorpus(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"format": "anymo-archive", "version": 1, "kind": "corpus"}))
    with pytest.raises(ValueError, match="version is 1.*make it again"):
        MotionCorpus(tmp_path)


def test_a_damaged_table_of_words_is_refused(copy):
    path = copy / "clips.jsonl"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(OSError, match=r"clips\.jsonl is cut off"):
        MotionCorpus(copy)


def test_the_manifest_covers_every_file_and_what_is_altered_is_made_again(copy):
    assert verify_archive(copy) == []
    manifest = read_manifest(copy)
    assert manifest.kind == "kinematics" and manifest.seconds == 6 * 2.0
    path = copy / "recordings/procedural/walking-1.parquet"
    path.write_bytes(path.read_bytes()[:-3])
    assert len(verify_archive(copy)) == 1 and "walking-1.parquet is cut off" in verify_archive(copy)[0]
    assert build_corpus(copy, **SMALL) == 6 and verify_archive(copy) == []


def test_identity_names_the_content(built, tmp_path):
    other = tmp_path / "other"
    build_corpus(other, **(SMALL | {"seeds": 1}))
    assert MotionCorpus(built).identity() == MotionCorpus(built).identity() != MotionCorpus(other).identity()


def test_texts_are_normalised_and_come_once():
    clips = [
        Clip("a-0", "procedural", "a", "Walking", ("walking", "A  Walk"), ("They walk.",)),
        Clip("b-0", "bvh", narrations=("they walk.", "They stop.")),
    ]
    assert corpus_texts(clips, ["a walk", " ", "A run"]) == ["walking", "a walk", "they walk.", "they stop.", "a run"]


def test_texts_file(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("one line\n\n  another \n", encoding="utf-8")
    assert read_texts(path) == ["one line", "another"]
    with pytest.raises(OSError, match="one sentence a line"):
        read_texts(tmp_path / "absent.txt")


def test_any_archive_is_a_corpus_of_clips_with_words(tmp_path):
    simulate_archive(tmp_path / "a", procedural=1, seconds=13.0, activities=ACTIVITIES, progress=False)
    corpus = MotionCorpus(tmp_path / "a")
    assert (len(corpus), corpus.frames) == (6, 360)  # two of six seconds in each; the last second is left out
    first, second = (clip for clip in corpus.clips if clip.activity == "walking")
    assert (first.name, first.start, second.name, second.start) == ("walking-0-0", 0, "walking-0-1", 360)
    assert first.narrations == second.narrations and "walking" in first.label_phrases
    stored = corpus.archive.shard("procedural/walking-0").terms(700, 720)  # across two blocks' border and back
    row = corpus.clips.index(second)
    wanted = np.float32(np.float16(stored.transpose(1, 2, 0)))
    np.testing.assert_array_equal(corpus.read([row], [340], 20)[0].numpy(), wanted)
    assert len(MotionCorpus(tmp_path / "a", 120)) == 3 * 6
    with pytest.raises(OSError, match="no clips of 900 frames, the longest has 780"):
        MotionCorpus(tmp_path / "a", 900)


def test_an_archive_at_another_rate_is_refused(tmp_path):
    simulate_archive(tmp_path, procedural=1, seconds=3.0, activities=["walking"], progress=False, frame_rate=50.0)
    with pytest.raises(ValueError, match="frames at 50 Hz, training needs 60"):
        MotionCorpus(tmp_path)


def test_a_stage_that_learns_words_says_what_is_missing_and_how_to_give_it(tmp_path, built):
    (tmp_path / "motion").mkdir()
    (tmp_path / "motion" / "unnamed.bvh").write_text("read by the function below")
    simulate_archive(tmp_path / "a", tmp_path / "motion", read=someone_unnamed, progress=False)
    corpus = MotionCorpus(tmp_path / "a")
    assert [(clip.label, clip.narrations) for clip in corpus.clips] == [("", ())]
    with pytest.raises(ValueError, match="none of its 1 clips has a label or a narration.*--nymeria DIR --annotations"):
        corpus.check_words("the language stage")
    MotionCorpus(built).check_words("the language stage")


def someone_unnamed(path):
    """Motion without words."""
    return replace(simulate_activity("walking", 0, 3.0), narrations=[], source="unknown")
