"""`docs/results.md`, every figure of it from `results/*.json`.

python -m anymo_hf.hub.results_page [--results results] [--out docs/results.md]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..atomic_write import write_text
from ..evaluation.recognition import RecognitionRow
from ..evaluation.tables import TABLES, make_tables, model_hash
from ..interruption import ending_in_words, refusing_bad_input
from ..markdown import table
from ..refusals import parse_json
from .model_card import recognition_section, tokenizer_section

HEAD = """# Results

Made by `python -m anymo_hf.hub.results_page` from `results/*.json`; do not edit. All figures are of the checkpoint in
`anymo/` unless a section says otherwise; columns marked "paper" are what the paper prints. Machine: two CPU cores, no GPU.
"""


def results_page(results: str | Path) -> str:
    """The page as Markdown; a file that is not there leaves its section out.

    Raises:
        OSError: no such folder.
        ValueError: a file is not what its command writes; names the file.
    """
    folder = Path(results)
    if not folder.is_dir():
        raise OSError(f"{folder}: no such folder; give the one that `anymo evaluate ... --out` wrote")
    parts, now = [HEAD], model_hash(folder / "recognition.json")
    for name, title, write in SECTIONS:
        if write is None:
            if TABLES[name][0](folder):
                body = "\n\n".join(one.markdown() for one in make_tables(name, folder))
                parts.append(f"## {title}\n\n`anymo tables {name}` makes this.\n\n{body}\n")
            continue
        path = folder / f"{name}.json"
        if not path.is_file():
            continue
        try:
            body = write(parse_json(path.read_text(encoding="utf-8"))).strip()
        except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
            raise ValueError(f"{path} is not what its command writes ({error!r}); write it again") from error
        if now and (held := model_hash(path)) != now and (held or name in SPEEDS):
            body = f"With the weights of an EARLIER release. {body}"
        parts.append(f"## {title}\n\n{body}\n")
    return "\n".join(parts)


def write_results_page(results: str | Path, out: str | Path) -> Path:
    """Writes `results_page(results)`, whole or not at all."""
    return write_text(out, results_page(results))


def _recognition(content: dict[str, Any]) -> str:
    return recognition_section([RecognitionRow(**row) for row in content["datasets"]])


def _training(content: dict[str, Any]) -> str:
    head = ["stage", "steps", "minutes", "processes", "losses at the end"]
    return "\n\n".join(part for run in content["runs"] for part in (run["title"], table(head, _stages(run))))


def _stages(content: dict[str, Any]) -> list[list[str]]:
    return [
        [name, f"{row['steps']:,}", f"{row['train_seconds'] / 60:.1f}", f"{row['processes']} x {row['device']}",
         ", ".join(f"{loss} {value:.3f}" for loss, value in row["losses"].items())]
        for name, row in content.items() if isinstance(row, dict) and "losses" in row
    ]  # fmt: skip


def _simulation(content: dict[str, Any]) -> str:
    views = [[name, f"{value:,.0f}"] for name, value in content["views_per_core_second"].items()]
    storage = [
        [
            name,
            f"{row['megabytes_per_hour']:.1f}",
            f"{row['times_smaller']:.0f}",
            f"{row['worst_acceleration_rms']:.4f}",
        ]
        for name, row in content["storage"].items()
    ]
    return (
        f"`python benchmarks/simulate.py`; {content['machine']}; a view is {content['view']}.\n\n"
        + table(["views in a second of one core", ""], views)
        + "\n\n"
        + table(["archive of", "MB an hour", "times smaller than dense", "worst acceleration error, m/s² RMS"], storage)
    )


def _trackers(content: dict[str, Any]) -> str:
    rows = [
        [row["name"], f"{row['gyro_rmse']:.3f}", f"{row['gyro_correlation']:.3f}",
         *(" / ".join(f"{value:.2f}" for value in row[key]) for key in ("acceleration_correlation", "acceleration_rmse"))]
        for row in content["trackers"]
    ]  # fmt: skip
    head = ["Tracker", "Gyroscope RMSE, rad/s", "corr.", "Acceleration corr.: origin / template / fitted lever",
            "RMSE, m/s²: origin / template / fitted"]  # fmt: skip
    text = f"Simulated beside the 17 trackers of {content['mvnx']}, below {content['cutoff_hz']:g} Hz; what it means: "
    return f"{text}[simulator](simulator.md).\n\n{table(head, rows)}"


def _derivatives(content: dict[str, Any]) -> str:
    def cell(values: dict[str, float]) -> str:
        return " / ".join(f"{value:.1f}" for value in values.values())

    rows = [
        ["all below 30" if row["frequency"] is None else f"{row['frequency']:g}{' (folds back)' if row['alias'] else ''}",
         cell(row["acceleration"]), cell(row["turning"])]
        for row in content["errors"]
    ]  # fmt: skip
    ways = " / ".join(content["errors"][0]["acceleration"])
    head = ["Hz", f"acceleration: {ways}", f"angular velocity: {ways}"]
    return f"Error in percent of the true signal, {content['source_rate']:g} Hz source.\n\n{table(head, rows)}"


def _noise(content: dict[str, Any]) -> str:
    rows = [
        [name, f"{row['sampling_rate']:g}", f"{row['quiet_seconds']:.0f}", "yes" if row["still"] else "no",
         f"{row['acc_density']:.5f}", f"{row['gyro_density']:.6f}"]
        for name, row in content["estimates"].items()
    ]  # fmt: skip
    head = ["sensor", "Hz", "quiet seconds", "rests", "acceleration noise, m/s²/√Hz", "gyroscope noise, rad/s/√Hz"]
    note = "`anymo sensor estimate`; where nobody rests, noise is an upper bound."
    return f"{note}\n\n{table(head, rows)}"


def _stream(content: dict[str, Any]) -> str:
    rows = [
        [name, f"{row['median_latency_ms']:.1f}", f"{row['worst_latency_ms']:.1f}", f"{row['buffer_kilobytes']:.1f}"]
        for name, row in content["streams"].items()
    ]
    head = ["answers", "median ms a hop", "worst ms", "buffer, kB"]
    return f"`python benchmarks/stream.py`; one thread.\n\n{table(head, rows)}"


def _label_retrieval(content: dict[str, Any]) -> str:
    rows = [
        [row["dataset"], str(row["windows"]), str(row["labels"]), f"{row['mean_average_precision']:.1f}",
         f"{row['chance']:.1f}"]
        for row in content["rows"]
    ]  # fmt: skip
    head = ["dataset", "windows", "labels", "mean average precision", "random order"]
    return f"`python -m anymo_hf.evaluation.label_retrieval --data DIR`; in percent.\n\n{table(head, rows)}"


def _captioning(content: dict[str, Any]) -> str:
    ways = [("written by the language model, the paper's way", content["activity_named"], content["scores"])]
    if "selected" in content:
        selected = content["selected"]
        ways.append(("selected from known sentences", selected["activity_named"], selected["scores"]))
        ways.append(("the references themselves", content["references_named"], {}))
    if "other_references" in content:
        ways.append(("another sentence about the same window", {}, content["other_references"]))
    rows = [
        [way]
        + [f"{named[key]:.0f}" if named else "-" for key in ("by_nearest_label", "by_words")]
        + [f"{scores[key]:.1f}" if scores else "-" for key in ("rouge_l", "meteor_f_mean")]
        for way, named, scores in ways
    ]
    head = ["captions", "by the text side's nearest label", "by a word list", "ROUGE-L", "METEOR's F-mean"]
    return (
        f"Share of {content['windows']} captions of simulated people that name the right activity, in percent (`anymo "
        "evaluate captioning`); activities that the checkpoint never saw in training are among them. Two sentences "
        "about one window agree only so far: another one, drawn as the reference is, is the ceiling of the scores in words."
        "\n\n" + table(head, rows)
    )


def _text_matching(content: dict[str, Any]) -> str:
    row = [content["system"], *(f"{content[key]:.1f}" for key in ("accuracy", "accuracy_all_phrases", "among_three"))]
    head = ["text side", "nearest by an activity's first name", "by the mean of its phrases", "among three"]
    return f"{content['texts']} paraphrases of {content['activities']} activities, in percent.\n\n{table(head, [row])}"


def _recognize(content: dict[str, Any]) -> str:
    day = content["day"]
    words = (
        f"`python benchmarks/recognize.py`; {content['machine']}. A day of one sensor at {day['sampling_rate']} Hz, "
        f"{day['windows']:,} windows, on two threads: {day['seconds']:.0f} s ({day['cpu_seconds']:.0f} CPU seconds) and "
        f"{day['peak_gigabytes']:.2f} GB at most. The wheel has {content['wheel_megabytes']:.1f} MB, checkpoint included."
    )
    forms: dict[tuple[int, str], dict[int, dict[str, Any]]] = {}
    for row in content["speeds"]:
        forms.setdefault((row["threads"], row["weights"]), {})[row["batch"]] = row
    batches = sorted({row["batch"] for row in content["speeds"]})
    rows = [
        [f"{threads}", weights, *(f"{of[batch]['windows_per_second']:.1f}" for batch in batches),
         f"{100 * min(row['agreement'] for row in of.values()):.1f}"]
        for (threads, weights), of in forms.items()
    ]  # fmt: skip
    head = ["threads", "weights", *(f"batches of {batch}" for batch in batches), "same label, %"]
    return f"{words} Windows of five seconds a second:\n\n{table(head, rows)}"


SPEEDS = ("recognize_benchmark", "stream_benchmark")  # of an earlier release where they name no weights

# name of a results file with what writes its section, or of a table of `anymo tables` with None
SECTIONS: tuple[tuple[str, str, Callable[[dict[str, Any]], str] | None], ...] = (
    ("recognition", "Zero-shot recognition of real recordings", _recognition),
    ("recognition", "Recognition by every system", None),
    ("retrieval", "Retrieval", None),
    ("captions", "Captions", None),
    ("captioning", "Captions that name the activity", _captioning),
    ("label_retrieval", "Labels retrieve windows of real recordings", _label_retrieval),
    ("text_matching", "Words that training never saw (`python -m anymo_hf.evaluation.text_matching`)", _text_matching),
    ("text_matching_teacher", "The same for the sentence encoder of training (`--teacher`)", _text_matching),
    ("tokenizer", "Motion codes", tokenizer_section),
    ("few-labels", "Few labels and shifts of the setup", None),
    ("bench", "AnyMo Bench", None),
    ("ablations", "Ablations", None),
    ("prompts", "Text-side prompts", None),
    ("options", "Options of stages 1 and 2", None),
    ("training", "Training of the release", _training),
    ("simulation_check", "The simulator beside real trackers", _trackers),
    ("derivatives", "Derivatives", _derivatives),
    ("sensor_noise", "Sensor noise of real recordings", _noise),
    ("simulation_benchmark", "Speed and size of the simulation", _simulation),
    ("recognize_benchmark", "Recognition of long recordings", _recognize),
    ("stream_benchmark", "Streaming", _stream),
)


@ending_in_words("results_page")
def main() -> None:
    """Parses the command line; a bad input ends with 2."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", default="results", help="folder of the results files")
    parser.add_argument("--out", default="docs/results.md", help="the page")
    arguments = parser.parse_args()
    with refusing_bad_input():
        path = write_results_page(arguments.results, arguments.out)
    print(f"written: {path}")


if __name__ == "__main__":
    main()
