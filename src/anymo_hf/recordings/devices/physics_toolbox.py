"""Physics Toolbox Sensor Suite: g-force gFx, gFy, gFz with gravity, gyroscope wx, wy, wz in rad/s, seconds or time of day.

ax, ay, az are its linear accelerometer and hold no gravity, so they are not read.
Layout: https://www.vieyrasoftware.net (recorded CSV files).
"""

from __future__ import annotations

from .table import TableHints, header_holds, table_format

FORMAT = table_format(
    "physics_toolbox",
    "Physics Toolbox Sensor Suite",
    header_holds(r"\bgFx\b.*\bgFy\b.*\bgFz\b"),
    TableHints(
        acceleration=("gFx", "gFy", "gFz"),
        angular_velocity=("wx", "wy", "wz"),
        acceleration_unit="g",
        angular_velocity_unit="rad/s",
    ),  # fmt: skip
    "https://www.vieyrasoftware.net/physics-toolbox-sensor-suite",
)
