"""The authors' checkpoint files to a release of ours, tensor for tensor (`anymo convert-official`).

| file | what it does |
| --- | --- |
| `official_files` | reads them without unpickling, and gives their tensors our names |
| `official_modules` | makes our modules of the tensors |
| here | the prompts that they were trained with, and all together |

Any other tensor, a missing one or one of another shape ends the conversion. Weights become float32, which holds every
half-precision value exactly.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from ..atomic_write import replacing_folder, write_json
from ..modeling.body_segments import SEGMENTS, resolve_placement
from ..modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from ..modeling.processing_anymo import AnyMoProcessor
from ..modeling.prompts import PromptStyle
from ..modeling.release import save_release
from .official_files import read_official
from .official_modules import (
    HEADS,
    NORM_EPS,
    TEMPERATURE,
    build_encoder,
    build_model,
    build_pqvae,
    check_token_ids,
    read_text_config,
    read_tokenizer,
)

REPORT_FILE = "conversion_report.json"
PRETRAINING_FOLDER = "encoder"  # the encoder with its predictor, where the file has one
MAX_WINDOW_SECONDS = 30.0  # the longest that the official evaluation takes whole

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
    text_config = read_text_config(Path(llm))
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
    compared = check_token_ids(files["projector"], files["contrastive"], official_ids)
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
    try:
        with replacing_folder(target) as draft:
            save_release(draft, model, processor)
            if any(name.startswith("predictor.") for name in files["encoder"].tensors):
                stgcn.save_pretrained(draft / PRETRAINING_FOLDER)
            write_json(draft / REPORT_FILE, report)
    except SafetensorError as error:
        raise OSError(f"could not write {out} ({error}); make room there, or give another --out") from error
    return report
