"""Wrong answers that no misconception describes."""

import numpy as np

from bigmodel_nb.exercises.attention import (
    attention_scores,
    causal_mask,
    multi_head_attention,
    rows_sum_to_one,
    scaled_dot_product,
    sees_the_future,
)

# attention_scores


def negative_distance(q, k):
    return -((q[..., :, None, :] - k[..., None, :, :]) ** 2).sum(axis=-1)


def turned_sign(q, k):
    return -attention_scores(q, k)


def centred_queries(q, k):
    return attention_scores(q - q.mean(axis=-1, keepdims=True), k)


def without_last_column(q, k):
    return q[..., :-1] @ np.swapaxes(k[..., :-1], -1, -2) / np.sqrt(q.shape[-1])


def scores_as_list(q, k):
    return attention_scores(q, k).tolist()


def usual_width_always(q, k):
    return attention_scores(q, k) * np.sqrt(q.shape[-1]) / 8


def half_precision_scores(q, k):
    return attention_scores(q, k).astype(np.float32)


# causal_mask


def window_of_two(T):
    return causal_mask(T) & ~np.tril(np.ones((T, T), dtype=bool), k=-2)


def as_numbers(T):
    return causal_mask(T).astype(float)


def nothing_visible(T):
    return np.zeros((T, T), dtype=bool)


def anti_diagonal(T):
    return causal_mask(T)[:, ::-1].copy()


def one_row(T):
    return np.ones(T, dtype=bool)


def one_larger(T):
    return causal_mask(T + 1)


# scaled_dot_product


def hard_choice(q, k, v, mask=None):
    scores = attention_scores(q, k)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    return np.take_along_axis(v, scores.argmax(axis=-1)[..., None], axis=-2)


def sigmoid_weights(q, k, v, mask=None):
    with np.errstate(over="ignore"):
        weights = 1 / (1 + np.exp(-attention_scores(q, k)))
    return (weights if mask is None else np.where(mask, weights, 0)) @ v


def cold(q, k, v, mask=None):
    return scaled_dot_product(2 * q, k, v, mask)


def residual(q, k, v, mask=None):
    out = scaled_dot_product(q, k, v, mask)
    return out + v.mean(axis=-2, keepdims=True)


def plain_mean(q, k, v, mask=None):
    return np.repeat(v.mean(axis=-2, keepdims=True), q.shape[-2], axis=-2)


def always_causal(q, k, v, mask=None):
    visible = np.tril(np.ones((q.shape[-2], k.shape[-2]), dtype=bool))
    return scaled_dot_product(q, k, v, visible if mask is None else visible & mask)


def one_sequence_only(q, k, v, mask=None):
    out = scaled_dot_product(q, k, v, mask)
    out[..., 1:, :] = out[..., :1, :]
    return out


def clipped_scores(q, k, v, mask=None):
    scores = np.clip(attention_scores(q, k), -1, 1)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    with np.errstate(invalid="ignore"):
        e = np.exp(scores)
        return np.nan_to_num(e / e.sum(axis=-1, keepdims=True)) @ v


# multi_head_attention


def first_head_only(x, w_q, w_k, w_v, w_o, n_heads, mask=None, context=None):
    width = w_v.shape[1] // n_heads
    return multi_head_attention(x, w_q, w_k, w_v * (np.arange(w_v.shape[1]) < width), w_o, n_heads, mask, context)


def heads_in_reverse(x, w_q, w_k, w_v, w_o, n_heads, mask=None, context=None):
    blocks = np.split(w_o, n_heads)
    return multi_head_attention(x, w_q, w_k, w_v, np.vstack(blocks[::-1]), n_heads, mask, context)


def with_residual(x, w_q, w_k, w_v, w_o, n_heads, mask=None, context=None):
    out = multi_head_attention(x, w_q, w_k, w_v, w_o, n_heads, mask, context)
    return out + x if out.shape == x.shape else out


def divided_by_heads(x, w_q, w_k, w_v, w_o, n_heads, mask=None, context=None):
    return multi_head_attention(x, w_q, w_k, w_v, w_o, n_heads, mask, context) / n_heads


