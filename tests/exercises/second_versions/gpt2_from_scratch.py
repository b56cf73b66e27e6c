"""Each misconception once more, in another style and with other names."""

import math

import torch
import torch.nn.functional as F

# layer_norm


def rowwise(norm):
    """A layer norm from norm(row, eps) of one vector."""

    def run(h, gain, shift, epsilon=1e-5):
        rows = [norm(row, epsilon) for row in h.reshape(-1, h.shape[-1])]
        return torch.stack(rows).reshape(h.shape) * gain + shift

    return run


def standard(row, eps):
    m = row.sum() / len(row)
    return (row - m) / torch.sqrt(((row - m) ** 2).sum() / len(row) + eps)


def plain(h, epsilon=1e-5):
    return F.layer_norm(h, (h.shape[-1],), None, None, epsilon)


def across_second(h, gain, shift, epsilon=1e-5):
    m = torch.mean(h, 1, True)
    return (h - m) * torch.rsqrt(torch.var(h, 1, unbiased=False, keepdim=True) + epsilon) * gain + shift


def across_first(h, gain, shift, epsilon=1e-5):
    m = sum(h[i] for i in range(len(h))) / len(h)
    v = sum((h[i] - m) ** 2 for i in range(len(h))) / len(h)
    return (h - m) / torch.sqrt(v + epsilon) * gain + shift


LAYER_NORM = {
    "divided_by_c_minus_1": [
        rowwise(lambda r, e: (r - r.mean()) / torch.sqrt(((r - r.mean()) ** 2).sum() / (len(r) - 1) + e)),
        lambda h, gain, shift, epsilon=1e-5: (h - h.mean(-1)[..., None]) / (torch.std(h, -1)[..., None] + epsilon) * gain + shift,
    ],
    "eps_outside_the_root": [rowwise(lambda r, e: (r - r.mean()) / (r.std(unbiased=False) + e))],
    "eps_left_out": [rowwise(lambda r, e: standard(r, 0.0))],
    "wrong_axis": [across_second, across_first],
    "one_mean_for_everything": [
        lambda h, gain, shift, epsilon=1e-5: standard(h.flatten(), epsilon).view_as(h) * gain + shift
    ],
    "mean_not_removed": [
        rowwise(lambda r, e: r * torch.rsqrt((r**2).mean() + e)),
        rowwise(lambda r, e: r / torch.sqrt(r.var(unbiased=False) + e)),
    ],
    "divided_by_the_variance": [rowwise(lambda r, e: (r - r.mean()) / (r.var(unbiased=False) + e))],
    "not_divided": [rowwise(lambda r, e: r - r.mean())],
    "scale_and_shift_left_out": [lambda h, gain, shift, epsilon=1e-5: plain(h, epsilon)],
    "bias_left_out": [lambda h, gain, shift, epsilon=1e-5: F.layer_norm(h, gain.shape, gain, None, epsilon)],
    "weight_left_out": [lambda h, gain, shift, epsilon=1e-5: shift + plain(h, epsilon)],
    "shifted_before_scaling": [lambda h, gain, shift, epsilon=1e-5: gain * plain(h, epsilon) + gain * shift],
    "scaled_before_normalising": [lambda h, gain, shift, epsilon=1e-5: plain(shift + gain * h, epsilon)],
}

# gelu_tanh


def pointwise(f):
    return lambda h: torch.tensor([f(a) for a in h.flatten().tolist()], dtype=h.dtype).view(h.shape)


def gate(u):
    return 1 / (1 + math.exp(-2 * u))  # half of 1 + tanh(u)


ROOT = (2 / math.pi) ** 0.5

