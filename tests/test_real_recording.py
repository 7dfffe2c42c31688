"""The released weights on one real recording, end to end: file, units, placement, pipeline, command.

The files and their licence: `tests/data/README.md`. Nothing of this set was in training.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoModel, AutoProcessor, pipeline

from anymo_hf.recordings.devices.table import read_csv

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
RELEASE = str(ROOT / "anymo")
RATES = {"left_wrist": 104.3, "left_pocket": 102.5}  # samples over the time between the first and the last stamp
COLUMNS = "x_acc,y_acc,z_acc,x_gyro,y_gyro,z_gyro"
LABELS = ["walking", "sitting", "standing", "lying", "running", "cycling", "jumping rope", "writing"]


def file_of(placement):
    return ROOT / "tests" / "data" / f"walk_{placement}.csv"


@pytest.fixture(scope="module")
def recordings():
    return {
        placement: read_csv(file_of(placement), placement, COLUMNS.split(","), "m/s^2", "rad/s", rate)
        for placement, rate in RATES.items()
    }


@pytest.mark.parametrize("placement", RATES)
def test_units_and_rate_are_what_the_reader_is_told(recordings, placement):
    signal = recordings[placement].signals[placement]
    stamps = np.loadtxt(file_of(placement), delimiter=",", skiprows=1, usecols=6)
    assert RATES[placement] == pytest.approx(1000 * (len(stamps) - 1) / (stamps[-1] - stamps[0]), rel=1e-3)
    assert 9.0 < np.median(np.linalg.norm(signal[:, :3], axis=1)) < 10.6  # gravity: m/s^2, not g
    turning = np.linalg.norm(signal[:, 3:], axis=1)
    assert 0.3 < np.percentile(turning, 99) < 20  # rad/s of a walk; in deg/s it would be hundreds
    # the rate is right: a person takes 1.2 to 2.6 steps a second, and an arm swings at half of that
    up = np.linalg.norm(signal[:, :3], axis=1)
    power = np.abs(np.fft.rfft((up - up.mean()) * np.hanning(len(up)))) ** 2
    frequencies = np.fft.rfftfreq(len(up), 1 / recordings[placement].sampling_rate)
    band = (frequencies > 0.5) & (frequencies < 5)
    assert 0.6 < frequencies[band][power[band].argmax()] < 2.6


@pytest.mark.parametrize("placement", RATES)
def test_the_program_names_the_walk(anymo, placement):
    words = ["--placement", placement, "--rate", RATES[placement], "--columns", COLUMNS, "--model", RELEASE]
    code, out, err = anymo("recognize", file_of(placement), *words, "--labels", ",".join(LABELS), "--json")
    assert code == 0 and not err
    answer = json.loads(out)
    assert next(iter(answer["mean_scores"])) == "walking" and answer["mean_scores"]["walking"] > 3 / len(LABELS)
    assert [max(row["scores"], key=row["scores"].get) for row in answer["windows"]] == ["walking"] * 2
    assert [entry["activity"] for entry in answer["timeline"]] == ["walking"]
    code, out, err = anymo("caption", file_of(placement), *words)
    assert code == 0 and "walk" in out
    code, out, err = anymo(
        "recognize", file_of(placement), *words, "--labels", ",".join(LABELS), "--acceleration-unit", "g"
    )
    assert code == 0 and "is --acceleration-unit g right?" in err


def test_both_devices_together_name_the_walk(recordings):
    imu = {}
    for placement, recording in recordings.items():  # one clock: both at 50 samples a second for eight seconds
        signal, rate = recording.signals[placement], recording.sampling_rate
        times = np.arange(8 * 50) / 50
        imu[placement] = np.column_stack([np.interp(times, np.arange(len(signal)) / rate, row) for row in signal.T])
    recognise = pipeline("zero-shot-imu-classification", model=RELEASE)
    window = {name: signal[:250] for name, signal in imu.items()}
    ranked = recognise({"imu": window, "sampling_rate": 50}, candidate_labels=LABELS)
    assert ranked[0]["label"] == "walking"


def test_the_embedding_of_the_walk_does_not_depend_on_how_the_watch_is_turned(recordings):
    """The device's frame is arbitrary: turned by a third about an oblique axis, the walk stays nearer to itself."""
    import torch

    model, processor = AutoModel.from_pretrained(RELEASE).eval(), AutoProcessor.from_pretrained(RELEASE)
    recording = recordings["left_wrist"]
    signal, rate = recording.signals["left_wrist"], recording.sampling_rate
    turned = signal[:, [1, 2, 0, 4, 5, 3]]
    rest = np.tile(signal[:1], (len(signal), 1)) * [1, 1, 1, 0, 0, 0]
    with torch.no_grad():
        walk, other, quiet = (
            model.get_imu_features(
                **processor(imu={"left_wrist": rows[:500]}, sampling_rate=rate, return_tensors="pt")
            ).pooler_output[0]
            for rows in (signal, turned, rest)
        )
    assert walk @ other > walk @ quiet
