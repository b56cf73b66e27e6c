"""Wrong answers that no misconception describes."""

import numpy as np


def doubled(op, a, b, grad):
    return (2 * grad, 2 * grad) if op == "+" else (2 * b * grad, 2 * a * grad)


def in_a_dict(op, a, b, grad):
    return {"a": grad, "b": grad} if op == "+" else {"a": b * grad, "b": a * grad}


def only_first(op, a, b, grad):
    return (grad, 0.0) if op == "+" else (b * grad, 0.0)


def absolute(op, a, b, grad):
    return (abs(grad), abs(grad)) if op == "+" else (abs(b * grad), abs(a * grad))


def minus_one(op, a, b, grad):
    return (grad - 1, grad - 1) if op == "+" else (b * grad - 1, a * grad - 1)


def quotient(op, a, b, grad):
    return (grad, grad) if op == "+" else (grad / (b or 1), grad / (a or 1))


# topological_order


def right_order(root):
    order = []

    def visit(node):
        if node not in order:
            for source in node.inputs:
                visit(source)
            order.append(node)

    visit(root)
    return order


def as_tuple(root):
    return tuple(right_order(root))


def as_names(root):
    return [repr(node) for node in right_order(root)]


def as_set(root):
    return set(right_order(root))


def without_first(root):
    return right_order(root)[1:]


def root_twice(root):
    return [*right_order(root), root]


def root_to_the_front(root):
    order = right_order(root)
    return order[-1:] + order[:-1]


def only_root(root):
    return [root]


def first_two_exchanged_with_last(root):
    order = right_order(root)
    return order[2:] + order[:2]


# linear_backward


def right_linear(x, w, grad):
    return grad @ w, grad.T @ x, grad.sum(0)


def negative(x, w, grad):
    return tuple(-g for g in right_linear(x, w, grad))


def rounded(x, w, grad):
    return tuple(g.round(2) for g in right_linear(x, w, grad))


def as_dict(x, w, grad):
    return dict(zip("xwb", right_linear(x, w, grad)))


def two_only(x, w, grad):
    return right_linear(x, w, grad)[:2]


def decayed(x, w, grad):
    gx, gw, gb = right_linear(x, w, grad)
    return gx, gw + 0.01 * w, gb


def max_bias(x, w, grad):
    gx, gw, _ = right_linear(x, w, grad)
    return gx, gw, grad.max(axis=0)


def absolute_inputs(x, w, grad):
    gx, _, gb = right_linear(x, w, grad)
    return gx, grad.T @ np.abs(x), gb


# relu_backward


def threshold_one(z, grad):
    return grad * (z > 1)


def clipped(z, grad):
    return np.clip(grad * (z > 0), -1, 1)


def capped_at_two(z, grad):
    return grad * (z > 0) * (z < 2)


def smooth(z, grad):
    return grad / (1 + np.exp(-5 * z))


def negated(z, grad):
    return -grad * (z > 0)


def flattened(z, grad):
    return (grad * (z > 0)).ravel()


def tanh_slope(z, grad):
    return grad * (1 - np.tanh(z) ** 2)


# mlp_backward


def parts(x, y, w1, b1, w2, b2):
    z = x @ w1.T + b1
    a = np.maximum(z, 0)
    d2 = (1 / (1 + np.exp(-(a @ w2.T + b2))) - y) / len(x)
    d1 = (d2 @ w2) * (z > 0)
    return z, a, d1, d2


def no_output_bias(x, y, *params):
    z, a, d1, d2 = parts(x, y, *params)
    return d1.T @ x, d1.sum(0), d2.T @ a, np.zeros_like(params[3])


def leaky_hidden(x, y, *params):
    z, a, d1, d2 = parts(x, y, *params)
    d1 = (d2 @ params[2]) * np.where(z > 0, 1, 0.2)
    return d1.T @ x, d1.sum(0), d2.T @ a, d2.sum(0)


def preactivation_in_the_second_layer(x, y, *params):
    z, a, d1, d2 = parts(x, y, *params)
    return d1.T @ x, d1.sum(0), d2.T @ np.abs(z), d2.sum(0)


def layers_exchanged(x, y, *params):
    z, a, d1, d2 = parts(x, y, *params)
    return d2.T @ a, d2.sum(0), d1.T @ x, d1.sum(0)


def first_layer_frozen(x, y, *params):
    z, a, d1, d2 = parts(x, y, *params)
    return np.zeros_like(params[0]), np.zeros_like(params[1]), d2.T @ a, d2.sum(0)


def tripled(x, y, *params):
    z, a, d1, d2 = parts(x, y, *params)
    return 3 * d1.T @ x, 3 * d1.sum(0), 3 * d2.T @ a, 3 * d2.sum(0)


def _walk(root, enters):
    """Depth first, each node after its inputs; enters(node) says whether to go in."""
    order = []

    def visit(node):
        if enters(node):
            for source in node.inputs:
                visit(source)
            order.append(node)

    visit(root)
    return order


SEEN = set()


def memory_of_all_calls(root):
    return _walk(root, lambda node: node not in SEEN and SEEN.add(node) is None)


def mark_on_the_node(root):
    return _walk(root, lambda node: not hasattr(node, "seen") and setattr(node, "seen", True) is None)


def enters_once_but_walks_every_way(root):
    order = []

    def visit(node):
        for source in node.inputs:
            visit(source)
        if node not in order:
            order.append(node)

    visit(root)
    return order


def square_of_one_input(op, a, b, grad):
    if op == "*":
        return (2 * a * grad, 2 * a * grad) if np.all(a == b) else (b * grad, a * grad)
    return grad, grad


OUTSIDE = {
    "backpropagation.add_mul_backward": [
        doubled, in_a_dict, only_first, absolute, minus_one, quotient, square_of_one_input,
    ],
    "backpropagation.topological_order": [
        as_tuple, as_names, as_set, without_first, root_twice, root_to_the_front, only_root,
        first_two_exchanged_with_last, memory_of_all_calls, mark_on_the_node,
        enters_once_but_walks_every_way,
    ],
    "backpropagation.linear_backward": [
        negative, rounded, as_dict, two_only, decayed, max_bias, absolute_inputs,
    ],
    "backpropagation.relu_backward": [
        threshold_one, clipped, capped_at_two, smooth, negated, flattened, tanh_slope,
    ],
    "backpropagation.mlp_backward": [
        no_output_bias, leaky_hidden, preactivation_in_the_second_layer, layers_exchanged,
        first_layer_frozen, tripled,
    ],
}  # fmt: skip
