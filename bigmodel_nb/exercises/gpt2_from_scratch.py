"""Exercises of lesson 11."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .engine.model import Check, Exercise, Failed, Misconception


def layer_norm(x, weight, bias, eps=1e-5):
    """Each vector of the last axis with mean 0 and variance 1, then scaled and shifted.

    x: float tensor (..., C); weight, bias (C,); eps: added to the variance -> tensor like x
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    return centred / (variance + eps) ** 0.5 * weight + bias


def gelu_tanh(x):
    """GELU in GPT-2's form, with a tanh (Hendrycks and Gimpel 2016).

    x: float tensor of any shape -> tensor like x
    """
    return 0.5 * x * (1 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def tanh(x):
    """The hyperbolic tangent of a tensor or a NumPy array."""
    return x.tanh() if hasattr(x, "tanh") else np.tanh(x)


def attention(x, p, n_heads):
    """Causal attention of GPT-2: x (B, T, C), p as in `transformer_block` -> (B, T, C)"""
    import torch

    B, T, C = x.shape
    qkv = x @ p["attn.c_attn.weight"] + p["attn.c_attn.bias"]  # (B, T, 3C)
    q, k, v = qkv.view(B, T, 3, n_heads, C // n_heads).permute(2, 0, 3, 1, 4)
    scores = q @ k.transpose(-1, -2) / math.sqrt(C // n_heads)  # (B, H, T, T)
    future = torch.ones(T, T, dtype=torch.bool, device=x.device).triu(1)
    weights = scores.masked_fill(future, -math.inf).softmax(dim=-1)
    mixed = (weights @ v).transpose(1, 2).reshape(B, T, C)
    return mixed @ p["attn.c_proj.weight"] + p["attn.c_proj.bias"]


def mlp(x, p):
    """Two linear maps with a GELU between: x (B, T, C), p as in `transformer_block` -> (B, T, C)"""
    hidden = gelu_tanh(x @ p["mlp.c_fc.weight"] + p["mlp.c_fc.bias"])  # (B, T, 4C)
    return hidden @ p["mlp.c_proj.weight"] + p["mlp.c_proj.bias"]


def transformer_block(x, p, n_heads):
    """One block of GPT-2: attention, then the MLP, each fed with a layer norm and added to x.

    x: (B, T, C); p: the block's twelve tensors by transformers' names, such as
    "ln_1.weight" (C,) and "attn.c_attn.weight" (C, 3C) -> (B, T, C)
    """
    x = x + attention(layer_norm(x, p["ln_1.weight"], p["ln_1.bias"]), p, n_heads)
    return x + mlp(layer_norm(x, p["ln_2.weight"], p["ln_2.bias"]), p)


def kv_cache_step(q, k, v, past_k, past_v):
    """Attention of S new tokens that see P cached ones, themselves, and no later one.

    q, k, v: (B, H, S, d_head) of the new tokens; past_k, past_v: (B, H, P, d_head), P may be 0
    -> y (B, H, S, d_head), and k, v (B, H, P + S, d_head) for the next step
    """
    import torch

    k, v = torch.cat([past_k, k], dim=2), torch.cat([past_v, v], dim=2)
    S, P = q.shape[2], past_k.shape[2]
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])  # (B, H, S, P + S)
    future = torch.ones(S, P + S, dtype=torch.bool, device=q.device).triu(P + 1)
    return scores.masked_fill(future, -math.inf).softmax(dim=-1) @ v, k, v


def load_state_dict(theirs):
    """transformers' tensors of a GPT-2 by our names, as nn.Linear keeps them. No tensor is copied.

    theirs: dict of tensors, with or without the prefix "transformer." -> dict of tensors
    """
    names = {
        "wte.": "token.", "wpe.": "position.", "h.": "blocks.",
        "ln_1.": "norm_1.", "ln_2.": "norm_2.", "ln_f.": "norm.",
        "attn.c_attn.": "attn.qkv.", "attn.c_proj.": "attn.out.",
        "mlp.c_fc.": "mlp.up.", "mlp.c_proj.": "mlp.down.",
    }  # fmt: skip
    ours = {}
    for name, tensor in theirs.items():
        if name.startswith("lm_head.") or name.endswith((".attn.bias", ".attn.masked_bias")):
            continue
        if ".c_" in name and tensor.ndim == 2:  # (in, out) -> (out, in)
            tensor = tensor.T
        name = name.removeprefix("transformer.")
        for old, new in names.items():
            name = name.replace(old, new)
        ours[name] = tensor
    return ours


def forward_flops(vocab_size, d_model, n_layer, B, T):
    """Floating-point operations of all matrix products of one forward pass of a GPT-2 -> int

    A multiplication and an addition are two operations; masked scores are computed too.
    """
    maps = 12 * d_model * d_model * n_layer + vocab_size * d_model  # multiplications for each token
    scores = 2 * T * d_model * n_layer  # q with k, weights with v: for each token and key
    return 2 * B * T * (maps + scores)


def cache_agrees(model, ids):
    """True if a text read in pieces gives the logits of the text read at once.

    model: a function from ids (B, S) and past, None for the first piece, to logits (B, S, V) and the
    past for the next piece; ids: int64 (B, T) -> bool
    """
    at_once, _ = model(ids, None)
    for size in range(1, ids.shape[1]):
        past, place = None, 0
        for piece in ids.split(size, dim=1):
            logits, past = model(piece, past)
            if not (logits - at_once[:, place : place + piece.shape[1]]).abs().max() <= 1e-4:
                return False  # also for NaN, which is neither larger nor smaller
            place += piece.shape[1]
    return True


def _tensor(rng, *shape, scale=1.0, dtype="float32"):
    import torch

    return torch.tensor(rng.normal(size=shape) * scale, dtype=getattr(torch, dtype))


# layer_norm


def _norm_case(rng, *shape, eps=1e-5, scale=2.0, dtype="float32"):
    C = shape[-1]
    x = _tensor(rng, *shape, scale=scale, dtype=dtype) + 0.75 * scale
    return x, _tensor(rng, C, dtype=dtype), _tensor(rng, C, dtype=dtype), eps


def _norm_sample(rng):
    shape = [(5,), (4, 3), (2, 3, 6)][rng.integers(3)]
    return _norm_case(rng, *shape, eps=float(rng.choice([1e-5, 0.3])))


def _norm_oracle(x, weight, bias, eps=1e-5):
    import torch.nn.functional as F

    return F.layer_norm(x, (x.shape[-1],), weight, bias, eps)


def _check_norm_by_hand(attempt):
    import torch

    x, one, zero = torch.tensor([[1.0, 3.0], [5.0, 1.0]]), torch.ones(2), torch.zeros(2)
    why = "Each row has its own mean and variance: 2 and 1, 3 and 4."
    attempt.expect((x, one, zero, 0.0), torch.tensor([[-1.0, 1.0], [1.0, -1.0]]), why)


def _check_norm_random(attempt):
    rng = np.random.default_rng(1)
    for shape in ((6,), (4, 5), (5, 5), (2, 3, 4), (2, 2, 3, 7), (1, 1, 8)):
        for dtype in ("float32", "float64"):
            case = _norm_case(rng, *shape, dtype=dtype)
            attempt.expect(case, _norm_oracle(*case))


def _check_norm_eps(attempt):
    rng = np.random.default_rng(2)
    for eps, scale in ((1e-5, 1e-3), (0.5, 1.0), (1e-12, 1.0)):
        case = _norm_case(rng, 3, 5, eps=eps, scale=scale)
        attempt.expect(case, _norm_oracle(*case), f"eps is {eps:g} here.")
    case = _norm_case(rng, 2, 3, 4, scale=0.003)[:3]
    attempt.expect(case, _norm_oracle(*case), "No eps is given: it is 1e-5.")


def _check_norm_constant(attempt):
    import torch

    case = (torch.full((2, 4), 7.0), torch.ones(4), torch.arange(4.0), 1e-5)
    attempt.expect(case, torch.arange(4.0).expand(2, 4), "All numbers are equal: the bias is left.")


def _check_norm_gradient(attempt):
    rng = np.random.default_rng(3)
    for _ in range(3):
        case = _norm_case(rng, 3, 4, dtype="float64")
        expected = _gradient(_norm_oracle, *case)
        attempt.expect(case, expected, "This is the gradient for x.", drive=_gradient)


def _gradient(fn, x, *rest):
    """Gradient for x of a weighted sum of the result."""
    import torch

    x = x.detach().requires_grad_()
    y = fn(x, *rest)
    if not getattr(y, "requires_grad", False):
        raise Failed("Your result has no gradient. Stay with torch operations; no .item() or .detach().")
    (y * torch.arange(1.0, y.numel() + 1, dtype=y.dtype).view(y.shape)).sum().backward()
    return x.grad


def _norm_probes():
    rng = np.random.default_rng(4)
    return [
        _norm_case(rng, 3, 4, eps=0.2),
        _norm_case(rng, 2, 3, 5, eps=1e-5),
        _norm_case(rng, 6, eps=0.4),
        _norm_case(rng, 4, 3, eps=1e-5, scale=0.004),
    ]


def _moments(x, axis=-1):
    mean = x.mean(dim=axis, keepdim=True)
    return x - mean, (x - mean).square().mean(dim=axis, keepdim=True)


def _norm_over(axis):
    def wrong(x, weight, bias, eps=1e-5):
        centred, variance = _moments(x, axis)
        return centred / (variance + eps).sqrt() * weight + bias

    return wrong


def _norm_with(make):
    """make(x, centred, variance, eps) -> the normalised vectors, then scaled and shifted."""

    def wrong(x, weight, bias, eps=1e-5):
        return make(x, *_moments(x), eps) * weight + bias

    return wrong


def _norm_unbiased(x, weight, bias, eps=1e-5):
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + eps).sqrt() * weight + bias


