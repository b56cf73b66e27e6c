"""The peak of memory during a call."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

INTERVAL = 0.002  # seconds between two looks at the process


@dataclass(frozen=True)
class Measured:
    """What a call returned, and the peak of memory above the level before it."""

    peak_bytes: int
    result: Any
    kind: str = "process"  # or "cuda"

    def __repr__(self) -> str:
        return f"Measured({self.peak_bytes / 1e6:,.1f} MB above the start, {self.kind})"


def measure(fn: Callable[[], Any]) -> Measured:
    """Call `fn` and report the peak of memory above the level just before the call.

    Once CUDA is in use this is the peak of torch's CUDA allocator (not tried on a GPU so far).
    Otherwise it is resident memory: the operating system's own high-water mark where it rose or,
    on Linux, could be reset, else samples every 2 ms. Resetting lowers the VmHWM that other tools
    read for this process.

    >>> measure(lambda: bytearray(50_000_000)).peak_bytes > 45_000_000
    True
    """
    gc.collect()
    return_free_memory()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        return _measure_cuda(fn, torch.cuda)
    return _measure_process(fn)


def return_free_memory() -> None:
    """Hand memory that glibc keeps for later back to the system: a call that reuses it adds nothing
    to the resident memory, and its peak would go unseen."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        pass  # another C library


def _measure_cuda(fn: Callable[[], Any], cuda) -> Measured:
    cuda.synchronize()
    cuda.reset_peak_memory_stats()
    before = cuda.memory_allocated()
    result = fn()
    cuda.synchronize()
    return Measured(max(0, cuda.max_memory_allocated() - before), result, "cuda")


def _measure_process(fn: Callable[[], Any]) -> Measured:
    """The larger of two rises: of all resident memory, and of the process' own without file pages,
    which the kernel may drop meanwhile."""
    finished, levels = threading.Event(), []
    process = psutil.Process()

    def sample():
        highest = _levels(process)
        while not finished.wait(INTERVAL):
            highest = tuple(map(max, highest, _levels(process)))
        levels.append(highest)

    sampler = threading.Thread(target=sample, daemon=True)
    reset = _reset_high_water()
    mark, before = _high_water(), _levels(process)
    sampler.start()
    try:
        result = fn()
    finally:
        levels.append(_levels(process))
        finished.set()
        sampler.join()
    after = _high_water()
    if reset or after > mark:
        levels.append((after, before[1]))
    peak = max(level - start for pair in levels for level, start in zip(pair, before))
    return Measured(max(0, peak), result)


def _levels(process: psutil.Process) -> tuple[int, int]:
    """Resident memory, and what of it is not backed by a file, where the system tells."""
    now = process.memory_info()
    return now.rss, now.rss - getattr(now, "shared", 0)


def _reset_high_water() -> bool:
    """Set Linux' record of this process' largest resident memory to its present one."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return True
    except OSError:
        return False


def _high_water() -> int:
    """Largest resident memory of this process so far, in bytes; 0 where the system does not tell."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0][1]) * 1024 if lines else 0
