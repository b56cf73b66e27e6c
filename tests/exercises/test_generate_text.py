"""Lesson 12's reference solutions against transformers: filters, penalty, greedy and beam search."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import (
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

import bigmodel_nb as bn
from tests.gpt2.conftest import make_tiny

greedy_step, top_k_filter, top_p_filter, sample_loop, repetition_penalty, beam_step = (
    bn.exercises.reference(f"generate_text.{name}")
    for name in ("greedy_step", "top_k_filter", "top_p_filter", "sample_loop", "repetition_penalty", "beam_step")
)


@pytest.fixture(scope="module")
def tiny():
    return make_tiny(vocab_size=60, eos_token_id=59, bos_token_id=59, initializer_range=0.5)


@pytest.fixture(scope="module")
def read(tiny):
    @torch.inference_mode()
    def logits(ids):
        return tiny(ids).logits

    return logits


def logits(seed, rows=40, V=300, scale=2.5):
    return torch.randn(rows, V, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


@pytest.mark.parametrize("k", [1, 2, 50, 299, 300, 301])
def test_top_k_equals_transformers(k):
    z = logits(k)
    assert torch.equal(top_k_filter(z, k), TopKLogitsWarper(k)(None, z))
    z = z.round()  # with ties
    assert torch.equal(top_k_filter(z, k), TopKLogitsWarper(k)(None, z))


@pytest.mark.parametrize("p", [0.01, 0.3, 0.5, 0.9, 0.99])
def test_top_p_equals_transformers(p):
    for scale in (0.3, 2.5, 8.0):
        z = logits(3, scale=scale)
        assert torch.equal(top_p_filter(z, p), TopPLogitsWarper(p)(None, z))
        z = top_k_filter(z, 40)
        assert torch.equal(top_p_filter(z, p), TopPLogitsWarper(p)(None, z))


@pytest.mark.parametrize("penalty", [1.0, 1.2, 3.0])
def test_repetition_penalty_equals_transformers(penalty):
    z, ids = logits(4), torch.randint(0, 300, (40, 30), generator=torch.Generator().manual_seed(5))
    assert torch.equal(repetition_penalty(z, ids, penalty), RepetitionPenaltyLogitsProcessor(penalty)(ids, z))


def test_greedy_equals_transformers(tiny, read):
    ids = start = torch.randint(0, 59, (3, 6), generator=torch.Generator().manual_seed(6))
    for _ in range(20):
        ids = greedy_step(read, ids)
    theirs = tiny.generate(start, max_new_tokens=20, do_sample=False, attention_mask=torch.ones_like(start), pad_token_id=0)
    for mine, row in zip(ids, theirs):  # theirs ends at the end mark
        end = (row[6:] == 59).nonzero()
        n = 7 + int(end[0]) if len(end) else 26
        assert torch.equal(mine[:n], row[:n])


def test_a_beam_as_wide_as_everything_finds_the_best_text(read):
    """All 60**2 continuations of two tokens, tried one by one."""
    start = torch.tensor([[5, 7, 9]])
    ids, scores = start, torch.zeros(1)
    for _ in range(2):
        ids, scores = beam_step(ids, scores, read(ids)[:, -1], min(60 * len(ids), 3600))
    first = read(start)[0, -1].log_softmax(-1)
    both = torch.cat([start.expand(60, -1), torch.arange(60)[:, None]], 1)
    table = first[:, None] + read(both)[:, -1].log_softmax(-1)  # (60, 60)
    assert ids[0, 3:].tolist() == [int(table.argmax()) // 60, int(table.argmax()) % 60]
    assert torch.allclose(scores, table.flatten().sort(descending=True).values, atol=1e-4)
    assert math.isclose(scores.exp().sum().item(), 1, rel_tol=1e-4)


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), [(1.0, None, None), (0.7, 10, None), (1.5, None, 0.6), (0.8, 20, 0.9)])
def test_the_loop_draws_from_the_distribution_of_transformers(read, temperature, top_k, top_p):
    """Equality of the probabilities themselves, at each of five places."""
    seen = []

    def keep(z):
        z = z if top_k is None else top_k_filter(z, top_k)
        return z if top_p is None else top_p_filter(z, top_p)

    def draw(q):
        seen.append(q)
        return torch.multinomial(q, 1)[:, 0]

    torch.manual_seed(0)
    start = torch.randint(0, 59, (16, 4))
    ids = sample_loop(lambda text: read(text).double(), start, 5, temperature, keep, draw)
    for place, q in enumerate(seen, 4):
        z = TemperatureLogitsWarper(temperature)(None, read(ids[:, :place])[:, -1].double())
        z = z if top_k is None else TopKLogitsWarper(top_k)(None, z)
        z = z if top_p is None else TopPLogitsWarper(top_p)(None, z)
        assert torch.allclose(q, z.softmax(-1), atol=1e-9)
        assert (q.gather(1, ids[:, place : place + 1]) > 0).all()
