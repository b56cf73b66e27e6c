"""A conversation with the learner's own model: messages typed here, answers made by the kernel."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic

import traitlets as t

from bigmodel_nb.errors import DataError

from .base import CourseWidget, front_end, style
from .picture import FAINT, GRID, INK, Picture

MOST = 1000  # characters of a message
KEPT = 200  # messages that the view holds; older ones go
SECONDS = 0.1  # between two states of an answer that is being written
ROLES = ("user", "assistant")
WIDTH, PAD, LINE, GAP, BUBBLE = 680, 10, 18, 10, 500
CHARACTERS = 62  # of a line in the picture; wide ones count twice
LINES = 5  # of a message in the picture
SHOWN = 8  # messages in the picture

Reply = Callable[[list[dict]], object]


class ChatView(CourseWidget):
    """A chat: what is typed goes to `reply`, which runs in the kernel; its answer is shown.

    reply: function, list of {"role", "content"} ending with the customer's message -> the answer:
    a str, or {"content": str, "note": str} with a small line below it, or an iterable of str that
    is shown while it is written; without it the view shows `transcript` and takes no messages.
    transcript: messages shown from the start; ask: messages of the customer that `reply` answers at
    once, so that the stored picture shows them; names: of the customer and of the assistant.
    An error in `reply` is shown in the chat and ends only that answer.
    Errors: DataError for a reply that can't be called, and for messages of another form.

    >>> view = ChatView(lambda messages: messages[-1]["content"].upper(), ask=["where is it?"])
    >>> view.messages[-1]["content"]
    'WHERE IS IT?'
    """

    _esm = front_end("chat_view")
    _css = style("chat_view")

    messages = t.List().tag(sync=True)  # of {"role", "content", "note", "failed"}
    asked = t.Dict().tag(sync=True)  # {"number", "text"} of the newest message typed
    answered = t.Int().tag(sync=True)  # its number, once its answer stands in `messages`
    writing = t.Unicode().tag(sync=True)  # an answer so far
    cleared = t.Int().tag(sync=True)  # counts the wishes for a new conversation
    names = t.List().tag(sync=True)
    live = t.Bool().tag(sync=True)  # whether messages can be typed

    def __init__(
        self,
        reply: Reply | None = None,
        transcript: Sequence[Mapping[str, str]] = (),
        ask: Sequence[str] = (),
        names: tuple[str, str] = ("You", "Assistant"),
    ) -> None:
        if reply is not None and not callable(reply):
            raise DataError(f"reply must be a function that takes the messages; received {type(reply).__name__}.")
        if reply is None and ask:
            raise DataError("ask needs a reply: pass the function that answers, or a transcript instead.")
        self._reply = reply
        start = [message_of(entry) for entry in transcript]
        super().__init__(messages=start, names=list(names), live=reply is not None)
        for text in ask:
            self._exchange(_typed(text))
        self._first = list(self.messages)
        self.observe(self._heard, "asked")
        self.observe(lambda change: self._forget(), "cleared")

    def _heard(self, change) -> None:
        number, text = self.asked.get("number", 0), self.asked.get("text", "")
        try:
            if self._reply is not None and isinstance(text, str) and text.strip():
                self._exchange(text[:MOST])
        finally:
            self.answered = number

    def _forget(self) -> None:
        self.messages = []

    def _exchange(self, text: str) -> None:
        """Add a message of the customer, then its answer."""
        self._add({"role": "user", "content": text, "note": "", "failed": False})
        history = [{"role": m["role"], "content": m["content"]} for m in self.messages if not m["failed"]]
        try:
            answer = self._written(self._reply(history))
        except Exception as error:
            answer = {"content": f"{type(error).__name__}: {error}", "note": "your reply function raised this", "failed": True}
        finally:
            self.writing = ""
        self._add({"role": "assistant", "note": "", "failed": False, **answer})

    def _written(self, result: object) -> dict:
        """What `reply` gave as a message; an iterable of str is followed while it grows."""
        if isinstance(result, str):
            return {"content": result}
        if isinstance(result, Mapping):
            checked = message_of({"role": "assistant", **result})
            return {"content": checked["content"], "note": checked["note"]}
        if not isinstance(result, Iterable):
            raise TypeError(f"reply gave a {type(result).__name__}; expected a str, a dict with 'content', or pieces of str")
        whole, last = "", -SECONDS
        for piece in result:
            whole += piece
            if monotonic() - last > SECONDS:
                self.writing, last = whole, monotonic()
        return {"content": whole}

    def _add(self, message: dict) -> None:
        self.messages = [*self.messages, message][-KEPT:]

    @property
    def transcript(self) -> list[dict]:
        """The conversation as it stands now: {"role", "content"} of each message."""
        return [{"role": m["role"], "content": m["content"]} for m in self.messages]

    def describe(self) -> str:
        """The same for every answer, so that a model's text is never compared."""
        count = len(self._first)
        how = "messages can be typed" if self.live else "a transcript"
        return f"ChatView with {count} message{'' if count == 1 else 's'}: {how}"

    def picture(self) -> Picture:
        """The last messages of the start, the customer's on the right."""
        blocks = [_block(message) for message in self._first[-SHOWN:]]
        left_out = len(self._first) - len(blocks)
        top = PAD + (LINE if left_out or not blocks else 0)
        height = top + sum(len(lines) * LINE + PAD + GAP for lines, _ in blocks) + PAD
        picture = Picture(WIDTH, height, self.describe())
        if left_out or not blocks:
            text = f"{left_out} earlier messages" if left_out else "no messages yet"
            picture.text(PAD, PAD + 10, text, 12, FAINT)
        for message, (lines, notes) in zip(self._first[-SHOWN:], blocks):
            mine = message["role"] == "user"
            width = max(60.0, min(BUBBLE, max(map(_size, lines)) * 7.4 + 2 * PAD))
            x = WIDTH - PAD - width if mine else PAD
            picture.rect(x, top, width, len(lines) * LINE + PAD, "#e8f1f8" if mine else "#f3f4f6", GRID)
            for i, line in enumerate(lines):
                faint = i >= len(lines) - notes
                picture.text(x + PAD, top + 4 + LINE * (i + 0.75), line, 11 if faint else 13, FAINT if faint else INK)
            top += len(lines) * LINE + PAD + GAP
        return picture


