"""MVNX files: segments by name, axes of the T-pose, trackers, clocks; damaged and hostile files are refused."""

import gzip
import lzma
import os
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.mvnx_file import LABELS, TRACKERS, write

from anymo_hf.modeling.body_segments import PARENTS, SEGMENT_INDEX, SEGMENTS
from anymo_hf.motion.formats.mvnx import read_mvnx

S = SEGMENT_INDEX


def same_turns(got, wanted, atol=1e-7):
    np.testing.assert_allclose(np.abs(np.sum(got * wanted, -1)), 1, atol=atol)


def test_segments_are_found_by_name_in_any_order_and_trackers_sit_on_theirs(tmp_path):
    order = list(np.random.default_rng(3).permutation(23))
    positions, turns, signals = write(tmp_path / "a.mvnx", order=order)
    recording = read_mvnx(tmp_path / "a.mvnx")
    motion = recording.motion
    assert (motion.frame_rate, motion.subject, motion.name, motion.source) == (60, "Kim", "a", "mvnx")
    np.testing.assert_allclose(motion.positions, positions, atol=1e-8)
    same_turns(motion.orientations, turns)
    assert recording.tracker_names == tuple(TRACKERS)
    assert [SEGMENTS[i] for i in recording.tracker_segments] == ["Head", "Pelvis", "R_Forearm", "L_Foot"]
    np.testing.assert_allclose(recording.acceleration, signals["sensorAcceleration"], atol=1e-8)
    np.testing.assert_allclose(recording.angular_velocity, signals["sensorAngularVelocity"], atol=1e-8)
    same_turns(recording.orientation, signals["sensorOrientation"])
    assert recording.free_acceleration is None and recording.magnetic_field is None
    assert recording.start_time == 1_500_000_000 and recording.repairs == []
    assert (np.sum(motion.orientations[1:] * motion.orientations[:-1], -1) > 0).all()


def test_version_4_has_free_acceleration_and_magnetic_field(tmp_path):
    _, _, signals = write(tmp_path / "a.mvnx", version=4, poses=("identity", "tpose", "tpose-isb"))
    recording = read_mvnx(tmp_path / "a.mvnx")
    np.testing.assert_allclose(recording.free_acceleration, signals["sensorFreeAcceleration"], atol=1e-8)
    np.testing.assert_allclose(recording.magnetic_field, signals["sensorMagneticField"], atol=1e-8)
    assert recording.acceleration is None and recording.angular_velocity is None


def test_a_file_without_trackers_still_moves_and_props_are_left_out(tmp_path):
    write(tmp_path / "a.mvnx", sensors=[], skip=("sensorOrientation", "sensorAcceleration", "sensorAngularVelocity"))
    recording = read_mvnx(tmp_path / "a.mvnx")
    assert recording.orientation is None and recording.tracker_names == ()
    write(tmp_path / "b.mvnx", sensors=["Prop1", "T8"])
    recording = read_mvnx(tmp_path / "b.mvnx")
    assert recording.tracker_names == ("T8",) and recording.acceleration.shape == (20, 1, 3)
    assert recording.repairs == ["1 trackers on no body segment were left out: Prop1"]


@pytest.mark.parametrize("pack", [lzma.open, gzip.open])
def test_packed_files_are_the_same(tmp_path, pack):
    write(tmp_path / "a.mvnx")
    packed = tmp_path / ("b.mvnx.xz" if pack is lzma.open else "b.mvnx.gz")
    with pack(packed, "wb") as stream:
        stream.write((tmp_path / "a.mvnx").read_bytes())
    recording = read_mvnx(packed)
    np.testing.assert_array_equal(recording.motion.positions, read_mvnx(tmp_path / "a.mvnx").motion.positions)
    assert recording.motion.name == "b"
    packed.write_bytes(packed.read_bytes()[:-300])
    with pytest.raises(ValueError, match="cut-off compression"):
        read_mvnx(packed)


