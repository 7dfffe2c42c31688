"""Simulation across three Ray nodes on one machine, one of which is killed in the middle: same bytes, nothing lost."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from anymo_hf.simulation.archive import simulate_archive
from anymo_hf.simulation.archive.manifest import verify_archive

# looked for, not imported: every process of the tests would wait for it
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="reads /proc"),
    pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install 'anymo-hf[ray]'"),
]
PORTS = ("node-manager", "object-manager", "runtime-env-agent", "dashboard-agent-grpc", "dashboard-agent-listen",
         "metrics-export")  # fmt: skip
OPTIONS = {"procedural": 12, "seconds": 6.0, "activities": ["walking", "sitting"], "progress": False}
# a driver of its own: a test process must not be tied to a cluster
DRIVER = """
import sys
import ray
from anymo_hf.simulation.archive import simulate_archive
ray.init(log_to_driver=False)
print(sum(node["Alive"] for node in ray.nodes()), flush=True)
simulate_archive(sys.argv[1], engine="ray", num_proc=3, **{options!r})
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


@pytest.fixture
def cluster(tmp_path):
    """Address of a head and two workers, one CPU each, and the processes that `ray start --block` is."""
    port, nodes = free_port(), []
    environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    environment |= {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    short = tempfile.mkdtemp(prefix="ray")  # Ray's sockets lie below it, and their names have a limit of 107 letters
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1", "--disable-usage-stats"]
    ray += ["--object-store-memory=80000000", "--node-ip-address=127.0.0.1",
            "--min-worker-port=0", "--max-worker-port=0"]  # fmt: skip

    def start(*more):
        """A node with ports of its own; the next one is started when it runs."""
        path = tmp_path / f"node{len(nodes)}.txt"
        ports = [f"--{name}-port={free_port()}" for name in PORTS]
        with path.open("w") as said:
            nodes.append(
                subprocess.Popen(
                    [*ray, *ports, *more], env=environment, stdout=said, stderr=said, start_new_session=True
                )
            )
        stop = time.monotonic() + 150
        while "Ray runtime started" not in path.read_text():
            assert nodes[-1].poll() is None and time.monotonic() < stop, path.read_text()[-2000:]
            time.sleep(0.2)

    try:
        start("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={short}")
        for _ in range(2):
            start(f"--address=127.0.0.1:{port}")
        yield environment | {"RAY_ADDRESS": f"127.0.0.1:{port}"}, nodes
    finally:
        for node in reversed(nodes):
            end(node)
        shutil.rmtree(short, ignore_errors=True)


def end(node):
    """SIGKILL for a node and all that it started: its raylet has a process group of its own."""
    for pid in [*below(node.pid), node.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    node.wait()


def below(pid):
    """Processes that a process started, and they in turn."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found, more = [], {pid}
    while more := {child for child, parent in parents.items() if parent in more}:
        found += more
    return found


def test_a_node_that_is_killed_in_the_middle_costs_nothing(cluster, tmp_path):
    environment, nodes = cluster
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER.format(options=OPTIONS), str(tmp_path / "ray")], env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert driver.stdout.readline() == "3\n"
    while len(list((tmp_path / "ray").rglob("*.parquet"))) < 3 and driver.poll() is None:
        time.sleep(0.02)
    assert driver.poll() is None, "it ended before a node could be killed"
    end(nodes[2])
    _, said = driver.communicate(timeout=400)
    assert driver.returncode == 0, said[-3000:]
    assert verify_archive(tmp_path / "ray") == []
    simulate_archive(tmp_path / "local", **OPTIONS)
    assert content(tmp_path / "ray") == content(tmp_path / "local")
