"""MbientLab MetaWear: "epoch (ms),time,elapsed (s),x-axis (g)…", one sensor a file, g and deg/s by the header.

The names of the two files differ by Accelerometer and Gyroscope and by the rate.
Layout: https://mbientlab.com/tutorials/MetaBase.html
"""

from __future__ import annotations

from .table import TableHints, header_holds, table_format

FORMAT = table_format(
    "metawear",
    "MbientLab MetaWear",
    header_holds(r"^epoch? \(ms\),.*\bx-axis \((g|deg/s)\)"),
    TableHints(
        acceleration_unit="g",
        angular_velocity_unit="deg/s",
        time={"epoch (ms)": "ms", "epoc (ms)": "ms", "elapsed (s)": "s"},
    ),  # fmt: skip
    "https://mbientlab.com/tutorials/MetaBase.html",
)
