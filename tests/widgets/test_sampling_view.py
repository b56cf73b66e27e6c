"""SamplingView's mathematics, tree, state and fallback."""

from __future__ import annotations

import base64
import json
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch

from bigmodel_nb.errors import DataError, ModelError
from bigmodel_nb.exercises.generate_text import top_k_filter, top_p_filter
from bigmodel_nb.widgets import SamplingView
from bigmodel_nb.widgets import sampling_view as view

MARKUP = "<script>window.hacked = true</script>"


@pytest.fixture(scope="module")
def tokenizer():
    from bigmodel_nb.gpt2.load import load_gpt2

    return load_gpt2("pocket")[1]


@pytest.fixture(scope="module")
def model():
    from tests.gpt2.conftest import make_tiny

    return make_tiny(initializer_range=0.4)


@pytest.fixture
def widget(model, tokenizer):
    return SamplingView(model, tokenizer, "The king had", top_k=50)


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0, -1].double()


def filtered(z, temperature, top_k, top_p):
    """-> tokens kept and their probability before, by the lesson's own filters."""
    z = z / temperature
    kept = top_k_filter(z, top_k) if top_k else z
    kept = top_p_filter(kept, top_p) if top_p < 1 else kept
    return int(kept.isfinite().sum()), float(z.softmax(-1)[kept.isfinite()].sum())


# Mathematics


@pytest.mark.parametrize("vocab_size", [3, 500, 1024, 1025, 1100, 4096, 50257])
def test_groups_cover_the_vocabulary(vocab_size):
    sizes = view.group_sizes(vocab_size)
    assert sum(sizes) == vocab_size and min(sizes) >= 1 and len(sizes) <= view.EXACT + view.GROUPS
    assert sizes[: min(vocab_size, view.EXACT)] == [1] * min(vocab_size, view.EXACT)


@pytest.mark.parametrize(("vocab_size", "spread"), [(300, 2.0), (4096, 2.5), (50257, 3.0), (4096, 0.0)])
def test_filters_equal_the_lessons(vocab_size, spread):
    z = torch.tensor(np.random.default_rng(vocab_size).normal(size=vocab_size) * spread)
    sizes, d = view.group_sizes(vocab_size), (z.max() - z).sort().values.numpy()
    d = view.compressed(d, sizes) * view.STEP
    for temperature in (0.3, 1.0, 2.0):
        p = view.masses(d, sizes, temperature)
        assert p.sum() == pytest.approx(1)
        right = (z / temperature).softmax(-1).sort(descending=True).values
        head = min(vocab_size, view.EXACT)
        assert np.allclose(p[:head], right[:head], rtol=5e-3, atol=1e-7)
        for top_k, top_p in ((0, 1.0), (20, 1.0), (0, 0.5), (0, 0.95), (200, 0.9), (5, 0.3)):
            if spread == 0 and top_k:
                continue  # all are equal, so the lesson's top-k keeps all
            tokens, mass = view.cut(p, sizes, top_k, top_p)
            wanted, held = filtered(z, temperature, top_k, top_p)
            assert mass == pytest.approx(held, abs=3e-3)
            assert abs(tokens - wanted) <= max(2, 0.01 * wanted)


def test_edges():
    assert view.masses([0, 1, 2], [1, 1, 1], 0.0).tolist() == [1, 0, 0]
    assert view.cut([1.0], [1]) == (1, 1.0)
    assert view.cut([0.6, 0.4], [1, 10], top_p=0.8) == (6, pytest.approx(0.8))
    assert view.cut([0.6, 0.4], [1, 10], top_k=3) == (3, pytest.approx(0.68))
    assert view.cut([0.999, 0.001], [1, 1], top_p=0.05) == (1, 0.999)
    assert view.cut([0.5, 0.5, 0.0], [1, 1, 5]) == (7, 1.0)
    assert view.compressed(np.array([0.0, 200.0]), [1, 1]).tolist() == [0, 65535]


# The tree


def test_branches_computed_ahead_are_the_models(widget, model, tokenizer):
    assert len(widget.nodes) == 1 + sum(view.AHEAD)
    start = tokenizer("The king had")["input_ids"]
    for i, node in enumerate(widget.nodes):
        ids, at = [], i
        while widget.nodes[at]["parent"] >= 0:
            ids.insert(0, widget.nodes[at]["id"])
            at = widget.nodes[at]["parent"]
        z = logits_of(model, start + ids)
        order = z.argsort(descending=True, stable=True)
        codes = np.frombuffer(base64.b64decode(node["codes"]), "<u2")[: view.EXACT] * view.STEP
        assert np.allclose(codes, (z.max() - z[order])[: view.EXACT], atol=2e-3)
        assert node["names"][0] == tokenizer.decode([int(order[0])])
        if node["parent"] >= 0:
            before = logits_of(model, start + ids[:-1]).argsort(descending=True, stable=True)
            assert int(before[node["rank"]]) == node["id"]
            assert node["parent"] < i and node["text"] == tokenizer.decode([node["id"]])


