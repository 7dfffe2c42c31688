"""As a compared system: one classifier for windows that are alike, and words for those that are not."""

from dataclasses import replace

import numpy as np
import pytest

from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.systems.anymo_classifier import AnyMoLinear
from anymo_hf.systems.classifier import AnyMoClassifier


def recordings(place, rate, labels, seed):
    """Three windows of each label from each of two people; "walking" swings, the others lie in their own direction."""
    rng = np.random.default_rng(seed)
    found = []
    for person in ("a", "b"):
        for number, label in enumerate(labels):
            for _ in range(3):
                signal = 0.1 * rng.normal(size=(int(3 * rate), 6)) + 9.81 * np.eye(6)[number]
                signal[:, 0] += (label == "walking") * 3 * np.sin(2 * np.pi * 2 * np.arange(len(signal)) / rate)
                found.append(
                    ImuRecording(
                        dataset="made", subject=person, signals={place: signal}, sampling_rate=rate, label=label
                    )
                )
    return found


@pytest.fixture
def two_places():
    wrist = recordings("left_wrist", 50.0, ["walking", "sitting"], 0)
    return [*wrist, *recordings("waist", 25.0, ["walking", "standing"], 1)]


def test_windows_of_each_rate_and_place_are_scored_by_a_classifier_of_their_own(tiny_release, two_places):
    labels, people = ([getattr(one, name) for one in two_places] for name in ("label", "subject"))
    system = AnyMoLinear.load(str(tiny_release))
    order = np.random.default_rng(0).permutation(len(two_places))
    system.fit([two_places[row] for row in order], [labels[row] for row in order], [people[row] for row in order])
    names = ["walking", "sitting", "standing"]
    scores = system.score(two_places, names)
    for rows, rate in ((slice(12), 50.0), (slice(12, 24), 25.0)):
        own = [row for row in order if row in range(24)[rows]]
        alone = AnyMoClassifier(str(tiny_release), sampling_rate=rate).fit(
            [two_places[row].signals for row in own], [labels[row] for row in own], [people[row] for row in own]
        )
        expected = alone.predict_proba([one.signals for one in two_places[rows]])
        columns = [names.index(name) for name in alone.classes_]
        np.testing.assert_allclose(scores[rows][:, columns], expected, atol=1e-9)
    assert (scores[:12, 2] == 0).all() and (scores[12:, 1] == 0).all()
    assert np.mean([names[row] for row in scores.argmax(1)] == np.array(labels)) == 1


def test_new_places_and_rates_and_one_label_are_named(tiny_release, two_places):
    system = AnyMoLinear.load(str(tiny_release))
    with pytest.raises(ValueError, match="AnyMo, linear has not learned yet"):
        system.score(two_places, ["walking"])
    system.fit(two_places, [one.label for one in two_places])
    moved = replace(two_places[0], signals={"head": two_places[0].signals["left_wrist"]})
    for window, words in (
        (moved, "head at 50 Hz"),
        (replace(two_places[0], sampling_rate=60.0), "left_wrist at 60 Hz"),
    ):
        with pytest.raises(
            ValueError, match=f"learned from waist at 25 Hz; left_wrist at 50 Hz, and cannot take {words}"
        ):
            system.score([*two_places, window], ["walking", "sitting"])
    with pytest.raises(ValueError, match="AnyMo, linear: waist at 25 Hz: y holds one class only, 'lying'"):
        system.fit(two_places, [one.label if "waist" not in one.signals else "lying" for one in two_places])
