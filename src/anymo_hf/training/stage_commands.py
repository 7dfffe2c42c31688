"""Command lines of the stages: arguments, the accelerator, one line about where the result is."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from .settings import Settings, load_settings
from .training_loop import METRICS

# how gloo and NCCL say that the other side of an exchange is gone; not all of their errors have a class of their own
_LOST = re.compile(r"gloo|NCCL|Connection (closed|reset|refused)|Socket Timeout|Broken pipe", re.IGNORECASE)


def _lost_process(error: RuntimeError) -> bool:
    import torch

    return torch.distributed.is_initialized() and (
        isinstance(error, torch.distributed.DistError) or _LOST.search(str(error)) is not None
    )


def _check_option(option: str, settings: Settings) -> None:
    try:
        settings.__post_init__()
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from error


def run_stage(
    title: str,
    kind: type[Settings],
    work: Callable[[Settings, argparse.Namespace, object], dict],
    release: bool = False,
) -> None:
    """Parses the command line, runs `work(settings, arguments, accelerator)` and reports; a bad input ends with 2."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--config", required=True, help="YAML settings, e.g. training/configs/nano/<stage>.yaml")
    parser.add_argument("--output", required=True, help="run folder; each stage reads and writes its own part of it")
    parser.add_argument("--max-minutes", type=float, help="time limit in place of the configured one")
    parser.add_argument("--steps", type=int, help="step limit in place of the configured one")
    parser.add_argument("--start-from", help="folder of this stage's model from an earlier run to go on from")
    if release:
        parser.add_argument("--release", default="anymo", help="folder for the finished checkpoint (default: anymo)")
    arguments = parser.parse_args()
    try:
        settings = load_settings(arguments.config, kind)
        for name in ("steps", "max_minutes", "start_from"):
            if (value := getattr(arguments, name)) is not None:
                setattr(settings, name, value)
                _check_option("--" + name.replace("_", "-"), settings)
        if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true":
            # its engine takes an optimizer step in every backward call; a step here makes several, GradCache its own
            raise ValueError(
                "DeepSpeed cannot run these stages; use training/configs/accelerate/fsdp.yaml, which shards the same things"
            )
        from accelerate import Accelerator

        accelerator = Accelerator(mixed_precision=settings.mixed_precision)
        metrics = work(settings, arguments, accelerator)
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
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
        losses = ", ".join(f"{name} {value:.3f}" for name, value in metrics["losses"].items())
        folder = Path(arguments.output) / metrics["stage"]
        print(f"{metrics['stage']}: {metrics['steps']} steps in {metrics['train_seconds']:.0f} s; {losses}; {folder}")
        if metrics.get("finished"):  # a stage that has just ended does not say so yet
            print(
                f"{metrics['stage']} had ended before, so nothing was trained; to train it further, delete "
                f"{folder / METRICS} and run this again with higher limits"
            )
    accelerator.end_training()
