"""The check that a notebook doesn't use a network, tried on programs that do and don't."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.network.offline import namespace, prepare, run_offline

SENDS = {
    "connect": "import socket; socket.socket().connect(('192.0.2.1', 80))",
    "connect_ex": "import socket; socket.socket().connect_ex(('192.0.2.1', 80))",
    "connect over IPv6": "import socket; socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))",
    "create_connection": "import socket; socket.create_connection(('192.0.2.1', 80), 1)",
    "datagram": "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    "message": "import socket; socket.socket(type=socket.SOCK_DGRAM).sendmsg([b'x'], [], 0, ('192.0.2.1', 53))",
    "look-up": "import socket; socket.getaddrinfo('example.invalid', 80)",
    "old look-up": "import socket; socket.gethostbyname('example.invalid')",
    "urllib": "import urllib.request; urllib.request.urlopen('http://example.invalid', timeout=1)",
    "swallowed": "import socket\ntry: socket.getaddrinfo('example.invalid', 80)\nexcept OSError: pass",
    "child process": "import subprocess, sys; subprocess.run([sys.executable, '-c',"
    " \"import socket; socket.getaddrinfo('example.invalid', 80)\"])",
}
LOOPBACK = """
import socket, tempfile, os
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(("localhost", server.getsockname()[1])).sendall(b"x")
assert server.accept()[0].recv(1) == b"x"
socket.getaddrinfo("127.0.0.1", 80); socket.getaddrinfo(None, 0); socket.getaddrinfo(socket.gethostname(), 0)
path = os.path.join(tempfile.mkdtemp(), "s")
unix = socket.socket(socket.AF_UNIX); unix.bind(path); unix.listen()
socket.socket(socket.AF_UNIX).connect(path)
"""
needs_namespace = pytest.mark.skipif(not namespace(), reason="no network namespace is permitted here")


def attempts(command, tmp_path, env=os.environ) -> tuple[list[str], int]:
    """What a command tried, and its return code."""
    prepared = prepare(command, env, tmp_path / "network.log")
    done = subprocess.run(prepared.command, env=prepared.env, capture_output=True, text=True, timeout=60)
    return prepared.attempts(), done.returncode


@pytest.mark.parametrize("how", SENDS)
def test_an_attempt_is_recorded(how, tmp_path):
    tried, code = attempts([sys.executable, "-c", SENDS[how]], tmp_path)
    assert tried and ("192.0.2.1" in tried[0] or "2001:db8::1" in tried[0] or "example.invalid" in tried[0])
    assert (code == 0) == (how in ("swallowed", "child process"))


def test_loopback_passes(tmp_path):
    assert attempts([sys.executable, "-c", LOOPBACK], tmp_path) == ([], 0)


def test_a_proxy_on_loopback_hides_nothing(tmp_path):
    env = {**os.environ, "http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    tried, _ = attempts([sys.executable, "-c", SENDS["urllib"]], tmp_path, env)
    assert "example.invalid" in tried[0]


def test_the_return_code_comes_through(tmp_path):
    done = run_offline([sys.executable, "-c", "raise SystemExit(7)"], os.environ, tmp_path / "log", timeout=60)
    assert done.returncode == 7


@needs_namespace
def test_a_real_connection_fails_in_the_namespace(tmp_path):
    """Without the audit hook (-S and -I keep sitecustomize out) the kernel itself refuses."""
    program = "import socket, sys\ntry: socket.socket().connect(('192.0.2.1', 80))\nexcept OSError as e: sys.exit(e.errno)"
    tried, code = attempts([sys.executable, "-I", "-S", "-c", program], tmp_path)
    assert os.strerror(code) == "Network is unreachable"
    assert tried == ["1 attempts to connect from a program that the recorder doesn't see"]


@needs_namespace
@pytest.mark.parametrize("host", ["192.0.2.1", "[2001:db8::1]"])
def test_a_program_that_is_not_python_is_recorded(host, tmp_path):
    if not shutil.which("bash"):
        pytest.skip("bash is not here")
    tried, _ = attempts(["bash", "-c", f"exec 3<>/dev/tcp/{host.strip('[]')}/80"], tmp_path)
    assert "a program that the recorder doesn't see" in tried[0]
