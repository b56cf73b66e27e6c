"""The choice of device and dtype, with slow CPUs and GPUs faked."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest
import torch

from bigmodel_nb import device
from bigmodel_nb.errors import DataError, ResourceError


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    monkeypatch.delenv("BIGMODEL_NB_DEVICE", raising=False)
    monkeypatch.delenv("BIGMODEL_NB_DTYPE", raising=False)
    device._bfloat16_gain.cache_clear()
    yield
    device._bfloat16_gain.cache_clear()


def fake_timing(monkeypatch, bfloat16: float) -> list:
    """float32 takes 1 ms, bfloat16 the given multiple; returns the list of timings taken."""
    taken = []

    def seconds(dtype):
        taken.append(dtype)
        return 1e-3 * (bfloat16 if dtype == torch.bfloat16 else 1.0)

    monkeypatch.setattr(device, "_seconds", seconds)
    return taken


def fake_devices(monkeypatch, *kinds: str, broken: str = "") -> None:
    monkeypatch.setattr(device, "_is_available", lambda kind: kind in (*kinds, "cpu"))
    monkeypatch.setattr(device, "_failure", lambda d: "no kernel image" if d.type == broken else "")


def test_bfloat16_where_it_is_faster(monkeypatch):
    fake_timing(monkeypatch, 0.45)
    picked = device.pick("cpu")
    assert picked.dtype == torch.bfloat16 and device.bfloat16_is_faster()
    assert "2.2 times as fast" in picked.reason


def test_float32_where_bfloat16_is_emulated(monkeypatch):
    taken = fake_timing(monkeypatch, 19.0)
    picked = device.pick("cpu")
    assert picked.dtype == torch.float32 and not device.bfloat16_is_faster()
    assert "0.053 times" in picked.reason
    assert taken.count(torch.bfloat16) == 1  # one slow product is enough to see it


def test_a_small_gain_is_not_worth_the_precision(monkeypatch):
    fake_timing(monkeypatch, 0.9)
    assert device.pick("cpu").dtype == torch.float32


def test_timed_once_a_process(monkeypatch):
    taken = fake_timing(monkeypatch, 0.45)
    device.pick("cpu")
    count = len(taken)
    device.pick("cpu")
    assert len(taken) == count


def test_really_timed():
    assert device._seconds(torch.float32) > 0
    assert device.bfloat16_is_faster() in (True, False)
    assert device.pick("cpu").dtype in (torch.float32, torch.bfloat16)


@pytest.mark.parametrize("kind", ["cuda", "xpu"])
@pytest.mark.parametrize("units, dtype", [(True, torch.bfloat16), (False, torch.float32)])
def test_gpu(monkeypatch, kind, units, dtype):
    fake_devices(monkeypatch, kind)
    monkeypatch.setattr(torch, kind, SimpleNamespace(is_bf16_supported=lambda including_emulation=True: units))
    picked = device.pick()
    assert picked.device == torch.device(kind) and picked.dtype == dtype
    assert kind in picked.reason and "bfloat16" in picked.reason


def test_mps_takes_float32(monkeypatch):
    fake_devices(monkeypatch, "mps")
    picked = device.pick()
    assert (picked.device.type, picked.dtype) == ("mps", torch.float32)


def test_cuda_is_preferred(monkeypatch):
    fake_devices(monkeypatch, "cuda", "mps")
    assert device._best()[0].type == "cuda"


def test_gpu_that_fails_is_passed_over_and_named(monkeypatch):
    fake_devices(monkeypatch, "cuda", broken="cuda")
    fake_timing(monkeypatch, 1.0)
    picked = device.pick()
    assert picked.device.type == "cpu" and "no kernel image" in picked.reason


def test_gpu_that_is_asked_for_and_fails_is_an_error(monkeypatch):
    fake_devices(monkeypatch, "cuda", broken="cuda")
    with pytest.raises(ResourceError, match="no kernel image.*Next:"):
        device.pick("cuda")


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "nonsense", 3.5])
def test_device_that_is_not_there(name):
    with pytest.raises(ResourceError, match="Next: use one of .*cpu"):
        device.pick(name)


def test_forced_by_the_environment(monkeypatch):
    fake_devices(monkeypatch, "cuda")
    monkeypatch.setenv("BIGMODEL_NB_DEVICE", "cpu")
    monkeypatch.setenv("BIGMODEL_NB_DTYPE", "bf16")
    taken = fake_timing(monkeypatch, 19.0)
    picked = device.pick()
    assert (picked.device.type, picked.dtype) == ("cpu", torch.bfloat16)
    assert "BIGMODEL_NB_DTYPE" in picked.reason and not taken


def test_unknown_dtype(monkeypatch):
    monkeypatch.setenv("BIGMODEL_NB_DTYPE", "int8")
    with pytest.raises(ResourceError, match="int8.*float32"):
        device.pick("cpu")


def test_short_repr_and_frozen():
    picked = device.Device(torch.device("cpu"), torch.float32, "because")
    assert repr(picked) == "Device('cpu', float32): because"
    assert pickle.loads(pickle.dumps(picked)) == picked
    with pytest.raises(AttributeError):
        picked.reason = ""


class Clock:
    """A clock that a fake device moves on."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(device.time, "perf_counter", lambda: self.now)


def test_seconds_is_the_median_after_the_warm_up(monkeypatch):
    clock, takes = Clock(monkeypatch), iter([50.0, 9.0, 1.0, 2.0, 3.0, 100.0])

    def work():
        clock.now += next(takes)

    assert device.seconds(work, repeat=5) == 3.0 and next(takes, None) is None


@pytest.mark.parametrize("kind", ["cuda", "xpu", "mps"])
def test_seconds_waits_for_a_gpu(monkeypatch, kind):
    """Orders take no time; the work is done while Python waits."""
    clock, orders = Clock(monkeypatch), [7.0]  # something is still running when the timing starts

    def synchronize():
        clock.now += sum(orders)
        orders.clear()

    yes = SimpleNamespace(is_available=lambda: True, is_initialized=lambda: True, synchronize=synchronize)
    if kind == "mps":
        monkeypatch.setattr(torch.backends, "mps", yes)
    monkeypatch.setattr(torch, kind, yes)
    assert device.seconds(lambda: orders.append(2.0), repeat=3, warmup=1) == 2.0


@pytest.mark.parametrize("given", [{"repeat": 0}, {"warmup": -1}])
def test_seconds_needs_a_repetition(given):
    with pytest.raises(DataError, match="repeat must be at least 1"):
        device.seconds(lambda: None, **given)


def test_rate_of_the_matrix_product(monkeypatch):
    times = iter([2e-3, 1e-3, 4e-3])
    monkeypatch.setattr(device, "_once", lambda fn: fn() is None or next(times))
    assert device.matmul_rate(64, repeat=3) == pytest.approx(2 * 64**3 / 1e-3)
    monkeypatch.undo()
    assert device.matmul_rate(64) > 1e6 and device.matmul_rate(64, torch.bfloat16) > 1e4
