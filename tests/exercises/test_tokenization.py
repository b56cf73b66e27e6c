"""Lesson 08's reference solutions against the tokenizers library and GPT-2's own tokenizer."""

from __future__ import annotations

import json
import os
import random
import time
import unicodedata
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

import bigmodel_nb as bn
from bigmodel_nb.bytelevel import BYTE_ORDER, to_bytes
from bigmodel_nb.exercises.tokenization import _train_oracle

SHARED = Path(__file__).parents[3] / "shared"
GPT2 = SHARED / "gpt2-tokenizer"
MARK = "<|endoftext|>"

bpe_train = bn.exercises.reference("tokenization.bpe_train")
bpe_encode = bn.exercises.reference("tokenization.bpe_encode")
bpe_decode = bn.exercises.reference("tokenization.bpe_decode")


def tables(library):
    """vocab {id: bytes} and merges [(bytes, bytes)] of a tokenizer of the library."""
    model = json.loads(library.to_str())["model"]
    merges = [tuple(map(to_bytes, pair)) for pair in model["merges"]]
    return {i: to_bytes(token) for token, i in model["vocab"].items()}, merges


def trained_by_the_library(text, vocab_size, special_tokens=()):
    library = Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=list(special_tokens), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    library.train_from_iterator([text], trainer)
    return library


def kinds():
    """Texts of five kinds, from files that are the same everywhere."""
    noise, tales = random.Random(1), bn.datasets.tales("unseen").replace(MARK, "")
    chinese = "\u4e00\u53ea\u72fc\u72ec\u81ea\u4f4f\u5728\u68ee\u6797\u91cc\u3002\u6bcf\u5929\u508d\u665a\u5b83\u8d70\u5230\u6751\u8fb9\uff0c 3\u53ea\u72fc!"
    return {
        "English": [tales[i : i + 997] for i in range(0, 60_000, 997)],
        "Chinese": [chinese, chinese[::-1], chinese.replace("\uff0c", "\n\n  ")],
        "emoji": ["\U0001f43a\u200d\U0001f332  \u2744\ufe0f e\u0301 \U0001f1e8\U0001f1f3\U0001f1e8", "\U0001f600" * 9],
        "code": [Path(__file__).read_text(encoding="utf-8"), "if x:\r\n\t\treturn 'it''s'  # don't\n\n\n   \t "],
        "random bytes": [assigned(noise.randbytes(300).decode(code, "replace")) for code in ("utf-8", "latin-1", "utf-16") * 25],
    }


def assigned(text):
    """Without characters newer than Python's Unicode: regex and the library may disagree on what is a letter."""
    return "".join(c for c in text if unicodedata.category(c) != "Cn")


# Training


def test_the_same_merges_as_the_library_on_tales():
    text = bn.datasets.tales("seen").replace(MARK, "")
    started = time.process_time()
    vocab, merges = bpe_train(text, 1024)
    assert time.process_time() - started < 20  # about a second; recounting all pairs each time takes half a minute
    assert (vocab, merges) == tables(trained_by_the_library(text, 1024))


def test_the_same_merges_as_the_library_where_nearly_all_pairs_tie():
    noise = random.Random(0)
    for n in range(40):
        alphabet = "aab \n" if n % 2 else "ab\u00e9\u72fc 1.\U0001f43a\x00"
        text = "".join(noise.choices(alphabet, k=noise.randrange(200)))
        assert bpe_train(text, 300) == tables(trained_by_the_library(text, 300)), text


def test_special_tokens_come_first_as_in_the_library():
    vocab, merges = bpe_train("the wolf the wolf", 262, [MARK, "<|pad|>"])
    assert (vocab, merges) == tables(trained_by_the_library("the wolf the wolf", 262, [MARK, "<|pad|>"]))
    assert vocab[0] == MARK.encode() and vocab[2] == bytes([BYTE_ORDER[0]])


def test_special_tokens_are_cut_out_of_the_text():
    text = f"a wolf{MARK}a wolf{MARK}"
    assert bpe_train(text, 300, [MARK]) == bpe_train("a wolf", 300, [MARK])
    assert bpe_train(text, 300, [MARK])[1] != tables(trained_by_the_library(text, 300, [MARK]))[1]  # the library trains on them