def _norm_everything(x, weight, bias, eps=1e-5):
    centred = x - x.mean()
    return centred / (centred.square().mean() + eps).sqrt() * weight + bias


def _normalised(x, eps=1e-5):
    centred, variance = _moments(x)
    return centred / (variance + eps).sqrt()


_NORM_MISCONCEPTIONS = (
    Misconception(
        "divided_by_c_minus_1",
        _norm_unbiased,
        "Your variance is C / (C - 1) times too large. torch's var and std divide by C - 1 unless "
        "told otherwise: is this an estimate from a sample?",
        also=(
            lambda x, w, b, eps=1e-5: (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + eps) * w + b,
        ),
    ),
    Misconception(
        "eps_outside_the_root",
        _norm_with(lambda x, c, v, eps: c / (v.sqrt() + eps)),
        "You add eps to the standard deviation. In the formula it stands beside the variance: "
        "inside the root or outside?",
    ),
    Misconception(
        "eps_left_out",
        _norm_with(lambda x, c, v, eps: c / v.sqrt()),
        "Right for ordinary vectors. Where is eps, and what happens to a vector whose entries are "
        "all equal?",
    ),
    Misconception(
        "wrong_axis",
        _norm_over(-2),
        "You normalise across tokens. Layer norm looks at one token's vector at a time: which axis "
        "holds its C numbers?",
        also=(_norm_over(0), _norm_over(1)),
    ),
    Misconception(
        "one_mean_for_everything",
        _norm_everything,
        "You take one mean and one variance for the whole tensor. Every token needs its own: what "
        "must mean be told?",
    ),
    Misconception(
        "mean_not_removed",
        _norm_with(lambda x, c, v, eps: x / (x.square().mean(-1, keepdim=True) + eps).sqrt()),
        "You bring x to a common size and leave its mean where it was, as RMSNorm does. GPT-2's layer norm "
        "first takes something away.",
        also=(_norm_with(lambda x, c, v, eps: x / (v + eps).sqrt()),),
    ),
    Misconception(
        "divided_by_the_variance",
        _norm_with(lambda x, c, v, eps: c / (v + eps)),
        "After your division the variance isn't 1. What has the same unit as x: the variance, or "
        "its root?",
    ),
    Misconception(
        "not_divided",
        _norm_with(lambda x, c, v, eps: c),
        "Your vectors have mean 0, and the variance that they had before. What is missing?",
    ),
    Misconception(
        "scale_and_shift_left_out",
        lambda x, w, b, eps=1e-5: _normalised(x, eps),
        "Mean 0, variance 1: right so far. What are weight and bias for?",
    ),
    Misconception(
        "bias_left_out",
        lambda x, w, b, eps=1e-5: _normalised(x, eps) * w,
        "Your result is right up to a shift. Which argument is not used?",
    ),
    Misconception(
        "weight_left_out",
        lambda x, w, b, eps=1e-5: _normalised(x, eps) + b,
        "You shift but don't scale. Which argument is not used?",
    ),
    Misconception(
        "shifted_before_scaling",
        lambda x, w, b, eps=1e-5: (_normalised(x, eps) + b) * w,
        "You add the bias and then multiply. In which order does the formula have them?",
    ),
    Misconception(
        "scaled_before_normalising",
        lambda x, w, b, eps=1e-5: _normalised(x * w + b, eps),
        "You scale and shift first; the normalisation then undoes most of it. Which comes last?",
    ),
)


# gelu_tanh


def _gelu_sample(rng):
    shape = [(7,), (2, 4), (2, 2, 3)][rng.integers(3)]
    return (_tensor(rng, *shape, scale=2.0),)


def _gelu_oracle(x):
    import torch.nn.functional as F

    return F.gelu(x, approximate="tanh")


def _check_gelu_by_hand(attempt):
    import torch

    x, expected = torch.tensor([0.0, 30.0, -30.0, 1.0, -3.0]), torch.tensor([0.0, 30.0, 0.0, 0.841192, -0.003637])
    why = "At 0 GELU is 0, far to the right x, far to the left 0; then its values at 1 and -3."
    attempt.expect((x,), expected, why)


def _check_gelu_random(attempt):
    rng = np.random.default_rng(5)
    for shape in ((9,), (4, 5), (2, 3, 4)):
        for dtype in ("float32", "float64"):
            x = _tensor(rng, *shape, scale=2.0, dtype=dtype)
            attempt.expect((x,), _gelu_oracle(x))


def _check_gelu_range(attempt):
    import torch

    x = torch.linspace(-6, 6, 121)
    attempt.expect((x,), _gelu_oracle(x), "From -6 to 6 in steps of 0.1.")


def _check_gelu_gradient(attempt):
    rng = np.random.default_rng(6)
    for _ in range(3):
        case = (_tensor(rng, 3, 4, dtype="float64"),)
        attempt.expect(case, _gradient(_gelu_oracle, *case), "This is the gradient for x.", drive=_gradient)


def _gelu_probes():
    import torch

    rng = np.random.default_rng(7)
    return [(torch.linspace(-3.2, 3.2, 17),), (_tensor(rng, 2, 5),)]


def _gelu_form(inner, outside=lambda x, t: 0.5 * x * (1 + t)):
    return lambda x: outside(x, inner(x).tanh())


_ROOT = math.sqrt(2 / math.pi)


def _gelu_inner(x):
    return _ROOT * (x + 0.044715 * x**3)


