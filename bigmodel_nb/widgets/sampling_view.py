"""The next-token distribution of a model for a prompt, and a tree of the tokens that were chosen.

What travels to the browser is the sorted logits of each place of the tree, so that temperature, top-k
and top-p are computed there. `masses` and `cut` are the mathematics; sampling_view.js holds the same in
JavaScript, and tests compare the two.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence

import numpy as np
import traitlets as t

from bigmodel_nb.errors import DataError, ModelError
from bigmodel_nb.figures import BLUE

from .attention_view import evaluating, token_text, visible
from .base import CourseWidget, front_end, style
from .picture import FAINT, GRID, INK, Picture

EXACT = 1024  # tokens whose logits are sent one by one
GROUPS = 128  # equal parts of all others, each sent as one number
STEP = 1e-3  # nats between two codes
NAMED = 60  # most probable tokens of a place whose text is sent
AHEAD = (4, 4, 4, 4, 4)  # places computed beforehand at each depth
MOST_NODES = 120
MOST_TEXT = 2000  # characters of a prompt
TEMPERATURES = (0.0, 2.0)
WIDTH, BARS = 720, 10


# Mathematics


def group_sizes(vocab_size: int) -> list[int]:
    """How many tokens each number stands for: EXACT times 1, then up to GROUPS parts of the rest.

    >>> group_sizes(3), sum(group_sizes(50257)), len(group_sizes(50257))
    ([1, 1, 1], 50257, 1152)
    """
    rest = max(0, vocab_size - EXACT)
    parts = min(GROUPS, rest)
    tail = [rest // parts + (i < rest % parts) for i in range(parts)]
    return [1] * min(EXACT, vocab_size) + tail


def compressed(distances: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Sorted distances (V,) below the highest logit as codes, one for each group: uint16.

    A group of several has the distance at which its sum of probabilities is right at temperature 1.
    """
    starts = np.cumsum([0, *sizes[:-1]])
    mean = np.add.reduceat(np.exp(-distances), starts) / np.asarray(sizes)
    exact = distances[starts]
    d = np.where(np.asarray(sizes) == 1, exact, -np.log(np.maximum(mean, 1e-300)))
    return np.rint(d / STEP).clip(0, 65535).astype("<u2")


def masses(distances: Sequence[float], sizes: Sequence[int], temperature: float) -> np.ndarray:
    """Probability of each group at a temperature; at 0 the most probable token has it all.

    >>> masses([0, math.log(2)], [1, 2], 1.0).tolist()
    [0.5, 0.5]
    """
    d = np.asarray(distances, dtype=float)
    if temperature == 0:
        return (np.arange(len(d)) == 0).astype(float)
    weights = np.asarray(sizes) * np.exp(-d / temperature)
    return weights / weights.sum()


def cut(mass: Sequence[float], sizes: Sequence[int], top_k: int = 0, top_p: float = 1.0) -> tuple[int, float]:
    """How many tokens stay, and their probability before the filter: top-k first, then top-p of what it leaves.

    >>> cut([0.5, 0.3, 0.2], [1, 1, 1], top_p=0.6)
    (2, 0.8)
    """
    room = top_k or sum(sizes)
    left, inside = room, 0.0
    for m, n in zip(mass, sizes):
        inside += m * min(n, left) / n
        left -= min(n, left)
    goal, tokens, held = inside * top_p, 0, 0.0
    for m, n in zip(mass, sizes):
        if tokens >= room or (top_p < 1 and held >= goal):
            break
        take = min(n, room - tokens)
        if top_p < 1 and m > 0:
            take = min(take, max(1, math.ceil((goal - held) * n / m - 1e-9)))
        tokens, held = tokens + take, held + m * take / n
    return tokens, float(held)


# The model


class _Reader:
    """Next-token logits of any causal language model of transformers for rows of equal length."""

    def __init__(self, model, tokenizer) -> None:
        from torch import nn

        if not isinstance(model, nn.Module) or not hasattr(model, "config") or not callable(tokenizer):
            raise ModelError(
                "SamplingView takes a language model of transformers and its tokenizer, such as bn.load_gpt2() gives; "
                f"received {type(model).__name__} and {type(tokenizer).__name__}."
            )
        self.model, self.tokenizer = model, tokenizer
        self.vocab_size = int(model.config.vocab_size)
        self.context = int(getattr(model.config, "n_positions", None) or getattr(model.config, "max_position_embeddings", 0) or 1024)

    def encode(self, text: str) -> list[int]:
        """Ids of a prompt; an empty one begins with the end mark, of a long one the end is used."""
        from bigmodel_nb.gpt2.data import check_ids, end_id

        ids = list(self.tokenizer(text, verbose=False, add_special_tokens=False)["input_ids"])
        check_ids(ids, self.vocab_size)
        return ids[-(self.context - 32) :] or [end_id(self.model, self.tokenizer)]

    def logits(self, rows: list[list[int]]) -> np.ndarray:
        """Rows of ids, all of one length -> (B, V) as float64."""
        import torch

        device = next(self.model.parameters()).device
        ids = torch.tensor([row[-self.context :] for row in rows], device=device)
        with evaluating(self.model), torch.inference_mode():
            z = self.model(input_ids=ids).logits[:, -1].float().cpu().numpy().astype(float)
        if np.isnan(z).any():
            raise ModelError("the model's logits hold NaN: its weights are damaged, or its training diverged. Next: load it again.")
        return z

    def text(self, token: int) -> str:
        return token_text(self.tokenizer, int(token))


