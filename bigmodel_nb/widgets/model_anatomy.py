"""The parts of a GPT-2, to be unfolded: shapes, parameters, operations and the size of every output.

The formulas stand here only. Of each part the browser gets numbers that it multiplies by B and T.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import traitlets as t

from bigmodel_nb.errors import DataError
from bigmodel_nb.figures import BLUE, GREEN, RED

from .base import CourseWidget, front_end, style
from .picture import FAINT, GRID, INK, Picture

SIZES = {  # our name of a size: where it may stand in a config
    "vocab_size": ("vocab_size",),
    "n_positions": ("n_positions",),
    "d_model": ("d_model", "n_embd"),
    "n_layer": ("n_layer",),
    "n_heads": ("n_heads", "n_head"),
}
MEASURES = {"parameters": BLUE, "flops": RED, "bytes": GREEN}
TITLES = {"parameters": "parameters", "flops": "operations", "bytes": "bytes of outputs"}
FLOAT_BYTES = 4
ROW, TOP, WIDTH = 20, 58, 700


@dataclass(frozen=True)
class Part:
    """One part of the model. Operations and numbers of the output are a * B * T + b * B * T * T + c * T,
    kept as (a, b, c); `times` is how often the part stands in a row."""

    path: str
    name: str
    what: str
    shape: tuple[int | str, ...]
    code: str = ""
    parameters: int = 0
    flops: tuple[int, int, int] = (0, 0, 0)
    numbers: tuple[int, int, int] = (0, 0, 0)
    times: int = 1

    @property
    def depth(self) -> int:
        return self.path.count("/")


def parts(vocab_size: int, n_positions: int, d_model: int, n_layer: int, n_heads: int, d_inner: int) -> Iterator[Part]:
    """The parts of a GPT-2 from the ids to the logits; a group stands before its parts."""
    V, C, H, D = vocab_size, d_model, n_heads, d_inner
    stream, head = ("B", "T", C), ("B", H, "T", C // H)

    def norm(path: str, name: str) -> Part:
        return Part(path, name, "every token's vector to mean 0 and variance 1, then scaled and shifted", stream,
                    "(x - mean) / (variance + eps).sqrt() * weight + bias", 2 * C, numbers=(C, 0, 0))

    def linear(path: str, name: str, what: str, n_in: int, n_out: int) -> Part:
        return Part(path, name, what, ("B", "T", n_out), f"x @ w + b, w ({n_in}, {n_out})", n_in * n_out + n_out,
                    (2 * n_in * n_out, 0, 0), (n_out, 0, 0))

    def add(path: str, of: str) -> Part:
        return Part(path, "add", f"the result of {of} is added to the residual stream", stream, f"x = x + {of}(norm(x))",
                    numbers=(C, 0, 0))

    yield Part("embed", "embeddings", "a vector for every token: what it is, and where it stands", stream)
    yield Part("embed/token", "token table", "the row of each id", stream, "wte[ids]", V * C, numbers=(C, 0, 0))
    yield Part("embed/position", "position table", "the first T rows, the same for every text", ("T", C), "wpe[:T]",
               n_positions * C, numbers=(0, 0, C))
    yield Part("embed/add", "add", "the sum enters the first block", stream, "x = wte[ids] + wpe[:T]", numbers=(C, 0, 0))
    yield Part("blocks", f"{n_layer} equal blocks" if n_layer != 1 else "1 block",
               "the rows inside are for one block" if n_layer != 1 else "one block", stream, times=n_layer)
    yield norm("blocks/norm_1", "layer norm 1")
    yield Part("blocks/attn", "attention", "the only part in which tokens see each other", stream)
    yield linear("blocks/attn/qkv", "q, k, v", "one matrix makes queries, keys and values side by side", C, 3 * C)
    yield Part("blocks/attn/heads", "split into heads", "the same numbers in another shape: q, k and v each", head,
               "qkv.view(B, T, 3, n_heads, d_head)")
    yield Part("blocks/attn/scores", "scores", "every query with every key, so they grow with the square of T",
               ("B", H, "T", "T"), "q @ k.mT / sqrt(d_head)", flops=(0, 2 * C, 0), numbers=(0, H, 0))
    yield Part("blocks/attn/weights", "weights", "later tokens are masked; softmax over the keys",
               ("B", H, "T", "T"), "scores.masked_fill(future, -inf).softmax(-1)", numbers=(0, H, 0))
    yield Part("blocks/attn/mix", "mix of values", "a weighted sum of values for every query, heads side by side again",
               stream, "weights @ v", flops=(0, 2 * C, 0), numbers=(C, 0, 0))
    yield linear("blocks/attn/out", "output map", "mixes the heads", C, C)
    yield add("blocks/add_1", "attention")
    yield norm("blocks/norm_2", "layer norm 2")
    yield Part("blocks/mlp", "MLP", "works on each token alone", stream)
    yield linear("blocks/mlp/up", "up", "to the hidden layer", C, D)
    yield Part("blocks/mlp/gelu", "GELU", "a gate for every number", ("B", "T", D), "gelu_tanh(x)", numbers=(D, 0, 0))
    yield linear("blocks/mlp/down", "down", "back to d_model", D, C)
    yield add("blocks/add_2", "mlp")
    yield norm("norm", "last layer norm")
    yield Part("head", "logits", "the token table again, read the other way: no parameters of its own", ("B", "T", V),
               "x @ wte.T", flops=(2 * V * C, 0, 0), numbers=(V, 0, 0))


def totals(listed: list[Part]) -> dict[str, Part]:
    """Each path with its part, groups with the sums over what they hold; "" is the whole model."""
    done: dict[str, Part] = {}
    for part in [Part("", "GPT-2", "", ()), *listed]:
        inside = [it for it in listed if it.path.startswith(f"{part.path}/" if part.path else "") and it.path != part.path]
        if not inside:
            done[part.path] = part
            continue
        leaves = [it for it in inside if not any(other.path.startswith(f"{it.path}/") for other in listed)]
        repeats = {it.path: it.times for it in listed if it.times > 1}

        def often(leaf: Part) -> int:
            return next((n for path, n in repeats.items() if leaf.path.startswith(f"{path}/") and part.path in ("", path)), 1)

        def summed(key: str) -> tuple[int, int, int]:
            return tuple(sum(often(it) * getattr(it, key)[i] for it in leaves) for i in range(3))

        count = sum(often(it) * it.parameters for it in leaves)
        done[part.path] = Part(part.path, part.name, part.what, part.shape, part.code, count, summed("flops"),
                               summed("numbers"), part.times)
    return done


def at(coefficients: tuple[int, int, int], B: int, T: int) -> int:
    """a * B * T + b * B * T * T + c * T.

    >>> at((10, 1, 2), 3, 4)
    176
    """
    a, b, c = coefficients
    return a * B * T + b * B * T * T + c * T


def short(n: float) -> str:
    """A count with three significant digits.

    >>> short(999), short(12_345), short(5_850_000), short(6.9e9), short(0)
    ('999', '12.3 k', '5.85 M', '6.90 G', '0')
    """
    n = float(f"{n:.3g}")
    for power, unit in ((15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if n >= 10**power:
            value = n / 10**power
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"
    return f"{n:g}"


def _sizes(model: Any) -> dict[str, int]:
    """The sizes in a model, its config or a dict; DataError where one is missing or makes no sense."""
    config = model if isinstance(model, Mapping) else getattr(model, "config", model)
    get = config.get if isinstance(config, Mapping) else lambda name, other=None: getattr(config, name, other)
    found = {}
    for size, names in SIZES.items():
        value = next((get(name) for name in names if get(name) is not None), None)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise DataError(
                f"ModelAnatomy needs a GPT-2, its config or a dict with {', '.join(SIZES)}; "
                f"{size} is {value!r} in the {type(model).__name__} that it received."
            )
        found[size] = value
    if found["d_model"] % found["n_heads"]:
        raise DataError(
            f"d_model {found['d_model']} can't be shared out among {found['n_heads']} heads: choose a multiple."
        )
    found["d_inner"] = get("n_inner") or get("d_inner") or 4 * found["d_model"]
    return found


class ModelAnatomy(CourseWidget):
    """A GPT-2 whose parts unfold: output shapes, parameters, operations and bytes, for B texts of T tokens.

    model: a GPT-2 of transformers or of lesson 11, a config of either, or a dict with vocab_size,
    n_positions, d_model, n_layer and n_heads. Operations are those of the matrix products of a
    forward pass; bytes are those of all outputs in float32. T is 64 if not given. Errors: DataError for other input.

    >>> ModelAnatomy({"vocab_size": 10, "n_positions": 8, "d_model": 4, "n_layer": 1, "n_heads": 2}, T=8)
    ModelAnatomy of a GPT-2 with 1 block, d_model 4, 2 heads, 10 tokens: 324 parameters; at B = 1, T = 8: 4.74 k operations and 4.16 kB of outputs
    """

    _esm = front_end("model_anatomy")
    _css = style("model_anatomy")

    rows = t.List().tag(sync=True)  # path, name, what, shape, code, parameters, flops, numbers
    n_positions = t.Int().tag(sync=True)
    B = t.Int(1).tag(sync=True)
    T = t.Int(64).tag(sync=True)
    unfolded = t.List(t.Unicode()).tag(sync=True)

    def __init__(self, model: Any, B: int = 1, T: int | None = None) -> None:
        sizes = _sizes(model)
        T = min(64, sizes["n_positions"]) if T is None else T
        if not all(isinstance(n, int) and n >= 1 for n in (B, T)) or T > sizes["n_positions"]:
            raise DataError(f"B must be 1 or more, T 1 to {sizes['n_positions']} (n_positions); received {B!r} and {T!r}.")
        listed = totals(list(parts(**sizes)))
        rows = [[p.path, p.name, p.what, list(p.shape), p.code, p.parameters, list(p.flops), list(p.numbers)] for p in listed.values()]
        self.sizes, self.start = sizes, (B, T)
        super().__init__(rows=rows, n_positions=sizes["n_positions"], B=B, T=T, unfolded=["blocks"])

    def part(self, path: str = "") -> dict:
        """Shape, parameters, operations and bytes of one part, at the present B and T; "" is the model."""
        return self._part(path, self.B, self.T)

    def whole(self) -> dict:
        """The same for the whole model."""
        return self.part()

    def _part(self, path: str, B: int, T: int) -> dict:
        row = next((row for row in self.rows if row[0] == path), None)
        if row is None:
            raise DataError(f"there is no part {path!r}; there are {', '.join(r[0] for r in self.rows[1:])}.")
        shape = tuple({"B": B, "T": T}.get(n, n) for n in row[3])
        return {"shape": shape, "parameters": row[5], "flops": at(row[6], B, T), "bytes": FLOAT_BYTES * at(row[7], B, T)}

    def describe(self) -> str:
        s, (B, T) = self.sizes, self.start
        all_ = self._part("", B, T)
        blocks = f"{s['n_layer']} block{'s' * (s['n_layer'] > 1)}"
        return (
            f"ModelAnatomy of a GPT-2 with {blocks}, d_model {s['d_model']}, {s['n_heads']} heads, "
            f"{s['vocab_size']:,} tokens: {all_['parameters']:,} parameters; at B = {B}, T = {T}: "
            f"{short(all_['flops'])} operations and {short(all_['bytes'])}B of outputs"
        )

    def picture(self) -> Picture:
        """All parts unfolded, with bars for their share of the whole model."""
        B, T = self.start
        listed = self.rows[1:]
        picture = Picture(WIDTH, TOP + ROW * len(listed) + 26, self.describe())
        whole, s = self._part("", B, T), self.sizes
        picture.text(10, 18, f"GPT-2: {s['n_layer']} blocks, d_model {s['d_model']}, {s['n_heads']} heads; B = {B}, T = {T}", 13)
        edges = dict(zip(MEASURES, (352, 464, 576)))
        for measure, colour in MEASURES.items():
            total = f"{short(whole[measure])}{'B' if measure == 'bytes' else ''}"
            picture.text(edges[measure], 36, TITLES[measure], 11, colour)
            picture.text(edges[measure], 50, total, 12, colour)
        picture.text(190, 50, "output", 11, FAINT)
        often = {"blocks": s["n_layer"]}
        for number, row in enumerate(listed):
            y, known = TOP + ROW * number, self._part(row[0], B, T)
            depth = row[0].count("/")
            times = often.get(row[0].split("/")[0], 1) if depth else 1
            picture.line([(10, y + ROW - 2), (WIDTH - 10, y + ROW - 2)], GRID, 0.6)
            picture.text(10 + 16 * depth, y + 14, row[1], 12, INK)
            picture.text(190, y + 14, f"({', '.join(map(str, known['shape']))})", 11, FAINT)
            for measure, colour in MEASURES.items():
                unit = "B" if measure == "bytes" else ""
                if known[measure]:
                    share = times * known[measure] / whole[measure]
                    picture.rect(edges[measure], y + 3, max(0.5, 44 * share), 11, colour)
                    picture.text(edges[measure] + 104, y + 14, short(known[measure]) + unit, 11, INK, "end")
        picture.text(10, TOP + ROW * len(listed) + 16, "Rows inside the blocks: numbers of one block, bars of all blocks together.", 11, FAINT)
        return picture
