"""The command `bigmodel-nb`.

Exit codes: 0 all well, 1 something failed, 2 wrong usage, 3 the environment is incomplete.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import CourseError

if TYPE_CHECKING:
    from .course import Lesson
    from .run import RunReport

OK, FAILED, USAGE, ENVIRONMENT = 0, 1, 2, 3
DEFAULT_FOLDER = "bigmodel-nb-course"

_EXAMPLES = """\
examples:
  bigmodel-nb start                     copy the lessons to ./bigmodel-nb-course and open JupyterLab
  bigmodel-nb start ~/course --no-open  only copy or update them; your own changes are kept
  bigmodel-nb list                      the lessons, with minutes and memory
  bigmodel-nb run 13                    run a lesson from top to bottom without a browser
  bigmodel-nb run 13 --model gpt2       the same with another model
  bigmodel-nb doctor                    what this machine has, and what to do about it
  bigmodel-nb reset 13                  start a lesson afresh; your version is kept beside it
  bigmodel-nb report class/             how far each workspace in the folder class has come

exit codes:
  0 all well   1 something failed   2 wrong usage   3 the environment is incomplete
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments; returns the exit code."""
    words, extra = _split(list(sys.argv[1:] if argv is None else argv))
    arguments = _parser().parse_args(words)
    arguments.extra = extra
    try:
        return arguments.command(arguments)
    except CourseError as error:
        return _complain(error, FAILED)
    except ImportError as error:
        return _complain(f"{error}. Install the course again: pip install --upgrade bigmodel-nb", ENVIRONMENT)
    except KeyboardInterrupt:
        return _complain("stopped", 130)


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """(our own arguments, those of the program that we start: all behind `--` or `bench`)."""
    if words[:1] == ["bench"]:
        return words[:1], words[1:]
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def _complain(message: object, code: int) -> int:
    print(f"bigmodel-nb: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    from . import __version__

    parser = argparse.ArgumentParser(
        prog="bigmodel-nb",
        description="Large language models by hand: a course in Jupyter notebooks.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bigmodel-nb {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, function, help: str, **kwargs) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=help, description=help, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs
        )
        sub.set_defaults(command=function, parser=sub)
        return sub

    sub = command(
        "start",
        start,
        "Make or update a workspace and open JupyterLab at the first lesson.",
        epilog="What follows -- goes to JupyterLab: bigmodel-nb start -- --ip=0.0.0.0 --no-browser",
    )
    sub.add_argument("folder", nargs="?", metavar="DIR", help=f"workspace (default: the one you are in, else ./{DEFAULT_FOLDER})")
    sub.add_argument("--no-open", action="store_true", help="only copy the lessons and print the folder")
    sub.add_argument("--port", type=int, default=8888, help="first port to try (default: %(default)s)")

    sub = command("list", list_lessons, "List the lessons with your time, seconds and memory of a run.")
    sub.add_argument("--readme", action="store_true", help="write them into the README of a source checkout")

    sub = command("run", run, "Run lessons from top to bottom without a browser.")
    sub.add_argument("lessons", nargs="+", metavar="LESSON", help="number, name or path of a notebook; 'all' for all")
    sub.add_argument("--model", help="what load_gpt2() gives: pocket, gpt2, distilgpt2, a hub id or a folder")
    sub.add_argument("--solved", action="store_true", help="with the course's solutions in the exercise cells")
    sub.add_argument("--save", action="store_true", help="store the outputs in the notebook")

    command("doctor", doctor, "Show what this machine has, and what to do about what it hasn't.")

    sub = command("reset", reset, "Restore a lesson's original; your version is kept under a dated name.")
    sub.add_argument("lesson", metavar="LESSON", help="number or name")
    sub.add_argument("folder", nargs="?", metavar="DIR", help="workspace (default: the one you are in)")

    sub = command("report", report, "Print the progress stored in workspaces: yours, or a class's.")
    sub.add_argument("folders", nargs="*", metavar="DIR", help="workspaces, or a folder of them (default: the one you are in)")
    sub.add_argument("--csv", metavar="FILE", help="write a row for each learner and exercise instead")

    sub = command("class", None, "Hand out workspaces to a class, collect and grade what comes back.")
    steps = sub.add_subparsers(title="steps", metavar="STEP", required=True)

    def step(name: str, function, help: str) -> argparse.ArgumentParser:
        sub = steps.add_parser(name, help=help, description=help)
        sub.set_defaults(command=function, parser=sub)
        return sub

    sub = step("new", class_new, "Make a workspace for each learner of a roster; those that are there stay as they are.")
    sub.add_argument("folder", metavar="DIR", help="where the workspaces go")
    sub.add_argument("--roster", metavar="FILE", required=True, help="CSV with a column 'id' (or 'email') and, if you like, 'name'")
    sub.add_argument("--archives", action="store_true", help="one .zip a learner instead of a folder")

    sub = step("collect", class_collect, "Copy the notebooks from workspaces and archives that were handed in.")
    sub.add_argument("sources", nargs="+", metavar="SOURCE", help="workspaces, .zip files, or folders that hold some")
    sub.add_argument("--into", metavar="DIR", required=True, help="a folder for each learner is made here; nothing is overwritten")
    sub.add_argument("--roster", metavar="FILE", help="name those who handed in nothing, too")

    sub = step("grade", class_grade, "Judge the exercises in collected notebooks, each learner's code isolated from everything else.")
    sub.add_argument("folder", metavar="DIR", help="holds a folder for each learner, as 'class collect' makes it")
    sub.add_argument("--lessons", nargs="+", metavar="LESSON", help="numbers or names (default: all)")
    sub.add_argument("--csv", metavar="FILE", help="write a row for each learner and exercise")
    sub.add_argument("--html", metavar="FILE", help="write a page for the teacher")
    sub.add_argument("--processes", type=int, metavar="N", help="learners at a time (default: one for each core)")
    sub.add_argument("--seed", metavar="TEXT", help="that of 'class variant': judge with the variant's inputs, too")
    sub.add_argument("--trust", action="store_true", help="where nothing can be isolated, run the submissions with your own rights")

    sub = step("variant", class_variant, "Write exercises with other inputs, which check themselves without the course and its solutions.")
    sub.add_argument("folder", metavar="DIR", help="an empty or new folder, to be handed out as a whole")
    sub.add_argument("--lessons", nargs="+", metavar="LESSON", required=True, help="numbers or names")
    sub.add_argument("--seed", metavar="TEXT", required=True, help="any text that nobody guesses; the same text gives the same files")

    sub = step("guide", class_guide, "Write a teacher's page on each lesson: plan, questions, expected mistakes, what to skip.")
    sub.add_argument("--into", metavar="DIR", required=True, help="a Markdown file for each lesson goes here")
    sub.add_argument("--lessons", nargs="+", metavar="LESSON", help="numbers or names (default: all)")

    command("bench", bench, "Measure training and sampling speed here, beside transformers; 'bench kernels': a class's kernels.")
    return parser


def start(arguments: argparse.Namespace) -> int:
    from . import course
    from .lab import session

    folder = _start_folder(arguments.folder)
    copied = course.make_workspace(folder)
    for it in copied:
        if it.state != "unchanged":
            print(_about_copy(it))
    print(f"Workspace: {folder}")
    if arguments.no_open:
        return OK
    _need("jupyterlab")
    port = session.free_port(arguments.port)
    if port != arguments.port:
        print(f"Port {arguments.port} is taken; the course opens on {port}.")
    print("Opening JupyterLab. Leave this window open; Ctrl-C ends the session.", flush=True)
    return hand_over(session.command(folder, port, arguments.extra), session.environment(folder))


def _start_folder(given: str | None) -> Path:
    from .course import is_workspace

    here = Path.cwd()
    if given is None:
        return here if is_workspace(here) else here / DEFAULT_FOLDER
    return Path(given).expanduser().absolute()


def _about_copy(copied) -> str:
    text = f"  {copied.state:<8} {copied.lesson.file}"
    if copied.state == "newer":
        text = (
            f"  {'kept':<8} {copied.lesson.file}: {copied.note}, and there is a newer original. "
            f"'bigmodel-nb reset {copied.lesson.number}' gives it and keeps yours beside it"
        )
    elif copied.note:
        text += f": {copied.note}"
    return text


def _need(module: str) -> None:
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise ModuleNotFoundError(f"{module} is not installed in {sys.prefix}")


def hand_over(command: list[str], environment: dict[str, str]) -> int:
    """Run a command in this process' place, so that Ctrl-C and signals reach it directly."""
    if os.name == "posix":
        sys.stdout.flush()
        os.execve(command[0], command, environment)
    try:
        return subprocess.call(command, env=environment)
    except KeyboardInterrupt:
        return OK


