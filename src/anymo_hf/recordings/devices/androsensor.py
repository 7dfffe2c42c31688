"""AndroSensor: one table of all sensors, units in the header, "Time since start in ms"; often with ";" and in Latin-1.

Layout: the header of its own CSV files (https://www.fivasim.com/androsensor.html).
"""

from __future__ import annotations

from .table import TableHints, header_holds, table_format

FORMAT = table_format(
    "androsensor",
    "AndroSensor",
    header_holds(r"ACCELEROMETER X \(m/s", r"Time since start in ms"),
    TableHints(
        acceleration_unit="m/s^2",
        angular_velocity_unit="rad/s",
        time={"Time since start in ms": "ms"},
    ),  # fmt: skip
    "https://www.fivasim.com/androsensor.html",
)
