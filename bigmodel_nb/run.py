"""Run a notebook headless, measure it, and store its outputs.

Cells run without history, as nbval runs them, so that the outputs stored here are the ones that
nbval gets (a trailing semicolon, for one, hides nothing).
"""

from __future__ import annotations

import ast
import asyncio
import atexit
import contextlib
import math
import os
import re
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import nbformat
import psutil
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from .errors import CourseError
from .lab.kernel import CourseKernels

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE_INFO = {"name": "python"}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
_STEP = {"seconds": 5, "rss_mb": 50}  # measured figures are rounded up to these
_SAMPLE_SECONDS = 0.05
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class CellRun(NamedTuple):
    """A code cell that has just run: its number among the code cells, from 1, and how long it took."""

    number: int
    total: int
    seconds: float
    source: str


@dataclass(frozen=True)
class RunReport:
    """A notebook with fresh outputs and what running it took."""

    notebook: NotebookNode
    seconds: float  # wall clock, kernel start and stop included
    peak_bytes: int  # largest resident memory of the kernel and its child processes
    error: str | None = None  # the cell and the message
    traceback: str = ""


def execute(
    path: Path | str,
    *,
    solved: bool = False,
    model: str | os.PathLike[str] | None = None,
    timeout: float | None = None,
    cwd: Path | str | None = None,
    env: Mapping[str, str | None] | None = None,
    on_cell: Callable[[CellRun], None] | None = None,
) -> RunReport:
    """Run a notebook from top to bottom in a kernel of this environment's Python.

    `solved` puts the references into the exercise cells; `model` is what `load_gpt2()` gives there;
    `timeout` is in seconds for the whole notebook; `cwd` defaults to the notebook's folder; a None
    in `env` removes that variable. The file itself is not changed. An error in a cell ends the run
    and is in the report.
    """
    path = Path(path)
    notebook = nbformat.read(path, as_version=4)
    if solved:
        notebook = with_references(notebook)
    environment = {**os.environ, **(env or {}), **({"BIGMODEL_NB_MODEL": _absolute(model)} if model else {})}
    client = _Client(notebook, on_cell=on_cell, deadline=time.monotonic() + timeout if timeout else math.inf)
    started = time.perf_counter()
    error, traceback = client.run(
        cwd=str(cwd or path.absolute().parent),
        env={name: value for name, value in environment.items() if value is not None},
    )
    seconds = time.perf_counter() - started
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _merged(cell.outputs)
    notebook.metadata.pop("widgets", None)
    return RunReport(notebook, seconds, client.memory.peak_bytes, error, traceback)


def _absolute(model: str | os.PathLike[str]) -> str:
    """A model folder as seen from any working directory; a name stays a name."""
    return str(Path(model).absolute()) if Path(model).is_dir() else os.fspath(model)


