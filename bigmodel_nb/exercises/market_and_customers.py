"""Exercises of lesson 22."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from .engine.model import Check, Exercise, misconceptions_of


def wilson_interval(k, n, z=1.96):
    """Wilson's interval for a rate of which k of n have been seen.

    k, n: ints or int arrays of one shape, 0 <= k <= n, n > 0; z: how many standard errors are no surprise
    -> (low, high), two floats or float arrays of that shape
    """
    centre = k + z * z / 2
    half = z * np.sqrt(k * (n - k) / n + z * z / 4)
    return (centre - half) / (n + z * z), (centre + half) / (n + z * z)


def ab_sample_size(p1, p2, alpha=0.05, power=0.8):
    """Visitors that each arm of an A/B test needs to tell the rates p1 and p2 apart.

    alpha: share of false alarms of the two-sided z-test where there is no difference
    power: share of tests that find the difference where there is one -> int, rounded up
    """
    at_null, at_truth = NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)
    mean = (p1 + p2) / 2
    null = math.sqrt(2 * mean * (1 - mean))
    truth = math.sqrt(p1 * (1 - p1) + p2 * (1 - p2))
    return math.ceil((at_null * null + at_truth * truth) ** 2 / (p1 - p2) ** 2)


def clv(arpu, churn, margin=1.0, discount=0.0, periods=None):
    """What a new customer is worth today.

    arpu: revenue a period, paid at its start, so the first payment is certain and in full
    churn: share of the customers lost from one period to the next; margin: share of revenue that is kept
    discount: interest a period; periods: how many payments count, None for all there will ever be
    -> float, math.inf for endless payments that never shrink
    """
    shrink = (1 - churn) / (1 + discount)
    if shrink == 1:
        return math.inf if periods is None else margin * arpu * periods
    left = 0.0 if periods is None else shrink**periods
    return margin * arpu * (1 - left) / (1 - shrink)


def repeat_rate(customers, days, window, today):
    """Share of customers who order again within `window` days after their first order.

    customers (N,): int ids, one an order, in any order; days (N,): int day of each order
    Day first + window still counts, and so does a second order on the first day.
    Only customers whose window is over by today are asked: first + window <= today
    -> float, NaN where there is none
    """
    again = []
    for customer in np.unique(customers):
        own = days[customers == customer]
        end = own.min() + window
        if end <= today:
            again.append(np.sum(own <= end) >= 2)
    return float(np.mean(again)) if again else math.nan


def unit_free(metric, figures, money):
    """Whether a metric says the same in any currency.

    metric: a function of a dict from names to numbers -> float, above 0; figures: such a dict
    money: list of the names whose numbers are amounts of money; the others are counts
    -> True if the result is the same, up to rounding, when all money is counted in another currency
    """
    exchanged = {name: 7 * value if name in money else value for name, value in figures.items()}
    return math.isclose(metric(exchanged), metric(figures), rel_tol=1e-9)


def kmeans_step(x, centers):
    """One step of K-means: each point to its nearest center, then each center to the mean of its points.

    x (N, d): points; centers (k, d) -> labels (N,): int, of equally near centers the first, and
    new centers (k, d), where one without points stays where it is
    """
    distances = ((x[:, None] - centers) ** 2).sum(axis=2)  # (N, k)
    labels = distances.argmin(axis=1)
    moved = centers.copy()
    for i in range(len(centers)):
        if np.any(labels == i):
            moved[i] = x[labels == i].mean(axis=0)
    return labels, moved


# wilson_interval


def _wilson_case(rng, size=6, *z):
    n = rng.integers(1, 60, size)
    return (rng.integers(0, n + 1), n, *z)


def _wilson_sample(rng):
    z = [(), (1.0,), (float(rng.uniform(0.5, 3)),)][rng.integers(3)]
    return _wilson_case(rng, int(rng.integers(1, 6)), *z)


def _surprise(k, n, z, p):
    """Above 0 where k of n would surprise somebody who believes in the rate p."""
    return (k / n - p) ** 2 - z * z * p * (1 - p) / n


def _edge(k, n, z, inside, outside):
    """The rate between two others at which surprise begins, by bisection."""
    for _ in range(60):
        middle = (inside + outside) / 2
        if _surprise(k, n, z, middle) <= 0:
            inside = middle
        else:
            outside = middle
    return inside


def _wilson_oracle(k, n, z=1.96):
    pairs = list(zip(np.ravel(k).tolist(), np.ravel(n).tolist()))
    edges = [[_edge(a, b, z, a / b, end) for a, b in pairs] for end in (0.0, 1.0)]
    return tuple(np.array(edge).reshape(np.shape(k)) for edge in edges)


def _expect_wilson(attempt, case, why=""):
    attempt.expect(case, _wilson_oracle(*case), why)


def _check_wilson_by_hand(attempt):
    case = (np.array([12]), np.array([400]))
    attempt.expect(case, (np.array([0.0172428490]), np.array([0.0516990331])), "12 of 400: from 1.7 % to 5.2 %.")


def _check_wilson_ends(attempt):
    _expect_wilson(attempt, (np.array([0, 20, 0, 1]), np.array([20, 20, 1, 1])), "None of 20, all 20, 0 and 1 of 1.")


def _check_wilson_random(attempt):
    rng = np.random.default_rng(1)
    for size in (4, 7):
        _expect_wilson(attempt, _wilson_case(rng, size))


def _check_wilson_z(attempt):
    rng = np.random.default_rng(2)
    for z in (1.0, 2.5758):
        _expect_wilson(attempt, _wilson_case(rng, 4, z), f"Here z is {z}.")


def _check_wilson_ints(attempt):
    for k, n in ((9, 10), (0, 7), (850, 1000)):
        attempt.expect((k, n), tuple(map(float, _wilson_oracle(k, n))), "Two plain numbers.")


def _check_wilson_shape(attempt):
    k, n = _wilson_case(np.random.default_rng(3), 6)
    _expect_wilson(attempt, (k.reshape(2, 3), n.reshape(2, 3)), "Arrays of shape (2, 3).")


def _wilson_probes():
    k, n = np.array([0, 3, 12, 9, 1, 40]), np.array([20, 7, 400, 10, 1, 50])
    return [(k, n), (k, n, 1.0), (k[:3], n[:3], 2.6)]


def _wilson_with(centre, half, base):
    """An interval from its parts: centre(k, n, z) -+ half(k, n, z), over base(n, z)."""

    def run(k, n, z=1.96):
        middle, width, under = centre(k, n, z), half(k, n, z), base(n, z)
        return (middle - width) / under, (middle + width) / under

    return np.errstate(all="ignore")(run)


def _right_centre(k, n, z):
    return k + z * z / 2


def _right_half(k, n, z):
    return z * np.sqrt(k * (n - k) / n + z * z / 4)


def _right_base(n, z):
    return n + z * z


def _normal_half(k, n, z):
    return z * np.sqrt(k * (n - k) / n)


def _clipped(function):
    def run(*case):
        return tuple(np.clip(edge, 0, 1) for edge in function(*case))

    return run


def _agresti_coull(k, n, z=1.96):
    p = (k + z * z / 2) / (n + z * z)
    half = z * np.sqrt(p * (1 - p) / (n + z * z))
    return p - half, p + half


def _plain(k, n, z):
    return k + 0.0 * z


def _plain_base(n, z):
    return n + 0.0 * z


_NORMAL = _wilson_with(_plain, _normal_half, _plain_base)
_NO_ROOT_N = _wilson_with(_plain, lambda k, n, z: z * np.sqrt(k * (n - k)), _plain_base)
_WILSON_WRONG = {
    "normal_interval": (_NORMAL, _clipped(_NORMAL)),
    "not_divided_by_n": (_NO_ROOT_N, _clipped(_NO_ROOT_N)),
    "added_under_n_only": (_wilson_with(_plain, _normal_half, _right_base),),
    "centre_not_moved": (_wilson_with(_plain, _right_half, _right_base),),
    "divided_by_n": (_wilson_with(_right_centre, _right_half, _plain_base),),
    "quarter_forgotten": (
        _wilson_with(_right_centre, lambda k, n, z: z * np.sqrt(k * (n - k) / n + z * z), _right_base),
        _wilson_with(_right_centre, _normal_half, _right_base),
    ),
    "whole_z_squared_in_the_centre": (_wilson_with(lambda k, n, z: k + z * z, _right_half, _right_base),),
    "z_not_squared": (
        _wilson_with(
            lambda k, n, z: k + z / 2, lambda k, n, z: z * np.sqrt(k * (n - k) / n + z / 4), lambda n, z: n + z
        ),
    ),
    "two_successes_added": (_agresti_coull, _clipped(_agresti_coull)),
    "z_ignored": (lambda k, n, z=1.96: wilson_interval(k, n), lambda k, n, z=1.96: _agresti_coull(k, n)),
    "centre_and_half": (
        lambda k, n, z=1.96: (_right_centre(k, n, z) / _right_base(n, z), _right_half(k, n, z) / _right_base(n, z)),
    ),
    "upper_first": (lambda k, n, z=1.96: wilson_interval(k, n, z)[::-1],),
    "in_percent": (lambda k, n, z=1.96: tuple(100 * edge for edge in wilson_interval(k, n, z)),),
}
_WILSON_HINTS = {
    "normal_interval": "That is the normal interval around k / n: for 0 of 20 it has no width at all. Wilson takes "
    "the error at the *true* rate p.",
    "not_divided_by_n": "Your half width doesn't shrink as n grows. k (n - k) has to be divided by n before the "
    "root, and by n + z*z after it.",
    "added_under_n_only": "You divide by n + z*z, but k and the term under the root lack theirs.",
    "centre_not_moved": "The half width is right. The centre is k + z*z / 2: it is drawn towards one half.",
    "divided_by_n": "Both are right but for what they are divided by: it is n + z*z.",
    "quarter_forgotten": "Look at the term that is added under the root: z*z / 4.",
    "whole_z_squared_in_the_centre": "You add z*z to k. It is z*z / 2: half a success for each failure.",
    "z_not_squared": "You add z, where the formula has z squared.",
    "two_successes_added": "That is the interval of Agresti and Coull: near it, but not inside 0 and 1 for k = 0. "
    "Under Wilson's root stands the seen k, not the moved centre.",
    "z_ignored": "z has no effect.",
    "centre_and_half": "You return the centre and the half width. Asked are the two ends.",
    "upper_first": "Your ends have changed places: low first.",
    "in_percent": "Your ends are per cent. A rate lies between 0 and 1.",
}
_WILSON_MISCONCEPTIONS = misconceptions_of(_WILSON_WRONG, _WILSON_HINTS)


# ab_sample_size


def _size_sample(rng):
    p1, p2 = rng.uniform(0.02, 0.98, 2)
    if abs(p1 - p2) < 0.02:
        p2 = p1 / 2
    rest = [(), (float(rng.uniform(0.01, 0.2)),), (float(rng.uniform(0.01, 0.2)), float(rng.uniform(0.6, 0.95)))]
    return (float(p1), float(p2), *rest[rng.integers(3)])


def _quantile(p):
    """Of the normal distribution, by bisection on the error function."""
    low, high = -9.0, 9.0
    for _ in range(70):
        middle = (low + high) / 2
        low, high = (middle, high) if math.erfc(-middle / math.sqrt(2)) / 2 < p else (low, middle)
    return low


def _size_oracle(p1, p2, alpha=0.05, power=0.8):
    """The smallest n whose test has the power, by search."""

    def enough(n):
        limit = _quantile(1 - alpha / 2) * math.sqrt(2 * (p1 + p2) / 2 * (2 - p1 - p2) / 2 / n)
        error = math.sqrt((p1 - p1 * p1 + p2 - p2 * p2) / n)
        return math.erfc((limit - abs(p1 - p2)) / error / math.sqrt(2)) / 2 >= power

    high = 1
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _expect_size(attempt, case, why=""):
    attempt.expect(case, _size_oracle(*case), why)


def _check_size_by_hand(attempt):
    attempt.expect((0.03, 0.036), 13914, "3.0 % against 3.6 %, 80 % power, 5 % false alarms.")


def _check_size_order(attempt):
    for case in ((0.6, 0.4), (0.036, 0.03), (0.9, 0.5)):
        _expect_size(attempt, case, "A fall is as hard to see as a rise.")


def _check_size_alpha(attempt):
    for case in ((0.1, 0.15, 0.01), (0.1, 0.15, 0.2), (0.5, 0.7, 0.1)):
        _expect_size(attempt, case, f"Here alpha is {case[2]}.")


def _check_size_power(attempt):
    for case in ((0.1, 0.15, 0.05, 0.95), (0.2, 0.15, 0.01, 0.5), (0.3, 0.4, 0.1, 0.6)):
        _expect_size(attempt, case, f"Here the power is {case[3]}.")


def _check_size_random(attempt):
    rng = np.random.default_rng(11)
    for _ in range(6):
        _expect_size(attempt, _size_sample(rng))


def _size_probes():
    return [(0.03, 0.036), (0.3, 0.1, 0.01), (0.5, 0.8, 0.1, 0.95), (0.06, 0.02, 0.04, 0.7)]


def _size_with(
    tail=lambda alpha: 1 - alpha / 2,
    beta=lambda power: power,
    null=lambda p1, p2: math.sqrt(2 * _mean_variance(p1, p2)),
    truth=lambda p1, p2: math.sqrt(p1 * (1 - p1) + p2 * (1 - p2)),
    gap=lambda p1, p2: (p1 - p2) ** 2,
    last=math.ceil,
):
    """The size from its parts."""

    def run(p1, p2, alpha=0.05, power=0.8):
        a, b = NormalDist().inv_cdf(tail(alpha)), NormalDist().inv_cdf(beta(power))
        return last((a * null(p1, p2) + b * truth(p1, p2)) ** 2 / gap(p1, p2))

    return run


def _mean_variance(p1, p2):
    mean = (p1 + p2) / 2
    return mean * (1 - mean)


def _unpooled(p1, p2):
    return math.sqrt(p1 * (1 - p1) + p2 * (1 - p2))


def _no_power(p1, p2, alpha=0.05, power=0.8):
    z = NormalDist().inv_cdf(1 - alpha / 2)
    return math.ceil(z * z * 2 * _mean_variance(p1, p2) / (p1 - p2) ** 2)


_SIZE_WRONG = {
    "one_sided": (_size_with(tail=lambda alpha: 1 - alpha),),
    "power_left_out": (
        _no_power,
        lambda p1, p2, alpha=0.05, power=0.8: _size_with(beta=lambda power: 0.5)(p1, p2, alpha),
    ),
    "beta_for_power": (_size_with(beta=lambda power: 1 - power),),
    "both_arms_together": (
        _size_with(last=lambda n: 2 * math.ceil(n)),
        _size_with(last=lambda n: math.ceil(2 * n)),
    ),
    "gap_not_squared": (_size_with(gap=lambda p1, p2: abs(p1 - p2)),),
    "relative_gap": (_size_with(gap=lambda p1, p2: ((p1 - p2) / p1) ** 2),),
    "rounded_down": (_size_with(last=int), _size_with(last=round)),
    "one_arm_only": (
        _size_with(null=lambda p1, p2: math.sqrt(p1 * (1 - p1)), truth=lambda p1, p2: math.sqrt(p2 * (1 - p2))),
        _size_with(null=lambda p1, p2: math.sqrt(_mean_variance(p1, p2)), truth=lambda p1, p2: _unpooled(p1, p2) / math.sqrt(2)),
    ),
    "variances_not_pooled": (_size_with(null=_unpooled),),
    "pooled_in_both": (_size_with(truth=lambda p1, p2: math.sqrt(2 * _mean_variance(p1, p2))),),
    "alpha_ignored": (_size_with(tail=lambda alpha: 0.975),),
    "power_ignored": (_size_with(beta=lambda power: 0.8),),
}
_SIZE_HINTS = {
    "one_sided": "You look at one side only. A two-sided test has alpha / 2 of its false alarms on each.",
    "power_left_out": "With your n the test finds the difference half the time: the second quantile is missing, "
    "that of the power.",
    "beta_for_power": "The quantile of 1 - power is negative, so more power would need fewer visitors. Use that of "
    "the power.",
    "both_arms_together": "That is the number for both arms. Asked is that of each.",
    "gap_not_squared": "Half the difference needs four times the visitors: the difference stands squared.",
    "relative_gap": "You divide by the relative difference. In the formula stands p1 - p2 itself.",
    "rounded_down": "Rounded down, or to the nearest, the test may fall short of its power. Round up.",
    "one_arm_only": "You count the variance of one arm. The difference of two rates has that of both.",
    "variances_not_pooled": "Under the null hypothesis both arms have one rate, the mean of p1 and p2: its variance, "
    "twice, belongs beside alpha's quantile.",
    "pooled_in_both": "Beside the power's quantile the two rates differ: p1 (1 - p1) + p2 (1 - p2).",
    "alpha_ignored": "alpha has no effect.",
    "power_ignored": "power has no effect.",
}
_SIZE_MISCONCEPTIONS = misconceptions_of(_SIZE_WRONG, _SIZE_HINTS)


# clv


def _clv_sample(rng):
    rest = [(), (0.5,), (float(rng.uniform(0.2, 1)), float(rng.uniform(0, 0.1)))][rng.integers(3)]
    if len(rest) == 2 and rng.random() < 0.6:
        rest = (*rest, int(rng.integers(0, 40)))
    return (float(rng.uniform(1, 90)), float(rng.choice([0.0, rng.uniform(0.01, 0.4)])), *rest)


def _clv_oracle(arpu, churn, margin=1.0, discount=0.0, periods=None):
    """Payment by payment."""
    if churn == 0 and discount == 0 and periods is None:
        return math.inf
    total, alive, worth = 0.0, 1.0, 1.0
    for _ in range(200_000 if periods is None else periods):
        total += margin * arpu * alive * worth
        alive *= 1 - churn
        worth /= 1 + discount
        if alive * worth < 1e-13:
            break
    return total


def _expect_clv(attempt, case, why=""):
    attempt.expect(case, _clv_oracle(*case), why)


def _check_clv_by_hand(attempt):
    attempt.expect((20.0, 0.05, 0.7, 0.01), 235.66666666667, "20 a month, 5 % churn, 70 % margin, 1 % interest.")
    attempt.expect((20.0, 0.05, 0.7), 280.0, "Without interest.")
    attempt.expect((20.0, 0.05), 400.0, "All of it margin, no interest: 20 months.")


def _check_clv_few(attempt):
    for case in ((20.0, 0.5, 1.0, 0.0, 2), (10.0, 0.2, 0.5, 0.1, 3), (10.0, 0.2, 0.5, 0.1, 1), (30.0, 0.1, 1.0, 0.02, 0)):
        _expect_clv(attempt, case, f"{case[4]} payments count.")


def _check_clv_loyal(attempt):
    _expect_clv(attempt, (12.0, 0.0, 0.5, 0.02), "Nobody leaves, but later money is worth less.")
    _expect_clv(attempt, (12.0, 0.0, 0.5, 0.0, 10), "Nobody leaves, no interest, 10 payments.")
    _expect_clv(attempt, (12.0, 0.0), "Nobody leaves, no interest, no end.")
    _expect_clv(attempt, (12.0, 1.0, 0.5, 0.02), "Everybody leaves after the first payment.")


def _check_clv_random(attempt):
    rng = np.random.default_rng(21)
    for _ in range(10):
        _expect_clv(attempt, _clv_sample(rng))


def _clv_probes():
    return [
        (20.0, 0.05, 0.7, 0.01), (20.0, 0.05), (50.0, 0.2, 0.4, 0.03, 6), (8.0, 0.1, 0.9, 0.05, 1),
        (12.0, 0.0, 0.5, 0.0, 10), (30.0, 0.3, 0.8, 0.0, 4), (9.0, 0.1, 0.6, 0.3),
    ]  # fmt: skip


def _clv_with(first=1, shrink=lambda c, d: (1 - c) / (1 + d), pay=lambda arpu, margin: margin * arpu, stop=lambda n: n):
    """Value from its parts; first: 1 if a payment is made at the start of a period, 0 if at its end."""

    def run(arpu, churn, margin=1.0, discount=0.0, periods=None):
        q, one = shrink(churn, discount), pay(arpu, margin)
        start = 1.0 if first else q
        if q == 1:
            return math.inf if periods is None else one * stop(periods)
        return one * start * (1 - (0.0 if periods is None else q ** stop(periods))) / (1 - q)

    return run


def _clv_of_lifetime(months):
    def run(arpu, churn, margin=1.0, discount=0.0, periods=None):
        if churn == 0:
            return math.inf if periods is None else margin * arpu * periods
        return months(arpu, churn, margin, discount, periods)

    return run


def _horizon_cut(arpu, churn, margin, discount, periods):
    return margin * arpu * min(1 / churn, math.inf if periods is None else periods)


_CLV_WRONG = {
    "revenue_not_margin": (_clv_with(pay=lambda arpu, margin: arpu),),
    "not_discounted": (_clv_with(shrink=lambda c, d: 1 - c),),
    "churn_left_out": (_clv_with(shrink=lambda c, d: 1 / (1 + d)),),
    "paid_at_the_end": (_clv_with(first=0),),
    "first_payment_not_discounted_away": (
        lambda arpu, churn, margin=1.0, discount=0.0, periods=None: _clv_with()(arpu, churn, margin, discount, periods)
        / (1 + discount),
    ),
    "one_payment_too_many": (_clv_with(stop=lambda n: n + 1),),
    "one_payment_too_few": (_clv_with(stop=lambda n: n - 1),),
    "periods_ignored": (lambda arpu, churn, margin=1.0, discount=0.0, periods=None: clv(arpu, churn, margin, discount),),
    "rates_subtracted": (_clv_with(shrink=lambda c, d: 1 - c - d),),
    "discount_multiplied": (_clv_with(shrink=lambda c, d: (1 - c) * (1 - d)),),
    "interest_earned": (_clv_with(shrink=lambda c, d: (1 - c) * (1 + d)),),
    "mean_lifetime_only": (
        _clv_of_lifetime(_horizon_cut),
        _clv_of_lifetime(lambda arpu, churn, margin, discount, periods: margin * arpu / churn),
    ),
    "churn_for_staying": (_clv_with(shrink=lambda c, d: c / (1 + d)),),
    "margin_subtracted": (_clv_with(pay=lambda arpu, margin: arpu * (1 - margin)),),
}
_CLV_HINTS = {
    "revenue_not_margin": "You count revenue. Only the margin of it stays.",
    "not_discounted": "discount has no effect: money of next year is worth less today.",
    "churn_left_out": "Your customers stay for ever. After one period a share 1 - churn is left.",
    "paid_at_the_end": "Your first payment has already lost customers. It is paid at the start, in full.",
    "first_payment_not_discounted_away": "Your first payment is discounted by a period. It is made today.",
    "one_payment_too_many": "You count one payment too many.",
    "one_payment_too_few": "You count one payment too few.",
    "periods_ignored": "periods has no effect.",
    "rates_subtracted": "You shrink by 1 - churn - discount. One factor is 1 - churn, the other a division by "
    "1 + discount.",
    "discount_multiplied": "You multiply by 1 - discount. Interest divides by 1 + discount.",
    "interest_earned": "Your later money is worth more. Divide by 1 + discount.",
    "mean_lifetime_only": "You pay for the mean lifetime 1 / churn. Then discount and periods can't act on each "
    "payment: sum up payment by payment.",
    "churn_for_staying": "You keep the share `churn`. That is the share that leaves.",
    "margin_subtracted": "You count the costs. margin is the share that is kept.",
}
_CLV_MISCONCEPTIONS = misconceptions_of(_CLV_WRONG, _CLV_HINTS)


# repeat_rate


def _orders(*rows):
    """(customer, days of its orders) -> arrays customers, days."""
    pairs = [(customer, day) for customer, days in rows for day in days]
    return tuple(np.array(column) for column in zip(*pairs))


def _repeat_case(rng, people=12, window=30, today=120):
    rows = []
    for customer in rng.choice(500, people, replace=False):
        first = int(rng.integers(0, today + 1))
        later = first + np.cumsum(rng.integers(0, 45, rng.integers(0, 4)))
        rows.append((int(customer), [first, *later[later <= today].tolist()]))
    customers, days = _orders(*rows)
    mixed = rng.permutation(len(days))
    return customers[mixed], days[mixed], window, today


def _repeat_sample(rng):
    return _repeat_case(rng, int(rng.integers(1, 14)), int(rng.integers(5, 60)), int(rng.integers(40, 130)))


def _repeat_oracle(customers, days, window, today):
    """With dicts, order by order."""
    orders = {}
    for day, customer in sorted(zip(days.tolist(), customers.tolist())):
        orders.setdefault(customer, []).append(day)
    asked = [own for own in orders.values() if own[0] + window <= today]
    loyal = [own for own in asked if len(own) > 1 and own[1] - own[0] <= window]
    return len(loyal) / len(asked) if asked else math.nan


def _expect_repeat(attempt, case, why=""):
    attempt.expect(case, _repeat_oracle(*case), why)


def _check_repeat_by_hand(attempt):
    orders = _orders((7, range(91)), *((i, [i]) for i in range(10, 19)))
    why = "One customer with 91 orders, nine with one each: one of ten orders again."
    _expect_repeat(attempt, (*orders, 100, 365), why)


def _check_repeat_window(attempt):
    orders = _orders((1, [0, 30]), (2, [0, 31]), (3, [5, 5]), (4, [9, 50, 80]), (5, [2]))
    _expect_repeat(attempt, (*orders, 30, 200), "A second order on day 30 counts, on day 31 it doesn't; on the first day it does.")


def _check_repeat_open(attempt):
    orders = _orders((1, [0, 10]), (2, [70, 75]), (3, [71]), (4, [90]), (5, [40]))
    _expect_repeat(attempt, (*orders, 30, 100), "The window of customers 3 and 4 is still open: they can't be judged.")
    _expect_repeat(attempt, (*orders, 30, 20), "No window is over yet.")


def _check_repeat_random(attempt):
    rng = np.random.default_rng(31)
    for people, window in ((12, 30), (20, 10), (5, 60), (30, 45)):
        _expect_repeat(attempt, _repeat_case(rng, people, window))


def _repeat_probes():
    first = _orders((1, [0, 10, 12, 15]), (2, [0, 40]), (3, [95, 96]), (4, [70]), (5, [3, 33]), (8, [99]), (9, [1, 20, 90]))
    second = _orders((3, range(9)), (1, [2]), (2, [50]), (9, [88, 99]), (4, [10, 60, 75]), (6, [5, 5]), (7, [7, 7]))
    third = _orders((1, [80, 82]), (2, [99]))
    fourth = _orders((1, [0, 10, 60]), (2, [0, 30]), (3, [1, 31]), (9, [2, 32]), (4, [0]), (5, [0]))
    turned = tuple(column[::-1].copy() for column in first)
    return [(*first, 30, 100), (*second, 20, 100), (*third, 30, 100), (*fourth, 30, 90), (*turned, 30, 100)]


def _repeat_with(loyal, asked=lambda own, window, today: own[0] + window <= today, share=None, empty=math.nan):
    """The rate from its parts; both get a customer's days in order, the window and today."""

    def run(customers, days, window, today):
        people = [np.sort(days[customers == c]) for c in np.unique(customers)]
        people = [own for own in people if asked(own, window, today)]
        if not people:
            return empty
        yes = [own for own in people if loyal(own, window)]
        return float(share(yes, people) if share else len(yes) / len(people))

    return run


