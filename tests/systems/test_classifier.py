"""`AnyMoClassifier`: learns, is not fooled by a turned device when robust, comes back from disk, and refuses bad input."""

import copy
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from anymo_hf import AnyMoClassifier
from anymo_hf.modeling.imu_signal import ImuWarning
from anymo_hf.systems import classifier
from anymo_hf.systems.classifier import _best_share, _mixed

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


@pytest.mark.slow
def test_units_are_the_users(data):
    windows, labels, people = data
    scaled = windows * np.repeat([1 / 9.80665, 180 / np.pi], 3)
    other = AnyMoClassifier(RELEASE, ("waist",), acceleration_unit="g", angular_velocity_unit="deg/s")
    same = AnyMoClassifier(RELEASE, ("waist",)).fit(windows, labels, people).predict_proba(windows)
    np.testing.assert_allclose(other.fit(scaled, labels, people).predict_proba(scaled), same, atol=1e-3)


@pytest.mark.slow
def test_robust_is_unmoved_when_the_device_is_turned(data):
    windows, labels, people = data
    other_axis = np.concatenate(
        [shaken(6, 2.0, 4.0, 3, up=0), shaken(6, 2.0, 0.5, 4, up=0), shaken(6, 4.0, 4.0, 5, up=0)]
    )
    truth = np.repeat(["walking", "standing", "running"], 6)
    robust = AnyMoClassifier(RELEASE, ("waist",), robust=True).fit(windows, labels, people)
    assert (robust.predict(other_axis) == truth).all()


@pytest.mark.slow
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


@pytest.mark.slow
def test_another_language_model_is_another_release_where_classes_have_names(data, tmp_path):
    release = tmp_path / "release"
    shutil.copytree(RELEASE, release)
    windows, names, people = data
    named = AnyMoClassifier(release, ("waist",), trees=0).fit(windows, names, people).save(tmp_path / "named")
    numbers = np.unique(names, return_inverse=True)[1]
    numbered = AnyMoClassifier(release, ("waist",), trees=0).fit(windows, numbers, people).save(tmp_path / "numbered")
    tensors = load_file(release / "model.safetensors")
    tensors["imu_residual_scale"] = np.asarray(tensors["imu_residual_scale"] + 1)
    save_file(tensors, release / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="another release than"):
        AnyMoClassifier.load(named)
    assert AnyMoClassifier.load(numbered).classes_.tolist() == [0, 1, 2]


def test_a_classifier_of_another_release_or_a_damaged_one_is_refused(fitted, tmp_path):
    folder = fitted.save(tmp_path / "mine")
    settings = json.loads((folder / "classifier.json").read_text())
    (folder / "classifier.json").write_text(json.dumps(settings | {"checkpoint": "0" * 16}))
    with pytest.raises(ValueError, match="another release"):
        AnyMoClassifier.load(folder)
    (folder / "classifier.json").write_text(json.dumps(settings | {"version": 1}))
    with pytest.raises(ValueError, match="another release of anymo-hf .form 1"):
        AnyMoClassifier.load(folder)
    (folder / "classifier.json").write_text(json.dumps(settings | {"classes": ["running", "walking"]}))
    with pytest.raises(OSError, match=r"damaged one .*coefficients_ has the shape \(3, .*not \(2, .*save it again"):
        AnyMoClassifier.load(folder)
    (folder / "classifier.json").write_text("{")
    with pytest.raises(OSError, match="damaged"):
        AnyMoClassifier.load(folder)
    (folder / "classifier.json").write_text(json.dumps(settings | {"model": str(tmp_path / "gone")}))
    with pytest.raises(
        OSError, match=r"mine: its checkpoint .*gone' is not there .*AnyMoClassifier.load\(folder, model="
    ):
        AnyMoClassifier.load(folder)
    moved = AnyMoClassifier.load(folder, model=RELEASE)
    assert moved.model == RELEASE and moved.save(tmp_path / "mine") == folder
    (tmp_path / "link").symlink_to(folder)
    assert AnyMoClassifier.load(moved.save(tmp_path / "link")).model == RELEASE and (tmp_path / "link").is_symlink()
    for wrong in ({"networks": "a"}, {"network_share": "1"}, {"network_share": 0.5}):  # without networks
        (folder / "classifier.json").write_text(json.dumps(settings | wrong))
        with pytest.raises(OSError, match="damaged one .*network_share of .*save it again"):
            AnyMoClassifier.load(folder)
    (tmp_path / "other").mkdir()
    assert fitted.save(tmp_path / "other") == tmp_path / "other"  # nothing is in it
    (tmp_path / "another").mkdir()
    (tmp_path / "another" / "mine.txt").write_text("keep")
    with pytest.raises(OSError, match="no classifier"):
        fitted.save(tmp_path / "another")
    (tmp_path / "file").write_text("keep")
    with pytest.raises(OSError, match="no classifier"):
        fitted.save(tmp_path / "file")


