"""The references of lesson 09 are general: other courses' tests call them as they are."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bigmodel_nb import exercises

scores = exercises.reference("attention.attention_scores")
causal_mask = exercises.reference("attention.causal_mask")
attend = exercises.reference("attention.scaled_dot_product")
heads = exercises.reference("attention.multi_head_attention")

LEADING = [(), (2,), (2, 3), (2, 1, 3)]


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def masks(leading, T, T_k):
    seen = torch.rand(*leading, T, T_k, generator=torch.Generator().manual_seed(1)) < 0.7
    yield None
    yield torch.tensor(causal_mask(max(T, T_k))[:T, :T_k])
    yield seen
    yield seen[..., :1, :]  # padding: the same keys hidden from every query


@pytest.mark.parametrize("leading", LEADING)
def test_equal_to_torch_with_any_leading_axes_and_masks(leading):
    q, k, v = normal(*leading, 4, 8), normal(*leading, 5, 8), normal(*leading, 5, 3)
    assert torch.allclose(scores(q, k), q @ k.mT / 8**0.5)
    for mask in masks(leading, 4, 5):
        expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        assert torch.allclose(attend(q, k, v, mask), expected)
        in_numpy = attend(q.numpy(), k.numpy(), v.numpy(), None if mask is None else mask.numpy())
        assert isinstance(in_numpy, np.ndarray) and np.allclose(in_numpy, expected.numpy())


@pytest.mark.parametrize("leading", LEADING)
@pytest.mark.parametrize("n_heads", [1, 2, 6])
def test_many_heads_are_slices_side_by_side(leading, n_heads):
    x, context = normal(*leading, 4, 6), normal(*leading, 5, 7)
    w_q, w_k, w_v, w_o = normal(6, 12), normal(7, 12), normal(7, 12), normal(12, 3)
    for mask in masks(leading, 4, 5):
        parts = [w.chunk(n_heads, dim=1) for w in (w_q, w_k, w_v)]
        each = [attend(x @ q, context @ k, context @ v, mask) for q, k, v in zip(*parts)]
        expected = torch.cat(each, dim=-1) @ w_o
        assert torch.allclose(heads(x, w_q, w_k, w_v, w_o, n_heads, mask, context), expected)
        arrays = (x.numpy(), w_q.numpy(), w_k.numpy(), w_v.numpy(), w_o.numpy(), n_heads)
        seen = None if mask is None else mask.numpy()
        assert np.allclose(heads(*arrays, seen, context.numpy()), expected.numpy())


def test_a_mask_may_have_its_own_axis_of_heads():
    x, w = normal(2, 4, 6), normal(6, 6)
    seen = torch.rand(2, 1, 1, 4) < 2  # as transformers keeps a padding mask
    assert torch.allclose(heads(x, w, w, w, w, 3, seen), heads(x, w, w, w, w, 3))


@pytest.mark.parametrize("mask", [torch.tril(torch.ones(4, 4)), torch.tril(torch.ones(4, 4, dtype=torch.long))])
def test_a_mask_of_ones_and_zeros_is_read_as_yes_and_no(mask):
    x = normal(2, 4, 6)
    assert torch.allclose(attend(x, x, x, mask), F.scaled_dot_product_attention(x, x, x, is_causal=True))


def test_a_query_that_sees_nothing_gets_zeros_and_no_nan_in_its_gradient():
    x = normal(3, 4).requires_grad_()
    mask = torch.tensor([[False, False, False], [True, False, False], [True, True, False]])
    out = attend(x, x, x, mask)
    assert torch.equal(out[0], torch.zeros(4, dtype=torch.float64))
    out.sum().backward()
    assert torch.isfinite(x.grad).all()


def test_gradients_equal_torch():
    q, k, v = (normal(2, n, 4).requires_grad_() for n in (3, 5, 5))
    attend(q, k, v).square().sum().backward()
    mine = [part.grad.clone() for part in (q, k, v)]
    for part in (q, k, v):
        part.grad = None
    F.scaled_dot_product_attention(q, k, v).square().sum().backward()
    assert all(torch.allclose(a, part.grad) for a, part in zip(mine, (q, k, v)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_keeps_the_dtype(dtype):
    x = normal(2, 4, 6).to(dtype)
    assert attend(x, x, x, torch.tensor(causal_mask(4))).dtype == dtype
    assert attend(x.float().numpy(), x.float().numpy(), x.float().numpy(), causal_mask(4)).dtype == np.float32
