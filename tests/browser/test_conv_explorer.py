"""The convolution explorer in a browser: its mathematics, mouse, keyboard and screen readers."""

from __future__ import annotations

import numpy as np
import pytest

from bigmodel_nb.widgets import ConvExplorer
from bigmodel_nb.widgets.conv_explorer import _short, correlate, flipped, padded, products


@pytest.fixture
def widget():
    return ConvExplorer(row=2, col=3)


def window(shown):
    return shown.page.evaluate("[model.get('row'), model.get('col')]")


def pictures(shown):
    """The image and the output, which take the focus."""
    return shown.page.locator("svg.pick")


def test_mathematics_equals_python(blank_page, widget):
    shown, rng = blank_page(widget), np.random.default_rng(0)
    for _ in range(20):
        (H, W), (kh, kw), rim = rng.integers(3, 9, 2), rng.integers(1, 4, 2), int(rng.integers(0, 3))
        image, kernel = rng.normal(size=(H, W)).tolist(), rng.normal(size=(kh, kw)).tolist()
        assert shown.call("padded", image, rim) == padded(image, rim)
        assert shown.call("flipped", kernel) == flipped(kernel)
        assert np.allclose(shown.call("correlate", image, kernel), correlate(image, kernel), atol=1e-12)
        assert np.allclose(shown.call("products", image, kernel, 1, 0), products(image, kernel, 1, 0), atol=1e-12)
    for value in (0.0, -0.0, 1 / 3, -23.0, 99.96, 123.4, 1e-3, -41.26):
        assert float(shown.call("short", value)) == float(_short(value))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_shows_the_window(blank_page, widget, dark):
    shown = blank_page(widget, dark=dark)
    text = shown.page.inner_text("body")
    assert "8 × 8" in text and "6 × 6" in text
    value = correlate(widget.image, widget.kernel)[2][3]
    assert f"sum {_short(value)}" in text
    shown.has_theme(dark)


def test_names_for_screen_readers(blank_page, widget):
    tree = blank_page(widget).accessible()
    for part in [
        'region "Convolution explorer"', "image: drag the window", 'group "kernel"', "kernel row 0, column 2", 'button "Next"',
        'button "Flip the kernel"', 'combobox "ready-made kernels"',
    ]:  # fmt: skip
        assert part in tree, part


def test_keyboard_moves_the_window(blank_page, widget):
    shown = blank_page(widget)
    for which in (0, 1):
        shown.push(row=2, col=3)
        pictures(shown).nth(which).focus()
        for key, place in [("ArrowRight", [2, 4]), ("ArrowDown", [3, 4]), ("ArrowLeft", [3, 3]), ("ArrowUp", [2, 3]),
                           ("End", [5, 5]), ("ArrowDown", [5, 5]), ("Home", [0, 0]), ("ArrowUp", [0, 0])]:  # fmt: skip
            shown.page.keyboard.press(key)
            assert window(shown) == place
    value = correlate(widget.image, widget.kernel)[0][0]
    assert shown.page.locator("[aria-live]").inner_text() == f"row 0, column 0: sum {_short(value)}"
    count = len(shown.saved())
    shown.page.keyboard.press("a")
    assert len(shown.saved()) == count


def test_mouse_moves_the_window(blank_page, widget):
    shown = blank_page(widget)
    box = pictures(shown).nth(0).bounding_box()
    at = lambda r, c: (box["x"] + (c + 0.5) * box["width"] / 8, box["y"] + (r + 0.5) * box["height"] / 8)  # noqa: E731
    shown.page.mouse.move(*at(1, 1))
    shown.page.mouse.down()
    assert window(shown) == [0, 0]
    shown.page.mouse.move(*at(4, 6))
    assert window(shown) == [3, 5]
    shown.page.mouse.up()
    shown.page.mouse.move(*at(1, 1))
    assert window(shown) == [3, 5]
    out = pictures(shown).nth(1).bounding_box()
    shown.page.mouse.click(out["x"] + 2.5 * out["width"] / 6, out["y"] + 1.5 * out["height"] / 6)
    assert window(shown) == [1, 2]


def test_kernel_is_editable(blank_page, widget):
    shown = blank_page(widget)
    field = shown.page.get_by_label("kernel row 1, column 0")
    field.fill("-2.5")
    field.press("Tab")
    kernel = shown.page.evaluate("model.get('kernel')")
    assert kernel == [[-1, 0, 1], [-2.5, 0, 1], [-1, 0, 1]] and shown.saved()[-1]["kernel"] == kernel
    assert f"sum {_short(correlate(widget.image, kernel)[2][3])}" in shown.page.inner_text("body")
    field.fill("")
    field.press("Tab")
    assert field.input_value() == "-2.5"
    shown.page.get_by_label("ready-made kernels").select_option("sharpen")
    assert shown.page.evaluate("model.get('kernel')")[1] == [-1, 5, -1]
    shown.page.get_by_role("button", name="Start again").click()
    assert shown.page.evaluate("model.get('kernel')") == widget.start and window(shown) == [0, 0]


def test_buttons(blank_page, widget):
    shown = blank_page(widget)
    press = lambda name: shown.page.get_by_role("button", name=name).click()  # noqa: E731
    press("Next")
    assert window(shown) == [2, 4]
    shown.push(row=2, col=5)
    press("Next")
    assert window(shown) == [3, 0]
    press("Back")
    assert window(shown) == [2, 5]
    before = shown.page.locator("output.sum").inner_text()
    press("Flip the kernel")
    assert shown.page.locator("output.sum").inner_text() != before
    press("Flip the kernel")
    press("Rim of zeros")
    assert window(shown) == [3, 6] and "10 × 10" in shown.page.inner_text("body")
    assert shown.page.locator("output.sum").inner_text() == before  # the same window
    press("Rim of zeros")
    assert window(shown) == [2, 5]


def test_fits_a_narrow_panel(blank_page):
    shown = blank_page(ConvExplorer(np.eye(20), np.ones((5, 5))))
    shown.fits(360)


def test_clean_up_leaves_no_listener(blank_page, widget):
    blank_page(widget).closes()


def test_redraw_is_quick(blank_page):
    shown = blank_page(ConvExplorer(np.eye(20), np.ones((5, 5))))
    assert shown.fastest('model.set("row", i % 9)') < 50  # milliseconds


def test_lives_in_jupyterlab(lab):
    notebook = lab(["import bigmodel_nb as bn\nw = bn.widgets.ConvExplorer(row=2, col=3)\nw", "print(w.row)"])
    notebook.start()
    page = notebook.page
    notebook.fallback()
    image = page.locator("svg.pick").first
    image.wait_for()
    image.focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.querySelector('.bn [aria-live]').textContent.startsWith('row 3, column 3')")
    notebook.keeps_keys()
    notebook.dark()
