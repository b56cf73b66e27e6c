"""A teacher's page on each lesson, generated from its notebook and from the catalogue of its exercises."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat

from bigmodel_nb import course
from bigmodel_nb.exercises.engine import catalogue
from bigmodel_nb.exercises.engine.model import Exercise

from .extract import without_magics

HARD = 4  # difficulty from which an exercise may be left out where time is short


@dataclass(frozen=True)
class Question:
    """A question of a lesson with its choices: (text, is right, reason)."""

    text: str
    choices: tuple[tuple[str, bool, str], ...]


def page(lesson: course.Lesson) -> str:
    """The page on one lesson as Markdown: time, plan, questions, expected mistakes, what to skip."""
    notebook = nbformat.read(lesson.path, as_version=4)
    exercises = list(catalogue.of_lesson(lesson.name)) if lesson.name in catalogue.lessons() else []
    parts = [_head(lesson, exercises), _plan(notebook), _questions(notebook), _mistakes(exercises), _skip(lesson, exercises)]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_all(folder: Path, lessons: list[course.Lesson]) -> list[Path]:
    """A page NN_name.md for each lesson in `folder`; pages of an earlier run are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for lesson in lessons:
        made.append(folder / f"{lesson.path.stem}.md")
        made[-1].write_text(page(lesson), encoding="utf-8")
    return made


def _head(lesson: course.Lesson, exercises: list[Exercise]) -> str:
    titles = {it.number: it.title for it in course.lessons(lesson.path.parent)}
    needs = ", ".join(f"{number:02} {titles.get(number, '')}".strip() for number in lesson.needs) or "nothing"
    written = sum(item.minutes for item in exercises)
    seconds, memory = lesson.budget.get("seconds", "?"), lesson.budget.get("rss_mb", "?")
    return "\n".join([
        f"# {lesson.number:02} {lesson.title}: for the teacher",
        "",
        f"- **Time:** {lesson.minutes} minutes for a reader alone, of which the exercises take about {written}.",
        f"- **Needs:** {needs}.",
        f"- **Machine:** within {seconds} s of computing and {memory} MB on two cores.",
    ])  # fmt: skip


def _plan(notebook: nbformat.NotebookNode) -> str:
    """The lesson's sections, each with its exercises."""
    lines = ["## Plan", ""]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            lines += [f"- {heading}" for heading in re.findall(r"^## (.+)$", cell.source, re.M)]
        else:
            lines += [f"  - exercise `{id}`" for id in re.findall(r'^@bn\.exercise\("([\w.]+)"\)', cell.source, re.M)]
    return "\n".join(lines) if len(lines) > 2 else ""


def questions(notebook: nbformat.NotebookNode) -> Iterator[Question]:
    """The questions that the cells of a notebook ask, read and not run."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(without_magics(cell.source))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "quiz" and len(node.args) == 3:
                _, text, choices = map(ast.literal_eval, node.args)
                yield Question(text, tuple(map(tuple, choices)))


def _questions(notebook: nbformat.NotebookNode) -> str:
    lines = []
    for question in questions(notebook):
        lines.append(f"- {question.text}")
        for text, right, reason in question.choices:
            lines.append(f"  - {'**right:** ' if right else ''}{text} {reason}")
    return "\n".join(["## Questions to ask", "", *lines]) if lines else ""


def _mistakes(exercises: list[Exercise]) -> str:
    lines = []
    for item in exercises:
        lines += ["", f"### `{item.id}`", "", f"Difficulty {item.difficulty} of 5, about {item.minutes} minutes.", ""]
        lines += [f"- *{it.name.replace('_', ' ')}*: {it.hint}" for it in item.misconceptions]
    return "\n".join(["## What to expect wrong", "", "The card names each of these by itself; the sentence is the hint that it gives.", *lines]) if lines else ""


def _skip(lesson: course.Lesson, exercises: list[Exercise]) -> str:
    hard = [f"`{item.id}` ({item.minutes} min)" for item in exercises if item.difficulty >= HARD]
    lines = [f"- The exercises of difficulty {HARD} and more: {', '.join(hard)}. The notebook runs without them."] if hard else []
    lines.append("- *What the articles say*, at the end: no later lesson builds on it.")
    later = [f"{it.number:02}" for it in course.lessons(lesson.path.parent) if lesson.number in it.needs]
    lines.append(f"- Lessons that need this one: {', '.join(later) or 'none'}.")
    return "\n".join(["## Where time is short", "", *lines])
