"""Small networks against plain numpy in float64, and what each system does to a window first."""

import re

import numpy as np
import pytest
import torch
from scipy.signal import detrend
from scipy.signal import resample as fourier_resample
from scipy.special import erf

from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.systems.imagebind import ImageBind
from anymo_hf.systems.imu2clip import IMU2CLIP, IMU2CLIPEncoder, clip_text_tensors, stretch
from anymo_hf.systems.mantis import rotary
from anymo_hf.systems.normwear import NormWear, wavelet_image
from anymo_hf.systems.unimts import NODES, PARENTS, GraphEncoder, UniMTS

RNG = np.random.default_rng(7)


def state_of(network, prefix=""):
    return {
        name.removeprefix(prefix): value.double().numpy()
        for name, value in network.state_dict().items()
        if name.startswith(prefix)
    }


def run(network, *inputs):
    with torch.inference_mode():
        return network.double()(*(torch.from_numpy(np.asarray(value)) for value in inputs)).numpy()


def norm(x, state, name, eps=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) * state[f"{name}weight"] + state[f"{name}bias"]


def linear(x, state, name):
    return x @ state[f"{name}weight"].T + state.get(f"{name}bias", 0.0)


def gelu(x):
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def attend(query, key, value, heads, mask=0.0):
    """One sequence, `(tokens, heads * size)` each, the heads one after the other."""
    found = []
    for q, k, v in zip(*(np.split(part, heads, 1) for part in (query, key, value)), strict=True):
        found.append(softmax(q @ k.T / np.sqrt(q.shape[1]) + mask) @ v)
    return np.concatenate(found, 1)


def joint_attention(x, state, name, heads, mask=0.0):
    """torch's MultiheadAttention, with the added key and value where there are some."""
    query, key, value = np.split(x @ state[f"{name}in_proj_weight"].T + state[f"{name}in_proj_bias"], 3, 1)
    if f"{name}bias_k" in state:
        key, value = np.vstack([key, state[f"{name}bias_k"][0]]), np.vstack([value, state[f"{name}bias_v"][0]])
    return linear(attend(query, key, value, heads, mask), state, f"{name}out_proj.")


def causal(count):
    return np.triu(np.full((count, count), -np.inf), 1)


TOKENS = np.zeros((2, 77), dtype=np.int64)
TOKENS[0, :5], TOKENS[1, :3] = [58, 3, 9, 4, 59], [58, 7, 59]


def clip_text(state, row):
    x = state["token_embedding.weight"][row] + state["positional_embedding"]
    for layer in range(2):
        name = f"transformer.resblocks.{layer}."
        x = x + joint_attention(norm(x, state, f"{name}ln_1."), state, f"{name}attn.", 2, causal(77))
        hidden = linear(norm(x, state, f"{name}ln_2."), state, f"{name}mlp.c_fc.")
        x = x + linear(hidden * sigmoid(1.702 * hidden), state, f"{name}mlp.c_proj.")
    return norm(x, state, "ln_final.")[row.argmax()] @ state["text_projection"]


def test_clip_text_tower(small_networks):
    network = small_networks["clip_text"]()
    state = state_of(network)
    np.testing.assert_allclose(run(network, TOKENS), [clip_text(state, row) for row in TOKENS], atol=1e-9)


def test_clip_text_tower_is_that_of_transformers(small_networks):
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=60, hidden_size=16, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        projection_dim=16, eos_token_id=2, hidden_act="quick_gelu",
    )  # fmt: skip
    torch.manual_seed(1)
    theirs = CLIPTextModelWithProjection(config).eval()
    tensors = dict(theirs.state_dict()) | {"logit_scale": torch.tensor(1.0)}
    ours = small_networks["clip_text"]()
    ours.load_state_dict(clip_text_tensors(tensors))
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(TOKENS)).text_embeds
        np.testing.assert_allclose(ours(torch.from_numpy(TOKENS)), expected, atol=1e-5)
    del tensors["text_model.encoder.layers.1.mlp.fc2.bias"]
    with pytest.raises(ValueError, match="lacks the tensor 'text_model.encoder.layers.1.mlp.fc2.bias'"):
        clip_text_tensors(tensors)


def batch_norm(x, state, name):
    """Channels last."""
    scale = state[f"{name}weight"] / np.sqrt(state[f"{name}running_var"] + 1e-5)
    return (x - state[f"{name}running_mean"]) * scale + state[f"{name}bias"]


