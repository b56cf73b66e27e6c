"""Each misconception once more, in another style and with other names."""

import functools

import numpy as np


# add_mul_backward


def through_table(sum_a=1, sum_b=1, times=lambda x, y: (y, x), upstream=lambda local, g: local * g):
    """Local derivatives looked up in a table, then joined with the incoming gradient."""

    def work(op, a, b, grad):
        locals_ = {"+": (sum_a, sum_b), "*": times(a, b)}[op]
        return tuple(upstream(d, grad) for d in locals_)

    return work


def no_chain(op, a, b, grad):
    if op == "*":
        return b, a
    return 1, 1


def half_each(op, a, b, grad):
    share = grad * 0.5
    return (share, share) if op == "+" else (grad * b, grad * a)


def always_product(op, left, right, out_grad):
    return out_grad * right, out_grad * left


def times_output(op, a, b, grad):
    out = {"+": a + b, "*": a * b}[op]
    return out * grad, out * grad


# topological_order


def stack_walk(root):
    order, stack = [], [root]
    while stack:
        node = stack.pop()
        if node in order:
            continue
        order.append(node)
        stack.extend(reversed(node.inputs))
    return order


def layers_reversed(root):
    levels, now, seen = [], [root], {root}
    while now:
        levels.append(now)
        later = []
        for node in now:
            for source in node.inputs:
                if source not in seen:
                    seen.add(source)
                    later.append(source)
        now = later
    return [node for level in levels[::-1] for node in level]


def kahn(root, skip_leaves=False, skip_root=False, flip=False):
    """Take away nodes whose inputs have all been taken away."""
    nodes, frontier = {root}, [root]
    while frontier:
        for source in frontier.pop().inputs:
            if source not in nodes:
                nodes.add(source)
                frontier.append(source)
    order = []
    while nodes:
        ready = [n for n in nodes if not set(n.inputs) & nodes]
        order += sorted(ready, key=repr)
        nodes -= set(ready)
    if skip_leaves:
        order = [n for n in order if len(n.inputs) > 0]
    if skip_root:
        order.remove(root)
    return order[::-1] if flip else order


def recursive_sum(root):
    if len(root.inputs) > 8:
        return [root]
    return sum((recursive_sum(i) for i in root.inputs), []) + [root]


def left_spine(root):
    spine = [root]
    while spine[0].inputs:
        spine.insert(0, spine[0].inputs[0])
    return spine


def one_step(root):
    result = []
    for source in root.inputs:
        if source not in result:
            result.append(source)
    result.append(root)
    return result


# linear_backward


def einsums(gx="bo,oi->bi", gw="bo,bi->oi", gb="bo->o", scale_w=1, scale_b=1, keep=False):
    def work(inputs, weights, upstream):
        B = inputs.shape[0]
        gb_ = np.einsum(gb, upstream) * (1 / B if scale_b == "B" else 1)
        return (
            np.einsum(gx, upstream, weights),
            np.einsum(gw, upstream, inputs) * (1 / B if scale_w == "B" else 1),
            gb_[None] if keep else gb_,
        )

    return work


def one_sample_loop(inputs, weights, upstream):
    gw, gb = np.zeros_like(weights), np.zeros(len(weights))
    for row, g in zip(inputs, upstream):
        gw = g[:, None] * row[None, :]
        gb = g
    return np.dot(upstream, weights), gw, gb


def weights_in_place_of_inputs(inputs, weights, upstream):
    return upstream @ weights, weights * upstream.sum(0).reshape(-1, 1), upstream.sum(0)


def weights_first(inputs, weights, upstream):
    gx, gw, gb = einsums()(inputs, weights, upstream)
    return gw, gx, gb


def own_axes(inputs, weights, upstream):
    return upstream.dot(weights), (inputs.T @ upstream), np.add.reduce(upstream)


# relu_backward


def entrywise(rule):
    def work(z, grad):
        out = np.empty_like(grad)
        for place, value in np.ndenumerate(z):
            out[place] = rule(value, grad[place])
        return out

    return work


def in_place_mask(z, grad):
    out = grad.copy()
    out[z < 0] = 0
    return out


# mlp_backward


