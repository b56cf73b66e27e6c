"""Wrong answers that the catalogue does not know: rejected, with no hint of another mistake."""

import copy
import math

import torch

from bigmodel_nb.exercises.lora import adapter_is_sound, count_trainable, lora_init, lora_linear, merge_lora

# lora_init


def tiny_noise_in_B(d_in, d_out, r, generator):
    A, B = lora_init(d_in, d_out, r, generator)
    return A, B + 1e-3


def one_column_repeated(d_in, d_out, r, generator):
    A, B = lora_init(d_in, d_out, r, generator)
    return A[:, :1].expand(d_in, r).contiguous(), B


def only_signs(d_in, d_out, r, generator):
    A, B = lora_init(d_in, d_out, r, generator)
    return A.sign() / math.sqrt(d_in), B


def in_float64(d_in, d_out, r, generator):
    A, B = lora_init(d_in, d_out, r, generator)
    return A.double(), B.double()


def as_numpy(d_in, d_out, r, generator):
    return tuple(t.numpy() for t in lora_init(d_in, d_out, r, generator))


def the_product(d_in, d_out, r, generator):
    A, B = lora_init(d_in, d_out, r, generator)
    return A @ B


def always_seed_0(d_in, d_out, r, generator):
    return lora_init(d_in, d_out, r, torch.Generator().manual_seed(0))


def last_column_zero(d_in, d_out, r, generator):
    A, B = lora_init(d_in, d_out, r, generator)
    A[:, -1] = 0
    return A, B


# lora_linear


def detached(x, W, b, A, B, alpha):
    return lora_linear(x, W, b, A.detach(), B.detach(), alpha)


def bias_twice(x, W, b, A, B, alpha):
    return lora_linear(x, W, b, A, B, alpha) + b


def first_rank_only(x, W, b, A, B, alpha):
    return lora_linear(x, W, b, A[:, :1], B[:1], alpha)


def multiplied(x, W, b, A, B, alpha):
    return (x @ W + b) * (1 + alpha / A.shape[1] * (x @ A @ B))


def saturated(x, W, b, A, B, alpha):
    return x @ W + b + (alpha / A.shape[1] * (x @ A @ B)).tanh()


def rows_only(x, W, b, A, B, alpha):
    return lora_linear(x.reshape(-1, x.shape[-1]), W, b, A, B, alpha)


def rounded(x, W, b, A, B, alpha):
    return lora_linear(x, W, b, A, B, round(alpha))


# merge_lora


def as_list(W, A, B, alpha):
    return merge_lora(W, A, B, alpha).tolist()


def in_place(W, A, B, alpha):
    W += alpha / A.shape[1] * (A @ B)
    return W


def nothing_to_merge(W, A, B, alpha):
    return W if alpha == 0 else merge_lora(W, A, B, alpha)


def with_the_mean(W, A, B, alpha):
    return W + alpha * (A @ B).mean()


def the_diagonal(W, A, B, alpha):
    change = alpha / A.shape[1] * (A @ B)
    return W + change * torch.eye(*change.shape, dtype=W.dtype)


def both(W, A, B, alpha):
    return W, alpha / A.shape[1] * (A @ B)


def absolute(W, A, B, alpha):
    return merge_lora(W, A, B, abs(alpha))


def in_float32(W, A, B, alpha):
    return merge_lora(W.float(), A.float(), B.float(), alpha)


# count_trainable


def by_name(model):
    found = dict(model.named_parameters())
    return sum(p.numel() for n, p in found.items() if "adapter" in n), sum(p.numel() for p in found.values())


def as_share(model):
    trained, total = count_trainable(model)
    return trained / total, total


def as_floats(model):
    return tuple(map(float, count_trainable(model)))


def children_only(model):
    parts = [p for p in model.children() if not isinstance(p, torch.nn.ParameterDict)]
    pairs = [count_trainable(p) for p in parts]
    return sum(t for t, _ in pairs), sum(n for _, n in pairs)


def off_by_one(model):
    trained, total = count_trainable(model)
    return trained, total + 1


def as_tensors(model):
    return tuple(map(torch.tensor, count_trainable(model)))


# adapter_is_sound


def as_word(wrap, layer, x):
    return "sound" if adapter_is_sound(wrap, layer, x) else "not sound"


def as_tensor(wrap, layer, x):
    return torch.tensor(adapter_is_sound(wrap, layer, x))


def always(wrap, layer, x):
    return x is not None


def none_for_no(wrap, layer, x):
    return adapter_is_sound(wrap, layer, x) or None


def both_factors_must_learn(wrap, layer, x):
    net = wrap(copy.deepcopy(layer))
    names = {n for n, p in net.named_parameters() if p.requires_grad}
    return adapter_is_sound(wrap, layer, x) and {"A", "B"} <= names


def start_by_the_mean(wrap, layer, x):
    net, before = wrap(copy.deepcopy(layer)), layer(x)
    return bool((net(x).mean() - before.mean()).abs() < 1e-1) and any(p.requires_grad for p in net.parameters())


OUTSIDE = {
    "lora.lora_init": [
        tiny_noise_in_B, one_column_repeated, only_signs, in_float64, as_numpy, the_product, always_seed_0, last_column_zero,
    ],
    "lora.lora_linear": [detached, bias_twice, first_rank_only, multiplied, saturated, rows_only, rounded],
    "lora.merge_lora": [nothing_to_merge, as_list, in_place, with_the_mean, the_diagonal, both, absolute, in_float32],
    "lora.count_trainable": [by_name, as_share, as_floats, children_only, off_by_one, as_tensors],
    "lora.adapter_is_sound": [as_word, as_tensor, always, none_for_no, both_factors_must_learn, start_by_the_mean],
}
