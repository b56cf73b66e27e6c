"""What is found in a notebook, without running it."""

from __future__ import annotations

import nbformat

from bigmodel_nb.classroom.extract import of_cells, read


def sources(work):
    return [it.source for it in work.needs]


def only(cells, id="a.b"):
    [work] = of_cells(cells).works[id]
    return work


EXERCISE = '@bn.exercise("a.b")\ndef f(x):\n    return helper(x)'


def test_what_a_work_needs_and_nothing_else():
    cells = ["import math\nimport os", "K = 2\nother = expensive()", "def helper(x):\n    return K * math.sin(x)", EXERCISE, "print(f(1))"]
    assert sources(only(cells)) == ["import math", "K = 2", "def helper(x):\n    return K * math.sin(x)"]


def test_a_helper_below_split_cells_and_other_names():
    work = only(["from bigmodel_nb import exercise", '@exercise("a.b")\nclass Mine:\n    def g(self): return helper(1)', "def helper(x): return x"])
    assert work.name == "Mine" and work.source.startswith("class Mine") and sources(work) == ["def helper(x):\n    return x"]


def test_another_exercise_is_needed_without_its_check():
    cells = ['@bn.exercise("a.helper")\ndef helper(x):\n    return x', EXERCISE]
    assert sources(only(cells)) == ["def helper(x):\n    return x"]


def test_copies_are_all_found_in_order():
    works = of_cells([EXERCISE, EXERCISE.replace("helper(x)", "2")]).works["a.b"]
    assert [work.cell for work in works] == [0, 1] and works[1].source.endswith("return 2")


def test_magics_and_broken_cells():
    found = of_cells(["%matplotlib inline\n!rm -rf /\nimport math", "%%time\nK = 1", "def (", "f?", EXERCISE.replace("helper", "math.sin")])
    assert found.notes == ["cell 3 is not Python: SyntaxError"]
    assert [it.source for it in found.works["a.b"][0].needs] == ["import math"]


def test_what_parses_and_does_not_compile():
    for cell in ("def g(a, a): return a", "nonlocal x", "return 1", "await x", "def g():\n    x = 1\n    global x"):
        assert list(of_cells([cell, EXERCISE, EXERCISE.replace("f(x)", "f(x, x)")]).works) == ["a.b"]


def test_a_name_in_a_string_or_of_another_id_is_none():
    assert not of_cells(['"@bn.exercise(\'a.b\')"', "@bn.exercise(name)\ndef f(): ...", "@exercises\ndef g(): ..."]).works


def test_a_damaged_notebook_is_a_note(tmp_path):
    broken = tmp_path / "x.ipynb"
    for text in ("", "{}", "[1]", '{"cells": 3}', "\x00"):
        broken.write_text(text)
        found = read(broken)
        assert not found.works and all("x.ipynb" in note for note in found.notes)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(EXERCISE)]), broken)
    assert list(read(broken).works) == ["a.b"]


def test_parameters_and_own_variables_need_nothing():
    """In the lessons, cells assign names such as `logits` from work that may still be open."""
    cells = ["import numpy as np", "logits = sigmoid(None) - 1\ny = logits", '@bn.exercise("a.b")\ndef f(logits, y=np.pi):\n    z = [y for y in logits]\n    return z']
    assert [it.source for it in of_cells([*cells, "z = 1 / 0"]).works["a.b"][0].needs] == ["import numpy as np"]
