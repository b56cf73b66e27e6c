"""Lets `pytest --nbval` find the sanitize file, whatever folder it was started in."""

from pathlib import Path


def pytest_configure(config):
    if getattr(config.option, "nbval", False) and not config.option.nbval_sanitize_with:
        config.option.nbval_sanitize_with = str(Path(__file__).parent / "tests" / "sanitize.cfg")
