"""Limits of control groups, the peak of a call, recovery from running out of memory."""

from __future__ import annotations

import sys
import time
import warnings
import weakref

import numpy as np
import psutil
import pytest
import torch

from bigmodel_nb import memory
from bigmodel_nb.errors import ResourceError
from bigmodel_nb.memory import peak

MB = 10**6


def group(root, cgroup: str, folder: str, files: dict[str, str]):
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    place = root / "sys/fs/cgroup" / folder
    place.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (place / name).write_text(text)


V2 = {"memory.max": "50000000\n", "memory.current": "30000000\n", "memory.stat": "anon 1\ninactive_file 5000000\n"}
V1 = {
    "memory.limit_in_bytes": "50000000\n", "memory.usage_in_bytes": "30000000\n",
    "memory.stat": "rss 1\ntotal_inactive_file 5000000\n",
}


@pytest.mark.parametrize("cgroup, folder, files", [
    ("0::/a/b\n", "a/b", V2),
    ("0::/a/b\n", "a", V2),  # the limit of a group above counts
    ("0::/\n", "", V2),  # as seen in a container
    ("4:cpu:/x\n3:memory:/a\n", "memory/a", V1),
    ("3:memory:/unseen/from/here\n0::/\n", "memory", V1),
])  # fmt: skip
def test_limit_of_a_control_group(tmp_path, cgroup, folder, files):
    group(tmp_path, cgroup, folder, files)
    assert memory.limit(tmp_path) == 50 * MB
    assert memory.available(tmp_path) == 25 * MB


@pytest.mark.parametrize("ceiling", ["max", str(2**63 - 4096), ""])
def test_no_limit(tmp_path, ceiling):
    group(tmp_path, "0::/a\n", "a", V2 | {"memory.max": ceiling})
    assert memory.limit(tmp_path) == psutil.virtual_memory().total


def test_lowest_limit_counts(tmp_path):
    group(tmp_path, "0::/a/b\n", "a", V2)
    group(tmp_path, "0::/a/b\n", "a/b", V2 | {"memory.max": "40000000"})
    assert memory.limit(tmp_path) == 40 * MB


def test_this_machine():
    assert 0 < memory.rss() < memory.limit() <= psutil.virtual_memory().total
    assert 0 < memory.available() <= psutil.virtual_memory().available


def hold_and_free(size: int) -> str:
    block = np.ones(size, dtype=np.uint8)
    time.sleep(0.1)  # long enough for a sample on a busy machine
    del block
    return "done"


@pytest.mark.parametrize("high_water", [True, False])
def test_peak_of_memory_that_is_freed_again(monkeypatch, high_water):
    if not high_water:  # macOS and Windows rely on samples where the mark does not rise
        monkeypatch.setattr(peak, "_reset_high_water", lambda: False)
        monkeypatch.setattr(peak, "_high_water", lambda: 0)
    hold_and_free(400 * MB)  # an earlier, higher peak must not count
    measured = memory.measure(lambda: hold_and_free(200 * MB))
    assert measured.result == "done" and measured.kind == "process"
    assert 190 * MB < measured.peak_bytes < 230 * MB


def test_peak_of_memory_that_is_kept():
    measured = memory.measure(lambda: torch.ones(25 * MB))  # float32: 100 MB
    assert 95 * MB < measured.peak_bytes < 130 * MB
    again = memory.measure(lambda: measured.result.sum())
    assert again.peak_bytes < 20 * MB


@pytest.mark.skipif(sys.platform != "linux", reason="glibc keeps freed memory")
def test_memory_that_was_freed_before_counts_when_it_is_used_again():
    kept = [torch.ones(2 * MB) for _ in range(40)]  # 8 MB each, in the heap
    last = torch.ones(2 * MB)  # keeps the heap from shrinking
    del kept
    measured = memory.measure(lambda: [torch.ones(2 * MB) for _ in range(40)])
    assert measured.peak_bytes > 300 * MB and len(last)


def test_high_water_mark_that_rises_is_used_where_it_cannot_be_reset(monkeypatch):
    marks = iter([1000 * MB, 5000 * MB, 5000 * MB])
    monkeypatch.setattr(peak, "_reset_high_water", lambda: False)
    monkeypatch.setattr(peak, "_high_water", lambda: next(marks))
    assert memory.measure(lambda: None).peak_bytes > 3000 * MB


