"""The house: imports go one way, no path tricks, no unpickling, no nameless modules, no endless files."""

import ast
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "anymo_hf"
ROOMS = [
    "modeling", "motion", "simulation", "nymeria", "recordings", "annotation", "training", "systems", "pictures",
    "evaluation", "hub", "cli",
]  # fmt: skip


@lru_cache(1)
def nodes(path):
    """The syntax of a file, of which several questions are asked in a row."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def dotted(node):
    """`a.b.c` of the syntax of a name; what is no name is a question mark."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def imported_rooms(path):
    """Rooms that a file of the package imports from, its own among them, wherever in the file the import stands."""
    place = path.relative_to(SOURCE).with_suffix("").parts
    for node in nodes(path):
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


PROGRAMS = ("tests", "training", "dataset_scripts", "benchmarks", "examples", "src")  # the last is asked about again
UNPICKLERS = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "dill.load", "dill.loads", "joblib.load", "shelve.open",
    "pd.read_pickle", "pandas.read_pickle", "torch.jit.load", "cloudpickle.load", "cloudpickle.loads", "marshal.load",
    "marshal.loads", "yaml.load", "yaml.full_load", "yaml.unsafe_load", "jsonpickle.decode",
}  # fmt: skip
RUNNERS = {"eval", "exec", "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "pty.spawn"}
FETCHERS = {
    "urllib.request.urlopen", "urllib.request.urlretrieve", "urlopen", "urlretrieve", "requests.get", "httpx.get",
    "httpx2.get", "torch.hub.load", "torch.hub.download_url_to_file", "wget.download", "httpx.stream", "httpx2.stream",
}  # fmt: skip
PATH_EDITS = {f"sys.path.{verb}" for verb in ("insert", "append", "extend")} | {"site.addsitedir"}


@lru_cache(512)
def calls(path):
    """Dotted names of what a file calls, with the call; other imports are followed to their names."""
    short = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in nodes(path) if isinstance(node, ast.ImportFrom) and not node.level for alias in node.names
    }  # fmt: skip
    found = [(dotted(node.func), node) for node in nodes(path) if isinstance(node, ast.Call)]
    return [(short.get(name, name), node) for name, node in found]


def keyword(call, name):
    return next((ast.unparse(item.value) for item in call.keywords if item.arg == name), None)


def _far(call):
    """Whether a call that takes remote code may take it from anywhere: a name in the text, and no revision."""
    return keyword(call, "revision") is None and bool(call.args) and isinstance(call.args[0], ast.Constant)


def _is_safe(path, call):
    """Whether the loader of a `yaml.load` is a class of the same file over `yaml.SafeLoader`."""
    return any(
        isinstance(node, ast.ClassDef) and node.name == keyword(call, "Loader")
        and [ast.unparse(base) for base in node.bases] == ["yaml.SafeLoader"]
        for node in nodes(path)
    )  # fmt: skip


def tricks(path):
    """What a file does that none may: unpickle, run text or a shell, edit the import path, load a module by its file.

    Code from the Hub is taken at a revision only.
    """
    for name, call in calls(path):
        if name == "exec" and "tests" in path.parts or name == "yaml.load" and _is_safe(path, call):
            continue  # the notebook's own cells; a loader that makes plain values alone
        if name in RUNNERS or (keyword(call, "shell") not in (None, "False") and name.startswith("subprocess.")):
            yield f"{name}, line {call.lineno}"
        elif keyword(call, "trust_remote_code") == "True" and "from_pretrained" in name and _far(call):
            yield f"{name} of remote code without a revision, line {call.lineno}"
        elif name in UNPICKLERS or name in PATH_EDITS or name.endswith("spec_from_file_location"):
            yield f"{name}, line {call.lineno}"
        elif name in ("np.load", "numpy.load") and keyword(call, "allow_pickle") not in (None, "False"):
            yield f"{name} with allow_pickle, line {call.lineno}"
        elif name == "torch.load" and keyword(call, "weights_only") != "True":
            yield f"torch.load without weights_only=True, line {call.lineno}"


