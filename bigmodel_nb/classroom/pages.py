"""What a teacher reads: the grades of a class as a table, as CSV and as one HTML page."""

from __future__ import annotations

import csv
import html
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from bigmodel_nb.exercises.engine.overview import aligned
from bigmodel_nb.report import disarmed

from .grade import STATES, Grade, Graded

COLUMNS = ("learner", "lesson", "exercise", "state", "misconception", "text", "note")
MARKS = dict(zip(STATES, ("passed", "wrong", "open", "no cell", "copied")))


def table(graded: Sequence[Graded]) -> str:
    """Learners by what became of their exercises, the exercises by theirs, then what was unusual."""
    rows = [("learner", *MARKS.values(), "unusual")]
    for one in graded:
        counts = Counter(grade.state for grade in one.grades)
        rows.append((one.learner, *(str(counts[state]) for state in STATES), "; ".join(one.notes)[:100]))
    exercises = [("exercise", *MARKS.values(), "most frequent mistake")]
    for id, grades in by_exercise(graded).items():
        counts = Counter(grade.state for grade in grades)
        exercises.append((id, *(str(counts[state]) for state in STATES), most_frequent(grades)))
    return "\n".join([*aligned(rows), "", *aligned(exercises)])


def by_exercise(graded: Sequence[Graded]) -> dict[str, list[Grade]]:
    found: dict[str, list[Grade]] = {}
    for one in graded:
        for grade in one.grades:
            found.setdefault(grade.id, []).append(grade)
    return found


def most_frequent(grades: Sequence[Grade]) -> str:
    """The misconception that most of these have, with their number; "" for none."""
    counts = Counter(grade.misconception for grade in grades if grade.misconception)
    return "{} ({})".format(*counts.most_common(1)[0]) if counts else ""


def write_csv(graded: Sequence[Graded], out: TextIO) -> None:
    """A row for each learner and exercise, with the columns `COLUMNS`; no cell begins a formula."""
    rows = csv.writer(out)
    rows.writerow(COLUMNS)
    for one in graded:
        for grade in one.grades:
            lesson, _, name = grade.id.partition(".")
            cells = (one.learner, lesson, name, grade.state, grade.misconception, grade.text, grade.note)
            rows.writerow([disarmed(cell) for cell in cells])


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Grades</title>
<style>
  :root {{ color-scheme: light dark; }}
  body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem; max-width: 75rem; }}
  table {{ border-collapse: collapse; margin: 1rem 0 2rem; }}
  th, td {{ border-bottom: 1px solid #8886; padding: .25rem .6rem; text-align: left; vertical-align: top; }}
  .scroll {{ overflow-x: auto; }}
  .grid td {{ text-align: center; }}
  details {{ margin: .3rem 0; }}
</style>
<h1>Grades</h1>
<p>{summary}</p>
<h2>Exercises</h2>
<div class="scroll"><table><thead><tr>{exercise_head}</tr></thead><tbody>{exercises}</tbody></table></div>
<h2>Learners</h2>
<div class="scroll"><table class="grid"><thead><tr>{learner_head}</tr></thead><tbody>{learners}</tbody></table></div>
<h2>In detail</h2>
{details}
</html>
"""


def page(graded: Sequence[Graded]) -> str:
    """All of it as one HTML page that needs nothing else; what learners wrote is shown as text."""
    exercises = by_exercise(graded)
    rows = []
    for id, grades in exercises.items():
        counts = Counter(grade.state for grade in grades)
        rows.append(_row((id, *(counts[state] for state in STATES), most_frequent(grades))))
    learners = [
        _row((one.learner, *(MARKS[grade.state] for grade in one.grades), f"{one.passed()} of {len(one.grades)}"), head=True) for one in graded
    ]
    passed = sum(one.passed() for one in graded)
    return _PAGE.format(
        summary=f"{len(graded)} learners, {len(exercises)} exercises, {passed} of {sum(len(one.grades) for one in graded)} passed.",
        exercise_head=_heads(("exercise", *MARKS.values(), "most frequent mistake")),
        exercises="".join(rows),
        learner_head=_heads(("learner", *exercises, "passed")),
        learners="".join(learners),
        details="".join(map(_detail, graded)),
    )


def _heads(names: Sequence[str]) -> str:
    return "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)


def _row(cells: Sequence[object], head: bool = False) -> str:
    first = f'<th scope="row">{html.escape(str(cells[0]))}</th>' if head else f"<td>{html.escape(str(cells[0]))}</td>"
    return f"<tr>{first}{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in cells[1:])}</tr>"


def _detail(one: Graded) -> str:
    told = [grade for grade in one.grades if grade.state not in ("passed", "not attempted", "missing") or grade.note]
    items = [f"<li>{html.escape(note)}</li>" for note in one.notes]
    for grade in told:
        known = f" ({grade.misconception})" if grade.misconception else ""
        items.append(f"<li>{html.escape(f'{grade.id}: {grade.state}{known}. {grade.text} {grade.note}'.strip())}</li>")
    name = html.escape(one.learner)
    return f"<details><summary>{name}: {one.passed()} of {len(one.grades)} passed</summary><ul>{''.join(items)}</ul></details>"
