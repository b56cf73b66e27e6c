"""Figures with a text twin: what a screen reader says and what a test compares.

nbval never compares PNG, so a blank plot would pass. `show` therefore stores what the axes hold,
rounded, beside the picture.
"""

from __future__ import annotations

import dataclasses
import io
import math
import sys
from collections.abc import Iterable, Iterator

from bigmodel_nb.errors import DataError

# Okabe and Ito (2008): told apart with every common form of colour blindness
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, GREY = "#CC79A7", "#56B4E9", "#666666"
Q, K, V = BLUE, RED, GREEN  # query, key and value, in every lesson
STYLE = {
    "axes.prop_cycle": f"cycler('color', {[BLUE, RED, GREEN, ORANGE, PURPLE, SKY, GREY]})",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "figure.figsize": (7.0, 4.0),
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "grid.color": "#dddddd",
    "image.cmap": "viridis",
    "legend.frameon": False,
    "lines.linewidth": 2.0,
}
DIGITS = 3  # significant digits, which AVX2 and AVX-512 agree on
SAMPLES = 7  # values quoted of a line
NAMED = 12  # bars quoted one by one
AREAS = {"PolyCollection": "area", "FillBetweenPolyCollection": "area", "LineCollection": "segments"}
MIN_ALT = 20  # characters
MAX_BYTES = 700_000  # of PNG; base64 adds a third, and an output is at most 1 MB


def show(fig, alt: str) -> None:
    """Display a matplotlib figure with its alt text and a description of what its axes hold.

    In Jupyter the output has two forms: the PNG, with `alt` in its metadata, and the text. Outside
    Jupyter the text is printed. The figure is closed. Errors: DataError where `alt` is missing or
    shorter than 20 characters, where an axes holds nothing that can be seen, or where all of it is
    NaN.

    >>> import matplotlib.figure
    >>> fig = matplotlib.figure.Figure()
    >>> _ = fig.subplots().plot([0, 1, 2], [0, 1, 4], label="square")
    >>> show(fig, "A parabola that rises from 0 to 4.")
    A parabola that rises from 0 to 4.
    axes
      line "square" (3 points): x 0 to 2, y 0 to 4, mean 1.67: 0, 1, 4
    """
    if not isinstance(alt, str) or len(alt.strip()) < MIN_ALT:
        raise DataError(
            f"alt must say in a sentence what the figure shows, in at least {MIN_ALT} characters; received {alt!r}."
        )
    if not hasattr(fig, "axes") or not hasattr(fig, "savefig"):
        raise DataError(f"show takes a matplotlib figure (fig, ax = plt.subplots()); received {type(fig).__name__}.")
    text = f"{alt.strip()}\n{describe(fig)}"
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        from IPython.display import display

        data = {"image/png": png(fig), "text/plain": text}
        display(data, metadata={"image/png": {"alt": alt.strip()}}, raw=True)
    else:
        print(text)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(fig)


def png(fig) -> bytes:
    """The figure as PNG, at a lower resolution where it would be too large to store."""
    dpi = fig.dpi
    while True:
        buffer = io.BytesIO()
        fig.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None})
        if buffer.tell() <= MAX_BYTES or dpi < 30:
            return buffer.getvalue()
        dpi *= 0.7


def describe(fig) -> str:
    """What the axes of a figure hold, one line an object; DataError for an axes that shows nothing."""
    fig.canvas.draw()
    axes = [ax for ax in fig.axes if ax.get_visible()]
    if not axes:
        raise DataError("the figure has no axes: draw into it before it is shown, as in ax.plot(x, y).")
    words = dict.fromkeys([fig.get_suptitle(), *(t.get_text() for t in fig.texts)])
    lines = [f'figure "{clean(text)}"' for text in words if text]
    for number, ax in enumerate(axes, 1):
        held = list(contents(ax))
        if not held and (ax.axison or len(axes) == 1):
            raise DataError(
                f"axes {number} of {len(axes)} are empty: no line, point, bar or image with finite values lies "
                "inside their limits. Draw into them, or switch them off with ax.axis('off')."
            )
        lines.append(heading(ax, f"axes {number}" if len(axes) > 1 else "axes"))
        lines += [f"  {line}" for line in [*held, *extras(ax)]]
    return "\n".join(lines)


