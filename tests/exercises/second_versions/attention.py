"""Each misconception once more, in another style and with other names."""

import math

import numpy as np


def noiseless(work):
    def run(*args):
        with np.errstate(all="ignore"):
            return work(*args)

    return run


def einsum_scores(q, k):
    return np.einsum("...qd,...kd->...qk", q, k)


def broadcast_scores(q, k):
    return (np.expand_dims(q, -2) * np.expand_dims(k, -3)).sum(-1)


SCORES = {
    "no_scale": [einsum_scores, broadcast_scores],
    "scaled_by_d_k": [lambda q, k: einsum_scores(q / k.shape[-1], k), lambda q, k: np.mean(np.expand_dims(q, -2) * np.expand_dims(k, -3), -1)],
    "multiplied_by_the_root": [lambda q, k: np.sqrt(np.size(q, -1)) * broadcast_scores(q, k)],
    "scaled_by_the_length": [
        lambda q, k: einsum_scores(q, k) / math.sqrt(np.size(k, -2)),
        lambda q, k: broadcast_scores(q / np.size(q, -2) ** 0.5, k),
    ],
    "all_axes_turned_round": [lambda q, k: np.matmul(q, np.transpose(k)) / math.sqrt(np.shape(q)[-1])],
    "keys_ask_queries": [lambda q, k: np.einsum("...qd,...kd->...kq", q, k) * np.size(q, -1) ** -0.5],
    "each_with_its_own_key": [lambda q, k: np.einsum("...td,...td->...t", q, k) / math.sqrt(q.shape[-1])],
    "softmax_already_taken": [
        lambda q, k: np.apply_along_axis(share, -1, einsum_scores(q, k) / math.sqrt(q.shape[-1]))
    ],
    "cosine": [
        lambda q, k: einsum_scores(q, k)
        / np.sqrt((q * q).sum(-1)[..., :, None] * (k * k).sum(-1)[..., None, :])
    ],
}


def share(row):
    weights = np.exp(row - np.max(row))
    return weights / weights.sum()


def by_rule(rule):
    """A mask from a rule for one query and one key."""

    def mask(n):
        return np.fromfunction(np.vectorize(rule, otypes=[bool]), (n, n)).reshape(n, n)

    return mask


def penalties(n):
    out = np.zeros((n, n))
    out[np.triu_indices(n, 1)] = -math.inf
    return out


MASK = {
    "not_even_itself": [by_rule(lambda i, j: j < i)],
    "one_too_far": [by_rule(lambda i, j: j <= i + 1)],
    "only_the_future": [by_rule(lambda i, j: j >= i)],
    "true_means_hidden": [by_rule(lambda i, j: j > i)],
    "nothing_hidden": [by_rule(lambda i, j: True)],
    "only_itself": [by_rule(lambda i, j: i == j)],
    "numbers_to_add": [penalties],
}


class Attention:
    """Every mistake is a switch; one row of queries at a time."""

    def __init__(self, divide="root", axis="keys", later=1.0, hidden=-math.inf, when="before", invert=False,
                 transpose=False, mix="values", empty="zero", safe=True, ask=False, shared="softmax"):
        self.__dict__.update(locals())

    def __call__(self, q, k, v, mask=None):
        with np.errstate(all="ignore"):
            return self.run(q, k, v, mask)

    def run(self, q, k, v, mask):
        scores = np.matmul(q, np.transpose(k)) if self.transpose else einsum_scores(q, k)
        if self.ask:
            scores = einsum_scores(k, q)
        width = q.shape[-1]
        scores = scores * {"root": width**-0.5, "width": 1 / width, "none": 1.0, "length": k.shape[-2] ** -0.5}[self.divide]
        if mask is not None:
            see = np.broadcast_to(~mask if self.invert else mask, scores.shape)
            if self.when == "before":
                scores = scores.copy()
                scores[~see] = self.hidden
        weights = self.weigh(scores)
        if mask is not None and self.empty == "zero":
            weights[np.isnan(weights)] = 0
        if mask is not None and self.when == "after":
            weights = np.where(see, weights, 0)
        if self.later != 1.0:
            weights = weights * width**self.later
        if self.mix == "none":
            return weights
        return np.matmul(weights, {"values": v, "keys": k}[self.mix])

    def weigh(self, scores):
        if self.shared == "nothing":
            return scores
        axis = {"keys": -1, "queries": -2, "all": (-2, -1), "first": 0}[self.axis]
        top = np.max(scores, axis=axis, keepdims=True) if self.safe else 0.0
        e = np.exp(scores - top)
        return np.divide(e, np.sum(e, axis=axis, keepdims=True))


