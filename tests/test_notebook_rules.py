"""All rules on all notebooks; and, for each rule, notebooks that it must reject."""

import base64
import copy
import warnings
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests import notebook_rules as rules
from tests.notebook_rules import RULES, is_ignored, remarks, violations

NOTEBOOKS = sorted((rules.ROOT / "notebooks").rglob("*.ipynb"))
PNG = base64.b64encode(b"\x89PNG picture").decode()
ALT = "A parabola that rises from 0 to 4."


@pytest.fixture(autouse=True)
def tiny_course(monkeypatch, request):
    """The made-up lesson `start_tiny` and its one exercise, for the tests that use tiny notebooks."""
    if "notebook" not in request.fixturenames:
        monkeypatch.setattr(rules, "catalogue_ids", lambda: {"start_tiny.add"})
        monkeypatch.setitem(rules.MINIMUM_EXERCISES, "start_tiny", {"add"})


# The course


@pytest.mark.parametrize("check", RULES, ids=lambda check: check.__name__)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_keeps_the_rule(notebook, check):
    assert check(nbformat.read(notebook, as_version=4), notebook) == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_remarks(notebook):
    for remark in remarks(nbformat.read(notebook, as_version=4), notebook):
        warnings.warn(f"{notebook.name}: {remark}", stacklevel=1)


# A good notebook, and how each rule finds a bad one


def code(source, *outputs, tags=()):
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)} if tags else {})


