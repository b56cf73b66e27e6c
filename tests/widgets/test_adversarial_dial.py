"""The adversarial dial's table, input and fallback."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bigmodel_nb.errors import DataError
from bigmodel_nb.widgets import AdversarialDial
from bigmodel_nb.widgets.adversarial_dial import ATTACKS, LARGEST, POINTS, changed, epsilons, margin

MARKUP = "<script>window.hacked = true</script>"


def small_net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, 3))


def images(n=3, seed=0):
    return np.random.default_rng(seed).random((n, 4, 4))


def test_the_table_is_the_network_along_the_attack():
    net, x, y = small_net(), images(), [0, 1, 2]
    net.train()
    dial = AdversarialDial({"one": net, "two": small_net(1)}, x, y)
    assert net.training  # left as it was
    net.eval()
    z = torch.tensor(x, dtype=torch.float32)[:, None].requires_grad_(True)
    F.cross_entropy(net(z), torch.tensor(y)).backward()
    sign = z.grad.sign()
    signs = np.frombuffer(dial.directions, np.int8).reshape(2, 2, 3, 4, 4)
    table = np.frombuffer(dial.logits, "<f4").reshape(2, 2, 3, POINTS, 3)
    assert np.array_equal(signs[0, 0], sign[:, 0].numpy())
    assert set(np.unique(signs[1])) == {-1, 1} and np.array_equal(signs[1, 0], signs[1, 1])
    for point, epsilon in enumerate(epsilons()):
        with torch.no_grad():
            expected = net((z + epsilon * sign).clamp(0, 1))
        assert np.allclose(table[0, 0, :, point], expected.numpy(), atol=1e-5)


def test_state_follows_the_dial():
    net, x = small_net().eval(), images()
    dial = AdversarialDial(net, x, [0, 1, 2])
    dial.image, dial.epsilon, dial.attack = 2, 0.25, 1
    now = torch.tensor(dial.changed, dtype=torch.float32)[None, None]
    with torch.no_grad():
        logits = net(now)[0].numpy()
    assert dial.reading == logits.argmax()
    assert dial.margin == pytest.approx(logits[2] - max(logits[0], logits[1]), abs=1e-5)
    assert np.abs(dial.changed - x[2]).max() <= 0.25 + 1e-9 and dial.changed.min() >= 0 and dial.changed.max() <= 1


def test_margin_and_change_by_hand():
    assert margin([2.0, 5.0], 1) == 3 and margin([2.0, 5.0, 7.0], 1) == -2
    assert changed([0.1, 0.9], [-1, 1], 0.3).tolist() == [0, 1]
    assert epsilons()[0] == 0 and epsilons()[-1] == LARGEST and len(epsilons()) == POINTS and len(ATTACKS) == 2


def test_a_linear_classifier_from_arrays():
    rng = np.random.default_rng(1)
    w, b, x = rng.normal(size=(3, 16)), rng.normal(size=3), images(1)
    dial = AdversarialDial((w, b), x, [1], epsilon=0)
    assert dial.margin == pytest.approx(margin(w @ x[0].ravel() + b, 1), abs=1e-4)
    two = AdversarialDial((w[:2], b[:2]), np.full((1, 4, 4), 0.5), [0])
    assert np.array_equal(two._directions[0, 0, 0], np.sign(w[1] - w[0]).reshape(4, 4))


def test_images_with_a_channel_and_tensors():
    x = torch.rand(2, 1, 4, 4)
    for net in (small_net(), small_net().double(), lambda z: z.flatten(1)[:, :3]):
        assert AdversarialDial(net, x, torch.tensor([0, 1])).shape == [2, 4, 4, 3]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(images=np.zeros((4, 4))), r"images must be \(N, H, W\)"),
        (dict(images=np.zeros((13, 4, 4)), labels=[0] * 13), "up to 12 images"),
        (dict(images=np.zeros((1, 30, 30)), labels=[0]), "28 x 28"),
        (dict(images=16 * images()), "between 0 and 1: divide"),
        (dict(labels=[0, 1]), "as many; there are 3 and 2"),
        (dict(labels=[0, 1, 3]), "classes from 0 to 2; got 0 to 3"),
        (dict(epsilon=0.7), "between 0 and 0.5; got 0.7"),
        (dict(image=3), "from 0 to 2; got 3"),
        (dict(nets={}), "1 to 3 networks; got 0"),
        (dict(nets=nn.Linear(7, 3)), "does not take images"),
        (dict(nets=nn.Flatten(0)), r"must give logits \(N, C\)"),
        (dict(nets=(np.zeros((3, 9)), np.zeros(3))), r"w \(C, 16\) and b \(C,\); got \(3, 9\)"),
    ],
)
def test_wrong_input_says_what_to_do(arguments, message):
    with pytest.raises(DataError, match=message):
        AdversarialDial(**{"nets": small_net(), "images": images(), "labels": [0, 1, 2], **arguments})


def test_text_form_and_picture_are_of_the_start():
    net = small_net()
    with torch.no_grad():
        net[-1].bias[1] = 50.0
    dial = AdversarialDial({MARKUP: net}, images(), [0, 1, 2], epsilon=0.2, image=1)
    text, svg = repr(dial), dial.static_svg()
    assert text.startswith("AdversarialDial: image 1 of 3, a 1, every pixel changed by at most 0.20 to mislead: ")
    assert text.endswith("reads 1")
    dial.epsilon, dial.image = 0.4, 0
    assert repr(dial) == text and dial.static_svg() == svg
    assert "<script" not in svg
    ET.fromstring(svg)
    assert dial.static_png().startswith(b"\x89PNG")


def test_output_is_small():
    big = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    dial = AdversarialDial({"plain": big, "other": big}, images(8).repeat(2, 1).repeat(2, 2), list(range(8)))
    data, _ = dial._repr_mimebundle_()
    state = json.dumps(dial.get_state(), default=lambda raw: raw.hex())
    assert len(json.dumps(data)) < 100_000 and len(state) < 250_000
