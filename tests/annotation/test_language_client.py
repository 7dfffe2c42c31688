"""Questions over real HTTP: answers, every fault, patience, budget and cache."""

import json
import threading
import time
import traceback
from email.utils import formatdate

import pytest

from anymo_hf.annotation.labelling import free_label
from anymo_hf.annotation.language_client import BudgetReached, Endpoint, LanguageClient, Limits, Question, text_object
from anymo_hf.annotation.stage_cache import StageCache

QUICK = {"first_wait": 0.01, "longest_wait": 2.0, "timeout": 10.0, "workers": 4}


def client(server, folder, limits=None, **options):
    return LanguageClient(Endpoint(server.url, **(QUICK | options)), StageCache(folder / "replies.jsonl"), limits)


def close(*clients):
    for one in clients:
        one.cache.close()


def once(fault):
    return lambda stage, user, times: fault if times == 0 else None


@pytest.mark.parametrize(
    ("fault", "count"),
    [
        ("rate_limit", "http_429"), ("overloaded", "http_503"), ("gateway", "http_524"), ("hang", "timeouts"),
        ("drop", "lost_connections"),
        ("no_chat", "broken_replies"), ("refusal", "refusals"), ("apology", "refusals"), ("filter", "refusals"),
        ("broken_json", "broken_json"), ("cut_off", "cut_off"), ("wrong", None),
    ],
)  # fmt: skip
def test_every_fault_once_and_then_the_answer(serve, tmp_path, fault, count):
    asking = client(server := serve(once(fault)), tmp_path, timeout=0.4 if fault == "hang" else 10.0)
    schema = text_object(label={"type": "string", "enum": ["sitting", "no such label"]})

    def read(answer):
        if answer["label"] != "sitting":
            raise ValueError("not in the list")
        return answer["label"]

    server.answers["classify"] = lambda user, times: {"label": "sitting"}
    assert asking.ask(Question("m", "classify", "s", "Description: sits", schema, read)) == "sitting"
    assert asking.counts["requests"] == 2 and len(server.log) == 2
    assert asking.counts[count or "wrong_answers"] == 1
    if count == "cut_off":
        assert [entry[3]["max_tokens"] for entry in server.log] == [4096, 8192]
    elif asking.counts["retries"] == 0:  # told what was wrong
        assert len(server.log[1][3]["messages"]) == 4
    close(asking)


def test_the_schema_and_the_key_are_sent_as_openai_wants_them(serve, tmp_path):
    server = serve()
    asking = client(server, tmp_path, api_key="secret", token_field="max_completion_tokens", reasoning_effort="high")
    assert free_label("walks", asking, "some-model") == "The walks!"
    body = server.log[0][3]
    assert body["response_format"]["type"] == "json_schema" and body["response_format"]["json_schema"]["strict"] is True
    assert body["model"] == "some-model" and body["max_completion_tokens"] == 4096 and "max_tokens" not in body
    assert body["reasoning_effort"] == "high" and server.keys == ["Bearer secret"]
    close(asking)
    assert "secret" not in (tmp_path / "replies.jsonl").read_text() and "secret" not in repr(asking.endpoint)


