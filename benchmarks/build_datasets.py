"""Benchmark of the builders: windows a second and peak memory, reading speed beside memory-mapped npy, sizes, growth.

    python benchmarks/build_datasets.py [--data DIR] [--output results/dataset_benchmark.json]

The sources are written first, in the raw formats of USC-HAD (MATLAB files) and TNDA-HAR (text), of invented signals; with
`--data` a real USC-HAD is built as well. Every build is a process of its own. A build includes everything that the command
does: reading, writing Parquet, counting, the card. Files are in the system's cache when they are read.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import numpy as np
import torch
from scipy.io import savemat

sys.path.insert(0, str(Path(__file__).parents[1] / "dataset_scripts"))

import anymo_synthetic  # noqa: E402
import anymo_zeroshot  # noqa: E402

from anymo_hf.simulation.archive import simulate_archive  # noqa: E402

BATCH, PEOPLE, GROWTH = 64, 8, (2, 8, 32)
MEGABYTE = 1e6
# ru_maxrss counts bytes on macOS, kibibytes elsewhere
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


def write_usc_had(folder: Path, people: int) -> None:
    """60 trials of 30 s a person; files of equal content are links."""
    rng = np.random.default_rng(0)
    for activity in range(1, 13):
        signal = rng.normal([0, 1, 0, 0, 0, 0], [0.1, 0.1, 0.1, 20, 20, 20], (3000, 6))
        first = folder / "Subject1" / f"a{activity}t1.mat"
        first.parent.mkdir(parents=True, exist_ok=True)
        savemat(first, {"sensor_readings": signal})
        for person in range(1, people + 1):
            for trial in range(1, 6):
                _link(first, folder / f"Subject{person}" / f"a{activity}t{trial}.mat")


def write_tnda_har(folder: Path, people: int) -> None:
    """Eight minutes a person at five placements, a minute for each activity."""
    rng = np.random.default_rng(0)
    table = rng.normal(0, 0.2, (8 * 3000, 46))
    table[:, [1, 10, 19, 28, 37]] += 9.8
    table[:, 45] = np.repeat(np.arange(1, 9), 3000)
    folder.mkdir(parents=True)
    first = folder / "Subject01.csv"
    np.savetxt(first, table, fmt=["%.4f"] * 45 + ["%d"], delimiter=",")
    for person in range(2, people + 1):
        _link(first, folder / f"Subject{person:02d}.csv")


def _link(first: Path, other: Path) -> None:
    other.parent.mkdir(parents=True, exist_ok=True)
    if other != first:
        os.link(first, other)


def own_memory() -> int:
    """Bytes of this process without mapped files, of which the system takes back what it needs; 0 where it does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")), 0)


def build(kind: str, source: Path, out: Path, processes: int) -> dict[str, float]:
    """One build in this process; seconds, windows, and the peak of this process and of the largest below it.

    The Arrow file that the rows are in is mapped into memory: `peak_megabytes` counts it, `own_peak_megabytes` does not.
    """
    datasets.disable_progress_bars()
    number = processes if processes > 1 else None
    before, highest, watching = own_memory(), [0], threading.Event()

    def watch() -> None:
        while not watching.wait(0.02):
            highest[0] = max(highest[0], own_memory())

    threading.Thread(target=watch, daemon=True).start()
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "views":
            counts = anymo_synthetic.write_repository(source, out, kind, number)
        else:
            counts = anymo_zeroshot.write_repository(source, out, kind, number)
    seconds = time.perf_counter() - start
    watching.set()
    windows = sum(part["rows"] for part in counts["splits"].values())
    peaks = [resource.getrusage(who).ru_maxrss * PEAK_UNIT for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "windows": windows, "seconds": seconds, "windows_per_second": windows / seconds,
        "start_megabytes": before / MEGABYTE, "own_peak_megabytes": highest[0] / MEGABYTE,
        "peak_megabytes": peaks[0] / MEGABYTE, "largest_worker_megabytes": peaks[1] / MEGABYTE if number else 0.0,
    }  # fmt: skip


