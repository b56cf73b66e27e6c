import json
import os
import re
import subprocess
import sys
import textwrap

import nbformat
import pytest
import tiny_notebook

from bigmodel_nb import run
from bigmodel_nb.errors import CourseError

CELLS = (
    "import os, subprocess, sys\nprint('out')\nprint('err', file=sys.stderr)\nprint('out again')\n3;",
    "from IPython.display import display\nprint('before')\ndisplay({'a': 1})\nprint('after')",
    "import ipywidgets\nipywidgets.IntSlider()",
    "block = bytearray(200_000_000)\nlen(block)",
    "print(sys.executable, os.getcwd(), os.environ['BIGMODEL_NB_MODEL'], 'GONE' in os.environ)",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def lesson(folder):
    return tiny_notebook.write(folder / "01_tiny.ipynb", *CELLS, lesson=1, title="Tiny", budget={"seconds": 20})


@pytest.fixture(scope="module")
def seen():
    return []


@pytest.fixture(scope="module")
def report(lesson, folder, seen):
    (folder / "weights").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GONE", "1")
        patch.chdir(folder)
        return run.execute(lesson, model="weights", env={"GONE": None}, on_cell=seen.append)


def outputs(report, cell):
    return report.notebook.cells[cell].outputs


def test_all_cells_run_and_are_reported(report, seen, lesson):
    assert report.error is None
    assert [it.number for it in seen] == [1, 2, 3, 4, 5] and {it.total for it in seen} == {5}
    assert sum(it.seconds for it in seen) < report.seconds
    assert "outputs\": []" in lesson.read_text()  # the file is as it was


def test_the_kernel_is_this_python_in_the_notebooks_folder(report, folder):
    executable, cwd, model, gone = outputs(report, 4)[0].text.split()
    assert (executable, cwd, model, gone) == (sys.executable, str(folder), str(folder / "weights"), "False")


def test_streams_are_joined_where_they_are_neighbours(report):
    assert [(it.name, it.text) for it in outputs(report, 0)[:2]] == [("stdout", "out\nout again\n"), ("stderr", "err\n")]
    assert [it.output_type for it in outputs(report, 1)] == ["stream", "display_data", "stream"]


def test_a_trailing_semicolon_hides_nothing_as_under_nbval(report):
    assert outputs(report, 0)[2].data["text/plain"] == "3"


def test_peak_memory_counts_an_allocation(report):
    assert 230e6 < report.peak_bytes < 500e6


@pytest.fixture(scope="module")
def saved(report, lesson, folder):
    """The lesson, run and stored twice: (path, first text, second text)."""
    target = folder / "02_saved.ipynb"
    target.write_bytes(lesson.read_bytes())
    run.save(target, report)
    first = target.read_text()
    run.save(target, run.execute(target, model=folder / "weights", env={"GONE": None}))
    return target, first, target.read_text()


def test_saving_is_stable(saved):
    _, first, second = saved
    assert first == second


def test_what_is_saved(saved):
    path, text, _ = saved
    stored = json.loads(text)
    assert text.endswith("}\n") and list(stored) == sorted(stored)
    assert stored["metadata"].keys() == {"bigmodel_nb", "kernelspec", "language_info"}
    assert stored["metadata"]["bigmodel_nb"]["measured"].keys() == {"seconds", "rss_mb"}
    assert [cell["execution_count"] for cell in stored["cells"]] == [1, 2, 3, 4, 5]
    assert [cell["id"] for cell in stored["cells"]] == [f"cell-{i}" for i in range(5)]
    assert stored["cells"][2]["outputs"][0]["data"] == {"text/plain": ["IntSlider(value=0)"]}


@pytest.mark.parametrize(
    "source, expected",
    [
        ("bn.quiz('a.b', 'Why?', [])\nbn.quiz('a.c', 'How?', [])", True),
        ("bn.quiz('a.b', 'Why?', [])\nprint(1)", False),
        ("print('bn.quiz(')", False),
        ("%magic bn.quiz(", False),
    ],
)
def test_which_cells_only_ask(source, expected):
    assert run.is_quiz(nbformat.v4.new_code_cell(source)) is expected
    assert not run.is_quiz(nbformat.v4.new_markdown_cell(source))


def test_the_source_of_a_question_is_folded_away(report, folder):
    path = tiny_notebook.write(folder / "03_quiz.ipynb", "bn = __import__('bigmodel_nb')", "bn.quiz('a.b', 'Why?', [('so', True, 'yes'), ('or', False, 'no')])")
    run.save(path, run.execute(path))
    cells = nbformat.read(path, as_version=4).cells
    assert [cell.metadata.get("jupyter") for cell in cells] == [None, {"source_hidden": True}]


def test_nbval_gets_what_is_saved(saved, folder, monkeypatch):
    monkeypatch.setenv("BIGMODEL_NB_MODEL", str(folder / "weights"))
    monkeypatch.delenv("GONE", raising=False)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    found = subprocess.run(
        [*command, "--nbval", "--nbval-current-env", saved[0].name], cwd=folder, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout


def test_child_processes_count(folder):
    child = "import time; block = bytearray(300_000_000); time.sleep(2)"
    path = tiny_notebook.write(folder / "child.ipynb", f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])")
    assert run.execute(path).peak_bytes > 320e6


@pytest.mark.parametrize(
    "source, message",
    [
        ("x = 1\nx / 0", r"code cell 2 of 3 \(x = 1\): ZeroDivisionError: division by zero"),
        ("import time\ntime.sleep(60)", r"code cell 2 of 3 \(import time\): still running"),
        ("import os\nos._exit(9)", r"code cell 2 of 3 \(import os\): the kernel died"),
    ],
)
def test_an_error_names_its_cell(folder, source, message):
    path = tiny_notebook.write(folder / "bad.ipynb", "1", source, "2")
    report = run.execute(path, timeout=5)
    assert re.match(message, report.error)
    assert report.notebook.cells[2].execution_count is None
    with pytest.raises(CourseError, match="Not stored"):
        run.save(path, report)


def test_solved_replaces_exercises_only():
    source = textwrap.dedent(
        '''
        # keep
        %matplotlib inline
        @bn.exercise("lesson.add")
        @other
        def add(a, b):
            """Sum."""
            ...

        class Plain:
            ...

        @bn.exercise('lesson.layer')
        class Layer:
            def forward(self):
                ...
        print(add(1, 2))
        '''
    ).strip()
    assert run.solve(source).splitlines() == [
        "# keep",
        "%matplotlib inline",
        'add = bn.exercise("lesson.add")(bn.exercises.reference("lesson.add"))',
        "",
        "class Plain:",
        "    ...",
        "",
        "Layer = bn.exercise('lesson.layer')(bn.exercises.reference('lesson.layer'))",
        "print(add(1, 2))",
    ]


def test_solved_runs_with_the_reference(folder):
    package = "class bn:\n    class exercises:\n        reference = staticmethod(lambda id: lambda: id + ' solved')\n    exercise = staticmethod(lambda id: lambda it: it)"
    path = tiny_notebook.write(folder / "exercise.ipynb", package, '@bn.exercise("a.b")\ndef f():\n    ...', "print(f())")
    assert run.execute(path, solved=True).notebook.cells[2].outputs[0].text == "a.b solved\n"
    assert run.execute(path).notebook.cells[2].outputs[0].text == "None\n"


@pytest.mark.parametrize("seconds, stored, kept", [(41.2, None, 45), (41.2, 40, 40), (41.2, 50, 50), (41.2, 60, 45), (0.2, None, 5)])
def test_measured_seconds_are_rounded_up_and_steady(seconds, stored, kept):
    report = run.RunReport(nbformat.v4.new_notebook(), seconds, 1_001_000_000)
    found = run._measured(report, {"seconds": stored} if stored else {})
    assert found == {"seconds": kept, "rss_mb": 1050}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_memory_that_a_fork_shares_counts_once():
    code = "import os, time; held = b'x' * 200_000_000; child = os.fork(); time.sleep(1.5); child and os.wait()"
    process = subprocess.Popen([sys.executable, "-c", code])
    with run.MemoryWatch() as memory:
        memory.watch(process.pid)
        process.wait()
    assert 200e6 < memory.peak_bytes < 300e6
