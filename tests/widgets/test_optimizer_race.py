"""The race's Python side: its rules are torch's, its picture and text are constant, bad input is named."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from bigmodel_nb.errors import DataError
from bigmodel_nb.widgets import OptimizerRace
from bigmodel_nb.widgets.optimizer_race import FAR, RULES, SURFACES, inside, path


def torch_path(surface, make, start, steps):
    """The same run by an optimiser of torch."""
    import torch

    theta = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer, points = make([theta]), [theta.detach().tolist()]
    for _ in range(steps):
        theta.grad = torch.tensor(SURFACES[surface].slope(*theta.detach().tolist())[1:], dtype=torch.float64)
        optimizer.step()
        points.append(theta.detach().tolist())
    return points


@pytest.mark.parametrize("surface", SURFACES)
def test_rules_are_those_of_torch(surface):
    from torch import optim

    makers = {
        "sgd": lambda p: optim.SGD(p, lr=0.01),
        "momentum": lambda p: optim.SGD(p, lr=0.01, momentum=0.9),
        "rmsprop": lambda p: optim.RMSprop(p, lr=0.01),
        "adam": lambda p: optim.Adam(p, lr=0.01),
    }
    start = SURFACES[surface].start
    for rule, make in makers.items():
        np.testing.assert_allclose(path(surface, rule, start, 0.01, 60), torch_path(surface, make, start, 60), atol=1e-9)


@pytest.mark.parametrize("surface", SURFACES)
def test_slope_is_the_derivative_and_levels_are_level(surface):
    ground, h = SURFACES[surface], 1e-6
    for x, y in ((0.3, -0.7), (-1.2, 0.4), ground.start):
        _, dx, dy = ground.slope(x, y)
        assert dx == pytest.approx((ground.slope(x + h, y)[0] - ground.slope(x - h, y)[0]) / (2 * h), abs=1e-4)
        assert dy == pytest.approx((ground.slope(x, y + h)[0] - ground.slope(x, y - h)[0]) / (2 * h), abs=1e-4)
    for level in ground.levels:
        losses = [ground.slope(*ground.level(level, a))[0] for a in np.linspace(0, 6, 13)]
        assert losses == pytest.approx([level] * 13)
    assert ground.slope(*ground.lowest) == pytest.approx((0, 0, 0))


def test_uncorrected_adam_takes_longer_first_steps():
    right, wrong = (path("ravine", rule, (5, 1), 0.01, 1)[1][0] for rule in ("adam", "adam_uncorrected"))
    assert (5 - wrong) / (5 - right) == pytest.approx(math.sqrt(10), rel=1e-4)


def test_divergence_ends_the_path():
    points = path("ravine", "sgd", (-5, 1), 0.2, 200)
    assert len(points) < 40 and abs(points[-1][1]) > FAR
    assert OptimizerRace(["sgd"], lr=0.2).losses() == {"sgd": math.inf}
    assert "SGD diverged" in repr(OptimizerRace(["sgd"], lr=0.2))


def test_lines_are_cut_at_the_border():
    box = ((0, 2), (0, 2))
    assert inside([(1, 1), (3, 1)], *box) == [[(1, 1), (2, 1)]]
    assert inside([(-1, 1), (3, 1)], *box) == [[(0, 1), (2, 1)]]
    assert inside([(-1, 3), (3, 3)], *box) == []
    assert inside([(0, 1), (1, 1), (1, 2)], *box) == [[(0, 1), (1, 1), (1, 2)]]
    assert inside([(1, 1), (1, 9), (1.5, 9), (1.5, 1)], *box) == [[(1, 1), (1, 2)], [(1.5, 2), (1.5, 1)]]


@pytest.mark.parametrize("surface", SURFACES)
def test_picture_and_text(surface):
    race = OptimizerRace(list(RULES), surface, lr=0.05)
    text = "".join(ET.fromstring(race.static_svg()).itertext())
    for label, _, _ in RULES.values():
        assert label in text and label in repr(race)
    assert race.static_svg() == OptimizerRace(list(RULES), surface, lr=0.05).static_svg()
    assert race.static_png().startswith(b"\x89PNG")
    data = race._repr_mimebundle_()[0]
    assert "text/html" not in data and len(json.dumps(data)) < 200_000
    assert len(json.dumps(race.get_state())) < 40_000


def test_nothing_to_race_and_no_steps():
    assert "no rule chosen" in repr(OptimizerRace([]))
    assert OptimizerRace([], steps=0).static_png()
    assert OptimizerRace("adam", steps=0).paths() == {"adam": [(-5.0, 1.0)]}
    assert OptimizerRace(["sgd"], start=(40, 40), steps=0).static_svg()  # outside the box


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"surface": "hill"}, "'ravine', 'tilted', 'valley'; received 'hill'"),
        ({"rules": ["adam", "lion"]}, "received 'lion'"),
        ({"lr": 3}, "between 0.001 and 1"),
        ({"lr": math.nan}, "between 0.001 and 1"),
        ({"steps": 1000}, "between 0 and 200"),
        ({"start": (1, 2, 3)}, "two finite numbers"),
        ({"start": (1, math.inf)}, "two finite numbers"),
    ],
)
def test_bad_input_is_named(wrong, says):
    with pytest.raises(DataError, match=says):
        OptimizerRace(**wrong)
