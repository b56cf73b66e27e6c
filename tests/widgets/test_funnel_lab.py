"""The funnel lab's formulas, input and fallback."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from bigmodel_nb.errors import DataError
from bigmodel_nb.exercises.market_and_customers import clv, wilson_interval
from bigmodel_nb.widgets import FunnelLab
from bigmodel_nb.widgets.funnel_lab import economics, funnel, verdict, wilson


@pytest.mark.parametrize(("k", "n"), [(0, 20), (20, 20), (12, 400), (1, 1), (9, 10), (2718, 100_000)])
def test_intervals_are_those_of_the_lesson(k, n):
    low, high = wilson_interval(k, n)
    assert wilson(k, n) == pytest.approx((low, k / n, high), abs=1e-12)


@pytest.mark.parametrize("churn, margin, discount", [(0.05, 0.7, 0.01), (0.2, 0.4, 0.0), (0.0, 1.0, 0.02), (1.0, 0.5, 0.0)])
def test_worth_is_that_of_the_lesson(churn, margin, discount):
    made = economics(1000, (0.1, 0.4, 0.3), 2.0, 20.0, margin, churn, discount)
    assert made["clv"] == pytest.approx(clv(20.0, churn, margin, discount))


def test_figures_fit_together():
    figures = FunnelLab(2000, (0.1, 0.45, 0.3), 2.0).figures
    assert figures["counts"] == [2000, 200, 90, 27] == funnel(2000, (0.1, 0.45, 0.3))
    assert figures["cac"][1] == pytest.approx(2 * 2000 / 27)
    for low, value, high in (*figures["steps"], figures["overall"], figures["cac"], figures["ratio"]):
        assert low <= value <= high
    assert np.multiply(figures["ratio"], figures["cac"][::-1]) == pytest.approx([figures["clv"]] * 3)


def test_nobody_pays():
    figures = FunnelLab(20, (0.1, 0.1, 0.1)).figures
    assert figures["counts"] == [20, 2, 0, 0] and figures["steps"][2] == (0, 0, 1)
    assert figures["cac"][1:] == (math.inf, math.inf) and math.isfinite(figures["cac"][0])
    assert "costs inf" in FunnelLab(20, (0.1, 0.1, 0.1)).static_svg()


def test_verdicts():
    words = [verdict(ratio) for ratio in ((1.1, 2, 3), (0.2, 0.5, 0.9), (0.9, 1, 1.1))]
    assert ["more" in words[0], "costs more" in words[1], "Not known" in words[2]] == [True] * 3


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(visitors=0), "visitors must be a whole number"),
        (dict(visitors=2.5), "visitors"),
        (dict(visitors=True), "visitors"),
        (dict(rates=(0.1, 0.2)), "three numbers"),
        (dict(rates=(0.1, 0.2, 1.5)), "from 0 to 1"),
        (dict(rates=(0.1, 0.2, math.nan)), "from 0 to 1"),
        (dict(cost=0), "cost must be a number above 0"),
        (dict(price=math.inf), "price"),
        (dict(margin=1.2), "margin must be a share"),
        (dict(churn=-0.1), "churn"),
        (dict(churn=0, discount=0), "no end"),
    ],
)
def test_wrong_input_says_what_to_do(arguments, message):
    with pytest.raises(DataError, match=message):
        FunnelLab(**arguments)


def test_text_form_and_picture_are_of_the_start():
    widget = FunnelLab(2000, (0.1, 0.45, 0.3), 2.0)
    text, svg = repr(widget), widget.static_svg()
    assert text == "FunnelLab: 2,000 -> 200 -> 90 -> 27 visitors, leads, trials, paid; worth / cost 1.59, interval 1.10 to 2.31"
    for words in ("trials of leads: 90 of 200, 45.0 %", "a customer costs 148", "A customer is worth more than it costs."):
        assert words in svg
    widget.visitors = 50
    assert repr(widget) == text and widget.static_svg() == svg
    assert widget.figures["counts"][0] == 50
    ET.fromstring(svg)
    assert widget.static_png().startswith(b"\x89PNG")


def test_output_is_small():
    widget = FunnelLab()
    data, _ = widget._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/svg+xml", "image/png", "text/plain"}
    assert len(json.dumps(data)) < 60_000 and len(json.dumps(widget.get_state())) < 30_000
