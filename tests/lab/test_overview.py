"""What the course panel is told, and that nothing outside the workspace is read or written for it."""

from __future__ import annotations

import json
import os

import pytest
import tiny_notebook

from bigmodel_nb import course, memory
from bigmodel_nb.errors import CourseError
from bigmodel_nb.lab import overview

FIRST, SECOND = "00_start_here.ipynb", "13_finetune_gpt2.ipynb"
EXERCISES = ['@bn.exercise("finetune_gpt2.pack")\ndef pack(): ...', '@bn.exercise("finetune_gpt2.perplexity")\ndef f(): ...']
ABOUT = {"part": "A", "minutes": 40, "budget": {"seconds": 20, "rss_mb": 800}}


@pytest.fixture
def shipped(tmp_path):
    folder = tmp_path / "shipped"
    tiny_notebook.write(folder / FIRST, "1 + 1", "x = 3", lesson=0, title="Start <b>here</b>", needs=[], **ABOUT)
    tiny_notebook.write(folder / SECOND, "2 + 2", *EXERCISES, 'bn.exercise("other.one")', lesson=13, title="Fine-tune", needs=[0], **ABOUT)
    return folder


@pytest.fixture
def root(tmp_path, shipped, monkeypatch):
    """A server's root that is a workspace."""
    monkeypatch.delenv("BIGMODEL_NB_HOME", raising=False)
    home = tmp_path / "learner"
    course.make_workspace(home, shipped)
    return home


def solve(root, **entries):
    """Store progress; entries: exercise (with _ for the dot's lesson) -> what is known of it."""
    state = {"exercises": {f"finetune_gpt2.{name}": entry for name, entry in entries.items()}}
    (root / ".bigmodel_nb" / "progress.json").write_text(json.dumps(state))


def told(root, shipped, place=1):
    return overview.overview(root, shipped)["lessons"][place]


def files(folder):
    """Every file below a folder with its content; links as such."""
    return {p: os.readlink(p) if p.is_symlink() else p.read_bytes() for p in folder.rglob("*") if p.is_symlink() or p.is_file()}


def test_lessons_in_order_with_what_they_need(root, shipped, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 700_000_000)
    found = overview.overview(root, shipped)
    assert [it["file"] for it in found["lessons"]] == [FIRST, SECOND]
    assert (found["workspace"], found["passed"], found["of"], found["free"]) == (".", 0, 2, 700_000_000)
    second = found["lessons"][1]
    assert (second["part"], second["minutes"], second["needs"], second["mb"], second["enough"]) == ("A", 40, [0], 800, False)
    assert [it["id"] for it in second["exercises"]] == ["finetune_gpt2.pack", "finetune_gpt2.perplexity"]
    json.dumps(found)


def test_states_follow_the_learner(root, shipped):
    assert [it["state"] for it in overview.overview(root, shipped)["lessons"]] == ["new", "new"]
    tiny_notebook.edit(root / FIRST, 0, output="2\n")
    assert told(root, shipped, 0)["state"] == "begun"
    solve(root, pack={"attempts": 1})
    assert told(root, shipped)["state"] == "begun"
    solve(root, pack={"passed_at": "2026-01-01T00:00:00"}, gone={"passed_at": "x"})
    assert (told(root, shipped)["state"], told(root, shipped)["passed"]) == ("passed", 1)
    solve(root, pack={"passed_at": "x"}, perplexity={"passed_at": "x"})
    assert told(root, shipped)["state"] == "done"


def test_continues_where_the_learner_left(root, shipped):
    assert overview.overview(root, shipped)["next"] == FIRST
    tiny_notebook.edit(root / SECOND, 0, output="4\n")
    assert overview.overview(root, shipped)["next"] == SECOND
    solve(root, pack={"passed_at": "x"}, perplexity={"passed_at": "x"})
    assert overview.overview(root, shipped)["next"] == FIRST


def test_headings_and_bold_words_can_be_searched(root, shipped):
    import nbformat
    from nbformat import v4

    notebook = nbformat.read(shipped / FIRST, as_version=4)
    notebook.cells.append(v4.new_markdown_cell("# Title\n## Gradient descent\nThe **learning rate** and `**kwargs`", id="text"))
    nbformat.write(notebook, shipped / FIRST)
    assert told(root, shipped, 0)["terms"] == ["Gradient descent", "learning rate"]


