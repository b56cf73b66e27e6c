"""A small computational graph, stepped forward and backward.

The mathematics stands here and, for the browser, in backprop_graph.js; tests compare the two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import traitlets as t

from bigmodel_nb.errors import DataError
from bigmodel_nb.figures import BLUE, RED

from .base import CourseWidget, front_end, style
from .picture import FAINT, GRID, INK, Picture

EXAMPLE = {"a": 2.0, "b": 3.0, "c": ("*", "a", "b"), "d": ("+", "a", "c"), "loss": ("*", "c", "d")}
OPERATIONS = {"+": 2, "-": 2, "*": 2, "relu": 1, "tanh": 1, "sigmoid": 1}  # with their number of inputs
MOST = 16  # nodes that a picture of this size holds
WIDTH, HEIGHT, BOX_HEIGHT = 680, 260, 46


def compute(op: str, x: Sequence[float]) -> float:
    """Value of an operation.

    >>> compute("*", [2.0, 3.0]), compute("relu", [-1.0])
    (6.0, 0.0)
    """
    if op == "+":
        return x[0] + x[1]
    if op == "-":
        return x[0] - x[1]
    if op == "*":
        return x[0] * x[1]
    if op == "relu":
        return max(0.0, x[0])
    return math.tanh(x[0]) if op == "tanh" else (1 + math.tanh(x[0] / 2)) / 2


def local_derivatives(op: str, x: Sequence[float], out: float) -> list[float]:
    """Derivative of an operation for each of its inputs.

    >>> local_derivatives("*", [2.0, 3.0], 6.0)
    [3.0, 2.0]
    """
    if op in "+-":
        return [1.0, 1.0 if op == "+" else -1.0]
    if op == "*":
        return [x[1], x[0]]
    if op == "relu":
        return [1.0 if x[0] > 0 else 0.0]
    return [1 - out * out] if op == "tanh" else [out * (1 - out)]


def last_step(nodes: Sequence[Sequence]) -> int:
    """Each operation forward, the gradient of the root, each operation backward."""
    return 2 * sum(1 for _, op, *_ in nodes if op) + 1


def state_at(nodes: Sequence[Sequence], leaves: Mapping[str, float], step: int) -> dict:
    """What is known after `step` steps.

    nodes: [name, operation or "", names of the inputs, ...] in the order of computing; the last is
    the root -> {"values", "grads": {name: number}, "edges": {"source>node>place": contribution},
    "current": name of the node whose turn it was, or ""}
    """
    operations = [node for node in nodes if node[1]]
    values, grads, edges, current = dict(leaves), {}, {}, ""
    for name, op, inputs, *_ in operations[:step]:
        values[name] = compute(op, [values[i] for i in inputs])
        current = name
    if step > len(operations):
        grads[nodes[-1][0]] = 1.0
        current = nodes[-1][0]
    for name, op, inputs, *_ in operations[::-1][: max(0, step - len(operations) - 1)]:
        derivatives = local_derivatives(op, [values[i] for i in inputs], values[name])
        for place, (source, derivative) in enumerate(zip(inputs, derivatives)):
            edges[f"{source}>{name}>{place}"] = derivative * grads.get(name, 0.0)
            grads[source] = grads.get(source, 0.0) + derivative * grads.get(name, 0.0)
        current = name
    return {"values": values, "grads": grads, "edges": edges, "current": current}


def _number(x: float, digits: int = 4) -> str:
    return f"{round(x, 10) + 0.0:.{digits}g}"


def _formula(node: Sequence) -> str:
    name, op, inputs, *_ = node
    if not op:
        return name
    return f"{name} = {inputs[0]} {op} {inputs[1]}" if len(inputs) == 2 else f"{name} = {op}({inputs[0]})"


def _checked(graph: Mapping) -> tuple[list[list], dict[str, float]]:
    """Nodes as [name, op, inputs] and values of the leaves; DataError where the graph is none."""
    nodes, leaves, known = [], {}, set()
    if not isinstance(graph, Mapping) or not graph:
        raise DataError(f'a graph is a dict such as {EXAMPLE}; received {type(graph).__name__}.')
    for name, entry in graph.items():
        if isinstance(entry, (tuple, list)):
            op, *inputs = entry or ("",)
            if op not in OPERATIONS or len(inputs) != OPERATIONS[op]:
                raise DataError(
                    f"node {name!r}: received {entry!r}; write (operation, input, ...) with one of "
                    f"{', '.join(OPERATIONS)}, the first three with two inputs."
                )
            if unknown := [i for i in inputs if i not in known]:
                raise DataError(f"node {name!r} uses {unknown[0]!r}, which must stand before it in the graph.")
            nodes.append([str(name), op, [str(i) for i in inputs]])
        else:
            try:
                leaves[str(name)] = float(entry)
            except (TypeError, ValueError):
                leaves[str(name)] = math.nan
            if not math.isfinite(leaves[str(name)]):
                raise DataError(f"leaf {name!r} must be a finite number; received {entry!r}.")
            nodes.append([str(name), "", []])
        known.add(name)
    if not nodes[-1][1]:
        raise DataError("the last node is the root; it must be an operation, such as ('*', 'a', 'b').")
    if len(nodes) > MOST:
        raise DataError(f"the picture holds {MOST} nodes; received {len(nodes)}. Show a part of the graph.")
    return nodes, leaves


def _placed(nodes: list[list]) -> list[list]:
    """The nodes with their centre x, y between 0 and 1: a column for each length of way to the leaves."""
    depth: dict[str, int] = {}
    for name, _, inputs in nodes:
        depth[name] = 1 + max((depth[i] for i in inputs), default=-1)
    depth[nodes[-1][0]] = max(depth.values())
    columns: dict[int, list[str]] = {}
    for name, *_ in nodes:
        columns.setdefault(depth[name], []).append(name)
    centre = {}
    for column, names in columns.items():
        for row, name in enumerate(names):
            y = (row + 0.5) / len(names)
            if len(names) == 1 and name != nodes[-1][0]:
                y = 0.74 if column % 2 else 0.26  # so that no line runs through a box
            centre[name] = (column / max(1, max(columns)), y)
    return [[*node, *(round(v, 4) for v in centre[node[0]])] for node in nodes]


def box_width(nodes: Sequence[Sequence], width: float) -> float:
    """Width of a node's box, so that numbers fit between two columns."""
    columns = len({node[3] for node in nodes})
    return max(64.0, min(104.0, (width - 20) / columns - 34))


