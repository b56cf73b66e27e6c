"""The convolution explorer's mathematics, input and fallback."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from scipy.signal import convolve2d, correlate2d
from sklearn.datasets import load_digits

from bigmodel_nb.errors import DataError
from bigmodel_nb.widgets import ConvExplorer
from bigmodel_nb.widgets.conv_explorer import EXAMPLE, correlate, flipped, padded, products


def cases(n=20):
    rng = np.random.default_rng(0)
    for _ in range(n):
        (H, W), (kh, kw) = rng.integers(3, 12, 2), rng.integers(1, 4, 2)
        yield rng.normal(size=(H, W)), rng.normal(size=(kh, kw)), int(rng.integers(0, 3))


def test_equals_scipy():
    for image, kernel, rim in cases():
        wide = padded(image.tolist(), rim)
        assert np.allclose(wide, np.pad(image, rim))
        assert np.allclose(correlate(wide, kernel.tolist()), correlate2d(np.pad(image, rim), kernel, "valid"))
        turned = correlate(wide, flipped(kernel.tolist()))
        assert np.allclose(turned, convolve2d(np.pad(image, rim), kernel, "valid"))
        assert np.allclose(products(wide, kernel.tolist(), 1, 0), np.pad(image, rim)[1 : 1 + len(kernel), : kernel.shape[1]] * kernel)


def test_the_example_is_a_digit_of_the_data_set():
    assert (load_digits().images[7] == np.array(EXAMPLE)).all()


def test_output_follows_the_state():
    widget = ConvExplorer([[1, 2, 0], [0, 1, 3]], [[1, -1], [0, 2]])
    assert widget.output == [[1, 8]]
    widget.flip = True
    assert widget.output == [[3, 6]]
    widget.padding, widget.flip = 1, False
    assert np.shape(widget.output) == (3, 4)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(image=[1, 2, 3]), "image must have rows and columns"),
        (dict(image=[[1, 2], [3]]), "rows of numbers"),
        (dict(image=[["a", "b"]]), "rows of numbers"),
        (dict(image=np.zeros((28, 28))), "image is 28 x 28; the widget shows up to 20 x 20"),
        (dict(image=[[math.nan] * 4] * 4), "NaN"),
        (dict(image=[[1, 2], [3, 4]]), "kernel, 3 x 3, does not fit into the image, 2 x 2"),
        (dict(kernel=np.ones((7, 7))), "up to 5 x 5"),
        (dict(row=6), "rows 0 to 5 and columns 0 to 5; got row 6"),
    ],
)
def test_wrong_input_says_what_to_do(arguments, message):
    with pytest.raises(DataError, match=message):
        ConvExplorer(**arguments)


def test_text_form_and_picture_are_of_the_start():
    widget = ConvExplorer(row=2, col=3)
    text, svg = repr(widget), widget.static_svg()
    value = correlate2d(np.array(EXAMPLE), np.array([[-1, 0, 1]] * 3), "valid")[2, 3]
    assert text == (
        f"ConvExplorer: image 8 x 8, kernel 3 x 3, output 6 x 6; the window at row 2, column 3 gives {value}"
    )
    widget.kernel, widget.row = [[1.0] * 3] * 3, 0
    assert repr(widget) == text and widget.static_svg() == svg
    ET.fromstring(svg)
    assert widget.static_png().startswith(b"\x89PNG")


def test_takes_any_shape_that_fits():
    for image, kernel in ((np.eye(20), np.ones((5, 1))), ([[3]], [[2]]), (np.zeros((4, 4)), np.zeros((2, 2)))):
        widget = ConvExplorer(image, kernel)
        ET.fromstring(widget.static_svg())
        assert widget.static_png()


def test_output_is_small():
    widget = ConvExplorer(np.random.default_rng(0).normal(size=(20, 20)))
    data, _ = widget._repr_mimebundle_()
    assert len(json.dumps(data)) < 200_000 and len(json.dumps(widget.get_state())) < 60_000
