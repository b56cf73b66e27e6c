"""Exercises of lesson 01."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np

from .engine.model import Check, Exercise, Failed, Misconception


def sigmoid(z):
    """1 / (1 + exp(-z)) elementwise, without overflow and with small values kept.

    z: float array of any shape -> array of the same shape and dtype
    """
    small = np.exp(-np.abs(z))  # between 0 and 1: can't overflow
    return np.where(z >= 0, 1, small) / (1 + small)


def bce_loss(logits, y):
    """Mean binary cross-entropy in nats, exact for logits of any size.

    logits (N,) float, y (N,) labels 0 or 1 -> float
    """
    return float(np.mean(np.logaddexp(0, logits) - y * logits))


def bce_gradient(x, y, w, b):
    """Gradient of the mean binary cross-entropy of a neuron with logits x @ w + b.

    x (N, C), y (N,) labels 0 or 1, w (C,), b float -> dw (C,), db float
    """
    error = sigmoid(x @ w + b) - y  # (N,)
    return x.T @ error / len(y), float(error.mean())


def gd_step(theta, gradient, lr):
    """One step of gradient descent for several parameters at once.

    theta: list of arrays or floats; gradient: function, such a list -> list of the gradients there
    -> new list; theta itself stays as it is
    """
    return [parameter - lr * slope for parameter, slope in zip(theta, gradient(theta))]


# sigmoid


def _strictly(work, *case):
    """An overflow is an error here, not a warning."""
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        return work(*case)


def _sigmoid_oracle(z):
    values = [float(1 / (1 + (-Decimal(float(v))).exp())) for v in np.ravel(z)]
    return np.array(values).reshape(z.shape).astype(z.dtype)


def _sigmoid_sample(rng):
    shape = tuple(rng.integers(1, 4, size=rng.integers(1, 4)))
    return (rng.normal(size=shape) * rng.choice([1, 4, 300]),)


def _check_sigmoid_by_hand(attempt):
    z = np.array([0.0, math.log(3), -math.log(3)])
    attempt.expect((z,), np.array([0.5, 0.75, 0.25]), "z is 0, log 3 and -log 3.")


def _check_sigmoid_random(attempt):
    rng = np.random.default_rng(0)
    for _ in range(10):
        z = rng.normal(size=tuple(rng.integers(1, 5, size=rng.integers(1, 4)))) * 3
        attempt.expect((z,), _sigmoid_oracle(z))
        attempt.expect((z.astype("float32"),), _sigmoid_oracle(z.astype("float32")))


def _check_sigmoid_large(attempt):
    z = np.array([-1000.0, 1000.0, -720.0, 720.0])
    attempt.expect((z,), np.array([0.0, 1.0, 0.0, 1.0]), "Large z must not overflow.")
    attempt.expect((np.array([-150, 150], "float32"),), np.array([0, 1], "float32"))


def _check_sigmoid_small_values(attempt):
    z = np.array([-25.0, -40.0, -200.0, -600.0])
    got, right = attempt(z), _sigmoid_oracle(z)
    for place, (a, b) in enumerate(zip(np.ravel(got), right)):
        if not abs(float(a) / b - 1) < 1e-6:
            text = f"At z = {z[place]:g} your result is {float(a):.6g}; expected {b:.6g}."
            raise Failed(f"{text} A small probability is not zero: its logarithm is needed.", (z,))


def _check_sigmoid_sum(attempt):
    z = np.random.default_rng(1).normal(size=(4, 3)) * 5
    if not np.allclose(attempt(z) + attempt(-z), 1):
        raise Failed("sigmoid(z) + sigmoid(-z) must be 1 for every z.", (z,))


def _sigmoid_probes():
    return [
        (np.array([-2.0, -0.5, 0.25, 1.5]),),
        (np.array([[-1000.0, 0.7], [-3.0, 0.2]]),),
        (np.array([1000.0, -0.3, 2.0]),),
        (np.array([1000.0]),),
        (np.array([-1000.0]),),
    ]


def _both_branches(z):
    return np.where(z >= 0, 1 / (1 + np.exp(-z)), np.exp(z) / (1 + np.exp(z)))


def _one_branch_for_all(sign):
    return lambda z: 1 / (1 + np.exp(-z)) if sign(z >= 0) else np.exp(z) / (1 + np.exp(z))


def _softmax(z, axis=None):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


_SIGMOID_MISCONCEPTIONS = (
    Misconception(
        "sign_of_the_exponent",
        lambda z: 1 - sigmoid(z),
        "Your curve falls where it should rise. For z = 1000 the result is near 1: which sign has "
        "the exponent?",
        also=(lambda z: 1 / (1 + np.exp(z)),),
    ),
    Misconception(
        "overflow_at_large_negative_z",
        lambda z: 1 / (1 + np.exp(-z)),
        "Your formula is right, but for z = -1000 it computes exp(1000), which overflows. With which "
        "equal formula does the exponent stay negative there?",
    ),
    Misconception(
        "overflow_at_large_positive_z",
        lambda z: np.exp(z) / (1 + np.exp(z)),
        "Your formula is right, but for z = 1000 it computes exp(1000), which overflows. Divide both "
        "sides of the fraction by exp(z) for such z.",
    ),
    Misconception(
        "both_branches_computed",
        _both_branches,
        "np.where computes both of its branches for every z and then picks, so the branch that you "
        "throw away still overflows. Which exponent is safe in both: what about -|z|?",
    ),
    Misconception(
        "one_formula_for_the_whole_array",
        _one_branch_for_all(np.all),
        "Your comparison picks one formula for the whole array, and an array may hold both signs. How can "
        "each z get the formula that is safe for it?",
        also=(_one_branch_for_all(np.any),),
    ),
    Misconception(
        "one_branch_for_both_signs",
        lambda z: 1 / (1 + np.exp(-np.abs(z))),
        "exp(-|z|) is safe, but your result is the same for z and -z. What is the numerator for "
        "negative z, and what for positive?",
        also=(lambda z: np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z))),),
    ),
    Misconception(
        "tanh_instead",
        np.tanh,
        "tanh runs from -1 to 1. A probability runs from 0 to 1: how do you shift and scale it, and "
        "z with it?",
    ),
    Misconception(
        "derivative_returned",
        lambda z: sigmoid(z) * sigmoid(-z),
        "This is the slope of the sigmoid, s (1 - s). The exercise asks for s itself.",
    ),
    Misconception(
        "softmax_over_the_array",
        _softmax,
        "Your results sum to 1 over the array, so each depends on all others. Every z has its own "
        "probability here: which sum stands in the denominator?",
        also=(
            lambda z: _softmax(z, -1),
            lambda z: np.exp(z) / np.exp(z).sum(),
            lambda z: np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True),
            lambda z: _softmax(z, 0),
        ),
    ),
    Misconception(
        "step_instead_of_curve",
        lambda z: (z > 0).astype(z.dtype),
        "You decide, 0 or 1. The sigmoid gives a probability between; a step has no slope that "
        "gradient descent could follow.",
    ),
)


# bce_loss


def _labels(rng, n):
    return rng.integers(0, 2, size=n)


def _loss_sample(rng):
    n = int(rng.integers(1, 8))
    return rng.normal(size=n) * rng.choice([1, 5, 200]), _labels(rng, n)


def _loss_oracle(logits, y):
    """One sample after the other, in 28 decimal digits."""
    total = Decimal(0)
    for z, label in zip(logits, y):
        z = Decimal(float(z)) if label else -Decimal(float(z))
        total += -z if z < -100 else (1 + (-z).exp()).ln()
    return float(total / len(y))


def _check_loss_by_hand(attempt):
    logits, y = np.array([math.log(3), 0.0]), np.array([0, 1])
    why = "The probabilities of class 1 are 3/4 and 1/2, the labels 0 and 1: log 4 and log 2."
    attempt.expect((logits, y), (math.log(4) + math.log(2)) / 2, why)


def _check_loss_random(attempt):
    rng = np.random.default_rng(2)
    for n in (1, 2, 3, 7, 20, 50):
        case = rng.normal(size=n) * 3, _labels(rng, n)
        attempt.expect(case, _loss_oracle(*case))


def _check_loss_one_class(attempt):
    logits = np.array([-1.5, 0.3, 2.0, 4.0])
    for y in (np.zeros(4, int), np.ones(4, int)):
        attempt.expect((logits, y), _loss_oracle(logits, y), f"Here every label is {y[0]}.")


def _check_loss_large(attempt):
    for logits, y, why in (
        ([-1000.0, 0.0], [1, 1], "A sure and wrong answer costs as much as its logit."),
        ([1000.0, 0.0], [0, 1], "A sure and wrong answer costs as much as its logit."),
        ([1000.0, -1000.0], [1, 0], "Sure and right: the loss is 0, not NaN."),
        ([40.0, 0.5], [0, 1], "The probability of class 0 is 4e-18 here."),
    ):
        case = np.array(logits), np.array(y)
        attempt.expect(case, _loss_oracle(*case), why)


def _check_loss_repeated(attempt):
    rng = np.random.default_rng(3)
    logits, y = rng.normal(size=5), _labels(rng, 5)
    case = np.tile(logits, 3), np.tile(y, 3)
    attempt.expect(case, _loss_oracle(logits, y), "The same five samples three times: the mean stays.")


def _loss_probes():
    return [
        (np.array([0.5, -1.2, 2.0, 0.3, -0.4]), np.array([1, 1, 0, 0, 1])),
        (np.array([1000.0, -1000.0, 3.0]), np.array([1, 0, 1])),
        (np.array([-800.0, 2.0, 0.7]), np.array([1, 0, 1])),
        (np.array([900.0, -1.0, 0.5]), np.array([0, 1, 1])),
        (np.array([0.2, 0.6, 0.9, 0.35]), np.array([0, 1, 1, 0])),
    ]


def _log_p(z):
    return -np.logaddexp(0, -z)


def _terms(z, y):
    """The losses of the positives, and of the negatives."""
    return -y * _log_p(z), -(1 - y) * _log_p(-z)


def _of_probabilities(change):
    def wrong(logits, y):
        p = change(sigmoid(logits))
        return float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))

    return wrong


def _clipped(eps):
    return _of_probabilities(lambda p: np.clip(p, eps, 1 - eps))


def _eps_in_the_logarithm(eps):
    def wrong(logits, y):
        p = sigmoid(logits)
        return float(-np.mean(y * np.log(p + eps) + (1 - y) * np.log(1 - p + eps)))

    return wrong


def _log_of_chosen(logits, y):
    p = sigmoid(logits)
    return float(-np.mean(np.log(np.where(y == 1, p, 1 - p))))


_LOSS_MISCONCEPTIONS = (
    Misconception(
        "negative_term_missing",
        lambda z, y: float(np.mean(_terms(z, y)[0])),
        "Samples with y = 0 cost nothing in your loss, so predicting 1 for everyone is perfect. "
        "Which term must count for them?",
        also=(lambda z, y: float(np.sum(_terms(z, y)[0])),),
    ),
    Misconception(
        "positive_term_missing",
        lambda z, y: float(np.mean(_terms(z, y)[1])),
        "Samples with y = 1 cost nothing in your loss. Which term counts for them?",
        also=(lambda z, y: float(np.sum(_terms(z, y)[1])),),
    ),
    Misconception(
        "sum_instead_of_mean",
        lambda z, y: float(np.sum(_terms(z, y))),
        "You add the losses of all samples. The loss, and with it the step, would grow with the "
        "size of the data. What makes it independent of N?",
    ),
    Misconception(
        "minus_missing",
        lambda z, y: -float(np.sum(_terms(z, y)) / len(y)),
        "Your loss is negative. The logarithm of a probability is at most 0; what turns it into a "
        "cost?",
        also=(lambda z, y: -float(np.sum(_terms(z, y))),),
    ),
    Misconception(
        "labels_swapped",
        lambda z, y: float(np.sum(_terms(z, 1 - y)) / len(y)),
        "Your loss rewards the wrong class: y and 1 - y have changed places. Which probability "
        "belongs to y = 1?",
    ),
    Misconception(
        "logits_taken_as_probabilities",
        lambda z, y: float(-np.mean(y * np.log(z) + (1 - y) * np.log(1 - z))),
        "You take the logarithm of the logits themselves. They run from minus to plus infinity: "
        "what makes them probabilities?",
    ),
    Misconception(
        "sigmoid_twice",
        lambda z, y: float(np.sum(_terms(sigmoid(z), y)) / len(y)),
        "The sigmoid is applied twice. Your second one sees numbers between 0 and 1 only, so no "
        "probability leaves the range 0.5 to 0.73.",
    ),
    Misconception(
        "logarithm_of_a_rounded_probability",
        _of_probabilities(lambda p: p),
        "Right for moderate logits. At 1000 the probability is rounded to 1, and the logarithm of "
        "1 - p is that of 0. Write log p and log(1 - p) in terms of the logit before you round.",
        also=(_log_of_chosen,),
    ),
    Misconception(
        "exponential_overflows",
        lambda z, y: float(np.mean(np.log(1 + np.exp(z)) - y * z)),
        "log(1 + exp(z)) - y z is the right formula. exp(1000) is too large for a float: which "
        "NumPy function computes log(exp(a) + exp(b)) without it?",
    ),
    Misconception(
        "loss_capped_by_clipping",
        _clipped(1e-7),
        "Clipping the probability hides the overflow, and caps the loss: a sample that is wrong by "
        "1000 costs no more than one that is wrong by 20, and pulls no more.",
        also=(
            *map(_clipped, (1e-6, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16)),
            *map(_eps_in_the_logarithm, (1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15)),
        ),
    ),
    Misconception(
        "squared_error",
        lambda z, y: float(np.mean((sigmoid(z) - y) ** 2)),
        "This is the mean squared error of the probabilities. Cross-entropy takes the logarithm of "
        "the probability that was given to what happened.",
    ),
    Misconception(
        "in_bits",
        lambda z, y: float(np.sum(_terms(z, y)) / len(y) / math.log(2)),
        "Your loss is in bits (log2). The exercise asks for nats, the natural logarithm.",
    ),
)


# bce_gradient


def _gradient_sample(rng, n=None, c=None):
    n, c = n or int(rng.integers(2, 9)), c or int(rng.integers(1, 5))
    x, w = rng.normal(size=(n, c)), rng.normal(size=c)
    return x, _labels(rng, n), w, float(rng.normal())


def _gradient_oracle(x, y, w, b, h=1e-5):
    """Central differences of the loss, one parameter after the other."""

    def loss(w, b):
        z = x @ w + b
        return np.mean(np.logaddexp(0, z) - y * z)

    steps = np.eye(len(w)) * h
    dw = np.array([(loss(w + s, b) - loss(w - s, b)) / (2 * h) for s in steps])
    return dw, float((loss(w, b + h) - loss(w, b - h)) / (2 * h))


def _check_gradient_by_hand(attempt):
    x, y = np.array([[2.0, 1.0], [0.0, 4.0]]), np.array([1, 0])
    case = x, y, np.zeros(2), 0.0
    why = "Every probability is 1/2, so the errors are -1/2 and 1/2."
    attempt.expect(case, (np.array([-0.5, 0.75]), 0.0), why)


def _check_gradient_random(attempt):
    rng = np.random.default_rng(4)
    for _ in range(12):
        case = _gradient_sample(rng)
        attempt.expect(case, _gradient_oracle(*case), "(Expected: finite differences of the loss.)")


def _check_gradient_shapes(attempt):
    rng = np.random.default_rng(5)
    for n, c in ((1, 1), (1, 5), (6, 1), (3, 3)):
        case = _gradient_sample(rng, n, c)
        attempt.expect(case, _gradient_oracle(*case), f"Here N = {n} and C = {c}.")


def _check_gradient_one_class(attempt):
    rng = np.random.default_rng(6)
    x, _, w, b = _gradient_sample(rng, 5, 3)
    for y in (np.zeros(5, int), np.ones(5, int)):
        attempt.expect((x, y, w, b), _gradient_oracle(x, y, w, b), f"Here every label is {y[0]}.")


def _check_gradient_large(attempt):
    x = np.array([[1.0], [-1.0], [1.0]])
    case = x, np.array([1, 0, 0]), np.array([1000.0]), 0.0
    why = "Sure and right costs nothing; sure and wrong has error 1."
    attempt.expect(case, (np.array([1 / 3]), 1 / 3), why)


def _gradient_probes():
    rng = np.random.default_rng(7)
    first = _gradient_sample(rng, 5, 3)
    second = _gradient_sample(rng, 4, 2)
    return [
        (first[0], np.array([1, 0, 0, 1, 1]), first[2], 0.8),
        (second[0], np.array([0, 1, 0, 0]), second[2], -1.3),
    ]


def _with_error(error):
    """The gradient that follows from another error of each sample, error(p, y, z)."""

    def wrong(x, y, w, b):
        z = x @ w + b
        e = error(sigmoid(z), y, z)
        return x.T @ e / len(y), float(e.mean())

    return wrong


def _but(change):
    """The right gradient, changed: change(dw, db, x, y, w, b)."""

    def wrong(x, y, w, b):
        return change(*bce_gradient(x, y, w, b), x, y, w, b)

    return wrong


_GRADIENT_MISCONCEPTIONS = (
    Misconception(
        "sign_turned",
        _with_error(lambda p, y, z: y - p),
        "Every sign is turned. The gradient points where the loss *grows*; p - y or y - p?",
    ),
    Misconception(
        "sum_instead_of_mean",
        _but(lambda dw, db, x, y, w, b: (dw * len(y), db * len(y))),
        "You add the gradients of all samples. The loss is a mean over N samples: what is missing?",
    ),
    Misconception(
        "bias_summed",
        _but(lambda dw, db, x, y, w, b: (dw, db * len(y))),
        "dw is right. db is a sum over the samples where dw is a mean.",
    ),
    Misconception(
        "weights_summed",
        _but(lambda dw, db, x, y, w, b: (dw * len(y), db)),
        "db is right. dw is a sum over the samples where db is a mean.",
    ),
    Misconception(
        "divided_by_features",
        _but(lambda dw, db, x, y, w, b: (dw * len(y) / len(w), db)),
        "You divide by the number of features, C. The mean runs over the N samples: which axis of "
        "x is that?",
        also=(
            _but(lambda dw, db, x, y, w, b: (dw * len(y) / len(w), db * len(y) / len(w))),
            _but(lambda dw, db, x, y, w, b: (dw / len(w), db)),
            _but(lambda dw, db, x, y, w, b: (dw / len(w), db / len(w))),
        ),
    ),
    Misconception(
        "gradient_of_the_one_sided_loss",
        _with_error(lambda p, y, z: -y * (1 - p)),
        "Samples with y = 0 do not pull at all. This is the gradient of a loss without its second "
        "term.",
    ),
    Misconception(
        "slope_of_the_sigmoid_kept",
        _with_error(lambda p, y, z: (p - y) * p * (1 - p)),
        "There is a factor p (1 - p) too many. It belongs to the squared error; in the derivative of "
        "the cross-entropy it cancels.",
        also=(_with_error(lambda p, y, z: 2 * (p - y) * p * (1 - p)),),
    ),
    Misconception(
        "sigmoid_forgotten",
        _with_error(lambda p, y, z: z - y),
        "Your error is logit minus label. The label is 0 or 1: with what must it be compared?",
    ),
    Misconception(
        "decision_instead_of_probability",
        _with_error(lambda p, y, z: (p > 0.5) - y),
        "You compare the label with the decision, 0 or 1. A right decision of probability 0.51 must "
        "still pull.",
    ),
    Misconception(
        "input_forgotten",
        _but(lambda dw, db, x, y, w, b: (np.full(len(w), db), db)),
        "All your dw are equal: the error alone. How strongly does w[c] act on the logit of a "
        "sample?",
    ),
    Misconception(
        "bias_left_out_of_the_logit",
        lambda x, y, w, b: bce_gradient(x, y, w, 0.0),
        "Your gradient doesn't depend on b. What is the logit of a sample?",
    ),
    Misconception(
        "bias_never_moves",
        _but(lambda dw, db, x, y, w, b: (dw, 0.0)),
        "dw is right, and db is 0. The bias is a weight whose input is always 1.",
    ),
)


# gd_step


def _bowl(matrix, centre):
    """Gradient of a quadratic bowl over a list of two parameters, the second one a float."""

    def gradient(theta):
        slope = matrix @ (np.append(theta[0], theta[1]) - centre)
        return [slope[:-1], float(slope[-1])]

    return gradient


def _step_sample(rng, c=None):
    c = c or int(rng.integers(1, 5))
    half = rng.normal(size=(c + 1, c + 1))
    gradient = _bowl(half @ half.T + 0.1 * np.eye(c + 1), rng.normal(size=c + 1))
    return [rng.normal(size=c), float(rng.normal())], gradient, float(rng.uniform(0.05, 0.6))


def _step_oracle(theta, gradient, lr):
    slopes = gradient([np.copy(p) if isinstance(p, np.ndarray) else p for p in theta])
    out = []
    for number, parameter in enumerate(theta):
        change = np.multiply(slopes[number], -lr)
        out.append(np.add(parameter, change) if isinstance(parameter, np.ndarray) else float(parameter + change))
    return out


def _constant(theta):
    return [np.array([2.0, -4.0]), 10.0]


def _twice(theta):
    return [2 * parameter for parameter in theta]


def _check_step_by_hand(attempt):
    case = [np.array([1.0, 1.0]), 3.0], _constant, 0.1
    attempt.expect(case, [np.array([0.8, 1.4]), 2.0], "The gradient is [2, -4] and 10, lr is 0.1.")


def _check_step_random(attempt):
    rng = np.random.default_rng(8)
    for _ in range(12):
        case = _step_sample(rng)
        attempt.expect(case, _step_oracle(*case))


def _check_step_sizes(attempt):
    for theta in ([np.array(3.0).reshape(1)], [np.ones((2, 3)), np.zeros(3), np.full((3, 1), -1.5)], []):
        attempt.expect((theta, _twice, 0.25), _step_oracle(theta, _twice, 0.25), f"{len(theta)} parameters.")


def _check_step_no_rate(attempt):
    case = [np.array([1.5, -2.0]), 0.5], _constant, 0.0
    attempt.expect(case, case[0], "With lr = 0 nothing moves.")


def _check_step_minimum(attempt):
    """At the minimum the gradient is 0 and every step stays."""
    gradient = _bowl(np.eye(3), np.array([1.0, -2.0, 4.0]))
    case = [np.array([1.0, -2.0]), 4.0], gradient, 0.3
    attempt.expect(case, case[0], "This is the minimum: the gradient is 0.")


def _step_probes():
    steep = _step_sample(np.random.default_rng(9), 2)
    level = np.array([[0.3, 0.1, 0.0], [0.1, 0.2, 0.15], [0.0, 0.15, 0.25]])
    return [
        (*steep[:2], 0.2),
        ([np.array([1.0, -2.0]), 1.5], _bowl(level, np.zeros(3)), 0.6),
    ]


def _one_after_the_other(theta, gradient, lr):
    moved = list(theta)
    for number in range(len(theta)):
        moved[number] = moved[number] - lr * gradient(moved)[number]
    return moved


def _last_one_first(theta, gradient, lr):
    moved = list(theta)
    for number in reversed(range(len(theta))):
        moved[number] = moved[number] - lr * gradient(moved)[number]
    return moved


def _moved_by(change):
    """A step by change(parameter, slope, lr)."""

    def wrong(theta, gradient, lr):
        return [change(parameter, slope, lr) for parameter, slope in zip(theta, gradient(theta))]

    return wrong


def _unit_length(theta, gradient, lr):
    slopes = gradient(theta)
    length = math.sqrt(sum(float(np.sum(np.square(s))) for s in slopes))
    return [p - lr * s / length for p, s in zip(theta, slopes)]


def _looking_ahead(theta, gradient, lr):
    slopes = gradient(gd_step(theta, gradient, lr))
    return [p - lr * s for p, s in zip(theta, slopes)]


def _only(*places):
    def wrong(theta, gradient, lr):
        moved = gd_step(theta, gradient, lr)
        return [m if n in places else t for n, (m, t) in enumerate(zip(moved, theta))]

    return wrong


_STEP_MISCONCEPTIONS = (
    Misconception(
        "uphill",
        _moved_by(lambda p, s, lr: p + lr * s),
        "You walk up. The gradient points where the loss grows: in which direction does it fall?",
    ),
    Misconception(
        "one_parameter_after_the_other",
        _one_after_the_other,
        "Your second gradient is taken after the first parameter has already moved. All gradients "
        "belong to the same place, the old theta: call `gradient` once.",
        also=(_last_one_first,),
    ),
    Misconception(
        "gradient_at_the_new_place",
        _looking_ahead,
        "You take the gradient at a place to which you have not moved yet. It belongs to the old "
        "theta.",
    ),
    Misconception(
        "only_the_change_returned",
        _moved_by(lambda p, s, lr: -lr * s),
        "This is the change of theta. Where do you stand after it?",
        also=(_moved_by(lambda p, s, lr: lr * s),),
    ),
    Misconception(
        "learning_rate_left_out",
        _moved_by(lambda p, s, lr: p - s),
        "Your step has the full length of the gradient. What does lr do?",
    ),
    Misconception(
        "divided_by_the_learning_rate",
        _moved_by(lambda p, s, lr: p - s / lr),
        "Your step grows when lr shrinks. Multiply or divide?",
    ),
    Misconception(
        "sign_of_the_gradient_only",
        _moved_by(lambda p, s, lr: p - lr * np.sign(s)),
        "Every parameter moves by lr, whether the slope is steep or flat. A step of gradient descent "
        "shrinks where the ground gets level.",
    ),
    Misconception(
        "gradient_scaled_to_length_one",
        _unit_length,
        "You divide by the length of the gradient, so every step has length lr and none comes to "
        "rest at the minimum.",
        also=(_moved_by(lambda p, s, lr: p - lr * s / np.linalg.norm(s)),),
    ),
    Misconception(
        "parameter_shrunk",
        _moved_by(lambda p, s, lr: p * (1 - lr * s)),
        "You multiply the parameter by 1 - lr * gradient. The step is subtracted from it.",
    ),
    Misconception(
        "only_the_first_parameter",
        _only(0),
        "Only the first parameter moves. `gradient(theta)` has an entry for each: walk through both "
        "lists together.",
    ),
    Misconception(
        "only_the_last_parameter",
        _only(1),
        "Only the last parameter moves. Does your loop overwrite its result?",
    ),
)

EXERCISES = (
    Exercise(
        id="neuron_and_gradient_descent.sigmoid",
        reference=sigmoid,
        difficulty=2,
        minutes=8,
        section="One neuron",
        hints=(
            "1 / (1 + exp(-z)) is right on paper. Where does exp overflow, and what equals it there?",
            "exp(-|z|) lies between 0 and 1 for every z. For z >= 0 the sigmoid is 1 / (1 + exp(-|z|)), "
            "for z < 0 it is exp(-|z|) / (1 + exp(-|z|)).",
            "Only the numerator differs: np.where(z >= 0, 1, e) with e = np.exp(-np.abs(z)).",
        ),
        checks=(
            Check("three values by hand", _check_sigmoid_by_hand),
            Check("random arrays", _check_sigmoid_random),
            Check("large z", _check_sigmoid_large),
            Check("small values", _check_sigmoid_small_values),
            Check("z and -z", _check_sigmoid_sum),
        ),
        misconceptions=_SIGMOID_MISCONCEPTIONS,
        probes=_sigmoid_probes,
        sample=_sigmoid_sample,
        drive=_strictly,
    ),
    Exercise(
        id="neuron_and_gradient_descent.bce_loss",
        reference=bce_loss,
        difficulty=3,
        minutes=10,
        section="The loss",
        hints=(
            "The loss of one sample is -log p where y is 1 and -log(1 - p) where y is 0. Its mean "
            "over the samples is what you return.",
            "Put p = sigmoid(z) in: -log p = log(1 + exp(-z)), -log(1 - p) = log(1 + exp(z)). "
            "Both together are log(1 + exp(z)) - y z.",
            "np.logaddexp(0, z) is log(1 + exp(z)) without overflow.",
        ),
        checks=(
            Check("two samples by hand", _check_loss_by_hand),
            Check("random logits", _check_loss_random),
            Check("one class only", _check_loss_one_class),
            Check("large logits", _check_loss_large),
            Check("repeated samples", _check_loss_repeated),
        ),
        misconceptions=_LOSS_MISCONCEPTIONS,
        probes=_loss_probes,
        sample=_loss_sample,
    ),
    Exercise(
        id="neuron_and_gradient_descent.bce_gradient",
        reference=bce_gradient,
        difficulty=3,
        minutes=12,
        section="The gradient",
        returns=("dw", "db"),
        hints=(
            "The derivative of one sample's loss by its logit is p - y: one error for each sample.",
            "The logit changes by x[c] when w[c] changes by 1, and by 1 when b does. Multiply, and "
            "take the mean over the samples.",
            "error = sigmoid(x @ w + b) - y; dw = x.T @ error / N; db = error.mean().",
        ),
        checks=(
            Check("two samples by hand", _check_gradient_by_hand),
            Check("finite differences", _check_gradient_random),
            Check("shapes", _check_gradient_shapes),
            Check("one class only", _check_gradient_one_class),
            Check("large logits", _check_gradient_large),
        ),
        misconceptions=_GRADIENT_MISCONCEPTIONS,
        probes=_gradient_probes,
        sample=_gradient_sample,
    ),
    Exercise(
        id="neuron_and_gradient_descent.gd_step",
        reference=gd_step,
        difficulty=2,
        minutes=6,
        section="Gradient descent",
        hints=(
            "The gradient points uphill. Take a step of lr times the gradient the other way.",
            "Call gradient(theta) once: all slopes belong to the place where you stand now.",
            "Build a new list: [p - lr * s for p, s in zip(theta, slopes)].",
        ),
        checks=(
            Check("two parameters by hand", _check_step_by_hand),
            Check("random bowls", _check_step_random),
            Check("other numbers of parameters", _check_step_sizes),
            Check("a rate of zero", _check_step_no_rate),
            Check("at the minimum", _check_step_minimum),
        ),
        misconceptions=_STEP_MISCONCEPTIONS,
        probes=_step_probes,
        sample=_step_sample,
    ),
)
