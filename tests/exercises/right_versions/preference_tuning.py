"""Right answers of lesson 20 in another style."""

import torch
import torch.nn.functional as F


def by_cross_entropy(logits, ids, mask):
    loss = F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    return torch.where(mask[:, 1:], -loss, 0.0).sum(1)


def mask_multiplies(logits, ref_logits, mask):
    p, q = logits.log_softmax(-1), ref_logits.log_softmax(-1)
    return (F.kl_div(q, p, log_target=True, reduction="none").sum(-1)[:, :-1] * mask[:, 1:]).sum(1)


def by_distributions(logits, ref_logits, mask):
    p, q = (torch.distributions.Categorical(logits=it[:, :-1]) for it in (logits, ref_logits))
    return torch.where(mask[:, 1:], torch.distributions.kl_divergence(p, q), 0.0).sum(-1)


RIGHT = {
    "preference_tuning.sequence_logprob": [by_cross_entropy],
    "preference_tuning.kl_penalty": [mask_multiplies, by_distributions],
}
