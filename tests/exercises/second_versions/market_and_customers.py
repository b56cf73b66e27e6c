"""Each misconception once more, in another style and with other names."""

import math
from collections import defaultdict
from statistics import NormalDist

import numpy as np


# wilson_interval: from the rate p and the quadratic equation


def ends(middle, reach):
    """Ends at middle(p, n, z) -+ reach(p, n, z), for the seen rate p."""

    def interval(hits, total, z=1.96):
        p = np.true_divide(hits, total)
        m, r = middle(p, total, z), reach(p, total, z)
        return m - r, m + r

    return np.errstate(all="ignore")(interval)


def usual_reach(p, n, z):
    return z * np.sqrt(p * (1 - p) / n)


def full_reach(p, n, z):
    return z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))


def full_middle(p, n, z):
    return (p + z**2 / (2 * n)) / (1 + z**2 / n)


def plus_four(hits, total, z=1.96):
    more = total + z**2
    share = (hits + 0.5 * z**2) / more
    return share - z * (share * (1 - share) / more) ** 0.5, share + z * (share * (1 - share) / more) ** 0.5


WILSON = {
    "normal_interval": [ends(lambda p, n, z: p, usual_reach)],
    "not_divided_by_n": [ends(lambda p, n, z: p, lambda p, n, z: z * np.sqrt(p * (1 - p)))],
    "added_under_n_only": [
        ends(lambda p, n, z: p / (1 + z**2 / n), lambda p, n, z: usual_reach(p, n, z) / (1 + z**2 / n))
    ],
    "centre_not_moved": [ends(lambda p, n, z: p / (1 + z**2 / n), full_reach)],
    "divided_by_n": [
        ends(lambda p, n, z: p + z**2 / (2 * n), lambda p, n, z: z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)))
    ],
    "quarter_forgotten": [
        ends(full_middle, lambda p, n, z: z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + (z / n) ** 2))
    ],
    "whole_z_squared_in_the_centre": [ends(lambda p, n, z: (p + z**2 / n) / (1 + z**2 / n), full_reach)],
    "z_not_squared": [
        ends(
            lambda p, n, z: (p + z / (2 * n)) / (1 + z / n),
            lambda p, n, z: z / (1 + z / n) * np.sqrt(p * (1 - p) / n + z / (4 * n**2)),
        )
    ],
    "two_successes_added": [plus_four],
    "z_ignored": [ends(lambda p, n, z: full_middle(p, n, 1.96), lambda p, n, z: full_reach(p, n, 1.96))],
    "centre_and_half": [
        lambda hits, total, z=1.96: (full_middle(hits / total, total, z), full_reach(hits / total, total, z))
    ],
    "upper_first": [ends(full_middle, lambda p, n, z: -full_reach(p, n, z))],
    "in_percent": [
        ends(lambda p, n, z: 100 * full_middle(p, n, z), lambda p, n, z: 100 * full_reach(p, n, z))
    ],
}


# ab_sample_size: one sum of two terms, divided once


def normal(q):
    return NormalDist(0, 1).inv_cdf(q)


def pooled(a, b):
    return ((a + b) * (1 - (a + b) / 2)) ** 0.5


def separate(a, b):
    return (a - a**2 + b - b**2) ** 0.5


def size(first, second, under=lambda a, b: abs(a - b), final=math.ceil):
    """n from the two terms first(a, b, alpha) and second(a, b, power)."""

    def needed(a, b, alpha=0.05, power=0.8):
        return final(((first(a, b, alpha) + second(a, b, power)) / under(a, b)) ** 2)

    return needed


def right_first(a, b, alpha):
    return -normal(alpha / 2) * pooled(a, b)


def right_second(a, b, power):
    return normal(power) * separate(a, b)


SIZE = {
    "one_sided": [size(lambda a, b, alpha: -normal(alpha) * pooled(a, b), right_second)],
    "power_left_out": [size(right_first, lambda a, b, power: 0)],
    "beta_for_power": [size(right_first, lambda a, b, power: -right_second(a, b, power))],
    "both_arms_together": [size(right_first, right_second, final=lambda n: math.ceil(n) + math.ceil(n))],
    "gap_not_squared": [size(right_first, right_second, lambda a, b: abs(a - b) ** 0.5)],
    "relative_gap": [size(right_first, right_second, lambda a, b: abs(b / a - 1))],
    "rounded_down": [size(right_first, right_second, final=math.floor)],
    "one_arm_only": [
        size(
            lambda a, b, alpha: right_first(a, b, alpha) / math.sqrt(2),
            lambda a, b, power: right_second(a, b, power) / math.sqrt(2),
        )
    ],
    "variances_not_pooled": [size(lambda a, b, alpha: -normal(alpha / 2) * separate(a, b), right_second)],
    "pooled_in_both": [size(right_first, lambda a, b, power: normal(power) * pooled(a, b))],
    "alpha_ignored": [size(lambda a, b, alpha: right_first(a, b, 0.05), right_second)],
    "power_ignored": [size(right_first, lambda a, b, power: right_second(a, b, 0.8))],
}


# clv: payment by payment


