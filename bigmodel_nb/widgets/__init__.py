"""Interactive widgets, imported when first used: `bn.widgets.TrainingMonitor(...)`."""

from __future__ import annotations

import importlib
from pathlib import Path

# A widget's class has the name of its module: BackpropGraph in backprop_graph.py beside backprop_graph.js.
_MODULES = {
    "".join(part.title() for part in file.stem.split("_")): file.stem
    for file in sorted(Path(__file__).parent.glob("*.js"))
    if file.stem != "base"
} | {"CourseWidget": "base"}

__all__ = list(_MODULES)


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"no widget {name!r}; there are {', '.join(_MODULES)}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
