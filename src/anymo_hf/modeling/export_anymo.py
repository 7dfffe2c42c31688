"""The IMU tokenizer (ST-GCN and PQ-VAE) as one program: `torch.export`, and ONNX for machines without PyTorch.

Input are `imu` `(batch, frames, 23, 6)` at 60 Hz, `node_mask` `(batch, 23)` and `frame_mask` `(batch, frames)`, as
`AnyMoFeatureExtractor.prepare` makes them; output are `imu_codes` and `imu_code_mask`, as `encode` gives them. Batch and
frames are free. `preprocessing.json` beside the program says how a recording becomes its input, so that numpy suffices:

    session = onnxruntime.InferenceSession("OUT/tokenizer.onnx")
    imu = numpy.zeros((1, len(window), 23, 6), "float32")  # window: (frames, 6) at 60 Hz, m/s^2 and rad/s
    imu[0, :, facts["placements"]["left_wrist"]] = window
    node_mask = numpy.zeros((1, 23), bool); node_mask[0, facts["placements"]["left_wrist"]] = True
    frame_mask = numpy.ones((1, len(window)), bool)
    codes, mask = session.run(None, {"imu": imu, "node_mask": node_mask, "frame_mask": frame_mask})
"""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.fx.experimental import _config as symbolic_config
from torch.overrides import TorchFunctionMode

from .body_segments import PLACEMENTS, SEGMENTS, WRISTS, resolve_placement
from .feature_extraction_anymo import TARGET_RATE, AnyMoFeatureExtractor
from .release import draft_folder

INPUTS, OUTPUTS = ("imu", "node_mask", "frame_mask"), ("imu_codes", "imu_code_mask")
ONNX_FILE, TORCH_FILE, FACTS_FILE = "tokenizer.onnx", "tokenizer.pt2", "preprocessing.json"
_ONNX_PACKAGES = ("onnx", "onnxscript")


