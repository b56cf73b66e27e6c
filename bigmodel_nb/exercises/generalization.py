"""Exercises of lesson 05."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from .engine.model import Check, Exercise, Failed, Misconception


def train_val_test_split(groups, val_share, test_share, seed):
    """Row numbers of three parts that share no group; all its randomness comes from the seed.

    groups: int array (N,), rows with the same number belong together
    val_share, test_share: shares of the *groups*, rounded to whole groups; train gets the rest
    -> train, val, test: int arrays of row numbers, in any order
    """
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    n_val = round(val_share * len(names))
    n_test = round(test_share * len(names))
    val, test = names[:n_val], names[n_val : n_val + n_test]
    in_val, in_test = np.isin(groups, val), np.isin(groups, test)
    return np.flatnonzero(~(in_val | in_test)), np.flatnonzero(in_val), np.flatnonzero(in_test)


def shuffled_label_test(pipeline, x, y, seed):
    """Whether a program finds something in labels that mean nothing.

    pipeline: function (x, y) -> train accuracy, held-out accuracy; it splits and trains by itself
    x: float array (N, C); y: int array (N,) of classes from 0
    Gives the pipeline, once, x as it is and the labels of y in an order drawn with the seed.
    -> its train accuracy, its held-out accuracy, and leak: True where the held-out accuracy is
       more than 0.1 above the share of the most frequent label in y
    """
    train, held_out = pipeline(x, np.random.default_rng(seed).permutation(y))
    most_frequent = np.bincount(y).max() / len(y)
    return train, held_out, bool(held_out > most_frequent + 0.1)


def early_stopping(losses, patience):
    """Where training stops, and whose weights are kept.

    losses: list of validation losses, one an epoch, the first is epoch 0
    patience: stop once this many epochs in a row have not gone below the best loss so far
    -> last, best: number of the last epoch that is trained (the final one if it never stops),
       number of the epoch with the best loss up to there (the earliest of equal ones)
    """
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        if epoch - best >= patience:
            return epoch, best
    return len(losses) - 1, best


def dropout(x, p, u, training):
    """Inverted dropout of activations.

    x: float array of any shape; p: probability to drop, 0 <= p < 1
    u: uniform random numbers in [0, 1), same shape as x; an entry is dropped where u < p
    training: True or False; outside training nothing is dropped
    -> float array of the same shape, whose mean over many u is x
    """
    if not training:
        return x.copy()
    return x * (u >= p) / (1 - p)


def precision_recall_f1(y, predicted, positive):
    """Precision, recall and F1 of one class, as floats; 0.0 where a denominator is 0.

    y, predicted: int arrays (N,), true and predicted classes; positive: the class that is sought
    """
    hits = np.sum((predicted == positive) & (y == positive))
    precision = hits / max(np.sum(predicted == positive), 1)
    recall = hits / max(np.sum(y == positive), 1)
    f1 = 2 * hits / max(np.sum(predicted == positive) + np.sum(y == positive), 1)
    return float(precision), float(recall), float(f1)


# train_val_test_split: any split that keeps the promises is right, so a report of them is compared


def split_report(split, groups, val_share, test_share, seed):
    """What can be said of a split without knowing which groups were drawn."""
    rows = np.array(groups)
    before = np.random.get_state()[1:3]
    parts = _row_numbers(split(groups, val_share, test_share, seed))
    after = np.random.get_state()[1:3]
    others = [_row_numbers(split(groups, val_share, test_share, seed + i)) for i in (1, 2, 3, 4, 5)]
    again = _row_numbers(split(groups, val_share, test_share, seed))
    together = np.concatenate(parts)
    inside = together[(together >= 0) & (together < len(rows))]
    return {
        "row numbers outside the data": len(inside) != len(together),
        "rows in two parts": _shared_rows(parts),
        "rows in no part": _missing(parts, rows),
        "all row numbers are below the number of groups": bool(np.max(together, initial=-1) < len(np.unique(rows))),
        "groups torn apart": _torn(parts, rows),
        "groups in train, val, test": _group_counts(parts, rows),
        "same seed, same split": _equal(parts, again),
        "other seeds, other splits": not all(_equal(parts, other) for other in others),
        "val and test hold neighbouring groups": all(_in_order(draw, rows) for draw in [parts, *others]),
        "the global generator was touched": not (
            np.array_equal(before[0], after[0]) and before[1] == after[1]
        ),
    }


def _row_numbers(result):
    if not isinstance(result, (tuple, list)) or len(result) != 3:
        raise Failed("Expected three arrays of row numbers: train, val, test.")
    parts = []
    for name, part in zip(("train", "val", "test"), result):
        if not isinstance(part, (np.ndarray, list, tuple)):
            raise Failed(f"Your {name} is a {type(part).__name__}; expected an array of row numbers.")
        part = np.asarray(part)
        if part.dtype == bool:
            raise Failed(f"Your {name} is a mask; expected row numbers (np.flatnonzero makes them).")
        if part.ndim != 1 or len(part) and part.dtype.kind not in "iu":
            raise Failed(f"Your {name} holds {part.dtype} of shape {part.shape}; expected row numbers (n,).")
        parts.append(part.astype(np.int64))
    return parts


def _clipped(part, rows):
    return part[(part >= 0) & (part < len(rows))]


def _shared_rows(parts) -> str:
    train, val, test = (set(part.tolist()) for part in parts)
    pairs = {"train and val": train & val, "train and test": train & test, "val and test": val & test}
    return ", ".join(name for name, both in pairs.items() if both) or "none"


def _missing(parts, rows) -> str:
    missing = len(rows) - len(np.unique(_clipped(np.concatenate(parts), rows)))
    return "none" if not missing else "a few" if missing <= 0.1 * len(rows) else "many"


def _torn(parts, rows) -> str:
    """How many groups stand in more than one part, roughly: it depends on the draw."""
    if _missing(parts, rows) == "many":
        return "unknown, since rows are missing"
    sets = [set(rows[_clipped(part, rows)].tolist()) for part in parts]
    torn = (sets[0] & sets[1]) | (sets[0] & sets[2]) | (sets[1] & sets[2])
    return "none" if not torn else "one or two" if len(torn) <= 2 else "many"


def _group_counts(parts, rows):
    """Groups in each part; where groups are torn or rows missing, they have no meaning."""
    if _torn(parts, rows) != "none":
        return "groups are torn, or rows missing"
    return [len(np.unique(rows[_clipped(part, rows)])) for part in parts]


def _equal(some, others) -> bool:
    return all(np.array_equal(np.sort(a), np.sort(b)) for a, b in zip(some, others))


def _in_order(parts, rows) -> bool:
    """Are val and test (of at least two groups each) runs of groups in the order of the data?"""
    if _torn(parts, rows) != "none":
        return False
    order = {name: i for i, name in enumerate(np.unique(rows).tolist())}
    runs = []
    for part in parts[1:]:
        places = sorted({order[name] for name in rows[_clipped(part, rows)].tolist()})
        if len(places) >= 2:
            runs.append(places[-1] - places[0] == len(places) - 1)
    return bool(runs) and all(runs)


def _made_groups(rng, many, largest):
    """Scattered group numbers: `many` groups of up to `largest` rows, in mixed order."""
    names = rng.choice(np.arange(1000, 10_000), size=many, replace=False)
    return rng.permutation(np.repeat(names, rng.integers(max(2, largest // 2), largest + 1, size=many)))


def _split_case(seed, many=30, largest=5, val_share=0.2, test_share=0.3, draw=3):
    return _made_groups(np.random.default_rng(seed), many, largest), val_share, test_share, draw


def _expect_split(attempt, case, why=""):
    groups, val_share, test_share, _ = case
    many = len(np.unique(groups))
    n_val, n_test = (int(share * many + 0.5) for share in (val_share, test_share))
    expected = {
        "row numbers outside the data": False,
        "rows in two parts": "none",
        "rows in no part": "none",
        "all row numbers are below the number of groups": len(groups) == many,
        "groups torn apart": "none",
        "groups in train, val, test": [many - n_val - n_test, n_val, n_test],
        "same seed, same split": True,
        "other seeds, other splits": n_val + n_test > 0,
        "val and test hold neighbouring groups": False,
        "the global generator was touched": False,
    }
    attempt.expect(case, expected, why)


def _check_split_small(attempt):
    groups = np.array([7, 7, 3, 3, 5, 5, 9, 9, 1, 1, 4, 4])
    parts = attempt(groups, 1 / 6, 2 / 6, 0, drive=_only_rows)
    if sorted(np.concatenate(parts).tolist()) != list(range(12)):
        text = "Your three parts together are not the rows 0 to 11, each once. Six groups of two rows were given."
        raise Failed(text, (groups, 1 / 6, 2 / 6, 0))
    if [len(part) for part in parts] != [6, 2, 4]:
        text = f"Your parts have {[len(part) for part in parts]} rows; expected [6, 2, 4]: 3, 1 and 2 groups of two rows."
        raise Failed(text, (groups, 1 / 6, 2 / 6, 0))


def _only_rows(split, *case):
    return _row_numbers(split(*case))


def _check_split_groups(attempt):
    for seed in range(4):
        _expect_split(attempt, _split_case(seed), "30 groups of 2 to 5 rows, in mixed order.")


def _check_split_rounding(attempt):
    for many, val_share, test_share in ((12, 0.15, 0.3), (12, 0.3, 0.15), (23, 0.2, 0.2)):
        case = _split_case(many, many, 4, val_share, test_share)
        _expect_split(attempt, case, "The shares are rounded to whole groups.")


def _check_split_edges(attempt):
    def sizes(split, *case):
        return [len(part) for part in _row_numbers(split(*case))]

    one = (np.array([4, 4, 4, 4, 4]), 0.2, 0.2, 0)
    attempt.expect(one, [5, 0, 0], "A single group can't be divided: all rows stay in train.", drive=sizes)
    rest = (np.array([1, 2, 2, 3, 3, 3]), 0.0, 0.0, 1)
    attempt.expect(rest, [6, 0, 0], "With shares of 0 everything is train.", drive=sizes)
    case = _split_case(50, 20, 1 + 1, 0.0, 0.25)
    groups = case[0]
    parts = attempt(*case, drive=_only_rows)
    if len(parts[1]) or len(np.unique(groups[parts[2]])) != 5:
        raise Failed("With val_share 0 and 20 groups, val must be empty and test must hold 5 groups.", case)


def _check_split_singles(attempt):
    """With one row a group it is a plain random split."""
    groups = np.arange(40)
    _expect_split(attempt, (groups, 0.25, 0.25, 5), "40 rows, each a group of its own.")


def _check_split_chance(attempt):
    """Every group is held out about as often as any other, whatever its size."""
    groups = np.repeat(np.arange(10), np.arange(1, 11))

    def times(split, groups, val_share, test_share, seed):
        held = np.zeros((2, 10), int)
        for i in range(300):
            for place, part in enumerate(_row_numbers(split(groups, val_share, test_share, seed + i))[1:]):
                held[place, np.unique(groups[_clipped(part, groups)])] += 1
        return bool(held.min() > 25 and held.max() < 105)

    why = "Over 300 seeds, every one of 10 groups should be drawn about 60 times for val and 60 times for test."
    attempt.expect((groups, 0.2, 0.2, 0), True, why, drive=times)


def _split_sample(rng):
    many = int(rng.integers(12, 40))
    return _made_groups(rng, many, 5), 0.2, 0.3, int(rng.integers(1000))


def _split_probes():
    return [_split_case(91, 12, 40, 0.3, 0.3, 11), _split_case(92, 14, 40, 0.3, 0.15, 12)]


def _cut(order, n_val, n_test):
    return order[n_val + n_test :], order[:n_val], order[n_val : n_val + n_test]


def _counts(groups, *shares):
    return [round(share * len(np.unique(groups))) for share in shares]


def _rows_of(groups, parts):
    return tuple(np.flatnonzero(np.isin(groups, part)) for part in parts)


def _split_rows(groups, val_share, test_share, seed):
    n = len(groups)
    return _cut(np.random.default_rng(seed).permutation(n), round(val_share * n), round(test_share * n))


def _split_rows_in_order(groups, val_share, test_share, seed):
    n = len(groups)
    return _cut(np.arange(n), round(val_share * n), round(test_share * n))


def _split_sorted_rows(groups, val_share, test_share, seed):
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    rank = {name: i for i, name in enumerate(names.tolist())}
    order = np.argsort([rank[name] for name in groups.tolist()], kind="stable")
    return _cut(order, round(val_share * len(groups)), round(test_share * len(groups)))


def _split_unseeded(groups, val_share, test_share, seed):
    names = np.random.default_rng().permutation(np.unique(groups))
    return _rows_of(groups, _cut(names, *_counts(groups, val_share, test_share)))


def _split_in_order(groups, val_share, test_share, seed):
    return _rows_of(groups, _cut(np.unique(groups), *_counts(groups, val_share, test_share)))


def _split_fixed_seed(groups, val_share, test_share, seed):
    return train_val_test_split(groups, val_share, test_share, 0)


def _split_global_seed(groups, val_share, test_share, seed):
    np.random.seed(seed)
    names = np.random.permutation(np.unique(groups))
    return _rows_of(groups, _cut(names, *_counts(groups, val_share, test_share)))


def _split_val_of_rest(groups, val_share, test_share, seed):
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    n_test = round(test_share * len(names))
    n_val = round(val_share * (len(names) - n_test))
    return _rows_of(groups, _cut(names, n_val, n_test))


def _split_swapped(groups, val_share, test_share, seed):
    train, val, test = train_val_test_split(groups, val_share, test_share, seed)
    return train, test, val


def _split_val_in_test(groups, val_share, test_share, seed):
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    n_val, n_test = _counts(groups, val_share, test_share)
    return _rows_of(groups, (names[max(n_val, n_test) :], names[:n_val], names[:n_test]))


def _split_names(groups, val_share, test_share, seed):
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    return _cut(names, *_counts(groups, val_share, test_share))


def _split_places(groups, val_share, test_share, seed):
    order = np.random.default_rng(seed).permutation(len(np.unique(groups)))
    return _cut(order, *_counts(groups, val_share, test_share))


def _split_one_row(groups, val_share, test_share, seed):
    names, first = np.unique(groups, return_index=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return tuple(first[part] for part in _cut(order, *_counts(groups, val_share, test_share)))


def _split_train_everything(groups, val_share, test_share, seed):
    _, val, test = train_val_test_split(groups, val_share, test_share, seed)
    return np.arange(len(groups)), val, test


_SPLIT_MISCONCEPTIONS = (
    Misconception(
        "groups_ignored",
        _split_rows,
        "You shuffle rows. Two rows of one group then land in different parts, and the model is asked "
        "about what it has seen. What has to be shuffled instead of rows?",
        also=(_split_rows_in_order,),
    ),
    Misconception(
        "cut_inside_a_group",
        _split_sorted_rows,
        "You bring whole groups into a random order and then cut by number of rows, so that each cut may go "
        "through a group. Where may a cut be?",
    ),
    Misconception(
        "seed_not_used",
        _split_unseeded,
        "Two calls with the same seed give two splits. Which generator do you draw from, and who seeds it?",
    ),
    Misconception(
        "not_shuffled",
        _split_in_order,
        "You take the groups in the order of their numbers. Data is often sorted, by date or by class: what "
        "would your test set consist of?",
    ),
    Misconception(
        "fixed_seed",
        _split_fixed_seed,
        "Every seed gives the same split. Does your generator get the argument `seed`, or a number of yours?",
    ),
    Misconception(
        "global_generator_seeded",
        _split_global_seed,
        "The split is right, but np.random.seed changes the random numbers of everybody else in the program. "
        "Make a generator of your own with np.random.default_rng(seed).",
    ),
    Misconception(
        "share_of_the_rest",
        _split_val_of_rest,
        "Test has its share; validation has too few groups. Of how many groups is val_share the share: of "
        "all, or of those that test left?",
    ),
    Misconception(
        "val_and_test_exchanged",
        _split_swapped,
        "The parts are well made, but their sizes are those of one another. In which order are they returned?",
    ),
    Misconception(
        "val_inside_test",
        _split_val_in_test,
        "The same groups are in validation and in test, so tuning has seen the test set. Where must the "
        "second cut begin?",
    ),
    Misconception(
        "names_instead_of_rows",
        _split_names,
        "You return the numbers of groups. How do you get from them to the rows (np.isin, np.flatnonzero)?",
    ),
    Misconception(
        "places_instead_of_rows",
        _split_places,
        "You return places in the list of groups, as if there were as many groups as rows. Which rows belong "
        "to each of them?",
    ),
    Misconception(
        "one_row_of_each_group",
        _split_one_row,
        "Most rows stand in none of your parts. Do you keep one row of a group, or throw away rows that would "
        "leak? The rows of a group stay together; none has to go.",
    ),
    Misconception(
        "train_holds_everything",
        _split_train_everything,
        "Validation and test are whole groups, but their rows are in train as well. What is the rest?",
    ),
)


# shuffled_label_test: a pipeline that only notes what it gets, and a report of that


def shuffle_report(test, scores, x, y, seed):
    """What the pipeline was given on four calls, the first two with one seed, and what came back."""
    calls = [_spied(test, scores, x, y, each) for each in (seed, seed, seed + 1, seed + 2)]
    orders = [order for _, order, _ in calls]
    return {
        "calls of the pipeline": [many for many, _, _ in calls],
        "x and labels of the pipeline": _all_described(orders, x, y),
        "same seed, same order": _same_order(orders[0], orders[1]),
        "other seeds, other orders": not (_same_order(orders[0], orders[2]) or _same_order(orders[0], orders[3])),
        "train accuracy, held-out accuracy, leak": [result for _, _, result in calls],
    }


def _spied(test, scores, x, y, seed):
    """Number of calls, the last (x, y) that the pipeline got, and what the test returned."""
    given = []

    def pipeline(some_x, some_y):
        given.append((np.array(some_x), np.array(some_y)))
        return scores

    result = test(pipeline, x, y, seed)
    if not isinstance(result, (tuple, list)) or len(result) != 3:
        raise Failed("Expected three values: train accuracy, held-out accuracy, leak.")
    train, held_out, leak = result
    if not isinstance(leak, (bool, np.bool_)):
        raise Failed(f"Your leak is a {type(leak).__name__}; expected True or False.")
    if not given:
        raise Failed("Your code never calls the pipeline.")
    if not all(isinstance(value, (float, np.floating)) for value in (train, held_out)):
        raise Failed("Your first two values are not the accuracies that the pipeline returned.")
    return len(given), given[-1], (float(train), float(held_out), bool(leak))


_OTHER_LABELS = "other labels than those of y"


def _all_described(orders, x, y) -> list[str]:
    """Labels that were drawn may by chance be as many of each kind as in y: then the other calls tell."""
    texts = [_described(order, x, y) for order in orders]
    drawn = _OTHER_LABELS in texts
    return [_OTHER_LABELS if drawn and text == "labels mixed" else text for text in texts]


def _described(order, x, y) -> str:
    some_x, some_y = order
    if some_x.shape != x.shape or some_y.shape != y.shape:
        return f"shapes {some_x.shape} and {some_y.shape}"
    if not np.array_equal(some_x, x):
        if not np.array_equal(np.sort(some_x, axis=0), np.sort(x, axis=0)):
            return "other values in x"
        together = sorted(zip(some_x[:, 0], some_y)) == sorted(zip(x[:, 0], y))
        return "rows of x moved, each with its label" if together else "rows of x moved"
    if np.array_equal(some_y, y):
        return "labels as they were"
    if not np.array_equal(np.sort(some_y), np.sort(y)):
        return _OTHER_LABELS
    by_chance = np.sum((np.bincount(y) / len(y)) ** 2)  # share that keeps its label in a random order
    kept = np.mean(some_y == y)
    return "labels mixed" if kept < by_chance + 0.7 * (1 - by_chance) else "hardly a label moved"


def _same_order(one, other) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other))


def _shuffle_case(rng, counts=(20, 20, 20), scores=(0.9, 0.5)):
    y = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return scores, rng.standard_normal((len(y), 3)), y, int(rng.integers(1000))


def _expect_shuffled(attempt, case, leak, why=""):
    (train, held_out), *_ = case
    expected = {
        "calls of the pipeline": [1] * 4,
        "x and labels of the pipeline": ["labels mixed"] * 4,
        "same seed, same order": True,
        "other seeds, other orders": True,
        "train accuracy, held-out accuracy, leak": [(train, held_out, leak)] * 4,
    }
    attempt.expect(case, expected, why)


def _check_shuffle_balanced(attempt):
    rng = np.random.default_rng(0)
    for scores, leak in (((1.0, 0.33), False), ((1.0, 0.9), True), ((0.4, 0.3), False), ((0.5, 0.5), True)):
        _expect_shuffled(attempt, _shuffle_case(rng, scores=scores), leak, "Three classes, equally frequent: chance is 1/3.")


def _check_shuffle_rare(attempt):
    rng = np.random.default_rng(1)
    why = "90 of 100 labels are equal: who always gives that one is right for 0.9."
    for scores, leak in (((1.0, 0.9), False), ((0.95, 0.93), False), ((1.0, 0.85), False)):
        _expect_shuffled(attempt, _shuffle_case(rng, (10, 90), scores), leak, why)
    _expect_shuffled(attempt, _shuffle_case(rng, (70, 30), (0.85, 0.82)), True, "70 of 100 labels are equal.")


def _check_shuffle_margin(attempt):
    rng = np.random.default_rng(2)
    for above in (-0.03, 0.03, 0.07, 0.09, 0.11, 0.13, 0.2):
        case = _shuffle_case(rng, (25, 50, 25), (1.0, 0.5 + above))
        _expect_shuffled(attempt, case, above > 0.1, f"The held-out accuracy is {above:+.2f} from the share 0.50.")


def _check_shuffle_rotation(attempt):
    """With labels that are all different one sees whether neighbours are parted."""

    def parted(test, *case):
        _, (_, mixed), _ = _spied(test, *case)
        return bool(np.mean(np.abs(np.diff(mixed)) == 1) < 0.3)

    case = ((0.5, 0.02), np.random.default_rng(3).standard_normal((60, 2)), np.arange(60), 7)
    attempt.expect(case, True, "Labels that stood side by side still do: that is no random order.", drive=parted)


def _check_shuffle_random(attempt):
    rng = np.random.default_rng(4)
    for _ in range(12):
        case = _shuffle_sample(rng)
        chance = np.bincount(case[2]).max() / len(case[2])
        _expect_shuffled(attempt, case, bool(case[0][1] > chance + 0.1))


def _shuffle_sample(rng):
    counts = rng.integers(12, 40, size=rng.integers(2, 5))
    return _shuffle_case(rng, counts, (float(rng.random()), float(rng.random())))


def _shuffle_probes():
    rng = np.random.default_rng(5)
    uneven = [(0.95, 0.65), (0.7, 0.55), (0.9, 0.35)]
    even = [(0.9, 0.55), (0.9, 0.4), (0.42, 0.4), (0.97, 0.95), (0.9, 0.47)]
    return [_shuffle_case(rng, (36, 14, 10), scores) for scores in uneven] + [
        _shuffle_case(rng, scores=scores) for scores in even
    ]


def _mixed_by(seed):
    return np.random.default_rng(seed).permutation


def _shuffled(give=None, leak=None):
    """A test of shuffled labels with its own way to mix, or its own verdict."""

    def wrong(pipeline, x, y, seed):
        given = give(x, y, seed) if give else (x, _mixed_by(seed)(y))
        train, held_out = pipeline(*given)
        share = np.bincount(y).max() / len(y)
        judged = leak(train, held_out, share, y) if leak else held_out > share + 0.1
        return train, held_out, bool(judged)

    return wrong


def _both_moved(x, y, seed):
    order = _mixed_by(seed)(len(y))
    return x[order], y[order]


def _shuffle_exchanged(pipeline, x, y, seed):
    train, held_out, leak = shuffled_label_test(pipeline, x, y, seed)
    return held_out, train, leak


_SHUFFLE_MISCONCEPTIONS = (
    Misconception(
        "labels_not_shuffled",
        _shuffled(lambda x, y, seed: (x, y)),
        "The pipeline gets the true labels, which it may well find something in. Which labels mean nothing?",
    ),
    Misconception(
        "rows_and_labels_together",
        _shuffled(_both_moved),
        "You move x and y by the same order, so every row keeps its true label. What has to come apart?",
    ),
    Misconception(
        "x_moved_instead",
        _shuffled(lambda x, y, seed: (_mixed_by(seed)(x), y)),
        "You mix the rows of x and leave y. Labels are then random too, but a pipeline that splits by place, "
        "time or group gets other rows than before. What may move is y alone.",
    ),
    Misconception(
        "new_labels_drawn",
        _shuffled(lambda x, y, seed: (x, np.random.default_rng(seed).integers(y.max() + 1, size=len(y)))),
        "Your labels are not those of y in another order: some were drawn too often, others not at all, so "
        "chance is another number. How do you keep the labels and lose their places?",
    ),
    Misconception(
        "fixed_seed",
        _shuffled(lambda x, y, seed: (x, _mixed_by(0)(y))),
        "Every seed gives the same order. Does your generator get the argument `seed`?",
    ),
    Misconception(
        "seed_not_used",
        _shuffled(lambda x, y, seed: (x, _mixed_by(None)(y))),
        "Two calls with one seed give two orders: nobody can repeat your test. np.random.default_rng(seed) "
        "makes a generator that begins the same way each time.",
    ),
    Misconception(
        "train_accuracy_judged",
        _shuffled(leak=lambda train, held_out, share, y: train > share + 0.1),
        "You judge by the train accuracy. A large model remembers any labels: is that a leak? Which accuracy "
        "can't be high without one?",
    ),
    Misconception(
        "gap_judged",
        _shuffled(leak=lambda train, held_out, share, y: train - held_out > 0.1),
        "You judge by the gap between the two. A gap means memory; a leak shows where there is *no* gap. With "
        "what is the held-out accuracy to be compared?",
    ),
    Misconception(
        "equal_classes_assumed",
        _shuffled(leak=lambda train, held_out, share, y: held_out > 1 / (y.max() + 1) + 0.1),
        "You take 1 / number of classes for chance. Let 90 of 100 labels be equal: what does a model reach "
        "that always gives that label?",
    ),
    Misconception(
        "one_half_assumed",
        _shuffled(leak=lambda train, held_out, share, y: held_out > 0.5),
        "You compare with 0.5, whatever the labels are. With ten equal classes 0.45 is far above chance.",
        also=(_shuffled(leak=lambda train, held_out, share, y: held_out > 0.6),),
    ),
    Misconception(
        "no_margin",
        _shuffled(leak=lambda train, held_out, share, y: held_out > share),
        "Every other honest run lies a little above chance. How large a margin does the docstring give?",
    ),
    Misconception(
        "verdict_reversed",
        _shuffled(leak=lambda train, held_out, share, y: held_out <= share + 0.1),
        "Your verdict is the wrong way round: True says that there *is* a leak.",
    ),
    Misconception(
        "accuracies_exchanged",
        _shuffle_exchanged,
        "The verdict is right; the two accuracies have changed places. In which order does the pipeline give them?",
    ),
)


# early_stopping


def _stop_oracle(losses, patience):
    """By the definition, looking at every beginning of the list."""
    for last in range(len(losses)):
        seen = losses[: last + 1]
        best = seen.index(min(seen))
        if last - best >= patience:
            return last, best
    return len(losses) - 1, losses.index(min(losses))


def _check_stop_by_hand(attempt):
    losses = [1.0, 0.6, 0.5, 0.7, 0.55, 0.8, 0.4]
    attempt.expect((losses, 3), (5, 2), "Epochs 3, 4 and 5 did not go below 0.5.")
    attempt.expect((losses, 2), (4, 2), "Epochs 3 and 4 did not go below 0.5.")


def _check_stop_never(attempt):
    attempt.expect(([0.9, 0.8, 0.7, 0.6], 2), (3, 3), "The loss falls to the end.")
    attempt.expect(([0.9, 0.5, 0.7, 0.6], 3), (3, 1), "The list ends before the patience does.")
    attempt.expect(([0.3], 1), (0, 0), "A single epoch.")


def _check_stop_ties(attempt):
    attempt.expect(([0.5, 0.5, 0.5, 0.4], 2), (2, 0), "Equal is not below.")
    attempt.expect(([0.5, 0.4, 0.6, 0.4, 0.6, 0.3], 3), (4, 1), "Equal is not below.")


def _check_stop_resets(attempt):
    losses = [1.0, 1.1, 0.9, 1.0, 0.8, 0.9, 0.7, 0.8, 0.9, 0.6]
    attempt.expect((losses, 2), (8, 6), "Each new best begins the count anew.")
    small = [0.5, 0.49999, 0.49998, 0.49997, 0.6]
    attempt.expect((small, 2), (4, 3), "Each of the first four is below the one before, by very little.")


def _check_stop_random(attempt):
    rng = np.random.default_rng(5)
    for _ in range(60):
        case = _stop_sample(rng)
        attempt.expect(case, _stop_oracle(*case))


def _stop_sample(rng):
    n = int(rng.integers(1, 25))
    losses = np.abs(np.linspace(1, 0.2, n) + 0.25 * rng.standard_normal(n)).round(1)
    return losses.tolist(), int(rng.integers(1, 6))


def _stop_probes():
    return [
        ([2.0, 1.5, 1.6, 1.4, 1.45, 1.42, 1.41, 1.3, 1.0], 3),
        ([1.0, 1.2, 0.9, 1.0, 0.8, 0.8, 0.9, 0.7, 0.9, 0.85, 0.84, 0.5], 3),
        ([0.9, 0.8, 0.85, 0.7, 0.75], 2),
        ([3.0, 2.0, 2.0, 2.0, 2.0, 1.0, 4.0], 2),
    ]


def _stop_last(losses, patience):
    last, _ = early_stopping(losses, patience)
    return last, last


def _stop_previous(losses, patience):
    bad = 0
    for epoch in range(1, len(losses)):
        bad = 0 if losses[epoch] < losses[epoch - 1] else bad + 1
        if bad >= patience:
            return epoch, _first_best(losses, epoch)
    return len(losses) - 1, _first_best(losses, len(losses) - 1)


def _first_best(losses, last):
    return min(range(last + 1), key=lambda epoch: losses[epoch])


def _stop_first_rise(losses, patience):
    return early_stopping(losses, 1)


def _stop_no_reset(losses, patience):
    best, bad = 0, 0
    for epoch in range(1, len(losses)):
        if losses[epoch] < losses[best]:
            best = epoch
        else:
            bad += 1
        if bad >= patience:
            return epoch, best
    return len(losses) - 1, best


def _stop_late(losses, patience):
    return early_stopping(losses, patience + 1)


def _stop_early(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch > 0 and epoch - best >= patience - 1:
            return epoch, best
    return len(losses) - 1, best


def _stop_ties(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss <= losses[best]:
            best = epoch
        if epoch - best >= patience:
            return epoch, best
    return len(losses) - 1, best


def _stop_future(losses, patience):
    last, _ = early_stopping(losses, patience)
    return last, _first_best(losses, len(losses) - 1)


def _stop_maximum(losses, patience):
    return early_stopping([-loss for loss in losses], patience)


def _stop_from_one(losses, patience):
    last, best = early_stopping(losses, patience)
    return last + 1, best + 1


def _stop_count(losses, patience):
    last, best = early_stopping(losses, patience)
    return last + 1, best


def _stop_minus_patience(losses, patience):
    last, _ = early_stopping(losses, patience)
    return last, last - patience


def _stop_swapped(losses, patience):
    return early_stopping(losses, patience)[::-1]


_STOP_MISCONCEPTIONS = (
    Misconception(
        "last_weights_kept",
        _stop_last,
        "You stop in the right place and keep the weights of that epoch. They are `patience` epochs past the "
        "best ones: which epoch's weights do you want?",
    ),
    Misconception(
        "compared_with_the_previous_epoch",
        _stop_previous,
        "You count rises against the epoch before. A loss that goes up and down above its best then never "
        "stops. With what is each loss to be compared?",
    ),
    Misconception(
        "patience_ignored",
        _stop_first_rise,
        "You stop at the first epoch that is not better. Validation losses jump about: how many such epochs "
        "in a row does `patience` allow?",
    ),
    Misconception(
        "count_never_reset",
        _stop_no_reset,
        "You count all bad epochs of the run. They must come in a row: what does a new best do to the count?",
    ),
    Misconception(
        "one_epoch_late",
        _stop_late,
        "You stop one epoch late. After `patience` epochs without a new best, is one more needed?",
    ),
    Misconception(
        "one_epoch_early",
        _stop_early,
        "You stop one epoch early. Is the best epoch itself among the `patience` epochs without improvement?",
    ),
    Misconception(
        "ties_are_improvements",
        _stop_ties,
        "You take an equal loss for a new best, so a loss that stays the same is trained on for ever. Is "
        "`<=` the comparison that the docstring asks for?",
    ),
    Misconception(
        "looks_into_the_future",
        _stop_future,
        "Your best epoch lies after the stop, where no training has taken place. Which losses are known then?",
    ),
    Misconception(
        "larger_is_better",
        _stop_maximum,
        "You keep the epoch with the largest value. That suits accuracy; these are losses.",
    ),
    Misconception(
        "counted_from_one",
        _stop_from_one,
        "Both numbers are one too large. Which number has the first epoch?",
    ),
    Misconception(
        "how_many_instead_of_which",
        _stop_count,
        "Your first number is how many epochs were trained; the docstring asks for the number of the last one.",
    ),
    Misconception(
        "best_from_patience",
        _stop_minus_patience,
        "You compute the best epoch as the last minus `patience`. That fails when training never stops early: "
        "keep the number of the best epoch as you go.",
    ),
    Misconception(
        "results_exchanged",
        _stop_swapped,
        "Right numbers, other order: first the last epoch trained, then the best.",
    ),
)


# dropout


def _drop_oracle(x, p, u, training):
    """One entry at a time."""
    out = []
    for value, chance in zip(x.ravel().tolist(), u.ravel().tolist()):
        out.append(value if not training else 0.0 if chance < p else value / (1 - p))
    return np.array(out, dtype=float).reshape(x.shape)


def _check_drop_by_hand(attempt):
    x, u = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.1, 0.6, 0.3, 0.9])
    attempt.expect((x, 0.5, u, True), np.array([0.0, 4.0, 0.0, 8.0]), "0.1 and 0.3 are below p = 0.5.")
    attempt.expect((x, 0.25, u, True), np.array([0.0, 8 / 3, 4.0, 16 / 3]), "Only 0.1 is below p = 0.25.")


def _check_drop_test_time(attempt):
    rng = np.random.default_rng(1)
    for shape in ((5,), (3, 4), (2, 3, 2)):
        x = rng.standard_normal(shape)
        attempt.expect((x, 0.4, rng.random(shape), False), x.copy(), "Outside training x goes through unchanged.")


def _check_drop_edges(attempt):
    x = np.array([1.0, -2.0, 0.0, 5.0])
    u = np.array([0.0, 0.5, 0.25, 0.75])
    attempt.expect((x, 0.0, u, True), x.copy(), "p = 0 drops nothing.")
    attempt.expect((x, 0.5, u, True), np.array([0.0, -4.0, 0.0, 10.0]), "u = p is kept: only u < p is dropped.")
    attempt.expect((np.zeros((0, 3)), 0.5, np.zeros((0, 3)), True), np.zeros((0, 3)), "No rows.")
    attempt.expect((x, 0.9, np.full(4, 0.5), True), np.zeros(4), "Here everything is dropped.")


def _check_drop_random(attempt):
    rng = np.random.default_rng(2)
    for _ in range(12):
        case = _drop_sample(rng)
        attempt.expect(case, _drop_oracle(*case))


def _check_drop_mean(attempt):
    """The mean over many masks is x."""
    x = np.array([[1.0, -2.0, 0.5], [3.0, 0.1, -1.0]])
    n = 20_000
    many = np.broadcast_to(x, (n, 2, 3)).copy()
    u = np.random.default_rng(3).random((n, 2, 3))
    mean = np.asarray(attempt(many, 0.3, u, True)).mean(0)
    if mean.shape != x.shape or np.abs(mean - x).max() > 0.06:
        raise Failed(f"The mean over {n:,} masks should be x, {x[0, 0]:g} in its first place; yours is not.")


def _drop_sample(rng):
    shape = tuple(int(n) for n in rng.integers(1, 6, size=rng.integers(1, 4)))
    x, u = 3 * rng.standard_normal(shape), rng.random(shape)
    return x, float(rng.choice([0.1, 0.3, 0.5, 0.8])), u, bool(rng.random() < 0.75)


def _drop_probes():
    rng = np.random.default_rng(7)
    x, u = rng.standard_normal((4, 6)), rng.random((4, 6))
    return [(x, 0.3, u, True), (x, 0.3, u, False), (x + 1, 0.6, u[::-1].copy(), True)]


def _drop(keep, scale, test=lambda x, p: x.copy()):
    """A dropout with its own rule for what is kept, for the scale, and for test time."""

    def wrong(x, p, u, training):
        if not training:
            return test(x, p)
        kept = keep(u, p)
        return x * kept * scale(p, kept)

    return wrong


def _is_kept(u, p):
    return u >= p


def _is_dropped(u, p):
    return u < p


def _inverse(p, kept):
    return 1 / (1 - p)


def _drop_always(x, p, u, training):
    return dropout(x, p, u, True)


def _drop_reversed(x, p, u, training):
    return dropout(x, p, u, not training)


_DROP_MISCONCEPTIONS = (
    Misconception(
        "not_scaled",
        _drop(_is_kept, lambda p, kept: 1.0),
        "The right entries are zero, but the others are not larger, so the next layer gets less in training "
        "than at test time. By what must the kept entries be divided for the mean to stay x?",
    ),
    Misconception(
        "scaled_at_test_time",
        _drop(_is_kept, lambda p, kept: 1.0, lambda x, p: x * (1 - p)),
        "You shrink at test time, as the first papers did. *Inverted* dropout leaves test time alone: where "
        "does the factor go then, and which way up?",
    ),
    Misconception(
        "scaled_in_both",
        _drop(_is_kept, _inverse, lambda x, p: x * (1 - p)),
        "Training is right. At test time you shrink as well, though the mean was already kept in training.",
    ),
    Misconception(
        "multiplied_by_keep_probability",
        _drop(_is_kept, lambda p, kept: 1 - p),
        "You multiply the kept entries by 1 - p. Fewer entries must add up to the same: larger or smaller?",
    ),
    Misconception(
        "divided_by_p",
        _drop(_is_kept, lambda p, kept: 1 / p),
        "You divide by p. What share of the entries survives, p or 1 - p?",
    ),
    Misconception(
        "p_is_what_is_kept",
        _drop(_is_dropped, lambda p, kept: 1 / p),
        "You keep the entries with u < p. Here p is the probability to drop, as in torch.nn.Dropout.",
        also=(_drop(_is_dropped, _inverse), _drop(_is_dropped, lambda p, kept: 1.0)),
    ),
    Misconception(
        "never_off",
        _drop_always,
        "You drop at test time as well, so the same image gets another answer on each call. What is the "
        "argument `training` for?",
    ),
    Misconception(
        "training_reversed",
        _drop_reversed,
        "You drop at test time and not in training. Which value of `training` leaves x alone?",
    ),
    Misconception(
        "one_mask_for_all_rows",
        _drop(lambda u, p: u[0] >= p, _inverse),
        "All rows lose the same entries. Each entry of x has its own random number in u.",
    ),
    Misconception(
        "scaled_by_what_survived",
        _drop(_is_kept, lambda p, kept: 1 / np.mean(kept)),
        "You divide by the share that survived this time. It differs from call to call, and is 0 when all are "
        "dropped. Which fixed number is its mean?",
    ),
)


# precision_recall_f1


def _prf_oracle(y, predicted, positive):
    """Counted one at a time, in fractions."""
    hits = false_alarms = missed = 0
    for true, said in zip(y.tolist(), predicted.tolist()):
        hits += true == positive == said
        false_alarms += said == positive != true
        missed += true == positive != said
    precision = Fraction(hits, hits + false_alarms) if hits + false_alarms else Fraction(0)
    recall = Fraction(hits, hits + missed) if hits + missed else Fraction(0)
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else Fraction(0)
    return float(precision), float(recall), float(f1)


def _labels(*values):
    return np.array(values, dtype=np.int64)


def _check_prf_by_hand(attempt):
    y, predicted = _labels(1, 1, 1, 1, 0, 0, 0, 0, 0, 0), _labels(1, 1, 0, 0, 1, 0, 0, 0, 0, 0)
    attempt.expect((y, predicted, 1), (2 / 3, 2 / 4, 4 / 7), "2 of 3 alarms are right; 2 of 4 cases are found.")
    attempt.expect((y, predicted, 0), (5 / 7, 5 / 6, 10 / 13), "The same predictions, with class 0 sought.")


def _check_prf_empty(attempt):
    why = "A denominator of 0 gives 0.0."
    attempt.expect((_labels(1, 0, 1), _labels(0, 0, 0), 1), (0.0, 0.0, 0.0), f"Nothing was predicted positive. {why}")
    attempt.expect((_labels(0, 0, 0), _labels(0, 1, 0), 1), (0.0, 0.0, 0.0), f"There is nothing to find. {why}")
    attempt.expect((_labels(0, 0), _labels(0, 0), 1), (0.0, 0.0, 0.0), f"Neither there nor predicted. {why}")
    attempt.expect((_labels(1, 0), _labels(0, 1), 1), (0.0, 0.0, 0.0), f"All wrong. {why}")


def _check_prf_perfect(attempt):
    y = _labels(2, 0, 1, 2, 2)
    case = (y, y.copy(), 2)
    got = attempt.expect(case, (1.0, 1.0, 1.0), "Everything is right.")
    for name, value in zip(("precision", "recall", "F1"), got):
        if abs(value - 1) > 1e-12:
            text = f"Everything is right, and your {name} is {float(value):.12f}; expected 1."
            raise Failed(f"{text} A small constant below the line changes every result: ask for the 0 instead.", case)


def _check_prf_classes(attempt):
    y, predicted = _labels(7, 7, 3, 3, 5, 5, 5, 7), _labels(7, 3, 3, 5, 5, 5, 7, 7)
    for positive in (3, 5, 7):
        case = (y, predicted, positive)
        attempt.expect(case, _prf_oracle(*case), "Several classes; one of them is sought.")


def _check_prf_random(attempt):
    rng = np.random.default_rng(4)
    for _ in range(40):
        case = _prf_sample(rng)
        attempt.expect(case, _prf_oracle(*case))


def _prf_sample(rng):
    n, classes = int(rng.integers(1, 40)), int(rng.integers(2, 5))
    y = rng.integers(classes, size=n)
    predicted = np.where(rng.random(n) < 0.5, y, rng.integers(classes, size=n))
    return y, predicted, int(rng.integers(classes))


def _prf_probes():
    y = np.repeat([1, 0, 2], [10, 24, 9])
    predicted = np.concatenate([np.repeat([1, 0, 2], [7, 2, 1]), np.repeat([1, 0, 2], [5, 17, 2]), np.repeat([1, 0, 2], [1, 3, 5])])
    return [(y, predicted, 1), (y, predicted, 2), (_labels(1, 0, 1, 0), _labels(0, 0, 0, 0), 1)]


def _table(y, predicted, positive):
    """Hits, false alarms, missed, rightly refused."""
    y, predicted = y == positive, predicted == positive
    return [int(np.sum(a & b)) for a, b in ((y, predicted), (~y, predicted), (y, ~predicted), (~y, ~predicted))]


def _share(a, b):
    return a / b if b else 0.0


def _harmonic(a, b):
    return _share(2 * a * b, a + b)


def _prf(measure):
    """A wrong answer from the four counts."""
    return lambda y, predicted, positive: tuple(map(float, measure(*_table(y, predicted, positive))))


def _with_f1(precision, recall):
    return precision, recall, _harmonic(precision, recall)


def _both(hits, alarms, missed):
    return _share(hits, hits + alarms), _share(hits, hits + missed)


def _f1_by(mean):
    return _prf(lambda a, b, c, d: (*_both(a, b, c), mean(*_both(a, b, c))))


def _prf_accuracy(y, predicted, positive):
    accuracy = float(np.mean(y == predicted))
    return accuracy, accuracy, accuracy


def _prf_always_one(y, predicted, positive):
    return precision_recall_f1(y, predicted, 1)


def _prf_macro(y, predicted, positive):
    every = [precision_recall_f1(y, predicted, c) for c in np.unique(np.concatenate([y, predicted]))]
    return tuple(float(value) for value in np.mean(every, axis=0))


def _prf_nan(y, predicted, positive):
    hits, alarms, missed, _ = _table(y, predicted, positive)
    precision = hits / (hits + alarms) if hits + alarms else math.nan
    recall = hits / (hits + missed) if hits + missed else math.nan
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else math.nan
    return precision, recall, f1


def _prf_raises(y, predicted, positive):
    hits, alarms, missed, _ = _table(y, predicted, positive)
    precision, recall = hits / (hits + alarms), hits / (hits + missed)
    return precision, recall, 2 * precision * recall / (precision + recall)


def _prf_ones(y, predicted, positive):
    hits, alarms, missed, _ = _table(y, predicted, positive)
    return _with_f1(hits / (hits + alarms) if hits + alarms else 1.0, hits / (hits + missed) if hits + missed else 1.0)


_PRF_MISCONCEPTIONS = (
    Misconception(
        "precision_and_recall_exchanged",
        _prf(lambda a, b, c, d: _with_f1(*_both(a, b, c)[::-1])),
        "Precision and recall have changed places. Precision asks of what you *said*, recall of what is *there*.",
    ),
    Misconception(
        "plain_mean_for_f1",
        _f1_by(lambda p, r: (p + r) / 2),
        "Precision and recall are right; your F1 is their plain mean, which forgives one of them being 0. "
        "F1 is the harmonic mean.",
    ),
    Misconception(
        "geometric_mean_for_f1",
        _f1_by(lambda p, r: (p * r) ** 0.5),
        "Precision and recall are right; your F1 is their geometric mean. F1 is the harmonic mean: two over "
        "the sum of the reciprocals.",
    ),
    Misconception(
        "two_forgotten_in_f1",
        _f1_by(lambda p, r: _share(p * r, p + r)),
        "Precision and recall are right; your F1 is half of what it should be. What is F1 when both are 1?",
    ),
    Misconception(
        "product_for_f1",
        _f1_by(lambda p, r: p * r),
        "Precision and recall are right; your F1 is their product. Which mean of the two is meant?",
    ),
    Misconception(
        "accuracy",
        _prf_accuracy,
        "You return the share of right answers over all classes. That is accuracy; the class that is sought "
        "plays no part in it.",
    ),
    Misconception(
        "true_negatives_counted",
        _prf(lambda a, b, c, d: _with_f1(_share(a + d, a + b + d), _share(a + d, a + c + d))),
        "You count rightly refused rows as hits. Neither precision nor recall looks at them: a rare class "
        "would look fine by refusing all.",
    ),
    Misconception(
        "other_class_sought",
        _prf(lambda a, b, c, d: _with_f1(*_both(d, c, b))),
        "Those are the measures for the rest: everything that is *not* `positive`. Compare with == positive.",
    ),
    Misconception(
        "specificity_for_recall",
        _prf(lambda a, b, c, d: _with_f1(_share(a, a + b), _share(d, d + b))),
        "Precision is right; in place of recall you have the share of the *other* rows that were refused. "
        "Recall divides the hits by all rows of the class.",
    ),
    Misconception(
        "divided_by_all_rows",
        _prf(lambda a, b, c, d: _with_f1(_share(a, a + b + c + d), _share(a, a + b + c + d))),
        "You divide by the number of all rows. Of which rows is precision the share, and of which recall?",
    ),
    Misconception(
        "positive_is_always_one",
        _prf_always_one,
        "You look for class 1 whatever `positive` says.",
    ),
    Misconception(
        "mean_over_classes",
        _prf_macro,
        "You average over all classes (the macro average). Asked for is one class, `positive`.",
    ),
    Misconception(
        "nothing_found_is_nan",
        _prf_nan,
        "All is right until a denominator is 0: then you return nan or raise. The docstring says 0.0.",
        also=(_prf_raises,),
    ),
    Misconception(
        "nothing_found_is_perfect",
        _prf_ones,
        "All is right until nothing is predicted positive: then you give a precision of 1. The docstring says 0.0.",
    ),
)

EXERCISES = (
    Exercise(
        id="generalization.train_val_test_split",
        reference=train_val_test_split,
        difficulty=3,
        minutes=15,
        section="A split that leaks",
        hints=(
            "Shuffle groups, not rows: np.unique(groups) gives each group once, and "
            "np.random.default_rng(seed).permutation(...) a random order that depends on the seed only.",
            "Cut that list of groups: the first round(val_share * G) are validation, the next "
            "round(test_share * G) are test, the rest is train.",
            "np.isin(groups, chosen) marks the rows of the chosen groups; np.flatnonzero turns the marks into "
            "row numbers.",
        ),
        checks=(
            Check("six groups by hand", _check_split_small),
            Check("groups stay together", _check_split_groups),
            Check("whole groups", _check_split_rounding),
            Check("edge cases", _check_split_edges),
            Check("single rows", _check_split_singles),
            Check("every group has its chance", _check_split_chance),
        ),
        misconceptions=_SPLIT_MISCONCEPTIONS,
        probes=_split_probes,
        sample=_split_sample,
        drive=split_report,
    ),
    Exercise(
        id="generalization.shuffled_label_test",
        reference=shuffled_label_test,
        difficulty=2,
        minutes=10,
        section="A program that leaks",
        hints=(
            "np.random.default_rng(seed).permutation(y) is a new array with the same labels in another order.",
            "Call pipeline(x, mixed) once; it returns train accuracy and held-out accuracy.",
            "np.bincount(y).max() / len(y) is the share of the most frequent label. leak is whether the "
            "held-out accuracy is above that share + 0.1.",
        ),
        checks=(
            Check("three equal classes", _check_shuffle_balanced),
            Check("a rare class", _check_shuffle_rare),
            Check("the margin", _check_shuffle_margin),
            Check("a random order", _check_shuffle_rotation),
            Check("random scores", _check_shuffle_random),
        ),
        misconceptions=_SHUFFLE_MISCONCEPTIONS,
        probes=_shuffle_probes,
        sample=_shuffle_sample,
        drive=shuffle_report,
        arguments=lambda scores, x, y, seed: (lambda some_x, some_y: scores, x, y, seed),
    ),
    Exercise(
        id="generalization.early_stopping",
        reference=early_stopping,
        difficulty=2,
        minutes=10,
        section="Stop in time",
        returns=("last", "best"),
        hints=(
            "Walk through the losses once and remember one thing: the epoch of the best loss so far.",
            "At every epoch ask two questions. Is this loss below the best? If not, how many epochs ago was the best?",
            "`epoch - best >= patience` says stop: return (epoch, best). After the loop, return "
            "(len(losses) - 1, best).",
        ),
        checks=(
            Check("seven epochs by hand", _check_stop_by_hand),
            Check("never stopped", _check_stop_never),
            Check("equal losses", _check_stop_ties),
            Check("a new best", _check_stop_resets),
            Check("random losses", _check_stop_random),
        ),
        misconceptions=_STOP_MISCONCEPTIONS,
        probes=_stop_probes,
        sample=_stop_sample,
    ),
    Exercise(
        id="generalization.dropout",
        reference=dropout,
        difficulty=2,
        minutes=8,
        section="Dropout",
        hints=(
            "Two cases. Outside training the result is x. In training, entries with u < p become 0.",
            "A share 1 - p survives on average. Divide the survivors so that the mean over many u is x again.",
            "x * (u >= p) / (1 - p): the comparison gives True and False, which count as 1 and 0.",
        ),
        checks=(
            Check("four numbers by hand", _check_drop_by_hand),
            Check("outside training", _check_drop_test_time),
            Check("edge cases", _check_drop_edges),
            Check("random arrays", _check_drop_random),
            Check("mean over masks", _check_drop_mean),
        ),
        misconceptions=_DROP_MISCONCEPTIONS,
        probes=_drop_probes,
        sample=_drop_sample,
    ),
    Exercise(
        id="generalization.precision_recall_f1",
        reference=precision_recall_f1,
        difficulty=2,
        minutes=10,
        section="More than accuracy",
        returns=("precision", "recall", "f1"),
        hints=(
            "Count three things: hits (sought and said), false alarms (said, not so), missed (so, not said).",
            "Precision is hits / (hits + false alarms), recall is hits / (hits + missed).",
            "F1 = 2 * precision * recall / (precision + recall). Return 0.0 wherever you would divide by 0.",
        ),
        checks=(
            Check("ten rows by hand", _check_prf_by_hand),
            Check("nothing to divide by", _check_prf_empty),
            Check("all right", _check_prf_perfect),
            Check("several classes", _check_prf_classes),
            Check("random labels", _check_prf_random),
        ),
        misconceptions=_PRF_MISCONCEPTIONS,
        probes=_prf_probes,
        sample=_prf_sample,
    ),
)
