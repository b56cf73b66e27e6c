"""Runs an exercise's checks and finds which known mistake a wrong answer is."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from . import compare, sandbox
from .attempt import Attempt, copied
from .model import Case, Exercise, Failed, Misconception, NotAttempted, Verdict
from .stub import is_stub


def judge(exercise: Exercise, work: Any, seconds: float | None = None) -> Verdict:
    """Check a learner's function or class. Displays and records nothing.

    seconds: limit for each call in place of the exercise's own.
    """
    if not callable(work):
        text = f"Expected a function or a class; got {compare.type_name(work)}."
        return Verdict(exercise.id, "failed", text=text)
    if is_stub(work):
        return Verdict(exercise.id, "not attempted", text="Nothing is written yet.")
    with known_by_name(work):
        return verdict(exercise, Attempt(exercise, work, seconds))


@contextlib.contextmanager
def known_by_name(work: Any) -> Iterator[None]:
    """While it is checked, work that calls itself by its name gets itself.

    A decorator runs before the name is bound: the name may still stand for the course's solution.
    """
    name, names = getattr(work, "__name__", ""), _globals(work)
    if not name.isidentifier() or names is None:
        yield
        return
    missing = object()
    before = names.get(name, missing)
    names[name] = work
    try:
        yield
    finally:
        if before is missing:
            names.pop(name, None)
        else:
            names[name] = before


def _globals(work: Any) -> dict | None:
    """The names of the notebook or module in which a function or a class's methods were written."""
    members = vars(work).values() if inspect.isclass(work) else (work,)
    plain = (getattr(member, "__func__", None) or getattr(member, "fget", None) or member for member in members)
    functions = (inspect.unwrap(member) for member in plain if callable(member))
    return next((function.__globals__ for function in functions if inspect.isfunction(function)), None)


def verdict(exercise: Exercise, attempt: Attempt) -> Verdict:
    """What the checks of an exercise say of an attempt, wherever its work runs."""
    with sandbox.random_state_kept():
        try:
            run_checks(exercise, attempt)
        except NotAttempted:
            return Verdict(exercise.id, "not attempted", text="Nothing is written yet.")
        except Failed as failed:
            return _failed(exercise, attempt, failed)
    return Verdict(exercise.id, "passed", text=f"All {len(exercise.checks)} checks hold.")


def run_checks(exercise: Exercise, attempt: Attempt) -> None:
    """`Failed` at the first check that doesn't hold.

    The reference goes first, so that the time of what it imports is not the learner's.
    """
    right = [(probe, exercise.drive(exercise.reference, *copied(probe))) for probe in exercise.probes()]
    for check in exercise.checks:
        try:
            check.run(attempt)
        except (Failed, NotAttempted):
            raise
        except Exception as error:
            text = f"Your result can't be used ({type(error).__name__}: {error})."
            raise Failed(text) from error
    for probe, expected in right:
        attempt.expect(probe, expected)
    attempt.repeats()


def _failed(exercise: Exercise, attempt: Attempt, failed: Failed) -> Verdict:
    found = find_misconception(exercise, attempt) if failed.searchable else None
    return Verdict(
        exercise.id,
        "failed",
        misconception=found and found.name,
        hint=found and found.hint,
        text=failed.text,
        case=failed.case,
    )


# Recognition by behaviour


def find_misconception(exercise: Exercise, attempt: Attempt) -> Misconception | None:
    """The misconception with the same results as the work on every probe, if there is one.

    Work that raises on every probe shows nothing of its mistake.
    """
    probes = exercise.probes()
    mine, some_result = [], False
    for probe in probes:
        outcome = attempt.run(exercise.drive, copied(probe))
        if outcome.stopped:
            return None
        mine.append(_behaviour(outcome))
        some_result = some_result or outcome.ok
    for misconception in exercise.misconceptions if some_result else ():
        if any(agree(mine, _known(exercise, form)) for form in misconception.forms):
            return misconception
    return None


@functools.lru_cache(maxsize=1024)
def _known(exercise: Exercise, form: Callable) -> list[Any]:
    return behaviour(exercise, form, exercise.probes())


def behaviour(exercise: Exercise, work: Callable, probes: Sequence[Case]) -> list[Any]:
    """What a function gives on each probe: its result, or the type of its exception."""
    drive = functools.partial(exercise.drive, work)
    return [
        _behaviour(sandbox.run(lambda: drive(*copied(probe)), seconds=exercise.seconds))
        for probe in probes
    ]


def agree(some: Sequence[Any], others: Sequence[Any], limit: float = 1e-4) -> bool:
    """True if two behaviours are the same on every probe."""
    return all(compare.alike(a, b, limit) for a, b in zip(some, others, strict=True))


def _behaviour(outcome: sandbox.Outcome) -> Any:
    return outcome.value if outcome.ok else ["raised", outcome.error_type.__name__]