def keys_for_queries(x, w_q, w_k, w_v, w_o, n_heads, mask=None, context=None):
    return multi_head_attention(x, w_k if context is None else w_q, w_q if context is None else w_k, w_v, w_o,
                                n_heads, mask, context)


def values_by_keys(x, w_q, w_k, w_v, w_o, n_heads, mask=None, context=None):
    return multi_head_attention(x, w_q, w_k, w_k, w_o, n_heads, mask, context)


# rows_sum_to_one


def looks_at_the_size(attend):
    rng = np.random.default_rng(1)
    q, k, v = rng.normal(size=(3, 5, 4))
    return bool(np.abs(attend(q, k, v)).max() < 0.6)


def far_too_tolerant(attend):
    rng = np.random.default_rng(2)
    q, k = rng.normal(size=(2, 6, 4))
    return bool(np.abs(attend(q, k, np.ones((6, 1))) - 1).max() < 0.6)


def also_columns(attend):
    weights = attend(np.ones((4, 3)), np.ones((4, 3)), np.eye(4))
    return bool(np.allclose(weights.sum(axis=0), 1) and np.allclose(weights.sum(axis=1), 1))


def all_positive(attend):
    rng = np.random.default_rng(3)
    return bool((attend(rng.normal(size=(5, 4)), rng.normal(size=(6, 4)), np.eye(6)) >= 0).all())


def no_answer(attend):
    return "yes" if rows_sum_to_one(attend) else "no"


# sees_the_future


def only_even_tokens(attend):
    x = np.random.default_rng(6).normal(size=(6, 4))
    changed = x.copy()
    changed[2::2] += 1
    return not np.allclose(attend(changed)[:2], attend(x)[:2])


def large_moves_only(attend):
    x = np.random.default_rng(7).normal(size=(6, 4))
    changed = x.copy()
    changed[3] += 1
    return bool(np.abs(attend(changed) - attend(x))[:3].max() > 0.5)


def by_shape(attend):
    return attend(np.zeros((5, 3))).shape != (5, 3)


def shuffled(attend):
    x = np.random.default_rng(8).normal(size=(6, 4))
    return not np.allclose(attend(x[::-1])[::-1], attend(x))


def how_many(attend):
    return int(sees_the_future(attend))


def a_score_of_zero_hidden(q, k, v, mask=None):
    scores = attention_scores(q, k)
    if mask is None:
        return scaled_dot_product(q, k, v)
    return scaled_dot_product(q, k, v, scores * mask != 0)


def shifted_by_a_hidden_score(q, k, v, mask=None):
    scores = attention_scores(q, k)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    e = e if mask is None else e * mask
    total = e.sum(axis=-1, keepdims=True)
    return e @ v / np.where(total == 0, 1, total)


def two_tokens(attend):
    x = np.array([[0.5, -1.0, 2.0], [1.0, 0.3, -0.2]])
    return not np.allclose(attend(x)[0], attend(np.vstack([x[:1], -3 * x[1:]]))[0])


OUTSIDE = {
    "attention.attention_scores": [
        negative_distance,
        turned_sign,
        centred_queries,
        without_last_column,
        scores_as_list,
        usual_width_always,
        half_precision_scores,
    ],
    "attention.causal_mask": [
        window_of_two,
        as_numbers,
        nothing_visible,
        anti_diagonal,
        one_row,
        one_larger,
    ],
    "attention.scaled_dot_product": [
        hard_choice,
        sigmoid_weights,
        cold,
        residual,
        plain_mean,
        always_causal,
        one_sequence_only,
        clipped_scores,
        a_score_of_zero_hidden,
        shifted_by_a_hidden_score,
    ],
    "attention.multi_head_attention": [
        first_head_only,
        heads_in_reverse,
        with_residual,
        divided_by_heads,
        keys_for_queries,
        values_by_keys,
    ],
    "attention.rows_sum_to_one": [
        looks_at_the_size,
        far_too_tolerant,
        also_columns,
        all_positive,
        no_answer,
    ],
    "attention.sees_the_future": [
        only_even_tokens,
        large_moves_only,
        by_shape,
        shuffled,
        how_many,
        two_tokens,
    ],
}