@pytest.mark.parametrize("heading", [0, 70, 180])
@pytest.mark.parametrize("kind", ["identity", "npose", "tpose"])
def test_axes_of_another_pose_are_turned_to_those_of_the_t_pose(tmp_path, heading, kind):
    """Arms in axes that are the identity in the anatomical pose, as MVN Studio 4.3 exports them."""
    axes = {}
    for side, sign in (("R", -1), ("L", 1)):
        drop = Rotation.from_euler("x", 90 * sign, degrees=True)
        palm = Rotation.from_euler("z", -90 * sign, degrees=True)
        axes |= {f"{side}_UpperArm": drop.as_matrix(), f"{side}_Forearm": (drop * palm).as_matrix(),
                 f"{side}_Hand": (drop * palm).as_matrix()}  # fmt: skip
    _, turns, _ = write(tmp_path / "a.mvnx", axes=axes, heading=heading, poses=(kind,))
    recording = read_mvnx(tmp_path / "a.mvnx")
    same_turns(recording.motion.orientations, turns)
    assert re.match("axes of 6 segments .*R_Hand.* as the " + kind, recording.repairs[0])
    write(tmp_path / "b.mvnx", axes=axes, poses=())
    with pytest.raises(ValueError, match="axes of R_UpperArm are not those of the T-pose .*90 degrees off"):
        read_mvnx(tmp_path / "b.mvnx")


def test_ms_that_is_ten_times_too_big_is_mended_and_a_wrong_rate_refused(tmp_path):
    write(tmp_path / "a.mvnx", ms=lambda index, rate: 10 * (1_500_000_000_000 + round(index * 1000 / rate)))
    recording = read_mvnx(tmp_path / "a.mvnx")
    assert recording.repairs == ["ms is ten times too big in 20 frames; times were taken from index and frameRate"]
    assert recording.start_time == 1_500_000_000 and recording.motion.frame_rate == 60
    write(tmp_path / "b.mvnx", ms=lambda index, rate: 1_500_000_000_000 + 10 * index)
    with pytest.raises(ValueError, match="frameRate says 60 frames per second, the frames' ms say 100"):
        read_mvnx(tmp_path / "b.mvnx")
    late = lambda index, rate: 1_500_000_000_000 + round(index * 1000 / rate) + 40 * (index == 7)  # noqa: E731
    write(tmp_path / "c.mvnx", ms=late)
    assert read_mvnx(tmp_path / "c.mvnx").repairs[0].startswith("ms is uneven at 2 frames")
    write(tmp_path / "d.mvnx", ms=lambda index, rate: 0)
    assert read_mvnx(tmp_path / "d.mvnx").start_time is None


def test_repeated_frames_are_dropped_backward_and_missing_ones_refused(tmp_path):
    index = [*range(10), 9, *range(10, 19)]
    clock = lambda frame, rate: 1_500_000_000_000 + round(index[frame] * 1000 / rate)  # noqa: E731
    positions, _, signals = write(tmp_path / "a.mvnx", index=index, ms=clock)
    recording = read_mvnx(tmp_path / "a.mvnx")
    assert recording.repairs == ["1 frames that repeat an index were dropped"]
    np.testing.assert_allclose(recording.motion.positions, np.delete(positions, 10, 0), atol=1e-8)
    np.testing.assert_allclose(recording.acceleration, np.delete(signals["sensorAcceleration"], 10, 0), atol=1e-8)
    write(tmp_path / "b.mvnx", index=[*range(10), 5, *range(10, 19)])
    with pytest.raises(ValueError, match=r"b\.mvnx: frame index 5 follows 9; frames must run forward"):
        read_mvnx(tmp_path / "b.mvnx")
    write(tmp_path / "c.mvnx", index=[*range(10), *range(15, 25)])
    with pytest.raises(ValueError, match=r"frames 10 to 14 are missing \(1 such gaps\)"):
        read_mvnx(tmp_path / "c.mvnx")


def _in_frame(number, element, change):
    """Changes the numbers of one element of a frame."""

    def apply(text):
        start = text.index(f'index="{number}"')
        pattern = re.compile(rf"<{element}>(.*?)</{element}>")
        found = pattern.search(text, start)
        return text[: found.start(1)] + change(found[1]) + text[found.end(1) :]

    return apply


