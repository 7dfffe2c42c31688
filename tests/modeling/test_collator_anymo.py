"""`processor.pad`, `processor.from_row` and `AnyMoCollator`: one batch from rows of any kind, equal to a plain call."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import DataCollatorWithPadding

from anymo_hf import AnyMoCollator
from anymo_hf.evaluation.bench_statistics import CHANNELS
from anymo_hf.modeling.processing_anymo import BENCH_SENSORS

RNG = np.random.default_rng(0)
LONG, SHORT = RNG.normal(size=(200, 6)), RNG.normal(size=(90, 6))


@pytest.fixture(scope="module")
def processor(tiny_parts):
    return tiny_parts[1]


@pytest.fixture(scope="module")
def expected(processor):
    """What one call makes of both windows."""
    return processor(imu=[{"waist": LONG}, {"head": SHORT}], sampling_rate=50, return_tensors="pt")


def one(processor, place, signal):
    return {name: value[0] for name, value in processor(imu={place: signal}, sampling_rate=50).items()}


def equal(batch, expected):
    assert set(batch) - {"labels"} == set(expected)
    for name, value in expected.items():
        assert torch.equal(batch[name], value), name


def test_rows_of_every_kind_are_the_batch_of_one_call(processor, expected):
    tokens = [one(processor, "waist", LONG) | {"label": 1}, one(processor, "head", SHORT) | {"label": 0}]
    raw = [
        {"imu": {"waist": LONG}, "sampling_rate": 50, "labels": 1, "person": "ann"},
        {"imu": {"head": SHORT}, "sampling_rate": 50, "labels": 0, "person": "ben"},
    ]
    parts = [
        processor.feature_extractor({place: x}, sampling_rate=50) for place, x in (("waist", LONG), ("head", SHORT))
    ]
    codes = [
        {"imu_codes": part["imu_codes"][0], "imu_placements": part["imu_placements"][0], "labels": 1 - n}
        for n, part in enumerate(parts)
    ]
    for rows in (tokens, raw, codes):
        batch = AnyMoCollator(processor)(rows)
        equal(batch, expected)
        assert batch["labels"].tolist() == [1, 0]


def test_padded_rows_and_transformers_own_collators_do_too(processor, expected):
    whole = {name: value.tolist() for name, value in expected.items()}
    equal(processor.pad(whole), expected)
    rows = Dataset.from_dict(whole | {"labels": [2, 3]})
    equal(AnyMoCollator(processor)(list(rows)), expected)
    made = DataCollatorWithPadding(processor)([one(processor, "waist", LONG), one(processor, "head", SHORT)])
    equal(made, expected)
    wide = processor.pad(whole, pad_to_multiple_of=64, return_tensors="np")
    assert wide["imu_input_ids"].shape[1] % 64 == 0
    length = expected["imu_input_ids"].shape[1]
    assert (wide["imu_input_ids"][:, length:] == processor.tokenizer.pad_token_id).all()
    assert not wide["imu_attention_mask"][:, length:].any()


def test_more_windows_than_one_pass_give_what_each_gives_alone(processor):
    windows = [{"waist": RNG.normal(size=(80 + 7 * (n % 3), 6))} for n in range(70)]
    together = processor.feature_extractor(windows, sampling_rate=50, return_tensors="np")
    assert together["imu_codes"].shape[0] == 70
    for row in (0, 64, 69):
        alone = processor.feature_extractor(windows[row], sampling_rate=50)["imu_codes"][0]
        np.testing.assert_array_equal(together["imu_codes"][row][together["imu_code_mask"][row] == 1], alone)


def test_a_row_of_a_built_data_set_goes_in_by_one_call(processor):
    imu = RNG.normal(size=(300, 18))
    imu[:, 6:12] = 0  # no left watch
    assert [name.rsplit("_", 2)[0] for name in CHANNELS[::6]] == list(BENCH_SENSORS)
    bench = processor.from_row({"imu": imu.tolist(), "label": "cooking", "label_id": 4})
    plain = processor(imu={"head": imu[:, :6], "right_wrist": imu[:, 12:]}, sampling_rate=60)
    assert bench == {name: value[0] for name, value in plain.items()} | {"labels": 4}
    zero_shot = {
        "placements": ["waist"],
        "waist": LONG,
        "left_wrist": np.zeros((0, 6)),
        "sampling_rate": 50.0,
        "label": 2,
    }
    assert processor.from_row(zero_shot) == one(processor, "waist", LONG) | {"labels": 2}
    view = {"Head": SHORT, "Pelvis": np.zeros((0, 6)), "texts": ["walks"]}
    made = {name: value[0] for name, value in processor(imu={"Head": SHORT}, sampling_rate=60).items()}
    assert processor.from_row(view) == made
    rows = Dataset.from_list([{"imu": imu.tolist(), "label": "cooking", "label_id": 4}])
    batch = AnyMoCollator(processor)(list(rows.map(processor.from_row, remove_columns=["imu"])))
    assert batch["labels"].tolist() == [4] and batch["imu_input_ids"].shape == (1, len(bench["imu_input_ids"]))


def test_rows_of_a_dataset_may_be_worn_on_different_places(processor):
    rows = [{"imu": {place: SHORT}, "sampling_rate": 60, "labels": 0} for place in ("waist", "left_wrist")]
    held = list(Dataset.from_list([{**row, "imu": {k: v.tolist() for k, v in row["imu"].items()}} for row in rows]))
    assert set(held[0]["imu"]) == {"waist", "left_wrist"} and held[0]["imu"]["left_wrist"] is None
    for windows in (False, True):
        collate = AnyMoCollator(processor, return_windows=windows)
        for name, value in collate(rows).items():
            torch.testing.assert_close(collate(held)[name], value)


def test_truths_are_two_classes_and_rows_of_them_many(processor):
    row, collate = one(processor, "waist", LONG), AnyMoCollator(processor)
    torch.testing.assert_close(
        collate([row | {"labels": True}, row | {"labels": False}])["labels"], torch.tensor([1, 0])
    )
    many = collate([row | {"labels": [True, False]}, row | {"labels": [True, True]}])["labels"]
    torch.testing.assert_close(many, torch.tensor([[1.0, 0.0], [1.0, 1.0]]))


def test_what_is_no_row_is_refused(processor):
    with pytest.raises(ValueError, match="at least one row"):
        AnyMoCollator(processor)([])
    with pytest.raises(ValueError, match="imu_input_ids, imu_codes or imu"):
        AnyMoCollator(processor)([{"signal": LONG}])
    with pytest.raises(ValueError, match="'cooking' is text"):
        AnyMoCollator(processor)([one(processor, "waist", LONG) | {"label": "cooking"}])
    row = one(processor, "waist", LONG)
    for rows in (
        [row, row | {"labels": 1}],
        [row | {"labels": 1}, row],
        [row | {"labels": 1.0}, row | {"labels": np.nan}],
    ):
        with pytest.raises(ValueError, match="row [01] of the batch has labels (None|NaN); leave out rows"):
            AnyMoCollator(processor)(rows)
    with pytest.raises(ValueError, match="'colour' is no model input"):
        processor.pad([{"imu_input_ids": [1], "colour": 3}])
    with pytest.raises(ValueError, match="columns of the first one"):
        processor.pad([{"imu_input_ids": [1]}, {"imu_attention_mask": [1]}])
    with pytest.raises(ValueError, match="padding must be True"):
        processor.pad([{"imu_input_ids": [1]}], padding=False)
    with pytest.raises(ValueError, match=r"must be \(T, 18\)"):
        processor.from_row({"imu": LONG})
    with pytest.raises(ValueError, match="none of them zero"):
        processor.from_row({"placements": ["waist"], "waist": np.zeros((100, 6))})


def test_raw_windows_are_worn_turned_for_training(processor):
    rows = [{"imu": {"waist": LONG}, "sampling_rate": 50}, {"imu": {"head": SHORT}, "sampling_rate": 50}]
    plain = AnyMoCollator(processor, return_windows=True)(rows)
    turned = AnyMoCollator(processor, return_windows=True, degrees=180)(rows)
    assert set(turned) == set(plain)
    lengths = [batch["imu"].unflatten(-1, (2, 3)).norm(dim=-1) for batch in (plain, turned)]
    torch.testing.assert_close(*lengths)
    assert not torch.allclose(plain["imu"], turned["imu"], atol=0.1)
    for settings in ({"degrees": 15}, {"return_windows": True, "degrees": 190}, {"degrees": "15"}):
        with pytest.raises(ValueError, match="degrees must be a number between 0 and 180 and needs return_windows"):
            AnyMoCollator(processor, **settings)
    with pytest.raises(ValueError, match="row 1 of the batch has label None; leave out"):
        AnyMoCollator(processor)([rows[0] | {"label": 1}, rows[1] | {"label": None}])
