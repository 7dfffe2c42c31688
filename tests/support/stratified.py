"""Whether a data set's classes can stratify a split."""

import numpy as np
from datasets import ClassLabel, Dataset, concatenate_datasets


def check_stratified_split(rows: Dataset, column: str) -> None:
    """Halves of the rows, each taken twice, hold every class equally often."""
    assert isinstance(rows.features[column], ClassLabel)
    twice = concatenate_datasets([rows, rows])
    halves = twice.train_test_split(test_size=0.5, seed=0, stratify_by_column=column)
    names, counts = np.unique(rows.with_format("numpy")[column], return_counts=True)
    for half in halves.values():
        found = np.unique(half.with_format("numpy")[column], return_counts=True)
        assert found[0].tolist() == names.tolist() and found[1].tolist() == counts.tolist()
