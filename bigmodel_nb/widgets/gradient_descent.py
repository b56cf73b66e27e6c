"""Gradient descent on a loss of one parameter: steps, learning rate and divergence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import traitlets as t

from bigmodel_nb.errors import DataError
from bigmodel_nb.figures import BLUE, RED

from .base import CourseWidget, front_end, style
from .picture import FAINT, Axes, Picture

FAR = 1e6  # beyond this a path has left for good and ends
MOST_STEPS = 100


@dataclass(frozen=True)
class Loss:
    """A loss of one parameter: a polynomial, or the mean cross-entropy of a neuron with one weight.

    coefficients: c0, c1, c2, ... of c0 + c1 theta + c2 theta**2 + ...
    x, y: inputs and labels 0 or 1 of the neuron sigmoid(theta x)

    >>> bowl = Loss((0, 0, 0.5))
    >>> bowl.at(3.0), bowl.slope(3.0)
    (4.5, 3.0)
    """

    coefficients: Sequence[float] = ()
    x: Sequence[float] = ()
    y: Sequence[float] = ()

    def at(self, theta: float) -> float:
        """The loss."""
        if self.coefficients:
            return sum(c * theta**k for k, c in enumerate(self.coefficients))
        costs = (max(theta * x, 0) - y * theta * x + math.log1p(math.exp(-abs(theta * x))) for x, y in self._data())
        return sum(costs) / len(self.x)

    def slope(self, theta: float) -> float:
        """Its derivative."""
        if self.coefficients:
            return sum(k * c * theta ** (k - 1) for k, c in enumerate(self.coefficients) if k)
        return sum((_sigmoid(theta * x) - y) * x for x, y in self._data()) / len(self.x)

    def _data(self):
        return zip(self.x, self.y, strict=True)

    def path(self, start: float, lr: float, steps: int) -> list[list[float]]:
        """[theta, loss] before the first step and after each; ends early beyond `FAR`."""
        points = [[start, self.at(start)]]
        for _ in range(steps):
            theta = points[-1][0]
            theta = theta - lr * self.slope(theta)
            if not abs(theta) <= FAR:
                break
            points.append([theta, self.at(theta)])
        return points


def _sigmoid(z: float) -> float:
    small = math.exp(-abs(z))
    return (1 if z >= 0 else small) / (1 + small)


def verdict(points: Sequence[Sequence[float]], steps: int) -> str:
    """What became of a path: 'diverges', 'at rest' or 'on its way'."""
    if len(points) <= steps or points[-1][1] > points[0][1] + 1e-9:
        return "diverges"
    if len(points) < 2:
        return "on its way"
    moved = abs(points[-1][0] - points[-2][0])
    return "at rest" if moved <= 1e-3 * max(1.0, abs(points[-1][0])) else "on its way"


class GradientDescent(CourseWidget):
    """Steps of gradient descent on a loss of one parameter, computed in the browser.

    The loss is a polynomial, `coefficients=(c0, c1, c2)`, or that of a neuron with one weight on
    `x` (N,) and labels `y` (N,) of 0 and 1. `between` is the range of theta that is drawn. The
    sliders set learning rate, start and number of steps; the start can also be dragged in the picture.

    >>> GradientDescent(coefficients=(0, 0, 0.5), start=4, lr=0.5, steps=3)
    GradientDescent: 3 steps from theta 4 with learning rate 0.5: theta 0.5, loss 8 to 0.125, on its way
    """

    _esm = front_end("gradient_descent")
    _css = style("gradient_descent")

    coefficients = t.List(t.Float()).tag(sync=True)
    x = t.List(t.Float()).tag(sync=True)
    y = t.List(t.Float()).tag(sync=True)
    between = t.List(t.Float()).tag(sync=True)
    start = t.Float().tag(sync=True)
    lr = t.Float().tag(sync=True)
    steps = t.Int().tag(sync=True)
    name = t.Unicode().tag(sync=True)

    def __init__(
        self, coefficients=(), x=(), y=(), start=-3.0, lr=0.1, steps=10, between=(-5.0, 5.0), name="theta"
    ) -> None:
        coefficients, x, y, between = ([float(v) for v in values] for values in (coefficients, x, y, between))
        _check(coefficients, x, y, between, start, lr, steps)
        state = {"coefficients": coefficients, "x": x, "y": y, "between": between}
        super().__init__(**state, start=float(start), lr=float(lr), steps=int(steps), name=name)

    @property
    def loss(self) -> Loss:
        """The loss that is drawn."""
        return Loss(tuple(self.coefficients), tuple(self.x), tuple(self.y))

    def path(self) -> list[list[float]]:
        """[theta, loss] of each step, as the browser computes it."""
        return self.loss.path(self.start, self.lr, self.steps)

    def describe(self) -> str:
        points = self.path()
        to = f"{_short(points[0][1])} to {_short(points[-1][1])}"
        return (
            f"GradientDescent: {self.steps} steps from {self.name} {_short(self.start)} with learning rate "
            f"{_short(self.lr)}: {self.name} {_short(points[-1][0])}, loss {to}, {verdict(points, self.steps)}"
        )

    def picture(self) -> Picture:
        """The curve with the path upon it."""
        picture = Picture(640, 270, self.describe())
        low, high = self.between
        curve = [(v, self.loss.at(v)) for v in (low + (high - low) * i / 120 for i in range(121))]
        losses = [loss for _, loss in curve]
        margin = (max(losses) - min(losses)) * 0.06 or 0.5
        axes = Axes(picture, (52, 30, 624, 214), (low, high), (min(losses) - margin, max(losses) + margin))
        axes.draw(self.name, "loss")
        picture.line([(axes.x(v), axes.y(loss)) for v, loss in curve], FAINT, 1.5)
        seen = [p for p in self.path() if low <= p[0] <= high]
        picture.line([(axes.x(v), axes.y(loss)) for v, loss in seen], BLUE, 1.5)
        for number, (v, loss) in enumerate(seen):
            picture.circle((axes.x(v), axes.y(loss)), 5 if number == 0 else 3.5, RED if number == 0 else BLUE)
        picture.text(52, 264, self.describe().partition(": ")[2], 11)
        return picture


def _short(value: float) -> str:
    """Three significant digits, and 0 for what is nearly 0.

    >>> _short(0.0001), _short(-3.14159), _short(12345.6)
    ('0', '-3.14', '1.23e+04')
    """
    return f"{value:.3g}" if abs(value) >= 5e-4 else "0"


def _check(coefficients, x, y, between, start, lr, steps) -> None:
    if bool(coefficients) == bool(x):
        raise DataError("GradientDescent needs one loss: coefficients of a polynomial, or x and y of a neuron.")
    if len(x) != len(y) or set(y) - {0.0, 1.0}:
        raise DataError(f"x and y must be equally long and y hold 0 and 1 only; received {len(x)} and {len(y)} values.")
    if not all(map(math.isfinite, [*coefficients, *x, *between, start, lr])):
        raise DataError("coefficients, x, between, start and lr must be finite numbers.")
    if len(between) != 2 or between[0] >= between[1]:
        raise DataError(f"between must be two rising numbers, as (-5, 5); received {tuple(between)}.")
    if not between[0] <= start <= between[1]:
        raise DataError(f"start must lie in {tuple(between)}; received {start}.")
    if not 0.001 <= lr <= 100:
        raise DataError(f"lr must lie between 0.001 and 100; received {lr}.")
    if not 0 <= steps <= MOST_STEPS:
        raise DataError(f"steps must lie between 0 and {MOST_STEPS}; received {steps}.")
