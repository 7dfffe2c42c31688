"""Multiple choice through the LM head: options, answers read, and log-probabilities against a sum token by token."""

import numpy as np
import pytest
import torch

from anymo_hf.evaluation.multiple_choice import Answer, ask, choice_row, draw_options, evaluate_choices, read_answer
from anymo_hf.evaluation.tables import make_tables
from anymo_hf.recordings.catalogue import DATASETS
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.recordings.windows_file import WindowsFile
from anymo_hf.systems.interface import load_system

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


@pytest.mark.parametrize(
    ("text", "expected"),
    [("b. walking upstairs", "walking upstairs"), ("B", "walking upstairs"), ("Walking.", "walking"),
     ("a. jumping", "walking"), ("the person is walking upstairs", "walking upstairs"), ("hmm", None),
     ("walking or sitting", None), ("", None)],
)  # fmt: skip
def test_answers_are_read_by_line_key_and_label(text, expected):
    assert read_answer(text, ["walking", "walking upstairs", "sitting"]) == expected


def test_scores_count_both_ways():
    def answer(truth, best, read):
        return Answer(("x", "y", "z"), truth, tuple(0.0 if one == best else -1.0 for one in "xyz"), "", read)

    row = choice_row(
        [answer("x", "x", "x"), answer("y", "x", None), answer("z", "z", "y"), answer("z", "y", "z")], "aabb"
    )
    assert (row["log_probability"], row["generation"], row["invalid_rate"], row["same_answer"]) == (50, 50, 25, 25)
    assert row["chance"] == pytest.approx(100 / 3) and row["interval"] is not None


def test_log_probabilities_are_those_of_the_answers_tokens_one_by_one(tiny_release, tmp_path):
    system = load_system("anymo", str(tiny_release))
    rng = np.random.default_rng(0)
    made = tuple(
        ImuRecording(
            {"left_wrist": rng.normal(size=(100, 6)) + [0, 0, 9.8, 0, 0, 0]}, 20.0, LABELS[k % 4], subject="ab"[k % 2]
        )
        for k in range(3)
    )
    held = WindowsFile("wisdm", made, ("test",) * 3, ("test",) * 3, "worn", "", "0")
    (found,) = ask(system, held, [1], seed=0, count=4)
    processor, model = system.processor, system.model
    read = processor.feature_extractor(made[1].signals, sampling_rate=20.0, return_tensors="np")
    for option, score in zip(found.options, found.log_probabilities, strict=True):
        line = processor.language_example(
            read["imu_codes"][0], read["imu_placements"][0], "multiple_choice", option, list(found.options)
        )
        total = 0.0
        with torch.inference_mode():
            for place, target in enumerate(line["labels"]):
                if target >= 0:
                    logits = model(input_ids=torch.tensor([line["input_ids"][:place]])).logits[0, -1].double()
                    total += float(logits[target] - torch.logsumexp(logits, 0))
        assert score == pytest.approx(total, abs=1e-3)
    lines = list(evaluate_choices(system, held, tmp_path, options=4))
    assert "4 options, chance 25.0" in lines[0]
    tables = {table.title: table for table in make_tables("recognition", tmp_path)}
    (table,) = [one for title, one in tables.items() if "multiple choice" in title.lower()]
    assert table.rows[0][:3] == ("AnyMo", "wisdm", "3")
