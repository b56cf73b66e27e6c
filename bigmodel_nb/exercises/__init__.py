"""Exercises: the learner's work is checked, and its mistake named.

One module a lesson holds that lesson's exercises; `engine` holds what they share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .engine.catalogue import catalogue, find
from .engine.decorator import exercise
from .engine.help import hint, solution
from .engine.judge import judge
from .engine.model import Check, Exercise, Misconception, Verdict
from .engine.overview import overview as progress
from .engine.quiz import answer, quiz
from .engine.record import own_code, set_own_code

__all__ = [
    "Check",
    "Exercise",
    "Misconception",
    "Verdict",
    "answer",
    "catalogue",
    "check",
    "exercise",
    "hint",
    "own_code",
    "progress",
    "quiz",
    "reference",
    "set_own_code",
    "solution",
]


def check(id: str, fn: Any, seconds: float | None = None) -> Verdict:
    """Check a function or class against an exercise; displays and records nothing.

    seconds: limit for each call of `fn` in place of the exercise's own.
    """
    return judge(find(id), fn, seconds)


def reference(id: str) -> Callable:
    """The course's solution of an exercise."""
    return find(id).reference
