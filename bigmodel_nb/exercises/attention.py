"""Exercises of lesson 09.

Learners write NumPy. The references take NumPy arrays and torch tensors, and gradients pass through.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from .engine.model import Check, Exercise, Failed, Misconception, misconceptions_of


def attention_scores(q, k):
    """How well each query fits each key: their dot products over the root of d_k.

    q (..., T_q, d_k), k (..., T_k, d_k): float arrays -> (..., T_q, T_k)
    """
    return q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])


def causal_mask(T):
    """Which tokens each token may look at: itself and all before it.

    T: number of tokens -> bool array (T, T), True where query (row) may look at key (column)
    """
    query = np.arange(T)[:, None]
    key = np.arange(T)[None, :]
    return key <= query


def scaled_dot_product(q, k, v, mask=None):
    """softmax(q k' / sqrt(d_k)) v: each query mixes the values by how well it fits their keys.

    q (..., T_q, d_k), k (..., T_k, d_k), v (..., T_k, d_v): float arrays -> (..., T_q, d_v)
    mask: None or bool, any shape that broadcasts to (..., T_q, T_k), True where a query may look.
    A query that may look at nothing gets zeros
    """
    xp = library(q)  # numpy, or torch for tensors
    scores = attention_scores(q, k)  # (..., T_q, T_k)
    if mask is not None:
        scores = xp.where(xp.asarray(mask) != 0, scores, -xp.inf)
    largest = xp.amax(scores, axis=-1, keepdims=True).clip(xp.finfo(scores.dtype).min)
    e = xp.exp(scores - largest)
    weights = e / e.sum(axis=-1, keepdims=True).clip(1)  # a sum is below 1 only if it is 0
    return weights @ v


def multi_head_attention(x, w_q, w_k, w_v, w_o, n_heads, mask=None, context=None):
    """n_heads attentions side by side, each in its own slice of the columns, joined by w_o.

    x (..., T, d_model): float array, asks; context (..., T_k, d_context): is looked at, None for x
    w_q (d_model, n_heads * d_k), w_k (d_context, n_heads * d_k), w_v (d_context, n_heads * d_v),
    w_o (n_heads * d_v, d_out); head h owns the columns h * d_k to (h + 1) * d_k
    mask: None or bool (T, T_k) or (..., T, T_k), True where a query may look, the same in all heads
    -> (..., T, d_out)
    """
    if context is None:
        context = x
    q, k, v = (split_heads(part, n_heads) for part in (x @ w_q, context @ w_k, context @ w_v))
    if mask is not None and 2 < mask.ndim <= x.ndim:
        mask = mask[..., None, :, :]  # (..., 1, T, T_k): one for all heads
    heads = scaled_dot_product(q, k, v, mask).swapaxes(-2, -3)  # (..., T, n_heads, d_v)
    return heads.reshape(*heads.shape[:-2], -1) @ w_o


def split_heads(x, n_heads):
    """x (..., T, n_heads * d) -> (..., n_heads, T, d)"""
    return x.reshape(*x.shape[:-1], n_heads, -1).swapaxes(-2, -3)


def library(array):
    """The module that an array is of: numpy or torch."""
    return sys.modules[type(array).__module__.partition(".")[0]]


def rows_sum_to_one(attend):
    """Whether each query shares out exactly 1 over the keys.

    attend: a function of q (T_q, d_k), k (T_k, d_k), v (T_k, d_v), float64 arrays of any sizes,
    that returns the mixed values (T_q, d_v); its weights are not shown -> bool
    """
    rng = np.random.default_rng(0)
    q, k = rng.normal(size=(5, 8)), rng.normal(size=(7, 8))
    sums = attend(q, k, np.ones((7, 1)))  # a mix of ones is the sum of its weights
    return bool(np.allclose(sums, 1))


def sees_the_future(attend):
    """Whether any output depends on a token that comes after it.

    attend: a function of x (T, d), a float64 array of any size, that returns (T, d_out); its row t
    should depend on rows 0 to t of x only -> bool
    """
    x = np.random.default_rng(0).normal(size=(6, 4))
    before = attend(x)
    for t in range(1, len(x)):
        changed = x.copy()
        changed[t] += 1
        if not np.allclose(attend(changed)[:t], before[:t]):
            return True
    return False


# What all share


def _quiet(function):
    """The function without NumPy's warnings of overflow and 0/0."""

    def quiet(*case):
        with np.errstate(all="ignore"):
            return function(*case)

    return quiet


def _dot(a, b):
    return math.fsum(x * y for x, y in zip(a.tolist(), b.tolist()))


def _leading(array, axes=2):
    """Every index of the leading axes."""
    return np.ndindex(array.shape[:-axes])


def _qkv(rng, T_q=None, T_k=None, d_k=None, d_v=None, leading=None, scale=1.0):
    T_q, T_k, d_k, d_v = (size or int(rng.integers(2, 6)) for size in (T_q, T_k, d_k, d_v))
    if leading is None:
        leading = [(), (2,), (2, 3)][rng.integers(3)]
    q, k, v = (rng.normal(size=(*leading, *s)) for s in ((T_q, d_k), (T_k, d_k), (T_k, d_v)))
    return q * scale, k * scale, v


# attention_scores


def _scores_sample(rng):
    return _qkv(rng)[:2]


def _scores_oracle(q, k):
    """One dot product at a time."""
    out = np.empty((*q.shape[:-1], k.shape[-2]))
    for b in _leading(q):
        for i, j in np.ndindex(out.shape[-2:]):
            out[(*b, i, j)] = _dot(q[b][i], k[b][j]) / q.shape[-1] ** 0.5
    return out


def _check_scores_by_hand(attempt):
    q, k = np.array([[1.0, 0.0, 2.0, 0.0]]), np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 5.0, 0.0, 5.0]])
    why = "The dot products are 3 and 0, and the root of d_k = 4 is 2."
    attempt.expect((q, k), np.array([[1.5, 0.0]]), why)


def _check_scores_random(attempt):
    rng = np.random.default_rng(1)
    for sizes in ((3, 3, 2), (4, 2, 3), (2, 5, 7), (3, 3, 3)):
        case = _qkv(rng, *sizes, leading=())[:2]
        attempt.expect(case, _scores_oracle(*case))


def _check_scores_leading(attempt):
    rng = np.random.default_rng(2)
    for leading in ((2,), (2, 3), (1, 4), (3, 1, 2)):
        case = _qkv(rng, 3, 4, 5, leading=leading)[:2]
        attempt.expect(case, _scores_oracle(*case), "The leading axes are a batch and its heads.")


def _check_scores_edges(attempt):
    rng = np.random.default_rng(3)
    for sizes in ((1, 1, 1), (1, 4, 2), (4, 1, 2), (2, 3, 64)):
        case = _qkv(rng, *sizes, leading=())[:2]
        attempt.expect(case, _scores_oracle(*case))