def printed(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def shown(data, **metadata):
    return new_output("display_data", data=data, metadata=metadata)


def picture(text=f"{ALT}\naxes\n  line (3 points): x 0 to 2, y 0 to 4", alt=ALT):
    return shown({"image/png": PNG, "text/plain": text}, **({"image/png": {"alt": alt}} if alt else {}))


TIMED = ("import time\nstarted = time.time()\nprint(time.time() - started)", printed("0.12 s\n"))
TIMED_TAGS = ("nbval-ignore-output", "shows-time")


def good():
    """A notebook of 26 cells that keeps every rule, and its path."""
    cells = [
        new_markdown_cell("# A tiny lesson\n\n20 minutes. Needs lesson 00, 30 s and 400 MB of memory."),
        code("import numpy as np\nimport sklearn\nimport bigmodel_nb as bn\nbn.setup()"),
        code("x = np.arange(3)\ntotal = x.sum()\nprint(x)", printed("[0 1 2]\n")),
        code("fig = 1\nbn.show(fig, 'A parabola.')", picture()),
        code('@bn.exercise("start_tiny.add")\ndef add(a, b):\n    ...', shown({"text/plain": "start_tiny.add: not attempted"})),
        code(*TIMED, tags=TIMED_TAGS),
        code("elapsed = 1\nassert elapsed < 10\nprint(elapsed < 100)", printed("True\n")),
        *[new_markdown_cell("One idea, as article S01 has it.") for _ in range(16)],
        code("y = x + 1\nassert y[0] == 1\nassert y[2] == 3"),
        new_markdown_cell("## Remember\n\n- One thing."),
        new_markdown_cell("## Further reading\n\n- Shannon, C. E. (1948)."),
    ]
    about = {
        "lesson": 7, "title": "A tiny lesson", "part": "A", "minutes": 20, "needs": [0],
        "budget": {"seconds": 30, "rss_mb": 400}, "sources": ["S01"],
    }  # fmt: skip
    metadata = {"bigmodel_nb": about, "kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nb = new_notebook(cells=cells, metadata=metadata)
    for number, cell in enumerate(rules.code_cells(nb), 1):
        cell.execution_count = number
    return nb, Path("notebooks/07_start_tiny.ipynb")


def test_the_good_notebook_keeps_every_rule():
    nb, path = good()
    nbformat.validate(nb)
    assert violations(nb, path) == {} and remarks(nb, path) == []


def about(**changes):
    return lambda nb: nb.metadata.bigmodel_nb.update(changes)


def without(key):
    return lambda nb: nb.metadata.bigmodel_nb.pop(key)


def source(text):
    """Put `text` into a plain, compared code cell."""
    return lambda nb: rules.code_cells(nb)[1].update(source=text)


def text(markdown, cell=8):
    return lambda nb: nb.cells[cell].update(source=markdown)


def output(it):
    """Make `it` the output of a plain, compared code cell."""
    return lambda nb: rules.code_cells(nb)[1].update(outputs=[it])


def tagged(*tags, cell=1):
    return lambda nb: rules.code_cells(nb)[cell].metadata.update(tags=list(tags))


def each(*changes):
    return lambda nb: [change(nb) for change in changes]


def insert(*cells, at=2):
    def change(nb):
        nb.cells[at:at] = copy.deepcopy(cells)

    return change


EXERCISE = '@bn.exercise("{}")\ndef f(x):\n    ...'
BAD = {
    "metadata_complete": [
        lambda nb: nb.metadata.pop("bigmodel_nb"),
        *map(without, ("lesson", "title", "part", "minutes", "needs", "budget", "sources")),
        about(lesson="7"), about(minutes=0), about(minutes=True), about(needs=0), about(needs=["00"]), about(title=" "),
        about(budget={"seconds": 30}), about(budget={"seconds": 91, "rss_mb": 400}),
        about(budget={"seconds": 30, "rss_mb": 1501}), about(sources=["S1", "X2"]), about(sources="S01"),
    ],
    "file_name": [about(lesson=8), "7_start_tiny", "07-start-tiny", "07_Start_tiny", "start_tiny"],
    "stable_metadata": [
        lambda nb: nb.metadata.pop("kernelspec"),
        lambda nb: nb.metadata.kernelspec.update(name="my-env"),
        lambda nb: nb.cells[1].metadata.update(execution={"iopub.status.busy": "2026-01-01T00:00:00"}),
    ],
    "questions_folded": [
        source('bn.quiz("start_tiny.q", "Why?", [("so", True, "yes")])'),
        source("bn.quiz('start_tiny.q', 'Why?', [])\nbn.quiz('start_tiny.r', 'How?', [])"),
    ],
    "no_widget_state": [lambda nb: nb.metadata.update(widgets={})],
    "cell_ids": [
        lambda nb: nb.cells[3].pop("id"), lambda nb: nb.cells[3].update(id="a b"),
        lambda nb: nb.cells[3].update(id=nb.cells[4]["id"]),
    ],
    "size": [
        output(printed("x" * 1_000_001)),
        each(*(lambda nb, i=i: nb.cells[i].update(source="x" * 600_000) for i in range(8, 14))),
    ],
    "no_private_paths": [
        *map(text, ("in `/work/x`", "/home/ada/x", "saved to /tmp/x", "/Users/ada/x", r"C:\Users")),
        source("open('/root/x')"), output(printed("/work/main/x.py:1\n")), output(shown({"text/plain": "PosixPath('/tmp/a/b')"})),
    ],
    "cell_count": [
        lambda nb: nb.cells.__delitem__(slice(7, 10)),
        insert(*[new_markdown_cell("x")] * 40),
    ],
    "prose_length": [text("word " * 2601)],
    "code_length": [
        source("x = 1\n" * 41),
        lambda nb: [cell.update(source="x = 1") for cell in rules.code_cells(nb)],
        lambda nb: [cell.update(source="x = 1\n" * 9) for cell in rules.code_cells(nb)],
    ],
    "opening": [
        lambda nb: nb.cells.pop(0), text("A tiny lesson. 20 minutes. Needs 400 MB", 0),
        text("# T\n\nNeeds lesson 00, 400 MB.", 0), text("# T\n\n25 minutes. Needs lesson 00, 400 MB.", 0),
        text("# T\n\n20 minutes, 400 MB.", 0), text("# T\n\n20 minutes. Needs lesson 00.", 0),
    ],
    "closing": [text("Remember nothing.", -2), text("Further reading", -1), text("## Further reading\n\nA book.", -1)],
    "sources_named": [about(sources=["S01", "F02"]), about(sources=["S0"])],
    "plain_looks": [
        text("Well done \U0001f389"), text("\u2728 new"), source("# ---- data ----\nx = 1"), source('print("=" * 40)'),
        output(printed("==========\nresult\n")), text("*********\nWARNING"), output(printed("done \u2705\n")),
    ],
    "images_in_text": [
        text("![plot](https://example.org/a.png)"), text("![plot](//example.org/a.png)"), text("![](attachment:a.png)"),
        text('<img src="attachment:a.png">'), text('<img alt="a plot" src="http://example.org/a.png">'),
        text("![a plot](images/not_there.png)"),
    ],
    "plain_python": [*map(source, ("%pip install x", "!ls", "%%time\nx", "help?", "x = = 1", "get_ipython().magic()", " "))],
    "core_imports": [*map(source, ("import pandas", "from bitsandbytes.nn import Linear8bitLt", "def f():\n    import scipy.stats"))],
    "no_star_imports": [source("from torch import *")],
    "no_progress_bars": [source("from tqdm.auto import tqdm")],
    "never_waits": [source("name = input('name')"), source("breakpoint()")],
    "figures_through_show": [*map(source, ("plt.plot([1])\nplt.show()", "display(fig)", "fig.show()"))],
    "no_trailing_semicolon": [source("plt.plot([1]);"), source("plt.plot([1]);  # a line\nx = 1")],
    "full_precision": [
        *map(source, (
            "with torch.autocast('cpu'):\n    y", "model.half()", "x.to(torch.bfloat16)", "Trainer(bf16=True)",
            "bn.finetune(model, tokenizer, texts)", "bn.finetune(model, tokenizer, texts, precision='auto')",
        )),
        each(source("bn.finetune(model, tokenizer, texts)"), tagged(*TIMED_TAGS)),
    ],
    "executed": [
        lambda nb: rules.code_cells(nb)[2].update(execution_count=None),
        lambda nb: rules.code_cells(nb)[2].update(execution_count=17),
    ],
    "no_errors": [output(new_output("error", ename="ValueError", evalue="no", traceback=[]))],
    "no_warnings": [output(printed("FutureWarning: soon\n", "stderr"))],
    "nothing_skipped": [
        source("# NBVAL_SKIP\nx = 1"), source("x = 1\n## NBVAL_RAISES_EXCEPTION"), tagged("nbval-skip"),
        tagged("raises-exception"), tagged("nbval-raises-exception"),
    ],
    "few_ignored": [
        insert(*[code(*TIMED, tags=TIMED_TAGS), code("assert True")] * 4),
        insert(*[code(*TIMED, tags=TIMED_TAGS)] * 2),
        lambda nb: rules.code_cells(nb)[5].update(source="elapsed = 1\nprint('assert')"),
        tagged(*TIMED_TAGS, cell=6), tagged("nbval-ignore-output", cell=4),
        each(source("# NBVAL_IGNORE_OUTPUT\nx = 1"), tagged("shows-time")),
        each(tagged(*TIMED_TAGS, cell=4), tagged("nbval-ignore-output", "shows-live", cell=5)),
    ],
    "same_everywhere": [
        *(output(printed(it)) for it in (
            "2026-01-31", "Mon, 5 Jan 2026", "12:30:59", "it took 12.3 s", "1.5 seconds", "250 ms", "3.1 it/s",
            "412 tokens per second", "184 GFLOP/s", "<Model at 0x7f12ab34cd56>", "cuda:0", "device: cpu", "device(type='mps')",
        )),
        output(shown({"text/plain": "12.3 s"})), output(shown({"text/html": "<b>12.3 s</b>", "text/plain": "x"})),
    ],
    "pictures_described": [
        output(picture(alt="")), output(picture(text="<Figure size 640x480 with 1 Axes>")), output(picture(text="")),
        output(shown({"image/svg+xml": "<svg/>"})),
    ],
    "no_leftovers": [
        *(output(shown({"text/plain": it})) for it in (
            "[<matplotlib.lines.Line2D at 0x7f>]", "Text(0.5, 1.0, 'loss')", "<Figure size 640x480 with 1 Axes>",
        )),
    ],
    "exercises_named": [
        source(EXERCISE.format("other.add")), source(EXERCISE.format("start_tiny.unknown")),
        source(EXERCISE.format("start_tiny.add")),
    ],
    "exercises_complete": [lambda nb: rules.code_cells(nb)[3].update(source="x = 1"), "07_no_such_lesson"],
    "exercises_unsolved": [lambda nb: rules.code_cells(nb)[3].update(outputs=[shown({"text/plain": "start_tiny.add: passed"})])],
}  # fmt: skip


def test_every_rule_has_something_to_reject():
    assert set(BAD) == {check.__name__ for check in RULES}


@pytest.mark.parametrize(
    ("name", "change"),
    [pytest.param(name, change, id=f"{name}-{i}") for name, changes in BAD.items() for i, change in enumerate(changes)],
)
def test_the_rule_rejects(name, change):
    nb, path = good()
    if isinstance(change, str):
        path = path.with_name(f"{change}.ipynb")
    else:
        change(nb)
    check = next(it for it in RULES if it.__name__ == name)
    messages = check(nb, path)
    assert messages and all(isinstance(it, str) and it for it in messages)


ALLOWED = {
    "a tagged cell in lower precision": each(source("with torch.autocast('cpu'):\n    y"), tagged("lower-precision")),
    "fine-tuning in float32": source("bn.finetune(model, tokenizer, texts, precision='float32')"),
    "a time in a cell that isn't compared": insert(code(*TIMED, tags=TIMED_TAGS), code("assert True")),
    "a computed size": output(printed("weights: 23.4 MB, 60 s of budget, 5.85 M parameters\n")),
    "an image in the notebook": text("![a parabola](attachment:a.png)"),
    "an address in code fences": text("```\n![](x.png)\n```"),
    "a link": text("[the paper](https://example.org/paper.pdf)"),
    "a table": text("| a | b |\n|---|---|\n| 1 | 2 |"),
    "a ratio and a slash": text("true/false, 1/2, and `a/tmp/b`"),
    "a check mark": output(printed("\u2713 equal\n")),
    "arrows and Greek": text("\u2202L/\u2202\u03b8 \u2192 0, y = \u03c3(Wx + b)"),
}


@pytest.mark.parametrize("change", ALLOWED.values(), ids=ALLOWED)
def test_what_is_allowed(change):
    nb, path = good()
    change(nb)
    broken = violations(nb, path)
    broken.pop("executed", None)  # inserted cells have no count
    assert broken == {}


def test_markers_are_read_as_nbval_reads_them():
    from nbval.plugin import find_comment_markers

    for line in ("# NBVAL_IGNORE_OUTPUT", "## NBVAL_IGNORE_OUTPUT ", "#NBVAL_IGNORE_OUTPUT: a time", "x # NBVAL_IGNORE_OUTPUT",
                 "# PYTEST_VALIDATE_IGNORE_OUTPUT"):  # fmt: skip
        assert is_ignored(code(f"x = 1\n{line}")) == bool(dict(find_comment_markers(line)))


def test_remarks_speak_up():
    nb, path = good()
    text("word " * 2001)(nb)
    assert "2,0" in remarks(nb, path)[0]
