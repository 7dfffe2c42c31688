"""Recognition as a multiple-choice question to AnyMo's language model: 35 permuted options (paper §3.3, A.5).

The answer is read in two ways: the option whose whole line the LM head gives the highest log-probability, and what greedy
generation writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..modeling.prompts import option_key
from ..recordings.catalogue import DATASETS
from ..recordings.windows_file import WindowsFile
from ..systems.anymo import AnyMo
from .metrics import people_interval, recognition_scores
from .recognition import stratified_subset
from .system_results import add_rows, open_results

TASK = "choices"
OPTIONS, WINDOWS = 35, 100
_NEW_TOKENS = 24


@dataclass(frozen=True)
class Answer:
    """To one question.

    Args:
        options: as they were offered.
        truth: the right one.
        log_probabilities: of each option's line, summed over its tokens.
        written: what was generated; read: the option that it names, None where it names none.
    """

    options: tuple[str, ...]
    truth: str
    log_probabilities: tuple[float, ...]
    written: str
    read: str | None


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


def read_answer(text: str, options: Sequence[str], keys: str = "spreadsheet") -> str | None:
    """The option that a written answer names by its line, its label or its key; None where it names none or two."""
    said = " ".join(text.lower().split()).strip(" .\"'")
    by_key = {option_key(number, keys): option for number, option in enumerate(options)}
    for key, option in by_key.items():
        if said in (key, option.lower(), f"{key}. {option.lower()}"):
            return option
    head = said.split(".")[0].strip()
    if "." in said and head in by_key:
        return by_key[head]
    inside = [option for option in options if option.lower() in said]
    longest = [one for one in inside if not any(one != other and one.lower() in other.lower() for other in inside)]
    return longest[0] if len(longest) == 1 else None


def ask(system: AnyMo, windows: WindowsFile, rows: Sequence[int], seed: int = 0, count: int = OPTIONS) -> list[Answer]:
    """Answers for some windows, one question each; a window longer than the processor takes is refused by it."""
    import torch

    from ..systems.activity_labels import simulated_labels

    model, processor = system.model.eval(), system.processor
    labels, answers = DATASETS[windows.dataset].labels, []
    fillers = simulated_labels()
    for row in rows:
        one = windows.recordings[row]
        options = draw_options(str(one.label), labels, fillers, np.random.default_rng([seed, row]), count)
        read = processor.feature_extractor(one.signals, sampling_rate=one.sampling_rate, return_tensors="np")
        codes, places = read["imu_codes"][0], read["imu_placements"][0]
        lines = [
            processor.language_example(codes, places, "multiple_choice", answer=option, candidates=options)
            for option in options
        ]
        prompt = processor.generation_inputs(
            imu_codes=[codes], imu_placements=[places], task="multiple_choice", candidates=options
        )
        with torch.inference_mode():
            scores = _log_probabilities(model, lines)
            out = model.generate(
                **prompt, do_sample=False, max_new_tokens=_NEW_TOKENS, eos_token_id=processor.tokenizer.eos_token_id,
                pad_token_id=processor.tokenizer.pad_token_id,
            )  # fmt: skip
        written = processor.tokenizer.batch_decode(out[:, prompt["input_ids"].shape[1] :], skip_special_tokens=True)[0]
        keys = processor.prompt_style.option_keys
        answers.append(
            Answer(tuple(options), str(one.label), tuple(scores), written.strip(), read_answer(written, options, keys))
        )
    return answers


def _log_probabilities(model: Any, lines: Sequence[dict[str, list[int]]]) -> list[float]:
    """Of the answer's tokens of each line, summed."""
    import torch

    longest = max(len(line["input_ids"]) for line in lines)
    ids = torch.zeros(len(lines), longest, dtype=torch.long)
    targets = torch.full((len(lines), longest), -100)
    mask = torch.zeros(len(lines), longest, dtype=torch.long)
    for row, line in enumerate(lines):
        count = len(line["input_ids"])
        ids[row, :count], targets[row, :count] = torch.tensor(line["input_ids"]), torch.tensor(line["labels"])
        mask[row, :count] = 1
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
    following = targets[:, 1:]
    chosen = torch.log_softmax(logits, -1).gather(-1, following.clamp(min=0)[..., None])[..., 0]
    return (chosen * (following >= 0)).sum(1).tolist()


def choice_row(answers: Sequence[Answer], people: Sequence[str]) -> dict[str, Any]:
    """Scores of both ways in percent."""
    by_probability = np.array([one.options[int(np.argmax(one.log_probabilities))] == one.truth for one in answers])
    written = np.array([one.read == one.truth for one in answers])
    scores = np.array([one.log_probabilities for one in answers])
    truth = np.array([one.options.index(one.truth) for one in answers])
    interval = people_interval(by_probability, np.array(list(people)))
    return {
        "windows": len(answers), "options": len(answers[0].options), "chance": 100 / len(answers[0].options),
        "log_probability": 100 * float(by_probability.mean()),
        "log_probability_recall_at_2": 100 * recognition_scores(scores, truth)["recall_at_2"],
        "interval": None if interval is None else [100 * value for value in interval],
        "generation": 100 * float(written.mean()),
        "invalid_rate": 100 * float(np.mean([one.read is None for one in answers])),
        "same_answer": 100 * float(np.mean([
            one.read == one.options[int(np.argmax(one.log_probabilities))] for one in answers
        ])),
    }  # fmt: skip


def evaluate_choices(
    system: AnyMo, windows: WindowsFile, out: str | Path, count: int = WINDOWS, options: int = OPTIONS, seed: int = 0
) -> Iterator[str]:
    """Asks about up to `count` windows, each class by its share, and adds a row to `out/choices/anymo.json`.

    Raises:
        ValueError: a results file of other weights.
    """
    labels = list(DATASETS[windows.dataset].labels)
    asked = windows.rows("paper")
    truth = np.array([labels.index(str(windows.recordings[row].label)) for row in asked])
    rows = asked[stratified_subset(truth, count, seed)]
    path, results = open_results(out, TASK, system)
    found = choice_row(ask(system, windows, rows, seed, options), [windows.recordings[row].subject for row in rows])
    add_rows(path, results, [{"dataset": windows.dataset, "seed": seed, **found}], ("dataset", "seed", "options"))
    yield (
        f"{windows.dataset}: {found['options']} options, chance {found['chance']:.1f}; by log-probability "
        f"{found['log_probability']:.1f}, by generation {found['generation']:.1f} with {found['invalid_rate']:.1f} invalid"
    )
    yield f"results: {path}"
