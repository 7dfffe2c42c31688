"""Profile of the four training stages: where a step's time goes, its top operators, and waits for the device.

    python benchmarks/profile_stages.py [--steps 6] [--threads 2] [--mixed-precision no,bf16] [--rounds 3]
        [--output FILE]

The stages run as they do in training, with the nano settings, on a small simulated corpus in a temporary folder; the
sentence teacher, which needs a download, is left out. Several precisions take turns, round by round, from equal weights
and on equal batches, so their seconds and losses compare. *Reads* are calls that would make a GPU wait: `.item()`,
`.tolist()`, `.cpu()`, `.numpy()`, a tensor in an `if`, boolean indexing (`nonzero`) and `unique`.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from encoder import machine, write_json
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.profiler import ProfilerActivity, profile

from anymo_hf.freed_memory import keep_freed_memory
from anymo_hf.training.build_corpus import build_corpus
from anymo_hf.training.settings import (
    ContrastiveSettings,
    EncoderSettings,
    LanguageSettings,
    TokenizerSettings,
    load_settings,
)
from anymo_hf.training.stages import contrastive as contrastive_stage
from anymo_hf.training.stages import encoder as encoder_stage
from anymo_hf.training.stages import language as language_stage
from anymo_hf.training.stages import tokenizer as tokenizer_stage

CONFIGS = Path(__file__).parents[1] / "training" / "configs" / "nano"
ACTIVITIES = ["walking", "sitting", "running", "stairs_up", "jumping", "standing"]
READS = ("item", "tolist", "cpu", "numpy", "__bool__", "__int__", "__float__")
WAITING = ("aten::nonzero", "aten::_unique2")
TOP = 6


class Watch:
    """Seconds of the parts of steps, reads, and operators of the last step.

    A step is timed from its begin to the end of the optimizer's; the first two are left out.
    """

    def __init__(self, steps: int):
        self.last, self.number, self.depth = steps - 1, 0, 0
        self.seconds: Counter[str] = Counter()
        self.reads: Counter[str] = Counter()
        self.operators: list[tuple[str, float]] = []

    @property
    def counted(self) -> bool:
        """Whether this step's time is kept; the last is profiled, which slows it."""
        return 2 <= self.number < self.last

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Adds the time inside to a part."""
        start = time.perf_counter()
        yield
        if self.counted:
            self.seconds[name] += time.perf_counter() - start

    def step(self, work: Callable) -> Callable:
        """The stage's step, watched."""

        def watched(*arguments):
            if self.number < self.last:
                with self.part("step"):
                    return work(*arguments)
            with profile(activities=[ProfilerActivity.CPU]) as profiler, self.counting():
                result = work(*arguments)
            events = profiler.key_averages()
            total = sum(event.self_cpu_time_total for event in events)
            ranked = sorted(events, key=lambda event: -event.self_cpu_time_total)
            self.operators = [(event.key, event.self_cpu_time_total / total) for event in ranked[:TOP]]
            self.reads.update({event.key: event.count for event in events if event.key in WAITING})
            return result

        return watched

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Counts reads by standing in for the tensor's methods."""
        original = {name: getattr(torch.Tensor, name) for name in READS}

        def counted(name: str) -> Callable:
            def method(tensor, *arguments, **options):
                self.reads[name] += 1
                return original[name](tensor, *arguments, **options)

            return method

        for name in READS:
            setattr(torch.Tensor, name, counted(name))
        try:
            yield
        finally:
            for name, method in original.items():
                setattr(torch.Tensor, name, method)


def run_stage(module, train: Callable[[Accelerator], dict], steps: int, precision: str) -> tuple[Watch, dict]:
    """Runs one stage with a watch on its steps; also its metrics."""
    AcceleratorState._reset_state()  # one precision a process is what accelerate is made for
    watch, accelerator = Watch(steps), Accelerator(cpu=True, mixed_precision=precision)
    loop, backward, optimize = module.run_steps, accelerator.backward, torch.optim.AdamW.step

    def enter(*_) -> None:
        if watch.depth == 0:
            watch.entered = time.perf_counter()
        watch.depth += 1

    def leave(*_) -> None:
        watch.depth -= 1
        if watch.depth == 0 and watch.counted:
            watch.seconds["forward"] += time.perf_counter() - watch.entered

    def timed_backward(*arguments, **options):
        with watch.part("backward"):
            return backward(*arguments, **options)

    def timed_optimizer(*arguments, **options):
        with watch.part("optimizer"):
            result = optimize(*arguments, **options)
        watch.number += 1
        return result

    handles = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave, always_call=True)]
    accelerator.backward, torch.optim.AdamW.step = timed_backward, timed_optimizer
    module.run_steps = lambda name, model, step, *rest, **named: loop(name, model, watch.step(step), *rest, **named)
    try:
        metrics = train(accelerator)
    finally:
        module.run_steps, torch.optim.AdamW.step = loop, optimize
        for handle in handles:
            handle.remove()
    return watch, metrics


