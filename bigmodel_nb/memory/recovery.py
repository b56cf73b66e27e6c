"""What to do when memory runs out: recognise it, free what can be freed, try again with less."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Callable
from typing import Any

from bigmodel_nb.errors import ResourceError
from bigmodel_nb.memory.peak import return_free_memory

OUT_OF_MEMORY = (  # how C++ allocators say it, through RuntimeError
    "out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "alloc_failed",
)


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
    """Collect garbage and give memory that is kept for later back to the system and to the GPU."""
    gc.collect()
    return_free_memory()
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