def _in_window(own, window):
    return len(own) > 1 and own[1] <= own[0] + window


def _everybody(own, window, today):
    return True


def _article_share(customers, days, window, today):
    orders = len(customers)
    return float((orders - len(np.unique(customers))) / orders) if orders else math.nan


def _repeat_orders(yes, people):
    return sum(len(own) - 1 for own in people) / sum(map(len, people))


def _orders_of_the_loyal(yes, people):
    return sum(map(len, yes)) / sum(map(len, people))


def _as_they_come(customers, days, window, today):
    """The first order of the file taken for the first in time."""
    again = []
    for c in np.unique(customers):
        own = days[customers == c]
        if own[0] + window <= today:
            again.append(np.sum(own <= own[0] + window) >= 2)
    return float(np.mean(again)) if again else math.nan


_REPEAT_WRONG = {
    "orders_not_customers": (
        _article_share,
        _repeat_with(_in_window, share=_repeat_orders),
        _repeat_with(_in_window, share=_orders_of_the_loyal),
        _repeat_with(_in_window, _everybody, _orders_of_the_loyal),
    ),
    "loyal_per_order": (_repeat_with(_in_window, share=lambda yes, people: len(yes) / sum(map(len, people))),),
    "open_windows_counted": (_repeat_with(_in_window, _everybody),),
    "at_any_time": (_repeat_with(lambda own, window: len(own) > 1),),
    "at_any_time_and_open": (_repeat_with(lambda own, window: len(own) > 1, _everybody),),
    "last_day_left_out": (
        _repeat_with(lambda own, window: len(own) > 1 and own[1] < own[0] + window),
        _repeat_with(_in_window, lambda own, window, today: own[0] + window < today),
        _repeat_with(
            lambda own, window: len(own) > 1 and own[1] < own[0] + window, lambda own, window, today: own[0] + window < today
        ),
    ),
    "same_day_left_out": (_repeat_with(lambda own, window: np.any((own > own[0]) & (own <= own[0] + window))),),
    "one_order_is_enough": (_repeat_with(lambda own, window: len(own) >= 1),),
    "three_orders_needed": (_repeat_with(lambda own, window: np.sum(own <= own[0] + window) > 2),),
    "gap_to_any_order": (_repeat_with(lambda own, window: len(own) > 1 and np.diff(own).min() <= window),),
    "first_of_the_list": (_as_they_come,),
    "last_days_only": (
        _repeat_with(lambda own, window: len(own) > 1 and own[-1] - own[0] <= window),
    ),
    "zero_for_nobody": (_repeat_with(_in_window, empty=0.0),),
    "one_time_customers": (_repeat_with(lambda own, window: not _in_window(own, window)),),
}
_REPEAT_HINTS = {
    "orders_not_customers": "You count orders. One customer with 91 of them is still one customer: count people, "
    "above and below the line.",
    "loyal_per_order": "You divide customers by orders. Below the line stand customers, too.",
    "open_windows_counted": "You count customers whose window is still open. Whoever came yesterday had no time to "
    "come again.",
    "at_any_time": "An order after the window doesn't count. Otherwise older customers look more loyal.",
    "at_any_time_and_open": "Neither window nor today has an effect.",
    "last_day_left_out": "The last day of the window counts: compare with <=.",
    "same_day_left_out": "A second order on the first day counts.",
    "one_order_is_enough": "Everybody has one order. Again means at least two.",
    "three_orders_needed": "You want three orders within the window. Two are enough.",
    "gap_to_any_order": "You look for any two orders near each other. The window begins with the first.",
    "first_of_the_list": "You take the first order of the list. The orders come in any order: take the earliest day.",
    "last_days_only": "You measure up to the customer's last order. One within the window is enough, whatever comes "
    "later.",
    "zero_for_nobody": "A rate over nobody is unknown, not 0.",
    "one_time_customers": "That is the share of those who did *not* come again.",
}
_REPEAT_MISCONCEPTIONS = misconceptions_of(_REPEAT_WRONG, _REPEAT_HINTS)


