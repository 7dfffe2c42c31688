"""Surface template: Table 5's counts, sane lever arms, Eq. 1 frames, and refusal of broken files."""

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from anymo_hf.modeling.body_graph import SEGMENTS
from anymo_hf.motion.skeleton import tpose_positions
from anymo_hf.simulation.surface import (
    CANDIDATE_COUNTS,
    SurfaceTemplate,
    farthest_points,
    load_template,
    surface_frames,
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
