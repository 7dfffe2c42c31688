"""The command line on a tiny release with random weights: answers, files, and bad input in one line.

At the end: what `make`, setup.cfg and the skipping of tests promise.
"""

import ast
import configparser
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.program import COLUMNS, refused, samples, write_csv

import anymo_hf
from anymo_hf.cli.csv_windows import csv_windows
from anymo_hf.modeling.body_segments import SEGMENTS
from anymo_hf.modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from anymo_hf.motion.procedural import ACTIVITIES, HELD_OUT_SEED
from anymo_hf.pictures import demo
from anymo_hf.systems import activity_labels, held_out_windows, known_motions
from anymo_hf.systems.checkpoint import FILES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def few_activities(monkeypatch):
    """A small world: fewer motions to simulate and encode."""
    few = {name: ACTIVITIES[name] for name in ("walking", "standing", "squats")}
    for module in (demo, held_out_windows, activity_labels, known_motions):
        monkeypatch.setattr(module, "ACTIVITIES", few)


def test_the_scale_of_the_file_does_not_matter_when_the_unit_is_given(tmp_path, walk, capsys):
    rows = samples()
    rows[:, :3] *= 1000 / 9.80665
    rows[:, 3:] *= 180 / np.pi
    odd = write_csv(tmp_path / "odd.csv", rows, "ax,ay,az,gx,gy,gz")
    common = {"placement": "head", "rate": 50, "columns": None, "time_column": None, "window": 5.0}
    ((_, first),) = csv_windows(**common, file=walk, acceleration_unit="m/s^2", angular_velocity_unit="rad/s")
    ((_, second),) = csv_windows(**common, file=odd, acceleration_unit="mg", angular_velocity_unit="deg/s")
    np.testing.assert_allclose(first["imu"]["head"], second["imu"]["head"], rtol=1e-9)
    assert not capsys.readouterr().err
    csv_windows(**common, file=odd, acceleration_unit="m/s^2", angular_velocity_unit="deg/s")
    assert "--acceleration-unit m/s^2 right?" in capsys.readouterr().err


def test_caption_and_retrieve(anymo, tiny_release, walk, tmp_path, few_activities):
    common = ["--placement", "waist", "--rate", 50, "--model", tiny_release]
    assert anymo("caption", walk, *common)[0] == 0
    texts = tmp_path / "texts.txt"
    texts.write_text("walking\nsitting\n\nwalking\n")
    code, out, _ = anymo("retrieve", walk, *common, "--texts", texts, "--json")
    assert code == 0 and sorted(row["text"] for row in json.loads(out)[0]["result"]) == ["sitting", "walking"]
    code, out, _ = anymo("caption", walk, *common, "--sentences", texts, "--json")
    assert code == 0 and json.loads(out)[0]["result"][0]["generated_text"] in {"sitting", "walking"}
    long = tmp_path / "long.csv"  # a window longer than a prompt is cut, as the written caption cuts it
    head, *rows = walk.read_text().splitlines()
    long.write_text("\n".join([head, *rows * 12]))
    for command in (["caption"], ["caption", "--sentences", texts], ["retrieve"]):
        code, _, err = anymo(*command, long, *common, "--window", 55)
        assert code == 0, err
    code, out, err = anymo("retrieve", walk, *common, "--window", 2.5, "--top-k", 2, "--json")
    assert code == 0, err
    assert [len(row["result"]) for row in json.loads(out)] == [2, 2]