# unit_free: the learner's own test, tried on metrics with and without a unit


@dataclass(frozen=True)
class Metric:
    """A metric of a company's figures; `kind` says which."""

    kind: str

    def __call__(self, figures):
        return float(METRICS[self.kind](**figures))

    def __repr__(self) -> str:
        return f"<a metric: {self.kind}>"


FIGURES = ("sales", "market", "spend", "customers", "people", "finds")
MONEY = ["sales", "market", "spend"]
FREE = {
    "share of revenue": lambda sales, market, **_: sales / market,
    "penetration": lambda customers, people, **_: customers / people,
    "margin": lambda sales, spend, **_: (sales + spend) / sales,
    "logarithm of the share": lambda sales, market, **_: 1 + abs(math.log(market) - math.log(sales)),
    "spend of three": lambda sales, market, spend, **_: spend / (sales + market + spend),
    "share and penetration": lambda sales, market, customers, people, **_: sales / market * 1e-12 + customers / people,
    "middle amount": lambda sales, market, spend, **_: sorted((sales, market, spend))[1] / sales,
    "count": lambda customers, **_: customers,
}
TIED = {
    "finds for money": lambda finds, spend, **_: 100 * finds / spend,
    "money for a customer": lambda spend, customers, **_: spend / customers,
    "sum of money and count": lambda sales, customers, **_: sales + customers,
    "difference": lambda sales, market, **_: abs(market - sales),
    "product": lambda sales, market, **_: sales * market,
    "root of finds for money": lambda finds, spend, **_: math.sqrt(finds / spend),
    "tiny": lambda finds, spend, **_: finds / spend / 1e12,
    "hardly": lambda customers, spend, **_: customers + spend * 1e-6,
    "share with a count": lambda sales, market, customers, **_: sales / (market + customers),
}
METRICS = FREE | TIED