def test_choosing(widget, model, tokenizer):
    widget.choose(0)
    assert widget.current == widget.child(0, 0) and len(widget.nodes) == 21
    widget.choose(300)
    assert len(widget.nodes) == 22 and widget.current == 21
    ids = tokenizer("The king had")["input_ids"] + [widget.nodes[i]["id"] for i in widget.path[1:]]
    assert widget.text == "The king had" + "".join(widget.nodes[i]["text"] for i in widget.path[1:])
    widget.temperature, widget.top_k, widget.top_p = 0.7, 0, 0.8
    wanted, held = filtered(logits_of(model, ids), 0.7, 0, 0.8)
    assert abs(widget.kept["tokens"] - wanted) <= 3 and widget.kept["mass"] == pytest.approx(held, abs=2e-3)
    widget.temperature = 0.0
    assert widget.kept == {"tokens": 1, "mass": 1.0}
    with pytest.raises(DataError, match="rank must be from 0 to 4095"):
        widget.choose(5000)


def test_the_browser_asks_for_a_branch(widget):
    widget.wanted = [0, 77, 1]
    assert widget.current == len(widget.nodes) - 1 == 21 and widget.nodes[21]["parent"] == 0 and widget.nodes[21]["rank"] == 77
    widget.wanted = [21, 2, 2]
    assert widget.path == [0, 21, 22]
    widget.wanted = [0, 77, 3]  # known by now
    assert widget.current == 21 and len(widget.nodes) == 23
    widget.wanted = [999, 0, 4]
    assert widget.current == 21


def test_a_full_tree_says_so(widget, monkeypatch):
    monkeypatch.setattr(view, "MOST_NODES", 22)
    widget.wanted = [0, 500, 1]
    assert widget.trouble == ""
    widget.wanted = [0, 501, 2]
    assert "the tree holds 22 places" in widget.trouble and len(widget.nodes) == 22
    widget.prompt = "A fox"
    assert widget.trouble == "" and len(widget.nodes) == 21


def test_another_prompt(widget, model, tokenizer):
    widget.choose(0)
    widget.prompt = "The old wolf"
    assert widget.current == 0 and len(widget.nodes) == 21
    widget.temperature, widget.top_k = 1.0, 0
    best = logits_of(model, tokenizer("The old wolf")["input_ids"]).argmax()
    assert widget.nodes[0]["names"][0] == tokenizer.decode([int(best)])


@pytest.mark.parametrize("prompt", ["", "\u72fc", MARKUP, "word " * 300])
def test_prompts_of_every_kind(model, tokenizer, prompt):
    widget = SamplingView(model, tokenizer, prompt)
    assert 0 < widget.kept["tokens"] <= 4096 and len(widget.nodes) == 21
    for _ in range(3):
        widget.choose(0)
    ET.fromstring(widget.static_svg())
    assert "<script" not in widget.static_svg()


def test_the_model_is_left_as_it_was(model, tokenizer):
    model.train()
    try:
        SamplingView(model, tokenizer, "The king")
        assert all(part.training for part in model.modules())
        assert all(p.grad is None for p in model.parameters())
    finally:
        model.eval()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(prompt=3), "prompt must be a str"),
        (dict(prompt="x" * 3000), "at most 2,000 characters; it has 3,000"),
        (dict(temperature=-1), "temperature must be 0"),
        (dict(temperature=5), "from 0 to 2"),
        (dict(top_k=0), "top_k must be an integer of 1 or more"),
        (dict(top_p=1.5), "top_p must be above 0"),
    ],
)
def test_wrong_input_says_what_to_do(model, tokenizer, arguments, message):
    with pytest.raises(DataError, match=message):
        SamplingView(model, tokenizer, **arguments)


def test_other_things_than_models(tokenizer):
    with pytest.raises(ModelError, match="received str"):
        SamplingView("gpt2", tokenizer)
    with pytest.raises(ModelError, match="SamplingView takes a language model"):
        SamplingView(torch.nn.Linear(2, 2), tokenizer)


def test_a_damaged_model_is_named(tokenizer):
    from tests.gpt2.conftest import make_tiny

    broken = make_tiny()
    broken.transformer.wte.weight.data[5] = math.nan
    with pytest.raises(ModelError, match="NaN"):
        SamplingView(broken, tokenizer, "The king")


# Output


def test_text_form_and_picture_are_of_the_start(widget):
    text, svg = repr(widget), widget.static_svg()
    assert text.startswith("SamplingView after 'The\u00b7king\u00b7had', temperature 1, top-k 50: 50 of 4,096 tokens kept with 0.")
    widget.temperature, widget.top_p = 0.2, 0.5
    widget.choose(7)
    widget.prompt = "else"
    assert repr(widget) == text and widget.static_svg() == svg
    assert widget.static_png().startswith(b"\x89PNG")


def test_text_form_without_a_filter_counts_all(model, tokenizer):
    assert "temperature 1: 4,096 of 4,096 tokens kept with 1.00 of" in repr(SamplingView(model, tokenizer, "The king"))


def test_output_is_small(model, tokenizer):
    widget = SamplingView(model, tokenizer, "\u72fc" * 20)
    for rank in range(200, 200 + view.MOST_NODES - 21):
        widget.current = 0
        widget.choose(rank)
    assert len(widget.nodes) == view.MOST_NODES
    assert len(json.dumps(widget.get_state())) < 900_000
    data, _ = widget._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/svg+xml", "image/png", "text/plain"}
    assert len(json.dumps(data)) < 150_000
