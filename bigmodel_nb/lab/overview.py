"""What the course panel shows: the lessons, how far the learner is in each, what an update changes.

A lesson is asked for by the file name that the course gave it, never by a path, and a link where the
workspace should have a file or folder of its own is refused: so nothing is read or written outside
the workspace, but for the course's own notebooks.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import stat
from functools import lru_cache
from pathlib import Path

from .. import course, memory
from ..cli import DEFAULT_FOLDER
from ..errors import CourseError

_TERM = re.compile(r"^#{2,4} +(.+?) *$|\*\*([^*\n]{2,60})\*\*", re.M)


class UnknownLesson(CourseError):
    """No lesson of the course has this file name."""


def find_workspace(root: Path) -> Path | None:
    """The workspace that a server with this root serves: $BIGMODEL_NB_HOME, the root itself or the
    folder that `bigmodel-nb start` makes in it; None where none of them is a workspace below the root."""
    root = root.resolve()
    home = os.environ.get("BIGMODEL_NB_HOME")
    for folder in (*([Path(home)] if home else []), root, root / DEFAULT_FOLDER):
        try:
            found = folder.resolve()
            if found.is_relative_to(root) and course.is_workspace(found) and not (found / course.STATE_FOLDER).is_symlink():
                return found
        except (OSError, RuntimeError):  # no permission, or links in a circle
            continue
    return None


def overview(root: Path, notebooks: Path | None = None) -> dict:
    """Everything that the panel shows, ready for JSON; `workspace` is None where there is none."""
    home = find_workspace(root)
    if home is None:
        return {"workspace": None, "lessons": [], "passed": 0, "of": 0, "next": None, "free": memory.available()}
    free, state, record = memory.available(), _progress(home), _record(home)
    shown = [_lesson(it, root.resolve(), home, state, record, free) for it in _lessons(notebooks)]
    return {
        "workspace": home.relative_to(root.resolve()).as_posix(),
        "lessons": shown,
        "passed": sum(it["passed"] for it in shown),
        "of": sum(len(it["exercises"]) for it in shown),
        "next": _where_left(shown, home),
        "free": free,
    }


def open_lesson(root: Path, file: str, notebooks: Path | None = None) -> dict:
    """Copy a lesson that isn't in the workspace yet -> its path below the root."""
    shipped, home = _asked_for(root, file, notebooks)
    copy = home / shipped.file
    if os.path.lexists(copy) and not _is_file(copy):
        raise CourseError(f"{shipped.file} is a link or a folder, not a notebook. Next: reset the lesson; what is there is kept.")
    course.copy_lesson(shipped, home)
    return {"path": _below(root, copy)}


def reset_lesson(root: Path, file: str, notebooks: Path | None = None) -> dict:
    """Restore a lesson's original -> its path, and that of the learner's version (None where there was none)."""
    shipped, home = _asked_for(root, file, notebooks)
    path, kept = course.reset(shipped.file, home, notebooks)
    return {"path": _below(root, path), "kept": kept and _below(root, kept)}


def difference(root: Path, file: str, notebooks: Path | None = None) -> dict:
    """What a newer original changes: cells in its order, then those that it no longer has.

    `against` is "original" where the one that the learner began with is still there, else "mine",
    the learner's version. `mine` of a cell says whether the learner changed it.
    """
    shipped, home = _asked_for(root, file, notebooks)
    copy = home / shipped.file
    if not _is_file(copy):
        raise CourseError(f"{shipped.file} is not in the workspace. Next: open the lesson.")
    base, mine = course.began_with(shipped, home), _cells(copy)
    old = _cells(base) if base else mine
    return {"against": "original" if base else "mine", "cells": _changes(old, _cells(shipped.path), mine)}


def _asked_for(root: Path, file: object, notebooks: Path | None) -> tuple[course.Lesson, Path]:
    """The lesson with this file name, and the workspace, which has no link where the course writes."""
    shipped = {it.file: it for it in _lessons(notebooks)}
    if not isinstance(file, str) or file not in shipped:
        raise UnknownLesson("The course has no lesson of this name. Next: reload the page.")
    home = find_workspace(root)
    if home is None:
        raise CourseError("This folder is not a workspace of the course. Next: bigmodel-nb start DIR")
    _refuse_links(home, file)
    return shipped[file], home


def _lessons(notebooks: Path | None) -> list[course.Lesson]:
    """The shipped lessons in order; a notebook is read again only when it has changed."""
    folder = notebooks or course.notebooks_folder()
    return sorted((_shipped(*_version(path)) for path in folder.glob(course.PATTERN)), key=lambda it: it.number)


def _refuse_links(home: Path, file: str) -> None:
    folders = ("originals", "bases")
    names = ("workspace.json", "progress.json", *folders, *(f"{folder}/{file}" for folder in folders))
    for path in (home / course.STATE_FOLDER / name for name in names):
        if path.is_symlink():
            raise CourseError(f"{path.relative_to(home)} is a link, which the course doesn't follow. Next: remove it.")


