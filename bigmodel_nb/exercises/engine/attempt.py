"""A learner's work under test: every call is limited, on copies, and its result compared."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from . import compare, sandbox
from .model import Case, Exercise, Failed, NotAttempted
from .stub import files_of


class Attempt:
    """Calls a learner's work for the checks of one exercise."""

    def __init__(self, exercise: Exercise, work: Callable, seconds: float | None = None):
        self.exercise = exercise
        self.work = work
        self.seconds = seconds or exercise.seconds
        self.files = files_of(work)
        self.first: tuple[Case, Any, Any] | None = None

    def __call__(self, *case, drive: Callable | None = None) -> Any:
        """The result for a case, or `Failed` with a text that names the learner's line."""
        drive = drive or self.exercise.drive
        given = copied(case)
        outcome = self.run(drive, given)
        if not outcome.ok:
            raise _failure(outcome, case)
        if not self.exercise.may_change_arguments and not _untouched(given, case):
            raise Failed(_changed_text(self.exercise, self.work, given, case), case)
        if self.first is None and drive is self.exercise.drive:
            self.first = (case, outcome.value, _snapshot(outcome.value))
        return outcome.value

    def run(self, drive: Callable, case: Case) -> sandbox.Outcome:
        return sandbox.run(lambda: drive(self.work, *case), self.files, self.seconds)

    def expect(self, case: Case, expected: Any, why: str = "", drive: Callable | None = None) -> Any:
        """Call the work on `case`; `Failed` unless the result is `expected`. Returns the result.

        why: a sentence added to the text, on what this case is about.
        """
        got = self(*case, drive=drive)
        if difference := compare.compare(got, expected, self.exercise.returns):
            raise Failed(f"{difference.text} {why}".rstrip(), case)
        return got

    def repeats(self) -> None:
        """`Failed` unless the first case still gives its first result, and that result was left
        alone by the later calls."""
        if self.first is None:
            return
        case, result, before = self.first
        again = self(*case)
        if difference := compare.compare(_snapshot(again), before, self.exercise.returns):
            text = "Called again with the same input, your code gives another answer."
            raise Failed(f"{text} {difference.text}", case)
        if compare.compare(_snapshot(result), before):
            text = "A result that your code gave earlier changed when it was called again:"
            raise Failed(f"{text} return a new object each time.", case)


def copied(case: Case) -> Case:
    """A deep copy of a case; tensors that require a gradient become leaves of their own."""
    return tuple(_copied(value) for value in case)


def _copied(value: Any) -> Any:
    if compare.is_tensor(value):
        return value.detach().clone().requires_grad_(value.requires_grad)
    return copy.deepcopy(value)


def _snapshot(value: Any) -> Any:
    """A copy that later calls can't change; the value itself where it can't be copied."""
    if isinstance(value, (tuple, list)) and type(value) in (tuple, list):
        return type(value)(_snapshot(item) for item in value)
    try:
        return _copied(value)
    except Exception:
        return value


def _untouched(given: Case, case: Case) -> bool:
    return all(_same(a, b) for a, b in zip(given, case))


def _same(a: Any, b: Any) -> bool:
    if compare.is_tensor(a) or isinstance(a, (np.ndarray, list, tuple, dict, int, float, str)):
        return compare.compare(a, b) is None
    return True


def _changed_text(exercise: Exercise, work: Callable, given: Case, case: Case) -> str:
    name = _changed_name(exercise, work, given, case)
    return f"Your code changed its argument{name}; the caller still needs it. Work on a copy."


def _changed_name(exercise: Exercise, work: Callable, given: Case, case: Case) -> str:
    """" `name`" of the argument, " number 2" where it has no name, "" where a driver makes others from the case."""
    try:
        arguments = zip(exercise.arguments(*given), exercise.arguments(*case))
        number = next(i for i, (a, b) in enumerate(arguments) if not _same(a, b))
    except Exception:  # what was changed can't be made into arguments, or isn't among them
        return ""
    try:
        return f" `{list(inspect.signature(work).parameters)[number]}`"
    except (TypeError, ValueError, IndexError):
        return f" number {number + 1}"


def _failure(outcome: sandbox.Outcome, case: Case) -> Exception:
    where = f" It was at {outcome.line}" if outcome.line else ""
    if outcome.stopped == "time":
        text = f"Your code did not finish in time and was stopped.{where}"
        return Failed(text, case, searchable=False)
    if outcome.stopped == "memory":
        limit = sandbox.EXTRA_BYTES // sandbox.MEGABYTE
        text = f"Your code took more than {limit} MB of memory and was stopped.{where}"
        return Failed(text, case, searchable=False)
    if issubclass(outcome.error_type, Failed):  # raised by a driver, on what came back
        return Failed(outcome.error.partition(": ")[2], case)
    if issubclass(outcome.error_type, NotImplementedError):
        return NotAttempted()
    at = f" at {outcome.line}" if outcome.line else ""
    return Failed(f"Your code raised {outcome.error}{at}", case)
