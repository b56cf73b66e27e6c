"""Wrong answers that no misconception describes."""

import numpy as np

from bigmodel_nb.exercises.generalization import (
    dropout,
    early_stopping,
    precision_recall_f1,
    shuffled_label_test,
    train_val_test_split,
)

# train_val_test_split


def masks(groups, val_share, test_share, seed):
    parts = train_val_test_split(groups, val_share, test_share, seed)
    return tuple(np.isin(np.arange(len(groups)), part) for part in parts)


def one_array(groups, val_share, test_share, seed):
    return np.concatenate(train_val_test_split(groups, val_share, test_share, seed))


def a_row_lost(groups, val_share, test_share, seed):
    train, val, test = train_val_test_split(groups, val_share, test_share, seed)
    return train[1:], val, test


def a_row_twice(groups, val_share, test_share, seed):
    train, val, test = train_val_test_split(groups, val_share, test_share, seed)
    return np.append(train, val[:1]), val, test


def one_group_too_many(groups, val_share, test_share, seed):
    many = len(np.unique(groups))
    return train_val_test_split(groups, val_share + 1 / many, test_share, seed)


def rounded_down(groups, val_share, test_share, seed):
    many = len(np.unique(groups))
    return train_val_test_split(groups, int(val_share * many) / many, int(test_share * many) / many, seed)


def no_validation(groups, val_share, test_share, seed):
    train, val, test = train_val_test_split(groups, val_share, test_share, seed)
    return np.concatenate([train, val]), val[:0], test


def everything_in_test(groups, val_share, test_share, seed):
    rows = np.arange(len(groups))
    return rows[:0], rows[:0], rows


def largest_groups_held_out(groups, val_share, test_share, seed):
    names, sizes = np.unique(groups, return_counts=True)
    names = names[np.argsort(3 * np.random.default_rng(seed).random(len(names)) - sizes)]
    n_val, n_test = (round(share * len(names)) for share in (val_share, test_share))
    pick = lambda some: np.flatnonzero(np.isin(groups, some))  # noqa: E731
    return pick(names[n_val + n_test :]), pick(names[:n_val]), pick(names[n_val : n_val + n_test])


def one_group_never_held_out(groups, val_share, test_share, seed):
    names = np.unique(groups)
    order = np.append(np.random.default_rng(seed).permutation(names[1:]), names[0])
    n_val, n_test = (round(share * len(names)) for share in (val_share, test_share))
    pick = lambda some: np.flatnonzero(np.isin(groups, some))  # noqa: E731
    return pick(order[n_val + n_test :]), pick(order[:n_val]), pick(order[n_val : n_val + n_test])


def counted_from_one(groups, val_share, test_share, seed):
    return tuple(part + 1 for part in train_val_test_split(groups, val_share, test_share, seed))


def as_floats(groups, val_share, test_share, seed):
    return tuple(part.astype(float) for part in train_val_test_split(groups, val_share, test_share, seed))


# shuffled_label_test


def verdict_only(pipeline, x, y, seed):
    return shuffled_label_test(pipeline, x, y, seed)[2]


def verdict_as_number(pipeline, x, y, seed):
    train, held_out, leak = shuffled_label_test(pipeline, x, y, seed)
    return train, held_out, int(leak)


def best_of_three(pipeline, x, y, seed):
    results = [shuffled_label_test(pipeline, x, y, seed + i) for i in range(3)]
    return max(results, key=lambda result: result[1])


def turned_round(pipeline, x, y, seed):
    train, held_out = pipeline(x, np.roll(y, seed % len(y)))
    return train, held_out, bool(held_out > np.bincount(y).max() / len(y) + 0.1)


def half_of_them(pipeline, x, y, seed):
    half = len(y) // 2
    mixed = np.concatenate([y[:half], np.random.default_rng(seed).permutation(y[half:])])
    return (*shuffled_label_test(lambda *_: pipeline(x, mixed), x, y, seed)[:2], False)


def margin_as_a_factor(pipeline, x, y, seed):
    train, held_out = pipeline(x, np.random.default_rng(seed).permutation(y))
    return train, held_out, bool(held_out > 1.1 * np.bincount(y).max() / len(y))


def rarest_label(pipeline, x, y, seed):
    train, held_out = pipeline(x, np.random.default_rng(seed).permutation(y))
    return train, held_out, bool(held_out > np.bincount(y).min() / len(y) + 0.1)


def scores_made_up(pipeline, x, y, seed):
    _, _, leak = shuffled_label_test(pipeline, x, y, seed)
    return 1.0, 0.1, leak


def x_mended_too(pipeline, x, y, seed):
    return shuffled_label_test(lambda a, b: pipeline((a - a.mean(0)) / a.std(0), b), x, y, seed)


# early_stopping


def right_as_dict(losses, patience):
    return dict(zip(("last", "best"), early_stopping(losses, patience)))


def best_loss_itself(losses, patience):
    last, best = early_stopping(losses, patience)
    return last, losses[best]


def second_best(losses, patience):
    last, best = early_stopping(losses, patience)
    return last, max(best - 1, 0)


