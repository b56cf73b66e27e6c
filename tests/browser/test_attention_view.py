"""The attention view in a browser: its mathematics, every way to reach a number, and its speed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bigmodel_nb.widgets import AttentionView
from bigmodel_nb.widgets.attention_view import PATTERNS, distances, encode, head_scores, pairs, softmax

MARKUP = "<img src=x onerror='window.hacked = true'>"
TOKENS = ["The", " king", " had", " a", " fox", ",", " a", " fox", "\n", MARKUP]
T, L, H = len(TOKENS), 2, 3


@pytest.fixture(scope="module")
def small():
    """A GPT-2 with random numbers and ten tokens, whatever the text."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    class Words:
        def __call__(self, text, **_):
            return {"input_ids": [1, 2, 3, 4, 5, 6, 4, 5, 7, 8]}

        def decode(self, ids, **_):
            return dict(zip(self("")["input_ids"], TOKENS))[ids[0]]

        def convert_ids_to_tokens(self, token):
            return ""

    torch.manual_seed(2)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=10, n_positions=16, n_embd=24, n_layer=L, n_head=H, initializer_range=0.6, bos_token_id=0, eos_token_id=0))
    return lambda **chosen: AttentionView(model, Words(), "", **chosen)


@pytest.fixture
def view(small):
    return small(layer=1, head=2)


@pytest.fixture
def shown(blank_page, view):
    return blank_page(view)


def plain(causal=True, n=5):
    scores = np.random.default_rng(0).normal(size=(2, 2, n, n)) * 2
    return softmax(np.where(np.tri(n, dtype=bool), scores, -np.inf) if causal else scores)


def cell(shown, layer, head):
    return shown.page.get_by_role("gridcell", name=f"layer {layer}, head {head}")


def option(shown, side, i):
    return shown.page.get_by_role("option", name=f"{side} {i}:")


def read(text):
    """A written weight as a number; below 0.000001 counts as 0."""
    return 0.0 if text.startswith("<") else float(text)


def values(shown, side="key"):
    """The weights beside the tokens as numbers, None where there is none."""
    texts = shown.page.locator(f".tokens.{side} .value").all_inner_texts()
    return [read(text) if text else None for text in texts]


def press(shown, name):
    shown.page.get_by_role("button", name=name).click()


def now(shown, *names):
    got = shown.page.evaluate("names => names.map(n => model.get(n))", list(names))
    return got[0] if len(names) == 1 else got


def right(ours, true):
    """Whether shown values have the three significant digits of the true ones."""
    for a, b in zip(ours, true, strict=True):
        if b >= 1e-6:
            assert a == pytest.approx(b, abs=0.51 * 10 ** (math.floor(math.log10(b)) - 2) + 6e-4 * b)
        else:
            assert a < 1e-6
    return True


def scores_of(view, layer, head):
    return view._scores[layer, head].astype(float)


# Mathematics


@pytest.mark.parametrize("divisor", [1.0, math.sqrt(32), 8.0, 96.0])
def test_codes_are_those_of_python(shown, divisor):
    theirs = shown.page.evaluate("d => Array.from(module.distances(d).slice(0, 65535))", divisor)
    np.testing.assert_allclose(theirs, distances(divisor)[:-1], rtol=1e-12)
    assert shown.page.evaluate("d => module.distances(d)[65535] === Infinity", divisor)
    x = np.concatenate([np.linspace(0.001, 30, 500), np.geomspace(30, 1000 * divisor, 500)])
    errors = np.abs(np.array(theirs)[encode(x, divisor)] - x)
    bounds = shown.page.evaluate("([xs, d]) => xs.map((x) => module.bound(x, d))", [x.tolist(), divisor])
    assert (errors <= np.array(bounds) * 1.001 + 1e-12).all()


