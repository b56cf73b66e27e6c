"""From visit to paid: three rates with Wilson's intervals, and what a customer costs and is worth.

funnel_lab.js holds the same formulas, so that dragging needs no kernel, and tests compare the two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import traitlets as t

from bigmodel_nb.errors import DataError
from bigmodel_nb.figures import BLUE, GREY, RED

from .base import CourseWidget, front_end, style
from .picture import FAINT, GRID, INK, Picture

STEPS = ("leads of visitors", "trials of leads", "paid of trials")
Z = 1.96
LOW, HIGH = 0.1, 100  # ends of the axis of worth / cost
WIDTH, LEFT, RIGHT, TOP, STEP = 640, 20, 620, 64, 48
Interval = tuple[float, float, float]  # low, value, high


def wilson(k: int, n: int) -> Interval:
    """Wilson's interval around k of n; of nobody nothing is known.

    >>> [round(x, 3) for x in wilson(12, 400)], wilson(0, 0)
    ([0.017, 0.03, 0.052], (0.0, 0.0, 1.0))
    """
    if n == 0:
        return 0.0, 0.0, 1.0
    centre, half = k + Z * Z / 2, Z * math.sqrt(k * (n - k) / n + Z * Z / 4)
    return max(0.0, (centre - half) / (n + Z * Z)), k / n, min(1.0, (centre + half) / (n + Z * Z))


def funnel(visitors: int, rates: Sequence[float]) -> list[int]:
    """How many are left after each step, rounded to people.

    >>> funnel(2000, (0.1, 0.45, 0.3))
    [2000, 200, 90, 27]
    """
    counts = [visitors]
    for rate in rates:
        counts.append(math.floor(counts[-1] * rate + 0.5))
    return counts


def economics(
    visitors: int, rates: Sequence[float], cost: float, price: float, margin: float, churn: float, discount: float
) -> dict[str, Any]:
    """All figures of the widget: counts, steps, overall, cac, clv, ratio; intervals are (low, value, high)."""
    counts = funnel(visitors, rates)
    overall = wilson(counts[-1], visitors)
    worth = margin * price * (1 + discount) / (churn + discount)
    return {
        "counts": counts,
        "steps": [wilson(k, n) for n, k in zip(counts, counts[1:])],
        "overall": overall,
        "cac": tuple(cost / rate if rate > 0 else math.inf for rate in overall[::-1]),
        "clv": worth,
        "ratio": tuple(worth * rate / cost for rate in overall),
    }


def percent(rate: float) -> str:
    """A rate with two digits or more.

    >>> percent(0.0135), percent(0.1), percent(1)
    ('1.4 %', '10.0 %', '100 %')
    """
    return f"{100 * rate:.1f} %" if rate < 0.9995 else "100 %"


def verdict(ratio: Interval) -> str:
    """What the interval of worth / cost says.

    >>> verdict((0.8, 1.5, 2.2))
    'Not known yet whether a customer is worth what it costs.'
    """
    if ratio[0] > 1:
        return "A customer is worth more than it costs."
    if ratio[2] < 1:
        return "A customer costs more than it is worth."
    return "Not known yet whether a customer is worth what it costs."


class FunnelLab(CourseWidget):
    """A funnel of `visitors` through three `rates`, at `cost` a visitor and a `price` a month.

    `margin`, `churn` and `discount` are shares of 1, by the month. `.figures` holds the numbers for
    the controls as they stand: counts, and (low, value, high) of each rate, CAC and worth / cost.
    """

    _esm = front_end("funnel_lab")
    _css = style("funnel_lab")

    visitors = t.Int().tag(sync=True)
    rates = t.List(t.Float()).tag(sync=True)
    cost = t.Float().tag(sync=True)
    price = t.Float().tag(sync=True)
    margin = t.Float().tag(sync=True)
    churn = t.Float().tag(sync=True)
    discount = t.Float().tag(sync=True)

    def __init__(
        self, visitors: int = 2000, rates: Sequence[float] = (0.1, 0.45, 0.3), cost: float = 2.0, price: float = 20.0,
        margin: float = 0.7, churn: float = 0.05, discount: float = 0.01,
    ) -> None:
        if isinstance(visitors, bool) or not isinstance(visitors, int) or not 1 <= visitors <= 10_000_000:
            raise DataError(f"visitors must be a whole number from 1 to 10,000,000; received {visitors!r}.")
        rates = [float(rate) for rate in rates]
        if len(rates) != len(STEPS) or not all(0 <= rate <= 1 for rate in rates):
            raise DataError(f"rates must be three numbers from 0 to 1 ({', '.join(STEPS)}); received {rates}.")
        for name, value in (("cost", cost), ("price", price)):
            if not (math.isfinite(value) and value > 0):
                raise DataError(f"{name} must be a number above 0; received {value!r}.")
        for name, value in (("margin", margin), ("churn", churn), ("discount", discount)):
            if not 0 <= value <= 1:
                raise DataError(f"{name} must be a share from 0 to 1; received {value!r}.")
        if churn + discount == 0:
            raise DataError("churn and discount are both 0: the worth of a customer has no end. Give one of them.")
        super().__init__(
            visitors=visitors, rates=rates, cost=float(cost), price=float(price), margin=float(margin),
            churn=float(churn), discount=float(discount),
        )  # fmt: skip
        self._first = self.figures

    @property
    def figures(self) -> dict[str, Any]:
        """The figures for the controls as they stand now."""
        return economics(self.visitors, self.rates, self.cost, self.price, self.margin, self.churn, self.discount)

    def describe(self) -> str:
        made = self._first
        low, value, high = made["ratio"]
        return (
            f"FunnelLab: {' -> '.join(f'{n:,}' for n in made['counts'])} visitors, leads, trials, paid; "
            f"worth / cost {value:.2f}, interval {low:.2f} to {high:.2f}"
        )

    def picture(self) -> Picture:
        made = self._first
        counts, rows = made["counts"], [*zip(STEPS, made["steps"]), ("paid of visitors", made["overall"])]
        bottom = TOP + len(rows) * STEP
        picture = Picture(WIDTH, bottom + 62, self.describe())
        picture.text(LEFT, 22, verdict(made["ratio"]), 15)
        low, value, high = made["cac"]
        money = f"a customer costs {value:.0f} ({low:.0f} to {high:.0f}) and is worth {made['clv']:.0f}"
        picture.text(LEFT, 42, money, 12, FAINT)
        for i, (name, interval) in enumerate(rows):
            k, n = (counts[-1], counts[0]) if i == len(STEPS) else (counts[i + 1], counts[i])
            low, value, high = interval
            text = f"{name}: {k:,} of {n:,}, {percent(value)} ({percent(low)[:-2]} to {percent(high)[:-2]})"
            self._row(picture, TOP + i * STEP, text, interval, BLUE if i < len(STEPS) else GREY)
        low, value, high = (self._place(x) for x in made["ratio"])
        text = "worth / cost: {1:.2f} ({0:.2f} to {2:.2f})".format(*made["ratio"])
        self._row(picture, bottom, text, (low, value, high), RED)
        for mark in (0.1, 1, 3, 10, 100):
            x = LEFT + self._place(mark) * (RIGHT - LEFT)
            if mark in (1, 3):
                picture.line([(x, bottom + 14), (x, bottom + 34)], INK, 1, dashed=True)
            picture.text(x, bottom + 48, f"{mark:g}", 11, FAINT, {0.1: "start", 100: "end"}.get(mark, "middle"))
        return picture

    @staticmethod
    def _place(ratio: float) -> float:
        """Where worth / cost lies on its axis, from 0 to 1."""
        return math.log(min(HIGH, max(LOW, ratio)) / LOW) / math.log(HIGH / LOW)

    @staticmethod
    def _row(picture: Picture, y: float, text: str, interval: Interval, colour: str) -> None:
        """A track with a dot and its interval, each from 0 to 1."""
        low, value, high = (LEFT + x * (RIGHT - LEFT) for x in interval)
        picture.text(LEFT, y + 8, text, 12)
        picture.line([(LEFT, y + 24), (RIGHT, y + 24)], GRID, 4)
        picture.line([(low, y + 24), (high, y + 24)], colour, 4)
        picture.circle((value, y + 24), 6, colour)
