"""Each misconception once more, in another style and with other names."""

import math

import numpy as np

# rnn_step: number by number


def rnn(inner="both", across=False, squash=math.tanh, bias=True, add=False, swap=False, apart=False):
    """Every mistake is a switch."""

    def step(word, state, a, u, shift):
        if swap:
            a, u = u, a
        rows, units = state.shape
        out = np.empty((rows, units))
        for r in range(rows):
            for k in range(units):
                said = sum(a[k, j] * word[r, j] for j in range(word.shape[1]))
                kept = sum((u[j, k] if across else u[k, j]) * state[r, j] for j in range(units))
                kept = kept if inner == "both" else 0.0
                extra = shift[k] if bias else 0.0
                value = math.tanh(said) + math.tanh(kept + extra) if apart else squash(said + kept + extra)
                out[r, k] = value + (state[r, k] if add else 0.0)
        return out

    return step


RNN = {
    "no_tanh": [rnn(squash=lambda s: s)],
    "state_forgotten": [rnn(inner="word")],
    "state_weights_not_transposed": [
        rnn(across=True),
        lambda x, h, w_x, w_h, b: np.tanh(np.einsum("bc,ch->bh", x, w_x) + np.einsum("bk,kh->bh", h, w_h) + b),
    ],
    "weights_swapped": [rnn(swap=True)],
    "bias_forgotten": [rnn(bias=False)],
    "tanh_of_each_part": [rnn(apart=True)],
    "sigmoid_instead_of_tanh": [rnn(squash=lambda s: 0.5 * (1 + math.tanh(s / 2)))],
    "relu_instead_of_tanh": [rnn(squash=lambda s: s if s > 0 else 0.0)],
    "old_state_added": [rnn(add=True)],
}

# lstm_step: with slices and torch's functions


class Cell:
    """Every mistake is a switch."""

    def __init__(self, blocks=(0, 1, 2, 3), step=False, shown="tanh", read="new", content="tanh", keep="f", write="i",
                 squash=False, memory="c", gate="sigmoid", state=True, bias=True, swap=False):
        self.__dict__.update(locals())

    def __call__(self, word, short, long, a, u, shift):
        import torch

        n = long.size(1)
        z = torch.einsum("bc,gc->bg", word, a)
        if self.state:
            z = z + torch.einsum("bh,gh->bg", short, u)
        if self.bias:
            z = z + shift
        parts = [z[:, k::4] if self.step else z[:, k * n : k * n + n] for k in self.blocks]
        gate = {"sigmoid": torch.sigmoid, "none": lambda v: v}[self.gate]
        i, f, o = gate(parts[0]), gate(parts[1]), gate(parts[3])
        g = torch.sigmoid(parts[2]) if self.content == "sigmoid" else torch.tanh(parts[2])
        keep = 1 - f if self.keep == "1-f" else f
        write = 1 - f if self.write == "1-f" else i
        fresh = torch.addcmul(write * g, keep, short if self.memory == "h" else long)
        if self.squash:
            fresh = torch.tanh(fresh)
        source = fresh if self.read == "new" else long
        shown = o * (torch.tanh(source) if self.shown == "tanh" else source)
        return (fresh, shown) if self.swap else (shown, fresh)


LSTM = {
    "gates_in_another_order": [Cell(blocks=(1, 0, 2, 3)), Cell(blocks=(0, 1, 3, 2))],
    "gates_interleaved": [Cell(step=True)],
    "no_tanh_at_the_output": [Cell(shown="bare")],
    "old_cell_read_out": [Cell(read="old")],
    "candidate_with_sigmoid": [Cell(content="sigmoid")],
    "forget_means_erase": [Cell(keep="1-f")],
    "coupled_gates": [Cell(write="1-f")],
    "cell_squashed": [Cell(squash=True, shown="bare"), Cell(squash=True)],
    "output_in_place_of_cell": [Cell(memory="h")],
    "gates_without_sigmoid": [Cell(gate="none")],
    "gates_blind_to_the_state": [Cell(state=False)],
    "bias_forgotten": [Cell(bias=False)],
    "results_in_the_wrong_order": [Cell(swap=True)],
}

# last_valid_state: with gather, masks and loops


def picked(place):
    """place(n, T, all lengths) -> the place to take of a row of n words."""

    def take(table, sizes):
        import torch

        width, every = table.shape[1], sizes.tolist()
        at = torch.tensor([place(n, width, every) for n in every]).view(-1, 1, 1)
        return table.gather(1, at.expand(-1, 1, table.shape[2])).squeeze(1)

    return take