def path_edits(path):
    """Assignments to `sys.path` or into it."""
    for node in nodes(path):
        if isinstance(node, ast.Assign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            dots = (target for target in targets if not isinstance(target, ast.Name))
            if any(ast.unparse(target).startswith("sys.path") for target in dots):
                yield f"sys.path is assigned, line {node.lineno}"


@pytest.mark.parametrize("folder", PROGRAMS)
def test_nothing_is_unpickled_and_no_import_path_is_edited(folder):
    found = {str(path.relative_to(ROOT)): [*tricks(path), *path_edits(path)] for path in (ROOT / folder).rglob("*.py")}
    assert found and not {path: what for path, what in found.items() if what}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("import pickle\npickle.loads(b'')", "pickle.loads"),
        ("from pickle import load as l\nl(file)", "pickle.load"),
        ("import numpy as np\nnp.load('x', allow_pickle=True)", "allow_pickle"),
        ("import torch\ntorch.load('x')", "weights_only"),
        ("import sys\nsys.path.insert(0, 'x')", "sys.path.insert"),
        ("import sys\nsys.path[:0] = ['x']", "sys.path is assigned"),
        ("eval('1')", "eval"),
        ("exec(text)", "exec"),
        ("from os import system\nsystem('ls')", "os.system"),
        ("import subprocess\nsubprocess.run('ls', shell=True)", "subprocess.run"),
        ("import yaml\nyaml.load(text)", "yaml.load"),
        ("AutoModel.from_pretrained('a/b', trust_remote_code=True)", "without a revision"),
        ("from importlib.util import spec_from_file_location\nspec_from_file_location('a', 'b')", "spec_from_file"),
    ],
)
def test_each_trick_would_be_seen(tmp_path, line, what):
    (tmp_path / "file.py").write_text(line)
    (seen,) = [*tricks(tmp_path / "file.py"), *path_edits(tmp_path / "file.py")]
    assert what in seen


RENAMES = {  # who puts a temporary name in place without `atomic_write.replacing`, and why
    "atomic_write.py": "the home",
    "hub/builders/parquet_repository.py": "the data leave a work folder that outlives a killed build",
    "modeling/export_anymo.py": "travels with a checkpoint",
    "modeling/feature_extraction_anymo.py": "travels with a checkpoint",
    "modeling/release.py": "travels with a checkpoint",
    "modeling/saved_code.py": "travels with a checkpoint",
    "nymeria/annotations.py": "whoever is first wins: others may read that folder already",
    "training/checkpoints.py": "safetensors leaves a file of its own beside the draft, so the draft is in a folder",
}


def test_files_are_put_in_place_in_one_home():
    found = set()
    for path in sorted(SOURCE.rglob("*.py")):
        for name, call in calls(path):
            # str.replace has two arguments, Path.replace one
            by_path = name.endswith(".replace") and len(call.args) == 1 and name != "dataclasses.replace"
            if name in ("os.replace", "os.rename", "shutil.move") or by_path:
                found.add(path.relative_to(SOURCE).as_posix())
    assert found == set(RENAMES)


@pytest.mark.parametrize("folder", ["src", "training", "dataset_scripts", "hub_cards"])
def test_nothing_is_downloaded_but_by_the_hubs_client(folder):
    found = {
        str(path.relative_to(ROOT)): [name for name, _ in calls(path) if name in FETCHERS]
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    assert found and not {path: names for path, names in found.items() if names}


def test_what_travels_with_a_checkpoint_imports_its_siblings_only():
    siblings = {path.stem for path in (SOURCE / "modeling").glob("*.py")}
    for path in sorted((SOURCE / "modeling").glob("*.py")):
        for node in nodes(path):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.level == 1 and node.module in siblings, f"{path.name}, line {node.lineno}"
            elif isinstance(node, ast.ImportFrom | ast.Import):
                names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
                outside = [name for name in names if name and name.split(".")[0] == "anymo_hf"]
                assert not outside, f"{path.name}, line {node.lineno} imports {outside[0]}"
