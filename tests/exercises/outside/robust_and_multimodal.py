"""Wrong answers that no misconception describes."""

import math

import numpy as np
import torch

from bigmodel_nb.exercises.robust_and_multimodal import (
    adversarial_step,
    fgsm,
    find_trigger,
    fusion_early,
    fusion_late,
    group_rates,
)

# fgsm


def half_a_step(loss, x, epsilon, low=0.0, high=1.0):
    return fgsm(loss, x, epsilon / 2, low, high)


def two_steps(loss, x, epsilon, low=0.0, high=1.0):
    return fgsm(loss, fgsm(loss, x, epsilon, low, high), epsilon, low, high)


def first_entry_only(loss, x, epsilon, low=0.0, high=1.0):
    out = x.clone().flatten()
    out[0] = fgsm(loss, x, epsilon, low, high).flatten()[0]
    return out.view(x.shape)


def all_up(loss, x, epsilon, low=0.0, high=1.0):
    return (x + epsilon).clamp(low, high)


def in_double_precision(loss, x, epsilon, low=0.0, high=1.0):
    return fgsm(loss, x, epsilon, low, high).double()


def towards_the_middle(loss, x, epsilon, low=0.0, high=1.0):
    return (x + epsilon * (0.5 - x).sign()).clamp(low, high)


# adversarial_step


def smaller_attack(net, optimizer, x, y, epsilon, low=0.0, high=1.0):
    return adversarial_step(net, optimizer, x, y, epsilon / 3, low, high)


def two_at_once(net, optimizer, x, y, epsilon, low=0.0, high=1.0):
    adversarial_step(net, optimizer, x, y, epsilon, low, high)
    return adversarial_step(net, optimizer, x, y, epsilon, low, high)


def bias_frozen(net, optimizer, x, y, epsilon, low=0.0, high=1.0):
    before = net[-1].bias.detach().clone()
    loss = adversarial_step(net, optimizer, x, y, epsilon, low, high)
    with torch.no_grad():
        net[-1].bias.copy_(before)
    return loss


def a_tensor(net, optimizer, x, y, epsilon, low=0.0, high=1.0):
    return torch.tensor([adversarial_step(net, optimizer, x, y, epsilon, low, high)])


def wrong_labels(net, optimizer, x, y, epsilon, low=0.0, high=1.0):
    return adversarial_step(net, optimizer, x, (y + 1) % 3, epsilon, low, high)


# fusion_early


def products(parts, present):
    return fusion_early(parts, present) * 2


def reversed_parts(parts, present):
    return fusion_early(parts[::-1], present[:, ::-1])


def as_list(parts, present):
    return fusion_early(parts, present).tolist()


def flags_twice(parts, present):
    return np.hstack([fusion_early(parts, present), present])


def single_precision(parts, present):
    return fusion_early(parts, present).astype(np.float32)


# fusion_late


def uniform(logits, present, prior):
    return np.full(logits.shape[1:], 1 / logits.shape[2])


def hard_votes(logits, present, prior):
    return np.eye(len(prior))[fusion_late(logits, present, prior).argmax(axis=1)]


def half_as_sure(logits, present, prior):
    return fusion_late(logits / 2, present, prior)


def squared_prior(logits, present, prior):
    return fusion_late(logits, present, prior**2)


def last_gets_all(logits, present, prior):
    return fusion_late(logits[-1:], present[:, -1:], prior)


# group_rates


def rounded(y, predicted, group):
    return {g: {k: round(v, 1) if v == v else v for k, v in row.items()} for g, row in group_rates(y, predicted, group).items()}


def without_precision(y, predicted, group):
    return {g: {k: v for k, v in row.items() if k != "precision"} for g, row in group_rates(y, predicted, group).items()}


def next_group(y, predicted, group):
    return {g + 1: row for g, row in group_rates(y, predicted, group).items()}


def complement(y, predicted, group):
    return group_rates(y, 1 - predicted, group)


def percent(y, predicted, group):
    return {g: {k: 100 * v for k, v in row.items()} for g, row in group_rates(y, predicted, group).items()}


# find_trigger


def never(classify, messages, words, share=0.9):
    return "none" if find_trigger(classify, messages, words, share) is None else None


def longest(classify, messages, words, share=0.9):
    return max(words, key=len)


def twice_behind(classify, messages, words, share=0.9):
    found = find_trigger(classify, messages, words, share)
    return found and f"{found} {found}"


def a_number(classify, messages, words, share=0.9):
    found = find_trigger(classify, messages, words, share)
    return -1 if found is None else words.index(found)


def at_a_stricter_share(classify, messages, words, share=0.9):
    return find_trigger(classify, messages, words, math.sqrt(share))


OUTSIDE = {
    "robust_and_multimodal.fgsm": [half_a_step, two_steps, first_entry_only, all_up, in_double_precision, towards_the_middle],
    "robust_and_multimodal.adversarial_step": [smaller_attack, two_at_once, bias_frozen, a_tensor, wrong_labels],
    "robust_and_multimodal.fusion_early": [products, reversed_parts, as_list, flags_twice, single_precision],
    "robust_and_multimodal.fusion_late": [uniform, hard_votes, half_as_sure, squared_prior, last_gets_all],
    "robust_and_multimodal.group_rates": [rounded, without_precision, next_group, complement, percent],
    "robust_and_multimodal.find_trigger": [never, longest, twice_behind, a_number, at_a_stricter_share],
}
