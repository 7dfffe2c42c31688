"""Ablations of the paper (Tables 4 and 10) at nano size: trains the full model and every variant, each for the same steps.

Variants share what they do not change. What is finished is kept: run it again to go on after a stop.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean

from accelerate import Accelerator

from ..atomic_write import write_json
from ..interruption import ending_in_words, refusing_bad_input
from ..markdown import table
from ..modeling.modeling_anymo import AnyMoModel
from ..modeling.processing_anymo import AnyMoProcessor
from ..recordings.catalogue import DATASETS, read_windows
from ..recordings.imu_recording import ImuRecording
from ..refusals import parse_json
from ..training.build_corpus import build_corpus
from ..training.corpus import MotionCorpus
from ..training.settings import (
    ContrastiveSettings,
    EncoderSettings,
    LanguageSettings,
    StageSettings,
    TokenizerSettings,
    load_settings,
)
from ..training.stages.contrastive import tune_contrastive
from ..training.stages.encoder import train_encoder
from ..training.stages.language import train_language
from ..training.stages.tokenizer import train_tokenizer
from .paper_results import paper_results
from .recognition import (
    RecognitionRow,
    RecognitionSettings,
    score_recordings,
    stratified_subset,
)

STAGES = {
    "encoder": (EncoderSettings, train_encoder),
    "tokenizer": (TokenizerSettings, train_tokenizer),
    "language": (LanguageSettings, train_language),
    "contrastive": (ContrastiveSettings, tune_contrastive),
}
RESULTS = "ablations.json"


@dataclass(frozen=True)
class Variant:
    """One row of Table 4: its title there, and for each stage the settings that differ."""

    title: str
    changes: dict[str, dict] = field(default_factory=dict)


_JOINT = {"views": {"mounting": "joint"}}
VARIANTS = {
    "full": Variant("AnyMo"),
    "no_geometry": Variant("w/o geometry-aware simulation", {"encoder": _JOINT, "tokenizer": _JOINT}),
    "no_masked_prediction": Variant("w/o masked cross-view pred. contrastive", {"encoder": {"objective": "full_view"}}),
    "no_label_contrast": Variant("w/o label contrastive", {"contrastive": {"label_weight": 0.0}}),
    "no_narration_contrast": Variant("w/o narration contrastive", {"contrastive": {"narration_weight": 0.0}}),
    # the nano recipe's sentence teacher is not in the paper; "only the language-modelling loss" leaves it out too
    "no_contrast": Variant(
        "w/o all contrastive",
        {"contrastive": {"label_weight": 0.0, "narration_weight": 0.0, "teacher_weight": 0.0}},
    ),
    "no_multiple_choice": Variant("w/o MCQ instruction tuning", {"contrastive": {"multiple_choice_share": 0.0}}),
}
# full model first, then variants that share most with it
ORDER = sorted(VARIANTS, key=lambda name: (name != "full", set(VARIANTS[name].changes) != {"contrastive"}))
# Table 10: title
PROMPTS = {
    "bare": "Bare label",
    "person": "Person prompt",
    "imu": "IMU prompt",
    "activity": "Activity prompt",
    "learned": "Learnable prompt (AnyMo)",
}


def paper_scores(task: str, title: str) -> tuple[float, float, float]:
    """Accuracy, macro-F1 and Recall@2 in percent of a row of Table 4 ("ablations") or 10 ("prompts")."""
    return paper_results(task)["average"][title]


def stage_settings(configs: str | Path, name: str, scale: float = 1.0) -> dict[str, StageSettings]:
    """Settings of every stage of a variant: the YAML files of `configs` with `VARIANTS[name].changes`, no time limit.

    Args:
        configs: folder with encoder.yaml, tokenizer.yaml, language.yaml and contrastive.yaml.
        name: key of `VARIANTS`.
        scale: times the configured steps.
    """
    settings = {}
    for stage, (kind, _) in STAGES.items():
        base = load_settings(Path(configs) / f"{stage}.yaml", kind)
        changes = {
            key: {**getattr(base, key), **value} if isinstance(value, dict) else value
            for key, value in VARIANTS[name].changes.get(stage, {}).items()
        }
        settings[stage] = replace(base, steps=max(1, round(scale * base.steps)), max_minutes=None, **changes)
    return settings


def train_variant(root: Path, corpus: Path, name: str, settings: dict[str, StageSettings], accelerator) -> dict:
    """Trains `root/NAME`, where stages before the first change are links to those of the full model.

    Returns:
        The final losses of every stage.
    """
    changed = [number for number, stage in enumerate(STAGES) if stage in VARIANTS[name].changes]
    shared = list(STAGES)[: min(changed, default=0)]
    if shared:  # a variant alone needs them too
        full = dict(list(settings.items())[: len(shared)])
        _train(root / "full", corpus, full, accelerator)
    for stage in shared:
        link_folder(root / name / stage, root / "full" / stage)
    return _train(root / name, corpus, settings, accelerator)


def _train(folder: Path, corpus: Path, settings: dict[str, StageSettings], accelerator: Accelerator) -> dict:
    link_folder(folder / "corpus", corpus)
    losses = {}
    for stage, values in settings.items():
        release = (folder / "anymo",) if stage == "contrastive" else ()
        metrics = STAGES[stage][1](values, folder, *release, accelerator)
        if metrics["steps"] != values.steps:
            raise ValueError(
                f"{folder / stage} was trained for {metrics['steps']} steps, not {values.steps}; use another --output"
            )
        losses[stage] = metrics["losses"]
    return losses


def link_folder(link: Path, target: Path) -> None:
    """Makes `link` a relative link to the folder `target`; one that is there already is left, or set anew."""
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.resolve() != target.resolve():
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(target.resolve(), link.parent.resolve()), target_is_directory=True)


def mean_scores(rows: Sequence[RecognitionRow]) -> dict[str, float]:
    """Means over datasets, in percent."""
    return {name: mean(getattr(row, name) for row in rows) for name in ("accuracy", "macro_f1", "recall_at_2")}


def read_datasets(data: Path, max_windows: int) -> dict[str, list[ImuRecording]]:
    """At most `max_windows` windows of every dataset found in `data`, as recognition draws them.

    Raises:
        OSError, ValueError: none is found, or one cannot be read.
    """
    names = [name for name in DATASETS if (data / name).is_dir()]
    if not names:
        raise OSError(f"--data {data} holds none of the folders {', '.join(DATASETS)}")
    found = {}
    for name in names:
        recordings = list(read_windows(name, data / name))
        if not recordings:
            raise ValueError(f"{data / name}: no labelled window found")
        truth = [DATASETS[name].labels.index(recording.label) for recording in recordings]
        found[name] = [recordings[index] for index in stratified_subset(truth, max_windows)]
        print(f"{name}: {len(found[name])} of {len(recordings)} windows", flush=True)
    return found


def evaluate_variant(
    release: Path, windows: dict[str, list[ImuRecording]], prompts: tuple[str, ...], device
) -> dict[str, dict]:
    """Prompt -> mean scores and those of every dataset."""
    model, processor = AnyMoModel.from_pretrained(release).to(device), AnyMoProcessor.from_pretrained(release)
    found = [score_recordings(model, processor, *item, text_prompts=prompts) for item in windows.items()]
    kept = ("dataset", "windows", "classes", "chance", "accuracy", "macro_f1", "recall_at_2")
    return {
        prompt: mean_scores(rows) | {"datasets": [{key: getattr(row, key) for key in kept} for row in rows]}
        for prompt, rows in zip(prompts, zip(*found, strict=True), strict=True)
    }


def read_results(path: Path, common: dict) -> dict:
    """Results of an earlier run that had the same `common` part, else that part alone."""
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        content = {}
    except ValueError as error:
        raise OSError(f"{path} is damaged ({error}); delete it, and training that is done is still kept") from error
    same = all(content.get(key) == json.loads(json.dumps(value)) for key, value in common.items())
    return content if same else {**common, "variants": {}, "prompts": {}}


def tables(content: dict) -> str:
    """Markdown: what was done, then Table 4 and Table 10 with the paper's figures beside ours."""
    steps = ", ".join(f"{stage} {count}" for stage, count in content["steps"].items())
    lines = [
        f"Short budgets: {content['clips']} clips; steps: {steps}; one seed, so differences of a few points may be noise.",
    ]
    scored = [row for row in content["variants"].values() if "accuracy" in row]
    if not scored:
        return "\n".join([*lines, "Nothing was evaluated: give --data DIR with the real datasets."]) + "\n"
    sets = scored[0]["datasets"]
    lines += [
        f"Means over {len(sets)} real sets ({', '.join(row['dataset'] for row in sets)}), at most "
        f"{content['max_windows']} windows each; chance is {mean(row['chance'] for row in sets):.1f} % accuracy. "
        "The paper's figures are means over 14 sets of a model of another size. Without contrastive tuning no loss reaches "
        "the motion head, which stays as it was initialised.",
        "",
    ]
    for title, key, known in (
        ("Variant", "variants", {name: item.title for name, item in VARIANTS.items()}),
        ("Text-side prompt", "prompts", PROMPTS),
    ):
        rows = content[key]
        if not any("accuracy" in row for row in rows.values()):
            continue
        cells = [
            [words, *(f"{row[score]:.1f}" for score in ("accuracy", "macro_f1", "recall_at_2")),
             " / ".join(f"{value:.1f}" for value in row["paper"])]
            for name, words in known.items() if "accuracy" in (row := rows.get(name, {}))
        ]  # fmt: skip
        lines += [table([title, "Acc", "F1", "R@2", "paper Acc / F1 / R@2"], cells), ""]
    return "\n".join(lines)


