"""Live display of the machine: processor, memory against its limit, and a GPU where there is one.

    with bn.widgets.MachineMonitor() as monitor:
        bn.finetune(model, tokenizer, texts)
    monitor  # the result
"""

from __future__ import annotations

import os
import threading
import time
from typing import NamedTuple

import psutil
import traitlets as t

from bigmodel_nb import memory
from bigmodel_nb.errors import DataError
from bigmodel_nb.figures import BLUE, GREEN, PURPLE, RED

from .base import CourseWidget, front_end, style
from .picture import FAINT, INK, Axes, Picture
from .training_monitor import thin

NOTE = "live display while the cell runs; afterwards the monitor itself shows what it saw"
POINTS = 240  # kept in the curve
LINES = (  # label, colour, dashed
    ("CPU", BLUE, False), ("memory", RED, False), ("GPU", GREEN, True), ("GPU memory", PURPLE, True),
)


class Gpu:
    """Load and memory of one NVIDIA GPU, by nvidia-ml-py (`pip install bigmodel-nb[gpu]`)."""

    def __init__(self, index: int = 0) -> None:
        import pynvml

        pynvml.nvmlInit()
        self.library, self.handle = pynvml, pynvml.nvmlDeviceGetHandleByIndex(index)
        name = pynvml.nvmlDeviceGetName(self.handle)
        self.name = name.decode() if isinstance(name, bytes) else name
        self.total = pynvml.nvmlDeviceGetMemoryInfo(self.handle).total

    def read(self) -> tuple[float, int]:
        """Load in percent of the last interval, and bytes in use by all processes."""
        load = self.library.nvmlDeviceGetUtilizationRates(self.handle).gpu
        return float(load), self.library.nvmlDeviceGetMemoryInfo(self.handle).used

    def close(self) -> None:
        """Let the library go."""
        self.library.nvmlShutdown()


def find_gpu(index: int = 0) -> Gpu | None:
    """The GPU, or None where there is no NVIDIA GPU, driver or nvidia-ml-py."""
    try:
        return Gpu(index)
    except Exception:  # noqa: BLE001  NVMLError of many kinds, ImportError, OSError
        return None


class Sample(NamedTuple):
    """One look at the machine. Loads are percentages, of all usable cores and of the GPU."""

    seconds: float
    cpu: float
    memory: int
    gpu: float | None = None
    gpu_memory: int | None = None

    def shares(self, limit: int, gpu_limit: int) -> list[float | None]:
        """CPU, memory, GPU, GPU memory in percent of what there is."""
        shares = [self.cpu, 100 * self.memory / limit, self.gpu, None]
        if self.gpu_memory is not None:
            shares[3] = 100 * self.gpu_memory / gpu_limit
        return shares


def cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


