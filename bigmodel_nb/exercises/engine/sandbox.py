"""Runs a learner's code with a limit on time and memory, in this process.

The code runs in a thread of its own, so functions made in a notebook need no pickling and it works
alike on Linux, macOS and Windows. A thread that passes its limit gets `Stopped` raised in it. A bare
`except` may catch that, so being raised also arms a trace function that raises it again at the next
line, which is then outside that `try`. Code that survives even this is parked: its thread waits
for ever and uses no processor. An import is waited for, since half of one would break the process.
Only a single call into C that never returns nor releases the interpreter (`sum(itertools.count())`)
can't be stopped in this way.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import linecache
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bigmodel_nb import memory

MEGABYTE = 1 << 20
EXTRA_BYTES = 512 * MEGABYTE  # growth of the process that stops the learner's code
STACK_BYTES = 16 * MEGABYTE  # threads get half a megabyte on macOS
POLL_SECONDS = 0.01
GRACE_SECONDS = 1.0
WAIT_FACTOR = 3
IMPORT_SECONDS = 60.0  # by the clock, for a thread that is importing

_NEVER = threading.Lock()
_NEVER.acquire()


@dataclass(frozen=True)
class Line:
    """A line of the learner's code."""

    number: int
    text: str
    file: str

    def __str__(self) -> str:
        place = f"line {self.number} of your cell" if is_cell(self.file) else (
            f"line {self.number} of {Path(self.file).name}"
        )
        return f"{place}: {self.text}" if self.text else place


@dataclass(frozen=True)
class Outcome:
    """What came of a run: `value`, or `error` ("ValueError: ..."), or `stopped` ("time", "memory")."""

    value: object = None
    error_type: type[BaseException] | None = None
    error: str = ""
    stopped: str = ""
    line: Line | None = None
    printed: str = ""

    @property
    def ok(self) -> bool:
        return not (self.error_type or self.stopped)


class Stopped(BaseException):
    """Raised in the learner's thread at its limit, again and again until the thread ends."""

    def __init__(self) -> None:
        super().__init__()
        frame = sys._getframe(1)
        while frame and frame.f_code is not _Worker.run.__code__:
            frame.f_trace = _raise_again
            frame = frame.f_back
        sys.settrace(_raise_again)


class Parked(BaseException):
    """Raised in a thread that can't be stopped: it waits here for ever."""

    def __init__(self) -> None:
        sys.settrace(None)
        super().__init__()
        threading.current_thread().parked = True
        while True:
            try:
                _NEVER.acquire()
            except BaseException:  # too deep in a recursion for even this call
                pass


def _raise_again(frame, event, arg):
    if frame.f_code in (Stopped.__init__.__code__, Parked.__init__.__code__, _Worker.run.__code__):
        return None
    raise Stopped


class _Worker(threading.Thread):
    def __init__(self, work: Callable[[], object]):
        super().__init__(daemon=True, name="exercise")
        self.work, self.value, self.error = work, None, None
        self.done = threading.Event()
        self.parked = False

    def run(self) -> None:
        try:
            self.value = self.work()
        except BaseException as error:
            sys.settrace(None)
            self.error = error
        finally:
            sys.settrace(None)
            self.done.set()


def run(
    work: Callable[[], object],
    files: frozenset[str] = frozenset(),
    seconds: float = 5.0,
    extra_bytes: int = EXTRA_BYTES,
) -> Outcome:
    """Run `work()` within `seconds` and `extra_bytes` more memory than now.

    files: names of the files whose lines are the learner's; notebook cells always are.
    What it prints is caught and warnings are silenced.
    """
    with _quiet() as printed, _no_reports():
        worker = _start(work)
        try:
            stopped = _watch(worker, seconds, extra_bytes)
            line = _line_of_frame(sys._current_frames().get(worker.ident), files) if stopped else None
        except BaseException:  # the learner pressed interrupt
            _stop(worker)
            raise
        if stopped:
            _stop(worker)
            worker.error = worker.value = None
            return Outcome(stopped=stopped, line=line, printed=printed.getvalue())
    return _outcome(worker, files, printed.getvalue())


