"""Pictures: files are written whole, pages carry their scene and need no network, signals and places are the right ones."""

import base64
import io
import re
import sys

import numpy as np
import pytest
import trimesh
from PIL import Image

from anymo_hf.modeling.body_segments import SEGMENT_INDEX, SEGMENTS
from anymo_hf.motion.body_motion import BodyMotion
from anymo_hf.motion.procedural import simulate_activity
from anymo_hf.pictures import show
from anymo_hf.pictures.body import (
    SEGMENT_COLOURS,
    candidate_places,
    dots_geometry,
    scene_of,
    spread_apart,
    sticks_geometry,
    tpose_motion,
    view,
)
from anymo_hf.pictures.signals import _outline
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.simulation.surface import CANDIDATE_COUNTS, load_template


def opened(paths):
    """Pixels of the PNG and the scene that the page carries, after checks that hold for every pair."""
    png, html = paths
    assert sorted(path.name for path in png.parent.iterdir()) == sorted([png.name, html.name])
    with Image.open(png) as image:
        pixels = np.asarray(image.convert("L"))
    assert min(pixels.shape) > 400 and 0.02 < (pixels < 250).mean() < 0.7
    page = html.read_text(encoding="utf-8")
    assert html.stat().st_size < 5_000_000
    # nothing is fetched: no tag or style names an address elsewhere, within the escaped scene either
    plain = page.replace("&quot;", '"').replace("&#x27;", "'")
    assert not re.search(
        r"""(?:src|href)\s*=\s*["']?\s*(?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import|<link""", plain
    )
    glb = base64.b64decode(re.search(r'base64_data="([A-Za-z0-9+/=]+)"', plain)[1])
    return pixels, trimesh.load(io.BytesIO(glb), file_type="glb"), page


def test_the_body_has_every_segment(tmp_path):
    _, scene, page = opened(show.show_body(tmp_path / "new" / "body", height=1.6))
    assert set(SEGMENTS) | {"skin", "bones"} == set(scene.geometry)
    # y is up in a glTF scene
    assert scene.bounds[1, 1] - scene.bounds[0, 1] == pytest.approx(1.6, abs=0.02)
    assert all(f"</b>{name}</li>" in page for name in SEGMENTS) and "1.60 m" in page


@pytest.mark.slow
def test_a_seed_decides_the_height_and_repeats(tmp_path):
    heights = []
    for number, seed in enumerate((1, 1, 2)):
        (tmp_path / str(number)).mkdir()
        _, scene, _ = opened(show.show_body(tmp_path / str(number) / "body", seed=seed))
        heights.append(scene.geometry["skin"].extents[1])
    assert heights[0] == heights[1] != heights[2] and all(1.45 < height < 2.05 for height in heights)
    with pytest.raises(ValueError, match="height and seed"):
        show.show_body(tmp_path / "body", 1.7, 1)


@pytest.mark.slow
def test_all_placements_are_shown_in_their_colours(tmp_path):
    _, scene, page = opened(show.show_placements(tmp_path / "all", frames=True))
    for index, (name, count) in enumerate((name, CANDIDATE_COUNTS[name]) for name in SEGMENTS):
        part = scene.geometry[name]
        assert len(part.faces) == 8 * count
        colour = np.asarray(part.visual.material.baseColorFactor[:3])
        assert "#" + "".join(f"{value:02x}" for value in colour) == SEGMENT_COLOURS[index]
        assert f"</b>{name} ({count})</li>" in page
    assert {"tangent", "binormal", "normal"} <= set(scene.geometry)


def test_chosen_segments_only(tmp_path):
    _, scene, _ = opened(show.show_placements(tmp_path / "some", ["left_wrist", "Head"]))
    assert set(scene.geometry) == {"skin", "L_Forearm", "Head"}
    with pytest.raises(ValueError, match="unknown placement 'nose'"):
        show.show_placements(tmp_path / "bad", ["nose"])


def test_segment_colours_differ():
    assert len(set(SEGMENT_COLOURS)) == len(SEGMENTS)


@pytest.mark.slow
def test_a_window_shows_bodies_sensors_and_signals(tmp_path):
    motion = simulate_activity("walking", 1, 4.0)
    _, scene, page = opened(show.show_window(tmp_path / "w", motion, ["left_wrist", "chest"], 1.0, 2.0))
    bodies = [name for name in scene.geometry if name.startswith("body at")]
    assert len(bodies) == 6 and {"left_wrist", "chest"} <= set(scene.geometry)
    boxes = sorted((scene.geometry[name].bounds for name in bodies), key=lambda box: box[0, 0])
    assert boxes[0][0, 1] > -0.01
    assert page.count("<svg") == 1


