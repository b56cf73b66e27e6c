"""Wrong answers that no misconception describes."""

import math

import numpy as np

from bigmodel_nb.exercises.market_and_customers import (
    ab_sample_size,
    clv,
    kmeans_step,
    repeat_rate,
    unit_free,
    wilson_interval,
)

# wilson_interval


def half_as_wide(k, n, z=1.96):
    low, high = wilson_interval(k, n, z)
    return low + (high - low) / 4, high - (high - low) / 4


def from_zero(k, n, z=1.96):
    return np.zeros(np.shape(k)), wilson_interval(k, n, z)[1]


def three_digits(k, n, z=1.96):
    return tuple(np.round(edge, 2) for edge in wilson_interval(k, n, z))


def as_lists(k, n, z=1.96):
    return tuple(edge.tolist() for edge in wilson_interval(k, n, z))


def of_the_failures(k, n, z=1.96):
    return wilson_interval(n - k, n, z)


# ab_sample_size


def one_more(p1, p2, alpha=0.05, power=0.8):
    return ab_sample_size(p1, p2, alpha, power) + 1


def rule_of_sixteen(p1, p2, alpha=0.05, power=0.8):
    mean = (p1 + p2) / 2
    return math.ceil(16 * mean * (1 - mean) / (p1 - p2) ** 2)


def full_hundreds(p1, p2, alpha=0.05, power=0.8):
    return 100 * math.ceil(ab_sample_size(p1, p2, alpha, power) / 100)


def alpha_and_power_exchanged(p1, p2, alpha=0.05, power=0.8):
    return ab_sample_size(p1, p2, 1 - power, 1 - alpha)


def unrounded(p1, p2, alpha=0.05, power=0.8):
    return float(ab_sample_size(p1, p2, alpha, power))


# clv


def cost_taken_off(arpu, churn, margin=1.0, discount=0.0, periods=None):
    return clv(arpu, churn, margin, discount, periods) - arpu


def in_years(arpu, churn, margin=1.0, discount=0.0, periods=None):
    return clv(arpu, churn, margin, discount, periods) / 12


def rounded_to_ten(arpu, churn, margin=1.0, discount=0.0, periods=None):
    value = clv(arpu, churn, margin, discount, periods)
    return value if math.isinf(value) else 10.0 * round(value / 10)


def first_and_last(arpu, churn, margin=1.0, discount=0.0, periods=None):
    return margin * arpu * (1 + (1 - churn) / (1 + discount))


def churn_doubled(arpu, churn, margin=1.0, discount=0.0, periods=None):
    return clv(arpu, min(1, 2 * churn), margin, discount, periods)


# repeat_rate


def in_percent(customers, days, window, today):
    return 100 * repeat_rate(customers, days, window, today)


def window_doubled(customers, days, window, today):
    return repeat_rate(customers, days, 2 * window, today)


def as_text(customers, days, window, today):
    return f"{repeat_rate(customers, days, window, today):.0%}"


def mean_orders(customers, days, window, today):
    return len(customers) / len(np.unique(customers))


def squared(customers, days, window, today):
    return repeat_rate(customers, days, window, today) ** 2


# unit_free


def as_number(metric, figures, money):
    return 1 if unit_free(metric, figures, money) else 0


def by_a_name(metric, figures, money):
    return "share" in repr(metric)


def below_one(metric, figures, money):
    return metric(figures) < 1


def sum_of_money(metric, figures, money):
    return metric(figures) < sum(figures[name] for name in money)


def same_figures_twice(metric, figures, money):
    return metric(figures) == metric(dict(figures))


# kmeans_step


def centers_first_empty(x, centers):
    labels, moved = kmeans_step(x, centers)
    return labels, moved[::-1].copy()


def labels_from_one(x, centers):
    labels, moved = kmeans_step(x, centers)
    return labels + 1, moved


def one_column(x, centers):
    return kmeans_step(x[:, :1], centers[:, :1])[0], kmeans_step(x, centers)[1]


def two_steps(x, centers):
    return kmeans_step(x, kmeans_step(x, centers)[1])


def distances_back(x, centers):
    return ((x[:, None] - centers) ** 2).sum(axis=2), kmeans_step(x, centers)[1]


OUTSIDE = {
    "market_and_customers.wilson_interval": [half_as_wide, from_zero, three_digits, as_lists, of_the_failures],
    "market_and_customers.ab_sample_size": [one_more, rule_of_sixteen, full_hundreds, alpha_and_power_exchanged, unrounded],
    "market_and_customers.clv": [cost_taken_off, in_years, rounded_to_ten, first_and_last, churn_doubled],
    "market_and_customers.repeat_rate": [in_percent, window_doubled, as_text, mean_orders, squared],
    "market_and_customers.unit_free": [as_number, by_a_name, below_one, sum_of_money, same_figures_twice],
    "market_and_customers.kmeans_step": [centers_first_empty, labels_from_one, one_column, two_steps, distances_back],
}