def ways(**mistake):
    """A mistake with different habits for the empty row and for large scores."""
    habits = ({}, {"empty": "nan"}, {"empty": "nan", "hidden": -1e9}, {"empty": "nan", "safe": False})
    return [Attention(**{**mistake, **habit}) for habit in habits]


ATTENTION = {
    "no_scale": ways(divide="none"),
    "scaled_by_d_k": ways(divide="width"),
    "scaled_after_the_softmax": ways(divide="none", later=-0.5),
    "scaled_twice": ways(divide="width", later=-0.5) + ways(later=-0.5),
    "scaled_by_the_length": ways(divide="length"),
    "softmax_over_queries": ways(axis="queries") + ways(axis="first"),
    "softmax_over_everything": ways(axis="all"),
    "no_softmax": [Attention(shared="nothing", hidden=0.0), Attention(shared="nothing", hidden=-1e9)],
    "mask_without_effect": [Attention(when="never", empty="nan")],
    "mask_after_the_softmax": [Attention(when="after", empty="nan")],
    "true_means_hidden": ways(invert=True),
    "hidden_scores_too_high": [Attention(hidden=0.0, empty="nan"), Attention(hidden=-1.0, empty="nan")],
    "empty_row_is_nan": [Attention(empty="nan")],
    "empty_row_sees_everything": [Attention(empty="nan", hidden=-1e10), Attention(empty="nan", hidden=-1e30)],
    "overflow": [Attention(safe=False), Attention(safe=False, empty="nan", hidden=-1e9)],
    "all_axes_turned_round": ways(transpose=True),
    "keys_mixed": ways(mix="keys"),
    "weights_returned": ways(mix="none"),
    "keys_ask_queries": ways(ask=True),
}


class Heads:
    """Every mistake is a switch; head by head, with einsum and slices."""

    def __init__(self, owns="block", pieces=False, loose=False, one=False, power=None, finish="matmul",
                 transpose=False, keys="context", values="context", asks="x", mask="right", dealt_back=False,
                 across=False):
        self.__dict__.update(locals())

    def __call__(self, x, wq, wk, wv, wo, n, mask=None, context=None):
        with np.errstate(all="ignore"):
            return self.run(x, wq, wk, wv, wo, n, mask, x if context is None else context)

    def run(self, x, wq, wk, wv, wo, n, mask, context):
        source = {"x": x, "context": context}
        n = 1 if self.one else n
        turn = np.transpose if self.transpose in (True, "in") else np.asarray
        q = np.matmul(source[self.asks], turn(wq))
        k = np.matmul(source[self.keys], turn(wk))
        v = np.matmul(source[self.values], turn(wv))
        queries, keys, values = (self.parts(a, n) for a in (q, k, v))
        if self.mask == "inverted" and mask is not None:
            mask = np.logical_not(mask)
        if self.across:
            return self.join(self.by_token(queries, keys, values), wo)
        out = [self.attend(queries[h], keys[h], values[h], self.of_head(mask, h, x, n)) for h in range(n)]
        return self.join(out, wo)

    def parts(self, a, n):
        """A list of n arrays (..., T, width)."""
        T, width = a.shape[-2], a.shape[-1] // n
        if self.pieces:
            flat = a.reshape(*a.shape[:-2], T * a.shape[-1])
            return [c.reshape(*a.shape[:-2], T, width) for c in np.split(flat, n, axis=-1)]
        if self.owns == "dealt":
            return [a[..., h::n] for h in range(n)]
        return np.split(a, n, axis=-1)

    def of_head(self, mask, h, x, n):
        if mask is None or self.mask == "never":
            return None
        if self.mask == "lined up" and mask.ndim > 2:
            if mask.shape[-3] not in (1, n):
                raise ValueError("does not broadcast")
            return mask[..., h % mask.shape[-3], :, :]
        return mask

    def attend(self, q, k, v, mask):
        power = 0.5 if self.power is None else self.power(self.n_columns, q.shape[-1])
        scores = einsum_scores(q, k) / q.shape[-1] ** power if self.power is None else einsum_scores(q, k) / power
        if mask is not None:
            scores = np.where(mask, scores, -1e30)
        return np.einsum("...qk,...kd->...qd", np.apply_along_axis(share, -1, scores), v)

    n_columns = 0

    def by_token(self, queries, keys, values):
        q, k, v = (np.stack(a, axis=-2) for a in (queries, keys, values))  # (..., T, n, width)
        mixed = self.attend(q, k, v, None)
        return [mixed[..., h, :] for h in range(mixed.shape[-2])]

    def join(self, out, wo):
        if self.loose:
            stacked = np.stack(out, axis=-3)
            joined = stacked.reshape(*stacked.shape[:-3], stacked.shape[-2], -1)
        elif self.dealt_back:
            joined = np.stack(out, axis=-1).reshape(*out[0].shape[:-1], -1)
        else:
            joined = np.concatenate(out, axis=-1)
        if self.finish == "nothing":
            return joined
        return np.einsum("...i,ij->...j", joined, wo.T if self.transpose in (True, "out") else wo)


