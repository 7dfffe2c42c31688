"""Every device's layout, written by an independent writer: units, sign, rate, joined files, and a broken copy of each."""

import random
import re
import shutil
import time
import zipfile

import numpy as np
import pytest
from support.device_files import TEXT_FILES, X, Y, Z

from anymo_hf.recordings.devices.arduino import _pairs
from anymo_hf.recordings.devices.device_format import ReadingOptions
from anymo_hf.recordings.devices.export import read_export
from anymo_hf.recordings.devices.read_device import device_formats


def _check(export, known):
    assert export.device == known.format
    assert export.sampling_rate == pytest.approx(known.rate, rel=2e-3)
    signal = export.only().signals["waist"]
    assert len(signal) == pytest.approx(known.count, abs=1)
    np.testing.assert_allclose(signal[:, :3], np.tile([X, Y, Z], (len(signal), 1)), atol=known.tolerance)
    assert signal.shape[1] == (6 if known.turns else 3), export.warnings
    if known.turns:
        np.testing.assert_allclose(signal[:, 3:], np.tile([0, 0, np.pi / 2], (len(signal), 1)), atol=1e-4)
    assert not export.warnings


@pytest.mark.parametrize("name", TEXT_FILES)
def test_a_layout_is_recognised_and_read(tmp_path, name):
    known = TEXT_FILES[name]
    _check(read_export(known.write(tmp_path), "waist"), known)


@pytest.mark.parametrize("name", TEXT_FILES)
def test_a_broken_copy_is_refused(tmp_path, name):
    known = TEXT_FILES[name]
    path = known.write(tmp_path)
    encoding = "latin-1" if name == "androsensor" else "utf-8"
    text = path.read_text(encoding=encoding)
    assert known.broken[0] in text
    path.write_text(text.replace(*known.broken, 1), encoding=encoding)
    with pytest.raises((ValueError, OSError), match=known.message):
        read_export(path, "waist").only()


@pytest.mark.parametrize("name", ["phyphox", "matlab_mobile", "metawear", "sensor_logger"])
def test_a_folder_and_a_zip_hold_one_recording(tmp_path, name):
    known = TEXT_FILES[name]
    folder = tmp_path / "recording"
    folder.mkdir()
    known.write(folder)
    _check(read_export(folder, "waist"), known)
    packed = tmp_path / "recording.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"inner/{file.name}")
    export = read_export(packed, "waist")
    assert len(export.files) > 1 and export.only().source == str(packed)
    _check(export, known)
    packed.write_bytes(packed.read_bytes()[:-30])
    with pytest.raises((OSError, ValueError), match="recording.zip"):
        read_export(packed, "waist")


def test_a_gyroscope_of_another_time_is_left_out_and_said(tmp_path):
    path = TEXT_FILES["phyphox"].write(tmp_path)
    other = tmp_path / "Gyroscope.csv"
    lines = other.read_text().splitlines()
    shifted = [f"{1000 + i / 100:.6E};0;0;0".replace(".", ",") for i in range(len(lines) - 1)]
    other.write_text("\n".join([lines[0], *shifted]) + "\n")
    export = read_export(path, "waist")
    assert export.only().signals["waist"].shape[1] == 3
    assert any("Gyroscope.csv was left out: its clock covers 0%" in said for said in export.warnings)


def test_a_gyroscope_alone_is_no_recording_and_beside_its_accelerometer_is(tmp_path):
    known = TEXT_FILES["phyphox"]
    known.write(tmp_path)
    export = read_export(tmp_path / "Gyroscope.csv", "waist")
    assert [file.name for file in export.files] == ["Accelerometer.csv", "Gyroscope.csv"]
    (tmp_path / "Accelerometer.csv").unlink()
    with pytest.raises(ValueError, match="a gyroscope's file"):
        read_export(tmp_path / "Gyroscope.csv", "waist")


def test_linear_acceleration_of_sensor_logger_is_refused_without_gravity(tmp_path):
    path = TEXT_FILES["sensor_logger"].write(tmp_path)
    (tmp_path / "Gravity.csv").unlink()
    with pytest.raises(ValueError, match="is without gravity, which cannot be repaired"):
        read_export(path, "waist")


def test_the_sign_of_an_apple_export_can_be_overruled(tmp_path):
    path = TEXT_FILES["sensorlog"].write(tmp_path)
    signal = read_export(path, "waist", options=ReadingOptions(apple_sign=False)).only().signals["waist"]
    np.testing.assert_allclose(signal[0, :3], [-X, -Y, -Z], atol=1e-4)


def test_no_format_takes_the_file_of_another(tmp_path):
    from anymo_hf.recordings.devices.read_device import first_lines

    for name, known in TEXT_FILES.items():
        folder = tmp_path / name
        folder.mkdir()
        path = known.write(folder)
        lines = first_lines(path)
        takers = [f.name for f in device_formats().values() if f.recognise(path, lines) and f.name != "table"]
        assert takers == [known.format], name
        shutil.rmtree(folder)


def test_a_word_of_thousands_of_letters_takes_no_time(tmp_path):
    """Time goes with the length of a line, not with its square."""
    path = tmp_path / "walk.csv"
    path.write_text(f"time,acc_x,{'a' * 300_000},acc_z\n" + f"0,{'1' * 300_000},sampl\n" + "freq" * 100_000 + "\n")
    began = time.process_time()
    with pytest.raises((ValueError, OSError), match=r"walk\.csv"):
        read_export(path, "waist").only()
    assert time.process_time() - began < 3


def test_names_and_values_of_a_line_are_those_of_one_expression():
    pattern = re.compile(r"([A-Za-z_][A-Za-z_. ]*?)\s*[:=]\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)")
    rng, parts = random.Random(0), ["aX", "g_z", ".", " ", "=", ": ", "-0.5", "1e3", "7", "|", "\t", "acc x", "e", "-"]
    texts = ["".join(rng.choices(parts, k=12)) for _ in range(3000)]
    wanted = [[(name.strip(), value) for name, value in pattern.findall(text)] for text in texts]
    assert [_pairs(text) for text in texts] == wanted and sum(map(len, wanted)) > 300


@pytest.mark.parametrize("damage", [(b"PK\x01\x02", b"PK\x01\x00"), (b"walk.csv", b"w\xff\xfe.csv")])
def test_a_damaged_zip_is_refused_by_its_name(tmp_path, damage):
    path = tmp_path / "walk.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("walk.csv")
        info.flag_bits |= 0x800  # its name is UTF-8, it says
        archive.writestr(info, "0,0,9.81\n" * 500)
    held = path.read_bytes()
    path.write_bytes(held.replace(*damage).replace(b"\x00\x00\x21\x00walk", b"\x00\x08\x21\x00walk"))
    with pytest.raises((OSError, ValueError), match=r"walk\.zip: .*again"):
        read_export(path, "waist").only()
