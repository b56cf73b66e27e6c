"""The heads of a GPT-2 over one text: all of them, one in detail, and each number on the way.

What travels to the browser is q·k before the scale, the mask and the softmax, so that
attention_view.js can take each of them away. `pairs`, `encode` and `distances` are the mathematics;
attention_view.js holds the same in JavaScript, and tests compare the two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

import numpy as np
import traitlets as t

from bigmodel_nb.errors import DataError, ModelError
from bigmodel_nb.figures import BLUE, RED

from .base import CourseWidget, front_end, style
from .picture import FAINT, GRID, INK, Picture

PATTERNS = ("previous token", "same token", "first token", "induction", "itself")
VIEWS = ("lines", "matrix", "scores")
MOST_TOKENS = 256
MOST_BYTES = 4_000_000  # of scores, before the notebook writes them as base64
ROOM = 650_000  # bytes of scores with which state and fallback together stay below 1 MB

# One score in two bytes: its distance x below the highest of its row.
STEP = 5e-4  # nats between two codes; a weight is then right to 5e-4 of itself
REACH = 14.0  # nats; what lies further down has a weight below 1e-6, which is not written out
ABSENT = 65535  # the code of minus infinity


# Mathematics


def pairs(tokens: Sequence[str], pattern: str) -> list[tuple[int, int]]:
    """The (query, key) pairs that a head of this pattern looks at.

    "same token" means earlier ones; "induction" the token after an earlier same one (Olsson et al. 2022).

    >>> pairs(["a", "b", "a"], "same token"), pairs(["a", "b", "a"], "induction")
    ([(2, 0)], [(2, 1)])
    """
    later = range(1, len(tokens))
    same = [(i, j) for i in later for j in range(i) if tokens[i] == tokens[j]]
    return {
        "previous token": [(i, i - 1) for i in later],
        "same token": same,
        "first token": [(i, 0) for i in later],
        "induction": [(i, j + 1) for i, j in same if j + 1 < i],
        "itself": [(i, i) for i in later],
    }[pattern]


def head_scores(weights: np.ndarray, tokens: Sequence[str], pattern: str) -> np.ndarray | None:
    """What each head gives to the pairs of a pattern, on average over their queries: (..., T, T) -> (...).

    None where the text has no such pair.

    >>> head_scores(np.array([[1, 0], [0.75, 0.25]]), ["a", "b"], "previous token")
    array(0.75)
    """
    found = pairs(tokens, pattern)
    if not found:
        return None
    queries, keys = np.array(found).T
    return np.asarray(weights[..., queries, keys].sum(-1) / len(set(queries.tolist())))


def softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax over the last axis; minus infinity becomes 0."""
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def encode(x: np.ndarray, divisor) -> np.ndarray:
    """Distances below a row's highest score as codes of two bytes.

    x >= 0, of scores that are divided by `divisor` (sqrt(d_k)) before the softmax. Steps are STEP
    down to REACH, where the softmax matters without the division, `divisor` times as wide down to
    divisor * REACH, where it matters with it, and a fixed ratio beyond.

    >>> encode(np.array([0, 0.001, np.inf]), 8.0)
    array([    0,     2, 65535], dtype=uint16)
    """
    fine, middle = REACH / STEP, (REACH - REACH / divisor) / STEP
    with np.errstate(divide="ignore"):
        far = fine + middle + np.log(x / (divisor * REACH)) / STEP
    near = np.where(x <= REACH, x / STEP, fine + (x - REACH) / (divisor * STEP))
    codes = np.rint(np.where(x <= divisor * REACH, near, far))
    return np.where(np.isinf(x), ABSENT, np.minimum(codes, ABSENT - 1)).astype("<u2")


