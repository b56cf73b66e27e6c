"""A kernel that slides over an image: the window, its products, their sum, and the whole output.

The mathematics stands here and, for the browser, in conv_explorer.js; tests compare the two.
"""

from __future__ import annotations

import traitlets as t

from bigmodel_nb.errors import DataError
from bigmodel_nb.figures import BLUE, RED

from .base import CourseWidget, front_end, style
from .picture import FAINT, GRID, INK, Picture

MOST, LARGEST_KERNEL = 20, 5  # rows or columns that the panels hold
START = ((-1, 0, 1), (-1, 0, 1), (-1, 0, 1))
EXAMPLE = (  # a 7 of sklearn's digits: made for a first look
    (0, 0, 7, 8, 13, 16, 15, 1), (0, 0, 7, 7, 4, 11, 12, 0), (0, 0, 0, 0, 8, 13, 1, 0), (0, 4, 8, 8, 15, 15, 6, 0),
    (0, 2, 11, 15, 15, 4, 0, 0), (0, 0, 0, 16, 5, 0, 0, 0), (0, 0, 9, 15, 1, 0, 0, 0), (0, 0, 13, 5, 0, 0, 0, 0),
)  # fmt: skip

Grid = list[list[float]]


def padded(image: Grid, rim: int) -> Grid:
    """The image with `rim` rows and columns of zeros on each side.

    >>> padded([[7.0]], 1)
    [[0.0, 0.0, 0.0], [0.0, 7.0, 0.0], [0.0, 0.0, 0.0]]
    """
    width = len(image[0]) + 2 * rim
    empty = [[0.0] * width for _ in range(rim)]
    return [*empty, *([0.0] * rim + [*row] + [0.0] * rim for row in image), *(row[:] for row in empty)]


def flipped(kernel: Grid) -> Grid:
    """The kernel turned upside down, as convolution in mathematics uses it.

    >>> flipped([[1, 2], [3, 4]])
    [[4, 3], [2, 1]]
    """
    return [row[::-1] for row in kernel[::-1]]


def products(image: Grid, kernel: Grid, row: int, col: int) -> Grid:
    """Kernel times the window whose top left corner is at (row, col), place by place."""
    return [[w * image[row + i][col + j] for j, w in enumerate(line)] for i, line in enumerate(kernel)]


def correlate(image: Grid, kernel: Grid) -> Grid:
    """The sum of the products for every place of the window.

    >>> correlate([[1, 2, 3]], [[1, -1]])
    [[-1, -1]]
    """
    rows, cols = len(image) - len(kernel) + 1, len(image[0]) - len(kernel[0]) + 1
    return [[sum(map(sum, products(image, kernel, m, n))) for n in range(cols)] for m in range(rows)]


