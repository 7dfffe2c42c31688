"""What the builders share: workers that never hang, builds that go on after a kill, full disks, cards, streaming."""

import errno
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from datasets import load_dataset
from scipy.io import savemat
from support.forked import forked
from support.fresh_python import fresh_python

from anymo_hf.hub.builders import parquet_repository as home
from anymo_hf.hub.dataset_card import check_card
from anymo_hf.interruption import ending_in_words
from anymo_hf.nymeria import imu as nymeria_imu
from anymo_hf.simulation.archive import simulate_archive

CONFIGS = {"anymo_synthetic": "views", "anymo_zeroshot": "usc_had", "anymo_180": "default", "anymo_bench": "fine150"}
# runs before a build in a process of its own
START = """
import importlib
import json, os, signal, sys
from anymo_hf.nymeria import imu as nymeria_imu
nymeria_imu._aria = lambda: None
from anymo_hf.hub.builders import parquet_repository as home
name, arguments = json.loads(sys.argv[1])
module = importlib.import_module("anymo_hf.hub.builders." + name)
"""

pytestmark = [pytest.mark.usefixtures("light_reader"), pytest.mark.slow]


@pytest.fixture(scope="module")
def sources(tmp_path_factory, mini_nymeria):
    """First arguments of `write_repository` of each builder, and the arguments after `out`."""
    base = tmp_path_factory.mktemp("sources")
    simulate_archive(base / "archive", procedural=3, seconds=5.0, activities=["walking"], progress=False)
    for person in (1, 2, 3):
        (base / "usc_had" / f"Subject{person}").mkdir(parents=True)
        for activity in range(1, 13):
            trial = {"sensor_readings": np.tile([0.0, 1, 0, 0, 30, 0], (1000, 1))}
            savemat(base / "usc_had" / f"Subject{person}" / f"a{activity}t1.mat", trial)
    nymeria = tuple(map(str, mini_nymeria))
    return {
        "anymo_synthetic": ((str(base / "archive"),), ("views",)),
        "anymo_zeroshot": ((str(base / "usc_had"),), ("usc_had",)),
        "anymo_180": (nymeria, ()),
        "anymo_bench": (nymeria, ("fine150",)),
    }


@pytest.fixture(scope="module")
def built(sources, nymeria_signals, tmp_path_factory):
    """name -> the repository, built in this process; a build each on first use."""
    base, done = tmp_path_factory.mktemp("built"), {}

    def build(name):
        if name not in done:
            if name in ("anymo_180", "anymo_bench"):
                shutil.copytree(nymeria_signals, base / f"{name}.signals")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(nymeria_imu, "_aria", lambda: None)
                done[name] = write(sources, name, base / name)
        return done[name]

    return build


def arguments(sources, name, out):
    before, after = sources[name]
    return [*before, str(out), *after]


def give_signals(built, name, out):
    """Real signals at 60 Hz, which take longest to read, are there from an earlier build."""
    if name in ("anymo_180", "anymo_bench"):
        shutil.copytree(built(name).with_name(f"{name}.signals"), out.with_name(f"{out.name}.signals"))


def write(sources, name, out, **options):
    module = importlib.import_module(f"anymo_hf.hub.builders.{name}")
    module.write_repository(*arguments(sources, name, out), rows_per_file=4, progress=False, **options)
    return out


def parquet(out):
    return {path.name: path.read_bytes() for path in (out / "data").rglob("*.parquet")}


def test_two_processes_do_not_hang_after_torch_has_started_threads(sources, built, tmp_path):
    code = """
import torch
torch.set_num_threads(2)  # as every test, it would run with one
torch.nn.Conv1d(64, 64, 9)(torch.zeros(16, 64, 4096)).sum().backward()
torch.randn(800, 800) @ torch.randn(800, 800)
assert torch.get_num_threads() == 2
module.write_repository(*arguments, num_proc=2, rows_per_file=4, progress=False)
builder = module.AnymoSynthetic(cache_dir=arguments[1] + ".cache", config_name="views", archive=arguments[0])
builder.download_and_prepare(num_proc=2)
print({split: rows.num_rows for split, rows in builder.as_dataset().items()})
import multiprocess
print(multiprocess.get_start_method(allow_none=True))
"""
    name = "anymo_synthetic"
    done = fresh_python(START + code, json.dumps([name, arguments(sources, name, tmp_path / "repo")]))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["{'train': 2, 'test': 1}", "None"]
    assert parquet(tmp_path / "repo") == parquet(built(name))


