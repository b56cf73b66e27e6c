"""Exercises of lesson 02."""

from __future__ import annotations

import numpy as np

from .engine.model import Check, Exercise, Failed, Misconception


def add_mul_backward(op, a, b, grad):
    """Gradients of the loss for the two inputs of out = a + b or out = a * b.

    op: "+" or "*"; a, b: values of the inputs; grad: dloss/dout
    floats, or NumPy arrays of one shape -> (dloss/da, dloss/db)
    """
    if op == "+":
        return grad, grad
    return b * grad, a * grad


def topological_order(root):
    """Nodes that root depends on, itself included: each once, each after all of its inputs.

    root: a node; node.inputs is a tuple of nodes, empty for a leaf -> list of nodes
    """
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for source in node.inputs:
                visit(source)
            order.append(node)

    visit(root)
    return order


def linear_backward(x, w, grad):
    """Gradients of the loss for y = x @ w.T + b.

    x (B, n_in), w (n_out, n_in), grad (B, n_out) = dloss/dy
    -> grad_x (B, n_in), grad_w (n_out, n_in), grad_b (n_out,), all of the dtype of x
    """
    return grad @ w, grad.T @ x, grad.sum(axis=0)


def relu_backward(z, grad):
    """Gradient of the loss for z, where a = max(0, z); the derivative at 0 is taken as 0.

    z: array of any shape; grad: dloss/da, same shape -> dloss/dz, same shape and dtype
    """
    return grad * (z > 0)


def mlp_backward(x, y, w1, b1, w2, b2):
    """Gradients for logits = relu(x @ w1.T + b1) @ w2.T + b2, with a sigmoid on each logit.

    x (B, n_in), y (B, n_out) of 0 and 1, w1 (n_hidden, n_in), w2 (n_out, n_hidden)
    loss: binary cross-entropy, summed over the outputs, averaged over the B samples
    -> grad_w1, grad_b1, grad_w2, grad_b2, each of the shape of its parameter
    """
    z = x @ w1.T + b1  # (B, n_hidden)
    a = np.maximum(z, 0)
    logits = a @ w2.T + b2  # (B, n_out)
    p = 1 / (1 + np.exp(-logits))
    grad_logits = (p - y) / len(x)
    grad_z = (grad_logits @ w2) * (z > 0)
    return grad_z.T @ x, grad_z.sum(axis=0), grad_logits.T @ a, grad_logits.sum(axis=0)


# add_mul_backward


def _op_sample(rng):
    op = "+*"[int(rng.integers(2))]
    a, b, grad = (float(v) for v in rng.normal(size=3) * 3)
    return op, a, b, grad


def _op_oracle(op, a, b, grad):
    """Central differences of grad * out; exact up to rounding, since out is linear in a and in b."""

    def out(a, b):
        return a + b if op == "+" else a * b

    slope_a = (out(a + 0.5, b) - out(a - 0.5, b)) * grad
    slope_b = (out(a, b + 0.5) - out(a, b - 0.5)) * grad
    return slope_a, slope_b


def _check_op_sum(attempt):
    why = "out = 2 + 3 and grad is 7: raise a by 1 and out rises by 1, so the loss by 7."
    attempt.expect(("+", 2.0, 3.0, 7.0), (7.0, 7.0), why)


def _check_op_product(attempt):
    why = "out = 2 * 3 and grad is 7: raise a by 1 and out rises by 3, so the loss by 21."
    attempt.expect(("*", 2.0, 3.0, 7.0), (21.0, 14.0), why)


def _check_op_edges(attempt):
    for case, why in (
        (("*", 0.0, 5.0, 2.0), "An input may be 0: it still has a gradient."),
        (("*", 0.0, 0.0, 2.0), "Both inputs 0."),
        (("*", -4.0, 0.5, -3.0), "Negative numbers."),
        (("+", -4.0, 0.5, 0.0), "A gradient of 0 stays 0."),
        (("*", -4.0, 0.5, 0.0), "A gradient of 0 stays 0."),
        (("+", 1.5, 1.5, -2.0), "Equal inputs."),
        (("*", 1.5, 1.5, -2.0), "Equal inputs are still two inputs, each with its own gradient."),
    ):
        attempt.expect(case, _op_oracle(*case), why)


def _check_op_random(attempt):
    rng = np.random.default_rng(1)
    for _ in range(20):
        case = _op_sample(rng)
        attempt.expect(case, _op_oracle(*case))


def _check_op_arrays(attempt):
    rng = np.random.default_rng(2)
    for op in "+*":
        for shape in ((3,), (2, 4)):
            case = (op, *(rng.normal(size=shape) for _ in range(3)))
            attempt.expect(case, _op_oracle(*case), "The same rule holds for each entry of an array.")


def _op_probes():
    return [("+", 2.0, 3.0, 7.0), ("*", 2.0, 3.0, 7.0), ("*", -1.5, 0.4, 2.5), ("+", -1.5, 0.4, 2.5)]


def _op_wrong(on_sum=None, on_product=None):
    """The right rule with one of its two halves, or both, replaced."""

    def wrong(op, a, b, grad):
        changed = on_sum if op == "+" else on_product
        return changed(a, b, grad) if changed else add_mul_backward(op, a, b, grad)

    return wrong