_GELU_MISCONCEPTIONS = (
    Misconception(
        "exact_gelu",
        lambda x: 0.5 * x * (1 + (x / math.sqrt(2)).erf()),
        "This is the exact GELU, with erf; it differs by up to 0.0005. The weights of GPT-2 were "
        "trained with the other form: which function does the formula have?",
    ),
    Misconception(
        "relu",
        lambda x: x.clamp(min=0),
        "This is ReLU: exactly 0 on the left, with a kink. What does GELU do near 0?",
    ),
    Misconception(
        "sigmoid_form",
        lambda x: x * (1.702 * x).sigmoid(),
        "You approximate GELU by a sigmoid. GPT-2 uses the form with tanh.",
        also=(lambda x: x * x.sigmoid(),),
    ),
    Misconception(
        "half_left_out",
        lambda x: 2 * _gelu_oracle(x),
        "Your result is twice too large: 1 + tanh runs from 0 to 2. Which factor brings it to 1?",
    ),
    Misconception(
        "one_left_out",
        _gelu_form(_gelu_inner, lambda x, t: 0.5 * x * t),
        "Your function is the same on the left and on the right. What is added to tanh so that it "
        "runs from 0 upwards?",
        also=(_gelu_form(_gelu_inner, lambda x, t: x * t),),
    ),
    Misconception(
        "x_left_out",
        _gelu_form(_gelu_inner, lambda x, t: 0.5 * (1 + t)),
        "This is the gate, between 0 and 1. What does it multiply?",
    ),
    Misconception(
        "bracket_missing",
        _gelu_form(lambda x: _ROOT * x + 0.044715 * x**3),
        "The root multiplies x alone in your code. How far does the bracket reach?",
    ),
    Misconception(
        "no_root",
        _gelu_form(lambda x: 2 / math.pi * (x + 0.044715 * x**3)),
        "You multiply by 2/pi. What is done to it in the formula?",
        also=(_gelu_form(lambda x: math.sqrt(math.pi / 2) * (x + 0.044715 * x**3)),),
    ),
    Misconception(
        "factor_left_out",
        _gelu_form(lambda x: x + 0.044715 * x**3),
        "The inside of your tanh is x + 0.044715 x**3. What stands in front of it?",
    ),
    Misconception(
        "square_instead_of_cube",
        _gelu_form(lambda x: _ROOT * (x + 0.044715 * x**2)),
        "Your x is squared inside the tanh: which power does it need so that left and right are "
        "mirrored?",
    ),
    Misconception(
        "cubic_term_left_out",
        _gelu_form(lambda x: _ROOT * x),
        "The inside of your tanh is a straight line. Which term is missing?",
    ),
)


# transformer_block


def _block_tensors(rng, C, dtype="float32"):
    shapes = {
        "ln_1.weight": (C,), "ln_1.bias": (C,), "attn.c_attn.weight": (C, 3 * C), "attn.c_attn.bias": (3 * C,),
        "attn.c_proj.weight": (C, C), "attn.c_proj.bias": (C,), "ln_2.weight": (C,), "ln_2.bias": (C,),
        "mlp.c_fc.weight": (C, 4 * C), "mlp.c_fc.bias": (4 * C,), "mlp.c_proj.weight": (4 * C, C), "mlp.c_proj.bias": (C,),
    }  # fmt: skip
    return {name: _tensor(rng, *shape, scale=0.5, dtype=dtype) for name, shape in shapes.items()}


def _block_case(rng, B=2, T=5, n_heads=2, d_head=3, dtype="float32"):
    C = n_heads * d_head
    return _tensor(rng, B, T, C, dtype=dtype) + 0.5, _block_tensors(rng, C, dtype), n_heads


def _block_sample(rng):
    return _block_case(rng, int(rng.integers(1, 3)), int(rng.integers(1, 6)), int(rng.integers(1, 4)))


def _block_oracle(x, p, n_heads):
    """From torch's own parts."""
    import torch.nn.functional as F

    def linear(x, name):
        return F.linear(x, p[f"{name}.weight"].T, p[f"{name}.bias"])

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    def heads(x):
        return x.unflatten(-1, (n_heads, -1)).transpose(1, 2)

    q, k, v = map(heads, linear(norm(x, "ln_1"), "attn.c_attn").chunk(3, dim=-1))
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
    x = x + linear(mixed, "attn.c_proj")
    return x + linear(F.gelu(linear(norm(x, "ln_2"), "mlp.c_fc"), approximate="tanh"), "mlp.c_proj")


def _check_block_silent(attempt):
    rng = np.random.default_rng(8)
    x, p, n_heads = _block_case(rng)
    for name in p:
        if "c_proj" in name:
            p[name] = p[name] * 0
    why = "Both parts give 0 here, so x must come out as it went in."
    attempt.expect((x, p, n_heads), x, why)


def _check_block_random(attempt):
    rng = np.random.default_rng(9)
    for B, T, n_heads, d_head in ((2, 5, 2, 3), (1, 4, 1, 4), (3, 2, 4, 2), (1, 9, 3, 2)):
        case = _block_case(rng, B, T, n_heads, d_head)
        attempt.expect(case, _block_oracle(*case))


def _check_block_double(attempt):
    case = _block_case(np.random.default_rng(10), dtype="float64")
    attempt.expect(case, _block_oracle(*case), "In float64.")


def _check_block_edges(attempt):
    rng = np.random.default_rng(11)
    for B, T in ((1, 1), (2, 1), (1, 12)):
        case = _block_case(rng, B, T)
        attempt.expect(case, _block_oracle(*case))


def _check_block_future(attempt):
    rng = np.random.default_rng(12)
    x, p, n_heads = _block_case(rng, 1, 6)
    early = _block_oracle(x, p, n_heads)[:, :4]
    x = x.clone()
    x[:, 4:] += 1
    why = "Only tokens 4 and 5 changed; these are the outputs of the four before them."
    attempt.expect((x, p, n_heads), early, why, drive=lambda fn, *case: fn(*case)[:, :4])


def _block_probes():
    rng = np.random.default_rng(13)
    return [_block_case(rng, 2, 4, 2, 3), _block_case(rng, 1, 5, 3, 2)]


def _block_of(make):
    """make(x, attn, mlp, norm_1, norm_2) with the parts as functions of one tensor."""

    def wrong(x, p, n_heads):
        def norm(name):
            return lambda x: layer_norm(x, p[f"{name}.weight"], p[f"{name}.bias"])

        return make(x, lambda x: attention(x, p, n_heads), lambda x: mlp(x, p), norm("ln_1"), norm("ln_2"))

    return wrong


def _plus(x, part):
    return x + part(x)


def _block_post_norm(x, attn, mlp, n1, n2):
    x = n1(x + attn(x))
    return n2(x + mlp(x))


def _block_stream_normalised(x, attn, mlp, n1, n2):
    x = _plus(n1(x), attn)
    return _plus(n2(x), mlp)


def _block_first_normalised(x, attn, mlp, n1, n2):
    x = _plus(n1(x), attn)
    return x + mlp(n2(x))


def _block_second_normalised(x, attn, mlp, n1, n2):
    return _plus(n2(x + attn(n1(x))), mlp)