class BackpropGraph(CourseWidget):
    """Steps through a small graph: values on the way forward, gradients on the way back.

    graph: name -> number for a leaf, or (operation, input, ...); each node stands after its inputs
    and the last is the root. Operations: + - * relu tanh sigmoid. Errors: DataError for anything else.

    >>> BackpropGraph({"x": 3.0, "loss": ("*", "x", "x")})
    BackpropGraph: loss = x * x = 9; gradients: x 6, loss 1
    """

    _esm = front_end("backprop_graph")
    _css = style("backprop_graph")

    nodes = t.List().tag(sync=True)  # [name, operation or "", inputs, x, y]
    leaves = t.Dict().tag(sync=True)
    step = t.Int(0).tag(sync=True)

    def __init__(self, graph: Mapping | None = None) -> None:
        nodes, leaves = _checked(EXAMPLE if graph is None else graph)
        super().__init__(nodes=_placed(nodes), leaves=leaves)

    def result(self) -> dict:
        """Values and gradients when all steps are done."""
        return state_at(self.nodes, self.leaves, last_step(self.nodes))

    def describe(self) -> str:
        known = self.result()
        forward = [f"{_formula(n)} = {_number(known['values'][n[0]])}" for n in self.nodes if n[1]]
        back = [f"{n[0]} {_number(known['grads'][n[0]])}" for n in self.nodes if n[0] in known["grads"]]
        return f"BackpropGraph: {', '.join(forward)}; gradients: {', '.join(back)}"

    def picture(self) -> Picture:
        """The graph when all steps are done."""
        picture = Picture(WIDTH, HEIGHT + 24, self.describe())
        known = self.result()
        box = box_width(self.nodes, WIDTH)
        half, digits = box / 2, 4 if box > 100 else 3
        boxes = {n[0]: (half + 10 + n[3] * (WIDTH - box - 20), 30 + n[4] * (HEIGHT - 60)) for n in self.nodes}
        labels = []
        for name, _, inputs, *_ in self.nodes:
            for place, source in enumerate(inputs):
                (x0, y0), (x1, y1) = boxes[source], boxes[name]
                bow = 34 * place if len(set(inputs)) < len(inputs) else 0
                middle = ((x0 + x1) / 2, (y0 + y1) / 2 + bow)
                picture.line([(x0, y0), middle, (x1, y1)], FAINT, 1.2)
                labels.append((*middle, known["values"][source], known["edges"][f"{source}>{name}>{place}"]))
        for x, y, value, grad in labels:
            texts = (_number(value, digits), _number(grad, digits))
            width = 7 * max(map(len, texts)) + 4
            picture.rect(x - width / 2, y - 15, width, 30, "#ffffff")
            picture.text(x, y - 3, texts[0], 12, BLUE, "middle")
            picture.text(x, y + 12, texts[1], 12, RED, "middle")
        for node in self.nodes:
            x, y = boxes[node[0]]
            picture.rect(x - half, y - BOX_HEIGHT / 2, box, BOX_HEIGHT, "#f4f5f7", GRID)
            picture.text(x, y - 5, _formula(node), 12, INK, "middle")
            picture.text(x - half + 4, y + 14, _number(known["values"][node[0]], digits), 12, BLUE)
            gradient = _number(known["grads"].get(node[0], 0.0), digits)
            picture.text(x + half - 4, y + 14, gradient, 12, RED, "end")
        picture.text(10, HEIGHT + 16, "blue: values, computed from left to right", 11, BLUE)
        picture.text(WIDTH - 10, HEIGHT + 16, "red: gradients, from right to left", 11, RED, "end")
        return picture
