"""The shop's terms as clauses, and which of them answers a message."""

import re

import pytest

from bigmodel_nb import datasets
from bigmodel_nb.datasets import customers
from bigmodel_nb.errors import DataError

TERMS = datasets.support_terms()
CARD = (customers.FOLDER / "README.md").read_text(encoding="utf-8")
SHOP = CARD.split("## The shop's rules")[1].split("## Clauses and questions")[0]
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def test_every_clause_is_complete_and_its_own():
    assert all(set(row) == {"id", "title", "text"} and all(row.values()) for row in TERMS)
    assert len({row["id"] for row in TERMS}) == len({row["text"] for row in TERMS}) == len(TERMS) == 49


def test_every_number_of_a_clause_is_on_the_card():
    known = set(NUMBER.findall(SHOP))
    assert {row["id"]: set(NUMBER.findall(row["text"])) - known for row in TERMS if set(NUMBER.findall(row["text"])) - known} == {}


def test_questions_are_the_messages_that_need_no_person():
    ids = {row["id"] for row in TERMS}
    for split in ("validation", "test"):
        rows = datasets.support_questions(split)
        messages = [row for row in datasets.support(split, "en") if not row["hand_over"]]
        assert [(row["id"], row["question"]) for row in rows] == [(row["id"], row["message"]) for row in messages]
        assert all(set(row["clauses"]) <= ids for row in rows)
    assert {id for split in ("validation", "test") for row in datasets.support_questions(split) for id in row["clauses"]} > {"1.1", "8.1"}


def test_the_card_counts_right():
    rows = [row for split in ("validation", "test") for row in datasets.support_questions(split)]
    for name, count in (("terms", len(TERMS)), ("questions", len(rows))):
        raw = (customers.FOLDER / f"{name}.jsonl").read_bytes()
        assert f"| `{name}.jsonl` | {count} | {len(raw):,} |" in CARD and b"\r" not in raw
    assert f"({sum(not row['clauses'] for row in rows)} of {len(rows)})" in CARD


def test_another_split_is_refused():
    with pytest.raises(DataError, match="received 'dev'"):
        datasets.support_questions("dev")
