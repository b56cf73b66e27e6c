"""Options and reports of the test suite.

`pytest` runs the package's tests and pass 1 of every notebook; `-m notebook` runs the notebooks alone,
`-m "not notebook"` the rest, which may be shared out over processes (`-n 2`). `--pass2` (always on in
CI) runs the notebooks again with their exercises solved, computing as an older CPU would, on one
thread; `--avx2` makes pass 1 do so, too. With CI=true, tests that must run there fail where they
would be skipped.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.network.offline import namespace

if "PYTEST_XDIST_WORKER" in os.environ:  # processes side by side, with a thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

TESTS = Path(__file__).parent
REQUIRED = [TESTS / "browser", TESTS / "network", TESTS / "gpt2" / "test_hub.py", TESTS / "test_notebooks.py"]
SAID: list[str] = []
MARKERS = {
    "notebook": "runs a notebook of the course, measured: one at a time, with nothing beside it",
    "slow": "takes more than a few seconds (deselect with -m 'not slow')",
    "required_in_ci": "fails in CI where it would be skipped",
}

collect_ignore = ["network/recorder"]  # Python imports it at start, nobody else


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true")


def pytest_addoption(parser):
    group = parser.getgroup("course", "the notebooks of the course")
    group.addoption("--pass2", action="store_true", default=in_ci(), help="run the notebooks with exercises solved, too")
    group.addoption("--avx2", action="store_true", help="run pass 1 on one thread with AVX2 at most")


def pytest_configure(config):
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_report_header(config):
    old = " with AVX2 at most on one thread"
    passes = "pass 1" + old * config.option.avx2 + f", pass 2{old}" * config.option.pass2
    return f"notebooks: {passes}; network: {' '.join(namespace()) or 'recorder only, no namespace permitted'}"


def pytest_runtest_logreport(report):
    if report.when == "call":
        SAID.extend(line for name, line in report.user_properties if name == "say")


def pytest_terminal_summary(terminalreporter):
    if lines := SAID:
        terminalreporter.section("notebooks")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture
def say(request):
    """Print a line in the summary at the end, whether the test passes or not."""
    return lambda line: request.node.user_properties.append(("say", line))


# In CI a skip of what must run there is a failure


def is_required(node: pytest.Item | pytest.Collector) -> bool:
    if isinstance(node, pytest.Item) and node.get_closest_marker("required_in_ci"):
        return True
    return any(node.path == path or path in node.path.parents for path in REQUIRED)


def fail_where_skipped(report, node) -> None:
    """Turn the report of a skip into that of a failure, in CI and for what is required there."""
    if report.skipped and not hasattr(report, "wasxfail") and in_ci() and is_required(node):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, but CI requires it: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    fail_where_skipped(report, item)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    fail_where_skipped(report, collector)
    return report
