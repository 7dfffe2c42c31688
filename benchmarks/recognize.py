"""Benchmark of `anymo recognize`: windows a second by threads, batch and weights, and a day of one sensor with its memory.

    python benchmarks/recognize.py [--model anymo] [--hours 24] [--output results/recognize_benchmark.json]

The day is a CSV of 24 hours at 50 Hz, hours of rest, walking, gestures and running in turn, written to a temporary folder.
The command runs in a process of its own on two threads, so that its greatest memory and its time are its own, loading
included. The wheel is built from the clone that this file is in.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from encoder import write_json
from transformers import AutoModel

from anymo_hf.evaluation.recognition import RecognitionSettings
from anymo_hf.modeling.int8_anymo import AnyMoInt8Config
from anymo_hf.modeling.processing_anymo import AnyMoProcessor
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.systems.recognizer import load_recognizer

RATE, HOURS = 50, 24
WINDOWS, BATCHES, ROUNDS = 128, (1, 4, 8, 16, 32, 64), 3
MOTIONS = ((0.05, 0.2), (3.0, 1.8), (1.0, 0.7), (6.0, 2.7))  # size in m/s^2 and Hz of an hour's swing
ROOT = Path(__file__).parents[1]


def write_day(path: Path, hours: int) -> None:
    """A table of time stamps, acceleration and angular velocity, an hour at a time."""
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        file.write("time,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z\n")
        for hour in range(hours):
            size, hertz = MOTIONS[hour % len(MOTIONS)]
            times = (np.arange(3600 * RATE) + hour * 3600 * RATE) / RATE
            swing = np.outer(size * np.sin(2 * np.pi * hertz * times), [0.3, 0.1, 1, 0.2, 0.1, 0.05])
            rows = rng.normal(0, 0.1, (len(times), 6)) + swing + [0, 0, 9.81, 0, 0, 0]
            np.savetxt(file, np.column_stack([times, rows]), fmt=["%.2f"] + ["%.4f"] * 6, delimiter=",")


def speeds(model: str) -> list[dict]:
    """Windows a second for each number of threads, weights and batch: the best of rounds in which all take turns.

    Agreement: share of windows with the best label of float32 weights in batches of one.
    """
    rng = np.random.default_rng(0)
    times = np.arange(5 * RATE) / RATE
    sizes, hertz = (
        rng.uniform(0, 8, (WINDOWS, 1, 6)),
        rng.uniform(0.3, 3, (WINDOWS, 1, 6)),
    )  # each window moves in its way
    swings = sizes * np.sin(2 * np.pi * hertz * times[:, None]) * [1, 1, 1, 0.3, 0.3, 0.3]
    signal = swings.reshape(-1, 6) + rng.normal(0, 0.1, (WINDOWS * 5 * RATE, 6)) + [0, 0, 9.81, 0, 0, 0]
    recording = ImuRecording({"left_wrist": signal}, float(RATE))
    plain = load_recognizer(model)
    int8 = AutoModel.from_pretrained(plain.model.name_or_path, quantization_config=AnyMoInt8Config()).eval()
    forms = {"float32": plain, "int8": replace(plain, model=int8)}
    rows = [
        {"threads": threads, "weights": weights, "batch": batch, "windows_per_second": 0.0}
        for threads in (1, 2)
        for weights in forms
        for batch in BATCHES
    ]
    best = None
    for _ in range(ROUNDS):
        for row in rows:
            torch.set_num_threads(row["threads"])
            recognizer = replace(forms[row["weights"]], batch_size=row["batch"])
            began = time.perf_counter()
            answers = [int(answer.scores.argmax()) for answer in recognizer.answers(recording)]
            seconds = time.perf_counter() - began
            best = answers if best is None else best
            row["windows_per_second"] = max(row["windows_per_second"], WINDOWS / seconds)
            row["agreement"] = float(np.mean(np.array(answers) == best))
    return rows


def markdown(rows: list[dict]) -> str:
    """The table as RESULTS.md shows it."""
    head = " | ".join(f"batches of {batch}" for batch in BATCHES)
    lines = [f"| threads | weights | {head} | same label |", "| ---: | --- |" + " ---: |" * (len(BATCHES) + 1)]
    for start in range(0, len(rows), len(BATCHES)):
        part = rows[start : start + len(BATCHES)]
        cells = " | ".join(f"{row['windows_per_second']:.1f}" for row in part)
        same = min(row["agreement"] for row in part)
        lines.append(f"| {part[0]['threads']} | {part[0]['weights']} | {cells} | {same:.1%} |")
    return "\n".join(lines)


def a_day(model: str, hours: int) -> dict[str, float]:
    """The command on a long recording: seconds, CPU seconds and greatest memory."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "day.csv"
        write_day(table, hours)
        program = "import sys; sys.argv[0] = 'anymo'; from anymo_hf.cli import main; main()"
        words = ["recognize", table, "--placement", "left_wrist", "--model", model, "--json"]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True, check=True,
            env=os.environ | {"OMP_NUM_THREADS": "2"},
        )  # fmt: skip
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        answer = json.loads(done.stdout)
        return {
            "hours": hours, "sampling_rate": RATE, "file_megabytes": table.stat().st_size / 1e6,
            "windows": len(answer["windows"]), "entries": len(answer["timeline"]), "seconds": seconds,
            "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "peak_gigabytes": after.ru_maxrss * 1024 / 1e9,
        }  # fmt: skip


def wheel_megabytes() -> float:
    """Size of the wheel, the released checkpoint in it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, ROOT]
        subprocess.run(list(map(str, command)), check=True)
        return sum(path.stat().st_size for path in Path(folder).glob("*.whl")) / 1e6


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Benchmark of anymo recognize.")
    parser.add_argument("--model", default="anymo", help="checkpoint folder, or owner/name on the Hub")
    parser.add_argument("--hours", type=int, default=HOURS, help="length of the long recording")
    parser.add_argument("--output", type=Path, default=Path("results/recognize_benchmark.json"))
    args = parser.parse_args()
    load, cores = os.getloadavg()[0], os.cpu_count()
    hashes = RecognitionSettings.of(args.model, AnyMoProcessor.from_pretrained(args.model)).weights_sha256
    result = {
        "model": args.model, "weights_sha256": hashes, "load_before": load,
        "machine": f"{platform.machine()}, {cores} cores, torch {torch.__version__}",
        "wheel_megabytes": wheel_megabytes(), "day": a_day(args.model, args.hours), "speeds": speeds(args.model),
    }  # fmt: skip
    for name, value in result.items():
        print(name, markdown(value) if name == "speeds" else value, sep="\n\n" if name == "speeds" else " ")
    write_json(args.output, result)


if __name__ == "__main__":
    main()
