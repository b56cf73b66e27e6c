"""What an exercise is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Case = tuple  # the arguments of one call


def call(function: Callable, *case) -> Any:
    """The usual way to run a learner's work: call it with the case."""
    return function(*case)


def unchanged(*case) -> Case:
    """The usual way to get the learner's arguments from a case: they are the case."""
    return case


@dataclass(frozen=True)
class Check:
    """One thing that must hold. `run(attempt)` raises `Failed` where it does not."""

    name: str
    run: Callable[[Any], None]


def case_check(cases: Sequence[Case], oracle: Callable, why: str = "") -> Callable:
    """A check's `run`: on each case the work must give what the oracle gives."""

    def check(attempt) -> None:
        for case in cases:
            attempt.expect(case, oracle(*case), why)

    return check


@dataclass(frozen=True)
class Misconception:
    """A wrong implementation that learners really write, and the hint that it must trigger.

    `also` holds further forms of the same mistake whose results differ from those of `wrong`.
    """

    name: str
    wrong: Callable
    hint: str
    also: tuple[Callable, ...] = ()

    @property
    def forms(self) -> tuple[Callable, ...]:
        return (self.wrong, *self.also)


def misconceptions_of(wrong: dict[str, Sequence[Callable]], hints: dict[str, str]) -> tuple[Misconception, ...]:
    """Misconceptions from name -> forms and name -> hint."""
    return tuple(Misconception(name, first, hints[name], also=tuple(rest)) for name, (first, *rest) in wrong.items())


@dataclass(frozen=True)
class Exercise:
    """One exercise: its solution, its checks, and the mistakes it knows.

    probes: cases on which no two misconceptions agree, nor any with the reference.
    sample: rng -> a random case that the docstring allows.
    drive: how to run a learner's work on a case; a class or a function that makes part of a
        larger run needs its own.
    arguments: case -> what `NAME.mine` is called with in the card's last line, `ready`.
    """

    id: str
    reference: Callable
    difficulty: int
    minutes: int
    hints: tuple[str, ...]
    checks: tuple[Check, ...]
    misconceptions: tuple[Misconception, ...]
    probes: Callable[[], Sequence[Case]]
    sample: Callable[[Any], Case]
    returns: tuple[str, ...] = ()
    drive: Callable = call
    arguments: Callable[..., Case] = unchanged
    ready: str = ""
    section: str = ""
    may_change_arguments: bool = False
    seconds: float = 5.0

    @property
    def lesson(self) -> str:
        return self.id.partition(".")[0]

    @property
    def name(self) -> str:
        return self.id.partition(".")[2]

    def __repr__(self) -> str:
        return f"Exercise({self.id!r}, difficulty {self.difficulty} of 5, {self.minutes} minutes)"


@dataclass(frozen=True)
class Verdict:
    """What a check found. `status` is 'passed', 'failed' or 'not attempted'.

    `text` says what was expected, what came and where; `case` is the failing input.
    """

    id: str
    status: str
    misconception: str | None = None
    hint: str | None = None
    text: str = ""
    case: Case | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        known = f", misconception {self.misconception!r}" if self.misconception else ""
        return f"Verdict({self.id!r}, {self.status!r}{known})"


class Failed(Exception):
    """A check does not hold. `searchable`: the work could be run, so its mistake may be found."""

    def __init__(self, text: str, case: Case | None = None, *, searchable: bool = True):
        super().__init__(text)
        self.text = text
        self.case = case
        self.searchable = searchable


class NotAttempted(Exception):
    """The learner's work says itself that it is not written yet."""