def _check_scores_linear(attempt):
    rng = np.random.default_rng(4)
    q, k = _qkv(rng, 3, 4, 5, leading=())[:2]
    why = "Twice the query, twice the score."
    attempt.expect((2 * q, k), 2 * _scores_oracle(q, k), why)


def _scores_probes():
    rng = np.random.default_rng(5)
    sizes = ((3, 2, 4, ()), (3, 3, 5, (2,)), (4, 4, 2, ()), (2, 5, 3, (2, 3)))
    return [_qkv(rng, a, b, c, leading=leading)[:2] for a, b, c, leading in sizes]


def _product(q, k):
    return q @ np.swapaxes(k, -1, -2)


def _softmax(scores, axis=-1, stable=True):
    e = np.exp(scores - scores.max(axis=axis, keepdims=True)) if stable else np.exp(scores)
    return e / e.sum(axis=axis, keepdims=True)


def _unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


_SCORES_MISCONCEPTIONS = (
    Misconception(
        "no_scale",
        _product,
        "These are bare dot products. By what must they be divided, so that they don't grow with "
        "the width d_k?",
    ),
    Misconception(
        "scaled_by_d_k",
        lambda q, k: _product(q, k) / q.shape[-1],
        "You divide by d_k itself. The spread of a dot product grows with which power of d_k?",
    ),
    Misconception(
        "multiplied_by_the_root",
        lambda q, k: _product(q, k) * q.shape[-1] ** 0.5,
        "Your scores grow with d_k. Divide by its root.",
    ),
    Misconception(
        "scaled_by_the_length",
        lambda q, k: _product(q, k) / k.shape[-2] ** 0.5,
        "You divide by the root of a number of tokens. d_k is the width of a query: which axis?",
        also=(
            lambda q, k: _product(q, k) / q.shape[-2] ** 0.5,
            lambda q, k: _product(q, k) / len(q) ** 0.5,
            lambda q, k: _product(q, k) / k.shape[-2],
        ),
    ),
    Misconception(
        "all_axes_turned_round",
        lambda q, k: q @ k.T / q.shape[-1] ** 0.5,
        "Right for one sequence, wrong for a batch: `.T` turns round all axes. Which two must "
        "change places?",
        also=(lambda q, k: np.dot(q, k.T) / q.shape[-1] ** 0.5,),
    ),
    Misconception(
        "keys_ask_queries",
        lambda q, k: _product(k, q) / q.shape[-1] ** 0.5,
        "Your result is transposed. A row belongs to a query, a column to a key.",
    ),
    Misconception(
        "each_with_its_own_key",
        lambda q, k: (q * k).sum(axis=-1) / q.shape[-1] ** 0.5,
        "You compare query i with key i only. Every query meets every key.",
    ),
    Misconception(
        "softmax_already_taken",
        lambda q, k: _softmax(_product(q, k) / q.shape[-1] ** 0.5),
        "Your rows sum to 1. These are weights already; the scores come before the softmax.",
    ),
    Misconception(
        "cosine",
        lambda q, k: _product(_unit(q), _unit(k)),
        "Your scores lie between -1 and 1: you divide by the lengths of the vectors. Here a longer "
        "query may ask louder; only the width d_k is divided out.",
    ),
)


# causal_mask


def _mask_sample(rng):
    return (int(rng.integers(1, 9)),)


def _mask_oracle(T):
    return np.array([[j <= i for j in range(T)] for i in range(T)]).reshape(T, T)


def _check_mask_by_hand(attempt):
    expected = np.array([[True, False, False], [True, True, False], [True, True, True]])
    attempt.expect((3,), expected, "Token 0 sees itself, token 1 two tokens, token 2 all three.")


def _check_mask_one(attempt):
    attempt.expect((1,), np.array([[True]]), "A single token may look at itself.")


def _check_mask_sizes(attempt):
    for T in (2, 4, 7, 16, 33):
        attempt.expect((T,), _mask_oracle(T))


def _check_mask_counts(attempt):
    for T in (5, 12):
        counts = np.sum(np.asarray(attempt(T), dtype=float), axis=-1)
        if counts.shape != (T,) or not np.array_equal(counts, np.arange(1, T + 1)):
            raise Failed(f"Token t may look at t + 1 tokens. Yours, row by row: {counts.tolist()}.", (T,))


def _mask_probes():
    return [(3,), (4,), (6,)]


def _square(T):
    return np.ones((T, T), dtype=bool)


def _added(T, number):
    return np.where(np.tril(_square(T)), 0.0, number)


_MASK_MISCONCEPTIONS = (
    Misconception(
        "not_even_itself",
        lambda T: np.tril(_square(T), k=-1),
        "The diagonal is hidden. Token 0 may then look at nothing, and a softmax over nothing but "
        "-inf is 0/0. May a token see itself?",
    ),
    Misconception(
        "one_too_far",
        lambda T: np.tril(_square(T), k=1),
        "Every token sees one token of the future: exactly the one that it has to predict.",
    ),
    Misconception(
        "only_the_future",
        lambda T: np.triu(_square(T)),
        "Your mask is transposed. Rows are queries: which triangle may row 0 see?",
    ),
    Misconception(
        "true_means_hidden",
        lambda T: np.triu(_square(T), k=1),
        "Yours is True where a look is forbidden. torch.nn.MultiheadAttention wants it like that; "
        "here, and in torch's scaled_dot_product_attention, True means allowed.",
    ),
    Misconception(
        "nothing_hidden",
        _square,
        "Every token sees every other. What must be False?",
    ),
    Misconception(
        "only_itself",
        lambda T: np.eye(T, dtype=bool),
        "Each token sees itself only. What came before is allowed too.",
    ),
    Misconception(
        "numbers_to_add",
        lambda T: _added(T, -np.inf),
        "These are numbers to add to the scores. Wanted is the yes or no itself: True where a look "
        "is allowed.",
        also=tuple(lambda T, n=n: _added(T, n) for n in (-1.0, -1e9, -1e10, -1e4)),
    ),
)


# scaled_dot_product


def _random_mask(rng, shape, full_rows=True):
    mask = rng.random(shape) < 0.6
    if not full_rows:
        mask[..., 0] = True
    return mask


def _attention_sample(rng):
    q, k, v = _qkv(rng)
    shape = (*q.shape[:-1], k.shape[-2])
    which = rng.integers(4)
    if which == 0:
        return q, k, v
    return q, k, v, _random_mask(rng, shape[-2:] if which == 1 else shape, full_rows=which == 3)


