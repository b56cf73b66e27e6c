"""The decorator in a real IPython and in a real kernel."""

import os
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from bigmodel_nb import exercises
from bigmodel_nb.errors import CourseError
from bigmodel_nb.exercises.engine import catalogue, record

SUPPORT = Path(__file__).parent / "support"


@pytest.fixture
def shell(workspace, monkeypatch):
    import importlib.util

    spec = importlib.util.spec_from_file_location("toy_lesson", SUPPORT / "toy_lesson.py")
    toys = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "toy_lesson", toys)
    spec.loader.exec_module(toys)
    find = catalogue.find
    mine = {e.id: e for e in toys.EXERCISES}
    monkeypatch.setattr(catalogue, "find", lambda id: mine.get(id) or find(id))
    shell = InteractiveShell()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    shell.run_cell("from bigmodel_nb.exercises import exercise, set_own_code\nimport numpy as np")
    yield shell
    shell.history_manager.end_session() if shell.history_manager else None


def run(shell, code):
    """Run a cell; the text of its one card."""
    with capture_output(display=True) as captured:
        result = shell.run_cell(code)
    result.raise_error()
    return captured.stdout + "".join(o.data["text/plain"] for o in captured.outputs)


def test_passing_function_is_the_learners_own(shell):
    card = run(shell, "@exercise('toy_lesson.double')\ndef double(x):\n    return x + x\nown = double")
    assert card.startswith("toy_lesson.double: passed")
    double = shell.user_ns["double"]
    assert type(double).__name__ == "function" and double.__code__.co_names == ()
    assert record.entry("toy_lesson.double")["passed_at"]


def test_failing_function_is_replaced(shell):
    card = run(shell, "@exercise('toy_lesson.double')\ndef twice(x):\n    return x ** 2")
    assert "toy_lesson.double: not yet" in card and "Twice, or squared?" in card
    twice = shell.user_ns["twice"]
    assert twice(4) == 8 and twice.mine(4) == 16
    assert "course's solution" in repr(twice) and "twice.mine" in repr(twice)
    assert twice.__name__ == "twice" and "0x" not in repr(twice)
    ready = card.strip().splitlines()[-1].strip()
    assert ready == "twice.mine(*twice.failing)"
    assert shell.run_cell(ready).result.tolist() == [1.0, 4.0]
    assert record.entry("toy_lesson.double")["misconceptions"] == {"squared": 1}


def test_stub_is_replaced_and_not_counted(shell):
    card = run(shell, "@exercise('toy_lesson.double')\ndef double(x):\n    '''Double.'''\n    ...")
    assert card.startswith("toy_lesson.double: not attempted")
    assert shell.user_ns["double"](3) == 6 and shell.user_ns["double"].failing is None
    assert record.entry("toy_lesson.double") == {}


def test_exception_names_the_line_of_the_cell(shell):
    card = run(shell, "@exercise('toy_lesson.double')\ndef double(x):\n    y = x.shape\n    return y['a']")
    assert "TypeError" in card and "line 4 of your cell: return y['a']" in card
    with pytest.raises(TypeError):
        shell.user_ns["double"].mine(*shell.user_ns["double"].failing)


def test_failing_arguments_are_fresh(shell):
    run(shell, "@exercise('toy_lesson.double')\ndef double(x):\n    x += x\n    return x")
    assert shell.user_ns["double"].failing[0].tolist() == [1.0, 2.0]


GOOD = """
@exercise('toy_lesson.scaler')
class Scaler:
    def __init__(self, x):
        self.m = sum(x) / len(x)
    def __call__(self, x):
        return x - self.m
"""


def test_passing_class_is_the_learners_own(shell):
    assert "passed" in run(shell, GOOD)
    assert not hasattr(shell.user_ns["Scaler"], "mine")


def test_failing_class_is_replaced(shell):
    card = run(shell, GOOD.replace("x - self.m", "x + self.m"))
    assert "Plus or minus?" in card
    Scaler = shell.user_ns["Scaler"]
    assert isinstance(Scaler, type) and "course's solution" in repr(Scaler) and "Scaler.mine" in repr(Scaler)
    import numpy as np

    made = Scaler(np.array([1.0, 3.0]))
    assert isinstance(made, Scaler) and made(np.array([2.0]))[0] == 0
    assert Scaler.mine(np.array([1.0, 3.0]))(np.array([2.0]))[0] == 4

    class Further(Scaler):
        pass

    assert Further(np.array([1.0]))(np.array([1.0]))[0] == 0 and "solution" not in repr(Further)
    ready = card.strip().splitlines()[-1].strip()
    assert shell.run_cell(ready).result.tolist() == [7.0]


CALLS_ITSELF = """
@exercise('toy_lesson.double')
def double(x):
    return np.append(double(x[:-1]), 2 * x[-1:]) if len(x) else x
"""


def test_recursive_function_gets_itself(shell):
    assert "passed" in run(shell, CALLS_ITSELF)  # the name was not bound before
    run(shell, "@exercise('toy_lesson.double')\ndef double(x): ...")
    assert "passed" in run(shell, CALLS_ITSELF)  # it stood for the course's solution


