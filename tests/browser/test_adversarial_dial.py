"""The adversarial dial in a browser: its mathematics, mouse, keyboard and screen readers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bigmodel_nb.widgets import AdversarialDial
from bigmodel_nb.widgets.adversarial_dial import POINTS, changed, margin

MARKUP = "<img src=x onerror='window.hacked = true'>"


def net(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


@pytest.fixture
def widget():
    """Image 1 is read rightly at first, and wrongly from some epsilon on."""
    x, first = np.random.default_rng(0).random((4, 8, 8)), net(0)
    with torch.no_grad():
        right = first(torch.tensor(x, dtype=torch.float32)[:, None]).argmax(1).tolist()
    return AdversarialDial({"plain": first, MARKUP: net(1)}, x, right, epsilon=0.0, image=1)


def now(shown, name="epsilon"):
    return shown.page.evaluate(f"model.get('{name}')")


def dial(shown):
    return shown.page.get_by_role("slider")


def verdict(shown):
    return shown.page.inner_text(".verdict")


def test_mathematics_equals_python(blank_page, widget):
    shown, rng = blank_page(widget), np.random.default_rng(1)
    script = """([a, k, n, p]) => {
      const held = module.tables((name) => model.get(name));
      return [[...held.image(n)], [...held.direction(a, k, n)], [...held.logits(a, k, n, p)]];
    }"""
    for _ in range(20):
        a, k, n, p = (int(rng.integers(top)) for top in (2, 2, 4, POINTS))
        image, direction, logits = shown.page.evaluate(script, [a, k, n, p])
        assert np.allclose(image, widget._x[n].ravel()) and np.array_equal(direction, widget._directions[a, k, n].ravel())
        assert np.allclose(logits, widget._logits[a, k, n, p], atol=1e-5)
        label, epsilon = widget.labels[n], float(rng.random() / 2)
        assert shown.call("margin", logits, label) == pytest.approx(margin(logits, label))
        assert np.allclose(shown.call("changed", image, direction, epsilon), changed(image, direction, epsilon))
        assert np.allclose(shown.call("softmax", logits), torch.tensor(logits).softmax(0).numpy(), atol=1e-6)
    assert shown.call("falls", [2, 0, -0.1, 3]) == 2 and shown.call("falls", [1, 2]) == -1


def test_turning_the_dial_with_the_keys(blank_page, widget):
    shown = blank_page(widget)
    label = widget.labels[1]
    assert f"It reads {label} (" in verdict(shown)
    dial(shown).focus()
    for key, expected in (("ArrowRight", 0.01), ("ArrowUp", 0.02), ("ArrowLeft", 0.01), ("End", 0.5), ("Home", 0.0)):
        shown.page.keyboard.press(key)
        assert now(shown) == pytest.approx(expected)
    shown.page.keyboard.press("End")
    widget.epsilon = 0.5
    assert widget.reading != label and f"It reads {widget.reading} and not {label}" in verdict(shown)
    assert f"margin {widget.margin:.1f}" in verdict(shown)
    assert dial(shown).get_attribute("aria-valuetext") == "0.50"
    assert shown.saved()[-1]["epsilon"] == pytest.approx(0.5)


def test_image_answer_and_margin_are_redrawn_without_the_kernel(blank_page, widget):
    """Every picture follows the slider before anything is sent."""
    shown = blank_page(widget)
    read = "[...document.querySelectorAll('figure:nth-of-type(3) rect')].map((r) => r.getAttribute('fill-opacity'))"
    picture = lambda: shown.page.evaluate(read)  # noqa: E731
    before, circle = picture(), shown.page.locator(".chart circle").get_attribute("cy")
    shown.page.evaluate("const i = document.querySelector('input[type=range]'); i.value = 0.2; i.dispatchEvent(new Event('input'))")
    shown.page.wait_for_function("document.querySelector('output').textContent === '0.20'")
    widget.epsilon = 0.2
    assert picture() != before and shown.page.locator(".chart circle").get_attribute("cy") != circle
    opacity = np.array(picture()[1:], float)  # the first is the paper
    assert np.allclose(opacity, widget.changed.ravel(), atol=1e-6)
    assert shown.saved() == []


def test_dragging_in_the_chart(blank_page, widget):
    shown = blank_page(widget)
    box = shown.page.locator(".chart").bounding_box()
    mouse, middle = shown.page.mouse, box["y"] + 60
    mouse.move(box["x"] + 60, middle)
    mouse.down()
    mouse.move(box["x"] + 300, middle, steps=5)
    during = now(shown)
    assert 0.1 < during < 0.4 and shown.saved() == []
    mouse.move(box["x"] + 5000, middle)
    mouse.up()
    assert now(shown) == pytest.approx(0.5) and len(shown.saved()) == 1
    mouse.move(box["x"] + 60, middle)  # the button is up: nothing moves
    assert now(shown) == pytest.approx(0.5)


def test_buttons(blank_page, widget):
    shown = blank_page(widget)
    shown.page.get_by_role("button", name="image 3").click()
    assert now(shown, "image") == 3 and f"a {widget.labels[3]}" in shown.page.inner_text("figure >> nth=0")
    shown.page.get_by_role("button", name="random signs").click()
    shown.page.get_by_role("button", name=MARKUP).click()
    assert now(shown, "attack") == 1 and now(shown, "net") == 1
    assert [saved for saved in shown.saved() if saved] == [{"image": 3}, {"attack": 1}, {"net": 1}]
    pressed = shown.page.locator("button[aria-pressed=true]").all_inner_texts()
    assert [text for text in pressed if text] == ["random signs", MARKUP]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_names_and_theme(blank_page, widget, dark):
    shown = blank_page(widget, dark=dark)
    tree = shown.accessible()
    for part in ['region "Adversarial dial"', 'slider "epsilon, the largest change of a pixel"', 'button "random signs"',
                 "what the network gets; it reads", "margin against epsilon: attack, below 0 from epsilon"]:  # fmt: skip
        assert part in tree, part
    assert shown.page.locator("[aria-live]").inner_text().startswith("epsilon 0.00: It reads")
    shown.has_theme(dark)
    assert shown.page.evaluate("window.hacked") is None and shown.page.locator(".bn img").count() == 0


def test_one_network_needs_no_choice(blank_page):
    shown = blank_page(AdversarialDial(net(0), np.zeros((1, 8, 8)), [0]))
    assert shown.page.get_by_role("group", name="network").count() == 0


def test_fits_a_narrow_panel(blank_page, widget):
    blank_page(widget).fits(360)


def test_clean_up_leaves_no_listener(blank_page, widget):
    blank_page(widget).closes()


def test_redraw_is_quick(blank_page, widget):
    shown = blank_page(widget)
    assert shown.fastest('model.set("epsilon", i / 50)') < 50  # milliseconds


LAB = """
import bigmodel_nb as bn, numpy as np, torch
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
w = bn.widgets.AdversarialDial(net, np.random.default_rng(0).random((3, 8, 8)), [1, 2, 3])
w
"""


def test_lives_in_jupyterlab(lab):
    notebook = lab([LAB, "print(w.epsilon)"])
    notebook.start()
    page = notebook.page
    notebook.fallback()
    dial = page.get_by_role("slider", name="epsilon")
    dial.wait_for()
    dial.focus()
    page.keyboard.press("ArrowRight")
    assert dial.get_attribute("aria-valuetext") == "0.11"
    assert "It reads" in page.inner_text(".bn-dial .verdict")
    notebook.keeps_keys()
    notebook.dark()
