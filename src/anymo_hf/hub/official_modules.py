"""Our modules made of the authors' tensors: encoder, motion tokenizer, text tokenizer, language model with its heads.

Sizes are read from the shapes, so a small checkpoint of the same names converts too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, PreTrainedConfig

from ..modeling.body_segments import GRAPHS, SEGMENTS, spatial_partitions
from ..modeling.configuration_anymo import AnyMoConfig, AnyMoPQVAEConfig, AnyMoSTGCNConfig
from ..modeling.modeling_anymo import AnyMoForConditionalGeneration, WordAndCodeEmbedding
from ..modeling.modeling_pqvae import AnyMoPQVAEModel
from ..modeling.modeling_stgcn import AnyMoSTGCNForPreTraining
from ..modeling.tokenization_anymo import CHAT_TOKENS, IMU_BOS, IMU_EOS, AnyMoTokenizer, code_token
from ..refusals import parse_json
from .official_files import OfficialFile, check_fit

HEADS = 8  # of the predictor and the poolers; shapes do not tell it
TEMPERATURE = 0.1
# official nn.RMSNorm without an epsilon of its own adds this, in half precision too
NORM_EPS = torch.finfo(torch.float32).eps


# -- encoder and tokenizer -----------------------------------------------------------------------------------------------


def _count(file: OfficialFile, pattern: str) -> int:
    return 1 + max((int(m[1]) for name in file.tensors if (m := re.match(pattern, name))), default=-1)


def _heads(label: str, width: int) -> int:
    if width % HEADS:
        raise ValueError(f"{label}: width {width} is no multiple of the {HEADS} attention heads")
    return HEADS


def _known_graph(label: str, stored: torch.Tensor) -> str:
    """Name of the body graph that a checkpoint holds, equal up to half precision; ValueError for an unknown one."""
    differs = {}
    for name in GRAPHS:
        known = torch.from_numpy(spatial_partitions(name))
        differs[name] = (stored - known).abs() > 2**-7 * known
        if not differs[name].any():
            return name
    partition, start, end = (int(index) for index in differs["official"].nonzero()[0])
    raise ValueError(
        f"{label}: its body graph A is neither of the known ones ({', '.join(GRAPHS)}); it differs from the official "
        f"first in partition {partition} from {SEGMENTS[start]} to {SEGMENTS[end]}, so the order of its segments is unknown"
    )


def build_encoder(file: OfficialFile) -> AnyMoSTGCNForPreTraining:
    """The encoder, and the predictor where the file has it; otherwise that part stays random.

    Raises:
        ValueError: tensors that do not fit, or an unknown body graph.
    """
    blocks = len(AnyMoSTGCNConfig().strides)
    widths = [
        file.shape(f"encoder.st_gcn_networks.{index}.tcn.2.weight", 4)
        for index in range(max(blocks, _count(file, r"encoder\.st_gcn_networks\.(\d+)\.")))
    ]
    if len(widths) != blocks:
        raise ValueError(f"{file.label}: {len(widths)} ST-GCN blocks, the official encoder has {blocks}")
    settings: dict[str, Any] = {
        "channels": [width[0] for width in widths],
        "temporal_kernel": widths[0][2],
        "in_channels": file.shape("encoder.mask_token", 1)[0],
        "dropout": 0.0,
    }
    has_predictor = any(name.startswith("predictor.") for name in file.tensors)
    if has_predictor:
        settings |= {
            "predictor_layers": _count(file, r"predictor\.blocks\.(\d+)\."),
            "predictor_heads": _heads(f"{file.label}, predictor", settings["channels"][-1]),
            "predictor_mlp_dim": file.shape("predictor.blocks.0.mlp.0.weight", 2)[0],
            "predictor_max_length": file.shape("predictor.pos_embed", 3)[1],
        }
    stored = file.tensors.get("encoder.A")
    # another shape is named with the other tensors that do not fit
    if stored is not None and tuple(stored.shape) == (3, len(SEGMENTS), len(SEGMENTS)):
        settings["graph"] = _known_graph(file.label, stored)
    model = AnyMoSTGCNForPreTraining(AnyMoSTGCNConfig(**settings))
    expected = {name: t for name, t in model.state_dict().items() if has_predictor or name.startswith("encoder.")}
    check_fit(file.label, file.tensors, expected)
    model.load_state_dict(file.tensors, strict=has_predictor)
    return model.eval()


def build_pqvae(file: OfficialFile) -> AnyMoPQVAEModel:
    """The motion tokenizer.

    Raises:
        ValueError: tensors that do not fit, or sizes that the file's own configuration contradicts.
    """
    bottleneck, width = file.shape("pre_quant.1.weight", 2)
    books, size, code_dim = file.shape("quantizer.embedding", 3)
    found = {
        "input_dim": width,
        "bottleneck_dim": bottleneck,
        "num_codebooks": books,
        "codebook_size": size,
        "codebook_dim": code_dim,
    }
    own = file.settings.get("config")
    own = own if isinstance(own, Mapping) else {}
    for name, value in found.items():
        if own.get(name, value) != value:
            raise ValueError(f"{file.label}: its config says {name} {own[name]}, its tensors {value}")
    if books * code_dim != bottleneck:
        raise ValueError(f"{file.label}: {books} codebooks of width {code_dim} do not make the bottleneck {bottleneck}")
    config = AnyMoPQVAEConfig(
        input_dim=width,
        bottleneck_dim=bottleneck,
        num_codebooks=books,
        codebook_size=size,
        decoder_dim=file.shape("decoder.in_proj.weight", 3)[0],
        commitment_weight=own.get("commitment_weight", 0.25),
        dead_code_threshold=own.get("dead_code_threshold_ratio", 0.2),
    )
    model = AnyMoPQVAEModel(config)
    check_fit(file.label, file.tensors, model.state_dict())
    model.load_state_dict(file.tensors)
    return model.eval()


def read_tokenizer(folder: Path, num_codes: int) -> tuple[AnyMoTokenizer, list[int]]:
    """The tokenizer in our order, and the official ids of <imu_bos>, the codes and <imu_eos>.

    Official tokenizers may have <imu_eos> second; ours has the codes between the two. The first of the returned tokens
    takes the smallest of the ids, the others follow.

    Raises:
        OSError: no tokenizer.json.
        ValueError: motion or chat tokens are missing, too many, or not consecutive.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise OSError(f"{path} is missing; load the tokenizer with AutoTokenizer and save it into --llm")
    try:
        settings = parse_json(path.read_text(encoding="utf-8"))
        added = {token["content"]: token for token in settings["added_tokens"]}
    except (ValueError, KeyError, TypeError) as error:
        raise OSError(f"{path} is damaged ({error}); fetch it again") from error
    names = [IMU_BOS, *map(code_token, range(num_codes)), IMU_EOS]
    if missing := [name for name in (*names, *CHAT_TOKENS) if name not in added]:
        raise ValueError(f"{path}: {len(missing)} tokens are missing, the first is {missing[0]!r}")
    if extra := [name for name in added if re.fullmatch(r"<imu_\d+>", name) and name not in names]:
        raise ValueError(f"{path}: token {extra[0]!r} is beyond the {num_codes} codes of --pqvae")
    official = [added[name]["id"] for name in names]
    first = min(official)
    if sorted(official) != list(range(first, first + len(names))):
        raise ValueError(f"{path}: the ids of the {len(names)} motion tokens are not consecutive from {first}")
    for number, name in enumerate(names):
        added[name] |= {"id": first + number, "special": True, "normalized": False}
    settings["added_tokens"] = sorted(added.values(), key=lambda token: token["id"])
    backend = Tokenizer.from_str(json.dumps(settings))
    if any(backend.token_to_id(name) != first + number for number, name in enumerate(names)):
        raise ValueError(f"{path}: its motion tokens cannot be put in order; other tokens hold their ids")
    end, pad = CHAT_TOKENS[2], CHAT_TOKENS[0]
    return AnyMoTokenizer(tokenizer_object=backend, eos_token=end, pad_token=pad, padding_side="left"), official


