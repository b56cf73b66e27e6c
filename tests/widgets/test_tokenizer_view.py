"""TokenizerView's algorithm, state and fallback."""

from __future__ import annotations

import json
import random
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

import bigmodel_nb
from bigmodel_nb.bytelevel import to_bytes
from bigmodel_nb.errors import DataError
from bigmodel_nb.exercises.tokenization import bpe_encode, bpe_train
from bigmodel_nb.widgets import TokenizerView
from bigmodel_nb.widgets import tokenizer_view as view

POCKET = str(Path(bigmodel_nb.__file__).parent / "gpt2" / "pocket" / "tokenizer.json")
MARKUP = "<script>window.hacked = true</script>"
MARK = "<|endoftext|>"
TEXTS = ["The wolf's 2 huts  fell.\n", "\u72fc\u4f4f\u5728\u68ee\u6797\u91cc", f"a{MARK}b", "", MARKUP, "\U0001f43a e\u0301\x00"]


@pytest.fixture(scope="module")
def pocket():
    return Tokenizer.from_file(POCKET)


def trained(**parts):
    """A small tokenizer of the library that is not put together as GPT-2's."""
    library = Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    for name, part in parts.items():
        setattr(library, name, part)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<s>"], initial_alphabet=alphabet, show_progress=False)
    library.train_from_iterator(["the wolf the hut the wolves the huts"] * 3, trainer)
    return library


def ids(widget, text):
    return [i for piece in widget._table.pieces(text) for i in piece["ids"]]


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_are_the_librarys(pocket, text):
    assert ids(TokenizerView(pocket, text), text) == pocket.encode(text).ids


@pytest.mark.parametrize(
    "parts",
    [
        {"normalizer": normalizers.Lowercase()},
        {"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=True)},
        {
            "pre_tokenizer": pre_tokenizers.Sequence(
                [pre_tokenizers.Split(Regex(r"\w{1,3}"), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
            )
        },
    ],
    ids=["normalised", "space in front", "cut in threes"],
)
def test_other_recipes_go_to_the_kernel_and_are_right(parts):
    library = trained(**parts)
    widget = TokenizerView(library, "The wolf<s> of the huts")
    assert not widget.local and widget.merges == ""
    assert ids(widget, widget.text) == library.encode(widget.text).ids
    widget.text = "Wolves"
    assert widget.result["text"] == "Wolves"
    assert [i for piece in widget.result["pieces"] for i in piece["ids"]] == library.encode("Wolves").ids


def test_the_pocket_goes_to_the_browser_and_gpt2_would_not(pocket, monkeypatch):
    widget = TokenizerView(pocket, "The wolf")
    assert widget.local and widget.offset == 1 and widget.special == {MARK: 0} and widget.result == {}
    assert len(json.dumps(widget.get_state())) < 90_000
    monkeypatch.setattr(view, "BROWSER_BYTES", 1000)
    widget = TokenizerView(pocket, "The wolf")
    assert not widget.local and widget.merges == "" and len(widget.result["pieces"]) == 2
    assert len(json.dumps(widget.get_state())) < 60_000


def test_steps_follow_the_merges():
    ranks = {("h", "e"): 0, ("t", "he"): 1, ("e", "n"): 2, ("a", "a"): 3}
    assert view.steps("then", ranks) == ([list("then"), ["t", "he", "n"], ["the", "n"]], [0, 1])
    assert view.steps("aaaaa", ranks) == ([list("aaaaa"), ["aa", "aa", "a"]], [3])
    assert view.steps("", ranks) == ([[]], [])


def test_a_vocabulary_of_ones_own():
    vocab, merges = bpe_train("the wolf the wolves<|end|>", 270, ["<|end|>"])
    widget = TokenizerView(vocab=vocab, merges=merges, special_tokens=["<|end|>"], text="the wolf<|end|> \u72fc")
    assert widget.local and widget.special == {"<|end|>": 0}
    assert ids(widget, widget.text) == bpe_encode(widget.text, vocab, merges, ["<|end|>"])
    assert b"".join(widget.tokens).decode() == widget.text


def test_a_vocabulary_in_another_order_goes_to_the_kernel():
    vocab, merges = bpe_train("the wolf the wolves", 265)
    turned = {len(vocab) - 1 - i: token for i, token in vocab.items()}
    widget = TokenizerView(vocab=turned, merges=merges, text="the wolf")
    assert not widget.local
    assert ids(widget, "the wolf") == bpe_encode("the wolf", turned, merges)


def test_half_characters_are_spelled_as_bytes():
    data = "a\u72fc\u00e9\U0001f43a".encode()
    noise = random.Random(0)
    for start in range(len(data)):
        for end in range(start, len(data) + 1):
            parts = view.spell(data[start:end])
            assert b"".join(p.encode() if isinstance(p, str) else bytes([p]) for p in parts) == data[start:end]
    assert view.spell(data[2:4]) == [0x8B, 0xBC] and view.spell(data[1:4]) == ["\u72fc"]
    for _ in range(200):
        data = noise.randbytes(8)
        assert b"".join(p.encode() if isinstance(p, str) else bytes([p]) for p in view.spell(data)) == data
    assert [view.shown(p) for p in (" ", "\n", "\x07", "\u200d", 0xE7)] == ["\u2423", "\u21b5", "\\x07", "\\x200d", "E7"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(), "Pass a tokenizer, or vocab= and merges="),
        (dict(tokenizer="gpt2"), "got str"),
        (dict(tokenizer=Tokenizer(models.WordPiece())), "this tokenizer is WordPiece"),
        (dict(tokenizer=Tokenizer(models.BPE())), "ByteLevel"),
        (dict(vocab={0: b"a"}, merges=[]), "no entry for some of the 256 bytes"),
        (dict(vocab={0: b"a"}, merges=[], special_tokens=["<s>"]), "no entry for '<s>'"),
        (dict(vocab={0: b"a"}, merges=[], text="x" * 2000), "at most 1,000 characters; it has 2,000"),
        (dict(vocab={0: b"a"}, merges=[], text=3), "received int"),
    ],
)
def test_wrong_input_says_what_to_do(arguments, message):
    with pytest.raises(DataError, match=message):
        TokenizerView(**arguments)


def test_text_form_and_picture_are_of_the_start(pocket):
    widget = TokenizerView(pocket, f"\u72fc {MARKUP}")
    text, svg = repr(widget), widget.static_svg()
    assert text.startswith("TokenizerView of a vocabulary of 4,096: 39 characters, 41 bytes, ")
    widget.text = "else"
    assert repr(widget) == text and widget.static_svg() == svg
    assert "<script" not in svg and "E7" in svg
    ET.fromstring(svg)
    assert widget.static_png().startswith(b"\x89PNG")


def test_output_is_small(pocket):
    for text in ("\u72fc" * 1000, "a b " * 250, "", "\n" * 50):
        data, _ = TokenizerView(pocket, text)._repr_mimebundle_()
        assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/svg+xml", "image/png", "text/plain"}
        assert len(json.dumps(data)) < 100_000
    assert "more tokens" in TokenizerView(pocket, "\u72fc" * 1000).static_svg()


def test_decoder_of_the_library_agrees(pocket):
    text = "The wolf\u72fc"
    letters = "".join(token for piece in TokenizerView(pocket, text)._table.pieces(text) for token in piece["states"][-1])
    assert to_bytes(letters).decode() == text == decoders.ByteLevel().decode([letters])
