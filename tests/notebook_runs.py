"""Running a notebook as a test: twice, in a fresh state, without a network, measured."""

from __future__ import annotations

import copy
import difflib
import os
import re
import shutil
import site
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from nbformat import NotebookNode
from nbval.plugin import coalesce_streams, get_sanitize_patterns, transform_streams_for_comparison

from bigmodel_nb.run import MemoryWatch
from tests.network.offline import prepare
from tests.notebook_rules import IMAGES, exercise_ids, is_ignored, texts

SANITIZE = Path(__file__).with_name("sanitize.cfg")
LIMIT_MB, LIMIT_SECONDS = 1500, 90  # of any notebook
TIMEOUT = 600  # seconds until a run is ended
AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OMP_NUM_THREADS": "1",
}
STATE = ("BIGMODEL_NB_", "HF_", "TRANSFORMERS_", "HUGGINGFACE_", "JUPYTER", "IPYTHON", "XDG_", "MPL", "PYTEST_", *AVX2)
NOT_COMPARED = {"output_type", "metadata", "execution_count", "traceback", "name", *IMAGES,
                "application/vnd.jupyter.widget-view+json"}  # fmt: skip
# A grammar that jsonschema compiles for nearly two seconds, for addresses (IRIs) of which a notebook has none
START = "import sys; sys.modules['rfc3987_syntax'] = None\n"
NBVAL = START + "import pytest; sys.exit(pytest.main())"
SOLVE = START + """
import nbformat
from bigmodel_nb.run import execute
report = execute(sys.argv[1], solved=True)
nbformat.write(report.notebook, sys.argv[2])
sys.exit(report.error)
"""


@dataclass
class Run:
    """What pass 1 of a notebook left behind."""

    notebook: Path  # the copy that ran
    env: dict[str, str]
    code: int
    output: str
    seconds: float
    rss_mb: float
    attempts: list[str]

    def problems(self, budget: Mapping[str, int] | None = None) -> list[str]:
        """Why pass 1 fails; empty where it passes. Without a budget none is enforced."""
        bad = [f"nbval: exit code {self.code}\n{self.output[-6000:]}"] if self.code else []
        bad += [f"network: {it}" for it in self.attempts]
        return bad + (over_budget(self.seconds, self.rss_mb, budget) if budget is not None else [])


def over_budget(seconds: float, rss_mb: float, budget: Mapping[str, int]) -> list[str]:
    """What a run took too much of, and where the budget itself is too large.

    >>> over_budget(seconds=31, rss_mb=800, budget={"seconds": 15, "rss_mb": 900})
    ['31 s; twice the declared 15 s is the limit']
    """
    declared, memory = budget.get("seconds", 0), budget.get("rss_mb", 0)
    wrong = {
        f"declares {declared} s; {LIMIT_SECONDS} s is the limit": declared > LIMIT_SECONDS,
        f"{seconds:.0f} s; twice the declared {declared} s is the limit": seconds > 2 * declared,
        f"{rss_mb:.0f} MB; the declared {memory} MB is the limit": rss_mb > memory,
        f"{rss_mb:.0f} MB; {LIMIT_MB} MB is the limit of any notebook": rss_mb > LIMIT_MB,
    }
    return [text for text, is_wrong in wrong.items() if is_wrong]


# Pass 1


def first_run(notebook: Path, folder: Path, extra_env: Mapping[str, str] | None = None) -> Run:
    """nbval, strict, on a copy of the notebook and its neighbours in the empty `folder`."""
    course = folder / "course"
    shutil.copytree(notebook.parent, course, ignore=shutil.ignore_patterns(".ipynb_checkpoints", ".bigmodel_nb"))
    (course / ".bigmodel_nb").mkdir()  # a workspace, as a learner has it
    (folder / "pytest.ini").write_text("[pytest]\n")
    env = fresh_env(folder / "home") | dict(extra_env or {})
    command = [
        *(sys.executable, "-c", NBVAL, "-c", folder / "pytest.ini", "--rootdir", course, "-p", "no:cacheprovider"),
        *("--disable-plugin-autoload", "-p", "nbval.plugin", "--nbval", "--nbval-current-env"),
        *("--nbval-sanitize-with", SANITIZE, "-q", "--color=no", course / notebook.name),
    ]
    offline = prepare(command, env, folder / "network.log")
    with open(folder / "output.txt", "w+", encoding="utf-8") as output:
        code, seconds, rss_mb = measured(offline.command, offline.env, course, output)
        output.seek(0)
        return Run(course / notebook.name, env, code, output.read(), seconds, rss_mb, offline.attempts())


