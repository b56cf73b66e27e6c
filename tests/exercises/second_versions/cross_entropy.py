"""Each misconception once more, in another style and with other names."""

import math

import numpy as np


def noiseless(work):
    def run(*args):
        with np.errstate(all="ignore"):
            return work(*args)

    return run


def rowwise(row_of):
    """A function of one row of logits, applied along the last axis."""
    return noiseless(lambda z: np.apply_along_axis(row_of, -1, z))


def soft(row):
    weights = np.exp(np.asarray(row) - np.max(row))
    return weights / np.sum(weights)


def soft_overflowing(row):
    weights = np.exp(np.asarray(row))
    return weights / np.sum(weights)


def bases(row, base):
    return np.power(base, row - row.max()) / np.power(base, row - row.max()).sum()


SOFTMAX = {
    "overflow": [rowwise(soft_overflowing)],
    "one_maximum_for_all_rows": [
        noiseless(lambda z: np.apply_along_axis(soft_overflowing, -1, z - np.max(z)))
    ],
    "wrong_axis": [
        noiseless(lambda z: np.apply_along_axis(soft, 0, z)),
        noiseless(lambda z: np.apply_along_axis(soft_overflowing, 0, z)),
    ],
    "over_everything": [noiseless(lambda z: soft(z.ravel()).reshape(z.shape))],
    "no_exponential": [rowwise(lambda row: row / row.sum())],
    "log_softmax": [
        rowwise(lambda row: row - row.max() - math.log(np.exp(row - row.max()).sum())),
        rowwise(lambda row: row - np.logaddexp.reduce(row)),
    ],
    "sigmoid_of_each": [noiseless(lambda z: np.exp(-np.logaddexp(0, -z)))],
    "not_normalised": [rowwise(lambda row: np.exp(row - max(row)))],
    "shifted_in_one_place": [rowwise(lambda row: np.exp(row - max(row)) / sum(np.exp(row)))],
    "base_two": [rowwise(lambda row: bases(row, 2.0))],
    "sign_of_the_logits": [rowwise(lambda row: soft(-row))],
}


def surprises(score):
    """The list of `score(row, label)`."""
    return lambda z, y: [score(row, int(label)) for row, label in zip(z, y)]


def log_p(row, label):
    return float(row[label] - row.max() - math.log(np.exp(row - row.max()).sum()))


def average(score):
    return noiseless(lambda z, y: float(np.mean(surprises(score)(z, y))))


def two_sided(row, label):
    p = soft(row)
    return -math.fsum(np.log(p[k]) if k == label else np.log(1 - p[k]) for k in range(len(row)))


CROSS_ENTROPY = {
    "softmax_twice": [average(lambda row, k: -log_p(soft(row), k))],
    "not_stable": [
        average(lambda row, k: -np.log(soft_overflowing(row)[k])),
        average(lambda row, k: -np.log(soft(row)[k])),
    ],
    "probability_clipped": [
        average(lambda row, k: -np.log(soft(row)[k] + 1e-12)),
        average(lambda row, k: -np.log(np.clip(soft(row)[k], 1e-7, 1))),
    ],
    "no_softmax": [average(lambda row, k: -row[k])],
    "sum_instead_of_mean": [noiseless(lambda z, y: -sum(surprises(log_p)(z, y)))],
    "mean_over_classes_too": [
        noiseless(lambda z, y: -sum(surprises(log_p)(z, y)) / (z.shape[0] * z.shape[1]))
    ],
    "sign_missing": [average(log_p)],
    "bits_instead_of_nats": [average(lambda row, k: -log_p(row, k) * math.log2(math.e))],
    "no_logarithm": [average(lambda row, k: -soft(row)[k]), average(lambda row, k: 1 - soft(row)[k])],
    "logarithm_of_the_mean": [
        noiseless(lambda z, y: -math.log(np.mean(surprises(lambda row, k: soft(row)[k])(z, y))))
    ],
    "softmax_over_rows": [
        noiseless(lambda z, y: -float(np.mean([log_p(z[:, k], n) for n, k in enumerate(y)])))
    ],
    "a_binary_loss_for_each_class": [average(two_sided)],
}


def by_row(make):
    """Rows of a gradient from `make(row, label, N, K)`."""
    return noiseless(lambda z, y: np.stack([make(r, int(k), *z.shape) for r, k in zip(z, y)]))


def target(k, size):
    return np.array([float(i == k) for i in range(size)])


def column_loop(z, y):
    out = np.apply_along_axis(soft, 1, z)
    for k in set(y.tolist()):
        out[:, k] = out[:, k] - 1
    return out / z.shape[0]


def chain_through_two(row, k, N, K):
    p = soft(row)
    jacobian = np.diag(p) - np.outer(p, p)
    return jacobian @ (soft(p) - target(k, K)) / N