def heading(ax, name: str) -> str:
    """Title, labels, scales, hand-set limits and named ticks of an axes."""
    parts = [f'"{clean(t)}"' for loc in ("left", "center", "right") if (t := ax.get_title(loc=loc))]
    if hasattr(ax, "_colorbar"):
        parts.append("colour bar")
    for axis_name, axis in axis_of(ax).items():
        about = [clean(axis.get_label_text())] if axis.get_label_text() else []
        if axis.get_scale() != "linear":
            about.append(axis.get_scale())
        if not getattr(ax, f"get_autoscale{axis_name}_on")():
            low, high = Scale.of(axis).text(axis.get_view_interval())
            about.append(f"from {low} to {high}")
        if about:
            parts.append(f"{axis_name}: {', '.join(about)}")
        if ticks := named_ticks(axis):
            parts.append(f"{axis_name} ticks: {ticks}")
    return f"{name}: {'; '.join(parts)}" if parts else name


def axis_of(ax) -> dict:
    """The x, y and, in three dimensions, z axis."""
    return {name: getattr(ax, f"{name}axis") for name in "xyz" if hasattr(ax, f"{name}axis")}


def named_ticks(axis) -> str:
    """Tick labels that are words, as of categories or tokens; empty for plain numbers."""
    labels = [clean(t.get_text()) for t in axis.get_ticklabels() if t.get_text()]
    fixed = type(axis.get_major_formatter()).__name__ in ("FixedFormatter", "StrCategoryFormatter", "FuncFormatter")
    return shortened(labels) if fixed and labels else ""


def contents(ax) -> Iterator[str]:
    """One line for each object of an axes that carries data and can be seen in it."""
    if hasattr(ax, "_colorbar"):
        yield PLAIN.span("values", (ax._colorbar.vmin, ax._colorbar.vmax))
        return
    in_bars = set()
    for container in ax.containers:
        if hasattr(container, "patches"):
            in_bars.update(map(id, container.patches))
            yield from of_bars(ax, container)
    for line in ax.lines:
        yield from of_line(ax, line)
    for collection in ax.collections:
        yield from of_collection(ax, collection)
    for image in ax.images:
        yield from of_image(image)
    yield from of_patches(ax, [p for p in ax.patches if id(p) not in in_bars and p.get_visible()])
    for table in ax.tables:
        yield from of_table(table)
    for inset in ax.child_axes:
        yield from contents(inset)


def extras(ax) -> Iterator[str]:
    """Guide lines, texts and legend: no data by themselves, but part of what is read."""
    for line in ax.lines:
        if line.get_visible() and not is_data(ax, line) and (place := guide(ax, line)):
            yield place
    if texts := [clean(t.get_text()) for t in ax.texts if t.get_visible() and t.get_text()]:
        yield f"text: {shortened(texts, 24)}"
    legend = ax.get_legend()
    if legend and (names := [clean(t.get_text()) for t in legend.get_texts()]):
        yield f"legend: {shortened(names, 24)}"


def points_of(ax, data) -> tuple[list, int]:
    """The finite points of coordinate arrays, none where the axes shows none, and how many aren't finite."""
    import numpy as np

    columns = [floats(d) for d in data]
    finite = np.isfinite(columns).all(axis=0)
    kept = [d[finite] for d in columns]
    seen = finite.any() and (len(kept) == 3 or in_view(ax, kept))
    return (kept if seen else []), int((~finite).sum())


def spans(ax, columns) -> str:
    """The range of each coordinate."""
    return ", ".join(Scale.of(axis).span(name, d) for (name, axis), d in zip(axis_of(ax).items(), columns))


def of_line(ax, line) -> Iterator[str]:
    """Label, number of points, ranges, mean and a few values of a line."""
    if not line.get_visible() or not is_data(ax, line):
        return
    kept, lost = points_of(ax, line.get_data_3d() if hasattr(line, "get_data_3d") else line.get_data(orig=False))
    if not kept:
        return
    up = kept[-1]
    scale = Scale.of(list(axis_of(ax).values())[len(kept) - 1])
    kind = "points" if line.get_linestyle() in ("None", "", " ") else "line"
    count = f"{len(up)} points" + (f", {lost} not finite" if lost else "")
    yield f"{kind}{named(line)} ({count}): {spans(ax, kept)}, mean {scale.mean(up)}: {scale.sample(up)}"


def is_data(ax, line) -> bool:
    """False for guide lines (axhline, axvline, axline), which live partly in axes coordinates."""
    return all(line.get_transform().contains_branch_seperately(ax.transData)) or hasattr(line, "get_data_3d")


def guide(ax, line) -> str:
    """Where a horizontal or vertical guide line stands."""
    along_x, along_y = line.get_transform().contains_branch_seperately(ax.transData)
    x, y = line.get_data(orig=False)
    if along_y:
        return f"guide{named(line)}: y = {Scale.of(ax.yaxis).text(y[:1])[0]}"
    if along_x:
        return f"guide{named(line)}: x = {Scale.of(ax.xaxis).text(x[:1])[0]}"
    return f"guide{named(line)}" if named(line) else ""