def _figures(rng):
    sales = float(rng.integers(20_000, 900_000))
    market = sales * float(rng.uniform(2, 30))
    return dict(zip(FIGURES, (sales, market, float(rng.integers(10_000, 900_000)), *map(int, rng.integers(3, 5000, 3)))))


def _unit_case(rng, kind):
    return Metric(kind), _figures(rng), list(MONEY)


def _unit_sample(rng):
    return _unit_case(rng, str(rng.choice(list(METRICS))))


def _check_unit(kinds, why):
    def check(attempt):
        rng = np.random.default_rng(41)
        for kind in kinds:
            for _ in range(3):
                attempt.expect(_unit_case(rng, kind), kind in FREE, why)

    return check


_check_unit_share = _check_unit(("share of revenue", "penetration", "count"), "This metric has no unit of money.")
_check_unit_tied = _check_unit(
    ("finds for money", "money for a customer", "difference", "product"), "This metric changes with the currency."
)
_check_unit_rounding = _check_unit(
    ("logarithm of the share", "spend of three", "margin", "middle amount", "share and penetration"),
    "This metric has no unit of money; only rounding differs.",
)
_check_unit_small = _check_unit(
    ("tiny", "hardly", "root of finds for money", "share with a count", "sum of money and count"),
    "This metric changes with the currency, if only a little.",
)


