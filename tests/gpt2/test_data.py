"""Packing and evaluation: every token once, none across a border."""

import math

import pytest
import torch

import bigmodel_nb as bn
from bigmodel_nb.errors import DataError
from bigmodel_nb.gpt2 import data
from bigmodel_nb.gpt2.evaluate import bits_per_byte, token_losses

from .conftest import WORDS


def test_every_token_and_end_mark_is_predicted_exactly_once():
    generator = torch.Generator().manual_seed(0)
    documents = [torch.randint(1, 99, (n,), generator=generator).tolist() for n in (3, 1, 40, 7, 16, 5)]
    for block in (1, 4, 16, 100):
        x, y = data.pack(documents, block, eos_id=0)
        wanted = [i for ids in documents for i in (*ids, 0)]
        assert y[y != data.IGNORED].tolist() == wanted
        assert x.shape == y.shape and x.shape[1] == block
        assert x.flatten()[1 : len(wanted)].tolist() == wanted[:-1] and x[0, 0] == 0


def test_the_library_packs_as_the_exercise_asks():
    documents = [[5, 6, 7], [8], [9, 10]]
    ours = data.pack(documents, 4, 0)
    reference = bn.exercises.reference("finetune_gpt2.pack_into_blocks")(documents, 4, 0)
    assert all((a.numpy() == b).all() for a, b in zip(ours, reference))


@pytest.mark.parametrize("n", [1, 2, 30, 64, 65, 90, 200])
def test_each_token_counts_once_in_overlapping_windows(tiny, n):
    model, _ = tiny
    ids = torch.randint(1, 4096, (n,), generator=torch.Generator().manual_seed(n)).tolist()
    losses = token_losses(model, ids, 0)
    assert losses.shape == (n,)
    first = min(n, 64)
    with torch.no_grad():
        logits = model(torch.tensor([[0, *ids[: first - 1]]])).logits[0]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[:first]), reduction="none")
    assert torch.allclose(losses[:first], expected, atol=1e-4)
    assert torch.isfinite(losses).all()


def test_long_text_has_at_least_half_a_context_before_each_token(tiny):
    model, _ = tiny
    ids = torch.randint(1, 4096, (150,), generator=torch.Generator().manual_seed(0)).tolist()
    changed = [*ids[:-1], ids[-1] % 4095 + 1]
    assert torch.equal(token_losses(model, ids, 0)[:-1], token_losses(model, changed, 0)[:-1])
    early = [ids[0] % 4095 + 1, *ids[1:]]
    moved = (token_losses(model, ids, 0) != token_losses(model, early, 0)).nonzero().flatten()
    assert moved.min() == 0 and 32 <= moved.max() < 64


def test_perplexity_is_weighted_by_tokens(tiny):
    model, tokenizer = tiny
    texts = ["the king", WORDS]
    parts = [token_losses(model, tokenizer(t, verbose=False)["input_ids"], 0) for t in texts]
    assert math.isclose(bn.perplexity(model, tokenizer, texts), math.exp(torch.cat(parts).double().mean()), rel_tol=1e-6)
    mean_of_two = math.exp(sum(float(p.mean()) for p in parts) / 2)
    assert not math.isclose(bn.perplexity(model, tokenizer, texts), mean_of_two, rel_tol=1e-4)


def test_perplexity_of_random_numbers_is_near_the_vocabulary(tiny):
    model, tokenizer = tiny
    assert 3500 < bn.perplexity(model, tokenizer, WORDS) < 5000


def test_bits_per_byte_counts_bytes(tiny):
    model, tokenizer = tiny
    nats = float(token_losses(model, tokenizer("é 中", verbose=False)["input_ids"], 0).sum())
    assert math.isclose(bits_per_byte(model, tokenizer, "é 中"), nats / math.log(2) / 6, rel_tol=1e-5)


@pytest.mark.parametrize("texts", ["", [], ["", "  \n"], 7, [b"bytes"]])
def test_empty_or_odd_texts_are_refused_with_what_to_do(tiny, texts):
    with pytest.raises((DataError, TypeError), match="text|iterable"):
        bn.perplexity(*tiny, texts)


def test_a_token_outside_the_vocabulary_is_named(tiny):
    model, _ = tiny
    with pytest.raises(DataError, match="token id 4096 .*vocabulary of 4096.*load_gpt2"):
        token_losses(model, [5, 4096], 0)
