"""The network of `method="full"`: it learns, ignores padding, and its invariant channels stay as the device turns."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from anymo_hf import AnyMoProcessor
from anymo_hf.modeling.collator_anymo import turn_devices
from anymo_hf.modeling.feature_extraction_anymo import stack_recordings
from anymo_hf.systems.window_network import NetworkSettings, class_scores, signal_channels, train_network

RELEASE = str(Path(__file__).parents[2] / "anymo")
WAIST = 0


@pytest.fixture(scope="module")
def encoder():
    return AnyMoProcessor.from_pretrained(RELEASE).feature_extractor.stgcn


def shaken(count, hz, seed, frames=72):
    """Windows at 60 Hz: gravity along z, shaken along it."""
    rng = np.random.default_rng(seed)
    signals = 0.1 * rng.normal(size=(count, frames, 6))
    phase = rng.uniform(0, 6, (count, 1))
    signals[:, :, 2] += 9.81 + 3 * np.sin(2 * np.pi * hz * np.arange(frames) / 60 + phase)
    return [{WAIST: signal} for signal in signals]


@pytest.fixture(scope="module")
def learned(encoder):
    windows, target = shaken(12, 1.5, 0) + shaken(12, 4, 1), np.repeat([0, 1], 12)
    settings = NetworkSettings(steps=24, batch_size=12)
    return [train_network(encoder, windows, target, 2, settings, seed) for seed in (3, 3, 4)]


@pytest.mark.slow
def test_it_learns_and_the_seed_decides(learned, encoder):
    fresh = shaken(8, 1.5, 7) + shaken(8, 4, 8)
    first, again, other = (class_scores(network, fresh) for network in learned)
    assert (first.argmax(1) == np.repeat([0, 1], 8)).mean() >= 0.9
    np.testing.assert_allclose(np.exp(first).sum(1), 1)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    before, after = next(encoder.parameters()), next(learned[0].encoder.parameters())
    assert after is not before and not torch.equal(before, after)  # the encoder's copy learned, the checkpoint did not


@pytest.mark.slow
def test_a_window_does_not_mind_longer_ones_beside_it(learned):
    short, long = shaken(1, 4, 5, frames=66), shaken(1, 4, 6, frames=150)
    np.testing.assert_allclose(class_scores(learned[0], short + long)[0], class_scores(learned[0], short)[0], atol=1e-4)


def test_channels_are_what_numpy_says_and_some_stay_as_the_device_turns():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(40, 6)) + [1, 2, 9, 0, 0, 0]
    real = torch.arange(50)[None] < 40
    padded = np.pad(signal, ((0, 10), (0, 0)))
    found = signal_channels(torch.tensor(padded)[None, :, None], real, False)[0, :40].numpy()
    up = signal[:, :3].mean(0) / np.linalg.norm(signal[:, :3].mean(0))
    along = signal[:, :3] @ up
    across = np.linalg.norm(signal[:, :3] - along[:, None] * up, axis=1)
    lengths = np.linalg.norm(signal[:, :3], axis=1), np.linalg.norm(signal[:, 3:], axis=1)
    expected = np.column_stack([signal, *lengths, along, across, signal[:, 3:] @ up])
    np.testing.assert_allclose(found, expected)
    turn = Rotation.random(rng=1).as_matrix()
    turned = (padded.reshape(50, 2, 3) @ turn.T).reshape(50, 1, 6)
    np.testing.assert_allclose(signal_channels(torch.tensor(turned)[None], real, True)[0, :40].numpy(), expected[:, 6:])


@pytest.mark.parametrize("degrees", [10.0, 180.0])
def test_devices_are_turned_each_on_its_own_and_by_no_more(degrees):
    windows = [{0: np.eye(6)[:, :] + 1, 7: np.eye(6) + 2} for _ in range(40)]
    imu, node_mask, _ = stack_recordings(windows)
    turned = turn_devices(imu, node_mask, degrees, torch.Generator().manual_seed(0))
    again = turn_devices(imu, node_mask, degrees, torch.Generator().manual_seed(0))
    torch.testing.assert_close(turned, again, rtol=0, atol=0)
    assert torch.equal(turned[:, :, ~node_mask[0]], imu[:, :, ~node_mask[0]])
    angles = []
    for row in range(40):
        for node in (0, 7):
            before, after = (x[row, :, node].reshape(-1, 3).double().numpy() for x in (imu, turned))
            rotation, distance = Rotation.align_vectors(after, before)
            assert distance < 1e-4  # one rotation for acceleration and angular velocity at all times
            angles.append(np.degrees(rotation.magnitude()))
    assert max(angles) <= degrees + 1e-3 and max(angles) > 0.8 * degrees and len({*np.round(angles, 6)}) == 80
