"""Exercises of lesson 20."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .engine.compare import is_tensor, type_name
from .engine.model import Check, Exercise, Failed, misconceptions_of


def sequence_logprob(logits, ids, mask):
    """Log-probability of each answer, given its prompt.

    logits: float tensor (B, T, V), at [b, t] those of the token after ids[b, t]; -inf where a token can't come
    ids: int64 (B, T); mask: bool (B, T), True where ids[b, t] belongs to the answer; never at t = 0, the rest is prompt or padding
    -> float tensor (B,): the sum of the log-probabilities of the answer's tokens
    """
    logp = logits[:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]  # (B, T-1)
    return logp.masked_fill(~mask[:, 1:], 0.0).sum(1)


def dpo_loss(better, worse, ref_better, ref_worse, beta):
    """The loss of direct preference optimisation.

    better, worse: float tensors (B,), log-probabilities of the preferred and of the other answer under
    the model that is trained; ref_better, ref_worse: the same under the reference; beta: a number above 0
    -> scalar tensor with a gradient: the mean over the pairs, finite for finite margins of any size
    """
    import torch.nn.functional as F

    margin = beta * ((better - ref_better) - (worse - ref_worse))  # (B,)
    return -F.logsigmoid(margin).mean()


def kl_penalty(logits, ref_logits, mask):
    """How far the model has moved from the reference, on answers that the model wrote.

    logits, ref_logits: float tensors (B, T, V) of model and reference on the same tokens
    mask: bool (B, T), True where a token belongs to the answer; never at t = 0
    -> float tensor (B,): KL(model || reference) of the distributions from which the answer's tokens
       were drawn, summed over the answer
    """
    logp, ref = logits[:, :-1].log_softmax(-1), ref_logits[:, :-1].log_softmax(-1)
    kl = (logp.exp() * (logp - ref)).sum(-1)  # (B, T-1)
    return kl.masked_fill(~mask[:, 1:], 0.0).sum(1)


def win_rate(new, old):
    """How often the new model beats the old one, prompt by prompt, with a 95 % interval.

    new, old: arrays (N,), a score of each model's answer to the same N prompts; a tie is half a win
    -> (rate, low, high): floats; low and high after Wilson, with z = 1.96
    """
    n, z = len(new), 1.96
    rate = float(np.mean((new > old) + 0.5 * (new == old)))
    middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(rate * (1 - rate) / n + (z / (2 * n)) ** 2)
    return rate, middle - half, middle + half


def loss_is_sound(loss):
    """True if somebody's DPO loss is right, False if it isn't.

    loss: a function (logp, ref_logp, mask, beta) -> scalar tensor. logp, ref_logp: float tensors
    (2, B, T), the log-probability of every token, [0] of the preferred and [1] of the other texts, under
    the model and under the reference; mask: bool (2, B, T), True for the tokens of the answers
    Right is the mean of dpo_loss over the pairs, within 1e-4, with a gradient for logp: for any number of
    pairs, any mask, any reference and any beta. Your test makes its own inputs. -> bool
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    logp, ref_logp = -3 * torch.rand(2, 2, 3, 7, generator=generator)  # each (2, 3, 7)
    lengths = torch.tensor([[2, 3, 6], [4, 1, 5]])[..., None]  # of the answers, no two pairs alike
    mask = torch.arange(7) < lengths
    mask = mask.roll(1, dims=-1)  # the prompt in front, something after most answers
    logp.requires_grad_()
    for beta in (0.1, 0.7):
        given = loss(logp, ref_logp, mask, beta)
        summed = ((logp - ref_logp) * mask).sum(-1)  # (2, 3)
        right = dpo_loss(summed[0], summed[1], torch.zeros(3), torch.zeros(3), beta)
        if not given.requires_grad or abs(given.item() - right.item()) > 1e-4:
            return False
    return True


# What several share


def _logits(rng, *shape):
    import torch

    return torch.tensor(rng.normal(0, 2, size=shape), dtype=torch.float32)


def _mask(rng, B, T):
    """Answers that begin and end somewhere, bool (B, T); the first place is never in one."""
    import torch

    start = rng.integers(1, T, size=B)
    end = np.array([rng.integers(s + 1, T + 1) for s in start])
    places = np.arange(T)
    return torch.tensor((places >= start[:, None]) & (places < end[:, None]))


def _sizes(rng):
    return int(rng.integers(1, 5)), int(rng.integers(3, 8)), int(rng.integers(2, 6))


# sequence_logprob


def _logprob_case(rng, B=None, T=None, V=None):
    import torch

    sizes = _sizes(rng)
    B, T, V = B or sizes[0], T or sizes[1], V or sizes[2]
    return _logits(rng, B, T, V), torch.tensor(rng.integers(0, V, (B, T))), _mask(rng, B, T)


def _logprob_oracle(logits, ids, mask):
    """Token by token, in Python's floats."""
    import torch

    sums = []
    for b in range(len(ids)):
        total = 0.0
        for t in range(1, ids.shape[1]):
            if mask[b, t]:
                row = [math.exp(z) for z in logits[b, t - 1].tolist()]
                total += math.log(row[int(ids[b, t])] / sum(row))
        sums.append(total)
    return torch.tensor(sums, dtype=torch.float32)


def _expect_logprob(attempt, case, why=""):
    attempt.expect(case, _logprob_oracle(*case), why)


def _check_logprob_by_hand(attempt):
    import torch

    logits = torch.tensor([[[9.0, 0.0], [0.0, 0.0], [math.log(3.0), 0.0], [0.0, 5.0]]])
    case = (logits, torch.tensor([[1, 1, 0, 0]]), torch.tensor([[False, False, True, True]]))
    why = "The answer's two tokens have the probabilities 1/2 and 3/4: log 1/2 + log 3/4 = -0.981."
    attempt.expect(case, torch.tensor([math.log(0.5) + math.log(0.75)]), why)


