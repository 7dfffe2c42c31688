"""The authors' checkpoint files to a release of ours, tensor for tensor (`anymo convert-official`).

Nothing is unpickled. Every tensor is placed, or left out for a reason of `_LEFT_OUT`; any other tensor, a missing one or
one of another shape ends the conversion. Sizes are read from the shapes, so a small checkpoint of the same names converts
too. Weights become float32, which holds every half-precision value exactly.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoConfig, PreTrainedConfig

from ..modeling.body_segments import GRAPHS, SEGMENTS, resolve_placement, spatial_partitions
from ..modeling.configuration_anymo import AnyMoConfig, AnyMoPQVAEConfig, AnyMoSTGCNConfig
from ..modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from ..modeling.modeling_anymo import AnyMoForConditionalGeneration, WordAndCodeEmbedding
from ..modeling.modeling_pqvae import AnyMoPQVAEModel
from ..modeling.modeling_stgcn import AnyMoSTGCNForPreTraining
from ..modeling.processing_anymo import AnyMoProcessor
from ..modeling.prompts import PromptStyle
from ..modeling.release import save_release, write_json
from ..modeling.tokenization_anymo import CHAT_TOKENS, IMU_BOS, IMU_EOS, AnyMoTokenizer, code_token

REPORT_FILE = "conversion_report.json"
PRETRAINING_FOLDER = "encoder"  # the encoder with its predictor, where the file has one
HEADS = 8  # of the predictor and the poolers; shapes do not tell it
TEMPERATURE = 0.1
MAX_WINDOW_SECONDS = 30.0  # the longest that the official evaluation takes whole
# official nn.RMSNorm without an epsilon of its own adds this, in half precision too
NORM_EPS = torch.finfo(torch.float32).eps

# the prompts that the official weights were trained with (paper, Fig. 8), in the fields of our processor
_PLACES = "The IMU tokens are from IMU sensors attached to the user's {sensor_context}.\n\nInput IMU token:\n{imu}"
_COMPACT = "\n\nReturn a compact embedding of the motion."
TEMPLATES = {
    "imu": f"Represent the human motion from the wearable IMU motion tokens.\n\n{_PLACES}{_COMPACT}",
    "text": f"Represent the human motion described by the text.\n\nMotion description:\n{{text}}{_COMPACT}",
    "narration": f"Describe the human motion represented by the wearable IMU motion tokens.\n\n{_PLACES}",
    "multiple_choice": f"Recognize the activity represented by the wearable IMU motion tokens.\n\n{_PLACES}\n\n"
    "CHOICES:\n{options}\n\n"
    "Choose the best matching option. Output the option key followed by the selected activity label.",
    "motion": "Generate the wearable IMU motion tokens that represent the described human motion.\n\n"
    "The IMU tokens are from IMU sensors attached to the user's {sensor_context}.\n\nMotion description:\n{text}",
}


def _place_name(segment: str) -> str:
    """`Left Upper Arm` of `L_UpperArm`; centre segments, such as `L5`, keep their name."""
    side, bone = ({"L_": "Left ", "R_": "Right "}[segment[:2]], segment[2:]) if segment[1] == "_" else ("", segment)
    return side + re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bone)


PROMPT_STYLE = PromptStyle(
    place_names={segment: _place_name(segment) for segment in SEGMENTS},
    last_place_joiner=", ",
    option_format="{key}: {label}",
    option_keys="repeated",
    lower_case="labels",
)

# role -> (pattern of official names, reason why they have no place)
_OPTIMISER = (r"optimizer(_state_dict)?\.", "state of the optimiser")
_LEFT_OUT: dict[str, tuple[tuple[str, str], ...]] = {
    "encoder": (
        _OPTIMISER,
        (r"projector_state_dict\.net\.[02]\.(weight|bias)$", "head of an ablation, which this objective never trains"),
    ),
    "pqvae": (
        _OPTIMISER,
        (r"quantizer\.(last|total)_dead_code_replacements$", "counter of refreshed codes for the training log"),
    ),
    "llm": (
        (r".*rotary_emb\.inv_freq$", "follows from the config"),
        (
            r"(projector|imu_pooler|text_pooler|imu_embedding_head|text_embedding_head|imu_residual_norm|"
            r"imu_residual_head)\.|(text_soft_prompt|imu_residual_scale|flat_codebook|token_id_to_code_index)$",
            "not of the language model; read from --contrastive",
        ),
    ),
    "projector": (),
    "contrastive": (
        _OPTIMISER,
        (r"llm\..*rotary_emb\.inv_freq$", "follows from the config"),
        (r"flat_codebook$", "compared with the codebook of --pqvae"),
        (r"token_id_to_code_index$", "compared with the tokenizer"),
    ),
}
# role -> (pattern, our name), the first that fits
_RENAMED: dict[str, tuple[tuple[str, str], ...]] = {
    "encoder": (
        (r"encoder(?:_state_dict)?\.(.+)", r"encoder.\1"),
        (r"predictor(?:_state_dict)?\.(.+)", r"predictor.\1"),
        (r"(.+)", r"encoder.\1"),
    ),
    "pqvae": (),
    "llm": ((r"llm\.(.+)", r"\1"),),
    "projector": ((r"projector(?:_state_dict)?\.(.+)", r"\1"),),
    "contrastive": ((r"((?:imu|text)_pooler\.ffn\.(?:gate|up|down))_proj\.(.+)", r"\1.\2"),),
}
# role -> tensor that tells its files, by our name
_MARKS = {
    "encoder": "data_bn.weight",
    "pqvae": "quantizer.embedding",
    "contrastive": "imu_pooler.latents",
    "llm": "embed_tokens.weight",
    "projector": "0.weight",
}
# what wrappers put into names and no official module is called
_WRAPPERS = ("module", "_orig_mod", "state_dict", "model_state_dict", "pqvae_state_dict")


@dataclass
class OfficialFile:
    """What was read from one file, or from the weight files of a folder.

    Args:
        role: the option that named it.
        path: where it is.
        tensors: by our names; those with a place.
        left_out: the others, by their official names.
        reasons: reason -> how many of `left_out`.
        settings: what the file holds beside tensors.
    """

    role: str
    path: Path
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    left_out: dict[str, torch.Tensor] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """For messages."""
        return f"--{self.role} {self.path}"

    def shape(self, name: str, dimensions: int) -> list[int]:
        """Shape of a tensor that tells a size; ValueError if it is missing or has other dimensions."""
        tensor = self.tensors.get(name)
        if tensor is None or tensor.ndim != dimensions:
            found = "missing" if tensor is None else f"of shape {tuple(tensor.shape)}, not of {dimensions} dimensions"
            raise ValueError(f"{self.label}: tensor {name!r} is {found}; is the file whole and of this layout?")
        return list(tensor.shape)

    def set_aside(self, names: list[str], reason: str) -> None:
        """Moves tensors to those without a place."""
        self.left_out |= {name: self.tensors.pop(name) for name in names}
        if names:
            self.reasons[reason] = self.reasons.get(reason, 0) + len(names)

    def summary(self) -> dict[str, Any]:
        """What the report says."""
        total = len(self.tensors) + len(self.left_out)
        return {"file": self.path.name, "tensors": total, "placed": len(self.tensors), "left_out": dict(self.reasons)}


# -- reading -------------------------------------------------------------------------------------------------------------


def _load(path: Path) -> Mapping[str, Any]:
    """Tensors and plain values of a safetensors or torch file, on the CPU; nothing is unpickled."""
    if not path.is_file():
        raise OSError(f"{path}: no such file; name a file of the official release")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        value = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise OSError(f"{path} is damaged or cut short ({error}); fetch it again") from error
    except OSError:
        raise
    except Exception as error:  # bytes that are no checkpoint end the unpickler in any way, such as KeyError
        if isinstance(error, pickle.UnpicklingError) and re.search(r"Unsupported (global|class)|Trying to", str(error)):
            raise ValueError(
                f"{path} holds pickled Python objects, which could run code and are never loaded; save its state dicts "
                "alone, with torch.save or safetensors"
            ) from error
        said = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise OSError(f"{path} is damaged or cut short, or no checkpoint ({said}); fetch it again") from error
    if not isinstance(value, Mapping):
        raise ValueError(f"{path} holds a {type(value).__name__}, needed a state dict or a dict of them")
    return value


def _flatten(value: Any, prefix: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors of nested dicts and lists with dotted names."""
    if isinstance(value, torch.Tensor):
        yield prefix, value
        return
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, item in items:
        yield from _flatten(item, f"{prefix}.{key}" if prefix else str(key))