def in_view(ax, xy) -> bool:
    """True if any of the points, or of the lines between them, lies inside the axes' limits."""
    from matplotlib.path import Path

    (x, y), ((x0, x1), (y0, y1)) = xy, (sorted(ax.get_xlim()), sorted(ax.get_ylim()))
    if ((x0 <= x) & (x <= x1) & (y0 <= y) & (y <= y1)).any():
        return True
    from matplotlib.transforms import Bbox

    return len(x) > 1 and Path(list(zip(x, y))).intersects_bbox(Bbox([[x0, y0], [x1, y1]]), filled=False)


def of_bars(ax, container) -> Iterator[str]:
    """Heights of bars (widths, where they lie on their side)."""
    import numpy as np

    bars = [bar for bar in container.patches if bar.get_visible()]
    flat = getattr(container, "orientation", "vertical") == "horizontal"
    sizes = floats([bar.get_width() if flat else bar.get_height() for bar in bars])
    if not np.isfinite(sizes).any():
        return
    across, along = (ax.yaxis, ax.xaxis) if flat else (ax.xaxis, ax.yaxis)
    place = Scale.of(across).span("y" if flat else "x", [bar.get_y() if flat else bar.get_x() for bar in bars])
    scale = Scale.of(along)
    values = ", ".join(scale.text(sizes)) if len(sizes) <= NAMED else scale.sample(sizes)
    size = scale.span("length" if flat else "height", sizes)
    yield f"{len(bars)} bars{named(container)}: {place}, {size}, mean {scale.mean(sizes)}: {values}"


def of_collection(ax, collection) -> Iterator[str]:
    """Scatter, filled areas, meshes, arrows, contours and segments."""
    import numpy as np

    array = collection.get_array()
    if not collection.get_visible() or array is not None and not np.isfinite(floats(array)).any():
        return
    kind, name = type(collection).__name__, named(collection)
    colour = "" if array is None else f", {PLAIN.span('value', array)}, mean {PLAIN.mean(array)}"
    if kind in ("PathCollection", "Path3DCollection"):
        kept, lost = points_of(ax, getattr(collection, "_offsets3d", None) or collection.get_offsets().T)
        if kept:
            means = ", ".join(Scale.of(axis).mean(d) for axis, d in zip(axis_of(ax).values(), kept))
            yield f"scatter{name} ({len(kept[0])} points): {spans(ax, kept)}, mean ({means}){colour}"
    elif kind == "QuadMesh":
        yield f"mesh{name} {' x '.join(map(str, np.shape(array)))}{colour}"
    elif kind in ("QuadContourSet", "TriContourSet"):
        yield f"contours{name} at {', '.join(PLAIN.text(collection.levels))}"
    elif kind == "Quiver":
        yield f"{collection.N} arrows{name}: {PLAIN.span('u', collection.U)}, {PLAIN.span('v', collection.V)}"
    else:
        vertices = [p.vertices for p in collection.get_paths() if len(p.vertices)]
        corners = np.concatenate(vertices) if vertices else np.empty((0, 2))
        if np.isfinite(corners).all(axis=1).any():
            shape = AREAS.get(kind, kind)
            means = ", ".join(Scale.of(axis).mean(d) for axis, d in zip(axis_of(ax).values(), corners.T))
            yield f"{shape}{name} ({len(vertices)}): {spans(ax, corners.T)}, mean corner ({means}){colour}"


def of_image(image) -> Iterator[str]:
    """Size, range and mean of an image or matrix, and the means of its rows."""
    import numpy as np

    array = np.ma.asarray(image.get_array(), dtype=float)
    if image.get_visible() and np.isfinite(floats(array)).any():
        size = " x ".join(map(str, array.shape))
        rows = [PLAIN.mean(row) if np.isfinite(floats(row)).any() else "not finite" for row in array]
        means = ", ".join(rows[i] for i in picked(len(rows)))
        yield f"image {size}: {PLAIN.span('value', array)}, mean {PLAIN.mean(array)}, row means {means}"


