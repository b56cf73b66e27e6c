"""Which device and number format to compute with, and why; and how fast it is."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from bigmodel_nb.errors import DataError, ResourceError

if TYPE_CHECKING:
    import torch

KINDS = ("cuda", "xpu", "mps", "cpu")  # in order of preference
DTYPES = {"float32": "float32", "fp32": "float32", "bfloat16": "bfloat16", "bf16": "bfloat16",
          "float16": "float16", "fp16": "float16"}
SIZE = 512  # of the timed matrix product
GAIN = 4 / 3  # bfloat16 is chosen on a CPU from this speed-up on


@dataclass(frozen=True, repr=False)
class Device:
    """A device, the dtype for the heavy arithmetic on it, and the reason for both."""

    device: torch.device
    dtype: torch.dtype
    reason: str

    def __repr__(self) -> str:
        return f"Device({str(self.device)!r}, {str(self.dtype).removeprefix('torch.')}): {self.reason}"


def pick(prefer: str | torch.device | None = None) -> Device:
    """The fastest working device, with a dtype that is fast on it and needs no loss scaling.

    `prefer`, else $BIGMODEL_NB_DEVICE, names a device ("cpu", "cuda:1", "mps", "xpu");
    $BIGMODEL_NB_DTYPE ("float32", "bfloat16", "float16") forces the dtype.
    Errors: ResourceError for a device or dtype that does not exist here.

    >>> pick("cpu").device
    device(type='cpu')
    """
    wanted = prefer or os.environ.get("BIGMODEL_NB_DEVICE")
    device, why = (_wanted(wanted), "asked for") if wanted else _best()
    dtype, because = _forced_dtype() or _dtype(device)
    return Device(device, dtype, f"{why}; {because}")


def seconds(fn: Callable[[], Any], repeat: int = 5, warmup: int = 1) -> float:
    """Median wall-clock seconds of a call of `fn`, after `warmup` calls that are not counted.

    The first call loads kernels and fills caches. A GPU only takes orders when it is called, so its
    work is waited for before each look at the clock. Errors: DataError for less than one repetition.

    >>> 0.01 < seconds(lambda: time.sleep(0.01), repeat=3) < 1
    True
    """
    return statistics.median(_timings(fn, repeat, warmup))


def matmul_rate(n: int = 2048, dtype: torch.dtype | None = None, repeat: int = 5) -> float:
    """FLOP/s of the fastest of `repeat` (n, n) matrix products on the CPU: what it can reach."""
    import torch

    a, b = (torch.randn(n, n).to(dtype) for _ in range(2))
    return 2 * n**3 / min(_timings(lambda: a @ b, repeat, 1))


def _timings(fn: Callable[[], Any], repeat: int, warmup: int) -> list[float]:
    if repeat < 1 or warmup < 0:
        raise DataError(f"repeat must be at least 1 and warmup at least 0; received {repeat} and {warmup}.")
    for _ in range(warmup):
        fn()
    return [_once(fn) for _ in range(repeat)]


def _once(fn: Callable[[], Any]) -> float:
    _wait()
    begun = time.perf_counter()
    fn()
    _wait()
    return time.perf_counter() - begun


def _wait() -> None:
    """Until the GPU, where one is used, has done what it was told."""
    torch = sys.modules.get("torch")
    if torch is None:
        return
    for kind in ("cuda", "xpu"):
        backend = getattr(torch, kind)
        if backend.is_available() and backend.is_initialized():
            backend.synchronize()
    if torch.backends.mps.is_available():
        torch.mps.synchronize()


def bfloat16_is_faster() -> bool:
    """True where a timed bfloat16 matrix product on the CPU takes at most 3/4 of float32's time.

    A CPU without bfloat16 units emulates them, up to 19 times slower, so the machine is asked, not
    guessed; the first answer is kept for the process.
    """
    return _bfloat16_gain() >= GAIN


@cache
def _bfloat16_gain() -> float:
    """Speed of bfloat16 relative to float32."""
    import torch

    reference = min(_seconds(torch.float32) for _ in range(3))
    first = _seconds(torch.bfloat16)
    if first > 3 * reference:
        return reference / first
    return reference / min(first, *(_seconds(torch.bfloat16) for _ in range(3)))


def _seconds(dtype: torch.dtype) -> float:
    """Time of one matrix product on the CPU, after a small one that loads its kernel."""
    import torch

    small, a = torch.ones(32, 32, dtype=dtype), torch.ones(SIZE, SIZE, dtype=dtype)
    small @ small
    begun = time.perf_counter()
    a @ a
    return time.perf_counter() - begun


def _best() -> tuple[torch.device, str]:
    """The first kind of device that is there and computes."""
    import torch

    failed = []
    for kind in KINDS:
        if not _is_available(kind):
            continue
        device = torch.device(kind)
        if error := _failure(device):
            failed.append(f"{kind} does not work here ({error})")
        else:
            return device, "; ".join(failed) or ("no GPU found" if kind == "cpu" else f"{kind} found")
    raise ResourceError(f"no device computes: {'; '.join(failed)}. Next: reinstall torch.")


def _wanted(name: str | torch.device) -> torch.device:
    import torch

    there = [kind for kind in KINDS if _is_available(kind)]
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ResourceError(f"{name!r} names no device. Next: use one of {there}.") from error
    problem = _failure(device) if device.type in there else "not available"
    if problem:
        raise ResourceError(f"device {str(name)!r} does not work here ({problem}). Next: use one of {there}.")
    return device


def _is_available(kind: str) -> bool:
    import torch

    if kind == "cpu":
        return True
    backend = torch.backends.mps if kind == "mps" else getattr(torch, kind, None)
    return backend is not None and backend.is_available()


def _failure(device: torch.device) -> str:
    """Why a one-element product fails on the device; empty where it works."""
    import torch

    try:
        one = torch.ones(1, 1, device=device)
        return "" if float(one @ one) == 1.0 else "it computes 1 * 1 wrongly"
    except (RuntimeError, AssertionError) as error:
        return str(error).splitlines()[0]


def _forced_dtype() -> tuple[torch.dtype, str] | None:
    import torch

    name = os.environ.get("BIGMODEL_NB_DTYPE")
    if not name:
        return None
    if name.lower() not in DTYPES:
        raise ResourceError(f"BIGMODEL_NB_DTYPE is {name!r}. Next: set float32, bfloat16 or float16, or unset it.")
    return getattr(torch, DTYPES[name.lower()]), "dtype set by BIGMODEL_NB_DTYPE"


def _dtype(device: torch.device) -> tuple[torch.dtype, str]:
    import torch

    if device.type == "cpu":
        if bfloat16_is_faster():
            return torch.bfloat16, f"bfloat16 is {_bfloat16_gain():.1f} times as fast as float32 on this CPU"
        return torch.float32, f"bfloat16 is only {_bfloat16_gain():.2g} times as fast as float32 on this CPU"
    if device.type == "mps":
        return torch.float32, "float32 is the format that every operation of MPS supports"
    if getattr(torch, device.type).is_bf16_supported(including_emulation=False):
        return torch.bfloat16, "the GPU has bfloat16 units"
    return torch.float32, "the GPU has no bfloat16 units, and float16 would need loss scaling"
