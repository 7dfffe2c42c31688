"""AnyMoStream on a tiny release: equal to the offline answer, however the samples come; bounded; bad input refused."""

import gc
import tracemalloc
from fractions import Fraction
from math import floor

import numpy as np
import pytest
import torch
from support.fresh_python import fresh_python
from transformers import Qwen2Config, pipeline

import anymo_hf
from anymo_hf import AnyMoStream

LABELS = ["walking", "sitting", "running"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    tokenizer = anymo_hf.AnyMoTokenizer.train_from_texts(LABELS, 300, 16)
    pqvae = anymo_hf.AnyMoPQVAEConfig(input_dim=48, bottleneck_dim=8, codebook_size=8, decoder_dim=8)
    stgcn = anymo_hf.AnyMoSTGCNConfig.from_preset("nano")
    text = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=False,
    )  # fmt: skip
    config = anymo_hf.AnyMoConfig(
        stgcn_config=stgcn, pqvae_config=pqvae, text_config=text, pooler_latents=4, pooler_heads=4, projection_dim=12,
        projector_hidden=10, imu_token_offset=tokenizer.imu_token_offset,
    )  # fmt: skip
    extractor = anymo_hf.AnyMoFeatureExtractor(anymo_hf.AnyMoSTGCNModel(stgcn), anymo_hf.AnyMoPQVAEModel(pqvae))
    model = anymo_hf.AnyMoForConditionalGeneration(config)
    model.set_codebook(extractor.pqvae)
    processor = anymo_hf.AnyMoProcessor(extractor, tokenizer)
    return str(anymo_hf.save_release(tmp_path_factory.mktemp("hub") / "release", model, processor))


@pytest.fixture(scope="module")
def parts(folder):
    return (
        anymo_hf.AnyMoForConditionalGeneration.from_pretrained(folder),
        anymo_hf.AnyMoProcessor.from_pretrained(folder),
    )


def make(parts, placements="waist", rate=50.0, **settings):
    """A stream with short windows that gives codes only, unless told otherwise."""
    return AnyMoStream(*parts, placements, rate, **({"window": 1.0, "hop": 0.4, "embeddings": False} | settings))


def walk(count, channels=6, seed=0):
    """Samples whose codes change from window to window."""
    rng, t = np.random.default_rng(seed), np.arange(count)[:, None]
    return (
        rng.normal(size=(1, channels))
        + np.sin(t * rng.uniform(0.05, 0.6, channels)) * (1 + t / 40)
        + 0.3 * rng.normal(size=(count, channels))
    )


def same(found, expected):
    """The same events, bit for bit, but for the time they took."""
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert (one.start, one.end, one.scores, one.caption) == (other.start, other.end, other.scores, other.caption)
        assert one.placements == other.placements and one.skipped == other.skipped
        np.testing.assert_array_equal(one.codes, other.codes)
        if one.embedding is not None or other.embedding is not None:
            np.testing.assert_array_equal(one.embedding, other.embedding)


def splits(rng, count, most):
    """Random bounds from 0 to `count`, some of them double."""
    return np.unique(np.r_[0, rng.integers(0, count, most), count])


