"""RealWorld: zips in zips, two clocks, numbered parts, phones that are missing; broken variants are refused."""

import zipfile

import numpy as np
import pytest
from support.dataset_files import realworld as original

from anymo_hf.recordings.datasets.realworld import LABELS, PAPER_SEGMENTS, read_realworld


def test_two_clocks_are_put_on_one_grid(tmp_path):
    original.sitting(tmp_path, offset=0.313, rate=47.0)
    (only,) = read_realworld(tmp_path)
    assert (only.label, only.subject, only.sampling_rate) == ("sitting", "1", 50.0)
    assert sorted(only.signals) == ["chest", "left_forearm"]
    assert only.start_time == pytest.approx(original.ORIGIN / 1000 + 0.313, abs=1e-3)
    for signal in only.signals.values():
        np.testing.assert_allclose(signal[:, 0], signal[:, 3], atol=1e-3)  # both hold a tenth of the time
        np.testing.assert_allclose(np.diff(signal[:, 3]), 0.1 / 50, atol=5e-4)


def test_numbered_parts_inner_zips_and_the_zip_of_all(tmp_path):
    """Climbing comes in parts: zips within the zip, whose files may carry the number behind the position."""
    inner = {
        kind: {
            f"{kind}_climbingup_1_csv.zip": original.zip({f"{name}_climbingup_chest.csv": original.csv(kind)}),
            f"{kind}_climbingup_2_csv.zip": original.zip(
                {f"{name}_climbingup_chest_2.csv": original.csv(kind, 4.0, 60.0)}
            ),
        }
        for kind, name in original.NAMES.items()
    }
    whole = {f"proband4/data/{kind}_climbingup_csv.zip": original.zip(files) for kind, files in inner.items()}
    whole["proband10/data/acc_lying_csv.zip"] = original.zip({"acc_lying_upperarm.csv": original.csv("acc")})
    whole["proband10/data/gyr_lying_csv.zip"] = original.zip({"Gyroscope_lying_upperarm.csv": original.csv("gyr")})
    whole["proband10/data/mic_lying_csv.zip"] = b"sound"
    path = tmp_path / "realworld2016_dataset.zip"
    path.write_bytes(original.zip(whole))
    first, second, lying = read_realworld(path)
    assert [len(r.signals[next(iter(r.signals))]) for r in (first, second, lying)] == [400, 200, 400]
    assert [(r.subject, r.session, r.label) for r in (first, second, lying)] == [
        ("4", "climbingup1", "climbing up"), ("4", "climbingup2", "climbing up"), ("10", "lying", "lying"),
    ]  # fmt: skip
    assert list(lying.signals) == ["left_upper_arm"] and second.start_time == pytest.approx(original.ORIGIN / 1000 + 60)
    # files that were unpacked beside their zip are not read twice
    data = original.sitting(tmp_path / "again")
    with zipfile.ZipFile(data / "acc_sitting_csv.zip") as archive:
        archive.extractall(data)
    assert len(list(read_realworld(tmp_path / "again"))) == 1


def test_pauses_split_and_missing_phones_are_named(tmp_path):
    data = original.sitting(tmp_path, places=("waist", "head", "shin"))
    lines = original.csv("acc").splitlines(keepends=True)
    files = {f"acc_sitting_{place}.csv": original.csv("acc") for place in ("waist", "thigh")}
    files["acc_sitting_head.csv"] = "".join(lines[:151] + lines[221:])  # 1.4 s without a sample
    files["acc_sitting_shin.csv"] = original.csv("acc", 2.0)
    (data / "acc_sitting_csv.zip").write_bytes(original.zip(files))
    with pytest.warns(UserWarning) as caught:
        parts = list(read_realworld(tmp_path))
    texts = [str(warning.message) for warning in caught]
    assert "left out the thigh phone, whose gyroscope file is missing" in texts[0]
    assert "left out left_shin, which ran for under half of the sitting" in texts[1]
    assert [sorted(part.signals) for part in parts] == [["head", "waist"]] * 2
    assert [len(part.signals["waist"]) for part in parts] == [150, 180]
    assert set(PAPER_SEGMENTS) >= {"head", "waist"} and len(LABELS) == 8


@pytest.mark.parametrize(
    ("acc", "gyr", "message"),
    [
        (original.csv("acc").replace("attr_z", "z"), original.csv("gyr"), r"columns \['attr_z'\] are missing"),
        (original.csv("acc")[:-9], original.csv("gyr"), "acc_sitting_chest.csv, line 401: 3 columns instead of 5"),
        (original.csv("acc").replace("9.8", "oops"), original.csv("gyr"), "text where numbers belong"),
        (original.csv("acc").replace(",9.8,", ",1,"), original.csv("gyr"), "median acceleration at 'chest' is 1"),
        (original.csv("gyr"), original.csv("acc"), "accelerometer and gyroscope are swapped"),
        (original.csv("acc"), original.csv("gyr", value=57.3), "the 99th percentile of the angular velocity"),
        (
            original.csv("acc"),
            original.csv("gyr", rate=1.0, seconds=60),
            "Gyroscope_sitting_chest.csv: time stamps step by 1 s",
        ),
        (
            original.csv("acc").replace(",9.8,", ",nan,", 100),
            original.csv("gyr"),
            "over 5 % of the rows hold no number",
        ),
        ("id,attr_time,attr_x,attr_y,attr_z\n", original.csv("gyr"), "no row of numbers"),
    ],
)
def test_broken_files_are_refused(tmp_path, acc, gyr, message):
    data = original.sitting(tmp_path)
    (data / "acc_sitting_csv.zip").write_bytes(original.zip({"acc_sitting_chest.csv": acc}))
    (data / "gyr_sitting_csv.zip").write_bytes(original.zip({"Gyroscope_sitting_chest.csv": gyr}))
    with pytest.raises(ValueError, match=message) as caught:
        list(read_realworld(tmp_path))
    assert "_csv.zip/" in str(caught.value)


def test_a_foreign_position_and_a_cut_zip_are_refused(tmp_path):
    data = original.sitting(tmp_path)
    (data / "acc_sitting_csv.zip").write_bytes(original.zip({"acc_sitting_pocket.csv": original.csv("acc")}))
    with pytest.raises(ValueError, match="none of the positions chest, forearm"):
        list(read_realworld(tmp_path))
    (data / "acc_sitting_csv.zip").write_bytes(original.zip({"acc_sitting_chest.csv": original.csv("acc")})[:-30])
    with pytest.raises(OSError, match="acc_sitting_csv.zip: not a complete zip"):
        list(read_realworld(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(OSError, match="no proband"):
        list(read_realworld(tmp_path / "empty"))
