"""The command line on a tiny release with random weights: answers, files, and bad input without tracebacks."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anymo_hf import cli
from anymo_hf.evaluation import demo
from anymo_hf.motion.procedural import HELD_OUT_SEED


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    from anymo_hf.modeling.configuration_anymo import AnyMoConfig, AnyMoPQVAEConfig
    from anymo_hf.modeling.feature_extraction_anymo import AnyMoFeatureExtractor
    from anymo_hf.modeling.modeling_anymo import AnyMoForConditionalGeneration
    from anymo_hf.modeling.modeling_pqvae import AnyMoPQVAEModel
    from anymo_hf.modeling.processing_anymo import AnyMoProcessor, save_release
    from anymo_hf.modeling.tokenization_anymo import AnyMoTokenizer

    torch.manual_seed(0)
    pqvae = AnyMoPQVAEConfig(input_dim=48, bottleneck_dim=8, codebook_size=16, decoder_dim=16)
    tokenizer = AnyMoTokenizer.train_from_texts(["a person walks", "someone sits on a chair"] * 5, 400, 32)
    text = {
        "model_type": "qwen2", "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024,
        "tie_word_embeddings": False,
    }  # fmt: skip
    config = AnyMoConfig.from_preset(
        "nano", pqvae_config=pqvae, text_config=text, pooler_latents=4, projection_dim=24, projector_hidden=16,
        imu_token_offset=tokenizer.imu_token_offset, imu_bos_token_id=tokenizer.imu_bos_token_id,
        imu_eos_token_id=tokenizer.imu_eos_token_id,
    )  # fmt: skip
    extractor = AnyMoFeatureExtractor(pqvae=AnyMoPQVAEModel(pqvae))
    model = AnyMoForConditionalGeneration(config)
    model.set_codebook(extractor.pqvae)
    return str(save_release(tmp_path_factory.mktemp("hub") / "anymo", model, AnyMoProcessor(extractor, tokenizer)))


@pytest.fixture
def walk(tmp_path):
    rows = np.random.default_rng(0).normal(size=(250, 6))
    path = tmp_path / "walk.csv"
    np.savetxt(path, rows, delimiter=",", header="acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z", comments="")
    return path


@pytest.fixture
def anymo(monkeypatch, capsys):
    """Runs the console script; gives exit code, output and errors."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["anymo", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return run


def test_recognize_ranks_the_labels_of_every_window(anymo, release, walk):
    words = [
        "recognize",
        walk,
        "--placement",
        "left_wrist",
        "--rate",
        50,
        "--acceleration-unit",
        "g",
        "--model",
        release,
    ]
    code, out, _ = anymo(*words, "--labels", "walking, sitting,running", "--window", 2.5, "--json")
    assert code == 0
    windows = json.loads(out)
    assert [row["window"] for row in windows] == ["0.0-2.5 s", "2.5-5.0 s"]
    for row in windows:
        scores = [answer["score"] for answer in row["result"]]
        assert scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(1, abs=1e-5)
        assert {answer["label"] for answer in row["result"]} == {"walking", "sitting", "running"}


def test_the_scale_of_the_file_does_not_matter_when_the_unit_is_given(anymo, release, tmp_path, walk):
    rows = np.loadtxt(walk, delimiter=",", skiprows=1)
    rows[:, :3] *= 1000
    np.savetxt(tmp_path / "mg.csv", rows, delimiter=",", header="ax,ay,az,gx,gy,gz", comments="")
    last = ["--placement", "head", "--rate", 50, "--model", release, "--labels", "a,b", "--json"]
    _, first, _ = anymo("recognize", walk, "--acceleration-unit", "g", *last)
    _, second, _ = anymo("recognize", tmp_path / "mg.csv", "--acceleration-unit", "mg", *last)
    assert first and first == second