def _check_logprob_random(attempt):
    rng = np.random.default_rng(1)
    for B, T, V in ((1, 2, 3), (4, 6, 5), (3, 3, 3), (2, 7, 2), (5, 4, 4)):
        _expect_logprob(attempt, _logprob_case(rng, B, T, V))


def _check_logprob_prompt(attempt):
    import torch

    rng = np.random.default_rng(2)
    logits, ids, mask = _logprob_case(rng, 3, 6, 4)
    other = torch.where(mask, ids, 3 - ids)
    for b in range(3):  # what predicts prompt or padding may be anything
        for t in range(6):
            if t == 5 or not mask[b, t + 1]:
                logits[b, t] = 50.0 * torch.arange(4)
    _expect_logprob(attempt, (logits, ids, mask), "Here the prompt's logits are extreme. They don't belong to the answer.")
    expected = _logprob_oracle(logits, ids, mask)
    attempt.expect((logits, other, mask), expected, "Here only prompt and padding differ.")


def _impossible_prompt(logits):
    """A token of the prompt that the model thinks impossible."""
    import torch

    logits[0, 0, 2] = -math.inf
    return logits, torch.tensor([[0, 2, 1, 0]]), torch.tensor([[False, False, True, True]])


def _check_logprob_impossible(attempt):
    import torch

    case = _impossible_prompt(torch.zeros(1, 4, 3))
    attempt.expect(case, torch.tensor([2 * math.log(1 / 3)]), "A token of the prompt has probability 0 here: its logit is -inf.")


def _check_logprob_length(attempt):
    import torch

    for n in (1, 2, 4):
        mask = torch.arange(6)[None] >= 6 - n
        case = (torch.zeros(1, 6, 4), torch.zeros(1, 6, dtype=torch.int64), mask)
        attempt.expect(case, torch.tensor([-n * math.log(4.0)]), f"{n} tokens of probability 1/4 each.")


def _logprob_probes():
    rng = np.random.default_rng(3)
    usual = [_logprob_case(rng, B, T, V) for B, T, V in ((3, 6, 4), (2, 5, 3), (1, 7, 5), (4, 4, 2))]
    return [*usual, _impossible_prompt(_logits(rng, 1, 4, 3))]


def _logprob_with(
    scores=lambda logits: logits.log_softmax(-1),
    pick=lambda scores, ids: scores[:, :-1].gather(2, ids[:, 1:, None])[..., 0],
    keep=lambda mask: mask[:, 1:],
    join=lambda logp, kept: logp.masked_fill(~kept, 0.0).sum(1),
):
    """sequence_logprob from its parts, so that one of them can be wrong."""
    return lambda logits, ids, mask: join(pick(scores(logits), ids), keep(mask))


def _own_place(scores, ids):
    return scores.gather(2, ids[..., None])[..., 0]


_LOGPROB_WRONG = {
    "not_shifted": (_logprob_with(pick=_own_place, keep=lambda mask: mask),),
    "prompt_counted": (_logprob_with(join=lambda logp, kept: logp.sum(1)),),
    "mask_multiplied": (_logprob_with(join=lambda logp, kept: (logp * kept).sum(1)),),
    "mask_not_shifted": (_logprob_with(keep=lambda mask: mask[:, :-1]),),
    "mean_for_sum": (
        _logprob_with(join=lambda logp, kept: logp.masked_fill(~kept, 0.0).sum(1) / kept.sum(1)),
        _logprob_with(join=lambda logp, kept: logp.masked_fill(~kept, 0.0).mean(1)),
    ),
    "no_softmax": (_logprob_with(scores=lambda logits: logits),),
    "no_logarithm": (
        _logprob_with(scores=lambda logits: logits.softmax(-1)),
        _logprob_with(scores=lambda logits: logits.softmax(-1), join=lambda p, kept: p.masked_fill(~kept, 1.0).prod(1)),
    ),
    "softmax_over_places": (_logprob_with(scores=lambda logits: logits.log_softmax(1)),),
    "a_loss": (_logprob_with(join=lambda logp, kept: -logp.masked_fill(~kept, 0.0).sum(1)),),
    "all_rows_together": (_logprob_with(join=lambda logp, kept: logp[kept].sum()),),
    "one_for_each_token": (_logprob_with(join=lambda logp, kept: logp.masked_fill(~kept, 0.0)),),
    "prompt_instead": (_logprob_with(join=lambda logp, kept: logp.masked_fill(kept, 0.0).sum(1)),),
}
_LOGPROB_HINTS = {
    "not_shifted": "You look up ids[b, t] in logits[b, t]. Those logits are of the token that comes after it.",
    "prompt_counted": "You count every token. The prompt wasn't chosen by the model, and padding by nobody.",
    "mask_multiplied": "0 * -inf is nan. Set what isn't counted to 0, by masked_fill or torch.where, in place of multiplying.",
    "mask_not_shifted": "You shifted logits and ids against each other, but the mask belongs to ids: which of its "
    "columns go with ids[:, 1:]?",
    "mean_for_sum": "You divide by the number of tokens. The log-probability of a text is the sum over its tokens.",
    "no_softmax": "Logits are no log-probabilities yet: those of one place must be normalised first.",
    "no_logarithm": "You work with probabilities. Asked is the sum of their logarithms.",
    "softmax_over_places": "Your softmax runs over the places. Which axis holds the possible tokens?",
    "a_loss": "Your sign is that of a loss. A log-probability is never above 0.",
    "all_rows_together": "You add all rows up. Each answer has a number of its own: (B,).",
    "one_for_each_token": "You give one number a token. Sum over the answer.",
    "prompt_instead": "You count what is not in the answer. masked_fill fills where its mask is True.",
}
_LOGPROB_MISCONCEPTIONS = misconceptions_of(_LOGPROB_WRONG, _LOGPROB_HINTS)


# dpo_loss: run with its gradient


