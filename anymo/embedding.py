"""Embedding lists of recordings of any length, with a model and a processor of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from .prompts import check_positions

if TYPE_CHECKING:
    from .modeling_anymo import AnyMoModel
    from .processing_anymo import AnyMoProcessor


def check_same_codebook(model: AnyMoModel, processor: AnyMoProcessor) -> None:
    """ValueError unless the codes the processor writes are the codes the model knows, up to half precision.

    A processor without a feature extractor writes none, so it passes.
    """
    extractor = processor.feature_extractor
    if extractor is None:
        return
    known, written = model.codebook.detach().float().cpu(), extractor.pqvae.quantizer.embedding.detach().float().cpu()
    if known.shape != written.shape or not torch.allclose(known, written, rtol=2**-7, atol=1e-6):
        names = (str(part.name_or_path) or "made in memory" for part in (model, extractor))
        raise ValueError(
            "the model ({}) and the feature extractor ({}) have different codebooks, so they are from different runs; "
            "use the ones that were saved together".format(*names)
        )


@torch.no_grad()
def embed_windows(
    model: AnyMoModel,
    processor: AnyMoProcessor,
    codes: Sequence[Sequence[np.ndarray]],
    placements: Sequence[Sequence[int]],
    batch_size: int = 64,
) -> torch.Tensor:
    """Unit embeddings `(recordings, projection_dim)`, float32, of what `AnyMoProcessor.windows` gives.

    Those of a recording's pieces are averaged and brought back to unit length.
    """
    rows = [row for pieces in codes for row in pieces]
    places = [place for pieces, place in zip(codes, placements, strict=True) for _ in pieces]
    positions = getattr(model.config.text_config, "max_position_embeddings", None)
    parts = []
    for begin in range(0, len(rows), batch_size):
        part = slice(begin, begin + batch_size)
        batch = processor(imu_codes=rows[part], imu_placements=places[part], return_tensors="pt").to(model.device)
        check_positions(batch["imu_input_ids"].shape[1], positions)
        parts.append(model.get_imu_features(**batch).pooler_output.float())
    means = [piece.mean(0) for piece in torch.cat(parts).split([len(pieces) for pieces in codes])]
    return torch.nn.functional.normalize(torch.stack(means), dim=-1)


def embed_recordings(
    model: AnyMoModel,
    processor: AnyMoProcessor,
    recordings: Mapping | Sequence,
    sampling_rate: float,
    placements: Sequence[str] | None = None,
    acceleration_unit: str = "m/s^2",
    angular_velocity_unit: str = "rad/s",
    batch_size: int = 64,
) -> torch.Tensor:
    """Unit embeddings `(recordings, projection_dim)` of recordings of any length, float32 on the CPU, in their order.

    A recording longer than `processor.max_window_seconds` is cut into equal consecutive pieces; their unit embeddings
    are averaged and brought back to unit length.

    Args:
        model: `AnyMoModel` or a model made from it; embeds in evaluation mode and is left as it was.
        processor: with a feature extractor of the same run.
        recordings: one or a list, as in `AnyMoFeatureExtractor`.
        sampling_rate: Hz, of every recording.
        placements: names of the sensors, where recordings are arrays.
        acceleration_unit: "m/s^2", "g" or "mg".
        angular_velocity_unit: "rad/s" or "deg/s".
        batch_size: pieces in a model call; it changes speed and memory only.

    Raises:
        ValueError: a recording that cannot be read, different codebooks, or a prompt that does not fit the model.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    check_same_codebook(model, processor)
    codes, worn = processor.windows(
        recordings,
        placements=placements,
        sampling_rate=sampling_rate,
        acceleration_unit=acceleration_unit,
        angular_velocity_unit=angular_velocity_unit,
    )
    training = model.training
    model.eval()
    try:
        return embed_windows(model, processor, codes, worn, batch_size).cpu()
    finally:
        model.train(training)
