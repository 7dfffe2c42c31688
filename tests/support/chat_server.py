"""A chat model's part, played over HTTP on loopback: free text, and every kind of bad reply on demand."""

import json

from support.language_server import ModelServer


class Chat(ModelServer):
    """Answers `say(messages, times)`; faults as `ModelServer`'s, by the text of the question.

    `likely(messages)` is sent as the reply's `logprobs` where they were asked for.
    """

    def __init__(self, say, fault=None, refused=(), likely=None):
        super().__init__(fault)
        self.say, self.refused, self.likely = say, refused, likely

    def play(self, handler, body):
        content = body["messages"][1]["content"]
        text = content if isinstance(content, str) else content[-1]["text"]
        with self.lock:
            times = self.seen[text]
            self.seen[text] += 1
            fault = self.fault("chat", text, times)
            self.log.append(("chat", text, fault or "good", body))
        bad = [name for name in self.refused if name in body]
        if bad:
            return self.send(handler, 400, {"error": {"message": f"Unsupported parameter: '{bad[0]}'", "code": "x"}})
        if fault == "down":
            handler.close_connection = True
            handler.connection.close()
            return None
        if fault in ("rate_limit", "overloaded", "unauthorized"):
            status = {"rate_limit": 429, "overloaded": 503, "unauthorized": 401}[fault]
            return self.send(handler, status, {"error": {"message": fault}})
        if fault == "html":
            return self.send(handler, 200, "<html>busy</html>")
        found = {"content": self.say(body["messages"], times), "role": "assistant"}
        finish = "stop"
        if fault == "thinking":
            found, finish = {"content": None, "reasoning_content": "hm", "role": "assistant"}, "length"
        if fault == "refusal":
            found = {"content": None, "refusal": "no", "role": "assistant"}
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        choice = {"index": 0, "finish_reason": finish, "message": found}
        if self.likely is not None and body.get("logprobs"):
            choice["logprobs"] = self.likely(body["messages"])
        return self.send(handler, 200, {"choices": [choice], "usage": usage, "model": body["model"]})

    @staticmethod
    def send(handler, status, reply):
        data = json.dumps(reply).encode() if isinstance(reply, dict) else reply.encode()
        handler.send_response(status)
        for name, value in (
            ("Content-Type", "application/json"),
            ("Content-Length", len(data)),
            ("Retry-After", "0.01"),
        ):
            handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(data)