def _dpo_arguments(better, worse, *rest):
    """As in training: what the model gave asks for a gradient, the reference doesn't."""
    return (better.detach().clone().requires_grad_(), worse.detach().clone().requires_grad_(), *rest)


def _dpo_run(work, *case):
    """The loss and its gradient; no gradient where the loss isn't one number."""
    import torch

    case = _dpo_arguments(*case)
    loss = work(*case)
    if not is_tensor(loss) or loss.numel() != 1:
        return loss, None, None
    if not loss.requires_grad:
        raise Failed("Your loss has no gradient. It must be made of better and worse by torch alone, without .item().")
    return loss.detach(), *torch.autograd.grad(loss, case[:2], allow_unused=True)


def _dpo_case(rng, B=None, beta=None, spread=5.0):
    import torch

    B = B or int(rng.integers(1, 7))
    parts = (torch.tensor(rng.normal(-40, spread, B), dtype=torch.float32) for _ in range(4))
    return *parts, float(rng.choice([0.05, 0.1, 0.3, 1.0]) if beta is None else beta)


def _dpo_oracle(better, worse, ref_better, ref_worse, beta):
    """In NumPy: the loss, and the gradient by its formula."""
    import torch

    b, w, rb, rw = (part.double().numpy() for part in (better, worse, ref_better, ref_worse))
    margin = beta * ((b - rb) - (w - rw))
    slope = -beta / (1 + np.exp(np.minimum(margin, 700.0))) / len(margin)
    parts = (np.logaddexp(0.0, -margin).mean(), slope, -slope)
    return tuple(torch.tensor(part, dtype=torch.float32) for part in parts)


def _expect_dpo(attempt, case, why=""):
    attempt.expect(case, _dpo_oracle(*case), why)


def _ones(*values):
    import torch

    return tuple(torch.tensor([value]) for value in values)


def _check_dpo_by_hand(attempt):
    why = "The preferred answer has gained 2 on the reference, the other has lost 1: -log sigmoid(0.5 * 3) = 0.2014."
    _expect_dpo(attempt, (*_ones(-10.0, -13.0, -12.0, -12.0), 0.5), why)


def _check_dpo_start(attempt):
    import torch

    values = torch.tensor([-30.0, -21.5, -44.0])
    case = (values, values.flip(0), values.clone(), values.flip(0), 0.1)
    _expect_dpo(attempt, case, "Model and reference agree: whatever the answers, the loss is log 2 = 0.6931.")


def _check_dpo_random(attempt):
    rng = np.random.default_rng(11)
    for B in (1, 2, 5, 8):
        for beta in (0.05, 0.5):
            _expect_dpo(attempt, _dpo_case(rng, B, beta))


def _check_dpo_large(attempt):
    for margin in (-3000.0, -200.0, 200.0, 3000.0):
        case = (*_ones(margin, 0.0, 0.0, 0.0), 1.0)
        _expect_dpo(attempt, case, f"beta times the margin is {margin:g} here.")


def _dpo_probes():
    import torch

    rng = np.random.default_rng(12)
    large = torch.tensor([-300.0, 40.0]), torch.tensor([0.0, 10.0]), torch.zeros(2), torch.tensor([1.0, 2.0])
    return [_dpo_case(rng, 3, 0.3), _dpo_case(rng, 4, 0.05), (*large, 1.0), (*_ones(-3.0, -4.5, -3.5, -4.0), 2.0)]


def _dpo_with(
    margin=lambda b, w, rb, rw: (b - rb) - (w - rw),
    loss=lambda margin, beta: -_logsigmoid(beta * margin),
    join=lambda losses: losses.mean(),
):
    """dpo_loss from its parts, so that one of them can be wrong."""
    return lambda better, worse, ref_better, ref_worse, beta: join(loss(margin(better, worse, ref_better, ref_worse), beta))


def _logsigmoid(x):
    import torch

    return torch.nn.functional.logsigmoid(x)


_DPO_WRONG = {
    "sign_swapped": (_dpo_with(margin=lambda b, w, rb, rw: (w - rw) - (b - rb)),),
    "reference_forgotten": (_dpo_with(margin=lambda b, w, rb, rw: b - w),),
    "reference_added": (_dpo_with(margin=lambda b, w, rb, rw: (b - w) + (rb - rw)),),
    "preferred_answer_only": (_dpo_with(margin=lambda b, w, rb, rw: b - rb),),
    "added_not_subtracted": (_dpo_with(margin=lambda b, w, rb, rw: (b - rb) + (w - rw)),),
    "beta_left_out": (_dpo_with(loss=lambda m, beta: -_logsigmoid(m)),),
    "beta_outside": (_dpo_with(loss=lambda m, beta: -beta * _logsigmoid(m)),),
    "divided_by_beta": (_dpo_with(loss=lambda m, beta: -_logsigmoid(m / beta)),),
    "minus_forgotten": (_dpo_with(loss=lambda m, beta: _logsigmoid(beta * m)),),
    "logarithm_forgotten": (
        _dpo_with(loss=lambda m, beta: -(beta * m).sigmoid()),
        _dpo_with(loss=lambda m, beta: 1 - (beta * m).sigmoid()),
    ),
    "sigmoid_forgotten": (_dpo_with(loss=lambda m, beta: -beta * m),),
    "overflows": (
        _dpo_with(loss=lambda m, beta: -(beta * m).sigmoid().log()),
        _dpo_with(loss=lambda m, beta: (1 + (-beta * m).exp()).log()),
    ),
    "sum_for_mean": (_dpo_with(join=lambda losses: losses.sum()),),
    "mean_too_early": (_dpo_with(margin=lambda b, w, rb, rw: ((b - rb) - (w - rw)).mean()),),
    "one_for_each_pair": (_dpo_with(join=lambda losses: losses),),
}
_DPO_HINTS = {
    "sign_swapped": "Your loss falls when the *other* answer becomes more probable. Which of the two is to win?",
    "reference_forgotten": "Your loss never looks at the reference. At the start model and reference agree, and every "
    "pair must give log 2.",
    "reference_added": "You add the difference of the references. What counts is by how much each answer *gained* on its own reference.",
    "preferred_answer_only": "The other answer has no part in your loss.",
    "added_not_subtracted": "You add the two gains. The preferred answer should gain more than the other.",
    "beta_left_out": "beta has no effect.",
    "beta_outside": "You multiply the loss by beta. beta belongs to the margin, inside the sigmoid.",
    "divided_by_beta": "You divide by beta. A reward is beta times the gain in log-probability.",
    "minus_forgotten": "Your loss has the wrong sign: a loss of this kind is never below 0.",
    "logarithm_forgotten": "The sigmoid gives the probability of the right order. What is its surprise?",
    "sigmoid_forgotten": "Your loss is linear in the margin: it never has enough. Where is the sigmoid?",
    "overflows": "For large margins your loss becomes infinite or loses its gradient. torch has log(sigmoid(x)) in one "
    "piece.",
    "sum_for_mean": "You sum over the pairs. Asked is the mean.",
    "mean_too_early": "You average the margins before the sigmoid. Each pair has a loss of its own; average those.",
    "one_for_each_pair": "You return one loss a pair. Asked is their mean.",
}
_DPO_MISCONCEPTIONS = misconceptions_of(_DPO_WRONG, _DPO_HINTS)