def list_lessons(arguments: argparse.Namespace) -> int:
    from . import course

    if arguments.readme:
        if not course.in_checkout():
            arguments.parser.error("--readme needs a source checkout")
        course.update_readme()
        return OK
    for it in course.lessons():
        seconds, memory = it.measured.get("seconds"), it.measured.get("rss_mb")
        cost = f"runs in {seconds} s, {memory} MB" if seconds and memory else ""
        print(f"{it.number:02d}  {it.part:<2} {it.title:<48} {it.minutes:>3} min  {cost}".rstrip())
    return OK


def run(arguments: argparse.Namespace) -> int:
    from . import course

    if arguments.save and (arguments.solved or arguments.model):
        arguments.parser.error("--save stores the lesson as it ships: leave out --solved and --model")
    chosen = _chosen(arguments)
    if arguments.save and not course.in_checkout() and any(it.path.parent == course.notebooks_folder() for it in chosen):
        arguments.parser.error("--save needs a source checkout, or the path of your own copy of the notebook")
    codes = [_run_lesson(it, arguments) for it in chosen]
    if arguments.save and course.in_checkout():
        course.update_readme()
    return max(codes)


def _chosen(arguments: argparse.Namespace) -> list[Lesson]:
    from . import course

    try:
        if arguments.lessons == ["all"]:
            return course.lessons()
        return [course.lesson(key) for key in arguments.lessons]
    except CourseError as error:
        arguments.parser.error(str(error))


