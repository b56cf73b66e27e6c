"""A pad to draw a digit on; the learner's own network, whose arrays travel along, answers at once.

The forward pass runs in the browser (draw_digit.js), and tests compare it with torch. The drawing is
made into an image as those of scikit-learn's digits were: a bitmap of 32 x 32, of which each block
of 4 x 4 is counted.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import traitlets as t

from bigmodel_nb.errors import DataError
from bigmodel_nb.figures import BLUE

from .base import CourseWidget, front_end, style
from .picture import FAINT, GRID, INK, Picture

CELLS, BLOCK = 8, 4
BITMAP = CELLS * BLOCK
RIM = 2.2  # free pixels around the middle of a stroke
INKED = 280  # pixels that a digit of the data set covers, about; the pen is as thick as that takes
PENS = (1.9, 2.8)  # smallest and largest radius of the pen on the bitmap
LEAST = 0.25  # a drawing of less than this share of the pad isn't blown up any further
WIDEST = 0.72  # width of a digit by its height, at most
MOST_PARAMETERS = 100_000  # 0.5 MB of the output

Strokes = Sequence[Sequence[Sequence[float]]]


def placed(strokes: Strokes) -> list[list[tuple[float, float]]]:
    """Strokes moved to the middle of the bitmap and scaled to its height, in bitmap pixels."""
    xs, ys = ([p[i] for stroke in strokes for p in stroke] for i in (0, 1))
    room = BITMAP - 2 * RIM
    wide, high = max(xs) - min(xs), max(ys) - min(ys)
    up = room / max(high, wide / 2, LEAST)
    along = min(up, WIDEST * room / max(wide, 1e-9))
    left, top = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    half = BITMAP / 2
    return [[(half + (x - left) * along, half + (y - top) * up) for x, y in stroke] for stroke in strokes]


def pen(strokes: Strokes) -> float:
    """Radius of the pen for strokes on the bitmap: a short digit, as a 1, gets a thick one."""
    import math

    length = sum(math.dist(a, b) for stroke in strokes for a, b in zip(stroke, stroke[1:]))
    return min(PENS[1], max(PENS[0], INKED / 2 / max(length, 1.0)))


def image_of(strokes: Strokes) -> list[list[int]]:
    """The drawing as an image of the data set: 8 x 8 counts from 0 to 16.

    strokes: each a list of points (x, y) between 0 and 1, y downwards.

    >>> image_of([])[0], image_of([[(0.5, 0.1), (0.5, 0.9)]])[3]
    ([0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 12, 12, 0, 0, 0])
    """
    import numpy as np

    bitmap = np.zeros((BITMAP, BITMAP), dtype=bool)
    y, x = np.mgrid[:BITMAP, :BITMAP] + 0.5
    drawing = placed(strokes) if any(map(len, strokes)) else []
    radius = pen(drawing)
    for stroke in drawing:
        for (x0, y0), (x1, y1) in zip(stroke, stroke[1:] or stroke):
            dx, dy = x1 - x0, y1 - y0
            along = ((x - x0) * dx + (y - y0) * dy) / ((dx * dx + dy * dy) or 1.0)
            along = np.minimum(1.0, np.maximum(0.0, along))
            bitmap |= (x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2 <= radius * radius
    return bitmap.reshape(CELLS, BLOCK, CELLS, BLOCK).sum(axis=(1, 3)).tolist()


def exported(net) -> tuple[list[dict], list]:
    """The layers of a network and their arrays, as the browser's forward pass needs them.

    DataError for a layer that it does not know.
    """
    layers, arrays, at = [], [], 0
    for module in _leaves(net):
        name = type(module).__name__
        if name in _NOTHING_IN_USE:
            continue
        layer = {"kind": name}
        if name in _WINDOWED:
            layer |= {key.removesuffix("_size"): _one(module, key) for key in ("kernel_size", "stride", "padding")}
        if name == "Linear" and not any(it["kind"] == "Flatten" for it in layers):
            raise DataError("DrawDigit needs an nn.Flatten before the first nn.Linear.")
        for key in ("weight", "bias") if name in ("Conv2d", "Linear") else ():
            array = getattr(module, key)
            if array is not None:
                array = array.detach().cpu().float().numpy()
                layer[key] = {"at": at, "shape": list(array.shape)}
                arrays.append(array.ravel())
                at += array.size
        layers.append(layer)
    return layers, arrays


_WINDOWED = ("Conv2d", "MaxPool2d", "AvgPool2d")
_NOTHING_IN_USE = ("Dropout", "Dropout2d", "Identity")
_KNOWN = (*_WINDOWED, "ReLU", "Flatten", "Linear", *_NOTHING_IN_USE)
_USUAL = {"groups": (1,), "padding_mode": ("zeros",), "dilation": (1, (1, 1)), "ceil_mode": (False,), "count_include_pad": (True,)}


def _leaves(net):
    """The layers of a Sequential, also of one within another, in order."""
    if type(net).__name__ == "Sequential":
        for child in net:
            yield from _leaves(child)
    elif type(net).__name__ in _KNOWN:
        yield net
    else:
        raise DataError(
            f"DrawDigit can't compute a {type(net).__name__}. Build the network as a torch.nn.Sequential of "
            f"{', '.join(_KNOWN)}."
        )


def _one(module, key: str) -> int:
    """A setting that is the same along height and width."""
    value = getattr(module, key)
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    odd = any(getattr(module, name, usual[0]) not in usual for name, usual in _USUAL.items())
    if len(set(pair)) != 1 or not isinstance(pair[0], int) or odd:
        raise DataError(
            f"DrawDigit can't compute {module}: it knows whole numbers that are the same along height and width, "
            "no dilation, no groups, zeros as padding."
        )
    return pair[0]


class DrawDigit(CourseWidget):
    """A pad for one digit, beside it what the network sees and the probabilities that it gives.

    net: a torch.nn.Sequential from images (B, 1, 8, 8) to logits (B, 10), with up to 100,000
    parameters. strokes: a drawing to begin with, lists of points (x, y) between 0 and 1, y downwards.
    largest: the value in the network's input that stands for the data set's 16.
    """

    _esm = front_end("draw_digit")
    _css = style("draw_digit")

    layers = t.List().tag(sync=True)
    weights = t.Unicode().tag(sync=True)
    strokes = t.List().tag(sync=True)
    largest = t.Float(1.0).tag(sync=True)

    def __init__(self, net, strokes: Strokes = (), largest: float = 1.0) -> None:
        import numpy as np

        layers, arrays = exported(net)
        numbers = np.concatenate([np.zeros(0, np.float32), *arrays]).astype("<f4")
        if numbers.size > MOST_PARAMETERS:
            raise DataError(f"the network has {numbers.size:,} parameters; DrawDigit takes up to {MOST_PARAMETERS:,}.")
        packed = base64.b64encode(numbers.tobytes()).decode("ascii")
        self._net, self._size = net, numbers.size
        drawing = _checked(strokes)
        super().__init__(layers=layers, weights=packed, strokes=drawing, largest=float(largest))
        self._first = drawing
        self._answered(drawing)

    @property
    def image(self):
        """What the network sees of the drawing as it stands now: int array (8, 8) from 0 to 16."""
        import numpy as np

        return np.array(image_of(self.strokes))

    @property
    def probabilities(self):
        """The network's answer to the drawing as it stands now: float array (10,)."""
        return self._answered(self.strokes)

    def _answered(self, strokes: Strokes):
        import torch

        x = torch.tensor(image_of(strokes), dtype=torch.float32)[None, None] * (self.largest / 16)
        was_training = self._net.training
        self._net.eval()
        try:
            with torch.no_grad():
                logits = self._net(x.to(next(self._net.parameters(), x).device))
        except RuntimeError as error:
            raise DataError(f"the network does not take an image (1, 1, 8, 8): {error}") from None
        finally:
            self._net.train(was_training)
        if tuple(logits.shape) != (1, 10):
            raise DataError(f"the network must give 10 logits for an image; its result has the shape {tuple(logits.shape)}.")
        return logits[0].softmax(dim=0).cpu().numpy()

    def describe(self) -> str:
        n = len(self._first)
        seen = f"a drawing of {n} stroke{'s' * (n != 1)}" if n else "an empty pad"
        reads = f"; it reads {self._reading()}" if n else ""
        return f"DrawDigit: {seen} and a network of {self._size:,} parameters{reads}"

    def _reading(self) -> str:
        """The likeliest digit, with words that don't depend on the machine's rounding."""
        p = self._answered(self._first)
        sure = "more than 90 %" if p.max() > 0.9 else "more than 50 %" if p.max() > 0.5 else "less than 50 %"
        return f"{int(p.argmax())} with {sure}"

    def picture(self) -> Picture:
        """The drawing, what the network sees, and its reading, as at first."""
        picture, side = Picture(680, 250, self.describe()), 204
        picture.text(12, 20, "drawing", 12, FAINT)
        picture.rect(12, 30, side, side, "#ffffff", GRID)
        for stroke in self._first:
            points = [(12 + x * side, 30 + y * side) for x, y in stroke]
            picture.line(points, INK, 13) if len(points) > 1 else picture.circle(points[0], 6.5, INK)
            for point in (points[0], points[-1]):
                picture.circle(point, 6.5, INK)
        picture.text(238, 20, "what the network sees", 12, FAINT)
        cell = side / CELLS
        for r, row in enumerate(image_of(self._first)):
            for c, value in enumerate(row):
                shade = f"{round(255 - 224 * value / 16):02x}"
                picture.rect(238 + c * cell, 30 + r * cell, cell, cell, f"#{shade * 3}", GRID)
        picture.text(470, 20, "what it reads", 12, FAINT)
        if self._first:
            digit, _, sure = self._reading().partition(" ")
            picture.text(470, 130, digit, 96, BLUE)
            picture.text(470, 158, sure, 14, INK)
        else:
            picture.text(470, 60, "draw a digit", 14, INK)
        return picture


def _checked(strokes: Strokes) -> list:
    """Strokes as lists of floats; DataError unless all points lie on the pad."""
    import math

    try:
        points = [[[float(x), float(y)] for x, y in stroke] for stroke in strokes]
    except (TypeError, ValueError):
        raise DataError("strokes must be lists of points (x, y), as in [[(0.5, 0.1), (0.5, 0.9)]].") from None
    if not all(math.isfinite(v) and 0 <= v <= 1 for stroke in points for point in stroke for v in point):
        raise DataError("points of strokes must lie between 0 and 1, from the top left to the bottom right.")
    return [stroke for stroke in points if stroke]
