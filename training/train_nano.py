"""Trains the nano checkpoint from nothing: corpus and all four stages in order; run it again to go on after a stop.

python training/train_nano.py --output runs/nano --release anymo --minutes 90
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
# stage script, its settings, its share of the training time
STAGES = (
    ("pretrain_encoder", "encoder", 0.49),
    ("train_tokenizer", "tokenizer", 0.03),
    ("pretrain_language", "language", 0.11),
    ("tune_contrastive", "contrastive", 0.37),
)


def main() -> None:
    """Runs the stages one after the other and stops at the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="runs/nano", help="run folder (default runs/nano)")
    parser.add_argument("--release", default="anymo", help="folder for the finished checkpoint (default anymo)")
    parser.add_argument("--configs", default=str(HERE / "configs" / "nano"), help="folder with the four YAML files")
    parser.add_argument("--minutes", type=float, help="training time of all stages (default: as configured)")
    parser.add_argument("--seeds", type=int, default=80, help="people per activity in the corpus (default 80)")
    parser.add_argument("--motion", help="folder with BVH files to add to the corpus")
    parser.add_argument("--texts", help="text file with more sentences, one a line")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that make the corpus")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads per training process")
    parser.add_argument("--processes", type=int, default=1, help="training processes (GPUs)")
    arguments = parser.parse_args()
    started = time.monotonic()
    corpus = [sys.executable, HERE / "make_corpus.py", "--output", arguments.output, "--seeds", arguments.seeds]
    corpus += ["--workers", arguments.workers]
    for name in ("motion", "texts"):
        if value := getattr(arguments, name):
            corpus += [f"--{name}", value]
    commands = [corpus]
    for script, settings, share in STAGES:
        command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", arguments.processes]
        command += ["--num_machines", 1, "--mixed_precision", "no", "--dynamo_backend", "no"]
        command += ["--num_cpu_threads_per_process", arguments.threads]
        if arguments.processes > 1:
            command += ["--multi_gpu"]
        command += [HERE / f"{script}.py", "--config", Path(arguments.configs) / f"{settings}.yaml"]
        command += ["--output", arguments.output]
        if arguments.minutes:
            command += ["--max-minutes", share * arguments.minutes]
        if script == "tune_contrastive":
            command += ["--release", arguments.release]
        commands.append(command)
    environment = {
        # waiting threads sleep, or two threads on a shared machine are slower than one
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        **os.environ,
        "TOKENIZERS_PARALLELISM": "false",
    }
    for command in commands:
        result = subprocess.run([str(part) for part in command], env=environment)
        if result.returncode:
            raise SystemExit(result.returncode)
    print(f"all stages in {(time.monotonic() - started) / 60:.1f} min; the checkpoint is in {arguments.release}")


if __name__ == "__main__":
    main()