def test_a_file_of_sentences_that_cannot_be_read_is_named(anymo, tiny_release, walk, tmp_path):
    common = [walk, "--placement", "waist", "--rate", 50, "--model", tiny_release]
    empty, binary = tmp_path / "empty.txt", tmp_path / "binary.txt"
    empty.write_text("\n  \n")
    binary.write_bytes(b"walking\n\xff\xfe")
    for file, why in (
        (empty, "no line holds text"),
        (binary, "not UTF-8 text"),
        (tmp_path / "none.txt", "No such file"),
    ):
        for command, option in (("caption", "--sentences"), ("retrieve", "--texts")):
            refused(anymo(command, *common, option, file), f"{option} {file}", why)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--placement", "tail", "--rate", "50"], ["unknown placement 'tail'", "left_wrist"]),
        (["--placement", "head", "--rate", "50", "--acceleration-unit", "lb"], ["acceleration_unit", "m/s^2, g, mg"]),
        (["--placement", "head", "--rate", "50", "--angular-velocity-unit", "rpm"], ["angular_velocity_unit", "deg/s"]),
        (["--placement", "head", "--rate", "50", "--labels", " , "], ["--labels is empty"]),
        (["--placement", "head", "--rate", "0"], ["--rate must lie between 5 and 10,000"]),
        (["--placement", "head", "--rate", "-50"], ["--rate must lie between"]),
        (["--placement", "head", "--rate", "nan"], ["--rate must lie between"]),
        (["--placement", "head", "--rate", "fast"], ["--rate"]),
        (["--placement", "head", "--rate", "500"], ["250 samples at 500 Hz are under one second"]),
        (["--placement", "head"], ["give --rate"]),
        (["--rate", "50"], ["--placement is missing"]),
        (["--placement", "head", "--rate", "50", "--columns", "acc_x,nose"], ["nose", "3 or 6 columns"]),
        (["--placement", "head", "--rate", "50", "--columns", "acc_x,acc_y"], ["3 or 6 columns"]),
        (["--placement", "head", "--rate", "50", "--window", "0.2"], ["--window must be at least 1"]),
        (["--placement", "head", "--rate", "50", "--model", "./none"], ["--model './none'", "no such folder"]),
        (["--placement", "head", "--rate", "50", "--model", "."], ["--model '.'", "config.json is missing"]),
    ],
)
def test_bad_options_are_one_line_and_exit_code_2(anymo, walk, words, parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(anymo("recognize", walk, *words), *parts)


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("two_channels", "acc_x,acc_y\n" + "1,2\n" * 60, ["no acceleration columns"]),
        ("extra_cell", COLUMNS + "\n" + "1,2,3,4,5,6\n" * 60 + "1,2,3,4,5,6,7\n", ["not a readable CSV"]),
        ("nan", COLUMNS + "\n" + "1,2,3,4,5,6\n" * 60 + "nan,2,3,4,5,6\n", ["row 62", "repair or drop it"]),
        ("infinite", COLUMNS + "\n" + "1,2,3,4,5,6\n" * 60 + "1,2,3,4,inf,6\n", ["row 62"]),
        ("words", COLUMNS + "\n" + "1,2,3,4,5,6\n" * 60 + "a,b,c,d,e,f\n", ["row 62"]),
        ("truncated", COLUMNS + "\n" + "1,2,3,4,5,6\n" * 60 + "1,2,", ["row 62"]),
        ("header_only", COLUMNS + "\n", ["0 samples"]),
        ("short", COLUMNS + "\n" + "1,2,3,4,5,6\n" * 49, ["49 samples at 50 Hz are under one second"]),
        ("empty", "", ["the file is empty"]),
        ("binary", b"\x93NUMPY\xff\xfe\x00\x80" * 50, []),
        ("absent", None, ["no such file"]),
    ],
)
def test_bad_files_are_one_line_that_names_the_file(anymo, tmp_path, name, content, parts):
    path = tmp_path / f"{name}.csv"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(anymo("recognize", path, "--placement", "head", "--rate", 50), f"{name}.csv", *parts)


