"""Official checkpoints: state dicts of the published names and shapes, converted, against the published equations.

The equations are evaluated here in float64 from the names alone; the language model is transformers' own.
"""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForCausalLM,
    AutoProcessor,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    pipeline,
)

import anymo_hf  # noqa: F401  (registers the Auto classes)
from anymo_hf.hub.convert_official import convert_official
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining
from anymo_hf.modeling.tokenization_anymo import AnyMoTokenizer

PAPER = {"widths": [64] * 4 + [128] * 3 + [256] * 3, "size": 2048, "code_dim": 64, "inner": 512, "latents": 128}
SMALL = {"widths": [8] * 4 + [16] * 3 + [24] * 3, "size": 8, "code_dim": 4, "inner": 12, "latents": 6}
STRIDES = [1, 1, 1, 1, 2, 1, 1, 2, 1, 1]
HIDDEN, OUT, BOOKS, HEADS = 64, 40, 2, 8
PARENTS = [-1, 0, 1, 2, 3, 4, 5, 4, 7, 8, 9, 4, 11, 12, 13, 0, 15, 16, 17, 0, 19, 20, 21]
CHAT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXTS = ["Represent the human motion from the wearable IMU motion tokens.", "a person walks up the stairs"] * 5

IMU_PROMPT = (
    "Represent the human motion from the wearable IMU motion tokens.\n\n"
    "The IMU tokens are from IMU sensors attached to the user's {place}.\n\n"
    "Input IMU token:\n{codes}\n\nReturn a compact embedding of the motion."
)
TEXT_PROMPT = (
    "Represent the human motion described by the text.\n\nMotion description:\n",
    "\n\nReturn a compact embedding of the motion.",
)


# -- official files ------------------------------------------------------------------------------------------------------


class Maker:
    """Random tensors of given shapes."""

    def __init__(self, seed=0):
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape, scale=1.0, mean=0.0):
        return torch.randn(shape, generator=self.generator) * scale + mean

    def linear(self, name, *shape, bias=True):
        fan = int(np.prod(shape[1:]))
        tensors = {f"{name}.weight": self.normal(*shape, scale=fan**-0.5)}
        return tensors | ({f"{name}.bias": self.normal(shape[0], scale=0.1)} if bias else {})

    def norm(self, name, dim, bias=True):
        tensors = {f"{name}.weight": self.normal(dim, scale=0.1, mean=1.0)}
        return tensors | ({f"{name}.bias": self.normal(dim, scale=0.1)} if bias else {})

    def batch_norm(self, name, dim):
        return self.norm(name, dim) | {
            f"{name}.running_mean": self.normal(dim, scale=0.3),
            f"{name}.running_var": self.normal(dim).square() * 0.3 + 0.7,
            f"{name}.num_batches_tracked": torch.tensor(7),
        }

    def attention(self, name, dim):
        return {
            f"{name}.in_proj_weight": self.normal(3 * dim, dim, scale=dim**-0.5),
            f"{name}.in_proj_bias": self.normal(3 * dim, scale=0.1),
        } | self.linear(f"{name}.out_proj", dim, dim)


def body_graph():
    depth = [0] * 23
    linked = torch.eye(23)
    for node, parent in enumerate(PARENTS):
        if parent >= 0:
            depth[node] = depth[parent] + 1
            linked[node, parent] = linked[parent, node] = 1
    parts = torch.zeros(3, 23, 23)
    for start in range(23):
        for end in range(23):
            part = 0 if start == end else 1 if depth[start] >= depth[end] else 2
            parts[part, start, end] = linked[start, end] / linked[:, end].sum()
    return parts


def encoder_tensors(maker, widths, **_):
    tensors = {"A": body_graph(), "mask_token": maker.normal(6)} | maker.batch_norm("data_bn", 138)
    for i, (width, before, stride) in enumerate(zip(widths, [6, *widths], STRIDES, strict=False)):
        name = f"st_gcn_networks.{i}"
        tensors[f"edge_importance.{i}"] = maker.normal(3, 23, 23, scale=0.1, mean=1.0)
        tensors |= maker.linear(f"{name}.gcn.conv", 3 * width, before, 1, 1)
        tensors |= maker.batch_norm(f"{name}.tcn.0", width) | maker.batch_norm(f"{name}.tcn.3", width)
        tensors |= maker.linear(f"{name}.tcn.2", width, width, 9, 1)
        if i and (width != before or stride > 1):
            tensors |= maker.linear(f"{name}.residual.0", width, before, 1, 1)
            tensors |= maker.batch_norm(f"{name}.residual.1", width)
    return tensors


def predictor_tensors(maker, widths, **_):
    dim = widths[-1]
    tensors = {"pos_embed": maker.normal(1, 75, dim, scale=0.1)} | maker.norm("norm", dim)
    tensors |= maker.linear("head", dim, dim)
    for i in range(6):
        name = f"blocks.{i}"
        tensors |= maker.norm(f"{name}.norm1", dim) | maker.norm(f"{name}.norm2", dim)
        tensors |= maker.attention(f"{name}.attn", dim)
        tensors |= maker.linear(f"{name}.mlp.0", 4 * dim, dim) | maker.linear(f"{name}.mlp.3", dim, 4 * dim)
    return tensors


