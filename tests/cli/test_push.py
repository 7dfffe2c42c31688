"""`anymo push`: what a user sees, with a Hub on loopback named by HF_ENDPOINT."""

import contextlib
import json
import os
import subprocess
import sys

import pytest
from support import hub_server

# as `anymo` runs it, once for each line of JSON: variables and words in, exit code, output and errors out. The Hub's client
# reads its address when it is imported, so that this must be an interpreter of its own
PROGRAM = """
import contextlib, io, json, os, sys
from anymo_hf import cli
for line in sys.stdin:
    names, words = json.loads(line)
    os.environ.pop("HF_TOKEN", None)
    os.environ.update(names)
    sys.argv = ["anymo", "push", *words]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "nano"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# nano\n")
    return folder


@contextlib.contextmanager
def pushing(hub, home):
    """Runs `anymo push` in an interpreter that knows this Hub alone; gives exit code, output and errors."""
    names = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    names |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=names) as process:

        def push(*words, token=hub_server.TOKEN):
            print(
                json.dumps([{"HF_TOKEN": token} if token else {}, [*map(str, words)]]), file=process.stdin, flush=True
            )
            return json.loads(process.stdout.readline())

        yield push
        process.stdin.close()
        assert process.wait() == 0


@pytest.mark.slow
def test_a_model_is_uploaded_and_errors_are_one_line(model, tmp_path):
    with hub_server.LoopbackHub() as hub, pushing(hub, tmp_path / "home") as push:
        code, out, err = push("model", model, "me/nano", "--public", "--message", "First")
        assert code == 0, err
        assert out.startswith(f"uploaded: {hub.url}/me/nano/commit/")
        held = hub.repositories["models/me/nano"]
        assert held.commits == ["First"] and not held.private and held.files["model.safetensors"] == b"weights"
        code, _, err = push("model", model, "me/nano", token=None)
        assert code == 2
        assert err.startswith("anymo: no token for the Hub; run `hf auth login`, or set HF_TOKEN")
        before = len(hub.log)
        (model / "README.md").write_text("---\nlicense: apache\n---\n")
        code, _, err = push("model", model, "me/nano")
        assert code == 2 and "README.md: license: must be one of the Hub's licence" in err
        code, _, err = push("dataset", tmp_path / "none", "me/walk")
        assert code == 2 and "none: no such folder" in err and len(hub.log) == before
