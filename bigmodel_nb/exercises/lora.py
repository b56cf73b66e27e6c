"""Exercises of lesson 14."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np

from .engine.model import Check, Exercise, Failed, Misconception


def lora_init(d_in, d_out, r, generator):
    """The two factors of a new adapter: A drawn by `generator`, a torch.Generator; B zero.

    -> A (d_in, r), uniform between -1/sqrt(d_in) and 1/sqrt(d_in); B (r, d_out), zeros; both float32
    """
    import torch

    A = (2 * torch.rand(d_in, r, generator=generator) - 1) / math.sqrt(d_in)
    return A, torch.zeros(r, d_out)


def lora_linear(x, W, b, A, B, alpha):
    """A linear map and the adapter beside it.

    x (..., d_in), W (d_in, d_out), b (d_out,), A (d_in, r), B (r, d_out), alpha: a number -> (..., d_out)
    """
    r = A.shape[1]
    return x @ W + b + alpha / r * (x @ A @ B)


def merge_lora(W, A, B, alpha):
    """One matrix that does the work of W and the adapter together.

    W (d_in, d_out), A (d_in, r), B (r, d_out), alpha: a number -> a new tensor (d_in, d_out)
    """
    r = A.shape[1]
    return W + alpha / r * (A @ B)


def count_trainable(model):
    """How many numbers of a torch module are trained, and how many it has.

    -> trained, total: two ints; a parameter that stands in two places counts once, buffers don't count
    """
    trained = total = 0
    for parameter in model.parameters():
        total += parameter.numel()
        if parameter.requires_grad:
            trained += parameter.numel()
    return trained, total


def adapter_is_sound(wrap, layer, x):
    """True if an adapter starts as nothing, can learn, and leaves its layer alone.

    wrap: a function that puts an adapter around a layer and returns the new module. What is to be
    trained has requires_grad; there may be nothing of the kind, and then the adapter is not sound.
    layer: a map with weight and bias, torch.nn.Linear or GPT-2's Conv1D; x: (N, d_in), a batch to try it on -> bool
    Outputs that differ by less than 1e-5 count as equal; weight and bias of `layer` must stay exactly.
    """
    import torch

    before = copy.deepcopy(layer)
    net = wrap(layer)
    if (net(x) - before(x)).abs().max() > 1e-5:
        return False
    trained = [p for p in net.parameters() if p.requires_grad]
    if not trained:
        return False
    optimizer = torch.optim.SGD(trained, lr=0.1)
    for _ in range(3):
        (net(x) - 1).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    kept = all(torch.equal(p, q) for p, q in zip(layer.parameters(), before.parameters()))
    return kept and bool((net(x) - before(x)).abs().max() > 1e-5)


def _tensor(rng, *shape, dtype="float32"):
    import torch

    return torch.tensor(rng.normal(size=shape), dtype=getattr(torch, dtype))


# lora_init


def _generator(seed):
    import torch

    return torch.Generator().manual_seed(seed)


def _drawn(init, d_in, d_out, r, seed):
    """What three new adapters look like, in coarse numbers; two come from equal generators, and the other generator is
    asked twice."""
    import torch

    torch.manual_seed(seed + 77)  # for those who draw from the global generator
    g = _generator(seed + 1)
    pairs = [_two_tensors(init(d_in, d_out, r, each)) for each in (_generator(seed), g, g, _generator(seed))]
    one, other, next_one, two = (A for A, _ in pairs)
    flags = {
        "equal generators give equal A": torch.equal(one, two),
        "another generator gives another A": one.shape == other.shape and not torch.equal(one, other),
        "the same generator gives another A next": other.shape == next_one.shape and not torch.equal(other, next_one),
    }
    return [_looks(*pairs[i], d_in) for i in (0, 1, 3)], flags


def _two_tensors(result):
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise Failed(f"Your result is a {type(result).__name__}; expected two tensors: return A, B.")
    for name, value in zip("AB", result):
        if not hasattr(value, "untyped_storage"):
            raise Failed(f"Your {name} is a {type(value).__name__}; expected a torch tensor.")
    return tuple(value.detach() for value in result)


def _looks(A, B, d_in):
    import torch

    unit = A.double() * math.sqrt(d_in)  # should lie between -1 and 1
    rank = int(torch.linalg.matrix_rank(A.double())) if A.ndim == 2 else -1
    return {
        "shape of A": list(A.shape),
        "shape of B": list(B.shape),
        "dtypes": f"{A.dtype} {B.dtype}",
        "mean of A / mean of |A|": _coarse(float(unit.mean() / unit.abs().mean()) if unit.any() else 0.0),
        "standard deviation of A * sqrt(3 * d_in)": _coarse(float(unit.std()) * math.sqrt(3)),
        "share of A outside the bounds": _coarse(float((unit.abs() > 1.00001).double().mean())),
        "rank of A": rank,
        "standard deviation of B * sqrt(3 * d_in)": _coarse(float(B.double().std()) * math.sqrt(3 * d_in)),
    }


def _coarse(number):
    """Rounded so that the luck of the draw does not show."""
    return round(number, 1 if abs(number) < 10 else 0)


def _looks_right(d_in, d_out, r):
    looks = {
        "shape of A": [d_in, r],
        "shape of B": [r, d_out],
        "dtypes": "torch.float32 torch.float32",
        "mean of A / mean of |A|": 0.0,
        "standard deviation of A * sqrt(3 * d_in)": 1.0,
        "share of A outside the bounds": 0.0,
        "rank of A": r,
        "standard deviation of B * sqrt(3 * d_in)": 0.0,
    }
    flags = ("equal generators give equal A", "another generator gives another A", "the same generator gives another A next")
    return [looks] * 3, dict.fromkeys(flags, True)


def _shapes_drawn(init, d_in, d_out, r, seed):
    A, B = _two_tensors(init(d_in, d_out, r, _generator(seed)))
    return [list(A.shape), list(B.shape)]


def _check_init_shapes(attempt):
    why = "These are the shapes of your A and B."
    for d_in, d_out, r in ((6, 4, 2), (3, 8, 1), (5, 5, 3)):
        attempt.expect((d_in, d_out, r, 0), [[d_in, r], [r, d_out]], why, drive=_shapes_drawn)


def _check_init_looks(attempt):
    for d_in, d_out, r in ((300, 50, 40), (200, 300, 30), (100, 100, 70)):
        why = f"Three adapters were drawn with d_in = {d_in}, d_out = {d_out}, r = {r}."
        attempt.expect((d_in, d_out, r, 1), _looks_right(d_in, d_out, r), why)


def _check_init_zero(attempt):
    """Whatever x is, a new adapter adds exactly nothing."""

    def added(init, d_in, d_out, r, seed):
        import torch

        generator = _generator(seed)
        A, B = _two_tensors(init(d_in, d_out, r, generator))
        return float((torch.randn(4, d_in, generator=generator) @ A @ B).abs().max())

    why = "This is the largest number that your new adapter adds to the layer's output."
    for sizes in ((8, 6, 2), (300, 20, 4)):
        attempt.expect((*sizes, 2), 0.0, why, drive=added)


def _check_init_bounds(attempt):
    def largest(init, d_in, d_out, r, seed):
        A, _ = _two_tensors(init(d_in, d_out, r, _generator(seed)))
        return bool(A.abs().max() <= 1.00001 / math.sqrt(d_in))

    why = "Is every number of A between -1/sqrt(d_in) and 1/sqrt(d_in)?"
    for d_in in (4, 50, 900):
        attempt.expect((d_in, 7, 5, 3), True, why, drive=largest)


def _init_sample(rng):
    return int(rng.integers(150, 300)), int(rng.integers(20, 60)), int(rng.integers(30, 60)), int(rng.integers(100))


def _init_probes():
    return [(250, 111, 40, 11), (160, 640, 40, 12)]


def _uniform(generator, *shape):
    import torch

    return 2 * torch.rand(*shape, generator=generator) - 1


def _init_of(A=None, B=None):
    """lora_init with another way to make A or B: (d_in, d_out, r, generator) -> tensor."""

    def wrong(d_in, d_out, r, generator):
        right = lora_init(d_in, d_out, r, generator)
        first = A(d_in, d_out, r, generator) if A else right[0]
        return first, B(d_in, d_out, r, generator) if B else right[1]

    return wrong


def _zeros(*shape):
    import torch

    return torch.zeros(*shape)


def _normal_A(d_in, d_out, r, generator):
    import torch

    return torch.randn(d_in, r, generator=generator) / math.sqrt(d_in)


def _positive_A(d_in, d_out, r, generator):
    import torch

    return torch.rand(d_in, r, generator=generator) / math.sqrt(d_in)


def _global_A(d_in, d_out, r, generator):
    import torch

    return (2 * torch.rand(d_in, r) - 1) / math.sqrt(d_in)


def _reseeded_A(d_in, d_out, r, generator):
    return _positive_A(d_in, d_out, r, generator.manual_seed(generator.initial_seed())) * 2 - 1 / math.sqrt(d_in)


_INIT_MISCONCEPTIONS = (
    Misconception(
        "both_random",
        _init_of(B=lambda d_in, d_out, r, g: _uniform(g, r, d_out) / math.sqrt(d_in)),
        "Your B is random too, so a new adapter adds noise to a model that works. What must A @ B be "
        "at the start?",
        also=(_init_of(B=lambda d_in, d_out, r, g: _uniform(g, r, d_out) / math.sqrt(r)),),
    ),
    Misconception(
        "both_zero",
        _init_of(A=lambda d_in, d_out, r, g: _zeros(d_in, r)),
        "Both factors are zero. The gradient of A is multiplied by B and that of B by x @ A: which of "
        "them could ever leave zero?",
    ),
    Misconception(
        "roles_exchanged",
        _init_of(
            lambda d_in, d_out, r, g: _zeros(d_in, r), lambda d_in, d_out, r, g: _uniform(g, r, d_out) / math.sqrt(d_in)
        ),
        "Your A is zero and your B random. That starts as nothing, too, but it is the other way round "
        "here, as in peft: which of the two should be zero?",
        also=(
            _init_of(
                lambda d_in, d_out, r, g: _zeros(d_in, r), lambda d_in, d_out, r, g: _uniform(g, r, d_out) / math.sqrt(r)
            ),
        ),
    ),
    Misconception(
        "shapes_turned",
        lambda d_in, d_out, r, g: (_uniform(g, r, d_in) / math.sqrt(d_in), _zeros(d_out, r)),
        "These are the shapes that nn.Linear would want. Here x @ A @ B must work: which axis of A meets "
        "the last axis of x?",
    ),
    Misconception(
        "scaled_by_the_rank",
        _init_of(A=lambda d_in, d_out, r, g: _uniform(g, d_in, r) / math.sqrt(r)),
        "Your bound is 1/sqrt(r). A number of x @ A is a sum over how many terms?",
    ),
    Misconception(
        "scaled_by_the_output",
        _init_of(A=lambda d_in, d_out, r, g: _uniform(g, d_in, r) / math.sqrt(d_out)),
        "Your bound is 1/sqrt(d_out). A number of x @ A is a sum over how many terms?",
    ),
    Misconception(
        "root_forgotten",
        _init_of(A=lambda d_in, d_out, r, g: _uniform(g, d_in, r) / d_in),
        "Your A is divided by d_in. With which bound does a sum of d_in random terms keep its size?",
    ),
    Misconception(
        "not_scaled",
        _init_of(A=lambda d_in, d_out, r, g: _uniform(g, d_in, r)),
        "Your A lies between -1 and 1, whatever d_in is. How large does a sum of d_in such terms become?",
    ),
    Misconception(
        "only_positive",
        _init_of(A=_positive_A),
        "torch.rand gives numbers from 0 to 1, so your A has no negative ones. How do you stretch and "
        "shift them to -1 to 1?",
    ),
    Misconception(
        "half_the_width",
        _init_of(A=lambda d_in, d_out, r, g: _uniform(g, d_in, r) / math.sqrt(d_in) / 2),
        "Your numbers reach half as far as they should. Which interval does torch.rand(...) - 0.5 cover?",
    ),
    Misconception(
        "normal_numbers",
        _init_of(A=_normal_A),
        "Your A is drawn from a normal distribution, and a third of it lies outside the bounds. Which "
        "function of torch draws uniformly?",
    ),
    Misconception(
        "begun_anew",
        lambda d_in, d_out, r, g: (_reseeded_A(d_in, d_out, r, g), _zeros(r, d_out)),
        "Two adapters from one generator get the same A: you begin anew from its seed at each call. Draw from the "
        "generator as it is, and it goes on.",
    ),
    Misconception(
        "generator_not_used",
        _init_of(A=_global_A),
        "Two equal generators give different A. Do you hand `generator` to the function that draws?",
    ),
)


# lora_linear


def _linear_case(rng, x=(4,), d_in=5, d_out=3, r=2, alpha=None, dtype="float32"):
    alpha = round(float(rng.uniform(0.3, 9)), 2) if alpha is None else alpha
    shapes = (*x, d_in), (d_in, d_out), (d_out,), (d_in, r), (r, d_out)
    return (*(_tensor(rng, *shape, dtype=dtype) for shape in shapes), alpha)


def _linear_sample(rng):
    d_in, d_out, r = (int(rng.integers(1, 7)) for _ in range(3))
    return _linear_case(rng, tuple(rng.integers(1, 4, size=rng.integers(1, 3))), d_in, d_out, r)


def _linear_oracle(x, W, b, A, B, alpha):
    """Rank by rank, with the whole change of the weights in one matrix."""
    change = sum(A[:, k, None] * B[None, k, :] for k in range(B.shape[0]))
    scale = alpha / B.shape[0]
    return (x[..., None] * (W + scale * change)).sum(-2) + b


def _check_linear_by_hand(attempt):
    import torch

    x, W, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]]), torch.tensor([0.0, 0.0, 1.0])
    A, B = torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]])
    why = "x @ W + b is (1, 2, 5), x @ A is (3, 2), and the scale is 6 / 2 = 3."
    attempt.expect((x, W, b, A, B, 6), torch.tensor([[10.0, 14.0, -4.0]]), why)


def _check_linear_random(attempt):
    rng = np.random.default_rng(1)
    for dtype in ("float32", "float64") * 8:
        case = _linear_case(rng, (int(rng.integers(1, 5)),), *rng.integers(2, 7, size=2), int(rng.integers(1, 6)), dtype=dtype)
        attempt.expect(case, _linear_oracle(*case))


def _check_linear_axes(attempt):
    rng = np.random.default_rng(2)
    for x in ((), (2, 3), (2, 1, 4)):
        case = _linear_case(rng, x)
        attempt.expect(case, _linear_oracle(*case), f"Here x has {len(x) + 1} axes.")


def _check_linear_fresh(attempt):
    rng = np.random.default_rng(3)
    x, W, b, A, B, alpha = _linear_case(rng)
    attempt.expect((x, W, b, A, 0 * B, alpha), x @ W + b, "B is zero, so only the layer itself is left.")
    attempt.expect((x, W, b, A, B, 0.0), x @ W + b, "alpha is 0, so only the layer itself is left.")


def _factor_gradients(fn, *case):
    leaves = [t.detach().requires_grad_() for t in case[:5]]
    y = fn(*leaves, case[5])
    if not getattr(y, "requires_grad", False):
        raise Failed("Your result has no gradient. Stay with torch operations; no .detach() or .item().")
    y.square().sum().backward()
    return tuple(leaf.grad for leaf in leaves)


def _check_linear_gradient(attempt):
    rng = np.random.default_rng(4)
    case = _linear_case(rng, r=3)
    expected = _factor_gradients(_linear_oracle, *case)
    why = "These are the gradients of your result's squares with respect to x, W, b, A and B."
    attempt.expect(case, expected, why, drive=_factor_gradients)


def _linear_probes():
    rng = np.random.default_rng(5)
    return [_linear_case(rng, (3,), 5, 4, 2, alpha=7.0), _linear_case(rng, (2, 2), 4, 4, 3, alpha=0.8)]


def _linear_of(scale=lambda alpha, r, d_in: alpha / r, put=lambda base, b, added, s: base + b + s * added):
    """lora_linear with another scale, or other terms put together."""

    def wrong(x, W, b, A, B, alpha):
        return put(x @ W, b, x @ A @ B, scale(alpha, A.shape[1], A.shape[0]))

    return wrong


WRONG_SCALES = {  # alpha, r, d_in -> a factor that learners take for alpha / r
    "scale_left_out": (lambda alpha, r, d_in: 1.0,),
    "not_divided_by_r": (lambda alpha, r, d_in: alpha,),
    "alpha_left_out": (lambda alpha, r, d_in: 1 / r,),
    "scale_turned_round": (lambda alpha, r, d_in: r / alpha if alpha else 0.0, lambda alpha, r, d_in: alpha * r),
    "divided_by_d_in": (lambda alpha, r, d_in: alpha / d_in,),
    "root_of_r": (lambda alpha, r, d_in: alpha / math.sqrt(r),),
}


def _wrongly_scaled(version, *hints):
    """A misconception for each wrong scale; `version` makes the exercise's function with a scale."""
    for (name, scales), hint in zip(WRONG_SCALES.items(), hints, strict=True):
        first, *others = map(version, scales)
        yield Misconception(name, first, hint, also=tuple(others))


