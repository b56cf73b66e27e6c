"""Each misconception once more, in another style and with other names."""

import math

import numpy as np
import torch
import torch.nn.functional as F

# sequence_logprob: row by row, over lists


def rows(token, together=sum, places=lambda flags: [t for t in range(1, len(flags)) if flags[t]], back=1):
    """Each row's tokens at places(mask row), read from the logits `back` places before, then joined."""

    def work(z, x, m):
        out = []
        for scores, tokens, flags in zip(z, x.tolist(), m.tolist()):
            out.append(together([token(scores[t - back], tokens[t]) for t in places(flags)]))
        return torch.stack([torch.as_tensor(value, dtype=torch.float32) for value in out])

    return work


def surprise(scores, i):
    return -F.cross_entropy(scores[None], torch.tensor([i]))


def weighted(z, x, m):
    lp = F.log_softmax(z, -1)[:, :-1]
    return torch.einsum("btv,btv->bt", lp, F.one_hot(x[:, 1:], z.shape[-1]).float()).mul(m[:, 1:]).sum(1)


def times_the_mask(z, x, m):
    nll = F.cross_entropy(z[:, :-1].transpose(1, 2), x[:, 1:], reduction="none")
    return -(nll * m[:, 1:]).sum(1)


def across_places(z, x, m):
    logs = F.log_softmax(z, dim=1)
    return rows(lambda scores, i: scores[i])(logs, x, m)


def each_token(z, x, m):
    B, T = x.shape
    out = torch.zeros(B, T - 1)
    for b in range(B):
        for t in range(1, T):
            if m[b, t]:
                out[b, t - 1] = surprise(z[b, t - 1], int(x[b, t]))
    return out


def whole_batch(z, x, m):
    return rows(surprise)(z, x, m).sum()


# dpo_loss: as two rewards


def rewards(b, w, rb, rw, beta):
    return beta * (b - rb), beta * (w - rw)


def pairwise(make, reduce=torch.mean):
    def work(b, w, rb, rw, beta):
        return reduce(F.softplus(-make(b, w, rb, rw, beta)))

    return work


def margin_of(b, w, rb, rw, beta):
    chosen, rejected = rewards(b, w, rb, rw, beta)
    return chosen - rejected


def on_margin(function):
    return lambda *parts: function(margin_of(*parts), parts[-1])


# kl_penalty: place by place


def by_place(distance, inside=lambda flags: [t for t in range(1, len(flags)) if flags[t]], back=1, join=sum):
    def work(new, old, m):
        found = []
        for a, b, flags in zip(new, old, m.tolist()):
            found.append(join([distance(a[t - back], b[t - back]) for t in inside(flags)]))
        return torch.stack(found)

    return work


def kl(a, b):
    return F.kl_div(F.log_softmax(b, 0), F.log_softmax(a, 0), log_target=True, reduction="sum")


def logs(a, b):
    return a - torch.logsumexp(a, 0), b - torch.logsumexp(b, 0)


def from_probabilities(new, old, m):
    p, q = new.softmax(-1), old.softmax(-1)
    return ((p * (p.log() - q.log())).sum(-1)[:, :-1] * m[:, 1:]).sum(1)


def mixed(new, old, m):
    p, q = new[:, :-1].softmax(2), old[:, :-1].log_softmax(2)
    return torch.einsum("btv,btv,bt->b", p, torch.log(p) - q, m[:, 1:].float())


def everywhere(flags):
    return range(1, len(flags))


# win_rate: with counters


def counted(points, trials=len, width=1.96):
    def work(new, old):
        won = [points(a, b) for a, b in zip(new.tolist(), old.tolist()) if points(a, b) is not None]
        return (sum(won) / trials(won), *score_interval(sum(won) / trials(won), trials(won), width))

    return work


def score_interval(rate, n, z=1.96):
    scale = n + z**2
    root = z * math.sqrt(n * rate * (1 - rate) + z**2 / 4)
    return (n * rate + z**2 / 2 - root) / scale, (n * rate + z**2 / 2 + root) / scale


def fair(a, b):
    return {True: 1.0, False: 0.0}[a > b] if a != b else 0.5


