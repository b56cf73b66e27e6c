"""The widget base: what a widget leaves behind where no widget can run."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
import traitlets as t

import bigmodel_nb as bn
from bigmodel_nb import figures
from bigmodel_nb.widgets.base import CourseWidget, front_end, style
from bigmodel_nb.widgets.picture import INK, Axes, Picture, number, ticks

MARKUP = "<script>alert('a & b')</script>"


class Dial(CourseWidget):
    """A small widget for these tests."""

    _esm = front_end("training_monitor")
    value = t.Float(2.0).tag(sync=True)

    def describe(self):
        return "Dial at 2.0"

    def picture(self):
        picture = Picture(120, 40, MARKUP)
        picture.text(4, 20, MARKUP)
        picture.line([(0, 0), (120, 40)], dashed=True)
        return picture


class Bare(CourseWidget):
    _esm = "export default { render() {} };"

    def describe(self):
        return "Bare"


def bundle(widget):
    return widget._repr_mimebundle_()[0]


def test_output_has_picture_and_text_and_no_html():
    data = bundle(Dial())
    assert set(data) == {
        "application/vnd.jupyter.widget-view+json",
        "image/svg+xml",
        "image/png",
        "text/plain",
    }
    assert data["text/plain"] == repr(Dial()) == "Dial at 2.0"
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")


def test_widget_without_picture_still_has_text():
    data = bundle(Bare())
    assert data["text/plain"] == "Bare"
    assert "image/png" not in data and "image/svg+xml" not in data


def test_text_is_escaped():
    root = ET.fromstring(Dial().static_svg())
    texts = [node.text for node in root.iter() if node.text]
    assert texts == [MARKUP, MARKUP]
    assert "<script" not in Dial().static_svg()


def test_svg_has_no_ids_dates_or_styles():
    svg = Dial().static_svg()
    assert not re.search(r"\b(id|style|class)=|20\d\d-", svg)
    assert all(len(n) <= 6 for n in re.findall(r"\d+\.\d+", svg))


PRINT_BYTES = """
import hashlib
from bigmodel_nb.widgets import TrainingMonitor
monitor = TrainingMonitor(10)
parts = [monitor.static_svg().encode(), monitor.static_png()]
monitor.add(1, 3.0)
monitor.finish()
parts += [monitor.static_svg().encode(), monitor.static_png(), repr(monitor).encode()]
print([hashlib.sha256(part).hexdigest() for part in parts])
"""


def test_same_bytes_in_two_processes():
    def run(seed):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.run(
            [sys.executable, "-c", PRINT_BYTES], env=env, capture_output=True, text=True, check=True
        ).stdout

    assert run("1") == run("2")


def test_png_leaves_pyplot_and_its_settings_alone():
    import matplotlib
    from matplotlib import pyplot

    with matplotlib.rc_context({"text.usetex": True}):
        before = dict(matplotlib.rcParams)
        assert Dial().static_png() == Dial().static_png()
        assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == []


def test_png_of_text_that_the_font_lacks_and_of_formula_signs():
    picture = Picture(200, 30, "three signs")
    picture.text(5, 20, "$x$ 中 🙂")
    assert picture.png().startswith(b"\x89PNG")


def test_front_end_is_one_small_module():
    esm = front_end("training_monitor")
    assert not re.search(r"^\s*(import|//)", esm, flags=re.M)
    assert esm.count("export default") == 1
    assert "http" not in esm.replace("http://www.w3.org/2000/svg", "")
    assert "innerHTML" not in esm and "eval(" not in esm
    assert len(esm) + len(style("training_monitor")) < 20_000


def test_colours_of_q_k_v_are_those_of_the_figures():
    css = style()
    for name in "qkv":
        assert f"--bn-{name}: {getattr(figures, name.upper()).lower()};" in css


def test_widgets_by_name():
    assert bn.widgets.TrainingMonitor.__name__ == "TrainingMonitor"
    assert "TrainingMonitor" in dir(bn.widgets)
    with pytest.raises(AttributeError, match="TrainingMonitor"):
        bn.widgets.TrainingMonitr


def test_naming_the_widgets_imports_none():
    code = "import sys, bigmodel_nb.widgets; print('ipywidgets' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "False\n"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 200, [0, 50, 100, 150, 200]),
        (2.4, 7.7, [3, 4, 5, 6, 7]),
        (0, 0.001, [0, 0.0002, 0.0004, 0.0006, 0.0008, 0.001]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_axes_put_values_where_they_belong():
    axes = Axes(Picture(100, 100, "axes"), (10, 20, 90, 80), (0, 4), (1, 3))
    assert (axes.x(0), axes.x(4), axes.y(1), axes.y(3)) == (10, 90, 80, 20)
    axes.draw("step", "loss")
    assert any(getattr(shape, "text", "") == "loss" for shape in axes.picture.shapes)


def test_numbers_of_coordinates():
    assert [number(x) for x in (3, 0.04, -0.04, 99.96)] == ["3", "0", "0", "100"]
    assert INK in Dial().static_svg()
