"""The funnel lab in a browser: its formulas, mouse, keyboard and screen readers."""

from __future__ import annotations

import random

import pytest

from bigmodel_nb.widgets import FunnelLab
from bigmodel_nb.widgets.funnel_lab import economics, funnel, percent, verdict, wilson


@pytest.fixture
def widget():
    return FunnelLab(2000, (0.1, 0.45, 0.3), 2.0)


def test_formulas_equal_pythons(blank_page, widget):
    shown, rng = blank_page(widget), random.Random(0)
    for k, n in ((0, 0), (0, 20), (20, 20), (12, 400), (2718, 100_000)):
        assert shown.call("wilson", k, n) == pytest.approx(wilson(k, n), abs=1e-12)
    for _ in range(40):
        rates = [rng.random() ** 2 for _ in range(3)]
        case = (rng.randrange(1, 5000), rates, rng.uniform(0.1, 9), rng.uniform(1, 90), rng.random(), rng.uniform(0.01, 1), rng.random() / 9)
        made, expected = shown.call("economics", *case), economics(*case)
        assert made["counts"] == expected["counts"] == shown.call("funnel", case[0], rates) == funnel(case[0], rates)
        for name in ("overall", "cac", "clv", "ratio"):
            assert made[name] == pytest.approx(expected[name])
        assert [tuple(step) for step in made["steps"]] == [pytest.approx(step) for step in expected["steps"]]
        assert shown.call("verdict", made["ratio"]) == verdict(expected["ratio"])
    for rate in (0, 0.0135, 0.1, 0.9996, 1):
        assert shown.call("percent", rate) == percent(rate)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_shows_the_figures(blank_page, widget, dark):
    shown = blank_page(widget, dark=dark)
    text = shown.page.inner_text("body") + shown.page.text_content("svg")
    for part in ["A customer is worth more than it costs.", "A customer costs 148 (102 to 215) and is worth 236.",
                 "leads of visitors: 200 of 2,000, 10.0 %", "paid of visitors: 27 of 2,000", "worth / cost: 1.59 (1.10 to 2.31)"]:
        assert part in text
    shown.has_theme(dark)


def test_names_for_screen_readers(blank_page, widget):
    shown = blank_page(widget)
    tree = shown.accessible()
    assert 'region "Funnel lab: from visit to paid"' in tree
    for name in ("Visitors", "leads of visitors", "trials of leads", "paid of trials", "cost a visitor", "price a month",
                 "margin", "churn a month", "interest a month"):
        assert f'slider "{name}"' in tree
    assert shown.page.get_by_role("slider", name="Visitors", exact=True).get_attribute("aria-valuetext") == "2,000"
    assert "worth / cost: 1.59" in shown.page.locator("svg").get_attribute("aria-label")
    assert "worth / cost: 1.59" in shown.page.locator("[aria-live]").inner_text()


def test_keyboard(blank_page, widget):
    shown = blank_page(widget)
    visitors = shown.page.get_by_role("slider", name="Visitors", exact=True)
    visitors.focus()
    shown.page.keyboard.press("Home")
    assert shown.saved()[-1] == {"visitors": 50}
    assert shown.page.inner_text(".verdict").startswith("Not known yet")
    rate = shown.page.get_by_role("slider", name="leads of visitors")
    rate.focus()
    shown.page.keyboard.press("ArrowRight")
    assert shown.saved()[-1]["rates"] == pytest.approx([0.105, 0.45, 0.3])
    churn = shown.page.get_by_role("slider", name="churn a month")
    churn.focus()
    shown.page.keyboard.press("End")
    assert shown.saved()[-1] == {"churn": 0.5}


def test_dragging_a_dot(blank_page, widget):
    shown = blank_page(widget)
    grip = shown.page.locator("[data-row='1']")
    with shown.dragging(grip, 0.45) as to:
        to(0.75)
        assert shown.page.evaluate("model.get('rates')")[1] == pytest.approx(0.755, abs=0.011)
        assert shown.saved() == []
        to(1.1, 3.0)
    assert shown.saved()[-1]["rates"] == [0.1, 1.0, 0.3]
    assert "trials of leads: 200 of 200, 100 %" in shown.page.text_content("svg")
    grip.hover(position={"x": 30, "y": 13})  # the button is up: nothing moves
    assert shown.page.evaluate("model.get('rates')")[1] == 1.0


def test_nobody_pays(blank_page):
    shown = blank_page(FunnelLab(50, (0.0, 0.4, 0.3)))
    assert "A customer costs \u221e" in shown.page.inner_text("body")
    assert "trials of leads: 0 of 0, 0.0 % (0.0 to 100)" in shown.page.text_content("svg")


def test_change_from_the_kernel(blank_page, widget):
    shown = blank_page(widget)
    shown.push(visitors=20000, cost=40.0)
    assert "paid of visitors: 270 of 20,000" in shown.page.text_content("svg")
    assert shown.page.inner_text(".verdict") == "A customer costs more than it is worth."
    assert shown.page.get_by_role("slider", name="Visitors", exact=True).get_attribute("aria-valuetext") == "20,000"


def test_values_that_are_given_stand_among_the_choices(blank_page):
    shown = blank_page(FunnelLab(321, price=450))
    assert shown.page.get_by_role("slider", name="Visitors", exact=True).get_attribute("aria-valuetext") == "321"
    assert shown.page.get_by_role("slider", name="price a month").get_attribute("aria-valuetext") == "450"


def test_fits_a_narrow_panel(blank_page, widget):
    shown = blank_page(widget)
    shown.fits(360)
    text = shown.page.locator("svg text", has_text="leads of visitors")
    assert text.text_content() == "leads of visitors: 200, 10.0 % (8.8 to 11.4)"
    assert text.bounding_box()["width"] < 330


def test_clean_up_leaves_no_listener(blank_page, widget):
    shown = blank_page(widget)
    shown.closes()


def test_redraw_is_quick(blank_page, widget):
    shown = blank_page(widget)
    assert shown.fastest('model.set("visitors", 1000 + i)') < 50  # milliseconds


LAB = """
import bigmodel_nb as bn
w = bn.widgets.FunnelLab(2000, (0.1, 0.45, 0.3), 2.0)
w
"""


def test_lives_in_jupyterlab(lab):
    notebook = lab([LAB, "print(w.figures['counts'])"])
    notebook.start()
    page = notebook.page
    notebook.fallback()
    visitors = page.get_by_role("slider", name="Visitors", exact=True)
    visitors.wait_for()
    visitors.focus()
    page.keyboard.press("ArrowLeft")
    assert visitors.get_attribute("aria-valuetext") == "1,000"
    notebook.keeps_keys()
    notebook.dark()