def pqvae_tensors(maker, widths, size, code_dim, **_):
    dim, bottleneck = widths[-1], BOOKS * code_dim
    tensors = maker.norm("pre_quant.0", dim) | maker.linear("pre_quant.1", bottleneck, dim)
    tensors |= {f"quantizer.{name}": maker.normal(BOOKS, size, code_dim) for name in ("embedding", "embed_avg")}
    tensors["quantizer.cluster_size"] = maker.normal(BOOKS, size).abs()
    for name in ("last", "total"):
        tensors[f"quantizer.{name}_dead_code_replacements"] = torch.zeros(BOOKS, dtype=torch.long)
    tensors |= maker.norm("decoder.in_norm", bottleneck) | maker.linear("decoder.in_proj", dim, bottleneck, 1)
    for i in range(3):
        for j in (1, 2):
            tensors |= maker.norm(f"decoder.blocks.{i}.norm{j}", dim)
            tensors |= maker.linear(f"decoder.blocks.{i}.conv{j}", dim, dim, 3)
    return tensors | maker.norm("decoder.out_norm", dim) | maker.linear("decoder.out_proj", dim, dim, 1)


def contrastive_tensors(maker, latents, **_):
    tensors = {}
    for name in ("imu_pooler", "text_pooler"):
        tensors[f"{name}.latents"] = maker.normal(latents, HIDDEN, scale=0.02)
        for part in ("token_norm", "latent_norm", "norm", "ffn.norm"):
            tensors |= maker.norm(f"{name}.{part}", HIDDEN, bias=False)
        tensors |= maker.attention(f"{name}.attn", HIDDEN)
        for part in ("gate_proj", "up_proj"):
            tensors |= maker.linear(f"{name}.ffn.{part}", 2 * HIDDEN, HIDDEN)
        tensors |= maker.linear(f"{name}.ffn.down_proj", HIDDEN, 2 * HIDDEN)
    for name in ("imu_embedding_head", "text_embedding_head", "imu_residual_head"):
        tensors |= maker.linear(name, OUT, HIDDEN, bias=False)
    tensors |= maker.norm("imu_residual_norm", HIDDEN, bias=False)
    return tensors | {"text_soft_prompt": maker.normal(8, HIDDEN, scale=0.5), "imu_residual_scale": torch.tensor(0.75)}


def write_llm(folder, maker, codes, eos_second, tied):
    """Qwen2 with a byte-level tokenizer; the official code adds <imu_eos> second."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet))
    names = [f"<imu_{code:04d}>" for code in range(codes)]
    names = ["<imu_bos>", "<imu_eos>", *names] if eos_second else ["<imu_bos>", *names, "<imu_eos>"]
    backend.add_special_tokens([AddedToken(name, special=True) for name in CHAT + names])
    PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=CHAT[0], pad_token=CHAT[0]).save_pretrained(folder)
    config = Qwen2Config(
        vocab_size=backend.get_vocab_size() + 5, hidden_size=HIDDEN, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=tied,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(maker.normal(*weight.shape, scale=0.15, mean=1.0 if "norm" in name else 0.0))
    model.save_pretrained(folder)
    return backend, model


class Official:
    """Random official files in a folder, and what is in them."""

    def __init__(self, folder, sizes, eos_second=True, tied=True):
        maker, self.folder, self.sizes = Maker(), folder, sizes
        folder.mkdir(exist_ok=True)
        self.encoder, self.predictor = encoder_tensors(maker, **sizes), predictor_tensors(maker, **sizes)
        self.pqvae, self.contrastive = pqvae_tensors(maker, **sizes), contrastive_tensors(maker, **sizes)
        self.projector = maker.linear("0", sizes["inner"], sizes["code_dim"]) | maker.linear(
            "2", HIDDEN, sizes["inner"]
        )
        codes = BOOKS * sizes["size"]
        self.tokenizer, self.llm = write_llm(folder / "llm", maker, codes, eos_second, tied)
        self.code_ids = [self.tokenizer.token_to_id(f"<imu_{code:04d}>") for code in range(codes)]
        ids = {name: self.tokenizer.token_to_id(f"<imu_{name}>") for name in ("bos", "eos")}
        ablation = {f"net.{i}.{name}": torch.zeros(3) for i in (0, 2) for name in ("weight", "bias")}
        optimizer = {
            "state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(4)}},
            "param_groups": [{"lr": 3e-4}],
        }
        self.contents = {
            "encoder": {
                "epoch": 9, "best_val_loss": 0.5, "encoder_state_dict": self.encoder,
                "predictor_state_dict": self.predictor, "projector_state_dict": ablation,
                "optimizer_state_dict": optimizer,
            },
            "pqvae": {
                "pqvae_state_dict": {f"_orig_mod.{name}": tensor for name, tensor in self.pqvae.items()},
                "config": {"input_dim": sizes["widths"][-1], "bottleneck_dim": BOOKS * sizes["code_dim"],
                           "num_codebooks": BOOKS, "codebook_size": sizes["size"], "codebook_dim": sizes["code_dim"],
                           "commitment_weight": 0.25, "dead_code_threshold_ratio": 0.2},
            },
            "projector": {
                "projector_state_dict": self.projector, "base_vocab_size": min(*self.code_ids, *ids.values()),
                "tokenizer_vocab_size": self.tokenizer.get_vocab_size(), "imu_token_ids": self.code_ids,
                "imu_bos_token_id": ids["bos"], "imu_eos_token_id": ids["eos"],
                "init_anymo_lm_head_from_projector": True, "freeze_non_anymo_token_rows": True,
            },
            "contrastive": self.contrastive,
        }  # fmt: skip
        for role, content in self.contents.items():
            self.write(role, content)

    def write(self, role, content):
        torch.save(content, self.folder / f"{role}.pt")

    def convert(self, out, **changes):
        paths = {role: self.folder / f"{role}.pt" for role in self.contents} | {"llm": self.folder / "llm"}
        return convert_official(**(paths | {"out": out} | changes))

    def whole_run(self):
        """The last stage's pytorch_model.bin: everything of the wrapper, with the later language model."""
        index = torch.full((self.tokenizer.get_vocab_size(),), -1)
        index[self.code_ids] = torch.arange(len(self.code_ids))
        tensors = {f"llm.{name}": tensor for name, tensor in self.llm.state_dict().items()}
        tensors |= {f"projector.{name}": tensor for name, tensor in self.projector.items()} | self.contrastive
        return tensors | {
            "flat_codebook": self.pqvae["quantizer.embedding"].flatten(0, 1),
            "token_id_to_code_index": index,
        }


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    official = Official(folder / "official", PAPER)
    official.report = official.convert(folder / "anymo-paper", wrist="hand")
    official.out = folder / "anymo-paper"
    return official


