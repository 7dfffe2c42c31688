"""Captions that are selected from sentences."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoProcessor

from anymo_hf.systems.captions import select_captions

SENTENCES = ["a person walks", "someone sits down on a chair", "a person jumps", "a person waves both hands twice"]


@pytest.fixture(scope="module")
def released(tiny_release):
    return AutoModelForCausalLM.from_pretrained(tiny_release).eval(), AutoProcessor.from_pretrained(tiny_release)


def windows(count):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 8, 20) for _ in range(count)], [[6]] * count


def one_by_one(model, processor, codes, places, texts):
    """Cosine and mean log-probability a token of each text, each worked out by itself."""
    with torch.inference_mode():
        window = model.get_imu_features(
            **processor(imu_codes=[codes], imu_placements=[places], return_tensors="pt")
        ).pooler_output[0]
        found = []
        for text in texts:
            words = model.get_text_features(**processor(text=[text], text_kind="narration", return_tensors="pt"))
            line = processor.language_example(codes, places, "narration", answer=text)
            logits = model(input_ids=torch.tensor([line["input_ids"]])).logits[0].double().log_softmax(-1)
            own = [float(logits[place - 1, target]) for place, target in enumerate(line["labels"]) if target >= 0]
            found.append((float(window @ words.pooler_output[0]), np.mean(own)))
    return np.array(found)


def test_the_nearest_and_likeliest_sentence_is_selected(released):
    model, processor = released
    codes, places = windows(4)
    expected = [one_by_one(model, processor, *one, SENTENCES) @ [1, 0.05] for one in zip(codes, places, strict=True)]
    found = select_captions(model, processor, codes, places, SENTENCES, batch_size=3)
    assert found == [SENTENCES[scores.argmax()] for scores in expected]


def test_the_language_model_is_asked_about_the_nearest_only(released, monkeypatch):
    model, processor = released
    codes, places = windows(3)
    monkeypatch.setattr("anymo_hf.systems.captions._NEAREST", 1)
    cosines = [one_by_one(model, processor, *one, SENTENCES)[:, 0] for one in zip(codes, places, strict=True)]
    found = select_captions(model, processor, codes, places, SENTENCES)
    assert found == [SENTENCES[row.argmax()] for row in cosines]


def test_nothing_to_select_from_or_for_is_refused(released):
    codes, places = windows(2)
    with pytest.raises(ValueError, match="sentences is empty"):
        select_captions(*released, codes, places, [])
    with pytest.raises(ValueError, match="as many imu_codes as imu_placements"):
        select_captions(*released, codes, places[:1], SENTENCES)