def test_time_stamps_that_give_no_rate(anymo, tmp_path, tiny_release):
    path = tmp_path / "once.csv"
    path.write_text("time,acc_x,acc_y,acc_z\n0,1,2,3\n")
    refused(anymo("caption", path, "--placement", "head"), "once.csv", "1 rows are no recording")
    path.write_text("time,acc_x,acc_y,acc_z\n" + "".join(f"{i / 50 + 5 * (i > 60)},1,2,9\n" for i in range(120)))
    code, out, err = anymo("caption", path, "--placement", "head", "--model", tiny_release)
    assert code == 0 and "6.2-7.4 s" in out and "gaps of over a second cut the recording into 2 stretches" in err
    refused(anymo("caption", path, "--placement", "head", "--rate", 100), "say 50 Hz, --rate says 100 Hz")
    # a folder is the files of one recording
    assert anymo("caption", tmp_path, "--placement", "head", "--model", tiny_release)[1] == out
    (tmp_path / "empty").mkdir()
    refused(anymo("caption", tmp_path / "empty", "--placement", "head"), "holds no device's export")


@pytest.mark.parametrize("kind", ["missing", "cut"])
@pytest.mark.parametrize("name", FILES)
def test_damaged_checkpoints_are_never_used(anymo, tiny_release, tmp_path, name, kind):
    broken = tmp_path / "broken"
    shutil.copytree(tiny_release, broken)
    content = (broken / name).read_bytes()
    (broken / name).unlink()
    if kind == "cut":
        (broken / name).write_bytes(content[: len(content) // 2])
    refused(anymo("info", "--model", broken), name, "missing" if kind == "missing" else "damaged", "again")


def test_tensors_that_do_not_fit_are_never_random_weights(anymo, tiny_release, tmp_path):
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(tiny_release, broken)
    tensors = load_file(broken / "model.safetensors")
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, broken / "model.safetensors", {"format": "pt"})
    refused(anymo("info", "--model", broken), "missing keys", "saved together")
    shutil.copyfile(Path(tiny_release) / "model.safetensors", broken / "model.safetensors")
    (broken / "tokenizer.json").write_text("{}")
    refused(anymo("info", "--model", broken), f"{broken}: ", "fetch or save it again")


def test_evaluate_writes_a_file_for_each(anymo, tiny_release, tmp_path, few_activities):
    code, out, err = anymo("evaluate", "all", "--windows", 3, "--out", tmp_path, "--model", tiny_release)
    assert code == 0, err
    assert "recognition left out" in out and "imu_to_text among 3 texts" in out and "Dead-code ratio" in out
    read = {path.stem: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    assert set(read) == {"retrieval", "captioning", "tokenizer"}
    assert all(row["windows"] == 3 and row["model"] == "anymo" for row in read.values())
    files = ("imu_tokenizer/model.safetensors", "model.safetensors")
    hashes = {name: hashlib.sha256((Path(tiny_release) / name).read_bytes()).hexdigest() for name in files}
    assert all(row["weights_sha256"] == hashes for row in read.values())
    assert 100 / 3 <= read["retrieval"]["imu_to_text"]["mrr"] <= 100
    assert read["retrieval"]["imu_to_text"]["recall_at_5"] == 100
    assert len(read["captioning"]["captions"]) == len(set(read["captioning"]["references"])) == 3
    assert 1 < read["captioning"]["other_references"]["rouge_l"] < 100  # percent: other words about the same windows
    assert [book["size"] for book in read["tokenizer"]["books"]] == [16, 16]


def test_evaluate_recognition_needs_its_data(anymo, tmp_path, tiny_release):
    refused(anymo("evaluate", "recognition"), "--data is missing")
    refused(anymo("evaluate", "recognition", "--data", tmp_path / "none"), "--data", "no such folder")
    refused(anymo("evaluate", "recognition", "--data", tmp_path, "--model", tiny_release), "none of the folders")
    refused(anymo("evaluate", "everything"), "recognition")


@pytest.fixture
def real_data(tmp_path):
    """UCI-HAR with three windows; HAPT with a recording that is cut off."""
    har = tmp_path / "data" / "uci_har" / "test"
    (har / "Inertial Signals").mkdir(parents=True)
    for number, name in enumerate(f"{kind}_{axis}" for kind in ("total_acc", "body_gyro") for axis in "xyz"):
        np.savetxt(
            har / "Inertial Signals" / f"{name}_test.txt", np.full((3, 128), [1, 0.1, 0.2, 0.3, 0.4, 0.5][number])
        )
    (har / "y_test.txt").write_text("1\n4\n5\n")
    raw = tmp_path / "data" / "uci_hapt" / "RawData"
    raw.mkdir(parents=True)
    (raw / "labels.txt").write_text("1 1 4 1 300\n")
    for kind, rows in (("acc", 300), ("gyro", 299)):
        np.savetxt(raw / f"{kind}_exp01_user01.txt", np.full((rows, 3), 0.58))  # 1 g along the diagonal
    return tmp_path / "data"


def test_evaluate_recognition_keeps_what_is_done_and_adds_what_is_named(anymo, tiny_release, real_data, tmp_path):
    out = tmp_path / "out"
    words = ["evaluate", "recognition", "--data", real_data, "--out", out, "--model", tiny_release]
    code, text, err = anymo(*words)
    assert code == 2 and "| uci_har | 3 |" in text
    assert "not evaluated: uci_hapt: " in err and "acc_exp01_user01.txt has 300 rows" in err
    assert "--datasets uci_hapt" in err and err.count("\n") == 1
    saved = json.loads((out / "recognition.json").read_text())
    assert [row["dataset"] for row in saved["datasets"]] == ["uci_har"]
    hashes = {
        name: hashlib.sha256((Path(tiny_release) / name).read_bytes()).hexdigest()
        for name in ("model.safetensors", "imu_tokenizer/model.safetensors")
    }
    common = {"unit": "percent", "model": "anymo", "weights_sha256": hashes, "wrist": "forearm",
              "anymo_hf": anymo_hf.__version__, "max_windows": None, "seed": 0, "text_prompt": "learned",
              "segments": "worn", "label_case": "lower"}  # fmt: skip
    assert {name: value for name, value in saved.items() if name != "datasets"} == common
    np.savetxt(real_data / "uci_hapt" / "RawData" / "gyro_exp01_user01.txt", np.full((300, 3), 0.5))
    code, text, err = anymo(*words, "--datasets", "uci_hapt")
    assert code == 0 and not err and "| uci_har | 3 |" in text and "| uci_hapt | 1 |" in text
    saved = json.loads((out / "recognition.json").read_text())
    assert [row["dataset"] for row in saved["datasets"]] == ["uci_hapt", "uci_har"]
    code, text, _ = anymo(*words, "--datasets", "uci_hapt", "--wrist", "hand")
    assert code == 0 and "other settings; a new one replaces it" in text and "uci_har " not in text
    saved = json.loads((out / "recognition.json").read_text())
    assert saved["wrist"] == "hand" and [row["dataset"] for row in saved["datasets"]] == ["uci_hapt"]
    code, text, _ = anymo(*words, "--datasets", "uci_hapt", "--text-prompt", "person")
    assert code == 0 and "recognition-person.json" in text
    assert json.loads((out / "recognition-person.json").read_text())["text_prompt"] == "person"
    assert json.loads((out / "recognition.json").read_text()) == saved
    changed = ("--segments", "paper", "--label-case", "own")
    code, text, err = anymo(*words, "--datasets", "uci_hapt", "--wrist", "hand", *changed)
    assert code == 0 and "other settings; a new one replaces it" in text, err
    saved = json.loads((out / "recognition.json").read_text())
    assert (saved["segments"], saved["label_case"]) == ("paper", "own")


@pytest.mark.slow
def test_a_wrist_is_the_segment_that_is_asked_for(anymo, tiny_release, walk, tmp_path, few_activities, monkeypatch):
    seen, encode = [], AnyMoFeatureExtractor.encode

    def spy(self, imu, node_mask, *rest):
        seen.append([SEGMENTS[index] for index in node_mask[0].nonzero().flatten()])
        return encode(self, imu, node_mask, *rest)

    monkeypatch.setattr(AnyMoFeatureExtractor, "encode", spy)
    texts = tmp_path / "texts.txt"
    texts.write_text("walking\nsitting\n")
    common = [walk, "--placement", "left_wrist", "--rate", 50, "--model", tiny_release]
    commands = (
        ["recognize", "--labels", "walking,sitting"], ["caption"], ["caption", "--sentences", texts],
        ["retrieve", "--texts", texts], ["retrieve"],
    )  # fmt: skip
    for command in commands:
        for wrist, segment in ((["--wrist", "hand"], "L_Hand"), ([], "L_Forearm")):
            seen.clear()
            code, _, err = anymo(*command, *common, *wrist)
            assert code == 0 and seen[0] == [segment], (command, wrist, err)
    refused(anymo("caption", *common, "--wrist", "elbow"), "--wrist", "forearm", "hand")


@pytest.mark.slow
def test_demo_shows_a_person_and_draws(anymo, tiny_release, tmp_path, few_activities):
    picture = tmp_path / "demo.png"
    code, out, err = anymo("demo", "--model", tiny_release, "--out", picture, "--activity", "walking")
    assert code == 0, err
    assert "true activity: walking" in out and "nearest motions" in out and "recognised among 3" in out
    with Image.open(picture) as image:
        assert min(image.size) > 500
    assert os.listdir(tmp_path) == ["demo.png"]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--seed", HELD_OUT_SEED - 1], ["at least 900000"]),
        (["--activity", "flying"], ["unknown activity 'flying'", "walking"]),
        (["--placements", "tail"], ["unknown placement 'tail'"]),
        (["--placements", "left_ear,head"], ["two sensors on one segment"]),
        (["--placements", ","], ["--placements is empty"]),
        (["--out", "demo.jpg"], ["--out must be a .png"]),
        (["--data", "nowhere"], ["nowhere", "no such folder"]),
        (["--data", "nowhere", "--activity", "walking"], ["leave them out with --data"]),
    ],
)
def test_what_the_demo_refuses(anymo, tiny_release, words, parts):
    refused(anymo("demo", "--model", tiny_release, *words), *parts)


