"""ClaimsBoard in a browser: search, filters, keyboard, screen readers and themes."""

from __future__ import annotations

import pytest

from bigmodel_nb.widgets import ClaimsBoard

MARKUP = "<img src=x onerror='window.hacked = true'>"


@pytest.fixture
def widget():
    return ClaimsBoard()


def ids(shown):
    return shown.page.locator("article:visible strong").all_inner_texts()


def count(shown):
    return shown.page.locator(".count").inner_text()


def choose(shown, label, value):
    shown.page.get_by_role("combobox", name=label).select_option(value)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_shows_all_claims(blank_page, widget, dark):
    shown = blank_page(widget, dark=dark)
    assert ids(shown) == widget.shown
    assert count(shown).startswith("159 of 159 claims: 49 wrong, 36 right")
    first = shown.page.locator("article").first.inner_text()
    for part in ("C01", "unverifiable", "or", "wrong", "article 000, line 26", "computed: lesson 00, cell c01"):
        assert part in first
    shown.has_theme(dark)


@pytest.mark.parametrize(
    ("label", "value", "state"),
    [
        ("article", "003", {"article": "003"}),
        ("verdict", "wrong", {"verdict": "wrong"}),
        ("lesson", "18", {"lesson": 18}),
        ("how checked", "reading", {"how": "reading"}),
    ],
)
def test_each_filter_is_pythons(blank_page, widget, label, value, state):
    shown = blank_page(widget)
    choose(shown, label, value)
    assert shown.saved() == [state]
    for name, setting in state.items():
        setattr(widget, name, setting)
    assert ids(shown) == widget.shown and 0 < len(widget.shown) < 159


def test_words_are_searched_while_typing(blank_page, widget):
    shown = blank_page(widget)
    shown.page.get_by_role("searchbox", name="search the claims").press_sequentially("BERT  devlin")
    widget.query = "BERT  devlin"
    assert shown.saved()[-1] == {"query": "BERT  devlin"} and ids(shown) == widget.shown != []


def test_filters_together_and_show_all(blank_page, widget):
    shown = blank_page(widget)
    choose(shown, "verdict", "wrong")
    choose(shown, "lesson", "00")
    assert ids(shown) == ["C01", "C47"]
    shown.page.get_by_role("searchbox").fill("billions zebra")
    assert ids(shown) == [] and count(shown) == "0 of 159 claims"
    assert "No claim passes all filters" in shown.page.inner_text("body")
    shown.page.get_by_role("button", name="Show all").click()
    assert len(ids(shown)) == 159 and shown.page.get_by_role("searchbox").input_value() == ""
    assert shown.page.get_by_role("combobox", name="verdict").input_value() == ""


def test_follows_the_kernel(blank_page, widget):
    shown = blank_page(widget)
    shown.push(verdict="outdated or missing", query="horizon")
    assert ids(shown) == ["C132"]
    assert shown.page.get_by_role("combobox", name="verdict").input_value() == "outdated or missing"
    shown.push(verdict=None, query="")
    assert len(ids(shown)) == 159


def test_begins_with_pythons_filters(blank_page):
    widget = ClaimsBoard(article="002", how="computed", query="gpt")
    shown = blank_page(widget)
    assert ids(shown) == widget.shown and shown.page.get_by_role("searchbox").input_value() == "gpt"


def test_keyboard_alone(blank_page, widget):
    shown = blank_page(widget)
    press = shown.page.keyboard.press
    press("Tab")
    shown.page.keyboard.type("AdWords")
    assert ids(shown) == ["C134"]
    for _ in range(2):
        press("Tab")
    press("ArrowDown")
    assert shown.page.get_by_role("combobox", name="verdict").input_value() == "right" and ids(shown) == []
    for _ in range(3):
        press("Tab")
    assert shown.page.evaluate("document.activeElement.textContent") == "Show all"
    press("Enter")
    assert len(ids(shown)) == 159
    for _ in range(6):
        press("Tab")
    assert shown.page.evaluate("document.activeElement.getAttribute('role')") == "list"
    press("End")
    shown.page.wait_for_function("document.querySelector('.list').scrollTop > 1000")


def test_names_for_screen_readers(blank_page, widget):
    shown = blank_page(widget)
    tree = shown.accessible()
    parts = ['region "Claims of the articles"', 'group "filters"', 'searchbox "search the claims"', 'list "claims"', "listitem"]
    parts += [f'combobox "{name}"' for name in ("article", "verdict", "lesson", "how checked")]
    assert all(part in tree for part in parts)
    choose(shown, "how checked", "source")
    assert shown.page.locator(".bn-spoken").inner_text() == "1 of 159 claims: 1 outdated or missing"


def test_markup_is_shown_not_run(blank_page):
    rows = ClaimsBoard().rows[:1]
    rows = [{**rows[0], "id": MARKUP, "claim": MARKUP, "correction": MARKUP, "reference": MARKUP, "places": {MARKUP: MARKUP}}]
    shown = blank_page(ClaimsBoard(rows))
    assert shown.page.locator(".bn img").count() == 0 and shown.page.evaluate("window.hacked") is None
    assert shown.page.locator("article").inner_text().count(MARKUP) == 6


def test_pure_functions(blank_page, widget):
    shown = blank_page(widget)
    row = widget.rows[0]
    assert shown.call("lets", row, {"query": "", "article": None, "verdict": None, "lesson": None, "how": None})
    assert not shown.call("lets", row, {"query": "zebra"})
    assert shown.call("lets", row, {"query": " TRILLION gpt-4 ", "verdict": "wrong", "lesson": 0})
    assert shown.call("told", widget.rows[:2]) in ("1 unverifiable, 1 right", "1 right, 1 unverifiable")


def test_reacts_at_once(blank_page, widget):
    assert blank_page(widget).fastest("model.set('verdict', i % 2 ? 'wrong' : null)") < 50


@pytest.mark.parametrize("width", [360, 1200])
def test_fits_and_closes(blank_page, widget, width):
    shown = blank_page(widget)
    shown.fits(width)
    shown.closes()


def test_lives_in_jupyterlab(lab):
    notebook = lab(["import bigmodel_nb as bn\nboard = bn.widgets.ClaimsBoard(verdict='wrong')\nboard", "len(board.shown)"])
    notebook.start()
    notebook.fallback()
    page = notebook.page
    page.get_by_role("combobox", name="verdict").select_option("right")
    page.get_by_text("of 159 claims").first.wait_for()
    page.get_by_role("searchbox", name="search the claims").fill("AdWords")
    page.get_by_text("0 of 159 claims").first.wait_for()
    assert page.locator(".jp-CodeCell").count() == 2  # typing ran and added no cell
    notebook.dark()
