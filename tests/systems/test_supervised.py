"""MiniRocket and DeepConvLSTM against plain numpy."""

import numpy as np
import pytest
import torch

from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.systems.deep_conv_lstm import BENCH, DeepConvLSTM, DeepConvLSTMNetwork, DeepConvLSTMSettings
from anymo_hf.systems.interface import load_system
from anymo_hf.systems.mantis import channel_inputs
from anymo_hf.systems.minirocket import FEATURES, PAIRS, fit_kernels, transform
from anymo_hf.systems.trained_windows import denormals_as_zero, side_by_side

LABELS = ("walking", "sitting", "running")


def windows(count, seconds=2.0, seed=0):
    rng, found = np.random.default_rng(seed), []
    for number in range(count):
        label = LABELS[number % 3]
        rate, size = {"walking": (1.8, 3.0), "sitting": (1.0, 0.0), "running": (2.7, 9.0)}[label]
        time = np.arange(int(50 * seconds)) / 50
        signal = rng.normal(0, 0.2, (len(time), 6))
        signal[:, 2] += 9.8 + size * np.sin(2 * np.pi * rate * time + rng.uniform(0, 6))
        found.append(ImuRecording({"waist": signal}, 50.0, label, subject=str(number % 4)))
    return found


def test_minirocket_features_are_shares_above_a_bias():
    rng = np.random.default_rng(0)
    shown = rng.normal(size=(5, 3, 50))
    kernels = fit_kernels(shown, seed=1, features=400)
    features = transform(shown, kernels)
    assert features.shape == (5, kernels.features) and kernels.features == 84 * (400 // 84)
    column = 0
    for number, dilation in enumerate(kernels.dilations):
        for row, places in enumerate(PAIRS):
            weights = kernels.weights[number][row].double().numpy()
            used = np.flatnonzero(np.abs(weights).sum(1))
            assert 1 <= len(used) <= 3 and (weights[used].sum(1) == 0).all()
            assert (weights[used][:, places] == 2).all() and (weights[used] == -1).sum() == 6 * len(used)
            for bias in kernels.biases[number][row].tolist():
                output = []
                for time in range(50):
                    total = 0.0
                    for tap in range(9):
                        at = time + (tap - 4) * dilation
                        total += weights[:, tap] @ shown[2, :, at] if 0 <= at < 50 else 0.0
                    output.append(total)
                if (row + number) % 2:
                    output = output[4 * dilation : 50 - 4 * dilation]
                assert features[2, column] == pytest.approx(np.mean(np.array(output) > bias), abs=0.021)
                column += 1
    assert column == kernels.features


def test_minirocket_has_its_ten_thousand_features_whatever_the_length():
    for samples in (9, 64, 300):
        kernels = fit_kernels(np.random.default_rng(0).normal(size=(2, 6, samples)))
        assert kernels.features == 84 * (FEATURES // 84) and 8 * max(kernels.dilations) < samples
    with pytest.raises(ValueError, match="needs 9 samples, got windows of 8"):
        fit_kernels(np.zeros((1, 6, 8)))


def test_minirocket_learns_and_takes_other_lengths():
    train, shown = windows(30), windows(9, seed=1)
    system = load_system("minirocket")
    system.fit(train, [one.label for one in train])
    scores = system.score(shown, (*LABELS, "swimming"))
    assert [LABELS[row] for row in scores[:, :3].argmax(1)] == [one.label for one in shown]
    assert (scores[:, 3] < scores[:, :3].min()).all()
    assert system.score(windows(3, 1.5) + windows(3, 4.0), LABELS).shape == (6, 3)
    with pytest.raises(ValueError, match="holds one label, 'walking'"):
        system.fit(train, ["walking"] * 30)


def test_two_labels_have_two_scores():
    train = [one for one in windows(30) if one.label != "running"]
    system = load_system("minirocket")
    system.fit(train, [one.label for one in train])
    scores = system.score(train, ("walking", "sitting"))
    assert [("walking", "sitting")[row] for row in scores.argmax(1)] == [one.label for one in train]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_layer(x, weights):
    """`(time, features)` to `(time, 128)`."""
    input_weight, hidden_weight, input_bias, hidden_bias = weights
    hidden = cell = np.zeros(128)
    found = []
    for row in x:
        gates = input_weight @ row + input_bias + hidden_weight @ hidden + hidden_bias
        enter, forget, new, leave = np.split(gates, 4)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
        hidden = sigmoid(leave) * np.tanh(cell)
        found.append(hidden)
    return np.array(found)


def test_the_network_is_four_convolutions_and_two_lstm_layers():
    torch.manual_seed(0)
    network = DeepConvLSTMNetwork(2, 3).eval()
    state = {name: value.double().numpy() for name, value in network.state_dict().items()}
    x = np.random.default_rng(0).normal(size=(24, 2))
    maps = x[None]  # (maps, time, channels)
    for layer in range(4):
        weight, bias = state[f"conv.{layer}.weight"][..., 0], state[f"conv.{layer}.bias"]
        steps = maps.shape[1] - 4
        stacked = np.stack([maps[:, tap : tap + steps] for tap in range(5)])  # (5, maps, time, channels)
        maps = np.maximum(np.einsum("omk,kmtc->otc", weight, stacked) + bias[:, None, None], 0)
    steps = maps.transpose(1, 0, 2).reshape(8, 128)
    for layer in range(2):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        steps = lstm_layer(steps, [state[f"lstm.{name}_l{layer}"] for name in names])
    expected = steps @ state["head.weight"].T + state["head.bias"]
    shown = torch.from_numpy(x[None].repeat(2, 0)).float()
    found = network(shown, torch.tensor([23, 19])).detach()
    np.testing.assert_allclose(found, expected[[7, 3]], atol=1e-5)
    np.testing.assert_allclose(network(shown).detach()[0], expected[7], atol=1e-5)


@pytest.mark.parametrize(("channels", "classes", "count"), [(18, 150, 869_846), (18, 50, 856_946), (6, 12, 458_828)])
def test_the_network_has_the_known_number_of_parameters(channels, classes, count):
    network = DeepConvLSTMNetwork(channels, classes)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_bench_reads_what_the_paper_says():
    assert (BENCH.samples, BENCH.epochs, BENCH.presentations, BENCH.learning_rate) == (300, 100, None, 1e-3)
    assert BENCH.last_step == "padded"  # as the published network does
    with pytest.raises(ValueError, match="last_step must be 'valid' or 'padded', got 'first'"):
        DeepConvLSTMSettings(last_step="first")


def test_hours_without_a_gpu_are_said_before_they_begin(monkeypatch, recwarn):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    load_system("deep_conv_lstm")
    assert not recwarn
    with pytest.warns(UserWarning, match="DeepConvLSTM: its training takes hours without a GPU"):
        load_system("deep_conv_lstm_bench")


@pytest.mark.filterwarnings("ignore:.*takes hours without a GPU")
def test_the_system_of_the_bench_shows_all_epochs_and_the_short_one_at_least_one():
    assert load_system("deep_conv_lstm_bench").settings == BENCH and load_system("deep_conv_lstm").settings != BENCH
    train = windows(12, 1.0)
    for settings, epochs in (
        (DeepConvLSTMSettings(samples=60, presentations=5), 1),
        (DeepConvLSTMSettings(samples=60, presentations=30), 2),
        (DeepConvLSTMSettings(samples=60, presentations=None, epochs=3), 3),
    ):
        system = DeepConvLSTM(settings)
        system.fit(train, [one.label for one in train])
        assert system.report() == {"epochs": epochs}


def test_a_long_window_is_the_mean_of_its_pieces_and_loses_its_tail():
    train = windows(12, 1.0)
    system = DeepConvLSTM(DeepConvLSTMSettings(samples=60, presentations=24))
    system.fit(train, [one.label for one in train])
    long = windows(1, 2.5)[0]
    (signal,) = side_by_side([long], ("waist",), 60.0)
    pieces = torch.from_numpy(((signal - system.mean) / system.deviation)[:120].reshape(2, 60, 6)).float()
    order = [system.classes.index(label) for label in LABELS]
    expected = system.network(pieces).detach().mean(0).log_softmax(0)[order]
    np.testing.assert_allclose(system.score([long], LABELS)[0], expected, atol=1e-5)


@pytest.mark.slow
def test_windows_are_stretched_as_mantis_does_it():
    (shown,) = windows(1)
    found = channel_inputs([shown], ("waist",))[0]
    signal = side_by_side([shown], ("waist",), 50.0)[0]
    # 512 places in the middle of equal parts of the window, read between the middles of its samples
    at = np.clip((np.arange(512) + 0.5) * len(signal) / 512 - 0.5, 0, len(signal) - 1)
    expected = np.stack([np.interp(at, np.arange(len(signal)), column) for column in signal.T])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_deep_conv_lstm_learns():
    train, shown = windows(30), windows(9, seed=1)
    system = DeepConvLSTM(DeepConvLSTMSettings(presentations=1200, batch_size=8))
    system.fit(train, [one.label for one in train])
    assert [LABELS[row] for row in system.score(shown, LABELS).argmax(1)] == [one.label for one in shown]


def test_denormals_are_zero_inside_and_as_before_outside():
    def faint():
        return float(torch.full((1,), 1e-30) * 1e-12)

    assert faint() > 0
    with denormals_as_zero():
        assert faint() == 0
        with denormals_as_zero():
            pass
        assert faint() == 0
    assert faint() > 0
