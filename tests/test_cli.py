import csv
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import psutil
import pytest
import tiny_notebook

from bigmodel_nb import cli, course, doctor, exercises
from bigmodel_nb.lab import session
from bigmodel_nb.run import RunReport


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A course of two tiny lessons in place of the shipped one."""
    folder = tmp_path / "shipped"
    tiny_notebook.write(folder / "00_start_here.ipynb", "print(1 + 1)", lesson=0, title="Start here", budget={"seconds": 30, "rss_mb": 500})
    tiny_notebook.write(folder / "13_finetune_gpt2.ipynb", "x = 1", "x / 0", lesson=13, title="Fine-tune", part="C", minutes=60)
    monkeypatch.setattr(course, "notebooks_folder", lambda: folder)
    monkeypatch.setattr(course, "in_checkout", lambda: False)
    monkeypatch.delenv("BIGMODEL_NB_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return folder


def run(*words):
    """Exit code of a command, argparse's own included."""
    try:
        return cli.main(words)
    except SystemExit as end:
        return end.code


def test_start_twice_keeps_a_changed_lesson_and_says_so(shipped, tmp_path, capsys):
    assert run("start", "--no-open") == 0
    first = capsys.readouterr().out
    home = tmp_path / "bigmodel-nb-course"
    assert "new      00_start_here.ipynb" in first and f"Workspace: {home}" in first
    tiny_notebook.edit(home / "00_start_here.ipynb", 0, source="mine")
    before = (home / "00_start_here.ipynb").read_bytes()
    assert run("start", "--no-open") == 0
    assert "kept     00_start_here.ipynb: you changed it" in capsys.readouterr().out
    assert (home / "00_start_here.ipynb").read_bytes() == before


def test_start_names_a_newer_original(shipped, capsys):
    run("start", "ws", "--no-open")
    tiny_notebook.edit(Path("ws/00_start_here.ipynb"), 0, source="mine")
    tiny_notebook.edit(shipped / "00_start_here.ipynb", 0, source="newer")
    run("start", "ws", "--no-open")
    assert "there is a newer original. 'bigmodel-nb reset 0' gives it" in capsys.readouterr().out


def test_start_inside_a_workspace_uses_it(shipped, tmp_path, monkeypatch, capsys):
    run("start", "ws", "--no-open")
    monkeypatch.chdir(tmp_path / "ws")
    run("start", "--no-open")
    assert not (tmp_path / "ws" / "bigmodel-nb-course").exists()


