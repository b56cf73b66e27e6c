"""The claims audit: complete, of one form, and every reference leads somewhere."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import nbformat
import pytest

from bigmodel_nb import datasets
from bigmodel_nb.datasets import audit
from bigmodel_nb.errors import DataError

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
ROWS = datasets.claims()
IDS = [row["id"] for row in ROWS]
AS_COUNTED = {
    "wrong": 49,
    "right": 36,
    "sloppy or misleading": 31,
    "unverifiable": 23,
    "internally inconsistent": 16,
    "outdated or missing": 4,
}


def lesson(number: int):
    found = list(NOTEBOOKS.glob(f"{number:02}_*.ipynb"))
    return nbformat.read(found[0], as_version=4).cells if found else None


def test_every_claim_once_and_in_order():
    assert IDS == [f"C{n:02}" for n in range(1, 160)]


def test_counts_are_the_inventorys():
    assert Counter(row["verdict"] for row in ROWS) == AS_COUNTED


def test_data_card_states_the_counts():
    card = (audit.FOLDER / "README.md").read_text(encoding="utf-8")
    for verdict, count in AS_COUNTED.items():
        assert re.search(rf"^\| {verdict} \|.*\| {count} \|$", card, re.MULTILINE)
    assert all(f"| {how} |" in card for how in audit.HOW)
    assert sum(row["also"] is not None for row in ROWS) == 17 and "Seventeen claims have a second verdict" in card


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_fields_are_of_their_kind(row):
    assert row["verdict"] in audit.VERDICTS and row["how"] in audit.HOW
    assert row["also"] is None or row["also"] in audit.VERDICTS and row["also"] != row["verdict"]
    assert row["places"] and set(row["places"]) <= set(audit.ARTICLES) and row["article"] == next(iter(row["places"]))
    assert all(re.fullmatch(r"\d+(-\d+)?(, \d+(-\d+)?)*", lines) for lines in row["places"].values())
    for field in ("claim", "correction"):
        assert 7 < len(row[field]) < 400 and row[field] == row[field].strip() and row[field][-1] in ".:;"
        assert not re.search(r"https?:|www\.|<|>", row[field])
    assert (row["lesson"] is not None) == (row["how"] in ("computed", "recomputed here"))
    assert (row["lesson"] == 25) == (row["how"] == "recomputed here")


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_every_verdict_has_its_ground(row):
    if row["how"] in ("source", "general knowledge"):
        assert row["works"], "a verdict from knowledge names its primary source"
    if row["how"] == "reading":
        assert row["verdict"] in ("internally inconsistent", "sloppy or misleading")
    assert (row["verdict"] == "unverifiable") >= (row["how"] == "nothing to check")
    assert row["reference"] or row["how"] in ("reading", "nothing to check")
    for work in row["works"]:
        assert set(work) == {"authors", "year", "title"} and work["authors"] and len(work["title"]) > 5
        assert work["year"] is None or 1900 < work["year"] <= 2026


@pytest.mark.parametrize("row", [row for row in ROWS if row["lesson"] is not None], ids=lambda row: row["id"])
def test_the_cell_that_computes_it_asserts(row):
    cells = lesson(row["lesson"])
    if cells is None and 19 <= row["lesson"] <= 24:
        pytest.skip(f"lesson {row['lesson']:02} is not here yet")
    assert row["cell"], f"{row['id']} is computed in lesson {row['lesson']:02}, which is here: name the cell"
    at = [i for i, cell in enumerate(cells) if cell.get("id") == row["cell"]]
    assert len(at) == 1, f"lesson {row['lesson']:02} has no cell {row['cell']}"
    near = [cell.source for cell in cells[at[0] : at[0] + 6] if cell.cell_type == "code"]
    assert any(re.search(r"^\s*assert\b", source, re.MULTILINE) for source in near)


def test_every_work_is_used_and_stands_once():
    works = [json.loads(line) for line in (audit.FOLDER / "works.jsonl").open(encoding="utf-8")]
    titles = Counter(work["title"].lower() for work in works)
    assert max(titles.values()) == 1
    used = {key for line in (audit.FOLDER / "claims.jsonl").open(encoding="utf-8") for key in json.loads(line)["works"]}
    assert used == {work["key"] for work in works}


def test_filters():
    assert [row["id"] for row in datasets.claims(verdict="outdated or missing")] == ["C132", "C134", "C144", "C157"]
    assert {row["id"] for row in datasets.claims("001")} >= {"C14", "C22"}  # also where it isn't counted
    assert len(datasets.claims("003", "wrong")) == 7


@pytest.mark.parametrize(("article", "verdict"), [("005", None), (None, "false"), (0, None)])
def test_an_unknown_filter_is_refused(article, verdict):
    with pytest.raises(DataError, match="Leave it out for all"):
        datasets.claims(article, verdict)


def test_rows_are_new_each_time():
    datasets.claims()[0]["works"].append("mine")
    datasets.claims()[0]["verdict"] = "right"
    assert datasets.claims()[0] == ROWS[0]