_LINEAR_MISCONCEPTIONS = (
    *_wrongly_scaled(
        _linear_of,
        "The adapter's part is not scaled at all. What stands before x A B in the formula?",
        "You multiply by alpha alone. What keeps the adapter's size when you choose another rank?",
        "You divide by r, and alpha does nothing.",
        "Your scale has r above the line. Which of alpha and r stands below it?",
        "You divide by d_in. A has the shape (d_in, r): which axis is the rank?",
        "You divide by the root of r. There is such a variant; the formula here has r itself.",
    ),
    Misconception(
        "layer_left_out",
        _linear_of(put=lambda base, b, added, s: b + s * added),
        "Only the adapter's part comes out. The layer's own x @ W still belongs to it.",
        also=(_linear_of(put=lambda base, b, added, s: s * added),),
    ),
    Misconception(
        "bias_left_out",
        _linear_of(put=lambda base, b, added, s: base + s * added),
        "Your result is off by the same vector in every row. Which term of the layer is missing?",
    ),
    Misconception(
        "everything_scaled",
        _linear_of(put=lambda base, b, added, s: s * (base + added) + b),
        "The layer's own part is scaled as well. Which part does alpha / r belong to?",
        also=(_linear_of(put=lambda base, b, added, s: s * (base + b + added)),),
    ),
    Misconception(
        "a_curve_between",
        lambda x, W, b, A, B, alpha: x @ W + b + alpha / A.shape[1] * ((x @ A).relu() @ B),
        "There is a ReLU between A and B. With it no single matrix could replace the adapter: what does "
        "the formula have between them?",
    ),
    Misconception(
        "subtracted",
        _linear_of(put=lambda base, b, added, s: base + b - s * added),
        "The adapter's part has the wrong sign.",
    ),
)


