"""Every declared dataset keeps one contract, and a new one is one new file."""

import re
from pathlib import Path

import numpy as np
import pytest
from support.dataset_files.spoiled import SPOILERS
from support.dataset_files.two_people import WRITERS

from anymo_hf.cli import data as cli_data
from anymo_hf.evaluation.paper_results import paper_results
from anymo_hf.modeling.body_segments import SEGMENTS, resolve_placement
from anymo_hf.recordings import catalogue, dataset_check, datasets
from anymo_hf.recordings.catalogue import DATASETS, add_datasets, read_windows
from anymo_hf.recordings.dataset_check import check_datasets

# VRS is read in processes of their own
EACH = [pytest.param(name, marks=[pytest.mark.slow] * (name == "ego_exo4d")) for name in DATASETS]


@pytest.mark.parametrize("name", list(DATASETS))
def test_the_declaration_is_complete(name):
    dataset = DATASETS[name]
    assert dataset.name == name and dataset.title and dataset.note
    assert dataset.url.startswith("https://") and dataset.licence and dataset.licence_text
    assert len(dataset.labels) == len(dataset.label_ids)
    assert len(set(dataset.labels)) == len(dataset.labels) and len(set(dataset.label_ids)) == len(dataset.label_ids)
    assert not set(dataset.labels) & set(dataset.other_labels)
    assert len({text.lower() for text in dataset.labels}) == len(dataset.labels)
    assert {figure.count for figure in dataset.published} >= {"classes"}
    assert dataset.channels in (3, 6) and 20 <= dataset.sampling_rate <= 250 and all(dataset.units)
    if name in paper_results("recognition"):
        assert set(dataset.paper_segments) == set(dataset.placements)


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("wrist", ["forearm", "hand"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_sensors_worn_at_once_have_a_segment_each(name, wrist, tmp_path):
    WRITERS[name](tmp_path / name)
    for segments in ("worn", "paper"):
        for window in read_windows(name, tmp_path, segments):
            found = [resolve_placement(place, wrist) for place in window.signals]
            assert len(set(found)) == len(found), (segments, list(window.signals))
            if segments == "paper" and DATASETS[name].paper_segments:
                assert set(window.signals) <= set(SEGMENTS)


@pytest.mark.parametrize("name", EACH)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_small_original_files_give_what_is_declared(name, tmp_path):
    dataset = DATASETS[name]
    WRITERS[name](tmp_path / name)
    recordings = list(dataset.parse(tmp_path))
    assert recordings
    for recording in recordings:
        assert recording.sampling_rate == dataset.sampling_rate
        assert recording.label in (*dataset.labels, *dataset.other_labels)
        if recording.label in dataset.labels:
            assert recording.label_id == dataset.label_ids[dataset.labels.index(recording.label)]
        assert set(recording.signals) <= set(dataset.placements)
        for signal in recording.signals.values():
            assert signal.shape[1] == dataset.channels
            assert 9.0 < np.median(np.linalg.norm(signal[:, :3], axis=1)) < 30  # gravity, or work: m/s^2, not g
            assert np.percentile(np.abs(signal[:, 3:]), 99) < 40  # rad/s, not degrees
    (report,) = check_datasets(tmp_path)
    assert report.name == name and not report.problems, report.problems
    # one person of WISDM is written without a gyroscope, as in the original
    assert report.faults == (["a gyroscope file is missing"] if name.startswith("wisdm") else [])
    assert report.counts["recordings"] == len(recordings)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        pytest.param(name, broken.fault, marks=[pytest.mark.slow] * (name == "ego_exo4d"))
        for name, dataset in DATASETS.items()
        for broken in dataset.broken
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_declared_fault_is_recognised(name, fault, tmp_path):
    WRITERS[name](tmp_path / name)
    SPOILERS[name][fault](tmp_path / name)
    (report,) = check_datasets(tmp_path)
    assert report.name == name and fault in report.faults, (report.problems, report.notes)


def test_every_dataset_says_how_its_copies_are_broken():
    for name, dataset in DATASETS.items():
        assert dataset.broken and set(SPOILERS[name]) == {broken.fault for broken in dataset.broken}, name


def test_the_check_knows_no_dataset_by_name():
    for module in (dataset_check, cli_data):
        words = set(re.findall(r"[a-z0-9_]+", Path(module.__file__).read_text().lower()))
        assert not words & {*DATASETS, "unimts", "unimts_bundle"}


TOY = '''
from pathlib import Path

import numpy as np

from ..dataset import Dataset, Published
from ..imu_recording import ImuRecording


def read_toy(folder):
    for path in sorted(Path(folder).rglob("toy_*.csv")):
        values = np.loadtxt(path, delimiter=",")
        yield ImuRecording({"waist": values}, 50.0, ("rest", "turn")[int(path.stem[-1])], int(path.stem[-1]), "1")


DATASET = Dataset(
    "toy", "Toy", "https://doi.org/10.0/toy", ("waist",), 50.0, ("m/s^2", "rad/s"), ("rest", "turn"), (0, 1),
    r"toy_[01]\\.csv", read_toy, published=(Published("classes", 2, "both"),), note="none",
)
'''  # fmt: skip


def test_a_new_dataset_is_one_new_file(tmp_path, monkeypatch):
    from anymo_hf.evaluation import recognition
    from anymo_hf.evaluation.noise_report import estimate_datasets

    plugins, data = tmp_path / "plugins", tmp_path / "data" / "toy"
    plugins.mkdir()
    data.mkdir(parents=True)
    (plugins / "toy.py").write_text(TOY)
    for number in (0, 1):
        np.savetxt(data / f"toy_{number}.csv", np.tile([0, 9.81, 0, 0, number, 0], (600, 1)), delimiter=",")
    monkeypatch.setattr(datasets, "__path__", list(datasets.__path__))
    monkeypatch.setattr(catalogue, "DATASETS", DATASETS)
    try:
        assert add_datasets(plugins) == ["toy"]
        windows = list(read_windows("toy", data))
        assert [window.label for window in windows] == ["rest", "rest", "turn", "turn"]
        (report,) = check_datasets(tmp_path / "data")
        assert report.name == "toy" and not report.problems and report.counts["windows"] == 4
        assert recognition._find_datasets(tmp_path / "data", None, 64, None, "learned") == ["toy"]
        assert not estimate_datasets(tmp_path / "data", ["toy"])[1].get("toy")
    finally:
        DATASETS.pop("toy", None)
    with pytest.raises(ValueError, match="unknown dataset 'toy'"):
        next(read_windows("toy", data))
    (plugins / "toy.py").rename(plugins / "other.py")
    with pytest.raises(ValueError, match=r"other\.py: declares 'toy'"):
        add_datasets(plugins)
