"""Placement views: equal to the exact per-placement signals, rotated alike, seeded, and soft where asked."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from anymo_hf.simulation.kinematics import SegmentKinematics, placement_signals
from anymo_hf.simulation.surface import load_template
from anymo_hf.simulation.views import ViewOptions, body_for, draw_mountings, sample_views, stack_terms

PLAIN = ViewOptions(tilt_degrees=0, in_plane_degrees=0, noise=False)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def template():
    return load_template()


@pytest.fixture(scope="module")
def terms():
    draw = torch.Generator().manual_seed(7)
    shape = (3, 40, 23)
    force = torch.randn(*shape, 3, generator=draw) * 3 + torch.tensor([0.0, 0.0, 9.8])
    return force, torch.randn(*shape, 3, 3, generator=draw) * 20, torch.randn(*shape, 3, generator=draw)


def candidate_signals(terms, template, window, segment):
    kinematics = SegmentKinematics(*(term[window].double().numpy() for term in terms), 60.0)
    rows = np.flatnonzero(template.segment == segment)
    return placement_signals(kinematics, template.segment[rows], template.offset[rows], template.frame[rows])


def test_unrotated_views_are_one_candidate_each(terms, template):
    views = sample_views(stack_terms(*terms), template, generator(), PLAIN).double().numpy()
    assert views.shape == (3, 40, 23, 6)
    for window, segment in ((0, 0), (1, 9), (2, 22)):
        exact = candidate_signals(terms, template, window, segment)
        error = np.abs(exact - views[window, :, segment][:, None]).max(axis=(0, 2))
        assert error.min() < 1e-4 < np.sort(error)[1]


def mounting_of(terms, template, options, seed=0):
    """Rotation from unrotated to mounted signals (same candidates, since they are drawn first) and the fit error."""
    plain = sample_views(stack_terms(*terms), template, generator(seed), PLAIN).double().numpy()
    mounted = sample_views(stack_terms(*terms), template, generator(seed), options).double().numpy()
    rotations = []
    for window in range(3):
        for segment in range(23):
            one, two = plain[window, :, segment], mounted[window, :, segment]
            rotation = np.linalg.lstsq(one[:, :3], two[:, :3], rcond=None)[0]
            np.testing.assert_allclose(one[:, :3] @ rotation, two[:, :3], atol=1e-4)
            # Accelerometer and gyroscope sit in one case: they turn alike.
            np.testing.assert_allclose(one[:, 3:] @ rotation, two[:, 3:], atol=1e-4)
            np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-4)
            assert np.linalg.det(rotation) > 0
            rotations.append(rotation)
    return np.array(rotations)


def test_mounting_is_in_plane_turn_plus_small_tilt(terms, template):
    turns = mounting_of(terms, template, ViewOptions(tilt_degrees=0, noise=False))
    np.testing.assert_allclose(turns[:, 2, 2], 1.0, atol=1e-4)
    angles = np.arctan2(turns[:, 1, 0], turns[:, 0, 0])
    assert angles.min() < -2 and angles.max() > 2
    tilted = mounting_of(terms, template, ViewOptions(tilt_degrees=10, noise=False))
    lean = np.degrees(np.arccos(np.clip(tilted[:, 2, 2], -1, 1)))
    assert 5 < lean.max() < 14.2


def test_flip_turns_the_normal_over_and_any_rotation_reaches_everywhere(terms, template):
    flipped = mounting_of(terms, template, ViewOptions(tilt_degrees=0, flip_probability=1.0, noise=False))
    np.testing.assert_allclose(flipped[:, 2, 2], -1.0, atol=1e-4)
    half = mounting_of(terms, template, ViewOptions(tilt_degrees=0, flip_probability=0.5, noise=False))
    assert 0.25 < (half[:, 2, 2] < 0).mean() < 0.75
    free = mounting_of(terms, template, ViewOptions(any_rotation=True, noise=False))
    assert np.abs(free.mean(axis=0)).max() < 0.25
    # upright mountings but for about half, whose normal may point anywhere
    some = mounting_of(terms, template, ViewOptions(tilt_degrees=0, any_rotation=0.5, noise=False))
    assert 0.25 < (some[:, 2, 2] < 0.999).mean() < 0.75


def test_candidates_are_drawn_from_the_whole_segment(template):
    force = torch.zeros(600, 1, 23, 3)
    lever = torch.eye(3).expand(600, 1, 23, 3, 3)
    options = ViewOptions(tilt_degrees=0, in_plane_degrees=0, noise=False)
    views = sample_views(stack_terms(force, lever, force), template, generator(), options, segments=[9])
    # With f = 0 and M = I a view reads the lever arm in sensor axes; its length tells candidates apart.
    lengths = np.unique(np.linalg.norm(views[:, 0, 0, :3], axis=-1).round(5))
    rows = template.segment == 9
    known = np.unique(np.linalg.norm(template.offset[rows], axis=-1).round(5))
    assert len(lengths) > 0.9 * len(known)
    assert np.abs(lengths[:, None] - known).min(axis=1).max() < 3e-5


def test_seed_decides_everything_and_noise_is_on_by_default(terms, template):
    options = ViewOptions(soft_attachment=0.5, flip_probability=0.3)
    one = sample_views(stack_terms(*terms), template, generator(1), options)
    assert torch.equal(one, sample_views(stack_terms(*terms), template, generator(1), options))
    assert not torch.equal(one, sample_views(stack_terms(*terms), template, generator(2), options))
    clean = sample_views(stack_terms(*terms), template, generator(1), ViewOptions(noise=False))
    noisy = sample_views(stack_terms(*terms), template, generator(1))
    assert noisy.dtype == torch.float32 and torch.isfinite(noisy).all()
    assert 1e-3 < (noisy - clean).abs().mean() < 1.0


def test_segment_subset(terms, template):
    views = sample_views(stack_terms(*terms), template, generator(), PLAIN, segments=[13, 9])
    assert views.shape == (3, 40, 2, 6)
    exact = candidate_signals(terms, template, 0, 13)
    assert np.abs(exact - views[0, :, 0].double().numpy()[:, None]).max(axis=(0, 2)).min() < 1e-4


def softened(acceleration, template):
    """Magnitude-preserving read-out of one axis through a soft attachment that is always on."""
    batch, frames = acceleration.shape
    force = torch.zeros(batch, frames, 23, 3)
    force[..., 0] = acceleration[:, :, None]
    zero = torch.zeros(batch, frames, 23, 3)
    lever = torch.zeros(batch, frames, 23, 3, 3)
    options = ViewOptions(soft_attachment=True, noise=False)
    return sample_views(stack_terms(force, lever, zero), template, generator(), options)[..., :3].norm(dim=-1)


def test_soft_attachment_keeps_gravity_rings_and_damps(template):
    time = torch.arange(240) / 60.0
    still = softened(torch.full((2, 240), 9.81), template)
    torch.testing.assert_close(still, torch.full_like(still, 9.81), atol=1e-4, rtol=0)
    slow = torch.sin(2 * torch.pi * 0.5 * time).repeat(2, 1)
    # Below a tenth of the lowest natural frequency the gain 1 / (1 - q^2) stays within 1 %.
    torch.testing.assert_close(
        softened(slow, template)[:, 30:-30], slow.abs()[:, 30:-30, None].expand(2, -1, 23), atol=0.03, rtol=0
    )  # noqa: E501
    knock = torch.zeros(2, 240)
    knock[:, 120] = 10.0
    rung = softened(knock, template)
    assert (rung[:, 121:140].max(dim=1).values > 0.5).all()
    assert rung[:, 200:].max() < 0.3 and rung[:, :115].max() < 0.8


def test_a_wobbling_sensor_leans_as_its_gyroscope_says_and_keeps_the_force(template):
    time = torch.arange(240) / 60
    force = torch.zeros(2, 240, 23, 3)
    force[..., 2], force[..., 0] = 9.81, (3 * torch.sin(2 * torch.pi * 1.5 * time))[None, :, None]
    terms = (force, torch.zeros(2, 240, 23, 3, 3), torch.zeros(2, 240, 23, 3))
    plain, wobbling = (
        sample_views(stack_terms(*terms), template, generator(3), ViewOptions(0.0, 0.0, noise=False, wobble=chance))
        for chance in (0.0, 1.0)
    )
    rate = wobbling[..., 3:]
    assert plain[..., 3:].abs().max() == 0 and 0.01 < rate.std() < 1.0
    # turning back by the integrated gyroscope, to first order, gives the force of the still sensor up to a constant lean
    angle = torch.cumsum(rate, dim=1) / 60
    angle = angle - angle.mean(1, keepdim=True)
    upright = wobbling[..., :3] + torch.cross(angle, wobbling[..., :3], dim=-1)
    before = (wobbling[..., :3] - plain[..., :3]).std()
    assert (upright - plain[..., :3]).std() < 0.35 * before


def test_a_still_sensor_does_not_wobble(template):
    force = torch.zeros(1, 120, 23, 3)
    force[..., 2] = 9.81
    terms = (force, torch.zeros(1, 120, 23, 3, 3), torch.zeros(1, 120, 23, 3))
    signal = sample_views(stack_terms(*terms), template, generator(), ViewOptions(noise=False, wobble=1.0))
    assert signal[..., 3:].abs().max() < 1e-4


def test_a_belt_levels_normals_on_the_trunk_only(template):
    force = torch.zeros(200, 4, 23, 3)
    force[..., 2] = 9.81
    terms = (force, torch.zeros(200, 4, 23, 3, 3), torch.zeros(200, 4, 23, 3))
    normal_share = {}
    for chance in (0.0, 1.0):
        options = ViewOptions(0.0, 180.0, noise=False, belt=chance)
        normal_share[chance] = (
            sample_views(stack_terms(*terms), template, generator(1), options)[:, 0, :, 2].abs() / 9.81
        )
    assert normal_share[1.0][:, :3].median() < 1e-4 < 0.05 < normal_share[0.0][:, :3].median()
    torch.testing.assert_close(normal_share[1.0][:, 5:].mean(), normal_share[0.0][:, 5:].mean(), atol=0.02, rtol=0)


# two thighs and a shank
@pytest.mark.parametrize(("segment", "top", "bottom"), [(15, 0.15, 0.55), (19, 0.15, 0.55), (16, 0.0, 1.0)])
def test_pockets_are_below_the_hip_and_on_thighs_only(template, segment, top, bottom):
    still, lever = torch.zeros(600, 2, 23, 3), torch.zeros(600, 2, 23, 3, 3)
    lever[..., 0, 2] = 1.0  # the force reads the height of the candidate below the joint
    options = ViewOptions(tilt_degrees=0, in_plane_degrees=0, noise=False, pocket=1.0)
    views = sample_views(stack_terms(still, lever, still), template, generator(), options, [segment])
    depth = views[:, 0, 0, :3].norm(dim=-1).numpy()
    depths = np.sort(np.abs(template.offset[template.segment == segment, 2]))
    allowed = depths[int(top * len(depths)) : int(np.ceil(bottom * len(depths)))]
    assert allowed.max() * 0.9 < depth.max() <= allowed.max() + 1e-5
    assert allowed.min() - 1e-5 <= depth.min() < allowed.min() + 0.02


def test_a_joint_mounted_sensor_is_ideal_and_sits_in_the_segment_frame(terms, template):
    everything = {"soft_attachment": 1.0, "wobble": 1.0, "belt": 1.0, "pocket": 1.0, "flip_probability": 1.0,
                  "any_rotation": True, "noise": True}  # fmt: skip
    views = sample_views(stack_terms(*terms), template, generator(), ViewOptions(mounting="joint", **everything))
    assert views.shape == (3, 40, 23, 6)
    for window in range(3):
        kinematics = SegmentKinematics(*(term[window].double().numpy() for term in terms), 60.0)
        # the exact signals of sensors without a lever arm, in segment axes
        exact = placement_signals(kinematics, np.arange(23), np.zeros((23, 3)), np.tile(np.eye(3), (23, 1, 1)))
        np.testing.assert_allclose(views[window].double().numpy(), exact, atol=1e-6)
    some = sample_views(stack_terms(*terms), template, generator(5), ViewOptions(mounting="joint"), segments=[9, 2])
    assert torch.equal(some, views[:, :, [9, 2]])


def test_bad_input_is_refused(terms, template):
    with pytest.raises(ValueError, match=r"\(B, 23, 15, T\)"):
        sample_views(stack_terms(*terms)[:, :, :14], template, generator())
    with pytest.raises(ValueError, match=r"scale must be \(B,\)"):
        sample_views(stack_terms(*terms), template, generator(), scale=torch.ones(2))
    with pytest.raises(ValueError, match=r"0\.\.22"):
        sample_views(stack_terms(*terms), template, generator(), segments=[23])
    with pytest.raises(ValueError, match="tilt_degrees"):
        ViewOptions(tilt_degrees=-1)
    with pytest.raises(ValueError, match="flip_probability"):
        ViewOptions(flip_probability=2)
    with pytest.raises(ValueError, match="toaster"):
        ViewOptions(noise=["toaster"])
    with pytest.raises(ValueError, match="mounting must be surface or joint, got 'glued'"):
        ViewOptions(mounting="glued")


def test_views_of_a_pair_are_independent_draws_of_the_same_placements_and_devices(terms, template):
    stacked = stack_terms(*terms)
    options = ViewOptions(soft_attachment=0.5, wobble=0.7, belt=0.6, pocket=0.7)
    pair = sample_views(stacked, template, generator(1), options, views=2)
    assert pair.shape == (2, 3, 40, 23, 6) and not torch.allclose(pair[0], pair[1], atol=0.1)
    assert torch.equal(sample_views(stacked, template, generator(1), options, views=1)[0],
                       sample_views(stacked, template, generator(1), options))  # fmt: skip
    some = sample_views(stacked, template, generator(1), PLAIN, segments=[13, 9], views=3)
    assert some.shape == (3, 3, 40, 2, 6)
    for view in some:  # each a candidate of its own segment
        for place, segment in enumerate((13, 9)):
            exact = candidate_signals(terms, template, 0, segment)
            assert np.abs(exact - view[0, :, place].double().numpy()[:, None]).max(axis=(0, 2)).min() < 1e-4
    ideal = sample_views(stacked, template, generator(1), ViewOptions(mounting="joint"), views=2)
    assert torch.equal(ideal[0], ideal[1]) and ideal.shape == pair.shape
    with pytest.raises(ValueError, match="views must be at least 1"):
        sample_views(stacked, template, generator(), views=0)


def test_a_body_has_a_shape_of_its_own_where_that_is_asked_for(template):
    plain, shaped = (body_for(template, 1.6, ViewOptions(body_shapes=on), 5) for on in (False, True))
    np.testing.assert_array_equal(plain.offset, template.scaled(1.6).offset)
    np.testing.assert_array_equal(shaped.offset, template.scaled(1.6).shaped(5).offset)
    assert np.abs(shaped.offset - plain.offset).max() > 0.002


def test_mountings_turn_about_the_normal_and_then_lean():
    options = ViewOptions(tilt_degrees=20.0, in_plane_degrees=90.0)
    draw = 2 * torch.rand(3, 4, 23, generator=generator(3)) - 1
    degrees = np.stack([90 * draw[0], 20 * draw[1], 20 * draw[2]], axis=-1).reshape(-1, 3)
    wanted = Rotation.from_euler("ZXY", degrees, degrees=True).as_matrix().reshape(4, 23, 3, 3)
    np.testing.assert_allclose(draw_mountings(4, 23, generator(3), options).numpy(), wanted, atol=1e-6)