@pytest.fixture
def small(tmp_path):
    return Official(tmp_path / "official", SMALL)


# -- published equations in float64 --------------------------------------------------------------------------------------


class Doubles:
    """The tensors of a prefix in float64, and the layers that read them."""

    def __init__(self, tensors, prefix=""):
        self.tensors = {n.removeprefix(prefix): t.double() for n, t in tensors.items() if n.startswith(prefix)}

    def __getitem__(self, name):
        return self.tensors[name]

    def linear(self, name, x):
        return x @ self[f"{name}.weight"].T + self.tensors.get(f"{name}.bias", 0)

    def layer_norm(self, name, x):
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        return x * self[f"{name}.weight"] + self[f"{name}.bias"]

    def rms_norm(self, name, x):
        return x / (x.square().mean(-1, keepdim=True) + np.finfo(np.float32).eps).sqrt() * self[f"{name}.weight"]

    def batch_norm(self, name, x):
        """`(N, C, ...)`."""
        shape = (1, -1) + (1,) * (x.ndim - 2)
        scale = self[f"{name}.weight"] / (self[f"{name}.running_var"] + 1e-5).sqrt()
        return (x - self[f"{name}.running_mean"].view(shape)) * scale.view(shape) + self[f"{name}.bias"].view(shape)

    def group_norm(self, name, x):
        """One group over `(N, C, L)`."""
        x = (x - x.mean((1, 2), keepdim=True)) / (x.var((1, 2), unbiased=False, keepdim=True) + 1e-5).sqrt()
        return x * self[f"{name}.weight"][:, None] + self[f"{name}.bias"][:, None]

    def attention(self, name, query, key, value):
        parts = zip(
            (query, key, value), self[f"{name}.in_proj_weight"].chunk(3), self[f"{name}.in_proj_bias"].chunk(3),
            strict=True,
        )  # fmt: skip
        q, k, v = ((x @ w.T + b).unflatten(-1, (HEADS, -1)).transpose(-2, -3) for x, w, b in parts)
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        return self.linear(f"{name}.out_proj", (weights @ v).transpose(-2, -3).flatten(-2))

    def convolution(self, name, x, dilation):
        """Kernel 3 over `(N, C, L)`, zeros beyond the ends."""
        weight, length = self[f"{name}.weight"], x.shape[-1]
        padded = torch.nn.functional.pad(x, (dilation, dilation))
        shifted = [padded[..., k * dilation : k * dilation + length] for k in range(3)]
        terms = [torch.einsum("oi,nil->nol", weight[..., k], part) for k, part in enumerate(shifted)]
        return sum(terms) + self[f"{name}.bias"][:, None]


def gelu(x):
    return x * 0.5 * (1 + torch.erf(x / 2**0.5))


