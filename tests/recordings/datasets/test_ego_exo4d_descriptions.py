"""EgoExo4D's atomic descriptions: the official layout, which sentences count, the draw, and the IMU around an instant."""

import json
import random
from collections import Counter

import numpy as np
import pytest
from support.dataset_files import ego_exo4d as files

from anymo_hf.evaluation.narrated_windows import ego_exo4d_windows
from anymo_hf.nymeria import imu as nymeria_imu
from anymo_hf.recordings.datasets import ego_exo4d_descriptions
from anymo_hf.recordings.datasets.ego_exo4d import LABELS
from anymo_hf.recordings.datasets.ego_exo4d_descriptions import (
    TASKS,
    Description,
    balanced_subset,
    clean_text,
    described_windows,
    draw_balanced,
    read_descriptions,
)

needs_vrs = pytest.mark.skipif(nymeria_imu.vrs_reader() is None, reason="no package that reads VRS is installed")
LONG = "C lifts the front wheel of the bike from the floor with both of his hands"


def described(folder, **takes):
    """Writes the official files: take -> rows of descriptions; the task stands in the take's name."""
    rows = [
        {"take_uid": f"uid-{name}", "take_name": name, "parent_task_name": name.split("_")[0], "task_name": "x",
         "participant_uid": number}
        for number, name in enumerate(takes, 1)
    ]  # fmt: skip
    (folder / "takes.json").write_text(json.dumps(rows))
    (folder / "annotations").mkdir(exist_ok=True)
    content = {
        "annotations": {
            f"uid-{name}": [{"annotation_uid": "a1", "rejected": False, "descriptions": descriptions}]
            for name, descriptions in takes.items()
        }
    }
    for part in ("train", "val"):
        kept = content if part == "train" else {"annotations": {}}
        (folder / "annotations" / f"atomic_descriptions_{part}.json").write_text(json.dumps(kept))


def row(text=LONG, timestamp=2.0, subject="C", unsure=False):
    return {"text": text, "timestamp": timestamp, "subject": subject, "unsure": unsure}


def test_only_sure_long_sentences_about_the_wearer_count(tmp_path):
    described(
        tmp_path,
        Soccer_1=[row(timestamp=9.0), row(), row("C lifts it."), row(subject="O"), row(unsure=True)],
        Chess_1=[row()],
    )
    first, second = read_descriptions(tmp_path)
    assert (first.take, first.task, first.person, first.second) == ("Soccer_1", "Soccer", "1", 2.0)
    assert second.second == 9.0 and first.text.startswith("The person lifts the front wheel")


def test_texts_are_cleaned():
    assert clean_text("  C  picks\n#unsure up, C's knife; then C stops") == (
        "The person picks something up, the person's knife; then the person stops"
    )
    assert clean_text("He takes vitamin Cs") == "He takes vitamin Cs"
    assert clean_text("#C C hands the ball to man X, and the woman Y waits") == (
        "The person hands the ball to another person, and another person waits"
    )
    assert clean_text("A man in a hat waits for C") == "A man in a hat waits for the person"


def test_the_draw_is_balanced_repeats_and_keeps_the_order():
    many = [Description(f"t{k}", LABELS[k % 3], "", float(k), f"text {k}") for k in range(90)]
    few = many + [Description("z", LABELS[5], "", 0.0, "one")]
    drawn = draw_balanced(few, 10)
    assert Counter(one.task for one in drawn) == {LABELS[0]: 10, LABELS[1]: 10, LABELS[2]: 10, LABELS[5]: 1}
    assert drawn == draw_balanced(few, 10) != draw_balanced(few, 10, seed=1)
    assert [few.index(one) for one in drawn] == sorted(few.index(one) for one in drawn)


def test_tasks_are_drawn_in_the_authors_order():
    many = [Description("t", LABELS[k % 8], "", float(k), f"text {k}") for k in range(800)]
    drawn, generator = draw_balanced(many, 7), random.Random(42)
    for task in ("Rock Climbing", "Basketball", "Dance", "Cooking", "Health", "Bike Repair", "Soccer", "Music"):
        own = generator.sample([one for one in many if one.task == task], 7)
        assert [one for one in drawn if one.task == task] == sorted(own, key=lambda one: one.second)


