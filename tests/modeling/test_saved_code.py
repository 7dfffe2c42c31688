"""What is saved from our classes loads in a process that has no anymo_hf, and with it as before."""

import json
from pathlib import Path

import pytest
from support.fresh_python import fresh_python
from transformers import AutoModel, AutoProcessor, AutoTokenizer

WITHOUT = "import sys; sys.modules['anymo_hf'] = None\n"


def run(code, tmp_path, *arguments):
    done = fresh_python(code, *arguments, HF_MODULES_CACHE=tmp_path / "modules")
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_model_and_processor_saved_by_remote_code_load_again(tiny_release, tmp_path):
    code = WITHOUT + (
        "from transformers import AutoFeatureExtractor, AutoModel, AutoProcessor, AutoTokenizer\n"
        "first, second = sys.argv[1:]\n"
        "AutoModel.from_pretrained(first, trust_remote_code=True).save_pretrained(second)\n"
        "AutoProcessor.from_pretrained(first, trust_remote_code=True).save_pretrained(second)\n"
        "for auto in (AutoModel, AutoTokenizer, AutoFeatureExtractor, AutoProcessor):\n"
        "    print(type(auto.from_pretrained(second, trust_remote_code=True)).__name__)\n"
    )
    names = ["AnyMoModel", "AnyMoTokenizer", "AnyMoFeatureExtractor", "AnyMoProcessor"]
    assert run(code, tmp_path, tiny_release, tmp_path / "again").split() == names
    files = {path.name for path in (tmp_path / "again").glob("*.py")}
    assert files == {path.name for path in Path(tiny_release).glob("*.py")}


@pytest.mark.slow
def test_a_pipeline_of_a_saved_model_runs_without_the_package(tiny_release, tmp_path):
    AutoModel.from_pretrained(tiny_release).save_pretrained(tmp_path / "again")
    AutoProcessor.from_pretrained(tiny_release).save_pretrained(tmp_path / "again")
    code = WITHOUT + (
        "import numpy as np\nfrom transformers import pipeline\n"
        "rank = pipeline('zero-shot-imu-classification', model=sys.argv[1], trust_remote_code=True)\n"
        "still = {'imu': {'waist': np.tile([0, 0, 9.8], (300, 1))}, 'sampling_rate': 50}\n"
        "print(len(rank(still, candidate_labels=['walking', 'sitting'])))\n"
    )
    assert run(code, tmp_path, tmp_path / "again").split() == ["2"]


def test_with_the_package_a_saved_folder_loads_with_and_without_trust(tiny_release, tmp_path):
    AutoModel.from_pretrained(tiny_release).save_pretrained(tmp_path)
    AutoProcessor.from_pretrained(tiny_release).save_pretrained(tmp_path)
    for arguments in ({}, {"trust_remote_code": True}):
        assert type(AutoTokenizer.from_pretrained(tmp_path, **arguments)).__name__ == "AnyMoTokenizer"
    assert "imu-to-text" in json.loads((tmp_path / "config.json").read_text())["custom_pipelines"]