def run(arguments: argparse.Namespace) -> dict:
    """Trains and evaluates what the command line asks for; the content of the results file."""
    data = None if arguments.data is None else Path(arguments.data)
    if data is not None and not data.is_dir():
        raise OSError(f"--data {data}: no such folder; give the one that holds the datasets")
    if not arguments.scale > 0 or arguments.max_windows < 1:
        raise ValueError(f"--scale and --max-windows must be positive, got {arguments.scale}, {arguments.max_windows}")
    # read before training: a set that cannot be read says so at once
    windows = {} if data is None else read_datasets(data, arguments.max_windows)
    root, results = Path(arguments.output), Path(arguments.results) / RESULTS
    if arguments.corpus is None:
        corpus = root / "corpus"
        build_corpus(corpus, arguments.seeds, workers=arguments.workers, everyday_times=4)
    else:
        corpus = Path(arguments.corpus)
    clips = MotionCorpus(corpus)
    settings = {name: stage_settings(arguments.configs, name, arguments.scale) for name in VARIANTS}
    recipe = json.dumps([settings["full"][stage].fingerprint(clips.identity()) for stage in STAGES])
    common = {
        "unit": "percent",
        "clips": len(clips),
        "steps": {stage: settings["full"][stage].steps for stage in STAGES},
        "recipe": hashlib.sha256(recipe.encode()).hexdigest()[:16],
        "max_windows": arguments.max_windows,
        "datasets": list(windows),
    }
    content = {**common, "variants": {}, "prompts": {}} if data is None else read_results(results, common)
    accelerator = Accelerator()
    for name in (name for name in ORDER if name in (arguments.only or VARIANTS)):
        print(f"== {name}: {VARIANTS[name].title}", flush=True)
        losses = train_variant(root, corpus, name, settings[name], accelerator)
        release = root / name / "anymo"
        hashes = RecognitionSettings.of(release, AnyMoProcessor.from_pretrained(release)).weights_sha256
        variant = VARIANTS[name]
        row = {"title": variant.title, "changes": variant.changes, "paper": paper_scores("ablations", variant.title),
               "losses": losses, "weights_sha256": hashes}  # fmt: skip
        known = content["variants"].get(name, {})
        if known.get("weights_sha256") == hashes:
            continue
        if windows:
            prompts = tuple(PROMPTS) if name == "full" else ("learned",)
            found = evaluate_variant(release, windows, prompts, accelerator.device)
            row |= found["learned"]
            if name == "full":
                content["prompts"] = {
                    key: {"title": PROMPTS[key], "paper": paper_scores("prompts", PROMPTS[key]), **scores}
                    for key, scores in found.items()
                }
        content["variants"][name] = row
        if windows:
            write_json(results, content)
        print(f"{name} is done; {results if windows else release}", flush=True)
    return content


def build_parser(configs: str | Path) -> argparse.ArgumentParser:
    """The command line; `configs` is the default of --configs."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--output", default="runs/ablations", help="run folder (default runs/ablations)")
    parser.add_argument("--data", help="folder of real datasets to judge on; without it nothing is evaluated")
    parser.add_argument("--results", default="results", help=f"folder for {RESULTS} (default results)")
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), help="only these variants (default: all)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="times the configured steps of every stage (default 1)"
    )
    parser.add_argument("--configs", default=str(configs), help="folder with the four YAML files")
    parser.add_argument("--corpus", help="corpus of an earlier run, only read (default: a small one is made)")
    parser.add_argument("--seeds", type=int, default=16, help="people per activity in the small corpus (default 16)")
    parser.add_argument("--workers", type=int, default=2, help="processes that make the corpus (default 2)")
    parser.add_argument("--max-windows", type=int, default=1000, help="at most so many windows a set (default 1000)")
    return parser


@ending_in_words("ablations")
def main(configs: str | Path) -> None:
    """Parses the command line, runs, prints the tables; `configs` is the default of --configs."""
    arguments = build_parser(configs).parse_args()
    with refusing_bad_input():
        content = run(arguments)
    print(tables(content))
