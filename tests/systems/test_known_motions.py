"""A library of simulated motions is searched by what sensors on the same segments feel."""

import numpy as np
import pytest

from anymo_hf.modeling.body_segments import SEGMENT_INDEX
from anymo_hf.motion.procedural import ACTIVITIES, simulate_activity
from anymo_hf.systems import known_motions
from anymo_hf.systems.embeddings import embed_codes
from anymo_hf.systems.held_out_windows import WINDOW_SECONDS, encode_motions

FEW = ("squats", "standing", "walking")


def test_a_known_motion_is_nearest_to_itself(tiny_parts, monkeypatch):
    monkeypatch.setattr(known_motions, "ACTIVITIES", {name: ACTIVITIES[name] for name in FEW})
    model, processor = tiny_parts
    worn = [SEGMENT_INDEX["L_Forearm"], SEGMENT_INDEX["Head"]]
    motions = [simulate_activity(name, 0, WINDOW_SECONDS) for name in FEW]
    codes = encode_motions(processor, motions, [worn] * 3, 0)
    own = embed_codes(model, processor, codes, [sorted(worn)] * 3)
    np.testing.assert_allclose(np.linalg.norm(own, axis=1), 1, rtol=1e-5)
    found = known_motions.nearest_motions(model, processor, own, worn, top_k=3, seeds=(0,))
    for row, motion in zip(found, motions, strict=True):
        scores = [score for score, _ in row]
        assert scores == sorted(scores, reverse=True) and scores[0] == pytest.approx(1, abs=1e-4)
        near = {text for score, text in row if score > 1 - 1e-4}
        assert motion.narrations[0].text in near
        assert {text for _, text in row} == {other.narrations[0].text for other in motions}