def test_counting_what_changed_equals_counting_anew():
    noise = random.Random(2)
    for _ in range(30):
        text = "".join(noise.choices("aaab ", k=60))
        assert bpe_train(text, 280) == _train_oracle(text, 280)


def test_another_rule_for_ties():
    assert bpe_train("ba ab zz", 257)[1] == [(b"a", b"b")]
    assert bpe_train("ba ab zz", 257, prefer=max)[1] == [(b"z", b"z")]
    assert bpe_train("ba ab zz", 257, prefer=lambda pairs: pairs[1])[1] == [(b"b", b"a")]


# Encoding and decoding


def equal_on_every_kind(tokenizer, vocab, merges):
    """Token for token, there and back; the number of tokens compared."""
    compared = 0
    for kind, texts in kinds().items():
        theirs = tokenizer(texts, verbose=False)["input_ids"]
        for text, ids in zip(texts, theirs):
            assert bpe_encode(text, vocab, merges, [MARK]) == ids, (kind, text[:80])
            assert bpe_decode(ids, vocab) == text
            compared += len(ids)
    return compared


def test_equal_to_the_pocket_tokenizer():
    _, tokenizer = bn.load_gpt2("pocket")
    vocab, merges = tables(tokenizer.backend_tokenizer)
    assert equal_on_every_kind(tokenizer, vocab, merges) > 30_000
    assert bpe_encode(f"a{MARK}b", vocab, merges, [MARK]) == tokenizer(f"a{MARK}b")["input_ids"]
    plain = tokenizer(f"a{MARK}b", split_special_tokens=True)["input_ids"]
    assert bpe_encode(f"a{MARK}b", vocab, merges) == plain
    noise = random.Random(3)
    for _ in range(50):
        ids = [noise.randrange(1, len(vocab)) for _ in range(30)]
        assert bpe_decode(ids, vocab) == tokenizer.decode(ids, clean_up_tokenization_spaces=False)


@pytest.fixture(scope="module")
def gpt2():
    """GPT-2's own vocabulary and merges, and the library's tokenizer made of them."""
    if not GPT2.is_dir():
        if SHARED.is_dir() and os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(f"{SHARED.name} is there, and gpt2-tokenizer is not in it")
        pytest.skip("needs shared/gpt2-tokenizer (vocab.json and merges.txt of GPT-2), which is not part of the project")
    from transformers import GPT2TokenizerFast

    letters = json.loads((GPT2 / "vocab.json").read_text(encoding="utf-8"))
    lines = (GPT2 / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    merges = [tuple(map(to_bytes, line.split(" "))) for line in lines]
    return {i: to_bytes(token) for token, i in letters.items()}, merges, GPT2TokenizerFast.from_pretrained(GPT2)


def test_equal_to_gpt2s_own_tokenizer(gpt2):
    vocab, merges, tokenizer = gpt2
    assert len(merges) == 50_000 and len(vocab) == 50_257
    assert bpe_encode("Hello world", vocab, merges) == [15496, 995]
    assert bpe_encode(f"a{MARK}", vocab, merges, [MARK]) == [64, 50256]
    assert equal_on_every_kind(tokenizer, vocab, merges) > 30_000


def test_what_lesson_08_says_of_gpt2s_vocabulary(gpt2):
    """The longest entry of Chinese characters has 10 bytes with its space, so 27 tokens can't hold 299 (C51)."""
    vocab, merges, _ = gpt2
    texts = (token.decode("utf-8", "ignore") for token in vocab.values())
    chinese = [text for text in texts if text.strip() and all("\u3400" <= c <= "\u9fff" for c in text.strip())]
    assert max(len(text.encode()) for text in chinese) == 10
    prompt = "\u4f60\u597d\uff0c\u6211\u662f\u4e00\u53ea\u72fc\u5417"
    assert len(prompt) == 9 and len(bpe_encode(prompt, vocab, merges)) < 27
    assert 27 * 10 < 299
