"""The magics of `%load_ext bigmodel_nb`, in a shell and in a real kernel."""

from __future__ import annotations

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient

from bigmodel_nb.errors import CourseError
from bigmodel_nb.lab.magics import last_exercise


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "bigmodel_nb")
    return shell


def run(shell, cell):
    return shell.run_cell(cell, store_history=True)


def test_progress_of_the_course_and_of_a_lesson(shell):
    everything, one = run(shell, "%progress").result, run(shell, "%progress 9").result
    assert {row[0].partition(".")[0] for row in one.rows} == {"attention"} and len(everything.rows) > len(one.rows)
    assert run(shell, "%progress attention").result.rows == one.rows
    assert isinstance(run(shell, "%progress 99").error_in_exec, CourseError)


def test_a_hint_to_an_exercise_and_to_the_last_one(shell, capsys):
    run(shell, "%hint start_here.count_parameters")
    assert "start_here.count_parameters: hint 1 of" in capsys.readouterr().out
    assert isinstance(run(shell, "%hint").error_in_exec, CourseError)
    run(shell, 'import bigmodel_nb as bn\n@bn.exercise("start_here.count_parameters")\ndef count(config): ...')
    capsys.readouterr()
    run(shell, "%hint")
    assert "start_here.count_parameters: hint 2 of" in capsys.readouterr().out
    assert "Did you mean" in str(run(shell, "%hint attention.scor").error_in_exec)


def test_the_last_exercise_of_a_cell_counts():
    cells = ["@bn.exercise('a.b')\ndef f(): ...", "@exercise( \"c.d\" )\nclass F: ...\nx = bn.exercise('e.f')(g)", "bn.hint('g.h')"]
    assert last_exercise(cells) == "e.f"


def test_device(shell):
    assert run(shell, "%device cpu").result.device.type == "cpu"
    assert "no_such" in str(run(shell, "%device no_such").error_in_exec)


def test_budget_runs_the_cell_in_the_learners_namespace(shell, capsys):
    result = run(shell, "%%budget -s 30 -m 500\nheld = bytearray(60_000_000)\nlen(held)")
    assert result.success and len(shell.user_ns["held"]) == 60_000_000
    out = capsys.readouterr().out
    assert "60000000" in out and " of 30 s, " in out
    assert 55 < float(out.splitlines()[-1].split(", ")[1].split()[0]) < 100


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("%%budget -m 20\nheld = bytearray(60_000_000)", "Over budget"),
        ("%%budget --seconds 0.01\nimport time; time.sleep(0.05)", "of 0.01 s"),
        ("%%budget\n1 / 0", "The cell failed"),
        ("%%budget\nx = (", "The cell failed"),
    ],
)
def test_budget_is_enforced_and_a_failure_stays_one(shell, cell, says):
    result = run(shell, cell)
    assert isinstance(result.error_in_exec, CourseError) and says in str(result.error_in_exec)


def test_the_tab_key_offers_exercises_and_lessons(shell):
    assert "attention.scaled_dot_product" in shell.complete("attention.sc", "%hint attention.sc")[1]
    assert "attention" in shell.complete("att", "%progress att")[1]


@pytest.mark.parametrize(("name", "kind", "says"), [("progress", "line", "lesson"), ("hint", "line", "id"), ("device", "line", "name"), ("budget", "cell", "--seconds")])
def test_help_says_what_a_magic_takes(shell, name, kind, says):
    assert says in shell.magics_manager.magics[kind][name].__doc__


def test_in_a_kernel(tmp_path):
    cells = ["%load_ext bigmodel_nb", "%%budget -s 60\nprint(2 + 2)", "%device cpu", "%reload_ext bigmodel_nb\n%progress start_here"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = [str(cell.outputs) for cell in notebook.cells]
    assert "'text': '4\\n" in printed[1] and "above the start" in printed[1]
    assert "Device('cpu'" in printed[2] and "start_here.count_parameters" in printed[3]
