"""Each misconception once more, in another style and with other names."""

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F

# pack_into_blocks: with numpy and padding first


def joined(texts, mark, first=True, between=True, last=True):
    pieces = [[mark]] if first else []
    for number, text in enumerate(texts):
        pieces.append(list(text))
        if number < len(texts) - 1 and between or number == len(texts) - 1 and last:
            pieces.append([mark])
    return np.array(list(itertools.chain.from_iterable(pieces)), dtype=np.int64)


def grid(values, width, fill):
    rows = max(1, math.ceil(len(values) / width))
    flat = np.full(rows * width, fill, dtype=np.int64)
    flat[: len(values)] = values
    return flat.reshape(rows, width)


def copies_inputs(texts, width, mark):
    tokens = joined(texts, mark)
    ids = grid(tokens[:-1], width, mark)
    labels = ids.copy()
    labels.ravel()[len(tokens) - 1 :] = -100
    return ids, labels


def copies_everything(texts, width, mark):
    tokens = joined(texts, mark)
    return grid(tokens, width, mark), grid(tokens, width, -100)


def two_ahead(texts, width, mark):
    tokens = joined(texts, mark)
    pairs = {place: tokens[place + 2] for place in range(len(tokens) - 2)}
    ids = grid(tokens[:-1], width, mark)
    return ids, np.array([pairs.get(i, -100) for i in range(ids.size)]).reshape(ids.shape)


def looks_back(texts, width, mark):
    tokens = joined(texts, mark)
    return grid(np.roll(tokens, -1)[:-1], width, mark), grid(tokens[:-1], width, -100)


def floors(texts, width, mark):
    tokens = joined(texts, mark)
    n = (len(tokens) - 1) // width
    x = np.stack([tokens[i * width : (i + 1) * width] for i in range(n)])
    y = np.stack([tokens[i * width + 1 : (i + 1) * width + 1] for i in range(n)])
    return x, y


def glued(texts, width, mark):
    tokens = joined(texts, mark, between=False)
    return grid(tokens[:-1], width, mark), grid(tokens[1:], width, -100)


def glued_without_marks(texts, width, mark):
    tokens = np.concatenate([np.asarray(t) for t in texts])
    return grid(tokens[:-1], width, mark), grid(tokens[1:], width, -100)


def windows_apart(texts, width, mark):
    tokens = list(joined(texts, mark))
    rows_x, rows_y = [], []
    while len(tokens) > 1:
        window, tokens = tokens[: width + 1], tokens[width + 1 :]
        rows_x.extend(int(t) for t in window[:-1])
        rows_y.extend(int(t) for t in window[1:])
    return grid(rows_x, width, mark), grid(rows_y, width, -100)


def counts_padding(texts, width, mark):
    tokens = joined(texts, mark)
    return grid(tokens[:-1], width, mark), grid(tokens[1:], width, mark)


def zeros_in_x(texts, width, mark):
    tokens = joined(texts, mark)
    return grid(tokens[:-1], width, 0), grid(tokens[1:], width, -100)


def starts_at_once(texts, width, mark):
    tokens = joined(texts, mark, first=False)
    return grid(tokens[:-1], width, mark), grid(tokens[1:], width, -100)


def join_like_text(texts, width, mark):
    tokens = joined(texts, mark, last=False)
    return grid(tokens[:-1], width, mark), grid(tokens[1:], width, -100)


def masks_marks(texts, width, mark):
    tokens = joined(texts, mark)
    y = grid(tokens[1:], width, -100)
    y[y == mark] = -100
    return grid(tokens[:-1], width, mark), y


def one_text_a_row(texts, width, mark):
    xs, ys = [], []
    for text in texts:
        tokens = [mark, *text, mark]
        for start in range(0, len(tokens) - 1, width):
            xs.append(grid(tokens[:-1][start : start + width], width, mark)[0])
            ys.append(grid(tokens[1:][start : start + width], width, -100)[0])
    return np.stack(xs), np.stack(ys)


# causal_lm_loss: in loops over rows and places


def places(targets):
    return [(b, t) for b, t in itertools.product(*map(range, targets.shape)) if targets[b, t] != -100]


def nll(scores, targets, b, t):
    return torch.logsumexp(scores[b, t], 0) - scores[b, t, targets[b, t]]


def skips_one(scores, targets):
    found = [
        torch.logsumexp(scores[b, t - 1], 0) - scores[b, t - 1, targets[b, t]]
        for b, t in places(targets)
        if t > 0
    ]
    return torch.stack(found).mean()


def counts_ignored(scores, targets):
    safe = torch.where(targets < 0, torch.zeros_like(targets), targets)
    return F.nll_loss(torch.log_softmax(scores, 2).transpose(1, 2), safe)


def all_places(scores, targets):
    total = F.cross_entropy(scores.mT, targets, reduction="sum")
    return total / (targets.shape[0] * targets.shape[1])


def row_by_row(scores, targets):
    return sum(F.cross_entropy(s, t) for s, t in zip(scores, targets)) / len(scores)


def probabilities_in(scores, targets):
    chances = torch.exp(scores) / torch.exp(scores).sum(2, keepdim=True)
    return F.cross_entropy(chances.mT, targets)


def total(scores, targets):
    return sum(nll(scores, targets, b, t) for b, t in places(targets))


def positive(scores, targets):
    return F.log_softmax(scores, -1)[targets != -100].gather(1, targets[targets != -100][:, None]).mean()


def base_two(scores, targets):
    logs = torch.log2(torch.softmax(scores, -1))
    return -torch.stack([logs[b, t, targets[b, t]] for b, t in places(targets)]).mean()


