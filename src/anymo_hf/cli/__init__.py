"""`anymo`: one file a command group. A new command is one new file in this folder, found by `build_app`.

A file declares `typer.Typer` objects: one with a name is a group of commands, of one without a name every command stands
at the top. `rich_help_panel` names the heading under which `anymo --help` shows it. No job's logic lives here, and
nothing slow is imported before a command runs.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import warnings
from typing import Annotated, Any

import typer

from ..interruption import INTERRUPTED, ending_in_words, was_interrupted
from ..refusals import in_words

PANELS = ("Recordings", "Evaluation", "Data", "Motion and simulation", "Sharing")


def build_app() -> typer.Typer:
    """The program, with the commands of every file of this folder.

    Raises:
        ValueError: two files declare a command or group of one name.
    """
    app = typer.Typer(
        help="Human motion from wearable IMUs in any wearing setup.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    found: dict[str, str] = {}
    parts = []
    for name in sorted(item.name for item in pkgutil.iter_modules(__path__)):
        module = importlib.import_module(f"{__name__}.{name}")
        for part in (value for value in vars(module).values() if isinstance(value, typer.Typer)):
            for command in _names(part):
                if command in found:
                    raise ValueError(f"{module.__name__}: the command {command!r} is declared by {found[command]}, too")
                found[command] = module.__name__
            parts.append((_panel(part), part))
    for _, part in sorted(parts, key=lambda pair: PANELS.index(pair[0]) if pair[0] in PANELS else len(PANELS)):
        app.add_typer(part, rich_help_panel=part.rich_help_panel)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"anymo-hf {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and end.")
    ] = False,
) -> None:
    pass


def _names(part: typer.Typer) -> list[str]:
    if isinstance(part.info.name, str):
        return [part.info.name]
    return [one.name or one.callback.__name__.replace("_", "-") for one in part.registered_commands]


def _panel(part: typer.Typer) -> str:
    named = isinstance(part.info.name, str)
    return str(part.rich_help_panel if named else part.registered_commands[0].rich_help_panel)


def _known(error: typer.TyperException) -> str:
    """The commands there are, where one was asked for that there is not."""
    commands = getattr(getattr(getattr(error, "ctx", None), "command", None), "commands", {})
    return f"Known: {', '.join(sorted(commands))}. " if "No such command" in error.format_message() else ""


def _warn_in_one_line(message: Warning | str, *about: Any) -> None:
    """Warnings about signals as this program says them; others as Python does."""
    from ..modeling.imu_signal import ImuWarning
    from ..refusals import DoubtWarning
    from .reading import in_shell_words

    if isinstance(message, ImuWarning | DoubtWarning):
        typer.echo(f"anymo: warning: {in_shell_words(str(message))}", err=True)
    else:
        typer.echo(warnings.formatwarning(message, *about[:3]), err=True, nl=False)


def main() -> None:
    """Entry point: bad input ends with one line and exit code 2, not with a traceback; Ctrl-C with 130."""
    with ending_in_words("anymo"):
        _run()


def _run() -> None:
    from ..freed_memory import keep_freed_memory
    from .reading import in_shell_words

    keep_freed_memory(largest=2**25)  # blocks of a network, not of a day's recording
    warnings.showwarning = _warn_in_one_line
    try:
        code = build_app()(standalone_mode=False) or 0
        if code == INTERRUPTED:  # typer makes this code of Ctrl-C, without a word
            raise KeyboardInterrupt
        sys.exit(code)
    except typer.TyperException as error:
        if len(sys.argv) < 2:  # called without a command: typer has printed the help
            sys.exit(error.exit_code)
        message, code = f"{error.format_message()} {_known(error)}(anymo --help says more)", error.exit_code
    except (ValueError, OSError) as error:
        if was_interrupted():
            raise KeyboardInterrupt from error
        message, code = in_words(error), 2
    except ImportError as error:
        message, code = f"{error}; install the extras: pip install 'anymo-hf[eval,viz,annotate,vrs]'", 2
    typer.echo(f"anymo: {in_shell_words(' '.join(message.split()))}", err=True)
    sys.exit(code)
