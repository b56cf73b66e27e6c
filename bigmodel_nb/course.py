"""Table of contents, workspace and progress of the course.

The table of contents is read from the notebooks' own metadata; there is no second list.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import CourseError, ResourceError

STATE_FOLDER = ".bigmodel_nb"  # marks a workspace: progress.json, originals of copied lessons
EXERCISE = re.compile(r"""\bexercise\(\s*["']([\w.]+)["']""")  # the id in an exercise's cell
PATTERN = "[0-9][0-9]_*.ipynb"


@dataclass(frozen=True)
class Lesson:
    """One notebook of the course, as its `metadata.bigmodel_nb` describes it."""

    number: int
    name: str  # "finetune_gpt2"
    file: str  # "13_finetune_gpt2.ipynb"
    path: Path
    title: str
    part: str = ""
    minutes: int = 0  # of a learner's time
    needs: list[int] = field(default_factory=list)
    budget: dict[str, int] = field(default_factory=dict)  # declared: "seconds", "rss_mb"
    measured: dict[str, int] = field(default_factory=dict)  # the same keys, from the last `--save`
    sources: list[str] = field(default_factory=list)


def notebooks_folder() -> Path:
    """Folder of the shipped notebooks: beside the source in a checkout, inside an installed package."""
    package = Path(__file__).resolve().parent
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "notebooks").is_dir():
        return checkout / "notebooks"
    if (package / "notebooks").is_dir():
        return package / "notebooks"
    raise CourseError(
        f"No notebooks beside or inside {package}: the installation is incomplete. "
        "Install again: pip install --force-reinstall bigmodel-nb"
    )


def in_checkout() -> bool:
    """Whether the notebooks are those of a source checkout, where they may be stored again."""
    return notebooks_folder().parent != Path(__file__).resolve().parent


def lessons(notebooks: Path | str | None = None) -> list[Lesson]:
    """The lessons in order, from the notebooks in `notebooks` (default: the shipped ones)."""
    folder = Path(notebooks) if notebooks else notebooks_folder()
    return sorted((read_lesson(path) for path in folder.glob(PATTERN)), key=lambda it: it.number)


def lesson(key: int | str | os.PathLike[str], notebooks: Path | str | None = None) -> Lesson:
    """The lesson with this number (13, "13"), name ("finetune_gpt2"), file name or path."""
    text = os.fspath(key) if not isinstance(key, int) else str(key)
    if text.endswith(".ipynb") and Path(text).is_file():
        return read_lesson(text)
    course = lessons(notebooks)
    for it in course:
        if text in (it.name, it.file, Path(it.file).stem) or text.isdecimal() and int(text) == it.number:
            return it
    known = ", ".join(Path(it.file).stem for it in course)
    raise CourseError(f"No lesson {text!r}. Give a number, a name or a path to a notebook; there are: {known}")


def read_lesson(path: Path | str) -> Lesson:
    """What a notebook's metadata says of it; a notebook without metadata has its name as title."""
    path = Path(path)
    number, _, name = path.stem.partition("_")
    if not number.isdecimal():
        number, name = "-1", path.stem
    about = _read_notebook(path).get("metadata", {}).get("bigmodel_nb", {})
    return Lesson(
        number=about.get("lesson", int(number)),
        name=name,
        file=path.name,
        path=path.absolute(),
        title=about.get("title", name),
        **{key: about[key] for key in ("part", "minutes", "needs", "budget", "measured", "sources") if key in about},
    )


def _read_notebook(path: Path) -> dict:
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CourseError(f"{path} can't be read as a notebook: {error}") from error
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise CourseError(f"{path} is not a notebook of version 4: it has no list of cells")
    return notebook


def readme_table(notebooks: Path | str | None = None) -> str:
    """The lessons as a Markdown table; seconds and memory are those of the last stored run."""
    rows = ["| | Lesson | Part | Your time | Runs in | Memory |", "|--:|---|:-:|--:|--:|--:|"]
    for it in lessons(notebooks):
        seconds, memory = it.measured.get("seconds"), it.measured.get("rss_mb")
        rows.append(
            f"| {it.number:02d} | [{it.title}](notebooks/{it.file}) | {it.part} | {it.minutes} min "
            f"| {f'{seconds} s' if seconds else '-'} | {f'{memory:,} MB' if memory else '-'} |"
        )
    return "\n".join(rows)


def with_table(text: str, name: str, table: str) -> str:
    """`text` with `table` between its comments `name:begin` and `name:end`.

    >>> with_table("a <!-- lessons:begin --> old <!-- lessons:end --> b", "lessons", "new")
    'a <!-- lessons:begin -->\\nnew\\n<!-- lessons:end --> b'
    """
    marks = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, begin, rest = text.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not (begin and end):
        raise CourseError(f"No place for the table of {name}: the text needs {marks[0]} and {marks[1]}")
    return f"{before}{begin}\n{table}\n{end}{after}"


def update_readme(readme: Path | str | None = None) -> None:
    """Write the tables of lessons and sources into the checkout's README, where there is one."""
    from . import sources

    path = Path(readme) if readme else notebooks_folder().parent / "README.md"
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    text = with_table(with_table(text, "lessons", readme_table()), "sources", sources.readme_table())
    path.write_text(text, encoding="utf-8", newline="\n")


def is_workspace(folder: Path) -> bool:
    """Whether the course's state is kept in this folder."""
    return (folder / STATE_FOLDER).is_dir()


def workspace(start: Path | str | None = None) -> Path | None:
    """The learner's workspace: $BIGMODEL_NB_HOME, else the nearest folder upward from `start`
    (default: the working directory) that holds `.bigmodel_nb/`; None where there is none."""
    if home := os.environ.get("BIGMODEL_NB_HOME"):
        return Path(home)
    here = Path(start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if is_workspace(folder):
            return folder
    return None


@dataclass(frozen=True)
class Copied:
    """What became of one lesson when a workspace was made or updated.

    `state` is "new", "unchanged", "updated", "kept" (the learner's work, left alone) or "newer"
    (kept too, and the course has a newer original).
    """

    lesson: Lesson
    state: str
    note: str = ""


def make_workspace(folder: Path | str, notebooks: Path | str | None = None) -> list[Copied]:
    """Make `folder` a workspace, or bring the lessons in it up to date.

    A lesson counts as the learner's work when the source of one of its cells differs from the
    original; it is then never touched. Outputs don't count. Raises ResourceError where the folder
    can't be written.
    """
    folder = Path(folder).expanduser().absolute()
    source = Path(notebooks) if notebooks else notebooks_folder()
    if folder.resolve() == source.resolve():
        raise CourseError(f"{folder} holds the course's own notebooks. Choose another folder: bigmodel-nb start DIR")
    try:
        (folder / STATE_FOLDER / "originals").mkdir(parents=True, exist_ok=True)
        record = read_record(folder)
        copied = [_bring(it, folder, record) for it in lessons(source)]
        _write_record(folder, record)
    except OSError as error:
        raise ResourceError(
            f"The workspace {folder} can't be written ({error.strerror or error}). "
            "Choose another folder: bigmodel-nb start DIR"
        ) from error
    return copied


def reset(key: int | str, folder: Path | str | None = None, notebooks: Path | str | None = None) -> tuple[Path, Path | None]:
    """Restore a lesson's original in the workspace `folder`: (its path, where the old copy now is).

    The learner's version keeps its content under a dated name; None where it was the original
    already or wasn't there.
    """
    home = Path(folder).absolute() if folder else workspace()
    if home is None or not is_workspace(home):
        raise CourseError(
            f"{home or Path.cwd()} is not a workspace of the course. "
            "Name its folder (bigmodel-nb reset LESSON DIR) or make one (bigmodel-nb start DIR)"
        )
    shipped = lesson(Path(str(key)).stem, notebooks)  # a path names the learner's copy, not the original
    copy = home / shipped.file
    kept = None
    try:
        if os.path.lexists(copy) and (copy.is_symlink() or not same_bytes(copy, shipped.path)):
            kept = _dated(copy, home)
            copy.rename(kept)
        record = read_record(home)
        _install(shipped, home, record)
        _write_record(home, record)
    except OSError as error:
        raise ResourceError(f"{copy} can't be restored ({error.strerror or error})") from error
    return copy, kept


def copy_lesson(shipped: Lesson, home: Path) -> Path:
    """Copy a lesson into the workspace `home`, unless something has its name there -> its path there."""
    copy = home / shipped.file
    if os.path.lexists(copy):
        return copy
    try:
        record = read_record(home)
        _install(shipped, home, record)
        _write_record(home, record)
    except OSError as error:
        raise ResourceError(f"{copy} can't be written ({error.strerror or error})") from error
    return copy


def began_with(shipped: Lesson, home: Path) -> Path | None:
    """The original that the learner's copy began with; None where it is no longer there."""
    began = read_record(home).get(shipped.file, {}).get("source")
    kept = (original(home, shipped.file), _base(home, shipped.file))
    return next((path for path in kept if began and source_digest(path) == began), None)


def _bring(shipped: Lesson, folder: Path, record: dict[str, dict]) -> Copied:
    """Copy one lesson into the workspace, unless the learner's own work is there."""
    copy, stored = folder / shipped.file, original(folder, shipped.file)
    if not os.path.lexists(copy):
        _install(shipped, folder, record)
        return Copied(shipped, "new")
    if copy.is_symlink() or not copy.is_file():
        return Copied(shipped, "kept", "it is not an ordinary file")
    mine, theirs = source_digest(copy), source_digest(shipped.path)
    base = record.get(shipped.file, {}).get("source") or source_digest(stored)
    untouched = same_bytes(copy, stored)
    if mine == theirs and (not untouched or same_bytes(copy, shipped.path)):
        _store_original(shipped, folder, record)
        return Copied(shipped, "unchanged")
    if mine is not None and mine in (theirs, base):
        if not untouched:  # the same cells, but outputs of the learner's own runs
            _keep_aside(copy, folder)
        _install(shipped, folder, record)
        return Copied(shipped, "updated")
    note = "you changed it" if mine else "it can't be read as a notebook"
    if base in (None, theirs):
        _store_original(shipped, folder, record)
        return Copied(shipped, "kept", note)
    if source_digest(stored) == base:  # what the learner began with, to show the difference
        _replace(stored, _base(folder, shipped.file))
    _replace(shipped.path, stored)
    return Copied(shipped, "newer", note)


@dataclass(frozen=True)
class LessonProgress:
    """What a workspace's progress file says of one lesson; `begun` exercises are not passed yet."""

    lesson: str
    passed: int = 0
    begun: int = 0
    right: int = 0  # quiz questions answered right, of those answered
    answered: int = 0

    def text(self, exercises_in_all: int | None = None) -> str:
        """In words, with the number of the lesson's exercises where it is known."""
        of = "" if exercises_in_all is None else f" of {exercises_in_all}"
        exercises = f"{self.passed}{of} passed, {self.begun} begun"
        return f"{exercises}, {self.right} of {self.answered} questions right" if self.answered else exercises


def lesson_progress(state: Mapping[str, Mapping[str, dict]], notebooks: Path | str | None = None) -> list[LessonProgress]:
    """Per lesson, in the course's order, what a state read from `progress.json` holds.

    Lessons that nothing is known of are left out; ids of unknown lessons come last.
    """
    order = [it.name for it in lessons(notebooks)]
    exercises, quizzes = _by_lesson(state.get("exercises", {})), _by_lesson(state.get("quizzes", {}))
    known = sorted(exercises.keys() | quizzes.keys(), key=lambda it: (order.index(it) if it in order else len(order), it))
    return [
        LessonProgress(
            lesson=name,
            passed=sum("passed_at" in entry for entry in exercises.get(name, ())),
            begun=sum("passed_at" not in entry for entry in exercises.get(name, ())),
            right=sum(entry.get("right") is True for entry in quizzes.get(name, ())),
            answered=len(quizzes.get(name, ())),
        )
        for name in known
    ]


def _by_lesson(entries: Mapping[str, dict]) -> dict[str, list[dict]]:
    """Entries of ids such as "finetune_gpt2.perplexity", by what stands before the dot."""
    found: dict[str, list[dict]] = {}
    for id, entry in entries.items():
        found.setdefault(id.partition(".")[0], []).append(entry)
    return found


def source_digest(path: Path) -> str | None:
    """Digest of a notebook's cells without their outputs; None where it can't be read."""
    try:
        cells = [
            (cell.get("cell_type"), "".join(cell.get("source", "")), cell.get("attachments"))
            for cell in _read_notebook(path)["cells"]
        ]
    except (CourseError, AttributeError, TypeError):
        return None
    return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()


def original(folder: Path, file: str) -> Path:
    """Where a workspace keeps the shipped lesson that its copy was last compared with."""
    return folder / STATE_FOLDER / "originals" / file


def _base(folder: Path, file: str) -> Path:
    """Where it keeps the older one that the learner's changed copy began with."""
    return folder / STATE_FOLDER / "bases" / file


def _install(shipped: Lesson, folder: Path, record: dict[str, dict]) -> None:
    _replace(shipped.path, folder / shipped.file)
    _store_original(shipped, folder, record)


def _store_original(shipped: Lesson, folder: Path, record: dict[str, dict]) -> None:
    """Note that the workspace's lesson is based on the shipped one."""
    from . import __version__

    if not same_bytes(original(folder, shipped.file), shipped.path):
        _replace(shipped.path, original(folder, shipped.file))
    record[shipped.file] = {"version": __version__, "source": source_digest(shipped.path)}


def _replace(source: Path, target: Path) -> None:
    """Copy a file so that `target` is the old or the new one, never half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        shutil.copyfile(source, part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _keep_aside(copy: Path, folder: Path) -> None:
    replaced = folder / STATE_FOLDER / "replaced"
    replaced.mkdir(exist_ok=True)
    shutil.copyfile(copy, _dated(copy, replaced))


def _dated(path: Path, folder: Path) -> Path:
    """A name in `folder` with today's date that is not taken."""
    stem = f"{path.stem}-{datetime.date.today():%Y-%m-%d}"
    names = [stem, *(f"{stem}-{n}" for n in range(2, 1000))]
    return next(it for name in names if not os.path.lexists(it := folder / f"{name}{path.suffix}"))


def same_bytes(a: Path, b: Path) -> bool:
    """Whether two files are there and equal."""
    try:
        return a.read_bytes() == b.read_bytes()
    except OSError:
        return False


def read_record(folder: Path) -> dict[str, dict]:
    """File name -> version and source digest of the original that the copy is based on."""
    try:
        record = json.loads((folder / STATE_FOLDER / "workspace.json").read_text(encoding="utf-8"))
        return {file: entry for file, entry in record["lessons"].items() if isinstance(entry, dict)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write_record(folder: Path, record: dict[str, dict]) -> None:
    from . import __version__

    target = folder / STATE_FOLDER / "workspace.json"
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    part.write_text(json.dumps({"version": __version__, "lessons": record}, indent=1, sort_keys=True) + "\n")
    os.replace(part, target)
