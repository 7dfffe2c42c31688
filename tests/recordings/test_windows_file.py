"""Windows files: what is written comes back, in SI units, with both splits; another file than written is refused."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.dataset_files import unimts_bundle

from anymo_hf.recordings import windows_file
from anymo_hf.recordings.catalogue import DATASETS
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.recordings.windows_file import available, describe, load_windows, read_windows_file, write_windows

LABELS = DATASETS["wisdm"].labels


def recording(person, label=0, seconds=2.0, place="left_wrist", start=7.25):
    signal = np.random.default_rng(abs(hash((person, label))) % 1000).normal(size=(int(50 * seconds), 6))
    return ImuRecording({place: signal}, 50.0, LABELS[label], label, person, "s1", "wisdm", start)


@pytest.fixture
def downloads(tmp_path, monkeypatch):
    """A data set with official splits, made of recordings."""
    parts = {"train": [recording(name) for name in "ab"], "test": [recording(name, 1) for name in "cdefghij"]}
    made = replace(
        DATASETS["wisdm"], window_seconds=None, splits_of=lambda folder: ("train", "test"), bundle=None,
        parse_split=lambda folder, split: iter(parts[split]),
    )  # fmt: skip
    monkeypatch.setitem(windows_file.DATASETS, "wisdm", made)
    (tmp_path / "data" / "wisdm").mkdir(parents=True)
    return tmp_path / "data", parts, made


def test_what_is_written_comes_back_with_both_splits(downloads, tmp_path):
    data, parts, _ = downloads
    found = read_windows_file(write_windows("wisdm", data / "wisdm", tmp_path / "out"))
    asked = [*parts["train"], *parts["test"]]
    assert found.paper_split == ("train",) * 2 + ("test",) * 8
    for ours, theirs in zip(found.recordings, asked, strict=True):
        assert (ours.subject, ours.label, ours.session, ours.start_time) == (
            theirs.subject, theirs.label, theirs.session, theirs.start_time)  # fmt: skip
        np.testing.assert_allclose(ours.signals["left_wrist"], theirs.signals["left_wrist"], rtol=1e-6)
    people = {part: {one.subject for one, p in zip(found.recordings, found.people_split, strict=True) if p == part}
              for part in ("train", "test")}  # fmt: skip
    assert len(people["test"]) == 3 and not people["test"] & people["train"]
    assert list(found.rows("paper")) == list(range(2, 10)) and list(found.rows("paper", "train")) == [0, 1]
    assert len(found.rows("all")) == 10 and "10 windows of 10 people" in describe(found)
    assert read_windows_file(write_windows("wisdm", data / "wisdm", tmp_path / "again")).sha256 == found.sha256
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["wisdm.parquet"]


def test_windows_of_the_bundle_bring_its_synonyms(downloads, tmp_path):
    assert load_windows("wisdm", downloads[0]).synonyms == ()
    signals = np.tile([0, 9.8, 0, 0, 0, 1], (2, 200, 1))
    unimts_bundle.write(tmp_path / "other" / "utd_mhad", "utd_mhad", signals / [1, 9.8, 1, 1, 1, 1], np.array([1, 17]))
    found = load_windows("utd_mhad", tmp_path / "other")
    assert found.synonyms == tuple(f"activity {number}" for number in range(27))
    assert len(found.synonyms) == len(DATASETS["utd_mhad"].labels)


def test_a_copy_without_the_papers_test_is_all_tested_and_says_so(downloads, tmp_path, monkeypatch):
    data, parts, made = downloads
    monkeypatch.setitem(windows_file.DATASETS, "wisdm", replace(made, paper_split=lambda window: ""))
    found = load_windows("wisdm", data)
    assert set(found.paper_split) == {"test"} and "nothing of the paper's test" in found.note


def test_openpack_sessions_have_the_challenges_splits():
    split = DATASETS["openpack"].paper_split
    of = {session: split(replace(recording(session[0]), subject=session[0], session=session[1]))
          for session in (("U0102", "S0300"), ("U0101", "S0300"), ("U0101", "S0100"), ("U0209", "S0500"))}  # fmt: skip
    assert list(of.values()) == ["test", "validation", "train", ""]


def test_one_person_has_no_split_by_people(downloads, tmp_path):
    data, parts, _ = downloads
    parts["test"][:] = [recording("a", 1)]
    parts["train"][:] = [recording("a")]
    found = load_windows("wisdm", data)
    with pytest.raises(ValueError, match="no test windows in the split 'people'.*one person"):
        found.rows("people")
    with pytest.raises(ValueError, match="no train windows in the split 'all'"):
        found.rows("all", "train")
    with pytest.raises(ValueError, match="split must be one of"):
        found.rows("mine")


def test_other_files_than_those_written_are_refused(downloads, tmp_path):
    data, _, _ = downloads
    path = write_windows("wisdm", data / "wisdm", tmp_path / "out")
    assert available(tmp_path / "out", ["uci_har", "wisdm"]) == ["wisdm"]
    with pytest.raises(ValueError, match="segments='worn', asked 'paper'"):
        load_windows("wisdm", tmp_path / "out", "paper")
    table = pq.read_table(path)
    changed = table.set_column(0, "subject", pa.array(["x"] * len(table)))
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(ValueError, match="not those that were written"):
        read_windows_file(path)
    pq.write_table(table.replace_schema_metadata({}), path)
    with pytest.raises(ValueError, match="not a windows file of this version"):
        read_windows_file(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="not a readable windows file.*write it again"):
        read_windows_file(path)
    path.rename(path.with_name("uci_har.parquet"))
    with pytest.raises(OSError, match="neither wisdm.parquet nor the folder"):
        load_windows("wisdm", tmp_path / "out")