def _attention_oracle(q, k, v, mask=None):
    """One query at a time, with Python's floats."""
    scores = _scores_oracle(q, k)
    visible = np.broadcast_to(True if mask is None else mask, scores.shape)
    out = np.zeros((*q.shape[:-1], v.shape[-1]))
    for b in _leading(q):
        for i in range(q.shape[-2]):
            seen = [j for j in range(k.shape[-2]) if visible[(*b, i, j)]]
            if not seen:
                continue
            top = max(scores[(*b, i, j)] for j in seen)
            e = [math.exp(scores[(*b, i, j)] - top) for j in seen]
            for c in range(v.shape[-1]):
                total = math.fsum(w * v[(*b, j, c)] for w, j in zip(e, seen))
                out[(*b, i, c)] = total / math.fsum(e)
    return out


def _expect_attention(attempt, case, why=""):
    attempt.expect(case, _attention_oracle(*case), why)


def _check_attention_by_hand(attempt):
    q = np.array([[0.0, 0.0, 0.0, 0.0], [2 * math.log(3), 0.0, 0.0, 0.0]])
    k = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    v = np.array([[4.0], [8.0]])
    why = "The scores are 0, 0 and log 3, 0, so the weights are 1/2, 1/2 and 3/4, 1/4."
    attempt.expect((q, k, v), np.array([[6.0], [5.0]]), why)


def _check_attention_random(attempt):
    rng = np.random.default_rng(11)
    for sizes in ((3, 3, 2, 2), (4, 2, 3, 5), (2, 5, 16, 1), (1, 4, 3, 2), (4, 1, 2, 3)):
        _expect_attention(attempt, _qkv(rng, *sizes, leading=()))


def _check_attention_leading(attempt):
    rng = np.random.default_rng(12)
    for leading in ((2,), (2, 3), (3, 1)):
        case = _qkv(rng, 3, 4, 2, 5, leading=leading)
        _expect_attention(attempt, case, "The leading axes are a batch and its heads.")


def _check_attention_large(attempt):
    rng = np.random.default_rng(13)
    q, k, v = _qkv(rng, 3, 4, 2, 3, leading=(), scale=60.0)
    _expect_attention(attempt, (q, k, v), "Scores in the thousands must not overflow.")


def _check_attention_mask(attempt):
    rng = np.random.default_rng(14)
    q, k, v = _qkv(rng, 4, 4, 3, 2, leading=(2,))
    _expect_attention(attempt, (q, k, v, causal_mask(4)), "The mask hides the future.")
    mask = _random_mask(rng, (2, 4, 4), full_rows=False)
    _expect_attention(attempt, (q, k, v, mask), "Each sequence has a mask of its own.")
    padding = np.array([[[True, True, True, False]], [[True, True, False, False]]])
    _expect_attention(attempt, (q, k, v, padding), "The mask (2, 1, 4) hides padding at the end.")
    q, k, v = _qkv(rng, 3, 5, 4, 2, leading=(2, 2))
    mask = _random_mask(rng, (2, 1, 3, 5), full_rows=False)
    _expect_attention(attempt, (q, k, v, mask), "One mask for both heads.")


def _check_attention_full_row(attempt):
    rng = np.random.default_rng(15)
    q, k, v = _qkv(rng, 3, 3, 2, 2, leading=())
    mask = np.array([[False, False, False], [True, False, True], [False, False, False]])
    why = "Queries 0 and 2 may look at nothing: theirs are rows of zeros, not NaN."
    _expect_attention(attempt, (q, k, v, mask), why)


def _check_attention_order(attempt):
    rng = np.random.default_rng(16)
    q, k, v = _qkv(rng, 3, 5, 4, 2, leading=())
    order = rng.permutation(5)
    why = "Keys and values in another order, the same pairs: nothing changes."
    attempt.expect((q, k[order], v[order]), _attention_oracle(q, k, v), why)


def _check_attention_hidden_scores(attempt):
    rng = np.random.default_rng(18)
    q, k, v = _qkv(rng, 3, 4, 2, 3, leading=())
    k[1] = 0.0
    mask = np.array([[True, True, False, True], [False, True, True, False], [True, False, True, True]])
    _expect_attention(attempt, (q, k, v, mask), "Key 1 has the score 0, which is a score like any other where it may be seen.")
    q, k = np.abs(q), np.abs(k)
    k[2] = 1e5
    mask = np.array([[True, True, False, True], [False, True, False, False], [False, False, False, False]])
    why = "The hidden key 2 has a score of about 100,000. It must have no effect, on the shift of the softmax either."
    _expect_attention(attempt, (q, k, v, mask), why)


def _attention_probes():
    rng = np.random.default_rng(17)
    full = np.array([[False, False, False], [True, True, False], [True, True, True]])
    return [
        _qkv(rng, 3, 3, 4, 4, leading=()),
        _qkv(rng, 2, 4, 3, 2, leading=(2,)),
        (*_qkv(rng, 3, 3, 2, 2, leading=(2,)), causal_mask(3)),
        (*_qkv(rng, 3, 3, 2, 3, leading=()), full),
        _qkv(rng, 3, 4, 2, 3, leading=(), scale=60.0),
    ]


def _attend_with(
    scale=lambda q, k: q.shape[-1] ** 0.5,
    product=_product,
    weigh=lambda s, stable: _softmax(s, stable=stable),
    hide=lambda s, mask, low: np.where(mask, s, low),
    after=lambda w, mask, q: w,
    mix=lambda w, k, v: w @ v,
    stable=True,
    low=-np.inf,
    empty_is_zero=False,
):
    """Attention from its parts; the last three say how the softmax is written."""

    def attend(q, k, v, mask=None):
        scores = product(q, k) / scale(q, k)
        if mask is not None:
            scores = hide(scores, mask, low)
        weights = weigh(scores, stable)
        if empty_is_zero and mask is not None:
            weights = np.where(np.isnan(weights), 0.0, weights)
        return mix(after(weights, mask, q), k, v)

    return _quiet(attend)


# The same mistake with each usual way to write the softmax: NaN, zeros or everything for a query
# that sees nothing, and exp without the largest score taken out.
_WAYS = (
    {"empty_is_zero": True},
    {},
    {"low": -1e9},
    {"stable": False},
    {"stable": False, "empty_is_zero": True},
)


def _attention_forms(ways=_WAYS, **parts):
    return tuple(_attend_with(**parts, **way) for way in ways)


def _one(q, k):
    return 1.0


def _divided_after(w, mask, q):
    return w / q.shape[-1] ** 0.5


def _over(axis):
    return lambda s, stable: _softmax(s, axis, stable)


def _over_all(s, stable):
    axes = (-2, -1)
    e = np.exp(s - s.max(axis=axes, keepdims=True)) if stable else np.exp(s)
    return e / e.sum(axis=axes, keepdims=True)


def _masked_after(w, mask, q):
    return w if mask is None else w * mask