class SamplingView(CourseWidget):
    """The next token's probabilities, with temperature, top-k and top-p to drag, and the choices as a tree.

    SamplingView(model, tokenizer, prompt) reads any causal language model of transformers. temperature
    0 is greedy; top_k None and top_p None keep all tokens. The most probable branches, five tokens
    deep, are computed at once and need no kernel; with one, every other branch and another prompt are
    computed when they are asked for. Probabilities of the 1,024 likeliest tokens are right to 0.1 %;
    the rest is sent as 128 sums. Errors: DataError and ModelError for input that can't be shown.
    """

    _esm = front_end("sampling_view")
    _css = style("sampling_view")

    prompt = t.Unicode().tag(sync=True)
    temperature = t.Float(1.0).tag(sync=True)
    top_k = t.Int(0).tag(sync=True)  # 0: all
    top_p = t.Float(1.0).tag(sync=True)
    sizes = t.List(t.Int()).tag(sync=True)  # of the groups that hold several tokens
    vocab_size = t.Int().tag(sync=True)
    nodes = t.List(t.Dict()).tag(sync=True)
    current = t.Int(0).tag(sync=True)
    wanted = t.List(t.Int()).tag(sync=True)  # [node, rank, number of the request]
    answered = t.Unicode().tag(sync=True)  # the prompt that `nodes` belong to
    trouble = t.Unicode().tag(sync=True)

    def __init__(self, model, tokenizer, prompt: str = "Once upon a time there was a", *, temperature=1.0, top_k=None, top_p=None) -> None:
        _check(prompt, temperature, top_k, top_p)
        self._reader = _Reader(model, tokenizer)
        self._sizes = group_sizes(self._reader.vocab_size)
        self._rows, self._orders = [], []
        super().__init__(
            prompt=prompt, answered=prompt, temperature=float(temperature), top_k=int(top_k or 0), top_p=float(top_p or 1.0),
            sizes=self._sizes[EXACT:], vocab_size=self._reader.vocab_size, nodes=self._grown(prompt),
        )
        self._first = (prompt, self.temperature, self.top_k, self.top_p, self.nodes)
        self.observe(self._read_again, "prompt")
        self.observe(self._answer, "wanted")

    # The tree

    def _grown(self, prompt: str) -> list[dict]:
        """The root and its likeliest branches."""
        self._rows, self._orders = [], []
        row = self._reader.encode(prompt)
        nodes = self._computed([(-1, 0, row)])
        level, scores = [0], {0: 0.0}
        for width in AHEAD:
            found = []
            for parent in level:
                p = masses(_distances(nodes[parent]), self._sizes, 1.0)
                found += [(scores[parent] + math.log(max(p[r], 1e-300)), parent, r) for r in range(min(width, NAMED, len(p)))]
            best = sorted(found, key=lambda it: (-it[0], it[1], it[2]))[:width]
            begin = len(nodes)
            nodes = nodes + self._computed([(parent, r, [*self._rows[parent], int(self._orders[parent][r])]) for _, parent, r in best])
            level = list(range(begin, len(nodes)))
            scores = {n: score for n, (score, _, _) in zip(level, best)}
        return nodes

    def _computed(self, places: list[tuple[int, int, list[int]]]) -> list[dict]:
        """Nodes of (parent, rank, row of ids), rows of one length."""
        new = []
        for (parent, rank, row), z in zip(places, self._reader.logits([row for _, _, row in places])):
            order = np.argsort(-z, kind="stable").astype(np.int32)
            codes = compressed(z[order[0]] - z[order], self._sizes)
            self._rows.append(row)
            self._orders.append(order)
            new.append({
                "parent": parent, "rank": rank, "id": row[-1] if parent >= 0 else -1,
                "text": self._reader.text(row[-1]) if parent >= 0 else "",
                "names": [self._reader.text(i) for i in order[:NAMED]],
                "codes": base64.b64encode(codes.tobytes()).decode("ascii"),
            })  # fmt: skip
        return new

    def child(self, node: int, rank: int) -> int | None:
        """The place after the token of this rank, if it is computed."""
        return next((i for i, it in enumerate(self.nodes) if it["parent"] == node and it["rank"] == rank), None)

    def choose(self, rank: int) -> None:
        """Go on with the current place's token of this rank, 0 for the most probable."""
        node = self.current
        if not 0 <= rank < self.vocab_size:
            raise DataError(f"rank must be from 0 to {self.vocab_size - 1}; received {rank!r}.")
        known = self.child(node, rank)
        if known is None:
            if len(self.nodes) >= MOST_NODES:
                raise DataError(f"the tree holds {MOST_NODES} places, as many as a notebook should keep. Change the prompt to begin a new one.")
            self.nodes = self.nodes + self._computed([(node, rank, [*self._rows[node], int(self._orders[node][rank])])])
            known = len(self.nodes) - 1
        self.current = known

    def _answer(self, change) -> None:
        if not change.new:
            return
        node, rank = change.new[:2]
        if not 0 <= node < len(self.nodes):
            return
        self.current, self.trouble = node, ""
        try:
            self.choose(rank)
        except (DataError, ModelError) as error:
            self.trouble = str(error)

    def _read_again(self, change) -> None:
        try:
            nodes = self._grown(change.new[:MOST_TEXT])
        except (DataError, ModelError) as error:
            self.trouble = str(error)
            return
        with self.hold_sync():
            self.current, self.trouble, self.answered, self.nodes = 0, "", change.new, nodes

    # What is shown

    @property
    def path(self) -> list[int]:
        """The places from the prompt to the current one."""
        found = [self.current]
        while (parent := self.nodes[found[-1]]["parent"]) >= 0:
            found.append(parent)
        return found[::-1]

    @property
    def text(self) -> str:
        """The prompt and the tokens chosen so far."""
        return self.answered + "".join(self.nodes[i]["text"] for i in self.path)

    @property
    def probabilities(self) -> np.ndarray:
        """Of the current place's groups at this temperature, before the filters."""
        return masses(_distances(self.nodes[self.current]), self._sizes, self.temperature)

    @property
    def kept(self) -> dict:
        """How many tokens the filters leave at the current place, and their probability before: tokens, mass."""
        tokens, mass = _kept(self.probabilities, self._sizes, self.temperature, self.top_k, self.top_p)
        return {"tokens": tokens, "mass": mass}

    def _start(self):
        """As at first, after the prompt: the model's own probabilities, those at the temperature, tokens kept, their mass."""
        _, temperature, top_k, top_p, nodes = self._first
        d = _distances(nodes[0])
        p = masses(d, self._sizes, temperature)
        return masses(d, self._sizes, 1.0), p, *_kept(p, self._sizes, temperature, top_k, top_p)

    def _chance(self, nodes: list[dict], node: dict) -> float:
        """With which probability a node's token was to be drawn, at first."""
        _, temperature, top_k, top_p, _ = self._first
        p = masses(_distances(nodes[node["parent"]]), self._sizes, temperature)
        tokens, mass = _kept(p, self._sizes, temperature, top_k, top_p)
        return float(p[node["rank"]] / mass) if node["rank"] < tokens else 0.0

    def describe(self) -> str:
        prompt, temperature, top_k, top_p, nodes = self._first
        own, _, tokens, mass = self._start()
        filters = ", ".join([f"temperature {temperature:g}", *([f"top-k {top_k}"] if top_k else []), *([f"top-p {top_p:g}"] if top_p < 1 else [])])
        best = ", ".join(f"{visible(name)} {value:.2f}" for name, value in zip(nodes[0]["names"][:3], own))
        short = prompt if len(prompt) <= 60 else f"…{prompt[-59:]}"
        return f"SamplingView after {visible(short)!r}, {filters}: {_about(tokens, self.vocab_size)} of {self.vocab_size:,} tokens kept with {mass:.2f} of the probability; first {best}"

    def picture(self) -> Picture:
        """The most probable next tokens before and after the filters, and the likeliest branches."""
        prompt, _, _, _, nodes = self._first
        own, p, tokens, mass = self._start()
        places = _layout(nodes)
        height = 84 + 22 * BARS + 36 + 22 * max(y for _, y in places) + 16
        picture = Picture(WIDTH, int(height), self.describe())
        picture.text(10, 20, (visible(prompt) if len(prompt) <= 84 else "…" + visible(prompt[-83:])), 14)
        share = round(mass, 2)
        words = f"{_about(tokens, self.vocab_size)} of {self.vocab_size:,} tokens kept with {share:.0%} of the probability; {1 - share:.0%} filtered"
        picture.text(10, 42, words, 12, FAINT)
        picture.rect(10, 50, 700 * share, 10, BLUE)
        picture.rect(10 + 700 * share, 50, 700 * (1 - share), 10, GRID)
        after = [p[i] / mass if i < tokens else 0.0 for i in range(min(BARS, len(p)))]
        _draw_bars(picture, 84, nodes[0]["names"], own, after)
        _draw_tree(picture, 84 + 22 * BARS + 36, nodes, places, [1.0, *(self._chance(nodes, node) for node in nodes[1:])])
        return picture


