"""Surface template: Table 5's counts, sane lever arms, Eq. 1 frames, candidates of any mesh, and refusal of broken files."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.spatial.transform import Rotation

from anymo_hf.modeling.body_segments import SEGMENTS
from anymo_hf.motion.body_motion import BodyMotion
from anymo_hf.motion.posed_mesh import PosedMesh
from anymo_hf.motion.skeleton import tpose_positions
from anymo_hf.simulation.surface import (
    CANDIDATE_COUNTS,
    SurfaceTemplate,
    anatomical_axes,
    candidates_from_mesh,
    farthest_points,
    load_template,
    surface_frames,
    vertex_normals,
)


@pytest.fixture(scope="module")
def template() -> SurfaceTemplate:
    return load_template()


def of(template, name, field="offset"):
    return getattr(template, field)[template.segment == SEGMENTS.index(name)]


def test_counts_are_table_5(template):
    counts = np.bincount(template.segment)
    assert counts.sum() == 2374
    assert dict(zip(SEGMENTS, counts.tolist(), strict=True)) == CANDIDATE_COUNTS


def test_frames_are_right_handed_rotations(template):
    product = np.swapaxes(template.frame, 1, 2) @ template.frame
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), product.shape), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(template.frame), 1.0, atol=1e-5)


@pytest.mark.parametrize("side", ["L", "R"])
def test_limb_candidates_lie_near_their_bone(template, side):
    origins = tpose_positions(1.75)
    for bone, child, radius in (
        ("UpperArm", "Forearm", 0.1),
        ("Forearm", "Hand", 0.06),
        ("LowerLeg", "Foot", 0.09),
    ):
        offset = of(template, f"{side}_{bone}")
        end = origins[SEGMENTS.index(f"{side}_{child}")] - origins[SEGMENTS.index(f"{side}_{bone}")]
        share = offset @ end / (end @ end)
        assert -0.25 < share.min() < 0.2 and 0.8 < share.max() < 1.15
        nearest = np.clip(share, 0, 1)[:, None] * end
        assert np.linalg.norm(offset - nearest, axis=1).max() < radius


def test_candidates_fit_a_body_of_1_75_m(template):
    place = tpose_positions(1.75)[template.segment] + template.offset
    assert place[:, 2].min() > -0.02 and 1.70 < place[:, 2].max() < 1.76
    assert np.abs(place[:, 0]).max() < 0.30 and 0.75 < np.abs(place[:, 1]).max() < 0.95
    for side, sign in (("L_", 1), ("R_", -1)):
        own = np.isin(template.segment, [i for i, name in enumerate(SEGMENTS) if name.startswith(side)])
        assert (sign * place[own, 1] > -1e-6).all()


def test_two_sides_mirror_each_other(template):
    for bone in ("Forearm", "Hand", "LowerLeg", "Toe"):
        left, right = of(template, f"L_{bone}"), of(template, f"R_{bone}") * [1, -1, 1]
        np.testing.assert_allclose(left.mean(0), right.mean(0), atol=0.015)


def test_normals_point_out_of_the_body(template):
    for name in ("T12", "Head", "L_Forearm", "R_UpperLeg", "L_LowerLeg"):
        offset, normal = of(template, name), of(template, name, "frame")[:, :, 2]
        outward = np.einsum("pi,pi->p", offset - offset.mean(0), normal) > 0
        assert outward.mean() > 0.8, name


def test_tangents_follow_the_limb(template):
    # The forearm's child is the hand: tangents run towards it, along +Y on the left.
    assert np.median(of(template, "L_Forearm", "frame")[:, 1, 0]) > 0.9
    assert np.median(of(template, "R_Forearm", "frame")[:, 1, 0]) < -0.9


def test_surface_frames_follow_equation_1():
    rng = np.random.default_rng(0)
    normals, axes = rng.normal(size=(2, 50, 3))
    frame = surface_frames(normals, axes)
    unit = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    np.testing.assert_allclose(frame[..., 2], unit)
    np.testing.assert_allclose(np.cross(frame[..., 0], frame[..., 1]), frame[..., 2], atol=1e-12)
    # The tangent is the in-plane direction closest to the axis, so the binormal has no share of it.
    np.testing.assert_allclose(np.einsum("pi,pi->p", frame[..., 1], axes), 0, atol=1e-12)
    assert (np.einsum("pi,pi->p", frame[..., 0], axes) > 0).all()
    lost = surface_frames(np.array([[0.0, 0, 1]]), np.array([[0.0, 0, 1]]))
    np.testing.assert_allclose(lost[0].T @ lost[0], np.eye(3), atol=1e-12)


def test_farthest_points_spread_and_never_repeat():
    points = np.repeat(np.random.default_rng(0).normal(size=(40, 3)), 2, axis=0)
    chosen = farthest_points(points, 60)
    assert len(set(chosen.tolist())) == 60
    assert len(np.unique(points[farthest_points(points, 40)], axis=0)) == 40
    with pytest.raises(ValueError, match="cannot choose 81 of 80"):
        farthest_points(points, 81)


def test_scaled_moves_lever_arms_only(template):
    small = template.scaled(1.4)
    np.testing.assert_allclose(small.offset, template.offset * 0.8)
    np.testing.assert_array_equal(small.frame, template.frame)
    assert small.height == 1.4
    with pytest.raises(ValueError, match="height"):
        template.scaled(5.0)


def test_asset_states_its_licence():
    from anymo_hf.simulation.surface import TEMPLATE_FILE

    with safe_open(TEMPLATE_FILE, framework="numpy") as file:
        assert file.metadata()["licence"] == "CC0-1.0"


def test_broken_templates_are_refused(tmp_path, template):
    with pytest.raises(OSError, match="no surface template"):
        load_template(tmp_path / "absent.safetensors")
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(b"not a tensor file")
    with pytest.raises(OSError, match="garbage"):
        load_template(garbage)
    save_file({"segment": np.zeros(3, np.int32)}, tmp_path / "short.safetensors")
    with pytest.raises(ValueError, match="frame"):
        load_template(tmp_path / "short.safetensors")
    with pytest.raises(ValueError, match="ascending"):
        SurfaceTemplate(template.segment[::-1], template.offset, template.frame, 1.75)
    with pytest.raises(ValueError, match="right-handed"):
        SurfaceTemplate(template.segment, template.offset, -template.frame, 1.75)


def ball_man(frames: int = 20, rate: float = 60.0, seed: int = 0) -> BodyMotion:
    """A ball of 42 vertices on every segment, each rigid on its own joint, moving at random."""
    rng = np.random.default_rng(seed)
    origins = tpose_positions(1.75)
    ball = trimesh.creation.icosphere(subdivisions=1, radius=0.05)
    count, joints = len(ball.vertices), len(SEGMENTS)
    time = np.arange(frames)[:, None, None] / rate
    vectors = np.sin(2 * np.pi * rng.uniform(0.3, 2, (1, joints, 3)) * time + rng.uniform(0, 6, (1, joints, 3)))
    rotation = Rotation.from_rotvec(vectors.reshape(-1, 3))
    positions = origins + 0.2 * np.sin(2 * np.pi * rng.uniform(0.3, 2, (1, joints, 3)) * time)
    matrices = rotation.as_matrix().reshape(frames, joints, 3, 3)
    shift = positions - np.einsum("tjik,jk->tji", matrices, origins)
    segment = np.repeat(np.arange(joints), count)
    mesh = PosedMesh(
        rest_vertices=np.concatenate([ball.vertices + origin + [0.0, 0.0, -0.04] for origin in origins]),
        faces=np.concatenate([ball.faces + count * joint for joint in range(joints)]),
        joint_names=SEGMENTS,
        joint_segments=np.arange(joints),
        skin_joints=np.stack([segment, np.zeros_like(segment)], axis=1),
        skin_weights=np.tile([1.0, 0.0], (len(segment), 1)),
        transforms=np.concatenate([matrices, shift[..., None]], axis=-1),
    )
    orientations = rotation.as_quat(scalar_first=True).reshape(frames, joints, 4)
    return BodyMotion(rate, positions, orientations, mesh=mesh)


def test_candidates_of_a_rigid_mesh_are_its_rest_vertices():
    motion = ball_man()
    found = candidates_from_mesh(motion)
    template, mesh = found.template, motion.mesh
    assert np.bincount(template.segment).tolist() == [42] * 23
    # a weight of 0 is no influence, so nothing but its own ball belongs to the pelvis
    np.testing.assert_array_equal(template.segment, found.vertex // 42)
    rest = mesh.rest_vertices[found.vertex] - tpose_positions(1.75)[template.segment]
    np.testing.assert_allclose(template.offset, rest, atol=1e-12)
    outward = rest - [0.0, 0.0, -0.04]
    np.testing.assert_allclose(template.frame[..., 2], outward / 0.05, atol=0.02)
    one = candidates_from_mesh(motion, frames=np.array([3]))
    np.testing.assert_allclose(one.template.offset, rest, atol=1e-12)


def test_top_two_rule_shares_vertices_and_counts_thin_them():
    motion = ball_man()
    mesh, forearm, hand = motion.mesh, SEGMENTS.index("L_Forearm"), SEGMENTS.index("L_Hand")
    joints, weights = np.zeros((len(mesh.rest_vertices), 4), int), np.zeros((len(mesh.rest_vertices), 4))
    joints[:, 0], weights[:, 0] = mesh.skin_joints[:, 0], 1.0
    rows = np.flatnonzero(joints[:, 0] == forearm)[:5]
    joints[rows] = [0, hand, forearm, 3]  # columns need not be sorted by weight
    weights[rows] = [0.1, 0.4, 0.45, 0.05]
    shared = replace(motion, mesh=replace(mesh, skin_joints=joints, skin_weights=weights))
    template = candidates_from_mesh(shared, counts={"Head": 7, "Neck": 999}).template
    counts = np.bincount(template.segment)
    assert counts[forearm] == 42 and counts[hand] == 47 and counts[0] == 42
    assert counts[SEGMENTS.index("Head")] == 7 and counts[SEGMENTS.index("Neck")] == 42


def test_a_mesh_with_fewer_joints_borrows_the_rest(template):
    motion = ball_man()
    joint_segments = np.arange(23)
    joint_segments[SEGMENTS.index("L3")] = SEGMENTS.index("L5")
    fewer = replace(motion, mesh=replace(motion.mesh, joint_segments=joint_segments))
    with pytest.raises(ValueError, match="belongs to L3"):
        candidates_from_mesh(fewer)
    found = candidates_from_mesh(fewer, fallback=template, height=1.75)
    assert (found.vertex[found.template.segment == SEGMENTS.index("L3")] == -1).all()
    np.testing.assert_allclose(of(found.template, "L3"), of(template, "L3"))
    assert len(of(found.template, "L5")) == 84
    with pytest.raises(ValueError, match="no mesh"):
        candidates_from_mesh(replace(motion, mesh=None))
    with pytest.raises(ValueError, match=r"0\.\.19"):
        candidates_from_mesh(motion, frames=np.array([20]))


def test_vertex_normals_agree_with_trimesh():
    mesh = trimesh.creation.box((1.0, 2.0, 3.0)).subdivide()
    vertices = np.stack([mesh.vertices, mesh.vertices @ np.diag([3.0, 1.0, 1.0])])
    for frame, posed in enumerate(vertices):
        loop = np.zeros_like(posed)
        for face in mesh.faces:
            one, two, three = posed[face]
            loop[face] += np.cross(two - one, three - one)
        loop /= np.linalg.norm(loop, axis=1, keepdims=True)
        np.testing.assert_allclose(vertex_normals(vertices, mesh.faces)[frame], loop, atol=1e-12)
        np.testing.assert_allclose(vertex_normals(vertices, mesh.faces, np.array([7, 2]))[frame], loop[[7, 2]])
    sphere = trimesh.creation.icosphere(subdivisions=2)
    normals = vertex_normals(np.asarray(sphere.vertices)[None], sphere.faces)[0]
    np.testing.assert_allclose(normals, sphere.vertices, atol=0.03)


def test_axes_point_to_the_nearest_child_or_away_from_the_parent():
    places = tpose_positions(1.75)
    axes = anatomical_axes(places)
    np.testing.assert_allclose(axes[SEGMENTS.index("L_LowerLeg")], [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(axes[SEGMENTS.index("L_Hand")], [0, 1, 0], atol=1e-12)
    known = np.ones(23, dtype=bool)
    known[SEGMENTS.index("L_Hand")] = False
    np.testing.assert_allclose(anatomical_axes(places, known)[SEGMENTS.index("L_Forearm")], [0, 1, 0], atol=1e-12)
    assert not anatomical_axes(places, known)[SEGMENTS.index("L_Hand")].any()


def test_shaped_bodies_are_seeded_and_alike_on_both_sides(template):
    one = template.shaped(3)
    np.testing.assert_array_equal(one.offset, template.shaped(np.random.default_rng(3)).offset)
    assert np.abs(one.offset - template.shaped(4).offset).max() > 1e-3
    same = template.shaped(3, girth=0.0, own_girth=0.0, bone=0.0)
    np.testing.assert_allclose(same.offset, template.offset, atol=1e-12)
    np.testing.assert_allclose(same.frame, template.frame, atol=1e-9)
    product = np.swapaxes(one.frame, 1, 2) @ one.frame
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), product.shape), atol=1e-9)

    def girth(shaped, side):
        old, new = of(template, f"{side}_LowerLeg"), of(shaped, f"{side}_LowerLeg")
        return np.linalg.norm(new[:, :2]) / np.linalg.norm(old[:, :2])

    pairs = [(girth(template.shaped(seed), "L"), girth(template.shaped(seed), "R")) for seed in range(60)]
    left, right = np.array(pairs).T
    np.testing.assert_allclose(left, right, atol=0.01)
    np.testing.assert_allclose(np.log(left).std(), np.hypot(0.08, 0.03), rtol=0.3)


def test_normals_follow_a_stretched_surface():
    """A body of balls becomes one of ellipsoids, whose normals are known."""
    template = candidates_from_mesh(ball_man()).template
    # points relative to the centre of a ball are its normals
    ball = SurfaceTemplate(template.segment, 0.05 * template.frame[..., 2], template.frame, 1.75)
    shaped = ball.shaped(1, girth=0.3, own_girth=0.0, bone=0.2)
    axis = anatomical_axes(tpose_positions(1.75))[ball.segment]

    def split(vectors):
        along = np.sum(vectors * axis, axis=1, keepdims=True) * axis
        return along, vectors - along

    (old_along, old_across), (new_along, new_across) = split(ball.offset), split(shaped.offset)
    size = np.linalg.norm
    with np.errstate(invalid="ignore", divide="ignore"):
        long = np.nan_to_num(size(new_along, axis=1) / size(old_along, axis=1), nan=1.0, posinf=1.0)
    wide = size(new_across).item() / size(old_across).item()
    steep = np.abs(np.sum(ball.offset * axis, axis=1)) > 1e-3
    normal = old_along / long[:, None] + old_across / wide
    normal /= size(normal, axis=1, keepdims=True)
    np.testing.assert_allclose(shaped.frame[steep, :, 2], normal[steep], atol=1e-6)
