"""Language models at an endpoint, asked about windows in numbers or in pictures (paper: HARGPT, Gemma 4, GPT-5.4 mini)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..annotation.language_client import (
    PICTURE_TOKENS,
    BudgetReached,
    Endpoint,
    LanguageClient,
    Limits,
    guessed_tokens,
    without_thoughts,
)
from ..annotation.stage_cache import StageCache
from ..recordings.imu_recording import ImuRecording
from ..training.setting_fields import check_settings, setting
from .answer_parsing import read_ranking
from .interface import Choice, System
from .language_prompts import (
    MOST_OPTIONS,
    RANKED,
    RATE,
    choice_keys,
    messages,
    option_keys,
    prompts,
    prompts_hash,
    window_picture,
)

KEY = "ANYMO_LM_API_KEY"  # environment variable
_AROUND_KEY = " \n\t\"'(*"
_TOP_LOGPROBS = 20  # the most that OpenAI's servers give
_SOURCE = (
    "give --source MODEL@URL, such as some-model@http://127.0.0.1:8080/v1, MODEL alone for Hugging Face's router, or a YAML "
    f"file with model, base_url and options; a key goes in {KEY}"
)


@dataclass(frozen=True)
class LanguageSettings:
    """How a model is asked.

    Args:
        model: name as the server knows it.
        context: tokens that it reads; a longer prompt is refused before it is sent, never cut.
        reply_tokens: of an answer, thinking included; None takes what the form of the question needs.
        temperature, top_p, seed: sent with each request; left out where the server refuses them.
        order_seed: 0 lists options by label id, as the paper; another number shuffles them by it.
        cache: JSONL of replies, by which a run goes on; None names it after the model.
    """

    model: str = setting(doc="the name as the server knows it")
    context: int = setting(65_536, "how many tokens the model reads", least=1)
    reply_tokens: int | None = setting(None, "how many tokens an answer has", least=1)
    temperature: float = setting(0.0, "how freely words are drawn", least=0)
    top_p: float = setting(1.0, "the share of likely words drawn from", above=0, most=1)
    seed: int = 0
    order_seed: int = setting(0, "what orders the options", least=0)
    cache: str | None = None


def read_source(source: str | None, seed: int = 0) -> tuple[LanguageSettings, Endpoint, Limits]:
    """Settings, endpoint and budget of `MODEL@URL`, `MODEL`, or a YAML file with fields of all three.

    Raises:
        OSError: no source, or no such file.
        ValueError: no YAML, an unknown field, or one of another type; the message names it.
    """
    if source is None:
        raise OSError(f"a language model needs an endpoint: {_SOURCE}")
    given: dict[str, Any]
    if source.endswith((".yaml", ".yml")):
        import yaml

        path = Path(source)
        if not path.is_file():
            raise OSError(f"{source}: no such file; {_SOURCE}")
        try:
            given = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{source}: is no YAML file ({' '.join(str(error).split())})") from error
        if not isinstance(given, dict):
            raise ValueError(f"{source}: holds no fields; {_SOURCE}")
    else:
        model, _, url = source.partition("@")
        given = {"model": model, "base_url": url or None}
    if not given.get("model"):
        raise ValueError(f"{source}: names no model; {_SOURCE}")
    if "max_tokens" in given:
        raise ValueError(f"{source}: max_tokens is reply_tokens here; write that")
    given = {"order_seed": seed} | given
    parts: list[dict[str, Any]] = []
    for kind in (LanguageSettings, Endpoint, Limits):
        names = {one.name for one in fields(kind)}
        parts.append({name: given.pop(name) for name in list(given) if name in names})
        try:
            check_settings(parts[-1], kind)
        except ValueError as error:
            said = "api_key must be text" if str(error).startswith("api_key") else error  # no key is ever shown
            raise ValueError(f"{source}: {said}") from error
    if given:
        raise ValueError(f"{source}: unknown fields {', '.join(map(str, given))}")
    asked, where, limits = parts
    where.setdefault("api_key", os.environ.get(KEY) or None)
    try:
        return LanguageSettings(**asked), Endpoint(**where), Limits(**limits)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


@dataclass
class _Tally:
    """What was asked and how answers were read."""

    windows: int = 0
    invalid: int = 0
    examples: list[str] = field(default_factory=list)


class LanguageText(System):
    """A chat model that reads the window's numbers at 10 Hz and ranks options by JSON.

    A row of `score` is NaN where the answer could not be read: such an answer is wrong, and is counted in `report`.

    Args:
        settings: how it is asked.
        client: with the endpoint, the budget and the cache.
    """

    name, title, requires = "language_text", "Language model, numbers", "endpoint"
    licence: ClassVar[str] = "the model's own"
    rate: ClassVar[float | None] = RATE
    style: ClassVar[str] = "text"
    picture: ClassVar[bool] = False
    reply_tokens: ClassVar[int] = 256
    asked_alike = (
        "prompts",
        "style",
        "picture",
        "context",
        "reply_tokens",
        "temperature",
        "top_p",
        "seed",
        "order_seed",
        "reasoning_effort",
    )

    def __init__(self, settings: LanguageSettings, client: LanguageClient):
        self.settings, self.client = settings, client
        self.title = f"{type(self).title} ({settings.model})"
        self.tally, self.example = _Tally(), list[str]()

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> LanguageText:
        """`source`: see `read_source`; `seed` orders the options, 0 by label id."""
        from dataclasses import replace

        settings, endpoint, limits = read_source(source, seed)
        endpoint = replace(endpoint, max_tokens=settings.reply_tokens or cls.reply_tokens)
        file = settings.cache or f"runs/language/{re.sub(r'[^A-Za-z0-9._-]+', '_', settings.model)}.jsonl"
        return cls(settings, LanguageClient(endpoint, StageCache(file), limits))

    def score(self, recordings: Sequence[ImuRecording], labels: Sequence[str]) -> np.ndarray:
        """`(n, k)`: 1 for the first of the ranking, 1/2 for the second and so on, what is not ranked the rest's mean rank.

        Over 50 texts are candidates of retrieval, of which ten are ranked.

        Raises:
            ValueError: also a prompt longer than the model's context.
            OSError: the endpoint fails, or the budget is reached; answers so far are kept, and the next run goes on.
        """
        self.check(recordings)
        order = list(range(len(labels)))
        if self.settings.order_seed:
            order = np.random.default_rng(self.settings.order_seed).permutation(len(labels)).tolist()
        shown = [labels[index] for index in order]
        keys = option_keys(len(labels)) if self.style == "text" else [""] * len(labels)
        replies = self._ask(recordings, shown, "options" if len(labels) <= MOST_OPTIONS else "candidates")
        scores = np.full((len(recordings), len(labels)), np.nan)
        for row, reply in enumerate(replies):
            most = RANKED if len(labels) > MOST_OPTIONS else len(labels)
            ranking = read_ranking(reply, keys, shown)[:most]
            self.tally.windows += 1
            if ranking:
                left = len(labels) - len(ranking)
                # ranks len + 1 to k are shared by the others
                scores[row] = 1 / (len(ranking) + (left + 1) / 2)
                scores[row, [order[index] for index in ranking]] = 1 / np.arange(1, len(ranking) + 1)
            else:
                self.tally.invalid += 1
                if len(self.tally.examples) < 5:
                    self.tally.examples.append(reply[:200])
        return scores

    def caption(self, recordings: Sequence[ImuRecording]) -> list[str]:
        """As `System.caption`; "" where the model said nothing."""
        self.check(recordings)
        return [" ".join(without_thoughts(reply).split()) for reply in self._ask(recordings, [], "caption")]

    def choose(self, recordings: Sequence[ImuRecording], options: Sequence[Sequence[str]]) -> list[Choice]:
        """As `System.choose`: the reply is the key of one option, and the server's `logprobs` of that token are those of the
        options; one that is not among the likeliest is half as likely as the least of them.

        Raises:
            ValueError: also over 52 options, or a prompt longer than the model's context.
            OSError: as `score`.
        """
        self.check_questions(recordings, options)
        asked = [
            self._messages(number, one, list(texts), choice=True)
            for number, (one, texts) in enumerate(zip(recordings, options, strict=True))
        ]
        found = []
        for texts, reply in zip(
            options, self._replies(asked, "choice", logprobs=True, top_logprobs=_TOP_LOGPROBS), strict=True
        ):
            keys = choice_keys(len(texts))
            text = "" if reply.get("refusal") else reply["text"] or ""
            named = read_ranking(text, keys, texts)[:1]
            self.tally.windows += 1
            self.tally.invalid += not named
            choice = named[0] if named else None
            found.append(Choice(key_log_probabilities(reply.get("logprobs") or [], keys, choice), text, choice))
        return found

    def report(self) -> dict[str, Any]:
        """As `System.report`: how it was asked (`example` is the last question), what it cost, and unreadable answers."""
        own = {name: value for name, value in vars(self.settings).items() if name != "cache"}
        return {
            **own,
            "base_url": self.client.endpoint.base_url,
            "reasoning_effort": self.client.endpoint.reasoning_effort,
            "style": self.style,
            "picture": self.picture,
            "prompts": prompts_hash(),
            "wording": prompts(),
            "example": self.example,
            "windows": self.tally.windows,
            "invalid": self.tally.invalid,
            "invalid_examples": self.tally.examples,
            "spent": self.client.spent(),
        }

    def _ask(self, recordings: Sequence[ImuRecording], texts: Sequence[str], stage: str) -> list[str]:
        asked = [self._messages(number, one, texts) for number, one in enumerate(recordings)]
        return ["" if found.get("refusal") else found["text"] or "" for found in self._replies(asked, stage)]

    def _replies(self, asked: Sequence[list[dict[str, Any]]], stage: str, **more: Any) -> list[dict[str, Any]]:
        """To conversations, as they came; `more` is sent with each."""
        sent = {name: getattr(self.settings, name) for name in ("temperature", "top_p", "seed")} | more

        def reply(conversation: list[dict[str, Any]]) -> dict[str, Any]:
            return self.client.reply(self.settings.model, f"{self.name}_{stage}", conversation, **sent)

        try:
            return self.client.map(reply, asked, self.settings.model)
        except BudgetReached as stop:
            raise OSError(
                f"{self.title}: the budget is reached ({stop}); run the same command again with more: it goes on there"
            ) from stop

    def _messages(
        self, number: int, recording: ImuRecording, texts: Sequence[str], choice: bool = False
    ) -> list[dict[str, Any]]:
        style = self.style if texts else "text"
        picture = window_picture(recording) if self.picture else None
        conversation = messages(recording, texts, style, picture, choice)
        needed = sum(map(guessed_tokens, _spoken(conversation))) + self.client.endpoint.max_tokens
        needed += PICTURE_TOKENS if picture else 0
        if needed > self.settings.context:
            raise ValueError(
                f"{self.title}: window {number} takes about {needed:,} tokens with its answer, and "
                f"{self.settings.model} reads {self.settings.context:,}; use shorter windows or fewer placements"
            )
        self.example = _spoken(conversation)
        return conversation


def _spoken(conversation: Sequence[dict[str, Any]]) -> list[str]:
    """The texts of a conversation, without its pictures."""
    said = [message["content"] for message in conversation]
    parts = [part for content in said for part in ([content] if isinstance(content, str) else content)]
    return [
        part if isinstance(part, str) else part["text"] for part in parts if isinstance(part, str) or "text" in part
    ]


def key_log_probabilities(
    likely: Sequence[Sequence[Any]], keys: Sequence[str], named: int | None = None
) -> tuple[float, ...] | None:
    """Log-probability of each key where a reply writes the one that it names, else at its first token.

    Spellings of a key, such as with a space before it, count together; a key that is not among those likeliest there is
    half as likely as the least of them. None where no key is among them.

    Args:
        likely: of each place `[token, {token: log-probability}]`, as `LanguageClient.reply` gives it.
        keys: single letters; named: number of the one that was read from the reply.
    """
    own = [parts for token, parts in likely if named is not None and token.strip(_AROUND_KEY) == keys[named]]
    for parts in [*own[:1], *(parts for _, parts in likely[:1])]:
        sums = dict.fromkeys(keys, 0.0)
        for token, value in parts.items():
            if (key := token.strip(_AROUND_KEY)) in sums:
                sums[key] += float(np.exp(value))
        if any(sums.values()):
            least = min(parts.values()) - np.log(2)
            return tuple(float(np.log(chance)) if chance else least for chance in sums.values())
    return None


class LanguagePlot(LanguageText):
    """A chat model that sees the window as a picture; it needs a server that takes pictures."""

    name, title = "language_plot", "Language model, picture"
    rate = None
    picture = True


class HarGpt(LanguageText):
    """HARGPT's form of question (Ji et al. 2024): numbers at 10 Hz, options in brackets, reasoning step by step.

    Which model the paper's authors asked is not known; name yours beside the row. It names one option, so the second of a
    ranking is not known.
    """

    name, title = "hargpt", "HARGPT"
    style = "hargpt"
    reply_tokens = 1024
    choose = System.choose  # its form asks for a name and for steps before it
