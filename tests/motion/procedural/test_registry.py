"""One new file in the folder of activities is found, and works from words to motion."""

import numpy as np
import pytest

from anymo_hf.modeling.body_segments import SEGMENTS
from anymo_hf.motion.procedural import (
    ACTIVITIES,
    EVERYDAY,
    Activity,
    activities,
    find_activities,
    label_phrases,
    register,
    simulate_activity,
)  # fmt: skip

TOY = '''"""Shrugs."""
from anymo_hf.motion.procedural import Activity
from anymo_hf.motion.procedural.arms import ArmAngles, rhythm
from anymo_hf.motion.procedural.person import Range

ACTIVITIES = (
    Activity(
        "toy_flapping", rhythm(Range(0.5, 0.6), ArmAngles(abduction=0.8), ArmAngles(abduction=0.5), arms="both"),
        plain_label="flapping", label_phrases=("flapping",), verb_phrases=("flaps both arms",), everyday=True,
    ),
)
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that holds more of the package's activities, as if it were a part of it."""
    monkeypatch.setattr(activities, "__path__", [*activities.__path__, str(tmp_path)])
    for listing in (ACTIVITIES, EVERYDAY):  # put back as it was
        monkeypatch.setitem(listing, "toy_flapping", None)
        del listing["toy_flapping"]
    return tmp_path


def test_an_activity_in_one_new_file_works_end_to_end(folder):
    (folder / "toy_flapping.py").write_text(TOY)
    found = find_activities()
    assert set(found) == {*ACTIVITIES, "toy_flapping"} and list(found) == sorted(found)
    register(found["toy_flapping"])
    assert "toy_flapping" in ACTIVITIES and "toy_flapping" in EVERYDAY
    motion = simulate_activity("toy_flapping", 1)
    wrist = motion.positions[:, SEGMENTS.index("L_Hand")] - motion.positions[:, SEGMENTS.index("L_UpperArm")]
    assert np.ptp(wrist[:, 2]) > 0.1
    assert label_phrases("toy_flapping") == ["flapping"]
    assert {item.label for item in motion.narrations} == {"flapping"}
    assert all("flaps both arms" in item.text for item in motion.narrations)
    with pytest.raises(ValueError, match="two activities are named 'toy_flapping'"):
        register(found["toy_flapping"])


def test_a_file_without_activities_is_named(folder):
    (folder / "toy_empty.py").write_text("")
    with pytest.raises(ValueError, match="toy_empty declares no ACTIVITIES"):
        find_activities()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"label": "flying", "label_phrases": ("a",), "verb_phrases": ("b",)}, "'flying' is not in AnyMo-180"),
        ({"label_phrases": ("a",), "verb_phrases": ("b",)}, "either label"),
        ({"plain_label": "flying", "verb_phrases": ("b",)}, "at least one phrase"),
    ],
)
def test_an_activity_without_true_words_is_refused(words, message):
    with pytest.raises(ValueError, match=message):
        Activity("flying", lambda pose: None, **words)
