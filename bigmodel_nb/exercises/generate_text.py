"""Exercises of lesson 12."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from .engine.compare import is_tensor
from .engine.model import Check, Exercise, Failed, Misconception


def greedy_step(model, ids):
    """The text with one token more: the most probable one after its last place.

    model: a function from ids (B, T) to logits (B, T, V); ids: int64 tensor (B, T)
    -> int64 tensor (B, T + 1)
    """
    import torch

    logits = model(ids)[:, -1]  # (B, V)
    return torch.cat([ids, logits.argmax(dim=-1, keepdim=True)], dim=1)


def top_k_filter(logits, k):
    """Logits of the k most probable tokens of each row, and minus infinity for all others.

    logits: float tensor (..., V); k: at least 1, may be more than V -> tensor like logits.
    Tokens as probable as the k-th stay, too
    """
    least = logits.topk(min(k, logits.shape[-1])).values[..., -1:]  # (..., 1)
    return logits.masked_fill(logits < least, -math.inf)


def top_p_filter(logits, p):
    """Logits of the nucleus of each row, and minus infinity for all others (Holtzman et al. 2020).

    The nucleus is the smallest set of most probable tokens whose probabilities sum to at least p.
    logits: float tensor (..., V); 0 < p < 1 -> tensor like logits
    """
    ordered, order = logits.sort(descending=True)
    probabilities = ordered.softmax(dim=-1)
    before = probabilities.cumsum(dim=-1) - probabilities  # what the more probable tokens hold
    outside = before >= p
    return logits.masked_fill(outside.scatter(-1, order, outside), -math.inf)


def sample_loop(model, ids, n, temperature, keep, draw):
    """The text with n tokens more, each drawn from the model's distribution and then read.

    model: ids (B, T) -> logits (B, T, V); ids: int64 tensor (B, T); temperature: above 0
    keep: a filter, logits (B, V) -> logits (B, V); it comes after the temperature
    draw: probabilities (B, V) -> a token for each row, int64 (B,)
    -> int64 tensor (B, T + n)
    """
    import torch

    for _ in range(n):
        logits = model(ids)[:, -1] / temperature
        probabilities = keep(logits).softmax(dim=-1)
        ids = torch.cat([ids, draw(probabilities).unsqueeze(1)], dim=1)
    return ids


def repetition_penalty(logits, ids, penalty):
    """Logits in which every token that the text already holds is less probable (Keskar et al. 2019).

    logits: float tensor (B, V); ids: int64 tensor (B, T), the text of each row; penalty: above 1
    -> (B, V): a positive logit is divided by penalty, any other multiplied, each token's only once
    """
    import torch

    scores = logits.gather(1, ids)  # (B, T)
    scores = torch.where(scores > 0, scores / penalty, scores * penalty)
    return logits.scatter(1, ids, scores)


def beam_step(ids, scores, logits, k):
    """The k most probable texts with one token more, best first.

    ids: int64 tensor (H, T), H texts; scores (H,): the log-probability of each; logits (H, V) after
    the last place of each; k: at most H * V -> ids (k, T + 1), scores (k,), of the dtypes that came
    """
    import torch

    total = scores.unsqueeze(1) + logits.log_softmax(dim=-1)  # (H, V)
    best, place = total.flatten().topk(k)
    row, token = place // logits.shape[1], place % logits.shape[1]
    return torch.cat([ids[row], token.unsqueeze(1)], dim=1), best


def is_generation(generate):
    """True if generate(model, ids, n) appends n times the most probable next token, else False.

    generate: a function to be tested, of a model (a function from ids (B, T) to logits (B, T, V)),
    ids int64 (B, T) and n; it should return int64 (B, T + n) and doesn't raise. Model and ids are yours -> bool
    """
    import torch

    def model(ids):  # the next token is a sum over all tokens, each times its place
        places = torch.arange(1, ids.shape[1] + 1)
        wanted = (ids * places).cumsum(dim=1) % 13
        return torch.nn.functional.one_hot(wanted, 13).float()

    ids = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
    for n in (1, 2, 9):
        right = ids
        for _ in range(n):
            right = torch.cat([right, model(right)[:, -1:].argmax(dim=-1)], dim=1)
        if not torch.equal(generate(model, ids.clone(), n), right):
            return False
    return True


# A model in miniature


@dataclass(frozen=True)
class TinyModel:
    """ids (B, T) -> logits (B, T, V); a place reads all tokens up to it, and where each stands."""

    seed: int
    V: int = 7
    size: float = 1.5

    def __call__(self, ids):
        import torch

        rng = np.random.default_rng(self.seed)
        table, among = (torch.tensor(rng.normal(size=(self.V, self.V)), dtype=torch.float32) for _ in range(2))
        places = torch.arange(1, ids.shape[1] + 1).sqrt()[:, None]
        return self.size * (table[ids] + (among[ids] / places).cumsum(1))

    def __repr__(self):
        return f"<a model with {self.V} tokens>"


def _ids(rng, B, T, V):
    import torch

    return torch.tensor(rng.integers(0, V, (B, T)))


def _floats(rng, *shape, scale=2.0, dtype="float32"):
    import torch

    return torch.tensor(rng.normal(size=shape) * scale, dtype=getattr(torch, dtype))


# greedy_step


def _greedy_case(rng, B=2, T=4, V=7):
    return TinyModel(int(rng.integers(10**6)), V), _ids(rng, B, T, V)


def _greedy_sample(rng):
    return _greedy_case(rng, int(rng.integers(1, 4)), int(rng.integers(1, 7)), int(rng.integers(4, 12)))


def _greedy_oracle(model, ids):
    """Row by row, with Python's own max."""
    import torch

    rows = []
    for row in ids:
        logits = model(row[None])[0].tolist()[-1]
        rows.append([*row.tolist(), logits.index(max(logits))])
    return torch.tensor(rows)


def _check_greedy_by_hand(attempt):
    import torch

    class Table:
        def __call__(self, ids):
            rows = torch.tensor([[0.0, 3.0, 1.0], [1.0, 0.0, 3.0], [2.0, 1.0, 0.0]])
            return rows[ids]

        def __repr__(self):
            return "<a model: 1 follows 0, 2 follows 1, 0 follows 2>"

    why = "In this model 1 follows 0, 2 follows 1 and 0 follows 2."
    attempt.expect((Table(), torch.tensor([[0, 0, 1]])), torch.tensor([[0, 0, 1, 2]]), why)
    attempt.expect((Table(), torch.tensor([[2, 1, 0], [0, 1, 2]])), torch.tensor([[2, 1, 0, 1], [0, 1, 2, 0]]), why)


def _check_greedy(shapes, why=""):
    def check(attempt):
        rng = np.random.default_rng(1)
        for B, T, V in shapes:
            case = _greedy_case(rng, B, T, V)
            attempt.expect(case, _greedy_oracle(*case), why)

    return check


def _greedy_probes():
    rng = np.random.default_rng(2)
    return [_greedy_case(rng, B, T, V) for B, T, V in ((3, 4, 9), (2, 6, 8), (3, 5, 11), (2, 4, 12))]


def _cat(*parts):
    import torch

    return torch.cat(parts, dim=1)


def _appended(choose, read=lambda ids: ids, join=_cat):
    """A step from its parts: what the model reads, how logits (B, T, V) become (B, 1), how it is joined."""
    return lambda model, ids: join(ids, choose(model(read(ids))))


def _best(place):
    return lambda z: z[:, place].argmax(-1, keepdim=True)


def _one_for_all(z):
    return z[0, -1].argmax().expand(len(z), 1)