# kl_penalty


def _kl_case(rng, B=None, T=None, V=None):
    sizes = _sizes(rng)
    B, T, V = B or sizes[0], T or sizes[1], V or sizes[2]
    return _logits(rng, B, T, V), _logits(rng, B, T, V), _mask(rng, B, T)


def _kl_oracle(logits, ref_logits, mask):
    """Place by place, by torch's own distributions."""
    import torch
    from torch.distributions import Categorical, kl_divergence

    rows = []
    for b in range(len(mask)):
        places = [t - 1 for t in range(1, mask.shape[1]) if mask[b, t]]
        pairs = [(Categorical(logits=logits[b, t]), Categorical(logits=ref_logits[b, t])) for t in places]
        rows.append(sum(kl_divergence(p, q) for p, q in pairs) + torch.zeros(()))
    return torch.stack(rows)


def _expect_kl(attempt, case, why=""):
    attempt.expect(case, _kl_oracle(*case), why)


def _check_kl_by_hand(attempt):
    import torch

    logits = torch.tensor([[[0.0, 4.0], [math.log(3.0), 0.0], [7.0, 0.0]]])
    case = (logits, torch.zeros(1, 3, 2), torch.tensor([[False, False, True]]))
    why = "One token, drawn from (3/4, 1/4); the reference says (1/2, 1/2): 3/4 log 3/2 + 1/4 log 1/2 = 0.1308."
    attempt.expect(case, torch.tensor([0.75 * math.log(1.5) + 0.25 * math.log(0.5)]), why)


def _check_kl_random(attempt):
    rng = np.random.default_rng(21)
    for B, T, V in ((1, 2, 3), (4, 6, 5), (3, 3, 3), (2, 7, 2)):
        _expect_kl(attempt, _kl_case(rng, B, T, V))


def _check_kl_zero(attempt):
    import torch

    logits, _, mask = _kl_case(np.random.default_rng(22), 3, 5, 4)
    why = "Model and reference are the same distributions: logits may differ by a constant."
    attempt.expect((logits, logits + 3.0, mask), torch.zeros(3), why)


def _far_outside():
    import torch

    logits, ref_logits, mask = _kl_case(np.random.default_rng(23), 3, 6, 4)
    for b in range(3):
        for t in range(6):
            if t == 5 or not mask[b, t + 1]:
                logits[b, t] = 40.0 * torch.arange(4)
    return logits, ref_logits, mask


def _check_kl_prompt(attempt):
    _expect_kl(attempt, _far_outside(), "Here model and reference are far apart outside the answer, which is not counted.")


def _kl_probes():
    rng = np.random.default_rng(24)
    return [_far_outside(), *(_kl_case(rng, B, T, V) for B, T, V in ((3, 6, 4), (2, 5, 3), (1, 7, 5), (4, 4, 2)))]


def _kl_with(
    normal=lambda logits: logits.log_softmax(-1),
    at_place=lambda p, q: (p.exp() * (p - q)).sum(-1),
    places=lambda kl, mask: (kl[:, :-1], mask[:, 1:]),
    join=lambda kl, kept: kl.masked_fill(~kept, 0.0).sum(1),
):
    """kl_penalty from its parts, so that one of them can be wrong."""
    return lambda logits, ref_logits, mask: join(*places(at_place(normal(logits), normal(ref_logits)), mask))