def _check_unit_names(attempt):
    rng = np.random.default_rng(42)
    for money in (["market", "sales", "spend"], ["spend", "market", "sales"]):
        for kind in ("share of revenue", "finds for money"):
            attempt.expect((Metric(kind), _figures(rng), money), kind in FREE, "The names of money come in any order.")
    attempt.expect((Metric("share of revenue"), _figures(rng), []), True, "Nothing is money here.")
    attempt.expect((Metric("share of revenue"), _figures(rng), ["sales"]), False, "Here only sales are money.")


def _unit_probes():
    rng = np.random.default_rng(43)
    cases = [_unit_case(rng, kind) for kind in METRICS]
    cases += [_unit_case(rng, "logarithm of the share") for _ in range(4)]
    return [*cases, (Metric("share of revenue"), _figures(rng), ["sales"])]


def _unit_with(
    change=lambda name, value, money: value * 8.37 if name in money else value,
    same=lambda a, b: abs(a - b) <= 1e-9 * abs(b),
):
    """The test from its parts."""

    def run(metric, figures, money):
        other = {name: change(name, value, money) for name, value in figures.items()}
        return bool(same(metric(other), metric(figures)))

    return run


_UNIT_WRONG = {
    "equal_to_the_last_bit": (_unit_with(same=lambda a, b: a == b),),
    "absolute_tolerance": (
        _unit_with(same=lambda a, b: abs(a - b) < 1e-6),
        _unit_with(same=lambda a, b: np.isclose(a, b)),
        _unit_with(same=lambda a, b: abs(a - b) < 1e-3),
        _unit_with(same=lambda a, b: abs(a - b) < 1e-9),
    ),
    "coarse_tolerance": (
        _unit_with(same=lambda a, b: math.isclose(a, b, rel_tol=0.05)),
    ),
    "everything_exchanged": (_unit_with(lambda name, value, money: value * 8.37),),
    "counts_exchanged": (_unit_with(lambda name, value, money: value if name in money else value * 8.37),),
    "first_amount_only": (_unit_with(lambda name, value, money: value * 8.37 if name in money[:1] else value),),
    "added_not_multiplied": (_unit_with(lambda name, value, money: value + 8.37 if name in money else value),),
    "turned_round": (_unit_with(same=lambda a, b: abs(a - b) > 1e-9 * abs(b)),),
    "money_forbidden": (
        lambda metric, figures, money: not money,
        lambda metric, figures, money: False,
    ),
    "order_of_size": (_unit_with(same=lambda a, b: round(math.log10(a)) == round(math.log10(b))),),
}
_UNIT_HINTS = {
    "equal_to_the_last_bit": "You compare with ==. Multiplying by a rate of exchange rounds: allow a tiny relative "
    "difference.",
    "absolute_tolerance": "Your tolerance is absolute: a metric of 0.0000001 may change sevenfold and stay within it. "
    "Compare relative to the size of the result.",
    "coarse_tolerance": "Your tolerance is too wide: a metric with a little money in it slips through.",
    "everything_exchanged": "You multiply counts, too. A new currency doesn't make more customers.",
    "counts_exchanged": "You multiply the counts and leave the money alone.",
    "first_amount_only": "You exchange one amount only. All money is counted in the new currency.",
    "added_not_multiplied": "You add to the amounts. Another currency multiplies them.",
    "turned_round": "Your answer is turned round: True means that nothing changes.",
    "money_forbidden": "You don't look at the metric. A ratio of two amounts of money has no unit.",
    "order_of_size": "You compare the order of size only.",
}
_UNIT_MISCONCEPTIONS = misconceptions_of(_UNIT_WRONG, _UNIT_HINTS)