def test_a_workspace_is_at_the_root_or_where_start_makes_it(root, shipped, tmp_path, monkeypatch):
    assert overview.find_workspace(root) == root.resolve()
    above = tmp_path / "home"
    course.make_workspace(above / "bigmodel-nb-course", shipped)
    assert overview.find_workspace(above) == (above / "bigmodel-nb-course").resolve()
    assert overview.overview(above, shipped)["lessons"][0]["path"] == f"bigmodel-nb-course/{FIRST}"
    course.make_workspace(above / "mine", shipped)
    monkeypatch.setenv("BIGMODEL_NB_HOME", str(above / "mine"))
    assert overview.find_workspace(above) == (above / "mine").resolve()
    assert overview.find_workspace(root) == root.resolve()  # the one of the environment is elsewhere


def test_without_a_workspace_nothing_is_made(tmp_path, shipped, monkeypatch):
    monkeypatch.delenv("BIGMODEL_NB_HOME", raising=False)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert overview.overview(empty, shipped)["workspace"] is None
    for action in (overview.open_lesson, overview.reset_lesson, overview.difference):
        with pytest.raises(CourseError, match="not a workspace"):
            action(empty, FIRST, shipped)
    assert list(empty.iterdir()) == []


def test_a_missing_lesson_is_copied_and_one_that_is_there_stays(root, shipped):
    (root / FIRST).unlink()
    assert not told(root, shipped, 0)["there"]
    assert overview.open_lesson(root, FIRST, shipped) == {"path": FIRST}
    assert (root / FIRST).read_bytes() == (shipped / FIRST).read_bytes()
    tiny_notebook.edit(root / FIRST, 0, source="mine")
    before = (root / FIRST).read_bytes()
    overview.open_lesson(root, FIRST, shipped)
    assert (root / FIRST).read_bytes() == before


def test_reset_keeps_the_learners_version(root, shipped):
    tiny_notebook.edit(root / FIRST, 0, source="mine")
    before = (root / FIRST).read_bytes()
    found = overview.reset_lesson(root, FIRST, shipped)
    assert found["path"] == FIRST and found["kept"].startswith("00_start_here-20")
    assert (root / found["kept"]).read_bytes() == before
    assert overview.reset_lesson(root, FIRST, shipped)["kept"] is None


@pytest.mark.parametrize("started_again", [False, True])
def test_a_newer_original_is_said_and_shown_before_it_is_taken(root, shipped, started_again):
    assert not told(root, shipped)["newer"] and overview.difference(root, SECOND, shipped)["cells"] == []
    tiny_notebook.edit(root / SECOND, 0, source="mine")
    tiny_notebook.edit(shipped / SECOND, 0, source="2 + 3")
    tiny_notebook.edit(shipped / SECOND, 1, source=f"{EXERCISES[0]}\npack()")
    if started_again:
        course.make_workspace(root, shipped)
    assert told(root, shipped)["newer"]
    found = overview.difference(root, SECOND, shipped)
    first, second = found["cells"]
    assert (found["against"], first["kind"], first["lines"], first["mine"]) == ("original", "changed", ["-2 + 2", "+2 + 3"], True)
    assert second["lines"][-1] == "+pack()" and not second["mine"]
    overview.reset_lesson(root, SECOND, shipped)
    assert not told(root, shipped)["newer"]


def test_a_lost_record_compares_with_the_learners_version(root, shipped):
    tiny_notebook.edit(root / SECOND, 0, source="mine")
    (root / ".bigmodel_nb" / "workspace.json").unlink()
    found = overview.difference(root, SECOND, shipped)
    assert found["against"] == "mine" and found["cells"][0]["lines"] == ["-mine", "+2 + 2"]


NAMES = ["../secret.ipynb", "/etc/passwd", "..", "", ".", "learner/../00_start_here.ipynb", "./00_start_here.ipynb",
         "00_start_here", "0", ".bigmodel_nb/progress.json", "00_start_here.ipynb\0", "<script>alert(1)</script>.ipynb",
         "..\\secret.ipynb", "%2e%2e/secret.ipynb", None, 0, ["00_start_here.ipynb"], {"file": 1}, "x" * 100_000]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name)[:30])
