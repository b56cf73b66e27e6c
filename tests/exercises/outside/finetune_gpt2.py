"""Wrong answers that no misconception describes."""

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F

from bigmodel_nb.exercises.finetune_gpt2 import (
    causal_lm_loss,
    pack_into_blocks,
    perplexity,
    training_state,
)

# pack_into_blocks


def right_in_int32(documents, block_size, eos_id):
    x, y = pack_into_blocks(documents, block_size, eos_id)
    return x.astype(np.int32), y.astype(np.int32)


def right_as_lists(documents, block_size, eos_id):
    x, y = pack_into_blocks(documents, block_size, eos_id)
    return x.tolist(), y.tolist()


def right_as_tensors(documents, block_size, eos_id):
    return tuple(torch.from_numpy(a) for a in pack_into_blocks(documents, block_size, eos_id))


def right_in_another_order(documents, block_size, eos_id):
    x, y = pack_into_blocks(documents, block_size, eos_id)
    return y, x


def down_the_columns(documents, block_size, eos_id):
    x, y = pack_into_blocks(documents, block_size, eos_id)
    return tuple(a.ravel().reshape(-1, len(a)).T.copy() for a in (x, y))


def documents_reversed(documents, block_size, eos_id):
    return pack_into_blocks(documents[::-1], block_size, eos_id)


def padding_in_front(documents, block_size, eos_id):
    x, y = pack_into_blocks(documents, block_size, eos_id)
    shift = int((y == -100).sum())
    return np.roll(x, shift), np.roll(y, shift)


def one_more_row(documents, block_size, eos_id):
    x, y = pack_into_blocks(documents, block_size, eos_id)
    row = np.full((1, block_size), -100)
    return np.concatenate([x, row * 0 + eos_id]), np.concatenate([y, row])


def two_marks_between(documents, block_size, eos_id):
    return pack_into_blocks([[*d, eos_id] for d in documents], block_size, eos_id)


def same_token_twice_removed(documents, block_size, eos_id):
    return pack_into_blocks([list(dict.fromkeys(d[1:] or d)) for d in documents], block_size, eos_id)


def only_small_inputs(documents, block_size, eos_id):
    return pack_into_blocks(documents[:4], block_size, eos_id)


# causal_lm_loss


def smoothed(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=0.1)


def hot(logits, labels):
    return causal_lm_loss(logits / 2, labels)


def squared_error(logits, labels):
    keep = labels != -100
    target = F.one_hot(labels[keep], logits.shape[-1]).to(logits.dtype)
    return (logits[keep].softmax(-1) - target).square().mean()


def detached(logits, labels):
    return causal_lm_loss(logits, labels).detach()


def number(logits, labels):
    return causal_lm_loss(logits, labels).item()


def one_row(logits, labels):
    return causal_lm_loss(logits[:1], labels[:1])


def with_a_dimension(logits, labels):
    return causal_lm_loss(logits, labels).reshape(1)


def overflows(logits, labels):
    keep = labels != -100
    chances = logits.exp() / logits.exp().sum(-1, keepdim=True)
    return -chances[keep].gather(1, labels[keep][:, None]).log().mean()


def with_an_epsilon(logits, labels):
    keep = labels != -100
    return -(logits.softmax(-1)[keep].gather(1, labels[keep][:, None]) + 1e-3).log().mean()


def always_double(logits, labels):
    return causal_lm_loss(logits, labels).to(torch.float64).double()


def median(logits, labels):
    return F.cross_entropy(logits.mT, labels, reduction="none")[labels != -100].median()


def places_after_ignored_left_out(logits, labels):
    before = torch.roll(labels, 1, 1)
    before[:, 0] = 0
    return causal_lm_loss(logits, labels.masked_fill(before == -100, -100))


# perplexity


def plus_one(losses, counts):
    return perplexity(losses, counts) + 1e-3


def largest(losses, counts):
    return math.exp(max(losses))


def median_of_texts(losses, counts):
    return math.exp(sorted(losses)[len(losses) // 2])


def first_text(losses, counts):
    return math.exp(losses[0])


def sorted_losses(losses, counts):
    return perplexity(sorted(losses), counts)


def rounded(losses, counts):
    return float(round(perplexity(losses, counts), 2))


def as_tensor(losses, counts):
    return torch.tensor(perplexity(losses, counts))


def as_array(losses, counts):
    return np.array([perplexity(losses, counts)])


def by_product(losses, counts):
    product = 1.0
    for loss, count in zip(losses, counts):
        product *= math.exp(min(700.0, loss * count))
    return product ** (1 / sum(counts))


# resume_equality


def model_object(model, optimizer, step, generator):
    return {**training_state(model, optimizer, step, generator), "model": copy.deepcopy(model)}


def state_in_a_list(model, optimizer, step, generator):
    return list(training_state(model, optimizer, step, generator).values())


def half_precision(model, optimizer, step, generator):
    state = training_state(model, optimizer, step, generator)
    state["model"] = {name: value.half() for name, value in state["model"].items()}
    return state


def draws_before_saving(model, optimizer, step, generator):
    torch.rand(1, generator=generator)
    return training_state(model, optimizer, step, generator)


def without_rng_and_optimizer(model, optimizer, step, generator):
    return {"model": copy.deepcopy(model.state_dict()), "step": step}


def moments_zeroed(model, optimizer, step, generator):
    state = training_state(model, optimizer, step, generator)
    for moments in state["optimizer"]["state"].values():
        moments["exp_avg"].zero_()
    return state


def step_as_text(model, optimizer, step, generator):
    return {**training_state(model, optimizer, step, generator), "step": str(step)}


def zeroes_the_live_model(model, optimizer, step, generator):
    state = training_state(model, optimizer, step, generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return state


def one_dict_for_all(model, optimizer, step, generator, kept={}):  # noqa: B006
    kept.update(training_state(model, optimizer, step, generator))
    return kept


def other_names(model, optimizer, step, generator):
    state = training_state(model, optimizer, step, generator)
    return {"weights": state.pop("model"), **state}


OUTSIDE = {
    "finetune_gpt2.pack_into_blocks": [
        right_in_int32,
        right_as_lists,
        right_as_tensors,
        right_in_another_order,
        down_the_columns,
        documents_reversed,
        padding_in_front,
        one_more_row,
        two_marks_between,
        same_token_twice_removed,
        only_small_inputs,
    ],
    "finetune_gpt2.causal_lm_loss": [
        smoothed,
        hot,
        squared_error,
        detached,
        number,
        one_row,
        with_a_dimension,
        overflows,
        with_an_epsilon,
        always_double,
        median,
        places_after_ignored_left_out,
    ],
    "finetune_gpt2.perplexity": [
        plus_one,
        largest,
        median_of_texts,
        first_text,
        sorted_losses,
        rounded,
        as_tensor,
        as_array,
        by_product,
    ],
    "finetune_gpt2.resume_equality": [
        model_object,
        state_in_a_list,
        half_precision,
        draws_before_saving,
        without_rng_and_optimizer,
        moments_zeroed,
        step_as_text,
        zeroes_the_live_model,
        one_dict_for_all,
    ],
}
