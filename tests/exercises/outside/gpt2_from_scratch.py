"""Wrong answers that no misconception describes."""

import torch
import torch.nn.functional as F

from bigmodel_nb.exercises.gpt2_from_scratch import (
    attention,
    cache_agrees,
    forward_flops,
    gelu_tanh,
    kv_cache_step,
    layer_norm,
    load_state_dict,
    mlp,
    transformer_block,
)

# layer_norm


def unit_length(x, weight, bias, eps=1e-5):
    return F.normalize(x, dim=-1) * weight + bias


def between_0_and_1(x, weight, bias, eps=1e-5):
    low, high = x.amin(-1, keepdim=True), x.amax(-1, keepdim=True)
    return (x - low) / (high - low + eps) * weight + bias


def median_removed(x, weight, bias, eps=1e-5):
    return layer_norm(x, weight, bias, eps) - 0.1 * x.median()


def mean_deviation(x, weight, bias, eps=1e-5):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.abs().mean(-1, keepdim=True) + eps) * weight + bias


def as_numpy(x, weight, bias, eps=1e-5):
    return layer_norm(x, weight, bias, eps).detach().numpy()


def fixed_eps(x, weight, bias, eps=1e-5):
    return layer_norm(x, weight, bias, 0.01)


def without_gradient(x, weight, bias, eps=1e-5):
    return layer_norm(x, weight, bias, eps).detach()


# gelu_tanh


def softplus(x):
    return F.softplus(x)


def elu(x):
    return F.elu(x)


def leaky(x):
    return F.leaky_relu(x, 0.1)


def mirrored(x):
    return gelu_tanh(-x)


def other_constant(x):
    return x * torch.sigmoid(1.5957691216 * (x + 0.05 * x**3))


def clipped(x):
    return gelu_tanh(x).clamp(max=3.0)


# transformer_block


def half_residual(x, p, n_heads):
    return 0.5 * (x + transformer_block(x, p, n_heads))


def attention_only(x, p, n_heads):
    return x + attention(layer_norm(x, p["ln_1.weight"], p["ln_1.bias"]), p, n_heads)


def mlp_only(x, p, n_heads):
    return x + mlp(layer_norm(x, p["ln_2.weight"], p["ln_2.bias"]), p)


def twice(x, p, n_heads):
    return transformer_block(transformer_block(x, p, n_heads), p, n_heads)


def unchanged(x, p, n_heads):
    return x * 1.0


def text_reversed(x, p, n_heads):
    return transformer_block(x.flip(1), p, n_heads).flip(1)


# kv_cache_step


def exchanged(q, k, v, past_k, past_v):
    y, k, v = kv_cache_step(q, k, v, past_k, past_v)
    return y, v, k


def window_of_two(q, k, v, past_k, past_v):
    y, _, _ = kv_cache_step(q, k, v, past_k[:, :, -2:], past_v[:, :, -2:])
    return y, torch.cat([past_k, k], 2), torch.cat([past_v, v], 2)


def only_y(q, k, v, past_k, past_v):
    return kv_cache_step(q, k, v, past_k, past_v)[0]


def heads_reversed(q, k, v, past_k, past_v):
    y, k, v = kv_cache_step(q, k, v, past_k, past_v)
    return y.flip(1) + 0.01, k, v


def sigmoid_weights(q, k, v, past_k, past_v):
    _, k, v = kv_cache_step(q, k, v, past_k, past_v)
    return torch.sigmoid(q @ k.mT) @ v, k, v


# load_state_dict


def first_block_only(theirs):
    return {n: t for n, t in load_state_dict(theirs).items() if "blocks." not in n or "blocks.0." in n}


def qkv_not_transposed(theirs):
    ours = load_state_dict(theirs)
    return {n: t.T if n.endswith("qkv.weight") else t for n, t in ours.items()}


def as_lists(theirs):
    return {n: t.tolist() for n, t in load_state_dict(theirs).items()}


def names_only(theirs):
    return list(load_state_dict(theirs))