def test_a_fit_that_fails_leaves_what_was_learnt_before(data, tmp_path):
    windows, labels, people = data
    model = AnyMoClassifier(RELEASE, ("waist",), regularization=0.1).fit(windows[::3], labels[::3], people[::3])
    expected = model.predict_proba(windows)
    spoiled = np.where(np.arange(100)[:, None] == 7, np.nan, windows[:24])
    with pytest.raises(ValueError, match="NaN"):
        model.fit(spoiled, ["eat", "drink"] * 12)
    assert model.predict(windows[:2]).tolist() == ["walking", "walking"]
    back = AnyMoClassifier.load(model.save(tmp_path / "kept"))
    for same in (model, back):
        np.testing.assert_allclose(same.predict_proba(windows), expected, atol=1e-6)


def test_networks_are_weighed_against_the_linear_scores_that_answer(data, monkeypatch):
    windows, labels, people = data
    few = np.concatenate([np.flatnonzero(labels == name)[:6] for name in np.unique(labels)])
    fit, seen = AnyMoClassifier._fit_linear, []

    def spy(self, *given):
        fit(self, *given)
        seen.append((self.few_, self.trees_ is not None))

    monkeypatch.setattr(AnyMoClassifier, "_fit_linear", spy)
    AnyMoClassifier(RELEASE, ("waist",), method="full", steps=1).fit(windows[few], labels[few], np.tile([0, 1, 2], 6))
    assert seen == [(False, True)] * 4  # six windows a class, of which every network has seen four


@pytest.fixture(scope="module", params=[False, True], ids=["as worn", "robust"])
def full(data, request):
    return AnyMoClassifier(RELEASE, ("waist",), method="full", robust=request.param, steps=6).fit(*data)


@pytest.mark.slow
def test_full_trains_networks_without_some_people_and_is_saved_with_them(full, data, tmp_path):
    assert len(full.networks_) == 3 and 0 <= full.network_share_ <= 0.75
    full.network_share_ = 0.5  # so that what is saved counts
    fresh = np.concatenate([shaken(4, 2.0, 4.0, 7), shaken(4, 4.0, 4.0, 8)])
    assert full.predict(fresh).tolist() == ["walking"] * 4 + ["running"] * 4
    np.testing.assert_allclose(full.predict_proba(fresh).sum(1), 1)
    back = AnyMoClassifier.load(full.save(tmp_path / "mine"))
    np.testing.assert_allclose(back.predict_proba(fresh), full.predict_proba(fresh), atol=1e-6)
    assert back.set_params(placements=("waist",)).get_params() == full.get_params() and back.network_share_ == 0.5
    path = tmp_path / "mine" / "classifier.json"
    path.write_text(path.read_text().replace('"networks": 3', '"networks": 4'))
    with pytest.raises(OSError, match="tensors of a network are missing"):
        AnyMoClassifier.load(tmp_path / "mine")


@pytest.mark.slow
@pytest.mark.parametrize("full", [True], indirect=True, ids=["robust"])  # a network as worn: test_window_network.py
def test_the_same_windows_make_the_same_networks(full, data):
    again = AnyMoClassifier(RELEASE, ("waist",), method="full", robust=full.robust, steps=6).fit(*data)
    again.network_share_ = full.network_share_ = 0.5
    np.testing.assert_array_equal(again.predict_proba(data[0]), full.predict_proba(data[0]))


def test_the_share_of_the_networks_is_that_which_is_right_most_often():
    truth = np.array([0, 1, 1, 0])
    sure = np.where(truth[:, None] == np.arange(2), 4.0, -4.0)
    assert _best_share(sure, -sure, truth) == 0 and _best_share(-sure, sure, truth) == 0.75
    mixed = _mixed(sure[:2], -sure[:2], 0.5)
    np.testing.assert_allclose(mixed[:, 0], mixed[:, 1])


