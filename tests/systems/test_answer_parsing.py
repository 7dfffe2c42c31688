"""How replies of language models are read, form after form."""

import pytest

from anymo_hf.systems.answer_parsing import read_line, read_ranking

LABELS = ["walking", "walking upstairs", "sitting", "a bike ride", "running"]
KEYS = ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"ranking": ["b", "a"]}', [1, 0]),
        ('```json\n{"ranking": ["C", "e", "c"]}\n```', [2, 4]),
        ('I think {"ranking": ["a"]} no, rather {"ranking": ["e", "d"]} it is.', [4, 3]),
        ('{"answer": "b) walking upstairs"}', [1]),
        ('{"label": "Sitting."}', [2]),
        ('{"ranking": ["KEY", "KEY"]}', []),
        ('{"ranking": ["z", "c"]}', [2]),
        ('{"other": 1} {"ranking": ["a", "c"]} {"note": {"answer": "b"}}', [0, 2]),
        ('<think>Maybe {"ranking": ["a"]}?</think>{"ranking": ["e"]}', [4]),
        ("Maybe sitting</think>\n**d**", [3]),
        ("<think>it could be walking, or it could", []),
        ("<|channel|>analysis<|message|>walking?<|channel|>final<|message|>c", [2]),
        ("Answer: c", [2]),
        ("answer: a\nNo. **Final answer:** b)", [1]),
        ("The answer is: walking upstairs.", [1]),
        ("The correct answer is probably running, since it is fast", [4]),
        ("b", [1]),
        ("(B)", [1]),
        ("Option b", [1]),
        ("b, a", [1, 0]),
        ('["b", "a", "b"]', [1, 0]),
        ("b) walking upstairs\na) walking", [1, 0]),
        ('```json\n["b", "a"]\n```', [1, 0]),
        ('{"ranking": "b, a"}', [1, 0]),
        ('{"answer": "sitting, I think"}', [2]),
        ('{"answer": "not a, b"}', []),
        ("```walking```", [0]),
        ("```b```", [1]),
        ("```sitting\n```", [2]),
        ("```\nsitting\n```", [2]),
        ('ranking: ["b", "a"]', [1, 0]),
        ("1. b\n2. a", [1, 0]),
        ("1) running\n2) walking", [4, 0]),
        ("b) walking upstairs\nor something else, walking", [0]),
        ("c) sitting", [2]),
        ("A person is walking upstairs", [1]),
        ("First walking, in the end sitting.", [2]),
        ("Sitting, not running.", [2]),
        ("It is not walking", []),
        ("It is rather sitting than walking", [2]),
        ("WALKING-UPSTAIRS!", [1]),
        ("runing", [4]),
        ("walking upstaris", [1]),
        ("a person moves e. g. a lot", []),
        ("I cannot determine the activity.", []),
        ('{"ranking": ["a",', []),
        ("", []),
    ],
)
def test_a_reply_names_options_or_none(text, expected):
    assert read_ranking(text, KEYS, LABELS) == expected


def test_without_keys_a_letter_is_no_answer():
    assert read_ranking("b", [""] * 5, LABELS) == []
    assert read_ranking("Step 1: … \nAnswer: [a bike ride]", [""] * 5, LABELS) == [3]


def test_candidates_are_read_by_number():
    texts = [f"The person does thing {number}." for number in range(100)]
    keys = [str(number + 1) for number in range(100)]
    assert read_ranking('{"ranking": [100, 7, 7, 101, 1]}', keys, texts) == [99, 6, 0]
    assert read_ranking("12", keys, texts) == [11]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("b. walking upstairs", "walking upstairs"), ("B", "walking upstairs"), ("Walking.", "walking"),
     ("a. jumping", "walking"), ("the person is walking upstairs", "walking upstairs"), ("hmm", None),
     ("walking or sitting", None), ("", None)],
)  # fmt: skip
def test_lines_are_read_by_line_key_and_label(text, expected):
    options = ["walking", "walking upstairs", "sitting"]
    assert read_line(text, ["a", "b", "c"], options) == (None if expected is None else options.index(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("A", 0), ("a", 2), ("(a)", 2), ("B) sitting", 1), ("b) sitting", 1), ("A.", 0), ("SITTING", 1), ("Answer: a", 2)],
)  # fmt: skip
def test_a_small_letter_and_its_capital_may_be_two_keys(text, expected):
    found = read_ranking(text, ["A", "B", "a"], ["walking", "sitting", "running"])
    assert found == [expected]
