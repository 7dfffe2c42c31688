"""ActiGraph raw CSV: ten lines on the device with "at 30 Hz", then Accelerometer X, Y, Z in g; time stamps if asked for.

Layout: ActiLife User Manual, "Raw data"; https://github.com/actigraph (GT3X and CSV documentation).
"""

from __future__ import annotations

from .table import TableHints, header_holds, table_format

FORMAT = table_format(
    "actigraph",
    "ActiGraph CSV",
    header_holds(r"^-+ ?Data (File|Table|Created).*ActiGraph"),
    TableHints(
        acceleration=tuple(f"Accelerometer {axis}" for axis in "XYZ"),
        acceleration_unit="g",
        angular_velocity_unit="deg/s",
        names=(("Accelerometer X", "Accelerometer Y", "Accelerometer Z"),),
    ),  # fmt: skip
    "https://github.com/actigraph/GT3X-File-Format",
)
