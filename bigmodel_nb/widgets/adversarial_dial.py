"""A dial for the size of an attack: image, answer and margin follow it.

The attack's direction is that of the clean image, so a network's logits along it fit into a table. The
table travels to the browser, where adversarial_dial.js looks them up; tests compare both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import traitlets as t

from bigmodel_nb.errors import DataError
from bigmodel_nb.figures import BLUE, RED

from .base import CourseWidget, front_end, style
from .picture import FAINT, GRID, INK, Picture

LARGEST, POINTS = 0.5, 51  # epsilon from 0 to LARGEST, in steps that the slider takes
MOST_IMAGES, MOST_NETS, MOST_SIDE, MOST_CLASSES = 12, 3, 28, 20
ATTACKS = ("gradient", "random")
SHOWN = (0, 5, 10, 15, 20, 30, 40, 50)  # points of the table in the static picture
CELL = 15


def epsilons():
    """The sizes that the dial knows: float array (POINTS,)."""
    import numpy as np

    return np.linspace(0, LARGEST, POINTS)


def changed(image, direction, epsilon: float):
    """An image moved by epsilon along -1, 0 or 1 in each pixel, kept between 0 and 1.

    >>> changed([0.95, 0.5, 0.5], [1, -1, 0], 0.25).tolist()
    [1.0, 0.25, 0.5]
    """
    import numpy as np

    return np.clip(np.asarray(image, float) + epsilon * np.asarray(direction), 0, 1)


def margin(logits: Sequence[float], label: int) -> float:
    """The logit of the label minus the largest other: below 0 the answer is wrong.

    >>> margin([3.0, 1.0, 2.5], 0), margin([3.0, 1.0, 2.5], 2)
    (0.5, -0.5)
    """
    return float(logits[label]) - max(float(z) for c, z in enumerate(logits) if c != label)


class AdversarialDial(CourseWidget):
    """Images, an attack on each, and what networks read while epsilon is turned.

    nets: a torch module, a pair of arrays (w (C, H * W), b (C,)) of a linear classifier, or a dict
        from names to up to three of these. A module takes (N, 1, H, W) and gives logits (N, C).
    images: (N, H, W), between 0 and 1; labels: the right class of each.
    The attack is the sign of the loss' gradient at the clean image; for comparison, random signs.
    """

    _esm = front_end("adversarial_dial")
    _css = style("adversarial_dial")

    nets = t.List(t.Unicode()).tag(sync=True)
    shape = t.List(t.Int()).tag(sync=True)  # images, height, width, classes
    pixels = t.Bytes().tag(sync=True)  # float32 (N, H, W)
    directions = t.Bytes().tag(sync=True)  # int8 (attacks, nets, N, H, W)
    logits = t.Bytes().tag(sync=True)  # float32 (attacks, nets, N, POINTS, C)
    labels = t.List(t.Int()).tag(sync=True)
    largest = t.Float(LARGEST).tag(sync=True)
    epsilon = t.Float(0.1).tag(sync=True)
    image = t.Int(0).tag(sync=True)
    net = t.Int(0).tag(sync=True)
    attack = t.Int(0).tag(sync=True)

    def __init__(self, nets: Any, images: Any, labels: Sequence[int], epsilon: float = 0.1, image: int = 0) -> None:
        import numpy as np

        x, y = _images(images), [int(label) for label in labels]
        named = nets if isinstance(nets, Mapping) else {"the network": nets}
        if not 1 <= len(named) <= MOST_NETS:
            raise DataError(f"AdversarialDial shows 1 to {MOST_NETS} networks; got {len(named)}.")
        if len(y) != len(x):
            raise DataError(f"images and labels must be as many; there are {len(x)} and {len(y)}.")
        if not 0 <= image < len(x):
            raise DataError(f"image must be a number from 0 to {len(x) - 1}; got {image}.")
        if not 0 <= epsilon <= LARGEST:
            raise DataError(f"epsilon must lie between 0 and {LARGEST:g}; got {epsilon:g}.")
        random = np.random.default_rng(0).choice([-1, 1], size=x.shape)
        slopes = [_measured(_callable(net, x), x, y, name) for name, net in named.items()]
        directions = np.array([slopes, [random] * len(named)], dtype=np.int8)
        self._x, self._directions = x, directions
        self._logits = np.array([
            [_along(_callable(net, x), x, d) for net, d in zip(named.values(), row)] for row in directions
        ])  # fmt: skip
        self._first = (image, round(epsilon / LARGEST * (POINTS - 1)))
        super().__init__(
            nets=[str(name) for name in named],
            shape=[*x.shape, self._logits.shape[-1]],
            pixels=x.astype("<f4").tobytes(),
            directions=directions.tobytes(),
            logits=self._logits.astype("<f4").tobytes(),
            labels=y,
            epsilon=self._first[1] * LARGEST / (POINTS - 1),
            image=image,
        )

    def _now(self):
        """Logits of the shown network as the dial stands."""
        point = round(self.epsilon / LARGEST * (POINTS - 1))
        return self._logits[self.attack, self.net, self.image, point]

    @property
    def changed(self):
        """The image as the dial stands now: float array (H, W)."""
        return changed(self._x[self.image], self._directions[self.attack, self.net, self.image], self.epsilon)

    @property
    def reading(self) -> int:
        """The class that the shown network reads now."""
        return int(self._now().argmax())

    @property
    def margin(self) -> float:
        """The margin of the shown network now."""
        return margin(self._now(), self.labels[self.image])

    def _read(self, attack: int, net: int, point: int) -> int:
        return int(self._logits[attack, net, self._first[0], point].argmax())

    def describe(self) -> str:
        image, point = self._first
        readings = ", ".join(f"{name!r} reads {self._read(0, k, point)}" for k, name in enumerate(self.nets))
        epsilon = point * LARGEST / (POINTS - 1)
        count = len(self.labels)
        return (
            f"AdversarialDial: image {image} of {count}, a {self.labels[image]}, every pixel changed by at most "
            f"{epsilon:.2f} to mislead: {readings}"
        )

    def picture(self) -> Picture:
        """The image, the image changed, and what each network reads for some epsilons, as at first."""
        (image, point), (_, high, wide, _) = self._first, self.shape
        epsilon, label = point * LARGEST / (POINTS - 1), self.labels[image]
        rows = len(self.nets) * len(ATTACKS)
        picture = Picture(680, max(190, 66 + 24 * rows), self.describe())
        cell = CELL * 8 / max(high, wide)
        for left, title, step in ((12, f"the image, a {label}", 0.0), (146, f"epsilon {epsilon:.2f}", epsilon)):
            picture.text(left, 20, title, 12, FAINT)
            for r, row in enumerate(changed(self._x[image], self._directions[0, 0, image], step)):
                for c, value in enumerate(row):
                    shade = f"{round(255 - 224 * float(value)):02x}"
                    picture.rect(left + c * cell, 30 + r * cell, cell, cell, f"#{shade * 3}", GRID)
        picture.text(12, 30 + CELL * 8 + 20, f"changed against {_short(self.nets[0], 26)}", 11, FAINT)
        picture.text(284, 20, "what is read at epsilon", 12, FAINT)
        for k, at in enumerate(SHOWN):
            picture.text(462 + 28 * k, 40, f"{at * LARGEST / (POINTS - 1):.2f}", 10, FAINT, "middle")
        for line in range(rows):
            net, attack = divmod(line, len(ATTACKS))
            words = f"{_short(self.nets[net], 18)}, {'attack' if attack == 0 else 'random'}"
            picture.text(284, 64 + 24 * line, words, 11, INK)
            for k, at in enumerate(SHOWN):
                read = self._read(attack, net, at)
                picture.text(462 + 28 * k, 64 + 24 * line, str(read), 13, BLUE if read == label else RED, "middle")
        return picture


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _images(images: Any):
    """Images as a float array (N, H, W); DataError unless they are some and lie between 0 and 1."""
    import numpy as np

    x = np.asarray(images.detach().cpu() if hasattr(images, "detach") else images, dtype=np.float64)
    if x.ndim == 4 and x.shape[1] == 1:
        x = x[:, 0]
    if x.ndim != 3 or not 1 <= len(x) <= MOST_IMAGES or max(x.shape[1:]) > MOST_SIDE or min(x.shape) < 1:
        raise DataError(
            f"images must be (N, H, W): up to {MOST_IMAGES} images of up to {MOST_SIDE} x {MOST_SIDE} pixels; "
            f"their shape is {x.shape}."
        )
    if not (np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1):
        raise DataError("pixels must lie between 0 and 1: divide by the largest value, such as 16 or 255.")
    return x


def _callable(net: Any, x) -> Callable:
    """A network as a function from images (N, 1, H, W) to logits (N, C)."""
    if not isinstance(net, (tuple, list)):
        return net
    import torch

    w, b = (torch.as_tensor(part, dtype=torch.float32) for part in net)
    if w.ndim != 2 or w.shape[1] != x[0].size or b.shape != w.shape[:1]:
        raise DataError(
            f"arrays of a linear classifier must be w (C, {x[0].size}) and b (C,); got {tuple(w.shape)} and {tuple(b.shape)}."
        )
    return lambda z: z.flatten(1) @ w.T + b


def _measured(net: Callable, x, y: list[int], name: str):
    """Signs of the gradient of each image's own loss: (N, H, W)."""
    import torch
    import torch.nn.functional as F

    def loss(z, logits):
        return F.cross_entropy(logits, torch.tensor(y), reduction="sum")

    z = torch.tensor(x, dtype=_dtype(net))[:, None].requires_grad_(True)
    with _as_used(net):
        logits = _tried(net, z, name)
        if max(y) >= logits.shape[1] or min(y) < 0:
            raise DataError(f"labels must be classes from 0 to {logits.shape[1] - 1}; got {min(y)} to {max(y)}.")
        (gradient,) = torch.autograd.grad(loss(z, logits), z)
    return gradient[:, 0].sign().numpy()