_GREEDY_MISCONCEPTIONS = (
    Misconception(
        "argmax_over_the_prompt",
        lambda model, ids: model(ids).argmax(-1),
        "You took the best token at *every* place of the prompt. All but the last predict tokens that "
        "the prompt already holds: which place speaks about the next one, and what is it added to?",
        also=(lambda model, ids: _cat(ids, model(ids).argmax(-1)),),
    ),
    Misconception(
        "first_place",
        _appended(_best(0)),
        "You read the logits of place 0: they predict the second token. Which place predicts the next "
        "one?",
    ),
    Misconception(
        "one_place_too_early",
        _appended(_best(-2)),
        "The logits at place t predict token t + 1. You took those that predict the *last* token of "
        "the text, which is known.",
    ),
    Misconception(
        "token_without_its_text",
        _appended(_best(-1), join=lambda ids, best: best),
        "Your token is right. What should the model read in the next step?",
        also=(_appended(_best(-1), join=lambda ids, best: best[:, 0]),),
    ),
    Misconception(
        "first_token_dropped",
        _appended(_best(-1), join=lambda ids, best: _cat(ids[:, 1:], best)),
        "Your text stays equally long, since you drop its first token. It should grow by one.",
    ),
    Misconception(
        "last_token_replaced",
        _appended(_best(-1), join=lambda ids, best: _cat(ids[:, :-1], best)),
        "You wrote the new token over the last one. It comes after it.",
    ),
    Misconception(
        "put_in_front",
        _appended(_best(-1), join=lambda ids, best: _cat(best, ids)),
        "You put the new token before the text.",
    ),
    Misconception(
        "only_the_last_token_read",
        _appended(_best(-1), read=lambda ids: ids[:, -1:]),
        "You show the model the last token alone. It should read the whole text.",
    ),
    Misconception(
        "least_probable",
        _appended(lambda z: z[:, -1].argmin(-1, keepdim=True)),
        "You chose the *least* probable token. A larger logit is a larger probability.",
    ),
    Misconception(
        "one_token_for_all_rows",
        _appended(_one_for_all),
        "All rows get the token of the first one. Every text of the batch has its own.",
    ),
)


# top_k_filter


def _top_k_case(rng, *shape, k=2, dtype="float32"):
    return _floats(rng, *shape, dtype=dtype), k


def _top_k_sample(rng):
    shape = [(6,), (3, 5), (2, 3, 7)][rng.integers(3)]
    logits, k = _top_k_case(rng, *shape, k=int(rng.integers(1, shape[-1] + 2)))
    return (logits.round() if rng.random() < 0.3 else logits), k


def _top_k_oracle(logits, k):
    """Each row as a list."""
    import torch

    rows = []
    for row in logits.reshape(-1, logits.shape[-1]).tolist():
        least = sorted(row, reverse=True)[:k][-1]
        rows.append([z if z >= least else -math.inf for z in row])
    return torch.tensor(rows, dtype=logits.dtype).view(logits.shape)


def _check_top_k_by_hand(attempt):
    import torch

    z, none = torch.tensor([[1.0, 4.0, 2.0, 3.0], [0.5, -1.0, -2.0, 0.0]]), -math.inf
    attempt.expect((z, 2), torch.tensor([[none, 4.0, none, 3.0], [0.5, none, none, 0.0]]), "Two tokens of each row stay.")
    attempt.expect((z, 1), torch.tensor([[none, 4.0, none, none], [0.5, none, none, none]]), "k = 1 leaves the best one.")


def _check_top_k_random(attempt):
    rng = np.random.default_rng(3)
    for shape in ((6,), (3, 5), (4, 4), (2, 3, 7), (1, 9)):
        for k in (1, 3):
            for dtype in ("float32", "float64"):
                case = _top_k_case(rng, *shape, k=k, dtype=dtype)
                attempt.expect(case, _top_k_oracle(*case))


def _check_top_k_all(attempt):
    rng = np.random.default_rng(4)
    for k in (5, 6, 50):
        case = _top_k_case(rng, 3, 5, k=k)
        attempt.expect(case, case[0], f"k is {k} and there are 5 tokens: all of them stay.")


def _check_top_k_ties(attempt):
    import torch

    z, none = torch.tensor([[2.0, 1.0, 2.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0, 1.0]]), -math.inf
    why = "Tokens as probable as the k-th stay, too."
    attempt.expect((z, 3), torch.tensor([[2.0, 1.0, 2.0, 1.0, none], [1.0] * 5]), why)
    attempt.expect((z, 1), torch.tensor([[2.0, none, 2.0, none, none], [1.0] * 5]), why)


def _top_k_probes():
    import torch

    rng = np.random.default_rng(5)
    ties = torch.tensor([[2.0, -1.0, 1.0, 3.0, 1.0, -2.0], [0.5, 0.5, -0.5, 0.5, 2.5, -1.5]])
    return [_top_k_case(rng, 4, 6, k=2), _top_k_case(rng, 3, 4, 7, k=3), (ties, 3), _top_k_case(rng, 2, 5, 5, k=1)]


def _kept_where(good, fill=-math.inf):
    """A filter from a rule: good(logits, k) -> bool, True where a logit stays."""
    return lambda logits, k: logits.masked_fill(~good(logits, k), fill)


def _kth(logits, k, dim=-1, largest=True):
    size = logits.shape[dim]
    return logits.topk(min(k, size), dim=dim, largest=largest).values.select(dim, min(k, size) - 1).unsqueeze(dim)


def _in_top_k(logits, k):
    return logits >= _kth(logits, k)


def _exactly_k(logits, k):
    import torch

    order = logits.sort(descending=True, stable=True).indices[..., :k]
    return torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order, True)


_TOP_K_MISCONCEPTIONS = (
    Misconception(
        "zero_for_the_rest",
        _kept_where(_in_top_k, 0.0),
        "A logit of 0 is an ordinary logit; some of those that you keep may be lower. Which logit has "
        "the probability 0?",
    ),
    Misconception(
        "a_large_number_for_infinity",
        _kept_where(_in_top_k, -1e9),
        "You fill with a large negative number. Divided by a temperature or compared with another such "
        "number it may count again; minus infinity never does.",
        also=tuple(_kept_where(_in_top_k, fill) for fill in (-1e4, -100.0, -1e10, -1e30)),
    ),
    Misconception(
        "the_kth_dropped",
        _kept_where(lambda z, k: z > _kth(z, k)),
        "You keep what is larger than the k-th logit. Does the k-th itself stay?",
    ),
    Misconception(
        "one_too_many",
        _kept_where(lambda z, k: z >= _kth(z, k + 1)),
        "You keep k + 1 tokens. At which place, counted from 0, does the k-th stand?",
    ),
    Misconception(
        "one_limit_for_all_rows",
        _kept_where(lambda z, k: z >= _kth(z.flatten(), k)),
        "You keep the k largest of the whole tensor. Every row is a distribution of its own.",
    ),
    Misconception(
        "along_the_wrong_axis",
        _kept_where(lambda z, k: z >= _kth(z, k, 0)),
        "You compare rows with each other. The tokens stand along the last axis.",
        also=(_kept_where(lambda z, k: z >= _kth(z, k, -2)),),
    ),
    Misconception(
        "the_smallest_kept",
        _kept_where(lambda z, k: z <= _kth(z, k, largest=False)),
        "You keep the least probable tokens.",
    ),
    Misconception(
        "the_largest_dropped",
        _kept_where(lambda z, k: z < _kth(z, k)),
        "The k most probable are hidden, and the others stay. Turn your mask round.",
    ),
    Misconception(
        "the_others_cut_off",
        lambda z, k: z.topk(min(k, z.shape[-1])).values,
        "You return k logits. Which token does each belong to? The result has the shape of the logits.",
    ),
    Misconception(
        "left_in_sorted_order",
        lambda z, k: _kept_where(_in_top_k)(z, k).sort(descending=True).values,
        "Your logits are sorted, so they belong to other tokens now.",
    ),
    Misconception(
        "argsort_taken_for_ranks",
        _kept_where(lambda z, k: z.argsort(descending=True) < k),
        "argsort says which token stands at a place of the sorted list; you read it as the place of a "
        "token. Compare with the k-th largest logit instead.",
        also=(_kept_where(lambda z, k: z.argsort() < k),),
    ),
    Misconception(
        "probabilities_returned",
        lambda z, k: _kept_where(_in_top_k)(z, k).softmax(-1),
        "You return probabilities. A filter gives logits, so that another one can follow.",
        also=(lambda z, k: z.softmax(-1).masked_fill(~_in_top_k(z, k), 0.0),),
    ),
    Misconception(
        "equal_ones_dropped",
        _kept_where(_exactly_k),
        "Of tokens as probable as the k-th you keep only some. The docstring lets all of them stay.",
    ),
)


