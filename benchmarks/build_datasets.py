"""Benchmark of the builders: windows a second and peak memory, growth with the source, reading speed beside npy, sizes.

    python benchmarks/build_datasets.py [--data DIR] [--small] [--output results/dataset_benchmark.json]

The sources are written first: procedural motion, USC-HAD's MATLAB files and TNDA-HAR's text of invented signals, and a small
Nymeria (which needs `vrs`); with `--data` a real USC-HAD is built as well. Every build is a process of its own and includes
everything that the command does: reading, writing Parquet, counting, the card. Files are in the system's cache when they
are read.
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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import datasets
import numpy as np
import torch
from scipy.io import savemat

from anymo_hf.hub.builders import anymo_180, anymo_bench, anymo_synthetic, anymo_zeroshot
from anymo_hf.nymeria import imu as nymeria_imu
from anymo_hf.nymeria.mini_nymeria import write_mini_nymeria
from anymo_hf.simulation.archive import simulate_archive

BATCH, GROWTH = 64, 4
MEGABYTE = 1e6
SIZES = ("source", "signals at 60 Hz", "Parquet", "Arrow cache", "npy")
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


def write_source(title: str, folder: Path, size: int) -> Path:
    """The source of a build; its recordings and people grow with `size`."""
    if title == "anymo-synthetic views":
        simulate_archive(folder, procedural=size, seconds=60.0, activities=["walking", "sitting"], progress=False)
    elif title == "anymo-zeroshot usc_had":
        write_usc_had(folder, 2 * size)
    elif title == "anymo-zeroshot tnda_har":
        write_tnda_har(folder, 2 * size)
    else:
        write_mini_nymeria(folder, people=max(2, size // 2), sessions=1, progress=False)
    return folder


def build(title: str, source: Path, out: Path, processes: int) -> dict[str, float]:
    """One build in this process; seconds, windows, and the peak of this process and of the largest below it.

    The Arrow files that the rows are in are mapped into memory: `peak_megabytes` counts them, `own_peak_megabytes` does not.
    """
    before, highest, watching = own_memory(), [0], threading.Event()

    def watch() -> None:
        while not watching.wait(0.02):
            highest[0] = max(highest[0], own_memory())

    threading.Thread(target=watch, daemon=True).start()
    start = time.perf_counter()
    options = {"num_proc": processes, "progress": False}
    name, _, config = title.partition(" ")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "anymo-synthetic":
            counts = anymo_synthetic.write_repository(source, out, config, **options)
        elif name == "anymo-zeroshot":
            counts = anymo_zeroshot.write_repository(source, out, config.split(",")[0], **options)
        else:
            nymeria_imu._aria = lambda: None  # it prints
            given = source, source / "annotations.parquet", out
            if name == "anymo-180":
                counts = anymo_180.write_repository(*given, **options)
            else:
                counts = anymo_bench.write_repository(*given, config, **options)
    seconds = time.perf_counter() - start
    watching.set()
    windows = sum(part["rows"] for part in counts["splits"].values())
    peaks = [resource.getrusage(who).ru_maxrss * PEAK_UNIT for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "windows": windows, "seconds": seconds, "windows_per_second": windows / seconds,
        "start_megabytes": before / MEGABYTE, "own_peak_megabytes": highest[0] / MEGABYTE,
        "peak_megabytes": peaks[0] / MEGABYTE, "largest_worker_megabytes": peaks[1] / MEGABYTE if processes > 1 else 0.0,
    }  # fmt: skip


def build_apart(title: str, source: Path, out: Path, processes: int) -> dict[str, float]:
    """`build` in a fresh process, into a fresh folder."""
    for old in (out, out.with_name(out.name + ".signals")):
        shutil.rmtree(old, ignore_errors=True)
    command = [sys.executable, __file__, "--build", title, str(source), str(out), str(processes)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the build of {title} from {source} failed: {done.stderr[-2000:]}")
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


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown; the first column is text, the others numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def tables(result: dict) -> str:
    """The result in Markdown."""
    rows = [
        [
            title, number, f"{run['windows']:,}", f"{run['seconds']:.1f}", f"{run['windows_per_second']:,.0f}",
            f"{run['own_peak_megabytes']:.0f}", f"{run['peak_megabytes']:.0f}",
            f"{run['largest_worker_megabytes']:.0f}" if number != "1" else "-",
        ]
        for title, runs in result["builds"].items()
        for number, run in runs.items()
    ]  # fmt: skip
    head = [
        "build",
        "processes",
        "windows",
        "seconds",
        "windows/s",
        "own peak, MB",
        "with mapped files",
        "largest worker",
    ]
    text = [table(head, rows)]
    rows = [
        [title, *(f"{run[key]:,.0f}" for run in runs.values() for key in ("windows", "own_peak_megabytes"))]
        for title, runs in result["growth"].items()
    ]
    factor = f"{GROWTH} x"
    head = ["one process", "windows, 1 x", "own peak, MB, 1 x", f"windows, {factor}", f"own peak, MB, {factor}"]
    text.append(table(head, rows))
    rows = [[title, *(f"{sizes[key]:.1f}" if key in sizes else "-" for key in SIZES)]
            for title, sizes in result["megabytes"].items()]  # fmt: skip
    text.append(table(["MB", *SIZES], rows))
    rows = [[title, f"{rate:,.0f}"] for title, rate in result["reading_windows_per_second"].items()]
    text.append(table(["reading, batches of 64", "windows/s"], rows))
    return "\n".join(text)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Benchmark of the dataset builders.")
    parser.add_argument("--data", type=Path, help="a folder that holds USC-HAD; it is built as well")
    parser.add_argument("--small", action="store_true", help="a quarter of the sources, to see that it runs")
    parser.add_argument("--output", type=Path, default=Path("results/dataset_benchmark.json"))
    parser.add_argument("--build", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.build:
        title, source, out, processes = args.build
        print(json.dumps(build(title, Path(source), Path(out), int(processes))))
        return
    datasets.disable_progress_bars()
    load, people = os.getloadavg()[0], 1 if args.small else 4
    titles = ["anymo-synthetic views", "anymo-zeroshot usc_had", "anymo-zeroshot tnda_har"]
    if nymeria_imu._pyvrs() is not None:
        titles += ["anymo-180", "anymo-bench fine150"]
    else:
        print("anymo-180 and anymo-bench are left out: pip install vrs")
    builds: dict[str, dict[str, dict[str, float]]] = {}
    growth: dict[str, dict[str, dict[str, float]]] = {}
    sizes: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def measure(title: str, source: Path) -> None:
            out = folder / f"repo {title}"
            builds[title] = {str(number): build_apart(title, source, out, number) for number in (1, 2)}
            sizes[title] = {"source": size(source), "Parquet": size(out, "*.parquet")}
            if (signals := out.with_name(out.name + ".signals")).is_dir():
                sizes[title]["signals at 60 Hz"] = size(signals)

        for title in titles:
            grown = []
            for factor in (1, GROWTH):
                source = folder / f"{title} {factor}"
                if title.startswith(("anymo-180", "anymo-bench")):
                    source = folder / f"nymeria {factor}"
                if not source.exists():
                    write_source(title, source, people * factor)
                grown.append(source)
            measure(title, grown[0])
            many = build_apart(title, grown[1], folder / "grown", 1)
            growth[title] = {"1": builds[title]["1"], str(GROWTH): many}
        if args.data:
            measure("anymo-zeroshot usc_had, real", anymo_zeroshot.find_sources(args.data, ["usc_had"])["usc_had"])
        reading = measure_reading(folder / "repo anymo-zeroshot usc_had", folder)
        sizes["anymo-zeroshot usc_had"]["Arrow cache"] = size(folder / "cache", "*.arrow")
        sizes["anymo-zeroshot usc_had"]["npy"] = (folder / "windows.npy").stat().st_size / MEGABYTE
    result = {
        "window": "usc_had: 500 steps x 6 channels, float32; tnda_har: 250 x 6 at 5 placements; views: up to 300 x 6 at 23; "
        "anymo-180: 180 to 630 x 18; anymo-bench: up to 300 x 18",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, datasets {datasets.__version__}",
        "load_before": load, "small": args.small, "batch": BATCH, "builds": builds, "growth": growth,
        "megabytes": sizes, "reading_windows_per_second": reading,
    }  # fmt: skip
    args.output.parent.mkdir(parents=True, exist_ok=True)
    temporary = args.output.with_name(args.output.name + ".part")
    temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, args.output)
    print(f"load {load:.1f} before the run, {result['machine']}\n\n{tables(result)}")
    print(f"written: {args.output}")


if __name__ == "__main__":
    main()
