"""Each misconception once more, in another style and with other names."""

import math

import numpy as np


def per_element(function):
    """An array function from one of a single number."""

    def whole(values):
        return np.array([function(v) for v in values.ravel()]).reshape(values.shape)

    return whole


def safe(v):
    return 1 / (1 + math.exp(-v)) if v > -700 else 0.0


# sigmoid


def with_power(values):
    return np.power(1.0 + np.exp(np.negative(values)), -1)


def mask_but_too_late(values):
    out = 1 - 1 / (1 + np.exp(values))
    return out


def selected(values):
    low, high = np.exp(values) / (np.exp(values) + 1), np.reciprocal(1 + np.exp(-values))
    result = low.copy()
    result[values > 0] = high[values > 0]
    return result


def chosen_by(extreme):
    """One look at the array's smallest or largest number decides for all."""

    def whole(values):
        if extreme(values) < 0:
            grown = np.exp(values)
            return grown / (grown + 1)
        return np.reciprocal(1 + np.exp(-values))

    return whole


def mirrored(values):
    return per_element(safe)(-values)


def even(values):
    return per_element(safe)(abs(values))


def hyperbolic(values):
    return 2 * per_element(safe)(2 * values) - 1


def bump(values):
    s = per_element(safe)(values)
    return s - s**2


def shares(values):
    shifted = values - np.max(values)
    return np.exp(shifted) / np.sum(np.exp(shifted))


def decided(values):
    return np.heaviside(values, 0.0)


# bce_loss


def probability(logit):
    return 1 / (1 + math.exp(-logit)) if logit > 0 else math.exp(logit) / (1 + math.exp(logit))


def cost(logit, label):
    """-log of the probability of the label, for one sample."""
    signed = logit if label else -logit
    return math.log1p(math.exp(-signed)) if signed > 0 else -signed + math.log1p(math.exp(signed))


def loop(of_sample, divide=True):
    def loss(logits, y):
        total = 0.0
        for logit, label in zip(logits.tolist(), y.tolist()):
            total += of_sample(logit, label)
        return total / len(y) if divide else total

    return loss


def only_cases(logits, y):
    total = 0.0
    for logit in logits[y == 1]:
        total += cost(logit, 1)
    return total / len(logits)


def only_controls(logits, y):
    total = 0.0
    for logit in logits[y == 0]:
        total += cost(logit, 0)
    return total / len(logits)


def takes_logits_for_p(logits, y):
    chosen = np.log(logits) * y + np.log1p(-logits) * (1 - y)
    return float(-chosen.sum() / len(y))


def rounded_first(logits, y):
    p = np.array([probability(v) for v in logits])
    return float(np.mean(-(np.log(p) * y) - np.log(1.0 - p) * (1 - y)))


def softplus_by_hand(logits, y):
    return float(np.average(np.log(np.exp(logits) + 1) - logits * y))


def clamped(logits, y):
    p = np.minimum(np.maximum([probability(v) for v in logits], 1e-7), 1 - 1e-7)
    return float(-np.where(y == 1, np.log(p), np.log(1 - p)).mean())


# bce_gradient


def walk(error, scale=lambda n, c: (n, n), bias=True):
    """The gradient sample by sample; `error` of (p, label, logit), `scale` what the sums are divided by."""

    def gradient(x, y, w, b):
        dw, db = np.zeros(len(w)), 0.0
        for row, label in zip(x, y):
            logit = float(np.dot(row, w)) + (b if bias else 0)
            e = error(probability(logit), label, logit)
            dw += e * row
            db += e
        of_weights, of_bias = scale(*x.shape)
        return dw / of_weights, float(db / of_bias)

    return gradient


def right(p, label, logit):
    return p - label


def no_input(x, y, w, b):
    errors = [probability(float(row @ w) + b) - label for row, label in zip(x, y)]
    mean = sum(errors) / len(errors)
    return np.repeat(mean, x.shape[1]), float(mean)


def bias_fixed(x, y, w, b):
    dw, _ = walk(right)(x, y, w, b)
    return dw, 0.0


# gd_step


def climbing(theta, gradient, lr):
    return list(map(lambda pair: pair[0] - (-lr) * pair[1], zip(theta, gradient(theta))))


def coordinate_wise(theta, gradient, lr):
    w, b = theta
    w = w - lr * gradient([w, b])[0]
    b = b - lr * gradient([w, b])[1]
    return [w, b]


