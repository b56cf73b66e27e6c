"""The graph widget in a browser: alone, and in JupyterLab."""

from __future__ import annotations

import pytest
from random_graph import random_graph

from bigmodel_nb.widgets import BackpropGraph
from bigmodel_nb.widgets.backprop_graph import last_step, state_at

MARKUP = "<script>window.hacked = true</script>"


def near(a, b):
    return a.keys() == b.keys() and all(abs(a[k] - b[k]) < 1e-12 * (1 + abs(b[k])) for k in a)


def test_mathematics_is_that_of_python(blank_page):
    shown = blank_page(BackpropGraph())
    for seed in range(30):
        widget = BackpropGraph(random_graph(seed))
        assert shown.call("lastStep", widget.nodes) == last_step(widget.nodes)
        for step in range(last_step(widget.nodes) + 1):
            js, py = shown.call("stateAt", widget.nodes, widget.leaves, step), state_at(widget.nodes, widget.leaves, step)
            assert js["current"] == py["current"]
            assert all(near(js[part], py[part]) for part in ("values", "grads", "edges")), (seed, step)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_steps_by_mouse(blank_page, dark):
    shown = blank_page(BackpropGraph(), dark=dark)
    text = lambda: shown.page.inner_text(".news")  # noqa: E731
    assert text().startswith("The leaves have their values")
    step = shown.page.get_by_role("button", name="Step", exact=True)
    step.click()
    assert text() == "Forward: c = a * b = 6."
    for _ in range(6):
        step.click()
    assert text() == "Backward: c sends 3 × 14 = 42 to a, which now has 48; 2 × 14 = 28 to b, which now has 28."
    assert shown.page.locator("polyline.sent").count() == 6
    shown.page.get_by_role("button", name="Back", exact=True).click()
    assert "which now has 14" in text()
    shown.page.get_by_role("button", name="Restart").click()
    assert shown.page.locator("polyline.sent").count() == 0
    shown.page.get_by_role("button", name="To the end").click()
    step.click()
    assert shown.saved()[-1] == {"step": 7}
    shown.has_theme(dark)


def test_steps_and_leaves_by_keyboard(blank_page):
    shown = blank_page(BackpropGraph())
    steps = shown.page.get_by_role("slider", name="Step")
    steps.focus()
    shown.page.keyboard.press("End")
    assert steps.get_attribute("aria-valuetext") == "7 of 7"
    shown.page.get_by_role("slider", name="a", exact=True).focus()
    for _ in range(10):
        shown.page.keyboard.press("ArrowRight")
    assert shown.saved()[-1]["leaves"] == {"a": 3, "b": 3}
    assert "c = a * b: value 9" in shown.page.locator("svg").get_attribute("aria-label")
    shown.page.get_by_role("button", name="Restart").focus()
    shown.page.keyboard.press("Enter")
    assert steps.get_attribute("aria-valuetext") == "0 of 7"


def test_names_for_screen_readers(blank_page):
    shown = blank_page(BackpropGraph())
    tree = shown.accessible()
    for part in ["Backpropagation through a small graph", 'slider "Step"', 'slider "a"', 'button "To the end"']:
        assert part in tree
    shown.push(step=1)
    assert shown.page.locator("[aria-live=polite]").inner_text() == "Forward: c = a * b = 6."
    assert "gradient unknown" in shown.page.locator("svg").get_attribute("aria-label")


def test_markup_is_shown_not_run(blank_page):
    shown = blank_page(BackpropGraph({MARKUP: 2.0, "loss": ("*", MARKUP, MARKUP)}))
    shown.push(step=3)
    assert MARKUP in shown.page.locator("svg").text_content()
    assert shown.page.locator(".bn script").count() == 0 and shown.page.evaluate("window.hacked") is None


def test_fits_a_narrow_panel(blank_page):
    shown = blank_page(BackpropGraph())
    shown.fits(360)


def test_clean_up_leaves_no_listener(blank_page):
    shown = blank_page(BackpropGraph())
    shown.closes()


def test_redraw_is_quick(blank_page):
    shown = blank_page(BackpropGraph(random_graph(1)))
    assert shown.fastest('model.set("step", i % 4)') < 50  # milliseconds


def test_in_jupyterlab(lab):
    notebook = lab(["import bigmodel_nb as bn\nw = bn.widgets.BackpropGraph()\nw", "print(w.step)"])
    notebook.start()
    page = notebook.page
    step = page.get_by_role("button", name="Step", exact=True)
    step.wait_for()
    notebook.fallback()
    step.focus()
    page.keyboard.press("Enter")
    page.get_by_text("Forward: c = a * b = 6.").first.wait_for()
    steps = page.get_by_role("slider", name="Step")
    steps.focus()
    page.keyboard.press("ArrowDown")  # would select another cell
    assert steps.get_attribute("aria-valuetext") == "0 of 7"
    notebook.keeps_keys()
    notebook.dark()