# merge_lora


def _merge_case(rng, d_in=5, d_out=3, r=2, alpha=None, dtype="float32"):
    _, W, _, A, B, alpha = _linear_case(rng, (1,), d_in, d_out, r, alpha, dtype)
    return W, A, B, alpha


def _merge_sample(rng):
    return _merge_case(rng, *(int(rng.integers(1, 7)) for _ in range(3)))


def _merge_oracle(W, A, B, alpha):
    """What the layer with its adapter makes of each unit vector."""
    import torch

    d_in, d_out = W.shape
    return _linear_oracle(torch.eye(d_in, dtype=W.dtype), W, torch.zeros(d_out, dtype=W.dtype), A, B, alpha)


def _check_merge_by_hand(attempt):
    import torch

    W, A, B = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [2.0, 1.0]]), torch.tensor([[1.0, 3.0], [0.0, 1.0]])
    why = "A @ B is ((1, 3), (2, 7)), and the scale is 1 / 2."
    attempt.expect((W, A, B, 1), torch.tensor([[1.5, 1.5], [1.0, 4.5]]), why)


def _check_merge_random(attempt):
    rng = np.random.default_rng(6)
    for dtype in ("float32", "float64") * 8:
        case = _merge_case(rng, *(int(n) for n in rng.integers(1, 8, size=3)), dtype=dtype)
        attempt.expect(case, _merge_oracle(*case))


