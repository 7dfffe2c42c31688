"""JSON as watch apps write it (Garmin Connect IQ, Wear OS, Movesense): a record a line, or a list of records.

A record holds a time and three numbers of one or both sensors, by axis (`{"timestamp": …, "accelerometer": {"x": …}}`), as a
list (`{"sensor": "gyroscope", "timestamp": …, "values": […]}`), flat (`{"t": …, "ax": …}`), or a batch of samples that lie
evenly up to the next record's time (Garmin: lists of x, y and z in mg; Movesense: `ArrayAcc`). Units: Garmin writes mg,
Movesense m/s^2 and deg/s, Android m/s^2 and rad/s.
Layout: https://developer.garmin.com/connect-iq/api-docs/Toybox/Sensor/AccelerometerData.html,
https://developer.android.com/reference/android/hardware/SensorEvent, https://www.movesense.com/docs/esw/api_reference/
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from .device_format import DeviceFormat, ReadingOptions, Samples
from .read_device import decoded
from .table import TableHints, read_table
from .table_columns import find_triples, words_of

_TIMES = ("timestamp", "time", "t", "ts", "epoch", "time_ms", "timestamp_ns", "timestampms", "timestampns", "elapsed")
_GARMIN, _MOVESENSE = "Garmin", "Movesense"


def _recognise(path: Path, lines: list[str]) -> bool:
    first = next((line.strip() for line in lines if line.strip()), "")
    return first.startswith(("{", "[")) and (path.suffix.lower() in (".json", ".jsonl", ".ndjson") or '":' in first)


def _records(path: Path) -> list[Any]:
    text = decoded(path.read_bytes())
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        found = []
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                try:
                    found.append(json.loads(line))
                except json.JSONDecodeError as error:
                    raise ValueError(
                        f"{path}, line {number}: no JSON ({error.msg}); repair or drop the line"
                    ) from error
        return found
    if isinstance(whole, Mapping):
        lists = [
            value for value in whole.values() if isinstance(value, list) and value and isinstance(value[0], Mapping)
        ]
        return max(lists, key=len) if lists else [whole]
    return whole


def _flat(record: Mapping, above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        name = f"{above}_{key}" if above else str(key)
        if isinstance(value, Mapping):
            yield from _flat(value, name)
        else:
            yield name, value


def _rows(path: Path, records: list[Any]) -> tuple[list[dict[str, Any]], str]:
    """A row for every sample and the maker that the layout gives away."""
    rows: list[dict[str, Any]] = []
    batches: list[tuple[int, int]] = []
    maker = ""
    for number, record in enumerate(records, 1):
        if not isinstance(record, Mapping):
            raise ValueError(f"{path}, record {number}: not an object with names; export it again")
        flat = dict(_flat(record))
        sensor = next(
            (str(flat[key]) for key in ("sensor", "type", "sensorType", "name") if isinstance(flat.get(key), str)), ""
        )
        kind = (
            "gyr"
            if "gyr" in sensor.lower()
            else "acc"
            if "acc" in sensor.lower() and "linear" not in sensor.lower()
            else sensor
        )
        time = next(
            (value for key, value in flat.items() if key.split("_")[-1].lower() in _TIMES or key.lower() in _TIMES),
            None,
        )
        row: dict[str, Any] = {"time": time}
        batch: dict[str, list] = {}
        for key, value in flat.items():
            words = words_of(key)
            if isinstance(value, list) and len(value) == 3 and words[-1:] in (["values"], ["value"], ["data"]):
                row |= {f"{kind}_{axis}": number for axis, number in zip("xyz", value, strict=True)}
            elif isinstance(value, list) and value and isinstance(value[0], Mapping):
                own, maker = ("gyr" if "gyro" in key.lower() else "acc" if "acc" in key.lower() else "mag"), _MOVESENSE
                for axis in "xyz":
                    batch[f"{own}_{axis}"] = [item.get(axis) for item in value]
            elif isinstance(value, list) and len(value) > 1 and words[-1:] and words[-1] in ("x", "y", "z"):
                own = "gyr" if any(word.startswith("gyr") for word in words) else "acc"
                batch[f"{own}_{words[-1]}"] = value
                maker = maker or _GARMIN
            elif isinstance(value, (int, float)) and not isinstance(value, bool) and value is not time:
                named = key if len(words) > 1 or not sensor else f"{kind}_{key}"
                row[named] = value
        if not batch:
            rows.append(row)
            continue
        count = max(map(len, batch.values()))
        batches.append((len(rows), count))
        rows += [
            {"time": time, **{key: values[i] if i < len(values) else None for key, values in batch.items()}}
            for i in range(count)
        ]
    for place, (start, count) in enumerate(batches):  # samples of a batch lie evenly up to the next record's time
        first = rows[start]["time"]
        if not isinstance(first, (int, float)):
            raise ValueError(f"{path}: a batch of samples without a number as its time; give each record a timestamp")
        if place + 1 < len(batches):
            step = (rows[batches[place + 1][0]]["time"] - first) / count
        elif place:
            step = (first - rows[batches[place - 1][0]]["time"]) / batches[place - 1][1]
        else:
            raise ValueError(f"{path}: one batch of samples alone tells no rate; export a longer recording")
        for i in range(count):
            rows[start + i]["time"] = first + i * step
    return rows, maker


def _read(path: Path, options: ReadingOptions) -> Samples:
    """The samples, through the general table.

    Raises:
        ValueError: no JSON, no time, or no acceleration.
    """
    rows, maker = _rows(path, _records(path))
    table = pd.DataFrame(rows)
    if "time" not in table or table["time"].isna().all():
        raise ValueError(f"{path}: no record holds a time such as {', '.join(_TIMES[:3])}")
    names = [str(name) for name in table.columns]
    if not find_triples(names):
        raise ValueError(f"{path}: no x, y and z of an accelerometer among {names}")
    units = {_GARMIN: ("mg", "deg/s"), _MOVESENSE: ("m/s^2", "deg/s")}.get(maker, (None, None))
    hints = TableHints(acceleration_unit=units[0], angular_velocity_unit=units[1], title=maker)
    with TemporaryDirectory() as folder:
        flat = Path(folder) / f"{path.stem}.csv"
        table.to_csv(flat, index=False)
        try:
            samples = read_table(flat, options, hints)
        except (OSError, ValueError) as error:
            raise type(error)(str(error).replace(str(flat), str(path))) from error
    samples.files = (path,)
    if maker:
        samples.notes.append(f"batches of samples as {maker} writes them; they lie evenly between the records' times")
    return samples


FORMAT = DeviceFormat(
    "json_lines", "JSON of a watch app", _recognise, _read,
    "https://developer.android.com/reference/android/hardware/SensorEvent",
)  # fmt: skip
