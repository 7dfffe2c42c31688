"""codes.npz and how codes become tokens."""

import numpy as np
import pytest
import torch

from anymo_hf.modeling.configuration_anymo import AnyMoPQVAEConfig
from anymo_hf.modeling.modeling_pqvae import AnyMoPQVAEModel
from anymo_hf.training.coded_views import CodedViews, load_codes, save_codes
from anymo_hf.training.stages.tokenizer import encode_views

SIZE = 16


@pytest.fixture
def views():
    rng = np.random.default_rng(0)
    length = np.array([5, 3, 4], np.int16)
    placements = np.full((3, 5), -1, np.int8)
    placements[0, 0], placements[1, :2], placements[2] = 22, [3, 7], [0, 1, 2, 3, 4]
    return {
        "latents": rng.standard_normal((3, 5, 12)).astype(np.float16),
        "length": length,
        "clip": np.array([2, 0, 2], np.int32),
        "placements": placements,
    }


@pytest.fixture
def model():
    torch.manual_seed(0)
    return AnyMoPQVAEModel(AnyMoPQVAEConfig(input_dim=12, bottleneck_dim=8, codebook_size=SIZE, decoder_dim=8)).eval()


def test_codes_round_trip(views, model, tmp_path):
    path = tmp_path / "codes.npz"
    encoded = encode_views(model, views)
    save_codes(path, encoded)
    assert [entry.name for entry in tmp_path.iterdir()] == ["codes.npz"]
    coded = load_codes(path)
    assert coded.codes.shape == (3, 5, 2) and coded.codebook_size == SIZE
    for name in ("length", "clip", "placements"):
        np.testing.assert_array_equal(getattr(coded, name), views[name])
    seen = [set(), set()]
    for row, length in enumerate(views["length"]):
        alone = torch.from_numpy(views["latents"][row : row + 1, :length].astype(np.float32))
        wanted = model.encode(alone)[0].numpy()  # each view by itself, without padding
        np.testing.assert_array_equal(coded.codes[row, :length], wanted)
        assert not coded.codes[row, length:].any()
        for book in range(2):
            seen[book] |= set(wanted[:, book].tolist())
        interleaved = [code + SIZE * book for step in wanted for book, code in enumerate(step)]
        np.testing.assert_array_equal(coded.tokens(row), interleaved)
    assert encoded.codes_used() == [len(book) for book in seen]
    assert [coded.worn(row) for row in range(3)] == [[22], [3, 7], [0, 1, 2, 3, 4]]


def test_missing_codes_name_the_command(tmp_path):
    with pytest.raises(OSError, match="train_tokenizer"):
        load_codes(tmp_path / "codes.npz")


def coded(steps, length):
    codes = np.stack([np.arange(steps), np.arange(steps) + 1], axis=-1)[None].astype(np.int16)
    return CodedViews(codes, np.array([length]), np.array([0]), np.array([[4, -1, -1, -1, -1]]), 2048)


def test_tokens_alternate_between_books_in_time_order():
    np.testing.assert_array_equal(coded(4, 3).tokens(0), [0, 2049, 1, 2050, 2, 2051])


def test_crops_keep_whole_steps_and_reach_every_place():
    views, rng = coded(6, 5), np.random.default_rng(0)
    whole = views.tokens(0).reshape(-1, 2)
    starts = set()
    for _ in range(100):
        part = views.tokens(0, 3, rng).reshape(-1, 2)
        start = int(part[0, 0])
        np.testing.assert_array_equal(part, whole[start : start + 3])
        starts.add(start)
    assert starts == {0, 1, 2}
    np.testing.assert_array_equal(views.tokens(0, 3), whole[:3].reshape(-1))
    for most in (5, 9, None):
        np.testing.assert_array_equal(views.tokens(0, most, rng), whole.reshape(-1))


def test_large_codes_do_not_wrap_around():
    views = CodedViews(np.full((1, 1, 2), 32_000, np.int16), np.array([1]), np.array([0]), np.array([[0]]), 32_767)
    assert views.tokens(0).tolist() == [32_000, 64_767]
