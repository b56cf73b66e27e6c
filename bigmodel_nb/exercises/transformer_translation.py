"""Exercises of lesson 10."""

from __future__ import annotations

import itertools
import math

import numpy as np

from .engine.compare import type_name
from .engine.model import Check, Exercise, Failed, Misconception
from .finetune_gpt2 import loss_gradient


def positional_encoding(T, d_model):
    """Sines and cosines that tell places apart (Vaswani et al. 2017, section 3.5).

    T: number of places, from 0; d_model: even -> float64 array (T, d_model).
    Columns 2i and 2i + 1 hold the sine and the cosine of place / 10000**(2i / d_model)
    """
    place = np.arange(T)[:, None]  # (T, 1)
    two_i = np.arange(0, d_model, 2)  # (d_model / 2,)
    angle = place / 10000 ** (two_i / d_model)  # (T, d_model / 2)
    table = np.zeros((T, d_model))
    table[:, 0::2] = np.sin(angle)
    table[:, 1::2] = np.cos(angle)
    return table


def shift_right(labels, bos_id):
    """What the decoder reads while it predicts the labels.

    labels: int64 tensor (B, T) -> int64 tensor (B, T); place t holds the label before t, place 0 bos_id
    """
    inputs = labels.roll(1, dims=1)
    inputs[:, 0] = bos_id
    return inputs


def label_loss_with_padding(logits, labels, pad_id):
    """Mean cross-entropy, in nats, over the labels that are not padding.

    logits (B, T, V), labels (B, T) from 0 to V - 1, pad_id where a row is filled up -> scalar tensor
    """
    surprise = logits.logsumexp(dim=-1) - logits.gather(-1, labels.unsqueeze(-1)).squeeze(-1)  # (B, T)
    return surprise[labels != pad_id].mean()


def beam_step(scores, log_probs, ended, pad_id):
    """One step of beam search: the K best continuations of K hypotheses, best first.

    scores (K,): log-probability of each hypothesis so far, log_probs (K, V): of its next token,
    ended (K,) bool: an ended hypothesis goes on with pad_id only, at no cost
    -> new scores (K,); parent (K,), the hypothesis that each grew from; token (K,), what was added
    """
    K, V = log_probs.shape
    only_pad = log_probs.new_full((V,), -math.inf)
    only_pad[pad_id] = 0.0
    step = log_probs.where(~ended.unsqueeze(1), only_pad)  # (K, V)
    total = scores.unsqueeze(1) + step
    best, place = total.flatten().topk(K)
    return best, place // V, place % V


def leak_test(predict, src, labels, vocab_size):
    """Whether every prediction is made without its own label and without later ones.

    predict(src, labels) -> logits (B, T, V); logits[:, t] predicts labels[:, t] and may depend on
    src and on labels[:, :t]. src (B, S), labels (B, T): int64 from 0 to vocab_size - 1.
    Differences up to 1e-5 are rounding -> True if there is no leak, else False
    """
    before = predict(src, labels)
    for t in range(labels.shape[1]):
        changed = labels.clone()
        changed[:, t:] = (changed[:, t:] + 1) % vocab_size
        moved = predict(src, changed)[:, : t + 1] - before[:, : t + 1]
        if moved.abs().max() > 1e-5:
            return False
    return True


# positional_encoding


def _places_sample(rng):
    return int(rng.integers(1, 40)), 2 * int(rng.integers(1, 9))


def _places_oracle(T, d_model):
    """Place by place and column by column, in plain floats."""
    rows = []
    for place in range(T):
        row = []
        for column in range(d_model):
            angle = place * math.exp(-math.log(10000) * (column - column % 2) / d_model)
            row.append(math.cos(angle) if column % 2 else math.sin(angle))
        rows.append(row)
    return np.array(rows)


def _check_places_by_hand(attempt):
    rows = [[math.sin(t), math.cos(t), math.sin(t / 100), math.cos(t / 100)] for t in (0, 1, 2)]
    why = "With four columns the angles of place t are t and t / 100, in radians."
    attempt.expect((3, 4), np.array(rows), why)
    attempt.expect((3, 2), np.array(rows)[:, :2], "With two columns the angle is the place itself.")


def _check_places_first(attempt):
    attempt.expect((1, 6), np.array([[0.0, 1, 0, 1, 0, 1]]), "Place 0: all angles are 0.")


def _check_places_random(attempt):
    rng = np.random.default_rng(1)
    for case in ((2, 4), (7, 6), (50, 32), *(_places_sample(rng) for _ in range(6))):
        attempt.expect(case, _places_oracle(*case))


def _check_places_products(attempt):
    """The product of two rows depends on their distance alone."""
    table = np.asarray(attempt(30, 16), dtype=float)
    products = table @ table.T
    for distance in (0, 1, 5):
        line = np.diag(products, distance)
        if not np.allclose(line, line[0]):
            text = (
                f"The product of two of your rows that are {distance} apart changes along the sentence, "
                f"from {line.min():.4f} to {line.max():.4f}. It must depend on the distance alone."
            )
            raise Failed(text, (30, 16))


def _places_probes():
    return [(6, 8), (4, 10), (9, 4)]


