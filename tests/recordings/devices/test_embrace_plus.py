"""EmbracePlus files in the published schemas, before and from version 6.5 on, and damaged ones."""

import numpy as np
import pytest
from support.device_files import IN_G, SI, TURN

from anymo_hf.recordings.devices.device_format import ReadingOptions
from anymo_hf.recordings.devices.export import read_export
from anymo_hf.recordings.devices.read_device import device_formats, first_lines

fastavro = pytest.importorskip("fastavro")

COUNT, START = 640, 1_700_000_000_250_000  # µs


def schema(minor):
    """As the files carry it: streams of whole numbers with their scale, beside others that are not read."""
    params = ["physicalMin", "physicalMax", "digitalMin", "digitalMax"]
    fields = [{"name": name, "type": "int"} for name in params]
    if minor >= 5:
        fields.append({"name": "conversionFactor", "type": "float"})
    imu = {"type": "record", "name": "Imu", "fields": [
        {"name": "timestampStart", "type": "long"}, {"name": "samplingFrequency", "type": "float"},
        {"name": "imuParams", "type": {"type": "record", "name": "ImuParams", "fields": fields}},
        *({"name": axis, "type": {"type": "array", "items": "int"}} for axis in "xyz"),
    ]}  # fmt: skip
    eda = {"type": "record", "name": "Eda", "fields": [
        {"name": "timestampStart", "type": "long"}, {"name": "samplingFrequency", "type": "float"},
        {"name": "values", "type": {"type": "array", "items": "float"}},
    ]}  # fmt: skip
    version = {"type": "record", "name": "Version", "fields": [
        {"name": name, "type": "int"} for name in ("major", "minor", "patch")
    ]}  # fmt: skip
    raw = {"type": "record", "name": "RawData", "fields": [
        {"name": "accelerometer", "type": imu}, {"name": "gyroscope", "type": "Imu"}, {"name": "eda", "type": eda},
    ]}  # fmt: skip
    return {"type": "record", "name": "Session", "fields": [
        {"name": "schemaVersion", "type": version}, {"name": "timezone", "type": "int"},
        {"name": "deviceSn", "type": "string"}, {"name": "rawData", "type": raw},
    ]}  # fmt: skip


def stream(values, largest, minor, count=COUNT, start=START, rate=64.0):
    """`count` samples of `values`, 16 bits for plus and minus `largest`; no count: as a sensor that is switched off."""
    params = dict.fromkeys(("physicalMin", "physicalMax", "digitalMin", "digitalMax"), 0)
    if count:
        params = {"physicalMin": -largest, "physicalMax": largest, "digitalMin": -32768, "digitalMax": 32768}
    if minor >= 5:  # the ranges no longer tell the scale
        params |= {"physicalMax": 3 * largest, "conversionFactor": largest / 32768}
    axes = {axis: [round(value / largest * 32768)] * count for axis, value in zip("xyz", values, strict=True)}
    return {"timestampStart": start, "samplingFrequency": rate, "imuParams": params, **axes}


def write(folder, minor=3, codec="null", records=1, **gyroscope):
    path = folder / "1-1-A_1700000000.avro"
    turns = stream((0, 0, 90), 2000, minor, **gyroscope)
    eda = {"timestampStart": START, "samplingFrequency": 4.0, "values": [0.1] * 40}
    raw = {"accelerometer": stream(IN_G, 16, minor), "gyroscope": turns, "eda": eda}
    version = {"major": 6, "minor": minor, "patch": 0}
    record = {"schemaVersion": version, "timezone": 3600, "deviceSn": "3YK0000000", "rawData": raw}
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema(minor)), [record] * records, codec)
    return path


@pytest.mark.parametrize("codec", ["null", "deflate"])
@pytest.mark.parametrize("minor", [3, 5])
def test_both_schemas_give_the_same_signal_in_si_units(tmp_path, minor, codec):
    path = write(tmp_path, minor, codec)
    takers = [f.name for f in device_formats().values() if f.recognise(path, first_lines(path)) and f.name != "table"]
    assert takers == ["embrace_plus"]
    for given in (path, tmp_path):  # the folder of one recording too
        export = read_export(given, "left_wrist")
        recording = export.only()
        assert export.device == "embrace_plus" and export.sampling_rate == 64 and not export.warnings
        assert recording.start_time == pytest.approx(1_700_000_000.25, abs=1e-3)
        np.testing.assert_allclose(recording.signals["left_wrist"], [[*SI, 0, 0, TURN]] * COUNT, atol=5e-3)


def test_without_a_gyroscope_three_columns_are_read_and_it_is_said(tmp_path):
    export = read_export(write(tmp_path, count=0, rate=0.0), "left_wrist")
    signal = export.only().signals["left_wrist"]
    assert signal.shape == (COUNT, 3) and any("no gyroscope" in note for note in export.notes)
    np.testing.assert_allclose(signal, [SI] * COUNT, atol=5e-3)


def test_a_gyroscope_of_another_clock_is_joined_by_it(tmp_path):
    export = read_export(write(tmp_path, count=320, rate=32.0, start=START + 1_000_000), "left_wrist")
    (part,) = export.stretches
    signal = part.signals["left_wrist"]
    # it begins a second late and lasts longer than the acceleration
    assert len(signal) == pytest.approx(9 * 64, abs=6) and part.start_time == pytest.approx(1_700_000_001.25, abs=0.06)
    np.testing.assert_allclose(signal[:, 3:], [[0, 0, TURN]] * len(signal), atol=1e-3)


def test_what_is_said_overrules_the_file(tmp_path):
    options = ReadingOptions(rate=32, angular_velocity_unit="rad/s")
    export = read_export(write(tmp_path), "left_wrist", options=options)
    assert export.sampling_rate == 32
    np.testing.assert_allclose(export.only().signals["left_wrist"][:, 5], 90, atol=0.05)


def test_damaged_files_are_refused_by_name(tmp_path):
    path = write(tmp_path, codec="deflate")
    whole = path.read_bytes()
    for broken in (whole[:-30], whole[:-40] + bytes(8) + whole[-32:], whole[:-8] + bytes(8)):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"1-1-A_1700000000\.avro: damaged Avro file .*download it"):
            read_export(path)
    with pytest.raises(ValueError, match="holds 2 records where the EmbracePlus writes one"):
        read_export(write(tmp_path, records=2))
