"""`anymo recognize`: which of some activities a recording shows."""

from __future__ import annotations

import typer

from .csv_windows import Windows, csv_windows, print_answers
from .options import AsJson, Labels, Model, TopK, Wrist, split_names, with_options_of

app = typer.Typer()


@app.command(rich_help_panel="Recordings")
@with_options_of(windows=csv_windows)
def recognize(
    windows: Windows,
    labels: Labels = None,
    top_k: TopK = 5,
    wrist: Wrist = None,
    model: Model = "anymo",
    as_json: AsJson = False,
) -> None:
    """Which of some activities a recording shows, best first; of several windows also the mean.

    Example: anymo recognize walk.csv --placement left_wrist --rate 50 --labels walking,sitting
    """
    from ..pictures.demo import activity_labels
    from ..systems.checkpoint import load_pipeline

    candidates = list(activity_labels()) if labels is None else split_names(labels, "--labels", "walking,sitting")
    classify = load_pipeline("zero-shot-imu-classification", model, wrist)
    answers = [classify(piece, candidate_labels=candidates) for _, piece in windows]
    spans = [span for span, _ in windows]
    if len(answers) > 1:
        sums = dict.fromkeys(candidates, 0.0)
        for row in (row for answer in answers for row in answer):
            sums[row["label"]] += row["score"] / len(answers)
        mean = [{"score": score, "label": label} for label, score in sums.items()]
        answers.insert(0, sorted(mean, key=lambda row: -row["score"]))
        spans.insert(0, f"mean of {len(spans)} windows")
    print_answers(spans, [answer[:top_k] for answer in answers], as_json, "label")
