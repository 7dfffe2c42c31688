"""Benchmark of `anymo recognize`: windows a second on one thread, and a day of one sensor with memory and time.

    python benchmarks/recognize.py [--model anymo] [--output results/recognize_benchmark.json]

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
from pathlib import Path

import numpy as np
import torch
from encoder import write_json

from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.systems.recognizer import load_recognizer

RATE, HOURS = 50, 24
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


def one_thread(model: str) -> dict[str, float]:
    """Windows a second, the best of three runs of 192 windows."""
    torch.set_num_threads(1)
    recognizer = load_recognizer(model)
    rng = np.random.default_rng(0)
    signal = rng.normal(0, 1, (192 * 5 * RATE, 6)) + [0, 0, 9.81, 0, 0, 0]
    recording = ImuRecording({"left_wrist": signal}, float(RATE))
    list(recognizer.answers(recording))  # warm
    clock, used = [], []
    for _ in range(3):
        began, spent = time.perf_counter(), time.process_time()
        count = len(list(recognizer.answers(recording)))
        clock.append(time.perf_counter() - began)
        used.append(time.process_time() - spent)
    return {"windows_per_second": count / min(clock), "cpu_ms_per_window": 1e3 * min(used) / count}


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
    result = {
        "model": args.model, "load_before": load,
        "machine": f"{platform.machine()}, {cores} cores, torch {torch.__version__}",
        "wheel_megabytes": wheel_megabytes(), "day": a_day(args.model, args.hours), "one_thread": one_thread(args.model),
    }  # fmt: skip
    for name, value in result.items():
        print(name, value)
    write_json(args.output, result)


if __name__ == "__main__":
    main()