def _start(work: Callable[[], object]) -> _Worker:
    worker = _Worker(work)
    before = threading.stack_size(STACK_BYTES)
    try:
        worker.start()
    finally:
        threading.stack_size(before)
    return worker


def _watch(worker: _Worker, seconds: float, extra_bytes: int) -> str:
    """Wait for the worker; "" when it is done, else which limit it passed.

    The limit on time is one of processor time, so that a crowded machine fails nobody; code that
    only waits gets `WAIT_FACTOR` times as much by the clock.
    """
    started, used = time.monotonic(), time.process_time()
    if worker.done.wait(POLL_SECONDS):
        return ""
    allowed = memory.rss() + extra_bytes
    while not worker.done.wait(POLL_SECONDS):
        if memory.rss() > allowed:
            return "memory"
        waited = time.monotonic() - started
        late = time.process_time() - used > seconds or waited > WAIT_FACTOR * seconds
        if late and (waited > IMPORT_SECONDS or not _is_importing(worker)):
            return "time"
    return ""


def _is_importing(worker: _Worker) -> bool:
    frame = sys._current_frames().get(worker.ident)
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _stop(worker: _Worker) -> None:
    for error in (Stopped, Parked):
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline:
            if worker.parked or worker.done.wait(POLL_SECONDS):
                return
            _raise_in(worker, error)


def _raise_in(worker: _Worker, error: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(worker.ident), ctypes.py_object(error)
    )


def _outcome(worker: _Worker, files: frozenset[str], printed: str) -> Outcome:
    error, worker.error = worker.error, None
    if error is None:
        return Outcome(value=worker.value, printed=printed)
    return Outcome(
        error_type=type(error),
        error=_error_text(error),
        line=_line_of_traceback(error.__traceback__, files),
        printed=printed,
    )


def _error_text(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = ""
    name = type(error).__name__
    return f"{name}: {text.splitlines()[0][:300]}" if text.strip() else name


# Where in the learner's code


def is_cell(file: str) -> bool:
    """True for the file name that IPython or ipykernel gives to a cell."""
    return "ipykernel_" in file or file.startswith("<ipython-input")


def _line_of_traceback(traceback, files: frozenset[str]) -> Line | None:
    found = None
    while traceback:
        file = traceback.tb_frame.f_code.co_filename
        if file in files or is_cell(file):
            found = (traceback.tb_lineno, file)
        traceback = traceback.tb_next
    return _line(*found) if found else None


def _line_of_frame(frame, files: frozenset[str]) -> Line | None:
    while frame:
        file = frame.f_code.co_filename
        if file in files or is_cell(file):
            return _line(frame.f_lineno, file)
        frame = frame.f_back
    return None


def _line(number: int, file: str) -> Line:
    return Line(number, linecache.getline(file, number).strip(), file)


# What the learner's code may not disturb


@contextlib.contextmanager
def _quiet() -> Iterator[io.StringIO]:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()) as printed:
        warnings.simplefilter("ignore")
        with contextlib.redirect_stderr(io.StringIO()):
            yield printed


@contextlib.contextmanager
def _no_reports() -> Iterator[None]:
    """A thread that is stopped while it ends, or its generators, would report it on stderr."""
    before, unraisable = threading.excepthook, sys.unraisablehook
    threading.excepthook = lambda a: None if a.exc_type in (Stopped, Parked) else before(a)
    sys.unraisablehook = lambda a: None if _in_worker() else unraisable(a)
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = before, unraisable


def _in_worker() -> bool:
    return isinstance(threading.current_thread(), _Worker)


@contextlib.contextmanager
def random_state_kept() -> Iterator[None]:
    """Give the global random generators back as they were, so that later cells don't depend on
    whether an exercise was solved."""
    import random

    import numpy as np

    torch = sys.modules.get("torch")
    states = random.getstate(), np.random.get_state(), torch and torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        if torch:
            torch.set_rng_state(states[2])
