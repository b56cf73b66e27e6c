"""Live display of a training run: loss curve, speed, memory, time left, samples.

`progress_display` chooses: a widget in a notebook, plain lines elsewhere.
"""

from __future__ import annotations

import math
import sys
import time

import traitlets as t

from bigmodel_nb.figures import BLUE, RED

from .base import CourseWidget, front_end, style
from .picture import FAINT, Axes, Picture

NOTE = "live display while the cell runs; afterwards result.plot() shows the curve"
SAMPLES, CHARACTERS = 8, 500  # kept samples, characters of each


def _short(x: float, digits: int = 4) -> float | None:
    """Round to a few significant digits; None stands for NaN and infinity, which JSON lacks."""
    return float(f"{x:.{digits}g}") if math.isfinite(x) else None


def thin(items: list, limit: int) -> list:
    """Drop every other inner item while there are more than `limit`; the ends stay.

    >>> thin([0, 1, 2, 3, 4, 5], 4)
    [0, 2, 4, 5]
    """
    while len(items) > limit:
        items = [*items[:-1:2], items[-1]]
    return items


class Curve:
    """A loss curve of any length in at most `limit` points.

    When full, neighbours are averaged in pairs, so that a point stands for 1, 2, 4, ... steps.
    The smoothed value is an exponential mean over all steps, corrected for its start at zero.
    """

    def __init__(self, limit: int = 600, smoothing: float = 0.9) -> None:
        self.limit, self.smoothing, self.stride = limit, smoothing, 1
        self._full: list[list] = []  # [last step, mean loss or None, smoothed loss]
        self._open: list[list] = []
        self._mean, self._weight = 0.0, 0.0

    def add(self, step: int, loss: float) -> None:
        """Append the loss of one step; NaN and infinity make a gap."""
        if math.isfinite(loss):
            self._mean = self.smoothing * self._mean + (1 - self.smoothing) * loss
            self._weight = self.smoothing * self._weight + 1 - self.smoothing
        self._open.append([step, _short(loss), self.smoothed])
        if len(self._open) == self.stride:
            self._full.append(_merge(self._open))
            self._open = []
        if len(self._full) == self.limit:
            self._full = [_merge(self._full[i : i + 2]) for i in range(0, self.limit, 2)]
            self.stride *= 2

    @property
    def smoothed(self) -> float | None:
        """The smoothed loss now, None before the first."""
        return _short(self._mean / self._weight) if self._weight else None

    @property
    def points(self) -> list[list]:
        """[step, loss or None, smoothed loss or None] in order of steps."""
        return self._full + ([_merge(self._open)] if self._open else [])


def _merge(points: list[list]) -> list:
    losses = [loss for _, loss, _ in points]
    mean = None if None in losses else _short(sum(losses) / len(losses))
    return [points[-1][0], mean, points[-1][2]]


