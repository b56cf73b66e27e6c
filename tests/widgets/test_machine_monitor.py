"""The machine monitor's Python side: samples, threads, a fake GPU, the stored picture."""

from __future__ import annotations

import json
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from bigmodel_nb import memory
from bigmodel_nb.errors import DataError
from bigmodel_nb.widgets import MachineMonitor
from bigmodel_nb.widgets import machine_monitor as module

GB = 10**9


def names():
    return [thread.name for thread in threading.enumerate()]


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)


class FakeNvml:
    """What nvidia-ml-py answers, as its documentation has it."""

    def __init__(self):
        self.initialised = 0
        self.loads = [(10, 2 * GB), (90, 30 * GB), (50, 20 * GB)]

    def nvmlInit(self):
        self.initialised += 1

    def nvmlShutdown(self):
        self.initialised -= 1

    def nvmlDeviceGetHandleByIndex(self, index):
        if index:
            raise RuntimeError("Invalid Argument")
        return "handle"

    def nvmlDeviceGetName(self, handle):
        return b"NVIDIA A100-SXM4-80GB"  # older versions answer with bytes

    def nvmlDeviceGetUtilizationRates(self, handle):
        return SimpleNamespace(gpu=self.loads[0][0], memory=3)

    def nvmlDeviceGetMemoryInfo(self, handle):
        used = self.loads[0][1]
        if len(self.loads) > 1:
            self.loads.pop(0)
        return SimpleNamespace(total=80 * GB, used=used, free=80 * GB - used)


@pytest.fixture
def nvml(monkeypatch):
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake


def test_block_is_watched_and_the_thread_ends_with_it():
    with MachineMonitor(0.05) as monitor:
        assert monitor.running and "machine monitor" in names()
        wait_for(lambda: len(monitor.points) >= 3)
        level = monitor.points[-1][2]
        held = bytearray(400_000_000)  # far more than the process may give back meanwhile
        wait_for(lambda: monitor.points[-1][2] > level + 200_000_000)
        del held
    assert not monitor.running and "machine monitor" not in names()
    seconds = [point[0] for point in monitor.points]
    assert seconds == sorted(seconds) and all(point[3:] == [None, None] for point in monitor.points)
    assert monitor.highest[2] == max(point[2] for point in monitor.points)
    count = len(monitor.points)
    time.sleep(0.15)
    assert len(monitor.points) == count


def test_an_error_in_the_block_passes_and_ends_the_thread():
    with pytest.raises(ZeroDivisionError), MachineMonitor(0.05):
        1 / 0
    assert "machine monitor" not in names()


def test_closing_the_widget_ends_the_thread():
    monitor = MachineMonitor(0.05).start()
    assert "machine monitor" in names()
    monitor.close()
    assert "machine monitor" not in names()
    monitor.close()


def test_the_button_ends_the_thread():
    monitor = MachineMonitor(0.05).start()
    monitor.running = False  # as the browser sets it
    wait_for(lambda: "machine monitor" not in names())
    assert monitor.points
    monitor.stop()


def test_starting_again_forgets_the_first_run():
    monitor = MachineMonitor(0.05).start()
    wait_for(lambda: len(monitor.points) >= 4)
    monitor.start()
    assert len(monitor.points) <= 1 and names().count("machine monitor") == 1
    monitor.close()


def test_limits_are_those_of_the_control_group(monkeypatch):
    monkeypatch.setattr(memory, "limit", lambda: 3 * GB)
    monkeypatch.setattr(module, "cores", lambda: 2)
    assert MachineMonitor().limits == {"memory": 3 * GB, "cores": 2, "gpu_memory": 0}
    assert module.Sample(1.0, 50.0, 6 * GB // 4).shares(3 * GB, 0) == [50.0, 50.0, None, None]


def test_load_is_the_share_of_all_cores(monkeypatch):
    monkeypatch.setattr(module, "cores", lambda: 4)
    monitor = MachineMonitor(60).start()
    monitor._process = SimpleNamespace(cpu_percent=lambda: 300.0)
    monitor.sample()
    assert monitor.points[-1][1] == 75.0
    monitor._process = SimpleNamespace(cpu_percent=lambda: 460.0)  # short intervals are not exact
    monitor.close()
    assert monitor.points[-1][1] == 100.0


def test_number_of_points_is_bounded():
    monitor = MachineMonitor(60).start()
    for _ in range(700):
        monitor.sample()
    monitor.close()
    assert len(monitor.points) <= module.POINTS
    assert len(json.dumps(monitor.get_state())) < 60_000


def test_gpu_is_read_and_let_go(nvml):
    with MachineMonitor(60) as monitor:
        assert monitor.gpu_name == "NVIDIA A100-SXM4-80GB" and monitor.limits["gpu_memory"] == 80 * GB
        monitor.sample()
        assert nvml.initialised == 1
    assert [point[3:] for point in monitor.points] == [[90.0, 30 * GB], [50.0, 20 * GB]]
    assert monitor.highest[3:] == [90.0, 30 * GB]
    assert nvml.initialised == 0
    assert module.Sample(*monitor.points[0]).shares(GB, 80 * GB)[2:] == [90.0, 37.5]


@pytest.mark.parametrize("broken", ["nvmlInit", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetMemoryInfo"])
def test_without_a_working_gpu_the_rest_is_shown(nvml, monkeypatch, broken):
    monkeypatch.setattr(nvml, broken, lambda *a: (_ for _ in ()).throw(OSError("driver not loaded")))
    with MachineMonitor(60) as monitor:
        assert monitor.gpu_name == ""
    assert monitor.points[0][3:] == [None, None]


def test_a_gpu_that_falls_silent_stops_nothing(nvml, monkeypatch):
    with MachineMonitor(60) as monitor:
        monitor.sample()
        monkeypatch.setattr(nvml, "nvmlDeviceGetUtilizationRates", lambda handle: 1 / 0)
        monitor.sample()
        monitor.sample()
    assert [point[3] for point in monitor.points] == [90.0, None, None, None]
    assert monitor.highest[3] == 90.0 and monitor.static_png()


def test_another_gpu_that_is_not_there(nvml):
    assert module.find_gpu(3) is None and module.find_gpu(0).name.endswith("80GB")


def test_interval_is_checked():
    with pytest.raises(DataError, match="at least 0.05 seconds; received 0"):
        MachineMonitor(0)


def test_text_form_is_constant_and_the_result_is_stored_as_png_only(nvml):
    monitor, other = MachineMonitor(60), MachineMonitor(1)
    before = repr(monitor)
    assert monitor.static_svg() == other.static_svg() and "afterwards" in before
    with monitor:
        monitor.sample()
    data, _ = monitor._repr_mimebundle_()
    assert repr(monitor) == before == repr(other) == data["text/plain"]
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}
    assert data["image/png"] != other._repr_mimebundle_()[0]["image/png"]
    words = [shape.text for shape in monitor.picture().shapes if hasattr(shape, "text")]
    assert "GPU memory 30.00 of 80.0 GB" in words and "GPU 90 %" in words
