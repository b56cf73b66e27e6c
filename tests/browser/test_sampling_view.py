"""SamplingView in a browser: its mathematics, the sliders, choices by mouse and keyboard, with and without a kernel."""

from __future__ import annotations

import numpy as np
import pytest

from bigmodel_nb.widgets import SamplingView
from bigmodel_nb.widgets import sampling_view as view

MARKUP = "<img src=x onerror='window.hacked = true'>"


@pytest.fixture(scope="module")
def parts():
    from tests.gpt2.conftest import make_tiny

    from bigmodel_nb.gpt2.load import load_gpt2

    return make_tiny(initializer_range=0.4), load_gpt2("pocket")[1]


@pytest.fixture
def widget(parts):
    return SamplingView(*parts, f"The king had {MARKUP}", top_p=0.9)


@pytest.fixture
def shown(blank_page, widget):
    return blank_page(widget)


def option(shown, rank):
    return shown.page.get_by_role("option").nth(rank)


def summary(shown):
    return shown.page.inner_text(".share + p")


def now(shown, name):
    return shown.page.evaluate(f"model.get({name!r})")


def press(shown, name):
    shown.page.get_by_role("button", name=name, exact=True).click()


# Mathematics


def test_equals_pythons(shown):
    rng = np.random.default_rng(0)
    for vocab_size in (5, 1024, 1500, 4096):
        sizes = view.group_sizes(vocab_size)
        d = np.sort(rng.uniform(0, 12, len(sizes)))
        d -= d[0]
        for temperature in (0, 0.3, 1.0, 2.0):
            mass = view.masses(d, sizes, temperature)
            theirs = shown.call("masses", d.tolist(), sizes, temperature)
            assert np.allclose(list(theirs.values()) if isinstance(theirs, dict) else theirs, mass, atol=1e-12)
            for top_k, top_p in ((0, 1.0), (3, 1.0), (0, 0.6), (40, 0.9), (0, 0.05)):
                tokens, held = view.cut(mass, sizes, top_k, top_p)
                got = shown.call("cut", mass.tolist(), sizes, top_k, top_p)
                assert got[0] == tokens and got[1] == pytest.approx(held)


def test_layout_equals_pythons(shown, widget):
    for rank in (40, 900, 3):
        widget.choose(rank)
    assert shown.call("layout", widget.nodes)["places"] == [list(place) for place in view._layout(widget.nodes)]


def test_draws_follow_the_distribution(shown):
    sizes, mass = [1, 1, 1, 10, 100], [0.3, 0.25, 0.15, 0.2, 0.1]
    tokens, held = view.cut(mass, sizes, 0, 0.8)
    ranks = shown.page.evaluate(
        "([m, s, t, h]) => Array.from({ length: 20000 }, (_, i) => module.drawn(m, s, t, h, (i + 0.5) / 20000))", [mass, sizes, tokens, held]
    )
    counts = np.bincount(ranks, minlength=tokens)
    assert len(counts) == tokens
    assert np.allclose(counts[:3] / 20000, np.array(mass[:3]) / held, atol=1e-3)
    assert shown.call("drawn", [1, 0, 0], [1, 1, 1], 1, 1, 0.999999) == 0


# What is shown


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_shows_the_distribution(blank_page, widget, dark):
    shown = blank_page(widget, dark=dark)
    kept = widget.kept
    assert summary(shown) == f"{kept['tokens']:,} of 4,096 tokens kept with {100 * kept['mass']:.1f} % of the probability, {100 - 100 * kept['mass']:.1f} % filtered"
    texts = option(shown, 0).inner_text().split()
    own = view.masses(view._distances(widget.nodes[0]), view.group_sizes(4096), 1.0)
    assert texts[0].startswith(view.visible(widget.nodes[0]["names"][0]).split()[0])
    assert float(texts[-2]) == pytest.approx(own[0], abs=1e-3) and float(texts[-1]) == pytest.approx(own[0] / kept["mass"], abs=1e-3)
    assert shown.page.get_by_role("treeitem").count() == 21
    shown.has_theme(dark)


def test_token_text_is_data(shown):
    assert MARKUP in shown.page.inner_text(".written")
    shown.page.get_by_role("textbox").fill(MARKUP)
    assert shown.page.evaluate("window.hacked") is None and shown.page.locator(".bn img").count() == 0


