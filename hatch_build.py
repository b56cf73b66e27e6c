"""Build hook: a wheel carries the notebooks, an editable install reads them beside the source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NotebooksHook(BuildHookInterface):
    """Puts notebooks/NN_*.ipynb into the package of a standard wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "standard":
            return
        for path in sorted(Path(self.root, "notebooks").glob("[0-9][0-9]_*.ipynb")):
            build_data["force_include"][str(path)] = f"bigmodel_nb/notebooks/{path.name}"