GELU = {
    "exact_gelu": [F.gelu, pointwise(lambda a: a * (1 + math.erf(a / 2**0.5)) / 2)],
    "relu": [F.relu, pointwise(lambda a: max(a, 0.0))],
    "sigmoid_form": [pointwise(lambda a: a / (1 + math.exp(-1.702 * a))), F.silu],
    "half_left_out": [pointwise(lambda a: 2 * a * gate(ROOT * (a + 0.044715 * a**3)))],
    "one_left_out": [
        pointwise(lambda a: a / 2 * math.tanh(ROOT * (a + 0.044715 * a**3))),
        pointwise(lambda a: a * (2 * gate(ROOT * (a + 0.044715 * a**3)) - 1)),
    ],
    "x_left_out": [pointwise(lambda a: gate(ROOT * (a + 0.044715 * a**3)))],
    "bracket_missing": [pointwise(lambda a: a * gate(ROOT * a + 0.044715 * a**3))],
    "no_root": [
        pointwise(lambda a: a * gate(2 * (a + 0.044715 * a**3) / math.pi)),
        pointwise(lambda a: a * gate((math.pi / 2) ** 0.5 * (a + 0.044715 * a**3))),
    ],
    "factor_left_out": [pointwise(lambda a: a * gate(a + 0.044715 * a * a * a))],
    "square_instead_of_cube": [pointwise(lambda a: a * gate(ROOT * (a + 0.044715 * a * a)))],
    "cubic_term_left_out": [pointwise(lambda a: a * gate(ROOT * a))],
}

# transformer_block


class Parts:
    """The parts of a block from torch's own functions."""

    def __init__(self, p, n_heads):
        self.p, self.n_heads = p, n_heads

    def linear(self, h, name):
        return h.matmul(self.p[name + ".weight"]) + self.p[name + ".bias"]

    def norm(self, h, number):
        w, b = self.p[f"ln_{number}.weight"], self.p[f"ln_{number}.bias"]
        return F.layer_norm(h, w.shape, w, b)

    def attend(self, h):
        B, T, C = h.shape
        split = [t.reshape(B, T, self.n_heads, -1).transpose(1, 2) for t in self.linear(h, "attn.c_attn").split(C, -1)]
        mixed = F.scaled_dot_product_attention(*split, is_causal=True)
        return self.linear(mixed.transpose(1, 2).reshape(B, T, C), "attn.c_proj")

    def mlp(self, h):
        return self.linear(F.gelu(self.linear(h, "mlp.c_fc"), approximate="tanh"), "mlp.c_proj")


def block(make):
    return lambda h, tensors, heads: make(h, Parts(tensors, heads))


def post_norm(h, m):
    h = m.norm(m.attend(h) + h, 1)
    h = m.norm(m.mlp(h) + h, 2)
    return h


def overwritten(h, m):
    h = m.norm(h, 1)
    h = m.attend(h) + h
    h = m.norm(h, 2)
    return m.mlp(h) + h


def overwritten_once(h, m):
    a = m.norm(h, 1)
    a = a + m.attend(a)
    return a + m.mlp(m.norm(a, 2))


def overwritten_second(h, m):
    a = m.norm(h + m.attend(m.norm(h, 1)), 2)
    return a + m.mlp(a)


def straight(h, m):
    for part, number in ((m.attend, 1), (m.mlp, 2)):
        h = part(m.norm(h, number))
    return h


def in_order(first, second, one=1, two=2):
    def make(h, m):
        h = h + getattr(m, first)(m.norm(h, one))
        return h + getattr(m, second)(m.norm(h, two))

    return block(make)


def attention_replaces(h, m):
    a = m.attend(m.norm(h, 1))
    return a + m.mlp(m.norm(a, 2))


def only_mlp(h, m):
    return m.mlp(m.norm(h + m.attend(m.norm(h, 1)), 2))