def _run_lesson(lesson: Lesson, arguments: argparse.Namespace) -> int:
    import tempfile

    from .run import execute, save

    print(f"{lesson.file}: {lesson.title}", flush=True)
    with tempfile.TemporaryDirectory(prefix="bigmodel-nb-") as fresh:
        env: dict[str, str | None] = {}
        if arguments.save or arguments.solved:  # neither may read or change the learner's progress
            env["BIGMODEL_NB_HOME"] = fresh
        if arguments.save:  # stored outputs are those of the shipped model
            env["BIGMODEL_NB_MODEL"] = None
        report = execute(lesson.path, solved=arguments.solved, model=arguments.model, env=env, on_cell=_print_cell)
    if report.error:
        print(report.traceback.rstrip(), file=sys.stderr)
        return _complain(f"{lesson.file}: {report.error}", FAILED)
    print(budget_line(lesson, report), flush=True)
    if arguments.save:
        save(lesson.path, report)
        print(f"  stored in {lesson.path}")
    return OK


def _print_cell(cell) -> None:
    first = next((line.strip() for line in cell.source.splitlines() if line.strip()), "")
    print(f"  [{cell.number:>2}/{cell.total}] {cell.seconds:6.1f} s  {first[:70]}", flush=True)


def budget_line(lesson: Lesson, report: RunReport) -> str:
    """Seconds and peak memory of a run against what the lesson declares."""
    seconds, memory = report.seconds, report.peak_bytes / 1e6
    parts = [
        _against(f"{seconds:.1f} s", seconds, lesson.budget.get("seconds"), "s"),
        _against(f"peak {memory:,.0f} MB", memory, lesson.budget.get("rss_mb"), "MB"),
    ]
    return f"  finished: {', '.join(parts)}"


def _against(text: str, value: float, budget: float | None, unit: str) -> str:
    if not budget:
        return text
    return f"{text} of {budget:,} {unit}" + (" (OVER BUDGET)" if value > budget else "")


def doctor(arguments: argparse.Namespace) -> int:
    from . import doctor

    rows = doctor.examine()
    print(doctor.table(rows))
    return ENVIRONMENT if any(row.state == "fail" for row in rows) else OK