def test_windows_over_a_pause_are_counted(tmp_path, monkeypatch):
    described(tmp_path, Music_1=[row(timestamp=10.0), row(timestamp=30.0), row(timestamp=50.0)])
    path = tmp_path / "takes" / "Music_1" / "a_noimagestreams.vrs"
    path.parent.mkdir(parents=True)
    path.touch()
    time = np.concatenate([np.arange(0, 29, 0.005), np.arange(31, 60, 0.005)])
    played = time, np.ones((len(time), 6)), 0.0
    monkeypatch.setattr(ego_exo4d_descriptions, "valid_samples", lambda *_: played)
    found = ego_exo4d_windows(tmp_path)
    assert [one.start_time for one in found.recordings] == [7.5, 47.5]
    assert found.note == "2 of the paper's 4,000 windows, 1 takes; 1 drawn windows over a pause of the IMU left out"


def test_the_hundred_are_thirteen_and_twelve_a_task():
    tasks = [LABELS[k % 8] for k in range(4000)]
    chosen = balanced_subset(tasks)
    assert sorted(TASKS) == list(LABELS)
    counts = Counter(tasks[row] for row in chosen)
    assert [counts[task] for task in TASKS] == [13] * 4 + [12] * 4
    assert {task for task in LABELS if counts[task] == 13} == {"Rock Climbing", "Basketball", "Dance", "Cooking"}
    with pytest.raises(ValueError, match="task 'Rock Climbing' has 3 windows, 13 are wanted"):
        balanced_subset(tasks[:24])


@needs_vrs
def test_windows_are_centred_and_moved_inside_the_take(tmp_path):
    described(
        tmp_path,
        Music_1=[row(timestamp=4.0), row(LONG + " twice", 0.1), row(LONG + " again", 7.9)],
        Health_1=[row()],  # no VRS in this copy
    )
    signal = files.still(8000)
    files.take(tmp_path, "Music_1", signal)
    recordings, texts, lost = described_windows(tmp_path)
    assert lost == 0
    assert [one.start_time - files.FIRST_NS * 1e-9 for one in recordings] == pytest.approx([0, 1.5, 3.0], abs=2e-3)
    assert [text.split()[-1] for text in texts] == ["twice", "hands", "again"]
    for one in recordings:
        assert one.signals["head"].shape == (1000, 6) and (one.sampling_rate, one.label) == (200.0, "Music")
        assert np.median(one.signals["head"][:, 1]) == pytest.approx(9.8, rel=1e-3)
    phase = np.sin(2 * np.pi * (1.5 + np.arange(1000) / 200))
    np.testing.assert_allclose(recordings[1].signals["head"][20:-20, 3], phase[20:-20], atol=0.02)


@needs_vrs
def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(OSError, match="noimagestreams.vrs found"):
        described_windows(tmp_path)
    files.take(tmp_path, "Music_1", files.still(6000))
    with pytest.raises(OSError, match="atomic_descriptions_train.json or _val.json found"):
        described_windows(tmp_path)
    described(tmp_path, Music_2=[row()])
    with pytest.raises(ValueError, match="no described instant"):
        described_windows(tmp_path)
    (tmp_path / "takes.json").unlink()
    with pytest.raises(OSError, match="no takes.json"):
        described_windows(tmp_path)
    (tmp_path / "takes.json").write_text("{}")
    with pytest.raises(ValueError, match="no described instant"):
        described_windows(tmp_path)
    (tmp_path / "takes.json").write_text('[{"take_name": "x"}]')
    with pytest.raises(ValueError, match="takes.json: no list of takes"):
        described_windows(tmp_path)
    described(tmp_path, Music_1=[{"text": LONG, "subject": "C"}])
    with pytest.raises(ValueError, match="atomic_descriptions_train.json: no atomic descriptions"):
        described_windows(tmp_path)
