"""Arithmetic of a GPT-2, counted from its shape."""

from __future__ import annotations


def training_flops(config, T: int) -> int:
    """FLOPs of training on one token of a row of T tokens; a multiplication with its addition counts 2.

    Each weight of the matrices, the head among them, is used once a token; scores and mixing of
    attention reach over T/2 tokens on average, but are computed for all T. The backward pass takes
    twice the forward pass. Source: Chowdhery et al. (2022), appendix B.

    >>> from transformers import GPT2Config
    >>> round(training_flops(GPT2Config(), 1024) / 1e9, 2)
    0.85
    """
    C = config.n_embd
    inner = config.n_inner or 4 * C
    matrices = config.n_layer * (4 * C * C + 2 * C * inner) + config.vocab_size * C
    attention = config.n_layer * 2 * T * C  # scores and mixing
    return 3 * 2 * (matrices + attention)
