import re

import pytest

from bigmodel_nb import exercises
from bigmodel_nb.errors import CourseError
from bigmodel_nb.exercises.engine import quiz as module
from bigmodel_nb.exercises.engine import record

CHOICES = [("one <b>", False, "Too few."), ("two", True, "One and one."), ("three", False, "Too many.")]


def test_question_hides_the_answer_in_text_and_opens_it_in_html(nowhere, capsys):
    exercises.quiz("start_here.sum", "1 + 1?", CHOICES)
    shown = capsys.readouterr().out
    assert "b. two" in shown and "One and one" not in shown
    markup = module._asked["start_here.sum"]._repr_html_()
    assert markup.count("<details>") == 3 and "<b>" not in markup
    assert markup.index("<summary>b. two</summary>") < markup.index("One and one.")


def test_answers_are_kept(workspace, capsys):
    exercises.quiz("start_here.sum", "1 + 1?", CHOICES)
    exercises.answer("start_here.sum", "a")
    assert "a is not right" in capsys.readouterr().out
    exercises.answer("start_here.sum", 2)
    assert "b is right" in capsys.readouterr().out
    kept = record.entry("start_here.sum", "quizzes")
    assert kept == {"answers": 2, "first": "a", "last": "b", "right": True}


def test_forms_do_not_depend_on_answers(workspace):
    exercises.quiz("start_here.sum", "1 + 1?", CHOICES)
    asked = module._asked["start_here.sum"]
    before = asked._repr_html_(), repr(asked)
    exercises.answer("start_here.sum", "b")
    assert before == (asked._repr_html_(), repr(asked))
    assert not re.search(r"0x|https?:|<script", before[0])


def test_buttons_answer(workspace):
    import ipywidgets

    asked = module.Quiz("start_here.sum", "1 + 1?", CHOICES)
    reason = ipywidgets.HTML()
    button = module._button(ipywidgets, asked, 1, "two", reason)
    button.click()
    assert "One and one." in reason.value
    assert record.entry("start_here.sum", "quizzes")["last"] == "b"


@pytest.mark.parametrize(
    "choices",
    [[], CHOICES[:1], [("a", False, "x"), ("b", False, "y")], [("a", True), ("b", False)], [("a", True, ""), ("b", False, "y")]],
)
def test_bad_quizzes_are_refused(nowhere, choices):
    with pytest.raises(CourseError):
        exercises.quiz("start_here.bad", "?", choices)


def test_bad_answers_are_refused(nowhere):
    exercises.quiz("start_here.sum", "1 + 1?", CHOICES)
    for choice in ("d", 0, 4, ""):
        with pytest.raises(CourseError, match="a to c"):
            exercises.answer("start_here.sum", choice)
    with pytest.raises(CourseError, match="no question"):
        exercises.answer("start_here.other", "a")
