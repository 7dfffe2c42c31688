"""Multiple choice through the LM head: options, answers read, and log-probabilities against a sum token by token."""

import numpy as np
import pytest
import torch

from anymo_hf.evaluation.multiple_choice import (
    Questions,
    choice_row,
    draw_options,
    evaluate_choices,
    questions_of,
    simulated_questions,
)
from anymo_hf.evaluation.tables import make_tables
from anymo_hf.recordings.catalogue import DATASETS
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.recordings.windows_file import WindowsFile
from anymo_hf.systems.activity_labels import simulated_labels
from anymo_hf.systems.interface import Choice, load_system

LABELS = DATASETS["wisdm"].labels


def test_options_hold_the_truth_the_other_labels_and_activities_of_training_in_another_order_each_time():
    fillers = ["Walking", *(f"activity {k}" for k in range(60))]
    first = draw_options("walking", LABELS, fillers, np.random.default_rng(0))
    second = draw_options("walking", LABELS, fillers, np.random.default_rng(1))
    assert len(set(first)) == 35 and set(LABELS) <= set(first) and "Walking" not in first
    assert first.index("walking") != second.index("walking")
    few = draw_options("walking", LABELS, fillers, np.random.default_rng(0), 3)
    assert len(few) == 3 and "walking" in few and set(few) <= set(LABELS)
    with pytest.raises(ValueError, match="two options or more"):
        draw_options("walking", LABELS, fillers, np.random.default_rng(0), 1)


def questions(*truth, options=("x", "y", "z")):
    recordings = tuple(ImuRecording({"waist": np.ones((9, 6))}, 9.0, subject="ab"[k % 2]) for k in range(len(truth)))
    return Questions("wisdm", recordings, truth, (options,) * len(truth))


def choice(best, read, options="xyz"):
    scores = None if best is None else tuple(0.0 if one == best else -1.0 for one in options)
    return Choice(scores, "", None if read is None else options.index(read))


def test_scores_count_both_ways():
    answers = [choice("x", "x"), choice("x", None), choice("z", "y"), choice("y", "z")]
    row = choice_row(questions("x", "y", "z", "z"), answers)
    assert (row["log_probability"], row["generation"], row["invalid_rate"], row["same_answer"]) == (50, 50, 25, 25)
    assert row["chance"] == pytest.approx(100 / 3) and row["interval"] is not None and row["missing"] == {}


def test_an_answer_without_log_probabilities_is_wrong_and_none_at_all_says_why():
    row = choice_row(questions("x", "y"), [choice("x", "x"), choice(None, "y")])
    assert (row["log_probability"], row["generation"], row["unscored_rate"]) == (50, 100, 50)
    assert row["log_probability_recall_at_2"] == 50 and row["same_answer"] == 100
    none = choice_row(questions("x", "y"), [choice(None, "x"), choice(None, None)])
    assert none["log_probability"] is None and (none["generation"], none["invalid_rate"]) == (50, 50)
    assert none["missing"]["log_probability"] == "the server gives no log-probabilities of the options"


def test_simulated_questions_are_about_every_activity_and_more_of_them_keep_the_first():
    few, more = simulated_questions(3, 5), simulated_questions(4, 5)
    assert few.truth == more.truth[:3] and few.options == more.options[:3] and len(set(more.truth)) == 4
    for options, truth in zip(few.options, few.truth, strict=True):
        assert truth in options and len(set(options)) == 5 and set(options) <= set(simulated_labels())
    for one, again in zip(few.recordings, more.recordings, strict=False):
        assert len(one.signals) == 3
        for place, signal in one.signals.items():
            np.testing.assert_array_equal(signal, again.signals[place])


def windows_file(count=3):
    rng = np.random.default_rng(0)
    made = tuple(
        ImuRecording(
            {"left_wrist": rng.normal(size=(100, 6)) + [0, 0, 9.8, 0, 0, 0]}, 20.0, LABELS[k % 4], subject="ab"[k % 2]
        )
        for k in range(count)
    )
    return WindowsFile("wisdm", made, ("test",) * count, ("test",) * count, "worn", "", "0")


def test_log_probabilities_are_those_of_the_answers_tokens_one_by_one(tiny_release, tmp_path):
    system, held = load_system("anymo", str(tiny_release)), windows_file()
    asked = questions_of(held, options=4)
    (found,) = system.choose(asked.recordings[1:2], asked.options[1:2])
    processor, model, one = system.processor, system.model, asked.recordings[1]
    read = processor.feature_extractor(one.signals, sampling_rate=20.0, return_tensors="np")
    for option, score in zip(asked.options[1], found.log_probabilities, strict=True):
        line = processor.language_example(
            read["imu_codes"][0], read["imu_placements"][0], "multiple_choice", option, list(asked.options[1])
        )
        total = 0.0
        with torch.inference_mode():
            for place, target in enumerate(line["labels"]):
                if target >= 0:
                    logits = model(input_ids=torch.tensor([line["input_ids"][:place]])).logits[0, -1].double()
                    total += float(logits[target] - torch.logsumexp(logits, 0))
        assert score == pytest.approx(total, abs=1e-3)
    with pytest.raises(ValueError, match="need options for each window, got 3 and 1"):
        system.choose(asked.recordings, asked.options[:1])
    lines = list(evaluate_choices(system, asked, tmp_path))
    assert "4 options, chance 25.0" in lines[0]
    tables = {table.title: table for table in make_tables("recognition", tmp_path)}
    (table,) = [one for title, one in tables.items() if "multiple choice" in title.lower()]
    assert table.rows[0][:3] == ("AnyMo", "wisdm", "3")
    assert ("Language model, numbers", "-", "no endpoint was asked") in [line[:3] for line in table.rows]


def test_systems_without_a_language_model_are_refused(anymo, tmp_path):
    for system in ("unimts", "hargpt"):
        code, _, err = anymo("evaluate", "choices", "--system", system, "--dataset", "simulated", "--out", tmp_path)
        assert code == 2 and "has no language model to ask" in err and len(err.splitlines()) == 1
    code, _, err = anymo("evaluate", "choices", "--out", tmp_path)
    assert code == 2 and "--data is missing" in err and not list(tmp_path.iterdir())