def crossed(new, old):
    points = [fair(a, b) for a in new for b in old]
    rate = sum(points) / len(points)
    return (rate, *score_interval(rate, len(points)))


def ranked(new, old):
    return counted(fair)(np.array(sorted(new)), np.array(sorted(old)))


def with_interval(ends):
    def work(new, old):
        points = [fair(a, b) for a, b in zip(new, old)]
        rate = sum(points) / len(points)
        return (rate, *ends(rate, len(points)))

    return work


def plain(rate, n):
    error = 1.96 * (rate * (1 - rate) / n) ** 0.5
    return rate - error, rate + error


def unmoved(rate, n):
    low, high = score_interval(rate, n)
    return rate - (high - low) / 2, rate + (high - low) / 2


# loss_is_sound: with loops and NumPy's random numbers


def tries(starts=((1, 2, 1), (2, 1, 3)), ends=((3, 5, 6), (7, 2, 5)), betas=(0.2, 0.9), old=-2.0, wanted=None, grad=True):
    def test(loss):
        rng = np.random.default_rng(8)
        B, T = len(starts[0]), 7
        new = torch.tensor(-rng.exponential(1.5, (2, B, T)), dtype=torch.float32, requires_grad=True)
        ref = torch.tensor(old * rng.random((2, B, T)), dtype=torch.float32)
        ref = new.detach().clone() if wanted else ref
        inside = torch.zeros(2, B, T, dtype=torch.bool)
        for i in (0, 1):
            for b in range(B):
                inside[i, b, starts[i][b] : ends[i][b]] = True
        for beta in betas:
            value = loss(new, ref, inside, beta)
            sums = [[float((new - ref)[i, b][inside[i, b]].sum().detach()) for b in range(B)] for i in (0, 1)]
            right = wanted or np.mean([math.log1p(math.exp(-beta * (x - y))) for x, y in zip(*sums)])
            if abs(float(value.detach()) - right) > 1e-4 or grad and value.grad_fn is None:
                return False
        return True

    return test


def downhill(loss):
    ref, inside = torch.full((2, 2, 4), -1.0), torch.tensor([False, True, True, True]).expand(2, 2, 4)
    new = ref.clone()
    before = float(loss(new, ref, inside, 1.0))
    new[0] = -0.5
    return float(loss(new, ref, inside, 1.0)) < before


