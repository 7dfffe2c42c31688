"""What all tests share: no network, one thread, real data only where it is, and the few fixtures that many need.

Helpers that are plain functions stand in `tests/support/` and are imported as `support.NAME`; no test imports another.
"""

import gc
import os
import signal
import sys
import threading

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what it puts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("HF_HUB_OFFLINE", "1")

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# two test processes share the cores, so each computes on one thread
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from tqdm import tqdm

gc.disable()  # until the tests are collected: what they import stays, and looking through it takes seconds

FOLDERS = {  # marker -> variable that names the folder, what it holds
    "realdata": ("ANYMO_DATA", "real recordings"),
    "mocap": ("ANYMO_MOTION", "motion-capture clips"),
}


def _own_lock_of_progress_bars():
    """A lock that processes do not share: one killed within a bar would keep every other one waiting for ever."""
    tqdm.set_lock(threading.RLock())


_own_lock_of_progress_bars()
os.register_at_fork(after_in_child=_own_lock_of_progress_bars)


def pytest_collection_modifyitems(items):
    """Skips tests that need data unless the variable of their marker names a folder; files with slow tests come first.

    Files go to processes in this order: a long one at the end would keep one process busy while the other waits.
    """
    long = {item.path for item in items if "slow" in item.keywords}
    items.sort(key=lambda item: item.path not in long)
    for marker, (variable, content) in FOLDERS.items():
        if os.environ.get(variable):
            continue
        skip = pytest.mark.skip(reason=f"set {variable} to the folder that holds the {content}")
        for item in items:
            if marker in item.keywords:
                item.add_marker(skip)


def pytest_collection_finish():
    """From here on garbage is collected again, but no longer looked for among what was imported, half a second a time.

    Forked processes gain, too: a page that nobody looks through is not copied.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 10)  # the young, too, are looked through less often
    gc.enable()


@pytest.fixture(scope="session")
def tiny_parts():
    """A tiny model with random weights and its processor; not to be changed."""
    from support.tiny_release import make_tiny_parts

    return make_tiny_parts()


@pytest.fixture(scope="session")
def tiny_release(tmp_path_factory):
    """The folder of a tiny release with random weights; not to be changed."""
    from support.tiny_release import write_tiny_release

    return write_tiny_release(tmp_path_factory.mktemp("hub") / "anymo")


@pytest.fixture(scope="module")
def small_nano():
    """The preset `nano` with fewer blocks and layers, for tests that train it again and again; forks have it, too."""
    from anymo_hf.modeling import configuration_anymo

    encoder = {
        "channels": [16, 16, 16, 48, 48, 48], "strides": [1, 1, 2, 1, 2, 1], "predictor_layers": 3,
        "predictor_heads": 4, "predictor_mlp_dim": 96, "dropout": 0.0,
    }  # fmt: skip
    text = configuration_anymo._NANO_TEXT | {"hidden_size": 96, "intermediate_size": 192, "num_hidden_layers": 2}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(configuration_anymo._ENCODER_PRESETS, "nano", encoder)
        patch.setattr(configuration_anymo, "_NANO_TEXT", text)
        yield


@pytest.fixture(scope="session")
def mini_nymeria(tmp_path_factory):
    """Folder and annotations of `support.mini_nymeria`, one for all processes; not to be changed."""
    from filelock import FileLock
    from support.mini_nymeria import write_held_out_nymeria

    pytest.importorskip("pyvrs", reason="needs vrs: pip install vrs")
    folder = _shared(tmp_path_factory) / "nymeria"
    with FileLock(f"{folder}.lock"):
        return write_held_out_nymeria(folder)


@pytest.fixture(scope="session")
def nymeria_signals(mini_nymeria, tmp_path_factory):
    """The folder in which builders keep what they read from VRS, for seconds: the first IMUs of `mini_nymeria` at 60 Hz.

    A builder finds it where it lies beside its output under the name `<out>.signals`.
    """
    from filelock import FileLock

    from anymo_hf.nymeria import imu
    from anymo_hf.nymeria.imu_grid import read_signals

    folder = _shared(tmp_path_factory) / "nymeria.signals"
    with FileLock(f"{folder}.lock"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(imu, "_aria", lambda: None)
        folder.mkdir(exist_ok=True)
        for sequence in sorted(mini_nymeria[0].glob("2023*")):
            read_signals(sequence, cache=folder)
    return folder


def _shared(tmp_path_factory):
    """A folder for all processes of this run."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture
def light_reader(monkeypatch):
    """`vrs` rather than projectaria-tools, which prints."""
    from anymo_hf.nymeria import imu

    monkeypatch.setattr(imu, "_aria", lambda: None)


@pytest.fixture
def hub(monkeypatch):
    """A Hub on loopback, and a client that may speak to it: with git-lfs, since Xet's storage is not played."""
    from huggingface_hub import constants
    from support import hub_server

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    with hub_server.LoopbackHub() as server:
        yield server


@pytest.fixture
def anymo(monkeypatch, capsys):
    """Runs the program `anymo`; gives exit code, output and errors."""
    from anymo_hf import cli

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["anymo", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return run


@pytest.fixture
def walk(tmp_path):
    """A CSV file of five seconds at 50 Hz."""
    from support.program import samples, write_csv

    return write_csv(tmp_path / "walk.csv", samples())