@pytest.mark.parametrize(
    ("rate", "worn", "units"),
    [
        (50, {"waist": 6}, ("g", "deg/s")),
        (51.2, {"left_wrist": 6, "head": 3}, ("m/s^2", "rad/s")),
        (60, {"right_pocket": 3}, ("mg", "rad/s")),
    ],
)
def test_events_equal_the_offline_answer_on_the_same_samples(folder, rate, worn, units):
    window, hop = 1.5, 0.75
    stream = AnyMoStream.from_pretrained(
        folder, placements=list(worn), sampling_rate=rate, acceleration_unit=units[0], angular_velocity_unit=units[1],
        window=window, hop=hop, labels=LABELS, captions=True, max_new_tokens=5,
    )  # fmt: skip
    scale = 1000 if units[0] == "mg" else 1
    signals = {name: scale * walk(220, channels, seed) for seed, (name, channels) in enumerate(worn.items())}
    events = stream.push(signals)
    extractor = anymo_hf.AnyMoFeatureExtractor.from_pretrained(folder)
    recognise, write = pipeline("zero-shot-imu-classification", model=folder), pipeline("imu-to-text", model=folder)
    loaded = anymo_hf.AnyMoModel.from_pretrained(folder), anymo_hf.AnyMoProcessor.from_pretrained(folder)
    size = round(window * rate)
    # halves up, by exact arithmetic
    starts = [floor(k * Fraction(hop) * Fraction(str(rate)) + Fraction(1, 2)) for k in range(99)]
    starts = [start for start in starts if start + size <= 220]
    assert len(events) == len(starts) > 2 and len({tuple(event.codes) for event in events}) > 1
    settings = {"sampling_rate": rate, "acceleration_unit": units[0], "angular_velocity_unit": units[1]}
    for start, event in zip(starts, events, strict=True):
        raw = {name: signal[start : start + size] for name, signal in signals.items()}
        features = extractor(raw, **settings, return_tensors="np")
        np.testing.assert_array_equal(event.codes, features["imu_codes"][0])
        assert list(event.placements) == features["imu_placements"][0]
        ranked = recognise({"imu": raw, **settings}, candidate_labels=LABELS)
        assert list(event.scores) == [row["label"] for row in ranked] and event.label == ranked[0]["label"]
        np.testing.assert_allclose(list(event.scores.values()), [row["score"] for row in ranked], rtol=1e-5)
        assert event.caption == write({"imu": raw, **settings}, max_new_tokens=5)[0]["generated_text"]
        np.testing.assert_allclose(
            event.embedding, anymo_hf.embed_recordings(*loaded, raw, **settings)[0].numpy(), atol=1e-6
        )
        assert event.start == pytest.approx(start / rate) and event.end == pytest.approx((start + size) / rate)
        assert 0 < event.latency < 60 and event.skipped == 0


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
@pytest.mark.parametrize("stamped", [False, True])
def test_how_samples_are_split_does_not_matter(parts, seed, stamped):
    rng = np.random.default_rng(seed)
    hop = float(rng.choice([0.3, 0.51, 1.0, 1.7]))
    stream = make(parts, ["waist", "head"], hop=hop, labels=LABELS[:2])
    signals = {"waist": walk(300), "head": walk(300, 3, 1)}
    stamps = 7 + np.arange(300) / 50 + rng.uniform(-0.004, 0.004, 300)
    whole = stream.push(signals, stamps if stamped else None) + stream.flush()
    assert len({tuple(event.codes) for event in whole}) > 1
    found = []
    places = {name: 0 for name in signals}
    while min(places.values()) < 300:
        # either may arrive first, by at most a window
        name = str(rng.choice(list(places)))
        other = "head" if name == "waist" else "waist"
        end = min(300, places[name] + int(rng.choice([0, 1, 7, 60])), places[other] + 50)
        cut = slice(places[name], end)
        found += stream.push({name: signals[name][cut]}, stamps[cut] if stamped else None)
        places[name] = end
    same(found + stream.flush(), whole)
    for step in splits(rng, 300, 40), range(301):  # together, the last sample by sample
        found = []
        for begin, end in zip(step[:-1], step[1:], strict=True):
            part = {name: signal[begin:end] for name, signal in signals.items()}
            found += stream.push(part, stamps[begin:end] if stamped else None)
        same(found + stream.flush(), whole)


def test_an_event_comes_with_the_very_sample_that_completes_its_window(parts):
    stream, signal = make(parts, window=1.3, hop=1.0), walk(400)
    given = {number: events for number, row in enumerate(signal, 1) if (events := stream.push(row[None]))}
    assert list(given) == [65, 115, 165, 215, 265, 315, 365]
    assert all(len(events) == 1 for events in given.values())


def test_hops_that_are_no_whole_number_of_samples_do_not_drift(parts):
    rate = 51.2
    starts = [event.start for event in make(parts, rate=rate, hop=1.0).push(walk(1000))]
    assert np.abs(np.array(starts) - np.arange(len(starts))).max() <= 0.5 / rate + 1e-9
    assert len(starts) == 19


def test_a_hop_may_leave_samples_out(parts):
    stream, signal = make(parts, hop=2.5), walk(420)
    events = [event for row in signal for event in stream.push(row[None])]
    assert [event.start for event in events] == [0.0, 2.5, 5.0]
    for event in events:
        start = round(50 * event.start)
        expected = parts[1].feature_extractor({"waist": signal[start : start + 50]}, sampling_rate=50)
        assert event.codes.tolist() == expected["imu_codes"][0]