def _draw_bars(picture: Picture, top: float, names: list[str], own, after: list[float]) -> None:
    own, after = ([round(float(value), 3) for value in values[: len(after)]] for values in (own, after))  # the same on every machine
    unit = 440 / max(*after, *own)
    picture.text(640, top - 6, "the model's", 11, FAINT, "end")
    picture.text(706, top - 6, "to draw", 11, BLUE, "end")
    for i, (name, before, now) in enumerate(zip(names, own, after)):
        y = top + 22 * i
        picture.text(140, y + 14, visible(name)[:17], 12, INK if now else FAINT, "end")
        picture.rect(150, y + 2, before * unit, 7, "#9cc3e0")
        picture.rect(150, y + 10, now * unit, 7, BLUE)
        picture.text(640, y + 14, f"{before:.3f}", 11, FAINT, "end")
        picture.text(706, y + 14, f"{now:.3f}" if now else "filtered", 11, BLUE if now else FAINT, "end")


def _check(prompt, temperature, top_k, top_p) -> None:
    from bigmodel_nb.gpt2.generate import check_sampling

    if not isinstance(prompt, str) or len(prompt) > MOST_TEXT:
        received = f"it has {len(prompt):,}" if isinstance(prompt, str) else f"received {type(prompt).__name__}"
        raise DataError(f"prompt must be a str of at most {MOST_TEXT:,} characters; {received}.")
    check_sampling(0, temperature, top_k, top_p)
    if temperature > TEMPERATURES[1]:
        raise DataError(f"temperature must be from 0 to {TEMPERATURES[1]:g} here; received {temperature!r}.")


