"""Shares of "none of these" are what a count window by window gives."""

import numpy as np
import pytest

from anymo_hf.evaluation import none_of_these
from anymo_hf.motion.procedural import ACTIVITIES, label_phrases
from anymo_hf.systems.activity_labels import EVERYDAY
from anymo_hf.systems.checkpoint import load_checkpoint
from anymo_hf.systems.embeddings import embed_labels
from anymo_hf.systems.held_out_windows import held_out_windows
from anymo_hf.systems.recognizer import HANDICAP, NEAR_IN_MEANING, Recognizer


@pytest.mark.slow
def test_shares_equal_a_count_window_by_window(tiny_release, monkeypatch):
    model, processor = load_checkpoint(str(tiny_release))

    # a random model finds all texts alike: spread them, so that some activities are listed and others are not
    def spread(model, processor, labels, text_prompt="learned"):
        vectors = embed_labels(model, processor, labels, text_prompt)
        noise = np.stack([np.random.default_rng(sum(map(ord, one))).normal(size=vectors.shape[1]) for one in labels])
        return (noise / np.linalg.norm(noise, axis=1, keepdims=True)).astype(np.float32)

    for module in ("anymo_hf.evaluation.none_of_these", "anymo_hf.systems.embeddings"):
        monkeypatch.setattr(f"{module}.embed_labels", spread)
    found = none_of_these.simulated_shares(model, processor, 12)
    names = [label_phrases(name)[0] for name in ACTIVITIES]
    labels, others = spread(model, processor, list(EVERYDAY)), spread(model, processor, names)
    far = (others @ labels.T).max(1) < NEAR_IN_MEANING
    windows = held_out_windows(processor, 12)
    kept, refused = [], []
    for codes, places, activity in zip(windows.codes, windows.placements, windows.activities, strict=True):
        batch = processor(imu_codes=[codes], imu_placements=[places], return_tensors="pt")
        window = model.get_imu_features(**batch).pooler_output[0].detach().numpy()
        window /= np.linalg.norm(window)
        lead = HANDICAP * model.config.contrastive_temperature
        none = (others[far] @ window).max() - lead > (labels @ window).max()
        (refused if far[list(ACTIVITIES).index(activity)] else kept).append(none)
    assert found["others_refused"] == pytest.approx(np.mean(refused))
    assert found["listed_kept"] == pytest.approx(1 - np.mean(kept)) if kept else np.isnan(found["listed_kept"])


def test_a_recognizer_without_others_never_says_none():
    texts = np.eye(3, dtype=np.float32)

    class Model:
        class config:
            contrastive_temperature = 0.05

    one = Recognizer(Model, None, ("a", "b", "c"), texts)
    other = Recognizer(Model, None, ("a", "b", "none"), texts[:2], texts[2:])
    assert one.scores(texts).argmax(1).tolist() == [0, 1, 2]
    assert other.scores(texts).argmax(1).tolist() == [0, 1, 2]
    # a window between a label and another activity keeps the label: the handicap
    between = (texts[:1] + texts[2:]) / np.sqrt(2)
    assert other.scores(between).argmax(1).tolist() == [0]