@pytest.mark.parametrize(("slider", "keys", "trait", "value"), [
    ("temperature", ["ArrowLeft"] * 10, "temperature", 0.5), ("temperature", ["Home"], "temperature", 0),
    ("top-p", ["End"], "top_p", 1), ("top-k", ["Home", "ArrowRight", "ArrowRight"], "top_k", 3),
])  # fmt: skip
def test_sliders_by_keyboard(shown, widget, slider, keys, trait, value):
    shown.page.get_by_role("slider", name=slider).focus()
    for key in keys:
        shown.page.keyboard.press(key)
    assert now(shown, trait) == pytest.approx(value)
    setattr(widget, trait, value)
    assert summary(shown).startswith(f"{widget.kept['tokens']:,} of 4,096")
    assert shown.saved()[-1] == {trait: pytest.approx(value)}


def test_another_top_k_from_the_kernel(shown):
    shown.push(top_k=7)
    slider = shown.page.get_by_role("slider", name="top-k")
    assert slider.get_attribute("aria-valuetext") == "7"
    shown.push(top_k=0)
    assert slider.get_attribute("aria-valuetext") == "all"
    slider.focus()
    shown.page.keyboard.press("ArrowLeft")
    assert now(shown, "top_k") == 1000


def test_filtered_tokens_are_named_so(shown):
    shown.push(top_k=2, top_p=1.0)
    assert option(shown, 1).inner_text().split()[-1] != "filtered"
    assert option(shown, 2).inner_text().split()[-1] == "filtered"
    assert "filtered" in option(shown, 2).get_attribute("aria-label")
    shown.push(temperature=0)
    assert option(shown, 0).inner_text().split()[-1] == "1.000"
    assert option(shown, 1).inner_text().split()[-1] == "filtered"


# Choices


def test_choosing_without_a_kernel(shown, widget):
    option(shown, 0).click()
    child = widget.child(0, 0)
    assert now(shown, "current") == child and shown.saved()[-1] == {"current": child}
    assert shown.page.locator(".chip").count() == 1
    press(shown, "Back")
    assert now(shown, "current") == 0 and shown.page.get_by_role("button", name="Back").is_disabled()


def test_the_kernel_is_asked(shown, widget):
    option(shown, 9).click()
    assert shown.saved()[-1] == {"wanted": [0, 9, 1]} and "computing what follows" in shown.page.inner_text(".note")
    widget.wanted = [0, 9, 1]
    shown.push(nodes=widget.nodes, current=widget.current)
    assert shown.page.inner_text(".note") == "" and shown.page.locator(".chip").count() == 1
    assert shown.page.get_by_role("treeitem").count() == 22
    option(shown, 9).click()
    assert shown.saved()[-1]["wanted"] == [21, 9, 2]


def test_without_an_answer_it_says_what_to_do(shown):
    shown.page.clock.install()
    option(shown, 11).click()
    shown.page.clock.run_for(6000)
    assert "No answer from the kernel" in shown.page.inner_text(".note")
    option(shown, 0).click()
    assert shown.page.inner_text(".note") == ""


def test_trouble_of_the_kernel_is_shown(shown):
    option(shown, 11).click()
    shown.push(trouble="the tree holds 120 places")
    assert shown.page.inner_text(".note") == "the tree holds 120 places"


def test_drawing_chooses_what_is_left(shown):
    shown.push(top_k=1, top_p=1.0)
    press(shown, "Draw a token")
    assert shown.page.locator(".chip").count() == 1 and now(shown, "current") == 1
    press(shown, "Back")
    press(shown, "Most probable")
    assert shown.page.locator(".chip").count() == 1 and now(shown, "current") == 1


def test_typing_a_prompt(shown, widget):
    shown.page.get_by_role("textbox").fill("A fox")
    shown.page.wait_for_function("saved.length > 0")
    assert shown.saved()[-1] == {"prompt": "A fox"} and "reading the prompt" in shown.page.inner_text(".note")
    assert MARKUP in shown.page.inner_text(".written")  # until the kernel has answered
    widget.prompt = "A fox"
    shown.push(nodes=widget.nodes, current=0, answered="A fox")
    assert shown.page.inner_text(".written") == "A fox" and shown.page.inner_text(".note") == ""