def test_weights_of_extreme_rows(shown):
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=40) * s for s in (0, 1e-5, 1, 10, 100, 1000)] + [np.arange(40) * 3.0, np.array([80.0] + [0.0] * 39)]
    script = """([codes, divisor, by]) => {
      const table = module.distances(divisor), s = codes.map((c) => 7 - table[c]), w = [];
      module.softmaxRow(s, 0, s.length, by, w);
      return w;
    }"""
    for row in rows:
        for divisor, by in ((8.0, 8.0), (8.0, 1.0), (1.0, 1.0)):
            codes = encode(row.max() - row, divisor).tolist()
            ours, true = np.array(shown.page.evaluate(script, [codes, divisor, by])), softmax(row / by)
            assert np.abs(ours / np.maximum(true, 1e-300) - 1)[true >= 1e-6].max() <= 5e-4
            assert ours.sum() == pytest.approx(1)


def test_patterns_and_entropy_are_those_of_python(shown):
    rng = np.random.default_rng(1)
    for n in (1, 2, 9, 20):
        tokens = [str(rng.integers(5)) for _ in range(n)]
        weights = softmax(np.where(np.tri(n, dtype=bool), rng.normal(size=(n, n)), -np.inf))
        for pattern in PATTERNS:
            found = shown.call("pairs", tokens, pattern)
            assert sorted(map(tuple, found)) == sorted(pairs(tokens, pattern))
            ours, theirs = head_scores(weights, tokens, pattern), shown.call("headScore", weights.ravel().tolist(), n, found)
            assert theirs is None if ours is None else theirs == pytest.approx(float(ours))
    p = rng.dirichlet(np.ones(6))
    assert shown.call("entropy", [0, *p.tolist(), 0], 1, 6) == pytest.approx(-(p * np.log(p)).sum())
    assert shown.call("entropy", [1, 0]) == 0


def test_numbers_as_they_are_written(shown):
    assert [shown.call("weightText", w) for w in (0, 1, 0.5, 0.01234, 0.000123456, 2.5e-6, 9e-7)] == [
        "0", "1.00", "0.500", "0.0123", "0.000123", "0.00000250", "<0.000001",
    ]
    texts = [shown.call("scoreText", *it) for it in ((12.345, 2.5e-4), (-0.0349, 2.5e-4), (-0.0349, 2e-3), (123.4, 0.01), (-0.0001, 2e-3))]
    assert texts == ["12.3", "-0.035", "-0.03", "123", "0.00"]


# What is shown


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_shows_all_heads_and_one(blank_page, view, dark):
    shown = blank_page(view, dark=dark)
    assert shown.page.get_by_role("gridcell").count() == L * H
    assert "Layer 1, head 2" in shown.page.inner_text("header")
    assert shown.page.locator(".tokens.query li").count() == T == shown.page.locator(".tokens.key li").count()
    assert "·king" in shown.page.inner_text(".tokens.query") and "⏎" in shown.page.inner_text(".tokens.key")
    shown.has_theme(dark)


def test_token_text_is_data(shown):
    assert MARKUP in shown.page.inner_text(".tokens.key").replace("·", " ")
    option(shown, "query", T - 1).focus()
    press(shown, "Matrix")
    assert MARKUP in shown.page.inner_text(".steps").replace("·", " ")
    assert shown.page.evaluate("window.hacked") is None and shown.page.locator(".bn img").count() == 0


PIXELS = """
() => {
  const canvas = document.querySelector(".over canvas"), context = canvas.getContext("2d");
  return [...context.getImageData(0, 0, canvas.width, canvas.height).data].filter((_, i) => i % 4 === 3);
}
"""


def test_overview_draws_the_weights(shown, view):
    width, height = shown.page.evaluate("(() => { const c = document.querySelector('.over canvas'); return [c.width, c.height]; })()")
    alpha = np.array(shown.page.evaluate(PIXELS)).reshape(height, width)
    step = width // H
    for layer in range(L):
        for head in range(H):
            own, size = alpha[layer * step :, head * step :], step - 2
            for i, j in ((0, 0), (3, 1), (9, 4), (9, 9), (2, 7)):
                at = own[int((i + 0.5) * size / T), int((j + 0.5) * size / T)]
                assert at == pytest.approx(255 * math.sqrt(view.attentions[layer, head, i, j]), abs=2)


