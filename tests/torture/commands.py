"""What is tortured: the commands that leave results, on inputs of seconds, each as its user starts it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ACTIVITIES = ["rope_jumping", "sitting", "walking"]
STAGES = {  # YAML settings of a few steps
    "encoder": "steps: 5\nbatch_size: 4\nframes: [32]\n",
    "tokenizer": "steps: 5\nbatch_size: 8\nframes: [32]\nviews_per_clip: 4\n",
    "language": "steps: 4\nbatch_size: 2\ntext_batch_size: 2\nvocab_size: 400\nlatents: 8\n",
    "contrastive": "steps: 4\nbatch_size: 4\nlm_batch_size: 2\ncandidates: 3\nlatents: 8\nchunk_size: 2\n",
}
SAVED_OFTEN = "checkpoint_every: 1\nlog_every: 1\n"


@dataclass(frozen=True)
class Command:
    """A command that is started in a folder of its own, reads below `in/` and writes below `out/`.

    Args:
        name: in the report.
        words: gives the arguments; `program` is called with them.
        prepare: fills `in/`, and `out/` with what earlier commands left, once.
        program: what the entry point calls.
        may_vanish: pattern below `in/` of the files that a fault takes away.
        workers: it starts processes.
        server: "" or a key of `SERVERS`, whose address is the last argument of `words`.
        needs: packages without which it cannot be tried.
    """

    name: str
    words: Callable[[str], list[str]]
    prepare: Callable[[Path], None]
    program: Callable[[list[str]], None] = field(default=lambda words: anymo(words))
    may_vanish: str = "**/*"
    workers: bool = False
    server: str = ""
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Packages that are needed and not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


def anymo(words: list[str]) -> None:
    """The program `anymo`."""
    from anymo_hf import cli

    sys.argv = ["anymo", *words]
    cli.main()


def _stage(words: list[str]) -> None:
    from anymo_hf.training.stage_commands import run_stage

    run_stage(words[0], words[1:])


def _corpus(words: list[str]) -> None:
    from anymo_hf.training.corpus_command import main

    main(words)


def _builder(words: list[str]) -> None:
    from anymo_hf.hub.builders import __main__ as builders

    sys.argv = ["builders", *words]
    builders.main()


# -- inputs --------------------------------------------------------------------------------------------------------------


def _nothing(place: Path) -> None:
    (place / "in").mkdir()


def _motion(place: Path) -> None:
    """Three short recordings of a standing person whose arm rises."""
    from support.small_bvh import write_small_bvh

    for number, frames in enumerate((75, 90, 105)):
        write_small_bvh(place / "in" / "motion" / f"wave{number}.bvh", frames)


def _settings(place: Path) -> None:
    (place / "in").mkdir(exist_ok=True)
    for name, text in STAGES.items():
        (place / "in" / f"{name}.yaml").write_text(text + SAVED_OFTEN)


def _before_stage(stage: str) -> Callable[[Path], None]:
    def prepare(place: Path) -> None:
        _settings(place)
        _corpus(["--output", str(place / "out"), "--seeds", "2", "--everyday-times", "1", "--frames", "120",
                 "--workers", "1", "--activities", *ACTIVITIES])  # fmt: skip
        for name in list(STAGES)[: list(STAGES).index(stage)]:
            _stage(_stage_words(name, place))

    return prepare


def _stage_words(name: str, place: Path = Path()) -> list[str]:
    words = [name, "--config", str(place / "in" / f"{name}.yaml"), "--output", str(place / "out")]
    return words + (["--release", str(place / "out" / "anymo")] if name == "contrastive" else [])


def _nymeria(place: Path) -> None:
    from anymo_hf.nymeria.mini_nymeria import write_mini_nymeria

    annotations = write_mini_nymeria(place / "in" / "nymeria", people=3, sessions=1, seconds=12.0, progress=False)
    shutil.move(annotations, place / "in" / "annotations.parquet")


def _archive(place: Path) -> None:
    from anymo_hf.simulation.archive import simulate_archive

    simulate_archive(
        place / "in" / "archive", procedural=3, seconds=4.0, activities=["walking", "sitting"], progress=False
    )


def _two_datasets(place: Path) -> None:
    from support.dataset_files.two_people import WRITERS

    for name in ("usc_had", "utd_mhad"):
        WRITERS[name](place / "in" / "data" / name)


def _recognition(place: Path) -> None:
    from support.tiny_release import write_tiny_release

    _two_datasets(place)
    write_tiny_release(place / "in" / "release")


def _people(place: Path) -> None:
    from support.small_usc_had import write_small_usc_had

    from anymo_hf.recordings.windows_file import write_windows

    write_small_usc_had(place / "raw" / "usc_had", 6)
    write_windows("usc_had", place / "raw" / "usc_had", place / "in" / "windows")
    shutil.rmtree(place / "raw")


def _study(place: Path) -> None:
    from support.program import samples, write_csv
    from support.tiny_release import write_tiny_release

    write_tiny_release(place / "in" / "release")
    rows = ["file,placement,recording,person,rate"]
    for number, name in enumerate("abcd"):
        write_csv(place / "in" / f"{name}.csv", np.roll(samples(600), 40 * number, axis=0))
        rows.append(f"{name}.csv,left_wrist,,p{number},50")
    (place / "in" / "study.csv").write_text("\n".join(rows) + "\n")


def _narrations(place: Path) -> None:
    (place / "in").mkdir()
    rows = ["sequence,start,end,text"]
    rows += [f"s,{n},{n + 1},{name} by the wall" for n, name in enumerate(["sitting", "standing", "walking"] * 4)]
    (place / "in" / "windows.csv").write_text("\n".join(rows) + "\n")


def _results(place: Path) -> None:
    shutil.copytree(Path(__file__).parents[2] / "results", place / "in" / "results")


def _to_push(place: Path) -> None:
    _two_datasets(place)
    _builder(["anymo_zeroshot", "--data", str(place / "in" / "data"), "--out", str(place / "in" / "repo")])
    shutil.rmtree(place / "in" / "data")


# -- servers -------------------------------------------------------------------------------------------------------------


def _language_server(keep: Path, ready: Callable[[str], None]) -> None:
    """A language model on loopback; the questions it got are counted in `keep`."""
    from support import language_server as played

    with played.ModelServer() as server:
        server.answers["classify"] = lambda user, times: {"label": played.description(user).split(" by ")[0]}
        signal.signal(
            signal.SIGUSR1,
            lambda *_: _write(keep / "questions.json", {"asked": len({entry[1] for entry in server.log})}),
        )
        ready(server.url)
        while True:
            signal.pause()


def _hub(keep: Path, ready: Callable[[str], None]) -> None:
    """A Hub on loopback; what its repositories hold is told in `keep`."""
    from support.hub_server import LoopbackHub, _oid

    with LoopbackHub() as server:

        def tell(*_) -> None:
            held = {
                name: {path: _oid(content, True) for path, content in sorted(repository.files.items())}
                for name, repository in server.repositories.items()
            }
            _write(keep / "hub.json", held)

        signal.signal(signal.SIGUSR1, tell)
        ready(server.url)
        while True:
            signal.pause()


def _write(path: Path, value: dict) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(json.dumps(value))
    os.replace(draft, path)


SERVERS = {"language": _language_server, "hub": _hub}


def _to_hub(words: list[str]) -> None:
    from huggingface_hub import constants
    from support import hub_server

    constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_XET, constants.ENDPOINT = False, True, words[-1]
    os.environ |= {"HF_TOKEN": hub_server.TOKEN, "NO_PROXY": "127.0.0.1", "HF_ENDPOINT": words[-1]}
    anymo(words[:-1])


def _annotate(words: list[str]) -> None:
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = False
    os.environ["NO_PROXY"] = "127.0.0.1"
    anymo([*words[:-1], "--base-url", words[-1]])


# -- commands ------------------------------------------------------------------------------------------------------------

_CORPUS = ["--output", "out", "--seeds", "1", "--everyday-times", "1", "--frames", "120", "--motion", "in/motion",
           "--activities", *ACTIVITIES[1:]]  # fmt: skip
_ANNOTATE = ["annotate", "run", "out/curation", "--windows", "in/windows.csv", "--vocabulary", "anymo-180",
             "--first-wait", "0.01", "--workers", "2", "--accept-proposals"]  # fmt: skip
_NYMERIA = ["--nymeria", "in/nymeria", "--annotations", "in/annotations.parquet", "--out", "out/repo"]


def fixed(*words: str) -> Callable[[str], list[str]]:
    """The same arguments always, and the server's address where there is one."""
    return lambda url: [*words, *([url] if url else [])]


