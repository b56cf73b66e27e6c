"""What the progress files of workspaces say: of one learner, or of a class."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from .course import STATE_FOLDER, is_workspace, lesson_progress
from .errors import CourseError
from .exercises.engine import progress
from .exercises.engine.overview import aligned

COLUMNS = (
    "learner", "lesson", "exercise", "state", "attempts", "hints", "solution_seen", "passed_at", "most_frequent_mistake",
)  # fmt: skip


@dataclass(frozen=True)
class Learner:
    """A workspace and what its progress file holds; `damaged` where that can't be read."""

    name: str
    state: Mapping[str, Mapping[str, dict]]
    damaged: bool = False

    def entry(self, id: str) -> dict:
        return self.state["exercises"].get(id, {})

    def passed(self) -> int:
        return sum("passed_at" in entry for entry in self.state["exercises"].values())


def learners(folders: Iterable[Path]) -> list[Learner]:
    """The workspaces among these folders and, where a folder is none, those right inside it.

    `CourseError` for a folder that neither is nor holds one.
    """
    found: dict[Path, Learner] = {}
    for folder in folders:
        inside = [folder] if is_workspace(folder) else sorted(filter(is_workspace, _children(folder)))
        if not inside:
            raise CourseError(f"{folder} is not a workspace of the course, nor a folder that holds some")
        found |= {it.resolve(): _learner(it) for it in inside}
    return list(found.values())


def _children(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _learner(folder: Path) -> Learner:
    file = folder / STATE_FOLDER / "progress.json"
    return Learner(str(folder), progress.read(file), progress.damaged(file))


def of_one(learner: Learner, sizes: Mapping[str, int]) -> str:
    """A line for each lesson; sizes: {lesson: number of its exercises}.

    >>> state = {"exercises": {"optimizers.adam_step": {"passed_at": "2026-01-01"}}, "quizzes": {}}
    >>> print(of_one(Learner("ann", state), {"optimizers": 5}))
    ann
      optimizers  1 of 5 passed, 0 begun
    """
    if learner.damaged:
        return f"{learner.name}\n  its progress file is damaged: nothing is known"
    lines = lesson_progress(learner.state)
    rows = [(f"  {it.lesson}", it.text(sizes.get(it.lesson))) for it in lines]
    return "\n".join([learner.name, *(aligned(rows) if rows else ["  no exercise tried yet"])])


def of_class(found: Sequence[Learner], sizes: Mapping[str, int]) -> str:
    """A table of learners by lessons, then one of the exercises by how many tried and passed them."""
    per_learner = [{it.lesson: it for it in lesson_progress(learner.state)} for learner in found]
    lessons = [name for name in sizes if any(name in known for known in per_learner)]
    rows = [("learner", *lessons, "exercises", "questions", "note")]
    for learner, known in zip(found, per_learner):
        right, answered = (sum(getattr(it, part) for it in known.values()) for part in ("right", "answered"))
        cells = [f"{known[name].passed}/{sizes[name]}" if name in known else "-" for name in lessons]
        note = "progress file damaged" if learner.damaged else ""
        rows.append((learner.name, *cells, f"{learner.passed()}/{sum(sizes.values())}", f"{right}/{answered}", note))
    tried = sorted({id for learner in found for id in learner.state["exercises"]})
    if not tried:
        return "\n".join(aligned(rows))
    hard = [("exercise", "tried by", "passed by", "most frequent mistake"), *(_exercise_row(id, found) for id in tried)]
    return "\n".join([*aligned(rows), "", *aligned(hard)])


def _exercise_row(id: str, found: Sequence[Learner]) -> tuple[str, ...]:
    entries = [learner.entry(id) for learner in found if learner.entry(id)]
    passed = sum("passed_at" in entry for entry in entries)
    made_by = Counter(name for entry in entries for name in _mistakes(entry))
    times = sum((Counter(_mistakes(entry)) for entry in entries), Counter())
    return (id, str(len(entries)), str(passed), _most({name: (made_by[name], times[name]) for name in made_by}))


def write_csv(found: Iterable[Learner], ids: Iterable[str], out: TextIO) -> None:
    """One row for each learner and exercise, with the columns `COLUMNS`, for a spreadsheet."""
    ids = list(ids)
    rows = csv.writer(out)
    rows.writerow(COLUMNS)
    for learner in found:
        for id in [*ids, *sorted(learner.state["exercises"].keys() - set(ids))]:
            rows.writerow([disarmed(value) for value in _csv_row(learner, id)])


def _csv_row(learner: Learner, id: str) -> tuple[object, ...]:
    entry = learner.entry(id)
    state = "passed" if "passed_at" in entry else "begun" if entry else "open"
    if learner.damaged:
        state = "progress file damaged"
    counts = (progress.whole(entry, key) for key in ("attempts", "hints"))
    seen = "yes" if entry.get("solution_seen") else "no"
    lesson, _, name = id.partition(".")
    return (learner.name, lesson, name, state, *counts, seen, entry.get("passed_at", ""), _most(_mistakes(entry)))


def _mistakes(entry: dict) -> dict[str, int]:
    counts = entry.get("misconceptions")
    return {str(k): v for k, v in counts.items() if isinstance(v, int)} if isinstance(counts, dict) else {}


def _most(counts: Mapping[str, object]) -> str:
    return max(sorted(counts), key=counts.get, default="")


def disarmed(value: object) -> object:
    """A learner can write anything into a progress file: no cell may begin a spreadsheet's formula.

    >>> disarmed("=HYPERLINK(1)"), disarmed(3)
    ("'=HYPERLINK(1)", 3)
    """
    text = " ".join(str(value).split())
    return value if isinstance(value, int) else f"'{text}" if text[:1] in "=+-@" and text else text