@pytest.mark.parametrize("name", CONFIGS)
def test_cards_pass_and_every_number_of_rows_is_in_them(name, built):
    out = built(name)
    assert check_card(out) == [] and not list(out.glob(".*"))
    text = (out / "README.md").read_text()
    assert f'load_dataset("{name.replace("_", "-")}", ' in text and "{{" not in text
    for split in load_dataset(str(out), CONFIGS[name], streaming=True):
        (out / "data" / CONFIGS[name] / f"{split}-00000-of-00009.parquet").touch()
        assert any("is no whole Parquet file" in problem for problem in check_card(out))
        (out / "data" / CONFIGS[name] / f"{split}-00000-of-00009.parquet").unlink()


@pytest.mark.parametrize("name", CONFIGS)
def test_streaming_gives_the_rows_of_the_files(name, built, tmp_path):
    whole = load_dataset(str(built(name)), CONFIGS[name], cache_dir=str(tmp_path))
    for split, rows in whole.items():
        stream = load_dataset(str(built(name)), CONFIGS[name], split=split, streaming=True)
        streamed = list(stream.with_format("numpy"))
        assert len(streamed) == len(rows) > 0
        for one, other in zip(streamed, rows.with_format("numpy"), strict=True):
            assert list(one) == list(other)
            for column in one:
                np.testing.assert_array_equal(one[column], other[column])


def build_until_killed(sources, name, out, ending):
    """A build that is killed when the second file with this ending is about to take its place."""
    replace, seen = os.replace, []

    def kill_at_the_second(source, target):
        seen.append(str(target).endswith(ending))
        if sum(seen) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    os.replace = kill_at_the_second
    write(sources, name, out)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill on this system")
@pytest.mark.parametrize(
    ("name", "ending"), [("anymo_synthetic", ".arrow"), ("anymo_zeroshot", ".parquet"), ("anymo_180", ".arrow"),
                         ("anymo_bench", ".parquet")],
)  # fmt: skip
def test_a_killed_build_goes_on_and_keeps_what_was_finished(name, ending, sources, built, tmp_path, monkeypatch):
    out = tmp_path / "repo"
    give_signals(built, name, out)
    killed = forked(build_until_killed, sources, name, out, ending, out=tmp_path / "said")
    killed.join()
    assert killed.exitcode == -signal.SIGKILL, (tmp_path / "said").read_text()
    assert not (out / "data").exists() and not (out / "README.md").exists()
    work = out / f".{CONFIGS[name]}.part"
    finished = {path for path in work.rglob("*") if path.suffix in (".arrow", ".parquet")}
    assert any(path.suffix == ending for path in finished) and list(work.rglob(".*.*.part"))
    made, replace = [], os.replace
    monkeypatch.setattr(os, "replace", lambda source, target: (made.append(Path(target)), replace(source, target)))
    write(sources, name, out)
    assert not finished & set(made) and [path for path in made if path.suffix == ".parquet"]
    assert parquet(out) == parquet(built(name)) and check_card(out) == [] and not list(out.glob(".*"))


def test_the_repository_of_another_data_set_is_not_written_into(sources, built, tmp_path):
    from anymo_hf.hub.builders import anymo_zeroshot

    out = shutil.copytree(built("anymo_synthetic"), tmp_path / "views")
    before = (out / "README.md").read_text()
    source, more = sources["anymo_zeroshot"]
    with pytest.raises(
        ValueError, match="views is the repository of another data set, with views; give another folder"
    ):
        anymo_zeroshot.write_repository(*source, out, *more, progress=False)
    assert (out / "README.md").read_text() == before


def test_other_options_or_another_source_do_not_go_on_with_old_parts(sources, tmp_path, monkeypatch):
    source = tmp_path / "usc_had"
    shutil.copytree(sources["anymo_zeroshot"][0][0], source)
    given = {"anymo_zeroshot": ((source,), ("usc_had",))}

    def stop(*_):
        raise KeyboardInterrupt

    made, make = [], home._write_part
    monkeypatch.setattr(home, "_write_part", lambda job: (made.append(job[2]), make(job)))
    monkeypatch.setattr(home, "write_split", stop)
    for change, parts in ((lambda: None, 3), (lambda: None, 0), (lambda: os.utime(next(source.rglob("*.mat"))), 3)):
        change()
        with pytest.raises(KeyboardInterrupt):
            write(given, "anymo_zeroshot", tmp_path / "repo")
        assert len(made) == parts
        made.clear()


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("moment", ["ArrowWriter", "ParquetWriter"])
def test_a_full_disk_is_told_and_leaves_nothing_half_written(name, moment, sources, built, tmp_path, monkeypatch):
    out = tmp_path / "repo"
    give_signals(built, name, out)
    kind, method = {
        "ArrowWriter": (home.ArrowWriter, "finalize"),
        "ParquetWriter": (home.pq.ParquetWriter, "write_table"),
    }[moment]

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(kind, method, full)
        with pytest.raises(OSError, match="the disk is full .*finished parts are kept.*repo") as caught:
            write(sources, name, out)
    assert caught.value.errno == errno.ENOSPC
    assert not (out / "data").exists() and not (out / "README.md").exists() and not list(out.rglob(".*.*.part"))
    write(sources, name, out)
    assert parquet(out) == parquet(built(name)) and not list(out.glob(".*"))


