"""Official checkpoint files with random tensors of the published names and shapes."""

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from anymo_hf.hub.convert_official import convert_official

PAPER = {"widths": [64] * 4 + [128] * 3 + [256] * 3, "size": 2048, "code_dim": 64, "inner": 512, "latents": 128}
SMALL = {"widths": [8] * 4 + [16] * 3 + [24] * 3, "size": 8, "code_dim": 4, "inner": 12, "latents": 6}
STRIDES = [1, 1, 1, 1, 2, 1, 1, 2, 1, 1]
HIDDEN, OUT, BOOKS, HEADS = 64, 40, 2, 8
PARENTS = [-1, 0, 1, 2, 3, 4, 5, 4, 7, 8, 9, 4, 11, 12, 13, 0, 15, 16, 17, 0, 19, 20, 21]
CHAT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXTS = ["Represent the human motion from the wearable IMU motion tokens.", "a person walks up the stairs"] * 5


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


def authors_graph(max_hop=1):
    """The authors' adjacency, by their rule: hop distances stop at `max_hop`; without it, true depths."""
    linked = np.eye(23)
    for node, parent in enumerate(PARENTS):
        if parent >= 0:
            linked[node, parent] = linked[parent, node] = 1
    hops = np.full((23, 23), np.inf)
    for hop in range(max_hop, -1, -1):
        hops[np.linalg.matrix_power(linked, hop) > 0] = hop
    normalised = (hops <= 1) / (hops <= 1).sum(0)
    parts = np.zeros((3, 23, 23), dtype=np.float32)
    for start in range(23):
        for end in range(23):
            if hops[start, end] <= 1:
                toward_centre = hops[start, 0] >= hops[end, 0]  # infinity equals infinity
                part = 0 if start == end else 1 if toward_centre else 2
                parts[part, start, end] = normalised[start, end]
    return torch.from_numpy(parts)


def encoder_tensors(maker, widths, **_):
    tensors = {"A": authors_graph(), "mask_token": maker.normal(6)} | maker.batch_norm("data_bn", 138)
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
