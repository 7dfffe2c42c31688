"""What must hold for any motion: symmetries of the world, rest, time reversal, bandwidth, and the fast form's exactness."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from anymo_hf.motion.body_motion import BodyMotion
from anymo_hf.simulation.kinematics import placement_signals, segment_kinematics, trajectory_signals
from anymo_hf.simulation.surface import load_template

G = np.array([0.0, 0.0, -9.80665])
NAMES = ("specific_force", "lever", "angular_velocity")


def moving(rate: float, seconds: float = 2.0, seed: int = 0, fast: float = 0.0) -> BodyMotion:
    """Random slow motion; `fast` adds that much acceleration (m/s²) at 40 to 110 Hz."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate) + 1)[:, None, None] / rate

    def wave(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
        omega = 2 * np.pi * rng.uniform(low, high, (1, 23, 3))
        return omega, np.sin(omega * time + rng.uniform(0, 6, (1, 23, 3)))

    positions = 0.3 * wave(0.3, 2)[1]
    vectors = 1.5 * wave(0.3, 2)[1]
    omega, sine = wave(40, 110)
    positions = positions + fast / omega**2 * sine
    orientations = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_quat(scalar_first=True)
    return BodyMotion(rate, positions, orientations.reshape(*vectors.shape[:2], 4))


@pytest.fixture(scope="module")
def template():
    return load_template()


@pytest.mark.parametrize("rate", [30.0, 60.0, 100.0, 240.0])
def test_the_world_may_turn_about_gravity_and_move(rate):
    motion = moving(rate)
    turn = Rotation.from_euler("z", 2.1)
    flat = Rotation.from_quat(motion.orientations.reshape(-1, 4), scalar_first=True)
    moved = BodyMotion(
        rate,
        turn.apply(motion.positions.reshape(-1, 3)).reshape(motion.positions.shape) + [5.0, -3.0, 1.0],
        (turn * flat).as_quat(scalar_first=True).reshape(motion.orientations.shape),
    )
    one, two = segment_kinematics(motion), segment_kinematics(moved)
    for name in NAMES:
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), atol=1e-6, err_msg=name)


@pytest.mark.parametrize("rate", [30.0, 60.0, 240.0])
def test_rest_reads_one_g_along_true_up_in_every_mounting(rate, template):
    pose = Rotation.random(23, random_state=1)
    motion = BodyMotion(rate, np.ones((60, 23, 3)), np.tile(pose.as_quat(scalar_first=True), (60, 1, 1)))
    mounting = Rotation.random(len(template.segment), random_state=2).as_matrix()
    frame = template.frame @ mounting
    signals = placement_signals(segment_kinematics(motion), template.segment, template.offset, frame)
    up = np.einsum("pij,tpj->tpi", pose.as_matrix()[template.segment] @ frame, signals[..., :3])
    np.testing.assert_allclose(up, np.broadcast_to(-G, up.shape), atol=1e-6)
    np.testing.assert_allclose(signals[..., 3:], 0, atol=1e-9)


@pytest.mark.parametrize(("rate", "edge"), [(60.0, 1), (30.0, 1), (240.0, 12)])
def test_time_reversal_flips_turning_and_keeps_acceleration(rate, edge):
    motion = moving(rate)
    back = segment_kinematics(BodyMotion(rate, motion.positions[::-1], motion.orientations[::-1]))
    forth = segment_kinematics(motion)
    inner = slice(edge, -edge)
    for name, sign in zip(NAMES, (1, 1, -1), strict=True):
        one, two = getattr(forth, name)[inner], sign * getattr(back, name)[::-1][inner]
        tolerance = 1e-6 if rate <= 60 else 1e-3  # a filter starts from either end
        np.testing.assert_allclose(one, two, atol=tolerance * np.abs(one).max(), err_msg=name)


def test_motion_above_the_low_pass_leaves_almost_nothing():
    """Stated gain: under 1 % above 33 Hz. Of motion above 40 Hz under 1e-4 of the energy may fold back."""
    slow, shaken = segment_kinematics(moving(240.0, 4.0)), segment_kinematics(moving(240.0, 4.0, fast=20.0))
    inner = slice(24, -24)
    residue = (shaken.specific_force - slow.specific_force)[inner]
    left = np.mean(np.square(residue).sum(-1))
    assert left < 1e-4 * 3 * 20.0**2 / 2
    # taking every fourth frame first keeps many times that
    bare = [moving(240.0, 4.0, fast=fast) for fast in (0.0, 20.0)]
    one, two = (segment_kinematics(BodyMotion(60.0, m.positions[::4], m.orientations[::4])) for m in bare)
    assert np.mean(np.square(two.specific_force - one.specific_force)[inner].sum(-1)) > 10 * left