def test_info_and_help(anymo, tiny_release):
    code, out, _ = anymo("info", "--placements")
    assert code == 0 and "L_Forearm" in out and "right_pocket" in out
    code, out, _ = anymo("info", "--model", tiny_release)
    assert code == 0 and "2 books of 16 codes" in out and "MB" in out
    code, out, _ = anymo("--help")
    assert code == 0 and "recognize" in out
    refused(anymo("recognise"), "recognise", "--help")


@pytest.mark.realdata
def test_demo_on_a_real_recording(anymo, tiny_release, tmp_path, few_activities):
    picture = tmp_path / "real.png"
    data = Path(os.environ["ANYMO_DATA"])
    code, out, err = anymo("demo", "--model", tiny_release, "--data", data, "--seed", 1, "--out", picture)
    assert code == 0, err
    assert picture.stat().st_size > 10_000 and "true activity" in out


# ---- set-up ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_passes_options_on():
    def plan(*words):
        # without an environment the set-up is part of the plan; what a make around the tests was told does not count
        outer = ("MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS", "ARGS", "TORCH")
        clean = {name: value for name, value in os.environ.items() if name not in outer}
        command = ["make", "-n", "VENV=none", *words]
        return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=True).stdout

    plain = plan("train-nano")
    assert "pip install -q --disable-pip-version-check torch==" in plain
    assert re.search(r"train_nano.py --output runs/nano --release anymo\s*$", plain)
    chosen = plan("train-nano", "ARGS=--minutes 20 --motion DIR", "TORCH=torch --index-url URL")
    assert "--release anymo --minutes 20 --motion DIR\n" in chosen
    assert "--disable-pip-version-check torch --index-url URL\n" in chosen