def measure(root: Path, steps: int, precision: str) -> dict[str, dict]:
    """One entry for each stage, on `root/corpus`."""
    kinds = {
        "encoder": (EncoderSettings, encoder_stage, encoder_stage.train_encoder),
        "tokenizer": (TokenizerSettings, tokenizer_stage, tokenizer_stage.train_tokenizer),
        "language": (LanguageSettings, language_stage, language_stage.train_language),
        "contrastive": (ContrastiveSettings, contrastive_stage, contrastive_stage.tune_contrastive),
    }
    result = {}
    for name, (kind, module, train) in kinds.items():
        settings = load_settings(CONFIGS / f"{name}.yaml", kind)
        settings.steps, settings.max_minutes = steps, None
        if hasattr(settings, "frames"):
            settings.frames = [frames for frames in settings.frames if frames <= 180]
        if isinstance(settings, (LanguageSettings, ContrastiveSettings)):
            settings.teacher_weight = 0.0
        more = (root / "release",) if name == "contrastive" else ()
        watch, metrics = run_stage(module, lambda a, s=settings, m=more, t=train: t(s, root, *m, a), steps, precision)
        kept = steps - 3
        parts = {part: watch.seconds[part] / kept for part in ("forward", "backward", "optimizer")}
        whole = (watch.seconds["step"] + watch.seconds["optimizer"]) / kept
        result[name] = {
            "seconds_per_step": whole,
            "losses": metrics["losses"],
            "shares": {part: seconds / whole for part, seconds in parts.items()},
            "data_and_losses": (watch.seconds["step"] / kept - parts["forward"] - parts["backward"]) / whole,
            "reads_per_step": dict(watch.reads),
            "top_operators": watch.operators,
        }
    return result


def take_turns(folder: Path, steps: int, precisions: list[str], rounds: int) -> dict[str, dict[str, dict]]:
    """Stages of each precision: the round of median seconds a step, for each stage."""
    build_corpus(folder / "corpus", 3, 180, ACTIVITIES, workers=1, progress=False)
    measured: dict[str, list[dict[str, dict]]] = {precision: [] for precision in precisions}
    for number in range(rounds):
        for precision in precisions:
            root = folder / f"{precision}_{number}"
            shutil.copytree(folder / "corpus", root / "corpus")
            measured[precision].append(measure(root, steps, precision))
    return {
        precision: {
            stage: sorted((run[stage] for run in runs), key=lambda row: row["seconds_per_step"])[rounds // 2]
            for stage in runs[0]
        }
        for precision, runs in measured.items()
    }


def comparison(by_precision: dict[str, dict[str, dict]]) -> str:
    """Seconds and losses of the precisions side by side."""
    first = next(iter(by_precision))
    lines = ["| stage | precision | seconds a step | times the first | losses |", "| --- | --- | ---: | ---: | --- |"]
    for stage in by_precision[first]:
        for precision, stages in by_precision.items():
            row = stages[stage]
            times = by_precision[first][stage]["seconds_per_step"] / row["seconds_per_step"]
            losses = ", ".join(f"{name} {loss:.4f}" for name, loss in row["losses"].items())
            lines.append(f"| {stage} | {precision} | {row['seconds_per_step']:.3f} | {times:.2f} | {losses} |")
    return "\n".join(lines)


def markdown(stages: dict[str, dict]) -> str:
    """The table as RESULTS.md shows it."""
    lines = [
        "| stage | seconds a step | data, losses | forward | backward | optimizer | reads a step | top operators |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for name, row in stages.items():
        shares = [row["data_and_losses"], *row["shares"].values()]
        reads = ", ".join(f"{key.removeprefix('aten::')} {count}" for key, count in row["reads_per_step"].items())
        tops = ", ".join(f"{key.removeprefix('aten::')} {share:.0%}" for key, share in row["top_operators"])
        cells = " | ".join(f"{share:.0%}" for share in shares)
        lines.append(f"| {name} | {row['seconds_per_step']:.3f} | {cells} | {reads or 'none'} | {tops} |")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Profile of the training stages.")
    parser.add_argument(
        "--steps", type=int, default=8, help="of each stage, 4 or more; two warm up, the last is profiled"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--mixed-precision", default="no", help="no, bf16, or both: no,bf16")
    parser.add_argument("--rounds", type=int, default=1, help="the median of so many is shown")
    parser.add_argument("--output", type=Path, default=Path("results/stage_profile.json"))
    args = parser.parse_args()
    if args.steps < 4:
        parser.error(f"--steps must be 4 or more, got {args.steps}")
    precisions = args.mixed_precision.split(",")
    if unknown := set(precisions) - {"no", "bf16"}:
        parser.error(f"--mixed-precision knows no and bf16, not {', '.join(sorted(unknown))}")
    if args.rounds < 1:
        parser.error(f"--rounds must be 1 or more, got {args.rounds}")
    torch.set_num_threads(args.threads)
    keep_freed_memory()  # as training does
    with tempfile.TemporaryDirectory() as folder:
        by_precision = take_turns(Path(folder), args.steps, precisions, args.rounds)
    described = f"Training stages at nano size. {machine()}."
    print(described, markdown(by_precision[precisions[0]]), sep="\n\n")
    if len(precisions) > 1:
        print("", comparison(by_precision), sep="\n")
    write_json(args.output, {"machine": machine(), "rounds": args.rounds, "stages": by_precision})
    print(f"\nwritten: {args.output}")


if __name__ == "__main__":
    main()
