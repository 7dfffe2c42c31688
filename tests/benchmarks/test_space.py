"""The Space's endurance counts an answer that belongs to another user."""

import time
from pathlib import Path

import pytest

pytest.importorskip("gradio_client", reason="needs gradio: pip install 'anymo-hf[space]'")
from benchmarks import space as benchmark  # noqa: E402

FILES, PLACES = [Path("a.csv"), Path("b.csv")], ["waist", "head"]


def keep_asking(monkeypatch, page):
    def one_user(url, file, place, shown=None):
        time.sleep(0.001)  # the other user's turn, as in waiting for a page
        if shown is not None:
            shown[:] = ["read", page(file, place), "nearest"]
        return {"answer": 0.01, "nearest": 0.02}

    monkeypatch.setattr(benchmark, "one_user", one_user)
    return benchmark.keep_asking("url", FILES, PLACES, 0.005)


def test_own_answers_are_not_mixed_up(monkeypatch):
    told = keep_asking(monkeypatch, lambda file, place: f"{file} at the {place}")
    assert told["answers"] > 2 and told["mixed_up"] == 0 and told["most_s"] == 0.02


def test_an_answer_of_another_user_is_counted(monkeypatch):
    calls = []

    def page(file, place):
        calls.append(file)
        return str(file if len(calls) < 10 else FILES[0])

    told = keep_asking(monkeypatch, page)
    assert 0 < told["mixed_up"] < told["answers"]


def test_users_who_cannot_be_told_apart_are_refused(monkeypatch):
    with pytest.raises(RuntimeError, match="two users have one answer"):
        keep_asking(monkeypatch, lambda file, place: "walking")
