"""The progress file: nothing lost, nothing stops a lesson."""

import json
import os
import subprocess
import sys

import pytest

from bigmodel_nb import exercises
from bigmodel_nb.exercises.engine import progress, record
from bigmodel_nb.exercises.engine.model import Verdict

ID = "start_here.count_parameters"


def stored(workspace):
    return json.loads((workspace / ".bigmodel_nb" / "progress.json").read_text())


def test_attempts_are_kept(workspace):
    record.verdict(Verdict(ID, "failed", misconception="biases_forgotten"))
    record.verdict(Verdict(ID, "passed"))
    record.verdict(Verdict(ID, "not attempted"))
    entry = stored(workspace)["exercises"][ID]
    assert entry["attempts"] == 2 and entry["misconceptions"] == {"biases_forgotten": 1}
    assert entry["passed_at"]
    progress.forget_memory()
    assert record.entry(ID) == entry


def test_own_code_is_remembered(workspace):
    assert exercises.own_code() is False
    exercises.set_own_code(True)
    progress.forget_memory()
    assert exercises.own_code() is True
    exercises.set_own_code(False)
    assert exercises.own_code() is False


def test_without_a_workspace_nothing_is_written(nowhere):
    record.verdict(Verdict(ID, "passed"))
    exercises.set_own_code(True)
    assert record.entry(ID)["attempts"] == 1 and exercises.own_code()
    assert list(nowhere.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"exercises": 3}', '{"exercises": {"a": 1}}', '{"quizzes": []}', "\x00\xff", "[" * 100_000]
)
def test_corrupt_file_does_not_stop_and_is_kept(workspace, text):
    file = workspace / ".bigmodel_nb" / "progress.json"
    file.write_bytes(text.encode("latin-1"))
    assert record.entry(ID) == {} and not exercises.own_code()
    repr(exercises.progress())
    record.verdict(Verdict(ID, "passed"))
    assert stored(workspace)["exercises"][ID]["attempts"] == 1
    if not text.startswith("{") or text == "{":
        kept = list(file.parent.glob("progress.damaged-*.json"))
        assert kept and kept[0].read_bytes() == text.encode("latin-1")


@pytest.mark.parametrize("entry", [{"attempts": "many"}, {"misconceptions": 3}, {"passed_at": None, "hints": []}])
def test_odd_entries_do_not_stop(workspace, entry):
    (workspace / ".bigmodel_nb" / "progress.json").write_text(json.dumps({"exercises": {ID: entry}}))
    repr(exercises.progress())
    record.verdict(Verdict(ID, "failed", misconception="biases_forgotten"))
    record.hint(ID, 3)
    assert isinstance(record.entry(ID)["attempts"], int)


def test_lost_file_is_made_again(workspace):
    record.verdict(Verdict(ID, "passed"))
    (workspace / ".bigmodel_nb" / "progress.json").unlink()
    record.verdict(Verdict(ID, "failed"))
    assert stored(workspace)["exercises"][ID]["attempts"] == 1


def test_locked_file_keeps_results_in_memory(workspace, monkeypatch):
    monkeypatch.setattr(progress, "LOCK_SECONDS", 0.05)
    lock = workspace / ".bigmodel_nb" / "progress.lock"
    with progress._locked(lock):
        record.verdict(Verdict(ID, "passed"))
        assert record.entry(ID)["attempts"] == 1
        assert not (workspace / ".bigmodel_nb" / "progress.json").exists()
    record.verdict(Verdict(ID, "passed"))
    assert stored(workspace)["exercises"][ID]["attempts"] == 2


def test_folder_that_cannot_be_written(workspace, monkeypatch):
    def refused(*_):
        raise PermissionError("read-only")

    monkeypatch.setattr(progress, "LOCK_SECONDS", 0.05)
    monkeypatch.setattr(progress, "_replace", refused)
    record.verdict(Verdict(ID, "passed"))
    assert record.entry(ID)["attempts"] == 1
    monkeypatch.undo()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(workspace):
    folder = workspace / ".bigmodel_nb"
    folder.chmod(0o500)
    try:
        record.verdict(Verdict(ID, "passed"))
        assert record.entry(ID)["attempts"] == 1
    finally:
        folder.chmod(0o700)


def test_home_that_does_not_exist(nowhere, monkeypatch):
    monkeypatch.setenv("BIGMODEL_NB_HOME", str(nowhere / "missing" / "deeper"))
    record.verdict(Verdict(ID, "passed"))
    assert record.entry(ID)["attempts"] == 1
    assert list(nowhere.iterdir()) == []


WRITER = """
import sys
from bigmodel_nb.exercises.engine import progress, record
from bigmodel_nb.exercises.engine.model import Verdict
progress.LOCK_SECONDS = 60
for i in range(40):
    record.verdict(Verdict("start_here.count_parameters", "failed"))
    record.verdict(Verdict(f"lesson.{sys.argv[1]}_{i}", "passed"))
"""


def test_two_processes_at_once_lose_nothing(workspace):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, name], cwd=workspace, env=with_package()) for name in "ab"]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    kept = stored(workspace)["exercises"]
    assert kept[ID]["attempts"] == 80
    assert len(kept) == 81
    assert not list((workspace / ".bigmodel_nb").glob("*.tmp"))


def with_package():
    import bigmodel_nb

    root = os.path.dirname(os.path.dirname(bigmodel_nb.__file__))
    return {**os.environ, "PYTHONPATH": root}


def test_a_dead_writer_leaves_no_lock(workspace):
    code = (
        "import os; from bigmodel_nb.exercises.engine import progress; from pathlib import Path\n"
        "with progress._locked(Path('.bigmodel_nb/progress.lock')): os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=workspace, env=with_package(), check=True)
    record.verdict(Verdict(ID, "passed"))
    assert stored(workspace)["exercises"][ID]["attempts"] == 1


def test_overview(workspace):
    record.verdict(Verdict(ID, "passed"))
    record.solution("finetune_gpt2.perplexity")
    record.quiz("start_here.q", "a", True)
    table = exercises.progress()
    text, markup = repr(table), table._repr_html_()
    for item in exercises.catalogue():
        assert item.id in text and item.id in markup
    assert "passed" in text and "solution seen" in text and "1 of 1 answered right" in text
    assert "start_here" in text and "1 of 1" in text and "<table>" in markup


# Quizzes, hints and solutions


def test_hints_come_one_at_a_time(workspace, capsys):
    item = next(e for e in exercises.catalogue() if e.id == ID)
    for number in (1, 2, 3, 3):
        exercises.hint(ID)
        shown = capsys.readouterr().out
        assert f"hint {number} of 3" in shown and item.hints[number - 1] in shown
    assert stored(workspace)["exercises"][ID]["hints"] == 3


def test_solution_shows_the_source(workspace, capsys):
    for item in exercises.catalogue():
        exercises.solution(item.id)
        assert f"def {item.reference.__name__}(" in capsys.readouterr().out
    assert record.entry(ID)["solution_seen"] is True