_OP_MISCONCEPTIONS = (
    Misconception(
        "upstream_gradient_forgotten",
        _op_wrong(lambda a, b, g: (1.0, 1.0), lambda a, b, g: (b, a)),
        "Those are the derivatives of out. You want those of the loss: by what must dout/da be "
        "multiplied?",
        also=(_op_wrong(lambda a, b, g: (1.0, 1.0)), _op_wrong(None, lambda a, b, g: (b, a))),
    ),
    Misconception(
        "factors_not_swapped",
        _op_wrong(None, lambda a, b, g: (a * g, b * g)),
        "For a product you give each input its own value. If a grows by 1, by how much does a * b "
        "grow?",
    ),
    Misconception(
        "sum_treated_as_product",
        _op_wrong(lambda a, b, g: (b * g, a * g)),
        "Your sum behaves like a product. If a grows by 1, by how much does a + b grow, whatever b "
        "is?",
        also=(_op_wrong(lambda a, b, g: (a * g, b * g)),),
    ),
    Misconception(
        "product_treated_as_sum",
        _op_wrong(None, lambda a, b, g: (g, g)),
        "Your product passes the gradient on unchanged, as a sum does. How does a * b depend on a?",
    ),
    Misconception(
        "gradient_shared_out",
        _op_wrong(lambda a, b, g: (g / 2, g / 2)),
        "Your sum divides the gradient between its inputs. Each input on its own moves out by just "
        "as much as it moves itself: nothing is shared out.",
    ),
    Misconception(
        "gradient_added",
        _op_wrong(lambda a, b, g: (1 + g, 1 + g), lambda a, b, g: (b + g, a + g)),
        "You add the incoming gradient to the local derivative. What does the chain rule do with "
        "the two?",
        also=(_op_wrong(None, lambda a, b, g: (b + g, a + g)),),
    ),
    Misconception(
        "value_instead_of_derivative",
        _op_wrong(lambda a, b, g: ((a + b) * g,) * 2, lambda a, b, g: (a * b * g,) * 2),
        "You multiply by the value of out. What counts is how fast out changes with a, and with b.",
        also=(_op_wrong(None, lambda a, b, g: (a * b * g,) * 2),),
    ),
    Misconception(
        "second_input_subtracted",
        _op_wrong(lambda a, b, g: (g, -g)),
        "Your second gradient of a sum has the wrong sign. That is the rule of a - b.",
        also=(_op_wrong(lambda a, b, g: (g, -g), lambda a, b, g: (b * g, -a * g)),),
    ),
)


# topological_order


class Node:
    """A node of a computational graph: a name, and the nodes that it is computed from."""

    def __init__(self, name, inputs=()):
        self.name, self._inputs = name, tuple(inputs)
        self.looks = 0  # how often its inputs were asked for

    @property
    def inputs(self):
        self.looks += 1
        return self._inputs

    def __repr__(self):
        return self.name


def build(graph, root):
    """The node called root. graph: name -> names of its inputs, each listed before it is used."""
    nodes = {}
    for name, inputs in graph.items():
        nodes[name] = Node(name, (nodes[i] for i in inputs))
    return nodes[root]


def run_order(work, graph, root, calls=1):
    """What is wrong with an order, as names that no two right orders differ in.

    A right order gives four empty entries; anything but a list of nodes is given back as it is.
    """
    top = build(graph, root)
    for _ in range(calls):
        order = work(top)
    if type(order) is not list or not all(isinstance(node, Node) for node in order):
        return order
    names = [node.name for node in order]
    needed = {node.name for node in topological_order(build(graph, root))}
    place = {name: i for i, name in reversed(list(enumerate(names)))}
    early = {n for n in place for i in graph[n] if i in place and place[i] > place[n]}
    return {
        "missing": sorted(needed - set(names)),
        "repeated": sorted(n for n in needed if names.count(n) > 1),
        "not needed": sorted(set(names) - needed),
        "before an input": sorted(early),
    }


_GOOD_ORDER = {"missing": [], "repeated": [], "not needed": [], "before an input": []}
_ORDER_FAULTS = {
    "missing": "{names} is missing from your list.",
    "repeated": "{names} stands in your list more than once.",
    "not needed": "{names} stands in your list, although root does not depend on it.",
    "before an input": "{names} stands before one of its own inputs.",
}


def _expect_order(attempt, graph, root, why="", drive=None):
    report = attempt(graph, root, drive=drive)
    if not isinstance(report, dict):
        raise Failed("Your result is not a list of nodes. Return the nodes themselves.", (graph, root))
    for kind, names in report.items():
        if names:
            text = _ORDER_FAULTS[kind].format(names=f"Node {names[0]}")
            raise Failed(f"In the graph {graph} with root {root}: {text} {why}".rstrip(), (graph, root))


_DIAMOND = {"a": (), "b": (), "c": ("a", "b"), "d": ("a", "c"), "loss": ("c", "d")}


def _order_sample(rng):
    graph = {}
    for i in range(int(rng.integers(3, 9))):
        known = list(graph)
        many = int(rng.integers(0, 3)) if i > 1 else 0
        graph[f"n{i}"] = tuple(known[int(j)] for j in rng.integers(0, len(known), size=many))
    return graph, f"n{len(graph) - 1 - int(rng.integers(2))}"