# kmeans_step


def _step_case(rng, N=8, d=2, k=3):
    return rng.normal(size=(N, d)), rng.normal(size=(k, d))


def _step_sample(rng):
    return _step_case(rng, *(int(n) for n in rng.integers((1, 1, 1), (9, 4, 5))))


def _step_oracle(x, centers):
    """Point by point."""
    labels = []
    for point in x.tolist():
        squares = [sum((a - b) ** 2 for a, b in zip(point, center)) for center in centers.tolist()]
        labels.append(squares.index(min(squares)))
    moved = centers.copy()
    for i in set(labels):
        own = [point for point, label in zip(x.tolist(), labels) if label == i]
        moved[i] = [sum(column) / len(own) for column in zip(*own)]
    return np.array(labels), moved


def _expect_step(attempt, case, why=""):
    attempt.expect(case, _step_oracle(*case), why)


def _check_step_by_hand(attempt):
    x = np.array([[0.0, 0.0], [0.0, 2.0], [5.0, 0.0], [5.0, 4.0]])
    case = (x, np.array([[1.0, 1.0], [4.0, 1.0]]))
    _expect_step(attempt, case, "Two points are on the left, two on the right.")


def _check_step_random(attempt):
    rng = np.random.default_rng(51)
    for N, d, k in ((10, 2, 3), (15, 5, 2), (6, 1, 4), (9, 3, 1)):
        _expect_step(attempt, _step_case(rng, N, d, k))


