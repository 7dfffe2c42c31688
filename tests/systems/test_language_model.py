"""Language models over real HTTP: prompts, rankings, pictures, faults, budget and resumption."""

import base64
import io
import json
import re

import numpy as np
import pytest
from support.chat_server import Chat

from anymo_hf.annotation.language_client import Endpoint, LanguageClient, Limits, guessed_tokens
from anymo_hf.annotation.stage_cache import StageCache
from anymo_hf.modeling.imu_signal import resample
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.systems.interface import load_system
from anymo_hf.systems.language_model import HarGpt, LanguagePlot, LanguageSettings, LanguageText, read_source
from anymo_hf.systems.language_prompts import messages, option_keys, prompts_hash

LABELS = ["walking", "sitting", "running"]
QUICK = {"first_wait": 0.01, "longest_wait": 2.0, "timeout": 10.0, "workers": 3, "tries": 3}


def windows(count=4, places=("waist",), channels=6, seconds=2.0):
    rng, time = np.random.default_rng(3), np.arange(int(50 * seconds)) / 50
    found = []
    for number in range(count):
        clean = 9.8 + number + np.sin(3 * time)[:, None]
        signals = {place: clean + rng.normal(0, 0.1, (len(time), channels)) for place in places}
        found.append(ImuRecording(signals, 50.0))
    return found