def _check_order_chain(attempt):
    _expect_order(attempt, {"a": (), "b": ("a",), "c": ("b",)}, "c", "This is a chain.")


def _check_order_diamond(attempt):
    _expect_order(attempt, _DIAMOND, "loss", "Here a and c are used twice.")


def _check_order_edges(attempt):
    _expect_order(attempt, {"a": ()}, "a", "A root without inputs is its own list.")
    _expect_order(attempt, {"a": (), "b": ("a", "a")}, "b", "One node may be both inputs, as in a * a.")
    _expect_order(attempt, _DIAMOND, "d", "Nodes that come after root do not belong.")
    wide = {"a": (), "b": (), "c": (), "s": ("a", "b", "c")}
    _expect_order(attempt, wide, "s", "A node may have three inputs.")
    short_cut = {"a": (), "b": ("a",), "c": ("b",), "d": ("c",), "loss": ("a", "d")}
    _expect_order(attempt, short_cut, "loss", "There is a short and a long way to a.")
    _expect_order(attempt, {**short_cut, "loss": ("d", "a")}, "loss", "A short and a long way to a.")


def _check_order_random(attempt):
    rng = np.random.default_rng(3)
    for _ in range(40):
        _expect_order(attempt, *_order_sample(rng))


def _check_order_again(attempt):
    def asked_twice(work, graph, root):
        return run_order(work, graph, root, calls=2)

    why = "This is your second list for the same nodes: does a call begin with what an earlier one has seen?"
    _expect_order(attempt, _DIAMOND, "loss", why, drive=asked_twice)


def _doubled_chain(many):
    graph = {"n0": ()}
    for i in range(1, many):
        graph[f"n{i}"] = (f"n{i - 1}", f"n{i - 1}")
    return graph, f"n{many - 1}"


def _looks(work, graph, root):
    """How often the work asks for the inputs of a node."""
    top = build(graph, root)
    work(top)
    return sum(node.looks for node in topological_order(top))


def _check_order_depth(attempt):
    case = _doubled_chain(16)
    looks = attempt(*case, drive=_looks)
    if looks > 5000:
        text = f"In a chain of 16 nodes, each using the one before it twice, you ask for inputs {looks:,} times."
        raise Failed(f"{text} There are 2**15 ways to the start: turn back where you have been.", case)
    why = "This chain of 60 nodes uses each twice; a walk without memory takes 2**60 steps."
    _expect_order(attempt, *_doubled_chain(60), why)


def _order_probes():
    ladder = {"a": (), "b": ("a",), "c": ("b", "a"), "d": ("a", "c"), "e": ("d", "b"), "loss": ("b", "e")}
    tail = {"a": (), "b": (), "c": ("a",), "d": ("b", "c"), "loss": ("c", "d", "a"), "z": ("loss", "b")}
    fan = {"x": (), "y": (), "p": ("x", "y"), "q": ("y", "x"), "r": ("p",), "loss": ("q", "r", "p")}
    return [(_DIAMOND, "loss"), (ladder, "loss"), (tail, "loss"), (fan, "loss")]


def _root_first(root):
    return topological_order(root)[::-1]


def _visit_all(root, keep=lambda node: True, before=False, reverse=False):
    order, seen = [], set()

    def visit(node):
        if node in seen:
            return
        seen.add(node)
        if before:
            order.append(node)
        for source in node.inputs[::-1] if reverse else node.inputs:
            visit(source)
        if not before:
            order.append(node)

    visit(root)
    return [node for node in order if keep(node)]


def _breadth_first(root, reverse=False):
    order, queue = [], [root]
    while queue:
        node = queue.pop(0)
        if node not in order:
            order.append(node)
            queue += node.inputs[::-1] if reverse else node.inputs
    return order


def _without_memory(root):
    if len(root.inputs) > 8:
        return []
    return [n for source in root.inputs for n in _without_memory(source)] + [root]


def _own_memory_only(root):
    order = []

    def visit(node):
        for source in node.inputs:
            if source not in order:
                visit(source)
        order.append(node)

    visit(root)
    return order


def _first_input_only(root):
    return ([] if not root.inputs else _first_input_only(root.inputs[0])) + [root]


def _last_input_only(root):
    return ([] if not root.inputs else _last_input_only(root.inputs[-1])) + [root]