_KL_WRONG = {
    "other_way_round": (_kl_with(at_place=lambda p, q: (q.exp() * (q - p)).sum(-1)),),
    "both_ways": (
        _kl_with(at_place=lambda p, q: ((p.exp() - q.exp()) * (p - q)).sum(-1)),
        _kl_with(at_place=lambda p, q: ((p.exp() - q.exp()) * (p - q)).sum(-1) / 2),
    ),
    "not_weighted": (
        _kl_with(at_place=lambda p, q: (p - q).sum(-1)),
        _kl_with(at_place=lambda p, q: (p - q).mean(-1)),
    ),
    "weighted_by_the_reference": (_kl_with(at_place=lambda p, q: (q.exp() * (p - q)).sum(-1)),),
    "logits_not_normalised": (_kl_with(normal=lambda x: x, at_place=lambda p, q: (p.softmax(-1) * (p - q)).sum(-1)),),
    "cross_entropy": (_kl_with(at_place=lambda p, q: -(p.exp() * q).sum(-1)),),
    "mean_over_vocabulary": (_kl_with(at_place=lambda p, q: (p.exp() * (p - q)).mean(-1)),),
    "prompt_counted": (_kl_with(join=lambda kl, kept: kl.sum(1)), _kl_with(places=lambda kl, mask: (kl, mask | True))),
    "mask_not_shifted": (_kl_with(places=lambda kl, mask: (kl, mask)),),
    "mean_over_answer": (_kl_with(join=lambda kl, kept: kl.masked_fill(~kept, 0.0).sum(1) / kept.sum(1)),),
    "all_rows_together": (
        _kl_with(join=lambda kl, kept: kl[kept].sum()),
        _kl_with(join=lambda kl, kept: kl.masked_fill(~kept, 0.0).sum(1).mean()),
    ),
    "softmax_underflows": (
        _kl_with(
            at_place=lambda p, q: (p.exp() * (p.exp() / q.exp()).log()).sum(-1), join=lambda kl, kept: (kl * kept).sum(1)
        ),
    ),
    "minus": (_kl_with(join=lambda kl, kept: -kl.masked_fill(~kept, 0.0).sum(1)),),
    "distance_of_probabilities": (
        _kl_with(at_place=lambda p, q: (p.exp() - q.exp()).abs().sum(-1)),
        _kl_with(at_place=lambda p, q: (p.exp() - q.exp()).square().sum(-1)),
    ),
}
_KL_HINTS = {
    "other_way_round": "You have KL(reference || model). The model drew the tokens, so the mean is taken under the model. "
    "(F.kl_div takes its two arguments in the other order, too.)",
    "both_ways": "You have the symmetric distance. KL(model || reference) is one of its two halves.",
    "not_weighted": "Every token of the vocabulary weighs the same in your mean. Weigh each by its probability under the "
    "model.",
    "weighted_by_the_reference": "You weigh by the reference's probabilities. The model drew the tokens.",
    "logits_not_normalised": "You subtract logits. A constant added to all logits of a place changes nothing in the "
    "distribution, but it changes your result.",
    "cross_entropy": "You have the cross-entropy. It isn't 0 where both agree: subtract the model's entropy.",
    "mean_over_vocabulary": "You divide by the size of the vocabulary. The probabilities are the weights already: sum.",
    "prompt_counted": "You count the prompt, or the padding. The model drew the answer's tokens only.",
    "mask_not_shifted": "The distribution from which token t was drawn stands at place t - 1, and the mask marks tokens.",
    "mean_over_answer": "You divide by the length of the answer. The KL of whole answers is the sum over their tokens.",
    "all_rows_together": "You join the rows. Each answer has a number of its own: (B,).",
    "softmax_underflows": "A softmax gives exactly 0 for a token that is far behind, and 0 * log 0 is nan. Take log_softmax of the logits.",
    "minus": "Your sign is wrong: a KL is never below 0.",
    "distance_of_probabilities": "You measure the distance of probabilities. KL is a mean of differences of logarithms.",
}
_KL_MISCONCEPTIONS = misconceptions_of(_KL_WRONG, _KL_HINTS)


# win_rate


def _win_case(rng, n=None):
    n = n or int(rng.integers(4, 40))
    return rng.integers(0, 4, n) + rng.integers(0, 2, n), rng.integers(0, 4, n)


def _win_oracle(new, old):
    """The rates p at which the observed one is just 1.96 standard errors away: roots of a quadratic."""
    n = len(new)
    outcomes = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in zip(new.tolist(), old.tolist())]
    rate, c = sum(outcomes) / n, 1.96**2 / n
    low, high = sorted(np.roots([1 + c, -(2 * rate + c), rate**2]).real)
    return rate, float(low), float(high)


def _expect_win(attempt, case, why=""):
    attempt.expect(case, _win_oracle(*case), why)


def _check_win_by_hand(attempt):
    case = (np.array([3, 1, 2, 0]), np.array([1, 1, 0, 2]))
    attempt.expect(case, (0.625, 0.219422, 0.908103), "Won, tied, won, lost: 2.5 of 4.")


def _check_win_random(attempt):
    rng = np.random.default_rng(31)
    for n in (2, 5, 12, 40, 150):
        _expect_win(attempt, _win_case(rng, n))


def _check_win_all(attempt):
    for n in (3, 20):
        case = (np.arange(n) + 1.5, np.arange(n) + 1.0)
        _expect_win(attempt, case, f"All {n} won. {n} prompts are no proof that none is ever lost.")
        _expect_win(attempt, case[::-1], f"All {n} lost.")


def _check_win_ties(attempt):
    scores = np.array([2, 0, 1, 5, 4, 4])
    _expect_win(attempt, (scores, scores.copy()), "Six ties.")


def _check_win_paired(attempt):
    rng = np.random.default_rng(32)
    new = rng.normal(size=30)
    _expect_win(attempt, (new, new - 0.01), "Better by little on every prompt.")
    _expect_win(attempt, (new, new[::-1].copy()), "The same scores, on other prompts.")


def _win_probes():
    rng = np.random.default_rng(33)
    few = np.array([4, 4, 1, 0, 9]), np.array([1, 2, 1, 1, 3])
    return [_win_case(rng, 12), few, (np.array([2.0, 3.0, 9.0]), np.array([1.0, 2.0, 0.0])), _win_case(rng, 30)]


def _wilson(rate, n, z=1.96):
    spread = 1 + z * z / n
    half = z * math.sqrt(max(rate * (1 - rate), 0.0) / n + z * z / (4 * n * n)) / spread
    middle = (rate + z * z / (2 * n)) / spread
    return middle - half, middle + half


def _outcomes(new, old):
    return (new > old) + 0.5 * (new == old)


def _win_with(outcomes=_outcomes, interval=lambda outcomes: _wilson(outcomes.mean(), len(outcomes))):
    """win_rate from its parts, so that one of them can be wrong."""

    def rate(new, old):
        found = np.asarray(outcomes(new, old), dtype=float)
        low, high = interval(found)
        return float(found.mean()), float(low), float(high)

    return rate