class _Client(NotebookClient):
    """Runs cells without history, watches the kernel's memory and says which cell failed."""

    def __init__(self, notebook: NotebookNode, on_cell: Callable[[CellRun], None] | None, deadline: float):
        kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=CourseKernels())
        super().__init__(notebook, km=kernel, store_widget_state=False)
        self.timeout_func = lambda cell: 0 if math.isinf(deadline) else max(1, math.ceil(deadline - time.monotonic()))
        self.on_cell_start = self._cell_starts
        self.on_cell_executed = self._cell_ends
        self.memory = MemoryWatch()
        self._report = on_cell
        self._total = sum(cell.cell_type == "code" for cell in notebook.cells)
        self._number = 0

    def run(self, **kernel_options) -> tuple[str | None, str]:
        """Execute all cells: (None, "") or (the error, its traceback)."""
        with tempfile.TemporaryFile() as kernel_log:
            error, traceback = self._run(stderr=kernel_log, **kernel_options)
            if error and not traceback:
                kernel_log.seek(0)
                traceback = kernel_log.read().decode(errors="replace")[-2000:]
        return error, traceback

    def _run(self, **kernel_options) -> tuple[str | None, str]:
        try:
            with self.memory:
                self.execute(cleanup_kc=True, **kernel_options)
        except CellExecutionError as error:
            message = f"{error.ename}: {error.evalue}".removesuffix(": ")
            return f"{self._where()}: {_ANSI.sub('', message)}", _ANSI.sub("", error.traceback)
        except CellTimeoutError:
            return f"{self._where()}: still running when the time for the notebook was up", ""
        except DeadKernelError:
            return f"{self._where()}: the kernel died; most often the memory was not enough", ""
        except KeyboardInterrupt:
            atexit.unregister(self._cleanup_kernel)
            if self.km is not None:  # interrupted between two steps of nbclient, not in one of them
                self.shutdown_kernel = "immediate"
                self._cleanup_kernel()
            raise
        return None, ""

    async def async_start_new_kernel_client(self):
        if threading.current_thread() is threading.main_thread():
            # nbclient's own handler ends in an assertion; Ctrl-C should be a KeyboardInterrupt
            with contextlib.suppress(NotImplementedError):  # Windows has no such handlers
                asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
        client = await super().async_start_new_kernel_client()
        self.memory.watch(self.km.provisioner.pid)
        return client

    async def async_execute_cell(self, cell, cell_index, execution_count=None, store_history=True):
        return await super().async_execute_cell(cell, cell_index, execution_count, store_history=False)

    def _cell_starts(self, cell: NotebookNode, cell_index: int) -> None:
        self._cell = cell
        self._number += cell.cell_type == "code"
        self._started = time.perf_counter()

    def _cell_ends(self, cell: NotebookNode, **_) -> None:
        self.memory.sample()
        if self._report:
            self._report(CellRun(self._number, self._total, time.perf_counter() - self._started, cell.source))

    def _where(self) -> str:
        if not self._number:
            return "the kernel"
        first = next((line.strip() for line in self._cell.source.splitlines() if line.strip()), "")
        return f"code cell {self._number} of {self._total} ({first[:60]})"