_ORDER_MISCONCEPTIONS = (
    Misconception(
        "root_first",
        _root_first,
        "Your list runs from root to the leaves. It should be the order of computing: when a node's "
        "turn comes, what must already be there?",
    ),
    Misconception(
        "node_before_its_inputs",
        lambda root: _visit_all(root, before=True),
        "You enter a node in the list when you arrive at it. When would you have to enter it so that "
        "all of its inputs are there before it?",
        also=(
            lambda root: _visit_all(root, before=True, reverse=True),
            lambda root: _visit_all(root, before=True)[::-1],
            lambda root: _visit_all(root, before=True, reverse=True)[::-1],
        ),
    ),
    Misconception(
        "by_distance_from_root",
        lambda root: _breadth_first(root)[::-1],
        "You sort the nodes by their shortest way to root. A node that is near to root on one way "
        "may be far on another: which of the two decides?",
        also=(
            _breadth_first,
            lambda root: _breadth_first(root, reverse=True),
            lambda root: _breadth_first(root, reverse=True)[::-1],
        ),
    ),
    Misconception(
        "visited_more_than_once",
        _without_memory,
        "A node that is used twice stands in your list twice, and its gradient would be passed on "
        "twice. How can you tell that you have been there?",
    ),
    Misconception(
        "leaves_missing",
        lambda root: _visit_all(root, keep=lambda node: node.inputs),
        "Your list holds only nodes that have inputs. The leaves are the weights: they need their "
        "gradient most of all.",
    ),
    Misconception(
        "root_missing",
        lambda root: [node for node in topological_order(root) if node is not root],
        "All that root depends on is there, but root itself is not. Where would the backward pass "
        "begin?",
    ),
    Misconception(
        "first_input_only",
        _first_input_only,
        "You follow only one input of each node. A sum has two: what about the other?",
        also=(_last_input_only,),
    ),
    Misconception(
        "only_direct_inputs",
        lambda root: [*dict.fromkeys(root.inputs), root],
        "Your list ends with the inputs of root. What about the inputs of those, and so on?",
        also=(lambda root: [*root.inputs, root],),
    ),
)


# linear_backward


def _linear_case(rng, B=None, n_in=None, n_out=None, dtype=np.float64):
    B, n_in, n_out = (int(rng.integers(1, 7)) if n is None else n for n in (B, n_in, n_out))
    shapes = ((B, n_in), (n_out, n_in), (B, n_out))
    return tuple(rng.normal(size=shape).astype(dtype) for shape in shapes)


def _linear_oracle(x, w, grad):
    """Entry by entry, with no matrix product."""
    grad_x, grad_w, grad_b = np.zeros_like(x), np.zeros_like(w), np.zeros_like(grad[0])
    for s in range(len(x)):
        for j in range(len(w)):
            grad_b[j] += grad[s, j]
            for i in range(x.shape[1]):
                grad_w[j, i] += grad[s, j] * x[s, i]
                grad_x[s, i] += grad[s, j] * w[j, i]
    return grad_x, grad_w, grad_b


def _check_linear_by_hand(attempt):
    x, w, grad = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]), np.array([[1.0, 0.0, 2.0]])
    expected = (np.array([[17.0, 20.0]]), np.array([[1.0, 2.0], [0.0, 0.0], [2.0, 4.0]]), grad[0])
    attempt.expect((x, w, grad), expected, "One sample, two inputs, three outputs.")


def _check_linear_random(attempt):
    rng = np.random.default_rng(4)
    for _ in range(12):
        case = _linear_case(rng)
        attempt.expect(case, _linear_oracle(*case))


def _check_linear_edges(attempt):
    rng = np.random.default_rng(5)
    for sizes in ((1, 1, 1), (5, 1, 3), (5, 3, 1), (1, 4, 3), (3, 3, 3)):
        case = _linear_case(rng, *sizes)
        attempt.expect(case, _linear_oracle(*case))


def _check_linear_dtype(attempt):
    case = _linear_case(np.random.default_rng(6), 4, 3, 2, np.float32)
    attempt.expect(case, _linear_oracle(*case), "float32 in, float32 out.")


def _check_linear_batch(attempt):
    x, w, grad = _linear_case(np.random.default_rng(7), 4, 3, 2)
    twice = (np.concatenate([x, x]), w, np.concatenate([grad, grad]))
    why = "Each sample stands here twice, so the gradients of w and b are twice as large."
    attempt.expect(twice, _linear_oracle(*twice), why)


def _linear_probes():
    rng = np.random.default_rng(8)
    return [_linear_case(rng, 3, 3, 3), _linear_case(rng, 4, 3, 2), _linear_case(rng, 5, 5, 5)]


def _linear_but(**parts):
    """The right answer with some of grad_x, grad_w, grad_b replaced."""

    def wrong(x, w, grad):
        right = dict(zip(("x", "w", "b"), linear_backward(x, w, grad)))
        return tuple((right | {n: f(x, w, grad) for n, f in parts.items()}).values())

    return wrong