class Wide(Heads):
    """Divides by the root of the whole width."""

    def run(self, x, wq, *rest):
        width = wq.shape[1]
        self.power = lambda _, d: math.sqrt(width)
        return super().run(x, wq, *rest)


HEADS = {
    "cut_across_tokens": [Heads(pieces=True, loose=True), Heads(pieces=True)],
    "joined_without_swapping_back": [Heads(loose=True)],
    "columns_dealt_out": [Heads(owns="dealt"), Heads(owns="dealt", dealt_back=True)],
    "one_head": [Heads(one=True)],
    "scaled_by_d_model": [Wide()],
    "no_scale": [Heads(power=lambda _, d: 1.0)],
    "scaled_twice": [Heads(power=lambda _, d: float(d))],
    "w_o_forgotten": [Heads(finish="nothing")],
    "weights_transposed": [Heads(transpose=True), Heads(transpose="in"), Heads(transpose="out")],
    "context_ignored": [Heads(keys="x", values="x")],
    "context_asks": [Heads(asks="context", keys="x", values="x"), Heads(asks="context")],
    "only_keys_from_context": [Heads(values="x")],
    "only_values_from_context": [Heads(keys="x")],
    "mask_forgotten": [Heads(mask="never")],
    "true_means_hidden": [Heads(mask="inverted")],
    "mask_meets_the_heads": [Heads(mask="lined up")],
    "heads_look_at_heads": [Heads(across=True)],
}


def revealed(attend, queries=9, keys=4, flat=False):
    """The weights, one key at a time: its value is 1, all others are 0."""
    generator = np.random.RandomState(11)
    q, k = generator.randn(queries, 3), generator.randn(keys, 3)
    if flat:
        q, k = np.zeros_like(q), np.zeros_like(k)
    columns = []
    for j in range(keys):
        one = np.zeros((keys, 1))
        one[j] = 1
        columns.append(attend(q, k, one)[:, 0])
    return np.stack(columns, axis=1)


def close_to_one(value):
    return bool(np.max(np.abs(value - 1.0)) < 1e-6)


SUMS = {
    "sums_down_the_columns": [lambda f: close_to_one(sum(revealed(f)))],
    "only_the_mean": [
        lambda f: close_to_one(revealed(f).sum() / 9),
        lambda f: close_to_one(revealed(f, 4, 4).sum() / 4),
    ],
    "queries_alike": [
        lambda f: all(close_to_one(row.sum()) for row in revealed(f, flat=True)),
        lambda f: all(close_to_one(row.sum()) for row in revealed(f, 4, 4, flat=True)),
    ],
    "first_row_only": [lambda f: close_to_one(math.fsum(revealed(f)[0]))],
    "last_row_only": [lambda f: close_to_one(math.fsum(revealed(f)[8]))],
    "exactly_one": [lambda f: all(math.fsum(row) == 1.0 for row in revealed(f))],
    "answer_turned_round": [lambda f: any(not close_to_one(row.sum()) for row in revealed(f))],
}


def difference(attend, place, n=8):
    """How far each output moves when one token is set to zero."""
    x = np.random.RandomState(12).randn(n, 5)
    y = np.array(x)
    y[place] = 0.0
    return np.abs(attend(y) - attend(x)).max(axis=1)


def moves(values):
    return bool(np.max(values) > 1e-9)


FUTURE = {
    "only_the_last_token_changed": [lambda f: moves(difference(f, 7)[:7])],
    "only_the_first_output_watched": [
        lambda f: moves(difference(f, 7)[0]),
        lambda f: max(difference(f, t)[0] for t in range(1, 8)) > 1e-9,
    ],
    "only_neighbours": [lambda f: max(difference(f, t)[t - 1] for t in range(1, 8)) > 1e-9],
    "own_output_watched": [
        lambda f: moves(difference(f, 7)),
        lambda f: max(difference(f, t)[: t + 1].max() for t in range(1, 8)) > 1e-9,
    ],
    "the_past_changed": [lambda f: moves(difference(f, 0)[1:])],
    "answer_turned_round": [lambda f: max(difference(f, t)[:t].max() for t in range(1, 8)) < 1e-9],
}


VERSIONS = {
    "attention.attention_scores": SCORES,
    "attention.causal_mask": MASK,
    "attention.scaled_dot_product": ATTENTION,
    "attention.multi_head_attention": {name: list(map(noiseless, works)) for name, works in HEADS.items()},
    "attention.rows_sum_to_one": {name: list(map(noiseless, works)) for name, works in SUMS.items()},
    "attention.sees_the_future": FUTURE,
}