@pytest.mark.slow
def test_memory_is_bounded_however_long_the_stream_and_the_push(parts, monkeypatch):
    stream = make(parts, ["waist", "head"], rate=100, hop=30.0)
    held = stream.buffer_bytes
    assert held == 2 * (2 * 100) * (6 + 1) * 8
    stamps, signal = np.arange(100) / 100, walk(100)

    def run(seconds, first):
        for number in range(seconds):
            stream.push({"waist": signal}, stamps + first + number)
            stream.push({"head": signal}, stamps + first + number)

    run(60, 0)
    gc.collect()
    tracemalloc.start()
    run(240, 60)
    gc.collect()
    grown, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert stream.buffer_bytes == held and grown < 50_000 and peak < 4_000_000, (grown, peak)
    stream.reset()
    big = np.zeros((200_000, 6))
    assert len(stream.push({"waist": big, "head": big})) == 67
    assert stream.buffer_bytes == held


def test_labels_are_embedded_once(parts, monkeypatch):
    model, calls = parts[0], []
    embed = model.get_text_features
    monkeypatch.setattr(model, "get_text_features", lambda **batch: calls.append(1) or embed(**batch))
    assert len(make(parts, labels=LABELS).push(walk(200))) > 3 and len(calls) == 1


def test_skip_works_out_the_newest_window_of_a_push(parts):
    signal = walk(300)
    every, stream = make(parts).push(signal), make(parts, on_lag="skip")
    first, second, third = stream.push(signal[:50]), stream.push(signal[50:180]), stream.push(signal[180:])
    assert [len(events) for events in (first, second, third)] == [1, 1, 1]
    found = [first[0], second[0], third[0]]
    assert [event.skipped for event in found] == [0, 5, 5] and len(every) == 13
    for event, number in zip(found, (0, 6, 12), strict=True):
        assert event.start == every[number].start
        np.testing.assert_array_equal(event.codes, every[number].codes)
    assert stream.push(signal[:0]) == [] and stream.flush() == []
    # one placement ahead of the other, and hops that overlap nothing
    pair, queue = (make(parts, ["waist", "head"], hop=1.1, on_lag=how) for how in ("skip", "queue"))
    pair.push({"waist": signal[:50]})
    (last,) = pair.push({"waist": signal[50:], "head": signal})
    expected = queue.push({"waist": signal, "head": signal})
    assert last.skipped == len(expected) - 1
    np.testing.assert_array_equal(last.codes, expected[-1].codes)


def test_flush_gives_the_rest_and_begins_anew(parts):
    stream, signal = make(parts, window=2.0, hop=1.0), walk(275)
    events = stream.push(signal)
    assert [event.end for event in events] == [2.0, 3.0, 4.0, 5.0]
    (rest,) = stream.flush()
    assert (rest.start, rest.end) == (4.0, 5.5)
    expected = parts[1].feature_extractor({"waist": signal[200:]}, sampling_rate=50)["imu_codes"][0]
    assert rest.codes.tolist() == expected
    assert stream.flush() == []
    same(stream.push(signal[:, :3]), make(parts, window=2.0, hop=1.0).push(signal[:, :3]))  # other channels by now
    assert make(parts, window=2.0, hop=1.0).flush() == []
    short = make(parts, window=2.0, hop=2.0)
    short.push(signal[:249])
    assert short.flush() == []  # 0.98 s


def test_a_pause_is_refused_or_starts_anew(parts):
    signal, stamps = walk(400), np.arange(400) / 50
    stamps[170:] += 0.5
    stamps[340:] += 30
    stream = make(parts)
    stream.push(signal[:160], stamps[:160])
    with pytest.raises(
        ValueError, match=r"'waist': timestamps .* pause for 0.520 s after 3.380 s; begin anew behind it \(reset\(\)\)"
    ):
        stream.push(signal[160:200], stamps[160:200])
    stream.push(signal[160:170], stamps[160:170])  # refused as a whole: these were not taken
    stream = make(parts, on_gap="reset")
    whole = stream.push(signal, stamps)
    expected = [
        event
        for begin, end in ((0, 170), (170, 340), (340, 400))
        for event in make(parts).push(signal[begin:end], stamps[begin:end])
    ]
    same(whole, expected)
    assert whole[-1].start == pytest.approx(stamps[340]) and whole[-1].end == pytest.approx(stamps[389] + 0.02)
    stream.reset()
    same([event for row, at in zip(signal, stamps, strict=True) for event in stream.push(row[None], [at])], expected)
    pair = make(parts, ["waist", "head"], on_gap="reset")
    both = pair.push({"waist": signal, "head": signal}, stamps)
    assert [event.start for event in both] == [event.start for event in whole]
    pair.reset()
    for name in ("waist", "head"):
        pair.push({name: signal[:10]}, stamps[:10])
    with pytest.raises(ValueError, match="pushed together"):
        pair.push({"waist": signal[340:350]}, stamps[340:350])


