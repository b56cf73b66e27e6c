"""How much memory a GPT-2 will need: counted tensor by tensor, before anything is loaded.

The count follows the course's own loops, `bn.finetune` and `bn.generate`. A run needs as much as
its highest moment, so the plan looks at each moment at which something large has just been made.
Nothing here depends on the machine. The widget MemoryPlanner holds the same formulas in JS.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from typing import Any, NamedTuple

from bigmodel_nb.errors import DataError

PARTS = ("parameters", "gradients", "optimiser state", "activations", "KV cache", "framework overhead")
SHAPES = {  # name -> fields of GPT2Config; all that are not named here are GPT2Config's defaults
    "pocket": {"vocab_size": 4096, "n_positions": 256, "n_embd": 256, "n_layer": 6, "n_head": 8,
               "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "distilgpt2": {"n_layer": 6},
    "gpt2": {},
    "gpt2-medium": {"n_embd": 1024, "n_layer": 24, "n_head": 16},
    "gpt2-large": {"n_embd": 1280, "n_layer": 36, "n_head": 20},
    "gpt2-xl": {"n_embd": 1600, "n_layer": 48, "n_head": 25},
}
DEFAULTS = {"vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_inner": None,
            "resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1}
FULL = 4  # bytes of a float32
WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
STATES = {"adamw": 2, "sgd": 0, "none": 0}  # numbers that the optimiser keeps for each trained one
TARGETS = ("c_attn", "c_proj", "c_fc")  # c_proj is the name of two layers in each block
HEAP = 32 * 2**20  # glibc takes larger blocks from the system one by one, and gives them back

# Framework overhead that does not grow with the model, measured with a model of 0.2 million parameters.
# Code of torch and of the matrix library that is read from disk when it first runs, and the buffers
# that it keeps for each thread: about 25 MB and 10 MB in training, 12 MB and 2 MB in inference.
LIBRARIES = {True: 36_000_000, False: 14_000_000}
# On a GPU: the driver's context with the kernels' code, as users report it (no GPU was at hand), and
# the workspace that torch gives cuBLAS, 4096 KiB twice and 16 KiB eight times.
CONTEXT, WORKSPACE = 500_000_000, 8_519_680


class Tensors(NamedTuple):
    """So many tensors of the same size, for one purpose."""

    name: str
    count: int
    bytes: int

    @property
    def total(self) -> int:
        return self.count * self.bytes


def size(tensors: Iterable[Tensors]) -> int:
    """Bytes of them all."""
    return sum(t.total for t in tensors)


@dataclass(frozen=True, repr=False)
class Plan:
    """What a run needs at its highest moment: `.total` bytes, made of `.parts` {name: bytes}.

    `.moments` holds the parts of every moment that was looked at, `.kept` what the forward pass keeps
    for the backward pass; all in bytes.
    """

    moment: str
    moments: dict[str, dict[str, int]] = field(repr=False)
    kept: dict[str, int] = field(repr=False)

    @property
    def parts(self) -> dict[str, int]:
        """Bytes of each part at the highest moment."""
        return self.moments[self.moment]

    @property
    def total(self) -> int:
        """Bytes at the highest moment."""
        return sum(self.parts.values())

    def fits(self, bytes: float) -> bool:
        """True if a machine with so many free bytes can hold the run."""
        return self.total <= bytes

    def __repr__(self) -> str:
        return f"Plan({self.total / 1e6:,.0f} MB, highest at the moment {self.moment!r})"

    def rows(self) -> list[tuple[str, str]]:
        """The parts and their sum, in MB."""
        rows = [(name, f"{part / 1e6:,.1f}") for name, part in self.parts.items()]
        return [*rows, ("total", f"{self.total / 1e6:,.1f}")]

    def __str__(self) -> str:
        lines = [f"{name:20}{value:>12}" for name, value in self.rows()]
        return "\n".join([f"MB at the moment {self.moment!r}", *lines])

    def _repr_html_(self) -> str:
        body = "".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in self.rows())
        return f"<table><caption>MB at the moment '{escape(self.moment)}'</caption>{body}</table>"


@dataclass(frozen=True)
class Run:
    """A run in numbers, with the names of the course: B rows of T tokens through L blocks of width C."""

    L: int
    C: int
    heads: int
    inner: int  # width inside the MLP
    V: int  # vocabulary
    context: int
    dropout: float
    embedding_dropout: float
    attention_dropout: float
    batch: int
    B: int  # rows at once
    T: int
    training: bool
    width: int  # bytes of a number in the precision of the heavy arithmetic
    states: int
    rank: int
    targets: tuple[str, ...]
    checkpointing: bool
    new_tokens: int
    gpu: bool

    @property
    def tokens(self) -> int:
        """Tokens at once."""
        return self.B * self.T

    @property
    def head(self) -> int:
        """Numbers in the token embedding, which is the head, too."""
        return self.V * self.C

    def learns(self, layer: str) -> bool:
        """True if the layer's input is needed for a gradient: of its weights or of its adapter."""
        return self.rank == 0 or layer in self.targets