def _check_step_empty(attempt):
    x, centers = _step_case(np.random.default_rng(52), 6, 2, 3)
    centers[1] = [40.0, -40.0]
    _expect_step(attempt, (x, centers), "Nobody is near center 1: it stays.")


def _check_step_tie(attempt):
    case = (np.array([[0.0], [1.0], [3.0]]), np.array([[2.0], [0.0], [0.0]]))
    _expect_step(attempt, case, "Point 1 is as near to center 0 as to the others; the first is taken.")


def _step_probes():
    rng = np.random.default_rng(53)
    far = _step_case(rng, 7, 2, 3)
    far[1][2] = [-30.0, 30.0]
    wide = rng.normal(size=(40, 5))
    tie = (np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 1.0]]), np.array([[2.0, 0.0], [0.0, 0.0]]))
    return [_step_case(rng, 14, 3, 3), far, (wide, wide[:4].copy()), tie]


def _step_with(
    distance=lambda gap: (gap**2).sum(axis=2),
    choose=lambda squares: squares.argmin(axis=1),
    move=lambda own: own.mean(axis=0),
    empty=lambda center, x: center,
    give=lambda labels, moved: (labels, moved),
):
    """A step from its parts."""

    def run(x, centers):
        labels = choose(distance(x[:, None] - centers))
        rows = [move(x[labels == i]) if np.any(labels == i) else empty(c, x) for i, c in enumerate(centers)]
        return give(labels, np.array(rows, dtype=float))

    return np.errstate(all="ignore")(run)


def _one_at_a_time(x, centers):
    moved, labels = centers.copy(), []
    for point in x:
        i = int(((point - moved) ** 2).sum(axis=1).argmin())
        labels.append(i)
        moved[i] = (moved[i] + point) / 2
    return np.array(labels), moved


def _labels_after(x, centers):
    moved = kmeans_step(x, centers)[1]
    return kmeans_step(x, moved)[0], moved


def _halfway(x, centers):
    labels, moved = kmeans_step(x, centers)
    return labels, (moved + centers) / 2


_KMEANS_WRONG = {
    "centers_not_moved": (lambda x, centers: (kmeans_step(x, centers)[0], centers.copy()),),
    "empty_becomes_nan": (_step_with(empty=lambda center, x: center * np.nan),),
    "empty_becomes_zero": (_step_with(empty=lambda center, x: center * 0),),
    "empty_moves_to_the_mean": (_step_with(empty=lambda center, x: x.mean(axis=0)),),
    "empty_left_out": (
        lambda x, centers: (lambda labels: (labels, np.array([x[labels == i].mean(axis=0) for i in np.unique(labels)])))(
            kmeans_step(x, centers)[0]
        ),
    ),
    "absolute_distance": (_step_with(distance=lambda gap: np.abs(gap).sum(axis=2)),),
    "largest_coordinate": (_step_with(distance=lambda gap: np.abs(gap).max(axis=2)),),
    "signed_distance": (_step_with(distance=lambda gap: gap.sum(axis=2)), _step_with(distance=lambda gap: gap.sum(axis=2) ** 2)),
    "farthest_center": (_step_with(choose=lambda squares: squares.argmax(axis=1)),),
    "last_of_equals": (_step_with(choose=lambda s: s.shape[1] - 1 - s[:, ::-1].argmin(axis=1)),),
    "median_not_mean": (_step_with(move=lambda own: np.median(own, axis=0)),),
    "sum_not_mean": (_step_with(move=lambda own: own.sum(axis=0)),),
    "one_point_at_a_time": (_one_at_a_time,),
    "labels_after_the_move": (_labels_after,),
    "half_the_way": (_halfway,),
    "nearest_point_of_each_center": (
        _step_with(move=lambda own: own[((own - own.mean(axis=0)) ** 2).sum(axis=1).argmin()]),
    ),
    "changed_places": (_step_with(give=lambda labels, moved: (moved, labels)),),
}
_KMEANS_HINTS = {
    "empty_becomes_nan": "The mean of no points is nan, and from then on nobody is near it. Such a center stays.",
    "empty_becomes_zero": "A center without points goes to 0 in your code. It stays where it was.",
    "empty_moves_to_the_mean": "A center without points goes to the mean of all in your code. It stays where it was.",
    "empty_left_out": "A center without points is gone from your result: k must stay k.",
    "absolute_distance": "You add the absolute differences. The mean is the best center for *squared* distances.",
    "largest_coordinate": "You take the largest difference only. All coordinates count, squared and added.",
    "signed_distance": "Your differences cancel before they are squared: square each, then add.",
    "farthest_center": "You choose the farthest center.",
    "last_of_equals": "Of centers that are equally near, the first is asked for.",
    "median_not_mean": "You move to the median. The sum of squares is least at the mean.",
    "sum_not_mean": "You move to the sum of the points. Divide by how many there are.",
    "one_point_at_a_time": "You move a center with each point, so the next point sees other centers. First all "
    "labels, then all means.",
    "labels_after_the_move": "Your centers are right, but your labels belong to the new ones. Return those the means "
    "were made from.",
    "half_the_way": "Your centers go half the way. They go to the mean.",
    "centers_not_moved": "Your labels are right, but no center has moved.",
    "nearest_point_of_each_center": "You move to the point nearest to the mean. It is the mean itself.",
    "changed_places": "Labels first, then the centers.",
}
_KMEANS_MISCONCEPTIONS = misconceptions_of(_KMEANS_WRONG, _KMEANS_HINTS)


