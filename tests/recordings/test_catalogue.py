"""Registration: class counts and scores of the paper, the UniMTS route, counts beside the published ones."""

import json
import shutil

import numpy as np
import pytest

from anymo_hf.modeling.body_segments import SEGMENTS, resolve_placement
from anymo_hf.recordings.catalogue import DATASETS, read_windows
from anymo_hf.recordings.datasets.wisdm import LABELS, read_wisdm
from anymo_hf.recordings.imu_recording import ImuRecording

TABLE_1 = {  # dataset -> classes, accuracy of AnyMo and of UniMTS
    "opportunity": (4, 59.4, 45.9), "uci_har": (6, 56.5, 35.2), "w_har": (7, 57.4, 59.0), "realworld": (8, 48.4, 43.6),
    "tnda_har": (8, 59.4, 59.1), "ego_exo4d": (8, 30.2, 23.1), "openpack": (10, 13.1, 11.5), "pamap2": (12, 52.6, 47.2),
    "usc_had": (12, 27.7, 30.5), "wisdm_watch": (18, 25.4, 27.8), "dsads": (19, 36.3, 31.5), "utd_mhad": (27, 16.3, 22.8),
    "ego4d": (31, 8.6, 3.7), "mmea": (32, 8.1, 6.1),
}  # fmt: skip


def test_the_fourteen_datasets_of_the_paper():
    scored = {name: info for name, info in DATASETS.items() if info.paper_anymo}
    found = {n: (len(set(i.labels)), i.paper_anymo[0], i.paper_unimts[0]) for n, i in scored.items()}
    assert found == TABLE_1
    for place, (ours, unimts) in enumerate([(35.7, 31.9), (29.5, 26.4), (57.5, 46.9)]):  # the table's averages
        assert np.mean([info.paper_anymo[place] for info in scored.values()]) == pytest.approx(ours, abs=0.051)
        assert np.mean([info.paper_unimts[place] for info in scored.values()]) == pytest.approx(unimts, abs=0.051)
    for info in DATASETS.values():
        for placement, segment in info.paper_segments.items():
            resolve_placement(placement)
            assert segment in SEGMENTS


def test_wisdm_watch_has_all_eighteen_activities(tmp_path):
    for kind in ("accel", "gyro"):
        folder = tmp_path / "wisdm-dataset" / "raw" / "watch" / kind
        folder.mkdir(parents=True)
        lines = [
            f"1600,{letter},{int((100 * block + i / 20) * 1e9)},{i / 20},9.8,0;\n"
            for block, letter in enumerate("ABCDEFGHIJKLMOPQRS")
            for i in range(120)
        ]
        (folder / f"data_1600_{kind}_watch.txt").write_text("".join(lines))
    windows = list(read_windows("wisdm_watch", tmp_path))
    assert [w.label for w in windows] == list(DATASETS["wisdm_watch"].labels) == list(LABELS.values())
    assert [w.label_id for w in windows] == list(range(18))
    assert all(list(w.signals) == ["right_wrist"] and len(w.signals["right_wrist"]) == 100 for w in windows)
    with pytest.raises(OSError, match="raw/phone"):
        list(read_wisdm(tmp_path))
    shutil.make_archive(str(tmp_path / "inner" / "wisdm-dataset"), "zip", tmp_path, "wisdm-dataset")
    shutil.make_archive(str(tmp_path / "outer"), "zip", tmp_path / "inner")  # as UCI packs it
    packed = list(read_windows("wisdm_watch", tmp_path / "outer.zip"))
    assert [w.label for w in packed] == [w.label for w in windows]
    np.testing.assert_array_equal(packed[17].signals["right_wrist"], windows[17].signals["right_wrist"])


def test_the_bundle_is_a_second_route(tmp_path):
    folder = tmp_path / "realworld" / "realworld"
    folder.mkdir(parents=True)
    (folder / "realworld.json").write_text(
        json.dumps({"label_dictionary": {str(i): ["word", str(i)] for i in range(8)}})
    )
    np.save(folder / "X_test.npy", np.tile([0, 9.8, 0, 0, 0, 0.1], (3, 500, 7)))
    np.save(folder / "y_test.npy", np.array([0, 7, 5]))
    windows = list(read_windows("realworld", tmp_path / "realworld", segments="paper"))
    assert [w.label for w in windows] == ["lying", "running", "climbing down"]
    assert list(windows[0].signals)[:2] == ["L_Shoulder", "L_Forearm"] and len(windows[0].signals["Head"]) == 500


def test_an_empty_folder_and_unknown_names_are_refused(tmp_path):
    (tmp_path / "pamap2").mkdir()
    with pytest.raises(OSError, match=r"subject10\*\.dat"):
        list(read_windows("pamap2", tmp_path / "pamap2"))
    with pytest.raises(ValueError, match="unknown dataset 'pamap'"):
        list(read_windows("pamap", tmp_path))
    with pytest.raises(ValueError, match="segments must be"):
        list(read_windows("pamap2", tmp_path, segments="hand"))


def test_short_stretches_are_kept_where_the_dataset_says_so():
    stretch = ImuRecording({"waist": np.arange(78.0).reshape(13, 6)}, 1.0, start_time=7.0)  # 13 s
    assert [len(w.signals["waist"]) for w in stretch.windows(5)] == [5, 5]
    kept = list(stretch.windows(5, 2))
    assert [len(w.signals["waist"]) for w in kept] == [5, 5, 3] and [w.start_time for w in kept] == [7.0, 12.0, 17.0]
    assert [len(w.signals["waist"]) for w in stretch.windows(20, 2)] == [13]
    assert [len(w.signals["waist"]) for w in stretch.windows(5, 4)] == [5, 5]
