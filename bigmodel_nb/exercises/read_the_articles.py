"""Exercises of lesson 25."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from .engine.model import Check, Exercise, misconceptions_of


def verdict_table(claims):
    """How many claims of each article got each verdict, counted in two ways.

    claims: list of {"article": str, "verdict": str, "also": str or None}, where `also` is a second verdict
    -> dict from every article that occurs, and from "all", to a dict from every verdict that occurs
       anywhere (also as a second one) to (sure, most): sure counts the claims with this verdict and no
       other, most those that have it as first or second
    """
    articles = {claim["article"] for claim in claims}
    verdicts = {claim[key] for claim in claims for key in ("verdict", "also")} - {None}

    def counts(rows, verdict):
        sure = sum(row["verdict"] == verdict and row["also"] is None for row in rows)
        return sure, sum(verdict in (row["verdict"], row["also"]) for row in rows)

    table = {}
    for article in {*articles, "all"}:
        rows = [claim for claim in claims if article in (claim["article"], "all")]
        table[article] = {verdict: counts(rows, verdict) for verdict in verdicts}
    return table


def graph_check(nodes, edges, end, before):
    """What is wrong with a diagram, as far as its arrows can tell.

    nodes: dict from id to label; edges: list of (id, id), an arrow from the first to the second
    end: the id that everything should lead to; before: set of (label, label) in small letters, where the
    first is known to come before the second
    Labels are compared in small letters, without blanks at their ends.
    -> dict of four sorted lists. isolated: ids without any arrow; twice: labels that several ids carry, in
       small letters; stranded: ids that have an arrow, but no way along the arrows to `end`; reversed:
       arrows (id, id) from what comes later to what comes before
    """
    label = {node: text.strip().lower() for node, text in nodes.items()}
    touched = {node for edge in edges for node in edge}
    reached = {end}
    for _ in nodes:  # a way has at most as many arrows as there are nodes
        reached |= {a for a, b in edges if b in reached}
    labels = list(label.values())
    return {
        "isolated": sorted(set(nodes) - touched),
        "twice": sorted({text for text in labels if labels.count(text) > 1}),
        "stranded": sorted(touched - reached),
        "reversed": sorted((a, b) for a, b in edges if (label[b], label[a]) in before),
    }


def tells_apart(experiment, holds, fails, n):
    """Whether an experiment can be trusted with a claim: yes where it holds, no where it doesn't.

    experiment: function, data -> True if it supports the claim, False if it refutes it
    holds, fails: functions, NumPy generator -> data, from a world where the claim holds and from one where
    it doesn't; draw n times from each, each time with a new generator: np.random.default_rng(seed), seed from 0 to n - 1
    -> True if the experiment supports the claim in at least 90 % of the draws where it holds, and in at
       most 10 % of the draws where it doesn't; otherwise False
    """
    right = sum(bool(experiment(holds(np.random.default_rng(seed)))) for seed in range(n))
    wrong = sum(bool(experiment(fails(np.random.default_rng(seed)))) for seed in range(n))
    return 10 * right >= 9 * n and 10 * wrong <= n


# verdict_table

_VERDICTS = ("right", "wrong", "sloppy", "unverifiable")


def _claim(article, verdict, also=None):
    return {"article": article, "verdict": verdict, "also": also}


def _table_case(rng, n=12, articles=3, mixed=0.4):
    rows = []
    for _ in range(n):
        first, second = rng.choice(len(_VERDICTS), 2, replace=False)
        also = _VERDICTS[second] if rng.random() < mixed else None
        rows.append(_claim(f"00{rng.integers(articles)}", _VERDICTS[first], also))
    return (rows,)


def _table_sample(rng):
    return _table_case(rng, int(rng.integers(0, 15)), int(rng.integers(1, 5)), float(rng.choice([0, 0.4, 1])))


def _table_oracle(claims):
    """One claim after the other, into a table of zeros."""
    verdicts = []
    for claim in claims:
        verdicts += [claim["verdict"]] + [claim["also"]] * (claim["also"] is not None)
    table = {name: {v: [0, 0] for v in verdicts} for name in [c["article"] for c in claims] + ["all"]}
    for claim in claims:
        for name in (claim["article"], "all"):
            cells = table[name]
            if claim["also"] is None:
                cells[claim["verdict"]][0] += 1
            else:
                cells[claim["also"]][1] += 1
            cells[claim["verdict"]][1] += 1
    return {name: {v: tuple(pair) for v, pair in row.items()} for name, row in table.items()}


def _expect_table(attempt, case, why=""):
    attempt.expect(case, _table_oracle(*case), why)


def _check_table_by_hand(attempt):
    rows = [_claim("000", "wrong"), _claim("000", "wrong", "sloppy"), _claim("001", "right")]
    expected = {
        "000": {"wrong": (1, 2), "sloppy": (0, 1), "right": (0, 0)},
        "001": {"wrong": (0, 0), "sloppy": (0, 0), "right": (1, 1)},
        "all": {"wrong": (1, 2), "sloppy": (0, 1), "right": (1, 1)},
    }
    attempt.expect((rows,), expected, "The second claim is wrong, and could be called sloppy.")


def _check_table_plain(attempt):
    _expect_table(attempt, _table_case(np.random.default_rng(1), 9, 2, 0.0), "No claim has a second verdict here.")


def _check_table_mixed(attempt):
    _expect_table(attempt, _table_case(np.random.default_rng(2), 10, 2, 1.0), "Every claim has two verdicts here.")


def _check_table_random(attempt):
    rng = np.random.default_rng(3)
    for n in (5, 20, 40):
        _expect_table(attempt, _table_case(rng, n))


def _check_table_edges(attempt):
    attempt.expect(([],), {"all": {}}, "There are no claims here.")
    one = ([_claim("004", "right", "sloppy")],)
    _expect_table(attempt, one, "One claim: `sloppy` occurs, as a second verdict.")


def _table_probes():
    rng = np.random.default_rng(4)
    return [
        _table_case(rng, 14, 3, 0.5),
        ([_claim("000", "wrong"), _claim("000", "wrong", "sloppy"), _claim("001", "right")],),
        ([_claim("004", "right", "sloppy"), _claim("002", "sloppy", "right")],),
    ]


def _table_with(
    sure=lambda row, v: row["verdict"] == v and row["also"] is None,
    most=lambda row, v: v in (row["verdict"], row["also"]),
    columns=lambda rows: {row[key] for row in rows for key in ("verdict", "also")} - {None},
    own_columns=False,
    total=True,
    cell=lambda low, high, rows: (low, high),
    empty=True,
):
    """The table from its parts."""

    def work(claims):
        names = [row["article"] for row in claims] + ["all"] * total
        table = {}
        for name in names:
            rows = [row for row in claims if name in (row["article"], "all")]
            pairs = {
                v: (sum(bool(sure(row, v)) for row in rows), sum(bool(most(row, v)) for row in rows))
                for v in columns(rows if own_columns else claims)
            }
            table[name] = {v: cell(*pair, rows) for v, pair in pairs.items() if empty or any(pair)}
        return table

    return work


def _shares(low, high, rows):
    return (low / len(rows), high / len(rows)) if rows else (0, 0)


_TABLE_WRONG = {
    "second_verdict_ignored": (
        _table_with(lambda row, v: row["verdict"] == v, lambda row, v: row["verdict"] == v),
        _table_with(
            lambda row, v: row["verdict"] == v, lambda row, v: row["verdict"] == v, lambda rows: {r["verdict"] for r in rows}
        ),
    ),
    "mixed_counted_as_sure": (_table_with(sure=lambda row, v: row["verdict"] == v),),
    "most_is_the_second_alone": (_table_with(most=lambda row, v: row["also"] == v),),
    "most_leaves_the_sure_out": (_table_with(most=lambda row, v: row["also"] and v in (row["verdict"], row["also"])),),
    "most_is_the_first_alone": (_table_with(most=lambda row, v: row["verdict"] == v),),
    "zeros_left_out": (_table_with(empty=False), _table_with(own_columns=True)),
    "second_verdicts_have_no_column": (_table_with(columns=lambda rows: {row["verdict"] for row in rows}),),
    "total_left_out": (_table_with(total=False),),
    "pair_turned_round": (_table_with(cell=lambda low, high, rows: (high, low)),),
    "one_number": (_table_with(cell=lambda low, high, rows: low), _table_with(cell=lambda low, high, rows: high)),
    "shares_for_counts": (_table_with(cell=_shares),),
}
_TABLE_HINTS = {
    "second_verdict_ignored": "You look at `verdict` only. A claim with a second verdict is not sure, and counts for two.",
    "mixed_counted_as_sure": "A claim with a second verdict is in your `sure`. Sure are those that have no other.",
    "most_is_the_second_alone": "Your second number counts the second verdicts only. `most` takes first or second.",
    "most_leaves_the_sure_out": "Your `most` leaves out the claims with one verdict. They have it as well.",
    "most_is_the_first_alone": "Your `most` counts first verdicts only. Those that have it as a second one count, too.",
    "zeros_left_out": "A verdict that an article never got is missing from its row. (0, 0) is information: every verdict "
    "that occurs anywhere stands in every row.",
    "second_verdicts_have_no_column": "A verdict that occurs only as a second one is missing from your table.",
    "total_left_out": 'Where is the row "all"?',
    "pair_turned_round": "Right numbers, wrong order: sure first.",
    "one_number": "One number for each verdict. Two are asked for: how few, and how many at most.",
    "shares_for_counts": "These are shares. With 18 claims in an article a share hides how few there are: give the counts.",
}


# graph_check

_LABELS = ("data", "training", "model", "answer", "Cost", "evaluation", "market")


def _graph_case(rng, n=6, arrows=6, twice=0.3, turned=0.5):
    ids = [chr(65 + i) for i in range(n)]
    rng.shuffle(ids)
    nodes = {}
    for i, node in enumerate(ids):
        text = _LABELS[i % len(_LABELS)] if i == 0 or rng.random() >= twice else nodes[ids[int(rng.integers(i))]]
        nodes[node] = f" {text.upper()} " if rng.random() < 0.3 else text
    pairs = [(a, b) for a in ids for b in ids if a != b]
    edges = [pairs[i] for i in rng.permutation(len(pairs))[: min(arrows, len(pairs))]]
    known = set()
    for a, b in edges:
        if rng.random() < turned:
            pair = (nodes[b], nodes[a]) if rng.random() < 0.6 else (nodes[a], nodes[b])
            known.add(tuple(text.strip().lower() for text in pair))
    return nodes, edges, ids[int(rng.integers(n))], known


def _graph_sample(rng):
    return _graph_case(rng, int(rng.integers(2, 8)), int(rng.integers(0, 9)))


def _graph_oracle(nodes, edges, end, before):
    """Ways by walking from every node; pairs by comparing all with all."""
    text = {node: nodes[node].strip().lower() for node in nodes}

    def arrives(node):
        seen, todo = set(), [node]
        while todo:
            here = todo.pop()
            if here == end:
                return True
            if here not in seen:
                seen.add(here)
                todo += [b for a, b in edges if a == here]
        return False

    alone = [node for node in nodes if all(node not in edge for edge in edges)]
    return {
        "isolated": sorted(alone),
        "twice": sorted({text[a] for a, b in itertools.combinations(nodes, 2) if text[a] == text[b]}),
        "stranded": sorted(node for node in nodes if node not in alone and not arrives(node)),
        "reversed": sorted(edge for edge in edges if (text[edge[1]], text[edge[0]]) in before),
    }


def _expect_graph(attempt, case, why=""):
    attempt.expect(case, _graph_oracle(*case), why)


_CHAIN = {"A": "Data", "B": "training", "C": "model", "D": "answer"}


def _check_graph_sound(attempt):
    sound = (_CHAIN, [("A", "B"), ("B", "C"), ("C", "D")], "D", {("data", "training"), ("model", "answer")})
    attempt.expect(sound, {"isolated": [], "twice": [], "stranded": [], "reversed": []}, "Nothing is wrong here.")


def _check_graph_isolated(attempt):
    case = ({**_CHAIN, "E": "market", "F": "cost"}, [("A", "B"), ("B", "C"), ("C", "D")], "D", set())
    expected = {"isolated": ["E", "F"], "twice": [], "stranded": [], "reversed": []}
    attempt.expect(case, expected, "No arrow touches E and F. A has none that arrives, D none that leaves.")


def _check_graph_twice(attempt):
    nodes = {"A": "input", "B": "Hidden ", "C": "hidden", "D": "output", "E": "OUTPUT"}
    edges = [("A", "B"), ("A", "C"), ("B", "D"), ("C", "D"), ("B", "E"), ("E", "D")]
    expected = {"isolated": [], "twice": ["hidden", "output"], "stranded": [], "reversed": []}
    attempt.expect((nodes, edges, "D", set()), expected)


def _check_graph_stranded(attempt):
    nodes = dict(zip("ABCDEFG", "abcdefg"))
    edges = [("A", "B"), ("B", "C"), ("C", "D"), ("A", "E"), ("E", "F"), ("F", "E"), ("D", "G")]
    expected = {"isolated": [], "twice": [], "stranded": ["E", "F", "G"], "reversed": []}
    why = "A, B, C lead to D. E and F lead to each other, G comes after D."
    attempt.expect((nodes, edges, "D", set()), expected, why)


def _check_graph_reversed(attempt):
    nodes = {"A": "Model", "B": " Self-supervision", "C": "answer"}
    before = {("self-supervision", "model"), ("model", "answer")}
    expected = {"isolated": [], "twice": [], "stranded": ["B"], "reversed": [("A", "B")]}
    attempt.expect((nodes, [("A", "C"), ("A", "B")], "C", before), expected)


def _check_graph_random(attempt):
    rng = np.random.default_rng(11)
    for n, arrows in ((2, 1), (5, 0), (7, 6), (7, 9), (8, 14)):
        _expect_graph(attempt, _graph_case(rng, n, arrows))


def _graph_probes():
    rng = np.random.default_rng(12)
    nodes = {"G": "model", "C": "Self-supervision", "B": "answer ", "D": "cost", "E": "Answer", "F": "market", "A": "cost"}
    edges = [("G", "C"), ("G", "B"), ("D", "E"), ("E", "B"), ("C", "A"), ("A", "C")]
    before = {("self-supervision", "model"), ("model", "answer"), ("answer", "cost")}
    chain = dict(zip("HGFEDCBA", "hgfedcba"))
    return [
        (nodes, edges, "B", before),
        (chain, [("H", "G"), ("G", "F"), ("F", "E"), ("E", "D"), ("B", "A")], "D", {("g", "h"), ("d", "e"), ("b", "a")}),
        _graph_case(rng, 8, 9),
        _graph_case(rng, 7, 5),
    ]


def _ways(edges, end, rounds=99, back=False):
    """Nodes with a way to `end` of at most so many arrows, or with `back` those that it leads to."""
    reached = {end}
    for _ in range(min(rounds, len(edges) + 1)):
        reached = reached | {(b if back else a) for a, b in edges if (a if back else b) in reached}
    return reached


def _graph_with(
    clean=lambda text: text.strip().lower(),
    isolated=lambda nodes, edges: set(nodes) - {node for edge in edges for node in edge},
    twice=lambda nodes, labels: {text for text in labels.values() if list(labels.values()).count(text) > 1},
    stranded=lambda nodes, edges, end: {n for edge in edges for n in edge} - _ways(edges, end),
    turned=lambda edges, labels, before: [(a, b) for a, b in edges if (labels[b], labels[a]) in before],
    order=sorted,
):
    """The check from its parts."""

    def work(nodes, edges, end, before):
        labels = {node: clean(text) for node, text in nodes.items()}
        return {
            "isolated": order(isolated(nodes, edges)),
            "twice": order(twice(nodes, labels)),
            "stranded": order(stranded(nodes, edges, end)),
            "reversed": order(turned(edges, labels, before)),
        }

    return work


def _both_ways(edges):
    return edges + [(b, a) for a, b in edges]


_GRAPH_WRONG = {
    "nothing_arrives_counted_isolated": (_graph_with(isolated=lambda nodes, edges: set(nodes) - {b for _, b in edges}),),
    "nothing_leaves_counted_isolated": (_graph_with(isolated=lambda nodes, edges: set(nodes) - {a for a, _ in edges}),),
    "labels_compared_as_written": (_graph_with(clean=lambda text: text),),
    "capitals_tell_apart": (_graph_with(clean=lambda text: text.strip()),),
    "blanks_tell_apart": (_graph_with(clean=lambda text: text.lower()),),
    "ids_for_labels": (
        _graph_with(
            twice=lambda nodes, labels: {node for node, text in labels.items() if list(labels.values()).count(text) > 1}
        ),
    ),
    "one_arrow_only": (
        _graph_with(stranded=lambda nodes, edges, end: {n for edge in edges for n in edge} - _ways(edges, end, 1)),
    ),
    "two_arrows_only": (
        _graph_with(stranded=lambda nodes, edges, end: {n for edge in edges for n in edge} - _ways(edges, end, 2)),
    ),
    "walked_backwards": (
        _graph_with(stranded=lambda nodes, edges, end: {n for edge in edges for n in edge} - _ways(edges, end, back=True)),
    ),
    "arrows_walked_both_ways": (
        _graph_with(
            stranded=lambda nodes, edges, end: {n for edge in edges for n in edge} - _ways(_both_ways(edges), end)
        ),
    ),
    "isolated_counted_as_stranded": (_graph_with(stranded=lambda nodes, edges, end: set(nodes) - _ways(edges, end)),),
    "dead_ends_only": (
        _graph_with(stranded=lambda nodes, edges, end: {b for _, b in edges} - {a for a, _ in edges} - {end}),
    ),
    "right_arrows_reported": (
        _graph_with(turned=lambda edges, labels, before: [(a, b) for a, b in edges if (labels[a], labels[b]) in before]),
    ),
    "arrows_turned_in_the_report": (
        _graph_with(turned=lambda edges, labels, before: [(b, a) for a, b in edges if (labels[b], labels[a]) in before]),
    ),
    "labels_in_the_report": (
        _graph_with(
            turned=lambda edges, labels, before: [
                (labels[a], labels[b]) for a, b in edges if (labels[b], labels[a]) in before
            ]
        ),
    ),
}
_GRAPH_HINTS = {
    "nothing_arrives_counted_isolated": "You call a node isolated to which no arrow leads. Every beginning is like that.",
    "nothing_leaves_counted_isolated": "You call a node isolated from which no arrow leaves. Every end is like that.",
    "labels_compared_as_written": "You compare labels as they are written. What of capitals, and of blanks at the ends?",
    "capitals_tell_apart": "Hidden and hidden are the same label to a reader. Compare in small letters.",
    "blanks_tell_apart": "A blank at the end makes two labels of one in your code.",
    "ids_for_labels": "`twice` asks for the labels that stand there twice; you give the ids that carry them.",
    "one_arrow_only": "You look one arrow far. A way may have many.",
    "two_arrows_only": "You look two arrows far. Go on until nothing new is reached.",
    "walked_backwards": "You find what `end` leads to. Asked is what leads to `end`.",
    "arrows_walked_both_ways": "You walk arrows against their direction. They are one-way.",
    "isolated_counted_as_stranded": "What has no arrow at all stands in your `stranded`, too. It has a list of its own.",
    "dead_ends_only": "You find nodes where the arrows stop. Two nodes that lead only to each other are stranded as well, "
    "and so is all that leads only to a dead end.",
    "right_arrows_reported": "You report the arrows that point the right way.",
    "arrows_turned_in_the_report": "The right arrows, but turned. Report them as they are drawn.",
    "labels_in_the_report": "Report arrows by their ids: labels may stand there twice.",
}


# tells_apart: worlds and experiments with shares that are known exactly


@dataclass(frozen=True)
class World:
    """Draws of 0 and 1; `hits` of the seeds 0 to 999 give a 1, and the data hold the seed's own draw."""

    name: str
    ones: frozenset = frozenset()  # of the first draws' order
    share: float | None = None

    def __call__(self, rng):
        first = float(rng.random())
        if self.share is not None:
            return first < self.share, first
        return round(first, 9) in self.ones, first

    def __repr__(self):
        return f"<a world: {self.name}>"


