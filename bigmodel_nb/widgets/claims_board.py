"""The claims audit, to search and filter: what five articles claim, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import traitlets as t

from bigmodel_nb.datasets.audit import ARTICLES, HOW, VERDICTS, claims as all_claims
from bigmodel_nb.errors import DataError

from .base import CourseWidget, front_end, style
from .picture import FAINT, INK, Picture

FIELDS = ("id", "claim", "verdict", "also", "correction", "how", "lesson", "cell", "reference", "places")
COLOURS = {
    "right": "#009e73",
    "sloppy or misleading": "#e69f00",
    "wrong": "#d55e00",
    "internally inconsistent": "#cc79a7",
    "unverifiable": "#8a8f98",
    "outdated or missing": "#56b4e9",
}
LONGEST = 600  # characters of a claim or a correction
WIDTH, LEFT, BAR, ROW = 680, 60, 22, 34


class ClaimsBoard(CourseWidget):
    """All claims with verdict, correction and reference; words to search and four filters.

    claims: rows as `bn.datasets.claims()` gives them, which is also the default
    query: words that must all occur; article, verdict (first or second), lesson, how: what to show, None for all. All
    five can be changed later, from Python or in the view: `board.verdict = "wrong"`.
    Errors: DataError for rows of another form and for a filter that no claim could meet.

    >>> board = ClaimsBoard(verdict="outdated or missing")
    >>> board
    ClaimsBoard of 159 claims: 36 right, 31 sloppy or misleading, 49 wrong, 16 internally inconsistent, 23 unverifiable, 4 outdated or missing
    >>> board.shown
    ['C26', 'C30', 'C113', 'C128', 'C132', 'C134', 'C144', 'C157']
    """

    _esm = front_end("claims_board")
    _css = style("claims_board")

    rows = t.List().tag(sync=True)
    query = t.Unicode().tag(sync=True)
    article = t.Unicode(None, allow_none=True).tag(sync=True)
    verdict = t.Unicode(None, allow_none=True).tag(sync=True)
    lesson = t.Int(None, allow_none=True).tag(sync=True)
    how = t.Unicode(None, allow_none=True).tag(sync=True)
    verdicts = t.List(list(VERDICTS)).tag(sync=True)
    kinds = t.List(list(HOW)).tag(sync=True)

    def __init__(
        self,
        claims: Sequence[Mapping] | None = None,
        query: str = "",
        article: str | None = None,
        verdict: str | None = None,
        lesson: int | None = None,
        how: str | None = None,
    ) -> None:
        rows = [_row(claim) for claim in (all_claims() if claims is None else claims)]
        for name, value, known in (("article", article, ARTICLES), ("verdict", verdict, VERDICTS), ("how", how, HOW)):
            if value is not None and value not in known:
                raise DataError(f"{name} is one of {list(known)}; received {value!r}.")
        if lesson is not None and (type(lesson) is not int or lesson < 0):
            raise DataError(f"lesson is a number such as 9; received {lesson!r}.")
        if not isinstance(query, str):
            raise DataError(f"query is a str; received {type(query).__name__}.")
        super().__init__(rows=rows, query=query, article=article, verdict=verdict, lesson=lesson, how=how)

    @property
    def shown(self) -> list[str]:
        """Ids of the claims that the filters let through, as the view shows them."""
        return [row["id"] for row in self.rows if self._lets(row)]

    def _lets(self, row: Mapping) -> bool:
        words = self.query.lower().split()
        text = " ".join(row[key] for key in ("id", "claim", "correction", "reference")).lower()
        return (
            all(word in text for word in words)
            and self.article in (None, *row["places"])
            and self.verdict in (None, row["verdict"], row["also"])
            and self.lesson in (None, row["lesson"])
            and self.how in (None, row["how"])
        )

    def describe(self) -> str:
        """The counts of first verdicts; the filters don't change it."""
        counts = Counter(row["verdict"] for row in self.rows)
        told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
        return f"ClaimsBoard of {len(self.rows)} claims" + (f": {told}" if told else "")

    def picture(self) -> Picture:
        """A bar for each article, by first verdict, with the numbers in it."""
        table = Counter((next(iter(row["places"])), row["verdict"]) for row in self.rows)
        totals = {article: sum(table[article, verdict] for verdict in VERDICTS) for article in ARTICLES}
        unit = (WIDTH - LEFT - 50) / max(1, *totals.values())
        bottom = 40 + ROW * len(ARTICLES)
        picture = Picture(WIDTH, bottom + 24 * ((len(VERDICTS) + 2) // 3) + 16, self.describe())
        picture.text(LEFT, 22, f"{len(self.rows)} claims by article and verdict", 13, INK)
        for i, article in enumerate(ARTICLES):
            y, x = 36 + i * ROW, float(LEFT)
            picture.text(LEFT - 10, y + 16, article, 12, INK, "end")
            for verdict in VERDICTS:
                n = table[article, verdict]
                picture.rect(x, y, n * unit, BAR, COLOURS[verdict]) if n else None
                if n * unit > 7:
                    picture.text(x + n * unit / 2, y + 16, str(n), 11, INK, "middle")
                x += n * unit
            picture.text(x + 8, y + 16, str(totals[article]), 12, FAINT)
        counts = Counter(row["verdict"] for row in self.rows)
        for i, verdict in enumerate(VERDICTS):
            x, y = LEFT + (i % 3) * 205, bottom + 8 + 24 * (i // 3)
            picture.rect(x, y, 12, 12, COLOURS[verdict])
            picture.text(x + 18, y + 11, f"{verdict}: {counts[verdict]}", 12, INK)
        return picture


def _row(claim: object) -> dict:
    """A claim as the view keeps it; DataError if it isn't one."""
    if not isinstance(claim, Mapping) or set(FIELDS) - set(claim):
        lacking = sorted(set(FIELDS) - set(claim)) if isinstance(claim, Mapping) else type(claim).__name__
        raise DataError(f"A claim is a row as bn.datasets.claims() gives it; missing or wrong here: {lacking}.")
    row = {key: claim[key] for key in FIELDS}
    texts = ("id", "claim", "correction", "verdict", "how", "reference")
    if any(not isinstance(row[key], str) or len(row[key]) > LONGEST for key in texts):
        raise DataError(f"{', '.join(texts)} are texts of at most {LONGEST} characters; see claim {str(row['id'])[:12]!r}.")
    if row["verdict"] not in VERDICTS or row["also"] not in (None, *VERDICTS) or row["how"] not in HOW:
        raise DataError(f"Claim {row['id']!r} has a verdict or a way of checking that is not in the lists of datasets.audit.")
    if not isinstance(row["places"], Mapping) or not row["places"]:
        raise DataError(f"Claim {row['id']!r} needs places, a dict from an article to its lines.")
    row["places"] = {str(article): str(lines) for article, lines in row["places"].items()}
    return row
