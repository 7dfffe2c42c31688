"""Benchmark of the encoder: forward and pre-training step, and FLOP utilisation on a GPU.

    python benchmarks/encoder.py [--threads 2] [--batch 4] [--compile] [--output results/encoder_benchmark.json]

Windows have 300 frames; the table gives medians. On a GPU the encoder's own floating point operations are set against the
card's peak.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from anymo_hf.modeling.configuration_anymo import AnyMoSTGCNConfig
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining

FRAMES = 300
# dense bf16 TFLOP/s from the makers' data sheets, by a word of the card's name
PEAKS = {"H100 PCIe": 756.0, "H100": 989.0, "H200": 989.0, "A100": 312.0}


def processor_name() -> str:
    """The processor's model, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def machine() -> str:
    """Processor, cores, threads in use, torch version, and load before the run."""
    cuda = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return (
        f"{processor_name()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads{cuda}, "
        f"torch {torch.__version__}, load {os.getloadavg()[0]:.1f} before the run"
    )


def write_json(path: Path, result: dict) -> None:
    """By way of a temporary name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    os.replace(draft, path)


def medians(works: dict[str, Callable[[], object]], seconds: float, least: int = 3) -> dict[str, float]:
    """Median seconds of each work; they take turns, after one call each to warm up."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop or len(next(iter(times.values()))) < least:
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def untrained_model(preset: str, seed: int = 0) -> AnyMoSTGCNForPreTraining:
    """A model without dropout; statistics and mask token are as trained ones might be."""
    torch.manual_seed(seed)
    model = AnyMoSTGCNForPreTraining(AnyMoSTGCNConfig.from_preset(preset, dropout=0.0))
    with torch.no_grad():
        model.encoder.mask_token.normal_()
        for module in model.encoder.modules():
            if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
        for importance in model.encoder.edge_importance:
            importance.uniform_(0.5, 1.5)
    return model