def encode(tensors, imu, visible):
    """`(N, T, 23, 6)` to `(N, T', 256)`, in the direct form: convolution to three partitions, then a sum over A."""
    net = Doubles(tensors)
    x = net.batch_norm("data_bn", imu.double().flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, (23, 6))
    x = torch.where(visible[:, None, :, None], x, net["mask_token"]).permute(0, 3, 1, 2)  # (N, C, T, V)
    for i, stride in enumerate(STRIDES):
        name = f"st_gcn_networks.{i}"
        graph = net["A"] * net[f"edge_importance.{i}"]
        y = torch.einsum("oc,nctv->notv", net[f"{name}.gcn.conv.weight"][..., 0, 0], x)
        y = (y + net[f"{name}.gcn.conv.bias"].view(-1, 1, 1)).unflatten(1, (3, -1))
        y = torch.einsum("nkctv,kvw->nctw", y, graph)
        y = net.batch_norm(f"{name}.tcn.0", y).relu()
        windows = torch.nn.functional.pad(y, (0, 0, 4, 4)).unfold(2, 9, stride)  # (N, C, T', V, 9)
        y = torch.einsum("ock,nctvk->notv", net[f"{name}.tcn.2.weight"][..., 0], windows)
        y = net.batch_norm(f"{name}.tcn.3", y + net[f"{name}.tcn.2.bias"].view(-1, 1, 1))
        if f"{name}.residual.0.weight" in net.tensors:
            r = torch.einsum("oc,nctv->notv", net[f"{name}.residual.0.weight"][..., 0, 0], x[:, :, ::stride])
            y = y + net.batch_norm(f"{name}.residual.1", r + net[f"{name}.residual.0.bias"].view(-1, 1, 1))
        elif i:
            y = y + x
        x = y.relu()
    return x.mean(3).transpose(1, 2)


def predict(tensors, x):
    net = Doubles(tensors)
    x = x.double() + net["pos_embed"][:, : x.shape[1]]
    for i in range(6):
        y = net.layer_norm(f"blocks.{i}.norm1", x)
        x = x + net.attention(f"blocks.{i}.attn", y, y, y)
        y = net.linear(f"blocks.{i}.mlp.0", net.layer_norm(f"blocks.{i}.norm2", x))
        x = x + net.linear(f"blocks.{i}.mlp.3", gelu(y))
    return net.linear("head", net.layer_norm("norm", x))


def quantize(tensors, x):
    net = Doubles(tensors)
    z = net.linear("pre_quant.1", net.layer_norm("pre_quant.0", x.double())).unflatten(-1, (BOOKS, -1))
    return torch.stack([torch.cdist(z[..., b, :], net["quantizer.embedding"][b]).argmin(-1) for b in range(BOOKS)], -1)


def dequantize(tensors, codes):
    net = Doubles(tensors)
    vectors = torch.cat([net["quantizer.embedding"][book, codes[..., book]] for book in range(BOOKS)], -1)
    x = net.layer_norm("decoder.in_norm", vectors)
    x = x @ net["decoder.in_proj.weight"][..., 0].T + net["decoder.in_proj.bias"]
    x = x.transpose(1, 2)
    for i, dilation in enumerate((1, 2, 4)):
        y = x
        for j in (1, 2):
            name = f"decoder.blocks.{i}"
            y = net.convolution(f"{name}.conv{j}", gelu(net.group_norm(f"{name}.norm{j}", y)), dilation)
        x = x + y
    x = gelu(net.group_norm("decoder.out_norm", x)).transpose(1, 2)
    return x @ net["decoder.out_proj.weight"][..., 0].T + net["decoder.out_proj.bias"]


def embed_tokens(official, ids):
    """Words from the table, codes through the projector."""
    project = Doubles(official.projector)
    codebook = official.pqvae["quantizer.embedding"].double().flatten(0, 1)
    table = official.llm.get_input_embeddings().weight.double()
    number = {token: code for code, token in enumerate(official.code_ids)}
    rows = [
        project.linear("2", gelu(project.linear("0", codebook[number[i]]))) if i in number else table[i] for i in ids
    ]
    return torch.stack(rows)[None]


def last_hidden(official, embeds):
    return official.llm.double().model(inputs_embeds=embeds).last_hidden_state[0]


def pool(tensors, name, tokens, chosen):
    net = Doubles(tensors, f"{name}.")
    latents = net["latents"]
    x = tokens + net.attention(
        "attn", net.rms_norm("token_norm", tokens), net.rms_norm("latent_norm", latents), latents
    )
    y = net.rms_norm("ffn.norm", x)
    x = x + net.linear(
        "ffn.down_proj", torch.nn.functional.silu(net.linear("ffn.gate_proj", y)) * net.linear("ffn.up_proj", y)
    )
    return net.rms_norm("norm", x[chosen].mean(0))


def imu_embedding(official, codes, place):
    text = "".join(f"<imu_{code:04d}>" for code in codes)
    ids = official.tokenizer.encode(IMU_PROMPT.format(place=place, codes=f"<imu_bos>{text}<imu_eos>")).ids
    embeds = embed_tokens(official, ids)
    chosen = [position for position, i in enumerate(ids) if i in set(official.code_ids)]
    net = Doubles(official.contrastive)
    pooled = pool(official.contrastive, "imu_pooler", last_hidden(official, embeds), chosen)
    residual = net.linear("imu_residual_head", net.rms_norm("imu_residual_norm", embeds[0, chosen].mean(0)))
    out = net.linear("imu_embedding_head", pooled) + net["imu_residual_scale"] * residual
    return out / out.norm()


