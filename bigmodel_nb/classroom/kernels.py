"""`bigmodel-nb bench kernels`: memory and start time of a class's kernels on one machine, all there at once."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import psutil
from jupyter_client.manager import AsyncKernelManager

from bigmodel_nb.errors import ResourceError
from bigmodel_nb.lab.kernel import CourseKernels

TOGETHER = 2  # kernels that start at a time, as many as the smallest machine has cores


@dataclass(frozen=True)
class Kernel:
    """A kernel that has run some code: seconds from its start to the answer, and bytes of memory.

    `share` counts memory that several processes use in parts (PSS; where there is none, all of it).
    """

    seconds: float
    share: int
    resident: int


def measure(count: int, code: str = "import bigmodel_nb", together: int = TOGETHER) -> list[Kernel]:
    """Start kernels, run `code` in each, and measure their memory when all have done so.

    ResourceError where the code raises or a kernel doesn't answer.

    >>> [kernel.share > 0 for kernel in measure(1)]  # doctest: +SKIP
    [True]
    """
    return asyncio.run(_measure(count, code, together))


async def _measure(count: int, code: str, together: int) -> list[Kernel]:
    gate = asyncio.Semaphore(together)
    async with AsyncExitStack() as stack:
        started = await asyncio.gather(*(_start(code, gate, stack) for _ in range(count)))
        return [Kernel(seconds, *_memory(process)) for seconds, process in started]


async def _start(code: str, gate: asyncio.Semaphore, stack: AsyncExitStack) -> tuple[float, psutil.Process]:
    async with gate:
        begun = time.perf_counter()
        manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=CourseKernels())
        await manager.start_kernel(stderr=subprocess.DEVNULL)  # its warnings are not the measurement's
        stack.push_async_callback(manager.shutdown_kernel, now=True)
        client = manager.client()
        client.start_channels()
        stack.callback(client.stop_channels)
        try:
            await client.wait_for_ready(timeout=120)
            reply = await client.execute_interactive(code, timeout=120, output_hook=lambda message: None)
        except (RuntimeError, TimeoutError) as error:
            raise ResourceError(f"A kernel gave no answer: {error}. Next: a smaller --count") from None
        if reply["content"]["status"] != "ok":
            raise ResourceError(f"The kernel raised {reply['content'].get('ename')}: {reply['content'].get('evalue')}")
        return time.perf_counter() - begun, psutil.Process(manager.provisioner.pid)


def _memory(process: psutil.Process) -> tuple[int, int]:
    """(share, resident): the kernel's memory and that of its children."""
    every = [it.memory_full_info() for it in (process, *process.children(recursive=True))]
    return sum(getattr(it, "pss", it.rss) for it in every), sum(it.rss for it in every)


def table(kernels: Sequence[Kernel], code: str) -> str:
    """The measured kernels as lines of text."""
    middle = {name: statistics.median(getattr(it, name) for it in kernels) for name in ("seconds", "share", "resident")}
    return "\n".join([
        f"{len(kernels)} kernels after: {code}",
        f"memory of one: {middle['share'] / 1e6:.0f} MB (resident {middle['resident'] / 1e6:.0f} MB), all together {sum(it.share for it in kernels) / 1e6:,.0f} MB",
        f"start of one: {middle['seconds']:.1f} s, the slowest {max(it.seconds for it in kernels):.1f} s",
    ])  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Measure and print; 0 if all kernels answered."""
    parser = argparse.ArgumentParser(prog="bigmodel-nb bench kernels", description=__doc__.partition(": ")[2])
    parser.add_argument("--count", type=int, default=20, help="kernels (default: %(default)s)")
    parser.add_argument("--code", default="import bigmodel_nb", help="what each runs (default: %(default)s)")
    parser.add_argument("--together", type=int, default=TOGETHER, help="kernels that start at a time (default: %(default)s)")
    arguments = parser.parse_args(argv)
    print(table(measure(max(1, arguments.count), arguments.code, max(1, arguments.together)), arguments.code))
    return 0