def test_caption_and_retrieve(anymo, release, walk, tmp_path):
    common = ["--placement", "waist", "--rate", 50, "--model", release]
    assert anymo("caption", walk, *common)[0] == 0
    texts = tmp_path / "texts.txt"
    texts.write_text("walking\nsitting\n\n")
    code, out, _ = anymo("retrieve", walk, *common, "--texts", texts, "--json")
    assert code == 0 and sorted(row["index"] for row in json.loads(out)[0]["result"]) == [0, 1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--placement", "tail", "--rate", "50"], "unknown placement 'tail'"),
        (["--placement", "head", "--rate", "50", "--acceleration-unit", "lb"], "acceleration_unit"),
        (["--placement", "head", "--rate", "50", "--labels", " , "], "--labels is empty"),
        (["--placement", "head", "--rate", "0.01"], "sampling_rate"),
        (["--placement", "head", "--rate", "50", "--columns", "acc_x,nose"], "nose"),
        (["--placement", "head"], "give rate="),
        (["--placement", "head", "--rate", "50", "--window", "60"], "shorter than --window"),
        (["--placement", "head", "--rate", "500"], "under one second"),
        (["--placement", "head", "--rate", "50", "--model", "./none"], "no such folder"),
    ],
)
def test_bad_input_is_a_message_and_exit_code_2(anymo, release, walk, words, message):
    model = [] if "--model" in words else ["--model", release]
    code, out, err = anymo("recognize", walk, *words, *model)
    assert code == 2 and not out
    assert message in err and "Traceback" not in err


def test_damaged_files_are_named(anymo, release, tmp_path, walk):
    lines = walk.read_text().splitlines()
    lines[40] = "1.0,2.0"
    walk.write_text("\n".join(lines))
    code, _, err = anymo("recognize", walk, "--placement", "head", "--rate", 50, "--model", release)
    assert code == 2 and "row 41" in err and "walk.csv" in err
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in Path(release).rglob("*.json"):
        target = broken / file.relative_to(release)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(file.read_bytes())
    weights = (Path(release) / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    tokenizer = Path("imu_tokenizer/model.safetensors")
    (broken / tokenizer).write_bytes((Path(release) / tokenizer).read_bytes())
    code, _, err = anymo("info", "--model", broken)
    assert code == 2 and "damaged" in err


def test_evaluate_needs_data_and_writes_results(anymo, release, tmp_path):
    assert anymo("evaluate", "recognition")[0] == 2
    code, out, err = anymo("evaluate", "retrieval", "--windows", 3, "--out", tmp_path, "--model", release)
    assert code == 0, err
    written = json.loads((tmp_path / "retrieval.json").read_text())
    assert written["windows"] == 3 and 0 < written["imu_to_text"]["mrr"] <= 1
    assert "imu_to_text" in out


def test_demo_shows_a_person_and_draws(anymo, release, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "ACTIVITIES", {name: demo.ACTIVITIES[name] for name in ("walking", "standing", "squats")})
    picture = tmp_path / "demo.png"
    code, out, err = anymo("demo", "--model", release, "--out", picture, "--activity", "walking")
    assert code == 0, err
    assert "true activity: walking" in out and "nearest motions" in out
    assert min(Image.open(picture).size) > 500
    assert os.listdir(tmp_path) == ["demo.png"]


def test_people_that_training_may_have_seen_are_refused(anymo, release):
    code, _, err = anymo("demo", "--model", release, "--seed", HELD_OUT_SEED - 1)
    assert code == 2 and "at least 900000" in err


def test_worn_signals_feel_gravity_at_rest():
    recording = demo.simulated_recording(activity="standing", placements=["left_wrist", "right_pocket", "head"])
    for signal in recording.signals.values():
        assert signal.shape == (300, 6)
        assert np.linalg.norm(signal[:, :3], axis=1).mean() == pytest.approx(9.81, abs=0.6)
    again = demo.simulated_recording(activity="standing", placements=["left_wrist", "right_pocket", "head"])
    assert all(np.array_equal(recording.signals[name], again.signals[name]) for name in recording.signals)


def test_info_lists_placements_without_a_checkpoint(anymo):
    code, out, _ = anymo("info", "--placements")
    assert code == 0 and "L_Forearm" in out and "right_pocket" in out


@pytest.mark.realdata
def test_demo_on_a_real_recording(anymo, release, tmp_path):
    picture = tmp_path / "real.png"
    code, out, err = anymo("demo", "--model", release, "--data", os.environ["ANYMO_DATA"], "--out", picture)
    assert code == 0, err
    assert picture.stat().st_size > 10_000 and "true activity" in out
