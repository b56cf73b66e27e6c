"""The training monitor's Python side: bounded state, few messages, plain lines, nbval."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import bigmodel_nb as bn
from bigmodel_nb.widgets import TrainingMonitor
from bigmodel_nb.widgets.training_monitor import (
    Curve,
    PlainLines,
    progress_display,
    quiet,
    thin,
    under_jupyter,
)


@pytest.fixture
def clock():
    """A clock that moves only when told: `clock.now += 1`."""

    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    return Clock()


def size(widget) -> int:
    """Bytes of the state as saved in a notebook."""
    return len(json.dumps(widget.get_state()))


@pytest.mark.parametrize("steps", [1, 599, 600, 601, 1199, 1200, 1201, 5000])
def test_curve_is_bounded_and_ends_at_the_last_step(steps):
    curve = Curve()
    for step in range(1, steps + 1):
        curve.add(step, 2.0)
    points = curve.points
    assert len(points) <= 600
    assert points[-1][0] == steps
    assert [p[0] for p in points] == sorted({p[0] for p in points})
    assert all(p[1:] == [2.0, 2.0] for p in points)


def test_curve_averages_neighbours():
    curve = Curve(limit=4)
    for step, loss in enumerate([8, 6, 4, 2, 9], start=1):
        curve.add(step, loss)
    assert [p[:2] for p in curve.points] == [[2, 7], [4, 3], [5, 9]]


def test_smoothed_loss_is_the_bias_corrected_mean():
    curve, losses, beta = Curve(smoothing=0.5), [4.0, 2.0, 6.0], 0.5
    for step, loss in enumerate(losses):
        curve.add(step, loss)
    weights = [beta ** (len(losses) - 1 - i) for i in range(len(losses))]
    mean = sum(w * x for w, x in zip(weights, losses)) / sum(weights)
    assert curve.smoothed == pytest.approx(mean, rel=1e-3)


def test_divergence_makes_a_gap_and_stays_visible():
    curve = Curve(limit=4)
    for step, loss in enumerate([3.0, math.nan, 2.0, math.inf, 2.0], start=1):
        curve.add(step, loss)
    assert [p[1] for p in curve.points] == [None, None, 2.0]
    assert math.isfinite(curve.smoothed)


def test_thin_keeps_both_ends():
    assert thin(list(range(5)), 5) == [0, 1, 2, 3, 4]
    thinned = thin(list(range(1001)), 200)
    assert len(thinned) <= 200 and thinned[0] == 0 and thinned[-1] == 1000


def test_state_of_any_run_is_small(clock):
    monitor = TrainingMonitor(3000, held_out=True)
    monitor.clock = clock
    for step in range(1, 3001):
        clock.now += 0.1
        monitor.add(step, math.pi * step, 3712.456, 812_345_678, 1234.5678)
        if step % 10 == 0:
            monitor.held_out(step, 1000 * math.pi)
            monitor.sample(step, "🙂" * 2000)
    monitor.finish()
    assert len(monitor.points) <= 600 and len(monitor.perplexities) <= 200
    assert len(monitor.samples) == 8
    assert [monitor.samples[0][0], monitor.samples[-1][0]] == [10, 3000]
    assert size(monitor) < 100_000


def test_at_most_four_messages_a_second(clock):
    monitor, sent = TrainingMonitor(1000), []
    monitor.clock = clock
    monitor.observe(lambda change: sent.append(clock.now), names="points")
    for step in range(1000):  # ten seconds
        clock.now = step / 100
        monitor.add(step, 1.0)
        if step % 10 == 0:
            monitor.sample(step, str(step))
    assert len(sent) <= 41
    assert min(b - a for a, b in zip(sent, sent[1:])) >= 0.25


def test_finish_sends_what_waits(clock):
    monitor = TrainingMonitor(3, held_out=True)
    monitor.clock = clock
    for step in (1, 2, 3):
        monitor.add(step, 4.0 - step)
    monitor.held_out(3, 12.0)
    monitor.sample(3, "once")
    assert monitor.samples == [] and len(monitor.points) == 1
    monitor.finish("stopped")
    assert [p[0] for p in monitor.points] == [1, 2, 3]
    assert monitor.samples == [[3, "once"]] and monitor.perplexities == [[3, 12.0]]
    assert monitor.now["loss"] == 1.0 and monitor.message == "stopped"


def test_state_is_valid_json_for_a_diverged_run():
    monitor = TrainingMonitor(2, held_out=True)
    monitor.add(1, math.nan, math.inf)
    monitor.held_out(1, math.inf)
    monitor.sample(1, "half a pair \ud83d")
    monitor.finish()
    json.dumps(monitor.get_state(), allow_nan=False).encode("utf-8")
    assert "svg" in monitor.static_svg()


def test_text_form_and_first_picture_are_constant():
    monitor, other = TrainingMonitor(10), TrainingMonitor(99, held_out=True, title="Other")
    before = repr(monitor)
    assert monitor.static_svg() == other.static_svg()
    assert "result.plot()" in monitor.static_svg()
    monitor.add(1, 3.0)
    monitor.finish()
    assert repr(monitor) == before == repr(other)
    assert "polyline" in monitor.static_svg()


def test_static_picture_is_small():
    monitor = TrainingMonitor(600, held_out=True)
    for step in range(600):
        monitor.add(step, 3 + math.sin(step), 1.0)
    monitor.held_out(600, 20.0)
    monitor.finish()
    assert len(monitor.static_svg()) < 30_000
    assert len(monitor.static_png()) < 100_000


def test_plain_lines_outside_a_notebook(capsys):
    display = progress_display(200, held_out=True, title="Fine-tuning")
    assert isinstance(display, PlainLines) and not under_jupyter()
    display.held_out(0, 1487.2)
    for step in range(1, 201):
        display.add(step, 2.0, 3712.0, 812e6, 200.0 - step)
    display.sample(200, "two\nlines")
    display.finish()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Fine-tuning: held-out perplexity 1,487.20 at step 0"
    assert lines[1] == "Fine-tuning: step 20/200  loss 2.000  3,712 tokens/s  812 MB  180 s left"
    assert lines[-2:] == ["Fine-tuning: sample at step 200: 'two\\nlines'", "Fine-tuning: finished"]
    assert len(lines) == 13


def test_plain_lines_between_tenths(capsys, clock, monkeypatch):
    monkeypatch.setattr(PlainLines, "clock", clock)
    display = PlainLines(100_000)
    for step in range(1, 10_000):  # eight hours, before the first tenth
        clock.now += 2.88
        display.add(step, math.nan if step == 9_000 else 2.0)
    lines = capsys.readouterr().out.splitlines()
    assert 50 < len(lines) < 200
    assert lines[0] == "Training: step 2/100000  loss 2.000"


def test_quiet_does_nothing(capsys):
    quiet.add(1, 2.0, tokens_per_second=3)
    quiet.sample(1, "text")
    quiet.held_out(1, 2.0)
    quiet.finish()
    assert capsys.readouterr().out == ""


CELLS = [
    "from bigmodel_nb.widgets.training_monitor import progress_display",
    """import time
monitor = progress_display(30, held_out=True)
for step in range(1, 31):
    monitor.add(step, 3 / step, time.perf_counter(), 1e9, 1.0)
    monitor.sample(step, f"{time.perf_counter()}")
    time.sleep(0.05)
monitor.held_out(30, time.perf_counter())
monitor.finish()
print("done", len(monitor.points))""",
]


def test_strict_nbval_passes_with_a_live_display(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    NotebookClient(notebook, store_widget_state=False, kernel_name="python3").execute()
    data = notebook.cells[1].outputs[0].data
    assert "text/html" not in data and "image/png" in data
    path = tmp_path / "live.ipynb"
    nbformat.write(notebook, path)
    command = [sys.executable, "-m", "pytest", "-p", "nbval", "-q", "-c", "/dev/null"]
    command += ["--nbval", "--nbval-current-env", f"--rootdir={tmp_path}", str(path)]
    env = {**os.environ, "PYTHONPATH": str(Path(bn.__file__).parents[1])}
    run = subprocess.run(command, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
    assert "2 passed" in run.stdout
