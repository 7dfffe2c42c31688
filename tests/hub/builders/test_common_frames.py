"""Columns of signals of one length say so in their type, and files without it are still read."""

import numpy as np
import pytest
from datasets import Array2D, Dataset, Features, Value, load_dataset

from anymo_hf.hub.builders.parquet_repository import SplitFiles, common_frames, fill_card, with_frames, write_split

COLUMNS = Features(
    {"name": Value("string"), "wrist": Array2D((None, 6), "float32"), "hip": Array2D((None, 6), "float32")}
)


def rows(*lengths):
    """Rows whose wrist has 30 frames, and the hip as many as asked for."""
    rng = np.random.default_rng(0)
    made = [
        {"name": str(number), "wrist": rng.normal(size=(30, 6)), "hip": rng.normal(size=(length, 6))}
        for number, length in enumerate(lengths)
    ]
    return Dataset.from_list(made, features=COLUMNS)


def test_only_lengths_that_all_rows_of_all_splits_have_are_found():
    assert common_frames({"train": rows(20, 20), "test": rows(20)}) == {"wrist": 30, "hip": 20}
    assert common_frames({"train": rows(20, 20), "test": rows(19)}) == {"wrist": 30}
    assert common_frames({"train": rows(20, 0)}) == {"wrist": 30}
    assert common_frames({"train": rows(0, 0)}) == {"wrist": 30}  # an empty column holds no signal to be read


@pytest.mark.parametrize("told", ["lengths in files and card", "an old card", "an old file"])
def test_load_dataset_gives_the_same_numbers_in_one_array(tmp_path, told):
    made = rows(20, 19, 20)
    frames = common_frames({"test": made})
    write_split(made, tmp_path / "data" / "views", "test", None, {} if told == "an old file" else frames)
    files = SplitFiles("data/views/test-*.parquet", 3, 1, {} if told == "an old card" else frames)
    card = fill_card(
        "anymo_synthetic", "t", "mit", [], {"views": {"test": files}}, {"views": COLUMNS}, "s", [], [], ("other",)
    )
    (tmp_path / "README.md").write_text(card)
    loaded = load_dataset(str(tmp_path), "views", split="test", cache_dir=str(tmp_path / "cache"))
    expected = COLUMNS if told == "an old card" else with_frames(COLUMNS, {"wrist": 30})
    assert loaded.features == expected and loaded.features["hip"].shape == (None, 6)
    shaped, source = loaded.with_format("numpy"), made.with_format("numpy")
    assert shaped[:]["wrist"].shape == (3, 30, 6)
    np.testing.assert_array_equal(shaped[:]["wrist"], source[:]["wrist"])
    for got, given in zip(shaped[:]["hip"], source[:]["hip"], strict=True):
        np.testing.assert_array_equal(got, given)
    streamed = load_dataset(str(tmp_path), "views", split="test", streaming=True).with_format("numpy")
    np.testing.assert_array_equal(next(streamed.iter(3))["wrist"], source[:]["wrist"])