def _unmasked(s, mask, low):
    return s


_ATTENTION_WRONG = {
    "no_scale": _attention_forms(scale=_one),
    "scaled_by_d_k": _attention_forms(scale=lambda q, k: q.shape[-1]),
    "scaled_after_the_softmax": _attention_forms(scale=_one, after=_divided_after),
    "scaled_twice": _attention_forms(scale=lambda q, k: q.shape[-1], after=_divided_after)
    + _attention_forms(after=_divided_after),
    "scaled_by_the_length": _attention_forms(scale=lambda q, k: k.shape[-2] ** 0.5),
    "softmax_over_queries": _attention_forms(weigh=_over(-2)) + _attention_forms(weigh=_over(0)),
    "softmax_over_everything": _attention_forms(weigh=_over_all),
    "no_softmax": _attention_forms(weigh=lambda s, stable: s)
    + (_attend_with(weigh=lambda s, stable: s, hide=lambda s, mask, low: np.where(mask, s, 0.0)),),
    "mask_without_effect": _attention_forms(_WAYS[1:4:2], hide=_unmasked),
    "mask_after_the_softmax": _attention_forms(_WAYS[1:4:2], hide=_unmasked, after=_masked_after),
    "true_means_hidden": _attention_forms(hide=lambda s, mask, low: np.where(mask, low, s)),
    "hidden_scores_too_high": sum(
        (
            _attention_forms(_WAYS[1:4:2], hide=hide)
            for hide in (
                lambda s, mask, low: np.where(mask, s, 0.0),
                lambda s, mask, low: np.where(mask, s, -1.0),
                lambda s, mask, low: s + mask,
                lambda s, mask, low: np.where(mask, s, s - 1.0),
                lambda s, mask, low: np.where(mask, s, 1e-9),
            )
        ),
        (),
    ),
    "empty_row_is_nan": (_attend_with(),),
    "empty_row_sees_everything": (_attend_with(low=-1e9),),
    "overflow": _attention_forms(_WAYS[3:]),
    "all_axes_turned_round": _attention_forms(product=lambda q, k: q @ k.T),
    "keys_mixed": _attention_forms(mix=lambda w, k, v: w @ k),
    "weights_returned": _attention_forms(mix=lambda w, k, v: w),
    "keys_ask_queries": _attention_forms(product=lambda q, k: _product(k, q)),
}
_ATTENTION_HINTS = {
    "no_scale": "Your scores are bare dot products. What are they divided by before the softmax?",
    "scaled_by_d_k": "You divide by d_k; the weights come out too even. Which power of d_k?",
    "scaled_after_the_softmax": "You divide the weights, and they no longer sum to 1. Divide the "
    "scores, before the softmax.",
    "scaled_twice": "You divide the scores and then the weights as well. One division, before the "
    "softmax: a row of weights must sum to 1.",
    "scaled_by_the_length": "You divide by the root of the number of keys. d_k is the width of a "
    "key: which axis?",
    "softmax_over_queries": "Your weights sum to 1 down the columns. Each query must share out 1 over "
    "the keys: which axis of the (T_q, T_k) scores are the keys?",
    "softmax_over_everything": "All weights of your matrix together sum to 1. Each query has 1 to "
    "share out: what must `sum` be told?",
    "no_softmax": "You mix the values by the bare scores. Which function turns a row of scores into "
    "weights that sum to 1?",
    "mask_without_effect": "Your mask changes nothing. Where should it enter?",
    "mask_after_the_softmax": "You remove weights after the softmax, so the rest sums to less than 1. "
    "What must a score be, so that the softmax itself gives it 0?",
    "true_means_hidden": "Your queries look exactly where they may not. True means: may look.",
    "hidden_scores_too_high": "A hidden key still gets some weight: a score of 0 or -1 is an ordinary "
    "score. Which score has exp(score) = 0?",
    "empty_row_is_nan": "All is right but for a query that may look at nothing: -inf minus -inf, "
    "or 0/0, is NaN. Give it zeros.",
    "empty_row_sees_everything": "All is right but for a query that may look at nothing: all its scores "
    "are equally low, so it looks everywhere alike. Give it zeros.",
    "overflow": "Right for small scores, NaN for large ones: exp(1000) is inf. What does a stable "
    "softmax subtract first?",
    "all_axes_turned_round": "Right for one sequence, wrong for a batch: `.T` turns round all axes. "
    "Which two must change places?",
    "keys_mixed": "You mix the keys. They are there to be compared with; what is mixed?",
    "weights_returned": "Those are the weights. Use them: what do they weigh?",
    "keys_ask_queries": "You have exchanged queries and keys. A row of scores belongs to a query.",
}
_ATTENTION_MISCONCEPTIONS = misconceptions_of(_ATTENTION_WRONG, _ATTENTION_HINTS)


# multi_head_attention


def _heads_case(rng, T=3, d_model=4, n_heads=2, leading=(), T_k=None, d_context=None, mask=None):
    x = rng.normal(size=(*leading, T, d_model))
    d_in = d_context or d_model
    w_q, w_o = rng.normal(size=(2, d_model, d_model))
    w_k, w_v = rng.normal(size=(2, d_in, d_model))
    case = (x, w_q, w_k, w_v, w_o, n_heads)
    if T_k is not None:
        return (*case, mask, rng.normal(size=(*leading, T_k, d_in)))
    return case if mask is None else (*case, mask)


def _heads_sample(rng):
    T, n_heads = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    leading = [(), (2,), (2, 2)][rng.integers(3)]
    d_model = n_heads * int(rng.integers(1, 4))
    kind = rng.integers(4)
    if kind == 0:
        return _heads_case(rng, T, d_model, n_heads, leading)
    if kind == 1:
        return _heads_case(rng, T, d_model, n_heads, leading, mask=causal_mask(T))
    T_k = int(rng.integers(2, 5))
    mask = _random_mask(rng, (*leading, T, T_k), full_rows=False) if kind == 2 else None
    return _heads_case(rng, T, d_model, n_heads, leading, T_k=T_k, d_context=d_model + 1, mask=mask)


def _heads_oracle(x, w_q, w_k, w_v, w_o, n_heads, mask=None, context=None):
    """Head by head and sequence by sequence, with slices of the weights."""
    context = x if context is None else context
    d_k, d_v = w_q.shape[1] // n_heads, w_v.shape[1] // n_heads
    out = np.zeros((*x.shape[:-1], w_o.shape[1]))
    visible = None if mask is None else np.broadcast_to(mask, (*x.shape[:-1], context.shape[-2]))
    for b in _leading(x):
        for h in range(n_heads):
            keys, values = slice(h * d_k, (h + 1) * d_k), slice(h * d_v, (h + 1) * d_v)
            q, k, v = x[b] @ w_q[:, keys], context[b] @ w_k[:, keys], context[b] @ w_v[:, values]
            out[b] += _attention_oracle(q, k, v, None if mask is None else visible[b]) @ w_o[values]
    return out


