"""The average of two releases of one run, weight by weight; not in the paper.

python training/average_releases.py runs/short runs/long --share 0.25 --output runs/averaged

Stage 4 for longer learns the simulated motion better and real recordings worse; weights between both ends keep most of
either (Wortsman et al. 2022, "Model soups"; what it gave: training/EXPERIMENTS.md). Both must come from one run: the second
goes on from the first, so their tokenizers and motion codes are the same.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ..interruption import ending_in_words, refusing_bad_input
from ..modeling.modeling_anymo import AnyMoForConditionalGeneration
from ..modeling.processing_anymo import AnyMoProcessor
from ..modeling.release import save_release


@torch.no_grad()
def average_releases(first: str | Path, second: str | Path, share: float, output: str | Path) -> Path:
    """Writes `(1 - share) * first + share * second` to the folder `output`; everything else is the first's.

    Raises:
        OSError: a folder is no release, or `output` cannot be written.
        ValueError: `share` is not between 0 and 1, or the two differ in shape, tokenizer or motion codes.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must be between 0 and 1, got {share}")
    for folder in (first, second):
        if not (Path(folder) / "model.safetensors").is_file():
            raise OSError(f"{folder} is no release: it has no model.safetensors")
    model, other = (AnyMoForConditionalGeneration.from_pretrained(folder) for folder in (first, second))
    processor, their = (AnyMoProcessor.from_pretrained(folder) for folder in (first, second))
    ours, theirs = model.state_dict(), other.state_dict()
    if ours.keys() != theirs.keys() or any(ours[name].shape != theirs[name].shape for name in ours):
        raise ValueError(f"{first} and {second} are models of different shape, so their weights have no average")
    if processor.tokenizer.get_vocab() != their.tokenizer.get_vocab():
        raise ValueError(f"{first} and {second} have different words, so they are not of one run")
    if not torch.equal(model.codebook, other.codebook):
        raise ValueError(f"{first} and {second} have different motion codes, so they are not of one run")
    for name, tensor in ours.items():
        if tensor.is_floating_point():
            tensor.lerp_(theirs[name].to(tensor.dtype), share)
    model.config.imu_residual_scale = float(model.imu_residual_scale)
    return save_release(output, model, processor)


@ending_in_words("average_releases")
def main(words: list[str] | None = None) -> None:
    """Parses the command line (`words`, or the process's own); a bad input ends with 2."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", help="release folder")
    parser.add_argument("second", help="release folder of the same run")
    parser.add_argument("--share", type=float, default=0.5, help="of the second, from 0 to 1 (default 0.5)")
    parser.add_argument("--output", required=True, help="folder for the average")
    arguments = parser.parse_args(words)
    with refusing_bad_input():
        path = average_releases(arguments.first, arguments.second, arguments.share, arguments.output)
    print(f"written: {path}")
