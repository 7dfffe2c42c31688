"""Windows: pieces of equal length, windows of one length."""

from anymo_hf.modeling.windows import MAX_WINDOW_SECONDS, consecutive_spans, equal_spans


def test_pieces_cover_the_recording_evenly_and_none_is_too_long():
    for frames in (60, 359, 360, 361, 720, 721, 7200, 216_001):
        for most in (2.0, 4.5, 6.0):
            spans = equal_spans(frames, most)
            lengths = [end - start for start, end in spans]
            assert spans[0][0] == 0 and spans[-1][1] == frames
            assert all(end == start for (_, end), (start, _) in zip(spans, spans[1:], strict=False))
            assert max(lengths) <= most * 60 and max(lengths) - min(lengths) <= 1 and min(lengths) >= 60
            assert len(lengths) == -(-frames // round(most * 60))
    assert equal_spans(7200, None) == [(0, 7200)]


def test_the_default_length_is_the_one_of_the_processor():
    longest = int(MAX_WINDOW_SECONDS * 60)
    assert equal_spans(longest) == [(0, longest)]
    assert (
        equal_spans(longest + 1) == equal_spans(longest + 1, MAX_WINDOW_SECONDS) and len(equal_spans(longest + 1)) == 2
    )


def test_windows_of_one_length_keep_or_drop_a_short_end():
    assert consecutive_spans(13, 5) == [(0, 5), (5, 10)]
    assert consecutive_spans(13, 5, 3) == [(0, 5), (5, 10), (10, 13)]
    assert consecutive_spans(12, 5, 3) == [(0, 5), (5, 10)]
    assert consecutive_spans(4, 5) == [] and consecutive_spans(4, 5, 2) == [(0, 4)]