def _around(outcomes, half):
    return outcomes.mean() - half, outcomes.mean() + half


def _error(outcomes):
    return math.sqrt(outcomes.mean() * (1 - outcomes.mean()) / len(outcomes))


def _clipped(low, high):
    return max(low, 0.0), min(high, 1.0)


_WIN_WRONG = {
    "ties_lost": (_win_with(outcomes=lambda new, old: new > old),),
    "ties_won": (_win_with(outcomes=lambda new, old: new >= old),),
    "ties_left_out": (_win_with(outcomes=lambda new, old: (new > old)[new != old]),),
    "old_model_wins": (_win_with(outcomes=lambda new, old: _outcomes(old, new)),),
    "every_answer_against_every": (
        _win_with(outcomes=lambda new, old: _outcomes(new[:, None], old[None]).ravel()),
        _win_with(outcomes=lambda new, old: _outcomes(new[:, None], old[None]).mean(1)),
    ),
    "sorted_first": (_win_with(outcomes=lambda new, old: _outcomes(np.sort(new), np.sort(old))),),
    "symmetric_interval": (
        _win_with(interval=lambda o: _around(o, 1.96 * _error(o))),
        _win_with(interval=lambda o: _around(o, 1.96 * o.std(ddof=1) / math.sqrt(len(o)))),
        _win_with(interval=lambda o: _around(o, 1.96 * o.std() / math.sqrt(len(o)))),
        _win_with(interval=lambda o: _clipped(*_around(o, 1.96 * _error(o)))),
        _win_with(interval=lambda o: _clipped(*_around(o, 1.96 * o.std(ddof=1) / math.sqrt(len(o))))),
    ),
    "middle_not_moved": (_win_with(interval=lambda o: _around(o, np.ptp(_wilson(o.mean(), len(o))) / 2)),),
    "one_standard_error": (_win_with(interval=lambda o: _wilson(o.mean(), len(o), z=1.0)),),
    "not_divided_by_n": (_win_with(interval=lambda o: _wilson(o.mean(), 1)),),
    "ends_exchanged": (_win_with(interval=lambda o: _wilson(o.mean(), len(o))[::-1]),),
}
_WIN_HINTS = {
    "ties_lost": "You count a tie as lost. Two equal answers are half a win.",
    "ties_won": "You count a tie as won. Two equal answers are half a win.",
    "ties_left_out": "You leave ties out. A tie is half a win, and it counts in n.",
    "old_model_wins": "You count the wins of the old model.",
    "every_answer_against_every": "You compare answers to different prompts. Answer i meets answer i only, or easy prompts "
    "decide.",
    "sorted_first": "You sort the scores, so that answers to different prompts meet.",
    "symmetric_interval": "Your interval lies evenly around the rate. With all won it has no width or passes 1. Wilson's has "
    "another middle and another half.",
    "middle_not_moved": "Wilson's half width is right, but his interval lies around a middle that is drawn towards 1/2.",
    "one_standard_error": "Your interval is one standard error wide each way. z is 1.96.",
    "not_divided_by_n": "Your interval doesn't shrink with the number of prompts.",
    "ends_exchanged": "low and high have changed places.",
}
_WIN_MISCONCEPTIONS = misconceptions_of(_WIN_WRONG, _WIN_HINTS)


# loss_is_sound: the learner's own test, tried on right and on faulty losses


def _gain(logp, ref_logp, mask):
    return ((logp - ref_logp) * mask).sum(-1)  # (2, B)


def _loss_of(gain=_gain, order=lambda g: g[0] - g[1], soft=lambda m, beta: -_logsigmoid(beta * m).mean()):
    """A DPO loss from its parts."""
    return lambda logp, ref_logp, mask, beta: soft(order(gain(logp, ref_logp, mask)), beta)


def _in_a_loop(logp, ref_logp, mask, beta):
    import torch

    total = 0
    for b in range(logp.shape[1]):
        better, worse = (logp[i, b][mask[i, b]].sum() - ref_logp[i, b][mask[i, b]].sum() for i in (0, 1))
        total = total + torch.log1p(torch.exp(-beta * (better - worse)))
    return total / logp.shape[1]


def _as_two_classes(logp, ref_logp, mask, beta):
    import torch

    scores = beta * torch.where(mask, logp - ref_logp, 0.0).sum(-1)  # (2, B)
    return torch.logsumexp(scores, 0).sub(scores[0]).mean()


def _mean_of_answer(logp, ref_logp, mask):
    return _gain(logp, ref_logp, mask) / mask.sum(-1)


def _per_mean_length(logp, ref_logp, mask):
    return _gain(logp, ref_logp, mask) / mask.sum(-1).float().mean()


def _one_token_late(logp, ref_logp, mask):
    late = mask.clone()
    late[..., 1:] &= mask[..., :-1]
    late[..., 0] = False
    return _gain(logp, ref_logp, late)


