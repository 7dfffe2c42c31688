"""VRS files written byte by byte, read through the true packages where they are installed."""

import sys
from types import ModuleType

import numpy as np
import pytest
from support import nymeria_recordings as files

from anymo_hf.nymeria import imu as nymeria_imu
from anymo_hf.nymeria.imu import find_vrs, open_vrs, read_nymeria_imu
from anymo_hf.nymeria.narration import NymeriaTimeMap, time_map_from_vrs
from anymo_hf.nymeria.sequence import find_time_map, read_nymeria

PACKAGES = {"projectaria-tools": "_aria", "vrs": "_pyvrs"}


@pytest.fixture(params=PACKAGES)
def package(request, monkeypatch):
    """One of the two packages, the other one hidden."""
    if getattr(nymeria_imu, PACKAGES[request.param])() is None:
        pytest.skip(f"needs {request.param}: pip install {request.param}")
    for name, probe in PACKAGES.items():
        if name != request.param:
            monkeypatch.setattr(nymeria_imu, probe, lambda: None)
    return request.param


def readings(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.3, (count, 6)) + [0, 0, 9.8, 0, 0, 0]


def test_streams_come_back_on_the_shared_clock(tmp_path, package):
    right, left = readings(500), readings(400, 1)
    right[7, 1] = right[7, 0] = np.nan  # written as zeros that are marked invalid
    right[9, 3:] = np.nan
    path = tmp_path / "recording_lwrist" / "data" / "motion.vrs"
    times = files.write_imu_vrs(path, {"1202-1": right, "1202-2": left}, drift_ppm=30.0)
    imu = read_nymeria_imu(tmp_path, "left_wrist")
    kept = np.isfinite(right).all(axis=1)
    assert (imu.dropped, imu.sampling_rate) == (2, 1000.0)
    np.testing.assert_allclose(imu.signals, right[kept], atol=1e-6)
    expected = [files.timecode(time, drift_ppm=30.0) * 1e-9 for time in times["1202-1"][kept]]
    np.testing.assert_allclose(imu.time, expected, rtol=0, atol=1e-6)
    second = read_nymeria_imu(tmp_path, "left_wrist", "1202-2")
    assert (second.dropped, second.sampling_rate, second.signals.shape) == (0, 800.0, (400, 6))


def test_clock_beyond_its_readings_keeps_the_last_difference(tmp_path, package):
    path = tmp_path / "a.vrs"
    times = files.write_imu_vrs(path, {"1202-1": readings(300)}, drift_ppm=100.0)["1202-1"]
    outside = np.array([times[0] - 60_000_000_000, times[-1] + 60_000_000_000])
    moved = open_vrs(path).timecode_ns(outside) - outside
    ends = [files.timecode(times[0] - 100_000_000, drift_ppm=100.0) - (times[0] - 100_000_000)]
    np.testing.assert_allclose(moved[0], ends[0], rtol=0, atol=1000)
    assert moved[1] - moved[0] == pytest.approx(100e-6 * 5e8, abs=1000)


def test_time_map_is_exact(tmp_path, package):
    path = tmp_path / "recording_head" / "data" / "data.vrs"
    times = files.write_imu_vrs(path, {"1202-1": readings(900)}, drift_ppm=25.0)["1202-1"]
    time_map = time_map_from_vrs(path, files.NAME)
    expected = [files.timecode(time, drift_ppm=25.0) * 1e-9 for time in times]
    np.testing.assert_allclose(time_map.timecode_seconds(times * 1e-9), expected, rtol=0, atol=5e-5)
    assert time_map.source == "vrs"


def test_narrations_follow_the_clock_rather_than_the_guess(tmp_path, package):
    folder, *_ = files.write_sequence(tmp_path, mesh=None)
    # truly the first row began 0.4 s into the motion
    shifted = files.OFFSET_NS + 185_000_000
    files.write_imu_vrs(folder / "recording_head" / "data" / "motion.vrs", {"1202-1": readings(300)}, shifted)
    NymeriaTimeMap(files.NAME, 0, 0.0, "first_row").save(folder / "narration" / "time_map.json")
    sequence = read_nymeria(folder)
    assert sequence.time_map.source == "vrs"
    assert sequence.motion.narrations[0].start == pytest.approx(0.4, abs=1e-3)


