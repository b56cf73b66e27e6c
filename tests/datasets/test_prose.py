"""English prose out of Python's help topics."""

import sys
import types

import pytest

from bigmodel_nb import datasets
from bigmodel_nb.datasets.prose import prose

PAGE = '''The "demo" statement
********************

The *demo* statement is described here, and it’s hard-wrapped at a
read-
only column, with a “quoted” name and a dash – like this. [3]

   demo_stmt ::= "demo" expression
                 | "demo" star_expressions and some more words here.

* A bullet keeps its text but not its mark, and it goes on over
  several lines.

  1. So does a number in a list, which is indented one more time
     than the bullet above it.

+-----------+--------------------------------------------------+
| Operation | The result of the operation is written down here. |
+-----------+--------------------------------------------------+

   >>> x = 3  # The value of x is three, and this is a doctest of it.

   for name in names:
       print(name, end="")

Changed in version 3.9: This sentence about the version is left out of it all.

object.demo(self, other)

   Called to demonstrate the **thing** of that name; see `demo` and the
   operator "*" in the section on operators.

-[ Footnotes ]-

[1] A footnote with a full sentence stays, but its number is
    taken away from it.

Too short.

this paragraph starts with a small letter and so it is no whole sentence.
'''


def test_a_page_becomes_its_sentences():
    assert prose(PAGE) == [
        "The demo statement is described here, and it's hard-wrapped at a read-only column, "
        'with a "quoted" name and a dash -- like this.',
        "A bullet keeps its text but not its mark, and it goes on over several lines.",
        "So does a number in a list, which is indented one more time than the bullet above it.",
        'Called to demonstrate the thing of that name; see "demo" and the operator "*" in the section on operators.',
        "A footnote with a full sentence stays, but its number is taken away from it.",
    ]


@pytest.fixture(scope="module")
def docs():
    return datasets.python_docs()


def test_there_is_enough_of_it_and_always_the_same(docs):
    assert docs == datasets.python_docs()
    assert len(docs) > 50
    assert 200_000 < sum(len(doc.encode()) for doc in docs) < 400_000


def test_nothing_but_sentences_is_left(docs):
    paragraphs = [p for doc in docs for p in doc.split("\n\n")]
    assert len(paragraphs) == len(set(paragraphs)) > 800
    for p in paragraphs:
        assert "::=" not in p and ">>>" not in p and "\n" not in p and "  " not in p, p
        assert p[-1] in ".:!?\"')" and len(p.split()) > 4, p
    small = sum(c.islower() or c == " " for p in paragraphs for c in p) / sum(map(len, paragraphs))
    assert small > 0.88


def test_topics_that_repeat_each_other_are_kept_once(monkeypatch):
    sentence = "Every object has an identity, a type and a value of its own."
    module = types.SimpleNamespace(topics={"b": sentence + "\n", "a": f"A\n*\n\n{sentence}\n", "c": "x = 1"})
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", module)
    assert datasets.python_docs() == [sentence]
