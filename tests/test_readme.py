"""Every block of the README runs as printed, in its order, in one folder; and the README stays short.

In the shell `anymo` and `python` are programs that leave the work to `fresh_python`, which has torch at hand.
"""

import json
import os
import re
import socketserver
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.fresh_python import fresh_python

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(python|bash)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
WORK = {
    "anymo": "import sys; sys.argv[0] = 'anymo'; from anymo_hf.cli import main; main()",
    "python": "import runpy, sys; option, name, *sys.argv[1:] = sys.argv[1:]; assert option == '-m'; "
    "runpy.run_module(name, run_name='__main__', alter_sys=True)",
}
PROGRAM = """#!/bin/sh
exec "{python}" -IS "{client}" {port} {name} "$@"
"""
CLIENT = """
import json, os, socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as asked:
    asked.sendall(json.dumps([sys.argv[2], os.getcwd(), sys.argv[3:]]).encode() + b"\\n")
    code, out, err = json.loads(asked.makefile().read())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The root of a clone as a reader sees it, and the environment after the activation line."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("anymo", "tests", "examples"):
        (folder / name).symlink_to(ROOT / name)
    programs = folder / "programs"
    programs.mkdir()
    client = programs / "client.py"
    client.write_text(CLIENT)
    with socketserver.TCPServer(("127.0.0.1", 0), Works) as server:
        for name in WORK:
            text = PROGRAM.format(python=sys.executable, client=client, port=server.server_address[1], name=name)
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        threading.Thread(target=server.serve_forever).start()
        yield folder, os.environ | {"PATH": os.pathsep.join([str(programs), os.environ["PATH"]])}
        server.shutdown()


class Works(socketserver.StreamRequestHandler):
    """Does the work of a program of the shell."""

    def handle(self):
        name, folder, words = json.loads(self.rfile.readline())
        done = fresh_python(WORK[name], *words, folder=folder)
        self.wfile.write(json.dumps([done.returncode, done.stdout, done.stderr]).encode())


def run(clone, kind, code):
    folder, environment = clone
    if kind == "python":
        done = fresh_python(code, folder=folder, **environment)
    else:
        done = subprocess.run(
            ["bash", "-euc", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
        )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def blocks_with(word):
    return [(kind, code) for kind, code in BLOCKS if word in code]


@pytest.mark.slow
def test_zero_shot_from_arrays(clone):
    ((kind, code),) = blocks_with("zero-shot-imu-classification")
    out = run(clone, kind, code)
    assert "'label': 'walking'" in out and "walk" in out.splitlines()[1]
    first, second = re.findall(r"torch\.Size\(\[(\d+), \d+\]\)", out)
    assert first == second == "2"


@pytest.mark.slow
def test_a_csv_in_the_shell(clone):
    ((kind, code),) = blocks_with("anymo recognize")
    out = run(clone, kind, code)
    score = re.search(r"mean scores of \d windows: walking (\d\.\d+)", out)
    assert score and 0.5 < float(score[1]) <= 1 and "left_wrist" in out


@pytest.mark.slow
def test_labels_of_your_own_from_numpy_windows(clone):
    ((kind, code),) = blocks_with("AnyMoClassifier")
    out = run(clone, kind, code)
    assert re.findall(r"'(\w+)'", out) == ["resting", "walking", "running"] * 3
    assert any((clone[0] / "my-classifier").iterdir())


@pytest.mark.slow
def test_anymo_bench_is_built_and_loaded(clone):
    pytest.importorskip("pyvrs", reason="needs vrs: pip install vrs")
    for kind, code in blocks_with("anymo-bench"):
        out = run(clone, kind, code)
    assert "label" in out


def test_every_block_is_run_by_a_test_above():
    ours = ("zero-shot-imu-classification", "anymo recognize", "AnyMoClassifier", "anymo-bench")
    assert all(sum(word in code for word in ours) == 1 for _, code in BLOCKS) and len(BLOCKS) == 5


def test_its_few_label_table_is_that_of_the_results_files():
    pair = r" ([\d.]+) / ([\d.]+) \|"
    rows = re.findall(rf"^\| (\d+|all) \|{pair}{pair}{pair}$", TEXT, re.MULTILINE)
    assert [row[0] for row in rows] == ["1", "5", "all"]
    for windows, *printed in rows:
        measured = []
        for system in ("feature_forest", "anymo_linear", "anymo_robust"):
            cells = json.loads((ROOT / "results" / "setup_shift" / f"{system}.json").read_text())["cells"]
            for shift in ("worn", "turned"):
                own = [cell["accuracy"] for cell in cells if cell["dataset"] == "uci_hapt" and cell["shift"] == shift
                       and cell["windows"] == (0 if windows == "all" else int(windows))]  # fmt: skip
                assert len(own) == 5
                measured.append(f"{sum(own) / 5:.1f}")
        assert printed == measured


def test_it_is_short_and_its_links_lead_somewhere():
    lines = TEXT.splitlines()
    assert len(lines) <= 170
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert target.startswith("http") or (ROOT / target).exists(), target
    for target in re.findall(r"`((?:src/|docs/|tests/|examples/|dataset_scripts/|benchmarks/|anymo/)[\w./]*)`", TEXT):
        assert (ROOT / target).exists(), target


def test_every_command_that_it_names_exists():
    from typer.main import get_command

    from anymo_hf.cli import build_app

    commands = get_command(build_app()).commands
    named = set(re.findall(r"(?:^|`)anymo ([a-z][a-z-]*)", TEXT, re.MULTILINE))
    assert named and named <= set(commands)
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([\w-]+)", TEXT)) <= targets
