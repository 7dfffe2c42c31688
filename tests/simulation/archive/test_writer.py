"""The archive as a whole: the same bytes however it is made, resuming, and damage found by name."""

import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.forked import forked
from support.small_bvh import write_small_bvh

from anymo_hf.motion.body_motion import BodyMotion
from anymo_hf.motion.procedural import HELD_OUT_SEED, simulate_activity
from anymo_hf.simulation.archive import Archive, simulate_archive
from anymo_hf.simulation.archive import writer as archive_module
from anymo_hf.simulation.archive.derived import dense_bytes, materialize, materialize_views
from anymo_hf.simulation.archive.manifest import read_manifest, verify_archive
from anymo_hf.simulation.archive.shard import Shard
from anymo_hf.simulation.engines import run_jobs
from anymo_hf.simulation.kinematics import placement_signals, segment_kinematics

ACTIVITIES = ["walking", "sitting"]


def build(folder, **options):
    options = {"procedural": 2, "seconds": 12.0, "activities": ACTIVITIES, "progress": False} | options
    return simulate_archive(folder, **options)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive") / "a"
    build(folder)
    return folder


@pytest.fixture
def copy(made, tmp_path):
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


def test_what_is_read_back_is_what_was_simulated(made):
    archive = Archive(made)
    assert archive.names == [f"procedural/{a}-{s}" for a in sorted(ACTIVITIES) for s in (0, 1)]
    assert archive.manifest.seconds == pytest.approx(48)
    for name in archive.names:
        activity, seed = name.removeprefix("procedural/").split("-")
        motion = simulate_activity(activity, int(seed), 12.0)
        shard = archive.shard(name)
        assert shard.info.subject == motion.subject and list(shard.info.narrations) == motion.narrations
        assert np.abs(shard.poses().positions - motion.positions).max() < 3e-6
        error = shard.kinematics().specific_force - segment_kinematics(motion).specific_force
        assert np.sqrt((error**2).sum(-1).mean()) < 0.01
        assert 1.4 < shard.info.height < 2.1
    assert {entry.subject for entry in archive.manifest.shards} == {"procedural-0", "procedural-1"}
    assert archive.template.offset.shape == (2374, 3)
    assert verify_archive(made) == []


@pytest.mark.slow
def test_the_same_bytes_in_one_process_and_in_two(made, tmp_path):
    build(tmp_path / "two", num_proc=2)
    assert content(tmp_path / "two") == content(made)


@pytest.mark.slow
def test_the_same_bytes_on_ray(made, tmp_path):
    pytest.importorskip("ray")
    build(tmp_path / "ray", engine="ray", num_proc=2)
    assert content(tmp_path / "ray") == content(made)


@pytest.mark.slow
def test_engines_run_every_job_once():
    for engine, processes in (("local", 1), ("local", 2)):
        assert sorted(run_jobs(abs, [-1, 2, -3], engine, processes)) == [(0, 1), (1, 2), (2, 3)]
    with pytest.raises(ValueError, match="local, ray"):
        list(run_jobs(abs, [1], "spark"))
    with pytest.raises(ValueError, match="at least 1"):
        list(run_jobs(abs, [1], "local", 0))


def test_without_ray_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'anymo-hf\[ray\]'"):
        list(run_jobs(abs, [1], "ray"))


@pytest.mark.slow
def test_a_killed_run_leaves_no_half_shard_and_goes_on(made, tmp_path):
    folder = tmp_path / "killed"
    process = forked(build, folder)
    stop = time.monotonic() + 60
    while not list(folder.rglob("*.parquet")) and time.monotonic() < stop:
        time.sleep(0.005)
    process.kill()
    process.join()
    done = list(folder.rglob("*.parquet"))
    assert done
    for path in done:
        assert Shard(path).info.frames == 720  # whole
    if not (folder / "manifest.json").exists():
        with pytest.raises(OSError, match="start the same one again"):
            Archive(folder)
    (folder / "recordings" / "procedural" / ".sitting-0.parquet.part").write_bytes(b"half")
    times = {path: path.stat().st_mtime_ns for path in done}
    build(folder)
    assert content(folder) == content(made)
    assert all(path.stat().st_mtime_ns == when for path, when in times.items())


