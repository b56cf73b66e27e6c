"""The business case in a browser: its formulas, mouse, keyboard and screen readers."""

from __future__ import annotations

import random

import pytest

from bigmodel_nb.widgets import BusinessCase
from bigmodel_nb.widgets.business_case import balance, chance, factors, forecast, verdict, whole


@pytest.fixture
def widget():
    return BusinessCase(20, 50, 25, 0.05, 600, 18.2, 3000, 15_000)


def test_formulas_equal_pythons(blank_page, widget):
    shown, rng, sample = blank_page(widget), random.Random(0), [list(row) for row in factors()]
    cases = [(20, 50, 25, 0.05, 600, 18.2, 3000, 15_000, 0), (20, 50, 25, 0.05, 600, 18.2, 3000, 15_000, 148),
             (20, 1000, 0, 0.2, 600, 0, 3000, 0, 60), (0, 50, 25, 1, 0, 0, 0, 0, 0)]  # fmt: skip
    for _ in range(12):
        cases.append((rng.uniform(0, 60), rng.uniform(0, 900), rng.uniform(0, 99), rng.random(), rng.uniform(0, 3000),
                      rng.uniform(0, 20), rng.uniform(0, 9000), rng.uniform(0, 99_000), rng.uniform(0, 200)))  # fmt: skip
    for case in cases:
        assert shown.call("balance", *case) == {name: pytest.approx(row) for name, row in balance(*case).items()}
        made, expected = shown.call("forecast", sample, *case), forecast(sample, *case)
        for name in ("even", "out", "loss"):
            assert made[name] == expected[name]
        for name in ("total", "error", "cash", "customers", "winning", "profit"):
            assert made[name] == pytest.approx(expected[name])
        assert [x for pair in made["band"] for x in pair] == pytest.approx([x for pair in expected["band"] for x in pair])
        assert shown.call("verdict", made) == verdict(expected)
        assert shown.call("chance", made) == chance(expected)
    for x in (-1234.5, 0.2, -0.2, 0.5, 1e6):
        assert shown.call("whole", x) == whole(x)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_shows_the_figures(blank_page, widget, dark):
    shown = blank_page(widget, dark=dark)
    text = shown.page.inner_text("body")
    for part in ["No monthly loss from month 21 on. The money is gone in month 8.",
                 "Profit of three years: -13,386. Probability of a loss: 64.5 %, standard error 2.4", "15,000"]:
        assert part in text
    shown.has_theme(dark)


def test_names_for_screen_readers(blank_page, widget):
    shown = blank_page(widget)
    tree = shown.accessible()
    assert 'region "Business case: cash over three years"' in tree
    for name in ("price a month", "churn a month", "first subscribers", "new ones a month", "requests a month",
                 "CAC per new one", "cost per thousand", "fixed cost a month", "cash at the start"):
        assert f'slider "{name}"' in tree
    assert shown.page.get_by_role("slider", name="churn a month").get_attribute("aria-valuetext") == "5.0 %"
    assert "months 1, 12, 24 and 36: 12,454" in shown.page.locator("svg").get_attribute("aria-label")
    assert "Probability of a loss" in shown.page.locator("[aria-live]").inner_text()


def test_keyboard(blank_page, widget):
    shown = blank_page(widget)
    price = shown.page.get_by_role("slider", name="price a month")
    price.focus()
    shown.page.keyboard.press("ArrowRight")
    assert shown.saved()[-1] == {"price": 20.5}
    shown.page.keyboard.press("Home")
    assert "Month 36 still makes a loss. The money is gone in month" in shown.page.inner_text(".verdict")
    assert "100.0 %" in shown.page.inner_text(".odds")
    fixed = shown.page.get_by_role("slider", name="fixed cost a month")
    fixed.focus()
    shown.page.keyboard.press("Home")
    assert shown.saved()[-1] == {"fixed": 0}


def test_winning_customers_costs(blank_page, widget):
    shown = blank_page(widget)
    cac = shown.page.get_by_role("slider", name="CAC per new one")
    assert cac.get_attribute("aria-valuetext") == "0"
    cac.fill("148")
    assert shown.saved()[-1] == {"cac": 148}
    paid = BusinessCase(20, 50, 25, 0.05, 600, 18.2, 3000, 15_000, 148).figures
    assert shown.page.inner_text(".verdict") == verdict(paid) and "still makes a loss" in verdict(paid)
    assert shown.page.inner_text(".odds") == chance(paid)
    assert shown.page.locator("svg").get_attribute("aria-label").split(";")[0].endswith(", " + whole(paid["cash"][-1]))
    cac.focus()
    shown.page.keyboard.press("ArrowRight")
    assert shown.saved()[-1] == {"cac": 149} and cac.get_attribute("aria-valuetext") == "149"
    shown.page.keyboard.press("Home")
    assert shown.saved()[-1] == {"cac": 0} and "from month 21 on" in shown.page.inner_text(".verdict")


def test_redraws_while_dragging(blank_page, widget):
    shown = blank_page(widget)
    before = shown.page.get_attribute("polyline.cash", "points")
    with shown.dragging(shown.page.get_by_role("slider", name="price a month"), 1 / 3) as to:
        to(0.8)
        assert shown.page.get_attribute("polyline.cash", "points") != before
        assert shown.page.evaluate("model.get('price')") > 40
        to(1.2)
    assert shown.saved()[-1] == {"price": 60}
    assert "The money lasts." in shown.page.inner_text(".verdict")


def test_change_from_the_kernel(blank_page, widget):
    shown = blank_page(widget)
    shown.push(churn=0.3, cash=200_000.0, cac=40.0)
    assert shown.page.inner_text(".odds") == chance(BusinessCase(20, 50, 25, 0.3, 600, 18.2, 3000, 200_000, 40).figures)
    assert shown.page.get_by_role("slider", name="CAC per new one").get_attribute("aria-valuetext") == "40"
    assert shown.page.get_by_role("slider", name="churn a month").get_attribute("aria-valuetext") == "30.0 %"


def test_values_beyond_the_usual_are_kept(blank_page):
    shown = blank_page(BusinessCase(price=450, cash=2_000_000, cac=1250))
    assert shown.page.get_by_role("slider", name="price a month").get_attribute("aria-valuetext") == "450.00"
    assert shown.page.get_by_role("slider", name="cash at the start").get_attribute("aria-valuetext") == "2,000,000"
    assert shown.page.get_by_role("slider", name="CAC per new one").get_attribute("aria-valuetext") == "1,250"
    assert "M" in shown.page.text_content("svg")


def test_fits_a_narrow_panel(blank_page, widget):
    shown = blank_page(widget)
    shown.fits(360)


def test_clean_up_leaves_no_listener(blank_page, widget):
    shown = blank_page(widget)
    shown.closes()


def test_redraw_is_quick(blank_page, widget):
    shown = blank_page(widget)
    assert shown.fastest('model.set("price", 15 + i)') < 50  # milliseconds


LAB = """
import bigmodel_nb as bn
w = bn.widgets.BusinessCase(20, 50, 25, 0.05, 600, 18.2, 3000, 15_000)
w
"""


def test_lives_in_jupyterlab(lab):
    notebook = lab([LAB, "print(w.figures['even'])"])
    notebook.start()
    page = notebook.page
    notebook.fallback()
    fixed = page.get_by_role("slider", name="fixed cost a month")
    fixed.wait_for()
    fixed.focus()
    page.keyboard.press("Home")
    assert fixed.get_attribute("aria-valuetext") == "0"
    notebook.keeps_keys()
    notebook.dark()
