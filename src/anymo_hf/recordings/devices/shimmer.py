"""Shimmer Consensys: "sep=", the names, a row of units; calibrated (CAL) columns go before raw ones.

Timestamp_Unix is in ms since 1970, deg/s and m/s^2 stand in the row of units.
Layout: Consensys User Guide (https://www.shimmersensing.com).
"""

from __future__ import annotations

from .table import TableHints, header_holds, table_format

FORMAT = table_format(
    "shimmer",
    "Shimmer Consensys",
    header_holds(r"Accel_(LN|WR)_X_(CAL|RAW)|Timestamp_(Unix|SYNC|FormattedUnix)_CAL"),
    TableHints(acceleration_unit="m/s^2", angular_velocity_unit="deg/s"),
    "https://www.shimmersensing.com/support/wireless-sensor-networks-download",
)