def _along(net: Callable, x, direction):
    """Logits of each image at every epsilon: (N, POINTS, C)."""
    import numpy as np
    import torch

    moved = np.stack([changed(x, direction, e) for e in epsilons()], axis=1)  # (N, POINTS, H, W)
    z = torch.tensor(moved, dtype=_dtype(net)).flatten(0, 1)[:, None]
    with _as_used(net), torch.no_grad():
        logits = net(z)
    return logits.numpy().reshape(len(x), POINTS, -1)


def _dtype(net: Callable):
    """That of a module's parameters; float32 for any other function."""
    import torch

    first = next(net.parameters(), None) if hasattr(net, "parameters") else None
    return torch.float32 if first is None else first.dtype


def _tried(net: Callable, z, name: str):
    """The network's logits; DataError where it doesn't take the images or doesn't give logits."""
    try:
        logits = net(z)
    except RuntimeError as error:
        raise DataError(f"{name!r} does not take images {tuple(z.shape)}: {error}") from None
    if logits.ndim != 2 or len(logits) != len(z) or not 2 <= logits.shape[1] <= MOST_CLASSES:
        raise DataError(
            f"{name!r} must give logits (N, C) with 2 to {MOST_CLASSES} classes; its result has the shape {tuple(logits.shape)}."
        )
    return logits


class _as_used:
    """A module in eval mode for a while."""

    def __init__(self, net: Any) -> None:
        self.net = net if hasattr(net, "training") else None

    def __enter__(self) -> None:
        self.was_training = self.net is not None and self.net.training
        if self.was_training:
            self.net.eval()

    def __exit__(self, *error: object) -> None:
        if self.was_training:
            self.net.train()
