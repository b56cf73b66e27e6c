"""TokenizerView in a browser: its algorithm, typing, mouse, keyboard and screen readers."""

from __future__ import annotations

import random
import unicodedata
from pathlib import Path

import pytest
from tokenizers import Tokenizer

import bigmodel_nb
from bigmodel_nb.bytelevel import to_letters
from bigmodel_nb.widgets import TokenizerView
from bigmodel_nb.widgets import tokenizer_view as view

POCKET = str(Path(bigmodel_nb.__file__).parent / "gpt2" / "pocket" / "tokenizer.json")
MARKUP = "<img src=x onerror='window.hacked = true'>"
MARK = "<|endoftext|>"


@pytest.fixture(scope="module")
def pocket():
    return Tokenizer.from_file(POCKET)


@pytest.fixture
def widget(pocket):
    return TokenizerView(pocket, f"The grandmother\u72fc {MARKUP}")


@pytest.fixture
def in_kernel(pocket, monkeypatch):
    monkeypatch.setattr(view, "BROWSER_BYTES", 0)
    return TokenizerView(pocket, "The grandmother")


def option(shown, number):
    return shown.page.get_by_role("option").nth(number)


def texts():
    noise = random.Random(0)
    yield from ["The wolf's 3 huts  fell, didn't they?\n\n\n He'll\tcome. ", f"a{MARK}b{MARK}{MARK}", ""]
    yield from ["\u72fc\u4f4f\u5728\u68ee\u6797\u91cc\u3002 3\u53ea", "\U0001f43a\u200d\U0001f332 e\u0301", "a\x85b\x1c\u2028d\xa0\xa0e\ufefff\u3000g"]
    known = lambda text: "".join(c for c in text if unicodedata.category(c) != "Cn")  # noqa: E731, Unicode grows
    yield from (known(noise.randbytes(60).decode(code, "replace")) for code in ("utf-8", "latin-1") * 15)


def test_tokens_equal_pythons_and_the_librarys(blank_page, pocket, widget):
    shown, table = blank_page(widget), widget._table
    for text in texts():
        theirs = shown.call("tokenize", text, widget.merges, widget.offset, widget.special)
        assert theirs == table.pieces(text), repr(text)
        assert [i for piece in theirs for i in piece["ids"]] == pocket.encode(text).ids


def test_spelling_equals_pythons(blank_page, widget):
    shown, noise = blank_page(widget), random.Random(1)
    for _ in range(40):
        data = noise.choice(["a\u72fc\u00e9\U0001f43a\ufeff".encode()[noise.randrange(4) :][: noise.randrange(9)], noise.randbytes(6)])
        assert shown.call("spell", list(data)) == view.spell(data)
    for part in [" ", "\n", "\t", "\r", "\x00", "\u200d", "a", "\u72fc", 231, 5]:
        assert shown.call("shown", part) == view.shown(part)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_shows_tokens_with_ids_and_bytes(blank_page, widget, dark):
    shown = blank_page(widget, dark=dark)
    assert option(shown, 1).inner_text().split() == ["\u2423grandmother", "2885", *"20 67 72 61 6E 64 6D 6F 74 68 65 72".split()]
    half = option(shown, 2)
    assert half.inner_text().split()[0] == "E7" and "half" in half.get_attribute("class")
    assert "<img" not in shown.page.inner_html(".tokens").replace("&lt;", "")
    shown.has_theme(dark)
    assert shown.page.evaluate("window.hacked") is None and shown.page.locator(".bn img").count() == 0


def test_typing(blank_page, widget):
    shown = blank_page(widget)
    shown.page.get_by_role("textbox").fill("Once upon a time\U0001f43a")
    assert shown.page.evaluate("model.get('text')") == "Once upon a time\U0001f43a"
    assert shown.page.get_by_role("option").count() == 8
    figures = shown.page.inner_text("dl")
    for part in ["17", "20", "0.47", "2.50"]:
        assert part in figures
    shown.page.wait_for_function("saved.length > 0")
    assert shown.saved()[-1] == {"text": "Once upon a time\U0001f43a"}
    shown.page.get_by_role("textbox").fill("")
    assert "no text" in shown.page.inner_text(".steps")
    shown.page.get_by_role("button", name="Chinese").click()
    assert shown.page.get_by_role("option").count() == 21


