"""The house: imports go one way, no path tricks, no unpickling, no nameless modules, no endless files."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "anymo_hf"
ROOMS = [
    "modeling", "motion", "simulation", "nymeria", "recordings", "annotation", "training", "systems", "pictures",
    "evaluation", "hub", "cli",
]  # fmt: skip


def imported_rooms(path):
    """Rooms that a file of the package imports from, its own among them, wherever in the file the import stands."""
    place = path.relative_to(SOURCE).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ("anymo_hf", *place)[: len(place) + 1 - node.level]
            names = [".".join([*base, *([node.module] if node.module else []), alias.name]) for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "anymo_hf" and len(parts) > 1 and parts[1] in ROOMS:
                yield parts[1], node.lineno


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_from_rooms_before_it_only(room):
    allowed = ROOMS[: ROOMS.index(room) + 1]
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {other}"
        for path in sorted((SOURCE / room).rglob("*.py"))
        for other, line in imported_rooms(path)
        if other not in allowed
    ]
    assert not wrong


def test_files_are_named_by_what_they_do_and_end():
    files = [path for path in SOURCE.rglob("*.py")]
    assert not [path for path in files if path.stem in ("utils", "helpers", "misc", "common")]
    assert not [path for path in files if len(path.read_text(encoding="utf-8").splitlines()) > 720]
    assert {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()} == set(ROOMS)
