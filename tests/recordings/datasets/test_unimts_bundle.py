"""The UniMTS bundle: channel blocks, units and class texts of its ten datasets; broken bundles are refused."""

import zipfile

import numpy as np
import pytest
from support.dataset_files import unimts_bundle as files

from anymo_hf.modeling.body_segments import resolve_placement
from anymo_hf.recordings.datasets.unimts_bundle import BUNDLES, read_unimts_bundle, unimts_labels

G = 9.80665


def _numbered(blocks, width):
    """Two windows whose columns hold their number in hundredths, with gravity on the first axis of each block."""
    window = np.tile(np.arange(blocks * width) / 100, (40, 1))
    window[:, ::width] = 9.8
    return np.stack([window] * 2).astype(np.float32)


def test_all_ten_have_the_classes_of_table_9_and_known_placements():
    assert {name: bundle.classes for name, bundle in BUNDLES.items()} == {
        "opportunity": 4, "uci_har": 6, "w_har": 7, "realworld": 8, "tnda_har": 8, "pamap2": 12, "usc_had": 12,
        "wisdm": 18, "dsads": 19, "utd_mhad": 27,
    }  # fmt: skip
    for bundle in BUNDLES.values():
        assert all(resolve_placement(placement) >= 0 for placement in bundle.columns)


@pytest.mark.parametrize(
    ("name", "blocks", "width", "placements"),
    [
        ("pamap2", 3, 9, ["right_wrist", "right_ankle", "chest"]),  # not the order hand, chest, ankle of the files
        ("dsads", 5, 9, ["chest", "right_wrist", "left_wrist", "right_knee", "left_knee"]),
        ("tnda_har", 5, 6, ["right_forearm", "left_knee", "right_wrist", "left_ankle", "upper_back"]),
        ("realworld", 7, 6, list(BUNDLES["realworld"].columns)),
    ],
)
def test_blocks_in_si_units_go_to_their_placements(tmp_path, name, blocks, width, placements):
    files.write(tmp_path, name, _numbered(blocks, width), np.array([0, BUNDLES[name].classes - 1]))
    first, second = read_unimts_bundle(tmp_path, name)
    assert list(first.signals) == placements and first.sampling_rate == BUNDLES[name].rate
    for index, signal in enumerate(first.signals.values()):
        start = index * width
        expected = [9.8, *(np.arange(start + 1, start + 6) / 100)]
        np.testing.assert_allclose(signal, np.tile(expected, (40, 1)), rtol=1e-6)
    last = BUNDLES[name].classes - 1
    assert (second.label, second.label_id, second.subject) == (f"activity {last}", last, "")


def test_units_and_columns_of_the_others(tmp_path):
    window = np.zeros((1, 50, 45))
    window[..., 0::9], window[..., 3::9] = 1000, 500  # milli-g of 9.8, a thousandth of rad/s
    files.write(tmp_path, "opportunity", window, np.array([3]))
    (only,) = read_unimts_bundle(tmp_path, "opportunity")
    np.testing.assert_allclose(only.signals["left_forearm"][0], [9.8, 0, 0, 0.5, 0, 0])
    window = np.zeros((1, 128, 9))
    window[..., 0:3], window[..., 3:6], window[..., 7] = 7, 0.25, 1  # without gravity, gyroscope, total
    files.write(tmp_path, "uci_har", window, np.array([2]))
    (only,) = read_unimts_bundle(tmp_path, "uci_har")
    np.testing.assert_allclose(only.signals["waist"][0], [0, G, 0, 0.25, 0.25, 0.25])
    window = np.tile([0, 1, 0, 0, 90, 0], (2, 150, 1))
    files.write(tmp_path, "utd_mhad", window, np.array([20, 21]))
    assert [list(r.signals) for r in read_unimts_bundle(tmp_path, "utd_mhad")] == [["right_wrist"], ["right_thigh"]]
    for name in ("usc_had", "w_har"):
        files.write(tmp_path, name, window, np.array([0, 1]), split="train")
        signal = next(iter(next(read_unimts_bundle(tmp_path, name, "train")).signals.values()))
        np.testing.assert_allclose(signal[0], [0, G, 0, 0, np.pi / 2, 0])


