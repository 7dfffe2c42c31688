"""Feature extractor: units, rates, placements, padding, code order, the saved folder and every refusal."""

import json
import warnings
from copy import deepcopy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoFeatureExtractor

import anymo_hf  # noqa: F401  (registers the Auto classes)
from anymo_hf.modeling.body_segments import SEGMENT_INDEX
from anymo_hf.modeling.configuration_anymo import AnyMoPQVAEConfig, AnyMoSTGCNConfig
from anymo_hf.modeling.feature_extraction_anymo import AnyMoFeatureExtractor, resample
from anymo_hf.modeling.imu_signal import ImuWarning
from anymo_hf.modeling.modeling_pqvae import AnyMoPQVAEModel
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNModel

G = 9.80665


def networks(**pqvae):
    return (
        AnyMoSTGCNModel(AnyMoSTGCNConfig.from_preset("nano")),
        AnyMoPQVAEModel(AnyMoPQVAEConfig.from_preset("nano", **pqvae)),
    )


@pytest.fixture(scope="module")
def extractor():
    torch.manual_seed(0)
    made = AnyMoFeatureExtractor(*networks())
    with torch.no_grad():  # encoder statistics and codes that tell windows apart
        made.stgcn.data_bn.running_var.fill_(20.0)
        made.stgcn.mask_token.normal_()
        worn = [{name: recording(8, seed=seed)} for seed, name in enumerate(("left_wrist", "waist", "head"))]
        imu, nodes, frames = made.prepare(worn, sampling_rate=60)
        rows = made.pqvae.project(made.stgcn(imu, nodes, frames).last_hidden_state).flatten(0, 1)
        made.pqvae.quantizer.initialise(rows, torch.Generator().manual_seed(0))
    return made


def recording(seconds=5.0, rate=60, seed=0):
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    frequency, phase = generator.uniform(0.5, 3, 6), generator.uniform(0, 6, 6)
    signal = np.sin(2 * np.pi * frequency * time[:, None] + phase)
    signal[:, 2] += G
    return signal


def test_prepare_places_samples_on_their_segment_and_masks_the_rest(extractor):
    a, b = recording(5), recording(3, seed=1)
    imu, nodes, frames = extractor.prepare([{"left_wrist": a}, {"head": b, "right_pocket": b}], sampling_rate=60)
    assert imu.shape == (2, 300, 23, 6) and imu.dtype == torch.float32
    torch.testing.assert_close(imu[0, :, SEGMENT_INDEX["L_Forearm"]], torch.tensor(a, dtype=torch.float32))
    assert nodes[0].nonzero().flatten().tolist() == [SEGMENT_INDEX["L_Forearm"]]
    assert nodes[1].nonzero().flatten().tolist() == [SEGMENT_INDEX["Head"], SEGMENT_INDEX["R_UpperLeg"]]
    assert frames.sum(1).tolist() == [300, 180] and not frames[1, 180:].any()
    assert imu[0, :, ~nodes[0]].abs().sum() == 0 and imu[1, 180:].abs().sum() == 0


@pytest.mark.parametrize("unit, metres", [("m/s^2", 1.0), ("g", G), ("mg", G / 1000)])
@pytest.mark.parametrize("turn, radians", [("rad/s", 1.0), ("deg/s", np.pi / 180)])
def test_units_reach_metres_and_radians(extractor, unit, metres, turn, radians):
    signal = recording()
    given = signal / np.array([metres] * 3 + [radians] * 3)
    imu, _, _ = extractor.prepare(
        {"chest": given}, sampling_rate=60, acceleration_unit=unit, angular_velocity_unit=turn
    )
    torch.testing.assert_close(imu[0, :, SEGMENT_INDEX["T8"]], torch.tensor(signal, dtype=torch.float32))


def test_a_missing_gyroscope_reads_zero(extractor):
    signal = recording()
    imu, _, _ = extractor.prepare({"waist": signal[:, :3]}, sampling_rate=60)
    node = imu[0, :, SEGMENT_INDEX["L5"]]
    torch.testing.assert_close(node[:, :3], torch.tensor(signal[:, :3], dtype=torch.float32))
    assert node[:, 3:].abs().sum() == 0


