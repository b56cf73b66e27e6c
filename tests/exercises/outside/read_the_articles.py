"""Wrong answers that no misconception describes."""

import numpy as np

from bigmodel_nb.exercises.read_the_articles import graph_check, tells_apart, verdict_table

# verdict_table


def only_the_total(claims):
    return {"all": verdict_table(claims)["all"]}


def articles_as_numbers(claims):
    return {name if name == "all" else int(name): row for name, row in verdict_table(claims).items()}


def lists_for_pairs(claims):
    return {name: {v: list(pair) for v, pair in row.items()} for name, row in verdict_table(claims).items()}


def none_as_a_verdict(claims):
    table = verdict_table(claims)
    return {name: {**row, None: (0, 0)} for name, row in table.items()}


def last_claim_forgotten(claims):
    return verdict_table(claims[:-1])


def as_text(claims):
    return {name: {v: f"{low}-{high}" for v, (low, high) in row.items()} for name, row in verdict_table(claims).items()}


# graph_check


def unsorted_sets(nodes, edges, end, before):
    return {key: set(value) for key, value in graph_check(nodes, edges, end, before).items()}


def first_fault_of_each_kind(nodes, edges, end, before):
    return {key: value[:1] for key, value in graph_check(nodes, edges, end, before).items()}


def end_is_stranded_too(nodes, edges, end, before):
    found = graph_check(nodes, edges, end, before)
    return {**found, "stranded": sorted({*found["stranded"], end})}


def in_capitals(nodes, edges, end, before):
    found = graph_check(nodes, edges, end, before)
    return {**found, "twice": [text.upper() for text in found["twice"]]}


def descending(nodes, edges, end, before):
    return {key: value[::-1] for key, value in graph_check(nodes, edges, end, before).items()}


def counts_for_lists(nodes, edges, end, before):
    return {key: len(value) for key, value in graph_check(nodes, edges, end, before).items()}


# tells_apart


def no_false_alarm(experiment, holds, fails, n):
    right, wrong = (
        np.mean([bool(experiment(world(np.random.default_rng(seed)))) for seed in range(n)]) for world in (holds, fails)
    )
    return bool(right >= 0.9 and wrong == 0)


def returns_the_share(experiment, holds, fails, n):
    return float(np.mean([bool(experiment(holds(np.random.default_rng(seed)))) for seed in range(n)]))


def believes_everything(experiment, holds, fails, n):
    return True


def seeds_from_a_hundred(experiment, holds, fails, n):
    shift = lambda world: lambda rng: world(np.random.default_rng(100 + int(rng.integers(1000))))  # noqa: E731
    return tells_apart(experiment, shift(holds), shift(fails), n)


def half_as_many_draws(experiment, holds, fails, n):
    return tells_apart(experiment, holds, fails, max(1, n // 2))


OUTSIDE = {
    "read_the_articles.verdict_table": [
        only_the_total, articles_as_numbers, lists_for_pairs, none_as_a_verdict, last_claim_forgotten, as_text,
    ],
    "read_the_articles.graph_check": [
        unsorted_sets, first_fault_of_each_kind, end_is_stranded_too, in_capitals, descending, counts_for_lists,
    ],
    "read_the_articles.tells_apart": [
        no_false_alarm, returns_the_share, believes_everything, seeds_from_a_hundred, half_as_many_draws,
    ],
}  # fmt: skip