def _declared(text):
    """Requirement lines to distribution names."""
    return {re.split(r"[<>=!~\[; ]", line)[0].lower().replace("_", "-") for line in text.split("\n") if line.strip()}


def _imported(folder):
    """Top-level modules that the sources import from elsewhere."""
    names = set()
    for path in (ROOT / folder).rglob("*.py"):
        statements = [ast.parse(path.read_text(encoding="utf-8"))]
        while statements:
            node = statements.pop()
            for part in ("body", "orelse", "finalbody", "handlers", "cases"):  # no import stands in an expression
                inner = getattr(node, part, [])
                statements += inner if isinstance(inner, list) else []
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names.add(node.module.split(".")[0])
    return names - sys.stdlib_module_names - {"anymo_hf"}


def test_every_import_is_declared_and_every_requirement_imported():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    required = _declared(setup["options"]["install_requires"])
    extras = {name: _declared(text) for name, text in setup["options.extras_require"].items()}
    owners = importlib.metadata.packages_distributions()

    def owner(module):
        # extras that need not be installed here: modules are called as their distribution, but for two
        found = owners.get(module, [{"pyvrs": "vrs", "umap": "umap-learn"}.get(module, module)])
        return {name.lower().replace("_", "-") for name in found}

    sources = {module: owner(module) for module in _imported("src")}
    users = required | set().union(*(extras[name] for name in extras if name != "dev"))
    assert {module for module, names in sources.items() if not names & users} == set()
    used = set().union(*sources.values())
    assert required - used == {"torch-geometric"}  # the design's graph library: tests hold the body graph to it
    developers = required | set().union(*extras.values())
    folders = ("dataset_scripts", "benchmarks", "examples", "training")
    scripts = [path for folder in folders for path in (ROOT / folder).glob("*.py")]
    # "tests" is the folder of transformers' source in which support/transformers_mixins.py runs
    ours = {"anymo_command", "support", "fuzz", "torture", "benchmarks", "tests", *(path.stem for path in scripts)}
    assert {module for module in _imported("tests") - ours if not owner(module) & developers} == set()
    pinned = _declared((ROOT / "constraints.txt").read_text())
    assert developers - pinned == {"torch"}  # torch is installed first and by itself