@pytest.fixture
def chat(monkeypatch):
    """Starts played chat models that end with the test."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = []

    def start(say, **options):
        running.append(Chat(say, **options).__enter__())
        return running[-1]

    yield start
    for server in running:
        server.__exit__()


@pytest.fixture
def system(tmp_path):
    """A system that asks a server; replies are kept in one file of the test."""
    made = []

    def make(server, kind=LanguageText, limits=None, endpoint=(), **settings):
        while made:
            made.pop().client.cache.close()
        where = Endpoint(server.url, **(QUICK | {"max_tokens": kind.reply_tokens} | dict(endpoint)))
        client = LanguageClient(where, StageCache(tmp_path / "replies.jsonl"), limits)
        made.append(kind(LanguageSettings("some-model", **settings), client))
        return made[-1]

    yield make
    for one in made:
        one.client.cache.close()


def level(question):
    """The first number of the window, which `windows` makes its number plus 9.8."""
    return round(float(re.search(r"acceleration x \(m/s\^2\): (-?[\d.]+)", question)[1]) - 9.8)


def by_level(conversation, times):
    return json.dumps({"ranking": [["a", "c"], ["b", "a"], ["c", "b"]][level(conversation[1]["content"]) % 3]})


def test_rankings_become_scores_and_parameters_are_sent(chat, system):
    server = chat(by_level)
    scores = system(server).score(windows(3), LABELS)
    # what is not ranked shares the mean of the ranks that are left
    np.testing.assert_allclose(scores, [[1, 1 / 3, 1 / 2], [1 / 2, 1, 1 / 3], [1 / 3, 1 / 2, 1]])
    body = server.log[0][3]
    assert (body["model"], body["temperature"], body["top_p"], body["seed"]) == ("some-model", 0.0, 1.0, 0)
    assert body["max_tokens"] == 256 and "response_format" not in body


def test_scores_follow_windows_and_labels_whatever_the_order(chat, system):
    asked = system(chat(by_level))
    shown = windows(4)
    scores = asked.score(shown, LABELS)
    np.testing.assert_array_equal(asked.score(shown[::-1], LABELS), scores[::-1])


def test_option_order_by_seed(chat, system):
    def first(conversation, times):
        return '{"ranking": ["a"]}'

    server, chosen = chat(first), []
    for seed in range(6):
        chosen.append(int(system(server, order_seed=seed).score(windows(1), LABELS).argmax()))
    order = [np.random.default_rng(seed).permutation(3)[0] for seed in range(1, 6)]
    assert chosen == [0, *order] and len(set(chosen)) == 3  # the letter stays, the label behind it changes


def test_answers_that_cannot_be_read_are_nan_and_reported(chat, system):
    server = chat(lambda conversation, times: "Hard to say." if level(conversation[1]["content"]) == 1 else "c")
    asked = system(server)
    scores = asked.score(windows(3), LABELS)
    assert np.isnan(scores[1]).all() and (scores[[0, 2]].argmax(1) == 2).all()
    report = asked.report()
    assert asked.title == "Language model, numbers (some-model)"
    assert (report["windows"], report["invalid"], report["invalid_examples"]) == (3, 1, ["Hard to say."])
    assert report["prompts"] == prompts_hash() and report["model"] == "some-model" and report["order_seed"] == 0
    assert report["spent"]["requests"] == 3 and json.dumps(report)
    assert len(server.log) == 3  # nobody is asked again until the answer pleases


@pytest.mark.parametrize("fault", ["rate_limit", "overloaded", "down", "html", "thinking"])
def test_every_fault_once_and_then_the_answer(chat, system, fault):
    server = chat(by_level, fault=lambda stage, text, times: fault if times == 0 else None)
    asked = system(server)
    assert np.isfinite(asked.score(windows(2), LABELS)).all() and len(server.log) == 4
    if fault == "thinking":  # the same words with more room
        assert sorted(entry[3]["max_tokens"] for entry in server.log) == [256, 256, 512, 512]
        assert asked.report()["spent"]["cut_off"] == 2


def test_a_refusal_is_no_answer(chat, system):
    server = chat(by_level, fault=lambda *_: "refusal")
    asked = system(server)
    assert np.isnan(asked.score(windows(2), LABELS)).all() and asked.report()["invalid"] == 2 == len(server.log)


def test_parameters_that_a_server_refuses_are_left_out(chat, system):
    server = chat(by_level, refused=("max_tokens", "temperature", "seed"))
    asked = system(server, endpoint={"workers": 1})
    assert np.isfinite(asked.score(windows(3), LABELS)).all()
    bodies = [entry[3] for entry in server.log]
    assert len(bodies) == 3 + 3  # one more for each of them, once
    assert bodies[-1]["max_completion_tokens"] == 256 and bodies[-1]["top_p"] == 1.0
    assert not {"max_tokens", "temperature", "seed"} & set(bodies[-1])
    assert {f"without_{name}" for name in ("max_tokens", "temperature", "seed")} <= set(asked.report()["spent"])


def test_an_endpoint_that_goes_down_keeps_what_was_answered(chat, system):
    server = chat(by_level)
    server.fault = lambda stage, text, times: "down" if level(text) >= 2 else None
    asked = system(server, endpoint={"workers": 1})
    with pytest.raises(OSError, match="no connection.*3 times; look at the server, then run the same command again"):
        asked.score(windows(4), LABELS)
    server.fault = lambda *_: None
    before = len(server.log)
    again = system(server)
    assert np.isfinite(again.score(windows(4), LABELS)).all()
    assert len(server.log) - before == 2 and again.report()["spent"]["from_cache"] == 2


def test_a_wrong_key_ends_at_once(chat, system):
    server = chat(by_level, fault=lambda *_: "unauthorized")
    with pytest.raises(OSError, match="HTTP 401.*check ANYMO_LM_API_KEY"):
        system(server, endpoint={"workers": 1}).score(windows(6), LABELS)
    assert len(server.log) <= 2  # one may have been under way; none is tried again


def test_a_budget_stops_before_spending_and_the_next_run_goes_on(chat, system):
    server = chat(by_level)
    with pytest.raises(
        OSError, match="budget is reached .*requests would pass 2.*run the same command again with more"
    ):
        system(server, limits=Limits(requests=2), endpoint={"workers": 1}).score(windows(4), LABELS)
    assert len(server.log) == 2
    assert np.isfinite(system(server).score(windows(4), LABELS)).all() and len(server.log) == 4


def test_a_prompt_longer_than_the_context_is_refused_before_it_is_sent(chat, system):
    server = chat(by_level)
    with pytest.raises(ValueError, match="window 0 takes about .* tokens with its answer, and some-model reads 1,000"):
        system(server, context=1000).score(windows(2, places=("waist", "head")), LABELS)
    assert not server.log


def test_a_picture_counts_in_the_context_as_in_the_budget(chat, system):
    server = chat(lambda *_: '{"ranking": ["b"]}')
    with pytest.raises(ValueError, match="window 0 takes about [23],... tokens with its answer"):
        system(server, LanguagePlot, context=1700).score(windows(1), LABELS)
    assert not server.log
    assert system(server, LanguagePlot, context=3000).score(windows(1), LABELS).argmax() == 1


def test_retrieval_ranks_ten_of_a_hundred_candidates(chat, system):
    texts = [f"The person does thing number {number}." for number in range(100)]
    server = chat(lambda conversation, times: json.dumps({"ranking": [7, 100, *range(20, 40)]}))
    scores = system(server).score(windows(1), texts)[0]
    question = server.log[0][1]
    assert "\n7. The person does thing number 6.\n" in question and "100. The person does thing number 99." in question
    assert scores[6] == 1 and scores[99] == 1 / 2 and scores[26] == 1 / 10
    np.testing.assert_allclose(scores[[0, 27, 98]], 1 / 55.5)  # the mean of ranks 11 to 100


def test_the_report_holds_the_words_that_were_asked(chat, system):
    server = chat(by_level)
    asked = system(server)
    assert asked.report()["example"] == []
    asked.score(windows(1), LABELS)
    said = asked.report()
    assert said["example"] == [message["content"] for message in server.log[0][3]["messages"]]
    assert said["wording"]["text"] and json.loads(json.dumps(said)) == said


def test_tokens_are_guessed_from_above_for_numbers_and_words():
    numbers = ", ".join(f"{value:.2f}" for value in np.random.default_rng(0).normal(0, 9, 500))
    digits = sum(map(str.isdigit, numbers))  # a token each where digits are split, and the points, signs and commas
    assert digits * 1.5 < guessed_tokens(numbers) < 2.5 * digits
    words = "The person walks to the kitchen, opens a drawer and takes out a spoon. " * 20
    assert len(words.split()) < guessed_tokens(words) < 2 * len(words.split())


def test_captions_are_one_line(chat, system):
    server = chat(lambda conversation, times: "<think>hm</think>\nThe person\n walks.  ")
    asked = system(server)
    assert asked.caption(windows(2)) == ["The person walks."] * 2
    assert "at most 25 words" in server.log[0][1] and "Options" not in server.log[0][1]
    empty = system(chat(lambda *_: "<think>never ends"))
    empty.client.cache.path.unlink(missing_ok=True)
    assert system(chat(lambda *_: " ")).caption(windows(1, places=("head",))) == [""]


def test_numbers_are_at_ten_hertz_low_passed(chat, system):
    (one,) = windows(1, places=("left_wrist", "waist"))
    conversation = messages(one, LABELS)
    text = conversation[1]["content"]
    for place, signal in one.signals.items():
        block = text.split(f"\n{place.replace('_', ' ')}:\n")[1].split("\n")[:6]
        found = np.array([[float(value) for value in line.split(": ")[1].split(",")] for line in block])
        np.testing.assert_allclose(found, resample(signal, 50.0, 10.0).T, atol=0.00501)
    assert "10 Hz, 20 samples, 2 s" in text and "\na) walking\nb) sitting\nc) running\n" in text
    assert "an accelerometer and a gyroscope on the left wrist and" in text


def test_without_a_gyroscope_none_is_mentioned():
    text = messages(windows(1, channels=3)[0], LABELS)[1]["content"]
    assert "an accelerometer on the waist" in text and "angular velocity x" not in text


def test_hargpt_has_brackets_spaces_and_steps(chat, system):
    server = chat(lambda *_: "1. The signal shakes.\n2. It is not sitting.\n\nAnswer: running")
    asked = system(server, HarGpt)
    scores = asked.score(windows(2), LABELS)
    assert (scores.argmax(1) == 2).all()
    text = server.log[0][1]
    assert "[walking, sitting, running]" in text and "step by step" in text and "expert" in str(server.log[0][3])
    numbers = re.search(r"^3\. z-axis: \[([-\d. ]+)\]$", text, re.M)[1].split(" ")
    assert len(numbers) == 20 and all(re.fullmatch(r"-?\d+\.\d\d", value) for value in numbers)
    assert text.index("Acceleration on") < text.index("Angular velocity on")
    assert server.log[0][3]["max_tokens"] == 1024
    with pytest.raises(ValueError, match="takes 1 to 50 options, got 60"):
        asked.score(windows(1), [f"thing {number}" for number in range(60)])


def test_pictures_are_sent_before_the_question(chat, system):
    from PIL import Image

    server = chat(lambda *_: '{"ranking": ["b"]}')
    assert system(server, LanguagePlot).score(windows(1, places=("waist", "head")), LABELS).argmax() == 1
    image, question = server.log[0][3]["messages"][1]["content"]
    assert question["type"] == "text" and "acceleration x" not in question["text"] and "x red" in question["text"]
    head, data = image["image_url"]["url"].split(",")
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert head == "data:image/png;base64" and picture.size == (1024, 552)


def test_option_keys_go_on_after_z():
    assert option_keys(3) == ["a", "b", "c"] and option_keys(28)[24:] == ["y", "z", "aa", "ab"]
    assert option_keys(51)[-1] == "51" and len(set(option_keys(50))) == 50


def test_a_reply_with_little_room_is_asked_for_again_with_more_wherever_the_server_stands(chat, system):
    short = chat(lambda *_: "Step 1: the signal")
    system(short, endpoint={"max_tokens": 16}).score(windows(2), LABELS)
    assert len(short.log) == 2
    moved = chat(by_level)
    assert np.isnan(system(moved, endpoint={"max_tokens": 16}).score(windows(2), LABELS)).all() and not moved.log
    assert np.isfinite(system(moved, endpoint={"max_tokens": 400}).score(windows(2), LABELS)).all()
    assert len(moved.log) == 2


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("base_url: [http", "model.yaml: is no YAML file .*expected ',' or ']'"),
        (b"\xff\xfemodel: m", "model.yaml: is no YAML file"),
        ("- m", "model.yaml: holds no fields"),
        ("model:", "model.yaml: names no model"),
        ("model: 7", "model.yaml: model must be text, got 7"),
        ("model: m\nworkers: many", "model.yaml: workers must be a whole number, got 'many'"),
        ("model: m\nworkers: 0", "model.yaml: workers must be at least 1, got 0"),
        ("model: m\ncontext: lots", "model.yaml: context must be a whole number, got 'lots'"),
        ("model: m\nrequests: many", "model.yaml: requests must be a whole number or null, got 'many'"),
        (
            "model: m\nprices: cheap",
            "prices must be `name: value` pairs with lists of 2 numbers as values, got 'cheap'",
        ),
        ("model: m\nprices: {m: [1]}", "prices must be"),
        ("model: m\norder_seed: -3", "order_seed must be at least 0, got -3"),
        ("model: m\nmax_tokens: 9", "max_tokens is reply_tokens here; write that"),
    ],
)
def test_a_field_of_a_source_that_cannot_be_is_named_with_its_file(tmp_path, text, match):
    file = tmp_path / "model.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=match):
        read_source(str(file))
    with pytest.raises(ValueError, match="names no model"):
        read_source("@http://127.0.0.1:9/v1")


def test_prices_of_a_source_are_pairs_of_numbers(tmp_path):
    (tmp_path / "model.yaml").write_text("model: m\ncost: 3\nprices: {m: [0.5, 2]}\n")
    limits = read_source(str(tmp_path / "model.yaml"))[2]
    assert limits.cost == 3 and limits.prices == {"m": [0.5, 2]}


def test_sources(tmp_path, monkeypatch):
    monkeypatch.delenv("ANYMO_LM_API_KEY", raising=False)
    settings, endpoint, limits = read_source("org/model@http://127.0.0.1:9/v1", 4)
    assert (settings.model, settings.order_seed, endpoint.base_url) == ("org/model", 4, "http://127.0.0.1:9/v1")
    assert read_source("org/model")[1].base_url is None
    monkeypatch.setenv("ANYMO_LM_API_KEY", "secret")
    file = tmp_path / "model.yaml"
    file.write_text("model: m\nbase_url: http://127.0.0.1:9/v1\ncontext: 99\nworkers: 2\nrequests: 5\norder_seed: 7\n")
    settings, endpoint, limits = read_source(str(file))
    assert (settings.context, settings.order_seed, endpoint.workers, limits.requests) == (99, 7, 2, 5)
    assert endpoint.api_key == "secret"
    file.write_text("model: m\nspeed: 3\n")
    with pytest.raises(ValueError, match="model.yaml: unknown fields speed"):
        read_source(str(file))
    file.write_text("base_url: http://127.0.0.1:9/v1\n")
    with pytest.raises(ValueError, match="names no model"):
        read_source(str(file))
    for name in ("language_text", "language_plot", "hargpt"):
        with pytest.raises(OSError, match="needs an endpoint: give --source MODEL@URL"):
            load_system(name)
    with pytest.raises(OSError, match="no such file"):
        read_source(str(tmp_path / "none.yaml"))


def place(token, **likely):
    top = [{"token": name.replace("_", " "), "logprob": float(np.log(chance))} for name, chance in likely.items()]
    return {"token": token, "logprob": float(np.log(likely.get(token, 0.5))), "top_logprobs": top}


OPTIONS = [LABELS, [*LABELS[::-1], "lying"]]


def test_a_choice_is_scored_by_the_log_probabilities_of_its_key(chat, system):
    def likely(conversation):
        return {"content": [place("B", B=0.5, A=0.2, _A=0.1, hmm=0.01)]}

    server = chat(lambda conversation, times: "B", likely=likely)
    first, second = system(server).choose(windows(2), OPTIONS)
    assert (first.read, first.written, second.read) == (1, "B", 1)
    # both spellings of A count; C is half as likely as the least that the server names
    np.testing.assert_allclose(np.exp(first.log_probabilities), [0.3, 0.5, 0.005], rtol=1e-6)
    np.testing.assert_allclose(np.exp(second.log_probabilities), [0.3, 0.5, 0.005, 0.005], rtol=1e-6)
    body = server.log[0][3]
    assert body["logprobs"] is True and body["top_logprobs"] == 20
    asked = body["messages"][1]["content"]
    assert "A) " in asked and "one letter and nothing else" in asked and "{" not in asked
    again = system(server).choose(windows(2), OPTIONS)
    assert again == [first, second] and len(server.log) == 2  # log-probabilities are kept with the replies


def test_the_key_is_found_behind_other_words_and_prose_is_scored_at_its_first_token(chat, system):
    said = {
        "The answer is C": [place("The", The=0.9, A=0.05), place(" C", _C=0.6, _B=0.3)],
        "Hm": [place("Hm", Hm=0.9, B=0.1)],
    }
    for text, content in said.items():
        (one,) = system(
            chat(lambda *_, text=text: text, likely=lambda _, content=content: {"content": content})
        ).choose(windows(1, seconds=1 + len(text) / 50), [LABELS])
        assert int(np.argmax(one.log_probabilities)) == (2 if "C" in text else 1)
        assert one.read == (2 if "C" in text else None)


@pytest.mark.parametrize(
    "wrong",
    [None, {}, {"content": None}, {"content": [{"token": "A"}]}, {"content": [{"logprob": -1.0, "token": 3}]}, [],
     {"content": [{"token": "A", "logprob": "high"}]}, {"content": []}],
)  # fmt: skip
def test_log_probabilities_of_another_form_are_none_and_the_written_answer_counts(chat, system, wrong):
    (one,) = system(chat(lambda *_: "A", likely=lambda _: wrong)).choose(windows(1), [LABELS])
    assert one.log_probabilities is None and one.read == 0


def test_a_server_that_refuses_log_probabilities_is_asked_without_them(chat, system):
    server = chat(lambda *_: "c) running", refused=("top_logprobs", "logprobs"))
    asked = system(server)
    (one,) = asked.choose(windows(1), [LABELS])
    assert one.read == 2 and one.log_probabilities is None
    assert "logprobs" not in server.log[-1][3] and asked.client.counts["without_top_logprobs"] == 1


def test_over_52_options_and_windows_without_options_are_refused(chat, system):
    asked = system(chat(by_level))
    with pytest.raises(ValueError, match="at most 52 options, got 53"):
        asked.choose(windows(1), [[f"activity {k}" for k in range(53)]])
    with pytest.raises(ValueError, match="need options for each window, got 2 and 1"):
        asked.choose(windows(2), [LABELS])
    assert not HarGpt.can("choose") and LanguagePlot.can("choose")


def test_choices_of_an_endpoint_have_a_row_that_says_why_log_probabilities_lack(chat, system, tmp_path):
    from anymo_hf.evaluation.multiple_choice import Questions, evaluate_choices
    from anymo_hf.evaluation.tables import make_tables

    asked = Questions("wisdm", tuple(windows(2)), ("walking", "sitting"), (tuple(LABELS),) * 2)
    server = chat(lambda *_: "A")
    (line, _) = evaluate_choices(system(server), asked, tmp_path / "out")
    assert "the server gives no log-probabilities of the options, by generation 50.0 with 0.0 invalid" in line
    (table,) = make_tables("recognition", tmp_path / "out")
    assert table.rows[0][5] == "the server gives no log-probabilities of the options" and table.rows[0][8] == "50.0"
    other = system(server)
    other.title = "Language model, numbers (other-model)"
    with pytest.raises(ValueError, match="of other weights or settings of language_text .title .*other-model"):
        list(evaluate_choices(other, asked, tmp_path / "out"))
