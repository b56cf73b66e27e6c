"""Each misconception once more, in another style and with other names."""

from collections import Counter, defaultdict

import numpy as np

# verdict_table: two counters over all claims


def counted(first=lambda c: [c["verdict"]] if not c["also"] else [], any_=lambda c: [c["verdict"], c["also"]], names=None,
            pack=lambda low, high, total: (low, high), totals=("all",), drop=False, per_row=False):  # fmt: skip
    def work(items):
        low, high, size, local = Counter(), Counter(), Counter(), defaultdict(set)
        seen = set()
        for c in items:
            for place in [c["article"], *totals]:
                size[place] += 1
                for v in first(c):
                    low[place, v] += 1
                for v in any_(c):
                    high[place, v] += v is not None
            own = names(c) if names else {c["verdict"], c["also"]} - {None}
            seen |= own
            for place in [c["article"], *totals]:
                local[place] |= own
        out = {}
        for place in [*{c["article"] for c in items}, *totals]:
            columns = local[place] if per_row else seen
            row = {v: pack(low[place, v], high[place, v], size[place]) for v in columns}
            out[place] = {v: p for v, p in row.items() if p != (0, 0)} if drop else row
        return out

    return work


def main(c):
    return [c["verdict"]]


TABLE = {
    "second_verdict_ignored": [counted(main, main), counted(main, main, names=lambda c: {c["verdict"]})],
    "mixed_counted_as_sure": [counted(main)],
    "most_is_the_second_alone": [counted(any_=lambda c: [c["also"]])],
    "most_leaves_the_sure_out": [counted(any_=lambda c: [c["verdict"], c["also"]] if c["also"] else [])],
    "most_is_the_first_alone": [counted(any_=main)],
    "zeros_left_out": [counted(drop=True), counted(per_row=True)],
    "second_verdicts_have_no_column": [counted(names=lambda c: {c["verdict"]})],
    "total_left_out": [counted(totals=())],
    "pair_turned_round": [counted(pack=lambda low, high, total: (high, low))],
    "one_number": [counted(pack=lambda low, high, total: low), counted(pack=lambda low, high, total: high)],
    "shares_for_counts": [
        counted(pack=lambda low, high, total: (low / total, high / total) if total else (0, 0)),
    ],
}


# graph_check: with a matrix of what leads where


def matrix(text=lambda s: s.lower().strip(), alone=None, repeated=None, power=None, lost=None, wrong=None, back=False, loose=False):
    def work(nodes, edges, end, before):
        ids = sorted(nodes)
        at = {v: i for i, v in enumerate(ids)}
        m = np.zeros((len(ids), len(ids)), bool)
        for a, b in edges:
            m[at[a], at[b]] = True
        step = m.T if back else (m | m.T) if loose else m
        ways = np.eye(len(ids), dtype=bool)
        for _ in range(len(ids) if power is None else power):
            ways = ways | (ways.astype(int) @ step.astype(int) > 0)
        words = {v: text(nodes[v]) for v in ids}
        amount = Counter(words.values())
        used = m.any(0) | m.any(1)
        arrives = ways[:, at[end]]
        quiet = ~used if alone is None else alone(m)
        cut = used & ~arrives if lost is None else lost(m, used, arrives, at[end])
        doubles = {w for w in words.values() if amount[w] > 1} if repeated is None else repeated(words, amount)
        bad = [e for e in edges if (words[e[1]], words[e[0]]) in before] if wrong is None else wrong(edges, words, before)
        pick = lambda mask: [v for v, yes in zip(ids, mask) if yes]  # noqa: E731
        return {"isolated": pick(quiet), "twice": sorted(doubles), "stranded": pick(cut), "reversed": sorted(bad)}

    return work


def dead_ends(m, used, arrives, goal):
    mask = m.any(0) & ~m.any(1)
    mask[goal] = False
    return mask


