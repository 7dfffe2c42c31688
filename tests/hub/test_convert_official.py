"""Official checkpoints: state dicts of the published names and shapes, converted, against the published equations.

The equations are evaluated here in float64 from the names alone; the language model is transformers' own.
"""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.official_checkpoint import BOOKS, HEADS, OUT, PAPER, SMALL, STRIDES, Maker, Official, authors_graph
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForCausalLM,
    AutoProcessor,
    pipeline,
)

import anymo_hf  # noqa: F401  (registers the Auto classes)
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining, AnyMoSTGCNModel
from anymo_hf.modeling.tokenization_anymo import AnyMoTokenizer

IMU_PROMPT = (
    "Represent the human motion from the wearable IMU motion tokens.\n\n"
    "The IMU tokens are from IMU sensors attached to the user's {place}.\n\n"
    "Input IMU token:\n{codes}\n\nReturn a compact embedding of the motion."
)
TEXT_PROMPT = (
    "Represent the human motion described by the text.\n\nMotion description:\n",
    "\n\nReturn a compact embedding of the motion.",
)


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
    assert_near(model.get_imu_features(**batch).pooler_output, torch.stack(expected))
    texts = ["walking up the stairs", "A person sits.  The person reads"]
    embeds = model.get_text_features(**processor(text=texts, return_tensors="pt")).pooler_output
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    assert_near(
        model.get_imu_features(**batch).pooler_output[0], imu_embedding(official, [3, 9, 7, 15], "Left Forearm")
    )


def test_an_encoder_without_predictor_and_safetensors_files(small, tmp_path):
    save_file({f"module.{name}": tensor for name, tensor in small.encoder.items()}, tmp_path / "encoder.safetensors")
    small.convert(tmp_path / "out", encoder=tmp_path / "encoder.safetensors")
    assert not (tmp_path / "out" / "encoder").exists()
    stgcn = AutoFeatureExtractor.from_pretrained(tmp_path / "out").stgcn
    assert torch.equal(stgcn.mask_token, small.encoder["mask_token"])


def test_the_graph_of_the_checkpoint_is_kept_and_named(small, tmp_path):
    genuine, deep = authors_graph(), authors_graph(max_hop=22)
    assert [int((part > 0).sum()) for part in genuine] == [23, 38, 6]
    assert [int((part > 0).sum()) for part in deep] == [23, 22, 22]
    assert torch.equal(genuine.sum(0), deep.sum(0))
    for name, graph in (("official", genuine), ("depth", deep)):
        small.write("encoder", changed(small.contents["encoder"], "encoder_state_dict/A", graph.half()))
        report = small.convert(tmp_path / f"from_{name}")
        assert report["compared"]["body graph"] == name
        stgcn = AutoFeatureExtractor.from_pretrained(tmp_path / f"from_{name}").stgcn
        assert stgcn.config.graph == name and torch.equal(stgcn.A, graph.half().float())
        assert AutoConfig.from_pretrained(tmp_path / f"from_{name}").stgcn_config.graph == name
        # a new model of this configuration has the graph, too
        torch.testing.assert_close(AnyMoSTGCNModel(stgcn.config).A, graph)


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
    ("encoder", f"{ENCODER}/A", authors_graph().flip(0), "partition 0 from Pelvis to Pelvis"),
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


@pytest.mark.slow
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
