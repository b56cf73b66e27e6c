"""A variant checks right and wrong answers without the course, holds no solution, and is graded with its own inputs."""

from __future__ import annotations

import inspect
import json
import shutil
import subprocess
import sys

import nbformat
import numpy as np
import pytest

from bigmodel_nb import cli, course
from bigmodel_nb.classroom import extract, grade, isolate, selfcheck, variant
from bigmodel_nb.exercises.engine import catalogue, compare
from bigmodel_nb.exercises.engine.attempt import copied
from bigmodel_nb.exercises.engine.judge import judge

LOSS, STEP, MASK = "neuron_and_gradient_descent.bce_loss", "optimizers.adam_step", "attention.causal_mask"
RIGHT = {
    LOSS: "def f(a, y):\n    return sum(max(z, 0) - z * t + math.log1p(math.exp(-abs(z))) for z, t in zip(a, y)) / len(y)",
    STEP: "def f(theta, g, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):\n    m += (1 - beta1) * (g - m)\n    v += (1 - beta2) * (g * g - v)\n"
          "    size = lr / (1 - beta1**t)\n    return [theta - size * m / ((v / (1 - beta2**t)) ** 0.5 + eps), m, v]  # a list will do",
    MASK: "def f(T):\n    return ~np.triu(np.ones((T, T), bool), 1)",
}  # fmt: skip
WRONG = {
    LOSS: "def f(a, y):\n    return 1.02 * sum(np.logaddexp(0, a) - y * a) / len(y)",
    STEP: "def f(theta, g, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):\n    return theta - lr * g, m, v",
    MASK: "def f(T):\n    return np.triu(np.ones((T, T), bool))",
}
IMPORTS = "import math, sys\nsys.modules['bigmodel_nb'] = None  # no course here\nimport numpy as np\nfrom variant import exercise, inputs\n"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Three variants of the same lessons: A, the same again, and B."""
    root, lessons = tmp_path_factory.mktemp("variants"), [course.lesson(key) for key in (1, 4, 9)]
    for name in ("A", "again", "B"):
        variant.write(root / name, lessons, "B" if name == "B" else "A")
    return root


def alone(folder, code):
    """What code prints where only the variant's folder is present."""
    done = subprocess.run([sys.executable, "-c", IMPORTS + code], cwd=folder, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else done.stderr


def data(folder):
    return json.loads((folder / "variant" / "data.json").read_text())["exercises"]


@pytest.mark.parametrize("id", RIGHT)
def test_right_in_another_style_and_wrong(folders, tmp_path, id):
    shutil.copytree(folders / "A", tmp_path / "only")
    told = [alone(tmp_path / "only", f"@exercise({id!r})\n{source}\nprint(f.__code__.co_firstlineno > 0)") for source in (RIGHT[id], WRONG[id])]
    assert f"{id}: right on all" in told[0] and f"{id}: right on 0 of" in told[1], told
    assert all(it.endswith("True\n") for it in told), "the name is bound to something else than the learner's own"


def test_the_notebook_runs_alone_and_unsolved(folders, tmp_path):
    shutil.copytree(folders / "A", tmp_path / "only")
    for file in sorted((tmp_path / "only").glob("*.ipynb")):
        notebook = nbformat.read(file, as_version=4)
        nbformat.validate(notebook)
        ids = [item.id for item in catalogue.of_lesson(file.stem[3:])]
        told = alone(tmp_path / "only", "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")).splitlines()
        assert sorted(line.partition(":")[0] for line in told) == sorted(ids) and all(line.endswith(("not attempted", "when it is graded")) for line in told)
        assert sorted(extract.read(file).works) == sorted(ids)