def unimts_graph():
    """Their partitions: hops beyond one are infinite, so edges far from the root fall into partition 1."""
    count = len(PARENTS)
    linked = np.eye(count)
    for child, parent in enumerate(PARENTS[1:], 1):
        linked[child, parent] = linked[parent, child] = 1
    hop = [0 if node == 0 else 1 if linked[0, node] else np.inf for node in range(count)]
    graph = np.zeros((3, count, count))
    for here in range(count):
        for there in range(count):
            if linked[here, there]:
                part = 0 if here == there else 1 if hop[here] >= hop[there] else 2
                graph[part, here, there] = 1 / linked[:, there].sum()
    return graph


def test_unimts_graph_encoder(small_networks):
    network = small_networks["unimts"]().acc
    state = state_of(network)
    np.testing.assert_allclose(state["A"], unimts_graph(), atol=1e-7)
    assert [child for child, parent in enumerate(PARENTS) if parent == 11] == [12, 14, 18] and NODES["R_Hand"] == 21
    window = RNG.normal(size=(1, 40, 22, 3))
    x = batch_norm(window[0].reshape(40, 66), state, "data_bn.").reshape(40, 22, 3)
    for block, stride in enumerate((1, 1, 1, 1, 2, 1, 1, 2, 1, 1)):
        name = f"st_gcn_networks.{block}."
        graph = state["A"] * state[f"edge_importance.{block}"]
        parts = x @ state[f"{name}gcn.conv.weight"][:, :, 0, 0].T + state[f"{name}gcn.conv.bias"]
        y = sum(np.einsum("tvc,vw->twc", part, graph[row]) for row, part in enumerate(np.split(parts, 3, 2)))
        y = np.maximum(batch_norm(y, state, f"{name}tcn.0."), 0)
        padded, kernel = np.pad(y, ((4, 4), (0, 0), (0, 0))), state[f"{name}tcn.2.weight"][..., 0]
        y = sum(padded[tap : tap + len(y)] @ kernel[:, :, tap].T for tap in range(9)) + state[f"{name}tcn.2.bias"]
        y = batch_norm(y[::stride], state, f"{name}tcn.3.")
        if block in (4, 7, 9) and f"{name}residual.0.weight" in state:
            short = x[::stride] @ state[f"{name}residual.0.weight"][:, :, 0, 0].T + state[f"{name}residual.0.bias"]
            y = y + batch_norm(short, state, f"{name}residual.1.")
        elif block:
            y = y + x[::stride]
        x = np.maximum(y, 0)
    np.testing.assert_allclose(run(network, window)[0], x.mean((0, 1)), rtol=1e-7)


def test_imagebind_towers(small_networks):
    network = small_networks["imagebind"]()
    state = state_of(network)
    window = RNG.normal(size=(1, 6, 80))

    def trunk(x, name, mask):
        for layer in range(2):
            block = f"modality_trunks.{name}.blocks.{layer}."
            y = norm(x, state, f"{block}norm_1.", 1e-6)
            x = x + joint_attention(y, state, f"{block}attn.", 2, mask)
            y = norm(x, state, f"{block}norm_2.", 1e-6)
            x = x + linear(gelu(linear(y, state, f"{block}mlp.fc1.")), state, f"{block}mlp.fc2.")
        return x

    before = "modality_preprocessors.imu."
    patches = np.stack([window[0, :, start : start + 8].reshape(48) for start in range(0, 80, 8)])
    patches = norm(linear(patches, state, f"{before}imu_stem.proj."), state, f"{before}imu_stem.norm_layer.")
    x = trunk(np.vstack([state[f"{before}cls_token"][0], patches]) + state[f"{before}pos_embed"][0], "imu", 0.0)
    x = linear(norm(x, state, "modality_heads.imu.0.", 1e-6)[0], state, "modality_heads.imu.3.")
    expected = x / np.linalg.norm(x) * np.exp(1.0)
    network.double()
    with torch.inference_mode():
        np.testing.assert_allclose(network.encode_imu(torch.from_numpy(window))[0], expected, atol=1e-9)
        found = network.encode_text(torch.from_numpy(TOKENS)).numpy()
    before = "modality_preprocessors.text."
    for row, value in zip(TOKENS, found, strict=True):
        x = state[f"{before}token_embedding.weight"][row] + state[f"{before}pos_embed"][0]
        x = trunk(x, "text", causal(77))[row.argmax()]
        x = linear(norm(x, state, "modality_heads.text.proj.0.", 1e-6), state, "modality_heads.text.proj.1.")
        np.testing.assert_allclose(value, x / np.linalg.norm(x) * np.exp(1.0), atol=1e-9)
    with pytest.raises(ValueError, match="takes 80 samples, got 300"):
        network.encode_imu(torch.zeros(1, 6, 300))


