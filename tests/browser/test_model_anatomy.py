"""The anatomy widget in a browser: alone, and in JupyterLab."""

from __future__ import annotations

import random

import pytest
from transformers import GPT2Config

from bigmodel_nb.widgets import ModelAnatomy
from bigmodel_nb.widgets.model_anatomy import short

TINY = {"vocab_size": 50, "n_positions": 16, "d_model": 12, "n_layer": 3, "n_heads": 4}


@pytest.fixture
def widget():
    return ModelAnatomy(GPT2Config(), B=1, T=64)


def names(shown):
    return shown.page.locator(".line:not(.head) .name").all_inner_texts()


def focused(shown):
    return shown.page.evaluate("document.activeElement.dataset.path")


def line(shown, path):
    return shown.page.locator(f'[data-path="{path}"]')


def test_mathematics_is_that_of_python(blank_page):
    shown, rng = blank_page(ModelAnatomy(TINY)), random.Random(0)
    for _ in range(6):
        heads = rng.randint(1, 4)
        widget = ModelAnatomy(TINY | {"n_heads": heads, "d_model": heads * rng.randint(1, 30), "n_layer": rng.randint(1, 9)})
        widget.B, widget.T = rng.randint(1, 20), rng.randint(1, 16)
        for row in widget.rows:
            ours, theirs = widget.part(row[0]), shown.call("known", row, widget.B, widget.T)
            assert theirs == {**ours, "shape": list(ours["shape"])}
    for n in (0, 7, 999, 999.9, 1000, 12_345, 999_999, 1.746e11, 7.35e14):
        assert shown.call("short", n) == short(n)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_shows_the_figures(blank_page, widget, dark):
    shown = blank_page(widget, dark=dark)
    text = shown.page.inner_text("body")
    for part in ["124 M", "(1, 64, 768)", "12 equal blocks", "85.1 M", "layer norm 1"]:
        assert part in text
    shown.has_theme(dark)


def test_unfolds_by_mouse(blank_page, widget):
    shown = blank_page(widget)
    assert "scores" not in names(shown) and line(shown, "blocks/attn").get_attribute("aria-expanded") == "false"
    line(shown, "blocks/attn").click()
    assert line(shown, "blocks/attn").get_attribute("aria-expanded") == "true"
    assert "(1, 12, 64, 64)" in line(shown, "blocks/attn/scores").inner_text()
    line(shown, "blocks/attn/scores").click()
    assert "q @ k.mT / sqrt(d_head)" in shown.page.inner_text(".news")
    line(shown, "blocks/attn").click()
    assert line(shown, "blocks/attn/scores").count() == 0
    shown.page.get_by_role("button", name="Unfold all").click()
    assert shown.page.locator(".line:not(.head)").count() == len(widget.rows) - 1
    shown.page.get_by_role("button", name="Fold all", exact=True).click()
    assert shown.page.locator(".line:not(.head)").count() == 4
    assert shown.saved()[-1] == {"unfolded": []}


def test_unfolds_by_keyboard(blank_page, widget):
    shown = blank_page(widget)
    line(shown, "embed").focus()
    press = shown.page.keyboard.press
    for key, place in [
        ("ArrowDown", "blocks"), ("ArrowRight", "blocks/norm_1"), ("ArrowDown", "blocks/attn"),
        ("ArrowRight", "blocks/attn"), ("ArrowRight", "blocks/attn/qkv"), ("ArrowLeft", "blocks/attn"),
        ("ArrowLeft", "blocks/attn"), ("Enter", "blocks/attn"), ("End", "head"), ("ArrowDown", "head"),
        ("Home", "embed"), ("ArrowUp", "embed"), (" ", "embed"), ("ArrowDown", "embed/token"),
    ]:  # fmt: skip
        press(key)
        assert focused(shown) == place, key
    assert shown.page.evaluate("model.get('unfolded')") == ["blocks", "blocks/attn", "embed"]
    before = len(shown.saved())
    press("a")
    assert len(shown.saved()) == before
    assert shown.page.locator('[tabindex="0"].line').count() == 1


def test_folding_from_outside_keeps_a_row_in_focus(blank_page, widget):
    shown = blank_page(widget)
    line(shown, "blocks/mlp").focus()
    shown.push(unfolded=[])
    assert focused(shown) == "blocks"


def test_b_and_t(blank_page, widget):
    shown = blank_page(widget)
    tokens = shown.page.get_by_role("slider", name="T, tokens")
    tokens.focus()
    shown.page.keyboard.press("End")
    assert shown.saved()[-1] == {"T": 1024}
    texts = shown.page.get_by_role("slider", name="B, texts")
    texts.focus()
    shown.page.keyboard.press("ArrowRight")
    assert "(2, 1024, 768)" in line(shown, "embed").inner_text()
    assert "583 G" in shown.page.inner_text(".head")


def test_names_for_screen_readers(blank_page, widget):
    shown = blank_page(widget)
    tree = shown.accessible()
    for part in ["Parts of a GPT-2", 'treegrid "Parts of the model"', 'slider "B, texts"', 'button "Unfold all"', 'rowheader "attention"']:
        assert part in tree
    line(shown, "blocks/attn").focus()
    spoken = shown.page.locator("[aria-live]").inner_text()
    assert spoken == "attention: shape 1 by 64 by 768, 2.36 M parameters, 315 M operations, 1.38 MB of outputs"
    assert line(shown, "blocks/attn").get_attribute("aria-level") == "2"


def test_fits_a_narrow_panel(blank_page, widget):
    shown = blank_page(widget)
    shown.page.get_by_role("button", name="Unfold all").click()
    shown.fits(360)


def test_redraws_quickly_and_cleans_up(blank_page, widget):
    shown = blank_page(widget)
    shown.page.get_by_role("button", name="Unfold all").click()
    assert shown.fastest('model.set("T", i + 1)') < 50  # milliseconds
    shown.closes()


def test_in_jupyterlab(lab):
    source = "import bigmodel_nb as bn\nw = bn.widgets.ModelAnatomy({'vocab_size': 50, 'n_positions': 16, 'd_model': 12, 'n_layer': 3, 'n_heads': 4})\nw"
    notebook = lab([source, "print(w.T)"])
    notebook.start()
    page = notebook.page
    row = page.locator('[data-path="blocks/attn"]')
    row.wait_for()
    notebook.fallback()
    row.click()
    page.locator('[data-path="blocks/attn/scores"]').wait_for()
    page.keyboard.press("ArrowDown")  # would select another cell
    page.keyboard.press("a")  # would insert a cell
    assert page.evaluate("document.activeElement.dataset.path") == "blocks/attn/qkv"
    assert page.locator(".jp-CodeCell").count() == 2
    notebook.dark()