def test_colours_follow_the_theme(shown):
    colours = "() => [...document.querySelector('.over canvas').getContext('2d').getImageData(0, 0, 1, 1).data].slice(0, 3)"
    light = shown.page.evaluate(colours)
    shown.page.emulate_media(color_scheme="dark")
    shown.page.wait_for_function(f"light => ({colours})().join() !== light.join()", arg=light)


# Values, by mouse and keyboard


@pytest.mark.parametrize("way", ["hover", "focus"])
@pytest.mark.parametrize("i", [0, 4, T - 1])
def test_a_query_shows_its_weights(shown, view, way, i):
    getattr(option(shown, "query", i), way)()
    got = values(shown)
    assert got[i + 1 :] == [None] * (T - 1 - i)  # masked
    assert right(got[: i + 1], view.attentions[1, 2, i, : i + 1])
    assert f"Query {['The', '·king', '·had', '·a', '·fox'][i] if i < 5 else ''}" in shown.page.inner_text(".steps")


@pytest.mark.parametrize("way", ["hover", "focus"])
def test_a_key_shows_who_looks_at_it(shown, view, way):
    getattr(option(shown, "key", 3), way)()
    got = values(shown, "query")
    assert got[:3] == [None] * 3 and right(got[3:], view.attentions[1, 2, 3:, 3])
    assert "is seen by 7 queries" in shown.page.inner_text(".steps caption")


def rows(shown):
    return [row.split("\t") for row in shown.page.inner_text(".steps tbody").split("\n")]


def test_scores_before_the_softmax(shown, view):
    option(shown, "query", 5).focus()
    scores, weights = scores_of(view, 1, 2), view.attentions[1, 2, 5]
    assert len(rows(shown)) == 6
    for name, score, scaled, weight in rows(shown):
        j = int(name.split()[-1])
        assert float(score) == pytest.approx(scores[5, j], rel=5e-3, abs=6e-3)
        assert float(scaled) == pytest.approx(scores[5, j] / math.sqrt(8), rel=5e-3, abs=6e-3)
        assert right([read(weight)], [weights[j]])
    assert [row[3] for row in rows(shown)] == sorted((row[3] for row in rows(shown)), key=read, reverse=True)
    h = -(weights[:6] * np.log(weights[:6])).sum()
    assert f"entropy {h:.2f} of at most 1.79 nats" in shown.page.inner_text(".steps caption").replace("\n", " ")


def test_scale_is_taken_out_in_the_browser(shown, view):
    option(shown, "query", 7).focus()
    press(shown, "Scale")
    assert right(values(shown)[:8], softmax(scores_of(view, 1, 2)[7, :8]))
    assert len(rows(shown)[0]) == 3  # no column for the scale
    press(shown, "Scale")
    assert right(values(shown)[:8], view.attentions[1, 2, 7, :8])


def test_mask_is_taken_off_in_the_browser(shown, view):
    option(shown, "query", 2).focus()
    press(shown, "Causal mask")
    assert right(values(shown), softmax(scores_of(view, 1, 2)[2] / math.sqrt(8)))
    press(shown, "Scale")
    assert right(values(shown), softmax(scores_of(view, 1, 2)[2]))
    assert now(shown, "mask", "scale") == [False, False]


@pytest.fixture
def without_future(small, monkeypatch):
    monkeypatch.setattr("bigmodel_nb.widgets.attention_view.ROOM", 0)
    return small(layer=1, head=2)


def test_scores_that_did_not_fit_are_asked_for_once(blank_page, without_future):
    view = without_future
    shown = blank_page(view)
    option(shown, "query", 2).focus()
    before = values(shown)
    press(shown, "Causal mask")
    assert values(shown) == before and "as soon as the kernel" in shown.page.inner_text(".why")
    press(shown, "Causal mask")
    press(shown, "Causal mask")
    assert shown.answer() == [{"kind": "future"}]
    assert right(values(shown), softmax(scores_of(view, 1, 2)[2] / math.sqrt(8)))
    assert not shown.page.locator(".why").is_visible()
    option(shown, "query", 3).focus()
    press(shown, "Scores")
    shown.push(layer=0, head=1, query=0)
    assert "looks at 10 keys" in shown.page.inner_text(".steps") and shown.answer() == []