def test_arrays_with_placements_equal_the_mapping(extractor):
    signals = np.stack([recording(seed=2), recording(seed=3)], axis=1)
    expected = extractor.prepare({"left_wrist": signals[:, 0], "waist": signals[:, 1]}, sampling_rate=60)
    for got in (
        extractor.prepare(signals, ["left_wrist", "waist"], sampling_rate=60),
        extractor.prepare([torch.tensor(signals)], ["left_wrist", "waist"], sampling_rate=60),
    ):
        assert all(torch.equal(x, y) for x, y in zip(got, expected, strict=True))
    one = extractor.prepare(signals[:, 0], "left_wrist", sampling_rate=60)
    assert torch.equal(one[0], extractor.prepare({"left_wrist": signals[:, 0]}, sampling_rate=60)[0])


@pytest.mark.parametrize("rate", [20, 33.333, 50, 100, 250, 1000])
def test_resampling_keeps_a_slow_wave_at_its_time(rate):
    time = np.arange(round(6 * rate)) / rate
    out = resample(np.stack([np.sin(2 * np.pi * 1.5 * time), np.full(len(time), G)], axis=1), rate)
    assert len(out) == round(len(time) * 60 / rate)
    inside = slice(60, 300)
    expected = np.sin(2 * np.pi * 1.5 * np.arange(len(out)) / 60)
    assert np.abs(out[inside, 0] - expected[inside]).max() < 0.01
    assert np.abs(out[:, 1] - G).max() < 0.02  # a resting sensor stays at 1 g up to the edges


def test_resampling_removes_what_60_hz_cannot_carry():
    time = np.arange(1200) / 200
    out = resample(np.sin(2 * np.pi * 55 * time)[:, None], 200)  # would fold to 5 Hz
    assert np.abs(out[30:-30]).max() < 0.05


def test_codes_are_interleaved_in_time_with_the_books_own_ranges(extractor):
    imu, nodes, frames = extractor.prepare({"left_wrist": recording()}, sampling_rate=60)
    tokens, mask = extractor.encode(imu, nodes, frames)
    with torch.no_grad():
        codes = extractor.pqvae.encode(extractor.stgcn(imu, nodes, frames).last_hidden_state)
    size = extractor.pqvae.config.codebook_size
    assert tokens.shape == mask.shape == (1, 150) and mask.all()
    assert torch.equal(tokens[0, 0::2], codes[0, :, 0]) and torch.equal(tokens[0, 1::2], codes[0, :, 1] + size)


def test_a_batch_gives_the_codes_of_each_recording_alone(extractor):
    items = [{"left_wrist": recording(s, 50, seed=i)} for i, s in enumerate((5, 1, 2.7, 8))]
    items[2]["head"] = recording(2.7, 50, seed=9)
    together = extractor(items, sampling_rate=50, return_tensors="pt")
    assert len(together.imu_codes.unique()) > 40  # a collapsed tokenizer would make this test empty
    assert together.imu_codes.dtype == torch.long
    assert together.imu_placements[2] == [SEGMENT_INDEX["Head"], SEGMENT_INDEX["L_Forearm"]]
    for row, item in enumerate(items):
        alone = extractor(item, sampling_rate=50)
        length = int(together.imu_code_mask[row].sum())
        assert together.imu_codes[row, :length].tolist() == alone.imu_codes[0]
        assert together.imu_codes[row, length:].abs().sum() == 0
        assert all(alone.imu_code_mask[0])


