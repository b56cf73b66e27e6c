"""ChatView in a browser: typing, the kernel's answers, keyboard and screen readers."""

from __future__ import annotations

import pytest

from bigmodel_nb.widgets import ChatView

MARKUP = "<img src=x onerror='window.hacked = true'>"


def reply(messages):
    return {"content": f"You said {messages[-1]['content']}", "note": "intent delivery, 0.83"}


@pytest.fixture
def widget():
    return ChatView(reply, ask=["Where is my parcel?"])


def box(shown):
    return shown.page.get_by_role("textbox", name="your message")


def bubbles(shown):
    return shown.page.locator(".message:visible").all_inner_texts()


def answer(shown, widget):
    """Let the kernel answer the newest message that the page has sent."""
    widget.asked = shown.saved()[-1]["asked"]
    shown.push(messages=widget.messages, answered=widget.answered, writing="")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_shows_messages_with_notes(blank_page, widget, dark):
    shown = blank_page(widget, dark=dark)
    first, second = bubbles(shown)
    assert first.split("\n")[0] == "You" and "Where is my parcel?" in first
    assert "You said Where is my parcel?" in second and "intent delivery, 0.83" in second
    shown.has_theme(dark)


def test_sending_with_the_button_and_waiting(blank_page, widget):
    shown = blank_page(widget)
    box(shown).fill("And when?")
    shown.page.get_by_role("button", name="Send").click()
    assert shown.saved() == [{"asked": {"number": 1, "text": "And when?"}}]
    assert bubbles(shown)[-1].endswith("And when?") and len(bubbles(shown)) == 3
    assert box(shown).input_value() == "" and "waiting for the kernel" in shown.page.inner_text("body")
    assert shown.page.get_by_role("button", name="Send").is_disabled()
    shown.push(writing="You sa")
    assert bubbles(shown)[-1].endswith("You sa") and "Assistant is writing" in shown.page.inner_text("body")
    answer(shown, widget)
    assert len(bubbles(shown)) == 4 and "You said And when?" in bubbles(shown)[-1]
    assert shown.page.get_by_role("button", name="Send").is_enabled()
    assert "waiting" not in shown.page.inner_text("body")


def test_keyboard(blank_page, widget):
    shown = blank_page(widget)
    box(shown).focus()
    shown.page.keyboard.type("one")
    shown.page.keyboard.press("Shift+Enter")
    shown.page.keyboard.type("two")
    assert shown.saved() == []
    shown.page.keyboard.press("Enter")
    assert shown.saved() == [{"asked": {"number": 1, "text": "one\ntwo"}}]
    assert shown.page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    shown.page.keyboard.type("too early")
    shown.page.keyboard.press("Enter")
    assert len(shown.saved()) == 1 and box(shown).input_value() == "too early"
    answer(shown, widget)
    shown.page.keyboard.press("Enter")
    assert shown.saved()[-1]["asked"] == {"number": 2, "text": "too early"}


def test_a_half_written_chinese_word_is_not_sent(blank_page, widget):
    shown = blank_page(widget)
    box(shown).fill("ni")
    box(shown).evaluate("e => e.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true }))")
    assert shown.saved() == [] and box(shown).input_value() == "ni"


def test_blanks_are_not_sent(blank_page, widget):
    shown = blank_page(widget)
    box(shown).fill("  \n ")
    shown.page.get_by_role("button", name="Send").click()
    assert shown.saved() == []


def test_the_same_message_twice(blank_page, widget):
    shown = blank_page(widget)
    for number in (1, 2):
        box(shown).fill("hi")
        box(shown).press("Enter")
        assert shown.saved()[-1]["asked"] == {"number": number, "text": "hi"}
        answer(shown, widget)
    assert len(bubbles(shown)) == 6


