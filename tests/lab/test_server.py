"""The routes of the server extension, in a real Jupyter server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import tiny_notebook

from bigmodel_nb import course

REPO = Path(__file__).parents[2]
CONFIG = REPO / "bigmodel_nb" / "lab" / "config" / "jupyter_server_config.d" / "bigmodel_nb.json"
TOKEN = "course"
FIRST = "00_start_here.ipynb"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
ROUTES = [("GET", "overview"), ("GET", f"difference?file={FIRST}"), ("GET", "machine"), ("POST", "open"), ("POST", "reset")]


class Server:
    """A Jupyter server whose folders are all temporary; nothing but our own extension is asked for."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        course.make_workspace(self.root)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        config = folder / "config" / "jupyter_server_config.d" / CONFIG.name
        config.parent.mkdir(parents=True)
        config.write_bytes(CONFIG.read_bytes())
        folders = {f"JUPYTER_{name.upper()}_DIR": str(folder / name) for name in ("config", "data", "runtime")}
        path = os.pathsep.join(filter(None, [str(REPO), os.environ.get("PYTHONPATH")]))
        flags = [f"--ServerApp.port={self.url.rpartition(':')[2]}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"]
        flags += ["--ServerApp.open_browser=False", "--ServerApp.ip=127.0.0.1", "--allow-root", f"--ServerApp.root_dir={self.root}"]
        environment = {name: value for name, value in os.environ.items() if name != "BIGMODEL_NB_HOME"}
        self.log = folder / "server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyter_server", *flags],
                env={**environment, **folders, "PYTHONPATH": path}, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def wait(self, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                return OPENER.open(f"{self.url}/api", timeout=5).close()
            except OSError:
                time.sleep(0.1)
        pytest.fail(f"the server did not start:\n{self.log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def ask(self, method: str, route: str, body: object = None, token: str | None = TOKEN) -> tuple[int, dict]:
        """Status and JSON of an answer."""
        request = urllib.request.Request(f"{self.url}/bigmodel-nb/{route}", method=method)
        if token is not None:
            request.add_header("Authorization", f"token {token}")
        if method == "POST":
            request.data = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            with OPENER.open(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, _json(error.read())


def _json(text: bytes) -> dict:
    """The JSON of an answer; the server's own pages on missing addresses are HTML."""
    try:
        return json.loads(text)
    except ValueError:
        return {}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("server"))
    try:
        running.wait()
        yield running
    finally:
        running.stop()


@pytest.mark.parametrize("token", [None, "", "wrong"])
@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_no_answer_without_the_token(server, method, route, token):
    before = {path: path.read_bytes() for path in server.root.rglob("*") if path.is_file()}
    status, answer = server.ask(method, route, {"file": FIRST}, token)
    assert status == 403 and "lessons" not in answer and "limit" not in answer
    assert {path: path.read_bytes() for path in server.root.rglob("*") if path.is_file()} == before


def test_the_overview(server):
    status, answer = server.ask("GET", "overview")
    assert status == 200 and answer["workspace"] == "."
    assert [it["file"] for it in answer["lessons"]] == [it.file for it in course.lessons()]


def test_open_and_reset(server):
    (server.root / FIRST).unlink()
    assert server.ask("POST", "open", {"file": FIRST}) == (200, {"path": FIRST})
    tiny_notebook.edit(server.root / FIRST, 0, source="mine")
    status, answer = server.ask("POST", "reset", {"file": FIRST})
    assert status == 200 and (server.root / answer["kept"]).is_file()
    assert server.ask("GET", f"difference?file={FIRST}") == (200, {"against": "original", "cells": []})


HOSTILE = ["../secret.ipynb", "/etc/passwd", "..%2fsecret.ipynb", "<script>alert(1)</script>.ipynb", "课程.ipynb", "a\r\nSet-Cookie: b"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_are_no_lesson(server, name):
    for answer in (
        server.ask("POST", "open", {"file": name}),
        server.ask("POST", "reset", {"file": name}),
        server.ask("GET", f"difference?{urllib.parse.urlencode({'file': name})}"),
    ):
        assert answer == (404, {"message": "The course has no lesson of this name. Next: reload the page."})


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"\xff", 400), (b"[" * 100_000, 400), (b"", 404), (b"[]", 404), (b"3", 404), (b'{"file": null}', 404), (b'{"path": "x"}', 404)])
def test_bodies_that_say_nothing(server, body, status):
    assert server.ask("POST", "open", body)[0] == status


def test_a_link_is_refused(server, tmp_path):
    (tmp_path / "secret.ipynb").write_text("secret")
    (server.root / FIRST).unlink()
    (server.root / FIRST).symlink_to(tmp_path / "secret.ipynb")
    try:
        status, answer = server.ask("POST", "open", {"file": FIRST})
        assert status == 409 and "secret" not in json.dumps(answer)
        assert server.ask("GET", f"difference?file={FIRST}")[0] == 409
    finally:
        (server.root / FIRST).unlink()
        server.ask("POST", "open", {"file": FIRST})


@pytest.mark.parametrize("route", ["overview/..", "open/../../etc", "files/secret", ""])
def test_there_is_no_other_route(server, route):
    assert server.ask("GET", route)[0] in (403, 404, 405)


def test_the_machine(server):
    end = time.monotonic() + 120
    while (answer := server.ask("GET", "machine")[1])["reason"] is None and time.monotonic() < end:
        time.sleep(0.5)
    assert answer["device"] and answer["dtype"] and answer["reason"]
    assert answer["limit"] > 0 and answer["kernels"] == 0 and isinstance(answer["low"], bool) and isinstance(answer["gpus"], list)


def test_the_memory_of_a_kernel(server):
    request = urllib.request.Request(f"{server.url}/api/kernels", data=b"{}", headers={"Authorization": f"token {TOKEN}"})
    kernel = json.load(OPENER.open(request, timeout=60))["id"]
    assert server.ask("GET", f"machine?kernel={kernel}")[1]["kernels"] > 1_000_000
    assert server.ask("GET", "machine?kernel=../x")[1]["kernels"] == 0


def test_the_server_holds_no_torch(server):
    import psutil

    server.ask("GET", "overview")
    names = {Path(it.path).name for it in psutil.Process(server.process.pid).memory_maps()}
    assert not [name for name in names if name.startswith("libtorch")]


@pytest.mark.parametrize(("limit", "cap"), [(2_000_000_000, 2_000_000_000), (0, 0), (lambda rss, pss: 1, 0)])
def test_the_limit_of_jupyter_resource_usage_counts(limit, cap):
    from types import SimpleNamespace

    from bigmodel_nb.lab.server import MachineHandler

    settings = {"jupyter_resource_usage_display_config": SimpleNamespace(mem_limit=limit)}
    assert MachineHandler.cap(SimpleNamespace(settings=settings)) == cap and MachineHandler.cap(SimpleNamespace(settings={})) == 0