def test_the_zip_is_read_in_place_and_words_are_joined(tmp_path):
    place = files.write(tmp_path, "wisdm", np.tile([0, 9.8, 0, 0, 0, 1], (2, 200, 1)), np.array([1, 17]))
    packed = tmp_path / "UniMTS_data.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in place.iterdir():
            archive.write(path, f"UniMTS_data/WISDM/{path.name}")
    assert [r.label_id for r in read_unimts_bundle(packed, "wisdm")] == [1, 17]
    assert unimts_labels(packed, "wisdm")[17] == "activity 17"


def _good():
    return np.tile([0, 1, 0, 0, 9, 0], (3, 100, 1)), np.array([0, 1, 2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[..., :5], y), "at least 6 columns.*; unpack the bundle again"),
        (lambda x, y: (x[0], y), r"expected \(windows"),
        (lambda x, y: (x, y[:2]), "3 windows, but .*y_test.npy holds 2 labels; unpack the bundle again"),
        (lambda x, y: (x, y + 10), "label 12 of window 2 is not 0 to 11; unpack the bundle again"),
        (lambda x, y: (x, y + 0.5), "label 0.5 of window 0"),
        (lambda x, y: (np.where(x == 9, np.nan, x), y), r"X_test.npy \[0\].*NaN"),
        (lambda x, y: (x * 9.8, y), "median acceleration at 'right_hip' is 96"),
        (lambda x, y: (np.roll(x, 3, axis=2), y), "median acceleration"),
    ],
)
def test_broken_arrays_are_refused(tmp_path, change, message):
    files.write(tmp_path, "usc_had", *change(*_good()))
    with pytest.raises(ValueError, match=message):
        list(read_unimts_bundle(tmp_path, "usc_had"))


def test_an_array_without_windows_is_refused(tmp_path):
    place = files.write(tmp_path, "usc_had", *_good())
    np.save(place / "X_test.npy", np.zeros((0, 100, 6)))
    with pytest.raises(ValueError, match="X_test.npy: .*; unpack the bundle again"):
        list(read_unimts_bundle(tmp_path, "usc_had"))


def test_missing_and_damaged_files_are_refused(tmp_path):
    with pytest.raises(OSError, match="USCHAD/USCHAD.json"):
        list(read_unimts_bundle(tmp_path, "usc_had"))
    place = files.write(tmp_path, "usc_had", *_good())
    with pytest.raises(OSError, match="USCHAD/X_train.npy"):
        list(read_unimts_bundle(tmp_path, "usc_had", "train"))
    with pytest.raises(ValueError, match="unknown dataset 'sims'"):
        list(read_unimts_bundle(tmp_path, "sims"))
    with pytest.raises(ValueError, match="split must be"):
        list(read_unimts_bundle(tmp_path, "usc_had", "val"))
    whole = (place / "X_test.npy").read_bytes()
    head = b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f8',\n"  # that ends amid its dict
    for broken in (whole[: len(whole) // 2], b"PK cut", b"", head):
        (place / "X_test.npy").write_bytes(broken)
        with pytest.raises(ValueError, match="X_test.npy: not a readable npy file"):
            list(read_unimts_bundle(tmp_path, "usc_had"))
    for target in ("nowhere.npy", "X_test.npy", "/dev/zero"):
        (place / "X_test.npy").unlink()
        (place / "X_test.npy").symlink_to(target)
        with pytest.raises(OSError, match="X_test.npy: .*; (unpack the bundle again|give a file)"):
            list(read_unimts_bundle(tmp_path, "usc_had"))
    (place / "X_test.npy").unlink()
    np.save(place / "X_test.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(ValueError, match="not a readable npy file of numbers"):
        list(read_unimts_bundle(tmp_path, "usc_had"))
    for text in ('{"label_dictionary": {"0": ["walk"]}}', '{"labels": []}', "{"):
        (place / "USCHAD.json").write_text(text)
        with pytest.raises(ValueError, match="USCHAD.json"):
            unimts_labels(tmp_path, "usc_had")
