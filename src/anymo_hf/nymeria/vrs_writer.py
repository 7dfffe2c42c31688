"""Writes VRS files of IMU streams and time codes, as the Aria devices of Nymeria record them (uncompressed, VRS 2)."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..atomic_write import write_bytes
from .imu import STREAMS

Fields = list[tuple[str, str]]
_SIZES = {"Bool": "?", "uint32_t": "I", "uint64_t": "Q", "int64_t": "q", "double": "d", "float": "3f"}
IMU_CONFIGURATION: Fields = [
    ("stream_index", "uint32_t"), ("device_type", "string"), ("device_version", "string"), ("device_serial", "string"),
    ("device_id", "uint64_t"), ("sensor_model", "string"), ("nominal_rate", "double"), ("has_accelerometer", "Bool"),
    ("has_gyroscope", "Bool"), ("has_magnetometer", "Bool"), ("factory_calibration", "string"),
    ("online_calibration", "string"), ("description", "string"),
]  # fmt: skip
IMU_DATA: Fields = [
    ("accelerometer_valid", "Bool"), ("gyroscope_valid", "Bool"), ("magnetometer_valid", "Bool"),
    ("temperature_deg_c", "double"), ("capture_timestamp_ns", "int64_t"), ("arrival_timestamp_ns", "int64_t"),
    ("accelerometer", "float"), ("gyroscope", "float"), ("magnetometer", "float"),
]  # fmt: skip
TIME_CONFIGURATION: Fields = [("stream_id", "uint32_t"), ("sample_rate_hz", "double"), ("mode", "string")]
TIME_DATA: Fields = [("monotonic_timestamp_ns", "int64_t"), ("real_timestamp_ns", "int64_t")]
_ARRAYS = {"Bool": "?", "uint32_t": "<u4", "uint64_t": "<u8", "int64_t": "<i8", "double": "<f8", "float": "(3,)<f4"}
_HEADER = struct.Struct("<IIiIdHBBI")
_HEADERS = np.dtype("<u4,<u4,<i4,<u4,<f8,<u2,u1,u1,<u4")  # the same, of many records: they are written at once
_ENTRIES = np.dtype("<f8,<u4,u1,<i4,<u2")  # of the index: time, size, type, kind, instance
_NO_TIME = 1.7976931348623157e308


@dataclass(frozen=True)
class VrsStream:
    """One stream of a file.

    Args:
        kind, instance: its id, 1202 and 1 for "1202-1".
        version: of the layouts.
        configuration, data: fields of the two kinds of records, `(name, type)`; "float" means three of them.
        values: what the configuration holds; fields that are left out are zero or empty.
        rows: time in seconds and payload of each data record, in order.
    """

    kind: int
    instance: int
    version: int
    configuration: Fields
    values: Mapping[str, object]
    data: Fields
    rows: Iterable[tuple[float, bytes]]


def write_imu_vrs(
    path: str | Path,
    samples: Mapping[str, np.ndarray],
    offset_ns: int,
    drift_ppm: float = 0.0,
    time_codes: bool = True,
    first_ns: int = 267_000_000_000,
) -> dict[str, np.ndarray]:
    """The VRS file of one device.

    Args:
        path: file to write, whole or not at all.
        samples: "1202-1" or "1202-2" -> `(T, 6)` acceleration m/s^2 and angular velocity rad/s; NaN is marked invalid.
        offset_ns, drift_ppm: TIME_CODE of the device's clock, see `timecode`.
        time_codes: write the stream of time codes, ten readings a second.
        first_ns: DEVICE_TIME of the first samples.

    Returns:
        DEVICE_TIME of every sample, `(T,)` nanoseconds for each stream.
    """
    streams, times = [], {}
    for name, signal in samples.items():
        rate = STREAMS[name]
        times[name] = first_ns + np.rint(np.arange(len(signal)) * 1e9 / rate).astype(np.int64)
        table = np.zeros(len(signal), [(field, _ARRAYS[kind]) for field, kind in IMU_DATA])
        for sensor, first in (("accelerometer", 0), ("gyroscope", 3)):
            table[f"{sensor}_valid"] = np.isfinite(signal[:, first])
            table[sensor] = np.nan_to_num(signal[:, first : first + 3])
        table["capture_timestamp_ns"] = times[name]
        packed = _cut(table)
        rows = list(zip((times[name] * 1e-9).tolist(), packed, strict=True))
        about = {
            "nominal_rate": rate, "has_accelerometer": True, "has_gyroscope": True, "device_type": "Aria",
            "sensor_model": "imu", "device_serial": "1",
        }  # fmt: skip
        streams.append(VrsStream(1202, int(name[-1]), 2, IMU_CONFIGURATION, about, IMU_DATA, rows))
    if time_codes:
        seconds = max(len(signal) / STREAMS[name] for name, signal in samples.items())
        ticks = (first_ns + np.arange(-1, int(seconds * 10) + 2) * 100_000_000).tolist()
        pack = _packer(TIME_DATA).pack
        rows = [(tick * 1e-9, pack(tick, timecode(tick, offset_ns, drift_ppm))) for tick in ticks]
        about = {"sample_rate_hz": 10.0, "mode": "TIMECODE"}
        streams.append(VrsStream(285, 1, 1, TIME_CONFIGURATION, about, TIME_DATA, rows))
    write_vrs(path, streams)
    return times


def timecode(device_ns: int, offset_ns: int, drift_ppm: float = 0.0) -> int:
    """TIME_CODE of a DEVICE_TIME, nanoseconds."""
    return int(device_ns) + offset_ns + round(int(device_ns) * drift_ppm * 1e-6)


def write_vrs(path: str | Path, streams: list[VrsStream]) -> None:
    """Write a VRS file with an index; records stand in the order of their times."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    description = struct.pack("<I", len(streams))
    facts: list[tuple[float, int, int, int, int]] = []  # time, type, kind, instance, version
    payloads: list[bytes] = []
    for stream in streams:
        tags = {
            "RF:State:0": "empty",
            "VRS_Original_Recordable_Name": "stream",
            "VRS_Serial_Number": f"{stream.kind}-{stream.instance}",
        }
        for word, fields in (("Configuration", stream.configuration), ("Data", stream.data)):
            tags[f"DL:{word}:{stream.version}:0"], tags[f"RF:{word}:{stream.version}"] = _layout(fields)
        description += struct.pack("<iHII", stream.kind, stream.instance, 0, len(tags))
        description += b"".join(_text(key) + _text(tags[key]) for key in sorted(tags))
        rows = list(stream.rows)
        identity = (stream.kind, stream.instance, stream.version)
        first = rows[0][0] if rows else 0.0
        facts.append((first - 0.001, 2, *identity))
        facts += [(second, 3, *identity) for second, _ in rows]
        payloads += [_payload(stream.configuration, stream.values), *(payload for _, payload in rows)]
    description += struct.pack("<I", 0)
    second, type_, kind, instance, version = np.array(facts).reshape(-1, 5).T
    size = 32 + np.array([len(payload) for payload in payloads])
    order = np.lexsort((instance, kind, second))
    previous = np.concatenate([[32 + len(description)], size[order]])
    headers, entries = np.zeros(len(facts), _HEADERS), np.zeros(len(facts), _ENTRIES)
    for field, column in zip(
        headers.dtype.names, (size, previous[:-1], kind, version, second, instance, type_), strict=False
    ):
        headers[field] = column if field == "f1" else column[order]
    for field, column in zip(entries.dtype.names, (second, size, type_, kind, instance), strict=True):
        entries[field] = column[order]
    body = [_HEADER.pack(32 + len(description), 0, 2, 2, _NO_TIME, 0, 3, 0, 0), description]
    for header, row in zip(_cut(headers), order.tolist(), strict=True):
        body += (header, payloads[row])
    listing = b"".join([
        struct.pack("<I", len(streams)), *(struct.pack("<iH", stream.kind, stream.instance) for stream in streams),
        struct.pack("<I", len(facts)), entries.tobytes(),
    ])  # fmt: skip
    place = 80 + sum(map(len, body))
    body += (_HEADER.pack(32 + len(listing), int(previous[-1]), 1, 2, _NO_TIME, 0, 3, 0, 0), listing)
    head = b"VisionRe" + struct.pack("<QIIQQQQQQ", 7, 80, 32, place, 80, 0, 0, 0, 0) + b"cordVRS1"
    write_bytes(path, b"".join([head, *body]))


