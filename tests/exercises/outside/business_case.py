"""Wrong answers that the catalogue does not know: rejected, with no hint of another mistake."""

import numpy as np

from bigmodel_nb.exercises.business_case import (
    break_even,
    cohort_revenue,
    forecast_is_consistent,
    monte_carlo_profit,
    walk_forward,
)

# forecast_is_consistent


def always_fine(plan):
    return True


def never_fine(plan):
    return False


def answers_in_words(plan):
    return "yes" if forecast_is_consistent(plan) else "no"


def four_weeks_a_month(plan):
    return forecast_is_consistent({**plan, "price": plan["price"] * 13 / 12})


def price_a_year(plan):
    return forecast_is_consistent({**plan, "price": plan["price"] / 12})


# break_even


def one_in_reserve(fixed, price, variable):
    return break_even(fixed, price, variable) + 1


def at_least_one(fixed, price, variable):
    return max(1, break_even(fixed, price, variable))


def divided_by_the_markup(fixed, price, variable):
    return break_even(fixed * variable, price, variable)


def type_error_for_a_loss(fixed, price, variable):
    if price <= variable:
        raise TypeError("no margin")
    return break_even(fixed, price, variable)


# cohort_revenue


def rounded_customers(new, price, churn):
    return price * np.floor(cohort_revenue(new, 1.0, churn))


def exponential_churn(new, price, churn):
    return cohort_revenue(new, price, 1 - np.exp(-churn))


def half_a_month(new, price, churn):
    return cohort_revenue(new, price, churn) * (1 - churn / 2)


def yearly_churn(new, price, churn):
    return cohort_revenue(new, price, 1 - (1 - churn) ** (1 / 12))


def list_of_lists(new, price, churn):
    return cohort_revenue(new, price, churn).tolist()


# walk_forward


def relative(series, forecast, start):
    return walk_forward(series, forecast, start) / series[start:]


def of_the_differences(series, forecast, start):
    return np.diff(walk_forward(series, forecast, start), prepend=0.0)


def backwards(series, forecast, start):
    return walk_forward(series, forecast, start)[::-1]


def every_second(series, forecast, start):
    return walk_forward(series, forecast, start)[::2]


def with_zeros_before(series, forecast, start):
    return np.r_[np.zeros(start), walk_forward(series, forecast, start)]


# monte_carlo_profit


def without_the_first(z, mean, spread, correlation, profit):
    return monte_carlo_profit(z[1:], mean, spread, correlation, profit)


def two_errors(z, mean, spread, correlation, profit):
    profits, loss, error = monte_carlo_profit(z, mean, spread, correlation, profit)
    return profits, loss, 2 * error


def in_percent(z, mean, spread, correlation, profit):
    profits, loss, error = monte_carlo_profit(z, mean, spread, correlation, profit)
    return profits, 100 * loss, 100 * error


def two_draws_less(z, mean, spread, correlation, profit):
    profits, loss, error = monte_carlo_profit(z, mean, spread, correlation, profit)
    return profits, loss, error * (len(z) / (len(z) - 2)) ** 0.5


def sorted_profits(z, mean, spread, correlation, profit):
    profits, loss, error = monte_carlo_profit(z, mean, spread, correlation, profit)
    return np.sort(profits), loss, error


OUTSIDE = {
    "business_case.forecast_is_consistent": [always_fine, never_fine, answers_in_words, four_weeks_a_month, price_a_year],
    "business_case.break_even": [one_in_reserve, at_least_one, divided_by_the_markup, type_error_for_a_loss],
    "business_case.cohort_revenue": [rounded_customers, exponential_churn, half_a_month, yearly_churn, list_of_lists],
    "business_case.walk_forward": [relative, of_the_differences, backwards, every_second, with_zeros_before],
    "business_case.monte_carlo_profit": [without_the_first, two_errors, in_percent, two_draws_less, sorted_profits],
}
