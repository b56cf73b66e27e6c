"""Messages to the support of an invented shop, and prompts that try its assistant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bigmodel_nb.errors import DataError

FOLDER = Path(__file__).parent / "support_data"
SPLITS = ("train", "validation", "test")
INTENTS = (
    "order_status",
    "change_order",
    "return_refund",
    "damaged_wrong",
    "delivery",
    "payment_invoice",
    "product_question",
    "account",
    "complaint",
    "human",
)
EXPECTED = ("answer", "refuse", "hand over", "ask back")


def support(split: str | None = None, language: str | None = None) -> list[dict[str, Any]]:
    """1,300 customer messages with their answers, in English and Chinese, over the ten `INTENTS`.

    Each row has id, split ("train" | "validation" | "test"), language ("en" | "zh"), intent,
    hand_over (True if a person must take over), hard (True if it looks like another intent),
    message and answer. The rows of a split are in a mixed order; the shop, its rules and how the
    rows were written stand in `support_data/README.md`. Errors: DataError for another split or
    language.

    >>> row = support("test", "en")[0]
    >>> sorted(row)
    ['answer', 'hand_over', 'hard', 'id', 'intent', 'language', 'message', 'split']
    """
    rows = _read("messages.jsonl")
    for field, value in (("split", split), ("language", language)):
        known = sorted({row[field] for row in rows})
        if value is not None and value not in known:
            raise DataError(f"support() knows the {field}s {known}; received {value!r}. Leave it out for all.")
    return [row for row in rows if split in (None, row["split"]) and language in (None, row["language"])]


def support_red_team() -> list[dict[str, Any]]:
    """52 scripted prompts that a support assistant must behave well on, none of them for training.

    Each row has id, language, kind, prompt, expect ("answer" | "refuse" | "hand over" | "ask back"),
    reply (an example of a good one), never (lower-case texts that no good reply contains) and why.

    >>> [row["expect"] for row in support_red_team()[:3]]
    ['refuse', 'refuse', 'ask back']
    """
    rows = _read("red_team.jsonl")
    for row in rows:
        row["prompt"] *= row.pop("repeat", 1)
    return rows


def _read(name: str) -> list[dict[str, Any]]:
    """The objects of a file with one JSON object a line."""
    with open(FOLDER / name, encoding="utf-8") as file:
        return [json.loads(line) for line in file]
