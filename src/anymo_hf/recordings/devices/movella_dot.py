"""Movella (Xsens) DOT: lines on the device, then PacketCounter, SampleTimeFine in microseconds, m/s^2 and deg/s.

SampleTimeFine has 32 bits and begins anew. FreeAcc is without gravity. Layout: Movella DOT Data Exporter user manual.
"""

from __future__ import annotations

from .table import TableHints, header_holds, table_format

FORMAT = table_format(
    "movella_dot",
    "Movella DOT",
    header_holds(
        r"^(DeviceTag|FirmwareVersion|Measurement Mode|OutputRate)\b", r"^PacketCounter\s*,\s*SampleTimeFine\b"
    ),
    TableHints(acceleration_unit="m/s^2", angular_velocity_unit="deg/s", time={"SampleTimeFine": "us"}),
    "https://www.movella.com/support/software-documentation",
)