def test_signals_are_those_of_the_whole_motion():
    """Cut out before or after differentiation, a stretch reads the same; at rest it reads gravity in sensor axes."""
    motion = simulate_activity("jogging", 3, 6.0)
    body = load_template()
    sites = {"head": int(body.ranges()[0][SEGMENT_INDEX["Head"]])}
    whole = show._felt(motion, body, sites, 0.0, 6.0)["head"]
    part = show._felt(motion, body, sites, 2.0, 2.0)["head"]
    assert len(whole) == 360 and len(part) == 120
    np.testing.assert_allclose(part, whole[120:240], atol=1e-9)
    once = tpose_motion(1.75)
    rest = BodyMotion(60.0, np.repeat(once.positions, 30, 0), np.repeat(once.orientations, 30, 0))
    read = show._felt(rest, body, sites, 0.0, 0.5)["head"]
    np.testing.assert_allclose(read[:, :3] @ body.frame[sites["head"]].T, [[0, 0, 9.80665]] * 30, atol=1e-9)
    assert np.abs(read[:, 3:]).max() < 1e-12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "placements is empty"),
        ((["elbow patch"],), "unknown placement"),
        ((["head"], 9.0), "start must lie in the motion's 0 to 2.00 s"),
        ((["head"], 0.0, 0.0), "seconds must lie"),
    ],
)
def test_windows_that_cannot_be_shown(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        show.show_window(tmp_path / "w", simulate_activity("standing", 0, 2.0), *arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_motion_with_its_own_mesh_shows_that(tmp_path):
    from anymo_hf.simulation.body_surface import posed_body

    motion = simulate_activity("standing", 0, 2.0)
    mesh = posed_body(motion)
    few = mesh.faces[:5000]
    motion.mesh = type(mesh)(
        mesh.rest_vertices,
        few,
        mesh.joint_names,
        mesh.joint_segments,
        mesh.skin_joints,
        mesh.skin_weights,
        mesh.transforms,
    )
    _, scene, _ = opened(show.show_window(tmp_path / "w", motion, ["head"]))
    assert {len(part.faces) for name, part in scene.geometry.items() if name.startswith("body at")} == {5000}


def test_a_recording_says_what_it_is(tmp_path):
    rng = np.random.default_rng(0)
    recording = ImuRecording(
        {"left_wrist": rng.normal(size=(2500, 6)), "waist": rng.normal(size=(2500, 3))}, 50.0, "walk & <talk>",
        subject="7", dataset="mine",
    )  # fmt: skip
    _, scene, page = opened(show.show_recording(tmp_path / "r", recording, start=10.0, seconds=5.0))
    assert set(scene.geometry) == {"skin", "left_wrist", "waist"}
    assert "label: walk &amp; &lt;talk&gt;   50 Hz   10.0 to 15.0 s of 50.0 s   2 sensors" in page
    with pytest.raises(ValueError, match="start must lie in the recording's 0 to 50.00 s"):
        show.show_recording(tmp_path / "r", recording, start=60.0)


def test_without_matplotlib_the_mend_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        show.show_placements(tmp_path / "p")


def test_long_signals_keep_their_peaks():
    time = np.arange(100_000) / 100
    values = np.random.default_rng(0).normal(size=(100_000, 3))
    values[77_777, 1] = 50.0
    thin_time, thin = _outline(time, values)
    assert len(thin_time) == len(thin) < 5000 and thin[:, 1].max() == 50.0
    assert thin_time[np.argmax(thin[:, 1])] == pytest.approx(777.77, abs=0.6)
    short_time, short = _outline(time[:50], values[:50])
    assert short is not None and len(short_time) == len(short) == 50


def test_views_are_right_handed_and_upright():
    for toward in ([1, 0, 0], [-0.3, 2, 0.4]):
        right, up, back = view(toward)
        np.testing.assert_allclose(np.cross(right, up), back, atol=1e-12)
        assert right[2] == pytest.approx(0) and up[2] > 0
    # one who faces the viewer has the left hand on the picture's right
    assert view([1, 0, 0])[0] @ [0, 1, 0] == pytest.approx(1)


def test_the_camera_looks_at_the_scene():
    points = np.array([[0.0, 0, 0], [0.5, 1, 2]])
    scene = scene_of({"dots": dots_geometry(points, 0.01, "#ff0000")}, [1, 0, 0])
    pose = scene.camera_transform
    middle = scene.bounds.mean(axis=0)
    away = pose[:3, 3] - middle
    np.testing.assert_allclose(away / np.linalg.norm(away), pose[:3, 2], atol=1e-9)
    np.testing.assert_allclose(pose[:3, 2], [0, 0, 1], atol=1e-9)  # forward of the body is z of the page's scene


def test_geometry_is_closed_and_faces_outward():
    ends = np.array([[0.0, 0, 0], [1, 2, 3]]), np.array([[0.0, 0, 1], [2, 2, 3]])
    for part, volume in (
        (dots_geometry(np.zeros((2, 3)) + [[0], [5]], 0.1, "#123456"), 2 * 4 / 3 * 0.1**3),
        (sticks_geometry(*ends, 0.01, "#123456"), 2 * 2 * 0.01**2),
    ):
        assert part.is_watertight and part.volume == pytest.approx(volume, rel=1e-6)


def test_candidates_move_with_their_segment():
    body = load_template()
    motion = simulate_activity("wave", 0, 2.0)
    places, axes = candidate_places(body, motion, 60)
    for row in (0, 500, 2373):
        segment = body.segment[row]
        assert np.linalg.norm(places[row] - motion.positions[60, segment]) == pytest.approx(
            np.linalg.norm(body.offset[row])
        )
    np.testing.assert_allclose(np.linalg.det(axes), 1, atol=1e-9)


def test_labels_of_neighbouring_devices_keep_their_distance():
    assert spread_apart([0.1, 0.12, 0.9], 0.15) == pytest.approx([0.0567, 0.2067, 0.8567], abs=1e-3)
    assert spread_apart([], 0.15) == []