def test_a_disk_that_is_really_full(sources, built, tmp_path):
    code = """
from pathlib import Path
folder = Path(arguments[1]).parent
(folder / "ballast").write_bytes(bytes(1900 * 1024))
try:
    module.write_repository(*arguments, num_proc=2, rows_per_file=4, progress=False)
except OSError as error:
    print(error)
print([path.name for path in folder.rglob(".*.*.part")], (folder / "repo" / "data").exists())
(folder / "ballast").unlink()
module.write_repository(*arguments, rows_per_file=4, progress=False)
import shutil
shutil.copytree(folder / "repo", sys.argv[2])
"""
    name, disk = "anymo_zeroshot", tmp_path / "disk"
    disk.mkdir()
    mount = ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size=2m tmpfs "{disk}" && exec "$@"', "sh"]
    if not shutil.which("unshare") or subprocess.run([*mount, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system: unshare -rm")
    command = [*mount, sys.executable, "-c", START + code]
    command += [json.dumps([name, arguments(sources, name, disk / "repo")]), str(tmp_path / "copy")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    told, left = done.stdout.splitlines()
    assert told.startswith("[Errno 28] the disk is full") and left == "[] False"
    assert parquet(tmp_path / "copy") == parquet(built(name))


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_of_a_reader_comes_out_as_it_was_raised(processes, sources, tmp_path):
    source = tmp_path / "usc_had"
    shutil.copytree(sources["anymo_zeroshot"][0][0], source)
    next((source / "Subject2").iterdir()).write_bytes(b"cut")
    with pytest.raises(OSError, match=r"usc_had/Subject2/.*no MATLAB file of level 5"):
        write({"anymo_zeroshot": ((source,), ("usc_had",))}, "anymo_zeroshot", tmp_path / "repo", num_proc=processes)
    assert not list((tmp_path / "repo").glob("*")) and not list((tmp_path / "repo").glob(".*"))


def test_a_worker_that_the_system_ends_is_told(sources, tmp_path):
    with pytest.MonkeyPatch.context() as patch, pytest.raises(OSError, match="ended a process that made usc_had"):

        def end(*_, **__):
            raise ChildProcessError

        patch.setattr(home, "run_jobs", end)
        write(sources, "anymo_zeroshot", tmp_path / "repo")


def test_parts_stay_where_pyarrow_makes_an_error_of_ctrl_c(sources, tmp_path, monkeypatch):
    before, after = sources["anymo_zeroshot"]
    module = importlib.import_module("anymo_hf.hub.builders.anymo_zeroshot")

    def interrupted(*given):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ValueError("Couldn't cast array") from None

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as end, ending_in_words("anymo_zeroshot"):
        patch.setattr(home, "write_split", interrupted)
        module.write_repository(*before, tmp_path / "repo", *after, progress=False)
    assert end.value.code == 130 and list((tmp_path / "repo" / ".usc_had.part" / "rows").glob("*.arrow"))


@pytest.mark.parametrize(
    "name, pattern", [("anymo_zeroshot", "Subject3/a12t1.mat"), ("anymo_180", "*/recording_head/**/*.vrs")]
)
def test_a_file_that_goes_away_meanwhile_is_not_taken_for_one_that_never_was(
    name, pattern, sources, built, tmp_path, monkeypatch
):
    before, after = sources[name]
    shutil.copytree(before[0], tmp_path / "source")
    give_signals(built, name, tmp_path / "repo")
    path, gone = sorted((tmp_path / "source").glob(pattern))[-1], tmp_path / "gone"
    start = home.ArrowWriter

    def take_away(*given, **options):
        if path.exists():
            os.replace(path, gone)
        return start(*given, **options)

    module = importlib.import_module(f"anymo_hf.hub.builders.{name}")
    build = [str(tmp_path / "source"), *before[1:], tmp_path / "repo", *after]
    with monkeypatch.context() as patch, pytest.raises(OSError, match="sources changed while they were read"):
        patch.setattr(home, "ArrowWriter", take_away)
        module.write_repository(*build, rows_per_file=4, progress=False)
    assert not list((tmp_path / "repo").rglob("*.arrow")) and not list((tmp_path / "repo").rglob("*.parquet"))
    os.replace(gone, path)
    module.write_repository(*build, rows_per_file=4, progress=False)
    assert parquet(tmp_path / "repo") == parquet(built(name))