def _about(tokens: int, total: int) -> str:
    """A count in words that do not hang on the last digit of a probability.

    >>> _about(50, 4096), _about(651, 4096), _about(4080, 4096), _about(4096, 4096)
    ('50', 'about 650', 'about 4,000', '4,096')
    """
    if tokens < 100 or tokens == total:
        return f"{tokens:,}"
    unit = 10 ** (len(str(tokens)) - 2)
    return f"about {min(round(tokens / unit), total // unit) * unit:,}"


def _distances(node: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(node["codes"]), dtype="<u2") * STEP


def _kept(p, sizes, temperature: float, top_k: int, top_p: float) -> tuple[int, float]:
    return (1, 1.0) if temperature == 0 else cut(p, sizes, top_k, top_p)


def _layout(nodes: list[dict]) -> list[tuple[int, int]]:
    """(depth, line) of each node: a first child stands in its parent's line, another opens a new one."""
    children: dict[int, list[int]] = {}
    for i, node in enumerate(nodes):
        children.setdefault(node["parent"], []).append(i)
    places, lines, stack = [(0, 0)] * len(nodes), 0, [(0, 0, True)]
    while stack:
        i, depth, first = stack.pop()
        lines += not first
        places[i] = (depth, lines)
        below = sorted(children.get(i, []), key=lambda c: nodes[c]["rank"])
        stack += [(c, depth + 1, n == 0) for n, c in reversed(list(enumerate(below)))]
    return places


def _draw_tree(picture: Picture, top: float, nodes: list[dict], places: list[tuple[int, int]], chances: list[float]) -> None:
    x, y = (lambda depth: 14 + 118 * depth), (lambda line: top + 22 * line)
    labels = [f"{visible(node['text'])[:9]} {chance:.2f}" for node, chance in zip(nodes, chances)]
    labels[0] = "prompt"
    for i, node in enumerate(nodes):
        depth, line = places[i]
        if (parent := node["parent"]) >= 0:
            d, above = places[parent]
            begin = x(d) + min(96, 7 * len(labels[parent]) + 8)
            picture.line([(begin, y(above) - 4), (x(depth) - 14, y(line) - 4), (x(depth) - 3, y(line) - 4)], GRID, 1.5)
        picture.text(x(depth), y(line), labels[i], 12, INK if chances[i] else FAINT)
