"""Importing the package is light, and transformers then knows AnyMo whichever is imported first."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.fresh_python import fresh_python

ROOT = Path(__file__).parents[1]


def run(code):
    """What a new interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def run_forked(code, *arguments):
    """What a process prints in which torch is there, transformers and the package are not."""
    done = fresh_python(code, *arguments, folder=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_what_needs_no_torch_loads_none_and_the_import_system_is_left_alone():
    code = (
        "import sys, anymo_hf\n"
        "from anymo_hf.modeling import body_segments, imu_signal\n"
        "assert not {'torch', 'scipy.signal'} & set(sys.modules)\n"
        "from anymo_hf.recordings import catalogue, dataset_check\n"
        "from anymo_hf.recordings.devices import table\n"
        "assert 'torch' not in sys.modules\n"
        "kinds = [getattr(finder, '__module__', type(finder).__module__) for finder in sys.meta_path]\n"
        "assert not [kind for kind in kinds if kind.startswith('anymo')], kinds\n"
    )
    run(code)


@pytest.mark.slow
def test_importing_an_auto_class_costs_little_more_with_the_package():
    # processor seconds, which other processes only ever add to: ours once against the least of two without, or more of
    # both where that is not enough
    code = (
        "import time{}\n"
        "start = time.process_time()\n"
        "from transformers import AutoModel\n"
        "print(time.process_time() - start)"
    )
    seconds = {"": [], ", anymo_hf": []}
    for turn in range(12):
        more = list(seconds)[turn % 2]
        seconds[more].append(float(run(code.format(more))))
        if turn > 1 and min(seconds[", anymo_hf"]) < min(seconds[""]) + 0.3:
            return
    raise AssertionError(seconds)


AUTO_CLASSES = {
    "AutoConfig": "AnyMoConfig",
    "AutoModel": "AnyMoModel",
    "AutoModelForCausalLM": "AnyMoForConditionalGeneration",
    "AutoTokenizer": "AnyMoTokenizer",
    "AutoFeatureExtractor": "AnyMoFeatureExtractor",
    "AutoProcessor": "AnyMoProcessor",
}


@pytest.mark.slow
@pytest.mark.parametrize("auto", AUTO_CLASSES)
def test_every_auto_class_knows_anymo_when_it_is_the_first_to_be_asked(auto):
    code = (
        f"import sys, anymo_hf\nfrom transformers import {auto}\n"
        f"loaded = {auto}.from_pretrained(sys.argv[1])\n"
        "assert type(loaded).__module__.startswith('anymo_hf.'), type(loaded)\n"
        "print(type(loaded).__name__)"
    )
    assert run_forked(code, ROOT / "anymo").split() == [AUTO_CLASSES[auto]]


@pytest.mark.slow
def test_auto_classes_imported_before_the_package_know_it_too():
    code = (
        f"import sys\nfrom transformers import {', '.join(AUTO_CLASSES)}\nimport anymo_hf\n"
        f"for auto in ({', '.join(AUTO_CLASSES)}): print(type(auto.from_pretrained(sys.argv[1])).__name__)"
    )
    assert run_forked(code, ROOT / "anymo").split() == list(AUTO_CLASSES.values())


@pytest.mark.slow
def test_a_pipeline_a_lone_tokenizer_and_a_config_are_known_too(tmp_path):
    code = (
        "import sys, anymo_hf\nfrom transformers import AutoConfig, pipeline\n"
        "pipe = pipeline('zero-shot-imu-classification', model=sys.argv[1])\n"
        "print(type(pipe).__name__)\n"
        "pipe.processor.tokenizer.save_pretrained(sys.argv[2])"
    )
    assert run_forked(code, ROOT / "anymo", tmp_path).split() == ["ZeroShotImuClassificationPipeline"]
    code = (
        "import sys, anymo_hf\nfrom transformers import AutoModel, AutoTokenizer\n"
        "print(type(AutoTokenizer.from_pretrained(sys.argv[1])).__name__)\n"
        "config = anymo_hf.AnyMoSTGCNConfig.from_preset('nano')\n"
        "print(type(AutoModel.from_config(config)).__name__)"
    )
    assert run_forked(code, tmp_path).split() == ["AnyMoTokenizer", "AnyMoSTGCNModel"]