def test_the_mask_stays_where_no_kernel_answers(blank_page, without_future):
    shown = blank_page(without_future)
    shown.page.clock.install()
    press(shown, "Causal mask")
    shown.page.clock.run_for(6000)
    assert "has not sent" in shown.page.inner_text(".why")
    option(shown, "query", 2).focus()
    assert values(shown)[3:] == [None] * (T - 3)


def test_every_value_of_every_head(shown, view):
    """All that a learner can point at, under all four settings of the switches."""
    script = """async ([layer, head, i]) => {
      model.set("layer", layer); model.set("head", head); model.set("query", i);
      await null;
      return [...document.querySelectorAll(".tokens.key .value")].map((it) => it.textContent);
    }"""
    for mask in (True, False):
        for scale in (True, False):
            shown.push(mask=mask, scale=scale)
            for layer in range(L):
                for head in range(H):
                    for i in range(T):
                        n = i + 1 if mask else T
                        texts = shown.page.evaluate(script, [layer, head, i])[:n]
                        true = softmax(scores_of(view, layer, head)[i, :n] / (math.sqrt(8) if scale else 1))
                        right(map(read, texts), true)


@pytest.mark.parametrize("kind", ["Matrix", "Scores"])
def test_matrix_by_mouse(shown, view, kind):
    press(shown, kind)
    plane = shown.page.get_by_role("application")
    place, edge = plane.evaluate("node => node.place"), plane.bounding_box()
    at = lambda i, j: (edge["x"] + place["left"] + (j + 0.5) * place["cell"], edge["y"] + place["top"] + (i + 0.5) * place["cell"])  # noqa: E731
    shown.page.mouse.move(*at(6, 2))
    text = shown.page.inner_text(".readout")
    assert text.startswith("query 6 ·a, key 2 ·had: q·k ")
    assert right([read(text.split()[-1])], [view.attentions[1, 2, 6, 2]])
    shown.page.mouse.move(*at(2, 6))
    assert shown.page.inner_text(".readout").endswith("masked, weight 0")
    shown.page.mouse.click(*at(7, 7))
    assert now(shown, "query") == 7
    shown.page.mouse.move(2, 2)
    assert now(shown, "query") == 7


def test_matrix_by_keyboard(shown, view):
    press(shown, "Matrix")
    shown.page.get_by_role("application").focus()
    spoken = lambda: shown.page.locator("[aria-live]").inner_text()  # noqa: E731
    for key, (i, j) in [("ArrowDown", (9, 0)), ("ArrowUp", (8, 0)), ("ArrowRight", (8, 1)), ("End", (8, 9)), ("Home", (8, 0)), ("ArrowLeft", (8, 0))]:
        shown.page.keyboard.press(key)
        assert shown.page.inner_text(".readout").startswith(f"query {i} ") and f", key {j} " in shown.page.inner_text(".readout")
        assert spoken() == shown.page.inner_text(".readout")
    shown.page.keyboard.press("Escape")
    assert now(shown, "query") == -1 and "Rows are queries" in shown.page.inner_text(".readout")


def test_heads_by_keyboard_and_mouse(shown):
    cell(shown, 1, 2).focus()
    for key, expected in [("ArrowUp", [0, 2]), ("ArrowLeft", [0, 1]), ("Home", [0, 0]), ("ArrowLeft", [0, 0]), ("ArrowUp", [0, 0]),
                          ("End", [0, 2]), ("PageDown", [1, 2]), ("ArrowDown", [1, 2]), ("PageUp", [0, 2]), ("a", [0, 2])]:
        shown.page.keyboard.press(key)
        assert now(shown, "layer", "head") == expected
    assert shown.page.evaluate("document.activeElement.getAttribute('aria-label')") == "layer 0, head 2"
    cell(shown, 1, 0).click()
    assert now(shown, "layer", "head") == [1, 0] and "Layer 1, head 0" in shown.page.inner_text("header")
    assert cell(shown, 1, 0).get_attribute("aria-selected") == "true"
    assert shown.page.locator("[role=gridcell][tabindex='0']").count() == 1
    assert shown.saved()[-1] == {"layer": 1, "head": 0}


