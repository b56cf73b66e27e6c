"""GPT-2's pieces and letters, against the tokenizers library."""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path

import pytest
from tokenizers import pre_tokenizers

import bigmodel_nb
from bigmodel_nb.bytelevel import BYTE_ORDER, LETTERS, cut, to_bytes, to_letters

POCKET = Path(bigmodel_nb.__file__).parent / "gpt2" / "pocket"
LIBRARY = pre_tokenizers.ByteLevel(add_prefix_space=False)
TEXTS = [
    "The wolf's 3 huts  fell, didn't they?\n\n\n  He'll\tcome.  ",
    "\u72fc\u4f4f\u5728\u68ee\u6797\u91cc\u3002  \u4e09\u53ea\u72fc 3\u53ea",
    "\U0001f43a\u200d\U0001f332 e\u0301 \ufb01 \u0665 \xbd",
    "def f(x):\r\n\treturn x**2  # '''it's'''\n\n",
    "a\x85b\x1c c\u2028d\xa0\xa0e\ufefff\u3000\u3000g\x0b\x0c h",
    "",
    " ",
    "'S 'RE 's",
]


def test_the_order_is_that_of_a_stored_vocabulary():
    vocab = json.loads((POCKET / "vocab.json").read_text(encoding="utf-8"))
    first = vocab["!"]
    assert [vocab[LETTERS[b]] for b in BYTE_ORDER] == list(range(first, first + 256))
    assert sorted(BYTE_ORDER) == list(range(256))
    assert sorted(LETTERS.values()) == sorted(pre_tokenizers.ByteLevel.alphabet())


def test_letters_and_bytes():
    assert to_letters(bytes(range(256))) == "".join(LETTERS[b] for b in range(256))
    assert to_bytes(to_letters(bytes(range(256)))) == bytes(range(256))


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_are_the_librarys(text):
    pieces = [piece for piece, special in cut(text)]
    assert [to_letters(piece.encode()) for piece in pieces] == [letters for letters, _ in LIBRARY.pre_tokenize_str(text)]
    assert "".join(pieces) == text


def test_pieces_of_random_text_are_the_librarys():
    noise = random.Random(0)
    for code in ("utf-8", "latin-1", "utf-16") * 20:
        # regex and the library may know different versions of Unicode: no character that is new in one of them
        text = "".join(c for c in noise.randbytes(300).decode(code, "replace") if unicodedata.category(c) != "Cn")
        assert len(cut(text)) == len(LIBRARY.pre_tokenize_str(text))


def test_special_tokens_are_cut_out_first_and_the_longest_wins():
    marks = ["<|end|>", "<|end|><|end|>", "."]
    assert cut("a<|end|><|end|><|end|> b.", marks) == [
        ("a", False), ("<|end|><|end|>", True), ("<|end|>", True), (" b", False), (".", True),
    ]  # fmt: skip
    assert all(not special for _, special in cut("a<|end|>"))
