"""Exports as devices and apps write them: columns, units, rate and clock are understood without being told."""

import zipfile

import numpy as np
import pytest

from anymo_hf.recordings.devices.device_format import ReadingOptions
from anymo_hf.recordings.devices.export import read_export
from anymo_hf.recordings.devices.read_device import read_device, recognise_device

COUNT = 80
G = 9.80665
X, Y = 1.2, -2.4
Z = np.sqrt(G**2 - X**2 - Y**2)  # at rest in any pose


def _rows(line, count=COUNT):
    return "".join(line(i) + "\n" for i in range(count))


def _iso(i, step):
    return f"2020-12-11 17:41:{40 + i * step:06.3f}"


def _comma(value):
    return f"{value:.6E}".replace(".", ",")


M_S2 = f"{X},{Y},{Z:.6f}"
IN_G = f"{X / G:.6f},{Y / G:.6f},{Z / G:.6f}"
# name -> file name, text, what the user says, rate, has a gyroscope of 90 deg/s on z
EXPORTS = {
    "sensor_logger": (
        "TotalAcceleration.csv",
        "time,seconds_elapsed,z,y,x\n"
        + _rows(lambda i: f"{1700000000000000000 + 10_000_000 * i},{i / 100:.6f},{Z},{Y},{X}"),
        {}, 100, False,
    ),
    "metawear": (
        "acc.csv",
        "epoch (ms),time (01:00),elapsed (s),x-axis (g),y-axis (g),z-axis (g)\n"
        + _rows(lambda i: f"{1700000000000 + 80 * i},2023-11-14T23:13:20.000,{i * 0.08:.3f},{IN_G}"),
        {}, 12.5, False,
    ),
    "esp32": (
        "imu.csv",
        "timestamp,gyro_x,gyro_y,gyro_z,accel_x,accel_y,accel_z,label\n"
        + _rows(lambda i: f"{2 + 13 * i},0,0,{np.pi / 2},{M_S2},left"),
        {}, 1000 / 13, True,
    ),
    "movella_dot": (
        "dot.csv",
        "sep=,\nDeviceTag:,Sensor\nOutputRate:,60Hz\nMeasurement Mode:,Rate quantities\n© Xsens\n\n"
        "PacketCounter,SampleTimeFine,Acc_X,Acc_Y,Acc_Z,Gyr_X,Gyr_Y,Gyr_Z,Status\n"
        + _rows(lambda i: f"{i},{1_000_000 + round(i * 1e6 / 60)},{M_S2},0,0,90,0"),
        {"angular_velocity_unit": "deg/s", "time_column": "SampleTimeFine"}, 60, True,
    ),
    "mtw": (
        "MT_sensor.txt",
        "// Start Time: Unknown\n// Update Rate: 100.0Hz\n// Firmware Version: 4.0.2\n"
        "PacketCounter\tSampleTimeFine\tAcc_X\tAcc_Y\tAcc_Z\n" + _rows(lambda i: f"{472 + i:05d}\t\t{X}\t{Y}\t{Z}"),
        {"rate": 100}, 100, False,
    ),
    "shimmer": (
        "shimmer.csv",
        '"sep=,"\nS_Timestamp_Unix_CAL,S_Accel_WR_X_CAL,S_Accel_WR_Y_CAL,S_Accel_WR_Z_CAL,'
        "S_Gyro_X_CAL,S_Gyro_Y_CAL,S_Gyro_Z_CAL,\nms,m/(s^2),m/(s^2),m/(s^2),deg/s,deg/s,deg/s,\n"
        + _rows(lambda i: f"{1700000000000 + i * 1000 / 51.2:.3f},{M_S2},0,0,90,"),
        {}, 51.2, True,
    ),
    "androsensor": (
        "Sensor_record.csv",
        "ACCELEROMETER X (m/s²);ACCELEROMETER Y (m/s²);ACCELEROMETER Z (m/s²);Time since start in ms\n"
        + _rows(lambda i: f"{X};{Y};{Z};{20 * i}"),
        {}, 50, False,
    ),
    "phyphox": (
        "Raw Data.csv",
        '"Time (s)";"Acceleration x (m/s^2)";"Acceleration y (m/s^2)";"Acceleration z (m/s^2)"\n'
        + _rows(lambda i: ";".join(map(_comma, (i / 100, X, Y, Z)))),
        {}, 100, False,
    ),
    "day_first": (
        "leap.csv",
        "timestamp,acc_x,acc_y,acc_z\n"
        + _rows(lambda i: f"11/12/2020 17:41:{40 + int(i * 31.25) / 1000:06.3f},{IN_G}"),
        {"acceleration_unit": "g"}, 32, False,
    ),
    "zone_name": (
        "epoch.csv",
        "time,acc_x,acc_y,acc_z\n" + _rows(lambda i: f"{_iso(i, 0.01)}+0100 [Europe/London],{IN_G}"),
        {"acceleration_unit": "g"}, 100, False,
    ),
    "counter_of_32_bits": (
        "dot.csv",
        "PacketCounter,SampleTimeFine,Acc_X,Acc_Y,Acc_Z\n"
        + _rows(lambda i: f"{i},{(2**32 - 700_000 + round(i * 1e6 / 60)) % 2**32},{M_S2}"),
        {"time_column": "SampleTimeFine"}, 60, False,
    ),
    "packets_of_4": (
        "ble.csv",
        "timestamp,acc_x,acc_y,acc_z\n" + _rows(lambda i: f"{1700000000060 + 80 * (i // 4) + i % 4},{M_S2}"),
        {}, 50, False,
    ),
    "empatica": (
        "ACC.csv",
        "1600000000.000000, 1600000000.000000, 1600000000.000000\n32.000000, 32.000000, 32.000000\n"
        + _rows(lambda i: f"{round(64 * X / G)},{round(64 * Y / G)},{round(64 * Z / G)}"),
        {}, 32, False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_understood(tmp_path, name):
    file, text, said, rate, turns = EXPORTS[name]
    (tmp_path / file).write_text(text, encoding="latin-1" if name == "androsensor" else "utf-8")
    recording = read_device(tmp_path / file, "waist", options=ReadingOptions(**said))
    signal = recording.signals["waist"]
    assert recording.sampling_rate == pytest.approx(rate, rel=1e-3)
    assert signal.shape == (COUNT, 6 if turns else 3)
    np.testing.assert_allclose(signal[:, :3], np.tile([X, Y, Z], (COUNT, 1)), atol=0.1 if name == "empatica" else 1e-4)
    if turns:
        np.testing.assert_allclose(signal[:, 3:], np.tile([0, 0, np.pi / 2], (COUNT, 1)), atol=1e-6)
    general = ("esp32", "day_first", "zone_name", "counter_of_32_bits", "packets_of_4")
    assert recognise_device(tmp_path / file).name == ("table" if name in general else name)


def test_a_rate_that_fits_the_packets_is_accepted_and_another_is_not(tmp_path):
    (tmp_path / "ble.csv").write_text(EXPORTS["packets_of_4"][1])
    assert read_device(tmp_path / "ble.csv", "waist", options=ReadingOptions(rate=50)).sampling_rate == 50
    with pytest.raises(ValueError, match="rate= says 20 Hz"):
        read_device(tmp_path / "ble.csv", "waist", options=ReadingOptions(rate=20))


def test_dates_that_may_be_read_in_two_ways_are_refused_with_both(tmp_path):
    stamps = ["01/02/2020 23:59:59.980", "02/02/2020 00:00:00.000", "02/02/2020 00:00:00.020"]
    text = "timestamp,acc_x,acc_y,acc_z\n" + "".join(f"{stamp},{M_S2}\n" for stamp in stamps)
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ValueError, match="may be 01 February or 02 January"):
        read_device(tmp_path / "x.csv", "waist")


def test_what_the_user_says_goes_before_the_header(tmp_path):
    file, text, *_ = EXPORTS["metawear"]
    (tmp_path / file).write_text(text)
    recording = read_device(tmp_path / file, "waist", options=ReadingOptions(acceleration_unit="mg"))
    assert np.median(np.linalg.norm(recording.signals["waist"], axis=1)) == pytest.approx(G / 1000, rel=1e-3)


@pytest.mark.parametrize("name", ["walk.zip", "walk.gt3x"])
def test_a_zip_that_unpacks_to_far_more_than_it_is_is_refused_unread(tmp_path, name):
    with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("info.txt", "Sample Rate: 30\n")
        archive.writestr("acc.csv", "time,acc_x,acc_y,acc_z\n0,0,0,9.8\n")
        with archive.open("log.bin", "w") as file:
            for _ in range(100):
                file.write(bytes(1 << 20))
    with pytest.raises(
        OSError, match=rf"{name}: (would unpack to 100 MB|log\.bin in it would be over 7\d,...,... bytes); "
    ):
        read_export(tmp_path / name)
