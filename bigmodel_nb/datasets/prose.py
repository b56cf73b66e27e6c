"""English prose that every Python carries: the help topics of `pydoc`."""

from __future__ import annotations

import re
from collections.abc import Iterator

WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
CODE = re.compile(r"::=|>>>|\(Pdb\)|^\s*(?:[+|][-=|+ ]|\$ |#!|@\w|(?:def|class|import|from|print)\b.*[:(])")
HISTORY = re.compile(r"(?:Changed in|New in|Added in|Deprecated since|Removed in) version|Deprecated since")
MARKS = [  # typographic signs to ASCII, as in the tales; inline markup and footnote marks away
    (re.compile("[\u2018\u2019]"), "'"),
    (re.compile("[\u201c\u201d`]+"), '"'),
    (re.compile("\u2026"), "..."),
    (re.compile("[\u2013\u2014]"), "--"),
    (re.compile("\u00a0"), " "),
    (re.compile(r"(?<![\w*\"'])\*\*([^*\n]+)\*\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<![\w*\"'])\*([^\s*][^*\n]*)\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<=[\w.,;:)\"])\s*\[(?:\d|#\d*)\](?=[\s.,;:)]|$)"), ""),
]
MIN_WORDS = 8


def python_docs() -> list[str]:
    """The prose of Python's help topics, one document a topic, about 270 kB in all.

    Paragraphs are joined lines of running English, separated by an empty line. Left out: grammar
    rules, code, tables, headings, version notes, footnote marks, and every paragraph that an
    earlier topic already holds, so that no document repeats another. The topics differ between
    versions of Python, and so do all counts. Source: `pydoc_data.topics`.

    >>> docs = python_docs()
    >>> len(docs) > 50 and all(isinstance(doc, str) for doc in docs)
    True
    """
    from pydoc_data.topics import topics

    seen: set[str] = set()
    documents = []
    for name in sorted(topics):
        kept = [p for p in prose(topics[name]) if not (p in seen or seen.add(p))]
        if kept:
            documents.append("\n\n".join(kept))
    return documents


def prose(text: str) -> list[str]:
    """The paragraphs of a plain-text manual page that are sentences, each on one line.

    >>> prose("Truth\\n*****\\n\\nAny object can be tested for *truth* value,\\nfor use in a condition. [1]\\n\\n   x ::= y")
    ['Any object can be tested for truth value, for use in a condition.']
    """
    paragraphs = (reflow(lines) for block in text.split("\n\n") for lines in same_indent(block))
    return [p for p in paragraphs if is_prose(p)]


def same_indent(block: str) -> Iterator[list[str]]:
    """Runs of lines that start in one column, where a bullet counts as its text's column."""
    run: list[str] = []
    column = None
    for line in block.splitlines():
        text = line.strip()
        bullet = re.match(r"(?:[*•-]|\d+\.|\[\d+\])\s+(?=\S)", text)
        text = text[bullet.end() :] if bullet else text
        start = len(line.rstrip()) - len(text)
        if run and (bullet or start != column):
            yield run
            run = []
        if text:
            run, column = [*run, text], start
    if run:
        yield run


def reflow(lines: list[str]) -> str:
    """One line from hard-wrapped ones, without inline markup; code lines give an empty text."""
    if any(CODE.search(line) for line in lines):
        return ""
    text = re.sub(r"(?<=[a-z])- (?=[a-z])", "-", " ".join(lines))  # a compound word, cut at its hyphen
    text = re.sub(r"\s+", " ", text)
    for pattern, replacement in MARKS:
        text = pattern.sub(replacement, text)
    return text.strip()


def is_prose(text: str) -> bool:
    """True for a paragraph that reads as one or more sentences of English.

    >>> is_prose("The value is the same as that of the other one."), is_prose("x = f(y)  # see above.")
    (True, False)
    """
    words = WORD.findall(text)
    return (
        len(words) >= MIN_WORDS
        and re.match(r"[\"'(]?[A-Z]|\"", text) is not None
        and re.search(r"[.:!?][\"')]*$", text) is not None
        and not HISTORY.match(text)
        and sum(map(len, words)) >= 0.7 * len(text.replace(" ", ""))
    )