def group_norm(x, state, name, groups):
    parts = x.reshape(groups, -1)
    parts = (parts - parts.mean(1, keepdims=True)) / np.sqrt(parts.var(1, keepdims=True) + 1e-5)
    return parts.reshape(x.shape) * state[f"{name}weight"][:, None] + state[f"{name}bias"][:, None]


def imu2clip(window, state, layout):
    x = group_norm(window, state, "net.0.", 2)
    for layer in (1, 2, 3):
        kernel = state[f"net.{layer}.net.0.weight"]
        steps = x.shape[1] - 2 * (kernel.shape[2] - 1)
        x = sum(kernel[:, :, tap] @ x[:, 2 * tap : 2 * tap + steps] for tap in range(kernel.shape[2]))
        x = x[:, : steps // 3 * 3].reshape(len(x), -1, 3).max(2)
    x = group_norm(x, state, "net.4.", 4)
    hidden = np.zeros(16)
    for row in x if layout == "released" else x.T:
        inner = state["net.5.weight_ih_l0"] @ row + state["net.5.bias_ih_l0"]
        outer = state["net.5.weight_hh_l0"] @ hidden + state["net.5.bias_hh_l0"]
        (r, z, n), (hr, hz, hn) = np.split(inner, 3), np.split(outer, 3)
        update = sigmoid(z + hz)
        hidden = (1 - update) * np.tanh(n + sigmoid(r + hr) * hn) + update * hidden
    return hidden


@pytest.mark.parametrize(("layout", "samples"), [("released", 1000), ("fixed", 1000), ("fixed", 300)])
def test_imu2clip_encoder(layout, samples, small_networks):
    network = IMU2CLIPEncoder(layout, 32, 16).eval()
    network.load_state_dict(small_networks["imu2clip"]().state_dict())
    window = RNG.normal(size=(6, samples))
    np.testing.assert_allclose(run(network, window[None])[0], imu2clip(window, state_of(network), layout), atol=1e-9)


def test_imu2clip_takes_what_its_layout_takes():
    released, fixed = IMU2CLIPEncoder("released", 32, 4), IMU2CLIPEncoder("fixed", 32, 4)
    for samples in (978, 1004):
        assert released(torch.zeros(1, 6, samples)).shape == (1, 4)
    assert fixed(torch.zeros(1, 6, 141)).shape == (1, 4)
    for network, samples, words in (
        (released, 300, "'released', cannot take 300 samples: it needs 978 to 1,004"), (released, 977, "977"),
        (released, 1005, "1005"), (fixed, 140, "'fixed', cannot take 140 samples: it needs 141"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            network(torch.zeros(1, 6, samples))
    with pytest.raises(ValueError, match="layout must be 'released' or 'fixed', got 'mended'"):
        IMU2CLIPEncoder("mended")


def mantis_tokens(x, state, patches=32):
    scales = 10.0 ** np.arange(-4, 5)
    parts = []
    for row, series in enumerate((np.append(np.diff(x), 0.0), x)):
        scaled = (series - series.mean()) / (series.std(ddof=1) + 1e-5)
        kernel, bias = state[f"convs.{row}.conv.weight"][:, 0], state[f"convs.{row}.conv.bias"]
        half = kernel.shape[1] // 2
        padded = np.pad(scaled, half)
        found = np.stack([kernel @ padded[time : time + kernel.shape[1]] + bias for time in range(len(x))])
        parts.append(norm(found, state, f"layer_norms.{row}.").reshape(patches, -1, found.shape[1]).mean(1))
    patched = x.reshape(patches, -1)
    for row, moment in enumerate((patched.mean(1), patched.std(1, ddof=1))):
        near = np.abs(1 / np.log(np.abs(moment)[:, None] / scales + 1.1))
        near /= near.sum(1, keepdims=True)
        total = 0.0
        for number, scale in enumerate(scales):
            name = f"scalar_encoders.{row}.encoders.{number}."
            inner = moment[:, None] * state[f"{name}w"] + scale * state[f"{name}b"]
            total = total + near[:, number, None] * norm(inner, state, f"{name}layer_norm.", 1e-15)
        parts.append(total)
    found = linear(np.concatenate(parts, 1), state, "linear_encoder.linear.")
    return norm(found, state, "linear_encoder.layer_norm.", 1e-15)


def rms(x, state, name):
    return x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-8) * state[f"{name}scale"]


def turn(x, sign):
    """Rotary positions and the decay of xPos for one head `(tokens, size)`."""
    tokens, size = x.shape
    found = np.empty_like(x)
    for place in range(tokens):
        for pair in range(size // 2):
            angle = place * 10_000 ** (-2 * pair / size)
            a, b = x[place, 2 * pair], x[place, 2 * pair + 1]
            found[place, 2 * pair] = a * np.cos(angle) - b * np.sin(angle)
            found[place, 2 * pair + 1] = b * np.cos(angle) + a * np.sin(angle)
        base = (np.arange(0, size, 2) + 0.4 * size) / (1.4 * size)
        decay = base ** ((place - (tokens - 1) // 2) / 512)
        found[place] *= np.concatenate([decay, decay]) ** sign
    return found


@pytest.mark.parametrize("version", [2, 1])
def test_mantis(version, small_networks):
    network = small_networks["mantis_v2" if version == 2 else "mantis_8m"]()
    own, unit = state_of(network, "tokgen_unit."), state_of(network, "transf_unit.")
    series = RNG.normal(size=512).cumsum()
    tokens = mantis_tokens(series, own)
    outputs = []
    x = np.vstack([tokens, unit["cls_token"]] if version == 2 else [unit["cls_token"], tokens])
    if version == 1:
        x = x + unit["pos_encoder.pe"][:, 0]
    for layer in range(3):
        name = f"transformer.layers.{layer}."
        if version == 2:
            joined = linear(rms(x, unit, f"{name}norm1."), unit, f"{name}attention.wQKV.").reshape(33, 3, 8, 2)
            heads = []
            for head in range(2):
                query, key, value = (joined[:, part, :, head] for part in range(3))
                heads.append(attend(turn(query, 1), turn(key, -1), value, 1))
            x = x + linear(np.concatenate(heads, 1), unit, f"{name}attention.wO.")
            gate, value = np.split(linear(rms(x, unit, f"{name}norm2."), unit, f"{name}mlp.0."), 2, 1)
            x = x + linear(gate * sigmoid(gate) * value, unit, f"{name}mlp.2.")
        else:
            parts = np.split(linear(norm(x, unit, f"{name}0.norm."), unit, f"{name}0.fn.to_qkv."), 3, 1)
            x = x + linear(attend(*parts, 2), unit, f"{name}0.fn.to_out.0.")
            hidden = gelu(linear(norm(x, unit, f"{name}1.norm."), unit, f"{name}1.fn.net.0."))
            x = x + linear(hidden, unit, f"{name}1.fn.net.3.")
        outputs.append(x)
    first, others = (-1, slice(None, -1)) if version == 2 else (0, slice(1, None))
    np.testing.assert_allclose(run(network, series[None])[0], outputs[2][first], atol=1e-5)
    with torch.inference_mode():
        combined = network(torch.from_numpy(series[None]), 1, True)[0]
    expected = np.concatenate([outputs[1][first], outputs[1][others].mean(0)])
    np.testing.assert_allclose(combined, expected, atol=1e-5)
    with pytest.raises(ValueError, match="a multiple of 32 samples, got 300"):
        network(torch.zeros(1, 300))


def test_rotary_positions_of_one_pair_depend_on_distance_alone():
    query, key = (torch.from_numpy(RNG.normal(size=(1, 1, 1, 2))).expand(1, 1, 20, 2) for _ in range(2))
    turned = rotary(query, key)
    products = (turned[0][0, 0] @ turned[1][0, 0].T).numpy()
    for distance in range(-19, 20):
        np.testing.assert_allclose(np.diag(products, distance), np.diag(products, distance)[0], rtol=1e-9)


def test_limu_bert(small_networks):
    network = small_networks["limu_bert"]()
    raw = state_of(network, "transformer.")
    state = {name.replace("gamma", "weight").replace("beta", "bias"): value for name, value in raw.items()}
    window = RNG.normal(size=(120, 6))
    x = norm(linear(window, state, "embed.lin."), state, "embed.norm.", 1e-12) + state["embed.pos_embed.weight"]
    x = norm(x, state, "embed.norm.", 1e-12)
    for _ in range(2):
        x = attend(*(linear(x, state, f"attn.proj_{part}.") for part in "qkv"), 2)
        x = norm(x + linear(x, state, "proj."), state, "norm1.", 1e-12)
        hidden = gelu(linear(x, state, "pwff.fc1."))
        x = norm(x + linear(hidden, state, "pwff.fc2."), state, "norm2.", 1e-12)
    np.testing.assert_allclose(run(network, window[None])[0], x, atol=1e-9)


def ricker(signal, scale):
    """Correlation with a Mexican hat of the whole length, half of it padded."""
    count = min(640, len(signal))
    time = np.arange(count) - (count - 1) / 2
    hat = 2 / (np.sqrt(3 * scale) * np.pi**0.25) * (1 - (time / scale) ** 2) * np.exp(-((time / scale) ** 2) / 2)
    padded = np.pad(signal, count // 2)
    return np.array([padded[start : start + count] @ hat for start in range(len(padded) - count + 1)])


@pytest.mark.parametrize(("samples", "columns"), [(64, 63), (65, 63)])
def test_wavelet_images(samples, columns):
    signal = RNG.normal(size=samples)
    image = wavelet_image(torch.from_numpy(signal[None]))[0].numpy()
    assert image.shape == (3, columns, 65)
    for row, series in enumerate((signal[2:], np.diff(signal)[1:], np.diff(signal, 2))):
        for column in (0, 7, 64):
            np.testing.assert_allclose(image[row, :, column], ricker(series, 0.1 + column), atol=1e-5)


def test_normwear_encoder_and_head(small_networks):
    network, head = small_networks["normwear_encoder"](), small_networks["normwear_head"]()
    state, own = state_of(network), state_of(head)
    window = RNG.normal(size=(2, 389))  # 387 columns as in pre-training, so no position is interpolated
    image = wavelet_image(torch.from_numpy(window)).numpy()
    assert image.shape == (2, 3, 387, 65)

    def block(x, name):
        y = norm(x, state, f"{name}norm1.", 1e-6)
        x = x + linear(attend(*np.split(linear(y, state, f"{name}attn.qkv."), 3, 1), 2), state, f"{name}attn.proj.")
        hidden = gelu(linear(norm(x, state, f"{name}norm2.", 1e-6), state, f"{name}mlp.fc1."))
        return x + linear(hidden, state, f"{name}mlp.fc2.")

    kernel, place = state["patch_embed.proj.weight"], state["pos_embed"][0]
    channels = []
    for picture in image:
        patches = [
            np.einsum("oktf,ktf->o", kernel, picture[:, 9 * row : 9 * row + 9, 5 * column : 5 * column + 5])
            for row in range(43)
            for column in range(13)
        ]
        first = state["cls_token"][0] + place[:1]
        channels.append(np.vstack([first, np.array(patches) + state["patch_embed.proj.bias"] + place[1:]]))
    for layer in range(2):
        channels = [block(x, f"encoder_blocks.{layer}.variate_encoder.") for x in channels]
        if layer % 2 == 0:
            fused = block(np.stack([x[0] for x in channels]), f"encoder_blocks.{layer}.cls_fusion.")
            channels = [np.vstack([row, x[1:]]) for row, x in zip(fused, channels, strict=True)]
    tokens = norm(np.stack(channels), state, "norm.")
    np.testing.assert_allclose(run(network, window[None])[0], tokens, atol=1e-4)

    question = RNG.normal(size=20)
    flat = tokens.reshape(-1, 24)
    query, keys, values = (
        linear(value, own, f"{name}.") for name, value in (("q", question), ("k", flat), ("v", flat))
    )
    relevance = softmax(keys @ query / np.linalg.norm(keys, axis=1) / np.linalg.norm(query))
    gate = np.exp((np.log(sigmoid(linear(flat, own, "cd.0."))) + 0.577) / 0.5)
    recency = np.tile(0.997 ** np.arange(559, -1, -1), 2)
    weight = softmax(relevance + 0.5 * gate[:, 1] / gate.sum(1) + 0.2 * recency)
    total = weight @ values
    hidden = gelu(linear(norm(total, own, "out_fc.LayerNorm.", 1e-6), own, "out_fc.fc_liner.0."))
    expected = total + linear(hidden, own, "out_fc.fc_liner.2.mu.")
    np.testing.assert_allclose(run(head, tokens[None], question)[0], expected, atol=1e-6)


# -- what a window becomes -----------------------------------------------------------------------------------------------


def window(seconds=5.0, rate=50.0, places=("left_wrist",), channels=6):
    time = np.arange(int(rate * seconds)) / rate
    signals = {
        place: np.stack([9.8 + np.sin(2 * np.pi * (1 + 0.3 * c + n) * time) for c in range(channels)], 1)
        for n, place in enumerate(places)
    }
    return ImuRecording(signals, rate)


def test_unimts_wraps_short_windows_and_cuts_long_ones(small_system):
    system = small_system("unimts")
    (piece,) = system._pieces(window(5.0), 0)
    signal = fourier_resample(window(5.0).signals["left_wrist"][:, :3], 100)
    node = NODES["L_Hand"]  # a wrist counts as the hand there
    np.testing.assert_allclose(piece[:, node], np.vstack([signal, signal]))
    assert not piece[:, np.arange(22) != node].any()
    long = window(23.0)
    (piece,) = system._pieces(long, 0)
    np.testing.assert_allclose(piece[:, node], fourier_resample(long.signals["left_wrist"][:, :3], 460)[:200])
    mended = UniMTS(system.network, system.tokenizer, "mended")
    assert [part.shape for part in mended._pieces(long, 0)] == [(200, 22, 3)] * 2
    flat = ImuRecording({"waist": np.full((250, 3), 9.8) + np.arange(250)[:, None] / 50}, 50.0)
    (faithful,), (own,) = system._pieces(flat, 0), mended._pieces(flat, 0)
    slope = 9.8 + np.arange(100) / 20
    assert np.abs(own[:100, 9, 0] - slope).max() < 0.2 < np.abs(faithful[:100, 9, 0] - slope).max()  # its ends wrap


def test_unimts_says_what_it_cannot_take(small_system):
    system = small_system("unimts")
    with pytest.raises(ValueError, match="'left_wrist' and 'left_hand' are one joint to it; leave one out"):
        system.embed_imu([window(places=("left_wrist", "left_hand"))])
    with pytest.raises(ValueError, match="unknown placement 'tail'"):
        system.embed_imu([window(places=("tail",))])
    with pytest.raises(ValueError, match="variant must be 'faithful' or 'mended', got 'best'"):
        UniMTS(system.network, system.tokenizer, "best")
    only = system.embed_imu([window(), window(channels=3)])
    np.testing.assert_allclose(only[0], only[1], atol=1e-6)  # gyroscopes are not read


@pytest.mark.parametrize("name", ["unimts", "unimts_mended", "unimts_objective", "imugpt_objective"])
def test_systems_that_read_acceleration_alone_refuse_a_sensor_without_it(name, small_system):
    turning = window(places=("left_wrist", "waist"))
    turning.signals["waist"][:, :3] = 0
    system = small_system(name)
    words = f"^{re.escape(system.title)}: window 1 has no accelerometer at 'waist'; leave that sensor out$"
    with pytest.raises(ValueError, match=words):
        system.score([window(), turning], ["walking", "sitting"])
    assert system.reads == 3


@pytest.mark.parametrize("name", ["imagebind", "imu2clip", "limu_bert"])
def test_systems_that_need_a_gyroscope_say_so(name, small_system):
    with pytest.raises(ValueError, match="window 0 has 3 channels at 'left_wrist', it takes 6"):
        small_system(name).check([window(channels=3)])


def test_a_long_window_is_shortened_behind_a_low_pass():
    time = np.arange(6000) / 200  # 30 s to 1,000 samples hold no 25 Hz
    fast, slow = np.sin(2 * np.pi * 25 * time), np.sin(2 * np.pi * 0.5 * time)
    found = stretch(np.stack([fast, slow], 1), 1000)
    assert found.shape == (1000, 2)
    assert np.abs(found[50:-50, 0]).max() < 0.02 and np.abs(found[50:-50, 1]).max() == pytest.approx(1, abs=0.02)
    ramp = stretch(np.linspace(0, 1, 24_000)[:, None], 1000)[:, 0]  # ends upon ends, however long
    np.testing.assert_allclose(ramp, np.linspace(0, 1, 1000), atol=0.02)
    short = stretch(np.stack([fast, slow], 1)[:500], 1000)
    np.testing.assert_allclose(short[:, 1], np.interp(np.linspace(0, 499, 1000), np.arange(500), slow[:500]))


def test_imagebind_stretches_or_pads(small_system):
    stretch = small_system("imagebind")
    pad = ImageBind(stretch.network, stretch.tokenizer, "pad")
    seen = []
    encode = stretch.network.encode_imu
    stretch.network.encode_imu = lambda x: seen.append(x) or encode(x)
    one = window(0.2, 200.0)
    for system in (stretch, pad):
        system.embed_imu([one])
    signal = one.signals["left_wrist"]
    np.testing.assert_allclose(seen[0][0, :, [0, 79]].T, signal[[0, -1]], rtol=1e-6)
    np.testing.assert_allclose(seen[1][0, :, :40].T, signal, rtol=1e-6)
    assert not seen[1][0, :, 40:].any()
    with pytest.raises(ValueError, match="fit must be 'stretch' or 'pad', got 'cut'"):
        ImageBind(stretch.network, stretch.tokenizer, "cut")


def test_placements_are_averaged_by_one_rule(small_system):
    for name in ("imagebind", "imu2clip"):
        system, both = small_system(name), window(places=("left_wrist", "waist"))
        parts = [system.embed_imu([ImuRecording({place: both.signals[place]}, 50.0)])[0] for place in both.signals]
        mean = np.mean(parts, 0)
        np.testing.assert_allclose(system.embed_imu([both])[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_imu2clip_resamples_to_its_layout(small_system):
    system = small_system("imu2clip")
    fixed = IMU2CLIP(IMU2CLIPEncoder("fixed", 32, 16), system.text, system.tokenizer)
    for one in (window(5.0, 60.0), window(3.0, 20.0), window(12.0, 100.0)):
        assert system.embed_imu([one]).shape == fixed.embed_imu([one]).shape == (1, 16)


def test_normwear_scores_by_distance_and_can_normalise(small_system):
    system = small_system("normwear")
    one, labels = window(1.0, 65.0), ["walking", "sitting"]
    found = system.answers([one])[0]
    options = system.encode_text([f"The person is {label}." for label in labels])
    np.testing.assert_allclose(system.score([one], labels)[0], -np.abs(found - options).sum(1), rtol=1e-6)
    mended = NormWear(system.encoder, system.head, system.encode_text, "mended")
    flat = detrend(one.signals["left_wrist"], axis=0)
    np.testing.assert_allclose(mended._input(one), (flat / np.abs(flat).mean(0)).T)
    np.testing.assert_array_equal(system._input(one), one.signals["left_wrist"].T)


def test_the_graph_encoder_takes_any_batch(small_networks):
    network = small_networks["unimts"]().acc
    assert isinstance(network, GraphEncoder)
    x = torch.from_numpy(RNG.normal(size=(5, 200, 22, 3))).float()
    with torch.inference_mode():
        np.testing.assert_allclose(network(x), torch.cat([network(row[None]) for row in x]), atol=1e-5)


def test_variants_are_systems_of_their_own(small_networks, small_system, tmp_path, monkeypatch):
    from anymo_hf.systems import imu2clip, normwear, unimts
    from anymo_hf.systems.interface import load_system

    monkeypatch.setattr(unimts, "UniMTSNetwork", small_networks["unimts"])
    monkeypatch.setattr(unimts, "load_tokenizer", lambda path: small_system("unimts").tokenizer)
    torch.save(small_networks["unimts"]().state_dict(), tmp_path / "UniMTS.pth")
    assert load_system("unimts", str(tmp_path)).variant == "faithful"
    mended = load_system("unimts_mended", str(tmp_path))
    assert mended.variant == "mended" and mended.name == "unimts_mended"
    np.testing.assert_allclose(
        mended.embed_imu([window()]), UniMTS(mended.network, mended.tokenizer, "mended").embed_imu([window()])
    )
    assert imu2clip.IMU2CLIPFixed.usual == "fixed" and normwear.NormWearMended.usual == "mended"
