"""phyphox: "Time (s)" and one sensor a file, units in the header; a zip holds Accelerometer.csv and Gyroscope.csv.

phyphox turns iOS readings to Android's sign itself. Experiments "without g" are refused by name.
Layout: https://phyphox.org/wiki (data export).
"""

from __future__ import annotations

from .table import TableHints, header_holds, table_format

FORMAT = table_format(
    "phyphox",
    "phyphox",
    header_holds(r'^"?Time \(s\)"?\s*[,;\t]\s*"?((Linear )?Acceleration|Gyroscope|X \(|Accelerometer)'),
    TableHints(time={"Time (s)": "s"}, acceleration_unit="m/s^2", angular_velocity_unit="rad/s"),
    "https://phyphox.org/wiki/index.php/Export",
)