class TrainingMonitor(CourseWidget):
    """Shows a run of `total_steps` while it goes on, also while the kernel is busy.

    `held_out=True` adds held-out perplexity, at the height of its logarithm, which is the held-out
    loss. The browser is told at most four times a second, with arrays of bounded size. The text
    form and the fallback before the first step are the same for every run.
    """

    _esm = front_end("training_monitor")
    _css = style("training_monitor")
    interval = 0.25  # seconds between messages to the browser
    clock = staticmethod(time.monotonic)

    total_steps = t.Int().tag(sync=True)
    title = t.Unicode().tag(sync=True)
    with_held_out = t.Bool().tag(sync=True)
    points = t.List().tag(sync=True)  # [step, loss, smoothed]
    perplexities = t.List().tag(sync=True)  # [step, perplexity]
    samples = t.List().tag(sync=True)  # [step, text]
    now = t.Dict().tag(sync=True)
    message = t.Unicode().tag(sync=True)
    log_scale = t.Bool().tag(sync=True)

    def __init__(self, total_steps: int, held_out: bool = False, title: str = "Training") -> None:
        self._curve = Curve()
        self._waiting: dict[str, object] = {}
        self._pushed = -math.inf
        super().__init__(total_steps=total_steps, with_held_out=held_out, title=title)

    def add(
        self,
        step: int,
        loss: float,
        tokens_per_second: float | None = None,
        memory_bytes: int | None = None,
        seconds_left: float | None = None,
    ) -> None:
        """Record one step's loss and what is known of speed, memory (bytes) and time left (s)."""
        self._curve.add(step, float(loss))
        figures = {
            "tokens_per_second": tokens_per_second,
            "memory_bytes": memory_bytes,
            "seconds_left": seconds_left,
        }
        known = {name: _short(x) for name, x in figures.items() if x is not None}
        self._push(now={"step": step, "loss": _short(float(loss)), **known})

    def sample(self, step: int, text: str) -> None:
        """Show a sample text; the first and the latest are kept, shortened."""
        text = text.encode("utf-8", "replace").decode("utf-8")
        text = text if len(text) <= CHARACTERS else text[: CHARACTERS - 1] + "…"
        samples = [*self._latest("samples"), [step, text]]
        self._push(samples=samples[:1] + samples[1:][1 - SAMPLES :])

    def held_out(self, step: int, perplexity: float) -> None:
        """Add a point of held-out perplexity."""
        points = [*self._latest("perplexities"), [step, _short(float(perplexity))]]
        self._push(perplexities=thin(points, 200))

    def finish(self, message: str = "finished") -> None:
        """Send what still waits, and say that the run has ended."""
        self._push(now_or_never=True, message=message)

    def _latest(self, name: str) -> list:
        return self._waiting.get(name, getattr(self, name))

    def _push(self, now_or_never: bool = False, **changes: object) -> None:
        self._waiting.update(changes)
        if not now_or_never and self.clock() - self._pushed < self.interval:
            return
        self._pushed = self.clock()
        with self.hold_sync():
            self.points = self._curve.points
            for name, value in self._waiting.items():
                setattr(self, name, value)
        self._waiting = {}

    def describe(self) -> str:
        return f"TrainingMonitor: {NOTE}"

    def picture(self) -> Picture:
        """A line that says where the curve is; once there are losses, the curve."""
        losses = [loss for _, loss, _ in self.points if loss is not None]
        if not losses:
            picture = Picture(640, 40, self.describe())
            picture.text(12, 25, f"{NOTE[0].upper()}{NOTE[1:]}.", colour=FAINT)
            return picture
        return self._chart(losses)

    def _chart(self, losses: list[float]) -> Picture:
        title = f"{self.title}: loss {losses[0]:.3g} at first, {losses[-1]:.3g} at last"
        picture = Picture(640, 260, title)
        held_out = [(s, math.log(p)) for s, p in self.perplexities if p and p > 0]
        heights = [*losses, *(y for _, y in held_out)]
        margin = (max(heights) - min(heights)) * 0.05 or 0.5
        y_range = (min(heights) - margin, max(heights) + margin)
        axes = Axes(picture, (52, 30, 624, 216), (0, max(1, self.points[-1][0])), y_range)
        axes.draw("step", "loss (pale: each step; dots: log of held-out perplexity)")
        for column, colour in ((1, "#a3cbe3"), (2, BLUE)):
            known = [point for point in self.points if point[column] is not None]
            picture.line([(axes.x(p[0]), axes.y(p[column])) for p in known], colour)
        for step, y in held_out:
            picture.circle((axes.x(step), axes.y(y)), 4, RED)
        return picture


class PlainLines:
    """The same methods as TrainingMonitor; prints a line at each tenth of the run, or more often.

    Between tenths a line comes after 5 seconds, later after a twentieth of the time so far, so that
    a run of hours prints about a hundred.
    """

    clock = staticmethod(time.monotonic)

    def __init__(self, total_steps: int, held_out: bool = False, title: str = "Training") -> None:
        self.total_steps, self.title = total_steps, title
        self._curve = Curve(limit=2)
        self._start = self._printed = self.clock()
        self._tenth = 0

    def add(self, step, loss, tokens_per_second=None, memory_bytes=None, seconds_left=None) -> None:
        """Print a line when it is time for one."""
        self._curve.add(step, float(loss))
        tenth, now = 10 * step // max(1, self.total_steps), self.clock()
        if tenth <= self._tenth and now - self._printed < max(5, (now - self._start) / 20):
            return
        self._tenth, self._printed = tenth, now
        smoothed = self._curve.smoothed if math.isfinite(loss) else loss
        parts = [f"{self.title}: step {step}/{self.total_steps}", f"loss {smoothed:.3f}"]
        if tokens_per_second is not None:
            parts.append(f"{tokens_per_second:,.0f} tokens/s")
        if memory_bytes is not None:
            parts.append(f"{memory_bytes / 1e6:,.0f} MB")
        if seconds_left is not None:
            parts.append(f"{seconds_left:,.0f} s left")
        print("  ".join(parts), flush=True)

    def sample(self, step: int, text: str) -> None:
        """Print the sample, shortened."""
        print(f"{self.title}: sample at step {step}: {text[:CHARACTERS]!r}", flush=True)

    def held_out(self, step: int, perplexity: float) -> None:
        """Print the held-out perplexity."""
        print(f"{self.title}: held-out perplexity {perplexity:,.2f} at step {step}", flush=True)

    def finish(self, message: str = "finished") -> None:
        """Print that the run has ended."""
        print(f"{self.title}: {message}", flush=True)


class _Quiet:
    """The same methods as TrainingMonitor; does nothing."""

    def add(self, *args: object, **kwargs: object) -> None:
        pass

    sample = held_out = finish = add


quiet = _Quiet()


def under_jupyter() -> bool:
    """Whether this process is a kernel whose front end can show widgets."""
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return any(cls.__name__ == "ZMQInteractiveShell" for cls in type(shell).__mro__)


def progress_display(
    total_steps: int, held_out: bool = False, title: str = "Training"
) -> TrainingMonitor | PlainLines:
    """A TrainingMonitor that is already on display in a notebook, plain lines anywhere else."""
    if not under_jupyter():
        return PlainLines(total_steps, held_out, title)
    from IPython.display import display

    monitor = TrainingMonitor(total_steps, held_out, title)
    display(monitor)
    return monitor
