"""A process that sees no network, no home, no other learner's files, and can write only to its own folder.

On Linux by bubblewrap, where it is installed, or by the user namespaces of the kernel. Elsewhere
nothing is isolated, and the grader refuses unless it is told to trust the submissions.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import bigmodel_nb
from bigmodel_nb.errors import ResourceError

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/alternatives", "/etc/ld.so.cache", "/etc/ssl", "/etc/localtime")
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")

# The new root is made in a mount namespace, then nothing else is left in sight and every privilege is
# given up. $1 is the empty folder for the root, $2 the learner's folder; then the folders to show, `--`,
# files to hide, `--`, the command.
_SCRIPT = r"""
set -eu
root=$1 own=$2; shift 2
mount -t tmpfs -o size=64M,mode=755 tmpfs "$root"
mkdir "$root/tmp"  # before what is shown, some of which may lie in it
mount -t tmpfs -o size=64M tmpfs "$root/tmp"
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$root$1"; else mkdir -p "$root$(dirname "$1")"; : > "$root$1"; fi
  mount --bind "$1" "$root$1"
  case "$1" in /dev/*) ;; *) mount -o remount,bind,ro "$root$1" ;; esac
  shift
done
shift
: > "$root/nothing"
while [ "$1" != -- ]; do mount --bind "$root/nothing" "$root$1"; shift; done
shift
mkdir -p "$root/proc" "$root/graded" "$root/old"
mount -t proc proc "$root/proc" 2>/dev/null || true
mount --bind "$own" "$root/graded"
cd "$root"
pivot_root . old
cd /graded
umount -l /old
rmdir /old
mount -o remount,ro,size=64M,mode=755 /
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --ambient-caps=-all "$@"
"""


@functools.cache
def means() -> str:
    """How processes can be isolated here: "bubblewrap", "namespaces" or "" for not at all."""
    for name, command in (("bubblewrap", _bubblewrap(Path("/tmp"), ["true"], [])), ("namespaces", None)):
        try:
            if command is None:
                command = _namespaces(Path("/tmp"), ["true"], [])
            if subprocess.run(command, capture_output=True, timeout=30).returncode == 0:
                return name
        except (OSError, subprocess.TimeoutExpired):
            continue
    return ""


def command(own: Path, inside: Sequence[str], hide: Sequence[Path] = (), trust: bool = False) -> list[str]:
    """The command that runs `inside` isolated, with `own` as its only writable folder, at /graded.

    hide: files that it sees as empty. With `trust` and no means of isolation it runs as it is;
    without, that is a ResourceError.
    """
    how = means()
    if how:
        return {"bubblewrap": _bubblewrap, "namespaces": _namespaces}[how](own, inside, hide)
    if trust:
        return list(inside)
    raise ResourceError(
        "Submissions are programs, and this machine has neither bubblewrap nor user namespaces to keep them apart from "
        "your files. Next: grade on Linux with bubblewrap (apt-get install bubblewrap), in a container, or, if you "
        "trust every submission, with --trust."
    )


def visible() -> list[str]:
    """The folders that Python and the course are in, and the system's programs and libraries."""
    python = {sys.prefix, sys.base_prefix, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    real = {os.path.realpath(sys.executable), *python, str(Path(bigmodel_nb.__file__).parent)}
    wanted = [path for path in (*SYSTEM, *sorted(real)) if os.path.exists(path)]
    return [path for path in wanted if not any(path != it and path.startswith(it + "/") for it in wanted)]


def _bubblewrap(own: Path, inside: Sequence[str], hide: Sequence[Path]) -> list[str]:
    shown = [part for path in visible() for part in ("--ro-bind", path, path)]
    hidden = [part for path in hide for part in ("--ro-bind", "/dev/null", str(path))]
    return [
        shutil.which("bwrap") or "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
        "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", *shown, *hidden, "--bind", str(own), "/graded", "--chdir", "/graded", *inside,
    ]  # fmt: skip


def _namespaces(own: Path, inside: Sequence[str], hide: Sequence[Path]) -> list[str]:
    root = own / ".root"
    root.mkdir(exist_ok=True)
    apart = ["--user", "--map-root-user", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
    shown = [*visible(), *(path for path in DEVICES if os.path.exists(path))]
    return ["unshare", *apart, "sh", "-c", _SCRIPT, "isolate", str(root), str(own), *shown, "--", *map(str, hide), "--", *inside]
