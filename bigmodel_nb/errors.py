"""Errors that a learner can act on.

In a notebook they are shown as their message alone: what is wrong, what was received, what to do
next. In a script they are ordinary exceptions.
"""

from __future__ import annotations


class CourseError(Exception):
    """Base of the course's own errors; its text says what to do next."""

    def _render_traceback_(self) -> list[str]:
        """IPython shows this in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class ModelError(CourseError):
    """A model, tokenizer or checkpoint can't be found, read or used."""


class DataError(CourseError, ValueError):
    """Text or numbers that a function can't work with."""


class ResourceError(CourseError):
    """Disk, memory, port or device is not enough or not there."""
