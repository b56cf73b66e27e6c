"""A class is graded by what its code returns, whatever eight of them try."""

from __future__ import annotations

import importlib
import inspect
import json
import textwrap
import time

import nbformat
import pytest

from bigmodel_nb import course
from bigmodel_nb.classroom import grade, isolate, pages
from bigmodel_nb.classroom.extract import of_cells
from bigmodel_nb.exercises.engine import catalogue

pytestmark = pytest.mark.skipif(not isolate.means(), reason="neither bubblewrap nor user namespaces here")
IDS = tuple(f"neuron_and_gradient_descent.{name}" for name in ("sigmoid", "bce_loss", "gd_step"))
SIGMOID, LOSS, STEP = IDS

IMPORTS = "import numpy as np\nimport bigmodel_nb as bn"
RIGHT = {
    SIGMOID: "def sigmoid(z):\n    e = np.exp(-abs(z))\n    p = 1 / (1 + e)\n    return np.where(z < 0, e * p, p)",
    LOSS: "def bce_loss(logits, y):\n    total = 0.0\n    for z, t in zip(logits, y):\n        total += np.logaddexp(0, z) - t * z\n    return float(total / len(y))",
    STEP: "def gd_step(theta, gradient, lr):\n    g = gradient(theta)\n    return [t - lr * s for t, s in zip(theta, g)]",
}
WRONG = {LOSS: ("def bce_loss(a, y):\n    return float(np.sum(np.logaddexp(0, a) - y * a))", "sum_instead_of_mean"),
         STEP: ("def gd_step(theta, gradient, lr):\n    return [t + lr * s for t, s in zip(theta, gradient(theta))]", "uphill")}  # fmt: skip


def cell(id, source):
    return f'@bn.exercise("{id}")\n{source}'


def cells(**changed):
    """A notebook's cells; `changed` replaces an exercise's cell by name, None leaves it out."""
    own = {id: changed.get(id.partition(".")[2], cell(id, source)) for id, source in RIGHT.items()}
    return [IMPORTS, *filter(None, own.values())]


def submit(folder, name, sources, file="01_neuron_and_gradient_descent.ipynb"):
    own = folder / name
    own.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(it) for it in sources]), own / file)
    return own


LOOP = cell(SIGMOID, "def sigmoid(z):\n    while True:\n        pass")
MEMORY = cell(SIGMOID, "def sigmoid(z):\n    held = [np.ones(30_000_000) for _ in range(400)]\n    return held")
DELETES = cell(SIGMOID, "def sigmoid(z):\n    import os, pathlib, shutil\n    for place in (HOME, '/graded', '/tmp', os.path.dirname(np.__file__)):\n"
               "        shutil.rmtree(place, ignore_errors=True)\n    return z")  # fmt: skip
PATCHES = """
from bigmodel_nb.exercises.engine import compare, judge, attempt, model
compare.compare = lambda *a, **k: None
judge.run_checks = judge.verdict = lambda *a: model.Verdict("x", "passed")
attempt.Attempt.expect = lambda *a, **k: None
PATCHED = True
"""
FORGED = {"exercises": {id: {"passed_at": "2026-01-01", "attempts": 1} for id in IDS}, "quizzes": {}}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Thirty learners: 22 that are right or honestly wrong, and eight that are neither."""
    folder, secret = tmp_path_factory.mktemp("class"), tmp_path_factory.mktemp("teacher")
    (secret / "keep").write_text("x")
    for n in range(22):
        own = cells()
        if n % 3 == 1:
            own = cells(bce_loss=cell(LOSS, WRONG[LOSS][0]))
        if n % 3 == 2:
            own = cells(gd_step=cell(STEP, WRONG[STEP][0]))
        submit(folder, f"learner{n:02}", own)
    submit(folder, "loops", cells(sigmoid=LOOP))
    submit(folder, "eats", cells(sigmoid=MEMORY))
    submit(folder, "deletes", [f"HOME = {str(secret)!r}", *cells(sigmoid=DELETES)])
    submit(folder, "raises", ["import no_such_module", "x = no_such_module.x", *cells(sigmoid=cell(SIGMOID, RIGHT[SIGMOID].replace("abs(z)", "abs(z) + x")))])
    submit(folder, "empty", [])
    submit(folder, "patches", [PATCHES, *cells(sigmoid=cell(SIGMOID, "def sigmoid(z):\n    assert PATCHED\n    return z * 0"))])
    state = submit(folder, "forges", [IMPORTS]) / ".bigmodel_nb"
    state.mkdir()
    (state / "progress.json").write_text(json.dumps(FORGED))
    submit(folder, "copies", cells(sigmoid=f'sigmoid = bn.exercise("{SIGMOID}")(bn.exercises.reference("{SIGMOID}"))'))
    folders, started = sorted(path for path in folder.iterdir()), time.monotonic()
    found = {one.learner: one for one in grade.grade_class(folders, IDS)}
    return found, secret, time.monotonic() - started


def states(graded, name):
    return {it.id: it.state for it in graded[0][name].grades}


def of(graded, name, id):
    return next(it for it in graded[0][name].grades if it.id == id)


def test_the_other_22_are_graded_right(graded):
    found, _, seconds = graded
    assert len(found) == 30
    for n in range(22):
        wrong = {1: (LOSS, WRONG[LOSS][1]), 2: (STEP, WRONG[STEP][1])}.get(n % 3)
        for it in found[f"learner{n:02}"].grades:
            expected = ("failed", wrong[1]) if wrong and it.id == wrong[0] else ("passed", "")
            assert (it.state, it.misconception) == expected, it


@pytest.mark.parametrize(
    ("name", "state", "says"),
    [
        ("loops", "failed", "did not finish in time"),
        ("eats", "failed", "memory"),
        ("deletes", "failed", ""),
        ("raises", "failed", "ModuleNotFoundError"),
        ("patches", "failed", "expected"),
        ("forges", "missing", ""),
        ("empty", "missing", ""),
        ("copies", "the course's solution", "reference"),
    ],
)
def test_what_happened_to_the_eight_is_said(graded, name, state, says):
    it = of(graded, name, SIGMOID)
    assert it.state == state and says in it.text
    others = {id: found for id, found in states(graded, name).items() if id != SIGMOID}
    assert set(others.values()) == {"missing" if name in ("forges", "empty") else "passed"}


def test_nothing_outside_was_touched(graded):
    assert (graded[1] / "keep").read_text() == "x"
    assert importlib.import_module("numpy").ones(1)[0] == 1


def test_the_teachers_pages(graded, tmp_path):
    all_of_them = list(graded[0].values())
    text, page = pages.table(all_of_them), pages.page(all_of_them)
    assert "sum_instead_of_mean (7)" in text and "loops" in text
    assert page.count("<details>") == 30 and "uphill" in page and "http" not in page
    with open(tmp_path / "grades.csv", "w", newline="") as out:
        pages.write_csv(all_of_them, out)
    assert len((tmp_path / "grades.csv").read_text().splitlines()) == 1 + 30 * len(IDS)


def test_hostile_names_are_text():
    one = grade.Graded("<script>alert(1)</script>", (grade.Grade("=cmd()", "a.b", "failed", "", "<img src=x>", "=1+1"),), ("<b>",), 0.0)
    page = pages.page([one])
    assert "<script>" not in page and "<img" not in page and "<b>" not in page


# One submission


@pytest.fixture
def judged(tmp_path):
    """The grades of one notebook's cells by exercise id."""
    return lambda *sources, **kw: {it.id: it for it in grade.grade_learner(submit(tmp_path, "one", sources, **kw), IDS).grades}


