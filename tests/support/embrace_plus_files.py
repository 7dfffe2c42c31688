"""Files of an EmbracePlus in the published schemas; `fastavro` writes them."""

from support.device_files import IN_G

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


def write(folder, minor=3, codec="null", records=1, late=0, watch="3YK0000000", worn=True, **gyroscope):
    """A file that begins `late` µs after START."""
    path = folder / f"1-1-A_{1_700_000_000 + late // 1_000_000}.avro"
    turns = stream((0, 0, 90), 2000, minor, **{"start": START + late} | gyroscope)
    eda = {"timestampStart": START, "samplingFrequency": 4.0, "values": [0.1] * 40}
    force = stream(IN_G, 16, minor, COUNT if worn else 0, START + late)
    raw = {"accelerometer": force, "gyroscope": turns, "eda": eda}
    version = {"major": 6, "minor": minor, "patch": 0}
    record = {"schemaVersion": version, "timezone": 3600, "deviceSn": watch, "rawData": raw}
    import fastavro

    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema(minor)), [record] * records, codec)
    return path


def write_day(folder):
    """Three files in a row; the folder they are in."""
    for number in range(3):
        write(folder, late=number * COUNT * 1_000_000 // 64)
    return folder
