"""A Chromium and a JupyterLab for tests, both on this machine only.

`blank_page(widget)` shows a widget's ES module alone in an empty page, with a small stand-in for
the model. `lab(notebook)` opens a notebook in a real JupyterLab. Both fail a test whose page asks
for anything off this machine or logs an error. Without Chromium these tests are skipped, which
../conftest.py turns into a failure in CI.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest

from bigmodel_nb import course

REPO = Path(__file__).parents[2]
LAB = REPO / "bigmodel_nb" / "lab"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SERVER_FLAGS = [
    "--no-browser",
    "--allow-root",
    "--ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    "--ServerApp.terminals_enabled=False",
    "--LabApp.extension_manager=readonly",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.expose_app_in_browser=True",
]


def find_chromium(playwright) -> str:
    """Path of a Chromium: of the system, or the one that `playwright install` fetched."""
    found = next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
    if not Path(found).exists():
        pytest.skip("no Chromium: install the package chromium, or run `playwright install chromium`")
    return found


def is_local(url: str) -> bool:
    """Whether a request stays on this machine."""
    parts = urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    return local or parts.scheme in ("about", "blob", "data")


# Not the whole session: while Playwright's event loop runs, no other test can use asyncio.run.
@pytest.fixture(scope="module")
def browser():
    """Headless Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip("playwright is not installed: pip install 'bigmodel-nb[test]'")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=find_chromium(playwright), headless=True, args=FLAGS
        )
        yield chromium
        chromium.close()


