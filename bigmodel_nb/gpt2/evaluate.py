"""How well a model predicts text: the loss of each token, and perplexity."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F

from bigmodel_nb.errors import DataError
from bigmodel_nb.gpt2 import data, lean

LOGITS_AT_ONCE = 2**22  # floats; bounds the memory of an evaluation


def logits_of(model, ids, positions=None, mask=None):
    """Next-token logits: ids (B, T) -> (B, T, vocab_size), by the lean pass where it applies."""
    if lean.supports(model):
        return lean.hidden_states(model, ids, positions, mask) @ model.lm_head.weight.T
    if mask is not None:  # additive, which every attention implementation of transformers reads
        dtype = next(model.parameters()).dtype
        mask = torch.zeros(mask.shape, dtype=dtype, device=ids.device).masked_fill(
            ~mask, torch.finfo(dtype).min
        )
    return model(input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False).logits


def token_losses(model, ids: list[int], eos_id: int | None = None, stride: int | None = None):
    """Cross-entropy of each token in nats: ids of length N -> (N,) on the CPU.

    The text starts after <|endoftext|>. A text longer than the context is read in windows that
    overlap by `stride` (default: half the context); each token counts in the first window that
    holds it, so it counts once. Errors: DataError for an empty text or ids of another tokenizer.
    """
    config = model.config
    if not len(ids):
        raise DataError("the text is empty: there is no token to predict.")
    data.check_ids(ids, config.vocab_size)
    eos_id = config.bos_token_id if eos_id is None else eos_id
    device = next(model.parameters()).device
    sequence = torch.tensor([eos_id, *ids], device=device)
    context = min(config.n_positions, len(ids))
    starts = list(range(0, len(ids) - context, stride or max(1, config.n_positions // 2)))
    starts.append(len(ids) - context)
    losses = torch.empty(len(ids))
    rows = max(1, LOGITS_AT_ONCE // (context * config.vocab_size))
    done = 0
    training, _ = model.training, model.eval()
    with torch.inference_mode():
        for i in range(0, len(starts), rows):
            window = torch.stack([sequence[s : s + context + 1] for s in starts[i : i + rows]])
            logits = logits_of(model, window[:, :-1]).float()  # by rows below: down a column torch is slow
            nats = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten(), reduction="none").cpu()
            for start, row in zip(starts[i : i + rows], nats.view(len(window), context)):
                losses[done : start + context] = row[done - start :]
                done = start + context
    model.train(training)
    return losses


def perplexity(model, tokenizer, texts: str | Iterable[str]) -> float:
    """exp of the mean cross-entropy a token, over all tokens of all texts.

    Each text starts after <|endoftext|> and every token counts once, so long texts weigh more
    than short ones. Errors: DataError for empty texts. Source: Jelinek et al. (1977).
    """
    eos = data.end_id(model, tokenizer)
    losses = [token_losses(model, ids, eos) for ids in data.encode(model, tokenizer, texts)]
    return math.exp(float(torch.cat(losses).double().mean()))


def bits_per_byte(model, tokenizer, texts: str | Iterable[str]) -> float:
    """Cross-entropy in bits for each UTF-8 byte, which compares models with different tokenizers."""
    texts = data.as_texts(texts)
    eos = data.end_id(model, tokenizer)
    nats = sum(float(token_losses(model, ids, eos).double().sum()) for ids in data.encode(model, tokenizer, texts))
    return nats / math.log(2) / sum(len(text.encode()) for text in texts)
