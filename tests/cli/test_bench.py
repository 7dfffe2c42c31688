"""`anymo make-mini-nymeria` and `anymo bench`: what a user sees."""

import json

import pandas as pd
import pytest

from anymo_hf import cli
from anymo_hf.nymeria import imu as nymeria_imu
from anymo_hf.nymeria.sequence import read_nymeria, sequence_folders

needs_vrs = pytest.mark.skipif(nymeria_imu._pyvrs() is None, reason="needs vrs: pip install vrs")


def _run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["anymo", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    printed = capsys.readouterr()
    return stop.value.code, printed.out, printed.err


@pytest.mark.slow
@needs_vrs
def test_mini_nymeria_has_the_asked_recordings_and_refuses_a_folder_in_use(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(nymeria_imu, "_aria", lambda: None)  # the light reader
    ask = ("make-mini-nymeria", tmp_path / "mini", "--people", 1, "--sessions", 2, "--seconds", 8)
    code, out, _ = _run(monkeypatch, capsys, *ask)
    assert code == 0 and "2 recordings of 1 people" in out
    folders = sequence_folders(tmp_path / "mini")
    assert len(folders) == 2
    for folder in folders:
        motion = read_nymeria(folder).motion
        assert 5 < len(motion.positions) / motion.frame_rate <= 8  # the one narration of 5 s that fits, and its fades
    assert len(pd.read_parquet(tmp_path / "mini" / "annotations.parquet")) > 0
    before = sorted(path.stat().st_mtime_ns for path in (tmp_path / "mini").rglob("*"))
    code, out, err = _run(monkeypatch, capsys, *ask)
    assert code == 2 and str(tmp_path / "mini") in err and "Traceback" not in err
    assert sorted(path.stat().st_mtime_ns for path in (tmp_path / "mini").rglob("*")) == before


def test_bench_labels_meet_every_published_total(monkeypatch, capsys):
    code, out, _ = _run(monkeypatch, capsys, "bench", "labels", "--json")
    rows = json.loads(out)
    assert code == 0 and len(rows) > 5
    assert not [row for row in rows if row["holds"] is False]
    assert {150, 154_695, 50} <= {row["published"] for row in rows}


def test_bench_statistics_of_a_folder_without_a_bench_is_refused_in_one_line(tmp_path, monkeypatch, capsys):
    code, out, err = _run(monkeypatch, capsys, "bench", "statistics", tmp_path)
    assert code == 2 and not out and str(tmp_path) in err and len(err.strip().splitlines()) == 1
