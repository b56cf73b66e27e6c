"""The teacher's pages say what the notebooks and the catalogue hold."""

from __future__ import annotations

import nbformat
import pytest

from bigmodel_nb import cli, course
from bigmodel_nb.classroom import guide
from bigmodel_nb.exercises.engine import catalogue


@pytest.mark.parametrize("lesson", course.lessons(), ids=lambda lesson: lesson.path.stem)
def test_every_lesson_has_a_page(lesson):
    text = guide.page(lesson)
    assert text.startswith(f"# {lesson.number:02} {lesson.title}: for the teacher") and f"{lesson.minutes} minutes" in text
    exercises = catalogue.of_lesson(lesson.name) if lesson.name in catalogue.lessons() else ()
    for item in exercises:
        assert text.count(f"exercise `{item.id}`") == 1 and f"### `{item.id}`" in text
        assert all(it.hint in text for it in item.misconceptions)
    found = list(guide.questions(nbformat.read(lesson.path, as_version=4)))
    assert found and all(question.text in text and sum(right for _, right, _ in question.choices) == 1 for question in found)


def test_the_command_writes_them(tmp_path, capsys):
    assert cli.main(["class", "guide", "--into", str(tmp_path), "--lessons", "9", "attention"]) == 0
    assert (tmp_path / "09_attention.md").read_text("utf-8") == guide.page(course.lesson(9))
