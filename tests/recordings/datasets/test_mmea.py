"""UESTC-MMEA-CL: headerless counts, the folder's number is the class, COMODO's lists; broken clips are refused."""

import time
import zipfile

import numpy as np
import pytest
from support.dataset_files import mmea as files

from anymo_hf.recordings.datasets.mmea import _LINE, CLIPS, LABELS, read_mmea

G = 9.80665


@pytest.mark.filterwarnings("ignore:.*split is unknown")
def test_counts_become_si_units_and_the_first_row_is_kept(tmp_path):
    path = files.clip(tmp_path, "2_downstairs/2_downstairs_10")
    path.write_text("16384,0,0,0,0,1640\n" + path.read_text())
    files.clip(tmp_path, "2_downstairs/2_downstairs_9")
    ninth, tenth = read_mmea(tmp_path)
    assert [r.session for r in (ninth, tenth)] == ["2_downstairs/2_downstairs_9", "2_downstairs/2_downstairs_10"]
    assert (tenth.label, tenth.label_id, tenth.sampling_rate) == ("downstairs", 1, 25)
    assert tenth.signals["head"].shape == (61, 6)
    np.testing.assert_allclose(tenth.signals["head"][0], [G, 0, 0, 0, 0, np.deg2rad(100)])
    np.testing.assert_allclose(tenth.signals["head"][1], [0, -G, 0, np.deg2rad(10), 0, 0])


def test_lists_choose_clips_and_the_folder_overrules_their_label(tmp_path):
    assert len(LABELS) == len(set(LABELS)) == 32 and CLIPS == {"train": 4552, "val": 652, "test": 1315}
    for where in ("25_type_phone/a_1", "25_type_phone/a_2", "1_upstairs/b_1"):
        files.clip(tmp_path, where)
    (tmp_path / "test.txt").write_text(files.line("25_type_phone/a_1", 26) + files.line("1_upstairs/b_1", 0))
    (tmp_path / "train.txt").write_text(files.line("25_type_phone/a_2", 24))
    assert [(r.label, r.label_id) for r in read_mmea(tmp_path)] == [("upstairs", 0), ("type phone", 24)]
    assert [r.session for r in read_mmea(tmp_path, "train")] == ["25_type_phone/a_2"]
    (tmp_path / "test.txt").write_text(files.line("25_type_phone/a_1", 26) + "yourdataset_path/data/1_up\n")
    with pytest.raises(ValueError, match=r"test\.txt, line 2: .* is cut off"):
        list(read_mmea(tmp_path))


@pytest.mark.filterwarnings("ignore:.*split is unknown")
def test_a_zip_is_read_in_place(tmp_path):
    path = files.clip(tmp_path / "loose", "32_watch_TV/x")
    with zipfile.ZipFile(tmp_path / "UESTC-MMEA-CL.zip", "w") as archive:
        archive.write(path, "UESTC-MMEA-CL/sensor/32_watch_TV/x.csv")
    (only,) = read_mmea(tmp_path / "UESTC-MMEA-CL.zip")
    assert only.label == "watch TV" and only.source.endswith("sensor/32_watch_TV/x.csv")


@pytest.mark.parametrize(
    ("where", "text", "message"),
    [
        ("1_upstairs/a", "accx,accy,accz,gx,gy,gz\n0,0,16384,0,0,0\n", "text where numbers belong"),
        ("1_upstairs/a", "0,0,16384,0,0\n", "5 columns instead of 6"),
        ("1_upstairs/a", "0,0,16384,0,0,0\n0,0,163", "line 2: 3 columns instead of 6"),
        ("1_upstairs/a", "", "holds no row of numbers"),
        ("1_upstairs/a", "0.01,0,9.81,0,0,0\n", "no 16-bit counts"),
        ("1_upstairs/a", "0,0,90000,0,0,0\n", "no 16-bit counts"),
        ("1_upstairs/a", "0,0,2048,0,0,0\n" * 60, "median acceleration at 'head'"),
        ("33_juggling/a", "0,0,16384,0,0,0\n", "must read <1..32>_<name>"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*split is unknown")
def test_broken_clips_are_refused(tmp_path, where, text, message):
    path = files.clip(tmp_path, where)
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        list(read_mmea(tmp_path))
    assert str(path) in str(caught.value)


def test_a_folder_without_clips_is_refused(tmp_path):
    with pytest.raises(OSError, match="sensor/<number>_<name>/<clip>.csv"):
        list(read_mmea(tmp_path))


@pytest.mark.filterwarnings("ignore:.*split is unknown")
def test_a_line_without_end_is_no_list_and_takes_no_time(tmp_path):
    files.clip(tmp_path, "25_type_phone/a_1")
    (tmp_path / "test.txt").write_text("a" * 70_000 + "/b 1 2 3\n")
    started = time.process_time()
    assert [r.label for r in read_mmea(tmp_path)] == ["type phone"]
    (tmp_path / "test.txt").write_text(files.line("25_type_phone/a_1", 24) + "a" * 70_000)
    with pytest.raises(ValueError, match=r"test\.txt, line 2: 'a+' is cut off"):
        list(read_mmea(tmp_path))
    assert time.process_time() - started < 2


def test_a_line_names_the_last_two_parts_of_its_path_and_a_long_one_takes_no_time():
    for path in ("a_1/b_1", "x/y/a_1/b_1", "/data/a_1/b_1.csv", "a_1/b_1.csv"):
        assert _LINE.fullmatch(f"{path} 0 61 7").group("key", "value") == ("a_1/b_1", "7")
    began = time.process_time()
    assert not _LINE.match("a" * 200_000) and not _LINE.match("a/" * 100_000)
    assert time.process_time() - began < 1
