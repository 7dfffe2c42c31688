"""Captions of real windows with labels: which windows, what counts as named, and what stays in the file."""

import json
from functools import partial

import numpy as np
import pytest

from anymo_hf.evaluation import labelled_captions
from anymo_hf.evaluation.caption_activity import nearest_labels
from anymo_hf.evaluation.labelled_captions import evaluate_labelled_captions
from anymo_hf.recordings.catalogue import DATASETS
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.recordings.windows_file import WindowsFile
from anymo_hf.systems.embeddings import embed_labels

LABELS = list(DATASETS["wisdm"].labels)


def windows(name, seconds=2.0, count=8):
    rng, made = np.random.default_rng(0), []
    for number in range(count):
        signal = np.concatenate(
            [rng.normal(9.8, 1, (int(20 * seconds), 3)), rng.normal(0, 1, (int(20 * seconds), 3))], 1
        )
        label = DATASETS[name].labels[number % 4]
        made.append(ImuRecording({"left_wrist": signal}, 20.0, label, subject="a", dataset=name))
    return WindowsFile(name, tuple(made), ("test",) * count, ("test",) * count, "worn", "", f"sha of {name}")


@pytest.fixture
def held(monkeypatch):
    found = {name: windows(name) for name in ("wisdm", "uci_hapt")}
    monkeypatch.setattr(labelled_captions, "load_windows", lambda name, data: found[name])
    return found


def test_captions_are_written_and_selected_and_other_sets_stay(held, tiny_parts, tmp_path):
    model, processor = tiny_parts
    run = lambda name, weights: list(  # noqa: E731
        evaluate_labelled_captions([name], "data", model, processor, tmp_path, {"model.safetensors": weights}, 4)
    )
    lines = run("wisdm", "a")
    assert lines[0].startswith("wisdm: of 4 windows") and lines[-1].endswith("labelled_captions.json")
    run("uci_hapt", "a")
    read = lambda: json.loads((tmp_path / "labelled_captions.json").read_text())  # noqa: E731
    first, second = read()["datasets"]
    assert (first["dataset"], second["dataset"], first["windows_sha256"]) == ("wisdm", "uci_hapt", "sha of wisdm")
    assert sorted(first["references"]) == sorted(LABELS) and first["chance"] == 100 / len(LABELS)
    for way, texts in first["captions"].items():
        truth = np.array([LABELS.index(label) for label in first["references"]])
        own = nearest_labels(texts, LABELS, partial(embed_labels, model, processor))
        assert first["named"][way] == pytest.approx(100 * sum(own == truth) / 4)
    with pytest.raises(ValueError, match="labelled_captions.json is of other weights; move it away"):
        run("wisdm", "b")
    run("wisdm", "a")
    assert [row["dataset"] for row in read()["datasets"]] == ["uci_hapt", "wisdm"]
    (tmp_path / "labelled_captions.json").write_text('{"datasets": 3}')
    with pytest.raises(ValueError, match="labelled_captions.json is damaged"):
        run("wisdm", "b")


def test_the_nearest_label_counts_and_silence_names_nothing(tiny_parts):
    model, processor = tiny_parts
    captions = ["a person walks", "", "sitting", "jogging"]
    labels = embed_labels(model, processor, LABELS)
    own = [int((embed_labels(model, processor, [text]) @ labels.T).argmax()) if text else -1 for text in captions]
    embed = partial(embed_labels, model, processor)
    assert nearest_labels(captions, LABELS, embed).tolist() == own
    assert nearest_labels(["", " "], LABELS, embed).tolist() == [-1, -1]


def test_windows_longer_than_the_model_reads_are_left_out(held, tiny_parts, tmp_path):
    held["wisdm"] = windows("wisdm", seconds=20.0)
    with pytest.raises(ValueError, match="wisdm: every window is longer than .* s, which is all the model reads"):
        list(evaluate_labelled_captions(["wisdm"], "data", *tiny_parts, tmp_path, {}))
