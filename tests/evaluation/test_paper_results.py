"""The paper's numbers agree with what the paper says of them elsewhere."""

import numpy as np
import pytest

from anymo_hf.evaluation.paper_results import paper_results
from anymo_hf.recordings.catalogue import DATASETS


def test_recognition_averages_are_those_printed():
    table = paper_results("recognition")
    averages = table.pop("average")
    assert len(table) == 14 and set(table) <= set(DATASETS) and len(averages) == 9
    for system, printed in averages.items():
        mean = np.mean([row[system] for row in table.values()], axis=0)
        np.testing.assert_allclose(mean, printed, atol=0.11, err_msg=system)
    assert averages["AnyMo"] == (35.7, 29.5, 57.5)


def test_retrieval_grows_with_the_number_of_candidates_looked_at():
    table = paper_results("retrieval")
    assert len(table) == 8
    for setting, row in table.items():
        assert ("GPT-5.4 Mini" in row) == ("100 samples, imu_to_text" in setting)
        for system, (first, five, ten, mrr) in row.items():
            assert first <= five <= ten and first <= mrr <= 100, (setting, system)
    assert table["nymeria, 100 samples, imu_to_text"]["AnyMo"][3] == 44.6  # section 4.2


def test_captioning_holds_what_the_text_quotes():
    table = paper_results("captioning")
    assert set(table) == {"nymeria", "ego_exo4d"} and all(len(row) == 3 for row in table.values())
    ours, theirs = table["nymeria"]["AnyMo"], table["nymeria"]["GPT-5.4 Mini"]
    assert (ours[2], theirs[2], ours[4], theirs[4]) == (31.1, 15.7, 69.7, 57.3)
    assert table["ego_exo4d"]["AnyMo"] == (20.7, 0.4, 19.7, 30.3, 67.1)


def test_an_unknown_task_is_refused():
    with pytest.raises(KeyError):
        paper_results("weather")