def test_markup_is_shown_not_run(blank_page):
    widget = ChatView(lambda messages: {"content": MARKUP, "note": MARKUP}, ask=[MARKUP], names=(MARKUP, MARKUP))
    shown = blank_page(widget)
    shown.push(writing=MARKUP, asked={"number": 1, "text": MARKUP})
    assert shown.page.locator(".bn img").count() == 0 and shown.page.evaluate("window.hacked") is None
    assert MARKUP in bubbles(shown)[0]


def test_a_new_conversation(blank_page, widget):
    shown = blank_page(widget)
    shown.page.get_by_role("button", name="New conversation").click()
    assert bubbles(shown) == [] and "No messages yet" in shown.page.inner_text("body")
    assert shown.saved() == [{"cleared": 1, "messages": []}]
    assert shown.page.locator(".bn-spoken").inner_text() == "new conversation"


def test_names_for_screen_readers(blank_page, widget):
    tree = blank_page(widget).accessible()
    for part in ['region "Chat with the assistant"', 'log "messages"', 'textbox "your message"', 'group "write to the assistant"']:
        assert part in tree


def test_only_new_messages_are_added_to_the_log(blank_page, widget):
    """A screen reader speaks what is added; old messages are not made again."""
    shown = blank_page(widget)
    shown.page.evaluate("document.querySelectorAll('.message').forEach((n) => (n.marked = true))")
    box(shown).fill("And when?")
    box(shown).press("Enter")
    answer(shown, widget)
    marked = shown.page.evaluate("[...document.querySelectorAll('.message:not([hidden])')].map((n) => Boolean(n.marked))")
    assert marked == [True, True, False, False]


def test_an_error_is_marked(blank_page):
    def broken(messages):
        raise ValueError("no model")

    shown = blank_page(ChatView(broken, ask=["hi"]))
    assert shown.page.locator(".failed p").inner_text() == "ValueError: no model"
    assert shown.page.locator(".failed small").inner_text() == "your reply function raised this"


def test_a_transcript_has_no_box(blank_page):
    shown = blank_page(ChatView(transcript=[{"role": "user", "content": "hi"}]))
    assert shown.page.get_by_role("textbox").count() == 0 and len(bubbles(shown)) == 1


def test_the_newest_message_is_in_view(blank_page):
    shown = blank_page(ChatView(transcript=[{"role": "user", "content": f"line {i}\n" * 5} for i in range(30)]))
    shown.page.wait_for_function("(e => e.scrollTop + e.clientHeight > e.scrollHeight - 5)(document.querySelector('.log'))")


def test_focus_is_visible(blank_page, widget):
    shown = blank_page(widget)
    shown.page.keyboard.press("Tab")
    assert shown.page.evaluate("document.activeElement.getAttribute('role')") == "log"
    assert shown.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_fits_a_narrow_panel(blank_page):
    blank_page(ChatView(reply, ask=["x" * 300, "\u5305" * 100])).fits(360)


def test_redraws_fast(blank_page):
    many = [{"role": "user", "content": f"message {i}"} for i in range(200)]
    shown = blank_page(ChatView(reply, transcript=many))
    assert shown.fastest('model.set("writing", "word " + i)') < 50  # milliseconds


def test_clean_up_leaves_no_listener(blank_page, widget):
    blank_page(widget).closes()


LAB = """
import time
import bigmodel_nb as bn

def reply(messages):
    for word in "You said ".split() + [messages[-1]["content"]]:
        time.sleep(0.05)
        yield word + " "

w = bn.widgets.ChatView(reply, ask=["hello"])
w
"""


def test_lives_in_jupyterlab_and_asks_the_kernel(lab):
    notebook = lab([LAB])
    notebook.start()
    page = notebook.page
    notebook.fallback()
    log = page.get_by_role("log", name="messages")
    log.get_by_text("You said hello").wait_for()
    page.get_by_role("textbox", name="your message").fill("where?")
    page.get_by_role("textbox", name="your message").press("Enter")
    log.get_by_text("You said where?").wait_for()
    assert page.locator(".jp-CodeCell").count() == 1  # Enter did not run or add a cell
    notebook.dark()