def test_file_pages_that_the_kernel_drops_hide_nothing(monkeypatch):
    levels = iter([(900 * MB, 300 * MB)] + [(850 * MB, 400 * MB)] * 10_000)
    monkeypatch.setattr(peak, "_levels", lambda process: next(levels))
    monkeypatch.setattr(peak, "_high_water", lambda: 900 * MB)
    assert memory.measure(lambda: None).peak_bytes == 100 * MB


def test_errors_of_the_call_pass_through_and_the_sampler_ends():
    import threading

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        memory.measure(lambda: 1 / 0)
    assert threading.active_count() == before


def test_repr():
    assert repr(memory.Measured(2_500_000, None)) == "Measured(2.5 MB above the start, process)"


class FakeCuda:
    """torch.cuda's allocator without a GPU: what is allocated, and the peak since the last reset."""

    def __init__(self, used: int):
        self.used = self.peak = used
        self.log = []

    def is_available(self):
        return True

    is_initialized = is_available

    def synchronize(self):
        self.log.append("wait")

    def reset_peak_memory_stats(self):
        self.log.append("reset")
        self.peak = self.used

    def memory_allocated(self):
        return self.used

    def max_memory_allocated(self):
        self.log.append("read")
        return self.peak

    def allocate(self, size: int):
        self.used += size
        self.peak = max(self.peak, self.used)


def test_cuda_peak_with_a_fake_allocator(monkeypatch):
    cuda = FakeCuda(used=10 * MB)
    cuda.allocate(90 * MB)
    cuda.allocate(-90 * MB)  # an earlier, higher peak must not count
    monkeypatch.setattr(torch, "cuda", cuda)

    def step():
        for change in (30, 20, -40, 15):
            cuda.allocate(change * MB)
        cuda.log.append("work")
        return 7

    measured = memory.measure(step)
    assert (measured.peak_bytes, measured.result, measured.kind) == (50 * MB, 7, "cuda")
    assert cuda.log == ["wait", "reset", "work", "wait", "read"]  # kernels run on after Python


OUT = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.05 GB)"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    RuntimeError("std::bad_alloc"),
]


@pytest.mark.parametrize("error", OUT, ids=lambda e: str(e)[:30])
def test_recognised(error):
    assert memory.is_out_of_memory(error)


@pytest.mark.parametrize("error", [ValueError("out of memory"), RuntimeError("shapes differ"), IndexError("out of range")])
def test_not_taken_for_out_of_memory(error):
    assert not memory.is_out_of_memory(error)


def test_real_error_of_torch_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert memory.is_out_of_memory(caught.value)


def attempt_that_fits(largest: int, tried: list):
    def attempt(size):
        tried.append(size)
        if size > largest:
            raise RuntimeError("CUDA out of memory")
        return f"{size} fitted"

    return attempt


def test_halved_until_it_fits_and_told_once():
    tried = []
    with pytest.warns(UserWarning, match="16 at once; 4 at once fit") as told:
        assert memory.retry_smaller(attempt_that_fits(5, tried), 16) == ("4 fitted", 4)
    assert tried == [16, 8, 4] and len(told) == 1


def test_fits_at_once():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert memory.retry_smaller(attempt_that_fits(16, []), 16) == ("16 fitted", 16)


def test_minimum_is_tried_and_then_given_up():
    tried = []
    with pytest.raises(ResourceError, match="even with 3 at once.*Next:"):
        memory.retry_smaller(attempt_that_fits(2, tried), 16, minimum=3)
    assert tried == [16, 8, 4, 3]


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError):
        memory.retry_smaller(lambda size: 1 / 0, 4)
    with pytest.raises(RuntimeError, match="shapes"):
        memory.retry_smaller(lambda size: (_ for _ in ()).throw(RuntimeError("shapes differ")), 4)


def test_failed_attempt_is_freed_before_the_next():
    alive = []

    class Block:
        pass

    def attempt(size):
        assert all(reference() is None for reference in alive)
        block = Block()
        alive.append(weakref.ref(block))
        if size > 1:
            raise MemoryError
        return size

    with pytest.warns(UserWarning):
        memory.retry_smaller(attempt, 8)
    assert len(alive) == 4
