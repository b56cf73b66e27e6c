"""Make the README's picture: `python -m tests.browser.picture` runs a short fine-tuning in JupyterLab."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat
from playwright.sync_api import sync_playwright

from tests.browser.conftest import FLAGS, REPO, LabNotebook, Server, find_chromium

PICTURE = REPO / "notebooks" / "images" / "fine_tuning.png"
CELL = """import bigmodel_nb as bn

model, tokenizer = bn.load_gpt2()
texts = bn.datasets.python_docs()
result = bn.finetune(model, tokenizer, texts[1:], texts[0], steps=60, block_size=64)
print(bn.generate(model, tokenizer, "The import statement", 40, seed=2).text)"""


def main() -> None:
    """Run the cell and take the picture of it with its output."""
    server = Server(Path(tempfile.mkdtemp()))
    try:
        server.wait()
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
        nb.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(nb, server.root / "fine_tuning.ipynb")
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=find_chromium(playwright), headless=True, args=FLAGS
            )
            page = chromium.new_context(viewport={"width": 1100, "height": 900}, device_scale_factor=1.5).new_page()
            page.set_default_timeout(300_000)
            notebook = LabNotebook(page, server, "fine_tuning.ipynb")
            page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
            notebook.start()
            notebook.outputs()
            page.wait_for_timeout(1000)
            PICTURE.parent.mkdir(exist_ok=True)
            page.locator(".jp-CodeCell").first.screenshot(path=str(PICTURE))
            chromium.close()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