def ahead(theta, gradient, lr):
    first = gradient(theta)
    there = [t - lr * g for t, g in zip(theta, first)]
    second = gradient(there)
    return [theta[i] - second[i] * lr for i in range(len(theta))]


def change_only(theta, gradient, lr):
    return [g * (-lr) for g in gradient(theta)]


def full_length(theta, gradient, lr):
    g = gradient(theta)
    return [theta[i] - g[i] for i in range(len(g))]


def inverse_rate(theta, gradient, lr):
    return [t - g * (1 / lr) for t, g in zip(theta, gradient(theta))]


def signs(theta, gradient, lr):
    return [t - lr * (g / np.abs(g)) for t, g in zip(theta, gradient(theta))]


def unit(theta, gradient, lr):
    g = gradient(theta)
    flat = np.concatenate([np.ravel(v) for v in g])
    return [t - lr / np.linalg.norm(flat) * v for t, v in zip(theta, g)]


def shrinking(theta, gradient, lr):
    return [t - lr * g * t for t, g in zip(theta, gradient(theta))]


def first_only(theta, gradient, lr):
    head, *rest = theta
    return [head - lr * gradient(theta)[0], *rest]


def last_only(theta, gradient, lr):
    *start, last = theta
    return [*start, last - lr * gradient(theta)[-1]]


NAME = "neuron_and_gradient_descent"
VERSIONS = {
    f"{NAME}.sigmoid": {
        "overflow_at_large_negative_z": [with_power],
        "overflow_at_large_positive_z": [mask_but_too_late],
        "both_branches_computed": [selected],
        "one_formula_for_the_whole_array": [chosen_by(np.min), chosen_by(np.max)],
        "sign_of_the_exponent": [mirrored],
        "one_branch_for_both_signs": [even],
        "tanh_instead": [hyperbolic],
        "derivative_returned": [bump],
        "softmax_over_the_array": [shares],
        "step_instead_of_curve": [decided],
    },
    f"{NAME}.bce_loss": {
        "negative_term_missing": [only_cases, loop(lambda z, t: cost(z, 1) * t)],
        "positive_term_missing": [only_controls],
        "sum_instead_of_mean": [loop(cost, divide=False)],
        "minus_missing": [loop(lambda z, t: -cost(z, t))],
        "labels_swapped": [loop(lambda z, t: cost(z, not t))],
        "logits_taken_as_probabilities": [takes_logits_for_p],
        "sigmoid_twice": [loop(lambda z, t: cost(probability(z), t))],
        "logarithm_of_a_rounded_probability": [rounded_first],
        "exponential_overflows": [softplus_by_hand],
        "loss_capped_by_clipping": [clamped],
        "squared_error": [loop(lambda z, t: (t - probability(z)) ** 2)],
        "in_bits": [loop(lambda z, t: cost(z, t) * math.log2(math.e))],
    },
    f"{NAME}.bce_gradient": {
        "sign_turned": [walk(lambda p, t, z: t - p)],
        "sum_instead_of_mean": [walk(right, lambda n, c: (1, 1))],
        "bias_summed": [walk(right, lambda n, c: (n, 1))],
        "weights_summed": [walk(right, lambda n, c: (1, n))],
        "divided_by_features": [walk(right, lambda n, c: (c, n)), walk(right, lambda n, c: (n * c, n))],
        "gradient_of_the_one_sided_loss": [walk(lambda p, t, z: (p - 1) if t else 0.0)],
        "slope_of_the_sigmoid_kept": [walk(lambda p, t, z: (p - t) * (p - p * p))],
        "sigmoid_forgotten": [walk(lambda p, t, z: z - t)],
        "decision_instead_of_probability": [walk(lambda p, t, z: float(z > 0) - t)],
        "input_forgotten": [no_input],
        "bias_left_out_of_the_logit": [walk(right, bias=False)],
        "bias_never_moves": [bias_fixed],
    },
    f"{NAME}.gd_step": {
        "uphill": [climbing],
        "one_parameter_after_the_other": [coordinate_wise],
        "gradient_at_the_new_place": [ahead],
        "only_the_change_returned": [change_only],
        "learning_rate_left_out": [full_length],
        "divided_by_the_learning_rate": [inverse_rate],
        "sign_of_the_gradient_only": [signs],
        "gradient_scaled_to_length_one": [unit],
        "parameter_shrunk": [shrinking],
        "only_the_first_parameter": [first_only],
        "only_the_last_parameter": [last_only],
    },
}