def build_apart(kind: str, source: Path, out: Path, processes: int) -> dict[str, float]:
    """`build` in a fresh process, into a fresh folder."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, __file__, "--build", kind, str(source), str(out), str(processes)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the build of {kind} from {source} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def best_rate(work: Callable[[], int], seconds: float = 1.0) -> float:
    """Windows a second of the fastest of at least two calls, after one to warm up."""
    work()
    rates, stop = [], time.perf_counter() + seconds
    while len(rates) < 2 or time.perf_counter() < stop:
        start = time.perf_counter()
        rates.append(work() / (time.perf_counter() - start))
    return max(rates)


def measure_reading(repository: Path, folder: Path) -> dict[str, float]:
    """Windows a second, by batches of 64, of the windows of `usc_had`; all ways give the same numbers."""
    os.environ["HF_DATASETS_CACHE"] = str(folder / "cache")
    rows = datasets.load_dataset(str(repository), "usc_had", split="test", cache_dir=str(folder / "cache"))
    rows = rows.select_columns(["right_hip", "label"])
    every = np.stack(rows.with_format("numpy")[:]["right_hip"])
    np.save(folder / "windows.npy", every)
    mapped = np.load(folder / "windows.npy", mmap_mode="r")
    count = min(1024, len(rows) // BATCH * BATCH)
    order = np.random.default_rng(0).permutation(len(rows))[:count]
    rates = {}

    def batches() -> Iterator[np.ndarray]:
        return iter(np.arange(count).reshape(-1, BATCH))

    def at_random() -> Iterator[np.ndarray]:
        return iter(order.reshape(-1, BATCH))

    for form in ("numpy", "torch"):
        shaped = rows.with_format(form)
        if not np.array_equal(
            np.stack([np.asarray(window) for window in shaped[order[:8]]["right_hip"]]), mapped[order[:8]]
        ):
            raise RuntimeError(f"{form} reads other windows than npy holds")
        for name, parts in (("sequential", batches), ("random", at_random)):
            rates[f"Parquet by load_dataset, {form}, {name}"] = best_rate(
                lambda shaped=shaped, parts=parts: sum(len(shaped[part]["right_hip"]) for part in parts())
            )

    def stream() -> int:
        flow = datasets.load_dataset(str(repository), "usc_had", split="test", streaming=True).with_format("numpy")
        return sum(len(part["right_hip"]) for part in flow.take(count).iter(BATCH))

    rates["Parquet streamed, numpy, sequential"] = best_rate(stream, 0.0)
    for name, parts in (("sequential", batches), ("random", at_random)):
        rates[f"npy memory-mapped, {name}"] = best_rate(
            lambda parts=parts: sum(len(np.array(mapped[part])) for part in parts())
        )
        rates[f"npy memory-mapped, to torch, {name}"] = best_rate(
            lambda parts=parts: sum(len(torch.from_numpy(np.array(mapped[part]))) for part in parts())
        )
    return rates


def size(folder: Path, pattern: str = "*") -> float:
    """Megabytes of the files below a folder; a link counts as a file."""
    return sum(path.stat().st_size for path in folder.rglob(pattern) if path.is_file()) / MEGABYTE


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Benchmark of the dataset builders.")
    parser.add_argument("--data", type=Path, help="a folder that holds USC-HAD; it is built as well")
    parser.add_argument("--output", type=Path, default=Path("results/dataset_benchmark.json"))
    parser.add_argument("--build", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.build:
        kind, source, out, processes = args.build
        print(json.dumps(build(kind, Path(source), Path(out), int(processes))))
        return
    datasets.disable_progress_bars()
    load = os.getloadavg()[0]
    builds: dict[str, dict[str, dict[str, float]]] = {}
    growth: dict[str, dict[str, float]] = {}
    sizes: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_usc_had(folder / "usc_had", PEOPLE)
        write_tnda_har(folder / "tnda_har", 2 * PEOPLE)
        simulate_archive(
            folder / "views", procedural=4, seconds=60.0, activities=["walking", "sitting"], progress=False
        )
        sources = [("usc_had", folder / "usc_had"), ("tnda_har", folder / "tnda_har"), ("views", folder / "views")]
        if args.data:
            sources.append(("usc_had", anymo_zeroshot.find_sources(args.data, ["usc_had"])["usc_had"]))
        for kind, source in sources:
            title = {"views": "anymo-synthetic views"}.get(kind, f"anymo-zeroshot {kind}")
            title += ", real" if folder not in source.parents else ""
            out = folder / f"repo {title}"
            builds[title] = {str(number): build_apart(kind, source, out, number) for number in (1, 2)}
            sizes[title] = {"source_megabytes": size(source), "parquet_megabytes": size(out, "*.parquet")}
        for people in GROWTH:
            write_usc_had(folder / f"people{people}", people)
            growth[str(people)] = build_apart("usc_had", folder / f"people{people}", folder / "grown", 1)
        reading = measure_reading(folder / "repo anymo-zeroshot usc_had", folder)
        for key, path in (("arrow_cache_megabytes", folder / "cache"), ("npy_megabytes", folder)):
            sizes["anymo-zeroshot usc_had"][key] = size(path, "*.arrow" if path != folder else "windows.npy")

    print(f"load {load:.1f} before the run, {os.cpu_count()} cores")
    for title, runs in builds.items():
        for number, run in runs.items():
            workers = f", largest worker {run['largest_worker_megabytes']:.0f} MB" if number != "1" else ""
            print(
                f"{title}, {number} process(es): {run['windows_per_second']:,.0f} windows a second "
                f"({run['windows']:,} in {run['seconds']:.1f} s), peak {run['peak_megabytes']:.0f} MB with mapped files, "
                f"{run['own_peak_megabytes']:.0f} MB without (start: {run['start_megabytes']:.0f} MB){workers}"
            )
        print(f"  {', '.join(f'{key} {value:.1f}' for key, value in sizes[title].items())}")
    for people, run in growth.items():
        print(
            f"usc_had of {people} people: {run['windows']:,} windows, peak {run['peak_megabytes']:.0f} MB with mapped "
            f"files, {run['own_peak_megabytes']:.0f} MB without"
        )
    for title, rate in reading.items():
        print(f"{rate:12,.0f} windows a second  {title}")
    result = {
        "window": "usc_had: 500 steps x 6 channels, float32; tnda_har: 250 x 6 at 5 placements; views: up to 300 x 6 at 23",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, datasets {datasets.__version__}",
        "load_before": load, "batch": BATCH, "builds": builds, "sizes": sizes, "growth_by_people": growth,
        "reading_windows_per_second": reading,
    }  # fmt: skip
    args.output.parent.mkdir(parents=True, exist_ok=True)
    temporary = args.output.with_name(args.output.name + ".part")
    temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, args.output)
    print(f"written: {args.output}")


if __name__ == "__main__":
    main()