def _check_merge_same_map(attempt):
    """x @ merged is what lora_linear gives."""

    def outputs(merge, W, A, B, alpha):
        import torch

        x = torch.arange(3 * W.shape[0], dtype=W.dtype).view(3, -1) / 7
        return x @ merge(W, A, B, alpha)

    rng = np.random.default_rng(7)
    for r in (1, 4):
        case = _merge_case(rng, 6, 5, r)
        expected = outputs(_merge_oracle, *case)
        attempt.expect(case, expected, "These are the outputs of the merged layer.", drive=outputs)


def _check_merge_back(attempt):
    """Merging with -alpha takes the adapter out again."""

    def there_and_back(merge, W, A, B, alpha):
        return merge(merge(W, A, B, alpha), A, B, -alpha)

    rng = np.random.default_rng(8)
    case = _merge_case(rng, 4, 4, 3, dtype="float64")
    attempt.expect(case, case[0], "Merged with alpha and then with -alpha.", drive=there_and_back)


def _check_merge_new(attempt):
    def shares_memory(merge, W, A, B, alpha):
        return merge(W, A, B, alpha).untyped_storage().data_ptr() == W.untyped_storage().data_ptr()

    why = "Does your result share its memory with W? A new tensor is asked for, with alpha = 0 as well."
    for alpha in (0, 2.0):
        attempt.expect(_merge_case(np.random.default_rng(10), alpha=alpha), False, why, drive=shares_memory)


def _merge_probes():
    rng = np.random.default_rng(9)
    return [_merge_case(rng, 5, 3, 2, alpha=7.0), _merge_case(rng, 4, 4, 3, alpha=0.8)]


def _merge_of(scale=lambda alpha, r, d_in: alpha / r, put=lambda W, product, s: W + s * product):
    def wrong(W, A, B, alpha):
        return put(W, A @ B, scale(alpha, A.shape[1], A.shape[0]))

    return wrong