SOUND = {
    "the sum, then the sigmoid": _loss_of(),
    "pair by pair in a loop": _in_a_loop,
    "as a choice between two classes": _as_two_classes,
}
FAULTY = {
    "signs swapped": _loss_of(order=lambda g: g[1] - g[0]),
    "the reference forgotten": _loss_of(gain=lambda p, q, mask: (p * mask).sum(-1)),
    "the reference added": _loss_of(gain=lambda p, q, mask: ((p + q) * mask).sum(-1)),
    "the reference of the preferred answer only": lambda p, q, mask, beta: _loss_of()(p, q * _first(q), mask, beta),
    "the prompt counted": _loss_of(gain=lambda p, q, mask: (p - q).sum(-1)),
    "the prompt counted in the model, not in the reference": _loss_of(gain=lambda p, q, mask: p.sum(-1) - (q * mask).sum(-1)),
    "the mask of the preferred answer for both": lambda p, q, mask, beta: _loss_of()(p, q, mask[:1].expand_as(mask), beta),
    "what follows the answer counted": _loss_of(gain=lambda p, q, mask: _gain(p, q, mask.int().cummax(-1).values)),
    "the first token of the answer left out": _loss_of(gain=_one_token_late),
    "the mean over an answer's tokens": _loss_of(gain=_mean_of_answer),
    "divided by the mean length": _loss_of(gain=_per_mean_length),
    "beta always 0.1": lambda p, q, mask, beta: _loss_of()(p, q, mask, 0.1),
    "beta always 1": lambda p, q, mask, beta: _loss_of()(p, q, mask, 1.0),
    "beta in front of the loss": _loss_of(soft=lambda m, beta: -beta * _logsigmoid(m).mean()),
    "the sum over the pairs": _loss_of(soft=lambda m, beta: -_logsigmoid(beta * m).sum()),
    "the first pair only": _loss_of(soft=lambda m, beta: -_logsigmoid(beta * m[0])),
    "the mean taken before the sigmoid": _loss_of(soft=lambda m, beta: -_logsigmoid(beta * m.mean())),
    "no logarithm": _loss_of(soft=lambda m, beta: 1 - (beta * m).sigmoid().mean()),
    "a linear loss": _loss_of(soft=lambda m, beta: -(beta * m).mean()),
    "the minus forgotten": _loss_of(soft=lambda m, beta: _logsigmoid(beta * m).mean()),
    "no gradient": lambda p, q, mask, beta: _loss_of()(p.detach(), q, mask, beta),
    "always log 2": lambda p, q, mask, beta: 0 * p.sum() + math.log(2),
}
LOSSES = {**SOUND, **FAULTY}


def _first(q):
    import torch

    return torch.tensor([1.0, 0.0])[:, None, None]


@dataclass(frozen=True)
class Loss:
    """A DPO loss; `kind` says what it does."""

    kind: str

    def __call__(self, logp, ref_logp, mask, beta):
        return LOSSES[self.kind](logp, ref_logp, mask, beta)

    def __repr__(self):
        return f"<a DPO loss: {self.kind}>"


def _sound_arguments(kind):
    return (Loss(kind),)


def _run_sound(work, kind):
    return work(Loss(kind))


def _expect_sound(attempt, kind):
    said = attempt(kind)
    if not isinstance(said, (bool, np.bool_)):
        raise Failed(f"Your test returned a {type_name(said)}; expected True or False, as a bool.", (kind,))
    if said != (kind in SOUND):
        found = "the right loss" if kind in SOUND else f"a loss with a fault ({kind})"
        raise Failed(f"Your test says {said} of {found}. Expected {not said}.", (kind,))


def _check_sound(kinds):
    def check(attempt):
        for kind in kinds:
            _expect_sound(attempt, kind)

    return check


_PARTS = {
    "one fault and one right loss": ("the reference forgotten", "the sum, then the sigmoid"),
    "right losses": tuple(SOUND),
    "sign and reference": tuple(FAULTY)[:4],
    "prompt and padding": tuple(FAULTY)[4:9],
    "mean and beta": tuple(FAULTY)[9:14],
    "pairs and gradient": tuple(FAULTY)[14:],
}


def _sound_probes():
    return [(kind,) for kind in LOSSES]


def _sound_sample(rng):
    return (list(LOSSES)[rng.integers(len(LOSSES))],)


def _sound_with(
    lengths=((2, 3, 6), (4, 1, 5)),
    first=1,
    betas=(0.1, 0.7),
    start=1.0,
    change=lambda logp, ref_logp, mask: (logp, ref_logp, mask),
    fine=lambda given, right: abs(given.item() - right.item()) <= 1e-4,
    gradient=True,
    answer=lambda fine: fine,
):
    """The test from its parts: what it tries and what it looks at."""

    def test(loss):
        import torch

        logp, ref_logp = -3 * torch.rand(2, 2, len(lengths[0]), 7, generator=torch.Generator().manual_seed(5))
        mask = (torch.arange(7) < torch.tensor(lengths)[..., None]).roll(first, dims=-1)
        logp, ref_logp, mask = change(logp, ref_logp, mask)
        logp.requires_grad_()
        given = [loss(logp, ref_logp, mask, beta) for beta in betas]
        right = [SOUND["the sum, then the sigmoid"](logp, ref_logp, mask, beta) for beta in betas]
        return bool(answer(all(fine(g, r) and (g.requires_grad or not gradient) for g, r in zip(given, right))))

    return test


def _starts_at_log_2(loss):
    return _sound_with(
        change=lambda logp, ref_logp, mask: (logp, logp.clone(), mask),
        fine=lambda given, right: abs(given.item() - math.log(2)) < 1e-4,
        gradient=False,
    )(loss)


def _falls_with_the_preferred(loss):
    import torch

    logp, ref_logp = -3 * torch.rand(2, 2, 3, 7, generator=torch.Generator().manual_seed(5))
    mask = torch.arange(7) >= 2
    more = logp.clone()
    more[0] += 0.5
    return bool(loss(more, ref_logp, mask.expand(2, 3, 7), 0.5) < loss(logp, ref_logp, mask.expand(2, 3, 7), 0.5))