def test_no_solution_in_any_file(folders):
    texts = [path.read_text() for path in (folders / "A").rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
    stubs = "\n".join(text for text in texts if '"nbformat"' in text)
    for lesson in (1, 4, 9):
        for item in catalogue.of_lesson(course.lesson(lesson).name):
            body = inspect.getsource(item.reference).partition("):")[2].replace(item.reference.__doc__ or "-", "")
            lines = [line.strip() for line in body.splitlines() if len(line.strip()) > 20]
            assert not [line for line in lines for text in texts if line in text or json.dumps(line)[1:-1] in text]
    assert "bigmodel_nb" not in stubs and "bn." not in stubs


def test_the_same_seed_gives_the_same_files(folders):
    files = [path.relative_to(folders / "A") for path in (folders / "A").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert len(files) == 6 and all((folders / "A" / it).read_bytes() == (folders / "again" / it).read_bytes() for it in files)
    assert all(a["inputs"] != b["inputs"] for a, b in zip(data(folders / "A")[STEP], data(folders / "B")[STEP]))
    assert not {it["salt"] for some in data(folders / "A").values() for it in some} & {it["salt"] for some in data(folders / "B").values() for it in some}


def test_printed_values_of_one_variant_are_wrong_in_another(folders):
    item, table = catalogue.find(LOSS), []
    for _, case in zip(range(variant.MOST_CASES), variant.draw(item, "A")):
        table.append((case, item.reference(*copied(case))))

    def printed(logits, y):
        same = [value for case, value in table if case[0].shape == logits.shape and (case[0] == logits).all()]
        return same[0] if same else table[0][1]

    found = [selfcheck.report(LOSS, data(folders / name)[LOSS], printed) for name in ("A", "B")]
    assert found[0].startswith("right on all") and found[1].startswith("right on 0")
    assert all(judge(variant.with_variant(item, name), printed).status == "failed" for name in "AB")


def test_the_grader_adds_the_inputs_of_the_variant():
    item = catalogue.find(LOSS)
    for use in ("shown", "hidden"):
        case = next(variant.draw(item, "A", use))

        def wrong_there(logits, y, case=case):
            there = logits.shape == case[0].shape and (logits == case[0]).all()
            return item.reference(logits, y) + float(there)

        assert judge(item, wrong_there).status == "passed"
        assert judge(variant.with_variant(item, "A"), wrong_there).status == "failed"
        assert judge(variant.with_variant(item, "B"), wrong_there).status == "passed"


def test_submissions_of_a_variant_are_graded(folders, tmp_path):
    if not isolate.means():
        pytest.skip("neither bubblewrap nor user namespaces here")
    shutil.copytree(folders / "A", tmp_path / "ann")
    file = tmp_path / "ann" / course.lesson(1).file
    notebook = nbformat.read(file, as_version=4)
    for cell in notebook.cells:
        if LOSS in cell.source:
            cell.source = f'@exercise("{LOSS}")\n{RIGHT[LOSS]}'
    nbformat.write(notebook, file)
    graded = grade.grade_learner(tmp_path / "ann", grade.wanted_ids(["1"]), seed="A")
    assert {it.id: it.state for it in graded.grades if it.state != "not attempted"} == {LOSS: "passed"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_the_course_accepts_passes_and_what_is_off_does_not(dtype):
    rng = np.random.default_rng(0)
    for size in (1, 5, 40, 300):
        right = (rng.normal(size=size) * 10.0 ** rng.integers(-3, 6, size)).astype(dtype)
        right[: size // 3] = right[: size // 3].round()
        limit = compare.TOLERANCE[dtype]
        parts = selfcheck.leaves(right)
        shifts = selfcheck.shifts_of(parts)
        for sign in (-1, 1):
            near = (right + sign * 0.99 * (limit * abs(right) + limit / 10)).astype(dtype)
            assert compare.compare(near, right) is None and selfcheck.rounded(selfcheck.leaves(near), shifts) == selfcheck.rounded(parts, shifts)
            off = right.copy()
            off[-1] += sign * 60 * limit * (abs(off[-1]) + 0.1)
            assert selfcheck.rounded(selfcheck.leaves(off), shifts) != selfcheck.rounded(parts, shifts)


@pytest.mark.parametrize("value", [True, 3, "a", None, (1, [2.5, "b"]), {"a": np.arange(3), 2: 1.0}, [], np.array([np.nan, np.inf, -np.inf, 0.0])])
def test_all_kinds_of_results(value):
    parts = selfcheck.leaves(value)
    salted = [selfcheck.digest(parts, selfcheck.shifts_of(parts), salt) for salt in "aab"]
    assert salted[0] == salted[1] != salted[2]
    for other in (False, 4, "b", (1, (2.5, "b")), {"a": np.arange(3), 3: 1.0}, [0], np.array([np.nan, -np.inf, -np.inf, 0.0])):
        assert selfcheck.rounded(selfcheck.leaves(other), selfcheck.shifts_of(parts)) != selfcheck.rounded(parts, selfcheck.shifts_of(parts))


def test_the_command(tmp_path, capsys):
    words = ["class", "variant", str(tmp_path / "x"), "--lessons", "1", "--seed", "A"]
    assert cli.main(words) == 0 and "--seed 'A'" in capsys.readouterr().out
    assert cli.main(words) == 1 and "nothing is overwritten" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("lesson", catalogue.lessons())
def test_every_reference_is_right_by_its_own_variant(lesson):
    for item in catalogue.of_lesson(lesson):
        if known := variant.carried(item, "A"):
            assert selfcheck.report(item.id, known, item.reference).startswith("right on all")