@pytest.mark.slow
def test_full_is_linear_and_says_so_where_labels_are_too_few(data):
    windows, labels, people = (part[::4] for part in data)
    with pytest.warns(
        UserWarning, match="method='full' is the linear one here.*'running' there are 3 windows; 5 of each"
    ):
        few = AnyMoClassifier(RELEASE, ("waist",), method="full").fit(windows, labels, people)
    linear = AnyMoClassifier(RELEASE, ("waist",)).fit(windows, labels, people)
    np.testing.assert_array_equal(few.predict_proba(windows), linear.predict_proba(windows))


def test_windows_may_differ_in_length_and_lack_a_gyroscope(fitted):
    fresh = shaken(2, 4.0, 4.0, 9)
    lengths = fitted.predict([fresh[0], fresh[1, :70]])
    assert lengths.tolist() == ["running"] * 2
    without = fresh * [1, 1, 1, 0, 0, 0]
    expected = fitted.predict_proba(without)
    for same in (fresh[:, :, :3], list(fresh[:, :, :3]), [{"waist": window[:, :3]} for window in fresh]):
        np.testing.assert_allclose(fitted.predict_proba(same), expected, atol=1e-6)


def test_units_in_any_spelling(fitted):
    twin = AnyMoClassifier.load(fitted.save(Path(tempfile.mkdtemp()) / "twin"))
    fresh = shaken(2, 4.0, 4.0, 9)
    np.testing.assert_array_equal(
        twin.set_params(acceleration_unit="m/s2").predict_proba(fresh), fitted.predict_proba(fresh)
    )


def test_one_place_may_be_a_word_the_model_a_path_and_windows_a_series(data, tmp_path):
    windows, labels, people = data
    series = pd.Series(list(windows), index=range(5, 5 + len(windows)))
    one = AnyMoClassifier(Path(RELEASE), "waist", trees=0).fit(series, labels, people)
    again = AnyMoClassifier.load(one.save(tmp_path / "saved"))
    assert again.placements == ["waist"]
    np.testing.assert_array_equal(again.predict_proba(windows[:5]), one.predict_proba(series[:5]))


