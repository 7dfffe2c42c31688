"""Binary files in the published layouts of Axivity (.cwa), ActiGraph (.gt3x) and GENEActiv (.bin), sample by sample."""

from __future__ import annotations

import struct
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

from support.device_files import IN_G, DeviceFile

START = datetime(2020, 12, 11, 17, 41, 40)


def cwa(folder: Path, blocks: int = 4, skip: int = -1) -> Path:
    """An AX6 at 100 Hz, +-8 g and +-2000 deg/s: 40 samples of six int16 a block; block number `skip` is left out.

    Layout: https://github.com/openmovementproject/openmovement, Docs/ax3/ax3-technical.md and cwa.h.
    """

    def stamp(time: datetime) -> int:
        return (
            (time.year - 2000) << 26
            | time.month << 22
            | time.day << 17
            | time.hour << 12
            | time.minute << 6
            | time.second
        )

    head = bytearray(1024)
    struct.pack_into("<2sHBHI", head, 0, b"MD", 1020, 0x64, 1234, 7)
    struct.pack_into("<B", head, 36, 0x4A)
    counts = [round(value * 4096) for value in IN_G]
    sample = struct.pack("<6h", 0, 0, round(90 / 2000 * 32768), *counts)
    out = bytes(head)
    for number in range(blocks):
        if number == skip:
            continue
        block = bytearray(512)
        seconds = number * 0.4
        time, fraction = START + timedelta(seconds=int(seconds)), int((seconds % 1) * 32768)
        struct.pack_into("<2sHHII", block, 0, b"AX", 508, 0x8000 | fraction, 7, number)
        struct.pack_into("<I", block, 14, stamp(time))
        # scale bits: 1 g is 2^(8+n); gyroscope range 8000 / 2^n
        struct.pack_into("<H", block, 18, (4 << 13) | (2 << 10))
        # the stored offset already makes up for the fraction at the nominal rate
        struct.pack_into("<BBhH", block, 24, 0x4A, 0x62, -(fraction * 100 >> 15), 40)
        block[30:510] = sample * 40
        words = struct.unpack("<255H", block[:510])
        struct.pack_into("<H", block, 510, -sum(words) & 0xFFFF)
        out += bytes(block)
    path = folder / "CWA-DATA.cwa"
    path.write_bytes(out)
    return path


def gt3x(folder: Path, seconds: int = 3) -> Path:
    """A wGT3X-BT at 30 Hz: a record of type 0 each second, 12 bits an axis in the order y, x, z, 341 counts a g.

    Layout: https://github.com/actigraph/GT3X-File-Format.
    """
    ticks = int((START - datetime(1, 1, 1)).total_seconds()) * 10**7
    info = (
        f"Serial Number: MOS2D12345678\nDevice Type: wGT3XBT\nFirmware: 1.9.2\nBattery Voltage: 4.1\nSample Rate: 30\n"
        f"Start Date: {ticks}\nStop Date: 0\nLast Sample Time: {ticks + seconds * 10**7}\nTimeZone: 00:00:00\n"
        f"Download Date: {ticks}\nBoard Revision: 8\nUnexpected Resets: 0\nAcceleration Scale: 341.0\n"
        f"Acceleration Min: -8.0\nAcceleration Max: 8.0\n"
    )
    x, y, z = (round(value * 341) & 0xFFF for value in IN_G)
    bits = "".join(f"{axis:012b}" for axis in (y, x, z) * 30)
    payload = int(bits, 2).to_bytes(len(bits) // 8, "big")
    scale = 9 << 24 | round(341 / 512 * 2**23)  # a parameter's number: exponent, then 24 bits of fraction
    unix = int((START - datetime(1970, 1, 1)).total_seconds())
    records = [
        (21, unix, struct.pack("<HHI", 0, 55, scale)),
        *((0, unix + second, payload) for second in range(seconds)),
    ]
    log = b""
    for kind, time, content in records:
        record = struct.pack("<BBIH", 0x1E, kind, time, len(content)) + content
        check = 0
        for byte in record:
            check ^= byte
        log += record + bytes([~check & 0xFF])
    path = folder / "walk.gt3x"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("info.txt", info)
        archive.writestr("log.bin", log)
    return path


def geneactiv(folder: Path, pages: int = 2) -> Path:
    """A GENEActiv 1.1 at 50 Hz: pages of 300 samples, 12 bits an axis, then light, button and a spare bit, in hex.

    Layout: GENEActiv PC software instruction manual (Activinsights), "Format of .bin files".
    """
    gains = {"x": (25415, 301), "y": (25500, -200), "z": (25300, 100)}
    head = ["Device Identity", "Device Unique Serial Code:012345", "Device Type:GENEActiv", "Device Model:1.1",
            "Device Firmware Version:Ver2.02 15Dec2011", "Calibration Date:2011-12-15 10:00:00:000", " ",
            "Device Capabilities", "Accelerometer Range:-8 to 8", "Accelerometer Resolution:0.0039", "Accelerometer Units:g",
            "Light Meter Range:0 to 5000", "Light Meter Resolution:5", "Light Meter Units:lux",
            "Temperature Sensor Range:0 to 60", "Temperature Sensor Resolution:0.1", "Temperature Sensor Units:deg. C", " ",
            "Configuration Info", "Measurement Frequency:50.0 Hz", "Measurement Period:24 Hours",
            "Start Time:2020-12-11 17:41:40:000", "Time Zone:GMT +00:00", " ", "Trial Info", "Study Centre:", "Study Code:",
            "Investigator ID:", "Exercise Type:", "Config Operator ID:", "Config Time:2020-12-11 10:00:00:000",
            "Config Notes:", "Extract Operator ID:", "Extract Time:2020-12-12 10:00:00:000", "Extract Notes:", " ",
            "Subject Info", "Device Location Code:left wrist", "Subject Code:", "Date of Birth:1900-1-1", "Sex:", "Height:",
            "Weight:", "Handedness Code:", "Subject Notes:", " ", "Calibration Data",
            *(f"{axis} {name}:{gains[axis][place]}" for axis in "xyz" for place, name in enumerate(("gain", "offset"))),
            "Volts:300", "Lux:800", " ", "Memory Status", f"Number of Pages:{pages}", " "]  # fmt: skip
    counts = [
        round((value * gain + offset) / 100) & 0xFFF for value, (gain, offset) in zip(IN_G, gains.values(), strict=True)
    ]
    sample = f"{counts[0] << 36 | counts[1] << 24 | counts[2] << 12 | 5 << 2:012X}"
    lines = head
    for page in range(pages):
        time = (START + timedelta(seconds=6 * page)).strftime("%Y-%m-%d %H:%M:%S:%f")[:-3]
        lines += ["Recorded Data", "Device Unique Serial Code:012345", f"Sequence Number:{page}", f"Page Time:{time}",
                  "Unassigned:", "Temperature:25.5", "Battery voltage:4.1", "Device Status:Recording",
                  "Measurement Frequency:50.0", sample * 300]  # fmt: skip
    path = folder / "left wrist.bin"
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode())
    return path


BINARY_FILES = {
    "axivity_cwa": DeviceFile("axivity_cwa", cwa, 100, True, 1024 + 100, "checksum", 0.01, 160),
    "actigraph_gt3x": DeviceFile("actigraph_gt3x", gt3x, 30, False, 0, "checksum|damaged", 0.03, 90),
    "geneactiv_bin": DeviceFile("geneactiv_bin", geneactiv, 50, False, 2500, "hex", 0.03, 600),
}
