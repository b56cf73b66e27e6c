"""Each misconception once more, in another style and with other names."""

import math
from itertools import accumulate

import numpy as np

# forecast_is_consistent: with arrays, one vector of gaps a relation


def gaps(case):
    """How far each relation is off, year by year."""
    sales = np.asarray(case["subscription"], float)
    paid = 12 * case["price"] * np.asarray(case["subscribers"], float) - sales
    grown = sales[:-1] * (1 + np.asarray(case["growth"], float)) - sales[1:]
    earned = sales + np.asarray(case["other"], float) - np.asarray(case["cost"], float) - np.asarray(case["profit"], float)
    return paid, grown, earned


def largest(*parts):
    return np.abs(np.concatenate(parts)).max() if sum(map(len, parts)) else 0.0


def contradicts(case):
    return bool(largest(*gaps(case)) > 1)


def year_one(case):
    paid, _, earned = gaps(case)
    return bool(largest(paid[:1], earned[:1]) <= 1)


def final_year(case):
    return bool(largest(*(part[-1:] for part in gaps(case))) <= 1)


def without_the_last(case):
    return bool(largest(*(part[:-1] for part in gaps(case))) <= 1)


def totals(case):
    paid, _, earned = gaps(case)
    return bool(abs(paid.sum()) <= 1 and abs(earned.sum()) <= 1)


def totals_and_growth(case):
    return bool(totals(case) and largest(gaps(case)[1]) <= 1)


def earned_only(case):
    return bool(largest(gaps(case)[2]) <= 1)


def paid_and_earned(case):
    paid, _, earned = gaps(case)
    return bool(largest(paid, earned) <= 1)


def paid_and_grown(case):
    return bool(largest(*gaps(case)[:2]) <= 1)


def grown_and_earned(case):
    return bool(largest(*gaps(case)[1:]) <= 1)


def rate_within(limit):
    def test(case):
        sales = np.asarray(case["subscription"], float)
        rates = sales[1:] / sales[:-1] - 1
        return paid_and_earned(case) and bool((np.abs(rates - case["growth"]) <= limit).all())

    return test


def percent_printed(case):
    sales = case["subscription"]
    for before, after, stated in zip(sales, sales[1:], case["growth"]):
        if f"{round(after / before - 1, 2):.2f}" != f"{round(stated, 2):.2f}":
            return False
    return paid_and_earned(case)


def to_the_cent(case):
    return bool(largest(*gaps(case)) < 0.01)


def within_a_hundredth(case):
    sales, profit = np.asarray(case["subscription"], float), np.asarray(case["profit"], float)
    paid, grown, earned = gaps(case)
    return bool((np.abs(paid) <= 0.01 * sales).all() and (np.abs(grown) <= 0.01 * sales[1:]).all() and (np.abs(earned) <= 0.01 * np.abs(profit)).all())


def not_too_high(case):
    return bool(max(part.max() for part in gaps(case)) <= 1)


def not_too_low(case):
    return bool(min(part.min() for part in gaps(case)) >= -1)


def subscriptions_alone(case):
    paid, grown, earned = gaps(case)
    return bool(largest(paid, grown, earned - np.asarray(case["other"], float)) <= 1)


def something_fits(case):
    return bool(np.abs(np.concatenate(gaps(case))).min() <= 1)


# break_even: by divmod


def refuse(price, unit_cost, limit=0):
    if price - unit_cost <= limit:
        raise ValueError("no margin")


def covered(fixed, price, unit_cost, settle, check=refuse, margin=None):
    check(price, unit_cost)
    whole, rest = divmod(fixed, price - unit_cost if margin is None else margin)
    return settle(whole, rest)


def up(whole, rest):
    return whole + (rest != 0)


def down(fixed, price, unit_cost):
    return covered(fixed, price, unit_cost, lambda whole, rest: whole)


def nearest(fixed, price, unit_cost):
    refuse(price, unit_cost)
    return int(np.rint(fixed / (price - unit_cost)))


