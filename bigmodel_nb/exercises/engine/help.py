"""Hints one at a time, and the reference solution."""

from __future__ import annotations

import inspect
import textwrap

from . import cards, catalogue, record


def hint(id: str) -> None:
    """Show one more hint each call; after the last one, the last one again."""
    item = catalogue.find(id)
    number = record.hint(id, len(item.hints))
    parts = [cards.Part(item.hints[number - 1])]
    if number == len(item.hints):
        parts.append(cards.Part(f'bn.solution("{id}")', "That was the last hint. The solution:", code=True))
    cards.show(cards.Card(f"{id}: hint {number} of {len(item.hints)}", tuple(parts)))


def solution(id: str) -> None:
    """Show the source of the reference solution."""
    item = catalogue.find(id)
    record.solution(id)
    source = textwrap.dedent(inspect.getsource(item.reference)).strip()
    cards.show(cards.Card(f"{id}: the course's solution", (cards.Part(source, code=True),)))
