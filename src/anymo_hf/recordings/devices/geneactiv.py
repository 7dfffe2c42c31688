"""GENEActiv CSV: a hundred lines on the device, then date, x, y, z in g, lux, button and temperature without names.

Milliseconds stand behind a colon. Layout: GENEActiv PC software instruction manual (Activinsights).
"""

from __future__ import annotations

from .table import TableHints, header_holds, table_format

FORMAT = table_format(
    "geneactiv",
    "GENEActiv CSV",
    header_holds(r"^Device Type,GENEActiv", r"^Measurement Frequency,"),
    TableHints(
        acceleration_unit="g",
        names=(("time", "x", "y", "z", "lux", "button", "temperature"),),
    ),  # fmt: skip
    "https://activinsights.com/support",
)
