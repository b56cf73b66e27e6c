"""A question with choices, each with its reason.

In a live notebook the choices are buttons; the stored form is HTML that opens each reason on
demand, and the text form lists the choices only. Neither depends on earlier answers.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from bigmodel_nb.errors import CourseError

from . import cards, record

_asked: dict[str, Quiz] = {}


@dataclass(frozen=True)
class Quiz:
    """choices: (text, is right, reason) each."""

    id: str
    question: str
    choices: Sequence[tuple[str, bool, str]]

    def __post_init__(self) -> None:
        if not (2 <= len(self.choices) <= 26 and all(len(c) == 3 for c in self.choices)):
            raise CourseError(f"Quiz {self.id!r} needs 2 to 26 choices (text, is right, reason).")
        if not any(right for _, right, _ in self.choices):
            raise CourseError(f"Quiz {self.id!r} has no right choice.")
        if not all(text.strip() and reason.strip() for text, _, reason in self.choices):
            raise CourseError(f"Quiz {self.id!r} has a choice without its text or reason.")

    def letter(self, number: int) -> str:
        return "abcdefghijklmnopqrstuvwxyz"[number]

    def number(self, choice: str | int) -> int:
        """Index of a choice given as its letter ("b") or its position (2)."""
        key = str(choice).strip().lower()
        for number in range(len(self.choices)):
            if key in (self.letter(number), str(number + 1)):
                return number
        last = self.letter(len(self.choices) - 1)
        raise CourseError(f"Quiz {self.id!r} has the choices a to {last}; got {choice!r}.")

    def result(self, choice: str | int) -> cards.Card:
        """The card that says whether a choice is right, and why."""
        number = self.number(choice)
        text, right, reason = self.choices[number]
        title = f"{self.id}: {self.letter(number)} is {'right' if right else 'not right'}"
        tone = "passed" if right else "failed"
        return cards.Card(title, (cards.Part(text), cards.Part(reason, "Because:")), tone)

    def __repr__(self) -> str:
        choices = [f"  {self.letter(i)}. {c[0]}" for i, c in enumerate(self.choices)]
        answer = f'To answer: bn.exercises.answer("{self.id}", "a")'
        return "\n".join([self.question, *choices, answer])

    def _repr_html_(self) -> str:
        label = html.escape(f"Question: {self.question}", quote=True)
        choices = "".join(self._choice_html(i) for i in range(len(self.choices)))
        return (
            f'<div role="group" aria-label="{label}" style="margin:4px 0;line-height:1.5">'
            f"<p><strong>{html.escape(self.question)}</strong></p>{choices}"
            "<p>Open a choice to see whether it is right.</p></div>"
        )

    def _choice_html(self, number: int) -> str:
        text, right, reason = self.choices[number]
        word = "Right." if right else "Not right."
        return (
            f"<details><summary>{self.letter(number)}. {html.escape(text)}</summary>"
            f'<p style="margin:4px 16px"><strong>{word}</strong> {html.escape(reason)}</p></details>'
        )

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        data = {"text/html": self._repr_html_(), "text/plain": repr(self)}
        return {**_buttons(self), **data}


def quiz(id: str, question: str, choices: Sequence[tuple[str, bool, str]]) -> None:
    """Show a question; choices are (text, is right, reason) each.

    A click, or `bn.exercises.answer(id, "b")`, shows the reason and is remembered.
    """
    _asked[id] = Quiz(id, question, [tuple(choice) for choice in choices])
    cards.show(_asked[id])


def answer(id: str, choice: str | int) -> None:
    """Answer a question that `bn.quiz` has shown, by letter or position."""
    if id not in _asked:
        raise CourseError(f"There is no question {id!r} yet. Run the cell with bn.quiz first.")
    cards.show(_answered(_asked[id], choice))


def _answered(asked: Quiz, choice: str | int) -> cards.Card:
    number = asked.number(choice)
    record.quiz(asked.id, asked.letter(number), bool(asked.choices[number][1]))
    return asked.result(choice)


def _buttons(asked: Quiz) -> dict:
    """The live form, for a front end that can show widgets; nothing without a kernel."""
    try:
        import ipywidgets as widgets
    except ImportError:
        return {}
    reason = widgets.HTML()
    if (before := record.entry(asked.id, "quizzes").get("last")) in map(asked.letter, range(len(asked.choices))):
        reason.value = asked.result(before)._repr_html_()
    rows = [widgets.HTML(f"<strong>{html.escape(asked.question)}</strong>")]
    for number, (text, _, _) in enumerate(asked.choices):
        rows.append(_button(widgets, asked, number, text, reason))
    bundle = widgets.VBox([*rows, reason])._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    view = "application/vnd.jupyter.widget-view+json"
    return {view: data[view]} if data and view in data else {}


def _button(widgets, asked: Quiz, number: int, text: str, reason):
    letter = asked.letter(number)
    layout = widgets.Layout(width="auto", height="auto", min_height="28px")
    button = widgets.Button(description=f"{letter}. {text}", layout=layout, tooltip=text)
    button.style.text_color = None
    button.on_click(lambda _: setattr(reason, "value", _answered(asked, letter)._repr_html_()))
    return button
