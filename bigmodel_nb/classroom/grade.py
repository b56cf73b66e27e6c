"""Grades submitted notebooks: by what their code returns, in a process that the code can't reach.

Progress files are never read. Each learner's work runs isolated, lesson by lesson, and is judged
here by the exercises' own checks.
"""

from __future__ import annotations

import ast
import inspect
import multiprocessing
import os
import textwrap
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bigmodel_nb.errors import CourseError
from bigmodel_nb.exercises.engine import catalogue
from bigmodel_nb.exercises.engine.judge import verdict
from bigmodel_nb.exercises.engine.model import Exercise
from bigmodel_nb.exercises.engine.stub import is_stub_source

from . import extract, isolate, remote, variant

MOST_COPIES = 4  # of one exercise in a submission that are judged, the last ones
MOST_SECONDS = 300.0  # by the clock, for all exercises of one lesson of one learner
STATES = ("passed", "failed", "not attempted", "missing", "the course's solution")


@dataclass(frozen=True)
class Grade:
    """What became of one exercise of one learner; `state` is one of `STATES`."""

    learner: str
    id: str
    state: str
    misconception: str = ""
    text: str = ""
    note: str = ""


@dataclass(frozen=True)
class Graded:
    """All grades of one learner, and what was unusual about the submission."""

    learner: str
    grades: tuple[Grade, ...]
    notes: tuple[str, ...]
    seconds: float

    def passed(self) -> int:
        return sum(it.state == "passed" for it in self.grades)


def grade_class(
    folders: Sequence[Path],
    ids: Sequence[str],
    trust: bool = False,
    processes: int | None = None,
    done: Callable[[Graded], None] = lambda graded: None,
    seed: str | None = None,
) -> list[Graded]:
    """The grades of each folder's learner, in the order of the folders. `done` is called with each as it comes.

    seed: that of the variant that was handed out, if it was one.
    """
    if not isolate.means() and not trust:
        isolate.command(Path(), [])  # says what to do
    context, found = multiprocessing.get_context("spawn"), {}
    with ProcessPoolExecutor(processes or os.cpu_count() or 1, mp_context=context) as pool:
        running = {pool.submit(grade_learner, folder, tuple(ids), trust, seed): folder for folder in folders}
        for future in as_completed(running):
            folder = running[future]
            found[folder] = future.result()
            done(found[folder])
    return [found[folder] for folder in folders]


def grade_learner(folder: Path, ids: Sequence[str], trust: bool = False, seed: str | None = None) -> Graded:
    """The grades of one learner's folder."""
    started = time.monotonic()
    works, notes = submitted(folder)
    grades: list[Grade] = []
    for lesson in dict.fromkeys(id.partition(".")[0] for id in ids):
        wanted = [id for id in ids if id.partition(".")[0] == lesson]
        grades += grade_lesson(folder.name, wanted, works, trust, seed)
    return Graded(folder.name, tuple(grades), tuple(notes), time.monotonic() - started)


def submitted(folder: Path) -> tuple[dict[str, list[extract.Work]], list[str]]:
    """The works in all notebooks of a folder, whatever the files are called; and notes on them."""
    works: dict[str, list[extract.Work]] = {}
    notes: list[str] = []
    files = sorted(path for path in folder.rglob("*.ipynb") if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    for path in files:
        if path.is_symlink() or not path.is_file():
            notes.append(f"{path.name} is a link and was not read")
            continue
        found = extract.read(path)
        notes += [note if note.startswith(path.name) else f"{path.name}: {note}" for note in found.notes]
        for id, some in found.works.items():
            works.setdefault(id, []).extend(some)
    if not files:
        notes.append("no notebook was submitted")
    return works, notes


def grade_lesson(
    learner: str, ids: Sequence[str], works: dict[str, list[extract.Work]], trust: bool, seed: str | None = None
) -> list[Grade]:
    """The grades of one lesson's exercises, in one isolated process, begun anew where it is lost."""
    hide, grades = remote.by_value(ids[0].partition(".")[0]), []
    deadline = time.monotonic() + MOST_SECONDS
    with ExitStack() as stack:
        own = Path(stack.enter_context(remote.own_folder()))
        session = stack.enter_context(_Session(own, hide, trust))
        for id in ids:
            item = catalogue.find(id) if seed is None else variant.with_variant(catalogue.find(id), seed)
            grades.append(_grade(learner, item, works.get(id, []), session, deadline))
    return grades


class _Session:
    """An isolated process that is there when it is needed, and replaced when it was lost."""

    def __init__(self, own: Path, hide: list[Path], trust: bool) -> None:
        self.make, self.now = (lambda: remote.Isolated(own, hide, trust)), None

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()

    def drop(self) -> None:
        if self.now:
            self.now.end()
        self.now = None

    def get(self) -> remote.Isolated:
        if self.now is None or self.now.lost or self.now.process.poll() is not None:
            self.drop()
            self.now = self.make()
        return self.now


def _grade(learner: str, exercise: Exercise, works: list[extract.Work], session: _Session, deadline: float) -> Grade:
    if not works:
        return Grade(learner, exercise.id, "missing", note="no cell with this exercise")
    begun = [work for work in works if work.is_reference or not is_stub_source(work.source)]
    if not begun:
        return Grade(learner, exercise.id, "not attempted")
    grade = None
    for work in reversed(begun[-MOST_COPIES:]):
        note = f"{len(begun)} versions; this is of cell {work.cell + 1}" if len(begun) > 1 else ""
        if time.monotonic() > deadline:
            return grade or Grade(learner, exercise.id, "failed", note=f"not judged: the lesson took more than {MOST_SECONDS:.0f} s")
        judged = _judge(learner, exercise, work, session, note)
        if judged.state == "passed":
            return judged
        grade = grade or judged
    return grade


def _judge(learner: str, exercise: Exercise, work: extract.Work, session: _Session, note: str) -> Grade:
    if work.is_reference:
        return Grade(learner, exercise.id, "the course's solution", text="The cell calls bn.exercises.reference.", note=note)
    isolated = session.get()
    if wrong := remote.define(isolated, work):
        return Grade(learner, exercise.id, "failed", text=wrong, note=note)
    found = verdict(exercise, remote.RemoteAttempt(exercise, isolated))
    same = "the same code as bn.solution shows" if found.status == "passed" and is_course_solution(work, exercise) else ""
    notes = "; ".join(filter(None, (same, note)))
    return Grade(learner, exercise.id, found.status, found.misconception or "", found.text, notes)


def is_course_solution(work: extract.Work, exercise: Exercise) -> bool:
    """True for the reference's own code, down to the names of its variables. Short solutions may well agree by chance."""
    return _shape(work.source) == _shape(textwrap.dedent(inspect.getsource(exercise.reference)))


def _shape(source: str) -> str:
    """The syntax of a definition without its name, docstrings and annotations."""
    tree = ast.parse(source).body[0]
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            node.decorator_list = []
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    tree.name = ""
    return ast.dump(tree)


def wanted_ids(lessons: Iterable[str] | None) -> list[str]:
    """The ids of all exercises of these lessons, numbers or names; of the course without any."""
    if lessons is None:
        return [item.id for item in catalogue.catalogue()]
    from bigmodel_nb import course

    names = [course.lesson(key).name for key in lessons]
    if bare := [name for name in names if name not in catalogue.lessons()]:
        raise CourseError(f"Lesson {', '.join(bare)} has no exercises to grade.")
    return [item.id for name in names for item in catalogue.of_lesson(name)]