_BLOCK_MISCONCEPTIONS = (
    Misconception(
        "normalised_after_the_sum",
        _block_of(_block_post_norm),
        "You normalise the sums, as the first Transformer did. GPT-2 normalises what a part "
        "*reads* and leaves the sum alone.",
    ),
    Misconception(
        "normalised_stream",
        _block_of(_block_stream_normalised),
        "You add the parts to the normalised x. To which x does GPT-2 add: the one before or after "
        "the layer norm?",
        also=(_block_of(_block_first_normalised), _block_of(_block_second_normalised)),
    ),
    Misconception(
        "attention_replaces_x",
        _block_of(lambda x, attn, mlp, n1, n2: (lambda y: y + mlp(n2(y)))(attn(n1(x)))),
        "After attention the old x is gone. What is its output added to?",
    ),
    Misconception(
        "mlp_replaces_x",
        _block_of(lambda x, attn, mlp, n1, n2: mlp(n2(x + attn(n1(x))))),
        "The MLP's output is returned alone. What is it added to?",
    ),
    Misconception(
        "no_residual",
        _block_of(lambda x, attn, mlp, n1, n2: mlp(n2(attn(n1(x))))),
        "Each part replaces x. What remains of x when both parts give 0?",
    ),
    Misconception(
        "first_sum_lost",
        _block_of(lambda x, attn, mlp, n1, n2: x + mlp(n2(x + attn(n1(x))))),
        "The MLP reads the new x, but you add its output to the old one. Where does the result of "
        "attention stay?",
    ),
    Misconception(
        "both_parts_read_the_same_x",
        _block_of(lambda x, attn, mlp, n1, n2: x + attn(n1(x)) + mlp(n2(x))),
        "Your MLP reads x as it was before attention. Some models do that; in GPT-2 it comes after.",
    ),
    Misconception(
        "mlp_first",
        _block_of(lambda x, attn, mlp, n1, n2: (lambda y: y + attn(n2(y)))(x + mlp(n1(x)))),
        "The MLP comes before attention in your block. Which comes first in GPT-2?",
        also=(_block_of(lambda x, attn, mlp, n1, n2: (lambda y: y + attn(n1(y)))(x + mlp(n2(x)))),),
    ),
    Misconception(
        "one_norm_twice",
        _block_of(lambda x, attn, mlp, n1, n2: (lambda y: y + mlp(n1(y)))(x + attn(n1(x)))),
        "You use the tensors of one layer norm in both places. How many does p hold?",
        also=(_block_of(lambda x, attn, mlp, n1, n2: (lambda y: y + mlp(n2(y)))(x + attn(n2(x)))),),
    ),
    Misconception(
        "norms_exchanged",
        _block_of(lambda x, attn, mlp, n1, n2: (lambda y: y + mlp(n1(y)))(x + attn(n2(x)))),
        "ln_1 stands in front of the MLP in your block. In front of which part does it belong?",
    ),
    Misconception(
        "no_norm",
        _block_of(lambda x, attn, mlp, n1, n2: _plus(_plus(x, attn), mlp)),
        "The parts read x as it is. What does GPT-2 do to it first?",
        also=(
            _block_of(lambda x, attn, mlp, n1, n2: (lambda y: y + mlp(y))(x + attn(n1(x)))),
            _block_of(lambda x, attn, mlp, n1, n2: (lambda y: y + mlp(n2(y)))(x + attn(x))),
        ),
    ),
    Misconception(
        "one_head",
        lambda x, p, n_heads: transformer_block(x, p, 1),
        "Your attention has a single head. Is n_heads used?",
    ),
)


# kv_cache_step


def _cache_case(rng, B=2, H=2, P=4, S=3, d=5, dtype="float32"):
    new = [_tensor(rng, B, H, S, d, dtype=dtype) for _ in range(3)]
    return (*new, _tensor(rng, B, H, P, d, dtype=dtype), _tensor(rng, B, H, P, d, dtype=dtype))


def _cache_sample(rng):
    B, H, S = (int(n) for n in rng.integers(1, 4, 3))
    return _cache_case(rng, B, H, int(rng.integers(0, 5)), S, int(rng.integers(2, 6)))


def _cache_oracle(q, k, v, past_k, past_v):
    """Query by query, over what it may see."""
    import torch

    k, v, P = torch.cat([past_k, k], 2), torch.cat([past_v, v], 2), past_k.shape[2]
    rows = []
    for s in range(q.shape[2]):
        seen = P + s + 1
        scores = torch.einsum("bhd,bhtd->bht", q[:, :, s], k[:, :, :seen]) / q.shape[-1] ** 0.5
        rows.append(torch.einsum("bht,bhtd->bhd", scores.softmax(-1), v[:, :, :seen]))
    return torch.stack(rows, dim=2), k, v


def _check_cache_one(attempt):
    rng = np.random.default_rng(14)
    case = _cache_case(rng, S=1)
    attempt.expect(case, _cache_oracle(*case), "One new token, which sees everything.")


def _check_cache_empty(attempt):
    rng = np.random.default_rng(15)
    case = _cache_case(rng, P=0, S=4)
    attempt.expect(case, _cache_oracle(*case), "The cache is empty: plain causal attention.")


def _check_cache_random(attempt):
    rng = np.random.default_rng(16)
    for P, S, dtype in ((3, 2, "float32"), (1, 4, "float64"), (6, 1, "float32"), (2, 2, "float64")):
        case = _cache_case(rng, P=P, S=S, dtype=dtype)
        attempt.expect(case, _cache_oracle(*case))
    for _ in range(6):
        case = _cache_sample(rng)
        attempt.expect(case, _cache_oracle(*case))


def _check_cache_pieces(attempt):
    """Read in pieces, a sequence gives what it gives in one go."""
    rng = np.random.default_rng(17)
    q, k, v = (_tensor(rng, 1, 2, 7, 4) for _ in range(3))
    empty = k[:, :, :0]
    right = _cache_oracle(q, k, v, empty, empty)

    def in_pieces(step, q, k, v, past_k, past_v):
        import torch

        rows = []
        for start, stop in ((0, 3), (3, 4), (4, 6), (6, 7)):
            new = (t[:, :, start:stop] for t in (q, k, v))
            y, past_k, past_v = step(*new, past_k, past_v)
            rows.append(y)
        return torch.cat(rows, dim=2), past_k, past_v

    why = "Seven tokens, read in pieces of 3, 1, 2 and 1."
    attempt.expect((q, k, v, empty, empty), right, why, drive=in_pieces)


def _cache_probes():
    rng = np.random.default_rng(18)
    return [_cache_case(rng, P=4, S=3), _cache_case(rng, P=3, S=1), _cache_case(rng, P=0, S=4, d=3)]


def _cached(diagonal=lambda P: P + 1, scale=math.sqrt, axis=-1):
    """The step with another mask (None for none), scale or axis of the softmax."""

    def wrong(q, k, v, past_k, past_v):
        import torch

        k, v, P = torch.cat([past_k, k], dim=2), torch.cat([past_v, v], dim=2), past_k.shape[2]
        scores = q @ k.transpose(-1, -2) / scale(q.shape[-1])
        if diagonal is not None:
            scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(diagonal(P)).bool(), -math.inf)
        return scores.softmax(dim=axis) @ v, k, v

    return wrong


def _cache_ignored(q, k, v, past_k, past_v):
    y, _, _ = kv_cache_step(q, k, v, past_k[:, :, :0], past_v[:, :, :0])
    return (y, *_joined(k, v, past_k, past_v))


def _cache_past_only(q, k, v, past_k, past_v):
    scores = q @ past_k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    return (scores.softmax(dim=-1) @ past_v, *_joined(k, v, past_k, past_v))


def _joined(k, v, past_k, past_v):
    import torch

    return torch.cat([past_k, k], dim=2), torch.cat([past_v, v], dim=2)


def _cache_new_first(q, k, v, past_k, past_v):
    import torch

    S, P = k.shape[2], past_k.shape[2]
    k, v = torch.cat([k, past_k], dim=2), torch.cat([v, past_v], dim=2)
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    return scores.masked_fill(torch.ones(S, P + S).triu(P + 1).bool(), -math.inf).softmax(-1) @ v, k, v


def _cache_new_first_cache_only(q, k, v, past_k, past_v):
    import torch

    y, _, _ = kv_cache_step(q, k, v, past_k, past_v)
    return y, torch.cat([k, past_k], dim=2), torch.cat([v, past_v], dim=2)