_MERGE_MISCONCEPTIONS = (
    *_wrongly_scaled(
        _merge_of,
        "You add A @ B as it is. With which factor does the adapter's part enter the output?",
        "Your factor is alpha alone. What does lora_linear divide it by?",
        "Your factor is 1 / r. Where does alpha come in?",
        "Your factor has r above the line. Which of alpha and r stands below it?",
        "You divide by the rows of A. Which of its axes is the rank?",
        "You divide by the root of r. lora_linear has r itself.",
    ),
    Misconception(
        "weight_left_out",
        _merge_of(put=lambda W, product, s: s * product),
        "This is the change alone. The merged layer has to do W's work as well.",
    ),
    Misconception(
        "everything_scaled",
        _merge_of(put=lambda W, product, s: s * (W + product)),
        "W itself is scaled, too. Which part does alpha / r belong to?",
    ),
    Misconception(
        "subtracted",
        _merge_of(put=lambda W, product, s: W - s * product),
        "You take the adapter out. This is how one undoes a merge.",
    ),
    Misconception(
        "transposed",
        _merge_of(put=lambda W, product, s: W + s * product.T),
        "Your change is transposed; a square matrix does not complain. Are A and B in the order "
        "(d_in, r) and (r, d_out)?",
    ),
)


# count_trainable


@dataclass(frozen=True)
class _Sizes:
    """A small language model: which parts are trained, and whether its head is its token table."""

    V: int = 7
    C: int = 4
    trained: tuple[str, ...] = ("adapter",)
    tied: bool = True
    shared: bool = False
    own: bool = False


def _counted_model(sizes):
    """torch.nn.Module with a table, a layer, an adapter, a head and two buffers."""
    import torch
    from torch import nn

    V, C = sizes.V, sizes.C
    model = nn.Module()
    model.table, model.layer, model.head = nn.Embedding(V, C), nn.Linear(C, 3 * C), nn.Linear(C, V, bias=False)
    model.adapter = nn.ParameterDict({"A": nn.Parameter(torch.ones(C, 2)), "B": nn.Parameter(torch.zeros(2, 3 * C))})
    model.register_buffer("mask", torch.ones(5, 5).tril())
    model.layer.register_buffer("size", torch.tensor(1.0))
    if sizes.tied:
        model.head.weight = model.table.weight
    if sizes.own:
        model.gain = nn.Parameter(torch.ones(C, 3))  # held by the model itself, in none of its parts
    if sizes.shared:
        model.again = model.layer  # one module, reached in two ways
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(sizes.trained))
    return model


def _count_case(**how):
    return (_counted_model(_Sizes(**how)),)


def _count_sample(rng):
    parts = np.array(["table", "layer.weight", "layer.bias", "adapter", "head"])
    trained = tuple(parts[rng.random(5) < 0.5])
    return _count_case(
        V=int(rng.integers(5, 12)), C=int(rng.integers(2, 7)), trained=trained,
        tied=bool(rng.random() < 0.5), shared=bool(rng.random() < 0.5), own=bool(rng.random() < 0.5),
    )  # fmt: skip


def _count_oracle(V=7, C=4, trained=("adapter",), tied=True, shared=False, own=False):
    """From the sizes alone."""
    parts = {"table": V * C, "layer.weight": 3 * C * C, "layer.bias": 3 * C, "adapter": 8 * C}
    if not tied:
        parts["head"] = V * C
    if own:
        parts["gain"] = 3 * C
    return sum(n for name, n in parts.items() if name.startswith(tuple(trained))), sum(parts.values())


def _expect_count(attempt, why, **how):
    attempt.expect(_count_case(**how), _count_oracle(**how), why)


def _check_count_adapter(attempt):
    why = "Table 7 x 4, which is the head as well; layer 4 x 12 and 12; A 4 x 2 and B 2 x 12, which alone are trained."
    _expect_count(attempt, why)


def _check_count_untied(attempt):
    _expect_count(attempt, "Here the head has a matrix of its own.", tied=False, C=5)
    _expect_count(attempt, "The table is the head, and it is trained.", trained=("table",), V=9)


def _check_count_all_or_nothing(attempt):
    _expect_count(attempt, "Nothing is trained.", trained=("nothing",))
    _expect_count(attempt, "Everything is trained.", trained=("",), tied=False)


def _check_count_parts(attempt):
    rng = np.random.default_rng(10)
    for trained in (("layer",), ("layer.bias", "adapter.B"), ("head", "adapter"), ("layer.weight",)):
        how = {"V": int(rng.integers(5, 9)), "C": int(rng.integers(2, 6)), "trained": trained, "tied": False}
        parts = {"layer": 3 * how["C"] ** 2 + 3 * how["C"], "layer.bias": 3 * how["C"], "adapter.B": 6 * how["C"],
                 "head": how["V"] * how["C"], "adapter": 8 * how["C"], "layer.weight": 3 * how["C"] ** 2}  # fmt: skip
        expected = sum(parts[name] for name in trained), _count_oracle(**how)[1]
        attempt.expect(_count_case(**how), expected, f"Only {' and '.join(trained)} are trained.")


def _check_count_shared(attempt):
    why = "model.again and model.layer are one and the same layer."
    _expect_count(attempt, why, shared=True, trained=("layer", "adapter"))


def _check_count_own(attempt):
    for trained in (("gain", "adapter"), ("layer",)):
        _expect_count(attempt, "The model holds a parameter itself, `gain`: 4 x 3.", own=True, trained=trained)


def _count_probes():
    return [
        _count_case(V=6, C=2, trained=("gain", "table"), own=True),
        _count_case(V=11, C=3, trained=("table", "adapter"), shared=True),
        _count_case(V=6, C=5, trained=("layer", "head"), tied=False),
        _count_case(V=8, C=4),
    ]


def _both(count, parameters=lambda model: model.parameters()):
    """Trained and total, with another count of a parameter or other parameters."""

    def wrong(model):
        found = list(parameters(model))
        return sum(count(p) for p in found if p.requires_grad), sum(count(p) for p in found)

    return wrong


