"""The training monitor in a browser: alone, and in JupyterLab while the kernel is busy."""

from __future__ import annotations

import math

import pytest

from bigmodel_nb.widgets import TrainingMonitor

MARKUP = "<script>window.hacked = true</script><img src=x onerror='window.hacked = true'>"


@pytest.fixture
def monitor():
    """A run of 200 steps, half done, with held-out points and two samples."""
    widget = TrainingMonitor(200, held_out=True, title="Fine-tuning <GPT-2>")
    widget.clock = iter(range(1000)).__next__
    widget.held_out(0, 1487.2)
    for step in range(1, 101):
        loss = 3 + 4 * math.exp(-step / 20) + 0.3 * math.sin(7 * step)
        widget.add(step, loss, 3712.4, 812_345_678, (200 - step) * 0.45)
    widget.held_out(100, 24.31)
    widget.sample(50, "The function returns")
    widget.sample(100, MARKUP)
    return widget


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_shows_curve_and_figures(blank_page, monitor, dark):
    shown = blank_page(monitor, dark=dark)
    text = shown.page.inner_text("body")
    for part in ["step 100 of 200", "3,712", "812 MB", "45 s", "24.3", "Fine-tuning <GPT-2>"]:
        assert part in text
    assert shown.page.locator("svg path").count() == 2
    assert shown.page.locator("svg circle").count() == 2
    shown.has_theme(dark)


COLOURS = """
(names) => names.map((name) => {
  const probe = document.querySelector(".bn").appendChild(document.createElement("i"));
  probe.style.color = `var(--bn-${name})`;
  return getComputedStyle(probe).color.match(/\\d+/g).slice(0, 3).map(Number);
})
"""


def luminance(rgb: list[int]) -> float:
    """Relative luminance (WCAG 2.1)."""
    parts = [x / 255 for x in rgb]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_contrast(blank_page, monitor, dark):
    names = ["paper", "ink", "faint", "first", "second", "q", "k", "v", "focus"]
    shown = blank_page(monitor, dark=dark)
    paper, *others = map(luminance, shown.page.evaluate(COLOURS, names))
    for name, other in zip(names[1:], others):
        ratio = (max(other, paper) + 0.05) / (min(other, paper) + 0.05)
        assert ratio >= (4.5 if name in ("ink", "faint") else 3), name  # WCAG 2.1: text, graphics


def test_markup_is_shown_not_run(blank_page, monitor):
    shown = blank_page(monitor)
    assert shown.page.inner_text("pre") == MARKUP
    assert shown.page.locator(".bn script, .bn img").count() == 0
    assert shown.page.evaluate("window.hacked") is None


def test_names_for_screen_readers(blank_page, monitor):
    shown = blank_page(monitor)
    tree = shown.accessible()
    for part in ["Fine-tuning <GPT-2>", 'progressbar "steps done"', 'button "Log scale"', 'slider "Sample"']:
        assert part in tree
    assert 'slider "Loss curve: arrow keys read its points"' in tree
    assert "step 100 of 200, loss" in shown.page.locator("[aria-live=polite]").inner_text()


def test_speaks_once_a_tenth_of_the_run(blank_page):
    shown = blank_page(TrainingMonitor(100))
    spoken = []
    for step in range(4, 101, 4):
        shown.push(points=[[step, 2.0, 2.0]], now={"step": step, "loss": 2.0})
        spoken.append(shown.page.locator("[aria-live]").inner_text())
    assert len(set(spoken)) == 11
    shown.push(message="finished")
    assert shown.page.locator("[aria-live]").inner_text() == "step 100 of 100, finished, loss 2"


def test_log_scale_by_mouse_and_keyboard(blank_page, monitor):
    shown = blank_page(monitor)
    button = shown.page.get_by_role("button", name="Log scale")
    linear = shown.page.locator("path").first.get_attribute("d")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert shown.page.locator("path").first.get_attribute("d") != linear
    button.focus()
    shown.page.keyboard.press("Space")
    assert shown.page.locator("path").first.get_attribute("d") == linear
    assert shown.saved() == [{"log_scale": True}, {"log_scale": False}]


def test_reads_the_curve_by_keyboard_and_mouse(blank_page, monitor):
    shown = blank_page(monitor)
    chart = shown.page.get_by_role("slider", name="Loss curve")
    chart.focus()
    for key, step in [("Home", 1), ("ArrowRight", 2), ("ArrowRight", 3), ("ArrowLeft", 2), ("End", 100)]:
        shown.page.keyboard.press(key)
        assert chart.get_attribute("aria-valuenow") == str(step)
    assert "step 100: loss" in chart.get_attribute("aria-valuetext")
    shown.page.keyboard.press("Escape")
    assert chart.get_attribute("aria-valuetext") == "no point chosen"
    edge = chart.bounding_box()
    middle = (48 + edge["width"] - 56) / 2  # between the two axes
    shown.page.mouse.move(edge["x"] + middle, edge["y"] + 60)
    assert chart.get_attribute("aria-valuenow") == "100"