# Parameters, gradients, optimiser state


def parameters(run: Run) -> list[Tensors]:
    """The tensors of the model, in numbers (not bytes)."""
    L, C, inner = run.L, run.C, run.inner
    return [
        Tensors("token embedding", 1, run.head),
        Tensors("position embedding", 1, run.context * C),
        Tensors("c_attn", L, C * 3 * C),
        Tensors("c_proj of attention", L, C * C),
        Tensors("c_fc", L, C * inner),
        Tensors("c_proj of the MLP", L, inner * C),
        Tensors("biases", L, 3 * C + C + inner + C),
        Tensors("layer norms", 2 * L + 1, 2 * C),
    ]


def adapters(run: Run) -> list[Tensors]:
    """The tensors A and B of LoRA, in numbers: r numbers for each input and each output of a layer."""
    sides = {"c_attn": run.C + 3 * run.C, "c_proj": (run.C + run.C) + (run.inner + run.C), "c_fc": run.C + run.inner}
    return [Tensors(f"adapter of {layer}", run.L, run.rank * sides[layer]) for layer in run.targets if run.rank]


def trained(run: Run) -> list[Tensors]:
    """What gets gradients: the adapters if there are any, else all parameters."""
    return adapters(run) or parameters(run)


# Activations: what the forward pass keeps for the backward pass


def of_block(run: Run) -> list[Tensors]:
    """What one block keeps. Each line names who needs it in the backward pass."""
    N, C, inner, w = run.tokens, run.C, run.inner, run.width
    norms = [
        Tensors("inputs of the layer norms", 2, N * C * FULL),
        Tensors("means and deviations of the layer norms", 4, N * FULL),
    ]
    layers = [
        Tensors("input of c_attn", run.learns("c_attn"), N * C * w),
        Tensors("input of c_fc", run.learns("c_fc"), N * C * w),
        Tensors("output of gelu, input of the MLP's c_proj", run.learns("c_proj"), N * inner * w),
        Tensors("input of gelu", 1, N * inner * w),
        # transformers computes its gelu_new step by step and keeps the steps; the course's pass does not
        Tensors("steps of gelu", 3 * (run.rank > 0), N * inner * w),
    ]
    masks = [Tensors("dropout masks", 2 * (run.dropout > 0), N * C * (1 if run.gpu else w))]
    low_rank = [Tensors(f"low-rank input of {name}", 1 + (name == "c_proj"), N * run.rank * w) for name in run.targets]
    return [*norms, *layers, *of_attention(run), *masks, *low_rank, *of_copies(run)]


def of_attention(run: Run) -> list[Tensors]:
    """What attention keeps: only with dropout on a CPU are the weights (B, heads, T, T) kept, in float32.

    Elsewhere the fused kernel keeps the logarithm of each softmax's sum, and computes the rest again.
    """
    N, C, w = run.tokens, run.C, run.width
    if run.attention_dropout > 0 and not run.gpu:
        return [
            Tensors("q, k, v", 3, N * C * FULL),
            Tensors("attention weights, mask, and weights after dropout", 3, N * run.heads * run.T * FULL),
            Tensors("output of attention", run.learns("c_proj"), N * C * w),
        ]
    return [
        Tensors("q, k, v", 1, N * 3 * C * w),
        Tensors("log-sums of the softmax", 1, N * run.heads * FULL),
        Tensors("output of attention", 1, N * C * w),
        Tensors("mask between documents", run.rank == 0, N * run.T * w),
    ]


def of_copies(run: Run) -> list[Tensors]:
    """Mixed precision keeps a short copy of each matrix, since the backward pass multiplies by it."""
    matrices = [t for t in parameters(run) if t.name.startswith("c_")] + adapters(run)
    return [Tensors("short copies of the weights", run.width < FULL, t.bytes * run.width) for t in matrices]


def of_ends(run: Run) -> list[Tensors]:
    """What is kept before the first block and after the last.

    Before the first adapter nothing needs a gradient, so adapters save one layer norm and all of the embedding.
    """
    N, C, w = run.tokens, run.C, run.width
    full = run.rank == 0
    return [
        Tensors("dropout masks", full and run.embedding_dropout > 0, N * C * (1 if run.gpu else FULL)),
        Tensors("inputs of the layer norms", full, N * C * FULL),
        Tensors("means and deviations of the layer norms", 2 * full, N * FULL),
        Tensors("input of the head", full, N * C * w),
        Tensors("short copies of the weights", w < FULL, run.head * w),
        Tensors("token ids, positions, labels", 3 if full else 1, N * 8),
    ]