def _every_name(model):
    return (p for _, p in model.named_parameters(remove_duplicate=False))


def _of_children(model):
    return list(dict.fromkeys(p for child in model.children() for p in child.parameters()))


def _state_total(model):
    return count_trainable(model)[0], sum(t.numel() for t in model.state_dict().values())


def _with_buffers(model):
    trained, total = count_trainable(model)
    return trained, total + sum(b.numel() for b in model.buffers())


def _frozen(model):
    trained, total = count_trainable(model)
    return total - trained


_COUNT_MISCONCEPTIONS = (
    Misconception(
        "tensors_counted",
        _both(lambda p: 1),
        "You count tensors. How many numbers does a tensor hold?",
    ),
    Misconception(
        "frozen_ones_counted_as_trained",
        lambda model: (count_trainable(model)[1],) * 2,
        "Your two counts are always equal. By what does a parameter say whether it is trained?",
        also=(lambda model: (count_trainable(model)[0],) * 2,),
    ),
    Misconception(
        "frozen_instead_of_trained",
        lambda model: (_frozen(model), count_trainable(model)[1]),
        "Your first number is that of the frozen ones.",
    ),
    Misconception(
        "total_without_trained",
        lambda model: (count_trainable(model)[0], _frozen(model)),
        "Your second number leaves out what is trained. Both kinds belong to the total.",
    ),
    Misconception(
        "order_exchanged",
        lambda model: count_trainable(model)[::-1],
        "The right two numbers, in the wrong order: trained first.",
    ),
    Misconception(
        "shared_counted_twice",
        _both(lambda p: p.numel(), _every_name),
        "A matrix that stands in two places is counted twice. Which method gives every parameter once?",
        also=(
            lambda model: (count_trainable(model)[0], _both(lambda p: p.numel(), _every_name)(model)[1]),
            _state_total,
        ),
    ),
    Misconception(
        "own_parameters_missed",
        _both(lambda p: p.numel(), _of_children),
        "You look into the parts of the model only. A module can hold parameters itself, as LoRALinear holds A and B: which "
        "method gives them all?",
    ),
    Misconception(
        "buffers_counted",
        _with_buffers,
        "Your total counts buffers, such as the mask. Which of a module's tensors could be trained at all?",
    ),
    Misconception(
        "biases_left_out",
        _both(lambda p: p.numel() * (p.ndim > 1)),
        "Your counts leave out the biases. They are parameters like all others.",
    ),
    Misconception(
        "rows_counted",
        _both(len),
        "len of a matrix is the number of its rows. What gives the number of all its entries?",
        also=(_both(lambda p: p.shape[-1]),),
    ),
    Misconception(
        "bytes_counted",
        _both(lambda p: 4 * p.numel()),
        "These are bytes: each number takes four. Count the numbers.",
    ),
)


# adapter_is_sound

SOUND = ("right", "rounded", "only_B")
UNSOUND = (
    "random_start", "slight_start", "one_output", "dead", "all_frozen", "only_A", "base_trained", "bias_trained",
    "base_written", "layer_changed",
)  # fmt: skip