@pytest.mark.parametrize(
    ("stamps", "message"),
    [
        (np.arange(300) / 54, r"up to \d\.\d+ s say 54 Hz, sampling_rate=50 does not; correct it"),
        (np.arange(300) / 46, r"say 46 Hz"),
        (np.arange(300) * 20.0, r"timestamps \(in seconds\) pause for 20.000 s"),  # milliseconds
        (np.r_[np.arange(200) / 50, 3 + np.arange(100) / 50], r"go back from 3.980 to 3.000 s"),
        (np.zeros(300), "say inf Hz"),
        (np.full(300, np.nan), r"row 0 of this push is not finite"),
        (np.arange(299) / 50, r"must be \(n,\), one for each sample, got \(299,\)"),
        (["noon"] * 300, "must be numbers, in seconds"),
    ],
)
def test_time_stamps_that_cannot_be(parts, stamps, message):
    stream, signal = make(parts, window=3.0), walk(300)
    expected = stream.push(signal, np.arange(300) / 50)
    stream.reset()
    with pytest.raises(ValueError, match=message):
        stream.push(signal, stamps)
    same(stream.push(signal, np.arange(300) / 50), expected)


def test_a_wrong_rate_is_found_in_a_recording_shorter_than_a_window(parts):
    stream, signal = make(parts, window=3.0), walk(100)
    assert stream.push(signal, np.arange(100) / 25) == []
    with pytest.raises(ValueError, match="say 25 Hz, sampling_rate=50 does not"):
        stream.flush()
    stream.reset()
    stream.push(signal, np.arange(100) / 50)
    assert [event.end for event in stream.flush()] == [pytest.approx(2.0)]


def test_a_rate_that_drifts_is_found_before_an_event_is_given(parts):
    stamps = np.arange(150) / 50 * 1.06
    stream, given = make(parts, window=3.0), 0
    with pytest.raises(ValueError, match="say 47.17 Hz"):
        for row, at in zip(walk(150), stamps, strict=True):
            given += len(stream.push(row[None], [at]))
    assert given == 0
    jitter = np.arange(600) / 50 * 1.03 + np.random.default_rng(0).uniform(0, 0.01, 600)
    assert len(make(parts, window=3.0, hop=3.0).push(walk(600), jitter)) == 4


def test_placements_must_keep_step(parts):
    stream, signal, stamps = make(parts, ["waist", "head"]), walk(200), np.arange(200) / 50
    stream.push({"waist": signal[:40]}, stamps[:40])
    with pytest.raises(ValueError, match=r"'head' is \+2.000 s out of step with 'waist'"):
        stream.push({"head": signal[100:140]}, stamps[100:140])
    with pytest.raises(
        ValueError, match=r"'waist' would be 1.20 s ahead of 'head', more than a window; push 'head' too"
    ):
        stream.push({"waist": signal[40:60]}, stamps[40:60])
    assert len(stream.push({"head": signal[:40]}, stamps[:40])) == 0
    assert len(stream.push({"waist": signal[40:50], "head": signal[40:50]}, stamps[40:50])) == 1