class MachineMonitor(CourseWidget):
    """Shows this kernel's processor time and memory, and a GPU's, every `interval` seconds.

    As a context manager it is on display while the block runs. Without a block `start()` starts it
    and `close()` ends it. The memory's limit is that of the control group where there is one. The
    text form is the same for every run. The GPU side has been tried with recorded answers only.
    """

    _esm = front_end("machine_monitor")
    _css = style("machine_monitor")
    clock = staticmethod(time.monotonic)
    _thread: threading.Thread | None = None
    _lock = threading.Lock()  # the button's thread and the cell's may both come to stop

    points = t.List().tag(sync=True)  # [seconds, CPU, memory, GPU, GPU memory], loads in percent, memory in bytes
    highest = t.List().tag(sync=True)  # the same, the highest of each
    limits = t.Dict().tag(sync=True)
    gpu_name = t.Unicode().tag(sync=True)
    running = t.Bool().tag(sync=True)

    def __init__(self, interval: float = 0.5, gpu: int = 0) -> None:
        if not interval >= 0.05:
            raise DataError(f"interval must be at least 0.05 seconds; received {interval!r}.")
        self.interval, self._index = interval, gpu
        self._gpu: Gpu | None = None
        self._stopped = threading.Event()
        super().__init__(limits={"memory": memory.limit(), "cores": cores(), "gpu_memory": 0})
        self.observe(lambda change: change.new or self._stopped.set(), "running")  # the button in the browser

    def start(self) -> MachineMonitor:
        """Start sampling in a thread; what was seen before is forgotten."""
        self.stop()
        self._gpu = find_gpu(self._index)
        self._process, self._begun = psutil.Process(), self.clock()
        self._process.cpu_percent()  # the first answer has no interval
        self._stopped = threading.Event()
        with self.hold_sync():
            self.points, self.highest, self.running = [], [], True
            self.gpu_name = self._gpu.name if self._gpu else ""
            self.limits = {**self.limits, "gpu_memory": self._gpu.total if self._gpu else 0}
        self._thread = threading.Thread(target=self._run, args=(self._stopped,), name="machine monitor", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Take a last sample and end the thread; the picture stays."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopped.set()
        if thread is not threading.current_thread():
            thread.join()
        self.sample()
        self.running = False
        if self._gpu is not None:
            self._gpu.close()
            self._gpu = None

    def close(self) -> None:
        """Stop, and take the widget off the page."""
        self.stop()
        super().close()

    def __enter__(self) -> MachineMonitor:
        from IPython.display import display

        from .training_monitor import under_jupyter

        if under_jupyter():
            display(self)
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.wait(self.interval):
            self.sample()
        if self._thread is threading.current_thread():  # stopped by the button
            self.stop()

    def sample(self) -> None:
        """Look once, and tell the browser."""
        load = self._process.cpu_percent() / self.limits["cores"]
        found = Sample(round(self.clock() - self._begun, 2), round(min(load, 100.0), 1), memory.rss(), *self._look_at_gpu())
        highest = self.highest or found
        with self.hold_sync():
            self.points = thin([*self.points, list(found)], POINTS)
            self.highest = [max((x for x in pair if x is not None), default=None) for pair in zip(highest, found)]

    def _look_at_gpu(self) -> tuple:
        try:
            return self._gpu.read() if self._gpu else ()
        except Exception:  # noqa: BLE001  a GPU that falls silent must not stop the cell
            return ()

    def describe(self) -> str:
        return f"MachineMonitor: {NOTE}"

    def static_svg(self) -> str | None:
        """Once there are samples only the PNG shows them: tests compare SVG, and these differ each time."""
        return None if self.points else super().static_svg()

    def picture(self) -> Picture:
        """A line that says where the curves are; once there are samples, the curves."""
        if not self.points:
            picture = Picture(640, 40, self.describe())
            picture.text(12, 25, f"{NOTE[0].upper()}{NOTE[1:]}.", colour=FAINT)
            return picture
        picture, limits = Picture(640, 270, self.describe()), self.limits
        axes = Axes(picture, (40, 52, 624, 222), (0, max(self.points[-1][0], 1)), (0, 100))
        axes.draw("seconds", "% of what there is")
        samples = [Sample(*point) for point in self.points]
        shares = [sample.shares(limits["memory"], limits["gpu_memory"]) for sample in samples]
        most, x = Sample(*self.highest), 40
        for k, (label, colour, dashed) in enumerate(LINES):
            known = [(axes.x(s.seconds), axes.y(share[k])) for s, share in zip(samples, shares) if share[k] is not None]
            if not known:
                continue
            picture.line(known, colour, 2, dashed)
            picture.line([(x, 14), (x + 18, 14)], colour, 3, dashed)
            picture.text(x + 23, 18, f"{label} {self._most(most, k)}", 11)
            x += 180 if k == 1 else 95
        picture.text(624, 36, f"highest in {samples[-1].seconds:.0f} s", 11, INK, "end")
        return picture

    def _most(self, most: Sample, k: int) -> str:
        """The highest value of one line, in words."""
        if k in (0, 2):
            return f"{most[k + 1]:.0f} %"
        return f"{most[k + 1] / 1e9:.2f} of {self.limits[('memory', 'gpu_memory')[k == 3]] / 1e9:.1f} GB"
