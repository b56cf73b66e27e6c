"""The cross-entropy widget's mathematics, input and fallback."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch

from bigmodel_nb.errors import DataError
from bigmodel_nb.widgets import CrossEntropy
from bigmodel_nb.widgets.cross_entropy import LEAST, LIMIT, log_softmax, measure, softmax, with_probability

MARKUP = "<script>window.hacked = true</script>"


def cases(n=30):
    rng = np.random.default_rng(0)
    for _ in range(n):
        k = int(rng.integers(2, 10))
        yield rng.dirichlet(np.ones(k)).tolist(), (rng.normal(size=k) * 4).tolist()


def test_measures_equal_torch():
    for p, logits in cases():
        m, z, target = measure(p, logits), torch.tensor(logits, dtype=torch.float64), torch.tensor(p, dtype=torch.float64)
        assert m["q"] == pytest.approx(torch.softmax(z, 0).tolist(), abs=1e-7)
        assert m["entropy"] == pytest.approx(torch.distributions.Categorical(target).entropy().item(), abs=1e-6)
        cross = -(target * torch.log_softmax(z, 0)).sum().item()
        assert m["cross_entropy"] == pytest.approx(cross, abs=1e-6)
        assert m["kl"] == pytest.approx(cross - m["entropy"], abs=1e-9) and m["kl"] >= 0
        assert m["perplexity"] == pytest.approx(math.exp(cross), rel=1e-6)


def test_zeros_of_p_cost_nothing_and_large_logits_do_not_overflow():
    m = measure([1.0, 0.0], [0.0, 2000.0])
    assert m["entropy"] == 0 and m["cross_entropy"] == 2000
    assert log_softmax([1000.0, 1000.0]) == pytest.approx([-math.log(2)] * 2)
    assert softmax([1000.0, -1000.0]) == [1.0, 0.0]


def test_dragging_moves_one_logit_and_keeps_the_ratios():
    for p, logits in cases():
        moved = with_probability(logits, 1, 0.4)
        q, before = softmax(moved), softmax(logits)
        if abs(moved[1]) < LIMIT:
            assert q[1] == pytest.approx(0.4)
        assert [z for i, z in enumerate(moved) if i != 1] == [z for i, z in enumerate(logits) if i != 1]
        if len(q) > 2:
            assert q[0] / q[2] == pytest.approx(before[0] / before[2])


@pytest.mark.parametrize("value", [-1, 0, 1, 2, 1e-9])
def test_dragging_stays_inside(value):
    q = softmax(with_probability([0.0, 0.0, 0.0], 0, value))
    assert LEAST * 0.99 <= q[0] <= 1 - LEAST * 0.99


def test_starts_where_it_is_told():
    widget = CrossEntropy([0.5, 0.5], q=[0.9, 0.1])
    assert widget.q == pytest.approx([0.9, 0.1])
    assert CrossEntropy([0.2, 0.3, 0.5]).q == pytest.approx([1 / 3] * 3)
    assert CrossEntropy([0.5, 0.5], q=[1.0, 0.0]).q[1] < 1e-6
    assert CrossEntropy(np.array([0.5, 0.5]), labels=["heads", 1]).labels == ["heads", "1"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(p=[0.5, 0.6]), "sum to 1; got 0.5, 0.6"),
        (dict(p=[1.5, -0.5]), "probabilities"),
        (dict(p=[math.nan, 1.0]), "probabilities"),
        (dict(p=[1.0]), "1 outcomes"),
        (dict(p=[0.05] * 20), "20 outcomes"),
        (dict(p=[0.5, 0.5], q=[0.2, 0.3, 0.5]), "same length; they have 2, 3 and 2"),
        (dict(p=[0.5, 0.5], labels=["a"]), "same length"),
    ],
)
def test_wrong_input_says_what_to_do(arguments, message):
    with pytest.raises(DataError, match=message):
        CrossEntropy(**arguments)


def test_text_form_and_picture_are_of_the_start():
    widget = CrossEntropy([0.5, 0.25, 0.25], q=[0.25, 0.25, 0.5], labels=[MARKUP, "b", "c"])
    text, svg = repr(widget), widget.static_svg()
    assert text == "CrossEntropy over 3 outcomes: entropy 1.040 + KL 0.173 = cross-entropy 1.213 nats"
    widget.logits = [0.0, 5.0, 1.0]
    assert repr(widget) == text and widget.static_svg() == svg
    assert "<script" not in svg
    ET.fromstring(svg)
    assert widget.static_png().startswith(b"\x89PNG")


def test_output_is_small():
    widget = CrossEntropy([0.1] * 10)
    data, _ = widget._repr_mimebundle_()
    assert set(data) == {
        "application/vnd.jupyter.widget-view+json", "image/svg+xml", "image/png", "text/plain",
    }
    assert len(json.dumps(data)) < 100_000 and len(json.dumps(widget.get_state())) < 60_000