_CACHE_MISCONCEPTIONS = (
    Misconception(
        "mask_not_moved",
        _cached(lambda P: 1),
        "Your mask starts in the top left corner, as without a cache. The first new token stands "
        "at place P: how many keys may it see?",
    ),
    Misconception(
        "no_mask",
        _cached(None),
        "Right for one new token. With several, the first sees the ones after it. What hides them?",
    ),
    Misconception(
        "sees_one_too_many",
        _cached(lambda P: P + 2),
        "Every new token sees the one after it. Where does the mask's diagonal begin?",
    ),
    Misconception(
        "does_not_see_itself",
        _cached(lambda P: P),
        "A new token does not see itself. Is place P the future of the token at place P?",
    ),
    Misconception(
        "cache_not_used",
        _cache_ignored,
        "Your y doesn't depend on past_k and past_v. To what must the new k and v be joined before "
        "the scores?",
    ),
    Misconception(
        "sees_only_the_cache",
        _cache_past_only,
        "Your y doesn't depend on the new k and v. A token sees itself, too.",
    ),
    Misconception(
        "new_tokens_first",
        _cache_new_first,
        "You put the new tokens in front of the old ones. In which order do they stand in the text?",
        also=(_cache_new_first_cache_only,),
    ),
    Misconception(
        "cache_not_extended",
        lambda q, k, v, pk, pv: (kv_cache_step(q, k, v, pk, pv)[0], k, v),
        "Your y is right. The next step will need the keys and values of all tokens so far: what "
        "do you return?",
        also=(lambda q, k, v, pk, pv: (kv_cache_step(q, k, v, pk, pv)[0], pk, pv),),
    ),
    Misconception(
        "no_scale",
        _cached(scale=lambda d: 1.0),
        "Your scores are not divided by the root of d_head.",
    ),
    Misconception(
        "scaled_by_d_head",
        _cached(scale=lambda d: d),
        "You divide the scores by d_head. By what does attention divide them?",
    ),
    Misconception(
        "softmax_over_queries",
        _cached(axis=-2),
        "Your weights sum to 1 over the queries. Each query shares out 1 over its keys: which axis "
        "is that?",
    ),
)


# load_state_dict


def _their_shapes(C, n_layer, V, n_positions):
    yield from [("wte.weight", (V, C)), ("wpe.weight", (n_positions, C))]
    for i in range(n_layer):
        for name, shape in (
            ("ln_1.weight", (C,)), ("ln_1.bias", (C,)), ("attn.c_attn.weight", (C, 3 * C)), ("attn.c_attn.bias", (3 * C,)),
            ("attn.c_proj.weight", (C, C)), ("attn.c_proj.bias", (C,)), ("ln_2.weight", (C,)), ("ln_2.bias", (C,)),
            ("mlp.c_fc.weight", (C, 4 * C)), ("mlp.c_fc.bias", (4 * C,)), ("mlp.c_proj.weight", (4 * C, C)),
            ("mlp.c_proj.bias", (C,)),
        ):  # fmt: skip
            yield f"h.{i}.{name}", shape
    yield from [("ln_f.weight", (C,)), ("ln_f.bias", (C,))]


def _load_case(rng, C=3, n_layer=2, V=7, n_positions=5, prefix="transformer.", masks=True):
    import torch

    theirs = {}
    for name, shape in _their_shapes(C, n_layer, V, n_positions):
        theirs[prefix + name] = _tensor(rng, *shape)
        if masks and name.endswith("attn.c_proj.bias"):
            block = prefix + name.removesuffix("c_proj.bias")
            theirs[f"{block}bias"] = torch.ones(1, 1, n_positions, n_positions).tril().bool()
            theirs[f"{block}masked_bias"] = torch.tensor(-1e4)
    if prefix:
        theirs["lm_head.weight"] = theirs[f"{prefix}wte.weight"]
    return (theirs,)


def _load_sample(rng):
    C, n_layer = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    return _load_case(rng, C, n_layer, prefix=str(rng.choice(["", "transformer."])), masks=rng.random() < 0.5)


def _load_oracle(theirs):
    """Name by name, from a list of our names."""
    start = "transformer." if "transformer.wte.weight" in theirs else ""
    pairs = [("token", "wte", 0), ("position", "wpe", 0), ("norm", "ln_f", 1)]
    n_layer = sum(name.endswith("ln_1.bias") for name in theirs)
    for i in range(n_layer):
        for our, their, transposed in (
            ("norm_1", "ln_1", 0), ("norm_2", "ln_2", 0), ("attn.qkv", "attn.c_attn", 1),
            ("attn.out", "attn.c_proj", 1), ("mlp.up", "mlp.c_fc", 1), ("mlp.down", "mlp.c_proj", 1),
        ):  # fmt: skip
            pairs.append((f"blocks.{i}.{our}", f"h.{i}.{their}", transposed))
    ours = {}
    for our, their, transposed in pairs:
        weight = theirs[f"{start}{their}.weight"]
        ours[f"{our}.weight"] = weight.transpose(0, 1) if transposed and weight.ndim == 2 else weight
        if f"{start}{their}.bias" in theirs:
            ours[f"{our}.bias"] = theirs[f"{start}{their}.bias"]
    return ours


def _mapped(load, theirs):
    """The learner's dict, and the names of the tensors in it that do not share their memory."""
    ours = load(theirs)
    if not isinstance(ours, Mapping):
        raise Failed(f"Your result is a {type(ours).__name__}; expected a dict.")
    given = {tensor.untyped_storage().data_ptr() for tensor in theirs.values()}
    tensors = {name: value for name, value in ours.items() if hasattr(value, "untyped_storage")}
    return ours, sorted(n for n, t in tensors.items() if t.untyped_storage().data_ptr() not in given)


def _expect_mapped(attempt, case, why=""):
    attempt.expect(case, (_load_oracle(*case), []), why)


def _check_load_names(attempt):
    def names(load, *case):
        return dict.fromkeys(sorted(_mapped(load, *case)[0]), "")

    case = _load_case(np.random.default_rng(19), n_layer=1, masks=False)
    attempt.expect(case, dict.fromkeys(sorted(_load_oracle(*case)), ""), "This check looks at the names only.", drive=names)


def _check_load_pocket(attempt):
    _expect_mapped(attempt, _load_case(np.random.default_rng(20), masks=False))


def _check_load_hub(attempt):
    rng = np.random.default_rng(21)
    why = "This dict has no prefix and no lm_head, but masks, as the file of gpt2 on the hub."
    _expect_mapped(attempt, _load_case(rng, prefix=""), why)
    _expect_mapped(attempt, _load_case(rng), "Here there are the prefix and the masks.")


def _check_load_many(attempt):
    rng = np.random.default_rng(22)
    _expect_mapped(attempt, _load_case(rng, C=2, n_layer=12, masks=False), "Twelve layers.")
    _expect_mapped(attempt, _load_case(rng, C=4, n_layer=1, V=4, n_positions=4), "Square tables.")


def _load_probes():
    rng = np.random.default_rng(23)
    return [_load_case(rng), _load_case(rng, C=4, n_layer=1, prefix="")]


def _after(change, keep=lambda name: False):
    """Our dict, then change(name, tensor) -> (name, tensor) for each entry; `keep`: of their names, too."""

    def wrong(theirs):
        ours = load_state_dict(theirs)
        ours.update({_our_name(n): t for n, t in theirs.items() if keep(n)})
        return dict(change(n, t) for n, t in ours.items())

    return wrong


def _our_name(name):
    return name.removeprefix("transformer.").replace("h.", "blocks.")


def _same(name, tensor):
    return name, tensor


def _renamed(old, new):
    return lambda name, tensor: (name.replace(old, new), tensor)


def _is_map(name):
    return name.endswith(("qkv.weight", "out.weight", "up.weight", "down.weight"))


def _prefix_kept(theirs):
    prefix = "transformer." if "transformer.wte.weight" in theirs else ""
    return {prefix + n: t for n, t in load_state_dict(theirs).items()}