@pytest.mark.parametrize("fault", ["unauthorized", "no_chat", "broken_json", "drop"])
def test_a_key_stands_in_no_log_message_or_file_whatever_goes_wrong(serve, tmp_path, caplog, capfd, fault):
    caplog.set_level("DEBUG")
    asking = client(serve(lambda *_: fault), tmp_path, Limits(requests=3), api_key="hf_very-secret", longest_wait=0.02)
    try:
        said = repr(free_label("walks", asking, "m"))
    except Exception as error:
        said = "".join(traceback.format_exception(error))
    close(asking)
    written = capfd.readouterr()
    files = [path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    for text in (said, caplog.text, written.out, written.err, repr(asking), repr(asking.endpoint), *files):
        assert "very-secret" not in text


def test_text_generation_inference_gets_its_own_form(serve, tmp_path):
    asking = client(server := serve(), tmp_path, schema_style="tgi")
    assert free_label("walks", asking, "m") == "The walks!"
    shape = server.log[0][3]["response_format"]
    assert shape["type"] == "json_object" and set(shape["value"]["properties"]) == {"label"}
    close(asking)


def test_a_foreign_server_is_not_sent_the_hub_token(serve, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_private")
    asking = client(server := serve(), tmp_path)
    free_label("walks", asking, "m")
    assert "hf_private" not in str(server.keys)
    close(asking)


def test_the_router_needs_a_token_and_a_known_provider(serve, tmp_path, monkeypatch):
    from huggingface_hub.inference._providers import CONVERSATIONAL_AUTO_ROUTER

    server = serve()
    monkeypatch.setattr(CONVERSATIONAL_AUTO_ROUTER, "base_url", server.url.removesuffix("/v1"))
    monkeypatch.setattr("anymo_hf.annotation.language_client.get_token", lambda: None)
    with StageCache(tmp_path / "r.jsonl") as cache:
        with pytest.raises(OSError, match="run hf auth login, set ANYMO_LM_API_KEY"):
            free_label("walks", LanguageClient(Endpoint(), cache), "org/model")
        with pytest.raises(ValueError, match="'nobody' not supported.*check the provider"):
            free_label("walks", LanguageClient(Endpoint(api_key="k", provider="nobody"), cache), "org/model")
        asking = LanguageClient(Endpoint(api_key="hf_k"), cache)
        assert free_label("walks", asking, "org/model") == "The walks!"
    assert server.keys == ["Bearer hf_k"] and server.log[0][3]["model"] == "org/model"
    assert server.log[0][3]["response_format"]["json_schema"]["strict"] is True


@pytest.mark.parametrize("kind", ["fenced", "bare"])
def test_fences_thoughts_and_missing_fields_are_no_fault(serve, tmp_path, kind):
    asking = client(serve(lambda *_: kind), tmp_path)
    assert free_label("walks", asking, "m") == "The walks!" and asking.counts["requests"] == 1
    close(asking)


@pytest.mark.parametrize("fault", ["refusal", "broken_json"])
def test_stubborn_faults_end_and_are_not_asked_again(serve, tmp_path, fault):
    server = serve(lambda *_: fault)
    asking = client(server, tmp_path, reasks=2)
    assert free_label("walks", asking, "m") is None
    assert len(server.log) == 3 and asking.counts["unanswered"] == 1
    close(asking)
    again = client(server, tmp_path, reasks=2)
    assert free_label("walks", again, "m") is None and len(server.log) == 3
    close(again)
    server.fault = lambda *_: None
    more = client(server, tmp_path, reasks=3)  # one more than before: goes on where it ended
    assert free_label("walks", more, "m") == "The walks!" and len(server.log) == 4
    close(more)


@pytest.mark.parametrize("date", [False, True])
def test_retry_after_holds_for_all_threads(serve, tmp_path, date):
    lock, arrivals = threading.Lock(), []

    def fault(stage, user, times):
        with lock:
            arrivals.append(time.monotonic())
            return "rate_limit" if len(arrivals) == 1 else None

    # a date has whole seconds, so 2 s ahead is 1 to 2 s
    server = serve(fault, retry_after=lambda: formatdate(time.time() + 2, usegmt=True) if date else "0.4")
    asking = client(server, tmp_path, workers=1 if date else 2, longest_wait=3)
    assert asking.map(lambda text: free_label(text, asking, "m"), ["a", "b", "c"], "label")
    # one request may have been under way when the server asked for rest
    assert max(b - a for a, b in zip(arrivals, arrivals[1:], strict=False)) > (0.9 if date else 0.3)
    close(asking)


def test_a_thread_that_ends_without_an_answer_is_told(serve, tmp_path, monkeypatch):
    """As one does whose memory ends between two questions."""

    def ends(item):
        raise MemoryError

    monkeypatch.setattr("concurrent.futures.thread._WorkItem.run", ends)
    asking = client(serve(), tmp_path, workers=2)
    with pytest.raises(MemoryError, match="a thread that asks the language model ended"):
        asking.map(str, ["a", "b", "c"], "label")
    close(asking)


def test_a_server_that_wants_a_long_rest_or_stays_busy_ends_the_run(serve, tmp_path):
    asking = client(serve(lambda *_: "rate_limit", retry_after=lambda: "3600"), tmp_path)
    with pytest.raises(OSError, match="asks to wait 3600 s.*run the same command again later"):
        free_label("walks", asking, "m")
    close(asking)
    busy = client(server := serve(lambda *_: "overloaded"), tmp_path, tries=3)
    with pytest.raises(OSError, match="HTTP 503.*3 times.*goes on where it stopped"):
        free_label("walks", busy, "m")
    assert len(server.log) == 3
    close(busy)


def test_a_wrong_key_ends_the_run_at_once(serve, tmp_path):
    asking = client(server := serve(lambda *_: "unauthorized"), tmp_path)
    with pytest.raises(OSError, match="HTTP 401.*check ANYMO_LM_API_KEY"):
        asking.map(lambda text: free_label(text, asking, "m"), [str(n) for n in range(50)], "label")
    assert len(server.log) <= 2 * QUICK["workers"]  # those under way, or begun before the error was seen
    close(asking)


def test_a_model_that_never_answers_ends_the_run_and_another_schema_style_is_asked_anew(serve, tmp_path):
    server = serve(lambda *_: "broken_json")
    asking = client(server, tmp_path, reasks=0)
    with pytest.raises(
        OSError, match="no usable answer to 20 questions free_label; the last: it is not JSON.*replies.jsonl"
    ):
        asking.map(lambda text: free_label(text, asking, "m"), [f"walks {n}" for n in range(100)], "label")
    assert 20 <= len(server.log) < 40
    close(asking)
    server.fault = lambda *_: None
    again = client(server, tmp_path, reasks=0, schema_style="tgi")
    assert None not in again.map(lambda text: free_label(text, again, "m"), [f"walks {n}" for n in range(25)], "label")
    close(again)


@pytest.mark.parametrize("fault", ["no_credit", "no_quota"])
def test_an_empty_account_ends_the_run_at_once(serve, tmp_path, fault):
    asking = client(server := serve(lambda *_: fault), tmp_path)
    with pytest.raises(OSError, match="top up the account, then run the same command again"):
        free_label("walks", asking, "m")
    assert len(server.log) == 1 and len(asking.cache) == 0
    close(asking)


def test_offline_is_named_with_the_mend(serve, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    asking = client(serve(), tmp_path)
    with pytest.raises(OSError, match="set HF_HUB_OFFLINE=0"):
        free_label("walks", asking, "m")
    close(asking)


def test_requests_stay_within_the_limit_of_workers(serve, tmp_path):
    asking = client(server := serve(delay=0.02), tmp_path, workers=3)
    texts = [f"t{n}" for n in range(12)]
    assert asking.map(lambda text: free_label(text, asking, "m"), texts, "label") == [f"The {t}!" for t in texts]
    assert 2 <= server.most_under_way <= 3
    close(asking)


@pytest.mark.parametrize(
    "limits",
    [Limits(requests=5), Limits(tokens=5000), Limits(cost=6.0, prices={"m": (1e3, 1e5)}), Limits(requests=0)],
)
def test_a_budget_is_never_passed_and_says_how_far_it_came(serve, tmp_path, limits):
    server = serve(delay=0.01)
    asking = client(server, tmp_path, limits, max_tokens=1000 if limits.tokens else 10)
    texts = [f"t{n}" for n in range(500)]
    with pytest.raises(BudgetReached, match=r"would pass .*; (\d+) of 500 done") as stop:
        asking.map(lambda text: free_label(text, asking, "m"), texts, "label")
    close(asking)
    kept = len((tmp_path / "replies.jsonl").read_text().splitlines())
    assert f"; {kept} of 500" in str(stop.value) and kept == len(server.log)  # all that was paid for is kept
    assert asking.counts["requests"] <= (500 if limits.requests is None else limits.requests)
    assert asking.counts["tokens_in"] == 10 * kept and asking.counts["tokens_out"] == 5 * kept
    assert asking.counts["tokens_in"] + asking.counts["tokens_out"] <= (limits.tokens or 10**9)
    if limits.cost:
        assert asking.cost == pytest.approx(kept * (10 * 1e3 + 5 * 1e5) / 1e6) and 0 < asking.cost <= limits.cost
    unlimited = client(server, tmp_path)
    unlimited.map(lambda text: free_label(text, unlimited, "m"), texts[: kept + 5], "label")
    assert len(server.log) <= kept + 5 and len(set(server.answered())) == len(server.answered())
    close(unlimited)


def test_a_limit_of_cost_needs_prices(serve, tmp_path):
    asking = client(serve(), tmp_path, Limits(cost=1.0))
    with pytest.raises(ValueError, match="--price 'm=IN/OUT'"):
        free_label("walks", asking, "m")
    close(asking)


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "localhost"},
        {"workers": 0},
        {"tries": 0},
        {"schema_style": "x"},
        {"first_wait": 9, "longest_wait": 1},
    ],
)
def test_impossible_endpoints_are_refused(options):
    with pytest.raises(ValueError):
        Endpoint(**options)


def test_another_limit_of_reply_tokens_asks_nothing_again(serve, tmp_path):
    first = client(server := serve(), tmp_path)
    free_label("walks", first, "m")
    close(first)
    second = client(server, tmp_path, max_tokens=77)
    free_label("walks", second, "m")
    free_label("walks", second, "other-model")
    close(second)
    assert [json.loads(line)["model"] for line in (tmp_path / "replies.jsonl").open()] == ["m", "other-model"]
    assert len(server.log) == 2
