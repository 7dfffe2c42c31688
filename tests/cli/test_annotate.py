"""`anymo annotate`: all stages from the command line, where they stop for people or for the budget, and bad options."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from support import language_server as played
from typer.testing import CliRunner

from anymo_hf.annotation.windows_table import read_windows
from anymo_hf.cli.annotate import app
from anymo_hf.motion.activity_labels import anymo180
from anymo_hf.nymeria.mini_nymeria import write_mini_nymeria


def run(*arguments, **environment):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(
        "anymo_hf.annotation.label_embedding.sentence_encoder",
        lambda name, device: lambda labels: np.eye(9)[: len(labels)],
    )
    with played.ModelServer() as server:
        server.answers["classify"] = lambda user, times: {"label": played.description(user).split(" by ")[0]}
        yield server


@pytest.fixture
def windows(tmp_path):
    rows = [
        {"sequence": "s", "start": n, "end": n + 1, "text": f"{name} by the wall"}
        for n, name in enumerate(["sitting", "standing"] * 5)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "windows.csv", index=False)
    return tmp_path / "windows.csv"


def test_run_stops_for_people_and_goes_on(server, tmp_path, windows):
    work = tmp_path / "work"
    command = ("run", work, "--windows", windows, "--first-wait", 0.01)
    first = run(*command, ANYMO_LM_BASE_URL=server.url)
    assert first.exit_code == 3 and "write yes or no in the column keep" in " ".join(first.output.split())
    review = pd.read_csv(work / "review.csv", keep_default_na=False)
    assert review["candidate"].tolist() == ["sitting", "standing"] and review["windows"].tolist() == [5, 5]
    review.assign(keep="yes").to_csv(work / "review.csv", index=False)
    asked = len(server.log)
    second = run(*command, ANYMO_LM_BASE_URL=server.url)
    assert second.exit_code == 0, second.output
    assert {entry[0] for entry in server.log[asked:]} == {"classify", "audit"}
    assert pd.read_parquet(work / "annotated.parquet")["label"].tolist() == ["sitting", "standing"] * 5
    assert re.search(r"windows_labelled +10\n", second.output)


def test_a_mistyped_vocabulary_is_said_before_anything_is_asked(server, tmp_path, windows):
    command = ("run", tmp_path / "work", "--windows", windows, "--vocabulary", "anymo180")
    refused = run(*command, ANYMO_LM_BASE_URL=server.url)
    assert refused.exit_code == 1 and "anymo180: no such file; did you mean anymo-180?" in str(refused.exception)
    assert not server.log


@pytest.mark.slow
def test_stages_one_by_one_with_anymo180(server, tmp_path, windows):
    work, where = tmp_path / "work", ("--base-url", server.url, "--model", "m", "--api-key", "k")
    assert run("augment", work, "--windows", windows, *where).exit_code == 0
    assert run("label", work, *where).exit_code == 0
    assert run("cluster", work, *where).exit_code == 0
    assert run("review-export", work, "--out", tmp_path / "people.csv").exit_code == 0
    undecided = run("review-import", work, "--file", tmp_path / "people.csv")
    assert undecided.exit_code == 1 and "row 2: keep is ''; write yes or no" in str(undecided.exception)
    assert run("classify", work, "--vocabulary", "anymo-180", *where).exit_code == 0
    assert run("audit", work, "--vocabulary", "anymo-180", *where).exit_code == 0
    labels = pd.read_parquet(work / "annotated.parquet")["label"]
    assert set(labels) == {"sitting", "standing"} <= set(anymo180())
    report = json.loads((work / "reports" / "classify.json").read_text())
    assert report["vocabulary"] == 180 and report["share_agreed"] == 1.0 and report["model"] == "m"
    assert set(server.keys) == {"Bearer k"}


def test_the_budget_ends_with_code_3_and_says_how_far(server, tmp_path, windows):
    command = ("label", tmp_path / "work", "--windows", windows, "--base-url", server.url)
    result = run(*command, "--max-requests", 1)
    assert result.exit_code == 3
    assert "label: requests would pass 1; 1 of 2 done; run the same command again" in " ".join(result.output.split())
    assert json.loads((tmp_path / "work" / "reports" / "label.json").read_text())["state"] == "budget reached"
    priced = run(*command, "--max-cost", "1", "--price", "openai/gpt-oss-120b=0.1/0.5")
    assert priced.exit_code == 0, priced.output
    report = json.loads((tmp_path / "work" / "reports" / "label.json").read_text())
    assert report["asked"]["cost"] == pytest.approx((10 * 0.1 + 5 * 0.5) / 1e6, abs=1e-6) and len(server.log) == 2


@pytest.mark.slow
def test_windows_of_nymeria_are_its_annotations_up_to_the_wearers_name(tmp_path):
    annotations = pd.read_parquet(write_mini_nymeria(tmp_path / "mini", people=1, sessions=2, seconds=8.0))
    broken = next(path for path in sorted((tmp_path / "mini").iterdir()) if path.is_dir())
    done = run("windows", tmp_path / "mini", tmp_path / "windows.parquet")
    assert done.exit_code == 0 and f"written: {len(annotations)} windows of 2 recordings" in done.output
    table = read_windows(tmp_path / "windows.parquet")
    for column in ("session_id", "subject_id"):
        assert table[column].tolist() == annotations[column].tolist()
    for column in ("start_time_sec", "end_time_sec"):
        np.testing.assert_allclose(table[column], annotations[column], atol=0.05)
    (broken / "narration" / "atomic_action.csv").unlink()
    done = run("windows", tmp_path / "mini", tmp_path / "windows.csv")
    assert "windows of 1 recordings" in done.output and f"left out: {broken.name}: no atomic action" in done.output
    assert isinstance(run("windows", tmp_path / "mini", tmp_path / "windows.txt").exception, ValueError)


@pytest.mark.parametrize("price", ["m", "m=1", "m=a/b", "=1/2", "m=-1/2"])
def test_bad_prices_are_named(tmp_path, windows, price):
    result = run("label", tmp_path / "work", "--windows", windows, "--price", price)
    assert result.exit_code == 1 and isinstance(result.exception, ValueError)
    assert price in str(result.exception)
