"""What is remembered of each exercise and quiz, and the learner's own choice of code."""

from __future__ import annotations

import time

from . import progress
from .model import Verdict


def verdict(found: Verdict) -> None:
    """Remember an attempt; a stub is not one."""
    if found.status == "not attempted":
        return

    def change(state: progress.State) -> None:
        entry = state["exercises"].setdefault(found.id, {})
        _count(entry, "attempts")
        if found.status == "passed":
            entry.setdefault("passed_at", time.strftime("%Y-%m-%dT%H:%M:%S"))
        if found.misconception:
            counts = entry.get("misconceptions")
            entry["misconceptions"] = counts = counts if isinstance(counts, dict) else {}
            _count(counts, found.misconception)

    progress.update(change)


def hint(id: str, of: int) -> int:
    """Remember that one more hint was asked for; its number, at most `of`."""
    progress.update(lambda state: _count(state["exercises"].setdefault(id, {}), "hints", most=of))
    return entry(id).get("hints", 1)


def solution(id: str) -> None:
    progress.update(
        lambda state: state["exercises"].setdefault(id, {}).update(solution_seen=True)
    )


def quiz(id: str, choice: str, right: bool) -> None:
    def change(state: progress.State) -> None:
        entry = state["quizzes"].setdefault(id, {})
        _count(entry, "answers")
        entry.setdefault("first", choice)
        entry.update(last=choice, right=right)

    progress.update(change)


def entry(id: str, part: str = "exercises") -> dict:
    """What is known of one exercise or quiz; empty if nothing."""
    return progress.read()[part].get(id, {})


def set_own_code(on: bool) -> None:
    """Switch the course's solutions in place of unsolved exercises off (True) or on (False);
    remembered for the workspace."""
    progress.update(lambda state: state.update(own_code=bool(on)))


def own_code() -> bool:
    """True if unsolved exercises keep the learner's own code."""
    return progress.read()["own_code"]


def _count(entry: dict, key: str, most: int | None = None) -> None:
    before = entry.get(key)
    number = (before if isinstance(before, int) else 0) + 1
    entry[key] = number if most is None else min(number, most)
