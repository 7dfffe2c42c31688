"""Windows: pieces of equal length, windows of one length, hops; and their answers joined into a timeline."""

import numpy as np
import pytest

from anymo_hf.modeling.windows import (
    MAX_WINDOW_SECONDS,
    WindowAnswer,
    consecutive_spans,
    equal_spans,
    hop_spans,
    join_windows,
)


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


def answers_of(scores, window=5.0, hop=5.0):
    return [
        WindowAnswer(row * hop, row * hop + window, np.asarray(values, dtype=float))
        for row, values in enumerate(scores)
    ]


def test_hops_cover_the_recording_and_drop_less_than_a_second():
    assert hop_spans(1000, 50, 5) == [(0, 250), (250, 500), (500, 750), (750, 1000)]
    assert hop_spans(1049, 50, 5)[-1] == (750, 1000) and hop_spans(1050, 50, 5)[-1] == (1000, 1050)
    assert hop_spans(500, 50, 5, 2.5) == [(0, 250), (125, 375), (250, 500)]
    assert hop_spans(49, 50, 5) == [] and hop_spans(60, 50, 5) == [(0, 60)]
    starts = [start for start, _ in hop_spans(104_300, 104.3, 5, 1.0)]
    assert starts == [int(np.floor(104.3 * k + 0.5)) for k in range(len(starts))]  # hops do not drift
    for window, hop in ((0.5, None), (5, 6), (5, 0.001), (float("nan"), None)):
        with pytest.raises(ValueError, match="must"):
            hop_spans(1000, 50, window, hop)


def test_one_window_that_disagrees_is_smoothed_away_and_neighbours_are_joined():
    rows = [[0.9, 0.1], [0.9, 0.1], [0.48, 0.52], [0.99, 0.01], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]]
    found = list(join_windows(answers_of(rows), ["walking", "sitting"]))
    means = [np.mean([row[0] for row in rows[max(0, k - 1) : k + 2]]) for k in range(len(rows))]
    assert [entry.activity for entry in found] == ["walking", "sitting"]
    assert (found[0].start, found[0].end, found[1].start, found[1].end) == (0, 20, 20, 35)
    assert found[0].confidence == pytest.approx(np.mean(means[:4]))
    assert found[1].confidence == pytest.approx(np.mean([1 - mean for mean in means[4:]])) and found[1].windows == 3
    plain = [entry.activity for entry in join_windows(answers_of(rows), ["walking", "sitting"], smoothing=1)]
    assert plain == ["walking", "sitting", "walking", "sitting"]


@pytest.mark.parametrize("smoothing", [1, 3, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 9, 30])
def test_the_timeline_is_that_of_the_rule_worked_out_at_once(smoothing, count):
    scores = np.random.default_rng(count).dirichlet(np.ones(3), count)
    labels = np.array(["a", "b", "c"])
    found = list(join_windows(iter(answers_of(scores, 4.0, 2.0)), list(labels), smoothing))
    half = smoothing // 2
    means = np.array([scores[max(0, k - half) : k + half + 1].mean(0) for k in range(count)]).reshape(count, 3)
    best = means.argmax(1)
    edges = [0, *(np.flatnonzero(np.diff(best)) + 1), count] if count else []
    assert [entry.windows for entry in found] == [b - a for a, b in zip(edges, edges[1:], strict=False)]
    assert [entry.activity for entry in found] == [labels[best[a]] for a in edges[:-1]]
    for entry, a, b in zip(found, edges, edges[1:], strict=False):
        assert entry.confidence == pytest.approx(means[a:b].max(1).mean())
        # windows of 4 s every 2 s have middles at 2, 4, ...: the next one takes over half way between two
        assert entry.start == pytest.approx(0 if a == 0 else 2 * a + 1)
        assert entry.end == pytest.approx(2 * count + 2 if b == count else 2 * b + 1)


def test_entries_come_before_all_windows_are_there():
    taken = []

    def windows():
        for answer in answers_of([[1, 0]] * 4 + [[0, 1]] * 10):
            taken.append(answer.start)
            yield answer

    next(join_windows(windows(), ["walking", "sitting"]))
    assert len(taken) <= 6
    with pytest.raises(ValueError, match="odd"):
        list(join_windows([], ["walking"], 2))
