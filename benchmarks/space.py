"""Benchmark of `anymo space`: how long ten users at once wait for their answers, and what memory the page takes.

    python benchmarks/space.py [--users 10] [--output results/space_benchmark.json]

The page runs in a process of its own on two threads. Each user is a session with a file and a place of their own: they send
the file, ask, and get the answer before the nearest known motions, and then those. "first" is a user alone just after the
start, when no place has its library of known motions yet; "alone" the same again; "together" all users at one moment.

`--minutes` adds endurance: every user asks again and again, and each answer must be, to the letter, the one that the same
user got alone; at the end no file may be left.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from gradio_client import Client, handle_file

from anymo_hf.atomic_write import write_json

PLACES = ("left_wrist", "right_wrist", "left_pocket", "right_pocket", "waist")
RATE, SECONDS = 50, 60
SERVER = "from anymo_hf.hub.space_app import serve; page = serve({model!r}, port={port}); "


def write_recording(path: Path, number: int) -> None:
    """A minute of one user: noise around gravity with a swing of their own."""
    rng, times = np.random.default_rng(number), np.arange(SECONDS * RATE) / RATE
    swing = np.outer(2 * np.sin(2 * np.pi * (0.5 + 0.2 * number) * times), [0.3, 0.1, 1, 0.2, 0.1, 0.05])
    rows = rng.normal(0, 0.1, (len(times), 6)) + swing + [0, 0, 9.81, 0, 0, 0]
    np.savetxt(path, np.column_stack([times, rows]), fmt=["%.2f"] + ["%.4f"] * 6, delimiter=",",
               header="time,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z", comments="")  # fmt: skip


def one_user(url: str, file: Path, place: str, shown: list[str] | None = None) -> dict[str, float]:
    """Seconds until the answer and until the nearest motions, both since the file was sent; `shown` takes the pages."""
    client = Client(url, verbose=False)
    try:
        began = time.perf_counter()
        client.predict(handle_file(str(file)), api_name="/take")
        job = client.submit(place, "", False, None, "", "", "", "", None, "", "", "", api_name="/answer")
        answered = 0.0
        for part in job:
            if not answered:
                answered = time.perf_counter() - began
            last = part
        if file.name not in last[0] or "anymo-scores" not in last[2]:
            raise RuntimeError(f"{file.name}: not this user's answer: {last[0][:200]}")
        if shown is not None:
            shown[:] = last
        return {"answer": answered, "nearest": time.perf_counter() - began}
    finally:
        client.close()


def keep_asking(url: str, files: list[Path], places: list[str], minutes: float) -> dict[str, float]:
    """All users at once for so many minutes; counts answers, and those that were not the user's own."""
    alone: list[list[str]] = [[] for _ in files]
    for file, place, shown in zip(files, places, alone, strict=True):
        one_user(url, file, place, shown)
    if len({shown[1] for shown in alone}) < len(alone):
        raise RuntimeError("two users have one answer, so none could be told apart; give them other recordings")
    stop = time.monotonic() + 60 * minutes

    def ask(number: int) -> list[tuple[float, bool]]:
        found, shown = [], list[str]()
        while time.monotonic() < stop:
            seconds = one_user(url, files[number], places[number], shown)["nearest"]
            found.append((seconds, shown != alone[number]))
        return found

    with ThreadPoolExecutor(len(files)) as pool:
        rows = [row for part in pool.map(ask, range(len(files))) for row in part]
    return {"minutes": minutes, "answers": len(rows), "mixed_up": sum(mixed for _, mixed in rows),
            "median_s": float(np.median([seconds for seconds, _ in rows])),
            "most_s": max(seconds for seconds, _ in rows)}  # fmt: skip


def memory(process: int, name: str) -> float:
    """Megabytes of a running process: `VmRSS` now, or `VmHWM` the most so far."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 1000


def summary(rows: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Median and most of each of the seconds."""
    return {
        name: {"median_s": float(np.median([row[name] for row in rows])), "most_s": max(row[name] for row in rows)}
        for name in rows[0]
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Benchmark of anymo space.")
    parser.add_argument("--model", default="anymo", help="checkpoint folder, or owner/name on the Hub")
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=0.0, help="of endurance (default: none)")
    parser.add_argument("--port", type=int, default=7877)
    parser.add_argument("--output", type=Path, default=Path("results/space_benchmark.json"))
    args = parser.parse_args()
    load, url = os.getloadavg()[0], f"http://127.0.0.1:{args.port}"
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER.format(model=args.model, port=args.port)],
            env=os.environ | {"OMP_NUM_THREADS": "2", "TMPDIR": folder}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            files = [Path(folder) / f"user{number}.csv" for number in range(args.users)]
            for number, file in enumerate(files):
                write_recording(file, number)
            while True:
                try:
                    Client(url, verbose=False).close()
                    break
                except Exception:  # noqa: BLE001  (not listening yet; the client has errors of many kinds)
                    if server.poll() is not None:
                        raise
                    time.sleep(0.5)
            started, idle = time.perf_counter() - began, memory(server.pid, "VmRSS")
            first, alone = (one_user(url, files[0], PLACES[0]) for _ in range(2))
            places = [PLACES[number % len(PLACES)] for number in range(args.users)]
            for place in dict.fromkeys(places):
                one_user(url, files[0], place)
            with ThreadPoolExecutor(args.users) as pool:
                together = list(pool.map(lambda pair: one_user(url, *pair), zip(files, places, strict=True)))
            lasting = keep_asking(url, files, places, args.minutes) if args.minutes else None
            peak = memory(server.pid, "VmHWM")
            time.sleep(25)  # the sweep of old files
            left = [str(path) for path in Path(folder).glob("anymo-space-*/**/*") if path.is_file()]
        finally:
            server.terminate()
            server.wait()
    result = {
        "model": args.model, "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        "load_before": load, "users": args.users, "recording_seconds": SECONDS, "sampling_rate": RATE,
        "start_s": started, "first": first, "alone": alone, "together": summary(together),
        "endurance": lasting, "idle_megabytes": idle, "peak_megabytes": peak, "files_left": len(left),
    }  # fmt: skip
    for name, value in result.items():
        print(name, value)
    write_json(args.output, result)


if __name__ == "__main__":
    main()
