"""Each misconception once more, in another style and with other names."""

import math
import random

import numpy as np

# train_val_test_split


class Splitter:
    """Deals out shuffled groups from dictionaries; every mistake is a switch."""

    def __init__(self, shuffle=True, seed=None, rest=False, order="train val test", start=None, whole=True,
                 give="rows", train_all=False):
        self.__dict__.update(locals())

    def generator(self, seed):
        if self.seed == "none":
            return random.Random()
        return random.Random(seed if self.seed is None else self.seed)

    def __call__(self, groups, val_share, test_share, seed):
        members = {}
        for row, name in enumerate(groups.tolist()):
            members.setdefault(name, []).append(row)
        names = sorted(members)
        if self.shuffle:
            self.generator(seed).shuffle(names)
        n_test = int(test_share * len(names) + 0.5)
        n_val = int(val_share * (len(names) - n_test if self.rest else len(names)) + 0.5)
        start = n_val if self.start is None else self.start
        dealt = {"val": names[:n_val], "test": names[start : start + n_test]}
        held = {*dealt["val"], *dealt["test"]}
        dealt["train"] = names if self.train_all else [name for name in names if name not in held]
        if self.give == "names":
            return tuple(np.array(dealt[part], dtype=int) for part in self.order.split())
        rows = lambda part: [row for name in dealt[part] for row in members[name][: None if self.whole else 1]]  # noqa: E731
        return tuple(np.array(rows(part), dtype=int) for part in self.order.split())


def shuffled_rows(groups, val_share, test_share, seed):
    rows = list(range(len(groups)))
    random.Random(seed).shuffle(rows)
    a, b = round(val_share * len(rows)), round((val_share + test_share) * len(rows))
    return np.array(rows[b:]), np.array(rows[:a]), np.array(rows[a:b])


def rows_from_the_front(groups, val_share, test_share, seed):
    a, b = np.cumsum([round(val_share * len(groups)), round(test_share * len(groups))])
    val, test, train = np.split(np.arange(len(groups)), [a, b])
    return train, val, test


def leaking_rows_thrown_away(groups, val_share, test_share, seed):
    train, val, test = shuffled_rows(groups, val_share, test_share, seed)
    clean = lambda part: part[~np.isin(groups[part], groups[train])]  # noqa: E731
    return train, clean(val), clean(test)


def chained_groups_cut_by_rows(groups, val_share, test_share, seed):
    names = list(set(groups.tolist()))
    random.Random(seed).shuffle(names)
    rows = np.concatenate([np.flatnonzero(groups == name) for name in names])
    a, b = round(val_share * len(rows)), round((val_share + test_share) * len(rows))
    return rows[b:], rows[:a], rows[a:b]


def legacy_seed(groups, val_share, test_share, seed):
    names = np.unique(groups)
    np.random.seed(seed)
    np.random.shuffle(names)
    a = int(val_share * len(names) + 0.5)
    b = a + int(test_share * len(names) + 0.5)
    return tuple(np.flatnonzero(np.isin(groups, n)) for n in (names[b:], names[:a], names[a:b]))


def numbers_of_groups(groups, val_share, test_share, seed):
    places = list(range(len(set(groups.tolist()))))
    random.Random(seed).shuffle(places)
    a = int(val_share * len(places) + 0.5)
    b = a + int(test_share * len(places) + 0.5)
    return np.array(places[b:]), np.array(places[:a]), np.array(places[a:b])


# shuffled_label_test


class Shuffler:
    """Mixes with the random module and counts by dictionary; every mistake is a switch."""

    def __init__(self, labels="mixed", rows="kept", seed=None, judge=lambda train, held, share, k: held - share > 0.1,
                 order=(0, 1)):
        self.__dict__.update(locals())

    def __call__(self, pipeline, x, y, seed):
        if self.seed == "none":
            rng = random.Random()
        else:
            rng = random.Random(seed if self.seed is None else self.seed)
        places = list(range(len(y)))
        rng.shuffle(places)
        kinds = sorted(set(y.tolist()))
        new = {"new": kinds, "again": y.tolist()}  # from all classes alike, or from y with replacement
        if self.labels in new:
            labels = np.array(rng.choices(new[self.labels], k=len(y)))
        else:
            labels = {"mixed": y[places], "kept": y}[self.labels]
        scores = pipeline(x if self.rows == "kept" else x[places], labels)
        share = max(y.tolist().count(kind) for kind in kinds) / len(y)
        leak = bool(self.judge(*scores, share, len(kinds)))
        return scores[self.order[0]], scores[self.order[1]], leak


# early_stopping


