"""`bigmodel-nb class`: from a roster to grades, as a teacher types it."""

from __future__ import annotations

import nbformat
import pytest

from bigmodel_nb import cli, course
from bigmodel_nb.classroom import isolate

SOLVED = "def count_parameters(config):\n    return -1"


def test_from_roster_to_grades(tmp_path, capsys, monkeypatch):
    if not isolate.means():
        pytest.skip("neither bubblewrap nor user namespaces here")
    lessons = course.lessons()[:1]
    monkeypatch.setattr(course, "lessons", lambda notebooks=None: lessons)
    roster, out, back = tmp_path / "roster.csv", tmp_path / "out", tmp_path / "back"
    roster.write_text("id,name\nann,Ann\nbob,Bob\n")
    assert cli.main(["class", "new", str(out), "--roster", str(roster)]) == 0
    file = out / "ann" / lessons[0].file
    notebook = nbformat.read(file, as_version=4)
    for cell in notebook.cells:
        if '@bn.exercise("start_here.count_parameters")' in cell.source:
            cell.source = f'@bn.exercise("start_here.count_parameters")\n{SOLVED}'
    nbformat.write(notebook, file)
    assert cli.main(["class", "collect", str(out), "--into", str(back), "--roster", str(roster)]) == 0
    arguments = ["class", "grade", str(back), "--lessons", "0", "--csv", str(tmp_path / "g.csv"), "--html", str(tmp_path / "g.html"), "--processes", "1"]
    capsys.readouterr()
    assert cli.main(arguments) == 0
    lines = {line.split()[0]: line.split()[1:4] for line in capsys.readouterr().out.splitlines() if line}
    assert lines["ann"] == ["0", "1", "0"] and lines["bob"] == ["0", "0", "1"]
    assert "not attempted" in (tmp_path / "g.csv").read_text() and "ann: 0 of 1 passed" in (tmp_path / "g.html").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["grade", "nowhere"], "class collect"),
        (["new", "x", "--roster", "nowhere.csv"], "can't be read"),
        (["collect", "nowhere", "--into", "x"], "not there"),
        (["guide", "--into", "x", "--lessons", "99"], "No lesson"),
    ],
)
def test_what_is_wrong_is_said(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["class", *words]) == 1 and says in capsys.readouterr().err


def test_where_nothing_can_be_isolated_it_refuses(tmp_path, monkeypatch, capsys):
    (tmp_path / "ann").mkdir()
    monkeypatch.setattr(isolate, "means", lambda: "")
    assert cli.main(["class", "grade", str(tmp_path), "--lessons", "0"]) == 1 and "--trust" in capsys.readouterr().err