EXERCISES = (
    Exercise(
        id="market_and_customers.wilson_interval",
        reference=wilson_interval,
        difficulty=2,
        minutes=8,
        section="What a rate can hide",
        returns=("low end", "high end"),
        hints=(
            "Compute the centre and the half width first, both still without the division.",
            "centre = k + z * z / 2; half = z * np.sqrt(k * (n - k) / n + z * z / 4).",
            "Return (centre - half) / (n + z * z) and (centre + half) / (n + z * z).",
        ),
        checks=(
            Check("12 of 400", _check_wilson_by_hand),
            Check("none and all", _check_wilson_ends),
            Check("random counts against a search", _check_wilson_random),
            Check("other z", _check_wilson_z),
            Check("arrays of another shape", _check_wilson_shape),
            Check("plain numbers", _check_wilson_ints),
        ),
        misconceptions=_WILSON_MISCONCEPTIONS,
        probes=_wilson_probes,
        sample=_wilson_sample,
    ),
    Exercise(
        id="market_and_customers.ab_sample_size",
        reference=ab_sample_size,
        difficulty=3,
        minutes=10,
        section="How many visitors?",
        hints=(
            "NormalDist().inv_cdf(q) is the quantile. You need it at 1 - alpha / 2 and at power.",
            "Under the null hypothesis both arms have the mean rate: math.sqrt(2 * mean * (1 - mean)). In truth: "
            "math.sqrt(p1 * (1 - p1) + p2 * (1 - p2)).",
            "math.ceil((z_alpha * null + z_power * truth) ** 2 / (p1 - p2) ** 2)",
        ),
        checks=(
            Check("3.0 % against 3.6 %", _check_size_by_hand),
            Check("rise and fall", _check_size_order),
            Check("other alpha", _check_size_alpha),
            Check("other power", _check_size_power),
            Check("random rates against a search", _check_size_random),
        ),
        misconceptions=_SIZE_MISCONCEPTIONS,
        probes=_size_probes,
        sample=_size_sample,
    ),
    Exercise(
        id="market_and_customers.clv",
        reference=clv,
        difficulty=2,
        minutes=10,
        section="What a customer is worth",
        hints=(
            "Payment number t (from 0) is worth margin * arpu * q ** t with q = (1 - churn) / (1 + discount).",
            "The sum of q ** t for t below n is (1 - q ** n) / (1 - q); without end 1 / (1 - q).",
            "q is 1 if nobody leaves and there is no interest: then it is margin * arpu * periods, or math.inf.",
        ),
        checks=(
            Check("20 a month", _check_clv_by_hand),
            Check("a few payments", _check_clv_few),
            Check("nobody leaves, everybody leaves", _check_clv_loyal),
            Check("random customers, payment by payment", _check_clv_random),
        ),
        misconceptions=_CLV_MISCONCEPTIONS,
        probes=_clv_probes,
        sample=_clv_sample,
    ),
    Exercise(
        id="market_and_customers.repeat_rate",
        reference=repeat_rate,
        difficulty=3,
        minutes=12,
        section="Customers, not orders",
        hints=(
            "Go through np.unique(customers) and take out each one's days; the earliest is days.min().",
            "Skip a customer if first + window > today. Otherwise: are two or more of the days <= first + window?",
            "Collect True or False in a list; float(np.mean(list)) is the rate, math.nan if the list is empty.",
        ),
        checks=(
            Check("91 orders of one customer", _check_repeat_by_hand),
            Check("the ends of the window", _check_repeat_window),
            Check("open windows", _check_repeat_open),
            Check("random orders", _check_repeat_random),
        ),
        misconceptions=_REPEAT_MISCONCEPTIONS,
        probes=_repeat_probes,
        sample=_repeat_sample,
    ),
    Exercise(
        id="market_and_customers.unit_free",
        reference=unit_free,
        difficulty=2,
        minutes=8,
        section="Per cent of what?",
        hints=(
            "Make a second dict: the same names, all amounts of money times 7, the counts as they are.",
            "{name: 7 * value if name in money else value for name, value in figures.items()}",
            "math.isclose(metric(second), metric(figures), rel_tol=1e-9)",
        ),
        checks=(
            Check("shares and counts", _check_unit_share),
            Check("money in the result", _check_unit_tied),
            Check("rounding", _check_unit_rounding),
            Check("small changes", _check_unit_small),
            Check("what is money", _check_unit_names),
        ),
        misconceptions=_UNIT_MISCONCEPTIONS,
        probes=_unit_probes,
        sample=_unit_sample,
    ),
    Exercise(
        id="market_and_customers.kmeans_step",
        reference=kmeans_step,
        difficulty=2,
        minutes=10,
        section="Groups of customers",
        returns=("labels", "centers"),
        hints=(
            "x[:, None] - centers has the shape (N, k, d). Square it and sum over the last axis.",
            "labels = distances.argmin(axis=1); argmin takes the first of equals.",
            "Start from centers.copy(), and overwrite row i by x[labels == i].mean(axis=0) where there are any.",
        ),
        checks=(
            Check("four points by hand", _check_step_by_hand),
            Check("random points", _check_step_random),
            Check("a center without points", _check_step_empty),
            Check("equal distances", _check_step_tie),
        ),
        misconceptions=_KMEANS_MISCONCEPTIONS,
        probes=_step_probes,
        sample=_step_sample,
    ),
)
