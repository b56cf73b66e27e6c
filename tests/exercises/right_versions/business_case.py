"""Right answers of lesson 23 in another style."""

import numpy as np


def money_of_growth(plan):
    income = np.array(plan["subscription"], float)
    made = income[:-1] * (1 + np.array(plan["growth"], float))
    paid = 12 * plan["price"] * np.array(plan["subscribers"], float)
    profit = income + np.array(plan["other"]) - np.array(plan["cost"])
    pairs = (made, income[1:]), (paid, income), (profit, np.array(plan["profit"]))
    return all(bool((abs(a - b) <= 1).all()) for a, b in pairs)


class NoMargin(ValueError):
    pass


def own_error(fixed, price, variable):
    if price <= variable:
        raise NoMargin
    return (fixed + price - variable - 1) // (price - variable)


RIGHT = {"business_case.forecast_is_consistent": [money_of_growth], "business_case.break_even": [own_error]}