def test_start_opens_lab_at_the_first_lesson(shipped, tmp_path, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(cli, "hand_over", lambda command, environment: opened.append((command, environment)) or 0)
    monkeypatch.setattr(session, "is_free", lambda port: port > 8889)
    assert run("start", "ws", "--", "--no-browser") == 0
    ((command, environment),) = opened
    assert command[:3] == [sys.executable, "-m", "jupyterlab"] and command[-1] == "--no-browser"
    assert "--LabApp.default_url=/lab/tree/00_start_here.ipynb" in command
    assert "--ServerApp.port=8890" in command and "Port 8888 is taken; the course opens on 8890" in capsys.readouterr().out
    assert environment["BIGMODEL_NB_HOME"] == str(tmp_path / "ws")


def test_start_says_when_a_folder_can_not_be_written(shipped, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run("start", "file", "--no-open") == 1
    error = capsys.readouterr().err
    assert "can't be written" in error and "Traceback" not in error and error.count("\n") == 1


def test_list(shipped, capsys):
    assert run("list") == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["13", "C", "Fine-tune", "60", "min"]


def test_run_reports_cells_and_budget(shipped, capsys):
    assert run("run", "0") == 0
    out = capsys.readouterr().out
    assert "00_start_here.ipynb: Start here" in out and "[ 1/1]" in out and "print(1 + 1)" in out
    assert "of 30 s" in out and "of 500 MB" in out


def test_a_failing_lesson_fails_the_command_and_the_others_still_run(shipped, capsys):
    assert run("run", "13", "0") == 1
    out, error = capsys.readouterr()
    assert "13_finetune_gpt2.ipynb: code cell 2 of 2 (x / 0): ZeroDivisionError: division by zero" in error
    assert "00_start_here.ipynb: Start here" in out and "finished" in out


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_interrupting_a_run_ends_the_kernel_too(tmp_path):
    path = tiny_notebook.write(tmp_path / "long.ipynb", "import os\nopen('pid', 'w').write(str(os.getpid()))", "import time\ntime.sleep(300)")
    command = [sys.executable, "-m", "bigmodel_nb.cli", "run", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stdout:
        if "[ 1/2]" in line:
            break
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=150)
    assert process.returncode == 130, error
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_run_save_stores_a_copy_of_ones_own(shipped, tmp_path, capsys):
    path = tiny_notebook.write(tmp_path / "own.ipynb", "import os\nos.environ.get('BIGMODEL_NB_MODEL')\nprint(os.environ['BIGMODEL_NB_HOME'])")
    assert run("run", str(path), "--save") == 0
    stored = json.loads(path.read_text())
    assert "bigmodel-nb-" in stored["cells"][0]["outputs"][0]["text"][0]  # a fresh state folder, not the learner's


@pytest.mark.parametrize(
    "words, message",
    [
        (["run", "7"], "No lesson '7'"),
        (["run", "0", "--save", "--solved"], "leave out --solved"),
        (["run", "0", "--save", "--model", "gpt2"], "leave out --solved and --model"),
        (["run", "0", "--save"], "--save needs a source checkout"),
        (["list", "--readme"], "--readme needs a source checkout"),
        (["reset", "7"], "No lesson '7'"),
        (["nonsense"], "invalid choice"),
        ([], "required"),
    ],
)
def test_wrong_usage_is_2(shipped, words, message, capsys):
    assert run(*words) == 2
    assert message in capsys.readouterr().err


def test_over_budget_is_said():
    lesson = course.Lesson(0, "n", "f", Path("f"), "t", budget={"seconds": 1, "rss_mb": 1000})
    line = cli.budget_line(lesson, RunReport(None, 2.04, 900_000_000))
    assert line == "  finished: 2.0 s of 1 s (OVER BUDGET), peak 900 MB of 1,000 MB"


def test_reset(shipped, capsys):
    run("start", "ws", "--no-open")
    tiny_notebook.edit(Path("ws/00_start_here.ipynb"), 0, source="mine")
    assert run("reset", "0", "ws") == 0
    out = capsys.readouterr().out
    assert "00_start_here.ipynb is the original again" in out and "Your version: " in out
    assert run("reset", "0", ".") == 1  # not a workspace


@pytest.fixture
def workspaces(shipped):
    """Workspaces of a class: ann has passed an exercise, bob has done nothing, eve's file is damaged."""
    for name in ("ann", "bob", "eve"):
        run("start", f"class/{name}", "--no-open")
    Path("class/notes").mkdir()
    entry = {"attempts": 3, "passed_at": "2026-01-01", "misconceptions": {"sum of means": 2, "=1+1": 1}}
    begun = {"attempts": 1, "misconceptions": {"=1+1": 1}}
    state = {
        "exercises": {"finetune_gpt2.perplexity": entry, "finetune_gpt2.gone": begun},
        "quizzes": {"finetune_gpt2.labels": {"right": True}},
    }
    Path("class/ann/.bigmodel_nb/progress.json").write_text(json.dumps(state))
    Path("class/eve/.bigmodel_nb/progress.json").write_text("{damaged")


def test_report_of_one_workspace(workspaces, capsys):
    capsys.readouterr()
    for name, line in [
        ("ann", "  finetune_gpt2  1 of 4 passed, 1 begun, 1 of 1 questions right"),
        ("bob", "  no exercise tried yet"),
        ("eve", "  its progress file is damaged: nothing is known"),
    ]:
        assert run("report", f"class/{name}") == 0
        assert capsys.readouterr().out.splitlines() == [f"class/{name}", line]


def test_report_of_a_class(workspaces, capsys):
    capsys.readouterr()
    assert run("report", "class") == 0
    text = capsys.readouterr().out
    rows = [line.split() for line in text.splitlines()]
    of = len(exercises.catalogue())
    assert rows[0] == ["learner", "finetune_gpt2", "exercises", "questions", "note"]
    assert rows[1] == ["class/ann", "1/4", f"1/{of}", "1/1"]
    assert rows[2] == ["class/bob", "-", f"0/{of}", "0/0"]
    assert rows[3] == ["class/eve", "-", f"0/{of}", "0/0", "progress", "file", "damaged"]
    assert rows[-1] == ["finetune_gpt2.perplexity", "1", "1", "sum", "of", "means"]
    assert run("report", "class/ann", "class/bob", "class/eve", "class/ann") == 0
    assert capsys.readouterr().out == text


def test_report_as_csv(workspaces, capsys):
    assert run("report", "class", "--csv", "class.csv") == 0
    with open("class.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    ids = {it.id for it in exercises.catalogue()}
    assert len(rows) == 3 * len(ids) + 1  # ann's unknown exercise is not lost
    (passed,) = (row for row in rows if row["state"] == "passed")
    assert passed == {
        "learner": "class/ann", "lesson": "finetune_gpt2", "exercise": "perplexity", "state": "passed", "attempts": "3",
        "hints": "0", "solution_seen": "no", "passed_at": "2026-01-01", "most_frequent_mistake": "sum of means",
    }  # fmt: skip
    (begun,) = (row for row in rows if row["state"] == "begun")
    assert begun["exercise"] == "gone" and begun["most_frequent_mistake"] == "'=1+1"
    assert {row["state"] for row in rows if row["learner"] == "class/eve"} == {"progress file damaged"}


def test_report_needs_a_workspace(workspaces, capsys):
    assert run("report") == 1
    assert run("report", "nowhere") == 1
    assert run("report", "class/ann", "class/notes") == 1
    assert "class/notes is not a workspace" in capsys.readouterr().err


def test_an_incomplete_environment_is_3(shipped, monkeypatch, capsys):
    monkeypatch.setattr(cli, "hand_over", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run("start", "ws") == 3
    assert "jupyterlab is not installed" in capsys.readouterr().err


def test_bench_gets_its_arguments(monkeypatch):
    seen = []
    fake = type(sys)("bigmodel_nb.bench")
    fake.main = lambda argv: seen.append(argv)
    monkeypatch.setitem(sys.modules, "bigmodel_nb.bench", fake)
    assert run("bench", "--quick", "--steps", "3") == 0
    assert seen == [["--quick", "--steps", "3"]]


def test_the_command_loads_nothing_heavy():
    heavy = "{'torch', 'numpy', 'IPython', 'nbclient', 'nbformat', 'jupyter_client'}"
    code = (
        "import sys; from bigmodel_nb import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        f"print(sorted({{name.partition('.')[0] for name in sys.modules}} & {heavy}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment).stdout
    assert out.splitlines()[-1] == "[]" and "examples:" in out and "exit codes:" in out



def test_doctor_rows(monkeypatch, capsys):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code = run("doctor")
    out = capsys.readouterr().out
    for what in ("Python", "device", "memory", "disk", "hub", "port"):
        assert f"  {what} " in out
    assert code in (0, 3)


def test_doctor_fails_for_a_missing_package(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Row("fail", "torch", "not installed", 'pip install "torch>=2.9"')])
    assert run("doctor") == 3
    assert "-> pip install" in capsys.readouterr().out


def test_doctor_survives_a_broken_check():
    def broken():
        raise ZeroDivisionError("oops")

    assert doctor._rows(broken) == [doctor.Row("warn", "broken", "ZeroDivisionError: oops", "see the message")]


def test_doctor_compares_versions():
    from packaging.requirements import Requirement

    assert doctor._package(Requirement("pytest>=1")).state == "ok"
    assert doctor._package(Requirement("pytest<1")).state == "warn"
    assert doctor._package(Requirement("no-such-package-here")).state == "fail"


@pytest.fixture
def mirror():
    """A hub on loopback that answers with the status that is its first path part."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(int(self.path.split("/")[1]))
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("status, state, found", [(200, "ok", "answers"), (404, "warn", "answers with 404"), (503, "warn", "answers with 503")])
def test_doctor_asks_the_hub_or_its_mirror(mirror, monkeypatch, status, state, found):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(urllib.request, "_opener", urllib.request.build_opener(urllib.request.ProxyHandler({})))
    monkeypatch.setenv("HF_ENDPOINT", f"{mirror}/{status}")
    row = doctor.hub()
    assert (row.state, found in row.found) == (state, True)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "not a url"])
def test_doctor_without_a_hub_says_what_still_works(monkeypatch, endpoint):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(urllib.request, "_opener", urllib.request.build_opener(urllib.request.ProxyHandler({})))
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    row = doctor.hub()
    assert row.state == "warn" and "the pocket model needs no hub" in row.advice



def test_the_sessions_settings_come_first_and_keep_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/theirs")
    first, second = session.environment(tmp_path)["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert (Path(first) / "labconfig" / "default_setting_overrides.json").is_file() and second == "/theirs"


def test_lab_serves_the_courses_settings_and_this_python(shipped, tmp_path):
    """A real server, with a misleading python3 kernel in the user's own folder."""
    home = tmp_path / "home"
    theirs = home / ".local/share/jupyter/kernels/python3/kernel.json"
    theirs.parent.mkdir(parents=True)
    theirs.write_text(json.dumps({"argv": ["/elsewhere/python"], "display_name": "elsewhere", "language": "python"}))
    course.make_workspace(tmp_path / "ws")
    port = session.free_port(18888)
    environment = {**session.environment(tmp_path / "ws"), "HOME": str(home), "JUPYTER_DATA_DIR": str(theirs.parents[2])}
    environment["PYTHONPATH"] = str(Path(cli.__file__).parents[1])
    command = session.command(tmp_path / "ws", port, ["--no-browser", "--IdentityProvider.token=t", "--ServerApp.port_retries=0"])
    with open(tmp_path / "log", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        specs = _get(server, port, "/api/kernelspecs")
        settings = {it["id"]: it["schema"].get("properties") for it in _get(server, port, "/lab/api/settings")["settings"]}
        overview = _get(server, port, "/bigmodel-nb/overview")
        panel = urllib.request.Request(f"http://127.0.0.1:{port}/lab/extensions/bigmodel-nb/lib/panel.js", headers={"Authorization": "token t"})
        kept_for = _opener().open(panel, timeout=30).headers["Cache-Control"]
    finally:
        server.terminate()
        server.wait(60)
    assert specs["kernelspecs"]["python3"]["spec"]["argv"][0] == sys.executable
    assert settings["@jupyter-widgets/jupyterlab-manager:plugin"]["saveState"]["default"] is True
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"]["default"] == "false"
    assert "bigmodel-nb:plugin" in settings and overview["workspace"] == "."
    assert kept_for == "no-cache"  # else a browser would go on with an older panel after an update


def _opener():
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _get(server, port, path, seconds=180):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return json.load(_opener().open(f"http://127.0.0.1:{port}{path}?token=t", timeout=30))
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
