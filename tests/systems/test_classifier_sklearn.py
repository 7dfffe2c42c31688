"""scikit-learn's own checks of an estimator, on windows made from their tables."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted, validate_data
from support.tiny_release import write_tiny_release

from anymo_hf import AnyMoClassifier

RELEASE = str(Path(__file__).parents[2] / "anymo")
TIMES = np.arange(50) / 50


class TableClassifier(AnyMoClassifier):
    """Takes tables `(n, features)`, since the checks know nothing else: a feature is the size of a sine of its own.

    Tables are checked as scikit-learn's estimators check theirs; labels, fitting and predicting are the classifier's.
    """

    def __init__(
        self,
        model=RELEASE,
        placements=("waist",),
        method="linear",
        regularization=0.1,
        trees=3,
        steps=1,
        random_state=0,
    ):
        super().__init__(
            model, placements, method=method, regularization=regularization, trees=trees, steps=steps,
            random_state=random_state,
        )  # fmt: skip

    def fit(self, X, y, groups=None):
        X = validate_data(self, X)
        super().fit(as_windows(X), y, groups)
        self.n_features_in_ = X.shape[1]
        return self

    def predict_proba(self, X):
        check_is_fitted(self)
        return super().predict_proba(as_windows(validate_data(self, X, reset=False)))


def as_windows(table):
    """`(n, 50, 6)`, a second at 50 Hz."""
    sines = np.sin(2 * np.pi * np.outer(np.arange(1, table.shape[1] + 1), TIMES))
    swing = np.tanh(table / 10) @ sines
    windows = np.zeros((len(table), len(TIMES), 6))
    windows[:, :, 0], windows[:, :, 2] = swing, 9.81 + swing
    return windows


@pytest.mark.slow
@pytest.mark.parametrize("method", ["linear", "full"])
@pytest.mark.filterwarnings("ignore:method='full' is the linear one")
def test_scikit_learns_checks_pass(method, tmp_path):
    shallow = {"channels": [4, 48], "strides": [4, 1]}  # the checks train it 150 times
    release = write_tiny_release(tmp_path / "anymo", encoder=shallow)
    results = check_estimator(TableClassifier(release, method=method), on_skip=None, on_fail=None)
    failed = {row["check_name"]: row["exception"] for row in results if row["status"] == "failed"}
    skipped = {row["check_name"] for row in results if row["status"] == "skipped"}
    assert not failed and len(results) > 50
    assert skipped <= {
        "check_array_api_input"
    }  # skips itself unless SCIPY_ARRAY_API is set; torch works on arrays here
    assert sum(row["status"] == "passed" for row in results) >= len(results) - 1


def test_a_column_of_labels_warns_and_what_is_no_class_is_refused():
    windows = as_windows(np.random.default_rng(0).normal(size=(6, 3)))
    classifier = AnyMoClassifier(RELEASE, ("waist",))
    with pytest.raises(ValueError, match="Unknown label type"):
        classifier.fit(windows, [0.5, 1.25, 2.5, 0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="requires y"):
        classifier.fit(windows, None)
    with pytest.warns(UserWarning, match="1d array"):
        classifier.fit(windows, np.array([[0], [1], [0], [1], [0], [1]]))
    assert classifier.set_params(sampling_rate=40.0).get_params()["sampling_rate"] == 40.0
