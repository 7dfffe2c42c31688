"""Python code in a process of its own that has not imported the package, without waiting for torch each time.

One interpreter loads what every such process would load from elsewhere (torch, scipy, scikit-learn and what transformers
needs) and forks a child for each piece of code. What is tested about imports of transformers and of the package stays as
in a new interpreter; for what torch itself must not be, start one.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

_SERVER = """
import gc, json, os, signal, sys, traceback
import importlib
gc.disable()
for name in ("torch", "scipy.signal", "sklearn.metrics", "pandas", "pyarrow.parquet", "yaml", "jinja2", "PIL.Image", "regex",
             "httpx2", "trio", "tokenizers", "safetensors.torch", "accelerate", "torch._dynamo", "torch.distributed.fsdp",
             "torch.distributed.tensor"):
    importlib.import_module(name)
gc.collect()
gc.freeze()  # no child looks through all this for garbage, which would copy its pages, too: half of a child's seconds
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if child == 0:
        gc.enable()
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT), number)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background inherit a deaf one
        os.environ.clear()
        os.environ.update(job["environment"])
        os.chdir(job["folder"])
        sys.argv = ["-c", *job["arguments"]]
        code = 0
        try:
            exec(compile(job["code"], "<code>", "exec"), {"__name__": "__main__"})
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@cache
def _server():
    server = subprocess.Popen([sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.kill)
    return server


def fresh_python(code, *arguments, folder=".", **environment):
    """Runs code with `sys.argv[1:]` in a folder; gives a `CompletedProcess`. Variables are added to the environment."""
    with tempfile.TemporaryDirectory() as place:
        job = {
            "code": code, "arguments": [*map(str, arguments)], "folder": str(folder),
            "environment": os.environ | {name: str(value) for name, value in environment.items()},
            "out": f"{place}/out", "err": f"{place}/err",
        }  # fmt: skip
        server = _server()
        server.stdin.write(json.dumps(job) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        said = [Path(job[name]).read_text() for name in ("out", "err")]
    return subprocess.CompletedProcess(["python", "-c", code], status, *said)
