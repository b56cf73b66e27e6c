"""`@bn.exercise("lesson.name")`: checks the learner's work where it is written."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from . import cards, catalogue, record
from .attempt import copied
from .judge import judge
from .model import Exercise, Verdict
from .substitute import substitute

_TITLES = {"passed": "passed", "failed": "not yet", "not attempted": "not attempted"}
_TONES = {"passed": "passed", "failed": "failed", "not attempted": "neutral"}
_SHORT = 100  # characters of a failing input that are written out in the card's last line


def exercise(id: str) -> Callable[[Any], Any]:
    """Decorator for a function or class: check it at once and show a card.

    The name is bound to the learner's own work if it passes, else to the course's solution, whose
    `.mine` is the learner's own and whose `.failing` holds the arguments that failed. After
    `bn.setup(own_code=True)` it is always the learner's own.
    """
    item = catalogue.find(id)

    def decorate(work: Any) -> Any:
        found = judge(item, work)
        own = record.own_code()
        cards.show(card(item, found, _name(work, item), own))
        if work is not item.reference:
            record.verdict(found)
        if found.status == "passed" or not callable(work):
            return work
        failing = failing_arguments(item, found)
        return _attach(work, failing) if own else substitute(item, work, failing)

    return decorate


def failing_arguments(item: Exercise, found: Verdict) -> tuple | None:
    """What `NAME.mine` is to be called with to see the failure; a fresh copy."""
    return None if found.case is None else item.arguments(*copied(found.case))


def card(item: Exercise, found: Verdict, name: str, own: bool = False) -> cards.Card:
    """The card for a verdict on the learner's work called `name`."""
    build = {"passed": _passed, "failed": _not_yet, "not attempted": _not_attempted}
    title = f"{item.id}: {_TITLES[found.status]}"
    return cards.Card(title, tuple(build[found.status](item, found, name, own)), _TONES[found.status])


def _passed(item, found, name, own):
    yield cards.Part(found.text)


def _not_attempted(item, found, name, own):
    yield cards.Part(f"Difficulty {item.difficulty} of 5, about {item.minutes} minutes.")
    yield cards.Part(f"Write the body of {name} and run the cell again. {_stands_for(name, own)}")
    yield cards.Part(f'bn.hint("{item.id}")', "A first hint:", code=True)


def _not_yet(item, found, name, own):
    yield cards.Part(found.text)
    if found.hint:
        yield cards.Part(found.hint, "Hint:")
    section = f" See also: {item.section}." if item.section else ""
    yield cards.Part(f'bn.hint("{item.id}") gives {len(item.hints)} hints, one each call.{section}')
    yield cards.Part(_stands_for(name, own))
    if found.case is not None:
        yield cards.Part(_ready_line(item, found, name), "See it for yourself:", code=True)


def _stands_for(name: str, own: bool) -> str:
    if own:
        return f"The notebook goes on with your own {name}, as you chose."
    return (
        f"Until it passes, {name} stands for the course's solution, so that the rest of the "
        f"notebook runs; your own is {name}.mine."
    )


def _ready_line(item: Exercise, found: Verdict, name: str) -> str:
    if item.ready:
        return item.ready.format(name=name)
    values = [_written_out(value) for value in item.arguments(*copied(found.case))]
    if all(values) and len(", ".join(values)) <= _SHORT:
        return f"{name}.mine({', '.join(values)})"
    return f"{name}.mine(*{name}.failing)"


def _written_out(value: Any) -> str:
    """A plain value as Python; "" for what has no short exact form."""
    plain = not isinstance(value, np.generic) and isinstance(value, (int, float, str, list, tuple))
    text = repr(value) if plain else ""
    return "" if re.search(r"\b(nan|inf|array|tensor|np\.)", text) else text


def _attach(work: Any, failing: tuple | None) -> Any:
    """Let the card's last line work on the learner's own function as well."""
    try:
        work.mine, work.failing = (staticmethod(work) if isinstance(work, type) else work), failing
    except (AttributeError, TypeError):
        pass
    return work


def _name(work: Any, item: Exercise) -> str:
    name = getattr(work, "__name__", "")
    return name if name.isidentifier() else item.name