def windows(batch: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two views `(batch, 300, 23, 6)` and visible sensors `(batch, 23)`, 1 to 5 in each row."""
    generator = torch.Generator().manual_seed(seed)
    views = torch.randn(2, batch, FRAMES, 23, 6, generator=generator)
    order = torch.rand(batch, 23, generator=generator).argsort(1).argsort(1)
    return views[0], views[1], order < torch.randint(1, 6, (batch, 1), generator=generator)


def forward(model: AnyMoSTGCNForPreTraining, imu: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
    """Latents in eval mode, without gradient."""
    model.eval()
    with torch.no_grad():
        return model.encoder(imu, visible).last_hidden_state


def train_step(model: AnyMoSTGCNForPreTraining, first, second, visible) -> torch.Tensor:
    """Forward and backward of one pre-training step without the optimizer, which is the same for both; the loss."""
    model.train()
    model.zero_grad(set_to_none=True)
    loss = model(first, second, visible, visible).loss
    loss.backward()
    return loss.detach()


def counted_flops(model: AnyMoSTGCNForPreTraining, imu: torch.Tensor, backward: bool) -> int:
    """Floating point operations of the encoder's forward, or of forward and backward."""
    model.train(backward)
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(backward):
        latents = model.encoder(imu).last_hidden_state
        if backward:
            latents.sum().backward()
    return counter.get_total_flops()


def peak_flops(given: float | None) -> float:
    """FLOP/s of the card in bf16, or what the user gave in TFLOP/s; ValueError for an unknown card."""
    name = torch.cuda.get_device_name()
    known = given or next((peak for word, peak in PEAKS.items() if word in name), None)
    if known is None:
        raise ValueError(f"no peak is known for {name}; give its dense bf16 TFLOP/s as --peak-tflops")
    return 1e12 * known


def measure_gpu(preset: str, batch: int, peak: float, seconds: float) -> dict[str, float]:
    """Model FLOP utilisation of the encoder in bf16, compiled, forward and forward with backward."""
    model = untrained_model(preset)
    imu = windows(2)[0]
    rows = {}
    counts = {mode: counted_flops(model, imu, mode) / 2 * batch for mode in (False, True)}
    encoder = torch.compile(model.cuda().encoder)
    imu = windows(batch)[0].cuda()

    def run(backward: bool) -> None:
        encoder.train(backward)
        with torch.autocast("cuda", torch.bfloat16), torch.set_grad_enabled(backward):
            latents = encoder(imu).last_hidden_state
        if backward:
            model.zero_grad(set_to_none=True)
            latents.float().square().mean().backward()

    for backward, name in ((False, "forward"), (True, "forward and backward")):
        spent = medians({name: lambda backward=backward: run(backward)}, seconds, 10)[name]
        rows[name] = counts[backward] / spent / peak
    return rows


def measure(preset: str, batch: int, seconds: float, compiled: bool) -> dict:
    """Seconds of forward and training step on the CPU, plain and compiled, and floating point operations."""
    models = {"plain": untrained_model(preset), "fast (default on a CPU)": untrained_model(preset)}
    models["plain"].encoder.fast_inference = models["plain"].encoder.fast_training = False
    first, second, visible = windows(batch)
    if compiled:
        models["compiled"] = untrained_model(preset)
        models["compiled"].encoder.fast_inference = models["compiled"].encoder.fast_training = False
        models["compiled"].encoder.compile()
    result: dict = {"batch": batch, "frames": FRAMES, "seconds": {}}
    works = {
        "forward": lambda model: forward(model, first, visible),
        "training step": lambda model: train_step(model, first, second, visible),
    }
    for title, work in works.items():
        calls = {name: lambda work=work, model=model: work(model) for name, model in models.items()}
        result["seconds"][title] = medians(calls, seconds)
    count = {mode: counted_flops(models["plain"], first, mode) for mode in (False, True)}
    result["gflop_per_window"] = {
        "forward": count[False] / batch / 1e9,
        "forward and backward": count[True] / batch / 1e9,
    }
    return result


def markdown(result: dict, preset: str) -> str:
    """The tables as RESULTS.md shows them."""
    lines = [
        f"Encoder, {preset} size, {result['batch']} windows of {result['frames']} frames a call, float32, CPU. "
        f"{result['machine']}.",
        "",
        "| work | form | seconds | windows a second |",
        "| --- | --- | ---: | ---: |",
    ]
    for title, seconds in result["seconds"].items():
        for name, value in seconds.items():
            lines.append(f"| {title} | {name} | {value:.3f} | {result['batch'] / value:.2f} |")
    counts = ", ".join(f"{name} {value:.1f}" for name, value in result["gflop_per_window"].items())
    lines += ["", f"GFLOP a window (counted): {counts}."]
    if "utilisation" in result:
        shares = ", ".join(f"{name} {100 * value:.1f} %" for name, value in result["utilisation"].items())
        lines.append(f"Model FLOP utilisation in bf16: {shares}.")
    else:
        lines.append("Model FLOP utilisation: no GPU here.")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Benchmark of the encoder.")
    parser.add_argument("--preset", default="paper", choices=["paper", "small", "nano"])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30.0, help="time for each of forward and training step")
    parser.add_argument("--compile", action="store_true", help="torch.compile as well; needs a C++ compiler")
    parser.add_argument("--gpu-batch", type=int, default=64)
    parser.add_argument("--peak-tflops", type=float, help="the card's dense bf16 peak, where it is not known")
    parser.add_argument("--output", type=Path, default=Path("results/encoder_benchmark.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    described = machine()
    try:
        result = {
            "machine": described,
            "preset": args.preset,
            **measure(args.preset, args.batch, args.seconds, args.compile),
        }
        if torch.cuda.is_available():
            peak = peak_flops(args.peak_tflops)
            result["utilisation"] = measure_gpu(args.preset, args.gpu_batch, peak, args.seconds / 3)
    except ValueError as error:
        sys.exit(f"error: {error}")
    print(markdown(result, args.preset))
    write_json(args.output, result)
    print(f"\nwritten: {args.output}")


if __name__ == "__main__":
    main()
