"""The invented shop's terms as numbered clauses, and which of them answers a customer's message."""

from __future__ import annotations

from typing import Any

from bigmodel_nb.datasets.customers import _read, support


def support_terms() -> list[dict[str, str]]:
    """49 clauses of the terms of the shop in `support`: each has id, title and text.

    >>> support_terms()[0]["title"]
    'Dispatch'
    """
    return _read("terms.jsonl")


def support_questions(split: str) -> list[dict[str, Any]]:
    """Messages of `support(split, "en")` that need no person, with the ids of the clauses that answer them.

    Each row has id, question and clauses, which is empty where no clause holds the answer. split:
    "validation" or "test". Errors: DataError for a split that does not exist.

    >>> row = support_questions("test")[0]
    >>> sorted(row)
    ['clauses', 'id', 'question']
    """
    messages = {row["id"]: row["message"] for row in support(split, "en")}
    return [
        {"id": row["id"], "question": messages[row["id"]], "clauses": row["clauses"]}
        for row in _read("questions.jsonl")
        if row["id"] in messages
    ]