def fresh_env(home: Path) -> dict[str, str]:
    """This environment without anything that remembers an earlier run or hides a use of the network."""
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(STATE)}
    return kept | {"HOME": str(home), "USERPROFILE": str(home), "PYTHONUSERBASE": site.getuserbase()}


def measured(command: list[str], env: Mapping[str, str], cwd: Path, output) -> tuple[int, float, float]:
    """Run a command that starts a kernel: exit code, seconds, and the peak MB of the kernel's processes."""
    started = time.perf_counter()
    with MemoryWatch() as memory:
        process = subprocess.Popen(command, env=env, cwd=cwd, stdout=output, stderr=subprocess.STDOUT)
        kernel = None
        while process.poll() is None:
            if kernel is None and (kernel := kernel_of(process.pid)):
                memory.watch(kernel)
            if time.perf_counter() - started > TIMEOUT:
                end(process.pid)
            time.sleep(0.05)
    return process.returncode, time.perf_counter() - started, memory.peak_bytes / 1e6


def kernel_of(pid: int) -> int | None:
    """The kernel among the processes that `pid` started."""
    for process in descendants(pid):
        try:
            if any("ipykernel" in part for part in process.cmdline()):
                return process.pid
        except psutil.Error:
            continue
    return None


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def end(pid: int) -> None:
    """End a process and all that it started."""
    for process in [*descendants(pid), psutil.Process(pid)]:
        try:
            process.kill()
        except psutil.Error:
            continue


# Pass 2


def second_run(first: Run, extra_env: Mapping[str, str] | None = None) -> list[str]:
    """Run the notebook solved, over what pass 1 left; what differs from the stored outputs."""
    folder = first.notebook.parent.parent
    result = folder / "solved.ipynb"
    env = first.env | dict(extra_env or {})
    offline = prepare([sys.executable, "-c", SOLVE, first.notebook, result], env, folder / "network2.log")
    done = subprocess.run(offline.command, env=offline.env, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT)
    if done.returncode:
        return [f"the solved notebook fails: {done.stderr[-6000:]}"]
    stored, solved = (nbformat.read(path, as_version=4) for path in (first.notebook, result))
    return [f"network: {it}" for it in offline.attempts()] + differences(stored, solved)


def differences(stored: NotebookNode, solved: NotebookNode) -> list[str]:
    """Cells whose output changed; of exercise cells, those that don't say 'passed'."""
    bad = []
    for number, (old, new) in enumerate(zip(stored.cells, solved.cells, strict=True)):
        if old.cell_type != "code":
            continue
        if ids := exercise_ids(old):
            cards = " ".join(texts(new))
            bad += [f"cell {number}: {it} is not passed: {cards[:300]}" for it in ids if f"{it}: passed" not in cards]
        elif not is_ignored(old) and (was := comparable(old.outputs)) != (now := comparable(new.outputs)):
            bad.append(f"cell {number} differs when the exercises are solved:\n{difference(was, now)}")
    return bad


def comparable(outputs: list[NotebookNode]) -> dict[str, list]:
    """What nbval's strict comparison sees of a cell's outputs: kind -> values, after sanitising."""
    patterns = get_sanitize_patterns(SANITIZE.read_text(encoding="utf-8"))
    seen = defaultdict(list)
    for output in transform_streams_for_comparison(coalesce_streams(copy.deepcopy(outputs))):
        for key, value in {**output, **output.get("data", {})}.items():
            if key not in NOT_COMPARED and key != "data":
                seen[key].append(sanitized(value, patterns))
    return dict(seen)


def sanitized(value, patterns: list[tuple[str, str]]):
    if isinstance(value, str):
        for pattern, replacement in patterns:
            value = re.sub(pattern, replacement, value)
    return value


def difference(was: dict[str, list], now: dict[str, list]) -> str:
    lines = [[f"{key}: {line}" for key in sorted(it) for value in it[key] for line in str(value).splitlines()] for it in (was, now)]
    return "\n".join(difflib.unified_diff(*lines, "stored", "solved", lineterm="", n=0))