def test_fits_a_narrow_panel(blank_page, monitor):
    shown = blank_page(monitor)
    shown.fits(360)


def test_focus_is_visible(blank_page, monitor):
    shown = blank_page(monitor)
    shown.page.keyboard.press("Tab")
    style = "getComputedStyle(document.activeElement)"
    assert shown.page.evaluate(f"{style}.outlineStyle + {style}.outlineWidth") == "solid2px"


def test_older_samples_stay_chosen(blank_page, monitor):
    shown = blank_page(monitor)
    shown.page.get_by_role("slider", name="Sample").focus()
    shown.page.keyboard.press("ArrowLeft")
    assert shown.page.inner_text("pre") == "The function returns"
    shown.push(samples=[*monitor.samples, [150, "newest"]])
    assert shown.page.inner_text("pre") == "The function returns"
    shown.page.keyboard.press("End")
    assert shown.page.inner_text("pre") == "newest"


def test_empty_and_diverged_runs(blank_page):
    shown = blank_page(TrainingMonitor(10, held_out=True))
    assert "step 0 of 10" in shown.page.inner_text("body")
    shown.page.get_by_role("slider", name="Loss curve").press("ArrowLeft")
    shown.push(points=[[1, 3.0, 3.0], [2, None, 3.0], [3, 2.0, 2.5]], now={"step": 3, "loss": None}, log_scale=True)
    assert shown.page.locator("path").first.get_attribute("d").count("M") == 2
    assert "NaN" not in shown.page.content()


def test_clean_up_leaves_no_listener(blank_page, monitor):
    shown = blank_page(monitor)
    shown.closes()


def test_pure_functions(blank_page, monitor):
    shown = blank_page(monitor)
    assert [shown.call("duration", x) for x in (0.4, 61, 7260)] == ["0 s", "1 min 1 s", "2 h 1 min"]
    assert [shown.call("bytes", x) for x in (812e6, 1.5e9)] == ["812 MB", "1.5 GB"]
    assert shown.call("nearest", [[1], [5], [9]], 6) == 1
    assert shown.call("ranges", [[1, 2, 2]], [], 9, False) == {"x": [0, 9], "y": [1.5, 2.5]}


def test_redraw_is_quick(blank_page):
    widget = TrainingMonitor(600)
    shown = blank_page(widget)
    points = [[i, 3 + math.sin(i), 3.0] for i in range(1, 601)]
    shown.page.evaluate("points => { window.points = points; }", points)
    assert shown.fastest("model.set('points', points.slice(i))") < 50  # milliseconds


LIVE = """
import time
from pathlib import Path
from bigmodel_nb.widgets.training_monitor import progress_display
monitor = progress_display(400, held_out=True, title="Fine-tuning")
for step in range(1, 401):
    monitor.add(step, 2.5 + 5 / step ** 0.5, 3700, 8e8, (400 - step) * 0.01)
    if step % 100 == 0:
        monitor.held_out(step, 20.0)
        monitor.sample(step, f"sample <b>{step}</b>")
        time.sleep(monitor.interval)
        monitor.add(step + 1, 2.5)
        while not Path(f"seen_{step}").exists():
            time.sleep(0.05)
monitor.finish()
"""


def test_lives_in_jupyterlab_while_the_cell_runs(lab, server):
    notebook = lab([LIVE, "print('after')"])
    notebook.start()
    page, pictures = notebook.page, set()
    for step in (100, 200, 300, 400):  # the cell waits until each has been seen
        page.get_by_text(f"step {step + 1} of 400", exact=True).wait_for()
        assert page.locator(".jp-InputPrompt", has_text="[*]").count()
        assert page.inner_text(".bn pre") == f"sample <b>{step}</b>"
        pictures.add(page.locator(".bn path").first.get_attribute("d"))
        (server.root / f"seen_{step}").touch()
    assert len(pictures) == 4
    page.get_by_text("finished").first.wait_for()
    outputs = notebook.outputs()
    notebook.fallback()
    assert outputs[1][0]["text"] == "after\n"
    check_keys(page)
    notebook.dark()


def check_keys(page):
    """The widget takes the keys that it uses before JupyterLab's shortcuts do."""
    button = page.get_by_role("button", name="Log scale")
    button.focus()
    for key, down in [("Enter", "true"), ("Space", "false")]:
        page.keyboard.press(key)
        assert button.get_attribute("aria-pressed") == down
    chart = page.get_by_role("slider", name="Loss curve")
    chart.focus()
    page.keyboard.press("Home")
    assert chart.get_attribute("aria-valuenow") == "1"
    page.keyboard.press("a")  # would insert a cell
    assert page.locator(".jp-CodeCell").count() == 2
    sample = page.get_by_role("slider", name="Sample")
    sample.focus()
    page.keyboard.press("ArrowDown")
    assert page.inner_text(".bn pre") == "sample <b>300</b>"