_LINEAR_MISCONCEPTIONS = (
    Misconception(
        "weight_gradient_transposed",
        _linear_but(w=lambda x, w, g: x.T @ g),
        "Your grad_w is (n_in, n_out). A gradient has the shape of what it belongs to: which index of "
        "w belongs to the output?",
        also=(_linear_but(w=lambda x, w, g: x.T @ g, x=lambda x, w, g: g @ w.T),),
    ),
    Misconception(
        "weights_transposed_on_the_way_back",
        _linear_but(x=lambda x, w, g: g @ w.T),
        "Forward used w.T, so the way back uses its transpose: what is the transpose of w.T?",
    ),
    Misconception(
        "bias_gradient_not_summed",
        _linear_but(b=lambda x, w, g: g),
        "Your grad_b has a row for each sample. All samples share one b: what happens to the "
        "gradients of something that is used B times?",
    ),
    Misconception(
        "averaged_over_the_batch",
        _linear_but(w=lambda x, w, g: g.T @ x / len(x), b=lambda x, w, g: g.mean(axis=0)),
        "You divide by the number of samples. If the loss is a mean, grad already holds that factor; "
        "here it would count twice.",
        also=(
            _linear_but(b=lambda x, w, g: g.mean(axis=0)),
            _linear_but(w=lambda x, w, g: g.T @ x / len(x)),
        ),
    ),
    Misconception(
        "bias_summed_over_the_outputs",
        _linear_but(b=lambda x, w, g: g.sum(axis=1)),
        "Your grad_b has one number for each sample. Which axis of grad (B, n_out) must go?",
    ),
    Misconception(
        "bias_summed_over_everything",
        _linear_but(b=lambda x, w, g: g.sum()),
        "Your grad_b is a single number. b has an entry for each output: over which axis of grad "
        "(B, n_out) do its gradients add up?",
    ),
    Misconception(
        "bias_keeps_an_axis",
        _linear_but(b=lambda x, w, g: g.sum(axis=0, keepdims=True)),
        "The numbers of grad_b are right, but it is (1, n_out), and b is (n_out,).",
    ),
    Misconception(
        "order_of_results",
        lambda x, w, grad: (grad.T @ x, grad @ w, grad.sum(axis=0)),
        "All three are right, in another order. The docstring asks for grad_x first.",
    ),
    Misconception(
        "only_the_last_sample",
        _linear_but(w=lambda x, w, g: np.outer(g[-1], x[-1]), b=lambda x, w, g: g[-1]),
        "Only one sample of the batch enters grad_w or grad_b. In a loop over samples, is it = or += ?",
        also=(
            _linear_but(w=lambda x, w, g: np.outer(g[0], x[0]), b=lambda x, w, g: g[0]),
            _linear_but(b=lambda x, w, g: g[-1]),
            _linear_but(b=lambda x, w, g: g[0]),
        ),
    ),
    Misconception(
        "inputs_and_weights_exchanged",
        _linear_but(w=lambda x, w, g: np.ones_like(w) * g.sum(axis=0)[:, None] * w),
        "Your grad_w holds w itself. In w * x, the derivative for w is the other factor.",
    ),
)


# relu_backward


def _relu_case(rng, shape=None, dtype=np.float64):
    shape = shape or tuple(int(n) for n in rng.integers(1, 6, size=int(rng.integers(1, 4))))
    z = rng.normal(size=shape).astype(dtype)
    z[rng.random(shape) < 0.3] = 0
    return z, rng.normal(size=shape).astype(dtype)


def _relu_sample(rng):
    return _relu_case(rng)


def _relu_oracle(z, grad):
    """One entry after the other."""
    out = np.zeros_like(grad)
    for place in np.ndindex(z.shape):
        if z[place] > 0:
            out[place] = grad[place]
    return out


def _check_relu_by_hand(attempt):
    z, grad = np.array([3.0, -2.0, 0.5, 0.0]), np.array([10.0, 20.0, -30.0, -40.0])
    why = "Where z is below 0, a does not move with z; at 0 the derivative is taken as 0."
    attempt.expect((z, grad), np.array([10.0, 0.0, -30.0, 0.0]), why)


def _check_relu_zero(attempt):
    z, grad = np.array([[0.0, 1.0], [-0.0, -1.0]]), np.full((2, 2), 5.0)
    attempt.expect((z, grad), np.array([[0.0, 5.0], [0.0, 0.0]]), "At 0 the derivative is taken as 0.")


def _check_relu_random(attempt):
    rng = np.random.default_rng(9)
    for _ in range(12):
        case = _relu_case(rng)
        attempt.expect(case, _relu_oracle(*case))


def _check_relu_dtype(attempt):
    case = _relu_case(np.random.default_rng(10), (3, 4), np.float32)
    attempt.expect(case, _relu_oracle(*case), "float32 in, float32 out.")


def _check_relu_extremes(attempt):
    z = np.array([1e-30, -1e-30, 1e6, -1e6])
    attempt.expect((z, np.full(4, 2.0)), np.array([2.0, 0.0, 2.0, 0.0]), "Very small and very large z.")
    attempt.expect((-np.ones((2, 3)), np.ones((2, 3))), np.zeros((2, 3)), "A layer where all units are off.")


def _relu_probes():
    z = np.array([[3.0, -2.0, 0.0, 0.5], [-0.3, 0.0, 1.7, -4.0]])
    grad = np.array([[2.0, 5.0, -3.0, -0.7], [-1.0, 4.0, 1.3, -2.0]])
    return [(z, grad), (z.ravel()[::-1].copy(), grad.ravel())]


def _relu_form(rule):
    return lambda z, grad: rule(z, grad).astype(grad.dtype)


