"""Where the course treats what the five articles hold: a row for each system, formula, claim and listing.

sources.json is the table: id -> lesson, cell and kind; `reason` where something is only cited. The ids
are those of the inventory that the course was planned with: S systems, F formulas, C claims, B listings
and diagrams. What each claim says stands in `bn.datasets.claims()`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

IDS = tuple(f"{kind}{number:02d}" for kind, last in (("S", 113), ("F", 65), ("C", 159), ("B", 25))
            for number in range(1, last + 1))
KINDS = {"built": "built", "corrected": "corrected", "refuted": "refuted by running it", "cited": "only cited"}
REACH = 5  # the cells after the one that names an id, within which an assertion must follow
TABLE = Path(__file__).with_name("sources.json")


@dataclass(frozen=True)
class Source:
    """One row: the `id` stands in `cell` of `lesson`, and is treated in one of the `KINDS`."""

    id: str
    lesson: int
    cell: str
    kind: str
    reason: str = ""


def table(path: Path | str = TABLE) -> dict[str, Source]:
    """All rows by id.

    >>> table()["F02"].lesson, table()["F02"].kind
    (9, 'built')
    """
    rows = json.loads(Path(path).read_text(encoding="utf-8"))
    return {name: Source(name, **row) for name, row in rows.items()}


def problems(rows: Mapping[str, Source], notebooks: Mapping[int, Mapping]) -> list[str]:
    """What is wrong with the table, one line each: `notebooks` maps a lesson's number to its notebook."""
    wrong = [f"{name}: no row" for name in IDS if name not in rows] + [f"{name}: no such id" for name in rows if name not in IDS]
    for row in rows.values():
        if row.kind not in KINDS:
            wrong.append(f"{row.id}: {row.kind!r} is no kind; there are {', '.join(KINDS)}")
        elif row.kind == "cited" and len(row.reason.split()) < 3:
            wrong.append(f"{row.id}: cited, and no reason why nothing is run")
        cells = notebooks.get(row.lesson, {"cells": []})["cells"]
        place = next((i for i, cell in enumerate(cells) if cell["id"] == row.cell), None)
        if place is None:
            wrong.append(f"{row.id}: lesson {row.lesson} has no cell {row.cell!r}")
        elif row.id not in named("".join(cells[place]["source"])):
            wrong.append(f"{row.id}: cell {row.cell!r} of lesson {row.lesson} does not name it")
        elif row.kind != "cited" and not any(map(asserts, cells[place : place + REACH + 1])):
            wrong.append(f"{row.id}: no assertion in cell {row.cell!r} of lesson {row.lesson} or the {REACH} after it")
    return wrong


def named(text: str) -> set[str]:
    """The ids that a text names; a range names all in it.

    >>> sorted(named("(F05-F07, S13)"))
    ['F05', 'F06', 'F07', 'S13']
    """
    found = {f"{kind}{int(number):02d}" for kind, number in re.findall(r"\b([SFCB])(\d{2,3})\b", text)}
    for kind, first, last in re.findall(r"\b([SFCB])(\d{2,3})\s*[-–]\s*\1?(\d{2,3})\b", text):
        found |= {f"{kind}{number:02d}" for number in range(int(first), int(last) + 1)}
    return found


def asserts(cell: Mapping) -> bool:
    """Whether a cell is code with an assertion."""
    return cell["cell_type"] == "code" and re.search(r"^\s*assert\b", "".join(cell["source"]), re.MULTILINE) is not None


def readme_table(rows: Mapping[str, Source] | None = None) -> str:
    """The table by lessons, in Markdown."""
    rows = rows or table()
    lines = ["| lesson | " + " | ".join(KINDS.values()) + " |", "|--:|" + "---|" * len(KINDS)]
    for lesson in sorted({row.lesson for row in rows.values()}):
        cells = (spans(row.id for row in rows.values() if (row.lesson, row.kind) == (lesson, kind)) for kind in KINDS)
        lines.append(f"| {lesson:02d} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spans(ids: Iterable[str]) -> str:
    """Ids in the inventory's order, those in a row written as a range.

    >>> spans(["F02", "F31", "F01", "F03", "S19"])
    'S19 F01-F03 F31'
    """
    runs: list[list[str]] = []
    for name in sorted(ids, key=IDS.index):
        if runs and runs[-1][-1][0] == name[0] and int(runs[-1][-1][1:]) + 1 == int(name[1:]):
            runs[-1].append(name)
        else:
            runs.append([name])
    return " ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" if len(run) > 2 else " ".join(run) for run in runs)
