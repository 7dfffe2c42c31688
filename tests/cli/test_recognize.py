"""`anymo recognize` on a tiny release: the timeline in all its forms, several sensors, labels, tuned models."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from support.program import refused, samples, write_csv
from transformers import AutoModelForSequenceClassification, AutoProcessor, pipeline

from anymo_hf import AnyMoStream, save_release
from anymo_hf.systems import recognizer
from anymo_hf.systems.activity_labels import EVERYDAY

LABELS = ["walking", "sitting", "running"]


@pytest.fixture
def long_walk(tmp_path):
    """A minute at 50 Hz and a bit."""
    return write_csv(tmp_path / "long.csv", samples(3055))


def seconds_of(text):
    minutes, seconds = text.split(":")
    return 60 * int(minutes) + float(seconds)


def test_the_windows_are_those_of_a_stream_and_the_timeline_covers_them(anymo, tiny_release, long_walk):
    words = ["recognize", long_walk, "--placement", "left_wrist", "--rate", 50, "--model", tiny_release]
    code, out, err = anymo(*words, "--labels", ",".join(LABELS), "--window", 4, "--hop", 2, "--json")
    assert code == 0 and not err
    answer = json.loads(out)
    live = AnyMoStream.from_pretrained(
        tiny_release, placements="left_wrist", sampling_rate=50, window=4.0, hop=2.0, labels=LABELS
    )
    rows = np.loadtxt(long_walk, delimiter=",", skiprows=1)
    events = live.push(rows) + live.flush()
    assert len(answer["windows"]) == len(events) == 30
    for row, event in zip(answer["windows"], events, strict=True):
        assert (row["start"], row["end"]) == pytest.approx((event.start, event.end))
        assert row["scores"] == pytest.approx(event.scores, abs=1e-4)
    timeline = answer["timeline"]
    assert timeline[0]["start"] == 0 and timeline[-1]["end"] == pytest.approx(61.1)
    assert all(one["end"] == other["start"] for one, other in zip(timeline, timeline[1:], strict=False))
    assert sum(entry["windows"] for entry in timeline) == 30
    means = {name: np.mean([row["scores"][name] for row in answer["windows"]]) for name in LABELS}
    assert answer["mean_scores"] == pytest.approx(means)
    total = {name: sum(e["end"] - e["start"] for e in timeline if e["activity"] == name) for name in LABELS}
    assert answer["seconds_of"] == pytest.approx({name: value for name, value in total.items() if value})


def test_text_table_and_picture_say_the_same(anymo, tiny_release, long_walk, tmp_path):
    table, picture = tmp_path / "out" / "timeline.csv", tmp_path / "out" / "timeline.png"
    words = ["--placement", "left_wrist", "--rate", 50, "--model", tiny_release, "--smoothing", 1]
    code, out, err = anymo("recognize", long_walk, *words, "--csv", table, "--plot", picture, "--top-k", 2)
    assert code == 0 and not err
    title, *lines, total, mean, _, _ = out.splitlines()
    assert title == f"{long_walk}: 1:01.1, left wrist, 50 Hz" and total.startswith("in all: ") and mean.count(",") == 1
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(lines) >= 1 and {row["activity"] for row in rows} <= set(EVERYDAY)
    for row, line in zip(rows, lines, strict=True):
        assert row["activity"] in line and line.endswith(f"{float(row['confidence']):.2f}")
        assert seconds_of(line.split()[0]) == pytest.approx(float(row["start"]), abs=0.06)
    assert Image.open(picture).size[0] == 1300 and sorted(path.name for path in table.parent.iterdir()) == [
        "timeline.csv", "timeline.png"
    ]  # fmt: skip


def test_labels_come_from_a_file_and_none_of_these_is_one_more(anymo, tiny_release, walk, tmp_path, monkeypatch):
    labels = tmp_path / "labels.txt"
    labels.write_text("# mine\nwalking\n\nsitting\nwalking\n")
    words = ["recognize", walk, "--placement", "head", "--rate", 50, "--model", tiny_release, "--json"]
    monkeypatch.setattr(recognizer, "NEAR_IN_MEANING", 2.0)  # random weights: all texts are alike
    code, out, _ = anymo(*words, "--labels-file", labels, "--none")
    answer = json.loads(out)
    assert code == 0 and answer["labels"] == ["walking", "sitting", "none of these"]
    assert all(sum(row["scores"].values()) == pytest.approx(1, abs=1e-5) for row in answer["windows"])
    refused(anymo(*words, "--labels-file", labels, "--labels", "walking"), "give one of them")
    labels.write_text("\n")
    refused(anymo(*words, "--labels-file", labels), "labels.txt", "one a line")


def test_sensors_worn_at_once_are_one_recording(anymo, tiny_release, tmp_path):
    rows, other = samples(300), samples(300)[::-1]
    left, right = write_csv(tmp_path / "left.csv", rows), write_csv(tmp_path / "right.csv", other[:280])
    words = ["recognize", "--rate", 50, "--model", tiny_release, "--labels", ",".join(LABELS), "--json"]
    code, out, _ = anymo(*words, "--sensor", f"left_wrist={left}", "--sensor", f"right_pocket={right}")
    answer = json.loads(out)
    assert code == 0 and answer["placements"] == ["left_wrist", "right_pocket"] and answer["seconds"] == 5.6
    both = {"left_wrist": rows[:250], "right_pocket": other[:250]}
    recognise = pipeline("zero-shot-imu-classification", model=tiny_release)
    expected = recognise({"imu": both, "sampling_rate": 50}, candidate_labels=LABELS)
    assert answer["windows"][0]["scores"] == pytest.approx({row["label"]: row["score"] for row in expected}, abs=1e-4)
    refused(anymo(*words, "--sensor", "left_wrist"), "PLACE=FILE")
    refused(anymo(*words, "--sensor", f"head={left}", "--sensor", f"head={right}"), "head", "one placement")
    refused(anymo(*words, left, "--sensor", f"head={left}"), "give one of")
    refused(anymo(*words, "--sensor", f"head={left}", "--placement", "head"), "give --sensor PLACE=FILE only")


@pytest.mark.parametrize("reads", ["codes", "imu"])
def test_a_tuned_model_answers_with_its_own_labels_and_no_others(anymo, tiny_release, walk, tmp_path, reads):
    names = {0: "drilling", 1: "sawing"}
    model = AutoModelForSequenceClassification.from_pretrained(
        tiny_release, num_labels=2, id2label=names, label2id={"drilling": 0, "sawing": 1}, classifier_input=reads
    )
    save_release(tmp_path / "tuned", model.train().eval(), AutoProcessor.from_pretrained(tiny_release))
    words = ["recognize", walk, "--placement", "head", "--rate", 50, "--model", tmp_path / "tuned", "--json"]
    code, out, _ = anymo(*words)
    answer = json.loads(out)
    assert code == 0 and answer["labels"] == ["drilling", "sawing"]
    rows = np.loadtxt(walk, delimiter=",", skiprows=1)
    expected = pipeline("imu-classification", model=str(tmp_path / "tuned"))(
        {"imu": {"head": rows}, "sampling_rate": 50}
    )
    scores = {row["label"]: row["score"] for row in expected}
    assert answer["windows"][0]["scores"] == pytest.approx(scores, abs=1e-4)
    refused(anymo(*words, "--labels", "walking"), "answers with the labels that it learned")
    refused(anymo(*words, "--none"), "answers with the labels that it learned")


def test_no_answer_is_written_over_what_was_read(anymo, tiny_release, walk, tmp_path):
    (tmp_path / "labels.txt").write_text("walking\nsitting\n")
    before = walk.read_bytes()
    words = ["recognize", "--rate", 50, "--model", tiny_release, "--labels-file", tmp_path / "labels.txt"]
    for read, target in (([walk, "--placement", "head"], walk), (["--sensor", f"head={walk}"], walk),
                         ([walk, "--placement", "head"], tmp_path / "labels.txt")):  # fmt: skip
        refused(anymo(*words, *read, "--csv", target), f"--csv {target} is a file that is read here; give another name")
    assert walk.read_bytes() == before and (tmp_path / "labels.txt").read_text() == "walking\nsitting\n"


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--hop", "6"], ["--hop must lie between", "5 s"]),
        (["--smoothing", "2"], ["--smoothing must be an odd number"]),
        (["--plot", "timeline.jpg"], ["--plot must be a .png"]),
        (["--labels-file", "nowhere.txt"], ["nowhere.txt"]),
    ],
)
def test_what_it_refuses(anymo, tiny_release, walk, words, parts):
    refused(anymo("recognize", walk, "--placement", "head", "--rate", 50, "--model", tiny_release, *words), *parts)
    refused(anymo("recognize", "--model", tiny_release), "give one of FILE with --placement")


def test_a_path_that_the_system_refuses_is_one_line_with_its_mend(anymo, tmp_path, tiny_release):
    write_csv(tmp_path / "w.csv", samples(600))
    words = ["recognize", tmp_path / "w.csv", "--placement", "left_wrist", "--rate", 50, "--model", tiny_release]
    refused(anymo(*words, "--labels-file", tmp_path / "none.txt"), "none.txt: no such file or folder; check the path")
    code, _, err = anymo(*words, "--csv", tmp_path / "w.csv" / "x.csv")
    assert (
        code == 2 and "w.csv: a file stands where a folder is needed; give another path" in err and "Errno" not in err
    )


def test_a_saved_classifier_is_no_checkpoint(anymo, tmp_path):
    write_csv(tmp_path / "w.csv", samples(600))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "classifier.json").write_text("{}")
    words = ["recognize", tmp_path / "w.csv", "--placement", "left_wrist", "--rate", 50]
    refused(
        anymo(*words, "--model", tmp_path / "mine"),
        "is a saved AnyMoClassifier, no checkpoint",
        "here give a checkpoint",
    )
