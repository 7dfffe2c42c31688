"""`anymo push`: what a user sees, with a Hub on loopback named by HF_ENDPOINT."""

import os
import subprocess
import sys

import pytest
from support import hub_server

# as `anymo` runs it: an error is one line and ends with 2
PROGRAM = """
import sys
from anymo_hf import cli
sys.argv[0] = "anymo"
cli.main()
"""


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "nano"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# nano\n")
    return folder


def _push(hub, home, *arguments, token=hub_server.TOKEN):
    names = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    names |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-c", PROGRAM, "push", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=names | ({"HF_TOKEN": token} if token else {}))


@pytest.mark.slow
def test_a_model_is_uploaded_and_errors_are_one_line(model, tmp_path):
    with hub_server.LoopbackHub() as hub:
        done = _push(hub, tmp_path / "home", "model", model, "me/nano", "--public", "--message", "First")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"uploaded: {hub.url}/me/nano/commit/")
        held = hub.repositories["models/me/nano"]
        assert held.commits == ["First"] and not held.private and held.files["model.safetensors"] == b"weights"
        failed = _push(hub, tmp_path / "home", "model", model, "me/nano", token=None)
        assert failed.returncode == 2
        assert failed.stderr.startswith("anymo: no token for the Hub; run `hf auth login`, or set HF_TOKEN")
        before = len(hub.log)
        (model / "README.md").write_text("---\nlicense: apache\n---\n")
        failed = _push(hub, tmp_path / "home", "model", model, "me/nano")
        assert failed.returncode == 2 and "README.md: license: must be one of the Hub's licence" in failed.stderr
        failed = _push(hub, tmp_path / "home", "dataset", tmp_path / "none", "me/walk")
        assert failed.returncode == 2 and "none: no such folder" in failed.stderr and len(hub.log) == before
