"""Recognition as a multiple-choice question to a language model, AnyMo's or an endpoint's (paper §3.3, A.5).

35 options in another order at each window. The answer is read in two ways: the option with the highest log-probability, and
what the model writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..motion.procedural import ACTIVITIES, HELD_OUT_SEED, label_phrases
from ..motion.seeds import seed_of
from ..pictures.demo import simulated_recording
from ..recordings.catalogue import DATASETS
from ..recordings.imu_recording import ImuRecording
from ..recordings.windows_file import WindowsFile
from ..systems.activity_labels import simulated_labels
from ..systems.interface import Choice, System
from .metrics import people_interval, recognition_scores
from .recognition import stratified_subset
from .system_results import add_rows, check_windows, open_results, windows_hash

TASK = "choices"
SIMULATED = "simulated"
OPTIONS, WINDOWS = 35, 100
NO_LOG_PROBABILITIES = "the server gives no log-probabilities of the options"


@dataclass(frozen=True)
class Questions:
    """Windows to ask about, one question each.

    Args:
        dataset: their name.
        recordings, truth: the windows, and the right option of each.
        options: of each, as they are offered.
    """

    dataset: str
    recordings: tuple[ImuRecording, ...]
    truth: tuple[str, ...]
    options: tuple[tuple[str, ...], ...]


def draw_options(
    truth: str, labels: Sequence[str], fillers: Sequence[str], rng: np.random.Generator, count: int = OPTIONS
) -> list[str]:
    """`count` options in random order: the truth, the dataset's other labels, then activities of training.

    Raises:
        ValueError: under two options.
    """
    if count < 2:
        raise ValueError(f"a question needs two options or more, got {count}")
    others = [label for label in labels if label != truth]
    known = {label.lower() for label in labels}
    more = list(dict.fromkeys(text for text in fillers if text.lower() not in known))
    pool = [*rng.permutation(others), *rng.permutation(more)][: count - 1]
    return [str(text) for text in rng.permutation([truth, *pool])]


def questions_of(windows: WindowsFile, count: int = WINDOWS, options: int = OPTIONS, seed: int = 0) -> Questions:
    """About up to `count` windows of the paper's split, each class by its share.

    Raises:
        ValueError: as `draw_options`.
    """
    labels = list(DATASETS[windows.dataset].labels)
    asked = windows.rows("paper")
    ids = np.array([labels.index(str(windows.recordings[row].label)) for row in asked])
    rows = [int(row) for row in asked[stratified_subset(ids, count, seed)]]
    truth = [str(windows.recordings[row].label) for row in rows]
    return Questions(
        windows.dataset, tuple(windows.recordings[row] for row in rows), tuple(truth),
        _options(truth, rows, labels, simulated_labels(), options, seed),
    )  # fmt: skip


def simulated_questions(count: int = WINDOWS, options: int = OPTIONS, seed: int = 0) -> Questions:
    """About simulated people whom training never draws, each with devices on three random places.

    Each block of as many windows as there are activities holds every activity once; the first `n` of more questions are
    the same as `n` questions.

    Raises:
        ValueError: as `draw_options`.
    """
    names = list(ACTIVITIES)
    order: list[str] = []
    for block in range(-(-count // len(names))):
        order += sorted(names, key=lambda name: seed_of("choices", block, name))
    recordings, truth = [], []
    for number, name in enumerate(order[:count]):
        made = simulated_recording(HELD_OUT_SEED + number, name)
        recordings.append(ImuRecording(dict(made.signals), made.sampling_rate, subject=f"simulated {number}"))
        truth.append(label_phrases(name)[0])
    made_of = _options(truth, list(range(len(truth))), simulated_labels(), (), options, seed)
    return Questions(SIMULATED, tuple(recordings), tuple(truth), made_of)


def _options(
    truth: Sequence[str], rows: Sequence[int], labels: Sequence[str], fillers: Sequence[str], count: int, seed: int
) -> tuple[tuple[str, ...], ...]:
    return tuple(
        tuple(draw_options(one, labels, fillers, np.random.default_rng([seed, row]), count))
        for one, row in zip(truth, rows, strict=True)
    )


def choice_row(questions: Questions, answers: Sequence[Choice]) -> dict[str, Any]:
    """Scores of both ways in percent; those by log-probability are None where no answer has any, and `missing` says why.

    An answer without log-probabilities among others with them counts as wrong; one that cannot be read is wrong, too.
    """
    right = [options.index(one) for options, one in zip(questions.options, questions.truth, strict=True)]
    best = [None if one.log_probabilities is None else int(np.argmax(one.log_probabilities)) for one in answers]
    unscored = np.array([one is None for one in best])
    row: dict[str, Any] = {
        "windows": len(answers), "people": len({one.subject for one in questions.recordings} - {""}),
        "options": max(map(len, questions.options)),
        "chance": 100 * float(np.mean([1 / len(options) for options in questions.options])),
        "generation": 100 * float(np.mean([one.read == truth for one, truth in zip(answers, right, strict=True)])),
        "invalid_rate": 100 * float(np.mean([one.read is None for one in answers])),
        "log_probability": None, "log_probability_recall_at_2": None, "interval": None, "same_answer": None,
        "missing": {}, "unscored_rate": 100 * float(unscored.mean()),
    }  # fmt: skip
    if unscored.all():
        return row | {"missing": {"log_probability": NO_LOG_PROBABILITIES}}
    correct = np.array([one == truth for one, truth in zip(best, right, strict=True)])
    width = row["options"]
    scores = np.full((len(answers), width), -np.inf)
    for number, one in enumerate(answers):
        given = one.log_probabilities or ()
        scores[number, : len(given)] = given
    found = recognition_scores(np.where(unscored[:, None], 0.0, scores), np.array(right), unscored)
    interval = people_interval(correct, np.array([one.subject for one in questions.recordings]))
    same = [one.read == chosen for one, chosen in zip(answers, best, strict=True) if chosen is not None]
    return row | {
        "log_probability": 100 * float(correct.mean()),
        "log_probability_recall_at_2": 100 * found["recall_at_2"],
        "interval": None if interval is None else [100 * value for value in interval],
        "same_answer": 100 * float(np.mean(same)),
    }


def evaluate_choices(system: System, questions: Questions, out: str | Path, seed: int = 0) -> Iterator[str]:
    """Asks a system's language model and adds a row to `out/choices/NAME.json`; yields lines to print.

    Args:
        system: that can `choose`.
        questions: see `questions_of` and `simulated_questions`; seed: that they were drawn with.
        out: folder of results.

    Raises:
        ValueError: the system has no language model; a results file of other weights, windows or another model.
        OSError: an endpoint fails; what it answered is kept, and the next run goes on there.
    """
    path, results = open_results(out, TASK, system)
    of = {"dataset": questions.dataset, "seed": seed, "options": max(map(len, questions.options)),
          "windows_sha256": windows_hash(questions.recordings)}  # fmt: skip
    check_windows(path, results, of, ("dataset", "seed", "options"))
    found = choice_row(questions, system.choose(questions.recordings, questions.options))
    row = of | found | {"report": system.report()}
    add_rows(path, results, [row], ("dataset", "seed", "options"))
    by = found["missing"].get("log_probability") or f"by log-probability {found['log_probability']:.1f}"
    yield (
        f"{questions.dataset}: {found['options']} options, chance {found['chance']:.1f}; {by}, by generation "
        f"{found['generation']:.1f} with {found['invalid_rate']:.1f} invalid"
    )
    yield f"results: {path}"
