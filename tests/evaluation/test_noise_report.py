"""Noise of whole datasets: grouped by placement and rate, read from files, and honest about what could not be done."""

import os

import numpy as np
import pytest

from anymo_hf.evaluation.noise_report import estimate_datasets, estimate_recordings, markdown_table
from anymo_hf.recordings.imu_recording import ImuRecording


def recording(
    placement: str, seconds: float, rate: float = 50.0, sigma: float = 0.01, columns: int = 6
) -> ImuRecording:
    signal = np.random.default_rng(0).normal(size=(int(seconds * rate), columns)) * sigma
    return ImuRecording({placement: signal}, rate, dataset="made_up")


def test_recordings_are_grouped_by_placement_and_rate():
    items = [recording("head", 10), recording("head", 4), recording("waist", 10, 100.0, 0.02), recording("foot", 1)]
    found, failed = estimate_recordings(items)
    assert list(found) == ["made_up head", "made_up waist"]
    assert found["made_up head"].acc_density == pytest.approx(0.01 / 25**0.5, rel=0.15)
    assert found["made_up waist"].gyro_density == pytest.approx(0.02 / 50**0.5, rel=0.15)
    assert "10 or more" in failed["made_up foot"]
    table = markdown_table(found, failed)
    assert "| made_up head | 50 |" in table and "made_up foot: not estimated" in table
    two = [recording("head", 10), recording("head", 10, 25.0), recording("head", 10, columns=3)]
    assert sorted(estimate_recordings(two)[0]) == [
        "made_up head (25 Hz, 6 columns)", "made_up head (50 Hz, 3 columns)", "made_up head (50 Hz, 6 columns)"
    ]  # fmt: skip


def test_folders_and_names_are_checked(tmp_path):
    with pytest.raises(OSError, match="no folder"):
        estimate_datasets(tmp_path)
    with pytest.raises(ValueError, match="unknown dataset 'nothing'; known: .*uci_hapt"):
        estimate_datasets(tmp_path, ["nothing"])
    (tmp_path / "uci_hapt").mkdir()
    found, failed = estimate_datasets(tmp_path)
    assert not found and "RawData/labels.txt" in failed["uci_hapt"]


@pytest.mark.realdata
def test_real_waist_phone():
    found, _ = estimate_datasets(os.environ["ANYMO_DATA"], ["uci_hapt"])
    phone = found["hapt waist"]
    # HAPT's accelerometer counts in 1/720 g
    assert phone.acc_step == pytest.approx(9.80665 / 720, rel=0.01)
    assert phone.still and 1e-3 < phone.acc_density < 2e-2 and 1e-4 < phone.gyro_density < 2e-3