BLOCK = {
    "normalised_after_the_sum": [block(post_norm)],
    "normalised_stream": [block(overwritten), block(overwritten_once), block(overwritten_second)],
    "attention_replaces_x": [block(attention_replaces)],
    "mlp_replaces_x": [block(only_mlp)],
    "no_residual": [block(straight)],
    "first_sum_lost": [block(lambda h, m: only_mlp(h, m) + h)],
    "both_parts_read_the_same_x": [block(lambda h, m: h + m.mlp(m.norm(h, 2)) + m.attend(m.norm(h, 1)))],
    "mlp_first": [in_order("mlp", "attend"), in_order("mlp", "attend", 2, 1)],
    "one_norm_twice": [in_order("attend", "mlp", 1, 1), in_order("attend", "mlp", 2, 2)],
    "norms_exchanged": [in_order("attend", "mlp", 2, 1)],
    "no_norm": [block(lambda h, m: (h + m.attend(h)) + m.mlp(h + m.attend(h)))],
    "one_head": [lambda h, tensors, heads: in_order("attend", "mlp")(h, tensors, 1)],
}

# kv_cache_step


def by_query(visible, scale=lambda d: d**-0.5, order=lambda old, new: (old, new), nothing=math.nan):
    """Query by query; visible(P, s, n) is a range of places, `nothing` the result where it is empty."""

    def run(query, key, value, old_key, old_value):
        keys = torch.cat(order(old_key, key), -2)
        values = torch.cat(order(old_value, value), -2)
        out = torch.zeros_like(query)
        P, n = old_key.shape[2], keys.shape[2]
        for s in range(query.shape[2]):
            places = list(visible(P, s, n))
            weights = torch.softmax(scale(query.shape[-1]) * (query[:, :, s : s + 1] @ keys[:, :, places].mT), -1)
            out[:, :, s] = (weights @ values[:, :, places])[:, :, 0]
            if not places:
                out[:, :, s] = nothing
        return out, keys, values

    return run


right = by_query(lambda P, s, n: range(P + s + 1))


def over_queries(query, key, value, old_key, old_value):
    _, keys, values = right(query, key, value, old_key, old_value)
    S, n = query.shape[2], keys.shape[2]
    seen = torch.arange(n)[None] <= torch.arange(n - S, n)[:, None]
    scores = (query @ keys.mT / query.shape[-1] ** 0.5).where(seen, torch.tensor(-math.inf))
    return F.softmax(scores, 2) @ values, keys, values


CACHE = {
    "mask_not_moved": [by_query(lambda P, s, n: range(s + 1))],
    "no_mask": [by_query(lambda P, s, n: range(n))],
    "sees_one_too_many": [by_query(lambda P, s, n: range(min(n, P + s + 2)))],
    "does_not_see_itself": [by_query(lambda P, s, n: range(P + s))],
    "cache_not_used": [by_query(lambda P, s, n: range(P, P + s + 1))],
    "sees_only_the_cache": [by_query(lambda P, s, n: range(P), nothing=0.0)],
    "new_tokens_first": [
        by_query(lambda P, s, n: range(P + s + 1), order=lambda old, new: (new, old)),
        lambda *case: (right(*case)[0], torch.cat([case[1], case[3]], 2), torch.cat([case[2], case[4]], 2)),
    ],
    "cache_not_extended": [
        lambda *case: (right(*case)[0], case[1], case[2]),
        lambda *case: (right(*case)[0], case[3], case[4]),
    ],
    "no_scale": [by_query(lambda P, s, n: range(P + s + 1), scale=lambda d: 1)],
    "scaled_by_d_head": [by_query(lambda P, s, n: range(P + s + 1), scale=lambda d: 1 / d)],
    "softmax_over_queries": [over_queries],
}

# load_state_dict

TABLE = {
    "wte": "token", "wpe": "position", "ln_f": "norm", "ln_1": "norm_1", "ln_2": "norm_2", "attn.c_attn": "attn.qkv",
    "attn.c_proj": "attn.out", "mlp.c_fc": "mlp.up", "mlp.c_proj": "mlp.down",
}  # fmt: skip