def test_settings_are_plain_json_without_the_networks(extractor, tmp_path):
    assert json.loads(json.dumps(extractor.to_dict()))["wrist"] == "forearm"
    assert "wrist" in repr(extractor) and json.loads(extractor.to_json_string())["sampling_rate"] == 60
    deepcopy(extractor)
    extractor.save_pretrained(tmp_path)
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    # beside the code, which travels along
    written = [name for name in written if not name.endswith(".py")]
    assert written == ["imu_tokenizer/config.json", "imu_tokenizer/model.safetensors", "preprocessor_config.json"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_round_trip_is_exact(extractor, tmp_path, dtype):
    stgcn, pqvae = deepcopy(extractor.stgcn), deepcopy(extractor.pqvae)
    stgcn.to(dtype)
    pqvae.pre_quant.to(dtype)
    pqvae.decoder.to(dtype)
    saved = AnyMoFeatureExtractor(stgcn, pqvae, wrist="hand")
    saved.save_pretrained(tmp_path)
    loaded = AnyMoFeatureExtractor.from_pretrained(tmp_path)
    assert loaded.wrist == "hand"
    for part in ("stgcn", "pqvae"):
        was, now = getattr(saved, part).state_dict(), getattr(loaded, part).state_dict()
        assert set(was) == set(now)
        assert all(torch.equal(was[k], now[k]) and was[k].dtype == now[k].dtype for k in was)
    assert loaded.pqvae.quantizer.embedding.dtype == torch.float32
    item = {"left_wrist": recording()}
    assert loaded(item, sampling_rate=60).imu_codes == saved(item, sampling_rate=60).imu_codes


@pytest.mark.parametrize(
    "name", ["preprocessor_config.json", "imu_tokenizer/config.json", "imu_tokenizer/model.safetensors"]
)
@pytest.mark.parametrize("damage", ["missing", "cut", "noise"])
def test_missing_and_corrupt_files_are_refused(extractor, tmp_path, name, damage):
    extractor.save_pretrained(tmp_path)
    path = tmp_path / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"\x80\x04 not this" * 9)
    with pytest.raises((OSError, ValueError)):
        AnyMoFeatureExtractor.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda t: t.pop("stgcn.mask_token"), "mask_token"),
        (lambda t: t.update({"pqvae.extra": torch.zeros(1)}), "extra"),
        (lambda t: t.update({"other.weight": torch.zeros(1)}), "unexpected tensors.*other.weight"),
        (lambda t: t.update({"stgcn.mask_token": torch.zeros(7)}), "mask_token"),
    ],
)
def test_weights_that_do_not_fit_are_refused(extractor, tmp_path, change, message):
    extractor.save_pretrained(tmp_path)
    weights = tmp_path / "imu_tokenizer" / "model.safetensors"
    tensors = load_file(weights)
    change(tensors)
    save_file(tensors, weights)
    with pytest.raises(ValueError, match=message):
        AnyMoFeatureExtractor.from_pretrained(tmp_path)


def test_networks_that_do_not_fit_each_other_are_refused():
    with pytest.raises(ValueError, match="width 20, stgcn gives 48"):
        AnyMoFeatureExtractor(*networks(input_dim=20))


def test_networks_are_never_made_up():
    stgcn, pqvae = networks()
    for given, missing in (
        ({}, "stgcn and pqvae: .*from_pretrained"),
        ({"stgcn": stgcn}, "needs pqvae: "),
        ({"pqvae": pqvae}, "needs stgcn: "),
    ):
        with pytest.raises(ValueError, match=missing):
            AnyMoFeatureExtractor(**given)


def test_the_wrist_can_be_chosen_when_loading_and_is_saved_again(extractor, tmp_path):
    extractor.save_pretrained(tmp_path / "first")
    for load in (AnyMoFeatureExtractor, AutoFeatureExtractor):
        loaded = load.from_pretrained(tmp_path / "first", wrist="hand")
        assert loaded.wrist == "hand" and loaded.name_or_path == str(tmp_path / "first")
        _, nodes, _ = loaded.prepare({"left_wrist": recording()}, sampling_rate=60)
        assert nodes[0].nonzero().flatten().tolist() == [SEGMENT_INDEX["L_Hand"]]
    loaded.save_pretrained(tmp_path / "second")
    assert AnyMoFeatureExtractor.from_pretrained(tmp_path / "second").wrist == "hand"
    with pytest.raises(ValueError, match="wrist must be"):
        AnyMoFeatureExtractor.from_pretrained(tmp_path / "first", wrist="elbow")


def test_arguments_that_mean_nothing_are_refused_and_those_of_the_hub_are_not(extractor, tmp_path):
    extractor.save_pretrained(tmp_path)
    for load in (AnyMoFeatureExtractor, AutoFeatureExtractor):
        with pytest.raises(ValueError, match=r"unknown arguments \['writs'\].*wrist"):
            load.from_pretrained(tmp_path, writs="hand")
        load.from_pretrained(
            tmp_path, revision="main", token=None, cache_dir=tmp_path / "cache", local_files_only=True,
            force_download=False, trust_remote_code=False,
        )  # fmt: skip


def _with(value):
    signal = recording()
    signal[7, 2] = value
    return {"waist": signal}


GOOD = {"waist": recording()}


