"""The drawing pad: the image it makes of a drawing, the network it takes, its fallback."""

from __future__ import annotations

import base64
import json
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from bigmodel_nb.errors import DataError
from bigmodel_nb.widgets import DrawDigit
from bigmodel_nb.widgets.draw_digit import exported, image_of, pen, placed
from drawn import DRAWN, small_cnn, trained_cnn


def image(strokes):
    return np.array(image_of(strokes))


def test_images_look_like_those_of_the_data_set():
    """8 x 8 counts from 0 to 16, about as much ink, over the full height, in the middle."""
    real = load_digits().images
    images = np.array([image_of(strokes) for strokes in DRAWN.values()])
    assert images.shape == (10, 8, 8) and images.min() == 0 and images.max() == 16
    assert abs(images.sum((1, 2)).mean() - real.sum((1, 2)).mean()) < 60
    assert (images[:, 0].sum(1) > 0).all() and (images[:, 7].sum(1) > 0).all()
    columns = (images.sum(1) * np.arange(8)).sum(1) / images.sum((1, 2))
    assert (np.abs(columns - 3.5) < 1).all()


@pytest.mark.parametrize("digit", DRAWN)
def test_place_and_size_of_a_drawing_do_not_matter(digit):
    """Moved and made smaller, it gives the same image but for rounding at edges."""
    strokes = DRAWN[digit]
    moved = [[(0.05 + 0.4 * x, 0.5 + 0.4 * y) for x, y in stroke] for stroke in strokes]
    assert np.abs(image(moved) - image(strokes)).max() <= 2


def test_a_brute_force_bitmap_agrees():
    """Each dot of the bitmap by its distance to many points along the strokes."""
    for strokes in (DRAWN[4], DRAWN[7]):
        drawing = placed(strokes)
        points = [
            (x0 + k / 400 * (x1 - x0), y0 + k / 400 * (y1 - y0))
            for stroke in drawing for (x0, y0), (x1, y1) in zip(stroke, stroke[1:]) for k in range(401)
        ]  # fmt: skip
        px, py = np.array(points).T
        y, x = np.mgrid[:32, :32] + 0.5
        on = ((x[..., None] - px) ** 2 + (y[..., None] - py) ** 2).min(-1) <= pen(drawing) ** 2
        assert np.abs(image(strokes) - on.reshape(8, 4, 8, 4).sum((1, 3))).max() <= 1


def test_odd_drawings():
    assert image([]).sum() == 0
    dot = image([[(0.1, 0.9)]])
    assert 0 < dot.sum() < 60 and (dot == dot[::-1, ::-1]).all()
    assert image([[(0.2, 0.5), (0.8, 0.5)]])[0].sum() == 0  # a dash isn't blown up to full height
    assert image([[(0.0, 0.0), (1.0, 1.0)], [(1.0, 0.0), (0.0, 1.0)]]).max() <= 16
    assert (image([[(0.5, 0.1)] * 3 + [(0.5, 0.9)]]) == image([[(0.5, 0.1), (0.5, 0.9)]])).all()


def test_a_trained_network_reads_drawings():
    net = trained_cnn()
    for name, move in {"as drawn": lambda x, y: (x, y), "small": lambda x, y: (0.5 + x / 3, y / 3)}.items():
        read = [DrawDigit(net, [[move(x, y) for x, y in s] for s in strokes]).probabilities.argmax() for strokes in DRAWN.values()]
        assert sum(a == b for a, b in zip(read, DRAWN)) >= 9, (name, read)


def test_arrays_travel_unchanged():
    net = small_cnn()
    widget = DrawDigit(net)
    numbers = np.frombuffer(base64.b64decode(widget.weights), "<f4")
    mine = [p.detach().numpy() for p in net.parameters()]
    assert np.array_equal(numbers, np.concatenate([p.ravel() for p in mine]))
    parts = [layer[key] for layer in widget.layers for key in ("weight", "bias") if key in layer]
    for part, array in zip(parts, mine, strict=True):
        assert part["shape"] == list(array.shape)
        assert np.array_equal(numbers[part["at"] :][: array.size].reshape(array.shape), array)


