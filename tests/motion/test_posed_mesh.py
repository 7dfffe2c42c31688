"""A posed mesh follows its joints: rigidly with one, blended with two; bad arrays are refused."""

from dataclasses import replace

import numpy as np
import pytest

from anymo_hf.motion.posed_mesh import PosedMesh


def turned_about_z(angle):
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine, 0, 0], [sine, cosine, 0, 0], [0, 0, 1, 0.0]])


@pytest.fixture
def mesh():
    still = np.concatenate([np.eye(3), np.zeros((3, 1))], axis=1)
    raised = still + np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1.0]])
    return PosedMesh(
        rest_vertices=np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]),
        faces=np.array([[0, 1, 2]]),
        joint_names=("a", "b"),
        joint_segments=np.array([0, -1]),
        skin_joints=np.array([[0, 1], [1, 0], [0, 1]]),
        skin_weights=np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]]),
        transforms=np.stack([np.stack([still, still]), np.stack([turned_about_z(np.pi / 2), raised])]),
    )


def test_vertices_follow_their_joints(mesh):
    posed = mesh.vertices(slice(None))
    np.testing.assert_allclose(posed[0], mesh.rest_vertices)
    np.testing.assert_allclose(posed[1], [[0, 1, 0], [0, 1, 1], [0, 0, 1.5]], atol=1e-12)
    np.testing.assert_allclose(mesh.vertices(np.array([1]), np.array([2])), posed[1:, 2:], atol=0)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("faces", np.array([[0, 1, 3]]), "faces must lie in 0..2"),
        ("skin_joints", np.zeros((2, 2), int), "skin_joints must be"),
        ("skin_weights", np.full((3, 2), 0.2), "sum to 1"),
        ("transforms", np.full((2, 2, 3, 4), np.nan), "transforms must be finite"),
        ("joint_segments", np.array([0]), "joint_segments must be"),
    ],
)
def test_bad_arrays_are_refused(mesh, field, value, message):
    with pytest.raises(ValueError, match=message):
        replace(mesh, **{field: value})
