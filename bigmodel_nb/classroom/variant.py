"""Variants of exercises: the same functions, other inputs, a checker without solutions; and their grading."""

from __future__ import annotations

import ast
import base64
import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
import numpy as np

from bigmodel_nb import course
from bigmodel_nb.errors import CourseError
from bigmodel_nb.exercises.engine import catalogue, sandbox
from bigmodel_nb.exercises.engine.attempt import copied
from bigmodel_nb.exercises.engine.judge import behaviour
from bigmodel_nb.exercises.engine.model import Case, Check, Exercise, call

from . import codec, selfcheck
from .extract import exercise_of, without_magics

CASES, MOST_CASES, DRAWS = 4, 8, 20
HIDDEN = 2  # further inputs that only the grader draws

_INTRO = """# {title}: exercises

Each cell says on how many inputs your function is right as soon as it is run. `inputs(id, number)` shows an input. \
There are no hints and no solutions here, and a function that isn't right yet stays as it is. Your grade is \
made from the code in these cells, with further inputs."""
_SETUP = """import math

import numpy as np
{torch}
from variant import exercise, inputs"""
_TORCH = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"


def draw(exercise: Exercise, seed: str, use: str = "shown") -> Iterator[Case]:
    """Inputs of an exercise, without end, the same for the same seed and use."""
    number = int.from_bytes(hashlib.sha256(f"{seed}\n{exercise.id}\n{use}".encode()).digest()[:8], "little")
    rng = np.random.default_rng(number)
    while True:
        with sandbox.random_state_kept():
            case = exercise.sample(rng)
        yield case


def result(exercise: Exercise, work: Any, case: Case) -> Any:
    with sandbox.random_state_kept():
        return exercise.drive(work, *copied(case))


def carried(exercise: Exercise, seed: str) -> list[dict]:
    """An exercise's inputs and the digests of what is expected; empty where they can't travel without the course.

    Inputs are drawn until each known mistake fails on one, at most `MOST_CASES`.
    """
    if exercise.drive is not call or isinstance(exercise.reference, type):
        return []
    found, unseen = [], [form for it in exercise.misconceptions for form in it.forms]
    for _, case in zip(range(DRAWS), draw(exercise, seed)):
        expected = result(exercise, exercise.reference, case)
        try:
            known = _known(case, expected, f"{seed}\n{exercise.id}\n{len(found)}")
        except selfcheck.Unsuitable:
            return []
        missed = [form for form in unseen if _same(behaviour(exercise, form, [case])[0], expected, known["shifts"])]
        if len(missed) < len(unseen) or len(found) < CASES:
            found.append(known)
            unseen = missed
        if len(found) == MOST_CASES or len(found) >= CASES and not unseen:
            break
    return found


def _same(got: Any, expected: Any, shifts: list[float]) -> bool:
    """Whether the checker can't tell two results apart."""
    try:
        some, others = selfcheck.leaves(got), selfcheck.leaves(expected)
    except selfcheck.Unsuitable:
        return False
    return some[0] == others[0] and selfcheck.rounded(some, shifts) == selfcheck.rounded(others, shifts)


def _known(case: Case, expected: Any, place: str) -> dict:
    data = codec.encode(list(case))
    if _opaque(codec.decode(data)):
        raise selfcheck.Unsuitable("an input")
    parts, salt = selfcheck.leaves(expected), hashlib.sha256(place.encode()).hexdigest()[:24]
    shifts = selfcheck.shifts_of(parts)
    return {"inputs": base64.b64encode(data).decode(), "form": parts[0], "salt": salt, "shifts": shifts, "digest": selfcheck.digest(parts, shifts, salt)}


def _opaque(value: Any) -> bool:
    if isinstance(value, dict):
        value = [*value, *value.values()]
    return isinstance(value, codec.Opaque) or isinstance(value, (list, tuple, set, frozenset)) and any(map(_opaque, value))


def write(folder: Path, lessons: Sequence[course.Lesson], seed: str) -> dict[str, list[dict]]:
    """Write a variant into an empty folder: a notebook for each lesson, and the checker with its data.

    Returns what is carried of each exercise. CourseError for a folder that holds something and a lesson without exercises.
    """
    if folder.exists() and any(folder.iterdir()):
        raise CourseError(f"{folder} holds something already, and nothing is overwritten. Next: name a new folder.")
    stubs = {lesson.file: stubs_of(lesson) for lesson in lessons}
    if bare := [file for file, some in stubs.items() if not some]:
        raise CourseError(f"{', '.join(bare)} has no exercises.")
    known = {id: carried(catalogue.find(id), seed) for some in stubs.values() for id in some}
    (folder / "variant").mkdir(parents=True)
    for module, name in ((selfcheck, "__init__.py"), (codec, "codec.py")):
        shutil.copyfile(module.__file__, folder / "variant" / name)
    (folder / "variant" / selfcheck.DATA.name).write_text(json.dumps({"exercises": known}, indent=1), encoding="utf-8")
    for lesson in lessons:
        (folder / lesson.file).write_text(nbformat.writes(_notebook(lesson.title, stubs[lesson.file])) + "\n", encoding="utf-8")
    return known


def stubs_of(lesson: course.Lesson) -> dict[str, str]:
    """The source of each exercise's cell as the lesson ships it, by id."""
    found = {}
    for cell in nbformat.read(lesson.path, as_version=4).cells:
        for node in ast.parse(without_magics(cell.source)).body if cell.cell_type == "code" else ():
            if id := exercise_of(node):
                node.decorator_list = []
                lines = cell.source.splitlines()[node.lineno - 1 : node.end_lineno]
                found[id] = "\n".join([f'@exercise("{id}")', *lines])
    return found


def _notebook(title: str, stubs: dict[str, str]) -> nbformat.NotebookNode:
    new = nbformat.v4
    torch = _TORCH if "tensor" in " ".join(stubs.values()) else ""
    cells = [new.new_markdown_cell(_INTRO.format(title=title)), new.new_code_cell(_SETUP.format(torch=torch)), *map(new.new_code_cell, stubs.values())]
    for number, cell in enumerate(cells):
        cell.id = f"variant-{number}"
    python = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new.new_notebook(cells=cells, metadata={"kernelspec": python})


def with_variant(exercise: Exercise, seed: str) -> Exercise:
    """The exercise with a check more: a variant's inputs, and some that it doesn't show."""

    def run(attempt: Any) -> None:
        slow = exercise.seconds > Exercise.seconds
        for use, count in (("shown", 1 if slow else CASES), ("hidden", 1 if slow else HIDDEN)):
            for _, case in zip(range(count), draw(exercise, seed, use)):
                attempt.expect(case, result(exercise, exercise.reference, case), "This is an input of the variant.")

    return dataclasses.replace(exercise, checks=(*exercise.checks, Check("the variant's inputs", run)))