# top_p_filter


def _clear(logits, p):
    """Whether no sum of probabilities comes near p, so that rounding can't decide."""
    sums = logits.double().softmax(-1).sort(descending=True).values.cumsum(-1)
    return bool((sums - p).abs().min() > min(1e-3, (1 - p) / 2))


def _top_p_case(rng, *shape, p=None, dtype="float32", scale=1.5):
    while True:
        logits = _floats(rng, *shape, scale=scale, dtype=dtype)
        chosen = float(rng.uniform(0.1, 0.95)) if p is None else p
        if _clear(logits, chosen):
            return logits, chosen


def _top_p_sample(rng):
    shape = [(6,), (3, 5), (2, 3, 7)][rng.integers(3)]
    return _top_p_case(rng, *shape)


def _top_p_oracle(logits, p):
    """Each row as a list: take the most probable token until p is reached."""
    import torch

    rows = []
    for row in logits.double().reshape(-1, logits.shape[-1]).tolist():
        e = [math.exp(z) for z in row]
        order, total, kept = sorted(range(len(row)), key=lambda i: -row[i]), 0.0, set()
        for i in order:
            kept.add(i)
            total += e[i] / sum(e)
            if total >= p:
                break
        rows.append([z if i in kept else -math.inf for i, z in enumerate(row)])
    return torch.tensor(rows, dtype=logits.dtype).view(logits.shape)


def _check_top_p_by_hand(attempt):
    import torch

    z, none = torch.tensor([0.1, 0.5, 0.1, 0.3]).log(), -math.inf
    for p, kept in ((0.4, [1]), (0.6, [1, 3]), (0.79, [1, 3])):
        expected = torch.full((4,), none).scatter(0, torch.tensor(kept), z[kept])
        attempt.expect((z, p), expected, f"The probabilities are 0.1, 0.5, 0.1 and 0.3; p is {p}.")


def _check_top_p_random(attempt):
    rng = np.random.default_rng(6)
    for shape in ((6,), (3, 5), (4, 4), (2, 3, 7), (1, 9)):
        for dtype in ("float32", "float64") * 2:
            case = _top_p_case(rng, *shape, dtype=dtype)
            attempt.expect(case, _top_p_oracle(*case), f"p is {case[1]:.3f}.")


def _check_top_p_sure(attempt):
    rng = np.random.default_rng(7)
    for _ in range(3):
        logits, p = _top_p_case(rng, 3, 6, p=0.05)
        attempt.expect((logits, p), _top_p_oracle(logits, p), "The best token of each row holds more than p. It stays.")


def _check_top_p_nearly_all(attempt):
    rng = np.random.default_rng(8)
    case = _top_p_case(rng, 3, 6, p=0.9999, scale=0.5)
    attempt.expect(case, case[0], "p is 0.9999 and no token is that rare: all of them stay.")


def _check_top_p_filtered(attempt):
    import torch

    z = torch.tensor([[0.5, -math.inf, 0.2, 0.3], [-math.inf, 0.6, 0.4, -math.inf]])
    z = torch.where(z > 0, z.log(), z)
    case = (z, 0.7)
    attempt.expect(case, _top_p_oracle(*case), "Some logits are minus infinity already.")


def _top_p_probes():
    rng = np.random.default_rng(9)
    return [
        _top_p_case(rng, 3, 6, p=0.6), _top_p_case(rng, 2, 3, 7, p=0.8),
        _top_p_case(rng, 4, 5, p=0.35), _top_p_case(rng, 3, 6, p=0.1),
    ]  # fmt: skip


def _nucleus(
    outside=lambda q, p: q.cumsum(-1) - q >= p,
    weigh=lambda z: z.softmax(-1),
    descending=True,
    back=lambda mask, order: mask.scatter(-1, order, mask),
    fill=-math.inf,
):
    """The filter from its parts; outside(probabilities in order, p) -> bool."""

    def work(logits, p):
        ordered, order = logits.sort(descending=descending)
        return logits.masked_fill(back(outside(weigh(ordered), p), order), fill)

    return work


def _without_crossing(q, p):
    return q.cumsum(-1) > p


def _without_crossing_but_one(q, p):
    mask = q.cumsum(-1) > p
    mask[..., 0] = False
    return mask


def _flat_nucleus(logits, p):
    return _nucleus()(logits.flatten(), p).view(logits.shape)


def _sorted_nucleus(logits, p):
    ordered = logits.sort(descending=True).values
    q = ordered.softmax(-1)
    return ordered.masked_fill(q.cumsum(-1) - q >= p, -math.inf)


def _own_probability(limit):
    def work(logits, p):
        q = logits.softmax(-1)
        return logits.masked_fill(q < limit(q, p), -math.inf)

    return work


def _unsorted(logits, p):
    q = logits.softmax(-1)
    return logits.masked_fill(q.cumsum(-1) - q >= p, -math.inf)


_TOP_P_MISCONCEPTIONS = (
    Misconception(
        "crossing_token_dropped",
        _nucleus(_without_crossing),
        "Your set sums to *less* than p: the token that crosses p belongs to it. A sure model would be "
        "left with no token at all.",
        also=(_nucleus(_without_crossing_but_one),),
    ),
    Misconception(
        "not_sorted",
        _unsorted,
        "You add up in the order of the vocabulary. The nucleus takes the most probable token first.",
    ),
    Misconception(
        "mask_not_put_back",
        _nucleus(back=lambda mask, order: mask),
        "Your mask is in sorted order, your logits in that of the vocabulary. Which token does each "
        "entry of the mask belong to?",
    ),
    Misconception(
        "gathered_instead_of_scattered",
        _nucleus(back=lambda mask, order: mask.gather(-1, order)),
        "You put the mask in order once more in place of undoing it: entry i of the sorted list belongs "
        "to token order[i]. Is that gather or scatter?",
    ),
    Misconception(
        "left_in_sorted_order",
        _sorted_nucleus,
        "Your logits are sorted, so they belong to other tokens now.",
    ),
    Misconception(
        "one_minus_p",
        lambda z, p: _nucleus()(z, 1 - p),
        "Your set holds 1 - p. With p = 0.9 nine tenths of the probability stay.",
    ),
    Misconception(
        "least_probable_first",
        _nucleus(descending=False),
        "You begin with the least probable token.",
    ),
    Misconception(
        "each_token_by_itself",
        _own_probability(lambda q, p: p),
        "You compare each token's own probability with a limit. p is about their *sum*.",
        also=(_own_probability(lambda q, p: 1 - p), _own_probability(lambda q, p: p * q.max(-1, keepdim=True).values)),
    ),
    Misconception(
        "logits_added_up",
        _nucleus(weigh=lambda z: z),
        "You add up logits. Which function makes probabilities of them?",
        also=(_nucleus(_without_crossing, weigh=lambda z: z),),
    ),
    Misconception(
        "one_nucleus_for_all_rows",
        _flat_nucleus,
        "You take one nucleus for the whole tensor. Every row is a distribution of its own.",
    ),
    Misconception(
        "zero_for_the_rest",
        _nucleus(fill=0.0),
        "A logit of 0 is an ordinary logit. Which logit has the probability 0?",
    ),
    Misconception(
        "probabilities_returned",
        lambda z, p: _nucleus()(z, p).softmax(-1),
        "You return probabilities. A filter gives logits, so that another one can follow.",
        also=(lambda z, p: z.softmax(-1).masked_fill(_nucleus()(z, p).isinf(), 0.0),),
    ),
)


