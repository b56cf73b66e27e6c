"""The graph widget's mathematics against torch, and what it leaves behind."""

from __future__ import annotations

import base64
import json

import pytest
import torch
from random_graph import random_graph

from bigmodel_nb.errors import DataError
from bigmodel_nb.widgets import BackpropGraph
from bigmodel_nb.widgets.backprop_graph import EXAMPLE, MOST, last_step, state_at

MARKUP = "<script>alert(1)</script>"


def torch_gradients(graph: dict) -> tuple[dict, dict]:
    """Values and gradients of every node by autograd, in float64."""
    by = {"+": torch.add, "-": torch.sub, "*": torch.mul, "relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}
    nodes: dict = {}
    for name, entry in graph.items():
        if isinstance(entry, tuple):
            nodes[name] = by[entry[0]](*(nodes[i] for i in entry[1:]))
        else:
            nodes[name] = torch.tensor(entry, dtype=torch.float64, requires_grad=True)
        nodes[name].retain_grad()
    nodes[name].backward()
    grads = {n: v.grad.item() for n, v in nodes.items() if v.grad is not None}
    return {n: v.item() for n, v in nodes.items()}, grads


@pytest.mark.parametrize("seed", range(60))
def test_equals_autograd(seed):
    graph = random_graph(seed)
    result = BackpropGraph(graph).result()
    values, grads = torch_gradients(graph)
    assert result["values"] == pytest.approx(values)
    for name in graph:
        assert result["grads"].get(name, 0.0) == pytest.approx(grads.get(name, 0.0)), name


def test_steps_of_the_example():
    widget = BackpropGraph()
    states = [state_at(widget.nodes, widget.leaves, i) for i in range(last_step(widget.nodes) + 1)]
    assert [s["current"] for s in states] == ["", "c", "d", "loss", "loss", "loss", "d", "c"]
    assert [len(s["values"]) for s in states] == [2, 3, 4, 5, 5, 5, 5, 5]
    assert [s["grads"].get("c") for s in states] == [None, None, None, None, None, 8, 14, 14]
    assert states[-1]["grads"] == {"loss": 1, "c": 14, "d": 6, "a": 48, "b": 28}
    assert states[-1]["edges"]["a>c>0"] == 42 and states[-1]["edges"]["a>d>0"] == 6


def test_text_and_pictures_are_constant():
    widget = BackpropGraph()
    text = "BackpropGraph: c = a * b = 6, d = a + c = 8, loss = c * d = 48; gradients: a 48, b 28, c 14, d 6, loss 1"
    assert repr(widget) == text
    before = widget.static_svg()
    widget.step = 4
    assert repr(widget) == text and widget.static_svg() == before == BackpropGraph(EXAMPLE).static_svg()
    data, metadata = widget._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/svg+xml", "image/png", "text/plain"}
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG") and metadata["image/png"]["alt"] == text


def test_state_is_small_and_front_end_is_one_module():
    widget = BackpropGraph(random_graph(3))
    json.dumps(widget.get_state(), allow_nan=False)
    assert len(widget._esm) + len(widget._css) < 20_000
    assert "innerHTML" not in widget._esm and "eval(" not in widget._esm


def test_markup_in_names_is_text():
    widget = BackpropGraph({MARKUP: 2.0, "loss": ("*", MARKUP, MARKUP)})
    assert "<script" not in widget.static_svg() and "&lt;script" in widget.static_svg()


def test_all_boxes_lie_inside_and_apart():
    for seed in range(30):
        places = [tuple(n[3:]) for n in BackpropGraph(random_graph(seed)).nodes]
        assert all(0 <= v <= 1 for p in places for v in p)
        assert len(set(places)) == len(places)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ({}, "a graph is a dict"),
        ([("a", 1.0)], "received list"),
        ({"a": 1.0}, "last node is the root"),
        ({"a": 1.0, "c": ("/", "a", "a")}, "one of \\+, -, \\*"),
        ({"a": 1.0, "c": ("+", "a")}, "two inputs"),
        ({"c": ("relu", "a"), "a": 1.0}, "must stand before"),
        ({"a": float("nan"), "c": ("relu", "a")}, "finite number"),
        ({"a": "two", "c": ("relu", "a")}, "finite number"),
        ({"a": 1.0, "c": ()}, "one of"),
        ({"a": 1.0} | {f"n{i}": ("+", "a", "a") for i in range(MOST)}, "holds 16 nodes"),
    ],
)
def test_what_is_no_graph_is_explained(graph, message):
    with pytest.raises(DataError, match=message):
        BackpropGraph(graph)