class Stopper:
    """Counts bad epochs; every mistake is a switch."""

    def __init__(self, against="best", reset=True, extra=0, patience=None, better=lambda a, b: a < b,
                 keep="best", offset=(0, 0), swap=False):
        self.__dict__.update(locals())

    def __call__(self, losses, patience):
        patience = (self.patience or patience) + self.extra
        lowest, where, bad, last = losses[0], 0, 0, len(losses) - 1
        for t in range(1, len(losses)):
            reference = lowest if self.against == "best" else losses[t - 1]
            good = self.better(losses[t], reference)
            bad = (0 if self.reset else bad) if good else bad + 1
            if self.better(losses[t], lowest):
                lowest, where = losses[t], t
            if bad >= patience and not (good and patience <= 0):
                last = t
                break
        kept = {"best": where, "last": last, "all": int(np.argmin(losses))}.get(self.keep, last - patience)
        result = last + self.offset[0], kept + self.offset[1]
        return result[::-1] if self.swap else result


def early_by_one(losses, patience):
    low, at, waited = math.inf, 0, 0
    for t, loss in enumerate(losses):
        waited += 1
        if loss < low:
            low, at, waited = loss, t, 1
        elif waited >= patience:
            return t, at
    return t, at


# dropout


class Dropper:
    """Entry by entry; every mistake is a switch."""

    def __init__(self, keep=lambda u, p: not u < p, train=lambda p: 1 / (1 - p), test=lambda p: 1.0, when=lambda t: t):
        self.__dict__.update(locals())

    def __call__(self, x, p, u, training):
        out = np.empty_like(x)
        for place in np.ndindex(x.shape):
            if not self.when(training):
                out[place] = x[place] * self.test(p)
            else:
                out[place] = x[place] * self.train(p) if self.keep(u[place], p) else 0.0
        return out


def mask_of_the_first_row(x, p, u, training):
    mask = np.where(u[:1] < p, 0, 1 / (1 - p))
    return x * mask if training else x + 0


def share_that_survived(x, p, u, training):
    if training:
        kept = ~(u < p)
        return np.where(kept, x * kept.size / max(kept.sum(), 1), 0)
    return x + 0


# precision_recall_f1


class Counts:
    """From a confusion table in a dictionary; `measure` holds the mistake."""

    def __init__(self, measure, pick=None):
        self.measure, self.pick = measure, pick

    def __call__(self, y, predicted, positive):
        sought = positive if self.pick is None else self.pick
        table = {(a, b): 0 for a in (0, 1) for b in (0, 1)}
        for a, b in zip(y, predicted):
            table[int(a == sought), int(b == sought)] += 1
        result = self.measure(table[1, 1], table[0, 1], table[1, 0], table[0, 0])
        return tuple(float(v) for v in result)


def divide(a, b, otherwise=0.0):
    try:
        return a / b
    except ZeroDivisionError:
        return otherwise


def pr(tp, fp, fn):
    return divide(tp, tp + fp), divide(tp, tp + fn)


def harmonic(p, r):
    return 0.0 if not p or not r else 2 / (1 / p + 1 / r)


def f1_as(mean):
    return Counts(lambda tp, fp, fn, tn: (*pr(tp, fp, fn), mean(*pr(tp, fp, fn))))


def all_three(p, r):
    return p, r, harmonic(p, r)


def right_answers(y, predicted, positive):
    share = sum(a == b for a, b in zip(y.tolist(), predicted.tolist())) / len(y)
    return share, share, share


def macro(y, predicted, positive):
    every = [Counts(lambda tp, fp, fn, tn: all_three(*pr(tp, fp, fn)))(y, predicted, c) for c in sorted({*y, *predicted})]
    return tuple(sum(column) / len(every) for column in zip(*every))


def numpy_division(y, predicted, positive):
    with np.errstate(all="ignore"):
        tp = np.float64(((y == positive) & (predicted == positive)).sum())
        p, r = tp / (predicted == positive).sum(), tp / (y == positive).sum()
        return float(p), float(r), float(2 * p * r / (p + r))


def zero_division_raises(y, predicted, positive):
    tp = sum(int(a == b == positive) for a, b in zip(y, predicted))
    p = tp / predicted.tolist().count(positive)
    r = tp / y.tolist().count(positive)
    return p, r, 2 / (1 / p + 1 / r)


