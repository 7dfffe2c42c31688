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


def measure(keep: bool, fast: bool, training: bool, seconds: float, batch: int, model: str) -> float:
    """Windows a second of the encoder alone, 5 s at 60 Hz with one sensor, in its plain or its fast form."""
    import torch

    from anymo_hf import AnyMoFeatureExtractor
    from anymo_hf.freed_memory import keep_freed_memory

    if keep and not keep_freed_memory():
        raise SystemExit("this C library is not glibc; nothing to measure")
    torch.set_num_threads(1)
    encoder = AnyMoFeatureExtractor.from_pretrained(model).stgcn.train(training)
    encoder.fast_inference = encoder.fast_training = fast
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
    """Prints a line for each form, in evaluation and in training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="anymo")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        keep, fast, training = (word == "True" for word in given.one)
        print(measure(keep, fast, training, given.seconds, given.batch, given.model))
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
    for training in (False, True):
        ways = [(keep, fast) for fast in (False, True) for keep in (False, True)]
        found: dict[tuple[bool, bool], list[list[float]]] = {way: [] for way in ways}
        for way in 3 * ways:
            command = [*words, "--one", *map(str, way), str(training)]
            run = subprocess.run(command, check=True, capture_output=True, text=True)
            found[way].append([float(line) for line in run.stdout.split()[-2:]])
        middle = {way: [statistics.median(column) for column in zip(*rows, strict=True)] for way, rows in found.items()}
        for (keep, fast), (rate, memory) in middle.items():
            print(f"{'training' if training else 'evaluation'}, {'fast' if fast else 'plain'} form, memory "
                  f"{'kept' if keep else 'given back'}: {rate:.1f} windows/s, "
                  f"{rate / middle[ways[0]][0]:.2f} times the first, {memory:.0f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
