"""A tiny corpus and a one-process accelerator for the tests of training."""

import pytest
import torch
from accelerate import Accelerator

from anymo_hf.training.corpus import MotionCorpus, build_corpus

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
