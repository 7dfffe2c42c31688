"""Benchmark of reading windows from Parquet by load_dataset: how long the type of the column says a signal is, and how
rows are asked for.

    python benchmarks/read_windows.py [--windows 1024]

Figures are windows of 300 frames a CPU second, the best of three rounds, one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np

from anymo_hf.hub.builders.parquet_repository import write_split

BATCH = 64


def rate(work: Callable[[], int]) -> float:
    """Windows a CPU second."""
    rates = []
    for _ in range(3):
        began = time.process_time()
        count = work()
        rates.append(count / (time.process_time() - began))
    return max(rates)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=1024)
    count = parser.parse_args().windows // BATCH * BATCH
    rng = np.random.default_rng(0)
    signals = rng.normal(size=(count, 300, 6)).astype(np.float32)
    columns = datasets.Features({"wrist": datasets.Array2D((None, 6), "float32"), "label": datasets.Value("string")})
    made = datasets.Dataset.from_dict({"wrist": list(signals), "label": ["walking"] * count}, features=columns)
    order = rng.permutation(count).reshape(-1, BATCH)
    print("| length in the type | format | batches of 64 | windows/s |\n| --- | --- | --- | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for title, frames in (("free", {}), ("300", {"wrist": 300})):
            write_split(made, Path(folder) / title, "test", None, frames)
            rows = datasets.load_dataset(
                "parquet", data_files=f"{folder}/{title}/*.parquet", split="train", cache_dir=f"{folder}/cache {title}"
            ).select_columns(["wrist"])
            for form in ("numpy", "torch"):
                shaped = rows.with_format(form)
                if not np.array_equal(np.asarray(shaped[:BATCH]["wrist"]), signals[:BATCH]):
                    raise RuntimeError(f"{form} reads other windows than were written")

                def in_turn(shaped=shaped) -> int:
                    return sum(len(part["wrist"]) for part in shaped.iter(BATCH))

                def by_lists(shaped=shaped) -> int:
                    return sum(len(shaped[part]["wrist"]) for part in order)

                works = (("in turn, .iter(64)", in_turn), ("lists of random rows", by_lists))
                for name, work in works:
                    print(f"| {title} | {form} | {name} | {rate(work):,.0f} |", flush=True)


if __name__ == "__main__":
    main()