# sample_loop


@dataclass(frozen=True)
class Keep:
    """A filter of logits (B, V): all tokens, the best two, or the nucleus of 0.7."""

    kind: str

    def __call__(self, logits):
        return {"all": lambda z: z, "best two": lambda z: top_k_filter(z, 2), "nucleus of 0.7": lambda z: top_p_filter(z, 0.7)}[
            self.kind
        ](logits)

    def __repr__(self):
        return f"<keeps {self.kind}>"


@dataclass
class Draw:
    """A token for each row of probabilities by numbers that were drawn before; `seen` keeps what it was given."""

    seed: int
    seen: list = field(default_factory=list)

    def __call__(self, probabilities):
        import torch

        if not is_tensor(probabilities) or probabilities.ndim != 2:
            shape = tuple(getattr(probabilities, "shape", ())) or type(probabilities).__name__
            raise ValueError(f"draw takes probabilities (B, V), a tensor; received {shape}")
        self.seen.append(probabilities.detach().clone())
        rng = np.random.default_rng(self.seed + len(self.seen))
        u = torch.tensor(rng.random((len(probabilities), 1)))
        sums = probabilities.double().nan_to_num(0, 0, 0).clamp(min=0).cumsum(-1)
        return (sums < u * sums[:, -1:]).sum(-1).clamp(max=probabilities.shape[1] - 1)

    def __repr__(self):
        return "<draws a token for each row>"


def _sampled(work, model, ids, n, temperature, keep, draw):
    """What the loop gives, and the probabilities that it drew from, of whatever dtype, as float32."""
    drawn = Draw(draw.seed)
    return work(model, ids, n, temperature, keep, drawn), [q.float() for q in drawn.seen]


def _loop_case(rng, B=2, T=3, n=3, temperature=None, kind=None, V=6, size=1.0):
    kinds = ("all", "best two", "nucleus of 0.7")
    model = TinyModel(int(rng.integers(10**6)), V, size)
    chosen = float(rng.choice([0.5, 0.8, 1.0, 1.7])) if temperature is None else temperature
    keep = Keep(str(rng.choice(kinds)) if kind is None else kind)
    return model, _ids(rng, B, T, V), n, chosen, keep, Draw(int(rng.integers(10**6)))


def _loop_sample(rng):
    return _loop_case(rng, int(rng.integers(1, 4)), int(rng.integers(1, 5)), int(rng.integers(0, 5)))


def _loop_oracle(model, ids, n, temperature, keep, draw):
    """Each row with its own call of the model, and the softmax written out."""
    import torch

    drawn, rows = Draw(draw.seed), [row.tolist() for row in ids]
    for _ in range(n):
        logits = torch.stack([model(torch.tensor([row]))[0, len(row) - 1] for row in rows])
        e = keep(logits / temperature).exp()
        token = drawn(e / e.sum(1, keepdim=True))
        rows = [row + [t] for row, t in zip(rows, token.tolist())]
    return torch.tensor(rows), drawn.seen


def _check_loop(cases, why=""):
    """cases: keyword arguments of `_loop_case`."""

    def check(attempt):
        rng = np.random.default_rng(10)
        for about in cases:
            case = _loop_case(rng, **about)
            about_case = f"n is {case[2]}, the temperature {case[3]}, and the filter {case[4]!r}."
            attempt.expect(case, _loop_oracle(*case), why or about_case)

    return check


_check_loop_once = _check_loop([{"n": 1, "temperature": t, "kind": "all"} for t in (0.5, 1.0)])
_check_loop_often = _check_loop([{"n": 4, "kind": "all"}, {"B": 3, "n": 6, "kind": "all"}, {"B": 1, "T": 1, "n": 5}])
_check_loop_filters = _check_loop(
    [{"kind": kind, "temperature": t} for kind in ("best two", "nucleus of 0.7") for t in (0.5, 1.0, 1.7)]
)
_check_loop_none = _check_loop([{"n": 0}, {"B": 1, "n": 0}], "n is 0: the text stays as it is.")


def _loop_probes():
    rng = np.random.default_rng(12)
    return [
        _loop_case(rng, 2, 4, 3, 0.5, "nucleus of 0.7"),
        _loop_case(rng, 3, 3, 4, 1.6, "nucleus of 0.7"),
        _loop_case(rng, 2, 3, 2, 1.3, "best two"),
        _loop_case(rng, 2, 3, 3, 0.8, "all"),
    ]


def _loop_with(
    steps=lambda n: n,
    read=lambda ids, prompt: ids,
    at=lambda z: z[:, -1],
    spread=lambda z, temperature, keep: keep(z / temperature).softmax(-1),
    take=lambda draw, q: draw(q),
    join=lambda ids, token: _cat(ids, token),
    out=lambda ids, prompt: ids,
):
    """The loop from its parts, so that one of them can be wrong."""

    def work(model, ids, n, temperature, keep, draw):
        prompt = ids
        for _ in range(steps(n)):
            q = spread(at(model(read(ids, prompt))), temperature, keep)
            ids = join(ids, take(draw, q).unsqueeze(1))
        return out(ids, prompt)

    return work


def _power(z, temperature, keep):
    return keep(z).softmax(-1) ** temperature


