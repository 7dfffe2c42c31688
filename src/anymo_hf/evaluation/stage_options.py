"""Compares options of stages 1 and 2 by the linear probe of `latent_probe`: each is trained from nothing, then judged.

An encoder's latents are read, a tokenizer's code vectors. What is finished is kept: run it again to go on after a stop.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean

from accelerate import Accelerator

from ..atomic_write import write_json
from ..freed_memory import keep_freed_memory
from ..interruption import ending_in_words, refusing_bad_input
from ..modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from ..modeling.modeling_stgcn import AnyMoSTGCNModel
from ..training.checkpoints import file_hash
from ..training.corpus import MotionCorpus
from ..training.settings import EncoderSettings, TokenizerSettings, load_settings
from ..training.stages.encoder import WEIGHTS, train_encoder
from ..training.stages.tokenizer import EXTRACTOR, EXTRACTOR_FILES, train_tokenizer
from .ablations import link_folder, read_results
from .latent_probe import code_features, latent_features, probe_scores
from .motion_probe import MAPPED, TASKS, tasks_in

RESULTS = "stage_options.json"


@dataclass(frozen=True)
class EncoderOption:
    """A row: its title, and the settings of stage 1 that differ from `encoder.yaml`."""

    title: str
    changes: dict = field(default_factory=dict)


@dataclass(frozen=True)
class TokenizerOption:
    """A row: its title, and the settings of stage 2 that differ from `tokenizer.yaml`; on the encoder `BEFORE_CODES`."""

    title: str
    changes: dict = field(default_factory=dict)


_BOTH = {"added_losses": {"activity": 1.0, "semantic": 1.0}}
BEFORE_CODES = "both"
OPTIONS: dict[str, EncoderOption | TokenizerOption] = {
    "untrained": EncoderOption("nothing (a single step)", {"steps": 1}),
    "masked": EncoderOption("Eq. 3 alone, as in the paper"),
    "semantic": EncoderOption("and `semantic: 1`", {"added_losses": {"semantic": 1.0}}),
    "activity": EncoderOption("and `activity: 1`", {"added_losses": {"activity": 1.0}}),
    "both": EncoderOption("and both", _BOTH),
    "both_again": EncoderOption("both, another seed", {**_BOTH, "seed": 1}),
    "width": EncoderOption("both, twice the width (`preset: small`)", {**_BOTH, "preset": "small"}),
    "batch": EncoderOption("both, batches of 64", {**_BOTH, "batch_size": 64}),
    "views": EncoderOption(
        "both, four views of each of 16 windows", {**_BOTH, "batch_size": 16, "views_per_window": 4}
    ),
    "any_rotation": EncoderOption("both, `any_rotation: 0.3`", {**_BOTH, "views": {"any_rotation": 0.3}}),
    "face_down": EncoderOption("both, `flip_probability: 0.3`", {**_BOTH, "views": {"flip_probability": 0.3}}),
    "books_2_128": TokenizerOption("codes, 2 books of 128", {"num_codebooks": 2, "codebook_size": 128}),
    "books_2_512": TokenizerOption("codes, 2 books of 512 (`preset: nano`)"),
    "books_2_2048": TokenizerOption("codes, 2 books of 2,048", {"num_codebooks": 2, "codebook_size": 2048}),
    "books_4_512": TokenizerOption("codes, 4 books of 512", {"num_codebooks": 4, "codebook_size": 512}),
    "codes_activity": TokenizerOption("codes, 2 books of 512 and `activity_weight: 0.1`", {"activity_weight": 0.1}),
}


def option_settings(configs: str | Path, name: str) -> EncoderSettings | TokenizerSettings:
    """Settings of an option: the YAML file of its stage in `configs` with its changes; those of `views` are added."""
    option = OPTIONS[name]
    kind, stage = (
        (EncoderSettings, "encoder") if isinstance(option, EncoderOption) else (TokenizerSettings, "tokenizer")
    )
    base = load_settings(Path(configs) / f"{stage}.yaml", kind)
    changes = dict(option.changes)
    if "views" in changes:
        changes["views"] = base.views | changes["views"]
    return replace(base, **changes)


def train_option(root: Path, corpus: Path, name: str, settings, accelerator: Accelerator) -> tuple[dict, Path]:
    """Trains `root/NAME`; the metrics of its stage and the file of its weights."""
    folder = root / name
    link_folder(folder / "corpus", corpus)
    if isinstance(settings, EncoderSettings):
        return train_encoder(settings, folder, accelerator), folder / "encoder" / WEIGHTS / "model.safetensors"
    if not (root / BEFORE_CODES / "encoder" / WEIGHTS / "model.safetensors").is_file():
        raise OSError(f"{name} needs the encoder of {BEFORE_CODES}; train that first (--only {BEFORE_CODES} {name})")
    link_folder(folder / "encoder", root / BEFORE_CODES / "encoder")
    return train_tokenizer(settings, folder, accelerator), folder / "tokenizer" / EXTRACTOR / EXTRACTOR_FILES[-1]


def run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> dict:
    """Trains and judges what the command line asks for; the content of the results file."""
    tasks, placements = tasks_in(parser, arguments.data)
    root, results, data = Path(arguments.output), Path(arguments.results) / RESULTS, Path(arguments.corpus)
    corpus = MotionCorpus(data)
    settings = {name: option_settings(arguments.configs, name) for name in OPTIONS}
    if arguments.minutes is not None:
        settings = {
            name: replace(item, max_minutes=arguments.minutes) if isinstance(item, EncoderSettings) else item
            for name, item in settings.items()
        }
    common = {
        "unit": "percent",
        "corpus": corpus.identity(),
        "clips": len(corpus),
        "minutes": settings["masked"].max_minutes,
        "windows": arguments.windows,
        "seed": arguments.seed,
        "datasets": list(tasks),
    }
    content = {**common, "variants": read_results(results, common)["variants"]}
    root = root / f"{common['minutes']:g}_minutes"  # a run of other minutes is no part of this one
    accelerator = Accelerator(mixed_precision=settings["masked"].mixed_precision)
    for name in (name for name in OPTIONS if name in (arguments.only or OPTIONS)):
        print(f"== {name}: {OPTIONS[name].title}", flush=True)
        metrics, weights = train_option(root, data, name, settings[name], accelerator)
        found = file_hash(weights)
        if content["variants"].get(name, {}).get("weights_sha256") == found:
            continue
        if isinstance(OPTIONS[name], EncoderOption):
            features = latent_features(AnyMoSTGCNModel.from_pretrained(weights.parent).eval())
        else:
            features = code_features(AnyMoFeatureExtractor.from_pretrained(weights.parents[1]))
        scores = probe_scores(
            {"probe": features}, corpus, tasks, placements, arguments.data, arguments.windows, arguments.seed
        )["probe"]
        content["variants"][name] = {
            "title": OPTIONS[name].title,
            "steps": metrics["steps"],
            "weights_sha256": found,
            "mean": mean(100 * row.accuracy for row in scores),
            "sets": {row.dataset: {"accuracy": 100 * row.accuracy, "macro_f1": 100 * row.macro_f1} for row in scores},
        }
        content["variants"] = {key: content["variants"][key] for key in OPTIONS if key in content["variants"]}
        write_json(results, content)
        print(*scores, f"{name} is done; {results}", sep="\n", flush=True)
    return content


def build_parser(configs: str | Path) -> argparse.ArgumentParser:
    """The command line; `configs` is the default of --configs."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--corpus", required=True, help="corpus folder of training/make_corpus.py, only read")
    parser.add_argument("--data", required=True, help=f"folder with any of {', '.join(TASKS)}")
    parser.add_argument("--output", default="runs/options", help="run folder (default runs/options)")
    parser.add_argument("--results", default="results", help=f"folder for {RESULTS} (default results)")
    parser.add_argument("--only", nargs="+", choices=list(OPTIONS), help="only these options (default: all)")
    parser.add_argument("--minutes", type=float, help="of stage 1, in place of the configured ones")
    parser.add_argument("--configs", default=str(configs), help="folder with encoder.yaml and tokenizer.yaml")
    parser.add_argument("--windows", type=int, default=4000, help="simulated windows of the probe (default 4000)")
    parser.add_argument("--seed", type=int, default=0, help="of the probe")
    return parser


@ending_in_words("stage_options")
def main(configs: str | Path, words: list[str] | None = None) -> None:
    """Parses the command line and runs; `configs` is the default of --configs."""
    parser = build_parser(configs)
    arguments = parser.parse_args(words)
    keep_freed_memory(MAPPED)
    with refusing_bad_input():
        run(parser, arguments)
    print("anymo tables options shows them")