def _cut(table: np.ndarray) -> list[bytes]:
    """The bytes of each row."""
    size, whole = table.dtype.itemsize, table.tobytes()
    return [whole[begin : begin + size] for begin in range(0, len(whole), size)]


def _packer(fields: Fields) -> struct.Struct:
    return struct.Struct("<" + "".join(_SIZES[kind] for _, kind in fields))


def _text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode()


def _layout(fields: Fields) -> tuple[str, str]:
    """Data layout (JSON) and record format of a kind of record."""
    pieces: list[dict[str, object]] = []
    offset = index = 0
    for name, kind in fields:
        if kind == "string":
            pieces.append({"name": name, "type": "DataPieceString", "index": index})
            index += 1
            continue
        piece: dict[str, object] = {"name": name, "type": f"DataPieceValue<{kind}>", "offset": offset}
        if kind == "float":
            piece |= {"type": "DataPieceArray<float>", "size": 3}
        pieces.append(piece)
        offset += struct.calcsize("<" + _SIZES[kind])
    form = "data_layout" + ("" if index else f"/size={offset}")
    return json.dumps({"data_layout": pieces}, separators=(",", ":")), form


def _payload(fields: Fields, values: Mapping[str, object]) -> bytes:
    """Fixed fields, then the index of the texts, then the texts."""
    fixed, index, texts = b"", b"", b""
    for name, kind in fields:
        value = values.get(name, "" if kind == "string" else 0)
        if kind == "string":
            index += struct.pack("<II", len(texts), len(str(value)))
            texts += str(value).encode()
        else:
            fixed += struct.pack("<" + _SIZES[kind], value)
    return fixed + index + texts
