import json
import os
import stat
from pathlib import Path

import pytest
import tiny_notebook

from bigmodel_nb import course
from bigmodel_nb.errors import CourseError, ResourceError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def shipped(tmp_path):
    folder = tmp_path / "shipped"
    about = {"part": "A", "minutes": 40, "budget": {"seconds": 20, "rss_mb": 800}}
    tiny_notebook.write(folder / "13_finetune_gpt2.ipynb", "2 + 2", lesson=13, title="Fine-tune GPT-2", **about)
    measured = {"seconds": 5, "rss_mb": 1050}
    tiny_notebook.write(folder / "00_start_here.ipynb", "1 + 1", "x = 3", lesson=0, title="Start here", measured=measured, **about)
    tiny_notebook.write(folder / "Untitled.ipynb", "not a lesson")
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.delenv("BIGMODEL_NB_HOME", raising=False)
    return tmp_path / "learner" / "ws"


def states(copied):
    return {it.lesson.number: it.state for it in copied}


def cell_source(path, cell=0):
    return "".join(json.loads(path.read_text())["cells"][cell]["source"])


def test_lessons_come_from_the_metadata_in_order(shipped):
    first, last = course.lessons(shipped)
    assert (first.number, first.name, first.file, first.title) == (0, "start_here", "00_start_here.ipynb", "Start here")
    assert (last.minutes, last.budget, last.measured) == (40, {"seconds": 20, "rss_mb": 800}, {})


@pytest.mark.parametrize("key", [13, "13", "finetune_gpt2", "13_finetune_gpt2", "13_finetune_gpt2.ipynb"])
def test_a_lesson_has_many_names(shipped, key):
    assert course.lesson(key, shipped).path == shipped / "13_finetune_gpt2.ipynb"


def test_a_lesson_can_be_a_path(shipped, tmp_path):
    mine = tiny_notebook.write(tmp_path / "mine.ipynb", "1")
    assert course.lesson(mine, shipped).title == "mine"


def test_an_unknown_lesson_names_the_known(shipped):
    with pytest.raises(CourseError, match="No lesson '7'.*00_start_here, 13_finetune_gpt2"):
        course.lesson("7", shipped)


def test_a_damaged_notebook_is_named(shipped):
    (shipped / "05_broken.ipynb").write_text("{")
    with pytest.raises(CourseError, match="05_broken.ipynb can't be read"):
        course.lessons(shipped)


def test_a_workspace_is_found_from_below(shipped, home, monkeypatch):
    assert course.workspace(home.parent) is None
    course.make_workspace(home, shipped)
    below = home / "data" / "deep"
    below.mkdir(parents=True)
    assert course.workspace(below) == home.resolve()
    monkeypatch.setenv("BIGMODEL_NB_HOME", str(home.parent))
    assert course.workspace(below) == home.parent


def test_twice_keeps_the_learners_changes(shipped, home):
    assert states(course.make_workspace(home, shipped)) == {0: "new", 13: "new"}
    mine = home / "00_start_here.ipynb"
    tiny_notebook.edit(mine, 1, source="x = 'my own'")
    before = mine.read_bytes()
    again = course.make_workspace(home, shipped)
    assert states(again) == {0: "kept", 13: "unchanged"}
    assert again[0].note == "you changed it"
    assert mine.read_bytes() == before


def test_outputs_are_not_a_change(shipped, home):
    course.make_workspace(home, shipped)
    ran = home / "00_start_here.ipynb"
    tiny_notebook.edit(ran, 0, output="2\n")
    before = ran.read_bytes()
    assert states(course.make_workspace(home, shipped))[0] == "unchanged"
    assert ran.read_bytes() == before


def test_an_unchanged_lesson_is_updated(shipped, home):
    course.make_workspace(home, shipped)
    tiny_notebook.edit(shipped / "00_start_here.ipynb", 0, source="1 + 1 + 1")
    assert states(course.make_workspace(home, shipped)) == {0: "updated", 13: "unchanged"}
    assert cell_source(home / "00_start_here.ipynb") == "1 + 1 + 1"
    assert states(course.make_workspace(home, shipped))[0] == "unchanged"


