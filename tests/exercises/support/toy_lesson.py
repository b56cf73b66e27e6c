"""Exercises that only the tests have: a function and a class."""

import numpy as np

from bigmodel_nb.exercises.engine.model import Check, Exercise, Misconception


def double(x):
    """x (n,) -> (n,)"""
    return 2 * x


class Scaler:
    """Remembers the mean of x (n,) and subtracts it from others."""

    def __init__(self, x):
        self.mean = x.mean()

    def __call__(self, x):
        return x - self.mean


class Adds(Scaler):
    def __call__(self, x):
        return x + self.mean


def make_and_call(work, x, y):
    return work(x)(y)


def check_double(attempt):
    attempt.expect((np.array([1.0, 2.0]),), np.array([2.0, 4.0]))


def check_scaler(attempt):
    attempt.expect((np.array([1.0, 3.0]), np.array([5.0])), np.array([3.0]))


HINTS = ("First.", "Second.", "Third.")
EXERCISES = (
    Exercise(
        id="toy_lesson.double",
        reference=double,
        difficulty=1,
        minutes=2,
        hints=HINTS,
        checks=(Check("two numbers", check_double),),
        misconceptions=(Misconception("squared", lambda x: x * x, "Twice, or squared?"),),
        probes=lambda: [(np.array([3.0, 5.0]),)],
        sample=lambda rng: (rng.normal(size=3),),
    ),
    Exercise(
        id="toy_lesson.scaler",
        reference=Scaler,
        difficulty=1,
        minutes=2,
        hints=HINTS,
        checks=(Check("by hand", check_scaler),),
        misconceptions=(Misconception("sign", Adds, "Plus or minus?"),),
        probes=lambda: [(np.array([3.0, 5.0]), np.array([1.0, 2.0]))],
        sample=lambda rng: (rng.normal(size=3), rng.normal(size=3)),
        drive=make_and_call,
        ready="{name}.mine({name}.failing[0])({name}.failing[1])",
    ),
)