@dataclass(frozen=True)
class Wrap:
    """Puts an adapter around a Linear or a Conv1D; `kind` says how well it is made."""

    kind: str
    seed: int = 0

    def __call__(self, layer):
        import torch
        from torch import nn

        kind, generator = self.kind, torch.Generator().manual_seed(self.seed)
        (d_out,) = layer.bias.shape
        d_in = layer.weight.numel() // d_out
        A, B = torch.rand(d_in, 2, generator=generator) + 0.5, torch.zeros(2, d_out)
        if kind in ("random_start", "slight_start"):
            B += (torch.rand(2, d_out, generator=generator) + 0.5) * (1.0 if kind == "random_start" else 1e-3)
        if kind == "one_output":
            B[:, -1] = 0.7
        if kind == "dead":
            A.zero_()
        if kind == "layer_changed":
            layer.weight.data.mul_(1.5)
        layer.weight.requires_grad_(kind == "base_trained")
        layer.bias.requires_grad_(kind in ("base_trained", "bias_trained"))

        class Adapter(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = layer
                self.A = nn.Parameter(A, requires_grad=kind not in ("only_B", "all_frozen"))
                self.B = nn.Parameter(B, requires_grad=kind not in ("only_A", "all_frozen"))

            def forward(self, x):
                y = self.layer(x) + x @ self.A @ self.B
                if kind == "base_written":
                    with torch.no_grad():
                        self.layer.weight.mul_(1.1)
                return y * (1 + 4e-7) if kind == "rounded" else y

        return Adapter()

    def __repr__(self):
        return f"<a way to adapt a layer: {self.kind}>"


def _sound_case(rng, kind, N=5, d_in=4, d_out=3, conv=False):
    import torch

    if conv:
        from transformers.pytorch_utils import Conv1D

        layer = Conv1D(d_out, d_in)
    else:
        layer = torch.nn.Linear(d_in, d_out)
    with torch.no_grad():
        layer.weight.copy_(_tensor(rng, *layer.weight.shape) + 0.1)
        layer.bias.copy_(_tensor(rng, d_out) + 0.1)
    return Wrap(kind, int(rng.integers(1000))), layer, _tensor(rng, N, d_in)


def _sound_sample(rng):
    kind = str(rng.choice(SOUND + UNSOUND))
    sizes = (int(rng.integers(low, high)) for low, high in ((2, 6), (2, 5), (2, 5)))
    return _sound_case(rng, kind, *sizes, conv=bool(rng.integers(2)))


def _check_sound(kinds, right, why, all_sizes=((5, 4, 3), (3, 2, 5)), conv=False):
    def check(attempt):
        rng = np.random.default_rng(11)
        for kind in kinds:
            for sizes in all_sizes:
                attempt.expect(_sound_case(rng, kind, *sizes, conv=conv), right, why)

    return check


_check_sound_right = _check_sound(("right", "only_B"), True, "This adapter is sound.")
_check_sound_rounded = _check_sound(
    ("rounded",), True, "This adapter is sound; its output differs in the sixth digit, as rounding may."
)
_check_sound_start = _check_sound(
    ("random_start", "one_output", "slight_start", "layer_changed"),
    False,
    "With this adapter the output is another at the start already.",
)
_check_sound_learns = _check_sound(("dead", "all_frozen", "only_A"), False, "This adapter can't learn anything.")
_check_sound_base = _check_sound(
    ("base_trained", "bias_trained", "base_written"), False, "Training this adapter changes the layer itself."
)
_CONV = ((5, 4, 4), (4, 2, 5))
_check_sound_conv = _check_sound(("right", "only_B"), True, "This adapter of a Conv1D is sound.", _CONV, conv=True)
_check_sound_conv_faults = _check_sound(UNSOUND, False, "This adapter of a Conv1D is faulty.", _CONV, conv=True)


def _sound_probes():
    rng = np.random.default_rng(12)
    linear = [_sound_case(rng, kind) for kind in SOUND + UNSOUND]
    return linear + [_sound_case(rng, kind, 5, 4, 4, conv=True) for kind in SOUND + UNSOUND]


def _sound_test(
    start=lambda a, b: (a - b).abs().max() < 1e-5,
    copied_first=True,
    kept=lambda now, old: all(bool((p == q).all()) for p, q in zip(now.parameters(), old.parameters())),
    learns=True,
    empty=False,
    plain=lambda layer, x: layer(x),
    loss=lambda y, old: (y - 1).square().mean(),
    optimizer="SGD",
    moved=lambda out, old, trained, begun: bool((out - old).abs().max() > 1e-5),
):
    """The right test with a part of it changed: how outputs and layers are compared, when the layer
    is copied, whether learning is looked at, what holds where nothing is trained, how the plain
    output is computed, which loss is trained on and by what, and what counts as having moved."""

    def wrong(wrap, layer, x):
        import torch

        before = copy.deepcopy(layer) if copied_first else None
        net = wrap(layer)
        before = before or copy.deepcopy(layer)
        old = plain(before, x).detach()
        if start and not bool(start(net(x), old)):
            return False
        trained = [p for p in net.parameters() if p.requires_grad]
        if not trained:
            return empty
        begun = [p.detach().clone() for p in trained]
        steps = getattr(torch.optim, optimizer)(trained, lr=0.1)
        for _ in range(3):
            steps.zero_grad()
            y = net(x)
            if not y.requires_grad:
                return False
            loss(y, old).backward()
            steps.step()
        return (not learns or moved(net(x), old, trained, begun)) and (kept is None or bool(kept(layer, before)))

    return wrong


def _flags_only(wrap, layer, x):
    before = layer(x)
    net = wrap(layer)
    same = bool((net(x) - before).abs().max() < 1e-5)
    return same and not any(p.requires_grad for p in layer.parameters())


def _start_only(wrap, layer, x):
    before = layer(x)
    return bool((wrap(layer)(x) - before).abs().max() < 1e-5)


_SOUND_MISCONCEPTIONS = (
    Misconception(
        "answer_turned_round",
        lambda wrap, layer, x: not adapter_is_sound(wrap, layer, x),
        "You answer True for the faulty adapters. What does the name of the test promise?",
    ),
    Misconception(
        "only_the_start",
        _start_only,
        "You look at the start only. An adapter that can never learn, or one that trains the layer "
        "itself, passes your test.",
    ),
    Misconception(
        "only_flags_read",
        _flags_only,
        "You read requires_grad and never train. Weights can be changed without a gradient, and an "
        "adapter with a flag can still be unable to learn.",
    ),
    Misconception(
        "start_not_checked",
        _sound_test(start=None),
        "You never compare the first output with that of the plain layer.",
    ),
    Misconception(
        "compared_too_late",
        _sound_test(copied_first=False),
        "You look at the layer after it was wrapped. `wrap` may have changed it: when should you take "
        "your copy?",
    ),
    Misconception(
        "layer_not_checked",
        _sound_test(kept=None),
        "After training you don't look at the layer's own weights.",
    ),
    Misconception(
        "bias_not_checked",
        _sound_test(kept=lambda now, old: bool((now.weight == old.weight).all())),
        "An adapter that trains the layer's bias passes your test.",
    ),
    Misconception(
        "learning_not_checked",
        _sound_test(learns=False),
        "An adapter whose output never moves passes your test.",
        also=(_sound_test(learns=False, empty=True),),
    ),
    Misconception(
        "numbers_moved",
        _sound_test(
            optimizer="AdamW", moved=lambda out, old, trained, begun: any(bool((p != q).any()) for p, q in zip(trained, begun))
        ),
        "You look whether the trained numbers move. AdamW's weight decay moves them even where the output never does: "
        "compare the outputs.",
    ),
    Misconception(
        "nothing_to_train_passes",
        _sound_test(empty=True),
        "An adapter without a single trained parameter passes your test. Can it learn?",
    ),
    Misconception(
        "compared_exactly",
        _sound_test(start=lambda a, b: bool((a == b).all())),
        "You ask for equality to the last bit at the start. Sums may be rounded differently: what is a "
        "sensible tolerance?",
    ),
    Misconception(
        "compared_too_coarsely",
        _sound_test(start=lambda a, b: (a - b).abs().max() < 0.2),
        "A start that is off by a thousandth passes your test. Rounding is about 1e-6: how much do you "
        "let through?",
    ),
    Misconception(
        "one_output_compared",
        _sound_test(start=lambda a, b: (a - b)[:, 0].abs().max() < 1e-5),
        "You compare the first output of each row only.",
    ),
    Misconception(
        "linear_assumed",
        _sound_test(plain=lambda layer, x: x @ layer.weight.T + layer.bias),
        "You compute the plain output from weight and bias, as torch.nn.Linear does. A Conv1D keeps its "
        "weight the other way round. What does layer(x) give?",
    ),
    Misconception(
        "loss_without_gradient",
        _sound_test(loss=lambda y, old: (y - old).square().mean()),
        "You call sound adapters faulty. Do your steps of training move anything? If your loss is the squared "
        "distance from the old output: it has no gradient at the start.",
        also=(_sound_test(loss=lambda y, old: (y - old).square().mean(), optimizer="Adam"),),
    ),
)


EXERCISES = (
    Exercise(
        id="lora.lora_init",
        reference=lora_init,
        difficulty=1,
        minutes=6,
        section="Two thin matrices",
        hints=(
            "A has a row for each number of x and a column for each rank; B has a row for each rank.",
            "torch.rand(d_in, r, generator=generator) lies between 0 and 1. Twice that, minus 1, lies "
            "between -1 and 1.",
            "A = (2 * torch.rand(d_in, r, generator=generator) - 1) / math.sqrt(d_in); "
            "B = torch.zeros(r, d_out)",
        ),
        checks=(
            Check("shapes", _check_init_shapes),
            Check("nothing is added at the start", _check_init_zero),
            Check("bounds", _check_init_bounds),
            Check("three draws", _check_init_looks),
        ),
        misconceptions=_INIT_MISCONCEPTIONS,
        probes=_init_probes,
        sample=_init_sample,
        returns=("draws", "generator"),
        drive=_drawn,
        arguments=lambda d_in, d_out, r, seed: (d_in, d_out, r, _generator(seed)),
    ),
    Exercise(
        id="lora.lora_linear",
        reference=lora_linear,
        difficulty=2,
        minutes=8,
        section="Two thin matrices",
        hints=(
            "Two ways lead from x to the output: through W and b, and through A and then B. Add them.",
            "r is the number of columns of A. Only the second way is scaled, by alpha / r.",
            "x @ W + b + alpha / r * (x @ A @ B)",
        ),
        checks=(
            Check("one row by hand", _check_linear_by_hand),
            Check("random layers, rank by rank", _check_linear_random),
            Check("x with other axes", _check_linear_axes),
            Check("an adapter that adds nothing", _check_linear_fresh),
            Check("gradients", _check_linear_gradient),
        ),
        misconceptions=_LINEAR_MISCONCEPTIONS,
        probes=_linear_probes,
        sample=_linear_sample,
    ),
    Exercise(
        id="lora.count_trainable",
        reference=count_trainable,
        difficulty=1,
        minutes=5,
        section="Into the model",
        returns=("trained", "total"),
        hints=(
            "model.parameters() gives each parameter once, however many names it has.",
            "A parameter is trained if its requires_grad is True, and holds numel() numbers.",
            "total = sum(p.numel() for p in model.parameters()); for `trained` add `if p.requires_grad` "
            "inside the sum.",
        ),
        checks=(
            Check("an adapter", _check_count_adapter),
            Check("tied or not", _check_count_untied),
            Check("nothing and everything", _check_count_all_or_nothing),
            Check("some parts", _check_count_parts),
            Check("a shared layer", _check_count_shared),
            Check("a parameter of its own", _check_count_own),
        ),
        misconceptions=_COUNT_MISCONCEPTIONS,
        probes=_count_probes,
        sample=_count_sample,
    ),
    Exercise(
        id="lora.merge_lora",
        reference=merge_lora,
        difficulty=2,
        minutes=6,
        section="Merged",
        hints=(
            "x W + s x A B = x (W + s A B): what stands in the brackets?",
            "The scale s is the one of lora_linear, alpha / r. Return a new tensor; W itself stays.",
            "W + alpha / A.shape[1] * (A @ B)",
        ),
        checks=(
            Check("two by two", _check_merge_by_hand),
            Check("random matrices, by unit vectors", _check_merge_random),
            Check("the same map", _check_merge_same_map),
            Check("there and back", _check_merge_back),
            Check("a new tensor", _check_merge_new),
        ),
        misconceptions=_MERGE_MISCONCEPTIONS,
        probes=_merge_probes,
        sample=_merge_sample,
    ),
    Exercise(
        id="lora.adapter_is_sound",
        reference=adapter_is_sound,
        difficulty=4,
        minutes=20,
        section="A test for any adapter",
        hints=(
            "Copy the layer before you wrap it (copy.deepcopy). Compare outputs at the start, train a "
            "few steps, compare again.",
            "Train the parameters of the wrapped module that have requires_grad; if there are none, the "
            "answer is False. The loss must have a gradient at the start: the squared distance from 1 has "
            "one, that from the old output has none.",
            "At the end every parameter of `layer` must equal that of your copy, weight and bias, and the "
            "output must have moved by more than 1e-5.",
        ),
        checks=(
            Check("sound adapters", _check_sound_right),
            Check("a sound adapter with rounding", _check_sound_rounded),
            Check("a wrong start", _check_sound_start),
            Check("adapters that can't learn", _check_sound_learns),
            Check("adapters that change the layer", _check_sound_base),
            Check("sound adapters of a Conv1D", _check_sound_conv),
            Check("faulty adapters of a Conv1D", _check_sound_conv_faults),
        ),
        misconceptions=_SOUND_MISCONCEPTIONS,
        probes=_sound_probes,
        sample=_sound_sample,
    ),
)