def message_of(entry: object) -> dict:
    """A message as the view keeps it, from {"role", "content"} with an optional "note".

    >>> message_of({"role": "user", "content": "hi"})
    {'role': 'user', 'content': 'hi', 'note': '', 'failed': False}
    """
    if not isinstance(entry, Mapping) or entry.get("role") not in ROLES or not isinstance(entry.get("content"), str):
        raise DataError(
            f'A message is {{"role": "user" or "assistant", "content": str}}; received {str(entry)[:80]!r}.'
        )
    note = entry.get("note") or ""
    if not isinstance(note, str):
        raise DataError(f"The note of a message is a str; received {type(note).__name__}.")
    return {"role": entry["role"], "content": entry["content"], "note": note, "failed": False}


def _typed(text: object) -> str:
    if not isinstance(text, str) or len(text) > MOST:
        got = f"it has {len(text):,}" if isinstance(text, str) else f"received {type(text).__name__}"
        raise DataError(f"A message is a str of at most {MOST:,} characters; {got}.")
    return text


def _size(text: str) -> int:
    """Width of a text in narrow characters."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _wrapped(text: str) -> list[str]:
    """Lines of at most `CHARACTERS`, cut at blanks where there are some."""
    lines = [""]
    for paragraph in text.splitlines() or [""]:
        for word in paragraph.replace("\t", " ").split(" "):
            joined = f"{lines[-1]} {word}" if lines[-1] else word
            if _size(joined) <= CHARACTERS:
                lines[-1] = joined
                continue
            lines += [""] if lines[-1] else []
            for c in word:
                if _size(lines[-1] + c) > CHARACTERS:
                    lines.append("")
                lines[-1] += c
        lines.append("")
    return [line for line in lines if line] or [" "]


def _block(message: Mapping[str, str]) -> tuple[list[str], int]:
    """Lines of a message in the picture, and how many of the last are its note."""
    clean = "".join(c if c == "\n" or unicodedata.category(c)[0] != "C" else " " for c in message["content"])
    lines = _wrapped(clean)
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], "and so on"]
    notes = _wrapped(message["note"])[:1] if message["note"] else []
    return lines + notes, len(notes)
