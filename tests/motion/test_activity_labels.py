"""AnyMo-180 as the paper prints it: counts, extremes, median and mean (A.4)."""

import numpy as np

from anymo_hf.motion.activity_labels import anymo180, label_names


def test_the_vocabulary_has_the_papers_statistics():
    labels = anymo180()
    counts = np.array(list(labels.values()))
    assert len(labels) == 180
    assert counts.sum() == 158_138 and counts.min() == 18 and counts.max() == 19_696
    assert np.median(counts) == 342.5 and round(counts.mean(), 2) == 878.54


def test_slashes_part_phrasings():
    assert label_names("walking / hiking") == ["walking", "hiking"]
    assert label_names("standing") == ["standing"]