def test_stepping_through_the_merges(blank_page, widget):
    shown = blank_page(widget)
    option(shown, 1).click()
    states, merged = view.steps("\u0120grandmother" + to_letters("\u72fc".encode()), widget._table.ranks)
    bar = shown.page.get_by_role("slider", name="merges done")
    assert bar.get_attribute("max") == str(len(merged)) and bar.get_attribute("aria-valuetext") == f"{len(merged)} of {len(merged)}"
    parts = lambda: shown.page.locator(".part").count()  # noqa: E731
    assert parts() == len(states[-1]) == 4 and "no known pair is left" in shown.page.inner_text(".steps")
    shown.page.get_by_role("button", name="one merge back").click()
    assert parts() == len(states[-2]) and shown.page.locator(".part.next").count() == 2
    assert f"next is merge {merged[-1] + 1}: \u2423grand + mother" in shown.page.inner_text(".steps")
    bar.focus()
    shown.page.keyboard.press("Home")
    assert parts() == len(states[0]) and shown.page.get_by_role("button", name="one merge back").is_disabled()
    for state in states[1:]:
        shown.page.get_by_role("button", name="one merge on").click()
        assert parts() == len(state)


def test_a_special_token_has_no_merges(blank_page, pocket):
    shown = blank_page(TokenizerView(pocket, f"a{MARK}"))
    option(shown, 1).click()
    assert "special token: no merge leads to it" in shown.page.inner_text(".steps")
    assert option(shown, 1).get_attribute("aria-label").endswith("special token")


def test_keyboard(blank_page, widget):
    shown = blank_page(widget)
    option(shown, 0).focus()
    for key, chosen in [("ArrowRight", 1), ("ArrowDown", 2), ("ArrowLeft", 1), ("Home", 0), ("ArrowLeft", 0)]:
        shown.page.keyboard.press(key)
        assert option(shown, chosen).get_attribute("aria-selected") == "true"
        assert shown.page.locator("[aria-selected=true]").count() == 1
        assert shown.page.locator(".token[tabindex='0']").count() == 1
    shown.page.keyboard.press("End")
    assert shown.page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(">")
    shown.page.keyboard.press("Tab")  # to the merges; the list is one stop
    assert shown.page.evaluate("document.activeElement.type") in ("range", "button")


def test_names_for_screen_readers(blank_page, widget):
    shown = blank_page(widget)
    tree = shown.accessible()
    for part in ['region "Tokens of a text"', 'listbox "tokens"', 'group "merges of the chosen piece"', 'textbox "Text: type here"']:
        assert part in tree
    assert option(shown, 2).get_attribute("aria-label") == "E7, id 164, bytes E7, part of \u72fc"
    assert option(shown, 2).get_attribute("title") == "part of \u72fc"
    count = shown.page.get_by_role("option").count()
    assert shown.page.locator("[aria-live]").inner_text() == f"{count} tokens for {len(widget.text)} characters"


def test_focus_is_visible(blank_page, widget):
    shown = blank_page(widget)
    option(shown, 0).focus()
    shown.page.keyboard.press("ArrowRight")
    assert shown.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_kernels_answer_is_shown(blank_page, in_kernel):
    shown = blank_page(in_kernel)
    assert shown.page.get_by_role("option").count() == 2
    shown.page.get_by_role("textbox").fill("The wolf")
    assert "waiting for the kernel" in shown.page.inner_text("body")
    in_kernel.text = "The wolf"
    shown.push(result=in_kernel.result)
    assert shown.page.get_by_role("option").count() == 2 and "waiting" not in shown.page.inner_text("body")
    assert option(shown, 1).inner_text().split()[0] == "\u2423wolf"


def test_long_texts_are_cut_short_and_quick(blank_page, widget):
    shown = blank_page(widget)
    shown.push(text="\u72fc" * 1000)
    assert shown.page.get_by_role("option").count() == 200
    assert "and 2800 more tokens" in shown.page.inner_text("body")
    assert option(shown, 198).get_attribute("title") == "part of \u72fc"
    assert shown.fastest('model.set("text", "The wolf lives in the forest. ".repeat(3) + i)') < 50  # milliseconds


def test_fits_a_narrow_panel(blank_page, pocket):
    shown = blank_page(TokenizerView(pocket, "\u72fc" * 60 + " handkerchief astonishment " + MARK))
    shown.fits(360)


def test_clean_up_leaves_no_listener(blank_page, widget):
    blank_page(widget).closes()


LAB = """
import bigmodel_nb as bn
from bigmodel_nb.widgets import tokenizer_view
tokenizer_view.BROWSER_BYTES = 0  # the kernel tokenises
vocab, merges = bn.exercises.reference("tokenization.bpe_train")("the wolf the wolves", 270)
w = bn.widgets.TokenizerView(vocab=vocab, merges=merges, text="the wolf")
w
"""


def test_lives_in_jupyterlab_and_asks_the_kernel(lab):
    notebook = lab([LAB])
    notebook.start()
    page = notebook.page
    notebook.fallback()
    tokens = page.get_by_role("listbox", name="tokens").get_by_role("option")
    tokens.first.wait_for()
    page.get_by_role("textbox", name="Text: type here").fill("wolfs")
    page.get_by_role("option", name="s, id 82, bytes 73").wait_for()
    assert page.locator(".jp-CodeCell").count() == 1
    notebook.dark()
