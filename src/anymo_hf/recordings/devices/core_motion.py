"""Apple's Core Motion as many apps write it: userAcceleration and gravity in g, rotationRate in rad/s, in Apple's sign.

Acceleration with gravity is the sum of the two; at rest face up Apple gives -1 g, so it is turned about.
Layout: https://developer.apple.com/documentation/coremotion/cmdevicemotion
"""

from __future__ import annotations

from .table import TableHints, header_holds, table_format

FORMAT = table_format(
    "core_motion",
    "Apple Core Motion",
    header_holds(
        r"\A(?![\s\S]*accelerometerAccelerationX)", r"user_?acceleration[._ ]?\(?x", r"(?<!user)gravity[._ ]?\(?x"
    ),
    TableHints(acceleration_unit="g", angular_velocity_unit="rad/s", apple_sign=True),
    "https://developer.apple.com/documentation/coremotion/cmdevicemotion",
)
