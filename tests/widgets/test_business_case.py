"""The business case's formulas, input and fallback."""

from __future__ import annotations

import json
import math
import statistics
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from bigmodel_nb.errors import DataError
from bigmodel_nb.exercises.business_case import cohort_revenue, monte_carlo_profit
from bigmodel_nb.widgets import BusinessCase
from bigmodel_nb.widgets.business_case import MONTHS, SPREAD, TOGETHER, balance, factors, forecast, verdict, whole

CASE = (20.0, 50.0, 25.0, 0.05, 600.0, 18.2, 3000.0, 15_000.0)
FREE = 0.0  # new customers come by themselves


@pytest.mark.parametrize("cac", [FREE, 148.0])
def test_cash_is_that_of_the_lesson(cac):
    made = balance(*CASE, cac)
    customers = cohort_revenue(np.r_[50, np.full(MONTHS - 1, 25)], 1.0, 0.05).sum(axis=0)
    assert made["customers"] == pytest.approx(customers)
    assert made["cash"] == pytest.approx(15_000 + np.cumsum(customers * (20 - 0.6 * 18.2) - (3000 + cac * 25)))
    assert made["winning"] == [cac * 25] * MONTHS
    assert np.cumsum(made["profit"]) + 15_000 == pytest.approx(made["cash"])


def test_months_are_counted_from_one():
    figures = BusinessCase(*CASE).figures
    assert figures["profit"][figures["even"] - 2] < 0 <= min(figures["profit"][figures["even"] - 1 :])
    assert figures["cash"][figures["out"] - 2] >= 0 > figures["cash"][figures["out"] - 1]
    assert figures["total"] == pytest.approx(sum(figures["profit"]))
    rich, never = BusinessCase(fixed=0).figures, BusinessCase(price=0).figures
    assert (rich["even"], rich["out"], rich["loss"], rich["error"]) == (1, None, 0, 0)
    assert (never["even"], never["loss"]) == (None, 1) and never["out"] > 1


def test_customers_that_leave_end_the_profit():
    """Fewer and fewer customers: a month of profit is no break-even when losses follow."""
    figures = BusinessCase(price=20, subscribers=1000, new=0, churn=0.2, thousand=0, fixed=3000).figures
    assert figures["profit"][0] > 0 > figures["profit"][-1] and figures["even"] is None


def test_sample_has_the_spreads_and_the_correlation():
    logs = list(zip(*([math.log(x) for x in row] for row in factors())))
    for spread, log in zip(SPREAD, logs):
        assert statistics.stdev(log) == pytest.approx(spread, rel=0.1) and abs(statistics.mean(log)) < 0.05
    assert statistics.correlation(*logs[:2]) == pytest.approx(TOGETHER, abs=0.1)
    assert abs(statistics.correlation(logs[0], logs[2])) < 0.12


@pytest.mark.parametrize("cac", [FREE, 20.0])
def test_loss_is_that_of_the_lesson(cac):
    sample = np.array(factors())

    def profit(x):
        margins = zip(*x.T)
        return np.array([balance(20, 50, a, c, 600, k, 3000, 0, cac)["cash"][-1] for a, c, k in margins])

    inputs = sample * [25, 0.05, 18.2]
    _, loss, error = monte_carlo_profit(inputs, np.zeros(3), np.ones(3), np.eye(3), profit)
    figures = forecast(sample.tolist(), *CASE, cac)
    assert (figures["loss"], figures["error"]) == pytest.approx((loss, error))
    low, high = figures["band"][-1]
    assert np.mean(profit(inputs) + 15_000 < low) == pytest.approx(0.1, abs=0.01)
    assert np.mean(profit(inputs) + 15_000 > high) == pytest.approx(0.1, abs=0.01)


def test_customers_that_cost_more_than_they_bring_make_growth_a_loss():
    """148 each, which a customer who leaves 9.08 a month brings back in 33 months."""
    slow, planned, fast = (BusinessCase(*CASE[:2], new, *CASE[3:], cac=148).figures for new in (15, 25, 35))
    assert slow["total"] > planned["total"] > fast["total"] and planned["even"] is None
    assert planned["cash"][-1] == pytest.approx(-131_586, abs=0.5)  # as the lesson prints
    assert planned["loss"] == 1 and BusinessCase(*CASE).figures["loss"] == BusinessCase(*CASE, cac=0).figures["loss"] < 1
    nobody = BusinessCase(*CASE[:2], 0, *CASE[3:], cac=148).figures
    assert nobody == BusinessCase(*CASE[:2], 0, *CASE[3:]).figures


def test_churn_stays_a_share():
    figures = BusinessCase(churn=1).figures
    assert figures["customers"][5] == 25 and min(low for low, _ in figures["band"]) < figures["cash"][-1]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(price=-1), "price must be a number from 0 to 1,000"),
        (dict(churn=1.5), "churn must be a number from 0 to 1;"),
        (dict(new=math.nan), "new"),
        (dict(fixed=math.inf), "fixed"),
        (dict(cash="much"), "cash"),
        (dict(requests=True), "requests"),
        (dict(cac=-1), "cac must be a number from 0 to 100,000"),
    ],
)
def test_wrong_input_says_what_to_do(arguments, message):
    with pytest.raises(DataError, match=message):
        BusinessCase(**arguments)


@pytest.mark.parametrize(("x", "text"), [(-1234.5, "-1,235"), (0.2, "0"), (-0.2, "0"), (0.5, "1"), (1e6, "1,000,000")])
def test_whole_amounts(x, text):
    assert whole(x) == text


def test_verdict_without_an_end():
    assert verdict(BusinessCase(price=0).figures).split(". ")[0] == "Month 36 still makes a loss"
    assert verdict(BusinessCase(fixed=0).figures) == "No monthly loss from month 1 on. The money lasts."


def test_text_form_and_picture_are_of_the_start():
    widget = BusinessCase(*CASE)
    text, svg = repr(widget), widget.static_svg()
    assert text == (
        "BusinessCase: No monthly loss from month 21 on. The money is gone in month 8. "
        "Profit of three years: -13,386. Probability of a loss: 64.5 %, standard error 2.4"
    )
    for words in ("cash in thousands; the band holds 8 of 10 outcomes", "No monthly loss from month 21 on."):
        assert words in svg
    widget.price = 40
    assert repr(widget) == text and widget.static_svg() == svg
    assert widget.figures["loss"] < 0.02
    widget.cac = 500
    assert widget.figures["loss"] > 0.5 and repr(widget) == text
    assert "Month 36 still makes a loss." in repr(BusinessCase(*CASE, cac=148))
    ET.fromstring(svg)
    assert widget.static_png().startswith(b"\x89PNG")


def test_output_is_small():
    data, _ = BusinessCase()._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/svg+xml", "image/png", "text/plain"}
    assert len(json.dumps(data)) < 60_000 and len(json.dumps(BusinessCase().get_state())) < 30_000
