"""The branch of plain convolutions beside the graph encoder."""

import numpy as np
import pytest
import torch

from anymo_hf.modeling.configuration_anymo import AnyMoSTGCNConfig, halving_strides
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining, AnyMoSTGCNModel
from anymo_hf.modeling.signal_branch import KERNEL

CHANNELS = [5, 7, 6, 8]


def encoder(**changes):
    torch.manual_seed(0)
    model = AnyMoSTGCNModel(AnyMoSTGCNConfig.from_preset("nano", signal_channels=CHANNELS, **changes)).eval()
    with torch.no_grad():
        for parameter in model.signal_branch.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        for member in model.signal_branch.members:
            for norm in (member.input_norm, *member.norms):
                norm.running_mean.normal_()
                norm.running_var.uniform_(0.5, 2.0)
    return model


def windows(batch=3, frames=41):
    rng = np.random.default_rng(0)
    mask = torch.zeros(batch, 23, dtype=torch.bool)
    for row in range(batch):
        mask[row, rng.choice(23, row + 1, replace=False)] = True
    return torch.from_numpy(rng.standard_normal((batch, frames, 23, 6)).astype(np.float32)), mask


def by_hand(branch, signal, segment):
    """Latents `(steps, channels)` of one sensor's signal `(frames, 6)`, sum by sum in float64."""

    def numbers(tensor):
        return tensor.detach().double().numpy()

    def normed(x, norm):
        scale = numbers(norm.weight) / np.sqrt(numbers(norm.running_var) + norm.eps)
        return (x - numbers(norm.running_mean)) * scale + numbers(norm.bias)

    x = normed(signal.double().numpy(), branch.input_norm)
    for number, (convolution, norm) in enumerate(zip(branch.convolutions, branch.norms, strict=True)):
        weight, bias, stride = numbers(convolution.weight), numbers(convolution.bias), (2, 2, 1, 1)[number]
        padded = np.pad(x, ((KERNEL // 2, KERNEL // 2), (0, 0)))
        rows = [np.einsum("tc,oct->o", padded[begin : begin + KERNEL], weight) for begin in range(0, len(x), stride)]
        x = np.array(rows) + bias + (numbers(branch.segments)[segment] if number == 0 else 0)
        x = np.maximum(normed(x, norm), 0)
    return x


def test_latents_are_those_of_the_graph_and_then_the_mean_of_what_each_worn_sensor_gives():
    model = encoder()
    imu, worn = windows()
    latents = model(imu, worn).last_hidden_state
    assert model.config.latent_dim == 48 + 8 and latents.shape == (3, 11, 56)
    alone = AnyMoSTGCNModel(AnyMoSTGCNConfig.from_preset("nano")).eval()
    alone.load_state_dict({n: t for n, t in model.state_dict().items() if not n.startswith("signal_branch.")})
    torch.testing.assert_close(latents[..., :48], alone(imu, worn).last_hidden_state)
    for row in range(3):
        sensors = [by_hand(model.signal_branch, imu[row, :, n], n) for n in worn[row].nonzero().flatten().tolist()]
        np.testing.assert_allclose(latents[row, :, 48:].detach(), np.mean(sensors, 0), atol=2e-5)


def test_members_stand_side_by_side():
    model = encoder(signal_members=3)
    imu, worn = windows()
    latents = model(imu, worn).last_hidden_state
    assert model.config.latent_dim == 48 + 3 * 8 and latents.shape == (3, 11, 72)
    for number, member in enumerate(model.signal_branch.members):
        part = latents[2, :, 48 + 8 * number : 56 + 8 * number].detach()
        sensors = [by_hand(member, imu[2, :, n], n) for n in worn[2].nonzero().flatten().tolist()]
        np.testing.assert_allclose(part, np.mean(sensors, 0), atol=2e-5)


def test_no_member_is_refused():
    with pytest.raises(ValueError, match="signal_members must be at least 1, got 0"):
        AnyMoSTGCNConfig(signal_channels=CHANNELS, signal_members=0)


def test_all_sensors_count_where_no_mask_is_given():
    model = encoder()
    imu, _ = windows()
    everything = torch.ones(3, 23, dtype=torch.bool)
    torch.testing.assert_close(model(imu).last_hidden_state, model(imu, everything).last_hidden_state)


@pytest.mark.parametrize("fast", [True, False])
def test_a_padded_window_reads_as_it_does_alone_whatever_is_in_the_padding(fast):
    model = encoder()
    model.fast_inference = fast
    imu, worn = windows()
    real = torch.arange(41) < torch.tensor([[41], [30], [17]])
    spoiled = imu.masked_fill(~real[:, :, None, None], float("nan"))
    with torch.no_grad():
        output = model(spoiled, worn, real)
        for row, length in enumerate((41, 30, 17)):
            single = model(imu[row : row + 1, :length], worn[row : row + 1]).last_hidden_state[0]
            torch.testing.assert_close(output.last_hidden_state[row, : len(single)], single, atol=2e-5, rtol=1e-4)
            assert not output.last_hidden_state[row, len(single) :].any()


def test_what_hidden_sensors_read_changes_nothing():
    model = encoder()
    imu, worn = windows()
    other = torch.where(worn[:, None, :, None], imu, imu + 3.0)
    torch.testing.assert_close(model(other, worn).last_hidden_state, model(imu, worn).last_hidden_state)


@pytest.mark.parametrize("members", [1, 3])
def test_a_program_of_fixed_shapes_gives_the_same(members):
    model = encoder(signal_members=members)
    imu, worn = windows()
    real = torch.arange(41) < torch.tensor([[41], [30], [17]])
    with torch.no_grad():
        program = torch.export.export(model.signal_branch, (imu, worn, real)).module()
        imu = imu.masked_fill(~worn[:, None, :, None], float("nan"))  # whatever a hidden sensor reads
        torch.testing.assert_close(program(imu, worn, real), model.signal_branch(imu, worn, real), atol=1e-6, rtol=1e-5)


def test_pre_training_reaches_the_branch_and_it_is_saved(tmp_path):
    torch.manual_seed(0)
    model = AnyMoSTGCNForPreTraining(AnyMoSTGCNConfig.from_preset("nano", signal_channels=CHANNELS, signal_members=2))
    imu, worn = windows(4, 33)
    model(imu, imu.flip(0), worn, worn.flip(0)).loss.backward()
    gradients = {name: p.grad for name, p in model.encoder.signal_branch.named_parameters()}
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients.values())
    model.eval().save_pretrained(tmp_path)
    again = AnyMoSTGCNModel.from_pretrained(tmp_path)
    assert again.config.signal_channels == CHANNELS
    with torch.no_grad():
        torch.testing.assert_close(again(imu, worn).last_hidden_state, model.encoder(imu, worn).last_hidden_state)


def test_strides_halve_until_they_reach_those_of_the_graph():
    assert halving_strides(4, 4) == [2, 2, 1, 1] and halving_strides(2, 1) == [1, 1]
    with pytest.raises(ValueError, match="1 layers, .* stride of 4; give 2 or more"):
        AnyMoSTGCNConfig(signal_channels=[48])
    with pytest.raises(ValueError, match="power of two"):
        AnyMoSTGCNConfig.from_preset("nano", strides=[3] + [1] * 9, signal_channels=CHANNELS)


def test_latents_that_the_predictor_cannot_share_out_are_refused():
    with pytest.raises(
        ValueError, match="width 54 do not divide over 4 predictor_heads; end with another width than 6"
    ):
        AnyMoSTGCNConfig.from_preset("nano", signal_channels=[4, 6])


def test_the_paper_has_no_branch():
    config = AnyMoSTGCNConfig()
    assert config.signal_channels == [] and config.latent_dim == 256
    assert not any("signal_branch" in name for name in AnyMoSTGCNModel(config).state_dict())
