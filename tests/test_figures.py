"""`bn.show`: what it stores, what it refuses, and that a changed picture changes the text."""

import base64
import re
from pathlib import Path

import matplotlib
import nbformat
import numpy as np
import pytest

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402

from bigmodel_nb import figures  # noqa: E402
from bigmodel_nb.errors import DataError  # noqa: E402

ALT = "A curve that falls from 1 towards 0."


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close("all")


def text_of(ax) -> str:
    return figures.describe(ax.figure)


EMPTY = {
    "nothing drawn": lambda ax: None,
    "empty line": lambda ax: ax.plot([], []),
    "only NaN": lambda ax: ax.plot([0, 1], [np.nan, np.nan]),
    "only a guide line": lambda ax: ax.axhline(0.5),
    "only a text": lambda ax: ax.text(0.5, 0.5, "x"),
    "outside the limits": lambda ax: (ax.plot([0, 1], [0, 1]), ax.set_xlim(5, 6)),
    "invisible": lambda ax: ax.plot([0, 1], visible=False),
    "NaN image": lambda ax: ax.imshow(np.full((2, 2), np.nan)),
    "NaN bars": lambda ax: ax.bar([0, 1], [np.nan, np.nan]),
    "empty scatter": lambda ax: ax.scatter([], []),
    "switched off": lambda ax: ax.axis("off"),
}


@pytest.mark.parametrize("draw", EMPTY.values(), ids=EMPTY)
def test_a_plot_that_shows_nothing_is_refused(ax, draw):
    draw(ax)
    with pytest.raises(DataError, match="empty"):
        figures.show(ax.figure, ALT)


def test_one_empty_panel_among_drawn_ones_is_refused_unless_switched_off():
    figure, (left, right) = plt.subplots(1, 2)
    left.plot([0, 1])
    with pytest.raises(DataError, match="axes 2 of 2"):
        figures.describe(figure)
    right.axis("off")
    assert "axes 1" in figures.describe(figure)
    with pytest.raises(DataError, match="no axes"):
        figures.describe(plt.figure())


CHANGES = {
    "line": lambda ax, c: ax.plot([0, 1, 2], [0, 1, 4 + c]),
    "label": lambda ax, c: ax.plot([0, 1], label=f"run {c}"),
    "long line, one point": lambda ax, c: ax.plot(np.arange(50), np.where(np.arange(50) == 3, 1 + 20 * c, 1)),
    "bars": lambda ax, c: ax.bar(["a", "b"], [1, 2 + c]),
    "bar names": lambda ax, c: ax.bar(["a", f"b{c}"], [1, 2]),
    "histogram": lambda ax, c: ax.hist([1, 2, 2, 3, 3 + c]),
    "scatter": lambda ax, c: ax.scatter([0, 1, 2], [0, 1, 2 + c]),
    "scatter colours": lambda ax, c: ax.scatter([0, 1], [0, 1], c=[0, 1 + c]),
    "image": lambda ax, c: ax.imshow([[0, 1], [2, 3 + c]]),
    "mesh": lambda ax, c: ax.pcolormesh(np.array([[0, 1], [2, 3 + c]])),
    "area": lambda ax, c: ax.fill_between([0, 1], [0, 0], [1, 1 + c]),
    "pie": lambda ax, c: ax.pie([1, 2 + c]),
    "arrows": lambda ax, c: ax.quiver([0, 1], [0, 1], [1, 1], [1, 2 + c]),
    "contours": lambda ax, c: ax.contour(np.arange(9).reshape(3, 3), levels=[2, 4 + c]),
    "error bars": lambda ax, c: ax.errorbar([0, 1], [0, 1], yerr=0.1 + c),
    "circle": lambda ax, c: (ax.plot([0, 1]), ax.add_patch(plt.Circle((0, 0), 1 + c))),
    "guide line": lambda ax, c: (ax.plot([0, 1]), ax.axhline(0.2 + 0.1 * c)),
    "title": lambda ax, c: (ax.plot([0, 1]), ax.set_title(f"run {c}")),
    "axis label": lambda ax, c: (ax.plot([0, 1]), ax.set_xlabel(f"step {c}")),
    "scale": lambda ax, c: (ax.plot([1, 10]), ax.set_yscale("log" if c else "linear")),
    "limits": lambda ax, c: (ax.plot([0, 1]), ax.set_ylim(0, 2 + c)),
    "text": lambda ax, c: (ax.plot([0, 1]), ax.annotate(f"here {c}", (0, 0))),
    "legend": lambda ax, c: (ax.plot([0, 1]), ax.legend([f"run {c}"])),
    "small values on a log axis": lambda ax, c: ax.semilogy([0, 1], [1e-9 * (1 + c), 10]),
}


