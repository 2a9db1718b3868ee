"""A local server that answers as the Hugging Face hub does."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import close_session

REPO = "sapientinc/sudoku-extreme"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves `files`, name -> content, as the repository `place`. Any other request gets the hub's 'not found'."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.place = f"datasets/{REPO}"
        self.status = 0  # if not 0, the status of every response
        self.got: list[str] = []  # names that were downloaded
        self.posted: list[str] = []  # paths of requests that write

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """The part of the hub's protocol that `hf_hub_download` uses."""

    server: Hub

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_POST(self) -> None:
        """Take a commit, with the requests that come before it."""
        server, content = self.server, self.rfile.read(int(self.headers["Content-Length"]))
        server.posted.append(self.path)
        if server.status:
            return self.reply(server.status, b"", {})
        if self.path == "/api/repos/create":
            asked = json.loads(content)
            server.place = f"{asked['organization']}/{asked['name']}"
            return self.send({"url": f"{server.url}/{server.place}"})
        if "/preupload/" in self.path:
            files = [{"path": one["path"], "uploadMode": "regular"} for one in json.loads(content)["files"]]
            return self.send({"files": [{**file, "shouldIgnore": False} for file in files]})
        if "/commit/" in self.path:
            for line in content.splitlines():
                part = json.loads(line)
                if part["key"] == "file":
                    server.files[part["value"]["path"]] = base64.b64decode(part["value"]["content"])
            return self.send({"commitUrl": f"{server.url}/{server.place}/commit/{COMMIT}", "commitOid": COMMIT})
        return self.send({"errors": [], "warnings": []})  # the check of the card's heading

    def send(self, content: object) -> None:
        self.reply(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def answer(self, body: bool) -> None:
        server = self.server
        prefix, name = f"/{server.place}/resolve/", self.path.rpartition("/")[2]
        if server.status:
            return self.reply(server.status, b"", {})
        if not self.path.startswith(prefix):
            return self.reply(404, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        if self.path.removeprefix(prefix).partition("/")[0] not in ("main", COMMIT):
            headers = {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"}
            return self.reply(404, b"", headers)
        if name not in server.files:
            headers = {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found", "X-Repo-Commit": COMMIT}
            return self.reply(404, b"", headers)
        content = server.files[name]
        if body:
            server.got.append(name)
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        return self.reply(200, content, {"ETag": etag, "X-Repo-Commit": COMMIT}, body)

    def reply(self, status: int, content: bytes, headers: dict[str, str], body: bool = True) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@contextmanager
def serving_hub(files: dict[str, bytes], cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that the libraries take for the real one while the block runs, and a cache for what is downloaded."""
    server = Hub(files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_TOKEN", "hf_none")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    close_session()  # its connection is kept for the next request
    server.shutdown()
    thread.join()
    server.server_close()
