"""What was understood of a device's file, in words: for the command line and for the page in a browser."""

from __future__ import annotations

from .export import DeviceExport

_GAPS_SHOWN = 5
WARNING = "WARNING"


def report_rows(export: DeviceExport) -> list[tuple[str, str]]:
    """Name and text of each row, in the order to be read; names repeat, and `WARNING` names what is probably wrong."""
    seconds = export.samples / export.sampling_rate
    rows = [("files", ", ".join(file.name for file in export.files))] if len(export.files) > 1 else []
    rows += [
        ("columns", ", ".join(export.columns) or "the format's own"),
        ("acceleration", f"{export.acceleration_unit} ({export.acceleration_unit_found})"),
    ]
    if export.angular_velocity_unit:
        rows.append(("angular velocity", f"{export.angular_velocity_unit} ({export.angular_velocity_unit_found})"))
    rows.append(("rate", f"{export.sampling_rate:.6g} Hz ({export.rate_found})"))
    beside = "" if export.rows == export.samples else f", from {export.rows} in the file"
    rows.append(("samples", f"{export.samples} = {seconds:.2f} s{beside}"))
    rows.append(("median |a|", f"{export.median_acceleration:.3f} m/s^2"))
    left: dict[str, list[str]] = {}
    for name, reason in export.left_out.items():
        left.setdefault(reason, []).append(name)
    rows += [("left out", f"{', '.join(names)}: {reason}") for reason, names in left.items()]
    shown = sorted(export.gaps, key=lambda gap: -gap.seconds)[:_GAPS_SHOWN]
    rows += [
        ("gap", f"{gap.seconds:.3f} s after {gap.start:.3f} s, {gap.lost} samples"
                f"{', interpolated' if gap.bridged else ', the recording is cut there'}")
        for gap in sorted(shown, key=lambda gap: gap.start)
    ]  # fmt: skip
    rows += [("gaps", f"{len(export.gaps)} in all, the longest shown")] if len(export.gaps) > len(shown) else []
    rows += [("note", note) for note in export.notes]
    return rows + [(WARNING, warning) for warning in export.warnings]