VERSIONS = {
    "preference_tuning.sequence_logprob": {
        "not_shifted": [rows(surprise, back=0)],
        "prompt_counted": [rows(surprise, places=everywhere)],
        "mask_multiplied": [weighted, times_the_mask],
        "mask_not_shifted": [rows(surprise, places=lambda flags: [t for t in range(1, len(flags)) if flags[t - 1]])],
        "mean_for_sum": [rows(surprise, together=lambda found: torch.stack(found).mean())],
        "no_softmax": [rows(lambda scores, i: scores[i])],
        "no_logarithm": [rows(lambda scores, i: F.softmax(scores, 0)[i])],
        "softmax_over_places": [across_places],
        "a_loss": [rows(lambda scores, i: F.cross_entropy(scores[None], torch.tensor([i])))],
        "all_rows_together": [whole_batch],
        "one_for_each_token": [each_token],
        "prompt_instead": [rows(surprise, places=lambda flags: [t for t in range(1, len(flags)) if not flags[t]])],
    },
    "preference_tuning.dpo_loss": {
        "sign_swapped": [pairwise(lambda *parts: -margin_of(*parts))],
        "reference_forgotten": [pairwise(lambda b, w, rb, rw, beta: beta * b - beta * w)],
        "reference_added": [pairwise(lambda b, w, rb, rw, beta: margin_of(b, w, -rb, -rw, beta))],
        "preferred_answer_only": [pairwise(lambda *parts: rewards(*parts)[0])],
        "added_not_subtracted": [pairwise(lambda *parts: sum(rewards(*parts)))],
        "beta_left_out": [pairwise(lambda b, w, rb, rw, beta: margin_of(b, w, rb, rw, 1.0))],
        "beta_outside": [lambda b, w, rb, rw, beta: beta * F.softplus(-margin_of(b, w, rb, rw, 1.0)).mean()],
        "divided_by_beta": [pairwise(lambda b, w, rb, rw, beta: margin_of(b, w, rb, rw, 1 / beta))],
        "minus_forgotten": [on_margin(lambda m, beta: torch.mean(m - F.softplus(m)))],
        "logarithm_forgotten": [on_margin(lambda m, beta: -torch.mean(1 + torch.tanh(m / 2)) / 2)],
        "sigmoid_forgotten": [lambda *parts: (rewards(*parts)[1] - rewards(*parts)[0]).mean()],
        "overflows": [on_margin(lambda m, beta: -torch.mean(torch.log(torch.sigmoid(m))))],
        "sum_for_mean": [pairwise(margin_of, reduce=torch.sum)],
        "mean_too_early": [pairwise(lambda *parts: torch.mean(margin_of(*parts)))],
        "one_for_each_pair": [pairwise(margin_of, reduce=lambda losses: losses)],
    },
    "preference_tuning.kl_penalty": {
        "other_way_round": [by_place(lambda a, b: kl(b, a))],
        "both_ways": [by_place(lambda a, b: kl(a, b) + kl(b, a))],
        "not_weighted": [by_place(lambda a, b: torch.sub(*logs(a, b)).sum())],
        "weighted_by_the_reference": [by_place(lambda a, b: -kl(b, a))],
        "logits_not_normalised": [by_place(lambda a, b: F.softmax(a, 0) @ (a - b))],
        "cross_entropy": [by_place(lambda a, b: F.cross_entropy(b, F.softmax(a, 0)))],
        "mean_over_vocabulary": [by_place(lambda a, b: kl(a, b) / len(a))],
        "prompt_counted": [by_place(kl, inside=everywhere)],
        "mask_not_shifted": [by_place(kl, back=0)],
        "mean_over_answer": [by_place(kl, join=lambda found: torch.stack(found).mean())],
        "all_rows_together": [lambda new, old, m: by_place(kl)(new, old, m).sum()],
        "softmax_underflows": [from_probabilities, mixed],
        "minus": [by_place(lambda a, b: -kl(a, b))],
        "distance_of_probabilities": [by_place(lambda a, b: torch.norm(a.softmax(0) - b.softmax(0), p=1))],
    },
    "preference_tuning.win_rate": {
        "ties_lost": [counted(lambda a, b: 1.0 if a > b else 0.0)],
        "ties_won": [counted(lambda a, b: 0.0 if a < b else 1.0)],
        "ties_left_out": [counted(lambda a, b: None if a == b else fair(a, b))],
        "old_model_wins": [lambda new, old: counted(fair)(old, new)],
        "every_answer_against_every": [crossed],
        "sorted_first": [ranked],
        "symmetric_interval": [with_interval(plain)],
        "middle_not_moved": [with_interval(unmoved)],
        "one_standard_error": [counted(fair, width=1)],
        "not_divided_by_n": [with_interval(lambda rate, n: score_interval(rate, 1))],
        "ends_exchanged": [with_interval(lambda rate, n: score_interval(rate, n, -1.96))],
    },
    "preference_tuning.loss_is_sound": {
        "reference_of_zeros": [tries(old=0.0)],
        "mask_all_true": [tries(starts=((0,) * 3,) * 2, ends=((7,) * 3,) * 2)],
        "same_mask_for_both": [tries(starts=((1, 2, 3),) * 2, ends=((3, 6, 5),) * 2)],
        "nothing_after_the_answer": [tries(starts=((1, 2, 5), (4, 1, 3)), ends=((7,) * 3,) * 2)],
        "answers_of_one_token": [tries(starts=((1, 2, 3),) * 2, ends=((2, 3, 4),) * 2)],
        "one_pair": [tries(starts=((1,), (2,)), ends=((3,), (6,)))],
        "one_beta": [tries(betas=(0.1,)), tries(betas=(1.0,))],
        "start_only": [tries(wanted=math.log(2), grad=False)],
        "direction_only": [downhill],
        "gradient_not_asked": [tries(grad=False)],
        "answer_turned_round": [lambda loss: not tries()(loss)],
    },
}
