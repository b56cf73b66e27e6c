"""A model hub on loopback that answers huggingface_hub's own client, and fails as it is told to.

Routes: GET /api/models/ID/revision/REV (description), GET /api/models/ID/tree/SHA (file list) and
HEAD or GET /ID/resolve/REV/FILE.
"""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = ".safetensors"  # kept in LFS, as on the hub


class Mirror:
    """Serves the files of `folder` as the model `name`.

    `faults[route]` is a list of faults that are used up one a request, the last one staying; None
    in it is a right answer. A route is "info", "tree" or a file name. Faults: a status number,
    "cut" (half of the body), "hang", "garbage" (right size, wrong bytes), "web page".
    """

    def __init__(self, name: str, folder: Path):
        self.name, self.folder = name, folder
        self.faults: dict[str, list] = {}
        self.requests: list[str] = []
        self.ended = threading.Event()

    def fault(self, route: str):
        left = self.faults.get(route, [None])
        return left.pop(0) if len(left) > 1 else left[0]

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.folder.iterdir())}


def etag(name: str, content: bytes) -> str:
    """SHA-256 for a file in LFS, git's own SHA-1 for the others."""
    if name.endswith(LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mirror: Mirror

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        mirror, path = self.mirror, unquote(urlsplit(self.path).path)
        api, files = f"/api/models/{mirror.name}/", f"/{mirror.name}/resolve/"
        if path.startswith(api + "revision/"):
            self.answer("info", self.description())
        elif path.startswith(api + "tree/"):
            self.answer("tree", self.tree())
        elif path.startswith(files) and (name := path.rsplit("/", 1)[1]) in mirror.files():
            self.answer(name, mirror.files()[name], name)
        else:
            mirror.requests.append(f"{self.command} unknown")
            known = path.startswith((api, files))
            self.send(404, b"", {"X-Error-Code": "EntryNotFound" if known else "RepoNotFound"})

    def description(self) -> bytes:
        siblings = [{"rfilename": name} for name in self.mirror.files()]
        return json.dumps({"id": self.mirror.name, "sha": COMMIT, "siblings": siblings}).encode()

    def tree(self) -> bytes:
        entries = []
        for name, content in self.mirror.files().items():
            entry = {"type": "file", "path": name, "size": len(content), "oid": etag("", content)}
            if name.endswith(LARGE):
                entry["lfs"] = {"oid": etag(name, content), "size": len(content), "pointerSize": 130}
            entries.append(entry)
        return json.dumps(entries).encode()

    def answer(self, route: str, body: bytes, name: str | None = None):
        mirror = self.mirror
        mirror.requests.append(f"{self.command} {route}")
        head = {"Content-Type": "application/json"}
        if name:
            head = {"X-Repo-Commit": COMMIT, "ETag": f'"{etag(name, body)}"', "Accept-Ranges": "bytes"}
        fault = None if name and self.command == "HEAD" else mirror.fault(route)
        if isinstance(fault, int):
            code = {401: "GatedRepo", 404: "RepoNotFound"}.get(fault)
            self.send(fault, b"", {"X-Error-Code": code} if code else {})
        elif fault == "web page":
            self.send(200, b"<html>Please log in to this network</html>", {"Content-Type": "text/html"})
        elif fault == "garbage":
            self.send(200, bytes(255 - byte for byte in body), head)
        else:
            self.send(200, body, head, stop=fault)

    def send(self, status: int, body: bytes, head: dict, stop: str | None = None):
        """Send an answer; `stop` "cut" ends the connection half-way, "hang" goes silent there."""
        self.send_response(status)
        for key, value in {**head, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body[: len(body) // 2] if stop else body)
        self.wfile.flush()
        if stop == "hang":
            self.mirror.ended.wait(120)
        if stop:
            self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_):
        """Clients that go away are part of the tests."""


@contextmanager
def serve(name: str, folder: Path):
    """Yields (mirror, its address)."""
    mirror = Mirror(name, folder)
    handler = type("MirrorHandler", (Handler,), {"mirror": mirror})
    with Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield mirror, f"http://127.0.0.1:{server.server_port}"
        finally:
            mirror.ended.set()
            server.shutdown()
