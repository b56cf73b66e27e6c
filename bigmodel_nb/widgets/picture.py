"""Pictures that need no browser: a few shapes, written as SVG and drawn as PNG.

The SVG is written by hand so that it is the same on every machine and with every version of
matplotlib: tests compare it. The PNG shows the same shapes.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

INK, FAINT, GRID, PAPER = "#1f2328", "#6b7280", "#d5d9de", "#ffffff"

Point = tuple[float, float]


def number(x: float) -> str:
    """Write a coordinate with at most one decimal.

    >>> number(12.04), number(-0.01)
    ('12', '0')
    """
    return f"{round(x, 1) + 0.0:g}"


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values between `low` and `high`, about `count` of them, for an axis.

    >>> ticks(0, 9.3)
    [0.0, 2.0, 4.0, 6.0, 8.0]
    """
    rough = (high - low) / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.75)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def _tag(name: str, inside: str | None = None, **attributes: object) -> str:
    pairs = ((k.rstrip("_").replace("_", "-"), v) for k, v in attributes.items() if v is not None)
    written = "".join(
        f' {k}="{escape(number(v) if isinstance(v, (int, float)) else str(v))}"' for k, v in pairs
    )
    return f"<{name}{written}/>" if inside is None else f"<{name}{written}>{inside}</{name}>"


@dataclass(frozen=True)
class Path:
    """A line through points, or with `fill` the area inside them."""

    points: tuple[Point, ...]
    colour: str | None
    width: float
    fill: str | None
    dashed: bool

    def svg(self) -> str:
        return _tag(
            "polyline" if self.fill is None else "polygon",
            points=" ".join(f"{number(x)},{number(y)}" for x, y in self.points),
            fill=self.fill or "none",
            stroke=self.colour,
            stroke_width=self.width if self.colour else None,
            stroke_dasharray="4 3" if self.dashed else None,
        )

    def draw(self, axes, unit: float) -> None:
        from matplotlib.patches import Polygon

        axes.add_patch(
            Polygon(
                self.points,
                closed=self.fill is not None,
                facecolor=self.fill or "none",
                edgecolor=self.colour or "none",
                linewidth=self.width * unit,
                linestyle=(0, (4, 3)) if self.dashed else "-",
            )
        )


@dataclass(frozen=True)
class Circle:
    """A filled disc."""

    centre: Point
    radius: float
    fill: str

    def svg(self) -> str:
        return _tag("circle", cx=self.centre[0], cy=self.centre[1], r=self.radius, fill=self.fill)

    def draw(self, axes, unit: float) -> None:
        from matplotlib.patches import Circle as Disc

        axes.add_patch(Disc(self.centre, self.radius, facecolor=self.fill, edgecolor="none"))


@dataclass(frozen=True)
class Text:
    """One line of text; `anchor` is start, middle or end."""

    at: Point
    text: str
    size: float
    colour: str
    anchor: str

    def svg(self) -> str:
        x, y = self.at
        return _tag(
            "text",
            escape(self.text),
            x=x,
            y=y,
            fill=self.colour,
            font_size=self.size,
            text_anchor=None if self.anchor == "start" else self.anchor,
        )

    def draw(self, axes, unit: float) -> None:
        axes.text(
            *self.at,
            self.text,
            size=self.size * unit,
            color=self.colour,
            ha={"start": "left", "middle": "center", "end": "right"}[self.anchor],
            va="baseline",
            family="DejaVu Sans",
            parse_math=False,
            usetex=False,
        )


@dataclass(frozen=True)
class Cells:
    """Rows of small squares from the corner `at`; levels (rows, columns) choose a colour each, 0 has none."""

    at: Point
    size: float
    levels: np.ndarray
    colours: tuple[str, ...]

    def svg(self) -> str:
        x, y = self.at
        paths = "".join(self._path(level, colour) for level, colour in enumerate(self.colours, 1))
        move = f"translate({x:g} {y + self.size / 2:g}) scale({self.size:g})"
        return _tag("g", paths, transform=move, shape_rendering="crispEdges")

    def _path(self, level: int, colour: str) -> str:
        """One stroke for each run of squares of a level."""
        import numpy as np

        edges = np.diff(np.pad(self.levels == level, ((0, 0), (1, 1))).astype(np.int8))
        rows, starts = np.nonzero(edges == 1)
        ends = np.nonzero(edges == -1)[1]
        runs = "".join(f"M{x} {y}h{end - x}" for y, x, end in zip(rows, starts, ends))
        return _tag("path", d=runs, stroke=colour) if runs else ""

    def draw(self, axes, unit: float) -> None:
        import numpy as np
        from matplotlib.colors import to_rgba

        shades = np.array([(1, 1, 1, 0), *map(to_rgba, self.colours)])
        (left, top), (rows, columns) = self.at, self.levels.shape
        extent = (left, left + columns * self.size, top + rows * self.size, top)
        limits = {"xlim": axes.get_xlim(), "ylim": axes.get_ylim()}
        axes.imshow(shades[self.levels], interpolation="nearest", aspect="auto", zorder=1, extent=extent)
        axes.set(**limits)