class _ChecksPass(TorchFunctionMode):
    """Every test on the values of a tensor is true: a program has no place to raise an error about its input."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return True if func is torch.Tensor.__bool__ else func(*args, **(kwargs or {}))


class _ImuTokenizer(nn.Module):
    """`AnyMoFeatureExtractor.encode` as a module."""

    def __init__(self, extractor: AnyMoFeatureExtractor):
        super().__init__()
        self.stgcn, self.pqvae = extractor.stgcn, extractor.pqvae

    def forward(
        self, imu: torch.Tensor, node_mask: torch.Tensor, frame_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with _ChecksPass():
            latents = self.stgcn(imu, node_mask, frame_mask)
        # `ProductQuantizer.nearest` without its count of rows, which would become a constant of the program
        codebook = self.pqvae.quantizer.embedding
        books, size, _ = codebook.shape
        chunks = self.pqvae.project(latents.last_hidden_state).unflatten(-1, (books, -1))
        distance = codebook.square().sum(-1) - 2 * torch.einsum("blkd,ksd->blks", chunks, codebook)
        mask = latents.attention_mask[..., None].expand(-1, -1, books)
        codes = (distance.argmin(-1) + size * torch.arange(books)) * mask
        return codes.flatten(1), mask.flatten(1).long()


def export_program(extractor: AnyMoFeatureExtractor) -> torch.export.ExportedProgram:
    """The IMU tokenizer as a `torch.export` program of float32 on the CPU, with free batch and frames (five or more)."""
    stgcn, pqvae = extractor.stgcn, extractor.pqvae
    if (stgcn.device.type, stgcn.dtype, pqvae.dtype) != ("cpu", torch.float32, torch.float32):
        raise ValueError(
            f"export needs float32 on the CPU, the tokenizer is {stgcn.dtype} on {stgcn.device}; call .float().cpu()"
        )
    batch, frames = 3, 122  # any that no other size equals
    nodes, channels = stgcn.config.num_nodes, stgcn.config.in_channels
    example = (
        torch.zeros(batch, frames, nodes, channels),
        torch.ones(batch, nodes, dtype=torch.bool),
        torch.ones(batch, frames, dtype=torch.bool),
    )
    rows, time = torch.export.Dim.DYNAMIC(min=1), torch.export.Dim.DYNAMIC(min=5)
    shapes = ({0: rows, 1: time}, {0: rows}, {0: rows, 1: time})
    # without it sizes that make layouts differ, such as odd lengths, would be outside the program's guards
    with torch.no_grad(), symbolic_config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        return torch.export.export(_ImuTokenizer(extractor).eval(), example, dynamic_shapes=shapes, strict=False)


def export_torch(folder: str | os.PathLike, out: str | os.PathLike) -> Path:
    """Writes `tokenizer.pt2` for `torch.export.load(...).module()`, and `preprocessing.json`; see `export_onnx`."""
    return _export(folder, out, _write_torch)


def export_onnx(folder: str | os.PathLike, out: str | os.PathLike) -> Path:
    """Writes `tokenizer.onnx` and `preprocessing.json`; running them needs onnxruntime and numpy only.

    Args:
        folder: a checkpoint with an IMU tokenizer, such as `anymo/`.
        out: a new folder, or one that an earlier export wrote.

    Raises:
        OSError: no such folder, no tokenizer in it, or a full disk.
        ValueError: the tokenizer's files do not fit each other, or `out` holds something else.
        ImportError: onnx or onnxscript is missing.
    """
    if missing := [name for name in _ONNX_PACKAGES if importlib.util.find_spec(name) is None]:
        raise ImportError(f"export to ONNX needs {' and '.join(missing)}: pip install {' '.join(_ONNX_PACKAGES)}")
    return _export(folder, out, _write_onnx)


def _write_torch(extractor: AnyMoFeatureExtractor, draft: Path) -> None:
    file = io.BytesIO()  # torch's own writer ends the whole process when the disk is full
    torch.export.save(export_program(extractor), file)
    (draft / TORCH_FILE).write_bytes(file.getbuffer())


def _write_onnx(extractor: AnyMoFeatureExtractor, draft: Path) -> None:
    # torch's own: a deprecation inside it, and operators of torchvision
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        program: Any = torch.onnx.export(
            export_program(extractor), dynamo=True, input_names=INPUTS, output_names=OUTPUTS, verbose=False
        )
    for value in (*program.model.graph.inputs, *program.model.graph.outputs):
        value.shape[0] = "batch"
        if value.name != "node_mask":
            value.shape[1] = "frames" if value.name in INPUTS else "codes"
    program.save(draft / ONNX_FILE, external_data=False)


def _export(
    folder: str | os.PathLike, out: str | os.PathLike, write: Callable[[AnyMoFeatureExtractor, Path], None]
) -> Path:
    folder, out = Path(folder), Path(out)
    if not folder.is_dir():
        raise OSError(f"{folder}: no such folder; give a checkpoint with an imu_tokenizer/, such as anymo")
    names = {ONNX_FILE, TORCH_FILE, FACTS_FILE}
    if out.exists() and (not out.is_dir() or {path.name for path in out.iterdir()} - names):
        raise ValueError(f"{out}: holds something else than an export; give a new folder")
    extractor = AnyMoFeatureExtractor.from_pretrained(folder)
    with draft_folder(out.resolve()) as draft:
        write(extractor, draft)
        (draft / FACTS_FILE).write_text(json.dumps(preprocessing_facts(extractor), indent=2) + "\n")
        out.mkdir(exist_ok=True)
        for path in draft.iterdir():
            os.replace(path, out / path.name)
    return out


def preprocessing_facts(extractor: AnyMoFeatureExtractor) -> dict[str, Any]:
    """What a program around the exported tokenizer has to know, as JSON types."""
    config, wrist = extractor.pqvae.config, extractor.wrist
    frames_per_step = 1
    for stride in extractor.stgcn.config.strides:
        frames_per_step *= stride
    return {
        "sampling_rate": TARGET_RATE,
        "channels": ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"],
        "units": ["m/s^2"] * 3 + ["rad/s"] * 3,
        "acceleration_includes_gravity": True,
        "missing_gyroscope": 0.0,
        "min_frames": int(TARGET_RATE),
        "segments": list(SEGMENTS),
        "placements": {name: resolve_placement(name, wrist) for name in sorted([*PLACEMENTS, *WRISTS])},
        "inputs": {
            "imu": "float32 (batch, frames, 23, 6): each sensor at the index of its segment, in its own axes; 0 elsewhere",
            "node_mask": "bool (batch, 23): true where a sensor is worn, at least one in each row",
            "frame_mask": "bool (batch, frames): true on real frames, padding at the end only",
        },
        "outputs": {
            "imu_codes": "int64 (batch, steps * books): code + codebook_size * book, the books of a step side by side",
            "imu_code_mask": "int64 (batch, steps * books): 1 on codes of real frames",
        },
        "frames_per_step": frames_per_step,
        "num_codebooks": config.num_codebooks,
        "codebook_size": config.codebook_size,
        "resampling": "another rate: low-pass below half of the lower rate, then to 60 Hz (`resample` of imu_signal.py)",
    }
