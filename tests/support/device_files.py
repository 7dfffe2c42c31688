"""Small files in the layouts that devices and apps write: a body at rest in a tilted pose, turning about z on paper."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

G = 9.80665
COUNT = 80
X, Y = 1.2, -2.4
Z = math.sqrt(G**2 - X**2 - Y**2)
TURN = math.pi / 2  # rad/s about z
SI = (X, Y, Z)
IN_G = tuple(value / G for value in SI)
EPOCH_MS = 1_700_000_000_000


@dataclass(frozen=True)
class DeviceFile:
    """A layout and what must be understood of it.

    Args:
        format: name of the reader.
        write: folder -> the file or folder to give.
        rate: Hz.
        turns: whether there is a gyroscope, of 90 deg/s on z.
        broken: old and new text of the broken copy (of a binary file: position of a byte that is changed).
        message: what the refusal of the broken copy says.
        tolerance: m/s^2, of the quantisation.
        count: samples.
    """

    format: str
    write: Callable[[Path], Path]
    rate: float
    turns: bool
    broken: tuple[str, str] | int
    message: str
    tolerance: float = 2e-4
    count: int = COUNT


def _save(folder: Path, name: str, header: str, line: Callable[[int], str], encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_text(header + "".join(line(i) + "\n" for i in range(COUNT)), encoding=encoding)
    return path


def _join(values, mark: str = ",", digits: int = 6) -> str:
    return mark.join(f"{value:.{digits}f}" for value in values)


def _sensor_logger(folder: Path) -> Path:
    """An iPhone's: Apple's sign, linear acceleration and gravity apart, z before y before x."""
    (folder / "Metadata.csv").write_text("version,platform,standardisation\n3,ios,false\n")

    def stamp(i: int) -> str:
        return f"{EPOCH_MS * 10**6 + 10_000_000 * i},{i / 100:.6f}"

    head = "time,seconds_elapsed,z,y,x\n"
    _save(folder, "Gravity.csv", head, lambda i: f"{stamp(i)},{-Z + 0.5},{-Y},{-X}")
    _save(folder, "Gyroscope.csv", head, lambda i: f"{stamp(i)},{TURN},0,0")
    _save(folder, "Magnetometer.csv", head, lambda i: f"{stamp(i)},30,1,2")
    return _save(folder, "Accelerometer.csv", head, lambda i: f"{stamp(i)},-0.5,0,0")


def _phyphox(folder: Path) -> Path:
    def comma(*values: float) -> str:
        return ";".join(f"{value:.9E}".replace(".", ",") for value in values)

    names = '"Time (s)";"Gyroscope x (rad/s)";"Gyroscope y (rad/s)";"Gyroscope z (rad/s)"\n'
    _save(folder, "Gyroscope.csv", names, lambda i: comma(i / 100 + 0.003, 0, 0, TURN))
    names = '"Time (s)";"Acceleration x (m/s^2)";"Acceleration y (m/s^2)";"Acceleration z (m/s^2)"\n'
    return _save(folder, "Accelerometer.csv", names, lambda i: comma(i / 100, *SI))


def _physics_toolbox(folder: Path) -> Path:
    return _save(
        folder, "ptb.csv", "time,gFx,gFy,gFz,ax,ay,az,wx,wy,wz\n",
        lambda i: f"{i / 100:.3f},{_join(IN_G)},0.01,0.02,0.03,0,0,{TURN:.6f}",
    )  # fmt: skip


def _matlab(folder: Path) -> Path:
    def stamp(i: int) -> str:
        return (datetime(2020, 12, 11, 17, 41, 59) + timedelta(milliseconds=20 * i)).strftime("%d-%b-%Y %H:%M:%S.%f")[
            :-3
        ]

    _save(folder, "AngularVelocity.csv", "Timestamp,X,Y,Z\n", lambda i: f"{stamp(i)},0,0,{TURN:.6f}")
    return _save(folder, "Acceleration.csv", "Timestamp,X,Y,Z\n", lambda i: f"{stamp(i)},{_join(SI)}")


def _sensorlog(folder: Path) -> Path:
    down = _join([-value for value in IN_G])
    names = [
        "loggingTime(txt)", "loggingSample(N)", "accelerometerTimestamp_sinceReboot(s)",
        *(f"accelerometerAcceleration{axis}(G)" for axis in "XYZ"), "motionYaw(rad)",
        *(f"motionRotationRate{axis}(rad/s)" for axis in "XYZ"), *(f"motionUserAcceleration{axis}(G)" for axis in "XYZ"),
        *(f"motionGravity{axis}(G)" for axis in "XYZ"),
    ]  # fmt: skip
    return _save(
        folder, "log.csv", ",".join(names) + "\n",
        lambda i: f"2020-12-11T17:41:40.{i:03d}+01:00,{i},{62608 + i / 50:.6f},{down},0.1,0,0,{TURN:.6f},0,0,0,{down}",
    )  # fmt: skip


def _core_motion(folder: Path) -> Path:
    names = [
        "timestamp",
        *(f"{kind}.{axis}" for kind in ("gravity", "rotationRate", "userAcceleration") for axis in "xyz"),
    ]
    return _save(
        folder, "DeviceMotion.csv", ",".join(names) + "\n",
        lambda i: f"{i / 50:.6f},{_join([-v for v in IN_G[:2]])},{-IN_G[2] + 0.1:.6f},0,0,{TURN:.6f},0,0,-0.1",
    )  # fmt: skip


def _androsensor(folder: Path) -> Path:
    names = [*(f"ACCELEROMETER {a} (m/s²)" for a in "XYZ"), *(f"GRAVITY {a} (m/s²)" for a in "XYZ"),
             *(f"LINEAR ACCELERATION {a} (m/s²)" for a in "XYZ"), *(f"GYROSCOPE {a} (rad/s)" for a in "XYZ"),
             "Time since start in ms ", "YYYY-MO-DD HH-MI-SS_SSS"]  # fmt: skip
    return _save(
        folder, "Sensor_record.csv", ";".join(names) + "\n",
        lambda i: f"{_join(SI, ';')};{_join(SI, ';')};0;0;0;0;0;{TURN:.6f};{20 * i};2020-12-11 17:41:40:{i:03d}", "latin-1",
    )  # fmt: skip


def _sensor_kinetics(folder: Path) -> Path:
    _save(folder, "walk_gyro.csv", "time,X_value,Y_value,Z_value\n", lambda i: f"{i / 100:.3f},0,0,{TURN:.6f}")
    return _save(folder, "walk_accel.csv", "time,X_value,Y_value,Z_value\n", lambda i: f"{i / 100:.3f},{_join(SI)}")


def _dot(folder: Path) -> Path:
    head = "sep=,\nDeviceTag:,Sensor\nFirmwareVersion:,2.0.0\nOutputRate:,60Hz\n"
    head += "Measurement Mode:,Rate quantities\n© Movella\n\n"
    names = "PacketCounter,SampleTimeFine,Acc_X,Acc_Y,Acc_Z,Gyr_X,Gyr_Y,Gyr_Z,Status\n"
    return _save(
        folder, "dot.csv", head + names,
        lambda i: f"{i},{(2**32 - 700_000 + round(i * 1e6 / 60)) % 2**32},{_join(SI)},0,0,90,0",
    )  # fmt: skip


def _mtw(folder: Path) -> Path:
    """The packet counter passes 2^16, and SampleTimeFine is empty."""
    head = "// Start Time: Unknown\n// Update Rate: 100.0Hz\n// Firmware Version: 4.0.2\n"
    names = "PacketCounter\tSampleTimeFine\tAcc_X\tAcc_Y\tAcc_Z\tGyr_X\tGyr_Y\tGyr_Z\n"
    return _save(
        folder, "MT_001.txt", head + names,
        lambda i: f"{(65_500 + i) % 65_536:05d}\t\t{_join(SI, chr(9))}\t0\t0\t{TURN:.6f}",
    )  # fmt: skip


def _shimmer(folder: Path) -> Path:
    names = ["S_Timestamp_Unix_CAL", *(f"S_Accel_LN_{a}_RAW" for a in "XYZ"), *(f"S_Accel_WR_{a}_CAL" for a in "XYZ"),
             *(f"S_Gyro_{a}_CAL" for a in "XYZ"), *(f"S_Mag_{a}_CAL" for a in "XYZ")]  # fmt: skip
    units = ["ms", *["no units"] * 3, *["m/(s^2)"] * 3, *["deg/s"] * 3, *["local_flux"] * 3]
    return _save(
        folder, "shimmer.csv", '"sep=,"\n' + ",".join(names) + ",\n" + ",".join(units) + ",\n",
        lambda i: f"{EPOCH_MS + i * 1000 / 51.2:.3f},2040,2050,2900,{_join(SI)},0,0,90,0.1,0.2,0.3,",
    )  # fmt: skip


def _metawear(folder: Path) -> Path:
    stem, after = "MetaWear_2023-11-14T23.13.20_D1_", "_1.5.0.csv"
    head = "epoc (ms),timestamp (+0100),elapsed (s),"

    def stamp(i: int, step: float) -> str:
        return f"{EPOCH_MS + round(i * step)},2023-11-14T23:13:20.{i:03d},{i * step / 1000:.3f}"

    names = head + ",".join(f"{a}-axis (deg/s)" for a in "xyz") + "\n"
    _save(folder, f"{stem}Gyroscope_50.000Hz{after}", names, lambda i: f"{stamp(i, 20)},0,0,90")
    names = head + ",".join(f"{a}-axis (g)" for a in "xyz") + "\n"
    return _save(folder, f"{stem}Accelerometer_100.000Hz{after}", names, lambda i: f"{stamp(i, 10)},{_join(IN_G)}")


def _actigraph(folder: Path) -> Path:
    head = (
        "------------ Data File Created By ActiGraph GT3X+ ActiLife v6.13.3 Firmware v3.2.1 date format M/d/yyyy at 30 Hz  "
        "Filter Normal -----------\nSerial Number: NEO1F00000000\nStart Time 17:41:40\nStart Date 12/11/2020\n"
        "Epoch Period (hh:mm:ss) 00:00:00\nDownload Time 10:00:00\nDownload Date 12/18/2020\n"
        "Current Memory Address: 0\nCurrent Battery Voltage: 4.1     Mode = 12\n"
        "--------------------------------------------------\n"
    )
    return _save(folder, "raw.csv", head + "Accelerometer X,Accelerometer Y,Accelerometer Z\n", lambda i: _join(IN_G))


def _axivity(folder: Path) -> Path:
    def stamp(i: int) -> str:
        return (datetime(2020, 12, 11, 17, 41, 59) + timedelta(milliseconds=10 * i)).isoformat(" ", "milliseconds")

    return _save(folder, "CWA-DATA.csv", "", lambda i: f"{stamp(i)},{_join(IN_G)},0,0,90")


def _geneactiv(folder: Path) -> Path:
    head = (
        "Device Type,GENEActiv\nDevice Model,1.1\nMeasurement Frequency,50.0 Hz\nStart Time,2020-12-11 17:41:40:000\n"
    )
    head += "".join(f"Field {i},\n" for i in range(60)) + "".join(",\n" for _ in range(36))

    def stamp(i: int) -> str:
        return (datetime(2020, 12, 11, 17, 41, 59) + timedelta(milliseconds=20 * i)).strftime("%Y-%m-%d %H:%M:%S:%f")[
            :-3
        ]

    return _save(folder, "ga.csv", head, lambda i: f"{stamp(i)},{_join(IN_G)},5,0,25.5")


def _wear_os(folder: Path) -> Path:
    def line(i: int) -> str:
        stamp = 5_000_000_000 + 20_000_000 * i
        acc = {"sensor": "accelerometer", "timestamp": stamp, "values": list(SI)}
        return json.dumps(acc) + "\n" + json.dumps({"sensor": "gyroscope", "timestamp": stamp, "values": [0, 0, TURN]})

    return _save(folder, "watch.jsonl", "", line)


def _garmin(folder: Path) -> Path:
    """Batches of 20 samples, in mg."""
    records = [
        {
            "timestamp": EPOCH_MS + 800 * k,
            "x": [1000 * IN_G[0]] * 20,
            "y": [1000 * IN_G[1]] * 20,
            "z": [1000 * IN_G[2]] * 20,
        }
        for k in range(4)
    ]
    path = folder / "garmin.json"
    path.write_text("\n".join(map(json.dumps, records)))
    return path


def _movesense(folder: Path) -> Path:
    axes = [dict(zip("xyz", SI, strict=True))] * 8, [{"x": 0, "y": 0, "z": 90.0}] * 8
    records = [{"imu6": {"Timestamp": 1000 + 154 * k, "ArrayAcc": axes[0], "ArrayGyro": axes[1]}} for k in range(10)]
    path = folder / "movesense.json"
    path.write_text(json.dumps({"data": records}))
    return path


def _arduino(folder: Path) -> Path:
    def line(i: int) -> str:
        stamp = f"17:41:{40 + i * 0.02:06.3f}"
        return f"{stamp} -> aX = {X:.4f} | aY = {Y:.4f} | aZ = {Z:.4f} | gX = 0.0 | gY = 0.0 | gZ = {TURN:.5f}"

    return _save(folder, "serial.txt", "17:41:39.900 -> MPU6050 found\n", line)


def _empatica(folder: Path) -> Path:
    head = ", ".join(["1600000000.000000"] * 3) + "\n" + ", ".join(["32.000000"] * 3) + "\n"
    return _save(folder, "ACC.csv", head, lambda i: ",".join(str(round(64 * v)) for v in IN_G))


_WORD = "holds no finite number"
TEXT_FILES = {
    "sensor_logger": DeviceFile("sensor_logger", _sensor_logger, 100, True, (",-0.5,0,0\n", ",-0.5,zero,0\n"), _WORD),
    "phyphox": DeviceFile("phyphox", _phyphox, 100, True, ("0,000000000E+00;", "none;"), "neither a number nor"),
    "physics_toolbox": DeviceFile("physics_toolbox", _physics_toolbox, 100, True, ("0.010,", "0.000,"), "repeats"),
    "matlab_mobile": DeviceFile("matlab_mobile", _matlab, 50, True, ("17:41:59.020", "17:40:59.020"), "lies before"),
    "sensorlog": DeviceFile("sensorlog", _sensorlog, 50, True, (",0.1,0,0,", ",0.1,nil,0,"), _WORD),
    "core_motion": DeviceFile("core_motion", _core_motion, 50, True, ("0.020000,", "9.020000,"), "lies before"),
    "androsensor": DeviceFile("androsensor", _androsensor, 50, True, (f"{X:.6f};", "x;"), _WORD),
    "sensor_kinetics": DeviceFile("sensor_kinetics", _sensor_kinetics, 100, True, ("0.010,", "?,"), "neither a number nor"),
    "movella_dot": DeviceFile("movella_dot", _dot, 60, True, (f"{X:.6f}", "x"), _WORD),
    "mtw": DeviceFile("mtw", _mtw, 100, True, ("Update Rate: 100.0Hz", "Update Rate: ?"), "give rate="),
    "shimmer": DeviceFile("shimmer", _shimmer, 51.2, True, (f"{X:.6f}", "#"), _WORD),
    "metawear": DeviceFile("metawear", _metawear, 100, True, (",0.010,", ",0.010,oops,"), "not a readable CSV"),
    "actigraph": DeviceFile("actigraph", _actigraph, 30, False, (" at 30 Hz", ""), "give rate="),
    "axivity": DeviceFile("axivity", _axivity, 100, True, (f"{X / G:.6f}", "-"), _WORD),
    "geneactiv": DeviceFile("geneactiv", _geneactiv, 50, False, ("17:41:59:020", "17:41:58:020"), "lies before"),
    "wear_os": DeviceFile("json_lines", _wear_os, 50, True, ("5020000000", ""), "line 3: no JSON"),
    "garmin": DeviceFile("json_lines", _garmin, 25, False, ('"timestamp"', '"when"'), "number as its time"),
    "movesense": DeviceFile("json_lines", _movesense, 8000 / 154, True, ("1000,", '"noon",'), "number as its time"),
    "arduino": DeviceFile("arduino", _arduino, 50, True, ("17:41:40.020", "17:41:39.020"), "lies before"),
    "empatica": DeviceFile("empatica", _empatica, 32, False, ("8,-16,", "8,-16,-16,"), "not three numbers", 0.1),
}  # fmt: skip
