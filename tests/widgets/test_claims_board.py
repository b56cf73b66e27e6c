"""ClaimsBoard's filters, input and fallback."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from bigmodel_nb import datasets
from bigmodel_nb.errors import DataError
from bigmodel_nb.widgets import ClaimsBoard
from bigmodel_nb.widgets.claims_board import COLOURS, LONGEST

MARKUP = "<script>window.hacked = true</script>"


def claim(**changes):
    row = {
        "id": "X1", "claim": "Water is wet.", "verdict": "right", "also": None, "correction": "So it is.",
        "how": "computed", "lesson": 9, "cell": "flops", "reference": "lesson 09, cell flops", "places": {"001": "7"},
    }  # fmt: skip
    return {**row, **changes}


def test_all_claims_are_there():
    board = ClaimsBoard()
    assert board.shown == [row["id"] for row in datasets.claims()] and len(board.shown) == 159


def test_each_filter_alone():
    rows = datasets.claims()
    assert ClaimsBoard(article="003").shown == [r["id"] for r in rows if "003" in r["places"]]
    assert ClaimsBoard(verdict="wrong").shown == [r["id"] for r in rows if "wrong" in (r["verdict"], r["also"])]
    assert ClaimsBoard(lesson=18).shown == [r["id"] for r in rows if r["lesson"] == 18]
    assert ClaimsBoard(how="reading").shown == [r["id"] for r in rows if r["how"] == "reading"]
    assert ClaimsBoard(query="BERT devlin").shown == [
        r["id"] for r in rows if all(w in str([r[k] for k in ("id", "claim", "correction", "reference")]).lower() for w in ("bert", "devlin"))
    ]


def test_filters_together_and_later():
    board = ClaimsBoard(article="002", verdict="wrong")
    board.how = "computed"
    assert board.shown == ["C47", "C51", "C52", "C53"]
    board.query = "nothing has these words"
    assert board.shown == []
    board.query, board.article, board.verdict, board.how = "", None, None, None
    assert len(board.shown) == 159


def test_text_form_is_constant():
    board = ClaimsBoard(query="GPT")
    before = repr(board)
    board.verdict = "right"
    assert repr(board) == before == repr(ClaimsBoard())
    assert before.startswith("ClaimsBoard of 159 claims: 36 right, 31 sloppy") and "49 wrong" in before


def test_output_has_a_picture_with_the_counts():
    data = ClaimsBoard()._repr_mimebundle_()[0]
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/svg+xml", "image/png", "text/plain"}
    texts = [node.text for node in ET.fromstring(data["image/svg+xml"]).iter("{http://www.w3.org/2000/svg}text")]
    for told in ("159 claims by article and verdict", "wrong: 49", "right: 36", "unverifiable: 23", "73", "29"):
        assert told in texts
    assert len(json.dumps(data)) < 200_000
    assert list(COLOURS) == list(ClaimsBoard().verdicts)


def test_state_is_small():
    assert len(json.dumps(ClaimsBoard().get_state()["rows"])) < 200_000


def test_own_claims_and_markup():
    board = ClaimsBoard([claim(claim=MARKUP, correction=MARKUP, id="<b>")])
    assert board.shown == ["<b>"] and repr(board) == "ClaimsBoard of 1 claims: 1 right"
    ET.fromstring(board.static_svg())
    assert MARKUP not in board.static_svg()


def test_no_claims():
    board = ClaimsBoard([])
    assert board.shown == [] and repr(board) == "ClaimsBoard of 0 claims"
    assert board.static_png()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"verdict": "false"}, "verdict is one of"),
        ({"article": "005"}, "article is one of"),
        ({"how": "guessed"}, "how is one of"),
        ({"lesson": "9"}, "lesson is a number"),
        ({"lesson": -1}, "lesson is a number"),
        ({"query": 3}, "query is a str"),
        ({"claims": ["a sentence"]}, "a row as bn.datasets.claims"),
        ({"claims": [{"id": "C1"}]}, "missing or wrong here"),
        ({"claims": [claim(verdict="false")]}, "verdict or a way of checking"),
        ({"claims": [claim(also="false")]}, "verdict or a way of checking"),
        ({"claims": [claim(how="guessed")]}, "verdict or a way of checking"),
        ({"claims": [claim(places={})]}, "needs places"),
        ({"claims": [claim(claim=None)]}, "are texts"),
        ({"claims": [claim(correction="x" * (LONGEST + 1))]}, "at most"),
    ],
)
def test_bad_input_says_what_to_do(arguments, message):
    with pytest.raises(DataError, match=message):
        ClaimsBoard(**arguments)