def test_data_vrs_comes_first(tmp_path):
    folder = tmp_path / "recording_rwrist" / "data"
    folder.mkdir(parents=True)
    assert find_vrs(tmp_path, "right_wrist") is None
    (folder / "motion.vrs").touch()
    assert find_vrs(tmp_path, "right_wrist").name == "motion.vrs"
    (folder / "data.vrs").touch()
    assert find_vrs(tmp_path, "right_wrist").name == "data.vrs"
    with pytest.raises(ValueError, match="device must be one of head, left_wrist, right_wrist, got 'ankle'"):
        find_vrs(tmp_path, "ankle")


@pytest.mark.slow
def test_refuses_what_it_cannot_trust(tmp_path, package):
    path = tmp_path / "recording_head" / "data" / "motion.vrs"
    files.write_imu_vrs(path, {"1202-1": readings(50) / 9.8, "1202-2": np.full((50, 6), np.nan)})
    with pytest.raises(ValueError, match="median acceleration of 0.99"):
        read_nymeria_imu(tmp_path, "head")
    with pytest.raises(ValueError, match="1202-2 has 0 valid samples"):
        read_nymeria_imu(tmp_path, "head", "1202-2")
    with pytest.raises(ValueError, match="stream must be one of"):
        read_nymeria_imu(tmp_path, "head", "1202-3")
    files.write_imu_vrs(path, {"1202-1": readings(50)}, time_codes=False)
    with pytest.raises(ValueError, match="holds no time codes"):
        read_nymeria_imu(tmp_path, "head")
    with pytest.raises(ValueError, match="holds no stream 1202-2"):
        read_nymeria_imu(tmp_path, "head", "1202-2")
    with pytest.raises(OSError, match="neither data.vrs nor motion.vrs"):
        read_nymeria_imu(tmp_path, "left_wrist")
    path.write_bytes(b"VisionRe" + bytes(40))
    with pytest.raises(OSError, match=r"motion\.vrs: not a readable VRS file"):
        read_nymeria_imu(tmp_path, "head")


def test_packages_of_the_same_name_are_not_taken(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("projectaria_tools.", "pyvrs."))]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("projectaria_tools", "pyvrs"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    assert nymeria_imu.vrs_reader() is None
    with pytest.raises(ImportError, match="pip install projectaria-tools"):
        open_vrs(tmp_path / "motion.vrs")


def test_without_a_reader_the_first_row_is_taken(tmp_path, monkeypatch):
    for probe in PACKAGES.values():
        monkeypatch.setattr(nymeria_imu, probe, lambda: None)
    folder, *_ = files.write_sequence(tmp_path, mesh=None)
    path = folder / "recording_head" / "data" / "motion.vrs"
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.warns(UserWarning, match="a guess"):
        assert find_time_map(folder, files.START_US).source == "first_row"


@pytest.mark.slow
def test_a_reader_that_dies_ends_in_words(tmp_path, package):
    path = tmp_path / "recording_head" / "data" / "motion.vrs"
    files.write_imu_vrs(path, {"1202-1": readings(300)})
    file = open_vrs(path)
    file._process.kill()  # as a fault in the compiled code would
    for ask in (lambda: file.imu("1202-1"), file.device_span_ns, lambda: file.timecode_ns(np.zeros(3, np.int64))):
        with pytest.raises(
            OSError, match=r"motion\.vrs: not a readable VRS file \(its reader ended with -9\); download it again"
        ):
            ask()
    file.close()
    for place in range(40, 400, 24):  # heads and descriptions, whose faults end some readers by a signal
        whole = bytearray(path.read_bytes())
        whole[place : place + 4] = b"\xff\xff\xff\x7f"
        (tmp_path / "broken.vrs").write_bytes(whole)
        try:
            open_vrs(tmp_path / "broken.vrs").imu("1202-1")
        except (OSError, ValueError) as error:
            assert "broken.vrs" in str(error) and "download" in str(error)


def test_a_reading_that_no_sensor_gives_is_dropped(tmp_path, package):
    right = readings(300)
    right[5, 2] = 1e30
    files.write_imu_vrs(tmp_path / "recording_head" / "data" / "motion.vrs", {"1202-1": right})
    imu = read_nymeria_imu(tmp_path, "head")
    assert imu.dropped == 1 and np.abs(imu.signals).max() < 100
