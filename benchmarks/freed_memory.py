"""What it costs to give freed memory back to the system: windows a second with and without `keep_freed_memory`.

python benchmarks/freed_memory.py [--model anymo] [--seconds 5] [--batch 64]

Each way runs in a process of its own, one thread, one after the other, three times in turn; the medians are printed.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time


def measure(keep: bool, training: bool, seconds: float, batch: int, model: str) -> float:
    """Windows a second of the encoder alone, 5 s at 60 Hz with one sensor."""
    import torch

    from anymo_hf import AnyMoFeatureExtractor
    from anymo_hf.freed_memory import keep_freed_memory

    if keep and not keep_freed_memory():
        raise SystemExit("this C library is not glibc; nothing to measure")
    torch.set_num_threads(1)
    encoder = AnyMoFeatureExtractor.from_pretrained(model).stgcn.train(training)
    windows, worn = torch.randn(batch, 300, 23, 6), torch.zeros(batch, 23, dtype=torch.bool)
    worn[:, 0] = True

    def step() -> None:
        with torch.set_grad_enabled(training):
            latents = encoder(windows, worn).last_hidden_state
        if training:
            latents.square().mean().backward()

    step()
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        step()
        count += 1
    return count * batch / (time.perf_counter() - started)


def main() -> None:
    """Prints one line for evaluation and one for training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="anymo")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--way", choices=("give", "keep"), help=argparse.SUPPRESS)
    parser.add_argument("--training", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(measure(given.way == "keep", given.training, given.seconds, given.batch, given.model))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    words = [
        sys.executable,
        __file__,
        "--model",
        given.model,
        "--seconds",
        str(given.seconds),
        "--batch",
        str(given.batch),
    ]
    for name, more in (("evaluation", []), ("training", ["--training"])):
        found: dict[str, list[list[float]]] = {"give": [], "keep": []}
        for _ in range(3):
            for way, rows in found.items():
                run = subprocess.run([*words, *more, "--way", way], check=True, capture_output=True, text=True)
                rows.append([float(line) for line in run.stdout.split()[-2:]])
        (given_back, memory), (kept, most) = (
            [statistics.median(c) for c in zip(*rows, strict=True)] for rows in found.values()
        )
        print(f"{name}: {given_back:.1f} windows/s given back, {kept:.1f} kept, ratio {kept / given_back:.2f}; "
              f"memory {memory:.0f} and {most:.0f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
