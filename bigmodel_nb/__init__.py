"""Teaching kit: derive, code, check and fine-tune large language models in notebooks.

Every public name is imported when it is first used, so `import bigmodel_nb` loads neither torch
nor a widget.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

_ATTRIBUTES = {  # public name -> the module that holds it
    "setup": "session",
    "show": "figures",
    "load_gpt2": "gpt2.load",
    "generate": "gpt2.generate",
    "generate_many": "gpt2.generate",
    "finetune": "gpt2.finetune",
    "perplexity": "gpt2.evaluate",
    "exercise": "exercises",
    "hint": "exercises",
    "solution": "exercises",
    "quiz": "exercises",
    "progress": "exercises",
}
_MODULES = ("course", "datasets", "device", "errors", "exercises", "gpt2", "memory", "widgets")

__all__ = [*_ATTRIBUTES, *_MODULES]


def load_ipython_extension(shell) -> None:
    """`%load_ext bigmodel_nb`: the magics of the course."""
    from .lab.magics import load

    load(shell)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """The routes that the course panel asks."""
    return [{"module": __name__}]


def _load_jupyter_server_extension(server) -> None:
    from .lab.server import load

    load(server)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """The course panel."""
    return [{"src": "lab/labextensions/bigmodel-nb", "dest": "bigmodel-nb"}]


def __getattr__(name: str):
    if name in _ATTRIBUTES:
        value = getattr(importlib.import_module(f"{__name__}.{_ATTRIBUTES[name]}"), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