def distances(divisor: float) -> np.ndarray:
    """The distance that each of the 65,536 codes stands for: the inverse of `encode`."""
    code = np.arange(ABSENT + 1, dtype=float)
    fine, middle = REACH / STEP, (REACH - REACH / divisor) / STEP
    far = divisor * REACH * np.exp(np.maximum(code - fine - middle, 0) * STEP)
    near = np.where(code <= fine, code * STEP, REACH + (code - fine) * divisor * STEP)
    x = np.where(code <= fine + middle, near, far)
    x[ABSENT] = np.inf
    return x


def pack(scores: np.ndarray, divisors: np.ndarray, future: bool) -> tuple[bytes, bytes]:
    """Half of all scores, as codes and each row's highest: (L, H, T, T) -> bytes, bytes.

    The half is the keys up to the query or, with `future`, those after it, row by row.
    """
    T = scores.shape[-1]
    inside = np.triu(np.ones((T, T), bool), 1) if future else np.tri(T, dtype=bool)
    tops = np.where(inside, scores, -np.inf).max(-1)
    tops = np.where(np.isfinite(tops), tops, 0).astype("<f4")  # (L, H, T)
    rows, columns = np.nonzero(inside)
    x = np.maximum(tops[..., rows].astype(float) - scores[..., rows, columns], 0)
    return encode(x, divisors[:, None, None]).tobytes(), tops.tobytes()


# The model


def read_model(model, tokenizer, text: str, layers: Sequence[int] | None = None):
    """q·k of every head for a text -> scores (L, H, T, T), divisors (L,), tokens, layers.

    One forward pass without dropout; q and k are taken from each layer as they go by, so that the
    model's way of computing attention need not be changed, and the model is left as it was.
    """
    import torch

    from bigmodel_nb.gpt2.data import check_ids

    body = _body(model)
    config, H = body.config, body.config.n_head
    layers = _chosen_layers(layers, config.n_layer)
    ids = _ids(tokenizer, text, config, len(layers) * H)
    check_ids(ids, config.vocab_size)
    kept: dict[int, np.ndarray] = {}

    def keep(layer: int, qkv) -> None:
        q, k, _ = qkv[0].float().view(len(ids), 3, H, -1).permute(1, 2, 0, 3)  # each (H, T, d_k)
        kept[layer] = (q @ k.transpose(1, 2)).cpu().numpy()

    with evaluating(model), torch.no_grad():
        hooks = [
            body.h[n].attn.c_attn.register_forward_hook(lambda _, __, qkv, n=n: keep(n, qkv)) for n in layers
        ]
        try:
            body(torch.tensor([ids], device=body.wte.weight.device), use_cache=False)
        finally:
            for hook in hooks:
                hook.remove()
    scores, divisors = np.stack([kept[n] for n in layers]), np.array([_divisor(config, n) for n in layers])
    if not np.isfinite(scores).all():
        raise ModelError("the model's q·k holds NaN or infinity: its weights are damaged, or its training diverged. Next: load it again.")
    return scores, divisors, [token_text(tokenizer, token) for token in ids], layers


def _body(model):
    """The GPT2Model in `model`, which may have a head, an adapter or be one itself."""
    from torch import nn
    from transformers import GPT2Model

    for part in model.modules() if isinstance(model, nn.Module) else ():
        if isinstance(part, GPT2Model):
            return part
    raise ModelError(
        f"AttentionView takes a GPT-2 of transformers, such as load_gpt2() gives; received {type(model).__name__}. "
        "Next: for another model, compute its weights yourself: AttentionView(attentions=..., tokens=[...])."
    )


