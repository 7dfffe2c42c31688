"""Prompts: keys of options, words for places, clean texts."""

import pytest

from anymo_hf.modeling.body_segments import SEGMENT_INDEX
from anymo_hf.modeling.prompts import normalize_text, option_key, sensor_context

WRIST, HEAD = SEGMENT_INDEX["L_Forearm"], SEGMENT_INDEX["Head"]


def test_option_keys_and_sensor_words():
    assert [option_key(i) for i in (0, 25, 26, 27, 51, 52, 701, 702)] == ["a", "z", "aa", "ab", "az", "ba", "zz", "aaa"]
    assert sensor_context([WRIST]) == "left forearm"
    assert sensor_context([WRIST, HEAD, SEGMENT_INDEX["L5"]]) == "left forearm, head and waist"


def test_texts_are_lowered_and_an_empty_one_is_refused():
    assert normalize_text("  Walks\n UP  the stairs ") == "walks up the stairs"
    for text in ("", "  ", None):
        with pytest.raises(ValueError, match="non-empty string"):
            normalize_text(text)
