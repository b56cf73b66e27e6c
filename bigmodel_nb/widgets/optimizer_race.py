"""Several optimisers on one surface from the same start: paths, losses, divergence.

`path` is the mathematics; optimizer_race.js holds the same in JavaScript, so that dragging needs no
kernel, and tests compare the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import traitlets as t

from bigmodel_nb.errors import DataError
from bigmodel_nb.figures import BLUE, GREEN, GREY, ORANGE, RED

from .base import CourseWidget, front_end, style
from .picture import FAINT, INK, Axes, Picture

Point = tuple[float, float]
BETA, BETA2, ALPHA, EPS = 0.9, 0.999, 0.99, 1e-8  # torch's defaults; 0.9 is the usual momentum
FAR = 1e6  # a path that gets there has diverged
STEEP, BEND = 25.0, 10.0
HALF = math.sqrt(0.5)
RULES = {  # name -> (label, colour, dashed)
    "sgd": ("SGD", GREY, False),
    "momentum": ("momentum", BLUE, False),
    "rmsprop": ("RMSProp", ORANGE, True),
    "adam": ("Adam", GREEN, False),
    "adam_uncorrected": ("Adam, not corrected", RED, True),
}


def _ravine(x: float, y: float) -> tuple[float, float, float]:
    return 0.5 * (x * x + STEEP * y * y), x, STEEP * y


def _tilted(x: float, y: float) -> tuple[float, float, float]:
    loss, along, across = _ravine(HALF * (x + y), HALF * (y - x))
    return loss, HALF * (along - across), HALF * (along + across)


def _valley(x: float, y: float) -> tuple[float, float, float]:
    off = y - x * x
    return (1 - x) ** 2 + BEND * off * off, 2 * (x - 1) - 4 * BEND * x * off, 2 * BEND * off


def _ravine_level(level: float, angle: float) -> Point:
    return math.sqrt(2 * level) * math.cos(angle), math.sqrt(2 * level / STEEP) * math.sin(angle)


def _tilted_level(level: float, angle: float) -> Point:
    along, across = _ravine_level(level, angle)
    return HALF * (along - across), HALF * (along + across)


def _valley_level(level: float, angle: float) -> Point:
    x = 1 - math.sqrt(level) * math.cos(angle)
    return x, x * x + math.sqrt(level / BEND) * math.sin(angle)


@dataclass(frozen=True)
class Surface:
    """A loss of two parameters: `slope(x, y)` is (loss, d/dx, d/dy), `level(loss, angle)` a point
    of the curve on which the loss has that value."""

    label: str
    slope: Callable[[float, float], tuple[float, float, float]]
    level: Callable[[float, float], Point]
    levels: tuple[float, ...]
    x_range: Point
    y_range: Point
    start: Point
    lowest: Point


SURFACES = {
    "ravine": Surface("ravine", _ravine, _ravine_level, (0.1, 0.5, 2, 5, 10, 18), (-6, 3), (-1.8, 1.8), (-5, 1), (0, 0)),
    "tilted": Surface("tilted ravine", _tilted, _tilted_level, (0.1, 0.5, 2, 5, 10, 18), (-6, 3), (-4.5, 2.5), (-4, -2.5), (0, 0)),
    "valley": Surface("curved valley", _valley, _valley_level, (0.1, 0.5, 2, 5, 12, 25), (-2.2, 2.2), (-1.2, 3.6), (-1.6, 1.8), (1, 1)),
}


def _move(rule: str, g: float, m: float, v: float, t: int) -> tuple[float, float, float]:
    """Direction, m and v of one coordinate; the step is lr times the direction."""
    if rule == "sgd":
        return g, m, v
    if rule == "momentum":
        m = BETA * m + g
        return m, m, v
    if rule == "rmsprop":
        v = ALPHA * v + (1 - ALPHA) * g * g
        return g / (math.sqrt(v) + EPS), m, v
    m, v = BETA * m + (1 - BETA) * g, BETA2 * v + (1 - BETA2) * g * g
    if rule == "adam_uncorrected":
        return m / (math.sqrt(v) + EPS), m, v
    return m / (1 - BETA**t) / (math.sqrt(v / (1 - BETA2**t)) + EPS), m, v


def path(surface: str, rule: str, start: Sequence[float], lr: float, steps: int) -> list[Point]:
    """The start and the place after each step; it ends early where it gets beyond a million.

    >>> path("ravine", "sgd", (1, 1), 0.5, 1)
    [(1.0, 1.0), (0.5, -11.5)]
    """
    x, y = map(float, start)
    points, (mx, vx, my, vy) = [(x, y)], (0.0, 0.0, 0.0, 0.0)
    for step in range(1, steps + 1):
        _, gx, gy = SURFACES[surface].slope(x, y)
        dx, mx, vx = _move(rule, gx, mx, vx, step)
        dy, my, vy = _move(rule, gy, my, vy, step)
        x, y = x - lr * dx, y - lr * dy
        points.append((x, y))
        if max(abs(x), abs(y)) > FAR:
            break
    return points


def inside(points: Sequence[Point], x_range: Point, y_range: Point) -> list[list[Point]]:
    """The pieces of a line that lie inside a box, cut off at its border (Liang and Barsky 1984)."""
    pieces: list[list[Point]] = []
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        dx, dy, low, high = x1 - x0, y1 - y0, 0.0, 1.0
        for change, room in ((-dx, x0 - x_range[0]), (dx, x_range[1] - x0), (-dy, y0 - y_range[0]), (dy, y_range[1] - y0)):
            if change < 0:
                low = max(low, room / change)
            elif change > 0:
                high = min(high, room / change)
            elif room < 0:
                high = -1.0
        if low > high:
            continue
        if low > 0 or not pieces or pieces[-1][-1] != (x0, y0):
            pieces.append([(x0 + low * dx, y0 + low * dy)])
        pieces[-1].append((x1, y1) if high == 1 else (x0 + high * dx, y0 + high * dy))
    return pieces


class OptimizerRace(CourseWidget):
    """Paths of several rules on a surface; the learning rate, the steps and the start are dragged.

    surface: "ravine", "tilted" or "valley"; rules: any of "sgd", "momentum", "rmsprop", "adam",
    "adam_uncorrected"; start: (x, y), the surface's own where None. Errors: DataError for a name or a
    number that isn't one of these.
    """

    _esm = front_end("optimizer_race")
    _css = style("optimizer_race")

    surface = t.Unicode("ravine").tag(sync=True)
    rules = t.List(t.Unicode()).tag(sync=True)
    lr = t.Float(0.03).tag(sync=True)
    steps = t.Int(60).tag(sync=True)
    start = t.List(t.Float()).tag(sync=True)

    def __init__(self, rules=("sgd", "momentum", "rmsprop", "adam"), surface="ravine", lr=0.03, steps=60, start=None):
        rules = [rules] if isinstance(rules, str) else list(rules)
        _one_of("surface", [surface], SURFACES)
        _one_of("rules", rules, RULES)
        if not 1e-3 <= lr <= 1:
            raise DataError(f"lr must lie between 0.001 and 1, the ends of the slider; received {lr!r}.")
        if not 0 <= steps <= 200:
            raise DataError(f"steps must lie between 0 and 200; received {steps!r}.")
        start = [float(x) for x in (SURFACES[surface].start if start is None else start)]
        if len(start) != 2 or not all(map(math.isfinite, start)):
            raise DataError(f"start must be two finite numbers, x and y; received {start!r}.")
        super().__init__(rules=rules, surface=surface, lr=float(lr), steps=int(steps), start=start)

    def paths(self) -> dict[str, list[Point]]:
        """The path of each rule, by name."""
        return {rule: path(self.surface, rule, self.start, self.lr, self.steps) for rule in self.rules}

    def losses(self) -> dict[str, float]:
        """The loss after the last step of each rule; infinity where it diverged."""
        return {rule: self._loss(points) for rule, points in self.paths().items()}

    def _loss(self, points: list[Point]) -> float:
        x, y = points[-1]
        return math.inf if max(abs(x), abs(y)) > FAR else SURFACES[self.surface].slope(x, y)[0]

    def describe(self) -> str:
        results = "; ".join(f"{RULES[rule][0]} {_words(loss)}" for rule, loss in self.losses().items())
        place = SURFACES[self.surface].label
        return f"OptimizerRace, {place}, learning rate {self.lr:g}, loss after {self.steps} steps: {results or 'no rule chosen'}"

    def picture(self) -> Picture:
        """Level curves, the paths inside the box, and the loss of each rule."""
        ground = SURFACES[self.surface]
        picture = Picture(640, 300, self.describe())
        axes = Axes(picture, (44, 26, 440, 250), ground.x_range, ground.y_range)
        axes.draw("x", "y")
        place = lambda points: [(axes.x(x), axes.y(y)) for x, y in points]  # noqa: E731
        for level in ground.levels:
            ring = [ground.level(level, math.tau * i / 96) for i in range(97)]
            for piece in inside(ring, ground.x_range, ground.y_range):
                picture.line(place(piece), "#b9c0c8", 1)
        for rule, points in self.paths().items():
            _, colour, dashed = RULES[rule]
            for piece in inside(points, ground.x_range, ground.y_range):
                picture.line(place(piece), colour, 1.8, dashed)
            if len(last := inside(points[-1:] * 2, ground.x_range, ground.y_range)):
                picture.circle(*place([last[0][0]]), 4, colour)
        picture.circle(*place([ground.lowest]), 3, INK)
        self._legend(picture)
        return picture

    def _legend(self, picture: Picture) -> None:
        picture.text(456, 40, f"learning rate {self.lr:g}", 12)
        picture.text(456, 58, f"loss after {self.steps} steps", 12, FAINT)
        for row, (rule, loss) in enumerate(self.losses().items()):
            label, colour, dashed = RULES[rule]
            y = 88 + 38 * row
            picture.line([(456, y - 4), (484, y - 4)], colour, 3, dashed)
            picture.text(492, y, label, 12)
            picture.text(492, y + 16, _words(loss), 12, FAINT)


def _words(loss: float) -> str:
    return "diverged" if math.isinf(loss) else "below 0.0001" if loss < 1e-4 else f"{loss:.2g}"


def _one_of(name: str, given: list, known: dict) -> None:
    if wrong := [it for it in given if it not in known]:
        raise DataError(f"{name} knows {', '.join(map(repr, known))}; received {wrong[0]!r}.")