GRAPH = {
    "nothing_arrives_counted_isolated": [matrix(alone=lambda m: ~m.any(0))],
    "nothing_leaves_counted_isolated": [matrix(alone=lambda m: ~m.any(1))],
    "labels_compared_as_written": [matrix(text=str)],
    "capitals_tell_apart": [matrix(text=str.strip)],
    "blanks_tell_apart": [matrix(text=str.lower)],
    "ids_for_labels": [matrix(repeated=lambda words, amount: [v for v, w in words.items() if amount[w] > 1])],
    "one_arrow_only": [matrix(power=1)],
    "two_arrows_only": [matrix(power=2)],
    "walked_backwards": [matrix(back=True)],
    "arrows_walked_both_ways": [matrix(loose=True)],
    "isolated_counted_as_stranded": [
        matrix(lost=lambda m, used, arrives, goal: ~arrives),
    ],
    "dead_ends_only": [matrix(lost=dead_ends)],
    "right_arrows_reported": [
        matrix(wrong=lambda edges, words, before: [e for e in edges if (words[e[0]], words[e[1]]) in before]),
    ],
    "arrows_turned_in_the_report": [
        matrix(wrong=lambda edges, words, before: [e[::-1] for e in edges if (words[e[1]], words[e[0]]) in before]),
    ],
    "labels_in_the_report": [
        matrix(wrong=lambda edges, words, before: [
            (words[e[0]], words[e[1]]) for e in edges if (words[e[1]], words[e[0]]) in before
        ]),
    ],
}  # fmt: skip


# tells_apart: two arrays of answers


def arrays(verdict, start=0, fixed=None, limit=None):
    def work(test, good, bad, times):
        times = limit or times
        rolls = [fixed if fixed is not None else start + k for k in range(times)]
        yes = np.array([1.0 if test(good(np.random.default_rng(s))) else 0.0 for s in rolls])
        no = np.array([1.0 if test(bad(np.random.default_rng(s))) else 0.0 for s in rolls])
        return bool(verdict(yes.mean(), no.mean()))

    return work


E = 1e-9


def one_look(test, good, bad, times):
    rng = np.random.default_rng
    return bool(test(good(rng(0)))) and not test(bad(rng(0)))


def trusted(yes, no):
    return bool(np.mean(yes) >= 0.9 - E and np.mean(no) <= 0.1 + E)


def one_stream(alternating):
    def work(test, good, bad, times):
        rng, yes, no = np.random.default_rng(0), [], []
        plan = [0, 1] * times if alternating else [0] * times + [1] * times
        for which in plan:
            (no if which else yes).append(bool(test((bad if which else good)(rng))))
        return trusted(yes, no)

    return work


def a_stream_for_each_world(test, good, bad, times):
    def said(world, rng):
        return [bool(test(world(rng))) for _ in range(times)]

    return trusted(said(good, np.random.default_rng(0)), said(bad, np.random.default_rng(0)))


def both_from_one(test, good, bad, times):
    pairs = [(lambda g: (bool(test(good(g))), bool(test(bad(g)))))(np.random.default_rng(k)) for k in range(times)]
    return trusted(*zip(*pairs))


APART = {
    "never_tried_where_the_claim_fails": [arrays(lambda a, b: a >= 0.9 - E)],
    "never_tried_where_the_claim_holds": [arrays(lambda a, b: b <= 0.1 + E)],
    "one_draw_only": [one_look, arrays(lambda a, b: a >= 0.9 - E and b <= 0.1 + E, fixed=0)],
    "one_generator_for_all": [one_stream(alternating=False), one_stream(alternating=True), a_stream_for_each_world],
    "generator_of_both_worlds": [both_from_one],
    "no_error_allowed": [arrays(lambda a, b: a == 1 and b == 0)],
    "limits_excluded": [arrays(lambda a, b: a > 0.9 + E and b < 0.1 - E)],
    "majority_is_enough": [arrays(lambda a, b: a > 0.5 > b)],
    "any_difference_is_enough": [arrays(lambda a, b: a - b > E)],
    "opposite_accepted": [arrays(lambda a, b: abs(a - b) >= 0.8 - E)],
    "difference_of_the_shares": [
        arrays(lambda a, b: a - b >= 0.8 - E),
        arrays(lambda a, b: (a + 1 - b) / 2 >= 0.9 - E),
    ],
    "answers_turned_round": [arrays(lambda a, b: b >= 0.9 - E and a <= 0.1 + E)],
    "n_ignored": [arrays(lambda a, b: a >= 0.9 - E and b <= 0.1 + E, limit=20)],
    "first_seed_left_out": [arrays(lambda a, b: a >= 0.9 - E and b <= 0.1 + E, start=1)],
    "once_is_enough": [arrays(lambda a, b: a > 0 and b <= 0.1 + E)],
}

VERSIONS = {
    "read_the_articles.verdict_table": TABLE,
    "read_the_articles.graph_check": GRAPH,
    "read_the_articles.tells_apart": APART,
}
