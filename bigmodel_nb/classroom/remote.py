"""The grader's side: a learner's work that lives in another process, judged by the values it returns."""

from __future__ import annotations

import builtins
import contextlib
import importlib
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import psutil

import bigmodel_nb
from bigmodel_nb.exercises.engine import compare, sandbox
from bigmodel_nb.exercises.engine.attempt import Attempt
from bigmodel_nb.exercises.engine.model import Case, Exercise, Failed

from . import codec, isolate
from .extract import Work
from .worker import LENGTH, send

START_SECONDS = 60.0
DEFINE_SECONDS = 30.0
MOST_RSS = 2_000_000_000  # bytes of the whole isolated process
POLL = 0.05


class Lost(Exception):
    """The isolated process ended, was ended, or answered with what is no answer; its text says why."""


class Isolated:
    """An isolated Python that runs one learner's code; a context manager.

    own: the only folder that it can write to. trust: run it without isolation where there is none.
    """

    def __init__(self, own: Path, hide: list[Path], trust: bool = False) -> None:
        inside = [sys.executable, "-m", "bigmodel_nb.classroom.worker"]
        package = str(Path(bigmodel_nb.__file__).parent.parent)
        env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/graded", "PYTHONPATH": package, "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8", "HF_HUB_OFFLINE": "1", "MPLCONFIGDIR": "/tmp", "HF_HOME": "/tmp",
        }  # fmt: skip
        self.lost = False
        self.process = subprocess.Popen(
            isolate.command(own, inside, hide, trust), env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True, cwd=own,
        )  # fmt: skip

    def __enter__(self) -> Isolated:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End the process and all that it started."""
        for process in self._all():
            with contextlib.suppress(psutil.Error):
                process.kill()
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.wait()

    def _all(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            return [*psutil.Process(self.process.pid).children(recursive=True)]
        return []

    def ask(self, request: tuple, seconds: float) -> Any:
        """The answer to a request, within `seconds` by the clock; `Lost` where there is none."""
        self.lost = True  # until the whole answer is here
        try:
            send(self.process.stdin, cloudpickle.dumps(request))
        except OSError:
            raise Lost("Your code ended the process that ran it.") from None
        deadline = time.monotonic() + seconds
        size = LENGTH.unpack(self._read(LENGTH.size, deadline))[0]
        if size > codec.MOST_BYTES:
            raise Lost("Your code sent an answer that is none, or a far too large one.")
        try:
            answer = codec.decode(self._read(size, deadline))
        except codec.Unreadable:
            raise Lost("Your code sent an answer that is none.") from None
        self.lost = False
        return answer

    def _read(self, size: int, deadline: float) -> bytes:
        data, pipe = bytearray(), self.process.stdout.fileno()
        while len(data) < size:
            if not select.select([pipe], [], [], POLL)[0]:
                self._check(deadline)
            elif part := os.read(pipe, min(1 << 20, size - len(data))):
                data += part
            else:
                raise Lost("Your code ended the process that ran it.")
        return bytes(data)

    def _check(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise Lost("Your code did not finish in time and was stopped.")
        used = 0
        for process in self._all():
            with contextlib.suppress(psutil.Error):
                used += process.memory_info().rss
        if used > MOST_RSS:
            raise Lost(f"Your code took more than {MOST_RSS / 1e9:.0f} GB of memory and was stopped.")


class RemoteAttempt(Attempt):
    """An attempt whose work runs in an isolated process; checks and comparisons run here."""

    def __init__(self, exercise: Exercise, isolated: Isolated) -> None:
        self.exercise, self.isolated = exercise, isolated
        self.work, self.files, self.first = None, frozenset(), None
        self.seconds = exercise.seconds

    def run(self, drive: Callable, case: Case) -> sandbox.Outcome:
        seconds = self.seconds * sandbox.WAIT_FACTOR + 2 * sandbox.GRACE_SECONDS + 5
        try:
            answer = self.isolated.ask(("call", drive, case, self.seconds), seconds)
            value, after = answer["value"], answer["case"]
            kind, error, stopped, line = (answer[name] for name in ("error_type", "error", "stopped", "line"))
        except (KeyError, TypeError):
            raise Failed("Your code sent an answer that is none.", searchable=False) from None
        except Lost as lost:
            raise Failed(str(lost), case, searchable=False) from None
        bring_back(case, after)
        where = sandbox.Line(int(line[0]), str(line[1])[:200], str(line[2])[:200]) if line else None
        return sandbox.Outcome(value, error_named(str(kind)) if kind else None, str(error)[:500], str(stopped)[:10], where)


def define(isolated: Isolated, work: Work) -> str:
    """Give a work to an isolated process; what went wrong, or "" where nothing did."""
    needs = [(it.cell, it.source) for it in work.needs]
    try:
        answer = isolated.ask(("define", work.name, work.source, work.cell, needs, DEFINE_SECONDS), START_SECONDS + 4 * DEFINE_SECONDS)
        error, stopped, line = (str(answer[name])[:500] for name in ("error", "stopped", "line"))
    except (KeyError, TypeError):
        return "Your code sent an answer that is none."
    except Lost as lost:
        return str(lost)
    at = f" at {line}" if line else ""
    if stopped:
        return f"What the exercise needs was stopped: it took too much {stopped}{at}"
    return f"What the exercise needs raised {error}{at}" if error else ""


def bring_back(case: Case, after: Any) -> None:
    """Change the arguments here as the call changed them there."""
    for mine, theirs in zip(case, after if isinstance(after, list) else ()):
        with contextlib.suppress(Exception):
            if compare.is_tensor(mine):
                mine.data.copy_(theirs)
            elif isinstance(mine, np.ndarray):
                mine[...] = theirs
            elif isinstance(mine, list):
                mine[:] = theirs
            elif isinstance(mine, dict):
                mine.clear()
                mine.update(theirs)


def error_named(name: str) -> type[BaseException]:
    """A built-in exception by its name, those of the checks, or a new one of that name.

    >>> error_named("ValueError"), error_named("Odd").__name__
    (<class 'ValueError'>, 'Odd')
    """
    known = {"Failed": Failed, **{k: v for k, v in vars(builtins).items() if isinstance(v, type) and issubclass(v, Exception)}}
    return known.get(name) or type(name[:60] or "Unnamed", (Exception,), {})


def by_value(lesson: str) -> list[Path]:
    """The files of all lessons' exercises, to be hidden from an isolated process: they hold the solutions.

    What the lesson's module defines travels whole from now on, since that process can't import it.
    """
    from bigmodel_nb.exercises.engine import catalogue

    importlib.import_module(f"bigmodel_nb.exercises.{lesson}")
    for name in catalogue.lessons():  # a lesson may use another one's helpers
        if module := sys.modules.get(f"bigmodel_nb.exercises.{name}"):
            cloudpickle.register_pickle_by_value(module)
    folder = Path(importlib.import_module("bigmodel_nb.exercises").__file__).parent
    return [folder / f"{name}.py" for name in catalogue.lessons()]


def own_folder() -> tempfile.TemporaryDirectory:
    """An empty folder for an isolated process, removed after use."""
    return tempfile.TemporaryDirectory(prefix="graded-", ignore_cleanup_errors=True)
