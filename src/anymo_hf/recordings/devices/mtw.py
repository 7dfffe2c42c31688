"""Movella (Xsens) MTw and MTi through MT Manager: tabs, lines with //, PacketCounter, m/s^2 and rad/s.

The rate stands in "// Update Rate"; SampleTimeFine counts 1/10,000 s, where it is written at all, and the packet counter
tells lost samples. Layout: MT Manager User Manual, "ASCII export".
"""

from __future__ import annotations

from .table import TableHints, header_holds, table_format

FORMAT = table_format(
    "mtw",
    "Movella MTw",
    header_holds(r"^//\s*(Start Time|Update Rate|Firmware Version)", r"^PacketCounter\t"),
    TableHints(
        acceleration=("Acc_X", "Acc_Y", "Acc_Z"),
        angular_velocity=("Gyr_X", "Gyr_Y", "Gyr_Z"),
        acceleration_unit="m/s^2",
        angular_velocity_unit="rad/s",
    ),  # fmt: skip
    "https://www.movella.com/support/software-documentation",
)