_RELU_MISCONCEPTIONS = (
    Misconception(
        "derivative_one_at_zero",
        _relu_form(lambda z, g: g * (z >= 0)),
        "Only the entries with z exactly 0 differ. max(0, z) has no derivative there; which value "
        "does the docstring choose?",
        also=(_relu_form(lambda z, g: g * np.where(z == 0, 0.5, z > 0)),),
    ),
    Misconception(
        "mask_from_the_gradient",
        _relu_form(lambda z, g: np.maximum(g, 0)),
        "You cut off the gradient by its own sign. The gate was set on the way forward: by the sign "
        "of what?",
        also=(_relu_form(lambda z, g: np.maximum(g, 0) * (z > 0)),),
    ),
    Misconception(
        "value_instead_of_derivative",
        _relu_form(lambda z, g: g * np.maximum(z, 0)),
        "You multiply by max(0, z) itself. What is its slope where z is positive?",
        also=(_relu_form(lambda z, g: g * z),),
    ),
    Misconception(
        "upstream_gradient_forgotten",
        _relu_form(lambda z, g: z > 0),
        "That is the derivative of the ReLU. The chain rule multiplies it by what comes from above.",
    ),
    Misconception(
        "gradient_passed_unchanged",
        _relu_form(lambda z, g: g.copy()),
        "Your ReLU lets every gradient through. If z is -2, does a change when z moves a little?",
    ),
    Misconception(
        "mask_inverted",
        _relu_form(lambda z, g: g * (z <= 0)),
        "You let the gradient through where the unit is off, and stop it where it is on.",
        also=(_relu_form(lambda z, g: g * (z < 0)),),
    ),
    Misconception(
        "sign_of_z",
        _relu_form(lambda z, g: g * np.sign(z)),
        "Below 0 your gradient changes its sign. That is the slope of |z|; that of max(0, z) is?",
    ),
    Misconception(
        "leaky",
        _relu_form(lambda z, g: g * np.where(z > 0, 1, 0.01)),
        "Below 0 a small part of your gradient comes through. That is the leaky ReLU; this one is "
        "flat there.",
        also=(
            _relu_form(lambda z, g: g * np.where(z >= 0, 1, 0.01)),
            _relu_form(lambda z, g: g * np.where(z > 0, 1, 0.1)),
        ),
    ),
)


# mlp_backward


def _mlp_case(rng, B=None, n_in=None, n_hidden=None, n_out=None):
    sizes = (B, n_in, n_hidden, n_out)
    B, n_in, n_hidden, n_out = (int(rng.integers(1, 6)) if n is None else n for n in sizes)
    x = rng.normal(size=(B, n_in))
    y = rng.integers(0, 2, size=(B, n_out)).astype(float)
    shapes = ((n_hidden, n_in), (n_hidden,), (n_out, n_hidden), (n_out,))
    return x, y, *(rng.normal(size=shape) for shape in shapes)


def _mlp_sample(rng):
    return _mlp_case(rng, B=int(rng.integers(2, 6)), n_hidden=int(rng.integers(3, 7)))


def _mlp_loss(x, y, w1, b1, w2, b2):
    logits = np.maximum(x @ w1.T + b1, 0) @ w2.T + b2
    return np.sum(np.logaddexp(0, logits) - y * logits) / len(x)


def _mlp_oracle(x, y, *params):
    """Central differences of the loss."""
    grads, h = [], 1e-5
    for number, p in enumerate(params):
        grad = np.zeros_like(p)
        for place in np.ndindex(p.shape):
            moved = [[q.copy() for q in params] for _ in range(2)]
            moved[0][number][place] += h
            moved[1][number][place] -= h
            grad[place] = (_mlp_loss(x, y, *moved[0]) - _mlp_loss(x, y, *moved[1])) / (2 * h)
        grads.append(grad)
    return tuple(grads)


def _kinks(x, y, w1, b1, w2, b2):
    """Whether a hidden unit is so near to its bend that finite differences fail."""
    return bool((np.abs(x @ w1.T + b1) < 1e-3).any())


def _check_mlp_by_hand(attempt):
    case = tuple(map(np.array, ([[1.0]], [[1.0]], [[2.0]], [0.0], [[0.0]], [0.0])))
    expected = tuple(map(np.array, ([[0.0]], [0.0], [[-1.0]], [-0.5])))
    why = "z = a = 2, logit 0, p = 1/2, y = 1: dloss/dlogit is -1/2."
    attempt.expect(case, expected, why)


def _check_mlp_random(attempt):
    rng = np.random.default_rng(11)
    for _ in range(8):
        case = _mlp_case(rng)
        while _kinks(*case):
            case = _mlp_case(rng)
        attempt.expect(case, _mlp_oracle(*case), "Expected: finite differences of the loss.")


def _check_mlp_edges(attempt):
    rng = np.random.default_rng(12)
    for sizes in ((1, 1, 1, 1), (6, 3, 4, 1), (1, 2, 5, 3), (4, 3, 3, 3)):
        case = _mlp_case(rng, *sizes)
        attempt.expect(case, _mlp_oracle(*case), "Expected: finite differences of the loss.")
    x, y, w1, b1, w2, b2 = _mlp_case(rng, 4, 3, 5, 2)
    dead = (x, y, w1, b1 - 100, w2, b2)
    attempt.expect(dead, _mlp_oracle(*dead), "Here every hidden unit is off.")
    zero = (x, y, w1 * 0, b1 * 0, w2 * 0, b2 * 0)
    flat = (y.mean(axis=0) * 0 + 0.5 - y.mean(axis=0),)
    expected = (w1 * 0, b1 * 0, w2 * 0, flat[0])
    attempt.expect(zero, expected, "All parameters 0, and the derivative of the ReLU at 0 is 0.")


