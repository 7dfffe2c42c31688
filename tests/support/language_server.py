"""A language model's part, played over HTTP on loopback: good answers, and every kind of bad one on demand."""

import json
import re
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATUS = {
    "overloaded": 503, "gateway": 524, "unauthorized": 401, "filter": 400, "no_credit": 402, "no_quota": 429
}  # fmt: skip
STYLES = ("rewording", "concise", "temporal", "body_motion", "general_scene")


class ModelServer:
    """Use as a context manager.

    `fault(stage, user, times)` names a fault for the request, or None; `times` counts how often the same
    first words of the user came before. `answers` maps a stage to a function of the user's words and `times`. `log` holds
    `(stage, conversation, outcome, body)` of every request.
    """

    def __init__(self, fault=None, answers=None, delay=0.0, retry_after=lambda: "0.05"):
        self.fault = fault or (lambda stage, user, times: None)
        self.answers = {"write": write, "verify": verify, "label": label, "merge": merge, "audit": audit} | (
            answers or {}
        )
        self.delay, self.retry_after = delay, retry_after
        self.log, self.seen, self.keys = [], Counter(), []
        self.hold_after = None  # so many answers, then none until `release`
        self.release = threading.Event()
        self.lock = threading.Lock()
        self.under_way = self.most_under_way = 0

    def __enter__(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    outer.under_way += 1
                    outer.most_under_way = max(outer.most_under_way, outer.under_way)
                    outer.keys.append(self.headers.get("Authorization"))
                try:
                    outer.play(self, body)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                finally:
                    with outer.lock:
                        outer.under_way -= 1

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        return self

    def __exit__(self, *error):
        self.release.set()
        self.http.shutdown()
        self.http.server_close()

    def asked(self, stage=None):
        """Requests of a stage."""
        return [entry for entry in self.log if stage in (None, entry[0])]

    def answered(self):
        """Conversations that got a reply, good or bad, that a client keeps."""
        return [
            entry[1]
            for entry in self.log
            if entry[2] in ("good", "refusal", "apology", "broken_json", "wrong", "cut_off")
        ]

    def play(self, handler, body):
        stage = stage_of(body)
        conversation = json.dumps(body["messages"])
        user = body["messages"][1]["content"]
        with self.lock:
            times = self.seen[stage, user]
            self.seen[stage, user] += 1
            held = self.hold_after is not None and len(self.answered()) >= self.hold_after
            fault = None if held else self.fault(stage, user, times)
            self.log.append((stage, conversation, "held" if held else fault or "good", body))
        if held:
            self.release.wait(30)
            return
        time.sleep(self.delay)
        status, headers, finish, refusal = 200, {}, "stop", None
        text = json.dumps(
            self.answers[stage](user, times) if fault in (None, "cut_off", "bare") else {"label": "no such label"}
        )
        if fault == "rate_limit":
            status, headers = 429, {"Retry-After": self.retry_after()}
        elif fault in STATUS:
            status = STATUS[fault]
        elif fault == "hang":
            time.sleep(1.5)
        elif fault == "drop":
            handler.close_connection = True
            handler.connection.close()
            return
        elif fault == "refusal":
            text, refusal = None, "I will not."
        elif fault == "apology":
            text = "I'm sorry, but I can't help with that."
        elif fault == "broken_json":
            text = '{"label": "walk'
        elif fault == "cut_off":
            text, finish = text[:8], "length"
        elif fault == "fenced":
            text = f"<think>{{}} hm</think>```json\n{json.dumps(self.answers[stage](user, times))}\n```"
        reply = {
            "id": "1", "created": 1, "model": body["model"], "system_fingerprint": "",
            "choices": [
                {
                    "index": 0, "finish_reason": finish,
                    "message": {"role": "assistant", "content": text, "refusal": refusal},
                }
            ],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        }  # fmt: skip
        if status != 200:
            code = {"filter": "content_filter", "no_quota": "insufficient_quota"}.get(fault, fault)
            reply = {"error": {"message": fault, "code": code}}
        elif fault == "bare":  # what small servers leave out, and what others add
            reply = {
                "choices": [{"message": {"content": text, "reasoning_content": "hm"}, "logprobs": None}],
                "extra": 1,
            }
        elif fault == "no_chat":
            reply = {"hello": "world"}
        data = json.dumps(reply).encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)


def stage_of(body):
    """Which question it is, by its schema."""
    shape = body["response_format"]
    properties = (shape["value"] if "value" in shape else shape["json_schema"]["schema"])["properties"]
    if "verdict" in properties:
        return "audit"
    if "label" in properties:
        if "enum" in properties["label"]:
            return "classify"
        return "merge" if body["messages"][1]["content"].startswith("Labels:") else "label"
    return "verify" if properties[next(iter(properties))]["type"] == "object" else "write"


def description(user):
    """The narration in a question."""
    return re.search(r"^(?:Description|This window): (.*)$", user, re.M)[1]


def write(user, times):
    wanted = re.search(r"^Write: (.*)$", user, re.M)[1].split(", ")
    anew = user.count("Rejected") + max(
        [line.count("again ") for line in user.splitlines() if line.endswith(")")], default=0
    )
    return {style: f"{style} {'again ' * anew}{description(user)}" for style in wanted}


def verify(user, times):
    return {style: {"passes": True, "problem": ""} for style in STYLES}


def label(user, times):
    return {"label": f"The {description(user).split(' by ')[0]}!"}


def merge(user, times):
    return {"label": " / ".join(line[2:] for line in user.splitlines()[1:])}


def audit(user, times):
    return {"verdict": "consistent", "new_label": "", "reason": "fits"}