_LOOP_MISCONCEPTIONS = (
    Misconception(
        "temperature_multiplied",
        _loop_with(spread=lambda z, t, keep: keep(z * t).softmax(-1)),
        "You multiply by the temperature, so a high one makes the model *surer*. What is the logit "
        "divided by?",
    ),
    Misconception(
        "temperature_after_the_filter",
        _loop_with(spread=lambda z, t, keep: (keep(z) / t).softmax(-1)),
        "The filter comes first and the temperature second. How many tokens make up 0.7 depends on the "
        "temperature: which order does the docstring name?",
    ),
    Misconception(
        "temperature_on_probabilities",
        _loop_with(spread=lambda z, t, keep: keep(z).softmax(-1) / t),
        "You divide *probabilities* by the temperature: their ratios stay, and they don't sum to 1. "
        "Divide the logits.",
        also=(_loop_with(spread=lambda z, t, keep: keep(z.softmax(-1) / t).softmax(-1)), _loop_with(spread=_power)),
    ),
    Misconception(
        "temperature_left_out",
        _loop_with(spread=lambda z, t, keep: keep(z).softmax(-1)),
        "Where is the temperature?",
    ),
    Misconception(
        "filter_left_out",
        _loop_with(spread=lambda z, t, keep: (z / t).softmax(-1)),
        "Your loop never calls keep.",
    ),
    Misconception(
        "filter_after_the_softmax",
        _loop_with(spread=lambda z, t, keep: keep((z / t).softmax(-1))),
        "You give keep probabilities. It takes logits, and puts minus infinity among them.",
        also=(_loop_with(spread=lambda z, t, keep: keep((z / t).softmax(-1)).softmax(-1)),),
    ),
    Misconception(
        "logits_given_to_draw",
        _loop_with(spread=lambda z, t, keep: keep(z / t)),
        "You draw from logits. They may be negative and sum to anything: what makes probabilities of "
        "them?",
        also=(_loop_with(spread=lambda z, t, keep: keep(z / t).exp()),),
    ),
    Misconception(
        "softmax_over_the_rows",
        _loop_with(spread=lambda z, t, keep: keep(z / t).softmax(0)),
        "Your probabilities sum to 1 over the texts of the batch. They should over the tokens.",
    ),
    Misconception(
        "new_tokens_not_read",
        _loop_with(read=lambda ids, prompt: prompt),
        "Your model reads the prompt at each step, and never what it has written. Each token must "
        "depend on those before it.",
    ),
    Misconception(
        "only_the_last_token_read",
        _loop_with(read=lambda ids, prompt: ids[:, -1:]),
        "You show the model the last token alone. Without a cache it must read the whole text.",
    ),
    Misconception(
        "first_place",
        _loop_with(at=lambda z: z[:, 0]),
        "You read the logits of place 0. Which place predicts the next token?",
    ),
    Misconception(
        "most_probable_instead_of_drawn",
        _loop_with(take=lambda draw, q: q.argmax(-1)),
        "You take the most probable token. Where is draw?",
    ),
    Misconception(
        "prompt_left_out",
        _loop_with(out=lambda ids, prompt: ids[:, prompt.shape[1] :]),
        "You return the new tokens only. The docstring wants prompt and continuation, T + n tokens.",
    ),
    Misconception(
        "window_slides",
        _loop_with(join=lambda ids, token: _cat(ids[:, 1:], token)),
        "Your text doesn't grow: for each new token you drop the first one.",
    ),
    Misconception(
        "one_too_few",
        _loop_with(steps=lambda n: n - 1),
        "Count your steps: the text should have n tokens more.",
        also=(_loop_with(steps=lambda n: n + 1),),
    ),
)


# repetition_penalty


def _penalty_case(rng, B=2, T=4, V=8, penalty=None, dtype="float32"):
    chosen = float(rng.choice([1.2, 1.5, 3.0])) if penalty is None else penalty
    return _floats(rng, B, V, dtype=dtype), _ids(rng, B, T, V), chosen


def _penalty_sample(rng):
    return _penalty_case(rng, int(rng.integers(1, 4)), int(rng.integers(1, 7)), int(rng.integers(4, 9)))


def _penalty_oracle(logits, ids, penalty):
    import torch

    rows = []
    for row, text in zip(logits.tolist(), ids.tolist()):
        rows.append([(z / penalty if z > 0 else z * penalty) if i in text else z for i, z in enumerate(row)])
    return torch.tensor(rows, dtype=logits.dtype)


def _check_penalty_by_hand(attempt):
    import torch

    case = (torch.tensor([[3.0, -1.0, 2.0, -2.0]]), torch.tensor([[0, 3]]), 2.0)
    why = "Tokens 0 and 3 stand in the text: 3 becomes 1.5, and -2 becomes -4."
    attempt.expect(case, torch.tensor([[1.5, -1.0, 2.0, -4.0]]), why)


def _check_penalty_random(attempt):
    rng = np.random.default_rng(13)
    for B, T, V in ((1, 3, 6), (2, 4, 8), (3, 2, 5), (4, 6, 9)):
        for dtype in ("float32", "float64"):
            case = _penalty_case(rng, B, T, V, dtype=dtype)
            attempt.expect(case, _penalty_oracle(*case))


def _check_penalty_repeated(attempt):
    import torch

    rng = np.random.default_rng(14)
    logits = _floats(rng, 2, 5)
    case = (logits, torch.tensor([[1, 1, 1, 2], [4, 4, 0, 4]]), 1.5)
    attempt.expect(case, _penalty_oracle(*case), "A token that stands in the text three times is penalised once.")


def _check_penalty_edges(attempt):
    import torch

    logits = torch.tensor([[0.0, -math.inf, 1.0], [2.0, -0.5, 0.0]])
    case = (logits, torch.tensor([[0, 1], [0, 0]]), 2.0)
    attempt.expect(case, _penalty_oracle(*case), "0 stays 0, and minus infinity what it is.")
    case = (logits, torch.tensor([[0, 2], [1, 0]]), 1.0)
    attempt.expect(case, logits, "A penalty of 1 changes nothing.")


def _penalty_probes():
    import torch

    rng = np.random.default_rng(15)
    probes = [_penalty_case(rng, 2, 4, 9, 1.5), _penalty_case(rng, 3, 3, 8, 2.5)]
    repeated = torch.tensor([[2, 2, 5], [6, 1, 6]])
    return [*probes, (_floats(rng, 2, 8), repeated, 1.4)]


def _standing(logits, ids):
    """True where a row's text holds the token: bool (B, V)."""
    import torch

    return torch.zeros_like(logits, dtype=torch.bool).scatter(1, ids, True)


def _penalised(rule, where=_standing, first=lambda z: z):
    """rule(logits, penalty) for the tokens of where(logits, ids)."""

    def work(logits, ids, penalty):
        z = first(logits)
        return z.where(~where(z, ids), rule(z, penalty))

    return work


def _right_rule(z, penalty):
    return (z / penalty).where(z > 0, z * penalty)


def _turned_rule(z, penalty):
    return (z * penalty).where(z > 0, z / penalty)


def _each_time(logits, ids, penalty):
    out = logits.clone()
    for place in range(ids.shape[1]):
        token = ids[:, place : place + 1]
        out = out.scatter(1, token, _right_rule(out.gather(1, token), penalty))
    return out


def _any_row(logits, ids):
    return _standing(logits, ids).any(0, keepdim=True).expand_as(logits)


def _softmaxed(logits, ids, penalty):
    q = logits.softmax(-1)
    q = (q / penalty).where(_standing(q, ids), q)
    return q / q.sum(-1, keepdim=True)


_PENALTY_MISCONCEPTIONS = (
    Misconception(
        "always_divided",
        _penalised(lambda z, penalty: z / penalty),
        "A negative logit comes nearer to 0 when you divide it: the token becomes *more* probable. What "
        "makes it lower?",
    ),
    Misconception(
        "always_multiplied",
        _penalised(lambda z, penalty: z * penalty),
        "A positive logit grows when you multiply it: the token becomes *more* probable.",
    ),
    Misconception(
        "turned_round",
        _penalised(_turned_rule),
        "Your tokens of the text became more probable: the two cases are exchanged.",
    ),
    Misconception(
        "subtracted",
        _penalised(lambda z, penalty: z - penalty),
        "You subtract the penalty. That is a rule too (a presence penalty), but not this one.",
        also=(_penalised(lambda z, penalty: z - math.log(penalty)), _penalised(lambda z, penalty: z - z.abs() * (penalty - 1))),
    ),
    Misconception(
        "once_for_each_time",
        _each_time,
        "A token that stands in the text twice is penalised twice. Once is what the docstring says.",
    ),
    Misconception(
        "all_tokens",
        _penalised(_right_rule, lambda z, ids: _standing(z, ids) | True),
        "You penalise every token there is. Which ones does the text hold?",
    ),
    Misconception(
        "tokens_that_are_not_there",
        _penalised(_right_rule, lambda z, ids: ~_standing(z, ids)),
        "You penalise the tokens that the text does *not* hold.",
    ),
    Misconception(
        "only_the_last_token",
        _penalised(_right_rule, lambda z, ids: _standing(z, ids[:, -1:])),
        "Only the last token is penalised. The whole text counts.",
        also=(_penalised(_right_rule, lambda z, ids: _standing(z, ids[:, :1])),),
    ),
    Misconception(
        "rows_mixed_up",
        _penalised(_right_rule, _any_row),
        "A row is penalised for tokens of another row's text.",
        also=(_penalised(_right_rule, lambda z, ids: _standing(z, ids[:1].expand_as(ids))),),
    ),
    Misconception(
        "forbidden",
        _penalised(lambda z, penalty: z * 0 - math.inf),
        "Your tokens of the text can never come again. They should be less probable, not impossible.",
    ),
    Misconception(
        "log_probabilities_penalised",
        _penalised(_right_rule, first=lambda z: z.log_softmax(-1)),
        "You take the log-softmax first. The rule is for the logits as they are: their sign decides.",
    ),
    Misconception(
        "probabilities_divided",
        _softmaxed,
        "You divide probabilities and return them. The rule changes logits.",
        also=(_penalised(lambda q, penalty: q / penalty, first=lambda z: z.softmax(-1)),),
    ),
)


