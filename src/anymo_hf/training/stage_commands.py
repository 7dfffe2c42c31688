"""Command lines of the stages: arguments, the accelerator, one line about where the result is."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from .settings import Settings, load_settings


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
        settings.steps = arguments.steps or settings.steps
        settings.max_minutes = arguments.max_minutes or settings.max_minutes
        settings.start_from = arguments.start_from or settings.start_from
        settings.__post_init__()
        from accelerate import Accelerator

        accelerator = Accelerator(mixed_precision=settings.mixed_precision)
        metrics = work(settings, arguments, accelerator)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    if accelerator.is_main_process:
        losses = ", ".join(f"{name} {value:.3f}" for name, value in metrics["losses"].items())
        folder = Path(arguments.output) / metrics["stage"]
        print(f"{metrics['stage']}: {metrics['steps']} steps in {metrics['train_seconds']:.0f} s; {losses}; {folder}")
    accelerator.end_training()
