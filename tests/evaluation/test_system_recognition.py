"""Recognition of any system: rows against an independent count, unreadable answers are wrong, a stopped run goes on."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from anymo_hf.evaluation import system_recognition
from anymo_hf.evaluation.metrics import recognition_scores
from anymo_hf.evaluation.system_recognition import evaluate_system, read_system_results, score_windows, weights_of
from anymo_hf.evaluation.system_results import add_rows, open_results
from anymo_hf.recordings.catalogue import DATASETS
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.recordings.windows_file import WindowsFile
from anymo_hf.systems.interface import System, systems
from anymo_hf.systems.language_model import LanguageText

LABELS = DATASETS["wisdm"].labels


class Oracle(System):
    """Reads the class off the first sample; -1 is an answer that cannot be read."""

    name, title, requires, licence, rate = "oracle", "Oracle", "weights", "none", 20.0

    def __init__(self, weight=1.0):
        self.network = torch.nn.Linear(2, 3)
        torch.nn.init.constant_(self.network.weight, weight)
        torch.nn.init.zeros_(self.network.bias)

    def embed_imu(self, recordings):
        shown = np.array([next(iter(one.signals.values()))[0, 0] for one in recordings]).astype(int)
        found = np.eye(len(LABELS))[shown]
        found[shown < 0] = np.nan
        return found

    def embed_text(self, texts):
        # the template turns every label into the next
        order = np.arange(len(texts)) + (texts[0].startswith("a person is"))
        return np.eye(len(LABELS))[order % len(LABELS)]


def windows(shown, truth, people, sha="0", name="wisdm"):
    made = tuple(
        ImuRecording(
            {"left_wrist": np.full((60, 6), float(s))}, 20.0, DATASETS[name].labels[t], subject=p, dataset=name
        )
        for s, t, p in zip(shown, truth, people, strict=True)
    )
    parts = tuple("test" if person < "c" else "train" for person in people)
    return WindowsFile(name, made, ("test",) * len(made), parts, "worn", "", sha)


SHOWN, TRUTH, PEOPLE = [0, 1, 2, 3, -1, 1], [0, 1, 2, 0, 3, 2], "aabbbc"


def test_rows_are_what_sklearn_counts_and_unreadable_answers_are_wrong():
    label, person = score_windows(Oracle(), windows(SHOWN, TRUTH, PEOPLE), "paper", ["label", "person"])
    assert label.accuracy == pytest.approx(100 * 3 / 6) and label.invalid_rate == pytest.approx(100 / 6)
    valid = [row for row in range(6) if SHOWN[row] >= 0]
    shown = [SHOWN[row] if row in valid else 9 for row in range(6)]
    expected = f1_score(TRUTH, shown, labels=range(4), average="macro", zero_division=0)
    assert label.macro_f1 == pytest.approx(100 * expected)
    assert np.sum(label.confusion) == 5 and label.people == 3 and label.interval is not None
    assert person.accuracy < label.accuracy and label.parameters == 9 and label.rate == 20.0 and label.channels == 6
    assert label.seconds_per_1000 > 0 and label.majority == pytest.approx(100 * 2 / 6)


def test_synonyms_are_a_wording_where_the_bundle_tells_them(monkeypatch):
    own, read = windows(SHOWN, TRUTH, PEOPLE), []
    assert system_recognition.wordings(Oracle(), own) == ["label", "person"]
    assert system_recognition.wordings(systems()["majority"](), own) == ["label"]
    bundled = WindowsFile(**vars(own) | {"synonyms": tuple(f"{label} words" for label in LABELS)})
    assert system_recognition.wordings(Oracle(), bundled) == ["label", "person", "synonyms"]
    monkeypatch.setattr(Oracle, "embed_text", lambda self, texts: read.append(texts) or np.eye(len(LABELS)))
    (row,) = score_windows(Oracle(), bundled, "paper", ["synonyms"])
    assert row.wording == "synonyms" and row.labels == LABELS and read == [list(bundled.synonyms)]


def test_invalid_answers_do_not_change_the_others():
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=(50, 4)), rng.integers(0, 4, 50)
    plain, none = recognition_scores(scores, truth), recognition_scores(scores, truth, np.zeros(50, dtype=bool))
    assert plain == none
    half = np.arange(50) % 2 == 0
    rest = recognition_scores(scores[~half], truth[~half])
    assert recognition_scores(scores, truth, half)["accuracy"] == pytest.approx(rest["accuracy"] / 2)


@pytest.fixture
def oracle(monkeypatch, tmp_path):
    held = {"wisdm": windows(SHOWN, TRUTH, PEOPLE), "uci_har": windows([0], [0], "a", name="uci_har")}
    monkeypatch.setattr(system_recognition, "known_system", lambda name: {**systems(), "oracle": Oracle}[name])
    monkeypatch.setattr(system_recognition, "available", lambda data, names: [one for one in names if one in held])
    monkeypatch.setattr(system_recognition, "load_windows", lambda name, data, segments: held[name])
    return held


def test_a_run_goes_on_and_another_ones_results_are_refused(oracle, tmp_path):
    def run(**more):
        return list(evaluate_system("oracle", tmp_path, tmp_path, datasets=["wisdm"], **{"loaded": Oracle(), **more}))

    assert "accuracy 50.0" in run()[0]
    path = tmp_path / "recognition" / "oracle.json"
    first = path.read_text()
    assert run()[0] == "wisdm: done before" and path.read_text() == first
    assert len(read_system_results(path).rows) == 2
    run(split="people")
    assert [row.split for row in read_system_results(path).rows] == ["paper"] * 2 + ["people"] * 2
    with pytest.raises(ValueError, match="other weights or settings of oracle"):
        run(loaded=Oracle(2.0))
    with pytest.raises(
        ValueError, match="other weights or settings of oracle .max_windows None, asked for is 3.; move"
    ):
        run(max_windows=3)
    oracle["wisdm"] = windows(SHOWN, TRUTH, PEOPLE, sha="1")
    assert "rows of other windows of wisdm" in next(
        evaluate_system("oracle", tmp_path, tmp_path, datasets=["wisdm"], loaded=Oracle())
    )
    path.write_text('{"rows": 3}')
    with pytest.raises(ValueError, match="oracle.json: not a results file"):
        run()


class Chat(Oracle):
    """Oracle behind an endpoint, of one model."""

    name, title, requires = "chat", "Chat", "endpoint"
    asked_alike = LanguageText.asked_alike
    embed_text = System.embed_text

    def __init__(self, model, **asked):
        super().__init__()
        self.settings, self.title = SimpleNamespace(model=model), f"Chat ({model})"
        self.asked = {"prompts": "c4", "order_seed": 0, "temperature": 0.0} | asked

    def report(self):
        return self.asked

    def score(self, recordings, labels):
        return self.embed_imu(recordings)


def test_answers_to_other_words_are_not_mixed(oracle, tmp_path, monkeypatch):
    monkeypatch.setattr(system_recognition, "known_system", {**systems(), "chat": Chat}.get)

    def run(split, source="one.yaml", **asked):
        chat = Chat("one", **asked)
        return list(evaluate_system("chat", tmp_path, tmp_path, source, ["wisdm"], split, loaded=chat))

    lines = run("paper")
    assert any(line.endswith("; 16.7 % of the answers could not be read") for line in lines)
    with pytest.raises(
        ValueError, match="chat.one.json was asked with other settings .prompts, order_seed.; move it away"
    ):
        run("people", prompts="c5", order_seed=5)
    run("people", "moved.yaml")  # the same model at another server
    assert len(read_system_results(tmp_path / "recognition" / "chat.one.json").rows) == 2


def test_a_task_is_not_asked_in_two_ways_in_one_file(tmp_path):
    path, found = open_results(tmp_path, "captions", Chat("one"))
    row = {"dataset": "nymeria", "subset": "all", "windows": 1, "scores": {}, "captions": []}
    add_rows(path, found, [row | {"report": Chat("one").report()}], ("dataset",))
    assert len(open_results(tmp_path, "captions", Chat("one"))[1].rows) == 1
    with pytest.raises(ValueError, match="captions.chat.one.json was asked with other settings .temperature."):
        open_results(tmp_path, "captions", Chat("one", temperature=1.0))


def test_replies_from_a_cache_are_not_timed(oracle):
    class Remembering(Chat):
        kept = 0

        def score(self, recordings, labels):
            self.kept += self.remembers
            return super().score(recordings, labels)

        def report(self):
            return self.asked | {"spent": {"from_cache": self.kept}}

    for kept, timed in ((0, True), (3, False)):
        system = Remembering("one")
        system.remembers = kept
        (row,) = score_windows(system, oracle["wisdm"], "all", ["label"])
        assert (row.seconds_per_1000 is not None) == timed


def test_the_same_weights_may_lie_anywhere(oracle, tmp_path):
    def run(source, split):
        system = Oracle()
        list(evaluate_system("oracle", tmp_path, tmp_path, source, ["wisdm"], split, loaded=system))

    run("runs/one", "paper")
    run("/elsewhere/one", "people")
    assert {row.split for row in read_system_results(tmp_path / "recognition" / "oracle.json").rows} == {
        "paper",
        "people",
    }


def test_two_chat_models_have_a_file_each(oracle, tmp_path, monkeypatch):
    known = {**systems(), "chat": Chat}
    monkeypatch.setattr(system_recognition, "known_system", known.get)
    for model in ("some/model:1b", "other", "other"):
        list(evaluate_system("chat", tmp_path, tmp_path, datasets=["wisdm"], loaded=Chat(model)))
    files = [path.name for path in sorted((tmp_path / "recognition").iterdir())]
    assert files == ["chat.other.json", "chat.some_model_1b.json"]
    titles = [read_system_results(tmp_path / "recognition" / name).title for name in files]
    assert titles == ["Chat (other)", "Chat (some/model:1b)"]
    with pytest.raises(
        ValueError, match="settings of chat .title 'Chat .some/model:1b.', asked for is 'Chat .some_model"
    ):
        list(evaluate_system("chat", tmp_path, tmp_path, datasets=["wisdm"], loaded=Chat("some_model_1b")))
    for model in ("some/model:1b", "other"):
        path, found = open_results(tmp_path, "choices", Chat(model))
        assert not found.rows
        row = dict.fromkeys(("options", "windows", "missing", "log_probability", "generation", "invalid_rate"), 0)
        add_rows(path, found, [row | {"dataset": "wisdm"}], ("dataset",))
    assert len(list((tmp_path / "choices").iterdir())) == 2


def test_what_was_scored_stays_when_a_dataset_fails(oracle, tmp_path, monkeypatch):
    scored = []

    def score(system, held, *rest):
        scored.append(held.dataset)
        if scored == ["uci_har", "wisdm"]:
            raise ConnectionError("the endpoint at http://localhost:1 is down")
        return score_windows(system, held, *rest)

    monkeypatch.setattr(system_recognition, "score_windows", score)
    lines = []
    with pytest.raises(ValueError, match="^oracle did not score wisdm; the lines above say why$"):
        for line in evaluate_system("oracle", tmp_path, tmp_path, loaded=Oracle()):
            lines.append(line)
    assert "wisdm: not scored: the endpoint at http://localhost:1 is down" in lines
    (name,) = {row["dataset"] for row in json.loads((tmp_path / "recognition/oracle.json").read_text())["rows"]}
    assert name == scored[0]


def test_a_system_that_learns_is_fitted_on_other_people(oracle, tmp_path):
    lines = list(evaluate_system("majority", tmp_path, tmp_path, datasets=["wisdm"]))
    (row,) = read_system_results(tmp_path / "recognition" / "majority.json").rows
    assert (row.split, row.windows, row.trained_on) == ("people", 5, 1) and "results:" in lines[-1]


def test_what_is_unknown_or_missing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="unknown system 'oracle'; known: anymo"):
        list(evaluate_system("oracle", tmp_path, tmp_path))
    with pytest.raises(ValueError, match="unknown dataset 'imagenet'"):
        list(evaluate_system("chance", tmp_path, tmp_path, datasets=["imagenet"]))
    with pytest.raises(OSError, match="neither a windows file nor a folder of wisdm"):
        list(evaluate_system("chance", tmp_path, tmp_path, datasets=["wisdm"]))
    with pytest.raises(OSError, match="write them with anymo evaluate windows"):
        list(evaluate_system("chance", tmp_path, tmp_path))


def test_weights_are_told_apart():
    assert weights_of(Oracle()) == weights_of(Oracle()) != weights_of(Oracle(2.0))
    assert weights_of(systems()["chance"].load()) == ""