class Picture:
    """A drawing of `width` x `height` pixels with the origin at the top left.

    `title` says in one sentence what it shows; screen readers read it.

    >>> picture = Picture(40, 20, "a <dot>")
    >>> picture.circle((10, 10), 3, INK)
    >>> "a &lt;dot&gt;" in picture.svg(), picture.png()[:4]
    (True, b'\\x89PNG')
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self.shapes: list[Path | Circle | Text | Cells] = []
        self.polygon([(0, 0), (width, 0), (width, height), (0, height)], PAPER)

    def line(self, points: Sequence[Point], colour=INK, width=1.5, dashed=False) -> None:
        """Draw a line through points."""
        self.shapes.append(Path(tuple(points), colour, width, None, dashed))

    def polygon(self, points: Sequence[Point], fill: str, colour: str | None = None) -> None:
        """Fill the area inside points, with an outline where `colour` is given."""
        self.shapes.append(Path(tuple(points), colour, 1, fill, False))

    def rect(self, x: float, y: float, width: float, height: float, fill: str, colour=None) -> None:
        """Fill a rectangle whose top left corner is (x, y)."""
        right, bottom = x + width, y + height
        self.polygon([(x, y), (right, y), (right, bottom), (x, bottom)], fill, colour)

    def circle(self, centre: Point, radius: float, fill: str) -> None:
        """Fill a disc."""
        self.shapes.append(Circle(centre, radius, fill))

    def text(self, x: float, y: float, text: str, size=12, colour=INK, anchor="start") -> None:
        """Write one line of text with its baseline at y."""
        self.shapes.append(Text((x, y), text, size, colour, anchor))

    def cells(self, at: Point, size: float, levels: np.ndarray, colours: Sequence[str]) -> None:
        """Fill rows of squares, `size` wide: level 1 in the first colour, 2 in the second; 0 is left out."""
        self.shapes.append(Cells(at, size, levels, tuple(colours)))

    def svg(self) -> str:
        """The picture as SVG text, the same on every machine."""
        return _tag(
            "svg",
            _tag("title", escape(self.title)) + "".join(shape.svg() for shape in self.shapes),
            xmlns="http://www.w3.org/2000/svg",
            width=self.width,
            height=self.height,
            viewBox=f"0 0 {self.width} {self.height}",
            role="img",
            font_family="DejaVu Sans, Verdana, sans-serif",
        )

    def png(self, scale: float = 1.5) -> bytes:
        """The picture as PNG, `scale` image dots a pixel; pyplot's state is not touched."""
        import numpy as np
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from PIL import Image

        figure = Figure(figsize=(self.width / 100, self.height / 100), dpi=100 * scale)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, self.width), ylim=(self.height, 0))
        axes.set_axis_off()
        for shape in self.shapes:
            shape.draw(axes, unit=72 / 100)
        canvas = FigureCanvasAgg(figure)
        with warnings.catch_warnings():  # a character that the font lacks is drawn as a box
            warnings.simplefilter("ignore")
            canvas.draw()
        image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
        out = io.BytesIO()
        image.quantize(128).save(out, "png", optimize=True)  # a quarter of the size in full colour
        return out.getvalue()


class Axes:
    """Two axes inside `box` = (left, top, right, bottom) of a picture, linear in both.

    `x(value)` and `y(value)` give the pixel of a value.
    """

    def __init__(self, picture: Picture, box, x_range: Point, y_range: Point) -> None:
        self.picture, self.box, self.x_range, self.y_range = picture, box, x_range, y_range

    def x(self, value: float) -> float:
        """Pixel of a value on the horizontal axis."""
        (low, high), (left, _, right, _) = self.x_range, self.box
        return left + (value - low) / (high - low) * (right - left)

    def y(self, value: float) -> float:
        """Pixel of a value on the vertical axis."""
        (low, high), (_, top, _, bottom) = self.y_range, self.box
        return bottom - (value - low) / (high - low) * (bottom - top)

    def draw(self, x_label: str, y_label: str) -> None:
        """Draw grid lines, ticks and labels."""
        left, top, right, bottom = self.box
        for value in ticks(*self.y_range):
            self.picture.line([(left, self.y(value)), (right, self.y(value))], GRID, 1)
            self.picture.text(left - 6, self.y(value) + 4, f"{value:g}", 11, FAINT, "end")
        for value in ticks(*self.x_range):
            self.picture.text(self.x(value), bottom + 16, f"{value:g}", 11, FAINT, "middle")
        self.picture.text((left + right) / 2, bottom + 32, x_label, 11, FAINT, "middle")
        self.picture.text(left, top - 8, y_label, 11, FAINT)
