"""The campaign: every fault against every command, again and again, until the time is up; what came of it, counted."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torture.commands import COMMANDS, SERVERS, Command
from torture.comparison import differences, digest
from torture.faults import FAULTS, Attempt, Reference, may_mount, mount, possible, unmount
from torture.process import Ended, in_a_process, start

from anymo_hf.atomic_write import write_json

COUNTS = (
    "trials",
    "started",
    "killed",
    "refused",
    "resumed",
    "equal",
    "lost",
    "different",
    "hung",
    "unclear",
    "left_over",
)
IMPORTS = (
    "torch", "transformers", "accelerate", "datasets", "pandas", "scipy.signal", "sklearn.ensemble", "pyarrow.parquet",
    "huggingface_hub", "tqdm", "anymo_hf.cli", "anymo_hf.training.stage_commands", "anymo_hf.training.corpus_command",
    "anymo_hf.hub.builders.__main__",
    "anymo_hf.hub.builders.anymo_bench", "anymo_hf.hub.builders.anymo_180", "anymo_hf.hub.builders.anymo_zeroshot",
    "anymo_hf.hub.builders.anymo_synthetic", "anymo_hf.annotation.curation", "anymo_hf.evaluation.recognition",
    "anymo_hf.evaluation.setup_shift", "anymo_hf.evaluation.tables", "anymo_hf.systems.many_recordings",
    "anymo_hf.simulation.archive.derived", "anymo_hf.hub.upload", "anymo_hf.nymeria.mini_nymeria",
)  # fmt: skip


@dataclass
class Report:
    """What happened so far.

    Args:
        seed: of all choices.
        code: hash of the package's code, for which alone the counts hold.
        disk: how a full disk was made: "tmpfs" or "RLIMIT_FSIZE".
        done: trials so far, which a later run goes on from.
        minutes: that they took.
        counts: command -> fault -> `COUNTS`.
        bars: command -> progress bar -> how often Ctrl-C came at it.
        findings: what went wrong, with the number of the trial.
        skipped: command -> why it was not tried.
    """

    seed: int
    code: str
    disk: str
    done: int = 0
    minutes: float = 0.0
    counts: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    bars: dict[str, dict[str, int]] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, command: str, fault: str, counts: Counter[str]) -> None:
        """Counts of one trial."""
        held = self.counts.setdefault(command, {}).setdefault(fault, dict.fromkeys(COUNTS, 0))
        for name, value in counts.items():
            held[name] += value

    def total(self) -> Counter[str]:
        """Over all commands and faults."""
        return sum((Counter(part) for faults in self.counts.values() for part in faults.values()), Counter())


class Server:
    """The server of a command, in a process of its own, for one trial."""

    def __init__(self, kind: str, place: Path) -> None:
        self.pid, self.url, self.place = 0, "", place
        if not kind:
            return
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reading)
            try:
                SERVERS[kind](place / "out", lambda url: os.write(writing, url.encode() + b"\n") and None)
            finally:
                os._exit(1)
        os.close(writing)
        with os.fdopen(reading) as file:
            self.url = file.readline().strip()

    def tell(self) -> None:
        """Lets it write into `out/` what it holds."""
        if self.pid:
            told = [self.place / "out" / name for name in ("hub.json", "questions.json")]
            for path in told:
                path.unlink(missing_ok=True)
            os.kill(self.pid, signal.SIGUSR1)
            stop = time.monotonic() + 10
            while not any(path.is_file() for path in told) and time.monotonic() < stop:
                time.sleep(0.002)

    def end(self) -> None:
        """Ends it."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0


def load() -> None:
    """Imports once what every command would import; processes are forked from here."""
    os.environ.setdefault("ACCELERATE_USE_CPU", "true")
    for name in IMPORTS:
        importlib.import_module(name)


def prepare(command: Command, base: Path) -> Path:
    """The inputs of a command, made once in `base`; gives their folder."""
    folder = base / "inputs" / _slug(command.name)
    if not folder.is_dir():
        draft = folder.with_name(folder.name + ".making")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        in_a_process(lambda: command.prepare(draft))
        (draft / "out").mkdir(exist_ok=True)
        os.replace(draft, folder)
    return folder


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)


def lay_out(source: Path, place: Path, own_disk: bool) -> None:
    """Puts the inputs where the command runs, which is the same folder for every trial of it."""
    unmount(place / "out")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(source / "in", place / "in")
    (place / "out").mkdir()
    if own_disk:
        mount(place / "out")
    shutil.copytree(source / "out", place / "out", dirs_exist_ok=True)


