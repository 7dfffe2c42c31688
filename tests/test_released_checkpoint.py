"""The released nano checkpoint in `anymo/`: what the README promises works, and it knows more than chance."""

import filecmp
from pathlib import Path

import numpy as np
import pytest
import torch
from support.fresh_python import fresh_python
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoProcessor,
    AutoTokenizer,
    pipeline,
)

import anymo_hf
from anymo_hf.evaluation.retrieval import evaluate_retrieval
from anymo_hf.modeling.embedding import check_same_codebook, embed_recordings
from anymo_hf.modeling.saved_code import AUTO_MAP
from anymo_hf.systems.held_out_windows import held_out_windows

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "anymo"
LIMIT_MB = 40


@pytest.fixture(scope="module")
def model():
    return AutoModel.from_pretrained(FOLDER).eval()


@pytest.fixture(scope="module")
def processor():
    return AutoProcessor.from_pretrained(FOLDER)


def signals(*lengths):
    rng = np.random.default_rng(0)
    return [np.concatenate([rng.normal([0, 0, 1], 0.1, (n, 3)), rng.normal(0, 20, (n, 3))], axis=1) for n in lengths]


def test_the_snippet_of_the_readme(model, processor):
    a, b, c = signals(140, 75, 75)
    batch = processor(
        imu=[{"left_wrist": a}, {"head": b, "right_wrist": c}], sampling_rate=50, acceleration_unit="g",
        angular_velocity_unit="deg/s", return_tensors="pt",
    )  # fmt: skip
    texts = processor(text=["walking", "sitting"], return_tensors="pt")
    with torch.no_grad():
        for features in (model.get_imu_features(**batch).pooler_output, model.get_text_features(**texts).pooler_output):
            assert features.shape == (2, model.config.projection_dim)
            torch.testing.assert_close(features.norm(dim=-1), torch.ones(2))
    recognise = pipeline("zero-shot-imu-classification", model=str(FOLDER))
    one = {"imu": {"waist": a}, "sampling_rate": 50, "acceleration_unit": "g"}
    ranked = recognise(one, candidate_labels=["walking", "sitting"])
    assert [set(row) for row in ranked] == [{"score", "label"}] * 2 and ranked[0]["score"] >= ranked[1]["score"]
    assert len(recognise([one, one], candidate_labels=["walking", "sitting"])) == 2
    caption = pipeline("imu-to-text", model=str(FOLDER))({"imu": {"waist": a}, "sampling_rate": 50})
    assert caption[0]["generated_text"].strip()
    codes = AutoFeatureExtractor.from_pretrained(FOLDER)({"waist": a}, sampling_rate=50).imu_codes
    assert len(codes[0]) == 2 * -(-168 // 4)  # 140 samples at 50 Hz are 168 frames, two codes every four
    assert AutoTokenizer.from_pretrained(FOLDER)("walking").input_ids
    AutoModelForCausalLM.from_pretrained(FOLDER)
    assert AutoModelForSequenceClassification.from_pretrained(FOLDER, num_labels=5).config.num_labels == 5


def test_a_recording_of_two_minutes(model, processor):
    (long,) = signals(120 * 50)
    embedding = embed_recordings(
        model, processor, {"waist": long}, 50, acceleration_unit="g", angular_velocity_unit="deg/s"
    )
    assert embedding.shape == (1, model.config.projection_dim) and embedding.isfinite().all()
    with pytest.raises(ValueError, match="positions"):
        processor(imu={"waist": long}, sampling_rate=50)


def test_its_parts_are_of_one_run(model, processor):
    check_same_codebook(model, processor)
    tokenizer, config = processor.tokenizer, AutoConfig.from_pretrained(FOLDER)
    ids = (config.imu_bos_token_id, config.imu_token_offset, config.imu_eos_token_id)
    assert ids == (tokenizer.imu_bos_token_id, tokenizer.imu_token_offset, tokenizer.imu_eos_token_id)
    assert config.text_config.vocab_size >= len(tokenizer) and config.text_model_name is None
    assert AutoProcessor.from_pretrained(FOLDER, wrist="hand").feature_extractor.wrist == "hand"


def test_it_loads_without_the_package():
    code = (
        "import sys; sys.modules['anymo_hf'] = None\n"
        "from transformers import AutoModel, AutoProcessor\n"
        "model = AutoModel.from_pretrained('anymo', trust_remote_code=True)\n"
        "processor = AutoProcessor.from_pretrained('anymo', trust_remote_code=True)\n"
        "text = processor(text=['walking'], return_tensors='pt')\n"
        "assert model.get_text_features(**text).pooler_output.shape == (1, model.config.projection_dim)\n"
    )
    result = fresh_python(code, folder=ROOT)
    assert result.returncode == 0, result.stderr[-2000:]


def test_its_code_is_the_code_of_this_repository():
    source = Path(anymo_hf.__file__).parent / "modeling"
    copies = sorted(path.name for path in FOLDER.glob("*.py"))
    assert copies == sorted(path.name for path in source.glob("*.py") if path.name != "__init__.py")
    different = [name for name in copies if not filecmp.cmp(source / name, FOLDER / name, shallow=False)]
    assert not different, f"{different} changed; run python training/release.py anymo"


def test_only_safetensors_and_small():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in (".bin", ".pt", ".pth", ".pkl", ".npz")]
    assert sum(path.stat().st_size for path in files) < LIMIT_MB * 1e6
    assert set(AUTO_MAP) <= {path.name for path in files}


def test_unseen_words_land_near_their_meaning(model, processor):
    """ "ascending stairs" and its like never occur in the training text."""
    pairs = (
        ("ascending stairs", "walking up stairs", "sitting"),
        ("descending stairs", "walking down stairs", "sitting"),
        ("pedalling a bike", "cycling", "lying"),
    )
    with torch.no_grad():
        for unseen, near, far in pairs:
            query, close, other = model.get_text_features(
                **processor(text=[unseen, near, far], return_tensors="pt")
            ).pooler_output
            assert query @ close > query @ other, unseen


def test_people_never_seen_are_found_among_sixty_five_activities(model, processor):
    found = held_out_windows(processor, 65)
    scores = evaluate_retrieval(model, processor, found.codes, found.placements, found.texts)
    chance = np.mean(1 / np.arange(1, 66))  # mean reciprocal rank of a random order
    assert scores.imu_to_text["mrr"] > 3 * chance and scores.text_to_imu["mrr"] > 3 * chance