def test_candidates_by_keyboard(shown):
    option(shown, 0).focus()
    for key, rank in [("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1), ("End", 11), ("ArrowDown", 11), ("Home", 0), ("ArrowUp", 0)]:
        shown.page.keyboard.press(key)
        assert shown.page.evaluate("[...document.querySelectorAll('.token')].indexOf(document.activeElement)") == rank
    shown.page.keyboard.press("Enter")
    assert shown.page.locator(".chip").count() == 1
    assert shown.page.evaluate("document.activeElement.classList.contains('token')")


def test_more_tokens(shown):
    visible = lambda: shown.page.locator(".token:visible").count()  # noqa: E731
    assert visible() == 12
    press(shown, "More tokens")
    assert visible() == 60
    press(shown, "Fewer tokens")
    assert visible() == 12


def test_tree_by_mouse_and_keyboard(shown, widget):
    child = widget.child(0, 0)
    shown.page.get_by_role("treeitem").nth(child).click()
    assert now(shown, "current") == child
    shown.page.locator(".item[tabindex='0']").focus()
    shown.page.keyboard.press("ArrowLeft")
    assert now(shown, "current") == 0
    shown.page.keyboard.press("ArrowRight")
    assert now(shown, "current") == child
    shown.page.keyboard.press("ArrowDown")
    assert now(shown, "current") == widget.child(0, 1)
    shown.page.keyboard.press("Home")
    assert now(shown, "current") == 0
    assert shown.page.locator(".item[tabindex='0']").count() == 1


def test_tree_follows_the_sliders(shown, widget):
    first = shown.page.get_by_role("treeitem").nth(widget.child(0, 0))
    other = shown.page.get_by_role("treeitem").nth(widget.child(0, 1))
    shown.push(top_k=1, top_p=1.0)
    assert first.text_content().endswith("1.00") and "filtered" in other.get_attribute("aria-label")


def test_names_for_screen_readers(shown):
    tree = shown.accessible()
    for part in ['region "Next token of a model"', 'textbox "Prompt: type here"', 'slider "temperature"', 'slider "top-k"', 'slider "top-p"',
                 'listbox "next tokens, the most probable first"', 'tree "choices"', 'treeitem "prompt"']:
        assert part in tree
    assert shown.page.locator("[aria-live=polite]").first.inner_text().startswith("0 tokens chosen. ")


# Size and speed


def test_dragging_redraws_within_50_ms(blank_page, parts):
    widget = SamplingView(*parts, "The king")
    for rank in range(100, 199):
        widget.current = 0
        widget.choose(rank)
    assert len(widget.nodes) == view.MOST_NODES
    shown = blank_page(widget)
    assert shown.fastest('model.set("temperature", 0.5 + i / 20)') < 50
    assert shown.fastest('model.set("top_p", 0.5 + i / 40)') < 50
    assert shown.fastest('model.set("current", i)') < 50


def test_fits_a_narrow_panel(shown):
    shown.fits(360)
    shown.push(current=20)
    shown.fits(360)
    item, window = (shown.page.locator(it).bounding_box() for it in (".item[aria-selected='true']", ".tree"))
    assert window["x"] <= item["x"] and item["x"] + item["width"] <= window["x"] + window["width"]


def test_clean_up_leaves_no_listener(shown):
    shown.closes()


LAB = """
import bigmodel_nb as bn
model, tokenizer = bn.load_gpt2("pocket")
view = bn.widgets.SamplingView(model, tokenizer, "The king had three")
view
"""


def test_lives_in_jupyterlab_and_asks_the_kernel(lab):
    notebook = lab([LAB])
    notebook.start()
    notebook.fallback()
    page = notebook.page
    tokens = page.locator(".bn-sampling-view .token")  # JupyterLab has options of its own
    tokens.nth(11).click()
    page.wait_for_selector(".bn-sampling-view .chip")
    page.get_by_role("textbox", name="Prompt: type here").fill("Once upon a")
    page.wait_for_function("document.querySelector('.bn-sampling-view .written').textContent === 'Once upon a'")
    assert tokens.first.inner_text().split()[0] == "\u00b7time"
    assert page.locator(".jp-CodeCell").count() == 1
    notebook.dark()
