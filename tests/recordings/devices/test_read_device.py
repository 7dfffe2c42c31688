"""The registry of device exports: each member keeps the contract, the table is asked last, and files are recognised."""

import numpy as np
import pytest

from anymo_hf.modeling.imu_signal import ImuWarning
from anymo_hf.recordings.devices.device_format import ReadingOptions
from anymo_hf.recordings.devices.read_device import device_formats, first_lines, read_device, recognise_device


def test_every_format_keeps_the_contract():
    formats = device_formats()
    assert list(formats)[-1] == "table" and list(formats)[:-1] == sorted(list(formats)[:-1])
    for name, known in formats.items():
        assert known.name == name and known.title and callable(known.recognise) and callable(known.read)


def test_a_plain_table_is_read_with_what_the_user_says(tmp_path):
    path = tmp_path / "walk.csv"
    path.write_text("time,acc_x,acc_y,acc_z\n" + "".join(f"{i * 20},0,0,1\n" for i in range(100)))
    recording = read_device(path, "waist", options=ReadingOptions(acceleration_unit="g"))
    assert recording.sampling_rate == pytest.approx(50)
    np.testing.assert_allclose(recording.signals["waist"], np.tile([0, 0, 9.80665], (100, 1)))
    with pytest.raises(ValueError, match="device must be one of"):
        read_device(path, "waist", "toaster")


def test_what_is_no_text_and_no_file_is_refused(tmp_path):
    with pytest.raises(OSError, match="no such file"):
        recognise_device(tmp_path / "none.csv")
    (tmp_path / "x.bin").write_bytes(bytes(100))
    with pytest.raises(ValueError, match="no known export"):
        recognise_device(tmp_path / "x.bin")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_first_lines_in_any_encoding(tmp_path, encoding):
    (tmp_path / "x.csv").write_text("a (m/s²)\nb\n", encoding=encoding)
    assert first_lines(tmp_path / "x.csv") == ["a (m/s²)", "b"]


def test_what_was_guessed_is_warned_about_in_python_too(tmp_path):
    path = tmp_path / "walk.csv"
    path.write_text("time,acc_x,acc_y,acc_z\n" + "".join(f"{i * 20},0,0,1\n" for i in range(100)))
    with pytest.warns(ImuWarning, match="its median of 1 fits g"):
        signal = read_device(path, "waist").signals["waist"]
    np.testing.assert_allclose(signal[:, 2], 9.80665)
    with pytest.warns(ImuWarning, match="acceleration_unit='m/s\\^2' right"):
        read_device(path, "waist", options=ReadingOptions(acceleration_unit="m/s2"))
