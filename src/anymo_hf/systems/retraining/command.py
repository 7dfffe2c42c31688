"""The command of `training/pretrain_system.py`."""

from __future__ import annotations

from ...training.stage_commands import StageCommand, run_stage
from .settings import SystemSettings
from .training import train_system

STAGE = StageCommand("Trains another method's objective on our corpus (table B).", SystemSettings, train_system)


def main(words: list[str] | None = None) -> None:
    """Parses `words`, or the command line of the process, trains and reports; errors as `run_stage`."""
    run_stage("systems/unimts_objective", words, STAGE)