def text_embedding(official, text):
    before, content, after = (official.tokenizer.encode(part).ids for part in (TEXT_PROMPT[0], text, TEXT_PROMPT[1]))
    net = Doubles(official.contrastive)
    embeds = torch.cat([net["text_soft_prompt"][None], embed_tokens(official, before + content + after)], 1)
    start = 8 + len(before)
    pooled = pool(
        official.contrastive, "text_pooler", last_hidden(official, embeds), range(start, start + len(content))
    )
    out = net.linear("text_embedding_head", pooled)
    return out / out.norm()


def assert_near(ours, expected, tolerance=2e-4):
    error = (ours.detach().double() - expected.detach()).abs().max() / expected.detach().abs().max()
    assert error < tolerance, f"relative error {error:.2e}"


# -- tests ---------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_encoder_predictor_and_tokenizer_equal_the_equations(paper):
    extractor = AutoFeatureExtractor.from_pretrained(paper.out)
    model = AnyMoSTGCNForPreTraining.from_pretrained(paper.out / "encoder").eval()
    maker = Maker(1)
    imu, visible = maker.normal(2, 41, 23, 6, scale=3), maker.normal(2, 23) > 0.5
    expected = encode(paper.encoder, imu, visible)
    assert expected.shape == (2, 11, 256)
    for encoder in (extractor.stgcn, model.encoder):
        assert_near(encoder(imu, visible).last_hidden_state, expected)
    latents = maker.normal(2, 75, 256)
    assert_near(model.predictor(latents, torch.ones(2, 75, dtype=torch.bool)), predict(paper.predictor, latents))
    codes = quantize(paper.pqvae, latents)
    assert torch.equal(extractor.pqvae.encode(latents), codes)
    assert_near(extractor.pqvae.decode(codes), dequantize(paper.pqvae, codes))
    assert extractor.wrist == "hand"
    for name in ("embed_avg", "cluster_size"):
        assert torch.equal(getattr(extractor.pqvae.quantizer, name), paper.pqvae[f"quantizer.{name}"])


@torch.no_grad()
def test_embeddings_and_logits_equal_the_equations(paper):
    model, processor = AutoModel.from_pretrained(paper.out).eval(), AutoProcessor.from_pretrained(paper.out)
    rows = [[3, 2048 + 77, 2047, 4095], [0, 2048, 5, 2049, 6, 4000]]
    batch = processor(imu_codes=rows, imu_placements=[[13], [6, 9]], return_tensors="pt")
    expected = [imu_embedding(paper, rows[0], "Left Forearm"), imu_embedding(paper, rows[1], "Head, Right Forearm")]
    assert_near(model.get_imu_features(**batch), torch.stack(expected))
    texts = ["walking up the stairs", "A person sits.  The person reads"]
    embeds = model.get_text_features(**processor(text=texts, return_tensors="pt"))
    assert_near(embeds, torch.stack([text_embedding(paper, text) for text in texts]))
    logits = model(**batch, **processor(text=texts, return_tensors="pt")).logits_per_imu
    cosine = torch.stack(expected) @ torch.stack([text_embedding(paper, text) for text in texts]).T
    assert_near(logits, cosine / 0.1, 1e-3)

    question = (
        "<|im_start|>user\nDescribe the human motion represented by the wearable IMU motion tokens.\n\n"
        "The IMU tokens are from IMU sensors attached to the user's Left Forearm.\n\nInput IMU token:\n"
        "<imu_bos><imu_0003><imu_2125><imu_eos><|im_end|>\n<|im_start|>assistant\n"
    )
    ids = paper.tokenizer.encode(question).ids
    official = paper.llm.double().lm_head(last_hidden(paper, embed_tokens(paper, ids)))
    inputs = processor.generation_inputs(imu_codes=[[3, 2125]], imu_placements=[[13]])
    assert [processor.tokenizer.convert_ids_to_tokens(i) for i in inputs["input_ids"][0].tolist()] == [
        paper.tokenizer.id_to_token(i) for i in ids
    ]
    ours = AutoModelForCausalLM.from_pretrained(paper.out).eval()(**inputs).logits[0]
    vocabulary = paper.tokenizer.get_vocab()
    moved = [processor.tokenizer.convert_tokens_to_ids(token) for token in vocabulary]
    assert_near(ours[:, moved], official[:, list(vocabulary.values())])


