"""What this machine has for the course, row by row, and what to do about what it hasn't."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from .errors import CourseError

_HUB = "https://huggingface.co"
_HUB_FILE = "/openai-community/gpt2/resolve/main/config.json"  # what loading "gpt2" asks for first
_MEMORY_NEEDED = 2e9  # a lesson may take 1.5 GB, JupyterLab and the system the rest
_DISK_NEEDED = 1e9


class Row(NamedTuple):
    """One line of the table; `state` is "ok", "warn" or "fail" (the course can't run)."""

    state: str
    what: str
    found: str
    advice: str = ""


def examine() -> list[Row]:
    """All rows. A check that breaks is a row that says so."""
    checks = (python, course, packages, device, memory, disk, hub, port)
    return [row for check in checks for row in _rows(check)]


def _rows(check: Callable[[], Row | Iterator[Row]]) -> list[Row]:
    try:
        found = check()
        return [found] if isinstance(found, Row) else list(found)
    except Exception as error:  # one broken check must not hide the others
        return [Row("warn", check.__name__, f"{type(error).__name__}: {error}", "see the message")]


def table(rows: list[Row]) -> str:
    """The rows as aligned text, each with its advice below where there is one.

    >>> print(table([Row("ok", "Python", "3.12"), Row("warn", "disk", "0 GB free", "make room")]))
    ok    Python  3.12
    warn  disk    0 GB free
                  -> make room
    """
    width = max(len(row.what) for row in rows)
    lines = []
    for row in rows:
        lines.append(f"{row.state:<4}  {row.what:<{width}}  {row.found}")
        if row.advice:
            lines.append(f"{'':{width + 8}}-> {row.advice}")
    return "\n".join(lines)


def python() -> Row:
    found = f"{platform.python_version()} in {sys.prefix}"
    if sys.version_info < (3, 11):
        return Row("fail", "Python", found, "the course needs Python 3.11 or newer")
    return Row("ok", "Python", found)


def course() -> Row:
    from . import __version__
    from .course import lessons, notebooks_folder

    try:
        found = f"{__version__}, {len(lessons())} lessons in {notebooks_folder()}"
    except CourseError as error:
        return Row("fail", "bigmodel-nb", __version__, str(error))
    return Row("ok", "bigmodel-nb", found)


def packages() -> Iterator[Row]:
    """What the course's own metadata requires, against what is installed."""
    from packaging.requirements import Requirement

    try:
        required = map(Requirement, importlib.metadata.requires("bigmodel-nb") or [])
    except importlib.metadata.PackageNotFoundError:
        yield Row("warn", "installation", "bigmodel-nb is not installed in this Python", "in its folder: pip install -e .")
        return
    for it in required:
        if it.marker is None or it.marker.evaluate({"extra": ""}):
            yield _package(it)


def _package(requirement) -> Row:
    name, wanted = requirement.name, str(requirement)
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Row("fail", name, "not installed", f'pip install "{wanted}"')
    if not requirement.specifier.contains(version, prereleases=True):
        return Row("warn", name, f"{version}, wanted {requirement.specifier}", f'pip install "{wanted}"')
    return Row("ok", name, version)


def device() -> Row:
    from .device import pick

    found = pick()
    return Row("ok", "device", f"{found.device}, {found.dtype}: {found.reason}")


def memory() -> Row:
    import psutil

    from .memory import limit

    free, most = psutil.virtual_memory().available, limit() or psutil.virtual_memory().total
    found = f"{min(free, most) / 1e9:.1f} GB free, at most {most / 1e9:.1f} GB for this session"
    if min(free, most) < _MEMORY_NEEDED:
        return Row("warn", "memory", found, "close other programs and other notebooks' kernels; lessons take up to 1.5 GB")
    return Row("ok", "memory", found)


def disk() -> Row:
    free = shutil.disk_usage(Path.cwd()).free
    found = f"{free / 1e9:.1f} GB free in {Path.cwd()}"
    if free < _DISK_NEEDED:
        return Row("warn", "disk", found, "make room, or work in another folder: bigmodel-nb start DIR")
    return Row("ok", "disk", found)


def hub() -> Row:
    """Whether models other than the shipped one could be fetched; no lesson needs it."""
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or _HUB
    advice = "the pocket model needs no hub; for others set HF_ENDPOINT to a mirror or give load_gpt2 a folder"
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return Row("ok", "hub", "not tried, since HF_HUB_OFFLINE is set", "unset it to fetch models such as gpt2")
    try:
        with urllib.request.urlopen(endpoint + _HUB_FILE, timeout=4):
            return Row("ok", "hub", f"{endpoint} answers")
    except urllib.error.HTTPError as error:
        return Row("warn", "hub", f"{endpoint} answers with {error.code} to {_HUB_FILE}", advice)
    except (OSError, ValueError) as error:
        return Row("warn", "hub", f"{endpoint} can't be reached ({getattr(error, 'reason', error)})", advice)


def port() -> Row:
    from .lab.session import PORT, free_port, is_free

    if is_free(PORT):
        return Row("ok", "port", f"{PORT} is free for JupyterLab")
    return Row("ok", "port", f"{PORT} is taken; JupyterLab would use {free_port()}", "bigmodel-nb start --port chooses another")