_LOAD_MISCONCEPTIONS = (
    Misconception(
        "not_transposed",
        _after(lambda n, t: (n, t.T if _is_map(n) else t)),
        "The matrices of the linear maps are as transformers keeps them, (in, out). In which "
        "order does nn.Linear keep its weight?",
    ),
    Misconception(
        "square_matrix_not_transposed",
        _after(lambda n, t: (n, t.T if n.endswith("out.weight") else t)),
        "One matrix is square, so nothing complained: it is not transposed. Does the shape tell "
        "whether a matrix needs it?",
    ),
    Misconception(
        "tables_transposed",
        _after(lambda n, t: (n, t.T if n in ("token.weight", "position.weight") else t)),
        "The two embedding tables are transposed. nn.Embedding keeps a row for each token, and so "
        "does transformers.",
    ),
    Misconception(
        "reshaped_instead_of_transposed",
        _after(lambda n, t: (n, t.T.reshape(t.shape) if _is_map(n) else t)),
        "Shapes and names are right, the numbers stand in other places: you cut the rows anew "
        "instead of exchanging rows and columns.",
    ),
    Misconception(
        "copied",
        _after(lambda n, t: (n, t.clone())),
        "All values are right, but these tensors are copies: of a large model that is the memory "
        "of a second one. `.T` gives a view; what did you call that copies?",
        also=(_after(lambda n, t: (n, t.contiguous())),),
    ),
    Misconception(
        "head_kept",
        _after(_same, lambda n: n == "lm_head.weight"),
        "Your dict has a matrix for the head. Our model uses the token table for that: which name "
        "must be left out?",
        also=(_after(_renamed("lm_head", "head"), lambda n: n == "lm_head.weight"),),
    ),
    Misconception(
        "masks_kept",
        _after(_same, lambda n: n.endswith((".attn.bias", ".attn.masked_bias"))),
        "Your dict holds the causal masks. They are no parameters, although one is called "
        "attn.bias: which names must be left out?",
        also=(_after(_same, lambda n: n.endswith(".attn.bias")), _after(_same, lambda n: n.endswith(".masked_bias"))),
    ),
    Misconception(
        "prefix_kept",
        _prefix_kept,
        "Some of your names still begin with 'transformer.'.",
    ),
    Misconception(
        "biases_left_out",
        lambda theirs: {n: t for n, t in load_state_dict(theirs).items() if not n.endswith("bias")},
        "No bias is left. Only the masks had to go: what tells attn.bias from attn.c_attn.bias?",
        also=(
            lambda theirs: {
                n: t for n, t in load_state_dict(theirs).items() if not ("attn" in n and n.endswith("bias"))
            },
        ),
    ),
    Misconception(
        "one_bias_left_out_with_the_masks",
        lambda theirs: {n: t for n, t in load_state_dict(theirs).items() if not n.endswith("attn.qkv.bias")},
        "The bias of c_attn is gone: 'attn.bias' is also the end of 'attn.c_attn.bias'. What stands in front "
        "of it in the name of a mask?",
    ),
    Misconception(
        "projections_mixed_up",
        _after(_renamed("mlp.down", "mlp.out")),
        "c_proj is the name of two maps in transformers, one in attention and one in the MLP. "
        "What are they called in our model?",
        also=(_after(_renamed("attn.out", "attn.down")),),
    ),
    Misconception(
        "norms_exchanged",
        _after(lambda n, t: (n.replace("norm_1", "x").replace("norm_2", "norm_1").replace("x", "norm_2"), t)),
        "The two layer norms of a block have changed places.",
    ),
)


# forward_flops


def _flops_sample(rng):
    V, C, L, B, T = rng.integers(2, (400, 40, 7, 6, 50))
    return int(V), int(C), int(L), int(B), int(T)


def _flops_oracle(vocab_size, d_model, n_layer, B, T):
    """2 m n k for each matrix product (m, k) @ (k, n), one by one."""
    products = [(T, d_model, vocab_size)]
    for _ in range(n_layer):
        products += [(T, d_model, 3 * d_model), (T, d_model, T), (T, T, d_model)]
        products += [(T, d_model, d_model), (T, d_model, 4 * d_model), (T, 4 * d_model, d_model)]
    return B * sum(2 * m * k * n for m, k, n in products)


def _check_flops_one_token(attempt):
    case = (10, 2, 0, 1, 1)
    attempt.expect(case, 40, "No layers: one vector of 2 numbers times a (2, 10) matrix, 20 multiply-adds.")
    case = (10, 2, 1, 1, 1)
    attempt.expect(case, 144, "With one layer: 48 multiply-adds in the maps, 2 for the score, 2 for the mix.")


def _check_flops_random(attempt):
    rng = np.random.default_rng(24)
    for _ in range(15):
        case = _flops_sample(rng)
        attempt.expect(case, _flops_oracle(*case))


def _check_flops_batch(attempt):
    for B in (1, 2, 8):
        case = (50, 6, 2, B, 9)
        attempt.expect(case, B * _flops_oracle(50, 6, 2, 1, 9), "Rows of a batch don't see each other.")


def _check_flops_small(attempt):
    case = (50257, 768, 12, 1, 1024)
    attempt.expect(case, _flops_oracle(*case), "This is GPT-2 small with a full context.")


def _flops_probes():
    return [(101, 12, 3, 2, 17), (53, 8, 1, 5, 40), (1000, 20, 4, 1, 6)]


def _flop_parts(V, C, L, B, T):
    """Of the maps in the layers, of scores and mixing, of the head."""
    return 24 * B * T * C * C * L, 4 * B * T * T * C * L, 2 * B * T * V * C


def _flops_of(make):
    return lambda V, C, L, B, T: make(*_flop_parts(V, C, L, B, T), V=V, C=C, L=L, B=B, T=T)