def mean_chance(scores, targets):
    chances = torch.softmax(scores, -1)
    return torch.stack([-chances[b, t, targets[b, t]] for b, t in places(targets)]).mean()


def log_after(scores, targets):
    return -torch.log(-mean_chance(scores, targets))


def raw_scores(scores, targets):
    return -torch.stack([scores[b, t, targets[b, t]] for b, t in places(targets)]).mean()


def wrong_axis(scores, targets):
    logs = F.log_softmax(scores, dim=-2)
    return -torch.stack([logs[b, t, targets[b, t]] for b, t in places(targets)]).mean()


# perplexity: with numpy


def per_text(means, sizes):
    return float(np.average(np.exp(means), weights=sizes))


def equal_texts(means, sizes):
    return float(np.exp(np.mean(means)))


def two_to_the(means, sizes):
    return float(np.exp2(np.dot(means, sizes) / np.sum(sizes)))


def product(means, sizes):
    return float(np.prod(np.exp(np.array(means) * np.array(sizes))))


def per_number_of_texts(means, sizes):
    return float(np.exp(np.dot(means, sizes) / len(sizes)))


def mean_nats(means, sizes):
    return float(np.average(means, weights=sizes))


def inverse(means, sizes):
    return float(1 / np.exp(np.average(means, weights=sizes)))


def squares(means, sizes):
    totals = np.array(means) * sizes
    return float(np.exp(np.dot(totals, sizes) / np.dot(sizes, sizes)))


def already_sums(means, sizes):
    return float(np.exp(np.sum(means) / np.sum(sizes)))


# resume_equality: clones by hand


def deep(thing):
    if isinstance(thing, torch.Tensor):
        return thing.detach().clone()
    if isinstance(thing, dict):
        return {key: deep(value) for key, value in thing.items()}
    return [deep(value) for value in thing] if isinstance(thing, list) else thing


def saver(**spoil):
    def save(net, opt, done, rng):
        kept = dict(
            model=deep(dict(net.state_dict())),
            optimizer=deep(opt.state_dict()),
            step=done,
            rng=rng.get_state(),
        )
        for key, change in spoil.items():
            kept[key] = change(net, opt, done, rng)
            if kept[key] is Ellipsis:
                del kept[key]
        return kept

    return save


absent = lambda *run: ...  # noqa: E731
live_model = lambda net, *rest: dict(net.state_dict())  # noqa: E731
live_moments = lambda net, opt, *rest: opt.state_dict().copy()  # noqa: E731


def only_rates(net, opt, done, rng):
    return {"state": {}, "param_groups": deep(opt.state_dict()["param_groups"])}


def fresh_optimizer(net, opt, done, rng):
    return torch.optim.AdamW(net.parameters(), lr=0.1).state_dict()


VERSIONS = {
    "finetune_gpt2.pack_into_blocks": {
        "labels_equal_inputs": [copies_inputs, copies_everything],
        "shifted_twice": [two_ahead],
        "shifted_the_wrong_way": [looks_back],
        "last_row_dropped": [floors],
        "no_mark_between_documents": [glued, glued_without_marks],
        "token_lost_at_borders": [windows_apart],
        "padding_is_counted": [counts_padding],
        "inputs_padded_with_another_token": [zeros_in_x],
        "no_first_mark": [starts_at_once],
        "no_last_mark": [join_like_text],
        "end_marks_not_counted": [masks_marks],
        "a_row_for_each_document": [one_text_a_row],
    },
    "finetune_gpt2.causal_lm_loss": {
        "shifted_again": [skips_one],
        "ignored_places_counted": [counts_ignored],
        "divided_by_all_places": [all_places],
        "mean_of_row_means": [row_by_row],
        "softmax_twice": [probabilities_in],
        "sum_instead_of_mean": [total],
        "sign_missing": [positive],
        "bits_instead_of_nats": [base_two],
        "no_logarithm": [mean_chance],
        "logarithm_of_the_mean": [log_after],
        "no_softmax": [raw_scores],
        "softmax_over_places": [wrong_axis],
    },
    "finetune_gpt2.perplexity": {
        "mean_of_perplexities": [per_text],
        "texts_weighted_equally": [equal_texts],
        "base_2": [two_to_the],
        "sum_not_divided": [product],
        "divided_by_texts": [per_number_of_texts],
        "exp_forgotten": [mean_nats],
        "sign_wrong": [inverse],
        "weights_squared": [squares],
        "losses_taken_as_sums": [already_sums],
    },
    "finetune_gpt2.resume_equality": {
        "references_instead_of_copies": [
            saver(model=live_model, optimizer=live_moments),
            saver(model=live_model),
        ],
        "optimizer_by_reference": [saver(optimizer=live_moments)],
        "optimizer_missing": [saver(optimizer=absent), saver(optimizer=only_rates), saver(optimizer=fresh_optimizer)],
        "rng_missing": [saver(rng=absent), saver(rng=lambda n, o, d, rng: rng.initial_seed())],
        "global_rng_saved": [saver(rng=lambda *run: torch.random.get_rng_state())],
        "step_missing": [saver(step=absent), saver(step=lambda *run: 0)],
        "step_one_too_far": [saver(step=lambda n, o, done, r: done + 1)],
        "step_one_too_early": [saver(step=lambda n, o, done, r: done - 1)],
        "buffers_missing": [
            saver(model=lambda net, *rest: {n: p.data.clone() for n, p in net.named_parameters()})
        ],
        "model_missing": [saver(model=absent)],
    },
}
