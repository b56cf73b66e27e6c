"""Wrong answers that no misconception describes."""

import numpy as np
import torch

from bigmodel_nb.exercises.preference_tuning import (
    dpo_loss,
    kl_penalty,
    loss_is_sound,
    sequence_logprob,
    win_rate,
)

# sequence_logprob


def last_token_left_out(logits, ids, mask):
    last = mask & ~torch.cat([mask[:, 1:], torch.zeros(len(mask), 1, dtype=torch.bool)], 1)
    return sequence_logprob(logits, ids, mask & ~last)


def most_probable_token(logits, ids, mask):
    best = torch.cat([ids[:, :1], logits[:, :-1].argmax(-1)], 1)
    return sequence_logprob(logits, best, mask)


def base_two(logits, ids, mask):
    return sequence_logprob(logits, ids, mask) / np.log(2)


def at_temperature_two(logits, ids, mask):
    return sequence_logprob(logits / 2, ids, mask)


def as_a_list(logits, ids, mask):
    return sequence_logprob(logits, ids, mask).tolist()


# dpo_loss


def clipped(better, worse, ref_better, ref_worse, beta):
    return dpo_loss(better, worse, ref_better, ref_worse, beta).clamp(max=1.0)


def hinge(better, worse, ref_better, ref_worse, beta):
    return torch.relu(1 - beta * ((better - ref_better) - (worse - ref_worse))).mean()


def squared(better, worse, ref_better, ref_worse, beta):
    return (((better - ref_better) - (worse - ref_worse)) - 1 / (2 * beta)).square().mean()


def without_gradient(better, worse, ref_better, ref_worse, beta):
    return torch.tensor(dpo_loss(better, worse, ref_better, ref_worse, beta).item())


def as_a_number(better, worse, ref_better, ref_worse, beta):
    return dpo_loss(better, worse, ref_better, ref_worse, beta).item()


def other_answer_without_gradient(better, worse, ref_better, ref_worse, beta):
    return dpo_loss(better, worse.detach(), ref_better, ref_worse, beta)


def median_of_pairs(better, worse, ref_better, ref_worse, beta):
    margin = beta * ((better - ref_better) - (worse - ref_worse))
    return torch.nn.functional.softplus(-margin).median()


# kl_penalty


def in_bits(logits, ref_logits, mask):
    return kl_penalty(logits, ref_logits, mask) / np.log(2)


def never_below_a_half(logits, ref_logits, mask):
    return kl_penalty(logits, ref_logits, mask).clamp(min=0.5)


def two_best_tokens_only(logits, ref_logits, mask):
    p, q = logits[:, :-1].log_softmax(-1), ref_logits[:, :-1].log_softmax(-1)
    terms = (p.exp() * (p - q)).topk(2, dim=-1).values
    return terms.sum(-1).masked_fill(~mask[:, 1:], 0.0).sum(1)


def to_the_uniform(logits, ref_logits, mask):
    return kl_penalty(logits, torch.zeros_like(logits), mask)


def as_numpy(logits, ref_logits, mask):
    return kl_penalty(logits, ref_logits, mask).numpy()


# win_rate


def in_percent(new, old):
    return tuple(100 * value for value in win_rate(new, old))


def as_a_dict(new, old):
    return dict(zip(("rate", "low", "high"), win_rate(new, old)))


def rate_only(new, old):
    return win_rate(new, old)[0]


def means_compared(new, old):
    return win_rate(np.array([new.mean()]), np.array([old.mean()]))


def first_half(new, old):
    return win_rate(new[: len(new) // 2], old[: len(old) // 2])


def clear_wins(new, old):
    return win_rate(new, old + 1)


# loss_is_sound


def always_true(loss):
    return [True][0]


def always_false(loss):
    return [False][0]


def as_text(loss):
    return str(loss_is_sound(loss))


def one_when_sound(loss):
    return int(loss_is_sound(loss))


def never_below_zero(loss):
    logp = torch.full((2, 2, 4), -1.0)
    return bool(loss(logp, 2 * logp, torch.ones(2, 2, 4, dtype=torch.bool), 1.0) >= 0) and loss_is_sound(loss) is not None


def only_one_form(loss):
    return loss.kind == "the sum, then the sigmoid"


OUTSIDE = {
    "preference_tuning.sequence_logprob": [
        last_token_left_out,
        most_probable_token,
        base_two,
        at_temperature_two,
        as_a_list,
    ],
    "preference_tuning.dpo_loss": [
        clipped,
        hinge,
        squared,
        without_gradient,
        as_a_number,
        other_answer_without_gradient,
        median_of_pairs,
    ],
    "preference_tuning.kl_penalty": [in_bits, never_below_a_half, two_best_tokens_only, to_the_uniform, as_numpy],
    "preference_tuning.win_rate": [in_percent, as_a_dict, rate_only, means_compared, first_half, clear_wins],
    "preference_tuning.loss_is_sound": [
        always_true,
        always_false,
        as_text,
        one_when_sound,
        never_below_zero,
        only_one_form,
    ],
}
