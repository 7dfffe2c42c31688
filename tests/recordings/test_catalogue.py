"""Registration: class counts and scores of the paper, the UniMTS route, counts beside the published ones."""

import json
import shutil

import numpy as np
import pytest

from anymo_hf.evaluation.paper_results import paper_results
from anymo_hf.modeling.body_segments import SEGMENTS, resolve_placement
from anymo_hf.recordings.catalogue import DATASETS, class_texts, read_windows
from anymo_hf.recordings.datasets.wisdm import LABELS, read_wisdm
from anymo_hf.recordings.imu_recording import ImuRecording

TABLE_1 = {  # dataset -> classes, accuracy of AnyMo and of UniMTS
    "opportunity": (4, 59.4, 45.9), "uci_har": (6, 56.5, 35.2), "w_har": (7, 57.4, 59.0), "realworld": (8, 48.4, 43.6),
    "tnda_har": (8, 59.4, 59.1), "ego_exo4d": (8, 30.2, 23.1), "openpack": (10, 13.1, 11.5), "pamap2": (12, 52.6, 47.2),
    "usc_had": (12, 27.7, 30.5), "wisdm_watch": (18, 25.4, 27.8), "dsads": (19, 36.3, 31.5), "utd_mhad": (27, 16.3, 22.8),
    "ego4d": (31, 8.6, 3.7), "mmea": (32, 8.1, 6.1),
}  # fmt: skip


def test_the_fourteen_datasets_of_the_paper():
    scored = {name: row for name, row in paper_results("recognition").items() if name != "average"}
    found = {n: (len(set(DATASETS[n].labels)), row["AnyMo"][0], row["UniMTS"][0]) for n, row in scored.items()}
    assert found == TABLE_1
    for place, (ours, unimts) in enumerate([(35.7, 31.9), (29.5, 26.4), (57.5, 46.9)]):  # the table's averages
        assert np.mean([row["AnyMo"][place] for row in scored.values()]) == pytest.approx(ours, abs=0.051)
        assert np.mean([row["UniMTS"][place] for row in scored.values()]) == pytest.approx(unimts, abs=0.051)
    for info in DATASETS.values():
        for placement, segment in info.paper_segments.items():
            resolve_placement(placement)
            assert segment in SEGMENTS


# paper, Table 9, and the numbering that it takes from UniMTS: the segments of one window of each kind
PAPER_SEGMENTS = {
    "opportunity": ["L3", "R_UpperArm", "R_Forearm", "L_UpperArm", "L_Forearm"], "uci_har": ["L5"], "w_har": ["R_Foot"],
    "realworld": ["L_Shoulder", "L_Forearm", "Head", "L_Foot", "L_UpperLeg", "L_UpperArm", "L5"],
    "tnda_har": ["R_Forearm", "L_LowerLeg", "R_Hand", "L_Foot", "T8"], "ego_exo4d": ["Head"], "ego4d": ["Head"],
    "mmea": ["Head"], "openpack": ["R_Forearm", "L_Forearm", "R_UpperArm", "L_UpperArm"],
    "pamap2": ["R_Hand", "T8", "R_Foot"], "usc_had": ["R_UpperLeg"], "wisdm_watch": ["R_Hand"],
    "dsads": ["T8", "R_Hand", "L_Hand", "R_LowerLeg", "L_LowerLeg"], "utd_mhad": ["R_Hand", "R_UpperLeg"],
}  # fmt: skip


def test_the_papers_segments_of_all_fourteen():
    assert set(PAPER_SEGMENTS) == set(TABLE_1)
    for name, segments in PAPER_SEGMENTS.items():
        assert list(dict.fromkeys(DATASETS[name].paper_segments.values())) == segments, name


def _tnda_bundle(folder):
    """One window of the five sensors."""
    folder.mkdir()
    (folder / "TNDA-HAR.json").write_text(json.dumps({"label_dictionary": {str(i): ["a"] for i in range(8)}}))
    np.save(folder / "X_test.npy", np.tile([0, 9.8, 0, 0, 0, 0.1], (1, 100, 5)))
    np.save(folder / "y_test.npy", np.array([0]))
    return folder


@pytest.mark.parametrize("segments", ["worn", "paper"])
@pytest.mark.parametrize("wrist", ["forearm", "hand"])
def test_each_sensor_of_tnda_har_has_a_segment_of_its_own(tmp_path, segments, wrist):
    (window,) = read_windows("tnda_har", _tnda_bundle(tmp_path / "TNDA-HAR").parent, segments)
    found = [SEGMENTS[resolve_placement(place, wrist)] for place in window.signals]
    back = {"worn": "T12", "paper": "T8"}[segments]
    assert found == ["R_Forearm", "L_LowerLeg", "R_Hand", "L_Foot", back]
    named = next(read_windows("tnda_har", tmp_path, None)).signals  # as the dataset's documents name them
    assert list(named) == ["right_forearm", "left_knee", "right_wrist", "left_ankle", "upper_back"]


def test_labels_keep_their_case_or_are_lower(tmp_path):
    (tmp_path / "imuWithOperationLabel").mkdir()
    columns = [f"atr0{n}/{kind}_{axis}" for n in range(1, 5) for kind in ("acc", "gyro") for axis in "xyz"]
    rows = [f"{30 * i},1000," + ",".join(["0,1,0,0,0,9"] * 4) for i in range(100)]
    file = tmp_path / "imuWithOperationLabel" / "U0101-S0100.csv"
    file.write_text("\n".join([",".join(["unixtime", "operation", *columns]), *rows]))
    for case, label in (("own", "Fill out Order"), ("lower", "fill out order")):
        (window,) = read_windows("openpack", tmp_path, label_case=case)
        assert window.label == label == class_texts("openpack", case)[9]
    with pytest.raises(ValueError, match="label_case must be"):
        class_texts("openpack", "upper")


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