@dataclass(frozen=True)
class Experiment:
    """What it makes of the data (flag, number)."""

    kind: str

    def __call__(self, data):
        flag, number = data
        results = {
            "reads the data": flag,
            "says the opposite": not flag,
            "always supports": True,
            "always refutes": False,
            "tosses a coin": number < 0.5,
            "gives 1 or 0": int(flag),
            "gives NumPy's bool": np.bool_(flag),
        }
        return results[self.kind]

    def __repr__(self):
        return f"<an experiment: {self.kind}>"


_FIRST = [round(float(np.random.default_rng(seed).random()), 9) for seed in range(60)]  # the draw of each seed


def _exact(many, n, skip=0):
    """A world in which exactly `many` of the seeds below n say yes, beginning at seed `skip`."""
    seeds = [(skip + i) % n for i in range(many)]
    return World(f"yes in {many} of {n}", frozenset(_FIRST[seed] for seed in seeds))


def _apart_case(kind, right, wrong, n=20, skip=0):
    return Experiment(kind), _exact(right, n, skip), _exact(wrong, n, skip), n


_KINDS = ("reads the data", "says the opposite", "always supports", "always refutes", "tosses a coin", "gives 1 or 0")


def _apart_sample(rng):
    n = int(rng.choice([5, 10, 20, 40]))
    near = int(0.9 * n) + int(rng.integers(-1, 2)), n // 10 + int(rng.integers(-1, 2))
    right, wrong = near if rng.random() < 0.6 else rng.integers(0, n + 1, 2)
    kind = str(rng.choice(_KINDS)) if rng.random() < 0.4 else "reads the data"
    return _apart_case(kind, int(np.clip(right, 0, n)), int(np.clip(wrong, 0, n)), n, int(rng.integers(n)))


