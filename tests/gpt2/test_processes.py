"""The same training in two processes: equal losses, resuming in another number, one voice."""

import json
import os
import re
import subprocess
import sys

import pytest

from bigmodel_nb.gpt2 import checkpoint, command, processes
from bigmodel_nb.lab import session
from bigmodel_nb.widgets import training_monitor

from .conftest import WORDS
from .in_two_processes import SMALL, STOPPED, losses, until_stopped

TORCHRUN = ["-m", "torch.distributed.run", "--nproc_per_node=2", "--master_addr=127.0.0.1"]
ACCELERATE = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1",
              "--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"]
PLAIN = {name for name in os.environ if name.startswith("ACCELERATE_")} | {"RANK", "WORLD_SIZE", "MASTER_PORT"}


def start(launcher, module, *words, cwd):
    """A finished launch: its exit code, what it printed and what it complained of."""
    if launcher is TORCHRUN:
        launcher = [*launcher, f"--master_port={session.free_port(29600)}"]
    env = {name: value for name, value in os.environ.items() if name not in PLAIN}
    env |= {"OMP_NUM_THREADS": "1", "BIGMODEL_NB_DEVICE": "cpu"}
    return subprocess.run([sys.executable, *launcher, "-m", module, *map(str, words)], cwd=cwd, env=env, capture_output=True,
                          text=True, timeout=300)


@pytest.fixture(scope="module")
def quiet_display():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_monitor, "progress_display", lambda *a, **k: training_monitor.quiet)
        yield


@pytest.fixture(scope="module")
def two(pocket, quiet_display, tmp_path_factory, request):
    """(what each of two processes found, what they printed, their folder)."""
    folder = tmp_path_factory.mktemp("two")
    until_stopped(pocket[1], folder / "one")
    done = start(TORCHRUN, "tests.gpt2.in_two_processes", folder, cwd=request.config.rootpath)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{i}.json").read_text()) for i in (0, 1)], done.stdout, folder


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
    first, second = two[0]
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


def test_one_process_prints_and_writes(two):
    _, printed, folder = two
    steps = re.findall("held-out perplexity .* at step (.*)", printed)
    assert steps == ["0", "10", "10"]  # before and after the first run, after the one that was resumed
    assert sorted(p.name for p in (folder / "two").iterdir()) == [f"step-{i:06d}" for i in (STOPPED - 1, STOPPED)]


@pytest.fixture
def text(tmp_path):
    (tmp_path / "text.txt").write_text(WORDS)
    return tmp_path / "text.txt"


def test_accelerate_runs_the_command(two, text, alone, tmp_path):
    arguments = ["--texts", text, "--steps", 2, "--batch-size", 3, "--block-size", 16, "--precision", "float32"]
    done = start(ACCELERATE, "bigmodel_nb.gpt2.finetune", *arguments, "--checkpoint-dir", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Fine-tuning: finished") == 1
    assert done.stdout.count("FinetuneResult(2 steps") == 1 and "in 2 processes" in done.stdout
    assert len(checkpoint.read_state(tmp_path / "run" / "step-000002")["history"]) == 2


def test_an_error_is_told_once(tmp_path):
    done = start(TORCHRUN, "bigmodel_nb.gpt2.finetune", "--texts", tmp_path / "nowhere", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("there is no file or folder") == 1 and not done.stdout


# The command in one process


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
