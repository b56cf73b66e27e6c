"""Figures of the status bar."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from bigmodel_nb import memory
from bigmodel_nb.lab import machine

GB = 1_000_000_000


async def settled(probe):
    """The probe's answer once it has one."""
    while (found := probe.answer()) == machine._UNKNOWN:
        await asyncio.sleep(0.01)
    return found


@pytest.fixture
def large(monkeypatch):
    monkeypatch.delenv("MEM_LIMIT", raising=False)
    monkeypatch.setattr(memory, "limit", lambda: 16 * GB)
    monkeypatch.setattr(memory, "available", lambda: 10 * GB)


def test_memory_against_the_limit(large):
    found = machine.memory_status([os.getpid()])
    assert found["kernels"] > 1_000_000
    assert (found["limit"], found["free"], found["low"]) == (16 * GB, 10 * GB, False)


def test_an_announced_limit_counts_where_it_is_lower(large, monkeypatch):
    monkeypatch.setenv("MEM_LIMIT", str(2 * GB))
    monkeypatch.setattr(machine, "tree_rss", lambda pid: 1_900_000_000)
    found = machine.memory_status([])
    assert (found["limit"], found["free"], found["low"]) == (2 * GB, 100_000_000, True)
    assert machine.memory_status([], cap=4 * GB)["limit"] == 4 * GB
    assert machine.memory_status([], cap=64 * GB)["limit"] == 16 * GB
    monkeypatch.setenv("MEM_LIMIT", "2G")
    assert machine.memory_status([])["limit"] == 16 * GB


@pytest.mark.parametrize(("limit", "free", "low"), [(2 * GB, 199_000_000, True), (2 * GB, 201_000_000, False), (64 * GB, 600_000_000, False)])
def test_warns_before_the_limit_is_reached(monkeypatch, limit, free, low):
    monkeypatch.delenv("MEM_LIMIT", raising=False)
    monkeypatch.setattr(memory, "limit", lambda: limit)
    monkeypatch.setattr(memory, "available", lambda: free)
    assert machine.memory_status([])["low"] is low


def test_children_count_and_a_dead_process_is_nothing():
    child = subprocess.Popen([sys.executable, "-c", "held = bytearray(50_000_000); print(1, flush=True); input()"], stdin=-1, stdout=-1)
    try:
        child.stdout.readline()
        alone = machine.tree_rss(child.pid)
        assert alone > 50_000_000 and machine.tree_rss(os.getpid()) > alone
    finally:
        child.communicate(b"\n")
    assert machine.tree_rss(child.pid) == 0


def test_the_device_is_asked_for_once_outside_this_process():
    async def ask():
        probe = machine.DeviceProbe("import os; print('{\"device\": \"cpu\", \"reason\": \"%d\"}' % os.getpid())")
        assert probe.answer() == machine._UNKNOWN
        first = await settled(probe)
        assert first["device"] == "cpu" and int(first["reason"]) != os.getpid()
        assert probe.answer() == first

    asyncio.run(ask())


@pytest.mark.parametrize(("code", "says"), [("1 / 0", "ZeroDivisionError"), ("import sys; sys.exit(3)", "exit code 3"), ("print('x')", "exit code 0")])
def test_a_failed_question_says_why(code, says):
    async def ask():
        found = await settled(machine.DeviceProbe(code))
        assert found["device"] is None and says in found["reason"]

    asyncio.run(ask())


@pytest.mark.slow
def test_the_device_is_that_of_the_course():
    from bigmodel_nb.device import pick

    async def ask():
        assert (await settled(machine.DeviceProbe()))["device"] == str(pick().device)

    asyncio.run(ask())


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for the program")
@pytest.mark.parametrize(("script", "found"), [
    ("echo 'NVIDIA A100-SXM4, 40GB, 1024, 40960'", [{"name": "NVIDIA A100-SXM4, 40GB", "used": 2**30, "total": 40 * 2**30}]),
    ("echo 'no devices were found' >&2; exit 6", []),
    ("exec sleep 9", []),
])  # fmt: skip
def test_gpus_by_a_recorded_answer(tmp_path, monkeypatch, script, found):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert machine.gpus() == found


def test_without_a_driver_there_is_no_gpu(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.gpus() == []


def test_the_question_imports_nothing_of_the_learners(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('the learner's own file')")
    monkeypatch.chdir(tmp_path)

    async def ask():
        found = await settled(machine.DeviceProbe("import json; print(json.dumps({'device': 'cpu'}))"))
        assert found["device"] == "cpu"

    asyncio.run(ask())