def test_report_settings_and_pipelines(paper):
    report = json.loads((paper.out / "conversion_report.json").read_text())
    assert report == paper.report
    sizes = {role: (file["tensors"], file["placed"]) for role, file in report["files"].items()}
    contrastive = len(paper.contrastive)
    assert sizes["contrastive"] == (contrastive, contrastive) and sizes["projector"] == (4, 4)
    assert sizes["pqvae"] == (len(paper.pqvae), len(paper.pqvae) - 2)
    placed = len(paper.encoder) + len(paper.predictor)
    assert sizes["encoder"] == (placed + 6, placed)
    assert sizes["llm"] == (26, 26)  # two layers of twelve, embedding and last norm; the head is the embedding
    assert report["chosen"]["motion tokens moved"]
    config = AutoModel.from_pretrained(paper.out).config
    assert (config.contrastive_temperature, config.imu_residual_scale, config.pooler_heads) == (0.1, 0.75, 8)
    assert config.pooler_latents == 128 and config.projector_hidden == 512 and config.projection_dim == OUT
    processor = AutoProcessor.from_pretrained(paper.out)
    assert processor.tokenizer.num_codes == 4096 and processor.feature_extractor.wrist == "hand"
    assert AutoProcessor.from_pretrained(paper.out, wrist="forearm").feature_extractor.read(
        {"left_wrist": np.ones((60, 6))}, sampling_rate=60
    )[0].keys() == {13}
    generation = AutoModelForCausalLM.from_pretrained(paper.out).generation_config
    ends = [processor.tokenizer.convert_tokens_to_ids(token) for token in ("<|im_end|>", "<|endoftext|>")]
    assert generation.eos_token_id == ends and generation.pad_token_id == ends[1]
    recording = {"imu": {"left_wrist": Maker(2).normal(120, 6).numpy()}, "sampling_rate": 60}
    answer = pipeline("zero-shot-imu-classification", model=str(paper.out))(recording, candidate_labels=["walk", "sit"])
    assert {item["label"] for item in answer} == {"walk", "sit"}
    caption = pipeline("imu-to-text", model=str(paper.out))(recording)
    assert isinstance(caption[0]["generated_text"], str)


CODES = "<imu_bos><imu_0003><imu_2125><imu_eos>"
PLACES = "The IMU tokens are from IMU sensors attached to the user's Head, Right Upper Arm, Left Forearm."
USER, ASSISTANT = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"


def assert_tokens(paper, processor, ids, expected):
    """Ids of ours are the tokens that the official tokenizer makes of the whole official string."""
    ours = [processor.tokenizer.convert_ids_to_tokens(i) for i in ids]
    assert ours == paper.tokenizer.encode(expected).tokens


def test_every_prompt_is_the_official_one(paper):
    processor = AutoProcessor.from_pretrained(paper.out)
    given = {"imu_codes": [[3, 2125]], "imu_placements": [[6, 8, 13]]}
    assert_tokens(
        paper, processor, processor(**given)["imu_input_ids"][0],
        f"Represent the human motion from the wearable IMU motion tokens.\n\n{PLACES}\n\nInput IMU token:\n{CODES}\n\n"
        "Return a compact embedding of the motion.",
    )  # fmt: skip
    narration = f"{USER}Describe the human motion represented by the wearable IMU motion tokens.\n\n{PLACES}\n\n"
    narration += f"Input IMU token:\n{CODES}{ASSISTANT}"
    assert_tokens(paper, processor, processor.generation_inputs(**given)["input_ids"][0].tolist(), narration)
    labels = ["Opening Door 1", "walking / hiking", *(f"label {number}" for number in range(3, 54))]
    keys = [*"abcdefghijklmnopqrstuvwxyz", *(2 * letter for letter in "abcdefghijklmnopqrstuvwxyz"), "aaa"]
    choices = "\n".join(f"{key}: {label}" for key, label in zip(keys, labels, strict=True))
    assert choices.startswith("a: Opening Door 1\nb: walking / hiking\nc: label 3\n") and "\nbb: label 28\n" in choices
    question = (
        f"{USER}Recognize the activity represented by the wearable IMU motion tokens.\n\n{PLACES}\n\n"
        f"Input IMU token:\n{CODES}\n\nCHOICES:\n{choices}\n\n"
        f"Choose the best matching option. Output the option key followed by the selected activity label.{ASSISTANT}"
    )
    motion = (
        f"{USER}Generate the wearable IMU motion tokens that represent the described human motion.\n\n{PLACES}\n\n"
        f"Motion description:\nA person turns to the TV.{ASSISTANT}"
    )
    inputs = processor.generation_inputs(
        imu_placements=[[6, 8, 13]], task="motion", description=" A person turns to the TV.\n"
    )
    assert_tokens(paper, processor, inputs["input_ids"][0].tolist(), motion)

    for arguments, expected in (
        (("narration", "A person  sits."), narration + "A person  sits.<|im_end|>\n"),
        (("multiple_choice", "label 28", labels), question + "bb: label 28<|im_end|>\n"),
        (("motion", None, None, "A person turns to the TV."), motion + f"{CODES}<|im_end|>\n"),
    ):
        example = processor.language_example([3, 2125], [6, 8, 13], *arguments)
        assert_tokens(paper, processor, example["input_ids"], expected)
    with pytest.raises(ValueError, match="'motion' of this processor needs description="):
        processor.generation_inputs(imu_placements=[[6]], task="motion")