def _check_mlp_batch(attempt):
    x, y, *params = _mlp_case(np.random.default_rng(13), 5, 3, 4, 2)
    whole = (np.concatenate([x, x]), np.concatenate([y, y]), *params)
    why = "Each sample stands here twice: the mean loss, and so its gradient, is that of the half."
    attempt.expect(whole, _mlp_oracle(x, y, *params), why)


def _check_mlp_torch(attempt):
    import torch
    import torch.nn.functional as F

    case = _mlp_case(np.random.default_rng(14), 7, 6, 5, 4)
    x, y, *params = (torch.tensor(v) for v in case)
    params = [p.requires_grad_() for p in params]
    hidden = F.relu(F.linear(x, params[0], params[1]))
    logits = F.linear(hidden, params[2], params[3])
    loss = F.binary_cross_entropy_with_logits(logits, y, reduction="sum") / len(x)
    loss.backward()
    attempt.expect(case, tuple(p.grad.numpy() for p in params), "Expected: torch.autograd.")


def _mlp_probes():
    rng = np.random.default_rng(15)
    return [_mlp_case(rng, 4, 3, 5, 2), _mlp_case(rng, 6, 4, 4, 4), _mlp_case(rng, 3, 2, 6, 1)]


def _mlp_with(
    delta=lambda p, y, logits: (p - y) / len(y),
    gate=lambda back, z: back * (z > 0),
    hidden=lambda z: np.maximum(z, 0),
    bias=lambda grad: grad.sum(axis=0),
    link=lambda logits: 1 / (1 + np.exp(-logits)),
):
    """The right backward pass with one of its parts exchanged."""

    def wrong(x, y, w1, b1, w2, b2):
        z = x @ w1.T + b1
        a = hidden(z)
        logits = a @ w2.T + b2
        grad_logits = delta(link(logits), y, logits)
        grad_z = gate(grad_logits @ w2, z)
        return grad_z.T @ x, bias(grad_z), grad_logits.T @ a, bias(grad_logits)

    return wrong


def _softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _mlp_transposed(x, y, *params):
    g = mlp_backward(x, y, *params)
    return g[0].T, g[1], g[2].T, g[3]


_MLP_MISCONCEPTIONS = (
    Misconception(
        "sign_of_the_error",
        _mlp_with(delta=lambda p, y, logits: (y - p) / len(y)),
        "All of your gradients have the wrong sign: descent with them would climb. Is dloss/dlogit "
        "p - y or y - p? Try y = 1.",
    ),
    Misconception(
        "not_divided_by_the_batch",
        _mlp_with(delta=lambda p, y, logits: p - y),
        "Your gradients are B times too large. The loss is a mean over the samples.",
    ),
    Misconception(
        "divided_by_the_outputs_too",
        _mlp_with(delta=lambda p, y, logits: (p - y) / y.size),
        "You average over the outputs as well. This loss sums over them, and averages over samples "
        "only.",
    ),
    Misconception(
        "divided_by_the_outputs_instead",
        _mlp_with(delta=lambda p, y, logits: (p - y) / y.shape[1]),
        "You divide by the number of outputs. This loss is a sum over the outputs and a mean over the "
        "samples: which axis of y (B, n_out) has its length below the line?",
    ),
    Misconception(
        "relu_left_out_on_the_way_back",
        _mlp_with(gate=lambda back, z: back),
        "The second layer is right. On the way to the first the gradient passes the ReLU: what does "
        "it do where z is not positive?",
    ),
    Misconception(
        "relu_left_out_on_both_ways",
        _mlp_with(hidden=lambda z: z, gate=lambda back, z: back),
        "You compute the gradients of a network without its ReLU. Where does it stand in the forward "
        "pass?",
        also=(_mlp_with(hidden=lambda z: z),),
    ),
    Misconception(
        "mask_from_the_gradient",
        _mlp_with(gate=lambda back, z: np.maximum(back, 0)),
        "You cut off the hidden gradient by its own sign. The gate was set in the forward pass, by z.",
    ),
    Misconception(
        "value_instead_of_derivative",
        _mlp_with(gate=lambda back, z: back * np.maximum(z, 0)),
        "On the way through the ReLU you multiply by its value. You need its slope: 0 or 1.",
    ),
    Misconception(
        "sigmoid_derivative_once_more",
        _mlp_with(delta=lambda p, y, logits: (p - y) * p * (1 - p) / len(y)),
        "You multiply p - y by the slope of the sigmoid. With the cross-entropy that slope has "
        "cancelled: p - y is already dloss/dlogit.",
        also=(_mlp_with(delta=lambda p, y, logits: (p - y) * p * (1 - p)),),
    ),
    Misconception(
        "sigmoid_left_out",
        _mlp_with(delta=lambda p, y, logits: (logits - y) / len(y)),
        "You compare the logits with y. Which function makes probabilities of them?",
    ),
    Misconception(
        "softmax_instead_of_sigmoid",
        _mlp_with(link=_softmax),
        "Your outputs of a sample sum to 1. Here each output answers a yes-or-no question of its own.",
    ),
    Misconception(
        "biases_averaged",
        _mlp_with(bias=lambda grad: grad.mean(axis=0)),
        "The matrices are right; your biases are divided by B a second time.",
    ),
    Misconception(
        "matrices_transposed",
        _mlp_transposed,
        "Your weight gradients are transposed. A gradient has the shape of its parameter.",
    ),
)


