"""Graphs for the tests of the backpropagation widget, in Python and in a browser."""

import random

from bigmodel_nb.widgets.backprop_graph import OPERATIONS


def random_graph(seed: int) -> dict:
    """Leaves, then operations on any earlier nodes."""
    rng = random.Random(seed)
    graph: dict = {f"x{i}": round(rng.uniform(-2, 2), 2) for i in range(rng.randint(1, 4))}
    for i in range(rng.randint(1, 9)):
        op = rng.choice(list(OPERATIONS))
        graph[f"n{i}"] = (op, *rng.choices(list(graph), k=OPERATIONS[op]))
    return graph
