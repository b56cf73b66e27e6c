"""The course's solution in the learner's place, so that the rest of a notebook runs."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from .model import Case, Exercise


class Solution:
    """Stands for an unsolved exercise: called, it is the course's solution.

    mine: the learner's own function. failing: the arguments on which that failed.
    """

    def __init__(self, exercise: Exercise, mine: Any, failing: Case | None):
        functools.update_wrapper(self, exercise.reference)
        self.__name__ = self.__qualname__ = mine.__name__
        self.exercise, self.mine, self.failing = exercise, mine, failing

    def __call__(self, *args, **kwargs):
        return self.exercise.reference(*args, **kwargs)

    def __repr__(self) -> str:
        return _description(self.exercise, self.__name__)


def substitute(exercise: Exercise, mine: Any, failing: Case | None) -> Any:
    """The course's solution under the learner's name; for a class, a subclass of the solution."""
    if not inspect.isclass(exercise.reference):
        return Solution(exercise, mine, failing)
    reference = exercise.reference

    class Description(type(reference)):
        def __repr__(cls) -> str:
            if cls is solution:
                return _description(exercise, mine.__name__)
            return super().__repr__()

    members = {"__doc__": reference.__doc__, "__module__": mine.__module__}
    solution = Description(mine.__name__, (reference,), members)
    solution.mine, solution.failing = staticmethod(mine), failing
    return solution


def _description(exercise: Exercise, name: str) -> str:
    return f"<{name}: the course's solution of {exercise.id}; your own is {name}.mine>"
