"""Finds the exercises: every module beside the engine is a lesson with `EXERCISES`."""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from bigmodel_nb.errors import CourseError

from .model import Exercise

_PACKAGE = "bigmodel_nb.exercises"


def lessons() -> list[str]:
    """Names of the lessons that have exercises."""
    package = importlib.import_module(_PACKAGE)
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name != "engine")


def of_lesson(lesson: str) -> tuple[Exercise, ...]:
    """The exercises of one lesson, in the order of the lesson."""
    return importlib.import_module(f"{_PACKAGE}.{lesson}").EXERCISES


def catalogue() -> list[Exercise]:
    """Every exercise of the course."""
    return [exercise for lesson in lessons() for exercise in of_lesson(lesson)]


def find(id: str) -> Exercise:
    """The exercise with this id; `CourseError` names the nearest ids if there is none."""
    lesson = str(id).partition(".")[0]
    if lesson in lessons():
        for exercise in of_lesson(lesson):
            if exercise.id == id:
                return exercise
    known = [exercise.id for exercise in catalogue()]
    near = difflib.get_close_matches(str(id), known, n=3, cutoff=0.5) or known
    raise CourseError(f"There is no exercise {id!r}. Did you mean {', '.join(near)}?")