def test_a_save_that_fails_leaves_what_was_there(fitted, data, tmp_path, monkeypatch):
    folder = fitted.save(tmp_path / "mine")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full_disk(*_):
        raise OSError("no space left")

    monkeypatch.setattr(classifier, "save_file", full_disk)
    with pytest.raises(OSError, match="no space left"):
        fitted.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    with pytest.raises(OSError, match="no space left"):
        fitted.save(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_save_keeps_what_else_lies_in_its_folder(fitted, tmp_path):
    folder = fitted.save(fitted.save(tmp_path / "mine"))  # again is well
    (folder / "README.md").write_text("mine")
    with pytest.raises(OSError, match="holds README.md beside its classifier, which would be lost; give a new folder"):
        fitted.save(folder)
    assert (folder / "README.md").read_text() == "mine"


def test_what_is_no_saved_classifier_is_said_so(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "classifier.json").write_text("[" * 100_000)
    for name in ("none", "file", "deep"):
        with pytest.raises(OSError, match=f"{name}: not a saved AnyMoClassifier, or a damaged one"):
            AnyMoClassifier.load(tmp_path / name)


@pytest.mark.slow
def test_one_window_of_a_class_and_one_person_are_enough_for_linear(data):
    windows, labels, _ = data
    few = AnyMoClassifier(RELEASE, ("waist",)).fit(windows[::12], labels[::12], ["ann"] * 3)
    assert few.strength_ == 0.1 and few.predict(windows[:1]).tolist() == ["walking"]
    with pytest.warns(UserWarning, match="groups name one person: .* chosen on other windows of the same one") as said:
        AnyMoClassifier(RELEASE, ("waist",)).fit(windows, labels, ["ann"] * 36)
    assert [one.filename for one in said if "one person" in str(one.message)] == [__file__]  # the caller's line
    # each person does one thing only, so that a fold without them does not know it
    with pytest.warns(UserWarning, match="groups leave nobody out.*strength is the usual 0.1"):
        alone = AnyMoClassifier(RELEASE, ("waist",)).fit(windows, labels, labels)
    assert alone.strength_ == 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "tree"}, "method must be 'linear' or 'full', got 'tree'"),
        ({"robust": "no"}, "robust must be True or False, got 'no'"),
        ({"steps": 0}, "steps must be a whole number"),
        ({"trees": -1}, "trees must be a whole number"),
        ({"regularization": -1}, "regularization must be above 0"),
        ({"regularization": "1"}, "regularization must be above 0, or None, got '1'"),
        ({"random_state": None}, "random_state must be a whole number from 0 to .*got None"),
        ({"random_state": 2**40}, "random_state must be a whole number from 0 to"),
        ({"model": None}, "model must be a folder or a name on the Hub, got None"),
        ({"placements": "head"}, "window 0 is worn on waist, placements names head; leave placements out"),
        ({"placements": ("waist", "waist")}, r"placements names a sensor twice: \['waist', 'waist'\]"),
        ({"placements": None}, "placements is missing"),
        ({"sampling_rate": 2}, "sampling_rate"),
        ({"acceleration_unit": "feet"}, "acceleration_unit must be one of"),
        ({"angular_velocity_unit": "rpm"}, "angular_velocity_unit must be one of"),
    ],
)
def test_impossible_settings_are_said_in_one_sentence(data, settings, message):
    classifier = AnyMoClassifier(RELEASE, ("waist",)).set_params(**settings)
    windows = [{"waist": window} for window in data[0]] if settings.get("placements") == "head" else data[0]
    with pytest.raises(ValueError, match=message):
        classifier.fit(windows, *data[1:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y, g: (x, ["a"] * len(y), g), "one class only, 'a'; a classifier needs two"),
        (lambda x, y, g: (x, [*y[:-1], 3], g), "mixes text"),
        (lambda x, y, g: (x, [True, *range(35)], g), "y mixes True or False and other labels, such as 0; use one kind"),
        (lambda x, y, g: (x, [0, 1.5, *range(34)], g), "y holds 1.5 for window 1; classes are text or whole numbers"),
        (lambda x, y, g: ({"waist": x[0]}, y[:1], g[:1]), "X is one window, of waist; give a list of windows"),
        (lambda x, y, g: (x, y[:-1], g), "labels for 36 windows"),
        (lambda x, y, g: (x, y, g[:-1]), "groups must name"),
        (lambda x, y, g: (np.where(np.arange(6) == 1, np.nan, x), y, g), "NaN"),
        (lambda x, y, g: (x[..., :5], y, g), "must be"),
        (lambda x, y, g: ([{"tail": w} for w in x], y, g), "tail"),
        (lambda x, y, g: (x[0], y, g), "X must be"),
        (lambda x, y, g: (None, y, g), "X must be"),
        (lambda x, y, g: ([[["up"] * 6] * 100] * 36, y, g), "window 0: samples must be numbers"),
        (lambda x, y, g: (x, y, [None, *g[1:]]), "the person of window 0 is missing"),
        (lambda x, y, g: (x, [float("nan"), *range(35)], g), "none missing"),
        (lambda x, y, g: (x, [" ", *y[1:]], g), "the label of window 0 is an empty text"),
        (lambda x, y, g: (x, "walking", g), "y must be a list of labels, one a window, got 'walking'"),
        (lambda x, y, g: (x, 3, g), "y must be a list of labels, one a window, got 3"),
        (lambda x, y, g: (x, set(y), g), "y must be a list of labels, one a window"),
        (lambda x, y, g: (x, y, "ab" * 18), "groups must be a list of people, one a window, got 'abab"),
        (lambda x, y, g: (x, y, 3), "groups must be a list of people, one a window, got 3"),
        (lambda x, y, g: (x, y, pd.array([pd.NA, *["ann"] * 35])), "the person of window 0 is missing"),
        (
            lambda x, y, g: ([{"waist": x[0]}, *x[1:]], y, g),
            "window 1 is an array, window 0 {place: array}; give all alike",
        ),
        (lambda x, y, g: (x * 1e30, y, g), "window 0 reaches .*which no sensor reads"),
        (lambda x, y, g: (pd.DataFrame(x[:, :, 0]), y, g), "X is a table; give an array"),
        (
            lambda x, y, g: ([{"waist": x[0]}, *({"head": w} for w in x[1:])], y, g),
            "window 1 is worn on head; window 0 is waist; give windows of the same placements",
        ),
        (lambda x, y, g: (x[:, :40], y, g), "under one second"),
    ],
)
def test_bad_input_is_said_in_one_sentence(data, change, message):
    with pytest.raises(ValueError, match=message):
        AnyMoClassifier(RELEASE, ("waist",)).fit(*change(*data))


