"""Wrong answers that no misconception describes."""

import numpy as np

from bigmodel_nb.exercises.cross_entropy import (
    cross_entropy,
    cross_entropy_gradient,
    kl_divergence,
    perplexity,
    softmax,
)

# softmax


def hot(logits):
    return softmax(logits / 2)


def hardest(logits):
    return (logits == logits.max(axis=-1, keepdims=True)).astype(float)


def in_float32(logits):
    return softmax(logits).astype(np.float32)


def as_lists(logits):
    return softmax(logits).tolist()


def clipped(logits):
    return softmax(np.clip(logits, -50, 50))


def leaky(logits):
    return (softmax(logits) + 1e-3) / (1 + 1e-3 * logits.shape[-1])


def reversed_rows(logits):
    return softmax(logits)[..., ::-1].copy()


def squares(logits):
    return logits**2 / (logits**2).sum(axis=-1, keepdims=True)


# cross_entropy


def smoothed(logits, labels):
    uniform = np.mean([cross_entropy(logits, np.full_like(labels, k)) for k in range(logits.shape[1])])
    return 0.9 * cross_entropy(logits, labels) + 0.1 * float(uniform)


def warm(logits, labels):
    return cross_entropy(logits / 2, labels)


def brier(logits, labels):
    return float(((softmax(logits) - np.eye(logits.shape[1])[labels]) ** 2).sum(axis=1).mean())


def first_row(logits, labels):
    return cross_entropy(logits[:1], labels[:1])


def every_row(logits, labels):
    return np.array([cross_entropy(logits[n : n + 1], labels[n : n + 1]) for n in range(len(labels))])


def next_class(logits, labels):
    return cross_entropy(logits, (labels + 1) % logits.shape[1])


def as_text(logits, labels):
    return f"{cross_entropy(logits, labels):.4f}"


def bounded(logits, labels):
    return min(cross_entropy(logits, labels), 50.0)


# cross_entropy_gradient


def summed(logits, labels):
    return cross_entropy_gradient(logits, labels).sum(axis=0)


def one_row_short(logits, labels):
    return cross_entropy_gradient(logits, labels)[1:]


def clipped_gradient(logits, labels):
    return np.clip(cross_entropy_gradient(logits, labels), -0.1, 0.1)


def half(logits, labels):
    return cross_entropy_gradient(logits, labels) / 2


def mean_square(logits, labels):
    return 2 * (softmax(logits) - np.eye(logits.shape[1])[labels]) / logits.size


def decayed(logits, labels):
    return cross_entropy_gradient(logits, labels) + 0.01 * logits


# kl_divergence


def total_variation(p, q):
    return float(np.abs(p - q).sum() / 2)


def jensen_shannon(p, q):
    middle = (p + q) / 2
    return (kl_divergence(p, middle) + kl_divergence(q, middle)) / 2


def chi_square(p, q):
    keep = q > 0
    return float(((p - q)[keep] ** 2 / q[keep]).sum())


def never_infinite(p, q):
    return min(kl_divergence(p, q), 100.0)


def entropy_difference(p, q):
    return float(-(q[q > 0] * np.log(q[q > 0])).sum() + (p[p > 0] * np.log(p[p > 0])).sum())


def squared(p, q):
    return float(((p - q) ** 2).sum())


def in_base_ten(p, q):
    return kl_divergence(p, q) / float(np.log(10))


# perplexity


def one_too_many(probs):
    return perplexity(probs) + 1


def without_the_first(probs):
    return perplexity(probs[1:] if len(probs) > 1 else probs)


def never_above(probs):
    return min(perplexity(probs), 1000.0)


def divided_by_one_less(probs):
    return float(np.exp(-np.log(probs).sum() / max(1, len(probs) - 1)))


def with_an_epsilon(probs):
    return perplexity(probs + 1e-3)


def whole(probs):
    return round(min(perplexity(probs), 1e9))


def with_a_tiny_constant(logits):
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / (e.sum(axis=-1, keepdims=True) + 1e-8)


OUTSIDE = {
    "cross_entropy.softmax": [
        hot, hardest, in_float32, as_lists, clipped, leaky, reversed_rows, squares, with_a_tiny_constant,
    ],
    "cross_entropy.cross_entropy": [smoothed, warm, brier, first_row, every_row, next_class, as_text, bounded],
    "cross_entropy.cross_entropy_gradient": [
        summed, one_row_short, clipped_gradient, half, mean_square, decayed,
    ],
    "cross_entropy.kl_divergence": [
        total_variation, jensen_shannon, chi_square, never_infinite, entropy_difference, squared, in_base_ten,
    ],
    "cross_entropy.perplexity": [
        one_too_many, without_the_first, never_above, divided_by_one_less, with_an_epsilon, whole,
    ],
}
