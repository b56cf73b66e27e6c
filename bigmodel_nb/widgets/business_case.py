"""Three years of a subscription business: cash month by month, and the probability of a loss.

business_case.js holds the same formulas, so that dragging needs no kernel, and tests compare the two.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import traitlets as t

from bigmodel_nb.errors import DataError
from bigmodel_nb.figures import BLUE, RED

from .base import CourseWidget, front_end, style
from .picture import FAINT, INK, Axes, Picture

MONTHS, DRAWS = 36, 400
SPREAD = (0.3, 0.25, 0.4)  # of the logarithms of new customers, churn and cost of requests
TOGETHER = -0.5  # correlation of new customers and churn: a better rival takes both
LIMITS = {"price": 1000, "subscribers": 100_000, "new": 10_000, "churn": 1, "requests": 100_000, "thousand": 1000,
          "fixed": 10_000_000, "cash": 100_000_000, "cac": 100_000}
STATE = tuple(LIMITS)
BAND = "#cfe5f3"
WIDTH, BOX = 640, (62, 84, 624, 292)


@functools.cache
def factors() -> tuple[tuple[float, float, float], ...]:
    """The sample: by what new customers, churn and the cost of requests are multiplied, the same everywhere."""
    rng, normal, found = random.Random(23), NormalDist(), []
    for _ in range(DRAWS):
        a, b, c = (normal.inv_cdf(rng.random()) for _ in SPREAD)
        b = TOGETHER * a + math.sqrt(1 - TOGETHER**2) * b
        found.append(tuple(round(math.exp(spread * z), 4) for spread, z in zip(SPREAD, (a, b, c))))
    return tuple(found)


def balance(
    price: float, subscribers: float, new: float, churn: float, requests: float, thousand: float, fixed: float, cash: float,
    cac: float,
) -> dict[str, list[float]]:
    """Customers, what was paid to win new ones, profit and cash at the end of each of 36 months.

    >>> made = balance(20, 100, 10, 0.1, 500, 4, 900, 5000, 30)
    >>> [round(made[name][1]) for name in ("customers", "winning", "profit", "cash")]
    [100, 300, 600, 6200]
    """
    left, margin, winning = subscribers, price - requests / 1000 * thousand, cac * new
    customers, profit, held = [], [], []
    for month in range(MONTHS):
        left = left if month == 0 else left * (1 - churn) + new
        gain = left * margin - fixed - winning
        cash += gain
        customers.append(left)
        profit.append(gain)
        held.append(cash)
    return {"customers": customers, "winning": [winning] * MONTHS, "profit": profit, "cash": held}


def forecast(
    sample: Sequence[Sequence[float]], price: float, subscribers: float, new: float, churn: float, requests: float,
    thousand: float, fixed: float, cash: float, cac: float,
) -> dict[str, Any]:
    """All figures of the widget.

    even: the month from which on no month makes a loss, out: the first with less than no money, both
    counted from 1, None where there is none; total: profit of all months; loss: share of the sample
    with a total below 0, and error: its standard error; band: for each month what a tenth and nine
    tenths of the sample don't reach in cash.
    """
    made = balance(price, subscribers, new, churn, requests, thousand, fixed, cash, cac)
    bad = [month for month, profit in enumerate(made["profit"], 1) if profit < 0]
    even = 1 if not bad else bad[-1] + 1 if bad[-1] < MONTHS else None
    ends = [
        balance(price, subscribers, new * a, min(1.0, churn * b), requests, thousand * c, fixed, cash, cac)["cash"]
        for a, b, c in sample
    ]
    loss = sum(end[-1] < cash for end in ends) / len(ends)
    months = [sorted(month) for month in zip(*ends)]
    tenth = len(ends) // 10
    return {
        **made,
        "total": made["cash"][-1] - cash,
        "even": even,
        "out": next((month for month, held in enumerate(made["cash"], 1) if held < 0), None),
        "loss": loss,
        "error": math.sqrt(loss * (1 - loss) / len(ends)),
        "band": [[month[tenth], month[-1 - tenth]] for month in months],
    }


def verdict(made: dict[str, Any]) -> str:
    """When the losses end, and whether the money does.

    >>> verdict({"even": None, "out": 7})
    'Month 36 still makes a loss. The money is gone in month 7.'
    """
    even = f"No monthly loss from month {made['even']} on." if made["even"] else "Month 36 still makes a loss."
    money = f"The money is gone in month {made['out']}." if made["out"] else "The money lasts."
    return f"{even} {money}"


def chance(made: dict[str, Any]) -> str:
    """The profit, and the probability of a loss with its standard error.

    >>> chance({"total": -1234.5, "loss": 0.305, "error": 0.023})
    'Profit of three years: -1,235. Probability of a loss: 30.5 %, standard error 2.3'
    """
    loss, error = (math.floor(1000 * made[name] + 0.5) / 10 for name in ("loss", "error"))
    return f"Profit of three years: {whole(made['total'])}. Probability of a loss: {loss:.1f} %, standard error {error:.1f}"


def whole(x: float) -> str:
    """An amount of money.

    >>> whole(-1234.5), whole(0.2)
    ('-1,235', '0')
    """
    return f"{math.copysign(math.floor(abs(x) + 0.5), x) + 0.0:,.0f}" if abs(x) >= 0.5 else "0"


class BusinessCase(CourseWidget):
    """A subscription business over 36 months. Money is in one currency, `churn` a share of 1 a month.

    `subscribers` at the start pay `price` a month, `new` ones come in each later month; each makes
    `requests` a month, which cost `thousand` for 1,000; `fixed` is spent each month, and `cac` for each
    of the new ones who come in the next; `cash` is there at the start. `.figures` holds the numbers for
    the controls as they stand (see `forecast`).
    """

    _esm = front_end("business_case")
    _css = style("business_case")

    sample = t.List().tag(sync=True)
    price = t.Float().tag(sync=True)
    subscribers = t.Float().tag(sync=True)
    new = t.Float().tag(sync=True)
    churn = t.Float().tag(sync=True)
    requests = t.Float().tag(sync=True)
    thousand = t.Float().tag(sync=True)
    fixed = t.Float().tag(sync=True)
    cash = t.Float().tag(sync=True)
    cac = t.Float().tag(sync=True)

    def __init__(
        self, price: float = 20, subscribers: float = 50, new: float = 25, churn: float = 0.05, requests: float = 600,
        thousand: float = 2.0, fixed: float = 6000, cash: float = 60_000, cac: float = 0,
    ) -> None:
        given = dict(zip(STATE, (price, subscribers, new, churn, requests, thousand, fixed, cash, cac)))
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LIMITS[name]:
                raise DataError(f"{name} must be a number from 0 to {LIMITS[name]:,}; received {value!r}.")
        super().__init__(sample=[list(row) for row in factors()], **{name: float(value) for name, value in given.items()})
        self._first = self.figures

    @property
    def figures(self) -> dict[str, Any]:
        """The figures for the controls as they stand now."""
        return forecast(self.sample, *(getattr(self, name) for name in STATE))

    def describe(self) -> str:
        return f"BusinessCase: {verdict(self._first)} {chance(self._first)}"

    def picture(self) -> Picture:
        made = self._first
        picture = Picture(WIDTH, BOX[3] + 44, self.describe())
        picture.text(16, 24, verdict(made), 14)
        picture.text(16, 46, chance(made), 12, FAINT)
        values = [x / 1000 for x in (*made["cash"], *(x for pair in made["band"] for x in pair), 0.0)]
        span = max(values) - min(values) or 1.0
        axes = Axes(picture, BOX, (1, MONTHS), (min(values) - 0.05 * span, max(values) + 0.05 * span))
        at = lambda month, money: (axes.x(month), axes.y(money / 1000))  # noqa: E731
        upper = [at(i, pair[1]) for i, pair in enumerate(made["band"], 1)]
        lower = [at(i, pair[0]) for i, pair in enumerate(made["band"], 1)]
        picture.polygon(upper + lower[::-1], BAND)
        axes.draw("month", "cash in thousands; the band holds 8 of 10 outcomes")
        picture.line([at(1, 0), at(MONTHS, 0)], INK, 1)
        picture.line([at(i, money) for i, money in enumerate(made["cash"], 1)], BLUE, 2.5)
        if made["even"]:
            picture.line([(axes.x(made["even"]), BOX[1]), (axes.x(made["even"]), BOX[3])], RED, 1.5, dashed=True)
        return picture
