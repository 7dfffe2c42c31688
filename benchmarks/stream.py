"""Benchmark of live use: latency per hop, real-time factor and memory of `AnyMoStream` with the released checkpoint.

    python benchmarks/stream.py [--threads 1] [--model anymo] [--output results/stream_benchmark.json]

A simulated person whom training never saw does one thing after another. Samples are pushed one at a time, as a device
would send them, as fast as the machine takes them. *Latency* is from the sample that completes a window to its event; the
*real-time factor* is the time all pushes took over the time the samples cover: below one, the stream keeps up.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path

import numpy as np
import torch
from encoder import write_json

from anymo_hf import AnyMoForConditionalGeneration, AnyMoProcessor, AnyMoStream
from anymo_hf.evaluation.recognition import RecognitionSettings
from anymo_hf.motion.procedural import HELD_OUT_SEED
from anymo_hf.pictures.demo import simulated_recording
from anymo_hf.systems.activity_labels import simulated_labels

ACTIVITIES = ("walking", "sitting", "running", "squats")
WINDOW, HOP, REPEATS = 5.0, 1.0, 2
ONE, THREE = ["left_wrist"], ["left_wrist", "waist", "right_ankle"]


def measure(model, processor, signals: dict[str, np.ndarray], rate: float, **settings) -> dict[str, float]:
    """One stream, sample by sample."""
    stream = AnyMoStream(model, processor, list(signals), rate, window=WINDOW, hop=HOP, **settings)
    latencies, idle = [], []
    count = len(next(iter(signals.values())))
    began = time.perf_counter()
    for row in range(count):
        part = {name: signal[row : row + 1] for name, signal in signals.items()}
        start = time.perf_counter()
        events = stream.push(part)
        (latencies if events else idle).append(time.perf_counter() - start)
    seconds = time.perf_counter() - began
    return {
        "hops": len(latencies),
        "median_latency_ms": 1e3 * float(np.median(latencies)),
        "worst_latency_ms": 1e3 * max(latencies),
        "real_time_factor": seconds / (count / rate),
        "median_push_between_hops_us": 1e6 * float(np.median(idle)),
        "buffer_kilobytes": stream.buffer_bytes / 1e3,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Benchmark of live use.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", default="anymo", help="checkpoint folder, or owner/name on the Hub")
    parser.add_argument("--output", type=Path, default=Path("results/stream_benchmark.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    load = os.getloadavg()[0]
    recordings = [simulated_recording(HELD_OUT_SEED, activity, THREE) for activity in ACTIVITIES]
    rate = recordings[0].sampling_rate
    signals = {name: np.concatenate([r.signals[name] for r in recordings] * REPEATS) for name in THREE}
    model = AnyMoForConditionalGeneration.from_pretrained(args.model)
    processor = AnyMoProcessor.from_pretrained(args.model)
    labels = list(simulated_labels())
    runs = {
        "codes": (ONE, {"embeddings": False}),
        f"codes, {len(labels)} labels": (ONE, {"labels": labels}),
        f"codes, {len(labels)} labels, caption": (ONE, {"labels": labels, "captions": True}),
        f"codes, {len(labels)} labels; three placements": (THREE, {"labels": labels}),
    }
    rows = {
        name: measure(model, processor, {place: signals[place] for place in worn}, rate, **settings)
        for name, (worn, settings) in runs.items()
    }
    machine = f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"
    print(f"window {WINDOW:g} s, hop {HOP:g} s, {rate:g} Hz, {args.threads} threads, {machine}")
    print(f"load {load:.1f} before the run\n")
    print("| an event holds | hops | median latency (ms) | worst (ms) | real-time factor | push (µs) | buffer (kB) |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, row in rows.items():
        print(
            f"| {name} | {row['hops']} | {row['median_latency_ms']:.0f} | {row['worst_latency_ms']:.0f} | "
            f"{row['real_time_factor']:.3f} | {row['median_push_between_hops_us']:.0f} | {row['buffer_kilobytes']:.1f} |"
        )
    result = {
        "model": args.model, "weights_sha256": RecognitionSettings.of(args.model, processor).weights_sha256,
        "window_seconds": WINDOW, "hop_seconds": HOP, "sampling_rate": rate, "threads": args.threads,
        "load_before": load, "machine": machine, "streams": rows,
    }  # fmt: skip
    write_json(args.output, result)
    print(f"\nwritten: {args.output}")


if __name__ == "__main__":
    main()