def _expect_heads(attempt, case, why=""):
    attempt.expect(case, _heads_oracle(*case), why)


def _check_heads_one(attempt):
    rng = np.random.default_rng(21)
    why = "With one head this is scaled_dot_product between two matrix products."
    _expect_heads(attempt, _heads_case(rng, 3, 4, 1), why)


def _check_heads_apart(attempt):
    """Head 0 reads and writes the first half of the columns only."""
    x = np.array([[1.0, 0.0, 0.0, 2.0], [0.0, 1.0, 3.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    eye = np.eye(4)
    expected = np.hstack([_attention_oracle(h, h, h) for h in (x[:, :2], x[:, 2:])])
    why = "All weights are the identity, so each head attends within its own half of the columns."
    attempt.expect((x, eye, eye, eye, eye, 2), expected, why)


def _check_heads_random(attempt):
    rng = np.random.default_rng(22)
    for T, d_model, n_heads in ((3, 4, 2), (2, 6, 3), (5, 6, 2), (4, 4, 4), (1, 8, 2)):
        _expect_heads(attempt, _heads_case(rng, T, d_model, n_heads))


def _check_heads_leading(attempt):
    rng = np.random.default_rng(23)
    for leading in ((2,), (3,), (2, 2)):
        case = _heads_case(rng, 3, 4, 2, leading)
        _expect_heads(attempt, case, "The leading axes are a batch.")


def _check_heads_mask(attempt):
    rng = np.random.default_rng(24)
    _expect_heads(attempt, _heads_case(rng, 4, 6, 3, mask=causal_mask(4)), "With a causal mask.")
    _expect_heads(attempt, _heads_case(rng, 3, 6, 3, (2,), mask=causal_mask(3)), "One mask for a batch.")
    for B, n_heads in ((2, 2), (3, 2)):
        mask = _random_mask(rng, (B, 4, 4), full_rows=False)
        case = _heads_case(rng, 4, 4, n_heads, (B,), mask=mask)
        why = "mask[b] belongs to sequence b, whatever the head: which axis does it lack?"
        _expect_heads(attempt, case, why)
    mask = _random_mask(rng, (2, 1, 3, 3), full_rows=False)
    _expect_heads(attempt, _heads_case(rng, 3, 4, 2, (2, 2), mask=mask), "A mask (2, 1, T, T).")


def _check_heads_context(attempt):
    rng = np.random.default_rng(25)
    why = "x asks, context answers: keys and values come from it."
    for T, T_k, d_context in ((3, 3, 4), (2, 5, 3), (4, 1, 6)):
        _expect_heads(attempt, _heads_case(rng, T, 4, 2, (), T_k, d_context), why)
    mask = _random_mask(rng, (2, 3, 5), full_rows=False)
    _expect_heads(attempt, _heads_case(rng, 3, 4, 2, (2,), 5, 3, mask), why)


def _check_heads_widths(attempt):
    rng = np.random.default_rng(26)
    x, w_q, w_k = rng.normal(size=(3, 4)), rng.normal(size=(4, 6)), rng.normal(size=(4, 6))
    case = (x, w_q, w_k, rng.normal(size=(4, 2)), rng.normal(size=(2, 5)), 2)
    _expect_heads(attempt, case, "Here d_k is 3, d_v is 1 and d_out is 5.")


def _heads_probes():
    rng = np.random.default_rng(27)
    mask = np.array([[[True, False, True], [True, True, False], [False, True, True]], causal_mask(3)])
    return [
        _heads_case(rng, 3, 4, 2),
        _heads_case(rng, 2, 6, 3, (2,)),
        _heads_case(rng, 3, 4, 2, mask=causal_mask(3)),
        _heads_case(rng, 3, 4, 2, (2,), mask=mask),
        _heads_case(rng, 3, 4, 2, (), 3, 4),
    ]


def _heads_with(
    split=split_heads,
    join=lambda heads, T: np.swapaxes(heads, -2, -3).reshape(*heads.shape[:-3], T, -1),
    sources=lambda x, context: (x, context, context),
    attend=scaled_dot_product,
    expand=lambda mask, x: mask[..., None, :, :] if mask.ndim > 2 else mask,
    project=lambda x, w: x @ w,
    last=lambda joined, w: joined @ w,
    heads=lambda n: n,
):
    """Multi-head attention from its parts."""

    def run(x, w_q, w_k, w_v, w_o, n_heads, mask=None, context=None):
        askers, keepers, givers = sources(x, x if context is None else context)
        n_heads = heads(n_heads)
        q, k, v = (
            split(project(source, w), n_heads)
            for source, w in ((askers, w_q), (keepers, w_k), (givers, w_v))
        )
        out = attend(q, k, v, None if mask is None else expand(mask, x))
        return last(join(out, askers.shape[-2]), w_o)

    return _quiet(run)


def _cut_across_tokens(x, n_heads):
    return x.reshape(*x.shape[:-2], n_heads, x.shape[-2], -1)


def _joined_as_they_lie(heads, T):
    return heads.reshape(*heads.shape[:-3], T, -1)


def _dealt_out(x, n_heads):
    return np.moveaxis(x.reshape(*x.shape[:-1], -1, n_heads), -1, -3)


def _dealt_back(heads, T):
    return np.moveaxis(heads, -3, -1).reshape(*heads.shape[:-3], T, -1)


def _scale_of(factor):
    """scaled_dot_product with another scale: q times the factor for (n_heads, d_k)."""
    return lambda q, k, v, mask: scaled_dot_product(q * factor(q.shape[-3], q.shape[-1]), k, v, mask)


def _inverted(attend):
    return lambda q, k, v, mask: attend(q, k, v, None if mask is None else ~mask)


def _across_heads(q, k, v, mask):
    """Every head looks at the other heads of its own token."""
    q, k, v = (np.swapaxes(part, -2, -3) for part in (q, k, v))
    return np.swapaxes(scaled_dot_product(q, k, v), -2, -3)


_HEADS_WRONG = {
    "cut_across_tokens": (
        _heads_with(split=_cut_across_tokens, join=_joined_as_they_lie),
        _heads_with(split=_cut_across_tokens),
    ),
    "joined_without_swapping_back": (_heads_with(join=_joined_as_they_lie),),
    "columns_dealt_out": (
        _heads_with(split=_dealt_out),
        _heads_with(split=_dealt_out, join=_dealt_back),
    ),
    "one_head": (_heads_with(heads=lambda n: 1),),
    "scaled_by_d_model": (_heads_with(attend=_scale_of(lambda n, d: n**-0.5)),),
    "no_scale": (_heads_with(attend=_scale_of(lambda n, d: d**0.5)),),
    "scaled_twice": (_heads_with(attend=_scale_of(lambda n, d: d**-0.5)),),
    "w_o_forgotten": (_heads_with(last=lambda joined, w: joined),),
    "weights_transposed": (
        _heads_with(project=lambda x, w: x @ w.T, last=lambda joined, w: joined @ w.T),
        _heads_with(project=lambda x, w: x @ w.T),
        _heads_with(last=lambda joined, w: joined @ w.T),
    ),
    "context_ignored": (_heads_with(sources=lambda x, c: (x, x, x)),),
    "context_asks": (
        _heads_with(sources=lambda x, c: (c, x, x)),
        _heads_with(sources=lambda x, c: (c, c, c)),
    ),
    "only_keys_from_context": (_heads_with(sources=lambda x, c: (x, c, x)),),
    "only_values_from_context": (_heads_with(sources=lambda x, c: (x, x, c)),),
    "mask_forgotten": (_heads_with(attend=lambda q, k, v, mask: scaled_dot_product(q, k, v)),),
    "true_means_hidden": tuple(  # its empty rows are zeros, NaN or means
        _heads_with(attend=_inverted(attend))
        for attend in (scaled_dot_product, _attend_with(), _attend_with(low=-1e9))
    ),
    "mask_meets_the_heads": (_heads_with(expand=lambda mask, x: mask),),
    "heads_look_at_heads": (_heads_with(attend=_across_heads),),
}
_HEADS_HINTS = {
    "cut_across_tokens": "One reshape to (n_heads, T, d_k) cuts the rows, not the columns: a head then "
    "holds pieces of several tokens. First (T, n_heads, d_k), then change two axes.",
    "joined_without_swapping_back": "The heads are right, and you join them as they lie in memory: "
    "tokens get mixed. Which two axes must change places before the reshape?",
    "columns_dealt_out": "You deal the columns out to the heads in turn. Head h owns a block of "
    "neighbours: n_heads comes before d_k in the reshape.",
    "one_head": "n_heads has no effect: that is one wide head. Where are the columns split?",
    "scaled_by_d_model": "Your scores are divided by the root of d_model. Each head compares vectors "
    "of which width?",
    "no_scale": "Your scores are not divided by the root of d_k.",
    "scaled_twice": "Your scores are divided twice; scaled_dot_product does it already.",
    "w_o_forgotten": "You return the joined heads. Which matrix lets them mix?",
    "weights_transposed": "You multiply by a transposed weight, as torch.nn.Linear stores it. Here it "
    "is x @ w.",
    "context_ignored": "You never look at the context. Whose keys and values are needed?",
    "context_asks": "The queries must come from x: one output row for each row of x.",
    "only_keys_from_context": "The weights are right, but you mix values of x. A value comes from the "
    "same place as its key.",
    "only_values_from_context": "You compare x with x and then take values from the context. A key "
    "comes from the same place as its value.",
    "mask_forgotten": "Your mask changes nothing. Hand it on.",
    "true_means_hidden": "Your queries look exactly where they may not. True means: may look.",
    "mask_meets_the_heads": "A mask (B, T, T_k) meets scores (B, n_heads, T, T_k): its axis B is "
    "lined up with the heads. Which axis does it lack?",
    "heads_look_at_heads": "Your tokens never look at each other: the softmax runs over the heads. "
    "Which axis must come last but one?",
}
_HEADS_MISCONCEPTIONS = misconceptions_of(_HEADS_WRONG, _HEADS_HINTS)


# rows_sum_to_one and sees_the_future: the learner's own tests, tried on good and faulty attention


def _truth(value):
    return bool(value) if isinstance(value, np.bool_) else value


def _tried_on(subjects):
    """Drive for an exercise whose learner gets a function: the case is its name."""
    return lambda work, name: _truth(work(subjects[name]))


def _with_weights(weights):
    """An attention from its weights; the factor stands for the rounding of other machines."""
    return _quiet(lambda q, k, v: weights(q, k) @ v * (1 + 1e-10))


def _scaled(q, k, power=0.5):
    return _product(q, k) / q.shape[-1] ** power


def _total_of_the_first_row(q, k):
    e = np.exp(_scaled(q, k))
    return e / e[0].sum()


def _first_row_only(q, k):
    weights = _softmax(_scaled(q, k))
    return np.vstack([weights[:1], weights[1:] * 0.9])


def _last_row_only(q, k):
    weights = _softmax(_scaled(q, k))
    return np.vstack([weights[:-1] * 1.1, weights[-1:]])


def _last_row_wrong(q, k):
    weights = _softmax(_scaled(q, k))
    return np.vstack([weights[:-1], weights[-1:] * 1.1])


MIXES = {  # name -> attend(q, k, v); the second column says whether its rows sum to 1
    "attention": (_with_weights(lambda q, k: _softmax(_scaled(q, k))), True),
    "attention without scale": (_with_weights(lambda q, k: _softmax(_scaled(q, k, 0))), True),
    "a plain mean": (_with_weights(lambda q, k: np.full((len(q), len(k)), 1 / len(k))), True),
    "only the best key": (lambda q, k, v: v[_product(q, k).argmax(axis=-1)], True),
    "signed weights": (
        _with_weights(lambda q, k: 2 * _softmax(_scaled(q, k)) - 1 / len(k)),
        True,
    ),
    "scaled twice": (
        _with_weights(lambda q, k: _softmax(_scaled(q, k, 1)) / q.shape[-1] ** 0.5),
        False,
    ),
    "scaled after the softmax": (
        _with_weights(lambda q, k: _softmax(_scaled(q, k, 0)) / q.shape[-1] ** 0.5),
        False,
    ),
    "softmax over queries": (_with_weights(lambda q, k: _softmax(_scaled(q, k), axis=0)), False),
    "right on average": (
        _with_weights(lambda q, k: _over_all(_scaled(q, k), True) * len(q)),
        False,
    ),
    "one total for all": (_with_weights(_total_of_the_first_row), False),
    "no softmax": (_with_weights(_scaled), False),
    "first row only": (_with_weights(_first_row_only), False),
    "last row only": (_with_weights(_last_row_only), False),
    "last row wrong": (_with_weights(_last_row_wrong), False),
}
_MIX_FUNCTIONS = {name: attend for name, (attend, _) in MIXES.items()}


def _expect_named(attempt, subjects, names, why):
    for name in names:
        attempt.expect((name,), subjects[name][1], f"{why} ({name}).")


def _check_sums_good(attempt):
    names = [name for name, (_, good) in MIXES.items() if good]
    _expect_named(attempt, MIXES, names, "Here every row of weights sums to 1, but for rounding")


def _check_sums_scaled(attempt):
    names = ("scaled twice", "scaled after the softmax", "no softmax")
    _expect_named(attempt, MIXES, names, "Here the rows don't sum to 1")


def _check_sums_axis(attempt):
    names = ("softmax over queries", "right on average", "one total for all")
    _expect_named(attempt, MIXES, names, "Here some rows sum to more than 1 and others to less")


def _check_sums_rows(attempt):
    names = ("first row only", "last row only", "last row wrong")
    _expect_named(attempt, MIXES, names, "Here a single row, or all but one, is wrong")


def _named_probes(subjects):
    return lambda: [(name,) for name in subjects]


def _named_sample(subjects):
    return lambda rng: (list(subjects)[rng.integers(len(subjects))],)


def _weights_of(attend, T_q, T_k, alike=False):
    """With the identity for values the output is the weights."""
    rng = np.random.default_rng(3)
    q, k = rng.normal(size=(T_q, 8)), rng.normal(size=(T_k, 8))
    return attend(np.ones_like(q) if alike else q, k, np.eye(T_k))


def _near(value):
    return bool(np.allclose(value, 1))


def _test_forms(test):
    """A learner's test of the weights, with queries and keys of several sizes."""
    return tuple(
        _quiet(lambda attend, sizes=sizes: test(_weights_of(attend, *sizes)))
        for sizes in ((5, 7), (6, 6), (4, 3))
    )


_SUMS_WRONG = {
    "sums_down_the_columns": _test_forms(lambda weights: _near(weights.sum(axis=0))),
    "only_the_mean": _test_forms(lambda weights: _near(weights.sum(axis=-1).mean())),
    "queries_alike": tuple(
        _quiet(lambda attend, sizes=sizes: _near(_weights_of(attend, *sizes, alike=True).sum(axis=-1)))
        for sizes in ((5, 7), (6, 6), (4, 3))
    ),
    "first_row_only": _test_forms(lambda weights: _near(weights[0].sum())),
    "last_row_only": _test_forms(lambda weights: _near(weights[-1].sum())),
    "exactly_one": _test_forms(lambda weights: bool((weights.sum(axis=-1) == 1).all())),
    "answer_turned_round": _test_forms(lambda weights: not _near(weights.sum(axis=-1))),
}
_SUMS_HINTS = {
    "sums_down_the_columns": "You add up the weights that one key gets from all queries. Each query "
    "shares out 1: over which axis do you sum?",
    "only_the_mean": "You look at the mean of the sums. One row may have 2 and another 0: what must "
    "hold for each of them?",
    "queries_alike": "Your queries are all alike, so one row of weights stands for all, and rows that share out "
    "more or less than another never show. Draw q and k at random.",
    "first_row_only": "You look at the first query only.",
    "last_row_only": "You look at the last query only.",
    "exactly_one": "Your test turns down a right attention: a sum of floats is rarely exactly 1. Which "
    "function compares with a tolerance?",
    "answer_turned_round": "You answer True for the faulty ones. True means: every row sums to 1.",
}
_SUMS_MISCONCEPTIONS = misconceptions_of(_SUMS_WRONG, _SUMS_HINTS)


def _self(mask=lambda T: causal_mask(T), before=lambda x: x, after=lambda y: y):
    """Self-attention on x with a mask; `before` and `after` may look at the whole sequence."""

    def attend(x):
        x = before(x)
        return after(scaled_dot_product(x, x, x, mask(len(x))))

    return attend


def _prefix(T):
    mask = causal_mask(T)
    mask[:2, :2] = True
    return mask


def _last_seen_by_first(T):
    mask = causal_mask(T)
    mask[0, -1] = True
    return mask


def _one_in_the_middle(T):
    mask = causal_mask(T)
    mask[T // 2 - 1, T // 2] = True
    return mask


def _running_mean(x):
    return x.cumsum(axis=0) / np.arange(1, len(x) + 1)[:, None]


LAYERS = {  # name -> attend(x); the second column says whether it sees the future
    "causal": (_self(), False),
    "running mean": (_running_mean, False),
    "only the token before": (_self(lambda T: np.eye(T, k=-1, dtype=bool)), False),
    "each token by itself": (lambda x: 2 * x, False),
    "constant": (lambda x: np.ones_like(x), False),
    "no mask": (_self(lambda T: None), True),
    "one too far": (_self(lambda T: np.tril(_square(T), k=1)), True),
    "only the next token": (_self(lambda T: np.eye(T, k=1, dtype=bool)), True),
    "mask transposed": (_self(lambda T: np.triu(_square(T))), True),
    "only the token after the next": (_self(lambda T: np.eye(T, k=2, dtype=bool)), True),
    "first two see each other": (_self(_prefix), True),
    "one token sees the next": (_self(_one_in_the_middle), True),
    "first sees last": (_self(_last_seen_by_first), True),
    "mean of the sequence subtracted": (_self(before=lambda x: x - x.mean(axis=0)), True),
}
_LAYER_FUNCTIONS = {name: attend for name, (attend, _) in LAYERS.items()}


def _check_future_good(attempt):
    names = [name for name, (_, leaks) in LAYERS.items() if not leaks]
    _expect_named(attempt, LAYERS, names, "Nothing here depends on a later token")


def _check_future_plain(attempt):
    _expect_named(attempt, LAYERS, ("no mask", "mask transposed"), "Every token sees later ones")


def _check_future_near(attempt):
    names = ("one too far", "only the next token")
    _expect_named(attempt, LAYERS, names, "A token sees the next one")
    _expect_named(attempt, LAYERS, ("only the token after the next",), "A token sees the one two places on")


def _check_future_hidden(attempt):
    names = ("first two see each other", "one token sees the next", "first sees last")
    _expect_named(attempt, LAYERS, names, "There is one leak here")
    _expect_named(attempt, LAYERS, ("mean of the sequence subtracted",), "Every token enters the mean")


def _moved(attend, t, rows, T=6, size=1.0):
    """Do some rows of the output move when token t changes?"""
    x = np.random.default_rng(5).normal(size=(T, 4))
    changed = x.copy()
    changed[t] += size
    return not np.allclose(attend(changed)[rows], attend(x)[rows])


def _any_moved(attend, places, rows):
    return any(_moved(attend, t, rows(t)) for t in places)


_FUTURE_MISCONCEPTIONS = (
    Misconception(
        "answer_turned_round",
        lambda a: not _any_moved(a, range(1, 6), lambda t: slice(t)),
        "You answer True for the causal ones. True means: it sees the future.",
        also=(lambda a: not _moved(a, -1, slice(-1)),),
    ),
    Misconception(
        "only_the_last_token_changed",
        lambda a: _moved(a, -1, slice(-1)),
        "You change the last token only. A leak between the first two tokens goes unseen: which "
        "tokens must be changed in turn?",
    ),
    Misconception(
        "only_the_first_output_watched",
        lambda a: _moved(a, -1, 0),
        "You watch the first output only. A token that sees just the one after it goes unseen.",
        also=(lambda a: _any_moved(a, range(1, 6), lambda t: 0),),
    ),
    Misconception(
        "only_neighbours",
        lambda a: _any_moved(a, range(1, 6), lambda t: t - 1),
        "You watch only the output just before the changed token. A leak may reach further back.",
    ),
    Misconception(
        "own_output_watched",
        lambda a: _moved(a, -1, slice(None)),
        "A token's own output may move when it changes, and yours counts that. Which rows come "
        "before token t?",
        also=(
            lambda a: _any_moved(a, range(1, 6), lambda t: slice(t + 1)),
            lambda a: _any_moved(a, range(6), lambda t: slice(None)),
        ),
    ),
    Misconception(
        "the_past_changed",
        lambda a: _moved(a, 0, slice(1, None)),
        "You change an early token and watch later outputs. They may move; which ones may not?",
        also=(lambda a: _any_moved(a, range(5), lambda t: slice(t + 1, None)),),
    ),
)


EXERCISES = (
    Exercise(
        id="attention.attention_scores",
        reference=attention_scores,
        difficulty=1,
        minutes=5,
        section="Compare, share out, mix",
        hints=(
            "All dot products of rows of q with rows of k are one matrix product.",
            "The last two axes of k must change places: np.swapaxes(k, -1, -2), or k.swapaxes(-1, -2).",
            "Divide by np.sqrt(q.shape[-1]).",
        ),
        checks=(
            Check("two numbers by hand", _check_scores_by_hand),
            Check("random queries and keys", _check_scores_random),
            Check("a batch, heads", _check_scores_leading),
            Check("edge cases", _check_scores_edges),
            Check("a query twice as long", _check_scores_linear),
        ),
        misconceptions=_SCORES_MISCONCEPTIONS,
        probes=_scores_probes,
        sample=_scores_sample,
    ),
    Exercise(
        id="attention.causal_mask",
        reference=causal_mask,
        difficulty=1,
        minutes=5,
        section="The future must not be seen",
        hints=(
            "Row i may look at the columns 0 to i.",
            "Compare column numbers with row numbers: np.arange(T)[None, :] and np.arange(T)[:, None].",
            "Or keep the lower triangle of a matrix of True: np.tril.",
        ),
        checks=(
            Check("three tokens by hand", _check_mask_by_hand),
            Check("one token", _check_mask_one),
            Check("other lengths", _check_mask_sizes),
            Check("how many each token sees", _check_mask_counts),
        ),
        misconceptions=_MASK_MISCONCEPTIONS,
        probes=_mask_probes,
        sample=_mask_sample,
    ),
    Exercise(
        id="attention.scaled_dot_product",
        reference=scaled_dot_product,
        difficulty=3,
        minutes=12,
        section="Compare, share out, mix",
        hints=(
            "Three lines: scores by your attention_scores, weights by a stable softmax over the last "
            "axis, weights @ v.",
            "With a mask: np.where(mask, scores, -np.inf) before the softmax.",
            "For a query that may look at nothing the largest score is -inf and the sum of the exp is "
            "0: use 0 in place of such a maximum, and divide by at least 1.",
        ),
        checks=(
            Check("two queries by hand", _check_attention_by_hand),
            Check("random queries, keys, values", _check_attention_random),
            Check("a batch, heads", _check_attention_leading),
            Check("masks", _check_attention_mask),
            Check("large scores", _check_attention_large),
            Check("a query that may look at nothing", _check_attention_full_row),
            Check("another order of the keys", _check_attention_order),
            Check("scores of 0, and large ones that are hidden", _check_attention_hidden_scores),
        ),
        misconceptions=_ATTENTION_MISCONCEPTIONS,
        probes=_attention_probes,
        sample=_attention_sample,
    ),
    Exercise(
        id="attention.multi_head_attention",
        reference=multi_head_attention,
        difficulty=4,
        minutes=20,
        section="Several heads",
        hints=(
            "q = x @ w_q, k and v from the context (x where it is None). Split each: reshape the last "
            "axis to (n_heads, d_k), then swap the axes of tokens and heads.",
            "scaled_dot_product takes any leading axes, so all heads go in one call. A mask with more "
            "than two axes needs one for the heads: mask[..., None, :, :].",
            "Join: swap tokens and heads back, reshape the last two axes to one, multiply by w_o.",
        ),
        checks=(
            Check("heads keep apart", _check_heads_apart),
            Check("one head", _check_heads_one),
            Check("random sizes", _check_heads_random),
            Check("a batch", _check_heads_leading),
            Check("masks", _check_heads_mask),
            Check("a context", _check_heads_context),
            Check("other widths", _check_heads_widths),
        ),
        misconceptions=_HEADS_MISCONCEPTIONS,
        probes=_heads_probes,
        sample=_heads_sample,
    ),
    Exercise(
        id="attention.sees_the_future",
        reference=sees_the_future,
        difficulty=2,
        minutes=8,
        section="The future must not be seen",
        hints=(
            "Run it once on random x, change one token in a copy, run it again, compare.",
            "When token t changes, only the outputs [:t] must stay. np.allclose compares.",
            "Do so for every t from 1 on; one output that moves is enough for True.",
        ),
        checks=(
            Check("layers without a leak", _check_future_good),
            Check("everything leaks", _check_future_plain),
            Check("the next token leaks", _check_future_near),
            Check("one hidden leak", _check_future_hidden),
        ),
        misconceptions=_FUTURE_MISCONCEPTIONS,
        probes=_named_probes(LAYERS),
        sample=_named_sample(LAYERS),
        drive=_tried_on(_LAYER_FUNCTIONS),
        arguments=lambda name: (LAYERS[name][0],),
    ),
    Exercise(
        id="attention.rows_sum_to_one",
        reference=rows_sum_to_one,
        difficulty=2,
        minutes=8,
        section="What the articles say",
        hints=(
            "You may choose the values. Which values make the output show the weights?",
            "With v all ones the output is the sum of each query's weights; with v the identity it is "
            "the weights themselves.",
            "Random q and k, then np.allclose(attend(q, k, np.ones((len(k), 1))), 1).",
        ),
        checks=(
            Check("right ones", _check_sums_good),
            Check("scaled or not normalised", _check_sums_scaled),
            Check("normalised over another axis", _check_sums_axis),
            Check("single rows", _check_sums_rows),
        ),
        misconceptions=_SUMS_MISCONCEPTIONS,
        probes=_named_probes(MIXES),
        sample=_named_sample(MIXES),
        drive=_tried_on(_MIX_FUNCTIONS),
        arguments=lambda name: (MIXES[name][0],),
    ),
)
