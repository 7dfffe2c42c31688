"""The nano checkpoint from nothing: corpus and all four stages in order, each a process of its own that can be resumed."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from ..interruption import ending_in_words

# stage and its share of the training time
SHARES = {"encoder": 0.49, "tokenizer": 0.03, "language": 0.11, "contrastive": 0.37}
_PACKAGE = __package__


def launcher(processes: int, gpus: int, threads: int) -> list:
    """How a stage is started: in one process, in one per GPU, or in several on a machine without a GPU.

    Raises:
        ValueError: there are GPUs, but fewer than processes.
    """
    if processes > 1 and gpus == 0:  # `accelerate launch` would need MPI
        return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", processes,
                "--module"]  # fmt: skip
    if processes > max(gpus, 1):
        raise ValueError(
            f"--processes {processes} needs as many GPUs, this machine has {gpus}; ask for {gpus} or fewer"
        )
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", processes, "--num_machines", 1]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no", "--num_cpu_threads_per_process", threads]
    return [*command, *(["--multi_gpu"] if processes > 1 else []), "--module"]


def build_commands(arguments: argparse.Namespace, gpus: int) -> list[list[str]]:
    """The command that makes the corpus, then one for each stage."""
    corpus = [sys.executable, "-m", f"{_PACKAGE}.corpus_command", "--output", arguments.output]
    corpus += ["--seeds", arguments.seeds, "--workers", arguments.workers]
    for name in ("motion", "texts"):
        if value := getattr(arguments, name):
            corpus += [f"--{name}", value]
    commands = [corpus]
    for stage, share in SHARES.items():
        command = launcher(arguments.processes, gpus, arguments.threads)
        command += [f"{_PACKAGE}.stage_commands", stage, "--config", Path(arguments.configs) / f"{stage}.yaml"]
        command += ["--output", arguments.output]
        if arguments.minutes:
            command += ["--max-minutes", share * arguments.minutes]
        if stage == "contrastive":
            command += ["--release", arguments.release]
        commands.append(command)
    return [[str(part) for part in command] for command in commands]


def build_parser(configs: str | Path) -> argparse.ArgumentParser:
    """The command line; `configs` is the default folder of the stages' YAML files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="runs/nano", help="run folder (default runs/nano)")
    parser.add_argument("--release", default="anymo", help="folder for the finished checkpoint (default anymo)")
    parser.add_argument("--configs", default=str(configs), help=f"folder with the four YAML files (default {configs})")
    parser.add_argument("--minutes", type=float, help="training time of all stages (default: as configured)")
    parser.add_argument("--seeds", type=int, default=80, help="people per activity in the corpus (default 80)")
    parser.add_argument("--motion", help="folder with motion files of any known format to add to the corpus")
    parser.add_argument("--texts", help="text file with more sentences, one a line")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that make the corpus")
    parser.add_argument("--threads", type=int, help="threads of a training process (default: CPUs / processes)")
    parser.add_argument(
        "--processes", type=int, default=1, help="training processes, one per GPU; on the CPU without one (default 1)"
    )
    return parser


@ending_in_words("nano_recipe")
def main(configs: str | Path = "training/configs/nano", words: list[str] | None = None) -> None:
    """Runs the stages one after the other and stops at the first that fails.

    Args:
        configs: default folder of the stages' YAML files.
        words: arguments; None for those of the process.

    Raises:
        SystemExit: a bad argument (2), or what the failing command ended with.
    """
    parser = build_parser(configs)
    arguments = parser.parse_args(words)
    if arguments.processes < 1:
        parser.error(f"--processes must be at least 1, got {arguments.processes}")
    arguments.threads = arguments.threads or max(1, (os.cpu_count() or 1) // arguments.processes)
    gpus = 0
    if arguments.processes > 1:
        import torch

        gpus = torch.cuda.device_count()
    try:
        commands = build_commands(arguments, gpus)
    except ValueError as error:
        parser.error(str(error))
    started = time.monotonic()
    environment = {
        # waiting threads sleep, or two threads on a shared machine are slower than one
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        **os.environ,
        "TOKENIZERS_PARALLELISM": "false",
    }
    if arguments.processes > 1 and gpus == 0:
        print(f"no GPU here: {arguments.processes} processes on the CPU, {arguments.threads} threads each", flush=True)
        environment |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": str(arguments.threads)}
    for command in commands:
        result = subprocess.run(command, env=environment)
        if result.returncode:
            raise SystemExit(result.returncode)
    print(f"all stages in {(time.monotonic() - started) / 60:.1f} min; the checkpoint is in {arguments.release}")