def _divisor(config, layer: int) -> float:
    """What q·k is divided by: sqrt(d_k), and in GPT-2's rarely used variants also the layer's number."""
    width = math.sqrt(config.n_embd // config.n_head) if config.scale_attn_weights else 1.0
    return width * (layer + 1 if config.scale_attn_by_inverse_layer_idx else 1)


@contextmanager
def evaluating(model) -> Iterator[None]:
    """Switch dropout off, and put each module back as it was."""
    training = [m for m in model.modules() if m.training]
    model.eval()
    try:
        yield
    finally:
        for m in training:
            m.training = True


def _ids(tokenizer, text: str, config, heads: int) -> list[int]:
    if not isinstance(text, str) or not callable(tokenizer):
        raise DataError(
            "AttentionView(model, tokenizer, text) takes a tokenizer and a text as a string; "
            f"received {type(tokenizer).__name__} and {type(text).__name__}."
        )
    ids = list(tokenizer(text, verbose=False)["input_ids"])
    if not ids:
        raise DataError("the text is empty: there is no token to look at.")
    most = min(MOST_TOKENS, config.n_positions)
    if len(ids) > most:
        raise DataError(f"the text has {len(ids)} tokens; AttentionView shows at most {most}. Next: shorten it.")
    _check_size(heads, len(ids))
    return ids


def _check_size(heads: int, T: int) -> None:
    if heads * T * (T + 1) > MOST_BYTES:
        raise DataError(
            f"{heads} heads over {T} tokens are {heads * T * (T + 1) / 1e6:.0f} MB of scores; at most "
            f"{MOST_BYTES / 1e6:.0f} MB are sent to the browser. Next: shorten the text, or choose layers, layers=[0, 1]."
        )


def _chosen_layers(layers: Sequence[int] | None, count: int) -> list[int]:
    chosen = list(range(count)) if layers is None else [int(n) for n in layers]
    if not chosen or len(set(chosen)) < len(chosen) or not all(0 <= n < count for n in chosen):
        raise DataError(f"layers must be different numbers from 0 to {count - 1}; received {layers!r}.")
    return chosen


def token_text(tokenizer, token: int) -> str:
    """The text of a token; bytes that are only a part of a character are written as \\xe7."""
    text, written = tokenizer.decode([token], clean_up_tokenization_spaces=False), tokenizer.convert_ids_to_tokens(token)
    if "\ufffd" not in text:
        return text
    letters = _byte_letters()
    if not all(letter in letters for letter in written):
        return text
    return bytes(letters[letter] for letter in written).decode("utf-8", "backslashreplace")


def _byte_letters() -> dict[str, int]:
    """The letter that stands for each byte in a vocabulary of GPT-2 (Radford et al. 2019)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + n): byte for n, byte in enumerate(rest)}


# Raw arrays


def _read_arrays(attentions, tokens) -> tuple[np.ndarray, list[str]]:
    """Weights (L, H, T, T) in double precision and tokens as strings, or a DataError that names what is wrong."""
    weights = _array(attentions)
    if weights.ndim != 4 or weights.shape[-1] != weights.shape[-2] or 0 in weights.shape:
        raise DataError(
            f"attentions must have the shape (n_layer, n_heads, T, T); received {weights.shape}. "
            "One head's (T, T) array is attentions[None, None]."
        )
    if tokens is None or isinstance(tokens, str) or len(tokens) != weights.shape[-1]:
        received = type(tokens).__name__ if tokens is None or isinstance(tokens, str) else f"{len(tokens)} of them"
        raise DataError(f"tokens must be a list of T = {weights.shape[-1]} strings, one a token; received {received}.")
    if weights.shape[-1] > MOST_TOKENS:
        raise DataError(f"AttentionView shows at most {MOST_TOKENS} tokens; received {weights.shape[-1]}.")
    _check_size(weights.shape[0] * weights.shape[1], weights.shape[-1])
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise DataError("attentions must be weights from 0 to 1; received negative numbers, NaN or infinity: apply the softmax first.")
    off = np.abs(weights.sum(-1) - 1)
    if off.max() > 5e-3:  # half precision is that far off
        layer, head, row = map(int, np.unravel_index(off.argmax(), off.shape))
        raise DataError(
            f"each row of attentions must sum to 1, since a query shares out 1 over the keys; row {row} of layer {layer}, "
            f"head {head} sums to {weights[layer, head, row].sum():.3f}. Is the softmax over the last axis?"
        )
    return weights, [str(token) for token in tokens]


def _array(attentions) -> np.ndarray:
    """An array, a tensor, or what a model of transformers gives: a tensor (1, H, T, T) for each layer."""
    if isinstance(attentions, (list, tuple)):
        if not attentions or any(part is None for part in attentions):
            raise DataError(
                "attentions holds no weights: transformers computes them only with model.set_attn_implementation('eager'). "
                "Next: call that first, or AttentionView(model, tokenizer, text), which needs no such switch."
            )
        try:
            array = np.stack([_array(part) for part in attentions])
        except ValueError as error:
            raise DataError("attentions must hold one array of the same shape for each layer.") from error
        return array[:, 0] if array.ndim == 5 and array.shape[1] == 1 else array
    if hasattr(attentions, "detach"):
        attentions = attentions.detach().float().cpu().numpy()
    return np.asarray(attentions, dtype=float)


# The fallback


SHADES = tuple(
    "#" + "".join(f"{round(255 + (int(BLUE[i : i + 2], 16) - 255) * s):02x}" for i in (1, 3, 5))
    for s in (0.2, 0.4, 0.6, 0.8, 1.0)
)


def levels_of(weights: np.ndarray) -> np.ndarray:
    """Shades 0 to 5 of weights; small ones are lifted, as in the browser."""
    return np.ceil(np.sqrt(weights) * len(SHADES) - 0.5).clip(0).astype(int)


def pooled(weights: np.ndarray, most: int) -> np.ndarray:
    """The largest weight of each block, with at most `most` blocks a side: (..., T, T) -> (..., n, n)."""
    T = weights.shape[-1]
    if T <= most:
        return weights
    edges = np.arange(most) * T // most
    return np.maximum.reduceat(np.maximum.reduceat(weights, edges, axis=-2), edges, axis=-1)


def visible(token: str) -> str:
    """A token with its spaces and line breaks made visible.

    >>> visible(" fox\\n")
    '·fox⏎'
    """
    return token.replace(" ", "·").replace("\n", "⏎").replace("\t", "⇥").replace("\r", "␍") or "∅"


class AttentionView(CourseWidget):
    """All attention heads of a GPT-2 over a text, one of them in detail, before and after the softmax.

    AttentionView(model, tokenizer, text) reads any GPT-2 of transformers; `layers` chooses some of its
    layers. AttentionView(attentions=..., tokens=[...]) takes weights, (n_layer, n_heads, T, T), each
    row summing to 1. `layer` and `head`, counted from 0, name the head shown first; without them it is
    the one that looks most at the previous token. Errors: DataError and ModelError for input that
    can't be shown.

    What the switches can do: with a model, the scale 1/sqrt(d_k) and the causal mask can be taken out.
    Where the scores of later tokens don't fit into 1 MB with the rest (48 heads: beyond 79 tokens; 144
    heads: beyond 45), the browser asks the kernel for them, once, when the mask is first taken out.
    Plain weights hold no scores, so their scale stays; the mask can be put on if they look ahead.
    Weights are right to 3 significant digits wherever they are 1e-6 or more.
    """

    _esm = front_end("attention_view")
    _css = style("attention_view")

    tokens = t.List(t.Unicode()).tag(sync=True)
    layers = t.List(t.Int()).tag(sync=True)
    heads = t.Int().tag(sync=True)
    past = t.Bytes().tag(sync=True)
    future = t.Bytes().tag(sync=True)
    tops = t.Bytes().tag(sync=True)
    divisors = t.List(t.Float()).tag(sync=True)
    causal = t.Bool(True).tag(sync=True)
    layer = t.Int().tag(sync=True)
    head = t.Int().tag(sync=True)
    view = t.Enum(VIEWS, "lines").tag(sync=True)
    mask = t.Bool(True).tag(sync=True)
    scale = t.Bool(True).tag(sync=True)
    pattern = t.Enum(("", *PATTERNS), "").tag(sync=True)
    query = t.Int(-1).tag(sync=True)

    def __init__(
        self, model=None, tokenizer=None, text=None, *, attentions=None, tokens=None, layers=None, layer=None, head=None
    ) -> None:
        if (attentions is None) == (model is None):
            raise DataError("give either AttentionView(model, tokenizer, text) or AttentionView(attentions=..., tokens=[...]).")
        if model is not None:
            scores, divisors, tokens, layers = read_model(model, tokenizer, text, layers)
            causal, sent = True, divisors.tolist()
        else:
            weights, tokens = _read_arrays(attentions, tokens)
            layers = _chosen_layers(layers, len(weights))
            weights, divisors, sent = weights[layers], np.ones(len(layers)), []
            causal = not np.triu(weights, 1).any()
            with np.errstate(divide="ignore"):
                scores = np.log(weights)
        self._scores, self._divisors, self._given = scores, divisors, attentions is not None
        past, tops = pack(scores, divisors, future=False)
        ahead, ahead_tops = b"", b""
        if not causal or (sent and len(past) * 2 + len(tops) * 2 <= ROOM):
            ahead, ahead_tops = pack(scores, divisors, future=True)
        super().__init__(
            tokens=tokens, layers=layers, heads=scores.shape[1], past=past, future=ahead, tops=tops + ahead_tops,
            divisors=sent, causal=causal, mask=causal,
        )
        self.on_msg(self._answer)
        found = self.search("previous token") if layer is None and head is None else []
        self.layer, self.head = found[0][:2] if found else (layers[0] if layer is None else layer, head or 0)

    @t.validate("layer", "head", "query")
    def _known(self, proposal):
        name, value = proposal.trait.name, proposal.value
        known = {"layer": self.layers, "head": range(self.heads), "query": range(-1, len(self.tokens))}[name]
        if value not in known:
            raise DataError(f"{name} must be one of {', '.join(map(str, known))}; received {value!r}.")
        return value

    @t.validate("mask", "scale")
    def _possible(self, proposal):
        if proposal.trait.name == "scale" and not proposal.value and not self.divisors:
            raise DataError("weights without q·k have no scale to take out. Next: AttentionView(model, tokenizer, text).")
        if proposal.trait.name == "mask" and not proposal.value and self._given and self.causal and len(self.tokens) > 1:
            raise DataError("weights that are zero after the query hold no scores to unmask. Next: AttentionView(model, tokenizer, text).")
        return proposal.value

    def _answer(self, _, message, __) -> None:
        """Send the scores of later tokens to a browser that asks for them."""
        if message == {"kind": "future"} and not self._given:
            self.send(message, list(pack(self._scores, self._divisors, future=True)))

    @cached_property
    def attentions(self) -> np.ndarray:
        """The weights as the model computes them: (n_layer, n_heads, T, T)."""
        if self._given:
            return np.exp(self._scores)
        T = len(self.tokens)
        return softmax(np.where(np.tri(T, dtype=bool), self._scores / self._divisors[:, None, None, None], -np.inf))

    def search(self, pattern: str) -> list[tuple[int, int, float]]:
        """(layer, head, score) of all heads, the clearest first; empty where the text has no such pair.

        `pattern` is "previous token", "same token", "first token", "induction" or "itself"; a score is
        the weight that the head gives to such tokens, averaged over the queries that have one.
        """
        if pattern not in PATTERNS:
            raise DataError(f"search knows {', '.join(map(repr, PATTERNS))}; received {pattern!r}.")
        scores = head_scores(self.attentions, self.tokens, pattern)
        if scores is None:
            return []
        found = [(n, head, float(scores[i, head])) for i, n in enumerate(self.layers) for head in range(self.heads)]
        return sorted(found, key=lambda it: -it[2])

    def describe(self) -> str:
        size = f"{len(self.layers)} layers x {self.heads} heads over {len(self.tokens)} tokens"
        best = [(pattern, found[0]) for pattern in PATTERNS[:4] if (found := self.search(pattern))]
        words = "; ".join(f"{pattern} L{layer} H{head} ({score:.2f})" for pattern, (layer, head, score) in best)
        return f"AttentionView, {size}; clearest: {words or 'one token only'}"

    def picture(self) -> Picture:
        """All heads as small matrices, the clearest head of each pattern, and the chosen head with its tokens."""
        side = min(40.0, 312 / self.heads, 520 / len(self.layers))
        left, top, bottom = 32, 50, 50 + side * len(self.layers)
        picture = Picture(720, int(max(bottom + 110, 410)), self.describe())
        self._overview(picture, left, top, side)
        self._clearest(picture, bottom + 26)
        self._detail(picture)
        return picture

    def _overview(self, picture: Picture, left: float, top: float, side: float) -> None:
        L, H = len(self.layers), self.heads
        picture.text(8, 18, f"{L} layers x {H} heads", 13)
        for i in range(0, H, max(1, round(20 / side))):
            picture.text(left + (i + 0.5) * side, 44, str(i), 11, FAINT, "middle")
        for i in range(0, L, max(1, round(14 / side))):
            picture.text(left - 6, top + (i + 0.5) * side + 4, str(self.layers[i]), 11, FAINT, "end")
        picture.rect(left, top, H * side, L * side, "#f3f5f7")
        n = min(len(self.tokens), max(6, int(math.sqrt(14_500 / (L * H)))), 32)
        small = levels_of(pooled(self.attentions, n))  # (L, H, n, n)
        small = small.transpose(0, 2, 1, 3).reshape(L * n, H * n)
        picture.cells((left, top), side / n, small, SHADES)
        for i in range(L + 1):
            picture.line([(left, top + i * side), (left + H * side, top + i * side)], "#ffffff", 1.5)
        for i in range(H + 1):
            picture.line([(left + i * side, top), (left + i * side, top + L * side)], "#ffffff", 1.5)
        x, y = left + self.head * side, top + self.layers.index(self.layer) * side
        picture.line([(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y - 1)], RED, 2)

    def _clearest(self, picture: Picture, y: float) -> None:
        for row, pattern in enumerate(PATTERNS[:4]):
            found = self.search(pattern)
            picture.text(8, y + 20 * row, pattern, 12, FAINT)
            words = "layer {}, head {}: {:.2f}".format(*found[0]) if found else "no such pair in this text"
            picture.text(118, y + 20 * row, words, 12)

    def _detail(self, picture: Picture) -> None:
        T, (left, top, side) = len(self.tokens), (452, 50, 258)
        weights = pooled(self.attentions[self.layers.index(self.layer), self.head], 48)
        n = len(weights)
        cell = side / n
        picture.text(left - 86, 18, f"Layer {self.layer}, head {self.head}: rows are queries, columns keys", 13)
        picture.rect(left, top, side, side, "#f3f5f7", GRID)
        picture.cells((left, top), cell, levels_of(weights), SHADES)
        size = min(11.0, max(7.0, cell - 1))
        for i in range(0, n, max(1, math.ceil(9 / cell))):
            token = visible(self.tokens[i * T // n])
            short = token if len(token) <= 12 else token[:11] + "…"
            picture.text(left - 5, top + (i + 0.5) * cell + size / 3, short, size, INK, "end")
        queries = self.attentions[self.layers.index(self.layer), self.head]
        strongest = sorted(((queries[i, j], i, j) for i in range(1, T) for j in range(i)), reverse=True)[:4]
        for row, (weight, i, j) in enumerate(strongest):
            y = top + side + 26 + 20 * row
            picture.text(left - 86, y, f"{visible(self.tokens[i])[:14]} ({i}) → {visible(self.tokens[j])[:14]} ({j})", 12)
            picture.text(left + side, y, f"{weight:.2f}", 12, BLUE, "end")