COMMANDS = {
    command.name: command
    for command in (
        Command("corpus", fixed(*_CORPUS, "--workers", "1"), _motion, _corpus),
        Command("corpus, two workers", fixed(*_CORPUS, "--workers", "2"), _motion, _corpus, workers=True),
        Command(
            "simulate kinematics",
            fixed("simulate", "--out", "out/archive", "--motion", "in/motion", "--procedural", "1", "--seconds", "4",
                  "--activities", "walking"),
            _motion,
        ),
        Command(
            "simulate views",
            fixed("simulate", "--out", "out/archive", "--motion", "in/motion", "--config", "views", "--views", "2"),
            _motion,
        ),
        *(Command(f"train {name}", fixed(*_stage_words(name)), _before_stage(name), _stage) for name in STAGES),
        Command("build anymo-180", fixed("anymo_180", *_NYMERIA), _nymeria, _builder, needs=("pyvrs",)),
        Command(
            "build anymo-bench", fixed("anymo_bench", "--config", "fine150", *_NYMERIA), _nymeria, _builder,
            needs=("pyvrs",),
        ),
        Command(
            "build anymo-synthetic",
            fixed("anymo_synthetic", "--archive", "in/archive", "--out", "out/repo", "--config", "views"),
            _archive,
            _builder,
        ),
        Command(
            "build anymo-zeroshot",
            fixed("anymo_zeroshot", "--data", "in/data", "--out", "out/repo"),
            _two_datasets,
            _builder,
        ),
        Command(
            "build anymo-zeroshot, two workers",
            fixed("anymo_zeroshot", "--data", "in/data", "--out", "out/repo", "--num-proc", "2"),
            _two_datasets,
            _builder,
            workers=True,
        ),
        Command("annotate run", fixed(*_ANNOTATE), _narrations, _annotate, server="language"),
        Command(
            "evaluate recognition",
            fixed("evaluate", "recognition", "--data", "in/data", "--out", "out/results", "--model", "in/release"),
            _recognition,
            may_vanish="data/**/*",
        ),
        Command(
            "evaluate setup-shift",
            fixed("evaluate", "setup-shift", "--data", "in/windows", "--out", "out/results", "--seeds", "2",
                  "--system", "feature_forest", "--shares", "1,0"),
            _people,
        ),
        Command(
            "tables", fixed("tables", "recognition", "--results", "in/results", "--out", "out/tables"), _results,
            may_vanish="results/recognition.json",
        ),
        Command(
            "figures", fixed("figures", "confusion", "--results", "in/results", "--out", "out/figures"), _results,
            may_vanish="results/recognition.json", needs=("matplotlib",),
        ),
        Command(
            "push dataset", fixed("push", "dataset", "in/repo", "me/zeroshot"), _to_push, _to_hub, server="hub",
            may_vanish="repo/**/*",
        ),
        Command(
            "recognize --manifest",
            fixed("recognize", "--manifest", "in/study.csv", "--out", "out/answers", "--model", "in/release",
                  "--labels", "walking,sitting"),
            _study,
            may_vanish="*.csv",
        ),
    )
}  # fmt: skip