@pytest.mark.parametrize("draw", CHANGES.values(), ids=CHANGES)
def test_a_changed_picture_changes_the_text_and_the_same_one_does_not(draw):
    texts = []
    for change in (0, 0, 1):
        figure, axes = plt.subplots()
        draw(axes, change)
        texts.append(figures.describe(figure))
        plt.close(figure)
    assert texts[0] == texts[1] != texts[2]


def test_noise_below_three_digits_leaves_the_text_alone():
    x = np.linspace(0, 6, 50)
    rng = np.random.default_rng(0)
    texts = set()
    for size in (0, 1e-9, -1e-9):
        figure, axes = plt.subplots()
        axes.plot(x, np.cos(x) + size * rng.random(50))
        axes.plot(x, 0 * x + size)
        axes.bar([0, 1, 2], np.array([0.125, 1, -0.375]) * (1 + 100 * size))  # ties and a power of ten
        texts.add(figures.describe(figure))
        plt.close(figure)
    assert len(texts) == 1
    assert not re.search(r"-0(?![.\d])", texts.pop())


def test_lines_say_how_many_points_and_where(ax):
    ax.plot([0, 1, 2, 3], [1, np.nan, 3, 5], label="held out")
    assert 'line "held out" (3 points, 1 not finite): x 0 to 3, y 1 to 5, mean 3: 1, 3, 5' in text_of(ax)


@pytest.mark.parametrize("alt", ["", "   ", "short", None, 3])
def test_the_alt_text_is_required(ax, alt):
    ax.plot([0, 1])
    with pytest.raises(DataError, match="alt must say"):
        figures.show(ax.figure, alt)


def test_something_else_than_a_figure_is_refused():
    with pytest.raises(DataError, match="matplotlib figure.*received list"):
        figures.show([1, 2], ALT)


def test_outside_jupyter_the_text_is_printed_and_the_figure_closed(ax, capsys):
    ax.plot([1, 0])
    figures.show(ax.figure, ALT)
    assert capsys.readouterr().out.startswith(f"{ALT}\naxes\n  line (2 points)")
    assert not plt.get_fignums()


def test_a_large_figure_stays_below_the_limit_of_an_output():
    figure, axes = plt.subplots(figsize=(8, 8), dpi=150)
    axes.imshow(np.random.default_rng(0).random((900, 900)))
    assert len(figures.png(figure)) <= figures.MAX_BYTES
    plt.close(figure)


def test_query_key_and_value_have_three_colours():
    assert len({figures.Q, figures.K, figures.V}) == 3


def test_in_a_notebook_the_picture_carries_its_alt_text_into_html(tmp_path, monkeypatch):
    nbclient, nbconvert = pytest.importorskip("nbclient"), pytest.importorskip("nbconvert")
    monkeypatch.setenv("PYTHONPATH", str(Path(figures.__file__).parents[1]))
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_code_cell("import bigmodel_nb as bn\nimport matplotlib.pyplot as plt"),
        nbformat.v4.new_code_cell(f'fig, ax = plt.subplots()\nax.plot([1, 0])\nbn.show(fig, "{ALT} <&>")'),
    ]
    nbclient.NotebookClient(notebook, timeout=120).execute(cwd=str(tmp_path))
    (output,) = notebook.cells[1].outputs
    assert set(output.data) == {"image/png", "text/plain"}
    assert base64.b64decode(output.data["image/png"]).startswith(b"\x89PNG")
    assert output.data["text/plain"].startswith(f"{ALT} <&>\naxes\n  line (2 points)")
    assert output.metadata["image/png"]["alt"] == f"{ALT} <&>"
    html, _ = nbconvert.HTMLExporter(template_name="classic").from_notebook_node(notebook)
    assert f'alt="{ALT} &lt;&amp;&gt;"' in html