def test_what_a_node_that_was_killed_left_is_gone_at_the_end(copy, made, monkeypatch):
    original = archive_module._make_shards

    def make(task):
        (copy / "recordings/procedural/.walking-0.parquet.node.30495.part").write_bytes(b"half")
        return original(task)

    monkeypatch.setattr(archive_module, "_make_shards", make)
    (copy / "recordings/procedural/walking-0.parquet").unlink()
    build(copy)
    assert verify_archive(copy) == [] and content(copy) == content(made)


def test_a_second_run_makes_nothing_and_an_altered_shard_again(copy, made, monkeypatch):
    made_again = []
    original = archive_module._make_shards
    monkeypatch.setattr(
        archive_module, "_make_shards", lambda task: (made_again.append(task[1].name), original(task))[1]
    )
    build(copy)
    assert made_again == []
    path = copy / "recordings/procedural/walking-1.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    build(copy)
    assert made_again == ["procedural/walking-1"]
    assert content(copy) == content(made)


def test_another_recipe_or_another_archive_is_not_mixed_in(copy, made):
    with pytest.raises(ValueError, match="recordings of another archive .*sitting-0.*new folder"):
        build(copy, activities=["walking"])
    build(copy, seconds=6.0)  # same files by another recipe: made anew
    assert read_manifest(copy).seconds == pytest.approx(24)
    assert verify_archive(copy) == []


DAMAGE = {
    "cut": (lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), "cut off"),
    "altered": (lambda p: p.write_bytes(p.read_bytes()[:5000] + b"\xff" + p.read_bytes()[5001:]), "altered"),
    "missing": (lambda p: p.unlink(), "missing"),
    "longer": (lambda p: p.write_bytes(p.read_bytes() + b"x"), "altered"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_shard_is_named_with_its_mend_and_never_read(copy, kind):
    change, word = DAMAGE[kind]
    path = copy / "recordings/procedural/walking-0.parquet"
    change(path)
    (problem,) = verify_archive(copy)
    assert problem.startswith("recordings/procedural/walking-0.parquet is ") and word in problem
    assert "run the same `anymo simulate` again" in problem
    archive = Archive(copy)
    with pytest.raises(OSError, match=r"walking-0\.parquet is .*anymo simulate"):
        archive.shard("procedural/walking-0")
    archive.shard("procedural/walking-1").terms()


@pytest.mark.parametrize("position", [0.1, 0.4, 0.7])
def test_an_altered_shard_is_refused_even_without_its_manifest(copy, position):
    path = copy / "recordings/procedural/walking-0.parquet"
    data = bytearray(path.read_bytes())
    data[int(position * len(data))] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(OSError, match=r"walking-0\.parquet.*(altered|damaged)"):
        Shard(path).terms()


def test_extra_files_and_a_damaged_table_are_found(copy):
    (copy / "recordings" / "stray.parquet").write_bytes(b"x")
    assert verify_archive(copy) == ["recordings/stray.parquet is not in the manifest; move it out of the archive"]
    (copy / "recordings" / "stray.parquet").unlink()
    (copy / "placements.safetensors").write_bytes(b"x")
    with pytest.raises(OSError, match="placements.safetensors is cut off or altered"):
        Archive(copy)
    with pytest.raises(ValueError, match="of another body, or altered"):
        build(copy)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda text: "{", "no JSON"),
        (lambda text: "[" * 100_000, "no JSON .*nested too deep"),
        (lambda text: "[]", "format is None"),
        (lambda text: text.replace('"anymo-archive"', '"other"'), "format is 'other'"),
        (lambda text: text.replace('"version": 2', '"version": 9'), "version is 9, this package reads 2"),
        (lambda text: text.replace('"shards"', '"shard"'), "'shards'"),
        (lambda text: text.replace('"sha256"', '"sha"', 1), "sha"),
        (lambda text: text.replace('"recordings/', '"../../recordings/', 1), "outside the archive"),
    ],
)
def test_a_foreign_or_damaged_manifest_is_refused(copy, change, words):
    path = copy / "manifest.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=words) as caught:
        Archive(copy)
    assert "manifest.json" in str(caught.value)