@pytest.mark.parametrize(
    "imu, settings, message",
    [
        ({"waist": np.zeros((300, 4))}, {}, r"recording 0, 'waist'.*\(T, 6\).*got \(300, 4\)"),
        ({"waist": np.zeros(300)}, {}, r"got \(300,\)"),
        ({"waist": [["a"] * 6] * 300}, {}, "must be numbers"),
        (_with(np.nan), {}, "NaN or infinite"),
        (_with(np.inf), {}, "NaN or infinite"),
        ({"waist": np.zeros((59, 6))}, {}, "59 samples at 60.*under one second"),
        ({"waist": np.zeros((0, 6))}, {}, "under one second"),
        ([GOOD, {"tail": recording()}], {}, "unknown placement 'tail'"),
        ({"waist": recording(), "L5": recording()}, {}, "same segment"),
        ({"waist": recording(), "head": recording(4)}, {}, "differ in length.*'head': 240"),
        (GOOD, {"acceleration_unit": "ft/s^2"}, "acceleration_unit.*m/s\\^2.*'ft/s\\^2'"),
        (GOOD, {"angular_velocity_unit": "rpm"}, "angular_velocity_unit.*'rpm'"),
        (GOOD, {"sampling_rate": 0}, "sampling_rate.*got 0"),
        (GOOD, {"sampling_rate": -50}, "sampling_rate.*got -50"),
        (GOOD, {"sampling_rate": 4.9}, "between 5 and 10,000"),
        (GOOD, {"sampling_rate": 10_001}, "between 5 and 10,000"),
        (GOOD, {"sampling_rate": float("nan")}, "between 5 and 10,000"),
        (GOOD, {"sampling_rate": "fast"}, "must be a number in Hz, got 'fast'"),
        (GOOD, {"sampling_rate": None}, "sampling_rate is missing"),
        (GOOD, {"samplingrate": 60}, r"unknown arguments \['samplingrate'\]; did you mean sampling_rate\?"),
        ([], {}, "empty"),
        ({}, {}, "without a sensor"),
        ([GOOD, {}], {}, "recording 1 is without a sensor"),
        (None, {}, "got None"),
        (recording(), {}, "placements is missing"),
        (recording(), {"placements": ["waist", "head"]}, r"\(T, 2, 6\)"),
        (np.zeros((300, 2, 6)), {"placements": ["waist", "waist"]}, "twice"),
    ],
)
def test_bad_input_is_refused_in_the_users_words(extractor, imu, settings, message):
    with pytest.raises(ValueError, match=message):
        extractor(imu, **{"sampling_rate": 60, **settings})


def test_an_unknown_wrist_option_is_refused():
    with pytest.raises(ValueError, match="wrist must be"):
        AnyMoFeatureExtractor(*networks(), wrist="elbow")


def test_a_size_that_no_body_feels_is_warned_about_once():
    extractor = AnyMoFeatureExtractor(*networks())
    still = np.tile([0, 0, 9.81, 0, 0, 0.5], (120, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        extractor.read({"waist": still}, sampling_rate=60)
        extractor.read({"waist": still / 9.81}, sampling_rate=60, acceleration_unit="G")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(2):
            extractor.read({"waist": still * 1670}, sampling_rate=60)
    kinds = [(item.category, str(item.message)) for item in said]
    assert [kind for kind, _ in kinds] == [ImuWarning, ImuWarning]
    assert (
        "raw counts" in kinds[0][1] and "acceleration_unit='m/s^2'" in kinds[0][1] and "angular velocity" in kinds[1][1]
    )


def test_a_misspelt_place_is_guessed_at(extractor):
    for wrong, right in (("left_wirst", "left_wrist"), ("wrist_left", "left_wrist"), ("rightpocket", "right_pocket")):
        with pytest.raises(ValueError, match=f"did you mean {right}?"):
            extractor.read({wrong: np.zeros((120, 6))}, sampling_rate=60)


@pytest.mark.parametrize("part", ["stgcn", "pqvae"])
def test_a_configuration_that_asks_for_tuples_changes_no_code(extractor, tmp_path, part):
    extractor.save_pretrained(tmp_path)
    path = tmp_path / "imu_tokenizer" / "config.json"
    config = json.loads(path.read_text())
    config[f"{part}_config"]["return_dict"] = False
    path.write_text(json.dumps(config))
    given = {"imu": {"left_wrist": recording(3)}, "sampling_rate": 60}
    assert AnyMoFeatureExtractor.from_pretrained(tmp_path)(**given) == extractor(**given)