DAMAGE = {
    "empty": (lambda text: "", "not a whole MVNX file"),
    "no XML": (lambda text: "time,x\n1,2\n", "not a whole MVNX file"),
    "other XML": (lambda text: "<svg><g/></svg>", "its outer element is <svg>"),
    "old version": (lambda text: text.replace('version="3"', 'version="2"'), "MVNX version 2"),
    "truncated": (lambda text: text[: len(text) * 2 // 3], r"not a whole MVNX file \(.*; \d+ frames were whole\)"),
    "missing segment": (lambda text: text.replace("LeftHand", "Thing"), "no segment for L_Hand; the file has Pelvis, L5"),
    "half a body": (lambda text: re.sub(r'<segment label="Left.*?</segment>', "", text), "not 60 for the file's 15"),
    "few numbers": (_in_frame(4, "orientation", lambda words: words.rsplit(" ", 1)[0]),
                    r"frame index 4: <orientation> has 91 numbers, not 92 for the file's 23 segments"),
    "sensor numbers": (_in_frame(5, "sensorAcceleration", lambda words: words + " 1"),
                       r"frame index 5: <sensorAcceleration> has 13 numbers, not 12 for the file's 4 sensors"),
    "no number": (_in_frame(6, "position", lambda words: "x" + words), "frame index 6: <position> holds something"),
    "NaN": (_in_frame(7, "position", lambda words: "nan " + words.split(" ", 1)[1]), "index 7: <position> holds NaN"),
    "huge": (_in_frame(7, "sensorAcceleration", lambda words: "-1e308 " + words.split(" ", 1)[1]),
             "frame index 7: <sensorAcceleration> holds 1e.308, which no body and no sensor reach; remove or repair"),
    "zero quaternion": (_in_frame(8, "orientation", lambda words: "0 0 0 0 " + words.split(" ", 4)[4]),
                        r"frame index 8: the orientation of Pelvis has norm 0, not 1 \(1 such\)"),
    "zero tracker": (_in_frame(9, "sensorOrientation", lambda words: "0 0 0 0 " + words.split(" ", 4)[4]),
                     "frame index 9: the orientation of Head has norm 0"),
    "element lost": (lambda text: re.sub(r'(index="3".*?)<position>.*?</position>', r"\1", text, count=1, flags=re.S),
                     "frame index 3: <position> is missing"),
    "signal late": (lambda text: re.sub("<sensorAcceleration>.*?</sensorAcceleration>", "", text, count=1),
                    "frame index 1: <sensorAcceleration> is missing in the frames before"),
    "in g": (lambda text: re.sub("<sensorAcceleration>.*?<", "<sensorAcceleration>" + "0 0 1 " * 4 + "<", text),
             r"median of \|sensorAcceleration\| is 1"),
    "no frames": (lambda text: text.replace('type="normal"', 'type="calibration"'), "no frame of type normal"),
    "no rate": (lambda text: text.replace('frameRate="60"', 'frameRate="fast"'), "frameRate of <subject> is 'fast'"),
    "no index": (lambda text: re.sub(r'index="2"', "", text), "a frame has no index"),
    "two people": (lambda text: text.replace("</mvnx>", '<subject frameRate="60"/></mvnx>'), "more than one <subject>"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_files_are_refused_by_name(tmp_path, kind):
    change, message = DAMAGE[kind]
    path = tmp_path / "walk.mvnx"
    write(path)
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=message) as caught:
        read_mvnx(path)
    assert "walk.mvnx" in str(caught.value)


def test_entities_and_endless_text_are_refused(tmp_path):
    write(tmp_path / "a.mvnx")
    text = (tmp_path / "a.mvnx").read_text()
    laughs = "".join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(9))
    secret = tmp_path / "secret.txt"
    secret.write_text("1 2 3")
    path = tmp_path / "b.mvnx"
    for entities in (f'<!ENTITY l0 "1 ">{laughs}', f'<!ENTITY x SYSTEM "{secret.as_uri()}">', '<!ENTITY % p "1"> %p;'):
        path.write_text(text.replace("<mvnx", f"<!DOCTYPE mvnx [{entities}]><mvnx", 1))
        with pytest.raises(ValueError, match="XML entities"):
            read_mvnx(path)
    path.write_text(text.replace("<orientation>", "<orientation>" + "0 " * 600_000, 1))
    with pytest.raises(ValueError, match="longer than any frame"):
        read_mvnx(path)
    path.write_text(text.replace("<mvnx", '<!DOCTYPE mvnx SYSTEM "http://www.xsens.com/mvn/mvnx/schema.dtd"><mvnx', 1))
    assert len(read_mvnx(path).motion.positions) == 20  # an outside grammar is not fetched


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OSError, match=r"none\.mvnx: no such file"):
        read_mvnx(tmp_path / "none.mvnx")


# ---- the real recording ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder():
    return Path(os.environ["ANYMO_MOTION"]) / "xsens_pair"


@pytest.fixture(scope="module")
def recording(folder):
    return read_mvnx(folder / "kicking-003.mvnx")


@pytest.mark.mocap
class TestKicking003:
    def test_numbers_equal_an_independent_extraction(self, folder, recording):
        stored = np.load(folder / "xsens_kicking003_240hz_17imu.npz", allow_pickle=False)
        assert recording.motion.frame_rate == float(stored["frameRate"]) and len(recording.tracker_names) == 17
        assert list(recording.tracker_names) == list(stored["sensors"])
        for got, name in (
            (recording.motion.positions, "position"),
            (recording.acceleration, "sensorAcceleration"),
            (recording.angular_velocity, "sensorAngularVelocity"),
        ):
            np.testing.assert_allclose(got.reshape(len(got), -1), stored[name], atol=1e-5)
        same_turns(recording.orientation, stored["sensorOrientation"].reshape(540, 17, 4), 1e-5)
        raw = stored["orientation"].reshape(540, 23, 4)
        straight = [S[name] for name in SEGMENTS if "Arm" not in name and "arm" not in name and "Hand" not in name]
        same_turns(recording.motion.orientations[:, straight], raw[:, straight], 1e-5)
        assert recording.start_time == 1490374345.32  # as its first frame says

    def test_every_segment_carries_the_next_rigidly_in_the_axes_of_the_point_table(self, folder, recording):
        """The file's own table of points in segment axes puts each joint within a millimetre, arms included."""
        text = (folder / "kicking-003.mvnx").read_text()
        tables = {}
        for label, block in re.findall(r'<segment label="(\w+)" id="\d+">(.*?)</segment>', text, re.S):
            points = re.findall(r'<point label="(\w+)">\s*<pos_s>(.*?)</pos_s>', block)
            tables[LABELS.index(label)] = {name: np.array(place.split(), float) for name, place in points}
        turns = Rotation.from_quat(recording.motion.orientations.reshape(-1, 4), scalar_first=True)
        turns = turns.as_matrix().reshape(540, 23, 3, 3)
        positions = recording.motion.positions
        for index, parent in enumerate(PARENTS[1:], 1):
            joint = next(name for name, place in tables[index].items() if not place.any())
            put = positions[:, parent] + turns[:, parent] @ tables[parent][joint]
            assert np.linalg.norm(put - positions[:, index], axis=-1).max() < 1e-3, SEGMENTS[index]
        assert "6 segments" in recording.repairs[0] and "npose" in recording.repairs[0]

    def test_trackers_feel_gravity_and_turn_as_their_segments(self, recording):
        turns = Rotation.from_quat(recording.orientation.reshape(-1, 4), scalar_first=True)
        world = turns.apply(recording.acceleration.reshape(-1, 3)).reshape(540, 17, 3)
        np.testing.assert_allclose(world.mean((0, 1)), [0, 0, 9.8], atol=0.1)
        step = Rotation.from_quat(recording.motion.orientations.reshape(-1, 4), scalar_first=True)
        segment = step.as_matrix().reshape(540, 23, 3, 3)[:, recording.tracker_segments]
        mounting = np.swapaxes(segment, -1, -2) @ turns.as_matrix().reshape(540, 17, 3, 3)
        for number, name in enumerate(recording.tracker_names):
            fixed = Rotation.from_matrix(mounting[:, number])
            assert np.degrees((fixed * fixed.mean().inv()).magnitude()).max() < 3, name

    def test_the_packed_file_is_the_same(self, folder, recording, tmp_path):
        packed = tmp_path / "kicking-003.mvnx.xz"
        packed.write_bytes(lzma.compress((folder / "kicking-003.mvnx").read_bytes(), preset=0))
        np.testing.assert_array_equal(read_mvnx(packed).motion.orientations, recording.motion.orientations)