def kept(run: Run) -> list[Tensors]:
    """What is kept until the backward pass, but for the log-probabilities.

    With checkpointing it is only each block's input; the block is computed again when its turn comes.
    """
    blocks = [t._replace(count=t.count * run.L) for t in of_block(run)]
    if run.checkpointing:
        blocks = inputs_of_blocks(run)
    return [t for t in blocks + of_ends(run) if t.total]


def inputs_of_blocks(run: Run) -> list[Tensors]:
    """All that checkpointing keeps of the blocks."""
    return [Tensors("inputs of the blocks", run.L, run.tokens * run.C * FULL)]


# The moments


def training_moments(run: Run) -> dict[str, dict[str, int]]:
    """The parts at each moment of a training step: the second, when the optimiser has its state."""
    N, w = run.tokens, run.width
    P = FULL * size(parameters(run) + adapters(run))
    G = FULL * size(trained(run))
    O = run.states * G  # noqa: E741
    held = G if run.B < run.batch else 0  # gradients of the micro-batches before this one
    activations, logits = size(kept(run)), N * run.V * FULL
    head = FULL * run.head if run.rank == 0 else 0  # gradient of the token embedding
    short = run.head * w if w < FULL and head else 0

    def moment(gradients, activations, left=()):
        return parts(run, P, gradients, O, activations, left=left)

    before = [] if held else [t._replace(bytes=FULL * t.bytes) for t in trained(run)]
    found = {
        "model built": built(run, P),
        # log-probabilities, their gradient and that of the logits
        "gradient of the loss": moment(held, activations + 3 * logits, before),
        # gradient of the logits, and of the head and the states below it
        "gradient of the head": moment(held + head + short, activations + N * run.V * w + N * run.C * w, before),
    }
    if run.checkpointing:
        # all blocks' inputs, the last block in full, the gradients of its output and inside its MLP
        again = size(inputs_of_blocks(run)) + size(of_block(run))
        again += N * run.C * FULL + N * run.inner * w * (1 if run.rank == 0 else 2)
        found["block computed again"] = moment(held + head, again, before)
    # the embedding's gradient is added to the head's, and the sum is a third tensor of that size
    found["gradient of the embedding"] = moment(G + (3 if held else 2) * head, 0, kept(run))
    found["optimiser step"] = moment(G, 0, kept(run))
    return found


def inference_moments(run: Run) -> dict[str, dict[str, int]]:
    """The parts at each moment of reading a prompt and drawing tokens, or of one pass over rows."""
    N, C, w = run.tokens, run.C, run.width
    P = w * size(parameters(run) + adapters(run))
    length = min(run.context, run.T + run.new_tokens)
    cache = 2 * run.L * run.B * length * C * w if run.new_tokens else 0
    # in a block: its input, its norm, q, k, v and attention's output, the MLP before and after gelu
    widest = N * (C + C + 3 * C + C + 2 * run.inner) * w
    rows = run.B if run.new_tokens else N
    # logits, the same divided by the temperature, probabilities; or logits and log-probabilities
    logits = rows * run.V * FULL * (3 if run.new_tokens else 2)
    found = {"model built": built(run, P)}
    if run.new_tokens:
        found["prompt read"] = parts(run, P, activations=widest, cache=cache)
        found["token drawn"] = parts(run, P, activations=logits, cache=cache)
    else:
        found["one pass"] = parts(run, P, activations=max(widest, logits))
    return found


def built(run: Run, P: int) -> dict[str, int]:
    """transformers makes a head of its own before it ties it to the token embedding."""
    found = parts(run, P)
    found["framework overhead"] += run.head * (FULL if run.training else run.width)
    return found


def parts(run: Run, P: int, G=0, O=0, activations=0, cache=0, left: Iterable[Tensors] = ()) -> dict[str, int]:  # noqa: E741
    """The six parts in bytes; `left` is what has been freed, but may stay in the heap."""
    return dict(zip(PARTS, (P, G, O, activations, cache, overhead(run, left))))


def overhead(run: Run, left: Iterable[Tensors] = ()) -> int:
    """What the framework adds. On a CPU blocks up to HEAP bytes come from the heap, and what is freed
    there is not given back while something above it lives: tensors of other sizes rarely fill the gaps."""
    if run.gpu:
        return CONTEXT + WORKSPACE
    return LIBRARIES[run.training] + sum(t.total for t in left if t.bytes <= HEAP)


# The public function