def a_fraction(fixed, price, unit_cost):
    return covered(fixed, price, unit_cost, lambda whole, rest: whole + rest / (price - unit_cost))


def plus_one(fixed, price, unit_cost):
    return covered(fixed, price, unit_cost, lambda whole, rest: whole + 1)


def price_alone(fixed, price, unit_cost):
    return covered(fixed, price, unit_cost, up, margin=price)


def price_alone_unchecked(fixed, price, unit_cost):
    return math.ceil(fixed / price)


def both_added(fixed, price, unit_cost):
    return covered(fixed, price, unit_cost, up, margin=price + unit_cost)


def never_refuses(fixed, price, unit_cost):
    return covered(fixed, price, unit_cost, up, check=lambda p, v: None) if price != unit_cost else fixed // 0


def only_equal_refused(fixed, price, unit_cost):
    if price == unit_cost:
        raise ValueError("nothing left")
    return math.ceil(fixed / (price - unit_cost))


def only_loss_refused(fixed, price, unit_cost):
    return covered(fixed, price, unit_cost, up, check=lambda p, v: refuse(p, v, -1))


def endless(fixed, price, unit_cost):
    return covered(fixed, price, unit_cost, up) if price > unit_cost else float("inf")


def nothing(fixed, price, unit_cost):
    return 0 if unit_cost >= price else covered(fixed, price, unit_cost, up)


def none_at_all(fixed, price, unit_cost):
    if price > unit_cost:
        return covered(fixed, price, unit_cost, up)


def asserted(fixed, price, unit_cost):
    assert price > unit_cost
    return covered(fixed, price, unit_cost, up)


def no_cost_first(fixed, price, unit_cost):
    if fixed == 0:
        return 0
    return covered(fixed, price, unit_cost, up)


def turnover(fixed, price, unit_cost):
    return price * covered(fixed, price, unit_cost, up)


# cohort_revenue: with an array of ages


def ages(new):
    months = np.arange(len(new))
    return months[None, :] - months[:, None]


def paid(new, price, share, start=True):
    """price * new * share(age) from each cohort's first month on."""
    age = ages(new)
    with np.errstate(all="ignore"):
        table = price * np.asarray(new, float)[:, None] * share(age)
    return np.where(age >= 0, table, 0.0) if start else table


def loyal(new, price, churn):
    return paid(new, price, lambda age: np.ones(age.shape))


def gone_at_once(new, price, churn):
    return paid(new, price, lambda age: (1.0 - churn) ** (age + 1))


def straight(new, price, churn):
    return paid(new, price, lambda age: 1 - churn * age)


def straight_to_zero(new, price, churn):
    return paid(new, price, lambda age: np.clip(1 - churn * age, 0, None))


def since_the_beginning(new, price, churn):
    return paid(new, price, lambda age: np.broadcast_to((1.0 - churn) ** np.arange(len(new)), age.shape))


def leavers(new, price, churn):
    return paid(new, price, lambda age: churn ** np.maximum(age, 0))


def always_there(new, price, churn):
    return paid(new, price, lambda age: (1.0 - churn) ** age.astype(float), start=False)


def heads(new, price, churn):
    return paid(new, 1.0, lambda age: (1.0 - churn) ** age.astype(float))


def so_far(new, price, churn):
    return np.array([list(accumulate(row)) for row in price * heads(new, price, churn)])


def on_its_side(new, price, churn):
    return np.moveaxis(price * heads(new, price, churn), 0, 1)


def monthly(new, price, churn):
    return price * np.einsum("ct->t", heads(new, price, churn))


def from_column_zero(new, price, churn):
    return np.outer(new, price * (1.0 - churn) ** np.arange(len(new)))


# walk_forward: growing a list of what is known


def errors_of(series, guess, start, known, first=None, stop=None, judge=np.subtract):
    found = []
    for now in range(start if first is None else first, len(series) if stop is None else stop):
        found.append(float(judge(series[now], guess(known(np.array(series), now)))))
    return np.array(found)


