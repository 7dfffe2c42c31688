"""Two processes learn what one learns at equal global batch: tokenizer, language and contrastive stages.

Run as a script, this file is what every process does: `python test_two_processes.py FOLDER`.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from anymo_hf.training import language_stage, tokenizer_stage
from anymo_hf.training.contrastive_stage import tune_contrastive
from anymo_hf.training.encoder_stage import train_encoder
from anymo_hf.training.language_stage import train_language
from anymo_hf.training.settings import ContrastiveSettings, EncoderSettings, LanguageSettings, TokenizerSettings
from anymo_hf.training.tokenizer_stage import train_tokenizer

TEACHER = {"teacher_weight": 1.0, "teacher_texts": 20}
# windows of one length: with several, the tokenizer's loss is a mean of two means over unequal numbers of steps
TOKENIZER = TokenizerSettings(steps=3, batch_size=8, frames=[64], views_per_clip=4, rows_per_call=4, log_every=1)
LANGUAGE = LanguageSettings(
    steps=3, batch_size=4, text_batch_size=4, vocab_size=400, latents=12, log_every=1, **TEACHER
)
CONTRASTIVE = ContrastiveSettings(
    steps=3, batch_size=8, lm_batch_size=4, candidates=3, latents=12, chunk_size=2, log_every=1, **TEACHER
)
STAGES = ("tokenizer", "language", "contrastive")


def random_teacher(texts, cache, device):
    rows = torch.randn(len(texts), 7, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(rows, dim=-1)


def keep_random_codebooks(model, views, seed):
    """Latents of so small a corpus would repeat in the codebook, and float noise decides between equal entries."""


def train(stage, root, accelerator):
    if stage == "tokenizer":
        train_tokenizer(TOKENIZER, root, accelerator)
    elif stage == "language":
        train_language(LANGUAGE, root, accelerator)
    else:
        tune_contrastive(CONTRASTIVE, root, root / "anymo", accelerator)


@pytest.mark.slow
def test_two_processes_equal_one(corpus_folder, accelerator, tmp_path, monkeypatch):
    monkeypatch.setattr(language_stage, "cached_teacher", random_teacher)
    monkeypatch.setattr(tokenizer_stage, "_start_codebooks", keep_random_codebooks)
    one, two = tmp_path / "one", tmp_path / "two"
    shutil.copytree(corpus_folder, one / "corpus")
    train_encoder(EncoderSettings(steps=1, batch_size=4, frames=[64]), one, accelerator)
    for stage in STAGES:  # two processes get each stage's inputs from the one
        shutil.copytree(one, two / stage)
        train(stage, one, accelerator)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([*launch, __file__, str(two)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    for stage in STAGES:
        alone, both = (json.loads((root / stage / "metrics.json").read_text()) for root in (one, two / stage))
        assert (alone["processes"], both["processes"]) == (1, 2)
        for first, second in zip(alone["history"], both["history"], strict=True):
            for name in set(first) - {"step", "seconds", "codes_in_batch"}:
                assert second[name] == pytest.approx(first[name], rel=1e-5), (stage, name)
        ours, theirs = (load_file(root / stage / "checkpoint.safetensors") for root in (one, two / stage))
        for name in ours:
            if name.startswith("model."):
                torch.testing.assert_close(theirs[name], ours[name], rtol=1e-4, atol=1e-5, msg=f"{stage}: {name}")


if __name__ == "__main__":
    language_stage.cached_teacher = random_teacher
    tokenizer_stage._start_codebooks = keep_random_codebooks
    process = Accelerator(cpu=True)
    for name in STAGES:
        train(name, Path(sys.argv[1]) / name, process)
