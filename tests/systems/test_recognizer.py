"""`Recognizer`: the rule of "none of these", timelines that do not bridge pauses, default labels that the model knows."""

from pathlib import Path

import numpy as np
import pytest

from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.refusals import DoubtWarning
from anymo_hf.systems.activity_labels import EVERYDAY, NONE_OF_THESE
from anymo_hf.systems.recognizer import Recognizer, activity_seconds, load_recognizer, recognize, zero_shot_recognizer

RELEASE = str(Path(__file__).parents[2] / "anymo")


class Model:
    """As much of a model as the scores need."""

    class config:
        contrastive_temperature = 0.05


def test_none_of_these_is_the_nearest_other_activity_with_a_handicap():
    axes = np.eye(5)
    plain = Recognizer(Model, None, ("a", "b"), axes[:2])
    careful = Recognizer(Model, None, ("a", "b", NONE_OF_THESE), axes[:2], axes[2:4])
    window = np.array([[0.5, 0.4, 0.62, 0.1, 0.0], [0.5, 0.4, 0.5, 0.5, 0.0], [0.3, 0.1, 0.2, 0.9, 0.0]])
    odds = np.exp(np.array([[0.5, 0.4, 0.62 - 0.1], [0.5, 0.4, 0.5 - 0.1], [0.3, 0.1, 0.9 - 0.1]]) / 0.05)
    np.testing.assert_allclose(careful.scores(window), odds / odds.sum(1, keepdims=True))
    assert careful.scores(window).argmax(1).tolist() == [2, 0, 2] and plain.scores(window).argmax(1).tolist() == [
        0,
        0,
        0,
    ]


def test_one_label_alone_is_doubted(tiny_parts, recwarn):
    with pytest.warns(DoubtWarning, match="one label only: every window is called 'walking'; give others beside it"):
        zero_shot_recognizer(*tiny_parts, ["walking"])
    recwarn.clear()
    zero_shot_recognizer(*tiny_parts, ["walking"], none_of_these=True)
    zero_shot_recognizer(*tiny_parts, ["walking", "sitting"])
    assert not [one for one in recwarn if one.category is DoubtWarning]


def test_a_timeline_stops_at_a_pause_and_goes_on_behind_it(tiny_parts):
    recognizer = zero_shot_recognizer(*tiny_parts, ["walking"])
    rng = np.random.default_rng(0)
    parts = [
        ImuRecording({"head": rng.normal(size=(count, 6))}, 50.0, start_time=start)
        for count, start in ((500, 1000.0), (30, 1015.0), (260, 1020.0))
    ]
    seen = []
    entries = list(recognize(recognizer, parts, seen=seen.append))
    assert [(e.start, e.end, e.windows) for e in entries] == [(0, 10, 2), (20, 25, 1)]
    assert [(one.start, one.end) for one in seen] == [(0, 5), (5, 10), (20, 25)]
    assert activity_seconds(entries) == {"walking": 15.0}
    with pytest.raises(ValueError, match="30 samples at 50 Hz are under one second"):
        list(recognize(recognizer, parts[1:2]))


@pytest.mark.slow
def test_the_everyday_labels_mean_different_things_to_the_released_model():
    recognizer = load_recognizer(RELEASE)
    assert recognizer.labels == EVERYDAY
    nearness = recognizer.texts @ recognizer.texts.T - 2 * np.eye(len(EVERYDAY))
    assert nearness.max() < 0.99
    careful = load_recognizer(RELEASE, ["walking"], none_of_these=True)
    assert (careful.others @ careful.texts.T).max() < 0.5 and len(careful.others) > 20
    with pytest.raises(ValueError, match="each activity once"):
        zero_shot_recognizer(recognizer.model, recognizer.processor, ["walking", "walking"])
