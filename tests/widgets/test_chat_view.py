"""ChatView's messages, answers and fallback."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from bigmodel_nb.errors import DataError
from bigmodel_nb.widgets import ChatView
from bigmodel_nb.widgets import chat_view as view

MARKUP = "<script>window.hacked = true</script>"


def echo(messages):
    return f"{len(messages)}: {messages[-1]['content']}"


def types(widget, text):
    """What the front end does when a message is sent."""
    widget.asked = {"number": widget.asked.get("number", 0) + 1, "text": text}


def contents(widget):
    return [m["content"] for m in widget.messages]


def test_a_typed_message_is_answered_with_the_history():
    widget = ChatView(echo)
    types(widget, "hi")
    types(widget, MARKUP)
    assert contents(widget) == ["hi", "1: hi", MARKUP, f"3: {MARKUP}"]
    assert [m["role"] for m in widget.messages] == ["user", "assistant"] * 2
    assert widget.answered == 2 and widget.writing == ""
    assert widget.transcript[1] == {"role": "assistant", "content": "1: hi"}


def test_the_same_message_twice_is_answered_twice():
    widget = ChatView(echo)
    types(widget, "hi")
    types(widget, "hi")
    assert contents(widget) == ["hi", "1: hi", "hi", "3: hi"]


def test_reply_gets_copies():
    def spoils(messages):
        messages.clear()
        return "done"

    widget = ChatView(spoils, transcript=[{"role": "assistant", "content": "Hello."}])
    types(widget, "hi")
    assert contents(widget) == ["Hello.", "hi", "done"]


def test_an_answer_with_a_note():
    widget = ChatView(lambda messages: {"content": "ok", "note": "delivery 0.83"}, ask=["hi"])
    assert widget.messages[-1] == {"role": "assistant", "content": "ok", "note": "delivery 0.83", "failed": False}


def test_an_answer_in_pieces_is_followed():
    seen = []

    def pieces(messages):
        yield "Look "
        seen.append(widget.writing)
        yield "there."

    widget = ChatView(pieces)
    types(widget, "hi")
    assert seen == ["Look "] and contents(widget)[-1] == "Look there." and widget.writing == ""


@pytest.mark.parametrize(
    "reply, text",
    [
        (lambda messages: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda messages: None, "TypeError: reply gave a NoneType; expected a str"),
        (lambda messages: {"text": "hi"}, "DataError: A message is"),
        (lambda messages: iter([1]), "TypeError: "),
        (lambda messages: {"content": "hi", "note": 3}, "DataError: The note"),
    ],
)
def test_an_error_is_shown_and_ends_only_its_answer(reply, text):
    widget = ChatView(reply)
    types(widget, "hi")
    assert widget.messages[-1]["failed"] and widget.messages[-1]["content"].startswith(text)
    assert widget.answered == 1 and widget.writing == ""
    widget._reply = echo
    types(widget, "again")
    assert contents(widget)[-1] == "2: again"  # the failed answer is no part of the history


def test_empty_and_long_messages():
    widget = ChatView(echo)
    types(widget, "  \n")
    assert widget.messages == [] and widget.answered == 1
    types(widget, "x" * 5000)
    assert len(contents(widget)[0]) == view.MOST


def test_old_messages_go(monkeypatch):
    monkeypatch.setattr(view, "KEPT", 4)
    widget = ChatView(lambda messages: "ok", ask=["a", "b", "c"])
    assert contents(widget) == ["b", "ok", "c", "ok"]


def test_a_new_conversation():
    widget = ChatView(echo, ask=["hi"])
    widget.cleared += 1
    types(widget, "there")
    assert contents(widget) == ["there", "1: there"]


def test_a_transcript_alone_takes_no_messages():
    widget = ChatView(transcript=[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello."}])
    assert not widget.live and repr(widget) == "ChatView with 2 messages: a transcript"
    types(widget, "more")
    assert contents(widget) == ["hi", "Hello."] and widget.answered == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(reply="model"), "reply must be a function that takes the messages; received str"),
        (dict(ask=["hi"]), "ask needs a reply"),
        (dict(reply=echo, ask=["x" * 2000]), "at most 1,000 characters; it has 2,000"),
        (dict(reply=echo, ask=[3]), "received int"),
        (dict(transcript=[("user", "hi")]), "A message is"),
        (dict(transcript=[{"role": "system", "content": "hi"}]), "A message is"),
    ],
)
def test_wrong_input_says_what_to_do(arguments, message):
    with pytest.raises(DataError, match=message):
        ChatView(**arguments)


def test_text_form_is_the_same_for_every_answer():
    texts = {repr(ChatView(lambda messages, i=i: f"answer {i}", ask=["hi", "there"])) for i in range(3)}
    assert texts == {"ChatView with 4 messages: messages can be typed"}


def test_text_form_and_picture_are_of_the_start():
    widget = ChatView(echo, ask=[f"hi {MARKUP} \u5305\u88f9\x07"])
    text, svg = repr(widget), widget.static_svg()
    types(widget, "else")
    assert repr(widget) == text and widget.static_svg() == svg
    assert "<script" not in svg and "&lt;script&gt;" in svg and "\u5305\u88f9" in svg
    ET.fromstring(svg)
    assert widget.static_png().startswith(b"\x89PNG")


def test_picture_of_many_long_messages_stays_small():
    long = [{"role": "user", "content": "\u5305" * 900}, {"role": "assistant", "content": "word " * 190, "note": "n " * 200}] * 20
    widget = ChatView(transcript=long)
    svg = widget.static_svg()
    assert "32 earlier messages" in svg and svg.count("and so on") == view.SHOWN and len(svg) < 20_000
    for text in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        assert view._size(text.text) <= view.CHARACTERS


def test_picture_of_nothing():
    widget = ChatView(echo)
    assert "no messages yet" in widget.static_svg() and widget.static_png()


def test_state_is_small_and_plain():
    widget = ChatView(echo, ask=["hi"])
    state = widget.get_state()
    state.pop("_esm"), state.pop("_css")
    assert len(json.dumps(state)) < 2000