def test_tokens_by_keyboard(shown):
    option(shown, "query", 0).focus()
    for key, name in [("ArrowDown", "query 1: ·king"), ("End", f"query {T - 1}"), ("ArrowUp", f"query {T - 2}"), ("Home", "query 0"),
                      ("ArrowRight", "key 0"), ("ArrowDown", "key 1"), ("ArrowLeft", "query 1")]:
        shown.page.keyboard.press(key)
        assert shown.page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(name)
    assert now(shown, "query") == 1
    assert "query 1 ·king: " in shown.page.locator("[aria-live]").inner_text()
    shown.page.keyboard.press("Escape")
    assert now(shown, "query") == -1 and not any(values(shown))


def test_everything_is_reached_by_tab(shown):
    reached = []
    for _ in range(14):
        shown.page.keyboard.press("Tab")
        reached.append(shown.page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"))
    for part in ("Lines", "Matrix", "Scores", "Causal mask", "layer 1, head 2", "Search for heads", "query 0: The", "key 0: The"):
        assert part in reached


def test_names_for_screen_readers(shown):
    shown.push(pattern="induction")
    tree = shown.accessible()
    for part in ['region "Attention heads"', 'grid "All heads', 'gridcell "layer 0, head 0: induction', 'combobox "Search for heads"',
                 'button "Causal mask" [pressed]', 'listbox "Queries', 'option "key 4: ·fox"']:
        assert part in tree
    shown.push(view="matrix")
    assert 'application "Weights of layer 1, head 2' in shown.accessible()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_search(shown, view, pattern):
    shown.page.get_by_role("combobox").select_option(pattern)
    assert now(shown, "pattern") == pattern
    found, buttons = view.search(pattern), shown.page.locator(".results button")
    assert buttons.count() == 5
    for (layer, head, score), text in zip(found, buttons.all_inner_texts()):
        assert text.startswith(f"L{layer} H{head} ") and right([read(text.split()[-1])], [score])
    buttons.first.click()
    assert now(shown, "layer", "head") == list(found[0][:2])


def test_search_for_what_the_text_does_not_hold(blank_page):
    shown = blank_page(AttentionView(attentions=plain(), tokens=list("abcde")))
    shown.page.get_by_role("combobox").select_option("induction")
    assert "no pair" in shown.page.inner_text(".results")


# Plain weights, and what the switches can't do


def test_plain_weights(blank_page):
    weights = plain()
    shown = blank_page(AttentionView(attentions=weights, tokens=list("abcde"), layer=0, head=1))
    option(shown, "query", 3).focus()
    assert right(values(shown)[:4], weights[0, 1, 3, :4])
    assert shown.page.get_by_role("button", name="Causal mask").is_disabled() and shown.page.get_by_role("button", name="Scale").is_disabled()
    assert "the mask is in them" in shown.page.inner_text(".why")
    assert shown.page.get_by_role("button", name="Scores").count() == 0 and len(rows(shown)[0]) == 2


def test_plain_weights_that_look_ahead_can_be_masked(blank_page):
    weights = plain(causal=False)
    shown = blank_page(AttentionView(attentions=weights, tokens=list("abcde"), layer=0, head=1))
    option(shown, "query", 2).focus()
    assert right(values(shown), weights[0, 1, 2])
    press(shown, "Causal mask")
    assert right(values(shown)[:3], weights[0, 1, 2, :3] / weights[0, 1, 2, :3].sum())


def test_one_token(blank_page):
    shown = blank_page(AttentionView(attentions=np.ones((1, 1, 1, 1)), tokens=["a"]))
    option(shown, "query", 0).focus()
    assert values(shown) == [1.0]


# Size and speed


@pytest.fixture(scope="module")
def large():
    """GPT-2 small's shape with 64 tokens."""
    from tests.gpt2.conftest import make_tiny

    from bigmodel_nb.gpt2.load import load_gpt2

    tokenizer = load_gpt2("pocket")[1]
    model = make_tiny(n_layer=12, n_head=12, n_embd=768, initializer_range=0.06)
    return AttentionView(model, tokenizer, tokenizer.decode(list(range(300, 364))))


def test_gpt2_small_is_drawn_within_a_second_and_switched_within_50_ms(blank_page, large):
    shown = blank_page(large)
    first = shown.page.evaluate("""async () => {
      const el = document.body.appendChild(document.createElement("div")), start = performance.now();
      const stop = await window.module.default.render({ model, el });
      el.getBoundingClientRect();
      const taken = performance.now() - start;
      stop();
      el.remove();
      return taken;
    }""")
    assert first < 1000
    assert shown.fastest('model.set("layer", i % 12); model.set("head", (5 * i) % 12)') < 50
    for view in ("matrix", "scores"):
        shown.push(view=view)
        assert shown.fastest('model.set("layer", i % 12); model.set("head", (5 * i) % 12)') < 50
    shown.push(view="lines")
    assert shown.fastest('model.set("query", i)') < 50
    assert shown.fastest('model.set("scale", i % 2 > 0)') < 100  # all heads anew
    press(shown, "Causal mask")
    assert shown.answer() == [{"kind": "future"}]
    shown.push(layer=3, head=4, query=20, scale=True)
    scores, divisor = large._scores[3, 4, 20], large._divisors[3]
    assert right(values(shown), softmax(scores / divisor))
    assert shown.fastest('model.set("mask", i % 2 > 0)') < 100
    assert shown.fastest('model.set("layer", i % 12); model.set("head", (5 * i) % 12)') < 50


SWITCH = """
model.set("head", i % 2);
await null;
document.querySelector(".lines canvas").getContext("2d").getImageData(0, 0, 1, 1)
"""


@pytest.mark.parametrize(("T", "heads"), [(64, 2), (256, 2)])
def test_heads_that_look_everywhere_are_drawn_fast_too(blank_page, T, heads):
    weights = np.tri(T) / np.arange(1, T + 1)[:, None]
    shown = blank_page(AttentionView(attentions=np.tile(weights, (1, heads, 1, 1)), tokens=[str(i) for i in range(T)]))
    assert shown.fastest(SWITCH) < (50 if T == 64 else 150)  # with the pixels, which a browser paints later
    assert len(set(shown.page.evaluate("[...document.querySelector('.lines canvas').getContext('2d').getImageData(5, 0, 1, 600).data]"))) > 1


def test_fits_a_narrow_panel(shown):
    shown.fits(360)
    for view in ("matrix", "scores"):
        shown.push(view=view, query=3)
        shown.fits(360)


def test_clean_up_leaves_nothing(shown):
    shown.closes()
    before = shown.page.inner_text("body")
    shown.push(layer=0)
    assert shown.page.inner_text("body") == before


LAB = """
import bigmodel_nb as bn
bn.widgets.AttentionView  # loads the module
import sys
sys.modules["bigmodel_nb.widgets.attention_view"].ROOM = 0  # the scores of later tokens are then asked for
model, tokenizer = bn.load_gpt2()
view = bn.widgets.AttentionView(model, tokenizer, "The king had a fox, and the fox had a king.")
view
"""


def test_in_jupyterlab(lab):
    notebook = lab([LAB, "view.view = 'matrix'\nprint(view.heads)", "view.layer, view.head = 0, 1"])
    notebook.start()
    notebook.fallback()
    page = notebook.page
    page.wait_for_selector(".bn-attention .plane:not([hidden])")
    assert "Layer 0, head 1" in page.inner_text(".bn-attention header")
    page.get_by_role("gridcell", name="layer 0, head 1").focus()
    page.keyboard.press("ArrowDown")
    assert "Layer 1, head 1" in page.inner_text(".bn-attention header")
    notebook.keeps_keys()
    page.get_by_role("button", name="Lines").click()
    page.get_by_role("option", name="query 0:").focus()
    page.get_by_role("button", name="Causal mask").click()
    page.wait_for_function("[...document.querySelectorAll('.bn-attention .tokens.key .value')].every((it) => it.textContent)")
    notebook.dark()
