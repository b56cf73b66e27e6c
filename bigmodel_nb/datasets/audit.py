"""The claims of the articles that the course starts from, each with a verdict and how it was checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bigmodel_nb.errors import DataError

FOLDER = Path(__file__).parent / "claims_data"
ARTICLES = ("000", "001", "002", "003", "004")
VERDICTS = (
    "right",
    "sloppy or misleading",
    "wrong",
    "internally inconsistent",
    "unverifiable",
    "outdated or missing",
)
HOW = ("computed", "recomputed here", "source", "general knowledge", "reading", "nothing to check")


def claims(article: str | None = None, verdict: str | None = None) -> list[dict[str, Any]]:
    """159 claims of five articles, in our own words, in the order C01 to C159.

    Each row has id, article (where it stands first), places (article -> lines), claim, verdict (one of
    `VERDICTS`), also (a second verdict where one won't do, else None), correction, how (one of `HOW`),
    lesson and cell (where it is computed, else None), works (list of {"authors", "year", "title"}, the
    primary sources) and reference (the last two in one line). What the words mean and how the rows were
    made stands in `claims_data/README.md`. Errors: DataError for another article or verdict.

    >>> row = claims("000")[1]
    >>> row["id"], row["verdict"], row["reference"]
    ('C02', 'right', 'lesson 00, cell c02; Brown, T. et al. (2020). Language Models are Few-Shot Learners')
    """
    for name, value, known in (("article", article, ARTICLES), ("verdict", verdict, VERDICTS)):
        if value is not None and value not in known:
            raise DataError(f"claims() knows the {name}s {list(known)}; received {value!r}. Leave it out for all.")
    works = {work.pop("key"): work for work in _read("works.jsonl")}
    rows = [_joined(row, works) for row in _read("claims.jsonl")]
    return [row for row in rows if article in (None, *row["places"]) and verdict in (None, row["verdict"])]


def _joined(row: dict[str, Any], works: dict[str, dict]) -> dict[str, Any]:
    """A row of the file with its works and its reference written out."""
    cited = [dict(works[key]) for key in row["works"]]
    where = [] if row["lesson"] is None else [f"lesson {row['lesson']:02}" + (f", cell {row['cell']}" if row["cell"] else "")]
    reference = "; ".join(where + [f"{w['authors']} ({w['year'] or 'undated'}). {w['title']}" for w in cited])
    return {"article": next(iter(row["places"])), **row, "works": cited, "reference": reference}


def _read(name: str) -> list[dict[str, Any]]:
    """The objects of a file with one JSON object a line."""
    with open(FOLDER / name, encoding="utf-8") as file:
        return [json.loads(line) for line in file]