@contextmanager
def watched_pages(browser):
    """`open_page(**context_options)` -> a page; what all of them asked for is judged at the end."""
    contexts, outside, errors = [], [], []

    def record(url: str) -> None:
        if not is_local(url):
            outside.append(url)

    def open_page(**options):
        context = browser.new_context(viewport={"width": 1200, "height": 1000}, **options)
        contexts.append(context)
        context.on("request", lambda request: record(request.url))
        page = context.new_page()
        page.on("websocket", lambda socket: record(socket.url))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.set_default_timeout(120_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert outside == [], "the page asked for something off this machine"
    assert errors == [], "the page logged errors"


@pytest.fixture
def new_page(browser):
    """`new_page(**context_options)` -> a page, watched during one test."""
    with watched_pages(browser) as open_page:
        yield open_page


@pytest.fixture(scope="module")
def lasting_page(browser):
    """A page for several tests, watched until the last of them has ended."""
    with watched_pages(browser) as open_page:
        yield open_page()


FAKE_MODEL = """
async ({ esm, css, state }) => {
  const listeners = {};
  let pending = {};
  for (const [name, value] of Object.entries(state))  // bytes arrive as a DataView, as from a kernel
    if (value?.base64 !== undefined) state[name] = new DataView(Uint8Array.from(atob(value.base64), (c) => c.charCodeAt(0)).buffer);
  window.saved = [];
  window.sent = [];
  window.model = {
    get: (name) => state[name],
    set: (name, value) => {
      state[name] = pending[name] = value;
      for (const f of listeners[`change:${name}`] ?? []) f();
    },
    save_changes: () => { window.saved.push(pending); pending = {}; },
    on: (name, f) => (listeners[name] ??= []).push(f),
    off: (name, f) => { listeners[name] = listeners[name].filter((g) => g !== f); },
    send: (message) => window.sent.push(message),
    receive: (message, buffers) => {
      const views = buffers.map(({ base64 }) => new DataView(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer));
      for (const f of listeners["msg:custom"] ?? []) f(message, views);
    },
    listening: () => Object.values(listeners).flat().length,
  };
  document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
  const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
  window.module = await import(url);
  window.cleanUp = await window.module.default.render({ model: window.model, el: document.body });
}
"""


def as_base64(data: bytes) -> dict:
    """Bytes of a state as JSON."""
    return {"base64": base64.b64encode(data).decode()}


class WidgetPage:
    """A widget alone in a page; `state` comes from the Python widget."""

    def __init__(self, page, widget) -> None:
        self.page, self.widget = page, widget
        state = widget.get_state()
        esm, css = state.pop("_esm"), state.pop("_css")
        page.goto("about:blank")
        page.evaluate("document.documentElement.lang = 'en'")
        page.evaluate(FAKE_MODEL, {"esm": esm, "css": css, "state": json.loads(json.dumps(state, default=as_base64))})

    def push(self, **state) -> None:
        """Change the state as the kernel would."""
        self.page.evaluate(
            "async s => { for (const [k, v] of Object.entries(s)) model.set(k, v); await null; }",
            state,
        )

    def saved(self) -> list[dict]:
        """What the widget has sent to the kernel."""
        return self.page.evaluate("saved")

    def answer(self) -> list[dict]:
        """Give the widget's messages to Python and Python's answers to the page -> the messages."""
        sent = self.page.evaluate("sent.splice(0)")
        self.widget.send = lambda message, buffers=(): self.page.evaluate(
            "([m, b]) => model.receive(m, b)", [message, [as_base64(data) for data in buffers]]
        )
        for message in sent:
            self.widget._handle_custom_msg(message, [])
        return sent

    def call(self, function: str, *arguments):
        """Result of a pure function that the widget's module exports."""
        return self.page.evaluate("([f, a]) => module[f](...a)", [function, list(arguments)])

    @contextmanager
    def dragging(self, node, share: float):
        """`with shown.dragging(slider, 0.3) as to: to(0.8)`: pressed and moved at these shares of its width, then released."""
        box = node.bounding_box()

        def at(across: float, down: float = 0.5) -> tuple[float, float]:
            return box["x"] + across * box["width"], box["y"] + down * box["height"]

        self.page.mouse.move(*at(share))
        self.page.mouse.down()
        yield lambda *place: self.page.mouse.move(*at(*place), steps=4)
        self.page.mouse.up()

    def fastest(self, change: str, times: int = 15) -> float:
        """Milliseconds of the fastest of so many redraws; `change` is a JS statement that may use i."""
        return self.page.evaluate(
            f"""async () => {{
              const taken = [];
              for (let i = 0; i < {times}; i++) {{
                const start = performance.now();
                {change};
                await null;
                document.body.getBoundingClientRect();
                taken.push(performance.now() - start);
              }}
              return Math.min(...taken);
            }}"""
        )

    def fits(self, width: int = 360) -> None:
        """Wait until nothing sticks out of a window of this width; fails where something goes on doing so."""
        self.page.set_viewport_size({"width": width, "height": 800})
        self.page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")

    def has_theme(self, dark: bool) -> None:
        """The widget's paper is that of the dark or of the light theme."""
        background = self.page.evaluate("getComputedStyle(document.querySelector('.bn')).backgroundColor")
        assert background == ("rgb(17, 17, 17)" if dark else "rgb(255, 255, 255)")

    def closes(self) -> None:
        """Clean up as JupyterLab does when the output goes; nothing may still listen to the model."""
        self.page.evaluate("cleanUp()")
        assert self.page.evaluate("model.listening()") == 0

    def accessible(self) -> str:
        """What a screen reader finds: roles, names and values, one a line."""
        return self.page.locator("body").aria_snapshot()


@pytest.fixture
def blank_page(new_page):
    """`blank_page(widget, dark=False)` -> WidgetPage."""

    def show(widget, dark: bool = False, **options) -> WidgetPage:
        scheme = "dark" if dark else "light"
        return WidgetPage(new_page(color_scheme=scheme, **options), widget)

    return show


class Server:
    """A JupyterLab whose folders are all temporary.

    with_course: its root is a workspace, with the course panel and the settings of `bigmodel-nb start`.
    packages: a folder of Python packages for it.
    """

    def __init__(self, folder: Path, with_course: bool = False, packages: str = "") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.root = folder / "root"
        self.root.mkdir()
        names = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
        names |= {f"JUPYTER_{n.upper()}_DIR": n for n in ("config", "data", "runtime")}
        folders = {name: str(folder / part) for name, part in names.items()}
        no_news = folder / "settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
        no_news.parent.mkdir(parents=True)
        no_news.write_text('{"fetchNews": "false", "checkForUpdates": false}')
        path = os.pathsep.join(filter(None, [str(REPO), packages, os.environ.get("PYTHONPATH")]))
        home = {"IPYTHONDIR": str(folder / "ipython"), "BIGMODEL_NB_HOME": str(self.root)}
        self.url, self.token = f"http://127.0.0.1:{port}", "course"
        flags = [f"--port={port}", f"--IdentityProvider.token={self.token}"]
        flags += [*SERVER_FLAGS, f"--ServerApp.root_dir={self.root}"]
        if with_course:
            home["JUPYTER_CONFIG_PATH"] = str(LAB / "config")
            flags.append(f"--LabApp.extra_labextensions_path={LAB / 'labextensions'}")
            course.make_workspace(self.root)
        self.log = folder / "server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *flags],
                env={**os.environ, **folders, **home, "PYTHONPATH": path},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self, seconds: float = 300) -> None:
        """Wait until the server answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.url}/api", timeout=5).close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        pytest.fail(f"JupyterLab did not start:\n{self.log.read_text(errors='replace')[-2000:]}")

    def stop_kernel(self, path: str) -> None:
        """End the kernel of a notebook."""
        sessions = f"{self.url}/api/sessions"
        token = {"Authorization": f"token {self.token}"}
        with urllib.request.urlopen(urllib.request.Request(sessions, headers=token), timeout=60) as answer:
            running = json.load(answer)
        (session,) = (it["id"] for it in running if it["path"] == path)
        ended = urllib.request.Request(f"{sessions}/{session}", headers=token, method="DELETE")
        urllib.request.urlopen(ended, timeout=60).close()

    def stop(self) -> None:
        """End the server and its kernels."""
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A running JupyterLab."""
    running = Server(tmp_path_factory.mktemp("lab"))
    try:
        running.wait()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def course_server(tmp_path_factory):
    """A running JupyterLab in a workspace of the course."""
    running = Server(tmp_path_factory.mktemp("course"), with_course=True)
    try:
        running.wait()
        yield running
    finally:
        running.stop()