# -- language model ------------------------------------------------------------------------------------------------------


def read_text_config(folder: Path) -> PreTrainedConfig:
    """Of the language model; OSError or ValueError where it cannot be read or is of another kind."""
    path = folder / "config.json"
    if not path.is_file():
        raise OSError(
            f"{path} is missing; --llm is the folder of the language model with config.json and tokenizer.json"
        )
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True)
    except (ValueError, KeyError, OSError) as error:
        raise OSError(f"{path} cannot be read as the config of a language model: {error}") from error


def check_token_ids(projector: OfficialFile, contrastive: OfficialFile, official: list[int]) -> list[str]:
    """Compares what the files say of token ids with the tokenizer's; returns what was compared."""
    said: dict[str, Any] = {"base_vocab_size": min(official)}
    said |= {"imu_bos_token_id": official[0], "imu_token_ids": official[1:-1], "imu_eos_token_id": official[-1]}
    compared = [name for name in said if name in projector.settings]
    for name in compared:
        if projector.settings[name] != said[name]:
            raise ValueError(f"{projector.label}: {name} is not that of the tokenizer in --llm; they are of two runs")
    index = contrastive.left_out.get("token_id_to_code_index")
    if index is not None:
        expected = torch.full((max(len(index), max(official) + 1),), -1)
        expected[official[1:-1]] = torch.arange(len(official) - 2)
        if not torch.equal(index.long(), expected):
            raise ValueError(f"{contrastive.label}: token_id_to_code_index is not that of the tokenizer in --llm")
        compared.append("token_id_to_code_index")
    return compared


