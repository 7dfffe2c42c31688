"""Axivity AX3 and AX6 as CSV from OmGui: no header; a date, then x, y, z in g, and for the AX6 angular velocity in deg/s.

Layout: https://github.com/openmovementproject/openmovement (AX3 GUI, "Export raw CSV").
"""

from __future__ import annotations

from .table import TableHints, header_holds, table_format

FORMAT = table_format(
    "axivity",
    "Axivity CSV",
    header_holds(r"\A\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d{3}\d*(,\s*-?\d+(\.\d+)?){3}(,|\s*$)"),
    TableHints(
        acceleration_unit="g",
        angular_velocity_unit="deg/s",
        names=(("time", "x", "y", "z"), ("time", "acc x", "acc y", "acc z", "gyr x", "gyr y", "gyr z")),
    ),  # fmt: skip
    "https://github.com/openmovementproject/openmovement",
)
