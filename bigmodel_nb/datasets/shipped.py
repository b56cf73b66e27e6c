"""The two excerpts of public-domain tales that come with the course."""

from __future__ import annotations

import csv
from pathlib import Path

from bigmodel_nb.errors import DataError

FOLDER = Path(__file__).parent
EOS = "<|endoftext|>"
PARTS = ("seen", "unseen")


def tales(part: str) -> str:
    """About 150 kB of English tales: "seen" was in the pocket checkpoint's training text, "unseen" was not.

    Stories are joined by a bare `<|endoftext|>`, which a GPT-2 tokenizer reads as its end-of-text
    token, so the text can be passed on as it is; `stories(part)` gives them one by one. Both parts
    take about the same share from the same books. Titles: `tales.csv` beside this module. Errors:
    DataError for another part.

    >>> text = tales("seen")
    >>> text.split("<|endoftext|>") == stories("seen")
    True
    """
    return EOS.join(stories(part))


def stories(part: str) -> list[str]:
    """The stories of a part; paragraphs are separated by an empty line.

    >>> stories("unseen")[-1][:42]
    'One day when Ginger and I were standing al'
    """
    if part not in PARTS:
        raise DataError(f"the tales come in two parts, 'seen' and 'unseen'; received {part!r}.")
    return split((FOLDER / f"{part}.txt").read_text(encoding="utf-8"))


def table(part: str) -> list[dict[str, str]]:
    """Book, title and opening words of each story of a part, in the order of `stories(part)`."""
    with open(FOLDER / "tales.csv", encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["part"] == part]


def split(text: str) -> list[str]:
    """Documents of a text that are separated by `<|endoftext|>`.

    >>> split("one\\n<|endoftext|>\\ntwo\\n<|endoftext|>\\n")
    ['one', 'two']
    """
    return [piece.strip() for piece in text.split(EOS) if piece.strip()]