def _apart_oracle(experiment, holds, fails, n):
    """Two lists of answers, counted."""
    answers = [[experiment(world(np.random.default_rng(seed))) for seed in range(n)] for world in (holds, fails)]
    yes = [len([a for a in one if a]) for one in answers]
    return yes[0] / n >= 0.9 - 1e-9 and yes[1] / n <= 0.1 + 1e-9


def _expect_apart(attempt, case, why=""):
    attempt.expect(case, _apart_oracle(*case), why)


def _check_apart_two(attempt):
    _expect_apart(attempt, _apart_case("reads the data", 20, 0), "This one is right in every draw, with seeds 0 to 19 in either world.")
    _expect_apart(attempt, _apart_case("always supports", 20, 0), "This one supports the claim whatever the data say.")


def _check_apart_useless(attempt):
    for kind in ("always refutes", "says the opposite", "tosses a coin"):
        _expect_apart(attempt, _apart_case(kind, 20, 0), f"The experiment {kind}.")


def _check_apart_limits(attempt):
    for right, wrong in ((18, 2), (17, 2), (18, 3), (18, 0), (20, 2)):
        why = f"It supports the claim in {right} of 20 draws where it holds and in {wrong} of 20 where it doesn't."
        _expect_apart(attempt, _apart_case("reads the data", right, wrong), why)
        _expect_apart(attempt, _apart_case("reads the data", right, wrong, skip=9), why)