VERSIONS = {
    "generalization.train_val_test_split": {
        "groups_ignored": [shuffled_rows, rows_from_the_front],
        "cut_inside_a_group": [chained_groups_cut_by_rows],
        "seed_not_used": [Splitter(seed="none")],
        "not_shuffled": [Splitter(shuffle=False)],
        "fixed_seed": [Splitter(seed=42)],
        "global_generator_seeded": [legacy_seed],
        "share_of_the_rest": [Splitter(rest=True)],
        "val_and_test_exchanged": [Splitter(order="train test val")],
        "val_inside_test": [Splitter(start=0)],
        "names_instead_of_rows": [Splitter(give="names")],
        "places_instead_of_rows": [numbers_of_groups],
        "one_row_of_each_group": [Splitter(whole=False), leaking_rows_thrown_away],
        "train_holds_everything": [Splitter(train_all=True)],
    },
    "generalization.shuffled_label_test": {
        "labels_not_shuffled": [Shuffler(labels="kept")],
        "rows_and_labels_together": [Shuffler(rows="mixed")],
        "x_moved_instead": [Shuffler(labels="kept", rows="mixed")],
        "new_labels_drawn": [Shuffler(labels="new"), Shuffler(labels="again")],
        "fixed_seed": [Shuffler(seed=42)],
        "seed_not_used": [Shuffler(seed="none")],
        "train_accuracy_judged": [Shuffler(judge=lambda train, held, share, k: train - share > 0.1)],
        "gap_judged": [Shuffler(judge=lambda train, held, share, k: held < train - 0.1)],
        "equal_classes_assumed": [Shuffler(judge=lambda train, held, share, k: held - 1 / k > 0.1)],
        "one_half_assumed": [
            Shuffler(judge=lambda train, held, share, k: held > 1 / 2),
            Shuffler(judge=lambda train, held, share, k: held > 1 / 2 + 0.1),
        ],
        "no_margin": [Shuffler(judge=lambda train, held, share, k: held > share)],
        "verdict_reversed": [Shuffler(judge=lambda train, held, share, k: held - share < 0.1)],
        "accuracies_exchanged": [Shuffler(order=(1, 0))],
    },
    "generalization.early_stopping": {
        "last_weights_kept": [Stopper(keep="last")],
        "compared_with_the_previous_epoch": [Stopper(against="previous")],
        "patience_ignored": [Stopper(patience=1)],
        "count_never_reset": [Stopper(reset=False)],
        "one_epoch_late": [Stopper(extra=1)],
        "one_epoch_early": [early_by_one],
        "ties_are_improvements": [Stopper(better=lambda a, b: a <= b)],
        "looks_into_the_future": [Stopper(keep="all")],
        "larger_is_better": [Stopper(better=lambda a, b: a > b)],
        "counted_from_one": [Stopper(offset=(1, 1))],
        "how_many_instead_of_which": [Stopper(offset=(1, 0))],
        "best_from_patience": [Stopper(keep="minus")],
        "results_exchanged": [Stopper(swap=True)],
    },
    "generalization.dropout": {
        "not_scaled": [Dropper(train=lambda p: 1.0)],
        "scaled_at_test_time": [Dropper(train=lambda p: 1.0, test=lambda p: 1 - p)],
        "scaled_in_both": [Dropper(test=lambda p: 1 - p)],
        "multiplied_by_keep_probability": [Dropper(train=lambda p: 1 - p)],
        "divided_by_p": [Dropper(train=lambda p: 1 / p)],
        "p_is_what_is_kept": [
            Dropper(keep=lambda u, p: u < p, train=lambda p: 1 / p),
            Dropper(keep=lambda u, p: u < p),
            Dropper(keep=lambda u, p: u < p, train=lambda p: 1.0),
        ],
        "never_off": [Dropper(when=lambda t: True)],
        "training_reversed": [Dropper(when=lambda t: not t)],
        "one_mask_for_all_rows": [mask_of_the_first_row],
        "scaled_by_what_survived": [share_that_survived],
    },
    "generalization.precision_recall_f1": {
        "precision_and_recall_exchanged": [Counts(lambda tp, fp, fn, tn: all_three(*reversed(pr(tp, fp, fn))))],
        "plain_mean_for_f1": [f1_as(lambda p, r: 0.5 * p + 0.5 * r)],
        "geometric_mean_for_f1": [f1_as(lambda p, r: math.sqrt(p * r))],
        "two_forgotten_in_f1": [f1_as(lambda p, r: harmonic(p, r) / 2)],
        "product_for_f1": [f1_as(lambda p, r: p * r)],
        "accuracy": [right_answers],
        "true_negatives_counted": [
            Counts(lambda tp, fp, fn, tn: all_three(divide(tp + tn, tp + tn + fp), divide(tp + tn, tp + tn + fn)))
        ],
        "other_class_sought": [Counts(lambda tp, fp, fn, tn: all_three(*pr(tn, fn, fp)))],
        "specificity_for_recall": [Counts(lambda tp, fp, fn, tn: all_three(divide(tp, tp + fp), divide(tn, tn + fp)))],
        "divided_by_all_rows": [Counts(lambda tp, fp, fn, tn: (tp / (tp + fp + fn + tn),) * 3)],
        "positive_is_always_one": [Counts(lambda tp, fp, fn, tn: all_three(*pr(tp, fp, fn)), pick=1)],
        "mean_over_classes": [macro],
        "nothing_found_is_nan": [numpy_division, zero_division_raises],
        "nothing_found_is_perfect": [
            Counts(lambda tp, fp, fn, tn: all_three(divide(tp, tp + fp, 1.0), divide(tp, tp + fn, 1.0)))
        ],
    },
}
