"""Every notebook of the course, run as a learner runs it; and what such a run rejects."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from tiny_notebook import write

from bigmodel_nb import run
from tests.notebook_rules import ROOT
from tests.notebook_runs import AVX2, Run, first_run, over_budget, second_run

NOTEBOOKS = sorted((ROOT / "notebooks").rglob("[0-9][0-9]_*.ipynb"))
AMPLE = {"seconds": 90, "rss_mb": 1000}

pytestmark = pytest.mark.slow


# The course


@pytest.fixture(scope="session")
def first(request, tmp_path_factory):
    """Pass 1 of a notebook, run once however many tests ask for it."""
    runs: dict[Path, Run] = {}
    extra = AVX2 if request.config.option.avx2 else None

    def get(notebook: Path) -> Run:
        if notebook not in runs:
            runs[notebook] = first_run(notebook, tmp_path_factory.mktemp(notebook.stem), extra)
        return runs[notebook]

    return get


@pytest.fixture(scope="session")
def second(request, first):
    """Pass 2 of a notebook, two of them at a time: each on one thread and as on an older CPU."""
    wanted = [item.callspec.params["notebook"] for item in request.session.items if item.name.startswith("test_pass_2[")]
    done = {notebook: first(notebook) for notebook in wanted}
    with ThreadPoolExecutor(2) as pool:
        running = {notebook: pool.submit(second_run, run, AVX2) for notebook, run in done.items()}
        yield lambda notebook: running[notebook].result()


@pytest.mark.notebook
def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.notebook
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_pass_1(notebook, first, say, request):
    """Strict, exercises unsolved, no network tried, within its budget."""
    done = first(notebook)
    budget = nbformat.read(notebook, as_version=4).metadata.bigmodel_nb.budget
    say(f"{notebook.name}: {done.seconds:.0f} s of {budget.seconds}, {done.rss_mb:.0f} MB of {budget.rss_mb}")
    problems = done.problems(None if request.config.option.avx2 else budget)
    assert not problems, "\n".join(problems)


@pytest.mark.notebook
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_pass_2(notebook, request):
    """Solved, over what pass 1 left, with AVX2 at most: the same outputs, and every exercise passed."""
    if not request.config.option.pass2:
        pytest.skip("pass 2 runs in CI or with --pass2")
    found = request.getfixturevalue("second")(notebook)
    assert not found, "\n".join(found)


# What a run rejects


@pytest.fixture
def stored(tmp_path):
    """Write a tiny notebook of these cells, run it and store its outputs; its path."""

    def store(*sources: str) -> Path:
        path = write(tmp_path / "notebooks" / "99_tiny.ipynb", *sources)
        report = run.execute(path)
        assert report.error is None
        run.save(path, report)
        return path

    return store


def test_a_good_notebook_passes(stored, tmp_path):
    notebook = stored("x = 2\nprint(x)", "import socket\nsocket.getaddrinfo('localhost', 80)\nx + 1")
    done = first_run(notebook, tmp_path / "run")
    assert done.problems(AMPLE) == [] and "2 passed" in done.output
    assert done.seconds > 0 and 20 < done.rss_mb < 500
    assert second_run(done) == []


def test_the_clone_and_the_home_stay_as_they_are(stored, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    notebook = stored("from pathlib import Path\nPath('here').touch()\nPath.home().joinpath('home').touch()")
    made = [notebook.with_name("here"), home / "home"]
    for path in made:
        path.unlink()
    assert first_run(notebook, tmp_path / "run").problems() == []
    assert not any(path.exists() for path in made)


def test_a_changed_output_is_rejected(stored, tmp_path):
    notebook = stored("print('loss 2.1')", "print('kept')")
    changed = nbformat.read(notebook, as_version=4)
    changed.cells[0].outputs[0].text = "loss 2.2\n"
    nbformat.write(changed, notebook)
    [problem] = first_run(notebook, tmp_path / "run").problems(AMPLE)
    assert "Cell outputs differ" in problem and "1 failed, 1 passed" in problem


def test_an_attempt_to_use_the_network_is_rejected(stored, tmp_path):
    quiet = "import urllib.request\ntry:\n    urllib.request.urlopen('http://example.invalid')\nexcept OSError:\n    print('offline')"
    [problem] = first_run(stored(quiet), tmp_path / "run").problems(AMPLE)
    assert problem.startswith("network: ") and "example.invalid" in problem


def test_more_time_and_memory_than_declared_are_rejected(stored, tmp_path):
    done = first_run(stored("import time\nx = b'x' * 300_000_000\ndel x\ntime.sleep(2)"), tmp_path / "run")
    assert done.rss_mb > 300 and done.problems(AMPLE) == []
    slow, large = done.problems({"seconds": 1, "rss_mb": 250})
    assert "twice the declared 1 s" in slow and "the declared 250 MB" in large


def test_the_limits_of_any_notebook():
    assert over_budget(seconds=170, rss_mb=1490, budget={"seconds": 90, "rss_mb": 1500}) == []
    assert len(over_budget(seconds=170, rss_mb=1510, budget={"seconds": 91, "rss_mb": 1600})) == 2


EXERCISE = '''@bn.exercise("start_here.count_parameters")
def count_parameters(config):
    ...'''


def test_an_output_that_depends_on_the_exercise_is_rejected_by_pass_2(stored, tmp_path):
    notebook = stored(
        "import bigmodel_nb as bn", EXERCISE, "print(callable(count_parameters))", "print(hasattr(count_parameters, 'mine'))"
    )
    done = first_run(notebook, tmp_path / "run")
    assert done.problems() == []
    [found] = second_run(done)
    assert "cell 3 differs" in found and "-stdout: True\n+stdout: False" in found


def test_an_output_that_depends_on_the_processor_is_rejected_by_pass_2(stored, tmp_path):
    notebook = stored("import os\nprint(os.environ.get('ATEN_CPU_CAPABILITY'))")
    done = first_run(notebook, tmp_path / "run")
    assert done.problems() == [] and second_run(done) == []
    [found] = second_run(done, AVX2)
    assert "-stdout: None\n+stdout: avx2" in found


def test_an_output_that_depends_on_stored_progress_is_rejected_by_pass_2(stored, tmp_path):
    notebook = stored("from pathlib import Path\nprint(len(list(Path('.').glob('left*'))))\nPath('left').touch()")
    notebook.parent.joinpath("left").unlink()
    done = first_run(notebook, tmp_path / "run")
    assert done.problems() == [] and "differs" in second_run(done)[0]