def plan(config: Any, batch_size: int, block_size: int, *, training: bool = True, precision: str = "float32",
         optimizer: str = "adamw", lora_rank: int = 0, lora_targets: Iterable[str] = TARGETS,
         checkpointing: bool = False, micro_batch: int | None = None, new_tokens: int = 0, device: Any = "cpu") -> Plan:
    """Bytes that a GPT-2 needs -> Plan, above what the process holds before the model is built.

    config is a GPT2Config or a name of SHAPES. In training, `batch_size` rows of `block_size` tokens
    are read in passes of `micro_batch` rows, as `bn.finetune` does; "bfloat16" and "float16" mean
    mixed precision there, with parameters, gradients and optimiser state in float32. In inference
    `block_size` tokens are read and `new_tokens` drawn, as by `bn.generate`; with 0 new tokens it is
    one pass without a cache, as in `bn.perplexity`, and the precision is that of the weights.
    Errors: DataError for an argument that names nothing or can't work.
    Sources: Rajbhandari et al. (2020) for parts 1-3, Korthikanti et al. (2023) for the activations.

    >>> plan("gpt2", 1, 1024).parts["parameters"]  # 124,439,808 numbers of 4 bytes
    497759232
    >>> plan("gpt2", 1, 128, training=False, new_tokens=100).fits(1e9)
    True
    """
    run = prepare(config, batch_size, block_size, training, precision, optimizer, lora_rank, lora_targets,
                  checkpointing, micro_batch, new_tokens, device)
    moments = training_moments(run) if training else inference_moments(run)
    highest = max(moments, key=lambda name: sum(moments[name].values()))
    terms: dict[str, int] = {}
    for t in [*kept(run), Tensors("log-probabilities", 1, run.tokens * run.V * FULL)] if training else []:
        terms[t.name] = terms.get(t.name, 0) + t.total
    return Plan(highest, moments, terms)


def prepare(config, batch_size, block_size, training, precision, optimizer, lora_rank, lora_targets, checkpointing,
            micro_batch, new_tokens, device) -> Run:
    """Check the arguments of `plan` and bring them into a Run."""
    shape = shape_of(config)
    micro_batch = batch_size if micro_batch is None else micro_batch
    choose("precision", precision, WIDTHS)
    choose("optimizer", optimizer, STATES)
    targets = (lora_targets,) if isinstance(lora_targets, str) else tuple(lora_targets)
    for target in targets:
        choose("each of lora_targets", target, TARGETS)
    whole("batch_size", batch_size, 1)
    whole("micro_batch", micro_batch, 1, batch_size)
    whole("block_size", block_size, 1, shape["n_positions"])
    whole("lora_rank", lora_rank, 0)
    whole("new_tokens", new_tokens, 0)
    if training and new_tokens:
        raise DataError("new_tokens are drawn in inference: pass training=False with it.")
    kind = str(getattr(device, "type", device)).split(":")[0]
    choose("device", kind, ("cpu", "cuda", "xpu", "mps"))
    return Run(
        L=shape["n_layer"], C=shape["n_embd"], heads=shape["n_head"], inner=shape["n_inner"] or 4 * shape["n_embd"],
        V=shape["vocab_size"], context=shape["n_positions"], dropout=shape["resid_pdrop"],
        embedding_dropout=shape["embd_pdrop"], attention_dropout=shape["attn_pdrop"], batch=batch_size,
        B=min(micro_batch, batch_size), T=block_size, training=training, width=WIDTHS[precision],
        states=STATES[optimizer], rank=lora_rank, targets=targets if lora_rank else (), checkpointing=checkpointing,
        new_tokens=new_tokens, gpu=kind != "cpu",
    )


def shape_of(config: Any) -> dict:
    """The fields that count, of a GPT2Config or of a name in SHAPES."""
    if isinstance(config, str):
        choose("config", config, SHAPES)
        return DEFAULTS | SHAPES[config]
    try:
        return {name: getattr(config, name) for name in DEFAULTS}
    except AttributeError as error:
        raise DataError(f"config must be a GPT2Config or one of {', '.join(SHAPES)}; {error}.") from error


def choose(name: str, value: Any, allowed: Iterable[str]) -> None:
    """Raise DataError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise DataError(f"{name} must be one of {', '.join(allowed)}; received {value!r}.")


def whole(name: str, value: Any, low: int, high: int | None = None) -> None:
    """Raise DataError unless `value` is a whole number in the range."""
    if not isinstance(value, int) or isinstance(value, bool) or value < low or (high is not None and value > high):
        most = "" if high is None else f" and at most {high}"
        raise DataError(f"{name} must be a whole number of at least {low}{most}; received {value!r}.")
