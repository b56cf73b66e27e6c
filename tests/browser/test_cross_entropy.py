"""The cross-entropy widget in a browser: its mathematics, mouse, keyboard and screen readers."""

from __future__ import annotations

import numpy as np
import pytest

from bigmodel_nb.widgets import CrossEntropy
from bigmodel_nb.widgets.cross_entropy import measure, softmax, with_probability

MARKUP = "<img src=x onerror='window.hacked = true'>"


@pytest.fixture
def widget():
    return CrossEntropy([0.5, 0.25, 0.25], q=[0.25, 0.25, 0.5], labels=["sun", "rain", MARKUP])


def now(shown, name="logits"):
    return shown.page.evaluate(f"model.get('{name}')")


def bar(shown, name="sun"):
    return shown.page.get_by_role("slider", name=f"predicted {name}")


def test_mathematics_equals_python(blank_page, widget):
    shown, rng = blank_page(widget), np.random.default_rng(0)
    for _ in range(20):
        k = int(rng.integers(2, 10))
        p, logits = rng.dirichlet(np.ones(k)).tolist(), (rng.normal(size=k) * 4).tolist()
        ours, theirs = measure(p, logits), shown.call("measure", p, logits)
        assert set(ours) == set(theirs)
        for name, value in ours.items():
            assert theirs[name] == pytest.approx(value, abs=1e-9, rel=1e-9)
        value = float(rng.uniform(-0.2, 1.2))
        moved = shown.call("withProbability", logits, 1, value)
        assert moved == pytest.approx(with_probability(logits, 1, value), abs=1e-9)
    assert softmax(shown.call("logitsOf", [0.5, 0.3, 0.2])) == pytest.approx([0.5, 0.3, 0.2])
    assert shown.call("measure", [1, 0], [0, 600])["cross_entropy"] == 600


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_shows_the_figures(blank_page, widget, dark):
    shown = blank_page(widget, dark=dark)
    text = shown.page.inner_text("body")
    for part in ["1.040", "0.173", "1.213 nats", "3.36", "sun"]:
        assert part in text
    shown.has_theme(dark)
    assert shown.page.evaluate("window.hacked") is None
    assert shown.page.locator(".bn img").count() == 0


def test_names_for_screen_readers(blank_page, widget):
    shown = blank_page(widget)
    tree = shown.accessible()
    assert 'region "Cross-entropy of a prediction"' in tree
    for part in ["predicted sun", 'button "Show logits"', 'button "In bits"', 'button "Set q to p"']:
        assert part in tree
    assert bar(shown).get_attribute("aria-valuetext") == "probability 0.25, true 0.50"
    assert shown.page.locator("[aria-live]").inner_text() == "cross-entropy 1.213 nats, KL 0.173"


def test_dragging_a_bar(blank_page, widget):
    shown = blank_page(widget)
    before = now(shown)
    edge = shown.page.locator("svg").bounding_box()
    handle = bar(shown).locator(".handle").bounding_box()
    x = handle["x"] + handle["width"] / 2
    shown.page.mouse.move(x, handle["y"] + 2)
    shown.page.mouse.down()
    shown.page.mouse.move(x, edge["y"] + 94)  # half way between the axis' ends at 20 and 168
    shown.page.mouse.up()
    after = now(shown)
    assert softmax(after)[0] == pytest.approx(0.5, abs=0.02)
    assert after[1:] == before[1:]
    assert shown.saved()[-1]["logits"] == after
    shown.page.mouse.move(x, edge["y"] + 30)  # the button is up: nothing moves
    assert now(shown) == after


def test_keyboard(blank_page, widget):
    shown = blank_page(widget)
    sun = bar(shown)
    sun.focus()
    for key, expected in [("ArrowUp", 0.26), ("ArrowDown", 0.25), ("PageUp", 0.35), ("Home", 0.001), ("End", 0.999)]:
        shown.page.keyboard.press(key)
        assert softmax(now(shown))[0] == pytest.approx(expected, abs=1e-6)
    assert len(shown.saved()) == 5
    shown.page.keyboard.press("a")
    assert len(shown.saved()) == 5


def test_buttons(blank_page, widget):
    shown = blank_page(widget)
    press = lambda name: shown.page.get_by_role("button", name=name).click()  # noqa: E731
    press("Set q to p")
    assert softmax(now(shown)) == pytest.approx([0.5, 0.25, 0.25])
    assert "0.000" in shown.page.inner_text("dl") and "1.040 nats" in shown.page.inner_text("dl")
    figures, before = shown.page.inner_text("dl"), now(shown)
    press("Add 1 to every logit")
    assert now(shown) == pytest.approx([z + 1 for z in before])
    assert shown.page.inner_text("dl") == figures
    press("Set q uniform")
    assert now(shown) == [0, 0, 0]
    press("Start again")
    assert now(shown) == widget.start
    press("In bits")
    assert "1.750 bits" in shown.page.inner_text("dl")


def test_logits_view(blank_page, widget):
    shown = blank_page(widget)
    shown.page.get_by_role("button", name="Show logits").click()
    sun = bar(shown)
    assert sun.get_attribute("aria-valuemin") == "-6" and "logit" in sun.get_attribute("aria-valuetext")
    sun.focus()
    before = now(shown)[0]
    shown.page.keyboard.press("ArrowUp")
    assert now(shown)[0] == pytest.approx(before + 0.1)
    shown.page.keyboard.press("Home")
    assert now(shown)[0] == -6


def test_focus_is_visible(blank_page, widget):
    shown = blank_page(widget)
    bar(shown).focus()
    shown.page.keyboard.press("Tab")
    shown.page.keyboard.press("Shift+Tab")
    width = "getComputedStyle(document.activeElement.querySelector('.handle')).strokeWidth"
    assert shown.page.evaluate(width) == "3px"


def test_fits_a_narrow_panel(blank_page):
    shown = blank_page(CrossEntropy([0.1] * 10))
    shown.fits(360)


def test_clean_up_leaves_no_listener(blank_page, widget):
    shown = blank_page(widget)
    shown.closes()


def test_redraw_is_quick(blank_page, widget):
    shown = blank_page(widget)
    assert shown.fastest('model.set("logits", [i / 10, 0, -i / 10])') < 50  # milliseconds


LAB = """
import bigmodel_nb as bn
w = bn.widgets.CrossEntropy([0.5, 0.25, 0.25], q=[0.25, 0.25, 0.5], labels=["sun", "rain", "snow"])
w
"""


def test_lives_in_jupyterlab(lab):
    notebook = lab([LAB, "print(len(w.q))"])
    notebook.start()
    page = notebook.page
    notebook.fallback()
    sun = page.get_by_role("slider", name="predicted sun")
    sun.wait_for()
    sun.focus()
    page.keyboard.press("ArrowUp")
    assert sun.get_attribute("aria-valuenow") == "0.26"
    notebook.keeps_keys()
    notebook.dark()
