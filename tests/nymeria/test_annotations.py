"""Annotated windows: times that no clock shows are refused."""

import pandas as pd
import pytest

from anymo_hf.nymeria.annotations import read_annotations

NAME = "20230607_s0_james_johnson_act1_e72nhq"


@pytest.mark.parametrize(
    ("start", "end"),
    [("1", "inf"), ("-inf", "2"), ("1", "1e300"), ("-1e12", "2"), ("nan", "2"), ("2", "2"), ("noon", "2")],
)
def test_times_that_no_clock_shows_are_refused(tmp_path, start, end):
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "metadata.json").write_text('{"fake_name": "james_johnson"}')
    rows = pd.DataFrame({
        "session_id": [NAME] * 2, "subject_id": ["james_johnson"] * 2, "start_time_sec": ["1690000000.5", start],
        "end_time_sec": ["1690000005.5", end], "narration": ["a person walks"] * 2, "label": ["", ""],
    })  # fmt: skip
    rows[:1].to_csv(tmp_path / "sound.csv", index=False)
    (sound,) = read_annotations(tmp_path / NAME, tmp_path / "sound.csv")
    assert (sound.start, sound.end) == (1690000000.5, 1690000005.5)
    rows.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ValueError, match=rf"a\.csv.*row 2 of {NAME}: times are .*; give seconds"):
        read_annotations(tmp_path / NAME, tmp_path / "a.csv")
