"""Every system, formula, claim and listing of the articles has its place in the course; what the check rejects."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bigmodel_nb import course, sources
from bigmodel_nb.sources import IDS, Source
from tests.notebook_rules import ROOT


@pytest.fixture(scope="module")
def notebooks():
    return {it.number: json.loads(it.path.read_text(encoding="utf-8")) for it in course.lessons()}


def test_every_id_is_where_the_table_says(notebooks):
    assert sources.problems(sources.table(), notebooks) == []


def test_the_inventory_has_362_ids():
    assert len(IDS) == len(set(IDS)) == 113 + 65 + 159 + 25


def test_the_readme_holds_the_table():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert course.with_table(text, "sources", sources.readme_table()) == text, "run: bigmodel-nb list --readme"


CELLS = [
    {"id": "text", "cell_type": "markdown", "source": ["A formula (F02),\n", "a system (S19)."]},
    *({"id": f"code-{i}", "cell_type": "code", "source": "x = 1\nassertion = 'assert x'"} for i in range(4)),
    {"id": "proof", "cell_type": "code", "source": ["x = 1\n", "if x:\n", "    assert x == 1"]},
    {"id": "later", "cell_type": "markdown", "source": "(C06)"},
    {"id": "no-code", "cell_type": "markdown", "source": "assert C06"},
]
GOOD = Source("F02", 9, "text", "built")


def only(row, cells=CELLS):
    """The problems of one row, without those of the ids that have none."""
    return [line for line in sources.problems({row.id: row}, {9: {"cells": cells}}) if not line.endswith("no row")]


def test_a_good_row_passes():
    assert only(GOOD) == only(replace(GOOD, id="S19", kind="corrected")) == []


@pytest.mark.parametrize(("row", "message"), [
    (replace(GOOD, lesson=8), "lesson 8 has no cell"),
    (replace(GOOD, cell="missing"), "has no cell 'missing'"),
    (replace(GOOD, cell="proof"), "does not name it"),
    (replace(GOOD, id="F03"), "does not name it"),
    (replace(GOOD, id="F99"), "no such id"),
    (replace(GOOD, kind="shown"), "is no kind"),
    (replace(GOOD, id="C06", cell="later"), "no assertion"),
    (replace(GOOD, id="C06", cell="later", kind="cited"), "no reason"),
])
def test_a_bad_row_is_rejected(row, message):
    assert any(message in line for line in only(row))


def test_an_assertion_six_cells_on_is_too_far():
    assert only(GOOD, [CELLS[0], *CELLS[1:2], *CELLS[1:]])[0].startswith("F02: no assertion")


def test_a_missing_id_is_named():
    rows = {name: row for name, row in sources.table().items() if name != "B07"}
    assert sources.problems(rows, {}).count("B07: no row") == 1


def test_cited_with_a_reason_passes():
    assert only(Source("C06", 9, "later", "cited", "its source is not public")) == []