_FLOPS_MISCONCEPTIONS = (
    Misconception(
        "multiply_add_counted_once",
        _flops_of(lambda maps, scores, head, **_: (maps + scores + head) // 2),
        "Your count is half of it. A dot product of length n takes n multiplications and n "
        "additions.",
    ),
    Misconception(
        "scores_left_out",
        _flops_of(lambda maps, scores, head, **_: maps + head),
        "You count the matrices of weights only. Which two products of attention have no weights "
        "in them?",
    ),
    Misconception(
        "only_one_of_scores_and_mix",
        _flops_of(lambda maps, scores, head, **_: maps + scores // 2 + head),
        "Half of the two products inside attention is missing. Are q with k and weights with v both counted, "
        "each for all T * T pairs?",
    ),
    Misconception(
        "half_of_the_scores",
        _flops_of(lambda maps, scores, head, T, **_: maps + scores * (T + 1) // (2 * T) + head),
        "You count visible pairs only. Our code computes the masked scores as well, and then "
        "throws them away.",
    ),
    Misconception(
        "head_left_out",
        _flops_of(lambda maps, scores, head, **_: maps + scores),
        "The layers are right. Which product turns the last vectors into logits?",
    ),
    Misconception(
        "table_lookup_counted",
        _flops_of(lambda maps, scores, head, **_: maps + scores + 2 * head),
        "vocab_size * d_model is in your sum twice. Does looking up a row of the token table "
        "multiply anything?",
    ),
    Misconception(
        "one_token_only",
        _flops_of(lambda maps, scores, head, B, T, **_: (maps + scores + head) // (B * T)),
        "This is the count for a single token. How many tokens are there?",
        also=(
            _flops_of(lambda maps, scores, head, B, T, **_: (maps + scores + head) // B),
            _flops_of(lambda maps, scores, head, B, T, **_: (maps + scores + head) // T),
        ),
    ),
    Misconception(
        "scores_linear_in_t",
        _flops_of(lambda maps, scores, head, T, **_: maps + scores // T + head),
        "The maps are right. Each of T tokens has a score with how many keys?",
    ),
    Misconception(
        "rows_see_each_other",
        _flops_of(lambda maps, scores, head, B, **_: maps + scores * B + head),
        "You count scores between the rows of the batch. Does a token see other rows?",
    ),
    Misconception(
        "output_projection_left_out",
        _flops_of(lambda maps, scores, head, **_: maps * 11 // 12 + scores + head),
        "One (d_model, d_model) matrix of each layer is missing: what happens after the heads "
        "are joined?",
    ),
    Misconception(
        "mlp_of_width_d",
        _flops_of(lambda maps, scores, head, **_: maps // 2 + scores + head),
        "How wide is the hidden layer of the MLP?",
        also=(_flops_of(lambda maps, scores, head, **_: maps * 8 // 12 + scores + head),),
    ),
    Misconception(
        "backward_pass_included",
        _flops_of(lambda maps, scores, head, **_: 3 * (maps + scores + head)),
        "This is a training step. How much of it is the forward pass?",
    ),
)


# cache_agrees

VOCABULARY = 11
AGREEING = ("right", "noisy", "own")
WRONG = (
    "positions_from_0", "loses_a_token", "last_piece_only", "no_mask_in_a_piece", "one_token_at_first",
    "one_place", "late", "last_row", "slightly",
)  # fmt: skip


@dataclass(frozen=True)
class TinyReader:
    """ids (B, S), past -> logits (B, S, 11), past; `kind` says what it does with the past."""

    kind: str
    seed: int = 0

    def __call__(self, ids, past=None):
        import torch

        rng = np.random.default_rng(self.seed)
        sizes = (VOCABULARY, VOCABULARY, 40)
        table, other, place = ((4 * _tensor(rng, n, VOCABULARY)).round() / 4 for n in sizes)  # sums are exact
        seen, P = (ids[:, :0], 0) if past is None else past
        kept = ids if self.kind == "last_piece_only" else torch.cat([seen, ids], dim=1)
        past = kept, P + ids.shape[1]
        if self.kind == "own":
            return table[ids], past
        if self.kind == "loses_a_token":
            seen = seen[:, 1:]
        start = 0 if self.kind == "positions_from_0" else P
        among = other[ids].cumsum(1)
        if self.kind == "no_mask_in_a_piece" and P:
            among = among[:, -1:]
        logits = table[ids] + place[start : start + ids.shape[1]] + other[seen].sum(1, keepdim=True) + among
        if self.kind == "noisy":
            return logits * (1 + 1e-6 * torch.rand(logits.shape)), past
        return logits + self._error(P, *ids.shape), past

    def _error(self, P, B, S):
        import torch

        error = torch.zeros(B, S, 1)
        if self.kind == "slightly" and P:
            error += 0.003
        if self.kind == "one_token_at_first" and P == 0 and S == 1:
            error += 1
        if self.kind == "one_place" and 0 < P <= 4 < P + S:
            error[:, 4 - P] = 1
        if self.kind == "late" and P >= 4:
            error += 1
        if self.kind == "last_row" and P:
            error[-1] = 1
        if self.kind == "not_a_number" and P:
            error[:, -1] = float("nan")
        if self.kind == "too_low" and P:
            error -= 1
        if self.kind == "cancels" and P:
            return (error + 1) * torch.linspace(-1, 1, VOCABULARY)
        return error * torch.arange(1, VOCABULARY + 1)

    def __repr__(self):
        return f"<a model: {self.kind}>"


def _agrees_case(rng, kind, B=2, T=7):
    import torch

    return TinyReader(kind, int(rng.integers(1000))), torch.tensor(rng.integers(0, VOCABULARY, (B, T)))


def _agrees_sample(rng):
    return _agrees_case(rng, str(rng.choice(AGREEING + WRONG)), int(rng.integers(1, 4)), int(rng.integers(6, 9)))


def _check_agrees(kinds, right, why):
    def check(attempt):
        rng = np.random.default_rng(25)
        for kind in kinds:
            for B, T in ((2, 7), (1, 6), (3, 8)):
                attempt.expect(_agrees_case(rng, kind, B, T), right, why)

    return check


_check_agrees_right = _check_agrees(("right", "own"), True, "This model's cache is right.")
_check_agrees_noisy = _check_agrees(
    ("noisy",), True, "This cache is right; two calls on the same ids differ in the sixth digit, as rounding may."
)
_check_agrees_plain = _check_agrees(
    ("positions_from_0", "loses_a_token"), False, "In this model every piece but the first is wrong."
)
_check_agrees_hidden = _check_agrees(
    ("last_piece_only", "no_mask_in_a_piece", "one_token_at_first", "one_place", "late"),
    False,
    "This model is wrong for some ways to cut the text, or in one place.",
)
_check_agrees_small = _check_agrees(
    ("last_row", "slightly"), False, "This model is wrong in one row of the batch, or by a little."
)
_check_agrees_nan = _check_agrees(
    ("not_a_number",), False, "Here some logits are NaN with a past. NaN > 1e-4 is False, and max(0.0, NaN) is 0.0: does your test notice?"
)
_check_agrees_signs = _check_agrees(
    ("too_low", "cancels"),
    False,
    "With a past some logits are too low here; a maximum or a mean of signed differences may not show it.",
)


def _agrees_probes():
    rng = np.random.default_rng(26)
    return [_agrees_case(rng, kind) for kind in AGREEING + WRONG]


def _sizes_all(T):
    """Lengths of the pieces, for every way to cut a text that the reference tries."""
    return [[min(n, T - place) for place in range(0, T, n)] for n in range(1, T)]


def _agrees_test(cuts=_sizes_all, limit=1e-4, seen=lambda z: z, carry=lambda first, old, new: new):
    """The right test with other cuts, tolerance, compared logits or past."""
    import torch

    def wrong(model, ids):
        at_once = model(ids, None)[0]
        for lengths in cuts(ids.shape[1]):
            past, parts = None, []
            for piece in ids.split(lengths, dim=1):
                logits, new = model(piece, past)
                past = carry(not parts, past, new)
                parts.append(logits)
            if (seen(torch.cat(parts, dim=1)) - seen(at_once)).abs().max() > limit:
                return False
        return True

    return wrong


def _first_piece_only(model, ids):
    at_once = model(ids, None)[0]
    return all(
        bool((model(ids[:, :n], None)[0] - at_once[:, :n]).abs().max() < 1e-4) for n in range(1, ids.shape[1])
    )


def _lazily(**how):
    """`_agrees_test(**how)`, made when it is called: this module is read without torch."""
    return lambda model, ids: _agrees_test(**how)(model, ids)


_AGREES_MISCONCEPTIONS = (
    Misconception(
        "past_not_handed_on",
        _lazily(carry=lambda first, old, new: None),
        "You call a right cache wrong. Does each piece get the past that the piece before it gave "
        "back?",
        also=(_lazily(carry=lambda first, old, new: new if first else old),),
    ),
    Misconception(
        "token_by_token_only",
        _lazily(cuts=lambda T: [[1] * T]),
        "You read token by token. A model that goes wrong when several tokens follow a past passes "
        "your test.",
    ),
    Misconception(
        "prompt_then_tokens_only",
        _lazily(cuts=lambda T: [[T // 2] + [1] * (T - T // 2)]),
        "You read a prompt and then single tokens. What if the first piece is a single token, or a "
        "later one is long?",
    ),
    Misconception(
        "two_pieces_only",
        _lazily(cuts=lambda T: [[T // 2, T - T // 2]]),
        "You cut the text once. Some caches go wrong from the third piece on, or late in a text.",
        also=(_lazily(cuts=lambda T: [[t, T - t] for t in range(1, T)]),),
    ),
    Misconception(
        "only_the_first_piece_compared",
        _first_piece_only,
        "You compare first pieces only. Where does a model use its past for the first time?",
    ),
    Misconception(
        "only_the_last_token_compared",
        _lazily(seen=lambda z: z[:, -1:]),
        "You compare the last token's logits only. Earlier ones may be wrong, too.",
    ),
    Misconception(
        "only_the_first_row",
        _lazily(seen=lambda z: z[:1]),
        "You look at the first row of the batch only.",
    ),
    Misconception(
        "compared_exactly",
        _lazily(limit=0.0),
        "You ask for equality to the last bit. Sums may be rounded differently: what is a sensible "
        "tolerance?",
    ),
    Misconception(
        "compared_too_coarsely",
        _lazily(limit=0.5),
        "A small error passes your test. Rounding is about 1e-6: how large a difference do you let "
        "through?",
        also=(_lazily(limit=0.1),),
    ),
    Misconception(
        "answer_turned_round",
        lambda model, ids: not cache_agrees(model, ids),
        "You answer True where the cache is wrong. What does the name of the test promise?",
    ),
)


EXERCISES = (
    Exercise(
        id="gpt2_from_scratch.layer_norm",
        reference=layer_norm,
        difficulty=2,
        minutes=8,
        section="Layer norm",
        hints=(
            "Mean and variance are taken over the last axis, with keepdim=True so that they still "
            "fit x.",
            "The variance is the mean of the squared distances from the mean: divide by C.",
            "(x - mean) / (variance + eps).sqrt(), then times weight, plus bias.",
        ),
        checks=(
            Check("two vectors by hand", _check_norm_by_hand),
            Check("random tensors of any shape", _check_norm_random),
            Check("eps", _check_norm_eps),
            Check("equal numbers", _check_norm_constant),
            Check("gradient", _check_norm_gradient),
        ),
        misconceptions=_NORM_MISCONCEPTIONS,
        probes=_norm_probes,
        sample=_norm_sample,
    ),
    Exercise(
        id="gpt2_from_scratch.gelu_tanh",
        reference=gelu_tanh,
        difficulty=1,
        minutes=5,
        section="GELU",
        hints=(
            "The result is x times a gate between 0 and 1: half of 1 + tanh(...).",
            "Inside the tanh: the root of 2/pi times the whole bracket x + 0.044715 x**3.",
            "0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))",
        ),
        checks=(
            Check("five values", _check_gelu_by_hand),
            Check("random tensors", _check_gelu_random),
            Check("a whole range", _check_gelu_range),
            Check("gradient", _check_gelu_gradient),
        ),
        misconceptions=_GELU_MISCONCEPTIONS,
        probes=_gelu_probes,
        sample=_gelu_sample,
    ),
    Exercise(
        id="gpt2_from_scratch.transformer_block",
        reference=transformer_block,
        difficulty=3,
        minutes=12,
        section="The block",
        hints=(
            "There are two steps, and each has the form x = x + part(norm(x)).",
            "The first part is attention(..., p, n_heads) with ln_1, the second mlp(..., p) with ln_2, "
            "which reads the x that attention has already changed.",
            'x = x + attention(layer_norm(x, p["ln_1.weight"], p["ln_1.bias"]), p, n_heads); the '
            "second line looks the same.",
        ),
        checks=(
            Check("parts that give 0", _check_block_silent),
            Check("random blocks against torch", _check_block_random),
            Check("float64", _check_block_double),
            Check("edge cases", _check_block_edges),
            Check("the future", _check_block_future),
        ),
        misconceptions=_BLOCK_MISCONCEPTIONS,
        probes=_block_probes,
        sample=_block_sample,
    ),
    Exercise(
        id="gpt2_from_scratch.kv_cache_step",
        reference=kv_cache_step,
        difficulty=3,
        minutes=15,
        section="The cache",
        returns=("y", "k", "v"),
        hints=(
            "Join first: the cached keys and values, then the new ones, along the axis of tokens.",
            "The scores are (B, H, S, P + S). New token s stands at place P + s and may see places "
            "0 to P + s.",
            "torch.ones(S, P + S, dtype=torch.bool).triu(P + 1) is True where a key lies in the "
            "future. masked_fill with -inf, softmax over the last axis, @ v.",
        ),
        checks=(
            Check("one new token", _check_cache_one),
            Check("an empty cache", _check_cache_empty),
            Check("random shapes", _check_cache_random),
            Check("in pieces", _check_cache_pieces),
        ),
        misconceptions=_CACHE_MISCONCEPTIONS,
        probes=_cache_probes,
        sample=_cache_sample,
    ),
    Exercise(
        id="gpt2_from_scratch.load_state_dict",
        reference=load_state_dict,
        difficulty=3,
        minutes=15,
        section="Loading",
        returns=("dict", "list of copied tensors"),
        hints=(
            "Go through theirs.items(): leave out what has no place, change the name, transpose "
            "where a linear map's weight needs it.",
            "The four linear maps of a block are the names with '.c_'. Their weights have two axes, "
            "their biases one. lm_head.weight, *.attn.bias and *.attn.masked_bias have no place.",
            "name.removeprefix('transformer.'), then name.replace(old, new) for each row of the "
            "table, with the full 'attn.c_proj' and 'mlp.c_proj'; tensor.T is a view.",
        ),
        checks=(
            Check("names", _check_load_names),
            Check("a dict as of the pocket model", _check_load_pocket),
            Check("a dict as on the hub", _check_load_hub),
            Check("many layers", _check_load_many),
        ),
        misconceptions=_LOAD_MISCONCEPTIONS,
        probes=_load_probes,
        sample=_load_sample,
        drive=_mapped,
        arguments=lambda theirs: (theirs,),
    ),
    Exercise(
        id="gpt2_from_scratch.cache_agrees",
        reference=cache_agrees,
        difficulty=3,
        minutes=12,
        section="Does the cache change anything?",
        hints=(
            "Read the text once at once: model(ids, None). Then read it in pieces and hand the past "
            "that comes back to the next call.",
            "ids.split(size, dim=1) cuts a text into pieces. One size is not enough: try all from 1 to "
            "T - 1.",
            "Compare each piece's logits with the same places of the logits at once, all rows and "
            "tokens, with a tolerance such as 1e-4. Return a bool.",
        ),
        checks=(
            Check("right caches", _check_agrees_right),
            Check("a right cache with rounding", _check_agrees_noisy),
            Check("wrong from the second piece on", _check_agrees_plain),
            Check("wrong for some pieces", _check_agrees_hidden),
            Check("wrong in one row, or by a little", _check_agrees_small),
            Check("logits that are NaN", _check_agrees_nan),
            Check("differences of either sign", _check_agrees_signs),
        ),
        misconceptions=_AGREES_MISCONCEPTIONS,
        probes=_agrees_probes,
        sample=_agrees_sample,
    ),
    Exercise(
        id="gpt2_from_scratch.forward_flops",
        reference=forward_flops,
        difficulty=2,
        minutes=10,
        section="How much work?",
        hints=(
            "A product (m, k) @ (k, n) takes 2 * m * k * n operations. List the products of one "
            "layer, then the head's.",
            "For each token a layer multiplies with 3 + 1 + 4 + 4 matrices of size "
            "d_model * d_model. The heads together make scores with T keys and mix T values, "
            "d_model multiplications each.",
            "2 * B * T * (n_layer * (12 * d_model**2 + 2 * T * d_model) + vocab_size * d_model)",
        ),
        checks=(
            Check("one token by hand", _check_flops_one_token),
            Check("random sizes", _check_flops_random),
            Check("a batch", _check_flops_batch),
            Check("GPT-2 small", _check_flops_small),
        ),
        misconceptions=_FLOPS_MISCONCEPTIONS,
        probes=_flops_probes,
        sample=_flops_sample,
    ),
)
