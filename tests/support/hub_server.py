"""A small Hub on loopback: what `huggingface_hub` asks for when it makes a repository, uploads, lists and downloads."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_loopback"


@dataclass
class Repository:
    """Files of the newest commit, and what was said of it."""

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    commits: list[str] = field(default_factory=list)
    pull_requests: list[str] = field(default_factory=list)

    @property
    def sha(self) -> str:
        return hashlib.sha1(f"{len(self.commits)}{sorted(self.files)}".encode()).hexdigest()


class LoopbackHub:
    """`with LoopbackHub() as hub:`; `hub.url` is its address.

    Attributes:
        repositories: "datasets/owner/name" or "models/owner/name".
        objects: large files by their sha256, kept even if their commit never comes.
        log: method and path of every request.
        broken: answers a request with a status instead, given method and path; None lets it pass.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.log: list[str] = []
        self.broken = lambda method, path: None
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> LoopbackHub:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()


def _oid(content: bytes, large: bool) -> str:
    """The checksum by which the client knows that a file has not changed."""
    return (
        hashlib.sha256(content).hexdigest()
        if large
        else hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    )


class _Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_) -> None:
        pass

    def _answer(self, body: bytes | dict | list, status: int = 200, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _serve(self) -> None:
        path, body = unquote(urlsplit(self.path).path), self._body()
        self.hub.log.append(f"{self.command} {path}")
        status = self.hub.broken(self.command, path)
        open_door = path.startswith("/objects/")  # an address with its own signature
        if status is None and not open_door and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            status = 401
        if status is not None:
            self._answer({"error": "broken on purpose"}, status)
            return
        for method, pattern, serve in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method:
                serve(self, body, *match.groups())
                return
        self._answer({"error": f"{self.command} {path} is not played here"}, 404)

    do_GET = do_HEAD = do_POST = do_PUT = _serve

    def _repository(self, kind: str, name: str) -> Repository | None:
        found = self.hub.repositories.get(f"{kind or 'models/'}{name}")
        if found is None:
            self._answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
        return found

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        name = f"{asked.get('type') or 'model'}s/{asked['organization']}/{asked['name']}"
        if name in self.hub.repositories:
            self._answer({"error": "You already created this repo", "url": f"{self.hub.url}/{name}"}, 409)
            return
        self.hub.repositories[name] = Repository(asked.get("visibility") == "private")
        self._answer({"url": f"{self.hub.url}/{name.removeprefix('models/')}"})

    def validate(self, body: bytes) -> None:
        self._answer({"warnings": [], "errors": []})

    def preupload(self, body: bytes, kind: str, name: str) -> None:
        if (repository := self._repository(kind, name)) is None:
            return
        files = []
        for file in json.loads(body)["files"]:
            path, held = file["path"], repository.files.get(file["path"])
            large = path.endswith((".parquet", ".safetensors"))
            oid = None if held is None else _oid(held, large)
            mode = "lfs" if large else "regular"
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._answer({"files": files})

    def batch(self, body: bytes, kind: str, name: str) -> None:
        objects = []
        for item in json.loads(body)["objects"]:
            action = {"upload": {"href": f"{self.hub.url}/objects/{item['oid']}"}}
            objects.append(item if item["oid"] in self.hub.objects else item | {"actions": action})
        self._answer({"objects": objects, "transfer": "basic"})

    def put(self, body: bytes, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            self._answer({"error": "checksum"}, 400)
            return
        self.hub.objects[oid] = body
        self._answer(b"")

    def commit(self, body: bytes, kind: str, name: str) -> None:
        if (repository := self._repository(kind, name)) is None:
            return
        request = "create_pr=1" in urlsplit(self.path).query
        files, large = dict(repository.files), set(repository.large)
        summary = ""
        for line in map(json.loads, body.splitlines()):
            key, value = line["key"], line["value"]
            if key == "header":
                summary = value["summary"]
            elif key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
                large.add(value["path"])
            elif key == "deletedFile":
                del files[value["path"]]
        if request:
            repository.pull_requests.append(summary)
        else:
            repository.files, repository.large = files, large
            repository.commits.append(summary)
        home = f"{self.hub.url}/{(kind or 'models/').removeprefix('models/')}{name}"
        pull = f"{home}/discussions/{len(repository.pull_requests)}" if request else None
        address = f"{home}/commit/{repository.sha}"
        self._answer({"commitUrl": address, "commitOid": repository.sha, "pullRequestUrl": pull})

    def info(self, body: bytes, kind: str, name: str, _revision: str = "") -> None:
        if (repository := self._repository(kind, name)) is not None:
            files = [{"rfilename": path} for path in sorted(repository.files)]
            self._answer({"id": name, "sha": repository.sha, "private": repository.private, "siblings": files,
                          "tags": [], "downloads": 0, "likes": 0})  # fmt: skip

    def _entry(self, repository: Repository, path: str) -> dict:
        content = repository.files[path]
        entry = {"type": "file", "path": path, "size": len(content), "oid": _oid(content, False)}
        if path in repository.large:
            entry["lfs"] = {"oid": _oid(content, True), "size": len(content), "pointerSize": 130}
        return entry

    def tree(self, body: bytes, kind: str, name: str, folder: str | None = None) -> None:
        if (repository := self._repository(kind, name)) is None:
            return
        base = f"{folder}/" if folder else ""
        entries = {}
        for path in sorted(path for path in repository.files if path.startswith(base)):
            below = path.removeprefix(base).split("/")
            for depth in range(1, len(below)):
                place = base + "/".join(below[:depth])
                entries[place] = {"type": "directory", "path": place, "size": 0, "oid": "0" * 40}
            entries[path] = self._entry(repository, path)
        if "recursive=true" not in urlsplit(self.path).query.lower():
            entries = {path: entry for path, entry in entries.items() if "/" not in path.removeprefix(base)}
        if folder and not entries:
            self._answer({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")
        else:
            self._answer(list(entries.values()))

    def paths_info(self, body: bytes, kind: str, name: str) -> None:
        if (repository := self._repository(kind, name)) is not None:
            asked = parse_qs(body.decode())["paths"] if body[:1] != b"{" else json.loads(body)["paths"]
            self._answer([self._entry(repository, path) for path in asked if path in repository.files])

    def resolve(self, body: bytes, kind: str, name: str, path: str) -> None:
        if (repository := self._repository(kind, name)) is None:
            return
        if path not in repository.files:
            self._answer({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")
            return
        content = repository.files[path]
        headers = {"ETag": f'"{_oid(content, path in repository.large)}"', "X_Repo_Commit": repository.sha}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            self._answer(content, **headers)
            return
        first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
        headers["Content_Range"] = f"bytes {first}-{last}/{len(content)}"
        self._answer(content[first : last + 1], 206, **headers)


_NAME = r"([\w.-]+/[\w.-]+)"
_ROUTES = [
    ("POST", r"/api/repos/create", _Handler.create),
    ("POST", r"/api/validate-yaml", _Handler.validate),
    ("POST", rf"/api/(datasets/|models/){_NAME}/preupload/[^/]+", _Handler.preupload),
    ("POST", rf"/(datasets/)?{_NAME}\.git/info/lfs/objects/batch", _Handler.batch),
    ("PUT", r"/objects/(\w+)", _Handler.put),
    ("POST", rf"/api/(datasets/|models/){_NAME}/commit/[^/]+", _Handler.commit),
    ("GET", rf"/api/(datasets/|models/){_NAME}/tree/[^/]+(?:/(.+))?", _Handler.tree),
    ("POST", rf"/api/(datasets/|models/){_NAME}/paths-info/[^/]+", _Handler.paths_info),
    ("GET", rf"/api/(datasets/|models/){_NAME}(/revision/[^/]+)?", _Handler.info),
    (("GET", "HEAD"), rf"/(datasets/)?{_NAME}/resolve/[^/]+/(.+)", _Handler.resolve),
]
