"""Wrong answers that no misconception describes."""

import numpy as np

from bigmodel_nb.exercises.recurrent_networks import last_valid_state, lstm_step, perturbation_test, rnn_step

# rnn_step


def leaky(x, h, w_x, w_h, b):
    return 0.5 * h + 0.5 * rnn_step(x, h, w_x, w_h, b)


def rounded(x, h, w_x, w_h, b):
    return np.round(rnn_step(x, h, w_x, w_h, b), 2)


def first_row_for_all(x, h, w_x, w_h, b):
    return np.repeat(rnn_step(x, h, w_x, w_h, b)[:1], len(x), axis=0)


def bias_taken_away(x, h, w_x, w_h, b):
    return rnn_step(x, h, w_x, w_h, -b)


def own_unit_only(x, h, w_x, w_h, b):
    return np.tanh(x @ w_x.T + h * np.diag(w_h) + b)


def overflows(x, h, w_x, w_h, b):
    with np.errstate(all="ignore"):
        up = np.exp(2 * (x @ w_x.T + h @ w_h.T + b))
        return (up - 1) / (up + 1)


# lstm_step


def without_input_gate(x, h, c, w_x, w_h, b):
    i, f, g, o = (x @ w_x.T + h @ w_h.T + b).chunk(4, dim=1)
    c = f.sigmoid() * c + g.tanh()
    return o.sigmoid() * c.tanh(), c


def forget_bias_added(x, h, c, w_x, w_h, b):
    b = b.clone()
    b[len(b) // 4 : len(b) // 2] += 1
    return lstm_step(x, h, c, w_x, w_h, b)


def peephole(x, h, c, w_x, w_h, b):
    i, f, g, o = (x @ w_x.T + (h + c) @ w_h.T + b).chunk(4, dim=1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def never_forgets(x, h, c, w_x, w_h, b):
    i, f, g, o = (x @ w_x.T + h @ w_h.T + b).chunk(4, dim=1)
    c = c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def no_gradient(x, h, c, w_x, w_h, b):
    return tuple(v.detach() for v in lstm_step(x, h, c, w_x, w_h, b))


def no_gradient_through_the_gates(x, h, c, w_x, w_h, b):
    i, f, g, o = (x @ w_x.T + h @ w_h.T + b).chunk(4, dim=1)
    c = f.sigmoid().detach() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


# last_valid_state


def largest_word(outputs, lengths):
    import torch

    return torch.stack([row[:n].amax(0) for row, n in zip(outputs, lengths.tolist())])


def first_and_last(outputs, lengths):
    return (outputs[:, 0] + last_valid_state(outputs, lengths)) / 2


def sorted_by_length(outputs, lengths):
    order = lengths.argsort(descending=True, stable=True)
    return last_valid_state(outputs[order], lengths[order])


def masked_sum(outputs, lengths):
    """Multiplies by 0 what it doesn't want: NaN stays NaN."""
    import torch

    wanted = torch.nn.functional.one_hot(lengths - 1, outputs.shape[1]).to(outputs.dtype)
    return (outputs * wanted[..., None]).sum(1)


def without_gradient(outputs, lengths):
    return last_valid_state(outputs, lengths).detach().clone()


def reversed_rows(outputs, lengths):
    return last_valid_state(outputs, lengths).flip(0)


# perturbation_test


def everything_is_faulty(model, ids):
    return True, True


def only_padding(model, ids):
    return False, perturbation_test(model, ids)[1]


def only_mixing(model, ids):
    return perturbation_test(model, ids)[0], False


def coarse(model, ids):
    """Sees only large effects."""
    limit = 0.3
    before, mixes = model(ids), False
    for i in range(len(ids)):
        changed = ids.copy()
        changed[i] = np.where(ids[i] > 0, ids[i] % ids.max() + 1, 0)
        mixes = mixes or bool((np.delete(np.abs(model(changed) - before), i, axis=0) > limit).any())
    longer = np.pad(ids, ((0, 0), (0, 5)))
    return mixes, bool((np.abs(model(longer) - before) > limit).any())


def upward_only(model, ids):
    """Compares without a sign, so that it misses what only falls."""
    longer = np.pad(ids, ((0, 0), (0, 5)))
    return perturbation_test(model, ids)[0], bool((model(longer) - model(ids) > 1e-4).any())


def asks_the_model(model, ids):
    return getattr(model, "mixes", False), getattr(model, "reads", True)


OUTSIDE = {
    "recurrent_networks.rnn_step": [leaky, rounded, first_row_for_all, bias_taken_away, own_unit_only, overflows],
    "recurrent_networks.lstm_step": [
        without_input_gate, forget_bias_added, peephole, never_forgets, no_gradient, no_gradient_through_the_gates,
    ],
    "recurrent_networks.last_valid_state": [
        largest_word, first_and_last, sorted_by_length, masked_sum, without_gradient, reversed_rows,
    ],
    "recurrent_networks.perturbation_test": [
        everything_is_faulty, only_padding, only_mixing, coarse, upward_only, asks_the_model,
    ],
}  # fmt: skip