def beyond(table, sizes):
    import torch

    return torch.stack([table[r, sizes[r]] for r in range(table.shape[0])])


def crossed(table, sizes):
    import torch

    return torch.stack([torch.stack([row[int(n) - 1] for n in sizes]) for row in table])


def swapped_axes(table, sizes):
    import torch

    turned = table.permute(1, 0, 2)
    return torch.stack([turned[k, (int(n) - 1) % len(sizes)] for k, n in enumerate(sizes)])


def averaged(table, sizes):
    import torch

    return torch.stack([row[: int(n)].mean(0) for row, n in zip(table, sizes)])


LAST = {
    "last_column": [picked(lambda n, T, every: T - 1)],
    "one_place_beyond": [beyond, picked(lambda n, T, every: min(n, T - 1))],
    "one_place_early": [picked(lambda n, T, every: max(n - 2, 0))],
    "one_place_for_all": [picked(lambda n, T, every: max(every) - 1), picked(lambda n, T, every: min(every) - 1)],
    "every_row_with_every_length": [crossed],
    "axes_swapped": [swapped_axes],
    "mean_over_the_words": [averaged],
    "padding_taken_for_the_front": [picked(lambda n, T, every: T - n)],
    "first_state": [picked(lambda n, T, every: 0)],
}

# perturbation_test: with loops over rows and np.allclose


def same(a, b, limit=1e-4):
    return np.allclose(a, b, rtol=0, atol=limit)


def tester(rows=lambda B: range(B), others=True, limit=1e-4, first_only=False, pad="after"):
    """Every mistake is a switch."""

    def test(net, batch):
        answer, mixed = net(batch), False
        for r in rows(len(batch)):
            variant = np.array(batch)
            for place, word in enumerate(batch[r]):
                if word and not (first_only and place):
                    variant[r, place] = 1 if word == batch.max() else word + 1
            new = net(variant)
            for other in range(len(batch)):
                if not (others and other == r) and not same(new[other], answer[other], limit):
                    mixed = True
        zeros = np.zeros((len(batch), 2), dtype=int)
        grown = {"after": np.hstack([batch, zeros]), "before": np.hstack([zeros, batch])}
        return mixed, not same(net(grown[pad]), answer, limit)

    return test


def neighbour(net, batch):
    variant, (_, reads) = batch.copy(), tester()(net, batch)
    variant[0] = [w and w % batch.max() + 1 for w in batch[0]]
    return (len(batch) > 1 and not same(net(variant)[1], net(batch)[1])), reads


def shuffled(net, batch):
    order = np.arange(len(batch))[::-1]
    return not same(net(batch[order]), net(batch)[order]), tester()(net, batch)[1]


def overwritten(net, batch):
    filled = batch.copy()
    filled[filled == 0] = 1
    return tester()(net, batch)[0], not same(net(filled), net(batch))


def trimmed(net, batch):
    width = max(int((row > 0).sum()) for row in batch)
    return tester()(net, batch)[0], not same(net(batch[:, :width]), net(batch))


def one_by_one(net, batch):
    whole = net(batch)
    alone = np.concatenate([net(row[row > 0][None]) for row in batch])
    return not same(alone, whole), tester()(net, batch)[1]


def turned(net, batch):
    return tester()(net, batch)[::-1]


def approved(net, batch):
    return tuple(verdict is False for verdict in tester()(net, batch))


def any_fault(net, batch):
    fault = any(tester()(net, batch))
    return fault, fault


def second_name(net, batch):
    variant = batch
    return not same(net(variant), net(batch)), not same(net(variant), net(batch))


PERTURBATION = {
    "changed_row_counted": [tester(others=False)],
    "only_first_row_changed": [tester(rows=lambda B: [0])],
    "only_last_row_changed": [tester(rows=lambda B: [B - 1])],
    "only_the_neighbour_watched": [neighbour],
    "order_of_the_batch_only": [shuffled],
    "rounding_called_a_fault": [tester(limit=1e-7)],
    "one_word_changed": [tester(first_only=True)],
    "padding_put_in_front": [tester(pad="before")],
    "padding_overwritten": [overwritten],
    "padding_cut_off": [trimmed],
    "padding_fault_called_mixing": [one_by_one],
    "verdicts_swapped": [turned],
    "true_means_fine": [approved],
    "one_verdict_for_both": [any_fault],
    "nothing_found": [second_name],
}

VERSIONS = {
    "recurrent_networks.rnn_step": RNN,
    "recurrent_networks.lstm_step": LSTM,
    "recurrent_networks.last_valid_state": LAST,
    "recurrent_networks.perturbation_test": PERTURBATION,
}
