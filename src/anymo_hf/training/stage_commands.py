"""Command lines of the stages: arguments, the accelerator, one line about where the result is."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..freed_memory import keep_freed_memory
from ..interruption import ending_in_words
from ..refusals import in_words
from .checkpoints import METRICS
from .setting_fields import describe_settings
from .settings import (
    ContrastiveSettings,
    EncoderSettings,
    LanguageSettings,
    ResidualSettings,
    SignalSettings,
    StageSettings,
    TokenizerSettings,
    load_settings,
)
from .stages.contrastive import tune_contrastive
from .stages.encoder import train_encoder
from .stages.language import train_language
from .stages.residual import tune_residual
from .stages.signal import train_signal
from .stages.tokenizer import train_tokenizer

# how gloo and NCCL say that the other side of an exchange is gone; not all of their errors have a class of their own
_LOST = re.compile(r"gloo|NCCL|Connection (closed|reset|refused)|Socket Timeout|Broken pipe", re.IGNORECASE)


@dataclass(frozen=True)
class StageCommand:
    """What the command line of a stage runs.

    Args:
        title: for `--help`.
        settings: dataclass of its YAML file.
        train: takes settings, run folder, for `release` the folder of the finished checkpoint, and the accelerator; gives
            metrics.
        release: it writes the finished checkpoint.
    """

    title: str
    settings: type[StageSettings]
    train: Callable[..., dict[str, Any]]
    release: bool = False


STAGES = {
    "encoder": StageCommand(
        "Stage 1: trains the encoder by masked cross-view prediction.", EncoderSettings, train_encoder
    ),
    "signal": StageCommand(
        "After stage 1: adds a branch of plain convolutions to the trained encoder.", SignalSettings, train_signal
    ),
    "tokenizer": StageCommand(
        "Stage 2: trains the PQ-VAE on frozen latents and exports motion codes.", TokenizerSettings, train_tokenizer
    ),
    "language": StageCommand(
        "Stage 3: trains the tokenizer's words and the language model on motion codes and text.",
        LanguageSettings,
        train_language,
    ),
    "contrastive": StageCommand(
        "Stage 4: contrastive instruction tuning; writes the finished checkpoint.",
        ContrastiveSettings,
        tune_contrastive,
        release=True,
    ),
    "residual": StageCommand(
        "After stage 4: tunes the residual of motion embeddings of a release; writes it again.",
        ResidualSettings,
        tune_residual,
        release=True,
    ),
}


@ending_in_words("train")
def run_stage(name: str, words: list[str] | None = None, stage: StageCommand | None = None) -> None:
    """Parses the command line of a stage (`words`, or the process's own), runs it and reports.

    Args:
        name: key of `STAGES`, or of the stage that is given.
        words: arguments; None for those of the process.
        stage: one that is not of AnyMo itself.

    Raises:
        SystemExit: a bad input (2), or another process of the run is gone (2).
    """
    stage = stage or STAGES[name]
    arguments = _parser(name, stage).parse_args(words)
    keep_freed_memory()
    try:
        settings = _settings(arguments, stage)
        if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true":
            # its engine takes an optimizer step in every backward call; a step here makes several, GradCache its own
            raise ValueError(
                "DeepSpeed cannot run these stages; use training/configs/accelerate/fsdp.yaml, which shards the same things"
            )
        from accelerate import Accelerator

        accelerator = Accelerator(mixed_precision=settings.mixed_precision)
        folders = (arguments.output, arguments.release) if stage.release else (arguments.output,)
        metrics = stage.train(settings, *folders, accelerator)
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(in_words(error).split())}", file=sys.stderr)
        raise SystemExit(2) from error
    except RuntimeError as error:
        if not _lost_process(error):
            raise
        print(
            f"error: another process of this run has ended or does not answer: {error}\n"
            "Nothing that was saved is lost; see that process's own message, then run the same command again: it goes "
            "on from the last checkpoint.",
            file=sys.stderr,
        )
        raise SystemExit(2) from error
    if accelerator.is_main_process:
        _report(metrics, Path(arguments.output))
    accelerator.end_training()


def _parser(name: str, stage: StageCommand) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {__name__} {name}" if sys.argv[0] == __file__ else None,
        description=stage.title,
        epilog="settings of the YAML file:\n" + describe_settings(stage.settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", required=True, help=f"YAML settings, e.g. training/configs/nano/{name}.yaml")
    parser.add_argument("--output", required=True, help="run folder; each stage reads and writes its own part of it")
    parser.add_argument("--max-minutes", type=float, help="time limit in place of the configured one")
    parser.add_argument("--steps", type=int, help="step limit in place of the configured one")
    parser.add_argument("--start-from", help="folder of this stage's model from an earlier run to go on from")
    if stage.release:
        parser.add_argument("--release", default="anymo", help="folder for the finished checkpoint (default: anymo)")
    return parser


def _settings(arguments: argparse.Namespace, stage: StageCommand) -> StageSettings:
    """Those of the file, with what the command line says in place of its limits."""
    settings = load_settings(arguments.config, stage.settings)
    for name in ("steps", "max_minutes", "start_from"):
        if (value := getattr(arguments, name)) is not None:
            setattr(settings, name, value)
            try:
                settings.__post_init__()
            except ValueError as error:
                raise ValueError(f"--{name.replace('_', '-')}: {error}") from error
    return settings


def _report(metrics: dict[str, Any], output: Path) -> None:
    name, folder = metrics["stage"], output / metrics["stage"]
    losses = ", ".join(f"{key} {value:.3f}" for key, value in metrics["losses"].items())
    print(f"{name}: {metrics['steps']} steps in {metrics['train_seconds']:.0f} s; {losses}; {folder}")
    if metrics.get("finished"):  # a stage that has just ended does not say so yet
        print(
            f"{name} had ended before, so nothing was trained; to train it further, delete {folder / METRICS} and run this "
            "again with higher limits"
        )


def _lost_process(error: RuntimeError) -> bool:
    import torch

    return torch.distributed.is_initialized() and (
        isinstance(error, torch.distributed.DistError) or _LOST.search(str(error)) is not None
    )


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in STAGES:
        raise SystemExit(f"error: name a stage: {', '.join(STAGES)}")
    run_stage(sys.argv[1], sys.argv[2:])
