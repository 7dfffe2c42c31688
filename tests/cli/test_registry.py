"""The registry of commands: one file a command group, quick help, one name each."""

import re
import shlex
import subprocess
import sys

import pytest
import typer

import anymo_hf
from anymo_hf import cli

TOY = '''
from typing import Annotated
import typer
app = typer.Typer(name="toy", help="A toy.", rich_help_panel="Toys")
commands = typer.Typer()


@app.callback()
def toy():
    """A toy."""


@app.command()
def greet(name: Annotated[str, typer.Argument(help="Who.")]):
    """Greet."""
    if name == "nobody":
        raise ValueError("nobody cannot be greeted")
    typer.echo(f"hello {name}")


@commands.command()
def shake_hands():
    """Shake hands."""
    typer.echo("shaken")
'''


def test_a_new_command_is_one_file(anymo, tmp_path, monkeypatch):
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.setattr(cli, "__path__", [*cli.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "anymo_hf.cli.toy", raising=False)
    code, out, err = anymo("--help")
    assert code == 0 and not err and "Toys" in out and "A toy." in out and "shake-hands" in out
    assert anymo("toy", "greet", "Ann") == (0, "hello Ann\n", "") and anymo("shake-hands") == (0, "shaken\n", "")
    assert anymo("toy", "greet", "nobody") == (2, "", "anymo: nobody cannot be greeted\n")
    (tmp_path / "toys.py").write_text(TOY)
    code, _, err = anymo("info", "--placements")
    assert code == 2 and "the command 'toy' is declared by anymo_hf.cli.toy, too" in err
    for name in ("toy", "toys"):
        sys.modules.pop(f"anymo_hf.cli.{name}", None)


def commands():
    """Every command of the program with its words."""

    def walk(command, words):
        if not hasattr(command, "commands"):
            yield " ".join(words), command
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, [*words, name])

    return dict(walk(typer.main.get_command(cli.build_app()), []))


def test_every_command_explains_itself():
    found = commands()
    top = {"recognize", "caption", "retrieve", "stream", "demo", "info", "simulate", "make-mini-nymeria"}
    assert top | {"convert-official", "evaluate recognition", "bench labels", "push model"} <= set(found)
    for words, command in found.items():
        purpose, *rest = re.split(r"\n\n|\. ", command.help.strip())
        assert len(purpose.split()) >= 4, f"{words}: {purpose!r} says too little"
        assert rest and re.search(r"^Example: \S", rest[-1], re.M), f"{words} has no example at the end"
        for parameter in command.params:
            if parameter.name != "help":
                assert parameter.help and len(parameter.help.split()) >= 2, f"{words}: {parameter.name} has no help"
                assert parameter.help.strip().endswith((".", "]")), f"{words}: {parameter.name}: {parameter.help!r}"


def test_examples_can_be_parsed_by_their_own_command():
    for words, command in commands().items():
        (example,) = re.findall(r"Example: (.*)", command.help)
        program, *parts = shlex.split(example)
        assert program == "anymo" and parts[: len(words.split())] == words.split(), example
        command.make_context(words, parts[len(words.split()) :])  # refuses unknown options and what is missing


@pytest.mark.slow
def test_help_and_version_wait_for_nothing_slow():
    # one after the other in one interpreter: what neither imports, each does not
    program = """
import sys
from anymo_hf.cli import main
for word in ("--help", "--version"):
    sys.argv = ["anymo", word]
    try:
        main()
    except SystemExit as end:
        assert end.code == 0, end.code
    slow = {"torch", "datasets", "scipy", "pandas", "matplotlib"} & set(sys.modules)
    assert not slow, (word, slow)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert "recognize" in done.stdout and done.stdout.endswith(f"anymo-hf {anymo_hf.__version__}\n")


def test_what_is_unknown_is_one_line_with_what_is_known(anymo):
    code, out, err = anymo("evaluate", "everything")
    assert code == 2 and not out and err.count("\n") == 1 and "Known: all, " in err and "anymo --help" in err


def test_without_a_command_it_helps(anymo):
    code, out, _ = anymo()
    assert code == 2 and "recognize" in out


@pytest.mark.parametrize("name", ["options", "csv_windows"])
def test_shared_options_are_no_command(name):
    assert not any(words.split()[0] == name for words in commands())
