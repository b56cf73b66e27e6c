"""The drawing pad in a browser: its forward pass, mouse, touch, keyboard and screen readers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawn import DRAWN, small_cnn, trained_cnn
from torch import nn

from bigmodel_nb.widgets import DrawDigit
from bigmodel_nb.widgets.draw_digit import image_of, pen, placed


@pytest.fixture(scope="module")
def net():
    return trained_cnn()


def strokes(shown):
    return shown.page.evaluate("model.get('strokes')")


def pad(shown):
    return shown.page.get_by_role("application")


def at(shown, x, y):
    box = pad(shown).bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def draw(shown, drawing):
    mouse = shown.page.mouse
    for stroke in drawing:
        mouse.move(*at(shown, *stroke[0]))
        mouse.down()
        for point in stroke[1:]:
            mouse.move(*at(shown, *point), steps=6)
        mouse.up()


def test_images_equal_python(blank_page):
    shown, rng = blank_page(DrawDigit(small_cnn())), np.random.default_rng(0)
    drawings = [*DRAWN.values(), [], [[(0.5, 0.5)]], [[(0.1, 0.2)], [(0.3, 0.2), (0.3, 0.9)]]]
    drawings += [[rng.random((int(n), 2)).tolist() for n in rng.integers(1, 9, 3)] for _ in range(20)]
    for drawing in drawings:
        drawing = [[list(map(float, point)) for point in stroke] for stroke in drawing]
        assert shown.call("imageOf", drawing) == image_of(drawing)
        if drawing:
            assert np.allclose(shown.call("placed", drawing)[0], placed(drawing)[0])
            assert shown.call("pen", placed(drawing)) == pytest.approx(pen(placed(drawing)))


NETS = {
    "every layer": small_cnn(),
    "linear": nn.Sequential(nn.Flatten(), nn.Linear(64, 10)),
    "mlp": nn.Sequential(nn.Flatten(), nn.Linear(64, 32, bias=False), nn.ReLU(), nn.Linear(32, 10)),
    "deep": nn.Sequential(
        nn.Conv2d(1, 5, 5, stride=2, padding=3), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1),
        nn.Sequential(nn.Conv2d(5, 3, 1), nn.ReLU()), nn.AvgPool2d(2, 1), nn.Flatten(), nn.Linear(12, 10),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_forward_pass_equals_torch(blank_page, name):
    net = NETS[name].eval()
    widget, rng = DrawDigit(net, largest=2.0), np.random.default_rng(1)
    shown = blank_page(widget)
    images = [rng.integers(0, 17, (8, 8)) for _ in range(10)] + [np.zeros((8, 8), int)]
    with torch.no_grad():
        logits = net(torch.tensor(np.array(images) / 8, dtype=torch.float32)[:, None])
    for image, row in zip(images, logits):
        script = """([image]) => {
          const numbers = module.decode(model.get('weights')), data = image.flat().map((v) => v / 8);
          const out = module.forward(model.get('layers'), numbers, { data, shape: [1, 8, 8] });
          return [out.shape, [...out.data], module.answer(model.get('layers'), numbers, image, 2)];
        }"""
        shape, mine, probabilities = shown.page.evaluate(script, [image.tolist()])
        assert shape == [10] and np.allclose(mine, row.numpy(), atol=1e-4, rtol=1e-4)
        assert np.allclose(probabilities, row.softmax(0).numpy(), atol=1e-5)


@pytest.mark.parametrize("digit", [2, 7])
def test_drawing_with_the_mouse(blank_page, net, digit):
    shown = blank_page(DrawDigit(net))
    assert "The pad is empty." in shown.page.inner_text(".verdict")
    draw(shown, DRAWN[digit])
    assert f"It reads {digit}," in shown.page.inner_text(".verdict")
    assert len(strokes(shown)) == len(DRAWN[digit]) == len(shown.saved())
    assert shown.saved()[-1]["strokes"] == strokes(shown)
    expected = DrawDigit(net, strokes(shown)).probabilities
    written = [int(text.split()[-2]) for text in shown.page.locator(".bar .value").all_inner_texts()]  # "72 %", "> 99 %"
    assert np.abs(np.array(written) - 100 * expected).max() <= 1
    shown.page.mouse.move(*at(shown, 0.9, 0.9))  # the button is up: nothing is drawn
    assert len(strokes(shown)) == len(DRAWN[digit])


def test_answers_while_drawing(blank_page, net):
    shown = blank_page(DrawDigit(net))
    shown.page.mouse.move(*at(shown, 0.5, 0.1))
    shown.page.mouse.down()
    shown.page.mouse.move(*at(shown, 0.5, 0.9), steps=5)
    assert "It reads 1," in shown.page.inner_text(".verdict") and shown.saved() == []
    shown.page.mouse.move(*at(shown, 5.0, 0.9))  # beyond the pad: the line ends at its border
    assert max(x for x, y in strokes(shown)[0]) == 1
    shown.page.mouse.up()
    assert len(shown.saved()) == 1


def test_drawing_with_a_finger(blank_page, net):
    shown = blank_page(DrawDigit(net), has_touch=True)
    assert shown.page.evaluate("getComputedStyle(document.querySelector('.pad')).touchAction") == "none"
    client = shown.page.context.new_cdp_session(shown.page)
    touch = lambda kind, *points: client.send(  # noqa: E731
        "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [dict(zip("xy", p), id=i) for i, p in enumerate(points)]}
    )
    line = [(0.5, 0.1 + 0.1 * k) for k in range(9)]
    touch("touchStart", at(shown, *line[0]))
    for point in line[1:]:
        touch("touchMove", at(shown, *point))
    touch("touchMove", at(shown, *line[-1]), at(shown, 0.9, 0.9))  # a second finger draws nothing
    touch("touchEnd")
    assert len(strokes(shown)) == 1 and len(strokes(shown)[0]) >= 5
    assert "It reads 1," in shown.page.inner_text(".verdict")


def test_drawing_with_the_keys(blank_page, net):
    """A 7 from the keyboard: along the top, then down."""
    shown = blank_page(DrawDigit(net))
    pad(shown).focus()
    press = lambda key, times=1: [shown.page.keyboard.press(key) for _ in range(times)]  # noqa: E731
    press("ArrowLeft", 2)
    press("ArrowUp", 3)
    press(" ")
    assert "pen down at column 6, row 2" in shown.page.locator("[aria-live]").inner_text()
    press("ArrowRight", 5)
    press("ArrowDown", 12)
    press("Enter")
    press("ArrowLeft", 3)
    assert len(strokes(shown)) == 1 and strokes(shown)[0][0] == [5.5 / 16, 1.5 / 16]
    assert strokes(shown)[0][-1] == [10.5 / 16, 13.5 / 16]
    assert shown.saved()[-1]["strokes"] == strokes(shown)
    press(" ")
    press("ArrowLeft")
    assert len(strokes(shown)) == 2
    press("Backspace")
    assert len(strokes(shown)) == 1
    press("ArrowLeft")  # the pen was lifted
    assert len(strokes(shown)) == 1
    press("Delete")
    assert strokes(shown) == [] and "The pad is empty." in shown.page.inner_text(".verdict")
    press("x")
    assert strokes(shown) == []


def test_buttons(blank_page, net):
    shown = blank_page(DrawDigit(net, DRAWN[4]))
    shown.page.get_by_role("button", name="Undo").click()
    assert len(strokes(shown)) == 1 and shown.saved()[-1]["strokes"] == strokes(shown)
    shown.page.get_by_role("button", name="Clear").click()
    assert strokes(shown) == []
    shown.page.get_by_role("button", name="Undo").click()
    assert strokes(shown) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_names_and_theme(blank_page, net, dark):
    shown = blank_page(DrawDigit(net, DRAWN[3]), dark=dark)
    tree = shown.accessible()
    for part in ['region "Draw a digit"', "drawing pad: arrow keys move", 'button "Clear"', "the drawing as 8 by 8 numbers", "3: > 99 %"]:
        assert part in tree, part
    assert shown.page.locator("[aria-live]").inner_text() == "It reads 3, with over 99 %."
    shown.has_theme(dark)


def test_new_weights_from_the_kernel(blank_page, net):
    shown = blank_page(DrawDigit(net, DRAWN[3]))
    zero = DrawDigit(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    with torch.no_grad():
        for p in zero._net.parameters():
            p.zero_()
    blank = DrawDigit(zero._net)
    shown.push(layers=blank.layers, weights=blank.weights)
    assert shown.page.locator(".bar .value").all_inner_texts() == ["10 %"] * 10


def test_fits_a_narrow_panel(blank_page, net):
    blank_page(DrawDigit(net, DRAWN[3])).fits(360)


def test_clean_up_leaves_no_listener(blank_page, net):
    blank_page(DrawDigit(net)).closes()


def test_answer_is_quick(blank_page, net):
    """A drawing of 160 points, redrawn and read again."""
    shown = blank_page(DrawDigit(net))
    curve = "Array.from({ length: 160 }, (_, k) => [0.5 + 0.3 * Math.sin(k / 9 + i), 0.1 + k / 200])"
    assert shown.fastest(f'model.set("strokes", [{curve}])') < 50  # milliseconds


LAB = """
import bigmodel_nb as bn, torch
from torch import nn
torch.manual_seed(0)
w = bn.widgets.DrawDigit(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
w
"""


def test_lives_in_jupyterlab(lab):
    notebook = lab([LAB, "print(w.strokes)"])
    notebook.start()
    page = notebook.page
    notebook.fallback()
    surface = page.get_by_role("application")
    surface.wait_for()
    surface.focus()
    for key in (" ", "ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert "It reads" in page.inner_text(".bn-draw .verdict")
    page.keyboard.press("Delete")  # would clear the cell's output or delete cells
    assert "The pad is empty." in page.inner_text(".bn-draw .verdict")
    assert page.locator(".jp-CodeCell").count() == 2
    notebook.dark()