def up_to_now(series, now):
    return np.delete(series, np.arange(now, len(series)))


def today_too(series, guess, start):
    return errors_of(series, guess, start, lambda s, now: np.take(s, range(now + 1)))


def tomorrow_too(series, guess, start):
    return errors_of(series, guess, start, lambda s, now: s)


def once(series, guess, start):
    return errors_of(series, guess, start, lambda s, now: up_to_now(s, start))


def short_memory(series, guess, start):
    return errors_of(series, guess, start, lambda s, now: up_to_now(s, now)[-start:])


def yesterday_missing(series, guess, start):
    return errors_of(series, guess, start, lambda s, now: up_to_now(s, now - 1))


def stops_early(series, guess, start):
    return errors_of(series, guess, start, up_to_now, stop=len(series) - 1)


def later(series, guess, start):
    return errors_of(series, guess, start, up_to_now, first=start + 1)


def earlier(series, guess, start):
    return errors_of(series, guess, start, up_to_now, first=start - 1)


def mirrored(series, guess, start):
    return -errors_of(series, guess, start, up_to_now)


def sizes(series, guess, start):
    return np.abs(errors_of(series, guess, start, up_to_now))


def squares(series, guess, start):
    return errors_of(series, guess, start, up_to_now) ** 2


def one_number(series, guess, start):
    return float(errors_of(series, guess, start, up_to_now).mean())


def mean_size(series, guess, start):
    return float(sizes(series, guess, start).mean())


def the_guesses(series, guess, start):
    return np.array(series[start:]) - errors_of(series, guess, start, up_to_now)


# monte_carlo_profit: inputs one by one, with einsum


def drawn(normals, centre, width, together, gain, mix=None, place=None, count=None, doubt=None):
    lower = np.linalg.cholesky(together)
    mixed = np.einsum("nj,ij->ni", normals, lower) if mix is None else mix(normals, together, lower)
    inputs = np.stack([(centre[i] + width[i] * mixed[:, i]) if place is None else place(centre[i], width[i], mixed[:, i]) for i in range(len(centre))], axis=1)
    gains, size = gain(inputs), len(normals)
    part = (np.count_nonzero(np.less(gains, 0)) if count is None else count(gains)) / size
    sd = np.sqrt(part * (1 - part) / size) if doubt is None else doubt(part, gains)
    return gains, float(part), float(sd)


def lonely(*case):
    return drawn(*case, mix=lambda z, c, lower: z)


def wrong_side(*case):
    return drawn(*case, mix=lambda z, c, lower: np.einsum("nj,ji->ni", z, lower))


def by_the_matrix(*case):
    return drawn(*case, mix=lambda z, c, lower: np.einsum("nj,ji->ni", z, c))


def by_eigenvectors(*case):
    def mix(z, c, lower):
        values, vectors = np.linalg.eigh(c)
        return z @ (vectors @ np.diag(np.sqrt(values)) @ vectors.T)

    return drawn(*case, mix=mix)


def unit_width(*case):
    return drawn(*case, place=lambda centre, width, z: centre + z)


def squared_width(*case):
    return drawn(*case, place=lambda centre, width, z: centre + width * width * z)


def relative_width(*case):
    return drawn(*case, place=lambda centre, width, z: centre + centre * width * z)


def winners(*case):
    return drawn(*case, count=lambda gains: np.count_nonzero(gains > 0))


def not_losers(*case):
    return drawn(*case, count=lambda gains: np.count_nonzero(~(gains < 0)))


def zero_is_bad(*case):
    return drawn(*case, count=lambda gains: np.count_nonzero(~(gains > 0)))


def how_many(*case):
    gains, part, sd = drawn(*case)
    return gains, part * len(gains), sd * len(gains)


def how_many_with_the_error_of_the_share(*case):
    gains, part, sd = drawn(*case)
    return gains, float((gains < 0).sum()), sd