def test_labels_are_lower_case_and_narrations_are_not(paper):
    processor = AutoProcessor.from_pretrained(paper.out)
    for kind, text, content in (
        ("narration", " A person  sits on the Sofa.\n", "A person  sits on the Sofa."),
        ("label", " Walking\t/  Hiking ", "walking / hiking"),
    ):
        batch = processor(text=[text], text_kind=kind)
        # prefix, text and suffix are tokenized apart, as the official code does
        parts = [
            paper.tokenizer.encode(part).tokens
            for part in (
                "Represent the human motion described by the text.\n\nMotion description:\n",
                content,
                "\n\nReturn a compact embedding of the motion.",
            )
        ]
        assert processor.tokenizer.convert_ids_to_tokens(batch["input_ids"][0]) == sum(parts, [])
        assert batch["pooling_mask"][0] == [0] * len(parts[0]) + [1] * len(parts[1]) + [0] * len(parts[2])
    recording = {"imu": {"left_wrist": Maker(3).normal(120, 6).numpy()}, "sampling_rate": 60}
    names, lower = ["Walking  Up", "SITTING", "Lying Down"], ["walking up", "sitting", "lying down"]
    recognise = pipeline("zero-shot-imu-classification", model=str(paper.out))
    scores = [[item["score"] for item in recognise(recording, candidate_labels=texts)] for texts in (names, lower)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    retrieve = pipeline("imu-text-retrieval", model=str(paper.out))
    scores = [[item["score"] for item in retrieve(recording, candidate_texts=texts)] for texts in (names, lower)]
    assert np.abs(np.subtract(*scores)).max() > 1e-4


@pytest.mark.parametrize("eos_second", [True, False])
@torch.no_grad()
def test_the_whole_last_stage_in_half_precision_replaces_the_stage_before(tmp_path, eos_second):
    official = Official(tmp_path / "official", SMALL, eos_second, tied=False)
    small = {name: t.bfloat16() if t.is_floating_point() else t for name, t in official.whole_run().items()}
    official.write("contrastive", small)
    before = {name: torch.zeros_like(tensor) for name, tensor in official.llm.state_dict().items()}
    save_file(before, official.folder / "llm" / "model.safetensors", {"format": "pt"})
    report = official.convert(tmp_path / "out")
    assert report["files"]["llm"]["placed"] == 0 and report["files"]["projector"]["placed"] == 0
    assert report["files"]["contrastive"]["placed"] == len(small) - 2
    assert report["chosen"]["motion tokens moved"] == eos_second
    # half precision is held exactly, so the equations of the rounded weights are those of ours
    for weight in official.llm.parameters():
        weight.copy_(weight.bfloat16())
    for tensors in (official.projector, official.contrastive):
        tensors |= {name: tensor.bfloat16() for name, tensor in tensors.items()}
    model, processor = (
        AutoModel.from_pretrained(tmp_path / "out").eval(),
        AutoProcessor.from_pretrained(tmp_path / "out"),
    )
    batch = processor(imu_codes=[[3, 9, 7, 15]], imu_placements=[[13]], return_tensors="pt")
    assert_near(model.get_imu_features(**batch)[0], imu_embedding(official, [3, 9, 7, 15], "Left Forearm"))


def test_an_encoder_without_predictor_and_safetensors_files(small, tmp_path):
    save_file({f"module.{name}": tensor for name, tensor in small.encoder.items()}, tmp_path / "encoder.safetensors")
    small.convert(tmp_path / "out", encoder=tmp_path / "encoder.safetensors")
    assert not (tmp_path / "out" / "encoder").exists()
    stgcn = AutoFeatureExtractor.from_pretrained(tmp_path / "out").stgcn
    assert torch.equal(stgcn.mask_token, small.encoder["mask_token"])


def changed(content, name, value):
    """A copy with one tensor replaced, or removed; `name` is a path through the dicts."""
    head, _, rest = name.partition("/")
    copy = dict(content)
    if rest:
        copy[head] = changed(copy[head], rest, value)
    elif value is None:
        del copy[head]
    else:
        copy[head] = value
    return copy


ENCODER, PQVAE = "encoder_state_dict", "pqvae_state_dict/_orig_mod."
BAD_TENSORS = [
    ("encoder", f"{ENCODER}/edge_importance.3", None, "1 missing: encoder.edge_importance.3"),
    ("encoder", f"{ENCODER}/st_gcn_networks.2.tcn.2.weight", None, "st_gcn_networks.2.tcn.2.weight' is missing"),
    ("encoder", f"{ENCODER}/extra.weight", torch.ones(2), "1 left over: encoder.extra.weight"),
    ("encoder", f"{ENCODER}/mask_token", torch.ones(5), r"data_bn.bias \(138,\), needed \(115,\)"),
    ("encoder", f"{ENCODER}/A", body_graph().flip(0), "partition 0 from Pelvis to Pelvis"),
    ("encoder", f"{ENCODER}/mask_token", torch.full((6,), torch.nan), "mask_token holds NaN"),
    ("encoder", "predictor_state_dict/norm.bias", None, "1 missing: predictor.norm.bias"),
    ("pqvae", f"{PQVAE}decoder.blocks.1.conv2.bias", None, "1 missing: decoder.blocks.1.conv2.bias"),
    ("pqvae", f"{PQVAE}quantizer.embed_avg", torch.ones(2, 8, 5), r"embed_avg \(2, 8, 5\), needed \(2, 8, 4\)"),
    ("pqvae", "config/codebook_size", 9, "config says codebook_size 9, its tensors 8"),
    (
        "projector",
        "projector_state_dict/0.weight",
        torch.ones(12, 5),
        "0.weight is 5 wide, the code vectors of --pqvae 4",
    ),
    ("projector", "projector_state_dict/3.weight", torch.ones(2), "1 left over: 3.weight"),
    ("projector", "imu_bos_token_id", 1, "imu_bos_token_id is not that of the tokenizer"),
    ("contrastive", "text_soft_prompt", None, "'text_soft_prompt' is missing"),
    ("contrastive", "imu_residual_norm.bias", torch.ones(64), "1 left over: imu_residual_norm.bias"),
    ("contrastive", "text_pooler.latents", torch.ones(6, 63), r"text_pooler.latents \(6, 63\), needed \(6, 64\)"),
    ("contrastive", "imu_embedding_head.weight", torch.ones(40, 64).double(), "does not hold exactly"),
]


@pytest.mark.parametrize(("role", "name", "value", "message"), BAD_TENSORS)
def test_a_tensor_that_does_not_fit_is_named_and_nothing_is_written(small, tmp_path, role, name, value, message):
    small.write(role, changed(small.contents[role], name, value))
    with pytest.raises(ValueError, match=message) as error:
        small.convert(tmp_path / "out")
    assert f"{role}.pt" in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["official"]


def test_pickles_swaps_damage_and_an_existing_folder(small, tmp_path):
    out = tmp_path / "out"

    def refuses(kind, message, **changes):
        with pytest.raises(kind, match=message):
            small.convert(out, **changes)
        assert not [path.name for path in tmp_path.iterdir() if "out" in path.name]

    folder = small.folder
    refuses(ValueError, "--encoder .*pqvae.pt looks like a file for --pqvae", encoder=folder / "pqvae.pt")
    refuses(ValueError, "--pqvae .*encoder.pt looks like a file for --encoder", pqvae=folder / "encoder.pt")
    refuses(ValueError, "looks like a file for --contrastive", projector=folder / "contrastive.pt")
    refuses(ValueError, "looks like a file for --projector", contrastive=folder / "projector.pt")
    refuses(OSError, "none.pt: no such file", pqvae=folder / "none.pt")
    refuses(ValueError, "wrist must be", wrist="elbow")

    class Harmful:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"encoder_state_dict": small.encoder, "x": Harmful()}, tmp_path / "pickle.pt")
    refuses(ValueError, "pickled Python objects", encoder=tmp_path / "pickle.pt")
    whole = (folder / "encoder.pt").read_bytes()
    for cut in (whole[: len(whole) // 2], whole[:10], b"", b"hello\n", b"t,acc_x,acc_y\n0,1,2\n", b"<html>"):
        (tmp_path / "cut.pt").write_bytes(cut)
        refuses(OSError, "cut.pt is damaged or cut short", encoder=tmp_path / "cut.pt")
    weights = folder / "llm" / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    refuses(OSError, "model.safetensors is damaged or cut short")
    weights.unlink()
    refuses(ValueError, "no weights, and --contrastive holds no language model")
    small.llm.save_pretrained(folder / "llm", max_shard_size="60KB")
    parts = sorted(weights.parent.glob("model-*.safetensors"))
    small.convert(out)
    assert len(parts) > 1 and torch.equal(AutoModel.from_pretrained(out).language_model.model.norm.weight.detach(),
                                          small.llm.model.norm.weight.detach())  # fmt: skip
    shutil.rmtree(out)
    parts[0].unlink()
    refuses(OSError, f"{parts[0].name} is missing; fetch all parts")
    for path in (*parts[1:], weights.parent / "model.safetensors.index.json"):
        path.unlink()
    weights.write_bytes(content)
    (folder / "llm" / "config.json").rename(folder / "config.json")
    refuses(OSError, "llm/config.json is missing")
    (folder / "config.json").rename(folder / "llm" / "config.json")
    tokens = folder / "llm" / "tokenizer.json"
    text = tokens.read_text()
    tokens.write_text(text.replace("<imu_0007>", "<imu_7>"))
    refuses(ValueError, "1 tokens are missing, the first is '<imu_0007>'")
    tokens.write_text(text[:-40])
    refuses(OSError, "tokenizer.json is damaged")
    tokens.write_text(text)

    run = small.whole_run()
    for name, value, message in (
        ("flat_codebook", run["flat_codebook"] + 1, "flat_codebook is not the codebook"),
        ("token_id_to_code_index", run["token_id_to_code_index"].flip(0), "token_id_to_code_index is not that"),
        ("llm.model.norm.weight", None, "1 missing: model.norm.weight"),
        ("llm.lm_head.weight", run["llm.lm_head.weight"] + 1, "ties embedding and head"),
    ):
        small.write("contrastive", {n: t for n, t in (run | {name: value}).items() if t is not None})
        refuses(ValueError, message)
    small.write("contrastive", small.contrastive)
    out.mkdir()
    with pytest.raises(OSError, match="out exists"):
        small.convert(out)
    assert not list(out.iterdir())


def test_converted_tokenizer_reads_words_as_the_official_one(paper):
    ours = AnyMoTokenizer.from_pretrained(paper.out)
    text = "<|im_start|>user\nA person walks, 3 steps: éü.<|im_end|>\n"
    assert ours(text)["input_ids"] == paper.tokenizer.encode(text).ids