def _latest(file: OfficialFile, contrastive: OfficialFile, prefix: str) -> OfficialFile:
    """A copy of `file`, or of its later state inside `contrastive`; the earlier tensors then have no place."""
    later = {name.removeprefix(prefix): t for name, t in contrastive.tensors.items() if name.startswith(prefix)}
    if later:
        file.set_aside(list(file.tensors), "of the stage before; --contrastive holds the later ones")
        return replace(contrastive, tensors=later)
    return replace(file, tensors=dict(file.tensors))


def _order_tables(language: OfficialFile, official_ids: list[int], tied: bool) -> None:
    """Moves the rows of motion tokens to our order in embedding and head; a tied model without a head gets one."""
    words, head = "model.embed_tokens.weight", "lm_head.weight"
    rows, first = language.shape(words, 2)[0], min(official_ids)
    if tied and not torch.equal(language.tensors.setdefault(head, language.tensors[words]), language.tensors[words]):
        raise ValueError(f"{language.label}: config.json ties embedding and head, but {head} differs from {words}")
    if rows < first + len(official_ids):
        raise ValueError(f"{language.label}: {words} has {rows} rows, the tokenizer {first + len(official_ids)} tokens")
    for name in (words, head):
        if name in language.tensors:
            table = language.tensors[name].clone()
            table[first : first + len(official_ids)] = language.tensors[name][official_ids]
            language.tensors[name] = table


def _check_widths(codes: OfficialFile, contrastive: OfficialFile, codebook: torch.Tensor, hidden: int) -> None:
    """ValueError unless the files belong to one codebook and one language model."""
    for file, name, axis, size, other in (
        (codes, "0.weight", 1, codebook.shape[2], "code vectors of --pqvae"),
        (codes, "2.weight", 0, hidden, "language model"),
        (contrastive, "imu_pooler.latents", 1, hidden, "language model"),
    ):
        if (width := file.shape(name, 2)[axis]) != size:
            raise ValueError(f"{file.label}: {name} is {width} wide, the {other} {size}; they are of two runs")
    flat = contrastive.left_out.get("flat_codebook")
    # a run in half precision rounds its copy
    if flat is not None and (
        flat.numel() != codebook.numel() or not torch.allclose(flat.float().view_as(codebook), codebook, 2**-7, 1e-6)
    ):
        raise ValueError(f"{contrastive.label}: its flat_codebook is not the codebook of --pqvae; they are of two runs")


