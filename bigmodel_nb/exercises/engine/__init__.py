"""Checks a learner's function, finds its mistake and shows the result."""