def test_new_stored_outputs_reach_a_lesson_that_was_not_run(shipped, home):
    course.make_workspace(home, shipped)
    tiny_notebook.edit(shipped / "00_start_here.ipynb", 0, output="2\n")
    assert states(course.make_workspace(home, shipped))[0] == "updated"
    assert (home / "00_start_here.ipynb").read_bytes() == (shipped / "00_start_here.ipynb").read_bytes()


def test_an_update_puts_the_learners_outputs_aside(shipped, home):
    course.make_workspace(home, shipped)
    tiny_notebook.edit(home / "00_start_here.ipynb", 0, output="found by my run\n")
    tiny_notebook.edit(shipped / "00_start_here.ipynb", 1, source="x = 4")
    assert states(course.make_workspace(home, shipped))[0] == "updated"
    (aside,) = (home / ".bigmodel_nb" / "replaced").iterdir()
    assert "found by my run" in aside.read_text()


def test_a_changed_lesson_is_kept_beside_a_newer_original(shipped, home):
    course.make_workspace(home, shipped)
    mine = home / "00_start_here.ipynb"
    tiny_notebook.edit(mine, 0, source="mine")
    tiny_notebook.edit(shipped / "00_start_here.ipynb", 0, source="newer")
    for _ in range(2):  # said each time, until the learner takes it
        assert states(course.make_workspace(home, shipped))[0] == "newer"
        assert cell_source(mine) == "mine"
        assert cell_source(home / ".bigmodel_nb" / "originals" / mine.name) == "newer"
    tiny_notebook.edit(mine, 0, source="1 + 1")  # the learner goes back to the old original
    assert states(course.make_workspace(home, shipped))[0] == "updated"
    assert cell_source(mine) == "newer"


def test_a_lost_record_costs_nothing(shipped, home):
    course.make_workspace(home, shipped)
    tiny_notebook.edit(home / "13_finetune_gpt2.ipynb", 0, source="mine")
    (home / ".bigmodel_nb" / "workspace.json").write_text("[not a record")
    assert states(course.make_workspace(home, shipped)) == {0: "unchanged", 13: "kept"}
    (home / ".bigmodel_nb" / "workspace.json").unlink()
    for original in (home / ".bigmodel_nb" / "originals").iterdir():
        original.unlink()
    tiny_notebook.edit(shipped / "00_start_here.ipynb", 0, source="newer")
    assert states(course.make_workspace(home, shipped)) == {0: "kept", 13: "kept"}


def test_a_folder_with_files_of_the_same_name_is_adopted(shipped, home):
    tiny_notebook.write(home / "00_start_here.ipynb", "somebody's own")
    assert states(course.make_workspace(home, shipped)) == {0: "kept", 13: "new"}
    assert cell_source(home / "00_start_here.ipynb") == "somebody's own"


def test_odd_entries_are_left_alone(shipped, home, tmp_path):
    elsewhere = tiny_notebook.write(tmp_path / "elsewhere.ipynb", "linked")
    home.mkdir(parents=True)
    (home / "00_start_here.ipynb").symlink_to(elsewhere)
    (home / "13_finetune_gpt2.ipynb").mkdir()
    copied = course.make_workspace(home, shipped)
    assert states(copied) == {0: "kept", 13: "kept"}
    assert "not an ordinary file" in copied[0].note
    assert cell_source(elsewhere) == "linked"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": [3]}', '{"cells": [{"source": 7}]}'])
def test_an_unreadable_copy_is_kept(shipped, home, content):
    course.make_workspace(home, shipped)
    (home / "00_start_here.ipynb").write_text(content)
    copied = course.make_workspace(home, shipped)
    assert (copied[0].state, copied[0].note) == ("kept", "it can't be read as a notebook")
    assert (home / "00_start_here.ipynb").read_text() == content


def test_copies_can_be_written_though_the_originals_can_not(shipped, home):
    (shipped / "00_start_here.ipynb").chmod(0o444)
    course.make_workspace(home, shipped)
    assert os.stat(home / "00_start_here.ipynb").st_mode & stat.S_IWUSR


def test_the_courses_own_folder_is_no_workspace(shipped):
    with pytest.raises(CourseError, match="the course's own notebooks"):
        course.make_workspace(shipped, shipped)