GRADIENT = {
    "not_divided_by_rows": [by_row(lambda r, k, N, K: soft(r) - target(k, K))],
    "sign_turned": [by_row(lambda r, k, N, K: (target(k, K) - soft(r)) / N)],
    "target_missing": [by_row(lambda r, k, N, K: soft(r) / N), by_row(lambda r, k, N, K: soft(r))],
    "whole_columns_changed": [noiseless(column_loop)],
    "one_subtracted_everywhere": [by_row(lambda r, k, N, K: (soft(r) - np.ones(K)) / N)],
    "right_class_only": [by_row(lambda r, k, N, K: np.where(target(k, K) > 0, soft(r) - 1, 0) / N)],
    "derivative_for_the_probabilities": [by_row(lambda r, k, N, K: -target(k, K) / (N * soft(r)))],
    "divided_by_classes": [
        by_row(lambda r, k, N, K: (soft(r) - target(k, K)) / K),
        by_row(lambda r, k, N, K: (soft(r) - target(k, K)) / (N * K)),
    ],
    "no_softmax": [by_row(lambda r, k, N, K: (r - target(k, K)) / N)],
    "softmax_over_rows": [
        noiseless(
            lambda z, y: (np.apply_along_axis(soft, 0, z) - np.array([target(k, z.shape[1]) for k in y]))
            / len(z)
        )
    ],
    "softmax_twice": [
        by_row(chain_through_two),
        by_row(lambda r, k, N, K: (soft(soft(r)) - target(k, K)) / N),
    ],
    "overflow": [by_row(lambda r, k, N, K: (soft_overflowing(r) - target(k, K)) / N)],
}


def total(term, skip=lambda a, b: a == 0):
    """Sum of `term(p, q)` over the outcomes that are not skipped."""
    return noiseless(lambda p, q: float(sum(term(a, b) for a, b in zip(p, q) if not skip(a, b))))


def entropy(p):
    return -sum(a * math.log(a) for a in p if a)


forward = total(lambda a, b: a * (np.log(a) - np.log(b)))
backward = total(lambda a, b: b * (np.log(b) - np.log(a)), skip=lambda a, b: b == 0)

KL = {
    "arguments_exchanged": [backward],
    "zeros_give_nan": [noiseless(lambda p, q: float(np.dot(p, np.log(p) - np.log(q))))],
    "epsilon_hides_infinity": [
        noiseless(lambda p, q: float((p * (np.log(p + 1e-9) - np.log(q + 1e-9))).sum())),
        total(lambda a, b: a * np.log(a / max(b, 1e-12))),
    ],
    "impossible_places_left_out": [total(lambda a, b: a * np.log(a / b), skip=lambda a, b: a * b == 0)],
    "cross_entropy_instead": [total(lambda a, b: -a * np.log(b))],
    "sign_turned": [noiseless(lambda p, q: -forward(p, q))],
    "bits_instead_of_nats": [noiseless(lambda p, q: forward(p, q) / np.log(2))],
    "mean_instead_of_sum": [noiseless(lambda p, q: forward(p, q) / p.size)],
    "weights_missing": [total(lambda a, b: np.log(a) - np.log(b))],
    "absolute_values": [total(lambda a, b: abs(a * np.log(a / b)))],
    "made_symmetric": [noiseless(lambda p, q: (forward(p, q) + backward(p, q)) / 2)],
}

PERPLEXITY = {
    "mean_of_inverses": [lambda p: sum(1 / a for a in p) / len(p)],
    "inverse_of_the_mean": [lambda p: len(p) / math.fsum(p)],
    "product_underflows": [noiseless(lambda p: float(1 / np.prod(p) ** (1 / p.size)))],
    "exponential_missing": [lambda p: -math.fsum(map(math.log, p)) / len(p)],
    "bases_mixed": [
        lambda p: math.pow(2, -math.fsum(map(math.log, p)) / len(p)),
        lambda p: math.exp(-math.fsum(map(math.log2, p)) / len(p)),
    ],
    "sum_instead_of_mean": [noiseless(lambda p: float(np.exp(np.log(1 / p).sum())))],
    "sign_missing": [lambda p: math.exp(math.fsum(map(math.log, p)) / len(p))],
    "median_surprise": [lambda p: float(np.exp(np.median(-np.log(p))))],
}

VERSIONS = {
    "cross_entropy.softmax": SOFTMAX,
    "cross_entropy.cross_entropy": CROSS_ENTROPY,
    "cross_entropy.cross_entropy_gradient": GRADIENT,
    "cross_entropy.kl_divergence": KL,
    "cross_entropy.perplexity": PERPLEXITY,
}
