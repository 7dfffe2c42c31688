"""The checkpoint that is installed with the package: found by its name in any folder, small, and a folder here wins."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from support.fresh_python import fresh_python

import anymo_hf
from anymo_hf.released import FOLDER, checkpoint_folder, which_checkpoint

ROOT = Path(__file__).parents[1]
LIMIT_MB = 40
ASK_EVERYONE = """
import json, warnings
import anymo_hf
from transformers import (
    AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification,
    AutoProcessor, AutoTokenizer, pipeline,
)
autos = (
    AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification,
    AutoProcessor, AutoTokenizer, anymo_hf.AnyMoModel, anymo_hf.AnyMoProcessor,
)
names = [type(auto.from_pretrained("anymo")).__name__ for auto in autos]
names += [type(pipeline(task, model="anymo")).__name__ for task in ("zero-shot-imu-classification", "imu-to-text")]
stream = anymo_hf.AnyMoStream.from_pretrained("anymo", placements="waist", sampling_rate=50)
print(json.dumps({"names": names + [type(stream).__name__], "package": anymo_hf.__file__}))
"""
ANSWERS = [
    "AnyMoConfig", "AnyMoFeatureExtractor", "AnyMoModel", "AnyMoForConditionalGeneration",
    "AnyMoForSequenceClassification", "AnyMoProcessor", "AnyMoTokenizer", "AnyMoModel", "AnyMoProcessor",
    "ZeroShotImuClassificationPipeline", "ImuToTextPipeline", "AnyMoStream",
]  # fmt: skip


def run(command, folder, path=None):
    """Output and errors of a process in a folder; the package is found on `path` only, if that is given."""
    environment = {name: value for name, value in os.environ.items() if path is None or name != "PYTHONPATH"}
    return subprocess.run(
        [str(word) for word in command], cwd=folder, capture_output=True, text=True, timeout=300, env=environment
    )


def test_the_folder_is_not_a_copy():
    assert FOLDER.is_symlink() and FOLDER.resolve() == ROOT / "anymo"


def test_a_folder_here_wins_and_other_names_stay_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert checkpoint_folder("anymo") == str(FOLDER) and checkpoint_folder("someone/anymo") == "someone/anymo"
    assert which_checkpoint("anymo") == f"checkpoint: anymo, installed with anymo-hf {anymo_hf.__version__}"
    assert which_checkpoint("someone/anymo") == "checkpoint: someone/anymo of the Hub"
    (tmp_path / "anymo").mkdir()
    assert checkpoint_folder("anymo") == "anymo" and which_checkpoint("anymo").endswith(str(tmp_path / "anymo"))


def test_commands_say_which_checkpoint_answered(anymo, tmp_path, monkeypatch, tiny_release):
    monkeypatch.chdir(tmp_path)
    code, out, err = anymo("info")
    assert code == 0 and "books of 512 codes" in out and "installed with anymo-hf" in err and err.count("\n") == 1
    shutil.copytree(tiny_release, tmp_path / "anymo")
    code, out, err = anymo("info")
    assert code == 0 and "books of 16 codes" in out and f"the folder {tmp_path / 'anymo'}" in err
    code, out, err = anymo("info", "--model", tiny_release)
    assert code == 0 and not err


@pytest.mark.parametrize("name", ["nobody/nothing", "nothing"])
def test_offline_a_name_that_is_not_here_is_one_line(anymo, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    code, out, err = anymo("info", "--model", name)
    assert code == 2 and not out and err.startswith("anymo: ") and err.count("\n") == 1 and name in err


@pytest.mark.slow
def test_every_auto_class_pipeline_and_the_stream_find_it_in_any_folder(tmp_path):
    done = fresh_python(ASK_EVERYONE, folder=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1])["names"] == ANSWERS
    assert done.stderr.count("checkpoint: anymo, installed with anymo-hf") == 1


@pytest.mark.slow
def test_the_wheel_is_small_and_brings_it(tmp_path):
    source = tmp_path / "source"  # building writes beside the sources
    shutil.copytree(ROOT / "src", source / "src", symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "anymo", source / "anymo")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    built = run([*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path / "dist", source], tmp_path)
    assert built.returncode == 0, built.stderr[-2000:]
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert wheel.stat().st_size < LIMIT_MB * 1e6
    # a fresh environment that finds the requirements of this one, but not this package
    run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "fresh"], tmp_path)
    python = tmp_path / "fresh" / "bin" / "python"
    (site,) = (tmp_path / "fresh" / "lib").glob("python*/site-packages")
    (site / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
    put = run(
        [*pip, "--python", python, "install", "-q", "--no-deps", "--no-compile", "--ignore-installed", wheel], tmp_path
    )
    assert put.returncode == 0, put.stderr[-2000:]
    shutil.rmtree(source)
    # of a package, only what lies in the folder that it was found in can be imported
    done = fresh_python(f"import sys; sys.path.insert(0, {str(site)!r})\n{ASK_EVERYONE}", folder=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["names"] == ANSWERS and Path(said["package"]).is_relative_to(site)
    shown = run([site.parents[2] / "bin" / "anymo", "info"], tmp_path, site)
    assert shown.returncode == 0 and "installed with anymo-hf" in shown.stderr, shown.stderr[-2000:]