def _lesson(shipped: course.Lesson, root: Path, home: Path, state: dict, record: dict, free: int) -> dict:
    copy, outline = home / shipped.file, _outline(*_version(shipped.path))
    exercises = [{"id": id, "state": _exercise_state(state["exercises"].get(id))} for id in outline["exercises"]]
    passed = sum(it["state"] == "passed" for it in exercises)
    asked = [entry for id, entry in state["quizzes"].items() if id.partition(".")[0] == shipped.name]
    there = _is_file(copy)
    touched = there and _is_touched(copy, shipped, home)
    begun = bool(touched or asked or any(it["state"] != "open" for it in exercises))
    mb = max(shipped.budget.get("rss_mb", 0), shipped.measured.get("rss_mb", 0))
    return {
        "number": shipped.number, "name": shipped.name, "file": shipped.file, "title": shipped.title,
        "part": shipped.part, "minutes": shipped.minutes, "needs": shipped.needs,
        "seconds": max(shipped.budget.get("seconds", 0), shipped.measured.get("seconds", 0)), "mb": mb,
        "enough": mb * 1_000_000 <= free,
        "path": _below(root, copy), "there": there,
        "state": _state(passed, len(exercises), begun), "passed": passed, "exercises": exercises,
        "right": sum(entry.get("right") is True for entry in asked), "answered": len(asked),
        "newer": there and _is_newer(copy, shipped, record),
        "link": os.path.lexists(copy) and not there,
        "terms": outline["terms"],
    }  # fmt: skip


def _state(passed: int, exercises: int, begun: bool) -> str:
    if exercises and passed == exercises:
        return "done"
    return "passed" if passed else "begun" if begun else "new"


def _exercise_state(entry: dict | None) -> str:
    if not entry:
        return "open"
    return "passed" if entry.get("passed_at") else "begun"


def _where_left(shown: list[dict], home: Path) -> str | None:
    """The lesson that was worked on last and isn't done, else the first that isn't."""
    unfinished = [it for it in shown if it["state"] != "done"]
    begun = [it for it in unfinished if it["state"] != "new" and it["there"]]
    if begun:
        return max(begun, key=lambda it: _changed_at(home / it["file"]))["file"]
    return unfinished[0]["file"] if unfinished else None


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _progress(home: Path) -> dict:
    """What is stored of exercises and questions; a link is not followed."""
    from ..exercises.engine import progress

    file = home / course.STATE_FOLDER / "progress.json"
    return progress.read(file) if _is_file(file) else progress.clean({})


def _record(home: Path) -> dict[str, dict]:
    return course.read_record(home) if _is_file(home / course.STATE_FOLDER / "workspace.json") else {}


def _is_touched(copy: Path, shipped: course.Lesson, home: Path) -> bool:
    """Whether the learner changed or ran a lesson: it is neither the shipped one nor the original."""
    stored = course.original(home, shipped.file)
    originals = [shipped.path] + [stored] * (_is_file(stored) and not stored.parent.is_symlink())
    return not any(course.same_bytes(copy, path) for path in originals)


def _is_newer(copy: Path, shipped: course.Lesson, record: dict[str, dict]) -> bool:
    """Whether the course has a newer original than the one that the learner's copy began with."""
    base, theirs = record.get(shipped.file, {}).get("source"), _digest(*_version(shipped.path))
    return base not in (None, theirs) and _digest(*_version(copy)) != theirs


def _is_file(path: Path) -> bool:
    """Whether there is an ordinary file, not a link to one."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _below(root: Path, path: Path) -> str:
    return path.relative_to(root.resolve()).as_posix()


def _version(path: Path) -> tuple[Path, int, int]:
    """A path with what changes when its file does, as the key of a cache."""
    try:
        found = path.stat()
    except OSError:
        return path, 0, 0
    return path, found.st_mtime_ns, found.st_size


@lru_cache(128)
def _shipped(path: Path, changed_at: int, size: int) -> course.Lesson:
    return course.read_lesson(path)


@lru_cache(256)
def _digest(path: Path, changed_at: int, size: int) -> str | None:
    return course.source_digest(path)


@lru_cache(128)
def _outline(path: Path, changed_at: int, size: int) -> dict:
    """The exercises of a shipped lesson, and its headings and words in bold, for the search."""
    lesson = path.stem.partition("_")[2]
    cells = _cells(path).values()
    code = "\n".join(source for kind, source in cells if kind == "code")
    text = "\n".join(source for kind, source in cells if kind == "markdown")
    return {
        "exercises": list(dict.fromkeys(id for id in course.EXERCISE.findall(code) if id.startswith(f"{lesson}."))),
        "terms": list(dict.fromkeys(heading or bold for heading, bold in _TERM.findall(text))),
    }


def _cells(path: Path) -> dict[str, tuple[str, str]]:
    """Type and source of each cell, by its id (its place where it has none); CourseError if unreadable."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return {str(it.get("id", place)): (str(it["cell_type"]), "".join(it["source"])) for place, it in enumerate(cells)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CourseError(f"{path.name} can't be read as a notebook. Next: reset the lesson; what is there is kept.") from error


def _changes(old: dict, new: dict, mine: dict) -> list[dict]:
    """Cells that differ, with their lines.

    >>> _changes({"a": ("code", "1"), "b": ("code", "2")}, {"a": ("code", "3")}, {})[0]["lines"]
    ['-1', '+3']
    """
    changed = [id for id in (*new, *(id for id in old if id not in new)) if old.get(id) != new.get(id)]
    return [
        {
            "id": id,
            "kind": "added" if id not in old else "removed" if id not in new else "changed",
            "type": (new.get(id) or old[id])[0],
            "mine": id in mine and mine[id] != old.get(id),
            "lines": _lines(old.get(id, ("", ""))[1], new.get(id, ("", ""))[1]),
        }
        for id in changed
    ]


def _lines(old: str, new: str) -> list[str]:
    """The lines that differ, with `-` or `+` before them, and two more on each side."""
    found = difflib.unified_diff(old.splitlines(), new.splitlines(), n=2, lineterm="")
    return [line for line in list(found)[2:] if not line.startswith("@@ ")]