def test_slow_motion_leaves_no_fast_residue():
    """A motion of at most 2 Hz holds under a millionth of its dynamic energy above 24 Hz."""
    terms = segment_kinematics(moving(240.0, 8.0))
    inner = terms.specific_force[30:-30]
    inner = inner - inner.mean(axis=0)
    window = np.hanning(len(inner))[:, None, None]
    energy = np.square(np.abs(np.fft.rfft(inner * window, axis=0))).sum(axis=(1, 2))
    frequency = np.fft.rfftfreq(len(inner), 1 / 60)
    assert energy[frequency > 24].sum() < 1e-6 * energy.sum()


def direct(motion: BodyMotion, segment: int, offset: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """One placement's own trajectory differentiated by itself: scipy's rotations, the stated operators."""
    rate = motion.frame_rate
    body = Rotation.from_quat(motion.orientations[:, segment], scalar_first=True)
    track, sensor = motion.positions[:, segment] + body.apply(offset), body * Rotation.from_matrix(frame)
    second = np.empty_like(track)
    second[1:-1] = (track[2:] - 2 * track[1:-1] + track[:-2]) * rate**2
    second[0], second[-1] = second[1], second[-2]
    steps = (sensor[:-1].inv() * sensor[1:]).as_rotvec() * rate
    turning = np.concatenate([steps[:1], (steps[1:] + steps[:-1]) / 2, steps[-1:]])
    signal = np.concatenate([sensor.inv().apply(second - G), turning], axis=1)
    if rate == 60:
        return signal
    # zeros between samples, a windowed sinc of 10 zero crossings at 60 Hz that keeps constants, then every n-th sample
    ratio = Fraction(60 / rate).limit_denominator(1000)
    up, half = ratio.numerator, 10 * ratio.denominator
    taps = np.sinc(np.arange(-half, half + 1) * 60 / (rate * up)) * np.kaiser(2 * half + 1, 5.0)
    reach = half // up + 1
    for phase in range(up):
        taps[phase::up] /= taps[phase::up].sum()
    stuffed = np.zeros((up * (len(signal) + 2 * reach), 6))
    stuffed[::up] = np.pad(signal, ((reach, reach), (0, 0)), mode="edge")
    filtered = np.stack([np.convolve(column, taps, "same") for column in stuffed.T], axis=1)
    count = int((len(signal) - 1) / rate * 60 + 1e-6) + 1
    return filtered[reach * up :: ratio.denominator][:count]


@pytest.mark.parametrize("rate", [60.0, 100.0, 120.0, 240.0])
def test_fast_form_equals_direct_differentiation(rate, template):
    motion = moving(rate)
    rows = np.arange(0, len(template.segment), 61)
    fast = placement_signals(
        segment_kinematics(motion), template.segment[rows], template.offset[rows], template.frame[rows]
    )
    for column, row in enumerate(rows):
        slow = direct(motion, template.segment[row], template.offset[row], template.frame[row])
        for part in (slice(0, 3), slice(3, 6)):
            scale = np.abs(slow[:, part]).max()
            np.testing.assert_allclose(fast[:, column, part], slow[:, part], rtol=0, atol=1e-9 * scale)


@pytest.mark.parametrize("rate", [60.0, 240.0])
def test_trajectory_signals_are_the_fast_form_of_a_moved_origin(rate, template):
    motion = moving(rate)
    rows = np.arange(0, len(template.segment), 201)
    body = Rotation.from_quat(motion.orientations[:, template.segment[rows]].reshape(-1, 4), scalar_first=True)
    shape = (len(motion.positions), len(rows))
    offset = np.broadcast_to(template.offset[rows], (*shape, 3)).reshape(-1, 3)
    frame = Rotation.from_matrix(np.broadcast_to(template.frame[rows], (*shape, 3, 3)).reshape(-1, 3, 3))
    track = motion.positions[:, template.segment[rows]] + body.apply(offset).reshape(*shape, 3)
    sensors = (body * frame).as_quat(scalar_first=True).reshape(*shape, 4)
    found = trajectory_signals(track, sensors, rate)
    fast = placement_signals(
        segment_kinematics(motion), template.segment[rows], template.offset[rows], template.frame[rows]
    )
    np.testing.assert_allclose(found, fast, rtol=0, atol=1e-9 * np.abs(fast).max())