def test_recursion_without_end_gets_no_solution(shell):
    run(shell, "@exercise('toy_lesson.double')\ndef double(x): ...")
    card = run(shell, "@exercise('toy_lesson.double')\ndef double(x):\n    return double(x)")
    assert "not yet" in card and "RecursionError" in card
    assert shell.user_ns["double"](4) == 8


def test_checking_leaves_the_names_of_the_notebook(shell):
    run(shell, "double = 'mine'")
    run(shell, "@exercise('toy_lesson.double')\ndef twice(x):\n    return x + x")
    run(shell, "with_name = exercise('toy_lesson.double')(lambda x: 2 * x)")
    assert shell.user_ns["double"] == "mine" and "<lambda>" not in shell.user_ns


@pytest.mark.parametrize("kind", ["staticmethod", "classmethod"])
def test_class_gets_itself(shell, kind):
    first = "" if kind == "staticmethod" else "cls, "
    mean = f"    @{kind}\n    def mean({first}x):\n        return sum(x) / len(x)\n    def __init__"
    code = GOOD.replace("    def __init__", mean).replace("sum(x) / len(x)\n    def __call__", "Scaler.mean(x)\n    def __call__")
    assert "Scaler.mean(x)" in code and "passed" in run(shell, code)


def test_own_code_keeps_the_learners_own(shell):
    run(shell, "set_own_code(True)")
    card = run(shell, "@exercise('toy_lesson.double')\ndef double(x):\n    return x * x")
    double = shell.user_ns["double"]
    assert double(3) == 9 and "your own double" in card
    assert shell.run_cell(card.strip().splitlines()[-1].strip()).result.tolist() == [1.0, 4.0]
    run(shell, "@exercise('toy_lesson.double')\ndef double(x): ...")
    assert shell.user_ns["double"](3) is None


def test_reference_in_the_learners_place_is_not_recorded(shell):
    run(shell, "from bigmodel_nb.exercises import reference\ni = 'start_here.count_parameters'\nf = exercise(i)(reference(i))")
    assert record.entry("start_here.count_parameters") == {}
    assert shell.user_ns["f"] is exercises.reference("start_here.count_parameters")


def test_unattempted_card_does_not_depend_on_progress(shell):
    stub = "@exercise('toy_lesson.double')\ndef double(x):\n    ..."
    before = run(shell, stub)
    run(shell, "@exercise('toy_lesson.double')\ndef double(x):\n    return x + x")
    record.hint("toy_lesson.double", 3)
    assert run(shell, stub) == before


def test_unknown_id(nowhere):
    with pytest.raises(CourseError, match="start_here.count_parameters"):
        exercises.exercise("start_here.count_params")


CELLS = [
    "import bigmodel_nb as bn",
    "@bn.exercise('start_here.count_parameters')\n"
    "def count_parameters(vocab_size, n_positions, d_model, n_layer):\n    ...",
    "count_parameters",
    "@bn.exercise('start_here.count_parameters')\n"
    "def count_parameters(vocab_size, n_positions, d_model, n_layer):\n"
    "    total = vocab_size\n    return total / nothing",
    "@bn.exercise('start_here.count_parameters')\n"
    "def count_parameters(vocab_size, n_positions, d_model, n_layer):\n"
    "    while True:\n        try:\n            d_model += 1\n        except:\n            pass",
    "count_parameters(50257, 1024, 768, 12)",
    "bn.quiz('start_here.q', 'Which?', [('a', True, 'yes'), ('b', False, 'no')])",
    "bn.hint('start_here.count_parameters')",
    "bn.solution('start_here.count_parameters')",
]


def execute(folder):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    client = nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return notebook


@pytest.fixture
def package_on_path(monkeypatch):
    import bigmodel_nb

    root = str(Path(bigmodel_nb.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])))


def texts(notebook):
    return [
        [(o.data.get("text/plain"), o.data.get("text/html")) for o in cell.outputs if "data" in o]
        + [o.text for o in cell.outputs if o.output_type == "stream"]
        for cell in notebook.cells
    ]


def test_in_a_kernel_twice(workspace, package_on_path):
    first, again = texts(execute(workspace)), texts(execute(workspace))
    stub, bound, error, endless, value, question, hint, solution = first[1:]
    assert len(stub) == 1 and stub[0][0].startswith("start_here.count_parameters: not attempted")
    assert "course's solution" in bound[0][0]
    assert "NameError" in error[0][0] and "line 4 of your cell: return total / nothing" in error[0][0]
    assert "did not finish in time" in endless[0][0] and " of your cell: " in endless[0][0]
    assert value[0][0] == "124439808"
    assert "Which?" in question[0][0] and "<details>" in question[0][1]
    assert "hint 1 of 3" in hint[0][0]
    assert "def count_parameters" in solution[0][0]
    for number in (1, 2, 3, 5, 6, 8):
        assert first[number] == again[number]