def test_layers_that_do_nothing_when_used_are_left_out():
    net = nn.Sequential(nn.Sequential(nn.Flatten(), nn.Dropout(0.9)), nn.Identity(), nn.Linear(64, 10, bias=False))
    layers, arrays = exported(net)
    assert [layer["kind"] for layer in layers] == ["Flatten", "Linear"] and len(arrays) == 1
    net.train()
    widget = DrawDigit(net, DRAWN[3])
    assert np.array_equal(widget.probabilities, widget.probabilities)
    assert net.training  # the network is left as it was


class Strange(nn.Module):
    def forward(self, x):
        return x


@pytest.mark.parametrize(
    "net, message",
    [
        (nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(64, 10)), "can't compute a BatchNorm2d"),
        (Strange(), "can't compute a Strange. Build the network as a torch.nn.Sequential"),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), r"10 logits for an image; its result has the shape \(1, 3\)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(50, 10)), r"does not take an image \(1, 1, 8, 8\)"),
        (nn.Sequential(nn.Conv2d(1, 1, 3, stride=(1, 2)), nn.Flatten(), nn.Linear(18, 10)), "same along height and width"),
        (nn.Sequential(nn.Conv2d(1, 1, (3, 1)), nn.Flatten(), nn.Linear(48, 10)), "same along height and width"),
        (nn.Sequential(nn.AvgPool2d(2, padding=1, count_include_pad=False), nn.Flatten(), nn.Linear(25, 10)), "zeros as padding"),
        (nn.Sequential(nn.Linear(8, 8), nn.Flatten(), nn.Linear(64, 10)), "nn.Flatten before"),
        (nn.Sequential(nn.Conv2d(1, 1, 3, dilation=2), nn.Flatten(), nn.Linear(16, 10)), "no dilation"),
        (nn.Sequential(nn.Conv2d(1, 1, 3, padding="same"), nn.Flatten(), nn.Linear(64, 10)), "whole numbers"),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 2000), nn.ReLU(), nn.Linear(2000, 10)), "150,010 parameters; DrawDigit takes up to 100,000"),
    ],
)
def test_networks_it_cannot_compute(net, message):
    with pytest.raises(DataError, match=message):
        DrawDigit(net)


@pytest.mark.parametrize("strokes", [[[(0.5, 1.5)]], [[(math.nan, 0.5)]], [[0.5, 0.5]], [["ab"]], 3])
def test_wrong_strokes_say_what_to_do(strokes):
    with pytest.raises(DataError, match="strokes"):
        DrawDigit(small_cnn(), strokes)


def test_text_form_and_picture_are_of_the_start():
    torch.manual_seed(0)
    net = small_cnn()
    with torch.no_grad():
        net[-1].bias[7] = 50.0
    widget = DrawDigit(net, DRAWN[7])
    text, svg = repr(widget), widget.static_svg()
    assert text == f"DrawDigit: a drawing of 2 strokes and a network of {sum(p.numel() for p in net.parameters()):,} parameters; it reads 7 with more than 90 %"
    widget.strokes = []
    assert repr(widget) == text and widget.static_svg() == svg
    ET.fromstring(svg)
    assert widget.static_png().startswith(b"\x89PNG")
    assert "an empty pad" in repr(DrawDigit(net)) and "draw a digit" in DrawDigit(net).static_svg()


def test_answers_follow_the_state():
    net = small_cnn()
    widget = DrawDigit(net, largest=16.0)
    widget.strokes = [[[0.5, 0.1], [0.5, 0.9]]]
    with torch.no_grad():
        expected = net(torch.tensor(widget.image, dtype=torch.float32)[None, None]).softmax(1)[0].numpy()
    assert np.allclose(widget.probabilities, expected)


def test_output_is_small():
    widget = DrawDigit(small_cnn(), DRAWN[8])
    data, _ = widget._repr_mimebundle_()
    assert len(json.dumps(data)) < 100_000 and len(json.dumps(widget.get_state())) < 120_000