def test_a_workspace_that_is_a_file_says_what_to_do(shipped, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="can't be written.*bigmodel-nb start DIR"):
        course.make_workspace(tmp_path / "file", shipped)


def test_reset_keeps_a_dated_copy(shipped, home):
    course.make_workspace(home, shipped)
    path = home / "13_finetune_gpt2.ipynb"
    kept = []
    for text in ("first try", "second try"):
        tiny_notebook.edit(path, 0, source=text)
        restored, copy = course.reset("finetune_gpt2", home, shipped)
        assert restored == path and cell_source(path) == "2 + 2"
        kept.append((copy.name, cell_source(copy)))
    assert [text for _, text in kept] == ["first try", "second try"]
    assert all(name.startswith("13_finetune_gpt2-20") for name, _ in kept)
    assert states(course.make_workspace(home, shipped))[13] == "unchanged"


def test_reset_of_an_original_or_missing_lesson_keeps_nothing(shipped, home):
    course.make_workspace(home, shipped)
    assert course.reset(13, home, shipped)[1] is None
    (home / "13_finetune_gpt2.ipynb").unlink()
    path, kept = course.reset(13, home, shipped)
    assert path.is_file() and kept is None


def test_reset_moves_a_link_and_not_what_it_points_to(shipped, home, tmp_path):
    course.make_workspace(home, shipped)
    elsewhere = tiny_notebook.write(tmp_path / "elsewhere.ipynb", "linked")
    path = home / "13_finetune_gpt2.ipynb"
    path.unlink()
    path.symlink_to(elsewhere)
    _, kept = course.reset(13, home, shipped)
    assert kept.is_symlink() and not path.is_symlink() and cell_source(elsewhere) == "linked"


def test_reset_by_path_restores_the_shipped_lesson(shipped, home, monkeypatch):
    course.make_workspace(home, shipped)
    tiny_notebook.edit(home / "13_finetune_gpt2.ipynb", 0, source="mine")
    monkeypatch.chdir(home)
    assert cell_source(course.reset("13_finetune_gpt2.ipynb", notebooks=shipped)[0]) == "2 + 2"


def test_reset_takes_a_newer_original(shipped, home):
    course.make_workspace(home, shipped)
    tiny_notebook.edit(home / "13_finetune_gpt2.ipynb", 0, source="mine")
    tiny_notebook.edit(shipped / "13_finetune_gpt2.ipynb", 0, source="newer")
    course.make_workspace(home, shipped)
    course.reset(13, home, shipped)
    assert cell_source(home / "13_finetune_gpt2.ipynb") == "newer"
    assert states(course.make_workspace(home, shipped))[13] == "unchanged"


def test_reset_outside_a_workspace_says_so(shipped, tmp_path):
    with pytest.raises(CourseError, match="is not a workspace"):
        course.reset(13, tmp_path, shipped)


def test_progress_is_joined_with_the_lessons(shipped):
    state = {
        "exercises": {
            "finetune_gpt2.perplexity": {"attempts": 2, "passed_at": "2026-01-01T00:00:00"},
            "finetune_gpt2.pack": {"attempts": 1},
            "gone.exercise": {"attempts": 1},
        },
        "quizzes": {"start_here.size": {"right": True}, "start_here.memory": {"right": False}},
    }
    found = course.lesson_progress(state, shipped)
    assert [it.lesson for it in found] == ["start_here", "finetune_gpt2", "gone"]
    assert found[0].text() == "0 passed, 0 begun, 1 of 2 questions right"
    assert found[1].text(4) == "1 of 4 passed, 1 begun"
    assert course.lesson_progress({}, shipped) == []


def test_readme_table(shipped):
    lines = course.readme_table(shipped).splitlines()
    assert lines[2] == "| 00 | [Start here](notebooks/00_start_here.ipynb) | A | 40 min | 5 s | 1,050 MB |"
    assert lines[3].endswith("| 40 min | - | - |")


def test_a_text_without_place_for_the_table_is_rejected():
    with pytest.raises(CourseError, match="lessons:begin"):
        course.with_table("# no place", "lessons", "table")


def test_the_readme_holds_the_lesson_table():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert course.with_table(readme, "lessons", course.readme_table()) == readme, "run: bigmodel-nb list --readme"
