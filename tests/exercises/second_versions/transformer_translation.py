"""Each misconception once more, in another style and with other names."""

import math

import numpy as np
import torch
import torch.nn.functional as F

# positional_encoding: in loops over places and columns


def grid(angle, wave):
    def table(length, width):
        out = np.zeros((length, width))
        for place in range(length):
            for column in range(width):
                out[place, column] = wave(column, angle(place, column, width))
        return out

    return table


def pairwise(column, angle):
    return math.cos(angle) if column % 2 else math.sin(angle)


def crosswise(column, angle):
    return math.sin(angle) if column % 2 else math.cos(angle)


def usual(place, column, width):
    return place * 10000 ** (-(column // 2) * 2 / width)


def in_halves(length, width):
    rows = [[usual(p, c, width) for c in range(0, width, 2)] for p in range(length)]
    return np.hstack([np.sin(rows), np.cos(rows)])


def lying(length, width):
    return np.array([[pairwise(c, usual(p, c, width)) for p in range(length)] for c in range(width)])


# shift_right: as lists


def as_rows(change):
    return lambda y, start: torch.tensor([change(row, start) for row in y.tolist()])


def swapped_rows(y, start):
    rows = y.tolist()
    return torch.tensor(rows[-1:] + rows[:-1])


def one_long_row(y, start):
    tokens = [start, *y.flatten().tolist()[:-1]]
    return torch.tensor(tokens).reshape(y.shape)


# label_loss_with_padding: in loops, or through torch's own loss


def each_place(z, y):
    return F.cross_entropy(z.mT, y, reduction="none")


def row_by_row(z, y, pad):
    rows = [F.cross_entropy(a, b, ignore_index=pad) for a, b in zip(z, y) if (b != pad).any()]
    return torch.stack(rows).mean()


def never_pad(z, y, pad):
    hidden = torch.zeros(z.shape[-1], dtype=z.dtype)
    hidden[pad] = -torch.inf
    return F.cross_entropy((z + hidden).mT, y, ignore_index=pad)


def zeroed(z, y, pad):
    return F.cross_entropy(torch.where((y != pad)[..., None], z, torch.zeros_like(z)).flatten(0, 1), y.flatten())


def unsure_places(z, y, pad):
    keep = z.max(-1).indices.ne(pad)
    return torch.stack([each_place(z, y)[b, t] for b, t in keep.nonzero().tolist()]).mean()


def without_end(z, y, pad):
    y = y.clone()
    for row in y:
        n = int((row != pad).sum())
        if 0 < n < len(row):
            row[n - 1] = pad
    return F.cross_entropy(z.mT, y, ignore_index=pad)


# beam_step: every continuation as an entry of a list


def listed(total, keep=None, order=None, hand_over=None):
    """total(so_far, step) of each continuation; keep(ended, token, pad): which an ended one may have."""
    keep = keep or (lambda token, pad: token == pad)

    def work(so_far, steps, over, pad):
        found = []
        for k in range(len(so_far)):
            for token in range(steps.shape[1]):
                if over[k] and not keep(token, pad):
                    continue
                free = bool(over[k]) and token == pad
                found.append((total(so_far[k].item(), steps[k, token].item(), free), k, token))
        found.sort(key=lambda entry: entry[0], reverse=order is None)
        found = found[: len(so_far)]
        handed = [hand_over(*entry, so_far) if hand_over else entry for entry in found]
        return (torch.tensor([e[0] for e in handed], dtype=so_far.dtype), *(torch.tensor([e[i] for e in handed]) for i in (1, 2)))

    return work


def add(so_far, step, free):
    return so_far if free else so_far + step


def own_best(so_far, steps, over, pad):
    found = []
    for k, row in enumerate(steps):
        token = pad if over[k] else int(row.argmax())
        found.append((so_far[k].item() + (0 if over[k] else row[token].item()), k, token))
    found.sort(reverse=True)
    return tuple(torch.tensor(column) for column in zip(*found))


def through_k(so_far, steps, over, pad):
    best, k, token = listed(add)(so_far, steps, over, pad)
    place = k * steps.shape[1] + token
    return best, torch.div(place, len(so_far), rounding_mode="floor"), torch.remainder(place, len(so_far))


# leak_test: one label at a time, on lists of logits


def moved(a, b, limit=1e-5):
    return any(abs(x - y) > limit for x, y in zip(a.flatten().tolist(), b.flatten().tolist()))


def one_by_one(stay, places=None, change=None, differ=moved):
    """stay(t): which logits may not move when label t changes."""
    change = change or (lambda y, t, n: (y[:, t] + 3) % n)

    def test(model, source, y, n):
        right = model(source, y)
        found = []
        for t in places(y.shape[1]) if places else range(y.shape[1]):
            other = y.clone()
            other[:, t] = change(y, t, n)
            found.append(differ(model(source, other)[:, stay(t)], right[:, stay(t)]))
        return not any(found)

    return test


def sound_stay(t):
    return slice(None, t + 1)


def everything_before_first(model, source, y, n):
    return not moved(model(source, (y + 5) % n)[:, 0], model(source, y)[:, 0])


def turned(model, source, y, n):
    return not one_by_one(sound_stay)(model, source, y, n)


def other_source(model, source, y, n):
    shuffled = (source + 4) % n
    return bool(torch.allclose(model(source, y), model(shuffled, y), rtol=0, atol=1e-5))


def looks_ahead(model, source, y, n):
    right = model(source, y)
    for t in range(y.shape[1] - 1):
        other = y.clone()
        other[:, t] = (other[:, t] + 2) % n
        if moved(model(source, other)[:, t + 1 :], right[:, t + 1 :]):
            return False
    return True


def top_tokens(a, b):
    return bool((a.max(-1).indices != b.max(-1).indices).any())


def zeros_put_in(model, source, y, n):
    right = model(source, y)
    for t in range(y.shape[1]):
        other = torch.cat([y[:, :t], torch.zeros_like(y[:, t:])], 1)
        if moved(model(source, other)[:, : t + 1], right[:, : t + 1]):
            return False
    return True


def reversed_rest(model, source, y, n):
    right = model(source, y)
    for t in range(y.shape[1]):
        other = torch.tensor([row[:t] + row[t:][::-1] for row in y.tolist()])
        if moved(model(source, other)[:, : t + 1], right[:, : t + 1]):
            return False
    return True


VERSIONS = {
    "transformer_translation.positional_encoding": {
        "halves_instead_of_pairs": [in_halves],
        "sine_and_cosine_exchanged": [grid(usual, crosswise)],
        "exponent_half_as_large": [grid(lambda p, c, d: p / 10000 ** ((c // 2) / d), pairwise)],
        "exponent_twice_as_large": [grid(lambda p, c, d: p / 100 ** (8 * (c // 2) / d), pairwise)],
        "an_angle_for_each_column": [grid(lambda p, c, d: p / 10000 ** (c / d), pairwise)],
        "places_from_one": [grid(lambda p, c, d: usual(p + 1, c, d), pairwise)],
        "sines_only": [grid(usual, lambda c, angle: math.sin(angle))],
        "multiplied_instead_of_divided": [grid(lambda p, c, d: p * 10000 ** (2 * (c // 2) / d), pairwise)],
        "exponent_not_divided": [grid(lambda p, c, d: p * 1e-8 ** (c // 2), pairwise)],
        "the_last_pair_reaches_the_end": [grid(lambda p, c, d: p / 10000 ** ((c // 2) / (d // 2 - 1)), pairwise)],
        "rows_and_columns_exchanged": [lying],
    },
    "transformer_translation.shift_right": {
        "first_label_overwritten": [as_rows(lambda row, start: [start] + row[1:])],
        "not_shifted": [as_rows(lambda row, start: row)],
        "shifted_to_the_left": [as_rows(lambda row, start: row[1:] + [start])],
        "nothing_dropped": [as_rows(lambda row, start: [start, *row])],
        "last_label_comes_first": [as_rows(lambda row, start: row[-1:] + row[:-1])],
        "padding_in_front": [lambda y, start: F.pad(y[:, :-1], (1, 0))],
        "shifted_twice": [as_rows(lambda row, start: ([start, start] + row)[: len(row)])],
        "rows_shifted": [swapped_rows],
        "runs_over_the_rows": [one_long_row],
        "start_mark_missing": [as_rows(lambda row, start: row[:-1])],
    },
    "transformer_translation.label_loss_with_padding": {
        "padding_counted": [lambda z, y, pad: F.cross_entropy(z.mT, y)],
        "divided_by_all_places": [
            lambda z, y, pad: F.cross_entropy(z.mT, y, ignore_index=pad, reduction="sum") / (y.shape[0] * y.shape[1])
        ],
        "sum_instead_of_mean": [lambda z, y, pad: F.cross_entropy(z.mT, y, ignore_index=pad, reduction="sum")],
        "mean_of_row_means": [row_by_row],
        "padding_is_taken_to_be_zero": [lambda z, y, pad: F.cross_entropy(z.mT, y, ignore_index=0)],
        "padding_ruled_out": [never_pad],
        "shifted_again": [lambda z, y, pad: each_place(z[:, :-1], y[:, 1:])[y[:, 1:] != pad].mean()],
        "softmax_twice": [lambda z, y, pad: F.cross_entropy(torch.softmax(z, 2).mT, y, ignore_index=pad)],
        "logits_zeroed": [zeroed],
        "mask_from_the_predictions": [unsure_places],
        "end_marks_left_out": [without_end],
        "sign_missing": [lambda z, y, pad: F.nll_loss(-z.log_softmax(-1).mT, y, ignore_index=pad)],
    },
    "transformer_translation.beam_step": {
        "each_hypothesis_alone": [own_best],
        "scores_so_far_forgotten": [listed(lambda so_far, step, free: 0.0 if free else step)],
        "multiplied": [listed(lambda so_far, step, free: so_far * (0.0 if free else step))],
        "probabilities_added": [listed(lambda so_far, step, free: so_far + (1.0 if free else math.exp(step)))],
        "ended_go_on": [listed(lambda so_far, step, free: so_far + step, keep=lambda token, pad: True)],
        "ended_pay_for_padding": [listed(lambda so_far, step, free: so_far + step)],
        "ended_dropped": [listed(add, keep=lambda token, pad: False)],
        "padding_free_but_not_alone": [listed(add, keep=lambda token, pad: True)],
        "parent_and_token_exchanged": [listed(add, hand_over=lambda score, k, token, so_far: (score, token, k))],
        "divided_by_k": [through_k],
        "worst_first": [listed(add, order="up")],
        "steps_instead_of_totals": [
            listed(add, hand_over=lambda score, k, token, so_far: (score - so_far[k].item(), k, token))
        ],
    },
    "transformer_translation.leak_test": {
        "own_label_allowed": [one_by_one(lambda t: slice(None, t))],
        "everything_compared": [one_by_one(lambda t: slice(None))],
        "one_place_too_far": [one_by_one(lambda t: slice(None, t + 2))],
        "only_the_last_label": [one_by_one(sound_stay, places=lambda T: [T - 1])],
        "only_the_first_label": [everything_before_first],
        "answer_turned_round": [turned],
        "source_changed": [other_source],
        "past_changed": [looks_ahead],
        "first_choices_compared": [one_by_one(sound_stay, differ=top_tokens)],
        "tolerance_too_wide": [one_by_one(sound_stay, differ=lambda a, b: moved(a, b, 0.3))],
        "not_a_bit_of_tolerance": [one_by_one(sound_stay, differ=lambda a, b: a.tolist() != b.tolist())],
        "one_token_put_everywhere": [zeros_put_in],
        "labels_reordered": [reversed_rest],
    },
}