def test_copies_in_other_files_and_a_stub_beside(judged):
    found = judged(*cells(), cell(SIGMOID, "def sigmoid(z):\n    ..."), file="my copy (2).ipynb")
    assert {it.state for it in found.values()} == {"passed"}


def test_the_best_of_the_last_versions_counts_and_is_named(judged):
    found = judged(*cells(), cell(LOSS, WRONG[LOSS][0]))
    assert found[LOSS].state == "passed" and "2 versions; this is of cell 3" in found[LOSS].note


def test_stubs_and_absent_cells(judged):
    found = judged(IMPORTS, cell(SIGMOID, 'def sigmoid(z):\n    """z"""\n    ...'), cell(LOSS, "def bce_loss(a, y): raise NotImplementedError"))
    assert [found[id].state for id in IDS] == ["not attempted", "not attempted", "missing"]


def test_one_solved_exercise_in_the_lesson_as_it_ships(tmp_path):
    """Cells between the exercises use work that is still open."""
    shipped = [it.source for it in nbformat.read(course.lesson(1).path, as_version=4).cells if it.cell_type == "code"]
    own = submit(tmp_path, "ann", [cell(LOSS, RIGHT[LOSS]) if LOSS in it else it for it in shipped])
    assert {it.id: it.state for it in grade.grade_learner(own, IDS).grades} == {SIGMOID: "not attempted", LOSS: "passed", STEP: "not attempted"}


def test_the_solution_copied_by_hand_is_noted(judged):
    source = textwrap.dedent(inspect.getsource(catalogue.find(SIGMOID).reference))
    found = judged(*cells(sigmoid=cell(SIGMOID, source)))
    assert found[SIGMOID].state == "passed" and "bn.solution" in found[SIGMOID].note and not found[STEP].note


@pytest.mark.parametrize(
    "body",
    [
        "import os; os._exit(0)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import os\n    for fd in range(3, 20):\n        try: os.write(fd, b'x' * 1000)\n        except OSError: pass\n    return z",
        "import bigmodel_nb as bn\n    return bn.exercises.reference('neuron_and_gradient_descent.sigmoid')(z)",
        "import importlib\n    return importlib.import_module('bigmodel_nb.exercises.neuron_and_gradient_descent').sigmoid(z)",
        "return type('Equal', (), {'__eq__': lambda *a: True, 'shape': z.shape, 'dtype': z.dtype})()",
    ],
    ids=["ends", "kills", "writes into every pipe", "calls the reference", "imports it", "equal to everything"],
)
def test_no_way_around(judged, body):
    found = judged(*cells(sigmoid=cell(SIGMOID, f"def sigmoid(z):\n    {body}")))
    assert found[SIGMOID].state in ("failed", "the course's solution") and found[LOSS].state == found[STEP].state == "passed", found


# Every exercise of the course can be judged from outside


@pytest.mark.parametrize("lesson", catalogue.lessons())
def test_every_reference_passes(lesson):
    module = importlib.import_module(f"bigmodel_nb.exercises.{lesson}")
    # as a learner's helpers: the module's own top, with absolute imports
    top = inspect.getsource(module).replace("from .engine", "from bigmodel_nb.exercises.engine")
    for other in catalogue.lessons():
        top = top.replace(f"from .{other} ", f"from bigmodel_nb.exercises.{other} ")
    works, ids = {}, [item.id for item in catalogue.of_lesson(lesson)]
    for id in ids:
        source = textwrap.dedent(inspect.getsource(catalogue.find(id).reference))
        works |= of_cells([top, cell(id, source)]).works
    found = {it.id: it for it in grade.grade_lesson("x", ids, works, trust=False)}
    assert {id: it.state for id, it in found.items()} == dict.fromkeys(ids, "passed"), found