def _weight_files(folder: Path) -> list[Path]:
    """Weight files of a Hugging Face folder; none is fine, a missing part is not."""
    for pattern in ("model*.safetensors", "pytorch_model*.bin"):
        files = sorted(folder.glob(pattern))
        for index in folder.glob(f"{pattern}.index.json"):
            try:
                named = {folder / name for name in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise OSError(f"{index} is damaged ({error}); fetch it again") from error
            if missing := sorted(named - set(files)):
                raise OSError(f"--llm {folder}: {missing[0].name} is missing; fetch all parts")
        if files:
            return files
    return []


def read_official(role: str, path: Path) -> OfficialFile:
    """Reads an official file.

    Args:
        role: "encoder", "pqvae", "llm" (a folder), "projector" or "contrastive".
        path: torch or safetensors file, or the folder.

    Raises:
        OSError: no such file, or it is damaged.
        ValueError: it would have to be unpickled, is a file of another role, or holds values that are not finite.
    """
    file = OfficialFile(role, path)
    for part in _weight_files(path) if role == "llm" else [path]:
        content = _load(part)
        file.settings |= {key: value for key, value in content.items() if next(_flatten(value, ""), None) is None}
        for long_name, tensor in _flatten(content, ""):
            name = ".".join(piece for piece in long_name.split(".") if piece not in _WRAPPERS)
            reason = next((why for pattern, why in _LEFT_OUT[role] if re.match(pattern, name)), None)
            if reason is None:
                for pattern, ours in _RENAMED[role]:
                    if match := re.fullmatch(pattern, name):
                        name = match.expand(ours)
                        break
            if name in file.tensors or name in file.left_out:
                raise ValueError(f"{file.label}: tensor {name!r} is there twice")
            file.tensors[name] = tensor
            if reason is not None:
                file.set_aside([name], reason)
    if role != "llm":
        _check_role(file)
    for name, tensor in file.tensors.items():
        file.tensors[name] = _exact_float32(f"{file.label}: {name}", tensor)
    return file


def _check_role(file: OfficialFile) -> None:
    """ValueError if the file lacks what its role must have."""

    def marked(role: str) -> bool:
        mark = _MARKS[role]
        if role == "projector":  # its names are too short to stand inside others
            return any(name in (mark, f"projector.{mark}", f"projector_state_dict.{mark}") for name in file.tensors)
        return any(f".{name}".endswith(f".{mark}") for name in file.tensors)

    if marked(file.role):
        return
    for role in _MARKS:
        if marked(role):
            raise ValueError(f"{file.label} looks like a file for --{role}; were the files swapped?")
    raise ValueError(
        f"{file.label}: tensor {_MARKS[file.role]!r} is missing among {len(file.tensors)} tensors"
        f"{', the first is ' + repr(min(file.tensors)) if file.tensors else ''}; give a file of the official layout"
    )


def _exact_float32(where: str, tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_floating_point():
        return tensor
    if tensor.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise ValueError(f"{where} is {tensor.dtype}, which float32 does not hold exactly; save it as float32")
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{where} holds NaN or infinite values; the checkpoint is unusable")
    return tensor.detach().float().contiguous()


def _check_fit(label: str, given: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    """ValueError that names tensors left over, missing, or of another shape."""
    problems = {
        "left over": [name for name in given if name not in expected],
        "missing": [name for name in expected if name not in given],
        "of another shape": [
            f"{name} {tuple(given[name].shape)}, needed {tuple(tensor.shape)}"
            for name, tensor in expected.items()
            if name in given and given[name].shape != tensor.shape
        ],
    }
    if any(problems.values()):
        words = (
            f"{len(names)} {kind}: {'; '.join(sorted(names)[:5])}{'; ...' if len(names) > 5 else ''}"
            for kind, names in problems.items()
            if names
        )
        raise ValueError(f"{label} does not fit the official layout. Tensors {'. '.join(words)}")


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
    _check_fit(file.label, file.tensors, expected)
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
    _check_fit(file.label, file.tensors, model.state_dict())
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
        settings = json.loads(path.read_text(encoding="utf-8"))
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


def _text_config(folder: Path) -> PreTrainedConfig:
    path = folder / "config.json"
    if not path.is_file():
        raise OSError(
            f"{path} is missing; --llm is the folder of the language model with config.json and tokenizer.json"
        )
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True)
    except (ValueError, KeyError, OSError) as error:
        raise OSError(f"{path} cannot be read as the config of a language model: {error}") from error


def _check_token_ids(projector: OfficialFile, contrastive: OfficialFile, official: list[int]) -> list[str]:
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
        _check_fit(file.label, file.tensors, part)
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


# -- all together --------------------------------------------------------------------------------------------------------


def convert_official(
    encoder: str | os.PathLike,
    pqvae: str | os.PathLike,
    llm: str | os.PathLike,
    projector: str | os.PathLike,
    contrastive: str | os.PathLike,
    out: str | os.PathLike,
    wrist: str = "forearm",
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Writes the official checkpoint as a release that Auto classes load, with `conversion_report.json` in it.

    Args:
        encoder: file of the ST-GCN encoder, with or without the predictor; with it, `encoder/` in `out` holds both, as
            `AnyMoSTGCNForPreTraining`.
        pqvae: file of the motion tokenizer.
        llm: Hugging Face folder of the language model: config.json, tokenizer.json and, unless `contrastive` holds the
            language model, its weights.
        projector: `anymo_runtime_projector.pt`.
        contrastive: file of poolers, heads and soft prompt, alone or within the whole last stage (`pytorch_model.bin`).
        out: folder to make.
        wrist: the segment a wrist counts as, "forearm" or "hand".
        say: gets a line for each step.

    Returns:
        The report: per file how many tensors there are, were placed, and were left out for which reason; what was
        compared; what was chosen.

    Raises:
        OSError: a file is missing or damaged, `out` exists, or the disk is full.
        ValueError: a file would have to be unpickled or does not fit; nothing is written then.
    """
    target = Path(out).resolve()
    if target.exists():
        raise OSError(f"{out} exists; name a new folder, or remove it first")
    resolve_placement("left_wrist", wrist)
    text_config = _text_config(Path(llm))
    say("reading the IMU encoder and the motion tokenizer")
    files = {
        role: read_official(role, Path(path))
        for role, path in (("encoder", encoder), ("pqvae", pqvae), ("projector", projector))
    }
    stgcn, quantizer = build_encoder(files["encoder"]), build_pqvae(files["pqvae"])
    extractor = AnyMoFeatureExtractor(stgcn.encoder, quantizer, wrist)
    num_codes = quantizer.config.num_codebooks * quantizer.config.codebook_size
    tokenizer, official_ids = read_tokenizer(Path(llm), num_codes)
    say("reading the language model and the contrastive modules")
    files |= {role: read_official(role, Path(path)) for role, path in (("contrastive", contrastive), ("llm", llm))}
    compared = _check_token_ids(files["projector"], files["contrastive"], official_ids)
    model, gaps = build_model(
        text_config, files["llm"], files["projector"], files["contrastive"], stgcn, quantizer, official_ids
    )
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    processor = AnyMoProcessor(extractor, tokenizer, TEMPLATES, MAX_WINDOW_SECONDS, PROMPT_STYLE)
    report = {
        "files": {role: file.summary() for role, file in files.items()},
        "compared": {"body graph": stgcn.config.graph, "token ids": compared, **gaps},
        "chosen": {
            "wrist": wrist,
            "attention heads": HEADS,
            "contrastive_temperature": TEMPERATURE,
            "imu_residual_scale": model.config.imu_residual_scale,
            "norm_eps": NORM_EPS,
            "max_window_seconds": MAX_WINDOW_SECONDS,
            "motion tokens moved": official_ids != list(range(official_ids[0], official_ids[0] + len(official_ids))),
        },
    }
    say(f"writing {out}")
    draft = target.with_name(f".{target.name}.converting")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        save_release(draft, model, processor)
        if any(name.startswith("predictor.") for name in files["encoder"].tensors):
            stgcn.save_pretrained(draft / PRETRAINING_FOLDER)
        write_json(draft / REPORT_FILE, report)
        os.rename(draft, target)
    except SafetensorError as error:
        raise OSError(f"could not write {out} ({error}); make room there, or give another --out") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return report
