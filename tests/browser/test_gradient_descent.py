"""The gradient descent widget in a browser: its mathematics against Python, its controls, both themes."""

from __future__ import annotations

import pytest

from bigmodel_nb.widgets.gradient_descent import GradientDescent, Loss, verdict

X, Y = [1.5, -0.5, 2.0, -1.0, 0.3], [1, 0, 1, 0, 0]
LOSSES = [
    {"coefficients": [0, 0, 0.5], "x": [], "y": []},
    {"coefficients": [1, -2, 0.5, 0.25, 0.1], "x": [], "y": []},
    {"coefficients": [], "x": X, "y": Y},
]


@pytest.fixture
def bowl():
    return GradientDescent(coefficients=(0, 0, 0.5), start=-3, lr=1.8, steps=12)


def readout(shown) -> str:
    return shown.page.locator(".readout").inner_text()


def test_mathematics_equals_python(blank_page, bowl):
    shown = blank_page(bowl)
    for loss in LOSSES:
        ours = Loss(**loss)
        for theta in (-800.0, -2.0, 0.0, 0.7, 800.0):
            assert shown.call("lossAt", loss, theta) == pytest.approx(ours.at(theta), rel=1e-12)
            assert shown.call("slopeAt", loss, theta) == pytest.approx(ours.slope(theta), rel=1e-12)
        for lr, steps in ((0.1, 0), (0.1, 9), (1.9, 60), (2.5, 100)):
            theirs, points = shown.call("path", loss, -3.0, lr, steps), ours.path(-3.0, lr, steps)
            assert len(theirs) == len(points)
            for a, b in zip(theirs, points):
                assert a == pytest.approx(b, rel=1e-9, abs=1e-12)
            assert shown.call("verdict", theirs, steps) == verdict(points, steps)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_shows_the_path(blank_page, bowl, dark):
    shown = blank_page(bowl, dark=dark)
    assert "After 12 of 12 steps: theta -0.206, loss 0.0213, slope -0.206: on its way." in readout(shown)
    assert shown.page.locator("svg circle").count() == 13
    assert shown.page.locator("polyline.history").count() == 1
    shown.has_theme(dark)


def test_divergence_by_keyboard(blank_page, bowl):
    shown = blank_page(bowl)
    lr = shown.page.get_by_role("slider", name="Learning rate")
    lr.focus()
    for _ in range(4):  # 1.82, 1.91, 2.0, 2.09
        shown.page.keyboard.press("ArrowRight")
    assert "diverges" in readout(shown)
    assert shown.page.locator(".readout.bad").count() == 1
    assert "diverges" in shown.page.locator("[aria-live=polite]").inner_text()
    assert shown.saved()[-1]["lr"] > 2
    for _ in range(4):
        shown.page.keyboard.press("ArrowLeft")
    assert "diverges" not in readout(shown)


def test_far_divergence_shows_no_nan(blank_page, bowl):
    shown = blank_page(bowl)
    shown.page.get_by_role("slider", name="Learning rate").press("End")
    assert "diverges" in readout(shown)
    assert "NaN" not in shown.page.content() and "Infinity" not in shown.page.content()


def test_steps_by_buttons(blank_page, bowl):
    shown = blank_page(bowl)
    shown.page.get_by_role("button", name="Back to the start").click()
    assert "After 0 of 0 steps: theta -3, loss 4.5" in readout(shown)
    step = shown.page.get_by_role("button", name="One step")
    step.click()
    step.press("Enter")
    assert "After 2 of 2 steps: theta -1.92" in readout(shown)
    assert shown.page.locator("svg circle").count() == 3


def test_start_by_mouse_and_keyboard(blank_page, bowl):
    shown = blank_page(bowl)
    edge = shown.page.locator("svg").bounding_box()
    page = shown.page
    page.mouse.move(edge["x"] + 100, edge["y"] + 100)
    page.mouse.down()
    page.mouse.move(edge["x"] + 52, edge["y"] + 100)
    page.mouse.up()
    assert shown.saved()[-1]["start"] == pytest.approx(-5, abs=0.2)
    page.get_by_role("slider", name="Start theta").press("End")
    assert shown.saved()[-1]["start"] == 5
    page.mouse.move(edge["x"] + 200, edge["y"] + 100)
    assert shown.saved()[-1]["start"] == 5


def test_names_for_screen_readers(blank_page, bowl):
    tree = blank_page(bowl).accessible()
    for part in ["Gradient descent", 'slider "Learning rate"', 'slider "Start theta"', 'slider "Steps"', 'img "After 12']:
        assert part in tree


def test_markup_in_the_name_is_shown_not_run(blank_page):
    name = "<img src=x onerror='window.hacked = true'>"
    shown = blank_page(GradientDescent(x=X, y=Y, name=name))
    assert name in readout(shown)
    assert shown.page.locator(".bn img").count() == 0 and shown.page.evaluate("window.hacked") is None


def test_kernel_may_change_it_and_clean_up(blank_page, bowl):
    shown = blank_page(bowl)
    shown.push(coefficients=[0, 0, 2], lr=0.6)
    assert "diverges" in readout(shown)
    shown.closes()


def test_fits_a_narrow_panel(blank_page, bowl):
    shown = blank_page(bowl)
    shown.fits(360)


def test_drag_redraws_quickly_without_the_kernel(blank_page):
    shown = blank_page(GradientDescent(x=X * 10, y=Y * 10, steps=100, lr=1))
    assert shown.fastest('model.set("lr", 0.1 + i / 10)') < 50  # milliseconds


def test_in_jupyterlab(lab):
    cell = "import bigmodel_nb as bn\nbn.widgets.GradientDescent(coefficients=(0, 0, 0.5), start=-3, lr=1.8, steps=12)"
    notebook = lab([cell])
    notebook.start()
    page = notebook.page
    page.get_by_text("After 12 of 12 steps").wait_for()
    page.get_by_role("slider", name="Learning rate").press("End")
    page.get_by_text("diverges").first.wait_for()
    notebook.fallback()
    notebook.dark()