def reset(arguments: argparse.Namespace) -> int:
    from . import course

    try:
        course.lesson(Path(arguments.lesson).stem)
    except CourseError as error:
        arguments.parser.error(str(error))
    path, kept = course.reset(arguments.lesson, arguments.folder)
    print(f"{path.name} is the original again.")
    if kept:
        print(f"Your version: {kept}")
    return OK


def report(arguments: argparse.Namespace) -> int:
    from . import course
    from . import report as of_workspaces
    from .exercises import catalogue

    folders = [Path(it) for it in arguments.folders] or [course.workspace()]
    if folders == [None]:
        raise CourseError("No workspace here. Name its folder: bigmodel-nb report DIR")
    found = of_workspaces.learners(folders)
    ids = [it.id for it in catalogue()]
    if arguments.csv:
        with open(arguments.csv, "w", encoding="utf-8", newline="") as out:
            of_workspaces.write_csv(found, ids, out)
        print(f"{len(found)} learners, {len(ids)} exercises: {arguments.csv}")
        return OK
    sizes = Counter(it.partition(".")[0] for it in ids)
    print(of_workspaces.of_one(found[0], sizes) if len(found) == 1 else of_workspaces.of_class(found, sizes))
    return OK


def class_new(arguments: argparse.Namespace) -> int:
    from .classroom import roster

    made = roster.hand_out(roster.read_roster(Path(arguments.roster)), Path(arguments.folder), arguments.archives)
    print(f"{len(made)} workspaces in {arguments.folder}")
    return OK


def class_collect(arguments: argparse.Namespace) -> int:
    from .classroom import roster

    learners = roster.read_roster(Path(arguments.roster)) if arguments.roster else []
    found = roster.collect([Path(source) for source in arguments.sources], Path(arguments.into), learners)
    for it in found:
        print(f"{it.id}: {it.notebooks} notebooks{it.note and ', '}{it.note}" if it.folder else f"{it.id}: {it.note}")
    return OK if any(it.folder for it in found) else FAILED


def class_grade(arguments: argparse.Namespace) -> int:
    from .classroom import grade, pages

    folder = Path(arguments.folder)
    learners = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")) if folder.is_dir() else []
    if not learners:
        raise CourseError(f"{folder} holds no learners' folders. Next: bigmodel-nb class collect SOURCE... --into {folder}")
    ids = grade.wanted_ids(arguments.lessons)

    def done(one) -> None:
        print(f"{one.learner}: {one.passed()} of {len(ids)} passed, {one.seconds:.0f} s", file=sys.stderr, flush=True)

    graded = grade.grade_class(learners, ids, arguments.trust, arguments.processes, done, arguments.seed)
    print(pages.table(graded))
    for name, write in ((arguments.csv, pages.write_csv), (arguments.html, lambda it, out: out.write(pages.page(it)))):
        if name:
            with open(name, "w", encoding="utf-8", newline="") as out:
                write(graded, out)
    return OK


def class_variant(arguments: argparse.Namespace) -> int:
    from . import course
    from .classroom import variant

    known = variant.write(Path(arguments.folder), [course.lesson(key) for key in arguments.lessons], arguments.seed)
    for id, cases in known.items():
        print(f"{id}: {len(cases)} inputs" if cases else f"{id}: no inputs that can travel; only checked when graded")
    print(f"Grade with: bigmodel-nb class grade DIR --lessons {' '.join(arguments.lessons)} --seed '{arguments.seed}'")
    return OK


def class_guide(arguments: argparse.Namespace) -> int:
    from . import course
    from .classroom import guide

    lessons = [course.lesson(key) for key in arguments.lessons] if arguments.lessons else course.lessons()
    made = guide.write_all(Path(arguments.into), lessons)
    print(f"{len(made)} pages in {arguments.into}")
    return OK


def bench(arguments: argparse.Namespace) -> int:
    if arguments.extra[:1] == ["kernels"]:
        from .classroom import kernels

        return kernels.main(arguments.extra[1:])
    from .bench import main as measure

    return measure(arguments.extra) or OK


if __name__ == "__main__":
    sys.exit(main())
