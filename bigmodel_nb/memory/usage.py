"""How much memory this process uses, and how much it may use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

UNLIMITED = 2**60  # control groups write larger numbers for 'no limit'


def rss() -> int:
    """Resident memory of this process, in bytes.

    >>> rss() > 1_000_000
    True
    """
    return psutil.Process().memory_info().rss


def limit(root: Path = Path("/")) -> int:
    """Bytes this process may use: the control group's limit (v1 or v2), else all memory there is."""
    return min([psutil.virtual_memory().total, *(group.limit for group in _groups(root))])


def available(root: Path = Path("/")) -> int:
    """Bytes that can still be allocated, within the machine's memory and the control group's limit."""
    free = [psutil.virtual_memory().available]
    return max(0, min(free + [group.limit - group.used for group in _groups(root)]))


@dataclass(frozen=True)
class _Group:
    """Limit and use of a control group; file pages that the kernel can drop are not counted."""

    limit: int
    used: int


def _groups(root: Path) -> list[_Group]:
    """The control groups with a memory limit that this process is in, from its own to the root's."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            names = ("memory.max", "memory.current", "inactive_file")
            found += _walk(root / "sys/fs/cgroup", path, *names)
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            found += _walk(root / "sys/fs/cgroup/memory", path, *names)
    return found


def _walk(mount: Path, path: str, limit_name: str, used_name: str, inactive_name: str) -> list[_Group]:
    """Groups with a limit from `path` up to the mount point, which alone is seen in a container."""
    folder = mount / path.lstrip("/")
    found = []
    for group in (folder, *folder.parents):
        ceiling = _number(group / limit_name)
        if ceiling is not None and ceiling < UNLIMITED:
            used = _number(group / used_name) or 0
            found.append(_Group(ceiling, max(0, used - _stat(group / "memory.stat", inactive_name))))
        if group == mount:
            break
    return found


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # 'max' means no limit
        return None


def _stat(file: Path, name: str) -> int:
    try:
        pairs = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return 0
    return next((int(pair[1]) for pair in pairs if pair[0] == name), 0)
