"""The memory planner in a browser: its formulas, mouse, keyboard and screen readers."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest

from bigmodel_nb.memory import SHAPES, plan
from bigmodel_nb.memory.planning import shape_of
from bigmodel_nb.widgets import MemoryPlanner
from bigmodel_nb.widgets.memory_planner import CONSTANTS, STATE


@pytest.fixture
def widget():
    return MemoryPlanner("pocket", 16, 128, 0.4)


def grid():
    """Every combination of the choices, over shapes, rows and tokens that differ from one to the next."""
    choices = itertools.product(
        [True, False], ["float32", "bfloat16", "float16"], ["adamw", "sgd", "none"], [0, 8], [True, False], ["cpu", "cuda"]
    )
    names = ("training", "precision", "optimizer", "rank", "checkpointing", "device")
    for i, chosen in enumerate(choices):
        shape = list(SHAPES)[i % len(SHAPES)]
        sizes = {"batch": (1, 4, 48)[i % 3], "micro": (0, 1, 4)[i // 3 % 3], "block": (16, 200)[i // 2 % 2]}
        yield shape, dict(zip(names, chosen), new_tokens=(0, 70, 2000)[i // 5 % 3], **sizes)


def python_plan(shape, given):
    arguments = {argument: given[trait] for trait, argument in STATE.items()}
    arguments["micro_batch"] = min(given["micro"], given["batch"]) or None
    return plan(shape, **arguments, new_tokens=0 if given["training"] else given["new_tokens"])


def test_plans_equal_pythons(blank_page, widget):
    shown = blank_page(widget)
    own = {"n_embd": 48, "n_layer": 3, "n_head": 4, "n_inner": 100, "vocab_size": 999, "n_positions": 200}
    for name, given in grid():
        expected = python_plan(name, given)
        moments = shown.call("plan", shape_of(name), given, CONSTANTS)
        assert moments == expected.moments
        assert shown.call("highest", moments) == expected.moment
    config = SimpleNamespace(**own, resid_pdrop=0.0, embd_pdrop=0.1, attn_pdrop=0.1)
    for _, given in itertools.islice(grid(), 40):
        assert shown.call("plan", vars(config), given, CONSTANTS) == python_plan(config, given).moments


def test_most_rows_that_fit(blank_page, widget):
    shown = blank_page(widget)
    given = {**{trait: getattr(widget, trait) for trait in STATE}, "micro": 0, "new_tokens": 0}

    def most(size):
        return shown.call("most", shape_of("pocket"), given, CONSTANTS, size)

    totals = {rows: plan("pocket", 16, 128, micro_batch=rows).total for rows in (1, 2, 4, 8, 16)}
    for rows, total in totals.items():
        assert most(total) == rows and most(total - 1) == rows // 2


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_shows_the_figures(blank_page, widget, dark):
    shown = blank_page(widget, dark=dark)
    text = shown.page.inner_text("body")
    for part in ["It does not fit: 443 MB of 400 MB", "42.8 MB too much", "gradient of the loss: 443 MB", "optimiser state",
                 "46.8 MB", "Most rows at once that fit: 8", "machine: 400 MB"]:
        assert part in text
    shown.has_theme(dark)


def test_names_for_screen_readers(blank_page, widget):
    shown = blank_page(widget)
    tree = shown.accessible()
    assert 'region "Memory planner: will it fit?"' in tree
    for part in ['combobox "Model"', 'combobox "Use"', 'combobox "Precision"', 'combobox "Optimiser"', 'combobox "Device"',
                 'slider "Rows a step"', 'slider "LoRA rank"', 'slider "Machine"', 'button "Activation checkpointing"']:
        assert part in tree
    slider = shown.page.get_by_role("slider", name="LoRA rank")
    assert slider.get_attribute("aria-valuetext") == "off"
    assert shown.page.locator("[aria-live]").inner_text().startswith("It does not fit")
    assert "gradient of the loss: 443 MB" in shown.page.locator("svg").get_attribute("aria-label")


def test_keyboard_and_choices(blank_page, widget):
    shown = blank_page(widget)
    verdict = shown.page.locator(".verdict")
    rows = shown.page.get_by_role("slider", name="Rows a step")
    rows.focus()
    shown.page.keyboard.press("ArrowLeft")
    assert shown.saved()[-1] == {"batch": 8}
    assert verdict.inner_text().startswith("It fits: ")
    shown.page.keyboard.press("Home")
    assert shown.saved()[-1] == {"batch": 1}
    shown.page.get_by_role("combobox", name="Model").select_option("gpt2-xl")
    assert shown.saved()[-1] == {"model": "gpt2-xl"} and "It does not fit: 26.5 GB of 400 MB" in verdict.inner_text()
    shown.page.get_by_role("button", name="Activation checkpointing").click()
    assert shown.saved()[-1] == {"checkpointing": True}
    assert "block computed again" in shown.page.text_content("svg")
    machine = shown.page.get_by_role("slider", name="Machine")
    machine.focus()
    shown.page.keyboard.press("End")
    assert shown.saved()[-1] == {"machine_gb": 80} and verdict.inner_text().startswith("It fits")


def test_dragging_a_slider(blank_page, widget):
    shown = blank_page(widget)
    with shown.dragging(shown.page.get_by_role("slider", name="LoRA rank"), 0.03) as to:
        to(1.0)
    assert shown.saved()[-1] == {"rank": 64}
    assert shown.page.evaluate("model.get('rank')") == 64


def test_inference_switches_off_what_only_training_has(blank_page, widget):
    shown = blank_page(widget)
    new = shown.page.get_by_role("slider", name="New tokens")
    assert new.is_disabled()
    shown.page.get_by_role("combobox", name="Use").select_option("inference")
    assert shown.page.get_by_role("slider", name="Rows at once").is_disabled()
    assert shown.page.get_by_role("combobox", name="Optimiser").is_disabled()
    assert shown.page.get_by_role("button", name="Activation checkpointing").is_disabled()
    assert new.is_enabled() and "token drawn" in shown.page.text_content("svg")


def test_a_shorter_context_limits_the_block(blank_page):
    shown = blank_page(MemoryPlanner("gpt2", 2, 1024))
    shown.page.get_by_role("combobox", name="Model").select_option("pocket")
    slider = shown.page.get_by_role("slider", name="Tokens a row")
    assert slider.get_attribute("aria-valuetext") == "256"
    shown.page.get_by_role("combobox", name="Model").select_option("gpt2")
    assert slider.get_attribute("aria-valuetext") == "1,024"


def test_values_that_are_given_stand_among_the_choices(blank_page):
    shown = blank_page(MemoryPlanner("gpt2", 12, 300, 11.5, lora_rank=6))
    for name, value in {"Rows a step": "12", "Tokens a row": "300", "LoRA rank": "6", "Machine": "11.5 GB"}.items():
        assert shown.page.get_by_role("slider", name=name).get_attribute("aria-valuetext") == value


def test_fits_a_narrow_panel(blank_page, widget):
    shown = blank_page(widget)
    shown.fits(360)


def test_clean_up_leaves_no_listener(blank_page, widget):
    shown = blank_page(widget)
    shown.closes()


def test_redraw_is_quick(blank_page, widget):
    shown = blank_page(widget)
    assert shown.fastest('model.set("batch", 1 + i)') < 50  # milliseconds


LAB = """
import bigmodel_nb as bn
w = bn.widgets.MemoryPlanner("pocket", 16, 128, 0.4)
w
"""


def test_lives_in_jupyterlab(lab):
    notebook = lab([LAB, "print(w.plan.total)"])
    notebook.start()
    page = notebook.page
    notebook.fallback()
    rows = page.get_by_role("slider", name="Rows a step")
    rows.wait_for()
    rows.focus()
    page.keyboard.press("ArrowLeft")
    assert rows.get_attribute("aria-valuetext") == "8"
    notebook.keeps_keys()
    notebook.dark()
