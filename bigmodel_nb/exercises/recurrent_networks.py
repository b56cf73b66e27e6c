"""Exercises of lesson 07."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .engine.model import Check, Exercise, Failed, Misconception


def rnn_step(x, h, w_x, w_h, b):
    """One step of a recurrent network (Elman 1990).

    x (B, C), h (B, H), w_x (H, C), w_h (H, H), b (H,): float64 arrays -> new h (B, H)
    """
    return np.tanh(x @ w_x.T + h @ w_h.T + b)


def lstm_step(x, h, c, w_x, w_h, b):
    """One step of an LSTM with a forget gate (Gers, Schmidhuber and Cummins 2000).

    x (B, C), h and c (B, H), w_x (4H, C), w_h (4H, H), b (4H,): torch tensors; the rows of the
    weights belong to i, f, g, o, in this order -> new h, new c, each (B, H)
    """
    i, f, g, o = (x @ w_x.T + h @ w_h.T + b).chunk(4, dim=1)  # each (B, H)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def last_valid_state(outputs, lengths):
    """The output at the last word of each sample; what comes after it is padding.

    outputs (B, T, H): torch tensor; lengths (B,): int64 tensor, 1 to T -> (B, H)
    """
    import torch

    return outputs[torch.arange(len(outputs)), lengths - 1]


def perturbation_test(model, ids):
    """Whether a model mixes the samples of a batch, and whether it reads padding.

    model: function, ids -> logits (B, K); ids (B, T): int array, words 1, 2, ..., then 0 for padding
    (differences below 1e-4 are rounding) -> mixes_samples, reads_padding: two bools
    """
    before = model(ids)
    other_words = np.where(ids > 0, ids % ids.max() + 1, 0)
    mixes = False
    for i in range(len(ids)):
        changed = ids.copy()
        changed[i] = other_words[i]
        moved = np.abs(model(changed) - before) > 1e-4
        mixes = mixes or bool(np.delete(moved, i, axis=0).any())
    longer = np.pad(ids, ((0, 0), (0, 5)))
    return mixes, bool((np.abs(model(longer) - before) > 1e-4).any())


# rnn_step


def _rnn_case(rng, B=None, C=None, H=None, scale=0.7):
    B, C, H = (n or int(rng.integers(1, 5)) for n in (B, C, H))
    return tuple(scale * rng.normal(size=shape) for shape in ((B, C), (B, H), (H, C), (H, H), (H,)))


def _rnn_oracle(x, h, w_x, w_h, b):
    """Number by number."""
    new = np.zeros_like(h)
    for row in range(len(x)):
        for unit in range(len(b)):
            total = float(b[unit])
            total += sum(float(w) * float(v) for w, v in zip(w_x[unit], x[row]))
            total += sum(float(w) * float(v) for w, v in zip(w_h[unit], h[row]))
            new[row, unit] = math.tanh(total)
    return new


def _rnn_run(step, xs, w_x, w_h, b):
    """The state after a whole sequence xs (T, B, C)."""
    h = np.zeros((xs.shape[1], len(b)))
    for x in xs:
        h = step(x, h, w_x, w_h, b)
    return h


def _check_rnn_by_hand(attempt):
    case = (np.array([[1.0, 2.0]]), np.array([[0.5]]), np.array([[1.0, 0.25]]), np.array([[2.0]]), np.array([-1.0]))
    why = "The sum is 1 * 1 + 0.25 * 2 + 2 * 0.5 - 1 = 1.5."
    attempt.expect(case, np.array([[math.tanh(1.5)]]), why)


def _check_rnn_parts(attempt):
    x, h, w_x, w_h, b = _rnn_case(np.random.default_rng(1), 2, 3, 3)
    nothing = [np.zeros_like(a) for a in (x, h, w_x, w_h, b)]
    attempt.expect((x, h, nothing[2], nothing[3], b), np.tanh(np.stack([b, b])), "All weights are 0.")
    why = "The state before is 0, as at the first word."
    attempt.expect((x, nothing[1], w_x, w_h, b), _rnn_oracle(x, nothing[1], w_x, w_h, b), why)
    attempt.expect((nothing[0], h, w_x, w_h, b), _rnn_oracle(nothing[0], h, w_x, w_h, b), "The input is 0.")


def _check_rnn_random(attempt):
    rng = np.random.default_rng(2)
    for B, C, H in ((1, 1, 1), (2, 3, 4), (4, 2, 3), (3, 3, 3), (1, 4, 2), (5, 1, 2)):
        case = _rnn_case(rng, B, C, H)
        attempt.expect(case, _rnn_oracle(*case))


def _check_rnn_large(attempt):
    case = tuple(1000 * a for a in _rnn_case(np.random.default_rng(3), 2, 2, 3))
    attempt.expect(case, _rnn_oracle(*case), "Large sums give 1 and -1, never NaN.")


def _check_rnn_run(attempt):
    rng = np.random.default_rng(4)
    for T in (3, 20):
        _, _, *weights = _rnn_case(rng, 2, 3, 4)
        xs = rng.normal(size=(T, 2, 3))
        h = np.zeros((2, 4))
        for x in xs:
            h = _rnn_oracle(x, h, *weights)
        why = f"This is the state after {T} of your steps."
        attempt.expect((xs, *weights), h, why, drive=_rnn_run)


def _rnn_probes():
    rng = np.random.default_rng(5)
    return [_rnn_case(rng, 2, 3, 3), _rnn_case(rng, 4, 4, 4), _rnn_case(rng, 3, 5, 5)]


_RNN_MISCONCEPTIONS = (
    Misconception(
        "no_tanh",
        lambda x, h, w_x, w_h, b: x @ w_x.T + h @ w_h.T + b,
        "You return the sum itself. Without the tanh the state can grow without bound from word to "
        "word.",
    ),
    Misconception(
        "state_forgotten",
        lambda x, h, w_x, w_h, b: np.tanh(x @ w_x.T + b),
        "The old state has no effect on your result: each word is read as if it were the first.",
    ),
    Misconception(
        "state_weights_not_transposed",
        lambda x, h, w_x, w_h, b: np.tanh(x @ w_x.T + h @ w_h + b),
        "w_h is square, so nothing complains: a row of w_h holds the weights of one new unit. Which "
        "axis must meet h?",
        also=(lambda x, h, w_x, w_h, b: np.tanh(x @ w_x + h @ w_h + b),),
    ),
    Misconception(
        "weights_swapped",
        lambda x, h, w_x, w_h, b: np.tanh(x @ w_h.T + h @ w_x.T + b),
        "The weights have changed places: w_x belongs to the input, w_h to the state.",
    ),
    Misconception(
        "bias_forgotten",
        lambda x, h, w_x, w_h, b: np.tanh(x @ w_x.T + h @ w_h.T),
        "The bias b has no effect on your result.",
        also=(lambda x, h, w_x, w_h, b: np.tanh(x @ w_x.T + h @ w_h.T) + b,),
    ),
    Misconception(
        "tanh_of_each_part",
        lambda x, h, w_x, w_h, b: np.tanh(x @ w_x.T) + np.tanh(h @ w_h.T + b),
        "You take the tanh of the parts and add: the result can leave -1 to 1. First one sum, then "
        "one tanh.",
        also=(
            lambda x, h, w_x, w_h, b: np.tanh(x @ w_x.T) + np.tanh(h @ w_h.T) + b,
            lambda x, h, w_x, w_h, b: np.tanh(x @ w_x.T + b) + h @ w_h.T,
            lambda x, h, w_x, w_h, b: np.tanh(x @ w_x.T + b) + np.tanh(h @ w_h.T),
            lambda x, h, w_x, w_h, b: x @ w_x.T + np.tanh(h @ w_h.T + b),
        ),
    ),
    Misconception(
        "sigmoid_instead_of_tanh",
        lambda x, h, w_x, w_h, b: 1 / (1 + np.exp(-(x @ w_x.T + h @ w_h.T + b))),
        "Your state lies between 0 and 1: that is the sigmoid. tanh gives -1 to 1.",
    ),
    Misconception(
        "relu_instead_of_tanh",
        lambda x, h, w_x, w_h, b: np.maximum(x @ w_x.T + h @ w_h.T + b, 0),
        "Your state is never negative and has no upper bound: that is ReLU, which such a network may "
        "use too, but the formula here has tanh.",
    ),
    Misconception(
        "old_state_added",
        lambda x, h, w_x, w_h, b: h + np.tanh(x @ w_x.T + h @ w_h.T + b),
        "You add the old state to the new one. It enters once, inside the tanh.",
    ),
)


# lstm_step


def _lstm_case(rng, B=None, C=None, H=None, scale=0.8, dtype="float64", gradient=False):
    import torch

    B, C, H = (n or int(rng.integers(1, 5)) for n in (B, C, H))
    shapes = ((B, C), (B, H), (B, H), (4 * H, C), (4 * H, H), (4 * H,))
    arrays = (scale * rng.normal(size=shape) for shape in shapes)
    return tuple(torch.tensor(a, dtype=getattr(torch, dtype), requires_grad=gradient) for a in arrays)


def _lstm_oracle(x, h, c, w_x, w_h, b):
    import torch

    none = torch.zeros_like(b)
    return torch.lstm_cell(x, (h, c), w_x, w_h, b, none)


def _lstm_gradients(step, *case):
    """Gradients of one number, made of both results, for all six arguments."""
    import torch

    leaves = [value.detach().clone().requires_grad_(True) for value in case]
    h, c = step(*leaves)
    weights = torch.linspace(0.5, 2, h.numel(), dtype=h.dtype).view_as(h)
    total = (weights * h + weights.flip(0, 1) * c).sum()
    if not total.requires_grad:
        raise Failed("No gradient reaches the arguments: stay with torch from end to end.")
    total.backward()
    return tuple(torch.zeros_like(v) if v.grad is None else v.grad for v in leaves)


def _lstm_run(step, xs, *weights):
    """Last h and c after a whole sequence xs (T, B, C), from zeros."""
    import torch

    h = c = torch.zeros(xs.shape[1], weights[1].shape[1], dtype=xs.dtype)
    for x in xs:
        h, c = step(x, h, c, *weights)
    return h, c


def _check_lstm_by_hand(attempt):
    import torch

    zero = torch.zeros(1, 1, dtype=torch.float64)
    weights = torch.zeros(4, 1, dtype=torch.float64)
    b = torch.tensor([0.0, math.log(3), 1.0, -math.log(4)], dtype=torch.float64)
    c = 0.75 * 2 + 0.5 * math.tanh(1)
    why = "All weights are 0: i = 1/2, f = 3/4, g = tanh(1), o = 1/5, and the old c is 2."
    expected = (0.2 * torch.tanh(zero + c), zero + c)
    attempt.expect((zero, zero, zero + 2, weights, weights, b), expected, why)


def _check_lstm_gates(attempt):
    """One gate at a time is open or shut by a bias of 50."""
    import torch

    x, h, c, w_x, w_h, _ = _lstm_case(np.random.default_rng(1), 2, 3, 2, scale=0.5)
    on, off = 50.0, -50.0
    for gates, why in (
        ((off, on, 0.3, on), "f is 1 and i is 0: the cell must keep what it holds."),
        ((on, off, 0.3, on), "f is 0 and i is 1: the cell must hold g alone."),
        ((on, on, 0.3, off), "o is 0: the cell keeps its content and shows nothing of it."),
    ):
        b = torch.tensor(gates, dtype=torch.float64).repeat_interleave(2)
        attempt.expect((x, h, c, w_x, w_h, b), _lstm_oracle(x, h, c, w_x, w_h, b), why)


def _check_lstm_random(attempt):
    rng = np.random.default_rng(2)
    for dtype in ("float64", "float32"):
        for B, C, H in ((1, 1, 1), (2, 3, 4), (4, 2, 3), (4, 4, 4), (3, 3, 1)):
            case = _lstm_case(rng, B, C, H, dtype=dtype)
            attempt.expect(case, _lstm_oracle(*case), "Compared with torch.lstm_cell.")


def _check_lstm_gradients(attempt):
    rng = np.random.default_rng(3)
    for shape in ((2, 3, 4), (3, 1, 2)):
        case = _lstm_case(rng, *shape)
        expected = _lstm_gradients(_lstm_oracle, *case)
        why = "This is the gradient that flows back through your step; without it nothing is learned."
        attempt.expect(case, expected, why, drive=_lstm_gradients)


def _check_lstm_run(attempt):
    rng = np.random.default_rng(4)
    for T in (3, 20):
        *_, w_x, w_h, b = _lstm_case(rng, 2, 3, 4)
        case = (_lstm_case(rng, 2 * T, 3, 1)[0].view(T, 2, 3), w_x, w_h, b)
        why = f"These are h and c after {T} of your steps."
        attempt.expect(case, _lstm_run(_lstm_oracle, *case), why, drive=_lstm_run)


def _lstm_probes():
    rng = np.random.default_rng(5)
    return [_lstm_case(rng, 2, 3, 3), _lstm_case(rng, 4, 2, 2)]


def _lstm_with(
    order="ifgo",
    total=lambda x, h, w_x, w_h, b: x @ w_x.T + h @ w_h.T + b,
    split=lambda z: z.chunk(4, dim=1),
    cell=lambda i, f, g, h, c: f.sigmoid() * c + i.sigmoid() * g.tanh(),
    read=lambda o, new, old: o.sigmoid() * new.tanh(),
    returned=lambda h, c: (h, c),
):
    """An LSTM from its parts, so that one of them can be wrong."""

    def step(x, h, c, w_x, w_h, b):
        parts = dict(zip(order, split(total(x, h, w_x, w_h, b))))
        new = cell(parts["i"], parts["f"], parts["g"], h, c)
        return returned(read(parts["o"], new, c), new)

    return step


_LSTM_MISCONCEPTIONS = (
    Misconception(
        "gates_in_another_order",
        _lstm_with("figo"),
        "The four parts are right and their order isn't: the rows belong to i, f, g, o. Papers and "
        "libraries differ here, and no shape complains.",
        also=tuple(map(_lstm_with, ("ifog", "fgio", "iogf", "oifg", "figo"[::-1], "fiog", "igfo", "gifo"))),
    ),
    Misconception(
        "gates_interleaved",
        _lstm_with(split=lambda z: z.view(len(z), -1, 4).unbind(2)),
        "You read every fourth row as one gate. The rows come in four blocks: first all H of i, then "
        "all of f, then g, then o.",
    ),
    Misconception(
        "no_tanh_at_the_output",
        _lstm_with(read=lambda o, new, old: o.sigmoid() * new),
        "c is right; h lets the cell through as it is. What keeps h between -1 and 1?",
        also=(_lstm_with(read=lambda o, new, old: o.sigmoid() * new.sigmoid()),),
    ),
    Misconception(
        "old_cell_read_out",
        _lstm_with(read=lambda o, new, old: o.sigmoid() * old.tanh()),
        "c is right; h shows the cell as it was before this word. Which of the two lines comes first?",
    ),
    Misconception(
        "candidate_with_sigmoid",
        _lstm_with(cell=lambda i, f, g, h, c: f.sigmoid() * c + i.sigmoid() * g.sigmoid()),
        "Your g lies between 0 and 1, so the cell could only ever grow. g is content, not a gate.",
        also=(_lstm_with(cell=lambda i, f, g, h, c: f.sigmoid() * c + i.sigmoid() * g),),
    ),
    Misconception(
        "forget_means_erase",
        _lstm_with(cell=lambda i, f, g, h, c: (1 - f.sigmoid()) * c + i.sigmoid() * g.tanh()),
        "Your cell is erased where f is 1. In spite of its name, f is the share that is kept.",
    ),
    Misconception(
        "coupled_gates",
        _lstm_with(cell=lambda i, f, g, h, c: f.sigmoid() * c + (1 - f.sigmoid()) * g.tanh()),
        "You write with 1 - f, and i has no effect. That is a variant; here i and f are two gates of "
        "their own.",
        also=(_lstm_with(cell=lambda i, f, g, h, c: (1 - i.sigmoid()) * c + i.sigmoid() * g.tanh()),),
    ),
    Misconception(
        "cell_squashed",
        _lstm_with(
            cell=lambda i, f, g, h, c: (f.sigmoid() * c + i.sigmoid() * g.tanh()).tanh(),
            read=lambda o, new, old: o.sigmoid() * new,
        ),
        "Your c goes through a tanh at every word, which would shrink it and its gradient each time. "
        "Only what h shows is squashed; c itself is handed on as it is.",
        also=(_lstm_with(cell=lambda i, f, g, h, c: (f.sigmoid() * c + i.sigmoid() * g.tanh()).tanh()),),
    ),
    Misconception(
        "output_in_place_of_cell",
        _lstm_with(cell=lambda i, f, g, h, c: f.sigmoid() * h + i.sigmoid() * g.tanh()),
        "The forget gate acts on h in your code, and the old c has no effect. The memory is c.",
    ),
    Misconception(
        "gates_without_sigmoid",
        _lstm_with(cell=lambda i, f, g, h, c: f * c + i * g.tanh(), read=lambda o, new, old: o * new.tanh()),
        "Your gates are any numbers. A gate is a share, from 0 to 1: what makes it one?",
        also=(
            _lstm_with(
                cell=lambda i, f, g, h, c: f.tanh() * c + i.tanh() * g.tanh(),
                read=lambda o, new, old: o.tanh() * new.tanh(),
            ),
        ),
    ),
    Misconception(
        "gates_blind_to_the_state",
        _lstm_with(total=lambda x, h, w_x, w_h, b: x @ w_x.T + b),
        "h and w_h have no effect on your gates: they see the word and not what came before it.",
    ),
    Misconception(
        "bias_forgotten",
        _lstm_with(total=lambda x, h, w_x, w_h, b: x @ w_x.T + h @ w_h.T),
        "The bias b has no effect on your result.",
    ),
    Misconception(
        "results_in_the_wrong_order",
        _lstm_with(returned=lambda h, c: (c, h)),
        "Both results are right and stand in the wrong order: h first, then c.",
    ),
)


# last_valid_state


def _last_case(rng, B=None, T=None, H=None, longest=None, dtype="float64"):
    import torch

    B, T, H = B or int(rng.integers(1, 5)), T or int(rng.integers(1, 7)), H or int(rng.integers(1, 4))
    outputs = torch.tensor(rng.normal(size=(B, T, H)), dtype=getattr(torch, dtype))
    return outputs, torch.tensor(rng.integers(1, (longest or T) + 1, size=B))


def _last_oracle(outputs, lengths):
    import torch

    return torch.stack([row[n - 1] for row, n in zip(outputs, lengths.tolist())])


def _last_gradient(work, outputs, lengths):
    """Gradient of the squared results for all outputs."""
    outputs = outputs.detach().clone().requires_grad_(True)
    result = work(outputs, lengths)
    if not getattr(result, "requires_grad", False):
        raise Failed("No gradient reaches the outputs: stay with torch, and copy nothing by .item() or .numpy().")
    (result**2).sum().backward()
    return outputs.grad


def _check_last_by_hand(attempt):
    import torch

    outputs = torch.arange(12.0).view(2, 3, 2)
    why = "The first text has 2 words, the second 3."
    attempt.expect((outputs, torch.tensor([2, 3])), torch.tensor([[2.0, 3.0], [10.0, 11.0]]), why)


def _check_last_edges(attempt):
    import torch

    rng = np.random.default_rng(1)
    for B, T, lengths in ((3, 4, [4, 4, 4]), (3, 4, [1, 1, 1]), (1, 5, [3]), (2, 1, [1, 1]), (4, 4, [1, 2, 3, 4])):
        outputs, _ = _last_case(rng, B, T, 2)
        lengths = torch.tensor(lengths)
        attempt.expect((outputs, lengths), _last_oracle(outputs, lengths), f"lengths is {lengths.tolist()}.")


def _check_last_random(attempt):
    rng = np.random.default_rng(2)
    for dtype in ("float32", "float64") * 5:
        case = _last_case(rng, dtype=dtype)
        attempt.expect(case, _last_oracle(*case))


def _check_last_padding(attempt):
    """Whatever stands at the padding has no effect, NaN neither."""
    outputs, lengths = _last_case(np.random.default_rng(3), 4, 5, 2, longest=4)
    expected = _last_oracle(outputs, lengths)
    for row, n in enumerate(lengths.tolist()):
        outputs[row, n:] = math.nan
    attempt.expect((outputs, lengths), expected, "Here the outputs at the padding are NaN. 0 times NaN is NaN: choose, don't multiply.")


def _check_last_gradient(attempt):
    case = _last_case(np.random.default_rng(4), 3, 4, 2)
    why = "This is the gradient for the outputs: only the chosen places get one."
    attempt.expect(case, _last_gradient(_last_oracle, *case), why, drive=_last_gradient)


def _last_probes():
    import torch

    rng = np.random.default_rng(5)
    cases = [(3, 6, [2, 5, 4]), (4, 4, [1, 4, 2, 3]), (2, 7, [3, 5])]
    return [(_last_case(rng, B, T, 3)[0], torch.tensor(lengths)) for B, T, lengths in cases]


def _valid(outputs, lengths):
    """1 at words, 0 at padding: (B, T, 1)."""
    import torch

    return (torch.arange(outputs.shape[1])[None] < lengths[:, None]).to(outputs.dtype)[..., None]


def _rows(lengths):
    import torch

    return torch.arange(len(lengths))


_LAST_MISCONCEPTIONS = (
    Misconception(
        "last_column",
        lambda outputs, lengths: outputs[:, -1],
        "You take the last place of every row. For a shorter text that is padding, not its last word: "
        "which place does lengths name?",
        also=(lambda outputs, lengths: outputs[:, -1] * _valid(outputs, lengths)[:, -1],),
    ),
    Misconception(
        "one_place_beyond",
        lambda outputs, lengths: outputs[_rows(lengths), lengths],
        "You are one place beyond the last word: a text of n words has its last at place n - 1.",
        also=(
            lambda outputs, lengths: outputs[_rows(lengths), lengths.clamp(max=outputs.shape[1] - 1)],
            lambda outputs, lengths: outputs[_rows(lengths), lengths % outputs.shape[1]],
        ),
    ),
    Misconception(
        "one_place_early",
        lambda outputs, lengths: outputs[_rows(lengths), (lengths - 2).clamp(min=0)],
        "You stop one place before the last word.",
        also=(lambda outputs, lengths: outputs[_rows(lengths), lengths - 2],),
    ),
    Misconception(
        "one_place_for_all",
        lambda outputs, lengths: outputs[:, int(lengths.max()) - 1],
        "You take one place for the whole batch. Every text has its own last word.",
        also=(
            lambda outputs, lengths: outputs[:, int(lengths.min()) - 1],
            lambda outputs, lengths: outputs[:, int(lengths[0]) - 1],
        ),
    ),
    Misconception(
        "every_row_with_every_length",
        lambda outputs, lengths: outputs[:, lengths - 1],
        "A slice and an index list give every row at every length: (B, B, H). Two index lists, one of "
        "rows and one of places, are paired one by one.",
    ),
    Misconception(
        "axes_swapped",
        lambda outputs, lengths: outputs.transpose(0, 1)[_rows(lengths), (lengths - 1) % len(lengths)],
        "You read outputs as (T, B, H). Here the samples come first: (B, T, H).",
        also=(lambda outputs, lengths: outputs[lengths - 1, _rows(lengths)],),
    ),
    Misconception(
        "mean_over_the_words",
        lambda outputs, lengths: (outputs * _valid(outputs, lengths)).sum(1) / lengths[:, None],
        "You average over the words. That is a good summary too, but the task is the state after the "
        "last word.",
        also=(
            lambda outputs, lengths: (outputs * _valid(outputs, lengths)).sum(1),
            lambda outputs, lengths: outputs.mean(1),
        ),
    ),
    Misconception(
        "padding_taken_for_the_front",
        lambda outputs, lengths: outputs[_rows(lengths), outputs.shape[1] - lengths],
        "You count from the end of the row. That would fit padding in front; here it comes after the "
        "words.",
        also=(lambda outputs, lengths: outputs[_rows(lengths), outputs.shape[1] - 1 - lengths],),
    ),
    Misconception(
        "first_state",
        lambda outputs, lengths: outputs[:, 0],
        "You take the state after the first word of each text.",
    ),
)


# perturbation_test: the learner's test is tried on models whose faults are known


def _last_word(states, ids):
    return states[np.arange(len(ids)), np.maximum((ids > 0).sum(1), 1) - 1]


def _mean_of_words(states, ids):
    words = (ids > 0)[..., None]
    return (states * words).sum(1) / np.maximum(words.sum(1), 1)


_POOLS: dict[str, Callable] = {
    "last word": _last_word,
    "mean of words": _mean_of_words,
    "last column": lambda states, ids: states[:, -1],
    "mean of all": lambda states, ids: states.mean(1),
    "words over T": lambda states, ids: (states * (ids > 0)[..., None]).mean(1),
}


def _from_row(shift):
    """Each row gets a share of the row `shift` before it (after it, if negative); none at the edge."""

    def mix(logits, T):
        mixed = logits.copy()
        if shift > 0:
            mixed[shift:] += 0.5 * logits[:-shift]
        else:
            mixed[:shift] += 0.5 * logits[-shift:]
        return mixed

    return mix


_MIXES: dict[str, Callable] = {
    "apart": lambda logits, T: logits,
    "rounding": lambda logits, T: logits + 4e-5 * np.sin(100 * logits.sum() + T),
    "carried on": lambda logits, T: np.cumsum(logits, axis=0),
    "the row before": _from_row(1),
    "the row after": _from_row(-1),
    "two rows before": _from_row(2),
    "mean of the batch": lambda logits, T: logits - logits.mean(0),
}
_FAULTLESS = ("apart", "rounding", "last word", "mean of words")


@dataclass(frozen=True)
class Reader:
    """A tiny network from ids (B, T) to logits (B, 2), with known faults.

    reads: what of a row is summed up; gets: what a row's logits take from others; memory: weight of
    the old state; size: of the logits.
    """

    reads: str = "last word"
    gets: str = "apart"
    memory: float = 0.8
    size: float = 1.0
    seed: int = 0

    def __call__(self, ids):
        ids, rng = np.asarray(ids), np.random.default_rng(self.seed)
        table = rng.normal(size=(60, 3))  # row 0 belongs to padding and isn't 0
        w_h, w_out = rng.normal(size=(3, 3)), rng.normal(size=(3, 2))
        h, states = np.zeros((len(ids), 3)), []
        for column in ids.T:
            h = np.tanh(table[column] + self.memory * h @ w_h)
            states.append(h)
        summary = _POOLS[self.reads](np.stack(states, axis=1), ids)
        return _MIXES[self.gets](self.size * summary @ w_out, ids.shape[1])

    @property
    def faults(self) -> tuple[bool, bool]:
        return self.gets not in _FAULTLESS, self.reads not in _FAULTLESS


@dataclass(frozen=True)
class Constant:
    """Ignores what it is given."""

    faults = (False, False)

    def __call__(self, ids):
        return np.full((len(ids), 2), 0.5)


@dataclass(frozen=True)
class Penalty:
    """Counts words other than the first; each place of a row, padding too, lowers its one logit."""

    faults = (False, True)

    def __call__(self, ids):
        ids = np.asarray(ids)
        return (ids > 1).sum(1, keepdims=True) - 0.01 * ids.shape[1]


def _ids(rng, B, T, lengths=None):
    """A batch of random words, at least two different ones, padded with 0."""
    ids = rng.integers(1, 10, size=(B, T))
    ids[:, 0] = 1 + np.arange(B) % 9
    lengths = rng.integers(1, T + 1, size=B) if lengths is None else np.asarray(lengths)
    return np.where(np.arange(T) < lengths[:, None], ids, 0)


def _plain_bools(test, model, ids):
    """The two verdicts; NumPy's bools count as Python's."""
    result = test(model, ids)
    if isinstance(result, tuple):
        return tuple(bool(v) if isinstance(v, np.bool_) else v for v in result)
    return result


def _try_on(attempt, models, why, rng, shapes=((3, 5), (4, 3), (5, 7))):
    for number, model in enumerate(models):
        for B, T in shapes:
            for longest in (T, max(T - 2, 1)):  # without and with columns of nothing but padding
                lengths = rng.integers(1, longest + 1, size=B)
                lengths[(B + number) % B] = longest
                attempt.expect((model, _ids(rng, B, T, lengths)), model.faults, f"{why} {model}")


def _check_faultless(attempt):
    models = (
        Reader(), Reader("mean of words", seed=1), Reader(size=0.05, seed=2), Reader(memory=0.0, seed=3),
        Constant(), Reader(gets="rounding", seed=4),
    )  # fmt: skip
    _try_on(attempt, models, "This model has neither fault:", np.random.default_rng(1))


def _check_mixing(attempt):
    rng = np.random.default_rng(2)
    for gets in ("carried on", "the row before", "the row after", "two rows before", "mean of the batch"):
        models = [Reader(gets=gets, seed=5), Reader("mean of words", gets, size=0.05, seed=6)]
        _try_on(attempt, models, "In this model a row gets something of other rows:", rng)
    forgetful = [Reader(gets="the row before", memory=0.0, seed=7), Reader(gets="the row after", memory=0.0, seed=8)]
    why = "This model sees the last word of each row and mixes rows:"
    _try_on(attempt, forgetful, why, rng)
    ids = np.array([[2, 1, 0, 0], [2, 1, 1, 0], [1, 1, 0, 0]])  # every text ends with word 1
    for model in forgetful:
        attempt.expect((model, ids), model.faults, f"{why} {model}")


def _check_padding(attempt):
    reads = ("last column", "mean of all", "words over T")
    # no seed whose state swings between two values at padding: an even number of zeros would hide it
    models = [Reader(what, seed=23, size=size) for what in reads for size in (1.0, 0.1)]
    _try_on(attempt, (*models, Penalty()), "In this model padding changes the answer:", np.random.default_rng(3))


def _check_no_padding(attempt):
    rng = np.random.default_rng(4)
    for model in (Reader(seed=10), Reader("last column", seed=10), Reader("mean of all", seed=11), Penalty()):
        for B, T in ((2, 4), (3, 1), (1, 6)):
            ids = _ids(rng, B, T, [T] * B)
            ids[0, 0], ids[-1, -1] = (1, 2) if B * T > 1 else (1, 1)
            attempt.expect((model, ids), model.faults, f"No row of this batch has any padding yet: {model}")


def _check_both(attempt):
    models = [
        Reader("last column", "the row before", seed=12), Reader("mean of all", "the row after", seed=13),
        Reader("words over T", "mean of the batch", seed=14),
    ]  # fmt: skip
    _try_on(attempt, models, "This model has both faults:", np.random.default_rng(5))


def _perturbation_probes():
    rng = np.random.default_rng(6)
    mixed, tight, full = [4, 2, 3, 1], [5, 2, 4, 3], [5, 5, 5, 5]
    cases = (
        (Reader(), mixed), (Reader("mean of words"), tight), (Reader(gets="rounding"), mixed), (Constant(), tight),
        (Reader(gets="carried on"), tight), (Reader(gets="the row after"), mixed),
        (Reader(gets="two rows before"), tight), (Reader(gets="mean of the batch"), mixed),
        (Reader("last column"), tight), (Reader("mean of all"), full), (Reader("last column", "the row before"), mixed),
        (Reader(gets="the row before", memory=0.0), [5, 3, 4, 2]), (Penalty(), mixed),
        (Reader("words over T", seed=3), tight),
    )  # fmt: skip
    return [(model, _ids(rng, 4, 5, lengths)) for model, lengths in cases]


def _perturbation_sample(rng):
    reads, gets = list(_POOLS)[rng.integers(5)], list(_MIXES)[rng.integers(7)]
    model = Reader(reads, gets, float(rng.choice([0.0, 0.8])), float(rng.choice([0.1, 1.0])), int(rng.integers(50)))
    return model, _ids(rng, int(rng.integers(3, 6)), int(rng.integers(2, 7)))


def _differs(a, b, limit=1e-4):
    return bool((np.abs(a - b) > limit).any())


def _other_words(ids):
    return np.where(ids > 0, ids % ids.max() + 1, 0)


def _mixes_when(changed_rows, watched=lambda i, B: [j for j in range(B) if j != i], limit=1e-4, words=_other_words):
    """Change some rows, one after the other, and watch some rows."""

    def mixes(model, ids):
        before, found = model(ids), False
        for i in changed_rows(len(ids)):
            changed = ids.copy()
            changed[i] = words(ids)[i]
            rows = watched(i, len(ids))
            found = found or _differs(model(changed)[rows], before[rows], limit)
        return found

    return mixes


def _reads_when(change, limit=1e-4):
    return lambda model, ids: _differs(model(change(ids)), model(ids), limit)


def _five_more(ids):
    return np.pad(ids, ((0, 0), (0, 5)))


_EVERY_ROW = _mixes_when(range)


def _verdicts(mixes=_EVERY_ROW, reads=_reads_when(_five_more), returned=lambda mixes, reads: (mixes, reads)):
    """A perturbation test from its parts, so that one of them can be wrong."""
    return lambda model, ids: returned(mixes(model, ids), reads(model, ids))


def _first_words(ids):
    return np.concatenate([_other_words(ids)[:, :1], ids[:, 1:]], axis=1)


def _reversed_batch(model, ids):
    return _differs(model(ids[::-1])[::-1], model(ids))


def _alone_and_cut(model, ids):
    return any(_differs(model(row[None, : (row > 0).sum()])[0], whole) for row, whole in zip(ids, model(ids)))


def _cut(ids):
    return ids[:, : (ids > 0).sum(1).max()]


_PERTURBATION_MISCONCEPTIONS = (
    Misconception(
        "changed_row_counted",
        _verdicts(_mixes_when(range, lambda i, B: range(B))),
        "You also look at the row that you changed. It may move; it is the *other* rows that must not.",
        also=(_verdicts(_mixes_when(range, lambda i, B: [i])),),
    ),
    Misconception(
        "only_first_row_changed",
        _verdicts(_mixes_when(lambda B: [0])),
        "You change row 0 only. In a model where a row gets something of the rows *after* it, row 0 "
        "is the one that nobody sees.",
    ),
    Misconception(
        "only_last_row_changed",
        _verdicts(_mixes_when(lambda B: [B - 1])),
        "You change the last row only. A network that takes the rows for time steps carries things "
        "forward, so the last row reaches nobody.",
    ),
    Misconception(
        "only_the_neighbour_watched",
        _verdicts(_mixes_when(lambda B: [0], lambda i, B: [1] if B > 1 else [])),
        "You change row 0 and look at row 1. What of a model in which row 2 gets something of row 0?",
    ),
    Misconception(
        "order_of_the_batch_only",
        _verdicts(_reversed_batch),
        "You only bring the rows into another order. A model that subtracts the mean of the batch "
        "doesn't notice; change what a row says.",
        also=(_verdicts(lambda model, ids: _differs(model(np.roll(ids, 1, axis=0)), np.roll(model(ids), 1, axis=0))),),
    ),
    Misconception(
        "rounding_called_a_fault",
        _verdicts(_mixes_when(range, limit=0), _reads_when(_five_more, 0)),
        "You compare exactly, or nearly so. A batch of another size or shape is rounded differently: "
        "below 1e-4 is no fault here.",
        also=(_verdicts(_mixes_when(range, limit=1e-6), _reads_when(_five_more, 1e-6)),),
    ),
    Misconception(
        "one_word_changed",
        _verdicts(_mixes_when(range, words=_first_words)),
        "You change the first word of a row. A model may have forgotten it by the end, and mix rows "
        "all the same: change every word.",
    ),
    Misconception(
        "padding_put_in_front",
        _verdicts(reads=_reads_when(lambda ids: np.pad(ids, ((0, 0), (5, 0))))),
        "You put padding in front of the words. These models are promised padding at the end, and a "
        "right one may fail on yours.",
    ),
    Misconception(
        "padding_overwritten",
        _verdicts(reads=_reads_when(lambda ids: np.where(ids > 0, ids, 1))),
        "You write words over the padding. That is a longer text, whose answer may change, and a batch "
        "without padding shows nothing. Let the words stay and the padding grow.",
    ),
    Misconception(
        "padding_cut_off",
        _verdicts(reads=_reads_when(_cut)),
        "You cut off the columns that hold nothing but padding. Where there are none, nothing is "
        "tested. Add some.",
    ),
    Misconception(
        "padding_fault_called_mixing",
        _verdicts(_alone_and_cut),
        "You run a row alone and without its padding. Two things changed at once, so a model that "
        "reads padding seems to mix samples.",
    ),
    Misconception(
        "verdicts_swapped",
        _verdicts(returned=lambda mixes, reads: (reads, mixes)),
        "Both verdicts are right and stand in the wrong order: mixes_samples first, then reads_padding.",
    ),
    Misconception(
        "true_means_fine",
        _verdicts(returned=lambda mixes, reads: (not mixes, not reads)),
        "Your True says that all is well. Here it says that the fault is there.",
    ),
    Misconception(
        "one_verdict_for_both",
        _verdicts(returned=lambda mixes, reads: (mixes or reads, mixes or reads)),
        "Your two verdicts are always the same. A model can have one fault without the other, and the "
        "repair differs.",
    ),
    Misconception(
        "nothing_found",
        _verdicts(returned=lambda mixes, reads: (False, False)),
        "Your test finds no fault in any model. Is the changed batch the one that you pass on? "
        "`changed = ids` makes no copy, only a second name.",
    ),
)


EXERCISES = (
    Exercise(
        id="recurrent_networks.rnn_step",
        reference=rnn_step,
        difficulty=1,
        minutes=6,
        section="A state",
        hints=(
            "One sum of three parts, then one tanh. The parts: what the word says, what the state says, and b.",
            "Each new unit has a row of w_x and a row of w_h. So the weights are transposed in x @ w_x.T.",
            "return np.tanh(x @ w_x.T + h @ w_h.T + b)",
        ),
        checks=(
            Check("one number by hand", _check_rnn_by_hand),
            Check("one part at a time", _check_rnn_parts),
            Check("random arrays", _check_rnn_random),
            Check("large numbers", _check_rnn_large),
            Check("a whole sequence", _check_rnn_run),
        ),
        misconceptions=_RNN_MISCONCEPTIONS,
        probes=_rnn_probes,
        sample=_rnn_case,
    ),
    Exercise(
        id="recurrent_networks.lstm_step",
        reference=lstm_step,
        difficulty=3,
        minutes=12,
        section="A cell with gates",
        returns=("h", "c"),
        hints=(
            "First all four at once: one sum as in the recurrent network, of shape (B, 4H). Then cut it "
            "into four parts (B, H) with .chunk(4, dim=1).",
            "Three of the parts are gates and get a sigmoid; g is content and gets a tanh. Then the new "
            "c, and from the new c the new h.",
            "c = f.sigmoid() * c + i.sigmoid() * g.tanh(); return o.sigmoid() * c.tanh(), c",
        ),
        checks=(
            Check("numbers by hand", _check_lstm_by_hand),
            Check("gates open and shut", _check_lstm_gates),
            Check("random tensors", _check_lstm_random),
            Check("gradients", _check_lstm_gradients),
            Check("a whole sequence", _check_lstm_run),
        ),
        misconceptions=_LSTM_MISCONCEPTIONS,
        probes=_lstm_probes,
        sample=_lstm_case,
    ),
    Exercise(
        id="recurrent_networks.last_valid_state",
        reference=last_valid_state,
        difficulty=2,
        minutes=8,
        section="Texts of different length in one batch",
        hints=(
            "Row 0 wants place lengths[0] - 1, row 1 wants lengths[1] - 1, and so on.",
            "Two index tensors of the same length are paired: outputs[rows, places]. rows is 0 to B - 1.",
            "return outputs[torch.arange(len(outputs)), lengths - 1]",
        ),
        checks=(
            Check("by hand", _check_last_by_hand),
            Check("shortest, longest, one row", _check_last_edges),
            Check("random tensors", _check_last_random),
            Check("padding has no effect", _check_last_padding),
            Check("gradients", _check_last_gradient),
        ),
        misconceptions=_LAST_MISCONCEPTIONS,
        probes=_last_probes,
        sample=_last_case,
    ),
    Exercise(
        id="recurrent_networks.perturbation_test",
        reference=perturbation_test,
        difficulty=4,
        minutes=15,
        section="What the articles say",
        returns=("mixes_samples", "reads_padding"),
        hints=(
            "Run the model once as it is. Then change something that must not matter, run it again, and "
            "compare: for mixing, another text in one row, and the *other* rows; for padding, more zeros at the end.",
            "Do the first for every row in turn, on a copy of ids each time. For the second, "
            "np.pad(ids, ((0, 0), (0, 5))) adds five columns of zeros on the right.",
            "before = model(ids); for each i: changed = ids.copy(); changed[i, 0:n] = other words; "
            "moved = np.abs(model(changed) - before) > 1e-4; np.delete(moved, i, axis=0).any() is mixing.",
        ),
        checks=(
            Check("models without a fault", _check_faultless),
            Check("models that mix samples", _check_mixing),
            Check("models that read padding", _check_padding),
            Check("batches without padding", _check_no_padding),
            Check("models with both faults", _check_both),
        ),
        misconceptions=_PERTURBATION_MISCONCEPTIONS,
        probes=_perturbation_probes,
        sample=_perturbation_sample,
        drive=_plain_bools,
    ),
)