def _check_apart_n(attempt):
    for n, right, wrong in ((10, 9, 1), (10, 8, 1), (10, 9, 2), (40, 36, 4), (40, 35, 4), (40, 36, 5), (1, 1, 0), (1, 0, 0), (5, 5, 1)):
        _expect_apart(attempt, _apart_case("reads the data", right, wrong, n, n // 2), f"n is {n} here.")


def _check_apart_kinds(attempt):
    for kind in ("gives 1 or 0", "gives NumPy's bool"):
        _expect_apart(attempt, _apart_case(kind, 20, 1), f"This experiment {kind}, which is as good as True or False.")


def _apart_probes():
    yes = "reads the data"
    return [
        _apart_case(yes, 20, 0), _apart_case("always supports", 20, 0), _apart_case("always refutes", 20, 0),
        _apart_case("says the opposite", 20, 0), _apart_case(yes, 18, 2, 20, 5), _apart_case(yes, 17, 0, 20, 3),
        _apart_case(yes, 20, 3, 20, 8), _apart_case(yes, 20, 2, 20, 18), _apart_case(yes, 18, 0, 20, 1),
        _apart_case(yes, 12, 0, 20, 19), _apart_case(yes, 20, 8, 20, 0), _apart_case(yes, 20, 8, 20, 1), _apart_case(yes, 36, 0, 40, 0),
        _apart_case(yes, 1, 0, 20, 0), _apart_case(yes, 19, 1, 20, 1),
        _apart_case(yes, 10, 0, 10, 0), _apart_case(yes, 9, 1, 10, 5), _apart_case(yes, 38, 0, 40, 22),
        (Experiment(yes), World("always yes", share=1.0), World("never yes", share=0.0), 20),
        _apart_case(yes, 1, 0, 1),
    ]  # fmt: skip


def _apart_with(
    good=lambda right, wrong, n: 10 * right >= 9 * n and 10 * wrong <= n,
    seeds=range,
    count=sum,
):
    """The test from its parts."""

    def work(experiment, holds, fails, n):
        yes = [
            count(bool(experiment(world(np.random.default_rng(seed)))) for seed in seeds(n)) for world in (holds, fails)
        ]
        return bool(good(*yes, n))

    return work


def _always_twenty(experiment, holds, fails, n):
    return tells_apart(experiment, holds, fails, 20)


def _one_generator(experiment, holds, fails, n):
    rng = np.random.default_rng(0)
    right = sum(bool(experiment(holds(rng))) for _ in range(n))
    wrong = sum(bool(experiment(fails(rng))) for _ in range(n))
    return 10 * right >= 9 * n and 10 * wrong <= n


def _generator_of_both(experiment, holds, fails, n):
    right = wrong = 0
    for rng in map(np.random.default_rng, range(n)):
        right += bool(experiment(holds(rng)))
        wrong += bool(experiment(fails(rng)))
    return 10 * right >= 9 * n and 10 * wrong <= n


_APART_WRONG = {
    "answers_turned_round": (_apart_with(lambda right, wrong, n: 10 * wrong >= 9 * n and 10 * right <= n),),
    "never_tried_where_the_claim_fails": (_apart_with(lambda right, wrong, n: 10 * right >= 9 * n),),
    "never_tried_where_the_claim_holds": (_apart_with(lambda right, wrong, n: 10 * wrong <= n),),
    "one_draw_only": (_apart_with(seeds=lambda n: [0] * n),),
    "one_generator_for_all": (_one_generator,),
    "generator_of_both_worlds": (_generator_of_both,),
    "no_error_allowed": (_apart_with(lambda right, wrong, n: right == n and wrong == 0),),
    "limits_excluded": (_apart_with(lambda right, wrong, n: 10 * right > 9 * n and 10 * wrong < n),),
    "majority_is_enough": (_apart_with(lambda right, wrong, n: 2 * right > n > 2 * wrong),),
    "any_difference_is_enough": (_apart_with(lambda right, wrong, n: right > wrong),),
    "opposite_accepted": (_apart_with(lambda right, wrong, n: 10 * abs(right - wrong) >= 8 * n),),
    "difference_of_the_shares": (_apart_with(lambda right, wrong, n: 10 * (right - wrong) >= 8 * n),),
    "n_ignored": (_always_twenty,),
    "first_seed_left_out": (_apart_with(seeds=lambda n: range(1, n + 1)),),
    "once_is_enough": (_apart_with(lambda right, wrong, n: right > 0 and 10 * wrong <= n),),
}
_APART_HINTS = {
    "never_tried_where_the_claim_fails": "An experiment that always says yes passes your test. Run it where the claim "
    "doesn't hold, too.",
    "never_tried_where_the_claim_holds": "An experiment that always says no passes your test. Run it where the claim "
    "holds, too.",
    "one_draw_only": "One draw from each world decides, however often you repeat it. Draw n times, with a new seed each time.",
    "one_generator_for_all": "All your draws come from one generator. Make a new one for each draw: np.random.default_rng(seed).",
    "generator_of_both_worlds": "Both worlds draw from the same generator, so the second continues where the first stopped. "
    "Make one for each.",
    "no_error_allowed": "You allow no error at all. 90 % and 10 % are the limits.",
    "limits_excluded": "You refuse exactly 90 % and exactly 10 %. 'At least' and 'at most' include them.",
    "majority_is_enough": "You take the majority of the draws. An experiment that errs in 4 of 10 is not to be trusted: "
    "the limits are 90 % and 10 %.",
    "any_difference_is_enough": "You only ask where it says yes more often.",
    "opposite_accepted": "An experiment that says yes where the claim fails, and no where it holds, passes your test.",
    "difference_of_the_shares": "You look at the difference of the two shares, or at the right answers of both together. "
    "100 % and 15 % differ by enough, and 15 % is still too many: judge each by itself.",
    "answers_turned_round": "You have the two worlds the wrong way round.",
    "n_ignored": "You draw 20 times, whatever n is.",
    "first_seed_left_out": "Your seeds go from 1 to n. They should go from 0 to n - 1.",
    "once_is_enough": "One yes where the claim holds is enough for you. It should be 90 % of the draws.",
}

EXERCISES = (
    Exercise(
        id="read_the_articles.verdict_table",
        reference=verdict_table,
        difficulty=2,
        minutes=12,
        section="Count them",
        hints=(
            "Collect the names first: all articles, and all verdicts from both fields, without None.",
            "For one article and one verdict: sure is sum(row['verdict'] == v and row['also'] is None for row in rows).",
            "most is sum(v in (row['verdict'], row['also']) for row in rows); for \"all\" the rows are all claims.",
        ),
        checks=(
            Check("three claims by hand", _check_table_by_hand),
            Check("no second verdicts", _check_table_plain),
            Check("second verdicts everywhere", _check_table_mixed),
            Check("random claims", _check_table_random),
            Check("edge cases", _check_table_edges),
        ),
        misconceptions=misconceptions_of(_TABLE_WRONG, _TABLE_HINTS),
        probes=_table_probes,
        sample=_table_sample,
    ),
    Exercise(
        id="read_the_articles.graph_check",
        reference=graph_check,
        difficulty=3,
        minutes=20,
        section="Diagrams are code",
        hints=(
            "Four questions, four lines. The set of all ids that stand in some arrow answers the first.",
            "For stranded begin with {end} and add every a of an arrow (a, b) with b in the set, again and again, until "
            "nothing changes.",
            "An arrow (a, b) is reversed if (label of b, label of a) is in `before`, with labels stripped and in small letters.",
        ),
        checks=(
            Check("a sound diagram", _check_graph_sound),
            Check("isolated nodes", _check_graph_isolated),
            Check("labels that stand twice", _check_graph_twice),
            Check("no way to the end", _check_graph_stranded),
            Check("a reversed arrow", _check_graph_reversed),
            Check("random diagrams", _check_graph_random),
        ),
        misconceptions=misconceptions_of(_GRAPH_WRONG, _GRAPH_HINTS),
        probes=_graph_probes,
        sample=_graph_sample,
    ),
    Exercise(
        id="read_the_articles.tells_apart",
        reference=tells_apart,
        difficulty=3,
        minutes=12,
        section="What would refute it?",
        hints=(
            "Try it in both worlds: what should a good experiment say in each?",
            "Draw with a new generator for each seed: experiment(holds(np.random.default_rng(seed))) for seed in range(n).",
            "Count the yes answers in either world, then return right >= 0.9 * n and wrong <= 0.1 * n.",
        ),
        checks=(
            Check("a good one and a useless one", _check_apart_two),
            Check("useless experiments", _check_apart_useless),
            Check("the limits", _check_apart_limits),
            Check("other n", _check_apart_n),
            Check("kinds of yes", _check_apart_kinds),
        ),
        misconceptions=misconceptions_of(_APART_WRONG, _APART_HINTS),
        probes=_apart_probes,
        sample=_apart_sample,
    ),
)
