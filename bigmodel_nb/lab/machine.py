"""What the status bar shows: the device and why, memory against its limit, and GPUs."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable

import psutil

from .. import memory

SECONDS = 120  # that the question for the device may take
NEAR = 500_000_000  # bytes: free memory below this, or a tenth of the limit, is a warning
_PROBE = """
import json
from bigmodel_nb.device import pick
found = pick()
print(json.dumps({"device": str(found.device), "dtype": str(found.dtype).removeprefix("torch."), "reason": found.reason}))
"""
_UNKNOWN = {"device": None, "dtype": None, "reason": None}


class DeviceProbe:
    """Asks for the device once, in a process of its own: torch would stay in the server's memory.

    The process imports nothing from the working directory (-P), which may be the learner's.
    """

    def __init__(self, code: str = _PROBE) -> None:
        self.code = code
        self._asked: asyncio.Task | None = None

    def answer(self) -> dict:
        """Device, dtype and reason; nothing but None until they are known."""
        if self._asked is None:
            self._asked = asyncio.ensure_future(self._ask())
        return self._asked.result() if self._asked.done() else _UNKNOWN

    async def _ask(self) -> dict:
        try:
            asked = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-c", self.code, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            return {**_UNKNOWN, "reason": str(error)}
        try:
            out, err = await asyncio.wait_for(asked.communicate(), SECONDS)
            return {**_UNKNOWN, **json.loads(out)}
        except TimeoutError:
            asked.kill()
            return {**_UNKNOWN, "reason": f"no answer within {SECONDS} s"}
        except ValueError:
            lines = err.decode(errors="replace").strip().splitlines() or [f"exit code {asked.returncode}"]
            return {**_UNKNOWN, "reason": lines[-1]}


def memory_status(kernels: Iterable[int], server: int | None = None, cap: int = 0) -> dict:
    """Bytes that the kernels with these process ids hold, the limit, and what is still free.

    cap: limit that a hub or jupyter-resource-usage announces, for the server with all that it
    started; 0 where there is none. `low` says that the limit is near.
    """
    limit, free = memory.limit(), memory.available()
    announced = cap or _announced()
    if announced and announced < limit:
        limit, free = announced, min(free, max(0, announced - tree_rss(server or os.getpid())))
    return {"kernels": sum(map(tree_rss, kernels)), "limit": limit, "free": free, "low": free < min(limit // 10, NEAR)}


def tree_rss(pid: int) -> int:
    """Resident bytes of a process and all that it started; 0 where it is gone."""
    try:
        first = psutil.Process(pid)
        return sum(map(_rss, [first, *first.children(recursive=True)]))
    except psutil.Error:
        return 0


def _rss(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def _announced() -> int:
    """Binder and JupyterHub announce a limit in bytes in $MEM_LIMIT."""
    text = os.environ.get("MEM_LIMIT", "")
    return int(text) if text.isdecimal() else 0


def gpus() -> list[dict]:
    """Name, bytes used and bytes in all of each NVIDIA GPU; none where there is no driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name,memory.used,memory.total", "--format=csv,noheader,nounits"]
    try:
        return parse_gpus(subprocess.run(query, capture_output=True, text=True, timeout=3, check=True).stdout)
    except (OSError, subprocess.SubprocessError):
        return []


def parse_gpus(text: str) -> list[dict]:
    """nvidia-smi's table; lines without figures, such as those of shared GPUs, are left out.

    >>> parse_gpus("NVIDIA A100, 5, 40960\\nGPU, [N/A], [N/A]\\n")
    [{'name': 'NVIDIA A100', 'used': 5242880, 'total': 42949672960}]
    """
    rows = [[part.strip() for part in line.rsplit(",", 2)] for line in text.splitlines()]
    full = [row for row in rows if len(row) == 3 and row[1].isdecimal() and row[2].isdecimal()]
    return [{"name": name, "used": int(used) << 20, "total": int(total) << 20} for name, used, total in full]
