"""Options that say how a sensor's file is to be read, and what was understood of it in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import AccelerationUnit, AngularVelocityUnit, Columns, split_names

if TYPE_CHECKING:
    from ..recordings.devices.export import DeviceExport

Rate = Annotated[float | None, typer.Option(help="Samples per second; without it time stamps are read.")]
TimeColumn = Annotated[str | None, typer.Option(help="Column of the time stamps.")]
HeaderRow = Annotated[int | None, typer.Option(help="Line of the column names, from 1 on; 0 where there are none.")]
Separator = Annotated[str | None, typer.Option(help="Between cells: one character, or tab, space, comma, semicolon.")]
Decimal = Annotated[str | None, typer.Option(help="Decimal mark, a point or a comma.")]
AppleSign = Annotated[
    bool | None,
    typer.Option("--apple-sign/--no-apple-sign", help="Acceleration is -1 g face up; default: as the format says."),
]
Options = Any  # `ReadingOptions`, which is not imported before a command runs
_ARGUMENTS = (
    "columns", "acceleration_unit", "angular_velocity_unit", "rate", "time_column", "header_row", "separator", "decimal",
    "apple_sign", "on_gap", "sampling_rate", "none_of_these",
)  # fmt: skip
_OTHER_NAMES = {"sampling-rate": "rate", "none-of-these": "none"}
_IN_PYTHON = " (reset())"  # how a message names the method behind its plain words
_ARGUMENT = re.compile(rf"\b({'|'.join(_ARGUMENTS)})=('?)([^\s';,)?]*)\2")


def reading_options(
    rate: Rate = None,
    acceleration_unit: AccelerationUnit = None,
    angular_velocity_unit: AngularVelocityUnit = None,
    columns: Columns = None,
    time_column: TimeColumn = None,
    header_row: HeaderRow = None,
    separator: Separator = None,
    decimal: Decimal = None,
    apple_sign: AppleSign = None,
) -> Options:
    """What a user says about a file on the command line.

    Raises:
        ValueError: a rate that no recording has, or no column.
    """
    from ..recordings.devices.device_format import ReadingOptions

    if rate is not None and not 5 <= rate <= 10_000:
        raise ValueError(f"--rate must lie between 5 and 10,000 samples per second, got {rate:g}")
    names = None if columns is None else split_names(columns, "--columns", "ax,ay,az,gx,gy,gz")
    return ReadingOptions(
        names, acceleration_unit, angular_velocity_unit, rate, time_column, header_row, separator, decimal, apple_sign
    )


def live_options(
    rate: Annotated[
        float | None, typer.Option(help="Samples per second; default: as the lines above the table say.")
    ] = None,
    acceleration_unit: Annotated[
        str | None, typer.Option(help="m/s^2, g or mg; default: as the column's name says, or m/s^2.")
    ] = None,
    angular_velocity_unit: Annotated[
        str | None, typer.Option(help="rad/s or deg/s; default: as the column's name says, or rad/s.")
    ] = None,
    columns: Columns = None,
    time_column: Annotated[
        str | None, typer.Option(help="Column of the time stamps; without it none are read and no pause is seen.")
    ] = None,
    header_row: HeaderRow = None,
    separator: Separator = None,
    decimal: Decimal = None,
    apple_sign: Annotated[
        bool | None,
        typer.Option("--apple-sign/--no-apple-sign", help="Acceleration is -1 g face up; default: it is not."),
    ] = None,
) -> Options:
    """As `reading_options`, of a table that comes line by line: no size of its values, and no clock, is known beforehand."""
    return reading_options(
        rate, acceleration_unit, angular_velocity_unit, columns, time_column, header_row, separator, decimal, apple_sign
    )


def in_shell_words(message: str) -> str:
    """A message with `rate=` and the like as the options of the command line, `--rate`, and without Python's methods."""

    def option(match: re.Match) -> str:
        name, value = match[1].replace("_", "-"), match[3]
        name = _OTHER_NAMES.get(name, name)
        if value == "False":
            return f"--no-{name}"
        return f"--{name}" if value in ("", "True") else f"--{name} {value}"

    return _ARGUMENT.sub(option, message.replace(_IN_PYTHON, ""))


def warn(export: DeviceExport) -> None:
    """What is probably wrong, on standard error; the same is then not said of every window."""
    import warnings

    from ..modeling.imu_signal import ImuWarning

    warnings.simplefilter("ignore", ImuWarning)
    for warning in export.warnings:
        typer.echo(f"anymo: warning: {in_shell_words(warning)}", err=True)


def summary(export: DeviceExport) -> dict[str, Any]:
    """What `anymo data read --json` prints."""
    return {
        "file": str(export.file), "format": export.device, "files": [str(file) for file in export.files],
        "samples": export.samples, "rows": export.rows, "sampling_rate": export.sampling_rate,
        "rate_found": export.rate_found, "seconds": round(export.samples / export.sampling_rate, 3),
        "columns": list(export.columns), "left_out": export.left_out, "time_column": export.time_column,
        "acceleration_unit": export.acceleration_unit, "acceleration_unit_found": export.acceleration_unit_found,
        "angular_velocity_unit": export.angular_velocity_unit or None,
        "angular_velocity_unit_found": export.angular_velocity_unit_found or None,
        "median_acceleration": export.median_acceleration,
        "gaps": [
            {"start": gap.start, "seconds": gap.seconds, "lost": gap.lost, "bridged": gap.bridged} for gap in export.gaps
        ],
        "stretches": len(export.stretches), "notes": [in_shell_words(note) for note in export.notes],
        "warnings": [in_shell_words(warning) for warning in export.warnings],
    }  # fmt: skip


def summary_lines(export: DeviceExport) -> list[str]:
    """What `anymo data read` prints."""
    from ..recordings.devices.read_report import report_rows

    rows = report_rows(export)
    return [f"{export.file}: {export.title}"] + [f"  {name:17} {in_shell_words(text)}" for name, text in rows]