def never_stops(losses, patience):
    return len(losses) - 1, int(np.argmin(losses))


def needs_a_tenth(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best] - 0.15:
            best = epoch
        if epoch - best >= patience:
            return epoch, best
    return len(losses) - 1, best


def half_the_patience(losses, patience):
    return early_stopping(losses, 2 * patience)


def smoothed(losses, patience):
    means = [sum(losses[max(0, i - 1) : i + 1]) / 2 for i in range(len(losses))]
    return early_stopping(means, patience)


# dropout


def changes_p_by_little(x, p, u, training):
    return dropout(x, p, u, training) * 1.01


def right_as_list_of_lists(x, p, u, training):
    return dropout(x, p, u, training).tolist()


def in_single_precision(x, p, u, training):
    return dropout(x, p, u, training).astype(np.float32)


def draws_for_itself(x, p, u, training):
    return dropout(x, p, np.random.default_rng(0).random(x.shape), training)


def adds_noise(x, p, u, training):
    return x + p * (u - 0.5) if training else x.copy()


def drops_the_smallest(x, p, u, training):
    return np.where(np.abs(x) < np.quantile(np.abs(x), p), 0, x / (1 - p)) if training and x.size else x.copy()


def transposed_mask(x, p, u, training):
    return dropout(x, p, u.ravel()[::-1].reshape(u.shape), training)


def filled_with_the_mean(x, p, u, training):
    return np.where(u < p, x.mean() if x.size else 0, x) if training else x.copy()


def at_most_half(x, p, u, training):
    return dropout(x, min(p, 0.5), u, training)


def equal_is_dropped(x, p, u, training):
    return np.where(u <= p, 0, x / (1 - p)) if training else x.copy()


# precision_recall_f1


def right_in_percent(y, predicted, positive):
    return tuple(100 * value for value in precision_recall_f1(y, predicted, positive))


def right_rounded(y, predicted, positive):
    return tuple(round(value, 2) for value in precision_recall_f1(y, predicted, positive))


def right_as_dict(y, predicted, positive):
    return dict(zip(("precision", "recall", "f1"), precision_recall_f1(y, predicted, positive)))


def right_as_array(y, predicted, positive):
    return np.array(precision_recall_f1(y, predicted, positive))


def f2(y, predicted, positive):
    p, r, _ = precision_recall_f1(y, predicted, positive)
    return p, r, 5 * p * r / (4 * p + r) if p + r else 0.0


def smaller_of_the_two(y, predicted, positive):
    p, r, _ = precision_recall_f1(y, predicted, positive)
    return p, r, min(p, r)


def smoothed_counts(y, predicted, positive):
    hits = np.sum((y == positive) & (predicted == positive)) + 1
    p, r = hits / (np.sum(predicted == positive) + 2), hits / (np.sum(y == positive) + 2)
    return float(p), float(r), float(2 * p * r / (p + r))


def without_the_last_row(y, predicted, positive):
    return precision_recall_f1(y[:-1], predicted[:-1], positive)


def with_a_tiny_constant(y, predicted, positive):
    hits = np.sum((predicted == positive) & (y == positive))
    precision = hits / (np.sum(predicted == positive) + 1e-9)
    recall = hits / (np.sum(y == positive) + 1e-9)
    return float(precision), float(recall), float(2 * precision * recall / (precision + recall + 1e-9))


def needs_a_ten_thousandth(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best] - 1e-4:
            best = epoch
        if epoch - best >= patience:
            return epoch, best
    return len(losses) - 1, best


def two_labels_exchanged(pipeline, x, y, seed):
    rng, y = np.random.default_rng(seed), y.copy()
    one, other = rng.choice(np.flatnonzero(y == y[0])), rng.choice(np.flatnonzero(y != y[0]))
    y[[one, other]] = y[[other, one]]
    return shuffled_label_test(lambda x, _: pipeline(x, y), x, y, seed)


OUTSIDE = {
    "generalization.train_val_test_split": [
        masks, one_array, a_row_lost, a_row_twice, one_group_too_many, rounded_down, no_validation,
        everything_in_test, largest_groups_held_out, one_group_never_held_out, counted_from_one, as_floats,
    ],
    "generalization.shuffled_label_test": [
        verdict_only, verdict_as_number, best_of_three, turned_round, half_of_them, margin_as_a_factor,
        rarest_label, scores_made_up, x_mended_too, two_labels_exchanged,
    ],
    "generalization.early_stopping": [
        right_as_dict, best_loss_itself, second_best, never_stops, needs_a_tenth, needs_a_ten_thousandth,
        half_the_patience, smoothed,
    ],
    "generalization.dropout": [
        changes_p_by_little, right_as_list_of_lists, in_single_precision, draws_for_itself, adds_noise,
        drops_the_smallest, transposed_mask, filled_with_the_mean, at_most_half, equal_is_dropped,
    ],
    "generalization.precision_recall_f1": [
        right_in_percent, right_rounded, right_as_dict, right_as_array, f2, smaller_of_the_two, smoothed_counts,
        without_the_last_row, with_a_tiny_constant,
    ],
}