def test_a_foreign_or_newer_parquet_is_refused(copy, tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(ValueError, match="no shard of a motion archive"):
        Shard(path)
    good = copy / "recordings/procedural/walking-0.parquet"
    file = pq.ParquetFile(good)
    text = json.loads(file.metadata.metadata[b"anymo"])
    for values, error, words in [
        (text | {"version": 1}, ValueError, "version is 1, this package reads 2"),
        (text | {"frames": 5000}, OSError, "blocks"),
        ({k: v for k, v in text.items() if k != "height"}, OSError, "damaged"),
    ]:
        table = file.read().replace_schema_metadata({b"anymo": json.dumps(values).encode()})
        pq.write_table(table, path, row_group_size=1)
        with pytest.raises(error, match=words):
            Shard(path)
    with pytest.raises(ValueError, match="has frames 0..720, asked for 700..721"):
        Shard(good).terms(700, 721)


def test_motion_files_are_read_and_broken_ones_named(tmp_path):
    motion = tmp_path / "motion"
    write_small_bvh(motion / "a" / "wave.bvh")
    write_small_bvh(motion / "wave.bvh", 60)
    manifest = simulate_archive(tmp_path / "out", motion, progress=False)
    assert [entry.file for entry in manifest.shards] == [
        "recordings/motion/a/wave.bvh.parquet", "recordings/motion/wave.bvh.parquet",
    ]  # fmt: skip
    assert manifest.shards[0].source == "bvh" and len(manifest.shards[0].source_sha256) == 64
    # a changed source is simulated anew
    write_small_bvh(motion / "wave.bvh", 70)
    assert simulate_archive(tmp_path / "out", motion, progress=False).shards[1].frames > manifest.shards[1].frames
    (motion / "wave.bvh").write_text("no motion")
    with pytest.raises(ValueError, match=r"1 of 2 recordings.*wave\.bvh.*not a BVH file.*--skip-broken"):
        simulate_archive(tmp_path / "out", motion, progress=False)
    manifest = simulate_archive(tmp_path / "out2", motion, progress=False, skip_broken=True)
    assert len(manifest.shards) == 1 and "not a BVH file" in manifest.left_out["wave.bvh"]
    assert read_manifest(tmp_path / "out2") == manifest


def test_motion_files_read_with_other_options_are_simulated_anew_and_never_mixed_into_views(anymo, tmp_path):
    write_small_bvh(tmp_path / "motion" / "wave.bvh", 200)  # 30 frames a second
    out = tmp_path / "out"
    common = ["simulate", "--motion", tmp_path / "motion", "--out", out, "--config", "views"]

    def frames(*options):
        code, _, err = anymo(*common, *options)
        return (read_manifest(out / "kinematics").shards[0].frames, code, err)

    first, code, _ = frames("--up", "y")
    assert code == 0 and read_manifest(out / "kinematics").recipe["reading"] == {"up": "y"}
    shard = out / "kinematics/recordings/motion/wave.bvh.parquet"
    written = shard.stat().st_mtime_ns
    assert frames("--up", "y")[:2] == (first, 0) and shard.stat().st_mtime_ns == written
    slower, code, err = frames("--up", "y", "--frame-rate", 15)
    assert (
        abs(slower - 2 * first) <= 4 and code == 2 and "of another archive or other options; give a new folder" in err
    )
    assert read_manifest(out / "kinematics").recipe["reading"] == {"up": "y", "frame_rate": 15.0}
    again, code, _ = frames("--up", "y")  # as it was: the views fit once more
    assert (again, code) == (first, 0)
    simulate_archive(out / "kinematics", tmp_path / "motion", progress=False)
    assert "reading" not in read_manifest(out / "kinematics").recipe


def test_bad_requests_are_refused(tmp_path):
    with pytest.raises(ValueError, match="nothing to simulate"):
        simulate_archive(tmp_path / "x")
    with pytest.raises(OSError, match="no such folder"):
        simulate_archive(tmp_path / "x", tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(OSError, match="no motion file"):
        simulate_archive(tmp_path / "x", tmp_path / "empty")
    with pytest.raises(ValueError, match="unknown activity 'flying'"):
        build(tmp_path / "x", activities=["flying"])
    with pytest.raises(ValueError, match="procedural must lie"):
        build(tmp_path / "x", procedural=HELD_OUT_SEED)
    with pytest.raises(OSError, match="is missing"):
        Archive(tmp_path / "none")


def test_dense_equals_direct_signals_and_resumes(made, tmp_path):
    rows = [0, 500, 2373]
    manifest = materialize(made, tmp_path / "dense", rows, progress=False)
    assert manifest.kind == "dense" and verify_archive(tmp_path / "dense") == []
    archive = Archive(made)
    motion = simulate_activity("walking", 1, 12.0)
    body = archive.template.scaled(archive.shard("procedural/walking-1").info.height)
    direct = placement_signals(segment_kinematics(motion), body.segment[rows], body.offset[rows], body.frame[rows])
    signals = np.load(tmp_path / "dense/recordings/procedural/walking-1.npy", mmap_mode="r")
    assert signals.shape == (720, 3, 6) and signals.dtype == np.float32
    assert np.sqrt(((signals - direct)[..., :3] ** 2).sum(-1).mean(0)).max() < 0.01
    before = content(tmp_path / "dense")
    (tmp_path / "dense/recordings/procedural/walking-1.npy").unlink()
    materialize(made, tmp_path / "dense", rows, progress=False)
    assert content(tmp_path / "dense") == before
    with pytest.raises(ValueError, match="another archive or other options"):
        materialize(made, tmp_path / "dense", [1], progress=False)
    with pytest.raises(ValueError, match="rows 0..2373"):
        materialize(made, tmp_path / "x", [2374], progress=False)
    with pytest.raises(ValueError, match="holds dense"):
        Archive(tmp_path / "dense")


def test_views_are_the_same_each_time(made, tmp_path):
    for name in ("a", "b"):
        materialize_views(made, tmp_path / name, views=2, seed=5, progress=False)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert verify_archive(tmp_path / "a") == []
    table = pq.read_table(tmp_path / "a/recordings/procedural/walking-0.parquet").to_pylist()
    assert [(row["start"], row["seconds"], row["view"]) for row in table] == [
        (0.0, 5.0, 0), (0.0, 5.0, 1), (5.0, 5.0, 0), (5.0, 5.0, 1), (10.0, 2.0, 0), (10.0, 2.0, 1),
    ]  # fmt: skip
    assert np.array(table[-1]["Head"]).shape == (120, 6)
    assert 9 < np.median(np.linalg.norm(np.array(table[0]["Pelvis"])[:, :3], axis=1)) < 10.8


def test_dense_bytes_are_the_papers():
    assert dense_bytes(3600 * 60) == 3600 * 60 * 2374 * 6 * 4 == 12_306_816_000


def test_a_recording_without_subject_counts_as_its_own():
    motion = simulate_activity("walking", 0, 2.0)
    info = archive_module.recording_info(BodyMotion(60.0, motion.positions, motion.orientations), "motion/x.bvh")
    assert info.subject == "motion/x.bvh" and info.source == "unknown"
