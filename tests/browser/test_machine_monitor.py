"""The machine monitor in a browser: figures, curves, keyboard, and JupyterLab while the kernel is busy."""

from __future__ import annotations

import pytest

from bigmodel_nb.widgets import MachineMonitor
from bigmodel_nb.widgets.machine_monitor import Sample

GB = 10**9
LIMITS = {"memory": 4 * GB, "cores": 2, "gpu_memory": 80 * GB}


@pytest.fixture
def monitor():
    """A run of 40 seconds with a GPU, half of it on the GPU."""
    widget = MachineMonitor()
    widget.points = [[float(s), 50.0 + s % 7, GB + s * 10_000_000, 90.0 if s > 20 else 0.0, s * GB] for s in range(41)]
    widget.highest, widget.limits = [40.0, 56.0, 1_400_000_000, 90.0, 40 * GB], LIMITS
    widget.gpu_name, widget.running = "NVIDIA <A100>", True
    return widget


def test_shares_equal_pythons(blank_page, monitor):
    shown = blank_page(monitor)
    for point in [[0.0, 12.5, GB, None, None], [1.0, 100.0, 3 * GB, 40.0, 7 * GB]]:
        assert shown.call("shares", point, LIMITS) == Sample(*point).shares(4 * GB, 80 * GB)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_shows_the_figures(blank_page, monitor, dark):
    shown = blank_page(monitor, dark=dark)
    text = shown.page.inner_text("body")
    for part in ["55 % of 2 cores", "1.40 GB of 4.00 GB", "90 %", "40.00 GB of 80.00 GB", "NVIDIA <A100>", "running", "highest 56 %"]:
        assert part in text
    assert shown.page.locator("svg path").count() == 4
    shown.has_theme(dark)


def test_without_a_gpu(blank_page):
    widget = MachineMonitor()
    widget.limits, widget.highest = LIMITS | {"gpu_memory": 0}, [1.0, 5.0, GB, None, None]
    widget.points = [[0.0, 5.0, GB, None, None], [1.0, 4.0, GB, None, None]]
    shown = blank_page(widget)
    assert "GPU" not in shown.page.inner_text("body")
    drawn = shown.page.locator("svg path").evaluate_all("paths => paths.map(p => p.getAttribute('d').length > 0)")
    assert drawn == [True, True, False, False]


def test_follows_the_kernel_and_stops(blank_page, monitor):
    shown = blank_page(monitor)
    shown.push(points=[*monitor.points, [41.0, 99.0, 2 * GB, 10.0, GB]])
    assert "99 % of 2 cores" in shown.page.inner_text("body")
    shown.page.get_by_role("button", name="Stop").click()
    assert shown.saved()[-1]["running"] is False
    assert shown.page.get_by_role("button", name="Stop").is_disabled()
    live = shown.page.locator("[aria-live]").inner_text()
    assert live.startswith("Machine monitor stopped after 41 s; highest: CPU 56 %")


def test_names_for_screen_readers_and_keyboard(blank_page, monitor):
    shown = blank_page(monitor)
    tree = shown.accessible()
    assert 'region "Machine monitor"' in tree and 'button "Stop"' in tree
    chart = shown.page.get_by_role("slider", name="Load and memory")
    assert chart.get_attribute("aria-valuetext") == "no sample chosen"
    chart.focus()
    for key, start in [("End", "40 s: CPU 55 %"), ("ArrowLeft", "39 s: CPU 54 %"), ("Home", "0 s: CPU 50 %"), ("PageUp", "10 s: ")]:
        shown.page.keyboard.press(key)
        assert chart.get_attribute("aria-valuetext").startswith(start)
    shown.page.keyboard.press("Escape")
    assert chart.get_attribute("aria-valuetext") == "no sample chosen"


def test_pointing_reads_a_sample(blank_page, monitor):
    shown = blank_page(monitor)
    edge = shown.page.locator("svg").bounding_box()
    shown.page.mouse.move(edge["x"] + edge["width"] - 12, edge["y"] + 60)
    assert "40 s: CPU 55 % of 2 cores, memory 1.40 GB" in shown.page.inner_text("body")
    shown.page.mouse.move(edge["x"] + 5, edge["y"] + edge["height"] + 200)
    assert "Point at the curves" in shown.page.inner_text("body")


def test_fits_a_narrow_panel(blank_page, monitor):
    shown = blank_page(monitor)
    shown.fits(360)


def test_clean_up_leaves_no_listener(blank_page, monitor):
    shown = blank_page(monitor)
    shown.closes()


def test_redraw_is_quick(blank_page, monitor):
    shown = blank_page(monitor)
    shown.page.evaluate("model.set('points', Array.from({length: 240}, (_, i) => [i, 50, 1e9 + i, 20, 1e9]))")
    assert shown.fastest('model.set("points", [...model.get("points"), [240 + i, 50, 1e9, 20, 1e9]])') < 50  # milliseconds


LAB = """
import time
import bigmodel_nb as bn
with bn.widgets.MachineMonitor(0.1) as monitor:
    end = time.time() + 6
    while time.time() < end:
        pass
"""


def test_lives_in_jupyterlab_while_the_kernel_is_busy(lab):
    notebook = lab([LAB, "monitor", "print(len(monitor.points) > 5, monitor.running)"])
    notebook.start()
    page = notebook.page
    page.get_by_text("running", exact=True).first.wait_for()
    page.wait_for_function("document.querySelector('.bn-machine path')?.getAttribute('d').split('L').length > 4")
    assert page.get_by_text("running", exact=True).count()  # still in the block
    outputs = notebook.outputs()
    assert "image/svg+xml" in outputs[0][0]["data"]
    assert set(outputs[1][0]["data"]) == {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}
    assert outputs[2][0]["text"] == "True False\n"
    page.get_by_text("stopped after").first.wait_for()
    notebook.dark()