def test_sensors_of_a_window_are_of_one_length(data):
    windows, labels, people = data
    with pytest.raises(ValueError, match="window 0: sensors differ in length"):
        AnyMoClassifier(RELEASE).fit([{"waist": windows[0], "head": windows[0, :70]}] * 36, labels, people)


def test_a_window_that_cannot_be_read_is_named_by_its_own_number(fitted, data):
    spoiled = np.concatenate([data[0]] * 3)
    spoiled[101, 5] = np.nan
    with pytest.raises(ValueError, match="window 101.*NaN"):
        fitted.predict(spoiled)


def test_a_doubt_about_units_names_the_window_by_its_own_number(fitted, data):
    strange = np.concatenate([data[0]] * 3)
    strange[70] *= 100
    model = copy.copy(fitted)  # with an extractor that has not warned yet
    with pytest.warns(ImuWarning, match="recording 70, 'waist'"):
        model.predict_proba(strange)


def test_views_of_a_dict_are_lists(fitted, data):
    windows, labels, _ = data
    named = dict(enumerate(windows))
    again = AnyMoClassifier(RELEASE, ("waist",)).fit(named.values(), dict(enumerate(labels)).values())
    assert again.predict(named.values()).tolist() == again.predict(windows).tolist()


def test_an_array_of_unequal_windows_is_a_list_of_them(fitted, data):
    unequal = np.empty(2, dtype=object)
    unequal[:] = [data[0][0], data[0][1][:80]]
    np.testing.assert_array_equal(fitted.predict_proba(unequal), fitted.predict_proba(list(unequal)))


def test_windows_of_another_place_are_refused(fitted):
    with pytest.raises(ValueError, match="learnt waist"):
        fitted.predict([{"left_wrist": shaken(1, 2.0, 1.0, 0)[0]}])


@pytest.mark.slow
def test_trees_answer_beside_the_regression_from_five_windows_a_class(fitted, data, tmp_path):
    windows, labels, people = data
    few = AnyMoClassifier(RELEASE, ("waist",)).fit(windows[::4], np.array(labels)[::4], np.array(people)[::4])
    assert few.trees_ is None
    alone = AnyMoClassifier(RELEASE, ("waist",), trees=0).fit(windows, labels, people)
    assert alone.trees_ is None
    assert not np.allclose(alone.predict_proba(windows), fitted.predict_proba(windows))
    again = AnyMoClassifier.load(fitted.save(tmp_path / "kept"))
    assert np.array_equal(again.predict_proba(windows), fitted.predict_proba(windows))
    arrays = load_file(tmp_path / "kept" / "classifier.safetensors")
    arrays["trees.chances"] = np.ascontiguousarray(arrays["trees.chances"][:, :2])
    save_file(arrays, tmp_path / "kept" / "classifier.safetensors")
    with pytest.raises(OSError, match="arrays of its trees do not go together; save it again"):
        AnyMoClassifier.load(tmp_path / "kept")


@pytest.mark.slow
def test_turned_copies_are_no_windows_of_their_own(data, monkeypatch):
    windows, labels, _ = data
    few = AnyMoClassifier(RELEASE, ("waist",), robust=True).fit(windows[::4], labels[::4], ["ann"] * 9)
    assert few.few_ and few.trees_ is None  # three windows a class, however often they were turned
    table = np.arange(4 * 36)[:, None] * [1.0]  # 36 windows, four times
    rows, target = np.tile(np.arange(36), 4), np.repeat(np.arange(3), 12)
    seen = []

    class Learner:
        def fit(self, table, target):
            self.learned = set(table[:, 0].astype(int) % 36)
            return self

        def score(self, table, target):
            seen.append(self.learned & set(table[:, 0].astype(int) % 36))
            return 0.0

    monkeypatch.setattr(classifier, "_logistic", lambda strength: Learner())
    few.random_state = 0
    few._choose(table, rows, target, np.array(["ann"] * 36))
    assert len(seen) == 9 and not any(seen)  # no window stands on both sides of a fold


@pytest.mark.slow
def test_a_slow_device_is_taken_for_a_fast_one(data):
    """What is above 10 Hz is not learned from: a device of 20 Hz loses it."""
    windows, labels, people = data
    hum = windows + 0.3 * np.sin(2 * np.pi * 20 * np.arange(100) / 50)[None, :, None]
    made = AnyMoClassifier(RELEASE, ("waist",), robust=True).fit(hum, labels, people)
    assert (made.predict(windows) == np.array(labels)).mean() > 0.9
