"""PAMAP2: its 54 columns as UCI gives them, nested zips included; every broken variant is refused."""

import tracemalloc
import zipfile

import numpy as np
import pytest
from support.dataset_files import pamap2 as files

from anymo_hf.recordings.catalogue import read_windows
from anymo_hf.recordings.datasets.pamap2 import LABELS, PAPER_SEGMENTS, read_pamap2


def test_channels_labels_and_clock(tmp_path):
    transient = files.rows(2, activity=0, start=17.0)
    files.write(tmp_path, [files.rows(), transient, files.rows(6, activity=24, start=19.0)])
    files.write(tmp_path, [files.rows(activity=10)], where="Optional")  # computer work, another protocol
    sit, jump = read_pamap2(tmp_path)
    assert (sit.label, sit.label_id, jump.label, sit.subject) == ("sitting", 2, "rope jumping", "101")
    assert sit.start_time == pytest.approx(5.0) and jump.start_time == pytest.approx(19.0)
    assert {name: signal.shape for name, signal in sit.signals.items()} == {
        "right_wrist": (1200, 6), "chest": (1200, 6), "right_ankle": (1200, 6),
    }  # fmt: skip
    for unit, name in enumerate(("right_wrist", "chest", "right_ankle")):
        expected = np.zeros(6)
        expected[unit], expected[3] = 9.7, 0.1 * (unit + 1)
        np.testing.assert_allclose(sit.signals[name][7], expected)
    assert len(LABELS) == 12


def test_dominant_side_and_the_papers_segments(tmp_path):
    files.write(tmp_path, [files.rows()], subject=108)
    (left,) = read_pamap2(tmp_path)
    assert list(left.signals) == ["left_wrist", "chest", "left_ankle"]
    windows = list(read_windows("pamap2", tmp_path, segments="paper"))
    assert [list(w.signals) for w in windows] == [["R_Hand", "T8", "R_Foot"]] * 2
    assert windows[1].start_time == pytest.approx(10.0) and set(PAPER_SEGMENTS) >= set(left.signals)


def test_short_losses_are_interpolated_and_long_ones_split(tmp_path):
    table = files.rows()
    table[:, 10] = np.arange(1200) / 100  # the wrist's gyroscope counts seconds
    table[300:308, 3:20] = np.nan  # 0.09 s of the wrist alone
    table[600:700, 20:37] = np.nan  # a second of the chest
    files.write(tmp_path, [np.delete(table, slice(900, 950), axis=0)])  # half a second not written at all
    parts = list(read_pamap2(tmp_path))
    assert [len(part.signals["chest"]) for part in parts] == [600, 200, 250]
    assert [round(part.start_time, 2) for part in parts] == [5.0, 12.0, 14.5]
    np.testing.assert_allclose(parts[0].signals["right_wrist"][:, 3], np.arange(600) / 100, atol=1e-9)


def test_the_zip_of_uci_is_read_in_place(tmp_path):
    path = files.write(tmp_path / "plain", [files.rows()])
    inner = tmp_path / "PAMAP2_Dataset.zip"
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "PAMAP2_Dataset/Protocol/subject101.dat")
        archive.writestr("__MACOSX/PAMAP2_Dataset/Protocol/subject101.dat", "junk")
    outer = tmp_path / "uci" / "pamap2+physical+activity+monitoring.zip"
    outer.parent.mkdir()
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(inner, "PAMAP2_Dataset.zip")
    for folder in (outer, outer.parent):
        (packed,) = read_pamap2(folder)
        np.testing.assert_array_equal(packed.signals["chest"], next(read_pamap2(tmp_path / "plain")).signals["chest"])
        assert packed.source.endswith("PAMAP2_Dataset.zip/PAMAP2_Dataset/Protocol/subject101.dat")


def _cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def _narrow(path):
    np.savetxt(path, files.rows()[:, :53])


def _text(path):
    path.write_text(path.read_text().replace("9.7", "oops", 1))


def _in_g(path):
    np.savetxt(path, files.rows() * np.where(np.isin(np.arange(54), [4, 5, 6, 21, 22, 23, 38, 39, 40]), 1 / 9.80665, 1))


def _in_degrees(path):
    table = files.rows()
    table[:, 10] = 300 * np.sin(np.arange(len(table)))
    np.savetxt(path, table)


def _swapped(path):
    table = files.rows()
    table[:, [4, 5, 6, 10, 11, 12]] = table[:, [10, 11, 12, 4, 5, 6]]
    np.savetxt(path, table)


def _backward(path):
    table = files.rows()
    table[500:, 0] -= 3
    np.savetxt(path, table)


def _milliseconds(path):
    table = files.rows()
    table[:, 0] *= 1000
    np.savetxt(path, table)


def _silent(path):
    table = files.rows()
    table[:, 21] = np.nan
    np.savetxt(path, table)


def _unlabelled(path):
    table = files.rows()
    table[700, 1] = np.nan
    np.savetxt(path, table)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_cut, r"line 1200: \d+ columns instead of 54; the file is cut off"),
        (_narrow, "line 1: 53 columns instead of 54"),
        (_text, "text where numbers belong"),
        (_in_g, "median acceleration at 'chest' is 0.989"),
        (_in_degrees, "angular velocity at 'right_wrist' is .* degrees a second"),
        (_swapped, "accelerometer and gyroscope are swapped"),
        (_backward, "row 501 lies before"),
        (_milliseconds, "another unit of time"),
        (_silent, "no number in a column of chest"),
        (_unlabelled, "row 701 has no label"),
    ],
)
def test_broken_files_are_refused_by_name(tmp_path, spoil, message):
    spoil(files.write(tmp_path, [files.rows()]))
    with pytest.raises(ValueError, match=message) as caught:
        list(read_pamap2(tmp_path))
    assert "subject101.dat" in str(caught.value)


def test_another_dataset_in_the_folder_is_refused(tmp_path):
    (tmp_path / "S1-ADL1.dat").write_text("1 2 3\n")
    with pytest.raises(OSError, match=r"no Protocol/subject10\*.dat found; .* into which PAMAP2 came"):
        list(read_pamap2(tmp_path))
    with pytest.raises(OSError, match="neither a folder nor a complete zip"):
        list(read_pamap2(tmp_path / "nothing"))


def test_a_person_who_never_rests_passes(tmp_path):
    table = files.rows(20, activity=24)  # subject 109 has only rope jumping
    table[:, [4, 22, 40]] = 12 + 9 * np.sin(np.arange(2000) * 0.2)[:, None]
    files.write(tmp_path, [table], subject=109)
    assert [recording.label for recording in read_pamap2(tmp_path)] == ["rope jumping"]


def test_memory_does_not_grow_with_the_number_of_people(tmp_path):
    peaks = []
    for people in (1, 4):
        for person in range(people):
            files.write(tmp_path, [files.rows(30)], 101 + person)
        tracemalloc.start()
        assert sum(1 for _ in read_pamap2(tmp_path)) == people
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