class MemoryWatch:
    """Largest resident memory of a process and its children, sampled 20 times a second.

    What a child shares with others, such as the pages of a process that was forked, counts once.
    Where the system keeps the high-water mark of a process (Linux, Windows), a peak between two
    samples counts too.
    """

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._family: list[psutil.Process] = []
        self._family_until = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> MemoryWatch:
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def watch(self, pid: int) -> None:
        """Start sampling the process `pid`."""
        self._process = psutil.Process(pid)
        self._thread = threading.Thread(target=self._sample_until_stopped, daemon=True)
        self._thread.start()

    def sample(self) -> None:
        """Take the present figure into account."""
        try:
            if time.monotonic() >= self._family_until:  # listing children reads the whole process table
                self._family = self._process.children(recursive=True)
                self._family_until = time.monotonic() + 0.5
            own = self._process.memory_info()
            total = own.rss + sum(map(_unshared, self._family))
            self.peak_bytes = max(self.peak_bytes, total, _high_water(self._process.pid), getattr(own, "peak_wset", 0))
        except psutil.Error:  # the kernel has ended
            self._stop.set()

    def _sample_until_stopped(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            self.sample()


def _unshared(process: psutil.Process) -> int:
    """Memory that no other process has in use, in bytes; all that is resident where the system doesn't tell."""
    try:
        return process.memory_full_info().uss
    except (psutil.Error, AttributeError):
        return _rss(process)


def _rss(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def _high_water(pid: int) -> int:
    """VmHWM of a process in bytes; 0 where the system doesn't give it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def with_references(notebook: NotebookNode) -> NotebookNode:
    """The notebook with the course's reference in place of each `@bn.exercise("id")` definition."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and "exercise(" in cell.source:
            cell.source = solve(cell.source)
    return notebook


def solve(source: str) -> str:
    """A cell's source with each exercise's definition replaced by its reference.

    >>> print(solve('@bn.exercise("lesson.add")\\ndef add(a, b):\\n    ...\\nadd(1, 2)'))
    add = bn.exercise("lesson.add")(bn.exercises.reference("lesson.add"))
    add(1, 2)
    """
    lines = source.splitlines()
    nodes = [node for node in ast.walk(_parse(lines)) if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    for node in sorted(nodes, key=lambda it: it.lineno, reverse=True):
        if call := next(filter(_is_exercise, node.decorator_list), None):
            package = call.func.value.id
            key = ast.get_source_segment(source, call.args[0])
            first = min(it.lineno for it in node.decorator_list) - 1
            lines[first : node.end_lineno] = [
                " " * node.col_offset
                + f"{node.name} = {package}.exercise({key})({package}.exercises.reference({key}))"
            ]
    return "\n".join(lines)


def _parse(lines: list[str]) -> ast.Module:
    """Syntax tree of a cell; lines that only IPython understands count as empty."""
    return ast.parse("\n".join("" if line.lstrip().startswith(("%", "!", "?")) else line for line in lines))


def _is_exercise(node: ast.expr) -> bool:
    """Whether a decorator is `bn.exercise("id")`."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "exercise"
        and isinstance(node.func.value, ast.Name)
        and len(node.args) == 1
    )


def save(path: Path | str, report: RunReport) -> None:
    """Store a run's outputs and measured figures in the notebook at `path`.

    The file depends on cells and outputs only: no times, sorted keys, cells numbered from 1. Of a
    widget its picture and text are stored, not the view, which needs a running kernel. JupyterLab
    folds away the source of a cell that only asks a question, since it holds the answer. Measured
    figures that differ from the stored ones by one step of rounding (5 s, 50 MB) stay as they are.
    """
    if report.error:
        raise CourseError(f"Not stored, since the run failed: {report.error}")
    notebook = nbformat.from_dict(report.notebook)
    about = notebook.metadata.get("bigmodel_nb", {})
    about["measured"] = _measured(report, about.get("measured", {}))
    notebook.metadata = nbformat.from_dict(
        {**notebook.metadata, "bigmodel_nb": about, "kernelspec": KERNELSPEC, "language_info": LANGUAGE_INFO}
    )
    _clean_cells(notebook)
    nbformat.validate(notebook)
    text = nbformat.writes(notebook, version=4).rstrip("\n") + "\n"
    part = Path(path).with_name(f".{Path(path).name}.part")
    part.write_text(text, encoding="utf-8", newline="\n")
    os.replace(part, path)


def _measured(report: RunReport, stored: Mapping[str, int]) -> dict[str, int]:
    found = {
        "seconds": _round_up(report.seconds, _STEP["seconds"]),
        "rss_mb": _round_up(report.peak_bytes / 1e6, _STEP["rss_mb"]),
    }
    return {
        key: stored[key] if abs(stored.get(key, math.inf) - value) <= _STEP[key] else value
        for key, value in found.items()
    }


def _round_up(value: float, step: int) -> int:
    """
    >>> _round_up(41.2, 5), _round_up(0.3, 5), _round_up(50, 50)
    (45, 5, 50)
    """
    return max(step, math.ceil(value / step) * step)


def is_quiz(cell: NotebookNode) -> bool:
    """Whether a code cell does nothing but ask questions."""
    if cell.cell_type != "code" or not cell.source.startswith("bn.quiz("):
        return False
    return all(ast.unparse(line).startswith("bn.quiz(") for line in ast.parse(cell.source).body)


def _clean_cells(notebook: NotebookNode) -> None:
    number = 0
    for cell in notebook.cells:
        for key in ("execution", "ExecuteTime"):
            cell.metadata.pop(key, None)
        if cell.cell_type != "code":
            continue
        number += 1
        cell.execution_count = number
        if is_quiz(cell):
            cell.metadata["jupyter"] = {"source_hidden": True}
        for output in cell.outputs:
            output.get("data", {}).pop(WIDGET_VIEW, None)
            if output.output_type == "execute_result":
                output.execution_count = number


def _merged(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs with neighbouring pieces of one stream joined, standard output before errors.

    How a stream is cut into pieces, and how two streams interleave, differs from run to run.
    """
    merged: list[NotebookNode] = []
    for output in outputs:
        same = next((it for it in _trailing_streams(merged) if it.name == output.get("name")), None)
        if output.output_type == "stream" and same is not None:
            same.text += output.text
        elif output.output_type == "stream" and output.name == "stdout":
            merged.insert(len(merged) - len(_trailing_streams(merged)), output)
        else:
            merged.append(output)
    return merged


def _trailing_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    last = next((i for i in reversed(range(len(outputs))) if outputs[i].output_type != "stream"), -1)
    return outputs[last + 1 :]