def test_tests_on_real_data_skip_each_by_its_own_variable(monkeypatch, request):
    (hook,) = (
        plugin.pytest_collection_modifyitems
        for name, plugin in request.config.pluginmanager.list_name_plugin()
        if name == str(ROOT / "tests" / "conftest.py")
    )

    class Item:
        def __init__(self, *keywords, path="test_data.py"):
            self.keywords, self.marks, self.path = keywords, [], path

        def add_marker(self, mark):
            self.marks.append(mark.kwargs["reason"])

    for variables in ((), ("ANYMO_DATA",), ("ANYMO_MOTION",), ("ANYMO_DATA", "ANYMO_MOTION")):
        for name in ("ANYMO_DATA", "ANYMO_MOTION"):
            if name in variables:
                monkeypatch.setenv(name, "somewhere")
            else:
                monkeypatch.delenv(name, raising=False)
        real, mocap, plain, slow = Item("realdata"), Item("mocap"), Item(path="b.py"), Item("slow", path="b.py")
        items = [real, mocap, plain, slow]
        hook(items)
        assert items == [plain, slow, real, mocap] and not plain.marks
        items = [real, mocap, slow]
        assert [bool(item.marks) for item in items] == [
            "ANYMO_DATA" not in variables, "ANYMO_MOTION" not in variables, False
        ]  # fmt: skip
        assert all("ANYMO_MOTION" in reason for reason in items[1].marks)
