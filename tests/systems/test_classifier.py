"""`AnyMoClassifier`: learns, is not fooled by a turned device when robust, comes back from disk, and refuses bad input."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from anymo_hf import AnyMoClassifier

RELEASE = str(Path(__file__).parents[2] / "anymo")


def shaken(count, hz, size, seed, up=2):
    """Windows of two seconds at 50 Hz: gravity along one axis, shaken along it."""
    rng = np.random.default_rng(seed)
    time = np.arange(100) / 50
    windows = 0.1 * rng.normal(size=(count, 100, 6))
    windows[:, :, up] += 9.81 + size * np.sin(2 * np.pi * hz * time + rng.uniform(0, 6, (count, 1)))
    return windows


@pytest.fixture(scope="module")
def data():
    windows = np.concatenate([shaken(12, 2.0, 4.0, 0), shaken(12, 2.0, 0.5, 1), shaken(12, 4.0, 4.0, 2)])
    return windows, np.repeat(["walking", "standing", "running"], 12), np.tile(np.arange(4), 9)


@pytest.fixture(scope="module")
def fitted(data):
    return AnyMoClassifier(RELEASE, ("waist",)).fit(*data)


def test_it_names_new_windows_and_its_chances_sum_to_one(fitted):
    fresh = np.concatenate([shaken(4, 2.0, 4.0, 7), shaken(4, 4.0, 4.0, 8)])
    assert fitted.predict(fresh).tolist() == ["walking"] * 4 + ["running"] * 4
    chances = fitted.predict_proba(fresh)
    np.testing.assert_allclose(chances.sum(1), 1)
    assert fitted.classes_.tolist() == ["running", "standing", "walking"]


def test_a_memory_computes_a_window_once_and_changes_no_chance(fitted, monkeypatch):
    fresh = shaken(3, 4.0, 4.0, 9)
    expected, asked = fitted.predict_proba(fresh), []
    compute = AnyMoClassifier._computed_latents
    monkeypatch.setattr(
        AnyMoClassifier, "_computed_latents", lambda self, w, embed: asked.append(len(w)) or compute(self, w, embed)
    )
    monkeypatch.setattr(fitted, "memory", {})
    for windows in (fresh[:2], fresh, fresh[[0, 2, 2]]):
        found = fitted.predict_proba(windows)
    np.testing.assert_allclose(found, expected[[0, 2, 2]], atol=1e-6)
    assert asked == [2, 1] and "memory" not in fitted.get_params()


def test_windows_may_be_arrays_lists_or_placements(fitted):
    fresh = shaken(3, 4.0, 4.0, 9)
    expected = fitted.predict_proba(fresh)
    for same in (list(fresh), fresh[:, :, None], [{"waist": window} for window in fresh]):
        np.testing.assert_allclose(fitted.predict_proba(same), expected, atol=1e-6)


def test_units_are_the_users(data):
    windows, labels, people = data
    scaled = windows * np.repeat([1 / 9.80665, 180 / np.pi], 3)
    other = AnyMoClassifier(RELEASE, ("waist",), acceleration_unit="g", angular_velocity_unit="deg/s")
    same = AnyMoClassifier(RELEASE, ("waist",)).fit(windows, labels, people).predict_proba(windows)
    np.testing.assert_allclose(other.fit(scaled, labels, people).predict_proba(scaled), same, atol=1e-3)


def test_robust_is_unmoved_when_the_device_is_turned(data):
    windows, labels, people = data
    other_axis = np.concatenate(
        [shaken(6, 2.0, 4.0, 3, up=0), shaken(6, 2.0, 0.5, 4, up=0), shaken(6, 4.0, 4.0, 5, up=0)]
    )
    truth = np.repeat(["walking", "standing", "running"], 6)
    robust = AnyMoClassifier(RELEASE, ("waist",), robust=True).fit(windows, labels, people)
    assert (robust.predict(other_axis) == truth).all()


def test_the_strength_is_chosen_over_people_only_where_there_are_enough(data, fitted):
    windows, labels, _ = data
    assert fitted.strength_ in (0.01, 0.1, 1.0)
    few = AnyMoClassifier(RELEASE, ("waist",)).fit(windows[::12], labels[::12], [0, 1, 2])
    assert few.strength_ == 0.1
    assert AnyMoClassifier(RELEASE, ("waist",), regularization=0.5).fit(windows, labels).strength_ == 0.5


def test_scikit_learns_conventions(fitted):
    twin = clone(fitted)
    assert twin.get_params() == fitted.get_params() and not hasattr(twin, "classes_")
    with pytest.raises(NotFittedError):
        twin.predict(np.zeros((1, 100, 6)))
    assert twin.set_params(robust=True).robust


def test_what_is_saved_comes_back(fitted, data, tmp_path):
    fitted.save(tmp_path / "mine")
    back = AnyMoClassifier.load(tmp_path / "mine")
    np.testing.assert_array_equal(back.predict_proba(data[0][:3]), fitted.predict_proba(data[0][:3]))
    fitted.save(tmp_path / "mine")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_a_classifier_of_another_release_or_a_damaged_one_is_refused(fitted, tmp_path):
    folder = fitted.save(tmp_path / "mine")
    settings = json.loads((folder / "classifier.json").read_text())
    (folder / "classifier.json").write_text(json.dumps(settings | {"encoder": "0" * 16}))
    with pytest.raises(ValueError, match="another release"):
        AnyMoClassifier.load(folder)
    (folder / "classifier.json").write_text("{")
    with pytest.raises(OSError, match="damaged"):
        AnyMoClassifier.load(folder)
    (tmp_path / "other").mkdir()
    with pytest.raises(OSError, match="no classifier"):
        fitted.save(tmp_path / "other")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y, g: (x, ["a"] * len(y), g), "one class only"),
        (lambda x, y, g: (x, [*y[:-1], 3], g), "mixes text"),
        (lambda x, y, g: (x, y[:-1], g), "labels for 36 windows"),
        (lambda x, y, g: (x, y, g[:-1]), "groups must name"),
        (lambda x, y, g: (np.where(np.arange(6) == 1, np.nan, x), y, g), "NaN"),
        (lambda x, y, g: (x[..., :5], y, g), "must be"),
        (lambda x, y, g: ([{"tail": w} for w in x], y, g), "tail"),
        (lambda x, y, g: (x[0], y, g), "X must be"),
    ],
)
def test_bad_input_is_said_in_one_sentence(data, change, message):
    with pytest.raises(ValueError, match=message):
        AnyMoClassifier(RELEASE, ("waist",)).fit(*change(*data))


def test_windows_of_another_place_are_refused(fitted):
    with pytest.raises(ValueError, match="learnt waist"):
        fitted.predict([{"left_wrist": shaken(1, 2.0, 1.0, 0)[0]}])
