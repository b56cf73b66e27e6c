"""The n-gram filter: nothing known escapes, little unknown is taken for known, and its maker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bigmodel_nb import datasets
from bigmodel_nb.datasets import ngrams
from bigmodel_nb.datasets.ngrams import NGramFilter, ngram_hashes
from bigmodel_nb.errors import DataError
from bigmodel_nb.gpt2.pocket import ngrams as maker

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "tales"


def documents(seed=0, many=30, length=400):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 4096, rng.integers(20, length)).tolist() for _ in range(many)]


@pytest.fixture(scope="module")
def small():
    return NGramFilter.build(documents(), n=5, stride=3, size=4000)


@pytest.fixture(scope="module")
def shipped():
    return datasets.tale_ngrams()


@pytest.fixture(scope="module")
def tokenizer():
    from bigmodel_nb.gpt2.load import load_gpt2

    return load_gpt2("pocket")[1]


def test_hashes_are_the_same_on_every_machine():
    assert ngram_hashes([1, 2, 3, 4095], 3).tolist() == ngram_hashes([1, 2, 3], 3).tolist() + ngram_hashes([2, 3, 4095], 3).tolist()
    assert ngram_hashes([7, 8], 2)[0] != ngram_hashes([8, 7], 2)[0] != ngram_hashes([0, 0], 2)[0]
    assert ngram_hashes([5], 2).tolist() == [] and ngram_hashes([], 2).tolist() == []
    many = ngram_hashes(np.arange(200_000), 4)
    assert len(np.unique(many)) == len(many)


def test_every_stored_ngram_is_known(small):
    for ids in documents():
        assert small.known(ids)[::3].all()


def test_no_copied_passage_of_that_length_escapes(small):
    rng, least = np.random.default_rng(1), 5 + 3 - 1
    for ids in documents():
        for length in (least, least + 4, 18):
            start = int(rng.integers(0, len(ids) - length + 1))
            copy = [5000, 5001, *ids[start : start + length], 5002]
            assert small.longest(copy) >= 5
            marked = small.copied(copy)
            assert marked[2 + 2 : -1 - 2].all() and not marked[:2].any() and not marked[-1]


def test_false_positives_are_as_many_as_stated(small):
    other = documents(seed=9, many=200)
    found = np.concatenate([small.known(ids) for ids in other])
    rate = small.false_positive_rate
    assert 1e-4 < rate < 0.1
    assert abs(found.mean() - rate) < 5 * (rate / len(found)) ** 0.5 + 0.1 * rate


def test_longest_passage():
    known = NGramFilter.build([[1, 2, 3, 4, 5, 6]], n=2, stride=1, size=500)
    assert known.copied([9, 1, 2, 3, 9, 4, 5]).tolist() == [False, True, True, True, False, True, True]
    assert known.longest([9, 1, 2, 3, 9, 4, 5]) == 3
    assert known.passages([9, 4, 5, 9, 1, 2, 3]) == [slice(4, 7), slice(1, 3)]
    assert known.longest([9, 9]) == known.longest([]) == known.longest([1]) == 0


def test_saved_and_read_again(small, tmp_path):
    small.save(tmp_path / "f.safetensors")
    again = NGramFilter.load(tmp_path / "f.safetensors")
    assert (again.bits == small.bits).all()
    assert (again.n, again.stride, again.hashes, again.entries) == (small.n, small.stride, small.hashes, small.entries)
    assert repr(again) == f"NGramFilter of {small.entries:,} 5-grams, one in 3, in 0.0 MB"


def test_documents_that_are_too_short():
    with pytest.raises(DataError, match="no document has 5 tokens"):
        NGramFilter.build([[1, 2], []], n=5, stride=1, size=100)


# The one that ships


def test_the_shipped_filter_is_small_and_says_how_often_it_errs(shipped):
    assert ngrams.FILE.stat().st_size <= 4_000_000
    assert shipped.false_positive_rate < 1e-4 and (shipped.n, shipped.stride) == (maker.N, maker.STRIDE)
    card = (ngrams.FILE.parent / "README.md").read_text(encoding="utf-8")
    assert f"{shipped.entries:,}" in card and f"{shipped.false_positive_rate:.1e}" in card


def test_it_knows_the_seen_tales_and_hardly_the_unseen(shipped, tokenizer):
    shares = {}
    for part in ("seen", "unseen"):
        ids = [tokenizer(text, verbose=False)["input_ids"] for text in datasets.stories(part)]
        shares[part] = np.concatenate([shipped.copied(row) for row in ids]).mean()
    assert shares["seen"] > 0.995 and shares["unseen"] < 0.05


def test_noise_is_unknown(shipped):
    rng = np.random.default_rng(2)
    found = shipped.known(rng.integers(0, 4096, 200_000))
    assert found.mean() < 3e-4


def test_made_from_a_folder_by_the_command(tmp_path, tokenizer):
    (tmp_path / "text").mkdir()
    story = datasets.stories("seen")[0]
    (tmp_path / "text" / "a.txt").write_text(f"{story}\n<|endoftext|>\nA wolf lived in the wood and he was glad.\n<|endoftext|>\n", encoding="utf-8")
    out = tmp_path / "filter.safetensors"
    command = [sys.executable, "-m", "bigmodel_nb.gpt2.pocket.ngrams", "--text", str(tmp_path / "text"), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "8-grams, one in 4" in done.stdout and "false positives" in done.stdout
    found = NGramFilter.load(out)
    assert found.copied(tokenizer(story, verbose=False)["input_ids"]).mean() > 0.99


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="no stories found"):
        maker.make(tmp_path, tmp_path / "out")


def test_the_shipped_filter_is_what_the_command_makes(shipped, tmp_path):
    if not CORPUS.exists():
        pytest.skip("needs shared/corpus/tales, which is not part of the project")
    again = maker.make(CORPUS, tmp_path / "again.safetensors")
    assert (again.bits == shipped.bits).all() and again.entries == shipped.entries
