"""Benchmark of the encoder: forward and pre-training step beside the direct form, and FLOP utilisation on a GPU.

    python benchmarks/encoder.py [--threads 2] [--batch 4] [--compile] [--output results/encoder_benchmark.json]

Both forms hold the same weights and read the same windows of 300 frames; they run by turns in one process, and the table
gives medians. A run whose outputs differ by more than 1e-4 stops. On a GPU the encoder's own floating point operations
(those of the direct form, so that fewer products do not count as more work) are set against the card's peak.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from stgcn_direct import direct_twin
from torch.utils.flop_counter import FlopCounterMode

from anymo_hf.modeling.configuration_anymo import AnyMoSTGCNConfig
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining

FRAMES, TOLERANCE = 300, 1e-4
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


def paired_models(preset: str, seed: int = 0) -> tuple[AnyMoSTGCNForPreTraining, AnyMoSTGCNForPreTraining]:
    """Ours and the direct form; dropout is off, statistics and mask token are as trained ones might be."""
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
    return model, direct_twin(model)


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


def largest_differences(ours, direct, first, second, visible) -> dict[str, float]:
    """Of latents in eval and train mode and of the loss, in float32; of gradients, in float64, as a share of the norm.

    In float32 a rounding flips units that are nearly zero, so that gradients of either form differ from the exact ones by
    more than forms differ.
    """
    differences = {}
    with torch.no_grad():
        for mode in ("eval", "train"):
            pair = [model.train(mode == "train").encoder(first, visible).last_hidden_state for model in (ours, direct)]
            differences[mode] = (pair[0] - pair[1]).abs().max().item()
    losses = [train_step(model, first, second, visible).item() for model in (ours, direct)]
    differences["loss"] = abs(losses[0] - losses[1])
    exact = [copy.deepcopy(model).double() for model in (ours, direct)]
    for model in exact:
        train_step(model, first[:2, :100].double(), second[:2, :100].double(), visible[:2])
    ours_grad, direct_grad = ({name: value.grad for name, value in m.named_parameters()} for m in exact)
    floor = 1e-6 * max(value.norm() for value in direct_grad.values())  # a bias before a batch norm has no gradient
    differences["gradient"] = max(
        ((ours_grad[name] - value).norm() / value.norm().clamp_min(floor)).item() for name, value in direct_grad.items()
    )
    return differences


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
    ours, direct = paired_models(preset)
    imu = windows(2)[0]
    rows = {}
    counts = {mode: counted_flops(direct, imu, mode) / 2 * batch for mode in (False, True)}
    encoder = torch.compile(ours.cuda().encoder)
    imu = windows(batch)[0].cuda()

    def run(backward: bool) -> None:
        encoder.train(backward)
        with torch.autocast("cuda", torch.bfloat16), torch.set_grad_enabled(backward):
            latents = encoder(imu).last_hidden_state
        if backward:
            ours.zero_grad(set_to_none=True)
            latents.float().square().mean().backward()

    for backward, name in ((False, "forward"), (True, "forward and backward")):
        spent = medians({name: lambda backward=backward: run(backward)}, seconds, 10)[name]
        rows[name] = counts[backward] / spent / peak
    return rows


def measure(preset: str, batch: int, seconds: float, compiled: bool) -> dict:
    """Differences, seconds and windows a second of both forms on the CPU."""
    ours, direct = paired_models(preset)
    first, second, visible = windows(batch)
    differences = largest_differences(ours, direct, first, second, visible)
    if (worst := max(differences.values())) > TOLERANCE:
        raise RuntimeError(f"the forms differ by {worst:.1e}, allowed are {TOLERANCE:.0e}: {differences}")
    models = {"ours": ours, "direct": direct}
    if compiled:
        for name, model in list(models.items()):
            twin = direct_twin(model) if name == "direct" else paired_models(preset)[0]
            twin.load_state_dict(model.state_dict())
            twin.encoder.compile()
            models[f"{name}, compiled"] = twin
    result: dict = {"batch": batch, "frames": FRAMES, "largest_difference": differences, "seconds": {}}
    works = {
        "forward": lambda model: forward(model, first, visible),
        "training step": lambda model: train_step(model, first, second, visible),
    }
    for title, work in works.items():
        calls = {name: lambda work=work, model=model: work(model) for name, model in models.items()}
        result["seconds"][title] = medians(calls, seconds)
    count = {mode: counted_flops(direct, first, mode) for mode in (False, True)}
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
        "| work | form | seconds | windows a second | times direct |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for title, seconds in result["seconds"].items():
        for name, value in seconds.items():
            rate, ratio = result["batch"] / value, seconds["direct"] / value
            lines.append(f"| {title} | {name} | {value:.3f} | {rate:.2f} | {ratio:.2f} |")
    shown = ", ".join(f"{name} {value:.1e}" for name, value in result["largest_difference"].items())
    counts = ", ".join(f"{name} {value:.1f}" for name, value in result["gflop_per_window"].items())
    lines += ["", f"Largest difference: {shown}.", f"GFLOP a window (direct form, counted): {counts}."]
    if "utilisation" in result:
        shares = ", ".join(f"{name} {100 * value:.1f} %" for name, value in result["utilisation"].items())
        lines.append(f"Model FLOP utilisation in bf16: {shares}.")
    else:
        lines.append("Model FLOP utilisation: no GPU here.")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Benchmark of the encoder.")
    parser.add_argument("--preset", default="paper", choices=["paper", "nano"])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30.0, help="time for each of forward and training step")
    parser.add_argument("--compile", action="store_true", help="torch.compile of both as well; needs a C++ compiler")
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
    except (ValueError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    print(markdown(result, args.preset))
    write_json(args.output, result)
    print(f"\nwritten: {args.output}")


if __name__ == "__main__":
    main()
