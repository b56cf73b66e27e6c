"""Run a command without a network, and know whether it tried to use one.

Two nets, one behind the other. An audit hook (recorder/sitecustomize.py) sees and refuses every
attempt of Python code. Where Linux lets us, the command also runs in an empty network namespace that
has loopback only, whose counters show the attempts of programs that aren't Python.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

RECORDER = Path(__file__).parent / "recorder"
LOG = "BIGMODEL_NB_NETWORK_LOG"
_SIOCSIFFLAGS, _IFF_UP, _IFF_RUNNING = 0x8914, 0x1, 0x40


@dataclass
class Offline:
    """A command prepared to run without a network: start `.command` with `.env`, then read `.attempts()`."""

    command: list[str]
    env: dict[str, str]
    log: Path
    how: str = field(default="")

    def attempts(self) -> list[str]:
        """What it tried, one line an attempt; empty where it kept to this machine."""
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []


def prepare(command: Sequence[str | os.PathLike[str]], env: Mapping[str, str], log: Path) -> Offline:
    """`command` wrapped so that it has no network and its attempts go to the file `log`.

    Proxy variables are dropped: a proxy on loopback would hide what goes through it.
    """
    clean = {name: value for name, value in env.items() if not name.lower().endswith("_proxy")}
    path = [str(RECORDER), *filter(None, [clean.get("PYTHONPATH")])]
    clean |= {LOG: str(log), "PYTHONPATH": os.pathsep.join(path)}
    wrapper = namespace()
    inside = [sys.executable, str(Path(__file__).resolve()), *map(os.fspath, command)] if wrapper else command
    return Offline([*wrapper, *map(os.fspath, inside)], clean, log, how=" ".join(wrapper) or "recorder only")


def run_offline(command: Sequence[str | os.PathLike[str]], env: Mapping[str, str], log: Path, **kwargs):
    """`subprocess.run` of a command without a network: a CompletedProcess; attempts are in `log`."""
    prepared = prepare(command, env, log)
    return subprocess.run(prepared.command, env=prepared.env, **kwargs)


@functools.cache
def namespace() -> tuple[str, ...]:
    """The command that gives an empty network namespace here; () where none is permitted."""
    for command in (("unshare", "-n"), ("unshare", "-rn")):
        try:
            if subprocess.run([*command, "true"], capture_output=True, timeout=20).returncode == 0:
                return command
        except (OSError, subprocess.TimeoutExpired):
            return ()
    return ()


def _inside(command: list[str]) -> int:
    """In the namespace: loopback up, run the command, record what found no route out."""
    _loopback_up()
    code = subprocess.call(command)
    if lost := _without_route():
        with open(os.environ[LOG], "a", encoding="utf-8") as log:
            log.write(f"{lost} attempts to connect from a program that the recorder doesn't see\n")
    return code


def _loopback_up() -> None:
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP | _IFF_RUNNING))


def _without_route() -> int:
    """Packets and connections of this namespace that had nowhere to go.

    Python's own don't count: the recorder refuses them before they reach the kernel.
    """
    names, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines()[:2])
    v4 = int(dict(zip(names, values)).get("OutNoRoutes", 0))
    v6 = Path("/proc/net/snmp6")
    found = re.search(r"^Ip6OutNoRoutes\s+(\d+)", v6.read_text(), re.MULTILINE) if v6.exists() else None
    return v4 + (int(found[1]) if found else 0)


if __name__ == "__main__":
    sys.exit(_inside(sys.argv[1:]))
