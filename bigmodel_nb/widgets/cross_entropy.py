"""A predicted distribution to drag, beside the true one, and what the difference costs.

The mathematics stands here and, for the browser, in cross_entropy.js; tests compare the two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import traitlets as t

from bigmodel_nb.errors import DataError
from bigmodel_nb.figures import BLUE, RED

from .base import CourseWidget, front_end, style
from .picture import FAINT, GRID, INK, Picture

MOST = 10  # outcomes that a picture of this size holds
LEAST = 1e-3  # smallest probability that can be dragged to; the largest is 1 minus it
LIMIT = 12.0  # largest absolute logit
WIDTH, HEIGHT = 680, 270
LEFT, RIGHT, TOP, BOTTOM = 40, 668, 28, 168


def softmax(logits: Sequence[float]) -> list[float]:
    """Probabilities from logits.

    >>> softmax([0.0, 0.0])
    [0.5, 0.5]
    """
    top = max(logits)
    e = [math.exp(z - top) for z in logits]
    return [a / sum(e) for a in e]


def log_softmax(logits: Sequence[float]) -> list[float]:
    """Logarithms of `softmax`, exact where a probability would be rounded to 0."""
    top = max(logits)
    log_sum = top + math.log(sum(math.exp(z - top) for z in logits))
    return [z - log_sum for z in logits]


def measure(p: Sequence[float], logits: Sequence[float]) -> dict:
    """q, entropy of p, cross-entropy and KL(p || q) in nats, perplexity of q where p is true.

    >>> m = measure([0.5, 0.5], [0.0, 0.0])
    >>> round(m["entropy"], 4), round(m["kl"], 4), round(m["perplexity"], 4)
    (0.6931, 0.0, 2.0)
    """
    log_q = log_softmax(logits)
    entropy = sum(-a * math.log(a) for a in p if a > 0)
    cross = sum(-a * b for a, b in zip(p, log_q) if a > 0)
    return {
        "q": softmax(logits),
        "entropy": entropy,
        "cross_entropy": cross,
        "kl": max(0.0, cross - entropy),
        "perplexity": math.exp(cross) if cross < 700 else math.inf,
    }


def with_probability(logits: Sequence[float], k: int, value: float) -> list[float]:
    """Logits whose softmax has `value` at k and keeps the ratios of all others: one logit moves.

    >>> [round(q, 3) for q in softmax(with_probability([0.0, 0.0, 0.0], 0, 0.5))]
    [0.5, 0.25, 0.25]
    """
    value = min(1 - LEAST, max(LEAST, value))
    others = [z for i, z in enumerate(logits) if i != k]
    top = max(others)
    log_others = top + math.log(sum(math.exp(z - top) for z in others))
    moved = log_others + math.log(value / (1 - value))
    return [min(LIMIT, max(-LIMIT, moved)) if i == k else z for i, z in enumerate(logits)]


class CrossEntropy(CourseWidget):
    """Bars of a true distribution `p` and of a prediction that can be dragged.

    p: probabilities that sum to 1; q: the prediction at first, uniform if not given; labels: names
    of the outcomes. The prediction is kept as `logits`; one toggle shows them in place of the
    probabilities, another changes nats to bits.
    """

    _esm = front_end("cross_entropy")
    _css = style("cross_entropy")

    labels = t.List(t.Unicode()).tag(sync=True)
    p = t.List(t.Float()).tag(sync=True)
    logits = t.List(t.Float()).tag(sync=True)
    start = t.List(t.Float()).tag(sync=True)
    show_logits = t.Bool().tag(sync=True)
    bits = t.Bool().tag(sync=True)

    def __init__(
        self,
        p: Sequence[float] = (0.5, 0.25, 0.125, 0.125),
        q: Sequence[float] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        p = _distribution("p", p)
        q = _distribution("q", q if q is not None else [1 / len(p)] * len(p))
        names = [str(label) for label in labels] if labels is not None else _letters(len(p))
        if not len(p) == len(q) == len(names):
            raise DataError(
                f"p, q and labels must have the same length; they have {len(p)}, {len(q)} and {len(names)}."
            )
        logs = [math.log(max(a, 1e-9)) for a in q]
        middle = sum(logs) / len(logs)
        logits = [min(LIMIT, max(-LIMIT, a - middle)) for a in logs]
        super().__init__(labels=names, p=p, logits=logits, start=logits)

    @property
    def q(self) -> list[float]:
        """The prediction as it stands now."""
        return softmax(self.logits)

    def describe(self) -> str:
        m = measure(self.p, self.start)
        return (
            f"CrossEntropy over {len(self.p)} outcomes: entropy {m['entropy']:.3f} + "
            f"KL {m['kl']:.3f} = cross-entropy {m['cross_entropy']:.3f} nats"
        )

    def picture(self) -> Picture:
        """Bars of p and q, and the cross-entropy split into entropy and KL, as at first."""
        picture, m = Picture(WIDTH, HEIGHT, self.describe()), measure(self.p, self.start)
        picture.text(LEFT, 16, "true p", colour=BLUE)
        picture.text(LEFT + 60, 16, "predicted q", colour=RED)
        for value in (0, 0.5, 1):
            y = BOTTOM - value * (BOTTOM - TOP)
            picture.line([(LEFT, y), (RIGHT, y)], GRID, 1)
            picture.text(LEFT - 6, y + 4, f"{value:g}", 11, FAINT, "end")
        slot = (RIGHT - LEFT) / len(self.p)
        for i, (label, a, b) in enumerate(zip(self.labels, self.p, m["q"])):
            middle, wide = LEFT + (i + 0.5) * slot, min(30, slot * 0.36)
            for x, value, colour in ((middle - wide - 1, a, BLUE), (middle + 1, b, RED)):
                picture.rect(x, BOTTOM - value * (BOTTOM - TOP), wide, value * (BOTTOM - TOP), colour)
                picture.text(x + wide / 2, BOTTOM - value * (BOTTOM - TOP) - 4, f"{value + 1e-9:.2f}", 10, INK, "middle")
            short = label if len(label) <= slot / 8 else label[: max(1, int(slot / 8) - 1)] + "…"
            picture.text(middle, BOTTOM + 16, short, 12, INK, "middle")
        self._split(picture, m)
        return picture

    def _split(self, picture: Picture, m: dict) -> None:
        unit = (RIGHT - LEFT) / max(2 * m["entropy"], m["cross_entropy"], 0.1)
        edge = LEFT + m["entropy"] * unit
        picture.rect(LEFT, 204, m["entropy"] * unit, 18, BLUE)
        picture.rect(edge, 204, m["kl"] * unit, 18, RED)
        picture.text(LEFT, 240, f"entropy {m['entropy']:.3f} nats", colour=BLUE)
        picture.text(LEFT + 170, 240, f"+ KL {m['kl']:.3f}", colour=RED)
        total = f"= cross-entropy {m['cross_entropy']:.3f}; perplexity {m['perplexity']:.2f}"
        picture.text(LEFT + 270, 240, total)


def _distribution(name: str, values: Sequence[float]) -> list[float]:
    """The values as floats; DataError unless they are 2 to MOST probabilities that sum to 1."""
    values = [float(a) for a in values]
    if not 2 <= len(values) <= MOST:
        raise DataError(f"{name} has {len(values)} outcomes; the widget shows 2 to {MOST}.")
    if not all(math.isfinite(a) and a >= 0 for a in values) or abs(sum(values) - 1) > 1e-6:
        shown = ", ".join(f"{a:g}" for a in values)
        raise DataError(f"{name} must be probabilities that sum to 1; got {shown}. Divide by the sum.")
    return values


def _letters(n: int) -> list[str]:
    return [chr(ord("A") + i) for i in range(n)]