def build_model(
    text_config: PreTrainedConfig,
    llm: OfficialFile,
    projector: OfficialFile,
    contrastive: OfficialFile,
    encoder: AnyMoSTGCNForPreTraining,
    pqvae: AnyMoPQVAEModel,
    official_ids: list[int],
) -> tuple[AnyMoForConditionalGeneration, dict[str, Any]]:
    """The motion-language model, and how far the rows of codes are from the projected codes.

    A --contrastive file of a whole run also holds language model and projector; these are then the ones to take, since
    the other files are of the stage before.

    Raises:
        ValueError: tensors that do not fit, or files that do not belong together.
    """
    codebook = pqvae.quantizer.embedding
    language, codes = _latest(llm, contrastive, "llm."), _latest(projector, contrastive, "projector.")
    if not language.tensors:
        raise ValueError(f"{llm.label}: no weights, and --contrastive holds no language model either")
    own = {name: t for name, t in contrastive.tensors.items() if not name.startswith(("llm.", "projector."))}
    contrastive = replace(contrastive, tensors=own)
    _order_tables(language, official_ids, text_config.tie_word_embeddings)
    rows, hidden = language.shape("model.embed_tokens.weight", 2)
    _check_widths(codes, contrastive, codebook, hidden)

    text_config.vocab_size, text_config.dtype = rows, torch.float32
    text_config.tie_word_embeddings = False  # both tables are stored, tied or not
    scale = contrastive.tensors.get("imu_residual_scale")
    config = AnyMoConfig(
        stgcn_config=encoder.encoder.config.to_dict(),
        pqvae_config=pqvae.config.to_dict(),
        text_config=text_config,
        text_model_name=None,
        pooler_latents=contrastive.shape("imu_pooler.latents", 2)[0],
        pooler_heads=_heads(f"{language.label}, poolers", hidden),
        projection_dim=contrastive.shape("imu_embedding_head.weight", 2)[0],
        projector_hidden=codes.shape("0.weight", 2)[0],
        soft_prompt_length=contrastive.shape("text_soft_prompt", 2)[0],
        imu_residual_scale=0.5 if scale is None or scale.ndim else float(scale),
        contrastive_temperature=TEMPERATURE,
        imu_token_offset=min(official_ids) + 1,
        norm_eps=NORM_EPS,
    )
    with torch.device("meta"):
        model = AnyMoForConditionalGeneration(config)
    expected = model.state_dict()
    table = "language_model.model.embed_tokens."
    given: dict[str, torch.Tensor] = {f"{table}codebook": codebook.clone()}
    left = {name: tensor for name, tensor in expected.items() if name not in given}
    for file, prefix in ((codes, f"{table}imu_projector."), (language, "language_model."), (contrastive, "")):
        part = {name.removeprefix(prefix): left.pop(name) for name in list(left) if name.startswith(prefix)}
        check_fit(file.label, file.tensors, part)
        given |= {prefix + name: tensor for name, tensor in file.tensors.items()}
    model.load_state_dict(given, assign=True)
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    assert isinstance(embedding, WordAndCodeEmbedding) and isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        projected = embedding.project_codes(torch.arange(embedding.num_codes))
        at = slice(embedding.code_offset, embedding.code_offset + embedding.num_codes)
        gaps = {
            f"largest difference of {what} rows of codes from the projected codes": float(
                (weight[at] - projected).abs().max()
            )
            for what, weight in (("embedding", embedding.weight), ("head", head.weight))
        }
    return model.eval(), gaps
