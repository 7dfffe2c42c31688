"""`anymo convert-official` as a user runs it: what is printed, and bad input in one line."""

import sys

import pytest
import torch
from support import official_checkpoint as official_files
from transformers import AutoModel

from anymo_hf import cli


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    return official_files.Official(tmp_path_factory.mktemp("official"), official_files.SMALL)


@pytest.fixture
def convert(official, monkeypatch, capsys):
    """Runs the command as `anymo` does; gives exit code, output and the error's line."""

    def run(out, **changes):
        paths = {role: official.folder / f"{role}.pt" for role in official.contents} | {"llm": official.folder / "llm"}
        options = [f"--{role}={path}" for role, path in (paths | {"out": out} | changes).items()]
        monkeypatch.setattr(sys, "argv", ["anymo", "convert-official", *options])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


def test_a_release_is_written_and_every_tensor_is_counted(official, convert, tmp_path):
    code, printed, error = convert(tmp_path / "anymo-paper", wrist="hand")
    assert code == 0, error
    placed = len(official.encoder) + len(official.predictor)
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert f"encoder {placed + 6} tensors, {placed} placed encoder.pt" in lines
    assert "4 head of an ablation, which this objective never trains" in lines
    assert lines[-1] == f"written: {tmp_path}/anymo-paper (report: {tmp_path}/anymo-paper/conversion_report.json)"
    model = AutoModel.from_pretrained(tmp_path / "anymo-paper")
    assert torch.equal(model.text_soft_prompt, official.contrastive["text_soft_prompt"])


def test_bad_input_is_one_line(official, convert, tmp_path):
    for changes, message in (
        ({"encoder": official.folder / "pqvae.pt"}, "looks like a file for --pqvae; were the files swapped?"),
        ({"llm": official.folder}, "config.json is missing"),
        ({"out": official.folder}, "exists; name a new folder"),
        ({"wrist": "elbow"}, "wrist must be 'forearm' or 'hand'"),
    ):
        code, _, error = convert(**({"out": tmp_path / "out"} | changes))
        last = error.splitlines()[-1]
        assert code == 2 and last.startswith("anymo: ") and message in last and not list(tmp_path.iterdir())