def layers_from_1(theirs):
    ours = load_state_dict(theirs)
    return {f"blocks.{int(n.split('.')[1]) + 1}.{n.split('.', 2)[2]}" if "blocks" in n else n: t for n, t in ours.items()}


def negated(theirs):
    return {n: -t for n, t in load_state_dict(theirs).items()}


def without_positions(theirs):
    return {n: t for n, t in load_state_dict(theirs).items() if n != "position.weight"}


# forward_flops


def two_for_each_parameter(vocab_size, d_model, n_layer, B, T):
    return 2 * B * T * (vocab_size * d_model + n_layer * (12 * d_model**2 + 13 * d_model))


def as_float(vocab_size, d_model, n_layer, B, T):
    return float(forward_flops(vocab_size, d_model, n_layer, B, T))


def with_the_softmax(vocab_size, d_model, n_layer, B, T):
    return forward_flops(vocab_size, d_model, n_layer, B, T) + 5 * B * T * T * n_layer


def one_layer(vocab_size, d_model, n_layer, B, T):
    return forward_flops(vocab_size, d_model, min(n_layer, 1), B, T)


def no_batch_in_the_head(vocab_size, d_model, n_layer, B, T):
    return forward_flops(vocab_size, d_model, n_layer, B, T) - 2 * (B - 1) * T * vocab_size * d_model


# cache_agrees


def as_word(model, ids):
    return "yes" if cache_agrees(model, ids) else "no"


def first_answer_missing(model, ids):
    return cache_agrees(model, ids) or None


def as_tensor(model, ids):
    return torch.tensor(cache_agrees(model, ids))


def first_token_left_out(model, ids):
    return _by_pieces(model, ids, lambda apart: apart[:, 1:].abs().max() > 1e-4)


def pieces_of_two(model, ids):
    past, parts = None, []
    for piece in ids.split(2, dim=1):
        logits, past = model(piece, past)
        parts.append(logits)
    return torch.allclose(torch.cat(parts, dim=1), model(ids, None)[0], atol=1e-4)


def _by_pieces(model, ids, wrong):
    at_once, _ = model(ids, None)
    for size in range(1, ids.shape[1]):
        past, parts = None, []
        for piece in ids.split(size, dim=1):
            logits, past = model(piece, past)
            parts.append(logits)
        if wrong(torch.cat(parts, dim=1) - at_once):
            return False
    return True


def nan_slips_through(model, ids):
    return _by_pieces(model, ids, lambda d: bool(d.abs().max() > 1e-4))


def without_a_sign(model, ids):
    return _by_pieces(model, ids, lambda d: not bool(d.max() <= 1e-4))


def mean_difference(model, ids):
    return _by_pieces(model, ids, lambda d: not bool(d.mean().abs() <= 1e-4))


OUTSIDE = {
    "gpt2_from_scratch.layer_norm": [
        unit_length, between_0_and_1, median_removed, mean_deviation, as_numpy, fixed_eps, without_gradient,
    ],
    "gpt2_from_scratch.gelu_tanh": [softplus, elu, leaky, mirrored, other_constant, clipped],
    "gpt2_from_scratch.transformer_block": [
        half_residual, attention_only, mlp_only, twice, unchanged, text_reversed,
    ],
    "gpt2_from_scratch.kv_cache_step": [exchanged, window_of_two, only_y, heads_reversed, sigmoid_weights],
    "gpt2_from_scratch.load_state_dict": [
        first_block_only, qkv_not_transposed, as_lists, names_only, layers_from_1, negated, without_positions,
    ],
    "gpt2_from_scratch.forward_flops": [
        two_for_each_parameter, as_float, with_the_softmax, one_layer, no_batch_in_the_head,
    ],
    "gpt2_from_scratch.cache_agrees": [
        as_word, first_answer_missing, as_tensor, first_token_left_out, pieces_of_two,
        nan_slips_through, without_a_sign, mean_difference,
    ],
}