def results(place: Path, server: Server) -> dict[str, str]:
    """Digest of what the command left, and of what its server holds."""
    server.tell()
    return digest(place / "out")


def reference(command: Command, base: Path) -> Reference:
    """A run that nobody disturbed, made twice: what differs between two of those cannot be compared.

    Raises:
        RuntimeError: it fails, or two runs differ.
    """
    kept = base / "references" / f"{_slug(command.name)}.json"
    if kept.is_file():
        return Reference(**json.loads(kept.read_text()))
    source, place, told = prepare(command, base), base / "place", base / "told.json"
    found: list[dict[str, str]] = []
    for _ in range(2):
        lay_out(source, place, False)
        server = Server(command.server, place)
        try:
            ended = start(command, place, server.url, tell=told).wait(900)
            if ended is None or ended.code:
                raise RuntimeError(f"{command.name} fails without any fault: {ended}")
            found.append(results(place, server))
        finally:
            server.end()
    if (wrong := differences(*found)) or not found[0]:
        raise RuntimeError(f"{command.name}: two undisturbed runs differ, so nothing can be compared: {wrong}")
    files = [path for path in (place / "out").rglob("*") if path.is_file()]
    sizes = [4096 * -(-path.stat().st_size // 4096) for path in files]
    made = Reference(found[0], ended.seconds, bytes=sum(sizes), largest=max(sizes), **json.loads(told.read_text()))
    write_json(kept, asdict(made))
    return made


def trial(
    command: Command, faults: Sequence[str], base: Path, known: Reference, rng: np.random.Generator, mounted: bool
) -> tuple[Counter[str], list[dict[str, Any]], list[str]]:
    """Faults one after the other, each on what the one before left; then an undisturbed run, which must mend it all.

    Returns:
        Its `COUNTS`, what went wrong, and the progress bars that were interrupted.
    """
    source, place = prepare(command, base), base / "place"
    lay_out(source, place, mounted)
    counts, problems, bars = Counter({"trials": 1}), [], []
    server = Server(command.server, place)

    def wrong(kind: str, fault: str, what: Any) -> None:
        counts[kind] += 1
        problems.append({"kind": kind, "fault": fault, "what": what})

    def judge(fault: str, ended: Ended | None) -> None:
        if ended is None:
            return wrong("hung", fault, "no end")
        if ended.code == 0:
            if (found := differences(results(place, server), known.digest)).keys() - {"left over"}:
                wrong("different", fault, {"ended with 0, but": found})
        elif ended.code < 0:
            counts["killed"] += 1
        else:
            counts["refused"] += 1
        if ended.traceback:
            wrong("unclear", fault, ended.errors[-1500:])
        return None

    try:
        for number, fault in enumerate(faults):
            attempt = Attempt(command, place, server.url, known, rng, mounted)
            ends = FAULTS[fault](attempt)
            counts["started"] += len(ends)
            counts["resumed"] += number > 0
            bars += [attempt.bar] if attempt.bar else []
            for ended in ends:
                judge(fault, ended)
            if fault == "two at once" and all(ended is None or ended.code for ended in ends):
                wrong("lost", fault, [ended and (ended.code, ended.errors[-600:]) for ended in ends])
        last = Attempt(command, place, server.url, known, rng, mounted)
        (last,) = last.finish(last.start())
        counts["started"] += 1
        counts["resumed"] += 1
        if last is None or last.code:
            wrong("lost", "last run", last and last.errors[-1500:])
        else:
            found = differences(results(place, server), known.digest)
            if "missing" in found:
                wrong("lost", "last run", found)
            elif "other" in found:
                wrong("different", "last run", found)
            if "left over" in found:
                wrong("left_over", "last run", found["left over"])
        if digest(place / "in") != digest(source / "in"):
            wrong("lost", "last run", "the inputs are not what they were")
        counts["equal"] += not {one["kind"] for one in problems} & {"lost", "different", "hung"}
    finally:
        server.end()
        unmount(place / "out")
        for path in place.parent.glob(f"{place.name}.*.err"):
            path.unlink()
    return counts, problems, bars


def schedule(seed: int, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, str, str]]:
    """Number, command and fault of every trial: all pairs in a random order, then all again in another."""
    number = 0
    while True:
        for index in np.random.default_rng([seed, number]).permutation(len(pairs)):
            yield number, *pairs[index]
            number += 1


def run(
    out: Path,
    minutes: float,
    seed: int = 0,
    commands: Sequence[str] | None = None,
    faults: Sequence[str] | None = None,
    most: int | None = None,
    say: bool = True,
) -> Report:
    """Tortures for so many minutes in all; a second call on the same folder goes on.

    Args:
        out: inputs, references and `report.json` are kept here.
        minutes: of trials, those of earlier calls included.
        seed: of all choices.
        commands, faults: only these; all that can be tried when left out.
        most: trials, at most.
        say: print a line for each trial.
    """
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    load()
    mounted = may_mount(out / "disk")
    path = out / "report.json"
    report = Report(seed, code_hash(), "tmpfs" if mounted else "RLIMIT_FSIZE")
    if path.is_file():
        begun = Report(**json.loads(path.read_text()))
        if begun.code == report.code:
            report = begun
        else:
            print(f"the code has changed since {path} was begun; a new campaign replaces it", flush=True)
    base = out / report.code
    known: dict[str, Reference] = {}
    for name in commands or COMMANDS:
        if missing := COMMANDS[name].missing:
            report.skipped[name] = f"needs {', '.join(missing)}"
            continue
        if say:
            print(f"{name}: an undisturbed run, twice", flush=True)
        known[name] = reference(COMMANDS[name], base)
    pairs = [
        (name, fault) for name in known for fault in (faults or FAULTS) if possible(fault, COMMANDS[name], known[name])
    ]
    before = report.minutes
    started = time.monotonic()
    for number, name, fault in schedule(report.seed, pairs):
        if number < report.done:
            continue
        if report.minutes >= minutes or most is not None and number >= most:
            break
        rng = np.random.default_rng([report.seed, number, 1])
        more = [one for one in (faults or FAULTS) if possible(one, COMMANDS[name], known[name])]
        chosen = [fault, *(str(rng.choice(more)) for _ in range(int(rng.integers(0, 3))))]
        counts, problems, bars = trial(COMMANDS[name], chosen, base, known[name], rng, mounted)
        report.add(name, fault, counts)
        for bar in bars:
            seen = report.bars.setdefault(name, {})
            seen[bar] = seen.get(bar, 0) + 1
        report.findings += [{"trial": number, "command": name, "faults": chosen} | problem for problem in problems]
        report.done, report.minutes = number + 1, before + (time.monotonic() - started) / 60
        write_json(path, asdict(report))
        if say:
            verdict = ", ".join(f"{one['kind']} at {one['fault']}" for one in problems) or "equal"
            left = max(0, minutes - report.minutes)
            print(f"{number + 1}: {name}: {' + '.join(chosen)}: {verdict} ({left:.0f} min left)", flush=True)
    return report


def summary(report: Report) -> dict[str, Any]:
    """What `results/torture.json` holds: counts by command and by fault, and the kinds of findings."""
    by_fault: dict[str, Counter[str]] = {}
    by_command: dict[str, Counter[str]] = {}
    for command, parts in report.counts.items():
        for fault, counts in parts.items():
            by_fault.setdefault(fault, Counter()).update(counts)
            by_command.setdefault(command, Counter()).update(counts)
    ordered = {
        "by_command": {name: by_command[name] for name in COMMANDS if name in by_command},
        "by_fault": {name: by_fault[name] for name in FAULTS if name in by_fault},
    }
    return {
        "seed": report.seed, "code": report.code, "minutes": round(report.minutes, 1), "full_disk": report.disk,
        "cpus": os.cpu_count(), "python": platform.python_version(),
        "total": {name: report.total()[name] for name in COUNTS},
        **{key: {name: {count: part[count] for count in COUNTS} for name, part in parts.items()}
           for key, parts in ordered.items()},
        "interrupted_bars": report.bars, "skipped": report.skipped,
        "findings": [{key: one[key] for key in ("trial", "command", "faults", "kind", "fault")} for one in report.findings],
    }  # fmt: skip


def code_hash() -> str:
    """Of the package's code: a report holds for this code only."""
    package = Path(sys.modules["anymo_hf"].__file__ or "").parent
    texts = b"".join(path.read_bytes() for path in sorted(package.rglob("*.py")))
    return hashlib.sha256(texts).hexdigest()[:16]
