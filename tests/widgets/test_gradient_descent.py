"""The mathematics, text form and picture of the gradient descent widget."""

from __future__ import annotations

import math

import numpy as np
import pytest

import bigmodel_nb as bn
from bigmodel_nb.errors import DataError
from bigmodel_nb.exercises.neuron_and_gradient_descent import bce_gradient, bce_loss, gd_step
from bigmodel_nb.widgets.gradient_descent import FAR, GradientDescent, Loss, verdict

BOWL = (0, 0, 0.5)
X, Y = [1.5, -0.5, 2.0, -1.0, 0.3], [1, 0, 1, 0, 0]


def test_polynomial_equals_numpy():
    coefficients = (1.0, -2.0, 0.5, 0.25)
    loss, theirs = Loss(coefficients), np.polynomial.Polynomial(coefficients)
    for theta in (-3.0, -0.5, 0.0, 2.0):
        assert loss.at(theta) == pytest.approx(theirs(theta))
        assert loss.slope(theta) == pytest.approx(theirs.deriv()(theta))


@pytest.mark.parametrize("theta", [-900.0, -2.0, 0.0, 0.7, 900.0])
def test_neuron_equals_the_exercises(theta):
    loss, x, y = Loss(x=X, y=Y), np.array(X), np.array(Y)
    dw, _ = bce_gradient(x[:, None], y, np.array([theta]), 0.0)
    assert loss.at(theta) == pytest.approx(bce_loss(theta * x, y))
    assert loss.slope(theta) == pytest.approx(dw[0])


def test_path_is_that_of_gd_step():
    loss, theta = Loss(BOWL), [-3.0]
    for place, _ in loss.path(-3.0, 1.8, 6):
        assert place == pytest.approx(theta[0])
        theta = gd_step(theta, lambda t: [loss.slope(t[0])], 1.8)


@pytest.mark.parametrize(
    ("lr", "steps", "expected"),
    [(0.1, 5, "on its way"), (1.0, 5, "at rest"), (1.9, 100, "at rest"), (2.1, 20, "diverges"), (50, 100, "diverges")],
)
def test_verdict(lr, steps, expected):
    points = Loss(BOWL).path(-3.0, lr, steps)
    assert verdict(points, steps) == expected
    assert all(abs(theta) <= FAR and math.isfinite(loss) for theta, loss in points)


def test_no_steps():
    assert verdict(Loss(BOWL).path(-3.0, 0.1, 0), 0) == "on its way"


def test_text_form_is_short_and_constant():
    widget = GradientDescent(coefficients=BOWL, start=-3, lr=1.8, steps=12)
    assert repr(widget) == repr(GradientDescent(coefficients=BOWL, start=-3, lr=1.8, steps=12))
    assert "theta -0.206, loss 4.5 to 0.0213" in repr(widget)
    assert "diverges" in repr(GradientDescent(coefficients=BOWL, lr=2.1, steps=30))


def test_picture_shows_the_path():
    widget = GradientDescent(coefficients=BOWL, start=-3, lr=1.8, steps=12)
    svg = widget.static_svg()
    assert svg.count("<circle") == 13 and svg == widget.static_svg()
    assert len(svg) < 20_000 and widget.static_png().startswith(b"\x89PNG")
    outside = GradientDescent(coefficients=BOWL, start=-3, lr=2.5, steps=30)
    assert outside.static_svg().count("<circle") < 4


def test_name_with_markup_is_escaped():
    widget = GradientDescent(x=X, y=Y, name="<script>w</script>")
    assert "<script" not in widget.static_svg()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({}, "one loss"),
        ({"coefficients": BOWL, "x": X, "y": Y}, "one loss"),
        ({"x": X, "y": Y[:2]}, "equally long"),
        ({"x": X, "y": [0, 1, 2, 0, 1]}, "0 and 1"),
        ({"coefficients": (0, math.nan)}, "finite"),
        ({"coefficients": BOWL, "between": (5, -5)}, "between"),
        ({"coefficients": BOWL, "start": 7}, "start"),
        ({"coefficients": BOWL, "lr": 0}, "lr"),
        ({"coefficients": BOWL, "steps": 101}, "steps"),
    ],
)
def test_bad_input_is_named(arguments, word):
    with pytest.raises(DataError, match=word):
        GradientDescent(**arguments)


def test_takes_arrays_and_is_small():
    widget = bn.widgets.GradientDescent(x=np.array(X), y=np.array(Y), lr=np.float64(0.5), steps=np.int64(3))
    assert widget.x == X and widget.path()[0][0] == -3
    assert len(widget._esm) + len(widget._css) < 20_000
