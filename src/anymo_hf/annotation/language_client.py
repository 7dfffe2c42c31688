"""Questions to a language model: structured answers, checked, kept, paid for within a budget.

Every reply is kept as it came, usable or not, under a hash of model, messages and schema. A run that is started again
therefore goes through the same conversations without asking, up to the first message that was never answered.
"""

from __future__ import annotations

import json
import math
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar, cast

import httpx2
from huggingface_hub import InferenceClient, get_token
from huggingface_hub.errors import HfHubHTTPError, InferenceTimeoutError, OfflineModeIsEnabled

from ..refusals import parse_json
from .stage_cache import StageCache, key_of

Item = TypeVar("Item")
Answer = TypeVar("Answer")
_TRANSIENT = (408, 409, 425, 429, *range(500, 600))  # gateways have numbers of their own above 504
_NO_CREDIT = ("insufficient_quota", "exceeded your current quota")  # OpenAI says so with 429, as if waiting helped
_REFUSED = ("content_filter", "content_policy", "responsible_ai")
_REFUSAL = re.compile(
    r"^\W*(i['’]?m (very )?sorry|sorry\b|as an ai\b|i (can['’]?t|cannot|can not|won['’]?t|am unable|am not able)\b)",
    re.I,
)
_BROKEN = (json.JSONDecodeError, UnicodeDecodeError)
_LOOK = 1.0  # seconds without an answer after which threads are looked at
_HOPELESS = 20  # questions without a usable answer, and none with one: the model cannot do it
# characters of a token, to guess tokens from above: English words have about four, and in lists of numbers such as
# 0.12, -3.4 a tokenizer that splits digits has 1.3 (SmolLM2 reads 1,735 tokens in 2,255 characters)
_LETTERS, _OTHERS = 3, 1.2
_WORD = re.compile(r"[^\W\d_]+ ?")
PICTURE_TOKENS = 1600  # of a picture, guessed likewise
_ADJUSTABLE = (
    "max_tokens",
    "temperature",
    "top_p",
    "seed",
    "reasoning_effort",
    "top_logprobs",
    "logprobs",
)  # closed models refuse some of them


def guessed_tokens(text: str) -> int:
    """How many tokens a text takes, guessed from above, so that no budget is overrun and no prompt is cut."""
    rest = _WORD.sub("", text)
    return math.ceil((len(text) - len(rest)) / _LETTERS + len(rest) / _OTHERS)


class BudgetReached(Exception):
    """The budget does not allow the next request; what was answered is kept."""


class Unanswered(Exception):
    """No usable reply to a question after all re-asks."""


