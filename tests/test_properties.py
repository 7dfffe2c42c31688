"""Properties that hold for any unit, rate, window, rotation, split and batch; Hypothesis looks for an exception."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from anymo_hf.modeling.body_segments import PLACEMENTS, SEGMENTS, WRISTS, resolve_placement
from anymo_hf.modeling.imu_signal import (
    _SPELLINGS,
    ACCELERATION_UNITS,
    ANGULAR_VELOCITY_UNITS,
    known_unit,
    rate_ratio,
    resample,
    resolve_unit,
)
from anymo_hf.modeling.streaming_anymo import AnyMoStream
from anymo_hf.modeling.windows import WindowAnswer, consecutive_spans, equal_spans, hop_spans, join_windows
from anymo_hf.motion.body_motion import BodyMotion
from anymo_hf.motion.procedural import simulate_activity
from anymo_hf.motion.rotations import continuous_quaternions, slerp, to_quaternions
from anymo_hf.simulation.kinematics import placement_signals, rotation_matrices, segment_kinematics

# the same examples on every machine, and as many as a fast test allows
many = settings(max_examples=40, deadline=None, derandomize=True, database=None)
few = settings(max_examples=6, deadline=None, derandomize=True, database=None)
rates = st.floats(5, 1000)
seeds = st.integers(0, 2**31)


def random_signal(seed, count, channels=6):
    rng = np.random.default_rng(seed)
    time = np.arange(count)[:, None]
    return (
        [0, 0, 9.8, 0, 0, 0][:channels]
        + np.sin(time * rng.uniform(0.02, 0.5, channels))
        + rng.normal(0, 0.2, (count, channels))
    )


@many
@given(st.sampled_from([(unit, word) for unit, words in _SPELLINGS.items() for word in words]), seeds)
def test_a_unit_is_known_however_it_is_written(spelled, seed):
    unit, word = spelled
    rng = np.random.default_rng(seed)
    written = "".join(letter.upper() if rng.random() < 0.5 else letter for letter in word)
    written = " " * int(rng.integers(3)) + written.replace("s2", "s²" if rng.random() < 0.5 else "s^2")
    assert known_unit(written) == unit
    known = ACCELERATION_UNITS if unit in ACCELERATION_UNITS else ANGULAR_VELOCITY_UNITS
    assert resolve_unit(written, known, "unit") == unit


@few
@given(
    st.sampled_from(list(ACCELERATION_UNITS)), st.sampled_from(list(ANGULAR_VELOCITY_UNITS)), st.floats(20, 200), seeds
)
def test_a_recording_is_the_same_in_any_unit(tiny_parts, acceleration, turning, rate, seed):
    signal = random_signal(seed, int(2 * rate))
    given_in = signal / np.repeat([ACCELERATION_UNITS[acceleration], ANGULAR_VELOCITY_UNITS[turning]], 3)
    read = tiny_parts[1].feature_extractor.read
    (plain,) = read({"waist": signal}, sampling_rate=rate)
    (other,) = read(
        {"waist": given_in}, sampling_rate=rate, acceleration_unit=acceleration, angular_velocity_unit=turning
    )
    assert list(plain) == list(other) == [resolve_placement("waist")]
    np.testing.assert_allclose(*other.values(), *plain.values(), atol=1e-4)


@many
@given(rates, st.integers(2, 300), st.floats(-50, 50))
def test_what_rests_rests_at_any_rate_and_lasts_as_long(rate, count, level):
    found = resample(np.full((count, 2), level), rate)
    assert len(found) == max(1, round(count * 60 / rate))
    np.testing.assert_allclose(found, level, atol=1e-9)


@many
@given(rates, seeds, st.floats(-5, 5), st.floats(-5, 5))
def test_resampling_is_linear(rate, seed, a, b):
    first, second = random_signal(seed, 200), random_signal(seed + 1, 200)
    mixed = resample(a * first + b * second, rate)
    np.testing.assert_allclose(mixed, a * resample(first, rate) + b * resample(second, rate), atol=1e-8)


@many
@given(st.floats(60, 400), st.floats(0.5, 20), st.floats(0, 6))
def test_a_slow_oscillation_comes_through_at_any_rate(rate, frequency, phase):
    seconds = 3
    time = np.arange(int(seconds * rate)) / rate
    found = resample(np.sin(2 * np.pi * frequency * time + phase)[:, None], rate)[:, 0]
    up, down = rate_ratio(rate)  # a fraction of numbers up to 1,000, so the clock of the result is that near to 60 Hz
    assert abs(up / down * rate / 60 - 1) <= 5.1e-4
    grid = np.arange(len(found)) * down / up / rate
    inside = (grid > 0.5) & (grid < seconds - 0.5)
    wanted = np.sin(2 * np.pi * frequency * grid + phase)
    np.testing.assert_allclose(found[inside], wanted[inside], atol=0.02)


@many
@given(st.integers(1, 5000), st.floats(5, 500), st.floats(1, 10), st.floats(0.01, 1))
def test_windows_leave_nothing_out_and_follow_each_other(samples, rate, window, share):
    hop = max(share * window, 1 / rate)
    spans = hop_spans(samples, rate, window, hop)
    assert all(0 <= start < end <= samples and end - start >= rate - 1 for start, end in spans)
    assert all(first[0] <= second[0] <= first[1] + 1 for first, second in zip(spans, spans[1:], strict=False))
    if spans:
        assert spans[0][0] == 0 and samples - spans[-1][1] < max(rate, hop * rate) + 1
    pieces = equal_spans(samples, window)
    assert pieces[0][0] == 0 and pieces[-1][1] == samples
    assert all(a[1] == b[0] for a, b in zip(pieces, pieces[1:], strict=False))
    assert max(end - start for start, end in pieces) <= np.floor(window * 60 + 1e-6)
    size = int(window * 10)
    parts = consecutive_spans(samples, size, 1)
    assert sum(end - start for start, end in parts) == samples and {end - start for start, end in parts[:-1]} <= {size}


@many
@given(st.integers(1, 12), st.floats(0.2, 1), st.sampled_from([1, 3, 5]), seeds)
def test_a_timeline_fills_its_time_without_overlap(count, hop, smoothing, seed):
    scores = np.random.default_rng(seed).dirichlet([0.3, 0.3, 0.3], count)
    answers = [WindowAnswer(hop * n, hop * n + 1, row) for n, row in enumerate(scores)]
    entries = list(join_windows(answers, ["a", "b", "c"], smoothing))
    assert entries[0].start == 0 and entries[-1].end == answers[-1].end
    assert sum(entry.windows for entry in entries) == count
    for before, after in zip(entries, entries[1:], strict=False):
        assert before.end == after.start and before.activity != after.activity


@many
@given(seeds, st.integers(2, 20))
def test_quaternions_turn_alike_whatever_their_sign(seed, count):
    rng = np.random.default_rng(seed)
    quaternions = Rotation.random(count * 3, rng=rng).as_quat(scalar_first=True).reshape(count, 3, 4)
    flipped = quaternions * rng.choice([-1.0, 1.0], (count, 3, 1))
    found = continuous_quaternions(flipped)
    np.testing.assert_allclose(rotation_matrices(found), rotation_matrices(quaternions), atol=1e-12)
    assert (np.sum(found[1:] * found[:-1], axis=-1) >= 0).all()
    np.testing.assert_allclose(
        rotation_matrices(to_quaternions(rotation_matrices(found))), rotation_matrices(found), atol=1e-9
    )


@many
@given(seeds, st.floats(0, 1))
def test_a_rotation_on_the_way_is_a_rotation_and_ends_are_ends(seed, share):
    first, second = (Rotation.random(3, rng=seed + k).as_matrix() for k in range(2))
    between = slerp(first, second, share)
    np.testing.assert_allclose(between @ between.transpose(0, 2, 1), np.tile(np.eye(3), (3, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(slerp(first, second, 0.0), first, atol=1e-9)
    np.testing.assert_allclose(slerp(first, second, 1.0), second, atol=1e-9)
    # the way there and back meet
    np.testing.assert_allclose(slerp(second, first, 1 - share), between, atol=1e-6)


@many
@given(st.sampled_from([*PLACEMENTS, *WRISTS, *SEGMENTS]), st.sampled_from(["forearm", "hand"]), seeds)
def test_a_place_is_found_however_it_is_written_and_sides_mirror(name, wrist, seed):
    rng = np.random.default_rng(seed)
    index = resolve_placement(name, wrist)
    written = "".join(letter.upper() if rng.random() < 0.5 else letter for letter in name)
    written = f"  {written.replace('_', str(rng.choice([' ', '-', '_'])))} "
    assert resolve_placement(written, wrist) == index
    if name.lower().startswith(("left_", "right_")):
        side, _, place = name.lower().partition("_")
        mirrored = SEGMENTS[resolve_placement(f"{'right' if side == 'left' else 'left'}_{place}", wrist)]
        assert {SEGMENTS[index][:2], mirrored[:2]} <= {"L_", "R_"} or SEGMENTS[index] == mirrored
        assert SEGMENTS[index][2:] == mirrored[2:]


@pytest.fixture(scope="module")
def walk():
    return simulate_activity("walking", 3, 2.0, 60)


@few
@given(st.floats(-np.pi, np.pi), st.floats(-100, 100), seeds)
def test_a_world_turned_about_gravity_and_shifted_changes_no_reading(walk, angle, shift, seed):
    turn = Rotation.from_euler("z", angle)
    quaternions = (turn * Rotation.from_quat(walk.orientations.reshape(-1, 4), scalar_first=True)).as_quat(
        scalar_first=True
    )
    moved = BodyMotion(60, walk.positions @ turn.as_matrix().T + shift, quaternions.reshape(walk.orientations.shape))
    rng = np.random.default_rng(seed)
    place = (rng.integers(0, 23, 4), rng.normal(0, 0.1, (4, 3)), Rotation.random(4, rng=rng).as_matrix())
    here, there = (placement_signals(segment_kinematics(motion), *place) for motion in (walk, moved))
    np.testing.assert_allclose(there, here, atol=1e-6)


@few
@given(st.lists(st.integers(80, 200), min_size=2, max_size=4), st.sampled_from([30.0, 50.0, 60.0]), seeds)
def test_codes_of_a_padded_batch_are_those_of_each_alone(tiny_parts, counts, rate, seed):
    extractor = tiny_parts[1].feature_extractor
    places = ("left_wrist", "waist", "right_thigh")
    batch = [
        {place: random_signal(seed + row + k, count) for k, place in enumerate(places[: 1 + row % 3])}
        for row, count in enumerate(counts)
    ]
    together = extractor(batch, sampling_rate=rate)
    for row, recording in enumerate(batch):
        alone = extractor(recording, sampling_rate=rate)["imu_codes"][0]
        codes = np.asarray(together["imu_codes"][row])
        mask = np.asarray(together["imu_code_mask"][row], bool) if "imu_code_mask" in together else slice(None)
        np.testing.assert_array_equal(codes[mask], np.asarray(alone))


@few
@given(st.lists(st.integers(0, 150), max_size=6), st.sampled_from([25.0, 50.0, 64.0]), seeds)
def test_a_stream_gives_the_same_however_it_is_split(tiny_parts, cuts, rate, seed):
    signal = random_signal(seed, 150)

    def events(bounds):
        stream = AnyMoStream(*tiny_parts, "waist", rate, window=1.0, hop=0.7, embeddings=False)
        return [
            event for start, end in zip(bounds, bounds[1:], strict=False)
            for event in stream.push({"waist": signal[start:end]})
        ]  # fmt: skip

    whole, split = events([0, 150]), events([0, *sorted(cuts), 150])
    assert len(whole) == len(split) > 0
    for one, other in zip(whole, split, strict=True):
        assert (one.start, one.end) == (other.start, other.end)
        np.testing.assert_array_equal(one.codes, other.codes)
