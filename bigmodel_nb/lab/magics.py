"""Magics of the course: `%load_ext bigmodel_nb` gives `%progress`, `%hint`, `%device` and `%%budget`."""

from __future__ import annotations

import time
from dataclasses import replace

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from bigmodel_nb.course import EXERCISE
from bigmodel_nb.errors import CourseError, ResourceError


@magics_class
class CourseMagics(Magics):
    """What a learner asks for most, without parentheses and quotation marks."""

    @magic_arguments()
    @argument("lesson", nargs="?", help="a lesson's number or name; all lessons without it")
    @line_magic
    def progress(self, line):
        """Show which exercises are done."""
        from bigmodel_nb import course
        from bigmodel_nb.exercises import progress

        shown, wanted = progress(), parse_argstring(self.progress, line).lesson
        if wanted is None:
            return shown
        lesson = course.lesson(wanted)
        rows = tuple(row for row in shown.rows if row[0].partition(".")[0] == lesson.name)
        if not rows:
            raise CourseError(f"Lesson {lesson.number:02}, {lesson.name}, has no exercises.")
        return replace(shown, rows=rows)

    @magic_arguments()
    @argument("id", nargs="?", help="an exercise's id, such as attention.scores; the last one that was checked without it")
    @line_magic
    def hint(self, line):
        """Show one more hint to an exercise."""
        from bigmodel_nb.exercises import hint

        hint(parse_argstring(self.hint, line).id or last_exercise(self.shell.user_ns.get("In", [])))

    @magic_arguments()
    @argument("name", nargs="?", help='such as "cpu" or "cuda:1"; the fastest one without it')
    @line_magic
    def device(self, line):
        """Say which device and number format the course uses here, and why."""
        from bigmodel_nb.device import pick

        return pick(parse_argstring(self.device, line).name)

    @magic_arguments()
    @argument("-s", "--seconds", type=float, help="wall-clock seconds that the cell may take")
    @argument("-m", "--mb", type=float, help="megabytes that it may need above what the kernel holds already")
    @cell_magic
    def budget(self, line, cell):
        """Run the cell, then say how long it took and how much memory it needed at its highest."""
        from bigmodel_nb.memory import measure

        args, started = parse_argstring(self.budget, line), time.perf_counter()
        done = measure(lambda: self.shell.run_cell(cell, store_history=False))
        seconds, mb = time.perf_counter() - started, done.peak_bytes / 1e6
        report = f"{seconds:.2f} s{_of(args.seconds, 's')}, {mb:,.0f} MB{_of(args.mb, 'MB')} above the start"
        if not done.result.success:
            raise CourseError(f"The cell failed, see above. Until then: {report}.")
        if seconds > (args.seconds or seconds) or mb > (args.mb or mb):
            raise ResourceError(f"Over budget: {report}.")
        print(report)


def last_exercise(cells: list[str]) -> str:
    """The exercise in the last of these cells that has one.

    >>> last_exercise(['@bn.exercise("attention.scores")\\ndef f(q, k): ...', "2 + 2"])
    'attention.scores'
    """
    for cell in reversed(cells):
        if found := EXERCISE.findall(cell):
            return found[-1]
    raise CourseError("No exercise was run in this kernel yet. Next: %hint LESSON.NAME, with the Tab key after %hint for a list.")


def complete_hint(shell, event) -> list[str]:
    """The exercises' ids, for the Tab key."""
    from bigmodel_nb.exercises import catalogue

    return [item.id for item in catalogue()]


def complete_progress(shell, event) -> list[str]:
    """The names of the lessons, for the Tab key."""
    from bigmodel_nb import course

    return [lesson.name for lesson in course.lessons()]


def load(shell) -> None:
    """Register the magics and what the Tab key offers after them."""
    shell.register_magics(CourseMagics)
    shell.set_hook("complete_command", complete_hint, str_key="%hint")
    shell.set_hook("complete_command", complete_progress, str_key="%progress")


def _of(limit: float | None, unit: str) -> str:
    return f" of {limit:g} {unit}" if limit else ""
