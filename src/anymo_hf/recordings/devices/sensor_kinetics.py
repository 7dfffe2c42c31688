"""Sensor Kinetics: "time,X_value,Y_value,Z_value", one sensor a file, seconds, m/s^2 and rad/s.

The file names no sensor; its name does. Layout: the header of its shared files (https://www.rotoview.com/sensor_kinetics.htm).
"""

from __future__ import annotations

from .table import TableHints, header_holds, table_format

FORMAT = table_format(
    "sensor_kinetics",
    "Sensor Kinetics",
    header_holds(r"^\s*time\s*[,;\t]\s*X_value\s*[,;\t]\s*Y_value\s*[,;\t]\s*Z_value"),
    TableHints(acceleration_unit="m/s^2", angular_velocity_unit="rad/s", time={"time": "s"}),
    "https://www.rotoview.com/sensor_kinetics.htm",
)
