"""Interactive widgets, imported when first used: `bn.widgets.TrainingMonitor(...)`."""

from __future__ import annotations

import importlib

_WIDGETS = {  # class -> the module that holds it
    "BackpropGraph": "backprop_graph",
    "CourseWidget": "base",
    "GradientDescent": "gradient_descent",
    "CrossEntropy": "cross_entropy",
    "OptimizerRace": "optimizer_race",
    "TrainingMonitor": "training_monitor",
}

__all__ = list(_WIDGETS)


def __getattr__(name: str):
    if name not in _WIDGETS:
        raise AttributeError(f"no widget {name!r}; there are {', '.join(_WIDGETS)}")
    value = getattr(importlib.import_module(f"{__name__}.{_WIDGETS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
