"""Exercises of lesson 23."""

from __future__ import annotations

import math

import numpy as np

from .engine.model import Check, Exercise, Failed, case_check, misconceptions_of


def forecast_is_consistent(plan):
    """Whether the lines of a forecast follow from each other; differences of up to 1 are rounding -> bool.

    plan: a dict with price (a month) and, each a list with one number a year, subscribers (on average), subscription
    (income), other (all other income), cost and profit; growth of the subscription income has one number fewer:
    growth[0] leads from the first year to the second, 0.5 is plus a half. Checked are three things:
    subscription is what the subscribers pay, it grows as growth says, and profit is all income minus cost.
    """
    price, subscribers, growth = plan["price"], plan["subscribers"], plan["growth"]
    income, other, cost, profit = plan["subscription"], plan["other"], plan["cost"], plan["profit"]
    for t in range(len(income)):
        if abs(12 * price * subscribers[t] - income[t]) > 1:
            return False
        if abs(income[t] + other[t] - cost[t] - profit[t]) > 1:
            return False
        if t > 0 and abs(income[t - 1] * (1 + growth[t - 1]) - income[t]) > 1:
            return False
    return True


def break_even(fixed, price, variable):
    """The fewest units whose sale covers all costs.

    fixed: cost that doesn't depend on the units; price and variable: what a unit brings and what it costs.
    All are ints in one unit of money, fixed at least 0 -> int. ValueError where a unit brings no more than it costs.
    """
    margin = price - variable
    if margin <= 0:
        raise ValueError(f"a unit brings {price} and costs {variable}: more of them never cover {fixed}")
    return -(-fixed // margin)


def cohort_revenue(new, price, churn):
    """What each month's new customers pay, month by month.

    new (T,): how many come in each month; price: what a customer pays in each month, the first one included, in full
    churn: share that leaves from one month to the next -> float array (T, T): row c is the cohort of month c, column t month t
    """
    table = np.zeros((len(new), len(new)))
    for c in range(len(new)):
        for t in range(c, len(new)):
            table[c, t] = price * new[c] * (1 - churn) ** (t - c)
    return table


def walk_forward(series, forecast, start):
    """Errors of a method that forecasts the next number from all numbers before it, and from nothing else.

    series (T,): float array; forecast: a function of a float array, the past -> a forecast of the number after it
    start: the first that is forecast, 1 <= start < T -> float array (T - start,): what came minus what was forecast
    """
    return np.array([series[t] - forecast(series[:t]) for t in range(start, len(series))])


def monte_carlo_profit(z, mean, spread, correlation, profit):
    """Profits for inputs that vary together, the share p of those below 0, and its standard error sqrt(p (1 - p) / N).

    z (N, k): independent standard normal numbers, mixed by the lower Cholesky factor of correlation (k, k); mean, spread (k,):
    mean and standard deviation of each input; profit: a function, inputs (N, k) -> profits (N,)
    """
    lower = np.linalg.cholesky(correlation)
    profits = profit(mean + spread * (z @ lower.T))
    loss = float(np.mean(profits < 0))
    return profits, loss, math.sqrt(loss * (1 - loss) / len(z))


# forecast_is_consistent


def _plan(seed, years=3, **changes):
    """A plan without a contradiction; then lines of it are changed: name -> {year: by how much}."""
    rng = np.random.default_rng(seed)
    growth = [float(g) / 8 for g in rng.integers(-2, 7, years - 1)]
    price, subscribers = int(rng.integers(5, 40)), [int(rng.integers(1, 9)) * 512.0]
    for g in growth:
        subscribers.append(subscribers[-1] * (1 + g))
    plan = {"price": price, "subscribers": subscribers, "subscription": [12 * price * n for n in subscribers], "growth": growth}
    plan["other"] = [int(n) * 100 for n in rng.integers(50, 2000, years)]
    plan["cost"] = [int(n) * 100 for n in rng.integers(500, 4000, years)]
    plan["profit"] = [a + b - c for a, b, c in zip(plan["subscription"], plan["other"], plan["cost"])]
    for name, steps in changes.items():
        for year, step in steps.items():
            plan[name][year] += step
    return plan


def _subscribers(seed, money, year=0, years=3):
    """A plan whose subscribers of one year bring `money` more than the income says."""
    return _plan(seed, years, subscribers={year: money / 12 / _plan(seed, years)["price"]})


def _growth(seed, money, year=1, years=3):
    """A plan whose growth leads to `money` more than the income of a year."""
    return _plan(seed, years, growth={year - 1: money / _plan(seed, years)["subscription"][year - 1]})


def _profit(seed, money, year=0, years=3):
    return _plan(seed, years, profit={year: money})


_MISFIT = (_subscribers, _growth, _profit)


def _plan_sample(rng):
    years = int(rng.integers(2, 6))
    seed, money = int(rng.integers(1000)), float(rng.choice([-40000, -300, -1.6, -0.4, 0.0, 0.3, 1.7, 500, 9000]))
    kind = _MISFIT[rng.integers(3)]
    return (kind(seed, money, int(rng.integers(1 if kind is _growth else 0, years)), years),)


def _moved(seed, first, second, name="profit"):
    """Two years change against each other, so that the sum stays."""
    return _plan(seed, 3, **{name: {first: 7000, second: -7000}})


def _plan_oracle(plan):
    """All relations as one array."""
    income = np.array(plan["subscription"])
    gaps = [12 * plan["price"] * np.array(plan["subscribers"]) - income, np.array(plan["growth"]) * income[:-1] - np.diff(income)]
    gaps.append(income + plan["other"] - np.array(plan["cost"]) - plan["profit"])
    return bool(np.abs(np.concatenate(gaps)).max() <= 1)


def _on_plans(*plans):
    return [(plan,) for plan in plans]


def _plan_probes():
    years = [kind(31 + year, sign * 900.0, year) for kind in (_subscribers, _profit) for year in range(3) for sign in (1, -1)]
    years += [_growth(41 + year, sign * 800.0, year) for year in (1, 2) for sign in (1, -1)]
    small = [kind(51, money, 1) for kind in _MISFIT for money in (0.5, -0.5, 1.6, -1.6)]
    all_wrong = _plan(61, 3, profit={0: 4000, 1: 800, 2: 900})
    no_other = _plan(62)
    no_other["profit"] = [a - b for a, b in zip(no_other["subscription"], no_other["cost"])]
    nothing_fits = _plan(64, 3, subscription={0: 5000, 1: -3000, 2: 9000})
    rates = [_plan(65, 3, growth={0: step}) for step in (2.0, 0.0995, -0.007)]
    return _on_plans(_plan(30), _plan(29, 5), *years, *small, _moved(63, 0, 2), all_wrong, no_other, nothing_fits, *rates)


def _relations(plan):
    """Left and right side of each relation: of the subscribers, of growth, of profit."""
    income = plan["subscription"]
    yield from (("subscribers", t, 12 * plan["price"] * n, income[t]) for t, n in enumerate(plan["subscribers"]))
    yield from (("growth", t + 1, income[t] * (1 + g), income[t + 1]) for t, g in enumerate(plan["growth"]))
    for t, (a, b, c, d) in enumerate(zip(income, plan["other"], plan["cost"], plan["profit"])):
        yield "profit", t, a + b - c, d


def _judge(keep=lambda kind, t, n: True, fits=lambda left, right: abs(left - right) <= 1, join=all):
    """A judge of plans who looks at some relations only, or badly."""

    def wrong(plan):
        years = len(plan["cost"])
        return bool(join([fits(left, right) for kind, t, left, right in _relations(plan) if keep(kind, t, years)]))

    return wrong


def _without(kind):
    return _judge(lambda it, t, n: it != kind)


def _sums_only(plan):
    sums = {name: sum(plan[name]) for name in ("subscribers", "subscription", "other", "cost", "profit")}
    same = abs(12 * plan["price"] * sums["subscribers"] - sums["subscription"]) <= 1
    return same and abs(sums["subscription"] + sums["other"] - sums["cost"] - sums["profit"]) <= 1


def _changed_plan(change):
    """The right test on a plan that was misread."""
    return lambda plan: forecast_is_consistent(change(plan))


def _within(limit):
    return lambda rate, stated: abs(rate - stated) <= limit


def _same_percent(rate, stated):
    return round(rate, 2) == round(stated, 2)


def _rates(fits):
    """The growth is looked at as a rate, with a tolerance that is none of money."""

    def wrong(plan):
        income = plan["subscription"]
        return _without("growth")(plan) and all(fits(b / a - 1, g) for a, b, g in zip(income, income[1:], plan["growth"]))

    return wrong


_PLAN_WRONG = {
    "answer_turned_round": (lambda plan: not forecast_is_consistent(plan),),
    "first_year_only": (_judge(lambda kind, t, n: t == 0),),
    "last_year_only": (_judge(lambda kind, t, n: t == n - 1),),
    "last_year_left_out": (_judge(lambda kind, t, n: t < n - 1),),
    "sums_only": (_sums_only, lambda plan: _sums_only(plan) and _judge(lambda kind, t, n: kind == "growth")(plan)),
    "profit_only": (_judge(lambda kind, t, n: kind == "profit"),),
    "growth_not_checked": (_without("growth"),),
    "profit_not_checked": (_without("profit"),),
    "subscribers_not_checked": (_without("subscribers"),),
    "rates_compared": tuple(_rates(fits) for fits in (_within(1), _within(0.01), _within(0.001), _same_percent)),
    "exact": (_judge(fits=lambda left, right: left == right), _judge(fits=lambda left, right: abs(left - right) <= 1e-3)),
    "too_coarse": (_judge(fits=lambda left, right: abs(left - right) <= 0.01 * abs(right)),),
    "no_absolute_value": (_judge(fits=lambda left, right: left - right <= 1), _judge(fits=lambda left, right: right - left <= 1)),
    "other_income_left_out": (_changed_plan(lambda plan: {**plan, "other": [0] * len(plan["cost"])}),),
    "one_fit_is_enough": (_judge(join=any),),
}
_PLAN_HINTS = {
    "answer_turned_round": "You say True where a contradiction is. Wanted: True where there is none.",
    "first_year_only": "You look at the first year only. Each year may contradict.",
    "last_year_only": "You look at the last year only. Each year may contradict.",
    "last_year_left_out": "You stop before the last year. How far does your loop go?",
    "sums_only": "You compare sums over the years. Two errors may cancel there: compare year by year.",
    "profit_only": "You check the profit only. Two other lines have to follow, too.",
    "growth_not_checked": "The growth is not checked: does each year's subscription income follow from the year before?",
    "profit_not_checked": "The profit is not checked: all income minus cost.",
    "subscribers_not_checked": "Whether the subscribers pay the subscription income is not checked: 12 months, each at the price.",
    "rates_compared": "You compare rates of growth. The 1 of rounding is money: compare the income with what growth makes of the "
    "year before.",
    "exact": "You allow (almost) no difference. Printed amounts are rounded: up to 1 is fine.",
    "too_coarse": "You allow a share of the amount. Only a difference of up to 1 is rounding.",
    "no_absolute_value": "A difference in one direction escapes you: compare its absolute value.",
    "other_income_left_out": "Your profit leaves the other income out.",
    "one_fit_is_enough": "You are content with one line that fits. All have to.",
}


# break_even


def _broken_even(work, fixed, price, variable):
    """The result, or "ValueError" where that is what the work should say and says."""
    try:
        units = work(fixed, price, variable)
    except ValueError:
        if price > variable:
            raise
        return "ValueError"
    except AssertionError as error:
        raise Failed("An AssertionError was raised. Expected: ValueError.") from error
    if price <= variable:
        raise Failed(f"Nothing was raised; your function returned {units!r}. Expected: ValueError.")
    return units


def _even_oracle(fixed, price, variable):
    """By counting up, with large steps first."""
    if price <= variable:
        return "ValueError"
    units = 0
    for step in (10**6, 10**3, 1):
        while (units + step) * (price - variable) < fixed:
            units += step
    return units + (units * (price - variable) < fixed)


def _even_sample(rng):
    price = int(rng.integers(1, 400))
    return int(rng.integers(0, 200_000)), price, int(rng.integers(0, price + 40))


def _even_probes():
    return [(100_000, 240, 0), (100_000, 240, 72), (600, 50, 30), (601, 50, 30), (500, 30, 30), (500, 20, 30), (10, 90, 13), (0, 5, 2), (0, 5, 9)]


def _even_with(margin=lambda price, variable: price - variable, units=lambda fixed, margin: -(-fixed // margin), error=lambda m: m <= 0):
    def wrong(fixed, price, variable):
        left = margin(price, variable)
        if error(price - variable):
            raise ValueError(left)
        return units(fixed, left)

    return wrong


def _never(margin):
    return False


_EVEN_WRONG = {
    "rounded_down": (_even_with(units=lambda fixed, m: fixed // m),),
    "rounded_to_the_nearest": (_even_with(units=lambda fixed, m: round(fixed / m)),),
    "not_rounded": (_even_with(units=lambda fixed, m: fixed / m),),
    "always_one_more": (_even_with(units=lambda fixed, m: fixed // m + 1),),
    "variable_cost_forgotten": (_even_with(margin=lambda p, v: p), _even_with(margin=lambda p, v: p, error=_never)),
    "variable_cost_added": (_even_with(margin=lambda p, v: p + v), _even_with(margin=lambda p, v: p + v, error=_never)),
    "loss_not_noticed": (_even_with(error=_never), _even_with(error=lambda m: m == 0)),
    "nothing_earned_not_noticed": (_even_with(error=lambda m: m < 0),),
    "no_error": (
        lambda fixed, price, variable: _even_oracle(fixed, price, variable) if price > variable else math.inf,
        lambda fixed, price, variable: break_even(fixed, price, variable) if fixed else 0,
    ),
    "revenue_not_units": (_even_with(units=lambda fixed, m: -(-fixed // m) * m), lambda fixed, price, variable: break_even(fixed, price, variable) * price),
}
_EVEN_HINTS = {
    "rounded_down": "With that many units a little of the fixed cost is left. Round up.",
    "rounded_to_the_nearest": "To the nearest may be too few by one: round up.",
    "not_rounded": "Nobody sells a fraction of a unit. Round up to an int.",
    "always_one_more": "Where the fixed cost is covered exactly, you count one unit too many.",
    "variable_cost_forgotten": "Each unit costs something as well. What is left of the price?",
    "variable_cost_added": "The cost of a unit lessens what it brings: price - variable.",
    "loss_not_noticed": "Each unit loses money, and you name a number of units. Raise a ValueError.",
    "nothing_earned_not_noticed": "Where price and cost of a unit are equal you divide by 0. That is the error case, too.",
    "no_error": "Where a unit brings no more than it costs, raise ValueError, whatever `fixed` is: a number, or None, could be used "
    "by mistake.",
    "revenue_not_units": "That is money. Asked are units.",
}


# cohort_revenue


def _cohort_oracle(new, price, churn):
    """Month by month: who is left pays."""
    T = len(new)
    left, table = np.zeros(T), np.zeros((T, T))
    for t in range(T):
        left = left - churn * left
        left[t] = new[t]
        table[:, t] = price * left
    return table


def _cohort_sample(rng):
    return rng.integers(1, 90, int(rng.integers(2, 7))), float(rng.integers(5, 60)), float(rng.uniform(0.02, 0.6))


def _cohort_random(seed):
    return _cohort_sample(np.random.default_rng(seed))


def _cohort_probes():
    return [(np.array([100, 50, 20, 70]), 20.0, 0.1), (np.array([7, 0, 9]), 3.0, 0.45), (np.array([10, 10, 10, 10, 40]), 2.0, 0.3)]


def _cohorts(value, before=False, last=lambda table: table):
    """A table of value(new, price, churn, age, month), zeros before the start unless `before`."""

    def wrong(new, price, churn):
        months = range(len(new))
        table = [[value(new[c], price, churn, t - c, t) if before or t >= c else 0.0 for t in months] for c in months]
        return last(np.array(table, dtype=float))

    return wrong


def _stays(n, price, churn, age, month):
    return price * n * (1 - churn) ** age


_COHORT_WRONG = {
    "no_churn": (_cohorts(lambda n, p, x, age, t: p * n),),
    "churn_in_the_first_month": (_cohorts(lambda n, p, x, age, t: p * n * (1 - x) ** (age + 1)),),
    "same_number_each_month": (
        _cohorts(lambda n, p, x, age, t: p * n * (1 - x * age)),
        _cohorts(lambda n, p, x, age, t: p * n * max(0.0, 1 - x * age)),
    ),
    "age_counted_from_month_0": (_cohorts(lambda n, p, x, age, t: p * n * (1 - x) ** t),),
    "churn_for_those_who_stay": (_cohorts(lambda n, p, x, age, t: p * n * x**age),),
    "paid_before_they_came": (_cohorts(_stays, before=True), _cohorts(lambda n, p, x, age, t: _stays(n, p, x, abs(age), t), before=True)),
    "customers_not_money": (_cohorts(lambda n, p, x, age, t: n * (1 - x) ** age),),
    "summed_up_over_time": (_cohorts(_stays, last=lambda table: table.cumsum(axis=1)),),
    "transposed": (_cohorts(_stays, last=lambda table: table.T),),
    "cohorts_added": (_cohorts(_stays, last=lambda table: table.sum(axis=0)),),
    "by_age_not_by_month": (
        _cohorts(lambda n, p, x, age, t: p * n * (1 - x) ** t, before=True),
        _cohorts(_stays, last=lambda table: np.array([np.roll(row, -c) for c, row in enumerate(table)])),
    ),
}
_COHORT_HINTS = {
    "no_churn": "Nobody ever leaves. From one month to the next a share of churn does.",
    "churn_in_the_first_month": "Your customers are fewer in their first month already. There they are all there: how old is the cohort then?",
    "same_number_each_month": "You lose the same number each month. It is a share of those who are still there.",
    "age_counted_from_month_0": "A cohort shrinks from the month in which it came, not from month 0.",
    "churn_for_those_who_stay": "churn is the share that leaves. Who stays?",
    "paid_before_they_came": "Left of the diagonal somebody pays before the cohort has come.",
    "customers_not_money": "Those are customers. What do they pay?",
    "summed_up_over_time": "You add up what was paid so far. Column t is month t alone.",
    "transposed": "Rows and columns have changed places: a row is a cohort.",
    "cohorts_added": "You add the cohorts. Keep a row for each; the sum over rows is for later.",
    "by_age_not_by_month": "Your columns are ages. Column t is the calendar month t, so row c begins at the diagonal.",
}


# walk_forward


def _last(past):
    return past[-1]


def _drift(past):
    return past[-1] + (past[-1] - past[0]) / max(1, len(past) - 1)


def _average(past):
    return float(np.mean(past))


def _weighted(past):
    """Later numbers weigh more; the length matters, too."""
    weights = np.arange(1, len(past) + 1) ** 2
    return float(weights @ past / weights.sum() + 0.1 * len(past))


_METHODS = (_last, _drift, _average, _weighted)


def _walk_case(seed, T=9, start=3, method=3):
    return (np.random.default_rng(seed).normal(0, 3, T).cumsum() + 40, _METHODS[method], start)


def _walk_sample(rng):
    T = int(rng.integers(4, 12))
    return _walk_case(int(rng.integers(1000)), T, int(rng.integers(1, T)), int(rng.integers(4)))


def _walk_oracle(series, forecast, start):
    """From the end, on a past that can't reach the present."""
    numbers, errors = list(map(float, series)), []
    while len(numbers) > start:
        came = numbers.pop()
        errors.append(came - forecast(np.array(numbers)))
    return np.array(errors[::-1])


def _walk_probes():
    return [_walk_case(5, 9, 3), _walk_case(6, 8, 2, 1), _walk_case(7, 10, 4, 2), _walk_case(8, 7, 5, 0)]


def _walk_with(past, first=0, last=0, error=lambda came, guess: came - guess, result=np.array):
    def wrong(series, forecast, start):
        places = range(start + first, len(series) + last)
        return result([error(series[t], forecast(past(series, t, start))) for t in places])

    return wrong


def _before(series, t, start):
    return series[:t]


_WALK_WRONG = {
    "present_known": (_walk_with(lambda series, t, start: series[: t + 1]),),
    "everything_known": (_walk_with(lambda series, t, start: series),),
    "learned_once": (_walk_with(lambda series, t, start: series[:start]),),
    "window_of_fixed_length": (_walk_with(lambda series, t, start: series[t - start : t]),),
    "one_step_late": (_walk_with(lambda series, t, start: series[: t - 1]),),
    "last_number_left_out": (_walk_with(_before, last=-1),),
    "begins_too_late": (_walk_with(_before, first=1),),
    "begins_too_early": (_walk_with(_before, first=-1),),
    "sign_turned_round": (_walk_with(_before, error=lambda came, guess: guess - came),),
    "absolute": (_walk_with(_before, error=lambda came, guess: abs(came - guess)),),
    "squared": (_walk_with(_before, error=lambda came, guess: (came - guess) ** 2),),
    "mean_returned": (_walk_with(_before, result=lambda errors: float(np.mean(errors))), _walk_with(_before, error=lambda a, b: abs(a - b), result=lambda errors: float(np.mean(errors)))),
    "forecasts_returned": (_walk_with(_before, error=lambda came, guess: guess),),
}
_WALK_HINTS = {
    "present_known": "The number that you forecast is among those that you hand over: series[:t] ends before t.",
    "everything_known": "You hand over the whole series, the future with it.",
    "learned_once": "You forecast every number from the first `start` numbers. In month t everything before t is known.",
    "window_of_fixed_length": "You forget the oldest numbers. All numbers before t count.",
    "one_step_late": "The newest known number is missing: series[:t] holds all before t.",
    "last_number_left_out": "The last number is never forecast. How far does your loop go?",
    "begins_too_late": "Number `start` itself is the first that is forecast.",
    "begins_too_early": "You begin before `start`.",
    "sign_turned_round": "Your signs are turned round: what came minus what was forecast.",
    "absolute": "Keep the sign: whether a method is always too low is worth knowing.",
    "squared": "Return the errors, not their squares.",
    "mean_returned": "Return every error, an array. The mean is for later.",
    "forecasts_returned": "Those are the forecasts. Asked are the errors.",
}


# monte_carlo_profit


def _margin(x):
    return x[:, 0] * x[:, 1] - x[:, 2]


def _sum(x):
    return x.sum(axis=1) - 1.0


def _whole(x):
    """Often exactly 0."""
    return np.floor(x[:, 0]) + np.floor(x[:, -1])


def _correlation(k, rng):
    factors = rng.normal(size=(k, k + 1))
    covariance = factors @ factors.T
    sd = np.sqrt(np.diag(covariance))
    return covariance / np.outer(sd, sd)


def _draws(seed, N=40, k=3, profit=_margin):
    rng = np.random.default_rng(seed)
    mean, spread = rng.uniform(0.1, 1.5, k), rng.uniform(0.3, 1.6, k)
    return rng.normal(size=(N, k)), mean, spread, _correlation(k, rng), profit


def _draws_sample(rng):
    return _draws(int(rng.integers(1000)), int(rng.integers(20, 60)), int(rng.integers(3, 5)), (_margin, _sum, _whole)[rng.integers(3)])


def _cholesky(matrix):
    """The lower factor, entry by entry."""
    k = len(matrix)
    lower = [[0.0] * k for _ in range(k)]
    for i in range(k):
        for j in range(i + 1):
            rest = matrix[i][j] - sum(lower[i][m] * lower[j][m] for m in range(j))
            lower[i][j] = math.sqrt(rest) if i == j else rest / lower[j][j]
    return lower


def _draws_oracle(z, mean, spread, correlation, profit):
    k, lower = len(mean), _cholesky(correlation.tolist())
    rows = [[mean[i] + spread[i] * sum(lower[i][j] * row[j] for j in range(i + 1)) for i in range(k)] for row in z.tolist()]
    profits = profit(np.array(rows))
    losses = sum(value < 0 for value in profits.tolist())
    return profits, losses / len(rows), math.sqrt(losses * (len(rows) - losses) / len(rows)) / len(rows)


def _check_made_correlation(attempt):
    """Draws whose own correlation is exactly none: the inputs then have the wanted one exactly."""
    rng = np.random.default_rng(3)
    z = np.linalg.qr(rng.normal(size=(50, 4)) - rng.normal(size=4))[0]
    z -= z.mean(axis=0)
    z = np.linalg.qr(z)[0] * math.sqrt(50)  # columns with mean 0 and variance 1 that are orthogonal
    case = (z, np.full(4, 2.0), np.array([1.0, 2.0, 0.5, 3.0]), _correlation(4, rng), _sum)
    attempt.expect(case, _draws_oracle(*case), "Four inputs, their draws exactly uncorrelated.")


def _draws_probes():
    return [_draws(71), _draws(72, 50, 4, _sum), _draws(73, 30, 3, _whole), _draws(74, 44, 3, _sum)]


def _simulated(mix=lambda z, correlation: z @ np.linalg.cholesky(correlation).T, inputs=lambda z, mean, spread: mean + spread * z,
               share=lambda profits: float(np.mean(profits < 0)), error=lambda loss, profits: math.sqrt(loss * (1 - loss) / len(profits))):
    def wrong(z, mean, spread, correlation, profit):
        profits = profit(inputs(mix(z, correlation), mean, spread))
        loss = share(profits)
        return profits, loss, error(loss, profits)

    return wrong


def _root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(values) @ vectors.T


_DRAWS_WRONG = {
    "not_correlated": (_simulated(mix=lambda z, c: z),),
    "factor_not_transposed": (_simulated(mix=lambda z, c: z @ np.linalg.cholesky(c)),),
    "correlation_itself": (_simulated(mix=lambda z, c: z @ c),),
    "symmetric_root": (_simulated(mix=lambda z, c: z @ _root(c)),),
    "spread_forgotten": (_simulated(inputs=lambda z, mean, spread: mean + z),),
    "variance_for_spread": (_simulated(inputs=lambda z, mean, spread: mean + spread**2 * z),),
    "spread_of_the_mean": (_simulated(inputs=lambda z, mean, spread: mean * (1 + spread * z)),),
    "gains_counted": (_simulated(share=lambda profits: float(np.mean(profits > 0))), _simulated(share=lambda profits: float(np.mean(profits >= 0)))),
    "zero_counted_as_loss": (_simulated(share=lambda profits: float(np.mean(profits <= 0))),),
    "number_of_losses": (_simulated(share=lambda profits: float(np.sum(profits < 0)), error=lambda loss, p: math.sqrt(loss * (1 - loss / len(p)))),
                         _simulated(share=lambda profits: float(np.sum(profits < 0)), error=lambda loss, p: math.sqrt(loss / len(p) * (1 - loss / len(p)) / len(p)))),
    "root_forgotten": (_simulated(error=lambda loss, profits: loss * (1 - loss) / len(profits)),),
    "error_of_one_draw": (_simulated(error=lambda loss, profits: math.sqrt(loss * (1 - loss))),),
    "one_draw_less": (_simulated(error=lambda loss, profits: float(np.std(profits < 0, ddof=1) / math.sqrt(len(profits)))),),
    "error_of_the_mean_profit": (_simulated(error=lambda loss, profits: float(np.std(profits) / math.sqrt(len(profits)))),
                                 _simulated(error=lambda loss, profits: float(np.std(profits, ddof=1) / math.sqrt(len(profits))))),
}
_DRAWS_HINTS = {
    "not_correlated": "Your inputs are independent. Mix the columns of z with the lower Cholesky factor of the correlation.",
    "factor_not_transposed": "A row of z is one draw, so the factor L stands on the right, transposed: z @ L.T. Try it with k = 2.",
    "correlation_itself": "You mix with the correlation matrix. Its factor L, with L @ L.T equal to it, is what you need.",
    "symmetric_root": "Your root of the matrix is a right one, with another sample. Asked is the lower Cholesky factor.",
    "spread_forgotten": "Every input has a standard deviation of 1. Multiply by spread.",
    "variance_for_spread": "spread is a standard deviation already: don't square it.",
    "spread_of_the_mean": "You take spread as a share of the mean. It is a standard deviation in the input's own unit.",
    "gains_counted": "You count the gains.",
    "zero_counted_as_loss": "A profit of exactly 0 is no loss.",
    "number_of_losses": "That is how many losses there are. Asked is their share.",
    "root_forgotten": "That is the variance of the share. Take the root.",
    "error_of_one_draw": "Your error doesn't shrink with more draws: divide by N under the root.",
    "one_draw_less": "You divide by N - 1 (ddof=1). Asked is the root of p (1 - p) / N.",
    "error_of_the_mean_profit": "That is the standard error of the mean profit. Asked is that of the share: each draw is a loss or not.",
}


EXERCISES = (
    Exercise(
        id="business_case.forecast_is_consistent",
        reference=forecast_is_consistent,
        difficulty=2,
        minutes=12,
        section="Three years that don't add up",
        hints=(
            "Three relations, each for every year. Leave with False at the first that doesn't hold.",
            "12 * price * subscribers[t] against subscription[t]; subscription[t - 1] * (1 + growth[t - 1]) against "
            "subscription[t], from the second year on.",
            "The third is subscription[t] + other[t] - cost[t] against profit[t]. Compare abs(left - right) with 1.",
        ),
        checks=(
            Check("no contradiction", case_check(_on_plans(_plan(1), _plan(2, 5), _plan(3, 2)), _plan_oracle, "Every line of this plan follows.")),
            Check("rounding", case_check(_on_plans(*(kind(4, m, 1) for kind in _MISFIT for m in (0.6, -0.7))), _plan_oracle, "A difference below 1 is rounding.")),
            Check("subscribers", case_check(_on_plans(*(_subscribers(5 + y, m, y) for y in range(3) for m in (700, -1.8))), _plan_oracle,
                                            "The subscribers pay another sum.")),
            Check("growth", case_check(_on_plans(*(_growth(8 + y, m, y, 4) for y in (1, 2, 3) for m in (-1.9, 650))), _plan_oracle,
                                       "The income doesn't grow like that.")),
            Check("profit", case_check(_on_plans(*(_profit(12 + y, m, y) for y in range(3) for m in (1.7, -30_000)), _moved(15, 0, 1)), _plan_oracle,
                                       "The profit doesn't follow.")),
            Check("random plans", case_check([_plan_sample(np.random.default_rng(s)) for s in range(20, 40)], _plan_oracle)),
        ),
        misconceptions=misconceptions_of(_PLAN_WRONG, _PLAN_HINTS),
        probes=_plan_probes,
        sample=_plan_sample,
    ),
    Exercise(
        id="business_case.break_even",
        reference=break_even,
        difficulty=1,
        minutes=6,
        section="How many customers does it take?",
        hints=(
            "What does one unit leave over? How many of these cover the fixed cost?",
            "Round up: for ints, -(-a // b) does it without leaving the whole numbers.",
            "Before dividing: if price - variable is 0 or less, raise ValueError(...).",
        ),
        checks=(
            Check("the article's case", case_check([(100_000, 240, 0), (100_000, 240, 72)], _even_oracle, "100,000 a year, 240 a subscriber.")),
            Check("exactly covered", case_check([(600, 50, 30), (601, 50, 30), (599, 50, 30), (0, 9, 4)], _even_oracle)),
            Check("no way", case_check([(500, 20, 30), (500, 30, 30), (0, 4, 4)], _even_oracle, "A unit brings no more than it costs: ValueError.")),
            Check("random cases", case_check([_even_sample(np.random.default_rng(s)) for s in range(25)], _even_oracle)),
            Check("large amounts", case_check([(10**17 + 1, 10, 0)], lambda *case: 10**16 + 1, "Whole numbers stay exact.")),
        ),
        misconceptions=misconceptions_of(_EVEN_WRONG, _EVEN_HINTS),
        probes=_even_probes,
        sample=_even_sample,
        drive=_broken_even,
    ),
    Exercise(
        id="business_case.cohort_revenue",
        reference=cohort_revenue,
        difficulty=2,
        minutes=10,
        section="Customers come and go",
        hints=(
            "In month t the cohort of month c has the age t - c. Before month c it isn't there.",
            "Of n customers n * (1 - churn) ** age are left.",
            "Two loops: for c, and for t from c on: table[c, t] = price * new[c] * (1 - churn) ** (t - c).",
        ),
        checks=(
            Check("by hand", case_check([(np.array([100, 0, 0]), 10.0, 0.1)], _cohort_oracle, "1000, 900, 810.")),
            Check("two cohorts", case_check([(np.array([8, 4]), 5.0, 0.5)], _cohort_oracle)),
            Check("ends of churn", case_check([(np.array([5, 6, 7]), 2.0, 0.0), (np.array([5, 6, 7]), 2.0, 1.0)], _cohort_oracle, "Nobody leaves; all leave.")),
            Check("random cohorts", case_check([_cohort_random(s) for s in range(8)], _cohort_oracle)),
            Check("one month", case_check([(np.array([3]), 7.5, 0.2)], _cohort_oracle)),
        ),
        misconceptions=misconceptions_of(_COHORT_WRONG, _COHORT_HINTS),
        probes=_cohort_probes,
        sample=_cohort_sample,
    ),
    Exercise(
        id="business_case.walk_forward",
        reference=walk_forward,
        difficulty=2,
        minutes=8,
        section="Which forecast is the best?",
        hints=(
            "One loop over t from start to the end.",
            "In month t the method may see series[:t], which ends just before t.",
            "np.array([series[t] - forecast(series[:t]) for t in ...])",
        ),
        checks=(
            Check("the last number", case_check([(np.array([1.0, 4.0, 9.0, 16.0]), _last, 1)], _walk_oracle, "The forecast is the last known number.")),
            Check("methods", case_check([_walk_case(1, 8, 3, m) for m in range(4)], _walk_oracle)),
            Check("starts", case_check([_walk_case(2, 8, s) for s in (1, 2, 7)], _walk_oracle)),
            Check("random series", case_check([_walk_sample(np.random.default_rng(s)) for s in range(10)], _walk_oracle)),
        ),
        misconceptions=misconceptions_of(_WALK_WRONG, _WALK_HINTS),
        probes=_walk_probes,
        sample=_walk_sample,
    ),
    Exercise(
        id="business_case.monte_carlo_profit",
        reference=monte_carlo_profit,
        difficulty=3,
        minutes=12,
        section="What can go wrong, ten thousand times",
        returns=("profits", "loss", "error"),
        hints=(
            "L = np.linalg.cholesky(correlation) has L @ L.T equal to the correlation. A row of z is one draw: z @ L.T.",
            "Inputs: mean + spread * mixed. Then profit of all rows at once.",
            "loss = np.mean(profits < 0), a share p of N draws; its standard error is the root of p (1 - p) / N. Return both as floats.",
        ),
        checks=(
            Check("two inputs", case_check([_draws(2, 30, 2, _sum)], _draws_oracle)),
            Check("independent inputs", case_check([(*_draws(1)[:3], np.eye(3), _margin)], _draws_oracle, "The inputs are independent.")),
            Check("three and four", case_check([_draws(3), _draws(4, 25, 4, _sum)], _draws_oracle)),
            Check("profits of 0", case_check([_draws(5, 60, 3, _whole), _draws(6, 60, 2, _whole)], _draws_oracle, "Some profits are exactly 0: no loss.")),
            Check("never a loss", case_check([(*_draws(7)[:4], lambda x: np.exp(x[:, 0]))], _draws_oracle)),
            Check("exactly uncorrelated draws", _check_made_correlation),
        ),
        misconceptions=misconceptions_of(_DRAWS_WRONG, _DRAWS_HINTS),
        probes=_draws_probes,
        sample=_draws_sample,
    ),
)