def paid(step, worth=lambda revenue, margin: revenue * margin, early=0, count=lambda n: n, scale=lambda d: 1.0):
    """A sum of payments; step(churn, discount) is the factor from one to the next."""

    def value(revenue, leave, margin=1.0, interest=0.0, payments=None):
        factor, total = step(leave, interest), 0.0
        if factor == 1 and payments is None:
            return float("inf")
        last = 20_000 if payments is None else count(payments)
        if last < 0:
            return value(revenue, leave, margin, interest, 0) - worth(revenue, margin) / factor
        term = worth(revenue, margin) * factor**early * scale(interest)
        for _ in range(last):
            total += term
            term *= factor
        return total

    return value


def usual_step(leave, interest):
    return (1 - leave) / (1 + interest)


def lifetime(revenue, leave, margin=1.0, interest=0.0, payments=None):
    if not leave:
        return math.inf if payments is None else revenue * margin * payments
    time = 1 / leave if payments is None else min(payments, 1 / leave)
    return revenue * time * margin


CLV = {
    "revenue_not_margin": [paid(usual_step, worth=lambda revenue, margin: revenue)],
    "not_discounted": [paid(lambda leave, interest: 1 - leave)],
    "churn_left_out": [paid(lambda leave, interest: 1 / (1 + interest))],
    "paid_at_the_end": [paid(usual_step, early=1)],
    "first_payment_not_discounted_away": [paid(usual_step, scale=lambda interest: 1 / (1 + interest))],
    "one_payment_too_many": [paid(usual_step, count=lambda n: n + 1)],
    "one_payment_too_few": [paid(usual_step, count=lambda n: n - 1)],
    "periods_ignored": [
        lambda revenue, leave, margin=1.0, interest=0.0, payments=None: paid(usual_step)(revenue, leave, margin, interest)
    ],
    "rates_subtracted": [paid(lambda leave, interest: 1 - (leave + interest))],
    "discount_multiplied": [paid(lambda leave, interest: (1 - leave) * (1 - interest))],
    "interest_earned": [
        lambda revenue, leave, margin=1.0, interest=0.0, payments=None: revenue * margin
        * (
            (1 - ((1 - leave) * (1 + interest)) ** payments if payments is not None else 1)
            / (1 - (1 - leave) * (1 + interest))
            if (1 - leave) * (1 + interest) != 1
            else (math.inf if payments is None else payments)
        )
    ],
    "mean_lifetime_only": [lifetime],
    "churn_for_staying": [paid(lambda leave, interest: leave / (1 + interest))],
    "margin_subtracted": [paid(usual_step, worth=lambda revenue, margin: revenue - revenue * margin)],
}


# repeat_rate: a dict of lists


def visits(customers, days):
    table = defaultdict(list)
    for who, when in zip(customers.tolist(), days.tolist()):
        table[who].append(when)
    return table


def counted(good, ready=lambda own, window, today: today - min(own) >= window, none=float("nan")):
    """Share of customers with good(sorted days, window) among those who are ready."""

    def share(customers, days, window, today):
        people = [own for own in visits(customers, days).values() if ready(own, window, today)]
        if len(people) == 0:
            return none
        return sum(bool(good(sorted(own), window)) for own in people) / len(people)

    return share


def early_second(own, window):
    return any(day - own[0] <= window for day in own[1:])


def repeat_orders(customers, days, window, today):
    return 1 - len(set(customers.tolist())) / len(customers)


def loyal_over_orders(customers, days, window, today):
    people = [sorted(own) for own in visits(customers, days).values() if min(own) + window <= today]
    orders = sum(len(own) for own in people)
    return sum(early_second(own, window) for own in people) / orders if orders else math.nan


def first_line(customers, days, window, today):
    table, asked, good = visits(customers, days), 0, 0
    for own in table.values():
        if own[0] + window > today:
            continue
        asked += 1
        good += len([day for day in own if day - own[0] <= window]) > 1
    return good / asked if asked else math.nan


def everyone(own, window, today):
    return True


REPEAT = {
    "orders_not_customers": [repeat_orders],
    "loyal_per_order": [loyal_over_orders],
    "open_windows_counted": [counted(early_second, everyone)],
    "at_any_time": [counted(lambda own, window: own[1:])],
    "at_any_time_and_open": [counted(lambda own, window: own[1:], everyone)],
    "last_day_left_out": [counted(lambda own, window: any(day - own[0] < window for day in own[1:]))],
    "same_day_left_out": [counted(lambda own, window: any(0 < day - own[0] <= window for day in own))],
    "one_order_is_enough": [counted(lambda own, window: True)],
    "three_orders_needed": [counted(lambda own, window: sum(day - own[0] <= window for day in own) >= 3)],
    "gap_to_any_order": [counted(lambda own, window: any(b - a <= window for a, b in zip(own, own[1:])))],
    "first_of_the_list": [first_line],
    "last_days_only": [counted(lambda own, window: len(own) != 1 and max(own) <= min(own) + window)],
    "zero_for_nobody": [counted(early_second, none=0.0)],
    "one_time_customers": [counted(lambda own, window: not early_second(own, window))],
}


