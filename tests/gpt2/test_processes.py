"""The same training in two processes: equal losses, resuming in another number, one voice."""

import json
import os
import re
import subprocess
import sys

import pytest
import torch

from bigmodel_nb.errors import ResourceError
from bigmodel_nb.gpt2 import checkpoint, command, processes
from bigmodel_nb.gpt2 import finetune as loop
from bigmodel_nb.lab import session
from bigmodel_nb.widgets import training_monitor

from .conftest import WORDS
from .in_two_processes import SMALL, STOPPED, losses, until_stopped

PLAIN = {name for name in os.environ if name.startswith("ACCELERATE_")} | {"RANK", "WORLD_SIZE", "MASTER_PORT"}


@pytest.fixture(scope="module")
def quiet_display():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_monitor, "progress_display", lambda *a, **k: training_monitor.quiet)
        yield


@pytest.fixture(scope="module")
def two(pocket, quiet_display, tmp_path_factory, request):
    """What each of two processes found, the finished launch, and their folder."""
    folder = tmp_path_factory.mktemp("two")
    until_stopped(pocket[1], folder / "one")
    env = {name: value for name, value in os.environ.items() if name not in PLAIN}
    env |= {"OMP_NUM_THREADS": "1", "BIGMODEL_NB_DEVICE": "cpu"}
    torchrun = ["torch.distributed.run", "--nproc_per_node=2", "--master_addr=127.0.0.1",
                f"--master_port={session.free_port(29600)}"]
    done = subprocess.run([sys.executable, "-m", *torchrun, "-m", "tests.gpt2.in_two_processes", folder], env=env,
                          cwd=request.config.rootpath, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{i}.json").read_text()) for i in (0, 1)], done, folder


@pytest.fixture(scope="module")
def alone(pocket, quiet_display):
    """Losses of a run in this process."""
    return lambda **changes: losses(pocket[1], **changes)


@pytest.mark.parametrize(("case", "changes"), [
    ("even", {}),
    ("uneven", {"batch_size": 5}),
    ("little memory", {"batch_size": 6}),
    ("resumed from one", {}),
    ("sharded", {}),
    ("sharded, resumed", {}),
])
def test_the_losses_are_those_of_one_process(two, alone, case, changes):
    expected = alone(**changes)
    for found in two[0]:
        assert found[case] == pytest.approx(expected, abs=1e-4)
    assert len(expected) == SMALL["steps"] and expected[0] - expected[-1] > 0.1


def test_one_process_goes_on_where_two_stopped(two, alone):
    folder = two[2] / "two"
    stopped = checkpoint.read_state(folder / f"step-{STOPPED:06d}")["history"]
    resumed = alone(checkpoint_dir=folder, resume=True)
    assert resumed[:STOPPED] == [row["loss"] for row in stopped]
    assert resumed == pytest.approx(alone(), abs=1e-4)


def test_both_processes_see_the_same(two):
    first, second = ({name: value for name, value in it.items() if name != "codes"} for it in two[0])
    assert first == second
    assert 1 <= len(first["timed"]) < 10_000


def test_each_process_drops_other_units(two, alone):
    assert two[0][0]["dropout"] != pytest.approx(alone(dropout=0.1, steps=2), abs=1e-5)


@pytest.mark.parametrize(("case", "message"), [
    ("too few rows", "a batch_size of 1 can't be shared by 2 processes"),
    ("other texts", "not started with the same tokens"),
    ("folder in use", "holds checkpoints of an earlier run"),
    ("disk full", "disk full"),
])
def test_an_error_of_one_is_an_error_of_all(two, case, message):
    assert message in two[0][0][case] and message in two[0][1][case]


def test_one_process_shows_the_progress(two):
    steps = re.findall("held-out perplexity .* at step (.*)", two[1].stdout)
    assert steps == ["0", "10", "10"]  # before and after the first run, after the one that was resumed


def test_one_process_prints_and_fails_for_the_command(two):
    found, done, folder = two
    assert done.stderr.count("finetune: there is no file or folder") == 1
    assert done.stdout.count("FinetuneResult(1 steps") == 1 and "in 2 processes" in done.stdout
    assert [it["codes"] for it in found] == [[1, 0], [0, 0]]
    assert len(checkpoint.read_state(folder / "command" / "step-000001")["history"]) == 1


# The command in one process


@pytest.fixture
def text(tmp_path):
    (tmp_path / "text.txt").write_text(WORDS)
    return tmp_path / "text.txt"


def test_the_command_prints_the_result(text, capsys, tmp_path):
    arguments = ["--texts", str(text), "--steps", "1", "--batch-size", "2", "--block-size", "16", "--held-out", str(text)]
    assert command.main([*arguments, "--checkpoint-dir", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "held-out perplexity" in out and "FinetuneResult(1 steps" in out and f"Saved: {tmp_path / 'run'}" in out
    assert command.main([*arguments, "--checkpoint-dir", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("finetune: ") and "resume=True" in error and "Traceback" not in error
    assert command.main(arguments) == 0
    assert "was not saved" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "message"), [
    (["--texts", "nowhere"], "there is no file or folder 'nowhere'"),
    (["--texts", "{text}", "--steps", "0"], "steps must be"),
    (["--texts", "{text}", "--model", "./nothing"], "there is no such folder"),
    (["--texts", "{text}", "--seed", "-1"], "seed must be"),
])
def test_the_command_says_what_is_wrong(text, capsys, words, message):
    assert command.main([word.format(text=text) for word in words]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["--texts", "a", "--batch-size", "many"], ["--text"]])
def test_wrong_usage_has_its_own_exit_code(capsys, words):
    with pytest.raises(SystemExit) as caught:
        command.main(words)
    assert caught.value.code == 2 and "usage: python -m bigmodel_nb.gpt2.finetune" in capsys.readouterr().err


def test_one_process_where_several_were_asked_for_is_told(text, capsys, monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setenv("MASTER_PORT", "29500")
    command.main(["--texts", str(text), "--steps", "1", "--batch-size", "1", "--block-size", "16"])
    assert "this is a single process" in capsys.readouterr().err


def test_a_process_that_nobody_launched_is_alone(monkeypatch):
    for name in PLAIN:
        monkeypatch.delenv(name, raising=False)
    assert type(processes.here()) is processes.Alone
    monkeypatch.setenv("WORLD_SIZE", "2")  # left over, without a launcher
    assert type(processes.here()) is processes.Alone


def test_another_kind_of_team_is_refused(monkeypatch):
    import accelerate

    kind = accelerate.DistributedType.MEGATRON_LM
    fake = type("Accelerator", (), {"__init__": lambda self, **k: None, "distributed_type": kind, "is_fsdp2": False})
    monkeypatch.setattr(accelerate, "Accelerator", fake)
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    with pytest.raises(ResourceError, match="set up for MEGATRON_LM.*--multi_gpu"):
        processes.Team()


def test_a_checkpoint_that_another_machine_keeps_is_named(tiny, tmp_path):
    run = loop.Run.prepare(*tiny, WORDS, 1, None, 4, 16, 1e-3, "float32", 0)
    with pytest.raises(ResourceError, match="is not there on every machine"):
        run.restore(tmp_path / "step-000001")