LANGUAGE_PACK = {  # the least that makes JupyterLab speak Chinese, as its own language pack does
    "chinese/__init__.py": "",
    "chinese/locale/zh_CN/LC_MESSAGES/jupyterlab.json": json.dumps(
        {"": {"domain": "jupyterlab", "language": "zh-CN", "plural_forms": "nplurals=1; plural=0;", "version": "4.0"}}
    ),
    "chinese-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: chinese\nVersion: 1.0\n",
    "chinese-1.0.dist-info/entry_points.txt": "[jupyterlab.languagepack]\nzh_CN = chinese\n\n"
    "[jupyterlab.locale]\nbigmodel_nb = bigmodel_nb.lab\n",  # ours is there already where the course is installed
}


@pytest.fixture(scope="session")
def chinese_server(tmp_path_factory):
    """A running JupyterLab in a workspace of the course, in Chinese."""
    folder = tmp_path_factory.mktemp("chinese")
    files = {f"packages/{name}": text for name, text in LANGUAGE_PACK.items()}
    files["settings/@jupyterlab/translation-extension/plugin.jupyterlab-settings"] = '{"locale": "zh_CN"}'
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    running = Server(folder, with_course=True, packages=str(folder / "packages"))
    try:
        running.wait()
        yield running
    finally:
        running.stop()


OPEN = """
async (path) => {
  const app = window.jupyterapp;
  await app.restored;
  const panel = await app.commands.execute("docmanager:open", { path, factory: "Notebook" });
  await panel.context.ready;
  await panel.sessionContext.ready;
  await panel.sessionContext.session?.kernel?.info;
  app.shell.activateById(panel.id);
  window.panel = panel;
}
"""
RUN = """
() => { window.ran = window.jupyterapp.commands.execute("notebook:run-all-cells"); }
"""
OUTPUTS = """
async () => {
  await window.ran;
  return [...panel.content.widgets].filter((c) => c.model.type === "code").map((c) => c.model.outputs.toJSON());
}
"""


WITH_FALLBACK = {"application/vnd.jupyter.widget-view+json", "image/svg+xml", "image/png", "text/plain"}


class LabNotebook:
    """A notebook open in JupyterLab; `page` is Playwright's."""

    def __init__(self, page, server: Server, name: str) -> None:
        self.page = page
        page.goto(f"{server.url}/lab?reset&token={server.token}")
        page.wait_for_function("window.jupyterapp")
        page.evaluate(OPEN, name)

    def start(self) -> None:
        """Run all cells without waiting for them."""
        self.page.evaluate(RUN)

    def outputs(self) -> list[list[dict]]:
        """Outputs of each code cell once all have run."""
        return self.page.evaluate(OUTPUTS)

    def fallback(self, cell: int = 0) -> dict:
        """Data of a code cell's first output, a widget with its static fallback, once all cells have run."""
        data = self.outputs()[cell][0]["data"]
        assert set(data) == WITH_FALLBACK
        return data

    def command(self, name: str, **arguments):
        """Run one of JupyterLab's commands."""
        call = "async ([name, args]) => { await jupyterapp.commands.execute(name, args); }"
        self.page.evaluate(call, [name, arguments])

    def keeps_keys(self) -> None:
        """What has the focus keeps its keys from JupyterLab, whose shortcut "a" would insert a cell."""
        cells = self.page.locator(".jp-CodeCell")
        before = cells.count()
        self.page.keyboard.press("a")
        assert cells.count() == before

    def dark(self) -> None:
        """Switch to the dark theme, and wait until the first widget on the page has followed."""
        self.command("apputils:change-theme", theme="JupyterLab Dark")
        self.page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
        background = "getComputedStyle(document.querySelector('.bn')).backgroundColor"
        self.page.wait_for_function(f"{background}.match(/\\d+/)[0] < 64")


@pytest.fixture
def lab(server, new_page):
    """`lab(notebook)` -> LabNotebook; the notebook is a list of cell sources, or a file's path."""
    opened = []

    def open_notebook(notebook: list[str] | Path) -> LabNotebook:
        name = f"test_{len(list(server.root.iterdir()))}.ipynb"
        if isinstance(notebook, Path):
            shutil.copy(notebook, server.root / name)
        else:
            nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in notebook])
            nb.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
            nbformat.write(nb, server.root / name)
        opened.append(LabNotebook(new_page(), server, name))
        return opened[-1]

    yield open_notebook
    for notebook in opened:
        notebook.command("kernelmenu:shutdown")