# unit_free: written with copies and ratios


def asked(exchange, verdict=lambda ratio, a, b: 1 - 1e-8 < ratio < 1 + 1e-8):
    """A test that changes a copy by exchange(copy, money) and judges the ratio of the results."""

    def pure(metric, figures, money):
        copy = dict(figures)
        exchange(copy, list(money))
        a, b = metric(copy), metric(figures)
        return bool(verdict(a / b, a, b))

    return pure


def by_rate(names=lambda copy, money: money, rate=0.13):
    def exchange(copy, money):
        for name in names(copy, money):
            copy[name] = copy[name] * rate

    return exchange


def shifted(copy, money):
    for name in money:
        copy[name] += 100.0


UNIT = {
    "equal_to_the_last_bit": [asked(by_rate(rate=8.37), lambda ratio, a, b: not a != b)],
    "absolute_tolerance": [asked(by_rate(), lambda ratio, a, b: math.isclose(a, b, rel_tol=0, abs_tol=1e-6))],
    "coarse_tolerance": [asked(by_rate(rate=6.0), lambda ratio, a, b: 0.95 < ratio < 1.05)],
    "everything_exchanged": [asked(by_rate(lambda copy, money: list(copy)))],
    "counts_exchanged": [asked(by_rate(lambda copy, money: [name for name in copy if name not in money]))],
    "first_amount_only": [asked(by_rate(lambda copy, money: money[:1]))],
    "added_not_multiplied": [asked(shifted)],
    "turned_round": [asked(by_rate(), lambda ratio, a, b: abs(ratio - 1) > 1e-8)],
    "money_forbidden": [lambda metric, figures, money: len(money) == 0],
    "order_of_size": [asked(by_rate(rate=8.37), lambda ratio, a, b: math.floor(math.log10(a) + 0.5) == math.floor(math.log10(b) + 0.5))],
}


# kmeans_step: point by point


def stepped(
    length=lambda gap: float(np.dot(gap, gap)), nearest=min, tie=0, mean=lambda rows: sum(rows) / len(rows),
    lonely=lambda center, x: center, finish=lambda labels, moved, x, centers: (labels, moved),
):  # fmt: skip
    def step(x, centers):
        labels = []
        for point in x:
            far = [length(point - center) for center in centers]
            hits = [i for i, value in enumerate(far) if value == nearest(far)]
            labels.append(hits[tie])
        labels = np.array(labels)
        moved = np.empty_like(centers)
        for i, center in enumerate(centers):
            rows = [x[j] for j in range(len(x)) if labels[j] == i]
            moved[i] = mean(rows) if rows else lonely(center, x)
        return finish(labels, moved, x, centers)

    return step


def online(x, centers):
    new, out = [list(center) for center in centers], []
    for point in x:
        far = [math.dist(point, center) for center in new]
        i = far.index(min(far))
        out.append(i)
        new[i] = [(a + b) / 2 for a, b in zip(new[i], point)]
    return np.array(out), np.array(new)


def nearest_row(rows):
    middle = np.mean(rows, axis=0)
    return min(rows, key=lambda row: float(((row - middle) ** 2).sum()))


STEP = {
    "empty_becomes_nan": [stepped(lonely=lambda center, x: np.full_like(center, np.nan))],
    "empty_becomes_zero": [stepped(lonely=lambda center, x: np.zeros_like(center))],
    "empty_moves_to_the_mean": [stepped(lonely=lambda center, x: np.average(x, axis=0))],
    "empty_left_out": [stepped(finish=lambda labels, moved, x, centers: (labels, moved[sorted(set(labels.tolist()))]))],
    "absolute_distance": [stepped(lambda gap: sum(abs(value) for value in gap.tolist()))],
    "largest_coordinate": [stepped(lambda gap: max(abs(value) for value in gap.tolist()))],
    "signed_distance": [stepped(lambda gap: abs(sum(gap.tolist())))],
    "farthest_center": [stepped(nearest=max)],
    "last_of_equals": [stepped(tie=-1)],
    "median_not_mean": [stepped(mean=lambda rows: np.percentile(rows, 50, axis=0))],
    "sum_not_mean": [stepped(mean=sum)],
    "one_point_at_a_time": [online],
    "labels_after_the_move": [stepped(finish=lambda labels, moved, x, centers: (stepped()(x, moved)[0], moved))],
    "half_the_way": [stepped(finish=lambda labels, moved, x, centers: (labels, centers + 0.5 * (moved - centers)))],
    "centers_not_moved": [stepped(finish=lambda labels, moved, x, centers: (labels, np.array(centers)))],
    "nearest_point_of_each_center": [stepped(mean=nearest_row)],
    "changed_places": [stepped(finish=lambda labels, moved, x, centers: (moved, labels))],
}


VERSIONS = {
    "market_and_customers.wilson_interval": WILSON,
    "market_and_customers.ab_sample_size": SIZE,
    "market_and_customers.clv": CLV,
    "market_and_customers.repeat_rate": REPEAT,
    "market_and_customers.unit_free": UNIT,
    "market_and_customers.kmeans_step": STEP,
}