def loader(turn=lambda key, t: t.t(), table=TABLE, drop=lambda key: False, start="", keep=()):
    """Key by key: `turn` for the weights of linear maps, `drop` what is left out beside head and masks."""

    def run(state):
        out = {}
        for key, tensor in state.items():
            short = key.split("transformer.")[-1]
            *path, part, kind = ["", *short.split(".")]
            unused = short == "lm_head.weight" or part == "attn"
            if drop(short) or (unused and not any(k in short for k in keep)):
                continue
            if unused:
                out[short.replace("h.", "blocks.", 1)] = tensor
                continue
            module, block = short.rsplit(".", 1)[0], ""
            if module.startswith("h."):
                _, number, module = module.split(".", 2)
                block = f"blocks.{number}."
            is_map = "c_" in module and kind == "weight"
            name = f"{block}{table[module]}.{kind}"
            out[(start if key != short else "") + name] = turn(short, tensor) if is_map else tensor
        return out

    return run


def tables_too(state):
    out = loader()(state)
    for name in ("token.weight", "position.weight"):
        out[name] = out[name].t()
    return out


LOAD = {
    "not_transposed": [loader(turn=lambda key, t: t)],
    "square_matrix_not_transposed": [loader(turn=lambda key, t: t if t.shape[0] == t.shape[1] else t.t())],
    "tables_transposed": [tables_too],
    "reshaped_instead_of_transposed": [loader(turn=lambda key, t: t.view(t.shape[1], t.shape[0]))],
    "copied": [
        lambda state: {n: torch.clone(t) for n, t in loader()(state).items()},
        lambda state: {n: t.contiguous() for n, t in loader()(state).items()},
    ],
    "head_kept": [loader(keep=["lm_head"])],
    "masks_kept": [loader(keep=["attn.bias", "masked_bias"]), loader(keep=["attn.bias"]), loader(keep=["masked"])],
    "one_bias_left_out_with_the_masks": [
        lambda state: loader()({n: t for n, t in state.items() if "attn.bias" not in n and "masked" not in n}),
        lambda state: loader()({n: t for n, t in state.items() if not n.endswith(("attn.bias", "masked_bias"))}),
    ],
    "prefix_kept": [loader(start="transformer.")],
    "biases_left_out": [
        loader(drop=lambda key: key.endswith(".bias")),
        loader(drop=lambda key: ".attn." in key and key.endswith("bias")),
    ],
    "projections_mixed_up": [
        loader(table=TABLE | {"mlp.c_proj": "mlp.out"}), loader(table=TABLE | {"attn.c_proj": "attn.down"}),
    ],
    "norms_exchanged": [loader(table=TABLE | {"ln_1": "norm_2", "ln_2": "norm_1"})],
}

# forward_flops


def products(V, C, L, B, T, *, qk=True, mix=True, out=True, head=1, hidden=4, keys=None):
    """Multiply-adds, one product after the other."""
    keys = T if keys is None else keys
    layer = T * C * 3 * C + 2 * T * C * hidden * C
    layer += T * C * C * out + T * C * keys * qk + T * keys * C * mix
    return B * (L * layer + head * T * C * V)


def twice(**changes):
    return lambda V, C, L, B, T: 2 * products(V, C, L, B, T, **changes)


FLOPS = {
    "multiply_add_counted_once": [products],
    "scores_left_out": [twice(qk=False, mix=False)],
    "only_one_of_scores_and_mix": [twice(mix=False)],
    "half_of_the_scores": [lambda V, C, L, B, T: 2 * products(V, C, L, B, T, keys=0) + 2 * B * L * C * T * (T + 1)],
    "head_left_out": [twice(head=0)],
    "table_lookup_counted": [twice(head=2)],
    "one_token_only": [
        lambda V, C, L, B, T: 2 * products(V, C, L, 1, T) // T,
        lambda V, C, L, B, T: 2 * products(V, C, L, 1, T),
        lambda V, C, L, B, T: 2 * products(V, C, L, B, T) // T,
    ],
    "scores_linear_in_t": [twice(keys=1)],
    "rows_see_each_other": [lambda V, C, L, B, T: 2 * products(V, C, L, B, T, keys=B * T)],
    "output_projection_left_out": [twice(out=False)],
    "mlp_of_width_d": [twice(hidden=1), twice(hidden=2)],
    "backward_pass_included": [lambda V, C, L, B, T: 6 * products(V, C, L, B, T)],
}

