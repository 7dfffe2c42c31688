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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_picks_the_nearest_of_its_own_entries(model, dtype):
    half = model.eval().to(dtype)
    projected = torch.randn(11, 8).to(dtype)
    codes = half.quantizer.nearest(projected)
    for book in range(2):
        entries, chunk = half.quantizer.embedding[book].double(), projected[:, 4 * book : 4 * book + 4].double()
        assert torch.equal(codes[:, book], torch.cdist(chunk, entries).argmin(1))
    assert half.encode(torch.randn(2, 5, 12).to(dtype)).shape == (2, 5, 2)


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


@pytest.mark.slow
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


@pytest.mark.parametrize("training", [False, True])
def test_padded_batch_reconstructs_what_each_sequence_gives_alone(model, training):
    model.train(training)
    latents, lengths = torch.randn(3, 9, 12), [9, 4, 1]
    mask = torch.arange(9) < torch.tensor(lengths)[:, None]
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for filler in (0.0, 50.0):
        model.load_state_dict(start)
        out = model(latents.masked_fill(~mask[..., None], filler), mask)
        for row, length in enumerate(lengths):
            model.load_state_dict(start)
            alone = model(latents[row : row + 1, :length])
            torch.testing.assert_close(out.reconstruction[row, :length], alone.reconstruction[0], atol=1e-5, rtol=1e-5)
            assert torch.equal(out.codes[row, :length], alone.codes[0])
    model.eval().load_state_dict(start)
    codes = model.encode(latents, mask)
    decoded = model.decode(codes, mask)
    for row, length in enumerate(lengths):
        alone = model.decode(codes[row : row + 1, :length])[0]
        torch.testing.assert_close(decoded[row, :length], alone, atol=1e-5, rtol=1e-5)


def test_decoding_codes_equals_the_forward_pass(model):
    out = model.eval()(torch.randn(2, 5, 12))
    torch.testing.assert_close(model.decode(out.codes), out.reconstruction, atol=1e-5, rtol=1e-5)


def test_gradients_reach_the_projection_straight_through(model):
    model.train()
    out = model(torch.randn(2, 6, 12))
    out.reconstruction.sum().backward()
    assert model.pre_quant[1].weight.grad.abs().sum() > 0


def test_codes_do_not_change_under_autocast(model):
    rows = torch.randn(500, 8)
    model.quantizer.initialise(torch.randn(500, 8) * 0.05 + 3)  # entries closer than bfloat16 can tell apart
    expected = model.quantizer.nearest(rows)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model.quantizer.nearest(rows), expected)


def _layer(name, *shape):
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def test_paper_preset_matches_the_official_checkpoint_tensor_for_tensor():
    with torch.device("meta"):
        state = AnyMoPQVAEModel(AnyMoPQVAEConfig.from_preset("paper")).state_dict()
    expected = {**_layer("pre_quant.0", 256), **_layer("pre_quant.1", 128, 256)}
    expected |= {"quantizer.embedding": (2, 2048, 64), "quantizer.embed_avg": (2, 2048, 64)}
    expected |= {"quantizer.cluster_size": (2, 2048)}
    expected |= {**_layer("decoder.in_norm", 128), **_layer("decoder.in_proj", 256, 128, 1)}
    for i in range(3):
        for j in (1, 2):
            expected |= _layer(f"decoder.blocks.{i}.norm{j}", 256)
            expected |= _layer(f"decoder.blocks.{i}.conv{j}", 256, 256, 3)
    expected |= {**_layer("decoder.out_norm", 256), **_layer("decoder.out_proj", 256, 256, 1)}
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected


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


def test_masks_that_cannot_be_meant_are_refused(model):
    with pytest.raises(ValueError, match=r"attention_mask must be \(1, 4\).*got \(1, 5\)"):
        model(torch.zeros(1, 4, 12), torch.ones(1, 5, dtype=torch.bool))
    with pytest.raises(ValueError, match="with a real step"):
        model(torch.zeros(1, 4, 12), torch.zeros(1, 4, dtype=torch.bool))
