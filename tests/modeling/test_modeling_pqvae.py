"""PQ-VAE: nearest codes, moving averages, refresh of dead codes, Eq. 4, official names and shapes."""

import pytest
import torch

from anymo_hf.modeling.configuration_anymo import AnyMoPQVAEConfig
from anymo_hf.modeling.modeling_pqvae import AnyMoPQVAEModel


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = AnyMoPQVAEConfig(input_dim=12, bottleneck_dim=8, codebook_size=16, decoder_dim=12)
    return AnyMoPQVAEModel(config)


def test_codes_are_the_nearest_entries_by_brute_force(model):
    latents = torch.randn(2, 5, 12)
    codes = model.eval().encode(latents)
    projected = model.project(latents).double().view(2, 5, 2, 4)
    for book in range(2):
        distance = torch.cdist(projected[:, :, book].reshape(-1, 4), model.quantizer.embedding[book].double())
        assert torch.equal(codes[..., book].reshape(-1), distance.argmin(1))


def test_loss_is_equation_4(model):
    model.eval()
    latents = torch.randn(3, 7, 12)
    out = model(latents)
    projected, quantized = model.project(latents), model.quantizer.lookup(out.codes)
    commitment = sum(((projected - quantized)[..., 4 * j : 4 * j + 4] ** 2).mean() for j in range(2))
    difference = (out.reconstruction - latents).abs()
    smooth = torch.where(difference < 1, 0.5 * difference**2, difference - 0.5).mean()
    assert out.loss.item() == pytest.approx((smooth + 0.25 * commitment).item(), rel=1e-5)


def test_moving_average_follows_a_direct_computation(model):
    quantizer = model.quantizer
    rows = torch.randn(4000, 8)
    quantizer.initialise(rows, torch.Generator().manual_seed(0))
    quantizer.cluster_size.fill_(100.0)
    quantizer.embed_avg.copy_(quantizer.embedding * 100)
    before_size, before_sum = quantizer.cluster_size.double(), quantizer.embed_avg.double()
    codes = quantizer.nearest(rows)
    quantizer.update(rows, codes)
    for book in range(2):
        for code in range(16):
            chosen = rows[codes[:, book] == code, 4 * book : 4 * book + 4].double()
            size = 0.99 * before_size[book, code] + 0.01 * len(chosen)
            total = 0.99 * before_sum[book, code] + 0.01 * chosen.sum(0)
            torch.testing.assert_close(quantizer.embedding[book, code].double(), total / size, atol=1e-4, rtol=1e-3)


def test_dead_codes_become_batch_vectors(model):
    quantizer = model.train().quantizer
    quantizer.cluster_size.fill_(50.0)
    quantizer.cluster_size[0, 3] = 0.0
    rows = torch.randn(64, 8)
    quantizer.update(rows, torch.zeros(64, 2, dtype=torch.long))
    distance = (rows[:, :4] - quantizer.embedding[0, 3]).norm(dim=1).min()
    assert distance < 1e-3
    assert quantizer.cluster_size[0, 3] == pytest.approx(quantizer.cluster_size[0].mean().item(), rel=0.1)


def test_training_recovers_clusters():
    torch.manual_seed(0)
    model = AnyMoPQVAEModel(AnyMoPQVAEConfig(input_dim=12, bottleneck_dim=8, codebook_size=16, decoder_dim=24)).train()
    centres = torch.randn(8, 12) * 2
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(150):
        batch = centres[torch.randint(8, (16, 10))] + 0.05 * torch.randn(16, 10, 12)
        loss = model(batch).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.4 * sum(losses[:10])


def test_padded_steps_do_not_change_codes_or_loss_targets(model):
    model.eval()
    latents = torch.randn(2, 6, 12)
    mask = torch.ones(2, 6, dtype=torch.bool)
    mask[0, 4:] = False
    codes = model(latents, mask).codes
    assert torch.equal(codes[0, :4], model.encode(latents[:1, :4])[0])
    assert codes[0, 4:].abs().sum() == 0


def test_paper_preset_has_the_official_shapes():
    with torch.device("meta"):
        state = AnyMoPQVAEModel(AnyMoPQVAEConfig.from_preset("paper")).state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert shapes["pre_quant.0.weight"] == (256,) and shapes["pre_quant.1.weight"] == (128, 256)
    assert shapes["quantizer.embedding"] == shapes["quantizer.embed_avg"] == (2, 2048, 64)
    assert shapes["quantizer.cluster_size"] == (2, 2048)
    assert shapes["decoder.in_norm.weight"] == (128,) and shapes["decoder.in_proj.weight"] == (256, 128, 1)
    assert shapes["decoder.blocks.2.conv2.weight"] == (256, 256, 3)
    assert shapes["decoder.out_proj.weight"] == (256, 256, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_round_trip_is_exact_and_codebooks_stay_float32(model, tmp_path, dtype):
    model.eval().save_pretrained(tmp_path)
    loaded = AnyMoPQVAEModel.from_pretrained(tmp_path, dtype=dtype)
    torch.testing.assert_close(loaded.quantizer.embedding, model.quantizer.embedding, atol=0, rtol=0)
    weight = model.pre_quant[1].weight
    torch.testing.assert_close(loaded.pre_quant[1].weight, weight.to(dtype), atol=0, rtol=0)


def test_wrong_width_is_refused(model):
    with pytest.raises(ValueError, match=r"latents must be \(batch, length, 12\)"):
        model(torch.zeros(1, 4, 11))
