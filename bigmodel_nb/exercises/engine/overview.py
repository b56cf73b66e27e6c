"""`bn.progress()`: which exercises and questions are done."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from . import catalogue, progress

_HEAD = ("exercise", "difficulty", "minutes", "state", "attempts", "hints")


@dataclass(frozen=True)
class Overview:
    """rows: (exercise, difficulty, minutes, state, attempts, hints) for every exercise."""

    rows: tuple[tuple[str, int, int, str, int, int], ...]
    questions: tuple[int, int]
    note: str

    def summaries(self) -> list[tuple[str, int, int]]:
        """(lesson, passed, all) of each lesson."""
        grouped = groupby(self.rows, key=lambda row: row[0].partition(".")[0])
        return [
            (lesson, sum(row[3].startswith("passed") for row in rows), len(rows))
            for lesson, rows in ((lesson, list(group)) for lesson, group in grouped)
        ]

    def __repr__(self) -> str:
        width = max(len(lesson) for lesson, _, _ in self.summaries())
        bars = [
            f"{lesson:<{width}} [{'#' * done}{'.' * (of - done)}] {done} of {of}"
            for lesson, done, of in self.summaries()
        ]
        table = [tuple(map(str, row)) for row in (_HEAD, *self.rows)]
        return "\n".join([*bars, "", *aligned(table), "", self._foot()])

    def _repr_html_(self) -> str:
        bars = "".join(_bar(*summary) for summary in self.summaries())
        head = "".join(f'<th scope="col" style="text-align:left">{name}</th>' for name in _HEAD)
        body = "".join(
            "<tr>" + "".join(f'<td style="text-align:left">{html.escape(str(cell))}</td>' for cell in row) + "</tr>"
            for row in self.rows
        )
        return (
            f'<div role="group" aria-label="Your progress">{bars}<table><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table><p>{html.escape(self._foot())}</p></div>"
        )

    def _foot(self) -> str:
        right, asked = self.questions
        questions = f"Questions: {right} of {asked} answered right. " if asked else ""
        return f"{questions}{self.note}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for each row of a table of text, its columns one below the other.

    >>> aligned([("a", "b"), ("long", "c")])
    ['a     b', 'long  c']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def overview() -> Overview:
    """The learner's progress over all exercises."""
    state = progress.read()
    rows = tuple(_row(item, state["exercises"].get(item.id, {})) for item in catalogue.catalogue())
    answers = state["quizzes"].values()
    right = sum(answer.get("right") is True for answer in answers)
    note = "Kept in your workspace." if progress.path() else "Kept in memory only: no workspace here."
    return Overview(rows, (right, len(answers)), note)


def _row(item, entry: dict) -> tuple[str, int, int, str, int, int]:
    attempts = progress.whole(entry, "attempts")
    state = "passed" if entry.get("passed_at") else "begun" if attempts else "open"
    if entry.get("solution_seen"):
        state += ", solution seen"
    return (item.id, item.difficulty, item.minutes, state, attempts, progress.whole(entry, "hints"))


def _bar(lesson: str, done: int, of: int) -> str:
    full = "background:var(--jp-success-color1, #388e3c)"
    return (
        f'<div style="margin:2px 0">{html.escape(lesson)} '
        f'<span role="img" aria-label="{done} of {of}" style="display:inline-block;width:120px;'
        f'height:8px;border:1px solid var(--jp-border-color1, gray)"><span style="display:block;'
        f'height:8px;width:{100 * done // of}%;{full}"></span></span> {done} of {of}</div>'
    )