# beam_step


def _beam_case(rng, H=3, T=3, V=6, k=None, dtype="float32"):
    scores = -_floats(rng, H, scale=1.0, dtype=dtype).abs() - 0.5
    return _ids(rng, H, T, V), scores, _floats(rng, H, V, dtype=dtype), int(rng.integers(1, 5)) if k is None else k


def _beam_sample(rng):
    return _beam_case(rng, int(rng.integers(1, 4)), int(rng.integers(1, 5)), int(rng.integers(4, 9)))


def _beam_oracle(ids, scores, logits, k):
    """Every continuation in a list, sorted."""
    import torch

    found = []
    for row, score, z in zip(ids.tolist(), scores.tolist(), logits.tolist()):
        total = math.log(sum(map(math.exp, z)))
        found += [(score + z[token] - total, [*row, token]) for token in range(len(z))]
    found = sorted(found, reverse=True)[:k]
    return torch.tensor([row for _, row in found]), torch.tensor([score for score, _ in found], dtype=scores.dtype)


def _check_beam_by_hand(attempt):
    import torch

    ids, scores = torch.tensor([[7, 0], [7, 1]]), torch.tensor([0.6, 0.4]).log()
    logits = torch.tensor([[0.5, 0.3, 0.2], [0.05, 0.05, 0.9]]).log() + 5  # the same distribution
    why = "The chances are 0.4 * 0.9 = 0.36 and 0.6 * 0.5 = 0.30; the third, 0.6 * 0.3 = 0.18, falls out."
    expected = torch.tensor([[7, 1, 2], [7, 0, 0]]), torch.tensor([0.36, 0.30]).log()
    attempt.expect((ids, scores, logits, 2), expected, why)


def _check_beam_first(attempt):
    rng = np.random.default_rng(16)
    for k in (1, 3, 5):
        ids, _, logits, _ = case = _beam_case(rng, 1, 4, 6, k)
        attempt.expect(case, _beam_oracle(*case), f"At the start there is one text; k is {k}.")


def _beam_far_along(rng, *sizes):
    ids, scores, logits, k = _beam_case(rng, *sizes)
    return ids, scores - 900, logits, k


def _check_beam_long(attempt):
    case = _beam_far_along(np.random.default_rng(19), 3, 4, 6, 3)
    attempt.expect(case, _beam_oracle(*case), "The texts are long: their log-probabilities are near -900.")


def _check_beam_random(attempt):
    rng = np.random.default_rng(17)
    for H, T, V, k in ((3, 3, 6, 3), (2, 5, 7, 4), (4, 1, 5, 2), (3, 2, 4, 12), (4, 3, 6, 1)):
        for dtype in ("float32", "float64"):
            case = _beam_case(rng, H, T, V, k, dtype)
            attempt.expect(case, _beam_oracle(*case))


def _check_beam_shift(attempt):
    rng = np.random.default_rng(18)
    ids, scores, logits, k = _beam_case(rng, 3, 3, 6, 3)
    moved = logits + _floats(rng, 3, 1, scale=4.0)
    attempt.expect((ids, scores, moved, k), _beam_oracle(ids, scores, logits, k), "A number added to all logits of a text changes nothing.")


def _beam_probes():
    rng = np.random.default_rng(21)
    return [_beam_case(rng, 3, 3, 6, 3), _beam_case(rng, 4, 2, 7, 4), _beam_case(rng, 3, 4, 5, 3), _beam_case(rng, 1, 3, 6, 4),
            _beam_far_along(rng, 1, 3, 1, 1)]