def test_only_the_courses_own_file_names_are_lessons(root, shipped, tmp_path, name):
    tiny_notebook.write(tmp_path / "secret.ipynb", "secret")
    before = files(tmp_path)
    for action in (overview.open_lesson, overview.reset_lesson, overview.difference):
        with pytest.raises(overview.UnknownLesson):
            action(root, name, shipped)
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["workspace.json", "progress.json", "originals", "bases", f"originals/{FIRST}", f"bases/{FIRST}"])
@pytest.mark.parametrize("action", [overview.open_lesson, overview.reset_lesson, overview.difference])
def test_links_in_the_courses_folder_are_refused(root, shipped, tmp_path, name, action):
    outside = tmp_path / "outside"
    (outside / "folder").mkdir(parents=True)
    (outside / "file").write_text("secret")
    place = root / ".bigmodel_nb" / name
    if place.exists():
        place.rename(tmp_path / "put_away")
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(outside / ("folder" if name in ("originals", "bases") else "file"))
    before = files(tmp_path)
    with pytest.raises(CourseError, match="is a link"):
        action(root, FIRST, shipped)
    assert files(tmp_path) == before
    overview.overview(root, shipped)
    assert files(tmp_path) == before


def test_linked_progress_is_not_read(root, shipped, tmp_path):
    solve(root, pack={"passed_at": "x"})
    stored = root / ".bigmodel_nb" / "progress.json"
    stored.rename(tmp_path / "elsewhere.json")
    stored.symlink_to(tmp_path / "elsewhere.json")
    assert overview.overview(root, shipped)["passed"] == 0


def test_a_linked_lesson_is_neither_opened_nor_compared_and_reset_moves_the_link(root, shipped, tmp_path):
    secret = tiny_notebook.write(tmp_path / "secret.ipynb", "secret")
    before = secret.read_bytes()
    (root / FIRST).unlink()
    (root / FIRST).symlink_to(secret)
    assert told(root, shipped, 0)["link"] and not told(root, shipped, 0)["there"]
    for action in (overview.open_lesson, overview.difference):
        with pytest.raises(CourseError):
            action(root, FIRST, shipped)
    kept = overview.reset_lesson(root, FIRST, shipped)["kept"]
    assert (root / kept).is_symlink() and secret.read_bytes() == before
    assert (root / FIRST).read_bytes() == (shipped / FIRST).read_bytes()


def test_a_linked_state_folder_is_no_workspace(root, tmp_path):
    (root / ".bigmodel_nb").rename(tmp_path / "elsewhere")
    (root / ".bigmodel_nb").symlink_to(tmp_path / "elsewhere")
    assert overview.find_workspace(root) is None


def test_a_linked_workspace_outside_the_root_is_none(root, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (home / "bigmodel-nb-course").symlink_to(root)
    assert overview.find_workspace(home) is None
    monkeypatch.setenv("BIGMODEL_NB_HOME", str(home / "bigmodel-nb-course"))
    assert overview.find_workspace(home) is None


@pytest.mark.parametrize("content", ["", "[]", "{", '{"cells": [{}]}', '{"cells": 3}', "\0" * 10, "[" * 100_000])
def test_a_damaged_notebook_of_the_learner_stops_nothing(root, shipped, content):
    (root / FIRST).write_text(content)
    assert told(root, shipped, 0)["state"] == "begun"
    with pytest.raises(CourseError, match="can't be read"):
        overview.difference(root, FIRST, shipped)
    overview.reset_lesson(root, FIRST, shipped)
    assert told(root, shipped, 0)["state"] == "new"


def test_the_course_as_it_is_shipped(tmp_path, monkeypatch):
    monkeypatch.delenv("BIGMODEL_NB_HOME", raising=False)
    course.make_workspace(tmp_path / "ws")
    found = overview.overview(tmp_path / "ws")
    assert [it["number"] for it in found["lessons"]] == [it.number for it in course.lessons()]
    from bigmodel_nb import exercises

    listed = {it["id"] for lesson in found["lessons"] for it in lesson["exercises"]}
    with_lesson = {it.id for it in exercises.catalogue() if it.lesson in {lesson["name"] for lesson in found["lessons"]}}
    assert listed == with_lesson
    assert all(lesson["terms"] for lesson in found["lessons"])


def test_links_in_a_circle_are_no_workspace(tmp_path, monkeypatch):
    monkeypatch.delenv("BIGMODEL_NB_HOME", raising=False)
    (tmp_path / "bigmodel-nb-course").symlink_to(tmp_path / "bigmodel-nb-course")
    assert overview.find_workspace(tmp_path) is None
