"""Tiny notebooks for tests."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat import v4


def write(path: Path, *sources: str, **about) -> Path:
    """A notebook of code cells with stable ids; `about` goes into its `metadata.bigmodel_nb`."""
    cells = [v4.new_code_cell(source, id=f"cell-{i}") for i, source in enumerate(sources)]
    notebook = v4.new_notebook(cells=cells, metadata={"bigmodel_nb": about} if about else {})
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def edit(path: Path, cell: int, *, source: str | None = None, output: str | None = None) -> None:
    """Change a cell's source or give it an output, as a learner would."""
    notebook = nbformat.read(path, as_version=4)
    if source is not None:
        notebook.cells[cell].source = source
    if output is not None:
        notebook.cells[cell].outputs = [v4.new_output("stream", name="stdout", text=output)]
    nbformat.write(notebook, path)