def _places_with(angle, even=np.sin, odd=np.cos, join=None):
    """A table from its parts. angle(place, i, d_model): i counts the pairs from 0."""

    def table(T, d_model):
        i = np.arange(d_model // 2)
        angles = angle(np.arange(T, dtype=float)[:, None], i, d_model)
        pair = even(angles), odd(angles)
        return join(*pair) if join else np.stack(pair, axis=-1).reshape(T, d_model)

    return table


def _right_angle(place, i, d_model):
    return place / 10000 ** (2 * i / d_model)


def _own_angle_each(T, d_model):
    angle = np.arange(T)[:, None] / 10000 ** (np.arange(d_model) / d_model)
    return np.where(np.arange(d_model) % 2, np.cos(angle), np.sin(angle))


_PLACES_MISCONCEPTIONS = (
    Misconception(
        "halves_instead_of_pairs",
        _places_with(_right_angle, join=lambda s, c: np.concatenate([s, c], axis=1)),
        "All your sines stand in the left half and the cosines in the right one. That carries the same "
        "information, but here sine and cosine of one angle are neighbours: which slices are these columns?",
    ),
    Misconception(
        "sine_and_cosine_exchanged",
        _places_with(_right_angle, even=np.cos, odd=np.sin),
        "Your even columns hold cosines. What should the first row, place 0, look like?",
    ),
    Misconception(
        "exponent_half_as_large",
        _places_with(lambda p, i, d: p / 10000 ** (i / d)),
        "Your exponents end near 1/2 instead of near 1. The pair number i enters twice: 2i / d_model.",
    ),
    Misconception(
        "exponent_twice_as_large",
        _places_with(lambda p, i, d: p / 10000 ** (4 * i / d)),
        "Your exponents end near 2. If you count 0, 2, 4, ... you have 2i already.",
        also=(_places_with(lambda p, i, d: p / 10000 ** (2 * i / (d / 2))),),
    ),
    Misconception(
        "an_angle_for_each_column",
        _own_angle_each,
        "Your cosine columns have angles of their own. Both columns of a pair use the same angle.",
    ),
    Misconception(
        "places_from_one",
        _places_with(lambda p, i, d: _right_angle(p + 1, i, d)),
        "Your first row belongs to place 1. Which number does the first token have?",
    ),
    Misconception(
        "sines_only",
        _places_with(_right_angle, odd=np.sin),
        "All your columns are sines. A sine alone can't tell an angle from its mirror image: what stands "
        "beside it?",
    ),
    Misconception(
        "multiplied_instead_of_divided",
        _places_with(lambda p, i, d: p * 10000 ** (2 * i / d)),
        "Your later columns turn thousands of times from one place to the next. Should the power "
        "multiply the place or divide it?",
    ),
    Misconception(
        "exponent_not_divided",
        _places_with(lambda p, i, d: p / 10000.0 ** (2 * i)),
        "From the second pair on your angles are almost 0. By what is the exponent divided?",
        also=(_places_with(lambda p, i, d: p / 10000.0**i),),
    ),
    Misconception(
        "the_last_pair_reaches_the_end",
        _places_with(lambda p, i, d: p / 10000 ** (i / max(1, d // 2 - 1))),
        "Your slowest pair has the wavelength 10000 * 2 pi exactly. By the formula it stays a little "
        "below: what is 2i / d_model for the last i?",
    ),
    Misconception(
        "rows_and_columns_exchanged",
        lambda T, d_model: positional_encoding(T, d_model).T.copy(),
        "Your table has a row for each column of the model. One row a place, please.",
    ),
)


# shift_right


def _labels(rng, B, T, low=3, high=30):
    import torch

    return torch.tensor(rng.integers(low, high, size=(B, T)))


def _shift_sample(rng):
    return _labels(rng, int(rng.integers(1, 5)), int(rng.integers(2, 8))), int(rng.integers(0, 3))


def _shift_oracle(labels, bos_id):
    import torch

    return torch.tensor([[bos_id, *row[:-1]] for row in labels.tolist()])


def _check_shift_by_hand(attempt):
    import torch

    case = (torch.tensor([[7, 8, 9, 2]]), 1)
    why = "To predict 7 the decoder reads 1, the start mark; to predict 8 it reads 7; the last label is read by no one."
    attempt.expect(case, torch.tensor([[1, 7, 8, 9]]), why)


def _check_shift_random(attempt):
    rng = np.random.default_rng(2)
    for _ in range(8):
        case = _shift_sample(rng)
        attempt.expect(case, _shift_oracle(*case))


def _check_shift_padding(attempt):
    import torch

    labels = torch.tensor([[5, 6, 2, 0, 0], [5, 6, 7, 8, 2]])
    why = "Padding is moved like all else; the loss leaves it out."
    attempt.expect((labels, 1), _shift_oracle(labels, 1), why)


def _check_shift_edges(attempt):
    rng = np.random.default_rng(3)
    for B, T, bos in ((1, 1, 1), (3, 1, 2), (1, 9, 0), (4, 4, 29)):
        case = (_labels(rng, B, T), bos)
        attempt.expect(case, _shift_oracle(*case))


def _shift_probes():
    import torch

    return [
        (torch.tensor([[11, 12, 13, 14], [21, 22, 23, 24], [31, 32, 33, 34]]), 1),
        (torch.tensor([[15, 16, 17], [25, 26, 27]]), 2),
    ]


def _front(labels, value):
    labels = labels.clone()
    labels[:, 0] = value
    return labels


def _joined(labels, *columns):
    """Columns one beside the other; a number stands for a column full of it."""
    import torch

    whole = [labels.new_full((len(labels), 1), c) if isinstance(c, int) else c for c in columns]
    return torch.cat(whole, dim=1)


def _flat_shift(labels, bos_id):
    moved = labels.flatten().roll(1)
    moved[0] = bos_id
    return moved.view_as(labels)


_SHIFT_MISCONCEPTIONS = (
    Misconception(
        "first_label_overwritten",
        lambda labels, bos_id: _front(labels, bos_id),
        "You put the start mark over the first label and moved nothing: from place 1 on the decoder "
        "reads the very label that it must predict.",
    ),
    Misconception(
        "not_shifted",
        lambda labels, bos_id: labels.clone(),
        "Inputs equal labels: the decoder reads its answer. What may it know when it predicts place 0?",
    ),
    Misconception(
        "shifted_to_the_left",
        lambda labels, bos_id: _joined(labels, labels[:, 1:], bos_id),
        "Your place t holds the label *after* t. The decoder may know the past only.",
        also=(
            lambda labels, bos_id: labels.roll(-1, dims=1),
            lambda labels, bos_id: _front(labels.roll(-1, dims=1), bos_id),
        ),
    ),
    Misconception(
        "nothing_dropped",
        lambda labels, bos_id: _joined(labels, bos_id, labels),
        "Your rows are one longer than the labels. Which label does nobody need to read?",
    ),
    Misconception(
        "last_label_comes_first",
        lambda labels, bos_id: labels.roll(1, dims=1),
        "roll brings the last label round to the front, so the decoder knows how the sentence ends. "
        "What belongs there?",
    ),
    Misconception(
        "padding_in_front",
        lambda labels, bos_id: _front(labels.roll(1, dims=1), 0),
        "The first column is 0. The start mark has an id of its own, bos_id.",
    ),
    Misconception(
        "shifted_twice",
        lambda labels, bos_id: _joined(labels, bos_id, bos_id, labels[:, :-2]),
        "Your inputs lag two places behind the labels. How often have you shifted?",
    ),
    Misconception(
        "rows_shifted",
        lambda labels, bos_id: labels.roll(1, dims=0),
        "Each row became the one before it. Which of the two dimensions is time?",
        also=(lambda labels, bos_id: _front(labels.roll(1, dims=0), bos_id),),
    ),
    Misconception(
        "runs_over_the_rows",
        _flat_shift,
        "The last label of one sentence became the first input of the next. Each row begins anew.",
        also=(lambda labels, bos_id: labels.roll(1),),
    ),
    Misconception(
        "start_mark_missing",
        lambda labels, bos_id: labels[:, :-1].clone(),
        "You dropped the last label and put nothing in front, so the first label is never predicted.",
    ),
)


# label_loss_with_padding


def _label_case(rng, B=None, T=None, V=None, pad_id=None, scale=2.0, dtype="float32"):
    """Random logits; rows of labels that end in padding, one row full."""
    import torch

    B, T, V = B or int(rng.integers(2, 5)), T or int(rng.integers(3, 8)), V or int(rng.integers(4, 12))
    pad_id = int(rng.integers(0, V)) if pad_id is None else pad_id
    labels = rng.integers(0, V - 1, size=(B, T))
    labels[labels >= pad_id] += 1  # every id but that of the padding
    for row, length in enumerate(rng.integers(1, T + 1, size=B)):
        labels[row, max(length, T * (row == 0)) :] = pad_id
    return torch.tensor(rng.normal(size=(B, T, V)) * scale, dtype=getattr(torch, dtype)), torch.tensor(labels), pad_id


def _label_oracle(logits, labels, pad_id):
    import torch.nn.functional as F

    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=pad_id)


def _check_label_by_hand(attempt):
    import torch

    logits = torch.tensor([[[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 100.0]]])
    why = "Four equal logits cost log 4; the second label is padding and costs nothing."
    attempt.expect((logits, torch.tensor([[2, 0]]), 0), torch.tensor(math.log(4)), why)


def _check_label_random(attempt):
    rng = np.random.default_rng(4)
    for dtype in ("float32", "float64") * 5:
        case = _label_case(rng, dtype=dtype)
        attempt.expect(case, _label_oracle(*case))


def _check_label_padding_added(attempt):
    import torch

    logits, labels, pad_id = _label_case(np.random.default_rng(5), B=3, T=5, V=6)
    expected = _label_oracle(logits, labels, pad_id)
    wider = torch.cat([logits, torch.full((3, 4, 6), 1.5)], dim=1), torch.nn.functional.pad(labels, (0, 4), value=pad_id)
    attempt.expect((*wider, pad_id), expected, "Four more places of padding may not change the loss.")
    changed = logits.masked_fill((labels == pad_id).unsqueeze(-1), 7.5)
    attempt.expect((changed, labels, pad_id), expected, "Only logits at padding changed, so the loss may not change.")


def _check_label_edges(attempt):
    rng = np.random.default_rng(6)
    for sizes in ({"B": 1, "T": 1}, {"B": 1, "T": 9}, {"B": 5, "T": 1, "V": 5}, {"V": 200}, {"scale": 300.0}):
        case = _label_case(rng, **sizes)
        attempt.expect(case, _label_oracle(*case))
    case = _label_case(rng, B=3, V=7, pad_id=4)
    case[1][0] = 4
    attempt.expect(case, _label_oracle(*case), "The first row is padding from end to end.")


def _label_gradient(fn, logits, labels, pad_id):
    return loss_gradient(lambda z, y: fn(z, y, pad_id), logits, labels)


def _check_label_gradient(attempt):
    case = _label_case(np.random.default_rng(7))
    expected = _label_gradient(_label_oracle, *case)
    attempt.expect(case, expected, "This is the gradient of your loss.", drive=_label_gradient)


def _label_probes():
    rng = np.random.default_rng(8)
    return [_label_case(rng, B=3, T=6, V=7, pad_id=3), _label_case(rng, B=4, T=5, V=5, pad_id=2)]


def _surprises(logits, labels):
    return -logits.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)  # (B, T)


def _label_with(surprises=_surprises, counted=lambda z, y, pad: y != pad, share=lambda s, keep: s[keep].mean()):
    """The loss from its parts, so that one of them can be wrong."""
    return lambda z, y, pad: share(surprises(z, y), counted(z, y, pad))


def _row_means(surprises, keep):
    rows = [s[k].mean() for s, k in zip(surprises, keep) if k.any()]
    return sum(rows) / len(rows)


def _pad_never_predicted(logits, labels, pad_id):
    logits = logits.clone()
    logits[..., pad_id] = -math.inf
    return _label_oracle(logits, labels, pad_id)


def _zeroed_logits(logits, labels, pad_id):
    return _surprises(logits * (labels != pad_id).unsqueeze(-1), labels).mean()


def _next_is_no_padding(z, y, pad):
    keep = y != pad
    keep[:, :-1] &= y[:, 1:] != pad
    return keep


_LABEL_MISCONCEPTIONS = (
    Misconception(
        "padding_counted",
        _label_with(share=lambda s, keep: s.mean()),
        "Padding counts in your loss. The model earns most by learning to predict padding: which places "
        "should the mean run over?",
    ),
    Misconception(
        "divided_by_all_places",
        _label_with(share=lambda s, keep: (s * keep).sum() / keep.numel()),
        "The padding is out of your sum and still in the number that you divide by: a batch with more "
        "padding gets a smaller loss.",
        also=(_label_with(share=lambda s, keep: (s * keep).sum() / len(keep)),),
    ),
    Misconception(
        "sum_instead_of_mean",
        _label_with(share=lambda s, keep: s[keep].sum()),
        "This is the sum. A batch of longer sentences would take longer steps: divide by what?",
    ),
    Misconception(
        "mean_of_row_means",
        _label_with(share=_row_means),
        "You average inside each row first, so a token of a short sentence weighs more than one of a "
        "long sentence. Every counted token should weigh the same.",
    ),
    Misconception(
        "padding_is_taken_to_be_zero",
        _label_with(counted=lambda z, y, pad: y != 0),
        "You leave out the labels that are 0. What is the third argument for?",
    ),
    Misconception(
        "padding_ruled_out",
        _pad_never_predicted,
        "You take padding out of the softmax as well. The model must be free to predict it, and pay.",
    ),
    Misconception(
        "shifted_again",
        lambda z, y, pad: _label_oracle(z[:, :-1], y[:, 1:], pad),
        "You compare each prediction with the next label. The shift has been done: logits[:, t] "
        "predicts labels[:, t].",
    ),
    Misconception(
        "softmax_twice",
        lambda z, y, pad: _label_oracle(z.softmax(-1), y, pad),
        "A softmax is applied to probabilities somewhere. The loss wants raw logits.",
        also=(_label_with(surprises=lambda z, y: _surprises(z.softmax(-1), y)),),
    ),
    Misconception(
        "logits_zeroed",
        _zeroed_logits,
        "You multiply the logits by the mask. Logits of 0 are a uniform guess and cost log V: leave the "
        "places out of the mean instead.",
    ),
    Misconception(
        "mask_from_the_predictions",
        _label_with(counted=lambda z, y, pad: z.argmax(-1) != pad),
        "You leave out the places where the *model* predicts padding. It could avoid every loss by "
        "doing so always. Which argument says where the padding is?",
    ),
    Misconception(
        "end_marks_left_out",
        _label_with(counted=_next_is_no_padding),
        "The last label before the padding is not counted. That is the end mark, from which the model "
        "learns to stop.",
    ),
    Misconception(
        "sign_missing",
        _label_with(share=lambda s, keep: -s[keep].mean()),
        "Your loss is negative. Surprise is *minus* the logarithm.",
    ),
)


# beam_step


def _beam_case(rng, K=None, V=None, ended=0.3, pad_id=None, dtype="float32"):
    import torch

    K = K or int(rng.integers(1, 5))
    V = V or int(rng.integers(max(3, K), 9))
    scores = torch.tensor(-rng.uniform(0.5, 4.0, size=K), dtype=getattr(torch, dtype))
    log_probs = torch.tensor(rng.normal(size=(K, V)) * 1.5, dtype=getattr(torch, dtype)).log_softmax(-1)
    return scores, log_probs, torch.tensor(rng.random(K) < ended), int(rng.integers(0, V)) if pad_id is None else pad_id


def _beam_sample(rng):
    return _beam_case(rng, ended=float(rng.choice([0.0, 0.4])))


def _beam_oracle(scores, log_probs, ended, pad_id):
    """Every continuation in a list, sorted."""
    import torch

    found = []
    for k, row in enumerate(log_probs.tolist()):
        for token, step in enumerate(row):
            if not ended[k]:
                found.append((scores[k].item() + step, k, token))
            elif token == pad_id:
                found.append((scores[k].item(), k, token))
    found = sorted(found, reverse=True)[: len(scores)]
    best = torch.tensor([score for score, _, _ in found], dtype=scores.dtype)
    return best, torch.tensor([k for _, k, _ in found]), torch.tensor([token for _, _, token in found])


def _check_beam_by_hand(attempt):
    import torch

    going = torch.tensor([False, False])
    case = (torch.tensor([0.8, 0.2]).log(), torch.tensor([[0.1, 0.5, 0.4], [0.05, 0.05, 0.9]]).log(), going, 0)
    expected = (torch.tensor([0.40, 0.32]).log(), torch.tensor([0, 0]), torch.tensor([1, 2]))
    why = "The chances are 0.8 * 0.5 = 0.40 and 0.8 * 0.4 = 0.32; the third, 0.2 * 0.9 = 0.18, falls out."
    attempt.expect(case, expected, why)
    case = (torch.tensor([0.6, 0.4]).log(), torch.tensor([[0.5, 0.3, 0.2], [0.05, 0.05, 0.9]]).log(), going, 0)
    expected = (torch.tensor([0.36, 0.30]).log(), torch.tensor([1, 0]), torch.tensor([2, 0]))
    attempt.expect(case, expected, "The chances are 0.4 * 0.9 = 0.36 and 0.6 * 0.5 = 0.30.")


def _check_beam_first(attempt):
    import torch

    _, log_probs, _, _ = _beam_case(np.random.default_rng(9), K=3, V=6)
    scores, ended = torch.tensor([0.0, -math.inf, -math.inf]), torch.zeros(3, dtype=torch.bool)
    case = (scores, log_probs, ended, 0)
    why = "At the start there is one hypothesis; the two with -inf only keep the place."
    attempt.expect(case, _beam_oracle(*case), why)


def _check_beam_random(attempt):
    rng = np.random.default_rng(10)
    for dtype in ("float32", "float64") * 6:
        case = _beam_case(rng, ended=0.0, dtype=dtype)
        attempt.expect(case, _beam_oracle(*case))


def _check_beam_ended(attempt):
    import torch

    rng = np.random.default_rng(11)
    for _ in range(12):
        case = _beam_case(rng, K=int(rng.integers(2, 5)), ended=0.6)
        attempt.expect(case, _beam_oracle(*case), f"ended is {case[2].tolist()}, pad_id {case[3]}.")
    scores, log_probs, _, _ = _beam_case(rng, K=3, V=5)
    case = (scores, log_probs, torch.ones(3, dtype=torch.bool), 4)
    attempt.expect(case, _beam_oracle(*case), "All three have ended: they stay as they are, best first.")
    case = (torch.tensor([-300.0, -1.0], dtype=log_probs.dtype), log_probs[:2], torch.tensor([False, True]), 0)
    why = "The ended hypothesis is far ahead, and still only its padding may follow."
    attempt.expect(case, _beam_oracle(*case), why)


def _check_beam_of_one(attempt):
    rng = np.random.default_rng(12)
    for _ in range(4):
        case = _beam_case(rng, K=1, ended=0.0)
        attempt.expect(case, _beam_oracle(*case), "A beam of one is greedy search.")


def _search(step, K, T, seed):
    """The best of a whole search over a source in which the next token depends on the last alone.

    Token 0 is the start, the end and the padding -> score, the tokens
    """
    import torch

    rng = np.random.default_rng(seed)
    table = torch.tensor(rng.normal(size=(4, 4)) * 1.5).log_softmax(-1)
    scores, last = torch.full((K,), -math.inf, dtype=torch.float64), torch.zeros(K, dtype=torch.int64)
    scores[0] = 0.0
    ended, rows = torch.zeros(K, dtype=torch.bool), [[] for _ in range(K)]
    for _ in range(T):
        scores, parent, last = step(scores, table[last], ended, 0)
        rows = [rows[k] + [token] for k, token in zip(parent.tolist(), last.tolist())]
        ended = ended[parent] | (last == 0)
    return scores[0].item(), rows[0]


def _best_of_all(T, seed):
    """The same by trying every sequence."""
    import torch

    rng = np.random.default_rng(seed)
    table = torch.tensor(rng.normal(size=(4, 4)) * 1.5).log_softmax(-1).tolist()
    best = (-math.inf, [])
    for tokens in itertools.product(range(4), repeat=T):
        score, last, ended = 0.0, 0, False
        for token in tokens:
            score += (0.0 if token == 0 else -math.inf) if ended else table[last][token]
            last, ended = token, ended or token == 0
        best = max(best, (score, list(tokens)))
    return best


def _check_beam_search(attempt):
    why = "This is the best sequence of a whole search with a beam so wide that it drops nothing."
    for T, seed in ((2, 1), (3, 2), (3, 5)):
        attempt.expect((4**T, T, seed), _best_of_all(T, seed), why, drive=_search)


def _beam_probes():
    import torch

    rng = np.random.default_rng(13)
    probes = [_beam_case(rng, K=3, V=5, ended=0.0, pad_id=0) for _ in range(2)]
    for pad_id, ended in ((1, [True, False, False]), (4, [False, True, False])):
        scores, log_probs, _, _ = _beam_case(rng, K=3, V=6)
        scores = torch.where(torch.tensor(ended), torch.tensor(-1.1), scores - 0.4)
        probes.append((scores, log_probs, torch.tensor(ended), pad_id))
    return probes


def _beam_with(
    step=None,
    total=lambda scores, step: scores.unsqueeze(1) + step,
    choose=lambda total: total.flatten().topk(len(total)),
    split=lambda place, K, V: (place // V, place % V),
):
    """A step from its parts, so that one of them can be wrong."""

    def work(scores, log_probs, ended, pad_id):
        K, V = log_probs.shape
        rows = (step or _beam_rows)(log_probs, ended, pad_id)
        best, place = choose(total(scores, rows))
        return (best, *split(place, K, V))

    return work


def _beam_rows(log_probs, ended, pad_id, cost=0.0):
    rows = log_probs.masked_fill(ended.unsqueeze(1), -math.inf)
    rows[ended, pad_id] = log_probs[ended, pad_id] if cost is None else cost
    return rows


def _free_padding(log_probs, ended, pad_id):
    rows = log_probs.clone()
    rows[ended, pad_id] = 0.0
    return rows


def _each_its_own(scores, log_probs, ended, pad_id):
    import torch

    best, token = (scores.unsqueeze(1) + _beam_rows(log_probs, ended, pad_id)).max(dim=1)
    return best, torch.arange(len(scores)), token


def _each_its_own_sorted(*case):
    best, parent, token = _each_its_own(*case)
    order = best.argsort(descending=True)
    return best[order], parent[order], token[order]


def _by_column(total):
    return total.T.flatten().topk(len(total))


def _smallest_first(total):
    place = total.flatten().argsort(stable=True)[: len(total)]
    return total.flatten()[place], place


def _smallest_possible(total):
    return total.masked_fill(total == -math.inf, math.inf).flatten().topk(len(total), largest=False)


def _combined(rule, kept=lambda score: score):
    """A step with another rule for scores that go on; kept: what an ended hypothesis has then."""

    def work(scores, log_probs, ended, pad_id):
        total = rule(scores.unsqueeze(1), log_probs).masked_fill(ended.unsqueeze(1), -math.inf)
        total[ended, pad_id] = kept(scores[ended]) if callable(kept) else kept
        best, place = total.flatten().topk(len(scores))
        return best, place // total.shape[1], place % total.shape[1]

    return work


_BEAM_MISCONCEPTIONS = (
    Misconception(
        "each_hypothesis_alone",
        _each_its_own_sorted,
        "Every hypothesis keeps exactly one continuation. The K places are for the best of *all* K * V: "
        "one hypothesis may get two, another none.",
        also=(_each_its_own,),
    ),
    Misconception(
        "scores_so_far_forgotten",
        _beam_with(total=lambda scores, step: step),
        "You rank by the last token alone. A good token after a bad beginning is no good sentence: what "
        "do log-probabilities of a sequence do?",
    ),
    Misconception(
        "multiplied",
        _beam_with(total=lambda scores, step: scores.unsqueeze(1) * step),
        "Probabilities multiply; their logarithms don't.",
        also=(_combined(lambda score, step: score * step, 0.0), _combined(lambda score, step: score * step)),
    ),
    Misconception(
        "probabilities_added",
        _beam_with(step=lambda log_probs, ended, pad: _beam_rows(log_probs, ended, pad).exp()),
        "You add a probability to a log-probability. Which of the two is log_probs already?",
        also=(
            _combined(lambda score, step: score + step.exp(), lambda score: score + 1),
            _combined(lambda score, step: score + step.exp()),
        ),
    ),
    Misconception(
        "ended_go_on",
        _beam_with(step=lambda log_probs, ended, pad: log_probs),
        "Your ended hypotheses grow on, and pay for it. What may follow the end?",
    ),
    Misconception(
        "ended_pay_for_padding",
        _beam_with(step=lambda log_probs, ended, pad: _beam_rows(log_probs, ended, pad, None)),
        "An ended hypothesis pays for its padding at each step, so short sentences lose. Its score should stay.",
    ),
    Misconception(
        "ended_dropped",
        _beam_with(step=lambda log_probs, ended, pad: log_probs.masked_fill(ended.unsqueeze(1), -math.inf)),
        "Your ended hypotheses are lost. A finished sentence stays in the race with the score it has.",
    ),
    Misconception(
        "padding_free_but_not_alone",
        _beam_with(step=_free_padding),
        "Padding costs an ended hypothesis nothing, as it should, but it may still choose another token, "
        "and takes places from others.",
    ),
    Misconception(
        "parent_and_token_exchanged",
        _beam_with(split=lambda place, K, V: (place % V, place // V)),
        "parent and token are exchanged. In a flat (K, V) table, which of the two changes slowly?",
        also=(_beam_with(choose=_by_column),),
    ),
    Misconception(
        "divided_by_k",
        _beam_with(split=lambda place, K, V: (place // K, place % K)),
        "Rows of the flat table are V long. By what must the place be divided?",
        also=(_beam_with(split=lambda place, K, V: (place % K, place // K)),),
    ),
    Misconception(
        "worst_first",
        _beam_with(choose=lambda total: total.flatten().topk(len(total), largest=False)),
        "You keep the smallest. A log-probability nearer to 0 is better.",
        also=(_beam_with(choose=_smallest_first), _beam_with(choose=_smallest_possible)),
    ),
    Misconception(
        "steps_instead_of_totals",
        lambda scores, log_probs, ended, pad_id: _last_steps(scores, log_probs, ended, pad_id),
        "parent and token are right, but you hand on the last step alone in place of the new total.",
    ),
)


def _last_steps(scores, log_probs, ended, pad_id):
    best, parent, token = beam_step(scores, log_probs, ended, pad_id)
    return best - scores[parent], parent, token


# leak_test


class _Predictor:
    """A model in miniature. Row t of `reads` (T, T) says how much logits[:, t] see of each label."""

    def __init__(self, reads, seed, vocab_size, source=1.0, bias=0.0):
        import torch

        rng = np.random.default_rng(seed)
        table = lambda: torch.tensor(rng.normal(size=(vocab_size, 6)))  # noqa: E731
        self.reads, self.source = torch.tensor(reads), source
        self.of_labels, self.of_source, self.out = table(), table(), table()
        self.bias = torch.zeros(vocab_size, dtype=torch.float64)
        self.bias[seed % vocab_size] = bias

    def __call__(self, src, labels):
        seen = self.reads @ self.of_labels[labels]  # (B, T, 6)
        seen = seen + self.source * self.of_source[src].mean(dim=1, keepdim=True)
        return (seen.tanh() @ self.out.T + self.bias).float()


def _before(T):
    return np.tril(np.ones((T, T)), -1) / np.arange(1, T + 1)[:, None]


def _at(T, *places):
    reads = np.zeros((T, T))
    for row, column in places:
        reads[row, column] = 3.0
    return reads


_SOUND = {  # what a sound model reads of its labels: for T places -> (T, T)
    "reads all earlier labels": _before,
    "reads the source only": lambda T: np.zeros((T, T)),
    "reads labels two places back and earlier": lambda T: np.tril(_before(T), -2),
    "reads all earlier labels, and rounds": lambda T: _before(T) + 1e-7 * np.triu(np.ones((T, T))),
}
_LEAKY = {
    "has no mask": lambda T: np.ones((T, T)),
    "has no shift, so reads the label it predicts": lambda T: np.tril(np.ones((T, T))),
    "has a mask that is one place too wide": lambda T: np.tril(np.ones((T, T)), 1),
    "reads the label after the one it predicts, at its first place": lambda T: _before(T) + _at(T, (0, 1)),
    "reads the very last label at its first place": lambda T: _before(T) + _at(T, (0, T - 1)),
    "reads its own label, at its first place only": lambda T: _before(T) + _at(T, (0, 0)),
    "reads its own label, at its last place only": lambda T: _before(T) + _at(T, (T - 1, T - 1)),
    "reads later labels very weakly": lambda T: _before(T) + 1e-3 * np.triu(np.ones((T, T))),
    "copies its label and reads nothing else": np.eye,
}
_KINDS = {**_SOUND, **_LEAKY}


def _leak_arguments(kind, seed, T, fill=None, source=1.0, bias=0.0):
    """(predict, src, labels, vocab_size) from a case; fill: one label everywhere; bias: makes the
    model so sure of one token that no other is ever its first choice."""
    import torch

    vocab_size = 11
    rng = np.random.default_rng(seed)
    predict = _Predictor(_KINDS[kind](T), seed, vocab_size, source, bias)
    src = torch.tensor(rng.integers(0, vocab_size, size=(2, 4)))
    labels = torch.tensor(rng.integers(0, vocab_size, size=(2, T)))
    return predict, src, labels if fill is None else torch.full_like(labels, fill), vocab_size


def _run_leak_test(work, *case):
    predict, src, labels, vocab_size = _leak_arguments(*case)
    given = src.clone(), labels.clone()
    answer = work(predict, src, labels, vocab_size)
    if not (given[0].equal(src) and given[1].equal(labels)):
        raise Failed("Your test changed src or labels, which the caller still needs. Work on a clone.")
    return answer


def _expect_leak(attempt, kind, *case):
    said = attempt(kind, *case)
    if not isinstance(said, (bool, np.bool_)):
        text = f"Your test returned a {type_name(said)}; expected True or False, as a bool."
        raise Failed(text, (kind, *case))
    if said != (kind in _SOUND):
        verdict = "sound" if said else "leaky"
        text = f"Your test calls this model {verdict}: it {kind}. Expected {not said}."
        raise Failed(text, (kind, *case))


def _check_leak_shift(attempt):
    for kind in ("has no shift, so reads the label it predicts", "reads all earlier labels"):
        _expect_leak(attempt, kind, 1, 5)


def _check_leak_sound(attempt):
    for kind in _SOUND:
        for seed, T in ((2, 5), (3, 1), (4, 8)):
            _expect_leak(attempt, kind, seed, T)


def _check_leak_leaky(attempt):
    for kind in _LEAKY:
        for seed, T in ((5, 4), (6, 7)):
            _expect_leak(attempt, kind, seed, T)


def _check_leak_constant(attempt):
    for fill in (0, 1, 10):
        for kind in ("has no mask", "copies its label and reads nothing else", "reads all earlier labels"):
            _expect_leak(attempt, kind, 7, 5, fill)


def _check_leak_sure(attempt):
    """A leak that moves the logits and never the first choice."""
    for kind in ("has no mask", "copies its label and reads nothing else", "reads all earlier labels"):
        _expect_leak(attempt, kind, 8, 5, None, 1.0, 60.0)


def _check_leak_source(attempt):
    for kind in ("has no mask", "reads all earlier labels"):
        _expect_leak(attempt, kind, 9, 6, None, 0.0)


def _leak_probes():
    """Seeds for which a strong leak moves the first choice, however the labels are changed."""
    probes = [(kind, 21, 5) for kind in _KINDS]
    probes += [("has no mask", seed, 5, fill) for seed, fill in ((52, 0), (80, 1), (66, 10))]
    probes += [("has no mask", 50, 5, None, 1.0, 60.0), ("reads all earlier labels", 51, 5, None, 0.0)]
    return probes + [("copies its label and reads nothing else", 52, 6, None, 0.0), ("reads the source only", 53, 6, None, 0.0)]


def _leak_sample(rng):
    kind = list(_KINDS)[rng.integers(len(_KINDS))]
    return kind, int(rng.integers(100, 999)), int(rng.integers(2, 8))


def _next_token(part, vocab_size):
    return (part + 1) % vocab_size


def _far_apart(a, b):
    return a.numel() > 0 and bool((a - b).abs().max() > 1e-5)


def _leak_with(
    places=lambda T: range(T),
    spoil=lambda labels, t: slice(t, None),
    new=lambda part, vocab_size: _next_token(part, vocab_size),
    seen=lambda logits, t: logits[:, : t + 1],
    differ=_far_apart,
):
    """A leak test from its parts, so that one of them can be wrong."""

    def test(predict, src, labels, vocab_size):
        before = predict(src, labels)
        for t in places(labels.shape[1]):
            changed, where = labels.clone(), spoil(labels, t)
            changed[:, where] = new(changed[:, where], vocab_size)
            if differ(seen(predict(src, changed), t), seen(before, t)):
                return False
        return True

    return test


def _leak_of_source(predict, src, labels, vocab_size):
    return not _far_apart(predict(_next_token(src, vocab_size), labels), predict(src, labels))


def _only(value):
    return _leak_with(new=lambda part, vocab_size: part * 0 + (value % vocab_size))


_LEAK_MISCONCEPTIONS = (
    Misconception(
        "own_label_allowed",
        _leak_with(seen=lambda logits, t: logits[:, :t]),
        "Your test lets a prediction see its own label. logits[:, t] predicts labels[:, t]: is "
        "labels[:, t] among what it may depend on?",
    ),
    Misconception(
        "everything_compared",
        _leak_with(seen=lambda logits, t: logits),
        "You change a label and forbid every logit to move. Later predictions may, and should, depend "
        "on it. Which logits must stay?",
        also=(_leak_with(places=lambda T: [0], seen=lambda logits, t: logits),),
    ),
    Misconception(
        "one_place_too_far",
        _leak_with(seen=lambda logits, t: logits[:, : t + 2]),
        "You change labels from t on and compare the logits up to t + 1. That one may know label t.",
    ),
    Misconception(
        "only_the_last_label",
        _leak_with(places=lambda T: [T - 1]),
        "You change the last label only. A model can leak in the middle alone: try every place.",
        also=(_leak_with(places=lambda T: [T - 1], seen=lambda logits, t: logits[:, :t]),),
    ),
    Misconception(
        "only_the_first_label",
        _leak_with(places=lambda T: [0]),
        "You change all labels and look at the first prediction only. Which other places are there?",
    ),
    Misconception(
        "answer_turned_round",
        lambda *case: not leak_test(*case),
        "Your test says True for a leak. Asked for: True if there is none.",
    ),
    Misconception(
        "source_changed",
        _leak_of_source,
        "You change the source. A translation should depend on it. What must it not depend on?",
    ),
    Misconception(
        "past_changed",
        _leak_with(
            places=lambda T: range(1, T), spoil=lambda labels, t: slice(0, t), seen=lambda logits, t: logits[:, t:]
        ),
        "You change the past and look at the future: it may depend on it. Turn the two round.",
    ),
    Misconception(
        "first_choices_compared",
        _leak_with(differ=lambda a, b: a.numel() > 0 and not a.argmax(-1).equal(b.argmax(-1))),
        "You compare the most probable tokens. A leak moves the logits long before it changes the first choice.",
    ),
    Misconception(
        "tolerance_too_wide",
        _leak_with(differ=lambda a, b: a.numel() > 0 and bool((a - b).abs().max() > 0.1)),
        "A weak leak passes your test. Rounding is below 1e-5; everything above is a leak.",
        also=(_leak_with(differ=lambda a, b: not a.allclose(b, rtol=0.0, atol=0.5)),),
    ),
    Misconception(
        "not_a_bit_of_tolerance",
        _leak_with(differ=lambda a, b: not a.equal(b)),
        "You ask for equality to the last bit. The same sum in another order is rounded differently, "
        "and a sound model fails.",
    ),
    Misconception(
        "one_token_put_everywhere",
        _only(0),
        "In some places you write the token that stood there already: nothing was changed, and nothing "
        "is tested. How can a token be changed for certain?",
        also=(_only(1), _only(-1)),
    ),
    Misconception(
        "labels_reordered",
        _leak_with(new=lambda part, vocab_size: part.flip(1)),
        "You change the order of the later labels. A model that averages them never notices, and the "
        "last place is never tested.",
        also=(_leak_with(new=lambda part, vocab_size: part.roll(1, dims=1)),),
    ),
)


EXERCISES = (
    Exercise(
        id="transformer_translation.shift_right",
        reference=shift_right,
        difficulty=1,
        minutes=5,
        section="The shift",
        hints=(
            "Row by row: the start mark, then all labels but the last.",
            "labels[:, :-1] are all but the last; a column of start marks is torch.full((B, 1), bos_id).",
            "torch.cat([start, labels[:, :-1]], dim=1), or labels.roll(1, dims=1) with column 0 overwritten.",
        ),
        checks=(
            Check("one row by hand", _check_shift_by_hand),
            Check("random rows", _check_shift_random),
            Check("rows with padding", _check_shift_padding),
            Check("edge cases", _check_shift_edges),
        ),
        misconceptions=_SHIFT_MISCONCEPTIONS,
        probes=_shift_probes,
        sample=_shift_sample,
    ),
    Exercise(
        id="transformer_translation.positional_encoding",
        reference=positional_encoding,
        difficulty=2,
        minutes=10,
        section="Where a token stands",
        hints=(
            "Make all angles at once: places as a column (T, 1), the values 2i as a row (d_model / 2,).",
            "np.arange(0, d_model, 2) is 2i; angle = place / 10000 ** (two_i / d_model) is (T, d_model / 2).",
            "table[:, 0::2] = np.sin(angle) fills columns 0, 2, 4, ...; the cosines go to table[:, 1::2].",
        ),
        checks=(
            Check("two columns by hand", _check_places_by_hand),
            Check("place 0", _check_places_first),
            Check("random sizes", _check_places_random),
            Check("products depend on the distance", _check_places_products),
        ),
        misconceptions=_PLACES_MISCONCEPTIONS,
        probes=_places_probes,
        sample=_places_sample,
    ),
    Exercise(
        id="transformer_translation.leak_test",
        reference=leak_test,
        difficulty=4,
        minutes=15,
        section="Is the mask right?",
        hints=(
            "Predict twice, with labels that differ from some place on, and compare what may not have moved.",
            "With labels[:, t:] changed, logits[:, : t + 1] must stay: the prediction of label t knows only "
            "what stands before t. Do that for every t.",
            "(labels + 1) % vocab_size changes every token for certain; work on labels.clone(). Compare by "
            "(a - b).abs().max() > 1e-5.",
        ),
        checks=(
            Check("no shift", _check_leak_shift),
            Check("sound models", _check_leak_sound),
            Check("leaky models", _check_leak_leaky),
            Check("one label everywhere", _check_leak_constant),
            Check("a leak that changes no first choice", _check_leak_sure),
            Check("models that ignore the source", _check_leak_source),
        ),
        misconceptions=_LEAK_MISCONCEPTIONS,
        probes=_leak_probes,
        sample=_leak_sample,
        drive=_run_leak_test,
        arguments=_leak_arguments,
    ),
    Exercise(
        id="transformer_translation.label_loss_with_padding",
        reference=label_loss_with_padding,
        difficulty=2,
        minutes=8,
        section="The loss",
        hints=(
            "Surprise of a label: logsumexp of the logits at its place, minus its own logit.",
            "logits.gather(-1, labels.unsqueeze(-1)).squeeze(-1) picks the logit of each label, (B, T).",
            "labels != pad_id is a mask (B, T); surprise[mask].mean() is the mean over what counts.",
        ),
        checks=(
            Check("two places by hand", _check_label_by_hand),
            Check("random logits", _check_label_random),
            Check("more padding", _check_label_padding_added),
            Check("edge cases", _check_label_edges),
            Check("gradient", _check_label_gradient),
        ),
        misconceptions=_LABEL_MISCONCEPTIONS,
        probes=_label_probes,
        sample=lambda rng: _label_case(rng),
    ),
    Exercise(
        id="transformer_translation.beam_step",
        reference=beam_step,
        difficulty=4,
        minutes=15,
        section="Beam search",
        hints=(
            "Write down the score of every continuation of every hypothesis, a table (K, V), and take its K largest.",
            "The row of an ended hypothesis is -inf everywhere and 0 at pad_id. Then total = scores.unsqueeze(1) + rows.",
            "best, place = total.flatten().topk(K); row and column of a flat place are place // V and place % V.",
        ),
        checks=(
            Check("two hypotheses by hand", _check_beam_by_hand),
            Check("the first step", _check_beam_first),
            Check("random tables", _check_beam_random),
            Check("ended hypotheses", _check_beam_ended),
            Check("a beam of one", _check_beam_of_one),
            Check("a whole search", _check_beam_search),
        ),
        misconceptions=_BEAM_MISCONCEPTIONS,
        probes=_beam_probes,
        sample=_beam_sample,
        returns=("scores", "parent", "token"),
    ),
)