@pytest.mark.parametrize(
    ("samples", "stamps", "message"),
    [
        ({"ankle": walk(5)}, None, "unknown placement 'ankle'; this stream has waist"),
        (walk(5)[:, :5], None, r"'waist': samples must be \(n, 6\) or, without a gyroscope, \(n, 3\), got \(5, 5\)"),
        (walk(5)[0], None, r"got \(6,\); one sample is one row"),
        ([["a"] * 6], None, "samples must be numbers"),
        (None, None, "samples must be"),
        (walk(5)[:, :3], None, r"'waist': 3 channels after 6; send the same ones, or reset\(\) first"),
        (np.r_[walk(3), np.full((1, 6), np.nan)], None, r"'waist': NaN or infinite value at 0.760 s \(row 3 of"),
        (np.r_[walk(9), np.full((1, 6), -np.inf)], None, r"value at 0.880 s \(row 9"),
        (walk(5), np.arange(5) / 50, "timestamps are new: give them with every push or with none"),
    ],
)
def test_bad_samples_are_refused_and_change_nothing(parts, samples, stamps, message):
    stream, signal = make(parts), walk(200)
    expected = make(parts).push(signal)
    found = stream.push(signal[:35])
    with pytest.raises(ValueError, match=message):
        stream.push(samples, stamps)
    same(found + stream.push(signal[35:]), expected)
    stream.reset()
    stream.push(signal[:35], np.arange(35) / 50)
    with pytest.raises(ValueError, match="timestamps are missing" if stamps is None else "go back"):
        stream.push(signal[:5], stamps)


def test_several_placements_need_names(parts):
    with pytest.raises(ValueError, match=r"must map placement -> \(n, 6\): this stream has waist, head"):
        make(parts, ["waist", "head"]).push(walk(5))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"placements": "tail"}, "unknown placement 'tail'"),
        ({"placements": []}, "placements must name each sensor once"),
        ({"placements": ["waist", "waist"]}, "placements must name each sensor once"),
        ({"placements": ["waist", "L5"]}, "same segment"),
        ({"rate": 4}, "sampling_rate must be 5 to 10,000 Hz, got 4"),
        ({"rate": "fast"}, "sampling_rate must be .* got 'fast'"),
        ({"rate": None}, "sampling_rate must be .* got None"),
        ({"window": 0.5}, "window must be at least 1 second, got 0.5"),
        ({"window": float("inf")}, "window must be"),
        ({"window": 7}, "window is 7 s, but the processor's max_window_seconds is 6"),
        ({"hop": 0}, "hop must be at least one sample, 0.02 s, got 0"),
        ({"hop": -1}, "hop must be"),
        ({"hop": float("nan")}, "hop must be"),
        ({"acceleration_unit": "ft/s^2"}, "acceleration_unit must be one of"),
        ({"angular_velocity_unit": "rpm"}, "angular_velocity_unit must be one of"),
        ({"labels": ["walking", "walking"]}, "names an activity twice"),
        ({"labels": [" "]}, "non-empty"),
        ({"on_lag": "drop"}, "on_lag must be 'queue' or 'skip', got 'drop'"),
        ({"on_gap": "fill"}, "on_gap must be 'raise' or 'reset', got 'fill'"),
        ({"max_gap": -1}, "max_gap must be"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
    ],
)
def test_bad_settings_are_refused(parts, settings, message):
    with pytest.raises(ValueError, match=message):
        make(parts, **settings)


def test_loading_refuses_what_does_not_fit(folder, parts):
    with pytest.raises(ValueError, match="unknown arguments .*'speed'"):
        AnyMoStream.from_pretrained(folder, placements="waist", sampling_rate=50, speed=1)
    with pytest.raises(ValueError, match="placements missing"):
        AnyMoStream.from_pretrained(folder, sampling_rate=50)
    with pytest.raises(ValueError, match="captions need AnyMoForConditionalGeneration, got AnyMoModel"):
        make((anymo_hf.AnyMoModel.from_pretrained(folder), parts[1]), captions=True)
    hand = AnyMoStream.from_pretrained(folder, placements="left_wrist", sampling_rate=50, wrist="hand", window=1.0)
    assert hand.push(walk(50))[0].placements == (14,)


def test_the_window_of_one_second_at_a_broken_rate(parts):
    (event,) = make(parts, rate=51.2, hop=9).push(walk(52))
    assert event.end == pytest.approx(52 / 51.2)  # 51 samples would be under a second


CODE = """
import sys
import numpy as np
from transformers.dynamic_module_utils import get_class_from_dynamic_module
stream_class = get_class_from_dynamic_module("streaming_anymo.AnyMoStream", sys.argv[1])
stream = stream_class.from_pretrained(sys.argv[1], placements="waist", sampling_rate=50, window=1.0, labels=["walking"])
assert "anymo_hf" not in sys.modules
print(len(stream.push(np.zeros((100, 6)))))
"""


@pytest.mark.slow
def test_it_travels_with_a_checkpoint(folder, tmp_path):
    done = fresh_python(CODE, folder, HF_MODULES_CACHE=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "2"