class ConvExplorer(CourseWidget):
    """A window to move over an image; kernel to edit, products, sum and output.

    image: 2-D numbers, up to 20 x 20, at least as large as the kernel; kernel: 2-D numbers, up to
    5 x 5; row, col: where the window begins. Two toggles: a rim of zeros, and the flipped kernel.
    """

    _esm = front_end("conv_explorer")
    _css = style("conv_explorer")

    image = t.List().tag(sync=True)
    kernel = t.List().tag(sync=True)
    start = t.List().tag(sync=True)
    row = t.Int(0).tag(sync=True)
    col = t.Int(0).tag(sync=True)
    padding = t.Int(0).tag(sync=True)
    flip = t.Bool(False).tag(sync=True)

    def __init__(self, image=EXAMPLE, kernel=START, row: int = 0, col: int = 0) -> None:
        image, kernel = _grid("image", image, MOST), _grid("kernel", kernel, LARGEST_KERNEL)
        rows, cols = len(image) - len(kernel) + 1, len(image[0]) - len(kernel[0]) + 1
        if rows < 1 or cols < 1:
            raise DataError(f"the kernel, {_size(kernel)}, does not fit into the image, {_size(image)}.")
        if not (0 <= row < rows and 0 <= col < cols):
            raise DataError(
                f"the window can begin at rows 0 to {rows - 1} and columns 0 to {cols - 1}; got row {row}, column {col}."
            )
        super().__init__(image=image, kernel=kernel, start=kernel, row=row, col=col)
        self._first = (row, col)

    @property
    def output(self) -> Grid:
        """The output as it stands now."""
        kernel = flipped(self.kernel) if self.flip else self.kernel
        return correlate(padded(self.image, self.padding), kernel)

    def describe(self) -> str:
        out, (row, col) = correlate(self.image, self.start), self._first
        return (
            f"ConvExplorer: image {_size(self.image)}, kernel {_size(self.start)}, output {_size(out)}; "
            f"the window at row {row}, column {col} gives {_short(out[row][col])}"
        )

    def picture(self) -> Picture:
        """Image with the window, its products, and the output, as at first."""
        picture, (row, col) = Picture(680, 270, self.describe()), self._first
        part, out = products(self.image, self.start, row, col), correlate(self.image, self.start)
        side = min(216 / len(self.image), 216 / len(self.image[0]))
        _draw(picture, (12, 28), side, "image", self.image)
        _mark(picture, (12, 28), side, row, col, self.start)
        unit = min(38, 150 / len(self.start[0]))
        _draw(picture, (262, 28), unit, "window × kernel", part, signed=True)
        total = out[row][col]
        picture.text(262, 28 + len(part) * unit + 24, f"sum {_short(total)}", 15, _ink(total))
        side = min(216 / len(out), 216 / len(out[0]), side)
        _draw(picture, (446, 28), side, "output", out, signed=True)
        _mark(picture, (446, 28), side, row, col, [[0]])
        return picture


def _draw(picture: Picture, at: tuple[float, float], side: float, name: str, grid: Grid, signed: bool = False) -> None:
    (x, y), top = at, max((abs(v) for row in grid for v in row), default=0) or 1
    picture.text(x, y - 10, name, 12, FAINT)
    for r, row in enumerate(grid):
        for c, value in enumerate(row):
            strong, colour = abs(value) / top, (BLUE if value > 0 else RED) if signed else INK
            picture.rect(x + c * side, y + r * side, side, side, _mixed(colour, 0.85 * strong), GRID)
            if side >= 22:
                ink = "#ffffff" if strong > 0.72 else INK
                picture.text(x + (c + 0.5) * side, y + (r + 0.5) * side + 4, _short(value), min(11, side / 2.6), ink, "middle")


def _mark(picture: Picture, at: tuple[float, float], side: float, row: int, col: int, kernel: Grid) -> None:
    (x, y), (h, w) = at, (len(kernel), len(kernel[0]))
    corners = [(col, row), (col + w, row), (col + w, row + h), (col, row + h), (col, row), (col + w, row)]  # twice along the top, so that no corner is open
    picture.line([(x + c * side, y + r * side) for c, r in corners], "#E69F00", 3)


def _mixed(colour: str, share: float) -> str:
    """So much of a colour on white.

    >>> _mixed("#000000", 0), _mixed("#000000", 1)
    ('#ffffff', '#000000')
    """
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(255 + (part - 255) * share):02x}" for part in parts)


def _ink(value: float) -> str:
    return BLUE if value > 0 else RED if value < 0 else INK


def _short(value: float) -> str:
    """At most three digits where there are decimals.

    >>> _short(-0.0), _short(1 / 3), _short(-23.0)
    ('0', '0.333', '-23')
    """
    return f"{float(f'{value:.3g}') + 0.0:g}" if abs(value) < 100 else f"{value:.0f}"


def _size(grid: Grid) -> str:
    return f"{len(grid)} x {len(grid[0])}"


def _grid(name: str, values, most: int) -> Grid:
    """The values as lists of floats; DataError unless they are finite, 2-D and small enough."""
    import numpy as np

    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"{name} must be rows of numbers of one length.") from None
    if array.ndim != 2 or not array.size:
        raise DataError(f"{name} must have rows and columns; got the shape {array.shape}.")
    if max(array.shape) > most:
        raise DataError(f"{name} is {array.shape[0]} x {array.shape[1]}; the widget shows up to {most} x {most}.")
    if not np.isfinite(array).all():
        raise DataError(f"{name} holds NaN or infinity; the widget needs finite numbers.")
    return array.tolist()
