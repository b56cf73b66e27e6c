"""Wrong answers that no misconception describes."""

import numpy as np
import torch
import torch.nn.functional as F

from bigmodel_nb.exercises.transformer_translation import (
    beam_step,
    label_loss_with_padding,
    leak_test,
    positional_encoding,
    shift_right,
)

# positional_encoding


def base_of_1000(T, d_model):
    angle = np.arange(T)[:, None] / 1000 ** (np.arange(0, d_model, 2) / d_model)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(T, d_model)


def in_float32(T, d_model):
    return positional_encoding(T, d_model).astype(np.float32)


def as_a_tensor(T, d_model):
    return torch.tensor(positional_encoding(T, d_model))


def backwards(T, d_model):
    return positional_encoding(T, d_model)[::-1].copy()


def in_degrees(T, d_model):
    angle = np.deg2rad(np.arange(T)[:, None] / 10000 ** (np.arange(0, d_model, 2) / d_model))
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(T, d_model)


def eight_columns_always(T, d_model):
    return positional_encoding(T, 8)


def one_hot_places(T, d_model):
    return np.eye(T, d_model)


# shift_right


def as_a_list(labels, bos_id):
    return shift_right(labels, bos_id).tolist()


def in_float(labels, bos_id):
    return shift_right(labels, bos_id).float()


def mark_at_both_ends(labels, bos_id):
    moved = shift_right(labels, bos_id)
    moved[:, -1] = bos_id
    return moved


def reversed_rows(labels, bos_id):
    return shift_right(labels.flip(1), bos_id)


def first_row_only(labels, bos_id):
    moved = labels.clone()
    moved[0] = shift_right(labels, bos_id)[0]
    return moved


def one_always(labels, bos_id):
    return shift_right(labels, 1)


# label_loss_with_padding


def smoothed(logits, labels, pad_id):
    return F.cross_entropy(logits.mT, labels, ignore_index=pad_id, label_smoothing=0.1)


def warm(logits, labels, pad_id):
    return label_loss_with_padding(logits / 2, labels, pad_id)


def detached(logits, labels, pad_id):
    return label_loss_with_padding(logits, labels, pad_id).detach()


def number(logits, labels, pad_id):
    return label_loss_with_padding(logits, labels, pad_id).item()


def in_bits(logits, labels, pad_id):
    return label_loss_with_padding(logits, labels, pad_id) / 0.6931471805599453


def median(logits, labels, pad_id):
    return F.cross_entropy(logits.mT, labels, reduction="none")[labels != pad_id].median()


def first_row(logits, labels, pad_id):
    return label_loss_with_padding(logits[:1], labels[:1], pad_id)


def overflows(logits, labels, pad_id):
    keep = labels != pad_id
    chances = logits.exp() / logits.exp().sum(-1, keepdim=True)
    return -chances[keep].gather(1, labels[keep][:, None]).log().mean()


# beam_step


def unsorted(scores, log_probs, ended, pad_id):
    return tuple(part.flip(0) for part in beam_step(scores, log_probs, ended, pad_id))


def chances(scores, log_probs, ended, pad_id):
    best, parent, token = beam_step(scores, log_probs, ended, pad_id)
    return best.exp(), parent, token


def mean_score(scores, log_probs, ended, pad_id):
    best, parent, token = beam_step(scores, log_probs, ended, pad_id)
    return best / 2, parent, token


def one_fewer(scores, log_probs, ended, pad_id):
    return tuple(part[:-1] for part in beam_step(scores, log_probs, ended, pad_id))


def first_padding(scores, log_probs, ended, pad_id):
    return beam_step(scores, log_probs, ended, 0)


def score_alone(scores, log_probs, ended, pad_id):
    return beam_step(scores, log_probs, ended, pad_id)[0]


def parents_in_order(scores, log_probs, ended, pad_id):
    best, parent, token = beam_step(scores, log_probs, ended, pad_id)
    return best, parent.sort().values, token


def other_tokens_at_minus_100(scores, log_probs, ended, pad_id):
    rows = torch.where(ended[:, None], torch.full_like(log_probs, -100.0), log_probs)
    rows[ended, pad_id] = 0.0
    best, place = (scores[:, None] + rows).flatten().topk(len(scores))
    return best, place // rows.shape[1], place % rows.shape[1]


# leak_test


def trusts_everybody(predict, src, labels, vocab_size):
    return bool(labels.numel()) or leak_test(predict, src, labels, vocab_size)


def trusts_nobody(predict, src, labels, vocab_size):
    return not labels.numel()


def answers_in_words(predict, src, labels, vocab_size):
    return "sound" if leak_test(predict, src, labels, vocab_size) else "leaky"


def answers_with_a_number(predict, src, labels, vocab_size):
    return int(leak_test(predict, src, labels, vocab_size))


def first_two_places(predict, src, labels, vocab_size):
    before = predict(src, labels)
    for t in range(min(2, labels.shape[1])):
        changed = labels.clone()
        changed[:, t] = (changed[:, t] + 1) % vocab_size
        if not torch.allclose(predict(src, changed)[:, : t + 1], before[:, : t + 1], atol=1e-5):
            return False
    return True


def spoils_the_labels(predict, src, labels, vocab_size):
    answer = leak_test(predict, src, labels, vocab_size)
    labels += 1
    return answer


def sums_of_logits(predict, src, labels, vocab_size):
    before = predict(src, labels).sum()
    changed = labels.clone()
    changed[:, -1] = (changed[:, -1] + 1) % vocab_size
    return bool((predict(src, changed).sum() - before).abs() < 1)


OUTSIDE = {
    "transformer_translation.positional_encoding": [
        base_of_1000,
        in_float32,
        as_a_tensor,
        backwards,
        in_degrees,
        eight_columns_always,
        one_hot_places,
    ],
    "transformer_translation.shift_right": [
        as_a_list,
        in_float,
        mark_at_both_ends,
        reversed_rows,
        first_row_only,
        one_always,
    ],
    "transformer_translation.label_loss_with_padding": [
        smoothed,
        warm,
        detached,
        number,
        in_bits,
        median,
        first_row,
        overflows,
    ],
    "transformer_translation.beam_step": [
        unsorted,
        chances,
        mean_score,
        one_fewer,
        first_padding,
        score_alone,
        parents_in_order,
        other_tokens_at_minus_100,
    ],
    "transformer_translation.leak_test": [
        trusts_everybody,
        trusts_nobody,
        answers_in_words,
        answers_with_a_number,
        first_two_places,
        spoils_the_labels,
        sums_of_logits,
    ],
}
