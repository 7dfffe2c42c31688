"""The shipped skin: closed, of human volume, near the candidates; posed as rigid segments and as bones of any length."""

import os
from pathlib import Path

import numpy as np
import pytest
import trimesh
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from anymo_hf.modeling.body_segments import PARENTS, SEGMENT_INDEX, SEGMENTS
from anymo_hf.motion.body_motion import BodyMotion
from anymo_hf.motion.procedural import SubjectStyle, simulate_activity
from anymo_hf.motion.skeleton import tpose_positions
from anymo_hf.simulation.body_surface import SURFACE_FILE, body_surface, motion_height, posed_body
from anymo_hf.simulation.build_template import _thinned
from anymo_hf.simulation.surface import load_template


def still(positions):
    turns = np.zeros((len(positions), len(SEGMENTS), 4))
    turns[..., 0] = 1
    return BodyMotion(60.0, positions, turns)


@pytest.fixture(scope="module")
def surface():
    return body_surface()


def test_the_skin_is_a_closed_human_body(surface):
    solid = trimesh.Trimesh(surface.vertices, surface.faces, process=False)
    assert solid.is_watertight and solid.is_winding_consistent and solid.euler_number == 2
    assert 0.055 < solid.volume < 0.105  # m^3; outward faces, or it would be negative
    low, high = surface.vertices.min(axis=0), surface.vertices.max(axis=0)
    assert low[2] == pytest.approx(0, abs=1e-6) and high[2] == pytest.approx(1.75, abs=1e-6)
    assert 1.7 < high[1] - low[1] < 1.95  # the span of the arms
    np.testing.assert_allclose(surface.skin_weights.sum(axis=1), 1, atol=1e-9)
    assert surface.skin_segments.shape == surface.skin_weights.shape == (len(surface.vertices), 4)
    assert SURFACE_FILE.stat().st_size < 300_000
    with safe_open(SURFACE_FILE, framework="numpy") as file:
        assert file.metadata()["licence"] == "CC0-1.0"


def test_candidates_of_the_template_lie_on_the_skin(surface):
    template = load_template()
    places = tpose_positions(1.75)[template.segment] + template.offset
    assert np.median(cKDTree(surface.vertices).query(places)[0]) < 0.01


def test_each_side_is_moved_by_its_own_limbs(surface):
    for index, name in enumerate(SEGMENTS):
        share = np.where(surface.skin_segments == index, surface.skin_weights, 0).sum(axis=1)
        assert share.max() > 0.45, name
        if name[1] == "_":
            side = 1 if name.startswith("L_") else -1
            assert (side * surface.vertices[share > 0.01, 1]).min() > -0.02, name


def test_a_small_body_is_the_same_body(surface):
    np.testing.assert_allclose(body_surface(1.4).vertices, 0.8 * surface.vertices)
    with pytest.raises(ValueError, match="between 0.5 and 2.6"):
        body_surface(3.0)


def test_the_t_pose_is_the_rest_and_a_moved_body_moves_along():
    for height in (1.5, 1.9):
        mesh = posed_body(still(tpose_positions(height)[None]))
        np.testing.assert_allclose(mesh.vertices(slice(None))[0], body_surface(height).vertices, atol=1e-9)
    turn = Rotation.from_rotvec([0.2, -0.4, 1.1])
    positions = turn.apply(tpose_positions(1.75)) + [3, -2, 1]
    quaternion = np.broadcast_to(np.roll(turn.as_quat(), 1), (1, len(SEGMENTS), 4))
    moved = posed_body(BodyMotion(60.0, positions[None], np.array(quaternion)))
    np.testing.assert_allclose(
        moved.vertices(slice(None))[0], turn.apply(body_surface(1.75).vertices) + [3, -2, 1], atol=1e-9
    )


