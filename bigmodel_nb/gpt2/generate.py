"""The course's sampling loop: next-token distribution, filter, draw, append, repeat.

Lesson 12 builds it step by step. Here keys and values of past tokens are kept in one
preallocated cache, and the layers' tensors are read without module calls: for small models that
is most of the time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from bigmodel_nb.errors import DataError
from bigmodel_nb.gpt2 import data, lean


@dataclass(frozen=True)
class Step:
    """One drawn token: its probability before filtering, and the five most probable tokens."""

    token: int
    probability: float
    candidates: list[tuple[int, float]]


@dataclass
class Generation:
    """A prompt continued: `.text`, new token ids `.tokens`, `.steps`, `.tokens_per_second`."""

    prompt: str
    text: str
    tokens: list[int]
    steps: list[Step] = field(repr=False)
    tokens_per_second: float = field(repr=False)

    def __repr__(self) -> str:
        return f"Generation({len(self.tokens)} new tokens): {self.text!r}"

    def __str__(self) -> str:
        return self.text


def generate(model, tokenizer, prompt, max_new_tokens=60, temperature=0.8, top_k=50, top_p=None, seed=None):
    """Continue `prompt`, a str or a list of str, token by token -> Generation, or a list of them.

    temperature 0 takes the most probable token each time; top_k and top_p keep the most probable
    tokens (None: all). The same seed gives the same text on one machine. A row ends at
    <|endoftext|>. An empty prompt starts from <|endoftext|>. When the context is full, the older
    half is forgotten and the rest is read again; of a longer prompt the end is used.
    Errors: DataError for arguments out of range. Source: Holtzman et al. (2020) for top_p.
    """
    check_sampling(max_new_tokens, temperature, top_k, top_p)
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    if not prompts or not all(isinstance(p, str) for p in prompts):
        raise DataError("prompt must be a str or a list of str with at least one entry.")
    eos = data.end_id(model, tokenizer)
    rows = [tokenizer(p, verbose=False, add_special_tokens=False)["input_ids"] or [eos] for p in prompts]
    data.check_ids((i for row in rows for i in row), model.config.vocab_size)
    device = next(model.parameters()).device
    generator = None if seed is None else torch.Generator(device).manual_seed(seed)
    begun = time.perf_counter()
    drawn = sample(model, rows, max_new_tokens, temperature, top_k, top_p, generator, eos)
    seconds = time.perf_counter() - begun
    rate = sum(len(steps) for steps in drawn) / max(seconds, 1e-9)
    results = []
    for p, steps in zip(prompts, drawn):
        tokens = [step.token for step in steps]
        continuation = tokenizer.decode(tokens, skip_special_tokens=True)
        results.append(Generation(p, p + continuation, tokens, steps, rate))
    return results[0] if isinstance(prompt, str) else results


def check_sampling(max_new_tokens, temperature, top_k, top_p) -> None:
    """Raise DataError for an argument out of range, naming the range."""
    if not isinstance(max_new_tokens, int) or max_new_tokens < 0:
        raise DataError(f"max_new_tokens must be an integer of 0 or more; received {max_new_tokens!r}.")
    if not temperature >= 0:
        raise DataError(f"temperature must be 0 (most probable token) or more; received {temperature!r}.")
    if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
        raise DataError(f"top_k must be an integer of 1 or more, or None for all tokens; received {top_k!r}.")
    if top_p is not None and not 0 < top_p <= 1:
        raise DataError(f"top_p must be above 0 and at most 1, or None; received {top_p!r}.")


@torch.inference_mode()
def sample(model, rows, max_new_tokens, temperature, top_k, top_p, generator, eos) -> list[list[Step]]:
    """Draw up to `max_new_tokens` for each row of prompt ids; rows end at `eos`."""
    training, _ = model.training, model.eval()
    reader = CachedReader(model) if lean.supports(model) else PlainReader(model)
    context = model.config.n_positions
    rows = [list(row[-(context - 1) :]) for row in rows]
    drawn: list[list[tuple]] = [[] for _ in rows]
    alive = list(range(len(rows)))
    logits = reader.read(rows, max_new_tokens) if max_new_tokens else None
    for n in range(max_new_tokens):
        chosen, best = draw(logits, temperature, top_k, top_p, generator)
        tokens = chosen[0].tolist()
        for i, token, *record in zip(range(len(rows)), tokens, *(t.tolist() for t in (chosen[1], *best))):
            if i in alive:
                rows[i].append(token)
                drawn[i].append((token, *record))
                if token == eos:
                    alive.remove(i)
        if not alive or n + 1 == max_new_tokens:
            break
        if reader.length >= context:
            rows = [row[-(context // 2) :] for row in rows]
            logits = reader.read(rows, max_new_tokens - n - 1)
        else:
            logits = reader.append(chosen[0])
    model.train(training)
    return [[Step(token, p, list(zip(ids, ps))) for token, p, ps, ids in row] for row in drawn]


def draw(logits, temperature, top_k, top_p, generator):
    """logits (B, V) -> ((ids (B,), probabilities (B,)), (top-5 probabilities, top-5 ids))."""
    logits = logits.float()
    probabilities = torch.softmax(logits, -1)
    best = probabilities.topk(min(5, logits.shape[-1]))
    if temperature == 0:
        chosen = logits.argmax(-1)
    else:
        chosen = draw_filtered(logits / temperature, top_k, top_p, generator)
    return (chosen, probabilities.gather(1, chosen[:, None])[:, 0]), best


def draw_filtered(logits, top_k, top_p, generator):
    """One token for each row from the distribution cut to top_k, then to top_p: (B, V) -> (B,)."""
    ids = None
    if top_k is not None and top_k < logits.shape[-1]:
        logits, ids = logits.topk(top_k)  # sorted, largest first
    elif top_p is not None:
        logits, ids = logits.sort(descending=True)
    p = torch.softmax(logits, -1)
    if top_p is not None and top_p < 1:
        p = p.masked_fill(p.cumsum(-1) - p >= top_p, 0.0)  # the token that crosses top_p stays
    place = torch.multinomial(p, 1, generator=generator)
    return (place if ids is None else ids.gather(1, place))[:, 0]


class CachedReader:
    """Forward passes of a plain GPT-2 that keep keys and values of what was read.

    Rows of unequal length are padded on the left; padded keys are masked out, and positions count
    from each row's own start.
    """

    def __init__(self, model):
        body, config = model.transformer, model.config
        self.heads, self.width, self.context = config.n_head, config.n_embd, config.n_positions
        self.wte, self.wpe = body.wte.weight, body.wpe.weight
        self.head = model.lm_head.weight.T
        self.norm = (body.ln_f.weight, body.ln_f.bias)
        self.eps = config.layer_norm_epsilon
        self.layers = [
            (
                block.ln_1.weight, block.ln_1.bias, block.attn.c_attn.weight, block.attn.c_attn.bias,
                block.attn.c_proj.weight, block.attn.c_proj.bias, block.ln_2.weight, block.ln_2.bias,
                block.mlp.c_fc.weight, block.mlp.c_fc.bias, block.mlp.c_proj.weight, block.mlp.c_proj.bias,
            )
            for block in body.h
        ]

    def read(self, rows: list[list[int]], room: int):
        """Read whole rows afresh, with room for as many tokens more: -> logits (B, V)."""
        B, T = len(rows), max(map(len, rows))
        device = self.wte.device
        self.length, self.pads = 0, None
        pads = torch.tensor([T - len(row) for row in rows], device=device)
        ids = torch.tensor([[0] * (T - len(row)) + row for row in rows], device=device)
        size = min(self.context, T + room)
        shape = (2, len(self.layers), B, self.heads, size, self.width // self.heads)
        self.cache = self.wte.new_zeros(shape)
        positions = torch.arange(T, device=device)
        if not pads.any():
            return self.forward(ids, positions.expand(B, T), None)
        self.pads = pads[:, None]  # (B, 1)
        real = torch.arange(size, device=device) >= self.pads  # (B, size)
        causal = positions[:, None] >= positions
        # a padded query sees itself, so that its softmax is defined; nobody looks at it
        itself = torch.eye(T, dtype=torch.bool, device=device)
        mask = ((real[:, None, :T] & causal) | itself)[:, None]
        self.real = real[:, None, None, :]  # (B, 1, 1, size)
        return self.forward(ids, (positions - self.pads).clamp(min=0), mask)

    def append(self, tokens):
        """Read one token more for each row: tokens (B,) -> logits (B, V)."""
        if self.pads is None:
            return self.forward(tokens[:, None], self.length, None)
        mask = self.real[..., : self.length + 1]
        return self.forward(tokens[:, None], self.length - self.pads, mask)

    def forward(self, ids, positions, mask):
        B, T = ids.shape
        H, C, begin, end = self.heads, self.width, self.length, self.length + ids.shape[1]
        place = self.wpe[positions]
        x = (F.embedding(ids, self.wte) + place).view(B * T, C)
        for layer, (g1, b1, w_qkv, b_qkv, w_o, b_o, g2, b2, w_in, b_in, w_out, b_out) in enumerate(self.layers):
            normed = F.layer_norm(x, (C,), g1, b1, self.eps)
            qkv = torch.addmm(b_qkv, normed, w_qkv).view(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)
            keys, values = self.cache[0, layer, :, :, :end], self.cache[1, layer, :, :, :end]
            keys[:, :, begin:] = qkv[1]
            values[:, :, begin:] = qkv[2]
            mixed = F.scaled_dot_product_attention(
                qkv[0], keys, values, attn_mask=mask, is_causal=mask is None and T > 1
            )
            x = x + torch.addmm(b_o, mixed.transpose(1, 2).reshape(B * T, C), w_o)
            normed = F.layer_norm(x, (C,), g2, b2, self.eps)
            x = x + torch.addmm(b_out, F.gelu(torch.addmm(b_in, normed, w_in), approximate="tanh"), w_out)
        self.length = end
        last = x.view(B, T, C)[:, -1]
        return F.layer_norm(last, (C,), *self.norm, self.eps) @ self.head


class PlainReader:
    """The same interface over any causal model's own forward pass, without a cache."""

    def __init__(self, model):
        self.model = model

    def read(self, rows: list[list[int]], room: int):
        """Read whole rows afresh: -> logits (B, V)."""
        self.rows = [list(row) for row in rows]
        self.length = max(map(len, rows))
        device = next(self.model.parameters()).device
        return torch.stack(
            [self.model(input_ids=torch.tensor([row], device=device)).logits[0, -1] for row in self.rows]
        )

    def append(self, tokens):
        """Read one token more for each row: tokens (B,) -> logits (B, V)."""
        return self.read([[*row, token] for row, token in zip(self.rows, tokens.tolist())], 0)
