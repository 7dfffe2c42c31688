"""The corpus on disk against direct simulation; interrupted, damaged and foreign folders."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from anymo_hf.motion.procedural import HELD_OUT_SEED, simulate_activity
from anymo_hf.simulation.archive.manifest import read_manifest, verify_archive
from anymo_hf.simulation.kinematics import segment_kinematics
from anymo_hf.training import corpus as corpus_module
from anymo_hf.training.corpus import Clip, MotionCorpus, build_corpus, corpus_texts, read_texts

ACTIVITIES = ["walking", "sitting", "rope_jumping"]
SMALL = {"seeds": 2, "frames": 120, "activities": ACTIVITIES, "workers": 1, "shard_clips": 2, "progress": False}


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


def test_reading_equals_direct_kinematics(built):
    corpus = MotionCorpus(built)
    assert [clip.name for clip in corpus.clips] == [f"{name}-{seed}" for seed in (0, 1) for name in ACTIVITIES]
    rows, starts, frames = [5, 0, 3], [10, 0, 56], 64
    parts = corpus.read(rows, starts, frames)
    assert parts.shape == (3, 23, 15, 64) and parts.dtype == torch.float32
    for place, (row, start) in enumerate(zip(rows, starts, strict=True)):
        name, seed = corpus.clips[row].name.rsplit("-", 1)
        terms = segment_kinematics(simulate_activity(name, int(seed), duration=2.0))
        lever = terms.lever.reshape(-1, 23, 9)
        direct = np.concatenate([terms.specific_force, lever, terms.angular_velocity], axis=-1).transpose(1, 2, 0)
        wanted = torch.from_numpy(np.float32(np.float16(direct[..., start : start + frames])))
        torch.testing.assert_close(parts[place], wanted, rtol=0, atol=0)


def test_words_of_a_clip_are_those_of_the_motion(built):
    clip = MotionCorpus(built).clips[0]
    motion = simulate_activity("walking", 0, duration=2.0)
    assert clip.narrations == tuple(dict.fromkeys(item.text for item in motion.narrations)) and clip.narrations
    assert clip.source == "procedural" and clip.activity == "walking" and "walking" in clip.label_phrases


def test_an_interrupted_build_goes_on_and_keeps_finished_shards(built, tmp_path, monkeypatch):
    folder, made = tmp_path / "corpus", []
    make = corpus_module._make_shard

    def stop_at_the_third(shard):
        if len(made) == 2:
            (folder / "simulated-00002.part").mkdir()  # what a killed worker leaves behind
            raise KeyboardInterrupt
        made.append(shard.folder.name)
        return make(shard)

    monkeypatch.setattr(corpus_module, "_make_shard", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        build_corpus(folder, **SMALL)
    assert len(MotionCorpus(folder)) == 4  # a half-made corpus can be read
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("simulated-0000[01]/*")}
    made = []
    monkeypatch.setattr(corpus_module, "_make_shard", lambda shard: (made.append(shard.folder.name), make(shard))[1])
    assert build_corpus(folder, **SMALL) == 6
    assert made == ["simulated-00002"]
    assert kept == {path: path.stat().st_mtime_ns for path in folder.glob("simulated-0000[01]/*")}
    assert bytes_of(folder) == bytes_of(built)


def test_a_second_call_makes_nothing(copy, monkeypatch):
    monkeypatch.setattr(corpus_module, "_make_shard", None)
    assert build_corpus(copy, **SMALL) == 6


def test_more_seeds_add_to_what_is_there(copy):
    before = bytes_of(copy)
    assert build_corpus(copy, **(SMALL | {"seeds": 4})) == 12
    after = bytes_of(copy)
    assert before.pop(Path("manifest.json")) != after.pop(Path("manifest.json"))
    assert all(after[path] == content for path, content in before.items()) and len(after) == 2 * len(before)


def test_stray_shards_are_refused(copy):
    with pytest.raises(ValueError, match="simulated-00001 and 1 more"):
        build_corpus(copy, **(SMALL | {"seeds": 1, "shard_clips": 3}))
    assert len(MotionCorpus(copy)) == 6


def test_another_recipe_makes_the_shards_again(copy):
    assert build_corpus(copy, **(SMALL | {"frames": 150})) == 6
    assert MotionCorpus(copy).frames == 150


def jobs_until_the_system_ends_one(make, shards, num_proc):
    """Makes the first shard; then its workers are gone, as when the system runs out of memory."""
    yield 0, make(shards[0])
    raise ChildProcessError("the system ended a process")


def test_a_killed_worker_is_named_and_finished_shards_are_kept(built, tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_module, "run_jobs", jobs_until_the_system_ends_one)
    folder = tmp_path / "corpus"
    with pytest.raises(OSError, match="was killed.*--workers 2.*are kept: run the same command again"):
        build_corpus(folder, **SMALL | {"workers": 2})
    assert len(list(folder.glob("*/recipe.json"))) == 1
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
    for motion in (tmp_path / "absent", tmp_path):
        with pytest.raises(OSError, match=r"no motion file"):
            build_corpus(tmp_path / "corpus", **SMALL, motion=motion)


def test_a_folder_without_a_corpus_names_the_command(tmp_path):
    with pytest.raises(OSError, match="make_corpus"):
        MotionCorpus(tmp_path)


def test_arrays_that_do_not_fit_their_clips_are_refused(copy):
    path = copy / "simulated-00001" / "terms.npy"
    np.save(path, np.load(path)[:1])
    with pytest.raises(ValueError, match=r"terms\.npy.*delete"):
        MotionCorpus(copy)


def test_nothing_is_unpickled(copy):
    np.save(copy / "simulated-00000" / "terms.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="[Pp]ickle|[Oo]bject"):
        MotionCorpus(copy)


def test_the_manifest_of_archives_covers_every_file(copy):
    assert verify_archive(copy) == []
    manifest = read_manifest(copy)
    assert manifest.kind == "corpus" and manifest.seconds == 6 * 2.0
    path = copy / "simulated-00001" / "clips.jsonl"
    path.write_bytes(path.read_bytes()[:-3])
    assert len(verify_archive(copy)) == 1 and "clips.jsonl is cut off" in verify_archive(copy)[0]
    shutil.rmtree(path.parent)
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


def test_files_are_json_and_half_precision(built):
    shard = built / "simulated-00000"
    assert json.loads((shard / "recipe.json").read_text())["simulated"] == [["walking", 0], ["sitting", 0]]
    assert np.load(shard / "terms.npy").dtype == np.float16
