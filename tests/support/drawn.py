"""Ten digits drawn by hand, and small networks to read them."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

DRAWN = {
    0: [[(.5, .1), (.32, .2), (.26, .5), (.34, .8), (.5, .9), (.66, .8), (.74, .5), (.68, .2), (.5, .1)]],
    1: [[(.38, .28), (.55, .1), (.55, .9)]],
    2: [[(.3, .26), (.4, .12), (.58, .1), (.69, .24), (.63, .44), (.45, .66), (.27, .88), (.74, .88)]],
    3: [[(.28, .2), (.42, .11), (.58, .12), (.67, .24), (.6, .4), (.45, .47), (.62, .53), (.7, .68), (.6, .84),
         (.42, .88), (.27, .8)]],
    4: [[(.45, .1), (.25, .6), (.78, .6)], [(.64, .4), (.6, .92)]],
    5: [[(.7, .12), (.36, .12), (.32, .46), (.52, .42), (.68, .54), (.69, .74), (.54, .88), (.3, .84)]],
    6: [[(.64, .1), (.42, .3), (.32, .58), (.36, .8), (.52, .9), (.67, .8), (.66, .62), (.5, .54), (.35, .64)]],
    7: [[(.28, .13), (.72, .13), (.58, .45), (.46, .9)], [(.38, .5), (.7, .5)]],
    8: [[(.5, .48), (.35, .36), (.36, .18), (.52, .1), (.66, .2), (.64, .36), (.5, .48), (.33, .62), (.32, .8), (.5, .9),
         (.68, .8), (.67, .62), (.5, .48)]],
    9: [[(.66, .3), (.52, .12), (.36, .2), (.34, .38), (.48, .5), (.64, .4), (.66, .28), (.64, .6), (.54, .9)]],
}  # fmt: skip


def small_cnn(seed: int = 0) -> nn.Sequential:
    """An untrained network with every kind of layer that the pad can compute."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 1), nn.Dropout(0.5),
        nn.Conv2d(6, 9, 3, stride=2, padding=2, bias=False), nn.ReLU(), nn.AvgPool2d(2, 1, padding=1),
        nn.Flatten(), nn.Linear(9 * 6 * 6, 20), nn.ReLU(), nn.Identity(), nn.Linear(20, 10),
    ).eval()  # fmt: skip


@functools.cache
def trained_cnn(steps: int = 400) -> nn.Sequential:
    """A network that has learned scikit-learn's digits."""
    torch.manual_seed(0)
    digits = load_digits()
    x, y = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None], torch.tensor(digits.target)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for _ in range(steps):
        rows = torch.randint(len(x), (64,))
        loss = F.cross_entropy(net(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval()
