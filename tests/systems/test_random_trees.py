"""`RandomTrees`: the chances of scikit-learn's own trees, through arrays and back, and damaged arrays are refused."""

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from anymo_hf.systems.random_trees import RandomTrees, grow_trees


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(90, 7))
    return table, (table[:, 0] + 0.5 * rng.normal(size=90) > 0).astype(int) + (table[:, 3] > 0.5)


def test_chances_are_those_of_scikit_learn(rows):
    fresh = np.random.default_rng(1).normal(size=(50, 7))
    theirs = ExtraTreesClassifier(20, random_state=3).fit(*rows).predict_proba(fresh)
    np.testing.assert_allclose(grow_trees(*rows, seed=3, trees=20).predict_proba(fresh), theirs, atol=1e-6)


def test_arrays_come_back(rows):
    trees = grow_trees(*rows, seed=0, trees=5)
    again = RandomTrees.from_arrays(trees.arrays(), columns=7, classes=3)
    assert np.array_equal(again.predict_proba(rows[0]), trees.predict_proba(rows[0]))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("children", lambda a: np.zeros_like(a), "not there"),  # would go round for ever
        ("children", lambda a: a + 10**6, "not there"),
        ("column", lambda a: a + 7, "not there"),
        ("roots", lambda a: a - 1, "not there"),
        ("chances", lambda a: a[:-1], "do not go together"),
        ("roots", lambda a: a[:0], "do not go together"),
        ("column", lambda a: a.astype(float), "do not go together"),
    ],
)
def test_damaged_arrays_are_refused(rows, name, change, message):
    arrays = grow_trees(*rows, seed=0, trees=3).arrays()
    with pytest.raises(ValueError, match=message):
        RandomTrees.from_arrays(arrays | {name: change(arrays[name])}, columns=7, classes=3)


def test_a_missing_array_is_named(rows):
    arrays = grow_trees(*rows, seed=0, trees=3).arrays()
    del arrays["threshold"]
    with pytest.raises(ValueError, match="of its trees threshold is missing"):
        RandomTrees.from_arrays(arrays, columns=7, classes=3)