# cache_agrees


def distance(model, tokens, lengths):
    """How far each logit is from that of the whole text, read in pieces of these lengths: (B, T)"""
    memory, start, rows = None, 0, []
    for length in lengths:
        scores, memory = model(tokens[:, start : start + length], memory)
        rows.append((scores - model(tokens, None)[0][:, start : start + length]).abs().amax(-1))
        start += length
    return torch.cat(rows, dim=1)


def every_cut(T):
    for size in range(1, T):
        yield [size] * (T // size) + [T % size] * (T % size > 0)


def judged(judge, cuts=every_cut):
    return lambda model, tokens: all(bool(judge(distance(model, tokens, cut))) for cut in cuts(tokens.shape[1]))


def same_everywhere(d):
    return d.max() < 1e-4


def without_memory(model, tokens):
    whole = model(tokens, None)[0]
    return all(
        torch.allclose(torch.cat([model(piece, None)[0] for piece in tokens.split(n, 1)], 1), whole, atol=1e-4)
        for n in range(1, tokens.shape[1])
    )


def stale_memory(model, tokens):
    whole = model(tokens, None)[0]
    for n in range(1, tokens.shape[1]):
        first, *others = tokens.split(n, 1)
        scores, memory = model(first, None)
        if not torch.allclose(torch.cat([scores, *(model(o, memory)[0] for o in others)], 1), whole, atol=1e-4):
            return False
    return True


def to_the_last_bit(model, tokens):
    for cut in every_cut(tokens.shape[1]):
        memory, rows = None, []
        for piece in torch.split(tokens, cut, dim=1):
            scores, memory = model(piece, memory)
            rows.append(scores)
        if not torch.equal(torch.hstack(rows), model(tokens, None)[0]):
            return False
    return True


def beginnings(model, tokens):
    whole = model(tokens, None)[0]
    return not any((model(tokens[:, :n], None)[0] - whole[:, :n]).abs().max() > 1e-4 for n in range(1, tokens.shape[1]))


AGREES = {
    "past_not_handed_on": [without_memory, stale_memory],
    "token_by_token_only": [judged(same_everywhere, lambda T: [[1] * T])],
    "prompt_then_tokens_only": [judged(same_everywhere, lambda T: [[3, *[1] * (T - 3)]])],
    "two_pieces_only": [
        judged(same_everywhere, lambda T: [[3, T - 3]]),
        judged(same_everywhere, lambda T: [[n, T - n] for n in range(1, T)]),
    ],
    "only_the_first_piece_compared": [beginnings],
    "only_the_last_token_compared": [judged(lambda d: d[:, -1].max() < 1e-4)],
    "only_the_first_row": [judged(lambda d: d[0].max() < 1e-4)],
    "compared_exactly": [to_the_last_bit],
    "compared_too_coarsely": [judged(lambda d: d.max() < 0.3)],
    "answer_turned_round": [lambda model, tokens: not judged(same_everywhere)(model, tokens)],
}

VERSIONS = {
    "gpt2_from_scratch.layer_norm": LAYER_NORM,
    "gpt2_from_scratch.gelu_tanh": GELU,
    "gpt2_from_scratch.transformer_block": BLOCK,
    "gpt2_from_scratch.kv_cache_step": CACHE,
    "gpt2_from_scratch.load_state_dict": LOAD,
    "gpt2_from_scratch.forward_flops": FLOPS,
    "gpt2_from_scratch.cache_agrees": AGREES,
}
