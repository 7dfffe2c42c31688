"""EgoExo4D: real VRS bytes, both packages, valid samples only, the device's clock; damaged takes are refused."""

import json

import numpy as np
import pytest
from support.dataset_files import ego_exo4d as files

from anymo_hf.nymeria import imu as nymeria_imu
from anymo_hf.recordings.datasets import ego_exo4d
from anymo_hf.recordings.datasets.ego_exo4d import LABELS, TAKES, read_ego_exo4d

packages = [
    pytest.param(name, marks=pytest.mark.skipif(module() is None, reason=f"{name} is not installed"))
    for name, module in (("projectaria-tools", nymeria_imu._aria), ("vrs", nymeria_imu._pyvrs))
]
needs_vrs = pytest.mark.skipif(nymeria_imu.vrs_reader() is None, reason="no package that reads VRS is installed")


@pytest.mark.parametrize("package", packages)
def test_valid_samples_at_200_hz_on_the_devices_clock(tmp_path, package, monkeypatch):
    if package == "vrs":
        monkeypatch.setattr(nymeria_imu, "_aria", lambda: None)
    signal = files.still(3000)
    signal[500:520, 0] = np.nan  # written as invalid accelerometer
    signal[700, 3] = np.nan  # and invalid gyroscope
    files.take(tmp_path, "cmu_bike01_2", signal)
    files.lists(tmp_path, test=[("cmu_bike01_2", "Bike Repair")])
    (only,) = read_ego_exo4d(tmp_path)
    head = only.signals["head"]
    assert (only.label, only.label_id, only.session, only.sampling_rate) == ("Bike Repair", 1, "cmu_bike01_2", 200)
    assert head.shape == (600, 6) and only.start_time == pytest.approx(files.FIRST_NS * 1e-9, abs=1e-6)
    np.testing.assert_allclose(head[20:-20, 1], 9.8, rtol=1e-3)
    expected = np.sin(2 * np.pi * np.arange(600) / 200)
    np.testing.assert_allclose(head[20:-20, 3], expected[20:-20], atol=0.01)


@needs_vrs
def test_a_pause_splits_and_the_left_imu_can_be_chosen(tmp_path):
    signal = files.still(4800, 800.0)
    signal[1600:3200, 0] = np.nan  # two seconds
    files.take(tmp_path, "upenn_0710_Dance", signal, "1202-2")
    files.lists(tmp_path, test=[("upenn_0710_Dance", "dance")])
    first, second = read_ego_exo4d(tmp_path, stream="1202-2")
    assert first.label == "Dance" and second.start_time - first.start_time == pytest.approx(4.0, abs=1e-6)
    with pytest.raises(ValueError, match="no recording can be used; the first: .*no stream 1202-1"):
        list(read_ego_exo4d(tmp_path))
    with pytest.raises(ValueError, match="stream must be one of 1202-1, 1202-2"):
        list(read_ego_exo4d(tmp_path, stream="1201-1"))


@needs_vrs
def test_metadata_gives_labels_without_lists_and_people(tmp_path):
    files.take(tmp_path, "a_1", files.still(1500))
    files.take(tmp_path, "b_2", files.still(1500))
    rows = [{"take_name": "a_1", "parent_task_name": "Soccer", "participant_uid": 388}, {"take_name": "c"}]
    (tmp_path / "takes.json").write_text(json.dumps(rows))
    with pytest.warns(UserWarning, match="split is unknown and all 2 recordings are given"):
        found = list(read_ego_exo4d(tmp_path))
    assert [(r.label, r.label_id, r.subject) for r in found] == [("Soccer", 7, "388"), (None, None, "")]
    files.lists(tmp_path, train=[("a_1", "Soccer")], test=[("b_2", "Music")])
    assert [(r.label, r.subject) for r in read_ego_exo4d(tmp_path)] == [("Music", "")]
    (tmp_path / "takes.json").write_text('{"takes": 3}')
    with pytest.raises(ValueError, match="takes.json: no list of takes"):
        list(read_ego_exo4d(tmp_path))
    assert list(LABELS) == sorted(LABELS) and sum(TAKES.values()) == 4994


@needs_vrs
def test_takes_that_cannot_be_used_are_named(tmp_path):
    files.take(tmp_path, "good", files.still(1500))
    files.take(tmp_path, "in_g", files.still(1500) / 9.8)
    files.take(tmp_path, "invalid", np.full((1500, 6), np.nan))
    files.lists(tmp_path, test=[("good", "Health"), ("in_g", "Health"), ("invalid", "Health")])
    with pytest.warns(UserWarning, match="left out 2 of 3 .*in_g.*median acceleration.*invalid.*no valid sample"):
        assert [r.session for r in read_ego_exo4d(tmp_path)] == ["good"]


@needs_vrs
def test_damaged_and_missing_files_are_refused(tmp_path):
    with pytest.raises(OSError, match=r"no takes/<take>/\*_noimagestreams.vrs found"):
        list(read_ego_exo4d(tmp_path))
    path = files.take(tmp_path, "a", files.still(1500))
    files.lists(tmp_path, test=[("a", "Cooking")])
    path.write_bytes(b"not a recording")
    with pytest.raises(OSError, match="aria01_noimagestreams.vrs: not a readable VRS file"):
        list(read_ego_exo4d(tmp_path))
    files.lists(tmp_path, test=[("a", "Cooking"), ("b", "Chess")])
    with pytest.raises(ValueError, match="line 2: .*'Chess', which is no known class"):
        list(read_ego_exo4d(tmp_path))


def test_without_a_package_the_mend_is_named(tmp_path, monkeypatch):
    path = tmp_path / "takes" / "a" / "aria01_noimagestreams.vrs"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    files.lists(tmp_path, test=[("a", "Cooking")])
    monkeypatch.setattr(nymeria_imu, "_aria", lambda: None)
    monkeypatch.setattr(nymeria_imu, "_pyvrs", lambda: None)
    with pytest.raises(ImportError, match="pip install projectaria-tools, or pip install vrs"):
        list(ego_exo4d.read_ego_exo4d(tmp_path))
