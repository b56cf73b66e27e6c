"""What an isolated process can see and do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import bigmodel_nb
from bigmodel_nb.classroom import isolate
from bigmodel_nb.errors import ResourceError

pytestmark = pytest.mark.skipif(not isolate.means(), reason="neither bubblewrap nor user namespaces here")
PACKAGE = Path(bigmodel_nb.__file__).parent


def run(own, code, hide=()):
    command = isolate.command(own, [sys.executable, "-c", code], hide)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PACKAGE.parent)}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def test_its_own_folder_is_all_that_it_can_write_to(tmp_path):
    done = run(tmp_path, """
import os
open("/graded/mine", "w").write("kept")
for place in ("/", "/usr", "/etc", os.path.dirname(os.__file__), "/proc/sys/kernel"):
    try:
        open(place + "/x", "w")
        print("wrote", place)
    except OSError:
        pass
""")
    assert done.returncode == 0 and done.stdout == "", done.stderr
    assert (tmp_path / "mine").read_text() == "kept"


def test_home_and_others_files_are_not_in_sight(tmp_path):
    secret = tmp_path / "other" / "secret"
    secret.parent.mkdir()
    secret.write_text("x")
    own = tmp_path / "own"
    own.mkdir()
    done = run(own, f"import os; print([p for p in ({str(secret)!r}, {str(Path.home())!r} + '/.bashrc', '/old', '/var', '/root/.ssh') if os.path.exists(p)], os.listdir('/graded'))")
    assert done.stdout.strip().startswith("[]") and "secret" not in done.stdout, done.stderr


def test_a_python_among_the_temporary_files_is_shown(tmp_path, monkeypatch):
    shown, own = tmp_path / "shown", tmp_path / "own"
    shown.mkdir()
    own.mkdir()
    (shown / "here").write_text("x")
    everything = [*isolate.visible(), str(shown)]
    monkeypatch.setattr(isolate, "visible", lambda: everything)
    done = run(own, f"import os; print(os.listdir({str(shown)!r}), os.listdir({str(tmp_path)!r}))")
    assert done.stdout.strip() == "['here'] ['shown']", done.stderr


def test_a_file_can_be_hidden(tmp_path):
    hidden = PACKAGE / "exercises" / "attention.py"
    done = run(tmp_path, f"import bigmodel_nb; print(len(open({str(hidden)!r}).read()), len(open(bigmodel_nb.__file__).read()) > 0)", [hidden])
    assert done.stdout.strip() == "0 True", done.stderr


def test_no_network_not_even_this_machine(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket\ntry:\n    socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 2)\n    print('open')\nexcept OSError:\n    print('closed')"
        assert run(tmp_path, code).stdout.strip() == "closed"


def test_no_privileges_and_no_other_processes(tmp_path):
    done = run(tmp_path, """
import os, subprocess
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line) if os.path.exists("/proc/self/status") else {}
print(int(status.get("CapEff", "0"), 16), int(status.get("CapBnd", "0"), 16))
print(subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/tmp"], capture_output=True).returncode != 0)
print(len([name for name in os.listdir("/proc") if name.isdigit()]) < 5)
""")
    assert done.stdout.split() == ["0", "0", "True", "True"], done.stderr


def test_it_ends_with_its_parent(tmp_path):
    code = "import os, time\nif os.fork():\n    time.sleep(60)\ntime.sleep(60)"
    process = subprocess.Popen(isolate.command(tmp_path, [sys.executable, "-c", code]), stdout=subprocess.DEVNULL, start_new_session=True)
    process.kill()
    assert process.wait(10)


def test_without_isolation_it_refuses_unless_told_to_trust(monkeypatch, tmp_path):
    monkeypatch.setattr(isolate, "means", lambda: "")
    with pytest.raises(ResourceError, match="--trust"):
        isolate.command(tmp_path, ["true"])
    assert isolate.command(tmp_path, ["true"], trust=True) == ["true"]
