"""SensorLog for iPhone and Apple Watch: accelerometerAccelerationX(G), motionRotationRateX(rad/s), in Apple's sign.

The columns name their units. The clock is the sensor's own, seconds since the device started; rows that repeat a sample
are passed over by the general table's rules. Layout: http://sensorlog.berndthomas.net
"""

from __future__ import annotations

from .table import TableHints, header_holds, table_format

FORMAT = table_format(
    "sensorlog",
    "SensorLog",
    header_holds(r"accelerometerAccelerationX\(G\)"),
    TableHints(
        acceleration=tuple(f"accelerometerAcceleration{axis}(G)" for axis in "XYZ"),
        angular_velocity=tuple(f"motionRotationRate{axis}(rad/s)" for axis in "XYZ"),
        time={
            "accelerometerTimestamp_sinceReboot(s)": "s",
            "motionTimestamp_sinceReboot(s)": "s",
            "loggingTime(txt)": "",
            "loggingSample(N)": "",
        },
        apple_sign=True,
    ),  # fmt: skip
    "http://sensorlog.berndthomas.net",
)
