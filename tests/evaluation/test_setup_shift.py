"""The shift of the setup: people are held out, a turn keeps every length, and a run goes on where it was stopped."""

import numpy as np
import pytest

from anymo_hf.evaluation.setup_shift import Cell, read_cells, split, table, turned, write_cells
from anymo_hf.recordings.imu_recording import ImuRecording


@pytest.fixture
def recordings():
    rng = np.random.default_rng(0)
    return [
        ImuRecording({"waist": rng.normal(size=(60, 6))}, 50.0, label, subject=person, dataset="toy")
        for person in "abcdefgh"
        for label in ("walk", "sit", "stand")
        for _ in range(3)
    ]


def test_nobody_is_in_training_and_test(recordings):
    for windows in (1, 2, 0):
        train, test = split(recordings, windows, seed=3)
        assert not {recordings[row].subject for row in train} & {recordings[row].subject for row in test}
        if windows:
            labels = [recordings[row].label for row in train]
            assert all(labels.count(label) == windows for label in ("walk", "sit", "stand"))


def test_one_turn_a_person_keeps_lengths_and_angles(recordings):
    other = turned(recordings, seed=1)
    for before, after in zip(recordings, other, strict=True):
        one, two = before.signals["waist"], after.signals["waist"]
        np.testing.assert_allclose(one[:, :3] @ one[:, 3:].T, two[:, :3] @ two[:, 3:].T, atol=1e-9)
        assert np.abs(one - two).max() > 0.1
    turn = [np.linalg.lstsq(b.signals["waist"][:, :3], a.signals["waist"][:, :3], rcond=None)[0]
            for b, a in zip(recordings, other, strict=True)]  # fmt: skip
    np.testing.assert_allclose(turn[0], turn[8])
    assert np.abs(turn[0] - turn[9]).max() > 0.1


def test_too_few_people_are_refused(recordings):
    with pytest.raises(ValueError, match="four are needed"):
        split([one for one in recordings if one.subject in "abc"], 1, 0)


def test_cells_come_back_and_are_averaged_over_seeds(tmp_path):
    cells = [Cell("uci_hapt", "feature_forest", 1, seed, 60 + seed, 40 + seed, 50, 6, 300) for seed in (0, 2)]
    write_cells(tmp_path / "t.json", cells)
    assert read_cells(tmp_path / "t.json") == cells
    assert "| uci_hapt | 1 |  | 61.0 / 41.0 |  |  |" in table(cells)
    (tmp_path / "t.json").write_text("{}")
    with pytest.raises(ValueError, match="delete it"):
        read_cells(tmp_path / "t.json")
