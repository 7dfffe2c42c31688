"""Latents of sparse views: two runs that make them at once take nothing from each other."""

import time

import pytest
import torch
from accelerate import Accelerator
from support.forked import forked

from anymo_hf.modeling.configuration_anymo import AnyMoSTGCNConfig
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNModel
from anymo_hf.training import view_latents
from anymo_hf.training.corpus import MotionCorpus
from anymo_hf.training.settings import TokenizerSettings
from anymo_hf.training.view_latents import LATENTS, export_latents

SETTINGS = TokenizerSettings(frames=[32], views_per_clip=1)


def _export_and_wait(arguments, flags):
    write = view_latents._write_latents

    def stay(*given):
        (flags / "begun").touch()
        while not (flags / "go").is_file():
            time.sleep(0.01)
        write(*given)

    view_latents._write_latents = stay
    export_latents(*arguments, Accelerator(cpu=True))


@pytest.mark.slow
def test_two_runs_at_once_have_drafts_of_their_own(corpus_folder, accelerator, tmp_path):
    torch.manual_seed(0)
    encoder = AnyMoSTGCNModel(AnyMoSTGCNConfig.from_preset("nano")).eval()
    arguments = SETTINGS, MotionCorpus(corpus_folder), encoder, tmp_path / "tokenizer", "same"
    first = forked(_export_and_wait, arguments, tmp_path, out=tmp_path / "said.txt")
    while not (tmp_path / "begun").is_file():
        assert first.is_alive()
        time.sleep(0.01)
    export_latents(*arguments, accelerator)
    folder = tmp_path / "tokenizer" / LATENTS
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    (tmp_path / "go").touch()
    first.join()
    assert first.exitcode == 0, (tmp_path / "said.txt").read_text()
    assert any(whole["latents.npy"][200:]) and whole["fingerprint.txt"] == b"same"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    assert [path.name for path in folder.parent.iterdir()] == [LATENTS]