@dataclass(frozen=True)
class Endpoint:
    """Where models are, and how patient to be with them.

    Args:
        base_url: of an OpenAI-compatible server or a Hugging Face endpoint; None for Hugging Face's router.
        api_key: without it Hugging Face's router gets the stored token, other servers none.
        provider: of the router, such as "auto" or "together".
        schema_style: how the schema is sent: "openai" (`json_schema`) or "tgi" (`json_object` with a value).
        token_field: name of the limit of a reply; OpenAI's newer models want "max_completion_tokens".
        max_tokens: of a reply, reasoning included.
        reasoning_effort: sent to the server where given, such as "high".
        timeout: seconds of one request.
        tries: requests for one reply, while the server is busy or out of reach.
        reasks: further questions after a refusal or an unusable reply.
        first_wait: seconds before the second try; doubles with each, with jitter.
        longest_wait: seconds; a server that asks for a longer rest ends the run.
        workers: requests at a time.
    """

    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    provider: str = "auto"
    schema_style: str = "openai"
    token_field: str = "max_tokens"
    max_tokens: int = 4096
    reasoning_effort: str | None = None
    timeout: float = 120.0
    tries: int = 6
    reasks: int = 2
    first_wait: float = 1.0
    longest_wait: float = 300.0
    workers: int = 8

    def __post_init__(self) -> None:
        if self.base_url is not None and not self.base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url must start with http:// or https://, got {self.base_url!r}")
        if self.schema_style not in ("openai", "tgi"):
            raise ValueError(f"schema_style must be openai or tgi, got {self.schema_style!r}")
        if self.token_field not in ("max_tokens", "max_completion_tokens"):
            raise ValueError(f"token_field must be max_tokens or max_completion_tokens, got {self.token_field!r}")
        for name, least in (("max_tokens", 1), ("tries", 1), ("reasks", 0), ("workers", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.timeout <= 0 or not 0 <= self.first_wait <= self.longest_wait:
            raise ValueError("timeout must be above 0, and first_wait between 0 and longest_wait")


@dataclass(frozen=True)
class Limits:
    """What a run may spend; None is no limit.

    Args:
        requests: HTTP requests, failed ones included.
        tokens: of prompts and replies.
        cost: in the currency of `prices`.
        prices: model -> price of a million prompt tokens and of a million reply tokens.
    """

    requests: int | None = None
    tokens: int | None = None
    cost: float | None = None
    prices: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("requests", "tokens", "cost"):
            if (most := getattr(self, name)) is not None and most < 0:
                raise ValueError(f"{name} must be at least 0, got {most}")


@dataclass(frozen=True)
class Question:
    """A question with an answer of known shape.

    Args:
        model: name as the server knows it.
        name: of the schema, letters and underscores.
        system: what stays the same from question to question; comes first, so that servers may cache it.
        user: the question.
        schema: JSON schema of the answer, an object.
        read: makes the answer from the parsed object; ValueError says to the model what is wrong.
        sample: number of the independent sample, where one question is asked more than once.
    """

    model: str
    name: str
    system: str
    user: str
    schema: dict[str, Any]
    read: Callable[[dict[str, Any]], Any]
    sample: int = 0


@dataclass(frozen=True)
class _Request:
    """One request as it is sent."""

    model: str
    name: str
    messages: list[dict[str, Any]]
    max_tokens: int
    response_format: dict[str, Any] | None
    parameters: dict[str, Any] = field(default_factory=dict)

    def guess(self) -> int:
        """Tokens of the prompt, from above."""
        count = 1
        for message in self.messages:
            content = message["content"]
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            count += sum(guessed_tokens(part["text"]) if part["type"] == "text" else PICTURE_TOKENS for part in parts)
        return count


class _OpenAIClient(InferenceClient):
    """Sends `json_schema` as it is: with a base URL the parent rewrites it for text-generation-inference."""

    def _inner_post(self, request_parameters: Any, *, stream: bool = False) -> Any:
        payload = request_parameters.json
        shape = payload.get("response_format", {})
        if "value" in shape:
            shape = {"name": "answer", "schema": shape["value"], "strict": True}
            payload["response_format"] = {"type": "json_schema", "json_schema": shape}
        return super()._inner_post(request_parameters, stream=stream)


class LanguageClient:
    """Asks questions, in threads, with a cache and a budget; `counts` says what happened.

    Args:
        endpoint: the server.
        cache: where replies are kept.
        limits: what this client may spend.

    Raises:
        ValueError: a limit of cost without prices, at the first question to a model that has none.
    """

    def __init__(self, endpoint: Endpoint, cache: StageCache, limits: Limits | None = None) -> None:
        self.endpoint, self.cache, self.limits = endpoint, cache, limits or Limits()
        self.counts: Counter[str] = Counter()
        self.cost = 0.0
        if endpoint.base_url is None:
            self._client = InferenceClient(
                provider=cast(Any, endpoint.provider), api_key=endpoint.api_key, timeout=endpoint.timeout
            )
        else:
            kind = _OpenAIClient if endpoint.schema_style == "openai" else InferenceClient
            # without a key of its own a foreign server would be sent the user's Hugging Face token
            key = endpoint.api_key or "none"
            self._client = kind(base_url=endpoint.base_url, api_key=key, timeout=endpoint.timeout)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._not_before = 0.0  # monotonic seconds; a busy server's rest holds for all threads
        self._held = Counter[str]()  # worst case of the requests under way
        self._held_cost = 0.0
        self._jitter = random.Random()
        self._useful: set[tuple[str, str]] = set()  # model and name of questions that were answered ever
        self._useless = Counter[tuple[str, str]]()
        self._refused: dict[str, set[str]] = {}  # model -> parameters that its server does not take

    # -- one question --------------------------------------------------------------------------------------------------

    def ask(self, question: Question) -> Any:
        """The answer, from the cache where it was given before.

        Raises:
            Unanswered: refused or unusable, re-asks included.
            BudgetReached: the next request is not paid for.
            OSError: the server cannot be reached, rejects the request, stays busy, or the model cannot answer at all.
        """
        messages = [{"role": "system", "content": question.system}, {"role": "user", "content": question.user}]
        room = 1  # times max_tokens; that itself is not in the key, so that another limit does not ask all again
        for _ in range(self.endpoint.reasks + 1):
            # another form of the schema is asked anew: the first may have been ignored
            style = [] if self.endpoint.schema_style == "openai" else [self.endpoint.schema_style]
            key = key_of(question.model, messages, question.schema, question.sample, room, *style)
            shape = {"name": question.name, "schema": question.schema, "strict": True}
            reply = self._reply(key, _Request(
                question.model, question.name, messages, room * self.endpoint.max_tokens,
                {"type": "json_schema", "json_schema": shape},
            ))  # fmt: skip
            kind, value = _understand(reply, question.read)
            if kind == "answer":
                self._useful.add((question.model, question.name))
                return value
            with self._lock:
                self.counts[kind] += 1
            if kind == "cut_off":  # the same words again with more room
                room *= 2
            else:
                messages = messages + [
                    {"role": "assistant", "content": reply["text"] or "(nothing)"},
                    {"role": "user", "content": f"That is not usable: {value}. Answer with the JSON object only."},
                ]
        with self._lock:
            self.counts["unanswered"] += 1
            self._useless[question.model, question.name] += 1
        told = (question.model, question.name)
        if told not in self._useful and self._useless[told] >= _HOPELESS:
            raise OSError(
                f"{self._where(question.model)}: no usable answer to {_HOPELESS} questions {question.name}; the last: "
                f"{value}; see {self.cache.path}, and try another schema_style or model"
            )
        raise Unanswered(f"{question.name}: {kind}: {value}")

    def reply(
        self, model: str, name: str, messages: list[dict[str, Any]], sample: int = 0, **parameters: Any
    ) -> dict[str, Any]:
        """The reply as it came, from the cache where it was given before; nobody is asked again for its content.

        The cache knows a reply by model, room and effort, wherever the server stands. A reply without text that
        was cut off, as thinking does, is asked for again with twice the room. A parameter that the server refuses by name is
        left out from then on.

        Args:
            name: of the stage, for the cache's records.
            messages: as OpenAI takes them; content may have pictures.
            sample: number of the independent sample.
            parameters: such as temperature, top_p and seed.

        Returns:
            `text`, `refusal`, `finish` and `tokens`; where `logprobs` was asked for and the server gives them, also
            `logprobs`: of each token written its text and the log-probabilities of those likeliest in its place.

        Raises:
            BudgetReached, OSError: as `ask`.
        """
        room = 1
        for attempt in range(self.endpoint.reasks + 1):
            tokens = room * self.endpoint.max_tokens
            effort = [] if self.endpoint.reasoning_effort is None else [self.endpoint.reasoning_effort]
            key = key_of(model, messages, parameters, sample, tokens, *effort)
            request = _Request(model, name, messages, tokens, None, parameters)
            found = self._reply(key, request)
            if found.get("finish") != "length" or without_thoughts(found["text"]) or attempt == self.endpoint.reasks:
                break
            with self._lock:
                self.counts["cut_off"] += 1
            room *= 2
        return found

    def _reply(self, key: str, request: _Request) -> dict[str, Any]:
        reply = self.cache.get(key)
        if reply is None:
            return self._post(key, request)
        with self._lock:
            self.counts["from_cache"] += 1
        return reply

    def _post(self, key: str, request: _Request) -> dict[str, Any]:
        if self.endpoint.base_url is None and not (self.endpoint.api_key or get_token()):
            raise OSError(
                "Hugging Face's router needs a token: run hf auth login, set ANYMO_LM_API_KEY, or name another server "
                "(base_url)"
            )
        guess, record = request.guess(), {"stage": request.name, "model": request.model}
        where = self._where(request.model)
        problem, attempt = "", -1
        while attempt + 1 < self.endpoint.tries:
            attempt += 1
            self._rest()
            price = self._reserve(request.model, guess, request.max_tokens)
            used = (0, 0)
            extra = self._parameters(request)
            options: dict[str, Any] = {"extra_body": extra}
            if request.response_format is not None:
                options["response_format"] = request.response_format
            try:
                output = self._client.chat_completion(request.messages, model=request.model, **options)  # type: ignore[call-overload]
                reply, used = _reply(output, guess)
                return self.cache.put(key, record | reply)
            except OfflineModeIsEnabled as error:
                raise OSError(
                    "HF_HUB_OFFLINE forbids every request, local servers included; set HF_HUB_OFFLINE=0"
                ) from error
            except HfHubHTTPError as error:
                status = error.response.status_code
                problem = f"HTTP {status}: {_body(error)}"
                if status in (400, 403, 422) and any(word in problem for word in _REFUSED):
                    reply = {"text": "", "refusal": problem, "finish": "content_filter", "tokens": [0, 0]}
                    return self.cache.put(key, record | reply)
                if status == 429 and any(word in problem for word in _NO_CREDIT):
                    status = 402
                if status in (400, 422) and self._left_out(request, problem, extra):
                    attempt -= 1  # the server was not busy
                    continue
                if status not in _TRANSIENT:
                    raise OSError(f"{where}: {problem}; {_mend(status)}") from error
                self._back_off(attempt, _retry_after(error), where, f"http_{status}")
            except InferenceTimeoutError:
                problem = f"no reply within {self.endpoint.timeout:g} s"
                self._back_off(attempt, None, where, "timeouts")
            except httpx2.TransportError as error:
                problem = f"no connection ({error or type(error).__name__})"
                self._back_off(attempt, None, where, "lost_connections")
            except (*_BROKEN, KeyError, TypeError, AttributeError, IndexError) as error:
                problem = f"not a chat completion ({error!r})"
                self._back_off(attempt, None, where, "broken_replies")
            except ValueError as error:  # the request could not even be made
                raise ValueError(f"{where}: {error}; check the provider and the model's name") from error
            finally:
                self._release(price, guess, request.max_tokens, used)
        raise OSError(
            f"{where}: {problem}, {self.endpoint.tries} times; look at the server, then run the same "
            "command again: it goes on where it stopped"
        )

    def _parameters(self, request: _Request) -> dict[str, Any]:
        """What is sent beside the messages, less what this model's server refused."""
        refused = self._refused.get(request.model, set())
        field_name = "max_completion_tokens" if "max_tokens" in refused else self.endpoint.token_field
        extra: dict[str, Any] = {field_name: request.max_tokens}
        if self.endpoint.reasoning_effort is not None:
            extra["reasoning_effort"] = self.endpoint.reasoning_effort
        return {name: value for name, value in (extra | request.parameters).items() if name not in refused}

    def _left_out(self, request: _Request, problem: str, sent: dict[str, Any]) -> bool:
        """Whether a refused request names a parameter that can be left out; it is, from now on."""
        with self._lock:
            refused = self._refused.setdefault(request.model, set())
            for name in _ADJUSTABLE:
                if name in sent and name not in refused and re.search(rf"\b{name}\b", problem):
                    refused.add(name)
                    self.counts[f"without_{name}"] += 1
                    return True
        return False

    def _where(self, model: str) -> str:
        return f"{self.endpoint.base_url or 'Hugging Face router'}, model {model!r}"

    # -- patience ------------------------------------------------------------------------------------------------------

    def _rest(self) -> None:
        while not self._stop.is_set() and (left := self._not_before - time.monotonic()) > 0:
            self._stop.wait(left)
        if self._stop.is_set():
            raise BudgetReached("stopped")

    def _back_off(self, attempt: int, asked: float | None, where: str, kind: str) -> None:
        with self._lock:
            self.counts["retries"] += 1
            self.counts[kind] += 1
        if asked is not None and asked > self.endpoint.longest_wait:
            raise OSError(
                f"{where}: asks to wait {asked:g} s, longer than longest_wait "
                f"({self.endpoint.longest_wait:g} s); run the same command again later: it goes on where it stopped"
            )
        if attempt + 1 == self.endpoint.tries:
            return
        own = min(self.endpoint.longest_wait, self.endpoint.first_wait * 2**attempt) * self._jitter.uniform(0.5, 1.0)
        if asked is not None:
            with self._lock:
                self._not_before = max(self._not_before, time.monotonic() + asked)
        self._stop.wait(own)

    # -- money ---------------------------------------------------------------------------------------------------------

    def _reserve(self, model: str, prompt: int, reply: int) -> tuple[float, float]:
        """Price of a token in and out; holds the worst case of a request, so that threads together stay within."""
        limits = self.limits
        price = limits.prices.get(model)
        if price is None:
            if limits.cost is not None:
                raise ValueError(
                    f"a limit of cost needs the price of {model!r}; give --price '{model}=IN/OUT' per million, in YAML "
                    f"prices: {{{model}: [IN, OUT]}}"
                )
            price = (0.0, 0.0)
        price = (price[0] / 1e6, price[1] / 1e6)
        with self._lock:
            tokens = self.counts["tokens_in"] + self.counts["tokens_out"] + self._held["tokens"] + prompt + reply
            cost = self.cost + self._held_cost + prompt * price[0] + reply * price[1]
            for name, would, most in (
                ("requests", self.counts["requests"] + 1, limits.requests),
                ("tokens", tokens, limits.tokens),
                ("cost", cost, limits.cost),
            ):
                if most is not None and would > most:
                    raise BudgetReached(f"{name} would pass {most:,}")
            self.counts["requests"] += 1
            self._held["tokens"] += prompt + reply
            self._held_cost += prompt * price[0] + reply * price[1]
        return price

    def _release(self, price: tuple[float, float], prompt: int, reply: int, used: tuple[int, int]) -> None:
        with self._lock:
            self._held["tokens"] -= prompt + reply
            self._held_cost -= prompt * price[0] + reply * price[1]
            self.counts["tokens_in"] += used[0]
            self.counts["tokens_out"] += used[1]
            self.cost += used[0] * price[0] + used[1] * price[1]

    # -- many questions ------------------------------------------------------------------------------------------------

    def map(self, work: Callable[[Item], Answer], items: Sequence[Item], title: str) -> list[Answer]:
        """`work` of every item, in their order, in threads, with a progress bar.

        Raises:
            BudgetReached: says how many items are done. Requests under way are awaited and kept, here and on any error.
            OSError: as `ask`.
        """
        from tqdm import tqdm

        answers: dict[int, Answer] = {}
        waiting: dict[Future[Answer], int] = {}
        threads: list[threading.Thread] = []
        failure: BaseException | None = None
        upcoming = iter(enumerate(items))
        with (
            ThreadPoolExecutor(
                self.endpoint.workers, initializer=lambda: threads.append(threading.current_thread())
            ) as pool,
            tqdm(total=len(items), desc=title, unit="item", delay=1, disable=None) as bar,
        ):
            try:
                while True:
                    while failure is None and len(waiting) < 2 * self.endpoint.workers:
                        if (task := next(upcoming, None)) is None:
                            break
                        waiting[pool.submit(work, task[1])] = task[0]
                    if not waiting:
                        break
                    done, _ = wait(waiting, timeout=_LOOK, return_when=FIRST_COMPLETED)
                    if not done and not all(thread.is_alive() for thread in threads):  # it took its question along
                        raise MemoryError("a thread that asks the language model ended")
                    for future in done:
                        index = waiting.pop(future)
                        error = None if future.cancelled() else future.exception()
                        if future.cancelled():
                            continue
                        if error is None:
                            answers[index] = future.result()
                            bar.update()
                        elif (
                            failure is None
                            or isinstance(failure, BudgetReached)
                            and not isinstance(error, BudgetReached)
                        ):
                            failure = error
                            self._stop.set()
                            for other in waiting:
                                other.cancel()
            except BaseException:  # an interrupt by the user
                self._stop.set()
                for other in waiting:
                    other.cancel()
                raise
        self._stop.clear()
        if isinstance(failure, BudgetReached):
            raise BudgetReached(f"{title}: {failure}; {len(answers):,} of {len(items):,} done") from failure
        if failure is not None:
            raise failure
        return [answers[index] for index in range(len(items))]

    def spent(self) -> dict[str, Any]:
        """What this client did so far, for a report."""
        return dict(sorted(self.counts.items())) | {"cost": round(self.cost, 6)}


def _reply(output: Any, guess: int) -> tuple[dict[str, Any], tuple[int, int]]:
    """What is kept of a chat completion, and its tokens in and out."""
    choice = output.choices[0]
    text = choice.message.content or ""
    if not isinstance(text, str):
        raise TypeError(f"content is no text: {text!r:.100}")
    usage = output.get("usage") or {}
    used = (usage.get("prompt_tokens") or guess, usage.get("completion_tokens") or guessed_tokens(text))
    reply = {
        "text": text, "refusal": choice.message.get("refusal"), "finish": choice.finish_reason, "tokens": list(used),
    }  # fmt: skip
    if likely := _likely_tokens(choice.get("logprobs")):
        reply["logprobs"] = likely
    return reply, used


def _likely_tokens(given: Any) -> list[list[Any]]:
    """`[token, {token: log-probability}]` of each place, the token itself among them; [] where there are none."""
    try:
        return [
            [
                str(one["token"]),
                {str(part["token"]): float(part["logprob"]) for part in [*(one.get("top_logprobs") or []), one]},
            ]
            for one in given["content"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        return []


def without_thoughts(text: str) -> str:
    """A reply without what the model thought before: in think tags, closed or cut off, or in channels before the last."""
    text = re.sub(r"<think>.*?(</think>|$)", "", text, flags=re.S)
    text = text.rsplit("</think>", 1)[-1]  # a server may keep the opening tag to itself
    if "<|channel" in text:
        text = re.split(r"<\|message\|>|<channel\|>", text)[-1]
    return text.strip()


def _understand(reply: dict[str, Any], read: Callable[[dict[str, Any]], Any]) -> tuple[str, Any]:
    """`("answer", value)`, or what is wrong with a reply and the words for it."""
    text = without_thoughts(reply["text"])
    text = re.sub(r"^```(?:json)?\s*(.*?)\s*```$", r"\1", text, flags=re.S)
    if reply.get("refusal") or reply.get("finish") == "content_filter" or _REFUSAL.match(text):
        return "refusals", "it is no answer, and the task is harmless: it is about words for body motion"
    if reply.get("finish") == "length":
        return "cut_off", "the reply was cut off"
    try:
        parsed = parse_json(text)
    except ValueError as error:
        return "broken_json", f"it is not JSON ({error})"
    if not isinstance(parsed, dict):
        return "broken_json", "it is not a JSON object"
    try:
        return "answer", read(parsed)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        missing = f"the field {error} is missing" if isinstance(error, KeyError) else str(error)
        return "wrong_answers", missing


def _body(error: HfHubHTTPError) -> str:
    try:
        text = error.response.text
    except Exception:  # the reply broke off
        text = error.server_message or ""
    return " ".join(text.split())[:300]


def _retry_after(error: HfHubHTTPError) -> float | None:
    """Seconds that the server asks to wait: a number or an HTTP date."""
    value = error.response.headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _mend(status: int) -> str:
    if status in (401, 403):
        return "check ANYMO_LM_API_KEY, or log in to the Hub"
    if status == 402:
        return "top up the account, then run the same command again: it goes on where it stopped"
    if status == 404:
        return "check base_url and the model's name"
    return "check that the server knows the model, JSON schemas (schema_style) and the token field (token_field)"


def text_object(**properties: dict[str, Any]) -> dict[str, Any]:
    """JSON schema of an object with just these properties, all required."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def one_line(value: Any, field_name: str) -> str:
    """Text without line breaks and double spaces.

    Raises:
        ValueError: no text.
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{field_name} must be a text, not {value!r}")
    return " ".join(value.split())