def _beam_with(
    steps=lambda z: z.log_softmax(-1),
    total=lambda scores, steps: scores.unsqueeze(1) + steps,
    choose=lambda total, k: total.flatten().topk(k),
    width=lambda V, k: V,
    text=lambda ids, row, token: _cat(ids[row], token.unsqueeze(1)),
    score=lambda best, scores, row, T: best,
):
    """A step from its parts, so that one of them can be wrong."""

    def work(ids, scores, logits, k):
        best, place = choose(total(scores, steps(logits)), k)
        by = width(logits.shape[1], k)
        row, token = (place // by) % len(ids), place % by
        return text(ids, row, token), score(best, scores, row, ids.shape[1])

    return work


def _each_alone(ids, scores, logits, k):
    best, token = (scores.unsqueeze(1) + logits.log_softmax(-1)).max(1)
    order = best.argsort(descending=True)[:k]
    return _cat(ids, token.unsqueeze(1))[order], best[order]


def _best_text_only(ids, scores, logits, k):
    row = scores.argmax()
    best, token = (scores[row] + logits[row].log_softmax(-1)).topk(k)
    return _cat(ids[row].expand(k, -1), token.unsqueeze(1)), best


def _first_texts(ids, row, token):
    return _cat(ids.expand(len(token), -1) if len(ids) == 1 else ids[: len(token)], token.unsqueeze(1))


def _smallest(total, k):
    return total.flatten().topk(k, largest=False)


def _found_first_last(total, k):
    best, place = total.flatten().topk(k)
    return best.flip(0), place.flip(0)


_BEAM_MISCONCEPTIONS = (
    Misconception(
        "logits_added",
        _beam_with(steps=lambda z: z),
        "You add logits to log-probabilities. Two texts can't be compared by logits: add the same number "
        "to all of one row, and nothing should change.",
    ),
    Misconception(
        "probabilities_added",
        _beam_with(steps=lambda z: z.softmax(-1)),
        "You add a probability to a log-probability. Which of the two is scores?",
    ),
    Misconception(
        "scores_so_far_forgotten",
        _beam_with(total=lambda scores, steps: steps),
        "You rank by the last token alone. A good token after a bad beginning is no good text.",
    ),
    Misconception(
        "each_text_alone",
        _each_alone,
        "Every text keeps exactly one continuation. The k places are for the best of *all*: one text may "
        "get two, another none.",
    ),
    Misconception(
        "best_text_only",
        _best_text_only,
        "You continue the best text only. The second best may overtake it with its next token.",
    ),
    Misconception(
        "texts_not_followed",
        _beam_with(text=_first_texts),
        "Your scores are right, but a new token is appended to another text than the one it continues. "
        "Which row of ids did each place come from?",
    ),
    Misconception(
        "divided_by_k",
        _beam_with(width=lambda V, k: k),
        "Rows of the flat table are V long. By what must the place be divided?",
    ),
    Misconception(
        "one_softmax_for_all",
        _beam_with(steps=lambda z: z.flatten().log_softmax(0).view(z.shape)),
        "Your probabilities sum to 1 over all texts together. Each text has a distribution of its own.",
        also=(_beam_with(steps=lambda z: z.log_softmax(0)),),
    ),
    Misconception(
        "worst_kept",
        _beam_with(choose=_smallest),
        "You keep the least probable texts. A log-probability nearer to 0 is better.",
    ),
    Misconception(
        "worst_first",
        _beam_with(choose=_found_first_last),
        "These are the right texts in the wrong order. The best one comes first.",
    ),
    Misconception(
        "probabilities_multiplied",
        _beam_with(
            steps=lambda z: z.softmax(-1),
            total=lambda scores, steps: scores.exp().unsqueeze(1) * steps,
            score=lambda best, scores, row, T: best.log(),
        ),
        "You multiply probabilities and take the logarithm at the end. The probability of a long text is too small for a "
        "float: it becomes 0, and all texts are alike. Stay with logarithms, and add.",
    ),
    Misconception(
        "steps_instead_of_totals",
        _beam_with(score=lambda best, scores, row, T: best - scores[row]),
        "Your texts are right, but you hand on the last token's log-probability in place of the text's.",
    ),
    Misconception(
        "mean_instead_of_sum",
        _beam_with(score=lambda best, scores, row, T: best / (T + 1)),
        "You divide the score by the length. In the next step it is added to again: keep the sum.",
    ),
    Misconception(
        "multiplied",
        _beam_with(total=lambda scores, steps: scores.unsqueeze(1) * steps),
        "Probabilities multiply; their logarithms don't.",
    ),
)


# is_generation

_HONEST = ("loop", "row by row", "in one piece")
_FAULTY = (
    "argmax over the prompt", "prompt and its argmax", "prompt left out", "same token n times", "last token only",
    "one place too early", "one token short", "one token more", "prompt overwritten", "window of 6",
    "first row for all", "last row wrong", "second best at the end", "first token only", "least probable",
    "first new token changed", "prompt written anew",
)  # fmt: skip


@dataclass(frozen=True)
class Generator:
    """generate(model, ids, n) of some kind: an honest loop or one with a fault."""

    kind: str

    def __call__(self, model, ids, n):
        import torch

        def step(text, read=None, place=-1, best_first=True, rank=0):
            z = model(text if read is None else read)[:, place]
            return _cat(text, z.argsort(dim=-1, descending=best_first, stable=True)[:, rank : rank + 1])

        kind, text, T = self.kind, ids, ids.shape[1]
        if kind == "prompt written anew":
            return Generator("loop")(model, ids[:, :1], T - 1 + n)
        if kind == "row by row":
            return torch.cat([Generator("loop")(model, row[None], n) for row in ids])
        if kind == "in one piece":
            out = _cat(ids, ids[:, :1].repeat(1, n))
            for t in range(T, T + n):
                out[:, t] = model(out[:, :t]).argmax(-1)[:, -1]
            return out
        if kind in ("argmax over the prompt", "prompt and its argmax"):
            best = model(ids).argmax(-1)
            return best if kind == "argmax over the prompt" else _cat(ids, best)
        for i in range(n - (kind == "one token short") + (kind == "one token more")):
            read = {"last token only": text[:, -1:], "window of 6": text[:, -6:], "same token n times": ids}.get(kind)
            if kind == "first token only" and i:
                read = text[:, :1]
            place = -min(2, text.shape[1]) if kind == "one place too early" else -1
            late = kind == "second best at the end" and i == n - 1 and n > 1
            text = step(text, read, place, kind != "least probable", int(late))
        if kind == "first new token changed" and n > 1:
            text[:, T] = (text[:, T] + 1) % model(ids).shape[-1]
        if kind == "prompt left out":
            return text[:, T:]
        if kind == "prompt overwritten":
            return _cat(model(ids).argmax(-1), text[:, T:])
        if kind == "first row for all":
            return text[:1].expand_as(text).clone()
        if kind == "last row wrong":
            return torch.cat([text[:-1], _cat(ids[-1:], ids[-1:, :1].repeat(1, n))]) if len(ids) > 1 else text
        return text

    def __repr__(self):
        return f"<a generate function: {self.kind}>"


def _generation_sample(rng):
    kinds = _HONEST + _FAULTY
    return (Generator(kinds[rng.integers(len(kinds))]),)


def _check_generation(kinds, right, why):
    def check(attempt):
        for kind in kinds:
            attempt.expect((Generator(kind),), right, f"This generate function {why}: {kind}.")

    return check


_check_honest = _check_generation(_HONEST, True, "is right")
_check_article = _check_generation(_FAULTY[:2], False, "is wrong")
_check_outline = _check_generation(
    ("prompt left out", "one token short", "one token more", "prompt overwritten", "prompt written anew"), False, "is wrong"
)
_check_tokens = _check_generation(
    ("same token n times", "last token only", "one place too early", "least probable"), False, "is wrong"
)
_check_hidden = _check_generation(
    ("window of 6", "first row for all", "last row wrong", "second best at the end", "first token only",
     "first new token changed"), False, "is wrong"
)  # fmt: skip


def _generation_probes():
    return [(Generator(kind),) for kind in _HONEST + _FAULTY]


def _sums(ids, reach=None):
    """A model like the reference's: next is a weighted sum over the last `reach` tokens."""
    import torch

    terms = ids * torch.arange(1, ids.shape[1] + 1)
    sums = terms.cumsum(1) if reach is None else ids * 3 + 1
    return torch.nn.functional.one_hot(sums % 13, 13).float()


def _tested(judge, ns=(1, 2, 9), ids=((3, 1, 4, 1, 5), (9, 2, 6, 5, 3)), reach=None):
    """A test: judge(out, right, prompt, model) for each n must be true."""

    def work(generate):
        import torch

        prompt = torch.tensor(ids)
        model = lambda text: _sums(text, reach)  # noqa: E731
        for n in ns:
            out, right = generate(model, prompt.clone(), n), Generator("loop")(model, prompt, n)
            if not judge(out, right, prompt, model):
                return False
        return True

    return work


def _same(out, right):
    return out.shape == right.shape and bool((out == right).all())


def _same_new(out, right, prompt, model):
    T = prompt.shape[1]
    return _same(out[:, T - right.shape[1] :], right[:, T:])


def _own_argmax(out, right, prompt, model):
    return out.shape == right.shape and bool((model(out).argmax(-1)[:, :-1] == out[:, 1:]).all())


_GENERATION_MISCONCEPTIONS = (
    Misconception(
        "compared_with_the_argmax_over_the_prompt",
        _tested(lambda out, right, prompt, model: _same(out, model(prompt).argmax(-1))),
        "You compare with the best token at each place of the prompt: that is the mistake to be found.",
    ),
    Misconception(
        "only_the_length",
        _tested(lambda out, right, prompt, model: out.shape == right.shape),
        "You look at the length only. A function that writes nonsense of the right length passes.",
    ),
    Misconception(
        "only_the_prompt",
        _tested(lambda out, right, prompt, model: _same(out[:, : prompt.shape[1]], prompt)),
        "You check that the prompt is still there. What comes after it?",
    ),
    Misconception(
        "length_and_prompt_only",
        _tested(lambda out, right, prompt, model: out.shape == right.shape and _same(out[:, : prompt.shape[1]], prompt)),
        "Length and prompt are right, and the new tokens may be any. Compare them with the model's "
        "choice.",
    ),
    Misconception(
        "one_new_token_only",
        _tested(lambda out, right, prompt, model: _same(out, right), ns=(1,)),
        "You ask for one new token. A function that never reads what it wrote passes: ask for several.",
    ),
    Misconception(
        "only_the_last_token_compared",
        _tested(lambda out, right, prompt, model: _same(out[:, -1], right[:, -1])),
        "You compare the last token only.",
    ),
    Misconception(
        "only_the_new_tokens",
        _tested(_same_new),
        "You compare the new tokens only. The prompt must stand before them, unchanged.",
    ),
    Misconception(
        "one_row",
        _tested(lambda out, right, prompt, model: _same(out, right), ids=((3, 1, 4, 1, 5),)),
        "Your batch has one text. Some functions are right for the first one only.",
        also=(_tested(lambda out, right, prompt, model: _same(out[:1], right[:1])),),
    ),
    Misconception(
        "model_without_a_memory",
        _tested(lambda out, right, prompt, model: _same(out, right), reach=1),
        "In your model the next token depends on the last one alone. Then a function that shows it "
        "nothing else passes: let it depend on all of them.",
    ),
    Misconception(
        "short_text",
        _tested(lambda out, right, prompt, model: _same(out, right), ns=(1, 2), ids=((3, 1, 4), (9, 2, 6))),
        "Your texts are short. A function that forgets what stands far back passes.",
    ),
    Misconception(
        "prompt_judged_too",
        _tested(_own_argmax),
        "You also demand that the *prompt* is what the model would have written. It comes from the "
        "user, and may surprise the model.",
    ),
    Misconception(
        "answer_turned_round",
        lambda generate: not is_generation(generate),
        "You answer True for the faulty ones. What does the name of the test promise?",
    ),
)


EXERCISES = (
    Exercise(
        id="generate_text.greedy_step",
        reference=greedy_step,
        difficulty=1,
        minutes=5,
        section="The next token",
        hints=(
            "model(ids) is (B, T, V): a row of logits for each place. The one at the last place speaks "
            "about the token that comes next.",
            "logits[:, -1] is (B, V); argmax over its last axis, with keepdim=True, is (B, 1).",
            "torch.cat([ids, model(ids)[:, -1].argmax(dim=-1, keepdim=True)], dim=1)",
        ),
        checks=(
            Check("a model by hand", _check_greedy_by_hand),
            Check("random models", _check_greedy([(2, 4, 7), (3, 2, 5), (2, 6, 9), (4, 3, 6)])),
            Check("one text", _check_greedy([(1, 4, 7), (1, 7, 5)], "The batch holds one text.")),
            Check("a prompt of one token", _check_greedy([(3, 1, 8), (1, 1, 6)], "The prompt has one token.")),
        ),
        misconceptions=_GREEDY_MISCONCEPTIONS,
        probes=_greedy_probes,
        sample=_greedy_sample,
    ),
    Exercise(
        id="generate_text.top_k_filter",
        reference=top_k_filter,
        difficulty=2,
        minutes=8,
        section="Cutting off the tail",
        hints=(
            "Find the k-th largest logit of each row. Everything below it becomes -math.inf.",
            "logits.topk(k).values is sorted, the largest first: its last column is the k-th. Keep the "
            "axis, so that it can be compared with the logits. k may be larger than V.",
            "least = logits.topk(min(k, logits.shape[-1])).values[..., -1:], then masked_fill where "
            "logits < least.",
        ),
        checks=(
            Check("two rows by hand", _check_top_k_by_hand),
            Check("random logits of any shape", _check_top_k_random),
            Check("more than there are", _check_top_k_all),
            Check("equal logits", _check_top_k_ties),
        ),
        misconceptions=_TOP_K_MISCONCEPTIONS,
        probes=_top_k_probes,
        sample=_top_k_sample,
    ),
    Exercise(
        id="generate_text.top_p_filter",
        reference=top_p_filter,
        difficulty=3,
        minutes=12,
        section="Cutting off the tail",
        hints=(
            "Sort the logits, the largest first, make probabilities of them, and add them up along the "
            "row with cumsum.",
            "A token stays if the more probable ones *before* it hold less than p: cumsum minus its own "
            "probability. So the token that crosses p stays, and there is always one.",
            "ordered, order = logits.sort(descending=True) gives the mask in sorted order; "
            "mask.scatter(-1, order, mask) puts each entry back to its token.",
        ),
        checks=(
            Check("four tokens by hand", _check_top_p_by_hand),
            Check("random logits of any shape", _check_top_p_random),
            Check("a sure model", _check_top_p_sure),
            Check("nearly everything", _check_top_p_nearly_all),
            Check("after another filter", _check_top_p_filtered),
        ),
        misconceptions=_TOP_P_MISCONCEPTIONS,
        probes=_top_p_probes,
        sample=_top_p_sample,
    ),
    Exercise(
        id="generate_text.sample_loop",
        reference=sample_loop,
        difficulty=2,
        minutes=10,
        section="The loop",
        returns=("ids", "list of what draw was given"),
        hints=(
            "Each round: read the whole text, take the logits of the last place, make probabilities, "
            "draw, append.",
            "Between logits and probabilities stand two things: divide by the temperature, then keep.",
            "probabilities = keep(model(ids)[:, -1] / temperature).softmax(dim=-1); draw gives (B,), and "
            "torch.cat wants (B, 1).",
        ),
        checks=(
            Check("one token", _check_loop_once),
            Check("several tokens", _check_loop_often),
            Check("filters", _check_loop_filters),
            Check("no token", _check_loop_none),
        ),
        misconceptions=_LOOP_MISCONCEPTIONS,
        probes=_loop_probes,
        sample=_loop_sample,
        drive=_sampled,
    ),
    Exercise(
        id="generate_text.repetition_penalty",
        reference=repetition_penalty,
        difficulty=2,
        minutes=8,
        section="Repetition",
        hints=(
            "logits.gather(1, ids) reads the logits of the text's own tokens: (B, T).",
            "Make them lower by torch.where: a positive one is divided, any other multiplied.",
            "logits.scatter(1, ids, scores) writes them back. A token that stands there twice is written "
            "twice with the same number, which does no harm.",
        ),
        checks=(
            Check("four logits by hand", _check_penalty_by_hand),
            Check("random texts", _check_penalty_random),
            Check("a token that stands there often", _check_penalty_repeated),
            Check("zero, infinity, and no penalty", _check_penalty_edges),
        ),
        misconceptions=_PENALTY_MISCONCEPTIONS,
        probes=_penalty_probes,
        sample=_penalty_sample,
    ),
    Exercise(
        id="generate_text.beam_step",
        reference=beam_step,
        difficulty=3,
        minutes=12,
        section="Searching for the most probable text",
        returns=("ids", "scores"),
        hints=(
            "The log-probability of a longer text is that of the shorter one plus the log-probability of "
            "its new token: a table (H, V).",
            "Flatten the table, take the k largest. A place of the flat table names a text, place // V, "
            "and a token, place % V.",
            "ids[row] gives each new text its own beginning; torch.cat with token.unsqueeze(1).",
        ),
        checks=(
            Check("two texts by hand", _check_beam_by_hand),
            Check("the first step", _check_beam_first),
            Check("random texts", _check_beam_random),
            Check("long texts", _check_beam_long),
            Check("logits moved by a number", _check_beam_shift),
        ),
        misconceptions=_BEAM_MISCONCEPTIONS,
        probes=_beam_probes,
        sample=_beam_sample,
    ),
    Exercise(
        id="generate_text.is_generation",
        reference=is_generation,
        difficulty=3,
        minutes=15,
        section="What the articles say",
        hints=(
            "Write a small model whose next token you can work out, such as a sum of all tokens modulo "
            "13, and compare what generate gives with your own loop.",
            "The model must depend on every token and its place, and the batch needs two different texts: "
            "otherwise faults hide.",
            "Ask for n = 1, 2 and 9 tokens after five, and compare the whole result with "
            "torch.equal: prompt, length and every new token.",
        ),
        checks=(
            Check("honest loops", _check_honest),
            Check("the articles' fault", _check_article),
            Check("wrong length or prompt", _check_outline),
            Check("wrong tokens", _check_tokens),
            Check("wrong far back, late, or in one row", _check_hidden),
        ),
        misconceptions=_GENERATION_MISCONCEPTIONS,
        probes=_generation_probes,
        sample=_generation_sample,
    ),
)
