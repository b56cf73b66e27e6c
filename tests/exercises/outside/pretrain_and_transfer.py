"""Wrong answers that no misconception describes."""

import numpy as np
import torch

from bigmodel_nb.exercises.pretrain_and_transfer import (
    freeze_except,
    learning_curve_point,
    mask_tokens,
    measures_memory,
    pool,
)

# mask_tokens


def labels_first(*case):
    return mask_tokens(*case)[::-1]


def in_int32(*case):
    return tuple(it.int() for it in mask_tokens(*case))


def as_arrays(*case):
    return tuple(it.numpy() for it in mask_tokens(*case))


def rate_ignored(x, u, r, words, mask_id, n_special, rate=0.15):
    return mask_tokens(x, u, r, words, mask_id, n_special)


def mask_is_always_three(x, u, r, words, mask_id, n_special, rate=0.15):
    return mask_tokens(x, u, r, words, 103, n_special, rate)


def first_token_spared(x, u, r, words, mask_id, n_special, rate=0.15):
    return mask_tokens(x, torch.cat([u[..., :1] * 0 + 2, u[..., 1:]], -1), r, words, mask_id, n_special, rate)


def ignore_is_minus_one(*case):
    inputs, labels = mask_tokens(*case)
    return inputs, labels.where(labels != -100, labels * 0 - 1)


def one_special_token_too_many(x, u, r, words, mask_id, n_special, rate=0.15):
    return mask_tokens(x, u, r, words, mask_id, n_special + 10, rate)


# pool


def median(h, real):
    return torch.stack([row[keep].median(0).values if keep.any() else row[0] * 0 for row, keep in zip(h, real)])


def unit_length(h, real):
    mean = pool(h, real)
    return mean / mean.norm(dim=-1, keepdim=True).clamp(min=1e-9)


def without_first(h, real):
    real = real.clone()
    real[:, 0] = False
    return pool(h, real)


def detached(h, real):
    return pool(h, real).detach()


def kept_axis(h, real):
    return pool(h, real)[:, None]


def ones_for_empty(h, real):
    return pool(h, real) + (~real.any(1, keepdim=True)).to(h.dtype)


def root_of_the_count(h, real):
    return pool(h, real) * real.sum(1, keepdim=True) ** 0.5


# freeze_except


def biases_never(model, names):
    freeze_except(model, names)
    for path, p in model.named_parameters():
        p.requires_grad = p.requires_grad and not path.endswith("bias")
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def nothing_returned(model, names):
    freeze_except(model, names)
    return {}


def as_share(model, names):
    return freeze_except(model, names) / sum(p.numel() for p in model.parameters())


def weights_zeroed(model, names):
    trained = freeze_except(model, names)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1 if p.requires_grad else 0)
    return trained


def rows_counted(model, names):
    freeze_except(model, names)
    return sum(len(p) for p in model.parameters() if p.requires_grad)


def norms_always(model, names):
    return freeze_except(model, [*names, "norm"])


# learning_curve_point


def no_spread(*case):
    return learning_curve_point(*case)[0]


def in_percent(*case):
    return tuple(100 * it for it in learning_curve_point(*case))


def spread_first(*case):
    return learning_curve_point(*case)[::-1]


def median_of_draws(x, y, x_test, y_test, n, fit, seeds):
    each = [learning_curve_point(x, y, x_test, y_test, n, fit, [seed])[0] for seed in seeds]
    return float(np.median(each)), float(np.std(each))


def range_of_draws(x, y, x_test, y_test, n, fit, seeds):
    each = [learning_curve_point(x, y, x_test, y_test, n, fit, [seed])[0] for seed in seeds]
    return float(np.mean(each)), max(each) - min(each)


def half_of_the_test(x, y, x_test, y_test, n, fit, seeds):
    return learning_curve_point(x, y, x_test[::2], y_test[::2], n, fit, seeds)


def trained_on_everything(x, y, x_test, y_test, n, fit, seeds):
    return learning_curve_point(x, y, x_test, y_test, len(y), fit, seeds)


def next_seed(x, y, x_test, y_test, n, fit, seeds):
    return learning_curve_point(x, y, x_test, y_test, n, fit, [seed + 1 for seed in seeds])


def without_the_last_seed(x, y, x_test, y_test, n, fit, seeds):
    return learning_curve_point(x, y, x_test, y_test, n, fit, seeds[:-1] or seeds)


# measures_memory


def always(experiment, n):
    return experiment is not None


def never(experiment, n):
    return experiment is None


def the_accuracy(experiment, n):
    return float(experiment(np.random.default_rng(0).integers(2, size=n), 0))


def only_between(experiment, n):
    return 0.6 < experiment(np.random.default_rng(0).integers(2, size=n), 0) < 0.9


def too_few_labels(experiment, n):
    return bool(experiment(np.random.default_rng(0).integers(2, size=20), 0) > 0.6)


def three_classes(experiment, n):
    return bool(experiment(np.random.default_rng(0).integers(3, size=n), 0) > 0.45)


def labels_in_a_list(experiment, n):
    labels = np.random.default_rng(0).integers(2, size=n).tolist()
    return bool(experiment(labels, 0) > 0.6)


def one_run_and_a_low_limit(experiment, n):
    return bool(experiment(np.random.default_rng(5).integers(0, 2, n), 0) > 0.53)


def the_same_run_again(experiment, n):
    y = np.random.default_rng(0).integers(2, size=n)
    return bool(max(experiment(y, 0) for _ in range(5)) > 0.535)


OUTSIDE = {
    "pretrain_and_transfer.mask_tokens": [
        labels_first, in_int32, as_arrays, rate_ignored, mask_is_always_three, first_token_spared,
        ignore_is_minus_one, one_special_token_too_many,
    ],
    "pretrain_and_transfer.pool": [
        median, unit_length, without_first, detached, kept_axis, ones_for_empty, root_of_the_count,
    ],
    "pretrain_and_transfer.freeze_except": [
        biases_never, nothing_returned, as_share, weights_zeroed, rows_counted, norms_always,
    ],
    "pretrain_and_transfer.learning_curve_point": [
        no_spread, in_percent, spread_first, median_of_draws, range_of_draws, half_of_the_test,
        trained_on_everything, next_seed, without_the_last_seed,
    ],
    "pretrain_and_transfer.measures_memory": [
        always, never, the_accuracy, only_between, too_few_labels, three_classes, labels_in_a_list,
        one_run_and_a_low_limit, the_same_run_again,
    ],
}