_SOUND_WRONG = {
    "reference_of_zeros": (_sound_with(change=lambda p, q, mask: (p, 0 * q, mask)),),
    "mask_all_true": (_sound_with(change=lambda p, q, mask: (p, q, mask | True)),),
    "same_mask_for_both": (_sound_with(lengths=((2, 3, 6), (2, 3, 6))),),
    "nothing_after_the_answer": (_sound_with(first=0, change=lambda p, q, mask: (p, q, mask.flip(-1))),),
    "answers_of_one_token": (_sound_with(lengths=((1, 1, 1), (1, 1, 1))),),
    "one_pair": (_sound_with(lengths=((2,), (4,))),),
    "one_beta": (_sound_with(betas=(0.1,)), _sound_with(betas=(1.0,))),
    "start_only": (_starts_at_log_2,),
    "direction_only": (_falls_with_the_preferred,),
    "gradient_not_asked": (_sound_with(gradient=False),),
    "answer_turned_round": (_sound_with(answer=lambda fine: not fine),),
}
_SOUND_HINTS = {
    "reference_of_zeros": "Losses that ignore the reference, or add it, pass. Give your test a reference that isn't 0.",
    "mask_all_true": "A loss that counts the prompt passes. Some of your tokens must lie outside the answers.",
    "same_mask_for_both": "A loss that uses one mask for both answers passes. Preferred and other answer differ in length.",
    "nothing_after_the_answer": "A loss that counts the padding behind the answers passes. Let something follow an answer.",
    "answers_of_one_token": "With one token to each answer, sum and mean are the same, and so are both masks. Take longer "
    "answers of different lengths.",
    "one_pair": "With a single pair, sum and mean over the pairs are the same. Take several.",
    "one_beta": "A loss with a fixed beta passes. Try two.",
    "start_only": "You look at the start only, where model and reference agree. There nearly every loss gives log 2.",
    "direction_only": "You test whether the loss falls when the preferred answer gains. That is the sign, and one fault of many.",
    "gradient_not_asked": "A loss without a gradient passes. It would train nothing.",
    "answer_turned_round": "Your test says True for the faulty ones.",
}
_SOUND_MISCONCEPTIONS = misconceptions_of(_SOUND_WRONG, _SOUND_HINTS)


EXERCISES = (
    Exercise(
        id="preference_tuning.sequence_logprob",
        reference=sequence_logprob,
        difficulty=2,
        minutes=10,
        section="How probable is an answer?",
        hints=(
            "logits[:, :-1] belong to ids[:, 1:], and so does mask[:, 1:].",
            "log_softmax(-1), then gather(2, ids[:, 1:, None])[..., 0] takes the tokens that came: (B, T-1).",
            "Put 0 where the mask is False, by masked_fill, and sum over axis 1.",
        ),
        checks=(
            Check("two tokens by hand", _check_logprob_by_hand),
            Check("random rows", _check_logprob_random),
            Check("prompt and padding", _check_logprob_prompt),
            Check("an impossible prompt", _check_logprob_impossible),
            Check("longer answers", _check_logprob_length),
        ),
        misconceptions=_LOGPROB_MISCONCEPTIONS,
        probes=_logprob_probes,
        sample=_logprob_case,
    ),
    Exercise(
        id="preference_tuning.win_rate",
        reference=win_rate,
        difficulty=2,
        minutes=10,
        section="Before",
        hints=(
            "An outcome for each prompt: 1, 0.5 or 0. Their mean is the rate.",
            "(new > old) + 0.5 * (new == old) gives the outcomes.",
            "middle and half as in the formula, with n = len(new) and z = 1.96; low = middle - half.",
        ),
        checks=(
            Check("four prompts by hand", _check_win_by_hand),
            Check("random scores", _check_win_random),
            Check("all won, all lost", _check_win_all),
            Check("ties", _check_win_ties),
            Check("prompt by prompt", _check_win_paired),
        ),
        misconceptions=_WIN_MISCONCEPTIONS,
        probes=_win_probes,
        sample=_win_case,
        returns=("rate", "low end", "high end"),
    ),
    Exercise(
        id="preference_tuning.kl_penalty",
        reference=kl_penalty,
        difficulty=3,
        minutes=12,
        section="Before",
        hints=(
            "log_softmax both. At one place KL is the sum over the vocabulary of p * (log p - log q), with p the model's.",
            "The token at t was drawn from the distribution at t - 1: [:, :-1] of the logits go with mask[:, 1:].",
            "kl.masked_fill(~mask[:, 1:], 0.0).sum(1)",
        ),
        checks=(
            Check("one token by hand", _check_kl_by_hand),
            Check("random rows", _check_kl_random),
            Check("equal models", _check_kl_zero),
            Check("prompt and padding", _check_kl_prompt),
        ),
        misconceptions=_KL_MISCONCEPTIONS,
        probes=_kl_probes,
        sample=_kl_case,
    ),
    Exercise(
        id="preference_tuning.dpo_loss",
        reference=dpo_loss,
        difficulty=2,
        minutes=10,
        section="The reward drops out",
        hints=(
            "By how much has each answer gained on the reference? Their difference, times beta, is the margin.",
            "The loss of a pair is -log(sigmoid(margin)). torch has it in one stable piece.",
            "-F.logsigmoid(margin).mean()",
        ),
        checks=(
            Check("one pair by hand", _check_dpo_by_hand),
            Check("the start", _check_dpo_start),
            Check("random pairs, with gradient", _check_dpo_random),
            Check("large margins", _check_dpo_large),
        ),
        misconceptions=_DPO_MISCONCEPTIONS,
        probes=_dpo_probes,
        sample=_dpo_case,
        returns=("loss", "gradient of better", "gradient of worse"),
        drive=_dpo_run,
        arguments=_dpo_arguments,
    ),
    Exercise(
        id="preference_tuning.loss_is_sound",
        reference=loss_is_sound,
        difficulty=4,
        minutes=20,
        section="What the articles say, and what code gets wrong",
        hints=(
            "Make random logp, ref_logp and mask, compute the right loss from dpo_loss, and compare.",
            "The inputs must let every fault show: several pairs, answers of different lengths, tokens before and "
            "after them, a reference that is not 0, two betas.",
            "sums = ((logp - ref_logp) * mask).sum(-1); dpo_loss(sums[0], sums[1], zeros, zeros, beta). And "
            "logp.requires_grad_() before, loss.requires_grad after.",
        ),
        checks=tuple(Check(name, _check_sound(kinds)) for name, kinds in _PARTS.items()),
        misconceptions=_SOUND_MISCONCEPTIONS,
        probes=_sound_probes,
        sample=_sound_sample,
        drive=_run_sound,
        arguments=_sound_arguments,
    ),
)
