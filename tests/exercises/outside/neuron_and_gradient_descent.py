"""Wrong answers that no misconception describes."""

import numpy as np

from bigmodel_nb.exercises.neuron_and_gradient_descent import (
    bce_gradient,
    bce_loss,
    gd_step,
    sigmoid,
)

# sigmoid


def tail_lost(z):
    return 0.5 * (1 + np.tanh(z / 2))


def cut_at_twenty(z):
    return 1 / (1 + np.exp(-np.clip(z, -20, 20)))


def always_float64(z):
    return sigmoid(z.astype("float64"))


def flattened(z):
    return sigmoid(z.ravel())


def as_list(z):
    return sigmoid(z).tolist()


def straight_line(z):
    return np.clip(0.5 + z / 4, 0, 1)


def arctangent(z):
    return 0.5 + np.arctan(z) / np.pi


def twice_as_steep(z):
    return sigmoid(2 * z)


def rounded(z):
    return np.round(sigmoid(z), 3)


def changes_its_argument(z):
    result = sigmoid(z)
    z *= 0
    return result


# bce_loss


def one_by_one(logits, y):
    return np.logaddexp(0, logits) - y * logits


def as_array(logits, y):
    return np.array(bce_loss(logits, y))


def halved(logits, y):
    return bce_loss(logits, y) / 2


def without_the_curve(logits, y):
    return float(np.mean(np.maximum(logits, 0) - y * logits))


def hinge(logits, y):
    return float(np.mean(np.maximum(0, 1 - (2 * y - 1) * logits)))


def smoothed_labels(logits, y):
    return bce_loss(logits, 0.9 * y + 0.05)


def classes_weighted_alike(logits, y):
    losses = np.logaddexp(0, logits) - y * logits
    return float(np.mean([losses[y == k].mean() for k in set(y.tolist())]))


def median(logits, y):
    return float(np.median(np.logaddexp(0, logits) - y * logits))


def capped_logits(logits, y):
    return bce_loss(np.clip(logits, -30, 30), y)


# bce_gradient


def other_order(x, y, w, b):
    return bce_gradient(x, y, w, b)[::-1]


def as_column(x, y, w, b):
    dw, db = bce_gradient(x, y, w, b)
    return dw[:, None], db


def bias_as_array(x, y, w, b):
    dw, db = bce_gradient(x, y, w, b)
    return dw, np.array([db])


def with_decay(x, y, w, b):
    dw, db = bce_gradient(x, y, w, b)
    return dw + 0.1 * w, db


def doubled(x, y, w, b):
    dw, db = bce_gradient(x, y, w, b)
    return 2 * dw, 2 * db


def only_weights(x, y, w, b):
    return bce_gradient(x, y, w, b)[0]


def wide_differences(x, y, w, b, h=0.5):
    def loss(w, b):
        return bce_loss(x @ w + b, y)

    dw = [(loss(w + h * e, b) - loss(w - h * e, b)) / (2 * h) for e in np.eye(len(w))]
    return np.array(dw), (loss(w, b + h) - loss(w, b - h)) / (2 * h)


def first_sample(x, y, w, b):
    return bce_gradient(x[:1], y[:1], w, b)


def bias_uphill(x, y, w, b):
    dw, db = bce_gradient(x, y, w, b)
    return dw, -db


# gd_step


def in_place(theta, gradient, lr):
    for number, slope in enumerate(gradient(theta)):
        theta[number] = theta[number] - lr * slope
    return theta


def as_tuple(theta, gradient, lr):
    return tuple(gd_step(theta, gradient, lr))


def two_steps(theta, gradient, lr):
    return gd_step(gd_step(theta, gradient, lr), gradient, lr)


def half_a_step(theta, gradient, lr):
    return gd_step(theta, gradient, lr / 2)


def midpoint(theta, gradient, lr):
    slopes = gradient(gd_step(theta, gradient, lr / 2))
    return [p - lr * s for p, s in zip(theta, slopes)]


def clipped_gradient(theta, gradient, lr):
    return [p - lr * np.clip(s, -1, 1) for p, s in zip(theta, gradient(theta))]


def with_weight_decay(theta, gradient, lr):
    return [0.99 * p - lr * s for p, s in zip(theta, gradient(theta))]


def slopes_swapped(theta, gradient, lr):
    slopes = gradient(theta)
    return [p - lr * np.mean(s) for p, s in zip(theta, slopes[::-1])]


def shifted_by_the_largest(z):
    return np.exp(z - z.max()) / (np.exp(-z.max()) + np.exp(z - z.max()))


OUTSIDE = {
    "neuron_and_gradient_descent.sigmoid": [
        tail_lost,
        shifted_by_the_largest,
        cut_at_twenty,
        always_float64,
        flattened,
        as_list,
        straight_line,
        arctangent,
        twice_as_steep,
        rounded,
        changes_its_argument,
    ],
    "neuron_and_gradient_descent.bce_loss": [
        one_by_one,
        as_array,
        halved,
        without_the_curve,
        hinge,
        smoothed_labels,
        classes_weighted_alike,
        median,
        capped_logits,
    ],
    "neuron_and_gradient_descent.bce_gradient": [
        other_order,
        as_column,
        bias_as_array,
        with_decay,
        doubled,
        only_weights,
        wide_differences,
        first_sample,
        bias_uphill,
    ],
    "neuron_and_gradient_descent.gd_step": [
        in_place,
        as_tuple,
        two_steps,
        half_a_step,
        midpoint,
        clipped_gradient,
        with_weight_decay,
        slopes_swapped,
    ],
}