def test_a_vertex_of_one_segment_is_rigid_on_it():
    motion = simulate_activity("squats", 4, 2.0)
    mesh, surface = posed_body(motion), body_surface(motion_height(motion))
    head = SEGMENT_INDEX["Head"]
    own = np.flatnonzero((surface.skin_segments[:, 0] == head) & (surface.skin_weights[:, 0] == 1))
    assert len(own) > 50
    lever = surface.vertices[own] - tpose_positions(surface.height)[head]
    for frame in (0, 50, 119):
        turn = Rotation.from_quat(np.roll(motion.orientations[frame, head], -1))
        expected = motion.positions[frame, head] + turn.apply(lever)
        np.testing.assert_allclose(mesh.vertices(np.array([frame]), own)[0], expected, atol=1e-9)


def test_the_posed_body_keeps_its_volume():
    motion = simulate_activity("walking", 2, 2.0)
    mesh = posed_body(motion)
    rest = trimesh.Trimesh(mesh.rest_vertices, mesh.faces, process=False).volume
    for vertices in mesh.vertices(np.array([0, 40, 80])):
        assert trimesh.Trimesh(vertices, mesh.faces, process=False).volume == pytest.approx(rest, rel=0.08)


def test_longer_bones_stretch_the_skin_to_the_next_joint():
    positions = tpose_positions(1.75)
    hand, elbow = SEGMENT_INDEX["L_Hand"], SEGMENT_INDEX["L_Forearm"]
    longer = positions.copy()
    longer[hand, 1] += 0.05
    motion = still(longer[None])
    mesh = posed_body(motion)
    own = np.flatnonzero((mesh.skin_joints[:, 0] == hand) & (mesh.skin_weights[:, 0] > 0.99))
    wrist = mesh.rest_vertices[own] - tpose_positions(motion_height(motion))[hand] + longer[hand]
    np.testing.assert_allclose(mesh.vertices(slice(None), own)[0], wrist, atol=0.005)
    # the forearm's own map takes the elbow to the elbow and the rest wrist to the longer one's
    rest = tpose_positions(motion_height(motion))
    reached = mesh.transforms[0, elbow] @ np.append(rest[hand], 1)
    np.testing.assert_allclose(reached, longer[hand], atol=1e-9)


def test_height_is_told_from_the_bones():
    assert motion_height(still(tpose_positions(1.62)[None])) == pytest.approx(1.62)
    style = SubjectStyle.draw(np.random.default_rng(3))
    assert motion_height(simulate_activity("standing", 0, 2.0, subject=style)) == pytest.approx(style.height, rel=1e-3)
    assert len(PARENTS) == len(SEGMENTS)


def test_thinning_keeps_a_sphere_closed_and_round():
    ball = trimesh.creation.icosphere(3)
    rows, faces = _thinned(np.array(ball.vertices), np.array(ball.faces), 200)
    thin = trimesh.Trimesh(ball.vertices[rows], faces, process=False)
    assert len(rows) == 200 and thin.is_watertight and thin.euler_number == 2
    assert thin.volume == pytest.approx(4 / 3 * np.pi, rel=0.08)


def test_broken_files_are_refused(tmp_path):
    with pytest.raises(OSError, match="no body surface"):
        body_surface(path=tmp_path / "absent.safetensors")
    (tmp_path / "garbage.safetensors").write_bytes(b"nothing")
    with pytest.raises(OSError, match="garbage"):
        body_surface(path=tmp_path / "garbage.safetensors")
    save_file({"vertices": np.zeros((3, 3), np.float32)}, tmp_path / "short.safetensors")
    with pytest.raises(ValueError, match="faces"):
        body_surface(path=tmp_path / "short.safetensors")


@pytest.mark.realdata
@pytest.mark.slow
def test_the_committed_surface_is_what_the_script_builds():
    from anymo_hf.simulation.build_template import build_surface

    folder = Path(os.environ["ANYMO_DATA"]) / "body_mesh_cc0"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    built, shipped = build_surface(folder), body_surface()
    np.testing.assert_array_equal(built.faces, shipped.faces)
    np.testing.assert_allclose(built.vertices, shipped.vertices, atol=1e-6)
