"""The forward pass of a GPT-2, over the tensors of a Hugging Face model.

`transformers` spends much of a small model's time outside the matrix products.
These functions read the same parameters, so they give the same numbers, the same
gradients and no second copy of the weights. Lesson 11 builds them from nothing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint


def supports(model) -> bool:
    """True if `model` is a plain GPT2LMHeadModel that these functions reproduce.

    Adapters, other architectures and GPT-2's rarely used variants answer False, and the
    callers then use the model's own forward pass.
    """
    from transformers import GPT2LMHeadModel
    from transformers.pytorch_utils import Conv1D

    if type(model) is not GPT2LMHeadModel:
        return False
    config = model.config
    return (
        config.activation_function in ("gelu_new", "gelu_pytorch_tanh")
        and config.scale_attn_weights
        and not config.scale_attn_by_inverse_layer_idx
        and not config.reorder_and_upcast_attn
        and all(
            type(layer) is Conv1D
            for block in model.transformer.h
            for layer in (block.attn.c_attn, block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj)
        )
    )


def document_mask(ids, eos_id: int):
    """Positions and attention mask that keep the documents of a packed row apart.

    ids (B, T), each document opening with `eos_id` -> positions (B, T), counted from the
    document's start, and mask (B, 1, T, T), True where a query may look at a key; the mask is
    None where no row holds a border, since plain causal attention is then the same.

    >>> positions, mask = document_mask(torch.tensor([[0, 5, 6, 0, 7]]), eos_id=0)
    >>> positions.tolist(), mask[0, 0, 4].tolist()
    ([[0, 1, 2, 0, 1]], [False, False, False, True, True])
    """
    T = ids.shape[1]
    index = torch.arange(T, device=ids.device)
    opens = ids == eos_id  # (B, T)
    start = torch.where(opens, index, 0).cummax(dim=1).values
    positions = index - start
    if not opens[:, 1:].any():
        return positions, None
    same = start[:, :, None] == start[:, None, :]  # (B, T, T)
    return positions, (same & (index[:, None] >= index)).unsqueeze(1)


def hidden_states(model, ids, positions=None, mask=None):
    """The last layer's normalised states: ids (B, T) -> (B, T, d_model).

    Dropout and `activation_checkpointing_enable` follow `model.training`, as in transformers. `mask`
    (B, 1, T, T) is boolean and includes causality; without it attention is causal. Source: Radford et
    al. (2019).
    """
    config, body = model.config, model.transformer
    B, T = ids.shape
    H, C = config.n_head, config.n_embd
    p_residual = config.resid_pdrop if model.training else 0.0
    p_attention = config.attn_pdrop if model.training else 0.0

    def linear(x, layer):  # Conv1D keeps its weight as (n_in, n_out)
        return torch.addmm(layer.bias, x.reshape(B * T, -1), layer.weight)

    def drop(x):
        return F.dropout(x, p_residual) if p_residual else x

    def through(block, x):
        qkv = linear(block.ln_1(x), block.attn.c_attn).view(B, T, 3, H, C // H)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, T, d_head)
        mixed = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=p_attention, is_causal=mask is None
        )
        mixed = mixed.transpose(1, 2).reshape(B, T, C)
        x = x + drop(linear(mixed, block.attn.c_proj).view(B, T, C))
        inner = F.gelu(linear(block.ln_2(x), block.mlp.c_fc), approximate="tanh")
        return x + drop(linear(inner, block.mlp.c_proj).view(B, T, C))

    place = body.wpe.weight[:T] if positions is None else F.embedding(positions, body.wpe.weight)
    x = F.embedding(ids, body.wte.weight) + place  # (B, T, C)
    if model.training and config.embd_pdrop:
        x = F.dropout(x, config.embd_pdrop)
    for block in body.h:
        again = model.training and getattr(block, "gradient_checkpointing", False)
        x = checkpoint(through, block, x, use_reentrant=False) if again else through(block, x)
    return body.ln_f(x)