EXERCISES = (
    Exercise(
        id="backpropagation.add_mul_backward",
        reference=add_mul_backward,
        difficulty=1,
        minutes=6,
        section="Tiny numbers first",
        returns=("dloss/da", "dloss/db"),
        hints=(
            "Chain rule: dloss/da = dloss/dout * dout/da. The first factor is grad.",
            "For a + b both local derivatives are 1. For a * b, ask by how much the product grows "
            "when a grows by 1.",
            'If op == "+": return grad, grad. Else: b * grad for a, and a * grad for b.',
        ),
        checks=(
            Check("a sum by hand", _check_op_sum),
            Check("a product by hand", _check_op_product),
            Check("edge cases", _check_op_edges),
            Check("random numbers against differences", _check_op_random),
            Check("arrays", _check_op_arrays),
        ),
        misconceptions=_OP_MISCONCEPTIONS,
        probes=_op_probes,
        sample=_op_sample,
    ),
    Exercise(
        id="backpropagation.topological_order",
        reference=topological_order,
        difficulty=3,
        minutes=12,
        section="In which order?",
        hints=(
            "Write a function that visits a node: first it visits each of node.inputs, then it "
            "appends the node itself.",
            "A node may be reached on several ways. Keep a set of visited nodes and return at once "
            "for those.",
            "order, seen = [], set(); inside visit(node): if node in seen, return; seen.add(node); "
            "visit every input; order.append(node). Call visit(root), return order.",
        ),
        checks=(
            Check("a chain", _check_order_chain),
            Check("the graph of the lesson", _check_order_diamond),
            Check("edge cases", _check_order_edges),
            Check("random graphs", _check_order_random),
            Check("the same graph again", _check_order_again),
            Check("a chain that is used twice", _check_order_depth),
        ),
        misconceptions=_ORDER_MISCONCEPTIONS,
        probes=_order_probes,
        sample=_order_sample,
        drive=run_order,
        arguments=lambda graph, root: (build(graph, root),),
    ),
    Exercise(
        id="backpropagation.linear_backward",
        reference=linear_backward,
        difficulty=3,
        minutes=12,
        section="From numbers to matrices",
        returns=("grad_x", "grad_w", "grad_b"),
        hints=(
            "Begin with the shapes. grad is (B, n_out); each answer has the shape of what it belongs "
            "to, and only one product of grad with x or with w has it.",
            "grad_w[j, i] sums grad[s, j] * x[s, i] over the samples s; grad_x[s, i] sums "
            "grad[s, j] * w[j, i] over the outputs j.",
            "grad @ w, grad.T @ x, and the sum of grad over axis 0.",
        ),
        checks=(
            Check("one sample by hand", _check_linear_by_hand),
            Check("random shapes against a loop", _check_linear_random),
            Check("edge cases", _check_linear_edges),
            Check("dtype", _check_linear_dtype),
            Check("a batch that stands twice", _check_linear_batch),
        ),
        misconceptions=_LINEAR_MISCONCEPTIONS,
        probes=_linear_probes,
        sample=_linear_case,
    ),
    Exercise(
        id="backpropagation.relu_backward",
        reference=relu_backward,
        difficulty=1,
        minutes=5,
        section="The bend",
        hints=(
            "Where z is positive, a = z; elsewhere a = 0, whatever z is. What are the two slopes?",
            "The local derivative is 1 where z > 0 and 0 elsewhere. The chain rule multiplies it by "
            "grad.",
            "grad * (z > 0)",
        ),
        checks=(
            Check("four numbers by hand", _check_relu_by_hand),
            Check("at zero", _check_relu_zero),
            Check("random shapes", _check_relu_random),
            Check("dtype", _check_relu_dtype),
            Check("extremes", _check_relu_extremes),
        ),
        misconceptions=_RELU_MISCONCEPTIONS,
        probes=_relu_probes,
        sample=_relu_sample,
    ),
    Exercise(
        id="backpropagation.mlp_backward",
        reference=mlp_backward,
        difficulty=4,
        minutes=20,
        section="A network",
        returns=("grad_w1", "grad_b1", "grad_w2", "grad_b2"),
        hints=(
            "Compute z, a and the logits again, and keep them. Then go backwards: logits, second "
            "layer, ReLU, first layer.",
            "dloss/dlogits is (sigmoid(logits) - y) / B, as in lesson 01. From there "
            "linear_backward(a, w2, ...), relu_backward(z, ...), linear_backward(x, w1, ...).",
            "grad_a, grad_w2, grad_b2 = linear_backward(a, w2, grad_logits); grad_z = "
            "relu_backward(z, grad_a); _, grad_w1, grad_b1 = linear_backward(x, w1, grad_z).",
        ),
        checks=(
            Check("one weight a layer, by hand", _check_mlp_by_hand),
            Check("random shapes against finite differences", _check_mlp_random),
            Check("edge cases", _check_mlp_edges),
            Check("a batch that stands twice", _check_mlp_batch),
            Check("torch", _check_mlp_torch),
        ),
        misconceptions=_MLP_MISCONCEPTIONS,
        probes=_mlp_probes,
        sample=_mlp_sample,
        seconds=8.0,
    ),
)