def of_patches(ax, patches: list) -> Iterator[str]:
    """Shapes that aren't bars, counted by kind, with the box that holds them and their mean corner."""
    import numpy as np

    kinds: dict[str, list] = {}
    for patch in patches:
        ends = getattr(patch, "_posA_posB", None)  # of an arrow, whose path depends on the figure's size
        corners = np.array(ends) if ends else patch.get_patch_transform().transform(patch.get_path().vertices)
        if np.isfinite(corners).all():
            kinds.setdefault(type(patch).__name__, []).append(corners)
    for kind, shapes in kinds.items():
        corners = np.concatenate(shapes).T
        means = ", ".join(Scale.of(axis).mean(d) for axis, d in zip((ax.xaxis, ax.yaxis), corners))
        yield f"{len(shapes)} {kind}: {spans(ax, corners)}, mean corner ({means})"
    if wedges := [(p.theta2 - p.theta1) / 360 for p in patches if type(p).__name__ == "Wedge"]:
        yield f"shares: {', '.join(PLAIN.text(wedges))}"


def of_table(table) -> Iterator[str]:
    """The cells of a table, row by row."""
    cells = [clean(cell.get_text().get_text()) for _, cell in sorted(table.get_celld().items())]
    if any(cells):
        yield f"table: {shortened(cells, 40)}"


def named(artist) -> str:
    """An artist's label in quotes after a space, if it was given one."""
    label = str(artist.get_label() or "")
    return "" if not label or label.startswith("_") else f' "{clean(label)}"'


def clean(text: str) -> str:
    """A text on one line."""
    return " ".join(str(text).split())


def shortened(items: list[str], most: int = NAMED) -> str:
    """A list in quotes, cut after `most` entries."""
    rest = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(f"'{item}'" for item in items[:most]) + rest


def picked(n: int) -> list[int]:
    """Up to SAMPLES places, evenly spread over 0 .. n - 1, both ends among them.

    >>> picked(3), picked(100)
    ([0, 1, 2], [0, 16, 33, 50, 66, 82, 99])
    """
    if n <= SAMPLES:
        return list(range(n))
    return [round(i * (n - 1) / (SAMPLES - 1)) for i in range(SAMPLES)]


@dataclasses.dataclass(frozen=True)
class Scale:
    """How values along an axis are rounded, so that two machines write the same text.

    Linear: to 3 significant digits of the largest value of a group; what is smaller than `least`
    is noise and written 0, and there is no -0. Logarithmic: 3 digits of each value.
    """

    log: bool = False
    least: float = 1e-14

    @classmethod
    def of(cls, axis) -> Scale:
        """The scale of a matplotlib axis; a millionth of its largest value counts as noise."""
        log = axis.get_scale() == "log"
        return cls(log, 0.0 if log else max(1e-14, 1e-6 * max(map(abs, axis.get_view_interval()))))

    def text(self, values: Iterable[float], of: Iterable[float] | None = None) -> list[str]:
        """Each value as text, rounded by the largest of them or of the values `of`.

        >>> Scale().text([0.1234, 1234.5, -1e-9]), Scale().text([0.00012345, 1e-17])
        (['0', '1230', '0'], ['0.000123', '0'])
        >>> Scale(log=True).text([0.1234, 1234.5])
        ['0.123', '1230']
        """
        values = [float(v) for v in values]
        group = values if of is None else [float(v) for v in of]
        largest = max((abs(v) for v in group if math.isfinite(v)), default=0.0)
        return [self._rounded(v, abs(v) if self.log else largest) for v in values]

    def _rounded(self, value: float, largest: float) -> str:
        if not math.isfinite(value):
            return str(value)
        if largest == 0 or abs(value) < self.least:
            return "0"
        largest = float(f"{largest:.{DIGITS - 1}e}")  # 0.99999999 has the digits of 1
        places = DIGITS - 1 - math.floor(math.log10(largest))
        tie = math.copysign(1e-3 * 10.0**-places, value)  # 0.125 and 0.12499999 round alike
        text = f"{round(value + tie, places):.10g}"
        return "0" if text == "-0" else text

    def span(self, name: str, values) -> str:
        """The range of some values, ignoring those that aren't finite."""
        import numpy as np

        finite = floats(values)
        finite = finite[np.isfinite(finite)]
        if not finite.size:
            return f"{name} not finite"
        low, high = self.text([finite.min(), finite.max()])
        return f"{name} {low} to {high}" if low != high else f"{name} {low}"

    def mean(self, values) -> str:
        """The mean of the finite values, rounded like the values."""
        import numpy as np

        finite = floats(values)
        finite = finite[np.isfinite(finite)]
        return self.text([finite.mean()], finite)[0]

    def sample(self, values) -> str:
        """Up to SAMPLES values, evenly spread."""
        values = floats(values)
        return ", ".join(self.text(values[picked(len(values))], values))


PLAIN = Scale()


def floats(values):
    """Values as a flat float array, masked ones as NaN."""
    import numpy as np

    return np.ma.filled(np.ma.asarray(values, dtype=float), np.nan).ravel()
