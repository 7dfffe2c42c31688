"""MATLAB Mobile sensor logs written as tables: Timestamp as 11-Dec-2020 17:41:40.000, then X, Y, Z; m/s^2 and rad/s.

One file a sensor: Acceleration and AngularVelocity. Layout: https://www.mathworks.com/help/matlabmobile/ug/sensor-data.html
"""

from __future__ import annotations

from .table import TableHints, header_holds, table_format

FORMAT = table_format(
    "matlab_mobile",
    "MATLAB Mobile",
    header_holds(r"^\s*Timestamp\s*[,;\t]\s*X\s*[,;\t]\s*Y\s*[,;\t]\s*Z\s*$", r"^'?\d{1,2}-[A-Z][a-z]{2}-\d{4} "),
    TableHints(acceleration_unit="m/s^2", angular_velocity_unit="rad/s"),
    "https://www.mathworks.com/help/matlabmobile/ug/sensor-data.html",
)
