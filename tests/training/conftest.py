"""A tiny corpus and a one-process accelerator for the tests of training."""

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from anymo_hf.training.activity_words import ActivityWords
from anymo_hf.training.batches import stage_texts, teacher_texts
from anymo_hf.training.build_corpus import build_corpus
from anymo_hf.training.corpus import MotionCorpus
from anymo_hf.training.sentence_vectors import cache_file

ACTIVITIES = ["walking", "sitting", "rope_jumping"]


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "corpus"
    assert build_corpus(folder, 2, 120, ACTIVITIES, workers=1, progress=False) == 6
    return folder


@pytest.fixture
def corpus(corpus_folder):
    return MotionCorpus(corpus_folder)


@pytest.fixture(scope="session")
def accelerator():
    return Accelerator(cpu=True)


@pytest.fixture(autouse=True)
def random_state_is_put_back():
    """Training seeds torch; other tests must not notice."""
    state = torch.get_rng_state()
    yield
    torch.set_rng_state(state)


@pytest.fixture(scope="session")
def put_teacher_vectors():
    """Puts random sentence vectors where the language stages of a run look for those of their teacher."""

    def put(root, settings):
        corpus = MotionCorpus(root / "corpus")
        texts = teacher_texts(stage_texts(root, corpus), corpus, settings.teacher_texts, settings.seed)
        path = cache_file(texts, root / "language")
        path.parent.mkdir(exist_ok=True)
        rows = torch.randn(len(texts), 7, generator=torch.Generator().manual_seed(0))
        np.save(path, torch.nn.functional.normalize(rows, dim=-1).numpy())

    return put


@pytest.fixture(scope="session")
def put_activity_vectors():
    """Puts random sentence vectors where the stages of a run look that tell windows apart by activities' words."""

    def put(root, stages=("signal", "tokenizer")):
        texts = ActivityWords(MotionCorpus(root / "corpus").clips, True).texts
        rows = torch.randn(len(texts), 9, generator=torch.Generator().manual_seed(0))
        for stage in stages:
            path = cache_file(texts, root / stage)
            path.parent.mkdir(exist_ok=True)
            np.save(path, torch.nn.functional.normalize(rows, dim=-1).numpy())

    return put