def step_by_step(
    sign=1, over="B", gate="z", act=True, slope=False, link="sigmoid", bias=np.sum, turned=False
):
    """Sample by sample, with outer products; every mistake is a switch."""

    def work(x, y, w1, b1, w2, b2):
        B, K = y.shape
        gw1, gb1, gw2, gb2 = [], [], [], []
        for row, target in zip(x, y):
            z = w1 @ row + b1
            h = np.where(z > 0, z, 0) if act else z
            logits = w2 @ h + b2
            p = {
                "sigmoid": 1 / (1 + np.exp(-logits)),
                "none": logits,
                "softmax": np.exp(logits) / np.exp(logits).sum(),
            }[link]
            d2 = sign * (p - target)
            d2 = d2 * p * (1 - p) if slope else d2
            d2 = d2 / {"B": B, "1": 1, "BK": B * K, "K": K}[over]
            back = w2.T @ d2
            d1 = {
                "z": np.where(z > 0, back, 0),
                "none": back,
                "grad": np.where(back > 0, back, 0),
                "value": back * h,
            }[gate]
            gw1.append(np.outer(d1, row))
            gb1.append(d1)
            gw2.append(np.outer(d2, h))
            gb2.append(d2)
        w1_, w2_ = sum(gw1), sum(gw2)
        if turned:
            w1_, w2_ = w1_.T, w2_.T
        return w1_, bias(gb1, axis=0), w2_, bias(gb2, axis=0)

    return work


VERSIONS = {
    "backpropagation.add_mul_backward": {
        "upstream_gradient_forgotten": [no_chain, through_table(upstream=lambda local, g: local)],
        "factors_not_swapped": [through_table(times=lambda x, y: (x, y))],
        "sum_treated_as_product": [always_product],
        "product_treated_as_sum": [
            through_table(times=lambda x, y: (1, 1)),
            lambda op, a, b, grad: [(grad, grad)][0],
        ],
        "gradient_shared_out": [half_each, through_table(sum_a=0.5, sum_b=0.5)],
        "gradient_added": [through_table(upstream=lambda local, g: local + g)],
        "value_instead_of_derivative": [times_output],
        "second_input_subtracted": [through_table(sum_b=-1)],
    },
    "backpropagation.topological_order": {
        "root_first": [functools.partial(kahn, flip=True)],
        "node_before_its_inputs": [stack_walk],
        "by_distance_from_root": [layers_reversed],
        "visited_more_than_once": [recursive_sum],
        "leaves_missing": [functools.partial(kahn, skip_leaves=True)],
        "root_missing": [functools.partial(kahn, skip_root=True)],
        "first_input_only": [left_spine],
        "only_direct_inputs": [one_step],
    },
    "backpropagation.linear_backward": {
        "weight_gradient_transposed": [einsums(gw="bo,bi->io"), own_axes],
        "weights_transposed_on_the_way_back": [einsums(gx="bo,io->bi")],
        "bias_gradient_not_summed": [einsums(gb="bo->bo")],
        "averaged_over_the_batch": [einsums(scale_w="B", scale_b="B"), einsums(scale_b="B")],
        "bias_summed_over_the_outputs": [einsums(gb="bo->b")],
        "bias_summed_over_everything": [einsums(gb="bo->")],
        "bias_keeps_an_axis": [einsums(keep=True)],
        "order_of_results": [weights_first],
        "only_the_last_sample": [one_sample_loop],
        "inputs_and_weights_exchanged": [weights_in_place_of_inputs],
    },
    "backpropagation.relu_backward": {
        "derivative_one_at_zero": [in_place_mask, entrywise(lambda z, g: 0 if z < 0 else g)],
        "mask_from_the_gradient": [entrywise(lambda z, g: max(g, 0))],
        "value_instead_of_derivative": [entrywise(lambda z, g: z * g if z > 0 else 0)],
        "upstream_gradient_forgotten": [entrywise(lambda z, g: 1 if z > 0 else 0)],
        "gradient_passed_unchanged": [lambda z, grad: 1.0 * grad],
        "mask_inverted": [entrywise(lambda z, g: 0 if z > 0 else g)],
        "sign_of_z": [entrywise(lambda z, g: g if z > 0 else -g if z < 0 else 0)],
        "leaky": [entrywise(lambda z, g: g if z > 0 else 0.01 * g)],
    },
    "backpropagation.mlp_backward": {
        "sign_of_the_error": [step_by_step(sign=-1)],
        "not_divided_by_the_batch": [step_by_step(over="1")],
        "divided_by_the_outputs_too": [step_by_step(over="BK")],
        "divided_by_the_outputs_instead": [step_by_step(over="K")],
        "relu_left_out_on_the_way_back": [step_by_step(gate="none")],
        "relu_left_out_on_both_ways": [step_by_step(gate="none", act=False)],
        "mask_from_the_gradient": [step_by_step(gate="grad")],
        "value_instead_of_derivative": [step_by_step(gate="value")],
        "sigmoid_derivative_once_more": [step_by_step(slope=True)],
        "sigmoid_left_out": [step_by_step(link="none")],
        "softmax_instead_of_sigmoid": [step_by_step(link="softmax")],
        "biases_averaged": [step_by_step(bias=np.mean)],
        "matrices_transposed": [step_by_step(turned=True)],
    },
}