def variance(*case):
    return drawn(*case, doubt=lambda part, gains: (part - part**2) / len(gains))


def of_one(*case):
    return drawn(*case, doubt=lambda part, gains: np.std(gains < 0))


def of_the_sample(*case):
    return drawn(*case, doubt=lambda part, gains: np.sqrt(part * (1 - part) / (len(gains) - 1)))


def of_the_mean(*case):
    return drawn(*case, doubt=lambda part, gains: np.sqrt(gains.var() / len(gains)))


def of_the_mean_by_sample(*case):
    return drawn(*case, doubt=lambda part, gains: np.sqrt(gains.var(ddof=1) / len(gains)))


VERSIONS = {
    "business_case.forecast_is_consistent": {
        "answer_turned_round": [contradicts],
        "first_year_only": [year_one],
        "last_year_only": [final_year],
        "last_year_left_out": [without_the_last],
        "sums_only": [totals, totals_and_growth],
        "profit_only": [earned_only],
        "growth_not_checked": [paid_and_earned],
        "profit_not_checked": [paid_and_grown],
        "subscribers_not_checked": [grown_and_earned],
        "rates_compared": [rate_within(1), rate_within(0.01), percent_printed],
        "exact": [to_the_cent],
        "too_coarse": [within_a_hundredth],
        "no_absolute_value": [not_too_high, not_too_low],
        "other_income_left_out": [subscriptions_alone],
        "one_fit_is_enough": [something_fits],
    },
    "business_case.break_even": {
        "rounded_down": [down],
        "rounded_to_the_nearest": [nearest],
        "not_rounded": [a_fraction],
        "always_one_more": [plus_one],
        "variable_cost_forgotten": [price_alone, price_alone_unchecked],
        "variable_cost_added": [both_added],
        "loss_not_noticed": [never_refuses, only_equal_refused],
        "nothing_earned_not_noticed": [only_loss_refused],
        "no_error": [endless, nothing, none_at_all, asserted, no_cost_first],
        "revenue_not_units": [turnover],
    },
    "business_case.cohort_revenue": {
        "no_churn": [loyal],
        "churn_in_the_first_month": [gone_at_once],
        "same_number_each_month": [straight, straight_to_zero],
        "age_counted_from_month_0": [since_the_beginning],
        "churn_for_those_who_stay": [leavers],
        "paid_before_they_came": [always_there],
        "customers_not_money": [heads],
        "summed_up_over_time": [so_far],
        "transposed": [on_its_side],
        "cohorts_added": [monthly],
        "by_age_not_by_month": [from_column_zero],
    },
    "business_case.walk_forward": {
        "present_known": [today_too],
        "everything_known": [tomorrow_too],
        "learned_once": [once],
        "window_of_fixed_length": [short_memory],
        "one_step_late": [yesterday_missing],
        "last_number_left_out": [stops_early],
        "begins_too_late": [later],
        "begins_too_early": [earlier],
        "sign_turned_round": [mirrored],
        "absolute": [sizes],
        "squared": [squares],
        "mean_returned": [one_number, mean_size],
        "forecasts_returned": [the_guesses],
    },
    "business_case.monte_carlo_profit": {
        "not_correlated": [lonely],
        "factor_not_transposed": [wrong_side],
        "correlation_itself": [by_the_matrix],
        "symmetric_root": [by_eigenvectors],
        "spread_forgotten": [unit_width],
        "variance_for_spread": [squared_width],
        "spread_of_the_mean": [relative_width],
        "gains_counted": [winners, not_losers],
        "zero_counted_as_loss": [zero_is_bad],
        "number_of_losses": [how_many, how_many_with_the_error_of_the_share],
        "root_forgotten": [variance],
        "error_of_one_draw": [of_one],
        "one_draw_less": [of_the_sample],
        "error_of_the_mean_profit": [of_the_mean, of_the_mean_by_sample],
    },
}
