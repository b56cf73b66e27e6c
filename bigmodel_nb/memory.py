"""Memory: how much is used, allowed and free, what a call adds, and what to do when it runs out."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bigmodel_nb.errors import ResourceError

INTERVAL = 0.002  # seconds between two looks at the process
UNLIMITED = 2**60  # control groups write larger numbers for 'no limit'
OUT_OF_MEMORY = (  # how C++ allocators say it, through RuntimeError
    "out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "alloc_failed",
)


@dataclass(frozen=True)
class Measured:
    """What a call returned, and the peak of memory above the level before it."""

    peak_bytes: int
    result: Any
    kind: str = "process"  # or "cuda"

    def __repr__(self) -> str:
        return f"Measured({self.peak_bytes / 1e6:,.1f} MB above the start, {self.kind})"


def rss() -> int:
    """Resident memory of this process, in bytes.

    >>> rss() > 1_000_000
    True
    """
    return psutil.Process().memory_info().rss


def limit(root: Path = Path("/")) -> int:
    """Bytes this process may use: the control group's limit (v1 or v2), else all memory there is."""
    return min([psutil.virtual_memory().total, *(group.limit for group in _groups(root))])


def available(root: Path = Path("/")) -> int:
    """Bytes that can still be allocated, within the machine's memory and the control group's limit."""
    free = [psutil.virtual_memory().available]
    return max(0, min(free + [group.limit - group.used for group in _groups(root)]))


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
    _return_free_memory()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        return _measure_cuda(fn, torch.cuda)
    return _measure_process(fn)


def is_out_of_memory(error: BaseException) -> bool:
    """True for the errors by which Python, torch, CUDA and MPS say that memory ran out.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(ValueError("out of range"))
    (True, False)
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in OUT_OF_MEMORY)


def retry_smaller(attempt: Callable[[int], Any], size: int, minimum: int = 1) -> tuple[Any, int]:
    """Call `attempt(size)`, halving `size` while memory runs out -> (its result, the size that fitted).

    Caches are freed between attempts, and one warning tells the size. Other errors pass through.
    Errors: ResourceError when even `minimum` does not fit.
    """
    asked = size
    while True:
        try:
            result = attempt(size)
            break
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        # outside `except`: the error's traceback keeps the failed attempt's tensors alive
        free_caches()
        if size <= minimum:
            raise ResourceError(
                f"memory ran out even with {size} at once ({reason}). "
                "Next: take shorter sequences or a smaller model, or shut down other notebooks' kernels."
            )
        size = max(minimum, size // 2)
    if size < asked:
        warnings.warn(f"memory ran out with {asked} at once; {size} at once fit", stacklevel=2)
    return result, size


def free_caches() -> None:
    """Collect garbage and give the memory that torch keeps for later back to the GPU."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _return_free_memory() -> None:
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


@dataclass(frozen=True)
class _Group:
    """Limit and use of a control group; file pages that the kernel can drop are not counted."""

    limit: int
    used: int


def _groups(root: Path) -> list[_Group]:
    """The control groups with a memory limit that this process is in, from its own to the root's."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            names = ("memory.max", "memory.current", "inactive_file")
            found += _walk(root / "sys/fs/cgroup", path, *names)
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            found += _walk(root / "sys/fs/cgroup/memory", path, *names)
    return found


def _walk(mount: Path, path: str, limit_name: str, used_name: str, inactive_name: str) -> list[_Group]:
    """Groups with a limit from `path` up to the mount point, which alone is seen in a container."""
    folder = mount / path.lstrip("/")
    found = []
    for group in (folder, *folder.parents):
        ceiling = _number(group / limit_name)
        if ceiling is not None and ceiling < UNLIMITED:
            used = _number(group / used_name) or 0
            found.append(_Group(ceiling, max(0, used - _stat(group / "memory.stat", inactive_name))))
        if group == mount:
            break
    return found


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # 'max' means no limit
        return None


def _stat(file: Path, name: str) -> int:
    try:
        pairs = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return 0
    return next((int(pair[1]) for pair in pairs if pair[0] == name), 0)
