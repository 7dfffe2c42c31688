"""Soft placements: equal to rigid ones on rigid skin, and true to a skin that slides."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from anymo_hf.motion.body_motion import BodyMotion
from anymo_hf.motion.posed_mesh import PosedMesh
from anymo_hf.simulation.kinematics import placement_signals, segment_kinematics
from anymo_hf.simulation.soft_placement import soft_placement_signals
from anymo_hf.simulation.surface import candidates_from_mesh


def one_ball_each(rate: float, seconds: float = 1.0) -> BodyMotion:
    """A ball rigid on every segment, and a motion of all of them."""
    rng = np.random.default_rng(0)
    ball = trimesh.creation.icosphere(subdivisions=1, radius=0.06)
    time = np.arange(int(seconds * rate) + 1)[:, None, None] / rate

    def wave() -> np.ndarray:
        return np.sin(2 * np.pi * rng.uniform(0.3, 2, (1, 23, 3)) * time + rng.uniform(0, 6, (1, 23, 3)))

    positions, rotation = wave(), Rotation.from_rotvec(wave().reshape(-1, 3))
    shape = positions.shape[:2]
    places = rng.normal(size=(23, 3))  # the rest space has its joints at 0, so a pose is all a transform is
    segment = np.repeat(np.arange(23), len(ball.vertices))
    mesh = PosedMesh(
        rest_vertices=np.concatenate([ball.vertices + 0.1 * place for place in places]),
        faces=np.concatenate([ball.faces + len(ball.vertices) * joint for joint in range(23)]),
        joint_names=tuple(map(str, range(23))),
        joint_segments=np.arange(23),
        skin_joints=segment[:, None],
        skin_weights=np.ones((len(segment), 1)),
        transforms=np.concatenate([rotation.as_matrix().reshape(*shape, 3, 3), positions[..., None]], axis=-1),
    )
    return BodyMotion(rate, positions, rotation.as_quat(scalar_first=True).reshape(*shape, 4), mesh=mesh)


@pytest.mark.parametrize("rate", [60.0, 240.0])
def test_rigid_skin_reads_as_a_rigid_lever_arm(rate, monkeypatch):
    motion = one_ball_each(rate)
    found = candidates_from_mesh(motion)
    # a tangent turns fast near the poles of the axis, where rounding shows; leave those out
    rows = np.flatnonzero(
        np.abs(np.einsum("pi,pi->p", found.template.frame[..., 2], found.axis[found.template.segment])) < 0.98
    )
    rows = rows[::11]
    body = found.template
    rigid = placement_signals(segment_kinematics(motion), body.segment[rows], body.offset[rows], body.frame[rows])
    soft = soft_placement_signals(motion, found.vertex[rows], body.segment[rows], found.axis)
    np.testing.assert_allclose(soft, rigid, rtol=0, atol=1e-7 * np.abs(rigid).max())
    monkeypatch.setattr("anymo_hf.simulation.soft_placement._CHUNK", 5000)
    parts = soft_placement_signals(motion, found.vertex[rows], body.segment[rows], found.axis)
    np.testing.assert_allclose(parts, soft, atol=1e-9)


def test_skin_that_shakes_is_felt_by_soft_sensors_only():
    motion = one_ball_each(60.0)
    still = replace(
        motion,
        positions=np.zeros_like(motion.positions),
        orientations=np.tile([1.0, 0, 0, 0], (*motion.positions.shape[:2], 1)),
    )
    time = np.arange(len(motion.positions)) / 60
    transforms = np.tile(np.eye(3, 4), (len(time), 23, 1, 1))
    transforms[:, 6, 0, 3] = 0.01 * np.sin(2 * np.pi * 3 * time)  # the skin of the head slides along x
    shaking = replace(still, mesh=replace(motion.mesh, transforms=transforms))
    found = candidates_from_mesh(shaking)
    rows = np.flatnonzero(found.template.segment == 6)[::9]
    segment = found.template.segment[rows]
    soft = soft_placement_signals(shaking, found.vertex[rows], segment, found.axis)
    world = np.einsum("pij,tpj->tpi", found.template.frame[rows], soft[..., :3])
    expected = -0.01 * (2 * np.pi * 3) ** 2 * np.sin(2 * np.pi * 3 * time)
    np.testing.assert_allclose(
        world[1:-1, :, 0], expected[1:-1, None] * np.ones(len(rows)), atol=0.02 * np.abs(expected).max()
    )
    np.testing.assert_allclose(world[..., 2], 9.80665, atol=1e-6)
    rigid = placement_signals(
        segment_kinematics(shaking), segment, found.template.offset[rows], found.template.frame[rows]
    )
    assert rigid[..., :3].std(axis=0).max() < 1e-9


def test_bad_input_is_refused():
    motion = one_ball_each(60.0, 0.2)
    axis = np.tile([0.0, 0.0, 1.0], (23, 1))
    with pytest.raises(ValueError, match="no mesh"):
        soft_placement_signals(replace(motion, mesh=None), np.array([0]), np.array([0]), axis)
    with pytest.raises(ValueError, match="vertex must lie in"):
        soft_placement_signals(motion, np.array([-1]), np.array([0]), axis)
    with pytest.raises(ValueError, match="segment must lie in"):
        soft_placement_signals(motion, np.array([0]), np.array([23]), axis)
    with pytest.raises(ValueError, match=r"\(23, 3\)"):
        soft_placement_signals(motion, np.array([0]), np.array([0]), axis[:5])
